//! The call table against a model, with a kill at every store.

use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;
use crate::record::NEVER;
use crate::word::leak;

const CALLS: usize = 2;

/// The table in words of a former dataplane.
fn take_up(words: &'static [AtomicU64], epoch: u64) -> CallWriter {
    CallWriter::new(CallTable::attach(words, CALLS).unwrap(), epoch)
}

fn table(epoch: u64) -> (&'static [AtomicU64], CallWriter) {
    let words = leak(words_needed(CALLS));
    (words, take_up(words, epoch))
}

fn key(slot: u32, generation: u32) -> CallKey {
    CallKey { slot, generation }
}

/// A record and a checkpoint that a reader can tell from every other.
fn content(number: u64) -> (CallRecord, Vec<u8>) {
    let mut record = CallRecord::empty();
    record.id = [number, !number];
    record.from_callee.packets = number;
    let length = number as usize % (CHECKPOINT_BYTES_MAX + 1);
    (record, vec![number as u8; length])
}

fn number_of(image: &Image) -> u64 {
    let number = image.record.id[0];
    let (record, checkpoint) = content(number);
    assert_eq!(image.record, record, "a record is whole");
    assert!(image.checkpoint() == checkpoint, "a checkpoint is whole and its record's");
    number
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish {
        generation: u32,
    },
    End {
        generation: u32,
    },
    Release {
        generation: u32,
    },
    /// The worker dies in the middle of writing an image.
    KillInMidPublish {
        garbage: u64,
        words: usize,
    },
    Restart,
    Adopt,
    Reap,
    /// Control acts on what it saw at the last step of this kind.
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let generation = || 0_u32..3;
    prop_oneof![
        5 => generation().prop_map(|generation| Step::Publish { generation }),
        2 => generation().prop_map(|generation| Step::End { generation }),
        3 => generation().prop_map(|generation| Step::Release { generation }),
        2 => (any::<u64>(), 0..=IMAGE_WORDS)
            .prop_map(|(garbage, words)| Step::KillInMidPublish { garbage, words }),
        2 => Just(Step::Restart),
        2 => Just(Step::Adopt),
        2 => Just(Step::Reap),
        2 => Just(Step::Look),
    ]
}

