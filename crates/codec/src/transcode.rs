//! RTP packets of one codec in, RTP packets of another out: one direction of one call.
//!
//! ```text
//!  packet ──▶ in order? ──▶ code words ──▶ samples ──▶ (8 ↔ 16 kHz) ──▶ code words ──▶ ten milliseconds
//!             lost: made up             ◀────── the same codec: as they are ──────▶    wait for a packet
//! ```
//!
//! There is no clock and no jitter buffer: what arrives is played, what arrives late was played without,
//! what is missing is made up for, as long as that deceives anybody. Times go on where they stood: the clock
//! of every codec here ticks 8,000 times a second (RFC 3551 §4.5.2), so a packet's time is its own plus a
//! constant, and a silence stays as long as it was. The stream is ours: SSRC, sequence and times are not
//! those of whoever sends.
//!
//! Withstands: packets of any length and content, sources that change, times that leap.

use wire::rtp::{RTP_BYTES, body, parse};

use crate::g711::{from_a_law, from_mu_law, to_a_law, to_mu_law};
use crate::resample::{Down, Up};
use crate::{g722, g729, g7231};

/// So many packets may become of one.
pub const PACKETS_MAX: usize = 4;

/// Ten milliseconds: what everything here is counted in. Ticks of the RTP clock, and samples at 8 kHz.
const BLOCK_TICKS: usize = 80;
/// Samples of the same at 16 kHz.
const BLOCK_WIDE: usize = 160;
/// Code words of the longest.
const BLOCK_BYTES_MAX: usize = 80;
/// The longest packet that is read and that is written.
const BLOCKS_MAX: usize = 12;
/// What may wait: one block less than a packet, what was lost, and what came.
const WAITING_MAX: usize = 2 * BLOCKS_MAX + LOST_MAX;
/// A loss of more is heard as one.
const LOST_MAX: usize = 6;
/// Packets so far behind or ahead are of the same stream (RFC 3550 §A.1).
const MISORDER_MAX: i16 = 100;

/// How speech is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711, µ-law.
    Pcmu,
    /// G.711, A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// G.729, also of annex A.
    G729,
    /// G.723.1: read at both rates, written at 6.3 kbit/s.
    G723,
}

impl Codec {
    /// All.
    pub const ALL: [Self; 5] = [Self::Pcmu, Self::Pcma, Self::G722, Self::G729, Self::G723];

    /// As SDP calls it (RFC 3551 §6); all have 8000 behind it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::G729 => "G729",
            Self::G723 => "G723",
        }
    }

    /// The payload type that needs no `rtpmap` (RFC 3551 §6).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::G729 => 18,
            Self::G723 => 4,
        }
    }

    const fn block_bytes(self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => BLOCK_BYTES_MAX,
            Self::G729 => g729::FRAME_BYTES,
            Self::G723 => g7231::HIGH_BYTES,
        }
    }

    /// Blocks of ten milliseconds that are written as one.
    const fn frame_blocks(self) -> usize {
        if matches!(self, Self::G723) { g7231::FRAME_SAMPLES / BLOCK_TICKS } else { 1 }
    }

    /// The shortest packet that is no shorter than `ms` and holds whole frames.
    #[must_use]
    pub const fn packet_ms(self, ms: u8) -> u8 {
        if matches!(self, Self::G723) { ms.div_ceil(30).saturating_mul(30) } else { ms }
    }

    const fn is_wide(self) -> bool {
        matches!(self, Self::G722)
    }
}

/// What one far end reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its codec.
    pub codec: Codec,
    /// The codec's payload type.
    pub payload_type: u8,
    /// That of its telephone events (RFC 4733).
    pub events: Option<u8>,
    /// That of its comfort noise (RFC 3389).
    pub noise: Option<u8>,
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What arrives.
    pub from: Side,
    /// What leaves.
    pub to: Side,
    /// Milliseconds of a packet that leaves: 10 to 120, in tens.
    pub packet_ms: u8,
}

