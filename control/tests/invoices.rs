//! Invoices of a control that is asked by strangers: they are what the records say, they never change, what changes the
//! records becomes a note, and numbers have no gap, whoever is killed.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command_line::tollgate;
use control::cdr::{Cdr, id_text};
use control::state::entity::{Entity, Kind};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::Sqlite;
use control::store::{Change, LedgerEntry, Store};
use link::record::NEVER;
use link::{CallRecord, Text};
use node::Node;
use rating::{Charge, Money};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const HOUR_US: u64 = 3_600_000_000;
/// 2026-02-28T00:00Z.
const BEGIN_US: u64 = 1_772_236_800_000_000;
const CALLS: u64 = 600;
/// One call in so many minutes.
const EVERY_MIN: u64 = 80;

fn callee(number: u64) -> &'static [u8] {
    [&b"4420712345"[..], b"+12125550", b"390212", b"0049", b"alice"][number as usize % 5]
}

/// A month of calls of acme, whose days are India's, and some of others.
fn after_a_month(name: &str) -> Node {
    let node = Node::prepare(name);
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    let account = |id, body| Change::Put(Box::new(Entity::read(Kind::Account, id, body).unwrap()));
    let mut changes = vec![
        account(
            1,
            json!({
                "name": "acme", "role": "customer", "currency": "USD", "time_zone": "Asia/Kolkata", "credit": null,
                "bill_to": ["Acme Telecom", "1 Market Road", "Tax 29ABC"], "email": "books@acme.example",
            }),
        ),
        account(2, json!({"name": "beta", "role": "customer", "credit": null})),
        account(3, json!({"name": "carrier", "role": "vendor"})),
    ];
    let mut balances = BTreeMap::new();
    let mut book =
        |changes: &mut Vec<Change>, account, kind, at_us, reference, amount: i64, memo: &str| {
            let balance: &mut i64 = balances.entry(account).or_default();
            *balance += amount;
            changes.push(Change::Ledger(Box::new(LedgerEntry {
                account,
                kind,
                amount,
                balance: *balance,
                at_us,
                reference,
                counter: if kind == EntryKind::Rent {
                    Counter::Subscriptions
                } else {
                    Counter::Revenue
                },
                who: String::new(),
                memo: memo.into(),
            })));
        };
    for number in 0..CALLS {
        let started_us = BEGIN_US + number * EVERY_MIN * 60_000_000;
        let answered_ms = if number % 3 == 0 { NEVER } else { 2_000 };
        let mut record = CallRecord {
            id: [number, 1],
            started_us,
            answered_ms,
            ended_ms: 62_000 + number as u32,
            ..CallRecord::empty()
        };
        record.facts.callee = Text::new(callee(number)).unwrap();
        let customer = if number % 7 == 0 { 2 } else { 1 };
        let (fee, tax) = match answered_ms {
            NEVER => (0, 0),
            _ => (1_234_567 * number as i64 % 9_999_999, 12_345 * number as i64 % 999_999),
        };
        let [fee_money, tax_money] = [fee, tax].map(Money::from_billionths);
        changes.push(Change::CdrEnd(Box::new(Cdr {
            record,
            customer,
            account: ["", "acme", "beta"][customer as usize].into(),
            customer_charge: Charge { billed_s: number % 61, fee: fee_money, tax: tax_money },
            ..Cdr::default()
        })));
        if fee + tax != 0 {
            let ended_us = started_us + u64::from(62_000 + number as u32) * 1_000;
            let reference = format!("cdr:{}:customer", id_text([number, 1]));
            book(&mut changes, customer, EntryKind::Charge, ended_us, reference, -fee - tax, "");
        }
    }
    for (month, at_us) in
        [BEGIN_US + 12 * HOUR_US, BEGIN_US + 24 * 31 * HOUR_US].into_iter().enumerate()
    {
        let (reference, memo) = (format!("rent:{month}"), format!("flat: period {month}"));
        book(&mut changes, 1, EntryKind::Rent, at_us, reference, -5_000_000_000, &memo);
    }
    store.commit(&changes).unwrap();
    node
}

fn money(text: &Value) -> i128 {
    i128::from(text.as_str().unwrap().parse::<Money>().unwrap().billionths())
}

