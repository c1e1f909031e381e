//! Backups: a copy of the database as it is at one moment, made while it is written to, and what tells a good one
//! from a bad one.
//!
//! The copy is read within one transaction: it holds up nobody, and what is written meanwhile is not in it. It is one
//! file without a log beside it, with its SHA-256 in a file that `sha256sum -c` reads. It has its name once it is whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::{Error, MIGRATIONS, Reader, failed};
use crate::store::{Books, History};

/// Pages that are copied at a time, and how long the disk is left to others then: 100 MB/s at most.
const STEP_PAGES: i32 = 256;
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes read at a time for the checksum.
const READ_BYTES: usize = 1 << 20;

/// What a backup is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of all of it.
    pub sha256: String,
    /// Accounts in its ledger.
    pub accounts: u64,
    /// Entries of its ledger.
    pub entries: u64,
    /// What is wrong with it; empty: nothing.
    pub faults: Vec<String>,
}

pub(super) fn broken(what: &str, detail: impl std::fmt::Display, hint: &'static str) -> Error {
    Error { what: what.to_owned(), detail: detail.to_string(), hint, passes: false }
}

pub(super) fn on_disk<T>(what: &str, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| broken(what, error, "free space, or mend permissions of the folder"))
}

/// The name of the file with the checksum.
#[must_use]
pub fn checksum_file(backup: &Path) -> PathBuf {
    beside(backup, ".sha256")
}

pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Copies a database that is in use. `to` must not be there yet.
///
/// # Errors
/// When it cannot be read or written, or what was written is not good; nothing is left then.
pub fn create(database: &Path, to: &Path) -> Result<Examined, Error> {
    let what = format!("backing up to {}", to.display());
    if to.exists() {
        return Err(broken(&what, "it is there already", "choose another name"));
    }
    if let Some(folder) = to.parent() {
        on_disk(&what, std::fs::create_dir_all(folder))?;
    }
    let partial = beside(to, ".partial");
    let _ = std::fs::remove_file(&partial);
    let made = copy(database, &partial, &what).and_then(|()| {
        let examined = examine(&partial)?;
        match examined.faults.first() {
            None => Ok(examined),
            Some(fault) => Err(broken(
                &what,
                fault,
                "the database itself may be so; see `tollgate account audit`",
            )),
        }
    });
    let kept = made.and_then(|examined| {
        on_disk(&what, keep(&partial, to, &examined.sha256)).map(|()| examined)
    });
    if kept.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    kept
}

fn copy(database: &Path, partial: &Path, what: &str) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(database, flags).map_err(failed(what))?;
    let mut copy = Connection::open(partial).map_err(failed(what))?;
    on_disk(what, private(partial))?;
    // One moment: within a transaction, what others write is not seen, so the copy never begins again.
    source.execute_batch("BEGIN").map_err(failed(what))?;
    let first = "SELECT count(*) FROM sqlite_schema";
    source.query_row(first, [], |_| Ok(())).map_err(failed(what))?;
    {
        let steps = Backup::new(&source, &mut copy).map_err(failed(what))?;
        while steps.step(STEP_PAGES).map_err(failed(what))? != StepResult::Done {
            std::thread::sleep(PAUSE);
        }
    }
    // No log beside it: the file is all there is.
    copy.execute_batch("PRAGMA journal_mode=DELETE").map_err(failed(what))?;
    copy.close().map_err(|(_, error)| failed(what)(error))
}

/// Records and password hashes are nobody else's.
pub(crate) fn private(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

pub(crate) fn keep(partial: &Path, to: &Path, sha256: &str) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    File::open(partial)?.sync_all()?;
    std::fs::write(checksum_file(to), format!("{sha256}  {name}\n"))?;
    File::open(checksum_file(to))?.sync_all()?;
    std::fs::rename(partial, to)?;
    sync_folder(to)
}

