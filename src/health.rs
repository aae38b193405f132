//! Whether the process lives and whether it can do its work.

use crate::{
    app::Registrar,
    db,
    error::{Code, Problem},
    extract::state,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use std::time::Duration;

/// How long the database may take to say that it is there: less than whoever asks for readiness waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("getLiveness", liveness).on("getReadiness", readiness);
}

async fn liveness() -> HttpResponse {
    healthy()
}

async fn readiness(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let unready = |detail| Err(Problem::new(Code::Unavailable, detail));
    let state = state(&request);
    if state.is_draining() {
        return unready("This server is shutting down.");
    }
    match tokio::time::timeout(PATIENCE, state.db.schema_version()).await {
        Ok(Ok(Some(version))) if version == db::latest_version() => Ok(healthy()),
        // Another node has brought it up to date: what this one reads and writes may not fit any more.
        Ok(Ok(Some(version))) if version > db::latest_version() => unready("The database's schema is newer than this server."),
        Ok(Ok(_)) => unready("The database's schema is older than this server."),
        Ok(Err(_)) | Err(_) => unready("The database does not answer."),
    }
}

fn healthy() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}
