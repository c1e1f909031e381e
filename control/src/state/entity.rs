//! The documents of the business: what an operator creates, changes, deletes, exports.
//!
//! A document is refused as a whole with the field that is wrong; nothing downstream holds a value that
//! cannot be. Unknown fields are errors.

use std::borrow::Cow;
use std::net::SocketAddr;

use link::Endpoint;
use numbers::transform::Rule;
use rating::Money;
use routing::{STOP_CODES_DEFAULT, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::customer::{Authentication, CallerFrom};
use super::phone::Phone;
use super::profile::SipFields;
use super::secret::Password;
use crate::Refusal;
use crate::resolve::{Target, is_name};
use crate::shown::Decimal;

/// What is shown of a secret.
pub const HIDDEN: &str = "********";
/// Longest text for people.
const MEMO_CHARS_MAX: usize = 256;
/// A decision looks through all rules of a gateway, and a change through all addresses of all.
const ADDRESSES_MAX: usize = 1_000;
const PREFIXES_MAX: usize = 10_000;
const RULES_MAX: usize = 1_000;
/// The longest number, every character escaped.
const RULE_CHARS_MAX: usize = 64;
/// What the workers are told of names and passwords.
const TEXT_BYTES_MAX: usize = 62;
/// Where a host listens that names no port.
const SIP_PORT: u16 = 5060;
/// No rate counts in longer steps.
const DAY_S: u32 = 86_400;
/// The fee of ten days' talk still is an amount of money.
const RATE_PER_S_MAX: i64 = 10_000;
const CONNECTION_FEE_MAX: i64 = 1_000_000;
const BILLIONTHS: i64 = 1_000_000_000;

/// Kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who is charged or paid.
    Account,
    /// Prices by prefix.
    Tariff,
    /// A customer's side.
    Mapping,
    /// A vendor's side.
    Routing,
    /// A subscriber's line.
    Phone,
    /// A denied source.
    Deny,
    /// A trusted source.
    Trust,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Account,
        Self::Tariff,
        Self::Mapping,
        Self::Routing,
        Self::Phone,
        Self::Deny,
        Self::Trust,
    ];

    /// The word in messages and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Tariff => "tariff",
            Self::Mapping => "mapping gateway",
            Self::Routing => "routing gateway",
            Self::Phone => "phone",
            Self::Deny => "denied source",
            Self::Trust => "trusted source",
        }
    }

    /// The one spelling of a document's name: networks have many, and two entries for one network
    /// would outlive each other's removal.
    #[must_use]
    pub fn spelling(self, name: &str) -> Cow<'_, str> {
        match (self, name.parse::<routing::Prefix>()) {
            (Self::Deny | Self::Trust, Ok(prefix)) => prefix.to_string().into(),
            _ => name.into(),
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

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
}

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

/// One transform rule (`crates/numbers`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformRule {
    /// What the number begins with.
    pub original: String,
    /// What it begins with afterwards.
    #[serde(default)]
    pub target: String,
}

/// A customer's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mapping {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Who is charged.
    pub account: String,
    /// By which tariff; empty: none, and no call passes.
    #[serde(default)]
    pub tariff: String,
    /// How it is recognised: `ip`, `ip_port`, `password` or `ip_and_password`.
    #[serde(default)]
    pub authentication: Authentication,
    /// `192.0.2.1`, `192.0.2.0/24` or `192.0.2.1:5060`; none where the password alone counts.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// What it says to our digest challenges; empty: it is not asked.
    #[serde(default)]
    pub auth_username: String,
    /// With it; shown as `********`.
    #[serde(default)]
    pub auth_password: Password,
    /// Whence its caller is taken: `from`, `asserted`, `preferred` or `remote_party`.
    #[serde(default)]
    pub caller_from: CallerFrom,
    /// What its callees begin with; stripped.
    #[serde(default)]
    pub tech_prefix: String,
    /// Simultaneous calls; 0: no limit.
    #[serde(default)]
    pub lines_max: u32,
    /// New calls per second; 0: no limit.
    #[serde(default)]
    pub cps_max: u32,
    /// Longest call, s; 0: no limit.
    #[serde(default)]
    pub talk_s_max: u32,
    /// No call passes.
    #[serde(default)]
    pub locked: bool,
    /// Changes of the caller.
    #[serde(default)]
    pub caller_rules: Vec<TransformRule>,
    /// Changes of the callee.
    #[serde(default)]
    pub callee_rules: Vec<TransformRule>,
    /// How it wants its SIP.
    #[serde(flatten)]
    pub sip: SipFields,
}