/// What records of March, by India's clock, come to by country: calls, seconds, amount, tax.
fn march(node: &Node) -> BTreeMap<String, [i128; 4]> {
    let (from, to) = ("2026-03-01T00:00:00%2B05:30", "2026-04-01T00:00:00%2B05:30");
    let page = node.look(&format!("/cdr?account=acme&from={from}&to={to}&limit=10000"));
    let mut sums = BTreeMap::new();
    for call in page["items"].as_array().unwrap() {
        if call["answered"].is_null() {
            continue;
        }
        let digits = call["callee"].as_str().unwrap().trim_start_matches('+');
        let codes = ["44", "1", "39"];
        let code = codes.into_iter().find(|code| digits.starts_with(code)).unwrap_or("");
        let sum = sums.entry(code.to_owned()).or_insert([0; 4]);
        sum[0] += 1;
        sum[1] += i128::from(call["billed_s"].as_u64().unwrap());
        sum[2] += money(&call["charge"]);
        sum[3] += money(&call["tax"]);
    }
    sums
}

/// The same of a document's lines.
fn lines(document: &Value) -> BTreeMap<String, [i128; 4]> {
    let lines = document["lines"].as_array().unwrap().iter().filter(|it| it["what"] == "calls");
    let numbers = |line: &Value| {
        let number = |name: &str| i128::from(line[name].as_i64().unwrap());
        [number("count"), number("billed_s"), money(&line["amount"]), money(&line["tax"])]
    };
    lines.map(|it| (it["destination"].as_str().unwrap().to_owned(), numbers(it))).collect()
}

fn issue_march(node: &Node) -> Value {
    let draft = node.ok("POST", "/invoice", &json!({"account": "acme", "month": "2026-03"}));
    node.ok("POST", &format!("/invoice/{}/issue", draft["name"].as_str().unwrap()), &Value::Null)
}

/// The document as the command line writes it.
fn file(node: &Node, name: &str, ending: &str) -> Vec<u8> {
    let file = node.home.join(format!("document.{ending}"));
    let _ = std::fs::remove_file(&file);
    let (code, _, no) = tollgate(node, &["invoice", "file", name, file.to_str().unwrap()]);
    assert_eq!(code, 0, "{no}");
    std::fs::read(&file).unwrap()
}

fn correct(node: &Node, number: u64, charge: &str, request_id: &str) {
    let path = format!("/cdr/{}/correction", id_text([number, 1]));
    node.ok("POST", &path, &json!({"charge": charge, "reason": "test", "request_id": request_id}));
}

/// An answered call of acme to London in the middle of March.
const LONDON: u64 = 265;

