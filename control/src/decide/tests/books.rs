//! Money that people book, and that calls do: once, and with two sides.

use super::*;
use crate::Refusal;
use crate::store::ledger::{Counter, EntryKind};

fn book(desk: &mut Desk, path: &str, body: Value) -> Result<Value, Refusal> {
    let path = path.split('/').map(str::to_owned).collect();
    desk.office.handle_command_of(
        desk.time,
        "anna",
        &Command {
            method: Method::Post,
            path,
            query: BTreeMap::new(),
            body,
            rates: vec![],
            ranges: None,
            entries: None,
            records: None,
            sheet: None,
        },
    )
}

#[test]
fn a_request_id_books_once_and_its_repeat_hears_the_first_answer() {
    let mut desk = Desk::new("10");
    let payment = json!({"amount": "10", "request_id": "a", "memo": "cash"});
    let first = book(&mut desk, "account/customer/payment", payment.clone()).unwrap();
    let balance = first["balance"].clone();
    assert_eq!(first["repeated"], false);
    book(&mut desk, "account/customer/payment", json!({"amount": "5", "request_id": "b"})).unwrap();
    let again = book(&mut desk, "account/customer/payment", payment).unwrap();
    assert_eq!(again, json!({"balance": balance, "repeated": true}));
    // Another amount, or another kind, is another booking.
    let taken = [
        ("account/customer/payment", json!({"amount": "11", "request_id": "a"})),
        ("account/customer/refund", json!({"amount": "10", "request_id": "a"})),
        ("account/customer/correction", json!({"amount": "5", "request_id": "b", "memo": "x"})),
    ];
    for (path, body) in taken {
        let refusal = book(&mut desk, path, body).unwrap_err();
        assert_eq!(refusal.status, 409, "{path}: {}", refusal.detail);
        assert!(refusal.detail.contains("booked a payment of"), "{}", refusal.detail);
    }
    // Of another account it is another one.
    book(&mut desk, "account/vendor/payment", json!({"amount": "1", "request_id": "a"})).unwrap();
}

#[test]
fn each_kind_of_booking_has_its_counter_account_and_says_who_and_what_was_left() {
    let mut desk = Desk::new("10");
    desk.settle();
    let told = [
        ("account/customer/payment", "3", EntryKind::Payment, Counter::Cash),
        ("account/customer/refund", "2", EntryKind::Refund, Counter::Cash),
        ("account/customer/correction", "-0.5", EntryKind::Correction, Counter::Correction),
        ("account/vendor/payment", "4", EntryKind::Payment, Counter::Settled),
        ("account/vendor/refund", "1", EntryKind::Refund, Counter::Settled),
    ];
    for (index, (path, amount, ..)) in told.iter().enumerate() {
        let body = json!({"amount": amount, "request_id": index.to_string(), "memo": "why"});
        book(&mut desk, path, body).unwrap();
    }
    let written = desk.settle();
    let found: Vec<_> = written.ledger.iter().map(|it| (it.kind, it.counter)).collect();
    assert_eq!(found, told.map(|(_, _, kind, counter)| (kind, counter)));
    let amounts: Vec<i64> = written.ledger.iter().map(|it| it.amount / 100_000_000).collect();
    assert_eq!(amounts, [30, -20, -5, 40, -10]);
    assert!(written.ledger.iter().all(|it| it.who == "anna" && it.memo == "why"));
    // Each entry says what was left after it.
    for pair in written.ledger.windows(2).filter(|pair| pair[0].account == pair[1].account) {
        assert_eq!(pair[1].balance, pair[0].balance + pair[1].amount);
    }
}

#[test]
fn a_refund_gives_back_what_is_there_and_not_credit() {
    let mut desk = Desk::new("10");
    let account = desk.office.state.account("customer").unwrap().id;
    let balance = desk.office.state.balances.entry(account).or_default();
    (balance.amount, balance.reserved) = ("5".parse().unwrap(), "2".parse().unwrap());
    let refund = |amount: &str| json!({"amount": amount, "request_id": amount});
    let refusal = book(&mut desk, "account/customer/refund", refund("3.01")).unwrap_err();
    assert!(refusal.detail.contains("3.00 is there to give back, 2.00 held"), "{}", refusal.detail);
    let answer = book(&mut desk, "account/customer/refund", refund("3")).unwrap();
    assert_eq!(answer["balance"], "2.00");
}
