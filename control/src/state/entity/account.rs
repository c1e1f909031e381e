//! Accounts: who is charged, and who is paid.

use rating::Money;
use routing::Prefix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{bounded, euro, optional_money};
use crate::Refusal;
use crate::shown::Decimal;
use crate::state::word::Recording;

/// Who is charged: a customer, or paid: a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `customer` or `vendor`.
    pub role: String,
    /// ISO 4217.
    #[serde(default = "euro")]
    pub currency: String,
    /// How far below zero the balance may go; 0 unless said. Null: as far as it likes (postpaid
    /// without limit), which nobody gets by leaving a field out.
    #[serde(default = "no_credit", with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub credit: Option<Money>,
    /// No call is admitted.
    #[serde(default)]
    pub locked: bool,
    /// Whence it may be used, `192.0.2.1` or `192.0.2.0/24`, while `SS_ACCESS_IP_CHECK` is 1; none: from
    /// anywhere.
    #[serde(default)]
    pub access_addresses: Vec<String>,
    /// How its calls are written to disk: `off`, `wav`, `pcap` or `both`.
    #[serde(default)]
    pub recording: Recording,
    /// Its callers hear a prompt where their calls fail, if there is one that says why.
    #[serde(default)]
    pub announcements: bool,
}

/// Each request of the account looks through all of them.
const ACCESS_ADDRESSES_MAX: usize = 1_000;

fn no_credit() -> Option<Money> {
    Some(Money::ZERO)
}

impl Account {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if !matches!(self.role.as_str(), "customer" | "vendor") {
            return Err(Refusal::invalid("role: customer or vendor"));
        }
        if self.credit.is_some_and(|credit| credit < Money::ZERO) {
            return Err(Refusal::invalid("credit: not negative; null is without limit"));
        }
        bounded("access_addresses", self.access_addresses.len(), ACCESS_ADDRESSES_MAX)?;
        for text in &self.access_addresses {
            text.parse::<Prefix>().map_err(|fault| {
                Refusal::invalid(format!("access_addresses: {text:?}: {fault}"))
            })?;
        }
        currency(&self.currency)
    }
}

pub(super) fn currency(text: &str) -> Result<(), Refusal> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Refusal::invalid("currency: three capital letters, like EUR"))
    }
}
