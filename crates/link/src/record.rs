//! What a call leaves behind: the facts of its INVITE, its route, its attempts, its end.
//!
//! The worker fills a [`CallRecord`] as the call goes on and keeps a copy of it in the call table;
//! control prices it. Durations are monotonic milliseconds since the INVITE; wall time is the
//! record's start plus such a duration. Prices travel through the dataplane as opaque [`Terms`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use crate::figures::MediaFigures;
use crate::{Endpoint, Text};

/// Candidates, and so attempts, that one call may have.
pub const ATTEMPTS_MAX: usize = 8;

/// "It has not happened", for the millisecond fields of a record.
pub const NEVER: u32 = u32::MAX;

/// Words of [`Terms`].
pub const TERMS_WORDS: usize = 10;

/// Both sides of a call are heard in a stereo WAV file.
pub const RECORDED_WAV: u8 = 1;
/// Its packets are in a pcap file.
pub const RECORDED_PCAP: u8 = 2;

/// A call's place in the call table; the generation makes a key that outlived its call miss.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CallKey {
    /// Index into the worker's part of the call table.
    pub slot: u32,
    /// Grows by one each time the slot changes hands.
    pub generation: u32,
}

/// What control wants back with the record, unread by the dataplane: rates, tariff versions.
#[derive(Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Terms {
    /// Control's own words.
    pub words: [u64; TERMS_WORDS],
}

/// Never its content: it is money.
impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terms")
    }
}

/// What the INVITE said, as received.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Facts {
    /// Whence the INVITE came.
    pub source: Endpoint,
    /// The own address it was sent to.
    pub local: Endpoint,
    /// User part of the From URI, still escaped.
    pub caller: Text<62>,
    /// User part of the Request-URI, still escaped.
    pub callee: Text<62>,
    /// Call-ID of the caller's leg.
    pub call_id: Text<126>,
    /// User-Agent, cut to the field.
    pub user_agent: Text<62>,
    /// CSeq number of the INVITE: with source and Call-ID it tells an attempt from a repetition.
    pub cseq: u32,
    /// 1: vendors that are not trusted are not told who calls.
    pub withheld: u32,
}

/// Why a call, or one attempt of it, ended. The numbers are stable: they are stored.
///
/// One page in `docs/operations.md` lists them with the SIP status each maps from or to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// Not ended yet.
    #[default]
    None = 0,
    /// A BYE of either side.
    Normal = 1,
    /// The caller sent CANCEL before the answer.
    Cancelled = 2,
    /// The last vendor's final answer, see the status.
    Rejected = 3,
    /// Busy or declined (486, 6xx), where that ends the search.
    Busy = 4,
    /// Rang out: `ring_timeout` passed after the first 18x (480).
    NoAnswer = 5,
    /// No vendor answered in time (408).
    Timeout = 6,
    /// No candidate at all (404 or 503).
    NoRoute = 7,
    /// Source unknown (403, or silence).
    Unauthorised = 8,
    /// Lines of a gateway full (503).
    LinesFull = 9,
    /// Calls per second of a gateway passed (503 with Retry-After).
    RateLimit = 10,
    /// No price for the destination (403).
    NoRate = 11,
    /// Balance does not cover the call (402 within, 403 to the peer).
    NoBalance = 12,
    /// The number cannot be used (484).
    BadNumber = 13,
    /// Longest call reached; BYE from us.
    DurationLimit = 14,
    /// No media for `rtp_timeout`; BYE from us.
    MediaTimeout = 15,
    /// The 2xx was never acknowledged, BYE from us (RFC 3261 §13.3.1.4); or a reliable 1xx (RFC 3262 §3).
    NoAck = 16,
    /// An operator hung it up.
    Operator = 17,
    /// The dataplane died before the call was answered.
    DataplaneRestart = 18,
    /// No dataplane came back; ended at its last sign of media.
    DataplaneLost = 19,
    /// Our tables, ports or rings were full (503 with Retry-After).
    Overload = 20,
    /// The offer could not be used (488).
    BadMedia = 21,
    /// A request inside the call failed in a way that ends it (RFC 3261 §12.2.1.2: 408, 481).
    DialogLost = 22,
    /// An account or gateway is locked (403).
    Locked = 23,
    /// Too many hops (483).
    TooManyHops = 24,
    /// The machine lost power, or its shared memory; ended at the last heartbeat.
    MachineLost = 25,
    /// Nobody refreshed the session of a leg in time; BYE from us (RFC 4028 §10).
    SessionExpired = 26,
    /// No vendor could be reached: no way, no connection, or ICMP (503).
    Unreachable = 27,
    /// The caller wants rather no call than one that shows who makes it, and no vendor's profile hides
    /// that (500, RFC 3323 §5).
    PrivacyImpossible = 28,
    /// The caller's number is longer than the limit (403).
    CallerTooLong = 29,
    /// An address of the call does not pass the fence: signalling or offer (403), a description inside the
    /// call (488), or the only vendors left.
    Geofence = 30,
    /// Called from outside the account's access addresses (403).
    AccessList = 31,
    /// The account is listed for beginning to call where it is dear (403).
    DestinationAbuse = 32,
    /// No codec that the gateways of both sides allow (488, or the next vendor).
    NoCodec = 33,
    /// Media in clear where they are to be under a key, or under one where there is to be none (488, or the
    /// next vendor).
    Srtp = 34,
    /// The customer's tariff locks the destination (403).
    DestinationLocked = 35,
    /// The account may not call there (403).
    DestinationBarred = 36,
    /// The account has spent what a day may cost (403).
    SpendLimit = 37,
    /// The customer's gateway lets no such caller pass (403).
    CallerBarred = 38,
    /// The customer's gateway lets no such callee pass (403).
    CalleeBarred = 39,
    /// The customer's gateway lets nothing pass that such a number forwarded (403).
    ForwarderBarred = 40,
}

