//! Who fails to log in too often, scripted.

use super::*;
use crate::state::entity::{Entity, Kind};
use link::report::{REFUSALS_MAX, Refusals, Refused};

const WRONG: &str = "Wrong-Horse-77";

/// A REGISTER of somebody from somewhere, with a fresh nonce of ours. It is the same request each time, so
/// that the nonce serves it.
fn login(user: &'static str, password: &'static str, source: &str) -> Register {
    let login = Login { user, password, count: 0, ..ALICE };
    Register {
        source: endpoint(source),
        user: Text::new(user.as_bytes()).unwrap(),
        credentials: login.credentials(SipMethod::Register),
        ..register(&[], 1)
    }
}

impl Desk {
    fn tries(&mut self, user: &'static str, password: &'static str, source: &str) -> u16 {
        self.registers(&login(user, password, source)).status
    }

    fn suspended(&mut self) -> Vec<Value> {
        self.look("firewall/suspended")["items"].as_array().unwrap().clone()
    }

    /// Prefixes that the driver should drop.
    fn denied(&self) -> Vec<String> {
        let all = self.office.state.documents(Kind::Deny);
        all.map(|entity| entity.name().to_owned()).collect()
    }

    /// The same office after a restart, with what the store was told.
    fn restarted(mut self) -> Self {
        let mut loaded = Loaded::default();
        for kind in [Kind::Account, Kind::Tariff, Kind::Mapping, Kind::Routing, Kind::Phone] {
            loaded.entities.extend(self.office.state.documents(kind).cloned());
        }
        while let Some(change) = self.office.poll_change() {
            match change {
                Change::Suspension(kept) => {
                    loaded.suspensions.retain(|it| it.number != kept.number);
                    loaded.suspensions.push(*kept);
                }
                Change::SuspensionGone(number) => {
                    loaded.suspensions.retain(|it| it.number != number);
                }
                Change::Regular(source, at_us) => loaded.regulars.push((source, at_us)),
                Change::RegularGone(source) => loaded.regulars.retain(|it| it.0 != source),
                _ => {}
            }
        }
        Self { office: Office::new(loaded, 2), ..self }
    }
}

const EVIL: &str = "198.51.100.66:5060";

#[test]
fn after_six_wrong_passwords_nothing_more_is_looked_at_until_the_time_is_over() {
    let mut desk = Desk::with_alice();
    for n in 1..=6 {
        assert_eq!(desk.tries("alice", WRONG, EVIL), 401, "{n}");
    }
    let evaluated = desk.look("status")["defence"]["evaluated"].clone();
    assert_eq!(evaluated, json!(6));
    assert_eq!(desk.tries("alice", WRONG, EVIL), 403);
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 403, "not even the right one");
    let bare = Register { credentials: Credentials::default(), ..login("alice", "", EVIL) };
    assert_eq!(desk.registers(&bare).status, 403, "nor is it asked for one");
    assert_eq!(desk.look("status")["defence"]["evaluated"], evaluated);
    assert_eq!(desk.tries("alice", PASSWORD, HOME), 200, "T-06: the owner is elsewhere");
    desk.pass(179_000);
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 403);
    desk.pass(2_000);
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 200);
    assert_eq!(desk.suspended(), [] as [Value; 0]);
}

#[test]
fn who_is_suspended_is_listed_with_what_is_left_and_let_in_by_hand() {
    let mut desk = Desk::with_alice();
    for _ in 0..6 {
        desk.tries("alice", WRONG, EVIL);
    }
    desk.pass(60_000);
    let listed = desk.suspended();
    let [one] = &listed[..] else { panic!("{listed:?}") };
    let told = |name: &str| one[name].clone();
    assert_eq!(
        [told("scope"), told("endpoint"), told("source")],
        ["pair", "alice", "198.51.100.66"]
    );
    assert_eq!([told("failures"), told("left_s")], [6, 120]);
    let path = format!("firewall/suspended/{}", one["id"]);
    desk.say(Method::Delete, &path, Value::Null).unwrap();
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 200);
    assert_eq!(desk.say(Method::Delete, &path, Value::Null).unwrap_err().status, 404);
    let names: Vec<&str> = desk.office.journal.events().map(|event| event.name).collect();
    assert!(names.contains(&"suspended") && names.contains(&"suspension_cleared"), "{names:?}");
}

