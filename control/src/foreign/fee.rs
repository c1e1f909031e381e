//! What a call that another switch rated costs by our tariffs; where that is another fee, why.
//!
//! A reason is never guessed: one thing about our terms is changed at a time, then two, and the first change by which
//! our own charging gives their fee to the digit is the reason. Where none does, the rate is looked for that would.

use std::collections::HashMap;
use std::sync::Arc;

use rating::terms::WORDS;
use rating::{Asked, Money, RoundingMode, Tariff, Terms};

use super::ForeignCall;
use crate::cdr::rate_text;
use crate::state::payers::{Payer, Payers};

/// Reasons that are remembered, so that a file of like calls is not reckoned line by line.
const KNOWN_MAX: usize = 100_000;
/// Least and step in seconds as switches bill: each is tried.
const STEPS: [(u32, u32); 9] =
    [(1, 1), (6, 6), (30, 6), (60, 6), (30, 30), (60, 1), (30, 1), (60, 60), (0, 1)];
/// From which rest of it on a second counts, ms.
const SECONDS: [(u32, &str); 3] = [
    (0, "a started second counts"),
    (1_000, "a started second does not count"),
    (500, "a second counts from its half on"),
];
/// How the last decimal is made.
const MODES: [(RoundingMode, &str); 3] = [
    (RoundingMode::HalfEven, "a half to the even digit"),
    (RoundingMode::HalfUp, "a half up"),
    (RoundingMode::Up, "up"),
];
/// Decimals that a rate is looked for with.
const RATE_PLACES: u32 = 9;
/// Decimals that rates are mostly written with.
const PLAIN_PLACES: u32 = 4;

/// How a fee of theirs stands to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The same to the digit.
    Equal,
    /// They took nothing.
    Free,
    /// The number costs nothing here (`BILLING_FREE_E164S`), and did there.
    FreeNumber,
    /// Theirs has our tax in it.
    Tax,
    /// Ours has the fee of the connection, or the other way round.
    ConnectionFee,
    /// A started second counts otherwise.
    Seconds,
    /// Seconds that are free here are not there.
    FreeTime,
    /// Other least seconds or steps.
    Increments,
    /// Other decimals, or the last of them otherwise.
    Rounding,
    /// Two of these together.
    Several,
    /// Another rate.
    Rate,
    /// Nothing that was tried gives their fee.
    Unexplained,
    /// Nobody may call there.
    Locked,
    /// Our tariff has no rate for the number.
    UnknownPrefix,
    /// The account has no tariff, or several.
    NoTariff,
    /// The account is in another currency.
    Currency,
    /// There is no such account.
    UnknownAccount,
}

impl Verdict {
    /// Every verdict, in the order of a report.
    pub const ALL: [Self; 17] = [
        Self::Equal,
        Self::Free,
        Self::FreeNumber,
        Self::Tax,
        Self::ConnectionFee,
        Self::Seconds,
        Self::FreeTime,
        Self::Increments,
        Self::Rounding,
        Self::Several,
        Self::Rate,
        Self::Unexplained,
        Self::Locked,
        Self::UnknownPrefix,
        Self::NoTariff,
        Self::Currency,
        Self::UnknownAccount,
    ];

    /// The word of the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Free => "free",
            Self::FreeNumber => "free_number",
            Self::Tax => "tax",
            Self::ConnectionFee => "connection_fee",
            Self::Seconds => "seconds",
            Self::FreeTime => "free_time",
            Self::Increments => "increments",
            Self::Rounding => "rounding",
            Self::Several => "several",
            Self::Rate => "rate",
            Self::Unexplained => "unexplained",
            Self::Locked => "locked",
            Self::UnknownPrefix => "unknown_prefix",
            Self::NoTariff => "no_tariff",
            Self::Currency => "currency",
            Self::UnknownAccount => "unknown_account",
        }
    }
}

/// What was found of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How their fee stands to ours.
    pub verdict: Verdict,
    /// What it costs by our tariff, without tax; none: it has no price there.
    pub ours: Option<Money>,
    /// Our price; none: there is none.
    pub terms: Option<Terms>,
    /// What about it.
    pub why: Box<str>,
}

