//! Gateways that were deleted a moment ago. Their last calls may still be ending: a far end that wants a BYE
//! to prove whose it is would talk on, at somebody's cost, if no worker knew the password any more.

use std::collections::VecDeque;
use std::time::Duration;

use link::profile::GATEWAYS_MAX;
use link::{Order, Profile};

use super::Office;
use crate::Time;

/// How long the last request to a gateway may be under way, twice, since its challenge may come late
/// (RFC 3261 §17.1.2.2, timer F).
const LAST_WORDS: Duration = Duration::from_secs(64);

/// See the head of this file: when each is to be forgotten, in that order.
#[derive(Debug, Default)]
pub(super) struct Departed(VecDeque<(link::Instant, u32)>);

impl Office {
    /// A gateway is gone.
    pub(super) fn depart(&mut self, time: Time, gateway: u32) {
        self.departed.0.push_back((time.now + LAST_WORDS, gateway));
    }

    /// The workers forget those gateways that nothing is said to any more.
    pub(super) fn forget_departed(&mut self, now: link::Instant) {
        while let Some((_, gateway)) = self.departed.0.pop_front_if(|(until, _)| *until <= now) {
            self.leave_behind(gateway);
        }
    }

    /// The workers have room for so many gateways: one that comes goes before those that left first.
    pub(super) fn make_room(&mut self) {
        let known = self.state.gateways() + self.departed.0.len();
        for _ in 0..known.saturating_sub(GATEWAYS_MAX as usize) {
            let Some((_, gateway)) = self.departed.0.pop_front() else { return };
            self.leave_behind(gateway);
        }
    }

    fn leave_behind(&mut self, gateway: u32) {
        // What is registered there is taken back first, with its password.
        if !self.upstream.holds(gateway) {
            self.order_all(Order::Profile(Profile { gateway, ..Profile::default() }));
        }
    }
}
