//! Control → dataplane: what a waiting call may do.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ask::{CONTACTS_MAX, Contact, Forward, RequestKey};
use crate::record::{ATTEMPTS_MAX, CallKey, RECORDED_PCAP, RECORDED_WAV, Terms};
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
    /// Prove who you are, then ask again.
    Challenge(Challenge),
    /// What became of a REGISTER.
    Registered(Registered),
    /// Where a host is.
    Located(Located),
    /// For how long a call may talk.
    Extended(Extended),
}

/// Bytes for the URIs and Paths of candidates in a [`Route`].
pub const ROUTE_TEXT_BYTES: usize = 2_046;

/// A part of [`Route::texts`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Span {
    /// Where it begins.
    pub at: u16,
    /// How long it is; 0: no such text.
    pub length: u16,
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
    /// Our own address from which it goes, as a NAT before a phone lets in nobody else; none: whichever
    /// leads there.
    pub local: Endpoint,
    /// The rim's number of the connection that leads there; 0: none, or over UDP.
    pub connection: u32,
    /// Request-URI; none: the callee at the target.
    pub uri: Span,
    /// Route set that leads there, joined by commas (RFC 3327 §5.3).
    pub path: Span,
    /// Candidates of one group in a row are called at once; 0: alone.
    pub group: u32,
    /// Another call of ours, which rings, and in which the caller is to answer; none: no. Written as
    /// [`Pickup`] says.
    pub pickup: Span,
    /// Answers that end the search (default 486, 600, 603), zeros where unused.
    pub stop_codes: [u16; 8],
    /// Caller as this vendor gets it.
    pub caller: Text<38>,
    /// Callee as this vendor gets it.
    pub callee: Text<38>,
    /// Its price, for the record.
    pub terms: Terms,
    /// The customer's price if it answers, for the record.
    pub customer_terms: Terms,
    /// What the customer's price was looked up by before the callee; empty: nothing.
    pub billing_prefix: Text<14>,
}

/// Which ringing call a candidate stands for, in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pickup<'a> {
    /// That call.
    pub call: CallKey,
    /// The Call-ID of who called in it.
    pub call_id: &'a [u8],
}

impl<'a> Pickup<'a> {
    /// `slot generation call-id`.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let CallKey { slot, generation } = self.call;
        let mut text = format!("{slot} {generation} ").into_bytes();
        text.extend(self.call_id);
        text
    }

    /// Reads [`Self::to_text`].
    #[must_use]
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut words = text.splitn(3, |&byte| byte == b' ');
        let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
        let call = CallKey { slot: number()?, generation: number()? };
        Some(Self { call, call_id: words.next().filter(|call_id| !call_id.is_empty())? })
    }
}

/// Admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Route {
    /// The call that asked.
    pub call: CallKey,
    /// See [`CallRecord::held`](crate::CallRecord::held).
    pub held: i64,
    /// The mapping gateway it belongs to.
    pub customer_gateway: u32,
    /// Seconds of talk that are granted; 0: no limit.
    pub granted_s: u32,
    /// When to ask for more, in seconds of talk; see [`Extended::extend_at_s`].
    pub extend_at_s: u32,
    /// Seconds that it may talk beyond what is granted while control is away.
    pub grace_s: u32,
    /// The billed numbers, for the record.
    pub caller_billed: Text<38>,
    /// See `caller_billed`.
    pub callee_billed: Text<38>,
    /// How many candidates count, at least 1.
    pub candidates_used: u32,
    /// How many changes of vendor are allowed (`SS_GATEWAY_SWITCH_LIMIT`; 0: no failover).
    pub switches_max: u32,
    /// [`WITHHELD`], from bit [`RECORDED_AT`] on how the call is recorded whoever carries it, [`ANNOUNCED`], and
    /// from bit [`WISHES_AT`] on what the phones at both ends want.
    pub flags: u32,
    /// How `diverter` forwarded.
    pub forward: Forward,
    /// Who diverted the call, as the vendor may be told; empty: nobody.
    pub diverter: Text<38>,
    /// The candidates, best first.
    pub candidates: [Candidate; ATTEMPTS_MAX],
    /// What the spans of candidates lie in.
    pub texts: Text<ROUTE_TEXT_BYTES>,
}

/// The caller's number is not shown to whoever is not trusted (RFC 3323).
pub const WITHHELD: u32 = 1;
/// Where in [`Route::flags`] the two bits of [`CallRecord::recorded`](crate::CallRecord::recorded) begin.
pub const RECORDED_AT: u32 = 1;
/// The caller hears a prompt where its call fails.
pub const ANNOUNCED: u32 = 1 << 3;
/// Where in [`Route::flags`] the two bytes of [`Wishes::pair`](crate::profile::Wishes::pair) begin: the caller's,
/// and those of the phones among the candidates.
pub const WISHES_AT: u32 = 8;

impl Route {
    /// What the phones at both ends want, as [`Wishes::pair`](crate::profile::Wishes::pair) says it.
    #[must_use]
    pub fn wishes(&self) -> [u8; 2] {
        [WISHES_AT, WISHES_AT + 8].map(|at| (self.flags >> at) as u8)
    }

