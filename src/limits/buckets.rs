//! Where each key stands, in a bounded memory.

use governor::{nanos::Nanos, state::StateStore};
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many keys are remembered at the most, in all shards together: some 4 MiB.
const CAPACITY: usize = 65_536;
/// Locks, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// When the quota of each key is whole again, in nanoseconds since its limiter began. Clones are the same memory.
#[derive(Clone, Default)]
pub struct Buckets(Arc<Inner>);

#[derive(Default)]
struct Inner {
    shards: [Mutex<HashMap<u128, u64>>; SHARDS],
    // Keys are chosen by clients: nobody can tell which shard they fall into.
    spread: RandomState,
}

impl Buckets {
    /// Whether the key is remembered.
    pub fn contains(&self, key: u128) -> bool {
        self.shard(key).contains_key(&key)
    }

    /// Remembers a key without a quota.
    pub fn put(&self, key: u128) {
        insert(&mut self.shard(key), key, 0);
    }

    /// Forgets a key: its quota is whole.
    pub fn forget(&self, key: u128) {
        self.shard(key).remove(&key);
    }

    /// Brings the time nearer at which a key's quota is whole.
    pub fn give_back(&self, key: u128, by: Duration) {
        if let Some(whole_at) = self.shard(key).get_mut(&key) {
            *whole_at = whole_at.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, HashMap<u128, u64>> {
        let shard = self.0.spread.hash_one(key) as usize % SHARDS;
        self.0.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A full shard first forgets the keys whose quota is whole again, then all: forgetting only lets more through.
fn insert(shard: &mut HashMap<u128, u64>, key: u128, whole_at: u64) {
    if shard.len() >= CAPACITY / SHARDS && !shard.contains_key(&key) {
        // A new key's quota lacks one request: what is whole before it lacks at most as much.
        shard.retain(|_, other| *other > whole_at);
        if shard.len() >= CAPACITY / SHARDS {
            shard.clear();
        }
    }
    shard.insert(key, whole_at);
}

impl StateStore for Buckets {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(*key);
        let (outcome, whole_at) = decide(shard.get(key).copied().map(Nanos::from))?;
        insert(&mut shard, *key, whole_at.as_u64());
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(buckets: &Buckets) -> usize {
        buckets.0.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    fn take(buckets: &Buckets, key: u128, whole_at: u64) {
        buckets.measure_and_replace(&key, |_| Ok::<_, ()>(((), Nanos::from(whole_at)))).unwrap();
    }

    #[test]
    fn the_memory_is_bounded_and_drops_the_whole_first() {
        let buckets = Buckets::default();
        take(&buckets, 0, 1_000_000);
        for key in 1..200_000 {
            take(&buckets, key, key as u64);
        }
        assert!(size(&buckets) <= CAPACITY, "{}", size(&buckets));
        assert!(buckets.contains(0), "a key that lacks much is kept while others are whole");
        for key in 0..200_000 {
            take(&buckets, key, 2_000_000);
        }
        assert!(size(&buckets) <= CAPACITY, "{}", size(&buckets));
    }
}
