//! The appliance in the simulated world: the real workers and the real decision loop in virtual time.
//!
//! Both processes meet in one piece of shared memory, as in life, and either may die at any moment.
//! Only what surrounds them is made up: a [`Queue`] for the NIC, an [`Archive`] for the database.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use b2bua::{Keys, Limits, Local, Setup, Switch};
use control::Time;
use control::decide::{Command, Method, Office};
use control::driver::{Clock, Driver, Request, Stored, Turns, durable_ends};
use control::reconcile::News;
use control::resolve::dns::Names;
use control::store::{Change, Store};
use crossbeam::channel::{Receiver, Sender, unbounded};
use dataplane::counters::Counters;
use dataplane::neighbors::Reader;
use dataplane::rim::stand_in::MakeRing;
use dataplane::worker::{Handoff, Parts, Worker};
use link::layout::{Link, Sizes};
use link::ring::{self, Consumer, Producer, RingError};
use link::table::{Image, SlotState};
use link::word;
use relay::Prompts;
use serde_json::Value;
use shm::Doorbell;

use super::archive::Archive;
use super::network::{Letter, Way};
use super::queue::{Killed, Queue};
use super::rim::Rim;

/// Workers of the simulated appliance: one would never hand anything over.
pub const WORKERS: u32 = 2;
/// Calls of each; few, so that the table gets full.
pub const CALLS_PER_WORKER: u32 = 3;
/// Where customers find us, and vendors.
pub const ADDRESSES: [&str; 2] = ["10.10.1.2", "10.10.2.2"];
/// Where SIP is spoken.
pub const SIP_PORT: u16 = 5060;

const SIZES: Sizes = Sizes { workers: WORKERS, calls_per_worker: CALLS_PER_WORKER, ring_slots: 64 };
const MEDIA_PORT: u16 = 10_000;
const MEDIA_PORTS: u16 = 64;
const MESSAGE_BYTES_MAX: usize = 3_000;
const LETTER_BYTES: usize = MESSAGE_BYTES_MAX + 64;
/// Rings of a dataplane: between its workers, and from and to both threads of the rim.
const RINGS: usize = 2 + 4 * WORKERS as usize;
/// Letters of the longest of them.
const RING_SLOTS: usize = 64;
const KEYS: Keys = Keys { shard: [7; 16], tag: [9; 16] };

fn wall_offset() -> Duration {
    Duration::from_secs(1_700_000_000)
}

/// Both clocks at a virtual moment.
#[must_use]
pub fn time(now: Duration) -> Time {
    Time { now, wall_us: (now + wall_offset()).as_micros() as u64 }
}

/// The clock of the simulated control.
pub struct VirtualClock(Rc<Cell<Duration>>);

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        time(self.0.get())
    }
}

/// The memory that outlives both processes. One per thread of the simulator, used again and again.
pub struct Memory {
    words: &'static [AtomicU64],
    /// Where the rings of one dataplane lie.
    rings: &'static [AtomicU64],
    bell: PathBuf,
}

impl Memory {
    /// New memory; `name` is unlike all others of this process.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let words = word::leak(SIZES.words_needed());
        let rings = word::leak(RINGS * ring::words_needed(RING_SLOTS, LETTER_BYTES));
        let bell = std::env::temp_dir().join(format!("tollgate-sim-{}-{name}", std::process::id()));
        Self { words, rings, bell }
    }

    fn format(&self) -> Link {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        Link::format(self.words, &SIZES, 1).expect("the sizes fit")
    }

    /// Makes rings for a dataplane, where those of the one before were.
    fn make_ring(&self) -> impl FnMut(usize, usize) -> Result<(Producer, Consumer), RingError> {
        let mut rings = self.rings.chunks(self.rings.len() / RINGS);
        move |slots, bytes| {
            let words = rings.next().expect("enough rings");
            ring::in_words(&words[..ring::words_needed(slots, bytes)], slots, bytes)
        }
    }

    fn bell(&self) -> Doorbell {
        Doorbell::open(&self.bell).expect("a FIFO in the temporary folder")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.bell);
    }
}

/// What workers hold on to; all zero when nothing goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Calls that go on.
    pub calls: u32,
    /// Call slots, also of records that wait.
    pub slots: u32,
    /// Pairs of media ports.
    pub port_pairs: u32,
    /// Anything that flows hold: keys, transcoders, detectors, rules of the driver.
    pub media_held: bool,
    /// Transactions.
    pub transactions: usize,
    /// Blocks of kept messages.
    pub blocks: u32,
    /// NICs whose buffers are not all in their pool.
    pub queues_broken: u32,
}

