//! The encoder of G.729, joined of the parts of `oxideav-g729` 0.0.8.
//!
//! The arithmetic is called where that crate (MIT, `crates/codec/LICENSE-oxideav`) has it; the steps follow ITU-T G.729
//! §3 as its `encode_chain.rs` does. It differs in what its own decoder's tests had found and its encoder
//! lacks, and in what a packet path needs:
//!
//! - The fraction of a delay is turned round before the past is read (§3.7.1), and a delay shorter than a
//!   subframe reads what it has just written, as the decoder does. Without it a tone of 425 Hz came
//!   10 dB too loud, and one of 2,800 Hz 7 dB too soft.
//! - The past reaches as far back as the longest delay's filter.
//! - The excitation is kept in the decoder's own arithmetic.
//! - A gain that is held down for fear of errors leaves the rest to the pulses.
//! - All pairs of gains are tried: 128 scores instead of two sorted lists.
//! - Nothing is allocated.

use oxideav_g729::closed_loop_pitch::{T1_FRACTIONAL_LIMIT, subframe1_window, subframe2_window};
use oxideav_g729::encode_target::{
    TargetFilter, WeightedSynthesisCoefs, impulse_response, lp_residual,
};
use oxideav_g729::fixed_codebook::{encode_positions, encode_signs};
use oxideav_g729::fixed_codebook_search::{
    K3, MAX_LOOP4_PER_FRAME, adaptive_gain, correlation_d, filter_through_h,
    prefilter_impulse_response, update_target,
};
use oxideav_g729::fx::analysis::{FrontEndLatitude, PreprocessorFx, analyze_window_fx};
use oxideav_g729::fx::excitation::{
    EXC_BUF, SHARP_INIT_Q14, SHARP_MAX_Q14, SHARP_MIN_Q14, build_codevector_q13,
    build_excitation_mode, pred_lt3,
};
use oxideav_g729::fx::gains::GainDecoderFx;
use oxideav_g729::fx::levinson::levinson_fx;
use oxideav_g729::fx::lp_to_lsp::lp_to_lsp_fx;
use oxideav_g729::gain_index_map::{map_ga, map_gb};
use oxideav_g729::gain_predict::GainPredictor;
use oxideav_g729::gain_quantize::GainTerms;
use oxideav_g729::gain_reconstruct::reconstruct_gains;
use oxideav_g729::lsf_conversion::lsp_to_lsf_q13;
use oxideav_g729::lsp_interpolate::{LspInterpolator, omega_to_q, q_to_omega};
use oxideav_g729::lsp_quantize::LspQuantizer;
use oxideav_g729::lsp_to_lp::lsp_to_lp;
use oxideav_g729::open_loop_pitch::{PIT_BUFFER, open_loop_pitch};
use oxideav_g729::parameters::{Parameters, pack_bit_array};
use oxideav_g729::perceptual_weighting::PerceptualWeighting;
use oxideav_g729::pitch_decode::{PitchDelay, derive_t_min, encode_p1, encode_p2};
use oxideav_g729::pitch_sharpen::{BETA_MIN, clamp_beta, sharpen};
use oxideav_g729::tables::{
    L_WINDOW, NCODE1, NCODE2, PITCH_INTERP_FILTER_ANALYSIS_Q15, PITCH_INTERP_FILTER_SYNTHESIS_Q15,
};
use oxideav_g729::taming::{GPCLIP, Taming};

use super::{FRAME_BYTES, FRAME_SAMPLES, ORDER};

const HALF: usize = 40;
/// How the decoder rounds an excitation.
const TIES_TO_ZERO: u8 = 3;
/// The shortest and the longest delay.
const DELAY_MIN: usize = 20;
const DELAY_MAX: usize = 143;
/// The longest delay, and half of the filter by which a third of a sample is read.
const PAST: usize = DELAY_MAX + 10;
/// Delays of one search: ten, and four on each side by which thirds are found.
const DELAYS: usize = 18;

/// 8 kHz in, frames out, five milliseconds late.
#[derive(Clone, Debug)]
pub struct Encoder {
    highpass: PreprocessorFx,
    /// 120 samples of the past, the frame, 40 samples of what follows it.
    speech: [f32; L_WINDOW],
    quantizer: LspQuantizer,
    quantized: LspInterpolator,
    unquantized: LspInterpolator,
    /// The last spectrum found, for a frame in which none is.
    spectrum: [f32; ORDER],
    weighting: PerceptualWeighting,
    weighted: [f32; DELAY_MAX],
    /// In the decoder's own numbers: two that differ ever so little drift apart on a tone.
    excitation: [i16; EXC_BUF],
    decoded_gains: GainDecoderFx,
    sharpening: i16,
    target: TargetFilter,
    gains: GainPredictor,
    pitch_gain: f32,
    past_speech: [f32; ORDER],
    taming: Taming,
}

