//! CSV (RFC 4180) that a spreadsheet opens without harm: UTF-8 with a byte order mark, and no cell is a formula.

use csv::{Terminator, WriterBuilder};
use std::borrow::Cow;

/// The byte order mark, by which spreadsheets know UTF-8, and the line of headings.
pub fn heading(columns: &[&str]) -> Vec<u8> {
    let mut text = "\u{FEFF}".as_bytes().to_vec();
    line(columns, &mut text);
    text
}

/// Appends a line of cells, each made safe.
pub fn line<T: AsRef<str>>(cells: &[T], text: &mut Vec<u8>) {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(text);
    // Writing to memory can't fail.
    let _ = writer.write_record(cells.iter().map(|cell| safe(cell.as_ref()).into_owned()));
    let _ = writer.flush();
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
        let mut text = Vec::new();
        line(&["a,b", "say \"hi\"", "two\nlines"], &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
    }
}
