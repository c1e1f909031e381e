//! Every codec to every other, and what a network does to packets meanwhile.

use proptest::prelude::*;

use super::*;

const START: Start = Start { ssrc: 0xfeed_beef, sequence: 65_530, timestamp: u32::MAX - 1_000 };

fn side(codec: Codec) -> Side {
    Side { codec, payload_type: codec.payload_type(), events: Some(101), noise: None }
}

fn settings(from: Codec, to: Codec, packet_ms: u8) -> Settings {
    Settings { from: side(from), to: Side { events: Some(96), ..side(to) }, packet_ms }
}

/// A far end that speaks: packets of `ms` with a tone in them.
fn speak(codec: Codec, hertz: f64, seconds: usize, ms: usize) -> Vec<Vec<u8>> {
    let rate = if codec.is_wide() { 16_000.0 } else { 8_000.0 };
    let turn = core::f64::consts::TAU * hertz / rate;
    let samples: Vec<i16> = (0..seconds * rate as usize)
        .map(|at| ((at as f64 * turn).sin() * 8_000.0) as i16)
        .collect();
    let words: Vec<u8> = match codec {
        Codec::Pcmu => samples.iter().map(|it| to_mu_law(*it)).collect(),
        Codec::Pcma => samples.iter().map(|it| to_a_law(*it)).collect(),
        Codec::G722 => {
            let mut encoder = g722::Encoder::default();
            samples.as_chunks().0.iter().map(|pair| encoder.encode(*pair)).collect()
        }
        Codec::G729 => {
            let mut encoder = g729::Encoder::default();
            samples.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect()
        }
        Codec::G723 => {
            let mut encoder = g7231::Encoder::default();
            samples.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect()
        }
    };
    let ms = usize::from(codec.packet_ms(ms as u8));
    let bytes = bytes_of(codec, ms);
    let head = |at: usize| packet(codec.payload_type(), at as u16, (at * ms * 8) as u32, &[]);
    words.chunks_exact(bytes).enumerate().map(|(at, words)| [&head(at), words].concat()).collect()
}

/// Of so many milliseconds.
fn bytes_of(codec: Codec, ms: usize) -> usize {
    codec.block_bytes() * ms / 10 / codec.frame_blocks()
}

fn packet(payload_type: u8, sequence: u16, timestamp: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(7u32.to_be_bytes());
    packet.extend(body);
    packet
}

/// A far end that listens: samples, and silence where its clock says that nothing came.
struct Listener {
    reader: Reader,
    codec: Codec,
    sequence: Option<u16>,
    timestamp: Option<u32>,
    samples: Vec<i16>,
    packets: Vec<Vec<u8>>,
}

impl Listener {
    fn new(codec: Codec) -> Self {
        let reader = Reader::new(codec);
        Self { reader, codec, sequence: None, timestamp: None, samples: vec![], packets: vec![] }
    }

    fn hear(&mut self, packet: &[u8]) {
        let rtp = parse(packet).expect("we send RTP");
        let words = &packet[RTP_BYTES..];
        assert_eq!(rtp.ssrc, START.ssrc);
        assert!(self.sequence.is_none_or(|it| it == rtp.sequence), "our sequence has no gap");
        self.sequence = Some(rtp.sequence.wrapping_add(1));
        self.packets.push(packet.to_vec());
        if rtp.payload_type != self.codec.payload_type() {
            return;
        }
        let silence = rtp.timestamp.wrapping_sub(self.timestamp.unwrap_or(rtp.timestamp)) as usize;
        assert!(silence < 1 << 20, "our time never goes back");
        let rate = if self.codec.is_wide() { 2 } else { 1 };
        self.samples.extend(core::iter::repeat_n(0, silence * rate));
        let mut ticks = words.len();
        match &mut self.reader {
            Reader::Pcmu => self.samples.extend(words.iter().map(|it| from_mu_law(*it))),
            Reader::Pcma => self.samples.extend(words.iter().map(|it| from_a_law(*it))),
            Reader::G722(decoder) => {
                self.samples.extend(words.iter().flat_map(|it| decoder.decode(*it)));
            }
            Reader::G729(decoder) => {
                ticks = words.len().div_ceil(g729::FRAME_BYTES) * BLOCK_TICKS;
                for frame in words.as_chunks().0 {
                    let mut samples = [0; g729::FRAME_SAMPLES];
                    decoder.decode(frame, &mut samples);
                    self.samples.extend(samples);
                }
            }
            Reader::G723(decoder) => {
                ticks = frames(words).count() * g7231::FRAME_SAMPLES;
                for frame in frames(words) {
                    let mut samples = [0; g7231::FRAME_SAMPLES];
                    decoder.decode(frame.expect("we send whole frames"), &mut samples);
                    self.samples.extend(samples);
                }
            }
        }
        self.timestamp = Some(rtp.timestamp.wrapping_add(ticks as u32));
    }

