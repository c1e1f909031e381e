//! SSH logins that failed (FW-18), as sshd writes them to btmp: read by a thread of its own, a second after they
//! were written, and told to the loop.
//!
//! A record is a `struct utmp` of 64-bit Linux (utmp(5)), 384 bytes. What stands in the file when we start is
//! the past. Withstands rotation (another file, or a shorter one), records that are written halfway, and a file
//! that is something else: what is no failed login over the network is passed over. A file that cannot be read, or
//! is not there, is told to the loop once it was so for some looks in a row, and so is its end: whoever believes
//! that logins are watched must hear that they are not.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crossbeam::channel::{Sender, TrySendError};

use crate::reconcile::Sight;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// One record.
const RECORD_BYTES: usize = 384;
/// Records of one look; more wait for the next.
const RECORDS_MAX: usize = 4_096;

/// `ut_type` of somebody who was asked who he is.
const LOGIN_PROCESS: i16 = 6;
/// Where fields begin: type, line, address.
const TYPE_AT: usize = 0;
const LINE_AT: usize = 8;
const ADDRESS_AT: usize = 348;
/// What sshd writes as the line (`ssh:notty`).
const LINE: &[u8] = b"ssh:";

/// Looks that fail in a row before it is told: while a file is rotated it is away for a moment.
const FAILURES_UNTOLD: u32 = 5;

