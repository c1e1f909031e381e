//! An export of another switch by the command line: what it would change, that it does, and that it does so once.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::path::{Path, PathBuf};

use command_line::tollgate;
use node::Node;
use serde_json::{Value, json};

/// An export beside what `furnish` makes: `customer`, `vendor`, `sell` and `in` are here already.
const FILES: [(&str, &str); 5] = [
    (
        "accounts.csv",
        "Account,Balance,Credit limit,Type,Locked,Agent\nretail,12.345678901,100,customer,no,x\n\
         carrier,-3.5,-1,vendor,,x\nvendor,,0.00,vendor,,x\n",
    ),
    (
        "rates.csv",
        "Rate group;Prefix;Rate;Billing cycle;Connection fee\nretail;44;0.0120;60;\nretail;4420;0.006;6;0.01\n\
         sell;44;0.012;;\nsell;39;0.011;;\n",
    ),
    (
        "mapping_gateways.csv",
        "Gateway,Account,Rate group,IP,Prefix,Lines\nnew,retail,retail,\"192.0.2.20, 192.0.2.21\",77,30\n\
         in,customer,sell,192.0.2.7,,0\n",
    ),
    (
        "routing_gateways.csv",
        "Gateway,Account,Rate group,IP,Port,Prefixes,Priority,Lines\nfar,carrier,,198.51.100.20,5070,44 39,2,60\n",
    ),
    (
        "transforms.csv",
        "Gateway,Side,Number,Original,Target\nnew,mapping,callee,0,44\nnew,mapping,callee,00,\nout,routing,caller,44,0044\n",
    ),
];

fn export(node: &Node) -> PathBuf {
    let directory = node.home.join("export");
    std::fs::create_dir(&directory).unwrap();
    for (name, text) in FILES {
        std::fs::write(directory.join(name), text).unwrap();
    }
    directory
}

/// What a command says: its code, its counts as `add change same refused`, and its report.
fn migrate(node: &Node, verb: &str, directory: &Path, more: &[&str]) -> (i32, [u64; 4], Value) {
    let words = ["--output", "json", "migrate", verb, directory.to_str().unwrap()];
    let (code, out, err) = tollgate(node, &[&words[..], more].concat());
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| json!({"error": err}));
    let count = |name: &str| report["counts"][name].as_u64().unwrap_or(0);
    (code, ["add", "change", "same", "refused"].map(count), report)
}

