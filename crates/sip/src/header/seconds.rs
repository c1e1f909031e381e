//! Times in seconds: Expires and Min-Expires (RFC 3261 §20.19, §20.23), Retry-After (§20.33), and
//! those with parameters behind them.

use crate::scan::{self, Cursor};

/// What a malformed expiry of a Contact means (RFC 3261 §20.10).
pub const EXPIRES_MALFORMED_S: u32 = 3600;

/// A number of seconds and nothing else. `None` when it is none, or above 2^32 − 1.
#[must_use]
pub fn seconds(value: &[u8]) -> Option<u32> {
    scan::number(scan::trim(value), u32::MAX)
}

/// How long a peer wants to be left alone (§20.33); its comment and duration are passed over.
#[must_use]
pub fn retry_after(value: &[u8]) -> Option<u32> {
    let (seconds, cursor) = leading(value)?;
    matches!(cursor.rest, [] | [b'(' | b';', ..]).then_some(seconds)
}

/// The number that a value begins with, and what follows it behind blanks.
pub(super) fn leading(value: &[u8]) -> Option<(u32, Cursor<'_>)> {
    let mut cursor = Cursor::new(scan::trim(value));
    let digits = cursor.take_while(|byte| byte.is_ascii_digit());
    cursor.skip_blanks();
    Some((scan::number(digits, u32::MAX)?, cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_digits_and_nothing_else() {
        assert_eq!(seconds(b" 3600 "), Some(3600));
        assert_eq!(seconds(b"4294967295"), Some(u32::MAX));
        for value in ["", "4294967296", "-1", "1.5", "60;x", "1 2", "Thu, 01 Dec 1994 16:00:00 GMT"]
        {
            assert_eq!(seconds(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn the_reasons_to_retry_later_are_passed_over() {
        // RFC 3261 §20.33.
        assert_eq!(retry_after(b"18000;duration=3600"), Some(18_000));
        assert_eq!(retry_after(b"120 (I'm in a meeting)"), Some(120));
        assert_eq!(retry_after(b"5"), Some(5));
        for value in ["", "x", "(a)", "5x", "5 6"] {
            assert_eq!(retry_after(value.as_bytes()), None, "{value}");
        }
    }
}
