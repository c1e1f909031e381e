//! Prices by route and of forwarded calls.

use proptest::prelude::*;

use super::*;

impl Desk {
    /// Routes with prices of their own: 71 costs `first` a minute, 72 `second`.
    fn routed(money: &str, first: &str, second: &str) -> Self {
        let mut desk = Self::new(money);
        desk.patch("account/customer", json!({"route_prefix_billing": true}));
        for (name, prefix, rate) in [("first", "71", first), ("second", "72", second)] {
            desk.patch(&format!("gateway/routing/{name}"), json!({"billing_prefix": prefix}));
            let row = json!({"prefix": format!("{prefix}44"), "rate": rate});
            desk.post("tariff/sell/rate", row).unwrap();
        }
        desk
    }

    /// The candidate in that place answers.
    fn answers_by(&mut self, call: &(Admit, Route), place: usize) {
        let ask = Ask::Answered(Answered { call: call.0.call, asked_us: 0 });
        let record = CallRecord { ended_ms: NEVER, ..by(call, place, 0) };
        self.office.handle_ask(self.time, 0, &ask, || Some(record));
        self.settle();
        self.answers();
    }

    /// Control dies, and the next one finds the call while it rings the candidate in that place.
    fn restarts_ringing(&mut self, call: &(Admit, Route), place: usize) {
        let mut record = CallRecord { ended_ms: NEVER, answered_ms: NEVER, ..by(call, place, 0) };
        record.attempts[0].answered_ms = NEVER;
        self.office.release(call.0.record);
        self.office.rebuild(self.time, 0, call.0.call, &record);
    }

    /// What the record says of the call that ends so.
    fn ends_by(&mut self, call: &(Admit, Route), place: usize, seconds: u32) -> Value {
        let record = by(call, place, seconds * 1000);
        self.office.handle_ended(self.time, 0, call.0.call, &record, false);
        self.settle().ends[0].describe()
    }
}

/// The record of a call that the candidate in that place answered.
fn by((admit, route): &(Admit, Route), place: usize, talk_ms: u32) -> CallRecord {
    let candidate = &route.candidates[place];
    let mut record = talked(admit, route, talk_ms);
    record.granted_s = route.granted_s;
    record.customer_terms = candidate.customer_terms;
    record.billing_prefix = candidate.billing_prefix;
    record.held = route.held;
    record.vendor_terms = candidate.terms;
    record.attempts[0].gateway = candidate.gateway;
    record
}

