//! Many clients at once, who book, cancel, move and change seats, lose answers and ask again.

use super::{
    history::{Ask, History, What},
    venue::Venue,
};
use crate::support::{Answer, Front, Timestamp, Value, join_all};
use plenary::{
    clock::Clock,
    registrations::model::{IfFull, IfOverfull},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// How often a client asks for one thing until it gives up.
const PERSISTENCE: usize = 400;
/// How long a client that got no answer waits before it asks again: a fraction of a server's start.
const BREATH: Duration = Duration::from_millis(10);

/// The servers that can be asked now.
#[derive(Default)]
pub struct Doors(RwLock<Vec<Front>>);

impl Doors {
    pub fn of(fronts: Vec<Front>) -> Self {
        Self(RwLock::new(fronts))
    }

    /// Others, from now on.
    pub fn set(&self, fronts: Vec<Front>) {
        *self.0.write().expect("doors") = fronts;
    }

    fn any(&self, random: &mut StdRng) -> Option<Front> {
        self.0.read().expect("doors").choose(random).cloned()
    }
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: usize,
    pub people: usize,
    /// Of each client.
    pub wishes: usize,
    /// Of a hundred of these, seats at the same hours that are wanted in the same instant.
    pub pairs: u32,
    /// Answers lost, in a hundred attempts.
    pub lost: u32,
}

/// How time passes: the servers' own clock, or one that moves on with what is asked.
#[derive(Clone)]
pub enum Time {
    Real,
    /// So many seconds after so many wishes.
    Moved {
        clock: Clock,
        secs: i64,
        wishes: u64,
    },
}

pub struct Workload {
    pub doors: Doors,
    pub venue: Venue,
    pub history: History,
    pub load: Load,
    pub time: Time,
    pub seed: u64,
    done: AtomicU64,
}

impl Workload {
    pub fn new(doors: Doors, venue: Venue, load: Load, time: Time, seed: u64) -> Self {
        Self { doors, venue, history: History::default(), load, time, seed, done: AtomicU64::new(0) }
    }

    /// The time by the servers' clock.
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::Real => Clock::system().now(),
            Time::Moved { clock, .. } => clock.now(),
        }
    }

    /// All clients, until each has what it wanted or was refused.
    pub async fn run(self: &Arc<Self>) {
        let client = |number: usize| tokio::spawn(Client::new(Arc::clone(self), number).run());
        for ended in join_all((0..self.load.clients).map(client)).await {
            ended.expect("a client that does not panic");
        }
    }

    /// Counts a wish that was dealt with.
    fn pass(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if let Time::Moved { clock, secs, wishes } = &self.time
            && done.is_multiple_of(*wishes)
        {
            clock.set(clock.now().plus_secs(*secs));
        }
    }

    /// Asks until an answer is seen.
    async fn ask(&self, ask: Ask, random: &mut StdRng) -> Option<Answer> {
        let wish = self.history.wish();
        let key = (ask.takes_a_key() && random.random::<bool>()).then(|| format!("key-{}-{wish}", self.seed));
        for _ in 0..PERSISTENCE {
            let Some(front) = self.doors.any(random) else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let mut call = ask.call(&front, &self.venue);
            if let Some(key) = &key {
                call = call.header("idempotency-key", key);
            }
            let place = self.history.ask(wish, ask.clone(), key.is_some());
            let Some(answer) = self.attempt(call, random).await else { continue };
            self.history.answer(place, &answer, self.now());
            // It is under way, or nobody knows: who asks again is told.
            if answer.status == 503 || answer.json["code"] == "idempotency_in_flight" {
                tokio::time::sleep(BREATH).await;
                continue;
            }
            self.pass();
            return Some(answer);
        }
        None
    }

    /// One attempt. Now and then the client hangs up, or does not look at the answer.
    async fn attempt(&self, call: crate::support::Call, random: &mut StdRng) -> Option<Answer> {
        let lost = random.random_range(0..100) < self.load.lost;
        let patience = Duration::from_micros(random.random_range(0..6_000));
        if lost && random.random::<bool>() {
            return tokio::time::timeout(patience, call.attempt()).await.ok()?.ok().filter(|_| false);
        }
        match call.attempt().await {
            Ok(answer) => Some(answer).filter(|_| !lost),
            Err(_) => {
                tokio::time::sleep(BREATH).await;
                None
            }
        }
    }
}

/// A registration that a client knows of.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: Uuid,
    person: usize,
}

/// Somebody who acts for some of the people, one thing after the other.
struct Client {
    workload: Arc<Workload>,
    number: usize,
    random: StdRng,
    known: Vec<Known>,
}

