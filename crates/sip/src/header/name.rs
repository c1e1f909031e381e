//! Names of header fields: long, compact (RFC 3261 §7.3.3 and its extensions), in any case.
//!
//! The usual spelling is found at the front of its line, colon and blank and all, by a perfect hash of its
//! first letters and its length; any other by a hash of its length, first and last letter. The compiler
//! builds both tables.

use crate::scan::{BLOCK_BYTES, Block};

/// Calls `$with` with one `Variant "Canonical-Name" compact` per known header; compact 0: none.
macro_rules! names {
    ($with:ident) => {
        $with! {
            Accept "Accept" 0,
            AcceptContact "Accept-Contact" b'a',
            AcceptEncoding "Accept-Encoding" 0,
            AcceptLanguage "Accept-Language" 0,
            AlertInfo "Alert-Info" 0,
            Allow "Allow" 0,
            AllowEvents "Allow-Events" b'u',
            AuthenticationInfo "Authentication-Info" 0,
            Authorization "Authorization" 0,
            CallId "Call-ID" b'i',
            CallInfo "Call-Info" 0,
            Contact "Contact" b'm',
            ContentDisposition "Content-Disposition" 0,
            ContentEncoding "Content-Encoding" b'e',
            ContentLanguage "Content-Language" 0,
            ContentLength "Content-Length" b'l',
            ContentType "Content-Type" b'c',
            Cseq "CSeq" 0,
            Date "Date" 0,
            Diversion "Diversion" 0,
            ErrorInfo "Error-Info" 0,
            Event "Event" b'o',
            Expires "Expires" 0,
            From "From" b'f',
            HistoryInfo "History-Info" 0,
            Identity "Identity" b'y',
            InReplyTo "In-Reply-To" 0,
            MaxForwards "Max-Forwards" 0,
            MimeVersion "MIME-Version" 0,
            MinExpires "Min-Expires" 0,
            MinSe "Min-SE" 0,
            Organization "Organization" 0,
            PAssertedIdentity "P-Asserted-Identity" 0,
            PPreferredIdentity "P-Preferred-Identity" 0,
            Path "Path" 0,
            Priority "Priority" 0,
            Privacy "Privacy" 0,
            ProxyAuthenticate "Proxy-Authenticate" 0,
            ProxyAuthorization "Proxy-Authorization" 0,
            ProxyRequire "Proxy-Require" 0,
            RAck "RAck" 0,
            RSeq "RSeq" 0,
            Reason "Reason" 0,
            RecordRoute "Record-Route" 0,
            ReferSub "Refer-Sub" 0,
            ReferTo "Refer-To" b'r',
            ReferredBy "Referred-By" b'b',
            RejectContact "Reject-Contact" b'j',
            RemotePartyId "Remote-Party-ID" 0,
            Replaces "Replaces" 0,
            ReplyTo "Reply-To" 0,
            RequestDisposition "Request-Disposition" b'd',
            Require "Require" 0,
            RetryAfter "Retry-After" 0,
            Route "Route" 0,
            Server "Server" 0,
            ServiceRoute "Service-Route" 0,
            SessionExpires "Session-Expires" b'x',
            SipEtag "SIP-ETag" 0,
            SipIfMatch "SIP-If-Match" 0,
            Subject "Subject" b's',
            SubscriptionState "Subscription-State" 0,
            Supported "Supported" b'k',
            Timestamp "Timestamp" 0,
            To "To" b't',
            Unsupported "Unsupported" 0,
            UserAgent "User-Agent" 0,
            Via "Via" b'v',
            Warning "Warning" 0,
            WwwAuthenticate "WWW-Authenticate" 0,
        }
    };
}

macro_rules! define {
    ($($variant:ident $canonical:literal $compact:literal,)*) => {
        /// A header field by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = concat!("`", $canonical, "`")] $variant,)*
            /// Any other; its text is [`crate::Header::raw_name`].
            Other,
        }

        impl Name {
            /// Every known name.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The canonical long name; empty for [`Name::Other`].
            #[must_use]
            pub const fn as_bytes(self) -> &'static [u8] {
                match self {
                    $(Self::$variant => $canonical.as_bytes(),)*
                    Self::Other => b"",
                }
            }

            /// The same as it begins a line.
            const fn with_colon(self) -> &'static [u8] {
                match self {
                    $(Self::$variant => concat!($canonical, ": ").as_bytes(),)*
                    Self::Other => b"",
                }
            }

            /// The one-letter name, if there is one.
            #[must_use]
            pub const fn compact(self) -> Option<u8> {
                let letter = match self {
                    $(Self::$variant => $compact,)*
                    Self::Other => 0,
                };
                if letter == 0 { None } else { Some(letter) }
            }
        }
    };
}

