//! Re-rated: answered calls of a time cost what tariffs say now, by corrections like those made by hand.
//!
//! A page of records at a time, so that calls are decided meanwhile. What a call is rated by is what it was rated by
//! then, but for the price: the instant of its INVITE, its numbers, its durations, the rounding parameters frozen into
//! it. A dry run tells what would change and changes nothing.

use std::collections::BTreeMap;

use rating::{Asked, Charge, Money, Terms};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Office;
use super::correct::{Current, Right, check_reason};
use crate::cdr::{id_text, rate_text};
use crate::shown::{self, RerateShown, RerateSumShown, ReratedShown};
use crate::state::entity::{self, Entity, Kind};
use crate::store::{Amounts, BothTerms, Charged, Looked};
use crate::{Refusal, Time};

/// What request ids of re-rates begin with where records keep them.
const MARK: &str = "rerate:";

/// Whether that is the request id of a re-rate, as records keep it.
pub(super) fn is_rerate(request_id: &str) -> bool {
    request_id.starts_with(MARK)
}

/// Which side is rated anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Whose {
    Customer,
    Vendor,
    #[default]
    Both,
}

/// How records are rated anew.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRerate {
    /// `customer`, `vendor` or `both`.
    #[serde(default)]
    side: Whose,
    /// The tariff of all these calls, for one side; null: for each call the one it was charged by, as it is now.
    #[serde(default)]
    tariff: Option<String>,
    /// Calls too that somebody set right by hand.
    #[serde(default)]
    with_corrected: bool,
    /// Tell what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// What was wrong.
    reason: String,
    /// Tells this re-rate from others: no record is rated anew twice by the same one.
    request_id: String,
}

/// What became of one record.
enum Outcome {
    Changed(Box<(Amounts, BothTerms)>),
    Unchanged,
    /// By this request id, before.
    Repeated,
    /// Somebody set it right by hand.
    Kept,
    /// No tariff has a rate for it.
    Unrated,
    /// A fee is too large to be money, or nobody is there any more who would pay it.
    Failed(String),
}

impl Outcome {
    /// What is told of the record; empty: it is only counted.
    fn word(&self) -> &'static str {
        match self {
            Self::Changed(_) => "changed",
            Self::Unchanged | Self::Repeated => "",
            Self::Kept => "kept",
            Self::Unrated => "unrated",
            Self::Failed(_) => "failed",
        }
    }
}

/// How records of a page are rated.
struct Way<'w> {
    asked: &'w NewRerate,
    /// The tariff of all calls.
    tariff: Option<u32>,
    /// As records keep it.
    request_id: String,
}

/// What a page comes to.
#[derive(Default)]
struct Page {
    shown: RerateShown,
    /// By account and side: before, after.
    sums: BTreeMap<(u32, &'static str), (i128, i128)>,
}

impl NewRerate {
    fn check(&self) -> Result<(), Refusal> {
        check_reason(&self.reason, &self.request_id)?;
        if self.tariff.is_some() && self.side == Whose::Both {
            return Err(Refusal::invalid("side: customer or vendor, where a tariff is named"));
        }
        Ok(())
    }
}

impl Office {
    /// Rates a page of records anew.
    pub(super) fn rerate(
        &mut self,
        time: Time,
        who: &str,
        looked: &Looked,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let asked: NewRerate = entity::parse(body.clone())?;
        asked.check()?;
        self.believe(time, looked)?;
        let tariff = asked.tariff.as_deref();
        let tariff = tariff.map(|name| self.state.document(Kind::Tariff, name).map(Entity::id));
        let request_id = format!("{MARK}{}", asked.request_id);
        let way = Way { asked: &asked, tariff: tariff.transpose()?, request_id };
        let mut page = Page::default();
        for record in &looked.records {
            self.rerate_one(time, who, &way, record, &mut page)?;
        }
        let changed = page.shown.changed;
        if changed > 0 && !asked.dry_run {
            let detail = format!("{changed} records by {who}: {}", asked.reason);
            self.note(time, "records_rerated", &way.request_id, detail);
        }
        page.shown.dry_run = asked.dry_run;
        page.shown.next = looked.next.clone();
        page.shown.sums = self.sums_shown(&page.sums);
        Ok(shown::json(page.shown))
    }

