//! Booking, against an authenticated POST that does nothing in the same process, and against a transaction a request.
//!
//! ```text
//! cargo bench --bench booking                                  on SQLite
//! DATABASE_URL=postgres://… cargo bench --bench booking        in a database of its own there
//! cargo bench --bench booking -- --postgres                    on a throw-away cluster
//! cargo bench --bench booking -- --connections 1024 --only hot,spread
//! ```

mod support;

use serde_json::json;
use support::{
    Flags,
    client::{Client, Wire, request},
    database::Database,
    report::{Measured, Report},
    seed::{Round, SEATS},
    server::{EngineTimes, Server},
    start,
};
use uuid::Uuid;

/// A booking for the caller.
const BODY: &str = r#"{"ifFull":"reject"}"#;
/// A booking that waits where there is no seat.
const BODY_TO_WAIT: &str = r#"{"ifFull":"waitlist"}"#;
/// Of the requests of other measurements: each waits for a sync of its own.
const NAIVE_PART: usize = 20;
/// Of the requests of other measurements: their tokens are verified for the first time.
const COLD_PART: usize = 5;

fn main() {
    let flags = start();
    let database = Database::make(flags.postgres);
    let (rounds, requests) = (flags.rounds(), flags.requests());
    println!(
        "booking on {}: {} connections, {requests} requests a measurement, {rounds} alternations",
        database.describe(),
        flags.connections
    );
    let server = Server::start(&flags, &database.url);
    let client = Client::new();
    let tokens = server.tokens(&client, requests);
    println!("the server is process {}", server.process());
    let mut bench = Bench { flags, server, client, tokens, report: Report::default(), engine: Vec::new() };
    // Once unmeasured: connections, prepared statements, verified tokens.
    bench.round();
    bench.server.analyze(&bench.client);
    bench.report = Report::default();
    bench.engine.clear();
    for _ in 0..rounds {
        bench.round();
    }
    bench.print();
}

struct Bench {
    flags: Flags,
    server: Server,
    client: Client,
    /// One a user.
    tokens: Vec<String>,
    report: Report,
    /// The engine's times before and after a measurement.
    engine: Vec<(&'static str, EngineTimes, EngineTimes)>,
}

impl Bench {
    /// Everything once, on fresh sessions.
    fn round(&mut self) {
        let round = self.server.round(&self.client);
        let count = self.tokens.len();
        self.bare(count);
        self.noop(&round, count);
        let hot = self.measure("hot", count, |user| (round.hot, user, BODY), &[201]);
        let alone = self.alone(&round);
        let spread = self.measure("spread", count, |user| (round.spread[user % round.spread.len()], user, BODY), &[201]);
        let sells_out = self.measure("sold out", count, |user| (round.sells_out, user, BODY), &[201, 409]);
        if sells_out.is_some() {
            // Of those who ask now 500 have a seat already.
            self.measure("full", count, |user| (round.sells_out, user, BODY), &[200, 409]);
        }
        let waits = self.measure("waitlist", count, |user| (round.waits, user, BODY_TO_WAIT), &[201]);
        let naive = self.naive(&round, count.div_ceil(NAIVE_PART));
        if hot.is_some() {
            self.measure("repeated", count, |user| (round.hot, user, BODY), &[200]);
        }
        let moved = self.change(
            "move",
            round.hot,
            |id| format!("/v1/registrations/{id}/move"),
            Some(&json!({ "sessionId": round.target }).to_string()),
            201,
        );
        let from = if moved.is_some() { round.target } else { round.hot };
        let cancelled = self.change("cancel", from, |id| format!("/v1/registrations/{id}/cancel"), None, 200);
        self.check(&round, [hot, spread, sells_out, waits, naive, alone], (moved, cancelled));
    }

    /// The engine without HTTP and without the load client beside it: what bookings could come to if all else were free.
    fn alone(&mut self, round: &Round) -> Option<usize> {
        if !self.flags.wants("alone") {
            return None;
        }
        let before = self.server.engine(&self.client);
        let measured = self.server.alone(&self.client, round.alone, self.flags.connections);
        self.engine.push(("engine alone", before, self.server.engine(&self.client)));
        let made = measured.with_status(201);
        self.report.add("engine alone", measured);
        Some(made)
    }

    fn bare(&mut self, count: usize) {
        let requests = self.tokens.iter().map(|token| request("POST", "/bare", Some(token), &[], Some(BODY))).collect();
        let measured = self.client.load(&[(self.server.bare, self.server.process())], self.flags.connections, requests, count);
        measured.expect_only("bare", &[204]);
        self.report.add("bare", measured);
    }

    /// The same door, and nothing done: with tokens that were verified before, and with new ones.
    fn noop(&mut self, round: &Round, count: usize) {
        let path = format!("/bench/noop/{}/registrations", round.hot);
        let noop = |token: &String| request("POST", &path, Some(token), &[], Some(BODY));
        let measured = self.load(self.tokens.iter().map(noop).collect(), count);
        measured.expect_only("no-op", &[204]);
        self.report.add("no-op", measured);
        if self.flags.wants("cold") {
            let cold = self.server.tokens(&self.client, count.div_ceil(COLD_PART));
            let measured = self.load(cold.iter().map(noop).collect(), cold.len());
            measured.expect_only("no-op cold", &[204]);
            self.report.add("no-op cold", measured);
        }
    }

