//! Who calls, as one vendor is told: From, the identity fields, Privacy, and who forwarded the call.
//!
//! A number that is withheld (RFC 3323) stays with us unless the vendor belongs to the trust domain
//! (RFC 3325 §7): then an identity field has it, and Privacy says to keep it there. Where a profile
//! wants no privacy nothing is hidden and nothing said of it.
//!
//! The same holds for the number of who forwarded (RFC 5806, RFC 7044 §10.1): a stranger learns that and
//! why the call was forwarded, and not by whom. A caller may say that it wants rather no call than one
//! that shows what it withholds (RFC 3323 §4.2).
//!
//! Withstands: a display name that shows what From does not (an address, another number).

use std::net::SocketAddr;

use link::Profile;
use link::ask::Forward;
use link::profile::{Forwarding, Identity};
use sip::header::diversion::{Why, write_diversion};
use sip::header::history_info::{Target, write_history_info};
use sip::header::identity::write_identity;
use sip::header::remote_party_id::{Hidden, write_calling};
use sip::header::{Privacy, Text};
use sip::telling::holds_address;
use sip::{Message, Name, Writer};

use super::line::{At, Line, is_number, number_uri, uri};

/// From of a caller who is not shown (RFC 3323 §4.1.1.3).
const ANONYMOUS: &[u8] = b"sip:anonymous@anonymous.invalid";

/// Bytes of a display name that is passed on.
const DISPLAY_BYTES: usize = 64;

/// What is known of a caller, and who is to hear of it.
pub(crate) struct Known<'a> {
    /// The caller's INVITE.
    pub(crate) invite: &'a Message<'a>,
    /// As this vendor gets it; empty: nobody knows it.
    pub(crate) number: &'a [u8],
    /// Whether it is to be kept from strangers.
    pub(crate) withheld: bool,
    /// Who forwarded the call; empty: nobody.
    pub(crate) diverter: &'a [u8],
    /// How it did.
    pub(crate) forward: Forward,
    /// Our address towards this vendor.
    pub(crate) host: SocketAddr,
    /// Our domain; empty: none.
    pub(crate) domain: &'a [u8],
    /// What the vendor wants.
    pub(crate) vendor: &'a Profile,
}

/// How much of the caller a vendor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// All.
    Open,
    /// The number, to be kept among those who trust each other.
    Trusted,
    /// Nothing.
    None,
}

/// See the head of this file.
pub(crate) struct Caller {
    sight: Sight,
    identity: Identity,
    forwarding: Forwarding,
    forward: Forward,
    /// How much of who forwarded the vendor sees.
    diverter_sight: Sight,
    /// Whether the caller wants no call that shows so much.
    too_open: bool,
    uri: Line<200>,
    diverter: Line<200>,
    /// Unescaped; empty: none.
    display: Line<DISPLAY_BYTES>,
    /// The number that no passed-on field may hold; empty: none.
    hidden: Line<64>,
}

/// Whether a caller's INVITE asks to withhold its number: by Privacy, or by a From that says nothing.
pub(crate) fn is_withheld(invite: &Message<'_>) -> bool {
    let wishes = Privacy::read(invite);
    let wished = [Privacy::ID, Privacy::USER, Privacy::HEADER];
    let from = invite.from().uri();
    wished.into_iter().any(|wish| wishes.has(wish))
        || is_anonymous(from.user().unwrap_or_default())
        || from.host().as_bytes().eq_ignore_ascii_case(b"anonymous.invalid")
}

/// Whether a caller's INVITE asks for no call rather than one in which this of it is shown.
fn is_critical(invite: &Message<'_>, wished: &[Privacy]) -> bool {
    let wishes = Privacy::read(invite);
    let asks = wished.iter().any(|wish| wishes.has(*wish));
    wishes.has(Privacy::CRITICAL) && asks && !wishes.has(Privacy::NONE)
}

fn is_anonymous(user: &[u8]) -> bool {
    user.is_empty() || user.eq_ignore_ascii_case(b"anonymous")
}

