//! Sessions in the database. A page of them costs four statements, however long it is.

use super::model::{Part, Person, Session, SessionForm, SessionRow, SessionStatus};
use crate::{
    clock::Timestamp,
    db::{Columns, Dialect, JsonText, Query, Result, Select, Source, Sql, Tx, batch_write},
};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

const SESSIONS: &str = "SELECT s.id, s.event_id, e.time_zone, s.code, s.title, s.summary, s.starts_at, s.ends_at, s.stream_id, \
    t.name AS stream_name, s.room_id, r.name AS room_name, s.capacity, s.waitlist_mode, s.waitlist_limit, s.pools, \
    s.booking_opens_at, s.booking_closes_at, s.categories, s.status, s.version, s.created_at, s.updated_at \
    FROM sessions s JOIN events e ON e.id = s.event_id LEFT JOIN streams t ON t.id = s.stream_id LEFT JOIN rooms r ON r.id = s.room_id";

/// Begins a statement that reads [`SessionRow`]s; the session is `s` in its conditions.
pub fn select(dialect: Dialect) -> Select {
    Select::new(dialect, SESSIONS)
}

/// A session, whole.
pub async fn find(source: &mut impl Source, id: Uuid) -> Result<Option<Session>> {
    let rows = select(source.dialect()).and("s.id = {}", id).tail("").all_from(source).await?;
    Ok(whole(source, rows).await?.pop())
}

/// All sessions of an event, whole, by start and code.
pub async fn of_event(source: &mut impl Source, event_id: Uuid) -> Result<Vec<Session>> {
    let rows = select(source.dialect()).and("s.event_id = {}", event_id).tail("ORDER BY s.starts_at, s.code").all_from(source).await?;
    whole(source, rows).await
}

/// A statement about a set of sessions, bound with `bind_ids`.
macro_rules! of_sessions {
    ($before:literal, $after:literal) => {
        Sql::Differs {
            sqlite: concat!($before, " IN (SELECT unhex(value) FROM json_each($1))", $after),
            postgres: concat!($before, " = ANY($1)", $after),
        }
    };
}

const CHAIRS: Sql = of_sessions!(
    "SELECT c.session_id, p.id, p.name, p.affiliation, p.country FROM session_chairs c JOIN speakers p ON p.id = c.speaker_id \
     WHERE c.session_id",
    " ORDER BY c.session_id, c.position"
);
const PARTS: Sql = of_sessions!(
    "SELECT session_id, number, title, abstract, audience, learning_outcomes FROM session_parts WHERE session_id",
    " ORDER BY session_id, number"
);
const SPEAKERS: Sql = of_sessions!(
    "SELECT x.session_id, x.number, p.id, p.name, p.affiliation, p.country FROM part_speakers x JOIN speakers p ON p.id = x.speaker_id \
     WHERE x.session_id",
    " ORDER BY x.session_id, x.number, x.position"
);

#[derive(sqlx::FromRow)]
struct ChairRow {
    session_id: Uuid,
    #[sqlx(flatten)]
    person: Person,
}

#[derive(sqlx::FromRow)]
struct PartRow {
    session_id: Uuid,
    number: i64,
    title: String,
    r#abstract: Option<String>,
    audience: Option<String>,
    learning_outcomes: String,
}

#[derive(sqlx::FromRow)]
struct SpeakerRow {
    session_id: Uuid,
    number: i64,
    #[sqlx(flatten)]
    person: Person,
}

/// Adds chairs, parts and speakers to the rows of a page.
pub async fn whole(source: &mut impl Source, rows: Vec<SessionRow>) -> Result<Vec<Session>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut chairs: HashMap<Uuid, Vec<Person>> = HashMap::new();
    for row in source.statement(CHAIRS).bind_ids(&ids).all::<ChairRow>().await? {
        chairs.entry(row.session_id).or_default().push(row.person);
    }
    let parts: Vec<PartRow> = source.statement(PARTS).bind_ids(&ids).all().await?;
    let mut speakers: HashMap<(Uuid, i64), Vec<Person>> = HashMap::new();
    for row in source.statement(SPEAKERS).bind_ids(&ids).all::<SpeakerRow>().await? {
        speakers.entry((row.session_id, row.number)).or_default().push(row.person);
    }
    let mut parts_of: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for row in parts {
        let part = Part {
            number: row.number,
            title: row.title,
            r#abstract: row.r#abstract,
            audience: row.audience,
            learning_outcomes: serde_json::from_str(&row.learning_outcomes).map_err(|error| sqlx::Error::Decode(error.into()))?,
            speakers: speakers.remove(&(row.session_id, row.number)).unwrap_or_default(),
        };
        parts_of.entry(row.session_id).or_default().push(part);
    }
    let session = |row: SessionRow| Session {
        chairs: chairs.remove(&row.id).unwrap_or_default(),
        parts: parts_of.remove(&row.id).unwrap_or_default(),
        row,
    };
    Ok(rows.into_iter().map(session).collect())
}

