//! What each measure of a report is: the one definition, of all reports.
//!
//! Money is added up in billionths, exactly; what does not fit an amount in the end is refused. Tax
//! stands apart from fees everywhere, so profit is the customers' fees less the vendors'.

use std::collections::BTreeMap;

use rating::Money;
use serde_json::{Value, json};

use crate::Refusal;
use crate::shown::{self, Decimal, hundredths};

/// A column that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Calls, or times that a vendor was tried.
    Attempts,
    /// Of these, those with a 2xx.
    Answered,
    /// Answer-seizure ratio: answered of a hundred attempts.
    Asr,
    /// Average call duration: talk time by answered calls.
    Acd,
    /// Post-dial delay: the average of those that rang or were answered.
    Pdd,
    /// Talk time.
    TalkMs,
    /// The same in minutes.
    Minutes,
    /// Seconds billed to customers.
    BilledS,
    /// Seconds billed by vendors.
    VendorBilledS,
    /// Customers' fees.
    Revenue,
    /// Tax on these.
    Tax,
    /// Vendors' fees.
    Cost,
    /// Tax on these.
    VendorTax,
    /// What agents earned.
    Earnings,
    /// Revenue less cost and what agents earned.
    Profit,
    /// The balance before.
    Opening,
    /// What was paid.
    Payments,
    /// What calls moved.
    Charges,
    /// What was given back.
    Refunds,
    /// What was set right.
    Corrections,
    /// What subscriptions cost.
    Rents,
    /// What calls cost less than packages ask for.
    Packages,
    /// What an agent earned.
    Incomes,
    /// The balance after.
    Closing,
}

impl Measure {
    /// Those of balances.
    pub const OF_BALANCES: [Self; 9] = [
        Self::Opening,
        Self::Payments,
        Self::Charges,
        Self::Refunds,
        Self::Corrections,
        Self::Rents,
        Self::Packages,
        Self::Incomes,
        Self::Closing,
    ];

    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Attempts,
        Self::Answered,
        Self::Asr,
        Self::Acd,
        Self::Pdd,
        Self::TalkMs,
        Self::Minutes,
        Self::BilledS,
        Self::VendorBilledS,
        Self::Revenue,
        Self::Tax,
        Self::Cost,
        Self::VendorTax,
        Self::Earnings,
        Self::Profit,
        Self::Opening,
        Self::Payments,
        Self::Charges,
        Self::Refunds,
        Self::Corrections,
        Self::Rents,
        Self::Packages,
        Self::Incomes,
        Self::Closing,
    ];

    /// The name of its column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Answered => "answered",
            Self::Asr => "asr_percent",
            Self::Acd => "acd_ms",
            Self::Pdd => "pdd_ms",
            Self::TalkMs => "talk_ms",
            Self::Minutes => "minutes",
            Self::BilledS => "billed_s",
            Self::VendorBilledS => "vendor_billed_s",
            Self::Revenue => "revenue",
            Self::Tax => "tax",
            Self::Cost => "cost",
            Self::VendorTax => "vendor_tax",
            Self::Earnings => "earnings",
            Self::Profit => "profit",
            Self::Opening => "opening",
            Self::Payments => "payments",
            Self::Charges => "charges",
            Self::Refunds => "refunds",
            Self::Corrections => "corrections",
            Self::Rents => "rents",
            Self::Packages => "packages",
            Self::Incomes => "incomes",
            Self::Closing => "closing",
        }
    }

    pub(super) fn doc(self) -> &'static str {
        match self {
            Self::Attempts => "Calls, or how often a vendor's gateway was tried",
            Self::Answered => "Those with a 2xx",
            Self::Asr => "Answered of a hundred attempts; null: none was made",
            Self::Acd => "Talk time by answered calls; null: none was answered",
            Self::Pdd => {
                "INVITE to the first 18x or 2xx, on average of those that had one; null: none had"
            }
            Self::TalkMs => {
                "Talk time as the customer pays it; in `routing`, from each vendor's 2xx to its end"
            }
            Self::Minutes => "Talk time in minutes",
            Self::BilledS => "Seconds billed to customers",
            Self::VendorBilledS => "Seconds billed by vendors",
            Self::Revenue => "Customers' fees without tax",
            Self::Tax => "Tax on customers' fees",
            Self::Cost => "Vendors' fees without tax",
            Self::VendorTax => "Tax on vendors' fees",
            Self::Earnings => "What agents earned on these calls",
            Self::Profit => "Revenue less cost, and less what agents earned",
            Self::Opening => "The balance before",
            Self::Payments => "Payments between",
            Self::Charges => "Charges of calls between, negative",
            Self::Refunds => "Refunds between, negative",
            Self::Corrections => "Corrections between, either",
            Self::Rents => "Rents of subscriptions between, negative",
            Self::Packages => "What calls cost less than packages ask for, negative",
            Self::Incomes => "What an agent earned on calls between, either",
            Self::Closing => "The balance after",
        }
    }

    /// Whether it is an amount.
    #[must_use]
    pub fn is_money(self) -> bool {
        use Measure::{Cost, Earnings, Profit, Revenue, Tax, VendorTax};
        matches!(self, Revenue | Tax | Cost | VendorTax | Earnings | Profit)
            || Self::OF_BALANCES.contains(&self)
    }

    pub(super) fn schema(self) -> Value {
        match self {
            Self::Asr => json!({ "type": ["number", "null"] }),
            Self::Minutes => json!({ "type": "number" }),
            Self::Acd | Self::Pdd => json!({ "type": ["integer", "null"] }),
            _ if self.is_money() => json!({ "type": "string", "format": "decimal" }),
            _ => json!({ "type": "integer" }),
        }
    }
}

