//! The words that dataplane and control share: in this process, or named, for two.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use link::layout::{Link, Sizes};
use link::table::CallWriter;
use shm::{Doorbell, Region};

/// The sizes for one worker.
#[must_use]
pub fn sizes(calls: u32) -> Sizes {
    Sizes { workers: 1, calls_per_worker: calls, ring_slots: 1_024 }
}

/// A call table in this process's own memory, for as long as it lives.
///
/// # Errors
/// When there is none of that size.
pub fn in_process(calls: u32) -> Result<CallWriter, Box<dyn Error>> {
    let words: Vec<AtomicU64> =
        (0..sizes(calls).words_needed()).map(|_| AtomicU64::new(0)).collect();
    let link = Link::format(words.leak(), &sizes(calls), 1)?;
    let epoch = link.begin_dataplane();
    Ok(CallWriter::new(link.calls(0)?, epoch))
}

/// Named memory and both doorbells, gone when this is dropped.
pub struct Shared {
    directory: PathBuf,
    mine: bool,
    /// The shared words.
    pub link: Link,
    /// Wakes control.
    pub control: Doorbell,
    /// Wakes the worker.
    pub worker: Doorbell,
}

impl Shared {
    /// Makes them.
    ///
    /// # Errors
    /// When the system has no room for them.
    pub fn make(calls: u32) -> Result<Self, Box<dyn Error>> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let (process, made) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let directory = PathBuf::from(format!("/dev/shm/tollgate-bench-{process}-{made}"));
        std::fs::create_dir_all(&directory)?;
        Self::open(directory, calls, true)
    }

    /// Takes up what another process made.
    ///
    /// # Errors
    /// When it made none.
    pub fn join(directory: &Path, calls: u32) -> Result<Self, Box<dyn Error>> {
        Self::open(directory.to_owned(), calls, false)
    }

    fn open(directory: PathBuf, calls: u32, mine: bool) -> Result<Self, Box<dyn Error>> {
        let region = Region::open(&directory.join("words"), sizes(calls).bytes_needed())?;
        let link = Link::open_or_format(region.words(), &sizes(calls), 1)?;
        let control = Doorbell::open(&directory.join("control.bell"))?;
        let worker = Doorbell::open(&directory.join("worker.bell"))?;
        Ok(Self { directory, mine, link, control, worker })
    }

    /// Both bells once more: a worker and a driver own theirs.
    ///
    /// # Errors
    /// When they are gone.
    pub fn bells(&self) -> Result<(Doorbell, Doorbell), shm::Error> {
        Ok((
            Doorbell::open(&self.directory.join("control.bell"))?,
            Doorbell::open(&self.directory.join("worker.bell"))?,
        ))
    }

    /// Where they lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.mine {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
