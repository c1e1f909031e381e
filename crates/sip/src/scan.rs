//! Byte classes of the SIP grammar (RFC 3261 §25.1) and a cursor that reads by them.
//!
//! The cursor only ever shrinks its slice, so no reader of hostile bytes has an offset to get wrong.

/// Characters of a token: methods, header names, parameter names.
pub(crate) const TOKEN: u8 = 1;
/// Characters of a bare parameter value: wider than the grammar's `gen-value`, because peers put
/// slashes, at signs and padding into tags; no character that could end the value.
pub(crate) const VALUE: u8 = 2;
/// Characters of the user part of a URI, `%` apart; `#` is not of the RFC but dialled everywhere.
pub(crate) const USER: u8 = 4;
/// Characters of URI parameters and URI headers, `%` apart.
pub(crate) const URI_PARAM: u8 = 8;
/// Characters of a host name or IPv4 address; `_` is not of the RFC but lives in DNS.
pub(crate) const HOST: u8 = 16;
/// Tokens and blanks of an unquoted display name, and UTF-8, which peers send unquoted.
pub(crate) const DISPLAY: u8 = 32;
/// Printable ASCII without blanks.
pub(crate) const VISIBLE: u8 = 64;
/// Blanks between the parts of a header value, the line ends of folding among them.
pub(crate) const BLANK: u8 = 128;

const fn class_of(byte: u8) -> u8 {
    let mut class = 0;
    let alphanumeric = byte.is_ascii_alphanumeric();
    let unreserved = alphanumeric
        || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let token = alphanumeric
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
    let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    if token {
        class |= TOKEN;
    }
    if byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'<' | b'>' | b'"' | b'\\') {
        class |= VALUE;
    }
    if unreserved || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#') {
        class |= USER;
    }
    if unreserved || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'=') {
        class |= URI_PARAM;
    }
    if alphanumeric || matches!(byte, b'-' | b'.' | b'_') {
        class |= HOST;
    }
    if token || blank || byte >= 0x80 {
        class |= DISPLAY;
    }
    if byte.is_ascii_graphic() {
        class |= VISIBLE;
    }
    if blank {
        class |= BLANK;
    }
    class
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an overrun")]
#[allow(clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

/// Whether the byte is of any of the classes.
pub(crate) fn is(byte: u8, classes: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|of| of & classes != 0)
}

/// Whether there is at least one byte and all are of the classes.
pub(crate) fn all(bytes: &[u8], classes: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is(byte, classes))
}

/// Whether every byte is of the classes or part of a `%` escape with two hexadecimal digits.
pub(crate) fn all_escaped(bytes: &[u8], classes: u8) -> bool {
    let mut rest = bytes;
    loop {
        while let [byte, after @ ..] = rest
            && is(*byte, classes)
        {
            rest = after;
        }
        match rest {
            [] => return true,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = after;
            }
            _ => return false,
        }
    }
}

/// Without the blanks around it.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        if !is(*first, BLANK) {
            break;
        }
        rest = after;
    }
    trim_end(rest)
}

/// Without the blanks behind it.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [before @ .., last] = rest {
        if !is(*last, BLANK) {
            break;
        }
        rest = before;
    }
    rest
}

/// A decimal number up to `max`. Leading zeros are allowed (§25.1 `1*DIGIT`), wrapping is not.
pub(crate) fn number(bytes: &[u8], max: u32) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    let mut number = 0u32;
    for &byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(byte & 0x0f))?;
    }
    (number <= max).then_some(number)
}

/// A port between 1 and 65535.
pub(crate) fn port(bytes: &[u8]) -> Option<u16> {
    number(bytes, 65_535).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
}

/// What stands before the first `byte`, and behind it. For parts so short that a plain loop beats the
/// vectors of `memchr`.
pub(crate) fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&other| other == byte)?;
    match bytes.split_at_checked(at)? {
        (before, [_, after @ ..]) => Some((before, after)),
        _ => None,
    }
}

/// A quoted string at the start of `bytes`: it with its quotes, and what follows it.
pub(crate) fn quoted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        let (_, from) = rest.split_at_checked(at)?;
        match from {
            [b'"', after @ ..] => {
                return bytes.split_at_checked(bytes.len().saturating_sub(after.len()));
            }
            [_, _, after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// Reads a value from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn skip_blanks(&mut self) {
        while let [first, after @ ..] = self.rest {
            if !is(*first, BLANK) {
                break;
            }
            self.rest = after;
        }
    }

    /// The bytes up to the first that is not of the classes; perhaps none.
    pub(crate) fn take(&mut self, classes: u8) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !is(byte, classes));
        let (taken, rest) =
            self.rest.split_at_checked(end.unwrap_or(self.rest.len())).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Like [`Cursor::take`], but at least one byte.
    pub(crate) fn take_some(&mut self, classes: u8) -> Option<&'a [u8]> {
        let taken = self.take(classes);
        (!taken.is_empty()).then_some(taken)
    }

    /// Whether the next byte was `byte`; if so it is read.
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
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        let (string, rest) = quoted(self.rest)?;
        self.rest = rest;
        Some(string)
    }

    /// The bytes before `byte`, which is read too.
    pub(crate) fn until(&mut self, byte: u8) -> Option<&'a [u8]> {
        let (before, after) = split_once(self.rest, byte)?;
        self.rest = after;
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_never_wraps() {
        assert_eq!(number(b"0068", 255), Some(68));
        assert_eq!(number(b"256", 255), None);
        assert_eq!(number(b"4294967296", u32::MAX), None);
        assert_eq!(number(b"36893488147419103232", u32::MAX), None);
        assert_eq!(number(b"-1", u32::MAX), None);
        assert_eq!(number(b"", u32::MAX), None);
    }

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(quoted(br#""a \" b\\" c"#), Some((&br#""a \" b\\""#[..], &b" c"[..])));
        assert_eq!(quoted(br#""a \""#), None);
        assert_eq!(quoted(br#""a \"#), None);
    }

    #[test]
    fn an_escape_needs_two_hexadecimal_digits() {
        assert!(all_escaped(b"a%00%Ff", USER));
        assert!(!all_escaped(b"a%0", USER));
        assert!(!all_escaped(b"a%ZZ", USER));
    }
}
