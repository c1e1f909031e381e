//! What a worker says of its media ports, and what the driver heard there: the settled path (`media.h`).
//!
//! Both tables are mapped, so that saying costs no system call and hearing none. A rule is written behind its own
//! back: first the port is the worker's alone, then the rest changes, then the state; the driver reads the state
//! before and after, and gives to the worker what it read in between.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{MEDIA_CLOSED, MEDIA_KNOWN, MEDIA_SETTLED, MediaHeard, MediaRule};
use crate::loader::Mapped;
use crate::maps::{nanoseconds, open_map};
use crate::{Error, Instant};

/// A media port of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Of which address, by its place in the plan: service addresses first.
    pub own: u8,
    /// Its number.
    pub number: u16,
}

/// What becomes of what arrives at a media port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// All of it is the worker's.
    Open,
    /// It is of no call: nobody gets it.
    Closed,
    /// What this source sends is the worker's; another's is not heard while this one is.
    Known(SocketAddr),
    /// It goes on from here.
    Settled(Onward),
}

/// How packets go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onward {
    /// Whose packets.
    pub source: SocketAddr,
    /// Which payload types, a bit for each; all other packets are the worker's.
    pub payload_types: u128,
    /// The one that is counted here and read by the worker; over 127: none.
    pub events: u8,
    /// From which endpoint of ours.
    pub from: SocketAddr,
    /// Where to; of the family of `from`.
    pub to: SocketAddr,
    /// By which way.
    pub hop: Hop,
    /// With which traffic class.
    pub traffic_class: u8,
    /// Until when; then they are dropped. `None`: for good.
    pub not_after: Option<Instant>,
    /// The worker's own number for the call.
    pub owner: u64,
}

/// The way to the next machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface, by its place in the plan.
    pub interface: usize,
    /// Its MAC.
    pub source_mac: [u8; 6],
    /// The next hop's MAC.
    pub destination_mac: [u8; 6],
    /// The VLAN of the next hop.
    pub vlan: Option<u16>,
    /// Longest payload that needs no fragments.
    pub payload_max: usize,
}

/// What was heard at a port: the sums behind loss and jitter, as `crates/relay/src/quality.rs` keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// RTP packets.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// When the last one came; zero: none did.
    pub last: Instant,
    /// Names the stream.
    pub ssrc: u32,
    /// Its first extended sequence number.
    pub base: u32,
    /// Its highest.
    pub highest: u32,
    /// Its packets.
    pub received: u32,
    /// Arrival minus timestamp of the last packet, in units of 125 µs.
    pub transit: u32,
    /// Jitter times 16.
    pub jitter: u32,
    /// Packets of former streams that never came.
    pub lost_before: u32,
}

/// What the driver was told of a port last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose packets go on from here.
    pub source: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// From which endpoint of ours.
    pub from: SocketAddr,
    /// The worker's own number for the call.
    pub owner: u64,
}

/// The tables of media. Each port has one worker who says what becomes of it.
#[derive(Clone)]
pub struct Media {
    rules: Arc<Mapped>,
    heard: Arc<Mapped>,
    /// Our addresses, in the order of the plan.
    own: Arc<[IpAddr]>,
    /// The first port of each of them, and the last.
    ports: (u16, u16),
    /// The kernel's index of each interface of the plan.
    interfaces: Arc<[u32]>,
}

const RULE_WORDS: usize = size_of::<MediaRule>() / size_of::<u64>();
const HEARD_WORDS: usize = size_of::<MediaHeard>() / size_of::<u64>();
const UDP_BYTES: usize = 8;
const HOP_LIMIT: u8 = 64;

impl Media {
    pub(crate) fn open(
        pins: &Path,
        own: &[IpAddr],
        ports: (u16, u16),
        interfaces: &[u32],
    ) -> Result<Self, Error> {
        let mapped = |name: &str| {
            let array = open_map(pins, name)?;
            Mapped::open(&array).map(Arc::new).map_err(Error::os(format!("map {name}")))
        };
        let (rules, heard) = (mapped("media_rules")?, mapped("media_heard")?);
        Ok(Self { rules, heard, own: own.into(), ports, interfaces: interfaces.into() })
    }

