//! An address with a display name and parameters: From, To, Contact, Route, Record-Route and their
//! relatives (RFC 3261 §20.10, §25.1 `name-addr` and `addr-spec`).
//!
//! Without angle brackets everything behind a semicolon belongs to the header and not to the URI
//! (§20), and the URI may hold neither comma nor question mark.

use super::params::Params;
use crate::scan::{self, Cursor};
use crate::uri::Uri;

/// A checked address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    raw: &'a [u8],
    display: &'a [u8],
    uri: Uri<'a>,
    params: Params<'a>,
    tag: Option<&'a [u8]>,
}

/// Whether a comma and other values may follow one.
#[derive(Clone, Copy)]
pub(crate) enum Others {
    Allowed,
    Refused,
}

impl<'a> NameAddr<'a> {
    /// One that is not read yet.
    pub(crate) const UNREAD: Self =
        Self { raw: b"", display: b"", uri: Uri::UNREAD, params: Params::NONE, tag: None };

    /// Reads one value, without the commas of a list. `None` when it is no address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut place = None;
        Self::read(&mut place, value, Others::Refused)?;
        place
    }

    /// Reads the first value and the blanks around it, where it lies.
    pub(crate) fn read(place: &mut Option<Self>, value: &'a [u8], others: Others) -> Option<()> {
        let address = place.insert(Self::UNREAD);
        let cursor = &mut Cursor::new(value);
        cursor.skip_blanks();
        let start = cursor.rest;
        let display = match start {
            [b'<', ..] => b"",
            [b'"', ..] => {
                let display = cursor.quoted()?;
                cursor.skip_blanks();
                display
            }
            _ => scan::trim_end(cursor.take(scan::DISPLAY)),
        };
        if cursor.eat(b'<') {
            address.display = display;
            address.uri.read(cursor)?;
            cursor.eat(b'>').then_some(())?;
        } else {
            cursor.rest = start;
            address.uri = read_bare_uri(cursor)?;
        }
        let tag = &mut address.tag;
        address.params = Params::read(cursor, |param| {
            if tag.is_none() && param.is(b"tag") {
                *tag = param.value;
            }
            Some(())
        })?;
        address.raw = scan::trim_end(scan::before(start, cursor.rest));
        let ended = match others {
            Others::Allowed => cursor.is_at_end_of_value(),
            Others::Refused => cursor.rest.is_empty(),
        };
        ended.then_some(())
    }

    /// The whole value as it stands; it may hold folds.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The display name as it stands, quotes included; empty when there is none; it may hold folds.
    #[must_use]
    #[inline]
    pub const fn display(&self) -> &'a [u8] {
        self.display
    }

    /// The address.
    #[must_use]
    #[inline]
    pub const fn uri(&self) -> &Uri<'a> {
        &self.uri
    }

    /// The parameters of the header (not those of the URI).
    #[must_use]
    #[inline]
    pub const fn params(&self) -> &Params<'a> {
        &self.params
    }

    /// The tag of From and To (§19.3).
    #[must_use]
    #[inline]
    pub const fn tag(&self) -> Option<&'a [u8]> {
        self.tag
    }
}

/// A URI that no brackets end.
fn read_bare_uri<'a>(cursor: &mut Cursor<'a>) -> Option<Uri<'a>> {
    Uri::parse(cursor.take_while(|byte| {
        !matches!(byte, b';' | b',' | b'?' | b'"' | b'<' | b'>') && !scan::is(byte, scan::BLANK)
    }))
}

/// Lengths only: an address may be a subscriber's number.
impl std::fmt::Debug for NameAddr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NameAddr({} bytes)", self.raw.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_brackets_the_parameters_are_the_headers() {
        let to = NameAddr::parse(b"sip:+16505552222@ss1.example.net;user=phone;tag=7").unwrap();
        assert_eq!(to.uri().as_bytes(), b"sip:+16505552222@ss1.example.net");
        assert_eq!(to.params().value(b"user"), Some(&b"phone"[..]));
        assert_eq!(to.tag(), Some(&b"7"[..]));
    }

    #[test]
    fn within_brackets_the_parameters_are_the_uris() {
        let to = NameAddr::parse(b"\"J \\\" R\"  <sip:a@b;user=phone> ; q = 0.33").unwrap();
        assert_eq!(to.display(), b"\"J \\\" R\"");
        assert_eq!(to.uri().param(b"user"), Some(Some(&b"phone"[..])));
        assert_eq!(to.params().value(b"q"), Some(&b"0.33"[..]));
        assert_eq!(to.tag(), None);
    }

    #[test]
    fn tokens_may_name_without_quotes_and_without_a_blank_behind() {
        for (value, display) in [
            (&b"caller<sip:a@b>"[..], &b"caller"[..]),
            (b"token1~` token2'+_ token3*%!.- <sip:a@b>", b"token1~` token2'+_ token3*%!.-"),
            (b"J\xc3\xb6rg <sip:a@b>", b"J\xc3\xb6rg"),
            (b"<sip:a@b>", b""),
        ] {
            assert_eq!(NameAddr::parse(value).unwrap().display(), display);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for value in [
            &b""[..],
            b"\"Mr. J. User <sip:a@b>",
            b"\"J\" sip:a@b",
            b"Bell, Alexander <sip:a@b>;tag=43",
            b"< sip:a@b >",
            b"<sip:a@b",
            b"sip:a@b?Route=%3Csip:c%3E",
            b"sip:a@b x",
            b"<sip:a@b>;;",
            b"<sip:a@b> <sip:c@d>",
            b"<>",
            b"*",
        ] {
            assert!(NameAddr::parse(value).is_none(), "{}", value.escape_ascii());
        }
    }
}
