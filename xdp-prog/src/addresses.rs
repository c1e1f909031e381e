//! Single addresses, those denied and the regulars: flat tables in the kernel, written from here alone.
//!
//! An address has a first and a second bucket of seven slots by its keyed hash. It goes to the first that has
//! room; where neither has, one of theirs moves to its own other bucket. With that, random addresses up to the
//! capacity of the table find a place. A bucket counts what it spilled, because only then need a frame look
//! there, and few do.
//!
//! An IPv4 address without an end is its tag and no more. Of all others the entry decides: it is written before
//! the tag and erased after it, so that a frame in between sees the old or the new, never a half. One bucket
//! never holds one tag twice (`bpf/table.h` takes it for the only one).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use siphasher::sip::SipHasher13;
use zerocopy::{FromBytes, IntoBytes};

use crate::Error;
use crate::abi::{ADDRESS_SLOTS, ADDRESSES_PER_BUCKET, AddressBucket, AddressEntry, Source};
use crate::maps::{Instant, nanoseconds, open_map, until};

pub(crate) struct Addresses {
    list: &'static str,
    kernel: MapHandle,
    entries: MapHandle,
    key: [u64; 2],
    /// What the kernel's buckets hold, but for the counts: no system call is needed to miss.
    buckets: Vec<AddressBucket>,
    live: u32,
}

/// How many addresses may have to move so that one finds a place.
const MOVES: usize = 4;

/// What is said of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its last moment; `None` is for good.
    pub(crate) not_after: Option<Instant>,
    /// `None`: as it is; the driver counts there.
    pub(crate) count: Option<u32>,
}

/// Where an address lies.
#[derive(Clone, Copy)]
struct Place {
    bucket: u32,
    slot: usize,
}

impl Addresses {
    /// Opens the pinned table of that list and reads its buckets.
    pub(crate) fn open(pins: &Path, list: &'static str, key: [u64; 2]) -> Result<Self, Error> {
        let kernel = open_map(pins, &format!("{list}_buckets"))?;
        let entries = open_map(pins, &format!("{list}_entries"))?;
        let buckets = vec![AddressBucket::default(); kernel.max_entries() as usize];
        let mut opened = Self { list, kernel, entries, key, buckets, live: 0 };
        opened.read_buckets()?;
        Ok(opened)
    }

    /// Many by one system call: there are a quarter of a million of them.
    fn read_buckets(&mut self) -> Result<(), Error> {
        const AT_ONCE: u32 = 4096;
        let read = self
            .kernel
            .lookup_batch(AT_ONCE, MapFlags::ANY, MapFlags::ANY)
            .map_err(Error::bpf(format!("read the {} table", self.list)))?;
        let mut rows = 0;
        for (index, bucket) in read {
            rows += 1;
            let index = u32::read_from_bytes(&index).map_or(usize::MAX, |index| index as usize);
            let bucket = AddressBucket::read_from_bytes(&bucket).unwrap_or_default();
            if let Some(place) = self.buckets.get_mut(index) {
                self.live += bucket.tags.iter().filter(|&&tag| tag != 0).count() as u32;
                *place = bucket;
            }
        }
        // What the kernel breaks off half way ends like the whole.
        match rows == self.buckets.len() {
            true => Ok(()),
            false => {
                let what = format!("{rows} of {} buckets were read", self.buckets.len());
                Err(Error::os(format!("read the {} table", self.list))(std::io::Error::other(what)))
            }
        }
    }

    /// About half the slots, so that a place is practically always found.
    pub(crate) fn capacity(&self) -> u32 {
        self.buckets.len() as u32 * ADDRESSES_PER_BUCKET
    }

    /// Every address with its end, in no order.
    pub(crate) fn list(&self) -> Result<Vec<(IpAddr, Option<Instant>)>, Error> {
        let mut list = Vec::with_capacity(self.live as usize);
        for (bucket, held) in (0u32..).zip(&self.buckets) {
            for slot in (0..ADDRESS_SLOTS).filter(|&slot| held.tags[slot] != 0) {
                list.extend(self.resident(Place { bucket, slot })?);
            }
        }
        Ok(list)
    }

    /// Of one address its count.
    pub(crate) fn count(&self, address: IpAddr) -> Result<Option<u32>, Error> {
        let Some((place, _)) = self.find(address)? else { return Ok(None) };
        Ok(Some(self.read_bucket(place.bucket)?.counts[place.slot]))
    }

    /// Enters `address` or changes what is said of it. `false`: it stood there just so.
    pub(crate) fn set(&mut self, address: IpAddr, said: Said) -> Result<bool, Error> {
        if let Some((place, end)) = self.find(address)? {
            return self.change(address, place, end, said);
        }
        let full = Error::Full { list: self.list, capacity: self.capacity() };
        if self.live >= self.capacity() {
            return Err(full);
        }
        let hash = source_hash(self.key, address);
        let Some(place) = self.free_place(address, hash, &[])? else { return Err(full) };
        self.enter(address, hash, place, said)?;
        Ok(true)
    }

