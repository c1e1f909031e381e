//! What the switch asks of its worker.

use link::record::CallKey;
use link::{Ask, Report};

use crate::path::Path;

/// One thing for the worker to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "they lie in one fixed ring")]
pub enum Action {
    /// Put this on the ring to control.
    Ask(Ask),
    /// Put this on the ring to control; nobody waits for it.
    Report(Report),
    /// The call's image changed: publish it in the call table (the slot is, or becomes, LIVE).
    Save(CallKey),
    /// The call's image is final: publish it and mark the slot ENDED. The slot is ours again at
    /// [`Switch::handle_recorded`](crate::Switch::handle_recorded).
    End(CallKey),
}

/// A message was written into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Leaves from `path.local` to `path.remote`.
    pub path: Path,
    /// How many bytes of the buffer it takes.
    pub length: usize,
    /// It is not for strangers, who get no answer at all (`SS_REPLY_UNAUTHORIZED` 0). Who is one, the worker finds
    /// out.
    pub discreet: bool,
}

/// What became of a call that a dead dataplane left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It talks again.
    Confirmed,
    /// It was not answered, or cannot be rebuilt: it ends now, and an [`Action::End`] follows.
    Ended,
}
