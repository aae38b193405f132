//! A simulator of the decision function: random conferences and histories by seed, through the real decisions and through
//! the naive model beside them. After each transaction both must say the same, and the invariants must hold.

mod numbers;
mod run;
mod shrink;
mod store;

use super::flag;
use plenary::registrations::engine::{Real, Steps};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use run::Run;
use shrink::History;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Steps of a history at the most, and numbers that make a world.
const LONGEST: usize = 160;
const WORLD: usize = 180;

/// A history that went wrong.
pub struct Failure<'d> {
    decisions: &'d dyn Steps,
    /// Runs it again: `RIG_SEED=… RIG_STEPS=1`.
    pub seed: u64,
    /// What went wrong.
    pub why: String,
}

/// Simulates histories, one a seed from `seed` on, until they have so many steps or one goes wrong; answers how often what
/// happened in them.
pub fn simulate(decisions: &dyn Steps, seed: u64, steps: u64) -> Result<BTreeMap<String, u64>, Failure<'_>> {
    let (mut done, mut tally) = (0, BTreeMap::new());
    for seed in seed.. {
        if done >= steps {
            break;
        }
        let history = history(seed);
        done += history.steps.len() as u64;
        match goes(decisions, &history) {
            Ok(what) => what.into_iter().for_each(|(what, times)| *tally.entry(what).or_default() += times),
            Err(why) => return Err(Failure { decisions, seed, why }),
        }
    }
    Ok(tally)
}

/// The history of a seed.
fn history(seed: u64) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let world = (0..WORLD).map(|_| random.random()).collect();
    let length = random.random_range(1..=LONGEST);
    History { world, steps: (0..length).map(|_| random.random()).collect() }
}

fn goes(decisions: &dyn Steps, history: &History) -> Result<BTreeMap<String, u64>, String> {
    let mut run = Run::new(decisions, &history.world);
    let run = catch_unwind(AssertUnwindSafe(|| run.all(&history.steps).map(|()| run.tally)));
    run.unwrap_or_else(|_| Err("a decision panicked".to_owned()))
}

impl Failure<'_> {
    /// The shortest history that goes wrong in the same way: how many steps it has, and the whole of it, told.
    pub fn shortest(&self) -> (usize, String) {
        let kind = |why: &str| why.split([' ', ':']).next().unwrap_or_default().to_owned();
        let wanted = kind(&self.why);
        let fails = |history: &History| goes(self.decisions, history).is_err_and(|why| kind(&why) == wanted);
        let history = shrink::shortest(history(self.seed), fails);
        let told = Run::new(self.decisions, &history.world).telling(&history.steps);
        (history.steps.len(), format!("RIG_SEED={} RIG_STEPS=1: {told}", self.seed))
    }
}

/// Ten thousand steps in the tests; more, from any seed, by hand.
#[test]
fn the_decisions_are_those_of_the_naive_model() {
    let (seed, steps) = (flag("RIG_SEED", 1), flag("RIG_STEPS", 10_000));
    match simulate(&Real, seed, steps) {
        Ok(tally) => println!("{steps} steps from seed {seed}, and no difference. What happened: {tally:#?}"),
        Err(failure) => panic!("{}", failure.shortest().1),
    }
}
