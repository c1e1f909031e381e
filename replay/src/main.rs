//! `tollgate-replay`: sends a captured call, or thousands made of it, and reports what came back.
//!
//! `crates/capture` decides what every frame is and when it is due; this program reads the file, opens the way
//! out (`sender/`), keeps the pace (`pace.rs`), listens (`listen.rs`) and says what it came to (`report.rs`).

#![forbid(unsafe_code)]

mod args;
mod caution;
mod clock;
mod export;
mod listen;
mod pace;
mod report;
mod sender;
mod stamps;

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use capture::{Capture, Clones, Options, Rule, Schedule, Starts};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::signal::{SigSet, Signal};

use args::Args;
use listen::{Listener, Post};
use pace::{Bounds, Shared};
use sender::Play;
use stamps::Stamps;

/// What went wrong, in words for whoever asked.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// A capture of more is refused: it is read whole.
const FILE_BYTES_MAX: u64 = 8 << 30;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Parser)]
#[command(name = "tollgate-replay", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// What was asked makes no sense.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("tollgate replay: {failure}");
            if failure.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether it came to what was wanted.
fn run(cli: &Cli) -> Result<bool, Failure> {
    let args = &cli.args;
    let play = Arc::new(read(args)?);
    let slots = play.clones.slots();
    let speed = if args.flat_out { 1.0 } else { args.speed };
    let starts = Starts { per_second: args.per_second.unwrap_or(0.0), seed: args.seed };
    let schedule = Schedule::new(&play.capture.times(), slots, args.rounds, speed, starts);
    if let Some(file) = &args.write {
        return export::write(file, args, &play, schedule).map(|()| true);
    }
    let interface = args.to.as_deref().ok_or_else(|| Usage("--to which interface?".to_owned()))?;
    caution(interface, args.into_production)?;
    // All UDP that comes in by it is the listener's.
    if let Some(listen) = args.listen.as_deref().filter(|_| args.listen_in.is_none()) {
        caution(listen, args.into_production)?;
    }
    // Every thread that begins from here on leaves these to the one that waits for them.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block()?;
    let shared = Arc::new(Shared::default());
    let stopped = Arc::clone(&shared);
    std::thread::spawn(move || {
        if signals.wait().is_ok() {
            stopped.stop.store(true, Ordering::Relaxed);
        }
    });
    let mut notes = Vec::new();
    let way = sender::open(args.by, interface, args.queue, args.flat_out, &play, &mut notes)?;
    if args.listen.is_some() && matches!(way, sender::Way::Live(_)) {
        notes.push("live frames leave in long stretches, so that delays are not told".to_owned());
    }
    let streams = play.capture.streams().len();
    let stamps = args.listen.as_ref().map(|_| Arc::new(Stamps::new(slots as usize * streams)));
    let listener = match &args.listen {
        None => None,
        Some(interface) => {
            let post = Post {
                interface: interface.clone(),
                namespace: args.listen_in.clone(),
                queue: args.queue,
            };
            Some(Listener::begin(post, Arc::clone(&play), stamps.clone())?)
        }
    };
    let bounds = Bounds { frames: args.count, time: Duration::from_secs(args.seconds) };
    let bar = bar(schedule.total().map(|total| total.min(args.count)));
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            if let Some(core) = args.core {
                pin(core)?;
            }
            let sent =
                pace::send(way, &play, schedule, args.flat_out, bounds, stamps.as_deref(), &shared);
            shared.over.store(true, Ordering::Relaxed);
            sent
        });
        while !sending.is_finished() {
            std::thread::sleep(LOOK.min(Duration::from_millis(if bar.is_hidden() {
                5
            } else {
                100
            })));
            bar.set_position(shared.sent.load(Ordering::Relaxed));
        }
        sending.join().map_err(|_| Failure::from("the sender died"))?
    });
    bar.finish_and_clear();
    let sent = sent?;
    let heard = match listener {
        None => None,
        Some(listener) => {
            std::thread::sleep(Duration::from_millis(args.drain));
            Some(listener.end()?)
        }
    };
    let report = report::Report {
        counts: play.capture.counts(),
        streams: play.capture.streams(),
        sent: &sent,
        heard: heard.as_ref(),
        notes: &notes,
    };
    print(&report, cli.output)?;
    let loss = report.loss_percent().unwrap_or(0.0);
    let too_much = args.max_loss.is_some_and(|most| loss > most);
    if too_much {
        eprintln!(
            "tollgate replay: {loss:.3} % of the RTP packets were lost, more than --max-loss"
        );
    }
    Ok(!too_much)
}

