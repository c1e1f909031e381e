//! Both sides of a call beside each other.
//!
//! A packet's place is its RTP timestamp, counted from the first packet of its stream, whose place is when it came. So
//! jitter is not heard, losses are silence of the right length, and late packets still find their place while it is
//! open: the last second stays in memory. A stream whose clock walks away from ours, or begins anew, is laid down where
//! it comes.
//!
//! Withstands: timestamps that jump, streams that change, packets that come too late or twice, a side that never speaks.

use core::time::Duration;

use crate::Instant;

/// Samples in a second of each side.
pub const RATE: u32 = 8_000;
/// What stays open for late packets.
const OPEN: u64 = RATE as u64;
/// What memory holds: the open part, and packets that are ahead of us.
const WINDOW: u64 = 2 * OPEN;
/// A stream further from its place than this is laid down anew.
const DRIFT: i64 = OPEN as i64 / 2;

/// Who is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// On the left.
    Caller = 0,
    /// On the right.
    Callee = 1,
}

/// One sample of each side, the caller's first.
pub type Frame = [i16; 2];

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    /// The place of that timestamp.
    at: u64,
}

/// See the head of this file.
pub struct Timeline {
    began: Instant,
    /// Everything before this place is out.
    written: u64,
    /// Where the last sample ends.
    end: u64,
    anchors: [Option<Anchor>; 2],
    window: Box<[Frame]>,
}

impl Timeline {
    /// Begins with silence.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        let window = vec![[0; 2]; WINDOW as usize].into();
        Self { began, written: 0, end: 0, anchors: [None; 2], window }
    }

    /// Bytes that one takes.
    #[must_use]
    pub const fn bytes() -> usize {
        size_of::<Self>() + WINDOW as usize * size_of::<Frame>()
    }

    /// Lays the samples of a packet down. How many found no place, because that is written already.
    pub fn lay(
        &mut self,
        now: Instant,
        side: Side,
        (ssrc, timestamp): (u32, u32),
        samples: impl ExactSizeIterator<Item = i16>,
    ) -> usize {
        let length = samples.len() as u64;
        let came = place(now.saturating_sub(self.began)).saturating_sub(length);
        let at = self.place_of(side, ssrc, timestamp, came);
        let mut late = 0;
        for (at, sample) in (at..).zip(samples) {
            if at < self.written || at >= self.written + WINDOW {
                late += 1;
            } else if let Some(frame) = self.window.get_mut((at % WINDOW) as usize) {
                frame[side as usize] = sample;
                self.end = self.end.max(at + 1);
            }
        }
        late
    }

    fn place_of(&mut self, side: Side, ssrc: u32, timestamp: u32, came: u64) -> u64 {
        let anchor = &mut self.anchors[side as usize];
        if let Some(anchor) = anchor.filter(|anchor| anchor.ssrc == ssrc) {
            let since = i64::from(timestamp.wrapping_sub(anchor.timestamp) as i32);
            let at = anchor.at as i64 + since;
            if at >= 0 && (at - came as i64).abs() <= DRIFT {
                let at = at as u64;
                self.anchors[side as usize] = Some(Anchor { timestamp, at, ..anchor });
                return at;
            }
        }
        *anchor = Some(Anchor { ssrc, timestamp, at: came });
        came
    }

    /// Whether [`Self::poll`] has to make room before anything that comes now is laid down.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        place(now.saturating_sub(self.began)) + DRIFT as u64 > self.written + WINDOW
    }

    /// The next frames that nothing can change any more, as many as `out` holds.
    pub fn poll(&mut self, now: Instant, out: &mut [Frame]) -> usize {
        let closed = place(now.saturating_sub(self.began)).saturating_sub(OPEN);
        self.take(closed, out)
    }

    /// The same of what is left when nothing comes any more; 0: that was all.
    pub fn finish(&mut self, out: &mut [Frame]) -> usize {
        self.take(self.end, out)
    }

    fn take(&mut self, until: u64, out: &mut [Frame]) -> usize {
        let count = until.saturating_sub(self.written).min(out.len() as u64);
        for (at, frame) in (self.written..self.written + count).zip(out) {
            let held = self.window.get_mut((at % WINDOW) as usize);
            *frame = held.map_or([0; 2], core::mem::take);
        }
        self.written += count;
        count as usize
    }
}

