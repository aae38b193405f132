//! Writing what was decided: a handful of statements, whatever its size.

use crate::{
    attendees::model::{Attendee, AttendeeForm},
    clock::Timestamp,
    db::{BatchSelect, BatchWrite, Columns, Result, Sql, Tx, batch_select, batch_write},
    registrations::{
        decide::{Change, Changes, SessionState},
        model::{Registration, Status},
    },
};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

const USERS: BatchSelect =
    batch_select!([uuid "u.id" as id, text "u.name" as name, text "u.email" as email], (id: uuid), " w JOIN users u ON u.id = w.id");

const ADD_ATTENDEES: Sql = batch_write!(
    "INSERT INTO attendees (id, event_id, user_id, name, sort_key, search_text, email, version, created_at, updated_at) \
     SELECT w.id, w.event_id, w.user_id, w.name, w.sort_key, w.search_text, w.email, 1, w.at, w.at FROM ",
    (id: uuid, event_id: uuid, user_id: uuid, name: text, sort_key: text, search_text: text, email: text, at: time),
    " w"
);

/// New ones that have not changed since: nearly all. Each value that is not bound is saved a thousand times in a rush.
const ADD: Sql = batch_write!(
    "INSERT INTO registrations (id, session_id, attendee_id, status, seq, priority, created_at, updated_at) \
     SELECT w.id, w.session_id, w.attendee_id, w.status, w.seq, w.priority, w.at, w.at FROM ",
    (id: uuid, session_id: uuid, attendee_id: uuid, status: text, seq: int, priority: int, at: time),
    " w"
);

const ADD_CHANGED: Sql = batch_write!(
    "INSERT INTO registrations (id, session_id, attendee_id, status, seq, priority, offer_expires_at, cancel_reason, moved_to, ended_seq, \
     created_at, updated_at, cancelled_at) SELECT w.id, w.session_id, w.attendee_id, w.status, w.seq, w.priority, w.offer_expires_at, \
     w.cancel_reason, w.moved_to, w.ended_seq, w.created_at, w.updated_at, w.cancelled_at FROM ",
    (
        id: uuid, session_id: uuid, attendee_id: uuid, status: text, seq: int, priority: int, offer_expires_at: time, cancel_reason: text,
        moved_to: uuid, ended_seq: int, created_at: time, updated_at: time, cancelled_at: time
    ),
    " w"
);

const CHANGE: Sql = batch_write!(
    "UPDATE registrations SET status = w.status, priority = w.priority, offer_expires_at = w.offer_expires_at, \
     cancel_reason = w.cancel_reason, moved_to = w.moved_to, ended_seq = w.ended_seq, updated_at = w.updated_at, \
     cancelled_at = w.cancelled_at FROM ",
    (
        id: uuid, status: text, priority: int, offer_expires_at: time, cancel_reason: text, moved_to: uuid, ended_seq: int,
        updated_at: time, cancelled_at: time
    ),
    " w WHERE registrations.id = w.id"
);

const SEATS: Sql = batch_write!(
    "UPDATE session_seats SET seats_limit = w.seats_limit, seats_taken = w.seats_taken, seats_over = w.seats_over, \
     waitlisted = w.waitlisted, last_seq = w.last_seq, last_change = w.last_change, due_at = w.due_at FROM ",
    (
        session_id: uuid, seats_limit: int, seats_taken: int, seats_over: int, waitlisted: int, last_seq: int, last_change: int,
        due_at: time
    ),
    " w WHERE session_seats.session_id = w.session_id"
);

const JOURNAL: Sql = batch_write!(
    "INSERT INTO journal (event_id, session_id, change, kind, registration_id, attendee_id, actor_id, at, details) \
     SELECT w.event_id, w.session_id, w.change, w.kind, w.registration_id, w.attendee_id, w.actor_id, w.at, w.details FROM ",
    (
        event_id: uuid, session_id: uuid, change: int, kind: text, registration_id: uuid, attendee_id: uuid, actor_id: uuid, at: time,
        details: text
    ),
    " w"
);

