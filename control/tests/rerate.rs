//! Calls of a time cost what a mended tariff says: page by page, once, with balances and audit, over restarts.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use command_line::tollgate;
use control::cdr::{BillingMode, Cdr, id_text};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::Sqlite;
use control::store::{Change, LedgerEntry, Store};
use link::record::{Attempt, EndReason};
use link::{CallRecord, Text};
use node::Node;
use rating::{Money, Origin, Price, Rounding, RoundingMode, Terms};
use serde_json::{Value, json};

/// 2026-01-01, in µs.
const BEGIN_US: u64 = 1_767_225_600_000_000;
const TIME: &str = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";

fn price(tariff: u32, rate: &str) -> link::record::Terms {
    let price = Price {
        tariff,
        version: 1,
        prefix_digits: 2,
        origin: Origin::Any,
        locked: false,
        rate: rate.parse().unwrap(),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: Default::default(),
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 0,
    };
    link::record::Terms { words: Terms::customer(price, Rounding::default()).to_words() }
}

/// Who is there: accounts and tariffs by their numbers.
struct There {
    buyer: u32,
    carrier: u32,
    retail: u32,
    cost: u32,
}

/// Calls of 61 s to Britain, sold for 0.60 a minute and bought for 0.30; of the last 10 s were granted.
fn calls(there: &There, count: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut balances = [0_i64; 2];
    for number in 0..count {
        let mut record = CallRecord::empty();
        record.id = [number, 7];
        record.started_us = BEGIN_US + number * 1_000_000;
        record.caller_billed = Text::new(b"4930123").unwrap();
        record.callee_billed = Text::new(b"442071234567").unwrap();
        record.customer_terms = price(there.retail, "0.60");
        record.vendor_terms = price(there.cost, "0.30");
        record.answered_ms = 1_000;
        record.ended_ms = 62_000;
        record.reason = EndReason::Normal as u8;
        record.attempts_used = 1;
        record.attempts[0] = Attempt { answered_ms: 1_000, ended_ms: 62_000, ..Attempt::default() };
        if number + 1 == count {
            record.granted_s = 10;
        }
        let mut cdr = Cdr {
            record,
            billing_mode: BillingMode::CustomerGateway,
            customer: there.buyer,
            vendor: there.carrier,
            account: "buyer".into(),
            vendor_account: "carrier".into(),
            ..Cdr::default()
        };
        cdr.rate().unwrap();
        let sides = [
            ("customer", there.buyer, cdr.customer_charge, Counter::Revenue),
            ("vendor", there.carrier, cdr.vendor_charge, Counter::Cost),
        ];
        for (place, (side, account, charge, counter)) in sides.into_iter().enumerate() {
            let amount = -charge.total().unwrap().billionths();
            balances[place] += amount;
            changes.push(Change::Ledger(Box::new(LedgerEntry {
                account,
                at_us: record.started_us,
                kind: EntryKind::Charge,
                amount,
                balance: balances[place],
                counter,
                reference: format!("cdr:{}:{side}", id_text(record.id)),
                who: String::new(),
                memo: String::new(),
            })));
        }
        changes.push(Change::CdrEnd(Box::new(cdr)));
    }
    changes
}

fn prepared(name: &str, count: u64) -> Node {
    prepared_with(name, count, "")
}

/// The same, of calls whose rates were looked up behind a prefix.
fn prepared_with(name: &str, count: u64, billing_prefix: &str) -> Node {
    let mut node = Node::prepare(name);
    node.run();
    let number = |made: Value| u32::try_from(made["id"].as_u64().unwrap()).unwrap();
    let account = |name: &str, role: &str| {
        number(node.ok("POST", "/account", &json!({"name": name, "role": role, "credit": null})))
    };
    let tariff = |name: &str, rate: &str| {
        let id = number(node.ok("POST", "/tariff", &json!({"name": name})));
        let rates = json!([{"prefix": "44", "rate": rate}]);
        node.ok("POST", &format!("/tariff/{name}/rate"), &rates);
        id
    };
    let there = There {
        buyer: account("buyer", "customer"),
        carrier: account("carrier", "vendor"),
        retail: tariff("retail", "0.60"),
        cost: tariff("cost", "0.30"),
    };
    node.kill();
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    let mut changes = calls(&there, count);
    for change in &mut changes {
        if let Change::CdrEnd(cdr) = change {
            cdr.record.billing_prefix = Text::new(billing_prefix.as_bytes()).unwrap();
        }
    }
    store.commit(&changes).unwrap();
    drop(store);
    node.run();
    node
}

