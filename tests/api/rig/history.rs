//! What was asked, when, and what was answered.

use super::venue::Venue;
use crate::support::{Answer, Call, Front, Timestamp, Value, json};
use plenary::registrations::model::{IfFull, IfOverfull};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Something that a client wants.
#[derive(Clone, Debug)]
pub enum Ask {
    Book {
        session: Uuid,
        person: usize,
        if_full: Option<IfFull>,
        priority: Option<i64>,
        over: bool,
    },
    BookAll {
        sessions: Vec<Uuid>,
        person: usize,
    },
    Move {
        registration: Uuid,
        person: usize,
        to: Uuid,
        if_full: Option<IfFull>,
    },
    On {
        registration: Uuid,
        person: usize,
        what: What,
    },
    Prioritise {
        registration: Uuid,
        priority: i64,
    },
    Resize {
        session: Uuid,
        capacity: i64,
        if_overfull: IfOverfull,
    },
    Seats {
        session: Uuid,
    },
    /// A seat for an attendee of another organisation's event.
    Foreign {
        session: Uuid,
    },
}

/// What is done with a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Read,
    Cancel,
    Accept,
    Decline,
}

impl Ask {
    /// The request. People who have signed in ask for themselves, the organiser asks for the others.
    pub fn call(&self, front: &Front, venue: &Venue) -> Call {
        let anna = venue.anna.token.as_str();
        let token = |person: usize| venue.people[person].token.as_deref().unwrap_or(anna);
        match *self {
            Self::Book { session, person, if_full, priority, over } => {
                let mut body = json!({ "attendeeId": venue.people[person].id });
                let mut own = token(person);
                if let Some(if_full) = if_full {
                    body["ifFull"] = json!(if_full);
                }
                if let Some(priority) = priority {
                    (own, body["priority"]) = (anna, json!(priority));
                }
                if over {
                    (own, body["override"]) = (anna, json!({ "rules": ["capacity", "overlap"], "reason": "speaks next door" }));
                }
                front.post(format!("/v1/sessions/{session}/registrations")).token(own).json(&body)
            }
            Self::BookAll { ref sessions, person } => {
                let wishes: Vec<Value> = sessions.iter().map(|session| json!({ "sessionId": session })).collect();
                let body = json!({ "attendeeId": venue.people[person].id, "sessions": wishes });
                front.post(format!("/v1/events/{}/bookings", venue.rules.id)).token(token(person)).json(&body)
            }
            Self::Move { registration, person, to, if_full } => {
                let mut body = json!({ "sessionId": to });
                if let Some(if_full) = if_full {
                    body["ifFull"] = json!(if_full);
                }
                front.post(format!("/v1/registrations/{registration}/move")).token(token(person)).json(&body)
            }
            Self::On { registration, person, what } => {
                let path = format!("/v1/registrations/{registration}");
                let call = match what {
                    What::Read => front.get(path),
                    What::Cancel => front.post(path + "/cancel"),
                    What::Accept => front.post(path + "/accept"),
                    What::Decline => front.post(path + "/decline"),
                };
                call.token(token(person))
            }
            Self::Prioritise { registration, priority } => {
                front.patch(format!("/v1/registrations/{registration}")).token(anna).merge(&json!({ "priority": priority }))
            }
            Self::Resize { session, capacity, if_overfull } => {
                let path = format!("/v1/sessions/{session}?ifOverfull={}", if_overfull.as_str());
                front.patch(path).token(anna).if_match("*").merge(&json!({ "capacity": capacity }))
            }
            Self::Seats { session } => front.get(format!("/v1/sessions/{session}/availability")),
            Self::Foreign { session } => {
                let body = json!({ "attendeeId": venue.stranger.id });
                front.post(format!("/v1/sessions/{session}/registrations")).token(anna).json(&body)
            }
        }
    }

    /// Whether it takes an `Idempotency-Key`.
    pub fn takes_a_key(&self) -> bool {
        matches!(self, Self::Book { .. } | Self::BookAll { .. } | Self::Move { .. })
    }
}

/// An attempt at something: lost if no answer was seen.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The same for all attempts at one thing.
    pub wish: u64,
    pub ask: Ask,
    pub keyed: bool,
    /// Ticks and times, of asking and of the answer. One tick is before another if it was over when that came.
    pub asked: u64,
    pub answer: Option<Told>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Told {
    pub tick: u64,
    pub at: Timestamp,
    pub status: u16,
    pub json: Value,
}

impl Told {
    /// The code of a problem.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

/// All attempts of a run.
#[derive(Default)]
pub struct History {
    ticks: AtomicU64,
    wishes: AtomicU64,
    attempts: Mutex<Vec<Attempt>>,
    answers: AtomicU64,
    answered: Notify,
}

impl History {
    /// The number of something new that is wanted.
    pub fn wish(&self) -> u64 {
        self.wishes.fetch_add(1, Ordering::SeqCst)
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes down that something is asked; the place of the attempt.
    pub fn ask(&self, wish: u64, ask: Ask, keyed: bool) -> usize {
        let mut attempts = self.attempts.lock().expect("attempts");
        attempts.push(Attempt { wish, ask, keyed, asked: self.tick(), answer: None });
        attempts.len() - 1
    }

    /// Writes down what was answered, at a time by the server's clock.
    pub fn answer(&self, place: usize, answer: &Answer, at: Timestamp) {
        let told = Told { tick: self.tick(), at, status: answer.status, json: answer.json.clone() };
        self.attempts.lock().expect("attempts")[place].answer = Some(told);
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.answered.notify_waiters();
    }

    /// Waits until so many were answered.
    pub async fn answers(&self, many: u64) {
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            answered.as_mut().enable();
            if self.answers.load(Ordering::SeqCst) >= many {
                return;
            }
            answered.await;
        }
    }

    /// What was written down.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().expect("attempts").clone()
    }
}
