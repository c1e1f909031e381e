//! Keys that are heard as tones (ITU-T Q.23), for legs that send them no other way.
//!
//! The samples are cut into blocks of 12.75 ms; in each the energy at the eight frequencies is measured (Goertzel). One of
//! either group, loud enough, each far above the rest of its group, with nearly all that is heard: that is a key, once two blocks in
//! a row say so, as long as ITU-T Q.24 wants a key to last at least. Two blocks without it end it. Speech has more than two
//! frequencies, and does not hold them.
//!
//! Withstands: losses (a block does not span them), keys that last over a loss, twist of 8 dB and 4 dB (Q.24), noise 20 dB below.

use codec::g711;
use wire::rtp::{self, Rtp};

use crate::Table;
use crate::flow::{Owner, Pressed, Way};
use crate::port::Port;
use crate::table::KEYS_MAX;

/// Directions in which tones are listened for at a time; of one beyond no key is heard.
pub(crate) const DETECTORS_MAX: usize = 1_024;

/// Samples of a block at 8 kHz.
const BLOCK: u32 = 102;
/// Hz of the rows, then of the columns.
const FREQUENCIES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];
/// A tone below −36 dBm0 is none (Q.24 annex A: −24 to −29, and a margin), as the power of full scale.
const LOUD: f32 = 0.000_08;
/// The high group may be so much below the low one, 8 dB, and so much above it, 4 dB.
const TWIST: f32 = 6.3;
const REVERSE_TWIST: f32 = 2.5;
/// How far the others of a group stay below.
const APART: f32 = 6.3;
/// What part of all that is heard the two tones are.
const PURE: f32 = 0.75;

/// The two tones of a key, Hz.
pub(crate) fn frequencies(key: u8) -> Option<[f32; 2]> {
    let row = KEYS.iter().position(|row| row.contains(&key))?;
    let column = KEYS[row].iter().position(|&other| other == key)?;
    Some([FREQUENCIES[row], FREQUENCIES[4 + column]])
}

/// The keys of one direction. Nothing in it is allocated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detector {
    /// The filters' last two values.
    filters: [[f32; 2]; 8],
    energy: f32,
    filled: u32,
    /// What the last block said.
    last: Option<u8>,
    /// The key that is being heard, and for how many blocks it was not.
    held: Option<u8>,
    missed: u8,
    /// Which packet is next, and of whom.
    next: Option<(u32, u16)>,
}

/// All detectors, and which are nobody's.
pub(crate) struct Detectors {
    all: Box<[Detector]>,
    free: Vec<u16>,
}

impl Detectors {
    pub(crate) fn new() -> Self {
        let all = vec![Detector::default(); DETECTORS_MAX].into_boxed_slice();
        Self { all, free: (0..DETECTORS_MAX as u16).rev().collect() }
    }

    pub(crate) fn taken(&self) -> usize {
        self.all.len() - self.free.len()
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }
}

impl Table {
    /// Whether keys are heard in the tones that arrive at a port; G.711 alone is listened to.
    pub fn set_inband(&mut self, port: Port, inband: bool) {
        let port = port.rtp();
        let Some(flow) = self.open_at(port) else { return };
        match (flow.inband, inband) {
            (None, true) => {
                let Some(place) = self.detectors.free.pop() else { return };
                if let Some(detector) = self.detectors.all.get_mut(usize::from(place)) {
                    *detector = Detector::default();
                }
                self.set_detector(port, Some(place));
            }
            (Some(place), false) => {
                self.detectors.free.push(place);
                self.set_detector(port, None);
            }
            _ => {}
        }
    }

    fn set_detector(&mut self, port: Port, place: Option<u16>) {
        if let Some(flow) = self.open_flow(port) {
            flow.inband = place;
            self.change_one(port);
        }
    }

    /// The keys that begin in this packet.
    #[cold]
    pub(crate) fn hear_tones(&mut self, place: u16, port: Port, owner: Owner, packet: &[u8]) {
        let (Some(head), Some(body)) = (rtp::parse(packet), rtp::body(packet)) else { return };
        let decode = match head.payload_type {
            0 => g711::from_mu_law,
            8 => g711::from_a_law,
            _ => return,
        };
        let Some(detector) = self.detectors.all.get_mut(usize::from(place)) else { return };
        if !detector.follows(&head) {
            return;
        }
        let pressed = &mut self.pressed;
        detector.hear(body.iter().map(|&code| decode(code)), |key| {
            if pressed.len() < KEYS_MAX {
                pressed.push_back(Pressed { owner, port, key, way: Way::Tone });
            }
        });
    }
}

