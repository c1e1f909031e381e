//! Accounts that begin to call where it is dear.
//!
//! ```text
//!            more calls within the window than the limit, and than so many times what is usual
//!  counted ───────────────────────────────────────────────────────────────────────────────────▶ listed
//!     ▲                                                                                            │
//!     └────────────────────────── its time is over, cleared, accepted ─────────────────────────────┘
//! ```
//!
//! What is usual of an account is the mean, over the seven days (of UTC) before today, of each day's busiest
//! window. A day without such calls counts as nothing, so a new account is believed bit by bit: with a factor of
//! three the fourth ordinary day raises nothing any more. Today teaches nothing before it is over. A day on which
//! the account is listed teaches what was usual before, and no more, or whoever goes on would be believed in the
//! end; a person may say that it is usual ([`Abuse::accept`]).
//!
//! Withstands a script in an account's name that dials as fast as it can: an account has one row of fixed size.
//! When all rows are taken, the account goes that has called there least lately, and those that are listed last.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::WallUs;
use crate::table::micros;

/// Accounts that are counted.
const ACCOUNTS_MAX: usize = 65_536;
/// Days that say what is usual.
const DAYS: usize = 7;
/// They and today.
const PEAKS: usize = DAYS + 1;
const DAY_US: u64 = 86_400_000_000;
/// Parts of a window; the one that has begun comes on top. So a window is never less than its length, and up to a
/// sixth more.
const PARTS: u64 = 6;
const SLOTS: usize = PARTS as usize + 1;

/// How many calls are too many, and for how long an account stays listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbuseRule {
    /// More calls within the window list an account; 0: nothing does.
    pub limit: u32,
    /// Older calls do not count.
    pub window: Duration,
    /// And they must be more than so many times what is usual; 0: the limit alone decides.
    pub factor: u32,
    /// How long it stays listed.
    pub time: Duration,
}

/// An account that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abuser {
    /// Which account.
    pub account: u32,
    /// The prefix of the call that listed it.
    pub prefix: Box<str>,
    /// Since when.
    pub since_us: WallUs,
    /// Until when.
    pub until_us: WallUs,
    /// Calls within the window, the one that listed it included.
    pub calls: u32,
    /// How many are usual, rounded down.
    pub usual: u32,
    /// Most calls within a window since.
    pub busiest: u32,
}

/// What must be remembered of an account: without it each restart would make strangers of regular callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// Which account.
    pub account: u32,
    /// Its last day, in days since 1970 UTC.
    pub day: u64,
    /// The busiest window of that day, then of the days before it.
    pub peaks: [u32; PEAKS],
    /// When it called last.
    pub last_us: WallUs,
    /// If it is listed.
    pub abuser: Option<Abuser>,
}

/// What follows from a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reckoning {
    /// This call lists its account.
    pub listed: Option<Abuser>,
    /// There is something new to remember of it.
    pub learned: bool,
    /// Whose row was taken for it.
    pub forgotten: Option<u32>,
}

#[derive(Debug, Default)]
struct Row {
    /// How long a part of the window was when they were counted.
    part_us: u64,
    /// The part that is counted in now.
    slot: u64,
    counts: [u32; SLOTS],
    day: u64,
    /// By day, round and round.
    peaks: [u32; PEAKS],
    last_us: WallUs,
    abuser: Option<Abuser>,
}

