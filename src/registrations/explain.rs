//! Answers to organisers: where the seats of a session are, why somebody has none, and who has two at the same hours.

use super::{
    decide::{self, Reason, World},
    engine::{self, Wanted},
    model::{Command, Registration, Status},
    store::{self, Counts},
};
use crate::{
    auth::{Guard, Manage, guard::OfSession},
    clock::Timestamp,
    error::Problem,
    extract::Params,
    reply::{self, Reply},
    state::State,
};
use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    attendee_id: Option<Uuid>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    session_id: Uuid,
    capacity: Option<i64>,
    seats: SeatsView,
    pools: Vec<PoolView>,
    waitlisted: i64,
    attendee: Option<AttendeeView>,
}

/// Where the seats are.
#[derive(Serialize)]
struct SeatsView {
    confirmed: i64,
    offered: i64,
    /// Beyond the capacity: given by organisers, or kept when it was lowered.
    over: i64,
    /// Of the free ones, those that pools hold.
    held: i64,
    /// Free for everybody.
    free: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolView {
    category: String,
    seats: i64,
    taken: i64,
    held: i64,
    releases_at: Option<Timestamp>,
    released: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttendeeView {
    attendee_id: Uuid,
    registration_id: Option<Uuid>,
    status: Option<Status>,
    category: Option<String>,
    ahead: Option<i64>,
    free: Option<i64>,
    reasons: Vec<Value>,
}

/// What was read on one snapshot.
struct Read {
    world: World,
    counts: Counts,
    /// What the attendee has there, and how many stand before them.
    held: Option<(Registration, i64)>,
}

pub(super) async fn explain(request: HttpRequest, state: State, guard: Guard<OfSession, Manage>, Params(about): Params<About>) -> Reply {
    // What is due here is no reason.
    state.bookings.settle(Command::Settle { session_id: guard.id(), marks: Vec::new() }).await?;
    let (session_id, event_id, now) = (guard.id(), guard.event_id(), state.clock.now());
    if let Some(attendee_id) = about.attendee_id {
        let link = store::attendee_link(&state.db, attendee_id).await?;
        if link.is_none_or(|(of, _)| of != event_id) {
            return Err(Problem::unknown_parameter("attendeeId"));
        }
    }
    let read = state.db.read(move |tx| {
        Box::pin(async move {
            let world = engine::load(tx, &Wanted::of_person(session_id, about.attendee_id), now, false).await?;
            let counts = store::counts(tx, session_id).await?;
            let held = match about.attendee_id {
                Some(attendee_id) => store::held(tx, session_id, attendee_id).await?,
                None => None,
            };
            Ok(Read { world, counts, held })
        })
    });
    reply::hashed(&request, &view(session_id, about.attendee_id, read.await?, now)?)
}

fn view(session_id: Uuid, attendee_id: Option<Uuid>, read: Read, now: Timestamp) -> Result<View, Problem> {
    let Read { world, counts, held } = read;
    let session = world.session(session_id).ok_or_else(Problem::not_found)?;
    let pools: Vec<PoolView> = session
        .pools
        .0
        .iter()
        .map(|pool| {
            let released = pool.releases_at.is_some_and(|at| at <= now);
            let taken = world.taken_by(session_id, &pool.category);
            let held = if released { 0 } else { (pool.seats - taken).max(0) };
            PoolView { category: pool.category.clone(), seats: pool.seats, taken, held, releases_at: pool.releases_at, released }
        })
        .collect();
    let held_seats: i64 = pools.iter().map(|pool| pool.held).sum();
    let free = session.seats_limit.map(|limit| limit - session.seats_taken);
    let attendee = attendee_id.map(|attendee_id| {
        let registration = held.as_ref().map(|(registration, _)| registration);
        let ahead = held.as_ref().filter(|(held, _)| held.status == Status::Waitlisted).map(|(_, ahead)| *ahead);
        let explanation = decide::explain(&world, session_id, attendee_id, registration, ahead.unwrap_or(0), now);
        let has_seat = registration.is_some_and(|held| held.status.is_seated());
        AttendeeView {
            attendee_id,
            registration_id: registration.map(|held| held.id),
            status: registration.map(|held| held.status),
            category: world.category(attendee_id).map(str::to_owned),
            ahead,
            free: session.seats_limit.map(|_| explanation.free.max(0)),
            reasons: if has_seat { Vec::new() } else { explanation.reasons.into_iter().map(reason).collect() },
        }
    });
    Ok(View {
        session_id,
        capacity: session.seats_limit,
        seats: SeatsView {
            confirmed: counts.confirmed,
            offered: counts.offered,
            over: session.seats_over,
            held: free.map_or(0, |free| held_seats.min(free.max(0))),
            free: free.map(|free| (free - held_seats).max(0)),
        },
        pools,
        waitlisted: session.waitlisted,
        attendee,
    })
}

fn reason(reason: Reason) -> Value {
    match reason {
        Reason::Refused(refusal) => Problem::from(refusal).item(),
        Reason::Behind(ahead) => serde_json::json!({
            "code": "behind_others",
            "title": "Others come first",
            "detail": format!("{ahead} stand before them in line."),
        }),
    }
}
