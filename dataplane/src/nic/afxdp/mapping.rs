//! Memory shared with the kernel: a mapping that lives as long as its owner.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// One mmap, unmapped on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// The mapping is memory of this process; whoever owns the value owns the only handle to it.
// SAFETY: nothing in it is bound to the thread that made it; the owner (one worker) moves with it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `file` at `offset`, shared and populated.
    pub(super) fn new(file: BorrowedFd<'_>, offset: i64, length: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a null hint lets the kernel choose a place that nobody uses; the result is checked.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, protection, flags, file.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, length })
    }

    /// Where it begins, for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// A pointer into it. `None` unless `bytes` from `offset` on lie inside.
    pub(super) fn at(&self, offset: usize, bytes: usize) -> Option<NonNull<u8>> {
        if offset.checked_add(bytes)? > self.length {
            return None;
        }
        // SAFETY: `offset` was just checked to lie inside the mapping.
        Some(unsafe { self.start.add(offset) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this very range was mapped by `new`, and nobody can hold a reference into it longer
        // than the owner, who is gone.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