impl EndReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 41] = [
        Self::None,
        Self::Normal,
        Self::Cancelled,
        Self::Rejected,
        Self::Busy,
        Self::NoAnswer,
        Self::Timeout,
        Self::NoRoute,
        Self::Unauthorised,
        Self::LinesFull,
        Self::RateLimit,
        Self::NoRate,
        Self::NoBalance,
        Self::BadNumber,
        Self::DurationLimit,
        Self::MediaTimeout,
        Self::NoAck,
        Self::Operator,
        Self::DataplaneRestart,
        Self::DataplaneLost,
        Self::Overload,
        Self::BadMedia,
        Self::DialogLost,
        Self::Locked,
        Self::TooManyHops,
        Self::MachineLost,
        Self::SessionExpired,
        Self::Unreachable,
        Self::PrivacyImpossible,
        Self::CallerTooLong,
        Self::Geofence,
        Self::AccessList,
        Self::DestinationAbuse,
        Self::NoCodec,
        Self::Srtp,
        Self::DestinationLocked,
        Self::DestinationBarred,
        Self::SpendLimit,
        Self::CallerBarred,
        Self::CalleeBarred,
        Self::ForwarderBarred,
    ];

    /// The reason with this number; one nobody wrote reads as `None`.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The word in CDRs, API and CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Normal => "normal",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Timeout => "timeout",
            Self::NoRoute => "no_route",
            Self::Unauthorised => "unauthorised",
            Self::LinesFull => "lines_full",
            Self::RateLimit => "rate_limit",
            Self::NoRate => "no_rate",
            Self::NoBalance => "no_balance",
            Self::BadNumber => "bad_number",
            Self::DurationLimit => "duration_limit",
            Self::MediaTimeout => "media_timeout",
            Self::NoAck => "no_ack",
            Self::Operator => "operator",
            Self::DataplaneRestart => "dataplane_restart",
            Self::DataplaneLost => "dataplane_lost",
            Self::Overload => "overload",
            Self::BadMedia => "bad_media",
            Self::DialogLost => "dialog_lost",
            Self::Locked => "locked",
            Self::TooManyHops => "too_many_hops",
            Self::MachineLost => "machine_lost",
            Self::SessionExpired => "session_expired",
            Self::Unreachable => "unreachable",
            Self::PrivacyImpossible => "privacy_impossible",
            Self::CallerTooLong => "caller_too_long",
            Self::Geofence => "geofence",
            Self::AccessList => "access_list",
            Self::DestinationAbuse => "destination_abuse",
            Self::DestinationLocked => "destination_locked",
            Self::DestinationBarred => "destination_barred",
            Self::SpendLimit => "spend_limit",
            Self::CallerBarred => "caller_barred",
            Self::CalleeBarred => "callee_barred",
            Self::ForwarderBarred => "forwarder_barred",
            Self::NoCodec => "no_codec",
            Self::Srtp => "srtp",
        }
    }
}

/// Who ended a call. The numbers are stable: they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndedBy {
    /// Us: a limit, a timeout, a refusal.
    #[default]
    Server = 0,
    /// The customer's side.
    Caller = 1,
    /// The vendor's side.
    Callee = 2,
}

impl EndedBy {
    /// The party with this number; one nobody wrote reads as `Server`.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Caller,
            2 => Self::Callee,
            _ => Self::Server,
        }
    }

    /// The word in CDRs, API and CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// One INVITE to one vendor.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Attempt {
    /// The routing gateway.
    pub gateway: u32,
    /// INVITE sent, ms since the caller's INVITE.
    pub sent_ms: u32,
    /// First 18x, or [`NEVER`].
    pub ringing_ms: u32,
    /// 2xx received, or [`NEVER`].
    pub answered_ms: u32,
    /// Its BYE, or its final failure, or [`NEVER`] while it goes on.
    pub ended_ms: u32,
    /// Final SIP status, 0 if none came.
    pub status: u16,
    /// [`EndReason`] as a number.
    pub reason: u8,
    /// The cause of ITU-T Q.850 in the vendor's own Reason (RFC 3326), 0 if it gave none.
    pub cause: u8,
}

