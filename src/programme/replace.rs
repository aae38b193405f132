//! Making the programme what a document says: the one way in, over HTTP, from the command line and for the demo.

use super::{
    document::Document,
    plan::{Plan, ProgrammeChanges},
    store,
};
use crate::{
    clock::{Clock, Timestamp},
    db::Tx,
    error::Problem,
    events::store::lock_programme,
    random::Random,
    registrations::{
        clashes::{self, Clash},
        edits::EffectsView,
        engine::{Bookings, Edited},
        model::{Actor, Command, IfOverfull},
        seats,
    },
    state::State,
};
use std::sync::Arc;
use uuid::Uuid;

/// How a programme is put.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// Of which event.
    pub event_id: Uuid,
    /// Only to be told what would change.
    pub dry_run: bool,
    /// What becomes of seats taken beyond lower capacities.
    pub if_overfull: IfOverfull,
    /// By whom.
    pub actor: Actor,
}

/// Makes the programme of an event what the document says, whole or not at all; with `dry_run` it only says what would
/// change. `admit` may refuse the programme's present version. Answers what changed and the version after it.
pub async fn put(
    state: &State,
    put: Put,
    document: Document,
    admit: impl Fn(i64) -> Result<(), Problem> + Send + Sync + 'static,
) -> Result<(ProgrammeChanges, i64), Problem> {
    put_through(&state.bookings, (&state.clock, &state.random), put, document, admit).await
}

/// The same for who has an engine and is no server.
pub async fn put_through(
    bookings: &Bookings,
    (clock, random): (&Clock, &Random),
    put: Put,
    document: Document,
    admit: impl Fn(i64) -> Result<(), Problem> + Send + Sync + 'static,
) -> Result<(ProgrammeChanges, i64), Problem> {
    let (now, random, admit) = (clock.now(), random.clone(), Arc::new(admit));
    let edit = bookings.edit_or_preview(put.dry_run, move |tx| {
        let (edit, admit) = (Edit { put, document: document.clone(), now, random: random.clone() }, Arc::clone(&admit));
        Box::pin(async move { edit.run(tx, &*admit).await })
    });
    let Edited { value: Done { mut changes, version, clashes }, effects } = edit.await?;
    changes.effects = EffectsView::of(effects, clashes);
    Ok((changes, version))
}

struct Edit {
    put: Put,
    document: Document,
    now: Timestamp,
    /// Where new ids come from.
    random: Random,
}

struct Done {
    changes: ProgrammeChanges,
    version: i64,
    clashes: Vec<Clash>,
}

impl Edit {
    async fn run(self, tx: &mut Tx, admit: &(impl Fn(i64) -> Result<(), Problem> + Sync)) -> Result<(Done, Vec<Command>), Problem> {
        let Self { put: Put { event_id, dry_run, if_overfull, actor }, document, now, random } = self;
        seats::lock(tx, event_id).await?;
        let version = lock_programme(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        admit(version)?;
        let current = store::load(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        let plan = Plan::new(current, document, || random.id(now))?;
        // Again, now that no session can come: one may have, and been booked, before the programme was locked.
        let occupied = seats::lock(tx, event_id).await?;
        seats::require_none(&plan.hits(occupied))?;
        let changes = plan.changes(dry_run);
        if plan.is_empty() {
            return Ok((Done { changes, version, clashes: Vec::new() }, Vec::new()));
        }
        let version_after = store::apply(tx, event_id, &plan, now).await?;
        let version = if dry_run { version } else { version_after };
        let mut clashes = Vec::new();
        for session_id in plan.sessions.moved() {
            clashes.extend(clashes::of_session(tx, session_id, now).await?);
        }
        Ok((Done { changes, version, clashes }, plan.commands(event_id, if_overfull, actor)))
    }
}
