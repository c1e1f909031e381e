//! The appliance between the crowds: the real worker and the real control, each a server of its own in
//! virtual time.
//!
//! Each turn is really executed; the CPU time that it took advances its server's clock, and what it
//! says is heard when it is done. The worker reads and writes real frames, both meet in the real rings
//! and the real call table. Only the disk is made up.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use b2bua::{Limits, Switch};
use benches::desk::Desk;
use benches::phones::{MESSAGE_BYTES_MAX, keys, setup};
use benches::shared::Shared;
use control::Time;
use control::driver::{Clock, Driver, Request, Stored, Turns};
use control::reconcile::News;
use control::resolve::dns::Names;
use control::store::Change;
use crossbeam::channel::{Receiver, Sender, unbounded};
use dataplane::counters::Counters;
use dataplane::neighbors::Reader;
use dataplane::nic::Nic;
use dataplane::rim;
use dataplane::worker::{Handoff, Parts, Worker};

use crate::queue::Queue;
use crate::yardstick::Yardstick;

/// Call slots.
const CALLS: u32 = 6_000;
/// Enough for all calls of 32 s: the tables shall not be what is full.
const TRANSACTIONS: u32 = 400_000;
const KEPT: u32 = 200_000;
/// How long a group of changes is written.
const DISK: Duration = Duration::from_millis(1);

/// How many times slower than this machine each server is.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) worker: f64,
    pub(crate) control: f64,
}

fn wall_offset() -> Duration {
    Duration::from_secs(1_700_000_000)
}

struct VirtualClock(Rc<Cell<Duration>>);

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        let now = self.0.get();
        Time { now, wall_us: (now + wall_offset()).as_micros() as u64 }
    }
}

/// One program's time.
#[derive(Clone, Copy, Default)]
struct Server {
    /// When it has anything to do.
    due: Duration,
    /// When it is done with what it does.
    free: Duration,
    /// How long it was busy.
    busy: Duration,
}

impl Server {
    fn next(&self) -> Duration {
        self.due.max(self.free)
    }

    fn wake(&mut self, now: Duration) {
        self.due = self.due.min(now);
    }
}

/// See the head of this file.
pub(crate) struct Appliance {
    // The shared memory is gone when this is.
    _shared: Shared,
    clock: Rc<Cell<Duration>>,
    worker: Worker<Queue>,
    driver: Driver<VirtualClock>,
    turns: Turns,
    changes: Receiver<(u64, Vec<Change>)>,
    stored: Sender<Stored>,
    writing: VecDeque<u64>,
    written: Duration,
    at_worker: Server,
    at_control: Server,
    pace: Pace,
    yardstick: Yardstick,
    _requests: Sender<Request>,
    _guard: Receiver<News>,
}

impl Appliance {
    /// Starts both programs.
    pub(crate) fn start(now: Duration, pace: Pace) -> Result<Self, Box<dyn Error>> {
        let shared = Shared::make(CALLS)?;
        shared.link.begin_dataplane();
        shared.link.begin_control();
        let side = shared.link.worker_side(0)?;
        side.counters.name_all(Counters::names().iter().map(String::as_str))?;
        let limits = Limits {
            calls_max: CALLS,
            transactions_max: TRANSACTIONS,
            kept_messages_max: KEPT,
            message_bytes_max: MESSAGE_BYTES_MAX,
            gateways_max: 16,
            transcoded_max: 0,
        };
        let setup = setup(limits);
        let (first, last) = setup.media_ports;
        let media = (first, last - first + 1);
        let (control, bell) = shared.bells()?;
        let parts = Parts {
            index: 0,
            nic: Queue::new(),
            switch: Switch::new(setup),
            link: shared.link,
            side,
            control,
            bell,
            hops: Reader::kernel(),
            handoff: Handoff::new(0, keys(), media, vec![None], vec![None], MESSAGE_BYTES_MAX + 64),
            rim: rim::WorkerSide::none(),
            greeter: None,
            knows: Box::new(|_| true),
            roster: None,
            media: None,
            recorder: None,
            calls_max: CALLS as usize,
            message_bytes_max: MESSAGE_BYTES_MAX,
            spin: Duration::ZERO,
            wall_offset,
        };
        let clock = Rc::new(Cell::new(now));
        let (changes_out, changes) = unbounded();
        let (stored, stored_in) = unbounded();
        let (requests, requests_in) = unbounded();
        let (guard_out, guard) = unbounded();
        let (bell, worker_bell) = shared.bells()?;
        let mut driver = Driver {
            office: Desk::open()?.into_office(),
            clock: VirtualClock(Rc::clone(&clock)),
            link: shared.link,
            sides: vec![shared.link.control_side(0)?],
            bells: vec![worker_bell],
            bell,
            changes: changes_out,
            stored: stored_in,
            requests: requests_in,
            guard: guard_out,
            seen: crossbeam::channel::never(),
            names: Names::idle(),
            builder: control::builder::Builder::within(),
            ended_before: HashSet::new(),
        };
        let turns = driver.begin();
        let at = Server { due: now, free: now, busy: Duration::ZERO };
        Ok(Self {
            clock,
            worker: Worker::open(parts, now),
            driver,
            turns,
            changes,
            stored,
            writing: VecDeque::new(),
            written: Duration::MAX,
            at_worker: at,
            at_control: at,
            pace,
            yardstick: Yardstick::new()?,
            _requests: requests,
            _guard: guard,
            _shared: shared,
        })
    }

