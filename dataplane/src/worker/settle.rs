//! Media that the driver sends on by itself: said to it whenever the brain's flows change, looked after meanwhile.
//!
//! The flow is the relay's. What the driver is told is what [`relay::Table::course`] says, with the next hop beside
//! it; here is nothing to decide. What it says last holds though this process may die (`not_after`).

use std::net::SocketAddr;

use link::Instant;
use relay::{Course, Ears, Owner, Sums};
use xdp_prog::media::{self, Heard, Media};

use super::{Worker, micros};
use crate::counters::WorkerCounter;
use crate::neighbors;
use crate::nic::Nic;

/// All ports are looked at once in so many turns of the housekeeping.
const ROUND: usize = 10;
/// A new process has found every way after so long.
pub(super) const FINDS_WAYS: std::time::Duration = std::time::Duration::from_secs(2);
/// Media so old is running media.
const RUNNING: std::time::Duration = std::time::Duration::from_secs(2);

/// The driver's counts, as the relay reads them.
pub(super) struct Hearer(pub(super) Media);

impl Ears for Hearer {
    fn sums(&self, port: u16) -> Sums {
        let heard = self.0.heard(port);
        let Heard { packets, bytes, last, ssrc, base, highest, .. } = heard;
        let Heard { received, transit, jitter, lost_before, .. } = heard;
        Sums { packets, bytes, last, ssrc, base, highest, received, transit, jitter, lost_before }
    }

    fn settled(&self, port: u16, owner: Owner) -> Option<SocketAddr> {
        self.0.told(port).filter(|told| told.owner == owner.0).map(|told| told.source)
    }
}

fn heard(sums: &Sums) -> Heard {
    let &Sums { packets, bytes, last, ssrc, base, highest, .. } = sums;
    let &Sums { received, transit, jitter, lost_before, .. } = sums;
    Heard { packets, bytes, last, ssrc, base, highest, received, transit, jitter, lost_before }
}

impl<N: Nic> Worker<N> {
    /// Says what has changed. Before anybody is answered, so that nothing goes on by a rule that is over.
    pub(super) fn settle(&mut self) {
        if self.media.is_none() {
            return;
        }
        while let Some(port) = self.switch.media().poll_changed() {
            self.say_course(port);
        }
    }

    fn say_course(&mut self, port: u16) {
        let flows = self.switch.media();
        let (course, was_settled) = (flows.course(port), flows.is_settled(port));
        let sums = flows.sums(port);
        let Some(said) = self.said(course, was_settled) else { return };
        let Some(driver) = &self.media else { return };
        let settles = matches!(said, media::Course::Settled(_));
        if settles && !was_settled {
            driver.set_heard(port, &heard(&sums));
        }
        let is_settled = driver.say(port, &said) && settles;
        if is_settled != was_settled {
            self.switch.media().set_settled(port, is_settled);
            self.counters.add(WorkerCounter::MediaSettled, is_settled.into());
        }
    }

    /// What the driver is told: to where no way is known, or none of a driver's, it sends nothing. `None`: what
    /// it was told by the process before this one, which had found the way.
    fn said(&mut self, course: Course, was_settled: bool) -> Option<media::Course> {
        let onward = match course {
            Course::Closed => return Some(media::Course::Closed),
            Course::Open => return Some(media::Course::Open),
            Course::Known(source) => return Some(media::Course::Known(source)),
            Course::Settled(onward) => onward,
        };
        let hop = self.hops.lookup(onward.to.ip());
        if hop.is_none() && was_settled && self.turned < self.ways_due {
            return None;
        }
        let Some(hop) = hop.filter(|hop| hop.for_drivers) else {
            return Some(media::Course::Known(onward.source));
        };
        let neighbors::Hop { interface, source_mac, destination_mac, vlan, payload_max, .. } = hop;
        Some(media::Course::Settled(media::Onward {
            source: onward.source,
            payload_types: onward.payload_types.bits(),
            events: onward.events,
            from: onward.from,
            to: onward.to,
            hop: media::Hop { interface, source_mac, destination_mac, vlan, payload_max },
            traffic_class: (self.parameters.dscp_rtp as u8) << 2,
            not_after: onward.not_after,
            owner: onward.owner.0,
        }))
    }

    /// One part of the ports: a way that is another now is said, one in use is kept alive, and the call's slot
    /// knows that media flows.
    pub(super) fn look_after_media(&mut self, now: Instant) {
        if self.media.is_none() {
            return;
        }
        let (first, ports) = (self.switch.media().first(), self.switch.media().len());
        for _ in 0..ports.div_ceil(ROUND) {
            let port = first + self.looked_after as u16;
            self.looked_after = (self.looked_after + 1) % ports;
            let Course::Settled(onward) = self.switch.media().course(port) else { continue };
            self.say_course(port);
            let flows = self.switch.media();
            let last = flows.is_settled(port).then(|| flows.heard_at(port)).flatten();
            if last.is_some_and(|last| now.saturating_sub(last) < RUNNING) {
                let slot = b2bua::call_of(onward.owner).slot;
                self.side.calls.touch_media(slot, micros(now));
            }
        }
    }
}