    /// Whether the caller hears a prompt where its call fails.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.flags & ANNOUNCED != 0
    }

    /// How the call is recorded, whoever carries it.
    #[must_use]
    pub fn recorded(&self) -> u8 {
        (self.flags >> RECORDED_AT) as u8 & (RECORDED_WAV | RECORDED_PCAP)
    }

    /// The candidates that count.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        let used = (self.candidates_used as usize).min(ATTEMPTS_MAX);
        self.candidates.get(..used).unwrap_or_default()
    }

    /// Its bytes up to the last that says something: with zeros behind them they are the same route.
    #[must_use]
    pub fn said(&self) -> &[u8] {
        let end = match self.texts.as_bytes().len() {
            0 => offset_of!(Self, candidates) + size_of_val(self.candidates()),
            text => size_of::<Self>() - ROUTE_TEXT_BYTES + text,
        };
        self.as_bytes().get(..end).unwrap_or_default()
    }
}

// Nothing stands behind the texts.
const _: () =
    assert!(offset_of!(Route, texts) + size_of::<Text<ROUTE_TEXT_BYTES>>() == size_of::<Route>());

impl Route {
    /// A text of the route; empty when there is none there.
    #[must_use]
    pub fn text(&self, span: Span) -> &[u8] {
        let (at, length) = (usize::from(span.at), usize::from(span.length));
        self.texts.as_bytes().get(at..at + length).unwrap_or_default()
    }
}

/// An INVITE must say who it is: answered without a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Challenge {
    /// The call that asked.
    pub call: CallKey,
    /// 401 or 407.
    pub status: u16,
    /// 1: the nonce was right, but old (RFC 7616 §3.3).
    pub stale: u8,
    /// Reserved; zero.
    pub spare: u8,
}

/// What became of a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Registered {
    /// The transaction that waits.
    pub request: RequestKey,
    /// 200; 401 or 407, which carry a challenge; 403, 423, 500, 503; 0: say nothing.
    pub status: u16,
    /// For a challenge: 1: the nonce was right, but old.
    pub stale: u8,
    /// How many bindings there are.
    pub contacts_used: u8,
    /// Min-Expires of a 423, Retry-After of a 503; 0: neither.
    pub seconds: u32,
    /// All bindings of the address of record.
    pub contacts: [Contact; CONTACTS_MAX],
}

impl Registered {
    /// The bindings that count.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        let used = usize::from(self.contacts_used).min(CONTACTS_MAX);
        self.contacts.get(..used).unwrap_or_default()
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
    /// The customer's gateway or phone, if its callers hear a prompt that says why; 0: this one does not.
    pub announced: u32,
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

/// The answer to an [`Extend`](crate::ask::Extend).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Extended {
    /// The call that asked.
    pub call: CallKey,
    /// Seconds of talk that are granted, from the answer on; 0: no limit.
    pub granted_s: u32,
    /// When to ask for more, in seconds of talk. 0: never, because the longest call ends there; no less than
    /// `granted_s`: there is no more, and the balance ends it.
    pub extend_at_s: u32,
}

/// Places of one host that a call tries.
pub const PLACES_MAX: usize = 4;

/// The answer to a [`Locate`](crate::ask::Locate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Located {
    /// The call that asked.
    pub call: CallKey,
    /// Which of its questions.
    pub question: u32,
    /// How many places count; 0: the name leads nowhere, or DNS does not say.
    pub places_used: u32,
    /// Where the host is, first choice first.
    pub places: [Endpoint; PLACES_MAX],
}

impl Located {
    /// The places that count.
    #[must_use]
    pub fn places(&self) -> &[Endpoint] {
        let used = (self.places_used as usize).min(PLACES_MAX);
        self.places.get(..used).unwrap_or_default()
    }
}

/// The start record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Committed {
    /// The call.
    pub call: CallKey,
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    #[test]
    fn what_a_route_says_is_all_that_has_to_be_kept_of_it() {
        for (candidates_used, text) in [(0, ""), (1, ""), (8, ""), (2, "sip:a@b"), (0, "x")] {
            let mut route = Route::new_zeroed();
            let used = candidates_used as usize;
            route.candidates[..used].iter_mut().for_each(|one| one.connection = u32::MAX);
            route.candidates_used = candidates_used;
            route.texts = Text::new(text.as_bytes()).unwrap();
            let mut read = Route::new_zeroed();
            read.as_mut_bytes()[..route.said().len()].copy_from_slice(route.said());
            assert_eq!(read, route, "{candidates_used} {text}");
        }
        let (mut one, full) = (Route::new_zeroed(), size_of::<Route>());
        one.candidates_used = 1;
        assert!(one.said().len() < full / 4, "{} of {full}", one.said().len());
    }

    #[test]
    fn a_ringing_call_is_told_in_a_text_and_read_back() {
        let pickup = Pickup { call: CallKey { slot: 7, generation: u32::MAX }, call_id: b"a b@c" };
        assert_eq!(Pickup::read(&pickup.to_text()), Some(pickup));
        for text in ["", "7", "7 8", "7 8 ", "x 8 a", "7 -1 a"] {
            assert_eq!(Pickup::read(text.as_bytes()), None, "{text}");
        }
    }
}
