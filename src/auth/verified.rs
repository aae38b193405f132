//! Tokens that were verified before: checking a signature costs as much as a small request.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// How many tokens are remembered at the most, in all shards together.
const CAPACITY: usize = 100_000;
/// Locks, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// Whose token it is and from when to when it is good, in seconds since 1970, leeway included.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The user.
    pub user: Uuid,
    /// The first second.
    pub not_before: i64,
    /// The second after the last.
    pub until: i64,
}

impl Window {
    /// Whether the token is good at `now`.
    pub fn holds(&self, now: i64) -> bool {
        self.not_before <= now && now < self.until
    }
}

type Shard = HashMap<[u8; 32], Window>;

/// Windows of verified tokens by the SHA-256 of the token. Bounded.
#[derive(Default)]
pub struct Verified {
    shards: [Mutex<Shard>; SHARDS],
}

impl Verified {
    /// What was remembered of a token; the caller still holds it against the time.
    pub fn get(&self, hash: &[u8; 32]) -> Option<Window> {
        self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner).get(hash).copied()
    }

    /// Remembers a token. A full shard first forgets what has expired, then all: forgetting costs only time.
    pub fn remember(&self, hash: [u8; 32], window: Window, now: i64) {
        let mut shard = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= CAPACITY / SHARDS {
            shard.retain(|_, window| window.holds(now));
        }
        if shard.len() >= CAPACITY / SHARDS {
            shard.clear();
        }
        shard.insert(hash, window);
    }

    /// Forgets all: a key was taken away.
    pub fn forget(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn shard(&self, hash: &[u8; 32]) -> &Mutex<Shard> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> [u8; 32] {
        crate::random::sha256(&number.to_be_bytes())
    }

    #[test]
    fn the_memory_is_bounded_and_drops_the_expired_first() {
        let verified = Verified::default();
        let lasting = Window { user: Uuid::nil(), not_before: 0, until: 1_000 };
        let kept = hash(0);
        verified.remember(kept, lasting, 10);
        for number in 1..=150_000 {
            verified.remember(hash(number), Window { until: 11, ..lasting }, 12);
        }
        let size: usize = verified.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(size <= CAPACITY, "{size}");
        assert!(verified.get(&kept).is_some(), "expired tokens go first");
        for number in 0..200_000 {
            verified.remember(hash(number), lasting, 12);
        }
        let size: usize = verified.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(size <= CAPACITY, "{size}");
    }

    #[test]
    fn a_window_is_half_open() {
        let window = Window { user: Uuid::nil(), not_before: 5, until: 7 };
        let held: Vec<i64> = (4..9).filter(|now| window.holds(*now)).collect();
        assert_eq!(held, [5, 6]);
    }
}
