//! An .xlsx, cell by cell: no sheet of it is ever held whole.
//!
//! Withstands zip bombs: all parts are unpacked once into nothing and counted before any is kept, since what a
//! directory says of sizes may be a lie. Cells far out and rows that go back cost no more than others.

use std::io::{self, Cursor, Read};

use calamine::{Data, DataRef, ExcelDateTime, Reader as _, Xlsx};
use jiff::civil::{Date, DateTime};

use super::cell::Cell;
use super::{Layout, TakesLines};
use crate::Refusal;
use crate::state::entity::COLUMNS_MAX;

/// Bytes of a file.
const PACKED_MAX: usize = 64 << 20;
/// Parts of a file.
const PARTS_MAX: usize = 4_096;
/// Bytes of all sheets together, unpacked: one of a million lines of ten cells has half of that.
const SHEETS_BYTES_MAX: u64 = 768 << 20;
/// Bytes of all else, unpacked, of which texts are kept in memory.
const OTHERS_BYTES_MAX: u64 = 96 << 20;
/// Days of a year 10000, where time ends for spreadsheets.
const DAYS_MAX: f64 = 2_958_465.0;

pub(super) fn read(
    bytes: &[u8],
    layout: &Layout<'_>,
    reader: &mut impl TakesLines,
) -> Result<(), Refusal> {
    check_size(bytes)?;
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(unreadable)?;
    let names = book.sheet_names();
    let number: Option<usize> = layout.sheet.parse().ok();
    let found = match layout.sheet {
        "" => names.first(),
        wanted => {
            names.iter().find(|name| *name == wanted).or_else(|| names.get(number?.checked_sub(1)?))
        }
    };
    let name = found.ok_or_else(|| {
        let all: Vec<String> = names.iter().take(20).map(|it| super::code::quoted(it)).collect();
        let (wanted, all) = (layout.sheet, all.join(", "));
        Refusal::invalid(format!("sheet: the file has no sheet {wanted:?}; it has {all}"))
    })?;
    let mut cells = book.worksheet_cells_reader(name).map_err(unreadable)?;
    let mut row: Vec<Cell<'_>> = Vec::new();
    let mut line = 0;
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (at, column) = cell.get_position();
        let at = at.saturating_add(1);
        if at != line && line > 0 {
            reader.handle_line(line, &row)?;
            row.clear();
        }
        line = at;
        let column = column as usize;
        let value = said(cell.get_value());
        if column >= COLUMNS_MAX || value == Cell::Empty {
            continue;
        }
        if row.len() <= column {
            row.resize(column + 1, Cell::Empty);
        }
        if let Some(place) = row.get_mut(column) {
            *place = value;
        }
    }
    if line > 0 {
        reader.handle_line(line, &row)?;
    }
    Ok(())
}

fn unreadable(error: impl std::fmt::Display) -> Refusal {
    let error: String = error.to_string().chars().take(200).collect();
    Refusal::invalid(format!(
        "the .xlsx cannot be read ({error}); it may be cut off: open and save it, or save it as .csv"
    ))
}

/// Unpacks all of it into nothing.
fn check_size(bytes: &[u8]) -> Result<(), Refusal> {
    let too_large = |what: String| Err(Refusal::new(413, "sheet too large", what));
    if bytes.len() > PACKED_MAX {
        return too_large(format!("an .xlsx has up to {PACKED_MAX} bytes; save it as .csv"));
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > PARTS_MAX {
        return too_large(format!("an .xlsx has up to {PARTS_MAX} parts; save it as .csv"));
    }
    let (mut sheets, mut others) = (0, 0);
    for place in 0..archive.len() {
        let part = archive.by_index(place).map_err(unreadable)?;
        let is_sheet = part.name().is_ok_and(|name| name.starts_with("xl/worksheets/"));
        let (sum, most) = match is_sheet {
            true => (&mut sheets, SHEETS_BYTES_MAX),
            false => (&mut others, OTHERS_BYTES_MAX),
        };
        let room = most - *sum;
        let read = io::copy(&mut part.take(room + 1), &mut io::sink()).map_err(unreadable)?;
        if read > room {
            return too_large(format!(
                "the .xlsx unpacks to more than {most} bytes; save the sheet of rates as .csv"
            ));
        }
        *sum += read;
    }
    Ok(())
}

fn said<'a>(value: &DataRef<'a>) -> Cell<'a> {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(number) => Cell::Text(number.to_string().into()),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            Cell::Text(text.clone().into())
        }
        DataRef::SharedString(text) => Cell::Text((*text).into()),
        DataRef::Bool(is) => Cell::Text(is.to_string().into()),
        DataRef::DateTime(when) => day(when).map_or_else(|| Cell::Number(when.as_f64()), Cell::Day),
        DataRef::Error(error) => Cell::Broken(Data::Error(error.clone()).to_string()),
    }
}

fn day(when: &ExcelDateTime) -> Option<DateTime> {
    if !when.is_datetime() || !(1.0..=DAYS_MAX).contains(&when.as_f64()) {
        return None;
    }
    let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let [hour, minute, second] = [hour, minute, second].map(|it| i8::try_from(it).unwrap_or(-1));
    let time = jiff::civil::Time::new(hour, minute, second, 0);
    Some(DateTime::from_parts(date.ok()?, time.ok()?))
}
