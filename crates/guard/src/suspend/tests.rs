//! Failures, scripted: who is shut out for them, and who never is.

use std::net::Ipv4Addr;

use super::*;
use crate::{Pattern, Watch};

const S: WallUs = 1_000_000;
const T0: WallUs = 1_700_000_000 * S;
const MINUTES_10: Duration = Duration::from_secs(600);

fn rule(limit: u32, time_s: u64) -> Rule {
    Rule { limit, window: MINUTES_10, time: Duration::from_secs(time_s) }
}

fn rules() -> Rules {
    Rules {
        rules: [rule(6, 180), rule(30, 180), rule(0, 3600), rule(5, 3600), rule(0, 1800)],
        longest: Duration::from_secs(86_400),
    }
}

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last).into()
}

fn failure(at_us: WallUs, endpoint: &str, source: IpAddr) -> Failure<'_> {
    Failure { at_us, endpoint, source, standing: Standing::Stranger, is_its_place: false }
}

fn suspended_kinds(consequences: &[Consequence]) -> Vec<Kind> {
    let kind = |it: &Consequence| match it {
        Consequence::Suspended(it) | Consequence::Denied(it) | Consequence::Spared(it) => {
            it.scope.kind()
        }
    };
    consequences.iter().map(kind).collect()
}

/// So many failures in a row, a second apart. What followed from the last.
fn fail(
    all: &mut Suspensions,
    rules: &Rules,
    at_us: WallUs,
    endpoint: &str,
    times: u64,
) -> Vec<Consequence> {
    let each =
        (0..times).map(|n| all.handle_failure(rules, &failure(at_us + n * S, endpoint, host(1))));
    each.last().unwrap_or_default()
}

#[test]
fn the_sixth_failure_in_a_row_suspends_the_pair_and_nobody_else() {
    let mut all = Suspensions::default();
    assert_eq!(fail(&mut all, &rules(), T0, "100", 5), []);
    assert_eq!(all.check(T0 + 5 * S, "100", host(1), false), None);
    let last = fail(&mut all, &rules(), T0 + 5 * S, "100", 1);
    assert_eq!(suspended_kinds(&last), [Kind::Pair]);
    let at_us = T0 + 5 * S;
    assert_eq!(all.check(at_us, "100", host(1), false).map(|it| it.failures), Some(6));
    assert_eq!(
        all.check(at_us, "100", host(2), false),
        None,
        "T-06: the owner elsewhere may log in"
    );
    assert_eq!(all.check(at_us, "101", host(1), false), None);
}

#[test]
fn a_suspension_ends_by_itself_and_the_count_begins_anew() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "100", 6);
    let since_us = T0 + 5 * S;
    assert!(all.check(since_us + 180 * S - 1, "100", host(1), false).is_some());
    assert!(all.check(since_us + 180 * S, "100", host(1), false).is_none());
    let mut ended = Vec::new();
    all.handle_time(since_us + 180 * S, |scope| ended.push(scope.clone()));
    assert_eq!(ended, [Scope::Pair("100".into(), host(1))]);
    assert_eq!(fail(&mut all, &rules(), since_us + 200 * S, "100", 5), []);
}

#[test]
fn five_wrong_one_right_five_wrong_suspend_nobody() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "100", 5);
    all.handle_success(T0 + 6 * S, "100", 1, host(1));
    assert_eq!(fail(&mut all, &rules(), T0 + 7 * S, "100", 5), []);
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "100", 5);
    assert_eq!(fail(&mut all, &rules(), T0 + 604 * S, "100", 5), []);
}

