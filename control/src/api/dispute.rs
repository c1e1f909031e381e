//! A vendor's call records beside ours: read, paired and added up beside the loop, which is asked for names alone.
//!
//! One at a time: a file of a million calls takes much memory. Nothing is changed by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::tz::TimeZone;
use numbers::Number;
use numbers::transform::Rules;
use rating::Money;
use serde_json::Value;
use tokio::sync::Mutex;

use super::routes::Route;
use super::{Shared, history, look, parse_query};
use crate::Refusal;
use crate::cdr::id_text;
use crate::foreign::dispute::{Bought, Class, Difference, Dispute, Sum, Terms, compare};
use crate::foreign::pair::Tolerance;
use crate::foreign::{self, ForeignCall, ForeignFile};
use crate::report::calendar;
use crate::shown::{
    DifferenceOfCallShown, DisputeClassShown, DisputeReport, Moment, RemarkShown, billionths,
};
use crate::state::derive::rules;
use crate::state::entity::{RecordMapping, parse};
use crate::store::{BoughtFilter, History};

/// Query parameters of a dispute.
pub(super) const QUERY: &[&str] =
    &["mapping", "vendor_account", "from", "to", "start_ms", "duration_ms", "amount"];

/// Calls that differ and are told; all are counted.
pub(super) const TOLD_MAX: usize = 100_000;
/// Starts of one call are at most so far apart, ms: an hour, where clocks of summer and winter were mixed up.
const START_MS_MAX: u64 = 3_600_000;
/// Durations of one call likewise.
const DURATION_MS_MAX: u64 = 3_600_000;

pub(super) static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

type Query = BTreeMap<String, String>;

/// What one dispute is about.
struct Wish {
    mapping: RecordMapping,
    vendor: u32,
    vendor_account: String,
    currency: String,
    terms: Terms,
}

/// A saved mapping.
pub(super) async fn mapping(shared: &Arc<Shared>, query: &Query) -> Result<RecordMapping, Refusal> {
    let name = query
        .get("mapping")
        .ok_or_else(|| Refusal::invalid("mapping: name one; `tollgate cdr mapping list`"))?;
    parse(look(shared, &["record", "mapping", name]).await?)
}

fn number(query: &Query, field: &str, default: u64, most: u64) -> Result<u64, Refusal> {
    let Some(text) = query.get(field) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| Refusal::invalid(format!("{field}: {text:?}; it is 0 to {most} ms")))
}

impl Wish {
    async fn read(shared: &Arc<Shared>, query: &Query) -> Result<Self, Refusal> {
        let mapping = mapping(shared, query).await?;
        let named = query.get("vendor_account").cloned();
        let vendor_account = named.unwrap_or_else(|| mapping.account.clone());
        if vendor_account.is_empty() {
            let what = "vendor_account: the mapping is of no vendor; say whose records these are";
            return Err(Refusal::invalid(what));
        }
        // A zone was found once at entry, so none is lost here.
        let zone = TimeZone::get(&mapping.time_zone).unwrap_or(TimeZone::UTC);
        let moment = |field: &str| {
            let text = query.get(field).ok_or_else(|| {
                Refusal::invalid(format!("{field}: absent; say of which time the file is"))
            })?;
            calendar::moment(field, text, &zone)
        };
        let (from_us, to_us) = (moment("from")?, moment("to")?);
        if from_us < 0 || to_us <= from_us {
            let what = "from, to: the time ends before it begins, or began before 1970";
            return Err(Refusal::invalid(what));
        }
        let tolerance = Tolerance {
            start_ms: number(query, "start_ms", 5_000, START_MS_MAX)?,
            duration_ms: number(query, "duration_ms", 1_000, DURATION_MS_MAX)?,
        };
        let amount = query.get("amount").map_or(Ok(Money::ZERO), |text| {
            let money = text.parse().ok().filter(|money| *money >= Money::ZERO);
            money.ok_or_else(|| {
                Refusal::invalid(format!("amount: {text:?} is no amount like 0.0001"))
            })
        });
        let terms = Terms { from_us, to_us, tolerance, amount: amount? };
        let account = look(shared, &["account", &vendor_account]).await?;
        let id = account.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        let currency = account.get("currency").and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            mapping,
            vendor: id.ok_or_else(|| Refusal::missing("account", &vendor_account))?,
            vendor_account,
            currency: currency.to_owned(),
            terms,
        })
    }
}

/// Compares a vendor's file with our records. The report as JSON.
pub(super) async fn dispute(
    shared: &Arc<Shared>,
    route: &Route,
    query: Option<&str>,
    bytes: Bytes,
) -> Result<String, Refusal> {
    let query = &parse_query(query.unwrap_or_default())?;
    route.check_query(query.keys())?;
    let turn = ONE_AT_A_TIME.try_lock().map_err(|_| {
        let what = "another file is being compared; send this one again in some seconds";
        Refusal::new(503, "one file at a time", what)
    })?;
    let wish = Wish::read(shared, query).await?;
    let mut reader = None;
    history(shared, |history| {
        reader = Some(history.another()?);
        Ok(Value::Null)
    })?;
    let broken = || Refusal::new(500, "dispute broken", "restart tollgate-control");
    let reader = reader.ok_or_else(broken)?;
    // Who asked may be gone before the file is read; the next one waits all the same.
    let found = tokio::task::spawn_blocking(move || (find(bytes, wish, reader), turn));
    // A foreign reader looks into an .xlsx; what it stumbles over is the file's fault, and ends here.
    let (found, _turn) = found.await.map_err(|_| {
        Refusal::invalid(
            "the file cannot be read; open and save it in a spreadsheet program, or save it as .csv",
        )
    })?;
    found
}

