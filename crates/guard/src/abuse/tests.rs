//! Calls, scripted and drawn: who is listed for them, and who never is.

use proptest::prelude::*;

use super::*;

const S: WallUs = 1_000_000;
const HOUR: u64 = 3_600;
/// A midnight.
const T0: WallUs = 19_675 * DAY_US;
const ONE: u32 = 7;

fn rule() -> AbuseRule {
    let (window, time) = (Duration::from_secs(HOUR), Duration::from_secs(24 * HOUR));
    AbuseRule { limit: 20, window, factor: 3, time }
}

fn at(day: u64, second: u64) -> WallUs {
    T0 + day * DAY_US + second * S
}

/// So many calls, a second apart. Which of them listed the account.
fn calls(abuse: &mut Abuse, rule: &AbuseRule, begin_us: WallUs, count: u64) -> Vec<u64> {
    let of = |n: &u64| {
        let reckoning = abuse.handle_call(rule, begin_us + n * S, ONE, "881");
        reckoning.listed.is_some()
    };
    (0..count).filter(of).map(|n| n + 1).collect()
}

#[test]
fn the_call_beyond_the_limit_lists_an_account_once_and_until_its_time_is_over() {
    let mut abuse = Abuse::default();
    assert_eq!(calls(&mut abuse, &rule(), at(0, 0), 40), [21]);
    let found = abuse.find(at(0, 60), ONE).unwrap().clone();
    let Abuser { account, since_us, until_us, calls: counted, usual, busiest, .. } = found;
    assert_eq!((account, counted, usual, busiest), (ONE, 21, 0, 40));
    assert_eq!((since_us, until_us), (at(0, 20), at(1, 20)));
    assert_eq!(abuse.list(at(0, 60)).count(), 1);

    let mut ended = Vec::new();
    abuse.handle_time(at(1, 19), |account| ended.push(account), |_| {});
    assert_eq!(ended, []);
    abuse.handle_time(at(1, 20), |account| ended.push(account), |_| {});
    assert_eq!((ended, abuse.list(at(1, 20)).count()), (vec![ONE], 0));
    assert_eq!(calls(&mut abuse, &rule(), at(1, 30), 40), [21], "and again when it goes on");
}

#[test]
fn calls_that_are_spread_wider_than_the_window_list_nobody() {
    let mut abuse = Abuse::default();
    for n in 0..200 {
        // 15 an hour; a window is up to a sixth longer than it says.
        let reckoning = abuse.handle_call(&rule(), at(0, n * 240), ONE, "881");
        assert_eq!(reckoning.listed, None, "{n}");
    }
    let off = AbuseRule { limit: 0, ..rule() };
    assert_eq!(calls(&mut abuse, &off, at(0, 86_000), 300), [] as [u64; 0]);
}

#[test]
fn an_account_with_a_history_is_not_listed_for_an_ordinary_day_and_is_for_an_unusual_one() {
    let mut abuse = Abuse::default();
    let mut listed = Vec::new();
    for day in 0..7 {
        let found = calls(&mut abuse, &rule(), at(day, 10 * HOUR), 60);
        if !found.is_empty() {
            listed.push(day);
            abuse.accept(at(day, 11 * HOUR), ONE).unwrap();
        }
    }
    assert_eq!(listed, [0], "a person says once that it is usual");
    assert_eq!(calls(&mut abuse, &rule(), at(7, 10 * HOUR), 400), [181], "three times sixty");
}

#[test]
fn history_is_learned_day_by_day_from_what_stays_below_the_limit() {
    let mut abuse = Abuse::default();
    for day in 0..7 {
        assert_eq!(calls(&mut abuse, &rule(), at(day, 10 * HOUR), 20), [] as [u64; 0]);
    }
    assert_eq!(calls(&mut abuse, &rule(), at(7, 10 * HOUR), 100), [61]);
    // An account that was silent for so long begins anew.
    let mut abuse = Abuse::default();
    for day in 0..7 {
        calls(&mut abuse, &rule(), at(day, 10 * HOUR), 20);
    }
    assert_eq!(calls(&mut abuse, &rule(), at(20, 10 * HOUR), 100), [21]);
    let alone = AbuseRule { factor: 0, ..rule() };
    let mut abuse = Abuse::default();
    for day in 0..7 {
        calls(&mut abuse, &alone, at(day, 10 * HOUR), 20);
    }
    assert_eq!(calls(&mut abuse, &alone, at(7, 10 * HOUR), 100), [21], "the limit alone");
}

