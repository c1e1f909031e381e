//! Charges: the examples that were agreed on, and an oracle that counts every second in decimals of its own.

use super::*;
use crate::price::{SECTIONS_MAX, per_minute};
use crate::{Origin, RoundingMode, Section};
use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn section(seconds: u32, rate: &str, increment_s: u32) -> Section {
    Section { seconds, rate: money(rate), increment_s }
}

/// What a call of whole seconds costs: billed seconds, fee, tax.
fn costs(seconds: u64, price: &Price) -> (u64, String, String) {
    let charge = charge(seconds * 1000, price, &Rounding::default()).unwrap();
    (charge.billed_s, charge.fee.to_string(), charge.tax.to_string())
}

fn billed_s(seconds: u64, minimum_s: u32, increment_s: u32) -> u64 {
    costs(seconds, &per_minute("0.60", minimum_s, increment_s)).0
}

#[test]
fn sixty_one_seconds_bill_by_increments() {
    assert_eq!(billed_s(61, 60, 60), 120);
    assert_eq!(billed_s(61, 1, 1), 61);
    assert_eq!(billed_s(61, 30, 6), 66);
    assert_eq!(billed_s(10, 30, 6), 30);
    assert_eq!(billed_s(0, 30, 6), 0);
    assert_eq!(billed_s(5, 0, 0), 5);
}

#[test]
fn a_section_bills_up_to_its_end_and_the_base_rate_goes_on_there() {
    // 60 s at A = 6 per minute, then B = 0.6 per minute, 30/6.
    let mut price = per_minute("0.60", 30, 6);
    price.sections[0] = section(60, "6", 6);
    assert_eq!(costs(75, &price), (78, "6.18".into(), "0.00".into()), "60 A + 18 B");
    assert_eq!(costs(10, &price), (30, "3.00".into(), "0.00".into()), "30 A");
    assert_eq!(costs(31, &price).0, 36);
    assert_eq!(costs(60, &price).0, 60);
    assert_eq!(costs(61, &price), (66, "6.06".into(), "0.00".into()));
    price.sections[0].increment_s = 7;
    assert_eq!(costs(59, &price).0, 60, "30 + 5 steps of 7 s would pass the end");
}

#[test]
fn sections_follow_each_other_and_the_minimum_may_pass_the_first() {
    let mut price = per_minute("0.06", 90, 10);
    price.sections = [section(60, "6", 60), section(60, "0.60", 1), section(0, "9", 1)];
    assert_eq!(costs(1, &price), (90, "6.30".into(), "0.00".into()), "60 of the first, 30 behind");
    assert_eq!(costs(91, &price).0, 91);
    assert_eq!(costs(121, &price), (130, "6.61".into(), "0.00".into()));
    price.sections[0].seconds = 0;
    assert_eq!(costs(1, &price), (90, "0.09".into(), "0.00".into()), "none behind one of no time");
}

#[test]
fn a_rest_below_the_precision_is_dropped_and_none_never_rounds() {
    assert_eq!(seconds(10_049, 50), 10);
    assert_eq!(seconds(10_050, 50), 11);
    assert_eq!(seconds(10_051, 50), 11);
    assert_eq!(seconds(10_000, 0), 10);
    assert_eq!(seconds(10_001, 0), 11);
    assert_eq!(seconds(10_999, 1000), 10);
}

#[test]
fn the_connection_fee_comes_once_and_free_calls_pay_neither_it_nor_tax() {
    let price =
        Price { connection_fee: money("0.05"), tax: 20 * PERCENT, ..per_minute("0.60", 1, 1) };
    let total = |ms, free_time_s| {
        let rounding = Rounding { free_time_s, ..Rounding::default() };
        charge(ms, &price, &rounding).unwrap().total().unwrap().to_string()
    };
    assert_eq!(total(10_000, 0), "0.18");
    assert_eq!(total(0, 0), "0.00");
    assert_eq!(total(10_000, 10), "0.00");
    assert_eq!(total(16_000, 10), "0.132");
    assert_eq!(total(16_000, 10), total(6_000, 0), "as if the call began there");
}

