//! Booking and cancelling, and reading registrations.

use super::{
    availability, engine,
    model::{Actor, CancelReason, Command, IfFull, Outcome, Status, Who},
    roster,
    store::{self, MineRow, Shown},
};
use crate::{
    app::Registrar,
    auth::guard::{self, OfSession},
    clock::Timestamp,
    db::Keyset,
    error::Problem,
    extract::{Caller, Json, Params},
    idempotency::Once,
    page::PageRequest,
    reply::{self, Answer, Reply},
    sessions::model::SessionStatus,
    state::State,
};
use actix_web::{HttpRequest, HttpResponse};
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
        .on("cancelRegistration", cancel)
        .on("listMyRegistrations", mine)
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
    position: Option<i64>,
    cancel_reason: Option<CancelReason>,
    cancelled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl RegistrationView {
    /// As it is at `now`: once the session has begun nobody has a position.
    pub fn at(now: Timestamp, shown: Shown) -> Self {
        Self {
            id: shown.id,
            event_id: shown.event_id,
            session_id: shown.session_id,
            attendee_id: shown.attendee_id,
            status: shown.status,
            seq: shown.seq,
            position: shown.position.filter(|_| now < shown.starts_at),
            cancel_reason: shown.cancel_reason,
            cancelled_at: shown.cancelled_at,
            created_at: shown.created_at,
            updated_at: shown.updated_at,
        }
    }

    fn of(outcome: Outcome) -> Self {
        let registration = outcome.registration;
        Self {
            id: registration.id,
            event_id: outcome.event_id,
            session_id: registration.session_id,
            attendee_id: registration.attendee_id,
            status: registration.status,
            seq: registration.seq,
            position: outcome.position,
            cancel_reason: registration.cancel_reason,
            cancelled_at: registration.cancelled_at,
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
}

async fn create(state: State, caller: Caller, once: Once, Params(path): Params<SessionPath>, Json(body): Json<Create>) -> Reply {
    let (who, organiser) = match body.attendee_id {
        None => (Who::Caller { new_attendee_id: state.new_id() }, false),
        Some(attendee_id) => (Who::Attendee(attendee_id), may_book_for(&state, caller, path.session, attendee_id).await?),
    };
    let command = Command::Book {
        registration_id: state.new_id(),
        session_id: path.session,
        who,
        if_full: body.if_full,
        actor: Actor { user_id: caller.0, organiser },
    };
    let Some(claim) = once.claim(&state)? else {
        let outcome = state.bookings.ask(command).await?;
        let created = outcome.created;
        return Ok(answer(created, &settle(&state, outcome).await?)?.into_response());
    };
    match state.bookings.ask_once(command, Arc::clone(&claim), made).await? {
        engine::Once::Replay(stored) => claim.replay(stored),
        engine::Once::Done(outcome) if outcome.created => Ok(answer(true, &RegistrationView::of(outcome))?.into_response()),
        engine::Once::Done(outcome) => {
            // It was there before and nothing was written; what is said of it is kept for itself.
            let answer = answer(false, &settle(&state, outcome).await?)?;
            claim.write(&state, |_| Box::pin(async move { Ok(answer) })).await
        }
    }
}

/// What is answered to a registration that is new or was there.
fn answer(created: bool, view: &RegistrationView) -> Result<Answer, Problem> {
    Answer::hashed(created.then(|| format!("/v1/registrations/{}", view.id)), view)
}

/// The same for the engine, which keeps it beside the idempotency key of what it made.
fn made(outcome: &Outcome) -> Option<Answer> {
    outcome.created.then(|| answer(true, &RegistrationView::of(outcome.clone())).ok()).flatten()
}

/// Whether the caller acts as organiser in booking for this attendee; refuses who may not.
async fn may_book_for(state: &State, caller: Caller, session_id: Uuid, attendee_id: Uuid) -> Result<bool, Problem> {
    let found = guard::find_by_id::<OfSession>(&state.db, session_id, Some(caller.0)).await?.ok_or_else(Problem::not_found)?;
    let link = store::attendee_link(&state.db, attendee_id).await?;
    let own = link.is_some_and(|(event_id, user_id)| event_id == found.event_id && user_id == Some(caller.0));
    match found.role {
        Some(role) if role.manages() => Ok(!own),
        _ if own => Ok(false),
        Some(_) => Err(Problem::forbidden()),
        None => Err(Problem::unknown_reference("/attendeeId")),
    }
}

/// The outcome as it is shown. Deciding knows the position of who has just joined the line; for others it is counted.
async fn settle(state: &State, outcome: Outcome) -> Result<RegistrationView, Problem> {
    let counted = outcome.registration.status == Status::Waitlisted && outcome.position.is_none() && !outcome.started;
    if counted && let Some(shown) = store::find(&state.db, outcome.registration.id).await? {
        return Ok(RegistrationView::at(state.clock.now(), shown));
    }
    Ok(RegistrationView::of(outcome))
}

#[derive(Deserialize)]
struct RegistrationPath {
    registration: Uuid,
}

async fn get(request: HttpRequest, state: State, caller: Caller, Params(path): Params<RegistrationPath>) -> Reply {
    let relation = store::relation(&state.db, path.registration, caller.0).await?.ok_or_else(Problem::not_found)?;
    if relation.user_id != Some(caller.0) && relation.role.is_none() {
        return Err(Problem::not_found());
    }
    let shown = store::find(&state.db, path.registration).await?.ok_or_else(Problem::not_found)?;
    reply::hashed(&request, &RegistrationView::at(state.clock.now(), shown))
}

async fn cancel(state: State, caller: Caller, Params(path): Params<RegistrationPath>) -> Reply {
    let relation = store::relation(&state.db, path.registration, caller.0).await?.ok_or_else(Problem::not_found)?;
    let own = relation.user_id == Some(caller.0);
    let organiser = match relation.role {
        Some(role) if role.manages() => true,
        _ if own => false,
        Some(_) => return Err(Problem::forbidden()),
        None => return Err(Problem::not_found()),
    };
    let actor = Actor { user_id: caller.0, organiser };
    let outcome = state.bookings.ask(Command::Cancel { registration_id: path.registration, own, actor }).await?;
    reply::tagged(HttpResponse::Ok(), &RegistrationView::of(outcome))
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
    let rows = store::mine(&state.db, caller.0, filter.event_id, filter.status, keyset).await?;
    let now = state.clock.now();
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
        Self { registration: RegistrationView::at(now, row.registration), session }
    }
}
