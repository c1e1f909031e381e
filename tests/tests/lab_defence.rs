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
//! | INVITE probes | svwar, signatures off; own sockets | all are asked who they are, nobody is called; the driver: `drop_invite_budget` |
//! | probes of ever another agent | own sockets | the driver: `drop_options_budget`, whatever the agent |
//! | leaked passwords, from many addresses | SIPp | control: pairs suspended, the alarm `attack_distributed` |
//! | registration floods, INVITE floods | `scripts/bench siege` | the driver: budgets of a source, a network, all strangers |
//! | interception of signalling | nobody's: calls over TLS are in `tests/lab_transports.rs` | TLS |
//! | closed ports | own sockets | the driver: `drop_port` |
//! | any stray request, strangers unanswered | own sockets, UDP, in fragments, TCP | the workers: `strangers_unanswered` |
//! | a flood in a gateway's name | own sockets | the driver: `drop_other_budget`; calls go by `worker_call` |
//!
//! What the field's recipes get wrong (traps of the reference), and where it is shown that we do not:
//!
//! | trap | test |
//! |---|---|
//! | T-01, T-02: an answered flow meets no rule any more, and TCP none at all | `strangers_knock_within_their_budgets_and_ports_that_are_not_served_are_silent` |
//! | T-03: OPTIONS by substring | `a_method_is_options_only_when_its_token_is` (`xdp-prog/tests/verdicts.rs`) |
//! | T-04: keep-alives of phones dropped with the rest | `tests/lab_options.rs`, `a_regular_is_one_until_his_time_is_over` (`xdp-prog/tests/senders.rs`) |
//! | T-05: an office behind one address | `tests/lab_office.rs` |
//! | T-06: whoever guesses locks the owner out | `control/src/decide/tests/phones/shut_out.rs`, `crates/guard/src/suspend/tests.rs` |
//! | T-12: silence or answers tell who exists | `tests/lab_registrar.rs`, `where_strangers_get_no_answer_no_packet_leaves_for_them` |
//! | T-13: what is dropped leaves no trace | `control/src/decide/tests/sight.rs`, `what_is_dropped_leaves_a_trace_of_who_it_was` (`xdp-prog/tests/senders.rs`) |
//! | T-15: a source port is as forgeable as an address | `a_trunk_may_ask_for_address_and_password_both` (`control/src/decide/tests/phones.rs`) |

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::carrier::{callers, counted, expect_cdrs, raised, vendor};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab};
use tests::load::Load;
use tests::registrants::Registrants;

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

/// What a list of the firewall shows.
fn listed(lab: &Lab, list: &str) -> Vec<Value> {
    let list = lab.tollgate(&["firewall", list, "list"]).expect("a list");
    list["items"].as_array().cloned().unwrap_or_default()
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
    let hits: u64 = listed(&lab, "signature").iter().filter_map(|it| it["hits"].as_u64()).sum();
    assert_eq!(hits, drops(&lab, "drop_signature"), "each drop is some name's");

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
        listed(&lab, "deny")
            .iter()
            .any(|item| item["name"] == json!(ATTACKER) && item["by"] == json!("suspension"))
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
    let entry = listed(&lab, "deny").into_iter().find(|item| item["name"] == json!(ATTACKER));
    let hits = entry.and_then(|item| item["hits"].as_u64()).unwrap_or(0);
    assert!(hits > 0 && hits <= drops(&lab, "drop_deny_address"), "{hits}");

    let alarms = lab.tollgate(&["alarm", "list"]).expect("a list").to_string();
    assert!(alarms.contains("attack_"), "{alarms}");
    let heard = running.json().expect("the callers end");
    assert_eq!(heard["answered"], json!(20), "{heard}");
    expect_cdrs(&lab, 20);
}

