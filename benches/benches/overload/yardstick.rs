//! CPU time in units that neighbours do not stretch.
//!
//! The machine is shared: a busy neighbour makes every turn slower, and a load that was right a minute
//! ago is too much now. So the same INVITE is read again and again between the turns, and time is told
//! by how long that takes: [`NOMINAL`] by definition.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use benches::invite;
use benches::measure::thread_time;
use sip::{Message, Sdp};

/// What reading the INVITE takes on an undisturbed machine (the price list's first row).
const NOMINAL: Duration = Duration::from_nanos(2_200);
/// Readings of one look, and how often one is taken, in CPU time.
const READINGS: u32 = 50;
const LOOK_EACH: Duration = Duration::from_millis(20);
/// The weight of the newest look.
const WEIGHT: f64 = 0.1;

/// See the head of this file.
pub(crate) struct Yardstick {
    invite: Vec<u8>,
    /// Nominal time for one unit of CPU time.
    scale: f64,
    /// What asking the clock costs.
    clock: Duration,
    spent: Duration,
}

impl Yardstick {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let mut invite = vec![0; 2_048];
        let length = invite::write(&mut invite).ok_or("the INVITE fits")?;
        invite.truncate(length);
        let mut clock = Duration::MAX;
        for _ in 0..101 {
            let begun = thread_time()?;
            clock = clock.min(thread_time()? - begun);
        }
        let mut yardstick = Self { invite, scale: 1.0, clock, spent: Duration::ZERO };
        let mut looks = (0..101).map(|_| yardstick.look()).collect::<Result<Vec<_>, _>>()?;
        looks.sort_by(f64::total_cmp);
        yardstick.scale = looks[looks.len() / 2];
        Ok(yardstick)
    }

    fn look(&self) -> nix::Result<f64> {
        let begun = thread_time()?;
        for _ in 0..READINGS {
            let message = black_box(Message::parse(black_box(&self.invite)));
            let body = message.as_ref().map_or(&[][..], |message| message.body());
            let _ = black_box(Sdp::parse(body));
        }
        let took = thread_time()? - begun;
        Ok(NOMINAL.as_secs_f64() * f64::from(READINGS) / took.as_secs_f64())
    }

    /// Does something, and how long that took.
    pub(crate) fn cost<T>(&mut self, what: impl FnOnce() -> T) -> nix::Result<(T, Duration)> {
        if self.spent > LOOK_EACH {
            self.spent = Duration::ZERO;
            self.scale += (self.look()? - self.scale) * WEIGHT;
        }
        let begun = thread_time()?;
        let result = what();
        let took = (thread_time()? - begun).saturating_sub(self.clock);
        self.spent += took;
        Ok((result, took.mul_f64(self.scale)))
    }
}
