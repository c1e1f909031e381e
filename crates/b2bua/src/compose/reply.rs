//! Responses of ours (RFC 3261 §8.2.6).

use std::net::SocketAddr;

use link::answer::Registered;
use link::ask::Contact;
use sip::header::Binding;
use sip::header::contact::Q_MAX;
use sip::refuse::Refusal;
use sip::{Message, Method, Name, Refusable, Uri, Writer};

use super::passed::write_passed;
use super::{CAPABILITIES, Content, REGISTRAR, SDP, Us, capabilities, write_content};
use crate::challenge::Challenge;

/// What some answers say besides.
#[derive(Clone, Copy)]
pub(crate) enum Adds<'a> {
    Nothing,
    /// Who are you?
    Challenge(&'a Challenge),
    /// The bindings of an address of record (§10.3 step 8).
    Bindings(&'a Registered),
    /// The shortest registration taken, in seconds (§10.3 step 7).
    MinExpires(u32),
}

/// A response of ours.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    /// Added to To if it has none; empty for a 100.
    pub(crate) to_tag: &'a [u8],
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) adds: Adds<'a>,
    /// The other leg's message, of which the `PASSED` headers are taken.
    pub(crate) passed: Option<&'a Message<'a>>,
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
            adds: Adds::Nothing,
            passed: None,
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
        refusal.write_header(request, capabilities(method), &mut writer);
    } else if status == 405 || matches!((method, status), (Method::Invite | Method::Options, 200)) {
        CAPABILITIES.write_allow(&mut writer);
    }
    if method == Method::Options && status == 200 {
        writer.header(Name::Accept, &[SDP.into()]);
    }
    if let Some(seconds) = reply.retry_after {
        writer.header(Name::RetryAfter, &[seconds.into()]);
    }
    write_adds(&mut writer, request, reply.adds);
    if status >= 300 {
        write_passed(&mut writer, reply.passed);
    }
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, reply.content)
}

fn write_adds(writer: &mut Writer<'_>, request: &Message<'_>, adds: Adds<'_>) {
    match adds {
        Adds::Nothing => {}
        Adds::Challenge(challenge) => challenge.write(writer),
        Adds::Bindings(registered) => {
            for contact in registered.contacts() {
                write_binding(writer, contact);
            }
            // RFC 3327 §5.3: the phone learns by which way it will be called.
            writer.copy_all(request, Name::Path);
            writer.list(Name::Supported, REGISTRAR.extensions.iter().copied());
        }
        Adds::MinExpires(seconds) => _ = writer.header(Name::MinExpires, &[seconds.into()]),
    }
}

fn write_binding(writer: &mut Writer<'_>, contact: &Contact) {
    let Some(uri) = Uri::parse(contact.uri.as_bytes()) else { return };
    let q = Some(contact.q).filter(|&q| q < Q_MAX);
    let expires_s = Some(contact.expires_s);
    Binding { uri, q, expires_s, instance: None, reg_id: None }.write(writer);
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
