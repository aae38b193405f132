//! Faults in what is decided: pure, so the simulator can be shown them too.

use plenary::{
    clock::Timestamp,
    db::JsonText,
    registrations::{
        decide::{ChangeKind, Changes, Decided, Needs, Round, SessionState, World},
        engine::{Real, Steps},
        model::{Command, Done, Registration, Status},
    },
};
use std::collections::HashMap;
use uuid::Uuid;

type Decision = Result<Decided, Needs>;

/// The world with other sessions.
fn altered(mut world: World, alter: impl Fn(&mut SessionState)) -> World {
    let sessions: Vec<SessionState> = world.sessions().cloned().collect();
    for mut session in sessions {
        alter(&mut session);
        world.add_session(session);
    }
    world
}

/// What was decided, changed afterwards.
fn tampered(decision: Decision, tamper: impl FnOnce(&mut Changes)) -> Decision {
    decision.map(|mut decided| {
        tamper(&mut decided.changes);
        decided
    })
}

/// A session counts as begun a day after its start.
pub struct PromotesAfterTheStart;

impl Steps for PromotesAfterTheStart {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        let world = altered(world, |session| session.starts_at = session.starts_at.plus_secs(86_400));
        Real.decide(world, commands, now, round)
    }
}

/// Seats that are held for a category go to anybody.
pub struct LeakingPool;

impl Steps for LeakingPool {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        let kept: HashMap<Uuid, _> = world.sessions().map(|session| (session.id, session.pools.clone())).collect();
        let world = altered(world, |session| session.pools = JsonText(Vec::new()));
        tampered(Real.decide(world, commands, now, round), |changes| {
            changes.seats.iter_mut().for_each(|session| session.pools = kept[&session.id].clone());
        })
    }
}

/// Who gives a seat back is the one who gets it.
pub struct BackToTheLeaver;

impl Steps for BackToTheLeaver {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        tampered(Real.decide(world, commands, now, round), |changes| {
            for index in 1..changes.journal.len() {
                let (earlier, later) = changes.journal.split_at_mut(index);
                let (left, next) = (&earlier[index - 1], &mut later[0]);
                let freed = left.kind == ChangeKind::Cancelled && left.session_id == next.session_id;
                if freed && matches!(next.kind, ChangeKind::Promoted | ChangeKind::Offered) {
                    give_back(&mut changes.updated, left.registration_id, next.registration_id);
                    (next.registration_id, next.attendee_id) = (left.registration_id, left.attendee_id);
                }
            }
        })
    }
}

fn give_back(rows: &mut Vec<Registration>, leaver: Option<Uuid>, next: Option<Uuid>) {
    let Some(next) = rows.iter().position(|row| Some(row.id) == next) else { return };
    let next = rows.remove(next);
    for row in rows.iter_mut().filter(|row| Some(row.id) == leaver) {
        (row.status, row.offer_expires_at, row.cancel_reason, row.cancelled_at) = (next.status, next.offer_expires_at, None, None);
        row.moved_to = None;
    }
}

/// A seat that is given back stays taken.
pub struct KeepsFreedSeats;

impl Steps for KeepsFreedSeats {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        tampered(Real.decide(world, commands, now, round), |changes| {
            for change in changes.journal.iter().filter(|change| change.kind == ChangeKind::Cancelled) {
                let had_seat = change.details.as_ref().is_some_and(|details| details["from"] == Status::Confirmed.as_str());
                let session = changes.seats.iter_mut().find(|session| session.id == change.session_id);
                let room = |session: &SessionState| session.seats_limit.is_none_or(|limit| session.seats_taken < limit);
                if let Some(session) = session.filter(|session| had_seat && room(session)) {
                    session.seats_taken += 1;
                }
            }
        })
    }
}

/// Nobody looks at the waitlists elsewhere of who gave a seat back.
pub struct ForgetsWhoWaitsElsewhere;

impl Steps for ForgetsWhoWaitsElsewhere {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        tampered(Real.decide(world, commands, now, round), |changes| changes.due.clear())
    }
}

/// An offer holds its seat when its time is over.
pub struct OffersWithoutEnd;

impl Steps for OffersWithoutEnd {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        Real.decide(altered(world, |session| session.due_at = None), commands, now, round)
    }
}

/// Booking again what one has makes another registration. The database's own refusal of it is taken away beside this.
pub struct BooksTwice;

impl Steps for BooksTwice {
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> Decision {
        let sessions: HashMap<Uuid, SessionState> = world.sessions().map(|session| (session.id, session.clone())).collect();
        let mut decided = Real.decide(world, commands, now, round)?;
        for (command, outcome) in commands.iter().zip(&decided.outcomes) {
            if let (Command::Book(booking), Ok(Done::One(outcome))) = (command, outcome)
                && !outcome.created
                && booking.passing.is_none()
            {
                again(&mut decided.changes, &sessions, booking.registration_id, &outcome.registration, now);
            }
        }
        Ok(decided)
    }
}

/// A second row that waits.
fn again(changes: &mut Changes, sessions: &HashMap<Uuid, SessionState>, id: Uuid, held: &Registration, now: Timestamp) {
    if !changes.seats.iter().any(|session| session.id == held.session_id) {
        changes.seats.push(sessions[&held.session_id].clone());
    }
    let session = changes.seats.iter_mut().find(|session| session.id == held.session_id).expect("it is there");
    session.last_seq += 1;
    session.last_change += 1;
    session.waitlisted += 1;
    changes.journal.push(plenary::registrations::decide::Change {
        event_id: session.event_id,
        session_id: session.id,
        change: session.last_change,
        kind: ChangeKind::Waitlisted,
        registration_id: Some(id),
        attendee_id: Some(held.attendee_id),
        actor_id: None,
        details: None,
    });
    changes.inserted.push(Registration {
        id,
        status: Status::Waitlisted,
        seq: session.last_seq,
        offer_expires_at: None,
        created_at: now,
        updated_at: now,
        ..held.clone()
    });
}
