//! Files as vendors send them, files as nobody should, and pairs beside an oracle that tries all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::dispute::{Bought, Class, Dispute, Terms, compare};
use super::pair::{EXACT_MAX, Look, Pair, Tolerance, pair};
use super::*;
use crate::state::entity::{Entity, Kind};

const DEFAULT: Tolerance = Tolerance { start_ms: 5_000, duration_ms: 1_000 };

fn mapping(more: Value) -> RecordMapping {
    let mut body = json!({
        "name": "m", "callee": "To", "start": "Start", "duration": "Sec", "amount": "Fee",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match Entity::read(Kind::Record, 1, body).unwrap() {
        Entity::Record(mapping) => *mapping,
        other => panic!("{other:?}"),
    }
}

/// Calls as text, and wrong lines.
fn said(more: Value, text: &str) -> (Vec<String>, Vec<String>) {
    let file = read(text.as_bytes(), &mapping(more), Some("EUR")).unwrap();
    assert_eq!(file.calls.len() + file.remarks.wrong, file.lines, "a line was lost");
    let call = |it: &ForeignCall| {
        let at = jiff::Timestamp::from_microsecond(it.start_us).unwrap();
        let amount = it.amount.map_or("-".into(), |it| it.to_string());
        format!("{} {} {at} {} {amount}", it.line, it.callee, it.duration_ms)
    };
    let wrong = |it: &sheet::LineRemark| format!("{} {}", it.line, it.why);
    (file.calls.iter().map(call).collect(), file.remarks.told.iter().map(wrong).collect())
}

#[test]
fn files_are_read_as_vendors_write_them() {
    let file = "To|Start|Sec|Fee\n+44 20-71|2027-01-31 23:59:58|61|0.0122\n\n";
    let plain = ["2 442071 2027-01-31T23:59:58Z 61000 0.0122"];
    assert_eq!(said(json!({}), file), (plain.map(str::to_owned).to_vec(), vec![]));
    let file = "Report of January;;;\nDate;Time;To;Sec;Fee;Cur\n31.01.2027;23:59:58;0207;1:01:01,;0,5;eur\n\
                31.01.2027;23:59:58;00331;01:01.250;0,50;EUR\n";
    let german = json!({
        "header_line": 2, "start": "Date", "start_time": "Time", "currency": "Cur",
        "start_formats": ["%d.%m.%Y %H:%M:%S"], "time_zone": "Europe/Berlin", "decimal_comma": true,
        "callee_rules": [{"original": "0", "target": "44"}, {"original": "00"}],
    });
    let (calls, wrong) = said(german, file);
    assert_eq!(calls, ["4 331 2027-01-31T22:59:58Z 61250 0.50"]);
    assert!(wrong.len() == 1 && wrong[0].starts_with("3 duration: "), "{wrong:?}");
    let epoch = json!({"start_formats": ["epoch_ms"], "duration_unit": "ms", "delimiter": "tab"});
    let (calls, wrong) = said(
        epoch,
        "To\tStart\tSec\tFee\n44\t1801439998123\t61999\t\n44\t1801439998123\t61999\t1\n",
    );
    assert_eq!(calls, ["3 44 2027-01-31T23:59:58.123Z 61999 1.00"]);
    assert!(wrong[0].starts_with("2 amount: it is empty"), "{wrong:?}");
    let offset = json!({"start_formats": ["%Y%m%d%H%M%S%z"], "amount": ""});
    let (calls, _) =
        said(offset, "To,Start,Sec\n44,20270131235958+0100,61.5\n44,2027-01-31T23:59:58Z,0\n");
    assert_eq!(calls, ["2 44 2027-01-31T22:59:58Z 61500 -", "3 44 2027-01-31T23:59:58Z 0 -"]);
}

#[test]
fn an_xlsx_is_read_as_a_spreadsheet_program_wrote_it() {
    let text = |cell: &str, text: &str| {
        format!(r#"<c r="{cell}" t="inlineStr"><is><t>{text}</t></is></c>"#)
    };
    let header = ["To", "Start", "Sec", "Fee"];
    let header: String =
        "ABCD".chars().zip(header).map(|(at, name)| text(&format!("{at}1"), name)).collect();
    let cells = format!(
        r#"<row r="1">{header}</row>
        <row r="2"><c r="A2"><v>442071234567</v></c><c r="B2" s="1"><v>46357.5</v></c><c r="C2"><v>61.25</v></c><c r="D2"><v>1.22E-2</v></c></row>
        <row r="4"><c r="A4" s="1"><v>46357</v></c><c r="B4" s="1"><v>46357.5</v></c><c r="C4"><v>1</v></c><c r="D4"><v>1</v></c></row>
        <row r="5"><c r="A5"><v>44</v></c><c r="B5" s="1"><v>46357</v></c><c r="C5"><v>7.06018518518519E-4</v></c><c r="D5"><v>1</v></c></row>"#
    );
    let file = read(&sheet::tests::book(&cells), &mapping(json!({"sheet": "Rates"})), Some("EUR"))
        .unwrap();
    let call = &file.calls[0];
    assert_eq!((&*call.callee, call.duration_ms, call.line), ("442071234567", 61_250, 2));
    assert_eq!(call.amount.unwrap().to_string(), "0.0122");
    let noon = jiff::Timestamp::from_microsecond(call.start_us).unwrap().to_string();
    assert_eq!((noon.as_str(), file.calls.len()), ("2026-12-01T12:00:00Z", 1));
    // A date is no number, and a part of a day is no duration.
    let told: Vec<(u32, &str)> =
        file.remarks.told.iter().map(|it| (it.line, &it.why[..7])).collect();
    assert_eq!(told, [(4, "callee:"), (5, "duratio")]);
}

#[test]
fn wrong_lines_are_told_by_field_and_number() {
    let right = ["44", "2027-01-31 23:59:58", "61", "0.1"];
    for (column, text, field) in [
        (0, "", "callee"),
        (0, "4.42E+11", "callee"),
        (0, "sip:44@x", "callee"),
        (0, &"4".repeat(33), "callee"),
        (1, "", "start"),
        (1, "31.01.2027", "start"),
        (1, "1899-01-01 00:00:00", "start"),
        (1, "2027-02-30 00:00:00", "start"),
        (2, "", "duration"),
        (2, "-1", "duration"),
        (2, "61s", "duration"),
        (2, "61.2505", "duration"),
        (2, "1:60", "duration"),
        (2, "1:60:00", "duration"),
        (2, "1:2:3:4", "duration"),
        (2, "3456001", "duration"),
        (2, "99999999999999999999", "duration"),
        (3, "", "amount"),
        (3, "free", "amount"),
        (3, "-0.1", "amount"),
        (3, "0.0000000001", "amount"),
    ] {
        let mut cells = right;
        cells[column] = text;
        let (calls, wrong) = said(json!({}), &format!("To,Start,Sec,Fee\n{}\n", cells.join(",")));
        assert!(
            calls.is_empty() && wrong[0].starts_with(&format!("2 {field}: ")),
            "{text}: {wrong:?}"
        );
    }
    let (_, wrong) =
        said(json!({"currency": "Cur"}), "To,Start,Sec,Fee,Cur\n44,2027-01-31 23:59:58,1,1,USD\n");
    assert!(wrong[0].contains("currency: \"USD\""), "{wrong:?}");
    let refused = |bytes: &[u8]| read(bytes, &mapping(json!({})), Some("EUR")).unwrap_err().detail;
    assert!(refused(b"").contains("empty"));
    assert!(refused(b"To,Start,Fee\n").contains("duration"));
    assert!(refused(b"PK\x03\x04cut").contains("xlsx"));
    assert!(refused(b"\xff\xfeT\0o\0").contains("UTF-16"));
    assert!(refused(b"\n\n").contains("ends before"));
    let deep = mapping(json!({"header_line": 9}));
    assert!(read(b"To,Start,Sec,Fee\n", &deep, Some("EUR")).unwrap_err().detail.contains("line 9"));
}

#[test]
fn a_file_has_no_more_lines_than_it_may() {
    let mut text = String::from("To,Start,Sec,Fee\n");
    (0..=CALLS_MAX).for_each(|_| text.push_str("x,,,\n"));
    let refusal = read(text.as_bytes(), &mapping(json!({})), Some("EUR")).unwrap_err();
    assert_eq!(refusal.status, 413, "{}", refusal.detail);
}

fn look(callee: &str, start_ms: i64, duration_ms: u64) -> Look<'_> {
    let start_us = start_ms * 1_000;
    Look { callee, start_us, duration_ms, amount: None, tie: ["", ""] }
}

fn looks(calls: &[Bought]) -> Vec<Look<'_>> {
    calls
        .iter()
        .map(|it| Look { start_us: it.start_us, ..look(&it.callee, 0, it.duration_ms) })
        .collect()
}

fn places(pairs: &[Pair]) -> Vec<(usize, usize)> {
    pairs.iter().map(|it| (it.ours, it.theirs)).collect()
}

#[test]
fn calls_to_one_number_within_seconds_are_paired_as_most_of_them_fit() {
    // The first of theirs is nearest to the second of ours, but then the first had none.
    let ours = [look("44", 0, 10_000), look("44", 4_000, 10_000)];
    let theirs = [look("44", 3_000, 10_000), look("44", 8_000, 10_000)];
    assert_eq!(places(&pair(&ours, &theirs, &DEFAULT)), [(0, 0), (1, 1)]);
    // What agrees in its duration goes before what is nearer.
    let theirs = [look("44", 100, 60_000), look("44", 4_900, 10_900)];
    assert_eq!(places(&pair(&ours, &theirs, &DEFAULT)), [(0, 0), (1, 1)]);
    let theirs = [look("44", 4_900, 10_900), look("45", 0, 10_000)];
    assert_eq!(places(&pair(&ours, &theirs, &DEFAULT)), [(1, 0)]);
    // Of two that are the same the one is taken that costs the same.
    let ours = [Look { amount: Some(Money::from_billionths(7)), ..look("44", 0, 1_000) }];
    let theirs =
        [8, 7].map(|it| Look { amount: Some(Money::from_billionths(it)), ..look("44", 0, 1_000) });
    assert_eq!(places(&pair(&ours, &theirs, &DEFAULT)), [(0, 1)]);
    // Tolerances hold to their last millisecond, and no further.
    for (start, duration, is_one) in [(5_000, 0, true), (5_001, 0, false), (-5_000, 11_000, true)] {
        let found =
            pair(&[look("44", 10_000, 0)], &[look("44", 10_000 + start, duration)], &DEFAULT);
        assert_eq!(!found.is_empty(), is_one);
    }
}

#[test]
fn a_flood_to_one_number_costs_a_sort() {
    let ours: Vec<Look<'_>> =
        (0..20_000).map(|n| look("44", n / 10, (n % 97).unsigned_abs() * 1_000)).collect();
    let theirs: Vec<Look<'_>> = (0..20_000)
        .rev()
        .map(|n| look("44", n / 10 + 3, (n % 97).unsigned_abs() * 1_000))
        .collect();
    let pairs = pair(&ours, &theirs, &Tolerance { start_ms: 5_000, duration_ms: 100 });
    assert_eq!(pairs.len(), 20_000);
    assert!(pairs.iter().all(|it| ours[it.ours].duration_ms == theirs[it.theirs].duration_ms));
}

/// How many pairs agree, how many there are, and how far apart they are: the best that any pairing has.
fn best(ours: &[Look<'_>], theirs: &[Look<'_>], used: &mut Vec<bool>) -> (usize, usize, i64) {
    let Some((our, rest)) = ours.split_first() else { return (0, 0, 0) };
    let mut most = best(rest, theirs, used);
    for at in 0..theirs.len() {
        let their = &theirs[at];
        let apart = (our.start_us - their.start_us).abs();
        if used[at] || our.callee != their.callee || apart > 5_000_000 {
            continue;
        }
        used[at] = true;
        let (agree, pairs, near) = best(rest, theirs, used);
        used[at] = false;
        let longer = our.duration_ms.abs_diff(their.duration_ms);
        let agrees = usize::from(longer <= 1_000);
        most = most.max((agree + agrees, pairs + 1, near - apart / 1_000 - longer.cast_signed()));
    }
    most
}

fn drawn(most: usize) -> impl Strategy<Value = Vec<(u8, i64, u64, i64)>> {
    // Few numbers, few seconds: nearly all calls are near one another.
    prop::collection::vec((0..2_u8, 0..12_i64, 0..5_u64, 0..2_i64), 0..most)
}

fn bought(drawn: &[(u8, i64, u64, i64)]) -> Vec<Bought> {
    let call = |(number, &(callee, start, duration, amount)): (u64, &(u8, i64, u64, i64))| Bought {
        id: [number, 0],
        callee: callee.to_string().into(),
        start_us: 1_000_000_000 + start * 1_100_000,
        duration_ms: duration * 700,
        amount: Money::from_billionths(amount),
    };
    (0..).zip(drawn).map(call).collect()
}

fn foreign(drawn: &[(u8, i64, u64, i64)]) -> Vec<ForeignCall> {
    let call = |(line, it): (u32, Bought)| ForeignCall {
        callee: it.callee,
        start_us: it.start_us,
        duration_ms: it.duration_ms,
        amount: Some(it.amount),
        line,
        ..ForeignCall::default()
    };
    (1..).zip(bought(drawn)).map(call).collect()
}

/// From the third second of the calls to the ninth.
const TERMS: Terms =
    Terms { from_us: 1_003_000_000, to_us: 1_009_000_000, tolerance: DEFAULT, amount: Money::ZERO };

/// Nothing is lost, nothing is used twice, and everything is in its class.
fn check(ours: &[Bought], theirs: &[ForeignCall], found: &Dispute) -> Result<(), TestCaseError> {
    let is_within = |us| (TERMS.from_us..TERMS.to_us).contains(&us);
    let calls: u64 = found.sums.iter().map(|it| it.1.calls).sum();
    prop_assert_eq!(calls, theirs.len() as u64);
    let money: i128 = found.sums.iter().map(|it| it.1.amount).sum();
    let all: i64 = theirs.iter().map(|it| it.amount.unwrap().billionths()).sum();
    prop_assert_eq!(money, i128::from(all));
    let mut seen = (vec![0; ours.len()], vec![0; theirs.len()]);
    for it in &found.differences {
        it.ours.into_iter().for_each(|place| seen.0[place] += 1);
        it.theirs.into_iter().for_each(|place| seen.1[place] += 1);
        match (it.class, it.ours.map(|at| &ours[at]), it.theirs.map(|at| &theirs[at])) {
            (Class::Missing, Some(our), None) => prop_assert!(is_within(our.start_us)),
            (Class::Extra | Class::Unanswered, None, Some(it)) => {
                prop_assert!(is_within(it.start_us))
            }
            (Class::Outside, None, Some(it)) => prop_assert!(!is_within(it.start_us)),
            (Class::Longer, Some(our), Some(it)) => {
                prop_assert!(it.duration_ms > our.duration_ms + 1_000)
            }
            (Class::Shorter, Some(our), Some(it)) => {
                prop_assert!(it.duration_ms + 1_000 < our.duration_ms)
            }
            (Class::Dearer, Some(our), Some(it)) => prop_assert!(it.amount > Some(our.amount)),
            (Class::Cheaper, Some(our), Some(it)) => prop_assert!(it.amount < Some(our.amount)),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
    prop_assert!(seen.0.iter().chain(&seen.1).all(|times| *times <= 1));
    let matched = found.sums[0];
    prop_assert_eq!(matched.0.calls, matched.1.calls);
    let unseen = |seen: &[i32]| seen.iter().filter(|times| **times == 0).count() as u64;
    prop_assert_eq!(unseen(&seen.1), matched.1.calls);
    // Ours that nobody tells are those that match, or lie outside.
    let outside = ours.iter().filter(|it| !is_within(it.start_us)).count() as u64;
    prop_assert!((matched.0.calls..=matched.0.calls + outside).contains(&unseen(&seen.0)));
    Ok(())
}

proptest! {
    #[test]
    fn no_pairing_is_better_than_ours(ours in drawn(7), theirs in drawn(7)) {
        let (ours, theirs) = (bought(&ours), bought(&theirs));
        let (ours, theirs) = (looks(&ours), looks(&theirs));
        let pairs = pair(&ours, &theirs, &DEFAULT);
        let mut found = (0, pairs.len(), 0);
        let mut used = (vec![false; ours.len()], vec![false; theirs.len()]);
        for Pair { ours: one, theirs: other } in pairs {
            prop_assert!(!std::mem::replace(&mut used.0[one], true));
            prop_assert!(!std::mem::replace(&mut used.1[other], true));
            let (one, other) = (ours[one], theirs[other]);
            let apart = (one.start_us - other.start_us).abs();
            let longer = one.duration_ms.abs_diff(other.duration_ms);
            prop_assert!(one.callee == other.callee && apart <= 5_000_000);
            found.0 += usize::from(longer <= 1_000);
            found.2 -= apart / 1_000 + longer.cast_signed();
        }
        prop_assert_eq!(found, best(&ours, &theirs, &mut vec![false; theirs.len()]));
    }

    #[test]
    fn every_call_of_either_side_is_in_one_class(ours in drawn(90), theirs in drawn(90)) {
        let (ours, theirs) = (bought(&ours), foreign(&theirs));
        check(&ours, &theirs, &compare(&ours, &theirs, &TERMS))?;
    }

    #[test]
    fn the_order_of_lines_changes_nothing(
        ours in drawn(3 * EXACT_MAX),
        (theirs, turned) in drawn(3 * EXACT_MAX).prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
    ) {
        let ours = bought(&ours);
        let told = |theirs: &[ForeignCall]| {
            let found = compare(&ours, theirs, &TERMS);
            let look = |it: &ForeignCall| (it.callee.clone(), it.start_us, it.duration_ms, it.amount);
            let mut differences: Vec<_> = found
                .differences
                .iter()
                .map(|it| (it.class, it.ours.map(|at| ours[at].start_us), it.theirs.map(|at| look(&theirs[at]))))
                .collect();
            differences.sort();
            (found.sums, differences)
        };
        prop_assert_eq!(told(&foreign(&theirs)), told(&foreign(&turned)));
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for more in [json!({}), json!({"header_line": 0, "callee": "A", "start": "B", "duration": "C", "amount": ""})] {
            if let Ok(file) = read(&bytes, &mapping(more), Some("EUR")) {
                prop_assert_eq!(file.calls.len() + file.remarks.wrong, file.lines);
            }
        }
    }
}
