//! Invoices in SQLite: what they add up, and the documents themselves, which are never written over once they have a
//! number.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::records::{day_before, day_of, days};
use super::reports::{are_corrected, charges};
use super::{Reader, archive, bodies, history};
use crate::Refusal;
use crate::invoice::{Billed, Document, Head, Kept, Line, LineOf, sums};
use crate::page::Page;
use crate::report::area::{CODE_DIGITS, area};
use crate::report::country::country;
use crate::shown::{self, InvoiceShown};
use crate::store::{Error, InvoiceFilter, Loaded};
use rating::Money;

/// Documents, with what is known of them.
pub(super) const TABLE: &str = "
    CREATE TABLE invoice (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,
        account INTEGER NOT NULL, state TEXT NOT NULL, of INTEGER NOT NULL, head TEXT NOT NULL, body TEXT NOT NULL);
    CREATE UNIQUE INDEX invoice_number ON invoice (number) WHERE number > 0;
    CREATE INDEX invoice_account ON invoice (account, id);
    CREATE INDEX invoice_of ON invoice (of) WHERE of > 0;
";

fn json(head: &Head) -> String {
    serde_json::to_string(head).unwrap_or_default()
}

pub(super) fn put(db: &Connection, kept: &Kept) -> Result<(), rusqlite::Error> {
    let Kept { head, body } = kept;
    // One that has a number has it for ever, with what it says.
    db.prepare_cached(
        "INSERT INTO invoice (id, number, name, account, state, of, head, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET number = ?2, name = ?3, account = ?4, state = ?5, of = ?6, head = ?7, body = ?8
            WHERE number = 0",
    )?
    .execute(params![
        head.id,
        head.number,
        head.name,
        head.account,
        head.state(),
        head.of,
        json(head),
        body
    ])
    .map(|_| ())
}

/// What became of one.
pub(super) fn stand(db: &Connection, head: &Head) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE invoice SET state = ?2, head = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![head.id, head.state(), json(head)]).map(|_| ())
}

/// A draft that nobody wants.
pub(super) fn remove(db: &Connection, id: u32) -> Result<(), rusqlite::Error> {
    let sql = "DELETE FROM invoice WHERE id = ?1 AND number = 0";
    db.prepare_cached(sql)?.execute([id]).map(|_| ())
}

pub(super) fn load(db: &Connection, loaded: &mut Loaded) -> Result<(), Error> {
    loaded.invoices = bodies(db, "SELECT head FROM invoice ORDER BY id")?;
    Ok(())
}

fn kept(row: &Row<'_>) -> Result<(String, String), rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn strange(error: serde_json::Error) -> Refusal {
    Refusal::new(500, "invoice unreadable", format!("{error}; restore a backup"))
}

fn read((head, body): (String, String)) -> Result<Kept, Refusal> {
    Ok(Kept { head: serde_json::from_str(&head).map_err(strange)?, body })
}

fn show(kept: &Kept, now_us: u64) -> Result<InvoiceShown, Refusal> {
    let document: Document = serde_json::from_str(&kept.body).map_err(strange)?;
    Ok(InvoiceShown::new(kept, document, now_us))
}

impl Reader {
    /// One document, by its number or draft's name.
    pub(super) fn invoice_of(&self, name: &str) -> Result<Kept, Refusal> {
        let sql = "SELECT head, body FROM invoice WHERE name = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let found = statement.query_row([name], kept).optional().map_err(history)?;
        found.map_or_else(|| Err(Refusal::missing("invoice", name)), read)
    }

    /// Its notes, the oldest first.
    pub(super) fn notes_of(&self, id: u32) -> Result<Vec<Kept>, Refusal> {
        let sql = "SELECT head, body FROM invoice WHERE of = ?1 AND number > 0 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let rows = statement.query_map([id], kept).map_err(history)?;
        rows.map(|row| row.map_err(history).and_then(read)).collect()
    }