/// Where our stream begins; of chance (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its name.
    pub ssrc: u32,
    /// Its first packet.
    pub sequence: u16,
    /// The time of that.
    pub timestamp: u32,
}

/// Why nothing became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No RTP, or a payload that its codec does not have.
    Malformed,
    /// Its time was played without it.
    Late,
    /// A payload type that was not agreed, or one that the other side has not.
    Unknown,
}

#[expect(clippy::large_enum_variant, reason = "made anew in place, and nothing is allocated")]
#[derive(Debug)]
enum Reader {
    Pcmu,
    Pcma,
    G722(g722::Decoder),
    G729(g729::Decoder),
    G723(g7231::Decoder),
}

impl Reader {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722(g722::Decoder::default()),
            Codec::G729 => Self::G729(g729::Decoder::default()),
            Codec::G723 => Self::G723(g7231::Decoder::default()),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "made anew in place, and nothing is allocated")]
#[derive(Debug)]
enum Writer {
    /// The code words are what they were.
    Same,
    Pcmu,
    Pcma,
    G722(g722::Encoder),
    G729(g729::Encoder),
    G723(g7231::Encoder),
}

#[derive(Debug)]
enum Rate {
    Same,
    Up(Up),
    Down(Down),
}

/// Where the stream that arrives is.
#[derive(Clone, Copy, Debug)]
struct Heard {
    ssrc: u32,
    /// What comes next.
    sequence: u16,
    timestamp: u32,
    /// Ours less theirs.
    ahead: u32,
}

/// A packet that arrived.
struct Packet<'a> {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    content: Content,
    body: &'a [u8],
}

#[derive(Clone, Copy)]
enum Content {
    /// For so long.
    Speech { ticks: u32 },
    /// No speech, and goes on as it is under this payload type.
    As(u8),
}

/// The packets that leave, while they are made.
struct Out<'a, const BYTES: usize> {
    packets: &'a mut [[u8; BYTES]; PACKETS_MAX],
    lengths: &'a mut [usize; PACKETS_MAX],
    made: usize,
}

/// One direction.
#[derive(Debug)]
pub struct Transcoder {
    settings: Settings,
    start: Start,
    reader: Reader,
    rate: Rate,
    writer: Writer,
    heard: Option<Heard>,
    /// Samples, or code words of the same codec, that are no whole block yet.
    samples: [i16; BLOCK_WIDE],
    words: [u8; BLOCK_BYTES_MAX],
    partial: usize,
    /// Blocks that are no whole frame of G.723.1 yet.
    frame: [i16; g7231::FRAME_SAMPLES],
    gathered: usize,
    /// The last block, by which a lost one is made up for, and how often in a row it was.
    last: [i16; BLOCK_WIDE],
    repeated: u8,
    /// Blocks that are no whole packet yet.
    waiting: [u8; WAITING_MAX * BLOCK_BYTES_MAX],
    waiting_bytes: usize,
    blocks: usize,
    /// The time of the first of them.
    timestamp: u32,
    sequence: u16,
    /// The next packet begins a talk (RFC 3551 §4.1).
    begins: bool,
}

