//! One direction of one relayed stream, and the nouns that describe it.
//!
//! A [`Flow`] is what arrives at one of our ports; the flow of the peer port is the same stream's
//! other direction. Media is symmetric: where a flow comes from is where its peer is sent to, so an
//! address stands in one place only.

use core::net::{IpAddr, SocketAddr};

use crate::Instant;
use crate::latch::{Latch, Source};
use crate::quality::Quality;

/// The call a flow belongs to, as its slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(u64);

impl Owner {
    /// The call in `slot`; the generation tells its tenants apart.
    #[must_use]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    /// Its slot.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Its generation.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A set of RTP payload types; empty means any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadTypes(pub(crate) u128);

impl PayloadTypes {
    /// Any payload type will do.
    pub const ANY: Self = Self(0);

    /// This set and one more; a number over 127 is no payload type and adds nothing.
    #[must_use]
    pub const fn with(self, payload_type: u8) -> Self {
        if payload_type > 127 { self } else { Self(self.0 | 1 << payload_type) }
    }

    /// Whether a payload type will do.
    #[must_use]
    pub const fn has(self, payload_type: u8) -> bool {
        self.0 == 0 || (payload_type <= 127 && self.0 & (1 << payload_type) != 0)
    }
}

impl FromIterator<u8> for PayloadTypes {
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> Self {
        types.into_iter().fold(Self::ANY, Self::with)
    }
}

/// Whether what arrives may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It teaches us its source and goes no further: the caller's media before the answer.
    Shut,
    /// It goes on until then: the vendor's media before the answer.
    Early {
        /// When the gate shuts again.
        until: Instant,
    },
    /// It goes on.
    Open,
}

/// Whether a side may be silent without being missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Media is expected both ways.
    #[default]
    Off,
    /// The side holds or is held (`sendonly`, `recvonly`, `inactive`): silence means nothing.
    On,
}

/// What it takes to open a port.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The even port of the stream's other side. It need not be open yet.
    pub peer_port: u16,
    /// Our address towards this leg.
    pub local: IpAddr,
    /// The call.
    pub owner: Owner,
    /// Whether what arrives may go on.
    pub gate: Gate,
}

/// What a leg's SDP said about one media line.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// `c=` and `m=`; `None`: it named none, or one that nothing may be sent to.
    pub rtp: Option<SocketAddr>,
    /// `a=rtcp` (RFC 3605); `None`: the port above RTP's.
    pub rtcp: Option<SocketAddr>,
    /// How far the SDP is believed.
    pub latch: Latch,
    /// Until when another address than the announced one may be learned.
    pub until: Instant,
    /// What was negotiated: only these teach us an address.
    pub payload_types: PayloadTypes,
    /// Units per second of the first codec's RTP timestamps, for jitter; 8,000 for telephony.
    pub clock_hz: u32,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) owner: Owner,
    pub(crate) peer_port: u16,
    pub(crate) local: IpAddr,
    pub(crate) gate: Gate,
    pub(crate) hold: Hold,
    pub(crate) source: Source,
    pub(crate) quality: Quality,
    /// Since when silence counts: the answer, the end of hold.
    pub(crate) watched_since: Option<Instant>,
}

impl Flow {
    pub(crate) fn new(opening: &Opening) -> Self {
        Self {
            owner: opening.owner,
            peer_port: opening.peer_port,
            local: opening.local,
            gate: opening.gate,
            hold: Hold::Off,
            source: Source::default(),
            quality: Quality::default(),
            watched_since: None,
        }
    }
}
