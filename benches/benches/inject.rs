//! Live frames through the guard into the AF_XDP receive module, on one veth: the receiver's core is its
//! own, the generator has the other one and runs the guard's program too, as veth does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use benches::measure::{quartiles, thread_time};
use benches::world::{Failure, Far, enter, frame, pin, plan, rtp};
use benches::{invite, phones};
use dataplane::nic::afxdp::AfXdp;
use dataplane::nic::{Batch, Nic};
use xdp_prog::{Arrival, Tester, attach};

const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_secs(1);
/// Frames of one system call of the generator.
const BURST: u32 = 16_384;

fn main() -> Result<(), Failure> {
    let Some(pins) = enter()? else { return Ok(()) };
    let far = Far::make()?;
    let names = [far.cable(0)?];
    let own = phones::socket(phones::NEAR);
    let guard = attach(&plan(&pins, &names, &[own]))?;
    xdp_prog::Maps::open(&pins)?.admit()?;
    let mut nic = AfXdp::open(&names, 0, 8_192, 2_048, false)?;
    for socket in nic.sockets() {
        guard.set_socket(0, 0, socket)?;
    }
    let index = guard.interfaces().first().ok_or("the guard has no interface")?.index;
    let arrival = Arrival { interface_index: index, queue: 0 };
    let caller = phones::socket(phones::CALLER);
    let media = std::net::SocketAddr::new(own.ip(), phones::MEDIA_PORTS.0);

    println!("| frame | received per second | quartiles | per CPU-second of the receiver | lost |");
    println!("|---|---|---|---|---|");
    let frames = [
        ("RTP, 214 bytes", frame(caller, media, &rtp())),
        ("INVITE, 942 bytes", frame(caller, own, invite::bytes())),
    ];
    for (name, frame) in &frames {
        let (mut received, mut busy, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let round = round(&pins, &mut nic, arrival, frame)?;
            received.push(round.received / 1e6);
            busy.push(round.received_busy / 1e6);
            lost.push(round.lost * 100.0);
        }
        let [low, received, high] = quartiles(&mut received);
        let ([_, busy, _], [_, lost, _]) = (quartiles(&mut busy), quartiles(&mut lost));
        println!(
            "| {name} | {received:.2} M | {low:.2} to {high:.2} M | {busy:.2} M | {lost:.1} % |"
        );
    }
    Ok(())
}

struct Round {
    received: f64,
    received_busy: f64,
    lost: f64,
}

/// One second of as much as the generator has.
fn round(
    pins: &std::path::Path,
    nic: &mut AfXdp,
    arrival: Arrival,
    frame: &[u8],
) -> Result<Round, Failure> {
    let tester = Tester::open(pins)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let generator = scope.spawn(|| -> Result<u64, Failure> {
            pin(0)?;
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                tester.inject(frame, arrival, BURST)?;
                sent += u64::from(BURST);
            }
            Ok(sent)
        });
        pin(1)?;
        let (mut batch, mut received) = (Batch::new(), 0);
        let (begun, busy) = (Instant::now(), thread_time()?);
        while begun.elapsed() < ROUND {
            received += nic.receive(&mut batch);
            batch.drain().for_each(|frame| nic.give_back(frame));
        }
        let (busy, elapsed) = (thread_time()? - busy, begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        let sent = generator.join().map_err(|_| "the generator died")??;
        // What comes after the second is over belongs to no round.
        while nic.receive(&mut batch) > 0 {
            batch.drain().for_each(|frame| nic.give_back(frame));
        }
        let received = received as f64;
        Ok(Round {
            received: received / elapsed.as_secs_f64(),
            received_busy: received / busy.as_secs_f64(),
            lost: (1.0 - received / sent as f64).max(0.0),
        })
    })
}
