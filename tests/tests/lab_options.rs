//! OPTIONS answered in the driver, asked by a client that is not ours: only while the box can carry calls, and
//! by a worker whenever the driver does not.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::carrier::raised;
use tests::lab::{BOX_CUSTOMER_SIDE, Lab};

/// A probe, repeated as a peer would, and given up after 3 s.
const SIPSAK: [&str; 4] = ["3", "sipsak", "-s", "sip:probe@10.10.1.2"];

fn sipsak(lab: &Lab, arguments: &[&str]) -> bool {
    let all: Vec<&str> = SIPSAK.iter().chain(arguments).copied().collect();
    lab.inside("cust", "timeout", &all).output().expect("sipsak starts").status.success()
}

fn answered(lab: &Lab) -> u64 {
    lab.driver_packets(&["answer_options"]).expect("counters are read")
}

/// How long a machine with more to do than it can may make us wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether probes are answered in the driver soon, or not.
fn soon(lab: &Lab, driver: bool) -> bool {
    Lab::wait_until(PATIENCE, || {
        let before = answered(lab);
        sipsak(lab, &[]) && (answered(lab) > before) == driver
    })
}

fn param(lab: &Lab, name: &str, value: &str) {
    lab.tollgate(&["param", "set", name, value]).expect("a parameter is set");
}

#[test]
fn peers_are_answered_in_the_driver_while_calls_can_be_carried() {
    if !std::path::Path::new("/usr/bin/sipsak").exists() {
        eprintln!("SKIPPED: needs sipsak; run scripts/install lab");
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    lab.polls("cust").expect("a far end as NICs are");
    assert!(sipsak(&lab, &[]), "a worker answers");
    assert_eq!(answered(&lab), 0, "nobody asked for more");
    param(&lab, "TG_OPTIONS_IN_DRIVER", "1");
    assert!(soon(&lab, true), "the customer's gateway is a peer");

    // What the driver says is what a worker says, but for the tag.
    let probe = |socket: &std::net::UdpSocket, to: &str| {
        let local = socket.local_addr().expect("an address");
        let asked = format!(
            "OPTIONS sip:probe SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKp\r\n\
            From: <sip:a@b>;tag=1\r\nTo: <sip:probe>\r\nCall-ID: p\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        socket.send_to(asked.as_bytes(), to).expect("it is sent");
        let mut told = [0; 2_048];
        let length = socket.recv(&mut told).expect("an answer");
        let told = String::from_utf8_lossy(&told[..length]).into_owned();
        let tag = told.rfind(";tag=").expect("a tag");
        let digits = &told.as_bytes()[tag + 5..tag + 21];
        assert!(digits.iter().all(u8::is_ascii_hexdigit), "{told}");
        told[..tag].to_owned() + &told[tag + 21..]
    };
    let socket = lab.socket("cust", "10.10.1.1:5099").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a patience");
    let mut driver = String::new();
    let is_answered = Lab::wait_until(PATIENCE, || {
        let before = answered(&lab);
        driver = probe(&socket, BOX_CUSTOMER_SIDE);
        answered(&lab) == before + 1
    });
    assert!(is_answered, "{}", lab.tollgate(&["status"]).expect("a status"));
    param(&lab, "TG_OPTIONS_IN_DRIVER", "0");
    assert!(soon(&lab, false));
    let worker = probe(&socket, BOX_CUSTOMER_SIDE);
    let lines = |told: &str| {
        let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
        // The parameters of a Via have no order.
        let mut via: Vec<String> = lines[1].split(';').map(str::to_owned).collect();
        via.sort_unstable();
        lines[1] = via.join(";");
        lines
    };
    assert_eq!(lines(&driver), lines(&worker));
    param(&lab, "TG_OPTIONS_IN_DRIVER", "1");
    assert!(soon(&lab, true));

    // A stranger is the worker's.
    lab.add_address("cust", "10.10.1.66").expect("a stranger's address");
    let stranger = lab.socket("cust", "10.10.1.66:5099").expect("a socket");
    stranger.set_read_timeout(Some(Duration::from_secs(2))).expect("a patience");
    let before = answered(&lab);
    probe(&stranger, BOX_CUSTOMER_SIDE);
    assert_eq!(answered(&lab), before);

    // No new calls: 503, and by a worker.
    lab.tollgate(&["drain", "start"]).expect("a drain");
    assert!(Lab::wait_until(PATIENCE, || !sipsak(&lab, &[])), "503 while it drains");
    lab.tollgate(&["drain", "stop"]).expect("the end of it");
    assert!(soon(&lab, true));
}

#[test]
fn a_daemon_that_is_gone_fails_the_next_probe_of_its_peers() {
    if !std::path::Path::new("/usr/bin/sipsak").exists() {
        eprintln!("SKIPPED: needs sipsak; run scripts/install lab");
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    lab.polls("cust").expect("a far end as NICs are");
    param(&lab, "TG_OPTIONS_IN_DRIVER", "1");
    for daemon in ["dataplane", "control"] {
        assert!(soon(&lab, true), "before {daemon} is killed");
        lab.signal(daemon, "KILL").expect("it is killed");
        let killed = Instant::now();
        // A second of the heartbeat, and for control another until the workers miss it.
        std::thread::sleep(Duration::from_millis(2_200));
        assert!(!sipsak(&lab, &[]), "{:?} after the end of {daemon}", killed.elapsed());
        lab.script(&["start"]).expect("it starts again");
    }
    assert!(soon(&lab, true), "{}", lab.tollgate(&["status"]).expect("a status"));
    assert_eq!(lab.tollgate(&["status"]).expect("a status")["ready"], json!(true));
}
