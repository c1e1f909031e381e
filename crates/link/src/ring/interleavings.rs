//! Every interleaving of a producer and a consumer. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p link --lib loom_`, best with an own target directory.

use loom::sync::Arc;
use loom::sync::Notify;
use loom::thread;

use super::*;

fn ring(slots: usize) -> (Producer, Consumer) {
    in_process(slots, 8).unwrap()
}

fn push(producer: &mut Producer, number: u8) -> Wake {
    loop {
        match producer.push(number.into(), &[number; 8]) {
            Ok(wake) => return wake,
            Err(Full) => thread::yield_now(),
        }
    }
}

fn pop(consumer: &mut Consumer) -> Option<u8> {
    let mut out = [0; 8];
    let (kind, length) = consumer.pop(&mut out)?;
    assert_eq!(length, 8);
    assert!(out.iter().all(|byte| u16::from(*byte) == kind), "a message is whole");
    Some(out[0])
}

#[test]
fn loom_messages_arrive_whole_in_order_and_once_each() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let writer = thread::spawn(move || {
            for number in 1..=3 {
                let _ = push(&mut producer, number);
            }
        });
        for number in 1..=3 {
            let arrived = loop {
                match pop(&mut consumer) {
                    Some(arrived) => break arrived,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(arrived, number);
        }
        assert_eq!(pop(&mut consumer), None);
        assert_eq!(consumer.faults(), 0);
        writer.join().unwrap();
    });
}

#[test]
fn loom_no_wake_up_is_lost() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let bell = Arc::new(Notify::new());
        let rope = Arc::clone(&bell);
        let writer = thread::spawn(move || {
            for number in 1..=2 {
                if push(&mut producer, number) == Wake::Needed {
                    rope.notify();
                }
            }
        });
        let mut arrived = 0;
        while arrived < 2 {
            match pop(&mut consumer) {
                Some(_) => arrived += 1,
                // A lost wake-up leaves this asleep for ever, which loom calls a deadlock.
                None if consumer.try_sleep() => {
                    bell.wait();
                    consumer.awake();
                }
                None => {}
            }
        }
        writer.join().unwrap();
    });
}