    /// Level in decibels below the loudest sine, and frequency by how often the sign turns.
    fn tone(&self) -> (f64, f64) {
        let rate = if self.codec.is_wide() { 16_000.0 } else { 8_000.0 };
        let samples = &self.samples[rate as usize / 2..];
        let power: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
        let turns = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        let level = 10.0 * (power / samples.len() as f64 * 2.0 / 32_768f64.powi(2)).log10();
        (level, turns as f64 * rate / samples.len() as f64)
    }
}

fn run<'a>(
    settings: Settings,
    packets: impl IntoIterator<Item = &'a Vec<u8>>,
) -> (Listener, Vec<Fault>) {
    let mut transcoder = Transcoder::new(settings, START);
    let mut listener = Listener::new(settings.to.codec);
    let mut faults = vec![];
    let (mut made, mut lengths) = ([[0; 1_500]; PACKETS_MAX], [0; PACKETS_MAX]);
    for packet in packets {
        faults.extend(transcoder.transcode(packet, &mut made, &mut lengths).err());
        let made = made.iter().zip(lengths).filter(|(_, length)| *length > 0);
        made.for_each(|(packet, length)| listener.hear(&packet[..length]));
    }
    (listener, faults)
}

/// 8,000 of 32,768.
const SPOKEN: f64 = -12.25;

#[test]
fn a_tone_keeps_its_level_and_its_frequency_from_every_codec_to_every_other() {
    for from in Codec::ALL {
        for to in Codec::ALL {
            for hertz in [425.0, 1_020.0, 2_800.0] {
                let (listener, faults) = run(settings(from, to, 20), &speak(from, hertz, 2, 20));
                let (level, got) = listener.tone();
                let coded = [from, to]
                    .into_iter()
                    .filter(|it| matches!(it, Codec::G729 | Codec::G723))
                    .count();
                let tolerance = 0.3 + if from == to { 1.0 } else { coded as f64 * 1.2 };
                assert_eq!(faults, [], "{from:?} to {to:?}");
                assert!(
                    (level - SPOKEN).abs() < tolerance,
                    "{from:?} to {to:?}: {level} dB of {hertz}"
                );
                assert!((got - hertz).abs() < 3.0, "{from:?} to {to:?}: {got} Hz of {hertz}");
            }
        }
    }
}

