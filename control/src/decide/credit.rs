//! Credit: how long a balance lets a call talk, and what is held on it meanwhile.
//!
//! An account that can run dry is never asked for more than the next stretch of each call: a slice is held when the call
//! is admitted, the next one when half of the last has passed (`Ask::Extend`), and all of it is given back when the end
//! is charged. So what runs on one balance never costs more than is there, however many calls there are, and none keeps
//! others out for the length of the longest call that it might become.
//!
//! available = balance + credit − what is held. What a slice costs is the call's charge up to its end, in whole blocks; the
//! seconds that the same money pays for are granted with it. Packages pay before the balance does (`package.rs`): what of
//! them a slice takes is held likewise, and told to the store before the call hears of it, so that the control after this
//! one holds the same.

use link::answer::Extended;
use link::ask::Extend;
use link::record::{EndReason, NEVER};
use link::{Answer, CallRecord};
use numbers::Number;
use rating::charge::affordable_s;
use rating::{Money, Terms};
use routing::MappingGateway;

use super::admit::No;
use super::{Office, Waiting};
use crate::Time;
use crate::package::{Allowance, Cover};
use crate::state::entity::Account;
use crate::store::Change;

/// With less than this left, a call that found no money does not ask again.
const ASKS_AGAIN_S: u32 = 4;

/// How long a call may talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    /// Seconds from the answer on; 0: no limit.
    pub(super) granted_s: u32,
    /// When to ask for more; see [`Extended::extend_at_s`].
    pub(super) extend_at_s: u32,
    /// Held for it on the customer's balance.
    pub(super) reserved: Money,
}

/// What a call has when it wants more.
#[derive(Clone, Default)]
struct Has {
    granted_s: u32,
    talked_s: u32,
    reserved: Money,
    cover: Cover,
}

impl Office {
    /// The first stretch of a call: at least what `PREVENT_OVERDRAFT_ADVANCE_TIME` asks for.
    pub(super) fn admit_credit(
        &mut self,
        time: Time,
        gateway: &MappingGateway,
        terms: &Terms,
        callee: &Number,
    ) -> Result<(Grant, Cover), No> {
        let longest = self.longest(gateway);
        let free = self.free_for(time, gateway.account, terms, time.wall_us, callee.as_str());
        let none = || No::new(403, self.short_of(time, gateway.account));
        let grant = self.grant(time, gateway.account, longest, terms, &free, Has::default());
        let (grant, cover) = grant.ok_or_else(none)?;
        if self.is_enough(&grant, longest) { Ok((grant, cover)) } else { Err(none()) }
    }

    /// The same of a call that may come to cost any of several prices, without packages: what the money pays for by
    /// whichever, of those prices that it pays for at all. `None`: it pays for none.
    pub(super) fn grant_any(
        &self,
        time: Time,
        gateway: &MappingGateway,
        all: &[Terms],
    ) -> Option<(Grant, Vec<Terms>)> {
        let (account, longest) = (gateway.account, self.longest(gateway));
        let granted = |terms: &Terms| {
            let grant = self.grant(time, account, longest, terms, &[], Has::default());
            let (grant, _) = grant.filter(|(grant, _)| self.is_enough(grant, longest))?;
            Some((*terms, grant))
        };
        let paid: Vec<(Terms, Grant)> = all.iter().filter_map(granted).collect();
        let shortest = paid.iter().map(|(_, grant)| *grant).min_by_key(|it| most(it.granted_s))?;
        let reserved = paid.iter().map(|(terms, grant)| {
            if grant.granted_s == shortest.granted_s || !self.runs_dry(account, terms) {
                return grant.reserved;
            }
            let charge = terms.charge(u64::from(shortest.granted_s) * 1000);
            // What a longer stretch costs is money, so what a shorter one costs is.
            charge.and_then(|charge| charge.total()).unwrap_or(grant.reserved)
        });
        let reserved = reserved.max().unwrap_or(shortest.reserved);
        let paid = paid.iter().map(|(terms, _)| *terms).collect();
        Some((Grant { reserved, ..shortest }, paid))
    }

