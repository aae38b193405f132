//! Streams, rooms and speakers in the database.
//!
//! Whoever writes holds the event's programme and counts its change: see [`crate::events::store::bump_programme`].

use super::{Form, Keyed};
use crate::{
    clock::Timestamp,
    db::{Db, Keyset, Query, Result, Select, Tx},
    events::store::lock_programme,
    text,
};
use std::collections::HashSet;
use uuid::Uuid;

/// One page of those in an event that have `q` in their text.
pub async fn list<K: Keyed>(db: &Db, event_id: Uuid, q: Option<&str>, keyset: Keyset<String>) -> Result<Vec<K>> {
    Select::new(db.dialect(), K::SQL.select)
        .and("event_id = {}", event_id)
        .and_some(K::SQL.search, q.map(text::contains))
        .page(keyset)
        .all(db)
        .await
}

/// The one of that id in that event.
pub async fn find<K: Keyed>(db: &Db, event_id: Uuid, id: Uuid) -> Result<Option<K>> {
    db.query(K::SQL.find).bind(id).bind(event_id).optional().await
}

/// The one of that id, with the event's programme locked until the transaction ends.
pub async fn lock<K: Keyed>(tx: &mut Tx, event_id: Uuid, id: Uuid) -> Result<Option<K>> {
    lock_programme(tx, event_id).await?;
    tx.query(K::SQL.find).bind(id).bind(event_id).optional().await
}

/// Adds one to an event, with a key made from its name if it has none. A unique violation means that the key is taken.
pub async fn insert<K: Keyed>(tx: &mut Tx, event_id: Uuid, id: Uuid, form: &K::Form, now: Timestamp) -> Result<K> {
    let key = match form.key() {
        Some(key) => key.to_owned(),
        None => free_key::<K>(tx, event_id, form.name()).await?,
    };
    bind(tx.query(K::SQL.insert), id, event_id, key, form, now).one().await
}

/// The key made from a name, with the first number behind it that makes it unique.
async fn free_key<K: Keyed>(tx: &mut Tx, event_id: Uuid, name: &str) -> Result<String> {
    let base = text::key_from(name);
    let taken: Vec<(String,)> = tx.query(K::SQL.keys_like).bind(event_id).bind(format!("{base}%")).all().await?;
    let taken: HashSet<String> = taken.into_iter().map(|(key,)| key).collect();
    let numbered = (2_u64..).map(|number| format!("{base}-{number}"));
    Ok(std::iter::once(base.clone()).chain(numbered).find(|key| !taken.contains(key)).unwrap_or(base))
}

/// Changes one, and the version of the sessions that show it. A unique violation means that the key is taken.
pub async fn update<K: Keyed>(tx: &mut Tx, before: &K, form: &K::Form, now: Timestamp) -> Result<K> {
    let common = before.common();
    if !form.looks_like(&before.form()) {
        tx.query(K::SQL.touch_sessions).bind(common.id).execute().await?;
    }
    let key = form.key().unwrap_or(&common.key).to_owned();
    bind(tx.query(K::SQL.update), common.id, common.event_id, key, form, now).one().await
}

fn bind<'q, F: Form>(query: Query<'q>, id: Uuid, event_id: Uuid, key: String, form: &F, now: Timestamp) -> Query<'q> {
    let name = form.name().to_owned();
    form.bind_own(query.bind(id).bind(event_id).bind(key).bind(name).bind(text::fold(form.sort_name())).bind(now))
}

/// Deletes one. A foreign key violation means that sessions refer to it.
pub async fn delete<K: Keyed>(tx: &mut Tx, id: Uuid) -> Result<()> {
    tx.query(K::SQL.delete).bind(id).execute().await.map(|_| ())
}

/// How many sessions refer to one.
pub async fn count_sessions<K: Keyed>(tx: &mut Tx, id: Uuid) -> Result<i64> {
    tx.query(K::SQL.count_sessions).bind(id).scalar().await
}
