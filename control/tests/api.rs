//! The real binary on its Unix socket, with no dataplane: what an operator says is kept, over a kill
//! too.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Node {
    home: PathBuf,
    child: Option<Child>,
}

impl Node {
    fn start(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        let at = home.display();
        let text = format!(
            "[paths]\nstate = \"{at}/state\"\nrun = \"{at}/run\"\nshared_memory = \"{at}/words\"\n\
             pins = \"{at}/pins\"\n[[interface]]\nname = \"lo\"\n[[address]]\nip = \"127.0.0.1/8\"\n\
             interface = \"lo\"\n[dataplane]\nnic = \"udp\"\n[limits]\ncalls = 16\nring_slots = 16\n"
        );
        std::fs::write(home.join("tollgate.toml"), text).unwrap();
        let mut node = Self { home, child: None };
        node.run();
        node
    }

    fn run(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate-control"))
            .arg("--config")
            .arg(self.home.join("tollgate.toml"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn socket(&self) -> PathBuf {
        self.home.join("run/control.sock")
    }

    fn say(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, kind, text) =
            exchange(&self.socket(), method, &format!("/api/v1{path}"), "application/json", &body);
        let answer: Value = match &text[..] {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        if status >= 400 {
            assert_eq!(kind, "application/problem+json", "{method} {path}");
            assert_eq!(answer["status"], status);
            assert!(!answer["title"].as_str().unwrap().is_empty());
            assert!(answer["detail"].is_string());
        }
        (status, answer)
    }

    fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.say(method, path, body);
        assert!(status < 300, "{method} {path}: {answer}");
        answer
    }

    fn look(&self, path: &str) -> Value {
        self.ok("GET", path, &Value::Null)
    }

    /// A customer, two tariffs, a gateway on each side, money, a parameter, a denial.
    fn furnish(&self) {
        for role in ["customer", "vendor"] {
            self.ok("POST", "/account", &json!({"name": role, "role": role}));
        }
        for tariff in ["sell", "buy"] {
            self.ok("POST", "/tariff", &json!({"name": tariff}));
            let rates =
                json!([{"prefix": "44", "rate": "0.012"}, {"prefix": "39", "rate": "0.01"}]);
            self.ok("POST", &format!("/tariff/{tariff}/rate"), &rates);
        }
        let gateway = json!({
            "name": "in", "account": "customer", "tariff": "sell", "addresses": ["192.0.2.7"],
        });
        self.ok("POST", "/gateway/mapping", &gateway);
        let gateway = json!({
            "name": "out", "account": "vendor", "tariff": "buy", "target": "198.51.100.7:5060",
        });
        self.ok("POST", "/gateway/routing", &gateway);
        let payment = json!({"amount": "25.50", "request_id": "one", "memo": "cash"});
        self.ok("POST", "/account/customer/payment", &payment);
        self.ok("PUT", "/param/SS_SIP_INVITE_TIMEOUT", &json!({"value": "5000"}));
        let denied = json!({"prefix": "203.0.113.0/24", "reason": "scanner"});
        self.ok("POST", "/firewall/deny", &denied);
        self.ok("POST", "/firewall/trust", &json!({"name": "203.0.114.0/24"}));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let length = body.len();
    write!(
        stream,
        "{} {path} HTTP/1.1\r\nhost: tollgate\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{body}",
        method.to_uppercase()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_default()
        .to_owned();
    (status, kind, body.to_owned())
}

#[test]
fn everything_an_operator_said_outlives_a_kill() {
    let mut node = Node::start("kill");
    node.furnish();
    let paths = [
        "/account",
        "/tariff",
        "/tariff/sell/rate",
        "/gateway/mapping",
        "/gateway/routing",
        "/param/SS_SIP_INVITE_TIMEOUT",
        "/param/SS_SIP_INVITE_TIMEOUT/history",
        "/firewall/deny",
        "/firewall/trust",
        "/account/customer/ledger",
        "/cdr",
    ];
    let before = paths.map(|path| node.look(path));
    assert_eq!(node.look("/account/customer")["balance"], "25.50");
    node.kill();
    node.run();
    assert_eq!(paths.map(|path| node.look(path)), before);
    // A request that was answered before the kill is not booked again after it.
    let payment = json!({"amount": "25.50", "request_id": "one"});
    let again = node.ok("POST", "/account/customer/payment", &payment);
    assert_eq!((&again["repeated"], &again["balance"]), (&json!(true), &json!("25.50")));
    let found = node.look("/route/explain?gateway=in&from=39021&to=44207");
    assert_eq!(found["items"][0]["gateway"], "out");
}

#[test]
fn every_route_answers_and_says_what_is_wrong_as_a_problem() {
    let node = Node::start("routes");
    node.furnish();
    for route in control::api::routes::ROUTES {
        let name = match route.path {
            path if path.starts_with("/account") => "customer",
            path if path.starts_with("/tariff") => "sell",
            path if path.starts_with("/gateway/mapping") => "in",
            path if path.starts_with("/gateway/routing") => "out",
            _ => "SS_SIP_INVITE_TIMEOUT",
        };
        let prefix = match route.path {
            path if path.starts_with("/tariff") => "44",
            path if path.starts_with("/firewall/trust") => "203.0.114.0%2F24",
            _ => "203.0.113.0%2F24",
        };
        let path = route.path.replace("{name}", name).replace("{prefix}", prefix);
        let path = path.replace("{id}", "0123456789abcdef0123456789abcdef");
        // An empty change: what it lacks is said, and nothing is deleted that a later row needs.
        let body = if route.body.is_empty() { Value::Null } else { json!({}) };
        if route.method == "delete" && route.path.ends_with("{name}") {
            continue;
        }
        let (status, answer) = node.say(route.method, &path, &body);
        assert_ne!(answer["title"], "no such resource", "{} {path}", route.method);
        assert!(status != 500 && status != 405, "{} {path}: {answer}", route.method);
    }
    let (status, kind, text) = exchange(&node.socket(), "GET", "/metrics", "", "");
    assert_eq!((status, kind.starts_with("text/plain")), (200, true));
    assert!(text.contains("tollgate_ready 0"), "{text}");
}

#[test]
fn refusals_name_the_field_and_change_nothing() {
    let node = Node::start("refusals");
    node.furnish();
    let cases = [
        ("POST", "/account", json!({"name": "customer", "role": "customer"}), 409, "customer"),
        ("POST", "/account", json!({"name": "x", "role": "king"}), 422, "role"),
        ("POST", "/account", json!({"name": "x", "role": "vendor", "colour": 1}), 422, "colour"),
        ("PUT", "/param/SS_SIP_INVITE_TIMEOUT", json!({"value": "1"}), 422, "1000 to 120000"),
        ("PUT", "/param/NO_SUCH", json!({"value": "1"}), 404, "NO_SUCH"),
        ("DELETE", "/tariff/sell", Value::Null, 409, "in"),
        ("DELETE", "/account/customer", Value::Null, 409, "balance"),
        ("POST", "/firewall/deny", json!({"prefix": "192.0.2.0/24"}), 409, "lock"),
        ("GET", "/gateway/routing/none", Value::Null, 404, "none"),
        ("GET", "/cdr?colour=red", Value::Null, 422, "colour"),
        ("GET", "/nothing", Value::Null, 404, "openapi"),
    ];
    for (method, path, body, wanted, word) in cases {
        let (status, answer) = node.say(method, path, &body);
        assert_eq!(status, wanted, "{method} {path}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{method} {path}: {answer}");
    }
    let sheet = "prefix,rate\n33,0.02\n34,x\n";
    let path = "/api/v1/tariff/sell/rate";
    let (status, _, text) = exchange(&node.socket(), "PUT", path, "text/csv", sheet);
    assert_eq!((status, text.contains("line 3")), (422, true), "{text}");
    assert_eq!(node.look("/tariff/sell/rate")["items"].as_array().unwrap().len(), 2);
}
