//! Where everything lies in the words that dataplane and control share.
//!
//! ```text
//! ┌ header: magic, layout number, sizes, node · epochs · control's heartbeat · notice board ┐
//! ├ worker 0: heartbeat · ring up · ring down · counters · latency · ports · call table     ┤
//! ├ worker 1: …                                                                             ┤
//! ```
//!
//! Whoever comes first formats, the magic number last, so that a formatter who died leaves memory that
//! the next one formats again. Everybody else opens, and refuses what was made by another release or
//! with other sizes: those words may still hold calls that nobody has recorded.

use std::fmt;

use crate::board::{self, Board};
use crate::counter::{self, Counters};
use crate::latency::{self, Latency};
use crate::message::{DOWN_SLOT_BYTES, Down, Receiver, Sender, UP_SLOT_BYTES, Up};
use crate::ports::{self, Ports};
use crate::ring::{self, Consumer, Producer, RingError};
use crate::table::{self, CallTable, CallWriter, SlotState};
use crate::word::{AtomicU64, LINE_WORDS, Ordering, WORD_BYTES, whole_lines};

/// Number of this layout. It changes with everything that moves a word or changes a struct here.
pub const LAYOUT: u64 = 22;

/// "tollgate".
const MAGIC: u64 = 0x746f_6c6c_6761_7465;

// Words of the header that never change once they are formatted.
const MAGIC_AT: usize = 0;
const LAYOUT_AT: usize = 1;
const WORKERS_AT: usize = 2;
const CALLS_AT: usize = 3;
const RING_SLOTS_AT: usize = 4;
const NODE_AT: usize = 5;
// Words that change, away from those that are read all the time.
const DATAPLANE_EPOCH_AT: usize = LINE_WORDS;
const CONTROL_EPOCH_AT: usize = LINE_WORDS + 1;
const CONTROL_BEAT_AT: usize = 2 * LINE_WORDS;
const BOARD_AT: usize = 3 * LINE_WORDS;
const HEADER_WORDS: usize = BOARD_AT + whole_lines(board::words_needed());

/// What decides how large the shared words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Workers, 1 to 64.
    pub workers: u32,
    /// Call table slots of each worker, 1 to 1,048,576.
    pub calls_per_worker: u32,
    /// Slots of each ring, a power of two up to [`ring::SLOTS_MAX`].
    pub ring_slots: u32,
}

impl Sizes {
    /// Words that [`Link::format`] takes.
    #[must_use]
    pub const fn words_needed(&self) -> usize {
        HEADER_WORDS + self.workers as usize * self.places().end
    }

    /// Bytes that [`Link::format`] takes.
    #[must_use]
    pub const fn bytes_needed(&self) -> usize {
        self.words_needed() * WORD_BYTES
    }

    fn check(&self) -> Result<(), LayoutError> {
        let calls = 1..=table::CALLS_MAX as u32;
        if !(1..=64).contains(&self.workers) || !calls.contains(&self.calls_per_worker) {
            return Err(LayoutError::OutOfRange(*self));
        }
        if !self.ring_slots.is_power_of_two() || self.ring_slots as usize > ring::SLOTS_MAX {
            return Err(LayoutError::Ring(RingError::Slots(self.ring_slots as usize)));
        }
        Ok(())
    }

    const fn places(&self) -> Places {
        let slots = self.ring_slots as usize;
        let up = LINE_WORDS;
        let down = up + whole_lines(ring::words_needed(slots, UP_SLOT_BYTES));
        let counters = down + whole_lines(ring::words_needed(slots, DOWN_SLOT_BYTES));
        let latency = counters + whole_lines(counter::words_needed());
        let ports = latency + whole_lines(latency::words_needed());
        let calls = ports + whole_lines(ports::words_needed());
        let end = calls + whole_lines(table::words_needed(self.calls_per_worker as usize));
        Places { up, down, counters, latency, ports, calls, end }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, calls_per_worker, ring_slots } = self;
        write!(f, "{workers} workers of {calls_per_worker} calls, {ring_slots} ring slots")
    }
}

/// Where the parts of a worker begin, in words from its first, which is its heartbeat.
#[derive(Clone, Copy)]
struct Places {
    up: usize,
    down: usize,
    counters: usize,
    latency: usize,
    ports: usize,
    calls: usize,
    end: usize,
}

