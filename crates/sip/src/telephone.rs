//! Telephone numbers in URIs: the user of `sip:` and the whole of `tel:`, with their parameters
//! (RFC 3966 §3, RFC 3261 §19.1.6, RFC 4694 for ported numbers).

use crate::uri::{Scheme, Uri, find_param};

/// A number as it stands in a URI, still escaped (see [`crate::uri::unescape_into`]).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Telephone<'a> {
    number: &'a [u8],
    params: &'a [u8],
}

impl<'a> Telephone<'a> {
    /// The number of a URI. `None`: it has no user, or is of another scheme.
    ///
    /// In `sip:` the parameters of a number stand before the at sign; those behind are the URI's.
    #[must_use]
    pub fn of(uri: &Uri<'a>) -> Option<Self> {
        let user = uri.user()?;
        match uri.scheme() {
            Scheme::Tel => Some(Self { number: user, params: uri.params() }),
            Scheme::Sip | Scheme::Sips => {
                let end = memchr::memchr(b';', user).unwrap_or(user.len());
                let (number, params) = user.split_at_checked(end)?;
                Some(Self { number, params })
            }
            Scheme::Other(_) => None,
        }
    }

    /// The number, perhaps with visual separators; a name where the user is no number.
    #[must_use]
    pub const fn number(&self) -> &'a [u8] {
        self.number
    }

    /// Whether it is of the whole world: it begins with a plus sign (RFC 3966 §5.1.4).
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.number.starts_with(b"+")
    }

    /// The first parameter of that name: `Some(None)` when it has no value.
    #[must_use]
    #[allow(clippy::option_option, reason = "present without a value is its own case (`npdi`)")]
    pub fn param(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        find_param(self.params, name)
    }

    /// Where a local number is valid: `phone-context` (RFC 3966 §5.1.5).
    #[must_use]
    pub fn context(&self) -> Option<&'a [u8]> {
        self.param(b"phone-context").flatten()
    }

    /// The number to route by instead, because this one was ported: `rn` (RFC 4694 §5).
    #[must_use]
    pub fn routing_number(&self) -> Option<&'a [u8]> {
        self.param(b"rn").flatten()
    }

    /// Whether somebody looked up already where it was ported to: `npdi` (RFC 4694 §5).
    #[must_use]
    pub fn is_looked_up(&self) -> bool {
        self.param(b"npdi").is_some()
    }
}

/// The length only: it is a subscriber's number.
impl std::fmt::Debug for Telephone<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Telephone({} bytes)", self.number.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telephone(uri: &str) -> Option<Telephone<'_>> {
        Telephone::of(&Uri::parse(uri.as_bytes()).unwrap())
    }

    #[test]
    fn a_number_is_the_same_in_both_schemes() {
        // RFC 4694 §6.
        for uri in [
            "tel:+1-202-533-1234;npdi;rn=+1-202-544-0000",
            "sip:+1-202-533-1234;npdi;rn=+1-202-544-0000@example.com;user=phone",
        ] {
            let read = telephone(uri).unwrap();
            assert_eq!(read.number(), b"+1-202-533-1234", "{uri}");
            assert_eq!(read.routing_number(), Some(&b"+1-202-544-0000"[..]));
            assert!(read.is_looked_up() && read.is_global());
            assert_eq!((read.context(), read.param(b"npdi")), (None, Some(None)));
        }
        let local = telephone("tel:7042;phone-context=example.com").unwrap();
        assert_eq!((local.context(), local.is_global()), (Some(&b"example.com"[..]), false));
        assert!(!telephone("sip:7042@example.com;npdi;rn=1").unwrap().is_looked_up());
        assert_eq!(telephone("sip:example.com"), None);
        assert_eq!(telephone("mailto:a@b"), None);
    }
}
