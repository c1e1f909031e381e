//! Geo sets: the heads of named sets of addresses, their ranges as they are said, and the fences that name
//! them.

use std::net::IpAddr;

use guard::{GeoFault, GeoRange};
use link::fence::{FENCE_SETS_MAX, FenceMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::memo;
use crate::Refusal;
use crate::state::word::words;

/// Longest name: a parameter names several.
const NAME_BYTES_MAX: usize = 32;

words! {
    /// What a fence does; unset: the next level says.
    Fencing { Unset = "unset", Ignore = "ignore", Forbid = "forbid", Allow = "allow" }
}

impl Fencing {
    /// The mode; `None`: the next level says.
    #[must_use]
    pub fn mode(self) -> Option<FenceMode> {
        match self {
            Self::Unset => None,
            Self::Ignore => Some(FenceMode::Ignore),
            Self::Forbid => Some(FenceMode::Forbid),
            Self::Allow => Some(FenceMode::Allow),
        }
    }
}

/// The head of a set of addresses; its ranges are kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoHead {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whence its ranges are, for people.
    #[serde(default)]
    pub source: String,
    /// Of which day they are, `2026-01-31`; empty: not known.
    #[serde(default)]
    pub dated: String,
    /// What the driver does with its addresses, before anything else is spent on them: forbid them all, or
    /// allow them, and of others nobody; trusted sources excepted.
    #[serde(default)]
    pub driver: Fencing,
}

/// A range of a set, as it is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoRow {
    /// `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`, or `192.0.2.1-192.0.2.99`.
    pub range: String,
    /// How many addresses from `range` on, which is one then; null: what `range` says.
    #[serde(default)]
    pub addresses: Option<u64>,
}

/// The day that text names.
pub(crate) fn day(text: &str) -> Result<Option<jiff::civil::Date>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |_| Refusal::invalid(format!("dated: {text:?} is no day, like 2026-01-31"));
    text.parse().map(Some).map_err(refuse)
}

impl GeoHead {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_name("name", &self.name)?;
        memo("source", &self.source)?;
        day(&self.dated).map(drop)
    }
}

impl GeoRow {
    /// The range that it says.
    ///
    /// # Errors
    /// When there is no such range.
    pub fn range(&self) -> Result<GeoRange, Refusal> {
        let read = || match self.addresses {
            None => self.range.trim().parse(),
            Some(count) => {
                let first: IpAddr = self.range.trim().parse().map_err(|_| GeoFault::NoRange)?;
                GeoRange::counted(first, count.into())
            }
        };
        read().map_err(|fault: GeoFault| {
            Refusal::invalid(format!("range: {:?}: {fault}", self.range))
        })
    }
}

/// The name of a set: it stands in lists that are separated by commas, and in paths.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{field}: {name:?}: a set's name has 1 to {NAME_BYTES_MAX} letters, digits, dots and dashes"
    )))
}

/// What the fields of a fence cannot be.
pub(super) fn check_fence(mode: Fencing, sets: &[String]) -> Result<(), Refusal> {
    if sets.len() > FENCE_SETS_MAX {
        let detail = format!(
            "fence_sets: {} of them; a fence names up to {FENCE_SETS_MAX}. Import several lists into \
             one set",
            sets.len()
        );
        return Err(Refusal::invalid(detail));
    }
    sets.iter().try_for_each(|name| check_name("fence_sets", name))?;
    match mode {
        Fencing::Forbid | Fencing::Allow if sets.is_empty() => {
            Err(Refusal::invalid("fence_sets: none; forbid and allow need at least one"))
        }
        Fencing::Unset | Fencing::Ignore | Fencing::Forbid | Fencing::Allow => Ok(()),
    }
}
