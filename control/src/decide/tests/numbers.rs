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
