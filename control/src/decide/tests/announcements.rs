//! Who hears why a call fails, and that nobody pays for it.

use serde_json::json;

use super::*;

/// Whether a call of the customer that is admitted, and one that is refused, would be announced.
fn announced(desk: &mut Desk) -> (bool, bool) {
    let admitted = desk.call().1.announces();
    let refused = desk.invite("10.1.0.1:5060", "33144");
    let gateway = desk.office.state.customers.iter().find(|it| it.name == "in").unwrap().gateway.id;
    let told = desk.ask(&refused).unwrap_err().announced;
    assert!(told == 0 || told == gateway, "{told}");
    (admitted, told != 0)
}

#[test]
fn callers_hear_why_where_their_gateway_or_account_wants_that_and_strangers_never() {
    let mut desk = Desk::new("100000");
    assert_eq!(announced(&mut desk), (false, false), "a carrier reroutes by the plain failure");
    for path in ["gateway/mapping/in", "account/customer"] {
        desk.patch(path, json!({"announcements": true}));
        assert_eq!(announced(&mut desk), (true, true), "{path}");
        let stranger = desk.invite("10.9.9.9:5060", "44207");
        assert_eq!(desk.ask(&stranger).unwrap_err().announced, 0);
        desk.patch(path, json!({"announcements": false}));
    }
    assert_eq!(announced(&mut desk), (false, false));
}

#[test]
fn a_phone_hears_why_where_it_wants_that_itself() {
    for wants in [false, true] {
        let mut desk = Desk::new("100000");
        let phone = json!({
            "name": "bob", "account": "customer", "tariff": "sell", "password": "Secret-Word-17",
            "announcements": wants,
        });
        desk.post("phone", phone).unwrap();
        let bob = desk.office.customer_named("bob").unwrap().gateway.id;
        for callee in ["44207", "33144"] {
            let mut admit = desk.invite("10.9.9.9:5060", callee);
            admit.transferor = bob;
            let told = match desk.ask(&admit) {
                Ok(route) => route.announces(),
                Err(no) => no.announced == bob,
            };
            assert_eq!(told, wants, "{callee}");
        }
        let (admitted, refused) = announced(&mut desk);
        assert!(!admitted && !refused, "its gateway is another's");
    }
}

#[test]
fn an_announced_failure_costs_nobody_anything_and_is_recorded_as_it_failed() {
    let mut desk = Desk::new("10");
    desk.patch("account/customer", json!({"announcements": true}));
    // Refused by us: the record is written before the prompt begins.
    let admit = desk.invite("10.1.0.1:5060", "33144");
    desk.ask(&admit).unwrap_err();
    // Failed by the vendor: the record ends when the prompt does, and says when the call failed.
    let (admit, route) = desk.call();
    let mut record = talked(&admit, &route, 0);
    (record.status, record.reason) = (486, EndReason::Busy as u8);
    (record.answered_ms, record.ended_ms) = (NEVER, 700);
    (record.attempts[0].answered_ms, record.attempts[0].ended_ms) = (NEVER, 700);
    desk.pass(5_000);
    desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    let written = desk.settle();
    let told: Vec<_> = written
        .ends
        .iter()
        .map(|cdr| (cdr.record.status, cdr.record.end_reason(), cdr.customer_charge.fee))
        .collect();
    assert_eq!(told, [(403, EndReason::NoRate, Money::ZERO), (486, EndReason::Busy, Money::ZERO)]);
    assert!(written.ledger.is_empty(), "{:?}", written.ledger);
}
