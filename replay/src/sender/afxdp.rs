//! Frames by an AF_XDP socket: the dataplane's own NIC, of which only the transmit side is used.

use capture::Due;
use dataplane::nic::Nic;
use dataplane::nic::afxdp::AfXdp;

use super::{FRAME_BYTES, Play, Put, Sender};
use crate::Failure;

const FRAMES: u32 = 4_096;
const BUFFER_BYTES: u32 = 4_096;
const BATCH: usize = 64;

pub(crate) struct AfXdpSender {
    nic: AfXdp,
    /// Since the last flush. The ring has as many places as there are buffers, so all of them fit.
    put: u64,
}

impl AfXdpSender {
    pub(crate) fn open(interface: &str, queue: u32) -> Result<Self, Failure> {
        let nic = AfXdp::open(&[interface.to_owned()], queue, FRAMES, BUFFER_BYTES, false)?;
        Ok(Self { nic, put: 0 })
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

    fn batch(&self) -> usize {
        BATCH
    }
}
