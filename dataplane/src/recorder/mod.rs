//! Calls written to disk, by a thread of its own, which nobody waits for.
//!
//! The relay hands a copy of each packet of a recorded call to [`Copier`], which puts it into a ring. The [`thread`] takes
//! it out, finds in the call table whose it is and how it is recorded, and writes [`files`]. Where the ring, the number of
//! recordings or the disk is full, packets or recordings are lost and counted, and calls go on.

mod counter;
mod files;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use link::Endpoint;
use link::layout::Link;
use link::ring::{self, Consumer, Producer};
use relay::{Tap, Tapped};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use counter::RecorderCounter;
use counter::Tally;

use crate::boot::{self, Error};

/// Packets of one worker that wait for the thread.
const RING_SLOTS: usize = 4_096;
/// Longest packet that is recorded: what an Ethernet frame holds.
const PACKET_BYTES_MAX: usize = 1_500;
const LETTER_BYTES: usize = size_of::<Head>() + PACKET_BYTES_MAX;

/// What stands in front of a packet in the ring.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    /// When it came, µs since the machine booted.
    at_us: u64,
    /// Its call.
    slot: u32,
    /// Of the call.
    generation: u32,
    source: Endpoint,
    destination: Endpoint,
}

/// A worker's side: it copies.
pub struct Copier {
    ring: Producer,
    letter: Box<[u8; LETTER_BYTES]>,
    tally: Arc<Tally>,
}

impl Tap for Copier {
    fn take(&mut self, tapped: &Tapped<'_>) {
        let call = b2bua::call_of(tapped.owner);
        let head = Head {
            at_us: tapped.at.as_micros() as u64,
            slot: call.slot,
            generation: call.generation,
            source: tapped.source.into(),
            destination: tapped.destination.into(),
        };
        let (front, packet) = self.letter.split_at_mut(size_of::<Head>());
        front.copy_from_slice(head.as_bytes());
        let Some(room) = packet.get_mut(..tapped.packet.len()) else {
            return self.tally.add(RecorderCounter::PacketsLost);
        };
        room.copy_from_slice(tapped.packet);
        let length = size_of::<Head>() + tapped.packet.len();
        let letter = self.letter.get(..length).unwrap_or_default();
        // The thread looks by itself: nobody has to ring.
        if self.ring.push(tapped.from_caller.into(), letter).is_err() {
            self.tally.add(RecorderCounter::PacketsLost);
        }
    }
}

/// Both things that a worker has of the recorder.
pub struct WorkerSide {
    /// Takes its copies.
    pub copier: Copier,
    /// What happened since anybody looked.
    pub counted: Counted,
}

/// What happened since any worker looked.
#[derive(Clone)]
pub struct Counted(Arc<Tally>);

impl Counted {
    /// Of one counter.
    #[must_use]
    pub fn take(&self, counter: RecorderCounter) -> u64 {
        self.0.take(counter)
    }
}

/// The thread, until it is told that nobody copies any more.
pub struct Recorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Writes what has come, and ends every file whole.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
    }
}

/// Starts the thread; a side for each worker. Where its directory cannot be made it says so, and each recording that it
/// cannot begin is counted.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(plan: &config::Recording, link: Link) -> Result<(Recorder, Vec<WorkerSide>), Error> {
    if let Err(error) = thread::make_directory(&plan.directory) {
        eprintln!("recordings_without_directory path={} error={error}", plan.directory.display());
    }
    let tally = Arc::new(Tally::default());
    let (mut sides, mut workers) = (Vec::new(), Vec::new());
    for worker in 0..link.sizes().workers {
        let (ring, take): (Producer, Consumer) = ring::in_process(RING_SLOTS, LETTER_BYTES)?;
        let letter = Box::new([0; LETTER_BYTES]);
        let copier = Copier { ring, letter, tally: Arc::clone(&tally) };
        sides.push(WorkerSide { copier, counted: Counted(Arc::clone(&tally)) });
        workers.push((take, link.calls(worker)?));
    }
    let recorder = thread::Recorder::new(plan.clone(), workers, tally);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::Builder::new().name("recorder".into());
    let thread = thread.spawn(move || boot::last_words("recorder", || recorder.run(&told)))?;
    Ok((Recorder { stop, thread }, sides))
}
