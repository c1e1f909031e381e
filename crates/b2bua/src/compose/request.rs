//! Requests of ours (RFC 3261 §8.1.1, §12.2.1.1).

use link::Profile;
use link::endpoint::Transport;
use link::record::EndReason;
use sip::header::event::Substate;
use sip::header::{Replaces, SubscriptionState};
use sip::{Message, Method, Name, Scheme, Writer};

use super::passed::{write_elsewhere, write_lines, write_passed, write_why};
use super::{Caller, Content, Extensions, Party, Us, write_allow, write_content};
use crate::keys::Token;

/// A request of ours.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method<'a>,
    pub(crate) uri: &'a [u8],
    pub(crate) branch: Token,
    /// Route values joined by commas; empty: none.
    pub(crate) routes: &'a [u8],
    /// Whither it goes behind them, where `uri` is a strict router; empty: `uri` says that.
    pub(crate) beyond: &'a [u8],
    pub(crate) from: Party<'a>,
    pub(crate) to: Party<'a>,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) hops: u8,
    /// The other leg's message, of which some may pass.
    pub(crate) passed: Option<&'a Message<'a>>,
    pub(crate) told: Told<'a>,
    pub(crate) says: Says<'a>,
    pub(crate) extensions: Extensions,
    pub(crate) content: Content<'a>,
}

/// What a request says beyond what its method demands.
#[derive(Clone, Copy, Default)]
pub(crate) struct Told<'a> {
    /// What the peer wants. `None`: nobody whose wishes we know.
    pub(crate) peer: Option<&'a Profile>,
    /// Why we end something, where nobody else says why.
    pub(crate) reason: EndReason,
    /// Whether somebody else has taken the call (RFC 3326 §3.1): a phone shows no call as missed then.
    pub(crate) elsewhere: bool,
    /// Who calls, in the INVITE that opens a leg.
    pub(crate) caller: Option<&'a Caller>,
}

/// What some requests are about.
#[derive(Clone, Copy)]
pub(crate) enum Says<'a> {
    Nothing,
    /// Which call the new one takes its place in (RFC 3891).
    Replaces(Replaces<'a>),
    /// Which ringing call it answers, as [`link::answer::Pickup`] writes it; said inside only.
    Pickup(&'a [u8]),
    /// That whoever calls is to be known to nobody (RFC 3323).
    Withheld,
    /// How the transfer goes that a REFER asked for, by its number, and whether that is the last word
    /// (RFC 3515 §2.4.4).
    Progress {
        refer: u32,
        is_last: bool,
    },
    /// That whoever talked has left, and somebody is called in their place; said inside only.
    Left,
}

/// The event package by which a call of ours tells another so. No peer ever hears of it.
pub(crate) const LEFT: &[u8] = b"left";

impl Says<'_> {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Nothing => {}
            Self::Replaces(replaces) => replaces.write(writer),
            Self::Pickup(call) => {
                writer.header(Name::Replaces, &[(*call).into()]);
            }
            Self::Withheld => {
                writer.header(Name::Privacy, &["id".into()]);
            }
            &Self::Progress { refer, is_last } => {
                writer.header(Name::Event, &["refer;id=".into(), refer.into()]);
                let (state, reason, expires_s) = match is_last {
                    true => (Substate::Terminated, Some(&b"noresource"[..]), None),
                    false => (Substate::Active, None, Some(SUBSCRIPTION_S)),
                };
                SubscriptionState { state, reason, expires_s, retry_after_s: None }.write(writer);
            }
            Self::Left => {
                writer.header(Name::Event, &[LEFT.into()]);
            }
        }
    }
}

/// How long a transferor is kept informed: longer than anybody rings.
const SUBSCRIPTION_S: u32 = 300;

/// What begins our branches (RFC 3261 §8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// Hops of a request that we begin (§8.1.1.6).
pub(crate) const HOPS: u8 = 70;

/// Writes a request; `None`: it does not fit, or a text of it would break a line.
pub(crate) fn request(out: &mut [u8], us: &Us<'_>, request: &Outgoing<'_>) -> Option<usize> {
    let mut writer = Writer::new(out);
    let method = request.method;
    writer.request(method, &[request.uri.into()]);
    us.write_via(&mut writer, request.branch);
    writer.header(Name::MaxForwards, &[u16::from(request.hops).into()]);
    match (request.routes, request.beyond) {
        ([], []) => {}
        (routes, []) => _ = writer.header(Name::Route, &[routes.into()]),
        ([], beyond) => _ = writer.header(Name::Route, &["<".into(), beyond.into(), ">".into()]),
        (routes, beyond) => {
            let parts = [routes.into(), ",<".into(), beyond.into(), ">".into()];
            writer.header(Name::Route, &parts);
        }
    }
    let told = &request.told;
    match told.caller {
        Some(caller) => request.from.write_as(&mut writer, Name::From, caller.shown_display()),
        None => request.from.write(&mut writer, Name::From),
    }
    request.to.write(&mut writer, Name::To);
    writer.header(Name::CallId, &[request.call_id.into()]);
    let cseq = [request.cseq.into(), " ".into(), method.as_bytes().into()];
    writer.header(Name::Cseq, &cseq);
    if matches!(method, Method::Invite | Method::Update | Method::Notify) {
        us.write_contact(&mut writer, scheme_of(request));
    }
    if matches!(method, Method::Invite | Method::Update) {
        write_allow(&mut writer, told.peer);
    }
    request.says.write(&mut writer);
    if let Some(caller) = told.caller {
        caller.write(&mut writer, request.to.uri);
        if let Some(peer) = told.peer {
            write_passed(&mut writer, request.passed, peer, caller.hidden());
            write_lines(&mut writer, peer.headers_added.as_bytes());
        }
    }
    let says_why = matches!(method, Method::Bye | Method::Cancel | Method::Info);
    if says_why && told.peer.is_none_or(|peer| peer.reason != 0) {
        match told.elsewhere {
            true => write_elsewhere(&mut writer),
            false => write_why(&mut writer, request.passed, told.reason, 0),
        }
    }
    request.extensions.write(&mut writer);
    us.write_name(&mut writer, Name::UserAgent);
    write_content(&mut writer, request.content)
}

