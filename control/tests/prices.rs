//! Customers' tariffs made of what calls cost, and two versions of prices told apart, by HTTP and the command line.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use command_line::tollgate;
use node::Node;
use serde_json::{Value, json};

fn told(node: &Node, words: &[&str]) -> Value {
    let (code, out, complaint) = tollgate(node, &[&["--output", "json"], words].concat());
    assert_eq!((code, complaint.as_str()), (0, ""), "{words:?}: {out}");
    serde_json::from_str(&out).unwrap_or_default()
}

/// Prefix, change, old and new rate of all that differs.
fn differences(list: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|it| ["prefix", "change", "old_rate", "rate"].map(|field| text(&it[field]))).collect()
}

fn line(parts: [&str; 4]) -> [String; 4] {
    parts.map(str::to_owned)
}

#[test]
fn a_customers_tariff_follows_its_costs_with_notice_and_the_same_again_changes_nothing() {
    let mut node = Node::start("generate");
    for name in ["carrier", "other", "retail"] {
        node.ok("POST", "/tariff", &json!({ "name": name }));
    }
    let rates = |node: &Node, tariff: &str, rows: Value| {
        node.ok("POST", &format!("/tariff/{tariff}/rate"), &rows);
    };
    rates(
        &node,
        "carrier",
        json!([{"prefix": "44", "rate": "0.01"}, {"prefix": "39", "rate": "0.02"}]),
    );
    rates(&node, "other", json!([{"prefix": "44", "rate": "0.012"}]));
    rates(&node, "retail", json!([{"prefix": "39", "rate": "0.02"}, {"prefix": "7", "rate": "1"}]));
    let words = [
        "tariff",
        "generate",
        "retail",
        "--cost",
        "carrier",
        "--cost",
        "other",
        "--margin-percent",
        "25",
        "--close",
    ];
    let dry = told(&node, &[&words[..], &["--dry-run"]].concat());
    let counts = |report: &Value| {
        ["new", "increased", "closed", "unchanged", "rates_put"].map(|it| report[it].clone())
    };
    assert_eq!((counts(&dry), &dry["taken"]), ([1, 1, 1, 0, 3].map(|it| json!(it)), &json!(false)));
    let report = told(&node, &words);
    assert_eq!((counts(&report), &report["taken"]), (counts(&dry), &json!(true)));
    node.kill();
    node.run();
    let again = told(&node, &words);
    assert_eq!((counts(&again)[4].clone(), &again["taken"]), (json!(0), &json!(false)));
    // Now, and once the notice is over.
    let notice = report["notice"].as_str().unwrap();
    let before = told(&node, &["tariff", "diff", "retail", "--to", notice]);
    assert_eq!(
        differences(&before),
        [line(["39", "increase", "0.02", "0.025"]), line(["7", "closed", "1.00", "none"])]
    );
    let with = told(&node, &["tariff", "diff", "carrier", "--with", "retail", "--to", notice]);
    assert_eq!(
        differences(&with),
        [line(["39", "increase", "0.02", "0.025"]), line(["44", "increase", "0.01", "0.015"])]
    );
    // Page by page it is the same list.
    let path = format!("/tariff/carrier/diff?with=retail&to={notice}&limit=1");
    let first = node.look(&path);
    let cursor = first["next"].as_str().unwrap().replace(';', "%3B");
    let second = node.look(&format!("{path}&cursor={cursor}"));
    let pages: Vec<_> = [&first, &second].iter().flat_map(|page| differences(page)).collect();
    assert_eq!((pages, &second["next"]), (differences(&with), &Value::Null));
    // As a sheet for the customer.
    let csv = ["--output", "csv", "tariff", "diff", "retail", "--to", notice];
    let (_, sheet, _) = tollgate(&node, &csv);
    assert_eq!(sheet.lines().count(), 3, "{sheet}");
}

#[test]
fn what_no_tariff_can_be_made_of_is_refused_by_its_name() {
    let node = Node::start("generate-refusals");
    node.ok("POST", "/tariff", &json!({"name": "retail"}));
    node.ok("POST", "/tariff", &json!({"name": "carrier"}));
    for (query, status, what) in [
        ("", 422, "cost"),
        ("cost=retail", 422, "cost"),
        ("cost=none", 404, "none"),
        ("cost=carrier&margin_percent=ten", 422, "margin_percent"),
        ("cost=carrier&margin=10001", 422, "margin"),
        ("cost=carrier&decimals=10", 422, "decimals"),
        ("cost=carrier&notice_days=-1", 422, "notice_days"),
        ("cost=carrier&effective=soon", 422, "effective"),
        ("cost=carrier&close=yes", 422, "close"),
        ("cost=carrier&discount=1", 400, "discount"),
    ] {
        let (code, body) =
            node.say("POST", &format!("/tariff/retail/generate?{query}"), &Value::Null);
        assert!(body.to_string().contains(what), "{query}: {body}");
        assert!(code == status || what == "discount" && code / 100 == 4, "{query}: {code} {body}");
    }
    let (code, _) = node.say("POST", "/tariff/none/generate?cost=carrier", &Value::Null);
    assert_eq!(code, 404);
    let (code, body) = node.say("GET", "/tariff/retail/diff", &Value::Null);
    assert!(code == 422 && body.to_string().contains("with"), "{body}");
}

#[test]
fn an_answered_change_of_a_large_tariff_is_in_force_and_others_are_answered_meanwhile() {
    let node = Node::start("large");
    node.furnish();
    let rows = |from: u32| -> Value {
        (from..from + 10_000)
            .map(|it| json!({"prefix": format!("44{it:06}"), "rate": "0.01"}))
            .collect()
    };
    for from in (0..60_000).step_by(10_000) {
        node.ok("POST", "/tariff/sell/rate", &rows(from));
    }
    let price = |callee: &str| {
        let path = format!("/route/explain?gateway=in&from=39021&to={callee}");
        node.look(&path)["customer_price"].clone()
    };
    assert_eq!(price("440599991"), "0.01/60s");
    for rate in ["0.02", "0.03", "0.04"] {
        node.ok("POST", "/tariff/sell/rate", &json!([{"prefix": "44000001", "rate": rate}]));
        assert_eq!(price("440000011"), format!("{rate}/60s"));
    }
    // Two change it at once, and somebody a small one: each finds what he was told.
    std::thread::scope(|scope| {
        for (tariff, prefix) in [("sell", "44000002"), ("sell", "44000003"), ("buy", "41")] {
            let node = &node;
            scope.spawn(move || {
                for _ in 0..5 {
                    let row = json!([{"prefix": prefix, "rate": "0.5"}]);
                    node.ok("POST", &format!("/tariff/{tariff}/rate"), &row);
                }
            });
        }
    });
    assert_eq!([price("440000021"), price("440000031")], ["0.50/60s", "0.50/60s"]);
    node.ok("DELETE", "/tariff/sell/rate/44000002", &Value::Null);
    assert_eq!(price("440000021"), "0.012/60s");
}
