//! Who calls, as it was said before P-Asserted-Identity: Remote-Party-ID
//! (draft-ietf-sip-privacy-04 §5.1).

use super::name_addr::NameAddr;
use super::{Name, Text};
use crate::emit::{Part, Writer};
use crate::scan;

/// Whose identity it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party<'a> {
    /// Who calls; in a request that is what is meant where nothing is said.
    Calling,
    /// Who is called; in a response that is.
    Called,
    /// Of an extension.
    Other(&'a [u8]),
}

/// What of it the other side must not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// `privacy=off`, or nothing said.
    #[default]
    Nothing,
    /// `privacy=name`
    Name,
    /// `privacy=uri`
    Uri,
    /// `privacy=full`, or both.
    All,
}

/// One value of Remote-Party-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemotePartyId<'a> {
    /// The identity.
    pub address: NameAddr<'a>,
    /// Whose it is.
    pub party: Option<Party<'a>>,
    /// Whether the network checked it (`screen=yes`).
    pub screened: bool,
    /// What is to be hidden.
    pub hidden: Hidden,
}

impl<'a> RemotePartyId<'a> {
    /// Reads one value, without the commas of a list. `None` when it is no address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let params = address.params();
        let is = |name: &[u8], wanted: &[u8]| {
            params.value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        let party = params.value(b"party").map(|party| match party {
            _ if is(b"party", b"calling") => Party::Calling,
            _ if is(b"party", b"called") => Party::Called,
            other => Party::Other(other),
        });
        let hidden = params.value(b"privacy").map_or(Hidden::Nothing, read_hidden);
        Some(Self { address, party, screened: is(b"screen", b"yes"), hidden })
    }
}

impl Hidden {
    /// As a parameter of it says.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "off",
            Self::Name => "name",
            Self::Uri => "uri",
            Self::All => "full",
        }
    }

    /// Whether the number is to be hidden.
    #[must_use]
    pub const fn hides_number(self) -> bool {
        matches!(self, Self::Uri | Self::All)
    }
}

/// Tokens between commas in quotes, or one; a wish of the network is a wish.
pub(super) fn read_hidden(value: &[u8]) -> Hidden {
    let tokens = Text::new(value).as_bytes().split(|&byte| byte == b',').map(scan::trim);
    tokens.fold(Hidden::Nothing, |hidden, token| {
        let is = |name: &[u8]| {
            token.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        match hidden {
            _ if is(b"full") => Hidden::All,
            Hidden::Nothing | Hidden::Name if is(b"name") => Hidden::Name,
            Hidden::Nothing | Hidden::Uri if is(b"uri") => Hidden::Uri,
            Hidden::Name | Hidden::Uri if is(b"name") || is(b"uri") => Hidden::All,
            hidden => hidden,
        }
    })
}

/// Writes who calls, as the network checked it; an empty display name is none.
pub fn write_calling(writer: &mut Writer<'_>, display: &[u8], uri: &[Part<'_>], hidden: Hidden) {
    let quoted = [Part::Quoted(display), " ".into()];
    let display: &[Part<'_>] = if display.is_empty() { &[] } else { &quoted };
    let parts = [
        Part::Parts(display),
        "<".into(),
        Part::Parts(uri),
        ">;party=calling;screen=yes;privacy=".into(),
        hidden.word().into(),
    ];
    writer.header(Name::RemotePartyId, &parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn an_identity_is_read_with_what_is_to_be_hidden() {
        // draft-ietf-sip-privacy-04 §5.1 and what gateways send.
        let read = RemotePartyId::parse(
            b"\"John Doe\" <sip:jdoe@foo.com>;party=calling;id-type=subscriber;privacy=full;screen=yes",
        )
        .unwrap();
        assert_eq!(read.address.uri().user(), Some(&b"jdoe"[..]));
        assert_eq!((read.party, read.screened), (Some(Party::Calling), true));
        for (privacy, hidden) in [
            ("", Hidden::Nothing),
            (";privacy=off", Hidden::Nothing),
            (";privacy=FULL", Hidden::All),
            (";privacy=full-network", Hidden::All),
            (";privacy=name", Hidden::Name),
            (";privacy=\"uri , name\"", Hidden::All),
            (";privacy=\"uri,uri-network\"", Hidden::Uri),
            (";privacy=uri", Hidden::Uri),
            (";privacy=x", Hidden::Nothing),
        ] {
            let value = format!("<tel:+1>{privacy}");
            assert_eq!(RemotePartyId::parse(value.as_bytes()).unwrap().hidden, hidden, "{privacy}");
        }
        let other = RemotePartyId::parse(b"<sip:a>;party=x;screen=no").unwrap();
        assert_eq!((other.party, other.screened), (Some(Party::Other(b"x")), false));
        assert_eq!(RemotePartyId::parse(b"John Doe"), None);
    }

    #[test]
    fn an_identity_is_written_and_read_back() {
        for hidden in [Hidden::Nothing, Hidden::Name, Hidden::Uri, Hidden::All] {
            let uri = ["sip:+1@h".into()];
            let line = header_line(|w| write_calling(w, b"J \"D\"", &uri, hidden)).unwrap();
            let value = line.strip_prefix("Remote-Party-ID: ").unwrap();
            let read = RemotePartyId::parse(value.as_bytes()).unwrap();
            assert_eq!((read.hidden, read.party), (hidden, Some(Party::Calling)));
            assert_eq!(read.address.display(), br#""J \"D\"""#);
        }
    }
}