const MARK: Sql = batch_write!("INSERT INTO due_sessions (session_id) SELECT w.session_id FROM ", (session_id: uuid), " w");

const MARK_EVENTS: Sql = batch_write!(
    "INSERT INTO due_sessions (session_id) SELECT s.id FROM ",
    (event_id: uuid),
    " w JOIN sessions s ON s.event_id = w.event_id JOIN session_seats t ON t.session_id = s.id WHERE t.waitlisted > 0"
);

const UNMARK: Sql = batch_write!("DELETE FROM due_sessions WHERE id IN (SELECT w.id FROM ", (id: int), " w)");

#[derive(Deserialize, sqlx::FromRow)]
struct UserName {
    id: Uuid,
    name: String,
    email: String,
}

/// Writes what was decided. A row that another node changed in between surfaces as an error or a wrong count.
pub async fn write(tx: &mut Tx, changes: &Changes, now: Timestamp) -> Result<()> {
    let mut writes = Vec::new();
    writes.extend(add_attendees(tx, &changes.attendees, now).await?);
    // What ends makes room for what begins: an attendee has one active registration of a session.
    writes.extend(change(&changes.updated));
    writes.extend(add(&changes.inserted));
    writes.extend(write_seats(&changes.seats));
    writes.extend(write_journal(&changes.journal, now));
    writes.extend(mark(changes));
    tx.batch_write_all(writes).await
}

/// A statement that must touch as many rows as it is given; nothing, for none.
fn exactly(sql: Sql, rows: usize, input: Columns) -> Option<BatchWrite> {
    (rows > 0).then_some(BatchWrite { sql, input, rows: Some(rows) })
}

/// What an ended registration has in place of 0, so that it no longer counts as its attendee's active one.
fn ended_seq(row: &Registration) -> i64 {
    if row.is_active() { 0 } else { row.seq }
}

fn add(rows: &[Registration]) -> impl Iterator<Item = BatchWrite> {
    let is_plain = |row: &&Registration| matches!(row.status, Status::Confirmed | Status::Waitlisted);
    let (plain, changed): (Vec<&Registration>, Vec<&Registration>) = rows.iter().partition(is_plain);
    let input = Columns::new()
        .ids(plain.iter().map(|row| row.id))
        .ids(plain.iter().map(|row| row.session_id))
        .ids(plain.iter().map(|row| row.attendee_id))
        .texts(plain.iter().map(|row| Some(row.status.as_str())))
        .integers(plain.iter().map(|row| row.seq))
        .integers(plain.iter().map(|row| row.priority))
        .times(plain.iter().map(|row| row.created_at));
    exactly(ADD, plain.len(), input).into_iter().chain(add_changed(&changed))
}

/// New ones that have ended, or are offered a seat, in the same batch.
fn add_changed(rows: &[&Registration]) -> Option<BatchWrite> {
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.id))
        .ids(rows.iter().map(|row| row.session_id))
        .ids(rows.iter().map(|row| row.attendee_id))
        .texts(rows.iter().map(|row| Some(row.status.as_str())))
        .integers(rows.iter().map(|row| row.seq))
        .integers(rows.iter().map(|row| row.priority))
        .times(rows.iter().map(|row| row.offer_expires_at))
        .texts(rows.iter().map(|row| row.cancel_reason.map(|reason| reason.as_str())))
        .ids(rows.iter().map(|row| row.moved_to))
        .integers(rows.iter().map(|row| ended_seq(row)))
        .times(rows.iter().map(|row| row.created_at))
        .times(rows.iter().map(|row| row.updated_at))
        .times(rows.iter().map(|row| row.cancelled_at));
    exactly(ADD_CHANGED, rows.len(), input)
}

fn change(rows: &[Registration]) -> Option<BatchWrite> {
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.id))
        .texts(rows.iter().map(|row| Some(row.status.as_str())))
        .integers(rows.iter().map(|row| row.priority))
        .times(rows.iter().map(|row| row.offer_expires_at))
        .texts(rows.iter().map(|row| row.cancel_reason.map(|reason| reason.as_str())))
        .ids(rows.iter().map(|row| row.moved_to))
        .integers(rows.iter().map(ended_seq))
        .times(rows.iter().map(|row| row.updated_at))
        .times(rows.iter().map(|row| row.cancelled_at));
    exactly(CHANGE, rows.len(), input)
}

