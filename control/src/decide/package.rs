//! Subscriptions: periods begin, are paid for and end. What calls take of them is beside this, in `cover.rs`.
//!
//! ```text
//!            from            paid             ends_us
//!  waiting ───────▶ (rent) ───────▶ active ───────────▶ settled, then (rent) once more, or ended
//!                     │  ▲
//!              unpaid ▼  │ money came
//!                  suspended, or ended, or owed
//! ```
//!
//! What a subscription used and what its account is charged for it leave this loop in the group that they belong to: with
//! the record of the call, or with the next period. So no crash lets a second be used twice, or a rent be paid twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rating::Money;
use serde_json::Value;

use super::Office;
use super::books::Said;
use crate::journal::{Event, Severity};
use crate::package::{Cover, Standing, State, period};
use crate::shown::{self, ListOf, Moment, PackageFigures, SubscriptionShown};
use crate::state::entity::{Entity, FailedMode, Kind, Subscription};
use crate::store::Change;
use crate::store::ledger::{Counter, EntryKind};
use crate::{Refusal, Time};

/// Subscriptions that can be had.
const SUBSCRIPTIONS_MAX: usize = 200_000;
/// Those of one account: each of its calls looks at all of them.
const OF_ACCOUNT_MAX: usize = 100;
/// Periods that end or begin in one turn of the loop; the others follow in the next.
const TURNS_MAX: usize = 500;

/// A subscription, and what calls hold of its period.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) standing: Standing,
    pub(super) held_s: u64,
    pub(super) held: Money,
}

/// All subscriptions.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub(super) kept: BTreeMap<u32, Kept>,
    pub(super) of_account: HashMap<u32, Vec<u32>>,
    /// What happens next, and when, µs since 1970 UTC.
    due: BTreeSet<(u64, u32)>,
    /// Accounts that may have money now for what rests.
    funded: BTreeSet<u32>,
    /// What calls of a former control hold, until it is found whether they still run.
    pub(super) awaiting: HashMap<[u64; 2], Cover>,
    figures: PackageFigures,
}

impl Subscriptions {
    /// Puts one in place of what it was.
    fn put(&mut self, id: u32, kept: Kept) {
        self.remove(id);
        let Standing { state, ends_us, .. } = kept.standing;
        if matches!(state, State::Waiting | State::Active) {
            self.due.insert((ends_us, id));
        }
        *self.figures.of(state) += 1;
        self.kept.insert(id, kept);
    }

    fn remove(&mut self, id: u32) {
        let Some(kept) = self.kept.remove(&id) else { return };
        self.due.remove(&(kept.standing.ends_us, id));
        let count = self.figures.of(kept.standing.state);
        *count = count.saturating_sub(1);
    }

    /// It does something else, or its period ends at another time.
    fn change(&mut self, id: u32, state: State, ends_us: u64) -> Option<State> {
        let mut kept = self.kept.get(&id)?.clone();
        let was = std::mem::replace(&mut kept.standing.state, state);
        kept.standing.ends_us = ends_us;
        self.put(id, kept);
        Some(was)
    }
}

impl Office {
    /// What the store remembers of subscriptions and of calls that they pay for, once all documents are restored.
    pub(super) fn restore_subscriptions(
        &mut self,
        standings: Vec<Standing>,
        covers: Vec<([u64; 2], Cover)>,
    ) {
        let mut standings: HashMap<u32, Standing> =
            standings.into_iter().map(|it| (it.subscription, it)).collect();
        let documents: Vec<Subscription> = self.subscriptions().cloned().collect();
        for subscription in documents {
            let id = subscription.id;
            let fresh = Standing {
                subscription: id,
                ends_us: subscription.begins.map_or(0, |begins| begins.0),
                ..Standing::default()
            };
            let standing = standings.remove(&id).unwrap_or(fresh);
            if standing.state == State::Suspended
                && let Ok(account) = self.state.account(&subscription.account)
            {
                self.subscriptions.funded.insert(account.id);
            }
            self.keep(&subscription, Kept { standing, ..Kept::default() });
        }
        for (_, cover) in &covers {
            self.subscriptions.hold(cover);
        }
        self.subscriptions.awaiting = covers.into_iter().collect();
    }

    fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.state.documents(Kind::Subscription).filter_map(|entity| match entity {
            Entity::Subscription(subscription) => Some(subscription),
            _ => None,
        })
    }

    fn keep(&mut self, subscription: &Subscription, kept: Kept) {
        let Ok(account) = self.state.account(&subscription.account) else { return };
        self.subscriptions.of_account.entry(account.id).or_default().push(subscription.id);
        self.subscriptions.put(subscription.id, kept);
    }

    /// There is room for one more.
    pub(super) fn check_subscriptions(&self, account: &str) -> Result<(), Refusal> {
        if self.subscriptions.kept.len() >= SUBSCRIPTIONS_MAX {
            let detail = format!("{SUBSCRIPTIONS_MAX} subscriptions can be had");
            return Err(Refusal::new(507, "too many subscriptions", detail));
        }
        let account = self.state.account(account)?.id;
        let ids = self.subscriptions.of_account.get(&account);
        if ids.map_or(0, Vec::len) >= OF_ACCOUNT_MAX {
            let detail = format!("an account has up to {OF_ACCOUNT_MAX} subscriptions");
            return Err(Refusal::new(409, "too many subscriptions", detail));
        }
        Ok(())
    }

    /// An operator made one, or says when it ends.
    pub(super) fn subscribed(&mut self, time: Time, subscription: &Subscription) {
        let id = subscription.id;
        if !self.subscriptions.kept.contains_key(&id) {
            let begins_us = subscription.begins.map_or(time.wall_us, |begins| begins.0);
            let standing = Standing { subscription: id, ends_us: begins_us, ..Standing::default() };
            self.keep(subscription, Kept { standing, ..Kept::default() });
        } else if let Some(until) = subscription.ends {
            self.set_end(id, until.0);
        } else if let Some(ends_us) = self.whole_period(id) {
            self.set_end(id, ends_us);
        }
        self.store_standing(id);
        self.turn(time, id);
    }

    /// An operator deleted one: nobody is asked for anything any more.
    pub(super) fn unsubscribed(&mut self, subscription: &Subscription) {
        let id = subscription.id;
        self.subscriptions.remove(id);
        if let Ok(account) = self.state.account(&subscription.account)
            && let Some(ids) = self.subscriptions.of_account.get_mut(&account.id)
        {
            ids.retain(|one| *one != id);
        }
    }

    /// An account may have money now for what rests.
    pub(super) fn note_funded(&mut self, account: u32) {
        if self.subscriptions.of_account.contains_key(&account) {
            self.subscriptions.funded.insert(account);
        }
    }

    /// Periods that end, and rests that may.
    pub(super) fn handle_subscriptions_time(&mut self, time: Time) {
        for _ in 0..TURNS_MAX {
            let Some((at_us, id)) = self.subscriptions.due.first().copied() else { break };
            if at_us > time.wall_us {
                break;
            }
            self.turn(time, id);
        }
        while let Some(account) = self.subscriptions.funded.pop_first() {
            let ids = self.subscriptions.of_account.get(&account).cloned().unwrap_or_default();
            for id in ids {
                let state = self.subscriptions.kept.get(&id).map(|kept| kept.standing.state);
                if state == Some(State::Suspended) {
                    self.begin(time, id, time.wall_us, true);
                    self.store_standing(id);
                }
            }
        }
    }

    /// One step of a subscription whose time has come.
    pub(super) fn turn(&mut self, time: Time, id: u32) {
        let Some(kept) = self.subscriptions.kept.get(&id) else { return };
        let Standing { state, ends_us, .. } = kept.standing;
        if ends_us > time.wall_us {
            return;
        }
        match state {
            State::Waiting => self.begin(time, id, ends_us, true),
            State::Active => {
                self.settle_period(time, id);
                self.begin(time, id, ends_us, false);
            }
            State::Suspended | State::Ended => return,
        }
        self.store_standing(id);
    }

    /// The next period, if there is one and it can be paid. `anew`: periods are counted from here.
    fn begin(&mut self, time: Time, id: u32, begins_us: u64, anew: bool) {
        let Some((subscription, package, account)) = self.state.subscribed(id) else { return };
        let Some(kept) = self.subscriptions.kept.get(&id) else { return };
        let number = kept.standing.period + 1;
        let (anchor_us, anchor_period) = if anew {
            (begins_us, number)
        } else {
            (kept.standing.anchor_us, kept.standing.anchor_period)
        };
        let until_us = subscription.ends.map_or(u64::MAX, |until| until.0);
        let is_over = begins_us >= until_us
            || package.renewals.is_some_and(|renewals| number > renewals.saturating_add(1));
        if is_over {
            return self.end_subscription(time, id, "it is over");
        }
        let next = period::begins_us(
            anchor_us,
            &account.time_zone,
            package.span,
            number + 1 - anchor_period,
        );
        let (rent, account) = (package.rent, account.id);
        let memo = format!("{}: period {number}", subscription.name);
        if rent > Money::ZERO
            && package.failed_mode != FailedMode::Owe
            && !self.affords(account, rent)
        {
            return match package.failed_mode {
                FailedMode::End => self.end_subscription(time, id, "its rent could not be paid"),
                FailedMode::Suspend | FailedMode::Owe => self.suspend_subscription(time, id),
            };
        }
        let rents = format!("sub:{id}:{number}:rent");
        self.collect(time, account, rent, EntryKind::Rent, rents, memo);
        let standing = Standing {
            subscription: id,
            state: State::Active,
            period: number,
            begins_us,
            ends_us: next.min(until_us),
            anchor_us,
            anchor_period,
            ..Standing::default()
        };
        self.subscriptions.put(id, Kept { standing, ..Kept::default() });
        self.note_subscription(time, "package_begun", id, format!("period {number}"));
    }

    /// What a period costs at its end.
    fn settle_period(&mut self, time: Time, id: u32) {
        let Some((subscription, package, account)) = self.state.subscribed(id) else { return };
        let Some(kept) = self.subscriptions.kept.get(&id) else { return };
        let Standing { period, spent, .. } = kept.standing;
        let missing = package.minimum_consumption.minus(spent).unwrap_or(Money::ZERO);
        let share = spent.percent(package.rent_percent).unwrap_or(Money::ZERO);
        let (account, name) = (account.id, subscription.name.clone());
        let reference = |what: &str| format!("sub:{id}:{period}:{what}");
        let memo = format!("{name}: period {period}, calls cost {spent}");
        let kind = EntryKind::Package;
        self.collect(time, account, missing, kind, reference("minimum"), memo.clone());
        self.collect(time, account, share, EntryKind::Rent, reference("percent"), memo);
    }

    /// Takes an amount from an account, if it is one.
    fn collect(
        &mut self,
        time: Time,
        account: u32,
        amount: Money,
        kind: EntryKind,
        reference: String,
        memo: String,
    ) {
        if amount <= Money::ZERO {
            return;
        }
        let said = Said { kind, counter: Counter::Subscriptions, reference, who: "", memo };
        let moved = Money::ZERO.minus(amount);
        let moved = moved.and_then(|amount| self.move_balance(time, account, amount, said));
        if moved.is_err() {
            let name = self.state.name_of(Kind::Account, account).to_owned();
            let detail =
                format!("no balance can be so large as one less by {amount}; correct it by hand");
            self.alarm(time, "balance_overflow", name, detail);
        }
    }

    /// Whether an account has so much that no call holds.
    fn affords(&self, account: u32, amount: Money) -> bool {
        let balance = self.state.balances.get(&account).copied().unwrap_or_default();
        let credit = self.state.account_of(account).map(|account| account.credit);
        let Some(credit) = credit.unwrap_or(Some(Money::ZERO)) else { return true };
        let has = balance.amount.plus(credit).and_then(|has| has.minus(balance.reserved));
        has.is_ok_and(|has| has >= amount)
    }

    fn suspend_subscription(&mut self, time: Time, id: u32) {
        let was = self.stand(id, State::Suspended);
        if was.is_some_and(|was| was != State::Suspended) {
            let detail = "its rent could not be paid; it goes on once there is money".to_owned();
            self.note_subscription(time, "package_suspended", id, detail);
        }
    }

    fn end_subscription(&mut self, time: Time, id: u32, why: &str) {
        self.stand(id, State::Ended);
        self.note_subscription(time, "package_ended", id, why.to_owned());
    }

    /// What it did before.
    fn stand(&mut self, id: u32, state: State) -> Option<State> {
        let ends_us = self.subscriptions.kept.get(&id)?.standing.ends_us;
        self.subscriptions.change(id, state, ends_us)
    }

    /// When the running period would be over, were there no end before.
    fn whole_period(&self, id: u32) -> Option<u64> {
        let (_, package, account) = self.state.subscribed(id)?;
        let standing = &self.subscriptions.kept.get(&id)?.standing;
        let count = standing.period.checked_sub(standing.anchor_period)? + 1;
        let ends_us =
            period::begins_us(standing.anchor_us, &account.time_zone, package.span, count);
        (standing.state == State::Active).then_some(ends_us)
    }

    /// The running period is over by then, if it is not before.
    fn set_end(&mut self, id: u32, until_us: u64) {
        if let Some(whole) = self.whole_period(id) {
            self.subscriptions.change(id, State::Active, whole.min(until_us));
        }
    }

    pub(super) fn store_standing(&mut self, id: u32) {
        let Some(kept) = self.subscriptions.kept.get(&id) else { return };
        let standing = Box::new(kept.standing.clone());
        self.change(Change::Standing(standing));
    }

    fn note_subscription(&mut self, time: Time, name: &'static str, id: u32, detail: String) {
        let subject = format!("subscription {}", self.state.name_of(Kind::Subscription, id));
        let severity = if name == "package_suspended" { Severity::Warning } else { Severity::Info };
        self.journal.note(Event { at_us: time.wall_us, name, subject, severity, detail });
    }
}