fn print(report: &report::Report<'_>, output: Output) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match output {
        Output::Table => out.write_all(report.table().as_bytes())?,
        Output::Json => writeln!(out, "{}", report.json())?,
    }
    Ok(out.flush()?)
}

/// Reads the capture, and says how the calls differ.
fn read(args: &Args) -> Result<Play, Failure> {
    let usage = |text: String| Failure::from(Usage(text));
    let rules: Vec<Rule> = args
        .map
        .iter()
        .map(|text| text.parse().map_err(|fault| usage(format!("--map {text}: {fault}"))))
        .collect::<Result<_, Failure>>()?;
    let mac = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => mac(text)
            .map(Some)
            .ok_or_else(|| usage(format!("{text} is no Ethernet address: 02:00:00:00:00:01"))),
    };
    let options = Options {
        rules: rules.into(),
        source_mac: mac(&args.source_mac)?,
        destination_mac: mac(&args.destination_mac)?,
        untag: args.untag,
        mend_checksums: args.mend_checksums,
        until_fault: args.until_fault,
    };
    let shown = args.file.display();
    let error = |error: std::io::Error| Failure::from(format!("{shown}: {error}"));
    let bytes = std::fs::metadata(&args.file).map_err(error)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(
            format!("{shown}: more than {FILE_BYTES_MAX} bytes; split it (editcap -c)").into()
        );
    }
    let file = std::fs::read(&args.file).map_err(error)?;
    let capture = Capture::read(&file, &options).map_err(|fault| format!("{shown}: {fault}"))?;
    let clones = match args.calls {
        None => Clones::verbatim(),
        Some(calls) => Clones::new(
            calls,
            capture.streams().len() as u32,
            capture.hosts(),
            &args.keep,
            capture.media(),
            args.keep_sources,
        )
        .map_err(|fault| usage(format!("--calls {calls}: {fault}")))?,
    };
    for host in &args.keep {
        if !capture.hosts().contains(host) {
            return Err(usage(format!(
                "--keep {host}: the capture has no such host, behind --map"
            )));
        }
    }
    Ok(Play { capture, clones })
}

fn caution(interface: &str, meant: bool) -> Result<(), Failure> {
    match caution::check(interface, meant) {
        Ok(()) => Ok(()),
        Err(caution::Refusal::Missing) => {
            Err(format!("no interface {interface} in this network namespace: see `ip link`").into())
        }
        Err(caution::Refusal::Production) => Err(format!(
            "{interface} leads out of this machine, and whoever is there gets all of it: use a network namespace of \
             its own, or say --into-production"
        )
        .into()),
    }
}

fn pin(core: u32) -> Result<(), Failure> {
    let mut set = nix::sched::CpuSet::new();
    set.set(core as usize)
        .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|errno| format!("--core {core}: {errno}").into())
}

/// On a terminal only; without a known end it shows how much went out.
fn bar(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let form = match total {
        Some(_) => "{bar:40} {percent} %  {human_pos} of {human_len} frames  {per_sec}  {eta} left",
        None => "{spinner} {human_pos} frames  {per_sec}  {elapsed}",
    };
    let bar = ProgressBar::with_draw_target(total, target);
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// `02:00:00:00:00:01`.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_ethernet_address_has_six_bytes() {
        assert_eq!(mac("02:00:00:00:00:fF"), Some([2, 0, 0, 0, 0, 0xff]));
        for text in
            ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:1ff", "+2:0:0:0:0:0:"]
        {
            assert_eq!(mac(text), None, "{text}");
        }
    }
}
