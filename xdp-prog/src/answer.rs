//! A worker's word that OPTIONS may be answered for it in the driver, and with what.

use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::IntoBytes;

use crate::Error;
use crate::abi::{ANSWER_BYTES, Answer};

/// The word of the worker of one queue. It holds until the time that was said last, so a worker that is gone
/// is silent soon.
pub struct Greeter {
    answers: MapHandle,
    queue: u32,
    said: Answer,
}

impl Greeter {
    /// Longest text.
    pub const BYTES_MAX: usize = ANSWER_BYTES;

    pub(crate) fn new(answers: MapHandle, queue: u32) -> Self {
        let said = Answer { not_after: 0, bytes: 0, traffic_class: 0, text: [0; ANSWER_BYTES] };
        Self { answers, queue, said }
    }

    /// What the process before this one said holds no more.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.say()
    }

    /// Until then (by the monotonic clock) OPTIONS are answered with `text`: the headers behind CSeq and the
    /// empty line, sent with a traffic class. Where another text held, this one holds from the next time on, when
    /// nobody reads the old one any more. One that is too long is none.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn greet(&mut self, text: &[u8], traffic_class: u8, until: Duration) -> Result<(), Error> {
        if text.len() > ANSWER_BYTES {
            return self.rest();
        }
        let is_said = self.said.bytes as usize == text.len()
            && self.said.text[..text.len()] == *text
            && self.said.traffic_class == u32::from(traffic_class);
        if !is_said && self.said.not_after != 0 {
            // First nobody is answered with the old one.
            return self.rest();
        }
        if !is_said {
            self.said.text = [0; ANSWER_BYTES];
            self.said.text[..text.len()].copy_from_slice(text);
            self.said.bytes = text.len() as u32;
            self.said.traffic_class = traffic_class.into();
        }
        self.said.not_after = until.as_nanos() as u64;
        self.say()
    }

    /// From now on nobody is answered.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn rest(&mut self) -> Result<(), Error> {
        if self.said.not_after == 0 {
            return Ok(());
        }
        self.said.not_after = 0;
        self.say()
    }

    fn say(&self) -> Result<(), Error> {
        self.answers
            .update(self.queue.as_bytes(), self.said.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("say how OPTIONS are answered"))
    }
}
