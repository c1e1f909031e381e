//! The call table: one slot per call of a worker, outliving both processes.
//!
//! ```text
//!            publish, end (worker)        publish, adopt (worker)
//!   FREE ──────────────────────────▶ LIVE ◀──┐
//!    ▲                                │ └────┘
//!    │ release (control,              │ end (worker), reap (control: no worker came back)
//!    │ record is durable)             ▼
//!    └───────────────────────────── ENDED
//! ```
//!
//! A slot's word holds state, generation, the dataplane's epoch and a sequence number whose lowest
//! bit says which of two images holds. A writer fills the other image and flips by one
//! compare-exchange of that word: killed at any store, it leaves the old image whole, and an opened
//! or ended slot always has its record. A reader looks at the word before and after it copied; a
//! changed word makes it read again. [`reap`](CallTable::reap) and [`adopt`](CallTable::adopt) expect
//! the very word they looked at, so exactly one of them wins.
//!
//! A refused call never has a slot: control writes its record from the facts of the question.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::CallRecord;
use crate::record::CallKey;
use crate::word::{AtomicU64, Ordering, WORD_BYTES, fence, read_bytes, whole_lines, write_bytes};

/// Bytes of one image: the record, then the checkpoint.
pub const IMAGE_BYTES: usize = 4096;

/// What an image leaves for the checkpoint.
pub const CHECKPOINT_BYTES_MAX: usize = IMAGE_BYTES - RECORD_BYTES;

/// Shared memory of one call: two images, its word, its last sign of media and two lengths.
pub const CALL_BYTES: usize = 2 * IMAGE_BYTES + 4 * WORD_BYTES;

const RECORD_BYTES: usize = size_of::<CallRecord>();
const IMAGE_WORDS: usize = IMAGE_BYTES / WORD_BYTES;
const RECORD_WORDS: usize = RECORD_BYTES / WORD_BYTES;

const _: () = assert!(RECORD_BYTES.is_multiple_of(WORD_BYTES));
const _: () = assert!(RECORD_BYTES <= 2048, "a checkpoint needs room too");

/// Readers try so often to catch a call between two writes of its worker.
const READ_ATTEMPTS: u32 = 16;

/// Whose a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nobody's.
    Free,
    /// A call that goes on.
    Live,
    /// A call that ended and whose record is not durable yet. A record without an end
    /// (`ended_ms` = [`NEVER`](crate::record::NEVER)) says that control reaped it.
    Ended,
}

/// What a slot's word said when it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tenancy {
    word: u64,
}

impl Tenancy {
    const EPOCH_SHIFT: u32 = 16;
    const GENERATION_SHIFT: u32 = 32;
    const SEQUENCE_SHIFT: u32 = 2;
    const SEQUENCE_MASK: u64 = (1 << 14) - 1;

    fn new(state: SlotState, sequence: u64, epoch: u16, generation: u32) -> Self {
        let state = match state {
            SlotState::Free => 0,
            SlotState::Live => 1,
            SlotState::Ended => 2,
        };
        let word = state
            | (sequence & Self::SEQUENCE_MASK) << Self::SEQUENCE_SHIFT
            | u64::from(epoch) << Self::EPOCH_SHIFT
            | u64::from(generation) << Self::GENERATION_SHIFT;
        Self { word }
    }

    /// Free, live or ended. A number that no writer of ours writes reads as free.
    #[must_use]
    pub fn state(self) -> SlotState {
        match self.word & 3 {
            1 => SlotState::Live,
            2 => SlotState::Ended,
            _ => SlotState::Free,
        }
    }

    /// Of the slot's call; of its last one if it is free.
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.word >> Self::GENERATION_SHIFT) as u32
    }

    /// The low bits of the epoch of the dataplane that last wrote here.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "cut out of the word")]
    pub fn epoch(self) -> u16 {
        (self.word >> Self::EPOCH_SHIFT) as u16
    }

    fn sequence(self) -> u64 {
        self.word >> Self::SEQUENCE_SHIFT & Self::SEQUENCE_MASK
    }
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} #{} @{}", self.state(), self.generation(), self.epoch())
    }
}

/// Why a slot was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The table has no such slot.
    NoSlot,
    /// The slot belongs to another call, or is in a state that this step does not start from: control
    /// reaped it, another dataplane adopted it, or its end was written before.
    NotOurs,
    /// The checkpoint is longer than [`CHECKPOINT_BYTES_MAX`].
    TooLong,
}

impl std::fmt::Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSlot => "the call table has no such slot",
            Self::NotOurs => "the slot of the call table is not ours any more",
            Self::TooLong => "the checkpoint does not fit its slot",
        })
    }
}

impl std::error::Error for Miss {}

