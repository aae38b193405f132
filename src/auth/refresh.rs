//! Refresh tokens: opaque secrets that are used once. All that descend from one sign-in are a family.
//!
//! A token that is used a second time has leaked, or the answer to its first use was lost; nobody can tell which, so
//! the whole family is revoked. Of two requests that bring the same token at once exactly one gets a new pair; the
//! other counts as the second use, and with it the new pair is revoked too.

use super::tokens::Tokens;
use crate::{
    clock::Timestamp,
    db::{Sql, Tx},
    error::Problem,
    random::Secret,
};
use uuid::Uuid;

/// What signing in gives. Not `Debug`: it is all secrets.
pub struct TokenPair {
    /// A JWT for `Authorization: Bearer`.
    pub access: String,
    /// What gives the next pair, once.
    pub refresh: Secret,
    /// How long the access token is good for, in seconds.
    pub access_secs: i64,
}

#[derive(sqlx::FromRow)]
struct Found {
    family_id: Uuid,
    user_id: Uuid,
}

const FIND: &str = "SELECT family_id, user_id FROM refresh_tokens WHERE token_hash = $1";
/// One user's refreshes run one after the other, else a token could be born while its family is being revoked.
const LOCK_USER: Sql =
    Sql::Differs { sqlite: "SELECT id FROM users WHERE id = $1", postgres: "SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE" };
const USE: &str = "UPDATE refresh_tokens SET used_at = $2 \
    WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2";
const REVOKE: &str = "UPDATE refresh_tokens SET revoked_at = $2 WHERE family_id = $1 AND revoked_at IS NULL";
const REVOKE_IF_USED: &str = "UPDATE refresh_tokens SET revoked_at = $2 WHERE family_id = $1 AND revoked_at IS NULL \
    AND EXISTS (SELECT 1 FROM refresh_tokens used WHERE used.token_hash = $3 AND used.used_at IS NOT NULL)";
const ADD: &str = "INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
const FORGET_EXPIRED: &str = "DELETE FROM refresh_tokens WHERE user_id = $1 AND expires_at <= $2";

impl Tokens {
    /// The first pair of a new family. Forgets the user's tokens that have expired.
    pub async fn sign_in(&self, tx: &mut Tx, user: Uuid) -> Result<TokenPair, Problem> {
        let now = self.now();
        tx.query(FORGET_EXPIRED).bind(user).bind(now).execute().await?;
        let family = self.random().id(now);
        self.issue(tx, user, family, now).await
    }

    /// Uses a refresh token up for the next pair. `None` refuses; commit then too, because it may have revoked.
    pub async fn rotate(&self, tx: &mut Tx, presented: &Secret) -> Result<Option<TokenPair>, Problem> {
        let now = self.now();
        let hash = presented.hash();
        let Some(Found { family_id, user_id }) = tx.query(FIND).bind(hash.clone()).optional().await? else { return Ok(None) };
        tx.query(LOCK_USER).bind(user_id).optional_scalar::<Uuid>().await?;
        if tx.query(USE).bind(hash.clone()).bind(now).execute().await? == 1 {
            return self.issue(tx, user_id, family_id, now).await.map(Some);
        }
        let revoked = tx.query(REVOKE_IF_USED).bind(family_id).bind(now).bind(hash).execute().await?;
        if revoked > 0 {
            tracing::warn!(%family_id, revoked, "a refresh token was used twice: its family is revoked");
        }
        Ok(None)
    }

    /// Revokes the token's whole family; a token nobody knows is nothing to revoke.
    pub async fn sign_out(&self, tx: &mut Tx, presented: &Secret) -> Result<(), Problem> {
        let found = tx.query(FIND).bind(presented.hash()).optional().await?;
        if let Some(Found { family_id, user_id }) = found {
            tx.query(LOCK_USER).bind(user_id).optional_scalar::<Uuid>().await?;
            tx.query(REVOKE).bind(family_id).bind(self.now()).execute().await?;
        }
        Ok(())
    }

    async fn issue(&self, tx: &mut Tx, user: Uuid, family: Uuid, now: Timestamp) -> Result<TokenPair, Problem> {
        let access = self.sign_access(user)?;
        let refresh = self.random().secret();
        let expires = now.plus_secs(self.refresh_secs());
        tx.query(ADD).bind(refresh.hash()).bind(family).bind(user).bind(now).bind(expires).execute().await?;
        Ok(TokenPair { access, refresh, access_secs: self.access_secs() })
    }
}
