//! The media ports of one worker: pairs of an even RTP port and the odd RTCP port above it.
//!
//! A pair is in use, resting or free. A pair given back rests for a while and is then the last to be used
//! again: late packets of the call before die on a closed port instead of reaching the next tenant. Pairs that
//! rest and those that are free stand in two queues, linked through one array: no search, however full it is.

use core::net::IpAddr;
use core::time::Duration;

use crate::Instant;

/// No pair.
const NOBODY: u16 = u16::MAX;

/// What a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Used,
    Resting,
    Free,
}

/// A pair and its neighbours in the queue it stands in.
#[derive(Clone, Copy)]
struct Pair {
    stand: Stand,
    before: u16,
    behind: u16,
    /// When it was given back, s of the clock, rounded up.
    left_s: u32,
}

/// The first and the last pair of a queue, and how many there are.
#[derive(Clone, Copy)]
struct Queue {
    first: u16,
    last: u16,
    count: u32,
}

const EMPTY: Queue = Queue { first: NOBODY, last: NOBODY, count: 0 };

/// How many pairs are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCount {
    /// Of a call.
    pub used: u32,
    /// Given back lately.
    pub resting: u32,
    /// To be had.
    pub free: u32,
}

/// The ports of one own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPorts {
    /// The address.
    pub address: IpAddr,
    /// What its pairs are.
    pub count: PortCount,
    /// How often a leg wanted one of it in vain.
    pub missed: u64,
}

/// See the head of this file.
pub(crate) struct Ports {
    first: u16,
    pairs: Box<[Pair]>,
    resting: Queue,
    free: Queue,
    rest_s: u32,
    /// How often one was taken.
    taken: u64,
}

impl Ports {
    /// `range` is inclusive; an odd first port is left out, and so is port 0, which means none.
    pub(crate) fn new(range: (u16, u16)) -> Self {
        let first = u32::from(range.0.max(2)).next_multiple_of(2);
        let pairs = (u32::from(range.1) + 1).saturating_sub(first) / 2;
        let first = u16::try_from(first).unwrap_or(2);
        let pair = Pair { stand: Stand::Used, before: NOBODY, behind: NOBODY, left_s: 0 };
        let pairs = vec![pair; pairs as usize].into_boxed_slice();
        let mut ports = Self { first, pairs, resting: EMPTY, free: EMPTY, rest_s: 0, taken: 0 };
        for pair in 0..ports.pairs.len() {
            ports.append(pair as u16, Stand::Free);
        }
        ports
    }

    /// How long a pair rests from now on.
    pub(crate) fn set_rest(&mut self, seconds: u32) {
        self.rest_s = seconds;
    }

    /// The lowest port.
    pub(crate) fn first(&self) -> u16 {
        self.first
    }

    /// How many pairs are what, as far as [`Self::wake`] has seen.
    pub(crate) fn count(&self) -> PortCount {
        let (resting, free) = (self.resting.count, self.free.count);
        PortCount { used: self.pairs() - resting - free, resting, free }
    }

    /// How often a pair was taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many pairs there are at all.
    pub(crate) fn pairs(&self) -> u32 {
        self.pairs.len() as u32
    }

