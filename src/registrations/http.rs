//! Booking, and reading one's registrations.

use super::{
    actions, availability, clashes, engine, explain,
    model::{Actor, Booking, CancelReason, Command, Done, IfFull, Outcome, Override, Rule, Status, Who},
    plan,
    refusal::Refusal,
    roster,
    store::{self, MineRow, Shown},
};
use crate::{
    app::Registrar,
    auth::guard::{self, OfSession},
    clock::Timestamp,
    db::Keyset,
    error::Problem,
    extract::{Caller, Json, Params, SignedIn},
    idempotency::{Claim, Once},
    page::PageRequest,
    reply::{self, Answer, Reply},
    sessions::model::SessionStatus,
    state::State,
};
use actix_web::HttpRequest;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar
        .on("createRegistration", create)
        .on("listSessionRegistrations", roster::of_session)
        .on("listEventRegistrations", roster::of_event)
        .on("getRegistration", get)
        .on("updateRegistration", actions::update)
        .on("cancelRegistration", actions::cancel)
        .on("moveRegistration", actions::move_to)
        .on("acceptOffer", actions::accept)
        .on("declineOffer", actions::decline)
        .on("listMyRegistrations", mine)
        .on("planBookings", plan::plan)
        .on("createBookings", plan::book)
        .on("explainSession", explain::explain)
        .on("listSessionClashes", clashes::list)
        .on("getEventAvailability", availability::of_event)
        .on("getSessionAvailability", availability::of_session);
}

/// A registration as the contract shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationView {
    id: Uuid,
    event_id: Uuid,
    session_id: Uuid,
    attendee_id: Uuid,
    status: Status,
    seq: i64,
    priority: i64,
    position: Option<i64>,
    offer_expires_at: Option<Timestamp>,
    cancel_reason: Option<CancelReason>,
    cancelled_at: Option<Timestamp>,
    moved_to: Option<Uuid>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Shown> for RegistrationView {
    fn from(shown: Shown) -> Self {
        Self {
            id: shown.id,
            event_id: shown.event_id,
            session_id: shown.session_id,
            attendee_id: shown.attendee_id,
            status: shown.status,
            seq: shown.seq,
            priority: shown.priority,
            position: shown.position,
            offer_expires_at: shown.offer_expires_at,
            cancel_reason: shown.cancel_reason,
            cancelled_at: shown.cancelled_at,
            moved_to: shown.moved_to,
            created_at: shown.created_at,
            updated_at: shown.updated_at,
        }
    }
}

impl From<Outcome> for RegistrationView {
    fn from(outcome: Outcome) -> Self {
        let registration = outcome.registration;
        Self {
            id: registration.id,
            event_id: outcome.event_id,
            session_id: registration.session_id,
            attendee_id: registration.attendee_id,
            status: registration.status,
            seq: registration.seq,
            priority: registration.priority,
            position: outcome.position,
            offer_expires_at: registration.offer_expires_at,
            cancel_reason: registration.cancel_reason,
            cancelled_at: registration.cancelled_at,
            moved_to: registration.moved_to,
            created_at: registration.created_at,
            updated_at: registration.updated_at,
        }
    }
}

#[derive(Deserialize)]
struct SessionPath {
    session: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    attendee_id: Option<Uuid>,
    if_full: Option<IfFull>,
    r#override: Option<OverrideBody>,
    priority: Option<i64>,
}

#[derive(Deserialize)]
struct OverrideBody {
    rules: Vec<Rule>,
    reason: String,
}

async fn create(state: State, caller: SignedIn, once: Once, Params(path): Params<SessionPath>, Json(body): Json<Create>) -> Reply {
    let needs_role = body.r#override.is_some() || body.priority.is_some();
    let found = match body.attendee_id.is_some() || needs_role {
        true => Some(guard::find_by_id::<OfSession>(&state.db, path.session, caller.principal).await?.ok_or_else(Problem::not_found)?),
        false => None,
    };
    if needs_role && !found.as_ref().and_then(|found| found.role).is_some_and(|role| role.manages()) {
        return Err(Problem::forbidden());
    }
    let (who, organiser) = whom(&state, caller, body.attendee_id, found.as_ref()).await?;
    // Who sends a key may have been answered before.
    let plain = found.is_none() && matches!(who, Who::Caller { .. }) && !once.has_key();
    if plain && let Some(outcome) = state.bookings.seat_of(path.session, caller.id).await {
        return Ok(answer_with(false, &RegistrationView::from(outcome))?.into_response());
    }
    if plain && state.bookings.is_full_for(path.session, caller.id, body.if_full, state.clock.now()) {
        return Err(Refusal::Full(path.session).into());
    }
    let passing = body.r#override.map(|OverrideBody { rules, reason }| Box::new(Override { rules, reason }));
    let command = Command::Book(Booking {
        registration_id: state.new_id(),
        session_id: path.session,
        within: None,
        who,
        if_full: body.if_full,
        passing,
        priority: body.priority.unwrap_or_default(),
        actor: Actor { user_id: caller.id, organiser: organiser || needs_role },
    });
    answer(&state, command, once.claim(&state)?).await
}