    /// A page of them, the newest first.
    pub(super) fn invoices_of(
        &self,
        filter: &InvoiceFilter,
        page: &Page,
    ) -> Result<Value, Refusal> {
        let before = page.number()?.map_or(i64::MAX, u64::cast_signed);
        let account = filter.account.as_deref().map(|name| self.account(name)).transpose()?;
        let sql = "SELECT head, body FROM invoice WHERE id < ?1 AND (?2 IS NULL OR account = ?2)
                   AND (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql).map_err(history)?;
        let limit = page.limit as i64 + 1;
        let rows = statement
            .query_map(params![before, account, filter.state, limit], kept)
            .map_err(history)?;
        let mut found = Vec::new();
        for row in rows {
            let kept = read(row.map_err(history)?)?;
            found.push((kept.head.id, show(&kept, filter.now_us)?.row));
        }
        Ok(page.fill(found, |(id, _)| id.to_string(), |(_, row)| shown::json(row)))
    }

    /// What the calls and rents of a time come to, by destination, as it is now.
    pub(super) fn bill(&self, billed: &Billed) -> Result<Vec<Line>, Refusal> {
        let db = self.connection.unchecked_transaction().map_err(history)?;
        let (from, to) = (billed.from_us.cast_signed(), billed.to_us.cast_signed());
        let (first, last) = (day_of(from), day_before(to));
        let archived = archive::within(&db, first, last).map_err(history)?;
        if !archived.is_empty() {
            return Err(archive::refusal(&archived));
        }
        let digits = Some(usize::from(billed.area_digits)).filter(|digits| *digits > 0);
        let [billed_s, _, charge, tax, ..] = charges(are_corrected(&db)?);
        let mut lines = Vec::new();
        for day in days(&db).map_err(history)? {
            if !(first..=last).contains(&day) {
                continue;
            }
            let sql = format!(
                "SELECT substr(ltrim(coalesce(nullif(r.body ->> '$.callee_billed', ''), r.callee), '+'), 1, {}),
                    count(*), sum({billed_s}), sum({charge}), sum({tax}) FROM cdr_{day} AS r
                 WHERE r.customer = ?1 AND r.ended_us >= ?2 AND r.ended_us < ?3
                    AND (r.answered_ms IS NOT NULL OR {charge} <> 0 OR {tax} <> 0) GROUP BY 1",
                digits.unwrap_or(CODE_DIGITS)
            );
            let mut statement = db.prepare_cached(&sql).map_err(history)?;
            let mut rows = statement.query(params![billed.account, from, to]).map_err(history)?;
            while let Some(row) = rows.next().map_err(history)? {
                let number: String = row.get(0).map_err(history)?;
                let mut line = line(row, LineOf::Calls).map_err(history)?;
                area(&number, digits).clone_into(&mut line.destination);
                country(&line.destination).clone_into(&mut line.country);
                lines.push(line);
            }
        }
        let sql = "SELECT memo, count(*), 0, -sum(amount), 0 FROM ledger
            WHERE account = ?1 AND at_us >= ?2 AND at_us < ?3 AND kind = ?4 GROUP BY memo";
        let mut statement = db.prepare_cached(sql).map_err(history)?;
        for (what, kind) in [(LineOf::Rent, "rent"), (LineOf::Package, "package")] {
            let values = params![billed.account, from, to, kind];
            let mut rows = statement.query(values).map_err(history)?;
            while let Some(row) = rows.next().map_err(history)? {
                let mut line = line(row, what).map_err(history)?;
                line.destination = row.get(0).map_err(history)?;
                lines.push(line);
            }
        }
        add_up(lines)
    }
}

fn line(row: &Row<'_>, what: LineOf) -> Result<Line, rusqlite::Error> {
    let money = |at: usize| row.get(at).map(Money::from_billionths);
    Ok(Line {
        what,
        destination: String::new(),
        country: String::new(),
        count: row.get(1)?,
        billed_s: row.get(2)?,
        amount: money(3)?,
        tax: money(4)?,
    })
}

/// Puts lines of several days together.
fn add_up(lines: Vec<Line>) -> Result<Vec<Line>, Refusal> {
    let large = |_| Refusal::new(422, "sum too large", "ask for a shorter time");
    let lines = crate::invoice::difference(&[], &lines).map_err(large)?;
    sums(&lines).map_err(large)?;
    Ok(lines)
}
