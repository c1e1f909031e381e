//! Dataplane → control: questions that a call waits for.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::{CallKey, Facts};
use crate::{Endpoint, Text};

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
    /// A REGISTER: which bindings hold from now on?
    Register(Register),
    /// A vendor's 3xx names a host: where is it?
    Locate(Locate),
    /// What was granted is half over: may it talk on?
    Extend(Extend),
}

impl Ask {
    /// Until when somebody waits for a decision, µs since the machine booted. `None`: it is never too late.
    #[must_use]
    pub fn deadline_us(&self) -> Option<u64> {
        match self {
            Self::Admit(admit) => Some(admit.deadline_us),
            Self::Register(register) => Some(register.deadline_us),
            Self::Reroute(_)
            | Self::Answered(_)
            | Self::Abandon(_)
            | Self::Locate(_)
            | Self::Extend(_) => None,
        }
    }
}

/// How old a nonce is that came back to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Freshness {
    /// There are no credentials.
    #[default]
    None = 0,
    /// Ours, of this source, young.
    Fresh = 1,
    /// Ours, of this source, too old.
    Stale = 2,
    /// Not ours, or another's.
    Foreign = 3,
}

impl From<u8> for Freshness {
    /// A number that nobody wrote reads as no credentials.
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Fresh,
            2 => Self::Stale,
            3 => Self::Foreign,
            _ => Self::None,
        }
    }
}

/// The digest that a request carried (RFC 3261 §22, RFC 8760), for the realm that is ours.
///
/// The worker reads it and knows its own nonces; whose password fits, control knows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Credentials {
    /// Who.
    pub username: Text<62>,
    /// Ours, as it came back.
    pub nonce: Text<94>,
    /// The URI that was hashed.
    pub uri: Text<190>,
    /// The client's nonce.
    pub cnonce: Text<94>,
    /// The digest, as many bytes of it as the algorithm has.
    pub response: [u8; 32],
    /// The count of requests with this nonce.
    pub nonce_count: u32,
    /// 0: MD5, 1: SHA-256.
    pub algorithm: u8,
    /// 0: none, 1: auth.
    pub qop: u8,
    /// [`Freshness`] as a number.
    pub freshness: u8,
    /// Reserved; zero.
    pub spare: u8,
}

/// What an INVITE says of its caller besides From.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Identities {
    /// User part of the first P-Asserted-Identity.
    pub asserted: Text<62>,
    /// User part of the first P-Preferred-Identity.
    pub preferred: Text<62>,
    /// User part of Remote-Party-ID.
    pub remote_party: Text<62>,
    /// User part of the first Diversion, or of the entry before the last of History-Info.
    pub diverter: Text<62>,
    /// Bits of [`PRIVACY_ID`] and [`PRIVACY_USER`].
    pub privacy: u32,
    /// How `diverter` forwarded.
    pub forward: Forward,
}

/// How somebody sent a call on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Forward {
    /// Why, as the worker numbers the reasons of RFC 5806; control passes it on.
    pub why: u8,
    /// 1: who did is not shown to whoever is not trusted.
    pub withheld: u8,
    /// How often; 0 where nobody forwarded.
    pub count: u16,
}

/// The caller withholds its number from the callee (RFC 3325 §9.3).
pub const PRIVACY_ID: u32 = 1;
/// The caller withholds who it is altogether (RFC 3323 §4.2).
pub const PRIVACY_USER: u32 = 2;

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
    /// What it said of its caller.
    pub identities: Identities,
    /// Its digest.
    pub credentials: Credentials,
    /// Of a transfer: the gateway or phone that asked for it, and whose call the new one is. 0: none did.
    pub transferor: u32,
    /// Reserved; zero.
    pub spare: u32,
}

/// A server transaction of the worker that waits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RequestKey {
    /// Its slot.
    pub slot: u32,
    /// Grows with each tenant of the slot.
    pub generation: u32,
}

/// Contacts in one REGISTER, and bindings of one address of record.
pub const CONTACTS_MAX: usize = 8;

/// "The field was not there", for [`Contact::expires_s`].
pub const UNSAID: u32 = u32::MAX;

/// One contact of an address of record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Contact {
    /// Its URI.
    pub uri: Text<254>,
    /// Preference in thousandths.
    pub q: u16,
    /// Reserved; zero.
    pub spare: u16,
    /// Seconds to live, or [`UNSAID`].
    pub expires_s: u32,
    /// The device (RFC 5626 §4.1); empty: not said, or too long for anybody.
    pub instance: Text<62>,
    /// Which of the device's flows it is; 0: none.
    pub reg_id: u32,
}

/// What a REGISTER says (RFC 3261 §10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Register {
    /// The transaction that waits.
    pub request: RequestKey,
    /// When it was asked, µs since the machine booted.
    pub asked_us: u64,
    /// Until when the phone waits, µs since the machine booted.
    pub deadline_us: u64,
    /// Whence it came.
    pub source: Endpoint,
    /// The own address it was sent to.
    pub local: Endpoint,
    /// The rim's number of the connection it came by; 0 over UDP.
    pub connection: u32,
    /// CSeq number: an older one of the same Call-ID changes nothing (§10.3 step 7).
    pub cseq: u32,
    /// Expires header, or [`UNSAID`].
    pub expires_s: u32,
    /// How many contacts count.
    pub contacts_used: u8,
    /// 1: `Contact: *`, which removes all.
    pub star: u8,
    /// 1: it is a PUBLISH (RFC 3903). Nothing is bound: the question is who sends it, and for how long
    /// it may hold.
    pub publishes: u8,
    /// Reserved; zero.
    pub spare: u8,
    /// User part of To: the address of record.
    pub user: Text<62>,
    /// Call-ID.
    pub call_id: Text<126>,
    /// User-Agent, cut to the field.
    pub user_agent: Text<62>,
    /// Path values, joined by commas (RFC 3327).
    pub path: Text<510>,
    /// Its contacts.
    pub contacts: [Contact; CONTACTS_MAX],
    /// Its digest.
    pub credentials: Credentials,
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

/// A call on an account that can run dry wants to talk on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Extend {
    /// The call; it talks meanwhile.
    pub call: CallKey,
    /// Seconds of talk that it knows of: an answer that was lost is given again.
    pub granted_s: u32,
    /// Seconds that it has talked: more than were granted, where control was away and the grace let it go on.
    pub talked_s: u32,
}

/// A host that a vendor's 3xx names, and that only DNS knows (RFC 3263).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Locate {
    /// The call that waits.
    pub call: CallKey,
    /// Which of the call's questions this is: an answer to an earlier one comes too late.
    pub question: u32,
    /// The port that was named; 0: none.
    pub port: u16,
    /// One more than the number of the [`Transport`](crate::Transport) that was named; 0: none.
    pub transport: u8,
    /// Reserved; zero.
    pub spare: u8,
    /// The name.
    pub name: Text<126>,
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
