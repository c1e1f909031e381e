//! How a gateway wants its SIP: what control tells every worker of each gateway, before any call
//! names it.
//!
//! A profile is sent whole, at first contact and at each change, and holds for what a call does from
//! then on. The order in the ring is the proof that a worker has it: a route names a gateway only
//! behind its profile. The numbers of the words are stable: [`crate::layout::LAYOUT`] covers them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Endpoint, Text};

/// Gateways that a worker has room for.
pub const GATEWAYS_MAX: u32 = 4_096;

/// Changes of status in a [`Profile`].
pub const STATUS_CHANGES_MAX: usize = 16;

/// Reliable provisional responses (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Rel100 {
    /// Neither offered nor taken.
    #[default]
    Off = 0,
    /// Offered, and taken where the peer offers it.
    Supported = 1,
    /// Demanded of the peer.
    Required = 2,
}

/// Which header field carries a number besides From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Identity {
    /// None: From alone.
    #[default]
    None = 0,
    /// P-Asserted-Identity (RFC 3325 §9.1).
    Asserted = 1,
    /// P-Preferred-Identity (RFC 3325 §9.2).
    Preferred = 2,
    /// Remote-Party-ID (draft-ietf-sip-privacy-04).
    RemoteParty = 3,
}

/// How a peer is told who diverted a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Forwarding {
    /// Not at all.
    #[default]
    None = 0,
    /// Diversion (RFC 5806).
    Diversion = 1,
    /// History-Info (RFC 7044).
    HistoryInfo = 2,
}

/// Which header fields that we do not know go from one leg to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum HeadersPassed {
    /// None.
    #[default]
    None = 0,
    /// Those of [`Profile::headers_passed`].
    Listed = 1,
    /// All of them.
    All = 2,
}

/// Whither our responses to a peer go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplyAddress {
    /// Where the request came from, at the port of its Via unless it asks for its own (RFC 3261 §18.2.2,
    /// RFC 3581).
    #[default]
    Source = 0,
    /// The same, always at the port of its Via (RFC 3261 §18.2.2 without RFC 3581).
    Via = 1,
    /// The gateway's own address.
    Fixed = 2,
}

/// Whither our requests inside a dialog go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestAddress {
    /// Route set and Contact (RFC 3261 §12.2.1.1).
    #[default]
    Contact = 0,
    /// Where its messages come from.
    Source = 1,
    /// The gateway's own address.
    Fixed = 2,
}

/// How the far end's ringing reaches a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Ringback {
    /// As it came: 180 as 180, 183 as 183, with its media.
    #[default]
    Pass = 0,
    /// Always 180 without media: the caller's own phone makes the tone.
    Ringing = 1,
    /// Always 183: with the far end's media, or ours.
    Progress = 2,
}

/// What is said of silence suppression: `annexb` of G.729, `annexa` of G.723.1 (RFC 4856).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Annex {
    /// What the other side says; who says nothing says yes.
    #[default]
    Pass = 0,
    /// Yes, unless somebody on the way says no.
    On = 1,
    /// No.
    Off = 2,
}

/// Whether media go through us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum MediaProxy {
    /// They do.
    #[default]
    On = 0,
    /// They go from end to end, if the other side's gateway does not want them to go through us.
    Off = 1,
    /// From end to end where both sides can be reached as they say.
    Auto = 2,
    /// They do, whatever the other side wants.
    Must = 3,
}

/// Which address media are sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum MediaAddress {
    /// The IP that the description says if it is a public one, and the port that packets come from; both as
    /// packets come where it is private.
    #[default]
    Auto = 0,
    /// What the description says.
    Described = 1,
    /// Where packets come from, whatever the description says.
    Observed = 2,
}

/// Whether media of a gateway are under keys from the descriptions (SRTP, RFC 4568).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Srtp {
    /// They are not: who wants keys is refused.
    #[default]
    Off = 0,
    /// They are if it likes.
    Optional = 1,
    /// They are, or there is no call.
    Required = 2,
}

/// How a peer knows keys: what it is told, and what it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Dtmf {
    /// As it describes: events where both sides agree on them; else what comes passes as it is.
    #[default]
    Auto = 0,
    /// Events (RFC 4733): offers to it have them, whatever the other side knows.
    Rfc4733 = 1,
    /// INFO alone.
    Info = 2,
    /// Tones in G.711 alone.
    Inband = 3,
}

macro_rules! words {
    ($($word:ident { $($number:literal $variant:ident),* })*) => {
        $(impl From<u8> for $word {
            /// A number that nobody wrote reads as the default.
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::default(),
                }
            }
        })*
    };
}

