//! Ringback of our own: 425 Hz, one second in five (ITU-T E.180 and its supplement), in G.711.
//!
//! When it sounds, and to whom, is `sound.rs`'s.

use codec::g711::{A_LAW_SILENCE, MU_LAW_SILENCE, to_a_law, to_mu_law};

/// Samples of a packet: 20 ms.
pub(crate) const SAMPLES: usize = 160;

/// Packets of one round, and how many of them sound.
const ROUND: u32 = 250;
const SOUNDING: u32 = 50;
/// Seventeen turns of 425 Hz, in which it is back where it began.
const WAVE: usize = 320;
/// Half as loud as can be: −10 dBm0 or so.
const PEAK: f64 = 8_000.0;

/// The wave in both laws.
pub(crate) struct Waves([[u8; WAVE]; 2]);

impl Waves {
    pub(crate) fn new() -> Self {
        let sample = |at: usize| {
            let turns = 425.0 / 8_000.0 * at as f64;
            ((turns * core::f64::consts::TAU).sin() * PEAK) as i16
        };
        let wave = |law: fn(i16) -> u8| core::array::from_fn(|at| law(sample(at)));
        Self([wave(to_mu_law), wave(to_a_law)])
    }

    /// 20 ms of the wave, or of silence.
    pub(crate) fn write(&self, packet: u32, is_a_law: bool, out: &mut [u8]) {
        let (wave, silence) =
            if is_a_law { (&self.0[1], A_LAW_SILENCE) } else { (&self.0[0], MU_LAW_SILENCE) };
        if packet % ROUND >= SOUNDING {
            return out.fill(silence);
        }
        let begin = packet as usize % (WAVE / SAMPLES) * SAMPLES;
        for (place, sample) in out.iter_mut().zip(&wave[begin..]) {
            *place = *sample;
        }
    }
}
