//! Single addresses, those denied and the regulars: flat tables in the kernel, written from here alone.
//!
//! An address has a first and a second bucket of fifteen slots by its keyed hash. It goes to the first
//! while that has [`CROWDED`] or less; a crowded bucket spills into emptier ones, and counts what it
//! spilled, because only then need a frame look there. With that, random addresses up to the
//! capacity of the table find a place, and few buckets spill.
//!
//! An entry is written before its tag and erased after it, so that a frame in between sees the old or
//! the new, never a half. One bucket never holds one tag twice (`bpf/table.h` stops at the first).

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use siphasher::sip::SipHasher13;
use zerocopy::IntoBytes;

use crate::Error;
use crate::abi::{ADDRESS_SLOTS, ADDRESSES_PER_BUCKET, AddressBucket, AddressEntry};
use crate::maps::{Instant, nanoseconds, open_map, until};

pub(crate) struct Addresses {
    list: &'static str,
    buckets: MapHandle,
    entries: MapHandle,
    key: [u64; 2],
    /// What the kernel's buckets hold: no system call is needed to miss.
    tags: Vec<AddressBucket>,
    live: u32,
}

/// Tags in a bucket from which on the second one is tried.
const CROWDED: usize = 12;

/// What is said of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its last moment; `None` is for good.
    pub(crate) not_after: Option<Instant>,
    /// `None`: as it is; the driver counts there.
    pub(crate) count: Option<u32>,
}

/// Where an entry lies, and which bucket its address begins at.
#[derive(Clone, Copy)]
struct Place {
    first: u32,
    bucket: u32,
    slot: usize,
}

impl Place {
    fn entry(self) -> u32 {
        self.bucket * ADDRESS_SLOTS as u32 + self.slot as u32
    }

    fn is_spilled(self) -> bool {
        self.bucket != self.first
    }
}

impl Addresses {
    /// Opens the pinned table of that list and reads its tags.
    pub(crate) fn open(pins: &Path, list: &'static str, key: [u64; 2]) -> Result<Self, Error> {
        let buckets = open_map(pins, &format!("{list}_buckets"))?;
        let entries = open_map(pins, &format!("{list}_entries"))?;
        let mut tags = vec![AddressBucket::default(); buckets.max_entries() as usize];
        for (index, bucket) in (0u32..).zip(&mut tags) {
            buckets
                .lookup_into(index.as_bytes(), bucket.as_mut_bytes(), MapFlags::ANY)
                .map_err(Error::bpf(format!("read the {list} table")))?;
        }
        let live = tags.iter().flat_map(|bucket| bucket.tags).filter(|&tag| tag != 0).count();
        Ok(Self { list, buckets, entries, key, tags, live: live as u32 })
    }

    /// About half the slots, so that both buckets of an address are practically never full.
    pub(crate) fn capacity(&self) -> u32 {
        self.tags.len() as u32 * ADDRESSES_PER_BUCKET
    }

    /// Every address with its end and its count, in no order.
    pub(crate) fn list(&self) -> Result<Vec<(IpAddr, Option<Instant>, u32)>, Error> {
        let mut list = Vec::with_capacity(self.live as usize);
        for (bucket, tags) in (0u32..).zip(&self.tags) {
            for slot in (0..ADDRESS_SLOTS).filter(|&slot| tags.tags[slot] != 0) {
                let entry = self.entry(Place { first: bucket, bucket, slot })?;
                if let Some(address) = entry.source.address() {
                    list.push((address, until(entry.not_after), entry.count));
                }
            }
        }
        Ok(list)
    }

    /// Of one address its count.
    pub(crate) fn count(&self, address: IpAddr) -> Result<Option<u32>, Error> {
        let found = self.find(address, source_hash(self.key, address))?;
        Ok(found.map(|(_, entry)| entry.count))
    }

    /// Enters `address` or changes what is said of it. `false`: it stood there just so.
    pub(crate) fn set(&mut self, address: IpAddr, said: Said) -> Result<bool, Error> {
        let hash = source_hash(self.key, address);
        let not_after = nanoseconds(said.not_after);
        let mut entry =
            AddressEntry { source: address.into(), count: said.count.unwrap_or(0), not_after };
        if let Some((place, old)) = self.find(address, hash)? {
            entry.count = said.count.unwrap_or(old.count);
            if (old.not_after, old.count) == (not_after, entry.count) {
                return Ok(false);
            }
            self.write_entry(place, &entry)?;
            return Ok(true);
        }
        let full = Error::Full { list: self.list, capacity: self.capacity() };
        if self.live >= self.capacity() {
            return Err(full);
        }
        let place = self.free_place(hash).ok_or(full)?;
        self.write_entry(place, &entry)?;
        // Counted before and after, never between: a crash leaves a look too many, not one too few.
        if place.is_spilled() {
            self.count_spilled(place.first, 1)?;
        }
        self.write_tag(place, tag(hash))?;
        self.live += 1;
        Ok(true)
    }