impl Default for Encoder {
    fn default() -> Self {
        let turn = |at: usize| ((at + 1) as f32 * core::f32::consts::PI / 11.0).cos();
        Self {
            highpass: PreprocessorFx::new(),
            speech: [0.0; L_WINDOW],
            quantizer: LspQuantizer::new(),
            quantized: LspInterpolator::new(),
            unquantized: LspInterpolator::new(),
            spectrum: core::array::from_fn(turn),
            weighting: PerceptualWeighting::new(),
            weighted: [0.0; DELAY_MAX],
            excitation: [0; EXC_BUF],
            decoded_gains: GainDecoderFx::new(),
            sharpening: SHARP_INIT_Q14,
            target: TargetFilter::new(),
            gains: GainPredictor::new(),
            pitch_gain: BETA_MIN,
            past_speech: [0.0; ORDER],
            taming: Taming::new(),
        }
    }
}

/// What one half of a frame adds to its parameters.
struct Sent {
    delay: u8,
    positions: u16,
    signs: u8,
    gains: [u8; 2],
}

impl Encoder {
    /// One frame.
    #[must_use]
    pub fn encode(&mut self, samples: &[i16; FRAME_SAMPLES]) -> [u8; FRAME_BYTES] {
        self.speech.copy_within(FRAME_SAMPLES.., 0);
        let new = self.highpass.process_frame(samples);
        for (place, sample) in self.speech[L_WINDOW - FRAME_SAMPLES..].iter_mut().zip(new) {
            *place = sample.into();
        }

        // §3.2: the spectrum, as it is and as it is sent.
        let window = core::array::from_fn(|at| self.speech[at] as i16);
        let correlations = analyze_window_fx(&window, &FrontEndLatitude::default());
        let mut reflections = (0.0, 0.0);
        if let Some(found) = levinson_fx(&correlations.r) {
            let unit = |value: i16| f32::from(value) / 32_768.0;
            reflections = (unit(found.rc_q15[0]), unit(found.rc_q15[1]));
            if let Some(spectrum) = lp_to_lsp_fx(&found.a_q12) {
                self.spectrum = spectrum.map(unit);
            }
        }
        let frequencies = self.spectrum.map(|line| lsp_to_lsf_q13(line) as f32 / 8_192.0);
        let sent = self.quantizer.quantize_lsf(&frequencies);
        let quantized = self.quantized.interpolate(&omega_to_q(&sent.omega_hat));
        let unquantized = self.unquantized.interpolate(&self.spectrum);
        let decisions = self
            .weighting
            .adapt_frame(reflections, &[q_to_omega(&unquantized[0]), q_to_omega(&unquantized[1])]);

        // §3.3, §3.4: the weighted speech, and its delay by and large.
        let mut halves = [[0.0; HALF]; 2];
        let mut filters = [WeightedSynthesisCoefs {
            a_hat: [0.0; ORDER],
            a: [0.0; ORDER],
            gamma1: 0.0,
            gamma2: 0.0,
        }; 2];
        let mut weighted = [0.0; PIT_BUFFER];
        weighted[..DELAY_MAX].copy_from_slice(&self.weighted);
        for half in 0..2 {
            let begin = 120 + half * HALF;
            halves[half].copy_from_slice(&self.speech[begin..begin + HALF]);
            filters[half] = WeightedSynthesisCoefs {
                a_hat: lsp_to_lp(&quantized[half]),
                a: lsp_to_lp(&unquantized[half]),
                gamma1: decisions[half].gamma1,
                gamma2: decisions[half].gamma2,
            };
            let heard =
                self.weighting.weight_subframe(&halves[half], &filters[half].a, decisions[half]);
            let begin = DELAY_MAX + half * HALF;
            weighted[begin..begin + HALF].copy_from_slice(&heard);
        }
        self.weighted.copy_from_slice(&weighted[FRAME_SAMPLES..]);
        let (low, high) = subframe1_window(open_loop_pitch(&weighted).t_op as i32);

        let mut budget = MAX_LOOP4_PER_FRAME;
        let (delay, first) = self.half(&halves[0], &filters[0], &mut budget, |search| {
            search.find(low, high, T1_FRACTIONAL_LIMIT, encode_p1)
        });
        let (low, high) = subframe2_window(delay.int_t);
        let from = derive_t_min(delay.int_t);
        let (_, second) = self.half(&halves[1], &filters[1], &mut budget, |search| {
            search.find(low, high, i32::MAX, |delay| encode_p2(delay, from))
        });

        let bits = pack_bit_array(&Parameters {
            l0: sent.indices.l0 as u8,
            l1: sent.indices.l1 as u8,
            l2: sent.indices.l2 as u8,
            l3: sent.indices.l3 as u8,
            p1: first.delay,
            // §3.7.2: odd parity of the six upper bits.
            p0: (((first.delay >> 2).count_ones() ^ 1) & 1) as u8,
            c1: first.positions,
            s1: first.signs,
            ga1: first.gains[0],
            gb1: first.gains[1],
            p2: second.delay,
            c2: second.positions,
            s2: second.signs,
            ga2: second.gains[0],
            gb2: second.gains[1],
        });
        let mut frame = [0; FRAME_BYTES];
        for (at, bit) in bits.into_iter().enumerate() {
            frame[at / 8] |= u8::from(bit) << (7 - at % 8);
        }
        frame
    }

