//! Corrected: what a stored call costs is set right. The row of the call stays as it was; a correction stands
//! beside it, with an entry for each side whose amount changed.
//!
//! The store knows what a call was charged at its end, the loop all that was set right since; so two corrections
//! that come at once do not take each other's amounts for the old ones.

use rating::{Money, MoneyFault, Terms};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Office;
use super::books::Said;
use crate::cdr::id_text;
use crate::shown::{self, CorrectedShown, Decimal};
use crate::state::entity::{self, Kind};
use crate::store::ledger::{Counter, EntryKind};
use crate::store::{Amounts, Change, Charged, Corrected, Correction, LedgerEntry};
use crate::{Refusal, Time};

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

/// One side of a call that is set right.
struct Side {
    word: &'static str,
    account: u32,
    counter: Counter,
    /// By how much its balance moves.
    moves: Money,
}

impl NewCorrection {
    fn check(&self) -> Result<(), Refusal> {
        entity::memo("reason", &self.reason)?;
        entity::memo("request_id", &self.request_id)?;
        for (field, text) in [("reason", &self.reason), ("request_id", &self.request_id)] {
            if text.is_empty() {
                return Err(Refusal::invalid(format!("{field}: empty")));
            }
        }
        for (field, amount) in [("charge", self.charge), ("vendor_charge", self.vendor_charge)] {
            if amount.is_some_and(|amount| amount < Money::ZERO) {
                return Err(Refusal::invalid(format!("{field}: no call costs less than 0")));
            }
        }
        Ok(())
    }

    /// What the call costs by it.
    fn amounts(&self, record: &Charged, old: Amounts) -> Result<Amounts, MoneyFault> {
        let tax = |fee: Money, terms: &Option<Terms>| {
            terms.as_ref().map_or(Ok(Money::ZERO), |terms| terms.tax(fee))
        };
        let mut new = old;
        if let Some(fee) = self.charge.filter(|fee| *fee != old.charge) {
            (new.charge, new.tax) = (fee, tax(fee, &record.terms)?);
        }
        if let Some(fee) = self.vendor_charge.filter(|fee| *fee != old.vendor_charge) {
            (new.vendor_charge, new.vendor_tax) = (fee, tax(fee, &record.vendor_terms)?);
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

impl Office {
    /// Sets right what a stored call costs, once per request id.
    pub(super) fn correct_record(
        &mut self,
        time: Time,
        who: &str,
        record: &Charged,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let asked: NewCorrection = entity::parse(body.clone())?;
        asked.check()?;
        let known = self.state.corrected.get(&record.id).map_or(&[][..], Vec::as_slice);
        if let Some(same) = known.iter().find(|it| it.request_id == asked.request_id) {
            return asked.repeated(same);
        }
        let old = known.last().map_or(record.amounts, |last| last.new);
        let too_large = |fault: MoneyFault| Refusal::invalid(fault.to_string());
        let new = asked.amounts(record, old).map_err(too_large)?;
        if new == old {
            return Err(Refusal::invalid("charge, vendor_charge: both are so already"));
        }
        let sides = sides(record, &old, &new).map_err(too_large)?;
        // Both sides or none.
        for side in &sides {
            self.check_side(side)?;
        }
        let reference = format!("cdr:{}", id_text(record.id));
        let mut entries: Vec<LedgerEntry> = Vec::new();
        for Side { word, account, counter, moves } in sides {
            let said = Said {
                kind: EntryKind::Correction,
                counter,
                reference: format!("{reference}:{word}:{}", asked.request_id),
                who,
                memo: asked.reason.clone(),
            };
            entries.push(self.moved(time, account, moves, said).map_err(too_large)?);
        }
        let accounts: Vec<u32> = entries.iter().map(|entry| entry.account).collect();
        let correction = Correction {
            id: record.id,
            request_id: asked.request_id,
            at_us: time.wall_us,
            who: who.to_owned(),
            reason: asked.reason,
            customer: record.customer,
            vendor: record.vendor,
            old,
            new,
            entries,
        };
        self.state.corrected.entry(record.id).or_default().push(correction.corrected());
        self.change(Change::Correction(Box::new(correction)));
        for account in accounts {
            self.watch_balance(time, account);
        }
        let detail = format!(
            "{} to {}, {} to {} by {who}",
            old.charge, new.charge, old.vendor_charge, new.vendor_charge
        );
        self.note(time, "record_corrected", &reference, detail);
        Ok(show(&new, false))
    }

    /// A balance that is there, and that can be so large.
    fn check_side(&self, side: &Side) -> Result<(), Refusal> {
        if self.state.name_of(Kind::Account, side.account).is_empty() {
            let detail = format!("the {} of this call has no account, or not any more", side.word);
            return Err(Refusal::new(409, "nobody to charge", detail));
        }
        let balance = self.state.balances.get(&side.account).copied().unwrap_or_default();
        let after = balance.amount.plus(side.moves);
        after.map(drop).map_err(|fault| Refusal::invalid(fault.to_string()))
    }
}

/// The sides whose amounts change. A vendor's balance falls by what he charges as well.
fn sides(record: &Charged, old: &Amounts, new: &Amounts) -> Result<Vec<Side>, MoneyFault> {
    let customer = old.customer()?.minus(new.customer()?)?;
    let vendor = old.vendor()?.minus(new.vendor()?)?;
    let sides = [
        Side {
            word: "customer",
            account: record.customer,
            counter: Counter::Revenue,
            moves: customer,
        },
        Side { word: "vendor", account: record.vendor, counter: Counter::Cost, moves: vendor },
    ];
    Ok(sides.into_iter().filter(|side| side.moves != Money::ZERO).collect())
}
