//! Days that leave the database, by any order of records, corrections and kills: what all of them charged stays.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use std::collections::BTreeMap;

use link::CallRecord;
use proptest::prelude::*;
use rating::{Charge, Money};

use super::*;
use crate::cdr::{Cdr, id_text};
use crate::page::Page;
use crate::store::{Amounts, CdrFilter, Change, Correction, History, Store};

const DAY_US: u64 = 86_400_000_000;
/// 1970-01-02.
const FIRST: u32 = 19_700_102;

/// What the customer of a call pays at its end, billionths.
fn charge_of(id: u64) -> i64 {
    i64::try_from(id).unwrap() * 1_000_003
}

fn end(id: u64, day: u64) -> Change {
    let record = CallRecord { id: [id, 1], started_us: day * DAY_US + id, ..CallRecord::empty() };
    let charge = |fee| Charge { fee: Money::from_billionths(fee), ..Charge::default() };
    Change::CdrEnd(Box::new(Cdr {
        record,
        customer: customer_of(id),
        vendor: 7,
        customer_charge: charge(charge_of(id)),
        vendor_charge: charge(charge_of(id) / 2),
        ..Cdr::default()
    }))
}

fn customer_of(id: u64) -> u32 {
    1 + (id % 3) as u32
}

/// The customer pays one less for each time.
fn set_right(id: u64, times: u64) -> Change {
    let pays = |times: u64| Amounts {
        charge: Money::from_billionths(charge_of(id) - times.cast_signed()),
        vendor_charge: Money::from_billionths(charge_of(id) / 2),
        ..Amounts::default()
    };
    Change::Correction(Box::new(Correction {
        id: [id, 1],
        request_id: format!("{id}-{times}"),
        customer: customer_of(id),
        vendor: 7,
        old: pays(times - 1),
        new: pays(times),
        ..Correction::default()
    }))
}

fn sums(store: &Sqlite) -> BTreeMap<u32, i64> {
    records::charged(&store.connection, Side::Customers).unwrap().into_iter().collect()
}

/// The ids that a reader lists, the newest first.
fn listed(path: &Path, filter: &CdrFilter) -> Vec<String> {
    let page = Page { limit: 1_000, cursor: None };
    let page = Reader::open(path).unwrap().cdrs(filter, &page).unwrap();
    let of = |it: &serde_json::Value| it["id"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_day_is_read_in_its_file_as_it_was_in_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let database = home.join("tollgate.db");
    let mut store = Sqlite::open(&database).unwrap();
    store.commit(&[end(1, 1), end(2, 1), set_right(2, 1), end(3, 2)]).unwrap();
    let before = sums(&store);
    let shown = Reader::open(&database).unwrap().cdr(&id_text([2, 1])).unwrap();
    assert_eq!(shown["corrections"].as_array().unwrap().len(), 1);

    let archived = write(&database, &home.join("archive"), FIRST, 5).unwrap();
    assert_eq!((archived.records, archived.corrections), (2, 1));
    assert_eq!(listed(&database, &CdrFilter::default()).len(), 3, "the file alone drops nothing");
    store.commit(&[Change::DayArchived(Box::new(archived.clone()))]).unwrap();

    let file = file_of(&home.join("archive"), FIRST);
    assert_eq!(listed(&database, &CdrFilter::default()), [id_text([3, 1])]);
    assert_eq!(listed(&file, &CdrFilter::default()), [id_text([2, 1]), id_text([1, 1])]);
    assert_eq!(Reader::open(&file).unwrap().cdr(&id_text([2, 1])).unwrap(), shown);
    assert_eq!(sums(&store), before);
    assert_eq!(sha256(&file).unwrap(), (archived.bytes, archived.sha256));

    let of = |from: &str, to: &str| CdrFilter {
        from: Some(from.into()),
        to: Some(to.into()),
        ..CdrFilter::default()
    };
    let mut reader = Reader::open(&database).unwrap();
    let reaching = of("1970-01-01T00:00:00Z", "1970-01-03T00:00:00Z");
    let refused = reader.cdrs(&reaching, &Page::default()).unwrap_err();
    assert_eq!((refused.status, refused.detail.contains("1970-01-02")), (409, true), "{refused:?}");
    let beside = of("1970-01-03T00:00:00Z", "1970-01-04T00:00:00Z");
    assert_eq!(listed(&database, &beside).len(), 1);
    let states: Vec<_> = reader.days().unwrap().into_iter().map(|it| (it.day, it.state)).collect();
    assert_eq!(states, [("1970-01-02".into(), "archived"), ("1970-01-03".into(), "live")]);
}

#[test]
fn a_day_that_changed_after_its_file_was_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let database = home.join("tollgate.db");
    let mut store = Sqlite::open(&database).unwrap();
    store.commit(&[end(1, 1)]).unwrap();
    for late in [end(2, 1), set_right(1, 1)] {
        let archived = write(&database, home, FIRST, 5).unwrap();
        store.commit(&[late, Change::DayArchived(Box::new(archived))]).unwrap();
        assert_eq!(listed(&database, &CdrFilter::default()).len(), 2);
        assert_eq!(days(&store.connection).unwrap(), [FIRST]);
    }
    let archived = write(&database, home, FIRST, 5).unwrap();
    assert_eq!((archived.records, archived.corrections), (2, 1));
}

