//! Where a description wants its media, and whether that is to be believed.

use std::net::{IpAddr, SocketAddr};

use link::profile::MediaAddress;
use sip::Sdp;
use sip::sdp::Media;

use super::usable;
use crate::dialog::is_private;
use crate::limits::{Local, MediaLocal};

/// What decides which address of a description is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    /// Where the describer signals from.
    pub(crate) signalling: IpAddr,
    /// Our own addresses on both legs.
    pub(crate) locals: [&'a Local; 2],
    /// Those that carry media beside them.
    pub(crate) media_locals: &'a [MediaLocal],
    /// What its gateway wants.
    pub(crate) address: MediaAddress,
}

/// Where a description wants media that would be believed, and that does not pass.
pub(crate) fn outside(
    description: &[u8],
    asking: &Asking<'_>,
    passes: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let sdp = Sdp::parse(description).ok()?;
    let ends = usable(&sdp).filter_map(|(_, media)| far_end(media, asking));
    let mut wanted = ends.flat_map(|(rtp, rtcp)| [rtp, rtcp]).flatten();
    wanted.find(|end| !passes(end.ip()))
}

/// Where a medium is wanted, RTP and RTCP. Outer `None`: nowhere; inner: where packets come from.
pub(super) type FarEnd = Option<(Option<SocketAddr>, Option<SocketAddr>)>;

pub(super) fn far_end(media: &Media<'_>, asking: &Asking<'_>) -> FarEnd {
    let Asking { signalling, locals, media_locals, address } = *asking;
    let ip = media.connection.and_then(|connection| connection.ip);
    if media.port == 0 || ip.is_some_and(|ip| ip.is_unspecified() || ip.is_multicast()) {
        return None;
    }
    // Nobody's far end are we ourselves: two such calls would feed each other for ever.
    let is_ours = |ip| {
        let signalled = locals.map(MediaLocal::of);
        let mut own = signalled.iter().chain(media_locals);
        own.any(|own| own.address == ip || own.advertise == Some(ip))
    };
    // A host name is not looked up: like a private address behind a public one, it is learned.
    let is_credible = |ip: IpAddr| match address {
        MediaAddress::Auto => !is_private(ip) || is_private(signalling),
        MediaAddress::Described => true,
        MediaAddress::Observed => false,
    };
    let is_there = |ip: &IpAddr| is_credible(*ip) && !is_ours(*ip);
    let Some(ip) = ip.filter(is_there) else {
        return Some((None, None));
    };
    let rtcp_port = media.rtcp_port.or(media.port.checked_add(1));
    let rtcp = rtcp_port.map(|port| SocketAddr::new(media.rtcp_ip.unwrap_or(ip), port));
    Some((Some(SocketAddr::new(ip, media.port)), rtcp))
}

/// Where RTCP goes if nobody says otherwise (RFC 3550 §11).
pub(super) fn rtcp_beside(rtp: SocketAddr) -> Option<SocketAddr> {
    Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::StreamPorts;

    #[test]
    fn an_address_that_cannot_be_the_far_ends_is_learned_from_the_packets() {
        let offer = b"v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n\
            m=audio 4000 RTP/AVP 0\r\na=rtcp:5001\r\n";
        let sdp = Sdp::parse(offer).unwrap();
        let media = &sdp.media()[0];
        let own = |address: &str| Local {
            address: address.parse().unwrap(),
            sip_port: 5060,
            prefix_bits: 24,
            advertise: None,
            stream_ports: StreamPorts::default(),
        };
        let (one, other, same) = (own("192.0.2.1"), own("203.0.113.1"), own("10.0.0.7"));
        let believing = |from: &str, own, address| {
            let (signalling, locals) = (from.parse().unwrap(), [own, &other]);
            far_end(media, &Asking { signalling, locals, media_locals: &[], address })
        };
        let far_end = |from: &str, own| believing(from, own, MediaAddress::Auto);
        assert_eq!(far_end("198.51.100.7", &one), Some((None, None)));
        assert_eq!(far_end("10.0.0.1", &same), Some((None, None)), "that is us");
        let far = far_end("10.0.0.1", &one).unwrap();
        assert_eq!(far.0, Some("10.0.0.7:4000".parse().unwrap()));
        assert_eq!(far.1, Some("10.0.0.7:5001".parse().unwrap()));
        // What its gateway wants counts more.
        let described = believing("198.51.100.7", &one, MediaAddress::Described);
        assert_eq!(described.unwrap().0, Some("10.0.0.7:4000".parse().unwrap()));
        let observed = believing("10.0.0.1", &one, MediaAddress::Observed);
        assert_eq!(observed, Some((None, None)));
    }
}
