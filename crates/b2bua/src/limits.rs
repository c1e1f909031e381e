//! What a switch is told at its birth: who it is, how big it may grow.

use std::net::{IpAddr, SocketAddr};

use link::Endpoint;
use link::endpoint::Transport;

use crate::keys::Keys;

/// Everything that [`Switch::new`](crate::Switch::new) needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// This worker's index, below `workers`.
    pub worker: u8,
    /// How many workers share the shards, at least 1.
    pub workers: u8,
    /// The node's number (0–1023), part of every record's id.
    pub node: u16,
    /// Sizes.
    pub limits: Limits,
    /// Own service addresses, at least one.
    pub locals: Vec<Local>,
    /// Own addresses beside those, for media alone.
    pub media_locals: Vec<MediaLocal>,
    /// This worker's part of the media ports of each own address: first (even) and last, inclusive.
    pub media_ports: (u16, u16),
    /// Persisted keys, the same in all workers.
    pub keys: Keys,
    /// Seed of tags, branches and Call-IDs: from the OS in life, from the test in simulation.
    pub seed: [u8; 32],
    /// What we call ourselves in `Server` and `User-Agent`; empty: neither header is sent.
    pub user_agent: String,
}

/// Sizes fixed at start; all memory is taken in [`Switch::new`](crate::Switch::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Call slots: calls being set up, running, or waiting for their record to be stored.
    /// At most 2^24.
    pub calls_max: u32,
    /// Transactions, client and server. A call in set-up needs two, and each lingers up to 32 s.
    pub transactions_max: u32,
    /// Messages kept for repetition, of 1 KiB on average; longer ones take more of the same pool.
    pub kept_messages_max: u32,
    /// Longest message we emit.
    pub message_bytes_max: usize,
    /// Gateways whose profile has a place.
    pub gateways_max: u32,
    /// Calls whose speech is transcoded at a time.
    pub transcoded_max: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 4_096,
            // A call leaves INVITE and BYE transactions of both legs behind for 32 s.
            transactions_max: 32_768,
            kept_messages_max: 32_768,
            message_bytes_max: 8_192,
            gateways_max: link::profile::GATEWAYS_MAX,
            transcoded_max: 0,
        }
    }
}

/// An own service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address on the interface.
    pub address: IpAddr,
    /// The SIP port on it.
    pub sip_port: u16,
    /// How many bits of it name the subnet.
    pub prefix_bits: u8,
    /// What we say in Via, Contact and SDP instead of `address`, for a box behind 1:1 NAT.
    pub advertise: Option<IpAddr>,
    /// The ports of the transports that have one of their own.
    pub stream_ports: StreamPorts,
}

/// An own address that carries media, and hears no SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLocal {
    /// The address on the interface.
    pub address: IpAddr,
    /// What SDP says instead of it.
    pub advertise: Option<IpAddr>,
    /// The service address whose calls it helps to carry, of its family.
    pub beside: IpAddr,
}

impl MediaLocal {
    /// A service address carries media itself.
    pub(crate) fn of(local: &Local) -> Self {
        Self { address: local.address, advertise: local.advertise, beside: local.address }
    }

    pub(crate) fn advertised(&self) -> IpAddr {
        self.advertise.unwrap_or(self.address)
    }
}

/// Where peers reach us by TLS and WebSocket; TCP has the SIP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPorts {
    /// SIP over TLS.
    pub tls: u16,
    /// SIP over WebSocket.
    pub ws: u16,
    /// SIP over WebSocket over TLS.
    pub wss: u16,
}

impl Default for StreamPorts {
    /// The usual ones: what a Via names though nobody listens there, since its answers come back by the
    /// same connection.
    fn default() -> Self {
        Self { tls: 5061, ws: 80, wss: 443 }
    }
}

