//! What was read from the database and is kept in memory holds until what it is about changes. A node tells the time of
//! this by a clock of its own, which goes on with every change that it makes or hears of.
//!
//! Whoever keeps something notes the [`Moment`] before reading it; it holds as long as nothing it is about has changed
//! since. So what a reader has loaded while a writer committed never counts as new, whoever comes first. A change is
//! noted after its COMMIT and before it is answered: who has seen the answer reads what was written.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use uuid::Uuid;

/// Of how many things the latest change is remembered. With one more all count as changed.
const REMEMBERED: usize = 16_384;

/// A moment between two changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The changes that this node knows of, by the id of what changed: an event stands for its whole programme, an
/// organisation for who its members are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<RwLock<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    now: Moment,
    /// The latest that may have changed anything.
    of_all: Moment,
    /// The latest of each, since then.
    of: HashMap<Uuid, Moment>,
}

impl Changes {
    /// The present moment. To be noted before something is read that is to be kept.
    pub fn now(&self) -> Moment {
        self.latest().now
    }

    /// When the thing of that id last changed.
    pub fn of(&self, id: Uuid) -> Moment {
        let latest = self.latest();
        latest.of.get(&id).copied().unwrap_or(latest.of_all)
    }

    /// Notes that these have changed. What they are now can be read already.
    pub fn happened(&self, ids: &[Uuid]) {
        if ids.is_empty() {
            return;
        }
        let mut latest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        latest.now.0 += 1;
        if latest.of.len() + ids.len() > REMEMBERED {
            latest.all();
        }
        let now = latest.now;
        latest.of.extend(ids.iter().map(|id| (*id, now)));
    }

    /// Notes that anything may have changed.
    pub(super) fn anything_happened(&self) {
        let mut latest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        latest.now.0 += 1;
        latest.all();
    }

    fn latest(&self) -> RwLockReadGuard<'_, Latest> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    fn all(&mut self) {
        self.of_all = self.now;
        self.of.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_was_read_holds_until_what_it_is_about_changes() {
        let changes = Changes::default();
        let before = changes.now();
        assert!(before >= changes.of(id(1)), "nothing has changed yet");
        changes.happened(&[id(1), id(2)]);
        assert!(before < changes.of(id(1)) && before < changes.of(id(2)) && before >= changes.of(id(3)));
        let after = changes.now();
        assert!(after >= changes.of(id(1)));
        changes.happened(&[]);
        assert_eq!(changes.now(), after);
        changes.anything_happened();
        assert!([1, 2, 3].iter().all(|number| after < changes.of(id(*number))));
        assert!(changes.now() >= changes.of(id(3)));
    }

    #[test]
    fn the_memory_is_bounded_and_forgetting_keeps_nothing_too_long() {
        let changes = Changes::default();
        changes.happened(&[id(0)]);
        let before = changes.now();
        for number in 1..3 * REMEMBERED as u128 {
            changes.happened(&[id(number)]);
        }
        assert!(changes.latest().of.len() <= REMEMBERED);
        assert!((0..3 * REMEMBERED as u128).filter(|number| *number > 0).all(|number| before < changes.of(id(number))));
        assert!(changes.of(id(0)) <= changes.now());
    }
}
