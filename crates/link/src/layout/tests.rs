//! Shared words, formatted, opened and refused.

use proptest::prelude::*;

use super::*;
use crate::CallRecord;
use crate::record::CallKey;
use crate::report::{Ended, Report};
use crate::word::leak;
use crate::{Answer, answer, ask, order};

const SIZES: Sizes = Sizes { workers: 2, calls_per_worker: 3, ring_slots: 4 };
const CALL: CallKey = CallKey { slot: 1, generation: 5 };

fn words() -> &'static [AtomicU64] {
    leak(SIZES.words_needed())
}

fn link() -> Link {
    Link::format(words(), &SIZES, 7).unwrap()
}

#[test]
fn both_sides_of_every_worker_hear_each_other_and_nobody_else() {
    let link = link();
    link.begin_dataplane();
    let mut workers: Vec<_> = (0..2).map(|w| link.worker_side(w).unwrap()).collect();
    let mut controls: Vec<_> = (0..2).map(|w| link.control_side(w).unwrap()).collect();
    let committed = Down::Answer(Answer::Committed(answer::Committed { call: CALL }));
    let ended = Up::Report(Report::Ended(Ended { call: CALL }));
    let _ = workers[1].up.send(&ended).unwrap();
    let _ = controls[1].down.send(&committed).unwrap();
    assert_eq!(controls[1].up.receive(), Some(ended));
    assert_eq!(workers[1].down.receive(), Some(committed));

    workers[1].calls.publish(CALL, &CallRecord::empty(), b"x").unwrap();
    workers[1].counters.name_all(["frames"]).unwrap();
    workers[1].counters.add(0, 3);
    workers[1].latency.record(100);
    workers[1].beat(9_000);
    assert_eq!(controls[1].calls.tenancy(1).unwrap().generation(), 5);
    assert_eq!(controls[1].counters.iter().next(), Some(("frames".into(), 3)));
    assert_eq!(controls[1].latency.iter().count(), 1);
    assert_eq!((link.worker_beat_us(0), link.worker_beat_us(1)), (0, 9_000));

    assert_eq!(controls[0].up.receive(), None);
    assert_eq!(workers[0].down.receive(), None);
    assert_eq!(controls[0].calls.tenancies().filter(|(_, seen)| is_pending(*seen)).count(), 0);
    assert_eq!(controls[0].counters.iter().count() + controls[0].latency.iter().count(), 0);
    assert_eq!(link.calls_pending(), 1);
}

#[test]
fn every_part_has_words_of_its_own() {
    // Each part writes its own number all over its words; none finds another's.
    let link = link();
    let places = SIZES.places();
    let bounds =
        [0, places.up, places.down, places.counters, places.latency, places.calls, places.end];
    assert!(bounds.windows(2).all(|pair| pair[0] < pair[1] && pair[1].is_multiple_of(LINE_WORDS)));
    assert_eq!(link.words.len(), HEADER_WORDS + 2 * places.end);
    let (first, second) = (link.block(0).unwrap(), link.block(1).unwrap());
    assert_eq!(first.as_ptr_range().end, second.as_ptr());
    assert_eq!(second.as_ptr_range().end, link.words.as_ptr_range().end);
    const { assert!(BOARD_AT + board::words_needed() <= HEADER_WORDS) };
}

#[test]
fn epochs_grow_and_a_worker_writes_under_the_current_one() {
    let link = link();
    assert_eq!((link.dataplane_epoch(), link.control_epoch()), (0, 0));
    assert_eq!(link.begin_dataplane(), 1);
    let mut old = link.worker_side(0).unwrap();
    old.calls.publish(CALL, &CallRecord::empty(), b"").unwrap();
    assert_eq!(link.begin_dataplane(), 2);
    assert_eq!(link.begin_control(), 1);
    let mut new = link.worker_side(0).unwrap();
    let seen = new.calls.tenancy(1).unwrap();
    new.calls.adopt(1, seen).unwrap();
    assert!(old.calls.publish(CALL, &CallRecord::empty(), b"").is_err());
    new.calls.publish(CALL, &CallRecord::empty(), b"").unwrap();
}

#[test]
fn what_was_formatted_is_opened_with_all_that_is_in_it() {
    let words = words();
    let link = Link::open_or_format(words, &SIZES, 7).unwrap();
    link.beat_control(5);
    link.board().replace([("nic", "udp")]);
    link.worker_side(0).unwrap().calls.publish(CALL, &CallRecord::empty(), b"").unwrap();
    let again = Link::open_or_format(words, &SIZES, 9).unwrap();
    assert_eq!((again.sizes(), again.node(), again.control_beat_us()), (SIZES, 7, 5));
    assert_eq!(again.board().iter().next(), Some(("nic".into(), "udp".into())));
    assert_eq!(again.calls_pending(), 1);
}

