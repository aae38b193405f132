//! Booking where there is more of everything: a million registrations in the database against a few, two processes on one
//! Postgres against one, and people who sign in without pause.
//!
//! ```text
//! cargo bench --bench scale                            on SQLite, without the second process
//! cargo bench --bench scale -- --postgres              on throw-away clusters
//! cargo bench --bench scale -- --only grown --rows 100000
//! ```

mod support;

use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use support::{
    Flags,
    client::{Client, Targets, request},
    database::Database,
    report::{Measured, Report},
    seed::Round,
    server::Server,
    start,
};
use uuid::Uuid;

/// A booking for the caller.
const BODY: &str = r#"{"ifFull":"reject"}"#;
/// People who book: fewer than elsewhere, since each round adds four registrations of each to a database that is to be small.
const PEOPLE: usize = 5_000;
/// Registrations of before in the small database.
const FEW: usize = 1_000;
/// People who sign in at once, again and again.
const SIGNING_IN: usize = 8;

fn main() {
    let mut flags = start();
    flags.requests = Some(flags.requests().min(PEOPLE));
    let mut report = Report::default();
    if flags.wants("grown") {
        grown(&flags, &mut report);
    }
    if flags.wants("nodes") {
        nodes(&flags, &mut report);
    }
    if flags.wants("logins") {
        logins(&flags, &mut report);
    }
    report.print();
    report.ratio("grown_ratio", "grown", "small");
    report.ratio("nodes_hot_ratio", "two hot", "one hot");
    report.ratio("nodes_spread_ratio", "two spread", "one spread");
    report.ratio("logins_noop_ratio", "no-op, logins", "no-op");
    report.ratio_p99("logins_noop_p99_ratio", "no-op, logins", "no-op");
}

/// A server, and who books there.
struct Stage {
    connections: usize,
    client: Client,
    server: Server,
    tokens: Vec<String>,
}

impl Stage {
    /// On a database with so many registrations of before. It has worked a little when it is there: statements are
    /// prepared, tokens verified.
    fn start(flags: &Flags, database: &Database, filled: usize) -> Self {
        let server = Server::start(&flags.with(flags.requests(), filled), &database.url);
        let client = Client::new();
        let tokens = server.tokens(&client, flags.requests());
        let stage = Self { connections: flags.connections, client, server, tokens };
        let round = stage.server.round(&stage.client);
        stage.book(&[stage.server.target()], &round.spread);
        stage.server.analyze(&stage.client);
        stage
    }

    fn round(&self) -> Round {
        self.server.round(&self.client)
    }

    /// Everybody books once, in one of these sessions.
    fn book(&self, targets: Targets, sessions: &[Uuid]) -> Measured {
        let wire = |(user, token): (usize, &String)| {
            let path = format!("/v1/sessions/{}/registrations", sessions[user % sessions.len()]);
            request("POST", &path, Some(token), &[], Some(BODY))
        };
        let requests = self.tokens.iter().enumerate().map(wire).collect();
        let measured = self.client.load(targets, self.connections, requests, self.tokens.len());
        measured.expect_only("booking", &[201]);
        measured
    }

    /// Everybody does nothing, forty times: some two seconds.
    fn noop(&self, round: &Round) -> Measured {
        let path = format!("/bench/noop/{}/registrations", round.hot);
        let requests = self.tokens.iter().map(|token| request("POST", &path, Some(token), &[], Some(BODY))).collect();
        let measured = self.client.load(&[self.server.target()], self.connections, requests, self.tokens.len() * 40);
        measured.expect_only("no-op", &[204]);
        measured
    }

    /// What was answered is in the database, and nothing else.
    fn check(&self, round: &Round, sessions: &[Uuid]) {
        let counts = self.server.check(&self.client, round.event);
        let booked: i64 = sessions.iter().map(|session| counts[session].confirmed).sum();
        assert_eq!(booked, self.tokens.len() as i64, "bookings that were answered");
    }
}

/// The small database is a new one each time; the large one grows a little more.
fn grown(flags: &Flags, report: &mut Report) {
    let rows = flags.rows();
    let database = Database::make(flags.postgres);
    println!("grown, on {}: {rows} registrations of before against {FEW}", database.describe());
    let large = Stage::start(flags, &database, rows);
    for _ in 0..flags.rounds() {
        let other = Database::make(flags.postgres);
        let small = Stage::start(flags, &other, FEW);
        for (name, stage) in [("small", &small), ("grown", &large)] {
            let round = stage.round();
            report.add(name, stage.book(&[stage.server.target()], &[round.hot]));
            stage.check(&round, &[round.hot]);
        }
    }
}

/// Two processes share one database, each with half of the connections; one alone has them all.
fn nodes(flags: &Flags, report: &mut Report) {
    let database = Database::make(flags.postgres);
    if database.url.starts_with("sqlite:") {
        return println!("nodes: left out, one process owns a SQLite file");
    }
    println!("nodes, on {}", database.describe());
    let stage = Stage::start(flags, &database, flags.filled);
    let other = Server::start(&flags.with(0, 0), &database.url);
    let (one, two) = ([stage.server.target()], [stage.server.target(), other.target()]);
    let warm = stage.round();
    stage.book(&two, &warm.spread);
    for _ in 0..flags.rounds() {
        let round = stage.round();
        let (left, right) = round.spread.split_at(round.spread.len() / 2);
        let measurements: [(&str, Targets, &[Uuid]); 4] =
            [("one hot", &one, &[round.hot]), ("two hot", &two, &[round.target]), ("one spread", &one, left), ("two spread", &two, right)];
        for (name, targets, sessions) in measurements {
            report.add(name, stage.book(targets, sessions));
            stage.check(&round, sessions);
        }
    }
}

/// The no-op, alone and while people sign in.
fn logins(flags: &Flags, report: &mut Report) {
    let database = Database::make(flags.postgres);
    println!("logins, on {}", database.describe());
    let stage = Stage::start(flags, &database, flags.filled);
    let round = stage.round();
    let account = json!({ "email": "anna@example.org", "password": "zwei geheime Pferde", "name": "Anna" }).to_string();
    stage.client.ask(stage.server.address, &request("POST", "/v1/auth/signup", None, &[], Some(&account))).expect(201);
    stage.noop(&round);
    for _ in 0..flags.rounds() {
        report.add("no-op", stage.noop(&round));
        let crowd = Crowd::start(stage.server.address);
        report.add("no-op, logins", stage.noop(&round));
        println!("  {} signed in meanwhile", crowd.stop());
    }
}

/// People who sign in without pause.
struct Crowd {
    stop: Arc<AtomicBool>,
    people: Vec<JoinHandle<usize>>,
}

impl Crowd {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let person = || {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let login = json!({ "email": "anna@example.org", "password": "zwei geheime Pferde" }).to_string();
                let (client, login) = (Client::new(), request("POST", "/v1/auth/login", None, &[], Some(&login)));
                let mut times = 0;
                while !stop.load(Ordering::Relaxed) {
                    client.ask(address, &login).expect(200);
                    times += 1;
                }
                times
            })
        };
        let people = (0..SIGNING_IN).map(|_| person()).collect();
        Self { stop, people }
    }

    /// How many signed in.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.people.into_iter().map(|person| person.join().expect("everybody can sign in")).sum()
    }
}
