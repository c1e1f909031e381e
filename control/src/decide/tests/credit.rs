//! How long a balance lets calls talk, slice by slice.

use link::answer::Extended;
use link::ask::Extend;
use proptest::prelude::*;

use super::*;

impl Desk {
    /// A call of that admission asks for more. `None`: nobody answers.
    fn extend(&mut self, call: &Talk, granted_s: u32, talked_s: u32) -> Option<(u32, u32)> {
        self.answers();
        let record = CallRecord { ended_ms: NEVER, ..talked(&call.admit, &call.route, 0) };
        let record = CallRecord { granted_s, ..record };
        let ask = Ask::Extend(Extend { call: call.admit.call, granted_s, talked_s });
        self.office.handle_ask(self.time, 0, &ask, || Some(record));
        match self.answers()[..] {
            [Answer::Extended(Extended { granted_s, extend_at_s, .. })] => {
                Some((granted_s, extend_at_s))
            }
            ref others => {
                assert!(others.is_empty(), "{others:?}");
                None
            }
        }
    }

    fn talk(&mut self) -> Talk {
        let (admit, route) = self.call();
        Talk { admit, route }
    }

    fn ends(&mut self, call: &Talk, granted_s: u32, talk_ms: u32) {
        let Route { grace_s, .. } = call.route;
        let record = talked(&call.admit, &call.route, talk_ms);
        let record = CallRecord { granted_s, grace_s, ..record };
        self.office.handle_ended(self.time, 0, call.admit.call, &record, false);
    }
}

struct Talk {
    admit: Admit,
    route: Route,
}

