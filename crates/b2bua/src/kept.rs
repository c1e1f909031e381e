//! Messages kept for repetition: a fixed pool of small blocks, chained.
//!
//! Most messages need one to three blocks, a big INVITE sixteen; a pool of whole-message buffers
//! would spend eight times the memory on the same calls.

/// Bytes of one block.
const BLOCK_BYTES: usize = 512;

const NONE: u32 = u32::MAX;

/// The right to one kept message. Give it back with [`Pool::release`].
///
/// Not `Copy`: two owners would free the blocks twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    first: u32,
    length: u32,
}

impl Kept {
    /// No message.
    pub(crate) const NONE: Self = Self { first: NONE, length: 0 };

    pub(crate) fn is_none(&self) -> bool {
        self.first == NONE
    }

    /// Moves the right out and leaves nothing behind.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }
}

/// The blocks.
pub(crate) struct Pool {
    bytes: Box<[[u8; BLOCK_BYTES]]>,
    /// The next block of a chain, or of the free list.
    next: Box<[u32]>,
    free: u32,
    free_blocks: u32,
}

impl Pool {
    /// A pool for `messages` messages of 1 KiB.
    pub(crate) fn new(messages: u32) -> Self {
        let blocks = Self::new_blocks(messages);
        Self {
            bytes: vec![[0; BLOCK_BYTES]; blocks as usize].into_boxed_slice(),
            next: (1..=blocks).map(|next| if next == blocks { NONE } else { next }).collect(),
            free: 0,
            free_blocks: blocks,
        }
    }

    /// How many blocks [`Pool::new`] makes of that.
    pub(crate) fn new_blocks(messages: u32) -> u32 {
        messages.saturating_mul(2).clamp(1, NONE - 1)
    }

    /// How many there are.
    pub(crate) fn blocks(&self) -> usize {
        self.next.len()
    }

    pub(crate) fn free_blocks(&self) -> u32 {
        self.free_blocks
    }

    /// How many blocks `bytes` bytes take.
    pub(crate) fn blocks_for(bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(BLOCK_BYTES).max(1)).unwrap_or(NONE)
    }

    /// Keeps a copy of `message`. `None`: the pool is full.
    pub(crate) fn keep(&mut self, message: &[u8]) -> Option<Kept> {
        let blocks = Self::blocks_for(message.len());
        let length = u32::try_from(message.len()).ok()?;
        if blocks > self.free_blocks {
            return None;
        }
        let first = self.free;
        let mut last = first;
        let mut chunks = message.chunks(BLOCK_BYTES);
        for _ in 0..blocks {
            let block = self.free;
            let chunk = chunks.next().unwrap_or_default();
            self.bytes[block as usize][..chunk.len()].copy_from_slice(chunk);
            self.free = self.next[block as usize];
            last = block;
        }
        self.next[last as usize] = NONE;
        self.free_blocks -= blocks;
        Some(Kept { first, length })
    }

    /// Copies a kept message into `out` and returns it; empty if `kept` is none or `out` short.
    pub(crate) fn copy<'a>(&self, kept: &Kept, out: &'a mut [u8]) -> &'a [u8] {
        let length = kept.length as usize;
        let Some(out) = out.get_mut(..length) else { return &[] };
        let mut block = kept.first;
        for chunk in out.chunks_mut(BLOCK_BYTES) {
            chunk.copy_from_slice(&self.bytes[block as usize][..chunk.len()]);
            block = self.next[block as usize];
        }
        out
    }

    /// Gives the blocks back.
    pub(crate) fn release(&mut self, kept: Kept) {
        if kept.is_none() {
            return;
        }
        let mut last = kept.first;
        let mut blocks = 1;
        while self.next[last as usize] != NONE {
            last = self.next[last as usize];
            blocks += 1;
        }
        self.next[last as usize] = self.free;
        self.free = kept.first;
        self.free_blocks += blocks;
        assert!(self.free_blocks as usize <= self.bytes.len(), "a kept message was freed twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_message_comes_back_whole_and_its_blocks_return() {
        let mut pool = Pool::new(4);
        let mut out = [0; 4_096];
        for length in [0, 1, 511, 512, 513, 1_024, 4_096] {
            let message: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let kept = pool.keep(&message).unwrap();
            assert_eq!(pool.copy(&kept, &mut out), message);
            pool.release(kept);
            assert_eq!(pool.free_blocks(), 8);
        }
    }

    #[test]
    fn a_full_pool_refuses_and_recovers() {
        let mut pool = Pool::new(2);
        let first = pool.keep(&[1; 1_500]).unwrap();
        let second = pool.keep(&[2; 512]).unwrap();
        assert!(pool.keep(b"x").is_none());
        pool.release(first);
        let third = pool.keep(&[3; 1_536]).unwrap();
        let mut out = [0; 2_048];
        assert_eq!(pool.copy(&second, &mut out), [2; 512]);
        assert_eq!(pool.copy(&third, &mut out), [3; 1_536]);
    }
}
