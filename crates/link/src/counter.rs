//! Named counters of a worker: names and values lie in the shared words.
//!
//! The dataplane names its counters once at boot, so control lists them without knowing what a worker
//! counts. One writer per counter; a reader sees each value whole, never two of them at one moment.

use crate::layout::LayoutError;
use crate::word::{AtomicU64, LINE_WORDS, Ordering, read_text, whole_lines, words_for, write_text};

/// Most counters of a worker.
pub const COUNTERS_MAX: usize = 256;

/// Longest name in bytes.
pub const NAME_BYTES_MAX: usize = 40;

const NAME_WORDS: usize = words_for(NAME_BYTES_MAX);

/// Words of a block of counters.
#[must_use]
pub const fn words_needed() -> usize {
    LINE_WORDS + whole_lines(COUNTERS_MAX) + COUNTERS_MAX * NAME_WORDS
}

/// The counters of one worker.
#[derive(Clone, Copy)]
pub struct Counters {
    used: &'static AtomicU64,
    values: &'static [AtomicU64],
    names: &'static [AtomicU64],
}

impl Counters {
    /// The counters in `words`; `None` when they are too few.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64]) -> Option<Self> {
        let (head, rest) = words.split_at_checked(LINE_WORDS)?;
        let (values, rest) = rest.split_at_checked(whole_lines(COUNTERS_MAX))?;
        Some(Self {
            used: head.first()?,
            values: values.get(..COUNTERS_MAX)?,
            names: rest.get(..COUNTERS_MAX * NAME_WORDS)?,
        })
    }

    /// Names all counters from now on, in order, each at zero. Refuses more than [`COUNTERS_MAX`] and
    /// names that are empty, or longer than [`NAME_BYTES_MAX`], or no ASCII.
    pub fn name_all<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), LayoutError> {
        // A reader in between sees no counters at all, rather than values under wrong names.
        self.used.store(0, Ordering::Release);
        let mut used = 0;
        for name in names {
            let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.is_ascii();
            let slot = self.names.get(used * NAME_WORDS..(used + 1) * NAME_WORDS);
            let (true, Some(slot), Some(value)) = (fits, slot, self.values.get(used)) else {
                return Err(LayoutError::Counter { index: used });
            };
            write_text(slot, name);
            value.store(0, Ordering::Relaxed);
            used += 1;
        }
        self.used.store(used as u64, Ordering::Release);
        Ok(())
    }

    /// Worker: adds to one counter. An index that nobody named counts nowhere.
    pub fn add(&self, index: usize, count: u64) {
        if let Some(value) = self.values.get(index) {
            // One writer: no other store can come between the two, and a plain add costs no lock.
            value.store(value.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }

    /// Worker: replaces a value that is counted elsewhere.
    pub fn set(&self, index: usize, value: u64) {
        if let Some(word) = self.values.get(index) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// The value of one counter; 0 for one that nobody named.
    #[must_use]
    pub fn value(&self, index: usize) -> u64 {
        self.values.get(index).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// Every counter with its name, in the order they were named.
    pub fn iter(&self) -> impl Iterator<Item = (String, u64)> + use<> {
        let used = usize::try_from(self.used.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let names = self.names.chunks_exact(NAME_WORDS);
        names
            .zip(self.values)
            .take(used)
            .map(|(name, value)| (read_text(name), value.load(Ordering::Relaxed)))
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word;

    fn counters() -> Counters {
        Counters::attach(word::leak(words_needed())).unwrap()
    }

    #[test]
    fn the_other_side_reads_names_and_values_without_knowing_them() {
        let words = word::leak(words_needed());
        let worker = Counters::attach(words).unwrap();
        worker.name_all(["frames_received", "sip_messages"]).unwrap();
        worker.add(1, 5);
        worker.add(1, 2);
        worker.set(0, 9);
        let control = Counters::attach(words).unwrap();
        let seen: Vec<_> = control.iter().collect();
        assert_eq!(seen, [("frames_received".into(), 9), ("sip_messages".into(), 7)]);
    }

    #[test]
    fn naming_again_begins_at_zero_and_forgets_the_old_names() {
        let counters = counters();
        counters.name_all(["a", "b"]).unwrap();
        counters.add(0, 1);
        counters.name_all(["c"]).unwrap();
        assert_eq!(counters.iter().collect::<Vec<_>>(), [("c".into(), 0)]);
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let counters = counters();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "é", &long] {
            assert_eq!(counters.name_all(["a", name]), Err(LayoutError::Counter { index: 1 }));
        }
        let many = std::iter::repeat_n("a", COUNTERS_MAX + 1);
        assert_eq!(counters.name_all(many), Err(LayoutError::Counter { index: COUNTERS_MAX }));
        counters.name_all([&long[1..]]).unwrap();
        assert_eq!(counters.iter().next(), Some((long[1..].into(), 0)));
    }

    #[test]
    fn an_index_that_nobody_named_counts_nowhere() {
        let counters = counters();
        counters.add(COUNTERS_MAX, 1);
        assert_eq!(counters.value(COUNTERS_MAX), 0);
    }

    #[test]
    fn a_count_of_names_that_nobody_wrote_lists_no_more_than_there_are() {
        let words = word::leak(words_needed());
        words[0].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(Counters::attach(words).unwrap().iter().count(), COUNTERS_MAX);
    }
}