fn prefixes(route: &Route) -> Vec<String> {
    let candidates = route.candidates().iter();
    candidates.map(|it| it.billing_prefix.to_text().into_owned()).collect()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn two_routes_with_two_prefixes_cost_two_charges() {
    let mut desk = Desk::routed("10", "0.60", "1.20");
    for (place, prefix, charge) in [(0, "71", "0.60"), (1, "72", "1.20")] {
        let call = desk.call();
        assert_eq!(prefixes(&call.1), ["71", "72"]);
        desk.answers_by(&call, place);
        let told = desk.ends_by(&call, place, 60);
        assert_eq!((&told["charge"], &told["billing_prefix"]), (&json!(charge), &json!(prefix)));
        assert_eq!(told["callee_billed"], "44207");
    }
    assert_eq!((desk.balance("customer"), desk.reserved()), ("8.20".into(), Money::ZERO));
    // Others pay what the number costs.
    desk.patch("account/customer", json!({"route_prefix_billing": false}));
    let call = desk.call();
    assert_eq!(prefixes(&call.1), ["", ""]);
    assert_eq!(desk.ends_by(&call, 1, 60)["charge"], "0.60");
}

#[test]
fn a_route_without_a_rate_is_not_tried_and_a_rate_within_the_prefix_is_none() {
    let mut desk = Desk::routed("10", "0.60", "1.20");
    desk.post("tariff/sell/rate", json!({"prefix": "7", "rate": "0.01"})).unwrap();
    desk.say(Method::Delete, "tariff/sell/rate/7144", Value::Null).unwrap();
    let (_, route) = desk.call();
    assert_eq!(prefixes(&route), ["72"]);
    let excluded = desk.excluded();
    assert_eq!((excluded["first"].as_str(), excluded["second"].as_str()), ("no_rate", ""));
    desk.post("tariff/sell/rate", json!({"prefix": "7244", "rate": "1.20", "locked": true}))
        .unwrap();
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!(EndReason::from_number(no.reason), EndReason::NoRate, "why the best route is none");
    let explained = desk.office.explain_route(desk.time, "in", "39021234", "44207").unwrap();
    assert_eq!((&explained["admitted"], &explained["reason"]), (&json!(false), &json!("no_rate")));
    // A rate of the prefix alone is for all that the route carries.
    desk.post("tariff/sell/rate", json!({"prefix": "71", "rate": "0.90"})).unwrap();
    let (_, route) = desk.call();
    assert_eq!(prefixes(&route), ["71"]);
    let explained = desk.office.explain_route(desk.time, "in", "39021234", "44207").unwrap();
    let first = &explained["items"][0];
    assert_eq!(
        (&first["gateway"], &first["customer_price"]),
        (&json!("first"), &json!("0.90/60s"))
    );
    assert_eq!(
        (&explained["admitted"], &explained["customer_price"]),
        (&json!(true), &Value::Null)
    );
}

#[test]
fn routes_without_a_price_take_no_place_of_one_that_has_a_price() {
    let mut desk = Desk::routed("10", "0.60", "1.20");
    // More than a call has places for, before the one that the customer has a rate for.
    for place in 0..12 {
        let gateway = json!({
            "name": format!("more{place}"), "account": "vendor", "tariff": "buy", "priority": 1,
            "target": format!("10.3.0.{}:5060", place + 1), "prefixes": ["44"],
            "billing_prefix": format!("8{place}"),
        });
        desk.post("gateway/routing", gateway).unwrap();
    }
    desk.say(Method::Delete, "tariff/sell/rate/7144", Value::Null).unwrap();
    let (_, route) = desk.call();
    assert_eq!(prefixes(&route), ["72"]);
}

#[test]
fn a_call_is_granted_what_the_dearest_route_leaves_and_held_for_by_the_one_that_answered() {
    // 0.01 and 0.02 a second.
    let mut desk = Desk::routed("1", "0.60", "1.20");
    let call = desk.call();
    assert_eq!((call.1.granted_s, desk.reserved()), (50, money("1")));
    desk.answers_by(&call, 0);
    assert_eq!(desk.reserved(), money("0.50"));
    assert_eq!(desk.ends_by(&call, 0, 50)["charge"], "0.50");
    assert_eq!((desk.balance("customer"), desk.reserved()), ("0.50".into(), Money::ZERO));
    // Where the money does not pay for the dearer one at all, it is not tried.
    desk.set("PREVENT_OVERDRAFT_ADVANCE_TIME", "1");
    desk.post("account/customer/payment", json!({"amount": "0.50", "request_id": "more"})).unwrap();
    let call = desk.call();
    assert_eq!((prefixes(&call.1), call.1.granted_s), (vec!["71".to_owned()], 60));
    assert_eq!(desk.reserved(), money("0.60"));
}

#[test]
fn packages_pay_for_the_route_that_answered() {
    // Without money the best route alone is tried, at their cost.
    for (money, place, routes) in [("10", 1, &["71", "72"][..]), ("0.001", 0, &["71"])] {
        let mut desk = Desk::routed(money, "0.60", "1.20");
        desk.post("package", json!({"name": "gold", "free_minutes": 2})).unwrap();
        let mine = json!({"name": "mine", "account": "customer", "package": "gold"});
        desk.post("subscription", mine).unwrap();
        let call = desk.call();
        assert_eq!(
            (prefixes(&call.1), call.1.granted_s),
            (routes.iter().map(ToString::to_string).collect(), 60)
        );
        desk.answers_by(&call, place);
        assert_eq!(desk.reserved(), Money::ZERO);
        let told = desk.ends_by(&call, place, 60);
        assert_eq!((&told["charge"], &told["package_s"]), (&json!("0.00"), &json!(60)));
    }
}

#[test]
fn a_forwarded_call_costs_what_its_prefix_says_if_the_customer_is_believed() {
    for by_route in [false, true] {
        let mut desk = Desk::routed("10", "0.60", "1.20");
        let fields = json!({"route_prefix_billing": by_route, "forward_prefix": "F9"});
        desk.patch("account/customer", fields);
        let prefix = if by_route { "71F9" } else { "F9" };
        let row = json!({"prefix": format!("{prefix}44"), "rate": "3"});
        desk.post("tariff/sell/rate", row).unwrap();
        for (believed, prefix, charge) in
            [("false", if by_route { "71" } else { "" }, "0.60"), ("true", prefix, "3.00")]
        {
            let heard = json!({"forward_signal_heard": believed == "true"});
            desk.patch("gateway/mapping/in", heard);
            let mut admit = desk.invite("10.1.0.1:5060", "44207");
            admit.identities.diverter = Text::new(b"+397").unwrap();
            let route = desk.ask(&admit).unwrap();
            assert_eq!(prefixes(&route)[0], prefix);
            let call = (admit, route);
            desk.answers_by(&call, 0);
            assert_eq!(desk.ends_by(&call, 0, 60)["charge"], charge);
        }
        let rate = format!("tariff/sell/rate/{prefix}44");
        desk.say(Method::Delete, &rate, Value::Null).unwrap();
        let mut admit = desk.invite("10.1.0.1:5060", "44207");
        admit.identities.diverter = Text::new(b"+397").unwrap();
        let no = desk.ask(&admit).unwrap_err();
        assert_eq!(EndReason::from_number(no.reason), EndReason::NoRate);
    }
}

#[test]
fn a_control_that_finds_a_call_ringing_holds_what_its_dearest_route_may_cost() {
    let mut desk = Desk::routed("1", "0.60", "1.20");
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let call = (admit, desk.ask(&admit).unwrap());
    assert_eq!((call.1.granted_s, desk.reserved()), (50, money("1")));
    desk.restarts_ringing(&call, 0);
    assert_eq!(desk.reserved(), money("1"));
    // Who rings first is not who answers.
    desk.answers_by(&call, 1);
    let record = CallRecord { ended_ms: NEVER, ..by(&call, 1, 0) };
    let ask = Ask::Extend(link::ask::Extend { call: call.0.call, granted_s: 50, talked_s: 25 });
    desk.office.handle_ask(desk.time, 0, &ask, || Some(record));
    let said = desk.answers();
    assert!(matches!(&said[..], [Answer::Extended(it)] if it.granted_s == 50), "{said:?}");
    desk.ends_by(&call, 1, 50);
    assert_eq!((desk.balance("customer"), desk.reserved()), ("0.00".into(), Money::ZERO));
}

#[test]
fn a_prefix_has_seven_characters_at_most() {
    let mut desk = Desk::new("1");
    for (path, field) in
        [("account/customer", "forward_prefix"), ("gateway/routing/first", "billing_prefix")]
    {
        for (prefix, fits) in [("1234567", true), ("12345678", false), ("7 1", false), ("", true)] {
            let said = desk.say(Method::Patch, path, json!({ field: prefix }));
            assert_eq!(said.is_ok(), fits, "{field} {prefix}");
        }
    }
}

proptest! {
    #[test]
    fn calls_never_cost_more_than_there_is_whatever_route_they_take(
        rates in (1_u32..300, 1_u32..300),
        cents in 1_u32..300,
        calls in prop::collection::vec((any::<bool>(), 0_u32..200, any::<bool>(), any::<bool>()), 1..8),
    ) {
        let rate = |hundredths: u32| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let mut desk = Desk::routed(&rate(cents), &rate(rates.0), &rate(rates.1));
        let mut talking = Vec::new();
        for (second, seconds, answers, dies) in calls {
            let admit = desk.invite("10.1.0.1:5060", "44207");
            let Ok(route) = desk.ask(&admit) else { continue };
            let call = (admit, route);
            let place = usize::from(second && call.1.candidates_used > 1);
            if dies {
                desk.restarts_ringing(&call, 0);
            }
            if answers {
                desk.answers_by(&call, place);
            }
            prop_assert!(desk.reserved() <= money(&rate(cents)));
            talking.push((call, place, seconds));
        }
        for (call, place, seconds) in talking {
            let talks = seconds.min(call.1.granted_s);
            desk.ends_by(&call, place, talks);
        }
        prop_assert_eq!(desk.reserved(), Money::ZERO);
        prop_assert!(money(&desk.balance("customer")) >= Money::ZERO);
    }
}
