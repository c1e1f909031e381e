//! Signs of an attack that one refusal alone does not show.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::WallUs;
use crate::suspend::{Consequence, Kind, Suspension};
use crate::table::micros;

/// An endpoint that is suspended from one source so often is being worked at.
const STUBBORN_OFFENCES: u32 = 3;
/// So many sources suspended within [`TOGETHER`] are one attacker.
const TOGETHER_SOURCES: usize = 20;
const TOGETHER: Duration = Duration::from_secs(60);

/// What an attack looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One source, many endpoints.
    Scan,
    /// One source, endpoints with numbers one after the other.
    Harvest,
    /// One source, one endpoint, again and again.
    Persistent,
    /// Many sources at once.
    Distributed,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 4] = [Self::Scan, Self::Harvest, Self::Persistent, Self::Distributed];

    /// The name of its alarm.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "attack_scan",
            Self::Harvest => "attack_harvest",
            Self::Persistent => "attack_persistent",
            Self::Distributed => "attack_distributed",
        }
    }
}

/// Sees patterns in what follows from failures.
#[derive(Debug, Default)]
pub struct Watch {
    /// Sources of which something was suspended in the last minute, each once.
    recent: VecDeque<(WallUs, IpAddr)>,
}

impl Watch {
    /// What a consequence is a sign of.
    pub fn handle_consequence(
        &mut self,
        at_us: WallUs,
        consequence: &Consequence,
    ) -> impl Iterator<Item = Pattern> {
        let (Consequence::Suspended(it) | Consequence::Denied(it) | Consequence::Spared(it)) =
            consequence;
        let alone = match it.scope.kind() {
            Kind::Sweep if it.in_sequence => Some(Pattern::Harvest),
            Kind::Sweep => Some(Pattern::Scan),
            Kind::Pair if it.offences >= STUBBORN_OFFENCES => Some(Pattern::Persistent),
            Kind::Pair | Kind::Endpoint | Kind::Source | Kind::Account => None,
        };
        let together = self.joins_many(at_us, it).then_some(Pattern::Distributed);
        alone.into_iter().chain(together)
    }

    fn joins_many(&mut self, at_us: WallUs, suspension: &Suspension) -> bool {
        let Some(source) = suspension.scope.source() else { return false };
        let begin_us = at_us.saturating_sub(micros(TOGETHER));
        self.recent.retain(|(when_us, other)| *when_us > begin_us && *other != source);
        self.recent.push_back((at_us, source));
        if self.recent.len() > TOGETHER_SOURCES {
            self.recent.pop_front();
        }
        self.recent.len() >= TOGETHER_SOURCES
    }
}
