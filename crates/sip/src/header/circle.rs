//! Which header fields may go from one side of a back-to-back user agent to the other.
//!
//! Three circles. What names a dialog, a route, an identity or a host of the inside never goes, nor what
//! says how the message itself is to be read: it is said by ourselves or not at all. What is of use to
//! some peers, and may name hosts, goes to whom the operator lists it for. All the rest goes to whoever
//! takes everything.

use super::Name;

/// The circles, see the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circle {
    /// To nobody.
    Never,
    /// To whom it is listed for.
    Listed,
    /// To whoever takes everything.
    All,
}

/// Fields that we have no [`Name`] for, and that name dialogs, routes or keys.
const INSIDE: [&[u8]; 12] = [
    b"Additional-Identity",
    b"Encryption",
    b"Feature-Caps",
    b"Join",
    b"Max-Breadth",
    b"Policy-Contact",
    b"Proxy-Authentication-Info",
    b"Recv-Info",
    b"Security-Client",
    b"Security-Server",
    b"Security-Verify",
    b"Target-Dialog",
];

impl Circle {
    /// That of a field by its name, long or compact, in any case.
    #[must_use]
    pub fn of(raw_name: &[u8]) -> Self {
        Self::of_known(Name::new(raw_name), raw_name)
    }

    /// The same where the name was read already.
    #[must_use]
    pub fn of_known(name: Name, raw_name: &[u8]) -> Self {
        match name {
            Name::AcceptLanguage | Name::Organization | Name::Priority | Name::Subject => Self::All,
            // A signed Identity (RFC 8224) is good only with the Date that was signed with it.
            Name::AcceptContact | Name::AlertInfo | Name::CallInfo => Self::Listed,
            Name::Date | Name::ErrorInfo | Name::Identity => Self::Listed,
            Name::RejectContact | Name::ReplyTo | Name::RequestDisposition => Self::Listed,
            Name::Other if INSIDE.iter().any(|name| name.eq_ignore_ascii_case(raw_name)) => {
                Self::Never
            }
            // Private fields (RFC 7315) are for those who trust each other, which the operator knows.
            Name::Other if raw_name.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(b"P-")) => {
                Self::Listed
            }
            Name::Other => Self::All,
            _ => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_in_one_circle_by_whatever_name() {
        for (names, circle) in [
            (&["Subject", "s", "X-Test", "Organization"][..], Circle::All),
            (&["Identity", "y", "DATE", "p-charging-vector"], Circle::Listed),
            (&["Via", "v", "Content-Encoding", "e", "join", "Warning", "Expires"], Circle::Never),
        ] {
            for name in names {
                assert_eq!(Circle::of(name.as_bytes()), circle, "{name}");
            }
        }
    }
}
