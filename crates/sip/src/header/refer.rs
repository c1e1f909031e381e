//! Whom to call instead: Refer-To (RFC 3515 §2.1), with the Replaces of an attended transfer in its
//! URI (RFC 3891 §4, RFC 5589 §7).
//!
//! Referred-By (RFC 3892 §2.1) is a [`NameAddr`] and needs no reader of its own.

use super::Name;
use super::name_addr::NameAddr;
use super::replaces::Replaces;
use crate::emit::{Part, Writer};
use crate::method::Method;
use crate::uri::unescape_into;

/// A header within a URI that cannot be read, or has no room in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedUnreadable;

/// A checked Refer-To.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferTo<'a> {
    /// Whom to call.
    pub address: NameAddr<'a>,
}

impl<'a> ReferTo<'a> {
    /// Reads a value. `None` when it is no address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        NameAddr::parse(value).map(|address| Self { address })
    }

    /// The request to send: INVITE unless the URI says otherwise (RFC 3261 §19.1.1).
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        match self.address.uri().param(b"method") {
            Some(Some(method)) => Method::new(method),
            _ => Method::Invite,
        }
    }

    /// The call that the new one is to replace, unescaped into `room`. `Ok(None)`: none, the transfer
    /// is blind.
    ///
    /// # Errors
    ///
    /// It names a call that cannot be read: to be refused, and not to be taken for a blind transfer.
    pub fn replaces<'o>(
        &self,
        room: &'o mut [u8],
    ) -> Result<Option<Replaces<'o>>, EmbeddedUnreadable> {
        let mut found = self.address.uri().header_values(b"Replaces");
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(escaped), None) => {
                let replaces = unescape_into(escaped, room).and_then(Replaces::parse);
                replaces.map(Some).ok_or(EmbeddedUnreadable)
            }
            (Some(_), Some(_)) => Err(EmbeddedUnreadable),
        }
    }
}

/// Writes Refer-To; `uri` has no headers of its own.
pub fn write_refer_to(writer: &mut Writer<'_>, uri: &[u8], replaces: Option<&Replaces<'_>>) {
    match replaces {
        None => _ = writer.header(Name::ReferTo, &["<".into(), uri.into(), ">".into()]),
        Some(replaces) => {
            let value = replaces.parts(Part::Escaped);
            let parts =
                ["<".into(), uri.into(), "?Replaces=".into(), Part::Parts(&value), ">".into()];
            writer.header(Name::ReferTo, &parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn an_attended_transfer_names_the_call_to_replace() {
        // RFC 3891 §4.
        let value = b"<sip:bob@example.org?Accept-Contact=x&Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>";
        let refer = ReferTo::parse(value).unwrap();
        let mut room = [0; 128];
        let replaces = refer.replaces(&mut room).unwrap().unwrap();
        assert_eq!(replaces.call_id, b"12345@192.168.118.3");
        assert_eq!((replaces.to_tag, replaces.from_tag), (&b"12345"[..], &b"5FFE-3994"[..]));
        assert_eq!(refer.method(), Method::Invite);
        assert_eq!(refer.replaces(&mut [0; 8]), Err(EmbeddedUnreadable));
        let line =
            header_line(|w| write_refer_to(w, b"sip:bob@example.org", Some(&replaces))).unwrap();
        assert_eq!(
            line,
            "Refer-To: <sip:bob@example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>"
        );
        let again = ReferTo::parse(&line.as_bytes()[10..]).unwrap();
        let mut other_room = [0; 128];
        assert_eq!(again.replaces(&mut other_room), Ok(Some(replaces)));
    }

    #[test]
    fn a_blind_transfer_names_none_and_a_broken_one_is_not_blind() {
        // RFC 3515 §2.1.
        let replaces = |value: &str| {
            let mut room = [0; 128];
            let refer = ReferTo::parse(value.as_bytes()).unwrap();
            refer.replaces(&mut room).map(|found| found.is_some())
        };
        assert_eq!(replaces("sip:alice@atlanta.example.com"), Ok(false));
        assert_eq!(replaces("<sip:b@c?Subject=x>"), Ok(false));
        for value in [
            "<sip:b@c?Replaces=a>",
            "<sip:b@c?REPLACES=>",
            "<sip:b@c?Replaces>",
            "<sip:b@c?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=b%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        ] {
            assert_eq!(replaces(value), Err(EmbeddedUnreadable), "{value}");
        }
        let subscribe =
            ReferTo::parse(b"<sip:alice@atlanta.example.com;method=SUBSCRIBE>").unwrap();
        assert_eq!(subscribe.method(), Method::Subscribe);
        assert_eq!(ReferTo::parse(b"sip:b@c?Replaces=a"), None);
        let blind = header_line(|w| write_refer_to(w, b"sip:a@b", None)).unwrap();
        assert_eq!(blind, "Refer-To: <sip:a@b>");
    }

    #[test]
    fn who_transferred_is_an_address() {
        // RFC 3892 §2.1.
        let by = NameAddr::parse(b"<sip:r@ref.example>;cid=\"2UWQFN309shb3@ref.example\"").unwrap();
        assert_eq!(by.uri().as_bytes(), b"sip:r@ref.example");
        assert_eq!(by.params().value(b"cid"), Some(&b"\"2UWQFN309shb3@ref.example\""[..]));
    }
}
