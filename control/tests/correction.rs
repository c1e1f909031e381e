//! A stored call is set right: beside its row, once, with both balances and the audit.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use command_line::tollgate;
use control::cdr::{BillingMode, Cdr, id_text};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::Sqlite;
use control::store::{Change, LedgerEntry, Store};
use link::CallRecord;
use node::Node;
use rating::{Charge, Money, Origin, Price, Rounding, RoundingMode, Terms};
use serde_json::{Value, json};

const ID: [u64; 2] = [7, 7];

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// A call of 1.00 that cost 0.40, as it is stored with its entries.
fn stored(customer: u32, vendor: u32) -> Vec<Change> {
    let record =
        CallRecord { id: ID, started_us: 1_000_000, ended_ms: 60_000, ..CallRecord::empty() };
    let charge = |fee: &str| Charge { billed_s: 60, fee: money(fee), ..Charge::default() };
    let cdr = Cdr {
        record,
        billing_mode: BillingMode::CustomerGateway,
        customer,
        vendor,
        customer_charge: charge("1"),
        vendor_charge: charge("0.40"),
        ..Cdr::default()
    };
    let entry = |account, fee: &str, counter, side| {
        let amount = -money(fee).billionths();
        Change::Ledger(Box::new(LedgerEntry {
            account,
            at_us: 1,
            kind: EntryKind::Charge,
            amount,
            balance: amount,
            counter,
            reference: format!("cdr:{}:{side}", id_text(ID)),
            who: String::new(),
            memo: String::new(),
        }))
    };
    vec![
        entry(customer, "1", Counter::Revenue, "customer"),
        entry(vendor, "0.40", Counter::Cost, "vendor"),
        Change::CdrEnd(Box::new(cdr)),
    ]
}

fn balances(node: &Node) -> [Value; 2] {
    ["buyer", "carrier"].map(|name| node.look(&format!("/account/{name}"))["balance"].clone())
}

#[test]
fn a_stored_call_is_set_right_once_and_the_books_agree_over_a_restart() {
    let mut node = Node::prepare("correction");
    node.run();
    let account = |node: &Node, name: &str, role: &str| {
        let made = node.ok("POST", "/account", &json!({"name": name, "role": role}));
        u32::try_from(made["id"].as_u64().unwrap()).unwrap()
    };
    let (customer, vendor) =
        (account(&node, "buyer", "customer"), account(&node, "carrier", "vendor"));
    node.kill();
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.commit(&stored(customer, vendor)).unwrap();
    drop(store);
    node.run();
    assert_eq!(balances(&node), ["-1.00", "-0.40"]);

    let path = format!("/cdr/{}/correction", id_text(ID));
    let right = json!({"charge": "0.75", "reason": "wrong rate", "request_id": "t1"});
    let answer = node.ok("POST", &path, &right);
    assert_eq!((&answer["charge"], &answer["repeated"]), (&json!("0.75"), &json!(false)));
    assert_eq!(balances(&node), ["-0.75", "-0.40"]);
    let both =
        json!({"charge": "0.50", "vendor_charge": "0.60", "reason": "again", "request_id": "t2"});
    node.ok("POST", &path, &both);

    for _ in 0..2 {
        assert_eq!(balances(&node), ["-0.50", "-0.60"]);
        let shown = node.look(&format!("/cdr/{}", id_text(ID)));
        assert_eq!((&shown["charge"], &shown["vendor_charge"]), (&json!("0.50"), &json!("0.60")));
        let first = &shown["corrections"][0];
        assert_eq!(
            (&first["old_charge"], &first["reason"]),
            (&json!("1.00"), &json!("wrong rate"))
        );
        assert_eq!(node.look("/cdr")["items"][0]["charge"], "0.50");
        let audit = node.look("/ledger/audit");
        assert_eq!((&audit["agrees"], &audit["entries"]), (&json!(true), &json!(5)), "{audit}");
        // The same again moves nothing, something else by the same id is refused.
        assert_eq!(node.ok("POST", &path, &right)["repeated"], true);
        let other = json!({"charge": "0.74", "reason": "wrong rate", "request_id": "t1"});
        assert_eq!(node.say("POST", &path, &other).0, 409);
        node.kill();
        node.run();
    }

    let wrong = [
        (path.as_str(), json!({"charge": "-1", "reason": "x", "request_id": "w"}), 422),
        (path.as_str(), json!({"charge": "1", "reason": "", "request_id": "w"}), 422),
        (path.as_str(), json!({"charge": "0.5", "reason": "x", "request_id": "w"}), 422),
        (path.as_str(), json!({"reason": "x", "request_id": "w"}), 422),
        ("/cdr/00/correction", json!({"charge": "1", "reason": "x", "request_id": "w"}), 404),
    ];
    for (path, body, status) in wrong {
        assert_eq!(node.say("POST", path, &body).0, status, "{body}");
    }
    assert_eq!(balances(&node), ["-0.50", "-0.60"]);
}

#[test]
fn tax_follows_the_terms_and_nobody_pays_for_who_is_gone_or_still_talks() {
    let mut node = Node::prepare("correction-tax");
    node.run();
    let made = |node: &Node, path: &str, body: Value| {
        u32::try_from(node.ok("POST", path, &body)["id"].as_u64().unwrap()).unwrap()
    };
    let role = |name: &str, role: &str| json!({"name": name, "role": role});
    let customer = made(&node, "/account", role("buyer", "customer"));
    let vendor = made(&node, "/account", role("carrier", "vendor"));
    node.kill();
    let mut taxed = stored(customer, vendor);
    let Some(Change::CdrEnd(cdr)) = taxed.last_mut() else { panic!("it ends") };
    let price = Price {
        tariff: 1,
        version: 1,
        prefix_digits: 2,
        origin: Origin::Any,
        locked: false,
        rate: money("1"),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: Default::default(),
        connection_fee: Money::ZERO,
        fee_precision: 2,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 190_000,
    };
    let terms = Terms::customer(price, Rounding::default());
    assert_eq!(terms.tax(money("1")).unwrap(), money("0.19"), "19 percent");
    cdr.record.customer_terms = link::record::Terms { words: terms.to_words() };
    let talking = CallRecord { id: [8, 8], answered_ms: 1, ..CallRecord::empty() };
    taxed.push(Change::CdrStart(Box::new(Cdr { record: talking, ..Cdr::default() })));
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.commit(&taxed).unwrap();
    drop(store);
    node.run();

    let path = format!("/cdr/{}/correction", id_text(ID));
    let id = id_text(ID);
    let words = ["cdr", "modify", &id, "--charge", "2", "--reason", "doubled", "--request-id", "t"];
    let (code, out, err) = tollgate(&node, &words);
    assert!(code == 0 && out.contains("0.38"), "{out}{err}");
    assert_eq!(balances(&node)[0], "-2.38");
    let talks = format!("/cdr/{}/correction", id_text([8, 8]));
    let right = json!({"charge": "1", "reason": "x", "request_id": "y"});
    assert_eq!(node.say("POST", &talks, &right).0, 409);

    // Paid out, and deleted.
    node.ok("POST", "/account/carrier/payment", &json!({"amount": "0.40", "request_id": "p"}));
    node.ok("DELETE", "/account/carrier", &Value::Null);
    let right = json!({"vendor_charge": "1", "charge": "1", "reason": "x", "request_id": "z"});
    let (status, problem) = node.say("POST", &path, &right);
    assert_eq!((status, &problem["title"]), (409, &json!("nobody to charge")), "{problem}");
    assert_eq!(node.look("/account/buyer")["balance"], "-2.38", "both sides or none");
}
