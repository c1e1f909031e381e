//! A captured call, kept once, and any frame of any call that is made of it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use wire::checksum;

use crate::address::{Rules, readdress, replace};
use crate::clones::{Clones, StreamPatch};
use crate::file::{FileFault, Packets};
use crate::frame::{Kind, Layout, TCP, UDP};
use crate::link::{self, ETHERNET_BYTES};
use crate::text::{Room, Text};

/// An RTP packet's source, from the begin of its payload.
const SOURCE_AT: usize = 8;
/// No stream, no text.
const NONE: u32 = u32::MAX;
/// How much longer a message may become by other addresses; more is refused.
const GROWTH_BYTES: usize = 4_096;

/// What shall become of every frame.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Other addresses, in headers, in SIP and in descriptions.
    pub rules: Rules,
    /// Another sender.
    pub source_mac: Option<[u8; 6]>,
    /// Another receiver.
    pub destination_mac: Option<[u8; 6]>,
    /// Take VLAN tags off.
    pub untag: bool,
    /// Sum checksums anew that do not hold: a capture at the sender has those that the NIC would have
    /// written.
    pub mend_checksums: bool,
    /// Take what is before the first fault of the file.
    pub until_fault: bool,
}

/// Why there is nothing to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error("{0}")]
    File(#[from] FileFault),
    /// More frames than can be counted.
    #[error("packet {0}: more packets than a replay can hold")]
    TooMany(u64),
    /// A message that new addresses make too long.
    #[error("packet {0}: with its new addresses the message is too long")]
    TooLong(u64),
    /// No packet can be sent.
    #[error("no packet of it can be sent: {} cut short by the capture, {} of unknown link types, {} shorter than their \
             header", .0.cut, .0.unknown_link, .0.short)]
    Nothing(Counts),
}

/// What was met in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets in it.
    pub packets: u64,
    /// Not all of the packet was captured: left out.
    pub cut: u64,
    /// Of links that cannot be made Ethernet: left out.
    pub unknown_link: u64,
    /// Shorter than their own header: left out.
    pub short: u64,
    /// Captured earlier than the packet before: sent right behind it.
    pub back_in_time: u64,
    /// With a UDP or TCP checksum that does not hold.
    pub bad_checksum: u64,
    /// SIP messages.
    pub sip: u64,
    /// Parts of packets: their headers get new addresses, what they say does not.
    pub fragments: u64,
    /// SIP over TCP: its headers get new addresses, what it says does not, for its length is agreed.
    pub sip_over_tcp: u64,
    /// The file's fault, if what is before it was taken.
    pub fault: Option<FileFault>,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its place in the file, from 1 on.
    pub number: u64,
    /// When, ns behind the first.
    pub time_ns: u64,
    /// What it says.
    pub kind: Kind,
    at: usize,
    length: u32,
    layout: Option<Layout>,
    stream: u32,
    text: u32,
}

impl Frame {
    /// Its RTP stream.
    #[must_use]
    pub fn stream(&self) -> Option<u32> {
        (self.stream != NONE).then_some(self.stream)
    }

    /// Bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length as usize
    }
}

/// Packets of one RTP source from one end to another.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its SSRC in the capture.
    pub source: u32,
    /// From where, to where.
    pub ends: [SocketAddr; 2],
    /// The number of its first packet.
    pub first_sequence: u16,
    /// Packets.
    pub frames: u32,
    /// Whether all of them are plain frames, which can be patched in the kernel.
    pub is_plain: bool,
    /// Number and frame of each packet, by number.
    by_sequence: Vec<(u16, u32)>,
}

/// Why a frame of a call cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// It is longer than there is room for.
    #[error("it is longer than a frame may be")]
    TooLong,
    /// There is no such frame.
    #[error("the capture has no such frame")]
    NoFrame,
}

/// All frames, kept once.
#[derive(Debug, Default)]
pub struct Capture {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    texts: Vec<Text>,
    streams: Vec<Stream>,
    hosts: Vec<IpAddr>,
    media: Vec<SocketAddr>,
    counts: Counts,
}

