//! The whole programme of an event: read, and changed as a plan says.

use super::plan::{Diff, Plan};
use crate::{
    clock::Timestamp,
    db::{Db, Result, Select, Source, Sql, Tx},
    error::Problem,
    events::{self, model::Event},
    keyed::{self, Keyed},
    registrations::seats,
    rooms::model::Room,
    sessions::{self, model::Session},
    speakers::model::Speaker,
    streams::model::Stream,
};
use uuid::Uuid;

/// The programme there is. Streams, rooms and speakers are in the order of their keys, sessions by start and code.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Current {
    pub event: Event,
    pub streams: Vec<Stream>,
    pub rooms: Vec<Room>,
    pub speakers: Vec<Speaker>,
    pub sessions: Vec<Session>,
}

/// Reads everything; `None` if there is no such event.
pub async fn load(source: &mut impl Source, event_id: Uuid) -> Result<Option<Current>> {
    let Some(event) = events::store::read(source, event_id).await? else { return Ok(None) };
    Ok(Some(Current {
        event,
        streams: all(source, event_id).await?,
        rooms: all(source, event_id).await?,
        speakers: all(source, event_id).await?,
        sessions: sessions::store::of_event(source, event_id).await?,
    }))
}

/// How often a read that met a change is begun again before it is given as it is.
const READS: u32 = 5;

/// The programme as it stood at one moment: every change moves its version on, so a read that has the same version
/// before and after is whole. `None` if there is no such event.
pub async fn snapshot(db: &Db, event_id: Uuid) -> Result<Option<Current>> {
    let mut attempts = 0;
    loop {
        let Some(current) = load(&mut &*db, event_id).await? else { return Ok(None) };
        let Some(after) = events::store::find(db, event_id).await? else { return Ok(None) };
        attempts += 1;
        if after.programme_version == current.event.programme_version || attempts == READS {
            return Ok(Some(current));
        }
    }
}

async fn all<K: Keyed>(source: &mut impl Source, event_id: Uuid) -> Result<Vec<K>> {
    Select::new(source.dialect(), K::SQL.select).and("event_id = {}", event_id).tail("ORDER BY key").all_from(source).await
}

/// Writes a plan, in the transaction that holds the event's seats and programme. Answers the programme's new version.
///
/// The order settles what refers to what: first what sessions may refer to, then the sessions, then what shows in them
/// (which moves their versions on), last what no session refers to any more.
pub async fn apply(tx: &mut Tx, event_id: Uuid, plan: &Plan, now: Timestamp) -> std::result::Result<i64, Problem> {
    events::store::bump_programme(tx, event_id).await?;
    add(tx, event_id, &plan.streams, now).await?;
    add(tx, event_id, &plan.rooms, now).await?;
    add(tx, event_id, &plan.speakers, now).await?;
    remove_sessions(tx, plan).await?;
    change_sessions(tx, plan, now).await?;
    add_sessions(tx, event_id, plan, now).await?;
    change(tx, &plan.streams, now).await?;
    change(tx, &plan.rooms, now).await?;
    change(tx, &plan.speakers, now).await?;
    if let Some((before, next)) = &plan.event {
        events::store::update(tx, before, next, now).await?;
    }
    remove(tx, &plan.streams).await?;
    remove(tx, &plan.rooms).await?;
    remove(tx, &plan.speakers).await?;
    // With the capacities that their rooms have now.
    let added: Vec<_> = plan.sessions.added.iter().map(|(id, form)| (*id, form.next_release())).collect();
    seats::create(tx, &added).await?;
    let version = events::store::lock_programme(tx, event_id).await?;
    version.ok_or_else(|| Problem::internal("an event went away under its lock"))
}

async fn add<K: Keyed>(tx: &mut Tx, event_id: Uuid, diff: &Diff<K>, now: Timestamp) -> Result<()> {
    for (id, form) in &diff.added {
        keyed::store::insert::<K>(tx, event_id, *id, form, now).await?;
    }
    Ok(())
}

async fn change<K: Keyed>(tx: &mut Tx, diff: &Diff<K>, now: Timestamp) -> Result<()> {
    for (before, form) in &diff.changed {
        keyed::store::update(tx, before, form, now).await?;
    }
    Ok(())
}

async fn remove<K: Keyed>(tx: &mut Tx, diff: &Diff<K>) -> Result<()> {
    for before in &diff.removed {
        keyed::store::delete::<K>(tx, before.common().id).await?;
    }
    Ok(())
}

const REMOVE: Sql = Sql::Differs {
    sqlite: "DELETE FROM sessions WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    postgres: "DELETE FROM sessions WHERE id = ANY($1)",
};

/// Sessions that swap their codes would meet on the way: until all have their new ones they have what no code
/// can be.
const PARK_CODES: Sql = Sql::Differs {
    sqlite: "UPDATE sessions SET code = '~' || hex(id) WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    postgres: "UPDATE sessions SET code = '~' || CAST(id AS TEXT) WHERE id = ANY($1)",
};

async fn remove_sessions(tx: &mut Tx, plan: &Plan) -> Result<()> {
    let removed: Vec<Uuid> = plan.sessions.removed.iter().map(|session| session.row.id).collect();
    if !removed.is_empty() {
        tx.query(REMOVE).bind_ids(&removed).execute().await?;
    }
    Ok(())
}

async fn change_sessions(tx: &mut Tx, plan: &Plan, now: Timestamp) -> std::result::Result<(), Problem> {
    let changed = &plan.sessions.changed;
    let recoded = changed.iter().filter(|(before, after)| before.row.code != after.code);
    let recoded: Vec<Uuid> = recoded.map(|(before, _)| before.row.id).collect();
    if !recoded.is_empty() {
        tx.query(PARK_CODES).bind_ids(&recoded).execute().await?;
    }
    for (before, after) in changed {
        let updated = sessions::store::update(tx, before.row.id, before.row.version, after, now).await?;
        updated.ok_or_else(|| Problem::internal("a session changed under the lock of its programme"))?;
    }
    if !changed.is_empty() {
        let ids: Vec<Uuid> = changed.iter().map(|(before, _)| before.row.id).collect();
        sessions::store::clear_lists(tx, &ids).await?;
        sessions::store::insert_lists(tx, &changed.iter().map(|(before, after)| (before.row.id, after)).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

async fn add_sessions(tx: &mut Tx, event_id: Uuid, plan: &Plan, now: Timestamp) -> Result<()> {
    let added = &plan.sessions.added;
    for (id, form) in added {
        sessions::store::insert(tx, event_id, *id, form, now).await?;
    }
    sessions::store::insert_lists(tx, &added.iter().map(|(id, form)| (*id, form)).collect::<Vec<_>>()).await
}
