//! Which core each worker runs on: those of the configuration, or the last ones the process may use.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The core of each worker; empty: wherever the kernel likes.
///
/// What is `listed` holds as it is. Otherwise the `allowed` cores but control's are taken from the last backwards, so
/// that the first, where interrupts and control are at home, is the last to go; too few for all, and no
/// worker is pinned, since two on one core would wait for each other while another core idles.
#[must_use]
pub fn choose(listed: &[u32], allowed: &[u32], control: Option<u32>, workers: usize) -> Vec<u32> {
    if !listed.is_empty() {
        return listed.to_vec();
    }
    let free = allowed.iter().rev().filter(|&&core| Some(core) != control);
    let cores: Vec<u32> = free.take(workers).copied().collect();
    if cores.len() < workers { Vec::new() } else { cores }
}

/// The cores this process may use, ascending; none if the kernel does not say.
pub(crate) fn allowed() -> Vec<u32> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::count())
        .filter(|&core| set.is_set(core).unwrap_or(false))
        .filter_map(|core| u32::try_from(core).ok())
        .collect()
}

/// Keeps the calling thread on `core`.
pub(crate) fn pin(worker: usize, core: u32) {
    let mut set = CpuSet::new();
    let pinned = set.set(core as usize).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        eprintln!("not_pinned worker={worker} core={core} error={error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cores_are_taken_first_and_the_first_last() {
        assert_eq!(choose(&[], &[0, 1, 2, 3], None, 1), [3]);
        assert_eq!(choose(&[], &[0, 1, 2, 3], None, 2), [3, 2]);
        assert_eq!(choose(&[], &[0, 1], None, 2), [1, 0]);
        // A container's share has gaps.
        assert_eq!(choose(&[], &[2, 5, 9], None, 2), [9, 5]);
    }

    #[test]
    fn too_few_cores_pin_nobody() {
        assert_eq!(choose(&[], &[0, 1], None, 3), [0_u32; 0]);
        assert_eq!(choose(&[], &[], None, 1), [0_u32; 0]);
    }

    #[test]
    fn controls_own_core_is_left_to_it() {
        assert_eq!(choose(&[], &[0, 1, 2], Some(2), 2), [1, 0]);
        assert_eq!(choose(&[], &[0, 1], Some(0), 2), [0_u32; 0]);
    }

    #[test]
    fn what_is_listed_holds() {
        assert_eq!(choose(&[1, 0], &[0, 1, 2, 3], None, 2), [1, 0]);
        // A core that is not there is said when the worker cannot be pinned to it.
        assert_eq!(choose(&[7], &[0], None, 1), [7]);
    }

    #[test]
    fn a_thread_that_was_pinned_may_use_that_core_alone() {
        let allowed_here = std::thread::spawn(|| {
            let core = *allowed().last().expect("a thread runs on some core");
            pin(0, core);
            (core, allowed())
        });
        let (core, after) = allowed_here.join().expect("the thread ends");
        assert_eq!(after, [core]);
    }
}
