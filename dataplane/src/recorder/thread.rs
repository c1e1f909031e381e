//! The thread that records: packets out of the rings, files on disk, the call table asked whether a call goes on.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::Recording as Plan;
use link::Instant;
use link::record::CallKey;
use link::ring::Consumer;
use link::table::{CallTable, Image, SlotState};
use recording::Side;
use zerocopy::FromBytes;

use super::counter::{RecorderCounter, Tally};
use super::files::{self, Files, Laid};
use super::{Head, LETTER_BYTES};
use crate::clock;

/// Sleeps so long when nothing came: a ring holds what 400 calls say in 50 ms.
const REST: Duration = Duration::from_millis(10);
/// Files are written, calls looked after and the disk asked so often.
const LOOK: Duration = Duration::from_secs(1);
/// Days that are over are looked for so often.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Letters of one worker before the next worker's.
const LETTERS_MAX: usize = 1_024;
/// Rounds in which all that waits is taken, however much comes meanwhile.
const ROUNDS_MAX: usize = 64;

/// A call of a worker.
type Key = (usize, CallKey);

/// What became of a call that is to be recorded.
enum Entry {
    Open(Box<Files>),
    /// It is not recorded, or not any more.
    Given,
}

/// See the head of this file.
pub(super) struct Recorder {
    plan: Plan,
    workers: Vec<(Consumer, CallTable)>,
    tally: Arc<Tally>,
    entries: HashMap<Key, Entry>,
    open: u32,
    disk_full: bool,
    look_due: Instant,
    sweep_due: Instant,
    image: Box<Image>,
}

impl Recorder {
    pub(super) fn new(plan: Plan, workers: Vec<(Consumer, CallTable)>, tally: Arc<Tally>) -> Self {
        Self {
            plan,
            workers,
            tally,
            entries: HashMap::new(),
            open: 0,
            disk_full: false,
            look_due: Instant::ZERO,
            // Not before the clock of a machine that starts had time to be set.
            sweep_due: clock::now() + SWEEP,
            image: Image::boxed(),
        }
    }

