//! Sections: consecutive numbers of one length, and which of many sections holds a number.
//!
//! No section of a table overlaps another, so a number has one section or none, and a look-up is one step in an ordered
//! map, however many there are.

use std::collections::BTreeMap;
use std::fmt;

use crate::Number;

/// All numbers from a first to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    first: Number,
    last: Number,
}

/// Why two numbers are no section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionFault {
    /// One of them is not of digits alone.
    NoDigits,
    /// They are not of one length: what lies between them is not said.
    Lengths,
    /// The last one is before the first.
    Backwards,
}

impl fmt::Display for SectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDigits => "a section is of numbers of digits alone",
            Self::Lengths => "first and last number have as many digits",
            Self::Backwards => "the last number is before the first",
        })
    }
}

impl std::error::Error for SectionFault {}

impl Section {
    /// From `first` to `last`, both in it.
    ///
    /// # Errors
    /// When there is no such section.
    pub fn new(first: Number, last: Number) -> Result<Self, SectionFault> {
        let is_digits = |number: &Number| number.as_bytes().iter().all(u8::is_ascii_digit);
        if !is_digits(&first) || !is_digits(&last) {
            return Err(SectionFault::NoDigits);
        }
        if first.as_bytes().len() != last.as_bytes().len() {
            return Err(SectionFault::Lengths);
        }
        if last < first { Err(SectionFault::Backwards) } else { Ok(Self { first, last }) }
    }

    /// Its first number.
    #[must_use]
    pub fn first(&self) -> Number {
        self.first
    }

    /// Its last number.
    #[must_use]
    pub fn last(&self) -> Number {
        self.last
    }

    fn key(&self) -> (usize, Number) {
        key(&self.first)
    }
}

/// `FIRST-LAST`, or the one number that it is.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first.as_str())?;
        if self.last == self.first { Ok(()) } else { write!(f, "-{}", self.last.as_str()) }
    }
}

/// Numbers of one length in their order, so that those of a section follow each other.
fn key(number: &Number) -> (usize, Number) {
    (number.as_bytes().len(), *number)
}

/// Sections, each with what belongs to it.
#[derive(Clone, Debug)]
pub struct Sections<T>(BTreeMap<(usize, Number), (Section, T)>);

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Sections<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The section that holds a number.
    #[must_use]
    pub fn of(&self, number: &Number) -> Option<(&Section, &T)> {
        let section = Section { first: *number, last: *number };
        self.overlapping(&section)
    }

    /// One that has numbers in common with this one; of several that of the highest numbers.
    #[must_use]
    pub fn overlapping(&self, section: &Section) -> Option<(&Section, &T)> {
        let (length, _) = section.key();
        let (_, (found, value)) = self.0.range((length, MIN)..=key(&section.last)).next_back()?;
        (found.last >= section.first).then_some((found, value))
    }

    /// Puts a section in, in place of the same one.
    ///
    /// # Errors
    /// Another one that it overlaps; nothing is changed then.
    pub fn put(&mut self, section: Section, value: T) -> Result<(), Section> {
        match self.overlapping(&section) {
            Some((other, _)) if *other != section => Err(*other),
            _ => {
                self.0.insert(section.key(), (section, value));
                Ok(())
            }
        }
    }

    /// Takes a section out.
    pub fn remove(&mut self, section: &Section) -> Option<T> {
        let (found, _) = self.0.get(&section.key())?;
        if found != section {
            return None;
        }
        self.0.remove(&section.key()).map(|(_, value)| value)
    }
}

/// Before every number.
const MIN: Number = Number::NONE;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text.as_bytes()).unwrap()
    }

    fn section(first: &str, last: &str) -> Section {
        Section::new(number(first), number(last)).unwrap()
    }

    #[test]
    fn both_ends_are_in_it_and_their_neighbours_are_not() {
        let mut sections = Sections::default();
        sections.put(section("390200", "390299"), "milan").unwrap();
        sections.put(section("390300", "390300"), "one").unwrap();
        let of = |text: &str| sections.of(&number(text)).map(|(_, owner)| *owner);
        for (text, owner) in [
            ("390200", Some("milan")),
            ("390250", Some("milan")),
            ("390299", Some("milan")),
            ("390199", None),
            ("390300", Some("one")),
            ("390301", None),
            ("39025", None),
            ("3902500", None),
            ("a", None),
        ] {
            assert_eq!(of(text), owner, "{text}");
        }
    }

    #[test]
    fn a_section_goes_upwards_in_digits_of_one_length() {
        let fault =
            |first: &str, last: &str| Section::new(number(first), number(last)).unwrap_err();
        assert_eq!(fault("1", "22"), SectionFault::Lengths);
        assert_eq!(fault("22", "21"), SectionFault::Backwards);
        assert_eq!(fault("2a", "2b"), SectionFault::NoDigits);
        assert_eq!(section("100", "199").to_string(), "100-199");
        assert_eq!(section("100", "100").to_string(), "100");
    }

    #[test]
    fn what_overlaps_is_refused_and_the_same_is_replaced() {
        let mut sections = Sections::default();
        sections.put(section("100", "199"), 1).unwrap();
        for (first, last) in [("150", "150"), ("050", "100"), ("199", "250"), ("000", "999")] {
            assert_eq!(sections.put(section(first, last), 2), Err(section("100", "199")));
        }
        sections.put(section("100", "199"), 3).unwrap();
        sections.put(section("200", "299"), 4).unwrap();
        assert_eq!(sections.remove(&section("100", "150")), None);
        assert_eq!(sections.remove(&section("100", "199")), Some(3));
        assert_eq!((sections.of(&number("150")), sections.len()), (None, 1));
    }

    proptest! {
        #[test]
        fn a_number_has_the_section_that_one_finds_by_looking_through_all(
            wanted in prop::collection::vec((0_u32..1_000, 0_u32..60), 0..40),
            asked in prop::collection::vec(0_u32..1_100, 0..40),
        ) {
            let mut sections = Sections::default();
            let mut all: Vec<(u32, u32)> = Vec::new();
            for (first, more) in wanted {
                let last = (first + more).min(999);
                let overlaps = all.iter().any(|&(from, to)| first <= to && from <= last);
                let put = sections.put(section(&format!("{first:03}"), &format!("{last:03}")), first);
                let is_same = all.contains(&(first, last));
                prop_assert_eq!(put.is_ok(), !overlaps || is_same);
                if put.is_ok() && !is_same {
                    all.push((first, last));
                }
            }
            for one in asked {
                let of = sections.of(&number(&format!("{one:03}"))).map(|(_, first)| *first);
                let by_all = all.iter().find(|(from, to)| (*from..=*to).contains(&one));
                prop_assert_eq!(of, by_all.map(|(first, _)| *first));
            }
        }
    }
}
