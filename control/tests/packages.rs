//! Packages as operators have them: by HTTP and the command line, over kills of control.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::time::{Duration, Instant};

use command_line::tollgate;
use node::Node;
use serde_json::{Value, json};

/// What the command line shows, as JSON.
fn told(node: &Node, words: &[&str]) -> Value {
    let (code, out, complaint) = tollgate(node, &[&["--output", "json"], words].concat());
    assert_eq!((code, complaint.as_str()), (0, ""), "{words:?}: {out}");
    serde_json::from_str(&out).unwrap_or_default()
}

/// Waits for a subscription to stand so.
fn stands(node: &Node, name: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let shown = node.look(&format!("/subscription/{name}"));
        if shown["state"] == state {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{shown}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn balance(node: &Node) -> Value {
    node.look("/account/buyer")["balance"].clone()
}

fn pay(node: &Node, amount: &str, request_id: &str) {
    let body = json!({"amount": amount, "request_id": request_id});
    node.ok("POST", "/account/buyer/payment", &body);
}

#[test]
fn a_package_is_paid_for_once_however_often_control_is_killed() {
    let mut node = Node::start("packages");
    node.ok("POST", "/account", &json!({"name": "buyer", "role": "customer"}));
    pay(&node, "25", "opening");
    let gold = ["package", "create", "gold", "--free-minutes", "100", "--rent", "10"];
    told(&node, &[&gold[..], &["--span", "day", "--hours", "mon-sun 00:00-24:00"]].concat());
    let create = ["package", "subscription", "create"];
    let mine = ["mine", "--account", "buyer", "--package", "gold", "--priority", "0"];
    let shown = told(&node, &[&create[..], &mine].concat());
    assert_eq!((&shown["state"], &shown["left_s"]), (&json!("active"), &json!(6000)));
    node.kill();
    node.run();
    assert_eq!(balance(&node), "15.00");
    let again = node.look("/subscription/mine");
    assert_eq!((&again["period_to"], &again["period"]), (&shown["period_to"], &json!(1)));
    // Of one that began three days ago three periods are over, and cost as much; the money is for two.
    let begins = jiff::Timestamp::now() - Duration::from_secs(3 * 86_400 + 3_600);
    let other = ["other", "--account", "buyer", "--package", "gold", "--begins"];
    told(&node, &[&create[..], &other, &[&begins.to_string()]].concat());
    let resting = stands(&node, "other", "suspended");
    assert_eq!((&resting["period"], &resting["left_s"]), (&json!(1), &json!(0)));
    node.kill();
    node.run();
    stands(&node, "other", "suspended");
    assert_eq!(balance(&node), "5.00");
    pay(&node, "5", "more");
    let going = stands(&node, "other", "active");
    assert_eq!((&going["period"], balance(&node)), (&json!(2), json!("0.00")));
    let list = told(&node, &["package", "subscription", "list", "--account", "buyer"]);
    assert_eq!(list["items"].as_array().map_or(0, Vec::len), 2, "{list}");
    assert_eq!(node.look("/status")["packages"]["active"], 2);
    // Each rent is an entry, soon after it holds in memory, and the books agree.
    let rents = || {
        let ledger = node.look("/account/buyer/ledger?kind=rent");
        let memo = |it: &Value| it["memo"].as_str().unwrap().to_owned();
        ledger["items"].as_array().unwrap().iter().map(memo).collect::<Vec<_>>()
    };
    let end = Instant::now() + Duration::from_secs(10);
    while rents().len() < 3 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rents(), ["other: period 2", "other: period 1", "mine: period 1"]);
    assert_eq!(node.look("/account/buyer/statement")["rents"], "-30.00");
    told(&node, &["account", "audit"]);
    // Ended, it is shown as it was; deleted, it is gone, and so may the package be.
    let now = jiff::Timestamp::now().to_string();
    told(&node, &["package", "subscription", "set", "other", "--ends", &now]);
    stands(&node, "other", "ended");
    for name in ["mine", "other"] {
        told(&node, &["package", "subscription", "delete", name]);
    }
    told(&node, &["package", "delete", "gold"]);
    node.kill();
    node.run();
    assert_eq!(balance(&node), "0.00");
    assert_eq!(node.look("/subscription")["items"], json!([]));
}

#[test]
fn packages_and_subscriptions_go_out_as_sheets_and_come_back() {
    let node = Node::start("package-sheets");
    node.ok("POST", "/account", &json!({"name": "buyer", "role": "customer", "credit": null}));
    let package = json!({
        "name": "gold", "free_minutes": 10, "prefixes": ["33", "44"], "rent": "1.50", "failed_mode": "owe",
    });
    node.ok("POST", "/package", &package);
    let subscription = json!({"name": "mine", "account": "buyer", "package": "gold", "ends": "2100-01-01T00:00:00Z"});
    node.ok("POST", "/subscription", &subscription);
    let export = |words: &[&str]| {
        let (code, out, complaint) = tollgate(&node, words);
        assert_eq!((code, complaint.as_str()), (0, ""));
        out
    };
    let (packages, subscriptions) = (["package", "export"], ["package", "subscription", "export"]);
    let sheets = [export(&packages), export(&subscriptions)];
    let files = ["packages.csv", "subscriptions.csv"].map(|name| node.home.join(name));
    for (file, sheet) in files.iter().zip(&sheets) {
        std::fs::write(file, sheet).unwrap();
    }
    node.ok("DELETE", "/subscription/mine", &Value::Null);
    node.ok("DELETE", "/package/gold", &Value::Null);
    let import = |words: &[&str], file: &std::path::Path| {
        let (code, _, complaint) = tollgate(&node, &[words, &[file.to_str().unwrap()]].concat());
        assert_eq!((code, complaint.as_str()), (0, ""));
    };
    import(&["package", "import"], &files[0]);
    import(&["package", "subscription", "import"], &files[1]);
    assert_eq!([export(&packages), export(&subscriptions)], sheets);
    let (code, _, complaint) = tollgate(&node, &["package", "set", "gold", "--rent=-1"]);
    assert!(code != 0 && complaint.contains("rent"), "{complaint}");
    let (code, _, complaint) = tollgate(&node, &["package", "delete", "gold"]);
    assert!(code == 1 && complaint.contains("mine"), "{complaint}");
}
