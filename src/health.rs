//! Whether the process lives and whether it can do its work.

use crate::{
    app::Registrar,
    error::{Code, Problem},
    extract::state,
    reply::{self, Reply},
};
use actix_web::HttpRequest;
use serde_json::json;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("getLiveness", liveness).on("getReadiness", readiness);
}

async fn liveness(request: HttpRequest) -> Reply {
    reply::hashed(&request, &json!({ "status": "ok" }))
}

async fn readiness(request: HttpRequest) -> Reply {
    let ready = state(&request).db.ping().await;
    ready.map_err(|_| Problem::new(Code::Unavailable, "The database does not answer."))?;
    reply::hashed(&request, &json!({ "status": "ok" }))
}
