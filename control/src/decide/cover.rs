//! What subscriptions pay for of calls: it is held while a call runs, slice by slice as its money is, and used when it has
//! ended. A call on a balance without limit holds nothing, and takes what is there when it has ended.

use std::collections::BTreeSet;

use rating::charge::charge_beside;
use rating::{Money, Terms};

use super::Office;
use super::package::{Kept, Subscriptions};
use crate::Time;
use crate::cdr::Cdr;
use crate::package::{Allowance, Cover, Covered, State};
use crate::shown::CoveredShown;

impl Subscriptions {
    pub(super) fn hold(&mut self, cover: &Cover) {
        for covered in cover.iter() {
            let Some(kept) = self.of_period(covered.subscription, covered.period) else { continue };
            kept.held_s = kept.held_s.saturating_add(covered.minutes_s());
            kept.held = kept.held.plus(covered.worth).unwrap_or(kept.held);
        }
    }

    fn give_back(&mut self, cover: &Cover) {
        for covered in cover.iter() {
            let Some(kept) = self.of_period(covered.subscription, covered.period) else { continue };
            kept.held_s = kept.held_s.saturating_sub(covered.minutes_s());
            kept.held = kept.held.minus(covered.worth).unwrap_or(Money::ZERO).max(Money::ZERO);
        }
    }

    /// What is held or used of a former period is of no account in this one.
    pub(super) fn of_period(&mut self, subscription: u32, period: u32) -> Option<&mut Kept> {
        self.kept.get_mut(&subscription).filter(|kept| kept.standing.period == period)
    }
}

impl Office {
    /// What the subscriptions of an account have for a call, in the order in which they pay.
    pub(super) fn allowances(
        &mut self,
        time: Time,
        account: u32,
        began_us: u64,
        callee: &str,
    ) -> Vec<Allowance> {
        let Some(ids) = self.subscriptions.of_account.get(&account).cloned() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for id in ids {
            // A period that is over right now is, whether somebody looked or not.
            self.turn(time, id);
            let Some((subscription, package, account)) = self.state.subscribed(id) else {
                continue;
            };
            let Some(Kept { standing, held_s, held }) = self.subscriptions.kept.get(&id) else {
                continue;
            };
            let holds = (standing.begins_us..standing.ends_us).contains(&time.wall_us);
            if standing.state != State::Active
                || !holds
                || !package.pays_for(callee, began_us, &account.time_zone)
            {
                continue;
            }
            let seconds = package.seconds().saturating_sub(standing.used_s.saturating_add(*held_s));
            let taken =
                standing.used.plus(*held).and_then(|taken| package.free_amount.minus(taken));
            let amount = taken.unwrap_or(Money::ZERO).max(Money::ZERO);
            if seconds > 0 || amount > Money::ZERO {
                let free = Allowance { subscription: id, period: standing.period, seconds, amount };
                found.push(((subscription.priority, standing.ends_us, id), free));
            }
        }
        found.sort_unstable_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, free)| free).collect()
    }

    pub(super) fn hold_cover(&mut self, cover: &Cover) {
        self.subscriptions.hold(cover);
    }

    pub(super) fn give_cover_back(&mut self, cover: &Cover) {
        self.subscriptions.give_back(cover);
    }

    /// What a call of a former control holds; it is given back with that.
    pub(super) fn awaited_cover(&mut self, id: [u64; 2]) -> Option<Cover> {
        let cover = self.subscriptions.awaiting.remove(&id)?;
        self.subscriptions.give_back(&cover);
        Some(cover)
    }

    /// A call has ended: what subscriptions pay for of it, and what it costs beside. `cover` is what it held.
    pub(super) fn cover_end(&mut self, time: Time, cdr: &mut Cdr, mut cover: Cover) {
        let has_any = self.subscriptions.of_account.contains_key(&cdr.customer);
        let terms = Terms::from_words(&cdr.record.customer_terms.words);
        let Some(terms) = terms.filter(|_| has_any || !cover.is_empty()) else { return };
        let Ok(billed_s) = terms.billed_s(cdr.charged_ms()) else { return };
        if !terms.price.is_free() {
            // What nothing had to be held for, or nobody was there to hold, takes what is there now.
            let granted_ms = u64::from(cdr.record.granted_s) * 1000;
            let held_s = match self.runs_dry(cdr.customer, &terms) {
                true => terms.billed_s(granted_ms).unwrap_or(u64::MAX),
                false => 0,
            };
            let callee = cdr.record.callee_billed.to_text().into_owned();
            // What it held is nobody's yet.
            self.hold_cover(&cover);
            let free = self.allowances(time, cdr.customer, cdr.record.started_us, &callee);
            self.give_cover_back(&cover);
            cover.extend(&terms.price, &free, held_s, billed_s);
        }
        cover.cut(&terms.price, billed_s);
        let mut changed = BTreeSet::new();
        for covered in cover.iter() {
            let found = self.subscriptions.of_period(covered.subscription, covered.period);
            let Some(kept) = found else { continue };
            kept.standing.used_s = kept.standing.used_s.saturating_add(covered.minutes_s());
            kept.standing.used =
                kept.standing.used.plus(covered.worth).unwrap_or(kept.standing.used);
            changed.insert(covered.subscription);
        }
        let charge =
            charge_beside(cdr.charged_ms(), &terms.price, &terms.rounding, &cover.stretches());
        let fee = charge.map_or(Money::ZERO, |charge| charge.fee);
        let ids = self.subscriptions.of_account.get(&cdr.customer).cloned().unwrap_or_default();
        for id in ids {
            self.turn(time, id);
            let counts = self.state.subscribed(id).is_some_and(|(_, it, _)| it.counts_calls());
            let Some(kept) = self.subscriptions.kept.get_mut(&id).filter(|_| counts) else {
                continue;
            };
            if kept.standing.state == State::Active && fee > Money::ZERO {
                kept.standing.spent = kept.standing.spent.plus(fee).unwrap_or(kept.standing.spent);
                changed.insert(id);
            }
        }
        for id in changed {
            self.store_standing(id);
        }
        cdr.covered = cover.iter().map(|it| self.covered_shown(it)).collect();
        cdr.cover = cover;
    }

    fn covered_shown(&self, it: &Covered) -> CoveredShown {
        let subscribed = self.state.subscribed(it.subscription);
        CoveredShown {
            subscription: subscribed.map_or("", |(subscription, ..)| &subscription.name).to_owned(),
            package: subscribed.map_or("", |(_, package, _)| &package.name).to_owned(),
            period: it.period,
            means: it.means.name().to_owned(),
            from_s: it.from_s,
            seconds: it.seconds(),
            amount: it.worth.into(),
        }
    }
}
