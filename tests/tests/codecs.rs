//! What we write is read by others, and what they write by us: G.722, G.729 and G.723.1 against FFmpeg.
//!
//! Without it they say so and skip. FFmpeg reads G.729 and writes none, so its encoder is judged by how its
//! decoder hears us.

use std::io::Write;
use std::process::{Command, Stdio};

use codec::{Codec, PACKETS_MAX, Settings, Side, Start, Transcoder};

/// What FFmpeg makes of `input`; less than a pipe holds.
fn ffmpeg(arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
    let started = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        eprintln!("SKIPPED: needs ffmpeg; run scripts/install lab");
        return None;
    };
    child.stdin.take()?.write_all(input).expect("ffmpeg reads");
    let output = child.wait_with_output().expect("ffmpeg ends");
    assert!(output.status.success(), "ffmpeg {arguments}");
    Some(output.stdout)
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn tone(hertz: f64, rate: f64, count: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * hertz / rate;
    (0..count).map(|at| ((at as f64 * turn).sin() * 8_000.0) as i16).collect()
}

/// Pulses of a throat, through two mouths, in syllables.
fn voice(count: usize) -> Vec<i16> {
    let (mut phase, mut mouths) = (0.0, [[0.0f64; 2]; 2]);
    let sample = |at: usize| {
        let second = at as f64 / 8_000.0;
        phase += (120.0 + 30.0 * (second * 2.1).sin()) / 8_000.0;
        let mut value = if phase >= 1.0 { 60_000.0 } else { 0.0 };
        phase %= 1.0;
        value *= (second * 9.0).sin().max(0.1);
        let formants = [500.0 + 200.0 * (second * 5.0).sin(), 1_500.0];
        for (mouth, hertz) in mouths.iter_mut().zip(formants) {
            let turn = std::f64::consts::TAU * hertz / 8_000.0;
            value = value * 0.2 + 2.0 * 0.96 * turn.cos() * mouth[0] - 0.96 * 0.96 * mouth[1];
            *mouth = [value, mouth[0]];
        }
        value.clamp(-20_000.0, 20_000.0) as i16
    };
    (0..count).map(sample).collect()
}

/// How alike two are, at the delay at which they are most; and decibels between their levels.
fn alike(one: &[i16], other: &[i16], delay_max: usize) -> (f64, f64) {
    let product = |one: &[i16], other: &[i16]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let length = one.len().min(other.len()) - delay_max;
    let (settled, one) = (800, &one[800..length]);
    let best = (0..delay_max)
        .map(|delay| {
            let other = &other[settled + delay..length + delay];
            product(one, other) / (product(one, one) * product(other, other)).sqrt()
        })
        .fold(-1.0, f64::max);
    let other = &other[settled..length];
    (best, 10.0 * (product(other, other) / product(one, one)).log10())
}

#[test]
fn g722_is_bit_for_bit_that_of_ffmpeg() {
    for said in [tone(425.0, 16_000.0, 16_000), tone(5_800.0, 16_000.0, 16_000), voice(16_000)] {
        let mut encoder = codec::g722::Encoder::default();
        let ours: Vec<u8> = said.as_chunks().0.iter().map(|pair| encoder.encode(*pair)).collect();
        let arguments = "-f s16le -ar 16000 -ac 1 -i pipe:0 -c:a g722 -f g722 pipe:1";
        let Some(theirs) = ffmpeg(arguments, &bytes(&said)) else { return };
        assert!(theirs == ours, "code words differ");
        let mut decoder = codec::g722::Decoder::default();
        let heard: Vec<i16> = ours.iter().flat_map(|word| decoder.decode(*word)).collect();
        let theirs = ffmpeg("-f g722 -i pipe:0 -f s16le pipe:1", &ours).map(|it| samples(&it));
        assert!(theirs.is_some_and(|theirs| theirs == heard), "samples differ");
    }
}

#[test]
fn g729_is_understood_by_ffmpeg_and_heard_alike() {
    for (name, said, least) in [
        ("voice", voice(24_000), 0.75),
        ("425 Hz", tone(425.0, 8_000.0, 24_000), 0.99),
        ("2,800 Hz", tone(2_800.0, 8_000.0, 24_000), 0.98),
    ] {
        let mut encoder = codec::g729::Encoder::default();
        let frames: Vec<[u8; 10]> =
            said.as_chunks().0.iter().map(|frame| encoder.encode(frame)).collect();
        let Some(theirs) = ffmpeg("-f g729 -i pipe:0 -f s16le pipe:1", frames.as_flattened())
        else {
            return;
        };
        let theirs = samples(&theirs);
        let (same, decibels) = alike(&said, &theirs, 400);
        assert!(same > least, "{name}: {same}");
        assert!(decibels.abs() < 1.5, "{name}: {decibels} dB");

        let mut decoder = codec::g729::Decoder::default();
        let mut heard = vec![[0; 80]; frames.len()];
        for (frame, heard) in frames.iter().zip(&mut heard) {
            decoder.decode(frame, heard);
        }
        let (same, decibels) = alike(&theirs, heard.as_flattened(), 1);
        assert!(same > 0.99 && decibels.abs() < 0.5, "{name}: decoders {same}, {decibels} dB");
    }
}

