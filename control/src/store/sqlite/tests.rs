//! The store over a restart, a lock, a full disk, and a release before and after.

use super::*;
use crate::cdr::Cdr;
use crate::journal::{Event, Severity};
use crate::store::ledger::{BookSum, Counter, EntryKind, KindSum};
use crate::store::{Booked, LedgerEntry, Registration};
use link::CallRecord;
use serde_json::json;

/// The path of a database in a folder of its own, which goes with the test.
pub(super) struct Scratch {
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

pub(super) fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.db");
    Scratch { path, _folder: folder }
}

fn cdr(id: u64, charge: i64) -> Cdr {
    let record = CallRecord { id: [id, 1], started_us: 1_000_000 + id, ..CallRecord::empty() };
    let fee = rating::Money::from_billionths(charge);
    Cdr {
        record,
        customer_charge: rating::Charge { billed_s: 1, fee, ..Default::default() },
        ..Cdr::default()
    }
}

#[test]
fn a_replayed_end_is_neither_stored_nor_charged_twice() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let entry = LedgerEntry {
        account: 1,
        at_us: 1,
        kind: EntryKind::Charge,
        amount: -5,
        balance: -5,
        counter: Counter::Revenue,
        reference: "cdr:1:customer".into(),
        who: String::new(),
        memo: String::new(),
    };
    store.commit(&[Change::CdrStart(Box::new(cdr(1, 0)))]).unwrap();
    assert!(!store.has_end([1, 1]).unwrap());
    for charge in [7, 9] {
        let end = Change::CdrEnd(Box::new(cdr(1, charge)));
        store.commit(&[end, Change::Ledger(Box::new(entry.clone()))]).unwrap();
    }
    store.commit(&[Change::CdrStart(Box::new(cdr(1, 0)))]).unwrap();
    assert!(store.has_end([1, 1]).unwrap());
    drop(store);
    let mut store = Sqlite::open(&path).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!((loaded.balances, loaded.ids_used), (vec![(1, -5)], 1));
    let mut reader = Reader::open(&path).unwrap();
    let page = reader.cdrs(&CdrFilter::default(), &Page::default()).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["charge"], "0.000000007");
}

#[test]
fn calls_without_an_end_and_the_last_heartbeat_outlive_a_restart() {
    let path = scratch();
    let start = |id| Change::CdrStart(Box::new(Cdr { customer: 3, vendor: 4, ..cdr(id, 0) }));
    let mut store = Sqlite::open(&path).unwrap();
    store.commit(&[start(1), start(2), start(3), Change::Heartbeat(7)]).unwrap();
    let end = Change::CdrEnd(Box::new(cdr(1, 0)));
    store.commit(&[end, start(1), Change::CdrLost([2, 1]), Change::Heartbeat(9)]).unwrap();
    drop(store);
    let loaded = Sqlite::open(&path).unwrap().load().unwrap();
    let expected = Opened {
        record: cdr(3, 0).record,
        customer: 3,
        vendor: 4,
        cover: Cover::default(),
        agent: None,
    };
    assert_eq!((loaded.opened, loaded.heartbeat_us), (vec![expected], 9));
}

#[test]
fn the_addresses_of_geo_sets_outlive_a_restart_and_go_with_their_heads() {
    let path = scratch();
    let set = |ranges: &[&str]| {
        let ranges = ranges.iter().map(|text| text.parse().unwrap());
        std::sync::Arc::new(GeoSet::build(ranges).unwrap())
    };
    let (old, new) = (set(&["10.0.0.0/8"]), set(&["192.0.2.1-192.0.2.9", "2001:db8::/32"]));
    let large = (0..100_000_u32).map(|n| std::net::Ipv4Addr::from(n * 4).to_string());
    let large: Vec<String> = large.collect();
    let large = set(&large.iter().map(String::as_str).collect::<Vec<_>>());
    let mut store = Sqlite::open(&path).unwrap();
    let told = [(7, old.clone()), (7, new.clone()), (8, large.clone()), (9, old)];
    let changes: Vec<Change> = told.map(|(id, set)| Change::GeoRanges(id, set)).into();
    store.commit(&changes).unwrap();
    store.commit(&[Change::Delete(Kind::Geo, 9)]).unwrap();
    drop(store);
    let mut loaded = Sqlite::open(&path).unwrap().load().unwrap().geo;
    loaded.sort_by_key(|(id, _)| *id);
    assert_eq!(loaded, [(7, (*new).clone()), (8, (*large).clone())]);
    assert_eq!(geo_set(&[0; 31]), None, "half a range");
    assert_eq!(geo_set(&[[0xff; 16], [0; 16]].concat()), None, "upside down");
}

