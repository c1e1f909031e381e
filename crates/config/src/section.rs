//! Reading one table of the file: each key is taken once, what is left over at the end is unknown.
//!
//! A mistake is noted and the default stands in for the value, so that one reading finds them all.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::{Table, Value};

use crate::Error;

/// What a reading found out besides the values.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Error>,
    /// Every key that was asked for, without the numbers of repeated tables.
    pub(crate) keys: Vec<String>,
}

impl Findings {
    pub(crate) fn invalid(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.errors.push(Error::Invalid { key: key.into(), why: why.into() });
    }
}

/// One table.
pub(crate) struct Section<'a> {
    /// Its place in the file; empty for the file itself.
    path: String,
    table: Table,
    known: Vec<&'static str>,
    findings: &'a mut Findings,
}

impl<'a> Section<'a> {
    pub(crate) fn new(path: String, table: Table, findings: &'a mut Findings) -> Self {
        Self { path, table, known: Vec::new(), findings }
    }

    /// The path of one of its keys.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn invalid(&mut self, key: &str, why: impl Into<String>) {
        self.findings.invalid(self.key(key), why);
    }

    pub(crate) fn missing(&mut self, key: &str, example: &'static str) {
        self.findings.errors.push(Error::Missing { key: self.key(key), example });
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.mistyped(key, "a text in quotes", &other),
        }
    }

    /// An absolute path, which does not depend on where a daemon was started.
    pub(crate) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key)?);
        if !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
            self.invalid(key, format!("{path:?} is no absolute path; begin it with /"));
        }
        Some(path)
    }

    /// A whole number in `range`, which lies in what `T` holds.
    pub(crate) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let value = self.take(key)?;
        self.number_of(key, &value, range)
    }

    /// A power of two in `range`.
    pub(crate) fn power_of_two(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        default: u32,
    ) -> u32 {
        let Some(number) = self.number::<u32>(key, range) else { return default };
        if !number.is_power_of_two() {
            let below = number.next_power_of_two() / 2;
            let why = format!("{number} is no power of two; write {below} or {}", below * 2);
            self.invalid(key, why);
        }
        number
    }

    pub(crate) fn numbers<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<Vec<T>> {
        match self.take(key)? {
            Value::Array(values) => {
                values.iter().map(|value| self.number_of(key, value, range.clone())).collect()
            }
            other => self.mistyped(key, "a list of whole numbers", &other),
        }
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let value = self.take(key)?;
        match value.as_array().and_then(|values| values.iter().map(text).collect()) {
            Some(texts) => Some(texts),
            None => self.mistyped(key, "a list of texts in quotes", &value),
        }
    }

    pub(crate) fn truth(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)? {
            Value::Boolean(truth) => Some(truth),
            other => self.mistyped(key, "true or false", &other),
        }
    }

    /// One of the words that have a meaning.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let found = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == found);
        if chosen.is_none() {
            let choices = choices.iter().map(|(word, _)| *word).collect();
            self.findings.errors.push(Error::Choice { key: self.key(key), found, choices });
        }
        chosen.map(|(_, meaning)| *meaning)
    }

    /// A table inside this one; an empty one if it is not there, so that its defaults hold.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.mistyped::<()>(key, "a table, written as [name]", &other);
                Table::new()
            }
        };
        self.read(self.key(key), table, read)
    }

    /// The tables of a repeated section.
    pub(crate) fn sections<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let values = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.mistyped::<()>(key, "repeated tables, written as [[name]]", &other);
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            match value {
                Value::Table(table) => {
                    tables.push(self.read(format!("{}[{index}]", self.key(key)), table, &mut read));
                }
                other => {
                    self.mistyped::<()>(key, "repeated tables, written as [[name]]", &other);
                }
            }
        }
        tables
    }

    /// Everything was taken that has a meaning: what is left has none.
    pub(crate) fn finish(self) {
        for key in self.table.keys() {
            let nearest = nearest(key, &self.known).map(|known| self.key(known));
            let key = self.key(key);
            self.findings.errors.push(Error::Unknown { key, nearest });
        }
    }

    fn read<T>(
        &mut self,
        path: String,
        table: Table,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section::new(path, table, self.findings);
        let value = read(&mut section);
        section.finish();
        value
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        let place = self.key(key);
        let plain = place.split('[').map(|part| part.split_once(']').map_or(part, |it| it.1));
        self.findings.keys.push(plain.collect());
        self.table.remove(key)
    }

    fn number_of<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        value: &Value,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let Value::Integer(found) = *value else {
            return self.mistyped(key, "a whole number", value);
        };
        let number = T::try_from(found).ok().filter(|_| range.contains(&found));
        if number.is_none() {
            let (smallest, largest) = range.into_inner();
            let key = self.key(key);
            self.findings.errors.push(Error::Range { key, found, smallest, largest });
        }
        number
    }

    fn mistyped<T>(&mut self, key: &str, wanted: &'static str, found: &Value) -> Option<T> {
        let found = match found {
            Value::String(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        };
        self.findings.errors.push(Error::Type { key: self.key(key), wanted, found });
        None
    }
}

/// The known key that differs least, if it does not differ by more than a slip of the hand.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distances = known.iter().map(|known| (distance(key, known), *known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + known.len() / 4).then_some(known)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A key as long as this is no slip of the hand, and the work stays bounded.
    for (i, letter) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_key_and_another_word_does_not() {
        let known = ["workers", "spin_us", "frame_bytes", "frames_per_worker"];
        assert_eq!(nearest("worker", &known), Some("workers"));
        assert_eq!(nearest("frames_bytes", &known), Some("frame_bytes"));
        assert_eq!(nearest("hugepages", &known), None);
        assert_eq!(nearest(&"x".repeat(100_000), &known), None);
    }
}
