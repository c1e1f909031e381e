//! Short text of bounded length, in place.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Up to `N` bytes of text inside a fixed-size message. All bytes past the length are zero.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Text<const N: usize> {
    length: [u8; 2],
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self { length: [0; 2], bytes: [0; N] };

    /// `None` when `bytes` is longer than `N`: text is refused, never cut.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut text = Self::EMPTY;
        text.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        text.length = u16::try_from(bytes.len()).ok()?.to_ne_bytes();
        Some(text)
    }

    /// The first `N` bytes of `bytes`, for display fields where a cut does no harm.
    #[must_use]
    pub fn cut(bytes: &[u8]) -> Self {
        let end = bytes.len().min(N);
        Self::new(bytes.get(..end).unwrap_or_default()).unwrap_or(Self::EMPTY)
    }

    /// The text. A length that no writer of ours could have written reads as the full field.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let length = usize::from(u16::from_ne_bytes(self.length)).min(N);
        self.bytes.get(..length).unwrap_or_default()
    }

    /// The text for people: invalid UTF-8 is replaced.
    #[must_use]
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        // What is sound, as nearly all is, is found to be so in one go.
        let bytes = self.as_bytes();
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Into::into)
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

/// Its length only: the text may be a subscriber's number.
impl<const N: usize> std::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_does_not_fit_is_refused_and_never_cut() {
        assert!(Text::<4>::new(b"12345").is_none());
        assert_eq!(Text::<4>::new(b"1234").unwrap().as_bytes(), b"1234");
        assert_eq!(Text::<4>::cut(b"12345").as_bytes(), b"1234");
    }

    #[test]
    fn a_length_nobody_wrote_reads_as_the_full_field() {
        let text = Text::<4>::read_from_bytes(&[0xff, 0xff, b'a', b'b', b'c', b'd']).unwrap();
        assert_eq!(text.as_bytes(), b"abcd");
    }
}
