//! A .csv, as whatever program wrote it: `,` `;` `|` or tab between cells, UTF-8 or Latin-1, quotes.

use std::borrow::Cow;

use csv::ByteRecord;

use super::cell::Cell;
use super::{Layout, TakesLines};
use crate::Refusal;
use crate::state::entity::COLUMNS_MAX;

const MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn read(
    bytes: &[u8],
    layout: &Layout<'_>,
    reader: &mut impl TakesLines,
) -> Result<(), Refusal> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0) {
        let what = "the file is UTF-16, or no text; save it as .csv in UTF-8, or as .xlsx";
        return Err(Refusal::invalid(what));
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    let is_utf8 = std::str::from_utf8(bytes).is_ok();
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(layout.delimiter.unwrap_or_else(|| separator(bytes, layout.header_line)))
        .from_reader(bytes);
    let mut record = ByteRecord::new();
    let mut lines_counted = Lines { bytes, behind: 0, line: 1 };
    loop {
        match lines.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let cells =
                    record.iter().take(COLUMNS_MAX).map(|cell| Cell::Text(said(cell, is_utf8)));
                let cells: Vec<Cell<'_>> = cells.collect();
                reader.handle_line(lines_counted.number(record.position()), &cells)?;
            }
            Err(error) => {
                let line = lines_counted.number(error.position());
                reader.handle_broken(line, format!("the line cannot be read: {error}"));
            }
        }
    }
}

/// Lines as an editor counts them.
struct Lines<'b> {
    bytes: &'b [u8],
    /// How far they are counted.
    behind: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line in which a record begins. The reader says where the one before it ended: what ends lines, and
    /// lines without anything, stand between.
    fn number(&mut self, at: Option<&csv::Position>) -> u32 {
        let said = at.map_or(self.behind, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX));
        let rest = self.bytes.get(said..).unwrap_or_default();
        let start = said + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        while self.behind < start {
            let here = self.bytes.get(self.behind..).unwrap_or_default();
            self.line += u32::from(match here {
                [b'\n', ..] => true,
                [b'\r', next, ..] => *next != b'\n',
                _ => false,
            });
            self.behind += 1;
        }
        self.line
    }
}

fn said(cell: &[u8], is_utf8: bool) -> Cow<'_, str> {
    match is_utf8 {
        true => String::from_utf8_lossy(cell),
        // Of Latin-1 every byte is the character of its number.
        false => cell.iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// What stands most often in the header, outside of quotes.
fn separator(bytes: &[u8], header_line: u32) -> u8 {
    let behind = header_line.saturating_sub(1) as usize;
    let line = bytes.split(|byte| *byte == b'\n').nth(behind).unwrap_or_default();
    let mut counts = [(b'|', 0_usize), (b',', 0), (b'\t', 0), (b';', 0)];
    let mut is_quoted = false;
    for byte in line {
        if *byte == b'"' {
            is_quoted = !is_quoted;
        }
        if let Some((_, count)) = counts.iter_mut().find(|it| it.0 == *byte && !is_quoted) {
            *count += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|it| it.1).filter(|it| it.1 > 0);
    most.map_or(b',', |it| it.0)
}