#[test]
fn what_is_called_while_listed_never_becomes_usual_by_itself() {
    let mut abuse = Abuse::default();
    let short = AbuseRule { time: Duration::from_secs(HOUR), ..rule() };
    for day in 0..14 {
        let listed = calls(&mut abuse, &short, at(day, 10 * HOUR), 1_000);
        assert_eq!(listed, [21], "{day}");
        abuse.handle_time(at(day, 12 * HOUR), |_| {}, |_| {});
    }
}

#[test]
fn who_is_cleared_begins_at_nothing_and_is_listed_again_for_the_same() {
    let mut abuse = Abuse::default();
    assert_eq!(calls(&mut abuse, &rule(), at(0, 0), 30), [21]);
    assert_eq!(abuse.clear(at(0, 60), ONE).unwrap().busiest, 30);
    assert_eq!(abuse.clear(at(0, 60), ONE), None);
    assert_eq!(abuse.find(at(0, 60), ONE), None);
    assert_eq!(calls(&mut abuse, &rule(), at(0, 60), 30), [21]);
}

#[test]
fn what_is_remembered_holds_after_a_restart() {
    let mut abuse = Abuse::default();
    for day in 0..7 {
        calls(&mut abuse, &rule(), at(day, 10 * HOUR), 20);
    }
    let habit = abuse.habit(ONE).unwrap();
    assert_eq!(habit.peaks, [20, 20, 20, 20, 20, 20, 20, 0]);
    let mut later = Abuse::default();
    later.restore(&habit);
    assert_eq!(later.habit(ONE), Some(habit));
    assert_eq!(calls(&mut later, &rule(), at(7, 10 * HOUR), 100), [61]);
    let habit = later.habit(ONE).unwrap();
    let mut last = Abuse::default();
    last.restore(&habit);
    assert_eq!(last.list(at(7, 11 * HOUR)).count(), 1);
    let mut ended = 0;
    last.handle_time(at(8, 11 * HOUR), |_| ended += 1, |_| {});
    assert_eq!((ended, last.list(at(8, 11 * HOUR)).count()), (1, 0));
}

