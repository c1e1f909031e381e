//! Which calls a worker carries, said to the driver: their messages are let in though their gateway's budget is
//! spent (`call.h`).

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use zerocopy::IntoBytes;

use crate::Error;
use crate::abi::Call;

/// The word of one worker. It costs a system call when a call begins and one when it ends, nothing between.
pub struct Roster {
    calls: MapHandle,
    worker: u32,
    workers: u32,
    said: Box<[Call]>,
}

impl Roster {
    /// Of a table that is new: what the process before this one carried is carried only once it is said again.
    pub(crate) fn new(calls: MapHandle, worker: u32, workers: u32) -> Self {
        let slots = calls.max_entries() / workers.max(1);
        let said = vec![Call::default(); slots as usize].into();
        Self { calls, worker, workers, said }
    }

    /// The call of that slot and generation runs.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn enter(&mut self, slot: u32, generation: u32) -> Result<(), Error> {
        self.set(slot, Call { generation, live: 1 })
    }

    /// It has ended.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn leave(&mut self, slot: u32) -> Result<(), Error> {
        self.set(slot, Call::default())
    }

    fn set(&mut self, slot: u32, call: Call) -> Result<(), Error> {
        let Some(said) = self.said.get(slot as usize).copied() else { return Ok(()) };
        if said == call {
            return Ok(());
        }
        self.say(slot, call)?;
        self.said[slot as usize] = call;
        Ok(())
    }

    fn say(&self, slot: u32, call: Call) -> Result<(), Error> {
        let place = slot * self.workers + self.worker;
        self.calls
            .update(place.as_bytes(), call.as_bytes(), MapFlags::ANY)
            .map_err(Error::bpf("say which calls run"))
    }
}
