//! Frames put on a cable per CPU second: `tollgate replay` beside a bare generator and tcpreplay, on one file.
//!
//! The file is a thousand calls made of one captured call, written by `tollgate replay` itself. All send into the
//! same veth, by turns, from core 0; its far end drops and counts. There are two: of one the far end has a thread
//! on core 1, so that sending alone is priced, and what that thread has no room for is lost; of the other the far end
//! is the sender's to pay, as veth has it by itself, and everything arrives. A rival's price is the
//! CPU time of its process; of ours there is also that of the sending thread alone, beside the bare generator's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use benches::measure::{grouped, quartiles, thread_time};
use benches::receiver::Receiver;
use benches::world::{Failure, Far, enter, pin};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use std::net::Ipv4Addr;
use xdp_prog::{Flood, Sink};

const ROUNDS: usize = 3;
/// How long each rival sends in a round.
const SECONDS: u64 = 2;
/// Frames of one system call of the bare generator: as many as a replay's.
const BURST: u32 = 1 << 20;
const CALLS: &str = "1000";
/// A captured call that nobody here made: 713 packets of G.711, 20 ms apart.
const CAPTURE: &str = "corpus/pcap/freeswitch/milliwatt.long.pcmu.rtp.pcap";
/// The near end of the cable whose far end has a thread, and of the other.
const NEAR: [&str; 2] = ["tgbench0", "tgbench1"];
/// Bytes of one of its frames.
const FRAME_BYTES: usize = 214;

fn main() -> Result<(), Failure> {
    if enter()?.is_none() {
        return Ok(());
    }
    let Some(capture) = corpus() else {
        println!("SKIPPED: no {CAPTURE} beside the work tree");
        return Ok(());
    };
    let far = Far::make()?;
    let receiver = Receiver::at_the_end_of(&far, 0)?;
    let sink = far.inside(|| Ok(Sink::attach(receiver.device())?))?;
    far.cable(1)?;
    let plain = far.inside(|| Ok(Sink::attach("tgfar1")?))?;
    let replay = program()?;
    let file = std::env::temp_dir().join(format!("tollgate-replay-{}.pcap", std::process::id()));
    let mix = Command::new(&replay)
        .arg(&capture)
        .args(["--calls", CALLS, "--per-second", "200", "--write"])
        .arg(&file)
        .output()?;
    said(&mix)?;
    println!("The far end on the other core:\n");
    let done = side_by_side(&replay, &capture, &file, (NEAR[0], &sink)).and_then(|()| {
        println!("\nThe far end on the sender's core:\n");
        side_by_side(&replay, &capture, &file, (NEAR[1], &plain))?;
        paces(&replay, &capture)
    });
    std::fs::remove_file(&file)?;
    done
}

/// The capture, in the folder beside this work tree or above it.
fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = here.ancestors().map(|place| place.join("shared").join(CAPTURE));
    let given = std::env::var_os("TOLLGATE_SHARED").map(|place| Path::new(&place).join(CAPTURE));
    given.into_iter().chain(places).find(|place| place.exists())
}

/// `tollgate-replay` of the same build.
fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).ok_or("no build folder")?;
    let program = folder.join("tollgate-replay");
    if program.exists() {
        return Ok(program);
    }
    Err("build it first: cargo build --release --package replay".into())
}

fn said(output: &Output) -> Result<String, Failure> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    Err(String::from_utf8_lossy(&text).into_owned().into())
}

/// What a rival sent, and at which price.
struct Round {
    frames: f64,
    /// CPU seconds of its process; of a generator within this one, of its thread.
    whole: f64,
    /// Of the sending alone, where that is known.
    sending: f64,
    arrived: f64,
}

enum Rival {
    Bare(Flood),
    Ours(Vec<String>),
    Tcpreplay(Vec<String>),
}

struct Row {
    name: &'static str,
    rival: Rival,
    rounds: Vec<Round>,
}

fn side_by_side(
    replay: &Path,
    capture: &Path,
    file: &Path,
    (near, sink): (&str, &Sink),
) -> Result<(), Failure> {
    let words = |file: &Path, words: &str| {
        let mut all = vec![file.display().to_string()];
        all.extend(words.split_whitespace().map(str::to_owned));
        all
    };
    let seconds = format!("--seconds {SECONDS} --loop 0 --to {near} --output json");
    let ours = |file: &Path, more: &str| Rival::Ours(words(file, &format!("{seconds} {more}")));
    let tcpreplay = |more: &str| {
        let mut all: Vec<String> = more.split_whitespace().map(str::to_owned).collect();
        all.extend(["-i".to_owned(), near.to_owned(), file.display().to_string()]);
        Rival::Tcpreplay(all)
    };
    let mut frame = vec![0_u8; FRAME_BYTES];
    let first = std::fs::read(file)?;
    frame.copy_from_slice(first.get(40..40 + FRAME_BYTES).ok_or("an empty file")?);
    let sources: Vec<Ipv4Addr> =
        (0..1_000).map(|last| Ipv4Addr::from(0x0a00_0000 + last)).collect();
    let live = "--flat-out --by live --core 0";
    let mut rows = vec![
        ("bare live-frame generator", Rival::Bare(Flood::open(near, &frame, &sources, &[])?)),
        ("`tollgate replay` of the file", ours(file, live)),
        (
            "`tollgate replay --calls 1000` of the one call",
            ours(capture, &format!("{live} --calls {CALLS} --per-second 200")),
        ),
        ("`tollgate replay --by afxdp` of the file", ours(file, "--flat-out --by afxdp --core 0")),
        (
            "`tollgate replay --by packet` of the file",
            ours(file, "--flat-out --by packet --core 0"),
        ),
        ("tcpreplay `-K -t`", tcpreplay(&format!("-K -t --loop=1000000 --duration={SECONDS}"))),
    ]
    .into_iter()
    .map(|(name, rival)| Row { name, rival, rounds: Vec::new() })
    .collect::<Vec<_>>();
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let found = row.rival.round(replay, sink)?;
            // The first round warms caches and page pools.
            if round > 0 {
                row.rounds.push(found);
            }
        }
    }
    print(&rows);
    Ok(())
}