impl Row {
    /// Counts a call. How many there are within the window.
    fn count(&mut self, at_us: WallUs, window: Duration) -> u32 {
        let part_us = (micros(window) / PARTS).max(1);
        if self.part_us != part_us {
            // Parts of another length cannot be told apart any more.
            self.part_us = part_us;
            (self.counts, self.slot) = ([0; SLOTS], 0);
        }
        let slot = at_us / part_us;
        if self.slot > slot + SLOTS as u64 {
            // The clock was far ahead: what it counted then is of no time.
            (self.counts, self.slot) = ([0; SLOTS], slot);
        }
        let gone = slot.saturating_sub(self.slot).min(SLOTS as u64);
        for past in 0..gone {
            self.counts[((slot - past) % SLOTS as u64) as usize] = 0;
        }
        // A clock that goes back counts on.
        self.slot = self.slot.max(slot);
        let now = &mut self.counts[(self.slot % SLOTS as u64) as usize];
        *now = now.saturating_add(1);
        self.counts.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))
    }

    /// It is this day, or later.
    fn turn(&mut self, day: u64) {
        if self.day > day + 1 {
            (self.peaks, self.day) = ([0; PEAKS], day);
        }
        let gone = day.saturating_sub(self.day).min(PEAKS as u64);
        for past in 0..gone {
            self.peaks[((day - past) % PEAKS as u64) as usize] = 0;
        }
        self.day = self.day.max(day);
    }

    fn today(&mut self) -> &mut u32 {
        &mut self.peaks[(self.day % PEAKS as u64) as usize]
    }

    /// The sum of the busiest windows of the days before today.
    fn week(&self) -> u64 {
        let today = (self.day % PEAKS as u64) as usize;
        let before = self.peaks.iter().enumerate().filter(|(place, _)| *place != today);
        before.map(|(_, peak)| u64::from(*peak)).sum()
    }

    fn is_listed(&self, at_us: WallUs) -> bool {
        self.abuser.as_ref().is_some_and(|it| at_us < it.until_us)
    }

    fn place(&self, account: u32) -> (bool, WallUs, u32) {
        (self.abuser.is_some(), self.last_us, account)
    }
}

/// Accounts that called where it is dear, of late.
#[derive(Debug)]
pub struct Abuse {
    rows: HashMap<u32, Row>,
    /// Whose row goes first stands first: not listed, silent for longest.
    order: BTreeSet<(bool, WallUs, u32)>,
    /// Whose time is over first.
    ends: BTreeSet<(WallUs, u32)>,
    room: usize,
}

impl Default for Abuse {
    fn default() -> Self {
        Self::with_room(ACCOUNTS_MAX)
    }
}

