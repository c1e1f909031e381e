//! The buffer that text is written into.
//!
//! It never writes past its end: what does not fit is remembered and asked for once. Numbers and IPv4
//! addresses are written without `fmt`, which is much slower.

use std::net::{IpAddr, Ipv4Addr};

/// A buffer and how much of it is written.
pub(crate) struct Room<'o> {
    out: &'o mut [u8],
    length: usize,
    overrun: bool,
}

impl<'o> Room<'o> {
    pub(crate) const fn new(out: &'o mut [u8]) -> Self {
        Self { out, length: 0, overrun: false }
    }

    /// How much is written. `None`: something did not fit.
    pub(crate) fn written(&self) -> Option<usize> {
        (!self.overrun).then_some(self.length)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.out.get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.overrun = true,
        }
    }

    pub(crate) fn decimal(&mut self, number: u64) {
        let mut digits = [0; 20];
        self.push(decimal(number, &mut digits));
    }

    /// An address without brackets.
    pub(crate) fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.ipv4(ip),
            IpAddr::V6(ip) => self.display(format_args!("{ip}")),
        }
    }

    fn ipv4(&mut self, ip: Ipv4Addr) {
        let [a, b, c, d] = ip.octets();
        self.decimal(a.into());
        for octet in [b, c, d] {
            self.push(b".");
            self.decimal(octet.into());
        }
    }

    pub(crate) fn display(&mut self, text: std::fmt::Arguments<'_>) {
        if std::fmt::Write::write_fmt(self, text).is_err() {
            self.overrun = true;
        }
    }

    /// Lets `write` fill the rest and say how much it wrote; returns that.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        let rest = self.out.get_mut(self.length..)?;
        let room = rest.len();
        let filled = write(rest).filter(|&filled| filled <= room)?;
        self.length = self.length.saturating_add(filled);
        Some(filled)
    }

    /// Writes over what stands `before_end` bytes before the end.
    pub(crate) fn patch(&mut self, before_end: usize, bytes: &[u8]) -> Option<()> {
        let at = self.length.checked_sub(before_end)?;
        let end = at.checked_add(bytes.len()).filter(|&end| end <= self.length)?;
        self.out.get_mut(at..end)?.copy_from_slice(bytes);
        Some(())
    }
}

impl std::fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// The decimal digits of a number, at the end of `digits`.
pub(crate) fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = number;
    let mut count = 0usize;
    for place in digits.iter_mut().rev() {
        // Neither can fail: ten is not zero, and a digit is below ten.
        *place = b'0'.wrapping_add(u8::try_from(rest.wrapping_rem(10)).unwrap_or(0));
        rest = rest.wrapping_div(10);
        count = count.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    digits.get(digits.len().saturating_sub(count)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Room<'_>)) -> String {
        let mut out = [0; 64];
        let mut room = Room::new(&mut out);
        write(&mut room);
        let length = room.written().unwrap();
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn numbers_and_addresses_read_as_the_library_writes_them() {
        for number in [0, 9, 10, 99, 100, 65_535, u64::MAX] {
            assert_eq!(written(|room| room.decimal(number)), number.to_string());
        }
        for ip in ["0.0.0.0", "255.255.255.255", "10.0.100.7", "::", "2001:db8::1"] {
            assert_eq!(written(|room| room.ip(ip.parse().unwrap())), ip);
        }
    }

    #[test]
    fn what_does_not_fit_is_remembered() {
        let mut out = [0; 3];
        let mut room = Room::new(&mut out);
        room.push(b"ab");
        assert_eq!(room.written(), Some(2));
        room.push(b"cd");
        room.push(b"e");
        assert_eq!(room.written(), None);
        assert_eq!(room.fill(|_| Some(1)), None);
        assert_eq!(
            (room.patch(4, b"x"), room.patch(1, b"xy"), room.patch(3, b"xyz")),
            (None, None, Some(()))
        );
    }
}
