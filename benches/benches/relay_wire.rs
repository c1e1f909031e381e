//! The careful path of RTP through the real worker: live frames into one veth, out of the other.
//!
//! The worker has a core of its own and calls that a real switch set up; the generator has the other
//! core and offers more than the worker takes. What counts is what the far end got.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use benches::measure::{quartiles, shown, thread_time};
use benches::phones::{self, Exchange, Phones};
use benches::shared::{self, Shared};
use benches::world::{Failure, Far, enter, frame, pin, plan, rtp, run};
use dataplane::nic::afxdp::AfXdp;
use dataplane::worker::{Handoff, Parts, Worker};
use dataplane::{clock, neighbors, rim};
use xdp_prog::{Arrival, Tester, attach};

const CALLS: u32 = 64;
const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_secs(1);
/// Frames of one call in a row.
const BURST: u32 = 1_024;

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    let far = Far::make()?;
    let names = [far.cable(0)?, far.cable(1)?];
    for (name, own, there) in
        [(&names[0], "198.51.100.2", "198.51.100.7"), (&names[1], "203.0.113.2", "203.0.113.10")]
    {
        run(&format!("ip addr add {own}/24 dev {name}"))?;
        run(&format!("ip neigh add {there} lladdr 04:00:00:00:00:04 nud permanent dev {name}"))?;
    }
    let (near, away) = (phones::socket(phones::NEAR), phones::socket(phones::FAR));
    let guard = attach(&plan(&pins, &names, &[near, away]))?;
    let nic = AfXdp::open(&names, 0, 8_192, 2_048, false)?;
    for (interface, socket) in nic.sockets().enumerate() {
        guard.set_socket(interface, 0, socket)?;
    }
    let index = guard.interfaces().first().ok_or("the guard has no interface")?.index;
    let arrival = Arrival { interface_index: index, queue: 0 };

    let table = shared::in_process(CALLS).map_err(|error| error.to_string())?;
    let mut phones = Phones::new(Exchange::open(CALLS, table), clock::now());
    let caller = phones::socket(phones::CALLER).ip();
    let frames: Vec<Vec<u8>> = (0..CALLS)
        .map(|_| SocketAddr::new(near.ip(), phones.begin()))
        .map(|port| frame(SocketAddr::new(caller, phones::CALLER_MEDIA), port, &rtp()))
        .collect();
    let shared = Shared::make(CALLS).map_err(|error| error.to_string())?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut worker = worker(nic, phones, &shared, &names, &stop)?;

    let (mut relayed, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (each, by_worker) = round(&pins, &mut worker, &far, arrival, &frames)?;
        relayed.push(each / 1e3);
        busy.push(by_worker / 1e3);
    }
    stop.store(true, Ordering::Relaxed);
    let ([low, relayed, high], [_, busy, _]) = (quartiles(&mut relayed), quartiles(&mut busy));
    println!("| frame | relayed per second | quartiles | per CPU-second of the worker | each |");
    println!("|---|---|---|---|---|");
    let each = shown(1e6 / busy);
    println!(
        "| RTP, 214 bytes | {relayed:.0} k | {low:.0} to {high:.0} k | {busy:.0} k | {each} |"
    );
    Ok(())
}

/// A worker as the dataplane makes it, with calls that talk already.
fn worker(
    nic: AfXdp,
    phones: Phones,
    shared: &Shared,
    names: &[String],
    stop: &Arc<AtomicBool>,
) -> Result<Worker<AfXdp>, Failure> {
    shared.link.begin_dataplane();
    let mut hops = neighbors::start(names, 1, Arc::clone(stop))?;
    let (first, last) = phones::MEDIA_PORTS;
    let media = (first, last - first + 1);
    let (control, bell) = shared.bells().map_err(|error| error.to_string())?;
    let parts = Parts {
        index: 0,
        nic,
        switch: phones.into_switch(),
        link: shared.link,
        side: shared.link.worker_side(0)?,
        control,
        bell,
        hops: hops.pop().ok_or("no next hops")?,
        handoff: Handoff::new(0, phones::keys(), media, vec![None], vec![None], 2_048),
        rim: rim::WorkerSide::none(),
        greeter: None,
        knows: Box::new(|_| true),
        roster: None,
        media: None,
        recorder: None,
        calls_max: CALLS as usize,
        message_bytes_max: 8_192,
        spin: Duration::ZERO,
        wall_offset: clock::wall_offset,
    };
    Ok(Worker::open(parts, clock::now()))
}

/// One second: frames per second that the far end got, and per second of the worker's CPU time.
fn round(
    pins: &std::path::Path,
    worker: &mut Worker<AfXdp>,
    far: &Far,
    arrival: Arrival,
    frames: &[Vec<u8>],
) -> Result<(f64, f64), Failure> {
    let tester = Tester::open(pins)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let generator = scope.spawn(|| -> Result<(), Failure> {
            pin(0)?;
            for frame in frames.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                tester.inject(frame, arrival, BURST)?;
            }
            Ok(())
        });
        pin(1)?;
        // The ways to the far ends are learned on the first frames.
        let warm = Instant::now();
        while warm.elapsed() < ROUND / 4 {
            worker.turn(clock::now());
        }
        let (begun, busy, before) = (Instant::now(), thread_time()?, far.received(1)?);
        while begun.elapsed() < ROUND {
            worker.turn(clock::now());
        }
        let relayed = (far.received(1)? - before) as f64;
        let (busy, elapsed) = (thread_time()? - busy, begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        generator.join().map_err(|_| "the generator died")??;
        Ok((relayed / elapsed.as_secs_f64(), relayed / busy.as_secs_f64()))
    })
}
