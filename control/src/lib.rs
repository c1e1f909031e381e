//! Control: who calls, may they, by which gateways, at what price, and what it cost.
//!
//! One decision loop owns all business state in memory: [`decide::Office`]. It is sans-IO (asks,
//! records, commands and time in; answers, changes and releases out), so the simulator drives the very
//! same one. Everything else follows it: [`store`] makes changes durable in groups, [`api`] turns
//! requests into commands, [`reconcile`] brings the kernel's maps to what the state says, [`resolve`]
//! asks DNS, [`machine`] looks how busy this one is, and [`driver`] moves messages between them.
//!
//! Read `decide/mod.rs`, then one file per ask beside it, then `driver.rs`.

#![forbid(unsafe_code)]

pub mod agent;
pub mod api;
pub mod btmp;
pub mod builder;
pub mod cdr;
pub mod decide;
pub mod driver;
pub mod foreign;
pub mod hourly;
pub mod invoice;
pub mod journal;
pub mod machine;
pub mod package;
pub mod page;
pub mod params;
pub mod reconcile;
pub mod report;
pub mod resolve;
pub mod sheet;
pub mod shown;
pub mod state;
pub mod store;

use jiff::fmt::temporal::DateTimePrinter;

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Monotonic, since the machine booted.
    pub now: link::Instant,
    /// Wall time, µs since 1970 UTC.
    pub wall_us: u64,
}

/// Why a command is refused, as the API says it (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// What is wrong, always the same words for the same thing.
    pub title: &'static str,
    /// What exactly, and what to do.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }

    /// No such thing.
    #[must_use]
    pub fn missing(kind: &str, name: &str) -> Self {
        // No name is longer, and what was asked for may be a megabyte.
        let name: String = name.chars().take(64).collect();
        Self::new(404, "not found", format!("there is no {kind} {name:?}; list them to see names"))
    }

    /// A value that cannot be.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "invalid value", detail)
    }
}

/// RFC 3339, UTC, with milliseconds.
#[must_use]
pub fn rfc3339(wall_us: u64) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let ms = i64::try_from(wall_us / 1000).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms);
    stamp.map(|stamp| PRINTER.timestamp_to_string(&stamp)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_read_as_rfc_3339_with_milliseconds() {
        assert_eq!(super::rfc3339(1_700_000_000_123_456), "2023-11-14T22:13:20.123Z");
    }
}