#[test]
fn an_invoice_is_the_sum_of_its_records_and_rents_by_the_clock_of_its_account() {
    let mut node = after_a_month("invoice-sums");
    node.run();
    node.ok("PUT", "/param/TG_INVOICE_SELLER", &json!({"value": "Carrier Ltd| 2 High Street |"}));
    node.ok("PUT", "/param/TG_INVOICE_PREFIX", &json!({"value": "A-"}));
    correct(&node, LONDON, "7.5", "before");
    let expected = march(&node);
    assert_eq!(expected.len(), 4);
    let draft = node.ok("POST", "/invoice", &json!({"account": "acme", "month": "2026-03"}));
    assert_eq!((&draft["state"], &draft["name"]), (&json!("draft"), &json!("draft-1")));
    let document = &draft["document"];
    assert_eq!(lines(document), expected);
    let rents: Vec<_> =
        document["lines"].as_array().unwrap().iter().filter(|it| it["what"] == "rent").collect();
    assert_eq!(rents.len(), 1, "the other one is of April, or of February");
    assert_eq!(
        (&rents[0]["amount"], &rents[0]["destination"]),
        (&json!("5.00"), &json!("flat: period 1"))
    );
    let all = document["lines"].as_array().unwrap();
    let sum = |name: &str| all.iter().map(|line| money(&line[name])).sum::<i128>();
    assert_eq!((money(&document["amount"]), money(&document["tax"])), (sum("amount"), sum("tax")));
    let exact = sum("amount") + sum("tax");
    assert_eq!(money(&document["total"]) - money(&document["rounding"]), exact);
    assert!(
        money(&document["total"]) % 10_000_000 == 0
            && money(&document["rounding"]).abs() <= 5_000_000
    );

    // The same time again is the same draft; days say the same as their month.
    let days = json!({"account": "acme", "from": "2026-03-01", "to": "2026-04-01"});
    assert_eq!(node.ok("POST", "/invoice", &days), draft);
    let digits =
        json!({"account": "acme", "from": "2026-03-02", "to": "2026-03-05", "area_digits": 4});
    let other = node.ok("POST", "/invoice", &digits);
    assert_eq!(other["name"], "draft-2");
    assert!(lines(&other["document"]).contains_key("4420"));
    node.ok("DELETE", "/invoice/draft-2", &Value::Null);
    assert_eq!(node.say("GET", "/invoice/draft-2", &Value::Null).0, 404);

    let issued = node.ok("POST", "/invoice/draft-1/issue", &Value::Null);
    assert_eq!((&issued["name"], &issued["state"]), (&json!("A-000001"), &json!("issued")));
    assert_eq!(issued["document"]["lines"], document["lines"]);
    assert_eq!(issued["document"]["seller"], json!(["Carrier Ltd", "2 High Street"]));
    let (code, out, no) = tollgate(&node, &["--output", "json", "invoice", "show", "A-000001"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (0, issued.clone()), "{no}");

    // Another program's sum of the table.
    let csv = node.home.join("march.csv");
    let (code, _, no) = tollgate(&node, &["invoice", "file", "A-000001", csv.to_str().unwrap()]);
    assert_eq!(code, 0, "{no}");
    let awk = "$2 == \"total\" {total = $7} NR > 1 && $2 != \"total\" {sum += $7 + $8} END {printf \"%.2f %.2f\", sum, total}";
    let added = Command::new("awk").args(["-F", ",", awk]).arg(&csv).output().unwrap();
    let total = issued["total"].as_str().unwrap();
    assert_eq!(String::from_utf8(added.stdout).unwrap(), format!("{total} {total}"));
}

#[test]
fn an_issued_invoice_never_changes_and_notes_tell_every_difference_once() {
    let mut node = after_a_month("invoice-notes");
    node.run();
    let draft = node.ok("POST", "/invoice", &json!({"account": "acme", "month": "2026-03"}));
    let issue = format!("/invoice/{}/issue", draft["name"].as_str().unwrap());
    correct(&node, LONDON, "3", "meanwhile");
    let (status, no) = node.say("POST", &issue, &Value::Null);
    assert_eq!((status, &no["title"]), (409, &json!("draft out of date")), "{no}");
    let issued = issue_march(&node);
    let name = issued["name"].as_str().unwrap().to_owned();
    assert_eq!((name.as_str(), lines(&issued["document"])), ("000001", march(&node)));
    let sealed = Sha256::digest(issued["document"].to_string());
    let (paper, table) = (file(&node, &name, "pdf"), file(&node, &name, "csv"));
    let seal = issued["sha256"].as_str().unwrap().as_bytes();
    assert!(paper.windows(seal.len()).any(|part| part == seal));

    let credit = |reason: &str| json!({ "reason": reason });
    let path = format!("/invoice/{name}/credit");
    assert_eq!(node.say("POST", &path, &credit("nothing")).1["title"], "nothing to set right");
    correct(&node, LONDON, "0.5", "wrong rate");
    correct(&node, 9, "2", "dearer, to another");
    let note = node.ok("POST", &path, &credit("wrong rate of London"));
    assert_eq!((&note["name"], &note["of"]), (&json!("000002"), &json!(name)));
    assert_eq!(node.say("POST", &path, &credit("again")).0, 409);
    correct(&node, LONDON, "4", "after all");
    let second = node.ok("POST", &path, &credit("after all"));
    assert_eq!((&second["paper"], &second["name"]), (&json!("debit_note"), &json!("000003")));

    node.kill();
    node.run();
    // What all of them say together is what the records come to now, in lines and in total.
    let mut told: BTreeMap<String, [i128; 4]> = BTreeMap::new();
    let mut totals = 0;
    for name in ["000001", "000002", "000003"] {
        let shown = node.look(&format!("/invoice/{name}"));
        totals += money(&shown["total"]);
        for (destination, line) in lines(&shown["document"]) {
            let sum = told.entry(destination).or_insert([0; 4]);
            sum.iter_mut().zip(line).for_each(|(sum, it)| *sum += it);
        }
    }
    let now = march(&node);
    assert_eq!(told, now);
    let exact: i128 = now.values().map(|it| it[2] + it[3]).sum::<i128>() + 5_000_000_000;
    assert!((totals - exact).abs() <= 5_000_000, "{totals} {exact}");

    let after = node.look(&format!("/invoice/{name}"));
    assert_eq!(after["document"], issued["document"]);
    assert_eq!(after["sha256"], issued["sha256"]);
    assert_eq!(sealed, Sha256::digest(after["document"].to_string()));
    assert_eq!((file(&node, &name, "pdf"), file(&node, &name, "csv")), (paper, table));
    assert_eq!(money(&after["set_right"]), money(&note["total"]) + money(&second["total"]));

    // All of it, whereafter the month is free again.
    assert_eq!(node.say("POST", &path, &json!({"reason": ""})).0, 422);
    let draft = node.ok(
        "POST",
        "/invoice",
        &json!({"account": "acme", "from": "2026-03-31", "to": "2026-04-02"}),
    );
    let again = format!("/invoice/{}/issue", draft["name"].as_str().unwrap());
    assert_eq!(node.say("POST", &again, &Value::Null).1["title"], "invoiced already");
    let whole = node.ok("POST", &path, &json!({"reason": "wrong name", "whole": true}));
    assert_eq!((money(&whole["total"]), &whole["paper"]), (-totals, &json!("credit_note")));
    let cancelled = node.look(&format!("/invoice/{name}"));
    assert_eq!((&cancelled["state"], money(&cancelled["open"])), (&json!("cancelled"), 0));
    assert_eq!(node.say("POST", &path, &credit("more")).0, 409);
    assert_eq!(node.ok("POST", &again, &Value::Null)["name"], "000005");
    assert_eq!(node.look("/ledger/audit")["agrees"], true);
}

#[test]
fn a_payment_books_once_and_is_open_no_more() {
    let mut node = after_a_month("invoice-pay");
    node.run();
    let issued = issue_march(&node);
    let total = money(&issued["total"]);
    let balance = |node: &Node| money(&node.look("/account/acme")["balance"]);
    let before = balance(&node);
    let pay = |node: &Node, body: Value| node.say("POST", "/invoice/000001/payment", &body);
    for wrong in [
        json!({"amount": "1"}),
        json!({"amount": "1", "request_id": ""}),
        json!({"amount": "0", "request_id": "w"}),
        json!({"amount": "-1", "request_id": "w"}),
        json!({"amount": "1e3", "request_id": "w"}),
        json!({"amount": "99999", "request_id": "w"}),
        json!({"amount": "1", "request_id": "w", "more": true}),
    ] {
        assert_eq!(pay(&node, wrong.clone()).0, 422, "{wrong}");
    }
    for _ in 0..2 {
        let (status, shown) =
            pay(&node, json!({"amount": "2", "request_id": "one", "memo": "bank"}));
        assert_eq!((status, money(&shown["paid"])), (200, 2_000_000_000));
        node.kill();
        node.run();
    }
    assert_eq!(balance(&node) - before, 2_000_000_000);
    let words = ["--output", "json", "invoice", "pay", "000001", "--request-id", "two"];
    let (code, out, no) = tollgate(&node, &words);
    assert_eq!(code, 0, "{no}");
    let paid: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&paid["state"], money(&paid["open"]), money(&paid["paid"])),
        (&json!("paid"), 0, total)
    );
    assert_eq!(balance(&node) - before, total);
    assert_eq!(pay(&node, json!({"request_id": "two"})).1["state"], "paid", "repeated");
    assert_eq!(pay(&node, json!({"request_id": "three"})).0, 409);
    let paid = node.look("/invoice?state=paid");
    assert_eq!(paid["items"].as_array().unwrap().len(), 1);

    // Another one's was paid before.
    let draft = node.ok("POST", "/invoice", &json!({"account": "beta", "month": "2026-03"}));
    let name = draft["name"].as_str().unwrap();
    assert_eq!(pay(&node, json!({"request_id": "x"})).0, 409);
    assert_eq!(
        node.say("POST", &format!("/invoice/{name}/payment"), &json!({"request_id": "x"})).0,
        409
    );
    node.ok("POST", &format!("/invoice/{name}/issue"), &Value::Null);
    let entries =
        || node.look("/account/beta/ledger?limit=10000")["items"].as_array().unwrap().len();
    let before = entries();
    let body = json!({"request_id": "x", "from_balance": true});
    assert_eq!(node.ok("POST", "/invoice/000002/payment", &body)["state"], "paid");
    assert_eq!(entries(), before);
    assert_eq!(node.look("/ledger/audit")["agrees"], true);
}

