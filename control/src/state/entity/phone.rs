//! A phone: a subscriber's line that registers, calls by its password, and is called by its numbers.

use numbers::Number;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{bounded, memo};
use super::geo::{Fencing, check_fence};
use crate::Refusal;
use crate::state::customer::INTERNATIONAL;
use crate::state::profile::{Dtmf, Rel100, Srtp};
use crate::state::secret::Password;
use crate::state::word::words;

/// Numbers of one phone.
const NUMBERS_MAX: usize = 1_000;
/// Longest name: it is a number that others dial.
const NAME_BYTES_MAX: usize = 32;

words! {
    /// Which bindings of a phone ring.
    Ring { Newest = "newest", All = "all" }
}

/// A subscriber's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// Its number in our books.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name: the digest username, and the user part of its address of record.
    pub name: String,
    /// Who is charged.
    pub account: String,
    /// By which tariff; empty: none, and no call of it passes.
    #[serde(default)]
    pub tariff: String,
    /// The caller that others see; empty: as the phone says it.
    #[serde(default)]
    pub number: String,
    /// Calls to them ring the phone, as calls to its name do.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// What it proves itself with; shown as `********`. Empty: it can neither register nor call.
    #[serde(default)]
    pub password: Password,
    /// Simultaneous calls, both ways; 0: no limit.
    #[serde(default)]
    pub lines_max: u32,
    /// Longest call, s; 0: no limit.
    #[serde(default)]
    pub talk_s_max: u32,
    /// It neither registers nor calls nor is called.
    #[serde(default)]
    pub locked: bool,
    /// Which of its bindings ring: `newest`, or `all` at once.
    #[serde(default)]
    pub ring: Ring,
    /// Bindings at a time, 1 to 8; one more takes the place of the oldest.
    #[serde(default = "contacts")]
    pub contacts_max: u8,
    /// Routing gateway for calls to it while it is offline; empty: none.
    #[serde(default)]
    pub offline_gateway: String,
    /// Routing gateways follow where the phone does not answer a call.
    #[serde(default)]
    pub fall_through: bool,
    /// MESSAGE is passed on inside its calls.
    #[serde(default)]
    pub message: bool,
    /// Session timers (RFC 4028) are offered to it.
    #[serde(default)]
    pub session_timer: bool,
    /// Reliable provisional responses (RFC 3262): `off`, `supported` or `required`.
    #[serde(default)]
    pub rel100: Rel100,
    /// Whether its media are under keys (SRTP): `off`, `optional` or `required`.
    #[serde(default)]
    pub srtp: Srtp,
    /// How it knows keys: `auto`, `rfc4733`, `info` or `inband`.
    #[serde(default)]
    pub dtmf: Dtmf,
    /// It hears a prompt where its calls fail.
    #[serde(default)]
    pub announcements: bool,
    /// PUBLISH of it is taken.
    #[serde(default)]
    pub publish: bool,
    /// Phones of one name here pick up each other's calls (`TG_PICKUP_CODE`); empty: none.
    #[serde(default)]
    pub pickup_group: String,
    /// What is done with its addresses, in signalling, descriptions and media: `unset` (as
    /// `TG_FENCE_MODE` says of all), `ignore`, `forbid` (those inside) or `allow` (those alone).
    #[serde(default)]
    pub fence_mode: Fencing,
    /// The geo sets that are meant, up to 16.
    #[serde(default)]
    pub fence_sets: Vec<String>,
}

fn contacts() -> u8 {
    4
}

/// What a phone is called by, in normal form.
pub(in crate::state) fn dialled(text: &str) -> Option<Number> {
    Number::normal(text.as_bytes(), &INTERNATIONAL).ok()
}

impl Phone {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+*#".contains(&byte);
        if self.name.len() > NAME_BYTES_MAX
            || !self.name.bytes().all(fits)
            || dialled(&self.name).is_none()
        {
            return Err(Refusal::invalid(format!(
                "name: 1 to {NAME_BYTES_MAX} letters, digits and - . _ + * #, as others dial it"
            )));
        }
        let no_number = |field: &str, text: &str| {
            Refusal::invalid(format!("{field}: {text:?} is no number, like 390212345678 or 200"))
        };
        if !self.number.is_empty() && dialled(&self.number).is_none() {
            return Err(no_number("number", &self.number));
        }
        bounded("numbers", self.numbers.len(), NUMBERS_MAX)?;
        for number in &self.numbers {
            dialled(number).ok_or_else(|| no_number("numbers", number))?;
        }
        if !(1..=8).contains(&self.contacts_max) {
            return Err(Refusal::invalid("contacts_max: 1 to 8"));
        }
        check_fence(self.fence_mode, &self.fence_sets)?;
        memo("pickup_group", &self.pickup_group)?;
        memo("offline_gateway", &self.offline_gateway)
    }

    /// Everything that calls to it are dialled by.
    pub(in crate::state) fn dialled(&self) -> impl Iterator<Item = Number> + '_ {
        std::iter::once(&self.name).chain(&self.numbers).filter_map(|text| dialled(text))
    }
}
