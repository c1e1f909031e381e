//! Corrections of records in SQLite: beside the days, so that the row of a call stays what it was; whoever reads or
//! adds up records sees the amounts after them.

use std::collections::BTreeMap;

use rating::{Money, Stretch, Terms};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::{Reader, history, ledger, records};
use crate::Refusal;
use crate::cdr::{id_from_text, id_text, origin_of, rate_text, terms_from_text, words_text};
use crate::shown::{self, CorrectionShown, Moment};
use crate::store::{Amounts, BothTerms, Charged, Corrected, Correction};

/// The table of corrections.
pub(super) const TABLE: &str = "
    CREATE TABLE correction (id INTEGER PRIMARY KEY, cdr TEXT NOT NULL, request_id TEXT NOT NULL,
        at_us INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
        customer INTEGER NOT NULL, vendor INTEGER NOT NULL,
        old_charge INTEGER NOT NULL, old_tax INTEGER NOT NULL,
        old_vendor_charge INTEGER NOT NULL, old_vendor_tax INTEGER NOT NULL,
        old_billed_s INTEGER NOT NULL, old_vendor_billed_s INTEGER NOT NULL,
        charge INTEGER NOT NULL, tax INTEGER NOT NULL,
        vendor_charge INTEGER NOT NULL, vendor_tax INTEGER NOT NULL,
        billed_s INTEGER NOT NULL, vendor_billed_s INTEGER NOT NULL,
        terms TEXT, vendor_terms TEXT,
        UNIQUE (cdr, request_id));
";

/// Of a row of the table, in the order of [`corrected`].
const COLUMNS: &str = "request_id, terms, vendor_terms, old_charge, old_tax, old_vendor_charge, old_vendor_tax,
    old_billed_s, old_vendor_billed_s, charge, tax, vendor_charge, vendor_tax, billed_s, vendor_billed_s";

/// Of a record's row, in the order of [`charged`].
pub(super) const CHARGED: &str = "started_us, customer, vendor, charge, tax, vendor_charge, vendor_tax, billed_s, vendor_billed_s, body, agent";

/// A correction and its entries; one with the same request id is the same one.
pub(super) fn put(db: &Connection, it: &Correction) -> Result<(), rusqlite::Error> {
    let sql = format!(
        "INSERT OR IGNORE INTO correction (cdr, at_us, who, reason, customer, vendor, {COLUMNS}, agent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)"
    );
    let text = |terms: Option<Terms>| terms.map(|terms| words_text(&terms.to_words()));
    let Correction { old, new, terms, .. } = it;
    db.prepare_cached(&sql)?.execute(params![
        id_text(it.id),
        it.at_us.cast_signed(),
        it.who,
        it.reason,
        it.customer,
        it.vendor,
        it.request_id,
        text(terms.customer),
        text(terms.vendor),
        old.charge.billionths(),
        old.tax.billionths(),
        old.vendor_charge.billionths(),
        old.vendor_tax.billionths(),
        old.billed_s.cast_signed(),
        old.vendor_billed_s.cast_signed(),
        new.charge.billionths(),
        new.tax.billionths(),
        new.vendor_charge.billionths(),
        new.vendor_tax.billionths(),
        new.billed_s.cast_signed(),
        new.vendor_billed_s.cast_signed(),
        it.agent,
    ])?;
    it.entries.iter().try_for_each(|entry| ledger::put(db, entry))
}

/// Amounts and seconds from this column on.
fn amounts(row: &Row<'_>, first: usize) -> Result<Amounts, rusqlite::Error> {
    let money = |at: usize| row.get(first + at).map(Money::from_billionths);
    let seconds = |at: usize| row.get(first + at).map(i64::cast_unsigned);
    Ok(Amounts {
        charge: money(0)?,
        tax: money(1)?,
        vendor_charge: money(2)?,
        vendor_tax: money(3)?,
        billed_s: seconds(4)?,
        vendor_billed_s: seconds(5)?,
    })
}

/// A correction from this column on; see [`COLUMNS`].
fn corrected(row: &Row<'_>, first: usize) -> Result<Corrected, rusqlite::Error> {
    let terms = |at: usize| {
        let text: Result<Option<String>, _> = row.get(first + at);
        text.map(|text| text.as_deref().and_then(terms_from_text))
    };
    Ok(Corrected {
        request_id: row.get(first)?,
        terms: BothTerms { customer: terms(1)?, vendor: terms(2)? },
        old: amounts(row, first + 3)?,
        new: amounts(row, first + 9)?,
    })
}

/// All that was set right of a record, the first first.
fn all_of(db: &Connection, id: &str) -> Result<Vec<Corrected>, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM correction WHERE cdr = ?1 ORDER BY id");
    db.prepare_cached(&sql)?.query_map([id], |row| corrected(row, 0))?.collect()
}

/// What a record was charged, from this column of its row on; see [`CHARGED`].
pub(super) fn charged(
    db: &Connection,
    id: &str,
    row: &Row<'_>,
    first: usize,
) -> Result<Charged, Refusal> {
    let key = id_from_text(id).ok_or_else(|| Refusal::missing("CDR", id))?;
    let whole = |at: usize| row.get::<_, i64>(first + at).map(i64::cast_unsigned);
    let body: String = row.get(first + 9).map_err(history)?;
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| body.get(field).and_then(Value::as_u64);
    Ok(Charged {
        id: key,
        started_us: whole(0).map_err(history)?,
        caller: text("caller_billed").to_owned(),
        callee: text("callee_billed").to_owned(),
        billing_prefix: text("billing_prefix").to_owned(),
        // What was stored before anything was granted had no other time.
        charged_ms: number("charged_ms").or(number("hold_ms")).unwrap_or(0),
        covered: stretches(&body),
        vendor_hold_ms: number("vendor_hold_ms").unwrap_or(0),
        customer: row.get(first + 1).map_err(history)?,
        vendor: row.get(first + 2).map_err(history)?,
        agent: row.get(first + 10).map_err(history)?,
        amounts: amounts(row, first + 3).map_err(history)?,
        terms: BothTerms {
            customer: terms_from_text(text("terms")),
            vendor: terms_from_text(text("vendor_terms")),
        },
        corrected: all_of(db, id).map_err(history)?,
    })
}

