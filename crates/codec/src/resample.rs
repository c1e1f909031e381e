//! 8 kHz and 16 kHz: one half-band filter, by which every second sample is left out or put in.
//!
//! 47 taps, of which every second is zero: flat to 3.4 kHz, 50 dB down from 4.6 kHz on.

/// Taps on one side of the middle one that are not zero.
const TAPS: usize = 12;
/// Samples of the past that a filter reads, at 16 kHz and at 8 kHz.
const WIDE_PAST: usize = 4 * TAPS - 2;
const NARROW_PAST: usize = 2 * TAPS - 1;
/// Samples of ten milliseconds.
const NARROW: usize = 80;
const WIDE: usize = 160;

/// The taps at ±1, ±3, … of the middle, whose sum is a quarter on each side.
fn taps() -> [f32; TAPS] {
    let mut taps = core::array::from_fn(|at| {
        let from_middle = (2 * at + 1) as f32;
        let turn = core::f32::consts::PI * from_middle;
        let window = 0.54 + 0.46 * (turn / (2 * TAPS) as f32).cos();
        (turn / 2.0).sin() / turn * window
    });
    let sum: f32 = taps.iter().sum();
    for tap in &mut taps {
        *tap *= 0.25 / sum;
    }
    taps
}

fn sample(value: f32) -> i16 {
    // The cast saturates.
    (value + 0.5).floor() as i16
}

/// 16 kHz to 8 kHz, 1.4 ms late.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    taps: [f32; TAPS],
    past: [i16; WIDE_PAST],
}

impl Default for Down {
    fn default() -> Self {
        Self { taps: taps(), past: [0; WIDE_PAST] }
    }
}

impl Down {
    /// Ten milliseconds.
    pub(crate) fn convert(&mut self, wide: &[i16; WIDE], narrow: &mut [i16; NARROW]) {
        let mut line = [0; WIDE_PAST + WIDE];
        line[..WIDE_PAST].copy_from_slice(&self.past);
        line[WIDE_PAST..].copy_from_slice(wide);
        self.past.copy_from_slice(&line[WIDE..]);
        for (at, place) in narrow.iter_mut().enumerate() {
            let middle = 2 * at + 2 * TAPS - 1;
            let mut sum = f32::from(line[middle]) / 2.0;
            for (tap, weight) in self.taps.iter().enumerate() {
                let away = 2 * tap + 1;
                sum += weight * (f32::from(line[middle - away]) + f32::from(line[middle + away]));
            }
            *place = sample(sum);
        }
    }
}

/// 8 kHz to 16 kHz, 1.4 ms late.
#[derive(Clone, Debug)]
pub(crate) struct Up {
    taps: [f32; TAPS],
    past: [i16; NARROW_PAST],
}

impl Default for Up {
    fn default() -> Self {
        Self { taps: taps(), past: [0; NARROW_PAST] }
    }
}

impl Up {
    /// Ten milliseconds.
    pub(crate) fn convert(&mut self, narrow: &[i16; NARROW], wide: &mut [i16; WIDE]) {
        let mut line = [0; NARROW_PAST + NARROW];
        line[..NARROW_PAST].copy_from_slice(&self.past);
        line[NARROW_PAST..].copy_from_slice(narrow);
        self.past.copy_from_slice(&line[NARROW..]);
        for (at, pair) in wide.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            // Between two samples of the line lies the new one.
            let left = at + TAPS - 1;
            let mut sum = 0.0;
            for (tap, weight) in self.taps.iter().enumerate() {
                sum += weight * (f32::from(line[left - tap]) + f32::from(line[left + 1 + tap]));
            }
            *pair = [line[left], sample(2.0 * sum)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: f64) -> Vec<i16> {
        let turn = core::f64::consts::TAU * hertz / rate;
        (0..rate as usize).map(|at| ((at as f64 * turn).sin() * 10_000.0) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (power / samples.len() as f64).sqrt()
    }

    fn down(samples: &[i16]) -> Vec<i16> {
        let (mut filter, mut out) = (Down::default(), vec![[0; NARROW]; 100]);
        for (wide, narrow) in samples.as_chunks().0.iter().zip(&mut out) {
            filter.convert(wide, narrow);
        }
        out.concat()
    }

    fn up(samples: &[i16]) -> Vec<i16> {
        let (mut filter, mut out) = (Up::default(), vec![[0; WIDE]; 100]);
        for (narrow, wide) in samples.as_chunks().0.iter().zip(&mut out) {
            filter.convert(narrow, wide);
        }
        out.concat()
    }

    #[test]
    fn what_telephones_carry_keeps_its_level() {
        for hertz in [200.0, 1_000.0, 3_000.0, 3_400.0] {
            for got in [down(&tone(hertz, 16_000.0)), up(&tone(hertz, 8_000.0))] {
                let decibels = 20.0 * (level(&got[400..]) / 7_071.0).log10();
                assert!(decibels.abs() < 0.3, "{hertz} Hz: {decibels} dB");
            }
        }
    }

    #[test]
    fn what_they_cannot_carry_is_gone() {
        for hertz in [4_700.0, 6_000.0, 7_600.0] {
            let got = level(&down(&tone(hertz, 16_000.0))[400..]);
            assert!(got < 7_071.0 / 200.0, "{hertz} Hz: {got}");
        }
    }

    #[test]
    fn the_loudest_samples_stay_within_their_bits() {
        let square: Vec<i16> =
            (0..16_000).map(|at| if at / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert_eq!((down(&square).len(), up(&square[..8_000]).len()), (8_000, 16_000));
    }
}
