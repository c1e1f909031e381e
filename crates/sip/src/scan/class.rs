//! Byte classes of the SIP grammar (RFC 3261 §25.1): one table, and how far the bytes of a class go.

use super::block::{BLOCK_BYTES, Block, Usual};

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

/// The bytes of a class that are most of what stands in messages. Any other is looked up.
const fn usual(class: u8) -> Usual {
    match class {
        USER => Usual { from: b'&', hole: None, also: None },
        URI_PARAM => Usual { from: b'&', hole: Some(b','), also: Some(b'=') },
        VALUE | VISIBLE => Usual { from: b'&', hole: Some(b','), also: None },
        // Of TOKEN, HOST and DISPLAY.
        _ => Usual { from: b'-', hole: Some(b'/'), also: None },
    }
}

/// What follows the bytes at the front of `rest` that are of the class, found by blocks. `last` is the
/// last block of a text that `rest` is a tail of, if it is so long: by it the end of the text is looked at.
#[inline(always)]
pub(super) fn behind<'a>(
    rest: &'a [u8],
    last: Option<&'a [u8; BLOCK_BYTES]>,
    class: u8,
) -> &'a [u8] {
    let mut rest = rest;
    while let Some((block, after)) = rest.split_first_chunk() {
        let mut unusual = Block::new(block).unusual(usual(class));
        while unusual != 0 {
            match block.get(unusual.trailing_zeros() as usize) {
                Some(byte) if is(*byte, class) => unusual &= unusual.wrapping_sub(1),
                _ => return rest.get(unusual.trailing_zeros() as usize..).unwrap_or_default(),
            }
        }
        rest = after;
    }
    let Some(last) = last else { return behind_short(rest, class) };
    let passed = BLOCK_BYTES.wrapping_sub(rest.len());
    let mut unusual = Block::new(last).unusual(usual(class)) >> passed << passed;
    while unusual != 0 {
        let place = unusual.trailing_zeros() as usize;
        match last.get(place..) {
            Some([byte, ..]) if is(*byte, class) => unusual &= unusual.wrapping_sub(1),
            Some(tail) => return tail,
            None => break,
        }
    }
    b""
}

/// The same byte by byte, which is less work where names and words of a few letters stand.
///
/// Eight bytes a turn with one look at the length cost half the instructions of one byte a turn.
#[inline(always)]
pub(super) fn behind_short(bytes: &[u8], class: u8) -> &[u8] {
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
pub(super) fn behind_escapes(bytes: &[u8], class: u8) -> &[u8] {
    let mut rest = bytes;
    while let [b'%', high, low, after @ ..] = rest
        && high.is_ascii_hexdigit()
        && low.is_ascii_hexdigit()
    {
        rest = behind_short(after, class);
    }
    rest
}

/// Whether there is at least one byte and all are of the class.
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && behind_short(bytes, class).is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [u8; 8] = [TOKEN, VALUE, USER, URI_PARAM, HOST, DISPLAY, VISIBLE, BLANK];

    #[test]
    fn what_is_usual_in_a_class_is_of_it() {
        for class in CLASSES.into_iter().filter(|&class| class != BLANK) {
            for byte in 0..=255 {
                let unusual = Block::new(&[byte; BLOCK_BYTES]).unusual(usual(class));
                assert!(unusual != 0 || is(byte, class), "{byte} of {class}");
            }
        }
    }

    #[test]
    fn blocks_find_what_single_bytes_find() {
        for class in CLASSES {
            for byte in 0..=255 {
                let of_class = if class == BLANK { b' ' } else { b'a' };
                for length in [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 40] {
                    let mut text = vec![of_class; length];
                    for place in [0, 1, 8, 15, 16, 30, 31, 32, 39] {
                        if let Some(there) = text.get_mut(place) {
                            *there = byte;
                        }
                        let end = text.iter().position(|&byte| !is(byte, class)).unwrap_or(length);
                        assert_eq!(behind_short(&text, class), &text[end..], "{byte} of {class}");
                        if class != BLANK {
                            let found = behind(&text, text.last_chunk(), class);
                            assert_eq!(found, &text[end..], "{byte} of {class} at {place}");
                        }
                    }
                }
            }
        }
    }
}
