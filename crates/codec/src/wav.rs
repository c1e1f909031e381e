//! WAV files of speech, read: RIFF with one channel of 16-bit samples or G.711, at 8 or 16 kHz.
//!
//! Withstands: heads that lie about lengths, chunks that never end, files cut off in the middle (what is there is
//! taken), files that say nothing.

use core::fmt;

use crate::g711::{from_a_law, from_mu_law};
use crate::resample::Down;

/// Samples of a second, of what is read and of what comes of it.
const NARROW_HERTZ: u32 = 8_000;
const WIDE_HERTZ: u32 = 16_000;

/// `WAVE_FORMAT_` numbers.
const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The format stands further behind, as the first two bytes of an identifier.
const EXTENSIBLE: u16 = 0xfffe;

/// Why a file is no speech of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavFault {
    /// It does not begin as a WAV file does.
    NotWav,
    /// It has no `fmt ` chunk before its samples, or one that is cut off.
    NoFormat,
    /// It has no samples.
    NoSamples,
    /// It has so many channels, and not one.
    Channels(u16),
    /// It has so many samples a second.
    Rate(u32),
    /// Its samples are neither 16-bit PCM nor G.711: this format, so many bits.
    Encoding(u16, u16),
    /// It is longer than it may be.
    TooLong,
}

impl fmt::Display for WavFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWav => f.write_str("no WAV file"),
            Self::NoFormat => f.write_str("no fmt chunk before the samples"),
            Self::NoSamples => f.write_str("no samples"),
            Self::Channels(channels) => write!(f, "{channels} channels, not one"),
            Self::Rate(hertz) => write!(f, "{hertz} Hz, neither 8000 nor 16000"),
            Self::Encoding(format, bits) => {
                write!(f, "format {format} of {bits} bits, neither 16-bit PCM nor G.711")
            }
            Self::TooLong => f.write_str("too long"),
        }
    }
}

/// What a `fmt ` chunk says.
#[derive(Clone, Copy)]
struct Format {
    encoding: u16,
    hertz: u32,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, WavFault> {
        let head = chunk.first_chunk::<16>().ok_or(WavFault::NoFormat)?;
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (tag, channels, bits) = (word(0), word(2), word(14));
        let hertz = u32::from(word(4)) | u32::from(word(6)) << 16;
        let encoding = match tag {
            EXTENSIBLE => {
                let name = chunk.get(24..26).ok_or(WavFault::NoFormat)?;
                u16::from_le_bytes([name[0], name[1]])
            }
            tag => tag,
        };
        if channels != 1 {
            return Err(WavFault::Channels(channels));
        }
        if !matches!((encoding, bits), (PCM, 16) | (A_LAW | MU_LAW, 8)) {
            return Err(WavFault::Encoding(encoding, bits));
        }
        match hertz {
            NARROW_HERTZ | WIDE_HERTZ => Ok(Self { encoding, hertz }),
            other => Err(WavFault::Rate(other)),
        }
    }

    fn sample_bytes(self) -> usize {
        if self.encoding == PCM { 2 } else { 1 }
    }

    fn samples(self, data: &[u8]) -> Vec<i16> {
        let each = |law: fn(u8) -> i16| data.iter().copied().map(law).collect();
        let wide: Vec<i16> = match self.encoding {
            A_LAW => each(from_a_law),
            MU_LAW => each(from_mu_law),
            _ => data.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect(),
        };
        if self.hertz == NARROW_HERTZ { wide } else { narrowed(&wide) }
    }
}

/// 16 kHz to 8 kHz. The last ten milliseconds are filled up with silence.
fn narrowed(wide: &[i16]) -> Vec<i16> {
    let (mut filter, mut out) = (Down::default(), Vec::with_capacity(wide.len() / 2 + 80));
    for part in wide.chunks(160) {
        let (mut whole, mut narrow) = ([0; 160], [0; 80]);
        for (place, sample) in whole.iter_mut().zip(part) {
            *place = *sample;
        }
        filter.convert(&whole, &mut narrow);
        out.extend(narrow);
    }
    out
}