fn print(rows: &[Row]) {
    let rates = |row: &Row, price: fn(&Round) -> f64| -> Vec<f64> {
        row.rounds.iter().map(|round| round.frames / price(round) / 1e6).collect()
    };
    let ratio = |row: &Row, other: &Row, price: fn(&Round) -> f64| {
        let pairs = rates(row, price).into_iter().zip(rates(other, price));
        let [_, median, _] = quartiles(&mut pairs.map(|(its, of)| its / of).collect::<Vec<_>>());
        median
    };
    println!(
        "| who sends | per CPU second of its sending | quartiles | to the bare generator | of its process | to tcpreplay | arrived |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (Some(bare), Some(tcpreplay)) = (rows.first(), rows.last()) else { return };
    for row in rows {
        let [low, rate, high] = quartiles(&mut rates(row, |round| round.sending));
        let [_, whole, _] = quartiles(&mut rates(row, |round| round.whole));
        let arrived = row.rounds.iter().map(|round| round.arrived / round.frames);
        let [_, arrived, _] = quartiles(&mut arrived.collect::<Vec<_>>());
        println!(
            "| {} | {rate:.2} M | {low:.2} to {high:.2} M | {:.2} | {whole:.2} M | {:.2} | {:.1} % |",
            row.name,
            ratio(row, bare, |round| round.sending),
            ratio(row, tcpreplay, |round| round.whole),
            arrived * 100.0
        );
    }
    let sent: f64 = rows.iter().flat_map(|row| &row.rounds).map(|round| round.frames).sum();
    println!("\n{} frames in all, {ROUNDS} rounds of {SECONDS} s in turns.", grouped(sent as u64));
}

impl Rival {
    fn round(&self, replay: &Path, sink: &Sink) -> Result<Round, Failure> {
        let [before, _] = sink.counted()?;
        let (frames, whole, sending) = match self {
            Self::Bare(flood) => bare(flood)?,
            Self::Ours(words) => {
                let (text, whole) = child(Command::new(replay).args(words))?;
                let report: Value = serde_json::from_str(&text)?;
                let number = |path: &str| {
                    let found = report.pointer(path).and_then(Value::as_f64);
                    found.ok_or_else(|| format!("no {path}: {text}"))
                };
                (number("/sent/frames")?, whole, number("/sent/cpu_seconds")?)
            }
            Self::Tcpreplay(words) => {
                let mut command = Command::new("taskset");
                let (text, whole) = child(command.args(["-c", "0", "tcpreplay"]).args(words))?;
                let line =
                    text.lines().find_map(|line| line.trim().strip_prefix("Successful packets:"));
                let frames: f64 =
                    line.ok_or("tcpreplay does not say what it sent")?.trim().parse()?;
                (frames, whole, whole)
            }
        };
        // What is still in its ring.
        std::thread::sleep(Duration::from_millis(30));
        let [after, _] = sink.counted()?;
        Ok(Round { frames, whole, sending, arrived: (after - before) as f64 })
    }
}

fn bare(flood: &Flood) -> Result<(f64, f64, f64), Failure> {
    std::thread::scope(|scope| {
        let generator = scope.spawn(|| -> Result<(f64, f64, f64), Failure> {
            pin(0)?;
            let (begun, busy, mut sent) = (Instant::now(), thread_time()?, 0.0);
            while begun.elapsed() < Duration::from_secs(SECONDS) {
                flood.send(BURST)?;
                sent += f64::from(BURST);
            }
            let busy = (thread_time()? - busy).as_secs_f64();
            Ok((sent, busy, busy))
        });
        generator.join().map_err(|_| "the generator died")?
    })
}

/// What a process said, and the CPU seconds it took.
fn child(command: &mut Command) -> Result<(String, f64), Failure> {
    let usage = || -> Result<f64, Failure> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
    };
    let before = usage()?;
    let text = said(&command.output()?)?;
    Ok((text, usage()? - before))
}

/// How well the recorded pace is kept, of a hundred calls.
fn paces(replay: &Path, capture: &Path) -> Result<(), Failure> {
    println!("\n| pace | by | frames a second | late by p50 | p99 | p99.9 | at most |");
    println!("|---|---|---|---|---|---|---|");
    for by in ["afxdp", "packet"] {
        for speed in ["1", "10"] {
            let output = Command::new(replay)
                .arg(capture)
                .args(["--to", NEAR[1], "--by", by, "--speed", speed, "--core", "0"])
                .args(["--calls", "100", "--per-second", "100", "--seed", "7", "--loop", "0"])
                .args(["--seconds", "5", "--output", "json"])
                .output()?;
            let report: Value = serde_json::from_str(&said(&output)?)?;
            let number =
                |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
            let late = |name: &str| number(&format!("/pace_error/{name}"));
            println!(
                "| ×{speed} | {by} | {:.0} | {:.1} µs | {:.1} µs | {:.1} µs | {:.1} µs |",
                number("/sent/frames_per_second"),
                late("p50_us"),
                late("p99_us"),
                late("p999_us"),
                late("max_us")
            );
        }
    }
    Ok(())
}
