//! Events in the database.

use super::model::{Event, EventStatus, ValidEvent};
use crate::{
    clock::Timestamp,
    contract::door::Principal,
    db::{Db, Keyset, Query, Result, Select, Source, Sql, Tx},
    text,
};
use uuid::Uuid;

/// The columns of an [`Event`].
macro_rules! columns {
    () => {
        "id, organisation_id, slug, name, sort_key, time_zone, starts_on, ends_on, status, booking_opens_at, \
         booking_closes_at, admission, overlap, overlap_buffer_minutes, on_promotion_clash, leave_overlapping_waitlists, \
         max_sessions, max_sessions_per_day, offer_ttl_minutes, offer_last_day_ttl_minutes, offer_automatic_minutes, \
         programme_version, version, created_at, updated_at"
    };
}

/// Which events a list has.
#[derive(Debug, Default)]
pub struct Filter {
    /// Of this organisation.
    pub organisation_id: Option<Uuid>,
    /// With this status.
    pub status: Option<EventStatus>,
    /// With this text in the name.
    pub q: Option<String>,
    /// Who asks: drafts too, where they are a member.
    pub reader: Principal,
}

/// One page of the events that `filter.reader` may see.
pub async fn list(db: &Db, filter: Filter, keyset: Keyset<String>) -> Result<Vec<Event>> {
    const MEMBERS_SEE: &str = "(status <> 'draft' OR organisation_id IN (SELECT m.organisation_id FROM members m WHERE m.user_id = {}))";
    let select = Select::new(db.dialect(), concat!("SELECT ", columns!(), " FROM events"));
    let seen = match filter.reader {
        Principal::Key(holder) => select.and("(status <> 'draft' OR organisation_id = {})", holder.organisation_id),
        Principal::User(user) => select.and(MEMBERS_SEE, user),
        Principal::Anonymous => select.and_if(true, "status <> 'draft'"),
    };
    seen.and_some("organisation_id = {}", filter.organisation_id)
        .and_some("status = {}", filter.status)
        .and_some("sort_key LIKE {} ESCAPE '\\'", filter.q.as_deref().map(text::contains))
        .page(keyset)
        .all(db)
        .await
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM events WHERE id = $1");

/// The event of that id.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<Event>> {
    read(&mut &*db, id).await
}

/// The same, outside a transaction or inside one.
pub async fn read(source: &mut impl Source, id: Uuid) -> Result<Option<Event>> {
    source.statement(FIND).bind(id).optional().await
}

/// The event of that id, with its programme locked until the transaction ends.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Option<Event>> {
    lock_programme(tx, id).await?;
    tx.query(FIND).bind(id).optional().await
}

/// Counts a change of an event's programme: the document's ETag. Whatever shows in what the public or members read of an
/// event comes through here, through [`update`] or through [`delete`], so that no node goes on giving out what it was.
///
/// Call it after [`crate::registrations::seats::lock`] (where seats are touched) and **before** every other statement:
/// the event's row is the lock under which its programme changes. Who holds it can read what they are about to change
/// and knows that no session, room, stream or speaker of the event changes or appears meanwhile; and as all editors
/// take seats first, then this row, then the rest, no two wait for each other in a circle.
pub async fn bump_programme(tx: &mut Tx, event_id: Uuid) -> Result<()> {
    const BUMP: &str = "UPDATE events SET programme_version = programme_version + 1 WHERE id = $1";
    tx.note_change(event_id);
    tx.query(BUMP).bind(event_id).execute().await.map(|_| ())
}

/// Takes the same lock as [`bump_programme`] without counting a change yet, for an edit that may turn out to change
/// nothing. Answers the programme's version, or `None` if there is no such event.
pub async fn lock_programme(tx: &mut Tx, event_id: Uuid) -> Result<Option<i64>> {
    const LOCK: Sql = Sql::Differs {
        sqlite: "SELECT programme_version FROM events WHERE id = $1",
        postgres: "SELECT programme_version FROM events WHERE id = $1 FOR NO KEY UPDATE",
    };
    tx.query(LOCK).bind(event_id).optional_scalar().await
}