fn write_seats(rows: &[SessionState]) -> Option<BatchWrite> {
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.id))
        .integers(rows.iter().map(|row| row.seats_limit))
        .integers(rows.iter().map(|row| row.seats_taken))
        .integers(rows.iter().map(|row| row.seats_over))
        .integers(rows.iter().map(|row| row.waitlisted))
        .integers(rows.iter().map(|row| row.last_seq))
        .integers(rows.iter().map(|row| row.last_change))
        .times(rows.iter().map(|row| row.due_at));
    exactly(SEATS, rows.len(), input)
}

fn write_journal(rows: &[Change], now: Timestamp) -> Option<BatchWrite> {
    let details = |row: &Change| row.details.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.event_id))
        .ids(rows.iter().map(|row| row.session_id))
        .integers(rows.iter().map(|row| row.change))
        .texts(rows.iter().map(|row| Some(row.kind.as_str())))
        .ids(rows.iter().map(|row| row.registration_id))
        .ids(rows.iter().map(|row| row.attendee_id))
        .ids(rows.iter().map(|row| row.actor_id))
        .times(rows.iter().map(|_| now))
        .texts(rows.iter().map(|row| Some(details(row))));
    exactly(JOURNAL, rows.len(), input)
}

/// Marks sessions that somebody must look at, and takes away the marks that were followed: another node may have followed
/// them too.
fn mark(changes: &Changes) -> impl Iterator<Item = BatchWrite> {
    let any = |sql, rows: usize, input| (rows > 0).then_some(BatchWrite { sql, input, rows: None });
    let marks = [
        any(MARK, changes.due.len(), Columns::new().ids(changes.due.iter().copied())),
        any(MARK_EVENTS, changes.reconsidered.len(), Columns::new().ids(changes.reconsidered.iter().copied())),
        any(UNMARK, changes.marks_done.len(), Columns::new().integers(changes.marks_done.iter().copied())),
    ];
    marks.into_iter().flatten()
}

async fn add_attendees(tx: &mut Tx, attendees: &[(Uuid, Uuid, Uuid)], now: Timestamp) -> Result<Option<BatchWrite>> {
    if attendees.is_empty() {
        return Ok(None);
    }
    let ids: BTreeSet<Uuid> = attendees.iter().map(|(_, _, user_id)| *user_id).collect();
    let users: Vec<UserName> = tx.batch(USERS, Columns::new().ids(ids)).await?;
    let users: HashMap<Uuid, UserName> = users.into_iter().map(|user| (user.id, user)).collect();
    // In one order on all nodes: two that add the same people wait for each other, and not in a circle.
    let mut attendees = attendees.to_vec();
    attendees.sort_by_key(|(_, event_id, user_id)| (*event_id, *user_id));
    let rows: Vec<Attendee> = attendees.iter().filter_map(|(id, event, user)| Some(users.get(user)?.attendee(*id, *event, now))).collect();
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.id))
        .ids(rows.iter().map(|row| row.event_id))
        .ids(rows.iter().map(|row| row.user_id))
        .texts(rows.iter().map(|row| Some(row.name.as_str())))
        .texts(rows.iter().map(|row| Some(row.sort_key.as_str())))
        .texts(rows.iter().map(|row| Some(row.form().search_text())))
        .texts(rows.iter().map(|row| row.email.as_deref()))
        .times(rows.iter().map(|_| now));
    Ok(Some(BatchWrite { sql: ADD_ATTENDEES, input, rows: Some(attendees.len()) }))
}

impl UserName {
    /// The attendee that a user becomes by booking.
    fn attendee(&self, id: Uuid, event_id: Uuid, now: Timestamp) -> Attendee {
        let form = AttendeeForm { name: self.name.clone(), email: Some(self.email.clone()), ..AttendeeForm::default() };
        Attendee::new(id, event_id, Some(self.id), form, now)
    }
}
