//! A capture file as packets with times: pcap, and pcapng (draft-ietf-opsawg-pcapng).
//!
//! The file is a slice, and a packet borrows from it. Nothing in it is believed: every length is held against
//! what is left of the file, and a [`FileFault`] names the packet it stopped at.

/// Magic numbers of pcap, as its first four bytes read big-endian.
const PCAP_US: u32 = 0xa1b2_c3d4;
const PCAP_NS: u32 = 0xa1b2_3c4d;
/// Block types of pcapng.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Options of an interface.
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;
/// Bytes of the pcap header, and of each packet's.
const PCAP_HEAD: usize = 24;
const PCAP_PACKET_HEAD: usize = 16;
/// No block is shorter: its type, and its length twice.
const BLOCK_MIN: usize = 12;
/// A packet of more is a lie of the file.
const PACKET_BYTES_MAX: usize = 0x4_0000;
/// Interfaces of one section.
const INTERFACES_MAX: usize = 4_096;

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'f> {
    /// Its place in the file, from 1 on.
    pub number: u64,
    /// When it was captured, ns since 1970 UTC.
    pub time_ns: u64,
    /// How its first header is to be read (the link types of tcpdump.org).
    pub link: u32,
    /// What was captured of it.
    pub bytes: &'f [u8],
    /// How long it was on the wire.
    pub wire_bytes: u32,
}

/// Why a file is no capture, or stops being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Neither magic number.
    #[error("this is neither pcap nor pcapng: its first bytes are {0:08x}")]
    Magic(u32),
    /// Shorter than its own first header.
    #[error("the file ends within its first header")]
    Head,
    /// The file ends within a packet or block.
    #[error("packet {0}: the file ends within it")]
    Cut(u64),
    /// A length that cannot be.
    #[error("packet {0}: a length of {1} cannot be")]
    Length(u64, u64),
    /// A packet of an interface that was not described before.
    #[error("packet {0}: it came by interface {1}, which the file does not describe")]
    Interface(u64, u32),
    /// More interfaces than anybody has.
    #[error("packet {0}: more than {INTERFACES_MAX} interfaces in one section")]
    Interfaces(u64),
    /// A clock whose unit cannot be.
    #[error("packet {0}: its interface counts time in units of {1:#04x}, which cannot be")]
    Clock(u64, u8),
    /// A section in an unknown order of bytes.
    #[error("packet {0}: a section begins in no known order of bytes")]
    Order(u64),
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    snap: u32,
    /// Units of its clock in a second.
    per_second: u64,
    offset_s: i64,
}

enum Form {
    Pcap { link: u32, ns: bool },
    Pcapng { interfaces: Vec<Interface> },
}

/// Packets of a capture, one after the other. Behind a fault there is nothing more.
pub struct Packets<'f> {
    bytes: &'f [u8],
    at: usize,
    big_endian: bool,
    form: Form,
    number: u64,
    last_ns: u64,
    over: bool,
}

impl<'f> Packets<'f> {
    /// Reads the first header.
    ///
    /// # Errors
    /// When this is no capture.
    pub fn open(bytes: &'f [u8]) -> Result<Self, FileFault> {
        let head: &[u8; 4] = bytes.first_chunk().ok_or(FileFault::Head)?;
        let (big, little) = (u32::from_be_bytes(*head), u32::from_le_bytes(*head));
        let begin = |big_endian, form, at| Self {
            bytes,
            at,
            big_endian,
            form,
            number: 0,
            last_ns: 0,
            over: false,
        };
        if big == SECTION {
            return Ok(begin(false, Form::Pcapng { interfaces: Vec::new() }, 0));
        }
        let big_endian = matches!(big, PCAP_US | PCAP_NS);
        let magic = if big_endian { big } else { little };
        if !matches!(magic, PCAP_US | PCAP_NS) {
            return Err(FileFault::Magic(big));
        }
        if bytes.len() < PCAP_HEAD {
            return Err(FileFault::Head);
        }
        let mut packets =
            begin(big_endian, Form::Pcap { link: 0, ns: magic == PCAP_NS }, PCAP_HEAD);
        // The upper bits say how long a frame check sequence is.
        let link = packets.u32(20).ok_or(FileFault::Head)? & 0x0fff_ffff;
        packets.form = Form::Pcap { link, ns: magic == PCAP_NS };
        Ok(packets)
    }

