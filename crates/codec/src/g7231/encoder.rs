//! The encoder of G.723.1 at 6.3 kbit/s: ITU-T G.723.1 §2, with the tables of `oxideav-g7231`.
//!
//! Its steps are those of that crate (MIT, `crates/codec/LICENSE-oxideav`). It differs in what keeps a tone a
//! tone, and in what a packet path needs:
//!
//! - The excitation is kept in the decoder's own arithmetic (`speech.rs`).
//! - Gains by which an error could grow from frame to frame are not taken (§2.17's reason, not its letter).
//! - Pulses are placed on correlations, which are corrected for each pulse, not on a signal.
//! - Nothing is allocated.

use oxideav_g7231::spec_tables::{
    FIXED_CODEBOOK_GAIN_Q15, PERCEPTUAL_POLE_Q15, PERCEPTUAL_ZERO_Q15, TAMING_GAIN_5P3,
    TAMING_GAIN_6P3,
};

use super::analysis::{HEARD, Harmonics, WINDOW, lines, open_delay, predictor, quantize};
use super::frame::{PULSES, Parameters, Rate, code_of};
use super::speech::{
    DELAY_MIN, Filter, GAINS, Lines, PAST, Past, SHORT_DELAY, filters_of, gain_rows, lines_of,
    resting_lines,
};
use super::{FRAME_SAMPLES, HIGH_BYTES, ORDER, PART, PARTS};

/// The part before a frame, the frame, and the part behind it.
const SPEECH: usize = FRAME_SAMPLES + 2 * PART;
/// The longest delay that has a code at the begin of a half.
const DELAY_SENT_MAX: i32 = DELAY_MIN + 123;
/// An error may become so many times as large before gains are held down.
const ERROR_MAX: f32 = 40.0;
/// A gain of one in the table of gains by which errors grow.
const GAIN_OF_ONE: i16 = 8_192;

/// 8 kHz in, frames out, 7.5 ms late.
#[derive(Clone, Debug)]
pub struct Encoder {
    speech: [f32; SPEECH],
    /// Of the high-pass: what came last, and what left.
    highpass: [f32; 2],
    lines: Lines,
    unquantized: [f32; ORDER],
    /// §2.8: past inputs, past outputs.
    weighting: [[f32; ORDER]; 2],
    heard: [f32; HEARD],
    past: Past,
    ringing: Ringing,
    /// How much an error may have grown in each part of the past.
    errors: [f32; 3],
}

/// §2.12: what the filters still say of what was.
#[derive(Clone, Copy, Debug)]
struct Ringing {
    synthesis: [f32; ORDER],
    weighted: [f32; ORDER],
    harmonics: [f32; HEARD],
}

/// The filters of one part.
struct Filters {
    synthesis: Filter,
    zeros: Filter,
    poles: Filter,
    harmonics: Harmonics,
}

/// What a search of pulses found.
#[derive(Clone, Copy)]
struct Found {
    slots: [usize; 6],
    is_negative: [bool; 6],
    grid: usize,
    gain: usize,
    is_train: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            speech: [0.0; SPEECH],
            highpass: [0.0; 2],
            lines: resting_lines(),
            unquantized: resting_lines().map(f32::from),
            weighting: [[0.0; ORDER]; 2],
            heard: [0.0; HEARD],
            past: Past([0; PAST]),
            ringing: Ringing::NONE,
            errors: [1.0; 3],
        }
    }
}

