//! Reading and replacing the programme document.

use super::{
    document::Document,
    replace::{Put, put},
    store,
};
use crate::{
    accept,
    app::Registrar,
    auth::{Guard, Manage, Public, guard::OfEvent},
    error::Problem,
    extract::{IfMatch, Json, Params},
    registrations::model::IfOverfull,
    reply::{self, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Deserialize;

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
    let current = store::snapshot(&state.db, guard.event_id()).await?.ok_or_else(Problem::not_found)?;
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Choice {
    #[serde(default)]
    dry_run: bool,
    if_overfull: Option<IfOverfull>,
}

async fn replace(
    state: State,
    guard: Guard<OfEvent, Manage>,
    if_match: IfMatch,
    Params(choice): Params<Choice>,
    Json(document): Json<Document>,
) -> Reply {
    let admit = move |version| if_match.check_tags(&[&tag(version, true, JSON), &tag(version, true, YAML)]);
    let how = Put {
        event_id: guard.event_id(),
        dry_run: choice.dry_run,
        if_overfull: choice.if_overfull.unwrap_or(IfOverfull::Refuse),
        actor: guard.acting(),
    };
    let (changes, version) = put(&state, how, document, admit).await?;
    reply::changed(version, &changes)
}
