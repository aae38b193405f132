//! What can be done with a registration: cancel it, move it, take or decline an offer, change its priority.

use super::{
    http::{RegistrationPath, RegistrationView, answer, answered, settle},
    model::{Actor, Command, IfFull, Outcome},
    store,
};
use crate::{
    error::{Code, Problem},
    extract::{Json, Params, Patch, SignedIn},
    idempotency::Once,
    reply::{self, Reply},
    state::State,
};
use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Asks for something about a registration as its attendee, else as an owner or organiser.
///
/// Most act on what is theirs, and whose it is, is decided with the rest. What else the caller may be is only looked up
/// where that was refused: so organisers ask twice.
async fn act(state: &State, caller: SignedIn, registration_id: Uuid, command: impl Fn(Actor) -> Command) -> Result<Outcome, Problem> {
    let as_attendee = Actor { user_id: caller.id, organiser: false };
    let refused = match caller.principal.user() {
        // A key has nothing of its own.
        None => None,
        Some(_) => match state.bookings.ask(command(as_attendee)).await {
            Err(problem) if matches!(problem.code(), Code::NotFound | Code::SessionStarted) => Some(problem),
            answer => return answer,
        },
    };
    match (acting(state, caller, registration_id).await?, refused) {
        (Actor { organiser: false, .. }, Some(refused)) => Err(refused),
        (actor, _) => state.bookings.ask(command(actor)).await,
    }
}

/// Who acts on a registration: its attendee, or an owner or organiser. Refuses everybody else: members with 403, strangers
/// with 404.
async fn acting(state: &State, caller: SignedIn, registration_id: Uuid) -> Result<Actor, Problem> {
    let relation = store::relation(&state.db, registration_id, caller.principal).await?.ok_or_else(Problem::not_found)?;
    let organiser = match relation.role {
        Some(role) if role.manages() => true,
        _ if relation.user_id == Some(caller.id) => false,
        Some(_) => return Err(Problem::forbidden()),
        None => return Err(Problem::not_found()),
    };
    Ok(Actor { user_id: caller.id, organiser })
}

pub(super) async fn cancel(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let registration_id = path.registration;
    changed(&state, act(&state, caller, registration_id, |actor| Command::Cancel { registration_id, actor }).await?).await
}

pub(super) async fn accept(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let registration_id = path.registration;
    changed(&state, act(&state, caller, registration_id, |actor| Command::Accept { registration_id, actor }).await?).await
}

pub(super) async fn decline(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let registration_id = path.registration;
    changed(&state, act(&state, caller, registration_id, |actor| Command::Decline { registration_id, actor }).await?).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Move {
    session_id: Uuid,
    if_full: Option<IfFull>,
}

pub(super) async fn move_to(
    state: State,
    caller: SignedIn,
    once: Once,
    Params(path): Params<RegistrationPath>,
    Json(body): Json<Move>,
) -> Reply {
    let Move { session_id, if_full } = body;
    let new_id = state.new_id();
    let command = |actor| Command::Move { registration_id: path.registration, new_id, session_id, if_full, actor };
    if once.has_key() {
        // Who sends a key may be told what was answered before: only who may know it.
        let actor = acting(&state, caller, path.registration).await?;
        return answer(&state, command(actor), once.claim(&state)?).await;
    }
    answered(&state, act(&state, caller, path.registration, command).await?).await
}

/// What an organiser can change of a registration.
#[derive(Deserialize, Serialize)]
struct Form {
    priority: i64,
}

pub(super) async fn update(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>, patch: Patch) -> Reply {
    let actor = acting(&state, caller, path.registration).await?;
    if !actor.organiser {
        return Err(Problem::forbidden());
    }
    let shown = store::find(&state.db, path.registration).await?.ok_or_else(Problem::not_found)?;
    let Form { priority } = patch.onto(&Form { priority: shown.priority })?;
    let command = Command::Prioritise { registration_id: path.registration, priority, actor };
    changed(&state, state.bookings.ask(command).await?).await
}

/// Answers with the registration as it is then.
async fn changed(state: &State, outcome: Outcome) -> Reply {
    let view: RegistrationView = settle(state, outcome).await?;
    reply::tagged(HttpResponse::Ok(), &view)
}
