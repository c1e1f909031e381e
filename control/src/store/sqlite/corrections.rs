//! Corrections of records in SQLite: beside the days, so that the row of a call stays what it was; whoever reads or
//! adds up records sees the amounts after them.

use std::collections::BTreeMap;

use rating::terms::WORDS;
use rating::{Money, Terms};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::{LOADING, Reader, history, ledger, records, unreadable};
use crate::Refusal;
use crate::cdr::{id_from_text, id_text};
use crate::shown::{self, CorrectionShown, Moment};
use crate::store::{Amounts, Charged, Corrected, Correction, Error};

/// The table of corrections.
pub(super) const TABLE: &str = "
    CREATE TABLE correction (id INTEGER PRIMARY KEY, cdr TEXT NOT NULL, request_id TEXT NOT NULL,
        at_us INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
        customer INTEGER NOT NULL, vendor INTEGER NOT NULL,
        old_charge INTEGER NOT NULL, old_tax INTEGER NOT NULL,
        old_vendor_charge INTEGER NOT NULL, old_vendor_tax INTEGER NOT NULL,
        charge INTEGER NOT NULL, tax INTEGER NOT NULL,
        vendor_charge INTEGER NOT NULL, vendor_tax INTEGER NOT NULL,
        UNIQUE (cdr, request_id));
";

/// Of a row of the table, in the order of [`amounts`].
const AMOUNTS: &str = "old_charge, old_tax, old_vendor_charge, old_vendor_tax,
    charge, tax, vendor_charge, vendor_tax";

/// A correction and its entries; one with the same request id is the same one.
pub(super) fn put(db: &Connection, it: &Correction) -> Result<(), rusqlite::Error> {
    let sql = format!(
        "INSERT OR IGNORE INTO correction (cdr, request_id, at_us, who, reason, customer, vendor, {AMOUNTS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    let Correction { old, new, .. } = it;
    db.prepare_cached(&sql)?.execute(params![
        id_text(it.id),
        it.request_id,
        it.at_us.cast_signed(),
        it.who,
        it.reason,
        it.customer,
        it.vendor,
        old.charge.billionths(),
        old.tax.billionths(),
        old.vendor_charge.billionths(),
        old.vendor_tax.billionths(),
        new.charge.billionths(),
        new.tax.billionths(),
        new.vendor_charge.billionths(),
        new.vendor_tax.billionths(),
    ])?;
    it.entries.iter().try_for_each(|entry| ledger::put(db, entry))
}

/// Four amounts from this column on.
fn amounts(row: &Row<'_>, first: usize) -> Result<Amounts, rusqlite::Error> {
    let money = |at: usize| row.get(first + at).map(Money::from_billionths);
    Ok(Amounts {
        charge: money(0)?,
        tax: money(1)?,
        vendor_charge: money(2)?,
        vendor_tax: money(3)?,
    })
}

/// All of them, the first first.
pub(super) fn load(db: &Connection) -> Result<Vec<Corrected>, Error> {
    let sql = format!("SELECT cdr, request_id, {AMOUNTS} FROM correction ORDER BY id");
    let read = |row: &Row<'_>| {
        let (id, request_id): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((id, request_id, amounts(row, 2)?, amounts(row, 6)?))
    };
    let found = super::rows(db, &sql, read)?.into_iter();
    let corrected = found.map(|(id, request_id, old, new)| {
        let id = id_from_text(&id).ok_or_else(|| unreadable(LOADING, &id))?;
        Ok(Corrected { id, request_id, old, new })
    });
    corrected.collect()
}

/// Adds to what records charged what was set right of them.
pub(super) fn add(
    db: &Connection,
    side: records::Charged,
    sums: &mut BTreeMap<u32, i64>,
) -> Result<(), rusqlite::Error> {
    let sql = match side {
        records::Charged::Customers => {
            "SELECT customer, sum(charge + tax - old_charge - old_tax) FROM correction GROUP BY 1"
        }
        records::Charged::Vendors => {
            "SELECT vendor, sum(vendor_charge + vendor_tax - old_vendor_charge - old_vendor_tax)
             FROM correction GROUP BY 1"
        }
    };
    let mut statement = db.prepare(sql)?;
    for sum in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (account, amount): (u32, i64) = sum?;
        let all = sums.entry(account).or_insert(0);
        *all = all.saturating_add(amount);
    }
    Ok(())
}

