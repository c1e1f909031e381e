//! Prices made and compared beside the loop: a customer's tariff by cost and margin, and what differs between two
//! versions of prices.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rating::Money;
use serde_json::Value;

use super::{Shared, ask, question};
use crate::Refusal;
use crate::decide::Method;
use crate::decide::sheet::{SheetChange, SheetStep};
use crate::page::Page;
use crate::sheet::compare::{Counts, Held, Mode, compare};
use crate::sheet::diff::{Difference, diff};
use crate::sheet::sell::{self, Selling};
use crate::shown::{self, GenerateReport, Moment, RateDifference};
use crate::state::moment::When;
use crate::state::price_lists::Prices;

type Query = BTreeMap<String, String>;

/// Tariffs that one may be made of.
const COSTS_MAX: usize = 100;
/// The longest notice, days.
const NOTICE_MAX: u64 = 366;
/// Most of either margin.
const MARGIN_MAX: i64 = 10_000 * 1_000_000_000;
const DAY_US: u64 = 86_400_000_000;

fn instant(query: &Query, name: &str, otherwise: When) -> Result<When, Refusal> {
    query.get(name).map_or(Ok(otherwise), |text| {
        text.parse().map_err(|what| Refusal::invalid(format!("{name}: {what}")))
    })
}

fn whole(query: &Query, name: &str, otherwise: u64, most: u64) -> Result<u64, Refusal> {
    let Some(text) = query.get(name) else { return Ok(otherwise) };
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| Refusal::invalid(format!("{name}: 0 to {most}, not {text:?}")))
}

fn margin(query: &Query, name: &str) -> Result<Money, Refusal> {
    let Some(text) = query.get(name) else { return Ok(Money::ZERO) };
    let amount: Result<Money, _> = text.parse();
    let amount = amount.map_err(|fault| Refusal::invalid(format!("{name}: {text:?}: {fault}")))?;
    if (-MARGIN_MAX..=MARGIN_MAX).contains(&amount.billionths()) {
        Ok(amount)
    } else {
        Err(Refusal::invalid(format!("{name}: -10000 to 10000, not {text:?}")))
    }
}

fn now(shared: &Shared) -> When {
    When((shared.now)().wall_us / 1_000 * 1_000)
}

/// Tariffs by their names, as they are at one moment.
async fn look(shared: &Arc<Shared>, names: Vec<String>) -> Result<Vec<Prices>, Refusal> {
    let place = Arc::new(OnceLock::new());
    let first = names.first().cloned().unwrap_or_default();
    let mut command = question(&["tariff", &first, "sheet"]);
    command.sheet = Some(SheetStep::Prices(names, Arc::clone(&place)));
    ask(shared, String::new(), command).await?;
    place.get().cloned().ok_or_else(|| Refusal::new(500, "prices not read", "try again"))
}

fn held(prices: &Prices) -> Held<'_> {
    Held { head: &prices.head, rows: &prices.rows }
}

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refusal::new(500, "prices not compared", "try again"))
}

/// Makes a customer's tariff of costs, or only says what would change.
pub(super) async fn generate(
    shared: &Arc<Shared>,
    who: String,
    tariff: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let costs = query.get("cost").map_or("", String::as_str);
    let costs: Vec<String> = costs
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if costs.is_empty() || costs.len() > COSTS_MAX {
        let what = format!("cost: 1 to {COSTS_MAX} tariffs that calls are bought by, with commas");
        return Err(Refusal::invalid(what));
    }
    if costs.iter().any(|cost| cost == tariff) {
        return Err(Refusal::invalid("cost: a tariff is not made of itself"));
    }
    let flag = |name: &str| whole(query, name, 0, 1).map(|flag| flag == 1);
    let (close, dry_run) = (flag("close")?, flag("dry_run")?);
    let today = now(shared);
    let at = instant(query, "effective", today)?.max(today);
    let notice = When(today.0 + whole(query, "notice_days", 7, NOTICE_MAX)? * DAY_US).max(at);
    let how = Selling {
        margin_percent: margin(query, "margin_percent")?,
        margin: margin(query, "margin")?,
        decimals: u32::try_from(whole(query, "decimals", 4, 9)?).unwrap_or(9),
        at,
        notice,
        close,
    };
    let names = std::iter::once(tariff.to_owned()).chain(costs).collect();
    let lists = look(shared, names).await?;
    let (version, codes, plan) = beside(move || {
        let Some((target, costs)) = lists.split_first() else { return Err(()) };
        let costs: Vec<Held<'_>> = costs.iter().map(held).collect();
        let mut sheet = sell::sheet(&costs, held(target), &how);
        let plan = compare(&mut sheet, held(target), Mode::Add, how.at);
        Ok((target.head.version, sheet.rates.len(), plan))
    })
    .await?
    .map_err(|()| Refusal::new(500, "prices not compared", "try again"))?;
    let (put, gone) = (plan.rows.len(), plan.gone.len());
    let taken = (put > 0 || gone > 0) && !dry_run;
    if taken {
        let change = SheetChange { version, rows: plan.rows, gone: plan.gone };
        let mut command = question(&["tariff", tariff, "sheet"]);
        command.method = Method::Post;
        command.sheet = Some(SheetStep::Take(Arc::new(change)));
        ask(shared, who, command).await?;
    }
    let Counts { new, increased, decreased, changed, closed, unchanged, .. } = plan.counts;
    Ok(shown::json(GenerateReport {
        tariff: tariff.to_owned(),
        at: Moment::at(at.0),
        notice: Moment::at(notice.0),
        taken,
        codes,
        new,
        increased,
        decreased,
        changed,
        closed,
        unchanged,
        rates_put: put,
        rates_gone: gone,
    }))
}

/// A page of what differs between two instants of a tariff, or between two tariffs.
pub(super) async fn differences(
    shared: &Arc<Shared>,
    tariff: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let page = Page::read(query)?;
    let today = now(shared);
    let (from, to) = (instant(query, "from", today)?, instant(query, "to", today)?);
    let other = query.get("with");
    if other.is_none() && from == to {
        return Err(Refusal::invalid("from, to, with: name two instants, or another tariff"));
    }
    let names = vec![tariff.to_owned(), other.cloned().unwrap_or_else(|| tariff.to_owned())];
    let lists = look(shared, names).await?;
    let found = beside(move || {
        let [one, two] = &lists[..] else { return Vec::new() };
        diff((held(one), from), (held(two), to))
    })
    .await?;
    let place = |it: &Difference| {
        let (prefix, origin, period) = it.key();
        format!("{prefix};{origin};{period}")
    };
    let behind = page.cursor.clone();
    let found = found.into_iter().skip_while(|it| {
        // In the order of the list, which is not that of the text.
        behind.as_ref().is_some_and(|behind| place(it) != *behind)
    });
    let found = found.skip(usize::from(behind.is_some()));
    Ok(page.fill(found, place, |it| shown::json(RateDifference::of(&it))))
}
