//! The rates of a tariff by their keys, in chapters that copies share.
//!
//! Whoever builds a table, compares a sheet or reads rates holds them as they were, while the loop changes them. A million
//! rates are too many to be copied then: a copy shares all chapters, and a change copies the one that it is in.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use super::entity::RateRow;

/// Keys of a chapter begin with the same so many bytes; of the largest sheets some thousand do.
const HEAD_BYTES: usize = 4;

type Chapter = BTreeMap<String, RateRow>;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct RateRows {
    /// By what their keys begin with; none is empty.
    chapters: BTreeMap<[u8; HEAD_BYTES], Arc<Chapter>>,
    count: usize,
}

/// What a key begins with. Keys are in the same order as their heads, since no byte of them is 0.
fn head(key: &str) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head.iter_mut().zip(key.bytes()).for_each(|(place, byte)| *place = byte);
    head
}

impl RateRows {
    /// The rate of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RateRow> {
        self.chapters.get(&head(key))?.get(key)
    }

    /// Puts a rate in the place of the one that its key had.
    pub fn insert(&mut self, key: String, row: RateRow) {
        let chapter = Arc::make_mut(self.chapters.entry(head(&key)).or_default());
        self.count += usize::from(chapter.insert(key, row).is_none());
    }

    /// Takes a rate out.
    pub fn remove(&mut self, key: &str) -> Option<RateRow> {
        let head = head(key);
        let shared = self.chapters.get_mut(&head)?;
        // What is not there need not be looked for in a copy.
        shared.get(key)?;
        let chapter = Arc::make_mut(shared);
        let gone = chapter.remove(key);
        self.count -= usize::from(gone.is_some());
        if chapter.is_empty() {
            self.chapters.remove(&head);
        }
        gone
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them with their keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &RateRow)> {
        self.chapters.values().flat_map(|chapter| chapter.iter())
    }

    /// All of them, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &RateRow> {
        self.iter().map(|(_, row)| row)
    }

    /// Those from a key on, in order.
    pub fn from<'r>(
        &'r self,
        first: Bound<&str>,
    ) -> impl Iterator<Item = (&'r String, &'r RateRow)> + use<'r> {
        let key = match first {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => "",
        };
        let mut chapters = self.chapters.range(head(key)..).map(|(_, chapter)| chapter.as_ref());
        let in_first =
            chapters.next().map(|chapter| chapter.range::<str, _>((first, Bound::Unbounded)));
        in_first.into_iter().flatten().chain(chapters.flat_map(BTreeMap::iter))
    }
}

impl<'r> IntoIterator for &'r RateRows {
    type Item = (&'r String, &'r RateRow);
    type IntoIter = std::iter::FlatMap<
        btree_map::Values<'r, [u8; HEAD_BYTES], Arc<Chapter>>,
        btree_map::Iter<'r, String, RateRow>,
        fn(&'r Arc<Chapter>) -> btree_map::Iter<'r, String, RateRow>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.chapters.values().flat_map(|chapter| chapter.iter())
    }
}

impl Extend<(String, RateRow)> for RateRows {
    fn extend<T: IntoIterator<Item = (String, RateRow)>>(&mut self, rows: T) {
        rows.into_iter().for_each(|(key, row)| self.insert(key, row));
    }
}

impl FromIterator<(String, RateRow)> for RateRows {
    fn from_iter<T: IntoIterator<Item = (String, RateRow)>>(rows: T) -> Self {
        let mut all = Self::default();
        all.extend(rows);
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn row(rate: u32) -> RateRow {
        serde_json::from_value(json!({"prefix": "", "rate": format!("0.{rate:02}")})).unwrap()
    }

    fn told<'r>(rows: impl Iterator<Item = (&'r String, &'r RateRow)>) -> Vec<(String, RateRow)> {
        rows.map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    #[test]
    fn a_change_copies_the_chapter_that_it_is_in_and_no_other() {
        let key = |number: u32| format!("{number}");
        let mut rows: RateRows = (10_000..30_000).map(|number| (key(number), row(1))).collect();
        let before = rows.clone();
        rows.insert("12345".into(), row(2));
        assert_eq!((&before.get("12345"), &rows.get("12345")), (&Some(&row(1)), &Some(&row(2))));
        let is_shared = |(one, other): (&Arc<Chapter>, &Arc<Chapter>)| Arc::ptr_eq(one, other);
        let chapters = before.chapters.values().zip(rows.chapters.values());
        assert_eq!(chapters.filter(|both| !is_shared(*both)).count(), 1);
        assert_eq!((before.chapters.len(), rows.len()), (2_000, 20_000));
    }

    proptest! {
        #[test]
        fn rows_are_those_of_a_plain_map_and_a_copy_stays_as_it_was(
            steps in prop::collection::vec(("[1-3]{0,6}|[1-3é]{2,5}|1111;[a-c]", 0..4_u32, any::<bool>()), 0..60),
            from in "[1-3é]{0,6}",
        ) {
            let (mut rows, mut model) = (RateRows::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (key, rate, copied) in steps {
                if copied {
                    copies.push((rows.clone(), model.clone()));
                }
                if rate == 0 {
                    prop_assert_eq!(rows.remove(&key), model.remove(&key));
                } else {
                    rows.insert(key.clone(), row(rate));
                    model.insert(key, row(rate));
                }
            }
            copies.push((rows, model));
            for (rows, model) in &copies {
                prop_assert_eq!(rows.len(), model.len());
                prop_assert_eq!(rows.is_empty(), model.is_empty());
                prop_assert_eq!(told(rows.iter()), told(model.iter()));
                prop_assert_eq!(told(rows.into_iter()), told(model.iter()));
                prop_assert_eq!(rows.get(&from), model.get(&from));
                for bound in [Bound::Unbounded, Bound::Included(&*from), Bound::Excluded(&*from)] {
                    let behind = model.range::<str, _>((bound, Bound::Unbounded));
                    prop_assert_eq!(told(rows.from(bound)), told(behind));
                }
            }
        }
    }
}
