//! The memory that everything here lies in: 64-bit words that two processes may touch at once.
//!
//! Under loom the words are loom's, so that the rings themselves, and not a model of them, are tried
//! in every interleaving.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::fence;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::fence;
#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a word.
pub const WORD_BYTES: usize = 8;

/// Words of two cache lines: what different cores write stands so far apart, because the processor
/// fetches lines in pairs.
pub(crate) const LINE_WORDS: usize = 16;

/// Words of this process alone, all zero, that live as long as it does: for rings between threads,
/// for the simulator and for tests. Call it at boot only.
#[must_use]
pub fn leak(words: usize) -> &'static [AtomicU64] {
    let memory: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(0)).collect();
    Box::leak(memory.into_boxed_slice())
}

/// Words that hold `bytes` bytes.
pub(crate) const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}

/// `words` rounded up to whole lines, so that the next part begins on an own one.
pub(crate) const fn whole_lines(words: usize) -> usize {
    words.div_ceil(LINE_WORDS) * LINE_WORDS
}

/// Copies `parts`, one after the other, into `words`; the last word is filled up with zeros.
///
/// Nobody may rely on these words until an index that covers them was published with `Release`.
/// What does not fit is left out: callers check lengths first.
pub(crate) fn write_bytes(words: &[AtomicU64], parts: &[&[u8]]) {
    let mut at = words.iter();
    let mut store = |bytes: [u8; WORD_BYTES]| {
        if let Some(word) = at.next() {
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
    };
    let mut carry = [0; WORD_BYTES];
    let mut held = 0;
    for part in parts {
        let mut rest = *part;
        if held > 0 {
            let taken = rest.len().min(WORD_BYTES - held);
            carry[held..held + taken].copy_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            held += taken;
            if held < WORD_BYTES {
                continue;
            }
            store(carry);
        }
        let (whole, tail) = rest.as_chunks::<WORD_BYTES>();
        for bytes in whole {
            store(*bytes);
        }
        held = tail.len();
        carry = [0; WORD_BYTES];
        carry[..held].copy_from_slice(tail);
    }
    if held > 0 {
        store(carry);
    }
}

/// Copies bytes out of `words` until `out` is full or the words end.
pub(crate) fn read_bytes(words: &[AtomicU64], out: &mut [u8]) {
    for (bytes, word) in out.chunks_mut(WORD_BYTES).zip(words) {
        let value = word.load(Ordering::Relaxed).to_ne_bytes();
        bytes.copy_from_slice(&value[..bytes.len()]);
    }
}

/// Writes text, cut to `words` and filled up with zeros.
pub(crate) fn write_text(words: &[AtomicU64], text: &str) {
    const ZEROS: &[u8] = &[0; 128];
    write_bytes(words, &[text.as_bytes(), ZEROS]);
}

/// Reads text up to the first zero; bytes that are no UTF-8 are replaced.
pub(crate) fn read_text(words: &[AtomicU64]) -> String {
    let mut bytes = vec![0; words.len() * WORD_BYTES];
    read_bytes(words, &mut bytes);
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cut_anywhere_into_parts_come_back_whole() {
        let bytes: Vec<u8> = (1..=29).collect();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let words = leak(words_for(bytes.len()));
                write_bytes(words, &[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                let mut out = vec![0; bytes.len()];
                read_bytes(words, &mut out);
                assert_eq!(out, bytes);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let words = leak(2);
        write_bytes(&words[..1], &[&[0xff; 16]]);
        assert_eq!(words[1].load(Ordering::Relaxed), 0);
    }
}
