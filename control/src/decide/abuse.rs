//! Which account begins to call where it is dear (DBL-11): the engine of `guard`, fed and obeyed.
//!
//! ```text
//!  admit: does the number begin with one of TG_ABUSE_PREFIXES?
//!            │ yes
//!         counted by account ──▶ listed: an alarm, kept; with TG_ABUSE_REFUSE=1 this call and those after it are 403
//!            │ no more than is allowed, or usual
//!         goes on
//! ```
//!
//! The number is the one that the tariff sees, after the rules of the customer's gateway. A call counts once lock, lines
//! and pace of the customer let it through, whatever becomes of it then: a script that tries what is not sold to it
//! is a sign as well. Numbers of phones of ours and of emergencies never count. No address is shut out by it.

use std::time::Duration;

use guard::{Abuse, AbuseRule, Abuser};
use link::record::EndReason;
use numbers::Number;
use serde_json::Value;

use super::Office;
use super::admit::No;
use crate::journal::{Event, Severity};
use crate::page::Page;
use crate::shown::{self, AbuseFigures, AbuserShown, Moment};
use crate::state::entity::Kind;
use crate::store::{Change, HabitKept};
use crate::{Refusal, Time};

/// The alarm.
const ALARM: &str = "destination_abuse";

/// What accounts call where it is dear.
#[derive(Default)]
pub(super) struct Watch {
    abuse: Abuse,
    /// Calls by each account that is listed: since it was, and of them refused. Not kept over a restart.
    further: std::collections::BTreeMap<u32, (u64, u64)>,
    /// Listed before the start, and no alarm says so yet.
    untold: Vec<u32>,
    calls: u64,
    refused: u64,
}

impl Watch {
    /// With what the store remembers.
    pub(super) fn restore(kept: Vec<HabitKept>) -> Self {
        let mut watch = Self::default();
        for habit in kept.into_iter().map(HabitKept::habit) {
            watch.untold.extend(habit.abuser.as_ref().map(|it| it.account));
            watch.abuse.restore(&habit);
        }
        watch
    }
}

fn subject(name: &str) -> String {
    format!("account {name}")
}

impl Office {
    fn abuse_rule(&self) -> AbuseRule {
        let values = &self.state.values;
        AbuseRule {
            limit: values.small("TG_ABUSE_LIMIT"),
            window: Duration::from_secs(values.number("TG_ABUSE_WINDOW")),
            factor: values.small("TG_ABUSE_FACTOR"),
            time: Duration::from_secs(values.number("TG_ABUSE_TIME")),
        }
    }

    fn refuses_abuse(&self) -> bool {
        self.state.values.number("TG_ABUSE_REFUSE") == 1
    }

    /// The prefix by which a number is dear. `None`: it is not, or it is a phone's of ours.
    fn dear_prefix(&self, callee: &Number) -> Option<&str> {
        let prefixes = self.state.values.names("TG_ABUSE_PREFIXES");
        let mut known = prefixes.filter(|prefix| callee.as_str().starts_with(prefix));
        known.next().filter(|_| {
            let is_ours = self.state.customers.of_number(callee).is_some();
            !is_ours && !self.state.values.is_emergency(callee.as_str())
        })
    }

    /// Counts a call if it goes where it is dear, and says whether it may.
    pub(super) fn check_abuse(
        &mut self,
        time: Time,
        account: u32,
        callee: &Number,
    ) -> Result<(), No> {
        let Some(prefix) = self.dear_prefix(callee).map(str::to_owned) else { return Ok(()) };
        let (rule, refuses) = (self.abuse_rule(), self.refuses_abuse());
        if rule.limit == 0 {
            return Ok(());
        }
        self.abuse.calls += 1;
        let reckoning = self.abuse.abuse.handle_call(&rule, time.wall_us, account, &prefix);
        if let Some(gone) = reckoning.forgotten {
            self.forget_habit(gone);
        }
        if let Some(abuser) = &reckoning.listed {
            self.abuse.further.insert(account, (0, 0));
            self.raise_abuse(time, abuser);
        }
        if reckoning.learned {
            self.keep_habit(account);
        }
        if self.abuse.abuse.find(time.wall_us, account).is_none() {
            return Ok(());
        }
        let (further, refused) = self.abuse.further.entry(account).or_default();
        *further += u64::from(reckoning.listed.is_none());
        if !refuses {
            return Ok(());
        }
        *refused += 1;
        self.abuse.refused += 1;
        Err(No::new(403, EndReason::DestinationAbuse))
    }

    /// Whether a call of this account to this number would be refused for it.
    pub(super) fn is_refused_for_abuse(&self, time: Time, account: u32, callee: &Number) -> bool {
        self.dear_prefix(callee).is_some()
            && self.abuse.abuse.find(time.wall_us, account).is_some()
            && self.refuses_abuse()
    }

