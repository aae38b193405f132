//! Small things that were read before and still hold.

use super::{Changes, Moment};
use crate::metrics::Lookups;
use moka::{Equivalent, policy::EvictionPolicy, sync::Cache};
use std::hash::Hash;
use uuid::Uuid;

/// Values by their keys, each until what it is about changes. Bounded: the least recently used go first.
pub struct Remembered<K, V> {
    kept: Cache<K, Kept<V>>,
    changes: Changes,
    lookups: Lookups,
}

#[derive(Clone)]
struct Kept<V> {
    value: V,
    about: Uuid,
    since: Moment,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Remembered<K, V> {
    /// With room for so many.
    pub fn new(changes: Changes, capacity: u64) -> Self {
        let kept = Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build();
        Self { kept, changes, lookups: Lookups::default() }
    }

    /// The value of a key, if it is remembered and holds.
    pub fn get<Q: Equivalent<K> + Hash + ?Sized>(&self, key: &Q) -> Option<V> {
        let kept = self.kept.get(key).filter(|kept| kept.since >= self.changes.of(kept.about));
        self.lookups.count(kept.is_some());
        kept.map(|kept| kept.value)
    }

    /// Remembers a value that is about this thing and was read after that moment.
    pub fn put(&self, key: K, value: V, about: Uuid, since: Moment) {
        self.kept.insert(key, Kept { value, about, since });
    }

    /// How often it had what was asked for.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }
}
