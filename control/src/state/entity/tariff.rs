//! Tariffs: heads, and rates by prefix.

use rating::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::currency;
use super::fields::{euro, money, one, prefix};
use crate::Refusal;
use crate::shown::Decimal;

/// No rate counts in longer steps.
const DAY_S: u32 = 86_400;
/// The fee of ten days' talk still is an amount of money.
const RATE_PER_S_MAX: i64 = 10_000;
const CONNECTION_FEE_MAX: i64 = 1_000_000;
const BILLIONTHS: i64 = 1_000_000_000;

/// The head of a tariff; its rates are rows of their own.
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
    /// Decimals of a fee; none: `FEE_PRECISION`.
    #[serde(default)]
    pub fee_precision: Option<u8>,
    /// `half_even`, `half_up` or `up`.
    #[serde(default = "half_even")]
    pub rounding: String,
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
    /// Money per `unit_s`.
    #[serde(with = "money")]
    #[schemars(with = "Decimal")]
    pub rate: Money,
    /// Seconds that `rate` pays for.
    #[serde(default = "sixty")]
    pub unit_s: u32,
    /// Billed at least, s.
    #[serde(default = "one")]
    pub minimum_s: u32,
    /// Billed in steps of, s.
    #[serde(default = "one")]
    pub increment_s: u32,
    /// Added once on answer.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub connection_fee: Money,
}

fn half_even() -> String {
    "half_even".into()
}

fn sixty() -> u32 {
    60
}

impl TariffHead {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        currency(&self.currency)?;
        if self.fee_precision.is_some_and(|precision| precision > 6) {
            return Err(Refusal::invalid("fee_precision: 0 to 6"));
        }
        if !matches!(self.rounding.as_str(), "half_even" | "half_up" | "up") {
            return Err(Refusal::invalid("rounding: half_even, half_up or up"));
        }
        Ok(())
    }
}

impl RateRow {
    /// Values that types cannot rule out.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn check(&self) -> Result<(), Refusal> {
        prefix("prefix", &self.prefix)?;
        let seconds = |name, value: u32, least| {
            if (least..=DAY_S).contains(&value) {
                Ok(())
            } else {
                Err(Refusal::invalid(format!("{name}: {least} to {DAY_S}, not {value}")))
            }
        };
        seconds("unit_s", self.unit_s, 1)?;
        seconds("increment_s", self.increment_s, 1)?;
        seconds("minimum_s", self.minimum_s, 0)?;
        if self.rate < Money::ZERO || self.connection_fee < Money::ZERO {
            return Err(Refusal::invalid("rate and connection_fee: not negative"));
        }
        let rate_max = RATE_PER_S_MAX * i64::from(self.unit_s);
        if self.rate.billionths() / BILLIONTHS >= rate_max {
            return Err(Refusal::invalid(format!(
                "rate: less than {rate_max} for {} s",
                self.unit_s
            )));
        }
        if self.connection_fee.billionths() / BILLIONTHS >= CONNECTION_FEE_MAX {
            return Err(Refusal::invalid(format!(
                "connection_fee: less than {CONNECTION_FEE_MAX}"
            )));
        }
        Ok(())
    }
}