/// Why the words cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// Sizes that no machine of ours has.
    OutOfRange(Sizes),
    /// The memory is smaller than its sizes say.
    Short {
        /// Words that there are.
        words: usize,
        /// Words that the sizes take.
        needed: usize,
    },
    /// The memory was never formatted, or is not ours at all.
    NotFormatted,
    /// It was formatted by another release.
    Layout {
        /// Its layout number.
        found: u64,
    },
    /// It was formatted with other sizes.
    Sizes {
        /// What it was formatted with.
        found: Sizes,
        /// What the configuration says.
        wanted: Sizes,
        /// How many of its calls still have no durable record.
        pending: u64,
    },
    /// It has no such worker.
    NoWorker(u32),
    /// A ring in it is broken.
    Ring(RingError),
    /// This counter's name does not fit, or there are too many.
    Counter {
        /// Which, counted from 0.
        index: usize,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(sizes) => write!(
                f,
                "shared memory for {sizes}: 1 to 64 workers of 1 to {} calls each can be had; \
                 change dataplane.workers or limits.calls",
                table::CALLS_MAX
            ),
            Self::Short { words, needed } => write!(
                f,
                "the shared memory has {words} words and its sizes take {needed}; stop both daemons \
                 and remove the file named by paths.shared_memory"
            ),
            Self::NotFormatted => f.write_str(
                "the shared memory is not Tollgate's; stop both daemons, and remove the file named by \
                 paths.shared_memory or name another one",
            ),
            Self::Layout { found } => write!(
                f,
                "the shared memory has layout {found} and this release has layout {LAYOUT}; run the \
                 release that made it until `tollgate call list` is empty, stop both daemons and \
                 remove the file named by paths.shared_memory"
            ),
            Self::Sizes { found, wanted, pending: 0 } => write!(
                f,
                "the shared memory was made for {found} and the configuration says {wanted}; stop \
                 both daemons and remove the file named by paths.shared_memory (no call is in it)"
            ),
            Self::Sizes { found, wanted, pending } => write!(
                f,
                "the shared memory was made for {found}, the configuration says {wanted}, and \
                 {pending} calls in it have no record yet; start with the former sizes, drain, stop \
                 both daemons and remove the file named by paths.shared_memory"
            ),
            Self::NoWorker(worker) => write!(f, "the shared memory has no worker {worker}"),
            Self::Ring(error) => error.fmt(f),
            Self::Counter { index } => write!(
                f,
                "counter {index} does not fit: {} names of up to {} ASCII characters do",
                counter::COUNTERS_MAX,
                counter::NAME_BYTES_MAX
            ),
        }
    }
}

impl std::error::Error for LayoutError {}

impl From<RingError> for LayoutError {
    fn from(error: RingError) -> Self {
        Self::Ring(error)
    }
}

/// The shared words, formatted and checked.
#[derive(Clone, Copy)]
pub struct Link {
    words: &'static [AtomicU64],
    sizes: Sizes,
}

impl Link {
    /// Makes the words ready for use. They are zero, or nobody uses what is in them any more.
    pub fn format(
        words: &'static [AtomicU64],
        sizes: &Sizes,
        node: u16,
    ) -> Result<Self, LayoutError> {
        sizes.check()?;
        let needed = sizes.words_needed();
        let length = words.len();
        let words = words.get(..needed).ok_or(LayoutError::Short { words: length, needed })?;
        words[MAGIC_AT].store(0, Ordering::Release);
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
        let link = Self { words, sizes: *sizes };
        for worker in 0..sizes.workers {
            let places = sizes.places();
            let block = link.block(worker)?;
            let slots = sizes.ring_slots as usize;
            ring::format(&block[places.up..places.down], slots, UP_SLOT_BYTES)?;
            ring::format(&block[places.down..places.counters], slots, DOWN_SLOT_BYTES)?;
        }
        for (at, value) in [
            (LAYOUT_AT, LAYOUT),
            (WORKERS_AT, sizes.workers.into()),
            (CALLS_AT, sizes.calls_per_worker.into()),
            (RING_SLOTS_AT, sizes.ring_slots.into()),
            (NODE_AT, node.into()),
        ] {
            words[at].store(value, Ordering::Relaxed);
        }
        words[MAGIC_AT].store(MAGIC, Ordering::Release);
        Ok(link)
    }

