//! Days of records, as they are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;

/// A day (UTC) on which calls ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DayShown {
    /// `2026-01-31`.
    pub day: String,
    /// `live`: in the database; `archived`: in a file of its own; `purged`: gone but for what it adds up to.
    pub state: &'static str,
    /// How many records.
    pub records: u64,
    /// How long its file is.
    pub bytes: Option<u64>,
    /// SHA-256 of its file.
    pub sha256: Option<String>,
    /// When it was archived.
    pub archived: Option<Moment>,
    /// When its file was deleted.
    pub purged: Option<Moment>,
}

impl DayShown {
    /// One in the database.
    #[must_use]
    pub fn live(day: String, records: u64) -> Self {
        Self {
            day,
            state: "live",
            records,
            bytes: None,
            sha256: None,
            archived: None,
            purged: None,
        }
    }
}

/// A file of an hour's records.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HourShown {
    /// Its name.
    pub file: String,
    /// When its hour began.
    pub hour: Moment,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256, as the file beside it says.
    pub sha256: String,
}

/// What becomes of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DayStep {
    /// It is in its file.
    Archived(crate::store::Archived),
    /// Its file goes.
    Purged(u32),
}