#[test]
fn places_and_registrations_outlive_a_restart_and_keep_the_id_of_their_gateway() {
    let path = scratch();
    let target = "carrier.example".to_owned();
    let place = link::Endpoint::from("192.0.2.1:5060".parse::<std::net::SocketAddr>().unwrap());
    let server = crate::resolve::Server::only(place.by(link::Transport::Tcp));
    let located = Located { target: target.clone(), servers: vec![server.clone()] };
    let row = |gateway, user: &str| Registration {
        gateway,
        call_id: u64::MAX,
        target: target.clone(),
        server: server.clone(),
        user: user.into(),
        domain: "carrier.example".into(),
        username: "me".into(),
        password: "word".into(),
        until_us: 7,
    };
    let mut store = Sqlite::open(&path).unwrap();
    let gone = Located { target: "gone.example".into(), servers: Vec::new() };
    store
        .commit(&[
            Change::Located(Box::new(gone)),
            Change::Located(Box::new(located.clone())),
            Change::LocatedGone("gone.example".into()),
            Change::Registration(Box::new(row(9, "first"))),
            Change::Registration(Box::new(row(9, "second"))),
            Change::Registration(Box::new(row(10, "third"))),
            Change::RegistrationGone(10),
        ])
        .unwrap();
    drop(store);
    let loaded = Sqlite::open(&path).unwrap().load().unwrap();
    assert_eq!((loaded.located, loaded.ids_used), (vec![located], 9));
    assert_eq!(loaded.registrations, [row(9, "second")]);
}

#[test]
fn bindings_outlive_a_restart_and_go_with_their_owner() {
    let path = scratch();
    let body = |uri: &str| {
        json!({
            "uri": uri, "q": 1000, "expires_us": 9, "stored_until_us": 9, "path": "",
            "source": "tls [2001:db8::1]:5061", "local": "", "connection": 7, "epoch": 2,
            "user_agent": "", "call_id": "c", "cseq": 1, "since_us": 1, "refreshed_us": 2,
            "generation": 3, "nat": true,
        })
    };
    let binding = |uri: &str| -> crate::state::binding::Binding {
        serde_json::from_value(body(uri)).unwrap()
    };
    let bound = |owner, uri| Change::Binding(owner, Box::new(binding(uri)));
    let mut store = Sqlite::open(&path).unwrap();
    let all = [bound(1, "sip:a@h"), bound(1, "sip:a@h"), bound(1, "sip:b@h"), bound(2, "sip:c@h")];
    store.commit(&all).unwrap();
    store.commit(&[bound(3, "sip:d@h"), bound(4, "sip:e@h")]).unwrap();
    let gone = [
        Change::BindingGone(1, "sip:b@h".into()),
        Change::BindingsGone(2),
        Change::Delete(Kind::Phone, 3),
        Change::Delete(Kind::Account, 4),
    ];
    store.commit(&gone).unwrap();
    drop(store);
    let loaded = Sqlite::open(&path).unwrap().load().unwrap();
    assert_eq!(loaded.bindings, [(1, binding("sip:a@h")), (4, binding("sip:e@h"))]);
    assert_eq!(serde_json::to_value(&loaded.bindings[0].1).unwrap(), body("sip:a@h"));
}

#[test]
fn what_accounts_call_where_it_is_dear_outlives_a_restart() {
    let path = scratch();
    let habit = |account, listed| crate::store::HabitKept {
        account,
        day: 20_000,
        peaks: [1, 2, 3, 4, 5, 6, 7, 8],
        last_us: 7,
        listed,
    };
    let listed = crate::store::ListedKept {
        prefix: "881".into(),
        since_us: 1,
        until_us: u64::MAX / 4,
        calls: 21,
        usual: 3,
        busiest: 40,
    };
    let kept = [habit(1, Some(listed)), habit(2, None), habit(3, None)];
    let mut store = Sqlite::open(&path).unwrap();
    let changes = kept.clone().map(|habit| Change::Habit(Box::new(habit)));
    store.commit(&changes).unwrap();
    store.commit(&[Change::HabitGone(2), changes[0].clone()]).unwrap();
    drop(store);
    let mut loaded = Sqlite::open(&path).unwrap().load().unwrap().habits;
    loaded.sort_by_key(|habit| habit.account);
    assert_eq!(loaded, [kept[0].clone(), kept[2].clone()]);
}

