//! The one catalog of system parameters: name, default, range, unit, meaning of 0, owner, doc.
//!
//! Names are those of the field where it has one, our own begin with `TG_`. API, CLI and docs are
//! derived from this table. A parameter that changes nothing yet says so (`in_force`). A change
//! applies at once, to new calls.

use std::collections::BTreeMap;

use link::order;
use serde_json::{Value, json};

use crate::Refusal;

/// What a parameter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number in a range.
    Number(u64, u64),
    /// Prefixes, separated by commas.
    Prefixes,
}

/// One row of the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value unless changed.
    pub default: &'static str,
    /// Its range.
    pub kind: Kind,
    /// Its unit, empty if it has none.
    pub unit: &'static str,
    /// Who acts on it.
    pub owner: &'static str,
    /// Whether a change changes anything yet.
    pub in_force: bool,
    /// What it means, 0 included.
    pub doc: &'static str,
}

const fn number(
    name: &'static str,
    default: &'static str,
    range: (u64, u64),
    unit: &'static str,
    owner: &'static str,
    in_force: bool,
    doc: &'static str,
) -> Parameter {
    Parameter { name, default, kind: Kind::Number(range.0, range.1), unit, owner, in_force, doc }
}

const fn prefixes(name: &'static str, in_force: bool, doc: &'static str) -> Parameter {
    Parameter { name, default: "", kind: Kind::Prefixes, unit: "", owner: "control", in_force, doc }
}

const NOW: bool = true;
const LATER: bool = false;
const SWITCH: (u64, u64) = (0, 1);
const DAY_S: (u64, u64) = (0, 86_400);
const COUNT: (u64, u64) = (0, 1_000_000);

