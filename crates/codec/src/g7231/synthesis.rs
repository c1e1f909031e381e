//! The decoder of G.723.1: §3, without its pitch postfilter, and the noise of annex A.
//!
//! Withstands: frames that no encoder makes, which are concealed.

use oxideav_g7231::annex_a::{sid_gain_decode, unpack_sid};

use super::frame::{Parameters, Rate};
use super::speech::{
    DELAY_MAX, DELAY_MIN, Filter, Lines, PAST, Past, filters_of, lines_of, resting_lines,
};
use super::{FRAME_SAMPLES, ORDER, PART, PARTS};

/// So many frames are made up before there is silence (§3.10).
const LOST_MAX: u8 = 3;

/// Frames in, 8 kHz out.
#[derive(Clone, Debug)]
pub struct Decoder {
    lines: Lines,
    past: Past,
    synthesis: [f32; ORDER],
    postfilter: Postfilter,
    /// Of the last frame: by which a lost one is made up.
    delay: i32,
    gain: i32,
    lost: u8,
    /// What silence is described as, and as loud as it is now; none: speech.
    silence: Option<[f32; 2]>,
    noise: u32,
}

#[derive(Clone, Debug)]
struct Postfilter {
    zeros: [f32; ORDER],
    poles: [f32; ORDER],
    last: f32,
    tilt: f32,
    gain: f32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            lines: resting_lines(),
            past: Past([0; PAST]),
            synthesis: [0.0; ORDER],
            postfilter: Postfilter {
                zeros: [0.0; ORDER],
                poles: [0.0; ORDER],
                last: 0.0,
                tilt: 0.0,
                gain: 1.0,
            },
            delay: PART as i32,
            gain: 0,
            lost: 0,
            silence: None,
            noise: 1,
        }
    }
}

impl Decoder {
    /// One frame, of as many bytes as [`super::frame_bytes`] says.
    pub fn decode(&mut self, frame: &[u8], out: &mut [i16; FRAME_SAMPLES]) {
        match frame.first().map(|first| first & 3) {
            Some(0 | 1) => match Parameters::read(frame) {
                Some(parameters) => self.speak(&parameters, out),
                None => self.conceal(out),
            },
            Some(2) => match unpack_sid(frame) {
                Some((spectrum, gain)) => self.describe(spectrum, gain, out),
                None => self.conceal(out),
            },
            _ => self.conceal(out),
        }
    }

    /// A frame that did not come: more of the same silence, or speech that fades (§3.10).
    pub fn conceal(&mut self, out: &mut [i16; FRAME_SAMPLES]) {
        if let Some(silence) = self.silence {
            let lines = self.lines;
            return self.hush(silence, &lines, out);
        }
        let before = self.lines;
        for (line, rest) in self.lines.iter_mut().zip(resting_lines()) {
            *line = (i32::from(rest) + (i32::from(*line) - i32::from(rest)) * 23 / 32) as i16;
        }
        self.lost = self.lost.saturating_add(1);
        let fade = if self.lost > LOST_MAX { 0.0 } else { 0.75 };
        let is_voiced = self.is_voiced();
        let mut excitation = [[0; PART]; PARTS];
        for part in &mut excitation {
            let repeated = self.past.repeated(self.delay);
            for (at, place) in part.iter_mut().enumerate() {
                let level = if is_voiced {
                    repeated[at + 2] as f32
                } else {
                    self.random() * self.gain as f32
                };
                *place = (level * fade) as i32;
            }
            self.past.push(part);
        }
        self.gain = (self.gain as f32 * fade) as i32;
        let lines = self.lines;
        self.synthesize(&excitation, &filters_of(&before, &lines), out);
    }

    fn speak(&mut self, it: &Parameters, out: &mut [i16; FRAME_SAMPLES]) {
        (self.silence, self.lost) = (None, 0);
        let before = self.lines;
        self.lines = lines_of(it.spectrum, &before);
        let mut excitation = [[0; PART]; PARTS];
        for (part, place) in excitation.iter_mut().enumerate() {
            let excited = self.past.excite(it, part);
            *place = excited.samples;
            (self.delay, self.gain) = (excited.delay.clamp(DELAY_MIN, DELAY_MAX), excited.gain);
            if it.rate == Rate::Low {
                self.gain /= 2;
            }
        }
        let lines = self.lines;
        self.synthesize(&excitation, &filters_of(&before, &lines), out);
    }

