//! Dropped frames per CPU second: the guard beside a bare drop, nftables, iptables with ipset, xdp-filter.
//!
//! All drop the same frames of the same generator in the same run, by turns: from a million denied sources,
//! shuffled. What counts is the CPU time of the thread that receives (`benches::receiver`); the generator has
//! the other core, and whatever the receiver has no room for is lost before it costs that thread anything.

mod rivals;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use benches::measure::{grouped, quartiles};
use benches::phones;
use benches::world::{Failure, enter, frame, pin};
use nix::mount::{MsFlags, mount};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use xdp_prog::{Flood, Floor};

use rivals::{Kind, Rival};

const ROUNDS: usize = 11;
/// How long the generator offers what it can.
const ROUND: Duration = Duration::from_millis(200);
/// Frames of one system call of the generator.
const BURST: u32 = 16_384;
const DENIED: usize = 1_000_000;
/// What xdp-filter's table holds.
const FEW: usize = 10_000;
/// Until the receiver has emptied its ring.
const SETTLE: Duration = Duration::from_millis(30);
/// Offset of the UDP checksum, which a flood leaves out.
const UDP_CHECKSUM: usize = 40;

const OPTIONS: &str = "OPTIONS sip:100@198.51.100.2 SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-8fa2;rport\r\nMax-Forwards: 70\r\n\
From: <sip:100@192.0.2.77>;tag=41\r\nTo: <sip:100@198.51.100.2>\r\nCall-ID: 5d1f@192.0.2.77\r\n\
CSeq: 1 OPTIONS\r\nContact: <sip:100@192.0.2.77:5060>\r\nAccept: application/sdp\r\n";

/// One line of the table.
struct Row {
    rival: Rival,
    flood: Flood,
    /// Dropped per CPU second of the receiver, by round.
    rates: Vec<f64>,
    /// Part of the frames that it took.
    took: Vec<f64>,
    taken: u64,
}

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    // xdp-filter has its pins there and nowhere else; these go with this program.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None::<&str>)?;
    let sources = sources();
    let kinds = [
        ("Tollgate's guard", Kind::Guard, DENIED),
        ("a bare `XDP_DROP`", Kind::Bare(Floor::Nothing), DENIED),
        ("one that has read the source", Kind::Bare(Floor::Source), DENIED),
        ("and counted it in one line of 16 MB", Kind::Bare(Floor::Line), DENIED),
        ("nftables, inet prerouting, priority raw", Kind::NftRaw, DENIED),
        ("nftables, netdev ingress", Kind::NftIngress, DENIED),
        ("iptables raw PREROUTING with ipset hash:ip", Kind::Ipset, DENIED),
        ("Tollgate's guard", Kind::Guard, FEW),
        ("xdp-filter", Kind::XdpFilter, FEW),
    ];
    let mut sites = Vec::new();
    for (number, (name, kind, denied)) in kinds.into_iter().enumerate() {
        let denied = sources.get(..denied).unwrap_or(&sources);
        match Rival::set_up(name, kind, number as u32, &pins, denied) {
            Ok(rival) => sites.push((number, rival)),
            // One that this kernel does not take is no reason to measure none.
            Err(error) => println!("NOT MEASURED: {name}: {error}"),
        }
    }
    for (name, payload) in [("OPTIONS, 442 bytes", options()), ("60 bytes", vec![b'x'; 18])] {
        sites = measure(name, &payload, sites, &sources)?;
    }
    Ok(())
}

/// A million addresses that somebody could have, in no order.
fn sources() -> Vec<Ipv4Addr> {
    let mut sources: Vec<Ipv4Addr> = (0..DENIED as u32 * 2)
        // An odd multiplier permutes the 2^32 addresses, so no two are the same.
        .map(|number| Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995))
        .filter(|source| matches!(source.octets()[0], 1..=126 | 128..=223))
        .take(DENIED)
        .collect();
    sources.shuffle(&mut SmallRng::seed_from_u64(7));
    sources
}

