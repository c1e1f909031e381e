//! A packet described in words, the frame it would be, and what the guard says about it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Deny, Error, Meter, Prefix, Rate, Reason, Standing, Verdict};

/// A packet as an operator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Who sends it.
    pub source: IpAddr,
    /// To which of our addresses; of the same family.
    pub destination: IpAddr,
    /// What it carries.
    pub protocol: Protocol,
    /// Bytes behind the transport header.
    pub payload: Vec<u8>,
    /// VLAN numbers from the outside in, at most two are understood.
    pub vlans: Vec<u16>,
    /// The interface it comes in by; `None` is the first one guarded.
    pub interface: Option<String>,
    /// The queue of that interface.
    pub queue: u32,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A UDP datagram.
    Udp {
        /// The sender's port.
        source_port: u16,
        /// Ours.
        port: u16,
    },
    /// A TCP segment.
    Tcp {
        /// The sender's port.
        source_port: u16,
        /// Ours.
        port: u16,
    },
    /// An echo request.
    Ping,
    /// Another protocol by its number.
    Other(u8),
}

/// The answer to "what would you do with this packet?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What would happen to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// What is known of the sender, where it was asked.
    pub standing: Standing,
    /// Whose budget it would be spent from, where one would.
    pub meter: Option<Meter>,
    /// Contacts of a regular.
    pub contacts: u32,
    /// In monitor mode: why it would have been dropped.
    pub spared: Option<Reason>,
    /// Of one whose sender is told so: why it is refused.
    pub refused: Option<Reason>,
    /// The entry that decided, where one did.
    pub rule: Option<Rule>,
}

/// An entry of a list or a limit that decided about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The source is denied by this entry.
    Deny(Deny),
    /// The source is trusted, which beats that it is denied.
    Trust {
        /// The entry of the trust list.
        trusted: Prefix,
        /// The entry of the deny list that it beats.
        denied: Deny,
    },
    /// The source lies in this network of a region; of no bits: in none that is allowed.
    Region(Prefix),
    /// A budget is spent.
    Budget {
        /// Which of those that the message is spent from.
        purse: Purse,
        /// For what.
        meter: Meter,
        /// How much it is.
        rate: Rate,
    },
}

/// Who shares a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// Nobody: it is of the source alone, for that kind of message.
    Own,
    /// Nobody, for SIP of any kind (`TG_STRANGER_ANY`).
    Any,
    /// All strangers of its network (`TG_NETWORK_…`).
    Network,
    /// All strangers (`TG_CROWD_…`).
    Crowd,
}

impl Purse {
    /// What stands before the kind of message.
    fn words(self) -> &'static str {
        match self {
            Self::Own | Self::Any => "",
            Self::Network => "network ",
            Self::Crowd => "crowd ",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny(deny) => write!(f, "deny {}", deny.prefix),
            Self::Trust { trusted, denied } => {
                write!(f, "trust {trusted} (before deny {})", denied.prefix)
            }
            Self::Region(prefix) => write!(f, "region {prefix}"),
            Self::Budget { purse: Purse::Any, rate, .. } => write!(f, "limit any {rate}"),
            Self::Budget { purse, meter, rate } => {
                write!(f, "limit {}{} {rate}", purse.words(), meter.name())
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.name(), self.reason.name())?;
        if let Some(rule) = &self.rule {
            write!(f, " by {rule}")?;
        }
        if let Some(refused) = self.refused {
            write!(f, ", refused {}", refused.name())?;
        }
        if let Some(spared) = self.spared {
            write!(f, ", spared {}", spared.name())?;
        }
        Ok(())
    }
}

const TYPE_VLAN: u16 = 0x8100;
const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const TCP: u8 = 6;
const TCP_HEADER_BYTES: usize = 20;
/// What one frame may carry: larger packets come as fragments.
const PAYLOAD_BYTES_MAX: usize = 1400;

