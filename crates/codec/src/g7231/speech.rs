//! What encoder and decoder of G.723.1 have in common: spectra, and the excitation in whole numbers.
//!
//! Both sides keep the excitation in the same arithmetic: two that differ ever so little drift apart on a
//! tone, and it becomes loud.

use oxideav_g7231::qdec::{lsp_decode, lsp_stability};
use oxideav_g7231::spec_tables::{
    ADAPTIVE_CODEBOOK_GAIN_5P3, ADAPTIVE_CODEBOOK_GAIN_6P3, FIXED_CODEBOOK_GAIN_Q15,
    LSP_DC_PREDICTED_FREQ_Q15, PITCH_1TAP_LTP_GAIN, PITCH_1TAP_LTP_SELECTOR,
};

use super::frame::{PULSES, Parameters, Rate, slots_of};
use super::{ORDER, PART, PARTS};

/// The longest delay, and what its five taps reach beyond it.
pub(super) const PAST: usize = 146;
pub(super) const DELAY_MIN: i32 = 18;
pub(super) const DELAY_MAX: i32 = 142;
/// A delay below has a list of gains of its own at 6.3 kbit/s, and may have trains of pulses.
pub(super) const SHORT_DELAY: i32 = 58;
pub(super) const GAINS: u32 = 24;
/// Lines of a spectrum are at least so far apart (§2.6: 31.25 Hz).
const APART: i16 = 256;

/// Lines, as parts of 32,768 of 4 kHz.
pub(super) type Lines = [i16; ORDER];
/// The weights of A(z) behind the leading one.
pub(super) type Filter = [f32; ORDER];

pub(super) const fn resting_lines() -> Lines {
    LSP_DC_PREDICTED_FREQ_Q15
}

/// §2.6, §3.2.
pub(super) fn lines_of(index: u32, before: &Lines) -> Lines {
    let mut lines = lsp_decode(index & 0xff_ffff, before);
    if lsp_stability(&mut lines, APART) { lines } else { *before }
}

/// §2.7: the filters of the four parts.
pub(super) fn filters_of(before: &Lines, lines: &Lines) -> [Filter; PARTS] {
    core::array::from_fn(|part| {
        let weight = (part + 1) as f32 / PARTS as f32;
        filter_of(&core::array::from_fn(|at| {
            (1.0 - weight) * f32::from(before[at]) + weight * f32::from(lines[at])
        }))
    })
}

/// Lines to the weights of a filter.
fn filter_of(lines: &[f32; ORDER]) -> Filter {
    let (mut sum, mut difference) = ([0.0_f64; ORDER + 2], [0.0_f64; ORDER + 2]);
    (sum[0], difference[0]) = (1.0, 1.0);
    let line = |at: usize| (f64::from(lines[at]) * core::f64::consts::PI / 32_768.0).cos();
    for (degree, pair) in (0..ORDER).step_by(2).enumerate().map(|(at, pair)| (2 * at + 2, pair)) {
        for (polynomial, cosine) in [(&mut sum, line(pair)), (&mut difference, line(pair + 1))] {
            for at in (1..=degree).rev() {
                let further = if at > 1 { polynomial[at - 2] } else { 0.0 };
                polynomial[at] += further - 2.0 * cosine * polynomial[at - 1];
            }
        }
    }
    core::array::from_fn(|at| {
        let with = sum[at + 1] + sum[at];
        ((with + difference[at + 1] - difference[at]) / 2.0) as f32
    })
}

/// The list of gains for a delay, twenty numbers a row: five taps, then their products.
pub(super) fn gain_rows(rate: Rate, delay: i32) -> &'static [[i16; 20]] {
    let list: &[i16] = match rate {
        Rate::High if delay < SHORT_DELAY => &ADAPTIVE_CODEBOOK_GAIN_5P3,
        _ => &ADAPTIVE_CODEBOOK_GAIN_6P3,
    };
    list.as_chunks().0
}

/// The excitation that was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past(pub(super) [i32; PAST]);

