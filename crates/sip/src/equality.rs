//! Whether two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4).
//!
//! It is no equivalence: a URI without an unknown parameter is the same as one with it, whatever its
//! value, and those two need not be the same. So nothing can be looked up by it; it compares.

use crate::scan;
use crate::uri::{Scheme, Uri, find_param, nibble};

/// Parameters that count even where one of both URIs has none: what is not said is not the default.
const COUNTED: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

impl Uri<'_> {
    /// Whether both are the same address. Each parameter and header of one is looked for in the other.
    #[must_use]
    pub fn is_same(&self, other: &Uri<'_>) -> bool {
        match (self.scheme(), other.scheme()) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => {
                is_same_text(self.user(), other.user())
                    && is_same_text(self.password(), other.password())
                    && self.host().is_same(&other.host())
                    && self.port() == other.port()
                    && has_params(self, other, is_counted)
                    && has_params(other, self, is_counted)
                    && has_headers(self, other)
                    && has_headers(other, self)
            }
            (Scheme::Tel, Scheme::Tel) => {
                digits(self).eq(digits(other))
                    && has_params(self, other, |_| true)
                    && has_params(other, self, |_| true)
            }
            (Scheme::Other(_), Scheme::Other(_)) => self.as_bytes() == other.as_bytes(),
            _ => false,
        }
    }
}

/// Characters that mean something else when they are escaped.
const fn is_reserved(byte: u8) -> bool {
    matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}

/// The characters of an escaped text, each with whether it is an escape that means what it stands for.
fn characters(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (character, after) = match rest {
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let byte = nibble(*high) << 4 | nibble(*low);
                ((byte, is_reserved(byte)), after)
            }
            [byte, after @ ..] => ((*byte, false), after),
            [] => return None,
        };
        rest = after;
        Some(character)
    })
}

/// What is there must be there in the other, letter by letter.
fn is_same_text(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => characters(one).eq(characters(other)),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// The same, in any case.
fn is_same_word(one: &[u8], other: &[u8]) -> bool {
    let lower = |(byte, escaped): (u8, bool)| (byte.to_ascii_lowercase(), escaped);
    characters(one).map(lower).eq(characters(other).map(lower))
}

fn is_counted(name: &[u8]) -> bool {
    COUNTED.iter().any(|counted| counted.eq_ignore_ascii_case(name))
}

/// Whether each parameter of one is the other's too, but for those that may be missing there.
fn has_params(one: &Uri<'_>, other: &Uri<'_>, counts: impl Fn(&[u8]) -> bool) -> bool {
    one.params().split(|&byte| byte == b';').skip(1).all(|param| {
        let name = param.split(|&byte| byte == b'=').next().unwrap_or_default();
        match (find_param(one.params(), name).flatten(), find_param(other.params(), name)) {
            (_, None) => !counts(name),
            (value, Some(theirs)) => {
                is_same_word(value.unwrap_or_default(), theirs.unwrap_or_default())
            }
        }
    })
}

/// Whether each header of one is the other's too, with one of its values.
fn has_headers(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let mut headers = one.headers().into_iter().flat_map(|all| all.split(|&byte| byte == b'&'));
    headers.all(|header| {
        let (name, value) = scan::split_once(header, b'=').unwrap_or((header, b""));
        other.header_values(name).any(|theirs| is_same_text(Some(value), Some(theirs)))
    })
}

/// The number of a `tel:` URI without what only helps to read it.
fn digits<'a>(uri: &Uri<'a>) -> impl Iterator<Item = u8> + use<'a> {
    let number = uri.user().unwrap_or_default().iter();
    let digits = number.filter(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')'));
    digits.map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways, and each is itself.
    fn is_same(one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|uri| Uri::parse(uri.as_bytes()).unwrap());
        assert!(one.is_same(&one) && other.is_same(&other));
        assert_eq!(one.is_same(&other), other.is_same(&one));
        one.is_same(&other)
    }

    #[test]
    fn the_examples_of_the_rfc_that_are_the_same() {
        for (one, other) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_that_are_not() {
        for (one, other) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtlanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            // That it is no equivalence is one of them too.
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn every_rule_holds() {
        for (one, other, same) in [
            ("sip:a@b", "sips:a@b", false),
            ("sip:a@b", "sip:b", false),
            ("sip:a:x@b", "sip:a@b", false),
            ("sip:a:x@b", "sip:a:X@b", false),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0:0::1]", true),
            // An escaped delimiter is none.
            ("sip:a;b@c", "sip:a%3bb@c", false),
            ("sip:a%3bb@c", "sip:a%3Bb@c", true),
            ("sip:a@b;user=phone", "sip:a@b", false),
            ("sip:a@b;ttl=1", "sip:a@b", false),
            ("sip:a@b;maddr=c", "sip:a@b", false),
            ("sip:a@b;maddr=c", "sip:a@b;MADDR=C", true),
            ("sip:a@b;lr", "sip:a@b;lr=on", false),
            ("sip:a@b;ob", "sip:a@b", true),
            ("sip:a@b?x=1&x=2", "sip:a@b?x=2&x=1", true),
            ("sip:a@b?x=1", "sip:a@b?x=2", false),
            ("sip:a@b?x", "sip:a@b?X=", true),
            ("tel:+1-201-555-0123", "tel:+12015550123", true),
            ("tel:+1;ext=5", "tel:+1", false),
            ("tel:7042;phone-context=Example.com", "tel:7042;phone-context=example.com", true),
            ("sip:+1@b;user=phone", "tel:+1", false),
            ("isbn:1", "isbn:1", true),
            ("isbn:1", "isbn:2", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
