//! Longest prefix: a flattened trie, built once, read for ever.
//!
//! Every node is a run of sorted edges in one array, so a look-up is one binary search per digit in
//! memory that lies together, and a table of a million prefixes is three allocations. Nodes are
//! numbered breadth first, so edge e leads to node e + 1 and needs no more than its character.

/// Prefixes with what belongs to them. Immutable; a change is a new table.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    /// Edges of node n are `edges[nodes[n].edges_from..nodes[n + 1].edges_from]`; the last node is the
    /// end of the one before.
    nodes: Vec<Node>,
    /// Characters.
    edges: Vec<u8>,
    values: Vec<T>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    edges_from: u32,
    /// Which value ends here, plus one; 0: none.
    ends: u32,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::default(); 2], edges: Vec::new(), values: Vec::new() }
    }
}

impl<T> PrefixTable<T> {
    /// A table of these prefixes. Of equal prefixes the last one counts. The empty prefix matches all.
    #[must_use]
    pub fn build(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut entries: Vec<(String, T)> = entries.into_iter().collect();
        // Stable: of equal prefixes the last stays last.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut table = Self::default();
        let mut keys: Vec<String> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if keys.last() == Some(&key) {
                table.values.pop();
                keys.pop();
            }
            keys.push(key);
            table.values.push(value);
        }
        table.nodes.clear();
        table.flatten(&keys);
        table
    }

    /// Breadth first: a node is a range of sorted keys that agree up to its depth.
    fn flatten(&mut self, keys: &[String]) {
        let mut level = std::collections::VecDeque::from([(0, keys.len(), 0)]);
        while let Some((mut first, last, depth)) = level.pop_front() {
            let edges_from = self.edges.len() as u32;
            let byte = |index: usize| keys.get(index).and_then(|key| key.as_bytes().get(depth));
            let ends_here = first < last && byte(first).is_none();
            let ends = if ends_here { first as u32 + 1 } else { 0 };
            self.nodes.push(Node { edges_from, ends });
            first += usize::from(ends_here);
            while first < last {
                let Some(&edge) = byte(first) else { break };
                let mut end = first + 1;
                while end < last && byte(end) == Some(&edge) {
                    end += 1;
                }
                self.edges.push(edge);
                level.push_back((first, end, depth + 1));
                first = end;
            }
        }
        self.nodes.push(Node { edges_from: self.edges.len() as u32, ends: 0 });
    }

    fn step(&self, node: u32, byte: u8) -> Option<u32> {
        let first = self.nodes.get(node as usize)?.edges_from;
        let end = self.nodes.get(node as usize + 1)?.edges_from;
        let edges = self.edges.get(first as usize..end as usize)?;
        let place = edges.binary_search(&byte).ok()?;
        Some(first + place as u32 + 1)
    }

    fn value(&self, node: u32) -> Option<&T> {
        let ends = self.nodes.get(node as usize)?.ends;
        self.values.get(ends.checked_sub(1)? as usize)
    }

    /// The longest prefix of `number` and what belongs to it.
    #[must_use]
    pub fn longest(&self, number: &[u8]) -> Option<(usize, &T)> {
        let mut node = 0;
        let mut best = self.value(node).map(|value| (0, value));
        for (index, byte) in number.iter().enumerate() {
            let Some(next) = self.step(node, *byte) else { break };
            node = next;
            if let Some(value) = self.value(node) {
                best = Some((index + 1, value));
            }
        }
        best
    }

    /// Every prefix of `number`, shortest first.
    pub fn all<'a>(&'a self, number: &'a [u8]) -> impl Iterator<Item = (usize, &'a T)> {
        let mut node = Some(0);
        (0..=number.len())
            .map_while(move |length| {
                if let Some(byte) = length.checked_sub(1).and_then(|index| number.get(index)) {
                    node = node.and_then(|node| self.step(node, *byte));
                }
                node.map(|node| (length, self.value(node)))
            })
            .filter_map(|(length, value)| value.map(|value| (length, value)))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(prefixes: &[&str]) -> PrefixTable<String> {
        PrefixTable::build(
            prefixes.iter().map(|prefix| ((*prefix).to_owned(), (*prefix).to_owned())),
        )
    }

    #[test]
    fn the_longest_prefix_wins_and_the_empty_one_matches_all() {
        let table = table(&["44", "4420", "1", "", "1212"]);
        let longest =
            |number: &str| table.longest(number.as_bytes()).map(|(_, found)| found.clone());
        assert_eq!(longest("442071").as_deref(), Some("4420"));
        assert_eq!(longest("441130").as_deref(), Some("44"));
        assert_eq!(longest("12125").as_deref(), Some("1212"));
        assert_eq!(longest("999").as_deref(), Some(""));
        let all: Vec<_> = table.all(b"4420").map(|(length, _)| length).collect();
        assert_eq!(all, [0, 2, 4]);
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        let table = PrefixTable::<u32>::default();
        assert!(table.longest(b"44").is_none());
        let table = PrefixTable::<u32>::build([]);
        assert!(table.longest(b"44").is_none());
        assert_eq!(table.all(b"44").count(), 0);
    }

    #[test]
    fn of_equal_prefixes_the_last_counts() {
        let table = PrefixTable::build([("44".to_owned(), 1), ("44".to_owned(), 2)]);
        assert_eq!(table.longest(b"44"), Some((2, &2)));
        assert_eq!(table.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn a_table_agrees_with_a_look_at_every_prefix(
            prefixes in proptest::collection::vec("[0-9a-c#*]{0,6}", 0..40),
            number in "[0-9a-c#*]{0,9}",
        ) {
            let names: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let table = table(&names);
            let model = names.iter().filter(|p| number.starts_with(**p)).map(|p| p.len()).max();
            proptest::prop_assert_eq!(table.longest(number.as_bytes()).map(|(length, _)| length), model);
            let mut all: Vec<usize> =
                names.iter().filter(|p| number.starts_with(**p)).map(|p| p.len()).collect();
            all.sort_unstable();
            all.dedup();
            let found: Vec<usize> = table.all(number.as_bytes()).map(|(length, _)| length).collect();
            proptest::prop_assert_eq!(found, all);
        }
    }
}