    pub(super) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            // A file is written up to what has come.
            let now = clock::now();
            let any = self.drain_all();
            if now >= self.look_due {
                self.look_due = now + LOOK;
                self.look(now);
            }
            if now >= self.sweep_due {
                self.sweep_due = now + SWEEP;
                self.sweep(now + clock::wall_offset());
            }
            if !any {
                std::thread::sleep(REST);
            }
        }
        self.drain_all();
        self.end_if(None, |_| true);
    }

    /// All that came. Whether anything did.
    fn drain_all(&mut self) -> bool {
        (0..ROUNDS_MAX).take_while(|_| self.drain()).count() > 0
    }

    /// What came, of each worker a part. Whether anything did.
    fn drain(&mut self) -> bool {
        let mut letter = [0; LETTER_BYTES];
        let mut any = false;
        for worker in 0..self.workers.len() {
            for _ in 0..LETTERS_MAX {
                let taken =
                    self.workers.get_mut(worker).and_then(|(ring, _)| ring.pop(&mut letter));
                let Some((from_caller, length)) = taken else { break };
                any = true;
                let side = if from_caller == 1 { Side::Caller } else { Side::Callee };
                let letter = letter.get(..length).unwrap_or_default();
                if let Ok((head, packet)) = Head::read_from_prefix(letter) {
                    self.take(worker, side, &head, packet);
                }
            }
        }
        any
    }

    fn take(&mut self, worker: usize, side: Side, head: &Head, packet: &[u8]) {
        let key = (worker, CallKey { slot: head.slot, generation: head.generation });
        let at = Duration::from_micros(head.at_us);
        if !self.entries.contains_key(&key) {
            // One that its worker writes right now is asked for again with its next packet.
            let Some(entry) = self.begin(key, at) else { return };
            self.entries.insert(key, entry);
        }
        let Some(Entry::Open(files)) = self.entries.get_mut(&key) else { return };
        let ends = (head.source, head.destination);
        match files.take(at, clock::wall_offset(), side, ends, packet) {
            Ok(Laid::Heard) => {}
            Ok(Laid::Late) => self.tally.add(RecorderCounter::PacketsLost),
            Ok(Laid::Unheard) => self.tally.add(RecorderCounter::PacketsUnheard),
            Err(error) => self.fail(key, &error),
        }
    }

    fn begin(&mut self, (worker, call): Key, now: Instant) -> Option<Entry> {
        let (_, table) = self.workers.get(worker)?;
        let seen = table.read(call.slot, &mut self.image)?;
        if seen.state() != SlotState::Live || seen.generation() != call.generation {
            return None;
        }
        if self.disk_full {
            self.tally.add(RecorderCounter::DiskFull);
            return Some(Entry::Given);
        }
        if self.open >= self.plan.calls {
            self.tally.add(RecorderCounter::OverLimit);
            return Some(Entry::Given);
        }
        match Files::begin(&self.plan.directory, &self.image.record, now) {
            Ok(files) => {
                self.open += 1;
                self.tally.add(RecorderCounter::Begun);
                Some(Entry::Open(Box::new(files)))
            }
            Err(error) => {
                eprintln!("recording_failed error={error}");
                self.tally.add(RecorderCounter::Failed);
                Some(Entry::Given)
            }
        }
    }

    /// A file that cannot be written is left as it is.
    fn fail(&mut self, key: Key, error: &std::io::Error) {
        eprintln!("recording_failed error={error}");
        self.tally.add(RecorderCounter::Failed);
        self.give_up(key);
    }

    fn give_up(&mut self, key: Key) {
        if let Some(Entry::Open(files)) = self.entries.insert(key, Entry::Given) {
            self.open -= 1;
            self.tally.add(RecorderCounter::Ended);
            // It failed, or is about to: what can be saved is.
            let _ = files.finish();
        }
    }

    /// Once a second.
    fn look(&mut self, now: Instant) {
        self.look_at_disk();
        let mut failed = Vec::new();
        for (key, entry) in &mut self.entries {
            if let Entry::Open(files) = entry
                && let Err(error) = files.look(now)
            {
                failed.push((*key, error));
            }
        }
        for (key, error) in failed {
            self.fail(key, &error);
        }
        let tables: Vec<CallTable> = self.workers.iter().map(|&(_, table)| table).collect();
        self.end_if(None, |(worker, call)| {
            let tenancy = tables.get(worker).and_then(|table| table.tenancy(call.slot));
            tenancy.is_none_or(|seen| {
                seen.state() != SlotState::Live || seen.generation() != call.generation
            })
        });
    }

    /// Ends what is over, and forgets it.
    fn end_if(&mut self, why: Option<RecorderCounter>, is_over: impl Fn(Key) -> bool) {
        let over: Vec<Key> = self.entries.keys().copied().filter(|&key| is_over(key)).collect();
        for key in over {
            if let (Some(why), Some(Entry::Open(_))) = (why, self.entries.get(&key)) {
                self.tally.add(why);
            }
            self.give_up(key);
            // One that the disk had no room for is not begun again while it goes on.
            if why.is_none() {
                self.entries.remove(&key);
            }
        }
    }

    /// Deletes the files of days that nobody wants to keep, and nothing else.
    fn sweep(&self, since_1970: Duration) {
        let keep = Duration::from_secs(86_400) * self.plan.keep_days;
        if keep.is_zero() {
            return;
        }
        let first = files::day_of(since_1970.saturating_sub(keep).as_micros() as u64);
        let days = std::fs::read_dir(&self.plan.directory).into_iter().flatten().flatten();
        for day in days {
            let name = day.file_name().to_string_lossy().into_owned();
            if files::is_day(&name) && name < first {
                let deleted = files::delete_day(&day.path());
                eprintln!("recordings_deleted day={name} files={deleted}");
            }
        }
    }

    /// Whether there is room. With a tenth more than needed it goes on.
    fn look_at_disk(&mut self) {
        let Ok(disk) = nix::sys::statvfs::statvfs(&self.plan.directory) else { return };
        let free = disk.blocks_available() * disk.fragment_size();
        let least = self.plan.free_min_bytes;
        if free < least && !self.disk_full {
            eprintln!("recording_disk_full free_bytes={free} free_min_bytes={least}");
            self.disk_full = true;
            self.end_if(Some(RecorderCounter::DiskFull), |_| true);
        } else if self.disk_full && free >= least + least / 10 {
            eprintln!("recording_disk_has_room free_bytes={free}");
            self.disk_full = false;
        }
    }
}

/// Makes a directory for nobody but us and our group.
pub(super) fn make_directory(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}
