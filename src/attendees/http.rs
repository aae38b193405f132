//! Attendees of an event, and the attendees a user is.

use super::{
    claim_codes,
    columns::ATTENDEES,
    model::{Attendee, AttendeeForm},
    store::{self, Filter},
};
use crate::{
    app::Registrar,
    auth::{
        Guard, Manage, OwnOrManage,
        guard::{OfAttendee, OfEvent},
    },
    clock::Timestamp,
    db::{self, Keyset, Listing, ListingOf, Tx, is_foreign_key_violation, is_unique_violation},
    error::{Code, Problem},
    events,
    exports::{Export, Exported, Layout, Wanted, negotiated},
    extract::{Caller, IfMatch, Json, Params, Patch},
    idempotency::Once,
    page::PageRequest,
    random::Secret,
    registrations::{model::Command, seats},
    reply::{self, Answer, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listAttendees", list).on("createAttendee", create);
    registrar.on("getAttendee", get).on("updateAttendee", update).on("deleteAttendee", delete);
    registrar.on("issueClaimCode", issue_claim_code).on("issueClaimCodes", claim_codes::issue).on("eraseAttendee", erase);
    registrar.on("listMyAttendees", list_mine).on("claimAttendee", claim);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListParams {
    q: Option<String>,
    external_reference: Option<String>,
    linked: Option<bool>,
}

impl From<ListParams> for Filter {
    fn from(ListParams { q, external_reference, linked }: ListParams) -> Self {
        Self { q, external_reference, linked }
    }
}

async fn list(
    request: HttpRequest,
    state: State,
    guard: Guard<OfEvent, Manage>,
    Params(params): Params<ListParams>,
    Params(wanted): Params<Wanted>,
    page: PageRequest,
) -> Reply {
    match wanted.layout(&request, &ATTENDEES)? {
        None => negotiated(list_page(&request, &state, guard.event_id(), params.into(), &page).await),
        Some(layout) => list_file(&state, &guard, params.into(), &page, layout, &wanted).await,
    }
}

async fn list_page(request: &HttpRequest, state: &State, event_id: Uuid, filter: Filter, page: &PageRequest) -> Reply {
    let limit = page.fetch();
    let (sort, descending) = page.order("name");
    if sort == "createdAt" {
        let keyset = Keyset { columns: ("created_at", "id"), descending, after: page.after::<Timestamp>()?, limit };
        let rows = store::list(&state.db, event_id, filter, keyset).await?;
        return page.reply(request, rows, |row: &Attendee| (row.created_at, row.id), |row| row);
    }
    let keyset = Keyset { columns: ("sort_key", "id"), descending, after: page.after::<String>()?, limit };
    let rows = store::list(&state.db, event_id, filter, keyset).await?;
    page.reply(request, rows, |row: &Attendee| (row.sort_key.clone(), row.id), |row| row)
}

async fn list_file(
    state: &State,
    guard: &Guard<OfEvent, Manage>,
    filter: Filter,
    page: &PageRequest,
    layout: Layout,
    wanted: &Wanted,
) -> Reply {
    let event_id = guard.event_id();
    let event = events::store::find(&state.db, event_id).await?.ok_or_else(Problem::not_found)?;
    let order = match page.order("name") {
        ("createdAt", _) => "created_at, id",
        (_, true) => "sort_key DESC, id DESC",
        (_, false) => "sort_key, id",
    };
    let of = ListingOf { table: "attendees a", id: "a.id", joins: "", order_joins: "" };
    let listing = Listing::new(state.db.dialect(), of, &layout.fields(true), None);
    let listing = listing.filtered(|select| filter.add_to(select, event_id)).ordered(order);
    let name = format!("{}-attendees", event.slug);
    let zone = event.time_zone.as_jiff().clone();
    let exported = Exported { event_id, actor_id: guard.actor(), list: "attendees", session_id: None, filter: wanted.filter() };
    Export { layout, listing, name, zone, exported }.answer(state).await
}

async fn create(state: State, guard: Guard<OfEvent, Manage>, once: Once, Json(form): Json<AttendeeForm>) -> Reply {
    let attendee = Attendee::new(state.new_id(), guard.event_id(), None, form, state.clock.now());
    let answer = Answer::created(format!("/v1/attendees/{}", attendee.id), attendee.version, &attendee)?;
    let write = once.write(&state, move |tx| {
        Box::pin(async move {
            store::add(tx, &attendee).await.map_err(refused)?;
            Ok(answer)
        })
    });
    write.await
}

/// What a constraint says when an attendee is written.
fn refused(error: db::Error) -> Problem {
    if is_unique_violation(&error) {
        let detail = "Another attendee of this event has this external reference.";
        return Problem::invalid(Code::ReferenceTaken, "/externalReference", detail);
    }
    // The event was deleted while the request was under way.
    if is_foreign_key_violation(&error) { Problem::not_found() } else { error.into() }
}

async fn get(request: HttpRequest, state: State, guard: Guard<OfAttendee, OwnOrManage>) -> Reply {
    let attendee = store::read(&state.db, guard.id()).await?.ok_or_else(Problem::not_found)?;
    reply::versioned(&request, attendee.version, &attendee)
}

/// Goes through the engine: who is of another category may have seats they could not have before.
async fn update(state: State, guard: Guard<OfAttendee, Manage>, if_match: IfMatch, patch: Patch) -> Reply {
    let (id, event_id, now) = (guard.id(), guard.event_id(), state.clock.now());
    let edit = state.bookings.edit(move |tx| {
        let (if_match, patch) = (if_match.clone(), patch.clone());
        Box::pin(async move {
            if patch.names("category") {
                // Whoever is just joining a waitlist must be seen by it, or be judged by the new category.
                seats::lock(tx, event_id).await?;
            }
            let attendee = store::read_locked(tx, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(attendee.version)?;
            let current = attendee.form();
            let form = patch.onto(&current)?;
            if form == current {
                return Ok((attendee, Vec::new()));
            }
            if attendee.erased_at.is_some() {
                return Err(is_erased());
            }
            let commands = if form.category == current.category { Vec::new() } else { vec![Command::Reconsider { event_id }] };
            let attendee = attendee.changed(form, now);
            store::change(tx, &attendee).await.map_err(refused)?;
            Ok((attendee, commands))
        })
    });
    let attendee = edit.await?;
    reply::changed(attendee.version, &attendee)
}

async fn delete(state: State, guard: Guard<OfAttendee, Manage>, if_match: IfMatch) -> Reply {
    let id = guard.id();
    let edit = state.bookings.edit(move |tx| {
        let if_match = if_match.clone();
        Box::pin(async move {
            let attendee = store::read_locked(tx, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(attendee.version)?;
            seats::require_none(&store::active_registrations(tx, id).await?)?;
            store::delete(tx, id).await?;
            Ok(((), Vec::new()))
        })
    });
    edit.await?;
    reply::no_content()
}

/// Ends all registrations of an attendee, gives their seats to who waits, and forgets the person. A repeat changes nothing.
async fn erase(state: State, guard: Guard<OfAttendee, Manage>) -> Reply {
    let (attendee_id, event_id, actor, now) = (guard.id(), guard.event_id(), guard.acting(), state.clock.now());
    let edit = state.bookings.edit(move |tx| {
        Box::pin(async move {
            seats::lock(tx, event_id).await?;
            let attendee = store::read_locked(tx, attendee_id).await?.ok_or_else(Problem::not_found)?;
            if attendee.erased_at.is_some() {
                return Ok((attendee, Vec::new()));
            }
            let erased = attendee.erased(now);
            store::erase(tx, &erased).await?;
            Ok((erased, vec![Command::EndAttendee { attendee_id, actor }]))
        })
    });
    let attendee = edit.await?;
    reply::changed(attendee.version, &attendee)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimCode {
    attendee_id: Uuid,
    claim_code: String,
    created_at: Timestamp,
}

async fn issue_claim_code(state: State, guard: Guard<OfAttendee, Manage>) -> Reply {
    let (attendee_id, secret, created_at) = (guard.id(), state.random.secret(), state.clock.now());
    let hash = secret.hash();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            if store::set_claim(tx, attendee_id, hash).await? == 1 {
                return Ok(());
            }
            let attendee = store::read_locked(tx, attendee_id).await?.ok_or_else(Problem::not_found)?;
            Err(if attendee.erased_at.is_some() { is_erased() } else { already_linked() })
        })
    });
    write.await?;
    let body = ClaimCode { attendee_id, claim_code: secret.0, created_at };
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    claim_code: String,
}

async fn list_mine(request: HttpRequest, state: State, Caller(user): Caller, page: PageRequest) -> Reply {
    let rows = store::list_of_user(&state.db, user, page.after()?, page.fetch()).await?;
    page.reply(&request, rows, |row: &Attendee| (row.created_at, row.id), |row| row)
}

/// Goes through the engine: who is linked may book what others may not.
async fn claim(state: State, Caller(user): Caller, Json(Claim { claim_code }): Json<Claim>) -> Reply {
    let (hash, now) = (Secret(claim_code).hash(), state.clock.now());
    let edit = state.bookings.edit(move |tx| {
        let hash = hash.clone();
        Box::pin(async move { Ok((link(tx, hash, user, now).await?, Vec::new())) })
    });
    let attendee = edit.await?;
    reply::changed(attendee.version, &attendee)
}

async fn link(tx: &mut Tx, hash: Vec<u8>, user: Uuid, now: Timestamp) -> Result<Attendee, Problem> {
    let found = store::claimed_locked(tx, hash).await?.ok_or_else(invalid_claim_code)?;
    match found.user_id {
        // The answer to the first time was lost.
        Some(linked) if linked == user => return Ok(found),
        Some(_) => return Err(invalid_claim_code()),
        None => {}
    }
    match store::link(tx, found.id, user, now).await {
        Ok(_) => Ok(Attendee { user_id: Some(user), version: found.version + 1, updated_at: now, ..found }),
        Err(error) if is_unique_violation(&error) => Err(already_linked()),
        // A token outlives its user by minutes.
        Err(error) if is_foreign_key_violation(&error) => Err(Problem::unauthenticated()),
        Err(error) => Err(error.into()),
    }
}

fn invalid_claim_code() -> Problem {
    Problem::invalid(Code::InvalidClaimCode, "/claimCode", "The claim code is wrong, was replaced, or was used by somebody else.")
}

fn is_erased() -> Problem {
    Problem::new(Code::AttendeeErased, "The attendee was erased, which can't be undone.")
}

fn already_linked() -> Problem {
    Problem::new(Code::AlreadyLinked, "The attendee is linked to a user, or you are another attendee of this event.")
}