#[test]
fn a_row_that_stands_for_many_calls_outlives_a_restart() {
    let path = scratch();
    let source = "198.51.100.0/24".to_owned();
    let aggregate = Some(crate::cdr::Aggregate { source, calls: 4_321 });
    let billing_mode = crate::cdr::BillingMode::Illegal;
    let row = Cdr { aggregate, billing_mode, ..cdr(1, 0) };
    let mut store = Sqlite::open(&path).unwrap();
    store.commit(&[Change::CdrEnd(Box::new(row))]).unwrap();
    drop(store);
    Sqlite::open(&path).unwrap().load().unwrap();
    let filter = CdrFilter { billing_mode: Some("illegal".into()), ..CdrFilter::default() };
    let page = Reader::open(&path).unwrap().cdrs(&filter, &Page::default()).unwrap();
    let seen = ["calls", "source"].map(|field| page["items"][0][field].clone());
    assert_eq!(seen, [json!(4_321), json!("198.51.100.0/24")]);
}

#[test]
fn a_database_of_the_release_before_gets_what_it_lacks() {
    let path = scratch();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO parameter_history (at_us, name, old, new) VALUES (1, 'FREE_TIME', '0', '5')",
    )
    .unwrap();
    drop(old);
    Sqlite::open(&path).unwrap().load().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let history = reader.parameter_history("FREE_TIME", &Page::default()).unwrap();
    assert_eq!(
        (&history["items"][0]["who"], &history["items"][0]["new"]),
        (&json!(""), &json!("5"))
    );
}

#[test]
fn pages_neither_repeat_nor_skip_while_rows_come_in() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let ends = |ids: std::ops::Range<u64>| -> Vec<Change> {
        ids.map(|id| Change::CdrEnd(Box::new(cdr(id, 1)))).collect()
    };
    store.commit(&ends(0..25)).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut part = Page { limit: 10, cursor: None };
    let mut seen = Vec::new();
    loop {
        let page = reader.cdrs(&CdrFilter::default(), &part).unwrap();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        store.commit(&ends(100 + seen.len() as u64..101 + seen.len() as u64)).unwrap();
        match page["next"].as_str() {
            Some(next) => part.cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
}

#[test]
fn a_locked_database_loses_nothing_and_says_what_to_do() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let end = [Change::CdrEnd(Box::new(cdr(1, 1)))];
    let error = store.commit(&end).unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&end).unwrap();
    assert!(store.has_end([1, 1]).unwrap());
}

#[test]
fn a_full_disk_is_an_error_and_the_same_group_succeeds_later() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages + 1).unwrap();
    let ends: Vec<Change> = (0..500).map(|id| Change::CdrEnd(Box::new(cdr(id, 1)))).collect();
    assert!(store.commit(&ends).unwrap_err().to_string().contains("full"));
    assert!(!store.has_end([1, 1]).unwrap());
    store.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    store.commit(&ends).unwrap();
    assert!(store.has_end([499, 1]).unwrap());
}

#[test]
fn a_database_of_a_later_release_is_refused() {
    let path = scratch();
    Sqlite::open(&path).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(Sqlite::open(&path).err().unwrap().to_string().contains("99"));
}

/// A payment of an account.
fn paid(account: u32, at_us: u64, amount: i64, balance: i64, request_id: &str) -> Change {
    Change::Ledger(Box::new(LedgerEntry {
        account,
        at_us,
        kind: EntryKind::Payment,
        amount,
        balance,
        counter: Counter::Cash,
        reference: Booked::reference(EntryKind::Payment, account, request_id),
        who: "anna".into(),
        memo: String::new(),
    }))
}

