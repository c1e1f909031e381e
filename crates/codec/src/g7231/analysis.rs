//! What the encoder of G.723.1 finds out about speech: its spectrum (§2.4, §2.5) and its delay (§2.9, §2.11).
//!
//! The steps follow the Recommendation as `oxideav-g7231` (MIT, `crates/codec/LICENSE-oxideav`) reads it.

use oxideav_g7231::spec_tables::{
    LPC_BANDWIDTH_EXPANSION_Q15, LPC_BINOMIAL_LAG_WINDOW_Q15, LPC_HAMMING_WINDOW_Q15, LspBand,
    lsp_codebook_entry,
};

use super::speech::{DELAY_MAX, DELAY_MIN, Filter, Lines, resting_lines};
use super::{ORDER, PART};

/// Samples under a window.
pub(super) const WINDOW: usize = 180;
/// Weighted speech that is kept: the longest delay, and three.
pub(super) const HEARD: usize = 145;
/// Points at which a polynomial's sign is looked at.
const GRID: usize = 512;
/// 1.25 dB.
const SHORTER_BY: f32 = 1.333_521_4;

/// §2.4: the filter that predicts what is under the window.
pub(super) fn predictor(samples: &[f32]) -> Filter {
    let mut windowed = [0.0_f64; WINDOW];
    for ((place, sample), weight) in windowed.iter_mut().zip(samples).zip(LPC_HAMMING_WINDOW_Q15) {
        *place = f64::from(*sample) * f64::from(weight) / 32_768.0;
    }
    let mut alike = [0.0; ORDER + 1];
    for (apart, place) in alike.iter_mut().enumerate() {
        *place = windowed[apart..].iter().zip(&windowed).map(|(one, other)| one * other).sum();
    }
    alike[0] *= 1_025.0 / 1_024.0;
    for (value, weight) in alike[1..].iter_mut().zip(LPC_BINOMIAL_LAG_WINDOW_Q15) {
        *value *= f64::from(weight) / 32_768.0;
    }
    let (mut weights, mut left) = ([0.0; ORDER], alike[0]);
    for at in 0..ORDER {
        if left <= 0.0 {
            break;
        }
        let before = weights;
        let sum: f64 = (0..at).map(|step| before[step] * alike[at - step]).sum();
        let reflection = -(alike[at + 1] + sum) / left;
        if reflection.is_nan() || reflection.abs() >= 1.0 {
            break;
        }
        weights[at] = reflection;
        for step in 0..at {
            weights[step] = before[step] + reflection * before[at - 1 - step];
        }
        left *= 1.0 - reflection * reflection;
    }
    weights.map(|weight| weight as f32)
}

/// §2.5: the lines of a filter, whose peaks are made a little wider; none where they cannot be told apart.
pub(super) fn lines(filter: &Filter) -> Option<[f32; ORDER]> {
    let weight =
        |at: usize| f64::from(filter[at]) * f64::from(LPC_BANDWIDTH_EXPANSION_Q15[at]) / 32_768.0;
    let mut polynomials = [[1.0_f64; ORDER / 2 + 1]; 2];
    for at in 0..ORDER / 2 {
        let (one, other) = (weight(at), weight(ORDER - 1 - at));
        polynomials[0][at + 1] = one + other - polynomials[0][at];
        polynomials[1][at + 1] = one - other + polynomials[1][at];
    }
    let mut found = [0.0; ORDER];
    for (odd, polynomial) in polynomials.iter().enumerate() {
        let value = |turn: f64| -> f64 {
            let twice = 2.0 * turn.cos();
            let (mut next, mut further) = (0.0, 0.0);
            for weight in &polynomial[..ORDER / 2] {
                (next, further) = (weight + twice * next - further, next);
            }
            polynomial[ORDER / 2] / 2.0 + twice / 2.0 * next - further
        };
        let step = core::f64::consts::PI / GRID as f64;
        let (mut at, mut before) = (odd, value(0.0));
        for point in 1..=GRID {
            let now = value(point as f64 * step);
            if before * now <= 0.0 && at < ORDER {
                let (mut low, mut high) = ((point - 1) as f64 * step, point as f64 * step);
                for _ in 0..12 {
                    let middle = (low + high) / 2.0;
                    if value(middle) * before > 0.0 { low = middle } else { high = middle }
                }
                found[at] = ((low + high) / core::f64::consts::TAU * 32_768.0) as f32;
                at += 2;
            }
            before = now;
        }
        if at < ORDER {
            return None;
        }
    }
    found.is_sorted().then_some(found)
}

