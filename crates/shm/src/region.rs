//! Named memory: a file in memory, mapped for as long as the process lives.
//!
//! The file only grows. All of it is reserved before it is mapped, so that a full file system is an
//! error at boot and never a SIGBUS in the middle of a call. Opening holds the file's lock until the
//! [`Region`] is dropped: whoever comes first formats the words, and the next one sees them whole.

#![allow(unsafe_code, reason = "the one place that maps memory")]

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, posix_fallocate};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::{Mode, fstat};

use crate::Error;
use crate::error::Step;

/// Whether there was memory of this name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We made it: all words are zero.
    Created,
    /// It was there, with whatever its last users left in it.
    Found,
}

/// Named memory that is being opened. The words outlive it; drop it once they are formatted.
#[derive(Debug)]
pub struct Region {
    words: &'static [AtomicU64],
    origin: Origin,
    path: PathBuf,
    _lock: Flock<OwnedFd>,
}

impl Region {
    /// Opens the memory at `path`, made if it is not there, of at least `bytes` bytes. Waits while
    /// another process is between here and its drop.
    pub fn open(path: &Path, bytes: usize) -> Result<Self, Error> {
        let refuse = |step| move |errno| Error::new(path, step, errno);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file =
            open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(refuse(Step::OpenMemory))?;
        let lock = lock_exclusive(file).map_err(refuse(Step::LockMemory))?;

        let found = fstat(&*lock).map_err(refuse(Step::Size))?.st_size;
        let found = usize::try_from(found).map_err(|_| refuse(Step::Length)(Errno::EOVERFLOW))?;
        let length = found.max(bytes).next_multiple_of(size_of::<AtomicU64>());
        let size = i64::try_from(length).map_err(|_| refuse(Step::Length)(Errno::EOVERFLOW))?;
        let mapped =
            NonZeroUsize::new(length).ok_or_else(|| refuse(Step::Length)(Errno::EINVAL))?;
        reserve(&lock, size).map_err(refuse(Step::Size))?;

        let words = map(&lock, mapped).map_err(refuse(Step::Map))?;
        let origin = if found == 0 { Origin::Created } else { Origin::Found };
        Ok(Self { words, origin, path: path.to_owned(), _lock: lock })
    }

    /// The memory, for as long as the process lives.
    #[must_use]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Whether it is new.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes named memory; those who have it mapped keep it. That there is none is no error.
pub fn remove(path: &Path) -> Result<(), Error> {
    match nix::unistd::unlink(path) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::new(path, Step::Remove, errno)),
    }
}

fn lock_exclusive(file: OwnedFd) -> Result<Flock<OwnedFd>, Errno> {
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EINTR)) => file = back,
            Err((_, errno)) => return Err(errno),
        }
    }
}

fn reserve(file: &OwnedFd, size: i64) -> Result<(), Errno> {
    loop {
        match posix_fallocate(file, 0, size) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

fn map(file: &OwnedFd, length: NonZeroUsize) -> Result<&'static [AtomicU64], Errno> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses an address where nothing of ours lies (no MAP_FIXED), so the mapping
    // cannot alias memory that Rust knows of.
    let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file, 0) }?;
    let words = length.get() / size_of::<AtomicU64>();
    let start = start.cast::<AtomicU64>();
    // SAFETY: `mmap` returned `length` readable and writable bytes at a page boundary; `reserve` backed
    // each of them; nobody here unmaps them or shrinks the file, so they are good until the process
    // ends. Any bits are an AtomicU64, and others change them only by atomic stores, as `link` does.
    Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), words) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        format!("/dev/shm/tollgate-test-{}-{name}", std::process::id()).into()
    }

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = remove(&self.0);
        }
    }

    #[test]
    fn what_one_wrote_the_next_one_finds() {
        let path = Scratch(scratch("found"));
        let first = Region::open(&path.0, 4096).unwrap();
        assert_eq!(first.origin(), Origin::Created);
        assert!(first.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
        first.words()[511].store(7, Ordering::Relaxed);
        drop(first);
        let second = Region::open(&path.0, 4096).unwrap();
        assert_eq!(second.origin(), Origin::Found);
        assert_eq!(second.words()[511].load(Ordering::Relaxed), 7);
    }

    #[test]
    fn memory_grows_and_never_shrinks() {
        let path = Scratch(scratch("grows"));
        let small = Region::open(&path.0, 100).unwrap().words();
        assert_eq!(small.len(), 13);
        small[0].store(1, Ordering::Relaxed);
        let large = Region::open(&path.0, 1 << 16).unwrap().words();
        assert_eq!(large.len(), 1 << 13);
        assert_eq!(large[0].load(Ordering::Relaxed), 1);
        assert_eq!(Region::open(&path.0, 8).unwrap().words().len(), 1 << 13);
        large[1].store(2, Ordering::Relaxed);
        assert_eq!(small[1].load(Ordering::Relaxed), 2, "both see one memory");
    }

    #[test]
    fn nobody_opens_memory_that_another_is_still_formatting() {
        let path = Scratch(scratch("locked"));
        let region = Region::open(&path.0, 64).unwrap();
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = open(&path.0, flags, Mode::empty()).unwrap();
        let (file, errno) = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap_err();
        assert_eq!(errno, Errno::EWOULDBLOCK);
        drop(region);
        assert!(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok());
    }

    #[test]
    fn an_error_names_the_path_and_what_to_do() {
        let absent = Region::open(Path::new("/dev/shm/no-such-directory/x"), 64).unwrap_err();
        let text = absent.to_string();
        assert!(text.contains("/dev/shm/no-such-directory/x"), "{text}");
        assert!(text.contains("create its directory"), "{text}");

        let path = Scratch(scratch("huge"));
        let huge = Region::open(&path.0, 1 << 55).unwrap_err().to_string();
        assert!(huge.contains("cannot reserve"), "{huge}");
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let (path, link) = (Scratch(scratch("target")), Scratch(scratch("link")));
        nix::unistd::symlinkat(&path.0, nix::fcntl::AT_FDCWD, &link.0).unwrap();
        assert_eq!(Region::open(&link.0, 64).unwrap_err().errno(), Errno::ELOOP);
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        assert_eq!(remove(&scratch("absent")), Ok(()));
    }
}
