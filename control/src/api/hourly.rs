//! Hours of call records as text files: written beside the loop once they are over, and again when an end came late.
//!
//! There is nothing to remember: what lies in the folder is compared with what the database has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Shared, ask, history, question};
use crate::Refusal;
use crate::decide::Method;
use crate::hourly::{HOUR_US, file_name, hour_of, write};
use crate::shown::{self, HourShown, ListOf};
use crate::store::History;
use crate::store::sqlite::backup::{beside, checksum_file, keep, private, sha256};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(10);
/// An hour is written so long after it is over: ends that came with it are stored then.
const SETTLED_US: u64 = 120_000_000;
/// Ends of calls may come so late that their hour is written again.
const HOURS_BACK: u64 = 48;
const DAY_HOURS: u64 = 24;

/// Files that are there, the oldest first.
pub(super) fn list(shared: &Shared) -> Result<Value, Refusal> {
    let mut items = Vec::new();
    for (hour, name) in files(&shared.hours) {
        let file = shared.hours.join(&name);
        let bytes = std::fs::metadata(&file).map_or(0, |file| file.len());
        let sum = std::fs::read_to_string(checksum_file(&file)).unwrap_or_default();
        let sha256 = sum.split(' ').next().unwrap_or_default().to_owned();
        items.push(HourShown {
            file: name,
            hour: shown::Moment::at(hour * HOUR_US),
            bytes,
            sha256,
        });
    }
    Ok(shown::json(ListOf { items }))
}

fn files(folder: &Path) -> BTreeMap<u64, String> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = found.filter_map(|file| file.file_name().into_string().ok());
    names.filter_map(|name| Some((hour_of(&name)?, name))).collect()
}

/// Writes hours as long as `TG_CDR_TEXT` says so.
pub async fn keep_hours(shared: Arc<Shared>) {
    let mut written = BTreeMap::new();
    let mut stuck = false;
    loop {
        let said = look(&shared, &mut written).await;
        if said.is_err() != stuck {
            stuck = said.is_err();
            let detail = said.map_or_else(|no| Value::String(no.detail), |()| Value::Null);
            let mut command = question(&["cdr", "text", "trouble"]);
            (command.method, command.body) = (Method::Put, detail);
            // A loop that cannot be asked has other troubles.
            let _ = ask(&shared, String::new(), command).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(shared: &Arc<Shared>, written: &mut BTreeMap<u64, u64>) -> Result<(), Refusal> {
    let wanted = ask(shared, String::new(), question(&["cdr", "text", "wanted"])).await?;
    let Some(days) = wanted.as_u64() else { return Ok(()) };
    let now = (shared.now)().wall_us;
    let over = now.saturating_sub(SETTLED_US) / HOUR_US;
    let mut reader: Option<Box<dyn History>> = None;
    history(shared, |history| {
        reader = Some(history.another()?);
        Ok(Value::Null)
    })?;
    let broken = || Refusal::new(500, "hours broken", "restart tollgate-control");
    let (mut reader, folder) = (reader.ok_or_else(broken)?, shared.hours.clone());
    let mut known = std::mem::take(written);
    let done = tokio::task::spawn_blocking(move || {
        let done = bring(reader.as_mut(), &folder, over, &mut known);
        if days > 0 {
            let first = (now / HOUR_US).saturating_sub(days * DAY_HOURS);
            forget(&folder, first);
        }
        (known, done)
    });
    let (known, done) = done.await.map_err(|_| broken())?;
    *written = known;
    done
}

/// Files as the database is: of each hour that is over, and has others than were written.
fn bring(
    reader: &mut dyn History,
    folder: &Path,
    over: u64,
    written: &mut BTreeMap<u64, u64>,
) -> Result<(), Refusal> {
    let first = over.saturating_sub(HOURS_BACK);
    written.retain(|hour, _| *hour >= first);
    for (hour, count) in reader.ends_by_hour(first, over)? {
        if written.get(&hour) == Some(&count) {
            continue;
        }
        let file = folder.join(file_name(hour));
        if lines(&file) != Some(count) {
            std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
            let put = put(reader, &file, hour);
            if put.is_err() {
                let _ = std::fs::remove_file(beside(&file, ".partial"));
            }
            put?;
        }
        written.insert(hour, count);
    }
    Ok(())
}

fn failed(file: &Path, error: &std::io::Error) -> Refusal {
    let detail = format!("{}: {error}; free space, or mend permissions", file.display());
    Refusal::new(503, "hour not written", detail)
}

/// How many records a file has; `None`: it is not there.
fn lines(file: &Path) -> Option<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file).ok()?);
    let mut count = 0;
    loop {
        let bytes = reader.fill_buf().ok()?;
        if bytes.is_empty() {
            return Some(count);
        }
        count += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let length = bytes.len();
        reader.consume(length);
    }
}

fn put(reader: &mut dyn History, file: &Path, hour: u64) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| failed(file, &error);
    let partial = beside(file, ".partial");
    let mut out = BufWriter::new(File::create(&partial).map_err(failed)?);
    private(&partial).map_err(failed)?;
    let mut line = String::new();
    reader.each_end(hour, &mut |record| {
        line.clear();
        write(&mut line, record);
        out.write_all(line.as_bytes()).map_err(failed)
    })?;
    out.flush().map_err(failed)?;
    let (_, sum) = sha256(&partial).map_err(failed)?;
    keep(&partial, file, &sum).map_err(failed)
}

/// Deletes files of hours before this one.
fn forget(folder: &Path, first: u64) {
    for (_, name) in files(folder).range(..first) {
        let file = folder.join(name);
        for file in [checksum_file(&file), file] {
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "hour_not_deleted");
            }
        }
    }
}