/// What packages paid for of a call, as its record tells it.
fn stretches(body: &Value) -> Vec<Stretch> {
    let told = body.get("packages").and_then(Value::as_array).into_iter().flatten();
    let stretch = |one: &Value| {
        let from_s = one.get("from_s")?.as_u64()?;
        Some(Stretch { from_s, until_s: from_s.saturating_add(one.get("seconds")?.as_u64()?) })
    };
    told.filter_map(stretch).collect()
}

/// Adds to what records charged what was set right of them.
pub(super) fn add(
    db: &Connection,
    side: records::Side,
    sums: &mut BTreeMap<u32, i64>,
) -> Result<(), rusqlite::Error> {
    let sql = match side {
        records::Side::Customers => {
            "SELECT customer, sum(charge + tax - old_charge - old_tax) FROM correction GROUP BY 1"
        }
        records::Side::Vendors => {
            "SELECT vendor, sum(vendor_charge + vendor_tax - old_vendor_charge - old_vendor_tax)
             FROM correction GROUP BY 1"
        }
        // What the call costs him stays, so he earns by what the customer's charge changed.
        records::Side::Agents => {
            "SELECT agent, sum(charge - old_charge) FROM correction WHERE agent <> 0 GROUP BY 1"
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
    let sql =
        format!("SELECT at_us, who, reason, {COLUMNS} FROM correction WHERE cdr = ?1 ORDER BY id");
    let mut statement = db.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        let at: i64 = row.get(0)?;
        let corrected = corrected(row, 3)?;
        let Corrected { old, new, .. } = &corrected;
        let shown = CorrectionShown {
            at: Moment::at(at.cast_unsigned()),
            who: row.get(1)?,
            reason: row.get(2)?,
            request_id: corrected.request_id.clone(),
            old_charge: old.charge.into(),
            old_tax: old.tax.into(),
            charge: new.charge.into(),
            tax: new.tax.into(),
            old_vendor_charge: old.vendor_charge.into(),
            old_vendor_tax: old.vendor_tax.into(),
            vendor_charge: new.vendor_charge.into(),
            vendor_tax: new.vendor_tax.into(),
        };
        Ok((shown, corrected))
    };
    let found: Vec<(CorrectionShown, Corrected)> =
        statement.query_map([id], read)?.collect::<Result<_, _>>()?;
    let (Some((_, last)), Some(fields)) = (found.last(), body.as_object_mut()) else {
        return Ok(());
    };
    let new = last.new;
    let terms = found.iter().fold(BothTerms::default(), |terms, (_, it)| it.terms.or(terms));
    let caller = fields.get("caller_billed").and_then(Value::as_str).unwrap_or_default().to_owned();
    let income = fields.get("agent_income").and_then(Value::as_str);
    let income: Option<Money> = income.and_then(|income| income.parse().ok());
    let income = income.filter(|_| fields.get("agent").is_some_and(|agent| !agent.is_null()));
    let mut set = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    for (field, amount) in [
        ("charge", new.charge),
        ("tax", new.tax),
        ("vendor_charge", new.vendor_charge),
        ("vendor_tax", new.vendor_tax),
    ] {
        set(field, amount.to_string().into());
    }
    // What the call costs the agent stays; he earns by what the customer's charge changed.
    let was = found.first().map_or(Money::ZERO, |(_, first)| first.old.charge);
    if let Some(income) = income {
        let income = income.plus(new.charge).and_then(|income| income.minus(was));
        set("agent_income", income.unwrap_or_default().to_string().into());
    }
    set("billed_s", new.billed_s.into());
    set("vendor_billed_s", new.vendor_billed_s.into());
    // What was rated anew tells by what.
    for (terms, all, rate, origin) in [
        (terms.customer, "terms", "rate", "origin"),
        (terms.vendor, "vendor_terms", "vendor_rate", "vendor_origin"),
    ] {
        let Some(terms) = terms else { continue };
        set(all, words_text(&terms.to_words()).into());
        set(rate, rate_text(&terms).into());
        set(origin, origin_of(&caller, &terms).into());
    }
    let corrections: Vec<Value> = found.into_iter().map(|(it, _)| shown::json(it)).collect();
    set("corrections", corrections.into());
    Ok(())
}

impl Reader {
    /// What a record was charged at its end.
    pub(super) fn charged_at_end(&self, id: &str) -> Result<Charged, Refusal> {
        let key = id_from_text(id).ok_or_else(|| Refusal::missing("CDR", id))?;
        // As it is written, whoever asked.
        let id = &id_text(key);
        let seen = self.connection.unchecked_transaction().map_err(history)?;
        for day in records::days(&seen).map_err(history)?.into_iter().rev() {
            let sql = format!("SELECT {CHARGED} FROM cdr_{day} WHERE id = ?1");
            let mut statement = seen.prepare_cached(&sql).map_err(history)?;
            let mut rows = statement.query([id]).map_err(history)?;
            if let Some(row) = rows.next().map_err(history)? {
                return charged(&seen, id, row, 0);
            }
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