#[test]
fn packets_are_as_long_as_they_were_asked_for() {
    for (from, to, spoken, asked) in [
        (Codec::Pcma, Codec::Pcmu, 20, 30),
        (Codec::Pcmu, Codec::G729, 30, 20),
        (Codec::G729, Codec::G729, 10, 60),
        (Codec::Pcma, Codec::Pcma, 60, 20),
        (Codec::G722, Codec::Pcma, 20, 10),
        (Codec::Pcma, Codec::G723, 20, 30),
        (Codec::Pcmu, Codec::G723, 20, 60),
        (Codec::G723, Codec::Pcma, 30, 20),
        (Codec::G723, Codec::G729, 60, 20),
        (Codec::G723, Codec::G723, 30, 60),
        (Codec::G723, Codec::G723, 60, 30),
    ] {
        let (listener, _) = run(settings(from, to, asked), &speak(from, 425.0, 3, spoken));
        let bytes = RTP_BYTES + bytes_of(to, usize::from(asked));
        assert!(listener.packets.iter().all(|packet| packet.len() == bytes), "{from:?} to {to:?}");
        assert_eq!(listener.packets.len(), 3_000 / usize::from(asked));
        assert!((listener.tone().1 - 425.0).abs() < 3.0);
    }
    // Six of ten milliseconds from one of sixty do not fit: they are longer.
    let (listener, _) =
        run(settings(Codec::Pcma, Codec::Pcmu, 10), &speak(Codec::Pcma, 425.0, 3, 60));
    assert_eq!(listener.samples.len(), 24_000);
}

#[test]
fn the_same_codec_is_only_packed_anew() {
    for codec in Codec::ALL {
        let spoken = speak(codec, 425.0, 3, 20);
        let (listener, _) = run(settings(codec, codec, 30), &spoken);
        let words = |packets: &[Vec<u8>]| -> Vec<u8> {
            packets.iter().flat_map(|packet| packet[RTP_BYTES..].to_vec()).collect()
        };
        assert_eq!(words(&listener.packets), words(&spoken), "{codec:?}");
    }
}

#[test]
fn three_percent_of_loss_are_made_up_for() {
    for (from, to) in [
        (Codec::Pcma, Codec::Pcmu),
        (Codec::G729, Codec::Pcma),
        (Codec::Pcma, Codec::G729),
        (Codec::G722, Codec::Pcmu),
        (Codec::G723, Codec::Pcma),
    ] {
        let spoken = speak(from, 425.0, 20, 20);
        let kept: Vec<_> = spoken
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 33 != 7)
            .map(|it| it.1.clone())
            .collect();
        let (listener, faults) = run(settings(from, to, 20), &kept);
        let (level, hertz) = listener.tone();
        assert_eq!(faults, []);
        // A codec that repeats its past for a tone repeats what it made up, too.
        let tolerance = if matches!(from, Codec::G729 | Codec::G723) { 12.0 } else { 2.0 };
        assert!((level - SPOKEN).abs() < tolerance, "{from:?} to {to:?}: {level} dB");
        assert!((hertz - 425.0).abs() < 6.0, "{from:?} to {to:?}: {hertz} Hz");
        let markers = listener.packets.iter().filter(|packet| packet[1] & 0x80 != 0).count();
        assert_eq!(markers, 1);
        let packets = if from == Codec::G723 { 999 } else { spoken.len() };
        assert_eq!(listener.packets.len(), packets);
    }
}

#[test]
fn what_comes_late_or_twice_was_played_without() {
    let mut spoken = speak(Codec::Pcma, 425.0, 2, 20);
    spoken.swap(30, 31);
    spoken.insert(60, spoken[59].clone());
    let (listener, faults) = run(settings(Codec::Pcma, Codec::Pcmu, 20), &spoken);
    assert_eq!(faults, [Fault::Late; 2]);
    assert_eq!(listener.samples.len(), 16_000);
}

#[test]
fn a_long_silence_stays_as_long_as_it_was_and_ends_with_a_marker() {
    let mut spoken = speak(Codec::Pcma, 425.0, 4, 20);
    spoken.drain(50..100);
    // Thirty milliseconds: what waited goes before the silence.
    let (listener, _) = run(settings(Codec::Pcma, Codec::G729, 30), &spoken);
    assert_eq!(listener.samples.len(), 32_000 - 80 * 2, "20 ms wait for a third ten");
    let markers = listener.packets.iter().filter(|packet| packet[1] & 0x80 != 0).count();
    assert_eq!(markers, 2);
}

