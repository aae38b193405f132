//! Whether the process lives and whether it can do its work.

use crate::{
    app::Registrar,
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
    let ready = state(&request).db.ping().await;
    ready.map_err(|_| Problem::new(Code::Unavailable, "The database does not answer."))?;
    Ok(healthy())
}

fn healthy() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}
