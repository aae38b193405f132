//! Why somebody has no seat: what the rules say of them now.

use super::{
    eligible::Person,
    world::{SessionState, World},
};
use crate::{
    clock::Timestamp,
    events::model::EventStatus,
    registrations::{model::Registration, refusal::Refusal},
    sessions::model::SessionStatus,
};
use uuid::Uuid;

/// Why somebody who waits has no seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rules refuse them.
    Refused(Refusal),
    /// Others who could have a free seat stand before them: so many wait.
    Behind(i64),
}

/// What keeps somebody from a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Seats that are free for their category.
    pub free: i64,
    /// All that keeps them from one; empty if they would get one now.
    pub reasons: Vec<Reason>,
}

/// What keeps an attendee from a seat in a session that was loaded with them and all of theirs. `ahead` is how many
/// stand before them in line, `held` what they have there already.
pub fn explain(world: &World, session_id: Uuid, attendee_id: Uuid, held: Option<&Registration>, ahead: i64, now: Timestamp) -> Explanation {
    let Some(session) = world.session(session_id) else {
        return Explanation { free: 0, reasons: vec![Reason::Refused(Refusal::NotFound)] };
    };
    let free = world.free_for(session, world.category(attendee_id), now);
    let leaving: Vec<Uuid> = held.map(|held| held.id).into_iter().chain(world.given_up(session, attendee_id, now)).collect();
    let person = Person { attendee_id, leaving: &leaving };
    let mut reasons: Vec<Reason> = refusals(world, session, person, now).into_iter().map(Reason::Refused).collect();
    if free <= 0 {
        reasons.push(Reason::Refused(Refusal::Full(session_id)));
    } else if ahead > 0 && reasons.is_empty() {
        reasons.push(Reason::Behind(ahead));
    }
    Explanation { free, reasons }
}

/// Every guard that fails, the window and the seats aside.
fn refusals(world: &World, session: &SessionState, person: Person, now: Timestamp) -> Vec<Refusal> {
    let Ok(rules) = world.rules(session) else { return vec![Refusal::NotFound] };
    let open = match (rules.status, session.status) {
        (_, SessionStatus::Cancelled) => Err(Refusal::SessionCancelled),
        (EventStatus::Archived, _) => Err(Refusal::Closed(None)),
        (EventStatus::Draft, _) | (_, SessionStatus::Draft) => Err(Refusal::NotFound),
        _ if session.started(now) => Err(Refusal::SessionStarted),
        _ => Ok(()),
    };
    [
        open,
        world.entitled(session, person.attendee_id),
        world.within_limits(rules, session, person),
        world.without_clash(rules, session, person),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect()
}
