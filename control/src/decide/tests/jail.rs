//! Who fails to log in by SSH is denied for an hour, but for those who are known.

use super::*;
use crate::state::entity::{Entity, Kind};

const EVIL: &str = "198.51.100.66";

impl Desk {
    fn fails(&mut self, source: &str, times: usize) {
        self.office.handle_logins(self.time, vec![source.parse().unwrap(); times]);
    }

    /// Denied sources, by whom, and for how long.
    fn jailed(&self) -> Vec<(String, String, u64)> {
        let all = self.office.state.documents(Kind::Deny).filter_map(|entity| match entity {
            Entity::Deny(it) => Some(it),
            _ => None,
        });
        let left = |until_us: u64| (until_us - self.time.wall_us) / 1_000_000;
        all.map(|it| (it.name.clone(), it.by.clone(), left(it.until_us))).collect()
    }
}

#[test]
fn three_failed_logins_by_ssh_are_denied_for_an_hour_and_can_be_let_in() {
    let mut desk = Desk::new("10");
    desk.fails(EVIL, 2);
    desk.pass(601_000);
    desk.fails(EVIL, 2);
    assert_eq!(desk.jailed(), [], "two within ten minutes, twice");
    desk.fails("127.0.0.1", 9);
    desk.fails(EVIL, 1);
    assert_eq!(desk.jailed(), [(EVIL.to_owned(), "ssh".to_owned(), 3_600)]);
    let events: Vec<String> =
        desk.office.journal.events().map(|it| format!("{} {}", it.subject, it.detail)).collect();
    let event = format!("denied source {EVIL} 3 SSH logins failed within 600 s");
    assert!(events.contains(&event), "{events:?}");
    desk.pass(3_600_000);
    assert_eq!(desk.jailed(), []);

    desk.fails(EVIL, 3);
    desk.say(Method::Delete, &format!("firewall/deny/{EVIL}"), Value::Null).unwrap();
    desk.fails(EVIL, 2);
    assert_eq!(desk.jailed(), [], "whom an operator lets in begins at nothing");
    desk.fails(EVIL, 1);
    assert_eq!(desk.jailed().len(), 1);
    desk.set("TG_SSH_FAILURES", "0");
    desk.fails("198.51.100.67", 9);
    assert_eq!(desk.jailed().len(), 1);
}

#[test]
fn gateways_and_administrators_are_never_shut_out_and_are_an_alarm() {
    let mut desk = Desk::new("10");
    let trusted = json!({"name": "203.0.113.0/28", "admin": true});
    desk.post("firewall/trust", trusted).unwrap();
    for source in ["10.1.0.1", "203.0.113.5"] {
        desk.fails(source, 3);
        assert_eq!(desk.jailed(), [], "{source}");
    }
    let alarms = desk.say(Method::Get, "alarm", Value::Null).unwrap();
    let subjects: Vec<&Value> =
        alarms["items"].as_array().unwrap().iter().map(|it| &it["subject"]).collect();
    assert_eq!(subjects, ["10.1.0.1", "203.0.113.5"]);
    assert_eq!(alarms["items"][0]["name"], "attack_spared");
}

#[test]
fn logins_that_cannot_be_read_are_an_alarm_until_they_can_or_nobody_wants_them() {
    let mut desk = Desk::new("10");
    desk.office.handle_logins_unread(Some("/var/log/btmp: permission denied".into()));
    desk.pass(50);
    assert_eq!(desk.alarms(), ["logins_unread"]);
    let status = desk.say(Method::Get, "status", Value::Null).unwrap();
    assert_eq!(status["alarms"], 1);
    desk.set("TG_SSH_FAILURES", "0");
    desk.pass(50);
    assert_eq!(desk.alarms(), [] as [&str; 0]);
    desk.set("TG_SSH_FAILURES", "3");
    desk.pass(50);
    assert_eq!(desk.alarms(), ["logins_unread"]);
    desk.office.handle_logins_unread(None);
    desk.pass(50);
    assert_eq!(desk.alarms(), [] as [&str; 0]);
}