/// A vendor's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Routing {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Who is paid.
    pub account: String,
    /// By which tariff; empty: none.
    #[serde(default)]
    pub tariff: String,
    /// Where it is: an address or a name, with or without port, as a URI if a transport is named:
    /// `192.0.2.1:5060`, `sip.example.com`, `sip:sip.example.com;transport=tcp`, `sips:example.com`.
    pub target: String,
    /// Prefixes it serves; an empty one serves every number.
    #[serde(default = "every_number")]
    pub prefixes: Vec<String>,
    /// The search ends at its prefix length.
    #[serde(default)]
    pub terminate: bool,
    /// 1 (first) to 100.
    #[serde(default = "first")]
    pub priority: u8,
    /// Share among equals.
    #[serde(default = "one")]
    pub weight: u32,
    /// Simultaneous calls; 0: no limit.
    #[serde(default)]
    pub lines_max: u32,
    /// New calls per second; 0: no limit.
    #[serde(default)]
    pub cps_max: u32,
    /// No call goes there.
    #[serde(default)]
    pub locked: bool,
    /// Calls without a vendor price may go there.
    #[serde(default)]
    pub unrated_allowed: bool,
    /// Answers that end the search.
    #[serde(default = "stop_codes")]
    pub stop_codes: Vec<u16>,
    /// Changes of the caller as sent.
    #[serde(default)]
    pub caller_rules: Vec<TransformRule>,
    /// Changes of the callee as sent.
    #[serde(default)]
    pub callee_rules: Vec<TransformRule>,
    /// What we say to its digest challenges; empty: nothing.
    #[serde(default)]
    pub auth_username: String,
    /// With it; shown as `********`.
    #[serde(default)]
    pub auth_password: String,
    /// We register there; while we are not registered, no call goes there.
    #[serde(default)]
    pub registration: bool,
    /// As whom; empty: `auth_username`.
    #[serde(default)]
    pub registration_user: String,
    /// In which domain; empty: the host of the target.
    #[serde(default)]
    pub registration_domain: String,
    /// Probed by OPTIONS; while it does not answer, no call goes there.
    #[serde(default)]
    pub options_check: bool,
    /// How it wants its SIP.
    #[serde(flatten)]
    pub sip: SipFields,
}

/// A denied source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Denied {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// The address or prefix: the entry's name.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Since when, µs since 1970 UTC.
    #[serde(default)]
    pub since_us: u64,
    /// Until when, µs since 1970 UTC; 0: until removed.
    #[serde(default)]
    pub until_us: u64,
}

/// A trusted source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// The address or prefix: the entry's name.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Any document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// See [`Account`].
    Account(Account),
    /// See [`TariffHead`].
    Tariff(TariffHead),
    /// See [`Mapping`].
    Mapping(Mapping),
    /// See [`Routing`].
    Routing(Routing),
    /// See [`Phone`].
    Phone(Phone),
    /// See [`Denied`].
    Deny(Denied),
    /// See [`Trusted`].
    Trust(Trusted),
}

fn euro() -> String {
    "EUR".into()
}

fn no_credit() -> Option<Money> {
    Some(Money::ZERO)
}

fn half_even() -> String {
    "half_even".into()
}

fn sixty() -> u32 {
    60
}

fn one() -> u32 {
    1
}

fn first() -> u8 {
    1
}

fn every_number() -> Vec<String> {
    vec![String::new()]
}

fn stop_codes() -> Vec<u16> {
    STOP_CODES_DEFAULT.to_vec()
}

/// Money is text in JSON, so that no reader makes a float of it.
pub(crate) mod money {
    use rating::Money;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(money: &Money, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(money)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let text = String::deserialize(from)?;
        text.trim().parse().map_err(|fault| serde::de::Error::custom(format!("{text:?}: {fault}")))
    }
}

/// As [`money`], or null.
mod optional_money {
    use rating::Money;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        money: &Option<Money>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        money.map(|money| money.to_string()).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Money>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| {
            let money = text.trim().parse();
            money.map_err(|fault| serde::de::Error::custom(format!("{text:?}: {fault}")))
        })
        .transpose()
    }
}

/// Reads fields that someone sent, and names the one that is wrong.
///
/// # Errors
/// When a field is missing, unknown, or not what it must be.
pub fn parse<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner();
        Refusal::invalid(if path == "." { what.to_string() } else { format!("{path}: {what}") })
    })
}

