//! Load in the lab by the product's own replay: what strangers send, at a pace, as a capture that goes round.

use std::net::SocketAddr;

use wire::datagram::{self, Headers};

use crate::lab::{Error, Lab, Running};

/// Frames that leave together: between two such bursts the sender sleeps.
const BURST: u64 = 64;
/// Bursts in the capture.
const BURSTS: u64 = 100;

/// One datagram again and again, from the customers' side.
pub struct Load<'m> {
    /// Who sends it; nobody needs to have that address.
    pub from: SocketAddr,
    /// An address of the appliance.
    pub to: SocketAddr,
    /// What it says.
    pub message: &'m [u8],
    /// How many a second.
    pub per_second: u64,
    /// When it stops by itself.
    pub packets: u64,
}

impl Load<'_> {
    /// Begins. [`Running::json`] has its report: `/sent/frames` of it is how many there were.
    ///
    /// # Errors
    /// When the lab is down.
    pub fn begin(&self, lab: &Lab) -> Result<Running, Error> {
        let frame = self.frame(lab)?;
        let mut file = capture::file::head().to_vec();
        for burst in 0..BURSTS {
            let due_ns = burst * BURST * 1_000_000_000 / self.per_second.max(1);
            for _ in 0..BURST {
                file.extend(capture::file::frame_head(due_ns, frame.len()));
                file.extend(&frame);
            }
        }
        let path = format!("/run/tollgate/load-{}.pcap", self.from.port());
        std::fs::write(&path, file)?;
        let words =
            format!("--output json {path} --to tgc0 --by packet --loop 0 --count {}", self.packets);
        lab.start("cust", "tollgate-replay", &words.split(' ').collect::<Vec<_>>())
    }

    fn frame(&self, lab: &Lab) -> Result<Vec<u8>, Error> {
        let headers = Headers {
            destination_mac: lab.mac("box", "tgb0")?,
            source_mac: lab.mac("cust", "tgc0")?,
            vlan: None,
            source: self.from,
            destination: self.to,
            dscp: 0,
            ttl: 64,
        };
        framed(&headers, self.message)
    }
}

/// A datagram as a frame.
///
/// # Errors
/// When it is too long for one.
pub fn framed(headers: &Headers, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let mut frame = vec![0; payload.len() + datagram::HEADERS_BYTES_MAX];
    let length = datagram::write(&mut frame, headers, payload)
        .ok_or("what is said has no room in a frame")?;
    frame.truncate(length);
    Ok(frame)
}
