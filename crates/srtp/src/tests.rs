//! What the RFCs' examples say, what a long call does, and what strangers may send.

use proptest::prelude::*;

use crate::derive::Session;
use crate::{Fault, Kept, Master, OVERHEAD_MAX, Receiver, Sender, Suite};

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn master(suite: Suite, seed: u8) -> Master {
    let bytes: Vec<u8> = (0..suite.master_bytes()).map(|at| at as u8 ^ seed).collect();
    Master::new(suite, &bytes).unwrap()
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|at: u8| at ^ sequence as u8));
    packet
}

fn protect(sender: &mut Sender, packet: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut room = packet.to_vec();
    room.resize(packet.len() + OVERHEAD_MAX, 0);
    let length = sender.protect_rtp(&mut room, packet.len())?;
    room.truncate(length);
    Ok(room)
}

fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut room = packet.to_vec();
    match receiver.unprotect_rtp(&mut room) {
        Ok(length) => {
            room.truncate(length);
            Ok(room)
        }
        Err(fault) => {
            assert_eq!(room, packet, "what is refused stays as it was");
            Err(fault)
        }
    }
}

/// RFC 7714 §16 and §17: session keys, which are derived from nothing.
fn example(suite: Suite) -> (Master, Session) {
    let mut key = [0; 32];
    key[..suite.key_bytes()].copy_from_slice(&(0..suite.key_bytes() as u8).collect::<Vec<_>>());
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(b"Quid pro quo");
    (master(suite, 0), Session { suite, key, auth: [0; 20], salt })
}

#[test]
fn packets_are_those_of_rfc_7714_sections_16_and_17() {
    let clear = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
        69736120 696e2070 61727465 73207472 6573");
    let report = hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef");
    for (suite, protected, protected_report) in [
        (
            Suite::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
             730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1
             110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let (master, session) = example(suite);
        let mut sender = Sender::of_sessions(&master, &session, 0x5d3);
        let mut receiver = Receiver::of_sessions(&master, &session);
        assert_eq!(protect(&mut sender, &clear).unwrap(), hex(protected));
        assert_eq!(unprotect(&mut receiver, &hex(protected)).unwrap(), clear);
        let mut room = report.clone();
        room.resize(report.len() + OVERHEAD_MAX, 0);
        let length = sender.protect_rtcp(&mut room, report.len()).unwrap();
        assert_eq!(room[..length], hex(protected_report));
        let length = receiver.unprotect_rtcp(&mut room[..length]).unwrap();
        assert_eq!(room[..length], report);
    }
}

/// 65,536 and more packets each way round, one in eleven lost, pairs swapped.
#[test]
fn audio_goes_on_through_three_roll_overs_with_loss_and_disorder() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) =
            (Sender::new(&master(suite, 1)), Receiver::new(&master(suite, 1)));
        let begin = 65_000_u32;
        let mut waiting = None;
        for count in 0..3 * 65_536_u32 + 2_000 {
            let clear = rtp(9, (begin + count) as u16);
            let sealed = protect(&mut sender, &clear).unwrap();
            if count % 11 == 3 {
                continue;
            }
            if count % 7 == 0 && waiting.is_none() {
                waiting = Some((clear, sealed));
                continue;
            }
            assert_eq!(unprotect(&mut receiver, &sealed).as_ref(), Ok(&clear), "{count}");
            if let Some((clear, sealed)) = waiting.take() {
                assert_eq!(unprotect(&mut receiver, &sealed).as_ref(), Ok(&clear), "{count} late");
                assert_eq!(unprotect(&mut receiver, &sealed), Err(Fault::Replayed));
            }
        }
        assert_eq!(sender.kept().streams[0].unwrap().index >> 16, 4);
        assert_eq!(receiver.kept().streams[0].unwrap().index >> 16, 4);
    }
}

#[test]
fn a_receiver_finds_its_place_after_more_than_half_a_turn_was_lost() {
    let key = master(Suite::AesCm128HmacSha1Tag80, 1);
    let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
    for count in 0..120_000_u32 {
        let clear = rtp(9, count as u16);
        let sealed = protect(&mut sender, &clear).unwrap();
        if !(30_000..95_000).contains(&count) {
            assert_eq!(unprotect(&mut receiver, &sealed).as_ref(), Ok(&clear), "{count}");
        }
    }
}

