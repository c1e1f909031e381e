//! The values of a header that may stand several times or hold several values between commas
//! (RFC 3261 §7.3.1), in their order.

use super::{Header, Name};
use crate::head::Headers;
use crate::scan::{self, Cursor};

/// The first value of a comma-separated list, and the rest of the list behind its comma.
///
/// Commas in quoted strings and between angle brackets separate nothing.
pub(crate) fn split_first(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut cursor = Cursor::new(value);
    loop {
        cursor.skip_to_any([b',', b'"', b'<']);
        let from = cursor.rest;
        match from {
            [] => return (value, None),
            [b',', after @ ..] => return (scan::before(value, from), Some(after)),
            [b'"', ..] if cursor.quoted().is_some() => (),
            [b'<', ..] if cursor.until(b'>').is_some() => (),
            _ => return (value, None),
        }
    }
}

/// The values of one header name over all its lines. Empty ones are left out.
#[derive(Clone)]
pub struct List<'m, 'a> {
    headers: Headers<'m, 'a>,
    name: Name,
    rest: Option<&'a [u8]>,
}

impl<'m, 'a> List<'m, 'a> {
    pub(crate) const fn new(headers: Headers<'m, 'a>, name: Name) -> Self {
        Self { headers, name, rest: None }
    }
}

impl<'a> Iterator for List<'_, 'a> {
    /// A value without the blanks around it; it may hold folds.
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = match self.rest.take() {
                Some(rest) => rest,
                None => {
                    let name = self.name;
                    self.headers.find(|header: &Header<'a>| header.name == name)?.value
                }
            };
            let (first, after) = split_first(rest);
            self.rest = after;
            let first = scan::trim(first);
            if !first.is_empty() {
                return Some(first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_separate_nothing() {
        let list = br#""A, \" B" <sip:a,b@c>;x="1,2" , <sip:d@e>"#;
        let (first, rest) = split_first(list);
        assert_eq!(first, br#""A, \" B" <sip:a,b@c>;x="1,2" "#);
        assert_eq!(split_first(rest.unwrap()), (&b" <sip:d@e>"[..], None));
    }

    #[test]
    fn what_never_closes_is_one_value() {
        assert_eq!(split_first(b"\"a,b"), (&b"\"a,b"[..], None));
        assert_eq!(split_first(b"<a,b"), (&b"<a,b"[..], None));
    }
}
