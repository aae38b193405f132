//! A JSON object a line.

use crate::db::{Cell, Part, Sink};
use std::io::{self, Write};

/// The members of the object, in order: what stands before each value, and what ends the line.
#[derive(Debug, Default)]
pub struct Members {
    before: Vec<String>,
    end: String,
}

impl Members {
    /// From names as in `name` or `attendee.name`; members of one object follow each other.
    pub fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut before = Vec::new();
        let mut open: Option<&str> = None;
        for name in names {
            let (object, member) = name.split_once('.').map_or((None, name), |(object, member)| (Some(object), member));
            let mut text = String::new();
            if open.is_some() && open != object {
                text.push('}');
            }
            text.push(if before.is_empty() { '{' } else { ',' });
            match object {
                Some(object) if open != Some(object) => text.push_str(&format!("\"{object}\":{{")),
                // The first of an inner object has no comma before it; the others do.
                _ => {}
            }
            text.push_str(&format!("\"{member}\":"));
            open = object;
            before.push(text);
        }
        let end = if open.is_some() { "}}\n" } else { "}\n" };
        Self { before, end: end.to_owned() }
    }

    /// The lines of a part.
    pub fn lines(&self, part: &Part) -> io::Result<Vec<u8>> {
        let mut lines = Lines { members: self, text: Vec::new() };
        part.read(&mut lines)?;
        Ok(lines.text)
    }
}

struct Lines<'m> {
    members: &'m Members,
    text: Vec<u8>,
}

impl Sink for Lines<'_> {
    fn cell(&mut self, field: usize, cell: Cell<'_>) -> io::Result<()> {
        self.text.extend_from_slice(self.members.before.get(field).map_or(b"", |before| before.as_bytes()));
        match cell {
            Cell::Empty => self.text.extend_from_slice(b"null"),
            Cell::Text(text) => serde_json::to_writer(&mut self.text, text)?,
            Cell::Integer(number) => write!(self.text, "{number}")?,
            Cell::Id(id) => write!(self.text, "\"{id}\"")?,
            Cell::Time(time) => write!(self.text, "\"{time}\"")?,
        }
        Ok(())
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.text.extend_from_slice(self.members.end.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line(names: &[&str]) -> Value {
        let members = Members::new(names.iter().copied());
        let mut lines = Lines { members: &members, text: Vec::new() };
        (0..names.len()).for_each(|field| lines.cell(field, Cell::Integer(field as i64)).unwrap());
        lines.end_row().unwrap();
        assert!(lines.text.ends_with(b"\n"));
        serde_json::from_slice(&lines.text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&lines.text)))
    }

    #[test]
    fn members_are_flat_or_one_object_deep() {
        assert_eq!(line(&["a", "b"]), json!({ "a": 0, "b": 1 }));
        assert_eq!(line(&["a", "in.x", "in.y"]), json!({ "a": 0, "in": { "x": 1, "y": 2 } }));
        assert_eq!(line(&["in.x", "out.x", "b"]), json!({ "in": { "x": 0 }, "out": { "x": 1 }, "b": 2 }));
    }
}
