//! The sequence number of a request within its dialog, and its method (RFC 3261 §20.16).

use crate::method::Method;
use crate::scan;

/// A checked CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cseq<'a> {
    /// Below 2^31 (§8.1.1.5).
    pub number: u32,
    /// That of the request, or of the request that a response answers.
    pub method: Method<'a>,
}

impl<'a> Cseq<'a> {
    /// Reads a value. `None` when it is not a number below 2^31 and a method.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::read(scan::trim(value))
    }

    /// Whether it is of a message of which nothing is read yet: none has an empty method.
    pub(crate) const fn is_unread(&self) -> bool {
        matches!(self.method, Method::Other(b""))
    }

    /// Reads a value without blanks around it.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = value.split_at_checked(end)?;
        let number = scan::number(digits, i32::MAX.unsigned_abs())?;
        let name = scan::trim_start(rest);
        let method = Method::read(name)?;
        (name.len() < rest.len()).then_some(Self { number, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_folds_are_fine() {
        let cseq = Cseq::parse(b"0009\r\n  INVITE").unwrap();
        assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
        assert_eq!(Cseq::parse(b"2147483647 X").unwrap().number, 2_147_483_647);
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        for value in
            ["", "1", "INVITE", "1INVITE", "2147483648 INVITE", "1 INV ITE", "-1 BYE", "1 <"]
        {
            assert_eq!(Cseq::parse(value.as_bytes()), None, "{value}");
        }
    }
}
