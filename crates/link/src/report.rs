//! Dataplane → control: what happened, nobody waits.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::CallKey;

/// News. The truth is in the call table; a report only saves control from looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The call's record is complete in the call table.
    Ended(Ended),
}

/// A call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ended {
    /// Which.
    pub call: CallKey,
}