/// The dataplane's process.
pub struct Plane {
    workers: Vec<Worker<Queue>>,
    rim: Rim,
    due: Vec<Duration>,
    frozen_until: Duration,
    /// Heap allocations in the turns of its workers: there are none after boot.
    pub allocations: u64,
}

/// Control's process.
pub struct Desk {
    driver: Driver<VirtualClock>,
    turns: Turns,
    changes: Receiver<(u64, Vec<Change>)>,
    stored: Sender<Stored>,
    _requests: Sender<Request>,
    _guard: Receiver<News>,
    due: Duration,
    /// Groups on their way to the disk, and when the first of them is there.
    writing: VecDeque<(u64, Vec<Change>)>,
    written_at: Duration,
}

/// The appliance.
pub struct Machine<'m> {
    memory: &'m Memory,
    link: Link,
    clock: Rc<Cell<Duration>>,
    /// The dataplane, if it runs.
    pub plane: Option<Plane>,
    /// Control, if it runs.
    pub desk: Option<Desk>,
    /// What is on disk.
    pub archive: Archive,
    /// How long a write to disk takes.
    pub disk: Duration,
    /// How long one process takes to notice the other.
    pub latency: Duration,
    seed: u64,
    boots: u8,
    /// Times the dataplane died.
    pub plane_deaths: u32,
    /// Times control died.
    pub desk_deaths: u32,
    /// When it did.
    pub desk_died: Vec<Duration>,
    /// Times the dataplane froze.
    pub freezes: u32,
    /// When the machine lost power.
    pub dark_since: Option<Duration>,
    /// Hosts that do not take connections.
    pub away: BTreeSet<IpAddr>,
    /// Messages that came back to dataplanes that are no more.
    given_back: u32,
    /// What callers can hear of us: a second of silence.
    prompts: Arc<Prompts>,
    /// The next fuse that blows is that of the whole machine; whether a write reaches the disk then.
    pub fuse_of_power: Option<bool>,
}

impl<'m> Machine<'m> {
    /// An appliance that was switched on and provisioned.
    #[must_use]
    pub fn new(memory: &'m Memory, seed: u64, now: Duration) -> Self {
        Self {
            link: memory.format(),
            memory,
            clock: Rc::new(Cell::new(now)),
            plane: None,
            desk: None,
            archive: Archive::default(),
            disk: Duration::from_millis(1),
            latency: Duration::from_micros(100),
            seed,
            boots: 0,
            plane_deaths: 0,
            desk_deaths: 0,
            desk_died: Vec::new(),
            freezes: 0,
            dark_since: None,
            away: BTreeSet::new(),
            given_back: 0,
            prompts: Arc::new(Prompts::new([("default", [0; 8_000].as_slice())])),
            fuse_of_power: None,
        }
    }

    /// Starts the dataplane as `boot.rs` does.
    pub fn start_plane(&mut self, now: Duration) {
        self.boots += 1;
        self.link.begin_dataplane();
        let mut make_ring = self.memory.make_ring();
        let mut handoffs = self.handoffs(&mut make_ring);
        let (mut sides, rim) = Rim::open(&self.memory.bell, MESSAGE_BYTES_MAX, &mut make_ring);
        let workers = (0..WORKERS)
            .map(|index| {
                let mut side = self.link.worker_side(index).expect("the layout is ours");
                side.down.clear();
                side.counters
                    .name_all(Counters::names().iter().map(String::as_str))
                    .expect("the names fit");
                let mut switch = Switch::new(setup(index, self.seed, self.boots));
                switch.media().set_prompts(Arc::clone(&self.prompts));
                let parts = Parts {
                    index: index as usize,
                    nic: Queue::default(),
                    switch,
                    link: self.link,
                    side,
                    control: self.memory.bell(),
                    bell: self.memory.bell(),
                    hops: Reader::kernel(),
                    handoff: handoffs.remove(0),
                    rim: sides.remove(0),
                    greeter: None,
                    knows: Box::new(|_| true),
                    roster: None,
                    media: None,
                    recorder: None,
                    calls_max: CALLS_PER_WORKER as usize,
                    message_bytes_max: MESSAGE_BYTES_MAX,
                    spin: Duration::ZERO,
                    wall_offset,
                };
                Worker::open(parts, now)
            })
            .collect();
        self.plane = Some(Plane {
            workers,
            rim,
            due: vec![now; WORKERS as usize],
            frozen_until: now,
            allocations: 0,
        });
    }

