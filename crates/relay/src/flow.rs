//! The nouns: one port of ours, the far end it hears, the peer port it feeds.

use std::net::{IpAddr, SocketAddr};

use crate::Instant;
use crate::dial::Keypad;
use crate::latch::Latch;
use crate::port::Port;
use crate::quality::Quality;
use crate::report::Reports;
use crate::work::{NO_WORK, Secured};

/// Whose flow it is: the caller's own number, unread here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner(pub u64);

/// A call of which nothing is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Whose flows they are.
    pub owner: Owner,
    /// Whether a side is on hold, and so may be silent.
    pub is_agreed: bool,
}

/// A set of RTP payload types, 0–127; empty: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadTypes(u128);

impl PayloadTypes {
    /// Any payload type.
    pub const ANY: Self = Self(0);

    /// With one more; above 127 there is none.
    #[must_use]
    pub fn with(self, payload_type: u8) -> Self {
        if payload_type > 127 { self } else { Self(self.0 | 1 << payload_type) }
    }

    /// Whether `payload_type` may pass.
    #[must_use]
    pub fn allows(self, payload_type: u8) -> bool {
        self.0 == 0 || self.0 >> (payload_type & 127) & 1 == 1
    }

    /// As a number, for a checkpoint.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }

    /// Whether every payload type may pass.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    /// From [`Self::bits`].
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

/// What a pair of ports is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The other leg's even port.
    pub peer: Port,
    /// Whose it is.
    pub owner: Owner,
    /// Whether this is the caller's leg: before the answer media flows towards it only.
    pub towards_caller: bool,
}

/// What a restart must remember of a port pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortState {
    /// RTP's far end.
    pub remote: Option<SocketAddr>,
    /// Whether packets have proven it.
    pub latched: bool,
    /// Whether it is where it was described, and nothing may be learned.
    pub fixed: bool,
    /// Whether the far end is on hold.
    pub on_hold: bool,
    /// What may pass.
    pub payload_types: PayloadTypes,
    /// The payload type of telephone events that are sent to it; [`NO_EVENTS`]: none.
    pub events: u8,
    /// Whether it carries fax in UDP, and no RTP.
    pub fax: bool,
    /// Whether keys are heard in its tones.
    pub inband: bool,
    /// What is to be done with keys.
    pub keypad: Keypad,
    /// By how much what leaves is renumbered.
    pub shift: u16,
    /// The keys of what it sends and of what it hears.
    pub keys: [Option<Secured>; 2],
    /// What becomes of what it sends.
    pub transcoding: Option<codec::Settings>,
}

impl Default for PortState {
    fn default() -> Self {
        Self {
            remote: None,
            latched: false,
            fixed: false,
            on_hold: false,
            payload_types: PayloadTypes::ANY,
            events: NO_EVENTS,
            fax: false,
            inband: false,
            keypad: Keypad::default(),
            shift: 0,
            keys: [None; 2],
            transcoding: None,
        }
    }
}

/// No payload type.
pub const NO_EVENTS: u8 = 0xff;

/// A key that somebody pressed during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Whose flow it came in by.
    pub owner: Owner,
    /// The port that heard it.
    pub port: Port,
    /// `0` to `9`, `*`, `#`, `A` to `D`, `!`.
    pub key: u8,
    /// How it came.
    pub way: Way,
}

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As an event, which went on.
    Passed,
    /// As an event, which did not.
    Kept,
    /// As a tone.
    Tone,
}

/// Packets of a settled flow that others left to us: what is read here, and what was on its way when it was
/// settled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) packets: u32,
    pub(crate) bytes: u64,
}

/// One port of ours: what arrives here comes from `remote` and leaves by `peer`.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) open: bool,
    pub(crate) peer: Port,
    pub(crate) owner: Owner,
    pub(crate) towards_caller: bool,
    /// The far end: from the SDP, or learned. `None`: not known yet, or no media wanted.
    pub(crate) remote: Option<SocketAddr>,
    /// What the last SDP said, before anything was learned.
    pub(crate) told: Option<SocketAddr>,
    pub(crate) latched: bool,
    /// The address that was not to be believed last; a new description forgets it.
    pub(crate) refused: Option<IpAddr>,
    pub(crate) latch: Latch,
    pub(crate) payload_types: PayloadTypes,
    /// The payload type of telephone events that arrive here; [`NO_EVENTS`]: none.
    pub(crate) events: u8,
    /// It carries fax in UDP (UDPTL, T.38 §9.1), and no RTP.
    pub(crate) fax: bool,
    /// Sender and RTP timestamp of the event heard last: all packets of one event share them. And its key.
    pub(crate) event: Option<(u32, u32, u8)>,
    /// What is to be done with keys.
    pub(crate) keypad: Keypad,
    /// What arrives goes nowhere: its leg waits beside the call.
    pub(crate) parked: bool,
    /// Which detector hears keys in its tones; `None`: none.
    pub(crate) inband: Option<u16>,
    /// Whether what goes on is copied to whoever records.
    pub(crate) tapped: bool,
    /// The far end asked for silence (sendonly, inactive): no packets are no fault.
    pub(crate) on_hold: bool,
    /// Until the answer the callee may be heard, the caller not; `None` once answered.
    pub(crate) early_until: Option<Instant>,
    /// Since when silence counts: opened, answered, taken off hold, or found silent on hold.
    pub(crate) opened: Instant,
    /// The hold ended, and nobody has said when yet.
    pub(crate) resumed: bool,
    pub(crate) heard: Option<Instant>,
    pub(crate) quality: Quality,
    /// Packets that were counted here.
    pub(crate) judged: u32,
    /// Of the RTCP port: what its far end reports.
    pub(crate) reports: Reports,
    /// Others send on and count what arrives (`course.rs`).
    pub(crate) settled: bool,
    /// What of it came here all the same.
    pub(crate) beside: Beside,
    /// Until when they may without us.
    pub(crate) not_after: Option<Instant>,
    /// It waits to be said what becomes of it.
    pub(crate) is_changed: bool,
    /// Whom it believes is another since the last packet.
    pub(crate) moved: bool,
    /// The place of what is done to its packets; [`NO_WORK`]: nothing. One for both ports of a pair.
    pub(crate) work: u32,
}

impl Flow {
    pub(crate) fn closed() -> Self {
        Self {
            open: false,
            peer: Port::NONE,
            owner: Owner(0),
            towards_caller: false,
            remote: None,
            told: None,
            latched: false,
            refused: None,
            latch: Latch::Fixed,
            payload_types: PayloadTypes::ANY,
            events: NO_EVENTS,
            event: None,
            keypad: Keypad::default(),
            fax: false,
            parked: false,
            inband: None,
            tapped: false,
            on_hold: false,
            early_until: None,
            opened: Instant::ZERO,
            resumed: false,
            heard: None,
            quality: Quality::default(),
            judged: 0,
            reports: Reports::default(),
            settled: false,
            beside: Beside::default(),
            not_after: None,
            is_changed: false,
            moved: false,
            work: NO_WORK,
        }
    }
}
