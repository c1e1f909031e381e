//! Five thousand calls at their full rate through the whole appliance, each packet proven.
//!
//! Raises the lab, has calls set up by SIP with a customer and a vendor, and sends the audio of all of them from both
//! sides: fifty packets a second each, with a mark and the time in it. What comes out at the other side, and from which
//! port, is held against what went in. Prints what it found, and ends with 1 if more than one in a thousand was lost,
//! anything changed or went astray, the driver sent on less than nearly all of it, or the pace was not kept.
//! `carry [CALLS [SECONDS]]`.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::carrier::{BUSINESS, number};
use tests::lab::{BOX_CUSTOMER_SIDE, Error, Lab, Running};
use tests::load::framed;
use wire::datagram::Headers;
use xdp_prog::{Proof, Proven, Stream, Streams};

const CALLS: u64 = 5_000;
const SECONDS: u64 = 20;
/// Calls that are set up in a second.
const SETUPS: u64 = 100;
/// Packets of one stream in a second.
const PACKETS: u64 = 50;
/// The first packets prove where the far ends are; they need not come at once.
const SLOWLY: u64 = 50_000;
/// Of a thousand packets; one that is late is as good as lost.
const LOST_MAX: f64 = 1.0;
/// The part that the driver sends on, and the pace that is kept, at least.
const SETTLED_MIN: f64 = 0.99;
const PACE_MIN: f64 = 0.98;
/// The generator's core, and that of the driver's receive.
const CORES: [&str; 2] = ["0", "1"];
/// Where callers and vendors say which port is theirs.
const TOLD: [&str; 2] = ["/run/tollgate/callers.media", "/run/tollgate/vendors.media"];
/// The ends of the cables: theirs, ours.
const CABLES: [(&str, &str, &str); 2] = [("cust", "tgc0", "tgb0"), ("vend", "tgv0", "tgb1")];

fn main() -> ExitCode {
    match carry() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("carry: {error}");
            ExitCode::FAILURE
        }
    }
}

fn argument(place: usize, default: u64) -> Result<u64, Error> {
    Ok(std::env::args().nth(place).map_or(Ok(default), |text| text.parse())?)
}

fn carry() -> Result<bool, Error> {
    let (calls, seconds) = (argument(1, CALLS)?, argument(2, SECONDS)?);
    let Some(lab) = Lab::up(1, true)? else { return Ok(true) };
    begin(&lab, calls)?;
    let setup = calls / SETUPS;
    // Everything that has to fit while they talk: looking for them, warming up, and the measurement.
    let talk = seconds + 30;
    let [callers, vendors] = TOLD;
    let vendor =
        format!("answer --listen 10.10.2.1:5060 --seconds {} --media {vendors}", setup + talk + 30);
    let vendor = lab.start("vend", "phones", &vendor.split(' ').collect::<Vec<_>>())?;
    vendor.listens(([10, 10, 2, 1], 5060).into())?;
    let all = format!(
        "call --silent --from 10.10.1.1:5070 --to {BOX_CUSTOMER_SIDE} --calls {calls} --per-second {SETUPS} \
         --seconds {talk} --media {callers}"
    );
    let calling = lab.start("cust", "phones", &all.split_whitespace().collect::<Vec<_>>())?;
    println!("{calls} calls are set up, {SETUPS} a second");
    let sides = sides(&lab, calls, Duration::from_secs(setup + 20))?;
    let outcome = talk_all(&lab, &sides, seconds)?;
    let good = outcome.print(calls, seconds);
    Ok(ended(&lab, calling, calls)? && good)
}

/// The appliance with room for that many, a customer, a vendor, and a receive thread for each cable.
fn begin(lab: &Lab, calls: u64) -> Result<(), Error> {
    let (room, last_port) = (calls * 6 / 5, 10_001 + calls * 5);
    lab.configure(&format!(
        "last_port = {last_port}\n[limits]\ncalls = {room}\ntransactions = {}\nkept_messages = {}\n",
        room * 12,
        room * 6
    ))?;
    lab.script(&["start"])?;
    let gateways = [
        "gateway mapping create pbx --account acme --tariff retail --address 10.10.1.1",
        "gateway routing create london --account carrier --tariff wholesale --target 10.10.2.1:5060 --prefix 44",
    ];
    for command in BUSINESS.into_iter().chain(gateways) {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>())?;
    }
    for (_, _, own) in CABLES {
        // As a NIC does it: receiving is nobody else's work. Before, it happens in the sender's own.
        let threaded =
            format!("mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{own}/threaded");
        lab.run("box", "unshare", &["--mount", "sh", "-c", &threaded])?;
        for thread in receivers(own)? {
            for words in [vec!["taskset", "-pc", CORES[1]], vec!["chrt", "-f", "-p", "1"]] {
                let mut words = words.into_iter();
                let program = words.next().unwrap_or_default();
                let done = Command::new(program).args(words).arg(thread.to_string()).output()?;
                if !done.status.success() {
                    return Err(format!("{program} {thread}: it does not").into());
                }
            }
        }
    }
    Ok(())
}

