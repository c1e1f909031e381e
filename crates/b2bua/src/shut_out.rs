//! Who failed to log in too often: refused before anything of it is read further, and control not asked.
//!
//! Control decides and says until when ([`link::order::ShutOut`]); here is what a worker needs to obey,
//! each in the one place that its hash gives it. Who is forgotten because two met there is still refused,
//! by control. While nobody is shut out, nothing is looked up.
//!
//! What was refused is counted where the entry lies, and told to control once a second: a count here costs a
//! dictionary's request nothing that it does not cost anyway.

use core::hash::Hasher;
use core::net::IpAddr;
use core::time::Duration;

use link::report::{REFUSALS_MAX, Refusals, Refused};
use link::{Report, order};
use siphasher::sip::SipHasher24;

use crate::Instant;
use crate::action::Action;
use crate::switch::Switch;

/// Places, of which each has one.
const PLACES: usize = 8_192;

/// How often control hears what was refused, and in how many reports at most; the rest waits for the next time.
const TELL_EVERY: Duration = Duration::from_secs(1);
const REPORTS_MAX: usize = 8;

/// One of them, and until when it holds.
#[derive(Clone, Copy)]
struct Entry {
    mark: u64,
    until: Instant,
    status: u16,
    /// By which control knows it.
    number: u32,
    /// Requests that control has not heard of.
    refused: u32,
    /// Whether the place stands in `untold`; it stays there whoever comes to lie in it.
    listed: bool,
}

/// See the head of this file.
pub(crate) struct ShutOut {
    places: Box<[Entry]>,
    /// Places that refused something, each once.
    untold: Vec<u16>,
    /// Whether control is about to be told.
    armed: bool,
    /// Nobody is shut out from then on.
    last: Instant,
    key: [u8; 16],
}

impl ShutOut {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let nobody = Entry {
            mark: 0,
            until: Instant::ZERO,
            status: 0,
            number: 0,
            refused: 0,
            listed: false,
        };
        let places = vec![nobody; PLACES].into_boxed_slice();
        let untold = Vec::with_capacity(PLACES);
        Self { places, untold, armed: false, last: Instant::ZERO, key }
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
            let refused = if place.number == order.number { place.refused } else { 0 };
            let (status, number) = (order.status, order.number);
            *place = Entry { mark, until, status, number, refused, ..*place };
        }
        self.last = self.last.max(until);
    }

    /// By which status an endpoint is refused from there, if it is; 0: by none at all. It is counted.
    pub(crate) fn turn_away(
        &mut self,
        now: Instant,
        endpoint: &[u8],
        source: IpAddr,
    ) -> Option<u16> {
        if now >= self.last {
            return None;
        }
        let place = [&b""[..], endpoint].into_iter().find_map(|endpoint| {
            let mark = self.mark(endpoint, source);
            let place = mark as usize % PLACES;
            let known = self.places[place];
            (known.mark == mark && now < known.until).then_some(place)
        })?;
        let entry = &mut self.places[place];
        entry.refused = entry.refused.saturating_add(1);
        if !entry.listed {
            entry.listed = true;
            self.untold.push(place as u16);
        }
        Some(entry.status)
    }

    /// The next entry that refused something since it was asked for.
    fn poll_refused(&mut self) -> Option<Refused> {
        while let Some(place) = self.untold.pop() {
            let entry = &mut self.places[usize::from(place)];
            entry.listed = false;
            let count = core::mem::take(&mut entry.refused);
            if count > 0 {
                return Some(Refused { number: entry.number, count });
            }
        }
        None
    }

    /// As much as one report holds; `None`: there is nothing to tell.
    fn poll_report(&mut self) -> Option<Refusals> {
        let mut report = Refusals { used: 0, rows: [Refused::default(); REFUSALS_MAX] };
        for row in &mut report.rows {
            let Some(refused) = self.poll_refused() else { break };
            *row = refused;
            report.used += 1;
        }
        (report.used > 0).then_some(report)
    }
}

impl Switch {
    /// Control hears of a refusal within a second.
    pub(crate) fn arm_refusals(&mut self, now: Instant) {
        if !core::mem::replace(&mut self.shut_out.armed, true) {
            self.set_refusals(Some(now + TELL_EVERY));
        }
    }

    /// Tells control what was refused since the last time.
    pub(crate) fn tell_refusals(&mut self, now: Instant) {
        for _ in 0..REPORTS_MAX {
            let Some(report) = self.shut_out.poll_report() else { break };
            self.act(Action::Report(Report::Refusals(report)));
        }
        self.shut_out.armed = !self.shut_out.untold.is_empty();
        self.set_refusals(self.shut_out.armed.then_some(now + TELL_EVERY));
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
            spare: [0; 6],
            number: 7,
        }
    }

    #[test]
    fn who_is_shut_out_is_refused_from_there_until_the_time_is_over_or_it_is_let_in() {
        let mut all = ShutOut::new([7; 16]);
        let (evil, other): (IpAddr, IpAddr) =
            ("198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let find = |all: &mut ShutOut, now_s, endpoint: &str, source| {
            all.turn_away(Duration::from_secs(now_s), endpoint.as_bytes(), source)
        };
        assert_eq!(find(&mut all, 0, "alice", evil), None);
        all.handle_order(&order("alice", "198.51.100.1:0", 180, 403));
        all.handle_order(&order("", "[2001:db8::1]:0", 60, 0));
        assert_eq!(find(&mut all, 179, "alice", evil), Some(403));
        assert_eq!(find(&mut all, 179, "bob", evil), None);
        assert_eq!(find(&mut all, 59, "whoever", other), Some(0));
        assert_eq!(find(&mut all, 60, "whoever", other), None);
        assert_eq!(find(&mut all, 180, "alice", evil), None);
        all.handle_order(&order("alice", "198.51.100.1:0", 0, 0));
        assert_eq!(find(&mut all, 1, "alice", evil), None);
    }

    #[test]
    fn what_was_refused_is_told_once_by_the_number_that_control_gave() {
        let mut all = ShutOut::new([7; 16]);
        let evil: IpAddr = "198.51.100.1".parse().unwrap();
        for number in 0..200 {
            let name = number.to_string();
            let order = order(&name, "198.51.100.1:0", 60, 403);
            all.handle_order(&order::ShutOut { number, ..order });
            for _ in 0..=number % 3 {
                all.turn_away(Duration::from_secs(1), name.as_bytes(), evil);
            }
        }
        let mut told = Vec::new();
        while let Some(report) = all.poll_report() {
            told.extend_from_slice(&report.rows[..report.used as usize]);
        }
        // Two whose hashes meet have one place, and the first is forgotten.
        assert!(told.len() > 190, "{}", told.len());
        assert!(told.iter().all(|it| it.count == it.number % 3 + 1), "{told:?}");
        assert_eq!(all.poll_report(), None);

        // Whoever takes over a place begins at nothing, and a suspension that is renewed goes on.
        all.turn_away(Duration::from_secs(1), b"199", evil);
        all.handle_order(&order::ShutOut {
            number: 199,
            ..order("199", "198.51.100.1:0", 90, 403)
        });
        all.turn_away(Duration::from_secs(1), b"199", evil);
        assert_eq!(all.poll_refused(), Some(Refused { number: 199, count: 2 }));
        all.turn_away(Duration::from_secs(1), b"199", evil);
        all.handle_order(&order::ShutOut { number: 9, ..order("199", "198.51.100.1:0", 90, 403) });
        assert_eq!(all.poll_refused(), None);
    }
}
