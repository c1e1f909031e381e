//! The lines of a head or a description.
//!
//! One search finds a line's end and what must not stand before it: a CR, which another reader might
//! take for a line end that we did not see, and a NUL.

use crate::scan::{before, next_control};

/// One line.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Without its end.
    pub(crate) text: &'a [u8],
    /// With its end, which only the last line may lack.
    pub(crate) whole: &'a [u8],
    /// Whether the text holds a CR, which another reader might take for its end, or a NUL.
    pub(crate) suspect: bool,
}

impl<'a> Line<'a> {
    /// Its end as it stands.
    pub(crate) fn end(&self) -> &'a [u8] {
        self.whole.get(self.text.len()..).unwrap_or_default()
    }

    /// Whether it has one.
    pub(crate) fn is_ended(&self) -> bool {
        self.whole.ends_with(b"\n")
    }
}

/// Lines that end in CRLF, or in LF as some peers send them.
#[derive(Clone)]
pub(crate) struct Lines<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.rest;
        if start.is_empty() {
            return None;
        }
        let (text, from) = start.split_at_checked(next_control(start))?;
        match from {
            [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => {
                self.rest = after;
                Some(Line { text, whole: before(start, after), suspect: false })
            }
            _ => {
                let line = odd_line(start, from);
                self.rest = start.get(line.whole.len()..).unwrap_or_default();
                Some(line)
            }
        }
    }
}

/// The line at `start` when it holds controls, such as tabs, or has no end; the first stands at `from`.
#[cold]
fn odd_line<'a>(start: &'a [u8], from: &'a [u8]) -> Line<'a> {
    let mut suspect = false;
    let mut from = from;
    let after = loop {
        match from {
            [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => break after,
            [] | [b'\r'] => break &[],
            [byte, after @ ..] => {
                suspect |= matches!(byte, b'\r' | 0);
                from = after.get(next_control(after)..).unwrap_or_default();
            }
        }
    };
    Line { text: before(start, from), whole: before(start, after), suspect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_lf_and_its_cr_is_not_text() {
        let lines = |text| Lines { rest: text }.map(|line| (line.text, line.suspect)).collect();
        let read: Vec<(&[u8], bool)> = lines(b"a\r\n\nb\tc\nd\re\r\r\nf\0\r\ng\r");
        assert_eq!(
            read,
            [
                (&b"a"[..], false),
                (b"", false),
                (b"b\tc", false),
                (b"d\re\r", true),
                (b"f\0", true),
                (b"g", false)
            ]
        );
        assert_eq!(Lines { rest: b"a\r\n" }.next().unwrap().whole, b"a\r\n");
    }
}
