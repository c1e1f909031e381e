//! Responses of ours (RFC 3261 §8.2.6).

use std::net::SocketAddr;

use sip::refuse::Refusal;
use sip::{Message, Method, Name, Refusable, Writer};

use super::passed::write_passed;
use super::{CAPABILITIES, Content, Extensions, SDP, Us, write_content};

/// A response of ours.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    /// Added to To if it has none; empty for a 100.
    pub(crate) to_tag: &'a [u8],
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
    pub(crate) refusal: Option<Refusal>,
    /// The other leg's message, of which the `PASSED` headers are taken.
    pub(crate) passed: Option<&'a Message<'a>>,
    pub(crate) extensions: Extensions,
    pub(crate) content: Content<'a>,
}

impl Reply<'_> {
    /// A status with nothing to add.
    pub(crate) const fn plain(status: u16) -> Reply<'static> {
        Reply {
            status,
            to_tag: &[],
            retry_after: None,
            refusal: None,
            passed: None,
            extensions: Extensions::NONE,
            content: None,
        }
    }
}

/// Writes the answer to a request that came from `source`; `None`: it does not fit.
pub(crate) fn reply(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Message<'_>,
    source: SocketAddr,
    reply: &Reply<'_>,
) -> Option<usize> {
    let mut writer = Writer::new(out);
    let status = reply.status;
    writer.respond(request, status, b"", source, reply.to_tag);
    let method = request.method();
    let may_open_dialog = method == Method::Invite && (101..300).contains(&status);
    if may_open_dialog {
        writer.copy_all(request, Name::RecordRoute);
    }
    if may_open_dialog || (method == Method::Update && status < 300) {
        us.write_contact(&mut writer);
    }
    if let Some(refusal) = reply.refusal {
        refusal.write_header(request, &CAPABILITIES, &mut writer);
    } else if status == 405 || matches!((method, status), (Method::Invite | Method::Options, 200)) {
        CAPABILITIES.write_allow(&mut writer);
    }
    if method == Method::Options && status == 200 {
        writer.header(Name::Accept, &[SDP.into()]);
    }
    if let Some(seconds) = reply.retry_after {
        writer.header(Name::RetryAfter, &[seconds.into()]);
    }
    if status >= 300 {
        write_passed(&mut writer, reply.passed);
    }
    reply.extensions.write(&mut writer);
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, reply.content)
}

/// Writes the answer to a request that is broken; `None`: it cannot be answered.
pub(crate) fn refuse(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Refusable<'_>,
    source: SocketAddr,
    status: u16,
    to_tag: &[u8],
) -> Option<usize> {
    let mut writer = Writer::new(out);
    writer.refuse(request, status, b"", source, to_tag);
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, None)
}
