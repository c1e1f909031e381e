//! What a viewer sees who sees by an agent's account: his own, and of everybody else what there is of nobody.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::os::unix::process::CommandExt;
use std::process::Command;

use control::agent::Agent;
use control::api::routes::ROUTES;
use control::cdr::{BillingMode, Cdr, id_text};
use control::shown::AttemptShown;
use control::state::entity::{Entity, Kind};
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use link::record::{EndReason, NEVER};
use link::{CallRecord, Text};
use nix::unistd::{Group, Uid, User};
use node::Node;
use rating::{Charge, Money};
use serde_json::{Value, json};

/// 2026-01-02.
const DAY_US: u64 = 1_767_312_000_000_000;
/// By number: name, role, and who brought it.
const ACCOUNTS: [(u32, &str, &str, &str); 6] = [
    (1, "ann", "agent", ""),
    (2, "bob", "agent", ""),
    (3, "a1", "customer", "ann"),
    (4, "a2", "customer", "ann"),
    (5, "b1", "customer", "bob"),
    (6, "carrier", "vendor", ""),
];
/// Calls of each customer, every other one answered.
const CALLS: u64 = 4;

/// One request, as a user of this machine whom nobody trusts.
const ASK: &str = r#"use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "no socket";
print $s "$ARGV[1] $ARGV[2] HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
local $/; print <$s>;"#;

struct Ann {
    node: Node,
    uid: u32,
    gid: u32,
}

impl Ann {
    /// A node with everybody's calls, that lets `nobody` look with the eyes of ann. `None`, loudly: that cannot be tried.
    fn come(name: &str) -> Option<Self> {
        let (user, group) =
            (User::from_name("nobody").unwrap(), Group::from_name("nogroup").unwrap());
        let has_perl = Command::new("perl").args(["-MIO::Socket::UNIX", "-e", "1"]).status();
        let has_perl = has_perl.is_ok_and(|status| status.success());
        let (Some(user), Some(group), true, true) =
            (user, group, Uid::effective().is_root(), has_perl)
        else {
            eprintln!("SKIPPED: only root can be somebody else, and needs a user nobody and perl");
            return None;
        };
        let mut node = Node::prepare(name);
        let file = node.home.join("tollgate.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text + "[control]\nsocket_group = \"nogroup\"\n").unwrap();
        let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
        store.load().unwrap();
        let accounts = ACCOUNTS.map(|(id, name, role, agent)| {
            let body = json!({"name": name, "role": role, "agent": agent});
            Change::Put(Box::new(Entity::read(Kind::Account, id, body).unwrap()))
        });
        store.commit(&accounts).unwrap();
        let calls = (0..3 * CALLS).map(|nth| Change::CdrEnd(Box::new(call(nth))));
        store.commit(&calls.collect::<Vec<_>>()).unwrap();
        // It talks still.
        store.commit(&[Change::CdrStart(Box::new(call(100)))]).unwrap();
        drop(store);
        node.run();
        let ann = json!({"name": "nobody", "role": "viewer", "agent": "ann"});
        node.ok("POST", "/user", &ann);
        Some(Self { node, uid: user.uid.as_raw(), gid: group.gid.as_raw() })
    }

