//! Nodes that book at the same event take turns, on Postgres: a batch waits until it is its turn before it is put together,
//! so that all that came meanwhile goes with it. Else each node would wait for the locks of the other with half a batch, and
//! what a batch costs whatever its size would come twice.
//!
//! It only makes bookings faster: what keeps them apart are the locks of seats and attendees. Batches of which the event is
//! not known here go without a turn.

use crate::{
    db::{Db, Dialect},
    registrations::{decide::World, model::Command},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// With more sessions than this all is forgotten.
const MAX_SESSIONS: usize = 16_384;

/// The events of sessions, which never change. Cheap to clone.
#[derive(Clone)]
pub struct Turns(Option<Arc<Mutex<HashMap<Uuid, Uuid>>>>);

impl Turns {
    /// Those of an engine on this database.
    pub fn of(db: &Db) -> Self {
        Self((db.dialect() == Dialect::Postgres).then(Arc::default))
    }

    /// For the turn of which event a batch has to wait: that of the first session whose event is known.
    pub fn event_of<'c>(&self, commands: impl IntoIterator<Item = &'c Command>) -> Option<Uuid> {
        let known = self.known()?;
        commands.into_iter().filter_map(session_of).find_map(|session_id| known.get(&session_id).copied())
    }

    /// Remembers the events of sessions that were loaded.
    pub fn learn(&self, world: &World) {
        let Some(mut known) = self.known() else { return };
        if known.len() > MAX_SESSIONS {
            known.clear();
        }
        known.extend(world.sessions().map(|session| (session.id, session.event_id)));
    }

    fn known(&self) -> Option<MutexGuard<'_, HashMap<Uuid, Uuid>>> {
        self.0.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn session_of(command: &Command) -> Option<Uuid> {
    match command {
        Command::Book(booking) => Some(booking.session_id),
        Command::BookAll(bookings) => bookings.first().map(|booking| booking.session_id),
        Command::Move { session_id, .. } | Command::Settle { session_id, .. } => Some(*session_id),
        _ => None,
    }
}
