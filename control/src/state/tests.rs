//! Documents as operators and the store bring them.

use rating::Asked;
use serde_json::json;

use super::entity::RateRow;
use super::*;

fn with_account(name: &str) -> State {
    let mut state = State::default();
    state.create(Kind::Account, json!({"name": name, "role": "customer"})).unwrap();
    state
}

fn mapping(name: &str, address: &str) -> Value {
    json!({"name": name, "account": "a", "addresses": [address]})
}

#[test]
fn an_account_without_a_word_about_credit_has_none() {
    let state = with_account("a");
    assert_eq!(state.account("a").unwrap().credit, Some(Money::ZERO));
    let mut state = State::default();
    let unlimited = json!({"name": "b", "role": "customer", "credit": null});
    state.create(Kind::Account, unlimited).unwrap();
    assert_eq!(state.account("b").unwrap().credit, None);
    let negative = json!({"name": "c", "role": "customer", "credit": "-1"});
    assert!(state.create(Kind::Account, negative).unwrap_err().detail.contains("credit"));
}

#[test]
fn an_id_is_never_given_twice_even_over_a_restart() {
    let mut state = with_account("a");
    let gone = state.delete(Kind::Account, "a").unwrap();
    let mut after = State::default();

    after.restore_ids(state.ids_used());
    after.restored();
    let next = after.create(Kind::Account, json!({"name": "b", "role": "customer"})).unwrap();
    assert!(next.id() > gone.id());
}

#[test]
fn an_account_with_money_or_calls_is_not_deleted() {
    let mut state = with_account("a");
    let id = state.account("a").unwrap().id;
    state.balances.entry(id).or_default().amount = "1.00".parse().unwrap();
    assert_eq!(state.delete(Kind::Account, "a").unwrap_err().status, 409);
    state.balances.insert(id, Balance { calls: 1, ..Balance::default() });
    assert_eq!(state.delete(Kind::Account, "a").unwrap_err().status, 409);
    state.balances.insert(id, Balance::default());
    state.delete(Kind::Account, "a").unwrap();
    assert!(!state.balances.contains_key(&id));
}

#[test]
fn two_customers_never_share_a_source() {
    let mut state = with_account("a");
    state.create(Kind::Mapping, mapping("one", "10.1.1.0/24")).unwrap();
    let refusal = state.create(Kind::Mapping, mapping("two", "10.1.1.7/24")).unwrap_err();
    assert_eq!(refusal.status, 409);
    assert!(refusal.detail.contains("one"), "{}", refusal.detail);
    state.create(Kind::Mapping, mapping("port", "10.1.1.0/24:5080")).unwrap();
    state.create(Kind::Mapping, mapping("host", "10.1.1.7")).unwrap();
    let mut tech = mapping("tech", "10.1.1.0/24");
    tech["tech_prefix"] = "99".into();
    state.create(Kind::Mapping, tech).unwrap();
    state.update(Kind::Mapping, "one", &json!({"lines_max": 5})).unwrap();
    assert_eq!(
        state.update(Kind::Mapping, "tech", &json!({"tech_prefix": ""})).unwrap_err().status,
        409
    );
}

#[test]
fn a_charge_is_never_booked_in_another_currency() {
    let mut state = with_account("a");
    state.create(Kind::Tariff, json!({"name": "usd", "currency": "USD"})).unwrap();
    state.create(Kind::Tariff, json!({"name": "eur"})).unwrap();
    let mut gateway = mapping("g", "10.1.1.1");
    gateway["tariff"] = "usd".into();
    assert!(state.create(Kind::Mapping, gateway.clone()).unwrap_err().detail.contains("USD"));
    gateway["tariff"] = "eur".into();
    state.create(Kind::Mapping, gateway).unwrap();
    for (kind, name) in [(Kind::Tariff, "eur"), (Kind::Account, "a")] {
        let refusal = state.update(kind, name, &json!({"currency": "USD"})).unwrap_err();
        assert_eq!(refusal.status, 409, "{}", refusal.detail);
    }
    // Nothing refers to it, but its balance is in euros.
    let mut state = with_account("a");
    let id = state.account("a").unwrap().id;
    state.balances.entry(id).or_default().amount = "5.00".parse().unwrap();
    assert!(state.update(Kind::Account, "a", &json!({"currency": "USD"})).is_err());
}

#[test]
fn a_version_is_ours_to_count() {
    let mut state = State::default();
    let forged = json!({"name": "t", "version": u32::MAX});
    state.create(Kind::Tariff, forged).unwrap();
    state.update(Kind::Tariff, "t", &json!({"version": u32::MAX, "id": 77})).unwrap();
    let row: RateRow = serde_json::from_value(json!({"prefix": "44", "rate": "0.01"})).unwrap();
    let Entity::Tariff(head) = state.put_rates("t", &[row], false).unwrap() else { panic!() };
    assert_eq!((head.id, head.version), (1, 2));
}

#[test]
fn one_network_is_one_entry_however_it_is_written() {
    let mut state = State::default();
    let entity = state.create(Kind::Deny, json!({"name": "10.9.9.9/8"})).unwrap();
    assert_eq!(entity.name(), "10.0.0.0/8");
    assert_eq!(state.create(Kind::Deny, json!({"name": "10.0.0.0/8"})).unwrap_err().status, 409);
    state.create(Kind::Deny, json!({"name": "FD10::0001"})).unwrap();
    assert!(state.document(Kind::Deny, "fd10::1").is_ok());
    state.delete(Kind::Deny, "fd10:0::1/128").unwrap();
}

#[test]
fn a_target_that_nothing_can_be_sent_to_is_refused() {
    let mut state = with_account("a");
    for target in ["10.0.0.1:0", "0.0.0.0:5060", "224.0.0.1:5060", "[::]:5060"] {
        let body = json!({"name": "v", "account": "a", "target": target});
        assert!(
            state.create(Kind::Routing, body).unwrap_err().detail.contains("target"),
            "{target}"
        );
    }
}

#[test]
fn rates_that_cannot_be_are_refused_and_change_nothing() {
    let mut state = State::default();
    state.create(Kind::Tariff, json!({"name": "t"})).unwrap();
    let row = |rate: &str| -> RateRow {
        serde_json::from_value(json!({"prefix": "44", "rate": rate})).unwrap()
    };
    state.put_rates("t", &[row("0.01")], false).unwrap();
    assert!(state.put_rates("t", &[row("0.02"), row("-1")], true).is_err());
    let id = state.document(Kind::Tariff, "t").unwrap().id();
    assert_eq!(
        state.price(id, &Asked { callee: b"4420", caller: None, at_us: 0 }).unwrap().rate,
        "0.01".parse().unwrap()
    );
}

#[test]
fn running_calls_keep_their_payer() {
    let mut state = with_account("a");
    state.create(Kind::Account, json!({"name": "b", "role": "customer"})).unwrap();
    let id = state.create(Kind::Mapping, mapping("g", "10.1.1.1")).unwrap().id();
    state.limiters.entry(id).or_default().take_line();
    assert_eq!(state.delete(Kind::Mapping, "g").unwrap_err().status, 409);
    assert_eq!(state.update(Kind::Mapping, "g", &json!({"account": "b"})).unwrap_err().status, 409);
    state.update(Kind::Mapping, "g", &json!({"locked": true})).unwrap();
    state.limiters.get_mut(&id).unwrap().release_line();
    state.update(Kind::Mapping, "g", &json!({"account": "b"})).unwrap();
    state.delete(Kind::Mapping, "g").unwrap();
}
