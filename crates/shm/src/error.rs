//! What the system refuses, and what the operator can do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A call of the system that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    path: PathBuf,
    step: Step,
    errno: Errno,
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    OpenMemory,
    LockMemory,
    Size,
    /// The file is larger or smaller than a mapping can be.
    Length,
    Map,
    OpenDoorbell,
    /// The path names something that is no FIFO.
    NoFifo,
    OpenLock,
    /// Another process holds the lock.
    Held,
    Remove,
}

impl Error {
    pub(crate) fn new(path: &Path, step: Step, errno: Errno) -> Self {
        Self { path: path.to_owned(), step, errno }
    }

    /// What the system said.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether another process holds the lock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.step == Step::Held
    }

    fn what(&self) -> &'static str {
        match self.step {
            Step::OpenMemory => "cannot open shared memory",
            Step::LockMemory => "cannot lock shared memory",
            Step::Size => "cannot reserve shared memory",
            Step::Length => "shared memory has an impossible size",
            Step::Map => "cannot map shared memory",
            Step::OpenDoorbell => "cannot open the doorbell",
            Step::NoFifo => "the doorbell is no FIFO",
            Step::OpenLock => "cannot open the lock file",
            Step::Held => "another process holds the lock",
            Step::Remove => "cannot remove",
        }
    }

    fn mend(&self) -> &'static str {
        match (self.step, self.errno) {
            (Step::Held, _) => "only one may run: stop the other one, or give this one other paths",
            (Step::NoFifo | Step::Length, _) => "remove the file, or name another path",
            (Step::Size, Errno::ENOSPC | Errno::ENOMEM) => {
                "make its file system larger (mount -o remount,size=…) or lower limits.calls"
            }
            (Step::Map, Errno::ENOMEM) => "free memory or lower limits.calls",
            (_, Errno::ENOENT) => "create its directory, or name another path",
            (_, Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                "run as the user who owns it, or remove it if it is left from another user"
            }
            _ => "see what the system says",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, errno) = (self.path.display(), self.errno.desc());
        write!(f, "{} {path}: {errno}; {}", self.what(), self.mend())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.errno)
    }
}
