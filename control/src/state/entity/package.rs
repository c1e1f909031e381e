//! Packages: what an account pays in advance, and what it gets for that; and subscriptions, who has which.

use jiff::tz::TimeZone;
use rating::Money;
use rating::calendar::{Calendar, PERIODS_MAX, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::currency;
use super::fields::{bounded, euro, money, one, prefix};
use super::tariff::hours;
use crate::Refusal;
use crate::shown::Decimal;
use crate::state::moment::When;
use crate::state::word::words;

/// Prefixes that one package may pay for; each call of its account looks through them.
const PREFIXES_MAX: usize = 1_000;
/// Free minutes of a period: those of all lines of a large switch.
const MINUTES_MAX: u32 = 1_000_000_000;
/// Highest percentage of rent.
const PERCENT_MAX: i64 = 1_000 * 1_000_000_000;

words! {
    /// How long a period lasts, by the calendar of the account's zone; a month to the same day of the next one, or the
    /// last it has.
    Span { Month = "month", Week = "week", Day = "day" }

    /// What becomes of a subscription whose next period cannot be paid: it rests, costs nothing, and pays for no call,
    /// until there is money, and a period begins then; it ends; or it goes on, and the balance falls further than its
    /// credit.
    FailedMode { Suspend = "suspend", End = "end", Owe = "owe" }
}

/// What an account can subscribe to: minutes and money for calls, for a rent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// ISO 4217.
    #[serde(default = "euro")]
    pub currency: String,
    /// Minutes of talk, as billed, that it pays for in each period.
    #[serde(default)]
    pub free_minutes: u32,
    /// Fees of talk that it pays for in each period, behind its minutes.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub free_amount: Money,
    /// It pays for calls to these callee prefixes, as billed; none: to all.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// It pays for calls that begin at these hours of the account's zone, `mon-fri 08:00-19:00` each; none: at all.
    #[serde(default)]
    pub hours: Vec<String>,
    /// How long a period lasts: `day`, `week` or `month`.
    #[serde(default)]
    pub span: Span,
    /// What each period costs, at its beginning.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub rent: Money,
    /// What it costs besides at its end: so many percent of what the account's calls cost in it, tax not counted.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub rent_percent: Money,
    /// What the account's calls cost in a period at least; what is missing is charged at its end.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub minimum_consumption: Money,
    /// How many periods follow the first one of a subscription; null: one behind the other until it ends.
    #[serde(default)]
    pub renewals: Option<u32>,
    /// What becomes of a subscription whose rent cannot be paid: `suspend`, `end` or `owe`.
    #[serde(default)]
    pub failed_mode: FailedMode,
}

/// That an account has a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The customer's account; it stays.
    pub account: String,
    /// The package; it stays.
    pub package: String,
    /// Of several packages the one of the lowest number pays first, then the one whose period ends first.
    #[serde(default = "one")]
    pub priority: u32,
    /// Its first period begins then; null: as soon as there is the subscription. It stays.
    #[serde(default)]
    pub begins: Option<When>,
    /// It ends then, at the latest; null: as the package says.
    #[serde(default)]
    pub ends: Option<When>,
}

impl Package {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        currency(&self.currency)?;
        if self.free_minutes > MINUTES_MAX {
            return Err(Refusal::invalid(format!("free_minutes: up to {MINUTES_MAX}")));
        }
        let amounts = [
            ("free_amount", self.free_amount),
            ("rent", self.rent),
            ("minimum_consumption", self.minimum_consumption),
        ];
        if let Some((field, _)) = amounts.iter().find(|(_, amount)| *amount < Money::ZERO) {
            return Err(Refusal::invalid(format!("{field}: not negative")));
        }
        if !(0..=PERCENT_MAX).contains(&self.rent_percent.billionths()) {
            return Err(Refusal::invalid("rent_percent: 0 to 1000"));
        }
        bounded("prefixes", self.prefixes.len(), PREFIXES_MAX)?;
        self.prefixes.iter().try_for_each(|text| prefix("prefixes", text))?;
        bounded("hours", self.hours.len(), PERIODS_MAX)?;
        self.hours.iter().try_for_each(|text| match hours(text) {
            Some(_) => Ok(()),
            None => Err(Refusal::invalid(format!(
                "hours: {text:?} are no hours, such as mon-fri 19:00-08:00"
            ))),
        })
    }

    /// Seconds that it pays for in each period.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::from(self.free_minutes) * 60
    }

    /// Whether it pays for a call to that number that begins at that instant, by the clock of that zone.
    #[must_use]
    pub fn pays_for(&self, callee: &str, at_us: u64, zone: &str) -> bool {
        let is_listed = self.prefixes.iter().any(|prefix| callee.starts_with(prefix.as_str()));
        if !is_listed && !self.prefixes.is_empty() {
            return false;
        }
        let week: Vec<Period> = self.hours.iter().filter_map(|text| hours(text)).collect();
        // A zone was found when it was entered.
        let zone = || TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        week.is_empty() || Calendar::new(zone(), week).at(at_us) != 0
    }

    /// Whether what the account's calls cost in a period matters at its end.
    #[must_use]
    pub fn counts_calls(&self) -> bool {
        self.minimum_consumption > Money::ZERO || self.rent_percent > Money::ZERO
    }
}

impl Subscription {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match (self.begins, self.ends) {
            (Some(begins), Some(ends)) if ends <= begins => {
                Err(Refusal::invalid("ends: not before the subscription begins"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(more: serde_json::Value) -> Package {
        let mut body = json!({"name": "p"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_package_that_cannot_be_is_refused_by_its_field() {
        let check = |more| package(more).check().map_err(|refusal| refusal.detail);
        assert_eq!(check(json!({"free_minutes": 100, "hours": ["sat-sun 00:00-24:00"]})), Ok(()));
        for (field, wrong) in [
            ("currency", json!({"currency": "eur"})),
            ("free_minutes", json!({"free_minutes": 1_000_000_001})),
            ("free_amount", json!({"free_amount": "-1"})),
            ("rent", json!({"rent": "-0.01"})),
            ("minimum_consumption", json!({"minimum_consumption": "-1"})),
            ("rent_percent", json!({"rent_percent": "1000.1"})),
            ("prefixes", json!({"prefixes": ["+44"]})),
            ("hours", json!({"hours": ["weekend"]})),
        ] {
            assert!(check(wrong.clone()).unwrap_err().starts_with(field), "{wrong}");
        }
    }

    #[test]
    fn a_package_pays_for_its_prefixes_at_its_hours_by_the_accounts_clock() {
        // Monday, 23 November 2026, 18:30 in London and 19:30 in Berlin.
        let at: jiff::Timestamp = "2026-11-23T18:30:00Z".parse().unwrap();
        let at_us = at.as_microsecond() as u64;
        let pays = |more, callee, zone| package(more).pays_for(callee, at_us, zone);
        assert!(pays(json!({}), "44207", "UTC"));
        assert!(pays(json!({"prefixes": ["39", "44"]}), "44207", "UTC"));
        assert!(!pays(json!({"prefixes": ["39", "441"]}), "44207", "UTC"));
        let day = json!({"hours": ["mon-fri 08:00-19:00"]});
        assert!(pays(day.clone(), "44207", "Europe/London"));
        assert!(!pays(day, "44207", "Europe/Berlin"));
    }
}
