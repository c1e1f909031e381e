//! Numbers and whose they are, by the command line and over a kill of control.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use command_line::tollgate;
use node::Node;
use serde_json::{Value, json};

/// What the command line shows, as JSON.
fn told(node: &Node, words: &[&str]) -> Value {
    let (code, out, complaint) = tollgate(node, &[&["--output", "json"], words].concat());
    assert_eq!((code, complaint.as_str()), (0, ""), "{words:?}: {out}");
    serde_json::from_str(&out).unwrap_or_default()
}

#[test]
fn sections_go_in_and_out_as_sheets_and_a_kill_changes_no_owner() {
    let mut node = Node::start("numbers");
    node.furnish();
    let sheet = node.home.join("sections.csv");
    let lines = "name,account,memo\n\
                 +390212345000-+390212345999,customer,Milan\n\
                 390212346000-390212346099,vendor,\n";
    std::fs::write(&sheet, lines).unwrap();
    let import = ["number", "section", "import", sheet.to_str().unwrap()];
    told(&node, &import);
    let owner = |node: &Node, number: &str| told(node, &["number", "owner", number]);
    assert_eq!(owner(&node, "+39 0212 345678")["account"], "customer");
    assert_eq!(owner(&node, "390212346099")["account"], "vendor");
    let mine = told(&node, &["number", "section", "list", "--account", "vendor"]);
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(1), "{mine}");
    node.kill();
    node.run();
    assert_eq!(owner(&node, "390212345000")["section"], "390212345000-390212345999");
    // What was exported changes nothing, and one number moves by it.
    let (code, out, _) = tollgate(&node, &["number", "section", "export"]);
    assert_eq!(code, 0);
    let moved =
        out.replace("390212346000-390212346099,vendor", "390212346000-390212346099,customer");
    assert_ne!(moved, out);
    std::fs::write(&sheet, moved).unwrap();
    told(&node, &import);
    assert_eq!(owner(&node, "390212346050")["account"], "customer");
    // A wrong line stops all of it, and names itself.
    std::fs::write(&sheet, "name,account\n500-599,customer\n550-650,vendor\n").unwrap();
    let (code, _, complaint) = tollgate(&node, &import);
    assert_eq!(code, 1, "{complaint}");
    assert!(complaint.contains('3') && complaint.contains("500-599"), "{complaint}");
    let (code, _, complaint) = tollgate(&node, &["number", "owner", "390212346100"]);
    assert_eq!((code, complaint.contains("no section")), (1, true), "{complaint}");
    assert_eq!(node.say("GET", "/number/section?account=nobody", &json!(null)).0, 404);
}

#[test]
fn rules_of_an_account_and_of_the_switch_hold_for_the_next_call_and_over_a_kill() {
    let mut node = Node::start("transforms");
    node.furnish();
    told(&node, &["account", "set", "customer", "--callee-rule", "0=4"]);
    told(&node, &["number", "transform", "create", "home", "42=442", "--memo", "north"]);
    let caller = ["number", "transform", "create", "own", r"~^0(\d+)$=39$1", "--number", "caller"];
    told(&node, &caller);
    let explain = ["route", "explain", "--gateway", "in", "--from", "0212", "--to", "0207"];
    let both = |node: &Node| {
        let explained = told(node, &explain);
        (explained["caller"].clone(), explained["callee"].clone())
    };
    assert_eq!(both(&node), (json!("39212"), json!("44207")));
    node.kill();
    node.run();
    assert_eq!(both(&node), (json!("39212"), json!("44207")));
    // Out as a sheet and in again: an expression is a cell as any other.
    let (code, sheet, _) = tollgate(&node, &["number", "transform", "export"]);
    assert_eq!(code, 0);
    assert!(sheet.contains(r"~^0(\d+)$"), "{sheet}");
    for name in ["home", "own"] {
        told(&node, &["number", "transform", "delete", name]);
    }
    assert_eq!(both(&node), (json!("0212"), json!("4207")));
    let file = node.home.join("rules.csv");
    std::fs::write(&file, sheet).unwrap();
    told(&node, &["number", "transform", "import", file.to_str().unwrap()]);
    assert_eq!(both(&node), (json!("39212"), json!("44207")));
    told(&node, &["account", "set", "customer", "--callee-rules-none"]);
    assert_eq!(both(&node).1, "0207");
    let (code, _, no) = tollgate(&node, &["number", "transform", "set", "own", "~(=1"]);
    assert_eq!((code, no.contains("regular expression")), (1, true), "{no}");
}
