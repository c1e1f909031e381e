//! A frame of speech as numbers: ITU-T G.723.1 §4, tables 5 and 6, bits from the lowest of the first octet.
//!
//! Withstands: any bytes. What no encoder may send is `None`, and is concealed as a loss.

use super::{HIGH_BYTES, LOW_BYTES, PARTS};

/// Highest pulses' position digits share a word: each is below its radix.
const DIGITS: [u32; PARTS] = [10, 9, 10, 9];
const LOW_POSITION_BITS: [u32; PARTS] = [16, 14, 16, 14];
const DELAY_BITS: [u32; PARTS] = [7, 2, 7, 2];
/// Places of one grid, of which five or six have a pulse.
const SLOTS: u32 = 30;
/// Delays above are not sent.
const DELAY_CODE_MAX: u32 = 123;

/// Pulses in each part of a frame of 6.3 kbit/s.
pub(super) const PULSES: [usize; PARTS] = [6, 5, 6, 5];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// 6.3 kbit/s: pulses anywhere on a grid.
    High,
    /// 5.3 kbit/s: four pulses on tracks.
    Low,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) rate: Rate,
    pub(super) spectrum: u32,
    pub(super) delays: [u32; PARTS],
    pub(super) gains: [u32; PARTS],
    pub(super) grids: [u32; PARTS],
    pub(super) positions: [u32; PARTS],
    pub(super) signs: [u32; PARTS],
}

impl Parameters {
    pub(super) const fn silent(rate: Rate) -> Self {
        let none = [0; PARTS];
        Self {
            rate,
            spectrum: 0,
            delays: none,
            gains: none,
            grids: none,
            positions: none,
            signs: none,
        }
    }

    /// Of 24 or of 20 bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let rate = match (bytes.first()? & 3, bytes.len()) {
            (0, HIGH_BYTES) => Rate::High,
            (1, LOW_BYTES) => Rate::Low,
            _ => return None,
        };
        let mut bits = Bits { bytes, at: 2 };
        let mut it = Self::silent(rate);
        it.spectrum = bits.take(24);
        it.delays = DELAY_BITS.map(|count| bits.take(count));
        it.gains = [12; PARTS].map(|count| bits.take(count));
        it.grids = [1; PARTS].map(|count| bits.take(count));
        if rate == Rate::Low {
            it.positions = [12; PARTS].map(|count| bits.take(count));
            it.signs = [4; PARTS].map(|count| bits.take(count));
        } else {
            bits.at += 1;
            let mut digits = bits.take(13);
            it.positions = LOW_POSITION_BITS.map(|count| bits.take(count));
            it.signs = PULSES.map(|count| bits.take(count as u32));
            for part in (0..PARTS).rev() {
                it.positions[part] |= (digits % DIGITS[part]) << LOW_POSITION_BITS[part];
                digits /= DIGITS[part];
            }
            let known = |part: usize| it.positions[part] < binomial(SLOTS, PULSES[part] as u32);
            if digits != 0 || !(0..PARTS).all(known) {
                return None;
            }
        }
        (it.delays[0] <= DELAY_CODE_MAX && it.delays[2] <= DELAY_CODE_MAX).then_some(it)
    }

    /// A frame of 6.3 kbit/s.
    pub(super) fn write(&self) -> [u8; HIGH_BYTES] {
        let (mut bytes, mut at) = ([0; HIGH_BYTES], 2);
        let mut put = |value: u32, count: u32| {
            for bit in 0..count {
                bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
                at += 1;
            }
        };
        put(self.spectrum, 24);
        (0..PARTS).for_each(|part| put(self.delays[part], DELAY_BITS[part]));
        (0..PARTS).for_each(|part| put(self.gains[part], 12));
        (0..PARTS).for_each(|part| put(self.grids[part], 1));
        put(0, 1);
        let high = |part: usize| self.positions[part] >> LOW_POSITION_BITS[part];
        put((0..PARTS).fold(0, |word, part| word * DIGITS[part] + high(part)), 13);
        (0..PARTS).for_each(|part| put(self.positions[part], LOW_POSITION_BITS[part]));
        (0..PARTS).for_each(|part| put(self.signs[part], PULSES[part] as u32));
        bytes
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, bit| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or_default();
            let set = u32::from(byte >> (self.at % 8) & 1);
            self.at += 1;
            value | set << bit
        })
    }
}

/// How many ways `few` are chosen of `many`.
fn binomial(many: u32, few: u32) -> u32 {
    (0..few).fold(1, |ways, step| ways * many.saturating_sub(step) / (step + 1))
}

/// The slots that a code stands for, upwards; as many as `slots` has room for.
pub(super) fn slots_of(mut code: u32, slots: &mut [usize]) {
    let count = slots.len() as u32;
    let mut slot = 0;
    for (place, left) in slots.iter_mut().zip((0..count).rev()) {
        while slot < SLOTS - 1 {
            let ways = binomial(SLOTS - 1 - slot, left);
            if code < ways {
                break;
            }
            code -= ways;
            slot += 1;
        }
        *place = slot as usize;
        slot += 1;
    }
}

/// The code of slots that rise.
pub(super) fn code_of(slots: &[usize]) -> u32 {
    let (mut code, mut from) = (0, 0);
    for (left, slot) in (0..slots.len() as u32).rev().zip(slots) {
        code += (from..*slot as u32).map(|at| binomial(SLOTS - 1 - at, left)).sum::<u32>();
        from = *slot as u32 + 1;
    }
    code
}