    /// Where the next packet begins, in bytes from the start of the file.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let word = self.array(at)?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let word = self.array(at)?;
        Some(if self.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
    }

    /// `length` bytes from `at` on, as a packet's.
    fn data(&self, at: usize, length: u32) -> Result<&'f [u8], FileFault> {
        let bytes = length as usize;
        if bytes > PACKET_BYTES_MAX {
            return Err(FileFault::Length(self.number, length.into()));
        }
        at.checked_add(bytes)
            .and_then(|end| self.bytes.get(at..end))
            .ok_or(FileFault::Cut(self.number))
    }

    fn pcap(&mut self, link: u32, ns: bool) -> Result<Packet<'f>, FileFault> {
        self.number += 1;
        let cut = FileFault::Cut(self.number);
        let [seconds, part, length, wire_bytes] =
            [0, 4, 8, 12].map(|offset| self.u32(self.at + offset));
        let (Some(seconds), Some(part), Some(length), Some(wire_bytes)) =
            (seconds, part, length, wire_bytes)
        else {
            return Err(cut);
        };
        let bytes = self.data(self.at + PCAP_PACKET_HEAD, length)?;
        self.at += PCAP_PACKET_HEAD + bytes.len();
        let part_ns = u64::from(part) * if ns { 1 } else { 1_000 };
        let time_ns = u64::from(seconds) * 1_000_000_000 + part_ns;
        Ok(Packet { number: self.number, time_ns, link, bytes, wire_bytes })
    }

    /// The next block; a packet if it is one.
    fn block(&mut self) -> Result<Option<Packet<'f>>, FileFault> {
        let number = self.number + 1;
        let cut = FileFault::Cut(number);
        if self.array(self.at).map(u32::from_be_bytes) == Some(SECTION) {
            match self.array(self.at + 8).map(u32::from_be_bytes) {
                Some(BYTE_ORDER) => self.big_endian = true,
                Some(word) if word.swap_bytes() == BYTE_ORDER => self.big_endian = false,
                Some(_) => return Err(FileFault::Order(number)),
                None => return Err(cut),
            }
            if let Form::Pcapng { interfaces } = &mut self.form {
                interfaces.clear();
            }
        }
        let kind = self.u32(self.at).ok_or(cut)?;
        let length = self.u32(self.at + 4).ok_or(cut)?;
        let bytes = length as usize;
        if bytes < BLOCK_MIN || !bytes.is_multiple_of(4) {
            return Err(FileFault::Length(number, length.into()));
        }
        let end = self.at.checked_add(bytes).filter(|&end| end <= self.bytes.len()).ok_or(cut)?;
        if self.u32(end - 4) != Some(length) {
            return Err(FileFault::Length(number, length.into()));
        }
        let (body, body_end) = (self.at + 8, end - 4);
        let found = match kind {
            INTERFACE => self.interface(body, body_end).map(|()| None),
            PACKET | OLD_PACKET | SIMPLE_PACKET => self.packet(kind, body, body_end).map(Some),
            // Names, statistics, secrets, and whatever comes to be.
            _ => Ok(None),
        };
        self.at = end;
        found
    }

    fn interface(&mut self, body: usize, end: usize) -> Result<(), FileFault> {
        let number = self.number + 1;
        if body + 8 > end {
            return Err(FileFault::Length(number, (end - body) as u64));
        }
        let link = u32::from(self.u16(body).unwrap_or(0));
        let snap = self.u32(body + 4).unwrap_or(0);
        let (mut per_second, mut offset_s, mut at) = (1_000_000, 0, body + 8);
        while at + 4 <= end {
            let (kind, length) = (self.u16(at).unwrap_or(0), self.u16(at + 2).unwrap_or(0));
            let value = at + 4;
            at = value + usize::from(length).next_multiple_of(4);
            match (kind, length) {
                (0, _) => break,
                (_, _) if at > end => return Err(FileFault::Length(number, length.into())),
                (TIME_RESOLUTION, 1) => {
                    let [unit] = self.array(value).unwrap_or([0]);
                    per_second = units(unit).ok_or(FileFault::Clock(number, unit))?;
                }
                (TIME_OFFSET, 8) => {
                    let word = self.array(value).unwrap_or_default();
                    offset_s = if self.big_endian {
                        i64::from_be_bytes(word)
                    } else {
                        i64::from_le_bytes(word)
                    };
                }
                _ => {}
            }
        }
        let Form::Pcapng { interfaces } = &mut self.form else { return Ok(()) };
        if interfaces.len() >= INTERFACES_MAX {
            return Err(FileFault::Interfaces(number));
        }
        interfaces.push(Interface { link, snap, per_second, offset_s });
        Ok(())
    }

    fn packet(&mut self, kind: u32, body: usize, end: usize) -> Result<Packet<'f>, FileFault> {
        self.number += 1;
        let number = self.number;
        let short = FileFault::Length(number, (end - body) as u64);
        let head = if kind == SIMPLE_PACKET { 4 } else { 20 };
        if body + head > end {
            return Err(short);
        }
        let word = |offset| self.u32(body + offset).unwrap_or(0);
        let which = match kind {
            PACKET => word(0),
            OLD_PACKET => self.u16(body).unwrap_or(0).into(),
            _ => 0,
        };
        let Form::Pcapng { interfaces } = &self.form else { return Err(short) };
        let interface =
            *interfaces.get(which as usize).ok_or(FileFault::Interface(number, which))?;
        let (time_ns, length, wire_bytes) = if kind == SIMPLE_PACKET {
            // It has no time of its own, and is as long as the interface lets it be.
            let snap = if interface.snap == 0 { u32::MAX } else { interface.snap };
            (self.last_ns, word(0).min(snap), word(0))
        } else {
            let units = u64::from(word(4)) << 32 | u64::from(word(8));
            (time(units, &interface), word(12), word(16))
        };
        if length as usize > end - body - head {
            return Err(FileFault::Length(number, length.into()));
        }
        let bytes = self.data(body + head, length)?;
        Ok(Packet { number, time_ns, link: interface.link, bytes, wire_bytes })
    }
}

