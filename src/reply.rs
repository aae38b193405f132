//! Answers: JSON with an entity tag, 304 for who has it already, 201 with its address.

use crate::{
    error::Problem,
    extract::{header_text, matches},
    random::sha256,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// What a handler answers.
pub type Reply = Result<HttpResponse, Problem>;

/// The strong entity tag of a row's version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// 200 with the row's version as its tag, or 304.
pub fn versioned<T: Serialize>(request: &HttpRequest, version: i64, body: &T) -> Reply {
    let tag = etag(version);
    if let Some(not_modified) = not_modified(request, &tag) {
        return Ok(not_modified);
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(body))
}

/// 200 with a tag made from the body, or 304: for lists and whatever has no version of its own.
pub fn hashed<T: Serialize>(request: &HttpRequest, body: &T) -> Reply {
    linked(request, body, None)
}

/// As [`hashed`], with a `Link` header (RFC 8288) where there is one.
pub fn linked<T: Serialize>(request: &HttpRequest, body: &T, link: Option<String>) -> Reply {
    let text = serde_json::to_vec(body).map_err(Problem::internal)?;
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&sha256(&text)[..16]));
    if let Some(not_modified) = not_modified(request, &tag) {
        return Ok(not_modified);
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((header::ETAG, tag)).content_type("application/json");
    if let Some(link) = link {
        response.insert_header((header::LINK, link));
    }
    Ok(response.body(text))
}

/// 201 with the address and the version of what was made.
pub fn created<T: Serialize>(location: &str, version: i64, body: &T) -> Reply {
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).insert_header((header::ETAG, etag(version))).json(body))
}

/// 200 after a change, with the new version.
pub fn changed<T: Serialize>(version: i64, body: &T) -> Reply {
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(version))).json(body))
}

/// 204.
pub fn no_content() -> Reply {
    Ok(HttpResponse::NoContent().finish())
}

fn not_modified(request: &HttpRequest, tag: &str) -> Option<HttpResponse> {
    let given = header_text(request, header::IF_NONE_MATCH)?;
    // If-None-Match compares weakly (RFC 9110, 13.1.2): a proxy may have made the tag weak.
    matches(&given.replace("W/", ""), tag).then(|| HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish())
}
