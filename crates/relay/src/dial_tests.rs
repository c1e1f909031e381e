//! Keys that are put into a stream, as the far end and an independent reader find them.

use std::collections::BTreeSet;

use codec::{Codec, Settings, Side};
use srtp::{Master, Receiver, Suite};

use super::*;
use crate::inband::Detector;
use crate::{Course, DropReason, Latch, Opening, PayloadTypes, Pressed, Verdict, Way};

/// Of who presses keys, and of who is told them.
const TELLS: Port = Port::new(0, 10_000);
const HEARS: Port = Port::new(0, 10_002);
const TELLER: &str = "192.0.2.1:4000";
const HEARER: &str = "198.51.100.1:6000";
const EVENTS: u8 = 101;
const START: Start = Start { ssrc: 77, sequence: 500, timestamp: 9_000 };
const ALL_KEYS: &[u8] = b"0123456789*#ABCD!";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Instant {
    Duration::from_secs(10) + Duration::from_millis(ms)
}

fn rtp(ssrc: u32, number: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((number * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

fn event(sequence: u32, timestamp: u32, key: u8, is_end: bool) -> Vec<u8> {
    let number = ALL_KEYS.iter().position(|&one| one == key).unwrap() as u8;
    let mut packet = vec![0x80, EVENTS];
    packet.extend((sequence as u16).to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend([number, if is_end { 0x8a } else { 10 }, 3, 32]);
    packet
}

/// A call whose caller speaks, and what its callee gets.
struct Scene {
    table: Table,
    now_ms: u64,
    /// Its low half is the sequence number.
    sequence: u32,
    got: Vec<Vec<u8>>,
}

impl Scene {
    fn new(form: Form) -> Self {
        let mut table = Table::new(TELLS.number(), 4, &["203.0.113.1".parse().unwrap()]);
        for (port, peer, far) in [(TELLS, HEARS, TELLER), (HEARS, TELLS, HEARER)] {
            let opening = Opening { peer, owner: Owner(7), towards_caller: port == TELLS };
            assert!(table.open(ms(0), port, &opening));
            let latch = Latch::LearnPort { until: ms(1_000) };
            let types = PayloadTypes::ANY.with(0).with(8).with(EVENTS);
            table.set_remote(port, Some(at(far)), None, latch, types);
            table.set_answered(ms(0), port);
            table.set_events(port, EVENTS);
        }
        table.set_keypad(HEARS, Keypad { form, keeps: false });
        Self { table, now_ms: 0, sequence: 65_500, got: Vec::new() }
    }

    fn by_events() -> Self {
        Self::new(Form::Events { payload_type: EVENTS, khz: 8 })
    }

    fn comes(&mut self, packet: &[u8]) -> Verdict {
        let now = ms(self.now_ms);
        let verdict = self.table.forward(now, TELLS, at(TELLER), packet);
        match verdict {
            Verdict::Send { .. } => self.got.push(packet.to_vec()),
            Verdict::Changed { .. } => {
                let changed = self.table.changed_packets().map(<[u8]>::to_vec);
                self.got.extend(changed);
            }
            _ => {}
        }
        verdict
    }

    /// 20 ms go by, and what is due goes out.
    fn waits(&mut self) {
        for _ in 0..20 {
            self.now_ms += 1;
            let mut out = [0; SOUND_BYTES];
            while let Some(sound) = self.table.poll_dialled(ms(self.now_ms), &mut out) {
                assert_eq!((sound.from.port(), sound.to), (HEARS.number(), at(HEARER)));
                self.got.push(out[..sound.bytes].to_vec());
            }
        }
    }

    /// So many packets are spoken.
    fn speaks(&mut self, packets: usize) {
        for _ in 0..packets {
            self.sequence += 1;
            let _ = self.comes(&rtp(9, self.sequence));
            self.waits();
        }
    }

    fn press(&mut self, key: u8, length: u32) -> bool {
        self.table.press(ms(self.now_ms), HEARS, key, length, START)
    }

    /// The keys that our own reader finds in what the callee got.
    fn read(&self) -> String {
        let mut reader = Self::by_events().table;
        for packet in &self.got {
            let _ = reader.forward(ms(0), TELLS, at(TELLER), packet);
        }
        let keys = std::iter::from_fn(|| reader.poll_key());
        keys.map(|pressed| char::from(pressed.key)).collect()
    }
}

fn field<const N: usize>(packet: &[u8], from: usize) -> [u8; N] {
    packet[from..from + N].try_into().unwrap()
}

fn sequence_of(packet: &[u8]) -> u16 {
    u16::from_be_bytes(field(packet, 2))
}

fn time_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(field(packet, 4))
}

/// A reader that knows RFC 3550 and RFC 4733 and nothing of ours: one stream, no number twice, none left out,
/// and each event as §2.5.1 wants it. The keys it finds, and how long each was.
fn judged(got: &[Vec<u8>]) -> Vec<(u8, u16)> {
    let mut events: Vec<(u32, Vec<&[u8]>)> = Vec::new();
    let names: BTreeSet<[u8; 4]> = got.iter().map(|packet| field(packet, 8)).collect();
    assert_eq!(names.len(), 1, "one SSRC");
    for pair in got.windows(2) {
        let step = sequence_of(&pair[1]).wrapping_sub(sequence_of(&pair[0]));
        assert_eq!(step, 1, "{:?}", [&pair[0][..12], &pair[1][..12]]);
        let later = time_of(&pair[1]).wrapping_sub(time_of(&pair[0]));
        assert!(later < 1 << 31, "time goes on");
    }
    for packet in got.iter().filter(|packet| packet[1] & 0x7f == EVENTS) {
        assert_eq!(packet.len(), 16);
        match events.last_mut().filter(|(time, _)| *time == time_of(packet)) {
            Some((_, packets)) => packets.push(packet),
            None => events.push((time_of(packet), vec![packet])),
        }
    }
    let mut keys = Vec::new();
    for (_, packets) in &events {
        let markers: Vec<bool> = packets.iter().map(|packet| packet[1] & 0x80 != 0).collect();
        assert!(markers[0] && !markers[1..].contains(&true));
        let lengths: Vec<u16> =
            packets.iter().map(|packet| u16::from_be_bytes(field(packet, 14))).collect();
        assert!(lengths.is_sorted());
        let ends = packets.iter().filter(|packet| packet[13] & 0x80 != 0).count();
        assert_eq!(ends, 3);
        assert!(packets[packets.len() - 3..].iter().all(|packet| packet[13] & 0x80 != 0));
        assert!(packets.iter().all(|packet| packet[12] == packets[0][12]));
        let last = *lengths.last().unwrap();
        assert!(lengths[lengths.len() - 3..].iter().all(|&length| length == last));
        keys.push((ALL_KEYS[usize::from(packets[0][12])], last));
    }
    for pair in events.windows(2) {
        let length = u16::from_be_bytes(field(pair[0].1[0], 14));
        assert!(pair[1].0.wrapping_sub(pair[0].0) > u32::from(length), "events do not overlap");
    }
    keys
}

#[test]
fn keys_are_events_of_the_stream_itself_and_what_follows_is_renumbered() {
    let mut scene = Scene::by_events();
    scene.speaks(40);
    for (place, &key) in ALL_KEYS.iter().enumerate() {
        assert!(scene.press(key, [100, 40, 250, 1_000][place % 4]));
        scene.speaks(80);
    }
    let keys = judged(&scene.got);
    let told: Vec<u8> = keys.iter().map(|&(key, _)| key).collect();
    assert_eq!(told, ALL_KEYS);
    assert_eq!(
        keys[..4].iter().map(|&(_, length)| length).collect::<Vec<_>>(),
        [800, 320, 2_000, 8_000]
    );
    assert_eq!(scene.read().as_bytes(), ALL_KEYS);
}

#[test]
fn keys_that_come_at_once_go_in_order_with_pauses_and_no_more_wait_than_may() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    let taken = (0..40).filter(|_| scene.press(b'7', 100)).count();
    assert_eq!(taken, KEYS_WAITING_MAX);
    scene.speaks(200);
    assert!(scene.press(b'8', 100));
    scene.speaks(20);
    let keys: Vec<u8> = judged(&scene.got).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [&[b'7'; KEYS_WAITING_MAX][..], b"8"].concat());
}

#[test]
fn what_was_overtaken_by_a_key_keeps_its_number_and_nothing_comes_twice() {
    let mut scene = Scene::by_events();
    let mut random = 1_u32;
    let mut late: Vec<(u64, Vec<u8>)> = Vec::new();
    for turn in 0..6_000_u64 {
        if turn % 50 == 10 {
            assert!(scene.press(b'1', 100));
        }
        scene.sequence += 1;
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let packet = rtp(9, scene.sequence);
        match random >> 24 {
            0..13 => {}
            13..40 => late.push((turn + 1 + u64::from(random >> 16 & 3), packet)),
            _ => {
                let _ = scene.comes(&packet);
            }
        }
        let (due, kept) = late.drain(..).partition(|&(due, _)| due <= turn);
        late = kept;
        let due: Vec<(u64, Vec<u8>)> = due;
        for (_, packet) in &due {
            let _ = scene.comes(packet);
        }
        scene.waits();
    }
    let mut seen = BTreeSet::new();
    let mut high = u64::from(sequence_of(&scene.got[0]));
    let mut last_time = [0_u64; 2];
    for packet in &scene.got {
        let ahead = sequence_of(packet).wrapping_sub(high as u16).cast_signed();
        let index = high.checked_add_signed(ahead.into()).unwrap();
        high = high.max(index);
        assert!(seen.insert(index), "{index} twice");
        // In the order of their numbers voice is in the order of its times.
        if packet[1] & 0x7f == 8 && ahead > 0 {
            last_time = [last_time[1], time_of(packet).into()];
        }
    }
    let lost = (seen.last().unwrap() - seen.first().unwrap() + 1) as usize - seen.len();
    assert!(lost < 600, "{lost}");
    assert_eq!(scene.read().len(), 120);
}

#[test]
fn ten_thousand_keys_through_losses_and_disorder_are_read_once_each() {
    let mut scene = Scene::by_events();
    scene.table.set_keypad(TELLS, Keypad { form: Form::None, keeps: true });
    let mut random = 7_u32;
    let (mut keys, mut read) = (String::new(), String::new());
    let (mut sequence, mut waits) = (65_000_u32, Vec::new());
    for turn in 0..10_000_u32 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = ALL_KEYS[(random >> 20) as usize % ALL_KEYS.len()];
        keys.push(key.into());
        for nth in 0..7 {
            sequence += 1;
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let packet = event(sequence, (turn * 1_280).wrapping_sub(9_000), key, nth >= 4);
            match random >> 24 {
                0..13 => {}
                // Some wait for others, and so do ends for the next key.
                13..50 => waits.push(packet),
                _ => {
                    assert_eq!(scene.comes(&packet), Verdict::Drop(DropReason::OtherWay));
                    for late in std::mem::take(&mut waits) {
                        let _ = scene.comes(&late);
                    }
                }
            }
        }
        read.extend(std::iter::from_fn(|| scene.table.poll_key()).map(|pressed| {
            assert_eq!(pressed.way, Way::Kept);
            char::from(pressed.key)
        }));
    }
    assert!(keys == read, "{} pressed, {} read", keys.len(), read.len());
    assert!(scene.got.is_empty());
}