/// One slot as it should be.
#[derive(Clone, Copy, Debug)]
struct Model {
    state: SlotState,
    generation: u32,
    epoch: u64,
    number: u64,
    used: bool,
    /// Grows with every change of the slot.
    changes: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_slot_goes_only_the_ways_of_the_drawing_and_always_holds_a_whole_image(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (words, mut table) = table(1);
        let mut epoch = 1;
        let mut model =
            Model { state: SlotState::Free, generation: 0, epoch: 0, number: 0, used: false, changes: 0 };
        let mut looked = (table.tenancy(1).unwrap(), 0);
        let mut image = Image::boxed();
        for (number, step) in steps.into_iter().enumerate() {
            let number = number as u64 * 331 + 1;
            let (record, checkpoint) = content(number);
            let before = model;
            match step {
                Step::Publish { generation } | Step::End { generation } => {
                    let state = if matches!(step, Step::End { .. }) {
                        SlotState::Ended
                    } else {
                        SlotState::Live
                    };
                    let call = key(1, generation);
                    let done = if state == SlotState::Ended {
                        table.end(call, &record, &checkpoint)
                    } else {
                        table.publish(call, &record, &checkpoint)
                    };
                    let ours = match model.state {
                        SlotState::Free => !model.used || model.generation != generation,
                        SlotState::Live => model.generation == generation && model.epoch == epoch,
                        SlotState::Ended => false,
                    };
                    prop_assert_eq!(done, if ours { Ok(()) } else { Err(Miss::NotOurs) });
                    if ours {
                        model = Model { state, generation, epoch, number, used: true, ..model };
                    }
                }
                Step::Release { generation } => {
                    let done = table.release(key(1, generation));
                    let ours = model.state == SlotState::Ended && model.generation == generation;
                    prop_assert_eq!(done.is_ok(), ours);
                    if ours {
                        model.state = SlotState::Free;
                    }
                }
                Step::KillInMidPublish { garbage, words } => {
                    let (stamp, spare) = table.image(table.spare).unwrap();
                    let open = Stamp(stamp.load(Ordering::Relaxed)).opened();
                    stamp.store(open.0, Ordering::Relaxed);
                    for word in &spare[..words] {
                        word.store(garbage, Ordering::Relaxed);
                    }
                }
                Step::Restart => {
                    epoch += 1;
                    table = take_up(words, epoch);
                }
                Step::Adopt => {
                    let done = table.adopt(1, table.tenancy(1).unwrap());
                    let orphaned = model.state == SlotState::Live && model.epoch != epoch;
                    prop_assert_eq!(done.is_ok(), orphaned);
                    if orphaned {
                        model.epoch = epoch;
                    }
                }
                Step::Look => looked = (table.tenancy(1).unwrap(), model.changes),
                Step::Reap => {
                    let done = table.reap(1, looked.0);
                    let unchanged = looked.1 == model.changes && model.state == SlotState::Live;
                    prop_assert_eq!(done.is_ok(), unchanged);
                    if unchanged {
                        model.state = SlotState::Ended;
                    }
                }
            }
            let key_of = |it: Model| (it.state as u8, it.generation, it.epoch, it.number);
            if key_of(before) != key_of(model) {
                model.changes += 1;
            }
            prop_assert_eq!(table.tenancy(1).unwrap().state(), model.state);
            let seen = table.read(1, &mut image);
            prop_assert_eq!(seen.is_some(), model.state != SlotState::Free);
            if let Some(seen) = seen {
                prop_assert_eq!(seen.generation(), model.generation);
                prop_assert!(seen.is_of_epoch(model.epoch));
                prop_assert_eq!(number_of(&image), model.number);
            }
            prop_assert_eq!(table.tenancy(0).unwrap().word, 0, "the neighbour is untouched");
        }
    }

