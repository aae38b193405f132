//! Members and invitations in the database.

use super::model::{Invitation, Member};
use crate::{
    auth::Role,
    clock::Timestamp,
    db::{Db, Keyset, Result, Select, Tx},
    random::Secret,
};
use uuid::Uuid;

macro_rules! member {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.organisation_id, m.user_id, u.name, u.email, m.role, m.created_at ",
            "FROM members m JOIN users u ON u.id = m.user_id",
            $rest
        )
    };
}
macro_rules! invitation {
    ($rest:literal) => {
        concat!("SELECT id, organisation_id, email, role, created_by, created_at, expires_at FROM invitations", $rest)
    };
}

/// A page of an organisation's members, by when they joined.
pub async fn list(db: &Db, organisation_id: Uuid, after: Option<(Timestamp, Uuid)>, limit: i64) -> Result<Vec<Member>> {
    let keyset = Keyset { columns: ("m.created_at", "m.id"), descending: false, after, limit };
    Select::new(db.dialect(), member!("")).and("m.organisation_id = {}", organisation_id).page(keyset).all(db).await
}

const FIND: &str = member!(" WHERE m.id = $1");

/// The member of that id.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<Member>> {
    db.query(FIND).bind(id).optional().await
}

/// The same inside a transaction.
pub async fn find_in(tx: &mut Tx, id: Uuid) -> Result<Option<Member>> {
    tx.query(FIND).bind(id).optional().await
}

/// The membership of a user.
pub async fn find_of_user(tx: &mut Tx, organisation_id: Uuid, user_id: Uuid) -> Result<Option<Member>> {
    const FIND_OF_USER: &str = member!(" WHERE m.organisation_id = $1 AND m.user_id = $2");
    tx.query(FIND_OF_USER).bind(organisation_id).bind(user_id).optional().await
}

/// How many owners an organisation has. Means something only while it is locked.
pub async fn count_owners(tx: &mut Tx, organisation_id: Uuid) -> Result<i64> {
    tx.query("SELECT COUNT(*) FROM members WHERE organisation_id = $1 AND role = 'owner'").bind(organisation_id).scalar().await
}

/// Changes a member's role and answers how many rows that were.
pub async fn set_role(tx: &mut Tx, member: &Member, role: Role) -> Result<u64> {
    tx.note_change(member.organisation_id);
    tx.query("UPDATE members SET role = $2 WHERE id = $1").bind(member.id).bind(role).execute().await
}

/// Removes a member and answers how many rows that were.
pub async fn remove(tx: &mut Tx, member: &Member) -> Result<u64> {
    tx.note_change(member.organisation_id);
    tx.query("DELETE FROM members WHERE id = $1").bind(member.id).execute().await
}

/// Adds an invitation, and forgets those of the organisation that have expired.
pub async fn invite(tx: &mut Tx, invitation: &Invitation, token: &Secret) -> Result<()> {
    const FORGET_EXPIRED: &str = "DELETE FROM invitations WHERE organisation_id = $1 AND expires_at <= $2";
    const ADD: &str = "INSERT INTO invitations (id, organisation_id, email, role, token_hash, created_by, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let Invitation { id, organisation_id, email, role, created_by, created_at, expires_at } = invitation.clone();
    tx.query(FORGET_EXPIRED).bind(organisation_id).bind(created_at).execute().await?;
    let query = tx.query(ADD).bind(id).bind(organisation_id).bind(email).bind(role).bind(token.hash());
    query.bind(created_by).bind(created_at).bind(expires_at).execute().await.map(|_| ())
}

/// A page of the invitations that can be accepted at `now`, the oldest first.
pub async fn pending(
    db: &Db,
    organisation_id: Uuid,
    now: Timestamp,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Invitation>> {
    let keyset = Keyset { columns: ("created_at", "id"), descending: false, after, limit };
    let select = Select::new(db.dialect(), invitation!("")).and("organisation_id = {}", organisation_id).and("expires_at > {}", now);
    select.and_if(true, "accepted_at IS NULL").page(keyset).all(db).await
}

/// Takes an invitation back that nobody has accepted, and answers how many rows that were.
pub async fn revoke(tx: &mut Tx, id: Uuid) -> Result<u64> {
    tx.query("DELETE FROM invitations WHERE id = $1 AND accepted_at IS NULL").bind(id).execute().await
}

/// What a token stands for.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Presented {
    /// The invitation.
    pub id: Uuid,
    /// To what.
    pub organisation_id: Uuid,
    /// What its holder will be.
    pub role: Role,
    /// Whether it was accepted.
    pub accepted: bool,
    /// By whom, unless they are gone.
    pub accepted_by: Option<Uuid>,
}

/// The invitation of that token, unless it has expired.
pub async fn presented(tx: &mut Tx, token: &Secret, now: Timestamp) -> Result<Option<Presented>> {
    const PRESENTED: &str = "SELECT id, organisation_id, role, accepted_at IS NOT NULL AS accepted, accepted_by FROM invitations \
        WHERE token_hash = $1 AND expires_at > $2";
    tx.query(PRESENTED).bind(token.hash()).bind(now).optional().await
}

/// Notes who accepted an invitation.
pub async fn accepted(tx: &mut Tx, id: Uuid, user_id: Uuid, at: Timestamp) -> Result<u64> {
    const ACCEPTED: &str = "UPDATE invitations SET accepted_by = $2, accepted_at = $3 WHERE id = $1 AND accepted_at IS NULL";
    tx.query(ACCEPTED).bind(id).bind(user_id).bind(at).execute().await
}
