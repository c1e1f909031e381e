//! How many connections there may be, and how long each may do nothing: parameters, as control says them.
//!
//! Whoever connects is a stranger until we have served him. Of one source there may be few strangers, and
//! all of them together are half of all connections at most: that is what an attacker can take. Those whom
//! we served, an office full of phones behind one address or a carrier's border, may be many, though never
//! more than half of all. Some room is nobody's but ours, for the connections that we open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use link::order::Parameters;

/// One of so many places is kept for connections that we open.
const OWN_SHARE: u32 = 8;

/// The parameters of connections, written by workers and read by every connection.
#[derive(Debug)]
pub(super) struct Limits {
    idle_s: AtomicU32,
    patience_s: AtomicU32,
    probe_s: AtomicU32,
    per_source_max: AtomicU32,
    all_max: AtomicU32,
    close_reset: AtomicU32,
    dscp: AtomicU32,
}

impl Limits {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let limits = Self {
            idle_s: AtomicU32::default(),
            patience_s: AtomicU32::default(),
            probe_s: AtomicU32::default(),
            per_source_max: AtomicU32::default(),
            all_max: AtomicU32::default(),
            close_reset: AtomicU32::default(),
            dscp: AtomicU32::default(),
        };
        limits.set(parameters);
        limits
    }

    pub(super) fn set(&self, parameters: &Parameters) {
        for (limit, value) in [
            (&self.idle_s, parameters.stream_idle_s),
            (&self.patience_s, parameters.stream_patience_s),
            (&self.probe_s, parameters.stream_probe_s),
            (&self.per_source_max, parameters.streams_per_source_max),
            (&self.all_max, parameters.streams_max),
            (&self.close_reset, parameters.tcp_close_reset),
            (&self.dscp, parameters.dscp_sip),
        ] {
            limit.store(value, Ordering::Relaxed);
        }
    }

    /// How long a connection may bring nothing.
    pub(super) fn idle(&self) -> Duration {
        match self.idle_s.load(Ordering::Relaxed) {
            0 => Duration::from_secs(10 * 365 * 86_400),
            seconds => Duration::from_secs(seconds.into()),
        }
    }

    /// After what silence a peer is asked whether it is still there. `None`: never.
    pub(super) fn probe(&self) -> Option<Duration> {
        let seconds = self.probe_s.load(Ordering::Relaxed);
        (seconds != 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// How long what has begun may take: connecting, a handshake, a message.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s.load(Ordering::Relaxed).max(1).into())
    }

    /// How many connections there may be. `None`: as many as come.
    fn most(&self) -> Option<u32> {
        Some(self.all_max.load(Ordering::Relaxed)).filter(|&most| most != 0)
    }

    pub(super) fn closes_by_reset(&self) -> bool {
        self.close_reset.load(Ordering::Relaxed) != 0
    }

    pub(super) fn dscp(&self) -> u8 {
        (self.dscp.load(Ordering::Relaxed) & 63) as u8
    }
}

/// What a peer who connected has shown us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing yet.
    Stranger,
    /// A REGISTER or a call of his was served by this connection.
    Served,
}

/// The connections of one source.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    strangers: u32,
    served: u32,
}

/// The connections there are.
#[derive(Debug, Default)]
pub(super) struct Census {
    all: u32,
    /// Those that peers opened.
    inward: u32,
    strangers: u32,
    by_source: HashMap<IpAddr, Share>,
}

/// The network whose connections count together: a subscriber of IPv6 has a /64.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

impl Census {
    /// Counts a connection that a stranger opened. Whether there was room for it.
    pub(super) fn admit(&mut self, limits: &Limits, ip: IpAddr) -> bool {
        let own = self.by_source.get(&source_of(ip)).copied().unwrap_or_default();
        let strangers_max = limits.per_source_max.load(Ordering::Relaxed);
        let most = limits.most();
        let is_over_half = |count| most.is_some_and(|most| count >= (most / 2).max(1));
        let is_over_share =
            own.strangers >= strangers_max || is_over_half(own.strangers + own.served);
        let is_full = most.is_some_and(|most| self.inward >= most - most / OWN_SHARE);
        if strangers_max != 0 && is_over_share
            || is_full
            || is_over_half(self.strangers)
            || !self.admit_own(limits)
        {
            return false;
        }
        self.inward += 1;
        self.strangers += 1;
        let own = Share { strangers: own.strangers + 1, ..own };
        self.by_source.insert(source_of(ip), own);
        true
    }

