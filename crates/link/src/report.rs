//! Dataplane → control: what happened, nobody waits.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Endpoint;
use crate::record::CallKey;

/// News. The truth is in the call table; a report only saves control from looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "slots of a ring have one size anyway")]
pub enum Report {
    /// The call's record is complete in the call table.
    Ended(Ended),
    /// What came of an errand.
    Errand(ErrandDone),
    /// What a gateway's answers say of it.
    Gateway(GatewayNews),
    /// A connection that phones registered by is no more.
    Lost(ConnectionLost),
    /// An address did not pass a fence.
    Fenced(Fenced),
    /// Who is shut out, and tried all the same.
    Refusals(Refusals),
}

/// What came of an [`Errand`](crate::order::Errand).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ErrandDone {
    /// The errand's.
    pub id: u64,
    /// Final status; 0: nobody answered, or the request could not be sent.
    pub status: u16,
    /// Challenges that were answered before it.
    pub challenges: u16,
    /// From the last request to its final answer, µs.
    pub round_trip_us: u32,
    /// REGISTER: the lifetime granted; 423: Min-Expires.
    pub expires_s: u32,
    /// Retry-After, s; 0: none.
    pub retry_after_s: u32,
    /// CSeq number of the last request.
    pub cseq: u32,
    /// Reserved; zero.
    pub spare: u32,
}

/// What a [`GatewayNews`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum News {
    /// It answered an INVITE with 503 and a Retry-After.
    RetryAfter = 1,
    /// It refused our password twice (AUTH-08).
    PasswordRefused = 2,
    /// Nobody listens there: refused by ICMP, or no connection.
    Unreachable = 3,
}

impl News {
    /// The news with this number; `None`: one that nobody wrote.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::RetryAfter,
            2 => Self::PasswordRefused,
            3 => Self::Unreachable,
            _ => return None,
        })
    }
}

/// What a gateway's answers say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GatewayNews {
    /// Which gateway.
    pub gateway: u32,
    /// For how long, s; 0: nothing said.
    pub seconds: u32,
    /// [`News`] as a number.
    pub kind: u8,
    /// Reserved; zero.
    pub spare: u8,
    /// Its final status; 0: none.
    pub status: u16,
}

/// A connection by which a REGISTER came is no more. It is told once: what a full ring does not take shows
/// when a phone is called by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ConnectionLost {
    /// The rim's number of it.
    pub connection: u32,
}

/// Which check an address did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FenceCheck {
    /// Whence a request came, or whither one would have gone.
    Signalling = 1,
    /// Where a description wants media.
    Description = 2,
    /// Whence media really came.
    Media = 3,
}

impl FenceCheck {
    /// The check with this number; `None`: one that nobody wrote.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Signalling,
            2 => Self::Description,
            3 => Self::Media,
            _ => return None,
        })
    }
}

/// An address did not pass a fence. It is told once per flow or request, and not oftener than control
/// wants to hear; all of them are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fenced {
    /// The gateway or phone whose fence it was; 0: a stranger's.
    pub owner: u32,
    /// [`FenceCheck`] as a number.
    pub check: u8,
    /// Reserved; zero.
    pub spare: [u8; 3],
    /// The address.
    pub address: Endpoint,
    /// How many were not told since the one before.
    pub untold: u32,
    /// The record's id of the call; zeros: of none.
    pub record: [u64; 2],
}

/// How many of [`Refused`] one report tells of.
pub const REFUSALS_MAX: usize = 128;

/// Requests that were refused because their sender is shut out, since the report before. A worker sends some of
/// these once a second, and none when there was nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Refusals {
    /// How many of `rows` say something.
    pub used: u32,
    /// The first of them do.
    pub rows: [Refused; REFUSALS_MAX],
}

/// What one entry refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Refused {
    /// The [`ShutOut`](crate::order::ShutOut)'s.
    pub number: u32,
    /// Requests.
    pub count: u32,
}

/// A call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ended {
    /// Which.
    pub call: CallKey,
}
