//! A real sshd writes down logins that fail, and control denies who failed: over IPv4 and IPv6, while the file is
//! rotated. It listens in a network namespace of its own, and its btmp is the node's.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::Uid;
use node::Node;
use serde_json::json;

/// `$1` is the node's home; whoever follows fails to log in from there, three times.
const FAIL: &str = r#"
set -e
home=$1; shift
mount --bind "$home/btmp" /var/log/btmp
ip link set lo up
mkdir -p /run/sshd
[ -e "$home/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$home/key"
/usr/sbin/sshd -D -e -p 2222 -h "$home/key" -o UsePAM=no -o PidFile=none &
for address in "$@"; do
    ip addr add "$address" dev lo nodad
    for attempt in 1 2 3; do
        sshpass -p wrong ssh -p 2222 -o ConnectionAttempts=5 -o StrictHostKeyChecking=no \
            -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no \
            -o NumberOfPasswordPrompts=1 "nobody@$address" true || true
    done
done
kill %1
"#;

fn armed() -> bool {
    let there = ["/usr/sbin/sshd", "/usr/bin/sshpass", "/usr/bin/ssh", "/var/log/btmp"];
    let armed = Uid::effective().is_root() && there.iter().all(|path| Path::new(path).exists());
    if !armed {
        eprintln!("SKIPPED: only root can run an sshd; run scripts/install lab");
    }
    armed
}

fn fail(node: &Node, addresses: &[&str]) {
    let script = ["--mount", "--net", "bash", "-c", FAIL, "fail"];
    let mut command = Command::new("unshare");
    let done = command.args(script).arg(&node.home).args(addresses).output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(text.contains("Failed password"), "{text}");
}

/// A btmp that sshd writes to: nobody else's.
fn make_btmp(node: &Node) {
    let path = node.home.join("btmp");
    let _ = std::fs::rename(&path, path.with_extension("1"));
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Whether it is so within five seconds.
fn until(is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

fn is_denied(node: &Node, address: &str) -> bool {
    until(|| {
        let (status, entry) = node.say("GET", &format!("/firewall/deny/{address}"), &json!(null));
        assert!(status != 200 || entry["by"] == "ssh", "{entry}");
        status == 200
    })
}

#[test]
fn who_fails_three_times_at_a_real_sshd_is_denied_but_for_administrators() {
    if !armed() {
        return;
    }
    let mut node = Node::prepare("ssh");
    let file = node.home.join("tollgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let ours = format!("[paths]\nfailed_logins = \"{}/btmp\"\n", node.home.display());
    std::fs::write(&file, text.replace("[paths]\n", &ours)).unwrap();
    make_btmp(&node);
    node.run();
    node.ok("POST", "/firewall/trust", &json!({"name": "203.0.113.7", "admin": true}));
    fail(&node, &["198.51.100.66", "2001:db8::66", "203.0.113.7"]);
    assert!(is_denied(&node, "198.51.100.66"));
    assert!(is_denied(&node, "2001:db8::66"));
    // What sshd wrote last may be a look later.
    assert!(
        until(|| node.look("/alarm")["items"][0]["subject"] == "203.0.113.7"),
        "{}",
        node.look("/alarm")
    );
    make_btmp(&node);
    fail(&node, &["198.51.100.67"]);
    assert!(is_denied(&node, "198.51.100.67"), "it was rotated");
    assert_eq!(node.look("/firewall/deny")["items"].as_array().unwrap().len(), 3);
}