#[test]
fn another_source_goes_on_where_ours_stands() {
    let mut spoken = speak(Codec::Pcma, 425.0, 1, 20);
    let mut other = spoken.clone();
    for packet in &mut other {
        packet[2] ^= 0x55;
        packet[4] ^= 0xaa;
        packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
    }
    spoken.extend(other);
    let (listener, faults) = run(settings(Codec::Pcma, Codec::G722, 20), &spoken);
    assert_eq!((faults.len(), listener.samples.len()), (0, 32_000));
}

#[test]
fn keys_pass_under_the_other_side_s_payload_type_and_on_our_clock() {
    let spoken = speak(Codec::Pcma, 425.0, 1, 20);
    let key = |sequence: u16| packet(101, sequence, 160 * 10, &[5, 10, 0, 160]);
    let mut played = spoken[..10].to_vec();
    played.extend([key(10), key(11), key(12)]);
    let mut later = spoken[13..20].to_vec();
    played.append(&mut later);
    let (listener, faults) = run(settings(Codec::Pcma, Codec::Pcmu, 20), &played);
    assert_eq!(faults, []);
    let keys: Vec<_> = listener.packets.iter().filter(|it| it[1] & 0x7f == 96).collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let rtp = parse(key).unwrap();
        assert_eq!(rtp.timestamp, START.timestamp.wrapping_add(160 * 10));
        assert_eq!(key[RTP_BYTES..], [5, 10, 0, 160]);
    }
}

#[test]
fn comfort_noise_goes_to_who_knows_it() {
    let mut settings = settings(Codec::Pcma, Codec::Pcmu, 20);
    settings.from.noise = Some(13);
    let noise = [packet(13, 0, 0, &[70])];
    assert_eq!(run(settings, &noise).1, [Fault::Unknown]);
    settings.to.noise = Some(13);
    let (listener, faults) = run(settings, &noise);
    assert_eq!((listener.packets.len(), faults.len()), (1, 0));
}

#[test]
fn described_silence_is_soft_noise_and_lasts() {
    let mut spoken = speak(Codec::G729, 425.0, 1, 20);
    // The level of index 8: 20 dB.
    let silence = [0x00, 8 << 1];
    spoken.truncate(25);
    spoken.push(packet(18, 25, 25 * 160, &silence));
    let (listener, faults) = run(settings(Codec::G729, Codec::Pcma, 10), &spoken);
    assert_eq!((faults.len(), listener.samples.len()), (0, 25 * 160 + 80));
    let noise = listener.samples.last_chunk::<80>().unwrap();
    assert!(noise.iter().any(|it| *it != 8) && noise.iter().all(|it| it.abs() < 1_000));
    // To one who reads them, they stay what they are.
    let (listener, _) = run(settings(Codec::G729, Codec::G729, 30), &spoken);
    assert_eq!(listener.packets.last().unwrap()[RTP_BYTES + 20..], silence);
}

