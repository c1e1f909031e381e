//! Calls that have no end: their text is made when somebody reads it. At the answer, when a caller waits for it to be
//! durable, their image alone is stored.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use zerocopy::FromBytes;

use crate::cdr::{self, Aggregate, BillingMode, Cdr, id_from_text};
use crate::state::entity::Kind;
use link::record::NEVER;
use link::{CallRecord, Text};

/// A row of `cdr`, and its image if it has one.
const ROW: &str =
    "SELECT r.body, o.record, o.cover, o.agent, r.billing_mode, r.gateway, r.vendor_gateway,
        r.customer, r.vendor, r.started_us, r.caller, r.callee, r.source, r.answered_ms, r.status
     FROM cdr AS r LEFT JOIN opened AS o ON o.id = r.id WHERE r.id = ?1";

/// The text of a call without an end. Names are those of today.
pub(super) fn text(db: &Connection, id: &str) -> Result<Option<String>, rusqlite::Error> {
    let read = |row: &Row<'_>| {
        let written: String = row.get(0)?;
        // By a release that wrote it at the answer, or of a call that was lost.
        if written.is_empty() { Ok(read(db, id, row)?.text()) } else { Ok(written) }
    };
    db.prepare_cached(ROW)?.query_row([id], read).optional()
}

/// A call's image goes, since it will have no end: what it says stays.
pub(super) fn lose(db: &Connection, id: &str) -> Result<(), rusqlite::Error> {
    if let Some(text) = text(db, id)? {
        db.prepare_cached("UPDATE cdr SET body = ?2 WHERE id = ?1")?.execute(params![id, text])?;
    }
    db.prepare_cached("DELETE FROM opened WHERE id = ?1")?.execute([id]).map(|_| ())
}

fn read(db: &Connection, id: &str, row: &Row<'_>) -> Result<Cdr, rusqlite::Error> {
    let mode: String = row.get(4)?;
    let (customer, vendor) = (row.get(7)?, row.get(8)?);
    let agent = json(row.get(3)?);
    let mut cdr = Cdr {
        billing_mode: BillingMode::ALL.into_iter().find(|it| it.name() == mode).unwrap_or_default(),
        gateway: row.get(5)?,
        vendor_gateway: row.get(6)?,
        customer,
        vendor,
        account: name(db, &[Kind::Account], customer)?,
        vendor_account: name(db, &[Kind::Account], vendor)?,
        cover: json(row.get(2)?).unwrap_or_default(),
        agent,
        ..Cdr::default()
    };
    if let Some(agent) = agent {
        cdr.agent_account = name(db, &[Kind::Account], agent.account)?;
    }
    let image: Option<Vec<u8>> = row.get(1)?;
    match image.and_then(|image| CallRecord::read_from_bytes(&image).ok()) {
        Some(record) => {
            let mut names = Vec::new();
            for attempt in record.attempts() {
                let of = name(db, &[Kind::Routing, Kind::Phone], attempt.gateway)?;
                names.push((attempt.gateway, of));
            }
            let name = |id| names.iter().find(|(of, _)| *of == id).map_or("", |(_, name)| name);
            cdr.attempts = cdr::attempts(&record, name);
            cdr.record = record;
        }
        // Of a release with other images: what stands beside it.
        None => read_columns(&mut cdr, id, row)?,
    }
    Ok(cdr)
}

fn read_columns(cdr: &mut Cdr, id: &str, row: &Row<'_>) -> Result<(), rusqlite::Error> {
    let number = |at| Ok::<_, rusqlite::Error>(Text::new(row.get::<_, String>(at)?.as_bytes()));
    let record = &mut cdr.record;
    *record = CallRecord { id: id_from_text(id).unwrap_or_default(), ..CallRecord::empty() };
    record.started_us = row.get::<_, i64>(9)?.cast_unsigned();
    record.facts.caller = number(10)?.unwrap_or_default();
    record.facts.callee = number(11)?.unwrap_or_default();
    record.answered_ms = row.get::<_, Option<u32>>(13)?.unwrap_or(NEVER);
    record.status = row.get(14)?;
    cdr.aggregate = Some(Aggregate { source: row.get(12)?, calls: 1 });
    Ok(())
}