/// §2.5: the three rows that come nearest, a byte each.
pub(super) fn quantize(lines: &[f32; ORDER], before: &Lines) -> u32 {
    let rest = resting_lines();
    let wanted: [f32; ORDER] = core::array::from_fn(|at| {
        let rest = f32::from(rest[at]);
        lines[at] - rest - 0.375 * (f32::from(before[at]) - rest)
    });
    let weights: [f32; ORDER] = core::array::from_fn(|at| {
        let below = if at > 0 { lines[at] - lines[at - 1] } else { f32::INFINITY };
        let above = lines.get(at + 1).map_or(f32::INFINITY, |next| next - lines[at]);
        1.0 / below.min(above).max(1.0)
    });
    LspBand::ALL.into_iter().fold(0, |word, band| {
        let (begin, count) = band.start_and_length();
        let off = |index: u8| -> f32 {
            let row = lsp_codebook_entry(band, index).iter().zip(begin..begin + count);
            row.map(|(value, at)| weights[at] * (wanted[at] - f32::from(*value)).powi(2)).sum()
        };
        let mut best = (0, f32::INFINITY);
        for index in 0..=u8::MAX {
            let off = off(index);
            if off < best.1 {
                best = (index, off);
            }
        }
        word << 8 | u32::from(best.0)
    })
}

/// §2.9: the delay of half a frame, by and large; `begin`: where the half does in `heard`.
pub(super) fn open_delay(heard: &[f32], begin: usize) -> i32 {
    let now = &heard[begin..begin + 2 * PART];
    let mut best = (DELAY_MIN, 0.0);
    for delay in DELAY_MIN..=DELAY_MAX {
        let score = likeness(now, &heard[begin - delay as usize..]).0;
        let needed = if delay - best.0 < DELAY_MIN { best.1 } else { best.1 * SHORTER_BY };
        if score > needed {
            best = (delay, score);
        }
    }
    best.0
}

/// How much of `now` what was `then` explains, and by which factor; 0: nothing.
fn likeness(now: &[f32], then: &[f32]) -> (f32, f32) {
    let (mut alike, mut energy) = (0.0, 0.0);
    for (now, then) in now.iter().zip(then) {
        alike += now * then;
        energy += then * then;
    }
    if alike > 0.0 && energy > 0.0 { (alike * alike / energy, alike / energy) } else { (0.0, 0.0) }
}

/// §2.11: noise is let be where speech repeats itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Harmonics {
    pub(super) delay: usize,
    pub(super) weight: f32,
}

impl Harmonics {
    pub(super) fn find(heard: &[f32], begin: usize, open: i32) -> Self {
        let now = &heard[begin..begin + PART];
        let (mut best, mut it) = (0.0, Self { delay: DELAY_MIN as usize, weight: 0.0 });
        for delay in (open - 3).max(DELAY_MIN) as usize..=((open + 3) as usize).min(HEARD) {
            let (score, factor) = likeness(now, &heard[begin - delay..]);
            if score > best {
                (best, it) = (score, Self { delay, weight: 0.3125 * factor.clamp(0.0, 1.0) });
            }
        }
        let energy: f32 = now.iter().map(|sample| sample * sample).sum();
        // Two decibels.
        if best < 0.369_042_6 * energy {
            it.weight = 0.0;
        }
        it
    }
}
