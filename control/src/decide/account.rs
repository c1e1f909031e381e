//! Accounts: what each may do at a time, in a second, in a day, and where; and what people are told of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use link::record::EndReason;
use numbers::Number;
use rating::Money;
use routing::Limits;

use super::Office;
use super::admit::No;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::state::entity::{Account, Entity, Kind};

/// What was spent is added up by quarters of an hour: every zone's day begins with one.
pub const QUARTER_US: u64 = 900_000_000;
/// A day of summer time's end, and more.
const KEPT_US: u64 = 26 * 4 * QUARTER_US;
/// How often accounts are looked at that expire.
const LOOK: Duration = Duration::from_secs(1);

/// What accounts spent lately, and which of them people were told of.
#[derive(Default)]
pub(super) struct Watched {
    /// Charges by account and quarter of an hour.
    spent: HashMap<u32, BTreeMap<u64, Money>>,
    /// When accounts are looked at again.
    due: Duration,
    /// Accounts that expire, and have.
    expired: BTreeMap<u32, bool>,
    /// Whether balances of before this start were looked at.
    begun: bool,
}

impl Watched {
    /// Charges in billionths by account and quarter.
    pub(super) fn restore(spent: Vec<(u32, u64, i64)>) -> Self {
        let mut watched = Self::default();
        for (account, quarter, billionths) in spent {
            let quarters = watched.spent.entry(account).or_default();
            quarters.insert(quarter, Money::from_billionths(billionths));
        }
        watched
    }
}

impl Account {
    /// `active`, `locked` or `expired`.
    #[must_use]
    pub fn state_at(&self, wall_us: u64) -> &'static str {
        match self.expires {
            _ if self.locked => "locked",
            Some(at) if at.0 <= wall_us => "expired",
            _ => "active",
        }
    }

    fn limits(&self) -> Limits {
        Limits { lines_max: self.lines_max, cps_max: self.cps_max }
    }
}

impl Office {
    /// Lock, end, lines and pace of an account.
    pub(super) fn check_account(&self, time: Time, account: u32) -> Result<(), No> {
        let found = self.state.account_of(account);
        let Some(found) = found.filter(|it| it.state_at(time.wall_us) == "active") else {
            return Err(No::new(403, EndReason::Locked));
        };
        let calls = self.state.balances.get(&account).map_or(0, |balance| balance.calls);
        let common = self.state.values.number("SS_MAXCONCURRENTCALL");
        let most = if found.lines_max > 0 { found.lines_max.into() } else { common };
        if most > 0 && u64::from(calls) >= most {
            return Err(No::new(503, EndReason::LinesFull));
        }
        let pace = self.state.limiters.get(&account);
        if pace.is_some_and(|pace| !pace.has_pace(time.now, found.limits())) {
            return Err(No::at_pace());
        }
        Ok(())
    }

    /// One more call of an account in this second.
    pub(super) fn take_account_pace(&mut self, time: Time, account: u32) {
        let limits = self.state.account_of(account).map(Account::limits);
        // Who has no limit needs no count.
        if let Some(limits) = limits.filter(|limits| limits.cps_max > 0) {
            self.state.limiters.entry(account).or_default().take_pace(time.now, limits);
        }
    }

    /// Whether an account may call there. Emergency numbers and our own phones it always may.
    pub(super) fn check_destination(&self, account: u32, callee: &Number) -> Result<(), No> {
        let Some(account) = self.state.account_of(account) else { return Ok(()) };
        let (values, number) = (&self.state.values, callee.as_str());
        let is_free = !account.international_blocked
            && !account.premium_blocked
            && account.prefixes_mode.is_empty();
        if is_free
            || values.is_emergency(number)
            || self.state.customers.of_number(callee).is_some()
        {
            return Ok(());
        }
        let is_foreign =
            account.international_blocked && !values.has_prefix("TG_HOME_PREFIXES", number);
        let is_premium =
            account.premium_blocked && values.has_prefix("TG_PREMIUM_PREFIXES", number);
        if is_foreign || is_premium || !account.allows(number) {
            return Err(No::new(403, EndReason::DestinationBarred));
        }
        Ok(())
    }

    /// What an account has spent since its day began.
    pub(super) fn spent_today(&self, time: Time, account: &Account) -> Money {
        let begins = day_begins(time.wall_us, &account.time_zone);
        let quarters = self.watched.spent.get(&account.id);
        let today = quarters.map(|it| it.range(begins / QUARTER_US..)).into_iter().flatten();
        today.fold(Money::ZERO, |sum, (_, spent)| sum.plus(*spent).unwrap_or(sum))
    }

