//! Trust for a while, and codes that open the firewall.

use super::*;
use crate::reconcile::News;

impl Desk {
    fn posts(&mut self, path: &str, body: Value) -> Result<Value, crate::Refusal> {
        self.say(Method::Post, path, body)
    }

    /// Networks that the driver trusts, gateways apart, if it is told.
    fn trusted(&mut self) -> Vec<String> {
        let mut last = Vec::new();
        while let Some(news) = self.office.poll_guard(self.time) {
            let perimeter = match news {
                News::Whole(desired) => desired.perimeter,
                News::Perimeter(perimeter) => *perimeter,
                _ => continue,
            };
            let is_listed = |it: &crate::reconcile::Trusted| {
                it.trunk.starts_with("trust ") || it.trunk.starts_with("code ")
            };
            let listed = perimeter.trust.into_iter().filter(is_listed);
            last = listed.map(|it| it.prefix.to_string()).collect();
        }
        last
    }
}

const CODE: &str = "open-sesame-4711";

fn with_code() -> Desk {
    let mut desk = Desk::new("10");
    let code = json!({"name": "road", "for_s": 3_600, "memo": "on the road", "code": CODE});
    desk.posts("firewall/code", code).unwrap();
    desk
}

#[test]
fn trust_for_a_while_is_over_by_itself() {
    let mut desk = Desk::new("10");
    let said = json!({"name": "192.0.2.0/24", "for_s": 60, "reason": "a fair"});
    let shown = desk.posts("firewall/trust", said).unwrap();
    assert_eq!((&shown["by"], &shown["reason"]), (&json!("operator"), &json!("a fair")));
    assert!(shown["until"].is_string() && shown["since"].is_string(), "{shown}");
    assert_eq!(desk.trusted(), ["192.0.2.0/24"]);
    // Said again, it holds as it was said last.
    desk.posts("firewall/trust", json!({"name": "192.0.2.0/24", "for_s": 120})).unwrap();
    desk.pass(119_000);
    assert_eq!(desk.trusted(), ["192.0.2.0/24"]);
    desk.pass(2_000);
    assert_eq!(desk.trusted(), [""; 0]);
    assert!(desk.say(Method::Get, "firewall/trust/192.0.2.0%2F24", Value::Null).is_err());
    for wrong in [
        json!({"name": "192.0.2.0/24", "until": "2001-01-01T00:00:00Z"}),
        json!({"name": "192.0.2.0/24", "for_s": 1, "until": "2100-01-01T00:00:00Z"}),
        json!({"name": "somewhere"}),
        json!({"name": "192.0.2.0/24", "until_us": 1}),
    ] {
        assert!(desk.posts("firewall/trust", wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_code_opens_an_address_for_its_time_and_is_never_shown() {
    let mut desk = with_code();
    let opened = desk.posts("firewall/open", json!({"code": CODE, "address": "198.51.100.9"}));
    let opened = opened.unwrap();
    assert_eq!((&opened["by"], &opened["reason"]), (&json!("code road"), &json!("on the road")));
    assert_eq!(desk.trusted(), ["198.51.100.9"]);
    let codes = desk.say(Method::Get, "firewall/code", Value::Null).unwrap();
    assert_eq!(codes["items"][0]["open"], json!(1));
    let all = format!(
        "{codes} {:?}",
        desk.office.state.documents(crate::state::entity::Kind::Code).collect::<Vec<_>>()
    );
    assert!(!all.contains(CODE) && !codes.to_string().contains("fingerprint"), "{all}");
    // Again, it is open for longer; another address is another opening.
    desk.pass(3_000_000);
    desk.posts("firewall/open", json!({"code": CODE, "address": "198.51.100.9"})).unwrap();
    desk.posts("firewall/open", json!({"code": CODE, "address": "2001:db8::9"})).unwrap();
    desk.pass(3_000_000);
    assert_eq!(desk.trusted(), ["198.51.100.9", "2001:db8::9"]);
    desk.pass(601_000);
    assert_eq!(desk.trusted(), [""; 0]);
}

#[test]
fn with_a_code_goes_what_it_opened_and_nothing_else() {
    let mut desk = with_code();
    desk.posts("firewall/trust", json!({"name": "198.51.100.8"})).unwrap();
    for address in ["198.51.100.8", "198.51.100.9"] {
        desk.posts("firewall/open", json!({"code": CODE, "address": address})).unwrap();
    }
    let kept = desk.say(Method::Get, "firewall/trust/198.51.100.8", Value::Null).unwrap();
    assert_eq!((&kept["by"], &kept["until"]), (&json!("operator"), &Value::Null));
    desk.trusted();
    desk.say(Method::Delete, "firewall/code/road", Value::Null).unwrap();
    assert_eq!(desk.trusted(), ["198.51.100.8"]);
    assert!(desk.posts("firewall/open", json!({"code": CODE, "address": "1.2.3.4"})).is_err());
}

#[test]
fn who_guesses_codes_is_not_listened_to_for_a_while() {
    let mut desk = with_code();
    let guess = |desk: &mut Desk, code: &str| {
        desk.posts("firewall/open", json!({"code": code, "address": "198.51.100.9"}))
            .map_err(|refusal| refusal.status)
    };
    for _ in 0..5 {
        assert_eq!(guess(&mut desk, "open-barley"), Err(403));
    }
    assert_eq!(desk.alarms(), ["attack_codes"]);
    assert_eq!(guess(&mut desk, CODE), Err(429), "not even the right one is looked at");
    let other = desk.posts("firewall/open", json!({"code": CODE, "address": "198.51.100.10"}));
    assert!(other.is_ok());
    desk.pass(601_000);
    assert!(guess(&mut desk, CODE).is_ok());
}

#[test]
fn a_code_has_so_many_addresses_open_and_the_oldest_makes_room() {
    let mut desk = with_code();
    for host in 1..=20 {
        let address = format!("::ffff:198.51.100.{host}");
        desk.posts("firewall/open", json!({"code": CODE, "address": address})).unwrap();
        desk.pass(1_000);
    }
    let open = desk.trusted();
    assert_eq!((open.len(), open[0].as_str()), (16, "198.51.100.5"), "{open:?}");
    let gateway = json!({"code": CODE, "address": "10.1.0.1"});
    assert_eq!(desk.posts("firewall/open", gateway).unwrap_err().status, 409);
}

#[test]
fn a_flood_of_guesses_locks_nobody_out() {
    let mut desk = with_code();
    let guess = |desk: &mut Desk, code: &str, address: String| {
        desk.posts("firewall/open", json!({"code": code, "address": address}))
            .map_err(|refusal| refusal.status)
    };
    for host in 0..10_010u32 {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + host).to_string();
        assert_eq!(guess(&mut desk, "open-barley", address), Err(403));
    }
    assert!(guess(&mut desk, CODE, "198.51.100.10".into()).is_ok());
    // One with a whole /64 is one.
    let mut desk = with_code();
    for host in 1..=5 {
        assert_eq!(guess(&mut desk, "open-barley", format!("2001:db8::{host}")), Err(403));
    }
    assert_eq!(guess(&mut desk, CODE, "2001:db8::6".into()), Err(429));
}

#[test]
fn a_code_that_is_weak_or_taken_is_refused() {
    let mut desk = with_code();
    for wrong in [
        json!({"name": "b", "code": "short"}),
        json!({"name": "b", "code": "with a blank in it"}),
        json!({"name": "b", "code": CODE}),
        json!({"name": "road", "code": "another-code-99"}),
        json!({"name": "b", "code": "another-code-99", "for_s": 5}),
        json!({"name": "b", "code": "another-code-99", "fingerprint": "00"}),
    ] {
        assert!(desk.posts("firewall/code", wrong.clone()).is_err(), "{wrong}");
    }
}