    /// Pairs that have rested for long enough are free. Each rests once for each time it was used.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some(&Pair { left_s, .. }) = self.pairs.get(usize::from(self.resting.first)) {
            let rested = Duration::from_secs(u64::from(left_s) + u64::from(self.rest_s));
            if now < rested {
                return;
            }
            let pair = self.resting.first;
            self.unlink(pair);
            self.append(pair, Stand::Free);
        }
    }

    /// Takes the free pair that has been so for longest, and returns its even port.
    pub(crate) fn reserve(&mut self, now: Instant) -> Option<u16> {
        self.wake(now);
        let pair = self.free.first;
        (pair != NOBODY).then(|| {
            self.unlink(pair);
            self.taken += 1;
            self.first + pair * 2
        })
    }

    /// Takes this very pair, for a call that had it before a restart.
    pub(crate) fn reserve_port(&mut self, port: u16) -> bool {
        let pair = self.pair_of(port).filter(|&pair| self.stand(pair) != Stand::Used);
        self.taken += u64::from(pair.is_some());
        pair.inspect(|&pair| self.unlink(pair)).is_some()
    }

    pub(crate) fn release(&mut self, now: Instant, port: u16) {
        let Some(pair) = self.pair_of(port) else { return };
        assert!(self.stand(pair) == Stand::Used, "a media port was given back twice");
        let left = now.as_secs() + u64::from(now.subsec_nanos() > 0);
        self.pairs[usize::from(pair)].left_s = u32::try_from(left).unwrap_or(u32::MAX);
        self.append(pair, if self.rest_s == 0 { Stand::Free } else { Stand::Resting });
    }

    /// A pair that nobody was told of: it need not rest.
    pub(crate) fn give_back(&mut self, port: u16) {
        let Some(pair) = self.pair_of(port) else { return };
        assert!(self.stand(pair) == Stand::Used, "a media port was given back twice");
        self.append(pair, Stand::Free);
    }

    fn stand(&self, pair: u16) -> Stand {
        self.pairs[usize::from(pair)].stand
    }

    fn queue(&mut self, stand: Stand) -> &mut Queue {
        match stand {
            Stand::Resting => &mut self.resting,
            Stand::Free | Stand::Used => &mut self.free,
        }
    }

    /// Puts a pair that is in use at the end of a queue.
    fn append(&mut self, pair: u16, stand: Stand) {
        let queue = self.queue(stand);
        let before = core::mem::replace(&mut queue.last, pair);
        queue.count += 1;
        match before {
            NOBODY => queue.first = pair,
            before => self.pairs[usize::from(before)].behind = pair,
        }
        let place = &mut self.pairs[usize::from(pair)];
        (place.stand, place.before, place.behind) = (stand, before, NOBODY);
    }

    /// Takes a pair out of its queue: it is in use.
    fn unlink(&mut self, pair: u16) {
        let Pair { stand, before, behind, .. } = self.pairs[usize::from(pair)];
        self.pairs[usize::from(pair)].stand = Stand::Used;
        match before {
            NOBODY => self.queue(stand).first = behind,
            before => self.pairs[usize::from(before)].behind = behind,
        }
        match behind {
            NOBODY => self.queue(stand).last = before,
            behind => self.pairs[usize::from(behind)].before = before,
        }
        self.queue(stand).count -= 1;
    }

    fn pair_of(&self, port: u16) -> Option<u16> {
        let pair = port.checked_sub(self.first)? / 2;
        (port.is_multiple_of(2) && usize::from(pair) < self.pairs.len()).then_some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Duration::from_millis(1_000_500);

    fn all(ports: &mut Ports, now: Instant) -> Vec<u16> {
        std::iter::from_fn(|| ports.reserve(now)).collect()
    }

    fn free(range: (u16, u16)) -> u32 {
        Ports::new(range).count().free
    }

    #[test]
    fn each_pair_is_given_once_and_the_freed_one_comes_last() {
        let mut ports = Ports::new((10_000, 10_009));
        assert_eq!(ports.reserve(NOW), Some(10_000));
        ports.release(NOW, 10_000);
        assert_eq!(all(&mut ports, NOW), [10_002, 10_004, 10_006, 10_008, 10_000]);
        ports.release(NOW, 10_004);
        ports.release(NOW, 10_000);
        assert_eq!(all(&mut ports, NOW), [10_004, 10_000]);
    }

    #[test]
    fn a_pair_given_back_rests_first() {
        let mut ports = Ports::new((10_000, 10_005));
        ports.set_rest(5);
        assert_eq!(all(&mut ports, NOW), [10_000, 10_002, 10_004]);
        ports.release(NOW, 10_002);
        assert_eq!(ports.count(), PortCount { used: 2, resting: 1, free: 0 });
        assert_eq!(ports.reserve(NOW + Duration::from_secs(5)), None, "less than whole seconds");
        ports.release(NOW + Duration::from_secs(5), 10_000);
        assert_eq!(all(&mut ports, NOW + Duration::from_secs(6)), [10_002]);
        // Shorter from now on, for those that rest too.
        ports.set_rest(1);
        assert_eq!(all(&mut ports, NOW + Duration::from_secs(7)), [10_000]);
    }

    #[test]
    fn an_odd_range_keeps_its_even_pairs_only() {
        let mut ports = Ports::new((10_001, 10_004));
        assert_eq!(all(&mut ports, NOW), [10_002]);
        assert_eq!([free((65_535, 65_535)), free((10, 4)), free((0, 65_535))], [0, 0, 32_767]);
        assert_eq!(Ports::new((0, 3)).reserve(NOW), Some(2));
    }

    #[test]
    fn a_port_of_before_can_be_taken_by_name_once_also_while_it_rests() {
        let mut ports = Ports::new((10_000, 10_009));
        ports.set_rest(5);
        assert!(ports.reserve_port(10_004));
        for port in [10_004, 10_003, 9_998, 10_010] {
            assert!(!ports.reserve_port(port));
        }
        ports.release(NOW, 10_004);
        assert!(ports.reserve_port(10_004));
        assert_eq!(ports.count(), PortCount { used: 1, resting: 0, free: 4 });
        assert_eq!(all(&mut ports, NOW), [10_000, 10_002, 10_006, 10_008]);
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn a_port_given_back_twice_is_a_bug() {
        let mut ports = Ports::new((10_000, 10_009));
        ports.release(NOW, 10_000);
    }
}
