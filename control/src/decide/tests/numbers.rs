//! Whose a number is.

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