impl Detector {
    /// Hears the samples of a packet, and tells each key once.
    pub(crate) fn hear(&mut self, samples: impl Iterator<Item = i16>, mut tell: impl FnMut(u8)) {
        let weights = FREQUENCIES.map(|hz| 2.0 * (core::f32::consts::TAU * hz / 8_000.0).cos());
        for sample in samples {
            let sample = f32::from(sample) / 32_768.0;
            for (filter, weight) in self.filters.iter_mut().zip(weights) {
                let next = sample + weight * filter[0] - filter[1];
                *filter = [next, filter[0]];
            }
            self.energy += sample * sample;
            self.filled += 1;
            if self.filled == BLOCK {
                let heard = self.judge(weights);
                if let Some(key) = self.take(heard) {
                    tell(key);
                }
            }
        }
    }

    /// Whether a packet is the next to be heard, or one behind others that are lost; late ones are not.
    fn follows(&mut self, head: &Rtp) -> bool {
        let next = (head.ssrc, head.sequence.wrapping_add(1));
        match self.next {
            Some((ssrc, expected)) if ssrc == head.ssrc => {
                let ahead = head.sequence.wrapping_sub(expected);
                if ahead >= u16::MAX / 2 {
                    return false;
                }
                if ahead > 0 {
                    self.skip();
                }
            }
            Some(_) => self.skip(),
            None => {}
        }
        self.next = Some(next);
        true
    }

    /// Packets are missing: what was begun is worth nothing. A key that is held may still be.
    pub(crate) fn skip(&mut self) {
        self.begin_block();
        self.last = None;
    }

    fn begin_block(&mut self) {
        (self.filters, self.energy, self.filled) = ([[0.0; 2]; 8], 0.0, 0);
    }

    /// The key of a block that is full.
    fn judge(&mut self, weights: [f32; 8]) -> Option<u8> {
        let mut powers = [0.0; 8];
        for ((power, [one, two]), weight) in powers.iter_mut().zip(self.filters).zip(weights) {
            *power = one * one + two * two - weight * one * two;
        }
        let energy = self.energy;
        self.begin_block();
        let (rows, columns) = powers.split_at(4);
        let ((row, low), (column, high)) = (loudest(rows)?, loudest(columns)?);
        let block = BLOCK as f32;
        // A tone of amplitude A has the power (A·n/2)² here and the energy A²·n/2.
        let least = LOUD * block * block / 4.0;
        let is_key = low >= least
            && high >= least
            && low <= high * TWIST
            && high <= low * REVERSE_TWIST
            && low + high >= PURE * energy * block / 2.0;
        is_key.then(|| KEYS[row][column])
    }

    /// The key that begins with this block.
    fn take(&mut self, heard: Option<u8>) -> Option<u8> {
        let twice = heard.filter(|_| heard == self.last);
        self.last = heard;
        if self.held.is_some() && heard == self.held {
            self.missed = 0;
            return None;
        }
        self.missed = self.missed.saturating_add(1);
        if self.missed >= 2 {
            self.held = None;
        }
        let begun = twice.filter(|_| self.held.is_none())?;
        (self.held, self.missed) = (Some(begun), 0);
        Some(begun)
    }
}

/// The loudest of a group and its power, if the others are far enough below it.
fn loudest(group: &[f32]) -> Option<(usize, f32)> {
    let (place, power) =
        group.iter().copied().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let alone = group.iter().enumerate().all(|(at, other)| at == place || other * APART <= power);
    alone.then_some((place, power))
}

#[cfg(test)]
mod tests {
    use codec::g711;
    use proptest::prelude::*;

    use super::*;

    const TWENTY_MS: usize = 160;

    /// Both tones of a key at these levels of full scale.
    fn key(key: u8, samples: usize, levels: [f32; 2], off: f32) -> Vec<i16> {
        let row = KEYS.iter().position(|row| row.contains(&key)).unwrap();
        let column = KEYS[row].iter().position(|other| *other == key).unwrap();
        let tones = [FREQUENCIES[row] * off, FREQUENCIES[4 + column] * off];
        let sample = |at: usize| {
            let turn = core::f32::consts::TAU * at as f32 / 8_000.0;
            let [low, high] = [0, 1].map(|tone| (turn * tones[tone]).sin() * levels[tone]);
            ((low + high) * 32_767.0) as i16
        };
        (0..samples).map(sample).collect()
    }

