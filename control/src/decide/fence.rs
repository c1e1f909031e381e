//! Who is outside: addresses that pass no fence, and accounts used from outside their access list.
//!
//! ```text
//!  a stranger ── no fence lets him in ──▶ 403, or silence: for everybody alike
//!     │ challenged as everybody is
//!     ▼
//!  proven, or known by address ─┬─ his fence ────▶ 403, an event
//!                               └─ his account's ─▶ 403, an event, an invalid call
//! ```
//!
//! Withstands a flood of the refused: an event tells of one address once in ten minutes, and how many were
//! not told comes with the next; what is remembered of them has a limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use link::report::{FenceCheck, Fenced};

use super::Office;
use crate::Time;
use crate::cdr::id_text;
use crate::journal::{Event, Severity};
use crate::shown::FenceFigures;
use crate::state::entity::Kind;

/// An address is told of again after so long.
const TOLD: Duration = Duration::from_secs(600);
/// Addresses that were told of lately.
const TOLD_MAX: usize = 1_024;

/// Which bound somebody is outside of, who proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// His fence.
    Fence,
    /// His account's access list.
    AccessList,
}

/// Somebody known who may not be where he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outside {
    /// The mapping gateway or phone.
    pub(super) customer: u32,
    /// Of what.
    pub(super) bound: Bound,
}

/// What was refused, and who was told of.
#[derive(Default)]
pub(super) struct Sentry {
    told: HashMap<(&'static str, u32, IpAddr), link::Instant>,
    untold: u64,
    pub(super) figures: FenceFigures,
}

impl Sentry {
    /// Whether this one is worth an event. If so, how many before it were not.
    fn is_news(&mut self, now: link::Instant, key: (&'static str, u32, IpAddr)) -> Option<u64> {
        let is_fresh = |at: &link::Instant| now.saturating_sub(*at) < TOLD;
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, at| is_fresh(at));
        }
        let known = self.told.get(&key).is_some_and(is_fresh);
        if known || self.told.len() >= TOLD_MAX {
            self.untold += 1;
            return None;
        }
        self.told.insert(key, now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Office {
    /// Whether somebody known may send from there.
    pub(super) fn bound_of(&self, customer: u32, source: IpAddr) -> Option<Outside> {
        let account = self.state.customers.get(customer).map_or(0, |it| it.gateway.account);
        let bound = if !self.state.fences.passes(customer, source) {
            Bound::Fence
        } else if !self.state.may_use(account, source) {
            Bound::AccessList
        } else {
            return None;
        };
        Some(Outside { customer, bound })
    }

    /// A request came from where a stranger is not even asked who he is.
    pub(super) fn note_stranger_outside(&mut self, time: Time, what: &'static str, source: IpAddr) {
        self.sentry.figures.signalling += 1;
        let detail = format!("{what} of a stranger refused: outside the fence (TG_FENCE_MODE)");
        self.note_outside(time, "geofence_refused", 0, source, detail);
    }

    /// A request of somebody known came from outside.
    pub(super) fn note_customer_outside(
        &mut self,
        time: Time,
        what: &'static str,
        outside: Outside,
        source: IpAddr,
    ) {
        let Outside { customer, bound } = outside;
        let (name, detail) = match bound {
            Bound::Fence => {
                self.sentry.figures.signalling += 1;
                ("geofence_refused", format!("{what} refused: outside the fence"))
            }
            Bound::AccessList => {
                self.sentry.figures.access += 1;
                let why = "outside the account's access_addresses (SS_ACCESS_IP_CHECK)";
                ("access_refused", format!("{what} refused: {why}"))
            }
        };
        self.note_outside(time, name, customer, source, detail);
    }

    /// A worker met an address that does not pass.
    pub fn handle_fenced(&mut self, time: Time, fenced: &Fenced) {
        let Some(check) = FenceCheck::from_number(fenced.check) else { return };
        let Some(address) = fenced.address.socket_address() else { return };
        let count = 1 + u64::from(fenced.untold);
        let (name, what) = match check {
            FenceCheck::Signalling => {
                self.sentry.figures.signalling += count;
                ("geofence_refused", "signalling")
            }
            FenceCheck::Description => {
                self.sentry.figures.description += count;
                ("geofence_sdp", "the media address of a description")
            }
            FenceCheck::Media => {
                self.sentry.figures.media += count;
                ("geofence_media", "the address that media comes from")
            }
        };
        let call = match fenced.record {
            [0, 0] => String::new(),
            id => format!(", call {}", id_text(id)),
        };
        let detail = format!("{what} is outside the fence{call}");
        self.note_outside(time, name, fenced.owner, address.ip(), detail);
    }

    fn note_outside(
        &mut self,
        time: Time,
        name: &'static str,
        owner: u32,
        address: IpAddr,
        detail: String,
    ) {
        let Some(untold) = self.sentry.is_news(time.now, (name, owner, address)) else { return };
        let kinds = [Kind::Phone, Kind::Mapping, Kind::Routing].into_iter();
        let named = kinds.map(|kind| (kind, self.state.name_of(kind, owner)));
        let whose = named.into_iter().find(|(_, name)| !name.is_empty());
        let whose =
            whose.map_or("stranger".to_owned(), |(kind, it)| format!("{} {it}", kind.name()));
        let detail = match untold {
            0 => detail,
            untold => format!("{detail}; {untold} more of the kind were not told"),
        };
        let subject = format!("{whose} at {address}");
        let severity = Severity::Warning;
        self.journal.note(Event { at_us: time.wall_us, name, subject, severity, detail });
    }
}
