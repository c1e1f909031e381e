//! One pinned thread: frames in, the brain asked, frames out.
//!
//! A [`Worker::turn`] is one pass of its loop, in the order of the files here: [`ingress`] takes what
//! the NIC received, [`inbox`] what other workers, the rim and control sent, [`apply`] carries out
//! what the brain decided, [`settle`] says to the driver what it may do without us, [`egress`] sends
//! it, [`handoff`] gives away what is not ours, [`figures`] shows what media are like. Work per turn
//! is bounded, and [`backlog`] knows when that is not enough; nothing is allocated after
//! [`Worker::open`] (`tests/no_allocation.rs` counts).

mod apply;
mod backlog;
mod egress;
mod figures;
mod handoff;
mod inbox;
mod ingress;
mod letter;
mod settle;

pub use handoff::{Handed, Handoff};
pub(crate) use letter::{ENVELOPE_BYTES, by_udp, envelope, seal, unseal};
pub use letter::{Kind, Label};

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use b2bua::{AddressPorts, PortCount, Switch};
use link::Instant;
use link::layout::{Link, WorkerSide};
use link::order::Parameters;
use link::ports::Pairs;
use link::record::CallKey;
use link::report::ConnectionLost;
use link::ring::SLOT_BYTES_MAX;
use link::table::{Image, SlotState};
use shm::Doorbell;
use xdp_prog::media::Media;
use xdp_prog::{Greeter, Roster};

use self::backlog::Backlog;
use self::settle::{FINDS_WAYS, Hearer};
use crate::clock;
use crate::counters::{Counters, WorkerCounter};
use crate::neighbors;
use crate::nic::{Batch, Nic};
use crate::recorder::{self, RecorderCounter};
use crate::rim::{self, StreamCounter};

/// Longest sleep: heartbeats and sweeps must not wait for traffic.
const SLEEP_MAX: Duration = Duration::from_millis(20);
/// Heartbeat, wall clock, figures, control's health.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// OPTIONS are answered in the driver for so long after we were heard last.
const GREETING: Duration = Duration::from_millis(900);
/// A worker that did nothing for so long looks whether its calls are still its own: control gives a
/// silent one up after ten seconds.
const FROZEN_AFTER: Duration = Duration::from_secs(5);
/// Control is away once its heartbeat is older than this.
const CONTROL_PATIENCE: Duration = Duration::from_secs(1);

/// Everything one core owns.
pub struct Worker<N: Nic> {
    index: usize,
    nic: N,
    switch: Switch,
    link: Link,
    side: WorkerSide,
    /// Wakes control when it sleeps.
    control: Doorbell,
    /// Wakes this worker.
    bell: Doorbell,
    hops: neighbors::Reader,
    handoff: Handoff,
    rim: rim::WorkerSide,
    /// By which the driver answers OPTIONS for us; where there is one.
    greeter: Option<Greeter>,
    /// Whether that address is anybody's whom control knows.
    knows: Box<dyn Fn(IpAddr) -> bool + Send>,
    /// By which the driver knows our calls; where there is one.
    roster: Option<Roster>,
    /// By which it sends media on by itself; where there is one.
    media: Option<Media>,
    /// What became of recordings; where calls are recorded.
    recorded: Option<recorder::Counted>,
    /// Which media port is looked after next, by its place.
    looked_after: usize,
    /// Which call slot's figures are shown next.
    figured: u32,
    /// Until when a way may be unknown that the process before this one knew.
    ways_due: Instant,
    counters: Counters,
    batch: Batch,
    /// The datagram that is being read: moved out of its frame or ring.
    incoming: Box<[u8]>,
    /// The message or checkpoint that is being written.
    outgoing: Box<[u8]>,
    image: Box<Image>,
    /// When each call slot asked for admission, for the round trip in `status`.
    asked: Box<[Instant]>,
    parameters: Parameters,
    /// Calls whose record waits for control, oldest first.
    recording: Recording,
    /// Connections that are gone and of which control has not heard yet.
    lost: VecDeque<ConnectionLost>,
    /// Places of the ring to control that new calls leave to those that run.
    ring_reserve: u64,
    backlog: Backlog,
    housekeeping_due: Instant,
    /// When the last turn was.
    turned: Instant,
    spin: Duration,
    busy_until: Instant,
    wall_offset: fn() -> Duration,
    /// Set once any frame or message waits for its consumer's doorbell.
    ring_control: bool,
}