/// The kernel's threads that receive for an interface.
fn receivers(interface: &str) -> Result<Vec<u32>, Error> {
    let wanted = format!("napi/{interface}-");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(thread) = entry.file_name().to_string_lossy().parse() else { continue };
        // It may have ended since.
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.starts_with(&wanted) {
            found.push(thread);
        }
    }
    Ok(found)
}

/// What one side sends, by the number that was called.
type Spoken = BTreeMap<String, Stream>;

/// Both sides of each call, as soon as all are up.
fn sides(lab: &Lab, calls: u64, limit: Duration) -> Result<[Spoken; 2], Error> {
    let read = |place: usize| fs::read_to_string(TOLD[place]).unwrap_or_default();
    let up = |place| read(place).lines().count() as u64;
    if !Lab::wait_until(limit, || up(0) >= calls && up(1) >= calls) {
        return Err(format!("{} of {calls} calls are up", up(0).min(up(1))).into());
    }
    let mut sides = [Spoken::new(), Spoken::new()];
    for (place, (there, far, own)) in CABLES.into_iter().enumerate() {
        let macs = [lab.mac("box", own)?, lab.mac(there, far)?];
        for line in read(place).lines() {
            let [callee, from, to] = line.split(' ').collect::<Vec<_>>()[..] else {
                return Err(format!("not a number and two addresses: {line}").into());
            };
            let (from, to) = (from.parse::<SocketAddrV4>()?, to.parse::<SocketAddrV4>()?);
            let stream = Stream { from, to, cable: place as u32, macs };
            sides[place].insert(callee.to_owned(), stream);
        }
    }
    if sides.iter().any(|side| side.len() as u64 != calls) || !sides[0].keys().eq(sides[1].keys()) {
        return Err("callers and vendors tell of other calls".into());
    }
    Ok(sides)
}

struct Outcome {
    sent: u64,
    took: Duration,
    /// At the customers' end, and at the vendors'.
    proven: [Proven; 2],
    /// CPU time of the threads that receive, and of the dataplane, in seconds.
    receive: f64,
    dataplane: f64,
    /// Packets that the driver sent on by itself.
    settled: u64,
}

/// All talk, both sides, for so long.
fn talk_all(lab: &Lab, [callers, vendors]: &[Spoken; 2], seconds: u64) -> Result<Outcome, Error> {
    let streams: Vec<Stream> = callers.values().chain(vendors.values()).copied().collect();
    // What one side says is heard by the other, from where that one is to speak to.
    let heard = |stream: &Stream| Some((stream.to, stream.from));
    let (to_vendors, to_callers) = (
        vendors.values().map(heard).chain(callers.values().map(|_| None)),
        vendors.values().map(|_| None).chain(callers.values().map(heard)),
    );
    let ends = [to_callers.collect::<Vec<_>>(), to_vendors.collect::<Vec<_>>()];
    let mut generator = Streams::open(&frame(&streams)?, &streams, true)?;
    let mut proofs = Vec::new();
    for ((place, (there, far, _)), ends) in (0..).zip(CABLES).zip(&ends) {
        lab.within(there, || Ok(generator.lay(place, far)?))?;
        proofs.push(lab.within(there, || Ok(Proof::attach_to_ends(far, ends)?))?);
    }
    let [first, second] = &proofs[..] else { return Err("there are two cables".into()) };
    let read = || -> Result<[Proven; 2], Error> { Ok([first.read()?, second.read()?]) };
    run_here(&["taskset", "-pc", CORES[0], &std::process::id().to_string()])?;
    // Two packets of each: the far ends are known then.
    generator.set_pace(Some(SLOWLY))?;
    generator.send(streams.len() as u32 * 2)?;
    std::thread::sleep(Duration::from_secs(2));
    let pace = streams.len() as u64 * PACKETS;
    generator.set_pace(Some(pace))?;
    let settled = || lab.driver_packets(&["relay_on", "relay_back"]);
    let (settled_before, before) = (settled()?, read()?);
    let (busy, begun) = (busy()?, Instant::now());
    // All by one call: between two there are milliseconds.
    let sent = pace * seconds;
    generator.send(u32::try_from(sent)?)?;
    let took = begun.elapsed();
    std::thread::sleep(Duration::from_millis(500));
    let (after, later) = (read()?, self::busy()?);
    let proven = [after[0].since(&before[0]), after[1].since(&before[1])];
    let (receive, dataplane) = (later.0 - busy.0, later.1 - busy.1);
    let settled = settled()? - settled_before;
    Ok(Outcome { sent, took, proven, receive, dataplane, settled })
}