    /// Takes up words that were formatted before, whatever their sizes are.
    pub fn open(words: &'static [AtomicU64]) -> Result<Self, LayoutError> {
        let header = words.get(..HEADER_WORDS).ok_or(LayoutError::NotFormatted)?;
        if header[MAGIC_AT].load(Ordering::Acquire) != MAGIC {
            return Err(LayoutError::NotFormatted);
        }
        let layout = header[LAYOUT_AT].load(Ordering::Relaxed);
        if layout != LAYOUT {
            return Err(LayoutError::Layout { found: layout });
        }
        let number = |at: usize| u32::try_from(header[at].load(Ordering::Relaxed)).unwrap_or(0);
        let sizes = Sizes {
            workers: number(WORKERS_AT),
            calls_per_worker: number(CALLS_AT),
            ring_slots: number(RING_SLOTS_AT),
        };
        sizes.check()?;
        let needed = sizes.words_needed();
        let length = words.len();
        let words = words.get(..needed).ok_or(LayoutError::Short { words: length, needed })?;
        Ok(Self { words, sizes })
    }

    /// What a daemon does at boot, under the region's lock: opens words that fit, formats words that
    /// nobody has formatted, and refuses the rest.
    pub fn open_or_format(
        words: &'static [AtomicU64],
        sizes: &Sizes,
        node: u16,
    ) -> Result<Self, LayoutError> {
        sizes.check()?;
        if words.first().is_none_or(|magic| magic.load(Ordering::Acquire) == 0) {
            return Self::format(words, sizes, node);
        }
        let link = Self::open(words)?;
        if link.sizes != *sizes {
            let (found, wanted) = (link.sizes, *sizes);
            return Err(LayoutError::Sizes { found, wanted, pending: link.calls_pending() });
        }
        Ok(link)
    }

