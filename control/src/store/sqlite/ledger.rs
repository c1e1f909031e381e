//! The ledger in SQLite: entries written, read, and added up.

use rating::Money;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::records::{Side, charged};
use super::{LOADING, Reader, failed, history, pair, rows};
use crate::Refusal;
use crate::decide::account::QUARTER_US;
use crate::page::{Page, strange_cursor};
use crate::shown::{self, LedgerShown, Moment};
use crate::store::ledger::{BookSum, Booked, Books, EntryKind, KindSum, Statement};
use crate::store::{Error, LedgerEntry, LedgerFilter, Loaded};

/// Counter-accounts, who booked, and balances; of entries from before, as they must have been.
pub(super) const DOUBLE_ENTRY: &str = "
    ALTER TABLE ledger ADD COLUMN balance INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE ledger ADD COLUMN counter TEXT NOT NULL DEFAULT '';
    ALTER TABLE ledger ADD COLUMN who TEXT NOT NULL DEFAULT '';
    UPDATE ledger SET balance = after.balance,
        counter = CASE WHEN kind = 'charge' THEN iif(reference LIKE '%:customer', 'revenue', 'cost')
            WHEN account IN (SELECT id FROM document WHERE kind = 'account'
                AND json_extract(body, '$.role') = 'vendor') THEN 'settled'
            ELSE 'cash' END
        FROM (SELECT id, sum(amount) OVER (PARTITION BY account ORDER BY id) AS balance FROM ledger) AS after
        WHERE after.id = ledger.id;
    DROP INDEX ledger_account;
    CREATE INDEX ledger_account ON ledger (account, at_us, id);
";

pub(super) fn put(db: &Connection, entry: &LedgerEntry) -> Result<(), rusqlite::Error> {
    // The same reference is the same entry: a replay moves no money.
    db.prepare_cached(
        "INSERT OR IGNORE INTO ledger (account, at_us, kind, amount, balance, counter, reference, who, memo)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        entry.account,
        entry.at_us.cast_signed(),
        entry.kind.name(),
        entry.amount,
        entry.balance,
        entry.counter.name(),
        entry.reference,
        entry.who,
        entry.memo
    ])
    .map(|_| ())
}

/// Balances, and what request ids booked.
pub(super) fn load(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    let sums = "SELECT account, sum(amount) FROM ledger GROUP BY account";
    loaded.balances = rows(db, sums, pair)?;
    let mut spent = db
        .prepare(
            "SELECT at_us / ?2, sum(-amount) FROM ledger WHERE account = ?1 AND counter = 'revenue' AND kind = 'charge' AND at_us >=
                (SELECT max(at_us) FROM ledger WHERE account = ?1) - 104 * ?2 GROUP BY 1",
        )
        .map_err(failed(LOADING))?;
    for (account, _) in &loaded.balances {
        let read =
            |row: &Row<'_>| Ok((*account, row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?));
        let found = spent.query_map(params![account, QUARTER_US.cast_signed()], read);
        let found: Result<Vec<_>, _> = found.and_then(Iterator::collect);
        loaded.spent.extend(found.map_err(failed(LOADING))?);
    }
    let booked = "SELECT kind, reference, amount, balance FROM ledger WHERE kind <> 'charge'";
    let read = |row: &Row<'_>| {
        let (kind, reference): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((kind, reference, money(row, 2)?, money(row, 3)?))
    };
    for (kind, reference, amount, balance) in rows(db, booked, read)? {
        let kind = EntryKind::from_name(&kind);
        let request = Booked::request(&reference).map(|(account, id)| (account, id.to_owned()));
        // Another one was written by hand; it moved money, but no request of ours is it.
        if let (Some(kind), Some(request)) = (kind, request) {
            loaded.booked.push((request, Booked { kind, amount, balance }));
        }
    }
    Ok(())
}

fn money(row: &Row<'_>, column: usize) -> Result<Money, rusqlite::Error> {
    Ok(Money::from_billionths(row.get(column)?))
}

