//! A bounded flood of SIP requests from one address: what a stranger with a script does.
//!
//! `flood --from 10.10.1.66 --to 10.10.1.2:5060 --packets 1000000 --per-second 100000`
//! prints how many packets the kernel took, and stops by itself.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

/// Packets per system call.
const BATCH: usize = 64;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let from: IpAddr = argument("--from").ok_or("--from ADDRESS is missing")?.parse()?;
    let to: SocketAddr = argument("--to").ok_or("--to ADDRESS:PORT is missing")?.parse()?;
    let method = argument("--method").unwrap_or_else(|| "OPTIONS".into());
    let packets = number("--packets", 1_000_000);
    let per_second = number("--per-second", 100_000);
    let socket = std::net::UdpSocket::bind((from, 0))?;
    let message = format!(
        "{method} sip:100@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:5060;branch=z9hG4bK-{method}-1;rport\r\n\
         Max-Forwards: 70\r\nTo: <sip:100@{to}>\r\nFrom: <sip:100@{from}>;tag=flood\r\n\
         User-Agent: stranger\r\nCall-ID: flood-{method}@{from}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:100@{from}:5060>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    );
    let parts = [IoSlice::new(message.as_bytes())];
    let slices = [&parts[..]; BATCH];
    let to = [Some(SockaddrStorage::from(to)); BATCH];
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let started = Instant::now();
    let mut sent = 0;
    while sent < packets {
        let results =
            sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, [], MsgFlags::empty());
        // A refused batch is the receiver's ICMP or a full queue: the next one tells.
        sent += results.map_or(0, |results| results.count() as u64).max(1);
        let due = Duration::from_nanos(sent * 1_000_000_000 / per_second.max(1));
        if let Some(early) = due.checked_sub(started.elapsed())
            && early > Duration::from_micros(500)
        {
            std::thread::sleep(early);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"sent\":{sent},\"seconds\":{seconds:.3},\"per_second\":{:.0}}}",
        sent as f64 / seconds
    );
    Ok(())
}