words! {
    Rel100 { 1 Supported, 2 Required }
    Identity { 1 Asserted, 2 Preferred, 3 RemoteParty }
    Forwarding { 1 Diversion, 2 HistoryInfo }
    HeadersPassed { 1 Listed, 2 All }
    ReplyAddress { 1 Via, 2 Fixed }
    RequestAddress { 1 Source, 2 Fixed }
    Ringback { 1 Ringing, 2 Progress }
    Annex { 1 On, 2 Off }
    MediaProxy { 1 Off, 2 Auto, 3 Must }
    MediaAddress { 1 Described, 2 Observed }
    Srtp { 1 Optional, 2 Required }
    Dtmf { 1 Rfc4733, 2 Info, 3 Inband }
}

/// Codecs that a gateway can list.
pub const CODECS_MAX: usize = 16;

/// What a gateway wants of media. All zeros: that they pass as they are, through us.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MediaTerms {
    /// The codecs that it is told of and may tell of, as numbers of `sip::sdp::Codec`, the first choice
    /// first, zeros behind the last. None at all: every codec.
    pub codecs: [u8; CODECS_MAX],
    /// 1: offers keep the order of the other side; 0: they come in that of the list.
    pub codecs_unordered: u8,
    /// [`Annex`] of G.729 (annexb) as a number.
    pub annexb: u8,
    /// [`Annex`] of G.723.1 (annexa) as a number.
    pub annexa: u8,
    /// How long a packet's audio is to be, ms; 0: as described.
    pub ptime: u8,
    /// 1: fax in UDP (T.38) is refused.
    pub t38_refused: u8,
    /// 1: telephone events (RFC 4733) are left out.
    pub events_refused: u8,
    /// [`MediaProxy`] as a number.
    pub proxy: u8,
    /// [`MediaAddress`] as a number.
    pub address: u8,
    /// 1: keys are heard in its tones, where it describes no telephone events.
    pub inband: u8,
    /// [`Srtp`] as a number.
    pub srtp: u8,
    /// 1: speech is transcoded where the two sides share no codec.
    pub transcode: u8,
    /// [`Dtmf`] as a number.
    pub dtmf: u8,
}

impl MediaTerms {
    /// Whether descriptions pass as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let Self { proxy, address, inband, srtp, .. } = *self;
        *self == Self { proxy, address, inband, srtp, ..Self::default() }
    }

    /// The codecs listed, the first choice first.
    pub fn codecs(&self) -> impl Iterator<Item = u8> + '_ {
        self.codecs.iter().copied().take_while(|&codec| codec != 0)
    }
}

/// A text that never shows itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Secret(pub Text<62>);

/// Never its content.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What a gateway, or every phone, wants of SIP. Switches are 0 or 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Profile {
    /// The gateway.
    pub gateway: u32,
    /// 0: the gateway is gone; forget it.
    pub present: u8,
    /// Session timers (RFC 4028) are offered to it.
    pub session_timer: u8,
    /// [`Rel100`] as a number.
    pub rel100: u8,
    /// Retry-After is sent and heeded.
    pub retry_after: u8,
    /// Reason (RFC 3326) is sent and passed on.
    pub reason: u8,
    /// `user=phone` in Request-URI, To and From.
    pub user_phone: u8,
    /// PUBLISH (RFC 3903) is taken.
    pub publish: u8,
    /// MESSAGE (RFC 3428) is passed on.
    pub message: u8,
    /// REFER (RFC 3515) is obeyed.
    pub transfer: u8,
    /// Our domain instead of our address in From.
    pub local_domain: u8,
    /// [`Forwarding`] sent, as a number.
    pub forward_sent: u8,
    /// Diversion and History-Info of it are believed.
    pub forward_heard: u8,
    /// Privacy (RFC 3323) is heeded and sent.
    pub privacy: u8,
    /// It may see a withheld number (a trust domain of RFC 3324).
    pub trusted: u8,
    /// [`Identity`] sent, as a number.
    pub identity: u8,
    /// [`HeadersPassed`] as a number.
    pub headers: u8,
    /// [`ReplyAddress`] as a number.
    pub reply_address: u8,
    /// [`RequestAddress`] as a number.
    pub request_address: u8,
    /// [`Ringback`] as a number.
    pub ringback: u8,
    /// How many 3xx in a row are followed; 0: a 3xx is a failure.
    pub redirects_max: u8,
    /// How its calls are recorded, as [`CallRecord::recorded`](crate::CallRecord::recorded) says it.
    pub recorded: u8,
    /// Reserved; zero.
    pub spare: [u8; 3],
    /// What it wants of media.
    pub media: MediaTerms,
    /// Whither [`ReplyAddress::Fixed`] and [`RequestAddress::Fixed`] lead.
    pub address: Endpoint,
    /// Final failures of it, and what is said instead; zeros where unused.
    pub statuses: [[u16; 2]; STATUS_CHANGES_MAX],
    /// Names for [`HeadersPassed::Listed`], separated by commas.
    pub headers_passed: Text<254>,
    /// Whole lines of ours for its INVITEs, each ended by LF.
    pub headers_added: Text<510>,
    /// What we say to its digest challenges; empty: nothing.
    pub username: Text<62>,
    /// With it.
    pub password: Secret,
}

