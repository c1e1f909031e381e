//! Whom a port believes: the defence against RTP bleed and against strangers on open ports.
//!
//! A direction learns its far address once per SDP, within a window, from the first packet that is RTP
//! of a negotiated payload type and comes from an allowed address. After that only this source is
//! heard. It may move once more without new SDP: when the old source has been silent for two seconds
//! and the new one continues the very same stream, same SSRC, sequence in order (a rebound NAT).

use core::time::Duration;
use std::net::SocketAddr;

use crate::Instant;

/// Silence after which a stream may continue from another address.
pub(crate) const REBIND_AFTER: Duration = Duration::from_secs(2);

/// What a port may learn from the packets it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// The SDP's address holds, whatever comes.
    Fixed,
    /// The far end is another port of ours: what comes from any wire is a stranger's.
    Inside,
    /// The SDP's IP holds, the port is learned: for public addresses.
    LearnPort {
        /// End of the window.
        until: Instant,
    },
    /// IP and port are learned: for private addresses, behind NAT.
    Learn {
        /// End of the window.
        until: Instant,
    },
}

/// What the rule says about the source of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    /// It is the far end as we know it.
    Known,
    /// It is the far end from now on.
    Learn,
    /// It is not.
    Stranger,
}

impl Latch {
    /// Whether `source` is the far end. `remote` is what the SDP said, or what was learned.
    pub(crate) fn judge(
        self,
        now: Instant,
        source: SocketAddr,
        remote: Option<SocketAddr>,
        latched: bool,
    ) -> Belief {
        if latched {
            return if remote == Some(source) { Belief::Known } else { Belief::Stranger };
        }
        let (until, allowed) = match self {
            Self::Fixed | Self::Inside => {
                return if remote == Some(source) { Belief::Learn } else { Belief::Stranger };
            }
            Self::LearnPort { until } => {
                (until, remote.is_some_and(|remote| remote.ip() == source.ip()))
            }
            Self::Learn { until } => (until, true),
        };
        if remote == Some(source) || allowed && now <= until {
            Belief::Learn
        } else {
            Belief::Stranger
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_public_address_fixes_the_ip_and_only_the_port_is_learned() {
        let latch = Latch::LearnPort { until: Duration::from_secs(10) };
        let sdp = Some(at("192.0.2.1:4000"));
        let now = Duration::from_secs(1);
        assert_eq!(latch.judge(now, at("192.0.2.1:5000"), sdp, false), Belief::Learn);
        assert_eq!(latch.judge(now, at("192.0.2.2:4000"), sdp, false), Belief::Stranger);
    }

    #[test]
    fn nothing_is_learned_after_the_window_but_the_sdp_address_still_holds() {
        let latch = Latch::Learn { until: Duration::from_secs(10) };
        let sdp = Some(at("10.0.0.1:4000"));
        let late = Duration::from_secs(11);
        assert_eq!(latch.judge(late, at("192.0.2.1:5000"), sdp, false), Belief::Stranger);
        assert_eq!(latch.judge(late, at("10.0.0.1:4000"), sdp, false), Belief::Learn);
    }

    #[test]
    fn a_latched_port_hears_one_source_only() {
        let latch = Latch::Learn { until: Duration::from_secs(10) };
        let learned = Some(at("192.0.2.1:5000"));
        assert_eq!(latch.judge(Duration::ZERO, at("192.0.2.1:5000"), learned, true), Belief::Known);
        assert_eq!(
            latch.judge(Duration::ZERO, at("192.0.2.9:5000"), learned, true),
            Belief::Stranger
        );
    }
}