/// Those of a session's references that name something of its event.
#[derive(Debug, Default)]
pub struct Known {
    /// Streams.
    pub streams: HashSet<Uuid>,
    /// Rooms with their capacities.
    pub rooms: HashMap<Uuid, Option<i64>>,
    /// Speakers.
    pub speakers: HashSet<Uuid>,
}

/// Looks a session's references up and keeps them from going away (and a room's capacity from changing) until the
/// transaction ends.
pub async fn known(tx: &mut Tx, event_id: Uuid, form: &SessionForm) -> Result<Known> {
    const STREAM: Sql = Sql::Differs {
        sqlite: "SELECT id FROM streams WHERE id = $1 AND event_id = $2",
        postgres: "SELECT id FROM streams WHERE id = $1 AND event_id = $2 FOR KEY SHARE",
    };
    const ROOM: Sql = Sql::Differs {
        sqlite: "SELECT id, capacity FROM rooms WHERE id = $1 AND event_id = $2",
        postgres: "SELECT id, capacity FROM rooms WHERE id = $1 AND event_id = $2 FOR SHARE",
    };
    const PEOPLE: Sql = Sql::Differs {
        sqlite: "SELECT id FROM speakers WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND event_id = $2",
        postgres: "SELECT id FROM speakers WHERE id = ANY($1) AND event_id = $2 ORDER BY id FOR KEY SHARE",
    };
    let mut known = Known::default();
    if let Some(id) = form.stream_id {
        known.streams = tx.query(STREAM).bind(id).bind(event_id).all::<(Uuid,)>().await?.into_iter().map(|(id,)| id).collect();
    }
    if let Some(id) = form.room_id {
        known.rooms = tx.query(ROOM).bind(id).bind(event_id).all::<(Uuid, Option<i64>)>().await?.into_iter().collect();
    }
    let people: Vec<Uuid> = form.people().map(|(_, id)| id).collect();
    if !people.is_empty() {
        known.speakers = tx.query(PEOPLE).bind_ids(&people).bind(event_id).all::<(Uuid,)>().await?.into_iter().map(|(id,)| id).collect();
    }
    Ok(known)
}

/// Adds a session with its chairs, parts and speakers; its seats row is the caller's part. A code that is taken is a
/// unique violation.
pub async fn insert(tx: &mut Tx, event_id: Uuid, id: Uuid, form: &SessionForm, now: Timestamp) -> Result<()> {
    const INSERT: &str = "INSERT INTO sessions (id, event_id, code, title, summary, search_text, starts_at, ends_at, stream_id, room_id, \
        capacity, waitlist_mode, booking_opens_at, booking_closes_at, status, waitlist_limit, pools, categories, version, created_at, \
        updated_at) VALUES ($1, $19, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1, $18, $18)";
    bind_form(tx.query(INSERT).bind(id), form).bind(now).bind(event_id).execute().await?;
    Ok(())
}

/// Writes a session's own row over; `None` if it is no longer of that version. Chairs and parts are [`replace_lists`].
pub async fn update(tx: &mut Tx, id: Uuid, version: i64, form: &SessionForm, now: Timestamp) -> Result<Option<()>> {
    const UPDATE: &str = "UPDATE sessions SET code = $2, title = $3, summary = $4, search_text = $5, starts_at = $6, ends_at = $7, \
        stream_id = $8, room_id = $9, capacity = $10, waitlist_mode = $11, booking_opens_at = $12, booking_closes_at = $13, status = $14, \
        waitlist_limit = $15, pools = $16, categories = $17, updated_at = $18, version = version + 1 WHERE id = $1 AND version = $19";
    let rows = bind_form(tx.query(UPDATE).bind(id), form).bind(now).bind(version).execute().await?;
    Ok((rows == 1).then_some(()))
}

/// Binds `$2` to `$17`.
fn bind_form<'c>(query: Query<'c>, form: &SessionForm) -> Query<'c> {
    query
        .bind(form.code.clone())
        .bind(form.title.clone())
        .bind(form.summary.clone())
        .bind(form.search_text())
        .bind(form.starts_at)
        .bind(form.ends_at)
        .bind(form.stream_id)
        .bind(form.room_id)
        .bind(form.capacity)
        .bind(form.waitlist.mode)
        .bind(form.booking.window.opens_at)
        .bind(form.booking.window.closes_at)
        .bind(form.status)
        .bind(form.waitlist.limit)
        .bind(JsonText(form.pools.clone()))
        .bind(JsonText(form.booking.categories.clone()))
}