impl Capture {
    /// Reads a capture file.
    ///
    /// # Errors
    /// What is wrong with it, with the packet's number.
    pub fn read(file: &[u8], options: &Options) -> Result<Self, ReadError> {
        let mut capture = Self::default();
        let mut streams = HashMap::new();
        let mut first_ns = None;
        let mut last_ns = 0;
        for packet in Packets::open(file)? {
            let packet = match packet {
                Ok(packet) => packet,
                Err(fault) if options.until_fault => {
                    capture.counts.fault = Some(fault);
                    break;
                }
                Err(fault) => return Err(fault.into()),
            };
            capture.counts.packets += 1;
            if (packet.bytes.len() as u64) < packet.wire_bytes.into() {
                capture.counts.cut += 1;
                continue;
            }
            if !link::is_known(packet.link) {
                capture.counts.unknown_link += 1;
                continue;
            }
            let at = capture.bytes.len();
            if link::write_ethernet(packet.link, packet.bytes, &mut capture.bytes).is_none() {
                capture.counts.short += 1;
                continue;
            }
            let first_ns = *first_ns.get_or_insert(packet.time_ns);
            let mut time_ns = packet.time_ns.saturating_sub(first_ns);
            if packet.time_ns < first_ns || time_ns < last_ns {
                capture.counts.back_in_time += 1;
                time_ns = last_ns;
            }
            last_ns = time_ns;
            if capture.frames.len() >= NONE as usize {
                return Err(ReadError::TooMany(packet.number));
            }
            capture.take(at, packet.number, time_ns, options, &mut streams)?;
        }
        if capture.frames.is_empty() {
            return Err(ReadError::Nothing(capture.counts));
        }
        capture.finish();
        Ok(capture)
    }

    /// Takes the frame that was just written at the end.
    fn take(
        &mut self,
        at: usize,
        number: u64,
        time_ns: u64,
        options: &Options,
        streams: &mut HashMap<(u32, [SocketAddr; 2]), u32>,
    ) -> Result<(), ReadError> {
        if options.untag {
            while matches!(self.bytes.get(at + 12..at + 14), Some([0x81, 0] | [0x88, 0xa8]))
                && self.bytes.len() >= at + ETHERNET_BYTES + 4
            {
                self.bytes.drain(at + 12..at + 16);
            }
        }
        for (offset, mac) in [(0, options.destination_mac), (6, options.source_mac)] {
            if let (Some(mac), Some(place)) =
                (mac, self.bytes.get_mut(at + offset..at + offset + 6))
            {
                place.copy_from_slice(&mac);
            }
        }
        let bytes = self.bytes.get_mut(at..).unwrap_or_default();
        let mut layout = Layout::of(bytes);
        let mut kind = Kind::Other;
        let mut text = NONE;
        if let Some(found) = &layout {
            self.counts.fragments += u64::from(!found.is_whole);
            if found.is_whole && !sum_holds(bytes, found) {
                self.counts.bad_checksum += 1;
                if options.mend_checksums {
                    sum_anew(bytes, found);
                }
            }
            if let (Some(payload), Some(ends)) = (found.payload(bytes), found.ends(bytes)) {
                let said = bytes.get(payload..found.end).unwrap_or_default();
                kind = Kind::of(said, ends.map(|end| end.port()));
            } else if let (TCP, Some(at)) = (found.protocol, found.transport) {
                let head = bytes.get(at + 12).map_or(0, |&byte| usize::from(byte >> 4) * 4);
                let said = bytes.get(at + head..found.end).unwrap_or_default();
                self.counts.sip_over_tcp += u64::from(Kind::of(said, [0; 2]) == Kind::Sip);
            }
            if !options.rules.is_empty() {
                readdress(bytes, found, &options.rules);
            }
        }
        if kind == Kind::Sip
            && let Some(found) = layout
        {
            self.counts.sip += 1;
            layout = Some(self.take_text(at, found, &options.rules, number)?);
            text = self.texts.len() as u32 - 1;
        }
        let bytes = self.bytes.get(at..).unwrap_or_default();
        let mut stream = NONE;
        if let (Kind::Rtp { source, sequence }, Some(layout)) = (kind, &layout)
            && let Some(ends) = layout.ends(bytes)
        {
            stream = *streams.entry((source, ends)).or_insert_with(|| {
                self.streams.push(Stream {
                    source,
                    ends,
                    first_sequence: sequence,
                    frames: 0,
                    is_plain: true,
                    by_sequence: Vec::new(),
                });
                self.streams.len() as u32 - 1
            });
            if let Some(found) = self.streams.get_mut(stream as usize) {
                found.frames += 1;
                found.is_plain &= layout.is_plain();
                found.by_sequence.push((sequence, self.frames.len() as u32));
            }
        }
        if let Some(layout) = &layout
            && kind != Kind::Other
        {
            self.hosts.extend(layout.hosts(bytes).into_iter().flatten());
            if kind != Kind::Sip {
                self.media.extend(layout.ends(bytes).into_iter().flatten());
            }
        }
        let length = bytes.len() as u32;
        self.frames.push(Frame { number, time_ns, kind, at, length, layout, stream, text });
        Ok(())
    }

