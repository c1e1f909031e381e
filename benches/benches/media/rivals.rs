//! Who relays, each on a cable of its own with a namespace at its far end.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use benches::receiver::{Receiver, count};
use benches::world::{FAR_MAC, Failure, Far, NEAR_MAC, frame, plan, rtp, run};
use xdp_prog::media::{Course, Hop, Onward, Port};
use xdp_prog::{Attached, Bare, Floor, Proof, Stream, Streams, attach};

use crate::rtpengine::Rtpengine;
use crate::worker::Careful;

/// Of whoever relays; the generator has the other one.
pub(crate) const CORE: usize = 1;
pub(crate) const CALLER: &str = "198.51.100.7";
pub(crate) const OWN: &str = "198.51.100.2";
pub(crate) const CALLEE: &str = "198.51.100.8";
pub(crate) const CALLER_PORT: u16 = 4_000;
const FIRST_PORT: u16 = 10_000;

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address of ours"), port)
}

pub(crate) fn stream(from: SocketAddr, to: SocketAddr) -> Result<Stream, Failure> {
    match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            Ok(Stream { from, to, cable: 0, macs: [NEAR_MAC, FAR_MAC] })
        }
        _ => Err("streams are of IPv4".into()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our driver.
    Settled,
    /// Our worker.
    Careful,
    /// Nobody: it comes back as it is.
    Bounce,
    Rtpengine,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled, in the driver",
            Self::Careful => "careful, a worker in user space",
            Self::Bounce => "a bare bounce (`XDP_TX`)",
            Self::Rtpengine => "rtpengine-daemon, user space, one thread",
        }
    }

    /// Whether it would pay for what it loses.
    pub(crate) fn is_paced(self) -> bool {
        matches!(self, Self::Careful | Self::Rtpengine)
    }
}

enum Relay {
    Settled(#[expect(dead_code, reason = "kept until the end")] Attached),
    Bounce(#[expect(dead_code, reason = "kept until the end")] Bare),
    Careful(Careful),
    Rtpengine(Rtpengine),
}

/// What becomes of what comes back.
pub(crate) enum Sink {
    Dropped(#[expect(dead_code, reason = "kept until the end")] Bare),
    Proven(Proof),
}

/// One of them, with its streams.
pub(crate) struct Rival {
    pub(crate) kind: Kind,
    pub(crate) streams: u32,
    pub(crate) generator: Streams,
    pub(crate) sink: Sink,
    near: String,
    relay: Relay,
    receiver: Receiver,
    _far: Far,
}

impl Rival {
    /// Each has another number.
    pub(crate) fn set_up(
        number: u32,
        kind: Kind,
        streams: u32,
        proven: bool,
        pins: &Path,
    ) -> Result<Self, Failure> {
        let far = Far::make()?;
        let receiver = Receiver::at_the_end_of(&far, number)?;
        let device = receiver.device().to_owned();
        let near = format!("tgbench{number}");
        if proven {
            // Nobody fills in a checksum behind the driver.
            far.inside(|| run(&format!("ethtool -K {device} tx off")))?;
        }
        let sink = if proven {
            Sink::Proven(Proof::attach(&near, streams)?)
        } else {
            Sink::Dropped(Bare::attach(&near, Floor::Nothing)?)
        };
        let pins = pins.join(number.to_string());
        let (relay, all) = far.inside(|| {
            run("ip link set lo up")?;
            run(&format!("ip addr add {OWN}/24 dev {device}"))?;
            for far in [CALLER, CALLEE] {
                let lladdr = "02:00:00:00:00:02";
                run(&format!("ip neigh add {far} lladdr {lladdr} nud permanent dev {device}"))?;
            }
            let one_way = (0..streams)
                .map(|number| stream(at(CALLER, CALLER_PORT), at(OWN, port_of(number))));
            Ok(match kind {
                Kind::Settled => {
                    (settled(&pins, &device, streams)?, one_way.collect::<Result<_, _>>()?)
                }
                Kind::Bounce => {
                    let bounce = Relay::Bounce(Bare::attach(&device, Floor::Bounce)?);
                    (bounce, one_way.collect::<Result<_, _>>()?)
                }
                Kind::Careful => {
                    let (careful, streams) = Careful::start(&pins, &device, streams / 2)?;
                    (Relay::Careful(careful), streams)
                }
                Kind::Rtpengine => {
                    let (rtpengine, streams) = Rtpengine::start(streams / 2)?;
                    (Relay::Rtpengine(rtpengine), streams)
                }
            })
        })?;
        let packet = frame(at(CALLER, CALLER_PORT), at(OWN, FIRST_PORT), &rtp());
        let generator = Streams::open(&packet, &all, proven)?;
        generator.lay(0, &near)?;
        Ok(Self { kind, streams, generator, sink, near, relay, receiver, _far: far })
    }

    /// Frames that came back.
    pub(crate) fn back(&self) -> Result<u64, Failure> {
        count(&self.near, "rx_queue_0_xdp_packets")
    }

    /// CPU time of all that relays.
    pub(crate) fn busy(&self) -> Result<Duration, Failure> {
        let own = match &self.relay {
            Relay::Careful(careful) => careful.busy()?,
            Relay::Rtpengine(rtpengine) => rtpengine.busy()?,
            Relay::Settled(_) | Relay::Bounce(_) => Duration::ZERO,
        };
        Ok(self.receiver.busy()? + own)
    }
}

fn port_of(stream: u32) -> u16 {
    FIRST_PORT + 2 * stream as u16
}

/// A guard whose ports go on to a callee, as a worker says it.
fn settled(pins: &Path, device: &str, streams: u32) -> Result<Relay, Failure> {
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
        let port = Port { own: 0, number: port_of(stream) };
        if !media.say(port, &Course::Settled(onward)) {
            return Err("the driver does not settle a stream".into());
        }
    }
    Ok(Relay::Settled(guard))
}
