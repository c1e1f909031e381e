//! Another switch's call records rated here, by API and command line: equal to the digit, or why not.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use command_line::tollgate;
use node::{Node, exchange};
use serde_json::{Value, json};

/// `customer` pays 0.012 a minute to 44 and 0.01 to 39, by the second.
const FILE: &str = "Account;Callee;Begin;Seconds;Fee;Id\n\
    customer;442071;1767225600;60;0.012;a\n\
    customer;442071;1767225600;61;0.0122;b\n\
    customer;442071;1767225600;61;0.024;c\n\
    customer;3902;1767225600;60;0.0125;d\n\
    customer;3902;1767225600;60;0;e\n\
    customer;3312;1767225600;60;0.5;f\n\
    stranger;442071;1767225600;60;0.012;g\n\
    customer;442071;1767225600;6x;0.012;h\n";

fn furnished(name: &str) -> Node {
    let node = Node::start(name);
    node.furnish();
    let mapping = json!({
        "name": "old", "callee": "Callee", "start": "Begin", "duration": "Seconds", "amount": "Fee",
        "payer": "Account", "record_id": "Id", "start_formats": ["epoch_s"],
    });
    node.ok("POST", "/record/mapping", &mapping);
    node
}

fn sends(node: &Node, query: &str, file: &str) -> (u16, Value) {
    let path = format!("/api/v1/cdr/compare?{query}");
    let (status, _, text) = exchange(&node.socket(), "POST", &path, "text/csv", file);
    (status, serde_json::from_str(&text).unwrap())
}

fn verdicts(report: &Value) -> Vec<String> {
    let text = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
    let row = |it: &Value| {
        let [verdict, theirs, ours] = ["verdict", "theirs", "ours"].map(|field| text(it, field));
        format!("{verdict} {} {theirs} {ours}", it["calls"])
    };
    report["verdicts"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn fees_are_equal_to_the_digit_or_explained_line_by_line() {
    let node = furnished("compare");
    let (status, report) = sends(&node, "mapping=old", FILE);
    assert_eq!(status, 200, "{report}");
    let expected = [
        "equal 2 0.0242 0.0242",
        "free 1 0.00 0.01",
        "increments 1 0.024 0.0122",
        "rate 1 0.0125 0.01",
        "unknown_prefix 1 0.50 0.00",
        "unknown_account 1 0.012 0.00",
    ];
    assert_eq!(verdicts(&report), expected, "{report:#}");
    assert_eq!(
        (&report["lines"], &report["wrong"], &report["differences"]),
        (&json!(8), &json!(1), &json!(5))
    );
    assert_eq!(report["remarks"][0]["line"], 9);
    let items = report["items"].as_array().unwrap();
    let told: Vec<(&str, u64)> = items
        .iter()
        .map(|it| (it["why"].as_str().unwrap(), it["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(told[0], ("60/60 instead of 1/1", 4));
    assert_eq!(told[1], ("0.0125/60s instead of 0.01/60s", 5));
    assert_eq!((&items[1]["prefix"], &items[1]["difference"]), (&json!("39"), &json!("0.0025")));
    // All by one tariff of somebody else's choice, and all of one account.
    let (_, all) = sends(&node, "mapping=old&account=vendor&side=vendor", FILE);
    assert_eq!(verdicts(&all)[0], "equal 3 0.0362 0.0362", "{all}");
    node.ok("PATCH", "/tariff/sell", &json!({"connection_fee": "0.001"}));
    let (_, other) = sends(&node, "mapping=old&account=vendor&tariff=sell", FILE);
    assert_eq!(verdicts(&other)[1], "connection_fee 3 0.0362 0.0392", "{other}");
    // Who has two tariffs has to be told which.
    let gateway = json!({
        "name": "in2", "account": "customer", "tariff": "buy", "addresses": ["192.0.2.8"],
    });
    node.ok("POST", "/gateway/mapping", &gateway);
    let (_, two) = sends(&node, "mapping=old", FILE);
    assert_eq!(verdicts(&two)[0], "no_tariff 6 0.5607 0.00", "{two}");
    for (query, file, status, word) in [
        ("", FILE, 422, "mapping"),
        ("mapping=none", FILE, 404, "none"),
        ("mapping=old&tariff=none", FILE, 404, "none"),
        ("mapping=old&side=both", FILE, 422, "side"),
        ("mapping=old&from=1", FILE, 422, "from"),
        ("mapping=old", "", 422, "empty"),
        ("mapping=old", "Account;Callee\n", 422, "start"),
    ] {
        let (told, problem) = sends(&node, query, file);
        assert_eq!(told, status, "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
    let mut names = String::from("Account;Callee;Begin;Seconds;Fee;Id\n");
    (0..=10_000).for_each(|name| names.push_str(&format!("{name};44;1;1;1;x\n")));
    assert_eq!(sends(&node, "mapping=old", &names).0, 413);
    node.ok("PATCH", "/record/mapping/old", &json!({"payer": ""}));
    let (status, problem) = sends(&node, "mapping=old", FILE);
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("account"), "{problem}");
}

#[test]
fn the_command_line_compares_and_writes_a_line_for_each_difference() {
    let node = furnished("compare-cli");
    let file = node.home.join("old.csv");
    std::fs::write(&file, FILE).unwrap();
    let csv = node.home.join("why.csv");
    let (file, csv) = (file.to_str().unwrap(), csv.to_str().unwrap());
    let words = ["cdr", "compare", file, "--mapping", "old"];
    let (code, table, err) = tollgate(&node, &words);
    assert_eq!(code, 0, "{err}");
    assert!(table.contains("60/60 instead of 1/1") && table.contains("unknown_account"), "{table}");
    let (code, _, err) = tollgate(&node, &[&words[..], &["--csv", csv]].concat());
    assert_eq!(code, 0, "{err}");
    let text = std::fs::read_to_string(csv).unwrap();
    assert_eq!(text.lines().count(), 1 + 5 + 1, "{text}");
    assert!(text.contains("c,increments,60/60 instead of 1/1,4,customer,442071"), "{text}");
}
