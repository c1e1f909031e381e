//! ITU-T G.723.1: 8 kHz, 24 or 20 bytes for thirty milliseconds; and the silence of annex A as far as it is heard.
//!
//! Tables, and the decoding of spectra, are those of `oxideav-g7231` (MIT). Excitation, decoder and encoder
//! are ours, because that crate's encoder lets a tone grow and both its halves allocate. We decode both
//! rates and annex A's descriptions of silence; we send 6.3 kbit/s and no silence: `annexa=no`.

mod analysis;
mod encoder;
mod frame;
mod speech;
mod synthesis;

pub use encoder::Encoder;
pub use synthesis::Decoder;

/// Samples of a frame.
pub const FRAME_SAMPLES: usize = 240;
/// Bytes of a frame of 6.3 kbit/s: what we write.
pub const HIGH_BYTES: usize = 24;
/// Bytes of a frame of 5.3 kbit/s.
pub const LOW_BYTES: usize = 20;
/// Bytes of a description of silence (annex A).
pub const SILENCE_BYTES: usize = 4;
/// Bytes of a frame that was not sent: more of the silence.
pub const UNSENT_BYTES: usize = 1;

const ORDER: usize = 10;
/// A frame has four parts.
const PARTS: usize = 4;
/// Samples of a part.
const PART: usize = 60;

/// Bytes of a frame by its first (RFC 3551 §4.5.3).
#[must_use]
pub const fn frame_bytes(first: u8) -> usize {
    match first & 3 {
        0 => HIGH_BYTES,
        1 => LOW_BYTES,
        2 => SILENCE_BYTES,
        _ => UNSENT_BYTES,
    }
}
