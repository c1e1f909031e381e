//! The files of one recorded call: `DAY/ID.wav` and `DAY/ID.pcap`, the day and id of its CDR.
//!
//! A call whose dataplane was killed goes on in a file of its own, `ID-2.wav`. What is on disk can be heard at any time:
//! the head is written anew as the file grows.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use codec::g711;
use link::record::{CallRecord, RECORDED_PCAP, RECORDED_WAV};
use link::{Endpoint, Instant};
use recording::{Frame, Side, Timeline, pcap, wav};
use wire::rtp;

use super::thread::make_directory;

/// Parts that a call of many restarts may have.
const PARTS_MAX: u32 = 100;
/// Written at a time.
const CHUNK_FRAMES: usize = 8_000;
/// A payload, its headers and a record's head.
const PCAP_BYTES_MAX: usize = pcap::PACKET_HEAD_BYTES + 14 + 40 + 8 + super::PACKET_BYTES_MAX;
const COMFORT_NOISE: u8 = 13;
const EVENT_BYTES: usize = 4;
/// Kept in memory before it is written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Whether a packet is in the WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Laid {
    /// It is, or it belongs into none.
    Heard,
    /// Its place is written already.
    Late,
    /// Its codec is none that we read.
    Unheard,
}

/// See the head of this file.
pub(super) struct Files {
    wav: Option<Wav>,
    pcap: Option<io::BufWriter<File>>,
}

struct Wav {
    timeline: Timeline,
    file: File,
    frames: u64,
}

impl Files {
    /// Opens what the record wants.
    pub(super) fn begin(directory: &Path, record: &CallRecord, now: Instant) -> io::Result<Self> {
        let directory = directory.join(day_of(record.started_us));
        make_directory(&directory)?;
        let name = format!("{:016x}{:016x}", record.id[0], record.id[1]);
        let wants = |what| record.recorded & what != 0;
        let mut files = Self { wav: None, pcap: None };
        if wants(RECORDED_WAV) {
            let file = create(&directory, &name, "wav")?;
            file.write_all_at(&wav::head(0), 0)?;
            files.wav = Some(Wav { timeline: Timeline::new(now), file, frames: 0 });
        }
        if wants(RECORDED_PCAP) {
            let file = create(&directory, &name, "pcap")?;
            let mut file = io::BufWriter::with_capacity(BUFFER_BYTES, file);
            file.write_all(&pcap::head())?;
            files.pcap = Some(file);
        }
        Ok(files)
    }

    /// Takes a packet.
    pub(super) fn take(
        &mut self,
        at: Instant,
        wall_offset: Duration,
        side: Side,
        (source, destination): (Endpoint, Endpoint),
        packet: &[u8],
    ) -> io::Result<Laid> {
        if let Some(file) = &mut self.pcap
            && let (Some(source), Some(destination)) =
                (source.socket_address(), destination.socket_address())
        {
            let mut room = [0; PCAP_BYTES_MAX];
            if let Some(length) =
                pcap::packet(&mut room, at + wall_offset, (source, destination), packet)
            {
                file.write_all(room.get(..length).unwrap_or_default())?;
            }
        }
        let Some(wav) = &mut self.wav else { return Ok(Laid::Heard) };
        // RTCP is in the capture alone.
        let (Some(head), Some(body)) = (rtp::parse(packet), rtp::body(packet)) else {
            return Ok(Laid::Heard);
        };
        let decode = match head.payload_type {
            0 => g711::from_mu_law,
            8 => g711::from_a_law,
            // Comfort noise (RFC 3389) and named events (RFC 4733) are no speech.
            COMFORT_NOISE => return Ok(Laid::Heard),
            _ if body.len() <= EVENT_BYTES => return Ok(Laid::Heard),
            _ => return Ok(Laid::Unheard),
        };
        if wav.timeline.is_full(at) {
            wav.write(|timeline, out| timeline.poll(at, out))?;
        }
        let samples = body.iter().map(|&code| decode(code));
        let late = wav.timeline.lay(at, side, (head.ssrc, head.timestamp), samples);
        Ok(if late > 0 { Laid::Late } else { Laid::Heard })
    }

