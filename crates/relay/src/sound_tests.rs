//! Prompts on their way: each packet in its time, once or for ever, and how they end.

use codec::g711::{to_a_law, to_mu_law};

use super::*;
use crate::{Latch, Opening, PayloadTypes};

const PORT: Port = Port::new(0, 10_000);

fn ms(ms: u64) -> Instant {
    Duration::from_millis(ms)
}

/// A table with one open pair beside which there is no other; a prompt of three packets, each of one loudness.
fn table() -> Table {
    let mut table = Table::new(10_000, 2_400, &[[10, 10, 1, 2].into()]);
    let samples: Vec<i16> = (1..=3_i16).flat_map(|packet| [packet * 1_000; 160]).collect();
    table.set_prompts(Arc::new(Prompts::new([("three", samples.as_slice())])));
    open(&mut table, PORT);
    table
}

fn open(table: &mut Table, port: Port) {
    let owner = Owner(port.number().into());
    let peer = Port::NONE;
    assert!(table.open(ms(0), port, &Opening { peer, owner, towards_caller: true }));
}

fn hears(table: &mut Table, port: Port) {
    let far = Some("192.0.2.1:4000".parse().unwrap());
    table.set_remote(port, far, None, Latch::Fixed, PayloadTypes::ANY);
}

fn play(table: &Table, times: Times, is_a_law: bool) -> Play {
    Play { prompt: table.prompts().find("three").unwrap(), times, is_a_law, ssrc: 9 }
}

/// The first sample of what is sent now, if anything is.
fn heard(table: &mut Table, now: Instant) -> Option<u8> {
    let mut out = [0; SOUND_BYTES];
    let sound = table.poll_sound(now, &mut out)?;
    assert_eq!(sound.to, "192.0.2.1:4000".parse().unwrap());
    assert!(out[12..TONE_BYTES].iter().all(|&word| word == out[12]));
    Some(out[12])
}

#[test]
fn a_prompt_is_heard_once_from_its_beginning_to_its_end_in_either_law() {
    for (is_a_law, law) in [(false, to_mu_law as fn(i16) -> u8), (true, to_a_law)] {
        let mut table = table();
        hears(&mut table, PORT);
        let play = play(&table, Times::Once, is_a_law);
        assert!(table.play(ms(100), PORT, &play));
        for packet in 0..3 {
            let now = ms(100 + 20 * packet);
            assert_eq!(heard(&mut table, now), Some(law((packet as i16 + 1) * 1_000)));
            assert_eq!(heard(&mut table, now), None);
            assert_eq!(table.poll_played(), None);
        }
        // Its last packet has sounded when it is over.
        assert_eq!(table.sound_due(), Some(ms(160)));
        assert_eq!(heard(&mut table, ms(160)), None);
        let owner = Owner(PORT.number().into());
        assert_eq!(table.poll_played(), Some(Played { owner, port: PORT, end: PlayEnd::Finished }));
        assert_eq!((table.sound_due(), table.prompts_played()), (None, 0));
    }
}

#[test]
fn a_looped_prompt_begins_again_until_it_is_stopped_or_another_takes_its_place() {
    let mut table = table();
    hears(&mut table, PORT);
    let looped = play(&table, Times::Looped, true);
    assert!(table.play(ms(0), PORT, &looped));
    for packet in 0..7 {
        let expected = to_a_law((packet % 3 + 1) * 1_000);
        assert_eq!(heard(&mut table, ms(20 * packet as u64)), Some(expected));
    }
    assert!(table.play(ms(200), PORT, &looped), "and begins anew");
    assert_eq!(table.prompts_played(), 1);
    assert_eq!(heard(&mut table, ms(200)), Some(to_a_law(1_000)));
    assert!(table.stop(PORT));
    assert!(!table.stop(PORT));
    assert_eq!(heard(&mut table, ms(400)), None);
    assert_eq!((table.poll_played(), table.prompts_played()), (None, 0), "who stopped it knows");
}

#[test]
fn a_prompt_waits_for_somebody_to_hear_it_and_is_cut_with_its_port() {
    let mut table = table();
    let once = play(&table, Times::Once, false);
    assert!(table.play(ms(0), PORT, &once));
    assert_eq!(heard(&mut table, ms(0)), None);
    assert_eq!(heard(&mut table, ms(500)), None);
    hears(&mut table, PORT);
    assert_eq!(heard(&mut table, ms(1_000)), Some(to_mu_law(1_000)), "from its beginning");
    table.close(PORT);
    open(&mut table, PORT);
    hears(&mut table, PORT);
    // Of the same owner: the port alone cannot say that it was closed, but nobody plays the rest to others.
    assert!(table.stop(PORT));
    assert!(table.play(ms(2_000), PORT, &once));
    table.close(PORT);
    assert_eq!(heard(&mut table, ms(2_000)), None);
    let owner = Owner(PORT.number().into());
    assert_eq!(table.poll_played(), Some(Played { owner, port: PORT, end: PlayEnd::Cut }));
    assert_eq!(table.prompts_played(), 0);
    assert!(!table.play(ms(2_000), PORT, &once), "nobody's port");
}

#[test]
fn no_more_prompts_are_played_than_may_be_and_ringback_still_sounds() {
    let mut table = table();
    let once = play(&table, Times::Once, false);
    let ports = (0..1_200).map(|pair| Port::new(0, PORT.number() + 2 * pair)).skip(1);
    for port in ports.clone().take(PROMPTS_MAX) {
        open(&mut table, port);
        assert!(table.play(ms(0), port, &once));
    }
    assert!(!table.play(ms(0), PORT, &once));
    assert!(table.ring(ms(0), PORT, false, 1));
    for port in ports.take(PROMPTS_MAX) {
        table.close(port);
    }
    let mut out = [0; SOUND_BYTES];
    assert_eq!(table.poll_sound(ms(0), &mut out), None);
    assert_eq!(std::iter::from_fn(|| table.poll_played()).count(), PROMPTS_MAX);
    assert!(table.play(ms(20), PORT, &once));
}
