//! Whether the media of a call go through us, or from end to end (bypass).
//!
//! ```text
//!            on      off     auto    must
//!  on        us      us      us      us
//!  off       us      ends    both    us        both: from end to end where both sides are reached as they say
//!  auto      us      both    both    us
//!  must      us      us      us      us
//! ```
//!
//! It is settled with the first description that goes to a vendor, and holds as long as that vendor's leg does.

use std::net::IpAddr;

use link::profile::MediaProxy;
use sip::Sdp;

use super::{Streams, usable};
use crate::dialog::{Side, is_private};

/// The table at the head of this file.
pub(super) fn bypasses(wanted: [MediaProxy; 2], is_reachable: impl FnOnce() -> bool) -> bool {
    use MediaProxy::{Auto, Must, Off, On};
    match wanted {
        [On | Must, _] | [_, On | Must] => false,
        [Off, Off] => true,
        [Off | Auto, Off | Auto] => is_reachable(),
    }
}

impl Streams<'_> {
    /// Whether the media of this call go from end to end, as both gateways want it. What must be read here,
    /// joined or carried from one family of addresses to the other does not.
    pub(super) fn settle_passage(&mut self, sdp: &Sdp<'_>) -> bool {
        let callee = &self.legs[Side::Callee as usize];
        let is_open = |side: Side| self.legs[side as usize].open_ports().next().is_some();
        let is_settled = is_open(Side::Callee) || (self.answered && is_open(Side::Caller));
        if callee.bypassed || is_settled {
            return callee.bypassed;
        }
        let wanted = self.terms.map(|terms| MediaProxy::from(terms.proxy));
        let has_work =
            self.terms.iter().any(|terms| terms.srtp | terms.transcode | terms.dtmf != 0);
        let is_ours = self.reads || has_work || self.inside.contains(&true) || {
            let [caller, callee] = self.locals.map(|local| local.address.is_ipv4());
            caller != callee
        };
        let bypassed = !is_ours && bypasses(wanted, || self.is_reachable(sdp));
        for leg in &mut self.legs {
            leg.bypassed = bypassed;
        }
        bypassed
    }

    /// Whether neither side is behind NAT, as far as it shows: nothing private in where they signal from, nor
    /// in where the describer wants its media.
    fn is_reachable(&self, sdp: &Sdp<'_>) -> bool {
        let is_there = |ip: IpAddr| !is_private(ip) && !ip.is_unspecified();
        let describes = usable(sdp).all(|(_, media)| {
            let ip = media.connection.and_then(|connection| connection.ip);
            ip.is_some_and(|ip| !is_private(ip))
        });
        describes && self.signalling.into_iter().all(is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_wishes_is_settled_and_both_sides_count_alike() {
        use MediaProxy::{Auto, Must, Off, On};
        let all = [On, Off, Auto, Must];
        let told = |reachable: bool| {
            all.map(|caller| all.map(|callee| bypasses([caller, callee], || reachable)))
        };
        let (yes, no) = (true, false);
        assert_eq!(told(true), [[no; 4], [no, yes, yes, no], [no, yes, yes, no], [no; 4]]);
        assert_eq!(told(false), [[no; 4], [no, yes, no, no], [no; 4], [no; 4]]);
    }
}