    /// A stranger was served: he makes room for the next.
    pub(super) fn serve(&mut self, source: IpAddr) {
        if let Some(own) = self.by_source.get_mut(&source_of(source)) {
            own.strangers -= 1;
            own.served += 1;
            self.strangers -= 1;
        }
    }

    /// Counts a connection of ours. Whether there was room for it.
    pub(super) fn admit_own(&mut self, limits: &Limits) -> bool {
        let fits = limits.most().is_none_or(|most| self.all < most);
        self.all += u32::from(fits);
        fits
    }

    /// A connection is gone; `source` is that of one which a peer opened, and what he was.
    pub(super) fn release(&mut self, source: Option<(IpAddr, Standing)>) {
        self.all -= 1;
        let Some((source, standing)) = source else { return };
        let source = source_of(source);
        self.inward -= 1;
        self.strangers -= u32::from(standing == Standing::Stranger);
        if let Some(own) = self.by_source.get_mut(&source) {
            match standing {
                Standing::Stranger => own.strangers -= 1,
                Standing::Served => own.served -= 1,
            }
            if own.strangers + own.served == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_share_and_all_have_theirs() {
        let parameters =
            Parameters { streams_per_source_max: 2, streams_max: 6, ..Parameters::default() };
        let limits = Limits::new(&parameters);
        let mut census = Census::default();
        let ip = |text: &str| text.parse().unwrap();
        assert!(census.admit(&limits, ip("2001:db8::1")));
        assert!(census.admit(&limits, ip("2001:db8::2")));
        assert!(!census.admit(&limits, ip("2001:db8::3")), "one network");
        assert!(census.admit(&limits, ip("2001:db8:0:1::1")));
        assert!(!census.admit(&limits, ip("192.0.2.1")), "half are strangers");
        assert!((0..3).all(|_| census.admit_own(&limits)));
        assert!(!census.admit_own(&limits));
        census.release(Some((ip("2001:db8::9"), Standing::Stranger)));
        assert!(census.admit(&limits, ip("2001:db8::3")));
        limits.set(&Parameters { streams_max: 0, streams_per_source_max: 0, ..parameters });
        assert!((0..100).all(|_| census.admit(&limits, ip("192.0.2.1"))));
        for _ in 0..100 {
            census.release(Some((ip("192.0.2.1"), Standing::Stranger)));
        }
        census.release(None);
        assert_eq!((census.all, census.inward, census.strangers), (5, 3, 3));
        assert_eq!(census.by_source.len(), 2);
    }

    #[test]
    fn peers_leave_room_for_the_connections_that_we_open() {
        let parameters = Parameters { streams_max: 16, ..Parameters::default() };
        let limits = Limits::new(&parameters);
        let mut census = Census::default();
        let offices = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let mut served = 0;
        for office in offices.into_iter().cycle().take(20) {
            if census.admit(&limits, office) {
                census.serve(office);
                served += 1;
            }
        }
        assert_eq!(served, 14);
        assert!(census.admit_own(&limits) && census.admit_own(&limits));
        assert!(!census.admit_own(&limits));
    }

    #[test]
    fn whoever_is_served_makes_room_for_the_next_up_to_half_of_all() {
        let parameters =
            Parameters { streams_per_source_max: 2, streams_max: 20, ..Parameters::default() };
        let limits = Limits::new(&parameters);
        let mut census = Census::default();
        let office = "192.0.2.1".parse().unwrap();
        for _ in 0..10 {
            assert!(census.admit(&limits, office));
            census.serve(office);
        }
        assert!(!census.admit(&limits, office), "half of all");
        census.release(Some((office, Standing::Served)));
        assert!(census.admit(&limits, office));
        let stranger = "192.0.2.2".parse().unwrap();
        assert_eq!([(); 3].map(|()| census.admit(&limits, stranger)), [true, true, false]);
        census.release(Some((stranger, Standing::Stranger)));
        assert!(census.admit(&limits, stranger));
        // Without a limit of one source there is none of half either.
        limits.set(&Parameters { streams_per_source_max: 0, ..parameters });
        assert!((0..6).all(|_| census.admit(&limits, office)));
        assert!(!census.admit(&limits, office), "all have their limit");
    }
}
