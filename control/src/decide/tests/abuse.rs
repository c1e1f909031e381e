//! An account begins to call where it is dear: who is listed for it, who is refused, and how that ends.

use super::*;
use crate::store::HabitKept;

const DAY_MS: u64 = 86_400_000;
const DEAR: &str = "8821612345678";

impl Desk {
    /// A customer who may call satellites by the second vendor.
    fn dear() -> Self {
        let mut desk = Self::new("1000000");
        for tariff in ["sell", "buy"] {
            let row = json!({"prefix": "8", "rate": "5"});
            desk.post(&format!("tariff/{tariff}/rate"), row).unwrap();
        }
        desk.patch("gateway/routing/second", json!({"prefixes": ["44", "8"]}));
        desk.settle();
        desk
    }

    /// Calls there that end at once, a second apart: how each was decided.
    fn dial(&mut self, callee: &str, times: usize) -> Vec<Result<(), EndReason>> {
        let mut decided = Vec::new();
        for _ in 0..times {
            let admit = self.invite("10.1.0.1:5060", callee);
            let found = self.ask(&admit);
            if let Ok(route) = &found {
                let record = talked(&admit, route, 0);
                self.office.handle_ended(self.time, 0, admit.call, &record, false);
            }
            decided.push(found.map(|_| ()).map_err(|no| EndReason::from_number(no.reason)));
            self.pass(1_000);
        }
        decided
    }

