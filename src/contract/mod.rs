//! `openapi.yaml` is the law: this folder reads it once at start, compiles what requests must look like and
//! refuses at the door what it doesn't allow. Routes are registered by its `operationId`s ([`crate::app`]).

mod body;
pub mod docs;
pub mod door;
mod json;
mod violation;

pub(crate) use body::parse_yaml;
pub use body::{Body, BodyRule, Syntax};

use crate::{api_keys::model::Scope, idempotency};
use actix_web::http::Method;
use jsonschema::{PatternOptions, Registry, Validator};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// The document, as it stands in the repository.
pub const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");
/// What `$ref`s into the document are relative to, inside the server.
const BASE: &str = "plenary:openapi";

/// The contract can't be used; the server doesn't start.
#[derive(Debug, thiserror::Error)]
#[error("openapi.yaml: {0}")]
pub struct ContractError(String);

/// The compiled contract.
pub struct Contract {
    /// The document as JSON, served at `/openapi.json`.
    pub json: String,
    operations: HashMap<String, Arc<Operation>>,
}

/// One operation: who may call it, and what its request must look like.
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// Its place in the document, from 0.
    pub number: usize,
    /// Its method.
    pub method: Method,
    /// Its path as in the document, which is also how actix writes it.
    pub path: String,
    /// Whether a token is needed, read if given, or not looked at.
    pub security: Security,
    /// The scope an API key needs; `None` where keys aren't taken.
    pub scope: Option<Scope>,
    /// Whether a link may carry a ticket in place of a token.
    pub tickets: bool,
    /// Path, query and header parameters.
    pub parameters: Vec<Parameter>,
    /// What the body must be, where there is one.
    pub body: Option<BodyRule>,
    /// Whether it takes an `Idempotency-Key`.
    pub keyed: bool,
    /// Which rate limit its requests count towards.
    pub limit: Limit,
}

/// Who may call an operation, as far as the contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nobody signs in here.
    None,
    /// With or without a token; a bad token is still refused.
    Optional,
    /// Only with a token.
    Required,
}

/// Which rate limit the requests of an operation count towards, as `x-rate-limit` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of the user, or of the address where nobody is signed in. What is not said is this.
    General,
    /// That of the user's bookings.
    Booking,
    /// That of sign-ins from the address.
    LogIn,
    /// That of new accounts from the address.
    SignUp,
    /// None: probes.
    None,
}

/// A parameter outside the body.
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: crate::error::In,
    required: bool,
    kind: Kind,
    validator: Validator,
}

/// Parameters arrive as text; this says what they are read as before they are validated.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Boolean,
}

impl Parameter {
    fn is_header(&self, name: &str) -> bool {
        self.place == crate::error::In::Header && self.name.eq_ignore_ascii_case(name)
    }
}

impl Contract {
    /// Reads and compiles the embedded document, once a process: the tests start hundreds of servers in one.
    pub fn load() -> Result<Arc<Self>, ContractError> {
        static LOADED: OnceLock<Arc<Contract>> = OnceLock::new();
        if let Some(loaded) = LOADED.get() {
            return Ok(Arc::clone(loaded));
        }
        let compiled = Arc::new(Self::parse(OPENAPI_YAML)?);
        Ok(Arc::clone(LOADED.get_or_init(|| compiled)))
    }

    /// Reads and compiles a document.
    pub fn parse(yaml: &str) -> Result<Self, ContractError> {
        let document: Value = body::parse_yaml(yaml).map_err(|error| ContractError(error.to_string()))?;
        let registry = Registry::new()
            .add(BASE, document.clone())
            .and_then(|registry| registry.prepare())
            .map_err(|error| ContractError(error.to_string()))?;
        let compiler = Compiler { document: &document, registry: &registry };
        let mut operations = HashMap::new();
        for (path, item) in members(&document["paths"]) {
            for (method, operation) in members(item) {
                let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
                if operation.get("operationId").is_none() {
                    continue;
                }
                let operation = Operation { number: operations.len(), ..compiler.operation(path, method, item, operation)? };
                let id = operation.id.clone();
                if operations.insert(id.clone(), Arc::new(operation)).is_some() {
                    return Err(ContractError(format!("operationId {id} is given twice")));
                }
            }
        }
        Ok(Self { json: document.to_string(), operations })
    }

    /// All operations, in no order.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.operations.values()
    }

    /// The operation that a link to this path leads to and that a ticket opens, with what the path names.
    pub fn opened_by_ticket(&self, path: &str) -> Option<(&Arc<Operation>, HashMap<String, String>)> {
        let links = self.operations.values().filter(|operation| operation.method == Method::GET && operation.tickets);
        links.into_iter().find_map(|operation| Some((operation, named(&operation.path, path)?)))
    }

    /// The operation of that id.
    pub fn operation(&self, id: &str) -> Option<&Arc<Operation>> {
        self.operations.get(id)
    }
}

struct Compiler<'d> {
    document: &'d Value,
    registry: &'d Registry<'d>,
}

