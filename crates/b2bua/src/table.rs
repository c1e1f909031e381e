//! A fixed hash table from 128-bit keyed hashes to small numbers.
//!
//! Strangers choose the input, so the key is a SipHash under a secret: they can neither aim at a
//! slot nor make two inputs meet. Open addressing at half load, removal by backward shift: no
//! tombstones, so a table that once was full is as fast as a new one.

/// A keyed hash of what is looked up. 0 does not occur (one in 2^128).
pub(crate) type Key = u128;

/// A key, as bytes so that an entry has no gaps, and what it stands for.
type Entry = ([u8; 16], u32);

const EMPTY: Entry = ([0; 16], 0);
const _: () = assert!(size_of::<Entry>() == 20);

/// See the head of this file.
pub(crate) struct Table {
    entries: Box<[Entry]>,
    mask: usize,
}

impl Table {
    /// Room for `capacity` entries; the owner of the table keeps to it.
    pub(crate) fn new(capacity: u32) -> Self {
        let places = (capacity as usize).max(4).saturating_mul(2).next_power_of_two();
        Self { entries: vec![EMPTY; places].into_boxed_slice(), mask: places - 1 }
    }

    fn home(&self, key: Key) -> usize {
        key as usize & self.mask
    }

    fn position(&self, key: Key) -> Option<usize> {
        let (mut place, key) = (self.home(key), key.to_ne_bytes());
        while self.entries[place].0 != EMPTY.0 {
            if self.entries[place].0 == key {
                return Some(place);
            }
            place = (place + 1) & self.mask;
        }
        None
    }

    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.position(key).map(|place| self.entries[place].1)
    }

    /// Adds or replaces.
    pub(crate) fn insert(&mut self, key: Key, value: u32) {
        let (mut place, key) = (self.home(key), key.to_ne_bytes());
        while self.entries[place].0 != EMPTY.0 && self.entries[place].0 != key {
            place = (place + 1) & self.mask;
        }
        self.entries[place] = (key, value);
    }

    /// Removes `key` if it still stands for `value`.
    pub(crate) fn remove(&mut self, key: Key, value: u32) {
        let Some(mut hole) = self.position(key).filter(|&place| self.entries[place].1 == value)
        else {
            return;
        };
        let mut place = hole;
        loop {
            place = (place + 1) & self.mask;
            let entry = self.entries[place];
            if entry.0 == EMPTY.0 {
                break;
            }
            // An entry may fill the hole unless its home lies after the hole on its way.
            let distance = place.wrapping_sub(self.home(Key::from_ne_bytes(entry.0))) & self.mask;
            if distance >= (place.wrapping_sub(hole) & self.mask) {
                self.entries[hole] = entry;
                hole = place;
            }
        }
        self.entries[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_table_agrees_with_a_model_even_when_all_keys_collide(
            operations in prop::collection::vec((any::<bool>(), 1_u128..20, 0_u32..3), 1..300)
        ) {
            let mut table = Table::new(20);
            let mut model = BTreeMap::new();
            for (insert, key, value) in operations {
                // The low bits choose the place: these meet in four places at the table's end.
                let key = key << 64 | (60 + key % 4);
                if insert {
                    table.insert(key, value);
                    model.insert(key, value);
                } else {
                    table.remove(key, value);
                    if model.get(&key) == Some(&value) {
                        model.remove(&key);
                    }
                }
                for key in (1_u128..20).map(|key| key << 64 | (60 + key % 4)) {
                    prop_assert_eq!(table.find(key), model.get(&key).copied());
                }
            }
        }
    }
}
