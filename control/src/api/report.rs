//! Reports: what a request asks for, and who reads it meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Shared, history};
use crate::Refusal;
use crate::report::calendar::{self, Every};
use crate::report::{Asked, Dimension, Kind, Reads};
use crate::shown;

/// What a report may be asked by.
pub(super) const QUERY: &[&str] = &[
    "from",
    "to",
    "time_zone",
    "by",
    "area_digits",
    "account",
    "vendor_account",
    "gateway",
    "vendor",
];

/// Most digits of an area.
const DIGITS_MAX: usize = 15;

/// Two read at once; each has a connection and a thread of its own.
static READERS: Semaphore = Semaphore::const_new(2);

type Query = BTreeMap<String, String>;

/// A report, for an agent of the calls that he earned on.
pub(super) async fn report(
    shared: &Arc<Shared>,
    name: &str,
    query: &Query,
    agent: Option<u32>,
) -> Result<Value, Refusal> {
    let asked = Asked { agent, ..asked(name, query)? };
    let _permit = READERS.try_acquire().map_err(|_| {
        Refusal::new(
            503,
            "too many reports at once",
            "two are being read; ask again in some seconds",
        )
    })?;
    let mut reader = None;
    history(shared, |history| {
        reader = Some(history.another()?);
        Ok(Value::Null)
    })?;
    let broken = || Refusal::new(500, "report broken", "restart tollgate-control");
    let mut reader = reader.ok_or_else(broken)?;
    let read = tokio::task::spawn_blocking(move || reader.report(&asked));
    read.await.map_err(|_| broken())?.map(shown::json)
}

fn asked(name: &str, query: &Query) -> Result<Asked, Refusal> {
    let kind = Kind::find(name)?;
    let text = |field: &str| query.get(field).cloned();
    let zone = calendar::zone(query.get("time_zone").map_or("UTC", String::as_str))?;
    let moment =
        |field: &str| query.get(field).map(|text| calendar::moment(field, text, &zone)).transpose();
    let (from, to) = (moment("from")?, moment("to")?);
    let (from_us, to_us) = match kind.reads {
        Reads::Ledger => (from.unwrap_or(0), to.unwrap_or(i64::MAX)),
        _ => from.zip(to).ok_or_else(|| {
            Refusal::invalid(
                "from, to: a report of records needs both, like 2026-01-01 and 2026-02-01",
            )
        })?,
    };
    if from_us < 0 || to_us <= from_us {
        return Err(Refusal::invalid(
            "from, to: the time ends before it begins, or began before 1970",
        ));
    }
    takes(kind, query)?;
    Ok(Asked {
        kind,
        from_us,
        to_us,
        zone,
        every: every(kind, query)?,
        area_digits: digits(query)?,
        agent: None,
        account: text("account"),
        vendor_account: text("vendor_account"),
        gateway: text("gateway"),
        vendor: text("vendor"),
    })
}

/// Nothing that is asked by is ignored.
fn takes(kind: &Kind, query: &Query) -> Result<(), Refusal> {
    let has_area = kind.dimensions.contains(&Dimension::Area);
    let strange = |field: &&String| match (field.as_str(), kind.reads) {
        ("area_digits", _) => !has_area,
        ("gateway" | "vendor" | "vendor_account" | "by", Reads::Ledger) => true,
        // A call tells who is paid of its last vendor only.
        ("vendor_account", Reads::Attempts) => true,
        _ => false,
    };
    match query.keys().find(strange) {
        None => Ok(()),
        Some(field) => {
            Err(Refusal::invalid(format!("{field}: the report `{}` does not take it", kind.name)))
        }
    }
}

fn every(kind: &Kind, query: &Query) -> Result<Every, Refusal> {
    let Some(word) = query.get("by") else { return Ok(kind.every) };
    Every::ALL.into_iter().find(|every| every.name() == word).ok_or_else(|| {
        let words = Every::ALL.map(Every::name).join(", ");
        Refusal::invalid(format!("by: {word:?} is none of {words}"))
    })
}

fn digits(query: &Query) -> Result<Option<usize>, Refusal> {
    let Some(text) = query.get("area_digits") else { return Ok(None) };
    let digits = text.parse().ok().filter(|digits| (1..=DIGITS_MAX).contains(digits));
    let wrong = || Refusal::invalid(format!("area_digits: {text:?}; it is 1 to {DIGITS_MAX}"));
    digits.map(Some).ok_or_else(wrong)
}