#[test]
fn the_account_that_called_least_lately_makes_room_and_those_listed_go_last() {
    let mut abuse = Abuse::with_room(3);
    assert_eq!(calls(&mut abuse, &rule(), at(0, 0), 21), [21]);
    for (account, second) in [(1, 100), (2, 101)] {
        abuse.handle_call(&rule(), at(0, second), account, "88");
    }
    let forgotten = |abuse: &mut Abuse, second: u64, account: u32| {
        abuse.handle_call(&rule(), at(0, second), account, "88").forgotten
    };
    assert_eq!(forgotten(&mut abuse, 102, 1), None);
    assert_eq!(forgotten(&mut abuse, 103, 3), Some(2));
    assert_eq!(forgotten(&mut abuse, 104, 4), Some(1));
    assert!(abuse.find(at(0, 104), ONE).is_some());
    assert!(abuse.forget(4) && !abuse.forget(4));
    let mut gone = Vec::new();
    abuse.handle_time(at(9, 0), |_| {}, |account| gone.push(account));
    gone.sort_unstable();
    assert_eq!(gone, [3, ONE], "nobody is remembered for ever");
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Call(u32),
    Pass(u64),
    Clear(u32),
    Accept(u32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..6_u32).prop_map(Step::Call),
        4 => (0..40_000_u64).prop_map(Step::Pass),
        1 => (0..6_u32).prop_map(Step::Clear),
        1 => (0..6_u32).prop_map(Step::Accept),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever happens, nobody is listed for what is allowed, nobody stays listed beyond his time, and there are
    /// never more rows than room.
    #[test]
    fn nobody_is_listed_for_what_is_allowed(
        steps in prop::collection::vec(step(), 1..400),
        limit in 1..8_u32,
        factor in 0..4_u32,
    ) {
        let rule = AbuseRule { limit, factor, ..rule() };
        let mut abuse = Abuse::with_room(4);
        let mut now = at(0, 0);
        // When each account called, since it was cleared last.
        let mut made: Vec<Vec<WallUs>> = vec![Vec::new(); 6];
        for step in steps {
            match step {
                Step::Pass(seconds) => now += seconds * S,
                Step::Call(account) => {
                    let was = abuse.find(now, account).is_some();
                    let made = &mut made[account as usize];
                    made.push(now);
                    let reckoning = abuse.handle_call(&rule, now, account, "88");
                    let window_us = micros(rule.window) + micros(rule.window) / PARTS;
                    let lately = made.iter().filter(|at| **at + window_us > now).count() as u32;
                    if let Some(abuser) = reckoning.listed {
                        prop_assert!(!was, "listed once");
                        prop_assert!(abuser.calls > limit && abuser.calls <= lately);
                        prop_assert!(abuser.calls > factor * abuser.usual);
                        prop_assert_eq!(abuse.find(now, account), Some(&abuser));
                    }
                    prop_assert!(reckoning.forgotten != Some(account));
                }
                Step::Clear(account) | Step::Accept(account) => {
                    let was = abuse.find(now, account).is_some();
                    let found = match step {
                        Step::Clear(_) => abuse.clear(now, account),
                        _ => abuse.accept(now, account),
                    };
                    prop_assert_eq!(found.is_some(), was);
                    prop_assert!(abuse.find(now, account).is_none());
                    if was {
                        made[account as usize].clear();
                    }
                }
                Step::Restart => {
                    let mut next = Abuse::with_room(4);
                    for account in 0..6 {
                        if let Some(habit) = abuse.habit(account) {
                            next.restore(&habit);
                        }
                    }
                    let listed = |abuse: &Abuse| {
                        let mut all: Vec<_> = abuse.list(now).cloned().collect();
                        all.sort_by_key(|it| it.account);
                        all
                    };
                    prop_assert_eq!(listed(&next), listed(&abuse));
                    abuse = next;
                }
            }
            abuse.handle_time(now, |_| {}, |_| {});
            prop_assert!(abuse.rows.len() <= 4 && abuse.order.len() == abuse.rows.len());
            let listed = abuse.rows.values().filter(|row| row.abuser.is_some()).count();
            prop_assert_eq!(abuse.ends.len(), listed);
            prop_assert!(abuse.list(now).all(|it| it.since_us <= now && now < it.until_us));
        }
    }

    /// Whoever has no history is listed by the call beyond the limit, however the calls lie within the window.
    #[test]
    fn a_burst_of_an_account_without_a_history_lists_it(
        mut seconds in prop::collection::vec(0..HOUR, 21..60),
        begin in 0..100_000_u64,
    ) {
        seconds.sort_unstable();
        let mut abuse = Abuse::default();
        let listed = seconds.iter().position(|second| {
            abuse.handle_call(&rule(), at(0, begin + second), ONE, "88").listed.is_some()
        });
        prop_assert_eq!(listed, Some(20));
    }
}

#[test]
fn a_window_of_another_length_forgets_and_goes_on_expiring() {
    let mut abuse = Abuse::default();
    assert_eq!(calls(&mut abuse, &rule(), at(0, 0), 15), [] as [u64; 0]);
    let wider = AbuseRule { window: Duration::from_secs(2 * HOUR), ..rule() };
    // Five a day, which are twenty-one in four days and never twenty in two hours.
    for day in 0..10 {
        assert_eq!(calls(&mut abuse, &wider, at(day, 7 * HOUR), 5), [] as [u64; 0], "day {day}");
    }
    assert_eq!(calls(&mut abuse, &wider, at(10, 7 * HOUR), 40), [21]);
}

#[test]
fn a_clock_that_was_far_ahead_once_holds_nothing_up() {
    let mut abuse = Abuse::default();
    assert_eq!(calls(&mut abuse, &rule(), at(900, 0), 15), [] as [u64; 0]);
    // What was counted then is of no time, and what comes now expires as ever.
    for day in 0..10 {
        assert_eq!(calls(&mut abuse, &rule(), at(day, 7 * HOUR), 5), [] as [u64; 0], "day {day}");
    }
    assert_eq!(calls(&mut abuse, &rule(), at(10, 7 * HOUR), 40), [21]);
}
