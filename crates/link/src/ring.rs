//! A ring of fixed-size slots from one producer to one consumer, in words that two processes share.
//!
//! ```text
//!        head (consumer)          tail (producer)
//!          ▼                        ▼
//!  ┌────┬────┬────┬────┬────┬────┬────┬────┐    a slot: one stamp word (index, kind, length),
//!  │    │ ██ │ ██ │ ██ │ ██ │ ██ │    │    │    then the payload word by word
//!  └────┴────┴────┴────┴────┴────┴────┴────┘
//! ```
//!
//! Both indices run freely and wrap at 2⁶⁴; a slot is an index under the mask. The payload is copied
//! with plain (relaxed) stores and becomes visible by the release of `tail`, so a producer that is
//! killed in mid-write leaves nothing behind; `head` moves after the copy, so a consumer that is
//! killed in mid-read leaves at most that one message to be read again.
//!
//! The other side's words are never trusted: an index, a length or a stamp that no ring of ours can
//! hold is counted as a fault and read as "nothing there", and both ends agree again at the next
//! message. A producer repeats its own tail, a consumer drops what it cannot tell apart.
//!
//! **Sleep.** A consumer that found nothing says so with [`Consumer::try_sleep`]; the producer's next
//! push then returns [`Wake::Needed`] once, and its caller rings a doorbell. No wake-up is lost between
//! living processes (`ring/interleavings.rs` tries every interleaving); a producer killed between push and doorbell
//! loses one, so sleep with a time limit.
//!
//! One producer and one consumer at a time is the callers' promise (in the programs: a lock file).

use std::fmt;

use crate::word::{AtomicU64, LINE_WORDS, Ordering, fence, read_bytes, words_for, write_bytes};

/// Longest payload of a slot: a jumbo frame with room to spare.
pub const SLOT_BYTES_MAX: usize = 16 * 1024;

/// Most slots of a ring.
pub const SLOTS_MAX: usize = 1 << 20;

// Where the words of the header stand, each on its own lines.
const TAIL: usize = 0;
const HEAD: usize = LINE_WORDS;
const SLEEPING: usize = 2 * LINE_WORDS;
const SHAPE: usize = 3 * LINE_WORDS;
const HEADER_WORDS: usize = 4 * LINE_WORDS;

/// Set in the shape word of a formatted ring, so that zeroed memory is none.
const FORMATTED: u64 = 0x7269_0000_0000_0000;

/// The ring has no free slot: the consumer is slow or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Whether the consumer has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// It is awake, or someone was told to wake it already.
    Needless,
    /// It sleeps: ring its doorbell.
    Needed,
}

/// Why memory cannot be a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// Slots must be a power of two up to [`SLOTS_MAX`].
    Slots(usize),
    /// A slot's payload is 1 to [`SLOT_BYTES_MAX`] bytes.
    SlotBytes(usize),
    /// The memory holds fewer words than the ring takes.
    Short {
        /// Words that there are.
        words: usize,
        /// Words that the ring takes.
        needed: usize,
    },
    /// The memory was never formatted as a ring, or was overwritten.
    NotFormatted,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots(slots) => {
                write!(f, "{slots} ring slots: a ring has a power of two up to {SLOTS_MAX}")
            }
            Self::SlotBytes(bytes) => {
                write!(f, "{bytes} bytes a slot: a slot holds 1 to {SLOT_BYTES_MAX}")
            }
            Self::Short { words, needed } => {
                write!(f, "the memory has {words} words and the ring takes {needed}")
            }
            Self::NotFormatted => f.write_str("the memory does not hold a ring"),
        }
    }
}

impl std::error::Error for RingError {}

/// Words that a ring of `slots` slots of `slot_bytes` payload bytes takes.
#[must_use]
pub const fn words_needed(slots: usize, slot_bytes: usize) -> usize {
    HEADER_WORDS + slots * slot_words(slot_bytes)
}

const fn slot_words(slot_bytes: usize) -> usize {
    1 + words_for(slot_bytes)
}

