//! Exact decimal money: an `i64` of billionths of the currency's unit.

use std::fmt;
use std::str::FromStr;

/// Billionths in one.
const ONE: i64 = 1_000_000_000;

/// Decimal places that fit.
const PLACES: usize = 9;

/// Digits of the largest amount.
const DIGITS_MAX: usize = 19;

/// An amount of money, ± 9,223,372,036 with nine decimals. Which currency is the account's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why text or a sum is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyFault {
    /// Not a decimal number.
    NotDecimal,
    /// More than nine decimals.
    TooPrecise,
    /// Too large.
    Overflow,
}

impl fmt::Display for MoneyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "an amount is a decimal number like 0.0120",
            Self::TooPrecise => "an amount has at most nine decimals",
            Self::Overflow => "the amount is too large",
        })
    }
}

impl std::error::Error for MoneyFault {}

/// How a fraction becomes the last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RoundingMode {
    /// To the nearest, a half to the even digit.
    #[default]
    HalfEven = 0,
    /// To the nearest, a half away from zero.
    HalfUp = 1,
    /// Away from zero.
    Up = 2,
}

impl RoundingMode {
    /// From its number; another one reads as [`Self::HalfEven`].
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        match number {
            1 => Self::HalfUp,
            2 => Self::Up,
            _ => Self::HalfEven,
        }
    }
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From billionths.
    #[must_use]
    pub const fn from_billionths(billionths: i64) -> Self {
        Self(billionths)
    }

    /// As billionths.
    #[must_use]
    pub const fn billionths(self) -> i64 {
        self.0
    }

    /// The sum, or an overflow.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn plus(self, other: Self) -> Result<Self, MoneyFault> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyFault::Overflow)
    }

    /// The difference, or an overflow.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn minus(self, other: Self) -> Result<Self, MoneyFault> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyFault::Overflow)
    }

    /// So many percent of it, rounded once to six decimals, a half to the even digit.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn percent(self, percent: Self) -> Result<Self, MoneyFault> {
        let exact = i128::from(self.0) * i128::from(percent.0);
        Self::rounded(exact, 100 * i128::from(ONE), 6, RoundingMode::HalfEven)
    }

    /// To so many decimals, a half to the even digit.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn to_decimals(self, decimals: u8) -> Result<Self, MoneyFault> {
        Self::rounded(self.0.into(), 1, decimals, RoundingMode::HalfEven)
    }

    /// `numerator / denominator` billionths, rounded once up to a multiple of `unit`.
    pub(crate) fn rounded_up_to(
        numerator: i128,
        denominator: i128,
        unit: Self,
    ) -> Result<Self, MoneyFault> {
        let divisor = denominator.checked_mul(unit.0.into()).ok_or(MoneyFault::Overflow)?;
        let units = numerator / divisor + i128::from(numerator % divisor > 0);
        let amount = units.checked_mul(unit.0.into()).ok_or(MoneyFault::Overflow)?;
        i64::try_from(amount).map(Self).map_err(|_| MoneyFault::Overflow)
    }

    /// `numerator / denominator` billionths, rounded once to `precision` decimals.
    pub(crate) fn rounded(
        numerator: i128,
        denominator: i128,
        precision: u8,
        mode: RoundingMode,
    ) -> Result<Self, MoneyFault> {
        let places = u32::from(precision).min(PLACES as u32);
        let unit = 10_i128.pow(PLACES as u32 - places);
        let divisor = denominator.checked_mul(unit).ok_or(MoneyFault::Overflow)?;
        let (whole, rest) = (numerator / divisor, numerator % divisor);
        let twice = rest.unsigned_abs().saturating_mul(2);
        let half = divisor.unsigned_abs();
        let up = match mode {
            RoundingMode::HalfEven => twice > half || twice == half && whole % 2 != 0,
            RoundingMode::HalfUp => twice >= half,
            RoundingMode::Up => rest != 0,
        };
        let away = if numerator < 0 { -1 } else { 1 };
        let steps = if up { whole + away } else { whole };
        let billionths = steps.checked_mul(unit).ok_or(MoneyFault::Overflow)?;
        i64::try_from(billionths).map(Self).map_err(|_| MoneyFault::Overflow)
    }
}

