//! Who has a seat in a session and another at its hours: organisers gave it, or the programme changed.

use super::{
    decide::Slot,
    engine::{self, Wanted},
    store,
};
use crate::{
    auth::{Guard, Manage, guard::OfSession},
    clock::Timestamp,
    db::Tx,
    error::Problem,
    page::PageRequest,
    reply::Reply,
    state::State,
};
use actix_web::HttpRequest;
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

/// Somebody with two seats at the same hours.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Clash {
    registration_id: Uuid,
    attendee: Attendee,
    session: Other,
}

#[derive(Clone, Debug, Serialize)]
struct Attendee {
    id: Uuid,
    name: String,
}

/// The other seat.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Other {
    id: Uuid,
    code: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    registration_id: Uuid,
}

/// All of a session, by name.
pub async fn of_session(tx: &mut Tx, session_id: Uuid, now: Timestamp) -> Result<Vec<Clash>, Problem> {
    let world = engine::load(tx, &Wanted::all_in(session_id), now, false).await?;
    let clashing = world.clashes_in(session_id);
    let people: Vec<Uuid> = clashing.iter().map(|(held, ..)| held.attendee_id).collect();
    let names: HashMap<Uuid, String> = store::names(tx, &people).await?.into_iter().collect();
    let clash = |(held, registration_id, slot): &(super::model::Registration, Uuid, Slot)| Clash {
        registration_id: held.id,
        attendee: Attendee { id: held.attendee_id, name: names.get(&held.attendee_id).cloned().unwrap_or_default() },
        session: Other {
            id: slot.session_id,
            code: slot.code.clone(),
            starts_at: slot.starts_at,
            ends_at: slot.ends_at,
            registration_id: *registration_id,
        },
    };
    let mut clashes: Vec<Clash> = clashing.iter().map(clash).collect();
    clashes.sort_by(|one, other| one.place().cmp(&other.place()));
    Ok(clashes)
}

impl Clash {
    /// Its place in the list, without a tie.
    fn place(&self) -> (&str, Uuid) {
        (&self.attendee.name, self.session.registration_id)
    }
}

/// `listSessionClashes`.
pub(super) async fn list(request: HttpRequest, state: State, guard: Guard<OfSession, Manage>, page: PageRequest) -> Reply {
    let (session_id, now, after) = (guard.id(), state.clock.now(), page.after::<String>()?);
    let mut clashes = state.db.read(move |tx| Box::pin(of_session(tx, session_id, now))).await?;
    if let Some((name, id)) = &after {
        clashes.retain(|clash| clash.place() > (name.as_str(), *id));
    }
    clashes.truncate(usize::try_from(page.fetch()).unwrap_or(usize::MAX));
    page.reply(&request, clashes, |clash| (clash.attendee.name.clone(), clash.session.registration_id), |clash| clash)
}