impl Described {
    /// The frame, without checksums: the driver looks at none.
    pub(crate) fn frame(&self) -> Result<Vec<u8>, Error> {
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            let most = format!("describe at most {PAYLOAD_BYTES_MAX} bytes of payload");
            return Err(Error::Plan(most));
        }
        let transport = self.transport();
        let mut frame = vec![0; 12];
        for vlan in &self.vlans {
            frame.extend(TYPE_VLAN.to_be_bytes());
            frame.extend((vlan & 0x0fff).to_be_bytes());
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend(TYPE_IPV4.to_be_bytes());
                frame.extend(self.ipv4(source, destination, transport.len()));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend(TYPE_IPV6.to_be_bytes());
                frame.extend(self.ipv6(source, destination, transport.len()));
            }
            _ => {
                let families = format!("{} cannot send to {}", self.source, self.destination);
                return Err(Error::Plan(families));
            }
        }
        frame.extend(transport);
        Ok(frame)
    }

    fn protocol_number(&self) -> u8 {
        match self.protocol {
            Protocol::Udp { .. } => UDP,
            Protocol::Tcp { .. } => TCP,
            Protocol::Ping if self.source.is_ipv4() => 1,
            Protocol::Ping => 58,
            Protocol::Other(number) => number,
        }
    }

    fn transport(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.protocol {
            Protocol::Udp { source_port, port } => {
                bytes.extend(source_port.to_be_bytes());
                bytes.extend(port.to_be_bytes());
                bytes.extend((self.payload.len() as u16 + 8).to_be_bytes());
                bytes.extend([0; 2]);
            }
            Protocol::Tcp { source_port, port } => {
                bytes.extend(source_port.to_be_bytes());
                bytes.extend(port.to_be_bytes());
                bytes.resize(TCP_HEADER_BYTES, 0);
                bytes[12] = 5 << 4;
            }
            Protocol::Ping => {
                let kind = if self.source.is_ipv4() { 8 } else { 128 };
                bytes.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
            }
            Protocol::Other(_) => {}
        }
        bytes.extend(&self.payload);
        bytes
    }

    fn ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr, left: usize) -> Vec<u8> {
        let mut header = vec![0x45, 0];
        header.extend((left as u16 + 20).to_be_bytes());
        header.extend([0, 0, 0, 0, 64, self.protocol_number(), 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header
    }

    fn ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr, left: usize) -> Vec<u8> {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((left as u16).to_be_bytes());
        header.extend([self.protocol_number(), 64]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    fn described(source: &str, destination: &str) -> Described {
        Described {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: Protocol::Udp { source_port: 5080, port: 5060 },
            payload: b"OPTIONS sip:a SIP/2.0\r\n".to_vec(),
            vlans: vec![7, 8],
            interface: None,
            queue: 0,
        }
    }

    #[test]
    fn a_foreign_parser_reads_the_frame_as_described() {
        for (source, destination) in [("10.1.1.1", "10.1.1.2"), ("fd10::1", "fd10::2")] {
            let described = described(source, destination);
            let frame = described.frame().unwrap();
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            assert_eq!(packet.vlan_ids().iter().map(|id| id.value()).collect::<Vec<_>>(), [7, 8]);
            let found = match packet.net.unwrap() {
                NetSlice::Ipv4(ip) => IpAddr::from(ip.header().source_addr()),
                NetSlice::Ipv6(ip) => IpAddr::from(ip.header().source_addr()),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, described.source);
            let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("not UDP") };
            assert_eq!((udp.source_port(), udp.destination_port()), (5080, 5060));
            assert_eq!(udp.payload(), described.payload);
        }
    }

    #[test]
    fn a_description_that_cannot_travel_is_refused() {
        assert!(described("10.1.1.1", "fd10::2").frame().is_err());
        let mut long = described("10.1.1.1", "10.1.1.2");
        long.payload = vec![0; PAYLOAD_BYTES_MAX + 1];
        assert!(long.frame().is_err());
    }

    #[test]
    fn an_explanation_names_verdict_reason_and_rule() {
        let denied = Deny { prefix: "10.0.0.0/8".parse().unwrap(), not_after: None };
        let explanation = Explanation {
            verdict: Verdict::Drop,
            reason: Reason::DropDenyPrefix,
            standing: Standing::Unasked,
            meter: None,
            contacts: 0,
            spared: None,
            refused: None,
            rule: Some(Rule::Deny(denied)),
        };
        assert_eq!(explanation.to_string(), "drop: drop_deny_prefix by deny 10.0.0.0/8");
    }
}
