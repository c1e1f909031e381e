//! Calls of two lists, paired one to one by callee, start and duration.
//!
//! First as many calls as can be agree in all three; then as many of the rest as can be in callee and start; then those
//! that lie nearest. Calls of one number that lie near one another are decided together: up to [`EXACT_MAX`] on a side
//! by an assignment of least cost, more by a sweep that takes the nearest, so that a flood to one number costs a sort.
//! What comes out depends on what the calls say, never on the order of lines.

use std::collections::BTreeSet;

use rating::Money;

/// Calls on a side that are paired exactly.
pub const EXACT_MAX: usize = 32;
/// What a pair counts that agrees in callee and start: more than the distances of all pairs of a knot.
const PAIR: i64 = 1_000_000_000_000;
/// What one counts besides that agrees in its duration: more than all pairs of a knot.
const AGREES: i64 = 64 * PAIR;
/// Farthest that a distance counts, ms.
const FAR_MS: u64 = 10_000_000_000;

/// What of a call is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look<'c> {
    /// Who was called.
    pub callee: &'c str,
    /// Its start, µs since 1970 UTC.
    pub start_us: i64,
    /// How long, ms.
    pub duration_ms: u64,
    /// What it costs: of two that are as near the one that costs the same.
    pub amount: Option<Money>,
    /// What tells it from its like.
    pub tie: [&'c str; 2],
}

/// How far apart calls may be that are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Of starts, ms.
    pub start_ms: u64,
    /// Of durations, ms.
    pub duration_ms: u64,
}

/// Two calls that are one, by their places in their lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// In the first list.
    pub ours: usize,
    /// In the second.
    pub theirs: usize,
}

impl Tolerance {
    fn is_near(&self, one: &Look<'_>, other: &Look<'_>) -> bool {
        one.start_us.abs_diff(other.start_us) <= self.start_ms.saturating_mul(1_000)
    }

    /// Whether durations agree.
    #[must_use]
    pub fn agrees(&self, one_ms: u64, other_ms: u64) -> bool {
        one_ms.abs_diff(other_ms) <= self.duration_ms
    }

    /// What a pair is worth; 0: it is none.
    fn worth(&self, one: &Look<'_>, other: &Look<'_>) -> i64 {
        if !self.is_near(one, other) {
            return 0;
        }
        let apart_ms = one.start_us.abs_diff(other.start_us) / 1_000
            + one.duration_ms.abs_diff(other.duration_ms);
        let distance =
            2 * apart_ms.min(FAR_MS).cast_signed() + i64::from(one.amount != other.amount);
        let agrees = self.agrees(one.duration_ms, other.duration_ms);
        PAIR - distance + if agrees { AGREES } else { 0 }
    }
}

/// Pairs the calls of two lists, in the order of the first.
#[must_use]
pub fn pair(ours: &[Look<'_>], theirs: &[Look<'_>], tolerance: &Tolerance) -> Vec<Pair> {
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let mut pairs = Vec::new();
    let (mut our_rest, mut their_rest) = (&ours[..], &theirs[..]);
    while !our_rest.is_empty() && !their_rest.is_empty() {
        let (our_knot, their_knot);
        let ends = knot(our_rest, their_rest, tolerance);
        (our_knot, our_rest) = our_rest.split_at(ends.0);
        (their_knot, their_rest) = their_rest.split_at(ends.1);
        match our_knot.len().max(their_knot.len()) {
            _ if our_knot.is_empty() || their_knot.is_empty() => {}
            ..=EXACT_MAX => exact(our_knot, their_knot, tolerance, &mut pairs),
            _ => sweep(our_knot, their_knot, tolerance, &mut pairs),
        }
    }
    pairs.sort_unstable();
    pairs
}

/// A call, and its place in its list.
type Placed<'c> = (Look<'c>, usize);

/// In an order that what they say decides.
fn sorted<'c>(calls: &[Look<'c>]) -> Vec<Placed<'c>> {
    let mut order: Vec<Placed<'c>> = calls.iter().copied().zip(0..).collect();
    order.sort_unstable();
    order
}

/// How many calls of both lists are to one number and each near the one before it.
fn knot(ours: &[Placed<'_>], theirs: &[Placed<'_>], tolerance: &Tolerance) -> (usize, usize) {
    let mut ends = (0, 0);
    let mut last: Option<Look<'_>> = None;
    loop {
        let (next, end) = match (ours.get(ends.0), theirs.get(ends.1)) {
            (Some((our, _)), Some((their, _))) if our <= their => (our, &mut ends.0),
            (_, Some((their, _))) => (their, &mut ends.1),
            (Some((our, _)), None) => (our, &mut ends.0),
            (None, None) => return ends,
        };
        let goes_on = |last: Look<'_>| last.callee == next.callee && tolerance.is_near(&last, next);
        if !last.is_none_or(goes_on) {
            return ends;
        }
        last = Some(*next);
        *end += 1;
    }
}

