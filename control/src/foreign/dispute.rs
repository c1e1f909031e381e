//! Where a vendor's records and ours differ: every call of either side is in one class.
//!
//! A call of ours near the ends of the time is a candidate for theirs and is missing nowhere: it may stand in the file
//! before or after this one. Calls of theirs outside of the time that are not ours are told as that.

use rating::Money;

use super::ForeignCall;
use super::pair::{Look, Pair, Tolerance, pair};

/// A call as we bought it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bought {
    /// The record.
    pub id: [u64; 2],
    /// The number that was sent, after the rules of the mapping.
    pub callee: Box<str>,
    /// Its start, µs since 1970 UTC.
    pub start_us: i64,
    /// How long, ms.
    pub duration_ms: u64,
    /// What it costs without tax.
    pub amount: Money,
}

/// What became of a call, or of two that are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Both tell the same.
    Matched,
    /// Theirs lasts longer.
    Longer,
    /// Theirs is shorter.
    Shorter,
    /// Theirs lasts as long and costs more.
    Dearer,
    /// Theirs lasts as long and costs less.
    Cheaper,
    /// They do not tell it.
    Missing,
    /// We do not know it.
    Extra,
    /// We do not know it, and it has neither a duration nor an amount.
    Unanswered,
    /// We do not know it, and it is not of this time.
    Outside,
}

impl Class {
    /// Every class, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Matched,
        Self::Longer,
        Self::Shorter,
        Self::Dearer,
        Self::Cheaper,
        Self::Missing,
        Self::Extra,
        Self::Unanswered,
        Self::Outside,
    ];

    /// The word of the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Longer => "longer",
            Self::Shorter => "shorter",
            Self::Dearer => "dearer",
            Self::Cheaper => "cheaper",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Unanswered => "unanswered",
            Self::Outside => "outside",
        }
    }
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time, µs since 1970 UTC: from.
    pub from_us: i64,
    /// The time: before.
    pub to_us: i64,
    /// How far apart calls may be that are one.
    pub tolerance: Tolerance,
    /// By how much amounts may differ.
    pub amount: Money,
}

/// Calls of one side, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub calls: u64,
    /// How long, ms.
    pub duration_ms: u64,
    /// What they cost, billionths.
    pub amount: i128,
}

impl Sum {
    fn add(&mut self, duration_ms: u64, amount: Option<Money>) {
        self.calls += 1;
        self.duration_ms = self.duration_ms.saturating_add(duration_ms);
        self.amount += amount.map_or(0, |it| i128::from(it.billionths()));
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            duration_ms: self.duration_ms.saturating_add(other.duration_ms),
            amount: self.amount + other.amount,
        }
    }
}

/// A call of either side, or of both: places in the lists that were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What became of it.
    pub class: Class,
    /// Ours.
    pub ours: Option<usize>,
    /// Theirs.
    pub theirs: Option<usize>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispute {
    /// Ours and theirs by class, in the order of [`Class::ALL`].
    pub sums: [(Sum, Sum); Class::ALL.len()],
    /// All that is not [`Class::Matched`], by time.
    pub differences: Vec<Difference>,
}

/// Compares a vendor's calls with ours.
#[must_use]
pub fn compare(ours: &[Bought], theirs: &[ForeignCall], terms: &Terms) -> Dispute {
    let our_looks: Vec<Look<'_>> = ours.iter().map(look_of_ours).collect();
    let their_looks: Vec<Look<'_>> = theirs.iter().map(look_of_theirs).collect();
    let pairs = pair(&our_looks, &their_looks, &terms.tolerance);
    drop((our_looks, their_looks));
    let mut judge = Judge { ours, theirs, terms, found: Dispute::default() };
    let mut is_paired = (vec![false; ours.len()], vec![false; theirs.len()]);
    for it in &pairs {
        judge.handle_pair(*it);
        for (list, place) in [(&mut is_paired.0, it.ours), (&mut is_paired.1, it.theirs)] {
            if let Some(paired) = list.get_mut(place) {
                *paired = true;
            }
        }
    }
    let alone = |paired: Vec<bool>| (0..).zip(paired).filter(|it| !it.1).map(|it| it.0);
    alone(is_paired.0).for_each(|place| judge.handle_ours(place));
    alone(is_paired.1).for_each(|place| judge.handle_theirs(place));
    let at = |it: &Difference| {
        let ours = it.ours.and_then(|place| ours.get(place));
        let theirs = it.theirs.and_then(|place| theirs.get(place));
        let start = theirs.map(|it| it.start_us).or(ours.map(|it| it.start_us));
        (start, theirs.map(|it| it.line), ours.map(|it| it.id))
    };
    judge.found.differences.sort_by_key(at);
    judge.found
}

