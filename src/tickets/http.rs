//! Issuing tickets. They are redeemed at the door.

use super::store::{self, PARAM, Target};
use crate::{
    app::Registrar,
    auth::{
        Manage, Staff,
        guard::{self, Access, OfEvent, OfSession, Place},
    },
    clock::Timestamp,
    contract::{Operation, door},
    db::is_foreign_key_violation,
    error::{Code, Problem},
    extract::{Caller, Json},
    reply::Reply,
    state::State,
};
use actix_web::{HttpResponse, http::header};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap};
use uuid::Uuid;

/// How long a ticket is good for: as long as it takes to follow a link.
const LIFETIME_SECS: i64 = 60;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("createTicket", create);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    ticket: String,
    expires_at: Timestamp,
    url: String,
}

async fn create(state: State, Caller(user): Caller, Json(Create { path: address }): Json<Create>) -> Reply {
    let (path, query) = address.split_once('?').unwrap_or((&address, ""));
    let (operation, named) = state.contract.opened_by_ticket(path).ok_or_else(no_list)?;
    let pairs = readable(operation, query, &named)?;
    may_read(&state, operation, &named, user).await?;
    let (ticket, target, now) = (state.random.secret(), Target::new(path, &pairs), state.clock.now());
    let expires_at = now.plus_secs(LIFETIME_SECS);
    let kept = ticket.clone();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let added = store::add(tx, &kept, user, &target, now, expires_at).await;
            // A token outlives its user by minutes.
            added.map_err(|error| if is_foreign_key_violation(&error) { Problem::unauthenticated() } else { error.into() })
        })
    });
    write.await?;
    let joint = if address.contains('?') { '&' } else { '?' };
    let url = format!("{address}{joint}{PARAM}={}", ticket.0);
    let body = Ticket { ticket: ticket.0, expires_at, url };
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
}

fn no_list() -> Problem {
    Problem::unknown_reference("/path")
}

/// The pairs of the query, if the door would let them pass.
fn readable(operation: &Operation, query: &str, named: &HashMap<String, String>) -> Result<Vec<(String, String)>, Problem> {
    let refused = |detail: String| Problem::invalid(Code::InvalidBody, "/path", detail);
    let pairs = door::query_pairs(query).map_err(|_| refused("has a query that can't be read".to_owned()))?;
    if pairs.iter().any(|(name, _)| name == PARAM) {
        return Err(refused("has a ticket".to_owned()));
    }
    door::check_parameters(operation, &pairs, |parameter| named.get(&parameter.name).map(Cow::from)).map_err(|problem| {
        let wrong = problem.details().iter().map(|detail| format!("{} {}", detail.name.as_deref().unwrap_or_default(), detail.detail));
        refused(format!("has a bad parameter: {}", wrong.collect::<Vec<_>>().join("; ")))
    })?;
    Ok(pairs)
}

/// Refuses links that would lead nowhere. What they open is asked again when the ticket is redeemed.
async fn may_read(state: &State, operation: &Operation, named: &HashMap<String, String>, user: Uuid) -> Result<(), Problem> {
    match operation.id.as_str() {
        "listSessionRegistrations" => passes::<OfSession, Staff>(state, named, user).await,
        "listEventRegistrations" => passes::<OfEvent, Staff>(state, named, user).await,
        "listAttendees" => passes::<OfEvent, Manage>(state, named, user).await,
        other => Err(Problem::internal(format!("nobody says who may have a ticket for {other}"))),
    }
}

async fn passes<P: Place, A: Access>(state: &State, named: &HashMap<String, String>, user: Uuid) -> Result<(), Problem> {
    let found = guard::find::<P>(&state.db, named.get(P::PARAM).map_or("", String::as_str), Some(user)).await?;
    let found = found.ok_or_else(no_list)?;
    A::check(&found).map_err(|refused| if refused.code() == Code::NotFound { no_list() } else { refused })
}