/// What records add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Calls, or times tried.
    pub attempts: u64,
    /// Those with a 2xx.
    pub answered: u64,
    /// Talk time.
    pub talk_ms: u64,
    /// Post-dial delay of all that had one.
    pub pdd_ms: u64,
    /// How many had one.
    pub rang: u64,
    /// Seconds billed to customers.
    pub billed_s: u64,
    /// Seconds billed by vendors.
    pub vendor_billed_s: u64,
    /// By currency.
    pub money: BTreeMap<String, Purse>,
}

/// Money of one currency, in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// Customers' fees.
    pub revenue: i128,
    /// Tax on these.
    pub tax: i128,
    /// Vendors' fees.
    pub cost: i128,
    /// Tax on these.
    pub vendor_tax: i128,
    /// What agents earned.
    pub earnings: i128,
}

impl Purse {
    fn add(&mut self, other: Self) {
        self.revenue += other.revenue;
        self.tax += other.tax;
        self.cost += other.cost;
        self.vendor_tax += other.vendor_tax;
        self.earnings += other.earnings;
    }
}

impl Sum {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.answered += other.answered;
        self.talk_ms += other.talk_ms;
        self.pdd_ms += other.pdd_ms;
        self.rang += other.rang;
        self.billed_s += other.billed_s;
        self.vendor_billed_s += other.vendor_billed_s;
        for (currency, purse) in &other.money {
            self.earn(currency, *purse);
        }
    }

    /// Money of a currency comes to it.
    pub fn earn(&mut self, currency: &str, purse: Purse) {
        self.money.entry(currency.to_owned()).or_default().add(purse);
    }

    /// One sum for each currency that there is money of; one at the least. All that is no money is in the first, so
    /// that each column of a report adds up.
    #[must_use]
    pub fn by_currency(&self) -> Vec<(String, Self, Purse)> {
        let mut purses: Vec<(&String, &Purse)> = self.money.iter().collect();
        // Nobody's nothing is no currency, if there is another.
        purses.sort_by_key(|(currency, purse)| (**purse == Purse::default(), currency.is_empty()));
        let spent = purses.iter().filter(|(_, purse)| **purse != Purse::default()).count();
        purses.truncate(spent.max(1));
        let Some(((first, purse), others)) = purses.split_first() else {
            return vec![(String::new(), self.clone(), Purse::default())];
        };
        let others =
            others.iter().map(|(currency, purse)| ((*currency).clone(), Self::default(), **purse));
        std::iter::once(((*first).clone(), self.clone(), **purse)).chain(others).collect()
    }

    /// A measure of it.
    ///
    /// # Errors
    /// When an amount is more than an amount can be.
    pub fn tell(&self, measure: Measure, purse: Purse) -> Result<Value, Refusal> {
        Ok(match measure {
            Measure::Attempts => self.attempts.into(),
            Measure::Answered => self.answered.into(),
            Measure::Asr => match self.attempts {
                0 => Value::Null,
                attempts => hundredths(self.answered as f64 * 100.0 / attempts as f64).into(),
            },
            Measure::Acd => average(self.talk_ms, self.answered),
            Measure::Pdd => average(self.pdd_ms, self.rang),
            Measure::TalkMs => self.talk_ms.into(),
            Measure::Minutes => hundredths(self.talk_ms as f64 / 60_000.0).into(),
            Measure::BilledS => self.billed_s.into(),
            Measure::VendorBilledS => self.vendor_billed_s.into(),
            Measure::Revenue => amount(purse.revenue)?,
            Measure::Tax => amount(purse.tax)?,
            Measure::Cost => amount(purse.cost)?,
            Measure::VendorTax => amount(purse.vendor_tax)?,
            Measure::Earnings => amount(purse.earnings)?,
            Measure::Profit => amount(purse.revenue - purse.cost - purse.earnings)?,
            Measure::Opening
            | Measure::Payments
            | Measure::Charges
            | Measure::Refunds
            | Measure::Corrections
            | Measure::Rents
            | Measure::Packages
            | Measure::Incomes
            | Measure::Closing => Value::Null,
        })
    }
}

