//! Fees of a switch that does one thing otherwise, and what is said of each.

use rating::{Calendar, Origin, Price, Rounding};

use super::*;

fn price(rate: &str) -> Price {
    Price {
        tariff: 1,
        version: 1,
        prefix_digits: 2,
        origin: Origin::Any,
        locked: false,
        rate: rate.parse().unwrap(),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: Default::default(),
        connection_fee: "0.005".parse().unwrap(),
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 190_000,
    }
}

/// An account that pays 0.0123 to 44, and for nothing else but 49, where nobody may call.
fn payers(free: &str) -> Payers {
    let locked = Price { locked: true, ..price("1") };
    let rows = [("44", price("0.0123")), ("49", locked)]
        .map(|(prefix, price)| rating::tariff::Row::always(prefix.into(), price));
    let calendar = Calendar::new(jiff::tz::TimeZone::UTC, Vec::new());
    let tariff = Arc::new(Tariff::build(rows, calendar));
    let payer = |tariff, tariffs| Payer { currency: "EUR".into(), tariff, tariffs };
    Payers {
        by_name: HashMap::from([
            ("a".to_owned(), payer(Some(tariff), 1)),
            ("none".to_owned(), payer(None, 0)),
            ("two".to_owned(), payer(None, 2)),
        ]),
        rounding: Rounding { hold_time_precision_ms: 50, free_time_s: 3 },
        free: free.to_owned(),
    }
}

fn call(callee: &str, ms: u64, amount: &str) -> ForeignCall {
    let amount = Some(amount.parse().unwrap());
    ForeignCall { callee: callee.into(), duration_ms: ms, amount, ..ForeignCall::default() }
}

/// What is said of a call to 44, whose fee another switch made by these terms.
fn said(ms: u64, change: impl Fn(&mut Terms)) -> (Verdict, String) {
    let payers = payers("");
    let mut terms = Terms { price: price("0.0123"), rounding: payers.rounding };
    change(&mut terms);
    let theirs = terms.charge(ms).unwrap().fee.to_string();
    let found = Rater::new(&payers).rate(&call("442071", ms, &theirs), "a");
    (found.verdict, found.why.into())
}

#[test]
fn what_another_switch_does_otherwise_is_found_by_its_fee_alone() {
    let ms = 61_030;
    assert_eq!(said(ms, |_| ()).0, Verdict::Equal);
    let (verdict, why) = said(ms, |terms| terms.price.rate = "0.0125".parse().unwrap());
    assert_eq!((verdict, &*why), (Verdict::Rate, "0.0125/60s instead of 0.0123/60s"));
    assert_eq!(
        said(ms, |terms| terms.price.connection_fee = Money::ZERO).0,
        Verdict::ConnectionFee
    );
    assert_eq!(said(ms, |terms| terms.rounding.hold_time_precision_ms = 0).0, Verdict::Seconds);
    assert_eq!(said(ms, |terms| terms.rounding.free_time_s = 0).0, Verdict::FreeTime);
    let (verdict, why) =
        said(ms, |terms| (terms.price.minimum_s, terms.price.increment_s) = (6, 6));
    assert_eq!((verdict, &*why), (Verdict::Increments, "6/6 instead of 1/1"));
    let (verdict, why) = said(ms, |terms| terms.price.fee_precision = 4);
    assert_eq!((verdict, &*why), (Verdict::Rounding, "4 decimals, a half to the even digit"));
    let (verdict, why) = said(ms, |terms| {
        terms.price.increment_s = 60;
        terms.price.minimum_s = 60;
        terms.price.connection_fee = Money::ZERO;
    });
    // A minute without fee is what a plain rate gives as well, and the simpler reason is taken.
    assert!([Verdict::Several, Verdict::Rate].contains(&verdict), "{why}");
    let (verdict, why) = said(ms, |terms| {
        terms.price.connection_fee = Money::ZERO;
        terms.price.fee_precision = 4;
    });
    assert_eq!(
        (verdict, &*why),
        (Verdict::Several, "theirs has none; 4 decimals, a half to the even digit")
    );
}

#[test]
fn calls_without_a_price_of_ours_say_why() {
    let payers = payers("4480");
    let mut rater = Rater::new(&payers);
    let mut verdict = |call: ForeignCall, payer: &str| rater.rate(&call, payer).verdict;
    assert_eq!(verdict(call("44", 1_000, "1"), "nobody"), Verdict::UnknownAccount);
    assert_eq!(verdict(call("44", 1_000, "1"), "none"), Verdict::NoTariff);
    assert_eq!(verdict(call("44", 1_000, "1"), "two"), Verdict::NoTariff);
    assert_eq!(verdict(call("33", 1_000, "1"), "a"), Verdict::UnknownPrefix);
    assert_eq!(verdict(call("49", 60_000, "1"), "a"), Verdict::Locked);
    assert_eq!(verdict(call("44", 60_000, "0"), "a"), Verdict::Free);
    assert_eq!(verdict(call("4480", 60_000, "0"), "a"), Verdict::Equal);
    assert_eq!(verdict(call("4480", 60_000, "1"), "a"), Verdict::FreeNumber);
    let dollars = ForeignCall { currency: "usd".into(), ..call("44", 60_000, "1") };
    assert_eq!(verdict(dollars, "a"), Verdict::Currency);
    let euros = ForeignCall { currency: "eur".into(), ..call("44", 60_000, "0") };
    assert_eq!(verdict(euros, "a"), Verdict::Free);
    // Less than the fee of the connection, which no rate gives.
    assert_eq!(verdict(call("44", 61_030, "0.000000001"), "a"), Verdict::Unexplained);
    let total = Terms { price: price("0.0123"), rounding: payers.rounding };
    let total = total.charge(60_000).unwrap().total().unwrap().to_string();
    assert_eq!(verdict(call("44", 60_000, &total), "a"), Verdict::Tax);
}
