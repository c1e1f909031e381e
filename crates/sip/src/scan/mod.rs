//! Finding one's way in text.
//!
//! A head is looked through by blocks of sixteen bytes (`block.rs`): its lines by `controls.rs`, its values
//! by a [`Cursor`] that asks `class.rs` how far bytes of a class go. Where one byte stands in a short text
//! is searched for in words of eight bytes, here.

mod block;
mod class;
mod controls;
mod cursor;
mod number;

pub(crate) use block::{BLOCK_BYTES, Block};
pub(crate) use class::{
    BLANK, DISPLAY, HOST, TOKEN, URI_PARAM, USER, VALUE, VISIBLE, all, all_visible, is,
};
pub(crate) use controls::Controls;
pub(crate) use cursor::Cursor;
pub(crate) use number::{ipv4, ipv6, number, port};

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

/// What of `bytes` stands before its tail.
#[inline]
pub(crate) fn before<'a>(bytes: &'a [u8], tail: &[u8]) -> &'a [u8] {
    match bytes.split_at_checked(bytes.len().wrapping_sub(tail.len())) {
        Some((before, _)) => before,
        None => b"",
    }
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
        let inside = first(rest, |word| equal(word, b'"') | equal(word, b'\\'));
        match rest.get(inside..)? {
            [b'"', after @ ..] => return Some((before(bytes, after), after)),
            [_, _, after @ ..] => rest = after,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(quoted(br#""a \" b\\" c"#), Some((&br#""a \" b\\""#[..], &b" c"[..])));
        assert_eq!(quoted(br#""a \""#), None);
        assert_eq!(quoted(br#""a \"#), None);
    }

    #[test]
    fn words_of_bytes_find_what_single_bytes_find() {
        for byte in 0..=255 {
            for length in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[length] = byte;

                let at = bytes.iter().position(|&other| other <= b'\r').unwrap_or(bytes.len());
                assert_eq!(first_control(&bytes), at, "{byte} {length}");
                let at = bytes[..length + 1].iter().position(|&other| other == byte).unwrap();
                assert_eq!(tail_from_byte(&bytes[..=length], byte), &bytes[at..=length]);
                assert_eq!(all(&bytes[..=length], HOST), is(byte, HOST), "{byte} {length}");
            }
        }
    }
}
