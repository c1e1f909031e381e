//! Relayed RTP packets per CPU second: the settled path beside a bare bounce and rtpengine in user space.
//!
//! All relay the same streams in the same run, by turns, each on a cable of its own: a packet comes in by it and leaves
//! by it. What counts is the CPU time of the thread that receives and, of rtpengine, of its own threads as well;
//! dropping what comes back is in it, the same for all. The generator has the other core. The bounce and the settled path
//! get more live frames than they take: what the cable has no room for costs them nothing. rtpengine would pay for what
//! it loses; it gets datagrams of a socket, as many as it relays with a hundredth of loss at most.

mod rtpengine;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use benches::measure::quartiles;
use benches::receiver::{Receiver, count};
use benches::world::{FAR_MAC, Failure, Far, NEAR_MAC, enter, frame, pin, plan, rtp, run};
use nix::mount::{MsFlags, mount};
use rtpengine::Rtpengine;
use xdp_prog::media::{Course, Hop, Onward};
use xdp_prog::{Attached, Bare, Floor, Streams, attach};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_000);
/// Packets of one system call of the generator.
const BURST: u32 = 65_536;
/// Until all that was sent has come back.
const SETTLE: Duration = Duration::from_millis(400);
/// Streams that are relayed, with rivals and for the sake of flatness.
const STREAMS: u32 = 500;
const MANY: [u32; 3] = [100, 5_000, 20_000];

const CALLER: &str = "198.51.100.7";
const OWN: &str = "198.51.100.2";
const CALLEE: &str = "198.51.100.8";
const CALLER_PORT: u16 = 4_000;
const FIRST_PORT: u16 = 10_000;

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address of ours"), port)
}

/// Who relays.
enum Rival {
    Settled(#[expect(dead_code, reason = "kept until the end")] Attached),
    Bounce(#[expect(dead_code, reason = "kept until the end")] Bare),
    Rtpengine(Rtpengine),
}

/// Who sends.
enum Generator {
    Live(Streams),
    Socket { socket: UdpSocket, ports: Vec<SocketAddr>, pace: u64 },
}

impl Generator {
    /// For one round. How many packets were sent.
    fn run(&self) -> Result<u64, Failure> {
        let (begun, mut sent) = (Instant::now(), 0);
        let mut packet = rtp();
        while begun.elapsed() < ROUND {
            match self {
                Self::Live(streams) => {
                    streams.send(BURST)?;
                    sent += u64::from(BURST);
                }
                Self::Socket { socket, ports, pace } => {
                    if sent as f64 > begun.elapsed().as_secs_f64() * *pace as f64 {
                        std::hint::spin_loop();
                        continue;
                    }
                    let turn = (sent / ports.len() as u64) as u16;
                    if let Some(sequence) = packet.get_mut(2..4) {
                        sequence.copy_from_slice(&turn.to_be_bytes());
                    }
                    let port = ports.get((sent % ports.len() as u64) as usize);
                    socket.send_to(&packet, port.ok_or("no port")?)?;
                    sent += 1;
                }
            }
        }
        Ok(sent)
    }
}

/// One line of the table.
struct Row {
    name: String,
    streams: u32,
    rival: Rival,
    _far: Far,
    receiver: Receiver,
    sink: String,
    _drop: Bare,
    generator: Generator,
    rates: Vec<f64>,
    lost: Vec<f64>,
}

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None::<&str>)?;
    let mut rows = Vec::new();
    rows.push(Row::set_up(0, "settled, in the driver", STREAMS, &pins, Kind::Settled)?);
    rows.push(Row::set_up(1, "a bare bounce (`XDP_TX`)", STREAMS, &pins, Kind::Bounce)?);
    match Row::set_up(2, "rtpengine-daemon, user space", STREAMS, &pins, Kind::Rtpengine) {
        Ok(row) => rows.push(row),
        Err(error) => println!("NOT MEASURED: rtpengine: {error}"),
    }
    for (number, streams) in (3..).zip(MANY) {
        rows.push(Row::set_up(number, "settled, in the driver", streams, &pins, Kind::Settled)?);
    }
    for row in &mut rows {
        row.find_pace()?;
    }
    for round in 0..=ROUNDS {
        for row in &mut rows {
            // The first round warms caches and page pools.
            row.round(round > 0)?;
        }
    }
    let ours = rows.first().map_or_else(Vec::new, |row| row.rates.clone());
    println!("| relays | streams | per CPU second | quartiles | each | ours to it | offered |");
    println!("|---|---|---|---|---|---|---|");
    for row in &mut rows {
        row.print(&ours);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Settled,
    Bounce,
    Rtpengine,
}

impl Row {
    fn set_up(
        number: u32,
        name: &str,
        streams: u32,
        pins: &Path,
        kind: Kind,
    ) -> Result<Self, Failure> {
        let far = Far::make()?;
        let receiver = Receiver::at_the_end_of(&far, number)?;
        let device = receiver.device().to_owned();
        let near = format!("tgbench{number}");
        let dropped = Bare::attach(&near, Floor::Nothing)?;
        let pins = pins.join(number.to_string());
        let rival = far.inside(|| {
            run("ip link set lo up")?;
            run(&format!("ip addr add {OWN}/24 dev {device}"))?;
            for far in [CALLER, CALLEE] {
                let lladdr = "02:00:00:00:00:02";
                run(&format!("ip neigh add {far} lladdr {lladdr} nud permanent dev {device}"))?;
            }
            Ok(match kind {
                Kind::Settled => settled(&pins, &device, streams)?,
                Kind::Bounce => Rival::Bounce(Bare::attach(&device, Floor::Bounce)?),
                Kind::Rtpengine => Rival::Rtpengine(Rtpengine::start(streams)?),
            })
        })?;
        let generator = match &rival {
            Rival::Rtpengine(rtpengine) => {
                run(&format!("ip addr add {CALLER}/24 dev {near}"))?;
                let lladdr = "02:00:00:00:00:02";
                run(&format!("ip neigh add {OWN} lladdr {lladdr} nud permanent dev {near}"))?;
                let ports = rtpengine.ports.iter().map(|port| at(OWN, *port)).collect();
                let socket = UdpSocket::bind(at(CALLER, CALLER_PORT))?;
                Generator::Socket { socket, ports, pace: 0 }
            }
            _ => {
                let ports: Vec<(u16, u16)> =
                    (0..streams).map(|stream| (CALLER_PORT, port_of(stream))).collect();
                let packet = frame(at(CALLER, CALLER_PORT), at(OWN, FIRST_PORT), &rtp());
                Generator::Live(Streams::open(&near, &packet, &ports)?)
            }
        };
        let (name, rates, lost, sink) = (name.to_owned(), Vec::new(), Vec::new(), near);
        let (_drop, _far) = (dropped, far);
        Ok(Self { name, streams, rival, _far, receiver, sink, _drop, generator, rates, lost })
    }

