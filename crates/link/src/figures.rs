//! What the media of a call are like: figures of both directions, in its record, and meanwhile in shared memory.
//!
//! A worker writes those of each running call every two seconds, and control reads them where it likes: so running
//! calls are shown without a question to anybody, and what a killed dataplane had counted is not lost with it. Each
//! place has a stamp, odd while it is written, with the generation of the call whose figures they are.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::CallKey;
use crate::word::{AtomicU64, Ordering, WORD_BYTES, fence, read_bytes, whole_lines, write_bytes};

/// The driver sends these packets on.
pub const SETTLED: u8 = 1;
/// Whoever hears them has said what came.
pub const REPORTED: u8 = 2;
/// The leg they come by is under keys (SRTP).
pub const SECURED: u8 = 4;
/// They go on in another codec.
pub const TRANSCODED: u8 = 8;
/// They go from end to end, and not through us.
pub const BYPASSED: u8 = 16;
/// Their clock is not one of 8 kHz, and so their jitter was not measured.
pub const NO_JITTER: u8 = 32;

/// Packets and quality of one direction of media.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MediaFigures {
    /// RTP packets received.
    pub packets: u64,
    /// RTP bytes received, headers included.
    pub bytes: u64,
    /// Of the packets those that went through a worker; the driver sent the others on.
    pub careful: u32,
    /// Packets that the sequence numbers say are missing.
    pub lost: u32,
    /// Interarrival jitter in µs (RFC 3550 §6.4.1, at 8 kHz).
    pub jitter_us: u32,
    /// From us to their sender and back, by its RTCP, smoothed, µs; 0: not known.
    pub round_trip_us: u32,
    /// Packets that whoever hears them says never came ([`REPORTED`]).
    pub far_lost: u32,
    /// The jitter it reports, µs ([`REPORTED`]).
    pub far_jitter_us: u32,
    /// Of the packets between its last two reports what never came, in 1/256 ([`REPORTED`]).
    pub far_fraction: u8,
    /// Their codec, by its number; 0: none that has one.
    pub codec: u8,
    /// [`SETTLED`] and the others, each a bit.
    pub flags: u8,
    /// Reserved; zero.
    pub spare: [u8; 5],
}

impl MediaFigures {
    /// Whether that flag is set.
    #[must_use]
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Packets that the driver sent on.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.packets.saturating_sub(self.careful.into())
    }

    /// Of all packets those that never came, percent; `None`: there were none.
    #[must_use]
    pub fn loss_percent(&self) -> Option<f64> {
        let sent = self.packets + u64::from(self.lost);
        (sent > 0).then(|| f64::from(self.lost) * 100.0 / sent as f64)
    }

    /// The transmission rating R of ITU-T G.107 as far as packets tell of it: its default values, G.711 with
    /// concealment (G.113 appendix I: Ie 0, Bpl 25.1), losses at random, and the delay of one packet, of a receiver
    /// that waits for twice the jitter, and of half the way to their sender and back where that is known. What lies
    /// behind us is not in it. `None`: there were no packets.
    #[must_use]
    pub fn rating(&self) -> Option<f64> {
        const PACKET_MS: f64 = 20.0;
        let loss = self.loss_percent()?;
        let way_ms = f64::from(self.round_trip_us) / 2e3;
        let delay_ms = PACKET_MS + 2.0 * f64::from(self.jitter_us) / 1e3 + way_ms;
        let delay = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
        Some((93.2 - delay - 95.0 * loss / (loss + 25.1)).clamp(0.0, 100.0))
    }

    /// The mean opinion that rating stands for, 1 to 4.5 (ITU-T G.107 annex B).
    #[must_use]
    pub fn mos(&self) -> Option<f64> {
        let rating = self.rating()?;
        Some((1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0))
    }

    /// Those of two streams that came one after the other: packets add up; what is true of a moment is of the later
    /// one, if it was heard at all.
    #[must_use]
    pub fn followed_by(self, later: Self) -> Self {
        let is_heard = later.packets > 0;
        let told = if later.is(REPORTED) { later } else { self };
        let either = |now: u32, before: u32| if now != 0 { now } else { before };
        Self {
            packets: self.packets.saturating_add(later.packets),
            bytes: self.bytes.saturating_add(later.bytes),
            careful: self.careful.saturating_add(later.careful),
            lost: self.lost.saturating_add(later.lost),
            jitter_us: if is_heard { later.jitter_us } else { self.jitter_us },
            round_trip_us: either(later.round_trip_us, self.round_trip_us),
            far_lost: told.far_lost,
            far_jitter_us: told.far_jitter_us,
            far_fraction: told.far_fraction,
            codec: if later.codec != 0 { later.codec } else { self.codec },
            flags: later.flags | self.flags & REPORTED,
            spare: [0; 5],
        }
    }
}

