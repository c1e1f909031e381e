//! Columns of a file, by the text of their header or by their letters.

use super::cell::Cell;
use super::code::quoted;
use crate::Refusal;
use crate::state::entity::letters;

/// Headers that are told where one is not found.
const HEADERS_TOLD: usize = 20;

/// The header of a file.
pub(crate) struct Columns {
    line: u32,
    /// In small letters.
    names: Vec<String>,
}

impl Columns {
    /// Of this line; 0: the file has no header, and columns are letters.
    pub(crate) fn new(line: u32, header: &[Cell<'_>]) -> Self {
        let names = match line {
            0 => Vec::new(),
            _ => header
                .iter()
                .map(|cell| cell.text("header").unwrap_or_default().to_lowercase())
                .collect(),
        };
        Self { line, names }
    }

    /// The place of a column, from 0 on.
    pub(crate) fn find(&self, field: &str, column: &str) -> Result<usize, Refusal> {
        let wanted = column.trim().to_lowercase();
        let mut found = (0..).zip(&self.names).filter(|(_, name)| **name == wanted);
        match (found.next(), found.next(), letters(column)) {
            (Some((place, _)), None, _) => Ok(place),
            (Some(_), Some(_), _) => Err(Refusal::invalid(format!(
                "{field}: the sheet has several columns {column:?}; name it by its letters"
            ))),
            (None, _, Some(place)) => Ok(place),
            (None, _, None) => Err(Refusal::invalid(format!(
                "{field}: line {} has no column {column:?}; it has {}",
                self.line,
                self.told()
            ))),
        }
    }

    /// The same of a column that files need not have.
    pub(crate) fn perhaps(&self, field: &str, column: &str) -> Result<Option<usize>, Refusal> {
        match column {
            "" => Ok(None),
            column => self.find(field, column).map(Some),
        }
    }

    fn told(&self) -> String {
        let some = self.names.iter().filter(|name| !name.is_empty()).take(HEADERS_TOLD);
        some.map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}
