//! Which columns a file has and in which format it is.

use super::{csv, ndjson};
use crate::{
    accept,
    db::{Field, Kind, Part, Parts},
    error::{Code, In, Problem},
    reply::Reply,
};
use actix_web::{
    HttpRequest,
    http::header::{self, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io;

/// A column that a list can have.
#[derive(Debug)]
pub struct Column {
    /// What programs call it; it never changes.
    pub id: &'static str,
    /// What people read above it.
    pub heading: &'static str,
    /// Where it comes from.
    pub field: Field,
    /// Whether only owners and organisers see it; for others it is empty.
    pub contact: bool,
    /// Its width in a spreadsheet, in characters.
    pub width: u16,
}

impl Column {
    /// A column for all who may read the list.
    pub const fn new(id: &'static str, heading: &'static str, width: u16, kind: Kind, sql: &'static str) -> Self {
        Self { id, heading, field: Field { sql, kind }, contact: false, width }
    }

    /// A column of a list that is in memory: no statement reads it.
    pub const fn held(id: &'static str, heading: &'static str, width: u16, kind: Kind) -> Self {
        Self::new(id, heading, width, kind, "NULL")
    }

    /// A column for owners and organisers.
    pub const fn contact(id: &'static str, heading: &'static str, width: u16, kind: Kind, sql: &'static str) -> Self {
        Self { id, heading, field: Field { sql, kind }, contact: true, width }
    }
}

/// The columns of a list.
#[derive(Debug)]
pub struct Table {
    /// All there are.
    pub columns: &'static [&'static [Column]],
    /// The ids of those that CSV and XLSX have unless others are chosen.
    pub usual: &'static [&'static str],
    /// The members of the list's JSON item and the ids of their columns, as in `("attendee.name", "name")`; members of
    /// one object stand together.
    pub item: &'static [(&'static str, &'static str)],
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().copied().flatten()
    }

    fn column(&self, id: &str) -> Option<&'static Column> {
        self.all().find(|column| column.id == id)
    }

    fn columns<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Vec<&'static Column> {
        ids.filter_map(|id| self.column(id)).collect()
    }

    /// Panics where an id names no column: for the tests of the lists.
    #[cfg(test)]
    pub fn check(&self) {
        for id in self.usual.iter().chain(self.item.iter().map(|(_, id)| id)) {
            assert!(self.column(id).is_some(), "there is no column {id}");
        }
        for column in self.all() {
            assert_eq!(self.all().filter(|other| other.id == column.id).count(), 1, "{} is there twice", column.id);
        }
    }

    fn choose(&self, ids: &str) -> Result<Vec<&'static Column>, Problem> {
        let refused = |code: &str, detail: String| {
            Problem::new(Code::InvalidParameter, "A parameter is not valid; `errors` says which.").parameter(
                In::Query,
                "columns",
                code,
                detail,
            )
        };
        let mut chosen: Vec<&'static Column> = Vec::new();
        for id in ids.split(',') {
            let column = self.column(id).ok_or_else(|| {
                let known: Vec<&str> = self.all().map(|column| column.id).collect();
                refused("unknown_column", format!("there is no column {id}; there are {}", known.join(", ")))
            })?;
            if chosen.iter().any(|other| other.id == id) {
                return Err(refused("duplicate", format!("names {id} twice")));
            }
            chosen.push(column);
        }
        Ok(chosen)
    }
}

/// In which format a list is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Pages of JSON.
    Json,
    /// A JSON object a line.
    Ndjson,
    /// Comma separated values.
    Csv,
    /// A spreadsheet.
    Xlsx,
}

impl Format {
    const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Xlsx];

    /// Its media type, as in `Accept`.
    pub fn media(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// What follows the dot in a file's name, and what `?format=` says.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }

    /// What `format` says, else what `Accept` likes best.
    fn of(request: &HttpRequest, given: Option<Self>) -> Result<Self, Problem> {
        if let Some(format) = given {
            return Ok(format);
        }
        let media = accept::choose(request, &Self::ALL.map(Self::media))?;
        Ok(Self::ALL.into_iter().find(|format| format.media() == media).unwrap_or(Self::Json))
    }
}

