//! Control → dataplane: commands that no call asked for.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::fence::{Fences, Ranges};
use crate::profile::Profile;
use crate::record::CallKey;
use crate::{Endpoint, Text};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End this call now.
    HangUp(HangUp),
    /// These parameters hold from now on, for new calls.
    Parameters(Parameters),
    /// Refuse new calls (`stop` = 0) or take them again.
    Drain(Drain),
    /// This is how a gateway wants its SIP from now on.
    Profile(Profile),
    /// By which name a place proves who it is.
    Name(PlaceName),
    /// Refuse whoever failed to log in too often, or let it in again.
    ShutOut(ShutOut),
    /// Send a request outside of any call, and report what came back.
    Errand(Errand),
    /// Ranges of a set that fences name; see [`crate::fence`].
    Ranges(Ranges),
    /// Where addresses may lie.
    Fences(Fences),
}

/// Someone whose requests are refused before their password is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ShutOut {
    /// Until when, µs since the machine booted; 0: no longer.
    pub until_us: u64,
    /// Whence, by its address alone.
    pub source: Endpoint,
    /// Who; empty: whatever that source tries.
    pub endpoint: Text<62>,
    /// By this status; 0: by no answer at all.
    pub status: u16,
    /// Reserved; zero.
    pub spare: [u8; 6],
    /// By which control knows it; [`crate::report::Refused`] names it.
    pub number: u32,
}

/// By which name whoever answers at a place proves who he is, over TLS (RFC 5922 §7.2), and whether he must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PlaceName {
    /// The place.
    pub place: Endpoint,
    /// Its name; empty: by its address.
    pub name: Text<254>,
    /// [`Proof`] as a number.
    pub proof: u8,
    /// Reserved; zero.
    pub spare: [u8; 3],
}

/// Whether whoever answers at a place must prove who he is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Proof {
    /// As the file says of all.
    #[default]
    Usual = 0,
    /// He must.
    Demanded = 1,
    /// Whoever answers is believed.
    Waived = 2,
}

impl Proof {
    /// The proof with this number; one that nobody wrote is the usual.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Demanded,
            2 => Self::Waived,
            _ => Self::Usual,
        }
    }
}

/// What an [`Errand`] sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrandKind {
    /// OPTIONS: is anybody there?
    #[default]
    Options = 0,
    /// REGISTER, with digest where it is asked for; `expires_s` 0 takes the binding back.
    Register = 1,
    /// Two line ends, which nobody answers: they keep a way through NAT open (RFC 5626 §3.5.1).
    KeepAlive = 2,
}

impl From<u8> for ErrandKind {
    /// A number that nobody wrote reads as the harmless one.
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Register,
            2 => Self::KeepAlive,
            _ => Self::Options,
        }
    }
}

/// A request of ours outside of any call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Errand {
    /// Comes back in the report.
    pub id: u64,
    /// Random part of the Call-ID: registrations keep theirs (RFC 3261 §10.2.4).
    pub call_id: u64,
    /// Whose profile has username and password; 0: nobody's.
    pub gateway: u32,
    /// Lifetime asked for, s.
    pub expires_s: u32,
    /// CSeq number; a repetition after a challenge has the next one.
    pub cseq: u32,
    /// The rim's number of the connection that leads there; 0: none, or over UDP.
    pub connection: u32,
    /// Whither.
    pub target: Endpoint,
    /// Our own address from which it goes; none: whichever leads there.
    pub local: Endpoint,
    /// [`ErrandKind`] as a number.
    pub kind: u8,
    /// Reserved; zero.
    pub spare: [u8; 7],
    /// Request-URI; empty: the target.
    pub uri: Text<254>,
    /// User part of To and From; empty: none.
    pub user: Text<62>,
    /// Host part of To, From and of the registrar; empty: the target.
    pub domain: Text<62>,
}

/// End a call, with BYE, CANCEL or a refusal, as its state demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HangUp {
    /// Which.
    pub call: CallKey,
    /// [`EndReason`](crate::record::EndReason) as a number.
    pub reason: u32,
}

/// Draining is a routing state, not a shutdown path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Drain {
    /// 1: new calls and OPTIONS get 503; 0: all as usual.
    pub draining: u32,
}

