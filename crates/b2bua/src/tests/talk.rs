//! For how long a call may talk, when control grants it slice by slice.

use link::Answer;
use link::answer::Extended;
use link::ask::{Ask, Extend};
use link::record::{CallKey, EndReason, EndedBy};

use super::World;
use crate::Counter;

/// A call that talks: 30 s are granted, at 15 it asks for more.
fn talking(grace_s: u32) -> (World, CallKey) {
    let mut world = World::new();
    world.set(|parameters| parameters.rtp_timeout_s = 0);
    let key = world.talking_with(|route| {
        (route.granted_s, route.extend_at_s, route.grace_s) = (30, 15, grace_s);
    });
    (world, key)
}

fn asked(world: &mut World) -> Vec<Extend> {
    let asks = std::mem::take(&mut world.asks);
    let asks = asks.into_iter().map(|ask| match ask {
        Ask::Extend(extend) => extend,
        other => panic!("{other:?}"),
    });
    asks.collect()
}

fn extended(world: &mut World, call: CallKey, granted_s: u32, extend_at_s: u32) {
    world.answer(Answer::Extended(Extended { call, granted_s, extend_at_s }));
}

#[test]
fn at_half_of_a_slice_a_call_asks_for_the_next_and_talks_on() {
    let (mut world, call) = talking(0);
    world.wait_ms(14_999);
    assert_eq!(asked(&mut world), []);
    world.wait_ms(1);
    assert_eq!(asked(&mut world), [Extend { call, granted_s: 30, talked_s: 15 }]);
    extended(&mut world, call, 60, 45);
    world.wait_ms(29_999);
    world.is_quiet();
    assert_eq!(asked(&mut world), []);
    world.wait_ms(1);
    assert_eq!(asked(&mut world), [Extend { call, granted_s: 60, talked_s: 45 }]);
    // The longest call ends there.
    extended(&mut world, call, 70, 0);
    world.wait_ms(25_000);
    assert_eq!(asked(&mut world), []);
    let record = world.ended_by(call, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!((record.ended_ms - record.answered_ms, record.granted_s), (70_000, 70));
    world.settles();
}

#[test]
fn a_call_ends_to_the_second_where_the_balance_does() {
    let (mut world, call) = talking(1_000);
    world.wait_ms(15_000);
    assert_eq!(asked(&mut world).len(), 1);
    extended(&mut world, call, 37, 37);
    world.wait_ms(21_999);
    assert_eq!(asked(&mut world), []);
    world.is_quiet();
    world.wait_ms(1);
    let record = world.ended_by(call, EndedBy::Server, EndReason::NoBalance);
    assert_eq!(record.ended_ms - record.answered_ms, 37_000);
    world.settles();
}

#[test]
fn control_that_does_not_answer_is_asked_again_each_second() {
    let (mut world, call) = talking(0);
    world.wait_ms(17_500);
    let talked: Vec<u32> = asked(&mut world).iter().map(|ask| ask.talked_s).collect();
    assert_eq!(talked, [15, 16, 17]);
    world.switch.set_control_alive(false);
    world.wait_ms(5_000);
    assert_eq!(asked(&mut world), [], "nobody is there");
    world.switch.set_control_alive(true);
    world.wait_ms(1_000);
    assert_eq!(asked(&mut world).len(), 1);
    extended(&mut world, call, 60, 45);
    // What answers the first of them says no more, and what says less is too late.
    extended(&mut world, call, 60, 45);
    extended(&mut world, call, 30, 30);
    assert_eq!(world.count(Counter::AnswersLate), 1);
    world.wait_ms(20_000);
    world.is_quiet();
}

#[test]
fn without_control_a_call_ends_with_what_was_granted() {
    let (mut world, call) = talking(0);
    world.switch.set_control_alive(false);
    world.wait_ms(30_000);
    let record = world.ended_by(call, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.ended_ms - record.answered_ms, 30_000);
    world.settles();
}

#[test]
fn without_control_a_call_with_a_grace_talks_on_until_that_is_over() {
    let (mut world, call) = talking(20);
    world.switch.set_control_alive(false);
    world.wait_ms(49_999);
    world.is_quiet();
    world.wait_ms(1);
    let record = world.ended_by(call, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.ended_ms - record.answered_ms, 50_000);
    world.settles();
}

#[test]
fn control_that_comes_back_within_the_grace_says_how_long() {
    for (granted_s, extend_at_s, until_ms) in [(75, 60, 75_000), (40, 40, 40_000)] {
        let (mut world, call) = talking(1_000);
        world.switch.set_control_alive(false);
        world.wait_ms(39_500);
        world.switch.set_control_alive(true);
        world.wait_ms(500);
        assert_eq!(asked(&mut world), [Extend { call, granted_s: 30, talked_s: 40 }]);
        extended(&mut world, call, granted_s, extend_at_s);
        world.wait_ms(until_ms - 40_000);
        let reason = if granted_s == 40 { EndReason::NoBalance } else { EndReason::DurationLimit };
        if granted_s == 75 {
            // Nobody answers its next question, and the grace begins anew.
            world.is_quiet();
            world.wait_ms(1_000_000);
        }
        let record = world.ended_by(call, EndedBy::Server, reason);
        let talked_ms = record.ended_ms - record.answered_ms;
        assert_eq!(talked_ms, if granted_s == 40 { 40_000 } else { 1_075_000 });
    }
}

#[test]
fn a_call_goes_on_asking_after_a_restart() {
    let (mut world, call) = talking(0);
    world.wait_ms(10_000);
    world.restart();
    world.asks.clear();
    world.wait_ms(5_000);
    assert_eq!(asked(&mut world), [Extend { call, granted_s: 30, talked_s: 15 }]);
    extended(&mut world, call, 60, 45);
    world.restart();
    world.wait_ms(29_000);
    world.is_quiet();
    world.asks.clear();
    world.wait_ms(16_000);
    let record = world.ended_by(call, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.granted_s, 60);
    world.settles();
}

#[test]
fn an_answer_for_a_call_that_is_over_or_does_not_talk_is_counted() {
    let mut world = World::new();
    let (ringing, _) = world.call_begins(&[0]);
    extended(&mut world, ringing, 60, 30);
    let (mut other, call) = talking(0);
    other.wait_ms(30_000);
    other.asks.clear();
    extended(&mut other, call, 60, 45);
    assert_eq!((world.count(Counter::AnswersLate), other.count(Counter::AnswersLate)), (1, 1));
}