    fn asks(&self, method: &str, path: &str) -> (u16, Value) {
        let mut perl = Command::new("perl");
        perl.args(["-e", ASK]).arg(self.node.socket()).args([method, path]);
        let said = perl.uid(self.uid).gid(self.gid).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {said}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn sees(&self, path: &str) -> Value {
        let (status, body) = self.asks("GET", &format!("/api/v1{path}"));
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn is_told(&self, path: &str) -> (u16, String) {
        let (status, body) = self.asks("GET", &format!("/api/v1{path}"));
        (status, body["detail"].as_str().unwrap_or_default().to_owned())
    }
}

/// The customers have their calls by turns: a1, a2, b1. The hundredth is of a2, and has no end.
fn call(nth: u64) -> Cdr {
    let (customer, name, agent) = [(3, "a1", 1), (4, "a2", 1), (5, "b1", 2)][nth as usize % 3];
    let is_answered = nth.is_multiple_of(2);
    let mut record = CallRecord {
        id: [nth + 1, 7],
        started_us: DAY_US + nth * 60_000_000,
        answered_ms: if is_answered { 1_000 } else { NEVER },
        ended_ms: if nth == 100 { NEVER } else { 61_000 },
        status: if is_answered { 200 } else { 486 },
        reason: if is_answered { EndReason::Normal } else { EndReason::Rejected } as u8,
        ..CallRecord::empty()
    };
    record.facts.callee = Text::new(b"442071234567").unwrap();
    record.callee_sent = Text::new(b"secret442071234567").unwrap();
    let fee = |cents: i64| {
        let fee = if is_answered { cents * 10_000_000 } else { 0 };
        Charge { billed_s: 60, fee: Money::from_billionths(fee), ..Charge::default() }
    };
    let attempt = AttemptShown {
        gateway: "secret-gateway".into(),
        sent_ms: 5,
        ringing_ms: None,
        answered_ms: None,
        ended_ms: None,
        status: 200,
        reason: "normal",
        cause: None,
    };
    Cdr {
        record,
        billing_mode: BillingMode::CustomerGateway,
        gateway: format!("pbx-{name}"),
        vendor_gateway: "secret-gateway".into(),
        customer,
        vendor: 6,
        account: name.into(),
        vendor_account: "carrier".into(),
        customer_charge: fee(10),
        vendor_charge: fee(4),
        attempts: vec![attempt],
        // On what costs nothing nobody earns.
        agent: is_answered.then_some(Agent { account: agent, terms: None }),
        agent_account: if agent == 1 { "ann" } else { "bob" }.into(),
        agent_income: fee(3).fee,
        ..Cdr::default()
    }
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_agent_sees_his_customers_their_calls_and_his_income_and_nothing_of_anybody_else() {
    let Some(mut ann) = Ann::come("agent-login") else { return };
    let payment = json!({"amount": "10", "request_id": "one", "memo": "whispered"});
    ann.node.ok("POST", "/account/a1/payment", &payment);
    ann.node.ok("PATCH", "/account/a1", &json!({"bill_to": ["whispered"]}));
    for _ in 0..2 {
        assert_eq!(names(&ann.sees("/account"), "name"), ["a1", "a2", "ann"]);
        let first = ann.sees("/account?limit=2");
        assert_eq!(names(&first, "name"), ["a1", "a2"]);
        let path = format!("/account?limit=2&cursor={}", first["next"].as_str().unwrap());
        assert_eq!(names(&ann.sees(&path), "name"), ["ann"]);
        for path in ["/account/a1", "/account/ann", "/account/a2/ledger", "/account/a1/statement"] {
            ann.sees(path);
        }
        let calls = ann.sees("/cdr");
        // Those that talk, then those that ended, newest first.
        let whose = names(&calls, "account");
        assert_eq!(whose, ["a2", "a2", "a1", "a2", "a1", "a2", "a1", "a2", "a1"]);
        let accounts =
            ann.sees("/account").to_string() + &ann.sees("/account/a1/ledger").to_string();
        assert!(accounts.contains("10.00") && !accounts.contains("whispered"), "{accounts}");
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ann.sees(&format!("/cdr?limit=2{cursor}"));
            paged.extend(names(&page, "id"));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, names(&calls, "id"));
        for hidden in ["secret", "carrier", "vendor", "b1", "bob", "attempts", "media"] {
            assert!(!calls.to_string().contains(hidden), "{hidden}: {calls}");
        }
        assert_eq!(names(&ann.sees("/cdr?account=a1&answered=1"), "charge"), ["0.10", "0.10"]);
        let one = ann.sees(&format!("/cdr/{}", id_text([1, 7])));
        assert_eq!((&one["agent_income"], &one["vendor_charge"]), (&json!("0.03"), &Value::Null));
        let income = ann.sees("/reports/agents?from=2026-01-01&to=2026-02-01");
        let rows = income["items"].as_array().unwrap();
        let told: Vec<_> = rows.iter().map(|row| [&row["agent"], &row["account"]]).collect();
        assert_eq!(told, [[&json!("ann"), &json!("a1")], [&json!("ann"), &json!("a2")]]);
        assert_eq!(names(&ann.sees("/reports"), "name"), ["agents"]);
        ann.node.kill();
        ann.node.run();
    }
    // Whom he brings from now on he sees at once, and of him what nobody else earned on.
    ann.node.ok("PATCH", "/account/b1", &json!({"agent": "ann"}));
    assert_eq!(names(&ann.sees("/account"), "name"), ["a1", "a2", "ann", "b1"]);
    let of_b1 = ann.sees("/cdr?account=b1");
    let [fifth, eleventh] = [6, 12].map(|high| id_text([high, 7]));
    assert_eq!(names(&of_b1, "id"), [eleventh, fifth]);
    assert!(of_b1["items"].as_array().unwrap().iter().all(|call| call["agent"].is_null()));
    // The other one sees by his account, and what he earned stays in his report.
    ann.node.ok("PATCH", "/user/nobody", &json!({"agent": "bob"}));
    assert_eq!(names(&ann.sees("/account"), "name"), ["bob"]);
    assert_eq!(ann.sees("/cdr")["items"], json!([]));
    let income = ann.sees("/reports/agents?from=2026-01-01&to=2026-02-01");
    assert_eq!(names(&income, "account"), ["b1"]);
}

#[test]
fn what_is_anothers_is_told_as_what_is_not_there() {
    let Some(ann) = Ann::come("agent-others") else { return };
    let none = |other: &str| other.replace("NAME", "none");
    for path in [
        "/account/NAME",
        "/account/NAME/ledger",
        "/account/NAME/statement",
        "/cdr?account=NAME",
        "/reports/agents?from=2026-01-01&to=2026-02-01&account=NAME",
    ] {
        let missing = ann.is_told(&none(path));
        assert_eq!(missing.0, 404, "{path}: {}", missing.1);
        for other in ["b1", "bob", "carrier", "B1", "a1%2F..%2Fb1"] {
            let told = ann.is_told(&path.replace("NAME", other));
            let other = other.replace("%2F", "/");
            assert_eq!((told.0, told.1.replace(&other, "none")), missing, "{path}: {other}");
        }
    }
    let theirs = ann.is_told(&format!("/cdr/{}", id_text([3, 7])));
    let missing = ann.is_told(&format!("/cdr/{}", id_text([3_000, 7])));
    assert_eq!(theirs.1.replace(&id_text([3, 7]), ""), missing.1.replace(&id_text([3_000, 7]), ""));
    assert_eq!((theirs.0, missing.0), (404, 404));
    // Nor by asking for what he does not see.
    for path in
        ["/cdr?vendor=secret-gateway", "/cdr?vendor_account=carrier", "/cdr?archive=2026-01-02"]
    {
        assert_eq!(ann.is_told(path).0, 403, "{path}");
    }
    let cursor = ann.node.look("/cdr?limit=1")["next"].as_str().unwrap().to_owned();
    let behind = ann.sees(&format!("/cdr?cursor={cursor}"));
    assert!(names(&behind, "account").iter().all(|name| name.starts_with('a')), "{behind}");
}

#[test]
fn every_other_route_refuses_an_agent() {
    let Some(ann) = Ann::come("agent-routes") else { return };
    let his = [
        "/openapi.json",
        "/account",
        "/account/{name}",
        "/account/{name}/ledger",
        "/account/{name}/statement",
        "/cdr",
        "/cdr/{id}",
        "/reports",
        "/reports/{kind}",
    ];
    for route in ROUTES {
        let (method, path) = (route.method.to_uppercase(), route.path);
        let asked = path.replace("{name}", "a1").replace("{kind}", "traffic");
        let asked = asked.replace("{id}", &id_text([1, 7])).replace(['{', '}'], "");
        let (status, body) = ann.asks(&method, &format!("/api/v1{asked}"));
        if route.method != "get" || !his.contains(&path) || path == "/reports/{kind}" {
            assert_eq!((status, &body["title"]), (403, &json!("not allowed")), "{method} {path}");
        } else {
            assert_eq!(status, 200, "{method} {path}: {body}");
        }
    }
    assert_eq!(ann.asks("GET", "/metrics").0, 403);
}

#[test]
fn a_user_who_sees_by_an_agents_account_is_a_viewer_and_the_account_stays_while_he_is_there() {
    let node = Node::start("agent-user");
    for (name, role) in [("ann", "agent"), ("acme", "customer")] {
        node.ok("POST", "/account", &json!({"name": name, "role": role}));
    }
    let user = |role: &str, agent: &str| json!({"name": "eve", "role": role, "agent": agent});
    for (role, agent, status, words) in [
        ("operator", "ann", 422, "viewer"),
        ("administrator", "ann", 422, "viewer"),
        ("viewer", "acme", 422, "acme"),
        ("viewer", "none", 404, "none"),
    ] {
        let (code, body) = node.say("POST", "/user", &user(role, agent));
        assert!(code == status && body.to_string().contains(words), "{role} {agent}: {body}");
    }
    node.ok("POST", "/user", &user("viewer", "ann"));
    assert_eq!(node.look("/user")["items"][0]["agent"], "ann");
    assert_eq!(node.say("PATCH", "/user/eve", &json!({"role": "operator"})).0, 422);
    let (status, body) = node.say("PATCH", "/account/ann", &json!({"role": "customer"}));
    assert!(status == 409 && body.to_string().contains("eve"), "{body}");
    let (status, body) = node.say("DELETE", "/account/ann", &Value::Null);
    assert!(status == 409 && body.to_string().contains("eve"), "{body}");
    node.ok("DELETE", "/user/eve", &Value::Null);
    node.ok("DELETE", "/account/ann", &Value::Null);
}
