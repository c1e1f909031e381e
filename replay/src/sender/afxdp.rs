//! Frames by an AF_XDP socket: the dataplane's own NIC, of which only the transmit side is used.

use std::time::{Duration, Instant};

use capture::Due;
use dataplane::nic::afxdp::AfXdp;
use dataplane::nic::{Batch, Nic};

use super::{FRAME_BYTES, Play, Put, Sender};
use crate::Failure;

const FRAMES: u32 = 4_096;
const BUFFER_BYTES: u32 = 4_096;
const BATCH: usize = 64;
/// How long the last frames may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct AfXdpSender {
    nic: AfXdp,
    /// Since the last flush. The ring has as many places as there are buffers, so all of them fit.
    put: u64,
    /// Buffers with the kernel while nothing is being sent.
    idle: usize,
}

impl AfXdpSender {
    pub(crate) fn open(interface: &str, queue: u32) -> Result<Self, Failure> {
        let mut nic = AfXdp::open(&[interface.to_owned()], queue, FRAMES, BUFFER_BYTES, false)?;
        // Nothing comes by it: what is there to be received into stays there.
        nic.receive(&mut Batch::new());
        let idle = nic.accounts().rings;
        Ok(Self { nic, put: 0, idle })
    }
}

impl Sender for AfXdpSender {
    fn name(&self) -> String {
        let how = if self.nic.zero_copy() { "zero copy" } else { "copied by the kernel" };
        format!("AF_XDP, {how}")
    }

    fn put(&mut self, play: &Play, due: Due) -> Result<Put, Failure> {
        let Some(mut frame) = self.nic.take() else { return Ok(Put::Full) };
        let room = self.nic.room(&mut frame);
        let most = room.len().min(FRAME_BYTES);
        let room = room.get_mut(..most).unwrap_or_default();
        match play.capture.write(&play.clones, due.call, due.frame, room) {
            Ok(length) => {
                frame.set_length(length);
                self.nic.transmit(0, frame);
                self.put += 1;
                Ok(Put::Taken(length))
            }
            Err(_) => {
                self.nic.give_back(frame);
                Ok(Put::TooLong)
            }
        }
    }

    fn flush(&mut self) -> Result<u64, Failure> {
        self.nic.flush();
        Ok(std::mem::take(&mut self.put))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut batch = Batch::new();
        loop {
            self.nic.flush();
            // Takes back what was sent, too.
            self.nic.receive(&mut batch);
            batch.drain().for_each(|frame| self.nic.give_back(frame));
            let left = self.nic.accounts().rings.saturating_sub(self.idle);
            if left == 0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!(
                    "the interface does not take the last {left} frames: is it up?"
                )
                .into());
            }
            std::thread::yield_now();
        }
    }

    fn batch(&self) -> usize {
        BATCH
    }
}