#[test]
fn a_call_goes_on_after_a_restart_from_what_was_kept_at_the_last_half_turn() {
    let key = master(Suite::AeadAes128Gcm, 1);
    let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
    let mut kept: [Kept; 2] = [sender.kept(), receiver.kept()];
    for count in 60_000..300_000_u32 {
        let clear = rtp(9, count as u16);
        let sealed = protect(&mut sender, &clear).unwrap();
        assert_eq!(unprotect(&mut receiver, &sealed).as_ref(), Ok(&clear), "{count}");
        if sender.take_turned() {
            kept[0] = sender.kept();
        }
        if receiver.take_turned() {
            kept[1] = receiver.kept();
        }
        if count % 9_973 == 0 {
            sender = Sender::restore(&key, &kept[0]);
        }
        if count % 8_191 == 0 {
            receiver = Receiver::restore(&key, &kept[1]);
        }
    }
}

#[test]
fn a_sequence_number_is_protected_once() {
    let mut sender = Sender::new(&master(Suite::AeadAes128Gcm, 1));
    assert!(protect(&mut sender, &rtp(9, 5)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(9, 5)), Err(Fault::Replayed));
    assert!(protect(&mut sender, &rtp(10, 5)).is_ok(), "another stream");
}

#[test]
fn a_forged_packet_changes_nothing() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) =
            (Sender::new(&master(suite, 1)), Receiver::new(&master(suite, 1)));
        let mut stranger = Sender::new(&master(suite, 2));
        let first = protect(&mut sender, &rtp(9, 5)).unwrap();
        assert!(unprotect(&mut receiver, &first).is_ok());
        let before = receiver.kept();
        for (ssrc, sequence) in [(9, 6), (9, 40_000), (9, 65_530), (10, 1), (11, 1), (12, 1)] {
            let forged = protect(&mut stranger, &rtp(ssrc, sequence)).unwrap();
            assert_eq!(unprotect(&mut receiver, &forged), Err(Fault::Unauthentic));
        }
        assert_eq!(receiver.kept(), before);
        let next = protect(&mut sender, &rtp(9, 6)).unwrap();
        assert!(unprotect(&mut receiver, &next).is_ok());
    }
}

#[test]
fn reports_are_opened_once_and_never_in_clear() {
    let report = hex("81c90001 0000000a 00000000 00000000");
    for suite in Suite::ALL {
        let (mut sender, mut receiver) =
            (Sender::new(&master(suite, 1)), Receiver::new(&master(suite, 1)));
        let mut room = [0; 64];
        room[..report.len()].copy_from_slice(&report);
        let length = sender.protect_rtcp(&mut room, report.len()).unwrap();
        let mut again = room;
        assert_ne!(room[8..16], report[8..16], "{suite:?}");
        let clear = receiver.unprotect_rtcp(&mut room[..length]).unwrap();
        assert_eq!(room[..clear], report);
        assert_eq!(receiver.unprotect_rtcp(&mut again[..length]), Err(Fault::Replayed));
        let mut bare = report.clone();
        assert!(receiver.unprotect_rtcp(&mut bare).is_err());
    }
}

