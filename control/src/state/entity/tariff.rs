//! Tariffs: heads, and rates by prefix, origin, period and instant.

use jiff::tz::TimeZone;
use rating::calendar::{DAY_MIN, PERIODS_MAX, Period};
use rating::price::{CONNECTION_FEE_MAX, FEE_UNIT_MAX, SECONDS_MAX};
use rating::{Money, RoundingMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::currency;
use super::fields::{bounded, euro, money, optional_money, prefix};
use super::section::Sections;
use crate::Refusal;
use crate::shown::Decimal;
use crate::state::moment::When;

/// The fee of ten days' talk still is an amount of money.
const RATE_PER_S_MAX: i64 = 10_000;
const BILLIONTHS: i64 = 1_000_000_000;
/// What callers of no number are called where an origin is named.
pub const UNKNOWN: &str = "unknown";

/// The head of a tariff; its rates are rows of their own.
///
/// What it leaves open it has of its template, and what that leaves open too of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TariffHead {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// ISO 4217.
    #[serde(default = "euro")]
    pub currency: String,
    /// The tariff whose head says what this one leaves open; empty: none.
    #[serde(default)]
    pub template: String,
    /// Decimals of a fee; none: the template's, or `FEE_PRECISION`.
    #[serde(default)]
    pub fee_precision: Option<u8>,
    /// `half_even`, `half_up` or `up`; none: the template's, or `half_even`.
    #[serde(default)]
    pub rounding: Option<String>,
    /// A fee rounds up to a multiple of it; none: the template's, or `SERVER_BILLING_FEE_UNIT`; 0: by precision.
    #[serde(default, with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub fee_unit: Option<Money>,
    /// Percent on the rounded fee; none: the template's, or 0.
    #[serde(default, with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub tax_percent: Option<Money>,
    /// Seconds that a rate pays for, where its row does not say; none: the template's, or 60.
    #[serde(default)]
    pub unit_s: Option<u32>,
    /// Billed at least, s; none: the template's, or 1.
    #[serde(default)]
    pub minimum_s: Option<u32>,
    /// Billed in steps of, s; none: the template's, or 1.
    #[serde(default)]
    pub increment_s: Option<u32>,
    /// Added once on answer; none: the template's, or 0.
    #[serde(default, with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub connection_fee: Option<Money>,
    /// Tiers before the base rate, `SECONDS@RATE/STEP` each; none: the template's, or none at all.
    #[serde(default)]
    pub sections: Option<Sections>,
    /// IANA name of the zone by whose clock periods go; none: the template's, or UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Periods of the week that rows name, `NAME=mon-fri 08:00-19:00` each, the first that holds before the others;
    /// none: the template's.
    #[serde(default)]
    pub periods: Option<Vec<String>>,
    /// Grows with every change of head or rates.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub version: u32,
}

/// The price of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRow {
    /// Callee prefix; empty: every number.
    #[serde(default)]
    pub prefix: String,
    /// For callers whose number begins so, or `unknown`: for those of no or an invalid number; empty: for all others.
    #[serde(default)]
    pub origin: Box<str>,
    /// In this period of the tariff's week; empty: at all other times.
    #[serde(default)]
    pub period: Box<str>,
    /// In force from this instant on, and until the next row of this prefix, origin and period is; null: ever.
    #[serde(default)]
    pub effective: Option<When>,
    /// In force until this instant; null: for ever.
    #[serde(default)]
    pub ends: Option<When>,
    /// Money per `unit_s`.
    #[serde(with = "money")]
    #[schemars(with = "Decimal")]
    pub rate: Money,
    /// Seconds that `rate` pays for; null: as the tariff says.
    #[serde(default)]
    pub unit_s: Option<u32>,
    /// Billed at least, s; null: as the tariff says.
    #[serde(default)]
    pub minimum_s: Option<u32>,
    /// Billed in steps of, s; null: as the tariff says.
    #[serde(default)]
    pub increment_s: Option<u32>,
    /// Added once on answer; null: as the tariff says.
    #[serde(default, with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub connection_fee: Option<Money>,
    /// Tiers before `rate`, `SECONDS@RATE/STEP` each; what one leaves open is as the tariff says; null: all of it.
    #[serde(default)]
    pub sections: Option<Sections>,
    /// Nobody may call there.
    #[serde(default, deserialize_with = "flag")]
    pub locked: bool,
}

/// An empty cell is none.
fn flag<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(from).map(Option::unwrap_or_default)
}

