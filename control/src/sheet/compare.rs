//! What a sheet changes in a tariff: rows to put, rows to take out, and how many codes fare how.
//!
//! A line is compared with what the tariff says *for the instant of the line*, so that the same file again changes
//! nothing. Of a code with several lines each holds until the next one does; of those from before `at` the latest
//! holds, from `at` on: nothing is ever priced anew for the past. Only rows for all origins and at all times are compared.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use super::line::row;
use super::{Remark, Remarks, Sheet, SheetRate, Terms};
use crate::state::entity::{RateRow, Status, TariffHead};
use crate::state::moment::When;
use crate::state::rate_rows::RateRows;

/// What becomes of codes that are not in the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Add,
    /// They end: the sheet is all there is from its instant on.
    Replace,
}

/// How many codes fare how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Had no rate.
    pub new: usize,
    /// Cost more.
    pub increased: usize,
    /// Cost less.
    pub decreased: usize,
    /// Cost the same, in other steps or with another fee.
    pub changed: usize,
    /// Are served no more.
    pub closed: usize,
    /// Are as they were.
    pub unchanged: usize,
    /// Are said again, or by a later line from before the instant of the sheet.
    pub duplicate: usize,
    /// Are not in the sheet, and end.
    pub ended: usize,
}

/// What is to be done to a tariff.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How many codes fare how.
    pub counts: Counts,
    /// Rows that are new or other ones.
    pub rows: Vec<RateRow>,
    /// Keys of rows that go.
    pub gone: Vec<String>,
    /// Codes that are bought by the sheet: place in it, and from when on.
    pub bought: Vec<(usize, When)>,
}

/// A tariff as it is.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its head with all that it has of its template.
    pub head: &'a TariffHead,
    /// Its rows by their keys.
    pub rows: &'a RateRows,
}

/// What a sheet changes. What lines say twice, or wrongly of their status, is added to its remarks.
#[must_use]
pub fn compare(sheet: &mut Sheet, held: Held<'_>, mode: Mode, at: When) -> Plan {
    let mut plan = Plan::default();
    let Sheet { rates, remarks, .. } = sheet;
    let mut order: Vec<usize> = (0..rates.len()).collect();
    let since = |rate: &SheetRate| rate.effective.unwrap_or(at);
    order.sort_by(|one, other| {
        let key = |place: usize| rates.get(place).map(|it| (&it.prefix, since(it), it.line));
        key(*one).cmp(&key(*other))
    });
    for group in order.chunk_by(|one, other| prefix(rates, *one) == prefix(rates, *other)) {
        let mut code =
            Code::new(held, prefix(rates, group.first().copied().unwrap_or(0)), mode, at);
        let lines = Code::lines(rates, group, at, remarks, &mut plan.counts);
        code.reopen(&lines, rates, mode);
        for (place, from) in lines {
            let Some(rate) = rates.get(place) else { continue };
            code.take(rate, from, mode, &mut plan.counts, remarks);
            if rate.terms.is_some() {
                plan.bought.push((place, from));
            }
        }
        code.finish(&mut plan);
    }
    if mode == Mode::Replace {
        let said: HashSet<&str> = rates.iter().map(|rate| rate.prefix.as_str()).collect();
        end_others(held, &said, at, &mut plan);
    }
    plan
}

fn prefix(rates: &[SheetRate], place: usize) -> &str {
    rates.get(place).map_or("", |rate| &rate.prefix)
}

/// What is not in the sheet ends, and what of it was to come does not come.
fn end_others(held: Held<'_>, said: &HashSet<&str>, at: When, plan: &mut Plan) {
    let mut ended = HashSet::new();
    for (key, row) in held.rows {
        let is_plain = row.origin.is_empty() && row.period.is_empty();
        if is_plain && said.contains(row.prefix.as_str()) {
            continue;
        }
        if row.effective.is_some_and(|from| from >= at) {
            plan.gone.push(key.clone());
        } else if row.ends.is_none_or(|ends| ends > at) {
            plan.rows.push(RateRow { ends: Some(at), ..row.clone() });
        } else {
            continue;
        }
        if !said.contains(row.prefix.as_str()) {
            ended.insert(&row.prefix);
        }
    }
    plan.counts.ended = ended.len();
}

/// One code: its rows as they were, and as they will be, by their beginnings.
struct Code<'a> {
    held: Held<'a>,
    was: Vec<&'a RateRow>,
    is: Vec<RateRow>,
    at: When,
}

impl<'a> Code<'a> {
    fn new(held: Held<'a>, prefix: &str, mode: Mode, at: When) -> Self {
        // Behind the row from ever on stand those of instants: `44;effective=…`.
        let from = format!("{prefix};effective=");
        let later = held.rows.from(Bound::Included(&from));
        let later = later.take_while(|(key, _)| key.starts_with(&from)).map(|(_, row)| row);
        let mut was: Vec<&RateRow> = held.rows.get(prefix).into_iter().chain(later).collect();
        was.sort_by_key(|row| row.effective);
        let stays = |row: &&&RateRow| mode == Mode::Add || row.effective.is_none_or(|it| it < at);
        let is = was.iter().filter(stays).map(|row| (*row).clone()).collect();
        Self { held, was, is, at }
    }

