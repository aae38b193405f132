//! `/openapi.yaml`, `/openapi.json` and the page that renders them, with nothing loaded from elsewhere.

use super::OPENAPI_YAML;
use crate::{error::Problem, state::State};
use actix_web::{HttpResponse, http::header, web};
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// What the page may load: its own files, and the styles and icons inside them. The browser refuses everything else.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Adds the documentation's routes. They describe the contract and are not part of it.
pub fn configure(app: &mut web::ServiceConfig) {
    app.route("/openapi.yaml", web::get().to(yaml))
        .route("/openapi.json", web::get().to(json))
        .route("/docs", web::get().to(|| async { moved("/docs/") }))
        .route("/docs/{file:.*}", web::get().to(page));
}

fn moved(to: &'static str) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, to)).finish()
}

async fn yaml() -> HttpResponse {
    HttpResponse::Ok().content_type("application/yaml").body(OPENAPI_YAML)
}

async fn json(state: State) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(state.contract.json.clone())
}

async fn page(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let config = Config::from("/openapi.json").try_it_out_enabled(true).persist_authorization(true).validator_url("none");
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config)).map_err(Problem::internal)?;
    let found = found.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok()
        .content_type(found.content_type)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(found.bytes.into_owned()))
}
