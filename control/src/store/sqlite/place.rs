//! Where the database lies: whether its files are still those that were opened.
//!
//! A file that is renamed or deleted goes on taking what is written to it. Records that went there would be
//! gone with the process, though somebody was told that they are durable.

use std::fmt;
use std::fs::metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A device and a number on it: one file, whatever its name is.
type Identity = (u64, u64);

/// The files of a database.
#[derive(Default)]
pub(super) struct Place {
    file: Option<(PathBuf, Identity)>,
    /// It is there once something was written.
    log: Option<(PathBuf, Option<Identity>)>,
}

/// A file that is not where it was.
#[derive(Debug)]
pub(super) struct Gone {
    path: PathBuf,
    why: String,
    /// It is the write-ahead log, and the database itself is there.
    pub(super) is_log: bool,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.why)
    }
}

impl Place {
    /// Where a database was just opened.
    pub(super) fn of(path: &Path) -> Result<Self, Gone> {
        let file = look(path, false)?.ok_or_else(|| gone(path, "is not there", false))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self { file: Some((path.to_owned(), file)), log: Some((log.into(), None)) })
    }

    /// Whether everything is where it was.
    pub(super) fn check(&mut self) -> Result<(), Gone> {
        if let Some((path, opened)) = &self.file {
            match look(path, false)? {
                Some(found) if found == *opened => {}
                Some(_) => return Err(gone(path, "is another file than the one in use", false)),
                None => return Err(gone(path, "is not there any more", false)),
            }
        }
        if let Some((path, opened)) = &mut self.log {
            match (look(path, true)?, *opened) {
                (found, None) => *opened = found,
                (Some(found), Some(opened)) if found == opened => {}
                (_, Some(_)) => return Err(gone(path, "was taken away", true)),
            }
        }
        Ok(())
    }
}

fn look(path: &Path, is_log: bool) -> Result<Option<Identity>, Gone> {
    match metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(gone(path, &error.to_string(), is_log)),
    }
}

fn gone(path: &Path, why: &str, is_log: bool) -> Gone {
    Gone { path: path.to_owned(), why: why.to_owned(), is_log }
}