    fn handoffs(&self, make_ring: &mut MakeRing<'_>) -> Vec<Handoff> {
        let mut ring = || make_ring(RING_SLOTS, LETTER_BYTES).expect("a ring");
        let ((give_0, take_1), (give_1, take_0)) = (ring(), ring());
        let media = (MEDIA_PORT, MEDIA_PORTS);
        let to = |ring| Some((ring, self.memory.bell()));
        let new = |own, out, inward| Handoff::new(own, KEYS, media, out, inward, LETTER_BYTES);
        vec![
            new(0, vec![None, to(give_0)], vec![None, Some(take_0)]),
            new(1, vec![to(give_1), None], vec![Some(take_1), None]),
        ]
    }

    /// Starts control as its `main.rs` does.
    pub fn start_desk(&mut self, now: Duration) {
        self.clock.set(now);
        self.link.begin_control();
        let loaded = self.archive.load().expect("the archive can be read");
        let ended_before = durable_ends(&mut self.archive, &self.link).expect("it can be read");
        let (changes_out, changes) = unbounded();
        let (stored, stored_in) = unbounded();
        let (requests, requests_in) = unbounded();
        let (guard_out, guard) = unbounded();
        let sides = (0..WORKERS).filter_map(|worker| self.link.control_side(worker).ok());
        let mut driver = Driver {
            office: Office::new(loaded, WORKERS as usize),
            clock: VirtualClock(Rc::clone(&self.clock)),
            link: self.link,
            sides: sides.collect(),
            bells: (0..WORKERS).map(|_| self.memory.bell()).collect(),
            bell: self.memory.bell(),
            changes: changes_out,
            stored: stored_in,
            requests: requests_in,
            guard: guard_out,
            seen: crossbeam::channel::never(),
            names: Names::idle(),
            builder: control::builder::Builder::within(),
            ended_before,
        };
        let turns = driver.begin();
        self.desk = Some(Desk {
            driver,
            turns,
            changes,
            stored,
            _requests: requests,
            _guard: guard,
            due: now,
            writing: VecDeque::new(),
            written_at: Duration::MAX,
        });
    }

    /// SIGKILL for the dataplane.
    pub fn kill_plane(&mut self) {
        if let Some(plane) = self.plane.take() {
            self.plane_deaths += 1;
            self.given_back += plane.rim.given_back;
        }
    }

    /// Messages of ours that came back.
    #[must_use]
    pub fn given_back(&self) -> u32 {
        self.given_back + self.plane.as_ref().map_or(0, |plane| plane.rim.given_back)
    }

    /// SIGKILL for control. `wrote`: its first write on the way reached the disk, and nobody heard.
    pub fn kill_desk(&mut self, wrote: bool) {
        let Some(mut desk) = self.desk.take() else { return };
        self.desk_deaths += 1;
        self.desk_died.push(self.clock.get());
        if let Some((_, group)) = desk.writing.pop_front().filter(|_| wrote) {
            self.archive.commit(&group).expect("the archive takes everything");
        }
    }

    /// The machine loses power: both processes and their shared memory are gone, the disk is not.
    pub fn cut_power(&mut self, now: Duration, wrote: bool) {
        if self.plane.is_none() && self.desk.is_none() {
            return;
        }
        self.kill_plane();
        self.kill_desk(wrote);
        self.link = self.memory.format();
        self.dark_since = Some(now);
    }

    /// Does what an operator wants, at once.
    ///
    /// # Errors
    /// What control says against it.
    pub fn command(
        &mut self,
        now: Duration,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, String> {
        let desk = self.desk.as_mut().ok_or("control is away")?;
        let command = Command {
            method,
            path: path.split('/').map(str::to_owned).collect(),
            query: BTreeMap::new(),
            body,
            rates: Vec::new(),
            ranges: None,
            entries: None,
            records: None,
            sheet: None,
        };
        desk.due = now;
        let office = &mut desk.driver.office;
        office.handle_command(time(now), &command).map_err(|refusal| refusal.detail)
    }

    /// When anything is due here.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        let workers = self
            .plane
            .iter()
            .flat_map(|plane| plane.due.iter().map(|due| *due.max(&plane.frozen_until)));
        let desk = self.desk.iter().flat_map(|desk| [desk.due, desk.written_at]);
        workers.chain(desk).min().unwrap_or(Duration::MAX)
    }

