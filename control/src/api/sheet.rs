//! A vendor's rate sheet, read and compared beside the loop: a report of what it changes, and the change itself.
//!
//! All or nothing, unless `skip=1` says to leave wrong lines out of an amendment. One sheet at a time: a large one
//! takes much memory, and who sends two of them wants the second compared with what the first made.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tokio::sync::Mutex;

use super::{Shared, ask, question};
use crate::Refusal;
use crate::decide::Method;
use crate::decide::sheet::{SheetChange, SheetStep};
use crate::sheet::compare::{Counts, Held, Mode, Plan, compare};
use crate::sheet::losses::{self, Losses};
use crate::sheet::{self, Remark, Sheet};
use crate::shown::{self, LossShown, Moment, RemarkShown, SaleShown, SheetReport};
use crate::state::moment::When;
use crate::state::price_lists::PriceLists;

/// Wrong lines that fit into a problem.
const IN_PROBLEM: usize = 3;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

type Query = BTreeMap<String, String>;

/// How it is to be taken.
#[derive(Clone, Copy)]
struct Wish {
    mode: Mode,
    at: When,
    dry_run: bool,
    skip: bool,
}

impl Wish {
    fn read(query: &Query, now_us: u64) -> Result<Self, Refusal> {
        let flag = |name: &str| match query.get(name).map(String::as_str) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(Refusal::invalid(format!("{name}: 0 or 1, not {other:?}"))),
        };
        let mode = match query.get("mode").map(String::as_str) {
            None | Some("add") => Mode::Add,
            Some("replace") => Mode::Replace,
            Some(other) => {
                return Err(Refusal::invalid(format!("mode: add or replace, not {other:?}")));
            }
        };
        let now = When(now_us / 1_000 * 1_000);
        let at = match query.get("effective") {
            None => now,
            Some(text) => {
                let at: When =
                    text.parse().map_err(|what| Refusal::invalid(format!("effective: {what}")))?;
                at.max(now)
            }
        };
        let wish = Self { mode, at, dry_run: flag("dry_run")?, skip: flag("skip")? };
        if wish.skip && mode == Mode::Replace {
            let what = "skip: with mode=replace the codes of wrong lines would end; mend the lines";
            return Err(Refusal::invalid(what));
        }
        Ok(wish)
    }
}

/// What came of it.
struct Found {
    sheet: Sheet,
    plan: Plan,
    losses: Losses,
}