    /// §3.5 to §3.10: half a frame, by the delay that `search` finds.
    fn half(
        &mut self,
        speech: &[f32; HALF],
        filter: &WeightedSynthesisCoefs,
        budget: &mut u32,
        search: impl FnOnce(&Search<'_>) -> (PitchDelay, u8),
    ) -> (PitchDelay, Sent) {
        let residual = lp_residual(speech, &self.past_speech, &filter.a_hat);
        let target = self.target.target(&residual, filter);
        let response = impulse_response(filter);

        let mut excitation = [0.0; PAST + HALF];
        for (place, sample) in excitation.iter_mut().zip(&self.excitation[..PAST]) {
            *place = f32::from(*sample);
        }
        excitation[PAST..].copy_from_slice(&residual);
        let (delay, sent) =
            search(&Search { target: &target, response: &response, excitation: &excitation });

        let adaptive = repeat(&mut excitation, delay);
        let adaptive_heard = filter_through_h(&adaptive, &response);
        let pitch_max = if self.taming.test(delay.int_t, delay.frac) { GPCLIP } else { f32::MAX };
        let pitch_gain = adaptive_gain(&target, &adaptive_heard).min(pitch_max);
        let rest = update_target(&target, &adaptive_heard, pitch_gain);
        let mut sharpened = response;
        let whole = delay.int_t.max(0) as usize;
        prefilter_impulse_response(&mut sharpened, whole, clamp_beta(self.pitch_gain));
        let pulses = find_pulses(&correlation_d(&rest, &sharpened), &sharpened, budget);
        let mut fixed = [0; HALF];
        for (position, sign) in pulses.0.into_iter().zip(pulses.1) {
            fixed[usize::from(position)] += sign;
        }
        let fixed = sharpen(&fixed, delay.int_t, self.pitch_gain);
        let fixed_heard = filter_through_h(&fixed, &response);

        let terms = GainTerms::compute(&target, &adaptive_heard, &fixed_heard);
        let expected = self.gains.predict_only(&fixed).g_c_prime;
        let gains = find_gains(&terms, expected, pitch_max);
        self.gains.push_quantised_error(gains.correction);
        self.pitch_gain = gains.pitch;
        self.taming.update(delay.int_t, delay.frac, gains.pitch);

        // From here on as the decoder does it, bit by bit.
        let fixed = build_codevector_q13(&pulses.0, &pulses.1, self.sharpening, delay.int_t);
        let decoded = self.decoded_gains.decode(gains.first, gains.second, &fixed);
        self.sharpening = decoded.gain_pit_q14.clamp(SHARP_MIN_Q14, SHARP_MAX_Q14);
        pred_lt3(&mut self.excitation, PAST, delay.int_t, delay.frac);
        let (pitch, code) = (decoded.gain_pit_q14, decoded.gain_code_q1);
        build_excitation_mode(&mut self.excitation, PAST, &fixed, pitch, code, TIES_TO_ZERO);
        let sum = core::array::from_fn(|at| self.excitation[PAST + at].into());
        self.excitation.copy_within(HALF.., 0);
        self.target.update(&residual, &sum, filter);
        self.past_speech = core::array::from_fn(|at| speech[HALF - 1 - at]);

        let sent = Sent {
            delay: sent,
            positions: encode_positions(&pulses.0).unwrap_or_default(),
            signs: encode_signs(&pulses.1).unwrap_or_default(),
            gains: [
                map_ga(gains.first).unwrap_or_default() as u8,
                map_gb(gains.second).unwrap_or_default() as u8,
            ],
        };
        (delay, sent)
    }
}

/// §3.7: what is compared with what.
struct Search<'a> {
    target: &'a [f32; HALF],
    response: &'a [f32; HALF],
    excitation: &'a [f32; PAST + HALF],
}

