//! What packages pay for, held against a purse that gives second by second.

use proptest::prelude::*;
use rating::charge::charge_beside;
use rating::{Origin, Rounding, RoundingMode, Section};

use super::*;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// A cent a second, but for a first minute of ten.
fn price() -> Price {
    let section = Section { seconds: 60, rate: money("6"), increment_s: 1 };
    Price {
        tariff: 1,
        version: 1,
        prefix_digits: 2,
        origin: Origin::Any,
        locked: false,
        rate: money("0.60"),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: [section, Section::default(), Section::default()],
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 0,
    }
}

fn free(subscription: u32, seconds: u64, amount: &str) -> Allowance {
    Allowance { subscription, period: 1, seconds, amount: money(amount) }
}

/// Subscription, means, first second, first behind, worth.
fn told(cover: &Cover) -> Vec<(u32, &'static str, u64, u64, String)> {
    let told = |it: &Covered| {
        (it.subscription, it.means.name(), it.from_s, it.until_s, it.worth.to_string())
    };
    cover.iter().map(told).collect()
}

#[test]
fn a_packages_minutes_go_before_its_amount_and_both_before_the_next_package() {
    let mut cover = Cover::default();
    cover.extend(&price(), &[free(1, 50, "1.25"), free(2, 30, "0")], 0, 200);
    let whole = [
        (1, "minutes", 0, 50, "0.00".into()),
        // Ten seconds at ten cents, and 25 at one.
        (1, "amount", 50, 85, "1.25".into()),
        (2, "minutes", 85, 115, "0.00".into()),
    ];
    assert_eq!(told(&cover), whole);
    assert_eq!(cover.end_s(), 115);
    cover.cut(&price(), 62);
    assert_eq!(told(&cover)[1..], [(1, "amount", 50, 62, "1.02".into())]);
    cover.cut(&price(), 50);
    assert_eq!(told(&cover).len(), 1);
    cover.cut(&price(), 0);
    assert!(cover.is_empty());
}

#[test]
fn a_stretch_that_goes_on_with_the_same_means_grows() {
    let mut cover = Cover::default();
    cover.extend(&price(), &[free(1, 10, "0.50")], 0, 12);
    assert_eq!(told(&cover)[1], (1, "amount", 10, 12, "0.20".into()));
    cover.extend(&price(), &[free(1, 0, "0.30")], 12, 40);
    assert_eq!(told(&cover)[1..], [(1, "amount", 10, 15, "0.50".into())]);
    // The balance pays from there on, until somebody gives back.
    cover.extend(&price(), &[], 15, 60);
    cover.extend(&price(), &[free(1, 5, "0")], 60, 90);
    assert_eq!(told(&cover)[2..], [(1, "minutes", 60, 65, "0.00".into())]);
    // What a former control had promised already is not promised again.
    cover.extend(&price(), &[free(1, 100, "0")], 10, 60);
    assert_eq!(cover.end_s(), 65);
}

#[test]
fn a_call_has_so_many_stretches_and_the_balance_pays_beyond() {
    let mut cover = Cover::default();
    for at in 0..100 {
        cover.extend(&price(), &[free(at, 1, "0")], u64::from(at) * 2, u64::from(at) * 2 + 1);
    }
    assert_eq!(cover.iter().count(), STRETCHES_MAX);
}

proptest! {
    #[test]
    fn nothing_is_taken_that_is_not_there_and_no_second_is_paid_for_twice(
        script in proptest::collection::vec((0_u64..100, 0_u64..80, 0_i64..3_000, 0_u64..40), 1..20),
        end in 0_u64..1_500,
    ) {
        let price = price();
        let mut has: Vec<Allowance> = Vec::new();
        for (at, (_, seconds, cents, _)) in script.iter().take(3).enumerate() {
            let amount = Money::from_billionths(cents * 1_000_000);
            has.push(Allowance { subscription: at as u32, period: 1, seconds: *seconds, amount });
        }
        let (mut cover, mut granted) = (Cover::default(), 0);
        let left = |cover: &Cover| {
            let mut left = has.clone();
            for it in cover.iter() {
                let one = left.iter_mut().find(|one| one.subscription == it.subscription).unwrap();
                one.seconds = one.seconds.checked_sub(it.minutes_s()).unwrap();
                one.amount = one.amount.minus(it.worth).unwrap();
                assert!(one.amount >= Money::ZERO);
            }
            left
        };
        for (step, _, _, gap) in script {
            granted += gap;
            cover.extend(&price, &left(&cover), granted, granted + step);
            granted += step;
            let mut behind = 0;
            for it in cover.iter() {
                prop_assert!(it.from_s >= behind && it.until_s > it.from_s && it.until_s <= granted);
                behind = it.until_s;
            }
        }
        left(&cover);
        let before = cover.clone();
        cover.cut(&price, end);
        prop_assert!(cover.end_s() <= end);
        left(&cover);
        // What a call costs is what its seconds cost that nobody covers.
        let charge = |cover: &Cover| {
            charge_beside(end * 1000, &price, &Rounding::default(), &cover.stretches()).unwrap()
        };
        prop_assert_eq!(charge(&cover), charge(&before));
    }
}