    fn rerate_one(
        &mut self,
        time: Time,
        who: &str,
        way: &Way<'_>,
        record: &Charged,
        page: &mut Page,
    ) -> Result<(), Refusal> {
        let current = self.current(record);
        let mut outcome = self.rated_anew(way, &current);
        let old = current.amounts;
        if let Outcome::Changed(found) = &outcome
            && !way.asked.dry_run
        {
            let (new, terms) = **found;
            let Way { request_id, asked, .. } = way;
            let right = Right { new, terms, request_id, reason: &asked.reason, who };
            // One whose account is gone holds up no others.
            if let Err(no) = self.set_right(time, &current, &right) {
                outcome = Outcome::Failed(no.detail);
            }
        }
        let shown = &mut page.shown;
        shown.records += 1;
        *match outcome {
            Outcome::Changed(_) => &mut shown.changed,
            Outcome::Unchanged => &mut shown.unchanged,
            Outcome::Repeated => &mut shown.repeated,
            Outcome::Kept => &mut shown.kept,
            Outcome::Unrated => &mut shown.unrated,
            Outcome::Failed(_) => &mut shown.failed,
        } += 1;
        let (new, terms) = match &outcome {
            Outcome::Changed(found) => (found.0, found.1.or(current.terms)),
            _ => (old, current.terms),
        };
        if !outcome.word().is_empty() {
            let rate = |terms: Option<Terms>| terms.as_ref().map(rate_text);
            let name = |id: u32| self.state.name_of(Kind::Account, id).to_owned();
            page.shown.items.push(ReratedShown {
                id: id_text(record.id),
                what: outcome.word(),
                account: name(record.customer),
                vendor_account: name(record.vendor),
                callee_billed: record.callee.clone(),
                old_billed_s: old.billed_s,
                billed_s: new.billed_s,
                old_charge: old.charge.into(),
                charge: new.charge.into(),
                rate: rate(terms.customer),
                old_vendor_charge: old.vendor_charge.into(),
                vendor_charge: new.vendor_charge.into(),
                vendor_rate: rate(terms.vendor),
                detail: match outcome {
                    Outcome::Failed(why) => why,
                    _ => String::new(),
                },
            });
        }
        let too_large = |_| Refusal::new(500, "sum too large", "a charge is no money any more");
        let sides = [
            ("customer", record.customer, old.customer(), new.customer()),
            ("vendor", record.vendor, old.vendor(), new.vendor()),
        ];
        for (side, account, old, new) in sides {
            let (old, new) = (old.map_err(too_large)?, new.map_err(too_large)?);
            let sum = page.sums.entry((account, side)).or_default();
            sum.0 += i128::from(old.billionths());
            sum.1 += i128::from(new.billionths());
        }
        Ok(())
    }

    /// What a record would cost.
    fn rated_anew(&self, way: &Way<'_>, current: &Current<'_>) -> Outcome {
        let Current { record, corrected, amounts, terms } = current;
        if corrected.iter().any(|it| it.request_id == way.request_id) {
            return Outcome::Repeated;
        }
        let by_hand = corrected.last().is_some_and(|last| !is_rerate(&last.request_id));
        if by_hand && !way.asked.with_corrected {
            return Outcome::Kept;
        }
        let mut new = *amounts;
        let mut anew = BothTerms::default();
        if way.asked.side != Whose::Vendor && record.customer != 0 {
            let Some(terms) = self.terms_anew(way, record, terms.customer, true) else {
                return Outcome::Unrated;
            };
            // Seconds that packages paid for are paid, whatever they would cost today.
            let charge = terms.charge_beside(record.charged_ms, &record.covered);
            let Charge { billed_s, fee, tax } = match charge {
                Ok(charge) => charge,
                Err(fault) => return Outcome::Failed(fault.to_string()),
            };
            (new.billed_s, new.charge, new.tax) = (billed_s, fee, tax);
            anew.customer = Some(terms);
        }
        if way.asked.side != Whose::Customer && record.vendor != 0 {
            // A call that a vendor carries unrated has no terms, and costs nothing.
            let has_terms = way.tariff.is_some() || terms.vendor.is_some();
            if let Some(terms) = self.terms_anew(way, record, terms.vendor, false) {
                let Charge { billed_s, fee, tax } = match terms.charge(record.vendor_hold_ms) {
                    Ok(charge) => charge,
                    Err(fault) => return Outcome::Failed(fault.to_string()),
                };
                (new.vendor_billed_s, new.vendor_charge, new.vendor_tax) = (billed_s, fee, tax);
                anew.vendor = Some(terms);
            } else if has_terms {
                return Outcome::Unrated;
            }
        }
        if new == *amounts { Outcome::Unchanged } else { Outcome::Changed(Box::new((new, anew))) }
    }

    /// The terms of a call today, as of its INVITE.
    fn terms_anew(
        &self,
        way: &Way<'_>,
        record: &Charged,
        terms: Option<Terms>,
        is_customer: bool,
    ) -> Option<Terms> {
        let tariff = way.tariff.or(terms.map(|terms| terms.price.tariff))?;
        let is_number =
            |text: &&str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let asked = Asked {
            callee: record.callee.as_bytes(),
            caller: Some(record.caller.as_str()).filter(is_number).map(str::as_bytes),
            at_us: record.started_us,
        };
        let prefix = if is_customer { record.billing_prefix.as_str() } else { "" };
        let price = self.state.price_behind(tariff, prefix, &asked)?;
        let rounding = terms.map_or_else(|| self.rounding(), |terms| terms.rounding);
        if !is_customer {
            return Some(Terms::vendor(price, rounding));
        }
        let is_free = self.state.values.has_prefix("BILLING_FREE_E164S", &record.callee);
        Some(Terms::customer(if is_free { price.free() } else { price }, rounding))
    }

    fn sums_shown(
        &self,
        sums: &BTreeMap<(u32, &'static str), (i128, i128)>,
    ) -> Vec<RerateSumShown> {
        let money = |sum: i128| {
            let sum = i64::try_from(sum).ok();
            sum.map(|sum| Money::from_billionths(sum).into())
        };
        let shown = |(&(account, side), &(before, after))| RerateSumShown {
            account: self.state.name_of(Kind::Account, account).to_owned(),
            side,
            currency: self.state.account_of(account).map_or("", |it| &it.currency).to_owned(),
            before: money(before),
            after: money(after),
        };
        let known = sums.iter().filter(|((account, _), _)| *account != 0);
        known.map(shown).collect()
    }
}