impl Abuse {
    /// Room for so many accounts.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        Self { rows: HashMap::new(), order: BTreeSet::new(), ends: BTreeSet::new(), room }
    }

    /// An account calls a number with this prefix.
    pub fn handle_call(
        &mut self,
        rule: &AbuseRule,
        at_us: WallUs,
        account: u32,
        prefix: &str,
    ) -> Reckoning {
        if rule.limit == 0 {
            return Reckoning::default();
        }
        let forgotten = self.make_room(account);
        let mut row = self.take(account);
        row.last_us = row.last_us.max(at_us);
        let calls = row.count(at_us, rule.window);
        let day = at_us / DAY_US;
        row.turn(day);
        let mut reckoning = Reckoning { forgotten, ..Reckoning::default() };
        let (is_listed, week) = (row.is_listed(at_us), row.week());
        let unusual = u64::from(calls) * DAYS as u64 > u64::from(rule.factor) * week;
        if let Some(abuser) = row.abuser.as_mut().filter(|_| is_listed) {
            reckoning.learned = calls > abuser.busiest;
            abuser.busiest = abuser.busiest.max(calls);
        } else if calls > rule.limit && unusual {
            let abuser = Abuser {
                account,
                prefix: prefix.into(),
                since_us: at_us,
                until_us: at_us.saturating_add(micros(rule.time)),
                calls,
                usual: u32::try_from(week / DAYS as u64).unwrap_or(u32::MAX),
                busiest: calls,
            };
            *row.today() = abuser.usual;
            row.abuser = Some(abuser.clone());
            reckoning.listed = Some(abuser);
            reckoning.learned = true;
        } else {
            let today = row.today();
            reckoning.learned = calls > *today;
            *today = calls.max(*today);
        }
        self.put(account, row);
        reckoning
    }

    /// The account, if it is listed.
    #[must_use]
    pub fn find(&self, at_us: WallUs, account: u32) -> Option<&Abuser> {
        self.rows.get(&account)?.abuser.as_ref().filter(|it| at_us < it.until_us)
    }

    /// Every account that is listed.
    pub fn list(&self, at_us: WallUs) -> impl Iterator<Item = &Abuser> {
        let rows = self.ends.iter().filter_map(|(_, account)| self.rows.get(account));
        rows.filter_map(|row| row.abuser.as_ref()).filter(move |it| at_us < it.until_us)
    }

    /// Takes an account from the list; its calls so far are not held against it. What it was listed for.
    pub fn clear(&mut self, at_us: WallUs, account: u32) -> Option<Abuser> {
        self.find(at_us, account)?;
        let mut row = self.take(account);
        let was = row.abuser.take();
        row.counts = [0; SLOTS];
        self.put(account, row);
        was
    }

    /// The same, and what it called while it was listed is what it usually calls from now on.
    pub fn accept(&mut self, at_us: WallUs, account: u32) -> Option<Abuser> {
        let was = self.clear(at_us, account)?;
        let row = self.rows.get_mut(&account)?;
        row.turn(at_us / DAY_US);
        for peak in &mut row.peaks {
            *peak = was.busiest.max(*peak);
        }
        Some(was)
    }

    /// The account is no more. Whether anything was known of it.
    pub fn forget(&mut self, account: u32) -> bool {
        let known = self.rows.contains_key(&account);
        if known {
            self.take(account);
        }
        known
    }

    /// What is to be remembered of an account.
    #[must_use]
    pub fn habit(&self, account: u32) -> Option<Habit> {
        let row = self.rows.get(&account)?;
        let peaks = std::array::from_fn(|ago| match row.day.checked_sub(ago as u64) {
            Some(day) => row.peaks[(day % PEAKS as u64) as usize],
            None => 0,
        });
        let Row { day, last_us, ref abuser, .. } = *row;
        Some(Habit { account, day, peaks, last_us, abuser: abuser.clone() })
    }

    /// What was remembered before the start. There is room for no more than are counted.
    pub fn restore(&mut self, habit: &Habit) {
        self.make_room(habit.account);
        let mut row = self.take(habit.account);
        row.day = habit.day;
        for (ago, peak) in habit.peaks.iter().enumerate() {
            if let Some(day) = habit.day.checked_sub(ago as u64) {
                row.peaks[(day % PEAKS as u64) as usize] = *peak;
            }
        }
        row.last_us = habit.last_us;
        row.abuser.clone_from(&habit.abuser);
        self.put(habit.account, row);
    }

    /// Moves on what time has moved: who is listed no longer goes to `ended`, who has called nothing for so long
    /// that nothing is usual to `forgotten`.
    pub fn handle_time(
        &mut self,
        at_us: WallUs,
        mut ended: impl FnMut(u32),
        mut forgotten: impl FnMut(u32),
    ) {
        while let Some((until_us, account)) = self.ends.first().copied() {
            if until_us > at_us {
                break;
            }
            let mut row = self.take(account);
            row.abuser = None;
            self.put(account, row);
            ended(account);
        }
        while let Some((false, last_us, account)) = self.order.first().copied() {
            if last_us.saturating_add(PEAKS as u64 * DAY_US) > at_us {
                break;
            }
            self.take(account);
            forgotten(account);
        }
    }

    /// Whose row goes, if one must for this account.
    fn make_room(&mut self, account: u32) -> Option<u32> {
        if self.rows.len() < self.room || self.rows.contains_key(&account) {
            return None;
        }
        let (_, _, first) = self.order.first().copied()?;
        self.take(first);
        Some(first)
    }

    /// The row of an account, taken out; of one that is not known, a new one.
    fn take(&mut self, account: u32) -> Row {
        let Some(row) = self.rows.remove(&account) else { return Row::default() };
        self.order.remove(&row.place(account));
        if let Some(abuser) = &row.abuser {
            self.ends.remove(&(abuser.until_us, account));
        }
        row
    }

    fn put(&mut self, account: u32, row: Row) {
        self.order.insert(row.place(account));
        if let Some(abuser) = &row.abuser {
            self.ends.insert((abuser.until_us, account));
        }
        self.rows.insert(account, row);
    }
}

#[cfg(test)]
mod tests;