impl Past {
    /// Eq. 41.1: the past from two before the delay on, repeated.
    pub(super) fn repeated(&self, delay: i32) -> [i32; PART + 4] {
        let delay = delay.clamp(DELAY_MIN, DELAY_MAX) as usize;
        core::array::from_fn(|at| {
            let back = if at < 2 { delay + 2 - at } else { delay - (at - 2) % delay };
            self.0[PAST - back]
        })
    }

    /// Eq. 41.2.
    pub(super) fn adaptive(&self, delay: i32, row: &[i16; 20]) -> [i32; PART] {
        let repeated = self.repeated(delay);
        core::array::from_fn(|at| {
            let sum: i64 =
                (0..5).map(|tap| i64::from(row[tap]) * i64::from(repeated[at + tap])).sum();
            ((sum + (1 << 13)) >> 14) as i32
        })
    }

    pub(super) fn push(&mut self, new: &[i32; PART]) {
        self.0.copy_within(PART.., 0);
        self.0[PAST - PART..].copy_from_slice(new);
    }

    /// §3.4, §3.5: the excitation of one part.
    pub(super) fn excite(&mut self, it: &Parameters, part: usize) -> Excited {
        let base = DELAY_MIN + it.delays[part & 2] as i32;
        let delay = if part.is_multiple_of(2) { base } else { base + it.delays[part] as i32 - 1 };
        let rows = gain_rows(it.rate, base);
        let is_short = it.rate == Rate::High && base < SHORT_DELAY;
        let word = if is_short { it.gains[part] & 0x7ff } else { it.gains[part] };
        let index = ((word / GAINS) as usize).min(rows.len() - 1);
        let gain = 2 * i32::from(FIXED_CODEBOOK_GAIN_Q15[(word % GAINS) as usize]);
        let mut fixed = [0; PART];
        match it.rate {
            Rate::High => {
                let period =
                    if is_short && it.gains[part] & 0x800 != 0 { base } else { PART as i32 };
                pulses(it, part, gain, period as usize, &mut fixed);
            }
            Rate::Low => tracks(it, part, gain, delay, index, &mut fixed),
        }
        let adaptive = self.adaptive(delay, &rows[index]);
        let sum = core::array::from_fn(|at| (adaptive[at] + fixed[at]).clamp(-32_768, 32_767));
        self.push(&sum);
        Excited { samples: sum, delay, gain }
    }
}

pub(super) struct Excited {
    pub(super) samples: [i32; PART],
    pub(super) delay: i32,
    pub(super) gain: i32,
}

/// §2.15.
fn pulses(it: &Parameters, part: usize, gain: i32, period: usize, fixed: &mut [i32; PART]) {
    let mut slots = [0; 6];
    let slots = &mut slots[..PULSES[part]];
    slots_of(it.positions[part], slots);
    for (slot, bit) in slots.iter().zip((0..PULSES[part]).rev()) {
        let pulse = if it.signs[part] >> bit & 1 == 1 { -gain } else { gain };
        let begin = 2 * slot + it.grids[part] as usize;
        (begin..PART).step_by(period).for_each(|at| fixed[at] += pulse);
    }
}

/// §2.16.
fn tracks(
    it: &Parameters,
    part: usize,
    gain: i32,
    delay: i32,
    index: usize,
    fixed: &mut [i32; PART],
) {
    for track in 0..4 {
        let slot = (it.positions[part] >> (3 * track) & 7) as usize;
        let at = 8 * slot + 2 * track + it.grids[part] as usize;
        if let Some(place) = fixed.get_mut(at) {
            *place += if it.signs[part] >> track & 1 == 1 { gain } else { -gain };
        }
    }
    let again = delay + i32::from(PITCH_1TAP_LTP_SELECTOR[index]);
    let weight = i64::from(PITCH_1TAP_LTP_GAIN[index]);
    if delay < PART as i32 && again > 0 {
        for at in again as usize..PART {
            fixed[at] += ((weight * i64::from(fixed[at - again as usize])) >> 15) as i32;
        }
    }
}