/// What somebody is called today; empty: nothing any more.
fn name(db: &Connection, kinds: &[Kind], id: u32) -> Result<String, rusqlite::Error> {
    let sql = "SELECT name FROM document WHERE kind = ?1 AND id = ?2";
    for kind in kinds {
        let found = db.prepare_cached(sql)?.query_row(params![kind.name(), id], |row| row.get(0));
        if let Some(name) = found.optional()? {
            return Ok(name);
        }
    }
    Ok(String::new())
}

/// What it is, if this release can read it.
fn json<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).ok()
}

#[cfg(test)]
mod tests {
    use link::record::{Attempt, EndReason};
    use serde_json::{Value, json};

    use super::*;
    use crate::cdr::id_text;
    use crate::state::entity::Entity;
    use crate::store::sqlite::tests::{Scratch, scratch};
    use crate::store::sqlite::{Reader, Sqlite};
    use crate::store::{Change, Store};

    fn call() -> Cdr {
        let mut record = CallRecord::empty();
        record.id = [1, 2];
        record.started_us = 1_767_225_600_000_000;
        record.facts.caller = Text::new(b"39061234").unwrap();
        record.facts.callee = Text::new(b"442071234567").unwrap();
        (record.answered_ms, record.status) = (1_500, 200);
        record.attempts_used = 2;
        record.attempts[0] = Attempt { gateway: 4, status: 503, ..Attempt::default() };
        record.attempts[0].reason = EndReason::Rejected as u8;
        record.attempts[1] = Attempt { gateway: 5, answered_ms: 1_490, ..Attempt::default() };
        let name = |id| if id == 4 { "paris" } else { "london" };
        Cdr {
            billing_mode: BillingMode::CustomerGateway,
            gateway: "pbx".into(),
            vendor_gateway: "london".into(),
            customer: 2,
            vendor: 3,
            account: "acme".into(),
            vendor_account: "carrier".into(),
            attempts: cdr::attempts(&record, name),
            record,
            ..Cdr::default()
        }
    }

    fn started() -> (Scratch, Sqlite) {
        let path = scratch();
        let mut store = Sqlite::open(&path).unwrap();
        let put = |kind, id, name: &str, body: Value| {
            let mut body = body;
            body["name"] = json!(name);
            Change::Put(Box::new(Entity::read(kind, id, body).unwrap()))
        };
        let vendor = |id, name| {
            put(
                Kind::Routing,
                id,
                name,
                json!({"account": "carrier", "target": "10.0.0.1:5060", "tariff": "none"}),
            )
        };
        let changes = [
            put(Kind::Account, 2, "acme", json!({"role": "customer"})),
            put(Kind::Account, 3, "carrier", json!({"role": "vendor"})),
            vendor(4, "paris"),
            vendor(5, "london"),
            Change::CdrStart(Box::new(call())),
        ];
        store.commit(&changes).unwrap();
        (path, store)
    }

    fn told(path: &Scratch) -> Value {
        Reader::open(path).unwrap().record(&id_text([1, 2])).unwrap()
    }

    #[test]
    fn a_running_call_is_told_as_if_its_text_had_been_written_at_the_answer() {
        let (path, _store) = started();
        let mut written: Value = serde_json::from_str(&call().text()).unwrap();
        written["complete"] = json!(false);
        assert_eq!(told(&path), written);
    }

    #[test]
    fn what_a_lost_call_said_stays_when_its_image_goes() {
        let (path, mut store) = started();
        let before = told(&path);
        store.commit(&[Change::CdrLost([1, 2])]).unwrap();
        assert_eq!(told(&path), before);
        assert!(store.load().unwrap().opened.is_empty());
    }

    #[test]
    fn of_an_image_of_another_release_the_columns_are_told() {
        let (path, store) = started();
        store.connection.execute("UPDATE opened SET record = x'00'", []).unwrap();
        let told = told(&path);
        let facts =
            ["caller", "callee", "gateway", "vendor_gateway", "account", "started", "answered"];
        let written: Value = serde_json::from_str(&call().text()).unwrap();
        for fact in facts {
            assert_eq!(told[fact], written[fact], "{fact}");
        }
    }
}
