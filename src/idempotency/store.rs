//! Idempotency keys in the database.

use super::{Claim, KEPT_SECS, Scope};
use crate::{
    clock::Timestamp,
    db::{BatchSelect, Columns, Result, Sql, Tx, batch_select, batch_write},
    reply::Answer,
};
use serde::Deserialize;
use std::collections::HashMap;
use uuid::Uuid;

/// What was answered, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// A hash of what the key was sent with.
    pub fingerprint: String,
    /// The answer.
    pub answer: Answer,
}

/// A row. Field order is that of the batch's statement.
#[derive(Deserialize, sqlx::FromRow)]
struct Row {
    principal_id: Uuid,
    operation: String,
    key: String,
    fingerprint: String,
    status: i64,
    location: Option<String>,
    etag: String,
    body: String,
    created_at: Timestamp,
}

impl Row {
    fn parts(self) -> (Scope, Stored, Timestamp) {
        let Self { principal_id, operation, key, fingerprint, status, location, etag, body, created_at } = self;
        let answer = Answer { status: u16::try_from(status).unwrap_or_default(), location, etag, body };
        (Scope { principal_id, operation, key }, Stored { fingerprint, answer }, created_at)
    }
}

/// Keys from before this are forgotten.
pub(super) fn oldest(now: Timestamp) -> Timestamp {
    now.plus_secs(-KEPT_SECS)
}

/// Makes the key's row, or takes over one that is too old; `false` if it is used. Waits for whoever is making it.
pub(super) async fn claim(tx: &mut Tx, claim: &Claim, now: Timestamp) -> Result<bool> {
    const CLAIM: &str = "INSERT INTO idempotency_keys (principal_id, operation, key, fingerprint, status, etag, body, created_at) \
        VALUES ($1, $2, $3, $4, 0, '', '', $5) ON CONFLICT (principal_id, operation, key) DO UPDATE \
        SET fingerprint = excluded.fingerprint, status = 0, location = NULL, etag = '', body = '', created_at = excluded.created_at \
        WHERE idempotency_keys.created_at <= $6";
    let Scope { principal_id, operation, key } = claim.scope.clone();
    let query = tx.query(CLAIM).bind(principal_id).bind(operation).bind(key).bind(claim.fingerprint.clone());
    Ok(query.bind(now).bind(oldest(now)).execute().await? == 1)
}

/// Completes a row that was claimed.
pub(super) async fn keep(tx: &mut Tx, scope: &Scope, answer: &Answer) -> Result<()> {
    const KEEP: &str = "UPDATE idempotency_keys SET status = $4, location = $5, etag = $6, body = $7 \
        WHERE principal_id = $1 AND operation = $2 AND key = $3";
    let (Scope { principal_id, operation, key }, Answer { status, location, etag, body }) = (scope.clone(), answer.clone());
    let query = tx.query(KEEP).bind(principal_id).bind(operation).bind(key);
    query.bind(i64::from(status)).bind(location).bind(etag).bind(body).execute().await.map(|_| ())
}

/// The row of a key.
pub(super) async fn find(tx: &mut Tx, scope: &Scope) -> Result<Option<Stored>> {
    const FIND: &str = "SELECT principal_id, operation, key, fingerprint, status, location, etag, body, created_at \
        FROM idempotency_keys WHERE principal_id = $1 AND operation = $2 AND key = $3";
    let Scope { principal_id, operation, key } = scope.clone();
    let row = tx.query(FIND).bind(principal_id).bind(operation).bind(key).optional::<Row>().await?;
    Ok(row.map(|row| row.parts().1))
}

/// Deletes so many rows that are too old, and answers how many there were.
pub(super) async fn forget(tx: &mut Tx, now: Timestamp, most: i64) -> Result<u64> {
    macro_rules! forget {
        ($after:literal) => {
            concat!(
                "DELETE FROM idempotency_keys WHERE (principal_id, operation, key) IN (SELECT principal_id, operation, key ",
                "FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT $2",
                $after,
                ")"
            )
        };
    }
    const FORGET: Sql = Sql::Differs { sqlite: forget!(""), postgres: forget!(" FOR UPDATE SKIP LOCKED") };
    tx.query(FORGET).bind(oldest(now)).bind(most).execute().await
}

