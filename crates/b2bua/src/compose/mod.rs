//! Messages of ours, written from values.
//!
//! Nothing of the other leg gets into a message unless [`passed`] lets it through or it is the body:
//! that is what hides one network from the other.
//!
//! Read `request.rs` and `reply.rs` for the two kinds of message, `passed.rs` for the policy,
//! `caller.rs` for who calls, `extensions.rs` for reliable responses and session timers, `line.rs` for the
//! texts that stand between.

mod caller;
mod extensions;
mod line;
mod passed;
mod reply;
mod request;

pub(crate) use caller::{Caller, Known, is_withheld};
pub(crate) use extensions::{Acked, Extensions, REL100, TIMER, Tags};
pub(crate) use line::{Line, number_uri, push_user, uri};
pub(crate) use passed::{read_kept, write_kept};
pub(crate) use reply::{Adds, Reply, refuse, reply};
pub(crate) use request::{COOKIE, HOPS, LEFT, Outgoing, Says, Told, beside, request, turn_via};

use std::net::SocketAddr;

use link::Profile;
use link::endpoint::Transport;
use sip::refuse::Capabilities;
use sip::{Method, Name, NameAddr, Part, Scheme, Writer};

use crate::keys::Token;
use crate::limits::Local;

/// The session description's media type.
pub(crate) const SDP: &[u8] = b"application/sdp";

/// What we can do, as Allow, Supported and Accept say it.
pub(crate) const CAPABILITIES: Capabilities<'static> = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Cancel,
        Method::Bye,
        Method::Options,
        Method::Info,
        Method::Update,
        Method::Message,
        Method::Prack,
        Method::Refer,
    ],
    // Whether a peer may ask for them is its profile's to say, and the parameters'.
    extensions: &[REL100, TIMER],
    content_types: &[SDP],
    telephone_uris: true,
};

/// What we can do where phones register.
pub(crate) const REGISTRAR: Capabilities<'static> = Capabilities {
    methods: &[Method::Register],
    extensions: &[b"path", b"outbound"],
    content_types: &[],
    telephone_uris: false,
};

/// By which of them a request is judged.
pub(crate) fn capabilities(method: Method<'_>) -> &'static Capabilities<'static> {
    if method == Method::Register { &REGISTRAR } else { &CAPABILITIES }
}

/// Whether a peer may use one of our methods. `None`: nobody whose wishes we know.
pub(crate) fn serves(method: Method<'_>, peer: Option<&Profile>) -> bool {
    match method {
        Method::Message => peer.is_some_and(|peer| peer.message != 0),
        Method::Refer => peer.is_some_and(|peer| peer.transfer != 0),
        method => CAPABILITIES.methods.contains(&method),
    }
}

/// Writes Allow, as it is true for a peer.
fn write_allow(writer: &mut Writer<'_>, peer: Option<&Profile>) {
    let methods = CAPABILITIES.methods.iter().filter(|method| serves(**method, peer));
    writer.list(Name::Allow, methods.map(Method::as_bytes));
}

/// Who speaks.
#[derive(Clone, Copy)]
pub(crate) struct Us<'a> {
    pub(crate) local: &'a Local,
    pub(crate) transport: Transport,
    /// Empty: not said.
    pub(crate) user_agent: &'a [u8],
}

impl Us<'_> {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.local.advertised(), self.local.port(self.transport))
    }

    /// Via of a request of ours.
    pub(crate) fn write_via(&self, writer: &mut Writer<'_>, branch: Token) {
        let transport = match self.transport {
            Transport::Udp => "SIP/2.0/UDP ",
            Transport::Tcp => "SIP/2.0/TCP ",
            Transport::Tls => "SIP/2.0/TLS ",
            Transport::Ws => "SIP/2.0/WS ",
            Transport::Wss => "SIP/2.0/WSS ",
        };
        let branch = branch.text();
        let parts = [
            transport.into(),
            self.address().into(),
            ";rport;branch=".into(),
            COOKIE.into(),
            Part::Text(&branch),
        ];
        writer.header(Name::Via, &parts);
    }

    /// Our Contact, `sips:` where the other side's request is (RFC 3261 §8.1.1.8, §12.1.1) and came, or
    /// goes, by a secured way: in clear we would name a port at which nobody may listen.
    fn write_contact(&self, writer: &mut Writer<'_>, asked: Scheme<'_>) {
        let is_secured = matches!(self.transport, Transport::Tls | Transport::Wss);
        let (scheme, end) = match (asked, self.transport) {
            // The scheme says all that the parameter would.
            (Scheme::Sips, Transport::Tls) => ("<sips:", ">"),
            (Scheme::Sips, _) if is_secured => ("<sips:", self.contact_end()),
            _ => ("<sip:", self.contact_end()),
        };
        writer.header(Name::Contact, &[scheme.into(), self.address().into(), end.into()]);
    }

    /// What ends our Contact: how we are reached there.
    pub(crate) fn contact_end(&self) -> &'static str {
        match self.transport {
            Transport::Udp => ">",
            Transport::Tcp => ";transport=tcp>",
            Transport::Tls => ";transport=tls>",
            // RFC 7118 §5.5 knows one word for both; whether it is secured, the port says.
            Transport::Ws | Transport::Wss => ";transport=ws>",
        }
    }

    pub(crate) fn write_name(&self, writer: &mut Writer<'_>, name: Name) {
        if !self.user_agent.is_empty() {
            writer.header(name, &[self.user_agent.into()]);
        }
    }
}

/// A media type and a body.
pub(crate) type Content<'a> = Option<(&'a [u8], &'a [u8])>;

pub(crate) fn write_content(writer: &mut Writer<'_>, content: Content<'_>) -> Option<usize> {
    match content {
        Some((media_type, body)) => writer.body(media_type, body),
        None => writer.no_body(),
    };
    writer.finish()
}

/// One side of a dialog as From and To name it.
#[derive(Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) uri: &'a [u8],
    /// Empty: none yet.
    pub(crate) tag: &'a [u8],
    /// As it stands in a message, quotes included; empty: none.
    pub(crate) display: &'a [u8],
}

impl<'a> Party<'a> {
    /// As From or To of a message has it.
    pub(crate) fn of(address: &NameAddr<'a>) -> Self {
        Self {
            uri: address.uri().as_bytes(),
            tag: address.tag().unwrap_or_default(),
            display: address.display(),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>, name: Name) {
        match self.display {
            [] => self.write_behind(writer, name, &[]),
            display => self.write_behind(writer, name, &[display.into(), " ".into()]),
        }
    }

    /// The same under a display name that is yet to be quoted; empty: none.
    fn write_as(&self, writer: &mut Writer<'_>, name: Name, display: &[u8]) {
        match display {
            [] => self.write_behind(writer, name, &[]),
            display => self.write_behind(writer, name, &[Part::Quoted(display), " ".into()]),
        }
    }

    fn write_behind(&self, writer: &mut Writer<'_>, name: Name, before: &[Part<'_>]) {
        let tag = [";tag=".into(), self.tag.into()];
        let tag: &[Part<'_>] = if self.tag.is_empty() { &[] } else { &tag };
        let parts =
            [Part::Parts(before), "<".into(), self.uri.into(), ">".into(), Part::Parts(tag)];
        writer.header(name, &parts);
    }
}
