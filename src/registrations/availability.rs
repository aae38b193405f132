//! How many seats are left.

use super::store::{self, Seats};
use crate::{
    auth::{
        Guard, Reader,
        guard::{OfEvent, OfSession},
    },
    error::Problem,
    reply::{self, Reply},
    state::State,
};
use actix_web::HttpRequest;
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    session_id: Uuid,
    capacity: Option<i64>,
    taken: i64,
    available: Option<i64>,
    waitlisted: i64,
}

impl From<Seats> for View {
    fn from(seats: Seats) -> Self {
        Self {
            session_id: seats.session_id,
            capacity: seats.seats_limit,
            taken: seats.seats_taken,
            available: seats.seats_limit.map(|limit| (limit - seats.seats_taken).max(0)),
            waitlisted: seats.waitlisted,
        }
    }
}

#[derive(Serialize)]
struct Views {
    items: Vec<View>,
}

/// Of every session of an event, in one compact answer.
pub async fn of_event(request: HttpRequest, state: State, guard: Guard<OfEvent, Reader>) -> Reply {
    let seats = store::seats_of_event(&state.db, guard.event_id(), guard.sees_drafts()).await?;
    reply::hashed(&request, &Views { items: seats.into_iter().map(View::from).collect() })
}

/// Of one session.
pub async fn of_session(request: HttpRequest, state: State, guard: Guard<OfSession, Reader>) -> Reply {
    let seats = store::seats_of_session(&state.db, guard.id(), guard.sees_drafts()).await?.ok_or_else(Problem::not_found)?;
    reply::hashed(&request, &View::from(seats))
}
