//! Records as Parquet: typed columns, so that a warehouse need not be told what a field is.
//!
//! What is held is one group of rows, by number and by bytes, and never the file. Every value is exact or the export
//! fails: money is billionths in 64 bits and no float, and a value that its column cannot hold is told by its record and
//! field. A column is never required, since records of other versions lack fields.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::Failure;

/// Rows of a group. A reader skips whole groups, so they are not small; a writer holds one.
const GROUP_ROWS: usize = 20_000;
/// A group that has so much text is written before it has all its rows.
const GROUP_BYTES: usize = 32 << 20;

/// Digits of an amount, and how many of them are decimals. 18 digits are what Parquet has 64 bits for.
const MONEY_DIGITS: u32 = 18;
const MONEY_PLACES: u32 = 9;

/// So much of a value that does not fit is told.
const TOLD_CHARS: usize = 80;

/// What was asked for: filters by the names that the API has for them.
pub(super) type Asked = Vec<(&'static str, String)>;

/// What a field of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words.
    Text,
    /// A whole number, its unit in the field's name.
    Number,
    /// An exact amount.
    Money,
    /// A moment, RFC 3339.
    Time,
    /// Yes or no.
    Flag,
    /// What has parts; as JSON.
    Parts,
}

impl Kind {
    /// The type of its column, around its name.
    fn declared(self, name: &str) -> String {
        match self {
            Self::Text => format!("optional binary {name} (STRING);"),
            Self::Number => format!("optional int64 {name};"),
            Self::Money => {
                format!("optional int64 {name} (DECIMAL({MONEY_DIGITS},{MONEY_PLACES}));")
            }
            Self::Time => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
            Self::Flag => format!("optional boolean {name};"),
            Self::Parts => format!("optional binary {name} (JSON);"),
        }
    }

    /// What a value must be.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a whole number of 64 bits",
            Self::Money => "an amount below a billion with at most nine decimals",
            Self::Time => "a time (RFC 3339)",
            Self::Flag => "true or false",
            Self::Parts => "JSON",
        }
    }

    /// `None`: its column cannot hold the value.
    fn cell(self, value: &Value) -> Option<Cell> {
        Some(match self {
            Self::Text => Cell::Bytes(value.as_str()?.into()),
            Self::Number => Cell::Integer(value.as_i64()?),
            Self::Money => Cell::Integer(billionths(value.as_str()?)?),
            Self::Time => {
                Cell::Integer(value.as_str()?.parse::<Timestamp>().ok()?.as_microsecond())
            }
            Self::Flag => Cell::Flag(value.as_bool()?),
            Self::Parts => Cell::Bytes(value.to_string().into_bytes().into()),
        })
    }
}

/// An amount in billionths. `None`: it is no decimal number, has more decimals, or more digits than a column.
fn billionths(text: &str) -> Option<i64> {
    let amount = Decimal::from_str_exact(text).ok()?.normalize();
    let missing = MONEY_PLACES.checked_sub(amount.scale())?;
    let billionths = amount.mantissa().checked_mul(10_i128.pow(missing))?;
    let fits = billionths.unsigned_abs() < 10_u128.pow(MONEY_DIGITS);
    i64::try_from(billionths).ok().filter(|_| fits)
}

enum Cell {
    Bytes(ByteArray),
    Integer(i64),
    Flag(bool),
}

/// What one column has of the group; absent values have a level and no cell.
struct Column {
    name: &'static str,
    kind: Kind,
    levels: Vec<i16>,
    bytes: Vec<ByteArray>,
    integers: Vec<i64>,
    flags: Vec<bool>,
}

impl Column {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            levels: Vec::new(),
            bytes: Vec::new(),
            integers: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// How many bytes it holds more. `None`: it cannot hold the value.
    fn add(&mut self, value: &Value) -> Option<usize> {
        if value.is_null() {
            self.levels.push(0);
            return Some(0);
        }
        let mut held = size_of::<i64>();
        match self.kind.cell(value)? {
            Cell::Bytes(bytes) => {
                held = bytes.len();
                self.bytes.push(bytes);
            }
            Cell::Integer(integer) => self.integers.push(integer),
            Cell::Flag(flag) => self.flags.push(flag),
        }
        self.levels.push(1);
        Some(held)
    }

    /// Writes what it holds, and is empty then.
    fn write(&mut self, mut chunk: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match self.kind {
            Kind::Text | Kind::Parts => {
                chunk.typed::<ByteArrayType>().write_batch(&self.bytes, levels, None)?
            }
            Kind::Number | Kind::Money | Kind::Time => {
                chunk.typed::<Int64Type>().write_batch(&self.integers, levels, None)?
            }
            Kind::Flag => chunk.typed::<BoolType>().write_batch(&self.flags, levels, None)?,
        };
        chunk.close()?;
        self.levels.clear();
        self.bytes.clear();
        self.integers.clear();
        self.flags.clear();
        Ok(())
    }
}

/// A Parquet file that is being written.
pub(super) struct Columns<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    asked: Asked,
    /// Shapes of the records.
    versions: BTreeSet<i64>,
    records: u64,
    /// Of the group that is held.
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Columns<W> {
    /// Begins a file with these columns. What was asked for stands in it.
    ///
    /// # Errors
    ///
    /// What the file's writer says.
    pub(super) fn begin(
        out: W,
        fields: &[(&'static str, Kind)],
        asked: Asked,
    ) -> Result<Self, Failure> {
        let columns: String = fields.iter().map(|(name, kind)| kind.declared(name)).collect();
        let schema = parse_message_type(&format!("message record {{ {columns} }}"))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file =
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(told)?;
        let columns = fields.iter().map(|(name, kind)| Column::new(name, *kind)).collect();
        let versions = BTreeSet::new();
        Ok(Self { file, columns, asked, versions, records: 0, rows: 0, bytes: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// A value that its column cannot hold exactly, and what the file's writer says.
    pub(super) fn add(&mut self, record: &Value) -> Result<(), Failure> {
        for column in &mut self.columns {
            let value = &record[column.name];
            let held = column.add(value).ok_or_else(|| unfit(record, column, value))?;
            self.bytes += held;
        }
        self.versions.extend(record["version"].as_i64());
        self.records += 1;
        self.rows += 1;
        if self.rows < GROUP_ROWS && self.bytes < GROUP_BYTES {
            return Ok(());
        }
        self.write_group().map_err(told)
    }

    /// Writes what is held and the file's foot, which says what is in it.
    ///
    /// # Errors
    ///
    /// What the file's writer says.
    pub(super) fn finish(mut self) -> Result<W, Failure> {
        if self.rows > 0 {
            self.write_group().map_err(told)?;
        }
        let versions: Vec<String> = self.versions.iter().map(i64::to_string).collect();
        let records = [("records", self.records.to_string()), ("version", versions.join(","))];
        for (name, value) in records.into_iter().chain(self.asked) {
            let entry = KeyValue::new(format!("tollgate.{name}"), value);
            self.file.append_key_value_metadata(entry);
        }
        self.file.into_inner().map_err(told)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            if let Some(chunk) = group.next_column()? {
                column.write(chunk)?;
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn unfit(record: &Value, column: &Column, value: &Value) -> Failure {
    let (id, name, wanted) = (&record["id"], column.name, column.kind.wanted());
    let told: String = value.to_string().chars().take(TOLD_CHARS).collect();
    let what = format!(
        "record {id}: {name}: {told} is not {wanted}; Parquet cannot hold it, so write the file as csv or jsonl"
    );
    what.into()
}

/// What the disk says is told as for other files.
fn told(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(cause) => cause,
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