#[test]
fn who_calls_guesses_or_meddles_gets_nowhere() {
    if !armed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", ATTACKER).expect("an attacker's address");
    phones(&lab);
    for (name, value) in
        [("TG_SIGNATURES", ""), ("TG_NETWORK_FLOWS", "0"), ("TG_NETWORK_REGISTER", "off")]
    {
        lab.tollgate(&["param", "set", name, value]).expect("a parameter");
    }
    let _vendor = vendor(&lab, 60);

    // Ever another agent is one source.
    let socket = lab.socket("cust", &format!("{ATTACKER}:5067")).expect("a socket");
    for number in 0..100 {
        let probe = stray("OPTIONS", number).replace("Subject:", "User-Agent: agent");
        let _ = socket.send_to(probe.as_bytes(), BOX_CUSTOMER_SIDE);
    }
    let dropped = || drops(&lab, "drop_options_budget") >= 60;
    assert!(Lab::wait_until(Duration::from_secs(2), dropped), "{}", lab.books());

    // Leaked passwords: each address tries one endpoint until its pair is suspended.
    let phones = Registrants::new().expect("a folder");
    for host in 0..20 {
        let address = format!("10.10.1.{}", 70 + host);
        lab.add_address("cust", &address).expect("an attacker's address");
        let guesses = (0..7).map(|guess| (100 + host % 6, format!("Leaked-Somewhere-{guess}")));
        phones.register(&lab, &address, guesses).expect_err("no guess is right");
    }
    let alarms = || lab.tollgate(&["alarm", "list"]).expect("a list").to_string();
    let told = || alarms().contains("attack_distributed");
    assert!(Lab::wait_until(Duration::from_secs(1), told), "{}", alarms());

    // Calls to whom he likes: all are asked who they are.
    let route = ["route", "add", BOX, "dev", "tgc0", "src", ATTACKER];
    lab.run("cust", "ip", &route).expect("a route of the attacker's");
    let said = attack(&lab, "svwar", &["--force", "-m", "INVITE", "-e", "100-300", BOX]);
    assert!(said.contains("found nothing"), "{said}");
    for number in 0..100 {
        let _ = socket.send_to(stray("INVITE", number).as_bytes(), BOX_CUSTOMER_SIDE);
    }
    let dropped = || drops(&lab, "drop_invite_budget") >= 60;
    assert!(Lab::wait_until(Duration::from_secs(2), dropped), "{}", lab.books());
    let status = lab.tollgate(&["status"]).expect("a status");
    assert_eq!(counted(&status, "attempts"), 0, "{status}");
}

#[test]
fn a_flood_in_a_gateways_name_keeps_none_of_its_calls_from_hanging_up() {
    let Some(lab) = raised(2, true) else { return };
    let _vendor = vendor(&lab, 120);
    let running = callers(&lab, 5070, 20, 8);
    let answered = || counted(&lab.tollgate(&["status"]).expect("status"), "calls_answered") == 20;
    assert!(Lab::wait_until(Duration::from_secs(6), answered), "{}", lab.books());
    lab.tollgate(&["param", "set", "TG_TRUNK_REST", "20"]).expect("a small budget");
    let flood = Load {
        from: ([10, 10, 1, 1], 6_000).into(),
        to: BOX_CUSTOMER_SIDE.parse().expect("an address"),
        message: b"BYE sip:1@10.10.1.2 SIP/2.0\r\nFrom: <sip:2@b>;tag=1\r\n\
            To: <sip:1@a>;tag=00112233445566778899aabbccddeeff\r\nCSeq: 1 BYE\r\n\r\n",
        per_second: 5_000,
        packets: 200_000,
    };
    let _flooding = flood.begin(&lab).expect("the flood begins");
    let heard = running.json().expect("the callers end");
    let cdrs = expect_cdrs(&lab, 20);
    // Those that heard nothing of the other side would end by TG_RTP_TIMEOUT.
    let hung_up = cdrs.iter().filter(|cdr| cdr["ended_by"] == json!("caller")).count();
    assert_eq!(hung_up, 20, "{cdrs:?}");
    assert_eq!(heard["answered"], json!(20), "{heard}");
    assert!(drops(&lab, "drop_other_budget") > 1_000, "it was a flood");
    // Of twenty that hang up some find a place in the budget between two of the flood.
    assert!(drops(&lab, "worker_call") >= 10, "{}", drops(&lab, "worker_call"));
}

