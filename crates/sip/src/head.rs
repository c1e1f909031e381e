//! The one pass over a datagram's lines: where the start line, each header and the body stand.
//!
//! It goes on after a fault, so that a broken request can still be answered: the first fault is kept
//! beside what could be read. A header's value runs over its continuation lines (RFC 3261 §7.3.1). A
//! line may end in LF alone; a CR that ends no line, or a NUL outside a quoted pair, is a fault,
//! because another reader might see a line end there that we did not.

use crate::fault::Fault;
use crate::header::{HEADERS_MAX, Header, Name};
use crate::lines::{Line, Lines};
use crate::scan;

/// One header line: offsets into the datagram, which is shorter than 64 KiB.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    name_bytes: u8,
    name_at: u16,
    value_at: u16,
    value_end: u16,
}

const NO_ENTRY: Entry =
    Entry { name: Name::Other, name_bytes: 0, name_at: 0, value_at: 0, value_end: 0 };

/// What could be read of a datagram's lines.
#[derive(Clone)]
pub(crate) struct Head<'a> {
    bytes: &'a [u8],
    start_line: &'a [u8],
    rest: &'a [u8],
    entries: [Entry; HEADERS_MAX],
    count: usize,
    fault: Option<Fault>,
}

impl<'a> Head<'a> {
    /// Reads the lines of a datagram.
    pub(crate) fn scan(datagram: &'a [u8]) -> Self {
        let mut head = Self::unread(datagram);
        head.read();
        head
    }

    /// A datagram of which nothing is read yet. It is large: let [`Head::read`] fill it where it lies.
    #[inline(always)]
    pub(crate) const fn unread(datagram: &'a [u8]) -> Self {
        Self {
            bytes: datagram,
            start_line: b"",
            rest: b"",
            entries: [NO_ENTRY; HEADERS_MAX],
            count: 0,
            fault: None,
        }
    }

    /// Reads the lines.
    pub(crate) fn read(&mut self) {
        if u16::try_from(self.bytes.len()).is_err() {
            self.note(Fault::MessageTooLong);
            self.bytes = self.bytes.get(..usize::from(u16::MAX)).unwrap_or_default();
        }
        // §7.5: line ends before the start line are ignored.
        let blank = match self.bytes {
            [b'\r' | b'\n', ..] => line_ends_before(self.bytes),
            _ => 0,
        };
        let mut lines = Lines::from(self.bytes, blank);
        let Some(end) = lines.plain() else { return self.read_odd(lines) };
        self.start_line = self.bytes.get(blank..end).unwrap_or_default();
        lines.pass(end);
        self.usual_headers(&mut lines);
        match lines.plain() {
            Some(end) if end == lines.at() => {
                lines.pass(end);
                self.rest = lines.rest();
            }
            _ => self.read_odd_headers(lines, false),
        }
    }

    /// Reads a head whose start line is not plain.
    #[cold]
    fn read_odd(&mut self, mut lines: Lines<'a>) {
        let Some(line) = lines.next() else { return self.note(Fault::Empty) };
        self.start_line = line.text;
        self.read_odd_headers(lines, has_control(&line));
    }

    /// Reads the lines of headers, the next of which is not written as usual.
    #[inline(never)]
    fn read_odd_headers(&mut self, mut lines: Lines<'a>, mut control: bool) {
        loop {
            let at = lines.at();
            let Some(line) = lines.next() else {
                self.note(Fault::HeadUnfinished);
                break;
            };
            control |= has_control(&line);
            match line.text {
                [] if line.is_ended() => break,
                [b' ' | b'\t', ..] => self.fold(at, line.text),
                text => self.header(at, text),
            }
            self.usual_headers(&mut lines);
        }
        if control {
            self.note(Fault::ControlInHead);
        }
        self.rest = lines.rest();
    }

    /// Only the first fault is kept.
    fn note(&mut self, fault: Fault) {
        self.fault = self.fault.or(Some(fault));
    }