fn find(bytes: Bytes, wish: Wish, mut reader: Box<dyn History>) -> Result<String, Refusal> {
    let file = foreign::read(&bytes, &wish.mapping, Some(&wish.currency))?;
    drop(bytes);
    let Terms { from_us, to_us, tolerance, .. } = wish.terms;
    let beside_us = tolerance.start_ms.cast_signed() * 1_000;
    let mut ours = reader.bought(&BoughtFilter {
        vendor: wish.vendor,
        from_us: from_us.saturating_sub(beside_us).max(0),
        to_us: to_us.saturating_add(beside_us),
        start_is: wish.mapping.start_is,
    })?;
    let rules = rules(&wish.mapping.sent_rules);
    for call in &mut ours {
        call.callee = sent(&call.callee, &rules);
    }
    ours.sort_by_key(|it| (it.start_us, it.id));
    let found = compare(&ours, &file.calls, &wish.terms);
    let report = report(wish, file, &ours, &found);
    serde_json::to_string(&report)
        .map_err(|error| Refusal::new(500, "report unwritable", error.to_string()))
}

/// A number that was sent, as theirs are compared. What rules leave nothing of stays as it was.
fn sent(callee: &str, rules: &Rules) -> Box<str> {
    let number = Number::normal(callee.as_bytes(), &[]).ok();
    let number = number.and_then(|number| rules.apply(number));
    number.map_or_else(|| callee.into(), |number| number.as_str().into())
}

fn report(wish: Wish, file: ForeignFile, ours: &[Bought], found: &Dispute) -> DisputeReport {
    let all = |sums: &mut dyn Iterator<Item = Sum>| sums.fold(Sum::default(), Sum::and);
    let inside = || Class::ALL.into_iter().zip(found.sums).filter(|it| it.0 != Class::Outside);
    let disputed: i128 = inside().map(|(_, sums)| sums.1.amount - sums.0.amount).sum();
    let classes = Class::ALL.into_iter().zip(found.sums).map(|(class, (ours, theirs))| {
        DisputeClassShown { class: class.name(), ours: ours.into(), theirs: theirs.into() }
    });
    let remarks = file.remarks.told.into_iter().map(|it| RemarkShown {
        line: it.line,
        kind: it.remark.name(),
        why: it.why,
    });
    let items = found.differences.iter().take(TOLD_MAX);
    let Terms { from_us, to_us, tolerance, amount } = wish.terms;
    DisputeReport {
        vendor_account: wish.vendor_account,
        currency: wish.currency,
        mapping: wish.mapping.name,
        from: Moment::at(from_us.cast_unsigned()),
        to: Moment::at(to_us.cast_unsigned()),
        start_ms: tolerance.start_ms,
        duration_ms: tolerance.duration_ms,
        amount: amount.into(),
        lines: file.lines,
        wrong: file.remarks.wrong,
        remarks: remarks.collect(),
        classes: classes.collect(),
        ours: all(&mut found.sums.iter().map(|it| it.0)).into(),
        theirs: all(&mut found.sums.iter().map(|it| it.1)).into(),
        disputed: Some(disputed).filter(|_| !wish.mapping.amount.is_empty()).and_then(billionths),
        differences: found.differences.len(),
        items: items.map(|it| told(it, ours, &file.calls)).collect(),
    }
}

fn told(it: &Difference, ours: &[Bought], theirs: &[ForeignCall]) -> DifferenceOfCallShown {
    let ours = it.ours.and_then(|place| ours.get(place));
    let theirs = it.theirs.and_then(|place| theirs.get(place));
    let text = |of: fn(&ForeignCall) -> &str| theirs.map_or("", of).to_owned();
    let callee = theirs.map(|it| &it.callee).or(ours.map(|it| &it.callee));
    let moment = |us: i64| Moment::at(us.cast_unsigned());
    let (owed, asked) = (ours.map(|it| it.amount), theirs.and_then(|it| it.amount));
    let has_amount = asked.is_some() || theirs.is_none();
    let worth = |money: Option<Money>| money.map_or(0, |it| i128::from(it.billionths()));
    DifferenceOfCallShown {
        class: it.class.name(),
        callee: callee.map_or_else(String::new, |it| it.to_string()),
        line: theirs.map(|it| it.line),
        record_id: text(|it| &it.record_id),
        caller: text(|it| &it.caller),
        their_start: theirs.map(|it| moment(it.start_us)),
        their_duration_ms: theirs.map(|it| it.duration_ms),
        their_amount: asked.map(Into::into),
        id: ours.map(|it| id_text(it.id)),
        our_start: ours.map(|it| moment(it.start_us)),
        our_duration_ms: ours.map(|it| it.duration_ms),
        our_amount: owed.map(Into::into),
        difference: billionths(worth(asked) - worth(owed)).filter(|_| has_amount),
    }
}
