//! One file of an export as rows; a line that cannot be read is told by its number.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{Layout, Mapping};
use crate::Failure;
use crate::sheet::load;

/// One line: its cells by our words for the columns.
pub(super) struct Row {
    /// From 1 on.
    pub(super) line: u64,
    cells: BTreeMap<&'static str, String>,
}

impl Row {
    /// A cell; `None`: it is empty, or the file has no such column.
    pub(super) fn cell(&self, field: &str) -> Option<&str> {
        self.cells.get(field).map(String::as_str).filter(|text| !text.is_empty())
    }
}

/// A file that was read.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// Lines that cannot be read: number, why.
    pub(super) wrong: Vec<(u64, String)>,
    /// Headers that nothing is read of.
    pub(super) ignored: Vec<String>,
}

/// Reads a file of a directory. One that is not there says nothing.
pub(super) fn read(directory: &Path, layout: &Layout, mapping: &Mapping) -> Result<Table, Failure> {
    let path = directory.join(mapping.file(layout));
    if !path.exists() {
        return Ok(Table::default());
    }
    let bytes = load(&path)?;
    parse(&bytes, layout, mapping).map_err(|what| format!("{}: {what}", path.display()).into())
}

fn parse(bytes: &[u8], layout: &Layout, mapping: &Mapping) -> Result<Table, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let often = |byte: &u8| first.iter().filter(|other| *other == byte).count();
    let delimiter = [b'|', b'\t', b';', b','].into_iter().max_by_key(often).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(|cell| cell.trim().to_lowercase()).collect(),
        Err(_) => return Err("its header is no text in UTF-8; save it as CSV UTF-8".into()),
    };
    let mut places = Vec::new();
    for (field, built_in, needed) in layout.columns {
        let wanted = mapping.header(layout, field, built_in);
        let mut found = (0..).zip(&header).filter(|it| *it.1 == wanted.trim().to_lowercase());
        match (found.next(), found.next()) {
            (Some((place, _)), None) => places.push((*field, place)),
            (Some(_), Some(_)) => return Err(format!("it has several columns {wanted:?}")),
            (None, _) if *needed => {
                let has = header.join(", ");
                return Err(format!(
                    "it has no column {wanted:?} ({field}); it has {has}. Say in --mapping how it is called"
                ));
            }
            (None, _) => {}
        }
    }
    let is_read = |place: usize| places.iter().any(|it| it.1 == place);
    let ignored = (0..).zip(&header).filter(|it| !is_read(it.0)).map(|it| it.1.clone()).collect();
    let mut table = Table { ignored, ..Table::default() };
    let mut record = csv::StringRecord::new();
    let mut lines = Lines { bytes, behind: 0, line: 1 };
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(table),
            Ok(true) => {
                let line = lines.number(record.position());
                let cell = |place: usize| record.get(place).unwrap_or("").trim().to_owned();
                let cells = places.iter().map(|(field, place)| (*field, cell(*place))).collect();
                table.rows.push(Row { line, cells });
            }
            Err(error) => {
                let line = lines.number(error.position());
                table.wrong.push((line, "it is no text in UTF-8; save it as CSV UTF-8".into()));
            }
        }
    }
}

/// Lines as an editor counts them.
struct Lines<'b> {
    bytes: &'b [u8],
    /// How far they are counted.
    behind: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line in which a record begins. The reader says where the one before it ended: what ends lines, and lines
    /// without anything, stand between.
    fn number(&mut self, at: Option<&csv::Position>) -> u64 {
        let said = at.map_or(self.behind, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX));
        let rest = self.bytes.get(said..).unwrap_or_default();
        let start = said + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let between = self.bytes.get(self.behind..start).unwrap_or_default();
        self.line += between.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.behind = start.max(self.behind);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::layout::ACCOUNTS;
    use super::*;

    fn table(text: &[u8], mapping: Value) -> Result<Vec<String>, String> {
        let table = parse(text, &ACCOUNTS, &Mapping::read(mapping)?)?;
        let row =
            |row: &Row| format!("{} {:?} {:?}", row.line, row.cell("name"), row.cell("balance"));
        let wrong = table.wrong.iter().map(|it| format!("{} wrong", it.0));
        Ok(table.rows.iter().map(row).chain(wrong).collect())
    }

    #[test]
    fn a_file_is_read_by_built_in_headers_or_by_those_of_a_mapping() {
        let built_in =
            table(b"\xef\xbb\xbfaccount ;Colour;Balance\r\na;red; 1.5\r\nb\r\n", Value::Null);
        assert_eq!(built_in.unwrap(), ["2 Some(\"a\") Some(\"1.5\")", "3 Some(\"b\") None"]);
        let named = json!({"accounts": {"name": "Acct", "balance": "Left"}});
        assert_eq!(table(b"Left|Acct\n2|a\n", named).unwrap(), ["2 Some(\"a\") Some(\"2\")"]);
        assert_eq!(
            table(b"Account\n\n\na\n\xff\n", Value::Null).unwrap(),
            ["4 Some(\"a\") None", "5 wrong"]
        );
        assert!(table(b"Name\na\n", Value::Null).unwrap_err().contains("\"Account\""));
        assert!(table(b"Account,Account\n", Value::Null).unwrap_err().contains("several"));
        assert!(table(b"", Value::Null).is_err());
        for wrong in [
            json!(1),
            json!({"phones": {}}),
            json!({"accounts": {"x": "y"}}),
            json!({"accounts": {"name": 1}}),
        ] {
            assert!(table(b"Account\n", wrong.clone()).is_err(), "{wrong}");
        }
    }
}
