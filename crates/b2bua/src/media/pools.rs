//! The media ports of every own address: a leg takes its pairs from the address that has most of them left.
//!
//! Each service address has its own, and so has each address that carries media beside it; which those are is said
//! in the configuration, so that nobody's media ever comes from an address that its network was not told of. All
//! pairs of a leg are of one address, since a description of ours names one. An address that runs full is passed over
//! until pairs of it have rested.

use std::net::{IpAddr, SocketAddr};

use relay::Port;
use sip::sdp::Media;

use super::far::{FarEnd, rtcp_beside};
use super::{LegMedia, MediaPlane};
use crate::Instant;
use crate::limits::{Local, MediaLocal};
use crate::ports::{AddressPorts, PortCount, Ports};

/// One own address with its ports.
struct Pool {
    own: MediaLocal,
    ports: Ports,
    /// How often a leg wanted one in vain.
    missed: u64,
}

/// See the head of this file. Addresses are numbered as [`Port::address`] says.
pub(crate) struct Pools {
    pools: Box<[Pool]>,
}

impl Pools {
    /// The same range of ports of each address: of those that hear SIP, then of those that do not.
    pub(crate) fn new(range: (u16, u16), locals: &[Local], beside: &[MediaLocal]) -> Self {
        let all = locals.iter().map(MediaLocal::of).chain(beside.iter().copied());
        Self { pools: all.map(|own| Pool { own, ports: Ports::new(range), missed: 0 }).collect() }
    }

    /// A table for the flows of all of them.
    pub(crate) fn table(&self) -> relay::Table {
        let addresses: Vec<IpAddr> = self.pools.iter().map(|pool| pool.own.address).collect();
        let ports = &self.pools.first().expect("a switch has an own address").ports;
        let count = u16::try_from(ports.pairs() * 2).expect("pairs of u16 ports but the first");
        relay::Table::new(ports.first(), count, &addresses)
    }

    pub(crate) fn set_rest(&mut self, seconds: u32) {
        self.pools.iter_mut().for_each(|pool| pool.ports.set_rest(seconds));
    }

