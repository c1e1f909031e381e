//! What a caller wants to keep to itself: Privacy (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044 §10.1).

use super::Name;
use crate::emit::{Part, Writer};
use crate::message::Message;
use crate::scan;

/// A set of wishes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Privacy(u8);

const TOKENS: [(Privacy, &[u8]); 7] = [
    (Privacy::HEADER, b"header"),
    (Privacy::SESSION, b"session"),
    (Privacy::USER, b"user"),
    (Privacy::NONE, b"none"),
    (Privacy::ID, b"id"),
    (Privacy::HISTORY, b"history"),
    (Privacy::CRITICAL, b"critical"),
];

impl Privacy {
    /// `header`: headers that lead back are hidden.
    pub const HEADER: Self = Self(1);
    /// `session`: media addresses are hidden.
    pub const SESSION: Self = Self(2);
    /// `user`: what the caller itself could have left out is hidden.
    pub const USER: Self = Self(4);
    /// `none`: nothing may be hidden, whatever was agreed.
    pub const NONE: Self = Self(8);
    /// `critical`: rather no call than one without this privacy.
    pub const CRITICAL: Self = Self(16);
    /// `id`: P-Asserted-Identity stays among those who trust each other.
    pub const ID: Self = Self(32);
    /// `history`: History-Info does.
    pub const HISTORY: Self = Self(64);

    /// Reads a value: tokens between semicolons; some peers write commas. Unknown ones are passed over.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let tokens = value.split(|byte| matches!(byte, b';' | b','));
        tokens.fold(Self::default(), |wishes, token| {
            let known =
                TOKENS.iter().find(|(_, name)| name.eq_ignore_ascii_case(scan::trim(token)));
            known.map_or(wishes, |(wish, _)| wishes.with(*wish))
        })
    }

    /// All wishes of a message.
    #[must_use]
    pub fn read(message: &Message<'_>) -> Self {
        let lines = message.headers().filter(|header| header.name == Name::Privacy);
        lines.fold(Self::default(), |wishes, header| wishes.with(Self::parse(header.value)))
    }

    /// The wishes of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all those wishes are among these.
    #[must_use]
    pub const fn has(self, wishes: Self) -> bool {
        self.0 & wishes.0 == wishes.0
    }

    /// Writes the header line; none when there is no wish.
    pub fn write(self, writer: &mut Writer<'_>) {
        let mut parts = [Part::Text(b""); 2 * TOKENS.len()];
        let mut separator: &[u8] = b"";
        for (pair, (wish, name)) in parts.as_chunks_mut::<2>().0.iter_mut().zip(&TOKENS) {
            if self.has(*wish) {
                *pair = [separator.into(), (*name).into()];
                separator = b";";
            }
        }
        if self != Self::default() {
            writer.header(Name::Privacy, &parts);
        }
    }
}

impl std::fmt::Debug for Privacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wishes = TOKENS.iter().filter(|(wish, _)| self.has(*wish));
        f.debug_set().entries(wishes.map(|(_, name)| name.escape_ascii().to_string())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn wishes_are_read_and_written() {
        for (value, wishes, line) in [
            ("id", Privacy::ID, Some("Privacy: id")),
            ("ID ; Critical", Privacy::ID.with(Privacy::CRITICAL), Some("Privacy: id;critical")),
            ("user, header,x", Privacy::USER.with(Privacy::HEADER), Some("Privacy: header;user")),
            ("none", Privacy::NONE, Some("Privacy: none")),
            (
                "history;session",
                Privacy::HISTORY.with(Privacy::SESSION),
                Some("Privacy: session;history"),
            ),
            ("", Privacy::default(), None),
            ("identity", Privacy::default(), None),
        ] {
            let read = Privacy::parse(value.as_bytes());
            assert_eq!(read, wishes, "{value}");
            let written = header_line(|w| read.write(w)).filter(|line| line.starts_with("Privacy"));
            assert_eq!(written.as_deref(), line);
        }
        assert!(Privacy::parse(b"id").has(Privacy::ID) && !Privacy::ID.has(Privacy::NONE));
    }
}
