//! The storage thread: groups changes, makes them durable, says so.
//!
//! The database comes first. Once it cannot, groups go to the [spill], in order, until the database has taken all of
//! them: nobody overtakes. What neither of them takes stays in memory, in a backlog whose length decides whether
//! new work is taken, and in the slots of the call table.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use shm::Doorbell;

use super::spill::{Spill, Waiting};
use super::{Change, Error, Store};

/// Changes per transaction.
const GROUP_MAX: usize = 1_000;
/// Changes of a replay per transaction: more than come in meanwhile.
const REPLAY_MAX: usize = 4 * GROUP_MAX;
/// How soon the store says again what the loop had no room to hear.
const UNHEARD_AGAIN: Duration = Duration::from_millis(20);
/// How soon a database is asked again that could not, at first and at last.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_AT_LAST: Duration = Duration::from_secs(2);
/// Between two pieces of what is swept: calls have the disk for most of the time.
const SWEEP_AGAIN: Duration = Duration::from_millis(50);
/// How soon it is tried again when it could not be.
const SWEEP_AT_LAST: Duration = Duration::from_secs(10);

/// What the store says.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Everything up to this change is durable.
    Through(u64),
    /// How the database is.
    Standing(Box<Standing>),
}

/// How the database is, and what waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it takes nothing; `None`: it does.
    pub trouble: Option<String>,
    /// Why the spill takes nothing either.
    pub stuck: Option<String>,
    /// What waits in the spill.
    pub waiting: Waiting,
}

/// Puts into the database what was spilled. Whether there was anything.
///
/// # Errors
/// When the database cannot, or what was spilled cannot be read.
pub fn catch_up(store: &mut dyn Store, spill: &mut Spill) -> Result<bool, Error> {
    let mut any = false;
    while replay(store, spill)? {
        any = true;
    }
    Ok(any)
}

/// One transaction of it. Whether there was anything.
fn replay(store: &mut dyn Store, spill: &mut Spill) -> Result<bool, Error> {
    let unreadable = |error: std::io::Error| Error {
        what: "reading what was spilled".into(),
        detail: error.to_string(),
        hint: "run the release that wrote it, or mend the disk; nothing of it is lost meanwhile",
        passes: false,
    };
    let Some(next) = spill.front(REPLAY_MAX).map_err(unreadable)? else { return Ok(false) };
    store.commit_spilled(next.through, &next.changes)?;
    spill.advance(&next);
    if spill.is_empty()
        && let Err(error) = spill.clear()
    {
        tracing::warn!(%error, "spill_not_cleared");
    }
    Ok(true)
}

