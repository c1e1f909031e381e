//! How busy the machine is (FW-15): processors and the disk of the state, looked at once a minute by a thread of
//! its own, because a disk may let one wait.

use std::path::Path;
use std::time::Duration;

use crossbeam::channel::{Sender, TrySendError};
use nix::sys::statvfs::statvfs;

use crate::reconcile::Sight;

/// How long a figure is the mean of.
const LOOK: Duration = Duration::from_secs(60);

/// What was found, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Of all processors' time in the last minute.
    pub cpu: u8,
    /// Of the disk that the state lies on.
    pub disk: u8,
}

/// Runs until nobody takes what it finds.
pub fn watch(state: &Path, sight: &Sender<Sight>) {
    let mut before = read_times();
    loop {
        std::thread::sleep(LOOK);
        let now = read_times();
        let cpu = before.zip(now).map_or(0, |(before, now)| now.busy_since(before));
        before = now;
        let load = Load { cpu, disk: disk(state) };
        if matches!(sight.try_send(Sight::Machine(load)), Err(TrySendError::Disconnected(_))) {
            return;
        }
    }
}

/// Processor time since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    all: u64,
    idle: u64,
}

impl Times {
    /// Of the first line of `/proc/stat` (proc_stat(5)): `cpu user nice system idle iowait …`.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|tick| tick.parse().ok()).collect();
        // What guests take is in `user` already.
        let all = ticks.iter().take(8).sum();
        Some(Self { all, idle: ticks.get(3)? + ticks.get(4)? })
    }

    fn busy_since(self, before: Self) -> u8 {
        let all = self.all.saturating_sub(before.all);
        percent(all.saturating_sub(self.idle.saturating_sub(before.idle)), all)
    }
}

fn read_times() -> Option<Times> {
    Times::parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn percent(part: u64, all: u64) -> u8 {
    u64::try_from(u128::from(part) * 100 / u128::from(all.max(1))).map_or(100, |it| it.min(100))
        as u8
}

/// As `df` counts: of what may be used by us.
fn disk(state: &Path) -> u8 {
    let Ok(found) = statvfs(state) else { return 0 };
    let used = found.blocks().saturating_sub(found.blocks_free());
    percent(used, used + found.blocks_available())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_busy_that_neither_idles_nor_waits_for_a_disk() {
        let times = |text: &str| Times::parse(text).unwrap();
        let before = times("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1\n");
        assert_eq!(before, Times { all: 100, idle: 80 });
        let now = times("cpu  85 0 10 80 15 5 5 0 9 0\n");
        assert_eq!(now.busy_since(before), 85);
        assert_eq!(before.busy_since(before), 0);
        assert_eq!(Times::parse("intr 1"), None);
    }

    #[test]
    fn a_disk_that_is_there_is_neither_empty_nor_overfull() {
        assert!((1..=100).contains(&disk(Path::new("/"))));
        assert_eq!(disk(Path::new("/nowhere")), 0);
    }
}
