//! Backups by API: made, listed and verified beside the loop, in one folder, one at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::{Shared, status};
use crate::Refusal;
use crate::shown::backup::{BackupExamined, BackupShown, NewBackup};
use crate::shown::{self, ListOf, Moment};
use crate::state::entity::parse;
use crate::store::Error;
use crate::store::sqlite::backup::{self, Examined};

/// How a backup's name ends.
const ENDING: &str = ".db";
const NAME_BYTES_MAX: usize = 100;

/// Where backups are, and of what.
#[derive(Debug)]
pub struct Backups {
    /// The database.
    pub database: PathBuf,
    /// Their folder.
    pub folder: PathBuf,
    /// One is being made or read: two would take the disk from the calls' records.
    pub busy: AtomicBool,
}

impl Backups {
    /// A name has no way out of the folder.
    fn file(&self, name: &str) -> Result<PathBuf, Refusal> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = name.len() <= NAME_BYTES_MAX && name.ends_with(ENDING) && !name.starts_with('.');
        if fits && name.bytes().all(is_plain) {
            return Ok(self.folder.join(name));
        }
        let rule =
            "letters, digits, `.`, `_` and `-`, with `.db` at its end, as in before-upgrade.db";
        Err(Refusal::invalid(format!("name: {name:?} is none; {rule}")))
    }
}

/// What is made or read takes its turn until this is dropped.
struct Turn(Arc<Shared>);

impl Turn {
    fn take(shared: &Arc<Shared>) -> Result<Self, Refusal> {
        if shared.backups.busy.swap(true, Ordering::AcqRel) {
            let hint = "another one is being made or verified; try again when it is done";
            return Err(Refusal::new(409, "one backup at a time", hint));
        }
        Ok(Self(Arc::clone(shared)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.backups.busy.store(false, Ordering::Release);
    }
}

fn refusal(error: &Error) -> Refusal {
    Refusal::new(503, "backup failed", error.to_string())
}

/// Does it on a thread of its own: a large database takes minutes.
async fn examined(
    turn: Turn,
    name: &str,
    file: PathBuf,
    work: impl FnOnce(&Path, &Path) -> Result<Examined, Error> + Send + 'static,
) -> Result<Value, Refusal> {
    let (began, database) = (Instant::now(), turn.0.backups.database.clone());
    let path = file.display().to_string();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&database, &file)
    });
    let broken = |_| Refusal::new(500, "backup broken", "restart tollgate-control");
    let Examined { bytes, sha256, accounts, entries, faults } =
        done.await.map_err(broken)?.map_err(|error| refusal(&error))?;
    Ok(shown::json(BackupExamined {
        name: name.to_owned(),
        path,
        bytes,
        sha256,
        accounts,
        entries,
        good: faults.is_empty(),
        faults,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Makes one.
pub(super) async fn create(shared: &Arc<Shared>, body: Value) -> Result<Value, Refusal> {
    let NewBackup { name } = if body.is_null() { NewBackup::default() } else { parse(body)? };
    let at_us = (shared.now)().wall_us;
    let name = name.unwrap_or_else(|| format!("tollgate-{}{ENDING}", stamp(at_us)));
    let file = shared.backups.file(&name)?;
    if file.exists() {
        return Err(Refusal::new(409, "backup exists", format!("{name} is there already")));
    }
    if status::status(shared).await?.spill.groups > 0 {
        let hint =
            "the database does not take changes; what waits for it would not be in the backup";
        return Err(Refusal::new(503, "database behind", hint));
    }
    let turn = Turn::take(shared)?;
    let made = examined(turn, &name, file, backup::create).await?;
    tracing::info!(name, "backup_made");
    Ok(made)
}

/// 20260131T235900Z.
#[must_use]
pub fn stamp(us: u64) -> String {
    let moment = jiff::Timestamp::from_microsecond(us.cast_signed()).unwrap_or_default();
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether one is good.
pub(super) async fn verify(shared: &Arc<Shared>, name: &str) -> Result<Value, Refusal> {
    let file = shared.backups.file(name)?;
    if !file.is_file() {
        return Err(Refusal::missing("backup", name));
    }
    let turn = Turn::take(shared)?;
    examined(turn, name, file, |_, file| backup::examine(file)).await
}

/// All of them, the oldest first.
pub(super) fn list(shared: &Shared) -> Result<Value, Refusal> {
    let folder = &shared.backups.folder;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(shown::json(ListOf::<BackupShown> { items: Vec::new() }));
        }
        Err(error) => {
            let detail = format!("{}: {error}", folder.display());
            return Err(Refusal::new(503, "backups unreadable", detail));
        }
    };
    let mut items: Vec<(std::time::SystemTime, BackupShown)> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(found) = entry.metadata() else { continue };
        if !found.is_file() || shared.backups.file(&name).is_err() {
            continue;
        }
        let made = found.modified().unwrap_or(std::time::UNIX_EPOCH);
        let since = made.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let at = Moment::at(u64::try_from(since.as_micros()).unwrap_or(0));
        items.push((made, BackupShown { name, made: at, bytes: found.len() }));
    }
    items.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(shown::json(ListOf { items: items.into_iter().map(|(_, shown)| shown).collect() }))
}
