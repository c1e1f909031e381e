//! A part of a text, kept small.

/// A part of a text shorter than 64 KiB, by its offsets: a quarter of a slice. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: u16,
    end: u16,
}

impl Span {
    /// No part.
    pub(crate) const NOTHING: Self = Self { at: 0, end: 0 };

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