/// Runs until nobody takes what it finds.
pub fn watch(path: &Path, sight: &Sender<Sight>) {
    let mut tail = Tail::begin(path);
    let mut health = Health::default();
    let mut untold: Vec<IpAddr> = Vec::new();
    loop {
        std::thread::sleep(LOOK);
        let found = tail.read(path);
        if let Some(trouble) = health.look(path, found.as_ref().err()) {
            match sight.try_send(Sight::LoginsUnread(trouble)) {
                Ok(()) => health.is_told = true,
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
        untold.extend(found.unwrap_or_default());
        if untold.is_empty() {
            continue;
        }
        match sight.try_send(Sight::Logins(untold)) {
            Ok(()) => untold = Vec::new(),
            // The loop is busy; they are said with the next. An attacker writes no more than sshd lets him.
            Err(TrySendError::Full(Sight::Logins(kept))) => untold = kept,
            Err(_) => return,
        }
    }
}

/// Whether the file can be read.
#[derive(Debug)]
struct Health {
    /// Looks in a row that failed.
    failures: u32,
    /// Whether the loop knows how it is.
    is_told: bool,
}

impl Default for Health {
    fn default() -> Self {
        // That it can be read is what everybody believes.
        Self { failures: 0, is_told: true }
    }
}

impl Health {
    /// What the loop should hear after a look: the trouble, or that there is none any more.
    fn look(&mut self, path: &Path, error: Option<&std::io::Error>) -> Option<Option<String>> {
        let was = self.failures >= FAILURES_UNTOLD;
        self.failures = error.map_or(0, |_| self.failures.saturating_add(1));
        let is = self.failures >= FAILURES_UNTOLD;
        if was != is {
            self.is_told = false;
        }
        let trouble = error.filter(|_| is).map(|error| {
            format!(
                "{}: {error}; SSH logins that fail are not seen: make it readable, or say where sshd writes in \
                 paths.failed_logins",
                path.display()
            )
        });
        (!self.is_told).then_some(trouble)
    }
}

/// How far a file was read.
#[derive(Debug, Default)]
struct Tail {
    /// Which file it is.
    inode: u64,
    /// Where the next whole record begins.
    offset: u64,
}

impl Tail {
    /// At its end, wherever that is; of a file that comes later everything is new.
    fn begin(path: &Path) -> Self {
        let Ok(found) = std::fs::metadata(path) else { return Self::default() };
        Self { inode: found.ino(), offset: found.len() - found.len() % RECORD_BYTES as u64 }
    }

    /// Who failed since the last time.
    fn read(&mut self, path: &Path) -> std::io::Result<Vec<IpAddr>> {
        let mut file = File::open(path)?;
        let found = file.metadata()?;
        if found.ino() != self.inode || found.len() < self.offset {
            *self = Self { inode: found.ino(), offset: 0 };
        }
        let mut bytes = Vec::new();
        let most = (RECORDS_MAX * RECORD_BYTES) as u64;
        file.seek(SeekFrom::Start(self.offset))?;
        file.take(most).read_to_end(&mut bytes)?;
        let (records, _half) = bytes.as_chunks::<RECORD_BYTES>();
        self.offset += (records.len() * RECORD_BYTES) as u64;
        Ok(records.iter().filter_map(failed_from).collect())
    }
}

/// Whence a record says that a login by SSH failed. `None`: it says something else.
fn failed_from(record: &[u8; RECORD_BYTES]) -> Option<IpAddr> {
    let kind = record.get(TYPE_AT..)?.first_chunk::<2>()?;
    let line = record.get(LINE_AT..)?;
    if i16::from_ne_bytes(*kind) != LOGIN_PROCESS || !line.starts_with(LINE) {
        return None;
    }
    let address = record.get(ADDRESS_AT..)?.first_chunk::<16>()?;
    let (first, rest) = address.split_first_chunk::<4>()?;
    // Of IPv4 the first word alone is written.
    let found: IpAddr = match rest.iter().all(|&byte| byte == 0) {
        true => Ipv4Addr::from(*first).into(),
        false => Ipv6Addr::from(*address).to_canonical(),
    };
    (!found.is_unspecified()).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn record(kind: i16, line: &[u8], address: &str) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[TYPE_AT..2].copy_from_slice(&kind.to_ne_bytes());
        record[LINE_AT..LINE_AT + line.len()].copy_from_slice(line);
        match address.parse().unwrap() {
            IpAddr::V4(ip) => record[ADDRESS_AT..ADDRESS_AT + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => record[ADDRESS_AT..ADDRESS_AT + 16].copy_from_slice(&ip.octets()),
        }
        record
    }

    fn failed(address: &str) -> [u8; RECORD_BYTES] {
        record(LOGIN_PROCESS, b"ssh:notty", address)
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_failed_login_over_ssh_says_whence_it_came_and_nothing_else_does() {
        for address in ["198.51.100.7", "2001:db8::7", "::1"] {
            assert_eq!(failed_from(&failed(address)), Some(at(address)));
        }
        assert_eq!(failed_from(&failed("::ffff:198.51.100.7")), Some(at("198.51.100.7")));
        assert_eq!(failed_from(&failed("0.0.0.0")), None);
        assert_eq!(failed_from(&record(LOGIN_PROCESS, b"tty1", "198.51.100.7")), None);
        assert_eq!(failed_from(&record(7, b"ssh:notty", "198.51.100.7")), None);
        for byte in 0..=255 {
            assert_eq!(failed_from(&[byte; RECORD_BYTES]), None);
        }
    }

    #[test]
    fn what_is_appended_is_read_once_through_halves_rotation_and_truncation() {
        let path = std::env::temp_dir().join(format!("tollgate-btmp-{}", std::process::id()));
        let append = |bytes: &[u8]| {
            let file = File::options().create(true).append(true).open(&path);
            file.unwrap().write_all(bytes).unwrap();
        };
        let _ = std::fs::remove_file(&path);
        append(&failed("192.0.2.1"));
        let mut tail = Tail::begin(&path);
        assert_eq!(tail.read(&path).unwrap(), [] as [IpAddr; 0], "that was before us");
        let second = failed("192.0.2.2");
        append(&second[..100]);
        assert_eq!(tail.read(&path).unwrap(), [] as [IpAddr; 0], "half of it");
        append(&second[100..]);
        append(&record(7, b"pts/0", "192.0.2.9"));
        append(&failed("2001:db8::3"));
        assert_eq!(tail.read(&path).unwrap(), [at("192.0.2.2"), at("2001:db8::3")]);
        assert_eq!(tail.read(&path).unwrap(), [] as [IpAddr; 0]);

        File::create(&path).unwrap();
        assert_eq!(tail.read(&path).unwrap(), [] as [IpAddr; 0]);
        append(&failed("192.0.2.4"));
        assert_eq!(tail.read(&path).unwrap(), [at("192.0.2.4")], "it was truncated");

        let aside = path.with_extension("1");
        std::fs::rename(&path, &aside).unwrap();
        assert!(tail.read(&path).is_err(), "it is gone for a while");
        append(&failed("192.0.2.5"));
        append(&failed("192.0.2.6"));
        assert_eq!(tail.read(&path).unwrap(), [at("192.0.2.5"), at("192.0.2.6")], "it was rotated");
        let _ = std::fs::remove_file(&aside);

        let _ = std::fs::remove_file(&path);
        let mut later = Tail::begin(&path);
        append(&failed("192.0.2.7"));
        assert_eq!(later.read(&path).unwrap(), [at("192.0.2.7")], "it was not there when we came");
        append(&vec![0xff; RECORD_BYTES * (RECORDS_MAX + 1)]);
        append(&failed("192.0.2.8"));
        assert_eq!(later.read(&path).unwrap(), [] as [IpAddr; 0], "as many as one look takes");
        assert_eq!(later.read(&path).unwrap(), [at("192.0.2.8")]);
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_once_and_so_is_that_it_can_be_again() {
        let path = Path::new("/var/log/btmp");
        let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let mut health = Health::default();
        assert_eq!(health.look(path, None), None);
        for _ in 1..FAILURES_UNTOLD {
            assert_eq!(health.look(path, Some(&error)), None, "perhaps it is rotated");
        }
        let told = health.look(path, Some(&error)).unwrap().unwrap();
        assert!(told.starts_with("/var/log/btmp: permission denied; "), "{told}");
        assert!(health.look(path, Some(&error)).is_some(), "nobody took it");
        health.is_told = true;
        assert_eq!(health.look(path, Some(&error)), None);
        assert_eq!(health.look(path, None), Some(None));
        health.is_told = true;
        assert_eq!(health.look(path, None), None);
    }
}