fn granted(route: &Route) -> (u32, u32) {
    (route.granted_s, route.extend_at_s)
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn a_slice_is_held_and_the_next_one_at_half_of_it() {
    // 0.01 a second.
    let mut desk = Desk::new("10");
    let call = desk.talk();
    assert_eq!((granted(&call.route), desk.reserved()), ((60, 30), money("0.60")));
    assert_eq!(desk.extend(&call, 60, 30), Some((120, 90)));
    assert_eq!(desk.reserved(), money("1.20"));
    // The answer was lost: the same again, for the same money.
    assert_eq!(desk.extend(&call, 60, 31), Some((120, 90)));
    assert_eq!(desk.reserved(), money("1.20"));
    desk.ends(&call, 120, 61_000);
    assert_eq!((desk.balance("customer"), desk.reserved()), ("9.39".into(), Money::ZERO));
}

#[test]
fn a_call_is_told_where_its_balance_ends_and_talks_on_if_somebody_pays() {
    let mut desk = Desk::new("1");
    let call = desk.talk();
    assert_eq!(desk.extend(&call, 60, 30), Some((100, 80)));
    // It asks again, at half of what is left each time, since somebody may pay.
    assert_eq!(desk.extend(&call, 100, 80), Some((100, 90)));
    assert_eq!(desk.extend(&call, 100, 97), Some((100, 100)));
    assert_eq!(desk.reserved(), money("1"));
    desk.post("account/customer/payment", json!({"amount": "5", "request_id": "more"})).unwrap();
    assert_eq!(desk.extend(&call, 100, 90), Some((160, 130)));
    // Another call ends.
    let mut desk = Desk::new("1.20");
    let (one, other) = (desk.talk(), desk.talk());
    assert_eq!(desk.extend(&one, 60, 30), Some((60, 45)));
    desk.ends(&other, 60, 10_000);
    assert_eq!(desk.extend(&one, 60, 45), Some((110, 85)));
}

#[test]
fn a_slice_ends_with_a_block_and_with_the_longest_call() {
    let mut desk = Desk::new("10");
    desk.post(
        "tariff/sell/rate",
        json!({"prefix": "44", "rate": "0.60", "increment_s": 45, "minimum_s": 45}),
    )
    .unwrap();
    let call = desk.talk();
    // 60 s are two blocks.
    assert_eq!((granted(&call.route), desk.reserved()), ((90, 45), money("0.90")));
    desk.say(Method::Patch, "gateway/mapping/in", json!({"talk_s_max": 100})).unwrap();
    assert_eq!(desk.extend(&call, 90, 45), Some((100, 0)));
    desk.set("SS_ENABLE_CALL_LIMIT", "0");
    assert_eq!(desk.extend(&call, 100, 60), Some((180, 140)));
}

#[test]
fn an_advance_that_is_longer_than_a_slice_is_held_at_once() {
    let mut desk = Desk::new("3");
    desk.set("PREVENT_OVERDRAFT_ADVANCE_TIME", "5");
    let call = desk.talk();
    assert_eq!((granted(&call.route), desk.reserved()), ((300, 150), money("3")));
    let mut desk = Desk::new("2.99");
    desk.set("PREVENT_OVERDRAFT_ADVANCE_TIME", "5");
    let admit = desk.invite("10.1.0.1:5060", "44207");
    assert_eq!(desk.ask(&admit).unwrap_err().reason, EndReason::NoBalance as u8);
}

#[test]
fn nothing_is_held_of_who_pays_later_without_a_limit() {
    let mut desk = Desk::new("0.01");
    desk.patch("account/customer", json!({"credit": null}));
    let call = desk.talk();
    assert_eq!((granted(&call.route), desk.reserved()), ((0, 0), Money::ZERO));
    // A limit that comes later holds from the next call on; one that goes lets those talk on that had it.
    let mut desk = Desk::new("10");
    let call = desk.talk();
    desk.patch("account/customer", json!({"credit": null}));
    assert_eq!(desk.extend(&call, 60, 30), Some((0, 0)));
    assert_eq!(desk.reserved(), Money::ZERO);
}

#[test]
fn what_was_talked_while_control_was_away_is_charged_though_no_money_is_left() {
    let mut desk = Desk::new("0.10");
    desk.patch("account/customer", json!({"credit": "0.50"}));
    let call = desk.talk();
    assert_eq!((granted(&call.route), call.route.grace_s), ((60, 30), 86_400));
    assert_eq!(desk.extend(&call, 60, 75), Some((75, 75)));
    desk.ends(&call, 75, 75_000);
    assert_eq!(desk.balance("customer"), "-0.65");
    let mut desk = Desk::new("1");
    assert_eq!(desk.talk().route.grace_s, 0, "prepaid");
}

#[test]
fn nobody_pays_for_more_than_was_granted() {
    let mut desk = Desk::new("0.60");
    let call = desk.talk();
    // Our BYE was late, or the last sign of media was.
    desk.ends(&call, 60, 64_900);
    assert_eq!(desk.balance("customer"), "0.00");
}

#[test]
fn a_call_that_nobody_knows_or_that_has_no_price_is_not_answered() {
    let mut desk = Desk::new("1");
    let call = desk.talk();
    desk.office.release(call.admit.record);
    assert_eq!(desk.extend(&call, 60, 30), None);
}

#[test]
fn what_control_had_granted_before_it_died_is_held_by_the_next() {
    let mut desk = Desk::new("1.20");
    let call = desk.talk();
    // The next slice may be on its way to the call.
    let record = CallRecord { ended_ms: NEVER, ..talked(&call.admit, &call.route, 0) };
    desk.office.release(call.admit.record);
    let record = CallRecord { granted_s: 60, ..record };
    desk.office.rebuild(desk.time, 0, call.admit.call, &record);
    assert_eq!(desk.reserved(), money("1.20"));
    // It was not.
    assert_eq!(desk.extend(&call, 60, 30), Some((120, 90)));
    // It was.
    desk.office.release(call.admit.record);
    desk.office.rebuild(desk.time, 0, call.admit.call, &record);
    assert_eq!(desk.extend(&call, 120, 90), Some((120, 105)));
    assert_eq!(desk.reserved(), money("1.20"));
    // The admission itself was on its way: it is held for once the call is answered.
    desk.office.release(call.admit.record);
    let early = CallRecord {
        id: call.admit.record,
        customer_gateway: record.customer_gateway,
        ..CallRecord::empty()
    };
    desk.office.rebuild(desk.time, 0, call.admit.call, &early);
    assert_eq!(desk.reserved(), Money::ZERO);
    let ask = Ask::Answered(Answered { call: call.admit.call, asked_us: 0 });
    desk.office.handle_ask(desk.time, 0, &ask, || Some(record));
    assert_eq!(desk.reserved(), money("1.20"));
}

/// A call that talks, as the worker knows it.
struct Running {
    call: Talk,
    granted_s: u32,
    extend_at_s: u32,
    talked_s: u32,
    /// The last answer did not arrive.
    lost: Option<(u32, u32)>,
}

impl Running {
    fn record(&self) -> CallRecord {
        let record = talked(&self.call.admit, &self.call.route, 0);
        CallRecord { ended_ms: NEVER, granted_s: self.granted_s, ..record }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parallel_calls_never_spend_more_than_there_is_though_control_dies_and_answers_are_late(
        (cents, rate, block) in (1_u32..3_000, 1_u32..200, 1_u32..120),
        script in proptest::collection::vec((0_u8..12, any::<u16>()), 1..300),
    ) {
        let mut desk = Desk::new(&format!("{}.{:02}", cents / 100, cents % 100));
        let row = json!({
            "prefix": "44", "rate": format!("{}.{:02}", rate / 100, rate % 100),
            "minimum_s": block, "increment_s": block,
        });
        desk.post("tariff/sell/rate", row).unwrap();
        let mut running: Vec<Running> = Vec::new();
        for (what, which) in script {
            let place = usize::from(which) % running.len().max(1);
            match what {
                0..3 => {
                    let admit = desk.invite("10.1.0.1:5060", "44207");
                    if let Ok(route) = desk.ask(&admit) {
                        let (granted_s, extend_at_s) = granted(&route);
                        prop_assert!(granted_s > 0);
                        let call = Talk { admit, route };
                        running.push(Running { call, granted_s, extend_at_s, talked_s: 0, lost: None });
                    }
                }
                // Time passes, and whoever is due asks, or ends.
                3..9 => for at in (0..running.len()).rev() {
                    let one = &mut running[at];
                    one.talked_s += u32::from(which % 40);
                    // The answer to somebody who asked a former control comes now.
                    if let Some((granted_s, extend_at_s)) = one.lost.take() {
                        (one.granted_s, one.extend_at_s) = (granted_s, extend_at_s);
                    }
                    if one.extend_at_s > 0 && one.extend_at_s < one.granted_s && one.talked_s >= one.extend_at_s {
                        let said = desk.extend(&one.call, one.granted_s, one.talked_s.min(one.granted_s));
                        let (granted_s, extend_at_s) = said.unwrap();
                        prop_assert!(granted_s >= one.granted_s);
                        if which % 7 == 0 {
                            one.lost = Some((granted_s, extend_at_s));
                        } else {
                            (one.granted_s, one.extend_at_s) = (granted_s, extend_at_s);
                        }
                    }
                    if one.talked_s >= one.granted_s {
                        let one = running.remove(at);
                        desk.ends(&one.call, one.granted_s, one.talked_s * 1000 + u32::from(which % 900));
                    }
                },
                9 if !running.is_empty() => {
                    let one = running.remove(place);
                    desk.ends(&one.call, one.granted_s, one.talked_s.min(one.granted_s) * 1000);
                }
                // Control dies: the next one knows what the call table says.
                10 => {
                    for one in &running {
                        desk.office.release(one.call.admit.record);
                    }
                    for one in &running {
                        desk.office.rebuild(desk.time, 0, one.call.admit.call, &one.record());
                    }
                }
                _ => {}
            }
            desk.settle();
            let spent = money(&desk.balance("customer"));
            prop_assert!(spent >= Money::ZERO, "{spent}");
        }
        for one in running {
            desk.ends(&one.call, one.granted_s, one.granted_s * 1000);
        }
        prop_assert!(money(&desk.balance("customer")) >= Money::ZERO);
        prop_assert_eq!((desk.office.calls_live(), desk.reserved()), (0, Money::ZERO));
    }
}
