//! Numbers and addresses as text.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// The number that a text begins with if it has at least four digits, and what follows those four.
///
/// All four at once cost a third of what they do one by one.
#[inline(always)]
pub(super) fn four_digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk()?;
    // From the least of the four bytes on: the first digit.
    let word = u32::from_le_bytes(*digits);
    let digits = word.wrapping_sub(0x3030_3030);
    if (digits | digits.wrapping_add(0x7676_7676) | word) & 0x8080_8080 != 0 {
        return None;
    }
    // Two pairs of digits, then the number of the pairs.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff;
    Some(((pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0xffff, rest))
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
    fn four_digits_are_read_at_once_only_where_there_are_four() {
        for number in 0..10_000 {
            let text = format!("{number:04}5");
            assert_eq!(four_digits(text.as_bytes()), Some((number, &b"5"[..])));
        }
        for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
            for place in 0..4 {
                let mut text = *b"1234";
                text[place] = byte;
                assert_eq!(four_digits(&text), None, "{byte} at {place}");
            }
        }
        assert_eq!(four_digits(b"123"), None);
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
}
