//! Routing gateways: a vendor's side.

use routing::STOP_CODES_DEFAULT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HIDDEN;
use super::fields::{
    TEXT_BYTES_MAX, TransformRule, billing_prefix, bounded, one, prefix, rules, secret,
};
use super::geo::{Fencing, check_fence};
use super::screening::Screening;
use crate::Refusal;
use crate::resolve::{Target, is_name};
use crate::state::profile::SipFields;
use crate::state::word::words;

/// A decision looks through all prefixes of a gateway.
const PREFIXES_MAX: usize = 10_000;

words! {
    /// Whether a vendor must prove over TLS who it is.
    TlsVerify { File = "file", Yes = "yes", No = "no" }
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
    /// Customers whose account has `route_prefix_billing` are charged for calls by it as for this prefix and the
    /// callee.
    #[serde(default)]
    pub billing_prefix: String,
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
    /// Whether it must prove over TLS who it is: `yes`, `no`, or as the `file` says of all.
    #[serde(default)]
    pub tls_verify: TlsVerify,
    /// What is done with its addresses, in signalling, descriptions and media: `unset` (as
    /// `TG_FENCE_MODE` says of all), `ignore`, `forbid` (those inside) or `allow` (those alone).
    #[serde(default)]
    pub fence_mode: Fencing,
    /// The geo sets that are meant, up to 16.
    #[serde(default)]
    pub fence_sets: Vec<String>,
    /// Which numbers pass.
    #[serde(flatten)]
    pub screening: Screening,
    /// How it wants its SIP.
    #[serde(flatten)]
    pub sip: SipFields,
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

impl Routing {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let target = self.target.parse::<Target>();
        target.map_err(|fault| Refusal::invalid(format!("target: {:?} {fault}", self.target)))?;
        self.sip.check()?;
        self.screening.check()?;
        self.check_registration()?;
        check_fence(self.fence_mode, &self.fence_sets)?;
        secret("auth_username", &self.auth_username)?;
        secret("auth_password", &self.auth_password)?;
        if !(1..=100).contains(&self.priority) {
            return Err(Refusal::invalid("priority: 1 to 100"));
        }
        if self.weight == 0 || self.weight > 1_000_000 {
            return Err(Refusal::invalid("weight: 1 to 1000000"));
        }
        if self.stop_codes.len() > 8
            || self.stop_codes.iter().any(|code| !(300..=699).contains(code))
        {
            return Err(Refusal::invalid("stop_codes: up to 8 of 300 to 699"));
        }
        bounded("prefixes", self.prefixes.len(), PREFIXES_MAX)?;
        for text in &self.prefixes {
            prefix("prefixes", text)?;
        }
        billing_prefix("billing_prefix", &self.billing_prefix)?;
        rules("caller_rules", &self.caller_rules)?;
        rules("callee_rules", &self.callee_rules)
    }

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