/// To the nearest; a half goes up.
fn average(sum: u64, of: u64) -> Value {
    match of {
        0 => Value::Null,
        of => ((sum + of / 2) / of).into(),
    }
}

/// Billionths as an amount.
///
/// # Errors
/// When they are more than an amount can be.
pub fn amount(billionths: i128) -> Result<Value, Refusal> {
    let fits = i64::try_from(billionths).map_err(|_| {
        Refusal::new(
            422,
            "sum too large",
            "it is more than an amount can be; ask for a shorter time",
        )
    })?;
    Ok(shown::json(Decimal::from(Money::from_billionths(fits))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(attempts: u64, answered: u64) -> Sum {
        Sum { attempts, answered, talk_ms: 100_000, pdd_ms: 5, rang: 2, ..Sum::default() }
    }

    #[test]
    fn ratios_and_averages_of_nothing_are_null() {
        let nothing = Sum::default();
        for measure in [Measure::Asr, Measure::Acd, Measure::Pdd] {
            assert_eq!(nothing.tell(measure, Purse::default()).unwrap(), Value::Null);
        }
        let tell = |measure| sum(3, 2).tell(measure, Purse::default()).unwrap();
        assert_eq!((tell(Measure::Asr), tell(Measure::Acd)), (json!(66.67), json!(50_000)));
        assert_eq!((tell(Measure::Pdd), tell(Measure::Minutes)), (json!(3), json!(1.67)));
    }

    #[test]
    fn each_currency_has_a_row_and_calls_are_counted_in_the_first() {
        let mut both = sum(3, 2);
        both.earn("", Purse::default());
        both.earn("EUR", Purse { revenue: 7, ..Purse::default() });
        both.earn("USD", Purse { cost: 5, ..Purse::default() });
        let rows = both.by_currency();
        let told: Vec<_> = rows.iter().map(|it| (&*it.0, it.1.attempts, it.2.revenue)).collect();
        assert_eq!(told, [("EUR", 3, 7), ("USD", 0, 0)]);
        assert_eq!(sum(1, 1).by_currency().len(), 1);
        let mut free = sum(1, 1);
        free.earn("", Purse::default());
        free.earn("EUR", Purse::default());
        assert_eq!(free.by_currency().iter().map(|it| &*it.0).collect::<Vec<_>>(), ["EUR"]);
    }

    #[test]
    fn a_sum_that_is_no_amount_is_refused() {
        assert!(amount(i128::from(i64::MAX)).is_ok());
        assert_eq!(amount(i128::from(i64::MAX) + 1).unwrap_err().title, "sum too large");
    }
}