fn edit(directory: &Path, file: &str, from: &str, to: &str) {
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn an_export_is_shown_then_taken_and_again_changes_nothing() {
    let mut node = Node::start("migrate");
    node.furnish();
    let directory = export(&node);
    edit(&directory, "accounts.csv", "12.345678901", "12.34567890");
    let before = node.look("/account");
    let (code, counts, plan) = migrate(&node, "plan", &directory, &[]);
    // Added: two accounts with balances, a tariff with two rates, two gateways. Changed: a rate, two gateways' rules.
    assert_eq!((code, counts), (0, [9, 3, 4, 0]), "{plan:#}");
    assert_eq!(node.look("/account"), before, "a plan changes nothing");
    assert_eq!(plan["ignored"]["accounts"], json!(["agent"]));
    let change = |file: &str| {
        let items = plan["items"].as_array().unwrap();
        items.iter().find(|it| it["file"] == file && it["action"] == "change").unwrap().clone()
    };
    let rate = change("rates");
    assert_eq!(
        (&rate["line"], &rate["was"], &rate["fields"]["rate"]),
        (&json!(5), &json!({"rate": "0.01"}), &json!("0.011"))
    );

    let (code, counts, done) = migrate(&node, "apply", &directory, &[]);
    assert_eq!((code, counts), (0, [9, 3, 4, 0]), "{done:#}");
    let retail = node.look("/account/retail");
    assert_eq!((&retail["balance"], &retail["credit"]), (&json!("12.3456789"), &json!("100.00")));
    let carrier = node.look("/account/carrier");
    assert_eq!((&carrier["balance"], &carrier["credit"]), (&json!("-3.50"), &Value::Null));
    let rates = node.look("/tariff/retail/rate");
    assert_eq!(rates["items"].as_array().unwrap().len(), 2);
    let new = node.look("/gateway/mapping/new");
    assert_eq!(
        (&new["addresses"], &new["tech_prefix"], &new["lines_max"]),
        (&json!(["192.0.2.20", "192.0.2.21"]), &json!("77"), &json!(30))
    );
    assert_eq!(
        new["callee_rules"],
        json!([{"original": "0", "target": "44"}, {"original": "00", "target": ""}])
    );
    let far = node.look("/gateway/routing/far");
    assert_eq!(
        (&far["target"], &far["prefixes"], &far["priority"]),
        (&json!("198.51.100.20:5070"), &json!(["44", "39"]), &json!(2))
    );
    assert_eq!(
        node.look("/gateway/routing/out")["caller_rules"],
        json!([{"original": "44", "target": "0044"}])
    );
    assert_eq!(node.look("/ledger/audit")["agrees"], true);

    node.kill();
    node.run();
    let (code, counts, again) = migrate(&node, "apply", &directory, &[]);
    assert_eq!((code, counts), (0, [0, 0, 16, 0]), "{again:#}");
    // Money that moved since is no difference; another export's balance is a person's business.
    let payment = json!({"amount": "5", "request_id": "p", "memo": ""});
    node.ok("POST", "/account/retail/payment", &payment);
    assert_eq!(migrate(&node, "plan", &directory, &[]).1, [0, 0, 16, 0]);
    edit(&directory, "accounts.csv", "12.34567890", "13");
    let (code, counts, other) = migrate(&node, "apply", &directory, &[]);
    assert_eq!((code, counts), (1, [0, 0, 15, 1]), "{other:#}");
    assert_eq!(node.look("/account/retail")["balance"], "17.3456789");
}

#[test]
fn lines_that_cannot_be_are_refused_with_their_reason_and_stop_it() {
    let node = Node::start("migrate-wrong");
    node.furnish();
    let directory = export(&node);
    edit(&directory, "accounts.csv", "12.345678901", "12.3456789012");
    edit(&directory, "accounts.csv", "vendor,,0.00,vendor", "customer,7,0,customer");
    edit(&directory, "rates.csv", "retail;4420;0.006", "retail;44;0.006");
    edit(&directory, "rates.csv", "sell;39;0.011", "sell;39;-1");
    edit(&directory, "mapping_gateways.csv", "in,customer", "in,nobody");
    edit(&directory, "routing_gateways.csv", "5070", "70000");
    edit(&directory, "transforms.csv", "out,routing", "none,routing");
    let (code, _, report) = migrate(&node, "plan", &directory, &[]);
    let refused: Vec<(&str, u64)> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["action"] == "refused")
        .map(|it| {
            (it["why"].as_str().unwrap().split(':').next().unwrap(), it["line"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("balance", 2),
        ("balance", 4),
        ("prefix", 3),
        ("rate", 5),
        ("account", 2),
        ("account", 3),
        ("port", 2),
        ("gateway", 4),
    ];
    assert_eq!((code, &refused[..]), (1, &expected[..]), "{report:#}");
    let (code, _, _) = migrate(&node, "apply", &directory, &[]);
    assert_eq!((code, node.say("GET", "/account/carrier", &Value::Null).0), (1, 404));
    // What control itself refuses is told of its line, and the others are done.
    edit(&directory, "mapping_gateways.csv", "192.0.2.21", "not-an-address");
    edit(&directory, "mapping_gateways.csv", "new,retail", "new,customer");
    let (code, _, report) = migrate(&node, "apply", &directory, &["--skip"]);
    assert_eq!(code, 1);
    let told = report["items"].as_array().unwrap().iter().filter(|it| it["action"] == "refused");
    assert!(
        told.clone().any(|it| it["why"].as_str().unwrap().contains("not-an-address")),
        "{report:#}"
    );
    assert_eq!(node.look("/account/carrier")["balance"], "-3.50");

    // Other headers are a mapping's business.
    std::fs::write(directory.join("accounts.csv"), "Kundennummer\nbob\n").unwrap();
    let (_, _, report) = migrate(&node, "plan", &directory, &[]);
    assert!(report["error"].as_str().unwrap().contains("has no column \"Account\""), "{report}");
    let mapping = node.home.join("mapping.json");
    std::fs::write(&mapping, r#"{"accounts": {"name": "Kundennummer"}}"#).unwrap();
    let named = ["--mapping", mapping.to_str().unwrap()];
    let (_, counts, report) = migrate(&node, "plan", &directory, &named);
    assert!(counts[0] >= 1, "{report:#}");
    std::fs::write(&mapping, r#"{"accounts": {"colour": "red"}}"#).unwrap();
    let (code, _, report) = migrate(&node, "plan", &directory, &named);
    assert!(code == 1 && report["error"].as_str().unwrap().contains("colour"), "{report}");
    let empty = node.home.join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(migrate(&node, "plan", &empty, &[]).0, 1);
    assert_eq!(migrate(&node, "plan", &node.home.join("none"), &[]).0, 1);
}
