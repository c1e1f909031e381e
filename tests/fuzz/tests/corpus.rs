//! The kept corpus keeps its promises, the seeds come far, and chance finds nothing in a short while.

use b2bua::Counter;
use fuzz::{BODIES, brain, mutate};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Runs of each body by chance.
const RUNS: usize = 3_000;

#[test]
fn what_was_found_once_is_never_found_again() {
    for body in BODIES {
        for bytes in fuzz::corpus(body) {
            (body.run)(&bytes);
        }
    }
}

#[test]
fn chance_breaks_no_promise_in_a_short_while() {
    let mut random = SmallRng::seed_from_u64(7);
    for body in BODIES {
        let corpus = fuzz::corpus(body);
        for _ in 0..RUNS {
            let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
            let other = &corpus[random.random_range(0..corpus.len())];
            mutate::mutate(&mut random, &mut bytes, other, 2_048);
            (body.run)(&bytes);
        }
    }
}

#[test]
fn the_plays_that_a_search_begins_with_come_far() {
    let mut reached = [0; Counter::COUNT];
    for seed in brain::seeds() {
        for (sum, count) in reached.iter_mut().zip(brain::play(&seed)) {
            *sum += count;
        }
    }
    for counter in [Counter::CallsAdmitted, Counter::CallsAnswered, Counter::CallsEnded] {
        assert!(reached[counter as usize] > 0, "{}", counter.name());
    }
}