/// The catalog.
#[rustfmt::skip]
pub const CATALOG: &[Parameter] = &[
    number("SERVER_BILLING_RECORD_ILLEGAL_CALL", "1", SWITCH, "", "control", NOW, "1: a CDR for each INVITE of nobody we know; 0: none"),
    number("SERVER_BILLING_RECORD_ZERO_HOLD_TIME", "1", SWITCH, "", "control", NOW, "0: no CDR for unanswered calls; they still count in limits and reports"),
    number("SERVER_BILLING_RECORD_SERVER_HANG_UP", "1", SWITCH, "", "control", LATER, "1: calls that we ended carry their own reason"),
    number("SERVER_LOGIN_FAILED_DISABLE_TIME", "300", DAY_S, "s", "api", LATER, "how long a management login stays locked; 0: never locked"),
    number("SERVER_PASSWORD_LENGTH", "8", (6, 32), "characters", "api", LATER, "shortest management password"),
    number("SERVER_VERIFY_CLEARING_CUSTOMER", "0", SWITCH, "", "control", LATER, "1: vendors without credit are excluded too"),
    number("SERVER_GATEWAY_ROUTE_BILATERAL_RECONCILIATION_LINE", "0", COUNT, "", "control", LATER, "deviation at which reconciliation raises an alarm; 0: off"),
    number("SERVER_GATEWAY_BILATERAL_RECONCILIATION_PERIOD", "86400", DAY_S, "s", "control", LATER, "how often accounts are compared; 0: never"),
    prefixes("BILLING_FREE_E164S", NOW, "callee prefixes that cost the customer nothing"),
    prefixes("BILLING_NO_CDR_E164S", NOW, "callee prefixes without a CDR, unless something was charged"),
    number("FEE_PRECISION", "6", (0, 6), "decimals", "control", NOW, "decimals of a fee, where the tariff does not say"),
    number("SERVER_BILLING_FEE_UNIT", "0", COUNT, "", "control", LATER, "smallest unit a fee rounds up to; 0: by precision"),
    number("HOLD_TIME_PRECISION", "50", (0, 1000), "ms", "control", NOW, "a rest of the duration from here on counts as a second; 0: any rest, 1000: none"),
    number("PREVENT_OVERDRAFT_ADVANCE_TIME", "0", (0, 60), "min", "control", NOW, "minutes the balance must cover before a call; 0: the first increment"),
    number("FREE_TIME", "0", (0, 3600), "s", "control", NOW, "seconds taken off the customer's call before rating; 0: none"),
    number("SS_AUTHCHALLENGEMODE", "3", (1, 3), "", "control", LATER, "1: 401; 2: 407; 3: 401 for REGISTER, 407 for the rest"),
    number("SS_ENDPOINTREGISTERSUSPEND", "1", SWITCH, "", "control", LATER, "1: repeated wrong digests suspend the endpoint for that source"),
    number("SS_ENDPOINTREGISTERRETRY", "6", (1, 100), "failures", "control", LATER, "consecutive failures that suspend"),
    number("SS_ENDPOINTREGISTERSUSPENDTIME", "180", (60, 86_400), "s", "control", LATER, "how long a suspension lasts"),
    number("SS_AUTHENTICATION_MAX_RETRY", "0", (0, 100), "attempts", "control", LATER, "attempts of one source before it is suspended; 0: no limit"),
    number("SS_AUTHENTICATION_FAILED_SUSPEND", "3600", DAY_S, "s", "control", LATER, "how long that source is suspended; 0: not at all"),
    number("SS_REG_FAIL_BLACKLIST_COUNT", "5", (0, 1000), "endpoints", "control", LATER, "distinct endpoints failing in 600 s that deny a source; 0: never"),
    number("SS_REG_FAIL_BLACKLIST_TIME", "3600", DAY_S, "s", "control", LATER, "how long that source is denied"),
    number("SS_SIP_DYNAMIC_BLACKLIST_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of a dynamic entry without an own one"),
    number("SS_ACCESS_IP_CHECK", "0", SWITCH, "", "control", LATER, "1: an account may be used from its access addresses only"),
    number("SS_REPLY_UNAUTHORIZED", "1", SWITCH, "", "control", NOW, "0: a stranger's request gets no answer at all"),
    number("SS_CALLAUTH_INVALID_COUNT", "0", (0, 1000), "calls", "control", LATER, "invalid calls that lock an account for a source; 0: off"),
    number("SS_MAX_LOGIN_FAILED", "5", (1, 100), "failures", "api", LATER, "failed management logins before the lock"),
    number("SS_LOGIN_LOCK_TIME", "30", (0, 1440), "min", "api", LATER, "length of that lock"),
    number("SS_MAXCONCURRENTCALL", "0", COUNT, "calls", "control", NOW, "most calls of one account at a time; 0: no limit"),
    number("SS_CALLERALLOWLENGTH", "0", (0, 32), "characters", "dataplane", NOW, "longest caller number; 0: no limit"),
    number("SS_CLIENT_LOW_BALANCE_ALARM", "0", COUNT, "money", "control", LATER, "balance under which an alarm is raised; 0: off"),
    number("SS_ENABLE_CALL_LIMIT", "1", SWITCH, "", "control", NOW, "1: longest calls of gateways hold; 0: they do not"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL", "0", SWITCH, "", "control", LATER, "1: callers over the limit are listed"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_LIMIT", "1000", COUNT, "calls", "control", LATER, "calls of one caller within the interval"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry"),
    number("SS_BLACK_LIST_CALLER_MALICIOUS_CALL_CHECK_INTERVAL", "60", DAY_S, "s", "control", LATER, "the interval"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_LIMIT", "0", COUNT, "calls", "control", LATER, "calls to one callee within its interval; 0: off"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry"),
    number("SS_BLACK_LIST_MALICIOUS_CALL_CHECK_INTERVAL", "60", DAY_S, "s", "control", LATER, "the interval"),
    number("SS_BLACK_LIST_DYNAMIC_RUN_MODE", "0", SWITCH, "", "control", LATER, "0: one list for all gateways; 1: one each"),
    number("SS_BLACK_LIST_CALLER_CONCURRENT", "0", COUNT, "calls", "control", LATER, "simultaneous calls of one caller number; 0: no limit"),
    number("SS_BLACK_LIST_NO_ANSWER", "0", SWITCH, "", "control", LATER, "1: callees that never answer are listed"),
    number("SS_BLACK_LIST_NO_ANSWER_LIMIT", "100", COUNT, "calls", "control", LATER, "unanswered calls in a row"),
    number("SS_BLACK_LIST_NO_ANSWER_EXPIRE", "3600", DAY_S, "s", "control", LATER, "life of such an entry"),
    number("SS_SIP_SESSION_TIMER", "1800", DAY_S, "s", "dataplane", LATER, "session expiry; 0: none"),
    number("SS_SIP_INVITE_TIMEOUT", "30000", (1000, 120_000), "ms", "dataplane", NOW, "INVITE to the first 18x, then the next vendor"),
    number("SS_SIP_NAT_KEEP_ALIVE", "30", (0, 3600), "s", "dataplane", LATER, "keep-alive to contacts behind NAT; 0: none"),
    number("SS_TCP_CLOSE_RESET", "0", SWITCH, "", "dataplane", LATER, "1: SIP over TCP closes with RST"),
    number("SS_SIP_REGISTRATION_LIGHTWEIGHT", "0", SWITCH, "", "dataplane", LATER, "1: cheap refreshes of known endpoints"),
    number("SS_GATEWAY_ASR_CALCULATE", "0", SWITCH, "", "control", LATER, "1: gateways with a low ASR are demoted"),
    number("SS_GATEWAY_ASR_RESERVE_TIME", "3600", DAY_S, "s", "control", LATER, "window of the ASR"),
    number("SS_GATEWAY_ASR_RESERVE_SEPARATE", "60", DAY_S, "s", "control", LATER, "its slices"),
    number("SS_GATEWAY_QUALITY_CALCULATE", "0", SWITCH, "", "control", LATER, "1: quality is part of the order"),
    number("SS_GATEWAY_QUALITY_RESERVE_SEPARATE", "60", DAY_S, "s", "control", LATER, "slices of the quality window"),
    number("SS_GATEWAY_QUALITY_RESERVE_TIME", "3600", DAY_S, "s", "control", LATER, "length of the quality window"),
    number("SS_GATEWAY_SWITCH_LIMIT", "4", (0, 100), "changes", "control", NOW, "changes of vendor in one call, 7 at most; 0: no failover"),
    number("SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START", "1", SWITCH, "", "dataplane", NOW, "1: no failover once media flowed"),
    number("SS_QOS_SIGNAL", "24", (0, 63), "DSCP", "dataplane", NOW, "mark of SIP"),
    number("SS_QOS_RTP", "46", (0, 63), "DSCP", "dataplane", NOW, "mark of RTP"),
    number("SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY", "0", (0, 60_000), "ms", "dataplane", LATER, "wait before our own ringback; 0: none"),
    number("EXPIRE", "3600", (60, 86_400), "s", "dataplane", LATER, "life of our registrations at vendors"),
    number("RETRY_DELAY", "60", (1, 86_400), "s", "dataplane", LATER, "wait after a failed registration"),
    number("SEND_UNREGISTER", "1", SWITCH, "", "dataplane", LATER, "1: un-REGISTER when the gateway is removed"),
    number("TG_FIRST_RESPONSE_TIMEOUT", "4000", (500, 32_000), "ms", "dataplane", NOW, "INVITE to any 1xx, then the next vendor"),
    number("TG_SEARCH_BUDGET", "12000", (1000, 120_000), "ms", "dataplane", NOW, "all attempts together to the first 18x"),
    number("TG_RING_TIMEOUT", "90000", (5000, 600_000), "ms", "dataplane", NOW, "first 18x to the answer, then 480"),
    number("TG_COMMIT_WAIT", "200", (0, 5000), "ms", "dataplane", NOW, "how long an answer waits for its start record; 0: not at all"),
    number("TG_ADMIT_WAIT", "2000", (100, 10_000), "ms", "dataplane", NOW, "how long an INVITE waits for a decision, then 503"),
    number("TG_RTP_TIMEOUT", "60", DAY_S, "s", "dataplane", NOW, "silence on both sides that ends a call; 0: never"),
    number("TG_LATCH_WINDOW", "10", (1, 120), "s", "dataplane", NOW, "after an SDP, how long an address may be learned"),
    number("TG_RETRY_AFTER", "5", (1, 3600), "s", "dataplane", NOW, "Retry-After of our own 503"),
    number("TG_OPTIONS_PER_SECOND", "10", (1, 1_000_000), "packets/s", "driver", NOW, "OPTIONS of one source"),
    number("TG_OPTIONS_BURST", "20", (1, 1_000_000), "packets", "driver", NOW, "OPTIONS of one source at once"),
];

/// Other spellings that are understood.
const ALIASES: &[(&str, &str)] = &[
    ("FEE_PRECISTION", "FEE_PRECISION"),
    ("SERVER_BILLING_FEE_PRECISION", "FEE_PRECISION"),
    ("SERVER_BILLING_HOLD_TIME_PRECISION", "HOLD_TIME_PRECISION"),
    ("SERVER_BILLING_FREE_TIME", "FREE_TIME"),
    ("SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME", "PREVENT_OVERDRAFT_ADVANCE_TIME"),
    ("PREVENT_OVERDRAFT", "PREVENT_OVERDRAFT_ADVANCE_TIME"),
    ("SS_SIP_REGISTRATION_LIGTHWEIGHT", "SS_SIP_REGISTRATION_LIGHTWEIGHT"),
];

/// The row with this name or alias.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static Parameter, Refusal> {
    let name = name.to_ascii_uppercase();
    let right =
        ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, right)| right);
    CATALOG
        .iter()
        .find(|parameter| parameter.name == right)
        .ok_or_else(|| Refusal::missing("parameter", right))
}