/// Without trailing zeros past the second decimal: `0.012`, `5.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From the last digit on: every record has ten amounts, and the machinery of `fmt` is slow.
        let mut text = [0; DIGITS_MAX + 2];
        let mut from = text.len();
        let mut put = |byte: u8| {
            from -= 1;
            text[from] = byte;
        };
        let mut left = self.0.unsigned_abs();
        let mut is_behind = true;
        for place in 0..DIGITS_MAX {
            if place == PLACES {
                put(b'.');
            } else if place > PLACES && left == 0 {
                break;
            }
            let digit = (left % 10) as u8;
            left /= 10;
            // At least two decimals, and no zeros behind them.
            is_behind &= digit == 0 && place + 2 < PLACES;
            if !is_behind {
                put(b'0' + digit);
            }
        }
        if self.0 < 0 {
            put(b'-');
        }
        let text = text.get(from..).unwrap_or_default();
        f.write_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

impl FromStr for Money {
    type Err = MoneyFault;

    fn from_str(text: &str) -> Result<Self, MoneyFault> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && decimals.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(MoneyFault::NotDecimal);
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > PLACES {
            return Err(MoneyFault::TooPrecise);
        }
        let number = |text: &str| -> Result<i64, MoneyFault> {
            if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| MoneyFault::Overflow) }
        };
        let whole = number(whole)?.checked_mul(ONE).ok_or(MoneyFault::Overflow)?;
        let billionths =
            whole.checked_add(number(&format!("{decimals:0<9}"))?).ok_or(MoneyFault::Overflow)?;
        Ok(Self(if negative { -billionths } else { billionths }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    #[test]
    fn text_and_amount_agree() {
        for (text, shown) in [
            ("0.0120", "0.012"),
            ("5", "5.00"),
            ("-3.5", "-3.50"),
            (".5", "0.50"),
            ("0.000000001", "0.000000001"),
        ] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), shown);
        }
        assert_eq!(Money(i64::MIN).to_string(), "-9223372036.854775808");
    }

    #[test]
    fn a_percentage_is_rounded_once_to_six_decimals() {
        let percent = |of: &str, percent: &str| {
            let of: Money = of.parse().unwrap();
            of.percent(percent.parse().unwrap()).map(|it| it.to_string())
        };
        assert_eq!(percent("200", "12.5"), Ok("25.00".into()));
        assert_eq!(percent("0.00001", "5"), Ok("0.00".into()), "half of a millionth");
        assert_eq!(percent("0.00003", "5"), Ok("0.000002".into()), "one and a half");
        assert_eq!(percent("-1", "33.3333"), Ok("-0.333333".into()));
        assert_eq!(percent("9000000000", "1000"), Err(MoneyFault::Overflow));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-", ".", "1e3", "1,5", " 1", "--1", "0x1"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyFault::NotDecimal), "{text}");
        }
        assert_eq!("0.0000000001".parse::<Money>(), Err(MoneyFault::TooPrecise));
        assert_eq!("99999999999".parse::<Money>(), Err(MoneyFault::Overflow));
        assert_eq!(Money(i64::MAX).plus(Money(1)), Err(MoneyFault::Overflow));
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(billionths: i64) {
            prop_assume!(billionths != i64::MIN);
            for money in [Money(billionths), Money(billionths % 100_000 * 1_000_000)] {
                let text = money.to_string();
                prop_assert_eq!(text.parse(), Ok(money));
                let (_, decimals) = text.split_once('.').unwrap();
                prop_assert!(decimals.len() == 2 || decimals.len() > 2 && !decimals.ends_with('0'));
            }
        }

        #[test]
        fn rounding_agrees_with_an_independent_decimal(
            numerator in -1_000_000_000_000_000i64..1_000_000_000_000_000, precision in 0u8..=6,
        ) {
            let exact = Decimal::from_i128_with_scale(numerator.into(), 9) / Decimal::from(8);
            for (mode, theirs) in [
                (RoundingMode::HalfEven, RoundingStrategy::MidpointNearestEven),
                (RoundingMode::HalfUp, RoundingStrategy::MidpointAwayFromZero),
                (RoundingMode::Up, RoundingStrategy::AwayFromZero),
            ] {
                let ours = Money::rounded(numerator.into(), 8, precision, mode).unwrap();
                let theirs = exact.round_dp_with_strategy(precision.into(), theirs);
                let ours = Decimal::from_i128_with_scale(ours.billionths().into(), 9);
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