/// Monotonic time as the shared words hold it.
fn micros(now: Instant) -> u64 {
    now.as_micros() as u64
}

/// What a worker is made of.
pub struct Parts<N: Nic> {
    /// Which worker.
    pub index: usize,
    /// Its queues.
    pub nic: N,
    /// Its brain.
    pub switch: Switch,
    /// The shared words.
    pub link: Link,
    /// Its side of the link.
    pub side: WorkerSide,
    /// Wakes control.
    pub control: Doorbell,
    /// Wakes this worker.
    pub bell: Doorbell,
    /// Next hops.
    pub hops: neighbors::Reader,
    /// Rings to and from the other workers.
    pub handoff: Handoff,
    /// Rings to and from the rim.
    pub rim: rim::WorkerSide,
    /// By which the driver answers OPTIONS for it.
    pub greeter: Option<Greeter>,
    /// Whether that address is anybody's whom control knows. Asked where strangers get no answer.
    pub knows: Box<dyn Fn(IpAddr) -> bool + Send>,
    /// By which the driver knows its calls.
    pub roster: Option<Roster>,
    /// By which the driver sends media on by itself.
    pub media: Option<Media>,
    /// By which its calls are written to disk.
    pub recorder: Option<recorder::WorkerSide>,
    /// Calls of this worker, for the list of records that wait.
    pub calls_max: usize,
    /// Longest SIP message.
    pub message_bytes_max: usize,
    /// How long to poll without sleeping after the last work.
    pub spin: Duration,
    /// Wall time minus monotonic time, asked ten times a second.
    pub wall_offset: fn() -> Duration,
}

/// New calls leave this part of the ring to control to answers, ends and failovers of those that run.
const RING_RESERVE_PART: u64 = 2;

/// Connections of registered phones that may go while control takes nothing; of one more it never hears.
const LOST_MAX: usize = 16_384;

/// Slots whose record waits for control, in a fixed ring.
struct Recording {
    calls: Box<[CallKey]>,
    first: usize,
    length: usize,
}

impl Recording {
    fn new(calls_max: usize) -> Self {
        Self { calls: vec![CallKey::default(); calls_max].into(), first: 0, length: 0 }
    }

    fn push(&mut self, call: CallKey) {
        // A slot waits at most once, so as many places as slots are always enough.
        assert!(self.length < self.calls.len(), "more records wait than there are slots");
        let place = (self.first + self.length) % self.calls.len();
        self.calls[place] = call;
        self.length += 1;
    }

    fn pop(&mut self) -> Option<CallKey> {
        if self.length == 0 {
            return None;
        }
        let call = self.calls[self.first];
        self.first = (self.first + 1) % self.calls.len();
        self.length -= 1;
        Some(call)
    }
}

