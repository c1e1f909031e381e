//! A list of networks in the kernel: a trie, and the bitmap that spares most frames the trie.
//!
//! The trie finds only the longest network around an address. So each rule carries, next to its own
//! end, the latest end of all networks around it: a ban of an hour on a /24 that is over never
//! shields its source from the ban on the /16. This file keeps those ends and the bitmap right; it
//! is the only writer, and remembers what it wrote. Likewise the marks: what a network is for (a region that
//! is forbidden, an administrator's) all in it is for, and of the trunks around an address the nearest is its.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{MARK_TRUNK, PrefixKey, PrefixRule};
use crate::maps::{Instant, nanoseconds, open_map, until};
use crate::{Error, Prefix};

/// Words of the bitmap: a bit for each IPv4 /24.
const NEAR_WORDS: usize = 1 << NETWORK_BITS_OF_WORD;
/// Each of them is for one /18.
const NETWORK_BITS_OF_WORD: u8 = 18;

/// With more changes than these, all rules are mended at once: that costs what a quarter of a million words do.
const FEW: usize = 64;

/// What is said of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its last moment; `None` is for good.
    pub(crate) not_after: Option<Instant>,
    /// Bits of `MARK_…`, and the number of a trunk.
    pub(crate) mark: u32,
}

pub(crate) struct Prefixes {
    list: &'static str,
    trie: MapHandle,
    near: MapHandle,
    /// What the trie holds.
    written: BTreeMap<Prefix, PrefixRule>,
    /// What the bitmap holds.
    bits: Vec<u64>,
}

