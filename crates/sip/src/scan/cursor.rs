//! A cursor that reads a value by the classes of its bytes.
//!
//! It only ever shrinks its slice, so no reader of hostile bytes has an offset to get wrong.

use std::num::NonZeroU16;

use super::block::BLOCK_BYTES;
use super::class::{DISPLAY, TOKEN, behind, behind_escapes, behind_short};
use super::number::four_digits;
use super::{before, quoted, split_once, trim_start};

/// Reads a value from front to back.
///
/// What may refer to a cursor is inlined, and what is called takes and gives tails: so a cursor stays
/// in registers.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
    /// The last bytes of the value, of which `rest` is a tail.
    last: Option<&'a [u8; BLOCK_BYTES]>,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, last: bytes.last_chunk() }
    }

    #[inline(always)]
    pub(crate) fn skip_blanks(&mut self) {
        self.rest = trim_start(self.rest);
    }

    /// Whether a value of a list ends here.
    pub(crate) const fn is_at_end_of_value(&self) -> bool {
        matches!(self.rest, [] | [b',', ..])
    }

    /// The bytes up to the first that is not of the class; perhaps none.
    #[inline(always)]
    pub(crate) fn take(&mut self, class: u8) -> &'a [u8] {
        let start = self.rest;
        self.rest = match class {
            // Short words, as a rule.
            TOKEN | DISPLAY => behind_short(start, class),
            _ => behind(start, self.last, class),
        };
        before(start, self.rest)
    }

    /// Goes to the first byte that is one of these; to the end when there is none.
    pub(crate) fn skip_to_any<const N: usize>(&mut self, these: [u8; N]) {
        self.take_while(|byte| !these.contains(&byte));
    }

    /// Like [`Cursor::take`], for bytes that are no class.
    #[inline(always)]
    pub(crate) fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.rest;
        while let [byte, after @ ..] = self.rest
            && belongs(*byte)
        {
            self.rest = after;
        }
        before(start, self.rest)
    }

    /// Like [`Cursor::take`], but at least one byte.
    #[inline(always)]
    pub(crate) fn take_some(&mut self, class: u8) -> Option<&'a [u8]> {
        let taken = self.take(class);
        (!taken.is_empty()).then_some(taken)
    }

    /// Goes past the bytes of the class and `%` escapes with two hexadecimal digits.
    #[inline(always)]
    pub(crate) fn skip_escaped(&mut self, class: u8) {
        self.rest = behind(self.rest, self.last, class);
        if let [b'%', ..] = self.rest {
            self.rest = behind_escapes(self.rest, class);
        }
    }

    /// A port between 1 and 65535, as far as its digits go.
    #[inline(always)]
    pub(crate) fn port(&mut self) -> Option<NonZeroU16> {
        let (mut port, mut rest) = four_digits(self.rest).unwrap_or((0, self.rest));
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            // It cannot wrap: before each step it is below 65,536.
            port = port.wrapping_mul(10).wrapping_add(u32::from(digit & 0x0f));
            if port > 65_535 {
                return None;
            }
            rest = after;
        }
        self.rest = rest;
        u16::try_from(port).ok().and_then(NonZeroU16::new)
    }

    /// Whether the next byte was `byte`; if so it is read.
    #[inline(always)]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, after @ ..] if *first == byte => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    /// A quoted string with its quotes.
    #[inline(always)]
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        let (string, rest) = quoted(self.rest)?;
        self.rest = rest;
        Some(string)
    }

    /// The bytes before `byte`, which is read too.
    #[inline(always)]
    pub(crate) fn until(&mut self, byte: u8) -> Option<&'a [u8]> {
        let (taken, after) = split_once(self.rest, byte)?;
        self.rest = after;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::USER;
    use super::*;

    #[test]
    fn an_escape_needs_two_hexadecimal_digits() {
        let taken = |bytes| {
            let mut cursor = Cursor::new(bytes);
            cursor.skip_escaped(USER);
            before(bytes, cursor.rest)
        };
        assert_eq!(taken(b"a%00%Ff@"), b"a%00%Ff");
        assert_eq!(taken(b"a%0"), b"a");
        assert_eq!(taken(b"a%ZZ"), b"a");
    }
}
