//! Illegal calls: a record each, counts in a flood, and never before whoever pays.

use super::*;

#[test]
fn an_illegal_call_has_one_record_per_attempt_not_per_retransmission() {
    let mut desk = Desk::new("10");
    let mut admit = desk.invite("10.9.9.9:5060", "44207");
    for _ in 0..5 {
        desk.ask(&admit).unwrap_err();
    }
    admit.facts.cseq += 1;
    desk.ask(&admit).unwrap_err();
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|cdr| cdr.billing_mode == crate::cdr::BillingMode::Illegal));
}

#[test]
fn a_flood_of_illegal_calls_is_counted_per_source_and_nothing_is_lost() {
    let mut desk = Desk::new("10");
    let mut calls = 0;
    let mut ends = Vec::new();
    for second in 0..130 {
        for _ in 0..if second < 3 { 200 } else { 1 } {
            let source = format!("10.9.9.{}:{}", calls % 3, 5060 + calls % 5);
            let admit = desk.invite(&source, "44207");
            desk.ask(&admit).unwrap_err();
            calls += 1;
        }
        desk.time.now += Duration::from_secs(1);
        desk.time.wall_us += 1_000_000;
        desk.office.handle_tick(desk.time);
        ends.append(&mut desk.settle().ends);
    }
    desk.time.wall_us += 60_000_000;
    desk.office.handle_tick(desk.time);
    ends.append(&mut desk.settle().ends);
    let (rows, single): (Vec<Cdr>, Vec<Cdr>) =
        ends.into_iter().partition(|cdr| cdr.aggregate.is_some());
    let counted: u64 = rows.iter().map(|row| row.describe()["calls"].as_u64().unwrap()).sum();
    assert_eq!(counted + single.len() as u64, calls);
    assert!(rows.len() <= 3 * 4, "one per source and minute, not {}", rows.len());
    assert!(rows.iter().all(|row| row.source().starts_with("10.9.9.")));
    let events: Vec<&str> = desk.office.journal.events().map(|event| event.name).collect();
    let turns: Vec<&&str> = events.iter().filter(|name| name.starts_with("illegal")).collect();
    assert_eq!(turns, [&"illegal_calls_single", &"illegal_calls_aggregated"]);
}

#[test]
fn illegal_calls_never_wait_where_a_paid_call_would() {
    let mut desk = Desk::new("10");
    for _ in 0..20_000 {
        let admit = desk.invite("10.9.9.9:5060", "44207");
        desk.ask(&admit).unwrap_err();
        desk.time.now += Duration::from_millis(100);
        desk.time.wall_us += 100_000;
        desk.office.handle_tick(desk.time);
    }
    // The store took nothing all the while, and the next customer is admitted.
    assert!(desk.office.backlog() <= BACKLOG_MAX / 10, "{}", desk.office.backlog());
    desk.call();
    let mut calls = 0;
    for _ in 0..3 {
        for cdr in desk.settle().ends {
            calls += cdr.describe()["calls"].as_u64().unwrap();
        }
        desk.time.wall_us += 60_000_000;
        desk.office.handle_tick(desk.time);
    }
    assert_eq!(calls, 20_000);
}

#[test]
fn a_flood_while_the_store_is_away_does_not_grow_what_waits() {
    let mut desk = Desk::new("10");
    for _ in 0..=BACKLOG_MAX {
        desk.office.change(Change::Delete(crate::state::entity::Kind::Deny, 0));
    }
    let before = desk.office.backlog();
    for source in ["10.9.9.9:5060", "10.1.0.1:5060"] {
        let admit = desk.invite(source, "44207");
        desk.ask(&admit).unwrap_err();
    }
    let refused = desk.post("account", json!({"name": "late", "role": "customer"})).unwrap_err();
    assert_eq!((refused.status, refused.title), (503, "too much waits for the store"));
    assert_eq!(desk.office.backlog(), before);
    desk.post("drain", json!({"draining": true})).unwrap();
}