#[test]
fn what_calls_cost_within_the_last_day_is_loaded_by_quarters_of_an_hour() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let quarter = crate::decide::account::QUARTER_US;
    let charge = |at_us: u64, amount: i64, counter, reference: &str| {
        Change::Ledger(Box::new(LedgerEntry {
            account: 1,
            at_us,
            kind: EntryKind::Charge,
            amount,
            balance: 0,
            counter,
            reference: reference.into(),
            who: String::new(),
            memo: String::new(),
        }))
    };
    let changes = [
        charge(99 * quarter, -1, Counter::Revenue, "too old"),
        charge(200 * quarter, -2, Counter::Revenue, "a"),
        charge(201 * quarter - 1, -3, Counter::Revenue, "b"),
        charge(210 * quarter, -4, Counter::Revenue, "c"),
        charge(210 * quarter, -9, Counter::Cost, "a vendor's"),
        paid(1, 210 * quarter, 50, 0, "d"),
    ];
    store.commit(&changes).unwrap();
    assert_eq!(store.load().unwrap().spent, [(1, 200, 5), (1, 210, 4)]);
}

#[test]
fn the_history_of_an_account_is_its_own() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let event = |name, subject: &str| {
        Change::Event(Box::new(Event {
            at_us: 1_000,
            name,
            subject: subject.into(),
            severity: Severity::Info,
            detail: "by anna".into(),
        }))
    };
    let changes = [
        event("created", "account acme"),
        event("account_locked", "account acme"),
        event("account_locked", "account acme two"),
        event("created", "tariff acme"),
        event("booked", "account acme"),
    ];
    store.commit(&changes).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let page = reader.account_history("acme", &Page::default()).unwrap();
    let names: Vec<_> = page["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["account_locked", "created"]);
    assert_eq!(page["items"][0]["detail"], "by anna");
}

#[test]
fn a_ledger_is_read_by_time_in_pages_and_added_up() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let changes = [
        paid(1, 10, 5, 5, "a"),
        paid(2, 10, 9, 9, "a"),
        paid(1, 20, 6, 11, "b"),
        paid(1, 20, -1, 10, "c:with a colon"),
        paid(1, 30, 7, 17, "d"),
    ];
    store.commit(&changes).unwrap();
    let end = Cdr { customer: 1, vendor: 2, ..cdr(1, 8) };
    let start = Cdr { customer: 1, ..cdr(2, 3) };
    store.commit(&[Change::CdrEnd(Box::new(end)), Change::CdrStart(Box::new(start))]).unwrap();
    let loaded = store.load().unwrap();
    let booked: std::collections::BTreeMap<_, _> = loaded.booked.into_iter().collect();
    assert_eq!(booked.len(), 5);
    assert_eq!(booked[&(1, "c:with a colon".to_owned())].balance.billionths(), 10);

    let mut reader = Reader::open(&path).unwrap();
    let filter = |from_us, to_us| LedgerFilter { account: 1, kind: None, from_us, to_us };
    let mut page = Page { limit: 1, cursor: None };
    let mut balances = Vec::new();
    loop {
        let found = reader.ledger(&filter(10, 30), &page).unwrap();
        balances.push(found["items"][0]["balance"].as_str().unwrap().to_owned());
        let Some(next) = found["next"].as_str() else { break };
        page.cursor = Some(next.to_owned());
    }
    assert_eq!(balances, ["0.00000001", "0.000000011", "0.000000005"]);
    let of_kind = LedgerFilter { kind: Some(EntryKind::Charge), ..filter(0, i64::MAX) };
    let found = reader.ledger(&of_kind, &Page::default()).unwrap();
    assert_eq!(found["items"].as_array().unwrap().len(), 0);

    let amount = rating::Money::from_billionths;
    let statement = reader.statement(&filter(20, 30)).unwrap();
    let sum = KindSum { kind: EntryKind::Payment, entries: 2, amount: amount(5) };
    assert_eq!(statement, Statement { opening: amount(5), sums: vec![sum] });

    let books = reader.books().unwrap();
    let sum = |account, entries, amount| {
        let (kind, counter) = ("payment".to_owned(), "cash".to_owned());
        BookSum { account, kind, counter, entries, amount }
    };
    assert_eq!(books.sums, [sum(1, 4, 17), sum(2, 1, 9)]);
    assert_eq!(books.last, [(1, 17), (2, 9)]);
    // A call that still goes on owes nothing yet.
    assert_eq!((books.sold, books.bought), (vec![(1, 8)], vec![(2, 0)]));
}

