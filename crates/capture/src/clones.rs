//! What differs between the calls that are made of one: addresses or ports, RTP sources, and a mark behind
//! each identity.
//!
//! Calls have *slots*: two calls that run at the same time have different ones, and a slot has its addresses
//! for ever. Every call has a *number* of its own, also those that follow each other in one slot
//! (number = round × slots + slot), and from it come sources and identities. So a switch under test sees as
//! many phones as there are slots, and never the same call twice.

use std::net::{IpAddr, SocketAddr};

use crate::address::Readdress;

/// Hexadecimal digits of a mark, behind its hyphen.
const MARK_DIGITS: usize = 8;
/// Bytes of a mark.
pub(crate) const MARK_BYTES: usize = MARK_DIGITS + 1;
/// Spaces between the addresses of one host's clones that are tried.
const STEPS_MAX: u32 = 65_536;
/// An odd factor permutes the 2^32 sources; this is its inverse.
const SOURCE_FACTOR: u32 = 0x9e37_79b1;
const SOURCE_INVERSE: u32 = inverse(SOURCE_FACTOR);
const SOURCE_MASK: u32 = 0x5bd1_e995;

/// Of an odd number, modulo 2^32 (Newton: each step doubles the bits that are right).
const fn inverse(odd: u32) -> u32 {
    let mut found: u32 = 1;
    let mut step = 0;
    while step < 5 {
        found = found.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(found)));
        step += 1;
    }
    found
}
const _: () = assert!(SOURCE_FACTOR.wrapping_mul(SOURCE_INVERSE) == 1);

/// Why there cannot be so many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloneFault {
    /// None at all.
    #[error("at least one call")]
    None,
    /// The ports of a host that keeps its address do not suffice.
    #[error(
        "{host} keeps its address and has media ports for {calls} calls; let it have more addresses, or fewer calls"
    )]
    Ports {
        /// Whose.
        host: IpAddr,
        /// For how many there are.
        calls: u32,
    },
    /// There are no addresses behind a host's own.
    #[error("behind {0} there are not as many addresses")]
    Addresses(IpAddr),
}

/// How the calls differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clones {
    slots: u32,
    streams: u32,
    /// Hosts of the captured call that are given an address per slot.
    moving: Vec<IpAddr>,
    /// Hosts that are not.
    kept: Vec<IpAddr>,
    /// Media ends of those.
    media: Vec<SocketAddr>,
    /// Between the addresses of two slots.
    address_step: u32,
    /// Between the ports of two slots.
    port_step: u32,
    fresh: bool,
    keep_sources: bool,
}

/// What of a packet is different in one stream of one call, as the driver's patch wants it: words are summed
/// as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPatch {
    /// The family.
    pub is_v6: bool,
    /// Both addresses; of IPv4 the first eight bytes.
    pub addresses: [u8; 32],
    /// Both ports.
    pub ports: [u8; 4],
    /// The RTP source.
    pub source: [u8; 4],
    /// Sum of words of the addresses, new less old.
    pub address_sum: u32,
    /// The same of ports and source.
    pub rest_sum: u32,
}

impl Clones {
    /// The capture as it is, again and again: nothing differs.
    #[must_use]
    pub fn verbatim() -> Self {
        Self {
            slots: 1,
            streams: 0,
            moving: Vec::new(),
            kept: Vec::new(),
            media: Vec::new(),
            address_step: 1,
            port_step: 0,
            fresh: false,
            keep_sources: true,
        }
    }

    /// `slots` calls at a time, of a captured call with so many RTP streams between these hosts with these
    /// media ends. The `kept` hosts keep their addresses and get ports instead. With `keep_sources` RTP
    /// sources stay as they are: for SRTP, whose packets are signed with them.
    ///
    /// # Errors
    /// When addresses or ports do not suffice.
    pub fn new(
        slots: u32,
        streams: u32,
        hosts: &[IpAddr],
        kept: &[IpAddr],
        media: &[SocketAddr],
        keep_sources: bool,
    ) -> Result<Self, CloneFault> {
        if slots == 0 {
            return Err(CloneFault::None);
        }
        let is_kept = |host: &IpAddr| kept.contains(host);
        let moving: Vec<IpAddr> = hosts.iter().copied().filter(|host| !is_kept(host)).collect();
        let kept: Vec<IpAddr> = hosts.iter().copied().filter(is_kept).collect();
        let media: Vec<SocketAddr> =
            media.iter().copied().filter(|end| kept.contains(&end.ip())).collect();
        let range = |host: &IpAddr| {
            let ports = || media.iter().filter(|end| end.ip() == *host).map(SocketAddr::port);
            Some((ports().min()?, ports().max()?))
        };
        // Pairs of RTP and RTCP stay pairs.
        let span = |(first, last): (u16, u16)| (u32::from(last - first) + 1).next_multiple_of(2);
        let port_step = kept.iter().filter_map(range).map(span).max().unwrap_or(0);
        for host in &kept {
            let Some((_, last)) = range(host) else { continue };
            let room = u32::from(u16::MAX - last) / port_step.max(1) + 1;
            if slots > room {
                return Err(CloneFault::Ports { host: *host, calls: room });
            }
        }
        let address_step = step(&moving, &kept, slots);
        for host in &moving {
            let furthest = u64::from(slots - 1) * u64::from(address_step);
            let there = match host {
                IpAddr::V4(host) => u64::from(host.to_bits()) + furthest <= u32::MAX.into(),
                IpAddr::V6(host) => host.to_bits().checked_add(furthest.into()).is_some(),
            };
            if !there {
                return Err(CloneFault::Addresses(*host));
            }
        }
        Ok(Self {
            slots,
            streams,
            moving,
            kept,
            media,
            address_step,
            port_step,
            fresh: true,
            keep_sources,
        })
    }

