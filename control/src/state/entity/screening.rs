//! Which calls pass a gateway, by the numbers they have: fields of both kinds.

use numbers::{Screen, Screens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{bounded, prefix};
use crate::Refusal;

/// Each call looks through all of them.
const PREFIXES_MAX: usize = 1_000;
/// A number has at most as many.
const DIGITS_MAX: u8 = 32;

/// What the numbers of a call have to be, as they are billed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Screening {
    /// Callers that may pass begin so; none: all may.
    #[serde(default)]
    pub caller_prefixes_allowed: Vec<String>,
    /// Callers that may not pass begin so, whatever is allowed.
    #[serde(default)]
    pub caller_prefixes_denied: Vec<String>,
    /// Fewest characters of a caller.
    #[serde(default)]
    pub caller_digits_min: u8,
    /// Most characters of a caller; 0: any number of them.
    #[serde(default)]
    pub caller_digits_max: u8,
    /// Callees that may pass begin so; none: all may.
    #[serde(default)]
    pub callee_prefixes_allowed: Vec<String>,
    /// Callees that may not pass begin so, whatever is allowed.
    #[serde(default)]
    pub callee_prefixes_denied: Vec<String>,
    /// Fewest characters of a callee.
    #[serde(default)]
    pub callee_digits_min: u8,
    /// Most characters of a callee; 0: any number of them.
    #[serde(default)]
    pub callee_digits_max: u8,
    /// Who may forward begins so; none: all may.
    #[serde(default)]
    pub forwarder_prefixes_allowed: Vec<String>,
    /// Who may not forward begins so, whatever is allowed.
    #[serde(default)]
    pub forwarder_prefixes_denied: Vec<String>,
    /// Fewest characters of who forwards.
    #[serde(default)]
    pub forwarder_digits_min: u8,
    /// Most characters of who forwards; 0: any number of them.
    #[serde(default)]
    pub forwarder_digits_max: u8,
}

impl Screening {
    /// As a decision asks them.
    #[must_use]
    pub fn screens(&self) -> Screens {
        let screen = |allowed: &[String], denied: &[String], min: u8, max: u8| Screen {
            allowed: allowed.to_vec(),
            denied: denied.to_vec(),
            digits_min: min.into(),
            digits_max: max.into(),
        };
        Screens {
            caller: screen(
                &self.caller_prefixes_allowed,
                &self.caller_prefixes_denied,
                self.caller_digits_min,
                self.caller_digits_max,
            ),
            callee: screen(
                &self.callee_prefixes_allowed,
                &self.callee_prefixes_denied,
                self.callee_digits_min,
                self.callee_digits_max,
            ),
            forwarder: screen(
                &self.forwarder_prefixes_allowed,
                &self.forwarder_prefixes_denied,
                self.forwarder_digits_min,
                self.forwarder_digits_max,
            ),
        }
    }

    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let prefixes = [
            ("caller_prefixes_allowed", &self.caller_prefixes_allowed),
            ("caller_prefixes_denied", &self.caller_prefixes_denied),
            ("callee_prefixes_allowed", &self.callee_prefixes_allowed),
            ("callee_prefixes_denied", &self.callee_prefixes_denied),
            ("forwarder_prefixes_allowed", &self.forwarder_prefixes_allowed),
            ("forwarder_prefixes_denied", &self.forwarder_prefixes_denied),
        ];
        for (field, texts) in prefixes {
            bounded(field, texts.len(), PREFIXES_MAX)?;
            for text in texts {
                prefix(field, text)?;
                if text.is_empty() {
                    return Err(Refusal::invalid(format!(
                        "{field}: an empty prefix is of every number"
                    )));
                }
            }
        }
        let digits = [
            ("caller_digits_max", self.caller_digits_min, self.caller_digits_max),
            ("callee_digits_max", self.callee_digits_min, self.callee_digits_max),
            ("forwarder_digits_max", self.forwarder_digits_min, self.forwarder_digits_max),
        ];
        match digits
            .iter()
            .find(|(_, min, max)| min.max(max) > &DIGITS_MAX || *max > 0 && min > max)
        {
            None => Ok(()),
            Some((field, ..)) => Err(Refusal::invalid(format!(
                "{field}: up to {DIGITS_MAX}, and not under the fewest; 0: any number of them"
            ))),
        }
    }
}
