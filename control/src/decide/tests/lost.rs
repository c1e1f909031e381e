//! What a crash leaves: calls that run on, calls that are gone, and what each of them is charged.

use super::*;

#[test]
fn a_lost_dataplane_is_charged_to_the_last_media() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let mut record = talked(&admit, &route, 0);
    (record.ended_ms, record.attempts[0].ended_ms) = (NEVER, NEVER);
    record.started_monotonic_us = 5_000_000;
    // The last packet came 30 s after the answer.
    desk.office.handle_lost(desk.time, 0, admit.call, &record, 36_000_000, false);
    let written = desk.settle();
    let reason = written.ends[0].record.end_reason();
    assert_eq!((written.ends[0].hold_ms(), reason), (30_000, EndReason::DataplaneLost));
    assert_eq!(desk.balance("customer"), "9.70");
    // Found again by the next control, which knows that its end is durable.
    desk.released();
    desk.office.handle_lost(desk.time, 0, admit.call, &record, 36_000_000, true);
    assert_eq!((desk.balance("customer"), desk.released()), ("9.70".into(), vec![admit.call]));
}

#[test]
fn a_call_that_vanished_with_its_memory_is_charged_to_the_last_heartbeat() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let mut start = talked(&admit, &route, 0);
    (start.answered_ms, start.ended_ms, start.attempts[0].ended_ms) = (NEVER, NEVER, NEVER);
    start.started_monotonic_us = 5_000_000;
    let account = |name| desk.office.state.account(name).unwrap().id;
    let (customer, vendor) = (account("customer"), account("vendor"));
    desk.office.heartbeat.opened =
        vec![Opened { record: start, customer, vendor, cover: Default::default(), agent: None }];
    // The vendor answered after a second; the last heartbeat came 30 s later.
    desk.office.heartbeat.last_us = 36_000_000;
    desk.office.end_vanished(desk.time);
    assert!(desk.settle().ends.is_empty(), "it runs");
    desk.office.heartbeat.opened =
        vec![Opened { record: start, customer, vendor, cover: Default::default(), agent: None }];
    desk.office.release(admit.record);
    desk.office.end_vanished(desk.time);
    desk.office.end_vanished(desk.time);
    let written = desk.settle();
    let [end] = &written.ends[..] else { panic!("one end, not {}", written.ends.len()) };
    assert_eq!((end.hold_ms(), end.vendor_hold_ms()), (30_000, 30_000));
    assert_eq!(end.record.end_reason(), EndReason::MachineLost);
    assert_eq!(desk.balance("customer"), "9.70");
}

#[test]
fn a_call_that_vanished_is_charged_beyond_its_first_slice_as_far_as_there_is_money() {
    for (money, left) in [("10", "9.10"), ("0.70", "0.00")] {
        let mut desk = Desk::new(money);
        let (admit, route) = desk.call();
        let mut start = talked(&admit, &route, 0);
        (start.ended_ms, start.attempts[0].ended_ms) = (NEVER, NEVER);
        start.started_monotonic_us = 5_000_000;
        // What was granted later was held, and told to the call alone.
        start.granted_s = 60;
        let account = |name| desk.office.state.account(name).unwrap().id;
        let (customer, vendor) = (account("customer"), account("vendor"));
        desk.office.release(admit.record);
        desk.office.heartbeat.opened = vec![Opened {
            record: start,
            customer,
            vendor,
            cover: Default::default(),
            agent: None,
        }];
        desk.office.heartbeat.last_us =
            5_000_000 + u64::from(start.answered_ms) * 1_000 + 90_000_000;
        desk.office.end_vanished(desk.time);
        assert_eq!(desk.settle().ends[0].hold_ms(), 90_000);
        assert_eq!(desk.balance("customer"), left);
    }
}

#[test]
fn an_answer_that_went_out_before_its_start_was_durable_raises_an_alarm_for_a_while() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let record = CallRecord { uncommitted: 1, ..talked(&admit, &route, 1_000) };
    desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    let stands = |desk: &Desk| desk.office.journal.alarms_standing() == 1;
    assert!(stands(&desk));
    desk.office.handle_tick(desk.time);
    assert!(stands(&desk));
    desk.time.now += Duration::from_secs(61);
    desk.office.handle_tick(desk.time);
    assert!(!stands(&desk));
}

#[test]
fn while_calls_go_on_the_store_hears_of_it_once_a_second() {
    let mut desk = Desk::new("10");
    let beats = |desk: &mut Desk| {
        desk.office.handle_tick(desk.time);
        let changes = std::iter::from_fn(|| desk.office.poll_change());
        changes.filter(|change| matches!(change, Change::Heartbeat(_))).count()
    };
    assert_eq!(beats(&mut desk), 0, "nobody calls");
    desk.call();
    assert_eq!((beats(&mut desk), beats(&mut desk)), (1, 0));
    desk.time.now += Duration::from_secs(2);
    assert_eq!(beats(&mut desk), 0, "the last one is not durable yet");
    desk.office.handle_stored(desk.office.last_change());
    assert_eq!(beats(&mut desk), 1);
}

#[test]
fn what_runs_when_control_starts_still_holds_its_line_and_its_money() {
    let mut desk = Desk::new("1");
    let (admit, route) = desk.call();
    let record = CallRecord { ended_ms: NEVER, ..talked(&admit, &route, 0) };
    // As if the control before this one had died here.
    desk.office.release(admit.record);
    desk.office.rebuild(desk.time, 0, admit.call, &record);
    assert_eq!(desk.settle().starts.len(), 1, "the start is written again");
    assert_eq!(desk.reserved(), "1.20".parse().unwrap(), "a slice may be on its way");
    let other = desk.invite("10.1.0.1:5060", "44207");
    assert_eq!(desk.ask(&other).unwrap_err().reason, EndReason::NoBalance as u8);
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    assert_eq!((desk.balance("customer"), desk.reserved()), ("0.40".into(), Money::ZERO));
}

#[test]
fn an_admitted_call_that_never_got_a_slot_has_a_record_that_says_who_called() {
    let mut desk = Desk::new("10");
    desk.call();
    desk.time.now += Duration::from_secs(60);
    desk.office.handle_missing(desk.time, 1, |_| false);
    desk.office.handle_missing(desk.time, 0, |_| true);
    assert_eq!(desk.office.calls_live(), 1);
    desk.office.handle_missing(desk.time, 0, |_| false);
    desk.office.handle_missing(desk.time, 0, |_| false);
    let ends = desk.settle().ends;
    assert_eq!((desk.office.calls_live(), ends.len()), (0, 1));
    assert_eq!(ends[0].record.end_reason(), EndReason::DataplaneRestart);
    assert_eq!(ends[0].record.facts.callee.to_text(), "44207");
    assert_eq!(ends[0].gateway, "in");
}
