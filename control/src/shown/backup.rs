//! Backups as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;

/// What to make.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackup {
    /// Its name; the time it is made at unless given.
    #[serde(default)]
    pub name: Option<String>,
}

/// One backup in the folder of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackupShown {
    /// Its file.
    pub name: String,
    /// When it was made.
    pub made: Moment,
    /// How long it is.
    pub bytes: u64,
}

/// What one backup was found to be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackupExamined {
    /// Its file.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of all of it.
    pub sha256: String,
    /// Accounts in its ledger.
    pub accounts: u64,
    /// Entries of its ledger.
    pub entries: u64,
    /// Nothing is wrong with it: its checksum, its structure, its books.
    pub good: bool,
    /// What is wrong with it.
    pub faults: Vec<String>,
    /// How long that took.
    pub took_ms: u64,
}