impl Transcoder {
    /// A direction on which nothing has come yet.
    #[must_use]
    pub fn new(settings: Settings, start: Start) -> Self {
        let (from, to) = (settings.from.codec, settings.to.codec);
        let writer = match to {
            _ if from == to => Writer::Same,
            Codec::Pcmu => Writer::Pcmu,
            Codec::Pcma => Writer::Pcma,
            Codec::G722 => Writer::G722(g722::Encoder::default()),
            Codec::G729 => Writer::G729(g729::Encoder::default()),
            Codec::G723 => Writer::G723(g7231::Encoder::default()),
        };
        let rate = match (from.is_wide(), to.is_wide()) {
            (false, true) => Rate::Up(Up::default()),
            (true, false) => Rate::Down(Down::default()),
            _ => Rate::Same,
        };
        Self {
            settings,
            start,
            reader: Reader::new(from),
            rate,
            writer,
            heard: None,
            samples: [0; BLOCK_WIDE],
            words: [0; BLOCK_BYTES_MAX],
            partial: 0,
            frame: [0; g7231::FRAME_SAMPLES],
            gathered: 0,
            last: [0; BLOCK_WIDE],
            repeated: 0,
            waiting: [0; WAITING_MAX * BLOCK_BYTES_MAX],
            waiting_bytes: 0,
            blocks: 0,
            timestamp: start.timestamp,
            sequence: start.sequence,
            begins: true,
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How far our stream has come: its last packet, and the time of what is written next.
    #[must_use]
    pub fn position(&self) -> Start {
        let (sequence, timestamp) = (self.sequence.wrapping_sub(1), self.now());
        Start { ssrc: self.start.ssrc, sequence, timestamp }
    }

    /// Writes what becomes of `packet`, and how long each is; 0: none. A packet may be read now and heard
    /// with a later one. `BYTES` holds 120 ms of G.711: 972.
    ///
    /// # Errors
    ///
    /// Nothing became of the packet.
    pub fn transcode<const BYTES: usize>(
        &mut self,
        packet: &[u8],
        packets: &mut [[u8; BYTES]; PACKETS_MAX],
        lengths: &mut [usize; PACKETS_MAX],
    ) -> Result<(), Fault> {
        const { assert!(BYTES >= RTP_BYTES + BLOCKS_MAX * BLOCK_BYTES_MAX) };
        *lengths = [0; PACKETS_MAX];
        let mut out = Out { packets, lengths, made: 0 };
        let rtp = parse(packet).ok_or(Fault::Malformed)?;
        let body = body(packet).filter(|body| !body.is_empty()).ok_or(Fault::Malformed)?;
        let content = self.content(rtp.payload_type, body);
        if let Some(heard) = &mut self.heard
            && matches!(content, Err(Fault::Unknown))
            && [heard.ssrc, heard.sequence.into()] == [rtp.ssrc, rtp.sequence.into()]
        {
            // It came, and is not read: what is not spoken behind it is a silence, and no loss.
            heard.sequence = heard.sequence.wrapping_add(1);
        }
        let packet = Packet {
            sequence: rtp.sequence,
            timestamp: rtp.timestamp,
            marker: packet[1] & 0x80 != 0,
            content: content?,
            body,
        };

        let ahead = match self.heard {
            Some(heard) if heard.ssrc == rtp.ssrc => {
                let ahead = rtp.sequence.wrapping_sub(heard.sequence) as i16;
                if (-MISORDER_MAX..0).contains(&ahead) {
                    return Err(Fault::Late);
                }
                (0..=MISORDER_MAX).contains(&ahead).then_some(ahead)
            }
            _ => None,
        };
        match ahead {
            None => self.meet(rtp.ssrc, rtp.timestamp),
            Some(ahead) if matches!(packet.content, Content::Speech { .. }) => {
                self.keep_time(rtp.timestamp, ahead > 0, &mut out);
            }
            Some(_) => {}
        }
        self.take(&packet, &mut out);
        Ok(())
    }

    /// A source that is new: its time goes on where ours stands.
    fn meet(&mut self, ssrc: u32, timestamp: u32) {
        self.reader = Reader::new(self.settings.from.codec);
        let ahead = self.now().wrapping_sub(timestamp);
        self.heard = Some(Heard { ssrc, sequence: 0, timestamp, ahead });
        self.begins = true;
    }

    /// The time of what is written next.
    fn now(&self) -> u32 {
        let partial = if self.settings.from.codec.is_wide() && !matches!(self.writer, Writer::Same)
        {
            self.partial / 2
        } else {
            self.partial
        };
        self.timestamp.wrapping_add((self.blocks * BLOCK_TICKS + self.gathered + partial) as u32)
    }

    /// Makes up for what is missing before `timestamp`, or leaps to it.
    fn keep_time<const BYTES: usize>(
        &mut self,
        timestamp: u32,
        is_loss: bool,
        out: &mut Out<'_, BYTES>,
    ) {
        let Some(heard) = self.heard else { return };
        let missing = timestamp.wrapping_sub(heard.timestamp) as i32;
        if missing == 0 {
            return;
        }
        if missing < 0 {
            return self.meet(heard.ssrc, timestamp);
        }
        let frame = self.settings.from.codec.frame_blocks();
        let lost = missing as usize / BLOCK_TICKS;
        let is_heard =
            !is_loss || lost > LOST_MAX || !(missing as usize).is_multiple_of(frame * BLOCK_TICKS);
        if is_heard || matches!(self.writer, Writer::Same) {
            self.flush(out);
            (self.partial, self.gathered) = (0, 0);
            self.timestamp = timestamp.wrapping_add(heard.ahead);
            // A receiver makes up for a loss itself; a silence is the begin of a talk.
            self.begins |= is_heard;
            return;
        }
        for _ in 0..lost / frame {
            self.conceal();
        }
    }

    /// Reads a packet whose turn it is.
    fn take<const BYTES: usize>(&mut self, packet: &Packet<'_>, out: &mut Out<'_, BYTES>) {
        let Some(heard) = &mut self.heard else { return };
        heard.sequence = packet.sequence.wrapping_add(1);
        let ticks = match packet.content {
            Content::Speech { ticks } => ticks,
            Content::As(payload_type) => {
                let timestamp = packet.timestamp.wrapping_add(heard.ahead);
                let head = self.head(payload_type, packet.marker, timestamp);
                return out.write(&head, packet.body);
            }
        };
        heard.timestamp = packet.timestamp.wrapping_add(ticks);
        if self.read(packet.body) {
            self.flush(out);
        }
        let left = PACKETS_MAX.saturating_sub(out.made).max(1);
        let frame = self.settings.to.codec.frame_blocks();
        let blocks = usize::from(self.settings.packet_ms / 10).clamp(1, BLOCKS_MAX);
        let blocks = blocks.max(self.blocks.div_ceil(left)).next_multiple_of(frame);
        while self.blocks >= blocks {
            self.send(blocks, out);
        }
    }

    /// What a payload type and a length stand for.
    fn content(&self, payload_type: u8, body: &[u8]) -> Result<Content, Fault> {
        let bytes = body.len();
        let Settings { from, to, .. } = &self.settings;
        if payload_type == from.payload_type {
            let ticks = match from.codec {
                Codec::Pcmu | Codec::Pcma | Codec::G722 => bytes,
                Codec::G729 => match bytes % g729::FRAME_BYTES {
                    0 => bytes / g729::FRAME_BYTES * BLOCK_TICKS,
                    g729::SILENCE_BYTES => (bytes / g729::FRAME_BYTES + 1) * BLOCK_TICKS,
                    _ => return Err(Fault::Malformed),
                },
                Codec::G723 if frames(body).all(|frame| frame.is_some()) => {
                    frames(body).count() * g7231::FRAME_SAMPLES
                }
                Codec::G723 => return Err(Fault::Malformed),
            };
            let is_known = ticks <= BLOCKS_MAX * BLOCK_TICKS;
            return if is_known {
                Ok(Content::Speech { ticks: ticks as u32 })
            } else {
                Err(Fault::Malformed)
            };
        }
        let to = match payload_type {
            it if Some(it) == from.events => to.events,
            it if Some(it) == from.noise => to.noise,
            _ => None,
        };
        // It may be as long as the longest packet of speech; an event has four bytes.
        let to = to.filter(|_| bytes <= BLOCKS_MAX * BLOCK_BYTES_MAX);
        to.map(Content::As).ok_or(Fault::Unknown)
    }

    /// Code words to blocks. Says whether they end a talk: nothing comes behind a description of silence.
    fn read(&mut self, body: &[u8]) -> bool {
        self.repeated = 0;
        if matches!(self.writer, Writer::Same) {
            return self.copy(body);
        }
        let mut reader = core::mem::replace(&mut self.reader, Reader::Pcmu);
        match &mut reader {
            Reader::Pcmu => body.iter().for_each(|word| self.push(&[from_mu_law(*word)])),
            Reader::Pcma => body.iter().for_each(|word| self.push(&[from_a_law(*word)])),
            Reader::G722(decoder) => {
                body.iter().for_each(|word| self.push(&decoder.decode(*word)));
            }
            Reader::G729(decoder) => {
                let (frames, rest) = body.as_chunks();
                let mut samples = [0; g729::FRAME_SAMPLES];
                for frame in frames {
                    decoder.decode(frame, &mut samples);
                    self.push(&samples);
                }
                if let Some(silence) = rest.first_chunk() {
                    decoder.describe(*silence, &mut samples);
                    self.push(&samples);
                }
            }
            Reader::G723(decoder) => {
                let mut samples = [0; g7231::FRAME_SAMPLES];
                for frame in frames(body).flatten() {
                    decoder.decode(frame, &mut samples);
                    self.push(&samples);
                }
            }
        }
        self.reader = reader;
        false
    }

    /// The same, if both sides have one codec.
    fn copy(&mut self, body: &[u8]) -> bool {
        if self.settings.to.codec == Codec::G723 {
            let mut is_silent = false;
            for frame in frames(body).flatten() {
                is_silent |= frame.len() < g7231::LOW_BYTES;
                self.wait(frame);
            }
            return is_silent;
        }
        let block = self.settings.to.codec.block_bytes();
        let (words, silence) = match self.settings.to.codec {
            Codec::G729 => body.split_at(body.len() - body.len() % g729::FRAME_BYTES),
            _ => (body, &[][..]),
        };
        for word in words {
            self.words[self.partial] = *word;
            self.partial += 1;
            if self.partial == block {
                self.partial = 0;
                let words = self.words;
                self.wait(&words[..block]);
            }
        }
        if !silence.is_empty() {
            self.wait(silence);
        }
        !silence.is_empty()
    }

    /// Samples to blocks.
    fn push(&mut self, samples: &[i16]) {
        let block = if self.settings.from.codec.is_wide() { BLOCK_WIDE } else { BLOCK_TICKS };
        for sample in samples {
            self.samples[self.partial] = *sample;
            self.partial += 1;
            if self.partial == block {
                self.partial = 0;
                self.last = self.samples;
                self.encode();
            }
        }
    }

    /// A block that did not come.
    fn conceal(&mut self) {
        self.repeated = self.repeated.saturating_add(1);
        if let Reader::G729(decoder) = &mut self.reader {
            let mut samples = [0; g729::FRAME_SAMPLES];
            decoder.conceal(&mut samples);
            return self.push(&samples);
        }
        if let Reader::G723(decoder) = &mut self.reader {
            let mut samples = [0; g7231::FRAME_SAMPLES];
            decoder.conceal(&mut samples);
            return self.push(&samples);
        }
        // The last one again, three decibels softer each time.
        for sample in &mut self.last {
            *sample = (i32::from(*sample) * 181 / 256) as i16;
        }
        let block = if self.settings.from.codec.is_wide() { BLOCK_WIDE } else { BLOCK_TICKS };
        let last = self.last;
        self.push(&last[..block]);
    }

    /// Writes the block that `samples` holds.
    fn encode(&mut self) {
        let (mut narrow, mut wide) = ([0; BLOCK_TICKS], self.samples);
        narrow.copy_from_slice(&self.samples[..BLOCK_TICKS]);
        match &mut self.rate {
            Rate::Same => {}
            Rate::Up(filter) => filter.convert(&narrow, &mut wide),
            Rate::Down(filter) => filter.convert(&self.samples, &mut narrow),
        }
        let mut words = [0; BLOCK_BYTES_MAX];
        match &mut self.writer {
            Writer::Same => {}
            Writer::Pcmu => words = narrow.map(to_mu_law),
            Writer::Pcma => words = narrow.map(to_a_law),
            Writer::G722(encoder) => {
                for (word, pair) in words.iter_mut().zip(wide.as_chunks().0) {
                    *word = encoder.encode(*pair);
                }
            }
            Writer::G729(encoder) => {
                words[..g729::FRAME_BYTES].copy_from_slice(&encoder.encode(&narrow));
            }
            Writer::G723(encoder) => {
                self.frame[self.gathered..][..BLOCK_TICKS].copy_from_slice(&narrow);
                self.gathered += BLOCK_TICKS;
                if self.gathered < g7231::FRAME_SAMPLES {
                    return;
                }
                self.gathered = 0;
                words[..g7231::HIGH_BYTES].copy_from_slice(&encoder.encode(&self.frame));
            }
        }
        self.wait(&words[..self.settings.to.codec.block_bytes()]);
    }

    fn wait(&mut self, words: &[u8]) {
        let end = self.waiting_bytes + words.len();
        if let Some(room) = self.waiting.get_mut(self.waiting_bytes..end) {
            room.copy_from_slice(words);
            self.waiting_bytes = end;
            self.blocks += self.settings.to.codec.frame_blocks();
        }
    }

    /// All that waits.
    fn flush<const BYTES: usize>(&mut self, out: &mut Out<'_, BYTES>) {
        while self.blocks > 0 {
            self.send(self.blocks.min(BLOCKS_MAX), out);
        }
    }

    /// So many blocks of those that wait, in one packet.
    fn send<const BYTES: usize>(&mut self, blocks: usize, out: &mut Out<'_, BYTES>) {
        let bytes = if blocks >= self.blocks {
            self.waiting_bytes
        } else if self.settings.to.codec == Codec::G723 {
            let waiting = frames(&self.waiting[..self.waiting_bytes]).flatten();
            waiting.take(blocks / Codec::G723.frame_blocks()).map(<[u8]>::len).sum()
        } else {
            blocks * self.settings.to.codec.block_bytes()
        };
        let begins = core::mem::take(&mut self.begins);
        let head = self.head(self.settings.to.payload_type, begins, self.timestamp);
        out.write(&head, &self.waiting[..bytes]);
        self.waiting.copy_within(bytes..self.waiting_bytes, 0);
        self.waiting_bytes -= bytes;
        self.blocks = self.blocks.saturating_sub(blocks);
        self.timestamp = self.timestamp.wrapping_add((blocks * BLOCK_TICKS) as u32);
    }

    /// The header of our next packet.
    fn head(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> [u8; RTP_BYTES] {
        let mut head = [0; RTP_BYTES];
        head[..2].copy_from_slice(&[0x80, u8::from(marker) << 7 | (payload_type & 0x7f)]);
        head[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        head[8..].copy_from_slice(&self.start.ssrc.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        head
    }
}

/// The frames of G.723.1, and none for one that is cut off.
fn frames(mut body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    core::iter::from_fn(move || {
        let bytes = g7231::frame_bytes(*body.first()?);
        let frame = body.split_at_checked(bytes);
        body = frame.map_or(&[], |(_, rest)| rest);
        Some(frame.map(|(frame, _)| frame))
    })
}

impl<const BYTES: usize> Out<'_, BYTES> {
    fn write(&mut self, head: &[u8; RTP_BYTES], body: &[u8]) {
        let Some(packet) = self.packets.get_mut(self.made) else { return };
        packet[..RTP_BYTES].copy_from_slice(head);
        packet[RTP_BYTES..RTP_BYTES + body.len()].copy_from_slice(body);
        self.lengths[self.made] = RTP_BYTES + body.len();
        self.made += 1;
    }
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;