    /// The lines that count, and from when on.
    fn lines(
        rates: &[SheetRate],
        group: &[usize],
        at: When,
        remarks: &mut Remarks,
        counts: &mut Counts,
    ) -> Vec<(usize, When)> {
        let mut lines: Vec<(usize, When)> = Vec::new();
        for place in group {
            let Some(rate) = rates.get(*place) else { continue };
            let since = rate.effective.unwrap_or(at);
            let last = lines.last().and_then(|(last, _)| rates.get(*last));
            match last {
                Some(last) if last.effective.unwrap_or(at) == since => {
                    if last.terms == rate.terms {
                        counts.duplicate += 1;
                    } else {
                        let (line, prefix) = (last.line, &rate.prefix);
                        remarks.add(
                            rate.line,
                            Remark::Wrong,
                            format!("code: line {line} says something else of {prefix} from the same instant on"),
                        );
                    }
                }
                Some(_) if since <= at => {
                    counts.duplicate += 1;
                    lines.pop();
                    lines.push((*place, at));
                }
                _ => lines.push((*place, since.max(at))),
            }
        }
        lines
    }

    /// A sheet that is all there is says when a code ends; what said so before counts no more.
    fn reopen(&mut self, lines: &[(usize, When)], rates: &[SheetRate], mode: Mode) {
        let has_rate =
            |(place, _): &(usize, When)| rates.get(*place).is_some_and(|rate| rate.terms.is_some());
        let at = self.at;
        if mode == Mode::Replace
            && lines.iter().any(has_rate)
            && let Some(row) = self.is.last_mut()
            && row.ends.is_some_and(|ends| ends > at)
        {
            row.ends = None;
        }
    }

    /// Takes what a line says, from its instant on.
    fn take(
        &mut self,
        rate: &SheetRate,
        from: When,
        mode: Mode,
        counts: &mut Counts,
        remarks: &mut Remarks,
    ) {
        let old = in_force(self.was.iter().copied(), from);
        let (count, status, fares) = match (old, rate.terms) {
            (None, None) => (&mut counts.unchanged, Status::Unchanged, "unchanged"),
            (Some(_), None) => (&mut counts.closed, Status::Closed, "closed"),
            (None, Some(_)) => (&mut counts.new, Status::New, "new"),
            (Some(old), Some(terms)) => match self.change(old, rate, terms) {
                Change::Same => (&mut counts.unchanged, Status::Unchanged, "unchanged"),
                Change::Terms => (&mut counts.changed, Status::Unchanged, "changed"),
                Change::Higher => (&mut counts.increased, Status::Increase, "increased"),
                Change::Lower => (&mut counts.decreased, Status::Decrease, "decreased"),
            },
        };
        *count += 1;
        // What was taken already is unchanged, whatever it was when it came.
        if fares != "unchanged" && rate.status.is_some_and(|said| said != status) {
            let rated = old.map_or_else(|| "none".to_owned(), |old| old.rate.to_string());
            let why = format!("status: {} is {fares}; its rate before is {rated}", rate.prefix);
            remarks.add(rate.line, Remark::Status, why);
        }
        match rate.terms {
            None => self.close(from),
            Some(terms) => {
                let now = in_force(self.is.iter(), from);
                if now.is_some_and(|now| self.change(now, rate, terms) == Change::Same) {
                    return;
                }
                let ends = now.and_then(|now| now.ends).filter(|_| mode == Mode::Add);
                let new = RateRow { ends, ..row(rate, Some(from)) };
                self.is.retain(|row| row.effective != Some(from));
                let place = self.is.partition_point(|row| row.effective < Some(from));
                self.is.insert(place, new);
            }
        }
    }

    /// Ends the code: what holds then, and what was to come.
    fn close(&mut self, from: When) {
        self.is.retain(|row| row.effective.is_none_or(|it| it < from));
        if let Some(last) = self.is.last_mut()
            && last.ends.is_none_or(|ends| ends > from)
        {
            last.ends = Some(from);
        }
    }

    fn change(&self, old: &RateRow, rate: &SheetRate, terms: Terms) -> Change {
        let head = self.held.head;
        let unit_s = old.unit_s.or(head.unit_s).unwrap_or(60);
        let was = i128::from(old.rate.billionths()) * 60;
        let is = i128::from(terms.rate.billionths()) * i128::from(unit_s);
        match is.cmp(&was) {
            std::cmp::Ordering::Greater => return Change::Higher,
            std::cmp::Ordering::Less => return Change::Lower,
            std::cmp::Ordering::Equal => {}
        }
        let whole = |row: &RateRow| {
            (
                row.minimum_s.or(head.minimum_s).unwrap_or(1),
                row.increment_s.or(head.increment_s).unwrap_or(1),
                row.connection_fee.or(head.connection_fee).unwrap_or_default(),
            )
        };
        let same = whole(old) == whole(&row(rate, None)) && old.sections.is_none() && !old.locked;
        if same { Change::Same } else { Change::Terms }
    }

    /// What differs now from what was.
    fn finish(self, plan: &mut Plan) {
        let was: BTreeMap<String, &RateRow> =
            self.was.iter().map(|row| (row.key(), *row)).collect();
        let mut kept = HashSet::new();
        for row in self.is {
            let key = row.key();
            if was.get(&key).is_none_or(|old| **old != row) {
                plan.rows.push(row);
            }
            kept.insert(key);
        }
        plan.gone.extend(was.into_keys().filter(|key| !kept.contains(key)));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Same,
    Terms,
    Higher,
    Lower,
}

/// Of rows by their beginnings the one that holds at an instant; what was replaced does not come back.
pub(super) fn in_force<'r>(
    rows: impl DoubleEndedIterator<Item = &'r RateRow>,
    at: When,
) -> Option<&'r RateRow> {
    let last = rows.rev().find(|row| row.effective.is_none_or(|from| from <= at))?;
    last.ends.is_none_or(|ends| ends > at).then_some(last)
}