/// For whom a booking is, and whether the caller acts as organiser in it; refuses who may not. `found` is the session or
/// event, with the caller's role.
pub(super) async fn whom(
    state: &State,
    caller: SignedIn,
    attendee_id: Option<Uuid>,
    found: Option<&guard::Found>,
) -> Result<(Who, bool), Problem> {
    let Some(attendee_id) = attendee_id else {
        if caller.principal.user().is_none() {
            return Err(Problem::key_forbidden("An API key books for attendees: name one in attendeeId."));
        }
        return Ok((Who::Caller { new_attendee_id: state.new_id() }, false));
    };
    let found = found.ok_or_else(Problem::not_found)?;
    let link = store::attendee_link(&state.db, attendee_id).await?.filter(|(event_id, _)| *event_id == found.event_id);
    let own = link.is_some_and(|(_, user_id)| user_id == Some(caller.id));
    match found.role {
        Some(role) if role.manages() && link.is_some() => Ok((Who::Attendee(attendee_id), !own)),
        _ if own => Ok((Who::Attendee(attendee_id), false)),
        Some(role) if !role.manages() => Err(Problem::forbidden()),
        _ => Err(Problem::unknown_reference("/attendeeId")),
    }
}

/// Asks the engine for something that can make a registration, and answers with it.
pub(super) async fn answer(state: &State, command: Command, claim: Option<Arc<Claim>>) -> Reply {
    let Some(claim) = claim else {
        return answered(state, state.bookings.ask(command).await?).await;
    };
    match state.bookings.ask_once(command, Arc::clone(&claim), Arc::new(made)).await? {
        engine::Once::Replay(stored) => claim.replay(stored),
        engine::Once::Done(Done::One(outcome)) if outcome.created => {
            Ok(answer_with(true, &RegistrationView::from(*outcome))?.into_response())
        }
        engine::Once::Done(Done::One(outcome)) => {
            // It was there before and nothing was written; what is said of it is kept for itself.
            let answer = answer_with(false, &settle(state, *outcome).await?)?;
            claim.write(state, |_| Box::pin(async move { Ok(answer) })).await
        }
        engine::Once::Done(other) => Err(Problem::internal(format!("a booking came to {other:?}"))),
    }
}

/// Answers with what can have made a registration.
pub(super) async fn answered(state: &State, outcome: Outcome) -> Reply {
    let created = outcome.created;
    Ok(answer_with(created, &settle(state, outcome).await?)?.into_response())
}

/// What is answered to a registration that is new or was there.
fn answer_with(created: bool, view: &RegistrationView) -> Result<Answer, Problem> {
    Answer::hashed(created.then(|| format!("/v1/registrations/{}", view.id)), view)
}

/// The same for the engine, which keeps it beside the idempotency key of what it made.
fn made(done: &Done) -> Option<Answer> {
    let Done::One(outcome) = done else { return None };
    outcome.created.then(|| answer_with(true, &RegistrationView::from(Outcome::clone(outcome))).ok()).flatten()
}

/// The outcome as it is shown. Deciding knows the position of who has just joined the line; for others it is counted.
pub(super) async fn settle(state: &State, outcome: Outcome) -> Result<RegistrationView, Problem> {
    let counted = outcome.registration.status == Status::Waitlisted && outcome.position.is_none() && !outcome.started;
    if counted && let Some(shown) = store::find(&state.db, outcome.registration.id).await? {
        return Ok(shown.at(state.clock.now()).into());
    }
    Ok(outcome.into())
}

/// The path of one.
#[derive(Deserialize)]
pub(super) struct RegistrationPath {
    pub(super) registration: Uuid,
}

async fn get(request: HttpRequest, state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let relation = store::relation(&state.db, path.registration, caller.principal).await?.ok_or_else(Problem::not_found)?;
    if relation.user_id != Some(caller.id) && relation.role.is_none() {
        return Err(Problem::not_found());
    }
    let shown = store::find(&state.db, path.registration).await?.ok_or_else(Problem::not_found)?;
    reply::hashed(&request, &RegistrationView::from(shown.at(state.clock.now())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MineFilter {
    event_id: Option<Uuid>,
    status: Option<Status>,
}

async fn mine(request: HttpRequest, state: State, caller: Caller, Params(filter): Params<MineFilter>, page: PageRequest) -> Reply {
    let (_, descending) = page.order("createdAt");
    let keyset = Keyset { columns: ("r.created_at", "r.id"), descending, after: page.after()?, limit: page.fetch() };
    let now = state.clock.now();
    let rows = store::mine(&state.db, caller.0, filter.event_id, (filter.status, now), keyset).await?;
    page.reply(&request, rows, |row| (row.registration.created_at, row.registration.id), |row| MineView::at(now, row))
}

#[derive(Serialize)]
struct MineView {
    #[serde(flatten)]
    registration: RegistrationView,
    session: MineSession,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MineSession {
    id: Uuid,
    code: String,
    title: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    starts_at_local: String,
    ends_at_local: String,
    time_zone: String,
    room: Option<MineRoom>,
    status: SessionStatus,
}

#[derive(Serialize)]
struct MineRoom {
    id: Uuid,
    name: String,
}

impl MineView {
    fn at(now: Timestamp, row: MineRow) -> Self {
        // A zone was checked when the event was saved; a database of zones without it can only show UTC.
        let zone = TimeZone::get(&row.time_zone).unwrap_or(TimeZone::UTC);
        let starts_at = row.registration.starts_at;
        let session = MineSession {
            id: row.registration.session_id,
            code: row.code,
            title: row.title,
            starts_at,
            ends_at: row.ends_at,
            starts_at_local: starts_at.in_zone(&zone),
            ends_at_local: row.ends_at.in_zone(&zone),
            time_zone: row.time_zone,
            room: row.room_id.zip(row.room_name).map(|(id, name)| MineRoom { id, name }),
            status: row.session_status,
        };
        Self { registration: row.registration.at(now).into(), session }
    }
}
