//! The driver's verdict over shuffled sources: denied, let in, and OPTIONS, by the length of the list.
//!
//! Each run of the program sees another source; what the measurement costs by itself is subtracted
//! (`xdp_prog::Pricer`). Nothing of it comes near a network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use benches::measure::{grouped, quartiles, shown};
use benches::world::{Failure, Far, enter, frame, plan};
use benches::{invite, phones};
use dataplane::nic::afxdp::AfXdp;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use xdp_prog::{Deny, Limits, Maps, Meter, Prefix, Pricer, Rate, attach};

/// Sources of one price, each seen once in a round.
const SOURCES: usize = 65_536;
const ROUNDS: usize = 101;

const OPTIONS: &[u8] = b"OPTIONS sip:198.51.100.2 SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK-8fa2\r\nMax-Forwards: 70\r\n\
From: <sip:ping@192.0.2.77>;tag=41\r\nTo: <sip:198.51.100.2>\r\nCall-ID: 5d1f@192.0.2.77\r\n\
CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// Lengths of the deny list.
const LENGTHS: [usize; 3] = [0, 1_000, 1_000_000];

/// Every limit is looked at and none is reached.
fn unmetered() -> Limits {
    let rates = [Rate::per_second(1_000_000, 1_000_000); Meter::ALL.len()];
    Limits {
        stranger: rates,
        network: rates,
        crowd: rates,
        flows: 14,
        network_flows: 30,
        ..Limits::default()
    }
}

/// One line of the table.
struct Row {
    length: usize,
    name: &'static str,
    pricer: Pricer,
    frame: Vec<u8>,
    times: Vec<f64>,
}

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    let far = Far::make()?;
    let own = phones::socket(phones::NEAR);
    let stranger = SocketAddr::from(([192, 0, 2, 77], 5060));
    let sip = frame(stranger, own, invite::bytes());
    let options = frame(stranger, own, OPTIONS);
    let mut random = SmallRng::seed_from_u64(7);
    let mut sources: Vec<IpAddr> = (0..1_000_000 + SOURCES as u32)
        // An odd multiplier permutes the 2^32 addresses, so no two are the same.
        .map(|number| IpAddr::V4(Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995)))
        .collect();
    sources.shuffle(&mut random);
    let (strangers, denied) = sources.split_at(SOURCES);

    // A guard with tables of its own for each length, so that all of them can take turns.
    let mut rows = Vec::new();
    let mut kept = Vec::new();
    for (number, length) in LENGTHS.into_iter().enumerate() {
        let names = [far.cable(number as u32)?];
        let plan = plan(&pins.with_file_name(format!("tgbench{number}")), &names, &[own]);
        let guard = attach(&plan)?;
        // Somewhere to go for what is let in.
        let nic = AfXdp::open(&names, 0, 512, 2_048, false)?;
        for socket in nic.sockets() {
            guard.set_socket(0, 0, socket)?;
        }
        kept.push(nic);
        let mut maps = Maps::open(&plan.pins)?;
        maps.set_limits(&unmetered())?;
        maps.admit()?;
        let denied = denied.get(..length).unwrap_or_default();
        let rule = |&source: &IpAddr| Deny { prefix: Prefix::host(source), not_after: None };
        maps.deny_replace_all(denied.iter().map(rule))?;
        let mut row = |name, sources: &[IpAddr], frame: &Vec<u8>| -> Result<(), Failure> {
            let (pricer, frame) = (Pricer::open(&plan, sources)?, frame.clone());
            rows.push(Row { length, name, pricer, frame, times: Vec::new() });
            Ok(())
        };
        row("INVITE, let in", strangers, &sip)?;
        row("OPTIONS, let in", strangers, &options)?;
        if !denied.is_empty() {
            let hit = |_| denied[random.random_range(0..length)];
            let hits: Vec<IpAddr> = (0..SOURCES).map(hit).collect();
            row("INVITE, denied", &hits, &sip)?;
        }
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let price = row.pricer.price(&row.frame, SOURCES as u32)?;
            row.times.push(price.judged.as_nanos() as f64 - price.empty.as_nanos() as f64);
        }
    }
    println!("| deny list | frame | median | quartiles |");
    println!("|---|---|---|---|");
    for Row { length, name, times, .. } in &mut rows {
        let [low, median, high] = quartiles(times).map(shown);
        println!("| {} | {name} | {median} | {low} to {high} |", grouped(*length as u64));
    }
    Ok(())
}
