//! What is written to disk, and who hears when it is not.

use std::time::Duration;

use link::record::{RECORDED_PCAP, RECORDED_WAV};
use serde_json::json;

use super::*;
use crate::decide::Missed;

/// How the next call is recorded whoever carries it.
fn recorded(desk: &mut Desk) -> u8 {
    desk.call().1.recorded()
}

#[test]
fn an_account_and_listed_numbers_are_recorded_whichever_gateways_carry_them() {
    let mut desk = Desk::new("100000");
    assert_eq!(recorded(&mut desk), 0, "nothing is unless somebody said so");
    desk.patch("account/customer", json!({"recording": "pcap"}));
    assert_eq!(recorded(&mut desk), RECORDED_PCAP);
    for numbers in ["4420", "33,39"] {
        desk.set("TG_RECORDING_NUMBERS", numbers);
        assert_eq!(recorded(&mut desk), RECORDED_PCAP | RECORDED_WAV, "{numbers}");
    }
    desk.patch("account/customer", json!({"recording": "off"}));
    desk.set("TG_RECORDING_NUMBERS", "4421");
    assert_eq!(recorded(&mut desk), 0);
    let no = desk.say(Method::Patch, "account/customer", json!({"recording": "mp3"})).unwrap_err();
    assert!(no.detail.contains("recording"), "{}", no.detail);
}

#[test]
fn a_recording_that_is_lost_is_an_alarm_until_none_was_for_ten_minutes() {
    let mut desk = Desk::new("100000");
    // What was lost before control began was told by the one before it.
    let mut missed = Missed { packets: 7, ..Missed::default() };
    desk.office.handle_missed(desk.time, missed);
    assert_eq!(desk.alarms(), Vec::<String>::new());
    missed.disk_full = 1;
    desk.office.handle_missed(desk.time, missed);
    assert_eq!(desk.alarms(), ["recording_lost"]);
    desk.time.now += Duration::from_secs(599);
    desk.office.handle_missed(desk.time, missed);
    assert_eq!(desk.alarms(), ["recording_lost"]);
    // A dataplane that begins counts from zero.
    desk.office.handle_missed(desk.time, Missed::default());
    desk.time.now += Duration::from_secs(1);
    desk.office.handle_missed(desk.time, Missed::default());
    assert_eq!(desk.alarms(), Vec::<String>::new());
}
