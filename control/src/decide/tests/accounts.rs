//! What accounts may do, and what people are told of them.

use super::*;

impl Desk {
    fn refused(&mut self, callee: &str) -> Option<(u16, EndReason)> {
        let admit = self.invite("10.1.0.1:5060", callee);
        let no = self.ask(&admit).err()?;
        Some((no.status, EndReason::from_number(no.reason)))
    }

    fn account(&mut self, fields: Value) {
        self.patch("account/customer", fields);
    }

    fn shown(&mut self) -> Value {
        self.say(Method::Get, "account/customer", Value::Null).unwrap()
    }

    /// A call of so many seconds, each a cent.
    fn spends(&mut self, seconds: u32) {
        let (admit, route) = self.call();
        let record = talked(&admit, &route, seconds * 1000);
        self.office.handle_ended(self.time, 0, admit.call, &record, false);
        self.settle();
    }

    fn count_of(&self, name: &str) -> usize {
        self.office.journal.events().filter(|event| event.name == name).count()
    }
}

fn wall(text: &str) -> u64 {
    let at: jiff::Timestamp = text.parse().unwrap();
    at.as_microsecond().cast_unsigned()
}

#[test]
fn an_account_has_lines_and_a_pace_of_its_own() {
    let mut desk = Desk::new("100");
    desk.set("SS_MAXCONCURRENTCALL", "1");
    desk.account(json!({"lines_max": 2}));
    let (one, _) = desk.call();
    desk.call();
    assert_eq!(desk.refused("44207"), Some((503, EndReason::LinesFull)));
    desk.office.release(one.record);
    desk.account(json!({"lines_max": 0}));
    assert_eq!(desk.refused("44207"), Some((503, EndReason::LinesFull)), "as all have");
    desk.set("SS_MAXCONCURRENTCALL", "0");
    desk.account(json!({"cps_max": 2}));
    assert_eq!((desk.refused("44207"), desk.refused("44207")), (None, None));
    assert_eq!(desk.refused("44207"), Some((503, EndReason::RateLimit)));
    desk.time.now += Duration::from_secs(1);
    assert_eq!(desk.refused("44207"), None);
}

#[test]
fn the_shorter_of_both_longest_calls_holds() {
    let mut desk = Desk::new("100");
    desk.patch("gateway/mapping/in", json!({"talk_s_max": 50}));
    desk.account(json!({"talk_s_max": 40}));
    assert_eq!((desk.call().1.granted_s, desk.call().1.extend_at_s), (40, 0));
    desk.account(json!({"talk_s_max": 70}));
    assert_eq!(desk.call().1.granted_s, 50);
    desk.set("SS_ENABLE_CALL_LIMIT", "0");
    assert_eq!(desk.call().1.granted_s, 60, "a slice");
}

#[test]
fn an_account_that_is_locked_or_over_calls_no_more_and_its_history_says_so() {
    let mut desk = Desk::new("100");
    desk.account(json!({"locked": true}));
    assert_eq!(desk.refused("44207"), Some((403, EndReason::Locked)));
    assert_eq!(desk.shown()["state"], "locked");
    let at = crate::rfc3339(desk.time.wall_us + 10_000_000);
    desk.account(json!({"locked": false, "expires": at}));
    assert_eq!((desk.refused("44207"), &desk.shown()["state"]), (None, &json!("active")));
    desk.office.handle_tick(desk.time);
    desk.time.now += Duration::from_secs(10);
    desk.time.wall_us += 10_000_000;
    assert_eq!(desk.refused("44207"), Some((403, EndReason::Locked)));
    assert_eq!(desk.shown()["state"], "expired");
    desk.office.handle_tick(desk.time);
    desk.time.now += Duration::from_secs(10);
    desk.office.handle_tick(desk.time);
    desk.account(json!({"expires": null}));
    assert_eq!(desk.refused("44207"), None);
    let names = ["account_locked", "account_unlocked", "account_expired", "account_expiry_changed"];
    assert_eq!(names.map(|name| desk.count_of(name)), [1, 1, 1, 1]);
}

#[test]
fn prefixes_of_an_account_are_all_that_it_may_call_or_what_it_may_not() {
    let mut desk = Desk::new("100");
    let barred = Some((403, EndReason::DestinationBarred));
    desk.account(json!({"prefixes_mode": "deny", "prefixes": ["4487", "881"]}));
    assert_eq!((desk.refused("44207"), desk.refused("44871")), (None, barred));
    desk.account(json!({"prefixes_mode": "allow"}));
    assert_eq!((desk.refused("44207"), desk.refused("44871")), (barred, None));
    let explained = desk.office.explain_route(desk.time, "in", "", "44207").unwrap();
    assert_eq!(
        (&explained["admitted"], &explained["reason"]),
        (&json!(false), &json!("destination_barred"))
    );
    for (fields, field) in [
        (json!({"prefixes_mode": "maybe"}), "prefixes_mode"),
        (json!({"prefixes_mode": ""}), "prefixes"),
        (json!({"prefixes": ["4 4"]}), "prefixes"),
        (json!({"time_zone": "Mars"}), "time_zone"),
        (json!({"spend_per_day_max": "-1"}), "spend_per_day_max"),
    ] {
        let no = desk.say(Method::Patch, "account/customer", fields).unwrap_err();
        assert!(no.detail.starts_with(field), "{no:?}");
    }
}