    /// Whether a first stretch is as long as `PREVENT_OVERDRAFT_ADVANCE_TIME` asks for.
    fn is_enough(&self, grant: &Grant, longest: u32) -> bool {
        let advance_s = self.advance_s().min(most(longest));
        grant.granted_s == 0 || grant.granted_s >= advance_s.max(1)
    }

    /// What packages have for a call that runs on a limited balance; another one takes of them once it has ended.
    fn free_for(
        &mut self,
        time: Time,
        account: u32,
        terms: &Terms,
        began_us: u64,
        callee: &str,
    ) -> Vec<Allowance> {
        if self.runs_dry(account, terms) {
            self.allowances(time, account, began_us, callee)
        } else {
            Vec::new()
        }
    }

    /// Seconds that a call may go on beyond what was granted while nobody can grant more.
    pub(super) fn grace_s(&self, account: u32) -> u32 {
        let credit = self.state.account_of(account).and_then(|account| account.credit);
        let is_prepaid = credit.is_none_or(|credit| credit == Money::ZERO);
        self.state.values.small(if is_prepaid { "TG_GRACE_PREPAID" } else { "TG_GRACE_POSTPAID" })
    }

    /// A call has used half of what it was granted last.
    pub(super) fn handle_extend(
        &mut self,
        time: Time,
        worker: usize,
        extend: &Extend,
        record: Option<CallRecord>,
    ) {
        // A call that nobody knows has ended, and its end is on its way.
        let Some(record) = record else { return };
        self.hold_answered(time, &record);
        let Some(live) = self.live.get(&record.id) else { return };
        let (account, mapping, had) = (live.account, live.mapping, live.granted);
        let Some(terms) = live.terms else { return };
        if had.granted_s <= extend.granted_s {
            let cover = live.cover.clone();
            let callee = record.callee_billed.to_text().into_owned();
            let free = self.free_for(time, account, &terms, record.started_us, &callee);
            let Extend { granted_s, talked_s, .. } = *extend;
            let has = Has { granted_s, talked_s, reserved: had.reserved, cover: cover.clone() };
            let longest = self.state.customers.get(mapping);
            let longest = longest.map_or(0, |customer| self.longest(&customer.gateway));
            let granted = self.grant(time, account, longest, &terms, &free, has);
            let Some((grant, covered)) = granted else { return };
            if covered != cover {
                self.change(Change::Covered(record.id, Box::new(covered.clone())));
            }
            self.hold(record.id, grant, covered);
        }
        // Or else the answer was lost.
        let Some(live) = self.live.get(&record.id) else { return };
        let Grant { granted_s, extend_at_s, .. } = live.granted;
        let extended = Extended { call: extend.call, granted_s, extend_at_s };
        if live.cover.is_empty() {
            return self.answer(worker, Answer::Extended(extended));
        }
        // What packages pay for is durable before the call may talk on it.
        let sequence = self.last_change();
        self.wait(sequence, Waiting::Extended(worker, extended));
        if sequence <= self.stored {
            self.handle_stored(self.stored);
        }
    }

    /// What a call that runs already may have been granted by the control before this one, at most: an answer that is
    /// on its way to the call is in no record yet. `cover` is what the store knows that packages pay for of it; of a call
    /// that was only admitted it knows nothing, so that takes of them anew.
    pub(super) fn granted_before(
        &mut self,
        time: Time,
        terms: Option<&Terms>,
        record: &CallRecord,
        mut cover: Cover,
        further_s: u32,
    ) -> (Grant, Cover) {
        let granted_s = record.granted_s;
        let known = Grant { granted_s, ..Grant::default() };
        let Some(terms) = terms.filter(|_| granted_s > 0) else { return (known, cover) };
        let account = self.state.customers.get(record.customer_gateway);
        let account = account.map_or(0, |customer| customer.gateway.account);
        if !self.runs_dry(account, terms) {
            return (known, cover);
        }
        let reaches_s = u64::from(granted_s) + u64::from(further_s);
        if cover.is_empty() {
            let callee = record.callee_billed.to_text();
            let free = self.allowances(time, account, record.started_us, &callee);
            cover.extend(&terms.price, &free, 0, billed(terms, granted_s));
        }
        let reserved = terms.charge_beside(reaches_s * 1000, &cover.stretches());
        let reserved = reserved.and_then(|charge| charge.total()).unwrap_or(Money::ZERO);
        (Grant { reserved, ..known }, cover)
    }