    /// What an account may still spend today, what is held for running calls not counted. `None`: there is no limit.
    pub(super) fn left_today(&self, time: Time, account: &Account) -> Option<Money> {
        if account.spend_per_day_max == Money::ZERO {
            return None;
        }
        let left = account.spend_per_day_max.minus(self.spent_today(time, account));
        Some(left.unwrap_or(Money::ZERO))
    }

    /// A call was charged.
    pub(super) fn note_spent(&mut self, time: Time, account: u32, fee: Money) {
        let quarters = self.watched.spent.entry(account).or_default();
        let quarter = quarters.entry(time.wall_us / QUARTER_US).or_default();
        *quarter = quarter.plus(fee).unwrap_or(*quarter);
        let oldest = time.wall_us.saturating_sub(KEPT_US) / QUARTER_US;
        while quarters.first_key_value().is_some_and(|(quarter, _)| *quarter < oldest) {
            quarters.pop_first();
        }
    }

    /// The balance of an account, or what is asked of it, changed: one alarm while it is too low.
    pub(super) fn watch_balance(&mut self, time: Time, account: u32) {
        const NAME: &str = "balance_low";
        let Some(found) = self.state.account_of(account) else { return };
        let common = self.state.values.number("SS_CLIENT_LOW_BALANCE_ALARM");
        let common = (common > 0 && found.role == "customer").then_some(common);
        let common = common.and_then(|whole| i64::try_from(whole).ok()?.checked_mul(1_000_000_000));
        let least = found.low_balance.or(common.map(Money::from_billionths));
        let balance = self.state.balances.get(&account).map_or(Money::ZERO, |it| it.amount);
        let subject = format!("account {}", found.name);
        let least = least.filter(|least| balance < *least);
        match least {
            None => self.journal.clear(time.wall_us, NAME, &subject),
            Some(_) if self.journal.stands(NAME, &subject) => {}
            Some(least) => self.journal.raise(Event {
                at_us: time.wall_us,
                name: NAME,
                detail: format!("{balance} {} is left, less than {least}", found.currency),
                subject,
                severity: Severity::Warning,
            }),
        }
    }

    /// Accounts that expired since somebody looked.
    pub(super) fn handle_accounts_time(&mut self, time: Time) {
        if time.now < self.watched.due {
            return;
        }
        self.watched.due = time.now + LOOK;
        let is_new = !std::mem::replace(&mut self.watched.begun, true);
        let mut accounts = Vec::new();
        for entity in self.state.documents_behind(Kind::Account, "") {
            let Entity::Account(account) = entity else { continue };
            if is_new {
                accounts.push(account.id);
            }
            let is_over = account.expires.is_some_and(|at| at.0 <= time.wall_us);
            let was = self.watched.expired.insert(account.id, is_over);
            if is_over && was == Some(false) {
                let at_us = time.wall_us;
                let (subject, severity) = (format!("account {}", account.name), Severity::Warning);
                let detail = "its calls are refused from now on".to_owned();
                let name = "account_expired";
                self.journal.note(Event { at_us, name, subject, severity, detail });
            }
        }
        for account in accounts {
            self.watch_balance(time, account);
        }
    }

    /// People changed an account: its history says how its state did, and by whom.
    pub(super) fn note_state(&mut self, time: Time, who: &str, was: &Account, is: &Account) {
        let name = match (was.locked, is.locked) {
            (false, true) => "account_locked",
            (true, false) => "account_unlocked",
            _ if was.expires != is.expires => "account_expiry_changed",
            _ => "",
        };
        if !name.is_empty() {
            let expires = is.expires.map(|at| format!(", expires {at}")).unwrap_or_default();
            let by = if who.is_empty() { String::new() } else { format!("by {who}") };
            self.note(time, name, &format!("account {}", is.name), format!("{by}{expires}"));
        }
        self.watch_balance(time, is.id);
        self.note_funded(is.id);
    }
}

/// When the day of that zone began, µs since 1970 UTC.
fn day_begins(wall_us: u64, zone: &str) -> u64 {
    let now = i64::try_from(wall_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    // A zone was found when it was entered.
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let day = now.and_then(|now| now.to_zoned(zone).start_of_day().ok());
    day.and_then(|day| u64::try_from(day.timestamp().as_microsecond()).ok()).unwrap_or(wall_us)
}