impl Parameter {
    /// The value in its one spelling.
    fn check(&self, value: &str) -> Result<String, Refusal> {
        let refuse = |what: String| Refusal::invalid(format!("{}: {what}", self.name));
        match self.kind {
            Kind::Number(low, high) => {
                let number: u64 = value.trim().parse().map_err(|_| {
                    refuse(format!("{value:?} is no whole number from {low} to {high}"))
                })?;
                if (low..=high).contains(&number) {
                    Ok(number.to_string())
                } else {
                    Err(refuse(format!("{number} is not from {low} to {high} {}", self.unit)))
                }
            }
            Kind::Prefixes => {
                let parts: Vec<&str> =
                    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                match parts.iter().find(|part| !part.bytes().all(|b| b.is_ascii_alphanumeric())) {
                    Some(part) => Err(refuse(format!("{part:?} is no number prefix"))),
                    None => Ok(parts.join(",")),
                }
            }
        }
    }
}

/// The values that differ from their defaults.
#[derive(Clone, Debug, Default)]
pub struct Values {
    changed: BTreeMap<&'static str, String>,
    version: u64,
}

impl Values {
    /// Puts a stored value in place; one that no longer fits is left at its default.
    pub fn restore(&mut self, name: &str, value: &str) {
        if let Ok(parameter) = find(name)
            && let Ok(value) = parameter.check(value)
        {
            self.changed.insert(parameter.name, value);
            self.version += 1;
        }
    }

