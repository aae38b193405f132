//! Reading and replacing the programme document.

use super::{
    document::Document,
    replace::{Put, put},
    store,
};
use crate::{
    app::Registrar,
    auth::{Guard, Manage, Reader, guard::OfEvent},
    cache,
    error::Problem,
    extract::{IfMatch, Json, Params},
    registrations::model::IfOverfull,
    reply::{self, Reply},
    representation::Representation,
    state::State,
};
use actix_web::HttpRequest;
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

async fn get(request: HttpRequest, guard: Guard<OfEvent, Reader>) -> Reply {
    let read = cache::read_as(&request, &guard, &[JSON, YAML], async |state, media| {
        let current = store::snapshot(&state.db, guard.event_id()).await?.ok_or_else(Problem::not_found)?;
        let tag = tag(current.event.programme_version, guard.sees_drafts(), media);
        let document = Document::of(current, guard.sees_drafts());
        let text = match media {
            YAML => document.to_yaml(),
            _ => serde_json::to_string(&document).map_err(Problem::internal),
        }?;
        Representation::new(media, tag, text)
    });
    read.await
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
    let (mut changes, version) = put(&state, how, document, admit).await?;
    changes.effects = changes.effects.seen_by(guard.sees_registrations());
    reply::changed(version, &changes)
}