    /// The highest pace at which a hundredth is lost at most: rather too much for it than too little.
    fn find_pace(&mut self) -> Result<(), Failure> {
        if matches!(self.generator, Generator::Live(_)) {
            return Ok(());
        }
        let (mut good, mut bad) = (0, 200_000);
        while bad - good > 6_250 {
            let tried = u64::midpoint(good, bad);
            self.set_pace(tried);
            let (_, lost) = self.measure()?;
            if lost <= 0.01 { good = tried } else { bad = tried }
        }
        self.set_pace(good);
        Ok(())
    }

    fn set_pace(&mut self, wanted: u64) {
        if let Generator::Socket { pace, .. } = &mut self.generator {
            *pace = wanted;
        }
    }

    fn round(&mut self, counts: bool) -> Result<(), Failure> {
        let (rate, lost) = self.measure()?;
        if counts {
            self.rates.push(rate);
            self.lost.push(lost);
        }
        Ok(())
    }

    /// Packets that came back per CPU second, and the part of those sent that did not.
    fn measure(&self) -> Result<(f64, f64), Failure> {
        let back = || count(&self.sink, "rx_queue_0_xdp_packets");
        let (busy, before) = (self.busy()?, back()?);
        let sent = std::thread::scope(|scope| {
            let generator = scope.spawn(|| {
                pin(0)?;
                self.generator.run()
            });
            generator.join().map_err(|_| "the generator died")?
        })?;
        std::thread::sleep(SETTLE);
        let (busy, back) = ((self.busy()? - busy).as_secs_f64(), (back()? - before) as f64);
        Ok((back / busy, 1.0 - back / sent.max(1) as f64))
    }

    fn busy(&self) -> Result<Duration, Failure> {
        let own = match &self.rival {
            Rival::Rtpengine(rtpengine) => rtpengine.busy()?,
            _ => Duration::ZERO,
        };
        Ok(self.receiver.busy()? + own)
    }

    fn print(&mut self, ours: &[f64]) {
        let mut ratios: Vec<f64> =
            ours.iter().zip(&self.rates).map(|(our, its)| our / its).collect();
        let [_, ratio, _] = quartiles(&mut ratios);
        let [low, rate, high] = quartiles(&mut self.rates).map(|rate| rate / 1e6);
        let [_, _, lost] = quartiles(&mut self.lost);
        let offered = match &self.generator {
            Generator::Live(_) => "more than it takes".to_owned(),
            Generator::Socket { pace, .. } => {
                format!("{} k/s, {:.2} % lost", pace / 1_000, lost * 100.0)
            }
        };
        println!(
            "| {} | {} | {rate:.2} M | {low:.2} to {high:.2} M | {:.0} ns | {ratio:.2} | {offered} |",
            self.name,
            self.streams,
            1e3 / rate
        );
    }
}

fn port_of(stream: u32) -> u16 {
    FIRST_PORT + 2 * stream as u16
}

/// A guard whose ports go on to a callee, as a worker says it.
fn settled(pins: &Path, device: &str, streams: u32) -> Result<Rival, Failure> {
    let mut plan = plan(pins, &[device.to_owned()], &[at(OWN, 0)]);
    plan.media_ports = (FIRST_PORT, port_of(streams.max(2)) + 3);
    let guard = attach(&plan)?;
    let media = guard.media()?;
    let hop = Hop {
        interface: 0,
        source_mac: NEAR_MAC,
        destination_mac: FAR_MAC,
        vlan: None,
        payload_max: 1_400,
    };
    for stream in 0..streams {
        let onward = Onward {
            source: at(CALLER, CALLER_PORT),
            payload_types: 1 << 8,
            events: 101,
            from: at(OWN, port_of(stream)),
            to: at(CALLEE, port_of(stream)),
            hop,
            traffic_class: 0xb8,
            not_after: None,
            owner: u64::from(stream) + 1,
        };
        if !media.say(port_of(stream), &Course::Settled(onward)) {
            return Err("the driver does not settle a stream".into());
        }
    }
    Ok(Rival::Settled(guard))
}