    /// Calls at a time.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Whether every call is the captured one, byte for byte.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        !self.fresh
    }

    /// The slot of a call.
    #[must_use]
    pub fn slot(&self, call: u64) -> u32 {
        (call % u64::from(self.slots.max(1))) as u32
    }

    /// The RTP source of a stream in a call.
    pub(crate) fn source(&self, call: u64, stream: u32, captured: u32) -> u32 {
        if !self.fresh || self.keep_sources {
            return captured;
        }
        let number = (call as u32).wrapping_mul(self.streams).wrapping_add(stream);
        number.wrapping_mul(SOURCE_FACTOR) ^ SOURCE_MASK
    }

    /// Whose source that is: call and stream. `None`: sources do not tell.
    pub(crate) fn whose(&self, source: u32) -> Option<(u64, u32)> {
        if !self.fresh || self.keep_sources || self.streams == 0 {
            return None;
        }
        let number = (source ^ SOURCE_MASK).wrapping_mul(SOURCE_INVERSE);
        Some((u64::from(number / self.streams), number % self.streams))
    }

    /// What stands behind each identity of a call.
    pub(crate) fn mark(&self, call: u64) -> ([u8; MARK_BYTES], usize) {
        let mut mark = [b'-'; MARK_BYTES];
        for (place, digit) in mark.iter_mut().skip(1).enumerate() {
            let nibble = call >> (4 * (MARK_DIGITS - 1 - place)) & 15;
            *digit = b"0123456789abcdef"[nibble as usize];
        }
        (mark, if self.fresh { MARK_BYTES } else { 0 })
    }

    /// The addresses of a slot.
    pub(crate) fn of_slot(&self, slot: u32) -> OfSlot<'_> {
        OfSlot { clones: self, slot }
    }

    pub(crate) fn patch(
        &self,
        call: u64,
        stream: u32,
        old: [SocketAddr; 2],
        source: u32,
    ) -> StreamPatch {
        let of_slot = self.of_slot(self.slot(call));
        let new = old.map(|end| of_slot.end(end));
        let written = self.source(call, stream, source).to_be_bytes();
        let (before, is_v6) = both(old);
        let (addresses, _) = both(new);
        let ports = |ends: [SocketAddr; 2]| {
            let [[a, b], [c, d]] = ends.map(|end| end.port().to_be_bytes());
            [a, b, c, d]
        };
        let (old_ports, ports) = (ports(old), ports(new));
        StreamPatch {
            is_v6,
            addresses,
            ports,
            source: written,
            address_sum: change(&before, &addresses),
            rest_sum: change(&old_ports, &ports) + change(&source.to_be_bytes(), &written),
        }
    }
}

fn both(ends: [SocketAddr; 2]) -> ([u8; 32], bool) {
    let mut bytes = [0; 32];
    let mut is_v6 = false;
    for (place, end) in ends.iter().enumerate() {
        match end.ip() {
            IpAddr::V4(host) => {
                if let Some(room) = bytes.get_mut(place * 4..place * 4 + 4) {
                    room.copy_from_slice(&host.octets());
                }
            }
            IpAddr::V6(host) => {
                is_v6 = true;
                if let Some(room) = bytes.get_mut(place * 16..place * 16 + 16) {
                    room.copy_from_slice(&host.octets());
                }
            }
        }
    }
    (bytes, is_v6)
}

/// Of 16-bit words as they lie, new less old, in ones' complement.
fn change(old: &[u8], new: &[u8]) -> u32 {
    let word = |pair: &[u8]| u16::from_ne_bytes(pair.try_into().unwrap_or_default());
    let pairs = old.chunks_exact(2).zip(new.chunks_exact(2));
    pairs
        .filter(|(old, new)| old != new)
        .map(|(old, new)| u32::from(word(new)) + u32::from(!word(old)))
        .sum()
}