    /// A header line at that offset that is not written as usual.
    fn header(&mut self, at: usize, line: &[u8]) {
        let Some((before_colon, value)) = scan::split_once(line, b':') else {
            return self.note(Fault::HeaderMalformed);
        };
        // §7.3.1 tolerates blanks before the colon.
        let raw_name = scan::trim_end(before_colon);
        let name = Name::new(raw_name);
        let known = name != Name::Other || scan::all(raw_name, scan::TOKEN);
        if !known || raw_name.len() > usize::from(u8::MAX) {
            return self.note(Fault::HeaderMalformed);
        }
        let value_at = at.wrapping_add(before_colon.len()).wrapping_add(1);
        let text = scan::trim_start(value);
        let value_at = value_at.wrapping_add(value.len()).wrapping_sub(text.len());
        let value_end = value_at.wrapping_add(scan::trim_end(text).len());
        self.push(Entry {
            name,
            name_bytes: raw_name.len() as u8,
            name_at: short(at),
            value_at: short(value_at),
            value_end: short(value_end),
        });
    }

    /// Reads header lines as long as they are written as nearly everybody writes them: a name that we
    /// know, a colon, a blank and a value without blanks around it.
    #[inline(never)]
    fn usual_headers(&mut self, lines: &mut Lines<'a>) {
        let Some(rooms) = self.entries.get_mut(self.count..) else { return };
        let mut rooms = rooms.iter_mut();
        let mut ahead = *lines;
        while let Some(end) = ahead.plain() {
            let at = ahead.at();
            let Some((name, name_bytes)) = Name::at_front_of(ahead.rest()) else { break };
            let value_at = at.wrapping_add(usize::from(name_bytes)).wrapping_add(2);
            if !ahead.is_trimmed(value_at, end) {
                break;
            }
            let Some(room) = rooms.next() else { break };
            // Field by field: whole, it would be put together in a register first, for twice the price.
            room.name = name;
            room.name_bytes = name_bytes;
            room.name_at = short(at);
            room.value_at = short(value_at);
            room.value_end = short(end);
            ahead.pass(end);
        }
        self.count = HEADERS_MAX.wrapping_sub(rooms.len());
        *lines = ahead;
    }

    fn push(&mut self, entry: Entry) {
        let Some(room) = self.entries.get_mut(self.count) else {
            return self.note(Fault::HeadersTooMany);
        };
        *room = entry;
        self.count = self.count.wrapping_add(1);
    }

    /// A continuation line at that offset: the last header's value runs to its end.
    fn fold(&mut self, at: usize, line: &[u8]) {
        let last = self.count.checked_sub(1).and_then(|last| self.entries.get_mut(last));
        let Some(entry) = last else { return self.note(Fault::HeaderMalformed) };
        let text = scan::trim_start(line);
        let text_at = at.wrapping_add(line.len()).wrapping_sub(text.len());
        let text = scan::trim_end(text);
        if text.is_empty() {
            return;
        }
        if entry.value_at == entry.value_end {
            entry.value_at = short(text_at);
        }
        entry.value_end = short(text_at.wrapping_add(text.len()));
    }

    /// The datagram.
    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first line that is not empty.
    pub(crate) const fn start_line(&self) -> &'a [u8] {
        self.start_line
    }

    /// What follows the blank line.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The first fault that the pass met.
    pub(crate) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The header lines in their order.
    pub(crate) fn headers(&self) -> Headers<'_, 'a> {
        Headers { bytes: self.bytes, entries: self.entries().iter() }
    }

    /// The same, their values not looked up.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.entries.get(..self.count).unwrap_or_default()
    }
}

impl Entry {
    /// The value in its datagram.
    #[inline(always)]
    pub(crate) fn value<'a>(&self, datagram: &'a [u8]) -> &'a [u8] {
        datagram.get(usize::from(self.value_at)..usize::from(self.value_end)).unwrap_or_default()
    }
}

