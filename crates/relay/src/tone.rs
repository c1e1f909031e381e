//! Ringback of our own: 425 Hz, one second in five (ITU-T E.180 and its supplement), in G.711.
//!
//! A tone goes from a port of ours to its far end, as if the other leg had sent it, and ends by itself: as
//! soon as the other leg is heard, the call is answered, or the port is closed.

use core::time::Duration;
use std::net::SocketAddr;

use codec::g711::{A_LAW_SILENCE, MU_LAW_SILENCE, to_a_law, to_mu_law};

use crate::Instant;
use crate::flow::Owner;
use crate::port::Port;

/// Bytes of a packet: a header and 20 ms at 8 kHz.
pub const TONE_BYTES: usize = wire::rtp::RTP_BYTES + SAMPLES;

/// The same under a key.
pub const SOUND_BYTES: usize = TONE_BYTES + srtp::OVERHEAD_MAX;

const SAMPLES: usize = 160;
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Packets of one round, and how many of them sound.
const ROUND: u32 = 250;
const SOUNDING: u32 = 50;
/// Seventeen turns of 425 Hz, in which it is back where it began.
const WAVE: usize = 320;
/// Half as loud as can be: −10 dBm0 or so.
const PEAK: f64 = 8_000.0;

/// Tones at a time; a call that rings beyond hears what it would hear without.
pub(crate) const TONES_MAX: usize = 1_024;

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
    fn write(&self, packet: u32, is_a_law: bool, out: &mut [u8]) {
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

/// One that sounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    pub(crate) port: Port,
    pub(crate) owner: Owner,
    pub(crate) began: Instant,
    /// When its next packet is to go.
    pub(crate) due: Instant,
    pub(crate) is_a_law: bool,
    pub(crate) ssrc: u32,
    /// How many packets went.
    pub(crate) sent: u32,
}

impl Tone {
    /// Writes its next packet. What was missed is not made up for.
    pub(crate) fn write(&mut self, now: Instant, waves: &Waves, out: &mut [u8; TONE_BYTES]) {
        let payload_type = if self.is_a_law { 8 } else { 0 };
        // The marker tells where a talk begins (RFC 3551 §4.1).
        let marker = if self.sent == 0 { 0x80 } else { 0 };
        let timestamp = self.sent.wrapping_mul(SAMPLES as u32);
        let (head, samples) = out.split_at_mut(wire::rtp::RTP_BYTES);
        head[..2].copy_from_slice(&[0x80, marker | payload_type]);
        head[2..4].copy_from_slice(&(self.sent as u16).to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        waves.write(self.sent, self.is_a_law, samples);
        self.sent += 1;
        let next = self.due + PACKET_TIME;
        self.due = if next > now { next } else { now + PACKET_TIME };
    }
}

/// A packet that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Our endpoint.
    pub from: SocketAddr,
    /// Who hears it.
    pub to: SocketAddr,
    /// How long it is.
    pub bytes: usize,
}