fn balances(node: &Node) -> [Value; 2] {
    ["buyer", "carrier"].map(|name| node.look(&format!("/account/{name}"))["balance"].clone())
}

fn wish(request_id: &str) -> Value {
    json!({"reason": "wrong sheet", "request_id": request_id})
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

/// Follows pages of so many records. The counts of all of them, and their items.
fn rerate(node: &Node, path: &str, limit: usize, body: &Value) -> (Value, Vec<Value>) {
    let mut counts = json!({});
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = node.ok("POST", &format!("{path}&limit={limit}{cursor}"), body);
        for (name, count) in page.as_object().unwrap() {
            if let Some(count) = count.as_u64() {
                counts[name] = (counts[name].as_u64().unwrap_or(0) + count).into();
            }
        }
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (counts, items),
        }
    }
}

fn agrees(node: &Node) {
    let audit = node.look("/ledger/audit");
    assert_eq!(audit["agrees"], true, "{audit}");
}

#[test]
fn calls_cost_what_the_mended_tariffs_say_once_and_the_books_agree_over_restarts() {
    let mut node = prepared("rerate", 5);
    let path = format!("/cdr/rerate?{TIME}");
    // Four calls of 61 s and one that was granted 10; the vendor bills 61 s of each.
    assert_eq!(balances(&node), ["-2.54", "-1.525"]);

    let (counts, items) = rerate(&node, &path, 2, &wish("as-it-was"));
    assert_eq!((&counts["records"], &counts["unchanged"]), (&json!(5), &json!(5)), "{counts}");
    assert!(items.is_empty());

    // The customer's tariff is mended, in whole minutes; the vendor's stays.
    let rate = json!([{"prefix": "44", "rate": "0.12", "minimum_s": 60, "increment_s": 60}]);
    node.ok("POST", "/tariff/retail/rate", &rate);
    let dry = with(wish("mended"), "dry_run", true);
    let (counts, items) = rerate(&node, &path, 2, &dry);
    assert_eq!((&counts["changed"], &counts["records"]), (&json!(5), &json!(5)), "{counts}");
    let told = |item: &Value| {
        ["old_charge", "charge", "billed_s", "rate"].map(|field| item[field].clone())
    };
    let newest = [json!("0.10"), json!("0.12"), json!(60), json!("0.12/60s")];
    assert_eq!(told(&items[0]), newest, "10 s were granted, and a minute is billed for them");
    let others = [json!("0.61"), json!("0.24"), json!(120), json!("0.12/60s")];
    assert!(items[1..].iter().all(|item| told(item) == others), "{items:?}");
    assert_eq!(balances(&node), ["-2.54", "-1.525"], "a dry run moves nothing");

    // The first page, and then it is killed.
    let first = node.ok("POST", &format!("{path}&limit=2"), &wish("mended"));
    assert_eq!((&first["changed"], &first["dry_run"]), (&json!(2), &json!(false)));
    node.kill();
    node.run();
    let (counts, _) = rerate(&node, &path, 2, &wish("mended"));
    assert_eq!((&counts["repeated"], &counts["changed"]), (&json!(2), &json!(3)), "{counts}");
    assert_eq!(balances(&node), ["-1.08", "-1.525"]);
    agrees(&node);
    let (counts, _) = rerate(&node, &path, 10, &wish("mended"));
    assert_eq!(counts["repeated"], 5, "once per request id");
    assert_eq!(balances(&node), ["-1.08", "-1.525"]);

    // A record tells what it costs now, and by what, so it can be computed again.
    let shown = node.look(&format!("/cdr/{}", id_text([0, 7])));
    let fields = ["charge", "billed_s", "rate", "vendor_charge", "vendor_rate"];
    let told = fields.map(|field| shown[field].clone());
    assert_eq!(
        told,
        [json!("0.24"), json!(120), json!("0.12/60s"), json!("0.305"), json!("0.30/60s")]
    );
    let terms = control::cdr::terms_from_text(shown["terms"].as_str().unwrap()).unwrap();
    let again = terms.charge(shown["charged_ms"].as_u64().unwrap()).unwrap();
    assert_eq!((again.fee.to_string(), again.billed_s), ("0.24".into(), 120));
    let report = node.look(&format!("/reports/revenue?{TIME}"));
    let row = &report["items"][0];
    assert_eq!((&row["revenue"], &row["billed_s"]), (&json!("1.08"), &json!(540)), "{report}");
}