names!(define);

const SLOTS: usize = 256;

const fn hash(length: usize, first: u8, last: u8) -> u8 {
    let (first, last) = (first | 0x20, last | 0x20);
    // With these factors only Refer-To and Reply-To, alike in all three, share a slot.
    (length as u8).wrapping_mul(19) ^ first.wrapping_mul(5) ^ last.wrapping_mul(67)
}

/// Known names by hash, each in the first free slot from its hash on.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an overrun")]
#[allow(clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
static SLOT_NAMES: [(&[u8], Name); SLOTS] = {
    let mut slots: [(&[u8], Name); SLOTS] = [(b"", Name::Other); SLOTS];
    let mut index = 0;
    while index < Name::ALL.len() {
        let text = Name::ALL[index].as_bytes();
        let mut slot = hash(text.len(), text[0], text[text.len() - 1]) as usize;
        while !slots[slot].0.is_empty() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = (text, Name::ALL[index]);
        index += 1;
    }
    slots
};

static COMPACT_NAMES: [Name; 26] = {
    let mut letters = [Name::Other; 26];
    let mut index = 0;
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    #[allow(clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
    while index < Name::ALL.len() {
        if let Some(letter) = Name::ALL[index].compact() {
            letters[(letter - b'a') as usize] = Name::ALL[index];
        }
        index += 1;
    }
    letters
};

/// How a name usually begins a line: with a colon and a blank behind it.
#[derive(Clone, Copy)]
struct Usual {
    /// Its first sixteen bytes; zeros behind those of a shorter one.
    front: [u8; BLOCK_BYTES],
    /// The places of `front` that count, and [`GOES_ON`].
    places: u32,
    /// Its last sixteen bytes, if it has more.
    tail: [u8; BLOCK_BYTES],
    name: Name,
    name_bytes: u8,
}

impl Usual {
    /// Whether a line goes on as the name does.
    #[inline(always)]
    fn goes_on(&self, line: &[u8]) -> bool {
        let at = usize::from(self.name_bytes).wrapping_sub(BLOCK_BYTES - 2);
        line.get(at..).and_then(<[u8]>::first_chunk) == Some(&self.tail)
    }
}

/// A place that no front has: the name goes on behind it.
const GOES_ON: u32 = 1 << BLOCK_BYTES;

/// No line begins so.
const NOTHING: Usual = Usual {
    front: [0; BLOCK_BYTES],
    places: u32::MAX,
    tail: [0; BLOCK_BYTES],
    name: Name::Other,
    name_bytes: 0,
};

const USUAL_SLOTS: usize = 256;

/// The usual spellings by a perfect hash of their first four letters and where in the first sixteen the
/// colon stands. Of those that are alike in both only the last is here.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an overrun")]
#[allow(clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
static USUAL_NAMES: [Usual; USUAL_SLOTS] = {
    let mut slots = [NOTHING; USUAL_SLOTS];
    let mut index = 0;
    while index < Name::ALL.len() {
        let name = Name::ALL[index];
        let text = name.with_colon();
        let (front, places, tail) = match (text.first_chunk(), text.last_chunk()) {
            (Some(front), Some(_)) if text.len() == BLOCK_BYTES => (*front, 0xffff, [0; 16]),
            (Some(front), Some(tail)) => (*front, 0xffff | GOES_ON, *tail),
            _ => {
                let mut front = [0; BLOCK_BYTES];
                front.split_at_mut(text.len()).0.copy_from_slice(text);
                (front, (1 << text.len()) - 1, [0; 16])
            }
        };
        let name_bytes = text.len() - 2;
        let colon = if name_bytes < BLOCK_BYTES { name_bytes } else { BLOCK_BYTES };
        let [a, b, c, d, ..] = front;
        let slot = &mut slots[usual_slot([a, b, c, d], colon)];
        let alike = slot.front[0] == a && slot.front[1] == b && slot.front[2] == c;
        assert!(slot.name_bytes == 0 || alike, "two names share a slot: find another factor");
        *slot = Usual { front, places, tail, name, name_bytes: name_bytes as u8 };
        index += 1;
    }
    slots
};