    fn heard(detector: &mut Detector, samples: &[i16]) -> String {
        let mut keys = String::new();
        for packet in samples.chunks(TWENTY_MS) {
            // As it comes over the wire.
            let packet = packet.iter().map(|&it| g711::from_a_law(g711::to_a_law(it)));
            detector.hear(packet, |key| keys.push(char::from(key)));
        }
        keys
    }

    #[test]
    fn every_key_is_heard_once_however_long_it_is_pressed() {
        for length in [320, 400, 800, 8_000] {
            let mut detector = Detector::default();
            let mut samples = Vec::new();
            for one in KEYS.as_flattened() {
                samples.extend(key(*one, length, [0.2, 0.2], 1.0));
                samples.extend(vec![0; 400]);
            }
            assert_eq!(heard(&mut detector, &samples), "123A456B789C*0#D", "{length}");
        }
    }

    #[test]
    fn the_same_key_twice_is_two_keys_and_another_at_once_is_another() {
        let mut samples = key(b'5', 480, [0.2, 0.2], 1.0);
        samples.extend(vec![0; 480]);
        samples.extend(key(b'5', 480, [0.2, 0.2], 1.0));
        samples.extend(key(b'9', 480, [0.2, 0.2], 1.0));
        assert_eq!(heard(&mut Detector::default(), &samples), "559");
    }

    #[test]
    fn levels_twist_and_frequencies_within_the_recommendation_are_heard_and_others_not() {
        let told = |levels: [f32; 2], off: f32| {
            heard(&mut Detector::default(), &key(b'7', 800, levels, off)) == "7"
        };
        // −3 and −29 dBm0, 7 dB one way, 3 dB the other.
        for levels in [[0.45, 0.45], [0.025, 0.025], [0.2, 0.09], [0.1, 0.14]] {
            assert!(told(levels, 1.0), "{levels:?}");
        }
        for levels in [[0.2, 0.0], [0.0, 0.2], [0.003, 0.003], [0.2, 0.05], [0.05, 0.2]] {
            assert!(!told(levels, 1.0), "{levels:?}");
        }
        for (off, expected) in [(1.015, true), (0.985, true), (1.05, false), (0.95, false)] {
            assert_eq!(told([0.2, 0.2], off), expected, "{off}");
        }
    }

    #[test]
    fn noise_twenty_decibels_below_hides_no_key() {
        let mut state = 1_u32;
        let mut samples = Vec::new();
        for one in b"0123456789" {
            samples.extend(key(*one, 480, [0.2, 0.2], 1.0));
            samples.extend(vec![0; 480]);
        }
        for sample in &mut samples {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = sample.saturating_add(((state >> 16) as i16) / 20);
        }
        assert_eq!(heard(&mut Detector::default(), &samples), "0123456789");
    }

    #[test]
    fn what_sweeps_or_has_many_tones_is_no_key() {
        let voiced: Vec<i16> = (0..80_000)
            .map(|at| {
                let turn = core::f32::consts::TAU * at as f32 / 8_000.0;
                let pitch = 120.0 + 40.0 * (turn / 3.0).sin();
                let sum: f32 =
                    (1..20).map(|over| (turn * pitch * over as f32).sin() / over as f32).sum();
                (sum * 6_000.0) as i16
            })
            .collect();
        assert_eq!(heard(&mut Detector::default(), &voiced), "");
    }

    #[test]
    fn a_key_that_lasts_over_a_loss_is_one_key() {
        let mut detector = Detector::default();
        let tone = key(b'3', 1_600, [0.2, 0.2], 1.0);
        let mut keys = heard(&mut detector, &tone[..640]);
        detector.skip();
        keys += &heard(&mut detector, &tone[800..]);
        assert_eq!(keys, "3");
    }

    proptest! {
        #[test]
        fn noise_is_hardly_ever_a_key(samples in prop::collection::vec(any::<i16>(), 0..4_000)) {
            prop_assert_eq!(heard(&mut Detector::default(), &samples), "");
        }
    }
}