    /// A call whose memory is gone had been granted more than its start says, if it talked for longer. That was held for it,
    /// and nobody has had it since: it is charged for as long as it talked, as far as there is money.
    pub(super) fn grant_talked(
        &self,
        time: Time,
        account: u32,
        record: &mut CallRecord,
        cover: &Cover,
    ) {
        let talked_s = record.ended_ms.saturating_sub(record.answered_ms).div_ceil(1000);
        let terms = Terms::from_words(&record.customer_terms.words);
        let Some(terms) = terms.filter(|_| (1..talked_s).contains(&record.granted_s)) else {
            return;
        };
        let mut pays_s = u64::from(talked_s);
        if self.runs_dry(account, &terms) {
            let held = self.state.balances.get(&account).map_or(Money::ZERO, |it| it.reserved);
            let available = self.available(time, account, held).into_iter().flatten().flatten();
            let money = available.min().unwrap_or(Money::ZERO);
            let covered = cover.stretches();
            pays_s = affordable_s(money, &terms.price, &terms.rounding, &covered, pays_s);
        }
        record.granted_s = record.granted_s.max(u32::try_from(pays_s).unwrap_or(talked_s));
    }

    /// A call is answered: from now on it costs. One whose admission a control before this one had decided, and that had
    /// not heard it when this one began, is held for here, and so is one of whose routes each has its price.
    pub(super) fn hold_answered(&mut self, time: Time, record: &CallRecord) {
        let Some(live) = self.live.get(&record.id) else { return };
        if live.terms.is_some() || record.ended_ms != NEVER {
            return;
        }
        let cover = live.cover.clone();
        let terms = Terms::from_words(&record.customer_terms.words);
        // What this control granted it knows.
        let is_known = live.granted.granted_s > 0;
        let further_s = if is_known { 0 } else { self.slice_s() };
        let extend_at_s = live.granted.extend_at_s;
        let (grant, cover) = self.granted_before(time, terms.as_ref(), record, cover, further_s);
        let grant = Grant { extend_at_s, ..grant };
        if let Some(live) = self.live.get_mut(&record.id) {
            live.terms = terms;
        }
        self.hold(record.id, grant, cover);
    }