    /// What the API lists.
    fn abusers(&mut self) -> Vec<Value> {
        let list = self.say(Method::Get, "firewall/abuse", Value::Null).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    fn clear(&mut self, query: &[(&str, &str)]) -> Result<Value, crate::Refusal> {
        let command = Command {
            method: Method::Delete,
            path: ["firewall", "abuse", "customer"].map(str::to_owned).to_vec(),
            query: query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: Value::Null,
            rates: Vec::new(),
            ranges: None,
            entries: None,
            records: None,
            sheet: None,
        };
        self.office.handle_command(self.time, &command)
    }

    fn documents(&self) -> Vec<crate::state::entity::Entity> {
        use crate::state::entity::Kind;
        let kinds = [Kind::Account, Kind::Tariff, Kind::Mapping];
        kinds.iter().flat_map(|kind| self.office.state.documents(*kind)).cloned().collect()
    }

    /// What the store would have of it.
    fn habits(&mut self) -> BTreeMap<u32, Option<HabitKept>> {
        let mut habits = BTreeMap::new();
        while let Some(change) = self.office.poll_change() {
            match change {
                Change::Habit(kept) => drop(habits.insert(kept.account, Some(*kept))),
                Change::HabitGone(account) => drop(habits.insert(account, None)),
                _ => {}
            }
        }
        habits
    }
}

#[test]
fn an_account_that_starts_calling_88x_is_listed_and_named_by_an_alarm() {
    let mut desk = Desk::dear();
    assert_eq!(desk.dial("44207", 50), vec![Ok(()); 50]);
    assert_eq!(desk.dial(DEAR, 20), vec![Ok(()); 20]);
    assert_eq!((desk.abusers(), desk.alarms()), (vec![], vec![]));
    assert_eq!(desk.dial(DEAR, 3), vec![Ok(()); 3], "they go on unless they are to be refused");
    let listed = desk.abusers();
    assert_eq!(listed.len(), 1);
    for (field, value) in [
        ("account", json!("customer")),
        ("prefix", json!("882")),
        ("calls", json!(21)),
        ("usual", json!(0)),
        ("busiest", json!(23)),
        ("further", json!(2)),
        ("refused", json!(0)),
        ("left_s", json!(86_397)),
    ] {
        assert_eq!(listed[0][field], value, "{field}");
    }
    let alarms = desk.say(Method::Get, "alarm", Value::Null).unwrap()["items"].clone();
    assert_eq!(alarms[0]["name"], "destination_abuse");
    assert_eq!(alarms[0]["subject"], "account customer");
    assert_eq!(alarms[0]["severity"], "critical");
    assert_eq!(
        alarms[0]["detail"],
        "21 calls to 882 and the like within 3600 s, 0 are usual; they go on: \
         `tollgate firewall abuse clear customer` ends it"
    );
    let figures = desk.say(Method::Get, "status", Value::Null).unwrap()["abuse"].clone();
    assert_eq!(figures, json!({"listed": 1, "calls": 23, "refused": 0}));

    desk.pass(DAY_MS);
    assert_eq!((desk.abusers(), desk.alarms()), (vec![], vec![]), "it ends by itself");
}

#[test]
fn a_listed_account_is_refused_there_and_nowhere_else_if_that_is_wanted() {
    let mut desk = Desk::dear();
    desk.set("TG_ABUSE_REFUSE", "1");
    desk.set("TG_ABUSE_LIMIT", "5");
    assert_eq!(desk.dial(DEAR, 5), vec![Ok(()); 5]);
    desk.settle();
    let no = Err(EndReason::DestinationAbuse);
    assert_eq!(desk.dial(DEAR, 3), [no; 3], "the one that lists it included");
    assert_eq!(desk.dial("87012345678", 1), [no], "by any of the prefixes");
    assert_eq!(desk.dial("44207", 1), [Ok(())]);
    let ends = desk.settle().ends;
    let refused: Vec<(u16, EndReason)> = ends
        .iter()
        .map(|cdr| (cdr.record.status, cdr.record.end_reason()))
        .filter(|(_, reason)| *reason != EndReason::Normal)
        .collect();
    assert_eq!(refused, [(403, EndReason::DestinationAbuse); 4], "each has its record");
    assert_eq!(desk.abusers()[0]["refused"], 4);
    let explained = |desk: &Desk, callee: &str| {
        let found = desk.office.explain_route(desk.time, "in", "39021234", callee).unwrap();
        (found["admitted"].clone(), found["reason"].clone())
    };
    assert_eq!(explained(&desk, DEAR), (json!(false), json!("destination_abuse")));
    assert_eq!(explained(&desk, "44207"), (json!(true), Value::Null));
    assert!(desk.office.state.documents(crate::state::entity::Kind::Deny).next().is_none());
    assert!(desk.orders().iter().all(|order| !matches!(order, Order::ShutOut(_))));

    assert!(desk.clear(&[("accept", "yes")]).is_err());
    desk.clear(&[]).unwrap();
    assert_eq!((desk.abusers(), desk.alarms()), (vec![], vec![]));
    assert_eq!(desk.clear(&[]).unwrap_err().status, 404, "nothing is left to undo");
    let events: Vec<_> = desk.office.journal.events().map(|it| it.name).collect();
    assert!(events.contains(&"abuse_cleared"), "{events:?}");
    assert_eq!(desk.dial(DEAR, 6), [Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), no]);
    desk.set("TG_ABUSE_REFUSE", "0");
    assert_eq!(desk.dial(DEAR, 1), [Ok(())], "a change holds for the next call");
}

#[test]
fn what_is_usual_of_an_account_lists_it_no_more_once_days_or_a_person_say_so() {
    let mut desk = Desk::dear();
    for _ in 0..7 {
        desk.dial(DEAR, 20);
        assert_eq!(desk.abusers(), [] as [Value; 0]);
        desk.pass(DAY_MS - 20_000);
    }
    desk.dial(DEAR, 60);
    assert_eq!(desk.abusers(), [] as [Value; 0], "three times the usual");
    desk.dial(DEAR, 1);
    assert_eq!(
        (&desk.abusers()[0]["calls"], &desk.abusers()[0]["usual"]),
        (&json!(61), &json!(20))
    );

    let mut desk = Desk::dear();
    desk.dial(DEAR, 60);
    assert_eq!(desk.abusers()[0]["calls"], 21);
    desk.clear(&[("accept", "1")]).unwrap();
    desk.pass(DAY_MS);
    desk.dial(DEAR, 180);
    assert_eq!(desk.abusers(), [] as [Value; 0]);
    desk.dial(DEAR, 1);
    assert_eq!(desk.abusers()[0]["usual"], 60);
}