/// Where a name is looked for, by its first four bytes and the place of its colon.
const fn usual_slot(letters: [u8; 4], colon: usize) -> usize {
    let key = u32::from_le_bytes(letters).wrapping_add(colon as u32);
    (key.wrapping_mul(FACTOR) >> 24) as usize
}

/// Found by trying.
const FACTOR: u32 = 0x5627_922d;

impl Name {
    /// The name that a line begins with and how long it is, when it is one that we know, written as
    /// usual, with a colon and a blank behind it. `None`: [`Name::new`] knows more.
    #[inline(always)]
    pub(crate) fn at_front_of(line: &[u8]) -> Option<(Self, u8)> {
        let front = line.first_chunk()?;
        let block = Block::new(front);
        let colon = (block.equal(b':') | 1 << BLOCK_BYTES).trailing_zeros() as usize;
        let usual = USUAL_NAMES.get(usual_slot(*front.first_chunk()?, colon))?;
        let missed = usual.places & !block.same(&usual.front);
        let found = missed == 0 || missed == GOES_ON && usual.goes_on(line);
        found.then_some((usual.name, usual.name_bytes))
    }

    /// The header of that name, long or compact, in any case.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let (first, last) = match name {
            [] => return Self::Other,
            [letter] => {
                let index = letter.to_ascii_lowercase().wrapping_sub(b'a');
                return COMPACT_NAMES.get(usize::from(index)).copied().unwrap_or(Self::Other);
            }
            [first, .., last] => (*first, *last),
        };
        let mut slot = hash(name.len(), first, last);
        loop {
            let Some((text, known)) = SLOT_NAMES.get(usize::from(slot)) else { return Self::Other };
            if is_spelled(text, name) || text.is_empty() {
                return *known;
            }
            slot = slot.wrapping_add(1);
        }
    }
}

/// Nearly all peers write the canonical name, which compares much faster.
fn is_spelled(canonical: &[u8], name: &[u8]) -> bool {
    canonical.len() == name.len() && (canonical == name || is_spelled_otherwise(canonical, name))
}

#[cold]
fn is_spelled_otherwise(canonical: &[u8], name: &[u8]) -> bool {
    canonical.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_by_its_letter() {
        for &name in Name::ALL {
            assert_eq!(Name::new(name.as_bytes()), name);
            assert_eq!(Name::new(&name.as_bytes().to_ascii_uppercase()), name);
            assert_eq!(Name::new(&name.as_bytes().to_ascii_lowercase()), name);
            if let Some(letter) = name.compact() {
                assert_eq!(Name::new(&[letter]), name);
                assert_eq!(Name::new(&[letter.to_ascii_uppercase()]), name);
            }
        }
    }

    #[test]
    fn at_the_front_of_a_line_a_name_is_found_only_as_it_is_usually_written() {
        // Each shares its front with a later one of the list, which is found.
        let shadowed = [
            Name::AcceptEncoding,
            Name::ContentDisposition,
            Name::ContentEncoding,
            Name::ProxyAuthenticate,
            Name::Replaces,
        ];
        for &name in Name::ALL {
            let text = name.as_bytes();
            let line = [text, b": x: 0123456789abcdef"].concat();
            let expected = (!shadowed.contains(&name)).then_some((name, text.len() as u8));
            assert_eq!(Name::at_front_of(&line), expected);
            assert_eq!(Name::at_front_of(&line.to_ascii_lowercase()), None);
            for other in [&b" : x"[..], b":x", b":\tx", b"", b"-x: x"] {
                let line = [text, other, b"0123456789abcdef"].concat();
                assert_eq!(Name::at_front_of(&line), None, "{}", line.escape_ascii());
            }
        }
        for line in [
            &b"To\0: 0123456789abcdef"[..],
            b"To\0\0\0\0\0\0\0\0\0\0\0\0\0\0:",
            b":\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            &[0; 16],
            &[0; 40],
            &[0xff; 16],
            b"0123456789abcdef",
            b"P-Asserted-Ident",
            b"To: short",
        ] {
            assert_eq!(Name::at_front_of(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_stranger_is_other() {
        for name in ["", "q", "{", "Viaa", "X-Tollgate", "Content-Lengths"] {
            assert_eq!(Name::new(name.as_bytes()), Name::Other);
        }
    }
}
