//! Streams, rooms and speakers over HTTP. Only the change of a room is its own: it can change seats.

use super::{Keyed, key_taken, store};
use crate::{
    auth::{Guard, Manage, Reader, guard::OfEvent},
    cache,
    db::{Keyset, is_foreign_key_violation},
    error::{Code, Problem},
    events::store::bump_programme,
    extract::{IfMatch, Json, Params, Patch},
    idempotency::Once,
    page::PageRequest,
    reply::{self, Answer, Reply},
    representation::Representation,
    state::State,
};
use actix_web::HttpRequest;
use serde::Deserialize;

/// What a list can be filtered by.
#[derive(Debug, Deserialize)]
pub struct Filter {
    q: Option<String>,
}

/// Those of an event, in pages.
pub async fn list<K: Keyed>(request: HttpRequest, guard: Guard<OfEvent, Reader>) -> Reply {
    let read = cache::read(&request, &guard, async |state| {
        let (Params(filter), page) = (Params::<Filter>::of(&request)?, PageRequest::of(&request));
        let (sort, descending) = page.order(K::DEFAULT_SORT);
        let order = K::order(sort);
        let keyset = Keyset { columns: (order.column, "id"), descending, after: page.after()?, limit: page.fetch() };
        let rows = store::list::<K>(&state.db, guard.event_id(), filter.q.as_deref(), keyset).await?;
        page.representation(rows, |row| ((order.value)(row).to_owned(), row.common().id), |row| row)
    });
    read.await
}

/// Adds one to an event.
pub async fn create<K: Keyed>(state: State, guard: Guard<OfEvent, Manage>, once: Once, Json(form): Json<K::Form>) -> Reply {
    let (event_id, id, now) = (guard.event_id(), state.new_id(), state.clock.now());
    let write = once.write(&state, move |tx| {
        Box::pin(async move {
            bump_programme(tx, event_id).await?;
            let made = store::insert::<K>(tx, event_id, id, &form, now).await.map_err(key_taken)?;
            Answer::created(format!("{}/{id}", K::PATH), made.common().version, &made)
        })
    });
    write.await
}

/// Reads one.
pub async fn get<K: Keyed>(request: HttpRequest, guard: Guard<K::Place, Reader>) -> Reply {
    let read = cache::read(&request, &guard, async |state| {
        let found = store::find::<K>(&state.db, guard.event_id(), guard.id()).await?.ok_or_else(Problem::not_found)?;
        Representation::versioned(found.common().version, &found)
    });
    read.await
}

/// Changes one.
pub async fn update<K: Keyed>(state: State, guard: Guard<K::Place, Manage>, if_match: IfMatch, patch: Patch) -> Reply {
    let (event_id, id, now) = (guard.event_id(), guard.id(), state.clock.now());
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let before = store::lock::<K>(tx, event_id, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(before.common().version)?;
            let current = before.form();
            let next = patch.onto(&current)?;
            if next == current {
                return Ok(before);
            }
            bump_programme(tx, event_id).await?;
            store::update(tx, &before, &next, now).await.map_err(key_taken)
        })
    });
    let changed = write.await?;
    reply::changed(changed.common().version, &changed)
}

/// Deletes one that no session refers to.
pub async fn delete<K: Keyed>(state: State, guard: Guard<K::Place, Manage>, if_match: IfMatch) -> Reply {
    let (event_id, id) = (guard.event_id(), guard.id());
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let before = store::lock::<K>(tx, event_id, id).await?.ok_or_else(Problem::not_found)?;
            if_match.require(before.common().version)?;
            bump_programme(tx, event_id).await?;
            // Counted before, for the answer: after a violation Postgres takes no more statements. The foreign key decides.
            let sessions = store::count_sessions::<K>(tx, id).await?;
            store::delete::<K>(tx, id).await.map_err(|error| match is_foreign_key_violation(&error) {
                true => Problem::new(Code::InUse, format!("Sessions that refer to this {}: {sessions}.", K::NOUN)),
                false => error.into(),
            })
        })
    });
    write.await?;
    reply::no_content()
}
