//! The sending loop: what is due goes out, at a pace or flat out, until all is sent or a bound is met.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use capture::{Due, Kind, Schedule};
use hdrhistogram::Histogram;

use crate::Failure;
use crate::clock;
use crate::sender::{Live, Play, Put, Sender, Way};
use crate::stamps::Stamps;

/// Nearer than this a thread does not sleep: the kernel would wake it too late.
const SPIN_NS: u64 = 100_000;
/// Longest sleep, so that a stop is seen.
const SLEEP_MAX_NS: u64 = 50_000_000;
/// Frames of one system call when all of them lie in the kernel.
const STRETCH: u64 = 1 << 20;
/// Longest error of the pace that is told from longer ones.
const LATE_MAX_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) frames: u64,
    pub(crate) time: Duration,
}

/// What others see of it while it runs, and by what they stop it.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) sent: AtomicU64,
    pub(crate) stop: AtomicBool,
    pub(crate) over: AtomicBool,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) by: String,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Frames that this way cannot send.
    pub(crate) too_long: u64,
    /// RTP packets, by stream.
    pub(crate) streams: Vec<u64>,
    pub(crate) elapsed_ns: u64,
    pub(crate) cpu_ns: u64,
    /// How late frames left, ns; none when flat out.
    pub(crate) late: Option<Histogram<u64>>,
    pub(crate) stopped: bool,
}

struct Sending<'p> {
    play: &'p Play,
    shared: &'p Shared,
    bounds: Bounds,
    begun_ns: u64,
    cpu_ns: u64,
    sent: Sent,
}

/// Sends all of it.
pub(crate) fn send(
    way: Way,
    play: &Play,
    schedule: Schedule,
    flat_out: bool,
    bounds: Bounds,
    stamps: Option<&Stamps>,
    shared: &Shared,
) -> Result<Sent, Failure> {
    let late = Histogram::new_with_bounds(1, LATE_MAX_NS, DIGITS)?;
    let mut sending = Sending {
        play,
        shared,
        bounds,
        begun_ns: clock::now_ns(),
        cpu_ns: clock::thread_ns(),
        sent: Sent {
            by: String::new(),
            frames: 0,
            bytes: 0,
            too_long: 0,
            streams: vec![0; play.capture.streams().len()],
            elapsed_ns: 0,
            cpu_ns: 0,
            late: (!flat_out).then_some(late),
            stopped: false,
        },
    };
    match way {
        Way::Live(mut live) if live.whole().is_some() => sending.whole(&mut live, &schedule)?,
        Way::Live(mut live) => sending.due(live.as_mut(), schedule, stamps)?,
        Way::Other(mut sender) => sending.due(sender.as_mut(), schedule, stamps)?,
    }
    let mut sent = sending.sent;
    sent.elapsed_ns = clock::now_ns() - sending.begun_ns;
    sent.cpu_ns = clock::thread_ns() - sending.cpu_ns;
    Ok(sent)
}

impl Sending<'_> {
    fn is_over(&mut self, now_ns: u64) -> bool {
        let time = now_ns - self.begun_ns >= self.bounds.time.as_nanos() as u64;
        let stopped = self.shared.stop.load(Ordering::Relaxed);
        self.sent.stopped |= stopped;
        time || stopped || self.sent.frames >= self.bounds.frames
    }

    /// All frames lie in the kernel, in their order.
    fn whole(&mut self, live: &mut Live, schedule: &Schedule) -> Result<(), Failure> {
        self.sent.by = live.name();
        let round = u64::from(live.whole().unwrap_or(1)).max(1);
        let total = schedule.total().unwrap_or(u64::MAX).min(self.bounds.frames);
        let mut asked = 0;
        while asked < total && !self.is_over(clock::now_ns()) {
            let stretch = STRETCH.min(total - asked);
            self.sent.frames += live.send_whole(stretch as u32)?;
            asked += stretch;
            self.shared.sent.store(self.sent.frames, Ordering::Relaxed);
        }
        let (rounds, rest) = (asked / round, asked % round);
        for (frame, place) in self.play.capture.frames().iter().zip(0..) {
            let times = rounds + u64::from(place < rest);
            self.sent.bytes += times * frame.length() as u64;
            if let Some(count) =
                frame.stream().and_then(|stream| self.sent.streams.get_mut(stream as usize))
            {
                *count += times;
            }
        }
        Ok(())
    }

    /// Frame by frame, each when it is due.
    fn due(
        &mut self,
        sender: &mut dyn Sender,
        mut schedule: Schedule,
        stamps: Option<&Stamps>,
    ) -> Result<(), Failure> {
        self.sent.by = sender.name();
        let stamps = stamps.filter(|_| sender.is_prompt());
        let paced = self.sent.late.is_some();
        let mut taken: Vec<Due> = Vec::with_capacity(sender.batch());
        let begun = self.begun_ns;
        while let Some(next) = schedule.peek() {
            let now = clock::now_ns();
            if self.is_over(now) {
                break;
            }
            if paced && next.at_ns > now - begun {
                wait(next.at_ns - (now - begun));
                continue;
            }
            let room = (self.bounds.frames - self.sent.frames).min(sender.batch() as u64) as usize;
            let mut stalled = false;
            while let Some(next) = schedule.peek() {
                if taken.len() >= room || paced && next.at_ns > now - begun {
                    break;
                }
                match sender.put(self.play, next)? {
                    Put::Taken(bytes) => {
                        self.sent.bytes += bytes as u64;
                        taken.push(next);
                    }
                    Put::Full => {
                        stalled = true;
                        break;
                    }
                    Put::TooLong => self.sent.too_long += 1,
                }
                schedule.advance();
            }
            if taken.is_empty() && stalled {
                // What was sent has not come back yet: the kernel is asked to go on.
                sender.flush()?;
                std::hint::spin_loop();
                continue;
            }
            self.flush(sender, &mut taken, stamps)?;
        }
        sender.finish()
    }

    fn flush(
        &mut self,
        sender: &mut dyn Sender,
        taken: &mut Vec<Due>,
        stamps: Option<&Stamps>,
    ) -> Result<(), Failure> {
        let now = clock::now_ns();
        let streams = self.sent.streams.len();
        for due in taken.iter() {
            if let Some(late) = &mut self.sent.late {
                late.saturating_record((now - self.begun_ns).saturating_sub(due.at_ns).max(1));
            }
            let Some(frame) = self.play.capture.frames().get(due.frame as usize) else { continue };
            let (Some(stream), Kind::Rtp { sequence, .. }) = (frame.stream(), frame.kind) else {
                continue;
            };
            if let Some(count) = self.sent.streams.get_mut(stream as usize) {
                *count += 1;
            }
            if let Some(stamps) = stamps {
                let slot = self.play.clones.slot(due.call) as usize;
                stamps.set(slot * streams + stream as usize, sequence, now);
            }
        }
        self.sent.frames += sender.flush()?;
        taken.clear();
        self.shared.sent.store(self.sent.frames, Ordering::Relaxed);
        Ok(())
    }
}

/// Until shortly before, asleep; the rest awake.
fn wait(ns: u64) {
    if ns > SPIN_NS {
        std::thread::sleep(Duration::from_nanos((ns - SPIN_NS).min(SLEEP_MAX_NS)));
    } else {
        std::hint::spin_loop();
    }
}
