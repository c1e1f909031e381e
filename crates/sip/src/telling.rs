//! What a text that we do not understand tells of hosts: addresses and names, wherever they stand in it.
//!
//! Withstands: addresses behind other words, without brackets, with a port or a dot behind them. In doubt
//! a text tells.

use crate::scan;

/// Whether a text holds an IP address, or what may be somebody's address of record.
#[must_use]
pub fn holds_address(text: &[u8]) -> bool {
    let (mut dots, mut colons) = (0u32, 0u32);
    for byte in text {
        match byte {
            b'.' => dots = dots.saturating_add(1),
            b':' => colons = colons.saturating_add(1),
            b'@' => return true,
            _ => (),
        }
    }
    // Most texts have too few of either.
    (dots >= 3 && holds_ipv4(text)) || (colons >= 2 && holds_ipv6(text))
}

fn holds_ipv4(text: &[u8]) -> bool {
    let mut words = text.split(|byte| !byte.is_ascii_digit() && *byte != b'.');
    words.any(|word| scan::ipv4(trim_dots(word)).is_some())
}

/// What stands before an address and a colon may look like a part of it: so it counts how one is written.
fn holds_ipv6(text: &[u8]) -> bool {
    let mut words = text.split(|byte| !byte.is_ascii_hexdigit() && !b":.".contains(byte));
    words.any(|word| {
        let word = trim_dots(word);
        let colons = word.iter().filter(|&&byte| byte == b':').count();
        colons >= 7 || (colons >= 2 && word.len() > 2 && word.windows(2).any(|pair| pair == b"::"))
    })
}

fn trim_dots(mut word: &[u8]) -> &[u8] {
    while let [b'.', rest @ ..] | [rest @ .., b'.'] = word {
        word = rest;
    }
    word
}

/// Whether a text holds what may be the name of a host: labels with dots between, the last of letters.
#[must_use]
pub fn holds_name(text: &[u8]) -> bool {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric() && !b"-.".contains(byte));
    words.map(|word| word.strip_suffix(b".").unwrap_or(word)).any(|word| {
        let mut labels = word.rsplit(|&byte| byte == b'.');
        let is_top = |label: &[u8]| label.len() > 1 && label.iter().all(u8::is_ascii_alphabetic);
        labels.next().is_some_and(is_top) && labels.next().is_some_and(|label| !label.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_wherever_it_stands() {
        for text in [
            "10.0.0.1",
            "x=10.0.0.1:5060;",
            "[2001:db8::1]",
            "at ::1.",
            "a@b",
            "(10.0.0.1)..",
            "host.10.0.0.1",
            "face:2001:db8:1:2:3:4:5:6",
            "abc:fd00::1:4000",
        ] {
            assert!(holds_address(text.as_bytes()), "{text}");
        }
        for text in ["", "1.2.3", "10:20:30", "no address", "v1.2.3.4.5", "999.1.1.1", "::"] {
            assert!(!holds_address(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_host_is_found_wherever_it_stands() {
        for text in ["sbc.example", "at sbc-7.example.com.", "SIP;text=\"x (a.bc)\""] {
            assert!(holds_name(text.as_bytes()), "{text}");
        }
        for text in ["", "Q.850;cause=16", "e.g. busy", "busy. Call later", "1.2.3", "...", "x.."] {
            assert!(!holds_name(text.as_bytes()), "{text}");
        }
    }
}
