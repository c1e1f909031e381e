//! Parameters behind a header value: `;name=value;name` (RFC 3261 §25.1 `generic-param`).

use crate::scan::{self, Cursor};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Compared without case.
    pub name: &'a [u8],
    /// As it stands, quotes included. `None`: the parameter has no `=`.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// Whether it has that name.
    #[must_use]
    #[inline]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.len() == name.len()
            && (self.name == name || is_spelled_otherwise(self.name, name))
    }

    /// Reads one behind its semicolon.
    #[inline(always)]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.skip_blanks();
        let name = cursor.take_some(scan::TOKEN)?;
        cursor.skip_blanks();
        if !cursor.eat(b'=') {
            return Some(Self { name, value: None });
        }
        cursor.skip_blanks();
        let value = match cursor.rest {
            [b'"', ..] => cursor.quoted()?,
            _ => cursor.take_some(scan::VALUE)?,
        };
        Some(Self { name, value: Some(value) })
    }
}

/// Nearly all peers write names in lower case, which compares much faster.
#[cold]
const fn is_spelled_otherwise(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// Checked parameters in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    bytes: &'a [u8],
}

impl<'a> Params<'a> {
    pub(crate) const NONE: Self = Self { bytes: b"" };

    /// Reads them and the blanks around them as far as they go, and shows each to `each`, which may
    /// refuse it.
    #[inline(always)]
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        mut each: impl FnMut(Param<'a>) -> Option<()>,
    ) -> Option<Self> {
        cursor.skip_blanks();
        let start = cursor.rest;
        while cursor.eat(b';') {
            each(Param::read(cursor)?)?;
            cursor.skip_blanks();
        }
        Some(Self { bytes: scan::trim_end(scan::before(start, cursor.rest)) })
    }

    /// The same of a value that must end with them.
    pub(crate) fn read_last(
        mut cursor: Cursor<'a>,
        mut each: impl FnMut(&Param<'a>),
    ) -> Option<Self> {
        Self::read(&mut cursor, |param| {
            each(&param);
            Some(())
        })
        .filter(|_| cursor.rest.is_empty())
    }

    /// As they stand, from the first semicolon on; they may hold folds.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        std::iter::from_fn(move || {
            cursor.skip_blanks();
            if cursor.eat(b';') { Param::read(&mut cursor) } else { None }
        })
    }

    /// The first of that name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Param<'a>> {
        self.iter().find(|param| param.is(name))
    }

    /// The value of the first of that name that has one.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.find(name)?.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Params<'_>> {
        Params::read_last(Cursor::new(bytes), |_| ())
    }

    #[test]
    fn blanks_and_folds_may_stand_between_all_parts() {
        let params = read(b" ;\r\n tag \t= 98asjd8; lr ;q=\"a;b\"").unwrap();
        assert_eq!(params.value(b"TAG"), Some(&b"98asjd8"[..]));
        assert_eq!(params.find(b"lr"), Some(Param { name: b"lr", value: None }));
        assert_eq!(params.value(b"q"), Some(&b"\"a;b\""[..]));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn extraneous_separators_are_refused() {
        for bytes in [&b";;"[..], b";", b";a;", b";a=", b"a", b";a=\"", b";a b", b";a,b", b";a=b c"]
        {
            assert_eq!(read(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
