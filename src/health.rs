//! Whether the process lives and whether it can do its work.

use crate::{
    app::Registrar,
    db,
    error::{Code, Problem},
    extract::state,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("getLiveness", liveness).on("getReadiness", readiness);
}

async fn liveness() -> HttpResponse {
    healthy()
}

async fn readiness(request: HttpRequest) -> Result<HttpResponse, Problem> {
    // A newer schema is fine: while nodes are replaced one by one, the first new one has migrated.
    match state(&request).db.schema_version().await {
        Ok(Some(version)) if version >= db::latest_version() => Ok(healthy()),
        Ok(_) => Err(Problem::new(Code::Unavailable, "The database's schema is older than this server.")),
        Err(_) => Err(Problem::new(Code::Unavailable, "The database does not answer.")),
    }
}

fn healthy() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}
