//! Rooms over HTTP.

use super::model::Room;
use crate::{
    app::Registrar,
    auth::{Guard, Manage, guard::OfRoom},
    error::Problem,
    events::store::bump_programme,
    extract::{IfMatch, Patch},
    keyed::{Keyed, handlers, key_taken, store},
    registrations::seats::{self, Touched},
    reply::{self, Reply},
    state::State,
};

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar
        .on("listRooms", handlers::list::<Room>)
        .on("createRoom", handlers::create::<Room>)
        .on("getRoom", handlers::get::<Room>)
        .on("updateRoom", update)
        .on("deleteRoom", handlers::delete::<Room>);
}

/// As of the others, but an edit in order with the bookings: a new capacity is that of the sessions which take theirs
/// from the room, and nobody may sit in them yet.
async fn update(state: State, guard: Guard<OfRoom, Manage>, if_match: IfMatch, patch: Patch) -> Reply {
    let (event_id, id, now) = (guard.event_id(), guard.id(), state.clock.now());
    let touched = Touched::CapacityOfRoom(id);
    let edit = state.bookings.edit(move |tx| {
        Box::pin(async move {
            // Seats before the programme, as all editors do.
            seats::lock(tx, touched).await?;
            let before = store::lock::<Room>(tx, event_id, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(before.common.version)?;
            let current = before.form();
            let next = patch.onto(&current)?;
            if next == current {
                return Ok(before);
            }
            bump_programme(tx, event_id).await?;
            let other_capacity = next.capacity != current.capacity;
            if other_capacity {
                // Again, now that no session can move: one may have come, and been booked, before the programme was locked.
                seats::require_none(&seats::lock(tx, touched).await?)?;
            }
            let room = store::update(tx, &before, &next, now).await.map_err(key_taken)?;
            if other_capacity {
                seats::copy_limit(tx, touched).await?;
            }
            Ok(room)
        })
    });
    let room = edit.await?;
    reply::changed(room.common.version, &room)
}
