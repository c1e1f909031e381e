//! Why a request was sent or failed: Reason (RFC 3326 §2; RFC 6432 in responses).

use super::params::Params;
use super::{Name, Text};
use crate::emit::{Part, Writer};
use crate::scan::{self, Cursor};

/// Whose causes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol<'a> {
    /// A status.
    Sip,
    /// A cause of the telephone network; see [`crate::q850`].
    Q850,
    /// Any other token.
    Other(&'a [u8]),
}

impl<'a> Protocol<'a> {
    const fn new(name: &'a [u8]) -> Self {
        if name.eq_ignore_ascii_case(b"SIP") {
            Self::Sip
        } else if name.eq_ignore_ascii_case(b"Q.850") {
            Self::Q850
        } else {
            Self::Other(name)
        }
    }

    /// Its name as it is written.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Sip => b"SIP",
            Self::Q850 => b"Q.850",
            Self::Other(name) => name,
        }
    }
}

/// One value of Reason; a message has at most one of each protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// Whose cause it is.
    pub protocol: Protocol<'a>,
    /// The cause. `None`: not given, or no number.
    pub cause: Option<u16>,
    /// What a person may read.
    pub text: Option<Text<'a>>,
}

impl<'a> Reason<'a> {
    /// Reads one value, without the commas of a list. `None` when it is no token with parameters.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(scan::trim(value));
        let protocol = Protocol::new(cursor.take_some(scan::TOKEN)?);
        let params = Params::read_last(cursor, |_| ())?;
        let cause = params.value(b"cause").and_then(|cause| scan::number(cause, u16::MAX.into()));
        Some(Self {
            protocol,
            cause: cause.and_then(|cause| u16::try_from(cause).ok()),
            text: params.value(b"text").map(Text::new),
        })
    }
}

/// Writes a Reason line; an empty text is none.
pub fn write_reason(writer: &mut Writer<'_>, protocol: Protocol<'_>, cause: u16, text: &[u8]) {
    let quoted = [";text=".into(), Part::Quoted(text)];
    let text: &[Part<'_>] = if text.is_empty() { &[] } else { &quoted };
    let parts = [protocol.as_bytes().into(), ";cause=".into(), cause.into(), Part::Parts(text)];
    writer.header(Name::Reason, &parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn reasons_of_both_networks_are_read() {
        // RFC 3326 §2.
        let reason = Reason::parse(b"SIP ;cause=200 ;text=\"Call completed elsewhere\"").unwrap();
        assert_eq!((reason.protocol, reason.cause), (Protocol::Sip, Some(200)));
        assert!(reason.text.unwrap().is(b"Call completed elsewhere"));
        let reason = Reason::parse(b"q.850;cause=16;text=Terminated").unwrap();
        assert_eq!((reason.protocol, reason.cause), (Protocol::Q850, Some(16)));
        assert!(reason.text.unwrap().is(b"Terminated"));
        let bare = Reason::parse(b"preemption;cause=x").unwrap();
        assert_eq!(
            bare,
            Reason { protocol: Protocol::Other(b"preemption"), cause: None, text: None }
        );
        for value in ["", ";cause=16", "SIP;;", "SIP cause=16", "SIP;text=\"x"] {
            assert_eq!(Reason::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_reason_is_written() {
        let line =
            |text: &str| header_line(|w| write_reason(w, Protocol::Q850, 16, text.as_bytes()));
        assert_eq!(line("").unwrap(), "Reason: Q.850;cause=16");
        assert_eq!(line("a \"b\"").unwrap(), r#"Reason: Q.850;cause=16;text="a \"b\"""#);
        assert_eq!(line("a\r\nb"), None);
    }
}
