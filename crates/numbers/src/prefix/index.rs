//! The longest prefix of a number of digits, in a few lines of memory whatever the size of the table.
//!
//! The first digits of a number are a place in a plain array. Below it each node is one line of memory and takes
//! two digits, or one and the end of the number: one bit says which of these pairs lead on, another where the answer
//! changes along those that do not, and counting bits tells where it stands. Neighbours with the same answer share one.

use std::collections::VecDeque;
use std::ops::Range;

use super::Place;

/// After the digits: the number is over, or goes on with something else.
const END: usize = 10;
/// Pairs of a digit and a digit or the end.
const PAIRS: usize = 10 * (END + 1);

/// See the head of this file. It knows the prefixes of digits alone.
#[derive(Clone, Debug)]
pub(super) struct Index<T> {
    head_digits: usize,
    /// By the first digits.
    heads: Vec<Head>,
    nodes: Vec<Node>,
    answers: Vec<Answer<T>>,
    /// There are prefixes that are not of digits alone.
    is_partial: bool,
}

/// What the first digits lead to.
#[derive(Clone, Copy, Debug)]
enum Head {
    Answer(u32),
    Node(u32),
}

/// The longest prefix of a number, whole: whoever has it need not look anywhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<T> {
    pub(super) place: Place,
    length: u8,
    value: T,
}

impl<T: Copy> Answer<T> {
    /// How long it is, and what belongs to it; `None`: there is none.
    pub(super) fn found(&self) -> Option<(usize, T)> {
        (self.place != Place::NONE).then_some((self.length.into(), self.value))
    }
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Node {
    /// Pairs that lead on, to nodes that stand together.
    leads: Pairs,
    /// Pairs from which on another answer holds.
    turns: Pairs,
    nodes_from: u32,
    answers_from: u32,
}

/// A bit for each pair.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    words: [u64; 2],
    /// Bits of the first word that are set.
    low: u32,
}

impl Pairs {
    fn set(&mut self, pair: usize) {
        let word = &mut self.words[pair / 64];
        *word |= 1 << (pair % 64);
        self.low = self.words[0].count_ones();
    }

    fn has(&self, pair: usize) -> bool {
        (self.words[(pair / 64) & 1] >> (pair % 64)) & 1 == 1
    }

    /// How many are set up to this one, itself included.
    fn up_to(&self, pair: usize) -> u32 {
        let word = (pair / 64) & 1;
        let bits = self.words[word] & (u64::MAX >> (63 - pair % 64));
        self.low * word as u32 + bits.count_ones()
    }
}

const _: () = assert!(size_of::<Node>() == 64);

impl<T: Copy + Default> Index<T> {
    /// Of sorted keys, none twice, and what belongs to them.
    pub(super) fn build(keys: &[String], values: &[T]) -> Self {
        let is_digits = |key: &&[u8]| key.iter().all(u8::is_ascii_digit);
        let answers = values.iter().zip(keys).enumerate().map(|(index, (value, key))| Answer {
            place: Place::of(index),
            length: key.len() as u8,
            value: *value,
        });
        let entries = keys.iter().map(String::as_bytes).zip(answers);
        let entries: Vec<(&[u8], Answer<T>)> = entries.filter(|(key, _)| is_digits(key)).collect();
        let mut builder = Builder { entries: &entries, waiting: VecDeque::new(), nodes: 0 };
        let head_digits = match entries.len() {
            ..2_000 => 2,
            2_000..20_000 => 3,
            20_000..200_000 => 4,
            _ => 5,
        };
        let mut index = Self {
            head_digits,
            heads: Vec::with_capacity(10_usize.pow(head_digits as u32)),
            nodes: Vec::new(),
            answers: Vec::new(),
            is_partial: entries.len() < keys.len(),
        };
        let none = Answer { place: Place::NONE, length: 0, value: T::default() };
        builder.head(&mut index, 0..entries.len(), 0, none);
        while let Some(below) = builder.waiting.pop_front() {
            let node = builder.node(&mut index.answers, below);
            index.nodes.push(node);
        }
        index
    }