#[test]
fn strangers_knock_within_their_budgets_and_ports_that_are_not_served_are_silent() {
    let Some(lab) = raised(2, true) else { return };
    for address in [ATTACKER, "10.10.1.67", "10.10.1.68"] {
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

    // An answer opens nothing (T-01): the same port meets every rule again.
    let socket = lab.socket("cust", "10.10.1.68:5060").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("it waits so long");
    let _ = socket.send_to(stray("REGISTER", 1).as_bytes(), BOX_CUSTOMER_SIDE);
    assert!(socket.recv(&mut [0; 2_000]).is_ok(), "it is asked for a password");
    let scanner = stray("OPTIONS", 2).replace("Subject:", "User-Agent: friendly-scanner");
    let _ = socket.send_to(scanner.as_bytes(), BOX_CUSTOMER_SIDE);
    assert!(settled("drop_signature", 1), "{}", lab.books());
    for number in 10..60 {
        let _ = socket.send_to(stray("REGISTER", number).as_bytes(), BOX_CUSTOMER_SIDE);
    }
    assert!(settled("drop_register_budget", 20), "{}", lab.books());

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

/// A request of nobody with a header so long.
fn stray(method: &str, padding: usize) -> String {
    format!(
        "{method} sip:4420@{BOX} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {ATTACKER}:5066;branch=z9hG4bK{method}{padding};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@a.example>;tag=x\r\nTo: <sip:4420@{BOX}>\r\n\
         Call-ID: {method}{padding}@a\r\nCSeq: 1 {method}\r\nSubject: {}\r\n\
         Content-Length: 0\r\n\r\n",
        "x".repeat(padding)
    )
}

#[test]
fn where_strangers_get_no_answer_no_packet_leaves_for_them() {
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", ATTACKER).expect("a stranger's address");
    lab.tollgate(&["param", "set", "SS_REPLY_UNAUTHORIZED", "0"]).expect("silence");
    let knocks: Vec<String> = ["OPTIONS", "BYE", "MESSAGE", "CANCEL", "INVITE", "SUBSCRIBE"]
        .into_iter()
        .flat_map(|method| [stray(method, 4), stray(method, 3_000)])
        .chain([stray("OPTIONS", 5).replace("Call-ID", "Call-Me")])
        .collect();
    let answers = |address: &str| {
        let socket = lab.socket("cust", &format!("{address}:5066")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("it waits so long");
        let mut answers = 0;
        for knock in &knocks {
            socket.send_to(knock.as_bytes(), BOX_CUSTOMER_SIDE).expect("it is sent");
            while socket.recv(&mut [0; 4_000]).is_ok() {
                answers += 1;
            }
        }
        answers
    };
    let unanswered = || {
        let status = lab.tollgate(&["status"]).expect("a status");
        counted(&status, "strangers_unanswered")
    };
    assert_eq!(answers(ATTACKER), 0);
    assert!(Lab::wait_until(Duration::from_secs(2), || unanswered() >= 8), "{}", lab.books());
    assert!(answers("10.10.1.1") >= knocks.len(), "a gateway hears what is wrong");

    // By a connection too; whoever is none of ours may not even tell that SIP is spoken there.
    let words = format!(
        "exec 3<>/dev/tcp/{BOX}/5060; printf '{}' >&3; timeout 1 head -c 7 <&3",
        stray("OPTIONS", 6)
    );
    let says = || {
        let output = lab.inside("cust", "bash", &["-c", &words]).output().expect("bash starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(says(), "SIP/2.0");
    let route = ["route", "add", BOX, "dev", "tgc0", "src", ATTACKER];
    lab.run("cust", "ip", &route).expect("a route of the attacker's");
    assert_eq!(says(), "");
}

#[test]
fn a_list_that_is_imported_is_dropped_counted_and_let_in_again_by_its_name() {
    let Some(lab) = raised(2, true) else { return };
    let bad = "10.10.1.68";
    lab.add_address("cust", bad).expect("a stranger's address");
    let list: String = (0..100_000_u32)
        .map(|n| format!("{}\n", std::net::Ipv4Addr::from(0xc612_0000 + n * 2)))
        .chain([format!("{bad}\n203.0.113.0/24\n")])
        .collect();
    let file = std::env::temp_dir().join(format!("tollgate-bad-{}.zone", std::process::id()));
    std::fs::write(&file, list).expect("a list");
    let path = file.to_string_lossy();
    let taken = lab.tollgate(&["firewall", "deny", "import", &path, "--name", "bad"]);
    let _ = std::fs::remove_file(&file);
    assert_eq!(taken.expect("an import")["entries"], json!(100_002));
    let judged = |source: &str| {
        let said = lab.tollgate(&["firewall", "explain", "--source", source]);
        said.expect("an explanation")["reason"].as_str().unwrap_or_default().to_owned()
    };
    let is_written = |source: &str, reason: &str| {
        Lab::wait_until(Duration::from_secs(10), || judged(source) == reason)
    };
    assert!(is_written("198.18.0.2", "drop_deny_address"));
    assert!(is_written("203.0.113.9", "drop_deny_prefix"));
    assert!(is_written(bad, "drop_deny_address"));
    let knock = lab.socket("cust", &format!("{bad}:5060")).expect("a socket");
    for _ in 0..5 {
        let _ = knock.send_to(b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n", BOX_CUSTOMER_SIDE);
    }
    let hits = || {
        let list = lab.tollgate(&["firewall", "deny", "list", "--by-import", "bad"]);
        let list = list.expect("a list")["items"].as_array().cloned().unwrap_or_default();
        list.iter().find(|it| it["prefix"] == json!(bad)).map(|it| it["hits"].clone())
    };
    assert!(Lab::wait_until(Duration::from_secs(2), || hits() == Some(json!(5))), "{:?}", hits());
    lab.tollgate(&["firewall", "deny", "remove", "--by-import", "bad"]).expect("taken back");
    for source in ["198.18.0.2", "203.0.113.9", bad] {
        let let_in = || !judged(source).starts_with("drop_deny");
        assert!(Lab::wait_until(Duration::from_secs(10), let_in), "{source}");
    }
}

#[test]
fn a_list_that_does_not_fit_keeps_nothing_else_out_and_is_an_alarm() {
    let Some(lab) = Lab::up(2, true).expect("the lab comes up") else { return };
    lab.configure("\n[limits]\ndeny_addresses = 1000\n").expect("small tables");
    let list: String = (0..1_500_u32)
        .map(|n| format!("{}\n", std::net::Ipv4Addr::from(0xc612_0000 + n * 2)))
        .collect();
    let file = std::env::temp_dir().join(format!("tollgate-long-{}.zone", std::process::id()));
    std::fs::write(&file, list).expect("a list");
    lab.script(&["start"]).expect("the appliance gets ready");
    let path = file.to_string_lossy();
    let taken = lab.tollgate(&["firewall", "geo", "import", "bad", &path, "--driver", "forbid"]);
    let _ = std::fs::remove_file(&file);
    taken.expect("a set");
    let alarms = || lab.tollgate(&["alarm", "list"]).expect("a list").to_string();
    assert!(
        Lab::wait_until(Duration::from_secs(5), || alarms().contains("deny_full")),
        "{}",
        alarms()
    );
    // Who is denied by hand has room all the same, and so has all else.
    lab.tollgate(&["firewall", "deny", "add", ATTACKER]).expect("a denial");
    lab.tollgate(&["firewall", "trust", "add", "10.10.1.68"]).expect("trust");
    let explained = |source: &str| {
        let said = lab.tollgate(&["firewall", "explain", "--source", source]);
        said.expect("an explanation")
    };
    let denied = || explained(ATTACKER)["reason"] == json!("drop_deny_address");
    assert!(Lab::wait_until(Duration::from_secs(5), denied), "{}", explained(ATTACKER));
    let trusted = || explained("10.10.1.68")["standing"] == json!("trusted");
    assert!(Lab::wait_until(Duration::from_secs(5), trusted), "{}", explained("10.10.1.68"));
    lab.script(&["stop"]).expect("it stops");
    lab.script(&["start"]).expect("it gets ready all the same");
    lab.tollgate(&["firewall", "geo", "set", "bad", "--driver", "unset"]).expect("no list");
    assert!(
        Lab::wait_until(Duration::from_secs(5), || !alarms().contains("deny_full")),
        "{}",
        alarms()
    );
}