#[test]
fn the_room_of_an_archived_day_is_swept_in_pieces_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let database = home.join("tollgate.db");
    let mut store = Sqlite::open(&database).unwrap();
    let calls = 2 * PIECE as u64 + 1;
    store.commit(&(0..calls).map(|id| end(id, 1)).collect::<Vec<_>>()).unwrap();
    assert!(!store.sweep().unwrap(), "what is live stays");
    let before = sums(&store);
    let archived = write(&database, home, FIRST, 5).unwrap();
    store.commit(&[Change::DayArchived(Box::new(archived))]).unwrap();
    let free = |store: &Sqlite| {
        let pages = "SELECT * FROM pragma_freelist_count";
        store.connection.query_row(pages, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut last = free(&store);
    for _ in 0..3 {
        assert!(store.sweep().unwrap());
        assert!(free(&store) > last, "{last}");
        last = free(&store);
        drop(store);
        store = Sqlite::open(&database).unwrap();
    }
    assert!(!store.sweep().unwrap());
    assert_eq!(sums(&store), before);
}

#[test]
fn a_day_without_records_or_a_folder_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let database = home.join("tollgate.db");
    let mut store = Sqlite::open(&database).unwrap();
    store.commit(&[end(1, 1)]).unwrap();
    assert!(write(&database, home, 19_700_105, 5).is_err());
    std::fs::write(home.join("file"), "").unwrap();
    assert!(write(&database, &home.join("file"), FIRST, 5).is_err());
    let left = std::fs::read_dir(home).unwrap().map(|it| it.unwrap().file_name());
    assert!(!left.map(|it| it.to_string_lossy().into_owned()).any(|it| it.starts_with("cdr-")));
}

#[test]
fn names_of_days_are_read_as_they_are_written() {
    for day in [19_700_101, 20_240_229, 20_991_231] {
        assert_eq!(day_from_text(&day_text(day)), Some(day));
    }
    let none = [
        "",
        "2026-02-30",
        "20260101",
        "2026-1-1",
        "2026-01-01T00:00:00Z",
        "../../etc",
        "+002026-01-01",
    ];
    for none in none {
        assert_eq!(day_from_text(none), None, "{none}");
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    End(u64),
    SetRight(u64),
    /// Its file is written, and, unless a kill comes between, its table dropped.
    Archive(u64, bool),
    Purge(u64),
    Sweep,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..6).prop_map(Step::End),
        3 => any::<u64>().prop_map(Step::SetRight),
        3 => ((1_u64..6), any::<bool>()).prop_map(|(day, killed)| Step::Archive(day, killed)),
        1 => (1_u64..6).prop_map(Step::Purge),
        2 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_record_is_in_one_place_and_every_charge_is_known(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let (database, folder) = (home.join("tollgate.db"), home.join("archive"));
        let mut store = Sqlite::open(&database).unwrap();
        // By id: its day, and how many times it was set right.
        let mut calls: Vec<(u64, u64)> = Vec::new();
        let mut put_away: BTreeMap<u64, usize> = BTreeMap::new();
        for step in steps {
            match step {
                // Calls end on days that are open.
                Step::End(day) if !put_away.contains_key(&day) => {
                    store.commit(&[end(calls.len() as u64, day)]).unwrap();
                    calls.push((day, 0));
                }
                Step::SetRight(any) if !calls.is_empty() => {
                    let id = any % calls.len() as u64;
                    let call = &mut calls[id as usize];
                    if !put_away.contains_key(&call.0) {
                        call.1 += 1;
                        store.commit(&[set_right(id, call.1)]).unwrap();
                    }
                }
                Step::Archive(day, killed) => {
                    let records = calls.iter().filter(|it| it.0 == day).count();
                    let written = write(&database, &folder, FIRST + day as u32 - 1, 9);
                    prop_assert_eq!(written.is_ok(), records > 0 && !put_away.contains_key(&day));
                    if let Ok(archived) = written && !killed {
                        // Told twice, as after a spill.
                        let told = Change::DayArchived(Box::new(archived));
                        store.commit(&[told.clone(), told]).unwrap();
                        put_away.insert(day, records);
                    }
                }
                Step::Purge(day) => {
                    store.commit(&[Change::DayPurged(FIRST + day as u32 - 1, 11)]).unwrap();
                }
                Step::Sweep => {
                    store.sweep().unwrap();
                }
                Step::Restart => {
                    drop(store);
                    store = Sqlite::open(&database).unwrap();
                    store.load().unwrap();
                }
                _ => {}
            }
            let mut expected: BTreeMap<u32, i64> = BTreeMap::new();
            for (id, (_, times)) in calls.iter().enumerate() {
                *expected.entry(customer_of(id as u64)).or_default() +=
                    charge_of(id as u64) - times.cast_signed();
            }
            prop_assert_eq!(sums(&store), expected);
            let live = calls.iter().filter(|it| !put_away.contains_key(&it.0)).count();
            prop_assert_eq!(listed(&database, &CdrFilter::default()).len(), live);
            for (day, records) in &put_away {
                let file = file_of(&folder, FIRST + *day as u32 - 1);
                prop_assert_eq!(listed(&file, &CdrFilter::default()).len(), *records);
            }
        }
    }
}
