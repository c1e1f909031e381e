//! Dataplane → control: questions that a call waits for.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::{CallKey, Facts};

/// A question. Each is answered at most once; an answer after the deadline is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "slots of a ring have one size anyway")]
pub enum Ask {
    /// May this call be made, and by whom?
    Admit(Admit),
    /// A vendor failed: may the call go on to the next one?
    Reroute(Reroute),
    /// The vendor answered: make the start record durable.
    Answered(Answered),
    /// The call is gone before its answer came: release what you hold for it.
    Abandon(Abandon),
}

/// The facts of an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Admit {
    /// The call that waits.
    pub call: CallKey,
    /// The record's id, for control's own record of a refusal.
    pub record: [u64; 2],
    /// When it was asked, µs since the machine booted.
    pub asked_us: u64,
    /// Until when the caller waits, µs since the machine booted.
    pub deadline_us: u64,
    /// Wall time of the INVITE, µs since 1970 UTC.
    pub started_us: u64,
    /// What the INVITE said.
    pub facts: Facts,
}

/// A vendor failed, and the next candidate may be full by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reroute {
    /// The call that waits.
    pub call: CallKey,
    /// The routing gateway it wants to try.
    pub gateway: u32,
    /// Reserved; zero.
    pub spare: u32,
}

/// A 2xx arrived. The record itself lies in the call table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Answered {
    /// The call.
    pub call: CallKey,
    /// When it was asked, µs since the machine booted.
    pub asked_us: u64,
}

/// The caller cancelled, or the deadline passed, while an [`Admit`] was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Abandon {
    /// The call.
    pub call: CallKey,
    /// Why, as an [`EndReason`](crate::record::EndReason) number.
    pub reason: u32,
    /// The SIP status that went to the caller, 0 if none.
    pub status: u32,
}