impl Caller {
    pub(crate) fn new(known: &Known<'_>) -> Self {
        let vendor = known.vendor;
        let sight_of = |withheld: bool| match (withheld && vendor.privacy != 0, vendor.trusted != 0)
        {
            (false, _) => Sight::Open,
            (true, true) => Sight::Trusted,
            (true, false) => Sight::None,
        };
        let sight = sight_of(known.withheld);
        let diverter_sight = sight_of(known.forward.withheld != 0);
        let forwarding = match Forwarding::from(vendor.forward_sent) {
            _ if known.diverter.is_empty() => Forwarding::None,
            forwarding => forwarding,
        };
        let shows_caller = sight == Sight::Open && !is_anonymous(known.number);
        let shows_diverter = diverter_sight == Sight::Open && forwarding != Forwarding::None;
        let too_open = (shows_caller
            && is_critical(known.invite, &[Privacy::ID, Privacy::USER, Privacy::HEADER]))
            || (shows_diverter && is_critical(known.invite, &[Privacy::HISTORY, Privacy::HEADER]));
        let has_domain = vendor.local_domain != 0 && sip::Host::parse(known.domain).is_some();
        let at = if has_domain { At::Domain(known.domain) } else { At::Address(known.host) };
        let write = if vendor.user_phone != 0 { number_uri } else { uri };
        let mut hidden = Line::new();
        if sight == Sight::None {
            hidden.push(known.number);
        }
        Self {
            sight,
            identity: match (sight, Identity::from(vendor.identity)) {
                _ if is_anonymous(known.number) => Identity::None,
                (Sight::None, _) => Identity::None,
                // It is trusted with the number, and From does not have it.
                (Sight::Trusted, Identity::None) => Identity::Asserted,
                (_, identity) => identity,
            },
            forwarding,
            forward: known.forward,
            diverter_sight,
            too_open,
            uri: write(known.number, at),
            diverter: write(known.diverter, at),
            display: display(known),
            hidden,
        }
    }

    /// The URI of From. `None`: it does not fit.
    pub(crate) fn shown_uri(&self) -> Option<&[u8]> {
        match self.sight {
            Sight::Open => self.uri.text(),
            Sight::Trusted | Sight::None => Some(ANONYMOUS),
        }
    }

    /// Whether this vendor must not know who calls.
    pub(crate) fn is_hidden(&self) -> bool {
        self.sight == Sight::None
    }

    /// Whether the caller wants no call that shows so much of it.
    pub(crate) fn is_too_open(&self) -> bool {
        self.too_open
    }

    /// The display name of From; empty: none.
    pub(super) fn shown_display(&self) -> &[u8] {
        match self.sight {
            Sight::Open => self.display.text().unwrap_or_default(),
            Sight::Trusted | Sight::None => b"Anonymous",
        }
    }

    /// A number that nothing of the other leg may show; empty: none.
    pub(super) fn hidden(&self) -> &[u8] {
        self.hidden.text().unwrap_or_default()
    }

    /// Writes the fields of an INVITE to `to` that say who calls.
    pub(super) fn write(&self, writer: &mut Writer<'_>, to: &[u8]) {
        let display = self.display.text().unwrap_or_default();
        let uri = [self.uri.text().unwrap_or_default().into()];
        let hidden = if self.sight == Sight::Open { Hidden::Nothing } else { Hidden::All };
        match self.identity {
            Identity::None => {}
            Identity::Asserted => write_identity(writer, Name::PAssertedIdentity, display, &uri),
            Identity::Preferred => write_identity(writer, Name::PPreferredIdentity, display, &uri),
            Identity::RemoteParty => write_calling(writer, display, &uri, hidden),
        }
        if self.sight != Sight::Open {
            Privacy::ID.write(writer);
        }
        self.write_diverter(writer, to);
    }

    fn write_diverter(&self, writer: &mut Writer<'_>, to: &[u8]) {
        let (hidden, wishes) = match self.diverter_sight {
            Sight::Open => (Hidden::Nothing, Privacy::default()),
            Sight::Trusted | Sight::None => (Hidden::All, Privacy::HISTORY),
        };
        let diverter = match self.diverter_sight {
            Sight::None => ANONYMOUS,
            Sight::Open | Sight::Trusted => self.diverter.text().unwrap_or_default(),
        };
        let (diverter, why) = ([diverter.into()], Why::from_number(self.forward.why));
        match self.forwarding {
            Forwarding::None => {}
            Forwarding::Diversion => {
                let count = u32::from(self.forward.count.max(1));
                write_diversion(writer, &diverter, why, count, hidden);
            }
            Forwarding::HistoryInfo => {
                write_history_info(writer, &diverter, Some((why.status(), wishes)), b"1", None);
                let target = Some(Target::Mapped(b"1"));
                // What Diversion knows of why stands with whom the call went on to (RFC 7544 §4.1, RFC 4458).
                let to = [to.into(), ";cause=".into(), why.status().into()];
                write_history_info(writer, &to, None, b"1.1", target);
            }
        }
    }
}

