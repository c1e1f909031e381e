//! Ledger, statement and audit: what is read of money beside the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rating::Money;
use serde_json::Value;

use super::{Shared, ask, history, look, question};
use crate::Refusal;
use crate::decide::{Command, Method};
use crate::page::{LIMIT_MAX, Page};
use crate::shown::{
    self, AuditShown, CounterShown, Decimal, DifferenceShown, Moment, StatementShown,
};
use crate::store::ledger::{Counter, EntryKind};
use crate::store::{Books, LedgerFilter, Looked};

/// How often, and how far apart, a balance is looked at that differs: what was booked just now is not on disk yet.
const LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Records that are rated anew at a time: the loop decides about calls again before the next.
const RERATED_MAX: usize = 1_000;

type Query = BTreeMap<String, String>;

fn filter(account: &Value, query: &Query) -> Result<LedgerFilter, Refusal> {
    let id = account.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    let kind = query.get("kind").map(|word| {
        EntryKind::from_name(word).ok_or_else(|| {
            let words = EntryKind::ALL.map(EntryKind::name).join(", ");
            Refusal::invalid(format!("kind: {word:?} is none of {words}"))
        })
    });
    Ok(LedgerFilter {
        account: id.unwrap_or(0),
        kind: kind.transpose()?,
        from_us: time("from", query)?.unwrap_or(0),
        to_us: time("to", query)?.unwrap_or(i64::MAX),
    })
}

fn time(field: &str, query: &Query) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.get(field) else { return Ok(None) };
    let time = text.parse::<jiff::Timestamp>().map_err(|_| {
        let example = "2026-01-31T23:59:00+01:00";
        Refusal::invalid(format!("{field}: {text:?} is no RFC 3339 time, like {example}"))
    })?;
    Ok(Some(time.as_microsecond()))
}

/// A page of an account's entries.
pub(super) async fn ledger(
    shared: &Arc<Shared>,
    name: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let page = Page::read(query)?;
    let filter = filter(&look(shared, &["account", name]).await?, query)?;
    history(shared, |history| history.ledger(&filter, &page))
}

/// Records that somebody wants to set right; of other requests none.
pub(super) fn records(
    shared: &Shared,
    method: Method,
    path: &[&str],
    query: &Query,
) -> Result<Option<Box<Looked>>, Refusal> {
    let at = (shared.now)().now;
    let mut looked = Looked { at, ..Looked::default() };
    match (method, path) {
        (Method::Post, ["cdr", "rerate"]) => {
            for field in ["from", "to"] {
                if !query.contains_key(field) {
                    let detail = format!("{field}: absent; say of which time");
                    return Err(Refusal::invalid(detail));
                }
            }
            let (filter, page) = (super::filter(query)?, Page::read(query)?);
            if page.limit > RERATED_MAX {
                return Err(Refusal::invalid(format!("limit: at most {RERATED_MAX} here")));
            }
            history(shared, |history| {
                (looked.records, looked.next) = history.charged_page(&filter, &page)?;
                Ok(Value::Null)
            })?;
        }
        (Method::Post, ["cdr", id, "correction"]) => {
            history(shared, |history| {
                looked.records.push(history.charged(id)?);
                Ok(Value::Null)
            })?;
        }
        _ => return Ok(None),
    }
    Ok(Some(Box::new(looked)))
}

/// A page of what became of an account's state.
pub(super) async fn states(
    shared: &Arc<Shared>,
    name: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let page = Page::read(query)?;
    look(shared, &["account", name]).await?;
    history(shared, |history| history.account_history(name, &page))
}