fn run_here(words: &[&str]) -> Result<(), Error> {
    let (program, rest) = words.split_first().ok_or("no words")?;
    let done = Command::new(program).args(rest).output()?;
    if done.status.success() { Ok(()) } else { Err(format!("{words:?}: it does not").into()) }
}

/// CPU seconds so far: of the threads that receive, and of the dataplane.
fn busy() -> Result<(f64, f64), Error> {
    let of = |path: String| -> Result<f64, Error> {
        let text = fs::read_to_string(path)?;
        let ns: u64 = text.split_whitespace().next().ok_or("no CPU time")?.parse()?;
        Ok(ns as f64 / 1e9)
    };
    let mut receive = 0.0;
    for (_, _, own) in CABLES {
        for thread in receivers(own)? {
            receive += of(format!("/proc/{thread}/schedstat"))?;
        }
    }
    let process = fs::read_to_string("/run/tollgate/dataplane.pid")?;
    let mut dataplane = 0.0;
    for thread in fs::read_dir(format!("/proc/{}/task", process.trim()))?.flatten() {
        dataplane += of(format!("{}/schedstat", thread.path().display()))?;
    }
    Ok((receive, dataplane))
}

/// 20 ms of silence in G.711; what differs from stream to stream is written over it.
fn frame(streams: &[Stream]) -> Result<Vec<u8>, Error> {
    let first = streams.first().ok_or("no call is up")?;
    let mut packet = vec![0xd5; 172];
    if let Some(head) = packet.first_chunk_mut() {
        *head = [0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 0];
    }
    let headers = Headers {
        destination_mac: first.macs[0],
        source_mac: first.macs[1],
        vlan: None,
        source: SocketAddr::V4(first.from),
        destination: SocketAddr::V4(first.to),
        dscp: 46,
        ttl: 64,
    };
    framed(&headers, &packet)
}

impl Outcome {
    /// Whether it was good enough.
    fn print(&self, calls: u64, seconds: u64) -> bool {
        let sum = |one: fn(&Proven) -> u64| -> u64 { self.proven.iter().map(one).sum() };
        let (whole, damaged) = (sum(|proven| proven.packets), sum(|proven| proven.damaged));
        let stray = sum(|proven| proven.stray);
        let lost = self.sent.saturating_sub(whole + damaged + stray);
        let lost_of_thousand = lost as f64 * 1e3 / self.sent as f64;
        let took = self.took.as_secs_f64();
        println!("| {calls} calls, {seconds} s | |\n|---|---|");
        println!("| packets sent | {}, {:.0} k/s |", self.sent, self.sent as f64 / took / 1e3);
        println!("| came out where they are to, in order, payload and checksum right | {whole} |");
        println!("| of them sent on by the driver | {} |", self.settled);
        println!("| lost | {lost}, {:.4} % |", lost_of_thousand / 10.0);
        println!("| damaged, astray | {damaged}, {stray} |");
        println!("| behind a later one, or twice | {} |", sum(|proven| proven.late));
        for (proven, side) in self.proven.iter().zip(["to customers", "to vendors"]) {
            let us = |part| proven.delay(part).as_nanos() as f64 / 1e3;
            println!(
                "| under way, {side} | p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs |",
                us(0.5),
                us(0.99),
                us(0.999)
            );
        }
        println!(
            "| CPU: threads that receive, with what looks at each packet | {:.0} % of a core |",
            self.receive / took * 100.0
        );
        println!("| CPU: the dataplane | {:.1} % of a core |", self.dataplane / took * 100.0);
        let is_settled = self.settled as f64 >= whole as f64 * SETTLED_MIN;
        let keeps_pace = seconds as f64 >= took * PACE_MIN;
        lost_of_thousand <= LOST_MAX
            && damaged + stray == 0
            && whole > 0
            && is_settled
            && keeps_pace
    }
}

/// All hang up, and nothing stays.
fn ended(lab: &Lab, calling: Running, calls: u64) -> Result<bool, Error> {
    let said = calling.json()?;
    let ended = number(&said, "ended");
    println!("| calls that ended | {ended} of {calls} |");
    let taken = || {
        let status = lab.tollgate(&["status"]).unwrap_or_default();
        status.pointer("/workers/0/media_ports/used").and_then(Value::as_u64).unwrap_or(u64::MAX)
    };
    let clean = Lab::wait_until(Duration::from_secs(15), || taken() == 0);
    println!("| port pairs in use after the last call | {} |", taken());
    Ok(ended == calls && clean)
}
