//! Every answer is one that the journal bears out, and none goes back behind what was told before.

use super::seen::{Frontier, RowState, SeatState, Timelines};
use crate::rig::{
    history::{Ask, Attempt, Told, What},
    ledger::Ledger,
    model::Breach,
    venue::Venue,
};
use plenary::registrations::model::{CancelReason, Status};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// All that is wrong with the answers of a run.
pub fn judge(venue: &Venue, attempts: &[Attempt], ledger: &Ledger, timelines: &Timelines) -> Vec<Breach> {
    let mut judge = Judge { venue, ledger, timelines, rows: Frontier::default(), seats: Frontier::default(), breaches: Vec::new() };
    let mut answered: Vec<(&Attempt, &Told)> = attempts.iter().filter_map(|attempt| Some((attempt, attempt.answer.as_ref()?))).collect();
    answered.sort_by_key(|(_, told)| told.tick);
    for (attempt, told) in &answered {
        judge.answer(attempt, told);
    }
    judge.unasked(attempts, &answered);
    judge.breaches
}

struct Judge<'r> {
    venue: &'r Venue,
    ledger: &'r Ledger,
    timelines: &'r Timelines,
    /// How far the states of registrations were told of, by place, and those of sessions, by change.
    rows: Frontier,
    seats: Frontier,
    breaches: Vec<Breach>,
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