#[test]
fn a_key_longer_than_an_event_can_say_is_one_key() {
    let mut scene = Scene::by_events();
    for (sequence, timestamp) in [(1, 100), (2, 100), (3, 65_635), (4, 131_170), (5, 140_000)] {
        let _ = scene.comes(&event(sequence, timestamp, b'5', false));
    }
    assert_eq!(std::iter::from_fn(|| scene.table.poll_key()).count(), 2);
}

#[test]
fn an_event_of_a_key_that_we_sent_is_taken_out_once() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    assert!(scene.press(b'4', 100));
    scene.speaks(12);
    for (key, time) in [(b'4', 20_000_000), (b'4', 20_002_000), (b'5', 20_004_000)] {
        for nth in 0..5 {
            scene.sequence += 1;
            let _ = scene.comes(&event(scene.sequence, time, key, nth > 1));
        }
        scene.speaks(1);
    }
    assert_eq!(scene.read(), "445", "the echo of the first is taken out");
}

#[test]
fn an_echo_by_another_source_is_taken_out_whatever_its_time() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    let _ = scene.comes(&event(1, 4_000_000_000, b'9', true));
    assert!(scene.press(b'4', 100));
    scene.speaks(12);
    let got = scene.got.len();
    let mut echo = event(1, 100, b'4', true);
    echo[11] = 8;
    let _ = scene.comes(&echo);
    assert_eq!(scene.got.len(), got);
}

