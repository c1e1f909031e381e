//! Moves messages between the decision loop and its followers: rings, store, API, reconciler.
//!
//! The loop's thread runs [`Driver::run`]. It sleeps on its doorbell when nothing waits; the workers, the
//! store and the API ring it.

use std::collections::{HashSet, VecDeque};
use std::os::fd::AsFd;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use link::layout::{ControlSide, Link};
use link::message::Up;
use link::record::{CallKey, EndReason};
use link::ring::Wake;
use link::table::{Image, SlotState};
use link::{CallRecord, Report};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use shm::Doorbell;

use crate::builder::Builder;
use crate::cdr::note_last_media;
use crate::decide::{Command, Method, Missed, Office};
use crate::journal::{Event, Severity};
use crate::reconcile::{News, Sight};
use crate::resolve::dns::{Names, Resolved};
use crate::shown::AddressPorts;
pub use crate::store::writer::{Stored, run_store};
use crate::store::{self, Change, Store};
use crate::{Refusal, Time};

/// Messages of one worker per turn.
const MESSAGES_MAX: usize = 256;
/// Sweeps, heartbeats, expiries.
const TICK: Duration = Duration::from_millis(50);
/// How often calls without a slot are looked for.
const MISSING_LOOK: Duration = Duration::from_secs(5);
/// No dataplane for so long: its calls are ended and charged.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// A request of the API and where its answer goes.
pub struct Request {
    /// Who wants it.
    pub who: String,
    /// What is wanted.
    pub command: Command,
    /// Where the answer goes, once it is durable.
    pub reply: tokio::sync::oneshot::Sender<Result<Value, Refusal>>,
}

/// The clocks, brought from outside.
pub trait Clock {
    /// Now.
    fn now(&self) -> Time;
}

/// Everything the loop's thread holds.
pub struct Driver<C: Clock> {
    /// The loop.
    pub office: Office,
    /// The clocks.
    pub clock: C,
    /// The shared words.
    pub link: Link,
    /// One side per worker.
    pub sides: Vec<ControlSide>,
    /// Wakes each worker.
    pub bells: Vec<Doorbell>,
    /// Wakes this loop.
    pub bell: Doorbell,
    /// To the store.
    pub changes: Sender<(u64, Vec<Change>)>,
    /// From the store.
    pub stored: Receiver<Stored>,
    /// From the API.
    pub requests: Receiver<Request>,
    /// To the reconciler.
    pub guard: Sender<News>,
    /// What the driver saw.
    pub seen: Receiver<Sight>,
    /// To and from DNS.
    pub names: Names,
    /// Where tables of large tariffs are built.
    pub builder: Builder,
    /// Records whose end was durable at the start.
    pub ended_before: HashSet<[u64; 2]>,
}

/// What the loop remembers from turn to turn.
pub struct Turns {
    image: Box<Image>,
    replies: VecDeque<Pending>,
    stored: u64,
    epoch: u64,
    /// The dataplane that is starting, or started, and the beats of the one before it: whoever is greeted before his
    /// own beat may throw the greeting away with what his predecessor was told.
    starting: (u64, Vec<u64>),
    tick_due: Duration,
    missing_due: Duration,
    lost: bool,
    /// Whether what vanished with its memory was ended.
    settled: bool,
    sent: u64,
}

/// Whether everything went out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flushed {
    Whole,
    /// The store has no room for more.
    Partly,
}

/// An answer that waits until what it says is durable, and in force.
struct Pending {
    /// The change that must be stored.
    change: u64,
    /// The wish for a table that must be fulfilled.
    table: u64,
    reply: tokio::sync::oneshot::Sender<Result<Value, Refusal>>,
    result: Result<Value, Refusal>,
}

impl Turns {
    /// When the next turn is due if nothing comes before.
    #[must_use]
    pub fn tick_due(&self) -> Duration {
        self.tick_due
    }
}

