//! The simulated network: loses, delays, doubles and reorders datagrams, by one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How something travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// As a datagram: perhaps never, perhaps twice, in any order.
    #[default]
    Datagram,
    /// By a connection: once and in order, or not at all from a break on.
    Stream,
    /// Back again: a datagram that nobody was there for.
    Back,
}

impl Way {
    /// The word in a Via.
    pub(super) fn transport(self) -> &'static str {
        if self == Self::Stream { "TCP" } else { "UDP" }
    }
}

/// Something between two hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letter {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Payload.
    pub bytes: Vec<u8>,
    /// How it travels.
    pub way: Way,
}

impl Letter {
    /// A datagram.
    #[must_use]
    pub fn datagram(from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) -> Self {
        Self { from, to, bytes, way: Way::Datagram }
    }
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
    /// When the last message of each connection arrives.
    lines: BTreeMap<(SocketAddr, SocketAddr), Duration>,
}

impl Network {
    /// An empty network.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        let dice = StdRng::seed_from_u64(seed ^ 0x6e65_7477_6f72_6b00);
        Self { weather, dice, under_way: BinaryHeap::new(), sent: 0, lines: BTreeMap::new() }
    }

    /// Takes a datagram at `now`.
    pub fn send(&mut self, now: Duration, letter: Letter) {
        if letter.way == Way::Stream {
            return self.send_by_stream(now, letter);
        }
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

    /// What gets lost on the way is sent again by somebody else: it only takes longer, and all that follows
    /// waits.
    fn send_by_stream(&mut self, now: Duration, letter: Letter) {
        let jitter = self.dice.random_range(0..=self.weather.jitter_ms * 1000);
        let delay = Duration::from_millis(self.weather.delay_ms) + Duration::from_micros(jitter);
        let line = self.lines.entry((letter.from, letter.to)).or_default();
        *line = (*line).max(now + delay);
        self.sent += 1;
        self.under_way.push(Reverse((*line, self.sent, letter)));
    }

    /// All connections break: what is under way by them is lost.
    pub fn cut(&mut self) {
        self.under_way.retain(|Reverse((_, _, letter))| letter.way != Way::Stream);
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
