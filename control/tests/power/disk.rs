//! A disk under SQLite that remembers every write, and what it holds after a cut of power at any of them.
//!
//! It is SQLite's own Unix layer with four functions replaced: what is written goes to the file as ever, and into a log
//! with it. After a cut a file has what was synced; of each sector that was written since, it has the old or any of the
//! new, whatever the others have: writes are dropped, torn and reordered. A file is there once it was synced, as SQLite
//! syncs the folder with it.

#![allow(
    unsafe_code,
    reason = "SQLite calls what lies under it through C functions; tests alone use this"
)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use rand::Rng;
use rusqlite::ffi;

const SECTOR: usize = 512;

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(PathBuf, u64, Vec<u8>),
    Truncate(PathBuf, u64),
    Sync(PathBuf),
    Delete(PathBuf),
    /// Said by the test: this many groups were acknowledged.
    Acknowledged(usize),
}

/// What is known of files that are open, by where SQLite keeps them.
#[derive(Default)]
struct Open {
    files: HashMap<usize, (PathBuf, ffi::sqlite3_io_methods)>,
    /// Below this folder everything is written down.
    watched: PathBuf,
    steps: Vec<Step>,
}

fn open_files() -> MutexGuard<'static, Open> {
    static OPEN: OnceLock<Mutex<Open>> = OnceLock::new();
    let open = OPEN.get_or_init(Mutex::default);
    open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Open {
    fn note(&mut self, file: *mut ffi::sqlite3_file, step: impl FnOnce(PathBuf) -> Step) {
        let path = self.files.get(&(file as usize)).map(|(path, _)| path.clone());
        if let Some(path) = path.filter(|path| path.starts_with(&self.watched)) {
            self.steps.push(step(path));
        }
    }

    fn methods(&self, file: *mut ffi::sqlite3_file) -> Option<ffi::sqlite3_io_methods> {
        self.files.get(&(file as usize)).map(|(_, methods)| *methods)
    }
}

/// Writes down what happens below a folder from now on.
pub(crate) fn watch(folder: &Path) {
    let mut open = open_files();
    open.watched = folder.to_owned();
    open.steps.clear();
}

/// Writes down that so many groups were acknowledged.
pub(crate) fn acknowledge(groups: usize) {
    open_files().steps.push(Step::Acknowledged(groups));
}

/// Everything that was written down.
pub(crate) fn steps() -> Vec<Step> {
    std::mem::take(&mut open_files().steps)
}

fn path_of(name: *const c_char) -> PathBuf {
    if name.is_null() {
        return PathBuf::new();
    }
    // SAFETY: SQLite gives names that end with a zero and live through the call.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(name.to_string_lossy().into_owned())
}

fn below() -> *mut ffi::sqlite3_vfs {
    static BELOW: OnceLock<usize> = OnceLock::new();
    // SAFETY: the layer of that name is compiled in, and never unregistered.
    *BELOW.get_or_init(|| unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) } as usize)
        as *mut ffi::sqlite3_vfs
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `below` is the layer that SQLite registered itself.
    let layer = unsafe { *below() };
    let Some(unix) = layer.xOpen else { return ffi::SQLITE_MISUSE };
    // SAFETY: these are the arguments that SQLite made for the layer below, whose files are as large as ours.
    let done = unsafe { unix(below(), name, file, flags, out) };
    // SAFETY: SQLite gives room for a file, and the layer has filled it.
    let methods = unsafe { (*file).pMethods };
    if done != ffi::SQLITE_OK || methods.is_null() {
        return done;
    }
    // SAFETY: the layer's methods are constants.
    let methods = unsafe { *methods };
    open_files().files.insert(file as usize, (path_of(name), methods));
    let ours: &'static ffi::sqlite3_io_methods = Box::leak(Box::new(ffi::sqlite3_io_methods {
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        xClose: Some(close),
        ..methods
    }));
    // SAFETY: as above; what it points to now lives for ever.
    unsafe { (*file).pMethods = ours };
    done
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    let Ok(count) = usize::try_from(length) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite gives so many bytes, which live through the call.
    let copy = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count) }.to_vec();
    let mut open = open_files();
    open.note(file, |path| Step::Write(path, at.cast_unsigned(), copy));
    let Some(unix) = open.methods(file).and_then(|it| it.xWrite) else { return ffi::SQLITE_MISUSE };
    // SAFETY: the file is the layer's own.
    unsafe { unix(file, bytes, length, at) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let mut open = open_files();
    open.note(file, |path| Step::Truncate(path, size.cast_unsigned()));
    let Some(unix) = open.methods(file).and_then(|it| it.xTruncate) else {
        return ffi::SQLITE_MISUSE;
    };
    // SAFETY: the file is the layer's own.
    unsafe { unix(file, size) }
}

