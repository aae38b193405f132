//! Wishes for several sessions at once: what would come of them, and booking them.

use super::{
    engine,
    http::{RegistrationView, whom},
    model::{Actor, Booking, Command, Done, IfFull, Outcome},
    refusal::Refusal,
};
use crate::{
    auth::{Guard, Public, guard::OfEvent},
    error::Problem,
    extract::{Json, SignedIn},
    idempotency::Once,
    reply::{self, Answer, Reply},
    state::State,
};
use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The most wanted first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wishes {
    attendee_id: Option<Uuid>,
    sessions: Vec<Wish>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    session_id: Uuid,
    if_full: Option<IfFull>,
}

impl Wishes {
    async fn bookings(self, state: &State, caller: SignedIn, guard: &Guard<OfEvent, Public>) -> Result<Vec<Booking>, Problem> {
        let (who, organiser) = whom(state, caller, self.attendee_id, Some(&guard.found)).await?;
        let booking = |wish: Wish| Booking {
            registration_id: state.new_id(),
            session_id: wish.session_id,
            within: Some(guard.event_id()),
            who,
            if_full: wish.if_full,
            passing: None,
            priority: 0,
            actor: Actor { user_id: caller.id, organiser },
        };
        Ok(self.sessions.into_iter().map(booking).collect())
    }
}

#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}

/// What would come of a wish: a status, or the code of a refusal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    session_id: Uuid,
    verdict: &'static str,
    position: Option<i64>,
    /// The one that is there already.
    registration_id: Option<Uuid>,
    problem: Option<Value>,
}

impl Verdict {
    fn of(session_id: Uuid, result: Result<Outcome, Refusal>) -> Self {
        match result {
            Ok(outcome) => Self {
                session_id,
                verdict: outcome.registration.status.as_str(),
                position: outcome.position,
                registration_id: (!outcome.created).then_some(outcome.registration.id),
                problem: None,
            },
            Err(refusal) => {
                let problem = Problem::from(refusal);
                let verdict = problem.code().as_str();
                Self { session_id, verdict, position: None, registration_id: None, problem: Some(problem.item()) }
            }
        }
    }
}

/// One verdict a wish, in the light of those before it; nothing is written.
pub(super) async fn plan(state: State, caller: SignedIn, guard: Guard<OfEvent, Public>, Json(wishes): Json<Wishes>) -> Reply {
    let bookings = wishes.bookings(&state, caller, &guard).await?;
    let sessions: Vec<Uuid> = bookings.iter().map(|booking| booking.session_id).collect();
    let tried = engine::try_out(&state.db, &state.clock, vec![Command::BookAll(bookings)]).await?;
    let results = each(tried.into_iter().next().ok_or_else(|| Problem::internal("a plan came to nothing"))??)?;
    let items = sessions.into_iter().zip(results).map(|(session_id, result)| Verdict::of(session_id, result)).collect();
    reply::tagged(HttpResponse::Ok(), &Items { items })
}

/// What came of a booking.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Booked {
    session_id: Uuid,
    /// What the booking alone would have answered.
    status: u16,
    registration: Option<RegistrationView>,
    problem: Option<Value>,
}

impl Booked {
    fn of(session_id: Uuid, result: Result<Outcome, Refusal>) -> Self {
        match result {
            Ok(outcome) => {
                let status = if outcome.created { 201 } else { 200 };
                Self { session_id, status, registration: Some(outcome.into()), problem: None }
            }
            Err(refusal) => {
                let problem = Problem::from(refusal);
                Self { session_id, status: problem.code().status(), registration: None, problem: Some(problem.item()) }
            }
        }
    }
}

/// Books each for itself, the most wanted first.
pub(super) async fn book(state: State, caller: SignedIn, guard: Guard<OfEvent, Public>, once: Once, Json(wishes): Json<Wishes>) -> Reply {
    let bookings = wishes.bookings(&state, caller, &guard).await?;
    let sessions: Vec<Uuid> = bookings.iter().map(|booking| booking.session_id).collect();
    let rendered = move |done: &Done| render(&sessions, done);
    let command = Command::BookAll(bookings);
    let Some(claim) = once.claim(&state)? else {
        return Ok(rendered(&state.bookings.settle(command).await?)?.into_response());
    };
    let render = Arc::new(rendered);
    let kept = Arc::clone(&render);
    let made = move |done: &Done| made_something(done).then(|| kept(done).ok()).flatten();
    match state.bookings.ask_once(command, Arc::clone(&claim), Arc::new(made)).await? {
        engine::Once::Replay(stored) => claim.replay(stored),
        engine::Once::Done(done) => {
            let answer = render(&done)?;
            if made_something(&done) {
                return Ok(answer.into_response());
            }
            // Nothing was written; what is said is kept for itself.
            claim.write(&state, |_| Box::pin(async move { Ok(answer) })).await
        }
    }
}

fn render(sessions: &[Uuid], done: &Done) -> Result<Answer, Problem> {
    let results = each(done.clone())?;
    let items = sessions.iter().zip(results).map(|(session_id, result)| Booked::of(*session_id, result)).collect();
    Answer::hashed(None, &Items { items })
}

fn made_something(done: &Done) -> bool {
    matches!(done, Done::Each(results) if results.iter().flatten().any(|outcome| outcome.created))
}

fn each(done: Done) -> Result<Vec<Result<Outcome, Refusal>>, Problem> {
    match done {
        Done::Each(results) => Ok(results),
        other => Err(Problem::internal(format!("a list of bookings came to {other:?}"))),
    }
}