    /// It is this late: ports that have rested are free again.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.pools.iter_mut().for_each(|pool| pool.ports.wake(now));
    }

    /// How often a pair was taken.
    pub(crate) fn taken(&self) -> u64 {
        self.pools.iter().map(|pool| pool.ports.taken()).sum()
    }

    /// How many pairs of each address are what, in their order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = AddressPorts> {
        self.pools.iter().map(|pool| {
            let Pool { own, ports, missed } = pool;
            AddressPorts { address: own.address, count: ports.count(), missed: *missed }
        })
    }

    /// How many pairs of all of them are what.
    pub(crate) fn count(&self) -> PortCount {
        let counts = self.pools.iter().map(|pool| pool.ports.count());
        counts.fold(PortCount::default(), |all, one| PortCount {
            used: all.used + one.used,
            resting: all.resting + one.resting,
            free: all.free + one.free,
        })
    }

    /// How many pairs there are at all.
    pub(crate) fn pairs(&self) -> u32 {
        self.pools.iter().map(|pool| pool.ports.pairs()).sum()
    }

    /// Whether a leg of that service address would get a pair.
    pub(crate) fn has_room(&self, local: IpAddr) -> bool {
        self.freest(local).is_some_and(|pool| self.pools[pool].ports.count().free > 0)
    }

    /// Which of those that serve a service address has most free pairs; of equals the first.
    fn freest(&self, local: IpAddr) -> Option<usize> {
        let serving = self.pools.iter().enumerate().filter(|(_, pool)| pool.own.beside == local);
        let free = |pool: &Pool| pool.ports.count().free;
        let freest =
            serving.reduce(|best, one| if free(one.1) > free(best.1) { one } else { best });
        freest.map(|(place, _)| place)
    }

    /// A free pair for a leg of that service address: of the address of the one that it `holds` already, if any.
    pub(crate) fn reserve(
        &mut self,
        now: Instant,
        local: IpAddr,
        holds: Option<Port>,
    ) -> Option<Port> {
        let place = match holds {
            Some(port) => usize::from(port.address()),
            None => self.freest(local)?,
        };
        let pool = self.pools.get_mut(place)?;
        let Some(number) = pool.ports.reserve(now) else {
            pool.missed += 1;
            return None;
        };
        Some(Port::new(place as u8, number))
    }

    /// A leg of that service address got none: it is said of the address that would have been the first to have one.
    pub(crate) fn note_missed(&mut self, local: IpAddr) {
        let place = self.freest(local);
        if let Some(pool) = place.and_then(|place| self.pools.get_mut(place)) {
            pool.missed += 1;
        }
    }

    /// Takes this very pair, for a call that had it before a restart.
    pub(crate) fn reserve_port(&mut self, port: Port) -> bool {
        let pool = self.pools.get_mut(usize::from(port.address()));
        pool.is_some_and(|pool| pool.ports.reserve_port(port.number()))
    }

    pub(crate) fn release(&mut self, now: Instant, port: Port) {
        if let Some(pool) = self.pools.get_mut(usize::from(port.address())) {
            pool.ports.release(now, port.number());
        }
    }

    /// The same of one that nobody was told of.
    pub(crate) fn give_back(&mut self, port: Port) {
        if let Some(pool) = self.pools.get_mut(usize::from(port.address())) {
            pool.ports.give_back(port.number());
        }
    }

    /// The own address that a port is of.
    pub(crate) fn own(&self, port: Port) -> Option<&MediaLocal> {
        self.pools.get(usize::from(port.address())).map(|pool| &pool.own)
    }

    /// The place of an own address.
    pub(crate) fn place_of(&self, address: IpAddr) -> Option<u8> {
        self.pools.iter().position(|pool| pool.own.address == address).map(|place| place as u8)
    }

    /// Which address another call of ours means by what it told, on a leg of that service address.
    pub(crate) fn meant(&self, local: IpAddr, told: IpAddr) -> Option<IpAddr> {
        let is_meant = |own: &&MediaLocal| own.beside == local && own.advertised() == told;
        self.pools.iter().map(|pool| &pool.own).find(is_meant).map(|own| own.address)
    }
}

impl MediaPlane {
    /// Whether a leg of that service address has.
    pub(crate) fn has_room_at(&self, local: IpAddr) -> bool {
        self.pools.has_room(local)
    }

    /// It had not, and a call was refused for it.
    pub(crate) fn note_missed_at(&mut self, local: IpAddr) {
        self.pools.note_missed(local);
    }

    /// What a leg is told to send its media to.
    pub(crate) fn advertised(&self, leg: &LegMedia, local: &Local) -> IpAddr {
        let own = leg.open_ports().next().and_then(|port| self.pools.own(port));
        own.map_or(local.advertised(), MediaLocal::advertised)
    }

    /// The own address that carries a leg's media.
    pub(crate) fn address_of(&self, leg: &LegMedia) -> Option<IpAddr> {
        leg.open_ports().next().and_then(|port| self.pools.own(port)).map(|own| own.address)
    }

    /// Says of the ports of a leg, of which the numbers alone are known, that they are of this own address. Whether
    /// there is such a one.
    pub(crate) fn place_ports(&self, leg: &mut LegMedia, address: Option<IpAddr>) -> bool {
        let place = address.and_then(|address| self.pools.place_of(address));
        for port in leg.ports.iter_mut().filter(|port| !port.is_none()) {
            let Some(place) = place else { return false };
            *port = Port::new(place, port.number());
        }
        true
    }