impl Found {
    fn without_price(verdict: Verdict, why: impl Into<Box<str>>) -> Self {
        Self { verdict, ours: None, terms: None, why: why.into() }
    }
}

/// Terms as words, a duration, and their fee.
type Known = ([u64; WORDS], u64, Money);

/// Rates the calls of a file, one after the other.
pub struct Rater<'p> {
    payers: &'p Payers,
    known: HashMap<Known, (Verdict, Box<str>)>,
}

impl<'p> Rater<'p> {
    /// By what these pay.
    #[must_use]
    pub fn new(payers: &'p Payers) -> Self {
        Self { payers, known: HashMap::new() }
    }

    /// One call, of an account by this name.
    pub fn rate(&mut self, call: &ForeignCall, payer: &str) -> Found {
        let Some(payer) = self.payers.by_name.get(payer) else {
            return Found::without_price(Verdict::UnknownAccount, "");
        };
        let tariff = match payer {
            Payer { currency, .. }
                if !call.currency.is_empty() && !call.currency.eq_ignore_ascii_case(currency) =>
            {
                let why = format!("{}, and the account has {currency}", call.currency);
                return Found::without_price(Verdict::Currency, why);
            }
            Payer { tariff: Some(tariff), .. } => tariff,
            Payer { tariffs: 0, .. } => {
                return Found::without_price(
                    Verdict::NoTariff,
                    "no gateway of it has one; name one",
                );
            }
            Payer { tariffs, .. } => {
                let why = format!("its gateways have {tariffs}; name one");
                return Found::without_price(Verdict::NoTariff, why);
            }
        };
        let Some(terms) = self.terms(tariff, call) else {
            return Found::without_price(Verdict::UnknownPrefix, "");
        };
        let is_free = self.payers.is_free(&call.callee);
        let charged =
            Terms { price: if is_free { terms.price.free() } else { terms.price }, ..terms };
        let theirs = call.amount.unwrap_or_default();
        let ours = charged.charge(call.duration_ms).ok().map(|charge| charge.fee);
        let (verdict, why) = match ours {
            _ if terms.price.locked => (Verdict::Locked, Box::default()),
            Some(ours) if ours == theirs => (Verdict::Equal, Box::default()),
            None => (Verdict::Unexplained, "our fee is too large to be money".into()),
            Some(_) if theirs == Money::ZERO => (Verdict::Free, Box::default()),
            Some(_) if is_free => (Verdict::FreeNumber, Box::default()),
            Some(_) => self.explained(&charged, call.duration_ms, theirs),
        };
        Found { verdict, ours, terms: Some(charged), why }
    }

    fn terms(&self, tariff: &Arc<Tariff>, call: &ForeignCall) -> Option<Terms> {
        let is_number =
            |text: &&str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let caller = call.caller.trim_start_matches('+');
        let price = tariff.price(&Asked {
            callee: call.callee.as_bytes(),
            caller: Some(caller).filter(is_number).map(str::as_bytes),
            at_us: call.start_us.cast_unsigned(),
        })?;
        Some(Terms { price, rounding: self.payers.rounding })
    }

    fn explained(&mut self, terms: &Terms, ms: u64, theirs: Money) -> (Verdict, Box<str>) {
        let key = (terms.to_words(), ms, theirs);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        // A file of which nothing agrees is reckoned in bounded time: then only single changes are tried.
        let has_time = self.known.len() < KNOWN_MAX;
        let found = explain(terms, ms, theirs, has_time);
        if has_time {
            self.known.insert(key, found.clone());
        }
        found
    }
}

/// Something about terms that another switch may have otherwise.
type Change = (Verdict, String, Terms);