impl MediaFigures {
    /// Those of a sender who is gone, for who comes in its place: what was counted stands, what reports said of it
    /// does not.
    #[must_use]
    pub fn of_one_gone(self) -> Self {
        Self {
            round_trip_us: 0,
            far_lost: 0,
            far_jitter_us: 0,
            far_fraction: 0,
            flags: self.flags & !REPORTED,
            ..self
        }
    }
}

/// Both directions of a call: from the caller, from the callee.
pub type Both = [MediaFigures; 2];

/// Of one direction what no driver counts, for a process that finds its stream gone on without one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Apart {
    /// Packets by ports that are closed, or of processes before, that the driver's sums do not begin with.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the packets of the settled stream that were left to a worker.
    pub beside_bytes: u64,
    /// How many those are.
    pub beside: u32,
    /// Those missing among the packets by closed ports.
    pub lost: u32,
}

const FIGURES_WORDS: usize = size_of::<Both>() / WORD_BYTES;
const APART_WORDS: usize = size_of::<[Apart; 2]>() / WORD_BYTES;
const _: () = assert!(size_of::<Both>().is_multiple_of(WORD_BYTES));
const _: () = assert!(size_of::<[Apart; 2]>().is_multiple_of(WORD_BYTES));
/// A stamp, the figures, and what of them no driver counts.
const PLACE_WORDS: usize = 1 + FIGURES_WORDS + APART_WORDS;

/// Shared memory of one call's figures.
pub(crate) const PLACE_BYTES: usize = PLACE_WORDS * WORD_BYTES;

/// Words of the figures of `calls`.
pub(crate) const fn words_needed(calls: usize) -> usize {
    whole_lines(calls * PLACE_WORDS)
}

/// Readers try so often to catch figures between two writes.
const READ_ATTEMPTS: u32 = 16;
/// In a stamp: that the figures are being written. Above: how often they were; then the call's generation.
const BEING_WRITTEN: u64 = 1;

/// The figures of one worker's calls.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    words: &'static [AtomicU64],
}

impl Places {
    pub(crate) fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    fn of(&self, slot: u32) -> Option<(&'static AtomicU64, &'static [AtomicU64])> {
        let begin = (slot as usize).checked_mul(PLACE_WORDS)?;
        self.words.get(begin..begin.checked_add(PLACE_WORDS)?)?.split_first()
    }

    /// The worker's: there is one writer.
    pub(crate) fn write(&self, call: CallKey, figures: &Both, apart: &[Apart; 2]) {
        let Some((stamp, words)) = self.of(call.slot) else { return };
        let count = (stamp.load(Ordering::Relaxed) as u32 | BEING_WRITTEN as u32).wrapping_add(2);
        let open = u64::from(call.generation) << 32 | u64::from(count);
        stamp.store(open, Ordering::Relaxed);
        // Whoever sees one of the stores below also sees the odd stamp.
        fence(Ordering::Release);
        write_bytes(words, &[figures.as_bytes(), apart.as_bytes()]);
        let closed = u64::from(call.generation) << 32 | u64::from(count.wrapping_add(1));
        stamp.store(closed, Ordering::Release);
    }

