//! A number in normal form.
//!
//! Percent-decoded, URI parameters split off, visual separators removed (RFC 3966 §5.1.1), one
//! leading `+` or international prefix dropped. What remains is 1 to 32 digits, letters, `#`, `*`.

use std::fmt;

/// Longest number, in characters.
pub(crate) const NUMBER_BYTES_MAX: usize = 32;

/// A number that lists, prefixes and rates may see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    bytes: [u8; NUMBER_BYTES_MAX],
    length: u8,
}

/// Why text is no number; the caller hears 484.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFault {
    /// Nothing remains.
    Empty,
    /// More than [`NUMBER_BYTES_MAX`] characters remain.
    TooLong,
    /// A character that no number has, or a broken escape.
    BadCharacter,
}

impl fmt::Display for NumberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the number is empty",
            Self::TooLong => "the number is longer than 32 characters",
            Self::BadCharacter => "the number has a character that numbers do not have",
        })
    }
}

impl std::error::Error for NumberFault {}

impl Number {
    /// Of no character, and before every other.
    pub(crate) const NONE: Self = Self { bytes: [0; NUMBER_BYTES_MAX], length: 0 };

    /// The normal form of a URI's user part. `international` lists prefixes that mean `+`, like
    /// `00`; the longest that matches is dropped, if the number has no `+`.
    ///
    /// # Errors
    /// When nothing usable remains.
    pub fn normal(user: &[u8], international: &[&str]) -> Result<Self, NumberFault> {
        // Room for the prefix that is dropped: the limit is on what remains.
        let mut plain = [0; 2 * NUMBER_BYTES_MAX];
        let mut length = 0;
        let mut bytes = user.iter().copied();
        let mut first = true;
        let mut plus = false;
        while let Some(byte) = bytes.next() {
            let byte = if byte == b'%' { unescape(&mut bytes)? } else { byte };
            match byte {
                b';' => break,
                b'-' | b'.' | b'(' | b')' | b' ' => continue,
                b'+' if first => plus = true,
                _ if is_number_byte(byte) => {
                    *plain.get_mut(length).ok_or(NumberFault::TooLong)? = byte;
                    length += 1;
                }
                _ => return Err(NumberFault::BadCharacter),
            }
            first = false;
        }
        let plain = plain.get(..length).unwrap_or_default();
        let prefixes = international.iter().filter(|_| !plus);
        let rests = prefixes.filter_map(|prefix| plain.strip_prefix(prefix.as_bytes()));
        Self::new(rests.min_by_key(|rest| rest.len()).unwrap_or(plain))
    }

    /// A number that is in normal form already.
    ///
    /// # Errors
    /// When it is not.
    pub fn new(text: &[u8]) -> Result<Self, NumberFault> {
        let mut number = Self { bytes: [0; NUMBER_BYTES_MAX], length: 0 };
        for byte in text {
            if !is_number_byte(*byte) {
                return Err(NumberFault::BadCharacter);
            }
            number.push(*byte)?;
        }
        if number.length == 0 { Err(NumberFault::Empty) } else { Ok(number) }
    }

    fn push(&mut self, byte: u8) -> Result<(), NumberFault> {
        let room = self.bytes.get_mut(usize::from(self.length)).ok_or(NumberFault::TooLong)?;
        *room = byte;
        self.length += 1;
        Ok(())
    }

    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its characters as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'#' || byte == b'*' || byte == b'_'
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NumberFault> {
    let mut digit = || {
        let byte = bytes.next().ok_or(NumberFault::BadCharacter)?;
        char::from(byte).to_digit(16).ok_or(NumberFault::BadCharacter)
    };
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).map_err(|_| NumberFault::BadCharacter)
}

/// Its length and last two digits: a log is no directory.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        let tail = text.get(text.len().saturating_sub(2)..).unwrap_or_default();
        write!(f, "Number({} characters, …{tail})", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Result<String, NumberFault> {
        Number::normal(text.as_bytes(), &["00", "011"]).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn what_people_and_peers_write_comes_out_alike() {
        for text in [
            "441130",
            "+441130",
            "00441130",
            "011441130",
            "+44-11.30",
            "(44)1130",
            "44%31130",
            "441130;rn=123;npdi",
        ] {
            assert_eq!(normal(text).as_deref(), Ok("441130"), "{text}");
        }
        assert_eq!(normal("9%2388").as_deref(), Ok("9#88"));
    }

    #[test]
    fn only_one_international_prefix_is_dropped() {
        assert_eq!(normal("+0044").as_deref(), Ok("0044"));
        assert_eq!(normal("0000").as_deref(), Ok("00"));
    }

    #[test]
    fn the_limit_is_on_what_remains() {
        let longest = "1".repeat(NUMBER_BYTES_MAX);
        for text in [longest.clone(), format!("+{longest}"), format!("00{longest}")] {
            assert_eq!(normal(&text).as_ref(), Ok(&longest));
            assert_eq!(normal(&format!("{text}1")), Err(NumberFault::TooLong));
        }
    }

    #[test]
    fn the_longest_international_prefix_is_dropped_in_whichever_order_they_stand() {
        for prefixes in [["0", "00", ""], ["", "00", "0"]] {
            assert_eq!(Number::normal(b"0044", &prefixes).unwrap().as_str(), "44");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        assert_eq!(normal(""), Err(NumberFault::Empty));
        assert_eq!(normal("00"), Err(NumberFault::Empty));
        assert_eq!(normal("+"), Err(NumberFault::Empty));
        assert_eq!(normal(&"1".repeat(33)), Err(NumberFault::TooLong));
        for text in ["44 \u{e9}", "44%", "44%3", "44%zz", "4+4", "44%00", "a@b"] {
            assert_eq!(normal(text), Err(NumberFault::BadCharacter), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_normal_number_stays_as_it_is(bytes: Vec<u8>) {
            if let Ok(number) = Number::normal(&bytes, &[]) {
                proptest::prop_assert_eq!(Number::new(number.as_bytes()), Ok(number));
            }
        }
    }
}