    /// Where the driver looks for what was said of a port (`media_place`).
    fn place(&self, port: Port) -> Option<usize> {
        let (first, last) = self.ports;
        let is_one = (first..=last).contains(&port.number);
        let each = usize::from(last - first) + 1;
        is_one.then(|| usize::from(port.own) * each + usize::from(port.number - first))
    }

    fn rule(&self, port: Port) -> Option<&[AtomicU64]> {
        let begin = self.place(port)? * RULE_WORDS;
        self.rules.words().get(begin..begin + RULE_WORDS)
    }

    fn heard_words(&self, port: Port) -> Option<&[AtomicU64]> {
        let begin = self.place(port)? * HEARD_WORDS;
        self.heard.words().get(begin..begin + HEARD_WORDS)
    }

    /// Says what becomes of what arrives at a port from now on. `false`: the driver cannot do that (another
    /// address than ours, another interface than the plan's, two families), and gives it to the worker.
    pub fn say(&self, port: Port, course: &Course) -> bool {
        let Some(words) = self.rule(port) else { return false };
        let (state, rule) = match course {
            Course::Open => (0, None),
            Course::Closed => (MEDIA_CLOSED, None),
            Course::Known(source) => (MEDIA_KNOWN, Some(known(*source))),
            Course::Settled(onward) => (MEDIA_SETTLED, self.settled(port, onward)),
        };
        let is_able = rule.is_some() || matches!(course, Course::Open | Course::Closed);
        let [order, not_after, rest @ ..] = words else { return false };
        let before = order.load(Ordering::Relaxed);
        let generation = (before >> 32) + 1;
        let Some(rule) = rule else {
            // The rest is not read in these states.
            let state = if is_able { state } else { 0 };
            order.store(generation << 32 | u64::from(state), Ordering::Release);
            return is_able;
        };
        let is_said = |(word, value): (&AtomicU64, u64)| word.load(Ordering::Relaxed) == value;
        if before as u32 == state && rest.iter().zip(words_of(&rule).skip(2)).all(is_said) {
            // How long it holds is a word of its own, which nobody reads beside another.
            not_after.store(rule.not_after, Ordering::Relaxed);
            return true;
        }
        order.store(generation << 32, Ordering::Relaxed);
        fence(Ordering::Release);
        not_after.store(rule.not_after, Ordering::Relaxed);
        for (word, value) in rest.iter().zip(words_of(&rule).skip(2)) {
            word.store(value, Ordering::Relaxed);
        }
        order.store((generation + 1) << 32 | u64::from(state), Ordering::Release);
        true
    }

    /// Whose packets of which call go on from here as it was said last, perhaps by a process that is gone.
    #[must_use]
    pub fn told(&self, port: Port) -> Option<Told> {
        let rule: MediaRule = read::<RULE_WORDS, _>(self.rule(port)?)?;
        let port = |bytes: [u8; 2]| u16::from_be_bytes(bytes);
        let own = *self.own.get(rule.own as usize)?;
        let [ours, theirs] = rule.ports.map(port);
        let is_settled = rule.state == MEDIA_SETTLED;
        Some(Told {
            source: SocketAddr::new(rule.source.address()?, port(rule.port)),
            to: SocketAddr::new(rule.to.address()?, theirs),
            from: SocketAddr::new(own, ours),
            owner: rule.owner,
        })
        .filter(|_| is_settled)
    }

    /// What was heard at a port.
    #[must_use]
    pub fn heard(&self, port: Port) -> Heard {
        let heard: Option<MediaHeard> = self.heard_words(port).and_then(read::<HEARD_WORDS, _>);
        let heard = heard.unwrap_or_default();
        Heard {
            packets: heard.packets,
            bytes: heard.bytes,
            last: Duration::from_nanos(heard.last_ns),
            ssrc: heard.ssrc,
            base: heard.base,
            highest: heard.highest,
            received: heard.received,
            transit: heard.transit,
            jitter: heard.jitter,
            lost_before: heard.lost_before,
        }
    }

