//! Media that the driver sends on by itself: said to it whenever the brain's flows change, looked after meanwhile.
//!
//! The flow is the relay's. What the driver is told is what [`relay::Table::course`] says, with the next hop beside
//! it; here is nothing to decide. What it says last holds though this process may die (`not_after`).

use std::net::SocketAddr;
use std::time::Duration;

use link::Instant;
use relay::{Course, Ears, Owner, Port, Sums};
use xdp_prog::media::{self, Heard, Media};

use super::{Worker, micros};
use crate::counters::WorkerCounter;
use crate::neighbors;
use crate::nic::Nic;

/// All ports are looked at once in so many turns of the housekeeping.
const ROUND: usize = 10;
/// What was said holds for so long, and is said again once in each second: without us there is no free call.
const LEASE: Duration = Duration::from_secs(10);
/// Names of ports that are said in one turn.
const NAMES_MAX: usize = 2_048;
/// A new process has found every way after so long.
pub(super) const FINDS_WAYS: Duration = Duration::from_secs(2);

/// The driver's counts, as the relay reads them.
pub(super) struct Hearer(pub(super) Media);

impl Ears for Hearer {
    fn sums(&self, port: Port) -> Sums {
        let heard = self.0.heard(driven(port));
        let Heard { packets, bytes, last, ssrc, base, highest, .. } = heard;
        let Heard { received, transit, jitter, lost_before, .. } = heard;
        Sums { packets, bytes, last, ssrc, base, highest, received, transit, jitter, lost_before }
    }

    fn settled(&self, port: Port, owner: Owner) -> Option<SocketAddr> {
        self.0.told(driven(port)).filter(|told| told.owner == owner.0).map(|told| told.source)
    }
}

/// The same port as the driver knows it, whose addresses have the order of ours.
fn driven(port: Port) -> media::Port {
    media::Port { own: port.address(), number: port.number() }
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
        for _ in 0..NAMES_MAX {
            let Some(port) = self.switch.media().poll_changed() else { return };
            self.say_course(port);
        }
    }

    fn say_course(&mut self, port: Port) {
        let flows = self.switch.media();
        let (course, was_settled) = (flows.course(port), flows.is_settled(port));
        let Some(said) = self.said(port, course, was_settled) else { return };
        let Some(driver) = &self.media else { return };
        let settles = matches!(said, media::Course::Settled(_));
        if settles && !was_settled {
            driver.set_heard(driven(port), &heard(&self.switch.media().sums(port)));
        }
        let is_settled = driver.say(driven(port), &said) && settles;
        if is_settled != was_settled {
            self.switch.media().set_settled(port, is_settled);
            self.counters.add(WorkerCounter::MediaSettled, is_settled.into());
        }
    }

    /// What the driver is told: to where no way is known, or none of a driver's, it sends nothing. `None`: what
    /// it was told by the process before this one, which had found the way.
    fn said(&mut self, port: Port, course: Course, was_settled: bool) -> Option<media::Course> {
        let onward = match course {
            Course::Closed => return Some(media::Course::Closed),
            Course::Open => return Some(media::Course::Open),
            Course::Known(source) => return Some(media::Course::Known(source)),
            Course::Settled(onward) => onward,
        };
        let hop = self.hops.lookup(onward.to.ip());
        if hop.is_none() && was_settled && self.turned < self.ways_due {
            let told = self.media.as_ref().and_then(|driver| driver.told(driven(port)));
            if told.is_some_and(|told| (told.from, told.to) == (onward.from, onward.to)) {
                return None;
            }
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
            // No longer than control waits for us before it ends our calls.
            not_after: Some((self.turned + LEASE).min(onward.not_after.unwrap_or(Instant::MAX))),
            owner: onward.owner.0,
        }))
    }

    /// One part of the ports: a way that is another now is said, one in use is kept alive, and the call's slot
    /// knows that media flows.
    pub(super) fn look_after_media(&mut self) {
        if self.media.is_none() {
            return;
        }
        let ports = self.switch.media().len();
        for _ in 0..ports.div_ceil(ROUND) {
            let port = self.switch.media().port_at(self.looked_after);
            self.looked_after = (self.looked_after + 1) % ports;
            let flows = self.switch.media();
            let course = flows.course(port);
            if !flows.is_settled(port) && !matches!(course, Course::Settled(_)) {
                continue;
            }
            self.say_course(port);
            let Course::Settled(onward) = course else { continue };
            let Some(last) = self.switch.media().heard_at(port) else { continue };
            let slot = b2bua::call_of(onward.owner).slot;
            // Both directions share that word.
            if micros(last) > self.side.calls.media_us(slot) {
                self.side.calls.touch_media(slot, micros(last));
            }
        }
    }
}