    /// Takes `address` out. `false`: it was not there.
    pub(crate) fn remove(&mut self, address: IpAddr) -> Result<bool, Error> {
        let mut removed = false;
        // Whoever died while an address moved left it in two places.
        while let Some((place, _)) = self.find(address)? {
            self.leave(source_hash(self.key, address), place)?;
            removed = true;
        }
        Ok(removed)
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
        for (address, _) in self.list()? {
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

    /// Where `address` lies, and when it ends.
    fn find(&self, address: IpAddr) -> Result<Option<(Place, Option<Instant>)>, Error> {
        let hash = source_hash(self.key, address);
        for bucket in buckets(hash, self.buckets.len() as u32) {
            let tags = &self.buckets[bucket as usize].tags;
            if let Some(slot) = tags.iter().position(|&found| found == tag(address, hash)) {
                let place = Place { bucket, slot };
                if let Some((found, end)) = self.resident(place)?
                    && found == address
                {
                    return Ok(Some((place, end)));
                }
            }
        }
        Ok(None)
    }

    /// Who lies there, and until when. `None`: what stands there is no address.
    fn resident(&self, place: Place) -> Result<Option<(IpAddr, Option<Instant>)>, Error> {
        let bucket = &self.buckets[place.bucket as usize];
        if !bucket.is_looked(place.slot) {
            let octets = bucket.tags[place.slot].to_ne_bytes();
            return Ok(Some((Ipv4Addr::from(octets).into(), None)));
        }
        let mut entry = AddressEntry::default();
        self.entries
            .lookup_into(entry_of(place).as_bytes(), entry.as_mut_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("read the {} table", self.list)))?;
        Ok(entry.source.address().map(|address| (address, until(entry.not_after))))
    }

    /// A free slot in one of the two buckets, made by moving others if need be. Those in `relieved` are just being
    /// made room in: who came there now would take the place of the one that moves away.
    fn free_place(
        &mut self,
        address: IpAddr,
        hash: u64,
        relieved: &[u32],
    ) -> Result<Option<Place>, Error> {
        let tag = tag(address, hash);
        let both = buckets(hash, self.buckets.len() as u32);
        let may_hold = |at: &u32| !self.buckets[*at as usize].tags.contains(&tag);
        let both = both.into_iter().filter(|at| may_hold(at) && !relieved.contains(at));
        let both: Vec<u32> = both.collect();
        let free = |table: &Self, bucket: u32| {
            let slot = table.buckets[bucket as usize].tags.iter().position(|&tag| tag == 0)?;
            Some(Place { bucket, slot })
        };
        if let Some(place) = both.iter().find_map(|&bucket| free(self, bucket)) {
            return Ok(Some(place));
        }
        if relieved.len() == MOVES {
            return Ok(None);
        }
        for bucket in both {
            let relieved = [relieved, &[bucket]].concat();
            for slot in 0..ADDRESS_SLOTS {
                if self.move_away(Place { bucket, slot }, &relieved)? {
                    return Ok(Some(Place { bucket, slot }));
                }
            }
        }
        Ok(None)
    }

    /// Moves who lies there, in its first bucket, to its second. It stands in both before it leaves this one, so
    /// a frame that looks at one after the other meets it; on the way back it might miss it.
    fn move_away(&mut self, from: Place, relieved: &[u32]) -> Result<bool, Error> {
        let Some((address, not_after)) = self.resident(from)? else { return Ok(false) };
        let hash = source_hash(self.key, address);
        let [first, _] = buckets(hash, self.buckets.len() as u32);
        if from.bucket != first {
            return Ok(false);
        }
        // This bucket holds its tag, so what is found is in the other one.
        let Some(to) = self.free_place(address, hash, relieved)? else { return Ok(false) };
        let count = Some(self.read_bucket(from.bucket)?.counts[from.slot]);
        self.enter(address, hash, to, Said { not_after, count })?;
        self.leave(hash, from)?;
        Ok(true)
    }

    fn enter(&mut self, address: IpAddr, hash: u64, at: Place, said: Said) -> Result<(), Error> {
        let looked = is_looked(address, said.not_after);
        if looked {
            self.write_entry(at, address.into(), said.not_after)?;
            // Before the tag, so that nobody takes the tag for the whole.
            self.edit_bucket(at.bucket, |bucket| bucket.set_looked(at.slot, true))?;
        }
        // Counted before and after, never between: a crash leaves a look too many, not one too few.
        self.count_spilled(hash, at, 1)?;
        self.edit_bucket(at.bucket, |bucket| {
            bucket.counts[at.slot] = said.count.unwrap_or(0);
            bucket.set_looked(at.slot, looked);
            bucket.tags[at.slot] = tag(address, hash);
        })?;
        self.live += 1;
        Ok(())
    }

    fn leave(&mut self, hash: u64, from: Place) -> Result<(), Error> {
        let looked = self.buckets[from.bucket as usize].is_looked(from.slot);
        self.edit_bucket(from.bucket, |bucket| bucket.tags[from.slot] = 0)?;
        self.count_spilled(hash, from, -1)?;
        if looked {
            self.erase_entry(from)?;
        }
        self.live -= 1;
        Ok(())
    }

    fn change(
        &mut self,
        address: IpAddr,
        place: Place,
        end: Option<Instant>,
        said: Said,
    ) -> Result<bool, Error> {
        let looked = is_looked(address, said.not_after);
        let counted = match said.count {
            Some(count) => count != self.read_bucket(place.bucket)?.counts[place.slot],
            None => false,
        };
        if looked && said.not_after != end {
            self.write_entry(place, address.into(), said.not_after)?;
        }
        if counted || looked != self.buckets[place.bucket as usize].is_looked(place.slot) {
            self.edit_bucket(place.bucket, |bucket| {
                bucket.set_looked(place.slot, looked);
                bucket.counts[place.slot] = said.count.unwrap_or(bucket.counts[place.slot]);
            })?;
        }
        Ok(counted || said.not_after != end)
    }

    fn count_spilled(&mut self, hash: u64, place: Place, more: i32) -> Result<(), Error> {
        let [first, _] = buckets(hash, self.buckets.len() as u32);
        if place.bucket == first {
            return Ok(());
        }
        self.edit_bucket(first, |bucket| {
            bucket.spilled = bucket.spilled.saturating_add_signed(more);
        })
    }

    fn write_entry(
        &self,
        place: Place,
        source: Source,
        not_after: Option<Instant>,
    ) -> Result<(), Error> {
        let entry = AddressEntry { source, spare: 0, not_after: nanoseconds(not_after) };
        self.put_entry(place, &entry)
    }

    fn erase_entry(&self, place: Place) -> Result<(), Error> {
        self.put_entry(place, &AddressEntry::default())
    }

    fn put_entry(&self, place: Place, entry: &AddressEntry) -> Result<(), Error> {
        self.entries
            .update(entry_of(place).as_bytes(), entry.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("write the {} table", self.list)))
    }