impl Mapping {
    /// Whom it may be, by address and by password.
    fn check_authentication(&self) -> Result<(), Refusal> {
        let how = self.authentication;
        if how.asks_address() && self.addresses.is_empty() {
            return Err(Refusal::invalid("addresses: at least one"));
        }
        if !how.asks_address() && !self.addresses.is_empty() {
            return Err(Refusal::invalid(
                "addresses: none with authentication password; ip_and_password asks for both",
            ));
        }
        bounded("addresses", self.addresses.len(), ADDRESSES_MAX)?;
        for text in &self.addresses {
            let source = text.parse::<Source>();
            let source = source
                .map_err(|fault| Refusal::invalid(format!("addresses: {text:?}: {fault}")))?;
            if how == Authentication::IpPort && source.port.is_none() {
                return Err(Refusal::invalid(format!(
                    "addresses: {text:?} has no port, and authentication is ip_port"
                )));
            }
        }
        secret("auth_username", &self.auth_username)?;
        if how.asks_password() && self.auth_username.is_empty() {
            return Err(Refusal::invalid("auth_username: missing; authentication asks for it"));
        }
        if how.asks_password() && self.auth_password == Password::None {
            return Err(Refusal::invalid("auth_password: missing; authentication asks for it"));
        }
        match self.sip.fixed_field() {
            Some(field) if self.address() == Endpoint::NONE => Err(Refusal::invalid(format!(
                "{field}: fixed needs a host among addresses, like 192.0.2.1:5060"
            ))),
            _ => Ok(()),
        }
    }

    /// Its own address: the first of its addresses that is one host's. None: it has none.
    pub(super) fn address(&self) -> Endpoint {
        let sources = self.addresses.iter().filter_map(|text| text.parse::<Source>().ok());
        let mut hosts = sources.filter(|source| source.prefix.is_host());
        hosts.next().map_or(Endpoint::NONE, |host| {
            SocketAddr::new(host.prefix.address(), host.port.unwrap_or(SIP_PORT)).into()
        })
    }
}

impl Routing {
    /// As it is shown.
    pub(crate) fn hide_secrets(&mut self) {
        if !self.auth_password.is_empty() {
            self.auth_password = HIDDEN.into();
        }
    }

    /// As whom we register.
    pub(crate) fn registration_user(&self) -> &str {
        if self.registration_user.is_empty() {
            &self.auth_username
        } else {
            &self.registration_user
        }
    }

    /// In which domain.
    pub(crate) fn registration_domain(&self) -> String {
        match self.target.parse::<Target>() {
            Ok(target) if self.registration_domain.is_empty() => target.domain(),
            _ => self.registration_domain.clone(),
        }
    }

    fn check_registration(&self) -> Result<(), Refusal> {
        let user = &self.registration_user;
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/#%".contains(&byte);
        if user.len() > TEXT_BYTES_MAX || !user.bytes().all(fits) {
            let what =
                "registration_user: up to 62 characters that the user part of a URI can have";
            return Err(Refusal::invalid(what));
        }
        let domain = &self.registration_domain;
        let is_address = domain.parse::<std::net::Ipv4Addr>().is_ok();
        if !domain.is_empty() && !is_address && !is_name(domain) {
            let what = format!("registration_domain: {domain:?} is no name like sip.example.com");
            return Err(Refusal::invalid(what));
        }
        if !self.registration {
            return Ok(());
        }
        if self.registration_user().is_empty() {
            return Err(Refusal::invalid("registration: needs registration_user or auth_username"));
        }
        if self.registration_domain().len() > TEXT_BYTES_MAX {
            return Err(Refusal::invalid("registration_domain: up to 62 characters"));
        }
        Ok(())
    }
}