    /// Takes a SIP message to pieces, with the addresses of the rules if there are any.
    fn take_text(
        &mut self,
        at: usize,
        layout: Layout,
        rules: &Rules,
        number: u64,
    ) -> Result<Layout, ReadError> {
        let too_long = ReadError::TooLong(number);
        let bytes = self.bytes.get(at..).unwrap_or_default();
        let payload = layout.payload(bytes).ok_or(too_long)?;
        let message = datagram(bytes, &layout).to_vec();
        let mut text = Text::parse(&message);
        let mut layout = layout;
        if !rules.is_empty() {
            let mut room = vec![0; message.len() + GROWTH_BYTES];
            let mut written = Room::new(&mut room);
            text.write(&message, rules, &[], &mut written);
            let length = written.written().ok_or(too_long)?;
            room.truncate(length);
            self.bytes.truncate(at + payload);
            self.bytes.extend_from_slice(&room);
            let frame = self.bytes.get_mut(at..).unwrap_or_default();
            layout.end = frame.len();
            lengthen(frame, &layout).ok_or(too_long)?;
            text = Text::parse(&room);
        }
        self.media.extend_from_slice(text.media());
        self.hosts.extend(text.media().iter().map(SocketAddr::ip));
        self.texts.push(text);
        Ok(layout)
    }

    fn finish(&mut self) {
        for stream in &mut self.streams {
            stream.by_sequence.sort_unstable();
        }
        if self.hosts.is_empty() {
            let frames = self.frames.iter();
            let hosts = frames.filter_map(|frame| frame.layout?.hosts(self.bytes.get(frame.at..)?));
            self.hosts = hosts.flatten().collect();
        }
        self.hosts.retain(|host| !host.is_unspecified() && !host.is_multicast());
        self.hosts.sort_unstable();
        self.hosts.dedup();
        self.media.sort_unstable();
        self.media.dedup();
    }

    /// What was met in the file.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// All frames, by time.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// All RTP streams.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Every host that takes part in the call, ascending.
    #[must_use]
    pub fn hosts(&self) -> &[IpAddr] {
        &self.hosts
    }

    /// Every end of media, ascending.
    #[must_use]
    pub fn media(&self) -> &[SocketAddr] {
        &self.media
    }