    /// Books with each user once; how many bookings were made.
    fn measure<'b>(
        &mut self,
        name: &'static str,
        count: usize,
        booking: impl Fn(usize) -> (Uuid, usize, &'b str),
        statuses: &[u16],
    ) -> Option<usize> {
        if !self.flags.wants(name) {
            return None;
        }
        let wire = |number| {
            let (session, user, body) = booking(number);
            request("POST", &format!("/v1/sessions/{session}/registrations"), Some(&self.tokens[user]), &[], Some(body))
        };
        let requests: Vec<Wire> = (0..count).map(wire).collect();
        let measured = self.engine_load(name, requests, statuses);
        Some(measured)
    }

    fn naive(&mut self, round: &Round, count: usize) -> Option<usize> {
        if !self.flags.wants("naive") {
            return None;
        }
        let path = format!("/bench/naive/{}/registrations", round.naive);
        let requests = self.tokens.iter().take(count).map(|token| request("POST", &path, Some(token), &[], Some(BODY))).collect();
        let measured = self.load(requests, count);
        measured.expect_only("naive", &[201]);
        let made = measured.with_status(201);
        self.report.add("naive", measured);
        Some(made)
    }

    /// Does something with each registration of a session, by its owner; with how many.
    fn change(
        &mut self,
        name: &'static str,
        session: Uuid,
        path: impl Fn(&str) -> String,
        body: Option<&str>,
        status: u16,
    ) -> Option<usize> {
        if !self.flags.wants(name) || !self.flags.wants("hot") {
            return None;
        }
        let wire = |(user, id): (usize, String)| request("POST", &path(&id), Some(&self.tokens[user]), &[], body);
        let requests: Vec<Wire> = self.server.registrations(&self.client, session).into_iter().map(wire).collect();
        let count = requests.len();
        self.engine_load(name, requests, &[status]);
        Some(count)
    }

    fn engine_load(&mut self, name: &'static str, requests: Vec<Wire>, statuses: &[u16]) -> usize {
        let count = requests.len();
        let before = self.server.engine(&self.client);
        let measured = self.load(requests, count);
        self.engine.push((name, before, self.server.engine(&self.client)));
        measured.expect_only(name, statuses);
        let made = measured.with_status(201);
        self.report.add(name, measured);
        made
    }

    fn load(&self, requests: Vec<Wire>, count: usize) -> Measured {
        self.client.load(&[self.server.target()], self.flags.connections, requests, count)
    }

    /// Every booking that was answered is in the database, and nothing else.
    fn check(
        &self,
        round: &Round,
        [hot, spread, sells_out, waits, naive, alone]: [Option<usize>; 6],
        (moved, cancelled): (Option<usize>, Option<usize>),
    ) {
        let counts = self.server.check(&self.client, round.event);
        let of = |session: Uuid| counts[&session];
        let made = |answered: Option<usize>| answered.unwrap_or(0) as i64;
        let left = if moved.is_some() { made(moved) } else { made(cancelled) };
        assert_eq!((of(round.hot).confirmed, of(round.hot).cancelled), (made(hot) - left, left), "bookings of the hot session");
        let ended = if moved.is_some() { made(cancelled) } else { 0 };
        assert_eq!((of(round.target).confirmed, of(round.target).cancelled), (made(moved) - ended, ended), "whoever moved");
        assert_eq!(round.spread.iter().map(|session| of(*session).confirmed).sum::<i64>(), made(spread), "bookings of 100 sessions");
        assert_eq!(of(round.sells_out).confirmed, made(sells_out), "bookings of the session that sells out");
        assert!(sells_out.is_none_or(|made| made as i64 == SEATS.min(self.tokens.len() as i64)), "as many bookings as seats");
        assert_eq!(of(round.waits).confirmed + of(round.waits).waitlisted, made(waits), "bookings of the session with a waitlist");
        assert_eq!(of(round.naive).confirmed, made(naive), "bookings in a transaction each");
        assert_eq!(of(round.alone).confirmed, made(alone), "bookings without HTTP");
    }

    fn print(&self) {
        let report = &self.report;
        report.print();
        println!("where a batch's time goes, in the last alternation:");
        let mut printed = Vec::new();
        for (name, before, after) in self.engine.iter().rev() {
            if !printed.contains(name) {
                printed.push(*name);
                println!("{name}");
                after.print_since(before);
            }
        }
        report.ratio("noop_to_bare", "no-op", "bare");
        report.ratio("cold_to_noop", "no-op cold", "no-op");
        report.ratio("hot_ratio", "hot", "no-op");
        report.ratio("spread_ratio", "spread", "no-op");
        report.ratio("alone_ratio", "engine alone", "no-op");
        report.ratio("soldout_ratio", "sold out", "no-op");
        report.ratio("full_ratio", "full", "no-op");
        report.ratio("waitlist_ratio", "waitlist", "no-op");
        report.ratio("repeated_ratio", "repeated", "no-op");
        report.ratio("cancel_ratio", "cancel", "no-op");
        report.ratio("cancel_to_booking", "cancel", "hot");
        report.ratio("move_to_booking", "move", "hot");
        report.ratio("hot_to_naive", "hot", "naive");
        report.ratio_p99("hot_p99_ratio", "hot", "no-op");
    }
}
