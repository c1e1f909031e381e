//! Messages of ours, written from values.
//!
//! Nothing of the other leg gets into a message unless [`passed`] lets it through or it is the body:
//! that is what hides one network from the other.
//!
//! Read `request.rs` and `reply.rs` for the two kinds of message, `extensions.rs` for what both say of
//! extensions, `passed.rs` for the policy, `line.rs` for the texts that stand between.

mod extensions;
mod line;
mod passed;
mod reply;
mod request;

pub(crate) use extensions::{Acked, Extensions, REL100, TIMER, Tags};
pub(crate) use line::uri;
pub(crate) use reply::{Reply, refuse, reply};
pub(crate) use request::{COOKIE, HOPS, Outgoing, beside, request};

use std::net::SocketAddr;

use link::endpoint::Transport;
use sip::refuse::Capabilities;
use sip::{Method, Name, NameAddr, Writer};

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
        Method::Prack,
    ],
    // Whether a peer may ask for them is its gateway's profile to say.
    extensions: &[REL100, TIMER],
    content_types: &[SDP],
    telephone_uris: true,
};

/// Who speaks.
#[derive(Clone, Copy)]
pub(crate) struct Us<'a> {
    pub(crate) local: &'a Local,
    pub(crate) transport: Transport,
    /// Empty: not said.
    pub(crate) user_agent: &'a [u8],
}

impl Us<'_> {
    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.local.advertised(), self.local.sip_port)
    }

    fn write_contact(&self, writer: &mut Writer<'_>) {
        let parameter = match self.transport {
            Transport::Udp => ">",
            Transport::Tcp => ";transport=tcp>",
            Transport::Tls => ";transport=tls>",
        };
        let parts = ["<sip:".into(), self.address().into(), parameter.into()];
        writer.header(Name::Contact, &parts);
    }

    fn write_name(&self, writer: &mut Writer<'_>, name: Name) {
        if !self.user_agent.is_empty() {
            writer.header(name, &[self.user_agent.into()]);
        }
    }
}

/// A media type and a body.
pub(crate) type Content<'a> = Option<(&'a [u8], &'a [u8])>;

fn write_content(writer: &mut Writer<'_>, content: Content<'_>) -> Option<usize> {
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
}

impl<'a> Party<'a> {
    /// As From or To of a message has it.
    pub(crate) fn of(address: &NameAddr<'a>) -> Self {
        Self { uri: address.uri().as_bytes(), tag: address.tag().unwrap_or_default() }
    }

    fn write(&self, writer: &mut Writer<'_>, name: Name) {
        let uri = ["<".into(), self.uri.into(), ">".into()];
        let [open, text, close] = uri;
        match self.tag {
            [] => writer.header(name, &uri),
            tag => writer.header(name, &[open, text, close, ";tag=".into(), tag.into()]),
        };
    }
}
