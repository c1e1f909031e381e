//! The lines of a head or a description.
//!
//! The controls of a text are its line ends and what must not stand before them: a CR, which another
//! reader might take for a line end that we did not see, and a NUL.

use crate::scan::{Controls, first_control};

/// One line.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Without its end.
    pub(crate) text: &'a [u8],
    /// It and what follows it.
    pub(crate) from: &'a [u8],
    /// How long it is with its end, which only the last line may lack.
    bytes: usize,
    /// Whether the text holds a CR, which another reader might take for its end, or a NUL.
    pub(crate) suspect: bool,
}

impl<'a> Line<'a> {
    /// With its end.
    pub(crate) fn whole(&self) -> &'a [u8] {
        self.from.get(..self.bytes).unwrap_or_default()
    }

    /// Its end as it stands.
    pub(crate) fn end(&self) -> &'a [u8] {
        self.from.get(self.text.len()..self.bytes).unwrap_or_default()
    }

    /// Whether it has one.
    pub(crate) fn is_ended(&self) -> bool {
        self.end().ends_with(b"\n")
    }
}

/// Lines that end in CRLF, or in LF as some peers send them.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    controls: Controls,
}

impl<'a> Lines<'a> {
    /// Those of a text.
    pub(crate) fn of(text: &'a [u8]) -> Self {
        Self::from(text, 0)
    }

    /// Those from a place on.
    #[inline(always)]
    pub(crate) fn from(text: &'a [u8], at: usize) -> Self {
        Self { text, at, controls: Controls::from(text, at) }
    }

    /// Where the next line begins.
    #[inline(always)]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Where the next line ends, if that is in CRLF and the line holds no other control.
    #[inline(always)]
    pub(crate) fn plain(&mut self) -> Option<usize> {
        let place = self.controls.peek(self.text, self.at);
        (self.text.get(place..)?.first_chunk() == Some(b"\r\n")).then_some(place)
    }

    /// Goes past a plain line, which ends there.
    #[inline(always)]
    pub(crate) const fn pass(&mut self, end: usize) {
        self.controls.skip_one();
        self.controls.skip_one();
        self.at = end.wrapping_add(2);
    }

    /// Whether something stands between two places, and no blanks at its ends.
    #[inline(always)]
    pub(crate) fn is_trimmed(&self, at: usize, end: usize) -> bool {
        at < end
            && self.text.get(at).is_some_and(|byte| *byte > b' ')
            && self.text.get(end.wrapping_sub(1)).is_some_and(|byte| *byte > b' ')
    }

    /// What begins there.
    #[inline(always)]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let from = self.text.get(start..)?;
        let mut place = self.controls.next(self.text);
        if place < start {
            // The LF of the line before.
            place = self.controls.next(self.text);
        }
        let (text, end) = from.split_at_checked(place.wrapping_sub(start))?;
        if end.first_chunk() == Some(b"\r\n") {
            self.controls.skip_one();
            let bytes = text.len().wrapping_add(2);
            self.at = start.wrapping_add(bytes);
            return Some(Line { text, from, bytes, suspect: false });
        }
        if from.is_empty() {
            return None;
        }
        let line = odd_line(from, text.len());
        self.at = start.wrapping_add(line.bytes);
        self.controls = Controls::from(self.text, self.at);
        Some(line)
    }
}

/// The line at the front of `from` that holds controls, such as tabs, or has no end; the first of them
/// stands at `place`.
#[cold]
fn odd_line(from: &[u8], place: usize) -> Line<'_> {
    let mut suspect = false;
    let mut at = place;
    let ending = loop {
        match from.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => break 2,
            [b'\n', ..] | [b'\r'] => break 1,
            [] => break 0,
            [byte, after @ ..] => {
                suspect |= matches!(byte, b'\r' | 0);
                at = at.wrapping_add(1).wrapping_add(first_control(after));
            }
        }
    };
    let text = from.get(..at).unwrap_or_default();
    Line { text, from, bytes: at.wrapping_add(ending), suspect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_lf_and_its_cr_is_not_text() {
        let lines = |text| Lines::of(text).map(|line| (line.text, line.suspect)).collect();
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
        assert_eq!(Lines::of(b"a\r\n").next().unwrap().whole(), b"a\r\n");
    }
}