    /// Writes what nothing can change any more.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<()> {
        if let Some(wav) = &mut self.wav {
            wav.write(|timeline, out| timeline.poll(now, out))?;
            wav.tell()?;
        }
        match &mut self.pcap {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }

    /// Writes all that is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(wav) = &mut self.wav {
            wav.write(Timeline::finish)?;
            wav.tell()?;
        }
        match &mut self.pcap {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }
}

impl Wav {
    fn write(
        &mut self,
        mut next: impl FnMut(&mut Timeline, &mut [Frame]) -> usize,
    ) -> io::Result<()> {
        let mut frames = [[0; 2]; CHUNK_FRAMES];
        loop {
            let count = next(&mut self.timeline, &mut frames);
            let room = wav::FRAMES_MAX.saturating_sub(self.frames) as usize;
            let bytes: Vec<u8> = wav::bytes(&frames[..count.min(room)]).collect();
            let at = wav::HEAD_BYTES as u64 + self.frames * wav::FRAME_BYTES as u64;
            self.file.write_all_at(&bytes, at)?;
            self.frames += (bytes.len() / wav::FRAME_BYTES) as u64;
            if count < CHUNK_FRAMES {
                return Ok(());
            }
        }
    }

    fn tell(&self) -> io::Result<()> {
        self.file.write_all_at(&wav::head(self.frames), 0)
    }
}

/// The day of a moment since 1970, UTC: `2026-01-31`.
pub(super) fn day_of(since_1970_us: u64) -> String {
    let moment = jiff::Timestamp::from_microsecond(since_1970_us.cast_signed());
    moment.unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

/// Whether a directory's name is a day's.
pub(super) fn is_day(name: &str) -> bool {
    name.parse::<jiff::civil::Date>().is_ok_and(|day| day.to_string() == name)
}

/// Deletes what recordings there are in the directory of a day, and the directory if it was all. How many files.
pub(super) fn delete_day(directory: &Path) -> usize {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let recordings = files.map(|file| file.path()).filter(|path| {
        path.extension().is_some_and(|kind| kind == "wav" || kind == "pcap") && path.is_file()
    });
    let deleted = recordings.filter(|path| std::fs::remove_file(path).is_ok()).count();
    // What is not ours stays, and its directory with it.
    let _ = std::fs::remove_dir(directory);
    deleted
}

/// A new file for nobody but us and our group.
fn create(directory: &Path, name: &str, kind: &str) -> io::Result<File> {
    let path = |part: u32| -> PathBuf {
        let part = if part > 1 { format!("-{part}") } else { String::new() };
        directory.join(format!("{name}{part}.{kind}"))
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o640);
    for part in 1..PARTS_MAX {
        match options.open(path(part)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn of_an_old_day_the_recordings_are_deleted_and_nothing_else() {
        let names =
            ["2026-01-31", "2026-1-31", "2026-02-30", "2019photos", "20-archive", "lost+found"];
        assert_eq!(names.map(is_day), [true, false, false, false, false, false]);
        let root = std::env::temp_dir().join(format!("tollgate-recordings-{}", std::process::id()));
        for (day, file) in [("a", "1.wav"), ("a", "1.pcap"), ("b", "2.wav"), ("b", "notes.txt")] {
            std::fs::create_dir_all(root.join(day)).unwrap();
            std::fs::write(root.join(day).join(file), b"").unwrap();
        }
        assert_eq!([delete_day(&root.join("a")), delete_day(&root.join("b"))], [2, 1]);
        assert!(!root.join("a").exists() && root.join("b/notes.txt").exists());
        std::fs::remove_dir_all(root).unwrap();
    }
}
