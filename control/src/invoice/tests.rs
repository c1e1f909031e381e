//! What documents come to, against decimals of another hand, and whatever happens to their records.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use proptest::prelude::*;
use rust_decimal::{Decimal as Exact, RoundingStrategy};

use super::*;

fn line(destination: &str, amount: &str, tax: &str) -> Line {
    Line {
        destination: destination.into(),
        count: 1,
        billed_s: 60,
        amount: amount.parse().unwrap(),
        tax: tax.parse().unwrap(),
        ..Line::default()
    }
}

#[test]
fn a_total_is_rounded_once_a_half_to_the_even_digit_and_says_by_how_much() {
    let lines = ["0.004", "0.001"].map(|amount| line("44", amount, "0"));
    for (more, total, rounding) in [
        ("0.01", "0.02", "0.005"),
        ("0.02", "0.02", "-0.005"),
        ("0", "0.00", "-0.005"),
        ("-0.02", "-0.02", "-0.005"),
    ] {
        let mut document = Document { lines: lines.to_vec(), ..Document::default() };
        document.lines.push(line("39", more, "0"));
        document.add_up(2, Default::default()).unwrap();
        assert_eq!(
            (document.total, document.rounding),
            (total.parse().unwrap(), rounding.parse().unwrap())
        );
    }
}

#[test]
fn a_difference_has_what_changed_came_or_went_and_nothing_else() {
    let before = [line("44", "1", "0.2"), line("39", "2", "0"), line("", "3", "0")];
    let now = [line("44", "1", "0.2"), line("39", "1.5", "0"), line("1", "4", "0")];
    let lines = difference(&before, &now).unwrap();
    let told: Vec<_> =
        lines.iter().map(|it| (it.destination.as_str(), it.amount.to_string(), it.count)).collect();
    assert_eq!(
        told,
        [("", "-3.00".into(), -1), ("1", "4.00".into(), 1), ("39", "-0.50".into(), 0)]
    );
    assert_eq!(difference(&before, &before), Ok(vec![]));
    let large = [line("44", "9000000000", "0")];
    assert_eq!(
        difference(&large, &[line("44", "-9000000000", "0")]).map(|_| ()),
        Err(MoneyFault::Overflow)
    );
}

#[test]
fn what_is_open_tells_the_state() {
    let money = |text: &str| text.parse::<Money>().unwrap();
    let mut head = Head { total: money("10"), ..Head::default() };
    assert_eq!(head.state(), "draft");
    head.number = 1;
    assert_eq!((head.state(), head.open()), ("issued", money("10")));
    head.standing.paid = money("4");
    head.standing.set_right = money("-6");
    assert_eq!((head.state(), head.open()), ("paid", Money::ZERO));
    head.standing.is_cancelled = true;
    assert_eq!(head.state(), "cancelled");
}

fn exact(money: Money) -> Exact {
    Exact::new(money.billionths(), 9)
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line =
        (0_usize..5, -5_i64..9, 0_i64..900, -9_999_999_999_i64..99_999_999_999, 0_i64..999_999_999);
    let made = line.prop_map(|(at, count, billed_s, amount, tax)| Line {
        what: [LineOf::Calls, LineOf::Rent][usize::from(at == 4)],
        destination: ["44", "39", "1", "", "flat: period 2"][at].into(),
        country: String::new(),
        count,
        billed_s,
        amount: Money::from_billionths(amount),
        tax: Money::from_billionths(tax),
    });
    prop::collection::vec(made, 0..8)
}

proptest! {
    /// However often and however the records change: a document and its notes are the rounded sum of what there is.
    #[test]
    fn a_document_and_its_notes_are_always_what_the_records_come_to(
        states in prop::collection::vec(lines(), 1..5), digits in 0_u8..7,
    ) {
        let mut billed: Vec<Line> = Vec::new();
        let (mut exact_before, mut total_before) = (Money::ZERO, Money::ZERO);
        for now in states {
            let mut document =
                Document { lines: difference(&billed, &now).unwrap(), ..Document::default() };
            document.add_up(digits, (exact_before, total_before)).unwrap();
            exact_before = exact_before.plus(document.exact().unwrap()).unwrap();
            total_before = total_before.plus(document.total).unwrap();
            billed.extend(document.lines);
            let sum: Exact = now.iter().map(|it| exact(it.amount) + exact(it.tax)).sum();
            prop_assert_eq!(exact(exact_before), sum);
            let rounded = sum.round_dp_with_strategy(digits.into(), RoundingStrategy::MidpointNearestEven);
            prop_assert_eq!(exact(total_before), rounded);
            prop_assert_eq!(difference(&billed, &now), Ok(vec![]), "nothing is told twice");
        }
    }
}
