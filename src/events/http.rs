//! Events over HTTP.

use super::{
    model::{Event, EventForm, EventStatus},
    store,
};
use crate::{
    app::Registrar,
    auth::{Guard, Manage, Reader, guard},
    cache,
    db::{self, Keyset, Tx, is_unique_violation},
    error::{Code, Problem},
    extract::{IfMatch, Json, Params, Patch, SignedIn, principal},
    idempotency::Once,
    page::PageRequest,
    registrations::{
        model::Command,
        seats::{self, Occupancy},
    },
    reply::{self, Answer, Reply},
    representation::Representation,
    state::State,
};
use actix_web::HttpRequest;
use serde::Deserialize;
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listEvents", list).on("createEvent", create).on("getEvent", get).on("updateEvent", update).on("deleteEvent", delete);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    organisation_id: Option<Uuid>,
    status: Option<EventStatus>,
    q: Option<String>,
}

async fn list(request: HttpRequest, state: State, Params(filter): Params<Filter>, page: PageRequest) -> Reply {
    let (sort, descending) = page.order("startsOn");
    let by_name = sort == "name";
    let columns = if by_name { ("sort_key", "id") } else { ("starts_on", "id") };
    let reader = principal(&request);
    let Filter { organisation_id, status, q } = filter;
    let keyset = Keyset { columns, descending, after: page.after()?, limit: page.fetch() };
    let events = store::list(&state.db, store::Filter { organisation_id, status, q, reader }, keyset).await?;
    let place = |event: &Event| (if by_name { event.sort_key.clone() } else { event.starts_on.to_string() }, event.id);
    page.reply(&request, events, place, |event| event)
}

async fn create(state: State, caller: SignedIn, once: Once, Json(form): Json<EventForm>) -> Reply {
    match guard::role_in(&state.db, form.organisation_id, caller.principal).await? {
        Some(role) if role.manages() => {}
        Some(_) => return Err(Problem::forbidden()),
        // The organisation is named in the body: whether it exists is not told.
        None => return Err(Problem::unknown_reference("/organisationId")),
    }
    let valid = form.validate("")?;
    let (id, now) = (state.new_id(), state.clock.now());
    let write = once.write(&state, move |tx| {
        Box::pin(async move {
            let event = store::insert(tx, id, &valid, now).await.map_err(slug_taken)?;
            Answer::created(format!("/v1/events/{id}"), event.version, &event)
        })
    });
    write.await
}

async fn get(request: HttpRequest, guard: Guard<guard::OfEvent, Reader>) -> Reply {
    let read = cache::read(&request, &guard, async |state| {
        let event = store::find(&state.db, guard.id()).await?.ok_or_else(Problem::not_found)?;
        Representation::versioned(event.version, &event)
    });
    read.await
}

/// Status and booking rules say who may book, so this and the deletion are edits in order with the bookings. Who waits may
/// be eligible by the new rules.
async fn update(state: State, guard: Guard<guard::OfEvent, Manage>, if_match: IfMatch, patch: Patch) -> Reply {
    let (id, now) = (guard.id(), state.clock.now());
    let edit = state.bookings.edit(move |tx| {
        let (if_match, patch) = (if_match.clone(), patch.clone());
        Box::pin(async move {
            let (before, occupied) = lock(tx, id, &if_match).await?;
            let form = before.form();
            let after = patch.onto(&form)?.validate("")?;
            if *after == form {
                return Ok((before, Vec::new()));
            }
            if form.is_taken_back(&after) {
                seats::require_none(&occupied)?;
            }
            let commands = if form.rules_differ(&after) { vec![Command::Reconsider { event_id: id }] } else { Vec::new() };
            Ok((store::update(tx, &before, &after, now).await.map_err(slug_taken)?, commands))
        })
    });
    let event = edit.await?;
    reply::changed(event.version, &event)
}

async fn delete(state: State, guard: Guard<guard::OfEvent, Manage>, if_match: IfMatch) -> Reply {
    let id = guard.id();
    let edit = state.bookings.edit(move |tx| {
        let if_match = if_match.clone();
        Box::pin(async move {
            let (_, occupied) = lock(tx, id, &if_match).await?;
            seats::require_none(&occupied)?;
            Ok((store::delete(tx, id).await?, Vec::new()))
        })
    });
    edit.await?;
    reply::no_content()
}

/// Locks an event and the seats of all its sessions, in the order that all editors keep.
async fn lock(tx: &mut Tx, id: Uuid, if_match: &IfMatch) -> Result<(Event, Vec<Occupancy>), Problem> {
    seats::lock(tx, id).await?;
    let event = store::lock(tx, id).await?.ok_or_else(Problem::not_found)?;
    if_match.require(event.version)?;
    // Again, now that no session can be added: one may have come, and been booked, before the event was locked.
    let occupied = seats::lock(tx, id).await?;
    Ok((event, occupied))
}

fn slug_taken(error: db::Error) -> Problem {
    if is_unique_violation(&error) {
        return Problem::invalid(Code::SlugTaken, "/slug", "Another event has this slug.");
    }
    error.into()
}
