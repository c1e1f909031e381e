//! Header fields: their names, their lists and what their values say.
//!
//! What every message needs is read once, with the message. The others are read from a value, by
//! whoever asks: `message.list(Name::Reason).filter_map(Reason::parse)`. Path, Service-Route, Route and
//! Referred-By are [`crate::NameAddr`]s, Supported, Require and Allow are asked by
//! [`crate::Message::lists`]. What is written by more than text has a `write` beside its reader.

pub mod circle;
pub mod contact;
pub mod cseq;
pub mod diversion;
pub mod event;
pub mod history_info;
pub mod identity;
pub mod list;
pub mod name;
pub mod name_addr;
pub mod params;
pub mod privacy;
pub mod reason;
pub mod refer;
pub mod reliable;
pub mod remote_party_id;
pub mod replaces;
pub mod seconds;
pub mod session_timer;
pub mod text;
pub mod via;
pub mod warning;

pub use circle::Circle;
pub use contact::{Binding, Contact};
pub use diversion::Diversion;
pub use event::{Event, SubscriptionState};
pub use history_info::HistoryInfo;
pub use identity::Identities;
pub use list::List;
pub use name::Name;
pub use privacy::Privacy;
pub use reason::Reason;
pub use refer::ReferTo;
pub use reliable::Rack;
pub use remote_party_id::RemotePartyId;
pub use replaces::Replaces;
pub use seconds::{retry_after, seconds};
pub use session_timer::SessionExpires;
pub use text::Text;
pub use warning::Warning;

/// How many header lines a message may have. Every carrier's INVITE has fewer than half as many.
pub const HEADERS_MAX: usize = 64;

/// One header line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which one, by its long or compact name in any case.
    pub name: Name,
    /// The name as it stands in the message.
    pub raw_name: &'a [u8],
    /// The value without the blanks around it. It may hold folds (CRLF and a blank).
    pub value: &'a [u8],
}

impl<'a> Header<'a> {
    /// The name to write: the canonical one, or the peer's own for a header that we do not know.
    #[must_use]
    pub const fn name_bytes(&self) -> &'a [u8] {
        match self.name {
            Name::Other => self.raw_name,
            known => known.as_bytes(),
        }
    }
}

/// The name and the length of the value: values may hold subscribers' numbers.
impl std::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({} bytes)", self.raw_name.escape_ascii(), self.value.len())
    }
}
