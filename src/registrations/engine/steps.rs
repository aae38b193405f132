//! The steps of a batch.

use super::{load, wanted::Wanted, write};
use crate::{
    clock::Timestamp,
    db::{Result, Tx},
    registrations::{
        decide::{Changes, Decided, Needs, Round, World, decide},
        model::Command,
    },
};
use futures_util::future::BoxFuture;

/// The steps of a batch, between BEGIN and its answers. There is one way to do them right, [`Real`]; tests put a faulty
/// step in its place to show that they would notice.
pub trait Steps: Send + Sync {
    /// Reads what is wanted, and locks it until the transaction ends.
    fn load<'t>(&'t self, tx: &'t mut Tx, wanted: &'t Wanted, now: Timestamp) -> BoxFuture<'t, Result<World>> {
        Box::pin(load(tx, wanted, now, true))
    }

    /// Decides.
    fn decide(&self, world: World, commands: &[Command], now: Timestamp, round: Round) -> std::result::Result<Decided, Needs> {
        decide(world, commands, now, round)
    }

    /// Writes what was decided.
    fn write<'t>(&'t self, tx: &'t mut Tx, changes: &'t Changes, now: Timestamp) -> BoxFuture<'t, Result<()>> {
        Box::pin(write::write(tx, changes, now))
    }

    /// Makes it durable. The answers go out when this has ended.
    fn commit(&self, tx: Tx) -> BoxFuture<'_, Result<()>> {
        Box::pin(tx.commit())
    }
}

/// The steps as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl Steps for Real {}
