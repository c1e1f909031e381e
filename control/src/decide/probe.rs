//! OPTIONS to the places of one gateway: which of them answer, and so may be called.
//!
//! A gateway is online as long as one of its places is. A place that is new is believed until it was silent
//! often enough. The rest of a long list is neither asked nor doubted.

use std::time::Duration;

use link::Endpoint;

/// How soon a place is asked once more when there is reason to.
const AGAIN: Duration = Duration::from_secs(1);
/// Places of one gateway that are asked.
const PLACES_MAX: usize = 16;

/// OPTIONS to one place.
#[derive(Debug)]
struct Probe {
    place: Endpoint,
    due: link::Instant,
    /// When it was asked last.
    asked: link::Instant,
    online: bool,
    /// In a row.
    failures: u64,
    /// In a row.
    successes: u64,
    round_trip_us: Option<u32>,
}

/// What became of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It answers again.
    On,
    /// It was silent too often.
    Off,
}

impl Probe {
    /// Counts an answer or its absence.
    fn count(&mut self, alive: bool, (failures, successes): (u64, u64)) -> Option<Turn> {
        (self.failures, self.successes) =
            if alive { (0, self.successes + 1) } else { (self.failures + 1, 0) };
        let online = match self.online {
            true => self.failures < failures,
            false => self.successes >= successes,
        };
        if std::mem::replace(&mut self.online, online) == online {
            return None;
        }
        Some(if online { Turn::On } else { Turn::Off })
    }
}

/// OPTIONS to one gateway.
#[derive(Debug)]
pub(super) struct Probes {
    /// Where in the interval the first of them falls.
    share: Duration,
    probes: Vec<Probe>,
}

/// Where in the interval a gateway's first OPTIONS falls. Multiples of the golden ratio lie evenly
/// however many there are (Knuth 6.4).
fn share(gateway: u32, interval: Duration) -> Duration {
    let fraction = gateway.wrapping_mul(0x9e37_79b9);
    interval.mul_f64(f64::from(fraction) / f64::from(u32::MAX))
}

impl Probes {
    /// Of nobody yet.
    pub(super) fn new(gateway: u32, interval: Duration) -> Self {
        Self { share: share(gateway, interval), probes: Vec::new() }
    }

    /// Follows the gateway's places. Those that are gone while they were offline.
    pub(super) fn follow(&mut self, now: link::Instant, places: &[Endpoint]) -> Vec<Endpoint> {
        let places = places.get(..PLACES_MAX).unwrap_or(places);
        let gone = self.probes.extract_if(.., |probe| !places.contains(&probe.place));
        let gone = gone.filter(|probe| !probe.online).map(|probe| probe.place).collect();
        for &place in places {
            if self.probes.iter().all(|probe| probe.place != place) {
                let due = now + self.share;
                self.probes.push(Probe {
                    place,
                    due,
                    asked: link::Instant::ZERO,
                    online: true,
                    failures: 0,
                    successes: 0,
                    round_trip_us: None,
                });
            }
        }
        gone
    }

    fn find(&mut self, place: Endpoint) -> Option<&mut Probe> {
        self.probes.iter_mut().find(|probe| probe.place == place)
    }

    /// Whether one of its places may be called.
    pub(super) fn is_online(&self) -> bool {
        self.probes.is_empty() || self.probes.iter().any(|probe| probe.online)
    }

    /// Whether this place may be called.
    pub(super) fn has_online(&self, place: Endpoint) -> bool {
        self.probes.iter().all(|probe| probe.online || probe.place != place)
    }

    /// Places that are not called.
    pub(super) fn offline(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.probes.iter().filter(|probe| !probe.online).map(|probe| probe.place)
    }

    /// Whether there are several.
    pub(super) fn are_many(&self) -> bool {
        self.probes.len() > 1
    }