#[test]
fn entries_of_a_release_without_counter_accounts_get_theirs() {
    let path = scratch();
    let before = MIGRATIONS.iter().position(|step| *step == ledger::DOUBLE_ENTRY).unwrap();
    let db = Connection::open(&path).unwrap();
    for migration in &MIGRATIONS[..before] {
        db.execute_batch(migration).unwrap();
    }
    db.pragma_update(None, "user_version", before as i64).unwrap();
    db.execute_batch(
        r#"INSERT INTO document VALUES ('account', 1, 'c', '{"role": "customer"}'), ('account', 2, 'v', '{"role": "vendor"}');
        INSERT INTO ledger (account, at_us, kind, amount, reference, memo) VALUES
            (1, 1, 'payment', 100, 'payment:1:a', ''), (2, 2, 'payment', 50, 'payment:2:a', ''),
            (1, 3, 'charge', -7, 'cdr:0:customer', ''), (2, 3, 'charge', -3, 'cdr:0:vendor', '');"#,
    )
    .unwrap();
    drop(db);
    let store = Sqlite::open(&path).unwrap();
    let query = "SELECT counter, balance FROM ledger ORDER BY id";
    let found: Vec<(String, i64)> = rows(&store.connection, query, pair).unwrap();
    let expected = [("cash", 100), ("settled", 50), ("revenue", 93), ("cost", 47)];
    assert_eq!(found, expected.map(|(counter, balance)| (counter.to_owned(), balance)));
}

const HOUR_US: u64 = 3_600_000_000;

/// A record that came in this hour since 1970 and ended an hour later.
fn hour_long(id: u64, hour: u64) -> Cdr {
    let mut cdr = cdr(id, 1);
    cdr.record.started_us = hour * HOUR_US;
    (cdr.record.answered_ms, cdr.record.ended_ms) = (0, 3_600_000);
    cdr
}

fn ids(page: &Value) -> Vec<u64> {
    let id = |item: &Value| {
        let id = crate::cdr::id_from_text(item["id"].as_str().unwrap()).unwrap();
        id[0]
    };
    page["items"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn a_record_belongs_to_the_day_of_its_end_and_lists_run_from_day_to_day() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    // The second begins on the first day and ends on the second.
    let ends = [(1, 1), (2, 23), (3, 24), (4, 60)];
    let ends = ends.map(|(id, hour)| Change::CdrEnd(Box::new(hour_long(id, hour))));
    store.commit(&ends).unwrap();
    store.commit(&[Change::CdrStart(Box::new(hour_long(9, 70)))]).unwrap();
    assert_eq!(records::days(&store.connection).unwrap(), [19_700_101, 19_700_102, 19_700_103]);
    let mut reader = Reader::open(&path).unwrap();
    let mut list = |filter: CdrFilter, page: Page| ids(&reader.cdrs(&filter, &page).unwrap());
    assert_eq!(list(CdrFilter::default(), Page::default()), [9, 4, 3, 2, 1]);
    let of = |from: &str, to: &str| CdrFilter {
        from: Some(from.into()),
        to: Some(to.into()),
        ..CdrFilter::default()
    };
    let second = of("1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z");
    assert_eq!(list(second, Page::default()), [3, 2], "one that has not ended has no day");
    let hour = of("1970-01-02T01:00:00Z", "1970-01-02T02:00:00Z");
    assert_eq!(list(hour, Page::default()), [3]);
    let mut part = Page { limit: 1, cursor: None };
    let mut seen = Vec::new();
    loop {
        let page = reader.cdrs(&CdrFilter::default(), &part).unwrap();
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => part.cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, [9, 4, 3, 2, 1]);
    assert_eq!(reader.cdr(&id_text([2, 1])).unwrap()["complete"], true);
    assert_eq!(reader.cdr(&id_text([9, 1])).unwrap()["complete"], false);
    assert_eq!(reader.cdr("zz").unwrap_err().status, 404);
}

#[test]
fn a_second_end_on_another_day_is_not_stored() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let late = hour_long(1, 23);
    let mut early = hour_long(1, 23);
    early.record.ended_ms = 1;
    for (first, second) in [(&late, &early), (&early, &late)] {
        store.connection.execute_batch("DELETE FROM cdr").unwrap();
        for day in records::days(&store.connection).unwrap() {
            store.connection.execute_batch(&format!("DROP TABLE cdr_{day}")).unwrap();
        }
        let [first, second] = [first, second].map(|cdr| Change::CdrEnd(Box::new(cdr.clone())));
        store.commit(&[Change::CdrStart(Box::new(late.clone())), first]).unwrap();
        store.commit(&[second, Change::CdrStart(Box::new(late.clone()))]).unwrap();
        assert!(store.has_end([1, 1]).unwrap());
        let mut reader = Reader::open(&path).unwrap();
        let page = reader.cdrs(&CdrFilter::default(), &Page::default()).unwrap();
        assert_eq!(ids(&page), [1]);
    }
}