/// The least step by which no host's clone gets an address of another host's.
fn step(hosts: &[IpAddr], kept: &[IpAddr], slots: u32) -> u32 {
    let apart = |a: &IpAddr, b: &IpAddr| match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(u128::from(a.to_bits().abs_diff(b.to_bits()))),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(a.to_bits().abs_diff(b.to_bits())),
        _ => None,
    };
    let clash = |step: u32| {
        hosts.iter().enumerate().any(|(place, host)| {
            let others = hosts.iter().skip(place + 1).chain(kept);
            let others = others.filter_map(|other| apart(host, other));
            others.into_iter().any(|apart| {
                apart % u128::from(step) == 0 && apart / u128::from(step) < u128::from(slots)
            })
        })
    };
    (1..STEPS_MAX).find(|&step| !clash(step)).unwrap_or(STEPS_MAX)
}

/// The addresses of one slot.
pub(crate) struct OfSlot<'c> {
    clones: &'c Clones,
    slot: u32,
}

impl Readdress for OfSlot<'_> {
    fn host(&self, host: IpAddr) -> IpAddr {
        if self.slot == 0 || !self.clones.moving.contains(&host) {
            return host;
        }
        let further = u64::from(self.slot) * u64::from(self.clones.address_step);
        // That they are there was seen to by `Clones::new`.
        match host {
            IpAddr::V4(host) => IpAddr::V4(host.to_bits().wrapping_add(further as u32).into()),
            IpAddr::V6(host) => IpAddr::V6(host.to_bits().wrapping_add(further.into()).into()),
        }
    }

    fn end(&self, end: SocketAddr) -> SocketAddr {
        if self.slot != 0
            && self.clones.kept.contains(&end.ip())
            && self.clones.media.contains(&end)
        {
            let further = (self.slot * self.clones.port_step) as u16;
            return SocketAddr::new(end.ip(), end.port().wrapping_add(further));
        }
        SocketAddr::new(self.host(end.ip()), end.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn host(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn end(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn no_clone_has_an_address_of_another() {
        let hosts = [host("10.0.0.1"), host("10.0.0.2"), host("10.0.0.9"), host("fd00::1")];
        let clones = Clones::new(1_000, 2, &hosts, &[], &[], false).unwrap();
        let mut seen = HashSet::new();
        for slot in 0..1_000 {
            for host in hosts {
                assert!(seen.insert(clones.of_slot(slot).host(host)), "{slot} {host}");
            }
        }
    }

    #[test]
    fn a_host_that_keeps_its_address_gets_pairs_of_ports_of_its_own() {
        let (phone, switch) = (host("10.0.0.1"), host("10.0.0.2"));
        let media = [end("10.0.0.1:4000"), end("10.0.0.2:6000"), end("10.0.0.2:6001")];
        let clones = Clones::new(100, 2, &[phone, switch], &[switch], &media, false).unwrap();
        let of_slot = clones.of_slot(7);
        assert_eq!(of_slot.end(end("10.0.0.2:6001")), end("10.0.0.2:6015"));
        assert_eq!(of_slot.end(end("10.0.0.2:5060")), end("10.0.0.2:5060"));
        assert_eq!(of_slot.end(end("10.0.0.1:4000")), end("10.0.0.15:4000"));
        assert!((0..100).all(|slot| clones.of_slot(slot).host(phone) != switch));
        let fault = Clones::new(30_000, 2, &[phone, switch], &[switch], &media, false);
        assert_eq!(fault, Err(CloneFault::Ports { host: switch, calls: 29_768 }));
        assert!(Clones::new(29_768, 2, &[phone, switch], &[switch], &media, false).is_ok());
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let last = host("255.255.255.250");
        assert_eq!(Clones::new(7, 1, &[last], &[], &[], false), Err(CloneFault::Addresses(last)));
        assert!(Clones::new(6, 1, &[last], &[], &[], false).is_ok());
        assert_eq!(Clones::new(0, 1, &[], &[], &[], false), Err(CloneFault::None));
    }

    #[test]
    fn a_source_tells_its_call_and_stream() {
        let clones = Clones::new(1_000, 3, &[], &[], &[], false).unwrap();
        for call in [0, 1, 999, 1_000_000] {
            for stream in 0..3 {
                let source = clones.source(call, stream, 7);
                assert_eq!(clones.whose(source), Some((call, stream)));
            }
        }
        assert_eq!(Clones::verbatim().source(5, 0, 7), 7);
        assert_eq!(Clones::verbatim().whose(7), None);
    }

    #[test]
    fn a_mark_is_the_calls_number() {
        let clones = Clones::new(2, 1, &[], &[], &[], false).unwrap();
        assert_eq!(clones.mark(0x1a2b), (*b"-00001a2b", MARK_BYTES));
        assert_eq!(Clones::verbatim().mark(3).1, 0);
    }
}
