//! Noticing new keys: each minute, and when a token names a key that isn't known.

use super::tokens::Tokens;
use crate::{clock::Timestamp, config::Config, db::Db};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a key that was changed may go unnoticed.
const EVERY: Duration = Duration::from_secs(60);
/// Anybody can send tokens with ids of keys that don't exist: they make a node look at most this often, in seconds.
const FOR_UNKNOWN_EVERY_SECS: i64 = 1;

/// Where the keys are, and when they were last looked for because of an unknown one.
pub struct Watch {
    pub(super) db: Db,
    pub(super) config: Config,
    for_unknown: Mutex<Option<Timestamp>>,
}

impl Watch {
    pub(super) fn new(db: Db, config: Config) -> Self {
        Self { db, config, for_unknown: Mutex::new(None) }
    }
}

impl Tokens {
    /// Looks for new keys each minute until the last clone is dropped.
    pub fn keep_looking_for_keys(&self) {
        let inner = self.downgrade();
        self.watch().db.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(tokens) = Self::upgrade(&inner) else { return };
                if let Err(error) = tokens.look_for_keys().await {
                    tracing::warn!(%error, "the signing keys can't be read again");
                }
            }
        });
    }

    /// Looks for new keys, unless that was done just now; whoever asks meanwhile waits for that look.
    pub(super) async fn look_for_unknown_key(&self) {
        let mut last = self.watch().for_unknown.lock().await;
        let now = self.now();
        if last.is_none_or(|at| at.plus_secs(FOR_UNKNOWN_EVERY_SECS) <= now || now < at) {
            *last = Some(now);
            if let Err(error) = self.look_for_keys().await {
                tracing::warn!(%error, "the signing keys can't be read again");
            }
        }
    }
}