fn sync_folder(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

pub(crate) fn sha256(file: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut sum, mut length) = (File::open(file)?, Sha256::new(), 0);
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        sum.update(bytes.get(..read).unwrap_or_default());
        length += read as u64;
    }
    let digits = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((length, digits))
}

/// Whether a backup is good: the checksum beside it if there is one, the file's structure, and the books in it.
///
/// # Errors
/// When it cannot be read.
pub fn examine(backup: &Path) -> Result<Examined, Error> {
    let what = format!("examining {}", backup.display());
    let (bytes, sha256) = on_disk(&what, sha256(backup))?;
    let mut faults = Vec::new();
    if let Ok(line) = std::fs::read_to_string(checksum_file(backup))
        && line.split_whitespace().next() != Some(&sha256)
    {
        faults.push("its checksum is not the one beside it".to_owned());
    }
    let mut examined = Examined { bytes, sha256, accounts: 0, entries: 0, faults };
    // What is wrong with the file is what we are here to say.
    match read(backup) {
        Ok((structure, books)) => {
            examined.faults.extend(structure);
            let accounts: std::collections::BTreeSet<u32> =
                books.sums.iter().map(|sum| sum.account).collect();
            examined.accounts = accounts.len() as u64;
            examined.entries = books.sums.iter().map(|sum| sum.entries).sum();
            examined.faults.extend(crate::api::differences(&books));
        }
        Err(fault) => examined.faults.push(fault),
    }
    Ok(examined)
}

/// What SQLite finds wrong in it, and its books.
fn read(backup: &Path) -> Result<(Vec<String>, Books), String> {
    let said = |error: rusqlite::Error| error.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(backup, flags).map_err(said)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(said)?;
    if !(1..=MIGRATIONS.len() as i64).contains(&version) {
        return Err(format!("it is no database of this release or one before: version {version}"));
    }
    let found: Vec<String> = db
        .prepare("PRAGMA integrity_check(10)")
        .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect())
        .map_err(said)?;
    let faults = found.into_iter().filter(|line| line != "ok").collect();
    if version < MIGRATIONS.len() as i64 {
        // Its books are audited once it was brought to this release's shape.
        return Ok((faults, Books::default()));
    }
    let mut reader = Reader { connection: db };
    let books = reader.books().map_err(|refusal| refusal.detail)?;
    Ok((faults, books))
}

/// Puts a backup in the database's place while nobody uses it. What was there, and what waited for it, goes to a
/// folder of the given name beside it.
///
/// # Errors
/// When the backup is not good, or cannot be copied; the database is what it was then.
pub fn restore(
    backup: &Path,
    database: &Path,
    spill: &Path,
    aside: &str,
) -> Result<PathBuf, Error> {
    let what = format!("restoring {}", backup.display());
    let examined = examine(backup)?;
    if !examined.faults.is_empty() {
        let hint = "nothing was changed; take another backup";
        return Err(broken(&what, examined.faults.join("; "), hint));
    }
    let copy = beside(database, ".restoring");
    on_disk(&what, std::fs::copy(backup, &copy))?;
    on_disk(&what, private(&copy).and_then(|()| File::open(&copy)?.sync_all()))?;
    let (_, copied) = on_disk(&what, sha256(&copy))?;
    if copied != examined.sha256 {
        return Err(broken(&what, "the copy is not what was copied", "look after the disk"));
    }
    let folder = database.with_file_name(aside);
    on_disk(&what, put_in_place(&copy, database, spill, &folder))?;
    Ok(folder)
}

fn put_in_place(copy: &Path, database: &Path, spill: &Path, aside: &Path) -> io::Result<()> {
    std::fs::create_dir_all(aside)?;
    // The log and what was spilled first: neither may meet a database that is not its own.
    for file in
        [spill.to_owned(), beside(database, "-wal"), beside(database, "-shm"), database.to_owned()]
    {
        let name = file.file_name().unwrap_or_default();
        match std::fs::rename(&file, aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(copy, database)?;
    sync_folder(&aside.join("."))?;
    sync_folder(database)
}
