//! Small things that were read before and still hold.

use super::{Changes, Moment};
use crate::metrics::Lookups;
use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{PoisonError, RwLock},
};
use uuid::Uuid;

/// Values by their keys, each until what it is about changes. Bounded.
pub struct Remembered<K, V> {
    kept: RwLock<HashMap<K, Kept<V>>>,
    capacity: usize,
    changes: Changes,
    lookups: Lookups,
}

struct Kept<V> {
    value: V,
    about: Uuid,
    since: Moment,
}

impl<K: Hash + Eq, V: Clone> Remembered<K, V> {
    /// With room for so many.
    pub fn new(changes: Changes, capacity: usize) -> Self {
        Self { kept: RwLock::default(), capacity, changes, lookups: Lookups::default() }
    }

    /// The value of a key, if it is remembered and holds.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let held = kept.get(key).filter(|kept| kept.since >= self.changes.of(kept.about));
        self.lookups.count(held.is_some());
        held.map(|kept| kept.value.clone())
    }

    /// Remembers a value that is about this thing and was read after that moment. Where there is no room it first forgets
    /// what doesn't hold any more, then all: forgetting costs only time.
    pub fn put(&self, key: K, value: V, about: Uuid, since: Moment) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.capacity {
            kept.retain(|_, kept| kept.since >= self.changes.of(kept.about));
        }
        if kept.len() >= self.capacity {
            kept.clear();
        }
        kept.insert(key, Kept { value, about, since });
    }

    /// How often it had what was asked for.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_what_it_is_about_changes() {
        let changes = Changes::default();
        let remembered = Remembered::new(changes.clone(), 10);
        let (event, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let before = changes.now();
        remembered.put("slug".to_owned(), 1, event, before);
        changes.happened(&[other]);
        assert_eq!(remembered.get("slug"), Some(1));
        changes.happened(&[event]);
        assert_eq!(remembered.get("slug"), None);
        remembered.put("slug".to_owned(), 2, event, before);
        assert_eq!(remembered.get("slug"), None, "it was read before the change");
        remembered.put("slug".to_owned(), 3, event, changes.now());
        assert_eq!(remembered.get("slug"), Some(3));
    }

    #[test]
    fn the_memory_is_bounded_and_drops_first_what_does_not_hold() {
        let changes = Changes::default();
        let remembered = Remembered::new(changes.clone(), 100);
        let (event, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let before = changes.now();
        changes.happened(&[other]);
        remembered.put(0, 0, event, changes.now());
        for key in 1..1_000 {
            remembered.put(key, key, other, before);
        }
        assert_eq!(remembered.get(&0), Some(0));
        for key in 0..1_000 {
            remembered.put(key, key, event, changes.now());
        }
        assert!(remembered.kept.read().unwrap().len() <= 100);
    }
}