impl Client {
    fn new(workload: Arc<Workload>, number: usize) -> Self {
        let random = StdRng::seed_from_u64(workload.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        Self { workload, number, random, known: Vec::new() }
    }

    async fn run(mut self) {
        for _ in 0..self.workload.load.wishes {
            let workload = Arc::clone(&self.workload);
            if self.random.random_range(0..100) < workload.load.pairs {
                let (one, other) = (self.book(Some(0)), self.book(Some(1)));
                let other = match (&one, other) {
                    (Ask::Book { person, .. }, Ask::Book { session, .. }) => {
                        Ask::Book { session, person: *person, if_full: None, priority: None, over: false }
                    }
                    (_, other) => other,
                };
                let mut random = StdRng::from_rng(&mut self.random);
                let (first, second) = tokio::join!(workload.ask(one.clone(), &mut self.random), workload.ask(other.clone(), &mut random));
                self.learn(&one, first);
                self.learn(&other, second);
                continue;
            }
            let ask = self.next();
            let answer = workload.ask(ask.clone(), &mut self.random).await;
            self.learn(&ask, answer);
        }
    }

    /// Remembers the registrations that an answer tells of.
    fn learn(&mut self, ask: &Ask, answer: Option<Answer>) {
        let (Ask::Book { person, .. } | Ask::BookAll { person, .. } | Ask::Move { person, .. }, Some(answer)) = (ask, answer) else {
            return;
        };
        let items = answer.json["items"].as_array().into_iter().flatten().map(|item| &item["registration"]);
        let all = items.chain([&answer.json]).filter_map(|row: &Value| row["id"].as_str()?.parse().ok());
        for id in all.collect::<Vec<Uuid>>() {
            if !self.known.iter().any(|known| known.id == id) {
                self.known.push(Known { id, person: *person });
            }
        }
    }

    fn person(&mut self) -> usize {
        let all = self.workload.venue.people.len();
        let (clients, own) = (self.workload.load.clients, self.number);
        let share = (all - own % all).div_ceil(clients).max(1);
        (own + self.random.random_range(0..share) * clients) % all
    }

    fn session(&mut self) -> Uuid {
        self.workload.venue.sessions.choose(&mut self.random).expect("a session").id
    }

    fn book(&mut self, session: Option<usize>) -> Ask {
        let session = match session {
            Some(index) => self.workload.venue.sessions[index].id,
            None => self.session(),
        };
        let if_full = *[None, None, None, Some(IfFull::Reject)].choose(&mut self.random).expect("one");
        let priority = (self.random.random_range(0..12) == 0).then(|| self.random.random_range(0..3));
        Ask::Book { session, person: self.person(), if_full, priority, over: self.random.random_range(0..40) == 0 }
    }

    fn next(&mut self) -> Ask {
        let known = self.known.iter().rev().take(6).copied().collect::<Vec<_>>().choose(&mut self.random).copied();
        let on = |what: What| known.map(|Known { id, person }| Ask::On { registration: id, person, what });
        let asked = match self.random.random_range(0..100) {
            0..18 => on(What::Cancel),
            18..26 => {
                let (to, wait) = (self.session(), self.random.random_range(0..4) == 0);
                let if_full = wait.then_some(IfFull::Waitlist);
                known.map(|Known { id, person }| Ask::Move { registration: id, person, to, if_full })
            }
            26..34 => on(What::Accept),
            34..37 => on(What::Decline),
            37..45 => on(What::Read),
            45..53 => Some(Ask::Seats { session: self.session() }),
            53..56 => {
                let sessions = (0..3).map(|_| self.session()).collect::<std::collections::BTreeSet<_>>();
                Some(Ask::BookAll { sessions: sessions.into_iter().collect(), person: self.person() })
            }
            56..57 => Some(Ask::Foreign { session: self.session() }),
            57..59 => known.map(|known| Ask::Prioritise { registration: known.id, priority: self.random.random_range(0..3) }),
            59..61 => Some(self.resize()),
            _ => None,
        };
        asked.unwrap_or_else(|| self.book(None))
    }

    fn resize(&mut self) -> Ask {
        let session = self.workload.venue.sessions.iter().filter(|session| session.capacity.is_some()).collect::<Vec<_>>();
        let session = session.choose(&mut self.random).expect("a session with seats");
        let if_overfull = *[IfOverfull::Refuse, IfOverfull::Keep, IfOverfull::WaitlistNewest].choose(&mut self.random).expect("one");
        Ask::Resize { session: session.id, capacity: self.random.random_range(1..7), if_overfull }
    }
}
