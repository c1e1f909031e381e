//! Attacks in the lab, with the attackers' own tools, while calls of a customer go on. What stops each:
//!
//! | attack | tool | stopped by |
//! |---|---|---|
//! | OPTIONS probes of a scanner that names itself | svmap | the driver: `drop_signature` |
//! | OPTIONS probes of one that does not | svmap, signatures off | the driver: `drop_options_budget` |
//! | a scan from ever new ports, spread over a /24 | own sockets | the driver: `drop_flows`, `drop_network_flows` |
//! | extension harvest | svwar, signatures off | nobody is told from nobody: it learns nothing |
//! | a REGISTER dictionary on one extension | svcrack, signatures off | control: the pair is suspended, then the workers refuse it |
//! | password spraying | svcrack on five extensions | control: the source is denied in the driver within a second |
//! | closed ports | own sockets | the driver: `drop_port` |
//! | a flood in a gateway's name | own sockets | the driver: `drop_other_budget`; calls go by `worker_call` |

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::carrier::{callers, counted, expect_cdrs, raised, vendor};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab};

const ATTACKER: &str = "10.10.1.66";
const BOX: &str = "10.10.1.2";

/// Whether the tools are there; said loudly when not.
fn armed() -> bool {
    let armed = Path::new("/usr/bin/svmap").exists();
    if !armed {
        eprintln!("SKIPPED: attacks need sipvicious; run scripts/install lab");
    }
    armed
}