#[test]
fn who_offends_again_is_suspended_twice_as_long_up_to_a_limit_and_a_day_of_peace_forgives() {
    let mut all = Suspensions::default();
    let rules = Rules { longest: Duration::from_secs(1_000), ..rules() };
    let mut at_us = T0;
    let mut times = Vec::new();
    for _ in 0..4 {
        let Some(Consequence::Suspended(it)) = fail(&mut all, &rules, at_us, "100", 6).pop() else {
            panic!("not suspended");
        };
        times.push((it.until_us - it.since_us) / S);
        at_us = it.until_us + S;
        all.handle_time(at_us, |_| {});
    }
    assert_eq!(times, [180, 360, 720, 1_000]);
    let later_us = at_us + 86_400 * S;
    all.handle_time(later_us, |_| {});
    let last = fail(&mut all, &rules, later_us, "100", 6);
    assert!(matches!(&last[..], [Consequence::Suspended(it)] if it.offences == 1));
}

#[test]
fn five_endpoints_of_one_stranger_are_denied_and_of_a_customer_only_told() {
    for (standing, wanted) in [
        (Standing::Stranger, "denied"),
        (Standing::Customer, "spared"),
        (Standing::Trusted, "spared"),
    ] {
        let mut all = Suspensions::default();
        let mut last = Vec::new();
        for name in ["a", "b", "a", "b", "c", "d", "e"] {
            let failure = Failure { standing, ..failure(T0, name, host(1)) };
            assert_eq!(last, [], "before {name}");
            last = all.handle_failure(&rules(), &failure);
        }
        let became = match &last[..] {
            [Consequence::Denied(_)] => "denied",
            [Consequence::Spared(_)] => "spared",
            other => panic!("{other:?}"),
        };
        assert_eq!(became, wanted);
    }
}

#[test]
fn one_endpoint_alone_never_leads_past_its_suspension() {
    let mut all = Suspensions::default();
    let mut kinds = Vec::new();
    for n in 0..1_000 {
        let last = all.handle_failure(&rules(), &failure(T0 + n * 100_000, "100", host(1)));
        kinds.extend(suspended_kinds(&last));
    }
    assert!(!kinds.contains(&Kind::Sweep), "{kinds:?}");
}

#[test]
fn many_sources_at_one_endpoint_shut_out_all_but_its_own_place() {
    let mut all = Suspensions::default();
    for n in 1..=30 {
        all.handle_failure(&rules(), &failure(T0, "100", host(n)));
    }
    assert!(all.check(T0, "100", host(99), false).is_some());
    assert!(all.check(T0, "100", host(200), true).is_none(), "where it is registered it stays");
}

#[test]
fn the_limit_of_attempts_silences_a_source_whatever_it_tries_and_never_a_customers() {
    let mut rules = rules();
    rules.rules[Kind::Source as usize] = rule(4, 60);
    let mut all = Suspensions::default();
    for (n, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert!(all.check(T0, "x", host(1), false).is_none(), "{n}");
        all.handle_failure(&rules, &failure(T0, name, host(1)));
    }
    assert!(all.check(T0 + 59 * S, "x", host(1), false).is_some());
    assert!(all.check(T0 + 60 * S, "x", host(1), false).is_none());
    for name in ["a", "b", "c", "d"] {
        let failure = Failure { standing: Standing::Customer, ..failure(T0, name, host(2)) };
        all.handle_failure(&rules, &failure);
    }
    assert!(all.check(T0, "x", host(2), false).is_none());
}

#[test]
fn invalid_calls_lock_an_account_for_that_source_alone_and_only_when_a_limit_is_set() {
    let mut all = Suspensions::default();
    for _ in 0..100 {
        assert_eq!(all.handle_invalid_call(&rules(), T0, 7, host(1)), None);
    }
    let mut rules = rules();
    rules.rules[Kind::Account as usize] = rule(5, 1800);
    let locks = (0..5).filter_map(|_| all.handle_invalid_call(&rules, T0, 7, host(1))).count();
    assert_eq!(locks, 1);
    assert!(all.check_account(T0 + 1799 * S, 7, host(1)).is_some());
    assert!(all.check_account(T0, 7, host(2)).is_none());
    assert!(all.check_account(T0, 8, host(1)).is_none());
}

