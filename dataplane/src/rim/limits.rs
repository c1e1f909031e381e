//! How many connections there may be, and how long each may do nothing: parameters, as control says them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use link::order::Parameters;

/// The parameters of connections, written by workers and read by every connection.
#[derive(Debug)]
pub(super) struct Limits {
    idle_s: AtomicU32,
    patience_s: AtomicU32,
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

    /// How long what has begun may take: connecting, a handshake, a message.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s.load(Ordering::Relaxed).max(1).into())
    }

    pub(super) fn closes_by_reset(&self) -> bool {
        self.close_reset.load(Ordering::Relaxed) != 0
    }

    pub(super) fn dscp(&self) -> u8 {
        (self.dscp.load(Ordering::Relaxed) & 63) as u8
    }
}

/// The connections there are.
#[derive(Debug, Default)]
pub(super) struct Census {
    all: u32,
    by_source: HashMap<IpAddr, u32>,
}

/// The network whose connections count together: a subscriber of IPv6 has a /64.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

impl Census {
    /// Counts a connection that a peer opened. Whether there was room for it.
    pub(super) fn admit(&mut self, limits: &Limits, ip: IpAddr) -> bool {
        let own = self.by_source.get(&source_of(ip)).copied().unwrap_or(0);
        let most = limits.per_source_max.load(Ordering::Relaxed);
        if most != 0 && own >= most || !self.admit_own(limits) {
            return false;
        }
        self.by_source.insert(source_of(ip), own + 1);
        true
    }

    /// Counts a connection of ours. Whether there was room for it.
    pub(super) fn admit_own(&mut self, limits: &Limits) -> bool {
        let most = limits.all_max.load(Ordering::Relaxed);
        let fits = most == 0 || self.all < most;
        self.all += u32::from(fits);
        fits
    }

    /// A connection is gone; `source` is that of one which a peer opened.
    pub(super) fn release(&mut self, source: Option<IpAddr>) {
        self.all -= 1;
        let Some(source) = source.map(source_of) else { return };
        if let Some(own) = self.by_source.get_mut(&source) {
            *own -= 1;
            if *own == 0 {
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
            Parameters { streams_per_source_max: 2, streams_max: 4, ..Parameters::default() };
        let limits = Limits::new(&parameters);
        let mut census = Census::default();
        let ip = |text: &str| text.parse().unwrap();
        assert!(census.admit(&limits, ip("2001:db8::1")));
        assert!(census.admit(&limits, ip("2001:db8::2")));
        assert!(!census.admit(&limits, ip("2001:db8::3")), "one network");
        assert!(census.admit(&limits, ip("2001:db8:0:1::1")));
        assert!(census.admit_own(&limits));
        assert!(!census.admit_own(&limits));
        assert!(!census.admit(&limits, ip("192.0.2.1")));
        census.release(Some(ip("2001:db8::9")));
        assert!(census.admit(&limits, ip("2001:db8::3")));
        limits.set(&Parameters { streams_max: 0, streams_per_source_max: 0, ..parameters });
        assert!((0..100).all(|_| census.admit(&limits, ip("192.0.2.1"))));
        for _ in 0..100 {
            census.release(Some(ip("192.0.2.1")));
        }
        census.release(None);
        assert_eq!((census.all, census.by_source.len()), (3, 2));
    }
}