/// How they are told.
impl Office {
    /// Those of an account, which are few.
    pub(super) fn subscriptions_of(&self, account: &str) -> Result<Value, Refusal> {
        let ids = self.subscriptions.of_account.get(&self.state.account(account)?.id);
        let found = ids.into_iter().flatten().filter_map(|id| self.state.subscribed(*id));
        let items = found.map(|(subscription, ..)| self.describe_subscription(subscription));
        Ok(shown::json(ListOf { items: items.collect() }))
    }

    pub(super) fn describe_subscription(&self, subscription: &Subscription) -> SubscriptionShown {
        let kept = self.subscriptions.kept.get(&subscription.id).cloned().unwrap_or_default();
        let Kept { standing, held_s, held } = kept;
        let package = self.state.package(&subscription.package).ok();
        let has_begun = standing.period > 0;
        let is_active = standing.state == State::Active;
        let left = |whole: Money, less: Money| whole.minus(less).unwrap_or(Money::ZERO);
        let taken = standing.used.plus(held).unwrap_or(standing.used);
        let amount =
            package.filter(|_| is_active).map_or(Money::ZERO, |it| left(it.free_amount, taken));
        let seconds = package.filter(|_| is_active).map_or(0, |it| it.seconds());
        SubscriptionShown {
            subscription: subscription.clone(),
            state: standing.state.name(),
            period: standing.period,
            period_from: has_begun.then(|| Moment::at(standing.begins_us)),
            period_to: is_active.then(|| Moment::at(standing.ends_us)),
            used_s: standing.used_s,
            used_amount: standing.used.into(),
            held_s,
            held_amount: held.into(),
            left_s: seconds.saturating_sub(standing.used_s.saturating_add(held_s)),
            left_amount: amount.max(Money::ZERO).into(),
            spent: standing.spent.into(),
        }
    }

    /// Subscriptions by what they do.
    pub(super) fn package_figures(&self) -> PackageFigures {
        self.subscriptions.figures
    }
}

impl PackageFigures {
    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Waiting => &mut self.waiting,
            State::Active => &mut self.active,
            State::Suspended => &mut self.suspended,
            State::Ended => &mut self.ended,
        }
    }
}
