//! API keys in the database.

use super::model::{ApiKey, KeyHolder, Scopes};
use crate::{
    clock::Timestamp,
    db::{Db, Keyset, Result, Select, Tx},
    random::Secret,
};
use uuid::Uuid;

macro_rules! columns {
    () => {
        "id, organisation_id, name, prefix, scopes, created_by, created_at, expires_at, last_used_at"
    };
}
const ADD: &str = "INSERT INTO api_keys (id, organisation_id, name, prefix, secret_hash, scopes, created_by, created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const ALL: &str = concat!("SELECT ", columns!(), " FROM api_keys");
const GOOD: &str = "SELECT id, organisation_id, scopes, last_used_at FROM api_keys \
    WHERE secret_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
const USED: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

#[derive(sqlx::FromRow)]
struct Good {
    id: Uuid,
    organisation_id: Uuid,
    #[sqlx(try_from = "String")]
    scopes: Scopes,
    last_used_at: Option<Timestamp>,
}

/// Adds a key.
pub async fn add(tx: &mut Tx, key: &ApiKey, secret: &Secret) -> Result<()> {
    let ApiKey { id, organisation_id, name, prefix, scopes, created_by, created_at, expires_at, .. } = key.clone();
    let query = tx.query(ADD).bind(id).bind(organisation_id).bind(name).bind(prefix).bind(secret.hash()).bind(scopes.to_text());
    query.bind(created_by).bind(created_at).bind(expires_at).execute().await.map(|_| ())
}

/// A page of an organisation's keys, the oldest first; revoked ones are gone.
pub async fn list(db: &Db, organisation_id: Uuid, after: Option<(Timestamp, Uuid)>, limit: i64) -> Result<Vec<ApiKey>> {
    let keyset = Keyset { columns: ("created_at", "id"), descending: false, after, limit };
    Select::new(db.dialect(), ALL)
        .and("organisation_id = {}", organisation_id)
        .and_if(true, "revoked_at IS NULL")
        .page(keyset)
        .all(db)
        .await
}

/// Who calls with this secret and when it was used before, if it is a key and good.
pub async fn find_good(db: &Db, secret: &Secret, now: Timestamp) -> Result<Option<(KeyHolder, Option<Timestamp>)>> {
    let found: Option<Good> = db.query(GOOD).bind(secret.hash()).bind(now).optional().await?;
    Ok(found.map(|Good { id, organisation_id, scopes, last_used_at }| (KeyHolder { id, organisation_id, scopes }, last_used_at)))
}

/// Notes that a key was used.
pub async fn used(tx: &mut Tx, id: Uuid, at: Timestamp) -> Result<u64> {
    tx.query(USED).bind(id).bind(at).execute().await
}

/// Revokes a key and answers how many that were.
pub async fn revoke(tx: &mut Tx, id: Uuid, at: Timestamp) -> Result<u64> {
    tx.query(REVOKE).bind(id).bind(at).execute().await
}