impl Encoder {
    /// One frame.
    #[must_use]
    pub fn encode(&mut self, samples: &[i16; FRAME_SAMPLES]) -> [u8; HIGH_BYTES] {
        self.listen(samples);
        let mut found = [[0.0; ORDER]; PARTS];
        for (part, place) in found.iter_mut().enumerate() {
            *place = predictor(&self.speech[part * PART..part * PART + WINDOW]);
        }
        if let Some(lines) = lines(&found[PARTS - 1]) {
            self.unquantized = lines;
        }
        let mut sent = Parameters::silent(Rate::High);
        sent.spectrum = quantize(&self.unquantized, &self.lines);
        let before = self.lines;
        self.lines = lines_of(sent.spectrum, &before);
        let synthesis = filters_of(&before, &self.lines);

        let shaped = |filter: &Filter, weights: &[i16; ORDER]| -> Filter {
            core::array::from_fn(|at| filter[at] * f32::from(weights[at]) / 32_768.0)
        };
        let mut heard = [0.0; HEARD + FRAME_SAMPLES];
        heard[..HEARD].copy_from_slice(&self.heard);
        for (part, filter) in found.iter().enumerate() {
            let zeros = shaped(filter, &PERCEPTUAL_ZERO_Q15);
            let poles = shaped(filter, &PERCEPTUAL_POLE_Q15);
            for at in part * PART..(part + 1) * PART {
                heard[HEARD + at] =
                    weigh(self.speech[PART + at], &zeros, &poles, &mut self.weighting);
            }
        }
        self.heard.copy_from_slice(&heard[FRAME_SAMPLES..]);
        let open = [0, 1].map(|half| open_delay(&heard, HEARD + half * 2 * PART));
        for part in 0..PARTS {
            let begin = HEARD + part * PART;
            let filters = Filters {
                synthesis: synthesis[part],
                zeros: shaped(&found[part], &PERCEPTUAL_ZERO_Q15),
                poles: shaped(&found[part], &PERCEPTUAL_POLE_Q15),
                harmonics: Harmonics::find(&heard, begin, open[part / 2]),
            };
            let Harmonics { delay, weight } = filters.harmonics;
            let wanted =
                core::array::from_fn(|at| heard[begin + at] - weight * heard[begin + at - delay]);
            self.part(&mut sent, part, open[part / 2], &wanted, &filters);
        }
        sent.write()
    }

    /// §2.2, §2.3.
    fn listen(&mut self, samples: &[i16; FRAME_SAMPLES]) {
        self.speech.copy_within(FRAME_SAMPLES.., 0);
        for (place, sample) in self.speech[SPEECH - FRAME_SAMPLES..].iter_mut().zip(samples) {
            let [came, left] = self.highpass;
            let sample = f32::from(*sample);
            *place = sample - came + left * 127.0 / 128.0;
            self.highpass = [sample, *place];
        }
    }

    /// §2.13 to §2.19.
    fn part(
        &mut self,
        sent: &mut Parameters,
        part: usize,
        open: i32,
        wanted: &[f32; PART],
        filters: &Filters,
    ) {
        let rings = { self.ringing }.run(&[0.0; PART], filters);
        let target: [f32; PART] = core::array::from_fn(|at| wanted[at] - rings[at]);
        let mut pulse = [0.0; PART];
        pulse[0] = 1.0;
        let response = { Ringing::NONE }.run(&pulse, filters);

        let base = DELAY_MIN + sent.delays[part & 2] as i32;
        let (low, high) = match part % 2 {
            0 => ((open - 1).max(DELAY_MIN), (open + 1).min(DELAY_SENT_MAX)),
            _ => ((base - 1).max(DELAY_MIN), (base + 2).min(DELAY_SENT_MAX)),
        };
        let low = low.min(high);
        let (mut best, mut best_score) = ((low, 0), 0.0);
        for delay in low..=high {
            let base = if part.is_multiple_of(2) { delay } else { base };
            let (row, score) = self.row(delay, base, &target, &response);
            if score > best_score {
                (best, best_score) = ((delay, row), score);
            }
        }
        let (delay, row) = best;
        sent.delays[part] =
            (if part.is_multiple_of(2) { delay - DELAY_MIN } else { delay - base + 1 }) as u32;
        let base = DELAY_MIN + sent.delays[part & 2] as i32;
        let adaptive = self.past.adaptive(delay, &gain_rows(Rate::High, base)[row]);
        let adaptive = through(&adaptive.map(|sample| sample as f32), &response);
        let rest = core::array::from_fn(|at| target[at] - adaptive[at]);
        let found = find_pulses(&rest, &response, PULSES[part], base);

        sent.grids[part] = found.grid as u32;
        sent.positions[part] = code_of(&found.slots[..PULSES[part]]);
        sent.signs[part] = found.is_negative[..PULSES[part]]
            .iter()
            .fold(0, |word, negative| word << 1 | u32::from(*negative));
        sent.gains[part] = row as u32 * GAINS + found.gain as u32;
        if found.is_train {
            sent.gains[part] |= 0x800;
        }
        let excited = self.past.excite(sent, part);
        self.ringing.run(&excited.samples.map(|sample| sample as f32), filters);
        let grown = 1.0 + growth(base, row) * self.error_at(delay);
        self.errors = [self.errors[1], self.errors[2], grown.min(1e9)];
    }

