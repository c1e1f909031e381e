//! The careful path of one RTP frame in memory: found, judged by its flow, readdressed. A thousand calls.
//!
//! What the NIC does is not in it; `media` has that.

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use benches::measure::{Step, price};
use benches::world::{FAR_MAC, NEAR_MAC, frame, rtp};
use link::Instant;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use relay::{Latch, Opening, Owner, PayloadTypes, Table, Verdict};
use wire::checksum;
use wire::datagram::{self, Headers};

const CALLS: u16 = 1_000;
const FIRST: u16 = 20_000;
/// Our addresses towards callers and vendors.
const OWN: [[u8; 4]; 2] = [[198, 51, 100, 2], [203, 0, 113, 2]];
/// Where the checksum of UDP stands in a frame, and the sequence number of RTP.
const CHECKSUM: Range<usize> = 40..42;
const SEQUENCE: Range<usize> = 44..46;

fn main() -> Result<(), Box<dyn Error>> {
    price(&mut [Box::new(Relay::new())])
}

/// One frame of each direction of each call, twenty milliseconds after the last.
struct Relay {
    table: Table,
    now: Instant,
    sequence: u16,
    fresh: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

impl Relay {
    fn new() -> Self {
        let mut table = Table::new(FIRST, CALLS * 4, &OWN.map(IpAddr::from));
        let now = Duration::from_secs(1_000);
        let mut fresh = Vec::new();
        for call in 0..CALLS {
            let legs = [FIRST + call * 4, FIRST + call * 4 + 2];
            for (port, peer) in [(legs[0], legs[1]), (legs[1], legs[0])] {
                let (near, far) = (own(port), far(port));
                let owner = Owner(call.into());
                let towards_caller = port == legs[0];
                let [port, peer] = [port, peer].map(|number| table.port_of(own(number)));
                let opening = Opening { peer, owner, towards_caller };
                assert!(table.open(now, port, &opening), "each pair is opened once");
                table.set_remote(port, Some(far), None, Latch::Fixed, PayloadTypes::ANY);
                table.set_answered(now, port);
                fresh.push(frame(far, near, &rtp()));
            }
        }
        fresh.shuffle(&mut SmallRng::seed_from_u64(7));
        Self { table, now, sequence: 0, frames: fresh.clone(), fresh }
    }
}

/// Gives a frame another sequence number, and the checksum that goes with it.
fn number(frame: &mut [u8], sequence: u16) {
    let read = |place: Range<usize>| frame.get(place).and_then(|bytes| bytes.try_into().ok());
    let (Some(old), Some(checksum)) = (read(SEQUENCE), read(CHECKSUM)) else { return };
    let (old, new): ([u8; 2], _) = (old, sequence.to_be_bytes());
    let checksum = checksum::update(u16::from_be_bytes(checksum), &old, &new);
    for (place, bytes) in [(SEQUENCE, new), (CHECKSUM, checksum.to_be_bytes())] {
        if let Some(place) = frame.get_mut(place) {
            place.copy_from_slice(&bytes);
        }
    }
}

/// Our end of a port: callers have a call's first pair, vendors its second.
fn own(port: u16) -> SocketAddr {
    SocketAddr::from((OWN[usize::from(!port.is_multiple_of(4))], port))
}

/// The far end of a port.
fn far(port: u16) -> SocketAddr {
    let side = if port.is_multiple_of(4) { [198, 51, 100, 7] } else { [203, 0, 113, 10] };
    SocketAddr::from((side, port ^ 0x4000))
}

impl Step for Relay {
    fn name(&self) -> &str {
        "parse, judge, readdress"
    }

    fn operations(&self) -> u32 {
        self.frames.len() as u32
    }

    fn prepare(&mut self) {
        self.now += Duration::from_millis(20);
        self.sequence = self.sequence.wrapping_add(1);
        for (frame, fresh) in self.frames.iter_mut().zip(&self.fresh) {
            frame.copy_from_slice(fresh);
            number(frame, self.sequence);
        }
    }

    fn run(&mut self) {
        for frame in &mut self.frames {
            let relayed = relay(&mut self.table, self.now, black_box(frame));
            assert!(relayed, "every frame has a flow");
        }
    }
}

fn relay(table: &mut Table, now: Instant, frame: &mut [u8]) -> bool {
    let Ok(datagram) = datagram::parse(frame) else { return false };
    let port = table.port_of(datagram.destination);
    let verdict = table.forward(now, port, datagram.source, datagram.payload(frame));
    let Verdict::Send { from, to, .. } = verdict else { return false };
    let headers = Headers {
        destination_mac: FAR_MAC,
        source_mac: NEAR_MAC,
        vlan: None,
        source: from,
        destination: to,
        dscp: 46,
        ttl: 64,
    };
    datagram::readdress(frame, &datagram, &headers)
}