impl<N: Nic> Worker<N> {
    /// Puts the parts together and takes over the calls that the call table still holds.
    #[must_use]
    pub fn open(parts: Parts<N>, now: Instant) -> Self {
        let ring_reserve = parts.link.sizes().ring_slots as u64 / RING_RESERVE_PART;
        let mut worker = Self {
            index: parts.index,
            nic: parts.nic,
            switch: parts.switch,
            link: parts.link,
            side: parts.side,
            control: parts.control,
            bell: parts.bell,
            hops: parts.hops,
            handoff: parts.handoff,
            rim: parts.rim,
            greeter: parts.greeter,
            knows: parts.knows,
            roster: parts.roster,
            media: parts.media,
            recorded: None,
            looked_after: 0,
            figured: 0,
            ways_due: now + FINDS_WAYS,
            counters: Counters::new(),
            batch: Batch::new(),
            incoming: vec![0; SLOT_BYTES_MAX].into(),
            outgoing: vec![0; parts.message_bytes_max.max(SLOT_BYTES_MAX)].into(),
            image: Image::boxed(),
            asked: vec![Instant::ZERO; parts.calls_max].into(),
            parameters: Parameters::default(),
            recording: Recording::new(parts.calls_max),
            lost: VecDeque::with_capacity(LOST_MAX),
            ring_reserve,
            backlog: Backlog::default(),
            housekeeping_due: Instant::ZERO,
            turned: now,
            spin: parts.spin,
            busy_until: Instant::ZERO,
            wall_offset: parts.wall_offset,
            ring_control: false,
        };
        worker.switch.set_records(parts.recorder.is_some());
        if let Some(recorder::WorkerSide { copier, counted }) = parts.recorder {
            worker.switch.media().set_tap(Box::new(copier));
            worker.recorded = Some(counted);
        }
        worker.adopt(now);
        worker
    }

    /// Calls that outlived the process before this one (`apply` tells the table what became of them), and their
    /// media, which may have gone on without us.
    fn adopt(&mut self, now: Instant) {
        if let Some(media) = &self.media {
            self.switch.media().set_ears(Box::new(Hearer(media.clone())));
        }
        self.switch.set_wall_offset((self.wall_offset)());
        for slot in 0..self.side.calls.len() {
            self.adopt_slot(now, slot);
        }
        self.counters.add(WorkerCounter::MediaSettled, self.switch.media().settled_ports().into());
        // What else stands there is of calls that are no more.
        self.switch.media().change_all();
        self.apply(now);
    }

    /// Runs until told to stop.
    pub fn run(&mut self, stopping: impl Fn() -> bool) {
        while !stopping() {
            let now = clock::now();
            if self.turn(now) {
                self.busy_until = now + self.spin;
            } else if now >= self.busy_until {
                self.sleep(now);
            }
        }
    }

    /// One pass. Whether there was anything to do.
    pub fn turn(&mut self, now: Instant) -> bool {
        if now.saturating_sub(std::mem::replace(&mut self.turned, now)) > FROZEN_AFTER {
            self.disown(now);
        }
        self.hops.refresh(now);
        self.switch.set_control_busy(!self.side.up.has_room(self.ring_reserve));
        self.switch.set_worker_busy(self.backlog.turn(now));
        let mut work = self.ingress(now);
        work |= self.inbox(now);
        while self.switch.heed_key(now) {
            self.apply(now);
        }
        self.sound(now);
        while self.switch.heed_played(now) {
            self.apply(now);
        }
        self.switch.heed_turns();
        if self.switch.poll_timeout().is_some_and(|due| due <= now) {
            self.switch.handle_timeout(now);
            if self.switch.poll_timeout().is_some_and(|due| due <= now) {
                self.backlog.leave();
            }
            work = true;
        }
        if now >= self.housekeeping_due {
            self.housekeeping(now);
        }
        work |= self.apply(now);
        self.nic.flush();
        self.handoff.wake();
        self.rim.wake();
        if std::mem::take(&mut self.ring_control) {
            self.control.ring();
        }
        work
    }

    /// The process was frozen, perhaps so long that control gave it up and charged its calls: those are
    /// over, for nobody pays for the rest of them.
    fn disown(&mut self, now: Instant) {
        for slot in 0..self.side.calls.len() {
            let Some(call) = self.switch.live_call_at(slot) else { continue };
            if !self.side.calls.is_ours(call) {
                self.counters.add(WorkerCounter::SlotsLost, 1);
                self.switch.handle_disowned(now, call);
            }
        }
        self.apply(now);
    }