#[test]
fn a_call_by_a_route_with_a_price_of_its_own_is_rated_anew_by_that() {
    let node = prepared_with("rerate-route", 2, "72");
    let path = format!("/cdr/rerate?{TIME}");
    let (counts, _) = rerate(&node, &path, 10, &wish("none"));
    assert_eq!(counts["unrated"], 2, "a rate for 44 says nothing of it: {counts}");
    node.ok("POST", "/tariff/retail/rate", &json!([{"prefix": "7244", "rate": "1.20"}]));
    let (counts, items) = rerate(&node, &path, 10, &wish("by route"));
    assert_eq!(counts["changed"], 2, "{counts}");
    assert_eq!((&items[1]["charge"], &items[1]["rate"]), (&json!("1.22"), &json!("1.20/60s")));
    assert_eq!(items[1]["vendor_charge"], "0.305", "vendors are paid for the number");
    agrees(&node);
}

#[test]
fn one_side_may_be_rated_by_another_tariff_and_what_people_set_right_stays() {
    let node = prepared("rerate-side", 3);
    let path = format!("/cdr/rerate?{TIME}");
    let by_hand = format!("/cdr/{}/correction", id_text([1, 7]));
    node.ok(
        "POST",
        &by_hand,
        &json!({"vendor_charge": "0.50", "reason": "claim", "request_id": "c"}),
    );
    node.ok("POST", "/tariff", &json!({"name": "new"}));
    node.ok("POST", "/tariff/new/rate", &json!([{"prefix": "44", "rate": "0.06"}]));

    let body = with(with(wish("new"), "side", "vendor"), "tariff", "new");
    let (counts, items) = rerate(&node, &path, 10, &body);
    assert_eq!((&counts["changed"], &counts["kept"]), (&json!(2), &json!(1)), "{counts}");
    assert!(items.iter().any(|item| item["what"] == "kept" && item["vendor_charge"] == "0.50"));
    assert_eq!(balances(&node), ["-1.32", "-0.622"]);
    agrees(&node);

    let body = with(with(body, "with_corrected", true), "request_id", "all");
    let (counts, _) = rerate(&node, &path, 10, &body);
    assert_eq!((&counts["changed"], &counts["unchanged"]), (&json!(1), &json!(2)), "{counts}");
    assert_eq!(balances(&node), ["-1.32", "-0.183"]);

    // A hand that comes after a re-rate goes by its terms, and its amounts are the old ones.
    let right = json!({"charge": "0.01", "reason": "gift", "request_id": "d"});
    node.ok("POST", &by_hand, &right);
    let shown = node.look(&format!("/cdr/{}", id_text([1, 7])));
    assert_eq!((&shown["charge"], &shown["vendor_charge"]), (&json!("0.01"), &json!("0.061")));
    assert_eq!(shown["corrections"].as_array().unwrap().len(), 3);
    agrees(&node);

    // No rate any more: told, and left.
    node.ok("DELETE", "/tariff/retail/rate/44", &Value::Null);
    let body = with(wish("gone"), "side", "customer");
    let (counts, items) = rerate(&node, &path, 10, &body);
    assert_eq!((&counts["unrated"], &counts["kept"]), (&json!(2), &json!(1)), "{counts} {items:?}");
    agrees(&node);
}

