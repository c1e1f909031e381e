//! What flows hold, for whoever checks that nothing outlives its call.

use crate::Table;

/// All zero once no port is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Port pairs that are open.
    pub pairs: u32,
    /// Ports that are settled.
    pub settled: u32,
    /// Pairs with keys or a transcoder.
    pub works: usize,
    /// Directions that are transcoded.
    pub transcoders: u64,
    /// Detectors of keys in tones.
    pub detectors: usize,
    /// Flows that are copied to whoever records, or at all open though their pair is not.
    pub flows: usize,
}

impl Table {
    /// What is held now. It looks at every port, and is for tests and for a box at rest.
    #[must_use]
    pub fn held(&self) -> Held {
        let [taken, returned] = self.transcoders();
        Held {
            pairs: self.open_pairs(),
            settled: self.settled_ports(),
            works: self.bench.works_taken(),
            transcoders: taken.saturating_sub(returned),
            detectors: self.detectors.taken(),
            flows: self.flows().filter(|flow| flow.open || flow.tapped || flow.settled).count(),
        }
    }
}
