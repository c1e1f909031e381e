//! What the driver saw becomes a line a minute for each source, and an alarm for who sends like an attacker.

use super::*;
use crate::reconcile::Seen;
use crate::shown::{AddressPorts, PortFigures};

fn seen(host: u8, packets: u64, dropped: u64, options: u64) -> Seen {
    let source = [203, 0, 113, host].into();
    Seen { source, packets, dropped, options, reason: "drop_options_budget" }
}

pub(super) fn alarms(desk: &mut Desk) -> Vec<String> {
    let alarms = desk.say(Method::Get, "alarm", Value::Null).unwrap();
    let items = alarms["items"].as_array().unwrap();
    let mut names: Vec<String> =
        items.iter().filter_map(|alarm| alarm["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

fn lines(desk: &mut Desk) -> Vec<String> {
    let events = desk.say(Method::Get, "event", Value::Null).unwrap();
    let items = events["items"].as_array().unwrap();
    let dropped = items.iter().filter(|event| event["name"] == "driver_dropped");
    dropped.map(|event| format!("{} {}", event["subject"], event["detail"])).collect()
}

#[test]
fn who_is_dropped_has_one_line_a_minute_however_often_he_knocks() {
    let mut desk = Desk::new("10");
    for _ in 0..61 {
        desk.pass(1_000);
        desk.office.handle_seen(desk.time, vec![seen(9, 3, 2, 0), seen(10, 1, 0, 0)]);
    }
    assert_eq!(lines(&mut desk).len(), 1, "who was let in has none");
    let first = &lines(&mut desk)[0];
    assert!(first.contains("203.0.113.9") && first.contains("last drop_options_budget"), "{first}");
    desk.pass(1_000);
    desk.office.handle_seen(desk.time, vec![seen(9, 3, 2, 0)]);
    assert_eq!(lines(&mut desk).len(), 1);
    assert_eq!(alarms(&mut desk), [] as [String; 0]);
}

#[test]
fn a_busy_machine_and_a_full_disk_are_an_alarm_each_until_it_is_better() {
    let mut desk = Desk::new("10");
    let mut look = |cpu, disk| {
        desk.pass(60_000);
        desk.office.handle_load(desk.time, crate::machine::Load { cpu, disk });
        alarms(&mut desk)
    };
    assert_eq!(look(69, 79), [] as [String; 0]);
    assert_eq!(look(70, 79), ["cpu_busy"]);
    assert_eq!(look(66, 80), ["cpu_busy", "disk_full"], "a little less is not yet better");
    assert_eq!(look(65, 100), ["disk_full"]);
    assert_eq!(look(0, 0), [] as [String; 0]);
}

fn ports_of(host: u8, used: u64, resting: u64, missed: u64) -> AddressPorts {
    let ports = PortFigures { used, resting, free: 100 - used - resting };
    AddressPorts { address: [203, 0, 113, host].into(), ports, missed }
}

fn subjects(desk: &mut Desk) -> Vec<String> {
    let alarms = desk.say(Method::Get, "alarm", Value::Null).unwrap();
    let text = |alarm: &Value, key: &str| alarm[key].as_str().unwrap_or_default().to_owned();
    let items = alarms["items"].as_array().unwrap().iter();
    let mut told: Vec<_> =
        items.map(|alarm| format!("{}: {}", text(alarm, "name"), text(alarm, "subject"))).collect();
    told.sort();
    told
}

#[test]
fn one_full_address_beside_an_empty_one_is_an_alarm_that_says_which() {
    let mut desk = Desk::new("10");
    let mut look = |told: &[AddressPorts]| {
        desk.pass(1_000);
        desk.office.handle_ports(desk.time, 0, told);
        subjects(&mut desk)
    };
    let (full, empty) = (ports_of(1, 100, 0, 0), ports_of(2, 0, 0, 0));
    let both = [
        "media_ports_exhausted: worker 0, 203.0.113.1",
        "media_ports_scarce: worker 0, 203.0.113.1",
    ];
    assert_eq!(look(&[full, empty]), both, "before anybody was refused");
    // Of a dataplane that begins nothing is known yet.
    let unknown = AddressPorts { ports: PortFigures::default(), ..full };
    assert_eq!(look(&[unknown, empty]), both);
    assert_eq!(look(&[]), both);
    let other = [full, ports_of(2, 95, 0, 1)];
    assert_eq!(look(&other)[1], "media_ports_exhausted: worker 0, 203.0.113.2");
    assert_eq!(look(&other).len(), 4);
    // The first is no address of ours any more.
    assert_eq!(look(&[ports_of(2, 95, 0, 1)])[0], "media_ports_exhausted: worker 0, 203.0.113.2");
    assert_eq!(look(&[ports_of(2, 0, 0, 1)]), [] as [String; 0]);
}

#[test]
fn media_ports_that_run_short_are_an_alarm_and_another_once_calls_are_refused() {
    let mut desk = Desk::new("10");
    let mut look = |used, resting, missed| {
        desk.pass(1_000);
        desk.office.handle_ports(desk.time, 1, &[ports_of(1, used, resting, missed)]);
        alarms(&mut desk)
    };
    assert_eq!(look(80, 9, 7), [] as [String; 0], "what was refused before is no news");
    assert_eq!(look(80, 10, 7), ["media_ports_scarce"]);
    assert_eq!(look(100, 0, 7), ["media_ports_exhausted", "media_ports_scarce"]);
    assert_eq!(look(86, 0, 7).len(), 2, "a little less is not yet better");
    assert_eq!(look(85, 0, 7), [] as [String; 0]);
    // It was exhausted between two looks.
    assert_eq!(look(70, 0, 8), ["media_ports_exhausted"]);
    assert_eq!(look(70, 0, 8), [] as [String; 0]);
    assert_eq!(look(70, 0, 0), [] as [String; 0], "a worker that begins counts anew");
}

#[test]
fn a_crowd_is_a_hundred_lines_and_one_for_the_rest() {
    let mut desk = Desk::new("10");
    desk.pass(60_000);
    desk.office.handle_seen(desk.time, (0..200).map(|host| seen(host, 5, 5, 0)).collect());
    desk.pass(60_000);
    desk.office.handle_seen(desk.time, Vec::new());
    let told = lines(&mut desk);
    assert!(told.iter().any(|line| line.contains("others")), "{told:?}");
    assert!(told.len() <= 101);
}

#[test]
fn fifty_options_in_a_minute_or_a_hundred_packets_in_a_second_are_an_alarm_once() {
    let mut desk = Desk::new("10");
    desk.pass(1_000);
    for _ in 0..10 {
        desk.pass(1_000);
        desk.office.handle_seen(desk.time, vec![seen(9, 6, 0, 6)]);
    }
    assert_eq!(alarms(&mut desk), ["attack_probe"]);
    desk.pass(1_000);
    desk.office.handle_seen(desk.time, vec![seen(10, 99, 99, 0)]);
    assert_eq!(alarms(&mut desk), ["attack_probe"]);
    for _ in 0..3 {
        desk.pass(1_000);
        desk.office.handle_seen(desk.time, vec![seen(10, 100, 99, 0)]);
    }
    assert_eq!(alarms(&mut desk), ["attack_flood", "attack_probe"]);
    desk.pass(3_700_000);
    assert_eq!(alarms(&mut desk), [] as [String; 0], "an hour without a sign");
}
