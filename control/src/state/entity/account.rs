//! Accounts: who is charged, and who is paid.

use jiff::tz::TimeZone;
use rating::Money;
use routing::Prefix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{
    TransformRule, billing_prefix, bounded, email, euro, memo, money, optional_money, prefix, rules,
};
use crate::Refusal;
use crate::shown::Decimal;
use crate::state::moment::When;
use crate::state::word::Recording;

/// Who is charged: a customer; paid: a vendor; or earns on customers' calls: an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `customer`, `vendor` or `agent`.
    pub role: String,
    /// Of a customer: the agent who earns on its calls; empty: nobody.
    #[serde(default)]
    pub agent: String,
    /// Of an agent: the tariff that calls of his customers cost him by; empty: he earns nothing.
    #[serde(default)]
    pub tariff: String,
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
    /// From this instant on no call is admitted either; null: never.
    #[serde(default)]
    pub expires: Option<When>,
    /// Its calls at a time, of all its gateways and phones; 0: as `SS_MAXCONCURRENTCALL` says.
    #[serde(default)]
    pub lines_max: u32,
    /// Its new calls per second; 0: no limit.
    #[serde(default)]
    pub cps_max: u32,
    /// Its longest call, s, while `SS_ENABLE_CALL_LIMIT` is 1; 0: no limit.
    #[serde(default)]
    pub talk_s_max: u32,
    /// What the calls of a day may cost, tax included, by the clock of its zone; 0: no limit.
    #[serde(default, with = "money")]
    #[schemars(with = "Decimal")]
    pub spend_per_day_max: Money,
    /// IANA name of its zone.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// An alarm stands while its balance is under this; null: of a customer, `SS_CLIENT_LOW_BALANCE_ALARM`.
    #[serde(default, with = "optional_money")]
    #[schemars(with = "Option<Decimal>")]
    pub low_balance: Option<Money>,
    /// What `prefixes` are: `allow`, the only callees that it may call; `deny`, those that it may not; empty: nothing.
    #[serde(default)]
    pub prefixes_mode: String,
    /// Callee prefixes, as billed.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// It calls numbers that begin as `TG_HOME_PREFIXES` say, and phones, alone.
    #[serde(default)]
    pub international_blocked: bool,
    /// It calls no number that begins as `TG_PREMIUM_PREFIXES` say.
    #[serde(default)]
    pub premium_blocked: bool,
    /// Whence it may be used, `192.0.2.1` or `192.0.2.0/24`, while `SS_ACCESS_IP_CHECK` is 1; none: from
    /// anywhere.
    #[serde(default)]
    pub access_addresses: Vec<String>,
    /// Its calls cost what its tariff says of the route's `billing_prefix` and the callee; routes of which it says
    /// nothing are not tried.
    #[serde(default)]
    pub route_prefix_billing: bool,
    /// Its forwarded calls cost what its tariff says of this prefix and the callee; empty: what others cost.
    #[serde(default)]
    pub forward_prefix: String,
    /// Changes of the caller's number, behind those of its gateways; of one number one rule acts.
    #[serde(default)]
    pub caller_rules: Vec<TransformRule>,
    /// Changes of the callee's number, likewise.
    #[serde(default)]
    pub callee_rules: Vec<TransformRule>,
    /// How its calls are written to disk: `off`, `wav`, `pcap` or `both`.
    #[serde(default)]
    pub recording: Recording,
    /// Its callers hear a prompt where their calls fail, if there is one that says why.
    #[serde(default)]
    pub announcements: bool,
    /// Whom its invoices are for: name, address, tax number, a line each.
    #[serde(default)]
    pub bill_to: Vec<String>,
    /// Where its invoices go.
    #[serde(default)]
    pub email: String,
}

/// Each request of the account looks through all of them.
const ACCESS_ADDRESSES_MAX: usize = 1_000;
/// Likewise each call.
const PREFIXES_MAX: usize = 1_000;
/// Lines of an address.
const BILL_TO_MAX: usize = 10;

fn no_credit() -> Option<Money> {
    Some(Money::ZERO)
}

fn utc() -> String {
    "UTC".into()
}

impl Account {
    /// Whether it may call that number, as far as its prefixes say.
    #[must_use]
    pub fn allows(&self, callee: &str) -> bool {
        let is_listed = || self.prefixes.iter().any(|prefix| callee.starts_with(prefix.as_str()));
        match self.prefixes_mode.as_str() {
            "allow" => is_listed(),
            "deny" => !is_listed(),
            _ => true,
        }
    }

    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if !matches!(self.role.as_str(), "customer" | "vendor" | "agent") {
            return Err(Refusal::invalid("role: customer, vendor or agent"));
        }
        if !self.agent.is_empty() && self.role != "customer" {
            return Err(Refusal::invalid("agent: customers have one, nobody else"));
        }
        if !self.tariff.is_empty() && self.role != "agent" {
            return Err(Refusal::invalid("tariff: of agents; customers' gateways name their own"));
        }
        if self.credit.is_some_and(|credit| credit < Money::ZERO) {
            return Err(Refusal::invalid("credit: not negative; null is without limit"));
        }
        self.check_limits()?;
        billing_prefix("forward_prefix", &self.forward_prefix)?;
        bounded("bill_to", self.bill_to.len(), BILL_TO_MAX)?;
        self.bill_to.iter().try_for_each(|line| memo("bill_to", line))?;
        email("email", &self.email)?;
        rules("caller_rules", &self.caller_rules)?;
        rules("callee_rules", &self.callee_rules)?;
        bounded("access_addresses", self.access_addresses.len(), ACCESS_ADDRESSES_MAX)?;
        for text in &self.access_addresses {
            text.parse::<Prefix>().map_err(|fault| {
                Refusal::invalid(format!("access_addresses: {text:?}: {fault}"))
            })?;
        }
        currency(&self.currency)
    }

    fn check_limits(&self) -> Result<(), Refusal> {
        if self.spend_per_day_max < Money::ZERO {
            return Err(Refusal::invalid("spend_per_day_max: not negative; 0 is without limit"));
        }
        TimeZone::get(&self.time_zone).map_err(|_| {
            let detail =
                format!("time_zone: {:?} is no IANA zone, such as Europe/Rome", self.time_zone);
            Refusal::invalid(detail)
        })?;
        if !matches!(self.prefixes_mode.as_str(), "" | "allow" | "deny") {
            return Err(Refusal::invalid("prefixes_mode: allow, deny or empty"));
        }
        if self.prefixes_mode.is_empty() != self.prefixes.is_empty() {
            let detail =
                "prefixes: with prefixes_mode allow or deny, and neither without the other";
            return Err(Refusal::invalid(detail));
        }
        bounded("prefixes", self.prefixes.len(), PREFIXES_MAX)?;
        self.prefixes.iter().try_for_each(|text| prefix("prefixes", text))
    }
}

pub(super) fn currency(text: &str) -> Result<(), Refusal> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Refusal::invalid("currency: three capital letters, like EUR"))
    }
}