/// What moved a balance in a time.
pub(super) async fn statement(
    shared: &Arc<Shared>,
    name: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let account = look(shared, &["account", name]).await?;
    let filter = filter(&account, query)?;
    let mut found = None;
    history(shared, |history| {
        found = Some(history.statement(&filter)?);
        Ok(Value::Null)
    })?;
    let found = found.unwrap_or_default();
    let sum = |kind: EntryKind| {
        found.sums.iter().find(|sum| sum.kind == kind).map_or(Money::ZERO, |sum| sum.amount)
    };
    let too_large = |_| Refusal::new(500, "sum too large", "ask for a shorter time");
    let moved = found.sums.iter().try_fold(found.opening, |total, sum| total.plus(sum.amount));
    let moment = |us: i64| Moment::at(us.cast_unsigned());
    let currency = account.get("currency").and_then(Value::as_str).unwrap_or_default();
    Ok(shown::json(StatementShown {
        account: name.to_owned(),
        currency: currency.to_owned(),
        from: query.contains_key("from").then(|| moment(filter.from_us)),
        to: query.contains_key("to").then(|| moment(filter.to_us)),
        opening: found.opening.into(),
        payments: sum(EntryKind::Payment).into(),
        charges: sum(EntryKind::Charge).into(),
        refunds: sum(EntryKind::Refund).into(),
        corrections: sum(EntryKind::Correction).into(),
        rents: sum(EntryKind::Rent).into(),
        packages: sum(EntryKind::Package).into(),
        incomes: sum(EntryKind::Income).into(),
        entries: found.sums.iter().map(|sum| sum.entries).sum(),
        closing: moved.map_err(too_large)?.into(),
    }))
}

/// What the loop holds of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holding {
    name: String,
    currency: String,
    balance: i64,
}

type Holdings = BTreeMap<u32, Holding>;