/// The pairs that are worth most together, by shortest augmenting paths (the Hungarian method).
fn exact(ours: &[Placed<'_>], theirs: &[Placed<'_>], tolerance: &Tolerance, pairs: &mut Vec<Pair>) {
    let is_turned = ours.len() > theirs.len();
    let (rows, columns) = if is_turned { (theirs, ours) } else { (ours, theirs) };
    let cost = |row: usize, column: usize| match (rows.get(row), columns.get(column)) {
        (Some((one, _)), Some((other, _))) => -tolerance.worth(one, other),
        _ => 0,
    };
    for (column, row) in assign(rows.len(), columns.len(), &cost).into_iter().enumerate() {
        let Some(row) = row.filter(|row| cost(*row, column) < 0) else { continue };
        let (Some((_, one)), Some((_, other))) = (rows.get(row), columns.get(column)) else {
            continue;
        };
        let (ours, theirs) = if is_turned { (*other, *one) } else { (*one, *other) };
        pairs.push(Pair { ours, theirs });
    }
}

/// For each column its row, so that every row has one and the sum of costs is the least. There are no more rows than
/// columns, and at most [`EXACT_MAX`] of either.
fn assign(
    rows: usize,
    columns: usize,
    cost: &impl Fn(usize, usize) -> i64,
) -> [Option<usize>; EXACT_MAX] {
    const FAR: i64 = i64::MAX / 4;
    // Column `EXACT_MAX` stands for none: the row that looks for its column begins there.
    let mut row_price = [0_i64; EXACT_MAX];
    let mut column_price = [0_i64; EXACT_MAX + 1];
    let mut row_of: [Option<usize>; EXACT_MAX + 1] = [None; EXACT_MAX + 1];
    for row in 0..rows {
        row_of[EXACT_MAX] = Some(row);
        let mut at = EXACT_MAX;
        let mut least = [FAR; EXACT_MAX];
        let mut way = [EXACT_MAX; EXACT_MAX];
        let mut is_used = [false; EXACT_MAX + 1];
        while let Some(from) = row_of[at] {
            is_used[at] = true;
            let (mut step, mut next) = (FAR, at);
            for column in (0..columns).filter(|column| !is_used[*column]) {
                let reduced = cost(from, column) - row_price[from] - column_price[column];
                if reduced < least[column] {
                    (least[column], way[column]) = (reduced, at);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in (0..columns).chain([EXACT_MAX]) {
                match row_of[column] {
                    Some(row) if is_used[column] => {
                        row_price[row] += step;
                        column_price[column] -= step;
                    }
                    _ if column < EXACT_MAX => least[column] -= step,
                    _ => {}
                }
            }
            at = next;
        }
        while at != EXACT_MAX {
            let before = way[at];
            row_of[at] = row_of[before];
            at = before;
        }
    }
    let mut found = [None; EXACT_MAX];
    found.copy_from_slice(&row_of[..EXACT_MAX]);
    found
}

/// Pairs that agree by the nearest duration, then the rest in the order of time.
fn sweep(ours: &[Placed<'_>], theirs: &[Placed<'_>], tolerance: &Tolerance, pairs: &mut Vec<Pair>) {
    let reach_us = tolerance.start_ms.saturating_mul(1_000);
    let is_before = |one: &Look<'_>, other: &Look<'_>| {
        one.start_us < other.start_us && one.start_us.abs_diff(other.start_us) > reach_us
    };
    let mut is_taken = vec![false; theirs.len()];
    let mut our_rest = Vec::new();
    // Calls of theirs that are near the one at hand, by duration and by their place.
    let mut near: BTreeSet<(u64, usize)> = BTreeSet::new();
    let (mut first, mut end) = (0, 0);
    for (our, place) in ours {
        while let Some((their, _)) = theirs.get(end).filter(|it| !is_before(our, &it.0)) {
            near.insert((their.duration_ms, end));
            end += 1;
        }
        while let Some((their, _)) = theirs.get(first).filter(|it| is_before(&it.0, our)) {
            near.remove(&(their.duration_ms, first));
            first += 1;
        }
        let wanted = our.duration_ms;
        let below = near.range(..(wanted, 0)).next_back();
        let above = near.range((wanted, 0)..).next();
        let found = below.into_iter().chain(above).min_by_key(|it| (it.0.abs_diff(wanted), it.1));
        match found.copied().filter(|it| tolerance.agrees(it.0, wanted)) {
            Some((duration, at)) => {
                near.remove(&(duration, at));
                if let (Some(taken), Some((_, theirs))) = (is_taken.get_mut(at), theirs.get(at)) {
                    *taken = true;
                    pairs.push(Pair { ours: *place, theirs: *theirs });
                }
            }
            None => our_rest.push((our, *place)),
        }
    }
    let their_rest = theirs.iter().zip(&is_taken).filter(|(_, taken)| !**taken).map(|(it, _)| it);
    let mut our_rest = our_rest.into_iter().peekable();
    let mut their_rest = their_rest.peekable();
    while let (Some((our, ours)), Some((their, theirs))) = (our_rest.peek(), their_rest.peek()) {
        if tolerance.is_near(our, their) {
            pairs.push(Pair { ours: *ours, theirs: *theirs });
            our_rest.next();
            their_rest.next();
        } else if our.start_us < their.start_us {
            our_rest.next();
        } else {
            their_rest.next();
        }
    }
}
