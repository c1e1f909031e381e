//! Real programs on real veths: calls, and what survives when a process is killed.
//!
//! Without root they say so and skip; one lab at a time.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{callers, expect_cdrs, number, raised, vendor};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab, Running};

#[test]
fn calls_with_audio_cross_two_queues_unchanged_and_are_charged() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 20);
    let result = callers(&lab, 5070, 40, 4).json().expect("the callers report");
    assert_eq!((number(&result, "answered"), number(&result, "ended")), (40, 40), "{result}");
    assert_eq!(number(&result, "changed"), 0, "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(received * 1000 >= sent * 999, "RTP loss over 0.1 %: {result}");
    for cdr in expect_cdrs(&lab, 40) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
        assert_ne!(cdr.get("charge"), Some(&json!("0.00")), "{cdr}");
    }
    drop(vendor);
}

#[test]
fn five_hundred_calls_at_once_keep_their_audio() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 40);
    let result = callers(&lab, 5070, 500, 5).json().expect("the callers report");
    assert_eq!((number(&result, "answered"), number(&result, "ended")), (500, 500), "{result}");
    assert_eq!(number(&result, "changed"), 0, "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(sent > 200_000 && received * 1000 >= sent * 999, "RTP loss over 0.1 %: {result}");
    expect_cdrs(&lab, 500);
    drop(vendor);
}

#[test]
fn killing_control_costs_no_audio_no_hang_up_and_no_record() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 20, 8);
    std::thread::sleep(Duration::from_secs(3));
    lab.script(&["kill", "control"]).expect("control is killed");
    std::thread::sleep(Duration::from_millis(2500));
    let refused = callers(&lab, 5071, 1, 1).json().expect("the late caller reports");
    assert_eq!(refused.pointer("/failed/503"), Some(&json!(1)), "{refused}");
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 20, "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(received * 1000 >= sent * 999, "{result}");
    lab.script(&["start", "control"]).expect("control comes back");
    expect_cdrs(&lab, 20);
    drop(vendor);
}

#[test]
fn a_restarted_dataplane_rebuilds_confirmed_calls_and_answers_their_byes() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 10, 8);
    std::thread::sleep(Duration::from_secs(3));
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 10, "{result}");
    for cdr in expect_cdrs(&lab, 10) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
    }
    drop(vendor);
}

#[test]
fn without_a_dataplane_control_ends_and_charges_calls_at_their_last_media() {
    let Some(lab) = raised(1, true) else { return };
    for place in ["cust", "vend"] {
        lab.polls(place).expect("its end takes what the driver sends");
    }
    std::thread::sleep(Duration::from_millis(1_500));
    let vendor = vendor(&lab, 60);
    let running = callers(&lab, 5070, 5, 20);
    std::thread::sleep(Duration::from_secs(3));
    let unreachable = lab.start("cust", "timeout", &["14", "tcpdump", "-n", "-i", "tgc0", "icmp"]);
    let unreachable = unreachable.expect("tcpdump listens");
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    let denied = lab.tollgate(&["firewall", "explain", "--source", "10.10.1.1"]);
    let denied = denied.expect("the guard answers without a dataplane");
    assert_eq!(denied.get("reason"), Some(&json!("drop_no_socket")), "{denied}");
    let lost = ["cdr", "list", "--end-reason", "dataplane_lost"];
    let ended = || {
        let page = lab.tollgate(&lost).expect("CDRs are listed");
        page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    assert!(Lab::wait_until(Duration::from_secs(15), || ended().len() == 5), "{:?}", ended());
    for cdr in ended() {
        // Killed about three seconds after the first INVITE: charged to the last media, not to the
        // moment control gave up ten seconds later.
        assert!((1_000..=8_000).contains(&number(&cdr, "hold_ms")), "{cdr}");
        assert_ne!(cdr.get("charge"), Some(&json!("0.00")), "{cdr}");
    }
    let alarms = lab.tollgate(&["alarm", "list"]).expect("alarms are listed");
    assert_eq!(alarms.pointer("/items/0/name"), Some(&json!("dataplane_lost")), "{alarms}");
    let over = || lab.driver_packets(&["drop_media_over"]).expect("the driver counts") > 0;
    assert!(Lab::wait_until(Duration::from_secs(3), over), "media ends with its calls");
    let heard = unreachable.output().expect("tcpdump ends");
    let heard = String::from_utf8_lossy(&heard.stdout).into_owned();
    assert_eq!(heard.trim(), "", "no ICMP leaves while nobody listens");
    drop((running, vendor));
}

#[test]
fn a_dataplane_that_was_frozen_too_long_ends_the_calls_it_lost() {
    let Some(lab) = raised(1, true) else { return };
    let vendor = vendor(&lab, 60);
    let running = callers(&lab, 5070, 3, 30);
    std::thread::sleep(Duration::from_secs(3));
    lab.signal("dataplane", "STOP").expect("it freezes");
    let lost = || {
        let page = lab.tollgate(&["cdr", "list", "--end-reason", "dataplane_lost"]);
        let page = page.expect("CDRs are listed");
        page.get("items").and_then(Value::as_array).map_or(0, Vec::len)
    };
    let charged = Lab::wait_until(Duration::from_secs(20), || lost() == 3);
    lab.signal("dataplane", "CONT").expect("it thaws");
    assert!(charged, "{} of 3 calls were charged", lost());
    // Ended by us, long before the callers would have.
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 3, "{result}");
    let sent = number(&result, "sent");
    assert!(sent < 3 * 25 * 50, "they went on talking: {result}");
    expect_cdrs(&lab, 3);
    drop(vendor);
}