#[test]
fn the_fee_is_rounded_once() {
    let price = Price { fee_precision: 4, ..per_minute("0.0001", 1, 1) };
    // 0.0001 / 60 · 89 s = 0.00014833…
    assert_eq!(costs(89, &price).1, "0.0001");
    assert_eq!(costs(89, &Price { rounding_mode: RoundingMode::Up, ..price }).1, "0.0002");
}

#[test]
fn a_fee_of_0_0049_shows_at_four_decimals_and_not_at_two() {
    let price = |fee_precision| Price { fee_precision, ..per_minute("0.0049", 60, 60) };
    assert_eq!(costs(60, &price(4)).1, "0.0049");
    assert_eq!(costs(60, &price(2)).1, "0.00");
}

#[test]
fn a_fee_unit_takes_the_place_of_the_precision_and_rounds_up() {
    let price = Price { fee_unit: money("0.05"), fee_precision: 2, ..per_minute("0.60", 1, 1) };
    assert_eq!(costs(1, &price).1, "0.05");
    assert_eq!(costs(5, &price).1, "0.05");
    assert_eq!(costs(6, &price).1, "0.10");
    assert_eq!(costs(0, &price).1, "0.00");
}

#[test]
fn tax_is_on_the_rounded_fee_and_apart() {
    let price = Price { tax: 19 * PERCENT, fee_precision: 2, ..per_minute("0.60", 1, 1) };
    // 0.555 is a fee of 0.56, and 19 % of that are 0.1064.
    assert_eq!(costs(55, &Price { rate: money("0.6055"), ..price }).1, "0.56");
    assert_eq!(costs(55, &Price { rate: money("0.6055"), ..price }).2, "0.11");
}

#[test]
fn a_fee_too_large_is_an_error_and_never_wraps() {
    let price = per_minute("9000000000", 1, 1);
    let fee = charge(u64::MAX, &price, &Rounding::default());
    assert_eq!(fee, Err(MoneyFault::Overflow));
}

#[test]
fn the_last_affordable_second_is_paid_for_and_the_next_is_not() {
    let price = per_minute("0.60", 1, 1);
    let rounding = Rounding::default();
    let lasts =
        |available, longest| affordable_s(money(available), &price, &rounding, &[], longest);
    assert_eq!(lasts("1.00", 86_400), 100);
    assert_eq!(lasts("0.009", 86_400), 0);
    assert_eq!(lasts("99999", 3_600), 3_600);
    assert_eq!(lasts("1.00", u64::MAX), 100);
    let taxed = Price { tax: 25 * PERCENT, ..price };
    assert_eq!(affordable_s(money("1.00"), &taxed, &rounding, &[], 86_400), 80);
}

fn stretch(from_s: u64, until_s: u64) -> Stretch {
    Stretch { from_s, until_s }
}

#[test]
fn what_packages_pay_for_is_billed_and_costs_nothing_but_the_connection() {
    let mut price =
        Price { connection_fee: money("0.05"), tax: 10 * PERCENT, ..per_minute("0.60", 30, 6) };
    price.sections[0] = section(60, "6", 6);
    let rounding = Rounding::default();
    let costs = |seconds: u64, covered: &[Stretch]| {
        let charge = charge_beside(seconds * 1000, &price, &rounding, covered).unwrap();
        (charge.billed_s, charge.fee.to_string(), charge.tax.to_string())
    };
    assert_eq!(costs(75, &[stretch(0, 60)]), (78, "0.23".into(), "0.023".into()));
    assert_eq!(costs(75, &[stretch(0, 78)]), (78, "0.05".into(), "0.005".into()));
    // Two packages, with seconds between them that the balance paid; and a call that ended before they did.
    assert_eq!(costs(75, &[stretch(0, 10), stretch(50, 70)]).1, "4.13");
    assert_eq!(costs(10, &[stretch(0, 10), stretch(50, 70)]).1, "2.05");
    assert_eq!(costs(0, &[stretch(0, 10)]).1, "0.00");
    // 30 s are the minimum, so no balance pays for the first one.
    let lasts = |available, covered: &[Stretch]| {
        affordable_s(money(available), &price, &rounding, covered, 3_600)
    };
    assert_eq!(lasts("0.055", &[stretch(0, 60)]), 60);
    assert_eq!(lasts("0.054", &[stretch(0, 60)]), 0);
    assert_eq!(lasts("0.165", &[stretch(0, 60)]), 66, "0.10 for 10 s of talk, in steps of six");
}