impl Compiler<'_> {
    fn operation(&self, path: &str, method: Method, item: &Value, operation: &Value) -> Result<Operation, ContractError> {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let at = format!("/paths/{}/{}", escape(path), method.as_str().to_lowercase());
        let shared = array(&item["parameters"]).map(|(index, value)| (format!("/paths/{}/parameters/{index}", escape(path)), value));
        let own = array(&operation["parameters"]).map(|(index, value)| (format!("{at}/parameters/{index}"), value));
        let mut parameters = Vec::new();
        for (pointer, _) in shared.chain(own) {
            parameters.push(self.parameter(&pointer)?);
        }
        let body = match operation.get("requestBody") {
            Some(_) => Some(self.body(&format!("{at}/requestBody"))?),
            None => None,
        };
        let keyed = parameters.iter().any(|parameter| parameter.is_header(idempotency::HEADER));
        let ((security, tickets), scope, limit) = (security(operation)?, scope(operation)?, limit(operation)?);
        Ok(Operation { id, number: 0, method, path: path.to_owned(), security, scope, tickets, parameters, body, keyed, limit })
    }

    fn parameter(&self, pointer: &str) -> Result<Parameter, ContractError> {
        let (pointer, parameter) = self.resolve(pointer)?;
        let place = match parameter["in"].as_str() {
            Some("query") => crate::error::In::Query,
            Some("path") => crate::error::In::Path,
            Some("header") => crate::error::In::Header,
            other => return Err(ContractError(format!("{pointer}: parameters in {other:?} are not supported"))),
        };
        let (_, schema) = self.resolve(&format!("{pointer}/schema"))?;
        let kind = match schema["type"].as_str() {
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("string") => Kind::Text,
            other => return Err(ContractError(format!("{pointer}: parameters of type {other:?} are not supported"))),
        };
        Ok(Parameter {
            name: parameter["name"].as_str().unwrap_or_default().to_owned(),
            place,
            required: parameter["required"].as_bool().unwrap_or(false),
            kind,
            validator: self.validator(&format!("{pointer}/schema"))?,
        })
    }

    fn body(&self, pointer: &str) -> Result<BodyRule, ContractError> {
        let (pointer, body) = self.resolve(pointer)?;
        let media = members(&body["content"])
            .map(|(name, _)| {
                let schema = format!("{pointer}/content/{}/schema", escape(name));
                Ok((body::Media::parse(name)?, self.validator(&schema)?))
            })
            .collect::<Result<Vec<_>, ContractError>>()?;
        let max_bytes = body["x-max-body-bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok());
        Ok(BodyRule {
            required: body["required"].as_bool().unwrap_or(false),
            max_bytes: max_bytes.ok_or_else(|| ContractError(format!("{pointer}: x-max-body-bytes is missing")))?,
            media,
        })
    }

    /// Follows `$ref`s: where the thing really stands, and the thing.
    fn resolve(&self, pointer: &str) -> Result<(String, &Value), ContractError> {
        let value = self.document.pointer(pointer).ok_or_else(|| ContractError(format!("{pointer}: nothing there")))?;
        match value.get("$ref").and_then(Value::as_str) {
            None => Ok((pointer.to_owned(), value)),
            Some(reference) => {
                let target =
                    reference.strip_prefix('#').ok_or_else(|| ContractError(format!("{pointer}: {reference} leaves the document")))?;
                self.resolve(target)
            }
        }
    }

    fn validator(&self, pointer: &str) -> Result<Validator, ContractError> {
        let fragment: String = pointer.replace('{', "%7B").replace('}', "%7D");
        jsonschema::options()
            .with_registry(self.registry)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            // Widths of integers: said for client generators, checked by minimum and maximum.
            .with_format("int32", |_: &str| true)
            .with_format("int64", |_: &str| true)
            // Linear time, whatever the input.
            .with_pattern_options(PatternOptions::regex())
            .build(&json!({ "$ref": format!("{BASE}#{fragment}") }))
            .map_err(|error| ContractError(format!("{pointer}: {error}")))
    }
}

/// What the braces of `template` stand for in `path`; `None` if it is another path.
fn named(template: &str, path: &str) -> Option<HashMap<String, String>> {
    let mut names = HashMap::new();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}')) {
                Some(name) => drop(names.insert(name.to_owned(), given.to_owned())),
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

/// Who may call it, and whether a ticket does for a token.
fn security(operation: &Value) -> Result<(Security, bool), ContractError> {
    let Some(alternatives) = operation["security"].as_array() else {
        return Err(ContractError(format!("{}: security must be explicit", operation["operationId"])));
    };
    let open = alternatives.iter().any(|alternative| alternative.as_object().is_some_and(serde_json::Map::is_empty));
    let tickets = alternatives.iter().any(|alternative| alternative.get("ticket").is_some());
    let security = match (alternatives.is_empty(), open) {
        (true, _) => Security::None,
        (false, true) => Security::Optional,
        (false, false) => Security::Required,
    };
    Ok((security, tickets))
}

fn limit(operation: &Value) -> Result<Limit, ContractError> {
    match operation.get("x-rate-limit").map(|limit| limit.as_str().unwrap_or_default()) {
        None => Ok(Limit::General),
        Some("booking") => Ok(Limit::Booking),
        Some("login") => Ok(Limit::LogIn),
        Some("signup") => Ok(Limit::SignUp),
        Some("none") => Ok(Limit::None),
        Some(other) => Err(ContractError(format!("{}: there is no rate limit {other:?}", operation["operationId"]))),
    }
}

/// The role name beside the scheme `apiKey` (OpenAPI 3.1 allows them with every scheme).
fn scope(operation: &Value) -> Result<Option<Scope>, ContractError> {
    let wrong = |what: &str| ContractError(format!("{}: {what}", operation["operationId"]));
    let mut named = operation["security"].as_array().into_iter().flatten().filter_map(|alternative| alternative.get("apiKey"));
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some(roles), None) => match roles.as_array().map(Vec::as_slice) {
            Some([role]) => role.as_str().unwrap_or_default().parse().map(Some).map_err(|error: String| wrong(&error)),
            _ => Err(wrong("an API key needs exactly one scope")),
        },
        _ => Err(wrong("API keys are named twice")),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn array(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

/// A member's name within a JSON Pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