    /// The far end of a leg that is another call of ours, by what that one told: at the same service address, or at
    /// one beside it. Of one on hold it may say nothing; then it is where it was.
    pub(super) fn inside_end(&self, port: Port, media: &Media<'_>, own: &Local) -> FarEnd {
        let number = Some(media.port).filter(|&number| number != 0)?;
        let told = media.connection.and_then(|connection| connection.ip);
        let meant = || self.pools.meant(own.address, told?);
        let before = || self.snapshot(port).remote.filter(|before| before.port() == number);
        let address = meant().or_else(|| before().map(|before| before.ip()));
        let rtp = SocketAddr::new(address.unwrap_or(own.address), number);
        Some((Some(rtp), rtcp_beside(rtp)))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::limits::StreamPorts;

    const NOW: Instant = Duration::from_secs(1_000);
    const CUSTOMERS: &str = "192.0.2.1";
    const BESIDE: &str = "192.0.2.2";
    const VENDORS: &str = "203.0.113.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn pools(range: (u16, u16)) -> Pools {
        let locals = [CUSTOMERS, VENDORS].map(|address| Local {
            address: ip(address),
            sip_port: 5060,
            prefix_bits: 24,
            advertise: None,
            stream_ports: StreamPorts::default(),
        });
        let advertise = Some(ip("198.51.100.2"));
        let beside = MediaLocal { address: ip(BESIDE), advertise, beside: ip(CUSTOMERS) };
        Pools::new(range, &locals, &[beside])
    }

    #[test]
    fn a_leg_takes_its_pairs_where_most_are_left_and_all_at_one_address() {
        let mut pools = pools((10_000, 10_007));
        let mut take = |holds| pools.reserve(NOW, ip(CUSTOMERS), holds);
        assert_eq!(take(None), Some(Port::new(0, 10_000)), "of equals the first");
        assert_eq!(take(None), Some(Port::new(2, 10_000)));
        let held = take(None);
        assert_eq!(held, Some(Port::new(0, 10_002)));
        assert_eq!(take(held), Some(Port::new(0, 10_004)));
        assert_eq!(take(held), Some(Port::new(0, 10_006)));
        assert_eq!(take(held), None, "that address is full");
        let others: Vec<_> = std::iter::from_fn(|| take(None)).collect();
        assert_eq!(others, [10_002, 10_004, 10_006].map(|number| Port::new(2, number)));
        assert!(!pools.has_room(ip(CUSTOMERS)) && pools.has_room(ip(VENDORS)));
        assert_eq!(pools.reserve(NOW, ip(VENDORS), None), Some(Port::new(1, 10_000)));
        assert_eq!(pools.reserve(NOW, ip("10.0.0.1"), None), None, "nobody's");
        pools.release(NOW, Port::new(2, 10_004));
        assert!(pools.has_room(ip(CUSTOMERS)));
        assert_eq!(pools.counts().map(|one| one.count.free).collect::<Vec<_>>(), [0, 3, 1]);
        pools.note_missed(ip(VENDORS));
        let missed: Vec<_> = pools.counts().map(|one| (one.address, one.missed)).collect();
        assert_eq!(missed, [(ip(CUSTOMERS), 2), (ip(VENDORS), 1), (ip(BESIDE), 0)]);
    }

    #[test]
    fn two_addresses_hold_twenty_thousand_pairs_and_each_is_another() {
        let mut pools = pools((2, 65_535));
        let taken: std::collections::HashSet<Port> =
            (0..20_000 * 2).filter_map(|_| pools.reserve(NOW, ip(CUSTOMERS), None)).collect();
        assert_eq!(taken.len(), 40_000);
        assert_eq!(pools.count().used, 40_000);
        for port in taken {
            pools.release(NOW, port);
        }
        assert_eq!(pools.count().used, 0);
    }

    #[test]
    fn what_another_call_was_told_is_known_again() {
        let pools = pools((10_000, 10_007));
        let meant = |told| pools.meant(ip(CUSTOMERS), ip(told));
        assert_eq!(meant("198.51.100.2"), Some(ip(BESIDE)));
        assert_eq!(meant(CUSTOMERS), Some(ip(CUSTOMERS)));
        assert_eq!(meant(VENDORS), None, "that is of another network");
        assert_eq!(pools.place_of(ip(BESIDE)), Some(2));
    }
}
