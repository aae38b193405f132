//! Reading and replacing the programme document.

use super::{
    document::Document,
    plan::{Plan, ProgrammeChanges},
    store::{self, Current},
};
use crate::{
    accept,
    app::Registrar,
    auth::{Guard, Manage, Public, guard::OfEvent},
    clock::Timestamp,
    db::{Db, Tx},
    error::Problem,
    events::store::{find, lock_programme},
    extract::{IfMatch, Json, Params},
    registrations::seats::{self, Touched},
    reply::{self, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Deserialize;
use uuid::Uuid;

/// Its routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("getProgramme", get).on("replaceProgramme", replace);
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// The tag of one representation of a version. What members read has drafts, what the public reads has not: its tag
/// must not do for a PUT, which would remove them.
fn tag(version: i64, sees_drafts: bool, media: &str) -> String {
    let audience = if sees_drafts { "" } else { ".public" };
    let format = if media == YAML { ".yaml" } else { "" };
    format!("\"{version}{audience}{format}\"")
}

async fn get(request: HttpRequest, state: State, guard: Guard<OfEvent, Public>) -> Reply {
    let media = accept::choose(&request, &[JSON, YAML])?;
    let current = read(&state.db, guard.event_id()).await?;
    let tag = tag(current.event.programme_version, guard.sees_drafts(), media);
    if let Some(not_modified) = reply::not_modified(&request, &tag) {
        return Ok(not_modified);
    }
    let document = Document::of(current, guard.sees_drafts());
    let text = match media {
        YAML => document.to_yaml(),
        _ => serde_json::to_string(&document).map_err(Problem::internal),
    }?;
    Ok(HttpResponse::Ok()
        .content_type(media)
        .insert_header((header::ETAG, tag))
        .insert_header((header::VARY, "Accept, Authorization"))
        .body(text))
}

/// How often a read that met a change is begun again before it is given as it is.
const READS: u32 = 5;

/// The programme as it stood at one moment: every change moves its version on, so a read that has the same version
/// before and after is whole.
async fn read(db: &Db, event_id: Uuid) -> Result<Current, Problem> {
    let mut attempts = 0;
    loop {
        let current = store::load(&mut &*db, event_id).await?.ok_or_else(Problem::not_found)?;
        let after = find(db, event_id).await?.ok_or_else(Problem::not_found)?;
        attempts += 1;
        if after.programme_version == current.event.programme_version || attempts == READS {
            return Ok(current);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Choice {
    #[serde(default)]
    dry_run: bool,
}

async fn replace(
    state: State,
    guard: Guard<OfEvent, Manage>,
    if_match: IfMatch,
    Params(Choice { dry_run }): Params<Choice>,
    Json(document): Json<Document>,
) -> Reply {
    let (changes, version) = put(&state, guard.event_id(), Some(if_match), document, dry_run).await?;
    reply::changed(version, &changes)
}

/// Makes the programme of an event what the document says, whole or not at all; with `dry_run` it only says what would
/// change. Answers that and the programme's version.
pub async fn put(
    state: &State,
    event_id: Uuid,
    if_match: Option<IfMatch>,
    document: Document,
    dry_run: bool,
) -> Result<(ProgrammeChanges, i64), Problem> {
    let (now, ids) = (state.clock.now(), state.clone());
    let edit = Edit { event_id, if_match, document, dry_run, now };
    state.bookings.edit(move |tx| Box::pin(edit.run(tx, ids))).await
}

struct Edit {
    event_id: Uuid,
    if_match: Option<IfMatch>,
    document: Document,
    dry_run: bool,
    now: Timestamp,
}

impl Edit {
    async fn run(self, tx: &mut Tx, ids: State) -> Result<(ProgrammeChanges, i64), Problem> {
        let Self { event_id, if_match, document, dry_run, now } = self;
        seats::lock(tx, Touched::Event(event_id)).await?;
        let version = lock_programme(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        if let Some(if_match) = if_match {
            if_match.check_tags(&[&tag(version, true, JSON), &tag(version, true, YAML)])?;
        }
        let current = store::load(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        let plan = Plan::new(current, document, || ids.new_id())?;
        // Again, now that no session can come: one may have, and been booked, before the programme was locked.
        let occupied = seats::lock(tx, Touched::Event(event_id)).await?;
        seats::require_none(&plan.hits(occupied))?;
        let changes = plan.changes(dry_run);
        if dry_run || plan.is_empty() {
            return Ok((changes, version));
        }
        let version = store::apply(tx, event_id, &plan, now).await?;
        Ok((changes, version))
    }
}
