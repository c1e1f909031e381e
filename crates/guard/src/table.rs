//! What is remembered of each scope, and what must go when there is no room.
//!
//! ```text
//!            failure                    limit                  time over             a day of peace
//!  unknown ──────────▶ counting ──────────────────▶ suspended ──────────▶ remembered ─────────────▶ unknown
//!              ▲          │ success, or quiet for its window      ▲            │
//!              └──────────┘                                       └── limit ───┘ lasts twice as long
//! ```
//!
//! Withstands an attacker with many addresses: what is merely remembered goes before what is counted,
//! and that before what is suspended; within each, what would be forgotten first.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::WallUs;
use crate::suspend::{Rule, Scope, Suspension};

/// How long an offence makes the next suspension longer.
const MEMORY: Duration = Duration::from_secs(86_400);
/// Marks of one scope; no rule counts further.
const MARKS_MAX: usize = 1_000;

/// What a scope is to us; what goes first stands first.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Remembered,
    Counting,
    Suspended,
}

/// One scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// What counts against it and when that was, oldest first.
    marks: VecDeque<(u64, WallUs)>,
    pub(crate) since_us: WallUs,
    /// Of the last suspension; 0: there was none.
    pub(crate) until_us: WallUs,
    /// What led to it.
    pub(crate) failures: u32,
    /// Whether the marks that led to it were numbers one after the other.
    pub(crate) in_sequence: bool,
    /// Suspensions so far that are remembered.
    pub(crate) offences: u32,
    window_us: u64,
    /// Where it stands in the order.
    place: (Stage, WallUs),
}

impl Entry {
    /// One that was decided before.
    pub(crate) fn suspended(by: &Suspension) -> Self {
        let Suspension { since_us, until_us, failures, offences, in_sequence, .. } = *by;
        Self { since_us, until_us, failures, offences, in_sequence, ..Self::default() }
    }

    pub(crate) fn is_suspended(&self, at_us: WallUs) -> bool {
        at_us < self.until_us
    }

    fn stage(&self, at_us: WallUs) -> Stage {
        match (self.is_suspended(at_us), self.marks.is_empty()) {
            (true, _) => Stage::Suspended,
            (false, false) => Stage::Counting,
            (false, true) => Stage::Remembered,
        }
    }

    /// When it enters the next stage by itself.
    fn due_us(&self, at_us: WallUs) -> WallUs {
        match self.stage(at_us) {
            Stage::Suspended => self.until_us,
            Stage::Counting => {
                let last_us = self.marks.back().map_or(at_us, |(_, at_us)| *at_us);
                last_us.saturating_add(self.window_us)
            }
            Stage::Remembered => self.until_us.saturating_add(micros(MEMORY)),
        }
    }
}

/// Scopes of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    entries: HashMap<Scope, Entry>,
    /// By stage, what goes first in front.
    order: [BTreeSet<(WallUs, Scope)>; 3],
    room: usize,
}