/// Makes an empty ring of `words`. Nobody may hold an end of a former ring in the same words.
pub fn format(words: &[AtomicU64], slots: usize, slot_bytes: usize) -> Result<(), RingError> {
    format_from(words, slots, slot_bytes, 0)
}

/// As `format`, with both indices at `start`: a test need not push 2⁶⁴ times to see them wrap.
fn format_from(
    words: &[AtomicU64],
    slots: usize,
    slot_bytes: usize,
    start: u64,
) -> Result<(), RingError> {
    let shape = Shape::new(slots, slot_bytes)?;
    let needed = words_needed(slots, slot_bytes);
    if words.len() < needed {
        return Err(RingError::Short { words: words.len(), needed });
    }
    words[SHAPE].store(0, Ordering::Relaxed);
    // The stamps of a former ring in the same words must not pass for ours.
    for slot in words[HEADER_WORDS..needed].chunks(slot_words(slot_bytes)) {
        slot[0].store(0, Ordering::Relaxed);
    }
    words[TAIL].store(start, Ordering::Relaxed);
    words[HEAD].store(start, Ordering::Relaxed);
    words[SLEEPING].store(0, Ordering::Relaxed);
    words[SHAPE].store(shape.to_word(), Ordering::Release);
    Ok(())
}

/// Both ends of the ring in `words`, for two threads of one process.
pub fn split(words: &'static [AtomicU64]) -> Result<(Producer, Consumer), RingError> {
    Ok((Producer::attach(words)?, Consumer::attach(words)?))
}

/// A new ring in memory of this process alone. Call it at boot only: the memory is never freed.
pub fn in_process(slots: usize, slot_bytes: usize) -> Result<(Producer, Consumer), RingError> {
    Shape::new(slots, slot_bytes)?;
    in_words(crate::word::leak(words_needed(slots, slot_bytes)), slots, slot_bytes)
}

/// A new ring in `words`, whatever was there. Nobody may hold an end of what was.
pub fn in_words(
    words: &'static [AtomicU64],
    slots: usize,
    slot_bytes: usize,
) -> Result<(Producer, Consumer), RingError> {
    format(words, slots, slot_bytes)?;
    split(words)
}

#[derive(Clone, Copy)]
struct Shape {
    slots: usize,
    slot_bytes: usize,
}

impl Shape {
    fn new(slots: usize, slot_bytes: usize) -> Result<Self, RingError> {
        if !slots.is_power_of_two() || slots > SLOTS_MAX {
            return Err(RingError::Slots(slots));
        }
        if slot_bytes == 0 || slot_bytes > SLOT_BYTES_MAX {
            return Err(RingError::SlotBytes(slot_bytes));
        }
        Ok(Self { slots, slot_bytes })
    }

    fn to_word(self) -> u64 {
        FORMATTED | (self.slots as u64) << 16 | self.slot_bytes as u64
    }

    fn from_word(word: u64) -> Option<Self> {
        let shape =
            Self::new((word >> 16 & 0xffff_ffff) as usize, (word & 0xffff) as usize).ok()?;
        (shape.to_word() == word).then_some(shape)
    }
}

/// The words of a formatted ring, and where a slot lies in them.
#[derive(Clone, Copy)]
struct Memory {
    words: &'static [AtomicU64],
    slots: u64,
    slot_bytes: usize,
}

impl Memory {
    fn attach(words: &'static [AtomicU64]) -> Result<Self, RingError> {
        let shape = words.get(SHAPE).ok_or(RingError::NotFormatted)?.load(Ordering::Acquire);
        let Shape { slots, slot_bytes } = Shape::from_word(shape).ok_or(RingError::NotFormatted)?;
        let needed = words_needed(slots, slot_bytes);
        let length = words.len();
        let words = words.get(..needed).ok_or(RingError::Short { words: length, needed })?;
        Ok(Self { words, slots: slots as u64, slot_bytes })
    }

