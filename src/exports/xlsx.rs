//! A spreadsheet (Office Open XML). Text is text and never a formula; numbers are numbers; instants are dates and times
//! as the clocks of the event show them.

use super::Column;
use crate::{
    clock::Timestamp,
    db::{Cell, Parts, Sink},
    error::Problem,
};
use jiff::tz::TimeZone;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};
use std::{
    fs::File,
    io::{self, Seek},
};

/// Rows of a sheet below its headings; what is longer goes on in the next sheet.
const SHEET_ROWS: u32 = 1_048_575;
/// UTF-16 units of a cell's text.
const CELL_UNITS: usize = 32_767;
/// Days from the beginning of spreadsheets' time to 1970.
const EPOCH_DAYS: f64 = 25_569.0;
/// The first day that all spreadsheets agree on: 1 March 1900.
const FIRST_DAY: f64 = 61.0;
/// The last: 31 December 9999.
const LAST_DAY: f64 = 2_958_465.0;
const MICROS_A_DAY: f64 = 86_400_000_000.0;

/// Writes the list, as of `now`, to a temporary file without a name. Blocks: for a thread that may.
pub fn write(columns: &[&'static Column], zone: TimeZone, now: Timestamp, parts: &mut Parts) -> Result<File, Problem> {
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_timestamp(now.as_micros() / 1_000_000).map_err(Problem::internal)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let mut sheets = Sheets::begin(book, columns, zone).map_err(Problem::internal)?;
    while let Some(part) = parts.next_blocking()? {
        part.read(&mut sheets).map_err(Problem::internal)?;
    }
    save(sheets.book).map_err(Problem::internal)
}

fn save(mut book: Workbook) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    book.save_to_writer(&mut file).map_err(io::Error::other)?;
    file.rewind()?;
    Ok(file)
}

/// The sheets of a book, written from top to bottom: what is written does not stay in memory.
struct Sheets<'c> {
    book: Workbook,
    columns: &'c [&'static Column],
    zone: TimeZone,
    date: Format,
    /// The sheet under way.
    sheet: usize,
    /// Its row under way; the first has the headings.
    row: u32,
}

impl<'c> Sheets<'c> {
    fn begin(book: Workbook, columns: &'c [&'static Column], zone: TimeZone) -> Result<Self, XlsxError> {
        let date = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
        let mut sheets = Self { book, columns, zone, date, sheet: 0, row: 1 };
        sheets.add_sheet()?;
        Ok(sheets)
    }

    fn add_sheet(&mut self) -> Result<(), XlsxError> {
        let bold = Format::new().set_bold();
        let sheet = self.book.add_worksheet_with_constant_memory()?;
        sheet.set_freeze_panes(1, 0)?;
        for (number, column) in (0..).zip(self.columns) {
            sheet.set_column_width(number, column.width)?;
        }
        for (number, column) in (0..).zip(self.columns) {
            sheet.write_string_with_format(0, number, column.heading, &bold)?;
        }
        self.row = 1;
        Ok(())
    }

    fn write(&mut self, field: usize, cell: Cell<'_>) -> Result<(), XlsxError> {
        let (row, column) = (self.row, u16::try_from(field).unwrap_or(u16::MAX));
        let serial = match cell {
            Cell::Time(time) => serial(time, &self.zone),
            _ => None,
        };
        let sheet = self.book.worksheet_from_index(self.sheet)?;
        match (cell, serial) {
            (Cell::Empty, _) => return Ok(()),
            (Cell::Text(text), _) => sheet.write_string(row, column, fitting(text))?,
            #[allow(clippy::cast_precision_loss, reason = "spreadsheets have no other numbers; counters stay far below 2^53")]
            (Cell::Integer(number), _) => sheet.write_number(row, column, number as f64)?,
            (Cell::Id(id), _) => sheet.write_string(row, column, id.to_string())?,
            (Cell::Time(_), Some(serial)) => sheet.write_number_with_format(row, column, serial, &self.date)?,
            (Cell::Time(time), None) => sheet.write_string(row, column, time.to_string())?,
        };
        Ok(())
    }
}

impl Sink for Sheets<'_> {
    fn cell(&mut self, field: usize, cell: Cell<'_>) -> io::Result<()> {
        if self.row > SHEET_ROWS {
            self.sheet += 1;
            self.add_sheet().map_err(io::Error::other)?;
        }
        self.write(field, cell).map_err(io::Error::other)
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.row += 1;
        Ok(())
    }
}

/// Days since spreadsheets' time began, by the clocks of `zone`; `None` for what they can't show.
fn serial(time: Timestamp, zone: &TimeZone) -> Option<f64> {
    let offset = i64::from(zone.to_offset(time.to_jiff()).seconds()) * 1_000_000;
    #[allow(clippy::cast_precision_loss, reason = "a spreadsheet shows seconds")]
    let days = (time.as_micros() + offset) as f64 / MICROS_A_DAY + EPOCH_DAYS;
    (FIRST_DAY..LAST_DAY + 1.0).contains(&days).then_some(days)
}

/// As much of the text as a cell takes.
fn fitting(text: &str) -> &str {
    if text.len() <= CELL_UNITS {
        return text;
    }
    let mut units = 0;
    let end = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > CELL_UNITS
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    #[test]
    fn instants_are_shown_by_the_clocks_of_the_event() {
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        // 45992 is 1 December 2025; in winter Oslo is an hour ahead, in summer two.
        assert_eq!(serial(at("2025-12-01T11:00:00Z"), &oslo), Some(45_992.5));
        assert_eq!(serial(at("2026-06-01T10:00:00Z"), &oslo), Some(46_174.5));
        assert_eq!(serial(at("2025-11-30T23:00:00Z"), &oslo), Some(45_992.0));
        assert_eq!(serial(at("1900-02-28T12:00:00Z"), &TimeZone::UTC), None, "before this day spreadsheets differ");
        assert_eq!(serial(at("1900-03-01T00:00:00Z"), &TimeZone::UTC), Some(61.0));
        assert!(serial(at("9999-12-30T21:00:00Z"), &TimeZone::UTC).is_some());
    }

    #[test]
    fn what_is_longer_than_a_cell_is_cut_between_characters() {
        let long = "å".repeat(40_000);
        assert_eq!(fitting(&long).chars().count(), CELL_UNITS);
        let emoji = "🏔".repeat(20_000);
        assert_eq!(fitting(&emoji).chars().count(), CELL_UNITS / 2);
        assert_eq!(fitting("short"), "short");
    }
}