#[test]
fn many_keys_at_once_go_each_in_its_time() {
    const PAIRS: u16 = 300;
    let mut table = Table::new(10_000, PAIRS * 2, &["203.0.113.1".parse().unwrap()]);
    let form = Form::Events { payload_type: EVENTS, khz: 8 };
    let ports: Vec<Port> = (0..PAIRS).map(|nth| Port::new(0, 10_000 + 2 * nth)).collect();
    for (nth, &port) in ports.iter().enumerate() {
        let opening = Opening { peer: TELLS, owner: Owner(7), towards_caller: false };
        assert!(table.open(ms(0), port, &opening));
        table.set_remote(port, Some(at(HEARER)), None, Latch::Fixed, PayloadTypes::ANY);
        table.set_keypad(port, Keypad { form, keeps: false });
        assert!(table.press(ms(nth as u64 % 20), port, b'1', 100, START));
    }
    for &port in ports.iter().step_by(3) {
        table.close(port);
    }
    let mut sent = std::collections::BTreeMap::<u16, Vec<u64>>::new();
    let mut out = [0; SOUND_BYTES];
    for time in 0..500 {
        while let Some(sound) = table.poll_dialled(ms(time), &mut out) {
            sent.entry(sound.from.port()).or_default().push(time);
        }
    }
    assert_eq!(sent.len(), 200);
    for times in sent.values() {
        assert!(times.len() == 7 && times.windows(2).all(|pair| pair[1] - pair[0] == 20));
    }
    assert_eq!(table.dial_due(), None);
}

