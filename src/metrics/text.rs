//! Prometheus' text format, version 0.0.4.

use super::{CLASSES, Histogram, Lookups};
use crate::{db::Dialect, registrations::engine::Phase, state::State};
use std::{
    fmt::{Display, Write},
    sync::atomic::Ordering,
};

const MICROS: f64 = 1e6;

/// All that the server counts, at this moment.
pub fn of(state: &State) -> String {
    let mut text = Text(String::with_capacity(32 * 1024));
    server(&mut text, state);
    requests(&mut text, state);
    bookings(&mut text, state);
    database(&mut text, state);
    signing_in(&mut text, state);
    caches(&mut text, state);
    text.0
}

fn server(text: &mut Text, state: &State) {
    let database = match state.db.dialect() {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    };
    text.family("plenary_info", "gauge", "What runs here; always 1.");
    text.sample("plenary_info", &[("version", env!("CARGO_PKG_VERSION")), ("database", database)], 1);
    text.gauge("plenary_draining", "1 from the signal to end until the end.", u8::from(state.is_draining()));
}

fn requests(text: &mut Text, state: &State) {
    let metrics = &state.metrics;
    text.gauge("plenary_http_requests_under_way", "Requests that have no answer yet.", metrics.under_way.load(Ordering::Relaxed));
    let seen: Vec<_> = metrics.requests.iter().filter(|requests| requests.durations.read().1 > 0).collect();
    text.family("plenary_http_requests_total", "counter", "Requests answered, by operation of the contract and class of status.");
    for requests in &seen {
        for (class, count) in CLASSES.iter().zip(&requests.answers) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                text.sample("plenary_http_requests_total", &[("operation", &requests.operation), ("status", class)], count);
            }
        }
    }
    text.family("plenary_http_request_duration_seconds", "histogram", "From the request's head to the answer's head.");
    for requests in &seen {
        text.histogram("plenary_http_request_duration_seconds", &[("operation", &requests.operation)], &requests.durations, MICROS);
    }
}

fn bookings(text: &mut Text, state: &State) {
    let meter = state.bookings.meter();
    let timings = meter.read();
    let (waiting, most) = state.bookings.queue();
    text.gauge("plenary_booking_queue_commands", "Commands and edits that wait for the booking engine.", waiting);
    text.gauge("plenary_booking_queue_commands_max", "How many may wait before more are refused with 503.", most);
    text.counter("plenary_booking_commands_total", "Commands that the booking engine took.", timings.commands);
    text.counter("plenary_booking_queued_seconds_total", "How long they waited, added up.", timings.queued.as_secs_f64());
    text.family("plenary_booking_batch_commands", "histogram", "Commands in a batch, which is one transaction.");
    text.histogram("plenary_booking_batch_commands", &[], &meter.sizes, 1.0);
    text.family(
        "plenary_booking_batch_duration_seconds",
        "histogram",
        "How long a batch took, from the first statement until all was durable.",
    );
    text.histogram("plenary_booking_batch_duration_seconds", &[], &meter.durations, MICROS);
    text.family("plenary_booking_phase_seconds_total", "counter", "Where the booking engine's time went.");
    for phase in Phase::ALL {
        text.sample("plenary_booking_phase_seconds_total", &[("phase", phase.as_str())], timings.of(phase).as_secs_f64());
    }
}

fn database(text: &mut Text, state: &State) {
    let pools = state.db.pools();
    text.family("plenary_database_connections", "gauge", "Open connections, by pool and whether they are in use.");
    for pool in &pools {
        text.sample("plenary_database_connections", &[("pool", pool.name), ("state", "idle")], pool.idle);
        text.sample("plenary_database_connections", &[("pool", pool.name), ("state", "used")], pool.used);
    }
    text.family("plenary_database_connections_max", "gauge", "How many connections a pool opens at the most.");
    for pool in &pools {
        text.sample("plenary_database_connections_max", &[("pool", pool.name)], pool.most);
    }
}

fn signing_in(text: &mut Text, state: &State) {
    text.gauge("plenary_password_queue", "Logins and signups that wait for a thread that hashes.", state.passwords.waiting());
    text.gauge("plenary_password_queue_max", "How many may wait before more are refused with 503.", state.config.password_queue);
}

fn caches(text: &mut Text, state: &State) {
    text.family("plenary_cache_lookups_total", "counter", "Looks into a cache, by whether it had what was asked for.");
    text.lookups("tokens", state.tokens.lookups());
    text.lookups("programme", state.cache.lookups());
    for (cache, lookups) in state.known.lookups() {
        text.lookups(cache, lookups);
    }
    let (copies, bytes) = state.cache.size();
    text.gauge("plenary_programme_cache_copies", "Copies of the programme and its parts that are kept.", copies);
    text.gauge("plenary_programme_cache_bytes", "What they take of the memory.", bytes);
    text.gauge("plenary_programme_cache_bytes_max", "What they may take.", state.config.programme_cache_bytes());
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    fn lookups(&mut self, cache: &str, lookups: &Lookups) {
        let (hits, misses) = lookups.read();
        self.sample("plenary_cache_lookups_total", &[("cache", cache), ("outcome", "hit")], hits);
        self.sample("plenary_cache_lookups_total", &[("cache", cache), ("outcome", "miss")], misses);
    }

    /// `unit` is what a value is divided by.
    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram, unit: f64) {
        let (buckets, all, sum) = histogram.read();
        let bucket = format!("{name}_bucket");
        for (bound, count) in buckets {
            let bound = (bound as f64 / unit).to_string();
            self.sample(&bucket, &[labels, &[("le", bound.as_str())]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), all);
        self.sample(&format!("{name}_sum"), labels, sum as f64 / unit);
        self.sample(&format!("{name}_count"), labels, all);
    }

    /// No label here has anything in it that would have to be escaped.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        if labels.is_empty() {
            return self.line(format_args!("{name} {value}"));
        }
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a string takes all");
    }
}
