//! Requests of ours (RFC 3261 §8.1.1, §12.2.1.1).

use link::endpoint::Transport;
use sip::{Message, Method, Name, Part, Writer};

use super::passed::write_passed;
use super::{CAPABILITIES, Content, Extensions, Party, Us, write_content};
use crate::keys::Token;

/// A request of ours.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method<'a>,
    pub(crate) uri: &'a [u8],
    pub(crate) branch: Token,
    /// Route values joined by commas; empty: none.
    pub(crate) routes: &'a [u8],
    pub(crate) from: Party<'a>,
    pub(crate) to: Party<'a>,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) hops: u8,
    /// The other leg's message, of which the `PASSED` headers are taken.
    pub(crate) passed: Option<&'a Message<'a>>,
    pub(crate) extensions: Extensions,
    pub(crate) content: Content<'a>,
}

/// What begins our branches (RFC 3261 §8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// Hops of a request that we begin (§8.1.1.6).
pub(crate) const HOPS: u8 = 70;

/// Writes a request; `None`: it does not fit, or a text of it would break a line.
pub(crate) fn request(out: &mut [u8], us: &Us<'_>, request: &Outgoing<'_>) -> Option<usize> {
    let mut writer = Writer::new(out);
    let method = request.method;
    let transport = match us.transport {
        Transport::Udp => "SIP/2.0/UDP ",
        Transport::Tcp => "SIP/2.0/TCP ",
        Transport::Tls => "SIP/2.0/TLS ",
    };
    let branch = request.branch.text();
    writer.request(method, &[request.uri.into()]);
    writer.header(
        Name::Via,
        &[
            transport.into(),
            us.address().into(),
            ";rport;branch=".into(),
            COOKIE.into(),
            Part::Text(&branch),
        ],
    );
    writer.header(Name::MaxForwards, &[u16::from(request.hops).into()]);
    if !request.routes.is_empty() {
        writer.header(Name::Route, &[request.routes.into()]);
    }
    request.from.write(&mut writer, Name::From);
    request.to.write(&mut writer, Name::To);
    writer.header(Name::CallId, &[request.call_id.into()]);
    let cseq = [request.cseq.into(), " ".into(), method.as_bytes().into()];
    writer.header(Name::Cseq, &cseq);
    if matches!(method, Method::Invite | Method::Update) {
        us.write_contact(&mut writer);
        CAPABILITIES.write_allow(&mut writer);
    }
    if matches!(method, Method::Bye | Method::Cancel | Method::Info) {
        write_passed(&mut writer, request.passed);
    }
    request.extensions.write(&mut writer);
    us.write_name(&mut writer, Name::UserAgent);
    write_content(&mut writer, request.content)
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
        from: Party::of(invite.from()),
        to: Party::of(invite.to()),
        call_id: invite.call_id(),
        cseq: invite.cseq().number,
        hops: HOPS,
        passed: None,
        extensions: Extensions::NONE,
        content: None,
    })
}
