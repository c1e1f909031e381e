//! Header fields: their names, their lists and the shapes of those every message needs.

pub mod cseq;
pub mod list;
pub mod name;
pub mod name_addr;
pub mod params;
pub mod text;
pub mod via;

pub use list::List;
pub use name::Name;
pub use text::Text;

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
