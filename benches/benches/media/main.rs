//! Relayed RTP: the settled and the careful path beside a bare bounce and rtpengine in user space.
//!
//! All relay in the same run, by turns, each on a cable of its own: a packet comes in by it and leaves by it. The
//! generator has a core, whoever relays has the other: the thread that receives, and of user space its own threads
//! as well.
//!
//! First packets per CPU second of that core; dropping what comes back is in it, the same for all. The bounce and the
//! settled path get more than they take: what the cable has no room for costs them nothing. Who relays in user space
//! would pay for what it loses; it gets as many as it relays with a hundredth of loss at most. Then delay, at a pace that
//! all of them keep up with: each packet carries when it was sent, and a mark, and is looked at when it is back.

mod rivals;
mod rtpengine;
mod worker;

use std::path::Path;
use std::time::{Duration, Instant};

use benches::measure::{quartiles, shown};
use benches::world::{Failure, enter, pin};
use nix::mount::{MsFlags, mount};
use rivals::{Kind, Rival, Sink};
use xdp_prog::Proven;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_000);
/// Packets of one system call of the generator at full speed; at a pace, those of so long.
const BURST: u32 = 65_536;
const CALLS_PER_SECOND: u64 = 4;
/// Until all that was sent has come back.
const SETTLE: Duration = Duration::from_millis(400);
/// Streams that are relayed beside rivals, and for the sake of flatness.
const STREAMS: u32 = 500;
const MANY_SETTLED: [u32; 3] = [100, 5_000, 20_000];
const MANY_CAREFUL: [u32; 4] = [100, 5_000, 20_000, 25_000];
/// A pace at which packets wait for each other rarely: that of the streams, fifty a second each.
const PACE: u64 = 50 * STREAMS as u64;
const PACE_MIN: u64 = 10_000;
const DELAY_ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None::<&str>)?;
    throughput(&pins)?;
    delays(&pins)
}

/// A rival, and what it did in each round.
struct Row {
    rival: Rival,
    /// Packets a second; `None`: as fast as it goes.
    pace: Option<u64>,
    rates: Vec<f64>,
    lost: Vec<f64>,
}

fn throughput(pins: &Path) -> Result<(), Failure> {
    let of = |kind, many: &[u32]| -> Vec<(Kind, u32)> {
        many.iter().map(|streams| (kind, *streams)).collect()
    };
    let mut wanted = of(Kind::Settled, &[STREAMS]);
    wanted.extend(of(Kind::Bounce, &[STREAMS]));
    wanted.extend(of(Kind::Careful, &[STREAMS]));
    wanted.extend(of(Kind::Rtpengine, &[STREAMS]));
    wanted.extend(of(Kind::Settled, &MANY_SETTLED));
    wanted.extend(of(Kind::Careful, &MANY_CAREFUL));
    let mut rows = set_up(&wanted, false, pins)?;
    for row in &mut rows {
        row.find_pace()?;
    }
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let (rate, lost) = row.measure()?;
            // The first round warms caches and page pools.
            if round > 0 {
                row.rates.push(rate);
                row.lost.push(lost);
            }
        }
    }
    let rates = |kind| {
        let row = rows.iter().find(|row| row.rival.kind == kind && row.rival.streams == STREAMS);
        row.map_or_else(Vec::new, |row| row.rates.clone())
    };
    let (settled, careful) = (rates(Kind::Settled), rates(Kind::Careful));
    println!(
        "| relays | streams | per CPU second | quartiles | each | settled to it | careful to it | offered |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in &mut rows {
        row.print(&settled, &careful);
    }
    Ok(())
}

fn set_up(wanted: &[(Kind, u32)], proven: bool, pins: &Path) -> Result<Vec<Row>, Failure> {
    let (mut rows, first) = (Vec::new(), if proven { 100 } else { 0 });
    for (number, (kind, streams)) in (first..).zip(wanted) {
        match Rival::set_up(number, *kind, *streams, proven, pins) {
            Ok(rival) => {
                rows.push(Row { rival, pace: None, rates: Vec::new(), lost: Vec::new() });
            }
            // It comes with scripts/install bench.
            Err(error) if *kind == Kind::Rtpengine => println!("NOT MEASURED: rtpengine: {error}"),
            Err(error) => return Err(format!("{}, {streams} streams: {error}", kind.name()).into()),
        }
    }
    Ok(rows)
}

