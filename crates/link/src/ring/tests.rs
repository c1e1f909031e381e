//! The ring against a queue, with kills and corruption.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::word::leak;

const SLOTS: usize = 4;
const SLOT_BYTES: usize = 20;

fn ring_from(start: u64) -> (&'static [AtomicU64], Producer, Consumer) {
    let words = leak(words_needed(SLOTS, SLOT_BYTES));
    format_from(words, SLOTS, SLOT_BYTES, start).unwrap();
    let (producer, consumer) = split(words).unwrap();
    (words, producer, consumer)
}

fn popped(consumer: &mut Consumer) -> Option<(u16, Vec<u8>)> {
    let mut out = [0; SLOT_BYTES];
    let (kind, length) = consumer.pop(&mut out)?;
    Some((kind, out[..length].to_vec()))
}

#[derive(Clone, Debug)]
enum Step {
    Push(u16, Vec<u8>),
    Pop,
    Clear,
    RestartProducer,
    RestartConsumer,
    /// The producer is killed after it wrote a payload and before it published it.
    KillInMidPush(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..=SLOT_BYTES);
    prop_oneof![
        4 => (any::<u16>(), bytes()).prop_map(|(kind, bytes)| Step::Push(kind, bytes)),
        4 => Just(Step::Pop),
        1 => Just(Step::Clear),
        1 => Just(Step::RestartProducer),
        1 => Just(Step::RestartConsumer),
        1 => bytes().prop_map(Step::KillInMidPush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_ring_is_a_queue_whoever_is_killed_and_wherever_the_indices_wrap(
        steps in proptest::collection::vec(step(), 1..60),
        before_wrap in 0_u64..20,
    ) {
        let (words, mut producer, mut consumer) = ring_from(0_u64.wrapping_sub(before_wrap));
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(kind, bytes) => {
                    let pushed = producer.push(kind, &bytes);
                    prop_assert_eq!(pushed.is_ok(), model.len() < SLOTS);
                    if pushed.is_ok() {
                        model.push_back((kind, bytes));
                    }
                }
                Step::Pop => prop_assert_eq!(popped(&mut consumer), model.pop_front()),
                Step::Clear => {
                    prop_assert_eq!(consumer.clear(), model.len() as u64);
                    model.clear();
                }
                Step::RestartProducer => producer = Producer::attach(words).unwrap(),
                Step::RestartConsumer => consumer = Consumer::attach(words).unwrap(),
                Step::KillInMidPush(bytes) => {
                    if producer.free() > 0 {
                        let (stamp, payload) = producer.memory.slot(producer.tail);
                        write_bytes(payload, &[&bytes]);
                        stamp.store(u64::MAX, Ordering::Relaxed);
                    }
                    producer = Producer::attach(words).unwrap();
                }
            }
            let free = (SLOTS - model.len()) as u64;
            prop_assert!(producer.free() <= free && (free == 0 || producer.free() > 0));
            prop_assert!(producer.has_room(free) && !producer.has_room(free + 1));
            prop_assert_eq!(consumer.waiting() > 0, !model.is_empty());
            prop_assert_eq!(producer.faults() + consumer.faults(), 0);
        }
    }

    #[test]
    fn words_that_hold_anything_at_all_neither_panic_nor_stop_the_ring(
        garbage in proptest::collection::vec((0..words_needed(SLOTS, SLOT_BYTES), any::<u64>()), 1..8),
        small in any::<bool>(),
        restarted in any::<bool>(),
    ) {
        let (words, mut producer, mut consumer) = ring_from(0);
        for message in 0..3 {
            let _ = producer.push(message, &[7; SLOT_BYTES]);
        }
        for (at, value) in garbage.into_iter().filter(|(at, _)| *at != SHAPE) {
            words[at].store(if small { value % 16 } else { value }, Ordering::Relaxed);
        }
        if restarted {
            producer = Producer::attach(words).unwrap();
            consumer = Consumer::attach(words).unwrap();
        }
        // Whatever stood there, a few rounds later messages pass again, and none that came before.
        let mut arrived = Vec::new();
        for round in 0..20 {
            let _ = producer.push(1_000 + round, &[9; 3]);
            for _ in 0..=SLOTS {
                arrived.extend(popped(&mut consumer));
            }
        }
        prop_assert_eq!(arrived.last(), Some(&(1_019, vec![9; 3])));
    }
}

#[test]
fn a_message_in_parts_arrives_in_one_piece() {
    let (_, mut producer, mut consumer) = ring_from(0);
    let _ = producer.push_parts(5, &[b"abc", b"", b"defghijkl", b"m"]).unwrap();
    assert_eq!(popped(&mut consumer), Some((5, b"abcdefghijklm".to_vec())));
}

