//! The longest prefix of any number, a character at a time.
//!
//! Every node is a run of sorted edges in one array, so a look-up is one binary search per character in
//! memory that lies together. Nodes are numbered breadth first, so edge e leads to node e + 1 and needs
//! no more than its character.

use std::collections::VecDeque;

use super::Place;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Edges of node n are `edges[nodes[n].edges_from..nodes[n + 1].edges_from]`; the last node is the
    /// end of the one before.
    nodes: Vec<Node>,
    /// Characters.
    edges: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    edges_from: u32,
    /// Which prefix ends here.
    ends: Place,
}

impl Tree {
    /// Of sorted keys, none twice. Breadth first: a node is a range of keys that agree up to its depth.
    pub(super) fn build(keys: &[String]) -> Self {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        let mut level = VecDeque::from([(0, keys.len(), 0)]);
        while let Some((mut first, last, depth)) = level.pop_front() {
            let edges_from = edges.len() as u32;
            let byte = |index: usize| keys.get(index).and_then(|key| key.as_bytes().get(depth));
            let ends_here = first < last && byte(first).is_none();
            let ends = if ends_here { Place::of(first) } else { Place::NONE };
            nodes.push(Node { edges_from, ends });
            first += usize::from(ends_here);
            while first < last {
                let Some(&edge) = byte(first) else { break };
                let mut end = first + 1;
                while end < last && byte(end) == Some(&edge) {
                    end += 1;
                }
                edges.push(edge);
                level.push_back((first, end, depth + 1));
                first = end;
            }
        }
        nodes.push(Node { edges_from: edges.len() as u32, ends: Place::NONE });
        Self { nodes, edges }
    }

    /// The longest prefix of `number`.
    pub(super) fn longest(&self, number: &[u8]) -> Place {
        let mut node = 0;
        let mut best = self.ends(node);
        for byte in number {
            let Some(next) = self.step(node, *byte) else { break };
            node = next;
            let ends = self.ends(node);
            best = if ends == Place::NONE { best } else { ends };
        }
        best
    }

    fn step(&self, node: u32, byte: u8) -> Option<u32> {
        let first = self.nodes.get(node as usize)?.edges_from;
        let end = self.nodes.get(node as usize + 1)?.edges_from;
        let edges = self.edges.get(first as usize..end as usize)?;
        let place = edges.binary_search(&byte).ok()?;
        Some(first + place as u32 + 1)
    }

    fn ends(&self, node: u32) -> Place {
        self.nodes.get(node as usize).map_or(Place::NONE, |node| node.ends)
    }
}
