//! The media ports of one worker: pairs of an even RTP port and the odd RTCP port above it.
//!
//! The search goes round, so a port just given back is the last to be used again: late packets of
//! the call before die on a closed port instead of reaching the next tenant.

/// See the head of this file.
pub(crate) struct Ports {
    first: u16,
    pairs: u32,
    /// One bit per pair: 1 is in use.
    used: Box<[u64]>,
    free: u32,
    cursor: u32,
}

impl Ports {
    /// `range` is inclusive; an odd first port is left out, and so is port 0, which means none.
    pub(crate) fn new(range: (u16, u16)) -> Self {
        let first = u32::from(range.0.max(2)).next_multiple_of(2);
        let pairs = (u32::from(range.1) + 1).saturating_sub(first) / 2;
        let first = u16::try_from(first).unwrap_or(2);
        let used = vec![0; (pairs as usize).div_ceil(64)].into_boxed_slice();
        Self { first, pairs, used, free: pairs, cursor: 0 }
    }

    /// The lowest port.
    pub(crate) fn first(&self) -> u16 {
        self.first
    }

    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// How many pairs there are at all.
    pub(crate) fn pairs(&self) -> u32 {
        self.pairs
    }

    /// Takes the next free pair and returns its even port.
    pub(crate) fn reserve(&mut self) -> Option<u16> {
        if self.free == 0 {
            return None;
        }
        for step in 0..self.pairs {
            let pair = (self.cursor + step) % self.pairs;
            if self.take(pair) {
                self.cursor = (pair + 1) % self.pairs;
                return Some(self.first + (pair * 2) as u16);
            }
        }
        None
    }

    /// Takes this very pair, for a call that had it before a restart.
    pub(crate) fn reserve_port(&mut self, port: u16) -> bool {
        self.pair_of(port).is_some_and(|pair| self.take(pair))
    }

    pub(crate) fn release(&mut self, port: u16) {
        let Some(pair) = self.pair_of(port) else { return };
        let (word, bit) = (pair as usize / 64, 1 << (pair % 64));
        assert!(self.used[word] & bit != 0, "a media port was given back twice");
        self.used[word] &= !bit;
        self.free += 1;
    }

    fn take(&mut self, pair: u32) -> bool {
        let (word, bit) = (pair as usize / 64, 1 << (pair % 64));
        let is_free = self.used[word] & bit == 0;
        self.used[word] |= bit;
        self.free -= u32::from(is_free);
        is_free
    }

    fn pair_of(&self, port: u16) -> Option<u32> {
        let pair = u32::from(port.checked_sub(self.first)?) / 2;
        (port.is_multiple_of(2) && pair < self.pairs).then_some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_given_once_and_the_freed_one_comes_last() {
        let mut ports = Ports::new((10_000, 10_009));
        let taken: Vec<u16> = std::iter::from_fn(|| ports.reserve()).collect();
        assert_eq!(taken, [10_000, 10_002, 10_004, 10_006, 10_008]);
        ports.release(10_004);
        assert_eq!(ports.reserve(), Some(10_004));
        ports.release(10_000);
        ports.release(10_006);
        assert_eq!(ports.reserve(), Some(10_006));
    }

    #[test]
    fn an_odd_range_keeps_its_even_pairs_only() {
        let mut ports = Ports::new((10_001, 10_004));
        assert_eq!(ports.reserve(), Some(10_002));
        assert_eq!(ports.reserve(), None);
        assert_eq!(Ports::new((65_535, 65_535)).free(), 0);
        assert_eq!(Ports::new((0, 3)).reserve(), Some(2));
        assert_eq!(Ports::new((10, 4)).free(), 0);
    }

    #[test]
    fn a_port_of_before_can_be_taken_by_name_once() {
        let mut ports = Ports::new((10_000, 10_009));
        assert!(ports.reserve_port(10_004));
        assert!(!ports.reserve_port(10_004));
        assert!(!ports.reserve_port(10_003));
        assert!(!ports.reserve_port(9_998));
        assert!(!ports.reserve_port(10_010));
        assert_eq!(ports.free(), 4);
    }
}
