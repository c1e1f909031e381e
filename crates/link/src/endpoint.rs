//! An address and port as it lies in shared memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IPv4 or IPv6 address and port, or nothing at all (family 0).
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Endpoint {
    /// An IPv4 address stands in the first four bytes.
    address: [u8; 16],
    port: u16,
    /// 0: none, 4 or 6.
    family: u8,
    /// The SIP transport ([`Transport`] as a number); unused for media.
    transport: u8,
}

/// How SIP reaches an endpoint. The numbers are stable: they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// RFC 3261 §18 over UDP.
    #[default]
    Udp = 0,
    /// Over TCP.
    Tcp = 1,
    /// Over TLS.
    Tls = 2,
    /// Over WebSocket (RFC 7118).
    Ws = 3,
    /// Over WebSocket over TLS.
    Wss = 4,
}

impl Endpoint {
    /// No endpoint.
    pub const NONE: Self = Self { address: [0; 16], port: 0, family: 0, transport: 0 };

    /// The same endpoint, reached by `transport`.
    #[must_use]
    pub fn by(mut self, transport: Transport) -> Self {
        self.transport = transport as u8;
        self
    }

    /// How SIP reaches it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.transport {
            1 => Transport::Tcp,
            2 => Transport::Tls,
            3 => Transport::Ws,
            4 => Transport::Wss,
            _ => Transport::Udp,
        }
    }

    /// The socket address, or `None` for [`Endpoint::NONE`].
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.family {
            4 => {
                let [a, b, c, d, ..] = self.address;
                Ipv4Addr::new(a, b, c, d).into()
            }
            6 => Ipv6Addr::from(self.address).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(from: SocketAddr) -> Self {
        let mut address = [0; 16];
        let family = match from.ip() {
            IpAddr::V4(ip) => {
                address[..4].copy_from_slice(&ip.octets());
                4
            }
            IpAddr::V6(ip) => {
                address = ip.octets();
                6
            }
        };
        Self { address, port: from.port(), family, transport: 0 }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket_address() {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_address_survives_the_journey() {
        for text in ["10.10.1.1:5060", "[fd10:1::1]:5061"] {
            let address: SocketAddr = text.parse().unwrap();
            use Transport::{Tcp, Tls, Udp, Ws, Wss};
            for transport in [Udp, Tcp, Tls, Ws, Wss] {
                let endpoint = Endpoint::from(address).by(transport);
                assert_eq!(endpoint.socket_address(), Some(address));
                assert_eq!(endpoint.transport(), transport);
            }
        }
        assert_eq!(Endpoint::NONE.socket_address(), None);
    }
}