/// The first change of our terms that gives this fee.
fn explain(terms: &Terms, ms: u64, theirs: Money, tries_pairs: bool) -> (Verdict, Box<str>) {
    let gives = |terms: &Terms| terms.charge(ms).is_ok_and(|charge| charge.fee == theirs);
    let total = terms.charge(ms).and_then(|charge| charge.total());
    if total == Ok(theirs) {
        return (Verdict::Tax, Box::default());
    }
    let single = changes(terms);
    if let Some((verdict, why, _)) = single.iter().find(|it| gives(&it.2)) {
        return (*verdict, why.as_str().into());
    }
    let by_rate = rate_that_gives(terms, ms, theirs);
    // Of a rate that somebody would write, two changes together are the less likely reason.
    let is_plain = by_rate.is_some_and(|(places, _)| places <= PLAIN_PLACES);
    if tries_pairs && !is_plain {
        for (first, why, changed) in &single {
            let pairs = changes(changed).into_iter().filter(|it| it.0 > *first);
            if let Some((_, other, _)) = pairs.into_iter().find(|it| gives(&it.2)) {
                return (Verdict::Several, format!("{why}; {other}").into());
            }
        }
    }
    match by_rate {
        Some((_, rate)) => (Verdict::Rate, rate_told(terms, rate)),
        None => (Verdict::Unexplained, Box::default()),
    }
}

fn rate_told(terms: &Terms, rate: Money) -> Box<str> {
    format!("{rate}/{}s instead of {}", terms.price.unit_s, rate_text(terms)).into()
}

/// Every single change that is tried, the likeliest first.
fn changes(terms: &Terms) -> Vec<Change> {
    let mut found = Vec::with_capacity(40);
    let none = || "theirs has none".to_owned();
    if terms.price.connection_fee != Money::ZERO {
        let mut changed = *terms;
        changed.price.connection_fee = Money::ZERO;
        found.push((Verdict::ConnectionFee, none(), changed));
    }
    for (ms, why) in SECONDS {
        if ms != terms.rounding.hold_time_precision_ms {
            let mut changed = *terms;
            changed.rounding.hold_time_precision_ms = ms;
            found.push((Verdict::Seconds, why.to_owned(), changed));
        }
    }
    if terms.rounding.free_time_s > 0 {
        let mut changed = *terms;
        changed.rounding.free_time_s = 0;
        found.push((Verdict::FreeTime, none(), changed));
    }
    let (minimum_s, increment_s) = (terms.price.minimum_s, terms.price.increment_s);
    for (minimum, increment) in STEPS {
        if (minimum, increment) != (minimum_s, increment_s) {
            let mut changed = *terms;
            (changed.price.minimum_s, changed.price.increment_s) = (minimum, increment);
            let why = format!("{minimum}/{increment} instead of {minimum_s}/{increment_s}");
            found.push((Verdict::Increments, why, changed));
        }
    }
    for (mode, why) in MODES {
        for decimals in (0..=6).rev() {
            let mut changed = *terms;
            changed.price.fee_unit = Money::ZERO;
            (changed.price.fee_precision, changed.price.rounding_mode) = (decimals, mode);
            found.push((Verdict::Rounding, format!("{decimals} decimals, {why}"), changed));
        }
    }
    found
}

/// A rate of as few decimals as can be by which our terms give this fee, and how many those are.
fn rate_that_gives(terms: &Terms, ms: u64, theirs: Money) -> Option<(u32, Money)> {
    let price = &terms.price;
    if price.sections.iter().any(|section| section.seconds > 0) {
        return None;
    }
    let billed_s = i128::from(terms.charge(ms).ok()?.billed_s);
    let talk = i128::from(theirs.minus(price.connection_fee).ok()?.billionths());
    if billed_s == 0 || talk < 0 {
        return None;
    }
    let exact = talk.checked_mul(price.unit_s.max(1).into())?;
    for places in 0..=RATE_PLACES {
        let step = 10_i128.pow(RATE_PLACES - places);
        let below = exact / billed_s / step * step;
        for rate in [below, below + step] {
            let mut changed = *terms;
            changed.price.rate = Money::from_billionths(i64::try_from(rate).ok()?);
            if changed.price.check().is_ok() && changed.charge(ms).ok()?.fee == theirs {
                return Some((places, changed.price.rate));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