impl Judge<'_> {
    fn must(&mut self, holds: bool, invariant: &'static str, what: &str, attempt: &Attempt) {
        if !holds {
            self.breaches.push(Breach::of(invariant, format!("{what}: {attempt:?}")));
        }
    }

    fn answer(&mut self, attempt: &Attempt, told: &Told) {
        match (told.status, &attempt.ask) {
            (200 | 201, Ask::Foreign { .. }) => self.must(false, "I10", "an attendee of another event was booked", attempt),
            (200, Ask::Seats { session }) => self.seats(*session, attempt, told),
            (200, Ask::Resize { session, capacity, .. }) => self.resized(*session, *capacity, attempt, told),
            (200, Ask::BookAll { sessions, .. }) => {
                let items = told.json["items"].as_array().cloned().unwrap_or_default();
                self.must(items.len() == sessions.len(), "I9", "not one result a wish", attempt);
                for (session, item) in sessions.iter().zip(items) {
                    match item["registration"].is_null() {
                        false => self.row(&item["registration"], attempt, told, Some(*session)),
                        true => self.refused(&item["problem"], Some(*session), attempt, told),
                    }
                }
            }
            (200 | 201, ask) => {
                let target = match ask {
                    Ask::Book { session, .. } => Some(*session),
                    Ask::Move { to, .. } => Some(*to),
                    _ => None,
                };
                self.row(&told.json, attempt, told, target);
                self.done(attempt, told);
            }
            (503, _) => {}
            (400..500, ask) => {
                let session = match ask {
                    Ask::Book { session, .. } => Some(*session),
                    Ask::Move { to, .. } => Some(*to),
                    _ => None,
                };
                self.refused(&told.json, session, attempt, told);
            }
            _ => self.must(false, "I9", "the server failed", attempt),
        }
    }

    /// A registration was shown: it had that state, and not only before somebody was told of a later one.
    fn row(&mut self, shown: &Value, attempt: &Attempt, told: &Told, session: Option<Uuid>) {
        let Some(registration) = id(&shown["id"]) else { return self.must(false, "I2", "no registration was told of", attempt) };
        let Some((owner, states)) = self.timelines.rows.get(&registration) else {
            return self.must(false, "I2", "it was acknowledged and is not there", attempt);
        };
        let wanted = session.is_none_or(|session| session == owner.session) && id(&shown["sessionId"]) == Some(owner.session);
        self.must(wanted, "I9", "a registration of another session was told of", attempt);
        let from = self.rows.at(registration, attempt.asked);
        let place = states.iter().enumerate().skip(from).find(|(_, state)| shows(state, shown, told)).map(|(place, _)| place);
        let Some(place) = place else {
            let earlier = states.iter().take(from).any(|state| shows(state, shown, told));
            let invariant = if earlier { "I8" } else { "I2" };
            return self.must(false, invariant, &format!("it was told of as {}, and was {states:?}", shown["status"]), attempt);
        };
        let (session, change) = (owner.session, states[place].change);
        self.rows.push(registration, told.tick, place);
        self.seats.push(session, told.tick, change as usize);
        let seq = self.ledger.rows.get(&registration).map(|row| row.seq);
        self.must(seq == shown["seq"].as_i64(), "I5", "it has another seq", attempt);
    }

    /// What was asked has been done.
    fn done(&mut self, attempt: &Attempt, told: &Told) {
        let status = told.json["status"].as_str().unwrap_or_default();
        let (holds, what) = match &attempt.ask {
            Ask::On { what: What::Cancel, .. } => (status == "cancelled", "it was not cancelled"),
            Ask::On { what: What::Accept, .. } => (status == "confirmed", "it was not accepted"),
            Ask::On { what: What::Decline, .. } => (told.json["cancelReason"] == "declined", "it was not declined"),
            Ask::Book { if_full, over, .. } => {
                let waits = told.status == 201 && status == "waitlisted";
                let wanted = !waits || (*if_full != Some(plenary::registrations::model::IfFull::Reject) && !over);
                // Another of their wishes may have gone before it in the same instant, and the clock jumps over offers.
                let given_up = matches!(told.json["cancelReason"].as_str(), Some("swapped" | "withdrawn" | "offer_expired"));
                (wanted && (told.status == 200 || status != "cancelled" || given_up), "it waits, or has ended, and did not want to")
            }
            Ask::Move { registration, to, .. } => {
                let moved = self.ledger.rows.get(registration);
                // Who moves to where they are is told so.
                let stays = moved.is_some_and(|row| row.session_id == *to);
                (stays || moved.is_some_and(|row| row.moved_to == id(&told.json["id"])), "the other seat was not given up")
            }
            Ask::Prioritise { priority, .. } => (told.json["priority"] == *priority, "it has another priority"),
            _ => (true, ""),
        };
        self.must(holds, "I2", what, attempt);
    }

    fn seats(&mut self, session: Uuid, attempt: &Attempt, told: &Told) {
        let number = |name: &str| told.json[name].as_i64();
        let from = self.seats.at(session, attempt.asked);
        let matches = |state: &SeatState| {
            state.limit == number("capacity") && Some(state.taken) == number("taken") && Some(state.waitlisted) == number("waitlisted")
        };
        let states = &self.timelines.seats[&session];
        match states.iter().enumerate().skip(from).find(|(_, state)| matches(state)).map(|(change, _)| change) {
            Some(change) => self.seats.push(session, told.tick, change),
            None => {
                let invariant = if states.iter().any(matches) { "I8" } else { "I6" };
                self.must(false, invariant, &format!("seats as they were not after change {from}"), attempt);
            }
        }
    }

    fn resized(&mut self, session: Uuid, capacity: i64, attempt: &Attempt, told: &Told) {
        let from = self.seats.at(session, attempt.asked);
        let states = &self.timelines.seats[&session];
        match states.iter().enumerate().skip(from).find(|(_, state)| state.limit == Some(capacity)).map(|(change, _)| change) {
            Some(change) => self.seats.push(session, told.tick, change),
            None => self.must(false, "I2", "it never had so many seats", attempt),
        }
    }

    /// A refusal has its reason.
    fn refused(&mut self, problem: &Value, session: Option<Uuid>, attempt: &Attempt, told: &Told) {
        let code = problem["code"].as_str().unwrap_or_default();
        let person = match attempt.ask {
            Ask::Book { person, .. } | Ask::BookAll { person, .. } | Ask::Move { person, .. } | Ask::On { person, .. } => Some(person),
            _ => None,
        };
        let category = person.and_then(|person| self.venue.people[person].category.clone());
        let since = |session: Uuid| &self.timelines.seats[&session][self.seats.at(session, attempt.asked)..];
        let begins = |session: Uuid| self.timelines_start(session);
        let holds = match (code, session) {
            ("session_full", Some(session)) => since(session).iter().any(|state| state.free[&category] <= 0),
            ("waitlist_full", Some(session)) => since(session).iter().any(|state| state.waitlisted > 0),
            ("session_started", Some(session)) if matches!(attempt.ask, Ask::Book { .. }) => begins(session) <= told.at,
            ("time_conflict", _) => id(&problem["clash"]["registrationId"]).is_some_and(|clash| self.had_seat(clash, person)),
            ("offer_expired" | "not_offered" | "registration_cancelled" | "limit_reached" | "session_started", _) => true,
            ("has_registrations" | "no_waitlist", _) => matches!(attempt.ask, Ask::Resize { .. }),
            ("unknown_reference", _) => matches!(attempt.ask, Ask::Foreign { .. }),
            ("idempotency_in_flight", _) => attempt.keyed,
            _ => false,
        };
        // What is asked about by its id was told of before.
        let invariant = if code == "not_found" { "I8" } else { "I1" };
        self.must(holds, invariant, &format!("it was refused for no reason ({code})"), attempt);
    }

    fn timelines_start(&self, session: Uuid) -> plenary::clock::Timestamp {
        self.venue.sessions.iter().find(|own| own.id == session).map(|own| own.starts_at).expect("a session of the conference")
    }

    fn had_seat(&self, registration: Uuid, person: Option<usize>) -> bool {
        let attendee = person.map(|person| self.venue.people[person].id);
        self.timelines
            .rows
            .get(&registration)
            .is_some_and(|(owner, states)| Some(owner.attendee) == attendee && states.iter().any(|state| state.status == Status::Confirmed))
    }

    /// Registrations that nobody asked for, or that were made more than once for one wish.
    fn unasked(&mut self, attempts: &[Attempt], answered: &[(&Attempt, &Told)]) {
        let mut told: BTreeSet<Uuid> = BTreeSet::new();
        let mut made: BTreeMap<Uuid, u64> = BTreeMap::new();
        for (attempt, answer) in answered {
            let items = answer.json["items"].as_array().into_iter().flatten().map(|item| (&item["registration"], item["status"] == 201));
            let all = items.chain([(&answer.json, answer.status == 201)]);
            for (registration, new) in all.filter_map(|(row, new)| Some((id(&row["id"])?, new))) {
                told.insert(registration);
                let wish = *made.entry(registration).or_insert(attempt.wish);
                self.must(!new || wish == attempt.wish, "I9", "two wishes made the same registration", attempt);
            }
        }
        // How many may have been made by attempts whose answers were lost. One with a key that was answered in the end is
        // told what the first made.
        let resolved: BTreeSet<u64> =
            answered.iter().filter(|(attempt, told)| attempt.keyed && told.status < 300).map(|(attempt, _)| attempt.wish).collect();
        let mut lost: BTreeMap<(Uuid, Uuid), usize> = BTreeMap::new();
        for attempt in attempts.iter().filter(|attempt| attempt.answer.as_ref().is_none_or(|told| told.status == 503)) {
            let (person, sessions) = match &attempt.ask {
                Ask::Book { session, person, .. } | Ask::Move { to: session, person, .. } => (*person, vec![*session]),
                Ask::BookAll { sessions, person } => (*person, sessions.clone()),
                _ => continue,
            };
            if !resolved.contains(&attempt.wish) {
                sessions.into_iter().for_each(|session| *lost.entry((self.venue.people[person].id, session)).or_default() += 1);
            }
        }
        for row in self.ledger.rows.values().filter(|row| !told.contains(&row.id)) {
            let left = lost.entry((row.attendee_id, row.session_id)).or_default();
            if *left == 0 {
                self.breaches.push(Breach::of("I4", format!("nobody asked for it: {row:?}")));
            } else {
                *left -= 1;
            }
        }
    }
}

/// Whether a registration in this state is shown so. An offer whose time is over is shown as what it is.
fn shows(state: &RowState, shown: &Value, told: &Told) -> bool {
    let status = shown["status"].as_str();
    let reason = shown["cancelReason"].as_str();
    let over = state.status == Status::Offered && state.expires_at.is_some_and(|at| at <= told.at);
    let as_it_is = status == Some(state.status.as_str()) && reason == state.reason.map(CancelReason::as_str);
    as_it_is || (over && reason == Some(CancelReason::OfferExpired.as_str()))
}
