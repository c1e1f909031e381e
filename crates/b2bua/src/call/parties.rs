//! Who calls whom, as one vendor is told, and where a peer wants to be spoken to: profiles and the
//! caller's wish decide.

use std::net::SocketAddr;

use link::answer::{Candidate, Route, WITHHELD};
use link::profile::RequestAddress;

use crate::compose::{self, Caller, Known, Line};
use crate::dialog::Side;
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::{Which, fixed_address};

impl Switch {
    /// What we are called where one of our own addresses speaks.
    pub(super) fn host_of(&self, local: u8) -> SocketAddr {
        let local = &self.setup.locals[usize::from(local)];
        SocketAddr::new(local.advertised(), local.sip_port)
    }

    /// The caller as the vendor of a candidate sees it; `host` is our address there. `None`: the
    /// caller's INVITE is not there any more.
    pub(super) fn introduce(
        &mut self,
        slot: usize,
        route: &Route,
        candidate: &Candidate,
        host: SocketAddr,
    ) -> Option<Caller> {
        let server = self.calls[slot].invite?;
        self.with_kept(server, Which::Request, |switch, invite| {
            let customer = switch.profiles.of(route.customer_gateway);
            let is_wished = customer.privacy != 0 && compose::is_withheld(invite);
            let withheld = route.flags & WITHHELD != 0 || is_wished;
            switch.calls[slot].record.facts.withheld = withheld.into();
            Caller::new(&Known {
                invite,
                number: candidate.caller.as_bytes(),
                withheld,
                diverter: route.diverter.as_bytes(),
                forward: route.forward,
                host,
                domain: switch.parameters.domain.as_bytes(),
                vendor: switch.profiles.of(candidate.gateway),
            })
        })
    }

    /// The callee as the vendor of a candidate knows it, at `host`.
    pub(super) fn callee_uri(&self, candidate: &Candidate, host: SocketAddr) -> Line<200> {
        let is_phone = self.profiles.of(candidate.gateway).user_phone != 0;
        let write = if is_phone { compose::number_uri } else { compose::uri };
        write(candidate.callee.as_bytes(), host)
    }

    /// Turns a leg whose next hop was found by route set and Contact to where its peer wants our
    /// requests; `learned` is the way that its messages come.
    pub(super) fn steer(&mut self, slot: usize, side: Side, learned: Path) {
        let call = &mut self.calls[slot];
        let peer = self.profiles.of(call.gateway(side));
        let path = &mut call.leg(side).path;
        match RequestAddress::from(peer.request_address) {
            RequestAddress::Contact => {}
            RequestAddress::Source => *path = learned,
            RequestAddress::Fixed => {
                let Some(remote) = fixed_address(peer, learned) else { return };
                // A connection leads where it was made, and nowhere else.
                let connection = if remote == learned.remote { learned.connection } else { 0 };
                *path = Path { remote, connection, ..learned };
            }
        }
    }
}