    /// The longest prefix of `number`; `None`: the tree has to say, since it is short, or not of digits alone.
    pub(super) fn longest(&self, number: &[u8]) -> Option<&Answer<T>> {
        if self.is_partial && !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (first, mut rest) = number.split_at_checked(self.head_digits)?;
        let mut place = 0;
        for byte in first {
            let digit = symbol(*byte);
            if digit == END {
                return None;
            }
            place = place * 10 + digit;
        }
        let mut node = match self.heads.get(place)? {
            Head::Answer(answer) => return self.answers.get(*answer as usize),
            Head::Node(node) => *node,
        };
        loop {
            let Node { leads, turns, nodes_from, answers_from } = self.nodes.get(node as usize)?;
            let (pair, behind) = match rest {
                [first, second, behind @ ..] => (pair(symbol(*first), symbol(*second)), behind),
                [first] => (pair(symbol(*first), END), &[][..]),
                [] => (PAIRS, &[][..]),
            };
            if !leads.has(pair) {
                let answer = answers_from + turns.up_to(pair) - 1;
                return self.answers.get(answer as usize);
            }
            node = nodes_from + leads.up_to(pair) - 1;
            rest = behind;
        }
    }
}

/// A digit, or the end of them.
#[inline]
fn symbol(byte: u8) -> usize {
    usize::from(byte.wrapping_sub(b'0')).min(END)
}

/// Behind what is no digit nothing counts.
#[inline]
fn pair(first: usize, second: usize) -> usize {
    if first == END { PAIRS } else { first * (END + 1) + second }
}

struct Builder<'k, T> {
    /// Keys of digits alone, sorted.
    entries: &'k [(&'k [u8], Answer<T>)],
    /// Nodes that were promised, in their order.
    waiting: VecDeque<Below<T>>,
    nodes: u32,
}

/// What a node is made of: keys that agree up to a depth and go on, and what holds where none does.
struct Below<T> {
    keys: Range<usize>,
    depth: usize,
    answer: Answer<T>,
}

impl<T: Copy + Default> Builder<'_, T> {
    /// All heads that begin with what these keys begin with, in order.
    fn head(&mut self, index: &mut Index<T>, keys: Range<usize>, depth: usize, answer: Answer<T>) {
        let (keys, answer) = self.ends(keys, depth, answer);
        if depth < index.head_digits {
            for digit in 0..10 {
                self.head(index, self.with(&keys, depth, digit), depth + 1, answer);
            }
        } else if keys.is_empty() {
            if index.answers.last().is_none_or(|last| last.place != answer.place) {
                index.answers.push(answer);
            }
            index.heads.push(Head::Answer(index.answers.len() as u32 - 1));
        } else {
            let node = self.promise(Below { keys, depth, answer });
            index.heads.push(Head::Node(node));
        }
    }

    fn node(&mut self, answers: &mut Vec<Answer<T>>, below: Below<T>) -> Node {
        let Below { keys, depth, answer } = below;
        let (nodes_from, answers_from) = (self.nodes, answers.len() as u32);
        let mut node =
            Node { leads: Pairs::default(), turns: Pairs::default(), nodes_from, answers_from };
        let mut last = None;
        let mut answers_with = |node: &mut Node, pair: usize, answer: Answer<T>| {
            if last.replace(answer.place) != Some(answer.place) {
                node.turns.set(pair);
                answers.push(answer);
            }
        };
        for digit in 0..10 {
            let (inner, answer) = self.ends(self.with(&keys, depth, digit), depth + 1, answer);
            for second in 0..END {
                let pair = digit * (END + 1) + second;
                let keys = self.with(&inner, depth + 1, second);
                let (keys, answer) = self.ends(keys, depth + 2, answer);
                if keys.is_empty() {
                    answers_with(&mut node, pair, answer);
                } else {
                    node.leads.set(pair);
                    self.promise(Below { keys, depth: depth + 2, answer });
                }
            }
            answers_with(&mut node, digit * (END + 1) + END, answer);
        }
        answers_with(&mut node, PAIRS, answer);
        node
    }

    /// The number of a node that is made later.
    fn promise(&mut self, below: Below<T>) -> u32 {
        self.waiting.push_back(below);
        self.nodes += 1;
        self.nodes - 1
    }

    /// Without the key that ends at this depth, which is the answer from there on.
    fn ends(
        &self,
        keys: Range<usize>,
        depth: usize,
        answer: Answer<T>,
    ) -> (Range<usize>, Answer<T>) {
        match self.entries.get(keys.start).filter(|_| !keys.is_empty()) {
            Some((key, own)) if key.len() == depth => (keys.start + 1..keys.end, *own),
            _ => (keys, answer),
        }
    }

    /// Those of the keys that go on with a digit.
    fn with(&self, keys: &Range<usize>, depth: usize, digit: usize) -> Range<usize> {
        let digit = b'0' + digit as u8;
        let all = self.entries.get(keys.clone()).unwrap_or_default();
        let up_to = |wanted: u8| {
            all.partition_point(|(key, _)| key.get(depth).is_some_and(|&it| it < wanted))
        };
        keys.start + up_to(digit)..keys.start + up_to(digit + 1)
    }
}