/// Units of a clock in a second (`if_tsresol`): a power of ten, or of two.
fn units(resolution: u8) -> Option<u64> {
    let power = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10_u64.checked_pow(power) } else { 1_u64.checked_shl(power) }
}

/// What no clock says ends at the last ns that there is.
fn time(units: u64, interface: &Interface) -> u64 {
    let ns = u128::from(units) * 1_000_000_000 / u128::from(interface.per_second.max(1));
    let ns = i128::try_from(ns).unwrap_or(i128::MAX);
    let ns = ns.saturating_add(i128::from(interface.offset_s) * 1_000_000_000);
    u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
}

impl<'f> Iterator for Packets<'f> {
    type Item = Result<Packet<'f>, FileFault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over && self.at < self.bytes.len() {
            let found = match self.form {
                Form::Pcap { link, ns } => self.pcap(link, ns).map(Some),
                Form::Pcapng { .. } => self.block(),
            };
            match found {
                Ok(None) => {}
                Ok(Some(packet)) => {
                    self.last_ns = packet.time_ns;
                    return Some(Ok(packet));
                }
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault));
                }
            }
        }
        None
    }
}

/// The header of a pcap file of Ethernet frames with times in ns.
#[must_use]
pub fn head() -> [u8; PCAP_HEAD] {
    let mut head = [0; PCAP_HEAD];
    let words = [PCAP_NS, 2 | 4 << 16, 0, 0, PACKET_BYTES_MAX as u32, crate::link::ETHERNET];
    for (place, word) in head.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

/// The header of one frame in such a file; times beyond the year 2106 wrap.
#[must_use]
pub fn frame_head(time_ns: u64, bytes: usize) -> [u8; PCAP_PACKET_HEAD] {
    let mut head = [0; PCAP_PACKET_HEAD];
    let (seconds, part) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    let words = [seconds as u32, part as u32, bytes as u32, bytes as u32];
    for (place, word) in head.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
