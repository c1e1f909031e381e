//! Which packet of its stream a sequence number means (RFC 3711 §3.3.1, appendix A), and which were there
//! before (§3.3.2).
//!
//! A stream is known by its SSRC, and one leg has few: a new one takes the place of the one that was used
//! last the longest ago, once a packet of it has proven to be genuine.

/// Streams of one direction that are told apart.
pub const STREAMS: usize = 4;
/// How many of them a checkpoint keeps: those that were used last.
pub const KEPT_STREAMS: usize = 2;

/// How far behind the newest a packet may be.
const WINDOW: u64 = 128;
/// Indices have 48 bits.
const INDEX_END: u64 = 1 << 48;
const HALF_TURN: u64 = 1 << 15;
const TURN: u64 = 1 << 16;
/// What a checkpoint says may be so much newer than what arrives first after it.
const LATE_MAX: u64 = 1_024;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Whose.
    pub ssrc: u32,
    /// The highest index: 2^16 times the roll-over counter and the sequence number. Below 2^48.
    pub index: u64,
}

/// What of a direction a restart must remember, beside its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its streams.
    pub streams: [Option<Position>; KEPT_STREAMS],
    /// The highest index of SRTCP that was sent.
    pub rtcp: u32,
}

#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    highest: u64,
    /// Bit n: `highest` − n was here.
    window: u128,
    /// It comes from a checkpoint, which may be old, and has not been heard since.
    is_old: bool,
    used: u64,
}

/// The streams of one direction.
pub(crate) struct Streams {
    streams: [Option<Stream>; STREAMS],
    /// Counts uses, so that the oldest is known.
    clock: u64,
    /// There were others, of which nothing is known any more.
    has_forgotten: bool,
}

impl Streams {
    pub(crate) const fn new() -> Self {
        Self { streams: [None; STREAMS], clock: 0, has_forgotten: false }
    }

    pub(crate) fn restore(kept: &[Option<Position>; KEPT_STREAMS]) -> Self {
        // Of fewer nothing was left out.
        let has_forgotten = kept.iter().all(Option::is_some);
        let mut streams = Self { has_forgotten, ..Self::new() };
        for position in kept.iter().rev().flatten() {
            let highest = position.index % INDEX_END;
            let at = streams.place(position.ssrc);
            streams.clock += 1;
            let (ssrc, used) = (position.ssrc, streams.clock);
            let stream = Stream { ssrc, highest, window: 0, is_old: true, used };
            streams.streams[at] = Some(stream);
        }
        streams
    }

    pub(crate) fn kept(&self) -> [Option<Position>; KEPT_STREAMS] {
        let mut newest = self.streams;
        newest.sort_unstable_by_key(|stream| core::cmp::Reverse(stream.map_or(0, |it| it.used)));
        core::array::from_fn(|at| {
            newest[at].map(|stream| Position { ssrc: stream.ssrc, index: stream.highest })
        })
    }

    fn find(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().flatten().find(|stream| stream.ssrc == ssrc)
    }

    /// Whether a stream may be one of which nothing is known any more.
    pub(crate) fn may_be_forgotten(&self, ssrc: u32) -> bool {
        self.has_forgotten && !self.knows(ssrc)
    }

    pub(crate) fn knows(&self, ssrc: u32) -> bool {
        self.find(ssrc).is_some()
    }

    /// Where a stream stands, or is to stand.
    fn place(&self, ssrc: u32) -> usize {
        let rank = |at: &usize| match self.streams[*at] {
            Some(stream) if stream.ssrc == ssrc => (0, 0),
            None => (1, 0),
            Some(stream) => (2, stream.used),
        };
        (0..STREAMS).min_by_key(rank).unwrap_or(0)
    }

    /// The index that a sequence number most likely means.
    pub(crate) fn guess(&self, ssrc: u32, sequence: u16) -> u64 {
        let sequence = u64::from(sequence);
        let Some(stream) = self.find(ssrc) else { return sequence };
        let highest = stream.highest;
        if stream.is_old {
            // It went on since, by less than a turn: a checkpoint is written each half turn.
            let least = highest.saturating_sub(LATE_MAX);
            let index = least & !(TURN - 1) | sequence;
            return if index < least { index + TURN } else { index };
        }
        let index = highest & !(TURN - 1) | sequence;
        if index + HALF_TURN < highest {
            index + TURN
        } else if index > highest + HALF_TURN && index >= TURN {
            index - TURN
        } else {
            index
        }
    }

    /// What else it may mean: where more than half a turn was lost, or a checkpoint is older than it seems.
    pub(crate) fn neighbours(&self, ssrc: u32, guess: u64) -> impl Iterator<Item = u64> + use<> {
        let stream = self.find(ssrc);
        let after = stream.map(|_| guess + TURN).filter(|&index| index < INDEX_END);
        let before = stream.filter(|stream| stream.is_old).and_then(|_| guess.checked_sub(TURN));
        after.into_iter().chain(before)
    }

