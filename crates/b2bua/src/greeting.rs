//! What OPTIONS are answered with, for somebody who answers in our place: the driver copies what a response
//! repeats, and says the rest as we would.

use std::net::{Ipv4Addr, SocketAddr};

use link::endpoint::Transport;
use link::profile::Wishes;
use sip::Message;

use crate::compose::{self, Reply, Us};
use crate::switch::Switch;

/// The least that is a request.
const ASKED: &[u8] = b"OPTIONS sip:a SIP/2.0\r\n\
    Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
    From: <sip:a>;tag=1\r\n\
    To: <sip:a>\r\n\
    Call-ID: 1\r\n\
    CSeq: 1 OPTIONS\r\n\r\n";

/// The last line that a response repeats.
const REPEATED: &[u8] = b"\r\nCSeq: 1 OPTIONS\r\n";

impl Switch {
    /// Writes the headers behind CSeq and the empty line into `out`, and gives their length. `None`: OPTIONS are
    /// answered by nobody but us now (`TG_OPTIONS_IN_DRIVER`), or say that no calls can be carried.
    pub fn greeting(&self, out: &mut [u8]) -> Option<usize> {
        if self.parameters.options_in_driver == 0 || self.overload().is_some() {
            return None;
        }
        let request = Message::parse(ASKED).ok()?;
        let us = Us {
            local: self.setup.locals.first()?,
            transport: Transport::Udp,
            user_agent: self.setup.user_agent.as_bytes(),
        };
        let peer = self.profiles.of_party(0, Wishes::default());
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let reply = Reply { to_tag: b"1", extensions: self.timers_known(), ..Reply::plain(200) };
        let length = compose::reply(out, &us, &request, (nowhere, peer), &reply)?;
        let place = out.get(..length)?.windows(REPEATED.len()).position(|it| it == REPEATED)?;
        let behind = place + REPEATED.len();
        out.copy_within(behind..length, 0);
        Some(length - behind)
    }
}