fn look_of_ours(call: &Bought) -> Look<'_> {
    Look {
        callee: &call.callee,
        start_us: call.start_us,
        duration_ms: call.duration_ms,
        amount: Some(call.amount),
        tie: ["", ""],
    }
}

fn look_of_theirs(call: &ForeignCall) -> Look<'_> {
    Look {
        callee: &call.callee,
        start_us: call.start_us,
        duration_ms: call.duration_ms,
        amount: call.amount,
        tie: [&call.record_id, &call.caller],
    }
}

/// Puts calls into their classes.
struct Judge<'c> {
    ours: &'c [Bought],
    theirs: &'c [ForeignCall],
    terms: &'c Terms,
    found: Dispute,
}

impl Judge<'_> {
    fn is_within(&self, start_us: i64) -> bool {
        (self.terms.from_us..self.terms.to_us).contains(&start_us)
    }

    fn tell(&mut self, class: Class, ours: Option<usize>, theirs: Option<usize>) {
        let our_call = ours.and_then(|place| self.ours.get(place));
        let their_call = theirs.and_then(|place| self.theirs.get(place));
        let place = Class::ALL.iter().position(|it| *it == class);
        if let Some((our_sum, their_sum)) = place.and_then(|at| self.found.sums.get_mut(at)) {
            if let Some(call) = our_call {
                our_sum.add(call.duration_ms, Some(call.amount));
            }
            if let Some(call) = their_call {
                their_sum.add(call.duration_ms, call.amount);
            }
        }
        if class != Class::Matched {
            self.found.differences.push(Difference { class, ours, theirs });
        }
    }

    fn handle_pair(&mut self, Pair { ours, theirs }: Pair) {
        let (Some(our), Some(their)) = (self.ours.get(ours), self.theirs.get(theirs)) else {
            return;
        };
        if !self.is_within(our.start_us) && !self.is_within(their.start_us) {
            // Both tell it of another time.
            return self.tell(Class::Outside, None, Some(theirs));
        }
        let class = if self.terms.tolerance.agrees(our.duration_ms, their.duration_ms) {
            let dearer = their
                .amount
                .map_or(0, |it| i128::from(it.billionths()) - i128::from(our.amount.billionths()));
            let most = i128::from(self.terms.amount.billionths());
            match dearer {
                _ if dearer > most => Class::Dearer,
                _ if dearer < -most => Class::Cheaper,
                _ => Class::Matched,
            }
        } else if their.duration_ms > our.duration_ms {
            Class::Longer
        } else {
            Class::Shorter
        };
        self.tell(class, Some(ours), Some(theirs));
    }

    fn handle_ours(&mut self, place: usize) {
        if self.ours.get(place).is_some_and(|it| self.is_within(it.start_us)) {
            self.tell(Class::Missing, Some(place), None);
        }
    }

    fn handle_theirs(&mut self, place: usize) {
        let Some(call) = self.theirs.get(place) else { return };
        let is_free = call.amount.is_none_or(|it| it == Money::ZERO);
        let class = match () {
            () if !self.is_within(call.start_us) => Class::Outside,
            () if call.duration_ms == 0 && is_free => Class::Unanswered,
            () => Class::Extra,
        };
        self.tell(class, None, Some(place));
    }
}
