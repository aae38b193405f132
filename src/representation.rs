//! A representation of something (RFC 9110, section 3.2), whole in memory: it can be sent as often as it is asked for.

use crate::{
    encoding::Encoding,
    error::Problem,
    reply::{etag, not_modified, tag_from},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::Bytes,
};
use serde::Serialize;

/// Bytes with what is to be said of them. Sending it copies nothing.
#[derive(Clone, Debug)]
pub struct Representation {
    media: &'static str,
    encoding: Encoding,
    /// That of the same without a coding.
    tag: String,
    etag: HeaderValue,
    link: Option<HeaderValue>,
    vary: Option<&'static str>,
    body: Bytes,
}

const JSON: &str = "application/json";

impl Representation {
    /// Of that media type, with that strong tag.
    pub fn new(media: &'static str, tag: String, body: impl Into<Bytes>) -> Result<Self, Problem> {
        let etag = header(&tag)?;
        Ok(Self { media, encoding: Encoding::Identity, tag, etag, link: None, vary: None, body: body.into() })
    }

    /// JSON with the row's version as its tag.
    pub fn versioned<T: Serialize>(version: i64, body: &T) -> Result<Self, Problem> {
        Self::new(JSON, etag(version), serde_json::to_vec(body).map_err(Problem::internal)?)
    }

    /// JSON with a tag made from it: for lists and whatever has no version of its own.
    pub fn hashed<T: Serialize>(body: &T) -> Result<Self, Problem> {
        let text = serde_json::to_vec(body).map_err(Problem::internal)?;
        Self::new(JSON, tag_from(&text), text)
    }

    /// With a `Link` (RFC 8288) where there is one.
    pub fn linked(self, link: Option<String>) -> Result<Self, Problem> {
        Ok(Self { link: link.as_deref().map(header).transpose()?, ..self })
    }

    /// One of several, which is chosen by these headers of the request.
    #[must_use]
    pub fn varying(self, by: &'static str) -> Self {
        Self { vary: Some(by), ..self }
    }

    /// The same in another coding.
    pub fn encoded(&self, encoding: Encoding, body: impl Into<Bytes>) -> Result<Self, Problem> {
        Ok(Self { encoding, etag: header(&encoding.tag(&self.tag))?, body: body.into(), ..self.clone() })
    }

    /// The bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// 200, or 304 for who has it in whatever coding.
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let vary = self.vary.map(|vary| (header::VARY, HeaderValue::from_static(vary)));
        if let Some(mut not_modified) = not_modified(request, &self.tag) {
            if let Some((name, value)) = vary {
                not_modified.headers_mut().insert(name, value);
            }
            return not_modified;
        }
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(self.media)));
        response.insert_header((header::ETAG, self.etag.clone()));
        if let Some(name) = self.encoding.name() {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
        }
        if let Some(vary) = vary {
            response.insert_header(vary);
        }
        if let Some(link) = &self.link {
            response.insert_header((header::LINK, link.clone()));
        }
        response.body(self.body.clone())
    }
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(Problem::internal)
}
