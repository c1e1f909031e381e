//! Whose a number is, and what becomes of it.

use super::*;

impl Desk {
    fn owner(&mut self, number: &str) -> Result<(Value, Value, Value), u16> {
        let said = self.say(Method::Get, &format!("number/owner/{number}"), Value::Null);
        let said = said.map_err(|no| no.status)?;
        Ok((said["account"].clone(), said["phone"].clone(), said["section"].clone()))
    }
}

fn section(name: &str, account: &str) -> Value {
    json!({"name": name, "account": account})
}

#[test]
fn a_number_inside_a_section_is_its_owners_and_the_next_one_is_nobodys() {
    let mut desk = Desk::new("1");
    let made = section("+39 0212 345.000-0039 0212 345999", "customer");
    let shown = desk.post("number/section", made).unwrap();
    assert_eq!(shown["name"], "390212345000-390212345999");
    assert_eq!((&shown["first"], &shown["last"]), (&json!("390212345000"), &json!("390212345999")));
    let owned = |name: &str| Ok((json!(name), Value::Null, json!("390212345000-390212345999")));
    for number in ["390212345000", "+390212345678", "00390212345999"] {
        assert_eq!(desk.owner(number), owned("customer"), "{number}");
    }
    for number in ["390212344999", "390212346000", "39021234500", "3902123450000", "alice"] {
        assert_eq!(desk.owner(number), Err(404), "{number}");
    }
    assert_eq!(desk.owner("12!"), Err(422));
    // Another account, at once; and by another spelling of the name.
    desk.patch("number/section/00390212345000-390212345999", json!({"account": "vendor"}));
    assert_eq!(desk.owner("390212345678"), owned("vendor"));
    desk.say(Method::Delete, "number/section/390212345000-390212345999", Value::Null).unwrap();
    assert_eq!(desk.owner("390212345678"), Err(404));
}

#[test]
fn a_phone_has_its_number_out_of_anybodys_section() {
    let mut desk = Desk::new("1");
    desk.post("number/section", section("44330000-44339999", "vendor")).unwrap();
    let phone = json!({"name": "alice", "account": "customer", "numbers": ["44331234"]});
    desk.post("phone", phone).unwrap();
    let by = |account: &str, phone: Value| Ok((json!(account), phone, json!("44330000-44339999")));
    assert_eq!(desk.owner("44331234"), by("customer", json!("alice")));
    assert_eq!(desk.owner("44331235"), by("vendor", Value::Null));
    assert_eq!(desk.owner("alice"), Ok((json!("customer"), json!("alice"), Value::Null)));
}

#[test]
fn sections_that_cannot_be_are_refused_and_say_why() {
    let mut desk = Desk::new("1");
    desk.post("number/section", section("100-199", "customer")).unwrap();
    for (name, account, status, why) in [
        ("100-199", "customer", 409, "exists"),
        ("199-250", "vendor", 409, "\"customer\"'s"),
        ("150", "customer", 409, "100-199"),
        ("300-299", "customer", 422, "before the first"),
        ("30-299", "customer", 422, "as many digits"),
        ("3a-3b", "customer", 422, "digits alone"),
        ("1-2-3", "customer", 422, "one dash"),
        ("200-", "customer", 422, "empty"),
        ("200-299", "nobody", 404, "nobody"),
    ] {
        let no = desk.post("number/section", section(name, account)).unwrap_err();
        assert_eq!(no.status, status, "{name}: {}", no.detail);
        assert!(no.detail.contains(why), "{name}: {}", no.detail);
    }
    // Of another length they are other numbers.
    desk.post("number/section", section("1000-1999", "vendor")).unwrap();
    let no = desk.say(Method::Delete, "account/vendor", Value::Null).unwrap_err();
    assert_eq!(no.status, 409);
}

fn rules(of: &[(&str, &str)]) -> Value {
    of.iter().map(|(original, target)| json!({"original": original, "target": target})).collect()
}

