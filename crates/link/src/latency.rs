//! How long decisions take: a histogram of microseconds in the shared words.
//!
//! Eight buckets an octave, so that a value is told to within 12.5 %; below 8 µs each microsecond has
//! its own. From 2²⁴ µs (16.8 s) on everything is one bucket. The worker records, control reads.

use crate::word::{AtomicU64, Ordering, whole_lines};

/// Buckets of the histogram.
pub const BUCKETS: usize = (OCTAVES - STEP_BITS + 1) as usize * STEPS;

const STEP_BITS: u32 = 3;
const STEPS: usize = 1 << STEP_BITS;
const OCTAVES: u32 = 24;

/// Words of a histogram.
#[must_use]
pub const fn words_needed() -> usize {
    whole_lines(BUCKETS)
}

/// A worker's round trips to control.
#[derive(Clone, Copy)]
pub struct Latency {
    buckets: &'static [AtomicU64],
}

impl Latency {
    /// The histogram in `words`; `None` when they are too few.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64]) -> Option<Self> {
        Some(Self { buckets: words.get(..BUCKETS)? })
    }

    /// Worker: one more round trip.
    pub fn record(&self, us: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            // One writer: no other store can come between the two.
            bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Every bucket that counted something: the largest value in µs that falls into it, and how many
    /// did. The last bucket also holds all that is longer.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        counts
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .map(|(bucket, count)| (largest_of(bucket), count))
    }

    /// Forgets all: a new dataplane begins with this.
    pub fn reset(&self) {
        for bucket in self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << OCTAVES) - 1);
    let octave = (us | 1).ilog2().max(STEP_BITS) - STEP_BITS;
    let step = (us >> octave) as usize;
    octave as usize * STEPS + step
}

fn largest_of(bucket: usize) -> u64 {
    let (octave, step) = match bucket / STEPS {
        0 | 1 => (0, bucket),
        octaves => (octaves - 1, STEPS + bucket % STEPS),
    };
    ((step as u64 + 1) << octave) - 1
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word;

    #[test]
    fn a_bucket_tells_a_value_to_within_an_eighth() {
        let mut us = 0;
        while us < 1 << OCTAVES {
            let told = largest_of(bucket_of(us));
            assert!(told >= us && told - us <= us / 8, "{us} is told as {told}");
            us += 1 + us / 97;
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(largest_of(bucket)), bucket);
            assert_eq!(bucket_of(largest_of(bucket) + 1), (bucket + 1).min(BUCKETS - 1));
        }
    }

    #[test]
    fn what_was_recorded_is_read_and_a_time_out_of_range_is_in_the_last_bucket() {
        let words = word::leak(words_needed());
        let latency = Latency::attach(words).unwrap();
        for us in [5, 5, 1_000, u64::MAX] {
            latency.record(us);
        }
        let control = Latency::attach(words).unwrap();
        assert_eq!(
            control.iter().collect::<Vec<_>>(),
            [(5, 2), (1_023, 1), ((1 << OCTAVES) - 1, 1)]
        );
        latency.reset();
        assert_eq!(control.iter().count(), 0);
    }
}