impl Local {
    /// Where SIP is received and leaves from.
    pub(crate) fn sip(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.sip_port)
    }

    /// The port that peers reach us at by a transport.
    pub(crate) fn port(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Udp | Transport::Tcp => self.sip_port,
            Transport::Tls => self.stream_ports.tls,
            Transport::Ws => self.stream_ports.ws,
            Transport::Wss => self.stream_ports.wss,
        }
    }

    /// What others are told.
    pub(crate) fn advertised(&self) -> IpAddr {
        self.advertise.unwrap_or(self.address)
    }

    fn subnet_has(&self, target: IpAddr) -> bool {
        match (self.address, target) {
            (IpAddr::V4(own), IpAddr::V4(target)) => {
                let shift = 32 - u32::from(self.prefix_bits.min(32));
                let differing = u32::from(own) ^ u32::from(target);
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(target)) => {
                let shift = 128 - u32::from(self.prefix_bits.min(128));
                let differing = u128::from(own) ^ u128::from(target);
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The own address from which `target` is reached: same family and the longest subnet that
/// contains it, else the first of the family. `None`: we have no address of that family.
pub(crate) fn local_for(locals: &[Local], target: IpAddr) -> Option<&Local> {
    let same_family = |local: &&Local| local.address.is_ipv4() == target.is_ipv4();
    locals
        .iter()
        .filter(|local| local.subnet_has(target))
        .max_by_key(|local| local.prefix_bits)
        .or_else(|| locals.iter().find(same_family))
}

/// The place of the own address from which a target is spoken to: the one that is asked for, if it is
/// still ours and of the target's family.
pub(crate) fn own_towards(locals: &[Local], asked: Endpoint, target: IpAddr) -> Option<u8> {
    let asked = asked.socket_address().filter(|asked| asked.is_ipv4() == target.is_ipv4());
    let exact = || locals.iter().position(|local| Some(local.sip()) == asked);
    let by_ip = || locals.iter().position(|local| Some(local.address) == asked.map(|it| it.ip()));
    let usual = || {
        let local = local_for(locals, target)?;
        locals.iter().position(|own| own == local)
    };
    exact().or_else(by_ip).or_else(usual).map(|index| index as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(address: &str, prefix_bits: u8) -> Local {
        let stream_ports = StreamPorts::default();
        let address = address.parse().unwrap();
        Local { address, sip_port: 5060, prefix_bits, advertise: None, stream_ports }
    }

    #[test]
    fn the_longest_subnet_wins_and_the_first_of_the_family_is_the_default() {
        let locals = [
            local("10.10.1.2", 24),
            local("10.10.2.2", 16),
            local("10.10.2.3", 24),
            local("fd10::1", 64),
        ];
        let chosen = |target: &str| {
            local_for(&locals, target.parse().unwrap()).map(|local| local.address.to_string())
        };
        assert_eq!(chosen("10.10.2.9").as_deref(), Some("10.10.2.3"));
        assert_eq!(chosen("10.10.7.9").as_deref(), Some("10.10.2.2"));
        assert_eq!(chosen("192.0.2.1").as_deref(), Some("10.10.1.2"));
        assert_eq!(chosen("2001:db8::1").as_deref(), Some("fd10::1"));
        let own = |asked: &str, target: &str| {
            let asked = asked.parse::<SocketAddr>().map_or(Endpoint::NONE, Endpoint::from);
            own_towards(&locals, asked, target.parse().unwrap())
        };
        // A phone far away is called from where it registered, be it by another port of that address.
        assert_eq!(own("", "192.0.2.1"), Some(0));
        assert_eq!(own("10.10.2.3:5060", "192.0.2.1"), Some(2));
        assert_eq!(own("10.10.2.3:5061", "192.0.2.1"), Some(2));
        // What is not ours any more, or speaks another family, is of no use.
        assert_eq!(own("10.10.9.9:5060", "10.10.2.9"), Some(2));
        assert_eq!(own("10.10.2.3:5060", "2001:db8::1"), Some(3));
        assert!(local_for(&locals[3..], "192.0.2.1".parse().unwrap()).is_none());
    }

    #[test]
    fn a_prefix_of_no_bits_contains_its_whole_family() {
        let locals = [local("10.0.0.1", 0)];
        assert!(locals[0].subnet_has("192.0.2.1".parse().unwrap()));
    }
}