    /// The sizes they were formatted with.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The node number they were formatted for.
    #[must_use]
    pub fn node(&self) -> u16 {
        u16::try_from(self.words[NODE_AT].load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// How many slots of all workers hold a call: live, or ended without a durable record.
    #[must_use]
    pub fn calls_pending(&self) -> u64 {
        let tables = (0..self.sizes.workers).filter_map(|worker| self.calls(worker).ok());
        tables
            .map(|table| table.tenancies().filter(|(_, seen)| is_pending(*seen)).count())
            .sum::<usize>() as u64
    }

    /// A dataplane starts: the next epoch, which its workers' sides take up.
    pub fn begin_dataplane(&self) -> u64 {
        self.words[DATAPLANE_EPOCH_AT].fetch_add(1, Ordering::AcqRel) + 1
    }

    /// How often a dataplane started on these words; 0: never.
    #[must_use]
    pub fn dataplane_epoch(&self) -> u64 {
        self.words[DATAPLANE_EPOCH_AT].load(Ordering::Acquire)
    }

    /// A control starts: the next epoch.
    pub fn begin_control(&self) -> u64 {
        self.words[CONTROL_EPOCH_AT].fetch_add(1, Ordering::AcqRel) + 1
    }

    /// How often a control started on these words; 0: never.
    #[must_use]
    pub fn control_epoch(&self) -> u64 {
        self.words[CONTROL_EPOCH_AT].load(Ordering::Acquire)
    }

    /// Control is alive now, µs since the machine booted.
    pub fn beat_control(&self, now_us: u64) {
        self.words[CONTROL_BEAT_AT].store(now_us, Ordering::Release);
    }

    /// When control was last alive, µs since the machine booted; 0: never.
    #[must_use]
    pub fn control_beat_us(&self) -> u64 {
        self.words[CONTROL_BEAT_AT].load(Ordering::Acquire)
    }

    /// When a worker was last alive, µs since the machine booted; 0: never.
    #[must_use]
    pub fn worker_beat_us(&self, worker: u32) -> u64 {
        self.block(worker).map_or(0, |block| block[0].load(Ordering::Acquire))
    }

    /// What the dataplane has to tell people.
    #[must_use]
    pub fn board(&self) -> Board {
        Board::attach(&self.words[BOARD_AT..HEADER_WORDS]).expect("the header holds the board")
    }

    /// The dataplane's side of a worker. Call [`begin_dataplane`](Self::begin_dataplane) first, and
    /// take each side once: a ring has one end of each kind.
    pub fn worker_side(&self, worker: u32) -> Result<WorkerSide, LayoutError> {
        let parts = self.parts(worker)?;
        Ok(WorkerSide {
            up: Sender::new(Producer::attach(parts.up)?),
            down: Receiver::new(Consumer::attach(parts.down)?),
            calls: CallWriter::new(self.calls(worker)?, self.dataplane_epoch()),
            counters: parts.counters,
            latency: parts.latency,
            ports: parts.ports,
            beat: &self.block(worker)?[0],
        })
    }

    /// Control's side of a worker. Take each side once.
    pub fn control_side(&self, worker: u32) -> Result<ControlSide, LayoutError> {
        let parts = self.parts(worker)?;
        Ok(ControlSide {
            up: Receiver::new(Consumer::attach(parts.up)?),
            down: Sender::new(Producer::attach(parts.down)?),
            calls: self.calls(worker)?,
            counters: parts.counters,
            latency: parts.latency,
            ports: parts.ports,
        })
    }

    /// The call table of a worker, for whoever only looks.
    pub fn calls(&self, worker: u32) -> Result<CallTable, LayoutError> {
        let block = self.block(worker)?;
        let calls = self.sizes.calls_per_worker as usize;
        let words = &block[self.sizes.places().calls..];
        Ok(CallTable::attach(words, calls).expect("the sizes were checked against the words"))
    }

    fn parts(&self, worker: u32) -> Result<Parts, LayoutError> {
        let block = self.block(worker)?;
        let places = self.sizes.places();
        let whole = "a worker's block holds all its parts";
        Ok(Parts {
            up: &block[places.up..places.down],
            down: &block[places.down..places.counters],
            counters: Counters::attach(&block[places.counters..places.latency]).expect(whole),
            latency: Latency::attach(&block[places.latency..places.ports]).expect(whole),
            ports: Ports::attach(&block[places.ports..places.calls]).expect(whole),
        })
    }

    fn block(&self, worker: u32) -> Result<&'static [AtomicU64], LayoutError> {
        if worker >= self.sizes.workers {
            return Err(LayoutError::NoWorker(worker));
        }
        let length = self.sizes.places().end;
        let start = HEADER_WORDS + worker as usize * length;
        self.words.get(start..start + length).ok_or(LayoutError::NoWorker(worker))
    }
}

fn is_pending(seen: table::Tenancy) -> bool {
    seen.state() != SlotState::Free
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.sizes)
    }
}

struct Parts {
    up: &'static [AtomicU64],
    down: &'static [AtomicU64],
    counters: Counters,
    latency: Latency,
    ports: Ports,
}

/// What a worker holds.
#[derive(Debug)]
pub struct WorkerSide {
    /// Questions and news for control.
    pub up: Sender<Up>,
    /// Its answers and orders.
    pub down: Receiver<Down>,
    /// The worker's calls.
    pub calls: CallWriter,
    /// The worker's counters.
    pub counters: Counters,
    /// How long control took to answer.
    pub latency: Latency,
    /// Its media ports by own address.
    pub ports: Ports,
    beat: &'static AtomicU64,
}

impl WorkerSide {
    /// The worker is alive now, µs since the machine booted.
    pub fn beat(&self, now_us: u64) {
        self.beat.store(now_us, Ordering::Release);
    }
}

/// What control holds of each worker.
#[derive(Debug)]
pub struct ControlSide {
    /// The worker's questions and news.
    pub up: Receiver<Up>,
    /// Answers and orders for it.
    pub down: Sender<Down>,
    /// Its calls.
    pub calls: CallTable,
    /// Its counters.
    pub counters: Counters,
    /// How long it waited for answers.
    pub latency: Latency,
    /// Its media ports by own address.
    pub ports: Ports,
}

#[cfg(test)]
mod tests;