/// A frame each, of those that came.
fn read_g7231(words: &[u8]) -> Vec<i16> {
    let (mut decoder, mut heard, mut at) = (codec::g7231::Decoder::default(), vec![], 0);
    while let Some(first) = words.get(at) {
        let end = at + codec::g7231::frame_bytes(*first);
        let mut samples = [0; codec::g7231::FRAME_SAMPLES];
        decoder.decode(&words[at..end], &mut samples);
        heard.extend(samples);
        at = end;
    }
    heard
}

#[test]
fn g7231_is_as_good_as_that_of_ffmpeg_both_ways() {
    for (name, said) in [
        ("voice", voice(24_000)),
        ("soft voice", voice(24_000).iter().map(|sample| sample / 20).collect()),
        ("425 Hz", tone(425.0, 8_000.0, 24_000)),
        ("440 Hz", tone(440.0, 8_000.0, 24_000)),
        ("1,000 Hz", tone(1_000.0, 8_000.0, 24_000)),
        ("3,200 Hz", tone(3_200.0, 8_000.0, 24_000)),
    ] {
        let mut encoder = codec::g7231::Encoder::default();
        let ours: Vec<u8> = said.as_chunks().0.iter().flat_map(|it| encoder.encode(it)).collect();
        let arguments = "-f s16le -ar 8000 -ac 1 -i pipe:0 -c:a g723_1 -b:a 6300 -f g723_1 pipe:1";
        let Some(theirs) = ffmpeg(arguments, &bytes(&said)) else { return };
        let heard = |words: &[u8]| {
            let heard = ffmpeg("-f g723_1 -i pipe:0 -f s16le -ac 1 pipe:1", words);
            samples(&heard.expect("it was there"))
        };
        let (by_ffmpeg, of_ffmpeg) = (heard(&ours), heard(&theirs));
        let (same, decibels) = alike(&said, &by_ffmpeg, 500);
        let (best, _) = alike(&said, &of_ffmpeg, 500);
        assert!(same > best - 0.02, "{name}: {same}, and {best} of ffmpeg");
        assert!(decibels.abs() < 1.0, "{name}: {decibels} dB");
        for (words, theirs) in [(&ours, &by_ffmpeg), (&theirs, &of_ffmpeg)] {
            let (same, decibels) = alike(theirs, &read_g7231(words), 1);
            assert!(same > 0.99 && decibels.abs() < 0.5, "{name}: {same}, {decibels} dB");
        }
    }
}

/// Packets of 20 ms, or of 30 of G.723.1, in sequence, with a loss.
fn spoken(codec: Codec) -> Vec<Vec<u8>> {
    let said = tone(425.0, 8_000.0, 8_000);
    let words: Vec<u8> = match codec {
        Codec::G729 => {
            let mut encoder = codec::g729::Encoder::default();
            said.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect()
        }
        Codec::G723 => {
            let mut encoder = codec::g7231::Encoder::default();
            said.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect()
        }
        _ => said.iter().map(|sample| codec::g711::to_a_law(*sample)).collect(),
    };
    let ms = codec.packet_ms(20);
    let bytes = if codec == Codec::G723 { codec::g7231::HIGH_BYTES } else { words.len() / 50 };
    let packet = |(at, words): (usize, &[u8])| {
        let time = (at as u32 * u32::from(ms) * 8).to_be_bytes();
        let head = [0x80, codec.payload_type(), 0, at as u8];
        [&head[..], &time, &[0, 0, 0, 9], words].concat()
    };
    words.chunks_exact(bytes).enumerate().filter(|(at, _)| *at != 7).map(packet).collect()
}

#[test]
fn a_transcoder_allocates_nothing() {
    for from in Codec::ALL {
        let packets = spoken(from);
        for to in Codec::ALL {
            let side = |codec: Codec| Side {
                codec,
                payload_type: codec.payload_type(),
                events: None,
                noise: None,
            };
            let settings = Settings { from: side(from), to: side(to), packet_ms: 30 };
            let mut room = ([[0; 1_500]; PACKETS_MAX], [0; PACKETS_MAX]);
            let counted = allocation_counter::measure(|| {
                let start = Start { ssrc: 1, sequence: 2, timestamp: 3 };
                let mut transcoder = Transcoder::new(settings, start);
                for packet in &packets {
                    assert!(transcoder.transcode(packet, &mut room.0, &mut room.1).is_ok());
                }
            });
            assert_eq!(counted.count_total, 0, "{from:?} to {to:?}");
        }
    }
}