impl Row {
    /// The highest pace at which a hundredth is lost at most in one of two tries: rather too much for it than too little.
    fn find_pace(&mut self) -> Result<(), Failure> {
        if !self.rival.kind.is_paced() {
            return Ok(());
        }
        let (mut good, mut bad) = (PACE_MIN, 800_000);
        while bad - good > good / 16 + 2_000 {
            let tried = u64::midpoint(good, bad);
            self.set_pace(tried)?;
            // A neighbour of this machine may take the core for a moment: the better of two.
            let lost = self.measure()?.1.min(self.measure()?.1);
            if lost <= 0.01 { good = tried } else { bad = tried }
        }
        self.set_pace(good)
    }

    /// Packets that came back per CPU second, and the part of those sent that did not.
    fn measure(&self) -> Result<(f64, f64), Failure> {
        let (busy, before) = (self.rival.busy()?, self.rival.back()?);
        let sent = self.send()?;
        let back = (self.rival.back()? - before) as f64;
        let busy = (self.rival.busy()? - busy).as_secs_f64();
        Ok((back / busy, 1.0 - back / sent.max(1) as f64))
    }

    /// For one round, and until all is back. How many packets were sent.
    fn send(&self) -> Result<u64, Failure> {
        let sent = std::thread::scope(|scope| {
            let generator = scope.spawn(|| {
                pin(0)?;
                self.generate()
            });
            generator.join().map_err(|_| "the generator died")?
        })?;
        std::thread::sleep(SETTLE);
        Ok(sent)
    }

    fn generate(&self) -> Result<u64, Failure> {
        let (begun, mut sent) = (Instant::now(), 0);
        let burst = self.pace.map_or(BURST, |pace| (pace / CALLS_PER_SECOND) as u32);
        while begun.elapsed() < ROUND - ROUND / 8 {
            self.rival.generator.send(burst)?;
            sent += u64::from(burst);
        }
        Ok(sent)
    }

    fn set_pace(&mut self, pace: u64) -> Result<(), Failure> {
        self.pace = Some(pace);
        Ok(self.rival.generator.set_pace(self.pace)?)
    }

    fn print(&mut self, settled: &[f64], careful: &[f64]) {
        let ratio = |ours: &[f64]| {
            let mut ratios: Vec<f64> =
                ours.iter().zip(&self.rates).map(|(our, its)| our / its).collect();
            quartiles(&mut ratios)[1]
        };
        let (settled, careful) = (ratio(settled), ratio(careful));
        let [low, rate, high] = quartiles(&mut self.rates).map(|rate| rate / 1e6);
        let [_, _, lost] = quartiles(&mut self.lost);
        let offered = self.pace.map_or_else(
            || "more than it takes".to_owned(),
            |pace| format!("{} k/s, {:.2} % lost", pace / 1_000, lost * 100.0),
        );
        println!(
            "| {} | {} | {rate:.2} M | {low:.2} to {high:.2} M | {:.0} ns | {settled:.2} | {careful:.2} | {offered} |",
            self.rival.kind.name(),
            self.rival.streams,
            1e3 / rate
        );
    }
}

fn delays(pins: &Path) -> Result<(), Failure> {
    let kinds = [Kind::Bounce, Kind::Settled, Kind::Careful, Kind::Rtpengine];
    let mut rows = set_up(&kinds.map(|kind| (kind, STREAMS)), true, pins)?;
    let mut rounds: Vec<Vec<(u64, Proven)>> = vec![Vec::new(); rows.len()];
    for row in &mut rows {
        row.set_pace(PACE)?;
    }
    for round in 0..=DELAY_ROUNDS {
        for (row, rounds) in rows.iter().zip(&mut rounds) {
            let Sink::Proven(proof) = &row.rival.sink else { continue };
            let before = proof.read()?;
            let sent = row.send()?;
            if round > 0 {
                rounds.push((sent, proof.read()?.since(&before)));
            }
        }
    }
    println!("\n| relays {PACE} packets/s | p50 | p99 | p99.9 | sent | whole | lost | damaged |");
    println!("|---|---|---|---|---|---|---|---|");
    for (row, rounds) in rows.iter().zip(&rounds) {
        let median = |part: f64| {
            let mut delays: Vec<f64> =
                rounds.iter().map(|(_, proven)| proven.delay(part).as_nanos() as f64).collect();
            shown(quartiles(&mut delays)[1])
        };
        let sum =
            |one: fn(&Proven) -> u64| -> u64 { rounds.iter().map(|(_, proven)| one(proven)).sum() };
        let (whole, damaged) = (sum(|proven| proven.packets), sum(|proven| proven.damaged));
        let sent: u64 = rounds.iter().map(|(sent, _)| sent).sum();
        println!(
            "| {} | {} | {} | {} | {sent} | {whole} | {} | {damaged} |",
            row.rival.kind.name(),
            median(0.5),
            median(0.99),
            median(0.999),
            sent.saturating_sub(whole + damaged)
        );
    }
    Ok(())
}
