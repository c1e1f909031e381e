//! Which call a new one takes the place of: Replaces (RFC 3891 §6.1).

use super::Name;
use super::params::Params;
use crate::emit::{Part, Writer};
use crate::scan::{self, Cursor};

/// The dialog to be replaced, as its owner sees it: its own tag is `to_tag`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Call-ID of the dialog.
    pub call_id: &'a [u8],
    /// The tag of who receives the header.
    pub to_tag: &'a [u8],
    /// The tag of the other side.
    pub from_tag: &'a [u8],
    /// Whether only a call that still rings may be replaced.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads a value. `None` unless it is a Call-ID with one tag of each kind (§3).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(scan::trim(value));
        let call_id =
            cursor.take_while(|byte| scan::is(byte, scan::VISIBLE) && !matches!(byte, b';' | b','));
        let (mut to_tag, mut from_tag, mut early_only, mut repeated) = (None, None, false, false);
        Params::read_last(cursor, |param| {
            if param.is(b"to-tag") {
                repeated |= to_tag.replace(param.value).is_some();
            } else if param.is(b"from-tag") {
                repeated |= from_tag.replace(param.value).is_some();
            } else if param.is(b"early-only") {
                early_only = true;
            }
        })?;
        let (to_tag, from_tag) = (to_tag??, from_tag??);
        (!call_id.is_empty() && !repeated).then_some(Self { call_id, to_tag, from_tag, early_only })
    }

    /// Writes the header line.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.header(Name::Replaces, &self.parts(Part::Text));
    }

    /// The value, its pieces by `part`.
    pub(super) fn parts<'p>(&'p self, part: fn(&'p [u8]) -> Part<'p>) -> [Part<'p>; 6] {
        let early_only: &[u8] = if self.early_only { b";early-only" } else { b"" };
        let pieces =
            [self.call_id, b";to-tag=", self.to_tag, b";from-tag=", self.from_tag, early_only];
        pieces.map(part)
    }
}

/// Lengths only: with these texts a stranger could take a call over.
impl std::fmt::Debug for Replaces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replaces({} bytes)", self.call_id.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn a_dialog_is_named_by_three_texts() {
        // RFC 3891 §6.1.
        let text = "98732@sip.example.com;to-tag=r33th4x0r;from-tag=ff87ff";
        let replaces = Replaces::parse(text.as_bytes()).unwrap();
        assert_eq!(replaces.call_id, b"98732@sip.example.com");
        assert_eq!((replaces.to_tag, replaces.from_tag), (&b"r33th4x0r"[..], &b"ff87ff"[..]));
        assert!(!replaces.early_only);
        assert_eq!(header_line(|w| replaces.write(w)).unwrap(), format!("Replaces: {text}"));
        let early = Replaces::parse(b"12adf2f34456gs5;early-only ;from-tag = 2;to-tag=1").unwrap();
        assert!(early.early_only);
        assert!(header_line(|w| early.write(w)).unwrap().ends_with(";from-tag=2;early-only"));
    }

    #[test]
    fn half_a_dialog_or_two_are_refused() {
        for value in [
            "",
            "a",
            "a;to-tag=1",
            "a;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a;to-tag;from-tag=2",
            "a;to-tag=1;from-tag=2;to-tag=3",
            "a;to-tag=1;from-tag=2;from-tag",
            "a;to-tag=1;from-tag=2,b;to-tag=1;from-tag=2",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(value.as_bytes()), None, "{value}");
        }
    }
}