    /// When each frame is due, ns behind the first.
    #[must_use]
    pub fn times(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.time_ns).collect()
    }

    /// A frame as it was captured.
    #[must_use]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.bytes.get(frame.at..frame.at + frame.length as usize).unwrap_or_default()
    }

    /// How the packets of a stream differ in a call; `None`: there is no such stream of plain frames.
    #[must_use]
    pub fn patch(&self, clones: &Clones, call: u64, stream: u32) -> Option<StreamPatch> {
        let found = self.streams.get(stream as usize).filter(|found| found.is_plain)?;
        Some(clones.patch(call, stream, found.ends, found.source))
    }

    /// Writes a frame of a call into `out`, and says how long it is.
    ///
    /// # Errors
    /// When there is no such frame, or no room for it.
    pub fn write(
        &self,
        clones: &Clones,
        call: u64,
        frame: u32,
        out: &mut [u8],
    ) -> Result<usize, WriteFault> {
        let frame = self.frames.get(frame as usize).ok_or(WriteFault::NoFrame)?;
        let bytes = self.bytes(frame);
        if let (Some(layout), false, Some(text)) =
            (&frame.layout, clones.is_verbatim(), self.texts.get(frame.text as usize))
        {
            return write_text(bytes, layout, text, clones, call, out);
        }
        let place = out.get_mut(..bytes.len()).ok_or(WriteFault::TooLong)?;
        place.copy_from_slice(bytes);
        let (Some(layout), false) = (&frame.layout, clones.is_verbatim()) else {
            return Ok(bytes.len());
        };
        readdress(place, layout, &clones.of_slot(clones.slot(call)));
        let (Some(payload), Some(sum)) = (layout.payload(place), layout.checksum()) else {
            return Ok(bytes.len());
        };
        let sum = Some((sum, UDP));
        match frame.kind {
            Kind::Rtp { source, .. } => {
                let new = clones.source(call, frame.stream, source);
                replace(place, payload + SOURCE_AT, &new.to_be_bytes(), sum);
            }
            Kind::Rtcp => {
                for at in rtcp_sources(bytes.get(payload..layout.end).unwrap_or_default()) {
                    let at = payload + at;
                    let Some(old) = place.get(at..).and_then(|rest| rest.first_chunk()) else {
                        continue;
                    };
                    let old = u32::from_be_bytes(*old);
                    let stream = self.streams.iter().position(|stream| stream.source == old);
                    if let Some(stream) = stream {
                        let new = clones.source(call, stream as u32, old);
                        replace(place, at, &new.to_be_bytes(), sum);
                    }
                }
            }
            Kind::Sip | Kind::Other => {}
        }
        Ok(bytes.len())
    }

    /// The frames of a stream that have this number.
    pub(crate) fn numbered(&self, stream: u32, sequence: u16) -> impl Iterator<Item = &Frame> {
        let found = self.streams.get(stream as usize).map_or(&[][..], |found| &found.by_sequence);
        let begin = found.partition_point(|&(number, _)| number < sequence);
        let same = found.iter().skip(begin).take_while(move |&&(number, _)| number == sequence);
        same.filter_map(|&(_, frame)| self.frames.get(frame as usize))
    }

    /// What a frame's datagram carries.
    pub(crate) fn said(&self, frame: &Frame) -> &[u8] {
        let bytes = self.bytes(frame);
        frame.layout.as_ref().map_or(&[], |layout| datagram(bytes, layout))
    }
}

/// The payload of a UDP datagram, without what Ethernet padded.
fn datagram<'b>(bytes: &'b [u8], layout: &Layout) -> &'b [u8] {
    let Some(payload) = layout.payload(bytes) else { return &[] };
    let length = bytes.get(payload - 4..).and_then(|field| field.first_chunk::<2>());
    let length = length.map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    bytes.get(payload..payload - 8 + length).unwrap_or_default()
}

fn write_text(
    bytes: &[u8],
    layout: &Layout,
    text: &Text,
    clones: &Clones,
    call: u64,
    out: &mut [u8],
) -> Result<usize, WriteFault> {
    let payload = layout.payload(bytes).ok_or(WriteFault::NoFrame)?;
    let (place, rest) = out.split_at_mut_checked(payload).ok_or(WriteFault::TooLong)?;
    place.copy_from_slice(bytes.get(..payload).unwrap_or_default());
    let (mark, length) = clones.mark(call);
    let of_slot = clones.of_slot(clones.slot(call));
    let mut room = Room::new(rest);
    text.write(
        datagram(bytes, layout),
        &of_slot,
        mark.get(..length).unwrap_or_default(),
        &mut room,
    );
    let length = payload + room.written().ok_or(WriteFault::TooLong)?;
    let frame = out.get_mut(..length).ok_or(WriteFault::TooLong)?;
    let layout = Layout { end: length, ..*layout };
    readdress(frame, &layout, &of_slot);
    lengthen(frame, &layout).ok_or(WriteFault::TooLong)?;
    Ok(length)
}