#[test]
fn the_command_line_follows_all_pages_and_tells_what_they_come_to() {
    let node = prepared("rerate-cli", 1_203);
    node.ok("POST", "/tariff/retail/rate", &json!([{"prefix": "44", "rate": "0.30"}]));
    let rerate = |more: &[&str]| {
        let words = [
            "cdr",
            "rerate",
            "--from",
            "2026-01-01T00:00:00Z",
            "--to",
            "2026-01-02T00:00:00Z",
            "--account",
            "buyer",
            "--reason",
            "half",
            "--request-id",
            "half",
        ];
        tollgate(&node, &[&words[..], more].concat())
    };
    let (code, out, err) = rerate(&["--dry-run"]);
    assert_eq!((code, err.as_str()), (0, ""));
    // 1,202 calls of 0.61 and one of 0.10, and half of that.
    assert!(out.contains("records 1203, changed 1203"), "{}", &out[out.len() - 2_000..]);
    assert!(out.contains("733.32") && out.contains("366.66"), "{}", &out[out.len() - 2_000..]);
    assert_eq!(balances(&node)[0], "-733.32");
    let (code, out, _) = rerate(&["--side", "customer", "--with-corrected"]);
    assert_eq!(code, 0);
    assert!(out.contains("changed 1203"));
    assert_eq!(balances(&node)[0], "-366.66");
    let words = ["--output", "json", "cdr", "rerate", "--from", "2026-01-01T00:00:00Z"];
    let again = ["--to", "2026-01-02T00:00:00Z", "--reason", "half", "--request-id", "half"];
    let (code, out, _) = tollgate(&node, &[&words[..], &again[..]].concat());
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["repeated"], &told["changed"]), (0, &json!(1_203), &json!(0)));
    let (code, _, err) = tollgate(&node, &["cdr", "rerate", "--reason", "x", "--request-id", "y"]);
    assert!(code == 1 && err.contains("from"), "{err}");
    agrees(&node);
}

#[test]
fn a_rerate_says_what_is_wrong_with_it() {
    let node = prepared("rerate-wrong", 1);
    let path = format!("/cdr/rerate?{TIME}");
    let wrong = [
        ("/cdr/rerate".to_owned(), wish("w"), 422, "from"),
        ("/cdr/rerate?from=2026-01-01T00:00:00Z".to_owned(), wish("w"), 422, "to"),
        (format!("{path}&limit=5000"), wish("w"), 422, "limit"),
        (format!("{path}&cursor=x"), wish("w"), 422, "cursor"),
        (format!("{path}&account=nobody"), wish("w"), 404, "nobody"),
        (path.clone(), json!({"request_id": "w"}), 422, "reason"),
        (path.clone(), with(wish("w"), "reason", ""), 422, "reason"),
        (path.clone(), with(wish("w"), "request_id", ""), 422, "request_id"),
        (path.clone(), with(wish("w"), "side", "agent"), 422, "side"),
        (path.clone(), with(wish("w"), "tariff", "retail"), 422, "side"),
        (path.clone(), with(with(wish("w"), "tariff", "none"), "side", "vendor"), 404, "none"),
    ];
    for (path, body, status, named) in wrong {
        let (said, problem) = node.say("POST", &path, &body);
        assert_eq!(said, status, "{path} {body} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    let taken = json!({"charge": "1", "reason": "x", "request_id": "rerate:w"});
    let path = format!("/cdr/{}/correction", id_text([0, 7]));
    assert_eq!(node.say("POST", &path, &taken).0, 422);
    assert_eq!(balances(&node), ["-0.10", "-0.305"]);
}
