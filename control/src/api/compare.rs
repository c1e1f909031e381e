//! The call records of another switch, rated by our tariffs beside the loop, which hands out tariffs by reference.
//!
//! It shares its turn with disputes: a file of a million calls takes much memory. Nothing is changed by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;

use super::dispute::{ONE_AT_A_TIME, TOLD_MAX, mapping};
use super::routes::Route;
use super::{Shared, ask, parse_query, question};
use crate::Refusal;
use crate::cdr::rate_text;
use crate::decide::sheet::{PayersAsked, SheetStep};
use crate::foreign::fee::{Found, Rater, Verdict};
use crate::foreign::{self, ForeignCall, ForeignFile};
use crate::shown::{CompareReport, ComparedShown, Moment, RemarkShown, VerdictShown, billionths};
use crate::state::entity::RecordMapping;
use crate::state::payers::{Payers, Side};

/// Query parameters of a comparison.
pub(super) const QUERY: &[&str] = &["mapping", "account", "tariff", "side"];

/// Accounts that one file may name.
const PAYERS_MAX: usize = 10_000;

/// What the sums of one verdict are, billionths.
#[derive(Default)]
struct Sum {
    calls: u64,
    theirs: i128,
    ours: i128,
}

/// Rates a file. The report as JSON.
pub(super) async fn compare(
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
    let side = match query.get("side").map(String::as_str) {
        None | Some("customer") => Side::Customer,
        Some("vendor") => Side::Vendor,
        Some(other) => {
            return Err(Refusal::invalid(format!("side: customer or vendor, not {other:?}")));
        }
    };
    let mapping = mapping(shared, query).await?;
    if mapping.amount.is_empty() {
        let what = "mapping: it names no column of the amount; what would be compared?";
        return Err(Refusal::invalid(what));
    }
    let account = query.get("account").cloned().or_else(|| {
        Some(mapping.account.clone()).filter(|it| !it.is_empty() && mapping.payer.is_empty())
    });
    if account.is_none() && mapping.payer.is_empty() {
        let what = "account: the mapping names no column of who pays; say whose calls these are";
        return Err(Refusal::invalid(what));
    }
    let unreadable = |_| {
        Refusal::invalid(
            "the file cannot be read; open and save it in a spreadsheet program, or save it as .csv",
        )
    };
    // Who asked may be gone before the file is read; the next one waits all the same.
    let reading = tokio::task::spawn_blocking(move || {
        let read = foreign::read(&bytes, &mapping, None);
        (
            read.and_then(|file| Ok((payers_of(&file, account.as_deref())?, file))),
            mapping,
            account,
            turn,
        )
    });
    let (read, mapping, account, turn) = reading.await.map_err(unreadable)?;
    let (names, file) = read?;
    let tariff = query.get("tariff").cloned();
    let asked = Arc::new(PayersAsked { names, side, tariff, place: OnceLock::new() });
    let mut command = question(&["cdr", "compare"]);
    command.sheet = Some(SheetStep::Payers(Arc::clone(&asked)));
    ask(shared, String::new(), command).await?;
    let rating = tokio::task::spawn_blocking(move || {
        let none = || Refusal::new(500, "file not compared", "try again");
        let payers = asked.place.get().ok_or_else(none)?;
        let report = report(&mapping, file, payers, account.as_deref());
        let text = serde_json::to_string(&report);
        text.map_err(|error| Refusal::new(500, "report unwritable", error.to_string()))
    });
    let found = rating.await.map_err(unreadable)?;
    drop(turn);
    found
}

fn payers_of(file: &ForeignFile, account: Option<&str>) -> Result<BTreeSet<String>, Refusal> {
    if let Some(account) = account {
        return Ok(BTreeSet::from([account.to_owned()]));
    }
    let mut names = BTreeSet::new();
    for call in &file.calls {
        if !names.contains(&*call.payer) {
            names.insert(call.payer.to_string());
        }
        if names.len() > PAYERS_MAX {
            let (line, most) = (call.line, PAYERS_MAX);
            let what =
                format!("line {line}: the file names more than {most} accounts; send it in parts");
            return Err(Refusal::new(413, "too many accounts", what));
        }
    }
    Ok(names)
}

fn report(
    mapping: &RecordMapping,
    file: ForeignFile,
    payers: &Payers,
    account: Option<&str>,
) -> CompareReport {
    let mut rater = Rater::new(payers);
    let mut sums: BTreeMap<(Verdict, &str), Sum> = BTreeMap::new();
    let mut items = Vec::new();
    let mut differences = 0;
    for call in &file.calls {
        let payer = account.unwrap_or(&call.payer);
        let found = rater.rate(call, payer);
        let currency = payers.by_name.get(payer).map_or("", |payer| &payer.currency);
        let sum = sums.entry((found.verdict, currency)).or_default();
        sum.calls += 1;
        sum.theirs += call.amount.map_or(0, |it| i128::from(it.billionths()));
        sum.ours += found.ours.map_or(0, |it| i128::from(it.billionths()));
        if found.verdict != Verdict::Equal {
            differences += 1;
            if items.len() < TOLD_MAX {
                items.push(told(call, payer, found));
            }
        }
    }
    let verdicts = sums.into_iter().map(|((verdict, currency), sum)| VerdictShown {
        verdict: verdict.name(),
        currency: currency.to_owned(),
        calls: sum.calls,
        theirs: billionths(sum.theirs),
        ours: billionths(sum.ours),
    });
    let remarks = file.remarks.told.into_iter().map(|it| RemarkShown {
        line: it.line,
        kind: it.remark.name(),
        why: it.why,
    });
    CompareReport {
        mapping: mapping.name.clone(),
        lines: file.lines,
        wrong: file.remarks.wrong,
        remarks: remarks.collect(),
        verdicts: verdicts.collect(),
        differences,
        items,
    }
}

fn told(call: &ForeignCall, payer: &str, found: Found) -> ComparedShown {
    let Found { verdict, ours, terms, why } = found;
    let difference = call.amount.zip(ours).and_then(|(theirs, ours)| {
        billionths(i128::from(theirs.billionths()) - i128::from(ours.billionths()))
    });
    let prefix = terms.and_then(|it| call.callee.get(..it.price.prefix_digits.into()));
    ComparedShown {
        verdict: verdict.name(),
        why: why.into(),
        line: call.line,
        record_id: call.record_id.to_string(),
        payer: payer.to_owned(),
        callee: call.callee.to_string(),
        start: Moment::at(call.start_us.cast_unsigned()),
        duration_ms: call.duration_ms,
        prefix: prefix.map(str::to_owned),
        rate: terms.as_ref().map(rate_text),
        their_amount: call.amount.map(Into::into),
        our_amount: ours.map(Into::into),
        difference,
    }
}