/// Adds an event. A unique violation means that the slug is taken.
pub async fn insert(tx: &mut Tx, id: Uuid, event: &ValidEvent, now: Timestamp) -> Result<Event> {
    const INSERT: &str = concat!(
        "INSERT INTO events (id, organisation_id, slug, name, sort_key, time_zone, starts_on, ends_on, status, \
         booking_opens_at, booking_closes_at, admission, overlap, overlap_buffer_minutes, on_promotion_clash, \
         leave_overlapping_waitlists, max_sessions, max_sessions_per_day, offer_ttl_minutes, offer_last_day_ttl_minutes, \
         offer_automatic_minutes, updated_at, created_at, programme_version, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22, 1, 1) RETURNING ",
        columns!()
    );
    bind(tx.query(INSERT), id, event, now).one().await
}

/// Changes an event that is locked, its programme's version and, with the time zone, that of the sessions that show it.
/// A unique violation means that the slug is taken.
pub async fn update(tx: &mut Tx, before: &Event, event: &ValidEvent, now: Timestamp) -> Result<Event> {
    const UPDATE: &str = concat!(
        "UPDATE events SET slug = $3, name = $4, sort_key = $5, time_zone = $6, starts_on = $7, ends_on = $8, status = $9, \
         booking_opens_at = $10, booking_closes_at = $11, admission = $12, overlap = $13, overlap_buffer_minutes = $14, \
         on_promotion_clash = $15, leave_overlapping_waitlists = $16, max_sessions = $17, max_sessions_per_day = $18, \
         offer_ttl_minutes = $19, offer_last_day_ttl_minutes = $20, offer_automatic_minutes = $21, updated_at = $22, version = version + 1, \
         programme_version = programme_version + 1 WHERE id = $1 AND organisation_id = $2 RETURNING ",
        columns!()
    );
    const TOUCH_SESSIONS: &str = "UPDATE sessions SET version = version + 1 WHERE event_id = $1";
    tx.note_change(before.id);
    if event.time_zone != before.time_zone.to_string() {
        tx.query(TOUCH_SESSIONS).bind(before.id).execute().await?;
    }
    bind(tx.query(UPDATE), before.id, event, now).one().await
}

fn bind<'q>(query: Query<'q>, id: Uuid, event: &ValidEvent, now: Timestamp) -> Query<'q> {
    let booking = &event.booking;
    query
        .bind(id)
        .bind(event.organisation_id)
        .bind(event.slug.clone())
        .bind(event.name.clone())
        .bind(event.sort_key())
        .bind(event.time_zone.clone())
        .bind(event.starts_on.to_string())
        .bind(event.ends_on.to_string())
        .bind(event.status)
        .bind(booking.opens_at)
        .bind(booking.closes_at)
        .bind(booking.admission)
        .bind(booking.overlap)
        .bind(booking.overlap_buffer_minutes)
        .bind(booking.on_promotion_clash)
        .bind(booking.leave_overlapping_waitlists)
        .bind(booking.max_sessions)
        .bind(booking.max_sessions_per_day)
        .bind(booking.offers.ttl_minutes)
        .bind(booking.offers.last_day_ttl_minutes)
        .bind(booking.offers.automatic_minutes)
        .bind(now)
}

/// Deletes an event with its programme, its attendees and their registrations.
pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
    // Sessions first: a cascade from the event alone reaches the speakers before those who refer to them are gone,
    // and Postgres refuses.
    const DELETE_SESSIONS: &str = "DELETE FROM sessions WHERE event_id = $1";
    const DELETE: &str = "DELETE FROM events WHERE id = $1";
    tx.note_change(id);
    tx.query(DELETE_SESSIONS).bind(id).execute().await?;
    tx.query(DELETE).bind(id).execute().await.map(|_| ())
}