/// What a phone wants of SIP. It has no profile: this travels with route and record of each call of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// MESSAGE (RFC 3428) is passed on.
    pub message: bool,
    /// Session timers (RFC 4028) are offered to it.
    pub session_timer: bool,
    /// Reliable provisional responses (RFC 3262).
    pub rel100: Rel100,
    /// Whether its media are under keys.
    pub srtp: Srtp,
    /// How it knows keys.
    pub dtmf: Dtmf,
}

impl Wishes {
    /// How many different ones there are as bits.
    pub const COUNT: usize = 256;

    /// As a byte.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.message)
            | u8::from(self.session_timer) << 1
            | (self.rel100 as u8) << 2
            | (self.srtp as u8) << 4
            | (self.dtmf as u8) << 6
    }

    /// Of [`Self::bits`].
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self {
            message: bits & 1 != 0,
            session_timer: bits & 2 != 0,
            rel100: Rel100::from(bits >> 2 & 3),
            srtp: Srtp::from(bits >> 4 & 3),
            dtmf: Dtmf::from(bits >> 6),
        }
    }

    /// Those of caller and callee, a byte each.
    #[must_use]
    pub fn pair(caller: Self, callee: Self) -> [u8; 2] {
        [caller.bits(), callee.bits()]
    }
}

impl Profile {
    /// The same for a phone, which wants this beside what is said here of everybody.
    #[must_use]
    pub fn with(self, wishes: Wishes) -> Self {
        let Wishes { message, session_timer, rel100, srtp, dtmf } = wishes;
        let wished = |of_all: u8, own: u8| if own == 0 { of_all } else { own };
        let srtp = wished(self.media.srtp, srtp as u8);
        let dtmf = wished(self.media.dtmf, dtmf as u8);
        Self {
            message: self.message | u8::from(message),
            session_timer: self.session_timer | u8::from(session_timer),
            rel100: wished(self.rel100, rel100 as u8),
            media: MediaTerms { srtp, dtmf, ..self.media },
            ..self
        }
    }

    /// What the peer's failure is told as.
    #[must_use]
    pub fn status_of(&self, status: u16) -> u16 {
        let change = self.statuses.iter().find(|change| status != 0 && change[0] == status);
        change.map_or(status, |change| change[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_of_both_sides_are_told_together_and_come_back() {
        for bits in 0..=u8::MAX {
            let wishes = Wishes::from_bits(bits);
            // Nobody writes the fourth number of 100rel, nor that of keys.
            let unwritten = [2, 4].into_iter().filter(|at| bits >> at & 3 == 3);
            let known = unwritten.fold(bits, |bits, at| bits & !(3 << at));
            assert_eq!(wishes.bits(), known);
            let other = Wishes::from_bits(0b1001_0110);
            assert_eq!(Wishes::pair(wishes, other).map(Wishes::from_bits), [wishes, other]);
            let profile = Profile::default().with(wishes);
            let MediaTerms { srtp, dtmf, .. } = profile.media;
            let told = [profile.message, profile.session_timer, profile.rel100, srtp, dtmf];
            let [message, timer] = [0, 1].map(|at| known >> at & 1);
            let [rel100, srtp, dtmf] = [2, 4, 6].map(|at| known >> at & 3);
            assert_eq!(told, [message, timer, rel100, srtp, dtmf]);
        }
        let all = Profile { message: 1, rel100: 2, ..Profile::default() };
        assert_eq!(all.with(Wishes::default()), all);
    }

    #[test]
    fn a_failure_is_told_as_the_table_says_and_else_as_it_is() {
        let mut profile = Profile::default();
        profile.statuses[0] = [404, 480];
        assert_eq!([404, 486, 0].map(|status| profile.status_of(status)), [480, 486, 0]);
    }

    #[test]
    fn a_word_that_nobody_wrote_reads_as_the_default() {
        assert_eq!(Rel100::from(2), Rel100::Required);
        assert_eq!(Rel100::from(77), Rel100::Off);
        assert_eq!(Ringback::from(1), Ringback::Ringing);
    }
}