/// A whole OPTIONS in a frame of 442 bytes.
fn options() -> Vec<u8> {
    let end = "Content-Length: 0\r\n\r\n";
    let agent = 400 - OPTIONS.len() - end.len() - "User-Agent: \r\n".len();
    format!("{OPTIONS}User-Agent: {}\r\n{end}", "a".repeat(agent)).into_bytes()
}

type Sites = Vec<(usize, Rival)>;

fn measure(
    name: &str,
    payload: &[u8],
    sites: Sites,
    sources: &[Ipv4Addr],
) -> Result<Sites, Failure> {
    let stranger = "192.0.2.77:5060";
    let mut frame = frame(phones::socket(stranger), phones::socket(phones::NEAR), payload);
    frame.get_mut(UDP_CHECKSUM..UDP_CHECKSUM + 2).ok_or("no frame")?.fill(0);
    let mut rows = Vec::new();
    for (number, rival) in sites {
        let sources = sources.get(..rival.denied).unwrap_or(sources);
        let flood = Flood::open(&format!("tgbench{number}"), &frame, sources, &[])?;
        rows.push((number, Row { rival, flood, rates: Vec::new(), took: Vec::new(), taken: 0 }));
    }
    let before = rows.iter().map(|(_, row)| row.rival.survived()).collect::<Result<Vec<_>, _>>()?;
    for round in 0..=ROUNDS {
        for (_, row) in &mut rows {
            // The first round warms caches and page pools.
            row.round(round > 0)?;
        }
    }
    println!(
        "\n| {name}: what drops | denied | dropped per CPU second | quartiles | each | ours to it | took |"
    );
    println!("|---|---|---|---|---|---|---|");
    let ours = |denied| {
        let row = rows
            .iter()
            .find(|(_, row)| row.rival.kind == Kind::Guard && row.rival.denied == denied);
        row.map_or_else(Vec::new, |(_, row)| row.rates.clone())
    };
    let ours = [ours(DENIED), ours(FEW)];
    for ((_, row), before) in rows.iter_mut().zip(before) {
        row.print(&ours[usize::from(row.rival.denied == FEW)]);
        let survived = row.rival.survived()? - before;
        if survived * 1_000 > row.taken {
            println!("NOT ALL DROPPED: {}: {survived} of {} came past", row.rival.name, row.taken);
        }
    }
    Ok(rows.into_iter().map(|(number, row)| (number, row.rival)).collect())
}

impl Row {
    fn round(&mut self, counts: bool) -> Result<(), Failure> {
        let (busy, taken) = (self.rival.receiver.busy()?, self.rival.taken()?);
        let sent = std::thread::scope(|scope| {
            let generator = scope.spawn(|| -> Result<u64, Failure> {
                pin(0)?;
                let (begun, mut sent) = (Instant::now(), 0);
                while begun.elapsed() < ROUND {
                    self.flood.send(BURST)?;
                    sent += u64::from(BURST);
                }
                Ok(sent)
            });
            generator.join().map_err(|_| "the generator died")?
        })?;
        std::thread::sleep(SETTLE);
        let taken = self.rival.taken()? - taken;
        let busy = self.rival.receiver.busy()? - busy;
        self.taken += taken;
        if counts {
            self.rates.push(taken as f64 / busy.as_secs_f64());
            self.took.push(taken as f64 / sent as f64);
        }
        Ok(())
    }

    fn print(&mut self, ours: &[f64]) {
        let mut ratios: Vec<f64> =
            ours.iter().zip(&self.rates).map(|(our, its)| our / its).collect();
        let [_, ratio, _] = quartiles(&mut ratios);
        let [low, rate, high] = quartiles(&mut self.rates).map(|rate| rate / 1e6);
        let [_, took, _] = quartiles(&mut self.took);
        println!(
            "| {} | {} | {rate:.2} M | {low:.2} to {high:.2} M | {:.0} ns | {ratio:.2} | {:.0} % |",
            self.rival.name,
            grouped(self.rival.denied as u64),
            1e3 / rate,
            took * 100.0
        );
    }
}