/// Deletes chairs, parts and speakers of sessions.
pub async fn clear_lists(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    const NO_CHAIRS: Sql = of_sessions!("DELETE FROM session_chairs WHERE session_id", "");
    // Their speakers go with them.
    const NO_PARTS: Sql = of_sessions!("DELETE FROM session_parts WHERE session_id", "");
    for statement in [NO_CHAIRS, NO_PARTS] {
        tx.query(statement).bind_ids(ids).execute().await?;
    }
    Ok(())
}

/// Adds chairs, parts and speakers of sessions that have none: three statements, however many sessions.
pub async fn insert_lists(tx: &mut Tx, sessions: &[(Uuid, &SessionForm)]) -> Result<()> {
    const CHAIRS: Sql = batch_write!(
        "INSERT INTO session_chairs (session_id, position, speaker_id) SELECT w.session_id, w.position, w.speaker_id FROM ",
        (session_id: uuid, position: int, speaker_id: uuid),
        " w"
    );
    const PARTS: Sql = batch_write!(
        "INSERT INTO session_parts (session_id, number, title, abstract, audience, learning_outcomes) \
         SELECT w.session_id, w.number, w.title, w.abstract, w.audience, w.learning_outcomes FROM ",
        (session_id: uuid, number: int, title: text, abstract: text, audience: text, learning_outcomes: text),
        " w"
    );
    const SPEAKERS: Sql = batch_write!(
        "INSERT INTO part_speakers (session_id, number, position, speaker_id) \
         SELECT w.session_id, w.number, w.position, w.speaker_id FROM ",
        (session_id: uuid, number: int, position: int, speaker_id: uuid),
        " w"
    );
    let chairs: Vec<_> =
        sessions.iter().flat_map(|(id, form)| numbered(&form.chairs).map(|(n, chair)| (*id, n, chair.speaker_id))).collect();
    let parts: Vec<_> = sessions.iter().flat_map(|(id, form)| numbered(&form.parts).map(|(n, part)| (*id, n, part))).collect();
    let speakers: Vec<_> = parts
        .iter()
        .flat_map(|(id, number, part)| numbered(&part.speakers).map(|(n, person)| (*id, *number, n, person.speaker_id)))
        .collect();
    if !chairs.is_empty() {
        let columns = Columns::new().ids(chairs.iter().map(|c| c.0)).integers(chairs.iter().map(|c| c.1)).ids(chairs.iter().map(|c| c.2));
        tx.batch_write(CHAIRS, columns).await?;
    }
    if !parts.is_empty() {
        let columns = Columns::new()
            .ids(parts.iter().map(|p| p.0))
            .integers(parts.iter().map(|p| p.1))
            .texts(parts.iter().map(|p| Some(p.2.title.as_str())))
            .texts(parts.iter().map(|p| p.2.r#abstract.as_deref()))
            .texts(parts.iter().map(|p| p.2.audience.as_deref()))
            .texts(parts.iter().map(|p| Some(serde_json::json!(p.2.learning_outcomes).to_string())));
        tx.batch_write(PARTS, columns).await?;
    }
    if !speakers.is_empty() {
        let columns = Columns::new()
            .ids(speakers.iter().map(|s| s.0))
            .integers(speakers.iter().map(|s| s.1))
            .integers(speakers.iter().map(|s| s.2))
            .ids(speakers.iter().map(|s| s.3));
        tx.batch_write(SPEAKERS, columns).await?;
    }
    Ok(())
}

/// The items with their places, from 1.
fn numbered<T>(items: &[T]) -> impl Iterator<Item = (i64, &T)> {
    (1..).zip(items)
}

/// The version of a session.
pub async fn version(tx: &mut Tx, id: Uuid) -> Result<Option<i64>> {
    const VERSION: &str = "SELECT version FROM sessions WHERE id = $1";
    tx.query(VERSION).bind(id).optional_scalar().await
}

/// Deletes a session of that version, its cancelled registrations included; `None` if it is no longer of that version.
pub async fn delete(tx: &mut Tx, id: Uuid, version: i64) -> Result<Option<()>> {
    const DELETE: &str = "DELETE FROM sessions WHERE id = $1 AND version = $2";
    let rows = tx.query(DELETE).bind(id).bind(version).execute().await?;
    Ok((rows == 1).then_some(()))
}

/// What the public may not see.
pub fn is_hidden(session: &Session, sees_drafts: bool) -> bool {
    session.row.status == SessionStatus::Draft && !sees_drafts
}
