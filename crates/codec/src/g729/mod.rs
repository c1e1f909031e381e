//! ITU-T G.729: 8 kHz, ten bytes for ten milliseconds; and the silence of annex B as far as it is heard.
//!
//! The arithmetic is that of `oxideav-g729` (MIT), which was written from the text of the Recommendation
//! and the tables of its electronic attachment. Its decoder is taken as it is. Its encoder's parts are
//! joined anew in `encoder.rs`, which says why. We decode annex B's descriptions of silence and send
//! none: what we send is `annexb=no`.

mod encoder;

use oxideav_g729::annex_b::dequant_sid_energy_db;
use oxideav_g729::cng::CngGainSmoother;
use oxideav_g729::fx::decoder::{DecodedFrameFx, FrameDecoderFx};
use oxideav_g729::fx::postfilter::PostfilterFx;
use oxideav_g729::lsp_interpolate::omega_to_q;
use oxideav_g729::lsp_to_lp::lsp_to_lp;
use oxideav_g729::parameters::unpack_bit_array;
use oxideav_g729::sid_lsf::SidLspDecoder;

pub use encoder::Encoder;

/// Samples of a frame.
pub const FRAME_SAMPLES: usize = 80;
/// Bytes of a frame of speech.
pub const FRAME_BYTES: usize = 10;
/// Bytes of a description of silence (annex B; RFC 3551 §4.5.6): the last frame of a packet.
pub const SILENCE_BYTES: usize = 2;

const ORDER: usize = 10;

/// Frames in, 8 kHz out.
#[derive(Clone, Debug)]
pub struct Decoder {
    speech: FrameDecoderFx,
    postfilter: PostfilterFx,
    silence: Silence,
    is_silent: bool,
}

/// Annex B's comfort noise: the spectrum and the level last described.
#[derive(Clone, Debug)]
struct Silence {
    spectra: SidLspDecoder,
    level: CngGainSmoother,
    /// The level described, in the units of the excitation.
    described: f32,
    predictor: [f32; ORDER],
    past: [f32; ORDER],
    noise: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            speech: FrameDecoderFx::new(),
            postfilter: PostfilterFx::new(),
            silence: Silence {
                spectra: SidLspDecoder::new(),
                level: CngGainSmoother::new(),
                described: 0.0,
                predictor: [0.0; ORDER],
                past: [0.0; ORDER],
                noise: 1,
            },
            is_silent: false,
        }
    }
}

impl Decoder {
    /// A frame of speech.
    pub fn decode(&mut self, frame: &[u8; FRAME_BYTES], out: &mut [i16; FRAME_SAMPLES]) {
        self.is_silent = false;
        let bits = core::array::from_fn(|at| frame[at / 8] >> (7 - at % 8) & 1 == 1);
        let frame = self.speech.decode_frame(&unpack_bit_array(&bits));
        self.finish(&frame, out);
    }

    /// A description of silence: one bit of predictor, five and four of spectrum, five of level.
    pub fn describe(&mut self, frame: [u8; SILENCE_BYTES], out: &mut [i16; FRAME_SAMPLES]) {
        let word = u16::from_be_bytes(frame);
        let field = |shift: u16, bits: u16| usize::from(word >> shift & ((1 << bits) - 1));
        let spectrum = self.silence.spectra.dequantize(field(15, 1), field(10, 5), field(6, 4));
        self.silence.predictor = lsp_to_lp(&omega_to_q(&spectrum));
        let decibels = dequant_sid_energy_db(field(1, 5) as u8);
        self.silence.described = 10.0_f32.powf(decibels / 20.0);
        self.silence.write(!self.is_silent, out);
        self.is_silent = true;
    }

    /// A frame that did not come: more of the same silence, or speech that fades (§4.4).
    pub fn conceal(&mut self, out: &mut [i16; FRAME_SAMPLES]) {
        if self.is_silent {
            return self.silence.write(false, out);
        }
        let frame = self.speech.decode_erased_frame();
        self.finish(&frame, out);
    }

    fn finish(&mut self, frame: &DecodedFrameFx, out: &mut [i16; FRAME_SAMPLES]) {
        let delay = usize::try_from(frame.sub[0].t_int.max(1)).unwrap_or(1);
        let (halves, _) = frame.speech.as_chunks::<40>();
        let mut is_periodic = false;
        for ((out, half), sub) in out.as_chunks_mut::<40>().0.iter_mut().zip(halves).zip(&frame.sub)
        {
            let (samples, decision) = self.postfilter.process_subframe(half, &sub.a_q12, delay);
            is_periodic |= decision.gain_q15 > 0;
            *out = samples;
        }
        self.speech.erasure_periodic = is_periodic;
    }
}

impl Silence {
    fn write(&mut self, was_speech: bool, out: &mut [i16; FRAME_SAMPLES]) {
        let level = self.level.next_target(self.described, was_speech);
        for out in out {
            self.noise ^= self.noise << 13;
            self.noise ^= self.noise >> 17;
            self.noise ^= self.noise << 5;
            // Even between −√3 and √3: as much power as a level of one.
            let noise = (self.noise >> 8) as f32 / 16_777_216.0 * 3.464_101_6 - 1.732_050_8;
            let mut sample = noise * level;
            for (weight, past) in self.predictor.iter().zip(&self.past) {
                sample -= weight * past;
            }
            self.past.copy_within(..ORDER - 1, 1);
            self.past[0] = sample.clamp(-32_768.0, 32_767.0);
            // The encoder halves what it hears (§3.1).
            *out = (2.0 * sample) as i16;
        }
    }
}
