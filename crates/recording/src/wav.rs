//! WAV with two channels of 16-bit samples at 8 kHz (RIFF, `WAVE_FORMAT_PCM`).

use crate::{Frame, RATE};

/// Bytes before the first sample.
pub const HEAD_BYTES: usize = 44;
/// Bytes of a [`Frame`].
pub const FRAME_BYTES: usize = 4;
/// Samples that a file can hold: its lengths are of 32 bits. More than 37 hours.
pub const FRAMES_MAX: u64 = (u32::MAX as u64 - HEAD_BYTES as u64) / FRAME_BYTES as u64;

/// The head of a file that holds so many frames. Written anew as it grows, so that a file that was cut off can be heard.
#[must_use]
pub fn head(frames: u64) -> [u8; HEAD_BYTES] {
    const CHANNELS: u16 = 2;
    const SAMPLE_BITS: u16 = 16;
    let bytes = (frames.min(FRAMES_MAX) * FRAME_BYTES as u64) as u32;
    let mut head = [0; HEAD_BYTES];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(bytes + HEAD_BYTES as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &CHANNELS.to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * FRAME_BYTES as u32).to_le_bytes(),
        &(FRAME_BYTES as u16).to_le_bytes(),
        &SAMPLE_BITS.to_le_bytes(),
        b"data",
        &bytes.to_le_bytes(),
    ];
    let mut room = head.iter_mut();
    for byte in parts.into_iter().flatten() {
        if let Some(place) = room.next() {
            *place = *byte;
        }
    }
    head
}

/// Frames as they stand in a file.
pub fn bytes(frames: &[Frame]) -> impl Iterator<Item = u8> + '_ {
    frames.iter().flatten().flat_map(|sample| sample.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_follows() {
        let head = head(8_000);
        assert_eq!(&head[..4], b"RIFF");
        assert_eq!(head[4..8], 32_036u32.to_le_bytes());
        assert_eq!(&head[8..16], b"WAVEfmt ");
        assert_eq!(head[20..24], [1, 0, 2, 0], "PCM, two channels");
        assert_eq!(head[24..28], 8_000u32.to_le_bytes());
        assert_eq!(head[32..36], [4, 0, 16, 0]);
        assert_eq!(&head[36..40], b"data");
        assert_eq!(head[40..], 32_000u32.to_le_bytes());
        assert_eq!(bytes(&[[1, -1]]).collect::<Vec<u8>>(), [1, 0, 0xff, 0xff]);
    }
}
