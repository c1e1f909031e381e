//! The method of a request. Case-sensitive (RFC 3261 §7.1): `invite` is not INVITE.

use crate::scan;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method<'a> {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §17.1.1.3.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §11.
    Options,
    /// RFC 3261 §10.
    Register,
    /// RFC 6086.
    Info,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Notify,
    /// RFC 6665.
    Subscribe,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// Any other token.
    Other(&'a [u8]),
}

impl<'a> Method<'a> {
    /// The method of that name. The name is not checked to be a token.
    #[must_use]
    pub const fn new(name: &'a [u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"INFO" => Self::Info,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            b"REFER" => Self::Refer,
            b"NOTIFY" => Self::Notify,
            b"SUBSCRIBE" => Self::Subscribe,
            b"MESSAGE" => Self::Message,
            b"PUBLISH" => Self::Publish,
            other => Self::Other(other),
        }
    }

    /// The method of that name. `None`: it is no token.
    #[inline(always)]
    pub(crate) fn read(name: &'a [u8]) -> Option<Self> {
        let method = Self::new(name);
        // That a name is a token need not be asked of one that we know.
        let known = !matches!(method, Self::Other(_)) || scan::all(name, scan::TOKEN);
        known.then_some(method)
    }

    /// Its name as it stands in a message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Invite => b"INVITE",
            Self::Ack => b"ACK",
            Self::Bye => b"BYE",
            Self::Cancel => b"CANCEL",
            Self::Options => b"OPTIONS",
            Self::Register => b"REGISTER",
            Self::Info => b"INFO",
            Self::Update => b"UPDATE",
            Self::Prack => b"PRACK",
            Self::Refer => b"REFER",
            Self::Notify => b"NOTIFY",
            Self::Subscribe => b"SUBSCRIBE",
            Self::Message => b"MESSAGE",
            Self::Publish => b"PUBLISH",
            Self::Other(name) => name,
        }
    }
}

impl std::fmt::Debug for Method<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_in_lower_case_is_another_method() {
        assert_eq!(Method::new(b"INVITE"), Method::Invite);
        assert_eq!(Method::new(b"invite"), Method::Other(b"invite"));
    }

    #[test]
    fn every_method_is_read_back_from_its_name() {
        for name in ["ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK"] {
            assert_eq!(Method::new(name.as_bytes()).as_bytes(), name.as_bytes());
        }
        for name in ["REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH", "INVITE", "X"] {
            assert_eq!(Method::new(name.as_bytes()).as_bytes(), name.as_bytes());
        }
    }
}
