//! Where in its frames a WebSocket's bytes are (RFC 6455 §5.2): whether something has begun that is not whole.
//!
//! The library hands out whole messages alone. A clock that ends a message which trickles, or pings between
//! its pieces for ever, must know when that message began; so the bytes are followed on their way there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

/// The front of a frame: two bytes, eight of a long length, four of a mask.
const FRONT_BYTES_MAX: usize = 14;

/// How far a peer's frames have come.
#[derive(Debug, Default)]
struct Frames {
    front: [u8; FRONT_BYTES_MAX],
    front_bytes: usize,
    /// Of the payload, to come.
    payload_left: u64,
    /// A message of several frames has begun, and its last frame is not whole.
    in_pieces: bool,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left == 0 {
                let (byte, rest) = (bytes[0], &bytes[1..]);
                bytes = rest;
                self.take_front(byte);
            } else {
                let skipped = self.payload_left.min(bytes.len() as u64);
                self.payload_left -= skipped;
                bytes = &bytes[skipped as usize..];
            }
            if self.payload_left == 0 && self.front_bytes == self.front_length() {
                self.end_frame();
            }
        }
    }

    fn take_front(&mut self, byte: u8) {
        self.front[self.front_bytes] = byte;
        self.front_bytes += 1;
        if self.front_bytes == self.front_length() {
            self.payload_left = self.payload_length();
        }
    }

    /// Bytes of the front, as far as it is known how many there are.
    fn front_length(&self) -> usize {
        let mask = if self.front[1] & 0x80 == 0 { 0 } else { 4 };
        match (self.front_bytes, self.front[1] & 0x7F) {
            (0 | 1, _) => 2,
            (_, 126) => 4 + mask,
            (_, 127) => 10 + mask,
            _ => 2 + mask,
        }
    }

    fn payload_length(&self) -> u64 {
        let [_, _, high, low, ..] = self.front;
        match self.front[1] & 0x7F {
            126 => u16::from_be_bytes([high, low]).into(),
            127 => self.front[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            short => short.into(),
        }
    }

    fn end_frame(&mut self) {
        let (is_last, opcode) = (self.front[0] & 0x80 != 0, self.front[0] & 0x0F);
        // Pings and their like stand between the pieces of a message and are none of them.
        if opcode < 8 {
            self.in_pieces = !is_last;
        }
        self.front_bytes = 0;
    }

    fn is_between(&self) -> bool {
        self.front_bytes == 0 && !self.in_pieces
    }
}

/// A stream of which it is told when what has not come whole began.
pub(super) struct Followed<S> {
    stream: S,
    frames: Frames,
    begun: watch::Sender<Option<Instant>>,
}

impl<S> Followed<S> {
    /// From the first byte of the first frame on.
    pub(super) fn new(stream: S) -> (Self, watch::Receiver<Option<Instant>>) {
        let (begun, told) = watch::channel(None);
        (Self { stream, frames: Frames::default(), begun }, told)
    }

    fn follow(&mut self, bytes: &[u8]) {
        self.frames.follow(bytes);
        let is_between = self.frames.is_between();
        self.begun.send_if_modified(|begun| {
            let changes = begun.is_none() != is_between;
            if changes {
                *begun = (!is_between).then(Instant::now);
            }
            changes
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, room);
        if let Some(new) = room.filled().get(before..).filter(|new| !new.is_empty()) {
            self.follow(new);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xFF; 4 + length]);
        frame
    }

    #[test]
    fn a_frame_of_any_length_is_whole_with_its_last_byte() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let bytes = frame(0x81, length);
            for piece in [1, 3, bytes.len()] {
                let mut frames = Frames::default();
                for (at, bytes) in bytes.chunks(piece).enumerate() {
                    assert!(at == 0 || !frames.is_between());
                    frames.follow(bytes);
                }
                assert!(frames.is_between(), "{length} by {piece}");
            }
        }
    }

    #[test]
    fn a_ping_between_the_pieces_of_a_message_ends_it_not() {
        let (first, ping, more, last) =
            (frame(0x01, 5), frame(0x89, 3), frame(0x00, 0), frame(0x80, 7));
        let mut frames = Frames::default();
        for bytes in [&first, &ping, &more, &ping] {
            frames.follow(bytes);
            assert!(!frames.is_between());
        }
        frames.follow(&[last.as_slice(), &ping].concat());
        assert!(frames.is_between());
        frames.follow(&ping[..1]);
        assert!(!frames.is_between());
    }
}