/// Takes a sheet, or only says what it would change.
pub(super) async fn take(
    shared: &Arc<Shared>,
    who: String,
    tariff: &str,
    query: &Query,
    bytes: Vec<u8>,
) -> Result<Value, Refusal> {
    let wish = Wish::read(query, (shared.now)().wall_us)?;
    if !query.contains_key("mapping") {
        return Err(Refusal::invalid("mapping: name one; `tollgate tariff mapping list`"));
    }
    let turn = ONE_AT_A_TIME.lock().await;
    let place = Arc::new(OnceLock::new());
    let mut command = question(&["tariff", tariff, "sheet"]);
    command.query = query.clone();
    command.sheet = Some(SheetStep::Look(Arc::clone(&place)));
    ask(shared, String::new(), command).await?;
    let none = || Refusal::new(500, "sheet not compared", "try again");
    let lists: PriceLists = place.get().cloned().ok_or_else(none)?;
    drop(place);
    // Who asked may be gone before the sheet is read; the next one waits all the same.
    let found = tokio::task::spawn_blocking(move || (find(&bytes, lists, wish), turn));
    // A foreign reader looks into an .xlsx; what it stumbles over is the file's fault, and ends here.
    let (found, _turn) = found.await.map_err(|_| {
        let what = "the file cannot be read; open and save it in a spreadsheet program, or save it as .csv";
        Refusal::invalid(what)
    })?;
    let (lists, mut found) = found?;
    let rows = std::mem::take(&mut found.plan.rows);
    let gone = std::mem::take(&mut found.plan.gone);
    let (put, taken_out) = (rows.len(), gone.len());
    let changes = !rows.is_empty() || !gone.is_empty();
    let taken = changes && !wish.dry_run;
    let PriceLists { mapping, head, rows: held, sales, sales_elsewhere } = lists;
    // Nobody else may hold them when they change: the loop would have to copy all.
    drop(held);
    let losing = sales.iter().zip(&found.losses.by_sale).filter(|it| *it.1 > 0);
    let losing = losing.map(|(sale, prefixes)| SaleShown {
        tariff: sale.tariff.clone(),
        customers: sale.customers.clone(),
        customers_all: sale.customers_all,
        prefixes: *prefixes,
    });
    let loss = found.losses.told.iter().map(|loss| LossShown {
        tariff: sales.get(loss.sale).map_or_else(String::new, |sale| sale.tariff.clone()),
        prefix: loss.prefix.clone(),
        line: loss.line,
        from: Moment::at(loss.from.0),
        sold: loss.sold.into(),
        unit_s: loss.sold_unit_s,
        cost: loss.cost.into(),
    });
    let remarks = found.sheet.remarks.told.into_iter().map(|it| RemarkShown {
        line: it.line,
        kind: it.remark.name(),
        why: it.why,
    });
    let Counts { new, increased, decreased, changed, closed, unchanged, duplicate, ended } =
        found.plan.counts;
    let report = SheetReport {
        tariff: tariff.to_owned(),
        mapping: mapping.name,
        mode: if wish.mode == Mode::Add { "add" } else { "replace" }.to_owned(),
        at: Moment::at(wish.at.0),
        taken,
        lines: found.sheet.lines,
        codes: found.sheet.rates.len(),
        new,
        increased,
        decreased,
        changed,
        closed,
        unchanged,
        duplicate,
        ended,
        rates_put: put,
        rates_gone: taken_out,
        wrong: found.sheet.remarks.wrong,
        rounding: found.sheet.remarks.rounds,
        contradicting: found.sheet.remarks.status,
        remarks: remarks.collect(),
        losing: losing.collect(),
        losses: found.losses.by_sale.iter().sum(),
        loss: loss.collect(),
        sales_elsewhere,
    };
    drop(sales);
    if taken {
        let change = SheetChange { version: head.version, rows, gone };
        let mut command = question(&["tariff", tariff, "sheet"]);
        command.method = Method::Post;
        command.sheet = Some(SheetStep::Take(Arc::new(change)));
        ask(shared, who, command).await?;
    }
    Ok(shown::json(report))
}

fn find(bytes: &[u8], lists: PriceLists, wish: Wish) -> Result<(PriceLists, Found), Refusal> {
    let mut sheet = sheet::read(bytes, &lists.mapping)?;
    let held = Held { head: &lists.head, rows: &lists.rows };
    let plan = compare(&mut sheet, held, wish.mode, wish.at);
    sheet.remarks.told.sort_by_key(|it| it.line);
    if sheet.remarks.faulty() > 0 && !wish.skip && !wish.dry_run {
        return Err(problem(&sheet));
    }
    let losses = losses::find(&sheet, &plan.bought, &lists.rows, &lists.sales);
    Ok((lists, Found { sheet, plan, losses }))
}

fn problem(sheet: &Sheet) -> Refusal {
    let faulty = sheet.remarks.told.iter().filter(|it| it.remark != Remark::Status);
    let lines = faulty.take(IN_PROBLEM).map(|it| format!("line {}: {}", it.line, it.why));
    let (wrong, all) = (sheet.remarks.faulty(), sheet.lines);
    let lines = lines.collect::<Vec<_>>().join("; ");
    let detail = format!(
        "{wrong} of {all} lines are wrong or would round, nothing was taken; dry_run=1 tells all. {lines}"
    );
    Refusal::new(422, "sheet refused", detail)
}