    /// From the last OPTIONS to its answer, at the first place that gave one.
    pub(super) fn round_trip_us(&self) -> Option<u32> {
        self.probes.iter().find_map(|probe| probe.round_trip_us)
    }

    /// Whether anything is due.
    pub(super) fn is_due(&self, now: link::Instant) -> bool {
        self.probes.iter().any(|probe| probe.due <= now)
    }

    /// The places that are asked now, and when each is next.
    pub(super) fn take_due(&mut self, now: link::Instant, interval: Duration) -> Vec<Endpoint> {
        let due = self.probes.iter_mut().filter(|probe| probe.due <= now);
        due.map(|probe| {
            probe.due = (probe.due + interval).max(now + interval / 2);
            probe.asked = now;
            probe.place
        })
        .collect()
    }

    /// It was asked for nothing, or there is reason to doubt: once more, soon. Thousands of calls that
    /// find nobody are no reason for as many questions.
    pub(super) fn ask_again(&mut self, place: Option<Endpoint>) {
        let meant = self.probes.iter_mut().filter(|it| place.is_none_or(|place| it.place == place));
        meant.for_each(|probe| probe.due = probe.due.min(probe.asked + AGAIN));
    }

    /// Counts an answer of a place, or its absence.
    pub(super) fn count(
        &mut self,
        place: Endpoint,
        round_trip_us: Option<u32>,
        limits: (u64, u64),
    ) -> Option<Turn> {
        let probe = self.find(place)?;
        probe.round_trip_us = round_trip_us;
        probe.count(round_trip_us.is_some(), limits)
    }

    /// The only place there is.
    pub(super) fn only(&self) -> Option<Endpoint> {
        match &self.probes[..] {
            [probe] => Some(probe.place),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(last: u8) -> Endpoint {
        std::net::SocketAddr::from(([10, 0, 0, last], 5060)).into()
    }

    fn seconds(seconds: u64) -> link::Instant {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_gateway_is_there_as_long_as_one_of_its_places_is() {
        let mut probes = Probes::new(1, Duration::from_secs(60));
        let both = [place(1), place(2)];
        assert!(probes.follow(seconds(0), &both).is_empty());
        for failure in 1..=3 {
            let turn = probes.count(place(1), None, (3, 2));
            assert_eq!(turn, (failure == 3).then_some(Turn::Off));
            assert_eq!(probes.count(place(2), Some(900), (3, 2)), None);
        }
        assert!(probes.is_online() && !probes.has_online(place(1)) && probes.has_online(place(2)));
        assert_eq!(probes.round_trip_us(), Some(900));
        for _ in 0..3 {
            probes.count(place(2), None, (3, 2));
        }
        assert!(!probes.is_online());
        assert_eq!(probes.count(place(1), Some(1), (3, 2)), None);
        assert_eq!(probes.count(place(1), Some(1), (3, 2)), Some(Turn::On));
        assert!(probes.is_online());
        // What is gone is nobody's trouble any more, and what is new is believed.
        assert_eq!(probes.follow(seconds(9), &[place(1), place(3)]), [place(2)]);
        assert!(probes.has_online(place(2)) && probes.has_online(place(3)));
    }

    #[test]
    fn a_long_list_is_asked_as_far_as_it_is_called() {
        let mut probes = Probes::new(1, Duration::from_secs(60));
        let many: Vec<Endpoint> = (1..=200).map(place).collect();
        probes.follow(seconds(0), &many);
        assert_eq!(probes.take_due(seconds(60), Duration::from_secs(60)).len(), PLACES_MAX);
        assert!(probes.take_due(seconds(60), Duration::from_secs(60)).is_empty());
        for _ in 0..1_000 {
            probes.ask_again(Some(place(3)));
            assert!(probes.take_due(seconds(60), Duration::from_secs(60)).is_empty());
        }
        assert_eq!(probes.take_due(seconds(61), Duration::from_secs(60)), [place(3)]);
    }
}
