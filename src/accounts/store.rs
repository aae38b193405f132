//! Users in the database.

use super::model::{Email, MembershipOf, User};
use crate::{
    clock::Timestamp,
    db::{Db, Result, Sql, Tx},
};
use uuid::Uuid;

const ADD: &str = "INSERT INTO users (id, email, name, password_hash, version, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, 1, $5, $5)";
const READ: &str = "SELECT id, email, name, created_at, updated_at FROM users WHERE id = $1";
const READ_LOCKED: Sql =
    Sql::Differs { sqlite: READ, postgres: "SELECT id, email, name, created_at, updated_at FROM users WHERE id = $1 FOR NO KEY UPDATE" };
const RENAME: &str = "UPDATE users SET name = $2, updated_at = $3, version = version + 1 WHERE id = $1";
const CREDENTIALS: &str = "SELECT id, password_hash FROM users WHERE email = $1";
/// As many as the contract shows of one user.
const MEMBERSHIPS: &str = "SELECT o.id, o.name, m.role FROM members m JOIN organisations o ON o.id = m.organisation_id \
    WHERE m.user_id = $1 ORDER BY o.sort_key, o.id LIMIT 1000";

/// What signing in is held against.
#[derive(sqlx::FromRow)]
pub struct Credentials {
    /// The user.
    pub id: Uuid,
    /// The PHC string.
    pub password_hash: String,
}

/// Adds a user; a unique violation says that the address is taken.
pub async fn add(tx: &mut Tx, user: &User, password_hash: String) -> Result<()> {
    let query = tx.query(ADD).bind(user.id).bind(user.email.clone()).bind(user.name.clone());
    query.bind(password_hash).bind(user.created_at).execute().await.map(|_| ())
}

/// The user of that id.
pub async fn read(db: &Db, id: Uuid) -> Result<Option<User>> {
    db.query(READ).bind(id).optional().await
}

/// The same, not to be changed by anybody else before the transaction ends.
pub async fn read_locked(tx: &mut Tx, id: Uuid) -> Result<Option<User>> {
    tx.query(READ_LOCKED).bind(id).optional().await
}

/// Changes the name and answers how many rows that were.
pub async fn rename(tx: &mut Tx, id: Uuid, name: String, at: Timestamp) -> Result<u64> {
    tx.query(RENAME).bind(id).bind(name).bind(at).execute().await
}

/// What the sign-in of that address is held against.
pub async fn credentials(db: &Db, email: &Email) -> Result<Option<Credentials>> {
    db.query(CREDENTIALS).bind(email.as_str().to_owned()).optional().await
}

/// The user's organisations, by name.
pub async fn memberships(db: &Db, user_id: Uuid) -> Result<Vec<MembershipOf>> {
    db.query(MEMBERSHIPS).bind(user_id).all().await
}

/// The same inside a transaction.
pub async fn memberships_in(tx: &mut Tx, user_id: Uuid) -> Result<Vec<MembershipOf>> {
    tx.query(MEMBERSHIPS).bind(user_id).all().await
}