impl<C: Clock> Driver<C> {
    /// Runs until told to stop.
    pub fn run(&mut self, stopping: impl Fn() -> bool) {
        let mut turns = self.begin();
        while !stopping() {
            if !self.turn(&mut turns) {
                self.sleep();
            }
        }
        // What is decided already goes out; the store's thread ends when its channel does. Nobody
        // listens to it any more, and it does not wait for that, so it always makes room.
        while self.flush(&mut turns) == Flushed::Partly {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Before anything new is admitted: what runs, and what ended while no control was there.
    pub fn begin(&mut self) -> Turns {
        let mut turns = Turns {
            image: Image::boxed(),
            replies: VecDeque::new(),
            stored: 0,
            epoch: 0,
            starting: (0, Vec::new()),
            tick_due: Duration::ZERO,
            missing_due: Duration::ZERO,
            lost: false,
            settled: false,
            sent: 0,
        };
        let time = self.clock.now();
        self.link.beat_control(micros(time.now));
        self.office.review_upstream(time);
        for worker in 0..self.sides.len() {
            // Asks of a time when nobody listened have passed their deadline.
            while let Some(side) = self.sides.get_mut(worker) {
                if side.up.receive().is_none() {
                    break;
                }
            }
            self.sweep(time, &mut turns, worker);
        }
        self.settle(time, &mut turns);
        turns
    }

    /// Ends calls that no slot holds, as soon as every slot could be read.
    fn settle(&mut self, time: Time, turns: &mut Turns) {
        if turns.settled {
            return;
        }
        let mut whole = true;
        // A call may have ended since this control looked for ends: the next look finds it.
        let mut ended = HashSet::new();
        for worker in 0..self.sides.len() {
            whole &= self.each_call(turns, worker, |office, key, record, state| match state {
                SlotState::Live => office.rebuild(time, worker, key, record),
                SlotState::Ended => drop(ended.insert(record.id)),
                SlotState::Free => {}
            });
        }
        if whole {
            turns.settled = true;
            self.office.end_vanished(time, &ended);
        }
    }

    /// Every call in a worker's table. Whether all of them could be read: one that changes all the
    /// time cannot.
    fn each_call(
        &mut self,
        turns: &mut Turns,
        worker: usize,
        mut with: impl FnMut(&mut Office, CallKey, &CallRecord, SlotState),
    ) -> bool {
        let Some(side) = self.sides.get(worker) else { return true };
        let mut whole = true;
        for (slot, seen) in side.calls.tenancies() {
            let Some(seen) = side.calls.read(slot, &mut turns.image) else {
                whole &= seen.state() == SlotState::Free;
                continue;
            };
            let key = CallKey { slot, generation: seen.generation() };
            with(&mut self.office, key, &turns.image.record, seen.state());
        }
        whole
    }

    /// One pass over everything that came. Whether there was anything to do.
    pub fn turn(&mut self, turns: &mut Turns) -> bool {
        let time = self.clock.now();
        let mut work = false;
        for worker in 0..self.sides.len() {
            work |= self.messages(time, turns, worker);
        }
        while let Ok(stored) = self.stored.try_recv() {
            work = true;
            self.handle_stored(time, turns, stored);
        }
        while let Some(Resolved { name, outcome }) = self.names.next() {
            work = true;
            self.office.handle_resolved(time, &name, outcome);
        }
        while let Ok(Request { who, command, reply }) = self.requests.try_recv() {
            work = true;
            let wanted = self.office.state.tables_wanted();
            let result = self.office.handle_command_of(time, &who, &command);
            // What changes nothing waits for nothing: with a full disk one can still read why.
            if command.method == Method::Get || result.is_err() || self.office.backlog() == 0 {
                let _ = reply.send(result);
            } else {
                let now = self.office.state.tables_wanted();
                let table = if now > wanted { now } else { 0 };
                let change = self.office.last_change();
                turns.replies.push_back(Pending { change, table, reply, result });
            }
        }
        work |= self.tables(turns);
        if time.now >= turns.tick_due {
            for seen in self.seen.try_iter() {
                match seen {
                    Sight::Senders(senders) => self.office.handle_seen(time, senders),
                    Sight::Machine(load) => self.office.handle_load(time, load),
                    Sight::Logins(sources) => self.office.handle_logins(time, sources),
                    Sight::LoginsUnread(why) => self.office.handle_logins_unread(why),
                    Sight::LeftOut(count) => self.office.handle_left_out(time, count),
                }
            }
            turns.tick_due = time.now + TICK;
            self.tick(time, turns);
        }
        // What has no room waits in the office.
        while !self.guard.is_full()
            && let Some(news) = self.office.poll_guard(time)
        {
            let _ = self.guard.send(news);
        }
        self.flush(turns);
        work
    }

    fn messages(&mut self, time: Time, turns: &mut Turns, worker: usize) -> bool {
        for count in 0..MESSAGES_MAX {
            let Some(side) = self.sides.get_mut(worker) else { return count > 0 };
            let Some(up) = side.up.receive() else { return count > 0 };
            let calls = side.calls;
            // Whoever speaks is there, and must not be answered before it knows what holds.
            if self.link.dataplane_epoch() != turns.epoch {
                self.greet_dataplane(time, turns);
            }
            match up {
                Up::Ask(ask) => {
                    let image = &mut turns.image;
                    let slot = match &ask {
                        link::Ask::Answered(answered) => Some(answered.call),
                        link::Ask::Extend(extend) => Some(extend.call),
                        _ => None,
                    };
                    self.office.handle_ask(time, worker, &ask, || {
                        let call = slot?;
                        let seen = calls.read(call.slot, image)?;
                        (seen.generation() == call.generation).then_some(image.record)
                    });
                }
                Up::Report(Report::Ended(ended)) => {
                    self.collect(time, turns, worker, ended.call.slot)
                }
                Up::Report(Report::Errand(done)) => self.office.handle_errand(time, &done),
                Up::Report(Report::Gateway(news)) => self.office.handle_news(time, &news),
                Up::Report(Report::Lost(lost)) => self.office.handle_connection_lost(lost),
                Up::Report(Report::Fenced(fenced)) => self.office.handle_fenced(time, &fenced),
                Up::Report(Report::Refusals(refusals)) => {
                    self.office.handle_refusals(time, &refusals);
                }
            }
        }
        true
    }

    /// Takes a complete record out of the call table, if it is one.
    fn collect(&mut self, time: Time, turns: &mut Turns, worker: usize, slot: u32) {
        let Some(side) = self.sides.get(worker) else { return };
        let Some(seen) = side.calls.read(slot, &mut turns.image) else { return };
        if seen.state() != SlotState::Ended {
            return;
        }
        let key = CallKey { slot, generation: seen.generation() };
        let stored = self.ended_before.contains(&turns.image.record.id);
        if turns.image.record.ended_ms == link::record::NEVER {
            // Reaped by a control that died before it recorded the call.
            let media_us = side.calls.media_us(slot);
            side.calls.note_figures(key, &mut turns.image.record);
            self.office.handle_lost(time, worker, key, &turns.image.record, media_us, stored);
        } else {
            if turns.image.record.end_reason() == EndReason::DataplaneRestart {
                note_last_media(&mut turns.image.record, side.calls.media_us(slot));
            }
            self.office.handle_ended(time, worker, key, &turns.image.record, stored);
        }
    }

    fn handle_stored(&mut self, time: Time, turns: &mut Turns, stored: Stored) {
        match stored {
            Stored::Through(sequence) => {
                self.office.handle_stored(sequence);
                turns.stored = sequence;
                self.reply(turns);
            }
            Stored::Standing(standing) => self.office.handle_standing(time, *standing),
        }
    }

    /// Answers whoever waits for nothing any more.
    fn reply(&self, turns: &mut Turns) {
        let in_force = self.office.state.tables_in_force();
        let all_stored = self.office.backlog() == 0;
        let waiting = std::mem::take(&mut turns.replies);
        for pending in waiting {
            let is_stored = all_stored || pending.change <= turns.stored;
            if is_stored && pending.table <= in_force {
                let _ = pending.reply.send(pending.result);
            } else {
                turns.replies.push_back(pending);
            }
        }
    }

    /// Large tariffs: one table is built at a time. Whether there was one.
    fn tables(&mut self, turns: &mut Turns) -> bool {
        if let Some(build) = self.office.state.poll_build() {
            self.builder.order(build);
        }
        let Some(built) = self.builder.poll_ready() else { return false };
        self.office.state.take_table(built);
        self.reply(turns);
        true
    }

    /// What happens by the clock.
    fn tick(&mut self, time: Time, turns: &mut Turns) {
        self.link.beat_control(micros(time.now));
        self.office.handle_tick(time);
        self.reply(turns);
        if self.has_started(turns) && self.dataplane_beats(time) {
            self.greet_dataplane(time, turns);
            turns.starting.1.clear();
        }
        for worker in 0..self.sides.len() {
            self.sweep(time, turns, worker);
        }
        self.settle(time, turns);
        if time.now >= turns.missing_due {
            turns.missing_due = time.now + MISSING_LOOK;
            self.watch_workers(time);
            for (worker, side) in self.sides.iter().enumerate() {
                self.office.handle_ports(time, worker, &AddressPorts::read(&side.ports));
            }
            for (worker, side) in self.sides.iter().enumerate() {
                self.office.handle_missing(time, worker, |key| {
                    side.calls.tenancy(key.slot).is_some_and(|seen| {
                        seen.generation() == key.generation && seen.state() != SlotState::Free
                    })
                });
            }
        }
        self.watch_dataplane(time, turns);
    }

    /// Whether every worker of a dataplane that was not greeted since has beaten by itself.
    fn has_started(&self, turns: &mut Turns) -> bool {
        let beats = (0..self.sides.len()).map(|worker| self.link.worker_beat_us(worker as u32));
        let (epoch, before) = &mut turns.starting;
        if *epoch != self.link.dataplane_epoch() {
            *epoch = self.link.dataplane_epoch();
            *before = beats.collect();
            return false;
        }
        !before.is_empty() && before.iter().zip(beats).all(|(before, now)| *before != now)
    }

    fn dataplane_beats(&self, time: Time) -> bool {
        (0..self.sides.len()).all(|worker| {
            let beat = Duration::from_micros(self.link.worker_beat_us(worker as u32));
            beat != Duration::ZERO && time.now.saturating_sub(beat) < Duration::from_secs(2)
        })
    }

    /// A dataplane started: it learns parameters, profiles and fences.
    fn greet_dataplane(&mut self, time: Time, turns: &mut Turns) {
        let epoch = self.link.dataplane_epoch();
        turns.epoch = epoch;
        self.office.handle_dataplane(time, epoch);
        tracing::info!(epoch, "dataplane_joined");
    }

    /// Finds ended slots whose report got lost.
    fn sweep(&mut self, time: Time, turns: &mut Turns, worker: usize) {
        let Some(side) = self.sides.get(worker) else { return };
        let calls = side.calls;
        for (slot, seen) in calls.tenancies() {
            if seen.state() == SlotState::Ended {
                self.collect(time, turns, worker, slot);
            }
        }
    }

    /// Whether the rim could use what lies on disk now, and whether what should lie there does; any worker may have
    /// counted it.
    fn watch_workers(&mut self, time: Time) {
        let (mut read, mut refused, mut missed) = (0, 0, Missed::default());
        for (name, value) in self.sides.iter().flat_map(|side| side.counters.iter()) {
            match name.as_str() {
                "stream_tls_read" => read += value,
                "stream_tls_refused" => refused += value,
                "recordings_disk_full" => missed.disk_full += value,
                "recordings_failed" => missed.failed += value,
                "recordings_over_limit" => missed.over_limit += value,
                "recording_packets_lost" => missed.packets += value,
                _ => {}
            }
        }
        self.office.handle_certificates(time, read, refused);
        self.office.handle_missed(time, missed);
    }

    /// Ends and charges the calls of a dataplane that does not come back.
    fn watch_dataplane(&mut self, time: Time, turns: &mut Turns) {
        let mut lost = false;
        for worker in 0..self.sides.len() {
            let beat = Duration::from_micros(self.link.worker_beat_us(worker as u32));
            if beat == Duration::ZERO || time.now.saturating_sub(beat) < LOST_AFTER {
                continue;
            }
            lost = true;
            let Some(side) = self.sides.get(worker) else { continue };
            let calls = side.calls;
            for (slot, seen) in calls.tenancies() {
                if seen.state() == SlotState::Live
                    && calls.read(slot, &mut turns.image).is_some()
                    && calls.reap(slot, seen).is_ok()
                {
                    let key = CallKey { slot, generation: seen.generation() };
                    let media_us = calls.media_us(slot);
                    calls.note_figures(key, &mut turns.image.record);
                    self.office.handle_lost(
                        time,
                        worker,
                        key,
                        &turns.image.record,
                        media_us,
                        false,
                    );
                }
            }
        }
        if lost && !turns.lost {
            self.office.journal.raise(Event {
                at_us: time.wall_us,
                name: "dataplane_lost",
                subject: "dataplane".into(),
                severity: Severity::Critical,
                detail: "no heartbeat for 10 s; its calls were ended at their last media. Start \
                         tollgate-dataplane, see its log"
                    .into(),
            });
        } else if !lost && turns.lost {
            self.office.journal.clear(time.wall_us, "dataplane_lost", "dataplane");
        }
        turns.lost = lost;
    }

    /// Everything the loop has to say goes where it belongs. What the store has no room for stays in the
    /// loop's backlog: waiting for room here would stop every decision for as long as a disk is full.
    fn flush(&mut self, turns: &mut Turns) -> Flushed {
        let flushed = self.flush_changes(turns);
        let mut ring = 0_u64;
        for (worker, side) in self.sides.iter_mut().enumerate() {
            while let Some(down) = self.office.poll_down(worker) {
                match side.down.send(&down) {
                    Ok(Wake::Needed) => ring |= 1 << worker,
                    Ok(Wake::Needless) => {}
                    Err(_) => {
                        // Full: it is behind; answers past their deadline would be dropped there.
                        self.office.return_down(worker, down);
                        break;
                    }
                }
            }
        }
        while let Some((name, target)) = self.office.poll_name() {
            self.names.ask(name, target);
        }
        while let Some((worker, call)) = self.office.poll_release() {
            if let Some(side) = self.sides.get(worker) {
                let _ = side.calls.release(call);
            }
        }
        for (worker, bell) in self.bells.iter().enumerate() {
            if ring >> worker & 1 == 1 {
                bell.ring();
            }
        }
        flushed
    }

    fn flush_changes(&mut self, turns: &mut Turns) -> Flushed {
        // This is the channel's only sender, so room that is seen stays.
        if self.changes.is_full() {
            return Flushed::Partly;
        }
        // One group: a record and its debit are durable together or not at all.
        let mut group = Vec::new();
        while let Some(change) = self.office.poll_change() {
            group.push(change);
        }
        if !group.is_empty() {
            turns.sent += group.len() as u64;
            let _ = self.changes.send((turns.sent, group));
        }
        Flushed::Whole
    }

    fn sleep(&mut self) {
        let mut idle = true;
        for side in &mut self.sides {
            idle &= side.up.try_sleep();
        }
        if idle && self.requests.is_empty() && self.stored.is_empty() && self.names.is_empty() {
            let mut fds = [PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(20u8));
        }
        for side in &mut self.sides {
            side.up.awake();
        }
        self.bell.drain();
    }
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// Records that are complete in the store but still hold a slot: the process before this one died in
/// between.
///
/// # Errors
/// When the store cannot be read.
pub fn durable_ends(store: &mut dyn Store, link: &Link) -> Result<HashSet<[u64; 2]>, store::Error> {
    let mut durable = HashSet::new();
    let mut image = Image::boxed();
    for worker in 0..link.sizes().workers {
        let Ok(table) = link.calls(worker) else { continue };
        for slot in 0..table.len() {
            let Some(seen) = table.read(slot, &mut image) else { continue };
            if seen.state() == SlotState::Ended && store.has_end(image.record.id)? {
                durable.insert(image.record.id);
            }
        }
    }
    Ok(durable)
}
