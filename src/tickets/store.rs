//! Tickets in the database, as hashes.

use crate::{
    clock::Timestamp,
    db::{Result, Tx},
    random::{Secret, sha256},
};
use uuid::Uuid;

/// The parameter that carries a ticket.
pub const PARAM: &str = "ticket";

/// What a ticket is for: a path and a query, however they are encoded, without the ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target([u8; 32]);

impl Target {
    /// Of a path and the pairs of its query.
    pub fn new(path: &str, query: &[(String, String)]) -> Self {
        let pairs: Vec<&(String, String)> = query.iter().filter(|(name, _)| name != PARAM).collect();
        Self(sha256(serde_json::json!([path, pairs]).to_string().as_bytes()))
    }
}

/// Keeps a ticket and forgets those that have expired. Foreign key violation: the user is gone.
pub async fn add(tx: &mut Tx, ticket: &Secret, user_id: Uuid, target: &Target, now: Timestamp, expires_at: Timestamp) -> Result<()> {
    const FORGET: &str = "DELETE FROM tickets WHERE expires_at <= $1";
    const ADD: &str = "INSERT INTO tickets (ticket_hash, user_id, target_hash, expires_at) VALUES ($1, $2, $3, $4)";
    tx.query(FORGET).bind(now).execute().await?;
    tx.query(ADD).bind(ticket.hash()).bind(user_id).bind(target.0.to_vec()).bind(expires_at).execute().await.map(drop)
}

/// Uses a ticket up: whose it was, if it was good for this target at `now`.
pub async fn redeem(tx: &mut Tx, ticket: &Secret, target: &Target, now: Timestamp) -> Result<Option<Uuid>> {
    const REDEEM: &str = "DELETE FROM tickets WHERE ticket_hash = $1 AND target_hash = $2 AND expires_at > $3 RETURNING user_id";
    tx.query(REDEEM).bind(ticket.hash()).bind(target.0.to_vec()).bind(now).optional_scalar().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_its_path_and_its_query_without_the_ticket() {
        let query = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let target = Target::new("/a", &query(&[("q", "x"), ("format", "csv")]));
        assert_eq!(target, Target::new("/a", &query(&[("q", "x"), ("format", "csv"), ("ticket", "secret")])));
        for (path, pairs) in [
            ("/b", &[("q", "x"), ("format", "csv")][..]),
            ("/a", &[("q", "y"), ("format", "csv")]),
            ("/a", &[("format", "csv")]),
            ("/a", &[("q", "x"), ("format", "csv"), ("sort", "name")]),
        ] {
            assert_ne!(target, Target::new(path, &query(pairs)), "{path} {pairs:?}");
        }
    }
}