    /// Whether no packet of that index was here, as far as is known.
    pub(crate) fn is_new(&self, ssrc: u32, index: u64) -> bool {
        let Some(stream) = self.find(ssrc) else { return index < INDEX_END };
        match stream.highest.checked_sub(index) {
            None => index < INDEX_END,
            Some(0) if stream.is_old => false,
            Some(behind) => behind < WINDOW && stream.window >> behind & 1 == 0,
        }
    }

    /// Whether a packet of that index is known to have been here.
    pub(crate) fn was_here(&self, ssrc: u32, index: u64) -> bool {
        let behind = self.find(ssrc).and_then(|stream| stream.highest.checked_sub(index));
        behind.is_some_and(|behind| behind < WINDOW) && !self.is_new(ssrc, index)
    }

    /// A genuine packet of that index was here. Whether a half turn began, of which a checkpoint must know.
    pub(crate) fn note(&mut self, ssrc: u32, index: u64) -> bool {
        let at = self.place(ssrc);
        self.clock += 1;
        let used = self.clock;
        let begun = Stream { ssrc, highest: index, window: 1, is_old: false, used };
        let before = self.streams[at].filter(|stream| stream.ssrc == ssrc);
        let Some(before) = before else {
            self.has_forgotten |= self.streams[at].is_some();
            self.streams[at] = Some(begun);
            // Of a stream that it does not know a checkpoint says the right thing: the first turn.
            return index >= TURN;
        };
        let (highest, window) = match index.checked_sub(before.highest) {
            Some(further) if further < WINDOW => (index, before.window << further | 1),
            Some(_) => (index, 1),
            None => {
                let behind = before.highest - index;
                let bit = if behind < WINDOW { 1 << behind } else { 0 };
                (before.highest, before.window | bit)
            }
        };
        self.streams[at] = Some(Stream { ssrc, highest, window, is_old: false, used });
        highest / HALF_TURN != before.highest / HALF_TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Streams {
        let mut streams = Streams::new();
        streams.note(7, index);
        streams
    }

    #[test]
    fn a_sequence_number_means_the_index_nearest_to_the_highest() {
        for (highest, sequence, index) in [
            (0, 1, 1),
            (5, 65_535, 65_535),
            (65_535, 0, 65_536),
            (65_530, 65_000, 65_000),
            (65_540, 65_530, 65_530),
            (3 * TURN + 40_000, 10, 4 * TURN + 10),
            (3 * TURN + 10, 40_000, 2 * TURN + 40_000),
            (3 * TURN + 10, 32_778, 3 * TURN + 32_778),
        ] {
            assert_eq!(at(highest).guess(7, sequence), index, "{highest} {sequence}");
        }
        assert_eq!(at(3 * TURN).guess(8, 9), 9, "another stream begins in its first turn");
    }

    #[test]
    fn after_a_restart_a_stream_has_gone_on_by_less_than_a_turn() {
        let kept = [Some(Position { ssrc: 7, index: 3 * TURN + 5 }), None];
        let streams = Streams::restore(&kept);
        for (sequence, index) in [
            (6, 3 * TURN + 6),
            (50_000, 3 * TURN + 50_000),
            (65_535, 2 * TURN + 65_535),
            (64_000, 3 * TURN + 64_000),
        ] {
            assert_eq!(streams.guess(7, sequence), index, "{sequence}");
        }
        assert_eq!(streams.kept(), kept);
        let near: Vec<u64> = streams.neighbours(7, 3 * TURN).collect();
        assert_eq!(near, [4 * TURN, 2 * TURN]);
    }

    #[test]
    fn what_was_here_is_not_new_and_neither_is_what_is_too_old() {
        let mut streams = at(1_000);
        streams.note(7, 1_003);
        for (index, is_new) in [
            (1_003, false),
            (1_002, true),
            (1_000, false),
            (876, true),
            (875, false),
            (1_004, true),
            (INDEX_END, false),
        ] {
            assert_eq!(streams.is_new(7, index), is_new, "{index}");
        }
        streams.note(7, 1_002);
        assert!(!streams.is_new(7, 1_002));
        streams.note(7, 9_000);
        assert!(streams.is_new(7, 8_999) && !streams.is_new(7, 1_004));
    }

    #[test]
    fn the_stream_that_was_used_last_the_longest_ago_gives_way() {
        let mut streams = Streams::new();
        for ssrc in [1, 2, 3, 4, 1, 5] {
            streams.note(ssrc, 9);
        }
        let known: Vec<u32> = (1..=5).filter(|&ssrc| streams.find(ssrc).is_some()).collect();
        assert_eq!(known, [1, 3, 4, 5]);
        assert_eq!(streams.kept().map(|it| it.unwrap().ssrc), [5, 1]);
    }

    #[test]
    fn each_half_turn_is_told() {
        let mut streams = at(65_000);
        let told: Vec<u64> = (65_001..200_000).filter(|&index| streams.note(7, index)).collect();
        assert_eq!(told, [65_536, 98_304, 131_072, 163_840, 196_608]);
    }
}