/// A call's image in ordinary memory: its record, and what a restarted dataplane rebuilds it from.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Image {
    /// The record.
    pub record: CallRecord,
    checkpoint: [u8; CHECKPOINT_BYTES_MAX],
    checkpoint_bytes: u64,
}

impl Image {
    /// An empty image on the heap; it is too large to be handed about.
    #[must_use]
    pub fn boxed() -> Box<Self> {
        let mut image = Box::new(Self::new_zeroed());
        image.record = CallRecord::empty();
        image
    }

    /// The checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &[u8] {
        let length = usize::try_from(self.checkpoint_bytes).unwrap_or(usize::MAX);
        self.checkpoint.get(..length.min(CHECKPOINT_BYTES_MAX)).unwrap_or_default()
    }

    /// Replaces the checkpoint by what `write` puts at the front of the room it gets; `write` says
    /// how long that is, [`Miss::TooLong`] if it says more than there is room.
    pub fn set_checkpoint(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Result<(), Miss> {
        self.checkpoint_bytes = 0;
        let length = write(&mut self.checkpoint);
        if length > CHECKPOINT_BYTES_MAX {
            return Err(Miss::TooLong);
        }
        self.checkpoint_bytes = length as u64;
        Ok(())
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({:?}, checkpoint of {} bytes)", self.record, self.checkpoint().len())
    }
}

/// One worker's calls. Both sides hold one; who may call what is in the drawing above.
#[derive(Clone, Copy)]
pub struct CallTable {
    tenancies: &'static [AtomicU64],
    media: &'static [AtomicU64],
    /// Two lengths per call, of the checkpoints in its images.
    lengths: &'static [AtomicU64],
    /// Two images per call.
    images: &'static [AtomicU64],
    epoch: u16,
}

/// Words of a table of `calls`.
#[must_use]
pub const fn words_needed(calls: usize) -> usize {
    2 * whole_lines(calls) + whole_lines(2 * calls) + 2 * calls * IMAGE_WORDS
}