#[test]
fn what_is_dear_is_told_by_the_number_that_the_tariff_sees_and_our_phones_are_not() {
    let mut desk = Desk::dear();
    desk.set("TG_ABUSE_LIMIT", "1");
    desk.post(
        "phone",
        json!({"name": "8810", "account": "customer", "password": "Correct-horse-7"}),
    )
    .unwrap();
    desk.dial("8810", 5);
    assert_eq!(desk.abusers(), [] as [Value; 0], "a phone of ours");
    desk.set("TG_EMERGENCY_NUMBERS", "8811");
    desk.dial("8811", 5);
    assert_eq!(desk.abusers(), [] as [Value; 0], "who needs help is not counted");
    desk.patch(
        "gateway/mapping/in",
        json!({"callee_rules": [{"original": "777", "target": "88"}]}),
    );
    assert_eq!(desk.dial("77721612345678", 2), [Ok(()), Ok(())]);
    assert_eq!(desk.abusers()[0]["prefix"], "882");
    // A tariff that does not sell it refuses it; who tries is listed all the same.
    let mut desk = Desk::new("10");
    assert_eq!(desk.dial(DEAR, 21), [Err(EndReason::NoRate); 21]);
    assert_eq!(desk.abusers()[0]["calls"], 21);
    let mut desk = Desk::dear();
    desk.set("TG_ABUSE_PREFIXES", "");
    desk.dial(DEAR, 100);
    assert_eq!(desk.abusers(), [] as [Value; 0]);
}

#[test]
fn the_list_and_what_is_usual_outlive_control_and_go_with_the_account() {
    let mut desk = Desk::dear();
    let entities = desk.documents();
    desk.dial(DEAR, 23);
    let account = desk.office.state.account("customer").unwrap().id;
    let kept = desk.habits().remove(&account).unwrap().unwrap();
    assert_eq!((kept.listed.as_ref().unwrap().calls, kept.account), (21, account));

    let text = serde_json::to_string(&kept).unwrap();
    let habits = vec![serde_json::from_str(&text).unwrap()];
    let loaded = Loaded { entities, habits, ..Loaded::default() };
    desk.office = Office::new(loaded, 2);
    desk.office.handle_tick(desk.time);
    assert_eq!(desk.abusers()[0]["calls"], 21);
    assert_eq!(desk.alarms(), ["destination_abuse"]);
    desk.habits();
    desk.pass(DAY_MS);
    assert_eq!((desk.abusers(), desk.alarms()), (vec![], vec![]));
    assert_eq!(desk.habits()[&account].as_ref().unwrap().listed, None, "the store hears of it");
    desk.pass(8 * DAY_MS);
    assert_eq!(desk.habits()[&account], None, "nobody is remembered for ever");

    desk.office = Office::new(
        Loaded { entities: desk.documents(), habits: vec![kept], ..Loaded::default() },
        2,
    );
    desk.time.wall_us -= 9 * DAY_MS * 1_000;
    desk.office.handle_tick(desk.time);
    assert_eq!(desk.alarms(), ["destination_abuse"]);
    desk.say(Method::Delete, "gateway/mapping/in", Value::Null).unwrap();
    desk.say(Method::Delete, "account/customer", Value::Null).unwrap();
    assert_eq!((desk.abusers(), desk.alarms()), (vec![], vec![]));
    assert_eq!(desk.habits()[&account], None);
}

/// What the parameters of this file change, in one line.
pub(super) fn behaviour(name: &str, value: &str) -> String {
    let mut desk = Desk::dear();
    if name.starts_with("TG_ABUSE") {
        desk.set(name, value);
    }
    let mut seen = Vec::new();
    for callee in ["87012345678", DEAR] {
        desk.pass(2 * DAY_MS);
        desk.dial(callee, 11);
        desk.pass(300_000);
        seen.push(format!("{:?}", desk.dial(callee, 11).pop()));
        seen.push(format!("{:?}", desk.abusers()));
    }
    // Usual, slowly.
    for _ in 0..7 {
        desk.pass(DAY_MS);
        desk.dial(DEAR, 20);
    }
    desk.pass(DAY_MS);
    desk.dial(DEAR, 15);
    desk.pass(600_000);
    desk.dial(DEAR, 15);
    seen.push(format!("{:?}", desk.abusers()));
    seen.join("; ")
}