/// Runs one of the tools from the attacker's address; what it printed.
fn attack(lab: &Lab, tool: &str, arguments: &[&str]) -> String {
    let bound = ["8", tool, "-x", ATTACKER, "-P", "5066"];
    let all: Vec<&str> = bound.iter().chain(arguments).copied().collect();
    let output = lab.inside("cust", "timeout", &all).output().expect("the tool starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

fn drops(lab: &Lab, reason: &str) -> u64 {
    lab.driver_packets(&[reason]).expect("counters are read")
}

/// The talker of that address.
fn talker(lab: &Lab, address: &str) -> Value {
    let talkers = lab.tollgate(&["firewall", "talkers"]).expect("talkers are read");
    let items = talkers["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().find(|talker| talker["source"] == json!(address)).unwrap_or_default()
}

fn phones(lab: &Lab) {
    for extension in 100..106 {
        let name = extension.to_string();
        let command = ["phone", "create", &name, "--account", "acme", "--tariff", "retail"];
        let all: Vec<&str> =
            command.into_iter().chain(["--password", "Not-in-any-list-7"]).collect();
        lab.tollgate(&all).expect("a phone is created");
    }
}

#[test]
fn what_attackers_tools_send_is_stopped_and_calls_go_on() {
    if !armed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", ATTACKER).expect("an attacker's address");
    // Not every tool binds to the address that it is told.
    let route = ["route", "add", BOX, "dev", "tgc0", "src", ATTACKER];
    lab.run("cust", "ip", &route).expect("a route of the attacker's");
    phones(&lab);
    let _vendor = vendor(&lab, 120);
    let running = callers(&lab, 5070, 20, 40);

    let said = attack(&lab, "svmap", &[BOX]);
    assert!(said.contains("found nothing"), "{said}\n{}", lab.books());
    assert!(drops(&lab, "drop_signature") > 0);
    assert_eq!(talker(&lab, ATTACKER)["reason"], json!("drop_signature"));

    // From here on as scanners that do not say who they are.
    lab.tollgate(&["param", "set", "TG_SIGNATURES", ""]).expect("a list of none");
    let said = attack(&lab, "svwar", &["-m", "REGISTER", "-e", "100-300", BOX]);
    let nothing = said.contains("authentication request for an unknown extension");
    assert!(nothing, "whoever exists hears what nobody hears: {said}");

    let budget = drops(&lab, "drop_register_budget");
    let said = attack(&lab, "svcrack", &["-u", "105", "-r", "1000-1999", BOX]);
    assert!(!said.contains("The password for"), "{said}");
    let suspended = lab.tollgate(&["firewall", "suspended", "list"]).expect("a list");
    let pair = &suspended["items"][0];
    assert_eq!((&pair["endpoint"], &pair["source"]), (&json!("105"), &json!(ATTACKER)));
    assert!(drops(&lab, "drop_register_budget") > budget, "a dictionary is slow work");

    // The password that would be right is not looked at while the pair is suspended.
    for extension in 100..104 {
        let name = extension.to_string();
        // As slow as the driver lets him be.
        std::thread::sleep(Duration::from_secs(3));
        attack(&lab, "svcrack", &["-u", &name, "-r", "1-3", BOX]);
    }
    let denied = || {
        let list = lab.tollgate(&["firewall", "deny", "list"]).expect("a list");
        list["items"].as_array().is_some_and(|items| {
            items
                .iter()
                .any(|item| item["name"] == json!(ATTACKER) && item["by"] == json!("suspension"))
        })
    };
    assert!(Lab::wait_until(Duration::from_secs(1), denied), "five extensions of one source");
    let dropped = drops(&lab, "drop_deny_address");
    let knock = lab.socket("cust", &format!("{ATTACKER}:5067")).expect("a socket");
    let begun = Instant::now();
    let stopped = Lab::wait_until(Duration::from_secs(1), || {
        let _ = knock.send_to(b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n", BOX_CUSTOMER_SIDE);
        drops(&lab, "drop_deny_address") > dropped
    });
    assert!(stopped, "in the driver within a second, not {:?}", begun.elapsed());

    let alarms = lab.tollgate(&["alarm", "list"]).expect("a list").to_string();
    assert!(alarms.contains("attack_"), "{alarms}");
    let heard = running.json().expect("the callers end");
    assert_eq!(heard["answered"], json!(20), "{heard}");
    expect_cdrs(&lab, 20);
}

#[test]
fn a_flood_in_a_gateways_name_keeps_none_of_its_calls_from_hanging_up() {
    let Some(lab) = raised(2, true) else { return };
    let _vendor = vendor(&lab, 120);
    let running = callers(&lab, 5070, 20, 8);
    let answered = || counted(&lab.tollgate(&["status"]).expect("status"), "calls_answered") == 20;
    assert!(Lab::wait_until(Duration::from_secs(6), answered), "{}", lab.books());
    lab.tollgate(&["param", "set", "TG_TRUNK_REST", "20"]).expect("a small budget");
    let socket = lab.socket("cust", "10.10.1.1:6000").expect("a socket");
    let flood = b"BYE sip:1@10.10.1.2 SIP/2.0\r\nFrom: <sip:2@b>;tag=1\r\n\
        To: <sip:1@a>;tag=00112233445566778899aabbccddeeff\r\nCSeq: 1 BYE\r\n\r\n";
    let (over, begun) = (AtomicBool::new(false), Instant::now());
    let heard = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(40) {
                for _ in 0..100 {
                    let _ = socket.send_to(flood, BOX_CUSTOMER_SIDE);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let heard = running.json();
        let cdrs = expect_cdrs(&lab, 20);
        over.store(true, Ordering::Relaxed);
        // Those that heard nothing of the other side would end by TG_RTP_TIMEOUT.
        let hung_up = cdrs.iter().filter(|cdr| cdr["ended_by"] == json!("caller")).count();
        assert_eq!(hung_up, 20, "{cdrs:?}");
        heard.expect("the callers end")
    });
    assert_eq!(heard["answered"], json!(20), "{heard}");
    assert!(drops(&lab, "drop_other_budget") > 1_000, "it was a flood");
    assert!(drops(&lab, "worker_call") >= 20, "{}", drops(&lab, "worker_call"));
}

#[test]
fn strangers_knock_within_their_budgets_and_ports_that_are_not_served_are_silent() {
    let Some(lab) = raised(2, true) else { return };
    for address in [ATTACKER, "10.10.1.67"] {
        lab.add_address("cust", address).expect("a stranger's address");
    }
    let knock = |address: &str, port: u16| {
        let socket = lab.socket("cust", &format!("{address}:{port}")).expect("a socket");
        let _ = socket.send_to(b"BYE sip:10.10.1.2 SIP/2.0\r\n\r\n", BOX_CUSTOMER_SIDE);
    };
    let settled = |reason: &str, least: u64| {
        Lab::wait_until(Duration::from_secs(2), || drops(&lab, reason) >= least)
    };
    for port in 0..40 {
        knock(ATTACKER, 20_000 + port);
    }
    assert!(settled("drop_flows", 30), "ten ports at a time: {}", drops(&lab, "drop_flows"));
    let socket = lab.socket("cust", "10.10.1.67:5060").expect("a socket");
    for _ in 0..100 {
        let _ = socket.send_to(b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n", BOX_CUSTOMER_SIDE);
    }
    assert!(settled("drop_options_budget", 60));
    assert_eq!(talker(&lab, "10.10.1.67")["options"], json!(100));

    // The rest of the network: thirty flows of all strangers in it.
    for host in 100..130 {
        let address = format!("10.10.1.{host}");
        lab.add_address("cust", &address).expect("a stranger's address");
        knock(&address, 5060);
    }
    assert!(settled("drop_network_flows", 5));

    let closed = drops(&lab, "drop_port");
    let connects = |port: u16| {
        lab.run("cust", "timeout", &["1", "bash", "-c", &format!("echo > /dev/tcp/{BOX}/{port}")])
            .is_ok()
    };
    assert!(!connects(3306), "nobody answers, not even to refuse");
    assert!(drops(&lab, "drop_port") > closed);
    assert!(connects(5060), "SIP over TCP is served");

    // In monitor mode the same knocks come in, and are counted.
    lab.tollgate(&["param", "set", "TG_FIREWALL_MONITOR", "1"]).expect("monitor mode");
    let before = drops(&lab, "drop_flows");
    knock(ATTACKER, 21_000);
    let spared = || {
        let counters = lab.tollgate(&["firewall", "counters", "--all"]).expect("counters");
        let items = counters["items"].as_array().cloned().unwrap_or_default();
        let flows = items.into_iter().find(|item| item["reason"] == json!("drop_flows"));
        flows.and_then(|item| item["spared"].as_u64()).unwrap_or(0)
    };
    assert!(Lab::wait_until(Duration::from_secs(2), || spared() > 0));
    assert_eq!(drops(&lab, "drop_flows"), before);

    // A preset is one stroke, and what it sets holds at once.
    lab.tollgate(&["param", "reset", "TG_FIREWALL_MONITOR"]).expect("in earnest");
    lab.tollgate(&["firewall", "preset", "apply", "fortress"]).expect("a preset");
    let said = lab
        .tollgate(&[
            "firewall",
            "explain",
            "--source",
            "10.10.1.200",
            "--payload",
            "INVITE sip:1@a SIP/2.0",
        ])
        .expect("an explanation");
    assert_eq!(said["reason"], json!("drop_invite_budget"), "{said}");
    assert_eq!(
        (&said["standing"], &said["rule"]),
        (&json!("stranger"), &json!("limit invite never"))
    );
}