    fn word(&self, at: usize) -> &'static AtomicU64 {
        &self.words[at]
    }

    fn slot(&self, index: u64) -> (&'static AtomicU64, &'static [AtomicU64]) {
        let at = (index & (self.slots - 1)) as usize;
        let words = slot_words(self.slot_bytes);
        let start = HEADER_WORDS + at * words;
        (&self.words[start], &self.words[start + 1..start + words])
    }
}

/// What stands before a payload: whose turn of the ring it is, what it is, how long it is.
#[derive(Clone, Copy)]
struct Stamp {
    index: u32,
    kind: u16,
    length: u16,
}

impl Stamp {
    #[expect(clippy::cast_possible_truncation, reason = "the low half tells neighbours apart")]
    fn of(index: u64) -> u32 {
        // One more than the index, so that a slot nobody wrote does not pass for the first.
        index.wrapping_add(1) as u32
    }

    fn to_word(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.kind) << 16 | u64::from(self.length)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is cut out of the word")]
    fn from_word(word: u64) -> Self {
        Self { index: (word >> 32) as u32, kind: (word >> 16) as u16, length: word as u16 }
    }
}

/// The end that writes.
pub struct Producer {
    memory: Memory,
    tail: u64,
    /// The consumer's index as last seen; read again only when the ring seems full.
    head_seen: u64,
    faults: u64,
}

impl Producer {
    /// Takes up the producer's end where the last one left it.
    pub fn attach(words: &'static [AtomicU64]) -> Result<Self, RingError> {
        let memory = Memory::attach(words)?;
        let tail = memory.word(TAIL).load(Ordering::Acquire);
        let head_seen = memory.word(HEAD).load(Ordering::Acquire);
        Ok(Self { memory, tail, head_seen, faults: 0 })
    }

    /// Writes one message. [`Full`] also when `bytes` is longer than a slot.
    pub fn push(&mut self, kind: u16, bytes: &[u8]) -> Result<Wake, Full> {
        self.push_parts(kind, &[bytes])
    }

    /// Writes one message from parts that need not lie together: a head and a frame.
    pub fn push_parts(&mut self, kind: u16, parts: &[&[u8]]) -> Result<Wake, Full> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > self.memory.slot_bytes || self.free() == 0 {
            return Err(Full);
        }
        let Ok(length) = u16::try_from(length) else { return Err(Full) };
        let (stamp, payload) = self.memory.slot(self.tail);
        write_bytes(payload, parts);
        let word = Stamp { index: Stamp::of(self.tail), kind, length }.to_word();
        stamp.store(word, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
        self.memory.word(TAIL).store(self.tail, Ordering::Release);
        Ok(self.wake())
    }

    /// How many messages fit, at least: 0 only if none does.
    pub fn free(&mut self) -> u64 {
        let used = self.tail.wrapping_sub(self.head_seen);
        if used < self.memory.slots { self.memory.slots - used } else { self.look() }
    }

    /// Whether so many messages fit. The consumer is looked at only where what was seen of it last does
    /// not say so.
    pub fn has_room(&mut self, wanted: u64) -> bool {
        self.free() >= wanted || self.look() >= wanted
    }

    /// How many messages fit, by where the consumer is now.
    fn look(&mut self) -> u64 {
        self.head_seen = self.memory.word(HEAD).load(Ordering::Acquire);
        let used = self.tail.wrapping_sub(self.head_seen);
        if used > self.memory.slots {
            self.repeat_tail();
            return 0;
        }
        self.memory.slots - used
    }

    /// Longest payload in bytes.
    #[must_use]
    pub fn slot_bytes(&self) -> usize {
        self.memory.slot_bytes
    }

    /// How often the consumer's index made no sense.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The consumer's index is garbage. Its owner mends it, by ours; it may be ours in memory that is
    /// garbage, so we say it again.
    #[cold]
    fn repeat_tail(&mut self) {
        self.faults += 1;
        self.memory.word(TAIL).store(self.tail, Ordering::Release);
    }