impl Reader {
    /// A page of an account's entries, newest first.
    pub(super) fn entries(&self, filter: &LedgerFilter, page: &Page) -> Result<Value, Refusal> {
        let (at, id) = match &page.cursor {
            None => (i64::MAX, i64::MAX),
            Some(cursor) => {
                let (at, id) = cursor.split_once('-').ok_or_else(strange_cursor)?;
                let number = |text: &str| text.parse::<i64>().map_err(|_| strange_cursor());
                (number(at)?, number(id)?)
            }
        };
        let sql =
            "SELECT id, at_us, kind, amount, balance, counter, reference, who, memo FROM ledger
                   WHERE account = ?1 AND at_us >= ?2 AND at_us < ?3 AND (at_us, id) < (?4, ?5)
                   AND (?6 IS NULL OR kind = ?6) ORDER BY at_us DESC, id DESC LIMIT ?7";
        let kind = filter.kind.map(EntryKind::name);
        let limit = page.limit as i64 + 1;
        let values = params![filter.account, filter.from_us, filter.to_us, at, id, kind, limit];
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let found: Result<Vec<(i64, i64, LedgerShown)>, _> = statement
            .query_map(values, |row| Ok((row.get(1)?, row.get(0)?, entry(row)?)))
            .map_err(history)?
            .collect();
        let place = |(at, id, _): &(i64, i64, LedgerShown)| format!("{at}-{id}");
        Ok(page.fill(found.map_err(history)?, place, |(_, _, entry)| shown::json(entry)))
    }

    /// What an account had before a time, and what moved it then.
    pub(super) fn statement_of(&self, filter: &LedgerFilter) -> Result<Statement, Refusal> {
        let LedgerFilter { account, from_us, to_us, .. } = *filter;
        let before =
            "SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = ?1 AND at_us < ?2";
        let opening = self
            .connection
            .query_row(before, params![account, from_us], |row| money(row, 0))
            .map_err(history)?;
        let sql = "SELECT kind, count(*), sum(amount) FROM ledger
                   WHERE account = ?1 AND at_us >= ?2 AND at_us < ?3 GROUP BY kind";
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let read = |row: &Row<'_>| {
            let (kind, entries): (String, i64) = (row.get(0)?, row.get(1)?);
            Ok((kind, entries.cast_unsigned(), money(row, 2)?))
        };
        let found = statement.query_map(params![account, from_us, to_us], read).map_err(history)?;
        let mut sums = Vec::new();
        for row in found {
            let (kind, entries, amount) = row.map_err(history)?;
            let kind = EntryKind::from_name(&kind).ok_or_else(|| {
                Refusal::new(500, "ledger unreadable", format!("{kind:?} is no kind of entry"))
            })?;
            sums.push(KindSum { kind, entries, amount });
        }
        sums.sort_by_key(|sum| sum.kind);
        Ok(Statement { opening, sums })
    }

    /// All of it, added up, as it was at one moment.
    pub(super) fn added_up(&mut self) -> Result<Books, Refusal> {
        // One reading transaction: what is booked meanwhile is in all of the sums or in none.
        let moment = self.connection.transaction().map_err(history)?;
        let sum = |row: &Row<'_>| {
            let entries: i64 = row.get(3)?;
            Ok(BookSum {
                account: row.get(0)?,
                kind: row.get(1)?,
                counter: row.get(2)?,
                entries: entries.cast_unsigned(),
                amount: row.get(4)?,
            })
        };
        let sums = "SELECT account, kind, counter, count(*), sum(amount) FROM ledger
                    GROUP BY account, kind, counter";
        // Beside a max(), SQLite takes the other columns of the row that has it.
        let last = "SELECT account, balance, max(id) FROM ledger GROUP BY account";
        Ok(Books {
            sums: all(&moment, sums, sum)?,
            last: all(&moment, last, pair)?,
            sold: charged(&moment, Side::Customers).map_err(history)?,
            bought: charged(&moment, Side::Vendors).map_err(history)?,
            earned: charged(&moment, Side::Agents).map_err(history)?,
        })
    }
}

fn all<T>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, Refusal> {
    let mut statement = db.prepare(sql).map_err(history)?;
    let found = statement.query_map([], read).map_err(history)?;
    found.collect::<Result<_, _>>().map_err(history)
}

fn entry(row: &Row<'_>) -> Result<LedgerShown, rusqlite::Error> {
    let at: i64 = row.get(1)?;
    Ok(LedgerShown {
        at: Moment::at(at.cast_unsigned()),
        kind: row.get(2)?,
        amount: money(row, 3)?.into(),
        balance: money(row, 4)?.into(),
        counter: row.get(5)?,
        reference: row.get(6)?,
        who: row.get(7)?,
        memo: row.get(8)?,
    })
}
