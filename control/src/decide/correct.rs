//! Corrected: what a stored call costs is set right. The row of the call stays as it was; a correction stands
//! beside it, with an entry for each side whose amount changed.
//!
//! Records are read beside the loop, and what was set right of them with them; the loop remembers what it set right
//! since such a look may have begun. So two corrections that come at once do not take each other's amounts for the old
//! ones, and nobody has to remember all corrections there ever were.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use link::Instant;
use rating::{Money, MoneyFault, Terms};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Office;
use super::books::Said;
use super::rerate;
use crate::cdr::id_text;
use crate::shown::{self, CorrectedShown, Decimal};
use crate::state::entity::{self, Kind};
use crate::store::ledger::{Counter, EntryKind};
use crate::store::{
    Amounts, BothTerms, Change, Charged, Corrected, Correction, LedgerEntry, Looked,
};
use crate::{Refusal, Time};

/// A look at the store that began before that is not believed.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// How long what was set right is remembered once it is in the store: longer than any look.
const REMEMBERED: Duration = Duration::from_secs(2 * LOOK_MAX.as_secs());

/// What a stored call is to cost.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCorrection {
    /// What the customer is charged, without tax; the tax follows from the call's own terms.
    #[serde(default, with = "entity::optional_money")]
    #[schemars(with = "Option<Decimal>")]
    charge: Option<Money>,
    /// What the vendor charges, likewise.
    #[serde(default, with = "entity::optional_money")]
    #[schemars(with = "Option<Decimal>")]
    vendor_charge: Option<Money>,
    /// What was wrong.
    reason: String,
    /// Tells this correction from others of the record: the same one is made once.
    request_id: String,
}

/// What was set right of records, until every look at the store finds it there.
#[derive(Default)]
pub(super) struct Recent {
    by_record: HashMap<[u64; 2], Vec<Corrected>>,
    /// When, and as which change of the store; the first first.
    made: VecDeque<(Instant, u64, [u64; 2])>,
    /// When something was last spilled, which no look finds.
    spilled: Option<Instant>,
}

impl Recent {
    /// What was durable by then was not all in the database.
    pub(super) fn mistrust_looks_before(&mut self, now: Instant) {
        self.spilled = Some(now);
    }

    fn note(&mut self, now: Instant, sequence: u64, id: [u64; 2], corrected: Corrected) {
        self.by_record.entry(id).or_default().push(corrected);
        self.made.push_back((now, sequence, id));
    }

    /// Lets go what is in the store for long enough.
    fn forget(&mut self, now: Instant, stored: u64) {
        while let Some((made, sequence, id)) = self.made.front().copied()
            && sequence <= stored
            && made + REMEMBERED <= now
        {
            self.made.pop_front();
            if let Some(of_record) = self.by_record.get_mut(&id) {
                of_record.remove(0);
                if of_record.is_empty() {
                    self.by_record.remove(&id);
                }
            }
        }
    }

    /// All that was set right of a record, the first first.
    fn all_of(&self, record: &Charged) -> Vec<Corrected> {
        let mut all = record.corrected.clone();
        for recent in self.by_record.get(&record.id).into_iter().flatten() {
            if !all.iter().any(|known| known.request_id == recent.request_id) {
                all.push(recent.clone());
            }
        }
        all
    }
}

/// A record as it stands now.
pub(super) struct Current<'r> {
    pub(super) record: &'r Charged,
    /// All that was set right of it.
    pub(super) corrected: Vec<Corrected>,
    /// What it costs.
    pub(super) amounts: Amounts,
    /// What that follows from, as far as anything says so.
    pub(super) terms: BothTerms,
}

/// What a record is to cost, and why.
pub(super) struct Right<'c> {
    pub(super) new: Amounts,
    /// What that follows from, where it was rated anew.
    pub(super) terms: BothTerms,
    pub(super) request_id: &'c str,
    pub(super) reason: &'c str,
    pub(super) who: &'c str,
}

/// One side of a call that is set right.
struct Side {
    word: &'static str,
    account: u32,
    counter: Counter,
    /// By how much its balance moves.
    moves: Money,
}

/// What says why, and what tells one from others.
pub(super) fn check_reason(reason: &str, request_id: &str) -> Result<(), Refusal> {
    for (field, text) in [("reason", reason), ("request_id", request_id)] {
        entity::memo(field, text)?;
        if text.is_empty() {
            return Err(Refusal::invalid(format!("{field}: empty")));
        }
    }
    Ok(())
}

impl NewCorrection {
    fn check(&self) -> Result<(), Refusal> {
        check_reason(&self.reason, &self.request_id)?;
        if rerate::is_rerate(&self.request_id) {
            return Err(Refusal::invalid(
                "request_id: those of re-rates begin so; take another one",
            ));
        }
        for (field, amount) in [("charge", self.charge), ("vendor_charge", self.vendor_charge)] {
            if amount.is_some_and(|amount| amount < Money::ZERO) {
                return Err(Refusal::invalid(format!("{field}: no call costs less than 0")));
            }
        }
        Ok(())
    }

