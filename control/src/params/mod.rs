//! The one catalog of system parameters: name, default, range, unit, meaning of 0, owner, doc.
//!
//! Names are those of the field where it has one, our own begin with `TG_`. Names in small letters are
//! fields of documents: the catalog says what they mean, and each document has its own value. API, CLI
//! and `docs/parameters.md` are derived from this table. A parameter that changes nothing yet says so
//! (`in_force`). A change applies at once, to new calls.

mod catalog;
mod preset;

use std::collections::BTreeMap;

use link::fence::FENCE_SETS_MAX;
use link::{Text, order};
use serde_json::Value;
use xdp_prog::Rate;
use xdp_prog::abi::AGENT_BYTES;

use crate::Refusal;
use crate::shown::{self, ParameterShown};
use crate::state::entity;
use crate::state::entity::geo::check_name;
use catalog::ALIASES;
pub use catalog::{CATALOG, Kind, Parameter};
pub use preset::{PRESETS, Preset};

/// Every call looks through all of them.
const PREFIXES_MAX: usize = 1_000;
/// The driver's table of scanners has no more.
const LISTED_MAX: usize = 1_000;
/// Lines of an address.
const LINES_MAX: usize = 10;
/// As long as the workers are told of it.
const NAME_BYTES_MAX: usize = 62;
/// The longest code that is pressed in a call.
const KEYS_MAX: usize = order::KEYS_MAX;

/// The row with this name or alias.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static Parameter, Refusal> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let right = alias.map_or(name, |(_, right)| right);
    CATALOG
        .iter()
        .find(|parameter| parameter.name.eq_ignore_ascii_case(right))
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
                if parts.len() > PREFIXES_MAX {
                    return Err(refuse(format!("{} prefixes; up to {PREFIXES_MAX}", parts.len())));
                }
                let fits = |part: &str| {
                    part.len() <= 32 && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
                };
                match parts.iter().find(|part| !fits(part)) {
                    Some(part) => Err(refuse(format!("{part:?} is no number prefix"))),
                    None => Ok(parts.join(",")),
                }
            }
            Kind::Name => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                if value.len() <= NAME_BYTES_MAX && value.bytes().all(fits) {
                    Ok(value.to_owned())
                } else {
                    Err(refuse(format!("{value:?} is no name like sip.example.com")))
                }
            }
            Kind::Sets => {
                let parts: Vec<&str> =
                    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                for part in &parts {
                    check_name(self.name, part)?;
                }
                Ok(parts.join(","))
            }
            Kind::Keys => {
                let keys = value.trim().to_ascii_uppercase();
                let is_key = |key: u8| b"0123456789*#ABCD".contains(&key);
                if keys.len() <= KEYS_MAX && keys.bytes().all(is_key) {
                    Ok(keys)
                } else {
                    Err(refuse(format!("{value:?} is no {KEYS_MAX} keys of 0-9, *, #, A-D")))
                }
            }
            Kind::Lines => {
                let lines: Vec<&str> = value.split('|').map(str::trim).collect();
                let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
                if lines.len() > LINES_MAX {
                    return Err(refuse(format!("{} lines; up to {LINES_MAX}", lines.len())));
                }
                lines.iter().try_for_each(|line| entity::memo(self.name, line))?;
                Ok(lines.join(" | "))
            }
            Kind::Rate => {
                let rate: Rate = value.parse().map_err(|fault| refuse(format!("{fault}")))?;
                Ok(rate.to_string())
            }
            Kind::Ports => listed(value, |port| port.parse::<u16>().is_ok_and(|port| port > 0))
                .map_err(|part| refuse(format!("{part:?} is no port from 1 to 65535"))),
            Kind::Words => {
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@+".contains(&byte);
                let fits = |word: &str| word.len() <= AGENT_BYTES && word.bytes().all(is_word);
                listed(value, fits)
                    .map_err(|part| refuse(format!("{part:?} is no word of up to {AGENT_BYTES}")))
            }
            Kind::Field(_) => Err(self.is_no_system_parameter()),
        }
    }

    fn is_no_system_parameter(&self) -> Refusal {
        let detail = if self.in_force {
            format!("{} is a field of each {}; change it there", self.name, self.owner)
        } else {
            format!("{} is not in force: nothing reads it in this release", self.name)
        };
        Refusal::new(409, "no system parameter", detail)
    }

    /// What it can be, in words.
    #[must_use]
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Number(low, high) => format!("{low}-{high}"),
            Kind::Prefixes => "prefixes, separated by commas".into(),
            Kind::Lines => format!("up to {LINES_MAX} lines of text, separated by |"),
            Kind::Name => "a name of letters, digits, dots and dashes".into(),
            Kind::Keys => format!("up to {KEYS_MAX} keys of 0-9, *, #, A-D"),
            Kind::Rate => "off, never, or like 10/s burst 20 or 20/60s burst 19 silence 60s".into(),
            Kind::Ports => "ports, separated by commas".into(),
            Kind::Words => "words, separated by commas".into(),
            Kind::Sets => format!("up to {FENCE_SETS_MAX} names of geo sets, separated by commas"),
            Kind::Field(range) => range.into(),
        }
    }
}

