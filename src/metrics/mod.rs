//! What the server counts while it runs, for Prometheus to read.
//!
//! These are plain atomics that belong to one server. A recorder of the whole process would mix the servers that tests
//! run side by side; the usual exporter's histograms keep every value until somebody reads them; and all labels are known
//! when the server starts (the operations of the contract), so that counting is an addition at an index.

mod http;
mod text;

pub use http::{MetricsServer, serve};

use crate::contract::Contract;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How long requests take, in microseconds: from less than a cached answer to more than anybody waits.
const REQUEST_MICROS: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];

/// What answers 1xx to 5xx are called.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The operation of requests that belong to none: the documentation, and paths that don't exist.
const NO_OPERATION: &str = "none";

/// The requests of one server, by operation.
pub struct Metrics {
    /// By [`crate::contract::Operation::number`]; the last one is for requests that belong to no operation.
    requests: Vec<Requests>,
    under_way: AtomicU64,
}

struct Requests {
    operation: String,
    answers: [AtomicU64; CLASSES.len()],
    durations: Histogram,
}

/// A request under way; it ends when this is dropped, which also happens when the client hangs up.
pub struct UnderWay<'m>(&'m Metrics);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A place for each operation.
    pub fn new(contract: &Contract) -> Self {
        let mut operations: Vec<_> = contract.operations().map(|operation| (operation.number, operation.id.clone())).collect();
        operations.sort();
        let names = operations.into_iter().map(|(_, id)| id).chain([NO_OPERATION.to_owned()]);
        Self { requests: names.map(Requests::new).collect(), under_way: AtomicU64::new(0) }
    }

    /// Counts a request as under way.
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Counts an answer: of which operation, which status, and how long it took.
    pub fn answered(&self, operation: Option<usize>, status: u16, took: Duration) {
        let number = operation.filter(|number| *number < self.requests.len()).unwrap_or(self.requests.len() - 1);
        let requests = &self.requests[number];
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        requests.answers[class].fetch_add(1, Ordering::Relaxed);
        requests.durations.record_duration(took);
    }
}

impl Requests {
    fn new(operation: String) -> Self {
        Self { operation, answers: Default::default(), durations: Histogram::new(REQUEST_MICROS) }
    }
}

/// How often a cache had what was asked for.
#[derive(Default)]
pub struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    /// Counts one: whether it was there.
    pub fn count(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Hits and misses so far.
    pub fn read(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

/// How often values fell between fixed bounds.
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, values up to and with it, and one for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one. The bounds are ascending.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration, in microseconds.
    pub fn record_duration(&self, took: Duration) {
        self.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Each bound with how many values were at most that, then how many there are in all, and their sum.
    fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut total = 0;
        let mut counts = self.counts.iter().map(|count| {
            total += count.load(Ordering::Relaxed);
            total
        });
        let buckets = self.bounds.iter().copied().zip(counts.by_ref()).collect();
        let all = counts.next().unwrap_or_default();
        (buckets, all, self.sum.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 5_000] {
            histogram.record(value);
        }
        assert_eq!(histogram.read(), (vec![(1, 2), (10, 4), (100, 6)], 8, 5_225));
    }

    #[test]
    fn unknown_operations_and_statuses_are_counted_somewhere() {
        let contract = Contract::load().expect("a contract");
        let metrics = Metrics::new(&contract);
        metrics.answered(Some(usize::MAX), 200, Duration::ZERO);
        metrics.answered(None, 999, Duration::MAX);
        metrics.answered(None, 0, Duration::ZERO);
        let none = metrics.requests.last().expect("the last");
        let answers: Vec<u64> = none.answers.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!((none.operation.as_str(), answers), (NO_OPERATION, vec![1, 1, 0, 0, 1]));
        for operation in contract.operations() {
            assert_eq!(metrics.requests[operation.number].operation, operation.id);
        }
    }
}
