//! The fields of credentials and challenges: `Digest name=value, name="value"` (RFC 3261 §25.1
//! `challenge`, `credentials`).

use super::{DigestFault, FIELD_BYTES_MAX};
use crate::header::Text;
use crate::scan::{self, Cursor};

/// A field that means something to us.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Username,
    Realm,
    Nonce,
    Uri,
    Response,
    Algorithm,
    Qop,
    Nc,
    Cnonce,
    Opaque,
    Stale,
}

const NAMES: [&[u8]; 11] = [
    b"username",
    b"realm",
    b"nonce",
    b"uri",
    b"response",
    b"algorithm",
    b"qop",
    b"nc",
    b"cnonce",
    b"opaque",
    b"stale",
];

/// The fields that we know, by [`Key`]; each without control bytes and not longer than
/// [`FIELD_BYTES_MAX`].
#[derive(Default)]
pub(super) struct Fields<'a> {
    values: [Option<Text<'a>>; NAMES.len()],
}

impl<'a> Fields<'a> {
    /// Reads a header value, fields in any order, unknown ones passed over.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, DigestFault> {
        let mut cursor = Cursor::new(scan::trim(value));
        if !cursor.take(scan::TOKEN).eq_ignore_ascii_case(b"Digest") {
            return Err(DigestFault::SchemeUnknown);
        }
        let mut fields = Self::default();
        loop {
            // Lists may hold empty elements (RFC 2616 §2.1): some phones end theirs with a comma.
            cursor.skip_blanks();
            if cursor.eat(b',') {
                continue;
            }
            if cursor.rest.is_empty() {
                return Ok(fields);
            }
            let (name, value) = read_field(&mut cursor).ok_or(DigestFault::Malformed)?;
            let known = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
            if let Some(place) = known.and_then(|at| fields.values.get_mut(at)) {
                check(value)?;
                if place.replace(value).is_some() {
                    return Err(DigestFault::FieldRepeated);
                }
            }
        }
    }

    pub(super) fn value(&self, key: Key) -> Option<Text<'a>> {
        self.values.get(key as usize).copied().flatten()
    }

    pub(super) fn needed(&self, key: Key) -> Result<Text<'a>, DigestFault> {
        self.value(key).ok_or(DigestFault::FieldMissing)
    }

    /// A field that is hashed as it stands: an escape would let two readers hash two texts.
    pub(super) fn plain(&self, key: Key) -> Result<&'a [u8], DigestFault> {
        let bytes = self.needed(key)?.as_bytes();
        if bytes.contains(&b'\\') { Err(DigestFault::Malformed) } else { Ok(bytes) }
    }
}

/// A field and the end of the list or its comma, which stays.
fn read_field<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Text<'a>)> {
    let name = cursor.take_some(scan::TOKEN)?;
    cursor.skip_blanks();
    cursor.eat(b'=').then_some(())?;
    cursor.skip_blanks();
    let value = match cursor.rest {
        [b'"', ..] => cursor.quoted()?,
        _ => cursor.take_some(scan::VALUE)?,
    };
    cursor.skip_blanks();
    let ended = cursor.rest.is_empty() || cursor.rest.starts_with(b",");
    ended.then_some((name, Text::new(value)))
}

fn check(value: Text<'_>) -> Result<(), DigestFault> {
    let bytes = value.as_bytes();
    if bytes.len() > FIELD_BYTES_MAX {
        Err(DigestFault::FieldTooLong)
    } else if bytes.iter().any(u8::is_ascii_control) {
        Err(DigestFault::Malformed)
    } else {
        Ok(())
    }
}
