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
//! A slot's word holds state, generation, the dataplane's epoch, the number of the slot's image and how
//! often it changed.
//! There is one image more than slots, the spare one: the worker fills it and hands it to the slot by
//! one compare-exchange of that word; the image that the slot had is the next spare one. Killed at any
//! store, a worker leaves every slot its old image whole, and an opened or ended slot always has its
//! record. Which image is spare is nowhere written: it is the one that no slot names.
//!
//! An image has a stamp, odd while it is written. A reader looks at word and stamp before and after it
//! copied; if one of them changed it reads again. [`reap`](CallTable::reap) and
//! [`adopt`](CallWriter::adopt) expect the very word they looked at, so exactly one of them wins.
//!
//! A refused call never has a slot: control writes its record from the facts of the question.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::CallRecord;
use crate::figures::{self, Apart, Both, Places};
use crate::record::CallKey;
use crate::word::{AtomicU64, Ordering, WORD_BYTES, fence, read_bytes, whole_lines, write_bytes};

/// Bytes of one image: the record, then the checkpoint.
pub const IMAGE_BYTES: usize = 4_320;

/// What an image leaves for the checkpoint.
pub const CHECKPOINT_BYTES_MAX: usize = IMAGE_BYTES - RECORD_BYTES;

/// Shared memory of one call: its image and the image's stamp, its word, its last sign of media, its figures.
pub const CALL_BYTES: usize = IMAGE_BYTES + 3 * WORD_BYTES + figures::PLACE_BYTES;