#[test]
fn what_makes_no_invoice_is_refused_by_its_field() {
    let mut node = after_a_month("invoice-wrong");
    node.run();
    let long = "x".repeat(10_000);
    for (body, status) in [
        (json!({"month": "2026-03"}), 422),
        (json!({"account": "nobody", "month": "2026-03"}), 404),
        (json!({"account": long, "month": "2026-03"}), 404),
        (json!({"account": "carrier", "month": "2026-03"}), 422),
        (json!({"account": "acme"}), 422),
        (json!({"account": "acme", "month": "2026-13"}), 422),
        (json!({"account": "acme", "month": "2026-3"}), 422),
        (json!({"account": "acme", "month": long}), 422),
        (json!({"account": "acme", "month": "2026-03", "from": "2026-03-01"}), 422),
        (json!({"account": "acme", "from": "2026-03-01"}), 422),
        (json!({"account": "acme", "from": "2026-03-02", "to": "2026-03-02"}), 422),
        (json!({"account": "acme", "from": "1960-03-02", "to": "1961-03-02"}), 422),
        (json!({"account": "acme", "from": "9999-01-01", "to": "9999-12-31"}), 422),
        (json!({"account": "acme", "month": "2026-03", "area_digits": 16}), 422),
        (json!({"account": "acme", "month": "2026-03", "area_digits": -1}), 422),
        (json!({"account": "acme", "month": "2026-03", "total": "0"}), 422),
    ] {
        assert_eq!(node.say("POST", "/invoice", &body).0, status, "{body:.80}");
    }
    // A time that is not over can be looked at, and has no number.
    let draft = node.ok(
        "POST",
        "/invoice",
        &json!({"account": "acme", "from": "2026-03-01", "to": "2036-03-01"}),
    );
    let path = format!("/invoice/{}", draft["name"].as_str().unwrap());
    assert_eq!(node.say("POST", &format!("{path}/issue"), &Value::Null).0, 422);
    assert_eq!(node.say("POST", &format!("{path}/send"), &json!({"to": "a@b.example"})).0, 409);
    assert_eq!(node.say("POST", &format!("{path}/credit"), &json!({"reason": "x"})).0, 409);
    let empty = node.ok("POST", "/invoice", &json!({"account": "acme", "month": "2025-03"}));
    let empty = format!("/invoice/{}/issue", empty["name"].as_str().unwrap());
    assert_eq!(node.say("POST", &empty, &Value::Null).1["title"], "nothing to invoice");
    issue_march(&node);
    assert_eq!(node.say("DELETE", "/invoice/000001", &Value::Null).0, 409);
    assert_eq!(node.say("POST", "/invoice/000001/issue", &Value::Null).0, 409);
    for method in ["PUT", "POST", "GET"] {
        let sealed = node.say(method, "/invoice/000001/step", &json!({"Sent": "x"})).0;
        assert!([404, 405].contains(&sealed), "{method}: the loop's own word is nobody's");
    }
    assert_eq!(node.say("GET", "/invoice?state=lost", &Value::Null).0, 422);
    assert_eq!(node.say("POST", "/invoice/000001/send", &json!({})).1["title"], "no mail server");
    for to in ["", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d"] {
        let set = json!({ "email": to });
        let status = node.say("PATCH", "/account/acme", &set).0;
        assert_eq!(status, if to.is_empty() { 200 } else { 422 }, "{to}");
    }
}