    /// From where the driver goes on counting, once it is told to count at all.
    pub fn set_heard(&self, port: Port, heard: &Heard) {
        let Some(words) = self.heard_words(port) else { return };
        let heard = MediaHeard {
            packets: heard.packets,
            bytes: heard.bytes,
            last_ns: u64::try_from(heard.last.as_nanos()).unwrap_or(u64::MAX),
            ssrc: heard.ssrc,
            base: heard.base,
            highest: heard.highest,
            received: heard.received,
            transit: heard.transit,
            jitter: heard.jitter,
            lost_before: heard.lost_before,
            spare: [0; 3],
        };
        for (word, value) in words.iter().zip(words_of(&heard)) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn settled(&self, port: Port, onward: &Onward) -> Option<MediaRule> {
        let own = self.own.iter().position(|own| *own == onward.from.ip())?;
        let &came = self.own.get(usize::from(port.own))?;
        let &interface = self.interfaces.get(onward.hop.interface)?;
        let differ = |one: SocketAddr, other: IpAddr| one.is_ipv4() != other.is_ipv4();
        if differ(onward.from, onward.to.ip()) || differ(onward.source, came) {
            return None;
        }
        let tag = onward.hop.vlan.map(|tag| tag & 0x0fff);
        let ports = [onward.from.port(), onward.to.port()].map(u16::to_be_bytes);
        Some(MediaRule {
            not_after: nanoseconds(onward.not_after),
            payload_types: [onward.payload_types as u64, (onward.payload_types >> 64) as u64],
            events: onward.events.into(),
            interface,
            bytes_max: onward.hop.payload_max.saturating_add(UDP_BYTES).min(0xffff) as u32,
            to: onward.to.ip().into(),
            own: own as u32,
            owner: onward.owner,
            ports,
            macs: [onward.hop.destination_mac, onward.hop.source_mac],
            tag: tag.unwrap_or_default().to_be_bytes(),
            tagged: tag.is_some().into(),
            traffic_class: onward.traffic_class.into(),
            udp_delta: udp_delta(SocketAddr::new(came, port.number), onward),
            ip_sum: ip_sum(onward).into(),
            ..known(onward.source)
        })
    }
}

/// A rule that says who is heard, and nothing more.
fn known(source: SocketAddr) -> MediaRule {
    MediaRule {
        source: source.ip().into(),
        port: source.port().to_be_bytes(),
        events: u16::MAX,
        ..MediaRule::default()
    }
}

/// What a UDP checksum grows by: the endpoints between which it came go, the new ones come.
fn udp_delta(came: SocketAddr, onward: &Onward) -> u16 {
    let gone = endpoint(onward.source) + endpoint(came);
    let come = endpoint(onward.from) + endpoint(onward.to);
    fold(come + u64::from(!fold(gone)))
}

/// Of the new IPv4 header but its length and checksum; 0 for IPv6.
fn ip_sum(onward: &Onward) -> u16 {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (onward.from.ip(), onward.to.ip()) else { return 0 };
    // Version, class; no fragments; hops, UDP.
    let head = [0x45, onward.traffic_class, 0x40, 0, HOP_LIMIT, 17];
    fold(words(&head) + words(&from.octets()) + words(&to.octets()))
}

fn endpoint(endpoint: SocketAddr) -> u64 {
    let address = match endpoint.ip() {
        IpAddr::V4(address) => words(&address.octets()),
        IpAddr::V6(address) => words(&address.octets()),
    };
    address + words(&endpoint.port().to_be_bytes())
}

/// The sum of 16-bit words as they lie in memory (RFC 1071 §2(B): the byte order of a sum is that of its words).
fn words(bytes: &[u8]) -> u64 {
    bytes.as_chunks().0.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum()
}

fn fold(sum: u64) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn words_of(value: &(impl IntoBytes + Immutable)) -> impl Iterator<Item = u64> {
    value.as_bytes().as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word))
}

/// What stands there, word by word.
fn read<const WORDS: usize, T: FromBytes>(words: &[AtomicU64]) -> Option<T> {
    let mut read = [0; WORDS];
    for (read, word) in read.iter_mut().zip(words) {
        *read = word.load(Ordering::Relaxed);
    }
    T::read_from_bytes(read.as_bytes()).ok()
}
