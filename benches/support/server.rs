//! The server of a benchmark: the product in a process of its own, with routes beside it that measure what it is
//! compared with and arrange and check what is measured.

use super::{
    Flags, check,
    client::{Client, processor_time, request},
    lists::{self, List},
    naive,
    report::Measured,
    seed::{self, Round},
};
use actix_web::{
    App as ActixApp, HttpResponse, HttpServer,
    middleware::from_fn,
    web::{self, Bytes, Data},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use plenary::{
    app::{App, Surroundings},
    config::Config,
    contract::{Contract, door},
    error::Problem,
    extract::{Caller, Json, Params},
    registrations::{
        engine::Phase,
        model::{Actor, Booking, Command as Wanted, IfFull, Who},
    },
    reply::Reply,
    state::State,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{BufRead, Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, OnceLock, RwLock},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long the tokens of a run are good for, in seconds.
const TOKEN_SECS: u32 = 86_400;
/// As many as `plenary serve` has beside the threads that serve HTTP.
const RUNTIME_THREADS: usize = 2;

/// The server, as its parent sees it. It ends when this is dropped.
pub struct Server {
    /// Where the product listens.
    pub address: SocketAddr,
    /// Where a bare actix listens, in the same process.
    pub bare: SocketAddr,
    child: Child,
    while_open: Option<ChildStdin>,
}

impl Server {
    /// Starts this program again as the server, with so many users.
    pub fn start(flags: &Flags, database_url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--serve").env("DATABASE_URL", database_url).stdin(Stdio::piped()).stdout(Stdio::piped());
        let numbers = [("requests", flags.requests()), ("filled", flags.filled), ("worker-threads", flags.worker_threads as usize)];
        command.args(numbers.map(|(flag, number)| format!("--{flag}={number}")));
        let mut child = command.spawn().expect("this program starts again");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        std::io::BufReader::new(output).read_line(&mut line).expect("the server says where it listens");
        let ports: Vec<u16> = line.split_whitespace().filter_map(|port| port.parse().ok()).collect();
        let [port, bare] = ports[..] else { panic!("the server did not start") };
        let on = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { address: on(port), bare: on(bare), while_open: child.stdin.take(), child }
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Where the product is asked.
    pub fn target(&self) -> (SocketAddr, u32) {
        (self.address, self.process())
    }

    /// Makes the event of a round, with its sessions.
    pub fn round(&self, client: &Client) -> Round {
        let body = client.ask(self.address, &request("POST", "/bench/rounds", None, &[], Some("{}"))).expect(200);
        serde_json::from_slice(&body).expect("a round")
    }

    /// A new token for each of the first `count` users, in order.
    pub fn tokens(&self, client: &Client, count: usize) -> Vec<String> {
        let body = client.ask(self.address, &request("GET", &format!("/bench/tokens/{count}"), None, &[], None)).expect(200);
        String::from_utf8(body).expect("tokens").lines().map(str::to_owned).collect()
    }

    /// The active registrations of a session: the user's number and the id.
    pub fn registrations(&self, client: &Client, session: Uuid) -> Vec<(usize, String)> {
        let body = client.ask(self.address, &request("GET", &format!("/bench/registrations/{session}"), None, &[], None)).expect(200);
        serde_json::from_slice(&body).expect("registrations")
    }

    /// Makes an event with nothing in it; the first user may edit it.
    pub fn empty_event(&self, client: &Client) -> Uuid {
        let body = client.ask(self.address, &request("POST", "/bench/events", None, &[], Some("{}"))).expect(200);
        serde_json::from_slice(&body).expect("an id")
    }

    /// Makes an event with so many registrations.
    pub fn list(&self, client: &Client, rows: usize) -> List {
        let body = client.ask(self.address, &request("POST", &format!("/bench/lists/{rows}"), None, &[], Some("{}"))).expect(200);
        serde_json::from_slice(&body).expect("a list")
    }

    /// A new token for a user.
    pub fn token_of(&self, client: &Client, user: Uuid) -> String {
        let body = client.ask(self.address, &request("GET", &format!("/bench/users/{user}/token"), None, &[], None)).expect(200);
        String::from_utf8(body).expect("a token")
    }

    /// Books with each user once, so many at a time, without HTTP and without a client.
    pub fn alone(&self, client: &Client, session: Uuid, connections: usize) -> Measured {
        let path = format!("/bench/alone/{session}/{connections}");
        let before = processor_time(self.process());
        let body = client.ask(self.address, &request("POST", &path, None, &[], Some("{}"))).expect(200);
        let used = before.zip(processor_time(self.process())).map(|(before, after)| after - before);
        let Alone { took, micros } = serde_json::from_slice(&body).expect("times");
        let statuses = BTreeMap::from([(201, micros.len())]);
        Measured::new(Duration::from_secs_f64(took), statuses, micros, used)
    }

    /// What is in the database of an event's sessions, after the invariants were held against it.
    pub fn check(&self, client: &Client, event: Uuid) -> BTreeMap<Uuid, check::Counts> {
        let body = client.ask(self.address, &request("GET", &format!("/bench/checks/{event}"), None, &[], None)).expect(200);
        let checked: check::Checked = serde_json::from_slice(&body).expect("a check");
        assert!(checked.wrong.is_empty(), "the invariants are broken: {}", checked.wrong.join("; "));
        checked.sessions
    }

    /// Lets Postgres look at its tables, as it would by itself a minute later: what it plans on empty ones is slow.
    pub fn analyze(&self, client: &Client) {
        client.ask(self.address, &request("POST", "/bench/analyze", None, &[], Some("{}"))).expect(204);
    }

    /// Where the engine's time has gone.
    pub fn engine(&self, client: &Client) -> EngineTimes {
        let body = client.ask(self.address, &request("GET", "/bench/engine", None, &[], None)).expect(200);
        serde_json::from_slice(&body).expect("times")
    }

    /// Gives the bare actix something to serve at `/static/{slot}`.
    pub fn set_static(&self, client: &Client, slot: &str, text: &str) {
        client.ask(self.bare, &request("PUT", &format!("/static/{slot}"), None, &[], Some(text))).expect(204);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.while_open.take());
        let ended = self.child.wait();
        assert!(std::thread::panicking() || ended.is_ok_and(|status| status.success()), "the server failed");
    }
}

/// Totals of the engine since it was started, in microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EngineTimes {
    pub batches: f64,
    pub commands: f64,
    pub queued: f64,
    pub phases: Vec<(String, f64)>,
}

impl EngineTimes {
    /// Prints what was done between two readings.
    pub fn print_since(&self, before: &Self) {
        let (batches, commands) = (self.batches - before.batches, self.commands - before.commands);
        if batches <= 0.0 {
            return;
        }
        let queued = (self.queued - before.queued) / commands / 1000.0;
        print!("               engine: {:.0} commands a batch, {queued:.2} ms queued; µs a command:", commands / batches);
        for ((name, after), (_, before)) in self.phases.iter().zip(&before.phases) {
            let micros = (after - before) / commands;
            // It also idles between measurements.
            if name != Phase::Idle.as_str() && micros >= 0.05 {
                print!(" {name} {micros:.1}");
            }
        }
        println!();
    }
}

/// What the routes beside the product's share.
pub struct Bench {
    contract: Arc<Contract>,
    users: OnceLock<Vec<Uuid>>,
    per_event: RwLock<usize>,
}

impl Bench {
    fn users(&self) -> &[Uuid] {
        self.users.get().map_or(&[], Vec::as_slice)
    }
}

/// Is the server until standard input ends.
pub fn run(flags: &Flags) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build().expect("a runtime");
    runtime.block_on(serve(flags));
}