    /// What the call costs by it.
    fn amounts(&self, record: &Current<'_>) -> Result<Amounts, MoneyFault> {
        let tax = |fee: Money, terms: &Option<Terms>| {
            terms.as_ref().map_or(Ok(Money::ZERO), |terms| terms.tax(fee))
        };
        let old = record.amounts;
        let mut new = old;
        if let Some(fee) = self.charge.filter(|fee| *fee != old.charge) {
            (new.charge, new.tax) = (fee, tax(fee, &record.terms.customer)?);
        }
        if let Some(fee) = self.vendor_charge.filter(|fee| *fee != old.vendor_charge) {
            (new.vendor_charge, new.vendor_tax) = (fee, tax(fee, &record.terms.vendor)?);
        }
        Ok(new)
    }

    /// The first answer again; the request id of another correction is none.
    fn repeated(&self, known: &Corrected) -> Result<Value, Refusal> {
        let Corrected { old, new, .. } = known;
        let asked =
            (self.charge.unwrap_or(old.charge), self.vendor_charge.unwrap_or(old.vendor_charge));
        if asked == (new.charge, new.vendor_charge) {
            return Ok(show(new, true));
        }
        let detail = format!(
            "request_id: {:?} set the charges to {} and {}; take another one",
            self.request_id, new.charge, new.vendor_charge
        );
        Err(Refusal::new(409, "request id taken", detail))
    }
}

fn show(amounts: &Amounts, repeated: bool) -> Value {
    shown::json(CorrectedShown {
        charge: amounts.charge.into(),
        tax: amounts.tax.into(),
        vendor_charge: amounts.vendor_charge.into(),
        vendor_tax: amounts.vendor_tax.into(),
        repeated,
    })
}

fn too_large(fault: MoneyFault) -> Refusal {
    Refusal::invalid(fault.to_string())
}

impl Office {
    /// Sets right what a stored call costs, once per request id.
    pub(super) fn correct_record(
        &mut self,
        time: Time,
        who: &str,
        looked: &Looked,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let asked: NewCorrection = entity::parse(body.clone())?;
        asked.check()?;
        self.believe(time, looked)?;
        let record = looked.records.first().ok_or_else(|| Refusal::missing("CDR", ""))?;
        let current = self.current(record);
        let known = &current.corrected;
        if let Some(same) = known.iter().find(|it| it.request_id == asked.request_id) {
            return asked.repeated(same);
        }
        let new = asked.amounts(&current).map_err(too_large)?;
        if new == current.amounts {
            return Err(Refusal::invalid("charge, vendor_charge: both are so already"));
        }
        let right = Right {
            new,
            terms: BothTerms::default(),
            request_id: &asked.request_id,
            reason: &asked.reason,
            who,
        };
        self.set_right(time, &current, &right)?;
        let old = current.amounts;
        let detail = format!(
            "{} to {}, {} to {} by {who}",
            old.charge, new.charge, old.vendor_charge, new.vendor_charge
        );
        self.note(time, "record_corrected", &format!("cdr:{}", id_text(record.id)), detail);
        Ok(show(&new, false))
    }

    /// Whether a look at the store tells, with what is remembered here, all that was set right.
    pub(super) fn believe(&mut self, time: Time, looked: &Looked) -> Result<(), Refusal> {
        if self.spill.groups > 0 {
            let detail = "the database does not take what is stored; see `tollgate alarm list`";
            return Err(Refusal::new(503, "records are not up to date", detail));
        }
        let missed_some = self.corrected.spilled.is_some_and(|until| looked.at <= until);
        if missed_some || looked.at + LOOK_MAX < time.now {
            return Err(Refusal::new(503, "read too long ago", "nothing was changed; try again"));
        }
        self.corrected.forget(time.now, self.stored);
        Ok(())
    }

