//! Byte classes of the SIP grammar (RFC 3261 §25.1) and a cursor that reads by them.
//!
//! The cursor only ever shrinks its slice, so no reader of hostile bytes has an offset to get wrong.
//! What belongs to a class is looked up in one table; where one byte stands is searched for in words
//! of eight bytes and blocks of sixteen.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

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

/// Whether the byte is of the class.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|of| of & class != 0)
}

/// What follows the bytes at the front that are of the class.
///
/// Eight bytes a turn with one look at the length cost half the instructions of one byte a turn.
#[inline(always)]
fn behind(bytes: &[u8], class: u8) -> &[u8] {
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        for byte in eight {
            if !is(*byte, class) {
                return rest;
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        rest = after;
    }
    while let [byte, after @ ..] = rest
        && is(*byte, class)
    {
        rest = after;
    }
    rest
}

/// The same of bytes that begin with a `%`, for `%` escapes and bytes of the class.
#[cold]
fn behind_escapes(bytes: &[u8], class: u8) -> &[u8] {
    let mut rest = bytes;
    while let [b'%', high, low, after @ ..] = rest
        && high.is_ascii_hexdigit()
        && low.is_ascii_hexdigit()
    {
        rest = behind(after, class);
    }
    rest
}

/// Whether there is at least one byte and all are of the class.
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && behind(bytes, class).is_empty()
}

/// Whether there is at least one byte and all are printable ASCII without blanks; by blocks, each of
/// which the compiler compares as one vector.
pub(crate) fn all_visible(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<16>() else { return all(bytes, VISIBLE) };
    let (blocks, _) = bytes.as_chunks::<16>();
    blocks.iter().all(is_visible_block) && is_visible_block(last)
}

fn is_visible_block(block: &[u8; 16]) -> bool {
    block.iter().fold(true, |visible, byte| visible & (byte.wrapping_sub(b'!') < 94))
}

/// A word with that byte in all its places.
const fn everywhere(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Marks, by their highest bit, the bytes of a word that are below `limit`, which is at most 128.
/// What is above the lowest mark may be marked in error.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(everywhere(limit)) & !word & everywhere(0x80)
}

/// Marks, like [`below`], the bytes of a word that are this one.
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ everywhere(byte), 1)
}

/// All bits of a word up to and with its lowest marked byte; all of them when none is marked.
pub(crate) const fn up_to_lowest(marks: u64) -> u64 {
    (marks & marks.wrapping_neg()).wrapping_shl(1).wrapping_sub(1)
}

/// Where the first byte stands that `marks` marks; the length when none is.
///
/// Lines and their parts are too short for the vectors of `memchr`: the call alone costs more than the
/// few words that they are.
#[inline]
fn first(bytes: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().take_while(|&&byte| marks(u64::from(byte)) & 0x80 == 0).count();
    };
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0usize;
    for word in words {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return at.wrapping_add(lowest_byte(marked));
        }
        at = at.wrapping_add(8);
    }
    // The last word overlaps the one before it, in which nothing is marked.
    match marks(u64::from_le_bytes(*last)) {
        0 => bytes.len(),
        marked => bytes.len().wrapping_sub(8).wrapping_add(lowest_byte(marked)),
    }
}

/// The number of the lowest byte of a word in which a bit is set; 8 when there is none.
pub(crate) const fn lowest_byte(word: u64) -> usize {
    word.trailing_zeros().wrapping_div(8) as usize
}

/// The tail that begins with the first such byte; empty when there is none.
pub(crate) fn tail_from_byte(bytes: &[u8], byte: u8) -> &[u8] {
    let at = first(bytes, |word| equal(word, byte));
    bytes.get(at..).unwrap_or_default()
}

/// Where the first line end, NUL or other byte up to CR stands; the length when there is none.
pub(crate) fn first_control(bytes: &[u8]) -> usize {
    first(bytes, |word| below(word, b'\r' + 1))
}

/// The same of a text that goes on far behind that place. A look at the length costs as much as one at
/// a word, so there is one for two.
#[inline(always)]
pub(crate) fn next_control(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut at = 0usize;
    while let Some((block, after)) = rest.split_first_chunk::<16>() {
        let [low, high] = halves(block).map(|word| below(word, b'\r' + 1));
        if low != 0 {
            return at.wrapping_add(lowest_byte(low));
        }
        if high != 0 {
            return at.wrapping_add(8).wrapping_add(lowest_byte(high));
        }
        at = at.wrapping_add(16);
        rest = after;
    }
    at.wrapping_add(first_control(rest))
}

/// The two words of a block.
#[inline]
pub(crate) const fn halves(block: &[u8; 16]) -> [u64; 2] {
    let word = u128::from_le_bytes(*block);
    [word as u64, (word >> 64) as u64]
}

/// What of `bytes` stands before its tail.
#[inline]
pub(crate) fn before<'a>(bytes: &'a [u8], tail: &[u8]) -> &'a [u8] {
    bytes.get(..bytes.len().saturating_sub(tail.len())).unwrap_or_default()
}

/// Without the blanks around it.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// Without the blanks before it.
#[inline(always)]
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    match bytes {
        [first, ..] if *first <= b' ' => behind_blanks(bytes),
        _ => bytes,
    }
}