/// Corrects lengths and checksums of a UDP frame whose payload ends with the frame. `None`: it is too long.
fn lengthen(frame: &mut [u8], layout: &Layout) -> Option<()> {
    let udp = layout.transport?;
    let udp_bytes = u16::try_from(frame.len() - udp).ok()?;
    frame.get_mut(udp + 4..udp + 6)?.copy_from_slice(&udp_bytes.to_be_bytes());
    let header = if layout.is_v6 { 40 } else { 0 };
    let ip_bytes = u16::try_from(frame.len() - layout.ip - header).ok()?;
    let at = layout.ip + if layout.is_v6 { 4 } else { 2 };
    frame.get_mut(at..at + 2)?.copy_from_slice(&ip_bytes.to_be_bytes());
    sum_anew(frame, layout);
    Some(())
}

/// Of a transport header and what is behind it, with its pseudo-header.
fn transport_sum(frame: &[u8], layout: &Layout) -> Option<u64> {
    let at = layout.transport?;
    let end = if layout.protocol == UDP {
        layout.payload(frame).map(|payload| payload + datagram(frame, layout).len())?
    } else {
        layout.end
    };
    let bytes = frame.get(at..end)?;
    let [source, destination] = layout.hosts(frame)?;
    let pseudo = checksum::pseudo(source, destination, bytes.len() as u16);
    Some(checksum::add(pseudo - u64::from(UDP) + u64::from(layout.protocol), bytes))
}

fn sum_holds(frame: &[u8], layout: &Layout) -> bool {
    let absent = layout.protocol == UDP
        && layout.checksum().is_some_and(|at| frame.get(at..at + 2) == Some(&[0, 0]));
    if !matches!(layout.protocol, TCP | UDP) || absent {
        return true;
    }
    transport_sum(frame, layout).is_none_or(|sum| checksum::finish(sum) == 0)
}

/// Both checksums from scratch; a UDP checksum that is absent is written too.
fn sum_anew(frame: &mut [u8], layout: &Layout) {
    if !layout.is_v6 {
        let header = layout.transport.unwrap_or(layout.ip + 20);
        if let Some(field) = frame.get_mut(layout.ip + 10..layout.ip + 12) {
            field.fill(0);
        }
        let sum =
            checksum::finish(checksum::add(0, frame.get(layout.ip..header).unwrap_or_default()));
        if let Some(field) = frame.get_mut(layout.ip + 10..layout.ip + 12) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    let Some(at) = layout.checksum().filter(|_| matches!(layout.protocol, TCP | UDP)) else {
        return;
    };
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.fill(0);
    }
    let Some(sum) = transport_sum(frame, layout) else { return };
    let sum = match checksum::finish(sum) {
        0 if layout.protocol == UDP => 0xffff,
        sum => sum,
    };
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Where a compound RTCP packet names sources (RFC 3550 §6).
fn rtcp_sources(packet: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    let parts = std::iter::from_fn(move || {
        let [first, kind, l0, l1] = *packet.get(at..)?.first_chunk::<4>()?;
        let begin = at;
        at += 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
        Some((begin, at.min(packet.len()), first & 31, kind))
    });
    parts.flat_map(|(begin, end, count, kind)| {
        let count = usize::from(count);
        // Who reports, then one block per source reported about.
        let (first, step, more) = match kind {
            200 => (begin + 28, 24, count),
            201 => (begin + 8, 24, count),
            203 => (begin + 8, 4, count.saturating_sub(1)),
            205 | 206 => (begin + 8, 4, 1),
            _ => (begin, 4, 0),
        };
        let others = (0..more).map(move |number| first + number * step);
        std::iter::once(begin + 4).chain(others).filter(move |at| at + 4 <= end)
    })
}

#[cfg(test)]
#[path = "capture/tests.rs"]
mod tests;
