//! Messages on their way out, between a `handle_*` and the `poll_transmit` after it.
//!
//! A ring of whole messages. One step makes a handful; the worker empties it after each. Timeouts
//! stop while it is more than half full, so only a worker that breaks the contract fills it.

use crate::action::Transmit;
use crate::counter::Counter;
use crate::path::Path;

/// See the head of this file.
pub(crate) struct Outbox {
    bytes: Box<[u8]>,
    entries: Box<[Transmit]>,
    message_bytes_max: usize,
    first: usize,
    waiting: usize,
}

/// How many messages may wait.
const MESSAGES_MAX: usize = 64;

impl Outbox {
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        let nowhere = core::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let transport = link::endpoint::Transport::Udp;
        let path = Path { transport, local: nowhere, remote: nowhere, connection: 0 };
        Self {
            bytes: vec![0; message_bytes_max * MESSAGES_MAX].into_boxed_slice(),
            entries: vec![Transmit { path, length: 0, discreet: false }; MESSAGES_MAX]
                .into_boxed_slice(),
            message_bytes_max,
            first: 0,
            waiting: 0,
        }
    }

    /// Whether there is room for all that one more step may say.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting <= MESSAGES_MAX / 2
    }

    fn range(&self, index: usize) -> core::ops::Range<usize> {
        index * self.message_bytes_max..(index + 1) * self.message_bytes_max
    }

    /// Lets `write` write the next message and sends it. The error is the counter of the reason
    /// why nothing was sent.
    pub(crate) fn write(
        &mut self,
        path: Path,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), Counter> {
        if self.waiting == MESSAGES_MAX {
            return Err(Counter::OutboxFull);
        }
        let index = (self.first + self.waiting) % MESSAGES_MAX;
        let range = self.range(index);
        let length = write(&mut self.bytes[range]).ok_or(Counter::MessagesTooLong)?;
        assert!(length <= self.message_bytes_max);
        self.entries[index] = Transmit { path, length, discreet: false };
        self.waiting += 1;
        Ok(())
    }

    /// How many messages wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// No stranger gets what was written after so many that waited.
    pub(crate) fn be_discreet(&mut self, since: usize) {
        for place in since..self.waiting {
            self.entries[(self.first + place) % MESSAGES_MAX].discreet = true;
        }
    }

    /// The message written last.
    pub(crate) fn last(&self) -> &[u8] {
        assert!(self.waiting > 0, "nothing was written");
        let index = (self.first + self.waiting - 1) % MESSAGES_MAX;
        let start = self.range(index).start;
        &self.bytes[start..start + self.entries[index].length]
    }

    /// Sends the message written last along another path, and gives it to be changed for that.
    pub(crate) fn redirect(&mut self, path: Path) -> &mut [u8] {
        assert!(self.waiting > 0, "nothing was written");
        let index = (self.first + self.waiting - 1) % MESSAGES_MAX;
        self.entries[index].path = path;
        let start = self.range(index).start;
        &mut self.bytes[start..start + self.entries[index].length]
    }

    /// Takes the message written last back: what could not be kept must not be sent.
    pub(crate) fn unsend(&mut self) {
        assert!(self.waiting > 0, "nothing was written");
        self.waiting -= 1;
    }

    /// Copies the oldest message into `out` and forgets it. One that does not fit is given up.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> Option<Transmit> {
        while self.waiting > 0 {
            let transmit = self.entries[self.first];
            let start = self.range(self.first).start;
            self.first = (self.first + 1) % MESSAGES_MAX;
            self.waiting -= 1;
            if let Some(out) = out.get_mut(..transmit.length) {
                out.copy_from_slice(&self.bytes[start..start + transmit.length]);
                return Some(transmit);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_in_the_order_they_were_written_round_and_round() {
        let mut outbox = Outbox::new(8);
        let path = outbox.entries[0].path;
        let mut out = [0; 8];
        for round in 0..200_u8 {
            for number in 0..3 {
                let write = |out: &mut [u8]| {
                    out[..2].copy_from_slice(&[round, number]);
                    Some(2)
                };
                outbox.write(path, write).unwrap();
                assert_eq!(outbox.last(), [round, number]);
            }
            for number in 0..3 {
                let wanted = Transmit { path, length: 2, discreet: false };
                assert_eq!(outbox.take(&mut out), Some(wanted));
                assert_eq!(out[..2], [round, number]);
            }
            assert_eq!(outbox.take(&mut out), None);
        }
    }

    #[test]
    fn a_full_outbox_and_a_message_too_long_are_refused_by_name() {
        let mut outbox = Outbox::new(8);
        let path = outbox.entries[0].path;
        assert_eq!(outbox.write(path, |_| None), Err(Counter::MessagesTooLong));
        while outbox.write(path, |_| Some(1)).is_ok() {}
        assert_eq!(outbox.write(path, |_| Some(1)), Err(Counter::OutboxFull));
        assert!(!outbox.has_room());
        assert_eq!(std::iter::from_fn(|| outbox.take(&mut [0; 8])).count(), MESSAGES_MAX);
    }
}