#[test]
fn an_amount_is_worth_whole_seconds() {
    let mut price = per_minute("0.60", 1, 1);
    price.sections[0] = section(60, "6", 6);
    let until = |amount, from_s, until_s| worth_until(money(amount), &price, from_s, until_s);
    assert_eq!(until("1.05", 0, 3_600), stretch(0, 10));
    assert_eq!(until("1.05", 50, 3_600), stretch(50, 65));
    assert_eq!(until("1.05", 50, 60), stretch(50, 60));
    assert_eq!(until("0.005", 0, 60), stretch(0, 0), "not one");
    assert_eq!(until("1", 60, 60), stretch(60, 60));
    assert_eq!(worth(&stretch(50, 65), &price).unwrap(), money("1.05"));
    assert_eq!(worth(&stretch(60, 50), &price).unwrap(), Money::ZERO, "nobody's");
}

prop_compose! {
    fn any_section()(seconds in 0u32..200, rate in 0i64..50_000_000_000, increment_s in 0u32..90)
        -> Section {
        Section { seconds, rate: Money::from_billionths(rate), increment_s }
    }
}

prop_compose! {
    pub(crate) fn any_price()(
        tariff in any::<u32>(), version in any::<u32>(), prefix_digits in 0u8..=32,
        origin in prop_oneof![
            Just(Origin::Any), Just(Origin::Unknown), (1u8..=32).prop_map(Origin::Prefix),
        ],
        rate in 0i64..50_000_000_000, unit_s in 1u32..120,
        minimum_s in 0u32..200, increment_s in 0u32..120,
        sections in proptest::array::uniform3(any_section()),
        connection_fee in 0i64..1_000_000_000, fee_precision in 0u8..=6, mode in 0u64..3,
    )(
        fee_unit in prop_oneof![3 => Just(0i64), 1 => 1i64..100_000_000],
        tax in prop_oneof![Just(0u32), 0..50 * PERCENT],
        price in Just(Price {
            tariff, version, prefix_digits, origin, locked: false,
            rate: Money::from_billionths(rate), unit_s, minimum_s, increment_s, sections,
            connection_fee: Money::from_billionths(connection_fee), fee_precision,
            rounding_mode: RoundingMode::from_number(mode), fee_unit: Money::ZERO, tax: 0,
        }),
    ) -> Price {
        Price { fee_unit: Money::from_billionths(fee_unit), tax, ..price }
    }
}

fn decimal(amount: Money) -> Decimal {
    Decimal::from_i128_with_scale(amount.billionths().into(), 9)
}

/// Where in a call each rate holds: its last second, its step, what it costs.
fn tiers(price: &Price) -> Vec<(u64, u64, Decimal)> {
    let mut end = 0;
    let sections = price.sections.iter().take_while(|section| section.seconds > 0);
    let mut tiers: Vec<_> = sections
        .map(|section| {
            end += u64::from(section.seconds);
            (end, u64::from(section.increment_s.max(1)), decimal(section.rate))
        })
        .collect();
    tiers.push((u64::MAX, price.increment_s.max(1).into(), decimal(price.rate)));
    tiers
}