impl Prefixes {
    /// Opens the pinned pair and reads what an earlier writer left.
    pub(crate) fn open(pins: &Path, list: &'static str) -> Result<Self, Error> {
        let trie = open_map(pins, &format!("{list}_prefixes"))?;
        let near = open_map(pins, &format!("{list}_near"))?;
        let mut written = BTreeMap::new();
        for key in trie.keys() {
            let Ok(parsed) = PrefixKey::read_from_bytes(&key) else { continue };
            let found = trie.lookup(&key, MapFlags::ANY).map_err(Error::bpf("read a rule"))?;
            let rule = found.and_then(|bytes| PrefixRule::read_from_bytes(&bytes).ok());
            if let (Some(prefix), Some(rule)) = (parsed.prefix(), rule) {
                written.insert(prefix, PrefixRule { hits: 0, ..rule });
            }
        }
        let mut opened = Self { list, trie, near, written, bits: vec![0; NEAR_WORDS] };
        opened.read_bits()?;
        // A writer that died between trie and bitmap left them apart.
        opened.mend_bits(Prefix::all_ipv4())?;
        Ok(opened)
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.trie.max_entries()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Prefix, Said)> + '_ {
        self.written.iter().map(|(&prefix, rule)| {
            let not_after = until(rule.own_not_after);
            (prefix, Said { not_after, mark: rule.own_mark })
        })
    }

    /// Frames that the rule dropped; 0 where there is none.
    pub(crate) fn hits(&self, prefix: Prefix) -> Result<u64, Error> {
        let found = self
            .trie
            .lookup(PrefixKey::from(prefix).as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("read a rule"))?;
        let rule = found.and_then(|bytes| PrefixRule::read_from_bytes(&bytes).ok());
        // The trie may have found a network around it.
        Ok(rule.filter(|rule| rule.bits == u32::from(prefix.bits())).map_or(0, |rule| rule.hits))
    }

    /// The longest network around `address` that ends then.
    pub(crate) fn longest(&self, address: IpAddr, not_after: Option<Instant>) -> Option<Prefix> {
        let host = Prefix::host(address);
        self.iter()
            .filter(|(prefix, said)| prefix.covers(&host) && said.not_after == not_after)
            .map(|(prefix, _)| prefix)
            .max_by_key(Prefix::bits)
    }

    /// Adds a rule or changes its end. `false`: it stood there just so.
    pub(crate) fn set(&mut self, prefix: Prefix, said: Said) -> Result<bool, Error> {
        if self.says(prefix, said) {
            return Ok(false);
        }
        if !self.written.contains_key(&prefix) && self.written.len() >= self.capacity() as usize {
            return Err(Error::Full { list: self.list, capacity: self.capacity() });
        }
        self.write(prefix, said)?;
        self.mend_inside(prefix)?;
        self.mend_bits(prefix)?;
        Ok(true)
    }

    fn says(&self, prefix: Prefix, said: Said) -> bool {
        self.written.get(&prefix).is_some_and(|rule| {
            rule.own_not_after == nanoseconds(said.not_after) && rule.own_mark == said.mark
        })
    }

    /// Removes a rule. `false`: there was none.
    pub(crate) fn remove(&mut self, prefix: Prefix) -> Result<bool, Error> {
        let removed = self.erase(prefix)?;
        if removed {
            self.mend_inside(prefix)?;
            self.mend_bits(prefix)?;
        }
        Ok(removed)
    }

    /// Makes the list be `wanted`, touching only what differs. Returns rules added or changed, and
    /// removed.
    pub(crate) fn replace(
        &mut self,
        wanted: &BTreeMap<Prefix, Said>,
    ) -> Result<(usize, usize), Error> {
        if wanted.len() > self.capacity() as usize {
            return Err(Error::Full { list: self.list, capacity: self.capacity() });
        }
        let gone: Vec<Prefix> =
            self.written.keys().filter(|prefix| !wanted.contains_key(prefix)).copied().collect();
        for &prefix in &gone {
            self.erase(prefix)?;
        }
        let mut changed = Vec::new();
        for (&prefix, &said) in wanted {
            if !self.says(prefix, said) {
                self.write(prefix, said)?;
                changed.push(prefix);
            }
        }
        // Ends in a network may have changed with its own.
        if changed.len() + gone.len() <= FEW {
            for &prefix in changed.iter().chain(&gone) {
                self.mend_inside(prefix)?;
                self.mend_bits(prefix)?;
            }
        } else {
            for prefix in self.written.keys().copied().collect::<Vec<_>>() {
                self.mend(prefix)?;
            }
            self.mend_bits(Prefix::all_ipv4())?;
        }
        Ok((changed.len(), gone.len()))
    }

    /// The latest end among `own` and the rules around `prefix`.
    fn latest(&self, prefix: Prefix, own: u64) -> u64 {
        let ends = self.around(prefix).map(|(_, rule)| rule.own_not_after);
        // 0 is never, and later than all: so the order is that of `x - 1`, wrapped.
        ends.fold(own, |latest, end| {
            latest.wrapping_sub(1).max(end.wrapping_sub(1)).wrapping_add(1)
        })
    }

    /// What holds in the network: its own flags and those around it; of trunks the nearest.
    fn marked(&self, prefix: Prefix, own: u32) -> u32 {
        let around = self.around(prefix).map(|(_, rule)| rule.own_mark);
        around.chain([own]).fold(0, |mark, nearer| {
            let trunk = if nearer & MARK_TRUNK == 0 { mark } else { nearer } & MARK_TRUNK;
            (mark | nearer) & !MARK_TRUNK | trunk
        })
    }

    fn write(&mut self, prefix: Prefix, said: Said) -> Result<(), Error> {
        let own_not_after = nanoseconds(said.not_after);
        let rule = PrefixRule {
            not_after: self.latest(prefix, own_not_after),
            own_not_after,
            hits: 0,
            bits: prefix.bits().into(),
            mark: self.marked(prefix, said.mark),
            own_mark: said.mark,
            spare: 0,
        };
        let before = self.written.get(&prefix);
        if before == Some(&rule) {
            return Ok(());
        }
        let hits = if before.is_some() { self.hits(prefix)? } else { 0 };
        let counted = PrefixRule { hits, ..rule };
        self.trie
            .update(PrefixKey::from(prefix).as_bytes(), counted.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("write {prefix} to the {} list", self.list)))?;
        self.written.insert(prefix, rule);
        Ok(())
    }

    fn erase(&mut self, prefix: Prefix) -> Result<bool, Error> {
        if !self.written.contains_key(&prefix) {
            return Ok(false);
        }
        self.trie
            .delete(PrefixKey::from(prefix).as_bytes())
            .map_err(Error::bpf(format!("remove {prefix} from the {} list", self.list)))?;
        self.written.remove(&prefix);
        Ok(true)
    }

    fn mend(&mut self, prefix: Prefix) -> Result<(), Error> {
        match self.written.get(&prefix) {
            Some(rule) => {
                let said = Said { not_after: until(rule.own_not_after), mark: rule.own_mark };
                self.write(prefix, said)
            }
            None => Ok(()),
        }
    }

    fn mend_inside(&mut self, prefix: Prefix) -> Result<(), Error> {
        let inside: Vec<Prefix> = self.inside(prefix).collect();
        inside.into_iter().try_for_each(|inside| self.mend(inside))
    }

    /// The rules of `prefix` and of networks in it.
    fn inside(&self, prefix: Prefix) -> impl Iterator<Item = Prefix> {
        // In order of address and then length, so what lies inside follows.
        let from = self.written.range(prefix..).map(|(&other, _)| other);
        from.take_while(move |other| prefix.covers(other))
    }

    /// The rules of networks around `prefix`.
    fn around(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &PrefixRule)> {
        (0..prefix.bits()).filter_map(move |bits| {
            let around = Prefix::new(prefix.address(), bits).ok()?;
            self.written.get(&around).map(|rule| (around, rule))
        })
    }

    /// Words of the bitmap that a network touches.
    fn words_of(prefix: Prefix) -> Range<usize> {
        match prefix.address() {
            IpAddr::V4(address) => {
                let first = (address.to_bits() >> (32 - NETWORK_BITS_OF_WORD)) as usize;
                first..first + (1usize << NETWORK_BITS_OF_WORD.saturating_sub(prefix.bits()))
            }
            IpAddr::V6(_) => 0..0,
        }
    }

    /// What a network sets in each of its words.
    fn bits_of(prefix: Prefix) -> u64 {
        let IpAddr::V4(address) = prefix.address() else { return 0 };
        match 24u8.saturating_sub(prefix.bits()) {
            0 => 1 << (address.to_bits() >> 8 & 63),
            wide @ 1..=5 => ((1 << (1 << wide)) - 1) << (address.to_bits() >> 8 & 63),
            6.. => u64::MAX,
        }
    }

    /// Makes the words of `prefix` right. Always after the trie, so that a rule is never hidden.
    fn mend_bits(&mut self, prefix: Prefix) -> Result<(), Error> {
        let words = Self::words_of(prefix);
        // Whole words are written, so it is about all who have a bit in them.
        let bits = prefix.bits().min(NETWORK_BITS_OF_WORD);
        let Ok(whole) = Prefix::new(prefix.address(), bits) else { return Ok(()) };
        let mut wanted = vec![0u64; words.len()];
        for prefix in self.inside(whole).chain(self.around(whole).map(|(around, _)| around)) {
            let touched = Self::words_of(prefix);
            let begin = touched.start.max(words.start);
            for word in begin..touched.end.min(words.end) {
                wanted[word - words.start] |= Self::bits_of(prefix);
            }
        }
        let changed: Vec<(u32, u64)> = words
            .zip(wanted)
            .filter(|&(word, bits)| self.bits[word] != bits)
            .map(|(word, bits)| (word as u32, bits))
            .collect();
        self.write_words(&changed)
    }

    fn read_bits(&mut self) -> Result<(), Error> {
        let words = self
            .near
            .lookup_batch(8192, MapFlags::ANY, MapFlags::ANY)
            .map_err(Error::bpf(format!("read the bitmap of the {} list", self.list)))?;
        for (word, bits) in words {
            let word = u32::read_from_bytes(&word).map_or(usize::MAX, |word| word as usize);
            let bits = u64::read_from_bytes(&bits);
            if let (Some(place), Ok(bits)) = (self.bits.get_mut(word), bits) {
                *place = bits;
            }
        }
        Ok(())
    }

    fn write_words(&mut self, changed: &[(u32, u64)]) -> Result<(), Error> {
        for changed in changed.chunks(4096) {
            let (words, values): (Vec<u32>, Vec<u64>) = changed.iter().copied().unzip();
            self.near
                .update_batch(
                    words.as_bytes(),
                    values.as_bytes(),
                    words.len() as u32,
                    MapFlags::ANY,
                    MapFlags::ANY,
                )
                .map_err(Error::bpf(format!("write the bitmap of the {} list", self.list)))?;
            for &(word, bits) in changed {
                self.bits[word as usize] = bits;
            }
        }
        Ok(())
    }
}
