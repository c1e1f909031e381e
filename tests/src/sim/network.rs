//! The simulated network: loses, delays, doubles and reorders datagrams, by one seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A datagram somewhere between two hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letter {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Payload.
    pub bytes: Vec<u8>,
}

/// What the network does to datagrams. Shares are in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Datagrams that vanish.
    pub lost: u32,
    /// Datagrams that arrive twice.
    pub doubled: u32,
    /// Shortest way, ms.
    pub delay_ms: u64,
    /// Up to so much more, ms: the source of reordering.
    pub jitter_ms: u64,
}

/// All datagrams under way.
pub struct Network {
    weather: Weather,
    dice: StdRng,
    under_way: BinaryHeap<Reverse<(Duration, u64, Letter)>>,
    sent: u64,
}

impl Network {
    /// An empty network.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        let dice = StdRng::seed_from_u64(seed ^ 0x6e65_7477_6f72_6b00);
        Self { weather, dice, under_way: BinaryHeap::new(), sent: 0 }
    }

    /// Takes a datagram at `now`.
    pub fn send(&mut self, now: Duration, letter: Letter) {
        let copies =
            if self.dice.random_ratio(self.weather.doubled.min(1000), 1000) { 2 } else { 1 };
        for _ in 0..copies {
            if self.dice.random_ratio(self.weather.lost.min(1000), 1000) {
                continue;
            }
            let jitter = self.dice.random_range(0..=self.weather.jitter_ms * 1000);
            let due =
                now + Duration::from_millis(self.weather.delay_ms) + Duration::from_micros(jitter);
            self.sent += 1;
            self.under_way.push(Reverse((due, self.sent, letter.clone())));
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse((due, _, _))| *due)
    }

    /// The next datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Duration) -> Option<Letter> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse((_, _, letter))| letter)
    }

    /// A spell of other weather.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }
}