    /// The gains by which the past, so much delayed, is most like `target`, and how much of it that is.
    fn row(
        &self,
        delay: i32,
        base: i32,
        target: &[f32; PART],
        response: &[f32; PART],
    ) -> (usize, f32) {
        let repeated = self.past.repeated(delay);
        let heard: [[f32; PART]; 5] = core::array::from_fn(|tap| {
            through(&core::array::from_fn(|at| repeated[at + tap] as f32), response)
        });
        let alike = heard.map(|heard| product(&heard, target));
        let mut energy = [[0.0; 5]; 5];
        for one in 0..5 {
            for other in 0..=one {
                let twice = if one == other { 1.0 } else { 2.0 };
                energy[one][other] = twice * product(&heard[one], &heard[other]);
            }
        }
        let is_tamed = self.error_at(delay) > ERROR_MAX;
        let (mut best, mut best_score) = (0, 0.0);
        for (at, row) in gain_rows(Rate::High, base).iter().enumerate() {
            if is_tamed && growth(base, at) > 0.95 {
                continue;
            }
            let taps: [f32; 5] = core::array::from_fn(|tap| f32::from(row[tap]) / 16_384.0);
            let mut score = 0.0;
            for one in 0..5 {
                let energy: f32 = (0..=one).map(|other| taps[other] * energy[one][other]).sum();
                score += taps[one] * (2.0 * alike[one] - energy);
            }
            if score > best_score {
                (best, best_score) = (at, score);
            }
        }
        (best, best_score)
    }

    /// The largest error in what so long a delay repeats.
    fn error_at(&self, delay: i32) -> f32 {
        let reach = |back: i32| 2 - ((back.max(1) - 1) as usize / PART).min(2);
        let (from, to) = (reach(delay + 2), reach(delay - PART as i32 - 2));
        self.errors[from..=to].iter().copied().fold(1.0, f32::max)
    }
}

/// By how much an error grows with a row of gains.
fn growth(base: i32, row: usize) -> f32 {
    let table: &[i16] = if base < SHORT_DELAY { &TAMING_GAIN_5P3 } else { &TAMING_GAIN_6P3 };
    f32::from(table.get(row).copied().unwrap_or(GAIN_OF_ONE)) / f32::from(GAIN_OF_ONE)
}

