//! Media at two speeds, in the lab: what the driver sends on by itself, and what outlives the processes.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{begin, callers, counted, expect_cdrs, number, vendor};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab, root};

/// Media that was sent on in the driver.
const RELAYED: [&str; 2] = ["relay_on", "relay_back"];

/// A lab whose far ends take what a driver sends.
fn raised(queues: u32) -> Option<Lab> {
    let lab = tests::carrier::raised(queues, true)?;
    for place in ["cust", "vend"] {
        lab.polls(place).expect("its end polls");
    }
    // That is looked at once in each second.
    std::thread::sleep(Duration::from_millis(1_500));
    Some(lab)
}

/// Both directions of so many calls are the driver's.
fn are_settled(lab: &Lab, calls: u64) -> bool {
    let status = lab.tollgate(&["status"]).unwrap_or_default();
    counted(&status, "media_settled") >= 2 * calls
}

fn heard(cdr: &Value, side: &str) -> u64 {
    cdr.pointer(&format!("/media/{side}")).map_or(0, |figures| number(figures, "packets"))
}

#[test]
fn audio_of_running_calls_goes_on_in_the_driver_and_is_in_the_records() {
    let Some(lab) = raised(2) else { return };
    let vendor = vendor(&lab, 30);
    let result = callers(&lab, 5070, 20, 6).json().expect("the callers report");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (20, 0), "{result}");
    assert!(received * 1000 >= sent * 999, "RTP loss over 0.1 %: {result}");
    let relayed = lab.driver_packets(&RELAYED).expect("the driver counts");
    assert!(relayed * 100 >= (sent + received) * 90, "{relayed} of {result}");
    let mut packets = 0;
    for cdr in expect_cdrs(&lab, 20) {
        for side in ["from_caller", "from_callee"] {
            packets += heard(&cdr, side);
            assert_eq!(cdr.pointer(&format!("/media/{side}/lost")), Some(&json!(0)), "{cdr}");
        }
    }
    assert!(packets * 1000 >= (sent + received) * 999, "{packets} of {result}");
    let is_over = || {
        let status = lab.tollgate(&["status"]).unwrap_or_default();
        let settled = counted(&status, "media_settled");
        settled > 0 && settled == counted(&status, "media_taken_back")
    };
    assert!(Lab::wait_until(Duration::from_secs(3), is_over), "no flow outlives its call");
    drop(vendor);
}

#[test]
fn a_killed_dataplane_costs_settled_calls_no_packet_and_its_successor_counts_on() {
    let Some(lab) = raised(2) else { return };
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 10, 14);
    assert!(Lab::wait_until(Duration::from_secs(8), || are_settled(&lab, 10)), "{}", lab.books());
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    std::thread::sleep(Duration::from_secs(2));
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let result = running.json().expect("the callers report");
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (10, 0), "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    // What was on its way when the callers hung up.
    assert!(received + 2 * 10 >= sent, "{result}");
    let mut packets = 0;
    for cdr in expect_cdrs(&lab, 10) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
        packets += heard(&cdr, "from_caller") + heard(&cdr, "from_callee");
        assert_eq!(cdr.pointer("/media/from_caller/lost"), Some(&json!(0)), "{cdr}");
    }
    assert!(packets * 1000 >= (sent + received) * 999, "{packets} of {result}");
    drop(vendor);
}

/// Four pairs of ports on each address, of which each side has two.
const TWO_A_SIDE: &str = "last_port = 10007\n\n[limits]\ncalls = 8\ntransactions = 1000\n\
    kept_messages = 1000\n\n[[media_address]]\nip = \"10.10.1.3\"\nbeside = \"10.10.1.2\"\n\n\
    [[media_address]]\nip = \"10.10.2.3\"\nbeside = \"10.10.2.2\"\n";

#[test]
fn more_calls_than_one_address_has_ports_are_heard_settled_and_outlive_a_kill() {
    let Some(lab) = Lab::up(1, true).expect("the lab comes up") else { return };
    lab.configure(TWO_A_SIDE).expect("it is written");
    // Without the addresses nothing starts, and it says which is missing.
    let program = root().join("target/debug/tollgate-dataplane");
    let program = program.to_str().expect("a path of text");
    let mut alone = lab.inside("box", program, &["--config", "/run/tollgate/lab.toml"]);
    let refused = alone.output().expect("it runs");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("media_address 10.10.1.3: "), "{why}");
    for (address, interface) in [("10.10.1.3/24", "tgb0"), ("10.10.2.3/24", "tgb1")] {
        let arguments = ["addr", "add", address, "dev", interface];
        lab.run("box", "ip", &arguments).expect("the box gets the address");
    }
    begin(&lab);
    for place in ["cust", "vend"] {
        lab.polls(place).expect("its end polls");
    }
    std::thread::sleep(Duration::from_millis(1_500));
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 6, 14);
    assert!(Lab::wait_until(Duration::from_secs(8), || are_settled(&lab, 6)), "{}", lab.books());
    let ports = |state: &str| {
        let status = lab.tollgate(&["status"]).unwrap_or_default();
        status.pointer(&format!("/workers/0/media_ports/{state}")).and_then(Value::as_u64)
    };
    assert_eq!(ports("used"), Some(12), "{}", lab.books());
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    std::thread::sleep(Duration::from_secs(2));
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let result = running.json().expect("the callers report");
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (6, 0), "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(received + 2 * 6 >= sent, "{result}");
    for cdr in expect_cdrs(&lab, 6) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
    }
    let all_free = || ports("free") == Some(6 * 4);
    assert!(Lab::wait_until(Duration::from_secs(9), all_free), "{}", lab.books());
    // One address would have carried four.
    let late = callers(&lab, 5071, 6, 1).json().expect("the callers report");
    assert_eq!(number(&late, "answered"), 6, "{late}");
    drop(vendor);
}

#[test]
fn who_floods_a_live_media_port_is_dropped_in_the_driver_and_heard_by_nobody() {
    let Some(lab) = raised(1) else { return };
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 5, 12);
    assert!(Lab::wait_until(Duration::from_secs(8), || are_settled(&lab, 5)), "{}", lab.books());
    lab.add_address("cust", "10.10.1.66").expect("an attacker has an address");
    let (host, _) = BOX_CUSTOMER_SIDE.split_once(':').unwrap_or((BOX_CUSTOMER_SIDE, ""));
    let attacker = lab.socket("cust", "10.10.1.66:4000").expect("a socket");
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    packet.extend([0x2a; 160]);
    // Every port of the first calls, live and closed ones, RTP and RTCP, with all that is no RTP too.
    for round in 0..200_u16 {
        for port in 10_000..10_040_u16 {
            let length = [packet.len(), 0, 1, 11, 12, 60][usize::from(round % 6)];
            attacker.send_to(&packet[..length], (host, port)).expect("it is sent");
        }
    }
    let result = running.json().expect("the callers report");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (5, 0), "{result}");
    assert!(received + 2 * 5 >= sent, "{result}");
    for reason in ["drop_media_closed", "drop_media_stranger"] {
        let dropped = lab.driver_packets(&[reason]).expect("the driver counts");
        // Of the customers' address five ports of RTP are live.
        assert!(dropped >= 1_000, "{reason}: {dropped}");
    }
    for cdr in expect_cdrs(&lab, 5) {
        assert_eq!(cdr.pointer("/media/from_caller/lost"), Some(&json!(0)), "{cdr}");
    }
    drop(vendor);
}