#[test]
fn the_drivers_lists_never_blink_while_processes_die_and_come_back() {
    const PACKETS: u64 = 600;
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", "10.10.1.77").expect("a stranger moves in");
    lab.tollgate(&["firewall", "deny", "add", "10.10.1.77"]).expect("the stranger is denied");
    let denied = || lab.driver_packets(&["drop_deny_address"]).expect("the driver counts");
    let socket = lab.socket("cust", "10.10.1.77:5070").expect("the stranger has a socket");
    let knock = || drop(socket.send_to(b"OPTIONS sip:box SIP/2.0\r\n\r\n", BOX_CUSTOMER_SIDE));
    let dropped = Lab::wait_until(Duration::from_secs(1), || {
        knock();
        denied() > 0
    });
    assert!(dropped, "within a second of `firewall deny add`");
    let before = denied();
    std::thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            for _ in 0..PACKETS {
                knock();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for daemon in ["dataplane", "control"] {
            lab.script(&["kill", daemon]).expect("it dies");
            lab.script(&["start", daemon]).expect("it comes back");
        }
        stranger.join().expect("the stranger sends to the end");
    });
    assert_eq!(denied() - before, PACKETS, "each packet died in the driver");
}

#[test]
fn a_machine_that_lost_power_charges_its_calls_to_the_last_heartbeat() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 60);
    let running = callers(&lab, 5070, 5, 20);
    std::thread::sleep(Duration::from_secs(4));
    lab.script(&["cut"]).expect("both daemons die, and their memory with them");
    lab.script(&["start"]).expect("both daemons come back");
    for cdr in expect_cdrs(&lab, 5) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("machine_lost")), "{cdr}");
        assert!((1_000..=8_000).contains(&number(&cdr, "hold_ms")), "{cdr}");
        assert_ne!(cdr.get("charge"), Some(&json!("0.00")), "{cdr}");
    }
    drop((running, vendor));
}

#[test]
fn a_stranger_is_refused_recorded_as_illegal_and_dropped_once_denied() {
    let Some(lab) = raised(1, true) else { return };
    lab.add_address("cust", "10.10.1.77").expect("a stranger moves in");
    let arguments = [
        "call",
        "--from",
        "10.10.1.77:5070",
        "--to",
        BOX_CUSTOMER_SIDE,
        "--calls",
        "1",
        "--seconds",
        "0",
    ];
    let refused = lab.start("cust", "phones", &arguments).and_then(Running::json);
    let refused = refused.expect("the stranger reports");
    assert_eq!(refused.pointer("/failed/403"), Some(&json!(1)), "{refused}");
    let illegal = ["cdr", "list", "--billing-mode", "illegal"];
    let page = || lab.tollgate(&illegal).expect("CDRs are listed");
    // A record is listed once the store has it.
    let recorded = Lab::wait_until(Duration::from_secs(10), || {
        page().pointer("/items/0/end_reason") == Some(&json!("unauthorised"))
    });
    assert!(recorded, "{}", page());
    lab.tollgate(&["firewall", "deny", "add", "10.10.1.77"]).expect("the stranger is denied");
    let explained = || lab.tollgate(&["firewall", "explain", "--source", "10.10.1.77"]);
    let dropped = Lab::wait_until(Duration::from_secs(1), || {
        explained().is_ok_and(|answer| answer.get("verdict") == Some(&json!("drop")))
    });
    assert!(dropped, "{:?}", explained());
}

#[test]
fn without_af_xdp_the_same_brain_carries_calls_on_kernel_sockets() {
    let Some(lab) = raised(1, false) else { return };
    let vendor = vendor(&lab, 20);
    let result = callers(&lab, 5070, 5, 2).json().expect("the callers report");
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (5, 0), "{result}");
    expect_cdrs(&lab, 5);
    drop(vendor);
}
