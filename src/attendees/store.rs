//! Attendees in the database.

use super::model::{Attendee, Claimable};
use crate::{
    clock::Timestamp,
    db::{BatchSelect, BatchWrite, Bind, Columns, Db, Keyset, Result, Select, Sql, Tx, batch_select, batch_write},
    idempotency,
    registrations::seats::Occupancy,
    text::contains,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The columns of an [`Attendee`], with what comes before and after.
macro_rules! attendee {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, event_id, user_id, name, sort_name, sort_key, email, affiliation, country, external_reference, category, ",
            "erased_at, version, created_at, updated_at ",
            $after
        )
    };
}

const ADD: &str = "INSERT INTO attendees (id, event_id, user_id, name, sort_name, sort_key, email, affiliation, country, \
    external_reference, category, version, created_at, updated_at, search_text) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const ALL: &str = attendee!("SELECT", "FROM attendees");
const READ: &str = attendee!("SELECT", "FROM attendees WHERE id = $1");
const READ_LOCKED: Sql = Sql::Differs { sqlite: READ, postgres: attendee!("SELECT", "FROM attendees WHERE id = $1 FOR UPDATE") };
const CLAIMED_LOCKED: Sql = Sql::Differs {
    sqlite: attendee!("SELECT", "FROM attendees WHERE claim_hash = $1"),
    postgres: attendee!("SELECT", "FROM attendees WHERE claim_hash = $1 FOR UPDATE"),
};
const CHANGE: &str = "UPDATE attendees SET name = $2, sort_name = $3, sort_key = $4, email = $5, affiliation = $6, country = $7, \
    external_reference = $8, version = $9, updated_at = $10, search_text = $11, category = $12 WHERE id = $1";
const LINK: &str = "UPDATE attendees SET user_id = $2, version = version + 1, updated_at = $3 WHERE id = $1 AND user_id IS NULL";
const SET_CLAIM: &str = "UPDATE attendees SET claim_hash = $2 WHERE id = $1 AND user_id IS NULL AND erased_at IS NULL";
const DELETE: &str = "DELETE FROM attendees WHERE id = $1";

/// Attendees as [`Claimable`], on Postgres locked in id order, as the engine does it.
macro_rules! claimable {
    ($input:tt, $of:literal) => {
        batch_select!(
            [
                uuid "a.id" as id, text "a.name" as name, text "a.email" as email, text "a.external_reference" as external_reference,
                text "a.sort_key" as sort_key, bool "a.user_id IS NULL AND a.erased_at IS NULL" as open,
                bool "a.claim_hash IS NOT NULL" as has_code
            ],
            $input,
            sqlite: $of,
            postgres: concat!($of, " ORDER BY a.id FOR UPDATE OF a")
        )
    };
}
const ACTIVE_REGISTRATIONS: &str = "SELECT s.id AS session_id, s.code, CAST(1 AS BIGINT) AS active, \
    CAST(CASE WHEN r.status = 'waitlisted' THEN 1 ELSE 0 END AS BIGINT) AS waitlisted \
    FROM registrations r JOIN sessions s ON s.id = r.session_id \
    WHERE r.attendee_id = $1 AND r.status <> 'cancelled' ORDER BY s.code, s.id";

/// Which attendees of an event are wanted.
#[derive(Debug, Default)]
pub struct Filter {
    /// Found in names, addresses and external references.
    pub q: Option<String>,
    /// Exactly this external reference.
    pub external_reference: Option<String>,
    /// Only the linked, or only those who are not.
    pub linked: Option<bool>,
}

impl Filter {
    /// Adds itself to a statement over the attendees.
    pub fn add_to(self, select: Select, event_id: Uuid) -> Select {
        select
            .and("event_id = {}", event_id)
            .and_some("search_text LIKE {} ESCAPE '\\'", self.q.as_deref().map(contains))
            .and_some("external_reference = {}", self.external_reference)
            .and_if(self.linked == Some(true), "user_id IS NOT NULL")
            .and_if(self.linked == Some(false), "user_id IS NULL")
    }
}

/// Adds an attendee. Unique violation: the external reference (or, if linked, the user) is there already; foreign key
/// violation: the event is gone.
pub async fn add(tx: &mut Tx, attendee: &Attendee) -> Result<()> {
    let search_text = attendee.form().search_text();
    let Attendee { id, event_id, user_id, name, sort_name, sort_key, email, affiliation, country, .. } = attendee.clone();
    let query = tx.query(ADD).bind(id).bind(event_id).bind(user_id).bind(name).bind(sort_name).bind(sort_key).bind(email);
    let query = query.bind(affiliation).bind(country).bind(attendee.external_reference.clone());
    let query = query.bind(attendee.category.clone()).bind(attendee.version);
    query.bind(attendee.created_at).bind(attendee.updated_at).bind(search_text).execute().await.map(|_| ())
}

/// The attendee of that id.
pub async fn read(db: &Db, id: Uuid) -> Result<Option<Attendee>> {
    db.query(READ).bind(id).optional().await
}

/// The same, neither to be changed nor booked for by anybody else before the transaction ends.
pub async fn read_locked(tx: &mut Tx, id: Uuid) -> Result<Option<Attendee>> {
    tx.query(READ_LOCKED).bind(id).optional().await
}

