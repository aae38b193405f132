//! Holds answers against `openapi.yaml`: status, media type, headers, body, and the problem's code.

use super::client::Answer;
use jsonschema::{PatternOptions, Registry, Validator};
use plenary::contract::OPENAPI_YAML;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

/// Headers that the contract needs not name.
const EXEMPT: &[&str] = &["date", "content-length", "content-type", "connection", "vary", "transfer-encoding", "x-request-id"];
/// What is served beside the contract: its own text and the page that shows it.
const OUTSIDE: &[&str] = &["/docs", "/openapi.yaml", "/openapi.json"];
const BASE: &str = "test:openapi";

type Check = Result<(), String>;

/// The contract, closed: a property it doesn't name is an error.
pub struct Document {
    /// The document as it stands in the repository.
    pub open: Value,
    closed: &'static Value,
    registry: Registry<'static>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    /// Read once for all tests.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Document> = OnceLock::new();
        SHARED.get_or_init(|| Self::parse(OPENAPI_YAML))
    }

    fn parse(yaml: &str) -> Self {
        let open: Value =
            serde_saphyr::from_str_with_options(yaml, serde_saphyr::options! { strict_booleans: true }).expect("openapi.yaml is YAML");
        let mut closed = open.clone();
        close(&mut closed);
        let closed: &'static Value = Box::leak(Box::new(closed));
        let registry = Registry::new().add(BASE, closed).and_then(|registry| registry.prepare()).expect("openapi.yaml has no stray $ref");
        Self { open, closed, registry, validators: Mutex::default() }
    }

    /// All operations: method, path and the operation itself.
    pub fn operations(&self) -> impl Iterator<Item = (Method, &str, &Value)> {
        let paths = self.open["paths"].as_object().expect("paths");
        paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods
                .filter(|(_, operation)| operation.get("operationId").is_some())
                .map(move |(method, operation)| (method.to_uppercase().parse().expect("a method"), path.as_str(), operation))
        })
    }

    /// Holds an answer against what the contract says about the request.
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) -> Check {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if *method == Method::OPTIONS || OUTSIDE.iter().any(|outside| path.starts_with(outside)) {
            return Ok(());
        }
        let Some(template) = self.template(path) else { return self.check_bare(answer, 404, "not_found") };
        let pointer = format!("/paths/{}/{}", escape(template), method.as_str().to_lowercase());
        if self.closed.pointer(&pointer).is_none() {
            if answer.headers.get("allow").is_none() {
                return Err("405 without Allow".into());
            }
            return self.check_bare(answer, 405, "method_not_allowed");
        }
        let (_, operation) = self.resolve(&pointer);
        let Some(_) = operation["responses"].get(answer.status.to_string()) else {
            return Err(format!("{} has no response {}", operation["operationId"], answer.status));
        };
        let (pointer, response) = self.resolve(&format!("{pointer}/responses/{}", answer.status));
        self.check_headers(&pointer, response, answer)?;
        self.check_body(&pointer, response, answer)?;
        if answer.status < 400 {
            return Ok(());
        }
        let code = answer.json["code"].as_str().unwrap_or_default();
        let named = response["description"].as_str().is_some_and(|text| text.contains(&format!("`{code}`")));
        if !named {
            return Err(format!("{} does not name `{code}` among its {}", operation["operationId"], answer.status));
        }
        consistent(answer)
    }

    /// What every path may answer although no operation declares it.
    fn check_bare(&self, answer: &Answer, status: u16, code: &str) -> Check {
        if answer.status != status || answer.json["code"] != code {
            return Err(format!("not in the contract, so {status} {code} was expected"));
        }
        self.validate("/components/schemas/Problem", &answer.json)?;
        for name in answer.headers.keys().map(|name| name.as_str()) {
            if !(exempt(name) || name == "allow" && status == 405) {
                return Err(format!("the header {name} is not declared"));
            }
        }
        consistent(answer)
    }

    fn check_headers(&self, pointer: &str, response: &Value, answer: &Answer) -> Check {
        let none = Map::new();
        let declared = response["headers"].as_object().unwrap_or(&none);
        for name in declared.keys() {
            let (at, header) = self.resolve(&format!("{pointer}/headers/{}", escape(name)));
            let values: Vec<_> = answer.headers.get_all(name.to_ascii_lowercase()).iter().collect();
            match values.as_slice() {
                [] if header["required"] == true => return Err(format!("the header {name} is missing")),
                [] => {}
                [value] => {
                    let text = value.to_str().map_err(|_| format!("the header {name} is not text"))?;
                    let (_, schema) = self.resolve(&format!("{at}/schema"));
                    let value = match schema["type"].as_str() {
                        Some("integer") => json!(text.parse::<i64>().map_err(|_| format!("the header {name} is no integer"))?),
                        _ => json!(text),
                    };
                    self.validate(&format!("{at}/schema"), &value).map_err(|error| format!("the header {name}: {error}"))?;
                }
                _ => return Err(format!("the header {name} is there twice")),
            }
        }
        let undeclared = answer.headers.keys().map(|name| name.as_str()).find(|name| {
            let named = declared.keys().any(|declared| declared.eq_ignore_ascii_case(name));
            !named && !exempt(name)
        });
        undeclared.map_or(Ok(()), |name| Err(format!("the header {name} is not declared")))
    }

    fn check_body(&self, pointer: &str, response: &Value, answer: &Answer) -> Check {
        let Some(content) = response["content"].as_object() else {
            return match (answer.bytes.is_empty(), answer.media_type()) {
                (true, None) => Ok(()),
                _ => Err("a body where none is declared".into()),
            };
        };
        let media = answer.media_type().ok_or("no Content-Type")?;
        if !content.contains_key(&media) {
            return Err(format!("the media type {media} is not declared"));
        }
        if media.starts_with("application/vnd.") {
            // Bytes: no schema says more of them than their media type.
            return Ok(());
        }
        let value = if media.ends_with("/json") || media.ends_with("+json") {
            serde_json::from_slice(&answer.bytes).map_err(|error| format!("not JSON: {error}"))?
        } else {
            let text = String::from_utf8(answer.bytes.clone()).map_err(|_| "not UTF-8")?;
            match &*media {
                "application/yaml" => serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { strict_booleans: true })
                    .map_err(|error| format!("not YAML: {error}"))?,
                _ => Value::String(text),
            }
        };
        self.validate(&format!("{pointer}/content/{}/schema", escape(&media)), &value)
    }

    /// Holds a value against the schema at a pointer into the document.
    pub fn validate(&self, pointer: &str, value: &Value) -> Check {
        let validator = self.validator(pointer);
        let errors: Vec<String> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let build = || {
            let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
            let built = jsonschema::options()
                .with_registry(&self.registry)
                .should_validate_formats(true)
                .should_ignore_unknown_formats(false)
                .with_format("int32", |_: &str| true)
                .with_format("int64", |_: &str| true)
                .with_pattern_options(PatternOptions::regex())
                .build(&json!({ "$ref": format!("{BASE}#{fragment}") }));
            Arc::new(built.unwrap_or_else(|error| panic!("{pointer} is no schema: {error}")))
        };
        Arc::clone(validators.entry(pointer.to_owned()).or_insert_with(build))
    }

    /// The path of the contract that this path is one of; literal segments win.
    fn template(&self, path: &str) -> Option<&str> {
        let paths = self.open["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let mut given = path.split('/');
            let fits = template
                .split('/')
                .all(|wanted| given.next().is_some_and(|given| wanted == given || (wanted.starts_with('{') && !given.is_empty())));
            fits && given.next().is_none()
        };
        let candidates = paths.keys().map(String::as_str).filter(|template| fits(template));
        candidates.min_by_key(|template| template.matches('{').count())
    }

    fn resolve(&self, pointer: &str) -> (String, &Value) {
        let value = self.closed.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: nothing there"));
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolve(reference.strip_prefix('#').expect("a $ref into the document")),
            None => (pointer.to_owned(), value),
        }
    }
}

fn exempt(name: &str) -> bool {
    EXEMPT.contains(&name) || name.starts_with("access-control-")
}

/// A problem says in several places which one it is; they agree.
fn consistent(answer: &Answer) -> Check {
    let problem = &answer.json;
    let code = problem["code"].as_str().unwrap_or_default();
    let id = answer.header("x-request-id").unwrap_or_default();
    let agree = problem["status"] == answer.status
        && problem["type"] == format!("urn:problem-type:plenary:{code}")
        && problem["instance"] == format!("urn:uuid:{id}");
    if agree { Ok(()) } else { Err("the problem's members contradict each other".into()) }
}

/// Adds `unevaluatedProperties: false` to every schema that names properties.
fn close(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(object) => {
            for (name, member) in object.iter_mut() {
                if !matches!(name.as_str(), "example" | "examples" | "default" | "enum" | "const") {
                    close(member);
                }
            }
            if object.get("properties").is_some_and(Value::is_object) && object.contains_key("type") {
                object.insert("unevaluatedProperties".into(), Value::Bool(false));
            }
        }
        _ => {}
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
