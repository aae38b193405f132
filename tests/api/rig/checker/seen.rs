//! What could be seen when: the states that registrations and sessions went through, and how far each client had seen
//! them. Who was told of a state must never again be told of an earlier one.

use crate::rig::{
    model::{Entry, Model},
    venue::Venue,
};
use plenary::{
    clock::Timestamp,
    registrations::model::{CancelReason, Status},
};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A registration after a change of its session.
#[derive(Clone, Debug)]
pub struct RowState {
    pub change: i64,
    pub status: Status,
    pub reason: Option<CancelReason>,
    pub expires_at: Option<Timestamp>,
}

/// The seats of a session after a change.
#[derive(Clone, Debug)]
pub struct SeatState {
    pub limit: Option<i64>,
    pub taken: i64,
    pub waitlisted: i64,
    /// Free for an attendee without a category, and for one of each category of the conference.
    pub free: BTreeMap<Option<String>, i64>,
}

/// Whose registration it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub session: Uuid,
    pub attendee: Uuid,
}

pub struct Timelines {
    /// One of each category.
    examples: Vec<(Option<String>, Uuid)>,
    pub rows: HashMap<Uuid, (Owner, Vec<RowState>)>,
    /// By change, from none on.
    pub seats: HashMap<Uuid, Vec<SeatState>>,
}

impl Timelines {
    pub fn new(model: &Model, venue: &Venue) -> Self {
        let mut examples: BTreeMap<Option<String>, Uuid> = BTreeMap::new();
        for person in &venue.people {
            examples.insert(person.category.clone(), person.id);
        }
        let mut timelines = Self { examples: examples.into_iter().collect(), rows: HashMap::new(), seats: HashMap::new() };
        for session in &venue.sessions {
            let seats = timelines.seats_of(model, session.id);
            timelines.seats.insert(session.id, vec![seats]);
        }
        timelines
    }

    fn seats_of(&self, model: &Model, session: Uuid) -> SeatState {
        SeatState {
            limit: model.sessions[&session].limit,
            taken: model.taken(session),
            waitlisted: model.line(session).len() as i64,
            free: self.examples.iter().map(|(category, person)| (category.clone(), model.free_for(session, *person))).collect(),
        }
    }

    /// Notes the state after an entry of the journal was followed.
    pub fn note(&mut self, model: &Model, entry: &Entry) {
        let seats = self.seats_of(model, entry.session_id);
        self.seats.entry(entry.session_id).or_default().push(seats);
        if let Some(row) = entry.registration_id.and_then(|id| model.rows.get(&id)) {
            let owner = Owner { session: row.session_id, attendee: row.attendee_id };
            let state = RowState { change: entry.change, status: row.status, reason: row.cancel_reason, expires_at: row.offer_expires_at };
            self.rows.entry(row.id).or_insert_with(|| (owner, Vec::new())).1.push(state);
        }
    }
}

/// How far something had been seen at a tick: the highest place that was told of before.
#[derive(Default)]
pub struct Frontier(HashMap<Uuid, Vec<(u64, usize)>>);

impl Frontier {
    /// The place from which on a state may be told to who asks at this tick.
    pub fn at(&self, of: Uuid, asked: u64) -> usize {
        let seen = self.0.get(&of).into_iter().flatten();
        seen.filter(|(tick, _)| *tick < asked).map(|(_, place)| *place).max().unwrap_or(0)
    }

    /// Somebody was told of this place at this tick.
    pub fn push(&mut self, of: Uuid, tick: u64, place: usize) {
        self.0.entry(of).or_default().push((tick, place));
    }
}
