//! A lock that says "there is only one of me": rings have one producer and one consumer.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::stat::Mode;

use crate::Error;
use crate::error::Step;

/// Held until it is dropped or its process dies, by whatever death.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<OwnedFd>,
}

impl Lock {
    /// Takes the lock at `path`, or refuses at once because another process has it
    /// ([`Error::is_held`]).
    pub fn try_take(path: &Path) -> Result<Self, Error> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| Error::new(path, Step::OpenLock, errno))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { _file: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::new(path, Step::Held, Errno::EWOULDBLOCK)),
            Err((_, errno)) => Err(Error::new(path, Step::OpenLock, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_only_one_until_it_lets_go() {
        let path = format!("/dev/shm/tollgate-test-{}-lock", std::process::id());
        let path = Path::new(&path);
        let first = Lock::try_take(path).unwrap();
        let refused = Lock::try_take(path).unwrap_err();
        assert!(refused.is_held());
        assert!(refused.to_string().contains("stop the other one"), "{refused}");
        drop(first);
        Lock::try_take(path).unwrap();
        crate::remove(path).unwrap();
    }
}