/// All balances as the loop has them.
async fn holdings(shared: &Arc<Shared>) -> Result<Holdings, Refusal> {
    let mut found = Holdings::new();
    let mut cursor = None;
    loop {
        let mut query = Query::from([("limit".to_owned(), LIMIT_MAX.to_string())]);
        query.extend(cursor.map(|next| ("cursor".to_owned(), next)));
        let command = Command { query, ..question(&["account"]) };
        let page = ask(shared, String::new(), command).await?;
        let items = page.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        found.extend(items.iter().filter_map(holding));
        cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn holding(account: &Value) -> Option<(u32, Holding)> {
    let text = |field: &str| account.get(field)?.as_str();
    let balance: Money = text("balance")?.parse().ok()?;
    let id = u32::try_from(account.get("id")?.as_u64()?).ok()?;
    let (name, currency) = (text("name")?.to_owned(), text("currency")?.to_owned());
    Some((id, Holding { name, currency, balance: balance.billionths() }))
}

/// Adds up all books and says where they differ.
pub(super) async fn audit(shared: &Arc<Shared>) -> Result<Value, Refusal> {
    let mut looks = 0;
    loop {
        looks += 1;
        let before = holdings(shared).await?;
        let books = books(shared).await?;
        let after = holdings(shared).await?;
        let audit = Audit::new(&books, &before, &after);
        // A call that ended between two looks is no difference.
        if audit.moving.is_empty() || looks == LOOKS {
            return Ok(shown::json(audit.shown(&after)));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Where books that nobody writes to differ from themselves, one sentence each.
pub(crate) fn differences(books: &Books) -> Vec<String> {
    let mut held = Holdings::new();
    for sum in &books.sums {
        let none = || Holding { name: String::new(), currency: String::new(), balance: 0 };
        let holding = held.entry(sum.account).or_insert_with(none);
        holding.balance = holding.balance.saturating_add(sum.amount);
    }
    let audit = Audit::new(books, &held, &held);
    let told = audit.differences.into_iter().map(|(account, what, entries, other)| {
        format!("books of account {account} differ ({what}): {entries} and {other} billionths")
    });
    told.collect()
}

/// Beside the threads that answer others: it reads every entry there is.
async fn books(shared: &Arc<Shared>) -> Result<Books, Refusal> {
    let shared = Arc::clone(shared);
    let added = tokio::task::spawn_blocking(move || {
        let mut found = Books::default();
        history(&shared, |history| {
            found = history.books()?;
            Ok(Value::Null)
        })?;
        Ok(found)
    });
    added.await.map_err(|_| Refusal::new(500, "audit broken", "restart tollgate-control"))?
}

/// Books that were compared.
struct Audit {
    /// The sum of each account's entries.
    sums: BTreeMap<u32, i128>,
    /// The sum of entries by account and counter-account.
    sides: BTreeMap<(u32, String), i128>,
    entries: u64,
    /// By account: what, by the entries, by the other book.
    differences: Vec<(u32, &'static str, i128, i128)>,
    /// Accounts whose balance is not that of their entries, and may be yet.
    moving: BTreeSet<u32>,
}

impl Audit {
    fn new(books: &Books, before: &Holdings, after: &Holdings) -> Self {
        let mut audit = Self {
            sums: BTreeMap::new(),
            sides: BTreeMap::new(),
            entries: 0,
            differences: Vec::new(),
            moving: BTreeSet::new(),
        };
        let mut charged: BTreeMap<(u32, Counter), i128> = BTreeMap::new();
        for sum in &books.sums {
            let amount = i128::from(sum.amount);
            audit.entries += sum.entries;
            *audit.sums.entry(sum.account).or_default() += amount;
            *audit.sides.entry((sum.account, sum.counter.clone())).or_default() += amount;
            match Counter::from_name(&sum.counter) {
                // Charges, and what was set right of them.
                Some(counter @ (Counter::Revenue | Counter::Cost)) => {
                    *charged.entry((sum.account, counter)).or_default() -= amount;
                }
                Some(counter @ Counter::Agents) => {
                    *charged.entry((sum.account, counter)).or_default() += amount;
                }
                Some(_) => {}
                None => audit.differences.push((sum.account, "one-sided", amount, 0)),
            }
        }
        audit.compare_balances(before, after);
        let last: BTreeMap<u32, i128> = books.last.iter().map(|it| (it.0, it.1.into())).collect();
        let sums = audit.sums.clone();
        audit.compare("chain", &sums, &last);
        for (what, counter, records) in [
            ("sold", Counter::Revenue, &books.sold),
            ("bought", Counter::Cost, &books.bought),
            ("earned", Counter::Agents, &books.earned),
        ] {
            let entries = charged.iter().filter(|((_, of), _)| *of == counter);
            let entries: BTreeMap<u32, i128> = entries.map(|((id, _), sum)| (*id, *sum)).collect();
            let records = records.iter().map(|it| (it.0, it.1.into())).collect();
            audit.compare(what, &entries, &records);
        }
        audit
    }

    fn compare(
        &mut self,
        what: &'static str,
        entries: &BTreeMap<u32, i128>,
        other: &BTreeMap<u32, i128>,
    ) {
        let accounts: BTreeSet<u32> = entries.keys().chain(other.keys()).copied().collect();
        for account in accounts {
            let of = |book: &BTreeMap<u32, i128>| book.get(&account).copied().unwrap_or(0);
            if of(entries) != of(other) {
                self.differences.push((account, what, of(entries), of(other)));
            }
        }
    }

    /// An account that is deleted has nothing.
    fn compare_balances(&mut self, before: &Holdings, after: &Holdings) {
        let accounts: BTreeSet<u32> = self.sums.keys().chain(after.keys()).copied().collect();
        for account in accounts {
            let of = |book: &Holdings| book.get(&account).map_or(0, |held| held.balance.into());
            let entries = self.sums.get(&account).copied().unwrap_or(0);
            let (before, after): (i128, i128) = (of(before), of(after));
            if entries != after {
                self.moving.insert(account);
                // While calls end, either look may be the one that fits.
                if entries != before {
                    self.differences.push((account, "balance", entries, after));
                }
            }
        }
    }

    fn shown(self, accounts: &Holdings) -> AuditShown {
        let name = |id: u32| match accounts.get(&id) {
            Some(held) => held.name.clone(),
            None if id == 0 => String::new(),
            None => format!("#{id}"),
        };
        let mut totals: BTreeMap<(String, String), i128> = BTreeMap::new();
        let currency = |id: &u32| accounts.get(id).map_or("", |held| &held.currency).to_owned();
        for (id, sum) in &self.sums {
            *totals.entry((currency(id), "balances".into())).or_default() += sum;
        }
        for ((id, counter), sum) in &self.sides {
            *totals.entry((currency(id), counter.clone())).or_default() -= sum;
        }
        let counters = totals.into_iter().map(|((currency, counter), sum)| CounterShown {
            currency,
            counter,
            amount: money(sum).map(Decimal::from),
        });
        let shown = |sum: i128| money(sum).unwrap_or_default().into();
        let differences = self.differences.into_iter();
        let differences: Vec<DifferenceShown> = differences
            .map(|(account, what, entries, other)| DifferenceShown {
                account: name(account),
                what: what.into(),
                entries: shown(entries),
                other: shown(other),
            })
            .collect();
        AuditShown {
            agrees: differences.is_empty(),
            accounts: self.sums.len(),
            entries: self.entries,
            counters: counters.collect(),
            differences,
        }
    }
}

fn money(billionths: i128) -> Option<Money> {
    i64::try_from(billionths).ok().map(Money::from_billionths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ledger::BookSum;

    fn held(balance: i64) -> Holdings {
        let holding =
            |name: &str, balance| Holding { name: name.into(), currency: "EUR".into(), balance };
        Holdings::from([(1, holding("customer", balance)), (2, holding("vendor", -3))])
    }

    fn sum(account: u32, kind: &str, counter: &str, amount: i64) -> BookSum {
        BookSum { account, kind: kind.into(), counter: counter.into(), entries: 1, amount }
    }

    fn books() -> Books {
        Books {
            sums: vec![
                sum(1, "payment", "cash", 100),
                sum(1, "charge", "revenue", -7),
                sum(2, "charge", "cost", -3),
            ],
            last: vec![(1, 93), (2, -3)],
            sold: vec![(0, 0), (1, 7)],
            earned: Vec::new(),
            bought: vec![(0, 0), (2, 3)],
        }
    }

    fn differences(books: &Books, before: &Holdings, after: &Holdings) -> Vec<(u32, &'static str)> {
        let audit = Audit::new(books, before, after);
        audit.differences.iter().map(|it| (it.0, it.1)).collect()
    }

    #[test]
    fn books_that_agree_add_up_to_zero_in_each_currency() {
        let audit = Audit::new(&books(), &held(93), &held(93));
        let shown = audit.shown(&held(93));
        assert!(shown.agrees, "{shown:?}");
        assert_eq!((shown.accounts, shown.entries), (2, 3));
        let amounts: Vec<String> = shown
            .counters
            .iter()
            .map(|it| format!("{} {}", it.counter, shown::json(&it.amount).as_str().unwrap_or("")))
            .collect();
        let expected =
            ["balances 0.00000009", "cash -0.0000001", "cost 0.000000003", "revenue 0.000000007"];
        assert_eq!(amounts, expected);
    }

    #[test]
    fn each_book_that_differs_is_named_with_its_account() {
        let now = held(93);
        assert_eq!(differences(&books(), &now, &now), []);
        assert_eq!(differences(&books(), &held(92), &held(92)), [(1, "balance")]);
        let changed = |change: fn(&mut Books)| {
            let mut books = books();
            change(&mut books);
            differences(&books, &held(93), &held(93))
        };
        assert_eq!(changed(|books| books.last[1].1 = -4), [(2, "chain")]);
        assert_eq!(changed(|books| books.sold[1].1 = 8), [(1, "sold")]);
        assert_eq!(changed(|books| books.bought.clear()), [(2, "bought")]);
        // A record that nobody was charged for.
        assert_eq!(changed(|books| books.sold[0].1 = 5), [(0, "sold")]);
        assert_eq!(changed(|books| books.sums[0].counter.clear()), [(1, "one-sided")]);
        // An account that is deleted had nothing left.
        let gone = Holdings::from_iter(held(93).into_iter().filter(|(id, _)| *id == 1));
        assert_eq!(differences(&books(), &gone, &gone), [(2, "balance")]);
    }

    #[test]
    fn a_balance_that_moves_while_it_is_looked_at_is_looked_at_again() {
        let audit = Audit::new(&books(), &held(93), &held(90));
        assert_eq!((audit.differences.len(), audit.moving.len()), (0, 1));
        let audit = Audit::new(&books(), &held(95), &held(93));
        assert_eq!((audit.differences.len(), audit.moving.len()), (0, 0));
    }
}
