//! The document as a file, held against the contract like the body of a request.

use super::document::Document;
use crate::{
    contract::{Contract, Syntax},
    error::Problem,
    extract::typed,
};

/// The operation whose body a file is.
const OPERATION: &str = "replaceProgramme";
/// What some editors begin a file with.
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// How a document is written that doesn't say: as JSON if it begins with `{`, else as YAML.
pub fn syntax_of(bytes: &[u8]) -> Syntax {
    if unmarked(bytes).trim_ascii_start().starts_with(b"{") { Syntax::Json } else { Syntax::Yaml }
}

/// Reads a document.
pub fn read(contract: &Contract, bytes: &[u8], syntax: Syntax) -> Result<Document, Problem> {
    let rule = contract.operation(OPERATION).and_then(|operation| operation.body.as_ref());
    let rule = rule.ok_or_else(|| Problem::internal("the contract has no programme document"))?;
    typed(rule.read_text(syntax, unmarked(bytes))?)
}

fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Writes a document so that people like to read it.
pub fn write(document: &Document, syntax: Syntax) -> Result<String, Problem> {
    match syntax {
        Syntax::Yaml => document.to_yaml(),
        Syntax::Json => serde_json::to_string_pretty(document).map(|text| text + "\n").map_err(Problem::internal),
    }
}