/// The samples of a file at 8 kHz, `samples_max` at most.
///
/// # Errors
/// When it is no speech that we can send, or too much of it.
pub fn read(file: &[u8], samples_max: usize) -> Result<Vec<i16>, WavFault> {
    let is_wav = file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WAVE");
    let mut rest = file.get(12..).filter(|_| is_wav).ok_or(WavFault::NotWav)?;
    let mut format = None;
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let &[a, b, c, d, length @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        // A file that was still being written says more than there is.
        let chunk = &behind[..length.min(behind.len())];
        match &[a, b, c, d] {
            b"fmt " => format = Some(Format::read(chunk)?),
            b"data" => {
                let format = format.ok_or(WavFault::NoFormat)?;
                let widest = if format.hertz == NARROW_HERTZ { 1 } else { 2 };
                let samples = chunk.len() / format.sample_bytes();
                if samples == 0 {
                    return Err(WavFault::NoSamples);
                }
                if samples / widest > samples_max {
                    return Err(WavFault::TooLong);
                }
                return Ok(format.samples(chunk));
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = behind.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Err(if format.is_some() { WavFault::NoSamples } else { WavFault::NoFormat })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::to_a_law;

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut chunk = [name.as_slice(), &(body.len() as u32).to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn format(tag: u16, channels: u16, hertz: u32, bits: u16) -> Vec<u8> {
        let frame = channels * bits / 8;
        let parts = [tag, channels, hertz as u16, (hertz >> 16) as u16, 0, 0, frame, bits];
        chunk(b"fmt ", &parts.map(u16::to_le_bytes).concat())
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = chunks.concat();
        [b"RIFF".as_slice(), &(body.len() as u32 + 4).to_le_bytes(), b"WAVE", &body].concat()
    }

    fn pcm(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn samples_come_out_as_they_stand_whatever_stands_before_them() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let list = chunk(b"LIST", b"odd");
        let data = chunk(b"data", &pcm(&samples));
        let whole = file(&[list, format(PCM, 1, 8_000, 16), chunk(b"fact", &[0; 4]), data]);
        assert_eq!(read(&whole, 5).as_deref(), Ok(samples.as_slice()));
        assert_eq!(read(&whole, 4), Err(WavFault::TooLong));
        // Cut off in the middle of a sample: what is there is taken.
        assert_eq!(read(&whole[..whole.len() - 3], 5).as_deref(), Ok(&samples[..3]));
        let mut extensible = format(EXTENSIBLE, 1, 8_000, 16)[8..].to_vec();
        extensible.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 16, 0]);
        let whole = file(&[chunk(b"fmt ", &extensible), chunk(b"data", &pcm(&samples))]);
        assert_eq!(read(&whole, 5).as_deref(), Ok(samples.as_slice()));
    }

    #[test]
    fn g711_comes_out_as_its_law_says_and_wide_speech_becomes_narrow() {
        let words: Vec<u8> = (0..=255).collect();
        for (tag, law) in [(A_LAW, from_a_law as fn(u8) -> i16), (MU_LAW, from_mu_law)] {
            let whole = file(&[format(tag, 1, 8_000, 8), chunk(b"data", &words)]);
            let expected: Vec<i16> = words.iter().copied().map(law).collect();
            assert_eq!(read(&whole, 256), Ok(expected));
        }
        assert!(words.iter().all(|&word| to_a_law(from_a_law(word)) == word));
        let wide = vec![1_000; 16_000];
        let whole = file(&[format(PCM, 1, 16_000, 16), chunk(b"data", &pcm(&wide))]);
        let narrow = read(&whole, 8_000).unwrap();
        assert_eq!(narrow.len(), 8_000);
        assert!(narrow[100..].iter().all(|sample| (995..=1_005).contains(sample)));
    }

    #[test]
    fn what_is_no_speech_of_ours_is_named() {
        let data = || chunk(b"data", &[0; 64]);
        let good = || format(PCM, 1, 8_000, 16);
        for (whole, fault) in [
            (vec![], WavFault::NotWav),
            (b"RIFF\xff\xff\xff\xffWAVX".to_vec(), WavFault::NotWav),
            (b"ID3\x04 is no RIFF at all".to_vec(), WavFault::NotWav),
            (file(&[]), WavFault::NoFormat),
            (file(&[data()]), WavFault::NoFormat),
            (file(&[chunk(b"fmt ", &[1, 0])]), WavFault::NoFormat),
            (file(&[good()]), WavFault::NoSamples),
            (file(&[good(), chunk(b"data", &[0])]), WavFault::NoSamples),
            (file(&[format(PCM, 2, 8_000, 16), data()]), WavFault::Channels(2)),
            (file(&[format(PCM, 0, 8_000, 16), data()]), WavFault::Channels(0)),
            (file(&[format(PCM, 1, 44_100, 16), data()]), WavFault::Rate(44_100)),
            (file(&[format(PCM, 1, 0, 16), data()]), WavFault::Rate(0)),
            (file(&[format(PCM, 1, 8_000, 8), data()]), WavFault::Encoding(PCM, 8)),
            (file(&[format(85, 1, 8_000, 0), data()]), WavFault::Encoding(85, 0)),
            (file(&[format(EXTENSIBLE, 1, 8_000, 16), data()]), WavFault::NoFormat),
        ] {
            assert_eq!(read(&whole, 8_000), Err(fault), "{whole:?}");
        }
        // A chunk that says it never ends.
        let mut endless = file(&[chunk(b"LIST", b"")]);
        endless[16..20].fill(0xff);
        endless.extend(good());
        assert_eq!(read(&endless, 8_000), Err(WavFault::NoFormat));
    }

    #[test]
    fn no_bytes_make_it_fall() {
        let whole = file(&[format(MU_LAW, 1, 16_000, 8), chunk(b"data", &[0x55; 333])]);
        for at in 0..whole.len() {
            assert!(read(&whole[..at], 8_000).map_or(true, |samples| samples.len() <= 240));
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                assert!(read(&broken, 8_000).map_or(true, |samples| samples.len() <= 8_000));
            }
        }
    }
}