    fn raise_abuse(&mut self, time: Time, abuser: &Abuser) {
        let name = self.state.name_of(Kind::Account, abuser.account).to_owned();
        let window_s = self.state.values.number("TG_ABUSE_WINDOW");
        // Nobody but a person stops what is only watched.
        let (severity, done) = match self.refuses_abuse() {
            true => (Severity::Warning, "further ones are refused"),
            false => (Severity::Critical, "they go on"),
        };
        let Abuser { prefix, calls, usual, .. } = abuser;
        let detail = format!(
            "{calls} calls to {prefix} and the like within {window_s} s, {usual} are usual; {done}: \
             `tollgate firewall abuse clear {name}` ends it"
        );
        let (at_us, subject) = (time.wall_us, subject(&name));
        self.journal.raise(Event { at_us, name: ALARM, subject, severity, detail });
    }

    fn clear_abuse_alarm(&mut self, time: Time, account: u32) {
        self.abuse.further.remove(&account);
        let subject = subject(self.state.name_of(Kind::Account, account));
        self.journal.clear(time.wall_us, ALARM, &subject);
    }

    fn keep_habit(&mut self, account: u32) {
        if let Some(habit) = self.abuse.abuse.habit(account) {
            self.change(Change::Habit(Box::new(HabitKept::new(&habit))));
        }
    }

    fn forget_habit(&mut self, account: u32) {
        self.abuse.further.remove(&account);
        self.change(Change::HabitGone(account));
    }

    /// An account is about to go, and with it what it called.
    pub(super) fn forget_abuse_of(&mut self, time: Time, account: u32, name: &str) {
        if self.abuse.abuse.forget(account) {
            self.forget_habit(account);
            self.journal.clear(time.wall_us, ALARM, &subject(name));
        }
    }

    /// Entries end, and what is usual of nobody any more is forgotten.
    pub(super) fn handle_abuse_time(&mut self, time: Time) {
        let (mut ended, mut forgotten) = (Vec::new(), Vec::new());
        self.abuse.abuse.handle_time(
            time.wall_us,
            |account| ended.push(account),
            |account| forgotten.push(account),
        );
        for account in std::mem::take(&mut self.abuse.untold) {
            if let Some(abuser) = self.abuse.abuse.find(time.wall_us, account).cloned() {
                self.raise_abuse(time, &abuser);
            }
        }
        for account in ended {
            self.clear_abuse_alarm(time, account);
            self.keep_habit(account);
        }
        for account in forgotten {
            self.forget_habit(account);
        }
    }

    /// What was counted.
    pub(super) fn abuse_figures(&self, time: Time) -> AbuseFigures {
        AbuseFigures {
            listed: self.abuse.abuse.list(time.wall_us).count(),
            calls: self.abuse.calls,
            refused: self.abuse.refused,
        }
    }

    /// Who is listed, a page of them.
    pub(super) fn abusers(&self, time: Time, page: &Page) -> Result<Value, Refusal> {
        let behind = page.number()?.unwrap_or(0);
        let listed = self.abuse.abuse.list(time.wall_us);
        let mut found: Vec<&Abuser> = listed.filter(|it| u64::from(it.account) > behind).collect();
        found.sort_by_key(|it| it.account);
        Ok(page.fill(found, |it| it.account.to_string(), |it| self.abuser_shown(time, it)))
    }

    fn abuser_shown(&self, time: Time, it: &Abuser) -> Value {
        let further = self.abuse.further.get(&it.account).copied().unwrap_or_default();
        shown::json(AbuserShown {
            account: self.state.name_of(Kind::Account, it.account).to_owned(),
            prefix: it.prefix.clone().into(),
            calls: it.calls,
            usual: it.usual,
            busiest: it.busiest,
            further: further.0,
            refused: further.1,
            since: Moment::at(it.since_us),
            until: Moment::at(it.until_us),
            left_s: it.until_us.saturating_sub(time.wall_us).div_ceil(1_000_000),
        })
    }

    /// Takes an account from the list at once. `accept`: what it called is usual from now on.
    pub(super) fn clear_abuse(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        accept: Option<&str>,
    ) -> Result<Value, Refusal> {
        let accepts = match accept {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => {
                return Err(Refusal::invalid(format!("accept: {other:?}; it is 0 or 1")));
            }
        };
        let account = self.state.account(name)?.id;
        let abuse = &mut self.abuse.abuse;
        let was = match accepts {
            true => abuse.accept(time.wall_us, account),
            false => abuse.clear(time.wall_us, account),
        };
        let was = was.ok_or_else(|| Refusal::missing("account on the list", name))?;
        let detail = match accepts {
            true => format!("by {who}: {} calls are usual from now on", was.busiest),
            false => format!("by {who}"),
        };
        self.clear_abuse_alarm(time, account);
        self.keep_habit(account);
        self.note(time, "abuse_cleared", &subject(name), detail);
        Ok(Value::Null)
    }
}
