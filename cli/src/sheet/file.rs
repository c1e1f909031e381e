//! Reads a CSV file that anyone may have made: each wrong line is told with its number, none is guessed.
//!
//! Withstands what spreadsheets and people send: a byte order mark, CRLF, columns in any order, unknown
//! and doubled ones, short and long lines, other encodings, files without end.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::column::Column;
use crate::Failure;

/// Longest file.
const BYTES_MAX: u64 = 64 << 20;

/// One line: its cells by column; `None`: the default.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) key: String,
    pub(super) cells: Vec<(usize, Option<Value>)>,
}

/// What is wrong with which line.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) line: u64,
    pub(super) what: String,
}

/// The bytes of a file, if it is no longer than a sheet may be.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>, Failure> {
    let named = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let file = std::fs::File::open(path).map_err(|error| named(&error))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| named(&error))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(named(&format!("more than {BYTES_MAX} bytes; split it")).into());
    }
    Ok(bytes)
}

/// Which column stands where. The first of `columns` is the key.
fn head(record: &csv::ByteRecord, columns: &[Column]) -> Result<Vec<usize>, String> {
    let known = || columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut places: Vec<usize> = Vec::new();
    for cell in record {
        let name = std::str::from_utf8(cell)
            .map_err(|_| "not UTF-8; save the sheet as CSV UTF-8".to_owned())?
            .trim();
        let place = columns
            .iter()
            .position(|column| column.name == name)
            .ok_or_else(|| format!("there is no column `{name}`; there is {}", known()))?;
        if places.contains(&place) {
            return Err(format!("column `{name}` stands here twice"));
        }
        places.push(place);
    }
    match columns.first() {
        Some(key) if !places.contains(&0) => Err(format!("there must be a column `{}`", key.name)),
        _ => Ok(places),
    }
}

/// Counts lines as an editor does: the reader's own count is one behind after a CRLF.
struct Place<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl Place<'_> {
    /// The line of the record that begins at or behind this byte, each asked for behind the last.
    fn line(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(&next) = self.bytes.get(self.at) {
            if self.at >= byte && next != b'\r' && next != b'\n' {
                break;
            }
            self.at += 1;
            self.line += u64::from(next == b'\n');
        }
        self.line
    }
}

/// All lines, right and wrong ones.
///
/// # Errors
/// When the first line does not name the columns.
pub(super) fn read(bytes: &[u8], columns: &[Column]) -> Result<(Vec<Line>, Vec<Mistake>), Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut records = reader.byte_records();
    let first = records.next().ok_or("the sheet is empty; its first line names the columns")??;
    let places = head(&first, columns).map_err(|what| format!("line 1: {what}"))?;
    let (mut lines, mut mistakes) = (Vec::new(), Vec::new());
    let mut place = Place { bytes, at: 0, line: 1 };
    let mut seen: HashMap<String, u64> = HashMap::new();
    for record in records {
        let record = record?;
        let number = place.line(record.position().map_or(0, csv::Position::byte));
        match line(&record, number, &places, columns) {
            Ok(line) => match seen.insert(line.key.clone(), number) {
                Some(earlier) => {
                    let what = format!("{:?} stands in line {earlier} already", line.key);
                    mistakes.push(Mistake { line: number, what });
                }
                None => lines.push(line),
            },
            Err(what) => mistakes.push(Mistake { line: number, what }),
        }
    }
    Ok((lines, mistakes))
}

fn line(
    record: &csv::ByteRecord,
    number: u64,
    places: &[usize],
    columns: &[Column],
) -> Result<Line, String> {
    if record.len() != places.len() {
        return Err(format!("{} cells under {} columns", record.len(), places.len()));
    }
    let (mut cells, mut key) = (Vec::new(), String::new());
    for (cell, &place) in record.iter().zip(places) {
        let Some(column) = columns.get(place) else { continue };
        let text = std::str::from_utf8(cell)
            .map_err(|_| format!("{}: not UTF-8; save the sheet as CSV UTF-8", column.name))?;
        let value = column.read(text)?;
        if place == 0 {
            key = text.to_owned();
        }
        cells.push((place, value));
    }
    Ok(Line { number, key, cells })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn columns() -> Vec<Column> {
        let text = json!({"type": "string"});
        let number = json!({"type": "integer", "minimum": 0, "default": 0});
        vec![
            Column::of("name", &text, true).unwrap(),
            Column::of("lines_max", &number, false).unwrap(),
        ]
    }

    #[test]
    fn a_sheet_as_other_programs_write_it_is_read() {
        let sheet = b"\xef\xbb\xbflines_max,name\r\n7,\"a, b\"\r\n,c\r\n\r\n";
        let (lines, mistakes) = read(sheet, &columns()).unwrap();
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let seen: Vec<_> = lines.iter().map(|line| (line.number, line.key.as_str())).collect();
        assert_eq!(seen, [(2, "a, b"), (3, "c")]);
        assert_eq!(lines[0].cells, [(1, Some(json!(7))), (0, Some(json!("a, b")))]);
        assert_eq!(lines[1].cells[0], (1, None));
    }

    #[test]
    fn every_wrong_line_is_told_with_its_number() {
        let sheet = b"name,lines_max\na,1\nb\nc,1,2\nd,x\n\xff,1\na,2\n,3\n\"e\ne\",4\n";
        let (lines, mistakes) = read(sheet, &columns()).unwrap();
        let told: Vec<String> =
            mistakes.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.what)).collect();
        let words = [
            "3: 1 cells",
            "4: 3 cells",
            "5: lines_max",
            "6: name: not UTF-8",
            "7: \"a\"",
            "8: name: empty",
        ];
        assert_eq!(told.len(), words.len(), "{told:?}");
        for (told, word) in told.iter().zip(words) {
            assert!(told.starts_with(word), "{told} is not {word}");
        }
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_head_that_means_nothing_stops_the_whole_sheet() {
        let cases: [(&[u8], &str); 6] = [
            (b"name,colour\na,1\n", "`colour`; there is name, lines_max"),
            (b"name;lines_max\na;1\n", "`name;lines_max`"),
            (b"name,name\na,a\n", "twice"),
            (b"lines_max\n1\n", "a column `name`"),
            (b"n\xe4me\na\n", "UTF-8"),
            (b"", "empty"),
        ];
        for (sheet, word) in cases {
            let told = read(sheet, &columns()).unwrap_err().to_string();
            assert!(told.contains(word), "{told} has no {word}");
        }
    }
}
