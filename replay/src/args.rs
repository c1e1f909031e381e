//! What a person may ask of a replay. `tollgate replay` has the same words, for its help and manual, from this file:
//! it needs nothing but clap.

use std::net::IpAddr;
use std::path::PathBuf;

/// Which way frames go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// Live frames when flat out, AF_XDP at a pace; each falls back to the next that works here.
    #[default]
    Auto,
    /// Frames that the kernel makes: the quickest, at no pace.
    Live,
    /// An AF_XDP socket.
    Afxdp,
    /// An ordinary packet socket.
    Packet,
}

/// Sends a captured call, or thousands of calls made of it, and reports what came back.
///
/// It stops by itself: at the end of the capture's rounds, after --count frames, or after --seconds. Ctrl-C stops it
/// earlier, and it reports all the same. It ends with 1 if it could not send, or lost more than --max-loss; with 2
/// if what it was asked makes no sense.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The capture: pcap or pcapng, of Ethernet, raw IP, loopback or cooked packets.
    pub(crate) file: PathBuf,
    /// The interface to send by.
    #[arg(long, value_name = "INTERFACE", required_unless_present = "write")]
    pub(crate) to: Option<String>,
    /// The way frames go out.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,
    /// So many times as fast as it was captured.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive)]
    pub(crate) speed: f64,
    /// As fast as the link takes it.
    #[arg(long, conflicts_with = "speed")]
    pub(crate) flat_out: bool,
    /// How often each call is played; 0: again and again.
    #[arg(long = "loop", value_name = "ROUNDS", default_value_t = 1)]
    pub(crate) rounds: u64,
    /// So many calls at a time, each with addresses, RTP sources and identities of its own; without it the capture
    /// goes out as it is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) calls: Option<u32>,
    /// New calls in a second; without it all begin together.
    #[arg(long, value_name = "RATE", requires = "calls", value_parser = positive)]
    pub(crate) per_second: Option<f64>,
    /// Draws when each call begins within its share of a second; 0: evenly.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// A host that keeps its address in all calls, as the switch under test does; its media get ports per call.
    #[arg(long, value_name = "ADDRESS", requires = "calls")]
    pub(crate) keep: Vec<IpAddr>,
    /// RTP sources stay as they are, for SRTP.
    #[arg(long, requires = "calls")]
    pub(crate) keep_sources: bool,
    /// Another address, in headers, SIP and descriptions: 10.0.0.1=192.0.2.1, or with ports on both sides.
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) map: Vec<String>,
    /// Another sender's Ethernet address.
    #[arg(long, value_name = "MAC")]
    pub(crate) source_mac: Option<String>,
    /// Another receiver's Ethernet address.
    #[arg(long, value_name = "MAC")]
    pub(crate) destination_mac: Option<String>,
    /// Take VLAN tags off.
    #[arg(long)]
    pub(crate) untag: bool,
    /// Sum UDP and TCP checksums anew that do not hold, as in captures made at the sender.
    #[arg(long)]
    pub(crate) mend_checksums: bool,
    /// Of a file with a fault send what is before it.
    #[arg(long)]
    pub(crate) until_fault: bool,
    /// At most so many frames.
    #[arg(long, value_name = "FRAMES", default_value_t = 10_000_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// At most so long.
    #[arg(long, value_name = "S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) seconds: u64,
    /// Recognise what comes back by this interface.
    #[arg(long, value_name = "INTERFACE", requires = "to")]
    pub(crate) listen: Option<String>,
    /// The network namespace of that interface, by name or path.
    #[arg(long, value_name = "NAMESPACE", requires = "listen")]
    pub(crate) listen_in: Option<PathBuf>,
    /// How long to listen behind the last frame.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) drain: u64,
    /// End with 1 if more of the RTP packets did not come back.
    #[arg(long, value_name = "PERCENT", requires = "listen", value_parser = percent)]
    pub(crate) max_loss: Option<f64>,
    /// The core to send from; it is kept busy.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) core: Option<u32>,
    /// The queue of the interface, for AF_XDP.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) queue: u32,
    /// Write what would be sent to this pcap file, with its times, and send nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    pub(crate) write: Option<PathBuf>,
    /// Send by an interface of this machine's own network, where others may be hurt.
    #[arg(long)]
    pub(crate) into_production: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("a number above 0, at most a million".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}