    /// What happens ten times a second, traffic or not.
    fn housekeeping(&mut self, now: Instant) {
        self.housekeeping_due = now + HOUSEKEEPING;
        self.side.beat(micros(now));
        self.switch.set_wall_offset((self.wall_offset)());
        let beat = Duration::from_micros(self.link.control_beat_us());
        let alive = beat != Duration::ZERO && now.saturating_sub(beat) < CONTROL_PATIENCE;
        self.switch.set_control_alive(alive);
        self.collect_recorded();
        self.counters.add(WorkerCounter::RimLost, self.rim.lost());
        self.counters.add(WorkerCounter::RimRefused, self.rim.refused());
        for counter in StreamCounter::ALL {
            self.counters.stream(counter, self.rim.counted(counter));
        }
        if let Some(recorded) = &self.recorded {
            for counter in RecorderCounter::ALL {
                self.counters.recorder(counter, recorded.take(counter));
            }
        }
        self.counters.media_settled(self.switch.media().settled_ports());
        self.counters.media_ports(self.switch.media_ports(now), self.switch.media_ports_taken());
        self.side.ports.replace(self.switch.media_ports_by_address().map(pairs));
        self.counters.transcoders(self.switch.media().transcoders());
        self.counters.publish(&self.side.counters, &self.switch, &self.nic);
        self.greet(now);
        self.look_after_media();
        self.show_figures();
    }

    /// Lets the driver answer OPTIONS until we must have been heard again, or no more.
    fn greet(&mut self, now: Instant) {
        let Some(greeter) = &mut self.greeter else { return };
        let traffic_class = (self.parameters.dscp_sip as u8) << 2;
        let text = self.switch.greeting(&mut self.outgoing).map(|length| &self.outgoing[..length]);
        let said = match text {
            Some(text) => greeter.greet(text, traffic_class, now + GREETING),
            None => greeter.rest(),
        };
        self.counters.add(WorkerCounter::GreetingsLost, said.is_err().into());
    }

    /// Gives slots back to the brain whose records control has made durable.
    fn collect_recorded(&mut self) {
        for _ in 0..self.recording.length {
            let Some(call) = self.recording.pop() else { return };
            let ours = self.side.calls.tenancy(call.slot).is_some_and(|tenancy| {
                tenancy.generation() == call.generation && tenancy.state() != SlotState::Free
            });
            if ours {
                self.recording.push(call);
            } else {
                self.switch.handle_recorded(call);
            }
        }
    }

    /// When the next [`Self::turn`] is due if nothing comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let due = [self.switch.poll_timeout(), self.switch.sound_due()];
        due.into_iter().flatten().fold(self.housekeeping_due, Instant::min)
    }

    /// What it carries: for whoever checks from outside that nothing outlives its call.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// The NIC it was given.
    pub fn nic(&mut self) -> &mut N {
        &mut self.nic
    }

    /// Sleeps until a frame, a doorbell or the next deadline, whichever comes first.
    fn sleep(&mut self, now: Instant) {
        let limit = SLEEP_MAX.min(self.poll_timeout().saturating_sub(now));
        // Whoever produces for us must ring from here on; what came before is seen by this look.
        if self.side.down.try_sleep() && self.handoff.try_sleep() && self.rim.try_sleep() {
            self.counters.add(WorkerCounter::Sleeps, 1);
            let bell: BorrowedFd<'_> = self.bell.as_fd();
            self.nic.wait(bell, limit);
        }
        self.side.down.awake();
        self.handoff.awake();
        self.rim.awake();
        self.bell.drain();
    }
}

/// As control reads it.
fn pairs(ports: AddressPorts) -> (IpAddr, Pairs) {
    let PortCount { used, resting, free } = ports.count;
    let [used, resting, free] = [used, resting, free].map(u64::from);
    (ports.address, Pairs { used, resting, free, missed: ports.missed })
}
