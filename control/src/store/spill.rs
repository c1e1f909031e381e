//! The spill: one file beside the database that keeps groups of changes while the database cannot take them.
//!
//! Its room is taken when control starts, so that a disk that runs full later does not stop it. A group is a
//! frame; what holds a frame holds no other, so no write touches a sector with something durable in it. A
//! frame counts once it was synced, and it is known by its checksum, its number and its generation. Once the
//! database has all of them a new generation begins, which makes the frames of the last one void: two heads
//! take turns in saying which it is, so a torn one leaves the other.
//!
//! The database notes in the same transaction up to which [`Place`] it has them. So each group is applied once,
//! in order, whenever who dies.

use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use siphasher::sip::SipHasher13;

use super::{Change, kept};

/// What a disk writes whole, or at least not half over what lay there.
const SECTOR: u64 = 512;
const MAGIC: u64 = u64::from_be_bytes(*b"tgspill1");
/// Two heads, one sector each.
const HEADS: u64 = 2;
const FIRST: u64 = HEADS * SECTOR;
/// Bytes of a frame before its text: length, generation, number, checksum.
const FRAME_HEAD: usize = 32;

/// A frame's place: what was spilled before it is in lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of which generation.
    pub generation: u64,
    /// Which frame, from 1 on.
    pub frame: u64,
}

/// Where frames are written; a test may stand in for the disk.
pub trait Medium: Send {
    /// Reads from there on; less than wanted at its end.
    ///
    /// # Errors
    /// When it cannot.
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes there.
    ///
    /// # Errors
    /// When it cannot; anything may be there now.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything durable that was written.
    ///
    /// # Errors
    /// When it cannot; nothing written since the last time is sure.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, at + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What waits in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Groups of changes.
    pub groups: u64,
    /// What they take.
    pub bytes: u64,
}

/// What is to be replayed next.
#[derive(Debug)]
pub struct Replay {
    /// The last of the frames.
    pub through: Place,
    /// All their changes, in order.
    pub changes: Vec<Change>,
    frames: u64,
    behind: u64,
}

/// The file.
pub struct Spill {
    medium: Box<dyn Medium>,
    room: u64,
    generation: u64,
    /// Which head speaks now.
    head: u64,
    /// The number of the next frame, and where it goes.
    next: u64,
    end: u64,
    /// The first frame that the database does not have.
    front: u64,
    groups: u64,
    /// The next frame was begun, and may lie there whole.
    begun: bool,
}