/// Every system parameter that a worker acts on. Control derives it from the catalog and sends it
/// whole, at first contact and at each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Parameters {
    /// Grows with each change.
    pub version: u64,
    /// `SS_SIP_INVITE_TIMEOUT`: INVITE to 18x, ms.
    pub invite_timeout_ms: u32,
    /// INVITE to any 1xx, ms.
    pub first_response_timeout_ms: u32,
    /// All attempts to the first 18x, ms.
    pub search_budget_ms: u32,
    /// First 18x to answer, ms.
    pub ring_timeout_ms: u32,
    /// How long the caller's 200 waits for its start record, ms.
    pub commit_wait_ms: u32,
    /// How long an INVITE waits for control, ms.
    pub admit_wait_ms: u32,
    /// No RTP in either direction for so long ends a call, s; 0: never.
    pub rtp_timeout_s: u32,
    /// How long an SDP may wait for its first packet to learn the address from, s.
    pub latch_window_s: u32,
    /// `SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START`: no failover once media flowed.
    pub stop_after_rtp: u32,
    /// Retry-After of our own 503, s.
    pub retry_after_s: u32,
    /// DSCP of SIP (`SS_QOS_SIGNAL`).
    pub dscp_sip: u32,
    /// DSCP of RTP (`SS_QOS_RTP`).
    pub dscp_rtp: u32,
    /// 0: strangers' requests get no answer (`SS_REPLY_UNAUTHORIZED`).
    pub reply_unauthorized: u32,
    /// Session expiry that we ask for, s; 0: no session timers (`SS_SIP_SESSION_TIMER`).
    pub session_timer_s: u32,
    /// Shortest session expiry that we take, s (RFC 4028 §4: at least 90).
    pub session_timer_min_s: u32,
    /// 1: 401; 2: 407; 3: 401 for REGISTER, 407 for the rest, each with both header fields
    /// (`SS_AUTHCHALLENGEMODE`).
    pub challenge_mode: u16,
    /// 1: challenges offer SHA-256 before MD5; 0: MD5 alone.
    pub challenge_sha256: u16,
    /// How long a nonce of ours is good, s.
    pub nonce_age_s: u32,
    /// How long we wait before our own ringing tone, ms; 0: no tone
    /// (`SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY`).
    pub ring_tone_delay_ms: u32,
    /// Whether SIP over TCP is closed with RST (`SS_TCP_CLOSE_RESET`).
    pub tcp_close_reset: u32,
    /// A connection without a message for so long is closed, s; 0: never.
    pub stream_idle_s: u32,
    /// How long connecting, a handshake, or the rest of a message may take, s.
    pub stream_patience_s: u32,
    /// Connections of one source; 0: no limit.
    pub streams_per_source_max: u32,
    /// Connections in all; 0: no limit.
    pub streams_max: u32,
    /// A request to a vendor over UDP that is longer goes by TCP, bytes; 0: never.
    pub tcp_above_bytes: u32,
    /// A connection that is silent for so long is asked whether its peer is there, s; 0: never.
    pub stream_probe_s: u32,
    /// Whether OPTIONS of peers are answered in the driver (`TG_OPTIONS_IN_DRIVER`).
    pub options_in_driver: u16,
    /// Whether media that needs nothing but new addresses is sent on in the driver (`TG_MEDIA_SETTLED`).
    pub media_settled: u16,
    /// How long a pair of media ports rests before the next call gets it, s (`TG_MEDIA_PORT_QUARANTINE`).
    pub media_port_rest_s: u32,
    /// Reserved; zero.
    pub spare: u32,
    /// Transfers by keys.
    pub transfer: TransferKeys,
    /// Realm of our challenges.
    pub realm: Text<62>,
    /// Our domain name; empty: none, our addresses stand for it.
    pub domain: Text<62>,
    /// Numbers that are called whatever the load, separated by commas.
    pub emergency: Text<126>,
}

/// The longest code that is pressed during a call.
pub const KEYS_MAX: usize = 6;

/// `TG_TRANSFER_*`: how a call is handed over by keys. A code that is empty is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TransferKeys {
    /// Wait for the first digit of the target, s.
    pub wait_s: u32,
    /// A pause that ends its number, s.
    pub pause_s: u32,
    /// 1: who waits hears the target's early media.
    pub ringback: u32,
    /// Whose number the target sees; 0: who transfers, 1: who is transferred, 2: `display_text`.
    pub display: u32,
    /// Hands over.
    pub blind: Text<KEYS_MAX>,
    /// Asks the target first.
    pub attended: Text<KEYS_MAX>,
    /// Back to the first call.
    pub cancel: Text<KEYS_MAX>,
    /// Leaves the other two alone.
    pub end: Text<KEYS_MAX>,
    /// See `display`.
    pub display_text: Text<62>,
}

impl Default for TransferKeys {
    fn default() -> Self {
        Self {
            wait_s: 10,
            pause_s: 4,
            ringback: 0,
            display: 0,
            blind: Text::EMPTY,
            attended: Text::EMPTY,
            cancel: Text::cut(b"**"),
            end: Text::cut(b"*#"),
            display_text: Text::EMPTY,
        }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            version: 0,
            invite_timeout_ms: 30_000,
            first_response_timeout_ms: 4_000,
            search_budget_ms: 12_000,
            ring_timeout_ms: 90_000,
            commit_wait_ms: 200,
            admit_wait_ms: 2_000,
            rtp_timeout_s: 60,
            latch_window_s: 10,
            stop_after_rtp: 1,
            retry_after_s: 5,
            dscp_sip: 24,
            dscp_rtp: 46,
            reply_unauthorized: 1,
            session_timer_s: 1_800,
            session_timer_min_s: 90,
            challenge_mode: 3,
            challenge_sha256: 0,
            nonce_age_s: 300,
            ring_tone_delay_ms: 0,
            tcp_close_reset: 0,
            stream_idle_s: 3_600,
            stream_patience_s: 10,
            streams_per_source_max: 100,
            streams_max: 10_000,
            tcp_above_bytes: 0,
            stream_probe_s: 120,
            options_in_driver: 0,
            media_settled: 1,
            media_port_rest_s: 5,
            spare: 0,
            transfer: TransferKeys::default(),
            realm: Text::new(b"tollgate").unwrap_or_default(),
            domain: Text::EMPTY,
            emergency: Text::cut(b"112,911"),
        }
    }
}
