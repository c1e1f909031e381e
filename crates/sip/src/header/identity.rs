//! Who calls, by the word of the network: P-Asserted-Identity, and P-Preferred-Identity by that of
//! the phone (RFC 3325 §9.1, §9.2).

use super::Name;
use super::name_addr::NameAddr;
use crate::emit::{Part, Writer};
use crate::message::Message;
use crate::uri::Scheme;

/// At most one address of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identities<'a> {
    /// `sip:` or `sips:`
    pub sip: Option<NameAddr<'a>>,
    /// `tel:`
    pub tel: Option<NameAddr<'a>>,
}

impl<'a> Identities<'a> {
    /// The first of each kind in the header of that name; what is no such address is passed over.
    #[must_use]
    pub fn read(message: &Message<'a>, name: Name) -> Self {
        let mut found = Self::default();
        for address in message.list(name).filter_map(NameAddr::parse) {
            match address.uri().scheme() {
                Scheme::Sip | Scheme::Sips => _ = found.sip.get_or_insert(address),
                Scheme::Tel => _ = found.tel.get_or_insert(address),
                Scheme::Other(_) => (),
            }
        }
        found
    }
}

/// Writes one identity under that name; an empty display name is none.
pub fn write_identity(writer: &mut Writer<'_>, name: Name, display: &[u8], uri: &[Part<'_>]) {
    let quoted = [Part::Quoted(display), " ".into()];
    let display: &[Part<'_>] = if display.is_empty() { &[] } else { &quoted };
    writer.header(name, &[Part::Parts(display), "<".into(), Part::Parts(uri), ">".into()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn one_identity_of_each_kind_is_read() {
        // RFC 3325 §9.1.
        let request =
            b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: sip:b;tag=1\r\nTo: sip:c\r\n\
            Call-ID: x\r\nCSeq: 1 OPTIONS\r\n\
            P-Asserted-Identity: \"Cullen Jennings\" <sip:fluffy@cisco.com>, <mailto:a@b>, \"\r\n\
            P-Asserted-Identity: tel:+14085264000, <sip:late@cisco.com>\r\n\r\n";
        let request = Message::parse(request).unwrap();
        let found = Identities::read(&request, Name::PAssertedIdentity);
        assert_eq!(found.sip.unwrap().uri().as_bytes(), b"sip:fluffy@cisco.com");
        assert_eq!(found.tel.unwrap().uri().user(), Some(&b"+14085264000"[..]));
        let none = Identities::read(&request, Name::PPreferredIdentity);
        assert_eq!(none, Identities::default());
    }

    #[test]
    fn an_identity_is_written() {
        let line = |display: &str| {
            let uri = ["tel:".into(), "+1408".into()];
            header_line(|w| write_identity(w, Name::PAssertedIdentity, display.as_bytes(), &uri))
        };
        assert_eq!(line("").unwrap(), "P-Asserted-Identity: <tel:+1408>");
        assert_eq!(line("C \"J\"").unwrap(), r#"P-Asserted-Identity: "C \"J\"" <tel:+1408>"#);
        assert_eq!(line("a\r\nb"), None);
    }
}
