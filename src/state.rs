//! What every handler can reach.

use crate::{
    auth::{Known, Passwords, Tokens},
    cache::Cache,
    clock::Clock,
    config::Config,
    contract::Contract,
    db::Db,
    exports::Slots,
    idempotency::InFlight,
    limits::Limits,
    metrics::Metrics,
    page::Cursors,
    random::Random,
    registrations::engine::{Bookings, Watch},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use uuid::Uuid;

/// The running server's parts. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Parts>);

/// The parts behind [`State`].
pub struct Parts {
    /// Limits and choices of the operator.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The time that the rules of registration go by.
    pub clock: Clock,
    /// Where ids and secrets come from.
    pub random: Random,
    /// The compiled `openapi.yaml`.
    pub contract: Arc<Contract>,
    /// What guards have found before.
    pub known: Known,
    /// Copies of what everybody reads.
    pub cache: Cache,
    /// Access and refresh tokens.
    pub tokens: Tokens,
    /// Hashes and verifies passwords on threads of their own.
    pub passwords: Passwords,
    /// Seals and opens page cursors.
    pub cursors: Cursors,
    /// The booking engine's queue.
    pub bookings: Bookings,
    /// What settles the sessions in which something is due by itself.
    pub watch: Watch,
    /// The idempotency keys under way.
    pub in_flight: InFlight,
    /// Who may ask how often.
    pub limits: Limits,
    /// What is counted while it runs.
    pub metrics: Metrics,
    /// Whether it was told to end.
    pub draining: AtomicBool,
    /// How many lists may be given out as files at once.
    pub exports: Slots,
}

impl State {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// From now on answers close their connections, and `/readyz` says that this server isn't ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server was told to end.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        self.random.id_now(&self.clock)
    }
}

impl std::ops::Deref for State {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
