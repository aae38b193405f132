//! CSV (RFC 4180) that a spreadsheet opens without harm: UTF-8 with a byte order mark, and no cell is a formula. Or, for
//! programs, as it is: the columns' ids as headings, no mark, nothing changed.

use super::Column;
use crate::db::{Cell, Part, Sink};
use csv::{Terminator, Writer, WriterBuilder};
use std::{borrow::Cow, fmt::Write, io};

/// Bytes that the lines of one part will about have.
const BUFFER_BYTES: usize = 256 * 1024;

/// The first line; before it the byte order mark, by which spreadsheets know UTF-8.
pub fn heading(columns: &[&Column], safe: bool) -> io::Result<Vec<u8>> {
    let text = if safe { "\u{FEFF}".as_bytes().to_vec() } else { Vec::new() };
    let mut writer = writer(text);
    writer.write_record(columns.iter().map(|column| if safe { column.heading } else { column.id }))?;
    finish(writer)
}

/// The lines of a part.
pub fn lines(part: &Part, safe: bool) -> io::Result<Vec<u8>> {
    let mut lines = Lines { writer: writer(Vec::with_capacity(BUFFER_BYTES)), safe, scratch: String::new() };
    part.read(&mut lines)?;
    finish(lines.writer)
}

fn writer(text: Vec<u8>) -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(text)
}

fn finish(writer: Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

struct Lines {
    writer: Writer<Vec<u8>>,
    safe: bool,
    scratch: String,
}

impl Sink for Lines {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> io::Result<()> {
        self.scratch.clear();
        match cell {
            Cell::Empty => self.writer.write_field("")?,
            Cell::Text(text) if self.safe => self.writer.write_field(&*safe(text))?,
            Cell::Text(text) => self.writer.write_field(text)?,
            Cell::Id(id) => self.writer.write_field(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))?,
            Cell::Integer(number) => {
                let _ = write!(self.scratch, "{number}");
                self.writer.write_field(&self.scratch)?;
            }
            Cell::Time(time) => {
                let _ = write!(self.scratch, "{time}");
                self.writer.write_field(&self.scratch)?;
            }
        }
        Ok(())
    }

    fn end_row(&mut self) -> io::Result<()> {
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }
}

/// Prefixes with an apostrophe what a spreadsheet would take for a formula (CWE-1236), also after white space, and
/// what begins with an apostrophe itself: taking one apostrophe off the front gives every value back.
pub fn safe(cell: &str) -> Cow<'_, str> {
    let first = cell.trim_start_matches([' ', '\u{A0}', '\u{FEFF}']).chars().next();
    if cell.starts_with('\'') || matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠')) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_neutralised_and_come_back() {
        for cell in ["=1+1", "+44 20 7946 0000", "-2", "@SUM(A1)", "\tx", "\r=x", " =x", "'quoted", "plain", "", "O'Neill", "＝1"] {
            let written = safe(cell);
            assert!(!written.trim_start().starts_with(['=', '+', '-', '@']), "{written}");
            assert_eq!(written.strip_prefix('\'').unwrap_or(&written), cell);
        }
    }

    #[test]
    fn cells_are_quoted_as_rfc_4180_says() {
        let row = |cells: &[Cell<'_>]| {
            let mut lines = Lines { writer: writer(Vec::new()), safe: true, scratch: String::new() };
            cells.iter().enumerate().for_each(|(field, cell)| lines.cell(field, *cell).unwrap());
            lines.end_row().unwrap();
            String::from_utf8(finish(lines.writer).unwrap()).unwrap()
        };
        let quoted = [Cell::Text("a,b"), Cell::Text("say \"hi\""), Cell::Text("two\nlines"), Cell::Integer(-3), Cell::Empty];
        assert_eq!(row(&quoted), "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",-3,\r\n");
        assert_eq!(row(&[Cell::Empty]), "\"\"\r\n", "not a blank line, which readers skip");
    }
}