    fn wake(&self) -> Wake {
        let sleeping = self.memory.word(SLEEPING);
        // Between our store of `tail` and this load stands a full fence, as between the consumer's
        // store of `sleeping` and its load of `tail`: at least one of the two sees the other's.
        fence(Ordering::SeqCst);
        if sleeping.load(Ordering::Relaxed) == 0 || sleeping.swap(0, Ordering::Relaxed) == 0 {
            return Wake::Needless;
        }
        Wake::Needed
    }
}

/// The end that reads.
pub struct Consumer {
    memory: Memory,
    head: u64,
    /// The producer's index as last seen; read again only when the ring seems empty.
    tail_seen: u64,
    faults: u64,
}

impl Consumer {
    /// Takes up the consumer's end where the last one left it.
    pub fn attach(words: &'static [AtomicU64]) -> Result<Self, RingError> {
        let memory = Memory::attach(words)?;
        let head = memory.word(HEAD).load(Ordering::Acquire);
        Ok(Self { memory, head, tail_seen: head, faults: 0 })
    }

    /// Copies the next message to the front of `out` and says its kind and length. `None`: nothing is
    /// waiting. `out` holds [`slot_bytes`](Self::slot_bytes) bytes; into a shorter one a longer
    /// message is not cut but dropped, as a fault.
    pub fn pop(&mut self, out: &mut [u8]) -> Option<(u16, usize)> {
        while self.waiting() > 0 {
            let (stamp, payload) = self.memory.slot(self.head);
            let stamp = Stamp::from_word(stamp.load(Ordering::Relaxed));
            let length = usize::from(stamp.length);
            let taken = out
                .get_mut(..length)
                .filter(|_| length <= self.memory.slot_bytes && stamp.index == Stamp::of(self.head))
                .map(|out| read_bytes(payload, out));
            self.head = self.head.wrapping_add(1);
            self.memory.word(HEAD).store(self.head, Ordering::Release);
            match taken {
                Some(()) => return Some((stamp.kind, length)),
                None => self.faults += 1,
            }
        }
        None
    }

    /// How many messages are waiting, at least: 0 only if none is.
    pub fn waiting(&mut self) -> u64 {
        if self.tail_seen == self.head {
            self.tail_seen = self.memory.word(TAIL).load(Ordering::Acquire);
        }
        let waiting = self.tail_seen.wrapping_sub(self.head);
        if waiting > self.memory.slots {
            self.skip_to_tail();
            return 0;
        }
        waiting
    }

    /// Drops all that is waiting and says how much it was: what a restarted process finds was meant
    /// for its predecessor.
    pub fn clear(&mut self) -> u64 {
        self.tail_seen = self.memory.word(TAIL).load(Ordering::Acquire);
        let waiting = self.tail_seen.wrapping_sub(self.head).min(self.memory.slots);
        self.head = self.tail_seen;
        self.memory.word(HEAD).store(self.head, Ordering::Release);
        waiting
    }

    /// Says that we are about to sleep. False: something is waiting, do not. True: the next push
    /// tells its caller to wake us; sleep with a time limit, then call [`awake`](Self::awake).
    #[must_use]
    pub fn try_sleep(&mut self) -> bool {
        // A swap, not a store: a swap of the producer and ours have one order, whichever it is.
        self.memory.word(SLEEPING).swap(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.tail_seen = self.memory.word(TAIL).load(Ordering::Acquire);
        if self.tail_seen == self.head {
            return true;
        }
        self.awake();
        false
    }

    /// Says that we are awake and need no doorbell.
    pub fn awake(&mut self) {
        self.memory.word(SLEEPING).swap(0, Ordering::Relaxed);
    }

    /// Longest payload in bytes.
    #[must_use]
    pub fn slot_bytes(&self) -> usize {
        self.memory.slot_bytes
    }

    /// How many messages were dropped because memory said what no producer of ours says.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The indices are further apart than the ring is long: nothing between them can be trusted.
    #[cold]
    fn skip_to_tail(&mut self) {
        self.faults += 1;
        self.head = self.tail_seen;
        self.memory.word(HEAD).store(self.head, Ordering::Release);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("tail", &self.tail).finish_non_exhaustive()
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(test)]
mod tests;
