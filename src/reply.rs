//! Answers: JSON with an entity tag, 304 for who has it already, 201 with its address.

use crate::{
    error::Problem,
    extract::{Comparison, matching},
    random::sha256,
    representation::Representation,
};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
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
    Ok(Representation::hashed(body)?.answer(request))
}

/// The tag that [`hashed`] gives this body.
pub fn tag_of<T: Serialize>(body: &T) -> Result<String, Problem> {
    tagged_text(body).map(|(_, tag)| tag)
}

/// What a creation answers, as data: it can be kept beside an idempotency key and given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The address of what was made.
    pub location: Option<String>,
    /// Its entity tag.
    pub etag: String,
    /// JSON.
    pub body: String,
}

impl Answer {
    /// 201 with the address and the version of what was made.
    pub fn created<T: Serialize>(location: String, version: i64, body: &T) -> Result<Self, Problem> {
        Self::created_with(location, etag(version), body)
    }

    /// 201 with a tag that is not a version.
    pub fn created_with<T: Serialize>(location: String, etag: String, body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(Problem::internal)?;
        Ok(Self { status: StatusCode::CREATED.as_u16(), location: Some(location), etag, body })
    }

    /// With a tag made from the body: 201 with an address, else 200.
    pub fn hashed<T: Serialize>(location: Option<String>, body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(Problem::internal)?;
        let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Self { status: status.as_u16(), location, etag: tag_from(body.as_bytes()), body })
    }

    /// The response.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        response.insert_header((header::ETAG, self.etag)).content_type("application/json").body(self.body)
    }
}

/// 200 after a change, with the new version.
pub fn changed<T: Serialize>(version: i64, body: &T) -> Reply {
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(version))).json(body))
}

/// The answer to a change of what has no version of its own, with a tag made from the body.
pub fn tagged<T: Serialize>(mut response: HttpResponseBuilder, body: &T) -> Reply {
    let (text, tag) = tagged_text(body)?;
    Ok(response.insert_header((header::ETAG, tag)).content_type("application/json").body(text))
}

fn tagged_text<T: Serialize>(body: &T) -> Result<(Vec<u8>, String), Problem> {
    let text = serde_json::to_vec(body).map_err(Problem::internal)?;
    let tag = tag_from(&text);
    Ok((text, tag))
}

/// The strong entity tag of these bytes.
pub(crate) fn tag_from(text: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&sha256(text)[..16]))
}

/// 204.
pub fn no_content() -> Reply {
    Ok(HttpResponse::NoContent().finish())
}

/// 304 if the caller has the representation of that tag, in whatever coding. It names the tag they have, so that they know
/// which of what they keep is good.
pub fn not_modified(request: &HttpRequest, tag: &str) -> Option<HttpResponse> {
    let mut lines = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|line| line.to_str().ok());
    // If-None-Match compares weakly (RFC 9110, 13.1.2): a proxy may have made the tag weak.
    let seen = lines.find_map(|line| matching(line, tag, Comparison::Weak))?;
    Some(HttpResponse::NotModified().insert_header((header::ETAG, if seen == "*" { tag } else { seen })).finish())
}