impl Search<'_> {
    /// The delay from `low` to `high` that repeats the past best, in thirds below `thirds_below`, and its
    /// code. A delay without a code is none.
    fn find(
        &self,
        low: i32,
        high: i32,
        thirds_below: i32,
        code: impl Fn(PitchDelay) -> Option<u8>,
    ) -> (PitchDelay, u8) {
        let begin = (low - 4).max(1) as usize;
        let mut scores = [0.0; DELAYS];
        let mut heard = [0.0; HALF];
        for (at, place) in heard.iter_mut().enumerate() {
            let past =
                self.excitation[PAST - begin..].iter().zip(self.response[..=at].iter().rev());
            *place = past.map(|(sample, weight)| sample * weight).sum();
        }
        for (at, score) in scores.iter_mut().enumerate() {
            let delay = begin + at;
            if delay > DELAY_MAX + 4 {
                break;
            }
            if at > 0 {
                let new = self.excitation[PAST - delay];
                for at in (1..HALF).rev() {
                    heard[at] = heard[at - 1] + new * self.response[at];
                }
                heard[0] = new * self.response[0];
            }
            let (mut alike, mut energy) = (0.0, 0.0);
            for (target, heard) in self.target.iter().zip(&heard) {
                alike += target * heard;
                energy += heard * heard;
            }
            *score = if energy > 0.0 { alike / energy.sqrt() } else { 0.0 };
        }
        let score = |delay: i32| {
            let at = usize::try_from(delay - begin as i32).unwrap_or(usize::MAX);
            scores.get(at).copied().unwrap_or(0.0)
        };

        let whole = |int_t: i32| PitchDelay { int_t, frac: 0 };
        let mut best = (whole(low), code(whole(low)).unwrap_or_default());
        let mut best_score = score(low);
        for delay in low + 1..=high {
            if let Some(sent) = code(whole(delay))
                && score(delay) > best_score
            {
                (best, best_score) = ((whole(delay), sent), score(delay));
            }
        }
        let delay = best.0.int_t;
        if delay >= thirds_below {
            return best;
        }
        // Eq. 39. Two thirds more are one third less of the next.
        for (from, third, int_t, frac) in [
            (delay - 1, 1, delay - 1, 1),
            (delay - 1, 2, delay, -1),
            (delay, 1, delay, 1),
            (delay, 2, delay + 1, -1),
        ] {
            let weight = |at: usize| {
                PITCH_INTERP_FILTER_ANALYSIS_Q15.get(at).map_or(0.0, |weight| f32::from(*weight))
            };
            let between: f32 = (0..4)
                .map(|at| {
                    score(from - at as i32) * weight(third + 3 * at)
                        + score(from + 1 + at as i32) * weight(3 - third + 3 * at)
                })
                .sum();
            let candidate = PitchDelay { int_t, frac };
            let in_range = (DELAY_MIN as i32..=DELAY_MAX as i32).contains(&int_t);
            if let Some(sent) = code(candidate)
                && in_range
                && between / 32_768.0 > best_score
            {
                (best, best_score) = ((candidate, sent), between / 32_768.0);
            }
        }
        best
    }
}

