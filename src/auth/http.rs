//! The public keys.

use crate::{
    app::Registrar,
    reply::{self, Reply},
    state::State,
};
use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use serde_json::json;

/// Its route.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("getJwks", jwks);
}

async fn jwks(request: HttpRequest, state: State) -> Reply {
    let mut response = reply::hashed(&request, &json!({ "keys": state.tokens.published_keys() }))?;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public, max-age=300"));
    }
    Ok(response)
}