/// The most calls that a table can have: a word has 17 bits for the number of an image.
pub const CALLS_MAX: usize = (1 << 17) - 1;

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
    const EPOCH_SHIFT: u32 = 2;
    const EPOCH_MASK: u64 = (1 << 5) - 1;
    const SEQUENCE_SHIFT: u32 = 7;
    const SEQUENCE_MASK: u64 = (1 << 8) - 1;
    const IMAGE_SHIFT: u32 = 15;
    const IMAGE_MASK: u64 = (1 << 17) - 1;
    const GENERATION_SHIFT: u32 = 32;

    /// What this word becomes: the sequence goes on, so that a word never comes back while somebody
    /// looks.
    fn next(self, state: SlotState, image: u64, epoch: u64, generation: u32) -> Self {
        let state = match state {
            SlotState::Free => 0,
            SlotState::Live => 1,
            SlotState::Ended => 2,
        };
        let sequence = (self.word >> Self::SEQUENCE_SHIFT).wrapping_add(1);
        let word = state
            | (epoch & Self::EPOCH_MASK) << Self::EPOCH_SHIFT
            | (sequence & Self::SEQUENCE_MASK) << Self::SEQUENCE_SHIFT
            | (image & Self::IMAGE_MASK) << Self::IMAGE_SHIFT
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

    /// Whether the dataplane with this epoch wrote here last.
    #[must_use]
    pub fn is_of_epoch(self, epoch: u64) -> bool {
        self.epoch() == epoch & Self::EPOCH_MASK
    }

    /// The low bits of the epoch of the dataplane that last wrote here.
    fn epoch(self) -> u64 {
        self.word >> Self::EPOCH_SHIFT & Self::EPOCH_MASK
    }

    /// Counted from the slot's own number, so that in words of zeros every slot has an image.
    fn image(self) -> u64 {
        self.word >> Self::IMAGE_SHIFT & Self::IMAGE_MASK
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
    /// reaped it, another dataplane adopted it, or its end was written before and may be durable.
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

/// One worker's calls, for everybody who reads them and for control, which ends and releases them.
#[derive(Clone, Copy)]
pub struct CallTable {
    tenancies: &'static [AtomicU64],
    media: &'static [AtomicU64],
    figures: Places,
    /// A version, odd while the image is written, and the length of the checkpoint in it.
    stamps: &'static [AtomicU64],
    images: &'static [AtomicU64],
}

/// Words of a table of `calls`.
#[must_use]
pub const fn words_needed(calls: usize) -> usize {
    let places = figures::words_needed(calls);
    2 * whole_lines(calls) + places + whole_lines(calls + 1) + (calls + 1) * IMAGE_WORDS
}

impl CallTable {
    /// The table in `words`, which are zero where no table was before; `None` when they are too few or
    /// the calls too many.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64], calls: usize) -> Option<Self> {
        let (tenancies, rest) = words.split_at_checked(whole_lines(calls))?;
        let (media, rest) = rest.split_at_checked(whole_lines(calls))?;
        let (places, rest) = rest.split_at_checked(figures::words_needed(calls))?;
        let (stamps, rest) = rest.split_at_checked(whole_lines(calls + 1))?;
        if calls > CALLS_MAX {
            return None;
        }
        Some(Self {
            tenancies: tenancies.get(..calls)?,
            media: media.get(..calls)?,
            figures: Places::new(places),
            stamps: stamps.get(..=calls)?,
            images: rest.get(..(calls + 1) * IMAGE_WORDS)?,
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
            let (stamp, words) = self.image(self.image_of(slot, seen))?;
            let before = Stamp(stamp.load(Ordering::Acquire));
            if before.is_being_written() {
                continue;
            }
            let (record, checkpoint) = words.split_at_checked(RECORD_WORDS)?;
            let bytes = before.length().min(CHECKPOINT_BYTES_MAX);
            image.checkpoint_bytes = bytes as u64;
            read_bytes(record, image.record.as_mut_bytes());
            read_bytes(checkpoint, image.checkpoint.get_mut(..bytes)?);
            // If a word we copied is newer than the stamp, the fence its writer put before it makes
            // the odd stamp visible here. The slot's word comes first: who sees an image come back to
            // the slot also sees what was written into it meanwhile.
            fence(Ordering::Acquire);
            let now = self.tenancy(slot)?;
            if now == seen && Stamp(stamp.load(Ordering::Relaxed)) == before {
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

    /// What a call's media are like, as its worker said last; `None`: it has not yet.
    #[must_use]
    pub fn figures(&self, call: CallKey) -> Option<Both> {
        self.figures.read(call).map(|(figures, _)| figures)
    }

    /// What of them no driver counts; nothing, if its worker has not said yet.
    #[must_use]
    pub fn apart(&self, call: CallKey) -> [Apart; 2] {
        self.figures.read(call).map(|(_, apart)| apart).unwrap_or_default()
    }

    /// Brings what a worker counted last into the record of its call, which that worker could not end.
    pub fn note_figures(&self, call: CallKey, record: &mut CallRecord) {
        if let Some([from_caller, from_callee]) = self.figures(call) {
            (record.from_caller, record.from_callee) = (from_caller, from_callee);
        }
    }

    fn images(&self) -> u64 {
        self.stamps.len() as u64
    }

    /// The number of the image that a slot's word names. A word that no writer of ours wrote names
    /// some image too.
    fn image_of(&self, slot: u32, seen: Tenancy) -> u64 {
        (u64::from(slot) + seen.image()) % self.images()
    }

    fn image(&self, number: u64) -> Option<(&'static AtomicU64, &'static [AtomicU64])> {
        let at = usize::try_from(number).ok()?;
        let words = self.images.get(at * IMAGE_WORDS..(at + 1) * IMAGE_WORDS)?;
        Some((self.stamps.get(at)?, words))
    }

    fn leave(&self, slot: u32, seen: Tenancy, from: SlotState, to: SlotState) -> Result<(), Miss> {
        if seen.state() != from {
            return Err(Miss::NotOurs);
        }
        self.exchange(slot, seen, seen.next(to, seen.image(), seen.epoch(), seen.generation()))
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
        write!(f, "CallTable({} slots)", self.len())
    }
}

/// The worker's hold on its table: it alone writes images. There is one at a time.
pub struct CallWriter {
    table: CallTable,
    epoch: u64,
    /// The image that no slot names.
    spare: u64,
}

impl CallWriter {
    /// Takes the table up for the dataplane with this epoch: a call that another one wrote has to be
    /// adopted first.
    ///
    /// # Panics
    /// Never: there are more images than slots.
    #[must_use]
    pub fn new(table: CallTable, epoch: u64) -> Self {
        let mut named = vec![false; table.stamps.len()];
        for (slot, seen) in table.tenancies() {
            named[table.image_of(slot, seen) as usize] = true;
        }
        let spare = named.iter().position(|named| !named).expect("one image more than slots");
        Self { table, epoch, spare: spare as u64 }
    }

    /// The call's image from now on. Its first one opens the slot.
    pub fn publish(
        &mut self,
        call: CallKey,
        record: &CallRecord,
        checkpoint: &[u8],
    ) -> Result<(), Miss> {
        self.write(call, record, checkpoint, SlotState::Live)
    }

    /// The call's last image. The slot is control's from now on.
    pub fn end(
        &mut self,
        call: CallKey,
        record: &CallRecord,
        checkpoint: &[u8],
    ) -> Result<(), Miss> {
        self.write(call, record, checkpoint, SlotState::Ended)
    }

    /// What a live call's media are like now.
    pub fn set_figures(&self, call: CallKey, figures: &Both, apart: &[Apart; 2]) {
        self.table.figures.write(call, figures, apart);
    }

    /// Whether a live call is still written by this dataplane.
    #[must_use]
    pub fn is_ours(&self, call: CallKey) -> bool {
        self.table.tenancy(call.slot).is_some_and(|seen| {
            seen.state() == SlotState::Live
                && seen.generation() == call.generation
                && seen.is_of_epoch(self.epoch)
        })
    }

    /// After a restart: takes over a live call of a former dataplane. `seen` is what the caller's
    /// decision rests on.
    pub fn adopt(&self, slot: u32, seen: Tenancy) -> Result<(), Miss> {
        if seen.state() != SlotState::Live || seen.is_of_epoch(self.epoch) {
            return Err(Miss::NotOurs);
        }
        let mine = seen.next(SlotState::Live, seen.image(), self.epoch, seen.generation());
        self.table.exchange(slot, seen, mine)
    }

    fn write(
        &mut self,
        call: CallKey,
        record: &CallRecord,
        checkpoint: &[u8],
        state: SlotState,
    ) -> Result<(), Miss> {
        if checkpoint.len() > CHECKPOINT_BYTES_MAX {
            return Err(Miss::TooLong);
        }
        let seen = self.table.tenancy(call.slot).ok_or(Miss::NoSlot)?;
        match seen.state() {
            // Its record is durable already: whoever was frozen for long does not open it again.
            SlotState::Free if seen.word != 0 && seen.generation() == call.generation => {
                return Err(Miss::NotOurs);
            }
            SlotState::Free => self.table.touch_media(call.slot, 0),
            SlotState::Live
                if seen.generation() == call.generation && seen.is_of_epoch(self.epoch) => {}
            SlotState::Live | SlotState::Ended => return Err(Miss::NotOurs),
        }
        let (stamp, words) = self.table.image(self.spare).ok_or(Miss::NoSlot)?;
        let open = Stamp(stamp.load(Ordering::Relaxed)).opened();
        stamp.store(open.0, Ordering::Relaxed);
        // Whoever sees one of the stores below also sees the odd stamp.
        fence(Ordering::Release);
        write_bytes(words, &[record.as_bytes(), checkpoint]);
        stamp.store(open.closed(checkpoint.len()).0, Ordering::Release);
        let images = self.table.images();
        let image = (self.spare + images - u64::from(call.slot)) % images;
        let next = seen.next(state, image, self.epoch, call.generation);
        self.table.exchange(call.slot, seen, next)?;
        self.spare = self.table.image_of(call.slot, seen);
        Ok(())
    }
}

impl std::ops::Deref for CallWriter {
    type Target = CallTable;

    fn deref(&self) -> &CallTable {
        &self.table
    }
}

impl std::fmt::Debug for CallWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallWriter({} slots, epoch {})", self.len(), self.epoch)
    }
}

/// Above, how often an image was written; its lowest bit says that it is being written. Below, the
/// length of its checkpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

impl Stamp {
    const LENGTH_BITS: u32 = 16;
    const BEING_WRITTEN: u64 = 1 << Self::LENGTH_BITS;

    fn is_being_written(self) -> bool {
        self.0 & Self::BEING_WRITTEN != 0
    }

    fn length(self) -> usize {
        (self.0 & (Self::BEING_WRITTEN - 1)) as usize
    }

    /// The next odd version: one that a killed writer left odd is no exception.
    fn opened(self) -> Self {
        let version = self.0 >> Self::LENGTH_BITS;
        Self((version | 1).wrapping_add(2) << Self::LENGTH_BITS)
    }

    /// The even version after an odd one.
    fn closed(self, length: usize) -> Self {
        Self(self.0.wrapping_add(Self::BEING_WRITTEN) | length as u64)
    }
}

#[cfg(test)]
mod tests;