    /// Holds so much for a call from now on, in place of what was held.
    fn hold(&mut self, id: [u64; 2], grant: Grant, cover: Cover) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let former = std::mem::replace(&mut live.cover, cover.clone());
        self.give_cover_back(&former);
        self.hold_cover(&cover);
        let Some(live) = self.live.get_mut(&id) else { return };
        let former = std::mem::replace(&mut live.granted, grant).reserved;
        if let Some(balance) = self.state.balances.get_mut(&live.account) {
            let without = balance.reserved.minus(former);
            let held = without.and_then(|without| without.plus(grant.reserved));
            balance.reserved = held.unwrap_or(balance.reserved);
        }
    }

    /// Whether a call of that price uses up a balance of that account.
    pub(super) fn runs_dry(&self, account: u32, terms: &Terms) -> bool {
        let limits =
            |account: &Account| account.credit.is_some() || account.spend_per_day_max > Money::ZERO;
        self.state.account_of(account).is_some_and(limits) && !terms.price.is_free()
    }

    /// What an account has and no other call holds, of its balance and of its day; `held`: what is held.
    fn available(&self, time: Time, account: u32, held: Money) -> Option<[Option<Money>; 2]> {
        let account = self.state.account_of(account)?;
        let balance = self.state.balances.get(&account.id).copied().unwrap_or_default();
        let less = |money: Money| money.minus(held).ok();
        let of_balance = account.credit.and_then(|credit| balance.amount.plus(credit).ok());
        Some([of_balance.and_then(less), self.left_today(time, account).and_then(less)])
    }

    /// Why a call that costs something is refused.
    fn short_of(&self, time: Time, account: u32) -> EndReason {
        let held = self.state.balances.get(&account).map_or(Money::ZERO, |it| it.reserved);
        match self.available(time, account, held) {
            Some([balance, Some(day)]) if balance.is_none_or(|balance| day < balance) => {
                EndReason::SpendLimit
            }
            _ => EndReason::NoBalance,
        }
    }

    /// How long a call may become, by its gateway and its account, s; 0: no limit.
    fn longest(&self, gateway: &MappingGateway) -> u32 {
        if self.state.values.number("SS_ENABLE_CALL_LIMIT") == 0 {
            return 0;
        }
        let account = self.state.account_of(gateway.account);
        let both = [gateway.talk_s_max, account.map_or(0, |it| it.talk_s_max)];
        both.into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
    }

    pub(super) fn slice_s(&self) -> u32 {
        self.state.values.small("TG_CREDIT_SLICE")
    }

    fn advance_s(&self) -> u32 {
        self.state.values.small("PREVENT_OVERDRAFT_ADVANCE_TIME") * 60
    }

    /// The next stretch, and what of it `free` packages pay for. `None`: there was nothing, and there is not a second.
    fn grant(
        &self,
        time: Time,
        account: u32,
        longest: u32,
        terms: &Terms,
        free: &[Allowance],
        has: Has,
    ) -> Option<(Grant, Cover)> {
        if !self.runs_dry(account, terms) {
            return Some((Grant { granted_s: longest, ..Grant::default() }, has.cover));
        }
        let held = self.state.balances.get(&account).map_or(Money::ZERO, |it| it.reserved);
        let others = held.minus(has.reserved).ok()?;
        let available = self.available(time, account, others)?.into_iter().flatten().min()?;
        let most = most(longest);
        // Where control was away, what was talked in the grace is had already.
        let from = has.granted_s.max(has.talked_s);
        let first_s = if has.granted_s == 0 { self.advance_s() } else { 0 };
        let wanted = from.saturating_add(self.slice_s().max(first_s)).min(most);
        let mut cover = has.cover.clone();
        cover.extend(&terms.price, free, billed(terms, from), billed(terms, wanted));
        let covered = cover.stretches();
        let cost = |seconds: u32| {
            let charge = terms.charge_beside(u64::from(seconds) * 1000, &covered);
            charge.and_then(|charge| charge.total()).ok()
        };
        // Money that is too much to be counted is more than is there. What costs nothing needs none, whatever is owed.
        let available = if cover.is_empty() { available } else { available.max(Money::ZERO) };
        let money = cost(wanted).map_or(available, |cost| cost.min(available));
        let pays_s = affordable_s(money, &terms.price, &terms.rounding, &covered, most.into());
        let granted_s = u32::try_from(pays_s).unwrap_or(u32::MAX).max(from);
        if granted_s == 0 {
            return None;
        }
        let extend_at_s = if granted_s == most {
            0
        } else if granted_s > from {
            (from + (granted_s - from) / 2).max(1)
        } else {
            has.asks_again_at()
        };
        let reserved = cost(granted_s).unwrap_or(has.reserved);
        // What nobody may talk yet is others'; what was promised before stays.
        cover.cut(&terms.price, billed(terms, granted_s).max(has.cover.end_s()));
        let granted_s = if granted_s == u32::MAX { 0 } else { granted_s };
        Some((Grant { granted_s, extend_at_s, reserved }, cover))
    }
}

impl Has {
    /// Somebody may pay meanwhile, or another call end.
    fn asks_again_at(&self) -> u32 {
        let left = self.granted_s.saturating_sub(self.talked_s);
        if left < ASKS_AGAIN_S {
            return self.granted_s.max(self.talked_s);
        }
        self.talked_s + left / 2
    }
}

/// Seconds that are billed of a call of so many.
fn billed(terms: &Terms, seconds: u32) -> u64 {
    terms.billed_s(u64::from(seconds) * 1000).unwrap_or(u64::MAX)
}

/// As a number of seconds that nothing is beyond.
fn most(longest: u32) -> u32 {
    if longest == 0 { u32::MAX } else { longest }
}