    /// Something reaches the machine. A datagram's queue is chosen as a NIC does, by a hash of the flow.
    pub fn deliver(&mut self, now: Duration, letter: &Letter) {
        let Some(plane) = &mut self.plane else { return };
        let Letter { from, to, bytes, way } = letter;
        let worker = match way {
            Way::Stream => plane.rim.deliver(letter),
            Way::Back => plane.rim.unreachable(letter),
            Way::Datagram => {
                let ports = usize::from(from.port()) / 2 + usize::from(to.port()) / 2;
                let queue = (ports + octets(*from) + octets(*to)) % WORKERS as usize;
                if let Some(worker) = plane.workers.get_mut(queue) {
                    worker.nic().deliver(*from, *to, bytes);
                }
                queue
            }
        };
        if let Some(due) = plane.due.get_mut(worker) {
            *due = now;
        }
    }

    /// All connections break.
    pub fn cut_connections(&mut self) {
        self.plane.iter_mut().for_each(|plane| plane.rim.cut());
    }

    /// The dataplane dies in the middle of a turn, at the `frames`-th frame it sends from now.
    pub fn light_fuse(&mut self, worker: usize, frames: u32) {
        if let Some(worker) = self.plane.as_mut().and_then(|plane| plane.workers.get_mut(worker)) {
            worker.nic().light_fuse(frames);
        }
    }

    /// The dataplane does nothing until then: SIGSTOP, or a virtual machine that was moved.
    pub fn freeze_plane(&mut self, until: Duration) {
        if let Some(plane) = &mut self.plane {
            plane.frozen_until = until;
            self.freezes += 1;
        }
    }

    /// Control does nothing until then: a page fault, a scheduler, a debugger.
    pub fn stall_desk(&mut self, until: Duration) {
        if let Some(desk) = &mut self.desk {
            desk.due = until;
        }
    }

    /// Everything that is due happens; what the workers send goes to `send`.
    pub fn step(&mut self, now: Duration, send: impl FnMut(Letter)) {
        self.clock.set(now);
        self.step_workers(now, send);
        self.step_disk(now);
        self.step_desk(now);
    }

    fn step_workers(&mut self, now: Duration, mut send: impl FnMut(Letter)) {
        let Some(plane) = self.plane.as_mut().filter(|plane| plane.frozen_until <= now) else {
            return;
        };
        let mut died = false;
        let mut worked = false;
        for index in 0..plane.workers.len() {
            let Some(worker) = plane.workers.get_mut(index) else { continue };
            if died || plane.due.get(index).is_none_or(|due| *due > now) {
                continue;
            }
            let mut turn = Ok(false);
            let allocated = allocation_counter::measure(|| {
                let guarded = std::panic::AssertUnwindSafe(|| worker.turn(now));
                turn = std::panic::catch_unwind(guarded);
            });
            match turn {
                Ok(any) => {
                    plane.allocations += allocated.count_total;
                    worked |= any;
                    // A busy worker looks again at once; the other may have been given something.
                    let next = if any { now } else { worker.poll_timeout() };
                    if let Some(due) = plane.due.get_mut(index) {
                        *due = next;
                    }
                }
                Err(cause) if cause.is::<Killed>() => died = true,
                Err(cause) => std::panic::resume_unwind(cause),
            }
            worker.nic().take_sent(|from, to, bytes| {
                send(Letter::datagram(from, to, bytes.to_vec()));
            });
            if plane.rim.take_sent(index, &self.away, &mut send) {
                plane.due.iter_mut().for_each(|due| *due = now);
            }
            if worked {
                plane.due.iter_mut().for_each(|due| *due = (*due).min(now + HANDED));
            }
        }
        if worked && let Some(desk) = &mut self.desk {
            desk.due = desk.due.min(now + self.latency).max(now);
        }
        match self.fuse_of_power {
            Some(wrote) if died => self.cut_power(now, wrote),
            _ if died => self.kill_plane(),
            _ => {}
        }
    }

    /// The disk has written: control hears of it.
    fn step_disk(&mut self, now: Duration) {
        let Some(desk) = &mut self.desk else { return };
        if desk.written_at > now {
            return;
        }
        if let Some((through, group)) = desk.writing.pop_front() {
            self.archive.commit(&group).expect("the archive takes everything");
            let _ = desk.stored.send(Stored::Through(through));
            desk.due = desk.due.min(now + self.latency);
        }
        desk.written_at = if desk.writing.is_empty() { Duration::MAX } else { now + self.disk };
    }