/// The agreement as it is written, block by block and second by second.
fn agreed(seconds: u64, price: &Price, covered: &[Stretch]) -> (u64, Decimal, Decimal) {
    if seconds == 0 {
        return (0, Decimal::ZERO, Decimal::ZERO);
    }
    let tiers = tiers(price);
    let tier = |second: u64| tiers.iter().find(|(end, ..)| second < *end).unwrap();
    let mut paid_s = u64::from(price.minimum_s);
    while paid_s < seconds {
        let (end, step, _) = tier(paid_s);
        paid_s = (paid_s + step).min(*end);
    }
    let is_covered =
        |second: &u64| covered.iter().any(|it| (it.from_s..it.until_s).contains(second));
    let talk: Decimal =
        (0..paid_s).filter(|second| !is_covered(second)).map(|second| tier(second).2).sum();
    // In whole units first, so that only one division may leave a rest.
    let exact = (talk + decimal(price.connection_fee) * Decimal::from(price.unit_s))
        / Decimal::from(price.unit_s);
    let strategy = match price.rounding_mode {
        RoundingMode::HalfEven => RoundingStrategy::MidpointNearestEven,
        RoundingMode::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        RoundingMode::Up => RoundingStrategy::AwayFromZero,
    };
    let round = |exact: Decimal| exact.round_dp_with_strategy(price.fee_precision.into(), strategy);
    let fee = if price.fee_unit > Money::ZERO {
        let unit = decimal(price.fee_unit);
        (exact / unit).ceil() * unit
    } else {
        round(exact)
    };
    let percent = Decimal::from_i128_with_scale(price.tax.into(), 4);
    (paid_s, fee, round(fee * percent / Decimal::ONE_HUNDRED))
}

proptest! {
    #[test]
    fn a_charge_agrees_with_an_independent_decimal(price in any_price(), seconds in 0u64..1_200) {
        let ours = charge(seconds * 1000, &price, &Rounding::default()).unwrap();
        let ours = (ours.billed_s, decimal(ours.fee), decimal(ours.tax));
        prop_assert_eq!(ours, agreed(seconds, &price, &[]));
    }

    #[test]
    fn what_packages_leave_agrees_with_it_too(
        price in any_price(), seconds in 0u64..1_200,
        (first, long, gap, last) in (0u64..400, 0u64..300, 0u64..100, 0u64..500),
    ) {
        let next = first + long + gap;
        let covered = [stretch(first, first + long), stretch(next, next + last)];
        let ours = charge_beside(seconds * 1000, &price, &Rounding::default(), &covered).unwrap();
        let ours = (ours.billed_s, decimal(ours.fee), decimal(ours.tax));
        prop_assert_eq!(ours, agreed(seconds, &price, &covered));
    }

    #[test]
    fn a_longer_call_never_costs_less(price in any_price(), seconds in 0u64..2_000) {
        let total = |seconds: u64| {
            charge(seconds * 1000, &price, &Rounding::default()).unwrap().total().unwrap()
        };
        prop_assert!(total(seconds) <= total(seconds + 1));
    }

    #[test]
    fn what_is_affordable_is_paid_for_and_one_second_more_is_not(
        price in any_price(), available in 0i64..2_000_000_000_000, longest in 0u64..100_000,
        free_time_s in 0u32..20,
    ) {
        let (available, rounding) =
            (Money::from_billionths(available), Rounding { free_time_s, ..Rounding::default() });
        let total = |seconds: u64| {
            charge(seconds * 1000, &price, &rounding).unwrap().total().unwrap()
        };
        let lasts = affordable_s(available, &price, &rounding, &[], longest);
        prop_assert!(lasts <= longest);
        prop_assert!(lasts == 0 || total(lasts) <= available);
        prop_assert!(lasts == longest || total(lasts + 1) > available);
    }
}

const _: () = assert!(SECTIONS_MAX == 3);