async fn serve(flags: &Flags) {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL, from the parent");
    let mut config = Config::for_database(&url);
    config.worker_threads = flags.worker_threads;
    config.access_token_secs = TOKEN_SECS;
    // Counted like everything else, and never used up.
    config.set_limits(u32::MAX);
    let workers = config.workers();
    let contract = Contract::load().expect("the contract");
    let bench = Data::new(Bench { contract, users: OnceLock::new(), per_event: RwLock::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let routes = bench.clone();
    let app = App::build_with(Surroundings::default(), config, listener, move |app| configure(app, &routes));
    let app = app.await.unwrap_or_else(|error| panic!("{error}"));
    let users = seed::users(app.state(), flags.requests()).await.expect("users");
    seed::fill(app.state(), &users, flags.filled).await.expect("registrations from before");
    assert!(bench.users.set(users).is_ok(), "users are made once");
    let bare = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let bare_port = bare.local_addr().expect("an address").port();
    tokio::spawn(bare_actix(bare, workers));
    println!("{} {bare_port}", app.port());
    std::io::stdout().flush().expect("the parent listens");
    let parent_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    app.run_until(async move { drop(parent_ends.await) }).await.expect("the server runs");
}

/// actix with nothing around it: what the machine gives.
fn bare_actix(listener: TcpListener, workers: usize) -> actix_web::dev::Server {
    const LARGEST: usize = 16 * 1024 * 1024;
    type Slots = Data<RwLock<BTreeMap<String, Bytes>>>;
    let slots: Slots = Data::default();
    let server = HttpServer::new(move || {
        let put = |slots: Slots, slot: web::Path<String>, bytes: Bytes| async move {
            slots.write().expect("no panic").insert(slot.into_inner(), bytes);
            HttpResponse::NoContent().finish()
        };
        let get = |slots: Slots, slot: web::Path<String>| async move {
            let bytes = slots.read().expect("no panic").get(slot.as_str()).cloned().unwrap_or_default();
            HttpResponse::Ok().content_type("application/json").body(bytes)
        };
        ActixApp::new()
            .app_data(slots.clone())
            .app_data(web::PayloadConfig::new(LARGEST))
            .route("/bare", web::post().to(|_: Bytes| async { HttpResponse::NoContent().finish() }))
            .service(web::resource("/static/{slot}").route(web::get().to(get)).route(web::put().to(put)))
    });
    server.workers(workers).disable_signals().listen(listener).expect("a bound socket").run()
}

/// All below one scope, so that the product's routes are found after one more comparison.
fn configure(app: &mut web::ServiceConfig, bench: &Data<Bench>) {
    let booking = bench.contract.operation("createRegistration").expect("an operation to compare with");
    let operations = Arc::new(vec![Arc::clone(booking)]);
    let guarded = |path: &str, route: actix_web::Route| {
        let operations = Arc::clone(&operations);
        web::resource(path).route(route).wrap(from_fn(move |request, next| door::pass(Arc::clone(&operations), request, next)))
    };
    let scope = web::scope("/bench")
        .service(guarded("/noop/{session}/registrations", web::post().to(noop)))
        .service(guarded("/naive/{session}/registrations", web::post().to(naive::book)))
        .route("/rounds", web::post().to(round))
        .route("/events", web::post().to(empty_event))
        .route("/lists/{rows}", web::post().to(list))
        .route("/users/{user}/token", web::get().to(token))
        .route("/tokens/{count}", web::get().to(tokens))
        .route("/alone/{session}/{connections}", web::post().to(alone))
        .route("/registrations/{session}", web::get().to(registrations))
        .route("/checks/{event}", web::get().to(check_event))
        .route("/analyze", web::post().to(analyze))
        .route("/engine", web::get().to(engine));
    app.app_data(bench.clone()).service(scope);
}

/// The path of a booking.
#[derive(Deserialize)]
pub struct SessionPath {
    pub session: Uuid,
}

/// The body of a booking.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    pub attendee_id: Option<Uuid>,
    pub if_full: Option<String>,
}

/// Past the same door, out of the same extractors, and nothing done.
async fn noop(_: State, _: Caller, Params(path): Params<SessionPath>, Json(wish): Json<Wish>) -> HttpResponse {
    std::hint::black_box((path.session, wish.attendee_id, wish.if_full));
    HttpResponse::NoContent().finish()
}

async fn round(state: State, bench: Data<Bench>) -> Reply {
    let number = {
        let mut rounds = bench.per_event.write().expect("no panic");
        *rounds += 1;
        *rounds
    };
    let round = seed::round(&state, bench.users(), number).await?;
    Ok(HttpResponse::Ok().json(round))
}

async fn empty_event(state: State, bench: Data<Bench>) -> Reply {
    Ok(HttpResponse::Ok().json(seed::empty_event(&state, bench.users()[0]).await?))
}

async fn list(state: State, bench: Data<Bench>, rows: web::Path<usize>) -> Reply {
    Ok(HttpResponse::Ok().json(lists::make(&state, bench.users()[0], *rows).await?))
}

async fn token(state: State, user: web::Path<Uuid>) -> Reply {
    Ok(HttpResponse::Ok().body(state.tokens.sign_access(*user)?))
}

async fn tokens(state: State, bench: Data<Bench>, count: web::Path<usize>) -> Reply {
    let mut lines = String::new();
    for user in bench.users().iter().take(*count) {
        lines.push_str(&state.tokens.sign_access(*user)?);
        lines.push('\n');
    }
    Ok(HttpResponse::Ok().body(lines))
}

/// How long bookings took, in seconds all together and in microseconds each.
#[derive(Deserialize, Serialize)]
struct Alone {
    took: f64,
    micros: Vec<u32>,
}

async fn alone(state: State, bench: Data<Bench>, path: web::Path<(Uuid, usize)>) -> Reply {
    let (session_id, connections) = *path;
    let began = Instant::now();
    let booked = stream::iter(bench.users().to_vec()).map(|user| book_alone(&state, session_id, user)).buffer_unordered(connections);
    let micros = booked.try_collect::<Vec<u32>>().await?;
    Ok(HttpResponse::Ok().json(Alone { took: began.elapsed().as_secs_f64(), micros }))
}

async fn book_alone(state: &State, session_id: Uuid, user_id: Uuid) -> Result<u32, Problem> {
    let began = Instant::now();
    let booking = Booking {
        registration_id: state.new_id(),
        session_id,
        within: None,
        who: Who::Caller { new_attendee_id: state.new_id() },
        if_full: Some(IfFull::Reject),
        passing: None,
        priority: 0,
        actor: Actor { user_id, organiser: false },
    };
    let outcome = state.bookings.ask(Wanted::Book(booking)).await?;
    assert!(outcome.created, "nobody has booked it");
    Ok(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX))
}

