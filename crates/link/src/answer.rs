//! Control → dataplane: what a waiting call may do.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::{ATTEMPTS_MAX, CallKey, Terms};
use crate::{Endpoint, Text};

/// An answer to an [`Ask`](crate::Ask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "slots of a ring have one size anyway")]
pub enum Answer {
    /// Admitted: try these gateways in this order.
    Route(Route),
    /// Not admitted. Control has written the record of it.
    Refuse(Refuse),
    /// Whether the next candidate may be tried.
    Rerouted(Rerouted),
    /// The start record is durable: let the caller hear the answer.
    Committed(Committed),
}

/// One routing gateway that an admitted call may try.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Candidate {
    /// The routing gateway.
    pub gateway: u32,
    /// Whither the INVITE goes.
    pub target: Endpoint,
    /// Answers that end the search (default 486, 600, 603), zeros where unused.
    pub stop_codes: [u16; 8],
    /// Caller as this vendor gets it.
    pub caller: Text<38>,
    /// Callee as this vendor gets it.
    pub callee: Text<38>,
    /// Its price, for the record.
    pub terms: Terms,
}

/// Admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Route {
    /// The call that asked.
    pub call: CallKey,
    /// The mapping gateway it belongs to.
    pub customer_gateway: u32,
    /// Longest talk time in seconds; 0: no limit.
    pub talk_s: u32,
    /// The billed numbers, for the record.
    pub caller_billed: Text<38>,
    /// See `caller_billed`.
    pub callee_billed: Text<38>,
    /// The customer's price, for the record.
    pub customer_terms: Terms,
    /// How many candidates count, at least 1.
    pub candidates_used: u32,
    /// How many changes of vendor are allowed (`SS_GATEWAY_SWITCH_LIMIT`; 0: no failover).
    pub switches_max: u32,
    /// The candidates, best first.
    pub candidates: [Candidate; ATTEMPTS_MAX],
}

impl Route {
    /// The candidates that count.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        let used = (self.candidates_used as usize).min(ATTEMPTS_MAX);
        self.candidates.get(..used).unwrap_or_default()
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Refuse {
    /// The call that asked.
    pub call: CallKey,
    /// The SIP status for the caller; 0: say nothing at all (`SS_REPLY_UNAUTHORIZED=0`).
    pub status: u16,
    /// [`EndReason`](crate::record::EndReason) as a number.
    pub reason: u8,
    /// 1: answer without a transaction (RFC 3261 §8.2.7), because the source is nobody.
    pub stateless: u8,
    /// Retry-After in seconds; 0: none.
    pub retry_after_s: u32,
}

/// The answer to a [`Reroute`](crate::ask::Reroute).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rerouted {
    /// The call that asked.
    pub call: CallKey,
    /// The routing gateway it asked for.
    pub gateway: u32,
    /// 1: it holds a line there now, and none at the vendor before; 0: that gateway takes no call.
    pub granted: u32,
}

/// The start record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Committed {
    /// The call.
    pub call: CallKey,
}
