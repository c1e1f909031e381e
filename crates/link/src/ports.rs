//! The media ports of a worker, by own address.
//!
//! The worker writes what its ports are now; control reads each figure whole, never all of them at one
//! moment. An address is named before its figures are believed: while it changes, it has none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::word::{AtomicU64, LINE_WORDS, Ordering, whole_lines};

/// Most own addresses of a machine.
pub const ADDRESSES_MAX: usize = 32;

// Words of an address: its family (0: none), its bits, its figures.
const FAMILY_AT: usize = 0;
const HIGH_AT: usize = 1;
const LOW_AT: usize = 2;
const FIGURES_AT: usize = 3;
const ENTRY_WORDS: usize = 8;

/// Words of the block.
#[must_use]
pub const fn words_needed() -> usize {
    LINE_WORDS + whole_lines(ADDRESSES_MAX * ENTRY_WORDS)
}

/// What the pairs of media ports of one own address are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Of a call.
    pub used: u64,
    /// Given back lately.
    pub resting: u64,
    /// To be had.
    pub free: u64,
    /// How often one was wanted in vain since the worker began.
    pub missed: u64,
}

/// The media ports of one worker.
#[derive(Clone, Copy)]
pub struct Ports {
    count: &'static AtomicU64,
    entries: &'static [AtomicU64],
}

impl Ports {
    /// The ports in `words`; `None` when they are too few.
    #[must_use]
    pub fn attach(words: &'static [AtomicU64]) -> Option<Self> {
        let (head, rest) = words.split_at_checked(LINE_WORDS)?;
        let entries = rest.get(..ADDRESSES_MAX * ENTRY_WORDS)?;
        Some(Self { count: head.first()?, entries })
    }

    /// Worker: these are all own addresses, and what their ports are now. Those past [`ADDRESSES_MAX`] are left out.
    pub fn replace(&self, addresses: impl IntoIterator<Item = (IpAddr, Pairs)>) {
        let mut count = 0;
        let slots = self.entries.chunks_exact(ENTRY_WORDS);
        for (entry, (address, pairs)) in slots.zip(addresses) {
            let named = address_of(entry) == Some(address);
            if !named {
                entry[FAMILY_AT].store(0, Ordering::Release);
            }
            let Pairs { used, resting, free, missed } = pairs;
            for (word, value) in entry[FIGURES_AT..].iter().zip([used, resting, free, missed]) {
                word.store(value, Ordering::Relaxed);
            }
            if !named {
                let (family, bits) = match address {
                    IpAddr::V4(ip) => (4, u128::from(ip.to_bits())),
                    IpAddr::V6(ip) => (6, ip.to_bits()),
                };
                entry[HIGH_AT].store((bits >> 64) as u64, Ordering::Relaxed);
                entry[LOW_AT].store(bits as u64, Ordering::Relaxed);
                entry[FAMILY_AT].store(family, Ordering::Release);
            }
            count += 1;
        }
        self.count.store(count, Ordering::Release);
    }

    /// Each address with its figures, in the worker's order; nothing before the worker has told any.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, Pairs)> + use<> {
        let count = usize::try_from(self.count.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        self.entries.chunks_exact(ENTRY_WORDS).take(count).filter_map(|entry| {
            let address = address_of(entry)?;
            let figure = |at: usize| entry[FIGURES_AT + at].load(Ordering::Relaxed);
            let [used, resting, free, missed] = [0, 1, 2, 3].map(figure);
            Some((address, Pairs { used, resting, free, missed }))
        })
    }
}

fn address_of(entry: &[AtomicU64]) -> Option<IpAddr> {
    let family = entry[FAMILY_AT].load(Ordering::Acquire);
    let [high, low] = [HIGH_AT, LOW_AT].map(|at| entry[at].load(Ordering::Relaxed));
    match family {
        4 => Some(Ipv4Addr::from_bits(low as u32).into()),
        6 => Some(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()),
        _ => None,
    }
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_other_side_reads_each_address_with_its_own_figures() {
        let words = word::leak(words_needed());
        let worker = Ports::attach(words).unwrap();
        let control = Ports::attach(words).unwrap();
        assert_eq!(control.iter().count(), 0);
        let near = Pairs { used: 1, resting: 2, free: 3, missed: 4 };
        let far = Pairs { free: u64::MAX, ..Pairs::default() };
        worker.replace([(ip("192.0.2.1"), near), (ip("2001:db8::ffff:1"), far)]);
        let seen: Vec<_> = control.iter().collect();
        assert_eq!(seen, [(ip("192.0.2.1"), near), (ip("2001:db8::ffff:1"), far)]);
        // A dataplane of fewer addresses leaves nothing of those before.
        worker.replace([(ip("2001:db8::1"), near)]);
        assert_eq!(control.iter().collect::<Vec<_>>(), [(ip("2001:db8::1"), near)]);
    }

    #[test]
    fn more_addresses_than_a_machine_has_are_left_out() {
        let words = word::leak(words_needed());
        let ports = Ports::attach(words).unwrap();
        let many = (0..100_u8).map(|host| ([10, 0, 0, host].into(), Pairs::default()));
        ports.replace(many);
        assert_eq!(ports.iter().count(), ADDRESSES_MAX);
        words[0].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(ports.iter().count(), ADDRESSES_MAX, "whatever a torn count says");
    }
}