/// The caller's display name as a vendor may see it: whole characters, as many as fit.
fn display(known: &Known<'_>) -> Line<DISPLAY_BYTES> {
    let mut said = [0; DISPLAY_BYTES];
    let mut length = 0;
    let text = Text::new(known.invite.from().display());
    for (place, byte) in said.iter_mut().zip(text.bytes()) {
        // Folds and other controls are blanks.
        *place = if byte.is_ascii_control() { b' ' } else { byte };
        length += 1;
    }
    let said = &said[..length];
    let whole = match core::str::from_utf8(said) {
        Ok(_) => said,
        Err(fault) => &said[..fault.valid_up_to()],
    };
    let said = whole.trim_ascii();
    let mut line = Line::new();
    let is_other_number = is_number(said) && said != known.number;
    if !is_other_number && !holds_address(said) {
        line.push(said);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a vendor with this profile gets: From and the fields of [`Caller::write`].
    fn told(from: &str, withheld: bool, change: impl FnOnce(&mut Profile)) -> String {
        told_of(from, withheld, UNCONDITIONAL, change)
    }

    const UNCONDITIONAL: Forward = Forward { why: 4, withheld: 0, count: 1 };

    fn told_of(
        from: &str,
        withheld: bool,
        forward: Forward,
        change: impl FnOnce(&mut Profile),
    ) -> String {
        let text = format!(
            "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: {from};tag=1\r\n\
             To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        let invite = Message::parse(text.as_bytes()).unwrap();
        let mut vendor = Profile { privacy: 1, ..Profile::default() };
        change(&mut vendor);
        let caller = Caller::new(&Known {
            invite: &invite,
            number: b"1234",
            withheld,
            diverter: b"555",
            forward,
            host: "203.0.113.1:5060".parse().unwrap(),
            domain: b"sip.example.net",
            vendor: &vendor,
        });
        let mut out = [0; 1_000];
        let mut writer = Writer::new(&mut out);
        writer.status(200, b"");
        let party =
            super::super::Party { uri: caller.shown_uri().unwrap(), tag: b"t", display: b"" };
        party.write_as(&mut writer, Name::From, caller.shown_display());
        caller.write(&mut writer, b"sip:44@203.0.113.10");
        let length = writer.no_body().finish().unwrap();
        let text = core::str::from_utf8(&out[..length]).unwrap();
        let lines = text.split("\r\n").skip(1).take_while(|line| !line.starts_with("Content-"));
        lines.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_caller_who_hides_nothing_is_shown_as_the_vendor_wants_it() {
        let from = "\"Alice \\\"A\\\"\" <sip:1234@198.51.100.7>";
        assert_eq!(
            told(from, false, |_| {}),
            "From: \"Alice \\\"A\\\"\" <sip:1234@203.0.113.1>;tag=t"
        );
        let told = |identity: Identity| {
            told("<sip:1234@198.51.100.7>", false, |vendor| {
                vendor.identity = identity as u8;
                vendor.user_phone = 1;
                vendor.local_domain = 1;
            })
        };
        let uri = "<sip:1234@sip.example.net;user=phone>";
        let from = format!("From: {uri};tag=t");
        assert_eq!(told(Identity::None), from);
        assert_eq!(told(Identity::Asserted), format!("{from}|P-Asserted-Identity: {uri}"));
        assert_eq!(told(Identity::Preferred), format!("{from}|P-Preferred-Identity: {uri}"));
        let party = format!("{from}|Remote-Party-ID: {uri};party=calling;screen=yes;privacy=off");
        assert_eq!(told(Identity::RemoteParty), party);
    }

    #[test]
    fn a_withheld_number_is_for_those_who_are_trusted() {
        let from = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=t";
        let alice = "\"Alice\" <sip:1234@198.51.100.7>";
        let hidden = told(alice, true, |vendor| vendor.identity = Identity::Asserted as u8);
        assert_eq!(hidden, format!("{from}|Privacy: id"));
        for (identity, field) in [
            (Identity::None, "P-Asserted-Identity: \"Alice\" <sip:1234@203.0.113.1>"),
            (Identity::Asserted, "P-Asserted-Identity: \"Alice\" <sip:1234@203.0.113.1>"),
            (Identity::Preferred, "P-Preferred-Identity: \"Alice\" <sip:1234@203.0.113.1>"),
            (
                Identity::RemoteParty,
                "Remote-Party-ID: \"Alice\" <sip:1234@203.0.113.1>;party=calling;screen=yes;privacy=full",
            ),
        ] {
            let shown = told(alice, true, |vendor| {
                vendor.trusted = 1;
                vendor.identity = identity as u8;
            });
            assert_eq!(shown, format!("{from}|{field}|Privacy: id"));
        }
        let careless = told(alice, true, |vendor| vendor.privacy = 0);
        assert_eq!(careless, "From: \"Alice\" <sip:1234@203.0.113.1>;tag=t");
    }

    #[test]
    fn who_forwarded_is_told_as_the_vendor_wants_it() {
        let told = |forwarding: Forwarding| {
            let from = "<sip:1234@198.51.100.7>";
            told(from, false, |vendor| vendor.forward_sent = forwarding as u8)
        };
        let from = "From: <sip:1234@203.0.113.1>;tag=t";
        assert_eq!(told(Forwarding::None), from);
        let diversion = "Diversion: <sip:555@203.0.113.1>;reason=unconditional;counter=1";
        assert_eq!(told(Forwarding::Diversion), format!("{from}|{diversion}"));
        let history = "History-Info: <sip:555@203.0.113.1?Reason=SIP%3Bcause%3D302>;index=1|\
            History-Info: <sip:44@203.0.113.10;cause=302>;index=1.1;mp=1";
        assert_eq!(told(Forwarding::HistoryInfo), format!("{from}|{history}"));
    }

    #[test]
    fn a_withheld_forwarder_is_for_those_who_are_trusted() {
        let forward = Forward { why: Why::NoAnswer.number(), withheld: 1, count: 3 };
        let told = |forwarding: Forwarding, change: &dyn Fn(&mut Profile)| {
            let told = told_of("<sip:1234@198.51.100.7>", false, forward, |vendor| {
                vendor.forward_sent = forwarding as u8;
                change(vendor);
            });
            told.split('|').nth(1).unwrap_or_default().to_owned()
        };
        let (number, nobody) = ("sip:555@203.0.113.1", "sip:anonymous@anonymous.invalid");
        for (uri, wish, change) in [
            (nobody, true, &(|_: &mut Profile| {}) as &dyn Fn(&mut Profile)),
            (number, true, &|vendor| vendor.trusted = 1),
            (number, false, &|vendor| vendor.privacy = 0),
        ] {
            let privacy = if wish { ";privacy=full" } else { "" };
            let diversion = format!("Diversion: <{uri}>;reason=no-answer;counter=3{privacy}");
            assert_eq!(told(Forwarding::Diversion, change), diversion);
            let privacy = if wish { "Privacy=history&" } else { "" };
            let history =
                format!("History-Info: <{uri}?{privacy}Reason=SIP%3Bcause%3D408>;index=1");
            assert_eq!(told(Forwarding::HistoryInfo, change), history);
        }
    }

    #[test]
    fn a_display_name_shows_no_more_than_from() {
        let shown = |display: &str| {
            let from = told(&format!("{display} <sip:1234@198.51.100.7>"), false, |_| {});
            from.strip_prefix("From: ").unwrap().split('<').next().unwrap().to_owned()
        };
        assert_eq!(shown("\"1234\""), "\"1234\" ");
        assert_eq!(shown("J\u{f6}rg"), "\"J\u{f6}rg\" ");
        for display in ["", "\"\"", "\"+49301234\"", "\"pbx 10.1.1.1\"", "\"sip:a@pbx\""] {
            assert_eq!(shown(display), "", "{display}");
        }
        let long = "\u{e9}".repeat(33);
        assert_eq!(shown(&format!("\"x{long}\"")), format!("\"x{}\" ", "\u{e9}".repeat(31)));
    }

    #[test]
    fn a_wish_for_privacy_is_read_from_privacy_and_from_from() {
        for (from, privacy, withheld) in [
            ("<sip:1234@a>", "none", false),
            ("<sip:1234@a>", "session", false),
            ("<sip:1234@a>", "id", true),
            ("<sip:1234@a>", "header;user", true),
            ("<sip:Anonymous@a>", "none", true),
            ("<sip:a>", "none", true),
            ("<sip:1234@anonymous.invalid>", "none", true),
        ] {
            let text = format!(
                "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: {from};tag=1\r\n\
                 To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nPrivacy: {privacy}\r\n\r\n"
            );
            let invite = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(is_withheld(&invite), withheld, "{from} {privacy}");
        }
    }
}
