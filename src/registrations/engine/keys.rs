//! Idempotency keys of a batch: what they were used for is looked up before deciding, and what is made under them is
//! written in the same transaction. A batch in which no command carries one does neither.

use super::{Decision, Keyed, Verdict};
use crate::{
    clock::Timestamp,
    db::{Result, Tx},
    idempotency::{self, Claim, Scope, Stored},
    registrations::model::Command,
    reply::Answer,
};
use std::{borrow::Cow, collections::BTreeMap};

/// The keys of a batch by the place of their commands. No two are the same: the second is refused while the first is
/// under way.
pub type Keys = BTreeMap<usize, Keyed>;

/// Answers that were given before, by the place of their commands.
#[derive(Default)]
pub struct Replays(BTreeMap<usize, Stored>);

impl Replays {
    /// Looks the keys up.
    pub async fn find(tx: &mut Tx, keys: &Keys, now: Timestamp) -> Result<Self> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let scopes: Vec<&Scope> = keys.values().map(|keyed| &keyed.claim.scope).collect();
        let mut used = idempotency::find_all(tx, &scopes, now).await?;
        Ok(Self(keys.iter().filter_map(|(place, keyed)| Some((*place, used.remove(&keyed.claim.scope)?))).collect()))
    }

    /// The commands that are left to decide.
    pub fn rest<'c>(&self, commands: &'c [Command]) -> Cow<'c, [Command]> {
        if self.0.is_empty() {
            return Cow::Borrowed(commands);
        }
        let left = commands.iter().enumerate().filter(|(place, _)| !self.0.contains_key(place));
        left.map(|(_, command)| command.clone()).collect()
    }

    /// The answers of both kinds, in the order of the commands.
    pub fn weave(mut self, decisions: Vec<Decision>) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(decisions.len() + self.0.len());
        let mut decisions = decisions.into_iter();
        loop {
            if let Some(stored) = self.0.remove(&verdicts.len()) {
                verdicts.push(Verdict::Replay(stored));
            } else if let Some(decision) = decisions.next() {
                verdicts.push(Verdict::Decided(decision));
            } else {
                return verdicts;
            }
        }
    }
}

/// Writes the keys under which something was made, with what is answered for it.
pub async fn write(tx: &mut Tx, keys: &Keys, verdicts: &[Verdict], now: Timestamp) -> Result<()> {
    let made = keys.iter().filter_map(|(place, keyed)| match &verdicts[*place] {
        Verdict::Decided(Ok(done)) => Some((&*keyed.claim, (keyed.render)(done)?)),
        _ => None,
    });
    let mut rows: Vec<(&Claim, Answer)> = made.collect();
    if rows.is_empty() {
        return Ok(());
    }
    // In one order on every node, so that two batches never wait for each other in a circle.
    rows.sort_by(|(one, _), (other, _)| one.scope.cmp(&other.scope));
    idempotency::add_all(tx, &rows, now).await
}