    /// Takes `address` out. `false`: it was not there.
    pub(crate) fn remove(&mut self, address: IpAddr) -> Result<bool, Error> {
        let Some((place, _)) = self.find(address, source_hash(self.key, address))? else {
            return Ok(false);
        };
        self.write_tag(place, 0)?;
        if place.is_spilled() {
            self.count_spilled(place.first, -1)?;
        }
        self.write_entry(place, &AddressEntry::default())?;
        self.live -= 1;
        Ok(true)
    }

    /// Makes the table hold `wanted`, touching only what differs. Returns addresses added or changed,
    /// and removed.
    pub(crate) fn replace(
        &mut self,
        wanted: &HashMap<IpAddr, Said>,
    ) -> Result<(usize, usize), Error> {
        if wanted.len() > self.capacity() as usize {
            return Err(Error::Full { list: self.list, capacity: self.capacity() });
        }
        let mut removed = 0;
        for (address, ..) in self.list()? {
            if !wanted.contains_key(&address) {
                removed += usize::from(self.remove(address)?);
            }
        }
        let mut changed = 0;
        for (&address, &said) in wanted {
            changed += usize::from(self.set(address, said)?);
        }
        Ok((changed, removed))
    }

    fn find(&self, address: IpAddr, hash: u64) -> Result<Option<(Place, AddressEntry)>, Error> {
        let [first, second] = buckets(hash, self.tags.len() as u32);
        for bucket in [first, second] {
            let tags = &self.tags[bucket as usize].tags;
            if let Some(slot) = tags.iter().position(|&found| found == tag(hash)) {
                let place = Place { first, bucket, slot };
                let entry = self.entry(place)?;
                if entry.source == address.into() {
                    return Ok(Some((place, entry)));
                }
            }
        }
        Ok(None)
    }

    fn free_place(&self, hash: u64) -> Option<Place> {
        let [first, second] = buckets(hash, self.tags.len() as u32);
        let used =
            |bucket: u32| self.tags[bucket as usize].tags.iter().filter(|&&tag| tag != 0).count();
        let order = if used(first) < CROWDED || used(first) <= used(second) {
            [first, second]
        } else {
            [second, first]
        };
        order.into_iter().find_map(|bucket| {
            let tags = &self.tags[bucket as usize].tags;
            let slot = tags.iter().position(|&found| found == 0)?;
            (!tags.contains(&tag(hash))).then_some(Place { first, bucket, slot })
        })
    }

    fn entry(&self, place: Place) -> Result<AddressEntry, Error> {
        let mut entry = AddressEntry::default();
        self.entries
            .lookup_into(place.entry().as_bytes(), entry.as_mut_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("read the {} table", self.list)))?;
        Ok(entry)
    }

    fn write_entry(&self, place: Place, entry: &AddressEntry) -> Result<(), Error> {
        self.entries
            .update(place.entry().as_bytes(), entry.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("write the {} table", self.list)))
    }

    fn write_tag(&mut self, place: Place, tag: u32) -> Result<(), Error> {
        let mut bucket = self.tags[place.bucket as usize];
        bucket.tags[place.slot] = tag;
        self.write_bucket(place.bucket, bucket)
    }

    fn count_spilled(&mut self, first: u32, more: i32) -> Result<(), Error> {
        let mut bucket = self.tags[first as usize];
        bucket.spilled = bucket.spilled.saturating_add_signed(more);
        self.write_bucket(first, bucket)
    }

    fn write_bucket(&mut self, index: u32, bucket: AddressBucket) -> Result<(), Error> {
        self.buckets
            .update(index.as_bytes(), bucket.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("write the {} table", self.list)))?;
        self.tags[index as usize] = bucket;
        Ok(())
    }
}

/// `source_hash` of `source.h`.
pub(crate) fn source_hash(key: [u64; 2], address: IpAddr) -> u64 {
    let hasher = SipHasher13::new_with_keys(key[0], key[1]);
    match address {
        IpAddr::V4(v4) => hasher.hash(&v4.octets()),
        IpAddr::V6(v6) => hasher.hash(&v6.octets()),
    }
}

/// The first and the second bucket of so many, a power of two.
pub(crate) fn buckets(hash: u64, count: u32) -> [u32; 2] {
    let mask = count - 1;
    [hash as u32 & mask, (hash >> 32) as u32 & mask]
}

/// What a bucket keeps of the hash; never 0, which is a free slot.
pub(crate) fn tag(hash: u64) -> u32 {
    (hash as u32 ^ (hash >> 32) as u32).max(1)
}
