//! Text that may stand in quotes: display names, realms, reasons (RFC 3261 §25.1 `quoted-string`).
//!
//! It is kept as it stands, escapes included; what it says is read byte by byte. Written it is by
//! [`crate::Part::Quoted`].

/// The inside of a quoted string, or a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a [u8],
}

impl<'a> Text<'a> {
    /// The value of a parameter, with or without quotes.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        match value {
            [b'"', inside @ .., b'"'] => Self { raw: inside },
            raw => Self { raw },
        }
    }

    /// As it stands, without quotes; it may hold escapes and folds.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// What it says: a backslash gives way to the byte behind it.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (byte, after) = match rest {
                [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
                [] => return None,
            };
            rest = after;
            Some(byte)
        })
    }

    /// Whether it says that, byte for byte.
    #[must_use]
    pub fn is(&self, text: &[u8]) -> bool {
        self.bytes().eq(text.iter().copied())
    }

    /// Writes what it says into `out`. `None` when it does not fit.
    pub fn unescape_into<'o>(&self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        let mut length = 0usize;
        for byte in self.bytes() {
            *out.get_mut(length)? = byte;
            length = length.saturating_add(1);
        }
        out.get(..length)
    }
}

/// The length only: a text may name a subscriber.
impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.raw.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_the_same_with_and_without_quotes_and_escapes() {
        for (value, said) in [
            (&br#""a \"b\" \\ c""#[..], &br#"a "b" \ c"#[..]),
            (b"token", b"token"),
            (b"\"\"", b""),
            (b"\"", b"\""),
            (b"a\\", b"a\\"),
        ] {
            let text = Text::new(value);
            assert!(text.is(said), "{}", value.escape_ascii());
            assert!(!text.is(b"other"));
            assert_eq!(text.unescape_into(&mut [0; 16]), Some(said));
        }
        assert_eq!(Text::new(b"abc").unescape_into(&mut [0; 2]), None);
    }
}
