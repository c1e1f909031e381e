//! The one pass over a datagram's lines: where the start line, each header and the body stand.
//!
//! It goes on after a fault, so that a broken request can still be answered: the first fault is kept
//! beside what could be read. A header's value runs over its continuation lines (RFC 3261 §7.3.1). A
//! line may end in LF alone; a CR that ends no line, or a NUL outside a quoted pair, is a fault,
//! because another reader might see a line end there that we did not.

use crate::fault::Fault;
use crate::header::{HEADERS_MAX, Header, Name};
use crate::scan::{self, Cursor};

/// One header line: offsets into the datagram, which is shorter than 64 KiB.
#[derive(Clone, Copy)]
struct Entry {
    name: Name,
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
    /// Lines that end in CRLF.
    crlfs: usize,
    fault: Option<Fault>,
}

impl<'a> Head<'a> {
    /// Reads the lines of a datagram.
    pub(crate) fn scan(datagram: &'a [u8]) -> Self {
        let mut head = Self {
            bytes: datagram,
            start_line: b"",
            rest: b"",
            entries: [NO_ENTRY; HEADERS_MAX],
            count: 0,
            crlfs: 0,
            fault: None,
        };
        let mut rest = datagram;
        if u16::try_from(datagram.len()).is_err() {
            head.note(Fault::MessageTooLong);
            rest = datagram.get(..usize::from(u16::MAX)).unwrap_or_default();
            head.bytes = rest;
        }
        // §7.5: line ends before the start line are ignored.
        while let [b'\r' | b'\n', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            head.note(Fault::Empty);
            return head;
        }
        let lines = rest;
        head.start_line = head.line(&mut rest);
        loop {
            if rest.is_empty() {
                head.note(Fault::HeadUnfinished);
                break;
            }
            let from = rest;
            let line = head.line(&mut rest);
            match line {
                [] => break,
                [b' ' | b'\t', ..] => head.fold(from, line),
                _ => head.header(from, line),
            }
        }
        head.rest = rest;
        head.look_for_controls(
            lines.get(..lines.len().saturating_sub(rest.len())).unwrap_or_default(),
        );
        head
    }

    /// Only the first fault is kept.
    fn note(&mut self, fault: Fault) {
        self.fault = self.fault.or(Some(fault));
    }

    /// The next line without its end.
    fn line(&mut self, rest: &mut &'a [u8]) -> &'a [u8] {
        let start = *rest;
        let Some((line, [_, after @ ..])) =
            memchr::memchr(b'\n', start).and_then(|at| start.split_at_checked(at))
        else {
            *rest = b"";
            return start;
        };
        *rest = after;
        match line {
            [line @ .., b'\r'] => {
                self.crlfs = self.crlfs.saturating_add(1);
                line
            }
            line => line,
        }
    }

    /// Whether the lines hold a CR more than their ends, or a NUL that is not behind a backslash.
    fn look_for_controls(&mut self, lines: &[u8]) {
        let stray_cr = memchr::memchr_iter(b'\r', lines).count() != self.crlfs;
        if stray_cr || memchr::memchr(0, lines).is_some() && has_bare_nul(lines) {
            self.note(Fault::ControlInHead);
        }
    }

    /// The offset of a tail of the datagram.
    fn offset(&self, tail: usize) -> u16 {
        u16::try_from(self.bytes.len().saturating_sub(tail)).unwrap_or(u16::MAX)
    }

    /// A header line; `from` is the rest of the datagram that it begins.
    fn header(&mut self, from: &'a [u8], line: &'a [u8]) {
        let mut cursor = Cursor::new(line);
        let name = cursor.take(scan::TOKEN);
        // §7.3.1 tolerates blanks before the colon.
        cursor.skip_blanks();
        let colon = cursor.eat(b':');
        let (Ok(name_bytes @ 1..), true) = (u8::try_from(name.len()), colon) else {
            return self.note(Fault::HeaderMalformed);
        };
        cursor.skip_blanks();
        let behind_line = from.len().saturating_sub(line.len());
        let value_at = self.offset(cursor.rest.len().saturating_add(behind_line));
        let value_bytes = scan::trim_end(cursor.rest).len();
        let entry = Entry {
            name: Name::new(name),
            name_bytes,
            name_at: self.offset(from.len()),
            value_at,
            value_end: value_at.saturating_add(u16::try_from(value_bytes).unwrap_or(u16::MAX)),
        };
        match self.entries.get_mut(self.count) {
            Some(room) => {
                *room = entry;
                self.count = self.count.saturating_add(1);
            }
            None => self.note(Fault::HeadersTooMany),
        }
    }

    /// A continuation line: the last header's value runs to its end.
    fn fold(&mut self, from: &'a [u8], line: &'a [u8]) {
        let text = scan::trim(line);
        let begin = self.offset(from.len());
        let lead = line.len().saturating_sub(line.trim_ascii_start().len());
        let last = self.count.checked_sub(1).and_then(|last| self.entries.get_mut(last));
        let Some(entry) = last else { return self.note(Fault::HeaderMalformed) };
        if text.is_empty() {
            return;
        }
        let text_at = begin.saturating_add(u16::try_from(lead).unwrap_or(u16::MAX));
        if entry.value_at == entry.value_end {
            entry.value_at = text_at;
        }
        entry.value_end = text_at.saturating_add(u16::try_from(text.len()).unwrap_or(u16::MAX));
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
        Headers {
            bytes: self.bytes,
            entries: self.entries.get(..self.count).unwrap_or_default().iter(),
        }
    }
}

/// §25.1 lets a NUL stand behind a backslash, in a quoted string.
#[cold]
fn has_bare_nul(lines: &[u8]) -> bool {
    let mut before = 0;
    lines.iter().any(|&byte| {
        let bare = byte == 0 && before != b'\\';
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
        let value = usize::from(entry.value_at)..usize::from(entry.value_end);
        Some(Header {
            name: entry.name,
            raw_name: self.bytes.get(name_at..name_end).unwrap_or_default(),
            value: self.bytes.get(value).unwrap_or_default(),
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
