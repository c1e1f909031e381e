//! Responses of ours (RFC 3261 §8.2.6).

use std::net::SocketAddr;

use link::Profile;
use link::answer::Registered;
use link::ask::Contact;
use link::record::EndReason;
use sip::header::Binding;
use sip::header::contact::Q_MAX;
use sip::refuse::Refusal;
use sip::{Message, Method, Name, NameAddr, Refusable, Scheme, Uri, Writer};

use super::passed::{write_lines, write_passed, write_why};
use super::{
    CAPABILITIES, Content, Extensions, REGISTRAR, Us, capabilities, write_allow, write_content,
};
use crate::challenge::Challenge;
use crate::registrar::has_flows;

/// What some answers say besides.
#[derive(Clone, Copy)]
pub(crate) enum Adds<'a> {
    Nothing,
    /// Who are you?
    Challenge(&'a Challenge),
    /// The bindings of an address of record (§10.3 step 8).
    Bindings(&'a Registered),
    /// What a publication is called, and for how many seconds it holds (RFC 3903 §6 step 6).
    Publication {
        entity_tag: &'a [u8],
        seconds: u32,
    },
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
    /// The other leg's message, of which some may pass.
    pub(crate) passed: Option<&'a Message<'a>>,
    /// What passed of one that is gone, see [`super::read_kept`].
    pub(crate) lines: &'a [u8],
    /// Why a request fails, where nobody else says why.
    pub(crate) reason: EndReason,
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
            adds: Adds::Nothing,
            passed: None,
            lines: &[],
            reason: EndReason::None,
            extensions: Extensions::NONE,
            content: None,
        }
    }
}

/// Writes the answer to a request of `peer` that came from `source`; `None`: it does not fit.
pub(crate) fn reply(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Message<'_>,
    (source, peer): (SocketAddr, &Profile),
    reply: &Reply<'_>,
) -> Option<usize> {
    let mut writer = Writer::new(out);
    let status = reply.status;
    writer.respond(request, status, b"", source, reply.to_tag);
    if status == 100 {
        // By it the sender measures the way there and back (§8.2.6.1).
        writer.copy_all(request, Name::Timestamp);
    }
    let method = request.method();
    let may_open_dialog = method == Method::Invite && (101..300).contains(&status);
    if may_open_dialog {
        writer.copy_all(request, Name::RecordRoute);
    }
    if may_open_dialog || (method == Method::Update && status < 300) {
        us.write_contact(&mut writer, scheme_of(request));
    }
    match reply.refusal {
        Some(Refusal::MethodUnknown | Refusal::MethodNotAllowed) => {
            write_allow(&mut writer, Some(peer));
        }
        Some(refusal) => refusal.write_header(request, capabilities(method), &mut writer),
        None if status == 405 => write_allow(&mut writer, Some(peer)),
        None if status == 200 => write_capabilities(&mut writer, method, peer),
        None => {}
    }
    // Only our own refusal for load is a matter of taste; elsewhere the RFC demands it.
    let retry_after = reply.retry_after.filter(|_| status != 503 || peer.retry_after != 0);
    if let Some(seconds) = retry_after {
        writer.header(Name::RetryAfter, &[seconds.into()]);
    }
    write_adds(&mut writer, request, reply.adds);
    if may_open_dialog {
        write_passed(&mut writer, reply.passed, peer, b"");
        write_lines(&mut writer, reply.lines);
    }
    if status >= 300 && peer.reason != 0 {
        write_why(&mut writer, reply.passed, reply.reason, status);
    }
    let mut extensions = reply.extensions;
    let says_all = status == 200 && matches!(method, Method::Invite | Method::Options);
    extensions.supported.rel100 |= says_all && peer.rel100 != 0;
    extensions.write(&mut writer);
    us.write_name(&mut writer, Name::Server);
    write_content(&mut writer, reply.content)
}

/// How our Contact must be reached: as the request was, or whoever sent it (§12.1.1).
fn scheme_of(request: &Message<'_>) -> Scheme<'static> {
    let uri = request.request().map(|request| request.uri.scheme());
    let record = request.list(Name::RecordRoute).next();
    let behind = match record {
        Some(record) => NameAddr::parse(record).map(|record| record.uri().scheme()),
        None => request.contact().map(|contact| contact.uri().scheme()),
    };
    match [uri, behind].contains(&Some(Scheme::Sips)) {
        true => Scheme::Sips,
        false => Scheme::Sip,
    }
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
            // RFC 5626 §6: the phone learns that its flows are taken for such.
            if has_flows(request) && registered.contacts().iter().any(|it| it.reg_id != 0) {
                writer.header(Name::Require, &["outbound".into()]);
            }
        }
        Adds::Publication { entity_tag, seconds } => {
            writer.header(Name::SipEtag, &[entity_tag.into()]);
            writer.header(Name::Expires, &[seconds.into()]);
        }
        Adds::MinExpires(seconds) => _ = writer.header(Name::MinExpires, &[seconds.into()]),
    }
}

fn write_binding(writer: &mut Writer<'_>, contact: &Contact) {
    let Some(uri) = Uri::parse(contact.uri.as_bytes()) else { return };
    let q = Some(contact.q).filter(|&q| q < Q_MAX);
    let expires_s = Some(contact.expires_s);
    let instance = Some(contact.instance.as_bytes()).filter(|it| !it.is_empty());
    let instance = instance.map(sip::header::Text::new);
    let reg_id = Some(contact.reg_id).filter(|&reg_id| reg_id != 0);
    Binding { uri, q, expires_s, instance, reg_id }.write(writer);
}

/// What a 200 says that we can do (§11.2, §13.3.1.4).
fn write_capabilities(writer: &mut Writer<'_>, method: Method<'_>, peer: &Profile) {
    if matches!(method, Method::Invite | Method::Options) {
        write_allow(writer, Some(peer));
    }
    if method == Method::Options {
        writer.list(Name::Accept, CAPABILITIES.content_types.iter().copied());
        writer.header(Name::AcceptEncoding, &["identity".into()]);
        writer.header(Name::AcceptLanguage, &["en".into()]);
    }
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