/// How many line ends stand before the first line that has text.
#[cold]
fn line_ends_before(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// An offset as it is kept: no datagram is longer than 65,535 bytes.
const fn short(offset: usize) -> u16 {
    offset as u16
}

/// Whether a line holds a CR, or a NUL that is not behind a backslash.
fn has_control(line: &Line<'_>) -> bool {
    line.suspect && has_bare_control(line.text)
}

/// §25.1 lets a NUL stand behind a backslash, in a quoted string.
#[cold]
fn has_bare_control(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().any(|&byte| {
        let bare = byte == b'\r' || byte == 0 && before != b'\\';
        before = byte;
        bare
    })
}

/// The header lines of a message in their order.
#[derive(Clone)]
pub struct Headers<'m, 'a> {
    bytes: &'a [u8],
    entries: std::slice::Iter<'m, Entry>,
}

impl<'a> Iterator for Headers<'_, 'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let entry = self.entries.next()?;
        let name_at = usize::from(entry.name_at);
        let name_end = name_at.saturating_add(usize::from(entry.name_bytes));
        Some(Header {
            name: entry.name,
            raw_name: self.bytes.get(name_at..name_end).unwrap_or_default(),
            value: entry.value(self.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(datagram: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Head::scan(datagram).headers().map(|h| (text(h.raw_name), text(h.value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_value_runs_over_its_continuation_lines() {
        let read = headers(b"\r\n\r\nX\r\nA :\r\n b \r\n\t c\r\nD:\r\nE: f\r\n \r\n\r\nbody");
        assert_eq!(read, [pair("A", "b \r\n\t c"), pair("D", ""), pair("E", "f")]);
    }

    #[test]
    fn a_line_may_end_in_lf_alone() {
        let datagram = b"X\nA: b\n\nbody";
        assert_eq!(headers(datagram), [pair("A", "b")]);
        let head = Head::scan(datagram);
        assert_eq!((head.start_line(), head.rest(), head.fault()), (&b"X"[..], &b"body"[..], None));
    }

    #[test]
    fn what_another_reader_could_take_for_a_line_end_is_a_fault() {
        assert_eq!(Head::scan(b"X\r\nA: b\rVia: c\r\n\r\n").fault(), Some(Fault::ControlInHead));
        assert_eq!(Head::scan(b"X\r\nA: b\0c\r\n\r\n").fault(), Some(Fault::ControlInHead));
        assert_eq!(Head::scan(b"X\r\nA: \"\\\0c\"\r\n\r\n").fault(), None);
    }

    #[test]
    fn a_header_that_is_none_is_a_fault_and_the_others_are_still_read() {
        for line in [&b"no colon"[..], b": empty", b" fold first", b"\xff: x", b"a b: c"] {
            let datagram = [b"X\r\n", line, b"\r\nA: b\r\n\r\n"].concat();
            assert_eq!(Head::scan(&datagram).fault(), Some(Fault::HeaderMalformed));
            assert_eq!(headers(&datagram), [pair("A", "b")]);
        }
    }

    #[test]
    fn limits_are_faults() {
        let many = [b"X\r\n".to_vec(), b"a: b\r\n".repeat(HEADERS_MAX + 1), b"\r\n".to_vec()];
        assert_eq!(Head::scan(&many.concat()).fault(), Some(Fault::HeadersTooMany));
        let fits = [b"X\r\n".to_vec(), b"a: b\r\n".repeat(HEADERS_MAX), b"\r\n".to_vec()];
        assert_eq!(Head::scan(&fits.concat()).fault(), None);
        assert_eq!(Head::scan(&vec![b'x'; 65_536]).fault(), Some(Fault::MessageTooLong));
        assert_eq!(Head::scan(b"X\r\nA: b\r\n").fault(), Some(Fault::HeadUnfinished));
        assert_eq!(Head::scan(b"X").fault(), Some(Fault::HeadUnfinished));
        assert_eq!(Head::scan(b"\r\n\r\n").fault(), Some(Fault::Empty));
    }
}
