//! What is wrong with a configuration file, said so that the operator knows what to write instead.

use std::fmt;

/// One mistake. The key is the path in the file: `dataplane.workers`, `address[0].ip`, where the
/// first `[[address]]` is number 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text is no TOML.
    Syntax {
        /// The parser's words, with line and column.
        message: String,
    },
    /// There is no such key.
    Unknown {
        /// What the file says.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A key without a default is not there.
    Missing {
        /// Which.
        key: String,
        /// A value it could have.
        example: &'static str,
    },
    /// The value is of another type.
    Type {
        /// Which.
        key: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A number outside its range.
    Range {
        /// Which.
        key: String,
        /// What it is.
        found: i64,
        /// The smallest that can be.
        smallest: i64,
        /// The largest that can be.
        largest: i64,
    },
    /// A word that is none of those that have a meaning.
    Choice {
        /// Which.
        key: String,
        /// What it is.
        found: String,
        /// What it can be.
        choices: Vec<&'static str>,
    },
    /// A value that cannot stand, alone or beside the others.
    Invalid {
        /// Which.
        key: String,
        /// Why, and what to do.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { message } => f.write_str(message.trim_end()),
            Self::Unknown { key, nearest: Some(nearest) } => {
                write!(f, "{key}: there is no such key; did you mean {nearest}?")
            }
            Self::Unknown { key, nearest: None } => {
                write!(
                    f,
                    "{key}: there is no such key; see docs/tollgate.example.toml, or remove it"
                )
            }
            Self::Missing { key, example } => {
                write!(f, "{key}: missing, and it has no default; write for instance {example}")
            }
            Self::Type { key, wanted, found } => write!(f, "{key}: must be {wanted}, not {found}"),
            Self::Range { key, found, smallest, largest } => {
                write!(f, "{key} = {found}: must be from {smallest} to {largest}")
            }
            Self::Choice { key, found, choices } => {
                write!(f, "{key} = \"{found}\": must be one of \"{}\"", choices.join("\", \""))
            }
            Self::Invalid { key, why } => write!(f, "{key}: {why}"),
        }
    }
}

impl std::error::Error for Error {}
