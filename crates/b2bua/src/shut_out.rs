//! Who failed to log in too often: refused before anything of it is read further, and control not asked.
//!
//! Control decides and says until when ([`link::order::ShutOut`]); here is what a worker needs to obey,
//! each in the one place that its hash gives it. Who is forgotten because two met there is still refused,
//! by control. While nobody is shut out, nothing is looked up.

use core::hash::Hasher;
use core::net::IpAddr;
use core::time::Duration;

use link::order;
use siphasher::sip::SipHasher24;

use crate::Instant;

/// Places, of which each has one.
const PLACES: usize = 8_192;

/// One of them, and until when it holds.
#[derive(Clone, Copy)]
struct Entry {
    mark: u64,
    until: Instant,
    status: u16,
}

/// See the head of this file.
pub(crate) struct ShutOut {
    places: Box<[Entry]>,
    /// Nobody is shut out from then on.
    last: Instant,
    key: [u8; 16],
}

impl ShutOut {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let nobody = Entry { mark: 0, until: Instant::ZERO, status: 0 };
        Self { places: vec![nobody; PLACES].into_boxed_slice(), last: Instant::ZERO, key }
    }

    /// Strangers choose the names, so the hash has a key.
    fn mark(&self, endpoint: &[u8], source: IpAddr) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        let address = match source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hasher.write(&address.octets());
        hasher.write(endpoint);
        hasher.finish()
    }

    pub(crate) fn handle_order(&mut self, order: &order::ShutOut) {
        let Some(source) = order.source.socket_address() else { return };
        let mark = self.mark(order.endpoint.as_bytes(), source.ip());
        let until = Duration::from_micros(order.until_us);
        let place = &mut self.places[mark as usize % PLACES];
        if until > Duration::ZERO || place.mark == mark {
            *place = Entry { mark, until, status: order.status };
        }
        self.last = self.last.max(until);
    }

    /// By which status an endpoint is refused from there, if it is; 0: by none at all.
    pub(crate) fn find(&self, now: Instant, endpoint: &[u8], source: IpAddr) -> Option<u16> {
        if now >= self.last {
            return None;
        }
        [&b""[..], endpoint].into_iter().find_map(|endpoint| {
            let mark = self.mark(endpoint, source);
            let known = self.places[mark as usize % PLACES];
            (known.mark == mark && now < known.until).then_some(known.status)
        })
    }
}

#[cfg(test)]
mod tests {
    use link::{Endpoint, Text};

    use super::*;

    fn order(endpoint: &str, source: &str, until_s: u64, status: u16) -> order::ShutOut {
        let source: core::net::SocketAddr = source.parse().unwrap();
        order::ShutOut {
            source: Endpoint::from(source),
            until_us: until_s * 1_000_000,
            endpoint: Text::cut(endpoint.as_bytes()),
            status,
            spare: 0,
        }
    }

    #[test]
    fn who_is_shut_out_is_refused_from_there_until_the_time_is_over_or_it_is_let_in() {
        let mut all = ShutOut::new([7; 16]);
        let (evil, other): (IpAddr, IpAddr) =
            ("198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let find = |all: &ShutOut, now_s, endpoint: &str, source| {
            all.find(Duration::from_secs(now_s), endpoint.as_bytes(), source)
        };
        assert_eq!(find(&all, 0, "alice", evil), None);
        all.handle_order(&order("alice", "198.51.100.1:0", 180, 403));
        all.handle_order(&order("", "[2001:db8::1]:0", 60, 0));
        assert_eq!(find(&all, 179, "alice", evil), Some(403));
        assert_eq!(find(&all, 179, "bob", evil), None);
        assert_eq!(find(&all, 59, "whoever", other), Some(0));
        assert_eq!(find(&all, 60, "whoever", other), None);
        assert_eq!(find(&all, 180, "alice", evil), None);
        all.handle_order(&order("alice", "198.51.100.1:0", 0, 0));
        assert_eq!(find(&all, 1, "alice", evil), None);
    }
}
