//! The places of the controls of a text, NUL to CR, one after the other: what its lines are found by.
//!
//! They are found for a word of places at once, before anybody knows where a line ends, so that no line
//! waits for the one before it. That is worth more time than instructions.

use super::block::{BLOCK_BYTES, Block};

/// How many bytes one word has places for.
const WORD_BYTES: usize = 4 * BLOCK_BYTES;

/// How far a text is told. The text itself is given with each question, so that this is two words.
#[derive(Clone, Copy)]
pub(crate) struct Controls {
    base: usize,
    /// Those of the bytes from `base` on that are still to be told.
    places: u64,
}

impl Controls {
    /// Those from a place on.
    #[inline(always)]
    pub(crate) fn from(text: &[u8], at: usize) -> Self {
        Self { base: at, places: controls_at(text, at) }
    }

    /// The next; the end of the text when there is none.
    #[inline(always)]
    pub(crate) fn next(&mut self, text: &[u8]) -> usize {
        while self.places == 0 {
            self.base = self.base.wrapping_add(WORD_BYTES);
            if self.base >= text.len() {
                return text.len();
            }
            self.places = controls_at(text, self.base);
        }
        let place = self.base.wrapping_add(self.places.trailing_zeros() as usize);
        self.skip_one();
        place
    }

    /// The next from that place on, which is left to be told.
    #[inline(always)]
    pub(crate) fn peek(&mut self, text: &[u8], at: usize) -> usize {
        loop {
            while self.places == 0 {
                self.base = self.base.wrapping_add(WORD_BYTES);
                if self.base >= text.len() {
                    return text.len();
                }
                self.places = controls_at(text, self.base);
            }
            let place = self.base.wrapping_add(self.places.trailing_zeros() as usize);
            if place >= at {
                return place;
            }
            self.skip_one();
        }
    }

    /// Leaves the next one out if it is already found.
    #[inline(always)]
    pub(crate) const fn skip_one(&mut self) {
        self.places &= self.places.wrapping_sub(1);
    }
}

#[inline(always)]
fn controls_at(text: &[u8], at: usize) -> u64 {
    match text.get(at..).and_then(<[u8]>::first_chunk) {
        Some(word) => controls_of(word),
        None => last_controls(text, at),
    }
}

/// The same where fewer bytes are left than a word has places.
fn last_controls(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    let mut word = [b' '; WORD_BYTES];
    if let Some(room) = word.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    controls_of(&word)
}

#[inline(always)]
fn controls_of(word: &[u8; WORD_BYTES]) -> u64 {
    let (blocks, _) = word.as_chunks();
    let [a, b, c, d] = blocks else { return 0 };
    let [a, b, c, d] = [a, b, c, d].map(|block| u64::from(Block::new(block).up_to(b'\r')));
    a | b << 16 | c << 32 | d << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_is_told_once_and_in_its_order() {
        for length in [0, 1, 15, 16, 63, 64, 65, 127, 128, 200] {
            for step in [1, 2, 3, 31, 64, 70] {
                let byte = |at: usize| if at.is_multiple_of(step) { b'\r' } else { b' ' };
                let text: Vec<u8> = (0..length).map(byte).collect();
                for start in [0, 1, 17, 64] {
                    let mut controls = Controls::from(&text, start);
                    for at in (start..length).filter(|at| at.is_multiple_of(step)) {
                        assert_eq!(controls.next(&text), at, "{length} {step} {start}");
                    }
                    assert!(controls.next(&text) >= length, "{length} {step} {start}");
                }
            }
        }
    }
}