#[test]
fn no_debug_output_shows_a_key() {
    for suite in Suite::ALL {
        let key = master(suite, 0x41);
        let text = format!("{key:?} {:?} {:?}", Sender::new(&key), Receiver::new(&key));
        let name = suite.name();
        assert_eq!(text, format!("Master({name}) Sender({name}) Receiver({name})"));
        assert_eq!(Suite::from_name(name.as_bytes()), Some(suite));
        assert_eq!(Suite::from_number(suite as u8), Some(suite));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_and_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..200), suite in 0_usize..4) {
        let mut receiver = Receiver::new(&master(Suite::ALL[suite], 1));
        let mut rtp = bytes.clone();
        prop_assert!(receiver.unprotect_rtp(&mut rtp).is_err());
        let mut rtcp = bytes.clone();
        prop_assert!(receiver.unprotect_rtcp(&mut rtcp).is_err());
        prop_assert_eq!((&rtp, &rtcp), (&bytes, &bytes));
        let mut sender = Sender::new(&master(Suite::ALL[suite], 1));
        let mut room = bytes.clone();
        let _ = sender.protect_rtp(&mut room, bytes.len() + 1);
        let _ = sender.protect_rtcp(&mut room, bytes.len());
    }

    #[test]
    fn what_is_protected_is_opened(body in prop::collection::vec(any::<u8>(), 0..300), words in 0_u8..4, sequence: u16, suite in 0_usize..4) {
        let suite = Suite::ALL[suite];
        let mut packet = rtp(3, sequence)[..12].to_vec();
        packet[0] |= words;
        packet.extend(vec![9; usize::from(words) * 4]);
        packet.extend(body);
        let sealed = protect(&mut Sender::new(&master(suite, 1)), &packet).unwrap();
        prop_assert_eq!(unprotect(&mut Receiver::new(&master(suite, 1)), &sealed), Ok(packet));
    }

    #[test]
    fn one_changed_bit_is_one_too_many(bit in 0_usize..(172 * 8), suite in 0_usize..4) {
        let suite = Suite::ALL[suite];
        let mut sealed = protect(&mut Sender::new(&master(suite, 1)), &rtp(3, 9)).unwrap();
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(unprotect(&mut Receiver::new(&master(suite, 1)), &sealed).is_err());
    }
}

#[test]
fn a_stream_that_was_forgotten_never_comes_to_the_same_key_stream_again() {
    let suite = Suite::AesCm128HmacSha1Tag80;
    let master = master(suite, 7);
    let mut sender = Sender::new(&master);
    let mut used = std::collections::BTreeSet::new();
    let mut sent = |sender: &mut Sender, ssrc: u32, sequence: u16| {
        let sealed = protect(sender, &rtp(ssrc, sequence)).unwrap();
        let name = <[u8; 4]>::try_from(&sealed[8..12]).unwrap();
        assert!(used.insert((name, sequence)), "{name:?} {sequence}");
        (u32::from_be_bytes(name), sealed)
    };
    // The first streams keep their names, and so does the one that makes us forget.
    for ssrc in 1..=5 {
        assert_eq!(sent(&mut sender, ssrc, 7).0, ssrc);
    }
    let mut receiver = Receiver::new(&master);
    let (name, sealed) = sent(&mut sender, 1, 7);
    assert_ne!(name, 1);
    assert!(sender.take_turned(), "a checkpoint must know the name");
    assert!(unprotect(&mut receiver, &sealed).is_ok());
    assert_eq!(sent(&mut sender, 1, 8).0, name, "it goes on by its name");
    assert_eq!(sent(&mut sender, 5, 8).0, 5);
    for round in 0..3 {
        for ssrc in 1..=6 {
            let _ = sent(&mut sender, ssrc, 7 + u16::from(round == 0) * 20);
        }
    }
    // Nor after a restart, however often.
    let kept = sender.kept();
    let mut restored = Sender::restore(&master, &kept);
    let (name, _) = sent(&mut restored, 2, 7);
    assert_ne!(name, 2);
    let mut again = Sender::restore(&master, &restored.kept());
    assert_ne!(sent(&mut again, 2, 7).0, name);
}

#[test]
fn sources_without_end_cost_one_checkpoint_and_no_name_twice() {
    let key = master(Suite::AesCm128HmacSha1Tag80, 1);
    let mut sender = Sender::new(&key);
    let (mut turns, mut names, mut sent) = (0, std::collections::HashSet::new(), 0);
    for count in 0..5_000_u32 {
        let sealed = protect(&mut sender, &rtp(1 + count % 6, (count / 6) as u16));
        turns += u32::from(sender.take_turned());
        match sealed {
            Ok(sealed) => {
                assert!(names.insert(sealed[2..12].to_vec()));
                sent += 1;
            }
            Err(fault) => assert_eq!(fault, Fault::Exhausted, "{count}"),
        }
    }
    assert_eq!(turns, 1);
    assert!(sent >= 256, "{sent}");
}