#[test]
fn a_full_ring_refuses_and_takes_again_once_there_is_room() {
    let (_, mut producer, mut consumer) = ring_from(0);
    for kind in 0..4 {
        let _ = producer.push(kind, &[]).unwrap();
    }
    assert_eq!(producer.push(4, &[]), Err(Full));
    assert_eq!(popped(&mut consumer), Some((0, vec![])));
    let _ = producer.push(5, &[]).unwrap();
    assert_eq!(producer.push(6, &[]), Err(Full));
}

#[test]
fn a_message_longer_than_a_slot_is_refused() {
    let (_, mut producer, mut consumer) = ring_from(0);
    assert_eq!(producer.push(1, &[0; SLOT_BYTES + 1]), Err(Full));
    assert_eq!(producer.push(1, &[0; 1 << 17]), Err(Full));
    assert_eq!(popped(&mut consumer), None);
}

#[test]
fn a_message_longer_than_the_buffer_is_dropped_and_counted_and_the_next_one_arrives() {
    let (_, mut producer, mut consumer) = ring_from(0);
    let _ = producer.push(1, &[1; 10]).unwrap();
    let _ = producer.push(2, &[2; 4]).unwrap();
    let mut out = [0; 4];
    assert_eq!(consumer.pop(&mut out), Some((2, 4)));
    assert_eq!(consumer.faults(), 1);
}

#[test]
fn a_consumer_killed_before_it_moved_its_head_reads_that_one_message_again() {
    let (words, mut producer, mut consumer) = ring_from(0);
    let _ = producer.push(1, b"one").unwrap();
    let _ = producer.push(2, b"two").unwrap();
    assert_eq!(popped(&mut consumer).unwrap().0, 1);
    words[HEAD].store(0, Ordering::Relaxed);
    let mut again = Consumer::attach(words).unwrap();
    assert_eq!(popped(&mut again), Some((1, b"one".to_vec())));
    assert_eq!(popped(&mut again), Some((2, b"two".to_vec())));
}

#[test]
fn only_a_sleeping_consumer_is_rung_and_only_once() {
    let (_, mut producer, mut consumer) = ring_from(0);
    assert_eq!(producer.push(1, &[]), Ok(Wake::Needless));
    assert!(!consumer.try_sleep(), "something is waiting");
    assert_eq!(producer.push(2, &[]), Ok(Wake::Needless));
    while popped(&mut consumer).is_some() {}
    assert!(consumer.try_sleep());
    assert_eq!(producer.push(3, &[]), Ok(Wake::Needed));
    assert_eq!(producer.push(4, &[]), Ok(Wake::Needless));
    consumer.awake();
    while popped(&mut consumer).is_some() {}
    assert!(consumer.try_sleep());
    consumer.awake();
    assert_eq!(producer.push(5, &[]), Ok(Wake::Needless));
}

#[test]
fn memory_that_is_no_ring_is_refused() {
    let words = leak(words_needed(SLOTS, SLOT_BYTES));
    assert_eq!(Producer::attach(words).unwrap_err(), RingError::NotFormatted);
    assert_eq!(format(words, 3, SLOT_BYTES), Err(RingError::Slots(3)));
    assert_eq!(format(words, 0, SLOT_BYTES), Err(RingError::Slots(0)));
    assert_eq!(format(words, SLOTS, 0), Err(RingError::SlotBytes(0)));
    assert_eq!(format(words, SLOTS, 1 << 16), Err(RingError::SlotBytes(1 << 16)));
    let needed = words.len();
    assert_eq!(
        format(&words[..needed - 1], SLOTS, SLOT_BYTES),
        Err(RingError::Short { words: needed - 1, needed })
    );
    format(words, SLOTS, SLOT_BYTES).unwrap();
    assert_eq!(
        Consumer::attach(&words[..needed - 1]).unwrap_err(),
        RingError::Short { words: needed - 1, needed }
    );
    for shape in [FORMATTED, u64::MAX, FORMATTED | 3 << 16 | 20, 4 << 16 | 20] {
        words[SHAPE].store(shape, Ordering::Relaxed);
        assert_eq!(Consumer::attach(words).unwrap_err(), RingError::NotFormatted);
    }
    assert_eq!(Consumer::attach(&words[..3]).unwrap_err(), RingError::NotFormatted);
}

#[test]
fn two_threads_pass_a_million_messages_in_order() {
    const MESSAGES: u64 = 1_000_000;
    let (mut producer, mut consumer) = in_process(64, 24).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..MESSAGES {
                let bytes = [number.to_ne_bytes(), (!number).to_ne_bytes()].concat();
                while producer.push(1, &bytes).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut out = [0; 24];
        for number in 0..MESSAGES {
            let length = loop {
                match consumer.pop(&mut out) {
                    Some((_, length)) => break length,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(out[..length], [number.to_ne_bytes(), (!number).to_ne_bytes()].concat());
        }
        assert_eq!(consumer.faults(), 0);
    });
}