#[test]
fn an_event_that_meets_ours_waits_behind_it() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    assert!(scene.press(b'4', 100));
    scene.speaks(2);
    for nth in 0..5 {
        scene.sequence += 1;
        let _ = scene.comes(&event(scene.sequence, 20_000_000, b'6', nth > 1));
        scene.waits();
    }
    scene.speaks(20);
    let keys: Vec<u8> = judged(&scene.got).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, b"46");
}

#[test]
fn where_nothing_is_heard_a_key_is_a_stream_of_ours() {
    let mut scene = Scene::by_events();
    assert!(scene.press(b'3', 100));
    (0..5).for_each(|_| scene.waits());
    assert!(scene.press(b'9', 100));
    (0..20).for_each(|_| scene.waits());
    assert_eq!(judged(&scene.got), [(b'3', 800), (b'9', 800)]);
    assert_eq!(field(&scene.got[0], 8), 77_u32.to_be_bytes());
    // Who begins to speak is another stream.
    scene.speaks(2);
    assert_eq!(field(scene.got.last().unwrap(), 8), 9_u32.to_be_bytes());
}

#[test]
fn a_key_in_a_silence_goes_on_from_what_was_heard_last() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    let last = scene.got.last().unwrap().clone();
    scene.now_ms += 5_000;
    assert!(scene.press(b'3', 100));
    (0..12).for_each(|_| scene.waits());
    assert_eq!(judged(&scene.got), [(b'3', 800)]);
    let first = &scene.got[3];
    let passed = time_of(first).wrapping_sub(time_of(&last)) / 8;
    assert!((5_000..5_200).contains(&passed), "{passed} ms");
}

#[test]
fn a_stream_with_keys_of_ours_is_never_settled_again() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    assert!(matches!(scene.table.course(TELLS), Course::Settled(_)));
    assert!(scene.press(b'3', 100));
    assert!(matches!(scene.table.course(TELLS), Course::Known(_)));
    scene.speaks(20);
    assert!(matches!(scene.table.course(TELLS), Course::Known(_)));
    scene.table.close(HEARS);
    assert_eq!(scene.table.dial_due(), None);
    assert_eq!(scene.table.bench.dials.free.len(), 1);
}

#[test]
fn what_leaves_is_numbered_on_after_a_restart() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    // Longer packets would be fewer: three of these go nowhere and ten go instead.
    assert!(scene.press(b'3', 160));
    (0..8).for_each(|_| scene.waits());
    scene.speaks(10);
    let owner = scene.table.poll_turned();
    assert_eq!(owner, Some(Owner(7)), "the shift is for the checkpoint");
    let state = scene.table.snapshot(HEARS);
    assert_ne!(state.shift, 0);
    let last = sequence_of(scene.got.last().unwrap());
    let mut after = Scene::by_events();
    after.table.close(HEARS);
    let opening = Opening { peer: TELLS, owner: Owner(7), towards_caller: false };
    assert!(after.table.reopen(ms(0), HEARS, &opening, &state, ms(0)));
    after.sequence = scene.sequence;
    after.speaks(1);
    assert_eq!(sequence_of(&after.got[0]), last.wrapping_add(1));
}

#[test]
fn whoever_goes_on_after_a_kill_uses_no_number_again() {
    // In the middle of a key, when it has ended and nothing was spoken since, and behind it.
    for packets in [1, 4, 60, 252, 253, 254, 400] {
        for spoken in [0, 1] {
            let mut scene = Scene::by_events();
            scene.speaks(3);
            let mut state = scene.table.snapshot(HEARS);
            assert!(scene.press(b'3', 5_000));
            assert!(scene.press(b'4', 5_000));
            for _ in 0..packets {
                scene.speaks(spoken);
                scene.waits();
                if scene.table.poll_turned().is_some() {
                    state = scene.table.snapshot(HEARS);
                }
            }
            let sent: BTreeSet<u16> = scene.got.iter().map(|packet| sequence_of(packet)).collect();
            let mut after = Scene::by_events();
            after.table.close(HEARS);
            let opening = Opening { peer: TELLS, owner: Owner(7), towards_caller: false };
            assert!(after.table.reopen(ms(0), HEARS, &opening, &state, ms(0)));
            after.sequence = scene.sequence;
            after.speaks(300);
            assert_eq!(after.got.len(), 300);
            for packet in &after.got {
                assert!(!sent.contains(&sequence_of(packet)), "{packets} {spoken}");
            }
        }
    }
}