/// Puts into a record what was set right of it, and what it costs since.
pub(super) fn tell(db: &Connection, id: &str, body: &mut Value) -> Result<(), rusqlite::Error> {
    let sql = format!(
        "SELECT at_us, who, reason, request_id, {AMOUNTS} FROM correction WHERE cdr = ?1 ORDER BY id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        let at: i64 = row.get(0)?;
        let (old, new) = (amounts(row, 4)?, amounts(row, 8)?);
        let correction = CorrectionShown {
            at: Moment::at(at.cast_unsigned()),
            who: row.get(1)?,
            reason: row.get(2)?,
            request_id: row.get(3)?,
            old_charge: old.charge.into(),
            old_tax: old.tax.into(),
            charge: new.charge.into(),
            tax: new.tax.into(),
            old_vendor_charge: old.vendor_charge.into(),
            old_vendor_tax: old.vendor_tax.into(),
            vendor_charge: new.vendor_charge.into(),
            vendor_tax: new.vendor_tax.into(),
        };
        Ok((correction, new))
    };
    let found: Vec<(CorrectionShown, Amounts)> =
        statement.query_map([id], read)?.collect::<Result<_, _>>()?;
    let (Some((_, new)), Some(fields)) = (found.last(), body.as_object_mut()) else {
        return Ok(());
    };
    let after = [
        ("charge", new.charge),
        ("tax", new.tax),
        ("vendor_charge", new.vendor_charge),
        ("vendor_tax", new.vendor_tax),
    ];
    for (field, amount) in after {
        fields.insert(field.into(), amount.to_string().into());
    }
    let corrections: Vec<Value> = found.into_iter().map(|(it, _)| shown::json(it)).collect();
    fields.insert("corrections".into(), corrections.into());
    Ok(())
}

/// Terms as a record's body has them.
fn terms(body: &Value, field: &str) -> Option<Terms> {
    let text = body.get(field)?.as_str()?;
    let mut words = [0; WORDS];
    for (at, word) in words.iter_mut().enumerate() {
        *word = u64::from_str_radix(text.get(at * 16..at * 16 + 16)?, 16).ok()?;
    }
    Terms::from_words(&words)
}

impl Reader {
    /// What a record was charged at its end.
    pub(super) fn charged_at_end(&self, id: &str) -> Result<Charged, Refusal> {
        let key = id_from_text(id).ok_or_else(|| Refusal::missing("CDR", id))?;
        // As it is written, whoever asked.
        let id = &id_text(key);
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        for day in records::days(&seen).map_err(history)?.into_iter().rev() {
            let sql = format!(
                "SELECT customer, vendor, charge, tax, vendor_charge, vendor_tax, body FROM cdr_{day}
                 WHERE id = ?1"
            );
            let mut statement = seen.prepare_cached(&sql).map_err(history)?;
            let read = |row: &Row<'_>| {
                let body: String = row.get(6)?;
                Ok((row.get(0)?, row.get(1)?, amounts(row, 2)?, body))
            };
            let found = statement.query_row([id], read).optional().map_err(history)?;
            let Some((customer, vendor, amounts, body)) = found else { continue };
            let body = serde_json::from_str(&body).unwrap_or_default();
            let (terms, vendor_terms) = (terms(&body, "terms"), terms(&body, "vendor_terms"));
            return Ok(Charged { id: key, customer, vendor, amounts, terms, vendor_terms });
        }
        let open = "SELECT 1 FROM cdr WHERE id = ?1";
        let open: Option<i64> =
            seen.query_row(open, [id], |row| row.get(0)).optional().map_err(history)?;
        match open {
            Some(_) => {
                Err(Refusal::new(409, "call goes on", "it costs nothing until its end is stored"))
            }
            None => Err(Refusal::missing("CDR", id)),
        }
    }
}
