//! The rules of registration once more, as naively as they can be written: from the design's texts, not from the code.
//! One command at a time, no batches, no counters: everything is counted afresh from the rows. It is what the product's
//! decisions are held against, by the simulator and by the checker.

mod commands;
mod replay;
mod rules;

pub use commands::{No, Told};
pub use replay::{Breach, Entry};

use plenary::{
    clock::Timestamp,
    registrations::{
        decide::{AttendeeState, EventRules},
        model::{Registration, Status},
    },
    sessions::model::{Pool, SessionStatus, WaitlistMode},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A session as the programme has it, and the number of seats that is in force.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: Uuid,
    pub event_id: Uuid,
    pub status: SessionStatus,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub room_id: Option<Uuid>,
    pub opens_at: Option<Timestamp>,
    pub closes_at: Option<Timestamp>,
    pub waitlist_mode: WaitlistMode,
    pub waitlist_limit: Option<i64>,
    pub categories: Vec<String>,
    pub pools: Vec<Pool>,
    /// What the programme says.
    pub capacity: Option<i64>,
    /// What is in force since seats were last brought to what the programme says.
    pub limit: Option<i64>,
    /// Seats beyond the limit that somebody allowed and that have not melted.
    pub over: i64,
    /// Entries of its journal that were followed.
    pub changes: i64,
}

/// A conference and its registrations at a time.
#[derive(Clone, Debug)]
pub struct Model {
    pub now: Timestamp,
    pub events: BTreeMap<Uuid, EventRules>,
    pub sessions: BTreeMap<Uuid, Session>,
    pub people: BTreeMap<Uuid, AttendeeState>,
    pub rows: BTreeMap<Uuid, Registration>,
}

impl Model {
    /// Nothing yet.
    pub fn new(now: Timestamp) -> Self {
        Self { now, events: BTreeMap::new(), sessions: BTreeMap::new(), people: BTreeMap::new(), rows: BTreeMap::new() }
    }

    /// The active registrations of a session.
    pub fn inside(&self, session: Uuid) -> impl Iterator<Item = &Registration> {
        self.rows.values().filter(move |row| row.session_id == session && row.status != Status::Cancelled)
    }

    /// The active registrations of a person, by session.
    pub fn of_person(&self, person: Uuid) -> Vec<&Registration> {
        let mut own: Vec<_> = self.rows.values().filter(|row| row.attendee_id == person && row.status != Status::Cancelled).collect();
        own.sort_by_key(|row| row.session_id);
        own
    }

    /// What a person has in a session.
    pub fn held(&self, session: Uuid, person: Uuid) -> Option<&Registration> {
        self.inside(session).find(|row| row.attendee_id == person)
    }

    /// Who waits, the first first: "by priority (higher first), then seq".
    pub fn line(&self, session: Uuid) -> Vec<&Registration> {
        let mut line: Vec<_> = self.inside(session).filter(|row| row.status == Status::Waitlisted).collect();
        line.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.seq));
        line
    }

    /// "rows confirmed + offered".
    pub fn taken(&self, session: Uuid) -> i64 {
        self.inside(session).filter(|row| has_seat(row)).count() as i64
    }

    /// Those of a category.
    pub fn taken_by(&self, session: Uuid, category: &str) -> i64 {
        let of = |row: &&Registration| has_seat(row) && self.category(row.attendee_id) == Some(category);
        self.inside(session).filter(of).count() as i64
    }

    /// The category of a person.
    pub fn category(&self, person: Uuid) -> Option<&str> {
        self.people.get(&person)?.category.as_deref()
    }

    /// Seats taken beyond the limit.
    pub fn beyond(&self, session: Uuid) -> i64 {
        self.sessions[&session].limit.map_or(0, |limit| (self.taken(session) - limit).max(0))
    }

    /// The place that the next registration of a session gets.
    pub fn next_seq(&self, session: Uuid) -> i64 {
        self.rows.values().filter(|row| row.session_id == session).count() as i64 + 1
    }
}

/// Whether a registration takes a seat.
pub fn has_seat(row: &Registration) -> bool {
    matches!(row.status, Status::Confirmed | Status::Offered)
}