    fn read_bucket(&self, index: u32) -> Result<AddressBucket, Error> {
        let mut bucket = AddressBucket::default();
        self.kernel
            .lookup_into(index.as_bytes(), bucket.as_mut_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("read the {} table", self.list)))?;
        Ok(bucket)
    }

    /// Read anew each time, because the driver counts in it: of what it counts between, nothing else is lost.
    fn edit_bucket(
        &mut self,
        index: u32,
        edit: impl FnOnce(&mut AddressBucket),
    ) -> Result<(), Error> {
        let mut bucket = self.read_bucket(index)?;
        edit(&mut bucket);
        self.kernel
            .update(index.as_bytes(), bucket.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf(format!("write the {} table", self.list)))?;
        self.buckets[index as usize] = bucket;
        Ok(())
    }
}

/// The entry of a place.
fn entry_of(place: Place) -> u32 {
    place.bucket * ADDRESS_SLOTS as u32 + place.slot as u32
}

/// Whether the tag alone does not say it all. That of 0.0.0.0 is another address's.
pub(crate) fn is_looked(address: IpAddr, not_after: Option<Instant>) -> bool {
    not_after.is_some() || address.is_ipv6() || address.is_unspecified()
}

/// `source_hash` of `source.h`.
pub(crate) fn source_hash(key: [u64; 2], address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => {
            let words = (0u8..).zip(v4.octets()).map(|(place, byte)| word(key, place, byte));
            words.fold(0, |sum, word| sum ^ word)
        }
        IpAddr::V6(v6) => SipHasher13::new_with_keys(key[0], key[1]).hash(&v6.octets()),
    }
}

/// The words that the driver takes for the bytes of IPv4 addresses.
pub(crate) fn tabulation(key: [u64; 2]) -> Vec<u64> {
    (0..4).flat_map(|place| (0..=255).map(move |byte| word(key, place, byte))).collect()
}

fn word(key: [u64; 2], place: u8, byte: u8) -> u64 {
    SipHasher13::new_with_keys(key[0], key[1]).hash(&[place, byte])
}

/// The first and the second bucket of so many, a power of two.
pub(crate) fn buckets(hash: u64, count: u32) -> [u32; 2] {
    let mask = count - 1;
    [hash as u32 & mask, (hash >> 32) as u32 & mask]
}

/// What a bucket keeps of an address (`table_tag`); never 0, which is a free slot.
pub(crate) fn tag(address: IpAddr, hash: u64) -> u32 {
    let tag = match address {
        IpAddr::V4(v4) => u32::from_ne_bytes(v4.octets()),
        IpAddr::V6(_) => hash as u32 ^ (hash >> 32) as u32,
    };
    tag.max(1)
}