fn product(one: &[f32; PART], other: &[f32; PART]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// What a filter makes of a part.
fn through(samples: &[f32; PART], response: &[f32; PART]) -> [f32; PART] {
    let mut heard = [0.0; PART];
    for (at, sample) in samples.iter().enumerate() {
        for (place, weight) in heard[at..].iter_mut().zip(response) {
            *place += sample * weight;
        }
    }
    heard
}

/// §2.8: one sample through `A(z/0.9)/A(z/0.5)`.
fn weigh(sample: f32, zeros: &Filter, poles: &Filter, [came, left]: &mut [[f32; ORDER]; 2]) -> f32 {
    let mut sum = sample;
    for at in 0..ORDER {
        sum += zeros[at] * came[at] - poles[at] * left[at];
    }
    came.copy_within(..ORDER - 1, 1);
    left.copy_within(..ORDER - 1, 1);
    (came[0], left[0]) = (sample, sum);
    sum
}

impl Ringing {
    const NONE: Self =
        Self { synthesis: [0.0; ORDER], weighted: [0.0; ORDER], harmonics: [0.0; HEARD] };

    /// Eq. 19.
    fn run(&mut self, input: &[f32; PART], filters: &Filters) -> [f32; PART] {
        let it = self;
        let mut out = [0.0; PART];
        let mut heard = [0.0; HEARD + PART];
        heard[..HEARD].copy_from_slice(&it.harmonics);
        for at in 0..PART {
            let mut sum = input[at];
            for (weight, past) in filters.synthesis.iter().zip(&it.synthesis) {
                sum -= weight * past;
            }
            let mut memory = [it.synthesis, it.weighted];
            heard[HEARD + at] = weigh(sum, &filters.zeros, &filters.poles, &mut memory);
            [it.synthesis, it.weighted] = memory;
            let Harmonics { delay, weight } = filters.harmonics;
            out[at] = heard[HEARD + at] - weight * heard[HEARD + at - delay];
        }
        it.harmonics.copy_from_slice(&heard[PART..]);
        out
    }
}

/// §2.15: pulses on one of two grids, all as loud, that leave least of `target`.
fn find_pulses(target: &[f32; PART], response: &[f32; PART], count: usize, base: i32) -> Found {
    let mut best = Found {
        slots: core::array::from_fn(|at| at),
        is_negative: [false; 6],
        grid: 0,
        gain: 0,
        is_train: false,
    };
    let mut least = f32::INFINITY;
    let energy = product(response, response);
    let most =
        correlate(target, response).iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let estimate = if energy > 0.0 { most / energy } else { 0.0 };
    let middle = FIXED_CODEBOOK_GAIN_Q15.partition_point(|gain| f32::from(*gain) < estimate);
    for is_train in [false, true] {
        if is_train && base >= SHORT_DELAY {
            break;
        }
        let mut response = *response;
        if is_train {
            let period = base as usize;
            (period..PART).for_each(|at| response[at] += response[at - period]);
        }
        let alike = correlate(target, &response);
        let energies = energies(&response);
        for grid in 0..2 {
            let levels = FIXED_CODEBOOK_GAIN_Q15.iter().enumerate().take(middle + 2);
            for (gain, level) in levels.skip(middle.saturating_sub(5)) {
                let level = 2.0 * f32::from(*level);
                let mut left = alike;
                let (mut pulses, mut off) = ([(0, false); 6], 0.0);
                let mut is_used = [false; PART];
                for place in &mut pulses[..count] {
                    let free = (grid..PART).step_by(2).filter(|at| !is_used[*at]);
                    let louder = |one: usize, other: usize| {
                        if left[other].abs() > left[one].abs() { other } else { one }
                    };
                    let at = free.reduce(louder).unwrap_or(grid);
                    let is_negative = left[at] < 0.0;
                    let pulse = if is_negative { -level } else { level };
                    off += pulse * (pulse * energies[at][at] - 2.0 * left[at]);
                    for (value, energy) in left.iter_mut().zip(&energies[at]) {
                        *value -= pulse * energy;
                    }
                    is_used[at] = true;
                    *place = (at / 2, is_negative);
                }
                if off < least {
                    least = off;
                    pulses[..count].sort_unstable();
                    best = Found {
                        slots: pulses.map(|(slot, _)| slot),
                        is_negative: pulses.map(|(_, negative)| negative),
                        grid,
                        gain,
                        is_train,
                    };
                }
            }
        }
    }
    best
}

fn correlate(target: &[f32; PART], response: &[f32; PART]) -> [f32; PART] {
    core::array::from_fn(|at| {
        target[at..].iter().zip(response).map(|(one, other)| one * other).sum()
    })
}

/// How alike the responses to two pulses are.
fn energies(response: &[f32; PART]) -> [[f32; PART]; PART] {
    let mut energies = [[0.0; PART]; PART];
    for apart in 0..PART {
        let mut sum = 0.0;
        for from_end in 0..PART - apart {
            sum += response[from_end] * response[from_end + apart];
            let (one, other) = (PART - 1 - from_end - apart, PART - 1 - from_end);
            (energies[one][other], energies[other][one]) = (sum, sum);
        }
    }
    energies
}