    /// What was written of a call last; `None`: nothing, or its writer died in the middle of it.
    pub(crate) fn read(&self, call: CallKey) -> Option<(Both, [Apart; 2])> {
        let (stamp, words) = self.of(call.slot)?;
        for _ in 0..READ_ATTEMPTS {
            let before = stamp.load(Ordering::Acquire);
            if before == 0 || (before >> 32) as u32 != call.generation {
                return None;
            }
            if before & BEING_WRITTEN != 0 {
                continue;
            }
            let (mut figures, mut apart) = (Both::default(), [Apart::default(); 2]);
            let (of_figures, of_apart) = words.split_at(FIGURES_WORDS);
            read_bytes(of_figures, figures.as_mut_bytes());
            read_bytes(of_apart, apart.as_mut_bytes());
            fence(Ordering::Acquire);
            if stamp.load(Ordering::Relaxed) == before {
                return Some((figures, apart));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::leak;

    const NONE: [Apart; 2] =
        [Apart { packets: 0, bytes: 0, beside_bytes: 0, beside: 0, lost: 0 }; 2];

    #[test]
    fn the_mean_opinion_follows_loss_jitter_and_the_way_as_the_recommendation_says() {
        let of = |packets, lost, jitter_us, round_trip_us| MediaFigures {
            packets,
            lost,
            jitter_us,
            round_trip_us,
            ..MediaFigures::default()
        };
        // R to MOS by annex B of G.107: 93.2 is 4.41, 80 is 4.03, 50 is 2.58.
        for (figures, rating, mos) in [
            (of(1_000, 0, 0, 0), 92.7, 4.40),
            (of(970, 30, 0, 0), 82.6, 4.12),
            (of(900, 100, 0, 0), 65.7, 3.39),
            (of(500, 500, 0, 0), 29.5, 1.59),
            (of(1_000, 0, 40_000, 0), 90.8, 4.36),
            (of(1_000, 0, 0, 100_000), 91.5, 4.38),
            (of(1_000, 0, 0, 500_000), 76.5, 3.88),
            (of(0, 10, 0, 0), 16.8, 1.16),
        ] {
            let [r, m] = [figures.rating(), figures.mos()].map(Option::unwrap);
            assert!((r - rating).abs() < 0.1 && (m - mos).abs() < 0.02, "{figures:?}: {r} {m}");
        }
        let none = of(0, 0, 9, 0);
        assert_eq!((none.mos(), none.loss_percent()), (None, None));
        assert_eq!(of(970, 30, 0, 0).loss_percent(), Some(3.0));
    }

    #[test]
    fn of_streams_that_follow_each_other_packets_add_up_and_the_last_word_holds() {
        let first = MediaFigures {
            packets: 100,
            careful: 10,
            lost: 1,
            jitter_us: 500,
            round_trip_us: 30_000,
            far_fraction: 8,
            codec: 2,
            flags: REPORTED | SETTLED,
            ..MediaFigures::default()
        };
        assert_eq!(first.settled(), 90);
        let later = MediaFigures { packets: 50, careful: 50, jitter_us: 9, ..Default::default() };
        let both = first.followed_by(later);
        assert_eq!((both.packets, both.careful, both.lost, both.jitter_us), (150, 60, 1, 9));
        assert_eq!((both.round_trip_us, both.far_fraction, both.codec), (30_000, 8, 2));
        assert_eq!(both.flags, REPORTED, "what comes now goes through a worker");
        assert_eq!(first.followed_by(MediaFigures::default()).jitter_us, 500);
        let another = first.of_one_gone().followed_by(later);
        assert_eq!((another.packets, another.careful, another.lost), (150, 60, 1));
        assert_eq!((another.round_trip_us, another.far_fraction, another.flags), (0, 0, 0));
    }

    #[test]
    fn figures_are_those_of_their_call_and_of_no_other() {
        let places = Places::new(leak(words_needed(2)));
        let [one, next] = [1, 2].map(|generation| CallKey { slot: 1, generation });
        assert_eq!(places.read(one), None);
        let figures = [MediaFigures { packets: 5, ..Default::default() }; 2];
        let apart = [Apart { beside: 3, lost: 1, ..Default::default() }; 2];
        places.write(one, &figures, &apart);
        assert_eq!((places.read(one), places.read(next)), (Some((figures, apart)), None));
        places.write(next, &Both::default(), &NONE);
        assert_eq!((places.read(one), places.read(next)), (None, Some((Both::default(), NONE))));
        let nowhere = CallKey { slot: u32::MAX, generation: 1 };
        places.write(nowhere, &figures, &NONE);
        assert_eq!(places.read(nowhere), None);
    }

    #[test]
    fn of_a_writer_that_died_in_the_middle_nothing_is_read_and_its_successor_writes_whole() {
        let words = leak(words_needed(1));
        let places = Places::new(words);
        let call = CallKey { slot: 0, generation: 7 };
        places.write(call, &Both::default(), &NONE);
        words[0].fetch_add(BEING_WRITTEN, Ordering::Relaxed);
        assert_eq!(places.read(call), None);
        let figures = [MediaFigures { lost: 3, ..Default::default() }; 2];
        places.write(call, &figures, &NONE);
        assert_eq!(places.read(call), Some((figures, NONE)));
    }

    #[test]
    fn a_reader_never_sees_half_of_what_is_written() {
        let places = Places::new(leak(words_needed(1)));
        let call = CallKey { slot: 0, generation: 1 };
        let of = |number: u64| {
            let one = MediaFigures { packets: number, bytes: number, ..Default::default() };
            [one, one]
        };
        places.write(call, &of(0), &NONE);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..200_000).for_each(|number| places.write(call, &of(number), &NONE)));
            let mut last = 0;
            while last < 199_999 {
                let Some((seen, _)) = places.read(call) else { continue };
                assert_eq!(seen, of(seen[0].packets));
                assert!(seen[0].packets >= last);
                last = seen[0].packets;
            }
        });
    }
}
