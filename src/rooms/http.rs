//! Rooms over HTTP.

use super::model::Room;
use crate::{
    app::Registrar,
    auth::{Guard, Manage, guard::OfRoom},
    error::Problem,
    events::store::bump_programme,
    extract::{IfMatch, Params, Patch},
    keyed::{Keyed, handlers, key_taken, store},
    registrations::{
        edits::{Choices, EffectsView},
        engine::Edited,
        model::Command,
        seats,
    },
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
/// from the room.
async fn update(state: State, guard: Guard<OfRoom, Manage>, if_match: IfMatch, Params(choices): Params<Choices>, patch: Patch) -> Reply {
    let (event_id, id, actor, now) = (guard.event_id(), guard.id(), guard.acting(), state.clock.now());
    let sees_registrations = guard.sees_registrations();
    let edit = state.bookings.edit_or_preview(choices.preview, move |tx| {
        let (if_match, patch) = (if_match.clone(), patch.clone());
        Box::pin(async move {
            // Seats before the programme, as all editors do.
            seats::lock(tx, event_id).await?;
            let before = store::lock::<Room>(tx, event_id, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(before.common.version)?;
            let current = before.form();
            let next = patch.onto(&current)?;
            if next == current {
                return Ok((before, Vec::new()));
            }
            bump_programme(tx, event_id).await?;
            let sized = if next.capacity == current.capacity { Vec::new() } else { seats::sized_by_room(tx, id).await? };
            let room = store::update(tx, &before, &next, now).await.map_err(key_taken)?;
            let refit = |session_id| Command::Refit { session_id, if_overfull: choices.if_overfull, actor };
            Ok((room, sized.into_iter().map(refit).collect()))
        })
    });
    let Edited { value: room, effects } = edit.await?;
    match choices.preview {
        true => reply::changed(room.common.version, &EffectsView::of(effects, Vec::new()).seen_by(sees_registrations)),
        false => reply::changed(room.common.version, &room),
    }
}
