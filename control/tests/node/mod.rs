//! A real control in a directory of its own, and how a test speaks to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A control with a home of its own.
pub(crate) struct Node {
    pub(crate) home: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// One that runs.
    pub(crate) fn start(name: &str) -> Self {
        let mut node = Self::prepare(name);
        node.run();
        node
    }

    /// One whose files are there, and that does not run yet.
    pub(crate) fn prepare(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(home.join("state")).unwrap();
        let at = home.display();
        let text = format!(
            "[paths]\nstate = \"{at}/state\"\nrun = \"{at}/run\"\nshared_memory = \"{at}/words\"\n\
             pins = \"{at}/pins\"\n[[interface]]\nname = \"lo\"\n[[address]]\nip = \"127.0.0.1/8\"\n\
             interface = \"lo\"\n[dataplane]\nnic = \"udp\"\n[limits]\ncalls = 16\nring_slots = 16\n"
        );
        std::fs::write(home.join("tollgate.toml"), text).unwrap();
        Self { home, child: None }
    }

    pub(crate) fn run(&mut self) {
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
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("run/control.sock")
    }

    pub(crate) fn say(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, kind, text) =
            exchange(&self.socket(), method, &format!("/api/v1{path}"), "application/json", &body);
        let answer: Value = match &text[..] {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        if status >= 400 {
            assert_eq!(kind, "application/problem+json", "{method} {path:.80}");
            assert_eq!(answer["status"], status);
            assert!(!answer["title"].as_str().unwrap().is_empty());
            assert!(answer["detail"].is_string());
        }
        (status, answer)
    }

    pub(crate) fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.say(method, path, body);
        assert!(status < 300, "{method} {path}: {answer}");
        answer
    }

    pub(crate) fn look(&self, path: &str) -> Value {
        self.ok("GET", path, &Value::Null)
    }

    /// A customer, two tariffs, a gateway on each side, money, a parameter, a denial.
    pub(crate) fn furnish(&self) {
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
        let phone = json!({
            "name": "alice", "account": "customer", "tariff": "sell", "numbers": ["390200"],
            "offline_gateway": "out", "ring": "all",
        });
        self.ok("POST", "/phone", &phone);
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

pub(crate) fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let length = body.len();
    // Who is refused by his head need not be heard to his end.
    let _whole = write!(
        stream,
        "{} {path} HTTP/1.1\r\nhost: tollgate\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{body}",
        method.to_uppercase()
    );
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    assert!(read.is_ok() || !text.is_empty(), "{read:?}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_default()
        .to_owned();
    (status, kind, body.to_owned())
}