fn invalid(what: &str) -> Refusal {
    Refusal::invalid(what)
}

fn seconds(name: &str, value: Option<u32>, least: u32) -> Result<(), Refusal> {
    match value {
        Some(value) if !(least..=SECONDS_MAX).contains(&value) => {
            Err(Refusal::invalid(format!("{name}: {least} to {SECONDS_MAX}, not {value}")))
        }
        _ => Ok(()),
    }
}

fn connection_fee(fee: Option<Money>) -> Result<(), Refusal> {
    let fee = fee.unwrap_or_default();
    if fee < Money::ZERO {
        return Err(invalid("rate and connection_fee: not negative"));
    }
    if fee.billionths() >= CONNECTION_FEE_MAX {
        let most = CONNECTION_FEE_MAX / BILLIONTHS;
        return Err(Refusal::invalid(format!("connection_fee: less than {most}")));
    }
    Ok(())
}

impl TariffHead {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        currency(&self.currency)?;
        if self.fee_precision.is_some_and(|precision| precision > 6) {
            return Err(invalid("fee_precision: 0 to 6"));
        }
        if self.rounding.is_some() && self.mode().is_none() {
            return Err(invalid("rounding: half_even, half_up or up"));
        }
        let unit = self.fee_unit.unwrap_or_default().billionths();
        if !(0..=FEE_UNIT_MAX).contains(&unit) {
            return Err(invalid("fee_unit: 0 to 1000"));
        }
        let tax = self.tax_percent.unwrap_or_default().billionths();
        if !(0..=1_000 * BILLIONTHS).contains(&tax) || tax % TAX_STEP != 0 {
            return Err(invalid("tax_percent: 0 to 1000, with up to four decimals"));
        }
        seconds("unit_s", self.unit_s, 1)?;
        seconds("increment_s", self.increment_s, 1)?;
        seconds("minimum_s", self.minimum_s, 0)?;
        connection_fee(self.connection_fee)?;
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        TimeZone::get(zone).map_err(|_| {
            Refusal::invalid(format!("time_zone: {zone:?} is no zone, such as Europe/Berlin"))
        })?;
        let periods = self.periods.as_deref().unwrap_or_default();
        bounded("periods", periods.len(), PERIODS_MAX)?;
        let mut names: Vec<&str> = Vec::new();
        for text in periods {
            let (name, _) = period(text)?;
            if names.contains(&name) {
                return Err(Refusal::invalid(format!("periods: {name} stands there twice")));
            }
            names.push(name);
        }
        Ok(())
    }

    /// How it rounds, if it says.
    pub(in crate::state) fn mode(&self) -> Option<RoundingMode> {
        match self.rounding.as_deref()? {
            "half_even" => Some(RoundingMode::HalfEven),
            "half_up" => Some(RoundingMode::HalfUp),
            "up" => Some(RoundingMode::Up),
            _ => None,
        }
    }

    /// Its tax, as a price counts it, if it says.
    pub(in crate::state) fn tax(&self) -> Option<u32> {
        u32::try_from(self.tax_percent?.billionths() / TAX_STEP).ok()
    }

    /// This head where it says something, and that one where it does not.
    pub(in crate::state) fn over(self, template: &Self) -> Self {
        let other = template.clone();
        Self {
            fee_precision: self.fee_precision.or(other.fee_precision),
            rounding: self.rounding.or(other.rounding),
            fee_unit: self.fee_unit.or(other.fee_unit),
            tax_percent: self.tax_percent.or(other.tax_percent),
            unit_s: self.unit_s.or(other.unit_s),
            minimum_s: self.minimum_s.or(other.minimum_s),
            increment_s: self.increment_s.or(other.increment_s),
            connection_fee: self.connection_fee.or(other.connection_fee),
            sections: Sections::over(self.sections, other.sections),
            time_zone: self.time_zone.or(other.time_zone),
            periods: self.periods.or(other.periods),
            ..self
        }
    }

    /// Its periods by name.
    pub(in crate::state) fn week(&self) -> Vec<(&str, Period)> {
        // Every one was read once at entry, so none is lost here.
        self.periods.iter().flatten().filter_map(|text| period(text).ok()).collect()
    }
}