/// Whether most numbers are one more, or one less, than the one before.
fn is_sequence(marks: impl Iterator<Item = u64> + Clone) -> bool {
    let pairs = marks.clone().zip(marks.skip(1));
    let steps = pairs.clone().filter(|(one, next)| one.abs_diff(*next) == 1).count();
    steps >= 2 && steps * 2 > pairs.count()
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Table {
    pub(crate) fn new(room: usize) -> Self {
        Self { entries: HashMap::new(), order: Default::default(), room }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn find(&self, scope: &Scope) -> Option<&Entry> {
        self.entries.get(scope)
    }

    pub(crate) fn suspended(&self, at_us: WallUs) -> impl Iterator<Item = (&Scope, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| entry.is_suspended(at_us))
    }

    /// Counts `mark` against a scope, once however often it comes in its window. The entry, if that
    /// reaches the limit: it is suspended from now on.
    pub(crate) fn count(
        &mut self,
        at_us: WallUs,
        scope: &Scope,
        mark: u64,
        rule: &Rule,
        longest: Duration,
    ) -> Option<&Entry> {
        if rule.limit == 0 {
            return None;
        }
        let mut entry = self.take(scope);
        entry.window_us = micros(rule.window);
        let begin_us = at_us.saturating_sub(entry.window_us);
        entry.marks.retain(|(old, when_us)| *when_us > begin_us && *old != mark);
        entry.marks.push_back((mark, at_us));
        if entry.marks.len() > MARKS_MAX {
            entry.marks.pop_front();
        }
        let failures = u32::try_from(entry.marks.len()).unwrap_or(u32::MAX);
        let reached = failures >= rule.limit && !entry.is_suspended(at_us);
        if reached {
            let doubled = rule.time.saturating_mul(1 << entry.offences.min(16));
            let time = doubled.min(longest.max(rule.time));
            entry.in_sequence = is_sequence(entry.marks.iter().map(|(mark, _)| *mark));
            entry.marks.clear();
            entry.since_us = at_us;
            entry.until_us = at_us.saturating_add(micros(time));
            entry.failures = failures;
            entry.offences = entry.offences.saturating_add(1);
        }
        self.put(at_us, scope, entry);
        self.entries.get(scope).filter(|_| reached)
    }

    /// Takes back what is counted, not what was decided.
    pub(crate) fn forgive(&mut self, at_us: WallUs, scope: &Scope) {
        if self.entries.get(scope).is_none_or(|entry| entry.marks.is_empty()) {
            return;
        }
        let mut entry = self.take(scope);
        entry.marks.clear();
        if entry.until_us > 0 {
            self.put(at_us, scope, entry);
        }
    }

    /// Forgets a scope wholly. What it was, if it was suspended.
    pub(crate) fn forget(&mut self, at_us: WallUs, scope: &Scope) -> Option<Entry> {
        let known = self.entries.contains_key(scope);
        known.then(|| self.take(scope)).filter(|entry| entry.is_suspended(at_us))
    }

    /// A suspension from the store.
    pub(crate) fn restore(&mut self, at_us: WallUs, scope: &Scope, entry: Entry) {
        self.take(scope);
        self.put(at_us, scope, entry);
    }

    /// Moves everything on that is due. What is suspended no longer goes to `ended`.
    pub(crate) fn expire(&mut self, at_us: WallUs, mut ended: impl FnMut(&Scope)) {
        for stage in [Stage::Suspended, Stage::Counting, Stage::Remembered] {
            while let Some(scope) = self.first_due(stage, at_us) {
                let mut entry = self.take(&scope);
                match stage {
                    Stage::Suspended => ended(&scope),
                    Stage::Counting => entry.marks.clear(),
                    Stage::Remembered => continue,
                }
                if entry.until_us > 0 {
                    self.put(at_us, &scope, entry);
                }
            }
        }
    }

    fn first_due(&self, stage: Stage, at_us: WallUs) -> Option<Scope> {
        let (due_us, scope) = self.order[stage as usize].first()?;
        (*due_us <= at_us).then(|| scope.clone())
    }

    /// What is known of a scope, taken out; what is unknown begins here.
    fn take(&mut self, scope: &Scope) -> Entry {
        let Some(entry) = self.entries.remove(scope) else { return Entry::default() };
        let (stage, due_us) = entry.place;
        self.order[stage as usize].remove(&(due_us, scope.clone()));
        entry
    }

    fn put(&mut self, at_us: WallUs, scope: &Scope, mut entry: Entry) {
        if self.entries.len() >= self.room
            && let Some((_, first)) = self.order.iter_mut().find_map(BTreeSet::pop_first)
        {
            self.entries.remove(&first);
        }
        entry.place = (entry.stage(at_us), entry.due_us(at_us));
        let (stage, due_us) = entry.place;
        self.order[stage as usize].insert((due_us, scope.clone()));
        self.entries.insert(scope.clone(), entry);
    }
}
