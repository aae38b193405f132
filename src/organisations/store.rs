//! Organisations and their members in the database.

use super::model::Organisation;
use crate::{
    auth::Role,
    clock::Timestamp,
    db::{Db, Keyset, Result, Select, Sql, Tx},
};
use uuid::Uuid;

const ADD: &str = "INSERT INTO organisations (id, name, sort_key, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)";
const ADD_MEMBER: &str = "INSERT INTO members (id, organisation_id, user_id, role, created_at) VALUES ($1, $2, $3, $4, $5)";
const MINE: &str = "SELECT o.id, o.name, o.sort_key, m.role, o.created_at, o.updated_at \
    FROM organisations o JOIN members m ON m.organisation_id = o.id";
const READ: &str = "SELECT o.id, o.name, o.sort_key, m.role, o.created_at, o.updated_at \
    FROM organisations o JOIN members m ON m.organisation_id = o.id WHERE o.id = $1 AND m.user_id = $2";
const READ_LOCKED: Sql = Sql::Differs {
    sqlite: READ,
    postgres: "SELECT o.id, o.name, o.sort_key, m.role, o.created_at, o.updated_at \
        FROM organisations o JOIN members m ON m.organisation_id = o.id WHERE o.id = $1 AND m.user_id = $2 FOR NO KEY UPDATE OF o",
};
const RENAME: &str = "UPDATE organisations SET name = $2, sort_key = $3, updated_at = $4, version = version + 1 WHERE id = $1";

/// Adds an organisation.
pub async fn add(tx: &mut Tx, organisation: &Organisation) -> Result<()> {
    let Organisation { id, name, sort_key, created_at, .. } = organisation.clone();
    tx.query(ADD).bind(id).bind(name).bind(sort_key).bind(created_at).execute().await.map(|_| ())
}

/// Makes a user a member. A foreign key violation says that there is no such user.
pub async fn add_member(tx: &mut Tx, id: Uuid, organisation_id: Uuid, user_id: Uuid, role: Role, at: Timestamp) -> Result<()> {
    tx.note_change(organisation_id);
    tx.query(ADD_MEMBER).bind(id).bind(organisation_id).bind(user_id).bind(role).bind(at).execute().await.map(|_| ())
}

/// The organisation, if the user is a member of it.
pub async fn read(db: &Db, id: Uuid, user_id: Uuid) -> Result<Option<Organisation>> {
    db.query(READ).bind(id).bind(user_id).optional().await
}

/// The same, not to be changed by anybody else before the transaction ends.
pub async fn read_locked(tx: &mut Tx, id: Uuid, user_id: Uuid) -> Result<Option<Organisation>> {
    tx.query(READ_LOCKED).bind(id).bind(user_id).optional().await
}

/// Locks an organisation until the transaction ends: changes of its members run one after the other, or two of its
/// owners could each demote the other. Reads and new events don't wait.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<()> {
    const LOCK: Sql = Sql::Differs {
        sqlite: "SELECT id FROM organisations WHERE id = $1",
        postgres: "SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE",
    };
    tx.query(LOCK).bind(id).optional_scalar::<Uuid>().await.map(|_| ())
}

/// A user's role as it is now.
pub async fn role(tx: &mut Tx, id: Uuid, user_id: Uuid) -> Result<Option<Role>> {
    tx.query("SELECT role FROM members WHERE organisation_id = $1 AND user_id = $2").bind(id).bind(user_id).optional_scalar().await
}

/// Deletes an organisation with its members, invitations and keys. A foreign key violation says that it has events.
pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<u64> {
    tx.note_change(id);
    tx.query("DELETE FROM organisations WHERE id = $1").bind(id).execute().await
}

/// A page of the user's organisations, by name.
pub async fn list(db: &Db, user_id: Uuid, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<Organisation>> {
    let keyset = Keyset { columns: ("o.sort_key", "o.id"), descending: false, after, limit };
    Select::new(db.dialect(), MINE).and("m.user_id = {}", user_id).page(keyset).all(db).await
}

/// Changes the name and answers how many rows that were.
pub async fn rename(tx: &mut Tx, organisation: &Organisation) -> Result<u64> {
    let Organisation { id, name, sort_key, updated_at, .. } = organisation.clone();
    tx.query(RENAME).bind(id).bind(name).bind(sort_key).bind(updated_at).execute().await
}
