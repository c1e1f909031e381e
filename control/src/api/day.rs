//! Days of records: archived into files of their own, read there, and purged; one at a time, beside the loop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{Shared, ask, history, question, status};
use crate::Refusal;
use crate::decide::Method;
use crate::decide::days::unsettled;
use crate::shown::{self, DayShown, DayStep, ListOf};
use crate::store::sqlite::Reader;
use crate::store::sqlite::archive::{day_from_text, day_text, file_of, write};
use crate::store::{Archived, History};

/// How often is looked for days that are to be archived by themselves.
const LOOK: Duration = Duration::from_secs(10);

/// One at a time: two would take the disk from the calls' records.
static BUSY: AtomicBool = AtomicBool::new(false);

struct Turn;

impl Turn {
    fn take() -> Result<Self, Refusal> {
        if BUSY.swap(true, Ordering::AcqRel) {
            let hint = "another day is being archived or purged; try again when it is done";
            return Err(Refusal::new(409, "one day at a time", hint));
        }
        Ok(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

fn day_of(text: &str) -> Result<u32, Refusal> {
    let example = "2026-01-31";
    day_from_text(text)
        .ok_or_else(|| Refusal::invalid(format!("day: {text:?} is none, such as {example}")))
}

/// All days.
pub(super) fn list(shared: &Shared) -> Result<Value, Refusal> {
    history(shared, |history| Ok(shown::json(ListOf { items: history.days()? })))
}

fn state_of(shared: &Shared, day: u32) -> Result<Option<DayShown>, Refusal> {
    let (text, mut found) = (day_text(day), None);
    history(shared, |history| {
        found = history.days()?.into_iter().find(|it| it.day == text);
        Ok(Value::Null)
    })?;
    Ok(found)
}

/// Reads an archived day as if it were the whole history.
pub(super) fn archived(
    shared: &Shared,
    day: &str,
    read: impl FnOnce(&mut dyn History) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let file = file_of(&shared.archive, day_of(day)?);
    if !file.is_file() {
        return Err(Refusal::missing("archive", day));
    }
    let reader = Reader::open(&file);
    let mut reader =
        reader.map_err(|error| Refusal::new(503, "archive unreadable", error.to_string()))?;
    read(&mut reader)
}

/// Puts a day into its file, and out of the database.
pub(super) async fn archive(
    shared: &Arc<Shared>,
    who: String,
    text: &str,
) -> Result<Value, Refusal> {
    let day = day_of(text)?;
    let now = (shared.now)();
    if day >= unsettled(now) {
        let detail = format!("day: {text}: a day is archived once another two are over");
        return Err(Refusal::invalid(detail));
    }
    match state_of(shared, day)?.map(|it| it.state) {
        Some("live") => {}
        Some(state) => {
            return Err(Refusal::new(409, "not live", format!("{text} is {state} already")));
        }
        None => return Err(Refusal::missing("day", text)),
    }
    if status::status(shared).await?.spill.groups > 0 {
        let hint = "the database does not take changes; what waits for it may be of that day";
        return Err(Refusal::new(503, "database behind", hint));
    }
    let turn = Turn::take()?;
    let (database, folder) = (shared.backups.database.clone(), shared.archive.clone());
    let written = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        write(&database, &folder, day, now.wall_us)
    });
    let broken = |_| Refusal::new(500, "archive broken", "restart tollgate-control");
    let written: Archived = written
        .await
        .map_err(broken)?
        .map_err(|error| Refusal::new(503, "archive failed", error.to_string()))?;
    tell(shared, who, text, DayStep::Archived(written)).await?;
    match state_of(shared, day)? {
        Some(shown) if shown.state == "archived" => Ok(shown::json(shown)),
        _ => {
            let detail = "records of that day came meanwhile; nothing was dropped, try again";
            Err(Refusal::new(409, "day not settled", detail))
        }
    }
}

/// Deletes the file of an archived day. What it adds up to stays.
pub(super) async fn purge(shared: &Arc<Shared>, who: String, text: &str) -> Result<Value, Refusal> {
    let day = day_of(text)?;
    let _turn = Turn::take()?;
    match state_of(shared, day)?.map(|it| it.state) {
        Some("archived") => tell(shared, who, text, DayStep::Purged(day)).await?,
        // What a kill or a disk has left of it.
        Some("purged") => {}
        Some(_) => {
            let hint = "archive it first; a file that nobody wants any more is purged then";
            return Err(Refusal::new(409, "not archived", hint));
        }
        None => return Err(Refusal::missing("day", text)),
    }
    let file = file_of(&shared.archive, day);
    for file in [crate::store::sqlite::backup::checksum_file(&file), file] {
        remove(&file)?;
    }
    Ok(Value::Null)
}

fn remove(file: &Path) -> Result<(), Refusal> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let detail = format!("{}: {error}; purge it again", file.display());
            Err(Refusal::new(503, "not purged", detail))
        }
        _ => Ok(()),
    }
}

async fn tell(shared: &Arc<Shared>, who: String, day: &str, step: DayStep) -> Result<(), Refusal> {
    let mut command = question(&["cdr", "day", day]);
    command.method = Method::Post;
    command.body = shown::json(step);
    ask(shared, who, command).await.map(drop)
}

/// Archives days by themselves once they are older than `TG_CDR_LIVE_DAYS` says, one at each look.
pub async fn keep(shared: Arc<Shared>) {
    loop {
        if let Err(no) = look(&shared).await {
            tracing::warn!(detail = no.detail, "day_not_archived");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(shared: &Arc<Shared>) -> Result<(), Refusal> {
    let due = ask(shared, String::new(), question(&["cdr", "day", "due"])).await?;
    let Some(first) = due.as_u64().and_then(|day| u32::try_from(day).ok()) else { return Ok(()) };
    let (first, mut old) = (day_text(first), None);
    history(shared, |history| {
        let live = history.days()?.into_iter().find(|it| it.state == "live" && it.day < first);
        old = live.map(|it| it.day);
        Ok(Value::Null)
    })?;
    match old {
        Some(day) => archive(shared, String::new(), &day).await.map(drop),
        None => Ok(()),
    }
}