    fn describe(&mut self, spectrum: u32, gain: u8, out: &mut [i16; FRAME_SAMPLES]) {
        let before = self.lines;
        self.lines = lines_of(spectrum, &before);
        // Annex A counts in halves.
        let level = 2.0 * sid_gain_decode(gain) as f32;
        let now = self.silence.map_or(level, |[_, now]| now);
        self.lost = 0;
        self.hush([level, now], &before, out);
    }

    /// Annex A §A.4.5: noise as loud as described, soon.
    fn hush(&mut self, [level, now]: [f32; 2], before: &Lines, out: &mut [i16; FRAME_SAMPLES]) {
        let now = 0.875 * now + 0.125 * level;
        self.silence = Some([level, now]);
        // Even between −√3 and √3: as much power as a level of one.
        let excitation = [[0; PART]; PARTS]
            .map(|part: [i32; PART]| part.map(|_| (self.random() * 1.732_050_8 * now) as i32));
        excitation.iter().for_each(|part| self.past.push(part));
        let lines = self.lines;
        self.synthesize(&excitation, &filters_of(before, &lines), out);
    }

    /// Whether what was repeats itself (§3.10.2).
    fn is_voiced(&self) -> bool {
        let delay = self.delay.clamp(DELAY_MIN, DELAY_MAX) as usize;
        let (mut alike, mut one, mut other) = (0.0, 1.0, 1.0);
        for at in delay..PAST {
            let (now, then) = (self.past.0[at] as f32, self.past.0[at - delay] as f32);
            alike += now * then;
            one += now * now;
            other += then * then;
        }
        alike > 0.0 && 8.0 * alike * alike > one * other
    }

    /// Between −1 and 1.
    fn random(&mut self) -> f32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        (self.noise >> 8) as f32 / 8_388_608.0 - 1.0
    }

    /// §3.7 to §3.9.
    fn synthesize(
        &mut self,
        excitation: &[[i32; PART]; PARTS],
        filters: &[Filter; PARTS],
        out: &mut [i16; FRAME_SAMPLES],
    ) {
        let parts = excitation.iter().zip(filters).zip(out.as_chunks_mut().0);
        for ((excitation, filter), out) in parts {
            let speech = excitation.map(|sample| {
                let sum = filter.iter().zip(&self.synthesis).map(|(weight, past)| weight * past);
                let sample = (sample as f32 - sum.sum::<f32>()).clamp(-32_768.0, 32_767.0);
                self.synthesis.copy_within(..ORDER - 1, 1);
                self.synthesis[0] = sample;
                sample
            });
            *out = self.postfilter.filter(&speech, filter);
        }
    }
}

impl Postfilter {
    fn filter(&mut self, speech: &[f32; PART], filter: &Filter) -> [i16; PART] {
        let (mut near, mut energy) = (0.0, 0.0);
        for (at, sample) in speech.iter().enumerate() {
            energy += sample * sample;
            near += if at > 0 { sample * speech[at - 1] } else { 0.0 };
        }
        let alike = if energy > 0.0 { near / energy } else { 0.0 };
        self.tilt = 0.75 * self.tilt + 0.25 * alike;
        let mut filtered_energy = 0.0;
        let filtered = speech.map(|sample| {
            let (mut sum, mut zero, mut pole) = (sample, 1.0, 1.0);
            for (at, weight) in filter.iter().enumerate() {
                zero *= 0.65;
                pole *= 0.75;
                sum += weight * (zero * self.zeros[at] - pole * self.poles[at]);
            }
            self.zeros.copy_within(..ORDER - 1, 1);
            self.poles.copy_within(..ORDER - 1, 1);
            (self.zeros[0], self.poles[0]) = (sample, sum);
            let sample = sum - 0.25 * self.tilt * core::mem::replace(&mut self.last, sum);
            filtered_energy += sample * sample;
            sample
        });
        let wanted = if filtered_energy > 0.0 { (energy / filtered_energy).sqrt() } else { 1.0 };
        filtered.map(|sample| {
            self.gain += (wanted - self.gain) / 16.0;
            (sample * self.gain * 1.0625) as i16
        })
    }
}