/// The whole story of a call.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CallRecord {
    /// Unique for ever: node, start and random bits; the key of start record, end record and debit.
    pub id: [u64; 2],
    /// Wall time of the INVITE, µs since 1970 UTC.
    pub started_us: u64,
    /// Monotonic time of the INVITE, µs since the machine booted.
    pub started_monotonic_us: u64,
    /// As received.
    pub facts: Facts,
    /// The mapping gateway, 0 if nobody.
    pub customer_gateway: u32,
    /// Which candidate is, or was last, being tried.
    pub attempt_index: u32,
    /// After all customer-side rules: the numbers that are billed.
    pub caller_billed: Text<38>,
    /// See `caller_billed`.
    pub callee_billed: Text<38>,
    /// As sent to the last vendor.
    pub caller_sent: Text<38>,
    /// See `caller_sent`.
    pub callee_sent: Text<38>,
    /// What the customer's price was looked up by before `callee_billed`; empty: nothing.
    pub billing_prefix: Text<14>,
    /// The customer's price, of the last tried vendor's route if it goes by the route.
    pub customer_terms: Terms,
    /// The last tried vendor's price.
    pub vendor_terms: Terms,
    /// Attempts in order; the first `attempts_used` count.
    pub attempts: [Attempt; ATTEMPTS_MAX],
    /// How many attempts there were.
    pub attempts_used: u32,
    /// First 18x passed to the caller, ms since the INVITE, or [`NEVER`].
    pub ringing_ms: u32,
    /// First 2xx passed to the caller, or [`NEVER`].
    pub answered_ms: u32,
    /// First BYE sent or received, or the final failure, or [`NEVER`].
    pub ended_ms: u32,
    /// Last RTP packet seen, ms since the INVITE, or [`NEVER`].
    pub media_ms: u32,
    /// Final SIP status sent to the caller, 0 if none.
    pub status: u16,
    /// [`EndReason`] as a number.
    pub reason: u8,
    /// [`EndedBy`] as a number.
    pub ended_by: u8,
    /// 1: the answer went out before its start record was durable.
    pub uncommitted: u8,
    /// The cause of ITU-T Q.850 in the Reason of whoever ended it (RFC 3326), 0 if there was none.
    pub cause: u8,
    /// How it is recorded: [`RECORDED_WAV`] and [`RECORDED_PCAP`]; 0: not at all.
    pub recorded: u8,
    /// 1: its media went from end to end, and not through us.
    pub bypassed: u8,
    /// In how many dataplanes it went on after its first: what one that was killed had counted last, within two
    /// seconds, is not in the figures.
    pub resumed: u8,
    /// What phones at both ends want of SIP ([`Wishes::pair`](crate::profile::Wishes::pair)).
    pub wishes: [u8; 2],
    /// Reserved; zero.
    pub spare: u8,
    /// Seconds of talk that were granted, and held on the customer's balance; 0: no limit.
    pub granted_s: u32,
    /// Seconds beyond those that it might talk, and is charged for, while control is away.
    pub grace_s: u32,
    /// What the customer's balance holds for it until it is answered, billionths: as much as the dearest of its routes.
    pub held: i64,
    /// Media from the caller.
    pub from_caller: MediaFigures,
    /// Media from the callee.
    pub from_callee: MediaFigures,
}

impl CallRecord {
    /// A record of nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            ringing_ms: NEVER,
            answered_ms: NEVER,
            ended_ms: NEVER,
            media_ms: NEVER,
            ..Self::default()
        }
    }

    /// The attempts that were made.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        let used = (self.attempts_used as usize).min(ATTEMPTS_MAX);
        self.attempts.get(..used).unwrap_or_default()
    }

    /// The attempts that went on when the call ended, ended with it.
    pub fn end_attempts(&mut self) {
        let used = (self.attempts_used as usize).min(ATTEMPTS_MAX);
        let attempts = self.attempts.iter_mut().take(used);
        for attempt in attempts.filter(|attempt| attempt.ended_ms == NEVER) {
            attempt.ended_ms = self.ended_ms;
        }
    }

    /// Why it ended.
    #[must_use]
    pub fn end_reason(&self) -> EndReason {
        EndReason::from_number(self.reason)
    }

    /// Who ended it.
    #[must_use]
    pub fn who_ended(&self) -> EndedBy {
        EndedBy::from_number(self.ended_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_an_own_name() {
        let mut names = std::collections::BTreeSet::new();
        for (number, reason) in EndReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert_eq!(EndReason::from_number(reason as u8), reason);
            assert!(names.insert(reason.name()));
        }
    }
}
