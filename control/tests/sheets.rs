//! The real CLI against the real control: what is exported is imported as it was, and a sheet with a
//! mistake changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod node;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use node::Node;
use serde_json::{Value, json};

/// Cargo builds only this package's programs for this package's tests.
static CLI: LazyLock<PathBuf> = LazyLock::new(|| {
    let control = Path::new(env!("CARGO_BIN_EXE_tollgate-control"));
    let profile = control.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
    cargo.arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
    control.with_file_name("tollgate")
});

/// Exit code, standard output, standard error.
fn tollgate(node: &Node, words: &[&str]) -> (i32, String, String) {
    let done = Command::new(&*CLI).arg("--socket").arg(node.socket()).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn export(node: &Node, noun: &[&str]) -> String {
    let (code, out, err) = tollgate(node, &[noun, &["export"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{noun:?}");
    out
}

fn import(node: &Node, noun: &[&str], sheet: &[u8], flags: &[&str]) -> (i32, String, String) {
    let file = node.home.join("sheet.csv");
    std::fs::write(&file, sheet).unwrap();
    tollgate(node, &[noun, &["import", file.to_str().unwrap()], flags].concat())
}

const NOUNS: [&[&str]; 8] = [
    &["account"],
    &["tariff", "head"],
    &["gateway", "mapping"],
    &["gateway", "routing"],
    &["phone"],
    &["firewall", "deny"],
    &["firewall", "trust"],
    &["param"],
];

fn furnish_strangely(node: &Node) {
    node.furnish();
    let post = |path: &str, body: Value| node.ok("POST", path, &body);
    post("/account", json!({"name": "=1+1", "role": "customer", "credit": null}));
    post(
        "/account",
        json!({"name": "a, \"b\"", "role": "vendor", "credit": "0.5", "locked": true}),
    );
    post("/tariff", json!({"name": "fine", "fee_precision": 3, "rounding": "up"}));
    let gateway = json!({
        "name": "strange", "account": "customer", "addresses": ["192.0.2.16/28", "2001:db8::1"],
        "tech_prefix": "77", "lines_max": 3, "talk_s_max": 60, "locked": true,
        "caller_rules": [{"original": "00", "target": ""}, {"original": "0*", "target": "39*"}],
    });
    post("/gateway/mapping", gateway);
    let gateway = json!({
        "name": "vendor", "account": "vendor", "target": "198.51.100.9", "prefixes": ["", "44"],
        "stop_codes": [], "priority": 7, "terminate": true, "unrated_allowed": true,
    });
    post("/gateway/routing", gateway);
    let phone = json!({
        "name": "bob.smith", "account": "customer", "number": "+39 0201", "contacts_max": 2,
        "numbers": ["390201", "201"], "fall_through": true, "talk_s_max": 60, "locked": true,
    });
    post("/phone", phone);
    post("/firewall/deny", json!({"prefix": "2001:db8:1::/48", "reason": ""}));
    let until = "2034-05-06T07:08:09.123Z";
    post("/firewall/deny", json!({"prefix": "203.0.115.9", "until": until, "reason": "@x\u{e9}"}));
    node.ok("PUT", "/param/BILLING_FREE_E164S", &json!({"value": "800,00"}));
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let from = Node::start("sheets-from");
    furnish_strangely(&from);
    let to = Node::start("sheets-to");
    for noun in NOUNS {
        let sheet = export(&from, noun);
        assert!(sheet.lines().count() > 1, "{noun:?}: {sheet}");
        let (code, out, err) = import(&to, noun, sheet.as_bytes(), &[]);
        assert_eq!((code, err.as_str()), (0, ""), "{noun:?}: {out}\n{sheet}");
        assert_eq!(export(&to, noun), sheet, "{noun:?}");
        let (code, out, _) = import(&to, noun, sheet.as_bytes(), &[]);
        assert!(code == 0 && out.contains("created 0, changed 0"), "{noun:?}: {out}");
    }
    let (_, rates, _) = tollgate(&from, &["tariff", "rate", "export", "sell"]);
    let file = to.home.join("rates.csv");
    std::fs::write(&file, &rates).unwrap();
    let words = ["tariff", "import", "sell", file.to_str().unwrap()];
    assert_eq!(tollgate(&to, &words).0, 0, "{rates}");
    assert_eq!(tollgate(&to, &["tariff", "rate", "export", "sell"]).1, rates);
    assert_eq!(to.look("/account/%3D1%2B1")["credit"], Value::Null);
    assert_eq!(to.look("/gateway/routing/vendor")["stop_codes"], json!([]));
    let (_, out, _) = tollgate(&from, &["account", "export", "--output", "json"]);
    let items: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(items["items"].as_array().unwrap().len(), 4);
}

#[test]
fn a_sheet_may_have_more_than_a_page_and_only_the_columns_that_matter() {
    let node = Node::start("sheets-many");
    node.furnish();
    let mut sheet = String::from("\u{feff}role,name\r\n");
    for number in 0..150 {
        sheet.push_str(&format!("customer,c{number:03}\r\n"));
    }
    let (code, out, err) = import(&node, &["account"], sheet.as_bytes(), &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("created 150, changed 0"), "{out}");
    assert_eq!(export(&node, &["account"]).lines().count(), 153);
    // A column that is not there leaves things as they are; an empty cell is the default.
    node.ok("PATCH", "/account/c000", &json!({"credit": "7", "locked": true}));
    let (_, out, _) = import(&node, &["account"], b"name,locked\nc000,\n", &["--output", "json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["changed"], &told["lines"][0]["fields"]),
        (&json!(1), &json!({"locked": false}))
    );
    let account = node.look("/account/c000");
    assert_eq!((&account["credit"], &account["locked"]), (&json!("7.00"), &json!(false)));
    // An empty value is the parameter's default again, and one network has many spellings.
    let (code, ..) = import(&node, &["param"], b"name,value\nSS_SIP_INVITE_TIMEOUT,\n", &[]);
    assert_eq!((code, export(&node, &["param"]).as_str()), (0, "name,value\n"));
    let sheet = b"name,reason\n203.0.114.0/24,lab\n203.0.117.1/32,one\n";
    let (_, out, err) = import(&node, &["firewall", "trust"], sheet, &[]);
    assert!(out.contains("created 1, changed 1"), "{out}{err}");
    let (_, out, err) = import(&node, &["firewall", "trust"], sheet, &[]);
    assert!(out.contains("created 0, changed 0, unchanged 2"), "{out}{err}");
}

#[test]
fn a_sheet_with_a_mistake_changes_nothing_and_every_mistake_is_told() {
    let node = Node::start("sheets-wrong");
    node.furnish();
    let before = node.look("/account");
    let sheet = b"name,role,credit,locked\nnew,customer,1,no\nnew2,customer,x,\nnew3,customer,1\n\
                  n\xe9w,customer,,\nnew4,customer,,\nnew4,vendor,,\nnew5,,,\n";
    let (code, out, err) = import(&node, &["account"], sheet, &[]);
    assert_eq!(code, 1, "{out}");
    for word in [
        "line 2: locked",
        "line 3: credit",
        "line 4: 3 cells",
        "line 5: name: not UTF-8",
        "line 7: \"new4\" stands in line 6",
        "line 8: role: empty",
        "nothing was changed",
    ] {
        assert!(err.contains(word), "{word} is not in\n{err}");
    }
    let (code, _, err) = import(&node, &["account"], b"name\nnew\n", &[]);
    assert!(
        code == 1 && err.contains("line 2: \"new\" is not there yet and needs a column `role`")
    );
    let (code, _, err) = import(&node, &["account"], b"name,balance\nnew,1\n", &[]);
    assert!(code == 1 && err.contains("no column `balance`"), "{err}");
    let (code, out, _) = import(&node, &["account"], b"name,role\nnew,customer\n", &["--dry-run"]);
    assert!(code == 0 && out.contains("nothing was changed") && out.contains("create"), "{out}");
    assert_eq!(node.look("/account"), before);
    // What only the API knows is told by line, and does not keep the other lines back.
    let sheet = b"name,role\nfirst,customer\nsecond,king\nthird,vendor\n";
    let (code, out, err) = import(&node, &["account"], sheet, &[]);
    assert!(code == 1 && err.contains("line 3: invalid value: role"), "{err}");
    assert!(out.contains("created 2") && out.contains("failed 1"), "{out}");
    let (code, ..) = tollgate(&node, &["account", "import", "/nonexistent.csv"]);
    assert_eq!(code, 1);
}

#[test]
fn a_phone_is_made_with_a_password_that_is_printed_once() {
    let node = Node::start("phone-cli");
    node.furnish();
    let words = ["phone", "create", "bob", "--account", "customer", "--generate-password"];
    let (code, out, err) = tollgate(&node, &[&words[..], &["--output", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let shown: Value = serde_json::from_str(&out).unwrap();
    let password = shown["password"].as_str().unwrap();
    assert!(password.len() >= 16, "{out}");
    for words in [&["phone", "show", "bob"][..], &["phone", "export"], &["phone", "list"]] {
        let (code, out, _) = tollgate(&node, words);
        assert!(code == 0 && !out.contains(password) && out.contains("bob"), "{out}");
    }
    let (code, out, _) = tollgate(&node, &["registration", "list"]);
    assert_eq!((code, out.as_str()), (0, "none\n"));
    let (code, out, _) = tollgate(&node, &["registration", "show", "bob"]);
    assert!(code == 0 && out.contains("online") && out.contains("false"), "{out}");
    let words = ["phone", "set", "bob", "--password", "x", "--ring", "all"];
    let (code, _, err) = tollgate(&node, &words);
    assert!(code == 1 && err.contains("at least 12"), "{err}");
}

#[test]
fn an_audit_agrees_until_somebody_writes_into_the_database() {
    let mut node = Node::start("audit");
    node.furnish();
    let book = |node: &Node, words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        tollgate(node, &[&["account"], &words[..]].concat())
    };
    for words in [
        "pay vendor 7 --request-id a",
        "refund customer 5.25 --request-id b",
        "correct customer -0.25 --request-id c --memo counted-twice",
        "correct customer -0.25 --request-id c --memo counted-twice",
    ] {
        let (code, _, err) = book(&node, words);
        assert_eq!((code, err.as_str()), (0, ""), "{words}");
    }
    let (code, out, _) = book(&node, "statement customer --output json");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    for (field, amount) in [
        ("opening", "0.00"),
        ("payments", "25.50"),
        ("charges", "0.00"),
        ("refunds", "-5.25"),
        ("corrections", "-0.25"),
        ("closing", "20.00"),
    ] {
        assert_eq!(shown[field], amount, "{field}");
    }
    let (code, out, _) = book(&node, "ledger customer --kind refund --output csv");
    assert!(code == 0 && out.lines().count() == 2 && out.contains("-5.25"), "{out}");
    let (code, out, _) = book(&node, "ledger customer --to 2020-01-01T00:00:00Z");
    assert_eq!((code, out.as_str()), (0, "none\n"));
    let (code, out, err) = book(&node, "audit");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("settled") && out.contains("-7.00") && out.contains("27.00"), "{out}");

    node.kill();
    let database = rusqlite::Connection::open(node.home.join("state/tollgate.db")).unwrap();
    database.execute("UPDATE ledger SET amount = amount + 1 WHERE kind = 'refund'", []).unwrap();
    drop(database);
    node.run();
    let (code, out, err) = book(&node, "audit");
    assert!(code == 1 && err.contains("do not agree, 1 sums"), "{err}");
    assert!(out.contains("customer") && out.contains("chain"), "{out}");
}

#[test]
fn nobody_who_stops_reading_makes_a_command_panic() {
    let cli = CLI.display();
    for words in ["completions bash", "manual", "--help", "param list"] {
        let node = Node::start(&format!("pipe-{}", words.len()));
        let line = format!("{cli} --socket {} {words} | head -c 1", node.socket().display());
        let done = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{words}");
    }
}

#[test]
fn a_list_is_denied_whole_or_not_at_all_and_taken_back_by_its_name() {
    let mut node = Node::start("lists");
    node.furnish();
    let file = node.home.join("bad.zone");
    // 192.0.2.7 is the gateway that `furnish` makes.
    let list =
        "# known bad\n198.51.100.1\n192.0.2.0/24\n2001:db8::/33 # all of it\n198.51.100.1/40\n";
    std::fs::write(&file, list).unwrap();
    let deny =
        |node: &Node, words: &[&str]| tollgate(node, &[&["firewall", "deny"], words].concat());
    let import = ["import", file.to_str().unwrap(), "--reason", "registry", "--for", "1h"];
    let (code, _, err) = deny(&node, &import);
    assert_eq!(code, 1);
    for said in
        ["2 of 4 lines", "line 3: \"192.0.2.0/24\": it covers the gateway at 192.0.2.7", "line 5"]
    {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(node.look("/firewall/import")["items"], json!([]));

    let (code, out, err) = deny(&node, &[&import[..], &["--skip-wrong", "-o", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let taken: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&taken["entries"], &taken["refused"]), (&json!(2), &json!(2)));
    assert_eq!((&taken["lines"][0]["line"], &taken["lines"][1]["line"]), (&json!(3), &json!(5)));
    // What a flag would not do is said, and nothing is done.
    assert_eq!(deny(&node, &["import", file.to_str().unwrap(), "--dry-run"]).0, 2);
    let sheet = node.home.join("bad.csv");
    std::fs::write(&sheet, "prefix\n198.51.100.9\n").unwrap();
    assert_eq!(deny(&node, &["import", sheet.to_str().unwrap(), "--reason", "x"]).0, 2);
    node.kill();
    node.run();
    let (_, out, _) = deny(&node, &["imports", "-o", "json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    let shown = ["name", "entries", "by", "reason"].map(|field| shown["items"][0][field].clone());
    assert_eq!(shown, [json!("bad"), json!(2), json!("root"), json!("registry")]);
    let (_, out, _) = deny(&node, &["list", "--by-import", "bad", "-o", "csv"]);
    assert_eq!(out, "hits,prefix\n,198.51.100.1\n,2001:db8::/33\n");
    assert_eq!(deny(&node, &["remove", "198.51.100.1", "--by-import", "bad"]).0, 0);
    assert_eq!(node.look("/firewall/import/bad")["entries"], 1);
    assert_eq!(deny(&node, &["remove", "--by-import", "bad"]).0, 0);
    assert_eq!(node.look("/firewall/import")["items"], json!([]));
}