/// Forgets the answers that tell of somebody: an erased person must not come back in the answer to a repeat.
pub async fn forget_about(tx: &mut Tx, id: Uuid) -> Result<()> {
    const FORGET: &str = "DELETE FROM idempotency_keys WHERE body LIKE $1";
    tx.query(FORGET).bind(format!("%{id}%")).execute().await.map(drop)
}

/// What was answered to each of these keys that was used. Deletes those that are too old.
pub async fn find_all(tx: &mut Tx, scopes: &[&Scope], now: Timestamp) -> Result<HashMap<Scope, Stored>> {
    const FIND_ALL: BatchSelect = batch_select!(
        [
            uuid "k.principal_id" as principal_id, text "k.operation" as operation, text "k.key" as key,
            text "k.fingerprint" as fingerprint, int "k.status" as status, text "k.location" as location, text "k.etag" as etag,
            text "k.body" as body, time "k.created_at" as created_at
        ],
        (principal_id: uuid, operation: text, key: text),
        " w JOIN idempotency_keys k ON k.principal_id = w.principal_id AND k.operation = w.operation AND k.key = w.key"
    );
    const FORGET_ALL: Sql = batch_write!(
        "DELETE FROM idempotency_keys WHERE (principal_id, operation, key) IN (SELECT w.principal_id, w.operation, w.key FROM ",
        (principal_id: uuid, operation: text, key: text),
        " w)"
    );
    let rows: Vec<Row> = tx.batch(FIND_ALL, columns(scopes)).await?;
    let (mut used, mut old) = (HashMap::new(), Vec::new());
    for (scope, stored, created_at) in rows.into_iter().map(Row::parts) {
        if created_at <= oldest(now) {
            old.push(scope);
        } else {
            used.insert(scope, stored);
        }
    }
    if !old.is_empty() {
        tx.batch_write(FORGET_ALL, columns(&old.iter().collect::<Vec<_>>())).await?;
    }
    Ok(used)
}

/// Adds used keys with their answers. A unique violation means that another node was faster.
pub async fn add_all(tx: &mut Tx, rows: &[(&Claim, Answer)], now: Timestamp) -> Result<()> {
    const ADD_ALL: Sql = batch_write!(
        "INSERT INTO idempotency_keys (principal_id, operation, key, fingerprint, status, location, etag, body, created_at) \
         SELECT w.principal_id, w.operation, w.key, w.fingerprint, w.status, w.location, w.etag, w.body, w.created_at FROM ",
        (principal_id: uuid, operation: text, key: text, fingerprint: text, status: int, location: text, etag: text, body: text, created_at: time),
        " w"
    );
    let scopes: Vec<&Scope> = rows.iter().map(|(claim, _)| &claim.scope).collect();
    let input = columns(&scopes)
        .texts(rows.iter().map(|(claim, _)| Some(claim.fingerprint.as_str())))
        .integers(rows.iter().map(|(_, answer)| i64::from(answer.status)))
        .texts(rows.iter().map(|(_, answer)| answer.location.as_deref()))
        .texts(rows.iter().map(|(_, answer)| Some(answer.etag.as_str())))
        .texts(rows.iter().map(|(_, answer)| Some(answer.body.as_str())))
        .times(rows.iter().map(|_| now));
    tx.batch_write(ADD_ALL, input).await.map(|_| ())
}

fn columns(scopes: &[&Scope]) -> Columns {
    Columns::new()
        .ids(scopes.iter().map(|scope| scope.principal_id))
        .texts(scopes.iter().map(|scope| Some(scope.operation.as_str())))
        .texts(scopes.iter().map(|scope| Some(scope.key.as_str())))
}