/// A list in its one spelling, or the first part that does not fit.
fn listed(value: &str, fits: impl Fn(&str) -> bool) -> Result<String, String> {
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.take(LISTED_MAX + 1).collect();
    match parts.iter().find(|part| !fits(part)) {
        Some(part) => Err((*part).to_owned()),
        None if parts.len() > LISTED_MAX => Err(format!("more than {LISTED_MAX}")),
        None => Ok(parts.join(",")),
    }
}

/// Whether the driver acts on it.
#[must_use]
pub fn is_of_driver(name: &str) -> bool {
    CATALOG.iter().any(|row| row.name == name && row.owner == "driver")
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
        if matches!(parameter.kind, Kind::Field(_)) {
            return Err(parameter.is_no_system_parameter());
        }
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

    /// The value as a rate. `name` is one of the catalog's.
    #[must_use]
    pub fn rate(&self, name: &str) -> Rate {
        self.text(name).parse().unwrap_or(Rate::NONE)
    }

    /// As [`Self::number`], cut to 32 bits.
    #[must_use]
    pub fn small(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    /// As [`Self::number`], cut to 16 bits.
    #[must_use]
    pub fn tiny(&self, name: &str) -> u16 {
        u16::try_from(self.number(name)).unwrap_or(u16::MAX)
    }

    fn keys(&self, name: &str) -> Text<KEYS_MAX> {
        Text::cut(self.text(name).as_bytes())
    }

    /// The names of a list. `name` is one of the catalog's.
    pub fn names(&self, name: &str) -> impl Iterator<Item = &str> {
        self.text(name).split(',').filter(|part| !part.is_empty())
    }

    /// Whether a number begins with one of a list of prefixes.
    #[must_use]
    pub fn has_prefix(&self, name: &str, number: &str) -> bool {
        self.text(name).split(',').any(|prefix| !prefix.is_empty() && number.starts_with(prefix))
    }

    /// Whether a number is called whatever the load.
    #[must_use]
    pub fn is_emergency(&self, number: &str) -> bool {
        self.text("TG_EMERGENCY_NUMBERS").split(',').any(|one| !one.is_empty() && one == number)
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
            reply_unauthorized: self.small("SS_REPLY_UNAUTHORIZED"),
            session_timer_s: self.small("SS_SIP_SESSION_TIMER"),
            session_timer_min_s: self.small("TG_SESSION_TIMER_MIN"),
            challenge_mode: self.tiny("SS_AUTHCHALLENGEMODE"),
            challenge_sha256: self.tiny("TG_DIGEST_SHA256"),
            nonce_age_s: self.small("TG_NONCE_AGE"),
            ring_tone_delay_ms: self.small("SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY"),
            tcp_close_reset: self.small("SS_TCP_CLOSE_RESET"),
            stream_idle_s: self.small("TG_STREAM_IDLE"),
            stream_patience_s: self.small("TG_STREAM_PATIENCE"),
            streams_per_source_max: self.small("TG_STREAMS_PER_SOURCE"),
            streams_max: self.small("TG_STREAMS"),
            tcp_above_bytes: self.small("TG_SIP_TCP_ABOVE"),
            stream_probe_s: self.small("TG_STREAM_PROBE"),
            options_in_driver: self.tiny("TG_OPTIONS_IN_DRIVER"),
            media_settled: self.tiny("TG_MEDIA_SETTLED"),
            media_port_rest_s: self.small("TG_MEDIA_PORT_QUARANTINE"),
            spare: 0,
            transfer: order::TransferKeys {
                wait_s: self.small("TG_TRANSFER_WAIT"),
                pause_s: self.small("TG_TRANSFER_PAUSE"),
                ringback: self.small("TG_TRANSFER_RINGBACK"),
                display: self.small("TG_TRANSFER_DISPLAY"),
                blind: self.keys("TG_TRANSFER_BLIND_KEY"),
                attended: self.keys("TG_TRANSFER_ATTENDED_KEY"),
                cancel: self.keys("TG_TRANSFER_CANCEL_KEY"),
                end: self.keys("TG_TRANSFER_END_KEY"),
                display_text: Text::cut(self.text("TG_TRANSFER_DISPLAY_TEXT").as_bytes()),
            },
            realm: Text::cut(self.text("TG_SIP_REALM").as_bytes()),
            domain: Text::cut(self.text("TG_SIP_DOMAIN").as_bytes()),
            emergency: Text::cut(self.text("TG_EMERGENCY_NUMBERS").as_bytes()),
        }
    }

    /// One row, for API and CLI.
    #[must_use]
    pub fn describe(&self, row: &Parameter) -> Value {
        // Each document has its own.
        let value = match row.kind {
            Kind::Field(_) => None,
            _ => Some(self.text(row.name).to_owned()),
        };
        let Parameter { name, default, unit, owner, in_force, doc, .. } = *row;
        let range = row.range();
        shown::json(ParameterShown { name, value, default, range, unit, owner, in_force, doc })
    }
}

#[cfg(test)]
mod tests;