    /// Changes one; its name, old and new value.
    ///
    /// # Errors
    /// When there is no such parameter, or the value is out of its range.
    pub fn set(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<(&'static str, String, String), Refusal> {
        let parameter = find(name)?;
        let value = parameter.check(value)?;
        let old = self.text(parameter.name).to_owned();
        self.changed.insert(parameter.name, value.clone());
        self.version += 1;
        Ok((parameter.name, old, value))
    }

    /// Back to the default.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn reset(&mut self, name: &str) -> Result<(&'static str, String, String), Refusal> {
        let parameter = find(name)?;
        let old = self.text(parameter.name).to_owned();
        self.changed.remove(parameter.name);
        self.version += 1;
        Ok((parameter.name, old, parameter.default.to_owned()))
    }

    /// The value as text. `name` is one of the catalog's.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.changed.get(name) {
            Some(value) => value,
            None => CATALOG.iter().find(|row| row.name == name).map_or("", |row| row.default),
        }
    }

    /// The value as a number. `name` is a number of the catalog's.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// As [`Self::number`], cut to 32 bits.
    #[must_use]
    pub fn small(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    /// Whether a number begins with one of a list of prefixes.
    #[must_use]
    pub fn has_prefix(&self, name: &str, number: &str) -> bool {
        self.text(name).split(',').any(|prefix| !prefix.is_empty() && number.starts_with(prefix))
    }

    /// What the workers act on.
    #[must_use]
    pub fn for_workers(&self) -> order::Parameters {
        order::Parameters {
            version: self.version,
            invite_timeout_ms: self.small("SS_SIP_INVITE_TIMEOUT"),
            first_response_timeout_ms: self.small("TG_FIRST_RESPONSE_TIMEOUT"),
            search_budget_ms: self.small("TG_SEARCH_BUDGET"),
            ring_timeout_ms: self.small("TG_RING_TIMEOUT"),
            commit_wait_ms: self.small("TG_COMMIT_WAIT"),
            admit_wait_ms: self.small("TG_ADMIT_WAIT"),
            rtp_timeout_s: self.small("TG_RTP_TIMEOUT"),
            latch_window_s: self.small("TG_LATCH_WINDOW"),
            stop_after_rtp: self.small("SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START"),
            retry_after_s: self.small("TG_RETRY_AFTER"),
            dscp_sip: self.small("SS_QOS_SIGNAL"),
            dscp_rtp: self.small("SS_QOS_RTP"),
            caller_length_max: self.small("SS_CALLERALLOWLENGTH"),
            reply_unauthorized: self.small("SS_REPLY_UNAUTHORIZED"),
        }
    }

    /// One row, for API and CLI.
    #[must_use]
    pub fn describe(&self, row: &Parameter) -> Value {
        let range = match row.kind {
            Kind::Number(low, high) => format!("{low}-{high}"),
            Kind::Prefixes => "prefixes, separated by commas".into(),
        };
        json!({
            "name": row.name, "value": self.text(row.name), "default": row.default, "range": range,
            "unit": row.unit, "owner": row.owner, "in_force": row.in_force, "doc": row.doc,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for row in CATALOG {
            assert_eq!(row.check(row.default).unwrap(), row.default, "{}", row.name);
            assert!(names.insert(row.name), "{}", row.name);
            assert!(!row.doc.is_empty());
        }
        for (_, right) in ALIASES {
            assert!(find(right).is_ok());
        }
    }

    #[test]
    fn the_catalog_has_every_name_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/parameters.md");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("SKIPPED: no reference at {path}");
            return;
        };
        let section = text.split("## 2.").next().unwrap();
        let mut missing = Vec::new();
        for line in section.lines().filter(|line| line.starts_with("| ")) {
            let Some(name) = line.split('|').nth(2).map(str::trim) else { continue };
            let name = name.split([' ', '(']).next().unwrap_or_default();
            let is_name = name.len() > 5
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if is_name && find(name).is_err() {
                missing.push(name.to_owned());
            }
        }
        assert!(missing.is_empty(), "not in the catalog: {missing:?}");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_range() {
        let mut values = Values::default();
        let refusal = values.set("ss_sip_invite_timeout", "10").unwrap_err();
        assert!(refusal.detail.contains("1000 to 120000"), "{}", refusal.detail);
        assert!(values.set("NO_SUCH", "1").is_err());
        assert!(values.set("BILLING_FREE_E164S", "800, 00").is_ok());
        assert!(values.has_prefix("BILLING_FREE_E164S", "800123"));
        assert!(values.set("BILLING_FREE_E164S", "8 0").is_err());
    }

    #[test]
    fn a_change_reaches_the_workers_and_a_reset_takes_it_back() {
        let mut values = Values::default();
        let before = values.for_workers();
        assert_eq!(
            before,
            order::Parameters { version: 0, ..order::Parameters::default() },
            "catalog and link agree on defaults"
        );
        values.set("SS_SIP_INVITE_TIMEOUT", "5000").unwrap();
        assert_eq!(values.for_workers().invite_timeout_ms, 5000);
        values.reset("SS_SIP_INVITE_TIMEOUT").unwrap();
        assert_eq!(values.for_workers().invite_timeout_ms, 30_000);
    }
}
