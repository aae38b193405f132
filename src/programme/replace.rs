//! Making the programme what a document says: the one way in, over HTTP, from the command line and for the demo.

use super::{
    document::Document,
    plan::{Plan, ProgrammeChanges},
    store,
};
use crate::{
    clock::Clock,
    db::Tx,
    error::Problem,
    events::store::lock_programme,
    random::Random,
    registrations::{
        engine::Bookings,
        seats::{self, Touched},
    },
    state::State,
};
use uuid::Uuid;

/// Makes the programme of an event what the document says, whole or not at all; with `dry_run` it only says what would
/// change. `admit` may refuse the programme's present version. Answers what changed and the version after it.
pub async fn put(
    state: &State,
    event_id: Uuid,
    document: Document,
    dry_run: bool,
    admit: impl FnOnce(i64) -> Result<(), Problem> + Send + 'static,
) -> Result<(ProgrammeChanges, i64), Problem> {
    let edit = Edit { event_id, document, dry_run, clock: state.clock.clone(), random: state.random.clone() };
    edit.through(&state.bookings, admit).await
}

/// A document that is to become an event's programme.
pub struct Edit {
    /// The event.
    pub event_id: Uuid,
    /// What its programme is to be.
    pub document: Document,
    /// Whether to say only what would change.
    pub dry_run: bool,
    /// The time of the change.
    pub clock: Clock,
    /// Where new ids come from.
    pub random: Random,
}

impl Edit {
    /// The same for who has an engine and no server: see [`put`].
    pub async fn through(
        self,
        bookings: &Bookings,
        admit: impl FnOnce(i64) -> Result<(), Problem> + Send + 'static,
    ) -> Result<(ProgrammeChanges, i64), Problem> {
        bookings.edit(move |tx| Box::pin(self.run(tx, admit))).await
    }

    async fn run(self, tx: &mut Tx, admit: impl FnOnce(i64) -> Result<(), Problem> + Send) -> Result<(ProgrammeChanges, i64), Problem> {
        let Self { event_id, document, dry_run, clock, random } = self;
        seats::lock(tx, Touched::Event(event_id)).await?;
        let version = lock_programme(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        admit(version)?;
        let current = store::load(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        let plan = Plan::new(current, document, || random.id_now(&clock))?;
        // Again, now that no session can come: one may have, and been booked, before the programme was locked.
        let occupied = seats::lock(tx, Touched::Event(event_id)).await?;
        seats::require_none(&plan.hits(occupied))?;
        let changes = plan.changes(dry_run);
        if dry_run || plan.is_empty() {
            return Ok((changes, version));
        }
        let version = store::apply(tx, event_id, &plan, clock.now()).await?;
        Ok((changes, version))
    }
}