/// Written from the reference: one rule of each level, each on what the level before left.
#[test]
fn one_rule_of_each_level_acts_on_what_the_level_before_left() {
    type Rules = &'static [(&'static str, &'static str)];
    // Gateway, account, switch; what is dialled, and what is billed.
    let golden: [(Rules, Rules, Rules, &str, &str); 9] = [
        (&[], &[], &[], "44207", "44207"),
        (&[("0", "39")], &[], &[], "0212", "39212"),
        (&[], &[("0", "39")], &[], "0212", "39212"),
        (&[], &[], &[("0", "39")], "0212", "39212"),
        // Each sees what the one before it made.
        (&[("0", "1")], &[("1", "2")], &[("2", "3")], "055", "355"),
        // One rule of a level, and no second one on its result.
        (&[], &[("0", "1"), ("1", "2")], &[], "055", "155"),
        // The longest original, then by position; an expression behind both.
        (&[], &[("0", "9"), ("05", "8"), ("~^05", "7")], &[], "055", "85"),
        (&[("~^9(.*)$", "$1")], &[("*", "0*")], &[("~^00(44)(.*)$", "$2$1")], "90442", "244"),
        (&[("~^01(.*)$", "44$1")], &[], &[("44?", "44?0")], "0177", "44707"),
    ];
    for (gateway, account, system, dialled, billed) in golden {
        let mut desk = Desk::new("10");
        desk.patch("gateway/mapping/in", json!({"callee_rules": rules(gateway)}));
        desk.patch("account/customer", json!({"callee_rules": rules(account)}));
        for (at, (original, target)) in system.iter().enumerate() {
            let rule = json!({"name": format!("{at}"), "original": original, "target": target});
            desk.post("number/transform", rule).unwrap();
        }
        let explained = desk.office.explain_route(desk.time, "in", "39021234", dialled).unwrap();
        assert_eq!(explained["callee"], billed, "{explained}");
        let levels = explained["numbers"].as_array().unwrap();
        assert_eq!(levels.len(), 3);
        assert_eq!(
            (&levels[0]["level"], &levels[2]["callee"]),
            (&json!("gateway"), &json!(billed))
        );
    }
}

#[test]
fn a_call_is_routed_and_billed_by_what_the_levels_left() {
    let mut desk = Desk::new("10");
    desk.patch("account/customer", json!({"callee_rules": rules(&[("0", "4")])}));
    let rule = json!({"name": "all", "original": "42", "target": "442"});
    desk.post("number/transform", rule).unwrap();
    let caller =
        json!({"name": "cli", "number": "caller", "original": "~^0(\\d+)$", "target": "39$1"});
    desk.post("number/transform", caller).unwrap();
    let explained = desk.office.explain_route(desk.time, "in", "0212", "0207").unwrap();
    assert_eq!((&explained["caller"], &explained["callee"]), (&json!("39212"), &json!("44207")));
    let admit = desk.invite("10.1.0.1:5060", "0207");
    let route = desk.ask(&admit).unwrap();
    assert_eq!(route.callee_billed.to_text(), "44207");
    // A rule that leaves no number ends the call; without it, at once, it goes again.
    desk.patch("number/transform/all", json!({"original": "*", "target": ""}));
    let admit = desk.invite("10.1.0.1:5060", "0207");
    assert_eq!(desk.ask(&admit).unwrap_err().status, 484);
    let explained = desk.office.explain_route(desk.time, "in", "0212", "0207").unwrap();
    assert_eq!(
        (&explained["admitted"], &explained["reason"]),
        (&json!(false), &json!("bad_number"))
    );
    assert_eq!(explained["numbers"].as_array().map(Vec::len), Some(2), "up to the account");
    desk.say(Method::Delete, "number/transform/all", Value::Null).unwrap();
    let explained = desk.office.explain_route(desk.time, "in", "0212", "44207").unwrap();
    assert_eq!(explained["admitted"], true, "{explained}");
}

#[test]
fn a_rule_that_is_none_is_refused_and_says_why() {
    let mut desk = Desk::new("1");
    let long = format!("~{}", "1".repeat(256));
    for (original, target, why) in [
        ("~(", "", "regular expression"),
        ("~(4)", "$2", "group"),
        ("~4", "$", "$"),
        (&long[..], "", "256"),
        ("4*4", "", "last character"),
    ] {
        let rule = json!({"name": "x", "original": original, "target": target});
        let no = desk.post("number/transform", rule.clone()).unwrap_err();
        assert!(no.status == 422 && no.detail.contains(why), "{original}: {}", no.detail);
        let body = json!({"callee_rules": [{"original": original, "target": target}]});
        assert!(desk.say(Method::Patch, "account/customer", body.clone()).is_err());
        assert!(desk.say(Method::Patch, "gateway/routing/first", body).is_err());
    }
}