/// The sample that is heard so long after the beginning.
fn place(since: Duration) -> u64 {
    (since.as_micros() * u128::from(RATE) / 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKET: usize = 160;

    fn ms(ms: u64) -> Instant {
        Duration::from_millis(ms)
    }

    fn all(timeline: &mut Timeline) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut out = [[0; 2]; 100];
        loop {
            match timeline.finish(&mut out) {
                0 => return frames,
                count => frames.extend(&out[..count]),
            }
        }
    }

    fn tone(value: i16) -> impl ExactSizeIterator<Item = i16> {
        std::iter::repeat_n(value, PACKET)
    }

    #[test]
    fn both_sides_lie_beside_each_other_whatever_the_jitter() {
        let mut timeline = Timeline::new(ms(1_000));
        for (came, packet) in [(20, 0), (45, 1), (52, 2), (95, 3)] {
            let value = packet as i16 + 1;
            let late = timeline.lay(ms(1_000 + came), Side::Caller, (7, packet * 160), tone(value));
            assert_eq!(late, 0);
        }
        timeline.lay(ms(1_060), Side::Callee, (8, 999), tone(9));
        let frames = all(&mut timeline);
        assert_eq!(frames.len(), 4 * PACKET);
        for (at, frame) in frames.iter().enumerate() {
            let callee = if (320..480).contains(&at) { 9 } else { 0 };
            assert_eq!(*frame, [(at / PACKET) as i16 + 1, callee], "{at}");
        }
    }

    #[test]
    fn a_lost_packet_is_silence_and_a_late_one_finds_its_place() {
        let mut timeline = Timeline::new(ms(0));
        for (came, packet, value) in [(20, 0, 1), (80, 3, 4), (85, 1, 2)] {
            timeline.lay(ms(came), Side::Callee, (7, packet * 160), tone(value));
        }
        let heard: Vec<i16> = all(&mut timeline).chunks(PACKET).map(|part| part[0][1]).collect();
        assert_eq!(heard, [1, 2, 0, 4]);
    }

    #[test]
    fn what_is_out_is_not_changed_by_what_comes_later() {
        let mut timeline = Timeline::new(ms(0));
        timeline.lay(ms(20), Side::Caller, (7, 0), tone(1));
        let mut out = [[0; 2]; 16_000];
        assert_eq!(timeline.poll(ms(900), &mut out), 0, "the last second stays open");
        assert_eq!(timeline.poll(ms(1_300), &mut out), 2_400);
        assert_eq!((out[0], out[159], out[160]), ([1, 0], [1, 0], [0, 0]));
        assert_eq!(
            timeline.lay(ms(900), Side::Caller, (7, 30 * 160), tone(2)),
            0,
            "half a second late"
        );
        assert_eq!(timeline.lay(ms(901), Side::Caller, (7, 19 * 160), tone(3)), 0, "laid anew");
        assert_eq!(timeline.poll(ms(3_000), &mut out), 13_600);
        assert_eq!((out[4_800 - 2_400], out[7_048 - 2_400]), ([2, 0], [3, 0]));
        assert_eq!(
            timeline.lay(ms(1_500), Side::Callee, (7, 0), tone(4)),
            PACKET,
            "before the end"
        );
    }

    #[test]
    fn a_clock_that_jumps_or_a_new_stream_is_laid_down_where_it_comes() {
        for (ssrc, timestamp) in [(7, 0x8000_0000), (8, 5), (7, 80_000)] {
            let mut timeline = Timeline::new(ms(0));
            timeline.lay(ms(20), Side::Caller, (7, 0), tone(1));
            timeline.lay(ms(220), Side::Caller, (ssrc, timestamp), tone(2));
            let frames = all(&mut timeline);
            assert_eq!((frames.len(), frames[1_600], frames[1_599]), (1_760, [2, 0], [0, 0]));
        }
    }

    #[test]
    fn however_late_it_is_written_nothing_is_lost_while_room_is_made() {
        let mut timeline = Timeline::new(ms(0));
        let (mut out, mut frames) = ([[0; 2]; 300], Vec::new());
        for packet in 0..500_u32 {
            let now = ms(u64::from(packet) * 20 + 20);
            while timeline.is_full(now) {
                let count = timeline.poll(now, &mut out);
                frames.extend(&out[..count]);
            }
            assert_eq!(timeline.lay(now, Side::Caller, (7, packet * 160), tone(packet as i16)), 0);
        }
        frames.extend(all(&mut timeline));
        assert_eq!(frames.len(), 500 * PACKET);
        assert!(frames.chunks(PACKET).zip(0..).all(|(part, value)| part[0] == [value, 0]));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_laid_down_or_counted(
            packets in prop::collection::vec((0u64..3_000, any::<bool>(), 0u32..3, any::<u32>(), 0usize..2_000), 0..60),
        ) {
            let mut timeline = Timeline::new(ms(5));
            let (mut now, mut out, mut total) = (5, [[0; 2]; 512], 0);
            for (wait, caller, ssrc, timestamp, length) in packets {
                now += wait;
                let side = if caller { Side::Caller } else { Side::Callee };
                let samples = std::iter::repeat_n(1, length);
                let late = timeline.lay(ms(now), side, (ssrc, timestamp), samples);
                prop_assert!(late <= length);
                total += timeline.poll(ms(now), &mut out);
            }
            total += all(&mut timeline).len();
            prop_assert!(total as u64 <= (now + 1) * 8 + WINDOW);
        }
    }
}