/// A page of an event's attendees, ordered by a column and the id.
pub async fn list<K: Bind>(db: &Db, event_id: Uuid, filter: Filter, keyset: Keyset<K>) -> Result<Vec<Attendee>> {
    filter.add_to(Select::new(db.dialect(), ALL), event_id).page(keyset).all(db).await
}

/// A page of the attendees a user is, by when they were admitted.
pub async fn list_of_user(db: &Db, user_id: Uuid, after: Option<(Timestamp, Uuid)>, limit: i64) -> Result<Vec<Attendee>> {
    let keyset = Keyset { columns: ("created_at", "id"), descending: false, after, limit };
    Select::new(db.dialect(), ALL).and("user_id = {}", user_id).page(keyset).all(db).await
}

/// Writes what was chosen anew. Unique violation: the external reference is there already.
pub async fn change(tx: &mut Tx, attendee: &Attendee) -> Result<u64> {
    let search_text = attendee.form().search_text();
    let Attendee { id, name, sort_name, sort_key, email, affiliation, country, external_reference, version, updated_at, .. } =
        attendee.clone();
    let query = tx.query(CHANGE).bind(id).bind(name).bind(sort_name).bind(sort_key).bind(email).bind(affiliation).bind(country);
    let query = query.bind(external_reference).bind(version).bind(updated_at).bind(search_text);
    query.bind(attendee.category.clone()).execute().await
}

/// Writes an attendee without the person, and forgets the claim code.
pub async fn erase(tx: &mut Tx, attendee: &Attendee) -> Result<()> {
    const ERASE: &str = "UPDATE attendees SET user_id = NULL, claim_hash = NULL, erased_at = $2 WHERE id = $1";
    // What they did themselves stays in the journal, but not who they were.
    const ANONYMOUS: &str = "UPDATE journal SET actor_id = NULL \
        WHERE attendee_id = $1 AND actor_id = (SELECT user_id FROM attendees WHERE id = $1)";
    tx.query(ANONYMOUS).bind(attendee.id).execute().await?;
    idempotency::forget_about(tx, attendee.id).await?;
    change(tx, attendee).await?;
    tx.query(ERASE).bind(attendee.id).bind(attendee.erased_at).execute().await.map(drop)
}

/// Removes an attendee with their cancelled registrations, and answers how many rows that were.
pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<u64> {
    idempotency::forget_about(tx, id).await?;
    tx.query(DELETE).bind(id).execute().await
}

/// The sessions in which the attendee has a seat or waits, by code. Lock the attendee first.
pub async fn active_registrations(tx: &mut Tx, id: Uuid) -> Result<Vec<Occupancy>> {
    tx.query(ACTIVE_REGISTRATIONS).bind(id).all().await
}

/// Keeps the hash of a claim code in place of an older one; 0 rows when the attendee is linked or erased.
pub async fn set_claim(tx: &mut Tx, id: Uuid, hash: Vec<u8>) -> Result<u64> {
    tx.query(SET_CLAIM).bind(id).bind(hash).execute().await
}

/// Those of these ids who are attendees of the event, linked and erased ones too; without ids, all who are neither. They are
/// locked: nobody is linked before the transaction ends.
pub async fn claimable_locked(tx: &mut Tx, event_id: Uuid, ids: Option<&BTreeSet<Uuid>>) -> Result<Vec<Claimable>> {
    const ALL_OPEN: BatchSelect = claimable!(
        (event_id: uuid),
        " w JOIN attendees a ON a.event_id = w.event_id WHERE a.user_id IS NULL AND a.erased_at IS NULL"
    );
    const NAMED: BatchSelect = claimable!((id: uuid, event_id: uuid), " w JOIN attendees a ON a.id = w.id AND a.event_id = w.event_id");
    match ids {
        None => tx.batch(ALL_OPEN, Columns::new().ids([event_id])).await,
        Some(ids) => tx.batch(NAMED, Columns::new().ids(ids.iter().copied()).ids(ids.iter().map(|_| event_id))).await,
    }
}

/// Keeps the hashes of claim codes in place of older ones, all in one statement. Lock the attendees first.
pub async fn set_claims(tx: &mut Tx, ids: Vec<Uuid>, hashes: Vec<Vec<u8>>) -> Result<()> {
    const SET: Sql =
        batch_write!("UPDATE attendees SET claim_hash = w.hash FROM ", (id: uuid, hash: bytes), " w WHERE attendees.id = w.id");
    if ids.is_empty() {
        return Ok(());
    }
    let rows = Some(ids.len());
    tx.batch_write_all(vec![BatchWrite { sql: SET, input: Columns::new().ids(ids).bytes(hashes), rows }]).await
}

/// The attendee a claim code was issued for, locked. The code of a linked attendee stays, so that its user can repeat.
pub async fn claimed_locked(tx: &mut Tx, hash: Vec<u8>) -> Result<Option<Attendee>> {
    tx.query(CLAIMED_LOCKED).bind(hash).optional().await
}

/// Links a user; 0 rows when somebody is linked. Unique violation: the user is another attendee of the event.
pub async fn link(tx: &mut Tx, id: Uuid, user_id: Uuid, at: Timestamp) -> Result<u64> {
    tx.query(LINK).bind(id).bind(user_id).bind(at).execute().await
}