/// The log is all that must be durable here, so no real disk is waited for.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    open_files().note(file, Step::Sync);
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let methods = open_files().files.remove(&(file as usize));
    let Some(unix) = methods.and_then(|(_, methods)| methods.xClose) else {
        return ffi::SQLITE_MISUSE;
    };
    // SAFETY: the file is the layer's own.
    unsafe { unix(file) }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, folder: c_int) -> c_int {
    let path = path_of(name);
    let mut open = open_files();
    if path.starts_with(&open.watched) {
        open.steps.push(Step::Delete(path));
    }
    // SAFETY: `below` is the layer that SQLite registered itself.
    let layer = unsafe { *below() };
    let Some(unix) = layer.xDelete else { return ffi::SQLITE_MISUSE };
    // SAFETY: these are the arguments that SQLite made for the layer below.
    unsafe { unix(below(), name, folder) }
}

/// Puts the disk under every database that this process opens from now on.
pub(crate) fn insert() {
    static INSERTED: OnceLock<()> = OnceLock::new();
    INSERTED.get_or_init(|| {
        // SAFETY: `below` is the layer that SQLite registered itself.
        let unix = unsafe { *below() };
        let ours = Box::leak(Box::new(ffi::sqlite3_vfs {
            zName: c"power".as_ptr(),
            pNext: std::ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..unix
        }));
        // SAFETY: it lives for ever, and all its functions are the Unix layer's or ours.
        let done = unsafe { ffi::sqlite3_vfs_register(ours, 1) };
        assert_eq!(done, ffi::SQLITE_OK);
    });
}

/// A file during the story.
#[derive(Default)]
struct Content {
    synced: Option<Vec<u8>>,
    since: Vec<Step>,
}

impl Content {
    /// What it has once all is written.
    fn whole(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone().unwrap_or_default();
        for step in &self.since {
            apply(&mut bytes, step, &mut |_| true);
        }
        bytes
    }
}

/// One step, of whose sectors `keeps` says which arrive.
fn apply(bytes: &mut Vec<u8>, step: &Step, keeps: &mut dyn FnMut(usize) -> bool) {
    match step {
        Step::Truncate(_, size) if keeps(0) => bytes.resize(*size as usize, 0),
        Step::Write(_, at, written) => {
            let (mut at, mut rest) = (*at as usize, &written[..]);
            while !rest.is_empty() {
                let part = (SECTOR - at % SECTOR).min(rest.len());
                let (now, later) = rest.split_at(part);
                if keeps(at / SECTOR) {
                    bytes.resize(bytes.len().max(at + part), 0);
                    bytes[at..at + part].copy_from_slice(now);
                }
                (at, rest) = (at + part, later);
            }
        }
        _ => {}
    }
}

/// The files after a cut behind so many steps.
pub(crate) fn cut(steps: &[Step], random: &mut impl Rng) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files: BTreeMap<&PathBuf, Content> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Write(path, ..) | Step::Truncate(path, _) => {
                files.entry(path).or_default().since.push(step.clone());
            }
            Step::Sync(path) => {
                let file = files.entry(path).or_default();
                file.synced = Some(file.whole());
                file.since.clear();
            }
            Step::Delete(path) => drop(files.remove(path)),
            Step::Acknowledged(_) => {}
        }
    }
    let chance = *[0.0, 0.05, 0.5, 0.95, 1.0].get(random.random_range(0..5)).unwrap_or(&0.5);
    let mut left = BTreeMap::new();
    for (path, file) in files {
        // A folder's entry may arrive before anybody asks for it.
        if file.synced.is_none() && random.random_bool(0.5) {
            continue;
        }
        let mut bytes = file.synced.clone().unwrap_or_default();
        for step in &file.since {
            apply(&mut bytes, step, &mut |_| random.random_bool(chance));
        }
        left.insert(path.clone(), bytes);
    }
    left
}