fn behind_blanks(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, after @ ..] = rest
        && is(*first, BLANK)
    {
        rest = after;
    }
    rest
}

/// Without the blanks behind it.
#[inline(always)]
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    match bytes {
        [.., last] if *last <= b' ' => before_blanks(bytes),
        _ => bytes,
    }
}

fn before_blanks(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [before @ .., last] = rest
        && is(*last, BLANK)
    {
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

/// An IPv4 address as the library reads it, in fewer instructions.
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (a, rest) = octet(text)?;
    let (b, rest) = octet(rest.strip_prefix(b".")?)?;
    let (c, rest) = octet(rest.strip_prefix(b".")?)?;
    let (d, rest) = octet(rest.strip_prefix(b".")?)?;
    rest.is_empty().then(|| Ipv4Addr::new(a, b, c, d))
}

/// A number up to 255 and what follows it. It ends with a leading zero, which some read as octal.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let [first @ b'0'..=b'9', rest @ ..] = text else { return None };
    let mut octet = first & 0x0f;
    let mut rest = rest;
    while octet != 0
        && let [digit @ b'0'..=b'9', after @ ..] = rest
    {
        octet = octet.checked_mul(10)?.checked_add(digit & 0x0f)?;
        rest = after;
    }
    Some((octet, rest))
}

/// An IPv6 address without brackets.
pub(crate) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What stands before the first `byte`, and behind it.
#[inline]
pub(crate) fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    match tail_from_byte(bytes, byte) {
        tail @ [_, after @ ..] => Some((before(bytes, tail), after)),
        [] => None,
    }
}

/// A quoted string at the start of `bytes`: it with its quotes, and what follows it.
pub(crate) fn quoted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    loop {
        match rest {
            [b'"', after @ ..] => return Some((before(bytes, after), after)),
            [b'\\', _, after @ ..] | [_, after @ ..] => rest = after,
            [] => return None,
        }
    }
}

/// A part of a text shorter than 64 KiB, by its offsets: a quarter of a slice. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: u16,
    end: u16,
}

impl Span {
    /// What of `text` stands between two of its tails.
    #[inline]
    pub(crate) const fn between(text: &[u8], from: &[u8], to: &[u8]) -> Self {
        Self {
            at: text.len().wrapping_sub(from.len()) as u16,
            end: text.len().wrapping_sub(to.len()) as u16,
        }
    }

    /// The first bytes of a text.
    pub(crate) const fn to(end: usize) -> Self {
        Self { at: 0, end: end as u16 }
    }

    /// The part itself.
    #[inline]
    pub(crate) const fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let Some((before_end, _)) = text.split_at_checked(self.end as usize) else { return b"" };
        let Some((_, part)) = before_end.split_at_checked(self.at as usize) else { return b"" };
        part
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// The part itself, if there is any.
    #[inline]
    pub(crate) const fn some_of<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match self.of(text) {
            [] => None,
            part => Some(part),
        }
    }
}

/// Reads a value from front to back.
///
/// What may refer to a cursor is inlined, and what is called takes and gives tails: so a cursor stays
/// in two registers.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
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
        self.rest = behind(start, class);
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
        self.rest = behind(self.rest, class);
        if let [b'%', ..] = self.rest {
            self.rest = behind_escapes(self.rest, class);
        }
    }

    /// A port between 1 and 65535, as far as its digits go.
    #[inline(always)]
    pub(crate) fn port(&mut self) -> Option<NonZeroU16> {
        let mut port = 0u32;
        while let [digit @ b'0'..=b'9', after @ ..] = self.rest {
            // It cannot wrap: before each step it is below 65,536.
            port = port.wrapping_mul(10).wrapping_add(u32::from(digit & 0x0f));
            if port > 65_535 {
                return None;
            }
            self.rest = after;
        }
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
    fn an_address_is_what_the_library_takes_for_one() {
        for text in [
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.2.1",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4.",
            "01.2.3.4",
            "00.2.3.4",
            "1.2.3.04",
            "1..2.3",
            "",
            ".1.2.3",
            "1.2.3.4 ",
            "1.2.3.a",
            "1.2.3.1000",
            "+1.2.3.4",
            "999.1.1.1",
            "1.2.3.0",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(quoted(br#""a \" b\\" c"#), Some((&br#""a \" b\\""#[..], &b" c"[..])));
        assert_eq!(quoted(br#""a \""#), None);
        assert_eq!(quoted(br#""a \"#), None);
    }

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

    #[test]
    fn words_of_bytes_find_what_single_bytes_find() {
        for byte in 0..=255 {
            for length in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[length] = byte;

                let at = bytes.iter().position(|&other| other <= b'\r').unwrap_or(bytes.len());
                assert_eq!(first_control(&bytes), at, "{byte} {length}");
                assert_eq!(next_control(&bytes), at, "{byte} {length}");
                let at = bytes[..length + 1].iter().position(|&other| other == byte).unwrap();
                assert_eq!(tail_from_byte(&bytes[..=length], byte), &bytes[at..=length]);
                assert_eq!(all(&bytes[..=length], HOST), is(byte, HOST), "{byte} {length}");
            }
        }
    }
}
