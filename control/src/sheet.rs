//! Rate sheets of vendors: bytes and a mapping become rates, and lines that are wrong by their numbers.
//!
//! A file of a stranger enters at [`read`] with the [`SheetMapping`] of its vendor; what leaves is every code with its
//! rate, and why other lines have none. [`compare`](mod@compare) says what that changes in a tariff, and [`losses`]
//! who would be sold calls below their cost. [`sell`] makes a sheet for customers of what calls cost, and [`diff`](mod@diff)
//! tells two versions of prices apart. Nothing here asks for time, files or the loop.
//!
//! Withstands: no file takes more memory than its bounds say ([`book`] knows how large an .xlsx is before it
//! believes it), no range or list becomes more than [`CODES_MAX`] codes, and of wrong lines [`TOLD_MAX`] are told.

mod book;
pub(crate) mod cell;
pub(crate) mod code;
pub(crate) mod column;
pub mod compare;
pub mod diff;
mod line;
pub mod losses;
pub mod sell;
mod text;

use rating::Money;

use crate::Refusal;
use crate::state::entity::{SheetMapping, Status};
use crate::state::moment::When;
use cell::Cell;
use line::Reader;

/// Lines of a file: as many as the largest .xlsx has.
pub const LINES_MAX: u32 = 1_048_576;
/// Codes of a file.
pub const CODES_MAX: usize = 1_000_000;
/// Wrong lines that are told; all are counted.
pub const TOLD_MAX: usize = 1_000;

/// What a line asks for its code, per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Money per minute.
    pub rate: Money,
    /// Billed at least, s; none: as the tariff says.
    pub minimum_s: Option<u32>,
    /// Billed in steps of, s; none: as the tariff says.
    pub increment_s: Option<u32>,
    /// Added once on answer; none: as the tariff says.
    pub connection_fee: Option<Money>,
}

/// One code of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRate {
    /// The line's number, from 1 on.
    pub line: u32,
    /// The code.
    pub prefix: String,
    /// What it costs; none: it is closed.
    pub terms: Option<Terms>,
    /// From when on; none: the line does not say.
    pub effective: Option<When>,
    /// What the line says becomes of it.
    pub status: Option<Status>,
}

/// What is to be said of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It cannot be read, or cannot be.
    Wrong,
    /// It has more decimals than a tariff keeps.
    Rounds,
    /// It says something else of the change than the tariff does.
    Status,
}

impl Remark {
    /// The word of the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Rounds => "rounds",
            Self::Status => "status",
        }
    }
}

/// A line of which something is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRemark {
    /// Its number, from 1 on.
    pub line: u32,
    /// What kind of thing.
    pub remark: Remark,
    /// Field, value and remedy.
    pub why: String,
}

/// Remarks, all counted and some told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Lines that are wrong.
    pub wrong: usize,
    /// Lines that would round.
    pub rounds: usize,
    /// Codes whose status is another one.
    pub status: usize,
    /// The first [`TOLD_MAX`] of them.
    pub told: Vec<LineRemark>,
}

impl Remarks {
    /// Counts one, and keeps it while there is room.
    pub fn add(&mut self, line: u32, remark: Remark, why: String) {
        match remark {
            Remark::Wrong => self.wrong += 1,
            Remark::Rounds => self.rounds += 1,
            Remark::Status => self.status += 1,
        }
        if self.told.len() < TOLD_MAX {
            self.told.push(LineRemark { line, remark, why });
        }
    }

    /// Lines that cannot be taken.
    #[must_use]
    pub fn faulty(&self) -> usize {
        self.wrong + self.rounds
    }
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Lines that say something.
    pub lines: usize,
    /// Their codes, in the order of the file.
    pub rates: Vec<SheetRate>,
    /// What is to be said of lines.
    pub remarks: Remarks,
}

/// Where the lines of a file are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'m> {
    /// Of an .xlsx: the name of the sheet in it, or its number from 1 on; empty: the first.
    pub(crate) sheet: &'m str,
    /// The line with the headers of the columns; 0: there is none.
    pub(crate) header_line: u32,
    /// Of a .csv: what stands between cells; none: what stands most often in the header.
    pub(crate) delimiter: Option<u8>,
}

/// Who is handed the lines of a file.
pub(crate) trait TakesLines {
    /// The next line, by its number from 1 on.
    fn handle_line(&mut self, line: u32, cells: &[Cell<'_>]) -> Result<(), Refusal>;
    /// A line that could not even be cut into cells.
    fn handle_broken(&mut self, line: u32, why: String);
}

/// Cuts a file into lines.
///
/// # Errors
/// When it is no such file, is larger than it may be, or whoever takes the lines refuses it.
pub(crate) fn cut(
    bytes: &[u8],
    layout: &Layout<'_>,
    taker: &mut impl TakesLines,
) -> Result<(), Refusal> {
    match bytes {
        [] => Err(Refusal::invalid("the file is empty; send a .csv or .xlsx")),
        [b'P', b'K', 3 | 5, ..] => book::read(bytes, layout, taker),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            let what = "the file is an .xls, or locked by a password; save it as .xlsx or .csv";
            Err(Refusal::invalid(what))
        }
        _ => text::read(bytes, layout, taker),
    }
}

/// Reads a file.
///
/// # Errors
/// When it is no such file, is larger than it may be, or has no such columns. Lines that are wrong are no error.
pub fn read(bytes: &[u8], mapping: &SheetMapping) -> Result<Sheet, Refusal> {
    let mut reader = Reader::new(mapping);
    let header_line = mapping.header_line;
    let layout = Layout { sheet: &mapping.sheet, header_line, delimiter: None };
    cut(bytes, &layout, &mut reader)?;
    reader.finish()
}

#[cfg(test)]
pub(crate) mod tests;
