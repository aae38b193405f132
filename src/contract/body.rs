//! Request bodies: size, deadline, media type, syntax and schema, in that order.

use super::{ContractError, json, violation};
use crate::error::{Code, Problem};
use actix_web::{
    dev::Payload,
    http::header::{self, HeaderMap},
    web::BytesMut,
};
use futures_util::StreamExt;
use jsonschema::Validator;
use serde_json::Value;
use std::{str, time::Duration};

/// What the body of an operation must be.
pub struct BodyRule {
    /// Whether it may be left out.
    pub required: bool,
    /// Its largest size in bytes.
    pub max_bytes: usize,
    pub(super) media: Vec<(Media, Validator)>,
}

/// A body that was read.
#[derive(Default)]
pub struct Body {
    /// As it arrived.
    pub bytes: BytesMut,
    /// What it says; `None` if there is none and none is needed.
    pub value: Option<Value>,
}

/// A media type that a body can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    essence: String,
    syntax: Syntax,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
}

impl Media {
    pub(super) fn parse(essence: &str) -> Result<Self, ContractError> {
        let syntax = match essence {
            "application/yaml" => Syntax::Yaml,
            json if json == "application/json" || json.ends_with("+json") => Syntax::Json,
            other => return Err(ContractError(format!("bodies of {other} are not supported"))),
        };
        Ok(Self { essence: essence.to_owned(), syntax })
    }
}

impl BodyRule {
    /// Reads, parses and validates the body.
    pub async fn read(&self, headers: &HeaderMap, payload: &mut Payload, deadline: Duration) -> Result<Body, Problem> {
        if declared_length(headers).is_some_and(|length| length > self.max_bytes as u64) {
            return Err(self.too_large());
        }
        let bytes = tokio::time::timeout(deadline, self.collect(payload))
            .await
            .map_err(|_| Problem::new(Code::RequestTimeout, format!("The body did not arrive within {} s.", deadline.as_secs())))??;
        if bytes.is_empty() {
            if self.required {
                return Err(Problem::new(Code::MalformedBody, "A body is required.").at("", "required", "is required"));
            }
            return Ok(Body::default());
        }
        let value = self.parse(self.media(headers)?, &bytes)?;
        Ok(Body { bytes, value: Some(value) })
    }

    /// Parses and validates a body that did not come over HTTP.
    pub fn read_text(&self, syntax: Syntax, bytes: &[u8]) -> Result<Value, Problem> {
        if bytes.len() > self.max_bytes {
            return Err(self.too_large());
        }
        let rule = self.media.iter().find(|(media, _)| media.syntax == syntax);
        self.parse(rule.ok_or_else(|| Problem::internal("the operation takes no body of this syntax"))?, bytes)
    }

    fn parse(&self, (media, validator): &(Media, Validator), bytes: &[u8]) -> Result<Value, Problem> {
        let value = match media.syntax {
            Syntax::Json => parse_json(bytes)?,
            Syntax::Yaml => {
                let text = str::from_utf8(bytes).map_err(|_| malformed("is not UTF-8"))?;
                parse_yaml(text).map_err(yaml_problem)?
            }
        };
        let details = violation::in_body(validator, &value);
        if details.is_empty() {
            return Ok(value);
        }
        let problem = Problem::new(Code::InvalidBody, "The body breaks the contract; `errors` says where.");
        Err(details.into_iter().fold(problem, Problem::with_detail))
    }

    async fn collect(&self, payload: &mut Payload) -> Result<BytesMut, Problem> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| malformed(&format!("ended early: {error}")))?;
            if bytes.len() + chunk.len() > self.max_bytes {
                return Err(self.too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn too_large(&self) -> Problem {
        Problem::new(Code::BodyTooLarge, format!("The body may have at most {} bytes.", self.max_bytes))
    }

    fn media(&self, headers: &HeaderMap) -> Result<&(Media, Validator), Problem> {
        let unsupported = |detail: String| {
            let accepted: Vec<&str> = self.media.iter().map(|(media, _)| media.essence.as_str()).collect();
            Problem::new(Code::UnsupportedMediaType, format!("{detail} This operation takes {}.", accepted.join(" or ")))
        };
        let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        if encoding.is_some_and(|encoding| encoding != b"identity") {
            return Err(unsupported("Encoded bodies are not taken.".to_owned()));
        }
        let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut pieces = given.split(';').map(str::trim);
        let essence = pieces.next().unwrap_or_default();
        let charset_fits = pieces.filter_map(|piece| piece.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
        let found = self.media.iter().find(|(media, _)| media.essence.eq_ignore_ascii_case(essence));
        match found {
            Some(found) if charset_fits => Ok(found),
            _ => Err(unsupported("The Content-Type is missing or not one that is taken.".to_owned())),
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::MalformedBody, format!("The body {what}.")).at("", Code::MalformedBody.as_str(), what)
}

fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    if str::from_utf8(bytes).is_err() {
        return Err(malformed("is not UTF-8"));
    }
    json::parse(bytes).map_err(|error| match error {
        json::JsonError::DuplicateKey(pointer) => duplicate_key(pointer),
        json::JsonError::Malformed(why) => malformed(&format!("is not JSON: {why}")),
    })
}

fn duplicate_key(pointer: String) -> Problem {
    Problem::new(Code::DuplicateKey, "An object in the body has a key twice.").at(pointer, "duplicate_key", "is given twice")
}

/// Parses YAML 1.2 with only `true` and `false` as booleans (else the country `NO` is false) and no duplicate keys.
/// A value may be referred to as often as a conference has sessions: what aliases grow to is bounded by the other limits.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { strict_booleans: true, budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false } };
    serde_saphyr::from_str_with_options(text, options)
}

fn yaml_problem(error: serde_saphyr::Error) -> Problem {
    let text = error.to_string();
    // The parser has no kind to ask; its first line names the defect and the place, the rest quotes the text.
    let first = text.lines().next().unwrap_or_default().to_owned();
    if first.contains("duplicate") {
        return Problem::new(Code::DuplicateKey, format!("The document has a key twice: {first}")).at("", "duplicate_key", first);
    }
    malformed(&format!("is not YAML: {first}"))
}