impl Entity {
    /// Reads what an operator or the store says.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn read(kind: Kind, id: u32, body: Value) -> Result<Self, Refusal> {
        let said: Vec<String> =
            body.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
        let entity = match kind {
            Kind::Account => Self::Account(Account { id, ..parse(body)? }),
            Kind::Tariff => Self::Tariff(TariffHead { id, ..parse(body)? }),
            Kind::Mapping => Self::Mapping(Mapping { id, ..parse(body)? }),
            Kind::Routing => Self::Routing(Routing { id, ..parse(body)? }),
            Kind::Phone => Self::Phone(Phone { id, ..parse(body)? }),
            Kind::Deny => {
                let denied: Denied = parse(body)?;
                let name = kind.spelling(&denied.name).into_owned();
                Self::Deny(Denied { id, name, ..denied })
            }
            Kind::Trust => {
                let trusted: Trusted = parse(body)?;
                let name = kind.spelling(&trusted.name).into_owned();
                Self::Trust(Trusted { id, name, ..trusted })
            }
        };
        // Every field is written, so what is not read is not written either.
        let known = entity.body();
        if let Some(unknown) = said.iter().find(|field| known.get(field).is_none()) {
            return Err(Refusal::invalid(format!("{unknown}: unknown field `{unknown}`")));
        }
        entity.check()?;
        Ok(entity)
    }

    /// Values that types cannot rule out.
    fn check(&self) -> Result<(), Refusal> {
        let name = self.name();
        let sane = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && name.trim() == name;
        if !sane {
            return Err(Refusal::invalid(
                "name: 1 to 64 printable ASCII characters, no blanks at its ends",
            ));
        }
        match self {
            Self::Account(account) if !matches!(account.role.as_str(), "customer" | "vendor") => {
                Err(Refusal::invalid("role: customer or vendor"))
            }
            Self::Account(account) if account.credit.is_some_and(|credit| credit < Money::ZERO) => {
                Err(Refusal::invalid("credit: not negative; null is without limit"))
            }
            Self::Account(account) => currency(&account.currency),
            Self::Tariff(tariff) => {
                currency(&tariff.currency)?;
                if tariff.fee_precision.is_some_and(|precision| precision > 6) {
                    return Err(Refusal::invalid("fee_precision: 0 to 6"));
                }
                if !matches!(tariff.rounding.as_str(), "half_even" | "half_up" | "up") {
                    return Err(Refusal::invalid("rounding: half_even, half_up or up"));
                }
                Ok(())
            }
            Self::Mapping(gateway) => {
                gateway.check_authentication()?;
                prefix("tech_prefix", &gateway.tech_prefix)?;
                gateway.sip.check()?;
                rules("caller_rules", &gateway.caller_rules)?;
                rules("callee_rules", &gateway.callee_rules)
            }
            Self::Routing(gateway) => {
                gateway.target.parse::<Target>().map_err(|fault| {
                    Refusal::invalid(format!("target: {:?} {fault}", gateway.target))
                })?;
                gateway.sip.check()?;
                gateway.check_registration()?;
                secret("auth_username", &gateway.auth_username)?;
                secret("auth_password", &gateway.auth_password)?;
                if !(1..=100).contains(&gateway.priority) {
                    return Err(Refusal::invalid("priority: 1 to 100"));
                }
                if gateway.weight == 0 || gateway.weight > 1_000_000 {
                    return Err(Refusal::invalid("weight: 1 to 1000000"));
                }
                if gateway.stop_codes.len() > 8
                    || gateway.stop_codes.iter().any(|code| !(300..=699).contains(code))
                {
                    return Err(Refusal::invalid("stop_codes: up to 8 of 300 to 699"));
                }
                bounded("prefixes", gateway.prefixes.len(), PREFIXES_MAX)?;
                for text in &gateway.prefixes {
                    prefix("prefixes", text)?;
                }
                rules("caller_rules", &gateway.caller_rules)?;
                rules("callee_rules", &gateway.callee_rules)
            }
            Self::Phone(phone) => phone.check(),
            Self::Deny(Denied { name, reason, .. }) | Self::Trust(Trusted { name, reason, .. }) => {
                memo("reason", reason)?;
                name.parse::<routing::Prefix>()
                    .map(|_| ())
                    .map_err(|fault| Refusal::invalid(format!("{name:?}: {fault}")))
            }
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Account(_) => Kind::Account,
            Self::Tariff(_) => Kind::Tariff,
            Self::Mapping(_) => Kind::Mapping,
            Self::Routing(_) => Kind::Routing,
            Self::Phone(_) => Kind::Phone,
            Self::Deny(_) => Kind::Deny,
            Self::Trust(_) => Kind::Trust,
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        match self {
            Self::Account(one) => one.id,
            Self::Tariff(one) => one.id,
            Self::Mapping(one) => one.id,
            Self::Routing(one) => one.id,
            Self::Phone(one) => one.id,
            Self::Deny(one) => one.id,
            Self::Trust(one) => one.id,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Account(one) => &one.name,
            Self::Tariff(one) => &one.name,
            Self::Mapping(one) => &one.name,
            Self::Routing(one) => &one.name,
            Self::Phone(one) => &one.name,
            Self::Deny(one) => &one.name,
            Self::Trust(one) => &one.name,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        let value = match self {
            Self::Account(one) => serde_json::to_value(one),
            Self::Tariff(one) => serde_json::to_value(one),
            Self::Mapping(one) => serde_json::to_value(one),
            Self::Routing(one) => serde_json::to_value(one),
            Self::Phone(one) => serde_json::to_value(one),
            Self::Deny(one) => serde_json::to_value(one),
            Self::Trust(one) => serde_json::to_value(one),
        };
        value.unwrap_or_default()
    }

    /// Whether it refers to the document of that kind and name.
    #[must_use]
    pub fn refers_to(&self, kind: Kind, name: &str) -> bool {
        let (account, tariff, routing) = match self {
            Self::Mapping(gateway) => (&gateway.account, &gateway.tariff, ""),
            Self::Routing(gateway) => (&gateway.account, &gateway.tariff, ""),
            Self::Phone(phone) => (&phone.account, &phone.tariff, phone.offline_gateway.as_str()),
            _ => return false,
        };
        match kind {
            Kind::Account => account == name,
            Kind::Tariff => tariff == name,
            Kind::Routing => routing == name,
            _ => false,
        }
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

fn currency(text: &str) -> Result<(), Refusal> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Refusal::invalid("currency: three capital letters, like EUR"))
    }
}

