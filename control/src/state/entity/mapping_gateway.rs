//! Mapping gateways: a customer's side.

use std::net::SocketAddr;

use link::Endpoint;
use routing::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{TransformRule, bounded, prefix, rules, secret};
use super::geo::{Fencing, check_fence};
use super::screening::Screening;
use crate::Refusal;
use crate::state::customer::{Authentication, CallerFrom};
use crate::state::profile::SipFields;
use crate::state::secret::Password;

/// A change looks through all addresses of all.
const ADDRESSES_MAX: usize = 1_000;
/// Where a host listens that names no port.
const SIP_PORT: u16 = 5060;

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
    /// What is done with its addresses, in signalling, descriptions and media: `unset` (as
    /// `TG_FENCE_MODE` says of all), `ignore`, `forbid` (those inside) or `allow` (those alone).
    #[serde(default)]
    pub fence_mode: Fencing,
    /// The geo sets that are meant, up to 16.
    #[serde(default)]
    pub fence_sets: Vec<String>,
    /// Its callers hear a prompt where their calls fail, if there is one that says why.
    #[serde(default)]
    pub announcements: bool,
    /// Which numbers pass.
    #[serde(flatten)]
    pub screening: Screening,
    /// How it wants its SIP.
    #[serde(flatten)]
    pub sip: SipFields,
}

impl Mapping {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.check_authentication()?;
        prefix("tech_prefix", &self.tech_prefix)?;
        check_fence(self.fence_mode, &self.fence_sets)?;
        self.sip.check()?;
        self.screening.check()?;
        rules("caller_rules", &self.caller_rules)?;
        rules("callee_rules", &self.callee_rules)
    }

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
    pub(in crate::state) fn address(&self) -> Endpoint {
        let sources = self.addresses.iter().filter_map(|text| text.parse::<Source>().ok());
        let mut hosts = sources.filter(|source| source.prefix.is_host());
        hosts.next().map_or(Endpoint::NONE, |host| {
            SocketAddr::new(host.prefix.address(), host.port.unwrap_or(SIP_PORT)).into()
        })
    }
}