    #[test]
    fn words_that_hold_anything_at_all_can_be_read_and_used(
        garbage in proptest::collection::vec(any::<u64>(), 64),
        slot in any::<u32>(),
    ) {
        let (words, mut table) = table(1);
        for (word, value) in words.iter().zip(garbage.iter().cycle()) {
            word.store(*value, Ordering::Relaxed);
        }
        let mut image = Image::boxed();
        for slot in [0, 1, 2, slot] {
            let _ = table.read(slot, &mut image);
            let _ = (image.checkpoint(), image.record.attempts(), image.record.end_reason());
            let _ = table.media_us(slot);
            let (record, checkpoint) = content(5);
            let _ = table.publish(key(slot, 1), &record, &checkpoint);
            let _ = table.release(key(slot, 1));
        }
        prop_assert_eq!(table.tenancies().count(), CALLS);
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_changes_nothing() {
    let (_, mut table) = table(1);
    let long = [0; CHECKPOINT_BYTES_MAX + 1];
    let record = CallRecord::empty();
    assert_eq!(table.publish(key(0, 1), &record, &long), Err(Miss::TooLong));
    assert_eq!(table.tenancy(0).unwrap().state(), SlotState::Free);
    table.publish(key(0, 1), &record, &long[1..]).unwrap();
}

#[test]
fn a_slot_that_is_not_there_is_missed() {
    let (_, mut table) = table(1);
    let record = CallRecord::empty();
    assert_eq!(table.publish(key(2, 1), &record, &[]), Err(Miss::NoSlot));
    assert_eq!(table.release(key(u32::MAX, 1)), Err(Miss::NoSlot));
    assert_eq!(table.read(2, &mut Image::boxed()), None);
    assert_eq!(table.media_us(2), 0);
    table.touch_media(2, 1);
}

#[test]
fn media_is_forgotten_when_a_slot_changes_hands() {
    let (_, mut table) = table(1);
    let record = CallRecord::empty();
    table.publish(key(0, 1), &record, &[]).unwrap();
    table.touch_media(0, 77);
    table.publish(key(0, 1), &record, &[]).unwrap();
    assert_eq!(table.media_us(0), 77);
    table.end(key(0, 1), &record, &[]).unwrap();
    assert_eq!(table.media_us(0), 77, "control reads it from an ended slot");
    table.release(key(0, 1)).unwrap();
    table.publish(key(0, 2), &record, &[]).unwrap();
    assert_eq!(table.media_us(0), 0);
}

#[test]
fn a_call_whose_record_is_durable_does_not_come_back() {
    let (_, mut table) = table(1);
    let record = CallRecord::empty();
    table.publish(key(0, 7), &record, &[]).unwrap();
    table.reap(0, table.tenancy(0).unwrap()).unwrap();
    table.release(key(0, 7)).unwrap();
    assert_eq!(table.publish(key(0, 7), &record, &[]), Err(Miss::NotOurs));
    assert_eq!(table.end(key(0, 7), &record, &[]), Err(Miss::NotOurs));
    table.publish(key(0, 8), &record, &[]).unwrap();
}

#[test]
fn a_reaped_call_is_told_by_its_record_without_an_end() {
    let (_, mut table) = table(1);
    table.publish(key(0, 1), &CallRecord::empty(), &[]).unwrap();
    table.reap(0, table.tenancy(0).unwrap()).unwrap();
    let mut image = Image::boxed();
    assert_eq!(table.read(0, &mut image).unwrap().state(), SlotState::Ended);
    assert_eq!(image.record.ended_ms, NEVER);
    assert_eq!(table.publish(key(0, 1), &CallRecord::empty(), &[]), Err(Miss::NotOurs));
}

#[test]
fn of_an_adoption_and_a_reaping_that_race_exactly_one_wins() {
    for _ in 0..2_000 {
        let (words, mut old) = table(1);
        old.publish(key(0, 1), &CallRecord::empty(), &[]).unwrap();
        let new = take_up(words, 2);
        let seen = new.tenancy(0).unwrap();
        let wins = AtomicU32::new(0);
        let count = |done: Result<(), Miss>| {
            wins.fetch_add(u32::from(done.is_ok()), Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| count(new.adopt(0, seen)));
            scope.spawn(|| count(old.reap(0, seen)));
        });
        assert_eq!(wins.into_inner(), 1);
    }
}

#[test]
fn a_reader_never_sees_half_an_image_however_fast_images_go_round() {
    const IMAGES: u64 = 20_000;
    let (_, mut table) = table(1);
    let reader = *table;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..IMAGES {
                // Runs of odd length, so that images change between slots in many orders.
                let slot = u32::from(number % 7 < 3);
                let (record, checkpoint) = content(number);
                table.publish(key(slot, 1), &record, &checkpoint).unwrap();
            }
        });
        let mut image = Image::boxed();
        let mut newest = [0; CALLS];
        while newest.iter().all(|number| number + 7 < IMAGES) {
            for (slot, newest) in newest.iter_mut().enumerate() {
                if reader.read(slot as u32, &mut image).is_some() {
                    let number = number_of(&image);
                    assert_eq!(usize::from(number % 7 < 3), slot, "its own image");
                    assert!(number >= *newest, "images do not go back");
                    *newest = number;
                }
            }
        }
    });
}

#[test]
fn a_checkpoint_is_written_in_place() {
    let mut image = Image::boxed();
    assert_eq!(image.checkpoint(), b"");
    assert_eq!(image.record.answered_ms, NEVER);
    image
        .set_checkpoint(|room| {
            room[..3].copy_from_slice(b"abc");
            3
        })
        .unwrap();
    assert_eq!(image.checkpoint(), b"abc");
    assert_eq!(image.set_checkpoint(|room| room.len() + 1), Err(Miss::TooLong));
    assert_eq!(image.checkpoint(), b"");
}