#[test]
fn international_and_premium_calls_are_kept_from_an_account_that_shall_not_make_them() {
    let mut desk = Desk::new("100");
    for prefix in ["1", "242", "881"] {
        desk.post("tariff/sell/rate", json!({"prefix": prefix, "rate": "0.60"})).unwrap();
    }
    desk.patch("gateway/routing/first", json!({"prefixes": ["1", "44", "242", "881"]}));
    desk.patch("gateway/routing/first", json!({"unrated_allowed": true}));
    let barred = Some((403, EndReason::DestinationBarred));
    desk.account(json!({"premium_blocked": true}));
    // An area of +1, and not the Congo.
    assert_eq!((desk.refused("12425551000"), desk.refused("242055510")), (barred, None));
    assert_eq!((desk.refused("8811234"), desk.refused("12125551000")), (barred, None));
    desk.set("TG_PREMIUM_PREFIXES", "44207");
    assert_eq!((desk.refused("44207"), desk.refused("8811234")), (barred, None));
    desk.account(json!({"premium_blocked": false, "international_blocked": true}));
    assert_eq!(desk.refused("44207"), barred, "nobody said what is at home");
    desk.set("TG_HOME_PREFIXES", "44");
    assert_eq!((desk.refused("44207"), desk.refused("242055510")), (None, barred));
    desk.set("TG_EMERGENCY_NUMBERS", "112");
    assert_eq!(desk.refused("112"), None);
}

#[test]
fn what_a_day_may_cost_holds_until_midnight_of_the_accounts_zone() {
    let mut desk = Desk::new("100");
    desk.account(json!({"spend_per_day_max": "2", "time_zone": "Asia/Kolkata"}));
    // Half past six in the evening UTC is midnight there.
    desk.time.wall_us = wall("2026-11-21T18:29:00Z");
    desk.spends(150);
    let route = desk.call().1;
    assert_eq!((route.granted_s, route.extend_at_s), (50, 25), "the day holds as a balance does");
    assert_eq!(desk.refused("44207"), Some((403, EndReason::SpendLimit)), "all of it is held");
    assert_eq!(desk.shown()["spent_today"], "1.50");
    desk.time.wall_us = wall("2026-11-21T18:30:00Z");
    assert_eq!(desk.shown()["spent_today"], "0.00");
    assert_eq!(desk.call().1.granted_s, 60);
    // Who pays later without a limit has one by the day all the same.
    let mut desk = Desk::new("100");
    desk.account(json!({"spend_per_day_max": "0.30", "credit": null}));
    assert_eq!(desk.call().1.granted_s, 30);
    assert_eq!(desk.refused("44207"), Some((403, EndReason::SpendLimit)));
}

#[test]
fn what_was_spent_today_is_known_after_a_restart() {
    let quarter = wall("2026-11-21T12:00:00Z") / account::QUARTER_US;
    let mut desk = Desk::new("100");
    let id = desk.office.state.account("customer").unwrap().id;
    let yesterday = quarter - 49;
    let spent = vec![(id, quarter, 1_500_000_000), (id, yesterday, 9_000_000_000)];
    desk.office.watched = account::Watched::restore(spent);
    desk.time.wall_us = wall("2026-11-21T12:20:00Z");
    assert_eq!(desk.shown()["spent_today"], "1.50");
}

#[test]
fn a_low_balance_is_one_alarm_until_somebody_pays() {
    let mut desk = Desk::new("1");
    desk.office.handle_tick(desk.time);
    desk.account(json!({"low_balance": "0.50"}));
    assert_eq!(desk.count_of("balance_low"), 0);
    for _ in 0..3 {
        desk.spends(20);
    }
    assert_eq!((desk.count_of("balance_low"), desk.alarms()), (1, vec!["balance_low".to_owned()]));
    desk.post("account/customer/payment", json!({"amount": "1", "request_id": "more"})).unwrap();
    assert_eq!(desk.alarms(), [] as [&str; 0]);
    // Of all customers, where their accounts do not say.
    desk.account(json!({"low_balance": null}));
    desk.set("SS_CLIENT_LOW_BALANCE_ALARM", "2");
    desk.spends(1);
    assert_eq!(desk.alarms().len(), 1);
    desk.account(json!({"low_balance": "0"}));
    assert_eq!(desk.alarms().len(), 0);
}

#[test]
fn a_vendor_whose_credit_is_used_up_is_left_out_where_that_is_wanted() {
    let mut desk = Desk::new("100");
    assert_eq!(desk.refused("44207"), None);
    desk.set("SERVER_VERIFY_CLEARING_CUSTOMER", "1");
    assert_eq!(desk.refused("44207"), Some((503, EndReason::NoRoute)));
    assert_eq!(desk.excluded()["first"], "no_balance");
    desk.patch("account/vendor", json!({"credit": "5"}));
    assert_eq!(desk.refused("44207"), None);
    desk.patch("account/vendor", json!({"credit": null}));
    assert_eq!(desk.refused("44207"), None);
}
