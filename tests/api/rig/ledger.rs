//! What is there in the end: registrations and journal as the API tells them, counters as the database keeps them.

use super::{model::Entry, venue::Venue};
use crate::support::{Front, Timestamp, Value};
use plenary::{
    db::Db,
    registrations::{
        decide::ChangeKind,
        model::{CancelReason, Registration, Status},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The state in which a run ended.
pub struct Ledger {
    pub rows: BTreeMap<Uuid, Registration>,
    pub journal: Vec<Entry>,
    pub counters: Vec<Counters>,
    /// The time at which it was read.
    pub now: Timestamp,
}

/// A row of `session_seats`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Counters {
    pub session_id: Uuid,
    pub seats_limit: Option<i64>,
    pub seats_taken: i64,
    pub seats_over: i64,
    pub waitlisted: i64,
    pub last_seq: i64,
    pub last_change: i64,
}

/// A registration as the roster shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: Uuid,
    session_id: Uuid,
    attendee_id: Uuid,
    status: Status,
    seq: i64,
    priority: i64,
    offer_expires_at: Option<Timestamp>,
    cancel_reason: Option<CancelReason>,
    moved_to: Option<Uuid>,
    created_at: Timestamp,
    updated_at: Timestamp,
    cancelled_at: Option<Timestamp>,
}

/// An entry of the journal as the API shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JournalRow {
    session_id: Option<Uuid>,
    change: Option<i64>,
    kind: String,
    registration_id: Option<Uuid>,
    attendee_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    at: Timestamp,
    details: Value,
}

impl Ledger {
    /// Reads all there is of a conference. Nothing is under way any more.
    pub async fn read(front: &Front, db: &Db, venue: &Venue, now: Timestamp) -> Self {
        let event = venue.rules.id;
        let rows: Vec<Row> = pages(front, venue, &format!("/v1/events/{event}/registrations")).await;
        let rows: BTreeMap<Uuid, Registration> = rows.into_iter().map(|row| (row.id, row.into())).collect();
        let journal: Vec<JournalRow> = pages(front, venue, &format!("/v1/events/{event}/journal")).await;
        let journal = entries(journal);
        const COUNTERS: &str = "SELECT t.session_id, t.seats_limit, t.seats_taken, t.seats_over, t.waitlisted, t.last_seq, t.last_change \
            FROM session_seats t JOIN sessions s ON s.id = t.session_id WHERE s.event_id = $1";
        let counters = db.query(COUNTERS).bind(event).all().await.expect("the counters");
        Self { rows, journal, counters, now }
    }
}

async fn pages<T: DeserializeOwned>(front: &Front, venue: &Venue, path: &str) -> Vec<T> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = front.get(format!("{path}?limit=200{cursor}")).token(&venue.anna.token).send().await.expect(200).json;
        let items: Vec<T> = serde_json::from_value(page["items"].clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
        all.extend(items);
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The entries about registrations and seats.
fn entries(journal: Vec<JournalRow>) -> Vec<Entry> {
    let entry = |row: JournalRow| {
        let kind: ChangeKind = row.kind.parse().ok()?;
        Some(Entry {
            session_id: row.session_id?,
            change: row.change?,
            kind,
            registration_id: row.registration_id,
            attendee_id: row.attendee_id,
            actor_id: row.actor_id,
            at: row.at,
            priority: row.details["priority"].as_i64().unwrap_or_default(),
            details: row.details,
        })
    };
    journal.into_iter().filter_map(entry).collect()
}

impl From<Row> for Registration {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            session_id: row.session_id,
            attendee_id: row.attendee_id,
            status: row.status,
            seq: row.seq,
            priority: row.priority,
            offer_expires_at: row.offer_expires_at,
            checked_in_at: None,
            cancel_reason: row.cancel_reason,
            moved_to: row.moved_to,
            created_at: row.created_at,
            updated_at: row.updated_at,
            cancelled_at: row.cancelled_at,
        }
    }
}