#[test]
fn records_of_a_release_without_days_are_sorted_into_theirs() {
    let path = scratch();
    let old = Connection::open(&path).unwrap();
    for migration in &MIGRATIONS[..9] {
        old.execute_batch(migration).unwrap();
    }
    let row = |id: u64, ended_ms: &str, complete: u8| {
        format!(
            "INSERT INTO cdr VALUES ('{}', 0, {complete}, 'none', '', '', 7, 8, '1', '2', '', NULL,
             {ended_ms}, 0, 0, '', '', 0, 0, 0, 0, '{{\"id\": \"{}\"}}');",
            id_text([id, 1]),
            id_text([id, 1])
        )
    };
    let rows = [row(1, "0", 1), row(2, "86400000", 1), row(3, "NULL", 0)].concat();
    old.execute_batch(&format!("{rows} PRAGMA user_version = 9")).unwrap();
    drop(old);
    for _ in 0..2 {
        let mut store = Sqlite::open(&path).unwrap();
        assert_eq!(store.load().unwrap().ids_used, 8);
        assert_eq!(records::days(&store.connection).unwrap(), [19_700_101, 19_700_102]);
        let mut reader = Reader::open(&path).unwrap();
        let page = reader.cdrs(&CdrFilter::default(), &Page::default()).unwrap();
        assert_eq!(ids(&page), [3, 2, 1]);
    }
}

#[test]
fn records_are_found_by_who_pays_who_is_paid_and_how_long_they_talked() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    let account = |id, name: &str| {
        let body = json!({"name": name, "role": "customer"});
        Change::Put(Box::new(Entity::read(Kind::Account, id, body).unwrap()))
    };
    let end = |id, customer, vendor| {
        Change::CdrEnd(Box::new(Cdr { customer, vendor, ..hour_long(id, id) }))
    };
    let mut short = cdr(4, 1);
    (short.customer, short.record.ended_ms) = (5, 1);
    store.commit(&[account(5, "buyer"), account(6, "seller")]).unwrap();
    let short = Change::CdrEnd(Box::new(short));
    store.commit(&[end(1, 5, 6), end(2, 5, 7), end(3, 8, 6), short]).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut list = |filter: CdrFilter| reader.cdrs(&filter, &Page::default());
    let buyer = || CdrFilter { account: Some("buyer".into()), ..CdrFilter::default() };
    assert_eq!(ids(&list(buyer()).unwrap()), [2, 1, 4]);
    assert_eq!(ids(&list(CdrFilter { hold_ms_min: Some(1), ..buyer() }).unwrap()), [2, 1]);
    let seller = Some("seller".into());
    assert_eq!(ids(&list(CdrFilter { vendor_account: seller, ..buyer() }).unwrap()), [1]);
    let number = CdrFilter { account: Some("8".into()), ..CdrFilter::default() };
    assert_eq!(ids(&list(number).unwrap()), [3], "of one that is deleted");
    let nobody = CdrFilter { account: Some("nobody".into()), ..CdrFilter::default() };
    assert_eq!(list(nobody).unwrap_err().status, 404);
}

#[test]
fn a_day_of_before_there_were_agents_gets_their_columns() {
    let path = scratch();
    let mut store = Sqlite::open(&path).unwrap();
    store.commit(&[Change::CdrEnd(Box::new(cdr(1, 7)))]).unwrap();
    let day = records::days(&store.connection).unwrap()[0];
    for column in ["agent", "agent_income"] {
        let gone = format!("ALTER TABLE cdr_{day} DROP COLUMN {column}");
        store.connection.execute_batch(&gone).unwrap();
    }
    drop(store);
    let mut store = Sqlite::open(&path).unwrap();
    let agent = crate::agent::Agent { account: 5, terms: None };
    let income = rating::Money::from_billionths(3);
    let earned = Cdr { agent: Some(agent), agent_income: income, ..cdr(2, 7) };
    store.commit(&[Change::CdrEnd(Box::new(earned))]).unwrap();
    let books = Reader::open(&path).unwrap().books().unwrap();
    assert_eq!((books.sold, books.earned), (vec![(0, 14)], vec![(5, 3)]));
}