/// How a request's Contact must be reached: as whom it is for, or whom it goes by first (§8.1.1.8).
fn scheme_of(request: &Outgoing<'_>) -> Scheme<'static> {
    let begins = |uri: &[u8]| uri.get(..5).is_some_and(|it| it.eq_ignore_ascii_case(b"sips:"));
    let mut behind_brackets = request.routes.split(|&byte| byte == b'<').skip(1);
    match begins(request.uri) || behind_brackets.next().is_some_and(begins) {
        true => Scheme::Sips,
        false => Scheme::Sip,
    }
}

/// Turns the Via of a request of ours, its second line, to UDP or TCP: words of one length, and in our
/// Vias of one port.
pub(crate) fn turn_via(request: &mut [u8], transport: Transport) {
    const BEGIN: &[u8] = b"Via: SIP/2.0/";
    let word = if transport == Transport::Tcp { b"TCP" } else { b"UDP" };
    let line = request.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if request[line..].starts_with(BEGIN) {
        let at = line + BEGIN.len();
        request[at..at + word.len()].copy_from_slice(word);
    }
}

/// A request that goes beside an INVITE of ours, or after it: CANCEL, ACK, BYE. `None`: it is none
/// of ours.
pub(crate) fn beside<'a>(
    invite: &'a Message<'a>,
    method: Method<'a>,
    branch: Token,
) -> Option<Outgoing<'a>> {
    Some(Outgoing {
        method,
        uri: invite.request()?.uri.as_bytes(),
        branch,
        routes: invite.value(Name::Route).unwrap_or_default(),
        beyond: b"",
        from: Party::of(invite.from()),
        to: Party::of(invite.to()),
        call_id: invite.call_id(),
        cseq: invite.cseq().number,
        hops: HOPS,
        passed: None,
        told: Told::default(),
        says: Says::Nothing,
        extensions: Extensions::NONE,
        content: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Local;

    #[test]
    fn via_and_contact_name_the_transport_and_its_port() {
        let local = Local {
            address: "192.0.2.1".parse().unwrap(),
            sip_port: 5070,
            prefix_bits: 24,
            advertise: None,
            stream_ports: crate::limits::StreamPorts { tls: 5071, ws: 8080, wss: 8443 },
        };
        let party = Party { uri: b"sip:a@b", tag: b"", display: b"" };
        let (clear, routed) = ("sip:a@b", "<sip:c;lr>,<sips:d;lr>");
        for (transport, uri, routes, word, contact) in [
            (Transport::Udp, clear, "", "UDP 192.0.2.1:5070", "<sip:192.0.2.1:5070>"),
            (Transport::Tcp, clear, "", "TCP 192.0.2.1:5070", "<sip:192.0.2.1:5070;transport=tcp>"),
            (
                Transport::Tls,
                clear,
                routed,
                "TLS 192.0.2.1:5071",
                "<sip:192.0.2.1:5071;transport=tls>",
            ),
            (Transport::Tls, "SIPS:a@b", "", "TLS 192.0.2.1:5071", "<sips:192.0.2.1:5071>"),
            (
                Transport::Tls,
                clear,
                "\"D\" <sips:d;lr>",
                "TLS 192.0.2.1:5071",
                "<sips:192.0.2.1:5071>",
            ),
            (Transport::Ws, clear, "", "WS 192.0.2.1:8080", "<sip:192.0.2.1:8080;transport=ws>"),
            (Transport::Wss, clear, "", "WSS 192.0.2.1:8443", "<sip:192.0.2.1:8443;transport=ws>"),
            (
                Transport::Wss,
                "sips:a@b",
                "",
                "WSS 192.0.2.1:8443",
                "<sips:192.0.2.1:8443;transport=ws>",
            ),
            // A phone that asks for it in clear is told where it hears us.
            (Transport::Udp, "sips:a@b", "", "UDP 192.0.2.1:5070", "<sip:192.0.2.1:5070>"),
        ] {
            let mut out = [0; 1_000];
            let invite = Outgoing {
                method: Method::Invite,
                uri: uri.as_bytes(),
                branch: Token::read(&[b'0'; 32]).unwrap(),
                routes: routes.as_bytes(),
                beyond: b"",
                from: party,
                to: party,
                call_id: b"c",
                cseq: 1,
                hops: HOPS,
                passed: None,
                told: Told::default(),
                says: Says::Nothing,
                extensions: Extensions::NONE,
                content: None,
            };
            let us = Us { local: &local, transport, user_agent: b"" };
            let length = request(&mut out, &us, &invite).unwrap();
            let text = String::from_utf8_lossy(&out[..length]).into_owned();
            assert!(text.contains(&format!("\r\nVia: SIP/2.0/{word};")), "{text}");
            assert!(text.contains(&format!("\r\nContact: {contact}\r\n")), "{text}");
            // A stream cannot be framed without it (§20.14).
            assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
        }
    }
}