/// What a request says about the format of a list.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    format: Option<Format>,
    columns: Option<String>,
    safe: Option<bool>,
    limit: Option<i64>,
    cursor: Option<String>,
    /// The path and the filters.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Wanted {
    /// The filters and the order, as they were given.
    pub fn filter(&self) -> Map<String, Value> {
        let filter = self.rest.iter().filter(|(name, _)| !["event", "session"].contains(&name.as_str()));
        filter.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The file that is wanted; `None` if it is a page of JSON. What has no meaning in the format is refused.
    pub fn layout(&self, request: &HttpRequest, table: &Table) -> Result<Option<Layout>, Problem> {
        let format = Format::of(request, self.format)?;
        let paged = format == Format::Json;
        let misplaced = [
            ("limit", self.limit.is_some() && !paged, "is not allowed with a file, which is the whole list"),
            ("cursor", self.cursor.is_some() && !paged, "is not allowed with a file, which is the whole list"),
            ("columns", self.columns.is_some() && paged, "is not allowed with JSON: choose a file format"),
            ("safe", self.safe.is_some() && format != Format::Csv, "is for CSV only"),
        ];
        if let Some((name, _, detail)) = misplaced.into_iter().find(|(_, misplaced, _)| *misplaced) {
            let problem = Problem::new(Code::InvalidParameter, "A parameter does not go with the format; `errors` says which.");
            return Err(problem.parameter(In::Query, name, "not_allowed", detail));
        }
        if paged {
            return Ok(None);
        }
        let chosen = self.columns.as_deref().map(|ids| table.choose(ids)).transpose()?;
        Ok(Some(Layout::new(format, self.safe.unwrap_or(true), table, chosen)))
    }

    /// The same of a list that has no pages: JSON is whole too, and has the columns of its items.
    pub fn whole(&self, request: &HttpRequest, table: &Table) -> Result<Layout, Problem> {
        let layout = self.layout(request, table)?;
        Ok(layout.unwrap_or_else(|| Layout::new(Format::Json, true, table, None)))
    }
}

/// A page, marked as one of several representations.
pub fn negotiated(page: Reply) -> Reply {
    page.map(|mut response| {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    })
}

/// How a file is written.
#[derive(Debug)]
pub struct Layout {
    /// In which format; JSON only where the list has no pages.
    pub format: Format,
    /// Its columns, in order.
    pub columns: Vec<&'static Column>,
    /// Whether no cell of a CSV may be a formula.
    pub safe: bool,
    members: ndjson::Members,
}

impl Layout {
    fn new(format: Format, safe: bool, table: &Table, chosen: Option<Vec<&'static Column>>) -> Self {
        let (columns, members) = match chosen {
            None if matches!(format, Format::Json | Format::Ndjson) => {
                (table.columns(table.item.iter().map(|(_, id)| *id)), ndjson::Members::new(table.item.iter().map(|(member, _)| *member)))
            }
            None => (table.columns(table.usual.iter().copied()), ndjson::Members::default()),
            Some(chosen) => {
                let members = ndjson::Members::new(chosen.iter().map(|column| column.id));
                (chosen, members)
            }
        };
        Self { format, columns, safe, members }
    }

    /// Whether it has that column.
    pub fn has(&self, id: &str) -> bool {
        self.columns.iter().any(|column| column.id == id)
    }

    /// What to read for each column. Contacts are not even read for who may not see them.
    pub fn fields(&self, contacts: bool) -> Vec<Field> {
        let hidden = |column: &Column| column.contact && !contacts;
        let field = |column: &&Column| if hidden(column) { Field { sql: "NULL", kind: Kind::Text } } else { column.field };
        self.columns.iter().map(field).collect()
    }

    /// The rows of items whose members are called like the columns.
    pub(super) fn parts<T: Serialize>(&self, items: &[T]) -> serde_json::Result<Parts> {
        let row = |item: &T| -> serde_json::Result<Value> {
            let mut item = serde_json::to_value(item)?;
            Ok(self.columns.iter().map(|column| item[column.id].take()).collect())
        };
        Parts::held(&self.fields(true), &items.iter().map(row).collect::<serde_json::Result<Vec<Value>>>()?)
    }

    /// What a text file begins with.
    pub(super) fn heading(&self) -> io::Result<Vec<u8>> {
        match self.format {
            Format::Csv => csv::heading(&self.columns, self.safe),
            Format::Json | Format::Ndjson | Format::Xlsx => Ok(Vec::new()),
        }
    }

    /// A part of the list as text of the file.
    pub(super) fn text(&self, part: &Part) -> io::Result<Vec<u8>> {
        match self.format {
            Format::Csv => csv::lines(part, self.safe),
            Format::Json | Format::Ndjson | Format::Xlsx => self.members.lines(part),
        }
    }
}
