//! Longest prefix: built once, read for ever.
//!
//! Sorted prefixes stand in one array with what belongs to them. `tree.rs` finds the longest of any number, a
//! character at a time; `index.rs` that of a number of digits alone, two at a time and in a few lines of memory, with
//! what belongs to it, once there are enough prefixes to be worth it. Each prefix knows the next shorter one, so
//! whoever wants all that match walks up from the longest.

mod index;
mod tree;

use index::Index;
use tree::Tree;

/// From so many prefixes on there is an index: of fewer the tree lies in the cache anyway.
const INDEXED_FROM: usize = 200;

/// Prefixes with what belongs to them, which is small: whatever is not has its number here. Immutable; a change is a
/// new table.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    tree: Tree,
    index: Option<Index<T>>,
    /// By place: the order of the prefixes.
    values: Vec<T>,
    /// How long each prefix is, and which place has the next shorter one.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    length: u8,
    shorter: Place,
}

/// Which prefix, plus one; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const NONE: Self = Self(0);

    fn of(index: usize) -> Self {
        Self(u32::try_from(index + 1).expect("fewer prefixes than 2^32"))
    }

    fn index(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

impl<T: Copy + Default> Default for PrefixTable<T> {
    fn default() -> Self {
        Self::build([])
    }
}

impl<T: Copy + Default> PrefixTable<T> {
    /// A table of these prefixes, each of up to 255 bytes; longer ones match nothing. Of equal prefixes the last one
    /// counts. The empty prefix matches all.
    #[must_use]
    pub fn build(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut entries: Vec<(String, T)> = entries.into_iter().collect();
        entries.retain(|(key, _)| u8::try_from(key.len()).is_ok());
        // Stable: of equal prefixes the last stays last.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut keys: Vec<String> = Vec::with_capacity(entries.len());
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if keys.last() == Some(&key) {
                values.pop();
                keys.pop();
            }
            keys.push(key);
            values.push(value);
        }
        let links = links(&keys);
        let index = (keys.len() >= INDEXED_FROM).then(|| Index::build(&keys, &values));
        Self { tree: Tree::build(&keys), index, values, links }
    }

    /// The longest prefix of `number` and what belongs to it.
    #[must_use]
    pub fn longest(&self, number: &[u8]) -> Option<(usize, T)> {
        match self.index.as_ref().and_then(|index| index.longest(number)) {
            Some(answer) => answer.found(),
            None => self.at(self.tree.longest(number)),
        }
    }

    /// Every prefix of `number`, longest first.
    pub fn matching(&self, number: &[u8]) -> impl Iterator<Item = (usize, T)> {
        let indexed = self.index.as_ref().and_then(|index| index.longest(number));
        let longest = indexed.map_or_else(|| self.tree.longest(number), |answer| answer.place);
        let shorter = |place: &Place| self.links.get(place.index()?).map(|link| link.shorter);
        std::iter::successors(Some(longest), shorter).map_while(|place| self.at(place))
    }

    /// How many prefixes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Everything in the table, by prefix.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    fn at(&self, place: Place) -> Option<(usize, T)> {
        let index = place.index()?;
        Some((self.links.get(index)?.length.into(), *self.values.get(index)?))
    }
}

/// How long each is, and the next shorter one. Sorted keys that share a prefix stand behind it, so those that a key
/// lies behind are a stack.
fn links(keys: &[String]) -> Vec<Link> {
    let mut around: Vec<usize> = Vec::new();
    let mut links = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        let holds =
            |outer: &usize| keys.get(*outer).is_some_and(|outer| key.starts_with(outer.as_str()));
        while around.last().is_some_and(|outer| !holds(outer)) {
            around.pop();
        }
        let shorter = around.last().map_or(Place::NONE, |outer| Place::of(*outer));
        links.push(Link { length: key.len() as u8, shorter });
        around.push(index);
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<'p>(prefixes: &[&'p str]) -> PrefixTable<&'p str> {
        PrefixTable::build(prefixes.iter().map(|prefix| ((*prefix).to_owned(), *prefix)))
    }

    #[test]
    fn the_longest_prefix_wins_and_the_empty_one_matches_all() {
        let table = table(&["44", "4420", "1", "", "1212"]);
        let longest = |number: &str| table.longest(number.as_bytes()).map(|(_, found)| found);
        assert_eq!(longest("442071"), Some("4420"));
        assert_eq!(longest("441130"), Some("44"));
        assert_eq!(longest("12125"), Some("1212"));
        assert_eq!(longest("999"), Some(""));
        let all: Vec<_> = table.matching(b"4420").map(|(length, _)| length).collect();
        assert_eq!(all, [4, 2, 0]);
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        for table in [PrefixTable::<u32>::default(), PrefixTable::build([])] {
            assert!(table.longest(b"44").is_none());
            assert_eq!(table.matching(b"44").count(), 0);
        }
    }

    #[test]
    fn of_equal_prefixes_the_last_counts() {
        let table = PrefixTable::build([("44".to_owned(), 1), ("44".to_owned(), 2)]);
        assert_eq!(table.longest(b"44"), Some((2, 2)));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn what_is_longer_than_any_number_matches_nothing() {
        let long = "4".repeat(256);
        let table = table(&["4", &long]);
        assert_eq!(table.longest("4".repeat(300).as_bytes()).map(|(length, _)| length), Some(1));
    }

    /// Both ways to find: few prefixes have no index, and many have one.
    fn agrees(prefixes: &[String], numbers: &[String]) {
        let names: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let table = table(&names);
        for number in numbers {
            let matches = names.iter().filter(|prefix| number.starts_with(**prefix));
            let mut model: Vec<usize> = matches.map(|prefix| prefix.len()).collect();
            model.sort_unstable_by(|one, other| other.cmp(one));
            model.dedup();
            assert_eq!(
                table.longest(number.as_bytes()),
                model.first().map(|length| (*length, &number[..*length])),
                "{number}"
            );
            let all: Vec<usize> =
                table.matching(number.as_bytes()).map(|(length, _)| length).collect();
            assert_eq!(all, model, "{number}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_table_agrees_with_a_look_at_every_prefix(
            prefixes in proptest::collection::vec("[0-9a-c#*]{0,6}", 0..40),
            numbers in proptest::collection::vec("[0-9a-c#*]{0,9}", 0..20),
        ) {
            agrees(&prefixes, &numbers);
        }

        #[test]
        fn a_large_table_agrees_too(
            digits in proptest::collection::vec("[0-3]{0,9}|[0-9]{0,4}|[0-9]{7}", 0..1_500),
            others in proptest::collection::vec("[0-2a#]{0,6}", 0..20),
            numbers in proptest::collection::vec("[0-3]{0,11}|[0-9]{0,32}|[0-2a#]{0,9}", 0..60),
        ) {
            let prefixes: Vec<String> = digits.into_iter().chain(others).collect();
            agrees(&prefixes, &numbers);
        }
    }
}