/// Text that people wrote for people.
///
/// # Errors
/// When it is too long, or would not stay in its line.
pub fn memo(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= MEMO_CHARS_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{field}: one line of up to {MEMO_CHARS_MAX} characters")))
}

/// A name or password of digest.
fn secret(field: &str, text: &str) -> Result<(), Refusal> {
    if text == HIDDEN {
        return Err(Refusal::invalid(format!(
            "{field}: that is how a secret is shown, and no secret"
        )));
    }
    if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{field}: one line of up to {TEXT_BYTES_MAX} bytes")))
}

pub(super) fn bounded(field: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("{field}: {count} of them; {most} can be had")))
    }
}

fn prefix(field: &str, text: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'#' || byte == b'*';
    if text.len() <= 32 && text.bytes().all(fits) {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("{field}: {text:?} is no number prefix")))
    }
}

fn rules(field: &str, rules: &[TransformRule]) -> Result<(), Refusal> {
    bounded(field, rules.len(), RULES_MAX)?;
    for TransformRule { original, target } in rules {
        if original.len().max(target.len()) > RULE_CHARS_MAX {
            let what =
                format!("{field}: a rule has up to {RULE_CHARS_MAX} characters on each side");
            return Err(Refusal::invalid(what));
        }
        Rule::new(original, target).map_err(|fault| {
            Refusal::invalid(format!("{field}: {original:?} to {target:?}: {fault}"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_with_a_wrong_or_unknown_field_is_refused_by_name() {
        let read = |kind, body| Entity::read(kind, 1, body).unwrap_err().detail;
        assert!(read(Kind::Account, json!({"name": "a", "role": "x"})).contains("role"));
        assert!(
            read(Kind::Account, json!({"name": "a", "role": "vendor", "x": 1})).contains("`x`")
        );
        let gateway = json!({"name": "g", "account": "a", "addresses": ["300.1.1.1"]});
        assert!(read(Kind::Mapping, gateway).contains("300.1.1.1"));
        let gateway = json!({"name": "g", "account": "a", "target": "10.0.0.1:x"});
        assert!(read(Kind::Routing, gateway).contains("target"));
        assert!(read(Kind::Deny, json!({"name": "10.0.0.0/99"})).contains("10.0.0.0/99"));
    }

    #[test]
    fn a_registration_needs_somebody_and_somewhere() {
        let read = |more: Value| {
            let mut body = json!({"name": "g", "account": "a", "target": "[2001:db8::1]:5070"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            match Entity::read(Kind::Routing, 1, body) {
                Ok(Entity::Routing(it)) => {
                    Ok((it.registration_user().to_owned(), it.registration_domain()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => Err(refusal.detail),
            }
        };
        let user = |user: &str, domain: &str| Ok((user.to_owned(), domain.to_owned()));
        assert!(read(json!({"registration": true})).unwrap_err().contains("auth_username"));
        let named = json!({"registration": true, "auth_username": "me"});
        assert_eq!(read(named), user("me", "[2001:db8::1]"));
        let other = json!({"registration": true, "registration_user": "3902",
            "registration_domain": "carrier.example"});
        assert_eq!(read(other), user("3902", "carrier.example"));
        for (field, value) in [
            ("registration_user", "a@b"),
            ("registration_user", "a b"),
            ("registration_domain", "carrier example"),
            ("registration_domain", "sip:carrier"),
        ] {
            assert!(read(json!({ field: value })).unwrap_err().contains(field), "{value}");
        }
    }

    #[test]
    fn money_is_text_and_nothing_else() {
        let row: RateRow =
            serde_json::from_value(json!({"prefix": "44", "rate": "0.0120"})).unwrap();
        assert_eq!(serde_json::to_value(&row).unwrap()["rate"], "0.012");
        assert!(serde_json::from_value::<RateRow>(json!({"prefix": "44", "rate": 0.012})).is_err());
    }
}