    /// A record as it stands now.
    pub(super) fn current<'r>(&self, record: &'r Charged) -> Current<'r> {
        let corrected = self.corrected.all_of(record);
        let amounts = corrected.last().map_or(record.amounts, |last| last.new);
        let terms = corrected.iter().fold(record.terms, |terms, it| it.terms.or(terms));
        Current { record, corrected, amounts, terms }
    }

    /// The correction, with an entry for each side that moves; both sides or none.
    pub(super) fn set_right(
        &mut self,
        time: Time,
        current: &Current<'_>,
        right: &Right<'_>,
    ) -> Result<(), Refusal> {
        let (record, old, new) = (current.record, current.amounts, right.new);
        let sides = sides(record, &old, &new).map_err(too_large)?;
        for side in &sides {
            self.check_side(side)?;
        }
        let mut entries: Vec<LedgerEntry> = Vec::new();
        for Side { word, account, counter, moves } in sides {
            let said = Said {
                kind: EntryKind::Correction,
                counter,
                reference: format!("cdr:{}:{word}:{}", id_text(record.id), right.request_id),
                who: right.who,
                memo: right.reason.to_owned(),
            };
            entries.push(self.moved(time, account, moves, said).map_err(too_large)?);
        }
        let accounts: Vec<u32> = entries.iter().map(|entry| entry.account).collect();
        let correction = Correction {
            id: record.id,
            request_id: right.request_id.to_owned(),
            at_us: time.wall_us,
            who: right.who.to_owned(),
            reason: right.reason.to_owned(),
            customer: record.customer,
            vendor: record.vendor,
            agent: record.agent,
            old,
            new,
            terms: right.terms,
            entries,
        };
        let corrected = correction.corrected();
        let sequence = self.change(Change::Correction(Box::new(correction)));
        self.corrected.note(time.now, sequence, record.id, corrected);
        for account in accounts {
            self.watch_balance(time, account);
        }
        Ok(())
    }

    /// A balance that is there, and that can be so large.
    fn check_side(&self, side: &Side) -> Result<(), Refusal> {
        if self.state.name_of(Kind::Account, side.account).is_empty() {
            let detail = format!("the {} of this call has no account, or not any more", side.word);
            return Err(Refusal::new(409, "nobody to charge", detail));
        }
        let balance = self.state.balances.get(&side.account).copied().unwrap_or_default();
        let after = balance.amount.plus(side.moves);
        after.map(drop).map_err(too_large)
    }
}

/// The sides whose amounts change. A vendor's balance falls by what he charges as well.
fn sides(record: &Charged, old: &Amounts, new: &Amounts) -> Result<Vec<Side>, MoneyFault> {
    let customer = old.customer()?.minus(new.customer()?)?;
    let vendor = old.vendor()?.minus(new.vendor()?)?;
    // What the call costs an agent stays.
    let agent = if record.agent == 0 { Money::ZERO } else { new.charge.minus(old.charge)? };
    let sides = [
        Side {
            word: "customer",
            account: record.customer,
            counter: Counter::Revenue,
            moves: customer,
        },
        Side { word: "vendor", account: record.vendor, counter: Counter::Cost, moves: vendor },
        Side { word: "agent", account: record.agent, counter: Counter::Agents, moves: agent },
    ];
    Ok(sides.into_iter().filter(|side| side.moves != Money::ZERO).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn corrected(request_id: &str, charge: i64) -> Corrected {
        let new = Amounts { charge: Money::from_billionths(charge), ..Amounts::default() };
        Corrected { request_id: request_id.into(), new, ..Corrected::default() }
    }

    fn ids(recent: &Recent, record: &Charged) -> Vec<String> {
        recent.all_of(record).into_iter().map(|it| it.request_id).collect()
    }

    #[test]
    fn what_was_set_right_since_a_look_counts_once_whether_or_not_the_look_found_it() {
        let mut recent = Recent::default();
        let mut record = Charged { id: [1, 1], ..Charged::default() };
        record.corrected.push(corrected("old", 1));
        recent.note(SECOND, 1, record.id, corrected("new", 2));
        recent.note(SECOND, 2, [2, 2], corrected("other", 3));
        assert_eq!(ids(&recent, &record), ["old", "new"]);
        record.corrected.push(corrected("new", 2));
        assert_eq!(ids(&recent, &record), ["old", "new"]);
    }

    #[test]
    fn nothing_is_forgotten_before_it_is_stored_and_every_look_finds_it() {
        let mut recent = Recent::default();
        let record = Charged { id: [1, 1], ..Charged::default() };
        recent.note(SECOND, 7, record.id, corrected("a", 1));
        recent.note(SECOND, 8, record.id, corrected("b", 2));
        recent.forget(SECOND + REMEMBERED, 6);
        assert_eq!(ids(&recent, &record), ["a", "b"]);
        recent.forget(REMEMBERED, 8);
        assert_eq!(ids(&recent, &record), ["a", "b"]);
        recent.forget(SECOND + REMEMBERED, 7);
        assert_eq!(ids(&recent, &record), ["b"]);
        recent.forget(SECOND + REMEMBERED, 8);
        assert!(recent.by_record.is_empty() && recent.made.is_empty());
    }

    #[test]
    fn a_look_from_before_the_database_had_everything_is_not_believed() {
        let mut office = Office::default();
        let at = |now: Duration| Time { now, wall_us: 0 };
        let looked = Looked { at: SECOND, ..Looked::default() };
        assert!(office.believe(at(2 * SECOND), &looked).is_ok());
        office.corrected.mistrust_looks_before(SECOND);
        assert_eq!(office.believe(at(2 * SECOND), &looked).unwrap_err().status, 503);
        let looked = Looked { at: 2 * SECOND, ..looked };
        assert!(office.believe(at(2 * SECOND), &looked).is_ok());
        assert_eq!(office.believe(at(33 * SECOND), &looked).unwrap_err().status, 503);
    }
}