#[test]
fn who_is_cleared_may_try_at_once_and_starts_from_nothing() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "100", 6);
    let scope = Scope::Pair("100".into(), host(1));
    assert!(all.clear(T0 + 7 * S, &scope));
    assert!(!all.clear(T0 + 7 * S, &scope));
    assert!(all.check(T0 + 7 * S, "100", host(1), false).is_none());
    let again = fail(&mut all, &rules(), T0 + 8 * S, "100", 6);
    assert!(matches!(&again[..], [Consequence::Suspended(it)] if it.offences == 1));
}

#[test]
fn what_was_decided_before_a_restart_holds_after_it() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "100", 6);
    let kept: Vec<Suspension> = all.list(T0 + 6 * S).collect();
    let mut next = Suspensions::default();
    kept.iter().for_each(|it| next.restore(T0 + 7 * S, it));
    assert_eq!(next.list(T0 + 7 * S).collect::<Vec<_>>(), kept);
    let until_us = kept[0].until_us;
    assert!(next.check(until_us - 1, "100", host(1), false).is_some());
    let again = fail(&mut next, &rules(), until_us + S, "100", 6);
    assert!(matches!(&again[..], [Consequence::Suspended(it)] if it.offences == 2));
}

#[test]
fn when_there_is_no_room_counts_go_and_suspensions_stay() {
    let mut all = Suspensions::default();
    fail(&mut all, &rules(), T0, "victim", 6);
    for n in 0..SCOPES_MAX as u32 + 1_000 {
        let source = IpAddr::from(Ipv4Addr::from(0x0b00_0000 + n));
        all.handle_failure(&rules(), &failure(T0 + 10 * S, "x", source));
    }
    assert!(all.check(T0 + 11 * S, "victim", host(1), false).is_some());
    assert_eq!(all.tables.each_ref().map(Table::len).iter().max(), Some(&SCOPES_MAX));
}

#[test]
fn a_name_is_kept_short_and_in_its_line() {
    let mut all = Suspensions::default();
    let long = format!("evil\r\nban 192.0.2.1 {}", "é".repeat(100));
    fail(&mut all, &rules(), T0, &long, 6);
    let kept: Vec<Suspension> = all.list(T0 + 6 * S).collect();
    let endpoint = kept[0].scope.endpoint().unwrap();
    assert!(endpoint.len() <= NAME_BYTES_MAX && !endpoint.contains(['\r', '\n']), "{endpoint:?}");
    assert!(all.check(T0 + 6 * S, &long, host(1), false).is_some());
}

#[test]
fn each_pattern_of_an_attack_is_told_apart() {
    let seen = |failures: &[(WallUs, String, IpAddr)]| {
        let (mut all, mut watch) = (Suspensions::default(), Watch::default());
        let mut patterns = Vec::new();
        for (at_us, endpoint, source) in failures {
            all.handle_time(*at_us, |_| {});
            for it in all.handle_failure(&rules(), &failure(*at_us, endpoint, *source)) {
                patterns.extend(watch.handle_consequence(*at_us, &it));
            }
        }
        patterns
    };
    let one = |n: u64, name: &str| (T0 + n * S, name.to_owned(), host(1));
    let names = ["alice", "bob", "carol", "dave", "eve"];
    let scan: Vec<_> = (0..).zip(names).map(|(n, name)| one(n, name)).collect();
    assert_eq!(seen(&scan), [Pattern::Scan]);
    let harvest: Vec<_> = (0..5).map(|n| one(n, &(1_000 + n).to_string())).collect();
    assert_eq!(seen(&harvest), [Pattern::Harvest]);
    let stubborn: Vec<_> = (0..18).map(|n| one(n * 100, "100")).collect();
    assert_eq!(seen(&stubborn), [Pattern::Persistent]);
    let together: Vec<_> = (0..20 * 6)
        .map(|n: u64| (T0 + n * S / 10, format!("phone {}", n / 6), host((n / 6) as u8)))
        .collect();
    assert_eq!(seen(&together), [Pattern::Distributed]);
}
