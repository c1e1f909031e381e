//! Call records of other switches: a file and a saved mapping become calls, and lines that are wrong by their numbers.
//!
//! What a vendor bills enters at [`read`]; [`pair`](mod@pair) puts his calls beside ours, one to one, and [`dispute`]
//! says where they differ. [`fee`] says what calls that another switch rated cost by our tariffs, and why that is not what he took. Nothing here asks for time, files or the loop.
//!
//! Withstands: a file has up to [`CALLS_MAX`] calls and is cut by the reader of rate sheets with its bounds; many calls
//! to one number cost no more than a sort (`pair.rs`); of wrong lines the first thousand are told, and all are counted.

pub mod dispute;
pub mod fee;
mod line;
pub mod pair;

use rating::Money;

use crate::Refusal;
use crate::sheet::{self, Layout, Remarks};
use crate::state::entity::RecordMapping;
use line::Reader;

/// Calls of a file, and calls of ours that it is compared with.
pub const CALLS_MAX: usize = 1_000_000;

/// A call as another switch tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignCall {
    /// Who was called, after the rules of the mapping.
    pub callee: Box<str>,
    /// Its start, µs since 1970 UTC.
    pub start_us: i64,
    /// How long, ms.
    pub duration_ms: u64,
    /// What it costs without tax; none: the files do not say.
    pub amount: Option<Money>,
    /// In which currency; empty: the files do not say.
    pub currency: Box<str>,
    /// Who called, as written.
    pub caller: Box<str>,
    /// Who pays, as written.
    pub payer: Box<str>,
    /// What they call the record.
    pub record_id: Box<str>,
    /// The line's number, from 1 on.
    pub line: u32,
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignFile {
    /// Lines that say something.
    pub lines: usize,
    /// Their calls, in the order of the file.
    pub calls: Vec<ForeignCall>,
    /// Lines that are wrong.
    pub remarks: Remarks,
}

/// Reads a file whose amounts are all in this currency, or each in what its line says.
///
/// # Errors
/// When it is no such file, is larger than it may be, or has no such columns. Lines that are wrong are no error.
pub fn read(
    bytes: &[u8],
    mapping: &RecordMapping,
    currency: Option<&str>,
) -> Result<ForeignFile, Refusal> {
    let mut reader = Reader::new(mapping, currency);
    let layout = Layout {
        sheet: &mapping.sheet,
        header_line: mapping.header_line,
        delimiter: mapping.between_cells(),
    };
    sheet::cut(bytes, &layout, &mut reader)?;
    reader.finish()
}

#[cfg(test)]
mod tests;