#[test]
fn what_a_codec_does_not_have_is_malformed() {
    for (codec, bytes) in [
        (Codec::G729, 11),
        (Codec::G729, 9),
        (Codec::Pcmu, 961),
        (Codec::Pcma, 0),
        (Codec::G723, 23),
        (Codec::G723, 25 * 24),
    ] {
        let short = packet(codec.payload_type(), 0, 0, &vec![0; bytes]);
        let (listener, faults) = run(settings(codec, Codec::G722, 20), &[short]);
        assert_eq!(
            (listener.packets.len(), faults),
            (0, vec![Fault::Malformed]),
            "{codec:?} {bytes}"
        );
    }
    let (_, faults) = run(settings(Codec::Pcma, Codec::Pcmu, 20), &[vec![], vec![0x80; 11]]);
    assert_eq!(faults, [Fault::Malformed; 2]);
    // Padding that is more than there is.
    let mut padded = packet(8, 0, 0, &[200; 160]);
    padded[0] |= 0x20;
    assert_eq!(run(settings(Codec::Pcma, Codec::Pcmu, 20), &[padded]).1, [Fault::Malformed]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_arrives_makes_our_stream_jump_back(
        from in 0..5usize,
        to in 0..5usize,
        packet_ms in 0..=255u8,
        steps in prop::collection::vec(
            (0..5u8, -3..120i16, -400..4_000i32, prop::collection::vec(any::<u8>(), 0..400)), 1..80),
    ) {
        let settings = settings(Codec::ALL[from], Codec::ALL[to], packet_ms);
        let (mut sequence, mut timestamp) = (65_000u16, u32::MAX - 5_000);
        let packets: Vec<_> = steps.into_iter().map(|(kind, step, ticks, body)| {
            sequence = sequence.wrapping_add_signed(step);
            timestamp = timestamp.wrapping_add_signed(ticks);
            let payload_type = if kind == 0 { 101 } else { settings.from.payload_type };
            packet(payload_type, sequence, timestamp, &body)
        }).collect();
        // The listener asserts.
        let _ = run(settings, &packets);
    }
}

#[test]
fn a_short_pause_with_comfort_noise_is_a_silence_and_no_loss() {
    let mut spoken = speak(Codec::Pcma, 425.0, 1, 20);
    // Forty milliseconds are not spoken; the first of the two packets is noise that the other side does not know.
    spoken[20] = packet(13, 20, 20 * 160, &[60]);
    spoken.remove(21);
    for late in &mut spoken[21..] {
        let sequence = u16::from_be_bytes([late[2], late[3]]) - 1;
        late[2..4].copy_from_slice(&sequence.to_be_bytes());
    }
    let (listener, faults) = run(settings(Codec::Pcma, Codec::Pcmu, 20), &spoken);
    assert_eq!(faults, [Fault::Unknown]);
    let markers: Vec<usize> =
        (0..listener.packets.len()).filter(|&at| listener.packets[at][1] & 0x80 != 0).collect();
    assert_eq!(markers, [0, 20], "it begins, and begins again");
    assert!(listener.samples[20 * 160..22 * 160].iter().all(|&sample| sample == 0));
}

#[test]
fn silence_of_annex_a_is_soft_noise_lasts_and_stays_what_it_is_for_who_reads_it() {
    let mut spoken = speak(Codec::G723, 425.0, 1, 30);
    spoken.truncate(20);
    // A level of 10, then two frames that were not sent.
    let silence = [0b10, 0, 0, 10 << 2];
    spoken.push(packet(4, 20, 20 * 240, &silence));
    spoken.push(packet(4, 21, 21 * 240, &[3, 3]));
    let (listener, faults) = run(settings(Codec::G723, Codec::Pcma, 30), &spoken);
    assert_eq!((faults.len(), listener.samples.len()), (0, 23 * 240));
    let noise = listener.samples.last_chunk::<240>().unwrap();
    assert!(noise.iter().any(|it| it.abs() > 8) && noise.iter().all(|it| it.abs() < 1_000));
    let (listener, _) = run(settings(Codec::G723, Codec::G723, 30), &spoken);
    let bodies: Vec<&[u8]> = listener.packets.iter().map(|it| &it[RTP_BYTES..]).collect();
    assert_eq!(bodies[20..], [&silence[..], &[3, 3][..]]);
}

#[test]
fn frames_of_both_rates_share_a_packet() {
    let high = g7231::Encoder::default().encode(&[0; 240]);
    let mut low = [0; g7231::LOW_BYTES];
    low[0] = 1;
    let both = packet(4, 0, 0, &[&high[..], &low[..], &high[..]].concat());
    let (listener, faults) = run(settings(Codec::G723, Codec::Pcmu, 10), &[both]);
    assert_eq!((faults.len(), listener.samples.len()), (0, 3 * 240));
}