#[test]
fn memory_of_other_sizes_is_refused_and_says_how_many_calls_are_in_it() {
    let words = leak(SIZES.words_needed() * 4);
    let link = Link::format(words, &SIZES, 0).unwrap();
    link.worker_side(0).unwrap().calls.publish(CALL, &CallRecord::empty(), b"").unwrap();
    let wanted = Sizes { calls_per_worker: 4, ..SIZES };
    let refused = Link::open_or_format(words, &wanted, 0).unwrap_err();
    assert_eq!(refused, LayoutError::Sizes { found: SIZES, wanted, pending: 1 });
    assert!(refused.to_string().contains("1 calls in it have no record yet"), "{refused}");
}

#[test]
fn memory_of_another_release_or_of_nobody_is_refused() {
    let words = words();
    assert_eq!(Link::open(words).unwrap_err(), LayoutError::NotFormatted);
    Link::format(words, &SIZES, 0).unwrap();
    words[LAYOUT_AT].store(LAYOUT + 1, Ordering::Relaxed);
    assert_eq!(Link::open(words).unwrap_err(), LayoutError::Layout { found: LAYOUT + 1 });
    words[MAGIC_AT].store(0x1234, Ordering::Relaxed);
    assert_eq!(Link::open_or_format(words, &SIZES, 0).unwrap_err(), LayoutError::NotFormatted);
    assert!(matches!(Link::format(&words[1..], &SIZES, 0).unwrap_err(), LayoutError::Short { .. }));
    assert_eq!(Link::open(&words[..5]).unwrap_err(), LayoutError::NotFormatted);
}

#[test]
fn a_formatter_that_died_leaves_memory_that_the_next_one_formats() {
    let words = words();
    for word in &words[1..] {
        word.store(u64::MAX, Ordering::Relaxed);
    }
    let link = Link::open_or_format(words, &SIZES, 0).unwrap();
    assert_eq!(link.calls_pending(), 0);
    assert_eq!(link.dataplane_epoch(), 0);
    assert!(link.worker_side(1).unwrap().down.receive().is_none());
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    for sizes in [
        Sizes { workers: 0, ..SIZES },
        Sizes { workers: 65, ..SIZES },
        Sizes { calls_per_worker: 0, ..SIZES },
        Sizes { calls_per_worker: u32::MAX, ..SIZES },
        Sizes { ring_slots: 0, ..SIZES },
        Sizes { ring_slots: 3, ..SIZES },
        Sizes { ring_slots: 1 << 31, ..SIZES },
    ] {
        assert!(Link::format(leak(1), &sizes, 0).is_err(), "{sizes}");
    }
}

#[test]
fn a_worker_that_is_not_there_is_refused() {
    let link = link();
    assert_eq!(link.worker_side(2).unwrap_err(), LayoutError::NoWorker(2));
    assert_eq!(link.control_side(u32::MAX).unwrap_err(), LayoutError::NoWorker(u32::MAX));
    assert_eq!(link.worker_beat_us(2), 0);
}

#[test]
fn a_struct_that_changes_its_size_changes_the_layout_number() {
    // When this fails, raise LAYOUT by one and write the new sizes here.
    let messages = [
        size_of::<ask::Admit>(),
        size_of::<ask::Answered>(),
        size_of::<ask::Abandon>(),
        size_of::<ask::Reroute>(),
        size_of::<ask::Extend>(),
        size_of::<ask::Register>(),
        size_of::<Ended>(),
        size_of::<answer::Route>(),
        size_of::<answer::Refuse>(),
        size_of::<answer::Committed>(),
        size_of::<answer::Rerouted>(),
        size_of::<answer::Extended>(),
        size_of::<order::HangUp>(),
        size_of::<order::Parameters>(),
        size_of::<order::Drain>(),
        size_of::<order::ShutOut>(),
    ];
    assert_eq!(
        (LAYOUT, messages),
        (22, [1_176, 16, 16, 16, 16, 3_992, 8, 4_904, 20, 8, 16, 16, 12, 488, 4, 104])
    );
    assert_eq!((size_of::<CallRecord>(), table::CALL_BYTES), (1_080, 4_512));
    assert_eq!(SIZES.bytes_needed(), 151_680);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_header_of_anything_is_opened_safely_or_refused(
        header in proptest::collection::vec(prop_oneof![any::<u64>(), 0_u64..5], 8),
    ) {
        let words = words();
        Link::format(words, &SIZES, 0).unwrap();
        for (word, value) in words[1..].iter().zip(header) {
            word.store(value, Ordering::Relaxed);
        }
        if let Ok(link) = Link::open(words) {
            let _ = (link.node(), link.calls_pending());
            for worker in 0..link.sizes().workers {
                let _ = (link.worker_side(worker), link.control_side(worker));
            }
        }
    }
}
