//! Keep-alive: a little something to each contact behind NAT, so that its way in stays open (RFC 5626
//! §3.5.1).
//!
//! Owners are gone through round and round, so many in each tick that every one has its turn once per
//! interval: a hundred thousand phones get an even stream and never a burst, however they registered.

use std::time::Duration;

use link::order::{Errand, ErrandKind};
use link::{Order, Text};

use super::Office;
use super::digest::mark;
use crate::Time;
use crate::state::binding::Binding;

/// Owners in one tick, at most: what was missed is not made up for in a burst.
const OWNERS_PER_TICK_MAX: u128 = 1_000;

/// Where the round stands.
#[derive(Default)]
pub(super) struct KeepAlive {
    last: Option<link::Instant>,
    /// Time of all owners together that has passed and not been used, µs: a turn costs one interval.
    credit_us: u128,
    /// Whose turn was last.
    owner: u32,
}

impl KeepAlive {
    /// How many turns are due.
    fn turns(&mut self, now: link::Instant, interval: Duration, owners: usize) -> u128 {
        let passed = self.last.replace(now).map_or(Duration::ZERO, |last| now.saturating_sub(last));
        let interval_us = interval.as_micros();
        if interval_us == 0 || owners == 0 {
            self.credit_us = 0;
            return 0;
        }
        self.credit_us += passed.as_micros() * owners as u128;
        let turns = self.credit_us / interval_us;
        self.credit_us %= interval_us;
        turns.min(owners as u128).min(OWNERS_PER_TICK_MAX)
    }
}

impl Office {
    /// Sends what is due by now.
    pub(super) fn keep_alive(&mut self, time: Time) {
        let interval = Duration::from_secs(self.state.values.number("SS_SIP_NAT_KEEP_ALIVE"));
        let turns = self.keep_alive.turns(time.now, interval, self.state.bindings.natted());
        for _ in 0..turns {
            let Some(owner) = self.state.bindings.natted_behind(self.keep_alive.owner) else {
                return;
            };
            self.keep_alive.owner = owner;
            let natted = self.state.bindings.of(owner, time.wall_us).filter(|it| it.nat);
            let errands: Vec<Errand> =
                natted.filter_map(|binding| self.errand(owner, binding)).collect();
            for errand in errands {
                let errand = Errand { call_id: self.chance.draw(), ..errand };
                let worker = mark(owner) as usize % self.down.len().max(1);
                self.order(worker, Order::Errand(errand));
            }
        }
    }

    fn errand(&self, owner: u32, binding: &Binding) -> Option<Errand> {
        let (target, connection) = binding.way()?;
        let kind = match self.state.values.number("TG_NAT_KEEP_ALIVE_METHOD") {
            0 => ErrandKind::KeepAlive,
            _ => ErrandKind::Options,
        };
        let user = self.state.customers.get(owner).map_or("", |customer| &customer.username);
        Some(Errand {
            // Nobody waits for what comes back.
            id: 0,
            call_id: 0,
            gateway: 0,
            expires_s: 0,
            cseq: 1,
            connection,
            target,
            local: binding.local,
            kind: kind as u8,
            spare: [0; 7],
            uri: Text::cut(binding.uri.as_bytes()),
            user: Text::cut(user.as_bytes()),
            domain: Text::EMPTY,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    #[test]
    fn every_owner_has_one_turn_per_interval_and_ticks_share_them_evenly() {
        for owners in [1, 7, 600, 3_000] {
            let mut round = KeepAlive::default();
            let mut ticks: Vec<u128> = Vec::new();
            for tick in 0..=1_200 {
                ticks.push(round.turns(TICK * tick, Duration::from_secs(30), owners));
            }
            assert_eq!(ticks.iter().sum::<u128>(), 2 * owners as u128, "{owners}");
            assert!(ticks.iter().max() <= Some(&((owners as u128).div_ceil(600))), "{owners}");
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for_in_a_burst_and_zero_is_never() {
        let mut round = KeepAlive::default();
        round.turns(Duration::ZERO, Duration::from_secs(30), 100_000);
        let late = round.turns(Duration::from_secs(600), Duration::from_secs(30), 100_000);
        assert_eq!(late, OWNERS_PER_TICK_MAX);
        assert_eq!(round.turns(Duration::from_secs(700), Duration::ZERO, 100_000), 0);
        assert_eq!(round.turns(Duration::from_secs(800), Duration::from_secs(30), 0), 0);
    }
}