#[test]
fn numbers_have_no_gap_and_no_twin_whoever_is_killed() {
    let mut node = after_a_month("invoice-numbers");
    node.run();
    let days: Vec<u32> = (1..=24).collect();
    for round in 0..8 {
        for day in days.iter().skip(round * 3).take(3) {
            let (from, to) = (format!("2026-03-{day:02}"), format!("2026-03-{:02}", day + 1));
            for account in ["acme", "beta"] {
                let body = json!({"account": account, "from": from, "to": to});
                node.ok("POST", "/invoice", &body);
            }
        }
        let drafts = node.look("/invoice?state=draft&limit=1000");
        // All at once, and a kill meanwhile.
        for draft in drafts["items"].as_array().unwrap() {
            let mut socket = UnixStream::connect(node.socket()).unwrap();
            let name = draft["name"].as_str().unwrap();
            let request = format!("POST /api/v1/invoice/{name}/issue HTTP/1.1\r\nHost: t\r\n\r\n");
            std::io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
            std::mem::forget(socket);
        }
        std::thread::sleep(Duration::from_millis(round as u64 * 9));
        node.kill();
        node.run();
        let all = node.look("/invoice?limit=1000");
        let numbers = all["items"].as_array().unwrap().iter().filter(|it| it["state"] != "draft");
        let mut numbers: Vec<u32> =
            numbers.map(|it| it["name"].as_str().unwrap().parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
    }
    let (code, out, no) = tollgate(&node, &["invoice", "draft", "--month", "2026-03"]);
    assert!(code == 0 && out.contains("acme") && out.contains("beta"), "{out}{no}");
}

/// A mail server that nobody here wrote; it prints what it takes.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut child = Command::new("/usr/bin/python3")
            .args(["-u", "-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
            .args(["-c", "aiosmtpd.handlers.Debugging", "stdout"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if child.try_wait().unwrap().is_some() || Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_invoice_goes_by_mail_as_paper_and_table_and_says_so() {
    let Some(mut server) = Server::start() else {
        eprintln!("SKIPPED: no mail server (apt install python3-aiosmtpd)");
        return;
    };
    let mut node = after_a_month("invoice-mail");
    let config = node.home.join("tollgate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let mail = format!(
        "[mail]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Carrier <accounts@carrier.example>\"\n",
        server.port
    );
    std::fs::write(&config, text + &mail).unwrap();
    node.run();
    issue_march(&node);
    let (code, out, no) = tollgate(&node, &["--output", "json", "invoice", "send", "000001"]);
    assert_eq!(code, 0, "{no}");
    let sent: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(sent["sent_to"], "books@acme.example");
    let mut taken = String::new();
    let mut lines = BufReader::new(server.child.stdout.take().unwrap()).lines();
    while !taken.contains("END MESSAGE") {
        taken += &lines.next().unwrap().unwrap();
        taken.push('\n');
    }
    let taken = taken.replace("=\n", "");
    for part in [
        "To: books@acme.example",
        "Subject: Invoice 000001",
        "accounts@carrier.example",
        "application/pdf",
        "text/csv",
        "000001.pdf",
        "000001.csv",
        sent["sha256"].as_str().unwrap(),
    ] {
        assert!(taken.contains(part), "{part} in {taken:.2000}");
    }
    drop(server);
    let (status, no) =
        node.say("POST", "/invoice/000001/send", &json!({"to": "other@acme.example"}));
    assert_eq!((status, &no["title"]), (503, &json!("mail server")), "{no}");
    assert_eq!(node.look("/invoice/000001")["sent_to"], "books@acme.example");
}

/// What another program reads on the paper; `None`: there is none.
fn read(paper: &Path) -> Option<String> {
    let read = Command::new("pdftotext").args(["-layout"]).arg(paper).arg("-").output().ok()?;
    assert!(read.status.success(), "{read:?}");
    Some(String::from_utf8(read.stdout).unwrap())
}

#[test]
fn the_paper_is_read_by_another_program() {
    let mut node = after_a_month("invoice-paper");
    node.run();
    let issued = issue_march(&node);
    let paper = node.home.join("march.pdf");
    let (code, _, no) = tollgate(&node, &["invoice", "file", "000001", paper.to_str().unwrap()]);
    assert_eq!(code, 0, "{no}");
    let Some(text) = read(&paper) else {
        eprintln!("SKIPPED: no pdftotext (apt install poppler-utils)");
        return;
    };
    let total = format!("Total USD {}", issued["total"].as_str().unwrap());
    let seal = issued["sha256"].as_str().unwrap();
    for part in [
        "Invoice 000001",
        "Acme Telecom",
        "Calls to +44 United Kingdom",
        "Calls to other numbers",
        "Rent: flat",
        &total,
        seal,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let line = issued["document"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["destination"] == "44")
        .unwrap();
    let row = text.lines().find(|it| it.contains("Calls to +44")).unwrap();
    assert!(
        row.contains(line["amount"].as_str().unwrap())
            && row.contains(line["tax"].as_str().unwrap()),
        "{row}"
    );
}