/// Billionths of a percent in one step of [`rating::Price::tax`].
const TAX_STEP: i64 = BILLIONTHS / 10_000;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `night=mon-fri,sun 19:00-08:00`.
fn period(text: &str) -> Result<(&str, Period), Refusal> {
    let read = || {
        let (name, when) = text.split_once('=')?;
        let period = hours(when)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let sane = (1..=32).contains(&name.len()) && name.bytes().all(fits);
        sane.then_some((name, period))
    };
    read().ok_or_else(|| {
        let what = format!("periods: {text:?} is no period, such as night=mon-fri 19:00-08:00");
        Refusal::invalid(what)
    })
}

/// `mon-fri,sun 19:00-08:00`.
pub(super) fn hours(text: &str) -> Option<Period> {
    let (days, hours) = text.trim().split_once(' ')?;
    let (from, until) = hours.trim().split_once('-')?;
    let (from_min, until_min) = (minutes(from)?, minutes(until)?);
    let days = days.split(',').try_fold(0, |all, part| Some(all | these_days(part)?))?;
    // A day ends where the next one begins.
    Some(Period { days, from_min: from_min % DAY_MIN, until_min: until_min % DAY_MIN })
}

fn these_days(text: &str) -> Option<u8> {
    let day = |text: &str| DAYS.iter().position(|day| *day == text);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Some((0..=length).fold(0, |days, step| days | 1 << ((first + step) % 7)))
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| {
        let sane = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        sane.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let at = hours * 60 + minutes;
    (minutes < 60 && at <= DAY_MIN).then_some(at)
}

impl RateRow {
    /// What tells it from the other rates of its tariff: its prefix; and what else it says of when and for whom.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.prefix.clone();
        for (name, value) in [("origin", &self.origin), ("period", &self.period)] {
            if !value.is_empty() {
                key.extend([";", name, "=", value]);
            }
        }
        if let Some(effective) = self.effective {
            key.extend([";effective=", &effective.to_string()]);
        }
        key
    }

    /// Values that types cannot rule out.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn check(&self) -> Result<(), Refusal> {
        prefix("prefix", &self.prefix)?;
        prefix("origin", &self.origin)?;
        seconds("unit_s", self.unit_s, 1)?;
        seconds("increment_s", self.increment_s, 1)?;
        seconds("minimum_s", self.minimum_s, 0)?;
        if self.rate < Money::ZERO {
            return Err(invalid("rate and connection_fee: not negative"));
        }
        connection_fee(self.connection_fee)?;
        let unit_s = self.unit_s.unwrap_or(60);
        let rate_max = RATE_PER_S_MAX * i64::from(unit_s);
        if self.rate.billionths() / BILLIONTHS >= rate_max {
            return Err(Refusal::invalid(format!("rate: less than {rate_max} for {unit_s} s")));
        }
        match (self.effective, self.ends) {
            (Some(from), Some(until)) if until <= from => {
                Err(invalid("ends: not before the rate is effective"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_days_and_hours() {
        let read = |text: &str| period(text).map(|(name, period)| (name.to_owned(), period));
        let night = Period { days: 0b001_1111, from_min: 19 * 60, until_min: 8 * 60 };
        assert_eq!(read("night=mon-fri 19:00-08:00").unwrap(), ("night".into(), night));
        let (_, weekend) = read("weekend=sat-mon 00:00-24:00").unwrap();
        assert_eq!(weekend, Period { days: 0b110_0001, from_min: 0, until_min: 0 });
        let (_, some) = read("x=tue,thu 12:30-12:45").unwrap();
        assert_eq!(some, Period { days: 0b1010, from_min: 750, until_min: 765 });
        for wrong in [
            "night",
            "=mon 00:00-01:00",
            "n=moon 00:00-01:00",
            "n=mon 0:00-01:00",
            "n=mon 24:01-01:00",
            "n=mon 00:60-01:00",
            "n=mon 00:00",
            "n = mon 00:00-01:00",
            "n=mon, 00:00-01:00",
        ] {
            assert!(read(wrong).unwrap_err().detail.contains("periods"), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_told_from_others_by_all_that_chooses_it() {
        let row = |text: &str| serde_json::from_str::<RateRow>(text).unwrap().key();
        assert_eq!(row(r#"{"prefix": "44", "rate": "1"}"#), "44");
        assert_eq!(
            row(r#"{"prefix": "44", "rate": "1", "origin": "33", "period": "night",
                "effective": "2026-12-01T00:00:00Z", "ends": "2027-01-01T00:00:00Z"}"#),
            "44;origin=33;period=night;effective=2026-12-01T00:00:00.000Z"
        );
    }
}