#[test]
fn a_source_that_comes_back_after_a_key_uses_no_number_again() {
    let mut scene = Scene::by_events();
    scene.speaks(3);
    assert!(scene.press(b'3', 160));
    (0..15).for_each(|_| scene.waits());
    let before: BTreeSet<u16> = scene.got.iter().map(|packet| sequence_of(packet)).collect();
    let _ = scene.comes(&rtp(8, 700));
    scene.got.clear();
    scene.speaks(30);
    assert!(scene.got.iter().all(|packet| !before.contains(&sequence_of(packet))));
}

#[test]
fn keys_are_sealed_where_the_leg_has_keys_and_follow_the_stream_that_is_made() {
    let suite = Suite::AesCm128HmacSha1Tag80;
    let master = Master::new(suite, &vec![5; suite.master_bytes()]).unwrap();
    let mut scene = Scene::by_events();
    let side = |codec: Codec| Side {
        codec,
        payload_type: codec.payload_type(),
        events: Some(EVENTS),
        noise: None,
    };
    let settings = Settings { from: side(Codec::Pcma), to: side(Codec::Pcmu), packet_ms: 20 };
    scene.table.reserve_transcoders(1);
    assert!(scene.table.set_transcoding(TELLS, Some(settings), START));
    assert!(scene.table.set_keys(HEARS, None, Some(&master)));
    scene.speaks(5);
    assert!(scene.press(b'3', 100));
    scene.speaks(20);
    assert!(scene.press(b'#', 100));
    scene.speaks(20);
    let mut receiver = Receiver::new(&master);
    let mut clear = Vec::new();
    for packet in &scene.got {
        let mut room = packet.clone();
        let length = receiver.unprotect_rtp(&mut room).unwrap();
        clear.push(room[..length].to_vec());
    }
    assert_eq!(judged(&clear), [(b'3', 800), (b'#', 800)]);
    assert!(clear.iter().all(|packet| field(packet, 8) == 77_u32.to_be_bytes()));
}

#[test]
fn who_hears_tones_alone_hears_the_keys_as_tones() {
    for law in [0, 8] {
        let mut scene = Scene::new(Form::Tones { is_a_law: law == 8 });
        if law == 8 {
            scene.speaks(3);
        }
        let keys = &ALL_KEYS[..16];
        for &key in keys {
            assert!(scene.press(key, 100));
            (0..12).for_each(|_| scene.waits());
        }
        assert!(!scene.press(b'!', 100), "no tone is a hook flash");
        let (mut heard, mut detector) = (String::new(), Detector::default());
        for packet in &scene.got {
            assert_eq!(packet[1] & 0x7f, law);
            let decode = if law == 8 { codec::g711::from_a_law } else { codec::g711::from_mu_law };
            let samples = packet[12..].iter().map(|&word| decode(word));
            detector.hear(samples, |key| heard.push(key.into()));
        }
        assert_eq!(heard.as_bytes(), keys);
        assert_eq!(judged(&scene.got), []);
    }
}

#[test]
fn nothing_is_pressed_towards_whom_it_does_not_reach() {
    let mut scene = Scene::new(Form::None);
    assert!(!scene.press(b'1', 100));
    let mut scene = Scene::by_events();
    assert!(!scene.press(b'x', 100));
    scene.table.set_remote(HEARS, None, None, Latch::Fixed, PayloadTypes::ANY);
    assert!(!scene.press(b'1', 100), "it wants no media");
    assert!(!scene.table.press(ms(0), Port::new(0, 1), b'1', 100, START));
    let pressed: Option<Pressed> = scene.table.poll_key();
    assert_eq!(pressed, None);
}

#[test]
fn keypads_are_written_and_read_back() {
    for form in [
        Form::None,
        Form::Events { payload_type: 101, khz: 48 },
        Form::Tones { is_a_law: false },
        Form::Tones { is_a_law: true },
    ] {
        for keeps in [false, true] {
            let keypad = Keypad { form, keeps };
            assert_eq!(Keypad::from_bytes(keypad.to_bytes()), keypad);
        }
    }
}
