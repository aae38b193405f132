//! Figures: medians over the alternations of one run, and ratios within an alternation.

use std::{collections::BTreeMap, time::Duration};

/// One measurement.
pub struct Measured {
    took: Duration,
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, usize>,
    /// From low to high.
    micros: Vec<u32>,
    processor: Option<Duration>,
}

impl Measured {
    pub fn new(took: Duration, statuses: BTreeMap<u16, usize>, mut micros: Vec<u32>, processor: Option<Duration>) -> Self {
        micros.sort_unstable();
        Self { took, statuses, micros, processor }
    }

    /// How many answers had that status.
    pub fn with_status(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Ends the run where there is an answer of another status.
    pub fn expect_only(&self, name: &str, statuses: &[u16]) {
        let unexpected = self.statuses.keys().any(|status| !statuses.contains(status));
        assert!(!unexpected, "{name}: answers by status: {:?}, expected only {statuses:?}", self.statuses);
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that so much of the answers stay below, in milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        let index = ((self.micros.len() as f64 * part) as usize).min(self.micros.len().saturating_sub(1));
        self.micros.get(index).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }

    /// Processor time of the server a request, in microseconds.
    pub fn processor(&self) -> f64 {
        self.processor.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6 / self.micros.len() as f64)
    }
}

/// All measurements of a run, by name, one an alternation.
#[derive(Default)]
pub struct Report {
    names: Vec<&'static str>,
    measured: BTreeMap<&'static str, Vec<Measured>>,
}

impl Report {
    pub fn add(&mut self, name: &'static str, measured: Measured) {
        if !self.measured.contains_key(name) {
            self.names.push(name);
        }
        self.measured.entry(name).or_default().push(measured);
    }

    /// A line a measurement, medians.
    pub fn print(&self) {
        println!("{:<14} {:>12} {:>10} {:>10} {:>22}", "", "requests/s", "p50 ms", "p99 ms", "server CPU µs/request");
        for name in &self.names {
            let of = |figure: fn(&Measured) -> f64| median(self.measured[name].iter().map(figure).collect());
            let (rate, processor) = (of(Measured::rate), of(Measured::processor));
            let (p50, p99) = (of(|measured| measured.percentile(0.5)), of(|measured| measured.percentile(0.99)));
            println!("{name:<14} {rate:>12.0} {p50:>10.2} {p99:>10.2} {processor:>22.1}");
        }
    }

    /// Prints `RESULT name value`, where both were measured: the median of each alternation's ratio of rates.
    pub fn ratio(&self, name: &str, of: &str, to: &str) {
        self.result(name, of, to, Measured::rate);
    }

    /// The same for the 99th percentile of latency.
    pub fn ratio_p99(&self, name: &str, of: &str, to: &str) {
        self.result(name, of, to, |measured| measured.percentile(0.99));
    }

    fn result(&self, name: &str, of: &str, to: &str, figure: fn(&Measured) -> f64) {
        if let (Some(of), Some(to)) = (self.measured.get(of), self.measured.get(to)) {
            let ratio = median(of.iter().zip(to).map(|(of, to)| figure(of) / figure(to)).collect());
            println!("RESULT {name} {ratio:.3}");
        }
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => (values[length / 2 - 1] + values[length / 2]) / 2.0,
    }
}