/// Eq. 40: the past, repeated in place.
fn repeat(excitation: &mut [f32; PAST + HALF], delay: PitchDelay) -> [f32; HALF] {
    let (whole, third) = match delay.frac {
        0 => (delay.int_t, 0),
        -1 => (delay.int_t, 1),
        _ => (delay.int_t + 1, 2),
    };
    let whole = whole.clamp(DELAY_MIN as i32 - 1, DELAY_MAX as i32 + 1) as usize;
    let weight = |at: usize| f32::from(PITCH_INTERP_FILTER_SYNTHESIS_Q15[at]);
    for at in PAST..PAST + HALF {
        let from = at - whole;
        let sum: f32 = (0..10)
            .map(|step| {
                excitation[from - step] * weight(third + 3 * step)
                    + excitation[from + 1 + step] * weight(3 - third + 3 * step)
            })
            .sum();
        excitation[at] = sum / 32_768.0;
    }
    core::array::from_fn(|at| excitation[PAST + at])
}

/// §3.8.1: four pulses, each on a track of its own, and their signs.
fn find_pulses(
    alike: &[f32; HALF],
    response: &[f32; HALF],
    budget: &mut u32,
) -> ([u8; 4], [i8; 4]) {
    let sign = |at: usize| if alike[at] < 0.0 { -1.0 } else { 1.0 };
    // Eq. 51, from the end of each diagonal; eq. 56, 57.
    let mut energy = [[0.0; HALF]; HALF];
    for apart in 0..HALF {
        let mut sum = 0.0;
        for from_end in 0..HALF - apart {
            sum += response[from_end] * response[from_end + apart];
            let (one, other) = (HALF - 1 - from_end - apart, HALF - 1 - from_end);
            let value = if apart == 0 { sum / 2.0 } else { sum * sign(one) * sign(other) };
            (energy[one][other], energy[other][one]) = (value, value);
        }
    }
    let alike: [f32; HALF] = core::array::from_fn(|at| alike[at].abs());

    // Eq. 60: only three pulses that promise much are tried with all fourths.
    let (mut most, mut mean) = (0.0, 0.0);
    for track in 0..3 {
        let values = || (track..HALF).step_by(5).map(|at| alike[at]);
        most += values().fold(0.0, f32::max);
        mean += values().sum::<f32>() / 8.0;
    }
    let threshold = mean + K3 * (most - mean);

    let fourths = || (3..HALF).step_by(5).chain((4..HALF).step_by(5));
    let loudest = |track: &mut dyn Iterator<Item = usize>| {
        track.fold(None, |best: Option<usize>, at| match best {
            Some(best) if alike[best] >= alike[at] => Some(best),
            _ => Some(at),
        })
    };
    let mut best =
        [0, 1, 2].map(|track: usize| loudest(&mut (track..HALF).step_by(5)).unwrap_or(track));
    let mut fourth = loudest(&mut fourths()).unwrap_or(3);
    let mut best_score = f32::NEG_INFINITY;
    for m0 in (0..HALF).step_by(5) {
        for m1 in (1..HALF).step_by(5) {
            let two = energy[m0][m0] + energy[m1][m1] + energy[m0][m1];
            for m2 in (2..HALF).step_by(5) {
                let three = alike[m0] + alike[m1] + alike[m2];
                if three <= threshold || *budget == 0 {
                    continue;
                }
                *budget -= 1;
                let energies = two + energy[m2][m2] + energy[m0][m2] + energy[m1][m2];
                for m3 in fourths() {
                    let alike = three + alike[m3];
                    let energy = energies
                        + energy[m3][m3]
                        + energy[m0][m3]
                        + energy[m1][m3]
                        + energy[m2][m3];
                    if energy > 0.0 && alike * alike / energy > best_score {
                        best_score = alike * alike / energy;
                        (best, fourth) = ([m0, m1, m2], m3);
                    }
                }
            }
        }
    }
    let positions = [best[0], best[1], best[2], fourth];
    (positions.map(|at| at as u8), positions.map(|at| sign(at) as i8))
}

/// §3.9.2: the pair of gains that leaves least.
struct Gains {
    pitch: f32,
    correction: f32,
    first: usize,
    second: usize,
}

fn find_gains(terms: &GainTerms, expected: f32, pitch_max: f32) -> Gains {
    let mut best = Gains { pitch: 0.0, correction: 0.0, first: 0, second: 0 };
    let mut least = f32::INFINITY;
    for first in 0..NCODE1 {
        for second in 0..NCODE2 {
            let Ok(gains) = reconstruct_gains(first, second) else { continue };
            let left = terms.error(gains.g_p_hat, gains.gamma_hat * expected);
            if left < least && gains.g_p_hat <= pitch_max {
                least = left;
                best = Gains { pitch: gains.g_p_hat, correction: gains.gamma_hat, first, second };
            }
        }
    }
    best
}