async fn registrations(state: State, bench: Data<Bench>, session: web::Path<Uuid>) -> Reply {
    let numbers: BTreeMap<Uuid, usize> = bench.users().iter().enumerate().map(|(number, user)| (*user, number)).collect();
    let rows = check::registrations(&state, *session).await?;
    let rows: Vec<(usize, Uuid)> = rows.into_iter().filter_map(|(user, id)| Some((*numbers.get(&user)?, id))).collect();
    Ok(HttpResponse::Ok().json(rows))
}

async fn check_event(state: State, event: web::Path<Uuid>) -> Reply {
    Ok(HttpResponse::Ok().json(check::event(&state, *event).await?))
}

async fn analyze(state: State) -> Reply {
    if state.db.dialect() == plenary::db::Dialect::Postgres {
        state.db.write(|tx| Box::pin(async move { Ok(tx.query("ANALYZE").execute().await?) })).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn engine(state: State) -> HttpResponse {
    let timings = state.bookings.timings();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    HttpResponse::Ok().json(EngineTimes {
        batches: timings.batches as f64,
        commands: timings.commands as f64,
        queued: micros(timings.queued),
        phases: Phase::ALL.map(|phase| (phase.as_str().to_owned(), micros(timings.of(phase)))).to_vec(),
    })
}
