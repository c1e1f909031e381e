//! What a direction of media was like: packets, loss, jitter (RFC 3550 §6.4.1, appendix A).

use wire::rtp::Rtp;

use crate::Instant;
use crate::course::Sums;
use crate::report::Reported;

/// Figures of one direction since its port was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// RTP packets accepted.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// Packets the sequence numbers promised less those that came (RFC 3550 A.3, so a doubled packet
    /// hides a lost one).
    pub lost: u32,
    /// Interarrival jitter, µs, at a clock of 8 kHz.
    pub jitter_us: u32,
    /// Of the packets those that were judged here; the others were the driver's.
    pub judged: u32,
    /// Whether they are the driver's now.
    pub settled: bool,
    /// From us to their sender and back (RFC 3550 §6.4.1), smoothed, µs; 0: not known.
    pub round_trip_us: u32,
    /// What whoever hears them said of them last.
    pub reported: Option<Reported>,
}

/// A jump of this many sequence numbers is a new stream, not a loss (RFC 3550 A.1: MAX_DROPOUT).
const DROPOUT_MAX: u16 = 3000;

/// The running sums behind the figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quality {
    packets: u64,
    bytes: u64,
    /// Packets of former streams that never came.
    lost_before: u32,
    ssrc: u32,
    /// First extended sequence number of this stream.
    base: u32,
    /// Highest extended sequence number of this stream.
    highest: u32,
    /// Packets of this stream.
    received: u32,
    /// Arrival minus timestamp of the packet before, in 125 µs units.
    transit: u32,
    /// Jitter times 16 (RFC 3550 A.8).
    jitter: u32,
}

impl Quality {
    /// Counts one packet of this direction.
    pub(crate) fn note(&mut self, now: Instant, rtp: &Rtp, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        let transit = ((now.as_micros() / 125) as u32).wrapping_sub(rtp.timestamp);
        let ahead = rtp.sequence.wrapping_sub(self.highest as u16);
        let follows = self.received > 0 && rtp.ssrc == self.ssrc;
        if follows && ahead < DROPOUT_MAX {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        } else if !follows || self.behind(rtp.sequence) > DROPOUT_MAX {
            self.begin(rtp);
            self.transit = transit;
        }
        self.received = self.received.saturating_add(1);
        let step = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        // A second of silence suppression is no jitter.
        if step < 8000 {
            self.jitter = self.jitter.saturating_add(step).saturating_sub((self.jitter + 8) >> 4);
        }
        self.transit = transit;
    }

    /// Counts one packet that has no number.
    pub(crate) fn note_unread(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    fn behind(&self, sequence: u16) -> u16 {
        (self.highest as u16).wrapping_sub(sequence)
    }

    fn begin(&mut self, rtp: &Rtp) {
        self.lost_before = self.lost();
        self.ssrc = rtp.ssrc;
        // Room below, so that an early reordering does not wrap.
        self.base = 0x1_0000 + u32::from(rtp.sequence);
        self.highest = self.base;
        self.received = 0;
    }

    fn lost(&self) -> u32 {
        if self.received == 0 {
            return self.lost_before;
        }
        let expected = self.highest.wrapping_sub(self.base).saturating_add(1);
        self.lost_before.saturating_add(expected.saturating_sub(self.received))
    }

    /// Whether a packet continues the stream of the last one, so that its sender is the same one.
    pub(crate) fn continues(&self, rtp: &Rtp) -> bool {
        self.received > 0
            && rtp.ssrc == self.ssrc
            && rtp.sequence.wrapping_sub(self.highest as u16) < DROPOUT_MAX
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            packets: self.packets,
            bytes: self.bytes,
            lost: self.lost(),
            jitter_us: (self.jitter >> 4).saturating_mul(125),
            ..Figures::default()
        }
    }
}

impl From<&Sums> for Quality {
    fn from(sums: &Sums) -> Self {
        let &Sums { packets, bytes, lost_before, ssrc, base, highest, .. } = sums;
        let &Sums { received, transit, jitter, .. } = sums;
        Self { packets, bytes, lost_before, ssrc, base, highest, received, transit, jitter }
    }
}

impl From<&Quality> for Sums {
    fn from(quality: &Quality) -> Self {
        let &Quality { packets, bytes, lost_before, ssrc, base, highest, .. } = quality;
        let &Quality { received, transit, jitter, .. } = quality;
        let last = Instant::ZERO;
        Self { packets, bytes, last, lost_before, ssrc, base, highest, received, transit, jitter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn rtp(sequence: u16, timestamp: u32) -> Rtp {
        Rtp { payload_type: 8, sequence, timestamp, ssrc: 7 }
    }

    fn heard(sequences: &[u16]) -> Figures {
        let mut quality = Quality::default();
        for (index, sequence) in sequences.iter().enumerate() {
            let now = Duration::from_millis(20 * index as u64);
            quality.note(now, &rtp(*sequence, 160 * index as u32), 172);
        }
        quality.figures()
    }

    #[test]
    fn a_gap_is_a_loss_and_a_late_packet_fills_it() {
        assert_eq!(heard(&[1, 2, 4, 5]).lost, 1);
        assert_eq!(heard(&[1, 2, 4, 3, 5]).lost, 0);
        assert_eq!(heard(&[1, 2, 2, 3]).lost, 0);
    }

    #[test]
    fn sequence_numbers_wrap_without_a_loss() {
        assert_eq!(heard(&[65_534, 65_535, 0, 1]).lost, 0);
        assert_eq!(heard(&[65_534, 1, 2]).lost, 2);
    }

    #[test]
    fn a_new_stream_is_no_loss() {
        let mut quality = Quality::default();
        quality.note(Duration::ZERO, &rtp(10, 0), 172);
        quality.note(Duration::ZERO, &Rtp { ssrc: 9, ..rtp(40_000, 0) }, 172);
        quality.note(Duration::ZERO, &rtp(20_000, 0), 172);
        assert_eq!((quality.figures().lost, quality.figures().packets), (0, 3));
    }

    #[test]
    fn even_spacing_has_no_jitter_and_uneven_spacing_has_some() {
        assert_eq!(heard(&[1, 2, 3, 4]).jitter_us, 0);
        let mut quality = Quality::default();
        for index in 0..100u32 {
            let late = if index % 2 == 0 { 0 } else { 10 };
            let now = Duration::from_millis(u64::from(20 * index + late));
            quality.note(now, &rtp(index as u16, 160 * index), 172);
        }
        let jitter = quality.figures().jitter_us;
        assert!((8_000..=10_500).contains(&jitter), "{jitter}");
    }
}
