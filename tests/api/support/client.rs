//! Requests, and answers that were held against the contract.

use super::contract::Document;
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use std::io::Read;

/// A request under construction.
#[derive(Clone)]
pub struct Call {
    http: reqwest::Client,
    method: Method,
    base: String,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Call {
    pub(super) fn new(http: &reqwest::Client, method: Method, base: &str, path: &str) -> Self {
        Self {
            http: http.clone(),
            method,
            base: base.to_owned(),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: None,
            chunked: false,
        }
    }

    /// As the user of this access token.
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a merge patch.
    pub fn merge(self, patch: &Value) -> Self {
        self.body("application/merge-patch+json", patch.to_string())
    }

    /// With any body.
    pub fn body(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(bytes.into());
        self.header("content-type", content_type)
    }

    /// With the body in pieces of unknown number, so that no header tells its length.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        self
    }

    /// Only if it still has this ETag.
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// Only if it hasn't this ETag any more.
    pub fn if_none_match(self, etag: &str) -> Self {
        self.header("if-none-match", etag)
    }

    /// Sends it and holds the answer against the contract.
    pub async fn send(self) -> Answer {
        let request = format!("{} {}", self.method, self.path);
        let mut builder = self.http.request(self.method.clone(), format!("{}{}", self.base, self.path)).headers(self.headers);
        if let Some(body) = self.body {
            builder = match self.chunked {
                false => builder.body(body),
                true => {
                    let pieces: Vec<_> = body.chunks(10_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
                    builder.body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)))
                }
            };
        }
        let response = builder.send().await.unwrap_or_else(|error| panic!("{request}: no answer: {error:?}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{request}: the answer broke off: {error:?}"));
        let bytes = decoded(&headers, &bytes).unwrap_or_else(|error| panic!("{request}: the body can't be decoded: {error}"));
        Answer::read(request, (&self.method, &self.path), status, headers, bytes)
    }
}

/// A body without its coding. The client asks for none by itself.
fn decoded(headers: &HeaderMap, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => decoded.extend(bytes),
        Some(b"gzip") => drop(flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut decoded)?),
        Some(b"br") => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut decoded)?),
        Some(other) => return Err(std::io::Error::other(format!("what is {}?", String::from_utf8_lossy(other)))),
    }
    Ok(decoded)
}

/// An answer. It is declared in the contract, or the test has already failed.
#[derive(Debug)]
pub struct Answer {
    /// What was asked, for messages.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// The body if it is JSON, else null.
    pub json: Value,
    /// The body if it is UTF-8.
    pub text: String,
    /// The body, without its coding.
    pub bytes: Vec<u8>,
}

impl Answer {
    fn read(request: String, asked: (&Method, &str), status: StatusCode, headers: HeaderMap, bytes: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Self { request, status: status.as_u16(), headers, json: serde_json::from_str(&text).unwrap_or_default(), text, bytes };
        assert_ne!(answer.status, 500, "{}: the server failed: {}", answer.request, answer.text);
        if let Err(breach) = Document::shared().check(asked.0, asked.1, &answer) {
            let (breach, text): (String, String) = (breach.chars().take(2000).collect(), answer.text.chars().take(2000).collect());
            panic!("{}: {} breaks the contract: {breach}\n{:?}\n{text}", answer.request, answer.status, answer.headers);
        }
        answer
    }

    /// Fails unless the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text);
        self
    }

    /// Fails unless it is a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let found = (self.status, self.json["code"].as_str().unwrap_or_default());
        assert_eq!(found, (status, code), "{}: {}", self.request, self.text);
        self
    }

    /// The pointer of the problem's first error.
    #[track_caller]
    pub fn pointer(&self) -> &str {
        self.json["errors"][0]["pointer"].as_str().unwrap_or_else(|| panic!("{}: no pointer in {}", self.request, self.text))
    }

    /// `pointer code` (or `name code` for parameters and headers) of each of the problem's errors, sorted.
    pub fn errors(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().into_iter().flatten();
        let mut errors: Vec<String> = errors
            .map(|error| {
                let place = error["pointer"].as_str().or(error["name"].as_str()).unwrap_or("?");
                format!("{place} {}", error["code"].as_str().unwrap_or("?"))
            })
            .collect();
        errors.sort();
        errors
    }

    /// The ETag.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("{}: no ETag", self.request)).to_owned()
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type without parameters.
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// The ids of a page's items, in order.
    pub fn ids(&self) -> Vec<String> {
        self.all("id")
    }

    /// One text member of each of a page's items, in order.
    pub fn all(&self, member: &str) -> Vec<String> {
        let items = self.json["items"].as_array().unwrap_or_else(|| panic!("{}: no items in {}", self.request, self.text));
        items.iter().map(|item| item[member].as_str().unwrap_or_default().to_owned()).collect()
    }
}