impl CallTable {
    /// The table in `words`, which are zero where no table was before; `None` when they are too few.
    ///
    /// `epoch` is the dataplane's: a call that another dataplane wrote has to be adopted first.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64], calls: usize, epoch: u64) -> Option<Self> {
        let (tenancies, rest) = words.split_at_checked(whole_lines(calls))?;
        let (media, rest) = rest.split_at_checked(whole_lines(calls))?;
        let (lengths, rest) = rest.split_at_checked(whole_lines(2 * calls))?;
        Some(Self {
            tenancies: tenancies.get(..calls)?,
            media: media.get(..calls)?,
            lengths: lengths.get(..2 * calls)?,
            images: rest.get(..2 * calls * IMAGE_WORDS)?,
            #[expect(clippy::cast_possible_truncation, reason = "neighbouring epochs differ")]
            epoch: epoch as u16,
        })
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.tenancies.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no slot at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenancies.is_empty()
    }

    /// What the slot's word says; `None`: no such slot.
    #[must_use]
    pub fn tenancy(&self, slot: u32) -> Option<Tenancy> {
        Some(Tenancy { word: self.tenancies.get(slot as usize)?.load(Ordering::Acquire) })
    }

    /// Every slot with what its word says now.
    pub fn tenancies(&self) -> impl Iterator<Item = (u32, Tenancy)> + '_ {
        (0..self.len()).zip(self.tenancies).map(|(slot, word)| {
            let word = word.load(Ordering::Acquire);
            (slot, Tenancy { word })
        })
    }

    /// Worker: the call's image from now on. Its first one opens the slot.
    pub fn publish(
        &self,
        call: CallKey,
        record: &CallRecord,
        checkpoint: &[u8],
    ) -> Result<(), Miss> {
        self.write(call, record, checkpoint, SlotState::Live)
    }

    /// Worker: the call's last image. The slot is control's from now on.
    pub fn end(&self, call: CallKey, record: &CallRecord, checkpoint: &[u8]) -> Result<(), Miss> {
        self.write(call, record, checkpoint, SlotState::Ended)
    }

    /// Worker, after a restart: takes over a live call of a former dataplane. `seen` is what the
    /// caller's decision rests on.
    pub fn adopt(&self, slot: u32, seen: Tenancy) -> Result<(), Miss> {
        if seen.state() != SlotState::Live || seen.epoch() == self.epoch {
            return Err(Miss::NotOurs);
        }
        let mine = Tenancy::new(SlotState::Live, seen.sequence(), self.epoch, seen.generation());
        self.exchange(slot, seen, mine)
    }

    /// Control: ends a live call whose dataplane is lost. Loses against an adoption, and against
    /// anything its worker wrote since `seen`.
    pub fn reap(&self, slot: u32, seen: Tenancy) -> Result<(), Miss> {
        self.leave(slot, seen, SlotState::Live, SlotState::Ended)
    }

    /// Control: the record is durable, the slot may be used again.
    pub fn release(&self, call: CallKey) -> Result<(), Miss> {
        let seen = self.tenancy(call.slot).ok_or(Miss::NoSlot)?;
        if seen.generation() != call.generation {
            return Err(Miss::NotOurs);
        }
        self.leave(call.slot, seen, SlotState::Ended, SlotState::Free)
    }

    /// Copies a slot's image and says whose it is. `None`: no such slot, a free one, or a call that
    /// its worker rewrites faster than it can be read.
    pub fn read(&self, slot: u32, image: &mut Image) -> Option<Tenancy> {
        for _ in 0..READ_ATTEMPTS {
            let seen = self.tenancy(slot)?;
            if seen.state() == SlotState::Free {
                return None;
            }
            let (length, words) = self.image(slot, seen.sequence())?;
            let (record, checkpoint) = words.split_at_checked(RECORD_WORDS)?;
            let bytes = length.load(Ordering::Relaxed).min(CHECKPOINT_BYTES_MAX as u64);
            image.checkpoint_bytes = bytes;
            read_bytes(record, image.record.as_mut_bytes());
            // `min` above: the length is below 4096.
            read_bytes(checkpoint, image.checkpoint.get_mut(..bytes as usize)?);
            // If a word we copied belongs to a later image, the fence its writer put before it makes
            // the changed tenancy visible here.
            fence(Ordering::Acquire);
            if self.tenancy(slot)? == seen {
                return Some(seen);
            }
        }
        None
    }

    /// Worker: media of this call was seen now, µs since the machine booted.
    pub fn touch_media(&self, slot: u32, now_us: u64) {
        if let Some(word) = self.media.get(slot as usize) {
            word.store(now_us, Ordering::Relaxed);
        }
    }

    /// When media was last seen, µs since the machine booted; 0: never in this call.
    #[must_use]
    pub fn media_us(&self, slot: u32) -> u64 {
        self.media.get(slot as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn write(
        &self,
        call: CallKey,
        record: &CallRecord,
        checkpoint: &[u8],
        state: SlotState,
    ) -> Result<(), Miss> {
        if checkpoint.len() > CHECKPOINT_BYTES_MAX {
            return Err(Miss::TooLong);
        }
        let seen = self.tenancy(call.slot).ok_or(Miss::NoSlot)?;
        match seen.state() {
            SlotState::Free => self.touch_media(call.slot, 0),
            SlotState::Live
                if seen.generation() == call.generation && seen.epoch() == self.epoch => {}
            SlotState::Live | SlotState::Ended => return Err(Miss::NotOurs),
        }
        let sequence = seen.sequence().wrapping_add(1);
        // Whoever sees one of the stores below also sees that the tenancy moved on since it named the
        // image they go to.
        fence(Ordering::Release);
        let (length, words) = self.image(call.slot, sequence).ok_or(Miss::NoSlot)?;
        length.store(checkpoint.len() as u64, Ordering::Relaxed);
        write_bytes(words, &[record.as_bytes(), checkpoint]);
        self.exchange(call.slot, seen, Tenancy::new(state, sequence, self.epoch, call.generation))
    }

    fn image(
        &self,
        slot: u32,
        sequence: u64,
    ) -> Option<(&'static AtomicU64, &'static [AtomicU64])> {
        let at = 2 * slot as usize + usize::from(sequence & 1 == 1);
        let words = self.images.get(at * IMAGE_WORDS..(at + 1) * IMAGE_WORDS)?;
        Some((self.lengths.get(at)?, words))
    }

    fn leave(&self, slot: u32, seen: Tenancy, from: SlotState, to: SlotState) -> Result<(), Miss> {
        if seen.state() != from {
            return Err(Miss::NotOurs);
        }
        let next = Tenancy::new(to, seen.sequence(), seen.epoch(), seen.generation());
        self.exchange(slot, seen, next)
    }

    fn exchange(&self, slot: u32, seen: Tenancy, next: Tenancy) -> Result<(), Miss> {
        self.tenancies
            .get(slot as usize)
            .ok_or(Miss::NoSlot)?
            .compare_exchange(seen.word, next.word, Ordering::AcqRel, Ordering::Relaxed)
            .map(drop)
            .map_err(|_| Miss::NotOurs)
    }
}

impl std::fmt::Debug for CallTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallTable({} slots, epoch {})", self.len(), self.epoch)
    }
}

#[cfg(test)]
mod tests;
