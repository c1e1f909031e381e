//! What a simulated peer saw: how often it met what, and what must not be.

use std::collections::BTreeMap;

/// One peer's evidence.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Names of what it met, and how often.
    pub seen: BTreeMap<&'static str, u32>,
    /// What must never be.
    pub wrongs: Vec<String>,
    /// What must not be where nobody died and nothing was lost.
    pub doubts: Vec<String>,
    /// Final responses by request: branch, then status and To.
    finals: BTreeMap<String, (u16, String)>,
}

impl Witness {
    pub(super) fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.wrongs.push(what);
    }

    pub(super) fn doubt(&mut self, what: String) {
        self.doubts.push(what);
    }

    /// A final response to a request of ours: each has one (RFC 3261 §17), however often it comes. A fresh
    /// dataplane may know nothing of what its predecessor said.
    pub(super) fn note_final(&mut self, request: &str, code: u16, to: &str) {
        let said = (code, to.to_owned());
        let first = self.finals.entry(request.to_owned()).or_insert_with(|| said.clone());
        if *first != said {
            let text = format!("{request} has two finals: {first:?} and {said:?}");
            self.doubt(text);
        }
    }

    /// Takes over what another has seen.
    pub(super) fn take(&mut self, other: &mut Self) {
        for (what, count) in std::mem::take(&mut other.seen) {
            *self.seen.entry(what).or_default() += count;
        }
        self.wrongs.append(&mut other.wrongs);
        self.doubts.append(&mut other.doubts);
    }
}
