//! What a schema has to say about a request, in our words: a stable code, a pointer, and no echo of the input.

use super::escape;
use crate::error::{Detail, In};
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use serde_json::Value;

/// At most this many details a problem: enough to mend a form, not a way to make the server write long answers.
const MAX_DETAILS: usize = 20;

/// The longest pointer that the contract lets an answer have.
const MAX_POINTER: usize = 2_000;

/// All that is wrong with `body`, at the places where it is wrong.
pub fn in_body(validator: &Validator, body: &Value) -> Vec<Detail> {
    if validator.is_valid(body) {
        return Vec::new();
    }
    let errors = validator.iter_errors(body).flat_map(|error| details(&error));
    errors.take(MAX_DETAILS).collect()
}

/// The first thing that is wrong with a parameter: its code and a sentence.
pub fn in_parameter(validator: &Validator, value: &Value) -> Option<(String, String)> {
    // Most are good, and saying so is cheaper than looking for errors.
    if validator.is_valid(value) {
        return None;
    }
    let error = validator.iter_errors(value).next()?;
    Some((code(&error).to_owned(), sentence(&error)))
}

fn details(error: &ValidationError<'_>) -> Vec<Detail> {
    let at = error.instance_path().to_string();
    let detail = |pointer: String, text: String| Detail {
        r#in: In::Body,
        pointer: Some(pointer),
        name: None,
        code: code(error).to_owned(),
        detail: text,
    };
    match error.kind() {
        // Both point at the object; a form needs the member.
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![detail(member(&at, name), "is required".to_owned())]
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let unknown = unexpected.iter().take(MAX_DETAILS);
            unknown.map(|name| detail(member(&at, name), "is not a field here".to_owned())).collect()
        }
        // It is about a name, which has no place of its own.
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default();
            vec![Detail {
                r#in: In::Body,
                pointer: Some(member(&at, name)),
                name: None,
                code: code(error).to_owned(),
                detail: format!("its name {}", sentence(error)),
            }]
        }
        _ => vec![detail(at, sentence(error))],
    }
}

/// The pointer to a member; to the object itself, if the name is so long that the answer would have no end.
fn member(object: &str, name: &str) -> String {
    let pointer = format!("{object}/{}", escape(name));
    if pointer.len() > MAX_POINTER { object.to_owned() } else { pointer }
}

/// The validator's sentence with the value masked, so that a password is never sent back.
fn sentence(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Pattern { .. } => "has characters or a form that is not allowed here".to_owned(),
        Kind::Format { format } => format!("is not a valid {format}"),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            "has none of the forms allowed here".to_owned()
        }
        _ => error.masked_with("the value").to_string(),
    }
}

fn code(error: &ValidationError<'_>) -> &'static str {
    match error.kind() {
        // Named apart, because it is invisible where people look for the mistake.
        Kind::Pattern { .. } if error.instance().as_str().is_some_and(|text| text.contains('\0')) => "null_character",
        Kind::Required { .. } => "required",
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => "unknown_field",
        Kind::Type { .. } => "wrong_type",
        Kind::MaxLength { .. } => "too_long",
        Kind::MinLength { .. } => "too_short",
        Kind::MaxItems { .. } | Kind::MaxProperties { .. } => "too_many",
        Kind::MinItems { .. } | Kind::MinProperties { .. } => "too_few",
        Kind::Minimum { .. } | Kind::Maximum { .. } | Kind::ExclusiveMinimum { .. } | Kind::ExclusiveMaximum { .. } => "out_of_range",
        Kind::Pattern { .. } => "pattern",
        Kind::Format { .. } => "format",
        Kind::Enum { .. } | Kind::Constant { .. } => "enum",
        Kind::UniqueItems => "duplicate",
        _ => "invalid_body",
    }
}
