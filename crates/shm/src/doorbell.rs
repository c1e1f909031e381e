//! A doorbell: a FIFO that wakes the process sleeping on it.
//!
//! Whether it must be rung at all, the ring's sleeping flag says (`link::ring`). Both ends are opened
//! by both sides, so a bell never fails because nobody listens, and what was rung before a restart is
//! still there after it. The pipe being full means that it was rung often enough.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{mkfifo, read, write};

use crate::Error;
use crate::error::Step;

/// One doorbell.
#[derive(Debug)]
pub struct Doorbell {
    fifo: OwnedFd,
}

impl Doorbell {
    /// Opens the FIFO at `path`, made if it is not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |step| move |errno| Error::new(path, step, errno);
        match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refuse(Step::OpenDoorbell)(errno)),
        }
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let fifo = open(path, flags, Mode::empty()).map_err(refuse(Step::OpenDoorbell))?;
        let mode = fstat(&fifo).map_err(refuse(Step::OpenDoorbell))?.st_mode;
        if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
            return Err(refuse(Step::NoFifo)(Errno::EEXIST));
        }
        Ok(Self { fifo })
    }

    /// Wakes whoever polls it. Costs a system call: only ring when the ring says so.
    pub fn ring(&self) {
        // EAGAIN: the pipe is full of rings. Nothing else can happen while we hold both ends.
        let _ = write(&self.fifo, &[1]);
    }

    /// Takes back all rings, so that the next poll sleeps. True: there was one.
    pub fn drain(&self) -> bool {
        let mut rung = false;
        let mut bytes = [0; 256];
        loop {
            match read(&self.fifo, &mut bytes) {
                Ok(count) if count > 0 => rung = true,
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => return rung,
            }
        }
    }
}

impl AsFd for Doorbell {
    /// What to poll for reading.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        format!("/dev/shm/tollgate-test-{}-bell-{name}", std::process::id()).into()
    }

    fn is_rung(bell: &Doorbell) -> bool {
        let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn a_ring_wakes_the_other_side_until_it_is_drained() {
        let path = scratch("wakes");
        let (ours, theirs) = (Doorbell::open(&path).unwrap(), Doorbell::open(&path).unwrap());
        assert!(!is_rung(&theirs));
        ours.ring();
        assert!(is_rung(&theirs));
        assert!(theirs.drain());
        assert!(!theirs.drain());
        assert!(!is_rung(&theirs));
        crate::remove(&path).unwrap();
    }

    #[test]
    fn ringing_for_ever_with_nobody_listening_neither_blocks_nor_fails() {
        let path = scratch("full");
        let bell = Doorbell::open(&path).unwrap();
        for _ in 0..100_000 {
            bell.ring();
        }
        assert!(bell.drain());
        assert!(!is_rung(&bell));
        crate::remove(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_fifo_is_refused_by_name() {
        let path = scratch("file");
        drop(crate::Region::open(&path, 64).unwrap());
        let text = Doorbell::open(&path).unwrap_err().to_string();
        assert!(text.contains("is no FIFO") && text.contains("remove the file"), "{text}");
        crate::remove(&path).unwrap();
    }
}
