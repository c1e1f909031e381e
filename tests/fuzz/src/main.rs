//! `fuzz BODY|all SECONDS [SEED]`: a body by chance, from its seeds and its kept corpus.
//! `fuzz seeds BODY FOLDER`: its seeds as files, for a search that is guided.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::{BODIES, Body, corpus, mutate};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Longest input.
const BYTES_MAX: usize = 4_096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, name, folder] = &arguments[..]
        && verb == "seeds"
    {
        return write_seeds(name, folder);
    }
    let [name, seconds, rest @ ..] = &arguments[..] else { return usage() };
    let Ok(seconds) = seconds.parse() else { return usage() };
    let seed = rest.first().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let bodies = BODIES.iter().filter(|body| name == "all" || body.name == name);
    let mut any = false;
    for body in bodies {
        any = true;
        if !search(body, Duration::from_secs(seconds), seed) {
            return ExitCode::FAILURE;
        }
    }
    if any { ExitCode::SUCCESS } else { usage() }
}

fn write_seeds(name: &str, folder: &str) -> ExitCode {
    let Some(body) = fuzz::find(name) else { return usage() };
    for (number, seed) in (body.seeds)().into_iter().enumerate() {
        if let Err(error) = std::fs::write(Path::new(folder).join(format!("seed-{number}")), seed) {
            eprintln!("{folder}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let names: Vec<&str> = BODIES.iter().map(|body| body.name).collect();
    eprintln!("usage: fuzz {}|all SECONDS [SEED], or fuzz seeds BODY FOLDER", names.join("|"));
    ExitCode::from(2)
}

/// Whether nothing was broken.
fn search(body: &Body, time: Duration, seed: u64) -> bool {
    let mut random = SmallRng::seed_from_u64(seed);
    let corpus = corpus(body);
    let begun = Instant::now();
    let mut runs = 0_u64;
    while begun.elapsed() < time {
        for _ in 0..64 {
            let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
            let other = &corpus[random.random_range(0..corpus.len())];
            mutate::mutate(&mut random, &mut bytes, other, BYTES_MAX);
            let saved = bytes.clone();
            let broken = std::panic::catch_unwind(|| (body.run)(&bytes)).is_err();
            if broken {
                let file = std::env::temp_dir().join(format!("fuzz-{}-{seed}", body.name));
                let written = std::fs::write(&file, saved);
                eprintln!("{}: broken by {} ({written:?})", body.name, file.display());
                return false;
            }
            runs += 1;
        }
    }
    let rate = runs as f64 / begun.elapsed().as_secs_f64();
    println!("{}: {runs} runs, {rate:.0} a second, seed {seed}", body.name);
    true
}