#[test]
fn numbers_that_a_customers_gateway_lets_not_pass_are_refused_by_name() {
    let screens = |body: Value, caller: &str, callee: &str| {
        let mut desk = Desk::new("10");
        desk.patch("gateway/mapping/in", body);
        let explained = desk.office.explain_route(desk.time, "in", caller, callee).unwrap();
        let mut admit = desk.invite("10.1.0.1:5060", callee);
        admit.facts.caller = Text::new(caller.as_bytes()).unwrap();
        let asked = desk.ask(&admit).map_err(|no| (no.status, EndReason::from_number(no.reason)));
        let reason = asked.as_ref().err().map(|(_, reason)| reason.name());
        assert_eq!(explained["reason"], json!(reason), "{explained}");
        asked.map(drop)
    };
    let barred = |reason| Err((403, reason));
    let allowed = json!({"caller_prefixes_allowed": ["1", "44"]});
    assert_eq!(screens(allowed.clone(), "4420", "44207"), Ok(()));
    assert_eq!(screens(allowed.clone(), "3306", "44207"), barred(EndReason::CallerBarred));
    assert_eq!(screens(allowed, "", "44207"), barred(EndReason::CallerBarred));
    let both = json!({"callee_prefixes_allowed": ["44"], "callee_prefixes_denied": ["442"]});
    assert_eq!(screens(both.clone(), "39", "441"), Ok(()));
    assert_eq!(
        screens(both.clone(), "39", "442"),
        barred(EndReason::CalleeBarred),
        "deny beats allow"
    );
    assert_eq!(screens(both, "39", "112"), barred(EndReason::NoRate), "emergency numbers pass");
    let length = json!({"callee_digits_min": 4, "callee_digits_max": 5});
    for (callee, passes) in [("441", false), ("4412", true), ("44123", true), ("441234", false)] {
        assert_eq!(screens(length.clone(), "39", callee).is_ok(), passes, "{callee}");
    }
}

#[test]
fn a_vendor_is_left_out_whose_gateway_takes_no_such_number() {
    for (body, excluded) in [
        (json!({"caller_prefixes_denied": ["39"]}), "caller_barred"),
        (json!({"callee_digits_min": 6}), "callee_barred"),
        (json!({"callee_prefixes_allowed": ["33"]}), "callee_barred"),
    ] {
        let mut desk = Desk::new("10");
        desk.patch("gateway/routing/first", body);
        assert_eq!(desk.excluded()["first"], excluded);
        let (_, route) = desk.call();
        assert_eq!(route.candidates_used, 1, "the other one is asked alone");
    }
}

#[test]
fn who_forwards_has_to_pass_both_gateways_if_he_is_believed() {
    let mut desk = Desk::new("10");
    desk.patch("gateway/mapping/in", json!({"forwarder_prefixes_denied": ["3377"]}));
    desk.patch("gateway/routing/first", json!({"forwarder_prefixes_allowed": ["39"]}));
    let call = |desk: &mut Desk| {
        let mut admit = desk.invite("10.1.0.1:5060", "44207");
        admit.identities.diverter = Text::new(b"3378").unwrap();
        desk.ask(&admit).unwrap().candidates_used
    };
    assert_eq!(call(&mut desk), 2, "nobody is believed who is not to be");
    desk.patch("gateway/mapping/in", json!({"forward_signal_heard": true}));
    assert_eq!(call(&mut desk), 1, "the vendor takes none of his");
    let mut admit = desk.invite("10.1.0.1:5060", "44207");
    admit.identities.diverter = Text::new(b"337712").unwrap();
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!(EndReason::from_number(no.reason), EndReason::ForwarderBarred);
}

#[test]
fn screens_that_cannot_be_are_refused_by_field() {
    let mut desk = Desk::new("1");
    for (field, value) in [
        ("caller_prefixes_allowed", json!([""])),
        ("callee_prefixes_denied", json!(["4 4"])),
        ("callee_digits_max", json!(33)),
        ("forwarder_prefixes_allowed", json!(vec!["1"; 1_001])),
    ] {
        for gateway in ["gateway/mapping/in", "gateway/routing/first"] {
            let no = desk.say(Method::Patch, gateway, json!({ field: value })).unwrap_err();
            assert!(no.detail.starts_with(field), "{}", no.detail);
        }
    }
    let upside_down = json!({"caller_digits_min": 5, "caller_digits_max": 4});
    assert!(desk.say(Method::Patch, "gateway/mapping/in", upside_down).is_err());
}