/// Runs until nobody can send any more. What was given is durable then.
pub fn run_store(
    store: &mut dyn Store,
    spill: Option<Spill>,
    changes: &Receiver<(u64, Vec<Change>)>,
    stored: &Sender<Stored>,
    bell: &Doorbell,
) {
    let said = Standing::default();
    let now = said.clone();
    let sweep = Some(Instant::now());
    let mut writer =
        Writer { store, spill, stored, bell, durable: None, now, said, again: None, sweep };
    loop {
        match writer.next(changes) {
            Ok((mut through, mut group)) => {
                while group.len() < GROUP_MAX
                    && let Ok((next, more)) = changes.try_recv()
                {
                    group.extend(more);
                    through = next;
                }
                writer.keep(&group);
                writer.durable = Some(through);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        writer.catch_up();
        writer.say();
        writer.sweep();
    }
}

struct Writer<'w> {
    store: &'w mut dyn Store,
    spill: Option<Spill>,
    stored: &'w Sender<Stored>,
    bell: &'w Doorbell,
    /// What the loop has not heard.
    durable: Option<u64>,
    now: Standing,
    said: Standing,
    /// When the database is asked again, and how long was waited for that.
    again: Option<(Instant, Duration)>,
    /// When the next piece is swept, if there may be one.
    sweep: Option<Instant>,
}

impl Writer<'_> {
    /// The next group, or nothing for now. The loop stops reading when it stops, and may be slow before; a store
    /// that waited for it would stand still while the loop waits for the store. What is not heard now is said with
    /// the next.
    fn next(
        &self,
        changes: &Receiver<(u64, Vec<Change>)>,
    ) -> Result<(u64, Vec<Change>), RecvTimeoutError> {
        let unheard = self.durable.is_some() || self.now != self.said;
        let unheard = unheard.then_some(UNHEARD_AGAIN);
        let due = self.again.map(|(at, _)| at).into_iter().chain(self.sweep);
        let due = due.map(|at| at.saturating_duration_since(Instant::now()));
        match unheard.into_iter().chain(due).min() {
            None => changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => changes.recv_timeout(patience),
        }
    }

    /// Drops a piece of an archived day, behind everything that calls have stored.
    fn sweep(&mut self) {
        if self.sweep.is_none_or(|at| at > Instant::now()) {
            return;
        }
        let patience = match self.store.sweep() {
            Ok(true) => Some(SWEEP_AGAIN),
            Ok(false) => None,
            Err(error) => {
                tracing::debug!(%error, "not_swept");
                Some(SWEEP_AT_LAST)
            }
        };
        self.sweep = patience.map(|patience| Instant::now() + patience);
    }

    /// Makes a group durable, wherever that can be.
    fn keep(&mut self, group: &[Change]) {
        if group.iter().any(|change| matches!(change, Change::DayArchived(_))) {
            self.sweep = Some(Instant::now() + SWEEP_AGAIN);
        }
        loop {
            if self.spill.as_ref().is_none_or(Spill::is_empty) {
                match self.commit(group) {
                    Ok(()) => return self.mended(),
                    Err(error) => self.failed(&error),
                }
            }
            match self.spill.as_mut().map(|spill| spill.append(group)) {
                Some(Ok(())) => {
                    self.now.stuck = None;
                    return self.count();
                }
                Some(Err(error)) => self.now.stuck = Some(error.to_string()),
                None => {}
            }
            self.say();
            std::thread::sleep(AGAIN);
            self.again = self.again.map(|(_, waited)| (Instant::now(), waited));
            self.catch_up();
        }
    }

    fn commit(&mut self, group: &[Change]) -> Result<(), Error> {
        let Some(spill) = &mut self.spill else { return self.store.commit(group) };
        match spill.begun() {
            // What was begun there may be whole, and is void once the database has it.
            Some(place) => self.store.commit_spilled(place, group)?,
            None => self.store.commit(group)?,
        }
        spill.settle();
        Ok(())
    }

    /// Once it is time the database is asked whether it takes what was spilled. It is given one part of it; what came
    /// meanwhile goes behind the rest.
    fn catch_up(&mut self) {
        let due = self.again.is_some_and(|(at, _)| at <= Instant::now());
        let Some(spill) = self.spill.as_mut().filter(|spill| due && !spill.is_empty()) else {
            return;
        };
        match replay(self.store, spill) {
            Ok(_) if spill.is_empty() => self.mended(),
            Ok(_) => self.again = Some((Instant::now(), Duration::ZERO)),
            Err(error) => self.failed(&error),
        }
        self.count();
    }

    fn failed(&mut self, error: &Error) {
        // An alarm stands while it lasts; the log says it once.
        if self.now.trouble.is_none() {
            tracing::error!(%error, "store_failed");
        }
        self.now.trouble = Some(error.to_string());
        let waited = self.again.map_or(Duration::ZERO, |(_, waited)| waited);
        let patience = (waited * 2).clamp(AGAIN, AGAIN_AT_LAST);
        self.again = Some((Instant::now() + patience, patience));
    }

    fn mended(&mut self) {
        if self.now.trouble.take().is_some() {
            tracing::info!("store_mended");
        }
        self.now.stuck = None;
        self.again = None;
        self.count();
    }

    fn count(&mut self) {
        self.now.waiting = self.spill.as_ref().map(Spill::waiting).unwrap_or_default();
    }

    /// Says how far everything is durable, and how the database is, as far as there is room to.
    fn say(&mut self) {
        let mut told = false;
        if self.now != self.said {
            let standing = Stored::Standing(Box::new(self.now.clone()));
            if self.tell(standing) {
                self.said = self.now.clone();
                told = true;
            }
        }
        if let Some(through) = self.durable
            && self.tell(Stored::Through(through))
        {
            self.durable = None;
            told = true;
        }
        if told {
            self.bell.ring();
        }
    }

    /// Whether there was room. Once nobody asks any more, what is left is made durable all the same.
    fn tell(&self, what: Stored) -> bool {
        !matches!(self.stored.try_send(what), Err(TrySendError::Full(_)))
    }
}

#[cfg(test)]
mod tests;