impl Spill {
    /// Opens the file of that name, and takes as much room for it. What the database has, `through`, is over.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn open(path: &Path, room: u64, through: Place) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let length = i64::try_from(room).unwrap_or(i64::MAX);
        if let Err(error) = nix::fcntl::posix_fallocate(&file, 0, length) {
            // It grows as it needs to, as long as the disk is not full.
            tracing::warn!(file = %path.display(), %error, "spill_without_room");
        }
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        file.sync_all()?;
        Self::new(Box::new(file), room, through)
    }

    /// Reads what lies there.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn new(mut medium: Box<dyn Medium>, room: u64, through: Place) -> io::Result<Self> {
        let heads = [read_head(&mut *medium, 0)?, read_head(&mut *medium, 1)?];
        let newest = match heads {
            [Head::Says(first), Head::Says(second)] if second > first => Some((1, second)),
            [Head::Says(first), _] => Some((0, first)),
            [_, Head::Says(second)] => Some((1, second)),
            [Head::Torn, Head::Torn] => {
                let what = "it is no spill file; move it away, its records would not be found";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            // The first head was never whole, so there was never a frame.
            _ => None,
        };
        let (head, generation) = newest.unwrap_or((1, 0));
        let mut spill = Self {
            medium,
            room,
            generation,
            head,
            next: 1,
            end: FIRST,
            front: FIRST,
            groups: 0,
            begun: false,
        };
        if generation <= through.generation.saturating_sub(1) || generation == 0 {
            // A new file, or one of another time.
            spill.generation = through.generation;
            spill.clear()?;
        } else {
            spill.find(through)?;
        }
        Ok(spill)
    }

    /// Finds the frames of this generation.
    fn find(&mut self, through: Place) -> io::Result<()> {
        let mut expected = None;
        while let Some((frame, behind)) = self.head_of_frame(self.end)? {
            if expected.is_some_and(|expected| expected != frame)
                || self.text(self.end, frame)?.is_none()
            {
                break;
            }
            let place = Place { generation: self.generation, frame };
            if through.generation == place.generation && place <= through {
                self.front = behind;
            } else {
                self.groups += 1;
            }
            (self.end, self.next) = (behind, frame + 1);
            expected = Some(frame + 1);
        }
        if through.generation == self.generation {
            self.next = self.next.max(through.frame + 1);
        }
        Ok(())
    }

    /// The number of the frame there, and where the next one is.
    fn head_of_frame(&mut self, at: u64) -> io::Result<Option<(u64, u64)>> {
        let mut head = [0; FRAME_HEAD];
        if self.medium.read_at(at, &mut head)? < FRAME_HEAD {
            return Ok(None);
        }
        let [length, generation, frame, _] = words(&head);
        let behind = length.checked_add(FRAME_HEAD as u64).and_then(sectors);
        let behind = behind.and_then(|bytes| at.checked_add(bytes));
        let is_ours = generation == self.generation && length <= self.room;
        Ok(behind.filter(|_| is_ours).map(|behind| (frame, behind)))
    }

    /// What the frame there says, if it is whole.
    fn text(&mut self, at: u64, frame: u64) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; FRAME_HEAD];
        if self.medium.read_at(at, &mut head)? < FRAME_HEAD {
            return Ok(None);
        }
        let [length, generation, number, check] = words(&head);
        if number != frame || generation != self.generation || length > self.room {
            return Ok(None);
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.medium.read_at(at + FRAME_HEAD as u64, &mut text)?;
        let is_whole = read == text.len() && checksum(generation, number, &text) == check;
        Ok(is_whole.then_some(text))
    }

    /// Keeps a group. It is durable then.
    ///
    /// # Errors
    /// When there is no room, or the disk cannot; nothing of it counts.
    pub fn append(&mut self, group: &[Change]) -> io::Result<()> {
        let text = kept::to_text(group)?;
        let frame = self.next;
        let check = checksum(self.generation, frame, &text);
        let mut bytes = Vec::with_capacity(FRAME_HEAD + text.len() + SECTOR as usize);
        for word in [text.len() as u64, self.generation, frame, check] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(text);
        bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        let behind = self.end + bytes.len() as u64;
        if behind > self.room {
            let what = format!("the spill's {} MB are full", self.room >> 20);
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        self.begun = true;
        self.medium.write_at(self.end, &bytes)?;
        self.medium.sync()?;
        self.begun = false;
        (self.end, self.next) = (behind, frame + 1);
        self.groups += 1;
        Ok(())
    }

    /// Whether the database has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.front == self.end
    }

    /// What waits.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting { groups: self.groups, bytes: self.end - self.front }
    }

    /// The place of a frame that could not be finished, and may be whole all the same: whoever stores its changes
    /// elsewhere notes this place with them.
    #[must_use]
    pub fn begun(&self) -> Option<Place> {
        self.begun.then_some(Place { generation: self.generation, frame: self.next })
    }

    /// The database has noted that place.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.next += 1;
        }
    }

    /// The first frames that the database does not have, of about so many changes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn front(&mut self, changes_max: usize) -> io::Result<Option<Replay>> {
        let mut at = self.front;
        let mut found: Option<Replay> = None;
        while at < self.end && found.as_ref().is_none_or(|it| it.changes.len() < changes_max) {
            let unreadable =
                || io::Error::new(io::ErrorKind::InvalidData, "a frame of the spill is broken");
            let (frame, behind) = self.head_of_frame(at)?.ok_or_else(unreadable)?;
            let text = self.text(at, frame)?.ok_or_else(unreadable)?;
            let group: Vec<Change> = kept::from_text(&text)?;
            let through = Place { generation: self.generation, frame };
            let (mut changes, frames) =
                found.map_or_else(Default::default, |it| (it.changes, it.frames));
            changes.extend(group);
            found = Some(Replay { through, changes, frames: frames + 1, behind });
            at = behind;
        }
        Ok(found)
    }

    /// The database has these.
    pub fn advance(&mut self, replay: &Replay) {
        self.front = replay.behind;
        self.groups = self.groups.saturating_sub(replay.frames);
    }

    /// Begins again, once the database has everything. It is no harm if that fails: the database knows how far it is.
    ///
    /// # Errors
    /// When the disk cannot.
    pub fn clear(&mut self) -> io::Result<()> {
        let (generation, head) = (self.generation + 1, (self.head + 1) % HEADS);
        let mut bytes = Vec::with_capacity(SECTOR as usize);
        for word in [MAGIC, generation, checksum(generation, MAGIC, &[])] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.resize(SECTOR as usize, 0);
        self.medium.write_at(head * SECTOR, &bytes)?;
        self.medium.sync()?;
        (self.generation, self.head) = (generation, head);
        (self.next, self.end, self.front, self.groups) = (1, FIRST, FIRST, 0);
        self.begun = false;
        Ok(())
    }
}

enum Head {
    Nothing,
    Torn,
    Says(u64),
}

fn read_head(medium: &mut dyn Medium, which: u64) -> io::Result<Head> {
    let mut head = [0; 24];
    let read = medium.read_at(which * SECTOR, &mut head)?;
    let mut all = [0; FRAME_HEAD];
    all[..24].copy_from_slice(&head);
    let [magic, generation, check, _] = words(&all);
    Ok(if read < head.len() || head == [0; 24] {
        Head::Nothing
    } else if magic == MAGIC && check == checksum(generation, MAGIC, &[]) {
        Head::Says(generation)
    } else {
        Head::Torn
    })
}

fn words(bytes: &[u8; FRAME_HEAD]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}

/// So many bytes, up to the end of their last sector.
fn sectors(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(SECTOR)
}

fn checksum(generation: u64, number: u64, text: &[u8]) -> u64 {
    let mut sum = SipHasher13::new_with_keys(generation, number);
    sum.write(text);
    sum.finish()
}

#[cfg(test)]
pub(super) mod tests;
