//! The notice board: a few lines of text that the dataplane hangs out for `status`.
//!
//! What it found at boot and control cannot know: which kind of NIC, in which mode, on which
//! interface. One writer; a line being replaced may be read half old and half new, which the next
//! look mends, so nothing is decided by it.

use crate::word::{AtomicU64, read_text, words_for, write_text};

/// Most lines on the board.
pub const LINES_MAX: usize = 64;

/// Longest name of a line in bytes; a longer one is cut.
pub const NAME_BYTES_MAX: usize = 40;

/// Longest text of a line in bytes; a longer one is cut.
pub const TEXT_BYTES_MAX: usize = 88;

const NAME_WORDS: usize = words_for(NAME_BYTES_MAX);
const NOTICE_WORDS: usize = NAME_WORDS + words_for(TEXT_BYTES_MAX);

/// Words of the board.
#[must_use]
pub const fn words_needed() -> usize {
    LINES_MAX * NOTICE_WORDS
}

/// The board.
#[derive(Clone, Copy)]
pub struct Board {
    notices: &'static [AtomicU64],
}

impl Board {
    /// The board in `words`; `None` when they are too few.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64]) -> Option<Self> {
        Some(Self { notices: words.get(..words_needed())? })
    }

    /// Replaces the whole board by (name, text) lines. Those past [`LINES_MAX`] are left out.
    pub fn replace<'a>(&self, lines: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut lines = lines.into_iter();
        for notice in self.notices.chunks_exact(NOTICE_WORDS) {
            let (name, text) = lines.next().unwrap_or_default();
            let (name_words, text_words) = notice.split_at(NAME_WORDS);
            write_text(name_words, name);
            write_text(text_words, text);
        }
    }

    /// The lines that have a name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let notices = self.notices.chunks_exact(NOTICE_WORDS);
        notices
            .map(|notice| notice.split_at(NAME_WORDS))
            .map(|(name, text)| (read_text(name), read_text(text)))
            .filter(|(name, _)| !name.is_empty())
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word;

    #[test]
    fn a_new_board_takes_the_place_of_the_old_one() {
        let words = word::leak(words_needed());
        let board = Board::attach(words).unwrap();
        board.replace([("nic", "afxdp, zero-copy"), ("tgb0", "native"), ("tgb1", "generic")]);
        board.replace([("nic", "udp"), ("tgb0", &"x".repeat(100))]);
        let lines: Vec<_> = Board::attach(words).unwrap().iter().collect();
        let long = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(lines, [("nic".into(), "udp".into()), ("tgb0".into(), long)]);
    }
}
