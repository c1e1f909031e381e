//! What comes back: which packet of which call, in order or not, once or twice, and whole.

use wire::datagram;

use crate::capture::Capture;
use crate::clones::Clones;
use crate::frame::Kind;

/// Packets behind the newest that are still told from each other.
const WINDOW: u16 = 128;

/// A packet of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of which call.
    pub call: u64,
    /// Of which stream.
    pub stream: u32,
    /// Of which of the [`Ear::places`].
    pub place: usize,
    /// Its number.
    pub sequence: u16,
    /// Whether it comes for the first time; one that is too old to tell does not.
    pub is_first: bool,
}

/// What a frame was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// RTP of this replay.
    Rtp(Found),
    /// A datagram whose checksums do not hold, or that is none.
    Broken,
    /// Anything else.
    Other,
}

/// What was heard of one stream, all calls together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets, each counted once.
    pub received: u64,
    /// Of them behind one that was sent later.
    pub reordered: u64,
    /// Packets that had come already.
    pub duplicates: u64,
    /// Packets of a call that its slot has left behind, or too old to tell.
    pub old: u64,
    /// Packets whose payload is not what was sent.
    pub changed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    call: u64,
    begun: bool,
    highest: u16,
    /// A bit for each packet that came, the newest lowest.
    seen: u128,
}

enum Fate {
    First,
    Reordered,
    Duplicate,
    Old,
}

impl Place {
    fn take(&mut self, call: u64, sequence: u16, begins_again: bool) -> Fate {
        if self.begun && call < self.call {
            return Fate::Old;
        }
        if !self.begun || call > self.call {
            *self = Self { call, begun: true, highest: sequence, seen: 1 };
            return Fate::First;
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead != 0 && ahead < 0x8000 {
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = sequence;
            return Fate::First;
        }
        let behind = self.highest.wrapping_sub(sequence);
        let bit = 1_u128.checked_shl(behind.into()).unwrap_or(0);
        if behind < WINDOW && self.seen & bit == 0 {
            self.seen |= bit;
            return Fate::Reordered;
        }
        if begins_again {
            *self = Self { call, begun: true, highest: sequence, seen: 1 };
            return Fate::First;
        }
        if behind < WINDOW { Fate::Duplicate } else { Fate::Old }
    }
}

/// Recognises packets of a replay, whatever addresses they come with.
#[derive(Debug)]
pub struct Ear {
    clones: Clones,
    /// Sources as captured, with their streams, ascending: for replays that keep them.
    sources: Vec<(u32, u32)>,
    places: Vec<Place>,
    totals: Vec<Totals>,
    broken: u64,
    others: u64,
}

impl Ear {
    /// For these calls of this capture.
    #[must_use]
    pub fn new(capture: &Capture, clones: &Clones) -> Self {
        let streams = capture.streams();
        let mut sources: Vec<(u32, u32)> =
            streams.iter().zip(0..).map(|(stream, number)| (stream.source, number)).collect();
        sources.sort_unstable();
        Self {
            clones: clones.clone(),
            sources,
            places: vec![Place::default(); clones.slots() as usize * streams.len()],
            totals: vec![Totals::default(); streams.len()],
            broken: 0,
            others: 0,
        }
    }

    /// Streams of slots.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// What was heard of each stream.
    #[must_use]
    pub fn totals(&self) -> &[Totals] {
        &self.totals
    }

    /// Frames whose checksums did not hold.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Frames that were not of this replay.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Takes a frame that came. Of sources that are kept only one call at a time can be told.
    pub fn hear(&mut self, capture: &Capture, frame: &[u8]) -> Heard {
        let datagram = match datagram::parse(frame) {
            Ok(datagram) => datagram,
            Err(datagram::Fault::BadIpChecksum | datagram::Fault::BadUdpChecksum) => {
                self.broken += 1;
                return Heard::Broken;
            }
            Err(_) => {
                self.others += 1;
                return Heard::Other;
            }
        };
        let said = datagram.payload(frame);
        let ports = [datagram.source.port(), datagram.destination.port()];
        let found = match Kind::of(said, ports) {
            Kind::Rtp { source, sequence } => self.whose(source).map(|whose| (whose, sequence)),
            _ => None,
        };
        let Some(((call, stream), sequence)) = found else {
            self.others += 1;
            return Heard::Other;
        };
        let slot = self.clones.slot(call) as usize;
        let place = slot * self.totals.len() + stream as usize;
        let first = capture.streams().get(stream as usize).map(|stream| stream.first_sequence);
        let begins_again = self.clones.is_verbatim() && first == Some(sequence);
        let (Some(at), Some(totals)) =
            (self.places.get_mut(place), self.totals.get_mut(stream as usize))
        else {
            self.others += 1;
            return Heard::Other;
        };
        let fate = at.take(call, sequence, begins_again);
        match fate {
            Fate::First => totals.received += 1,
            Fate::Reordered => {
                totals.received += 1;
                totals.reordered += 1;
            }
            Fate::Duplicate => totals.duplicates += 1,
            Fate::Old => totals.old += 1,
        }
        let is_first = matches!(fate, Fate::First | Fate::Reordered);
        if is_first && !is_as_sent(capture, stream, sequence, said) {
            totals.changed += 1;
        }
        Heard::Rtp(Found { call, stream, place, sequence, is_first })
    }

    fn whose(&self, source: u32) -> Option<(u64, u32)> {
        if let Some((call, stream)) = self.clones.whose(source) {
            return ((stream as usize) < self.totals.len()).then_some((call, stream));
        }
        let place = self.sources.partition_point(|&(known, _)| known < source);
        let &(known, stream) = self.sources.get(place)?;
        (known == source).then_some((0, stream))
    }
}

/// Whether all but the source is what was sent.
fn is_as_sent(capture: &Capture, stream: u32, sequence: u16, said: &[u8]) -> bool {
    capture.numbered(stream, sequence).any(|frame| {
        let sent = capture.said(frame);
        sent.len() == said.len()
            && sent.get(..8) == said.get(..8)
            && sent.get(12..) == said.get(12..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(sequences: &[u16]) -> String {
        let mut place = Place::default();
        let letter = |&sequence: &u16| match place.take(0, sequence, false) {
            Fate::First => 'f',
            Fate::Reordered => 'r',
            Fate::Duplicate => 'd',
            Fate::Old => 'o',
        };
        sequences.iter().map(letter).collect()
    }

    #[test]
    fn every_packet_is_told_from_those_before() {
        assert_eq!(fates(&[5, 6, 8, 7, 7, 9]), "fffrdf");
        assert_eq!(fates(&[0xfffe, 0xffff, 0, 2, 1]), "ffffr", "over the end of the numbers");
        assert_eq!(fates(&[1_000, 2_000, 1_500]), "ffo", "too old to tell");
    }

    #[test]
    fn a_slot_leaves_its_older_calls_behind() {
        let mut place = Place::default();
        assert!(matches!(place.take(3, 9, false), Fate::First));
        assert!(matches!(place.take(7, 9, false), Fate::First));
        assert!(matches!(place.take(3, 10, false), Fate::Old));
    }
}
