//! What becomes of one media datagram.

use core::net::SocketAddr;

use crate::flow::Owner;

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send its payload on, unchanged.
    Send {
        /// Our address and port towards the far leg.
        from: SocketAddr,
        /// The far end.
        to: SocketAddr,
        /// The call it belongs to.
        owner: Owner,
    },
    /// Drop and count it.
    Drop(DropReason),
}

/// Why a media datagram goes nowhere. One counter each; none of them is ever a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// No call holds this port.
    NoFlow,
    /// The leg has not said yet where its media comes from.
    NoRemote,
    /// No RTP version 2 on an even port.
    NotRtp,
    /// No RTCP version 2 on an odd port.
    NotRtcp,
    /// A source that the flow does not believe.
    Stranger,
    /// A possible source, but the time to learn it is over.
    TooLate,
    /// A possible source with a payload type that was not negotiated.
    PayloadType,
    /// The flow's other side is gone, or belongs to somebody else by now.
    NoPeer,
    /// The far side has no address yet.
    NoFarAddress,
    /// Before the answer media flows towards the caller only.
    BeforeAnswer,
    /// Media before the answer, for longer than allowed.
    EarlyTooLong,
}

impl DropReason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every reason, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::NoFlow,
        Self::NoRemote,
        Self::NotRtp,
        Self::NotRtcp,
        Self::Stranger,
        Self::TooLate,
        Self::PayloadType,
        Self::NoPeer,
        Self::NoFarAddress,
        Self::BeforeAnswer,
        Self::EarlyTooLong,
    ];

    /// The counter's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFlow => "no_flow",
            Self::NoRemote => "no_remote",
            Self::NotRtp => "not_rtp",
            Self::NotRtcp => "not_rtcp",
            Self::Stranger => "stranger",
            Self::TooLate => "too_late",
            Self::PayloadType => "payload_type",
            Self::NoPeer => "no_peer",
            Self::NoFarAddress => "no_far_address",
            Self::BeforeAnswer => "before_answer",
            Self::EarlyTooLong => "early_too_long",
        }
    }
}