    /// When anything is due here.
    pub(crate) fn poll_timeout(&self) -> Duration {
        self.at_worker.next().min(self.at_control.next()).min(self.written)
    }

    /// A datagram reaches the interface.
    pub(crate) fn deliver(
        &mut self,
        now: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) {
        self.worker.nic().deliver(from, to, payload);
        self.at_worker.wake(now);
    }

    /// The one thing that is due first; what the worker sends goes to `send`, with the moment.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        send: impl FnMut(Duration, SocketAddr, &[u8]),
    ) -> Result<(), Box<dyn Error>> {
        if self.written <= now {
            self.step_disk(now);
            Ok(())
        } else if self.at_control.next() <= now {
            self.step_control(now)
        } else {
            self.step_worker(now, send)
        }
    }

    fn step_worker(
        &mut self,
        now: Duration,
        mut send: impl FnMut(Duration, SocketAddr, &[u8]),
    ) -> Result<(), Box<dyn Error>> {
        let worker = &mut self.worker;
        let (worked, cost) = self.yardstick.cost(|| worker.turn(now))?;
        let free = now + cost.mul_f64(self.pace.worker);
        self.at_worker.busy += free - now;
        self.at_worker.free = free;
        self.at_worker.due = if worked { free } else { self.worker.poll_timeout() };
        self.worker.nic().take_sent(|to, bytes| send(free, to, bytes));
        if worked {
            self.at_control.wake(free);
        }
        Ok(())
    }

    fn step_control(&mut self, now: Duration) -> Result<(), Box<dyn Error>> {
        self.clock.set(now);
        let (driver, turns) = (&mut self.driver, &mut self.turns);
        let (worked, cost) = self.yardstick.cost(|| driver.turn(turns))?;
        let free = now + cost.mul_f64(self.pace.control);
        self.at_control.busy += free - now;
        self.at_control.free = free;
        self.at_control.due = if worked { free } else { self.turns.tick_due() };
        self.at_worker.wake(free);
        while let Ok((through, _)) = self.changes.try_recv() {
            self.writing.push_back(through);
        }
        if !self.writing.is_empty() {
            self.written = self.written.min(free + DISK);
        }
        Ok(())
    }

    /// Everything that waited is durable: groups are written together.
    fn step_disk(&mut self, now: Duration) {
        self.written = Duration::MAX;
        if let Some(through) = self.writing.drain(..).next_back() {
            let _ = self.stored.send(Stored::Through(through));
            self.at_control.wake(now);
        }
    }

    /// How long worker and control were busy so far.
    pub(crate) fn busy(&self) -> [Duration; 2] {
        [self.at_worker.busy, self.at_control.busy]
    }

    /// Frames that arrived so far, and how many of them the full queue dropped.
    pub(crate) fn frames(&mut self) -> [u64; 2] {
        let statistics = self.worker.nic().statistics();
        [statistics.received + statistics.receive_full, statistics.receive_full]
    }
}