#[test]
fn a_dictionary_that_the_workers_refuse_is_one_alarm_that_names_its_source() {
    let mut desk = Desk::with_alice();
    for _ in 0..6 {
        desk.tries("alice", WRONG, EVIL);
    }
    let number = desk.suspended()[0]["id"].as_u64().unwrap() as u32;
    let told = |desk: &mut Desk, number, count| {
        let mut rows = [Refused::default(); REFUSALS_MAX];
        rows[0] = Refused { number, count };
        rows[1] = Refused { number: 1_000, count: 1_000_000 };
        desk.office.handle_refusals(desk.time, &Refusals { used: 2, rows });
        let alarms = desk.look("alarm")["items"].clone();
        let alarms = alarms.as_array().unwrap().iter();
        let named = alarms.filter(|it| it["name"] == "attack_password");
        named.map(|it| it["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut desk, number, 93), [] as [&str; 0], "six and 93, and one that nobody has");
    assert_eq!(desk.suspended()[0]["refused"], 93);
    assert_eq!(told(&mut desk, number, 1), ["198.51.100.66"]);
    assert_eq!(told(&mut desk, number, 40), ["198.51.100.66"], "it is the same one");
    let refused = desk.look("status")["defence"]["refused"].clone();
    assert_eq!((&desk.suspended()[0]["refused"], refused), (&json!(134), json!(134)));
    desk.pass(3_601_000);
    assert_eq!(told(&mut desk, number, 0), [] as [&str; 0], "an hour of peace");
}

#[test]
fn an_extension_that_nobody_has_is_answered_as_one_that_somebody_has() {
    let mut desk = Desk::with_alice();
    for n in 1..=8 {
        let there = desk.registers(&login("alice", WRONG, EVIL));
        let missing = desk.registers(&login("nobody", WRONG, "198.51.100.67:5060"));
        assert_eq!(there, missing, "{n}");
    }
}

#[test]
fn where_suspension_is_off_every_password_is_looked_at() {
    let mut desk = Desk::with_alice();
    desk.set("SS_ENDPOINTREGISTERSUSPEND", "0");
    for n in 1..=20 {
        assert_eq!(desk.tries("alice", WRONG, EVIL), 401, "{n}");
    }
    assert_eq!(desk.look("status")["defence"]["evaluated"], json!(20));
}

#[test]
fn a_suspended_phone_is_still_called_where_it_is_registered() {
    let mut desk = Desk::with_alice();
    desk.at_home(1);
    for _ in 0..8 {
        desk.tries("alice", WRONG, HOME);
    }
    assert_eq!(desk.tries("alice", PASSWORD, HOME), 403);
    let call = desk.invite("10.1.0.1:5060", "390200");
    assert_eq!(desk.ask(&call).unwrap().candidates_used, 1);
}

#[test]
fn a_call_with_a_wrong_password_counts_as_a_registration_does() {
    let mut desk = Desk::with_alice();
    let mut outcome = |password| {
        let mut admit = desk.invite(EVIL, "44207");
        let login = Login { password, count: 0, ..ALICE };
        admit.credentials = login.credentials(SipMethod::Invite);
        desk.answers();
        desk.office.handle_admit(desk.time, 0, &admit);
        match desk.answers()[..] {
            [Answer::Challenge(challenge)] => challenge.status,
            [Answer::Refuse(refuse)] => {
                assert_eq!(refuse.stateless, 1);
                refuse.status
            }
            ref other => panic!("{other:?}"),
        }
    };
    let heard = [WRONG, WRONG, WRONG, WRONG, WRONG, WRONG, WRONG, PASSWORD].map(&mut outcome);
    assert_eq!(heard, [407, 407, 407, 407, 407, 407, 403, 403]);
}

#[test]
fn five_endpoints_of_one_source_end_it_in_the_driver_until_the_time_is_over() {
    let mut desk = Desk::with_alice();
    for user in ["100", "101", "102", "103"] {
        desk.tries(user, WRONG, EVIL);
    }
    assert_eq!(desk.denied(), [] as [String; 0]);
    while desk.office.poll_guard(desk.time).is_some() {}
    desk.tries("104", WRONG, EVIL);
    let Some(News::Denied(denial)) = desk.office.poll_guard(desk.time) else { panic!("at once") };
    assert_eq!(denial.prefix.to_string(), "198.51.100.66");
    let shown = desk.look("firewall/deny/198.51.100.66");
    assert_eq!((shown["by"].clone(), shown["until"].is_string()), (json!("suspension"), true));
    assert_eq!(desk.alarms(), ["attack_harvest"], "numbers one after the other");
    desk.pass(3_600_000);
    assert_eq!(desk.denied(), [] as [String; 0]);
    desk.pass(1);
    assert_eq!(desk.alarms(), [] as [String; 0], "an hour without a sign");
}

#[test]
fn a_source_of_customers_is_never_dropped_but_told_of_also_after_a_restart() {
    let mut desk = Desk::with_alice();
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 200, "somebody logged in from there");
    let mut desk = desk.restarted();
    desk.pass(6 * 86_400_000);
    for user in ["a", "b", "c", "d", "e", "f"] {
        desk.tries(user, WRONG, EVIL);
    }
    assert_eq!(desk.denied(), [] as [String; 0]);
    assert_eq!(desk.alarms(), ["attack_scan", "attack_spared"]);
    desk.pass(9 * 86_400_000);
    for user in ["a", "b", "c", "d", "e"] {
        desk.tries(user, WRONG, EVIL);
    }
    assert_eq!(desk.denied(), ["198.51.100.66"], "nobody did for a week");
}

#[test]
fn neither_a_gateway_nor_a_trusted_source_is_ever_denied_by_itself() {
    for source in ["10.1.0.1:5060", "10.2.0.1:5060", "203.0.113.9:5060"] {
        let mut desk = Desk::with_alice();
        desk.post("firewall/trust", json!({"name": "203.0.113.0/24"})).unwrap();
        for user in ["a", "b", "c", "d", "e", "f"] {
            desk.tries(user, WRONG, source);
        }
        assert_eq!(desk.denied(), [] as [String; 0], "{source}");
        assert!(desk.alarms().contains(&"attack_spared".to_owned()), "{source}");
    }
}

#[test]
fn a_suspension_outlives_a_restart_and_keeps_its_number() {
    let mut desk = Desk::with_alice();
    for _ in 0..6 {
        desk.tries("alice", WRONG, EVIL);
    }
    let before = desk.suspended();
    let mut desk = desk.restarted();
    assert_eq!(desk.suspended(), before);
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 403);
    desk.pass(180_000);
    assert_eq!(desk.tries("alice", PASSWORD, EVIL), 200);
}

#[test]
fn the_limit_of_attempts_silences_a_source_on_any_account() {
    let mut desk = Desk::with_alice();
    desk.set("SS_AUTHENTICATION_MAX_RETRY", "3");
    desk.set("SS_AUTHENTICATION_FAILED_SUSPEND", "60");
    for user in ["alice", "bob", "alice"] {
        assert_eq!(desk.tries(user, WRONG, EVIL), 401);
    }
    assert_eq!(desk.tries("carol", WRONG, EVIL), 0, "it gets nothing");
    let stranger = Register { credentials: Credentials::default(), ..login("dave", "", EVIL) };
    assert_eq!(desk.registers(&stranger).status, 0);
    desk.pass(60_000);
    assert_eq!(desk.registers(&stranger).status, 401, "challenges return");
}

#[test]
fn invalid_calls_lock_an_account_for_their_source_and_never_for_a_gateway_known_by_its_address() {
    let mut desk = Desk::with_alice();
    desk.set("SS_CALLAUTH_INVALID_COUNT", "2");
    let mut calls = |source: &str, password| {
        let mut admit = desk.invite(source, "44207");
        let login = Login { password, count: 0, ..ALICE };
        admit.credentials = login.credentials(SipMethod::Invite);
        // One call all the time, so that the nonce serves it.
        admit.facts.call_id = Text::new(b"same").unwrap();
        desk.answers();
        desk.office.handle_admit(desk.time, 0, &admit);
        desk.office.release(admit.record);
        match desk.answers()[..] {
            [Answer::Route(_)] => Ok(()),
            [Answer::Challenge(challenge)] => Err(challenge.status),
            [Answer::Refuse(refuse)] => Err(refuse.status),
            ref other => panic!("{other:?}"),
        }
    };
    for _ in 0..2 {
        assert_eq!(calls(EVIL, WRONG), Err(407));
    }
    assert_eq!(calls(EVIL, PASSWORD), Err(403), "locked from there");
    assert_eq!(calls(HOME, PASSWORD), Ok(()), "and nowhere else");
    assert_eq!(calls("10.1.0.1:5060", WRONG), Ok(()), "by its address");
    assert_eq!(desk.suspended()[0]["account"], json!("customer"));
    desk.pass(1_800_000);
    let mut admit = desk.invite(EVIL, "44207");
    admit.credentials = Login { count: 0, ..ALICE }.credentials(SipMethod::Invite);
    assert!(desk.ask(&admit).is_ok());
}

#[test]
fn what_a_stranger_writes_steers_no_line_and_no_ban() {
    let mut desk = Desk::with_alice();
    for _ in 0..6 {
        desk.tries("x\r\ndenied 192.0.2.1", WRONG, EVIL);
    }
    for event in desk.office.journal.events() {
        assert!(!event.subject.contains(['\r', '\n']), "{event:?}");
    }
    assert_eq!(desk.denied(), [] as [String; 0]);
}

/// What the parameters of this file change.
pub(super) fn behaviour(desk: &mut Desk) -> Vec<String> {
    let mut seen = Vec::new();
    // Twice: as it is by default, and with the limits that are off by default.
    for (round, limits) in
        [[("", ""); 2], [("SS_AUTHENTICATION_MAX_RETRY", "4"), ("SS_CALLAUTH_INVALID_COUNT", "2")]]
            .into_iter()
            .enumerate()
    {
        for (name, value) in limits.into_iter().filter(|(name, _)| !name.is_empty()) {
            if desk.office.state.values.number(name) == 0 {
                desk.set(name, value);
            }
        }
        let source = |last: u8| format!("198.51.{}.{last}:5060", 100 + round);
        for wait_s in [100, 100, 700, 1] {
            for user in
                ["alice", "100", "alice", "alice", "102", "alice", "alice", "alice", "s", "s", "s"]
            {
                seen.push(desk.tries(user, WRONG, &source(1)).to_string());
            }
            desk.pass_s(wait_s);
            seen.push(format!("{} {:?}", desk.suspended().len(), desk.denied()));
        }
        for user in ["a", "b", "c", "d", "e"] {
            desk.tries(user, WRONG, &source(2));
        }
        let ends = desk.office.state.documents(Kind::Deny).map(|entity| match entity {
            Entity::Deny(denied) => denied.until_us - denied.since_us,
            _ => 0,
        });
        seen.push(format!("{:?}", ends.collect::<Vec<_>>()));
        let mut admit = desk.invite(&source(60), "44207");
        for _ in 0..3 {
            admit.credentials =
                Login { password: WRONG, count: 0, ..ALICE }.credentials(SipMethod::Invite);
            desk.answers();
            desk.office.handle_admit(desk.time, 0, &admit);
        }
        for last in 10..50 {
            desk.tries("alice", WRONG, &source(last));
        }
        for one in desk.suspended() {
            let told = ["scope", "endpoint", "source", "account", "left_s"];
            seen.push(told.map(|name| one[name].to_string()).join(" "));
        }
        desk.pass_s(5_000);
    }
    seen
}