    fn step_desk(&mut self, now: Duration) {
        let Some(desk) = &mut self.desk else { return };
        if desk.due > now {
            return;
        }
        let worked = desk.driver.turn(&mut desk.turns);
        desk.due = if worked { now + self.latency } else { desk.turns.tick_due() };
        if let Some(plane) = self.plane.as_mut().filter(|_| worked) {
            plane.due.iter_mut().for_each(|due| *due = (*due).min(now + self.latency));
        }
        while let Ok(group) = desk.changes.try_recv() {
            if desk.writing.is_empty() {
                desk.written_at = now + self.disk;
            }
            desk.writing.push_back(group);
        }
    }

    /// The decision loop's state, if control runs.
    #[must_use]
    pub fn office(&self) -> Option<&Office> {
        self.desk.as_ref().map(|desk| &desk.driver.office)
    }

    /// Whether control wrote everything.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.desk.as_ref().is_none_or(|desk| {
            desk.writing.is_empty() && desk.changes.is_empty() && desk.driver.office.backlog() == 0
        })
    }

    /// Slots of the call table that are not free.
    #[must_use]
    pub fn slots_taken(&self) -> usize {
        let tables = (0..WORKERS).filter_map(|worker| self.link.calls(worker).ok());
        tables
            .flat_map(|table| table.tenancies().map(|(_, seen)| seen.state()).collect::<Vec<_>>())
            .filter(|state| *state != SlotState::Free)
            .count()
    }

    /// What the workers hold on to.
    #[must_use]
    pub fn carried(&mut self) -> Carried {
        let mut carried = Carried::default();
        for worker in self.plane.iter_mut().flat_map(|plane| &mut plane.workers) {
            carried.queues_broken += u32::from(!worker.nic().is_whole());
            let switch = worker.switch();
            carried.calls += switch.calls_live();
            carried.slots += switch.slots_taken() as u32;
            let held = switch.media_held();
            carried.port_pairs += held.pairs;
            carried.media_held |= held != Default::default();
            carried.transactions += switch.transactions_open();
            carried.blocks += switch.blocks_kept();
        }
        carried
    }

    /// What the workers of the dataplane that runs have counted under a name.
    #[must_use]
    pub fn counted(&self, name: &str) -> u64 {
        let sides = (0..WORKERS).filter_map(|worker| self.link.control_side(worker).ok());
        let all = sides.flat_map(|side| side.counters.iter());
        all.filter(|(found, _)| found == name).map(|(_, count)| count).sum()
    }

    /// Live calls of the call table that control does not know.
    #[must_use]
    pub fn calls_unknown(&self) -> usize {
        let Some(office) = self.office() else { return 0 };
        let mut image = Image::boxed();
        let tables = (0..WORKERS).filter_map(|worker| self.link.calls(worker).ok());
        tables
            .flat_map(|table| (0..table.len()).map(move |slot| (table, slot)))
            .filter(|(table, slot)| {
                let seen = table.read(*slot, &mut image);
                seen.is_some_and(|seen| seen.state() == SlotState::Live)
                    && !office.knows(image.record.id)
            })
            .count()
    }

    /// Ids of the calls that control knows to be running.
    #[must_use]
    pub fn calls(&mut self) -> Vec<[u64; 2]> {
        let Some(plane) = &mut self.plane else { return Vec::new() };
        let switches = plane.workers.iter().map(Worker::switch);
        switches.flat_map(|switch| switch.live_calls().map(|call| call.record.id)).collect()
    }
}

/// How long a letter to the other worker lies in its ring.
const HANDED: Duration = Duration::from_micros(5);

fn octets(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => address.ip().octets().into_iter().map(usize::from).sum(),
        SocketAddr::V6(_) => 0,
    }
}

fn setup(worker: u32, seed: u64, boots: u8) -> Setup {
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&seed.to_le_bytes());
    entropy[8..10].copy_from_slice(&[worker as u8, boots]);
    let first = MEDIA_PORT + MEDIA_PORTS * worker as u16;
    Setup {
        worker: worker as u8,
        workers: WORKERS as u8,
        node: 1,
        limits: Limits {
            calls_max: CALLS_PER_WORKER,
            transactions_max: 256,
            kept_messages_max: 256,
            message_bytes_max: MESSAGE_BYTES_MAX,
            gateways_max: 64,
            transcoded_max: 0,
        },
        locals: ADDRESSES
            .iter()
            .map(|address| Local {
                address: address.parse().expect("an address"),
                sip_port: SIP_PORT,
                prefix_bits: 24,
                advertise: None,
                stream_ports: b2bua::StreamPorts::default(),
            })
            .collect(),
        media_locals: Vec::new(),
        media_ports: (first, first + MEDIA_PORTS - 1),
        keys: KEYS,
        seed: entropy,
        user_agent: "Tollgate".into(),
    }
}
