//! Making the programme what a document says: the one way in, over HTTP and for the demo.

use super::{
    document::Document,
    plan::{Plan, ProgrammeChanges},
    store,
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Problem,
    events::store::lock_programme,
    registrations::seats::{self, Touched},
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
    let edit = Edit { event_id, document, dry_run, now: state.clock.now(), ids: state.clone() };
    state.bookings.edit(move |tx| Box::pin(edit.run(tx, admit))).await
}

struct Edit {
    event_id: Uuid,
    document: Document,
    dry_run: bool,
    now: Timestamp,
    /// Where new ids come from.
    ids: State,
}

impl Edit {
    async fn run(self, tx: &mut Tx, admit: impl FnOnce(i64) -> Result<(), Problem> + Send) -> Result<(ProgrammeChanges, i64), Problem> {
        let Self { event_id, document, dry_run, now, ids } = self;
        seats::lock(tx, Touched::Event(event_id)).await?;
        let version = lock_programme(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        admit(version)?;
        let current = store::load(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        let plan = Plan::new(current, document, || ids.new_id())?;
        // Again, now that no session can come: one may have, and been booked, before the programme was locked.
        let occupied = seats::lock(tx, Touched::Event(event_id)).await?;
        seats::require_none(&plan.hits(occupied))?;
        let changes = plan.changes(dry_run);
        if dry_run || plan.is_empty() {
            return Ok((changes, version));
        }
        let version = store::apply(tx, event_id, &plan, now).await?;
        Ok((changes, version))
    }
}
