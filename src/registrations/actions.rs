//! What can be done with a registration: cancel it, move it, take or decline an offer, change its priority.

use super::{
    http::{RegistrationPath, RegistrationView, answer, settle},
    model::{Actor, Command, IfFull},
    store,
};
use crate::{
    error::Problem,
    extract::{Json, Params, Patch, SignedIn},
    idempotency::Once,
    reply::{self, Reply},
    state::State,
};
use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who acts on a registration: its attendee, or an owner or organiser. `own` says which.
struct Acting {
    own: bool,
    actor: Actor,
}

impl Acting {
    /// Refuses everybody else: members with 403, strangers with 404.
    async fn on(state: &State, caller: SignedIn, registration_id: Uuid) -> Result<Self, Problem> {
        let relation = store::relation(&state.db, registration_id, caller.principal).await?.ok_or_else(Problem::not_found)?;
        let own = relation.user_id == Some(caller.id);
        let organiser = match relation.role {
            Some(role) if role.manages() => true,
            _ if own => false,
            Some(_) => return Err(Problem::forbidden()),
            None => return Err(Problem::not_found()),
        };
        Ok(Self { own, actor: Actor { user_id: caller.id, organiser } })
    }
}

pub(super) async fn cancel(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let Acting { own, actor } = Acting::on(&state, caller, path.registration).await?;
    changed(&state, Command::Cancel { registration_id: path.registration, own, actor }).await
}

pub(super) async fn accept(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let Acting { actor, .. } = Acting::on(&state, caller, path.registration).await?;
    changed(&state, Command::Accept { registration_id: path.registration, actor }).await
}

pub(super) async fn decline(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>) -> Reply {
    let Acting { actor, .. } = Acting::on(&state, caller, path.registration).await?;
    changed(&state, Command::Decline { registration_id: path.registration, actor }).await
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
    let Acting { actor, .. } = Acting::on(&state, caller, path.registration).await?;
    let command = Command::Move {
        registration_id: path.registration,
        new_id: state.new_id(),
        session_id: body.session_id,
        if_full: body.if_full,
        actor,
    };
    answer(&state, command, once.claim(&state)?).await
}

/// What an organiser can change of a registration.
#[derive(Deserialize, Serialize)]
struct Form {
    priority: i64,
}

pub(super) async fn update(state: State, caller: SignedIn, Params(path): Params<RegistrationPath>, patch: Patch) -> Reply {
    let Acting { actor, .. } = Acting::on(&state, caller, path.registration).await?;
    if !actor.organiser {
        return Err(Problem::forbidden());
    }
    let shown = store::find(&state.db, path.registration).await?.ok_or_else(Problem::not_found)?;
    let Form { priority } = patch.onto(&Form { priority: shown.priority })?;
    changed(&state, Command::Prioritise { registration_id: path.registration, priority, actor }).await
}

/// Asks the engine, and answers with the registration as it is then.
async fn changed(state: &State, command: Command) -> Reply {
    let view: RegistrationView = settle(state, state.bookings.ask(command).await?).await?;
    reply::tagged(HttpResponse::Ok(), &view)
}
