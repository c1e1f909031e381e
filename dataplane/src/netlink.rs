//! The few questions of `neighbors.rs` in the kernel's own language (rtnetlink, RFC 3549).
//!
//! A small codec over nix's sockets: four messages, each a fixed header and a few attributes.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use wire::Mac;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const REQUEST: u16 = 1;
const CREATE: u16 = 0x400;
const REPLACE: u16 = 0x100;
const GROUPS: u32 = 0x1 | 0x4 | 0x40 | 0x400; // links, neighbours, IPv4 and IPv6 routes

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_FLAGS_EXT: u16 = 15;
/// Reachable, stale, delay, probe, permanent: the address holds.
const NUD_VALID: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;
const NTF_USE: u8 = 0x01;
const NTF_EXT_MANAGED: u32 = 0x01;

/// How the kernel would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) interface: u32,
    pub(crate) gateway: Option<IpAddr>,
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) mac: Mac,
    pub(crate) mtu: u32,
}

/// Two sockets: one for questions, one that hears of changes.
pub(crate) struct Netlink {
    questions: OwnedFd,
    changes: OwnedFd,
    sequence: u32,
}

fn open(groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

/// A message under construction.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(body);
        Self { bytes }
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend((4 + value.len() as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u32).to_ne_bytes();
        if let Some(place) = self.bytes.get_mut(..4) {
            place.copy_from_slice(&length);
        }
        self.bytes
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Attributes behind a body of `skip` bytes.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(number(bytes, 0)?));
        let kind = u16::from_ne_bytes(number(bytes, 2)?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            questions: open(0, SockFlag::empty())?,
            changes: open(GROUPS, SockFlag::SOCK_NONBLOCK)?,
            sequence: 0,
        })
    }

    /// Sends one question and gives the body of its answer, if it is of the kind asked for.
    fn ask(&self, message: Message, answer: u16) -> Option<Vec<u8>> {
        send(self.questions.as_raw_fd(), &message.finish(), MsgFlags::empty()).ok()?;
        let mut room = vec![0; 8192];
        loop {
            let length = match recv(self.questions.as_raw_fd(), &mut room, MsgFlags::empty()) {
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(_) => return None,
            };
            let bytes = room.get(..length)?;
            let kind = u16::from_ne_bytes(number(bytes, 4)?);
            let sequence = u32::from_ne_bytes(number(bytes, 8)?);
            if sequence == self.sequence {
                return (kind == answer).then(|| bytes.get(16..).unwrap_or_default().to_vec());
            }
        }
    }

    fn message(&mut self, kind: u16, flags: u16, body: &[u8]) -> Message {
        self.sequence = self.sequence.wrapping_add(1);
        Message::new(kind, flags, self.sequence, body)
    }

    /// Whether the kernel told of any change since the last look.
    pub(crate) fn anything_changed(&self) -> bool {
        let mut room = [0; 8192];
        let mut any = false;
        while recv(self.changes.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT).is_ok() {
            any = true;
        }
        any
    }

    pub(crate) fn route(&mut self, destination: IpAddr) -> Option<Route> {
        let bits = if destination.is_ipv4() { 32 } else { 128 };
        let body = [family(destination), bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let message = self.message(RTM_GETROUTE, 0, &body);
        let answer = self.ask(message.attribute(RTA_DST, &octets(destination)), RTM_NEWROUTE)?;
        let mut route = Route { interface: 0, gateway: None };
        for (kind, value) in attributes(answer.get(12..)?) {
            match kind {
                RTA_OIF => route.interface = u32::from_ne_bytes(number(value, 0)?),
                RTA_GATEWAY => route.gateway = address(value),
                _ => {}
            }
        }
        (route.interface != 0).then_some(route)
    }

    pub(crate) fn link(&mut self, interface: u32) -> Option<Link> {
        let mut body = [0; 16];
        body.get_mut(4..8)?.copy_from_slice(&interface.to_ne_bytes());
        let message = self.message(RTM_GETLINK, 0, &body);
        let answer = self.ask(message, RTM_NEWLINK)?;
        let mut link = Link { mac: [0; 6], mtu: 1500 };
        for (kind, value) in attributes(answer.get(16..)?) {
            match kind {
                IFLA_ADDRESS if value.len() == 6 => link.mac = number(value, 0)?,
                IFLA_MTU => link.mtu = u32::from_ne_bytes(number(value, 0)?),
                _ => {}
            }
        }
        Some(link)
    }

    fn neighbor_body(interface: u32, next: IpAddr, flags: u8) -> [u8; 12] {
        let [a, b, c, d] = interface.to_ne_bytes();
        [family(next), 0, 0, 0, a, b, c, d, 0, 0, flags, 0]
    }

    /// The MAC of a neighbour, if the kernel holds it for valid.
    pub(crate) fn neighbor(&mut self, interface: u32, next: IpAddr) -> Option<Mac> {
        let message = self.message(RTM_GETNEIGH, 0, &Self::neighbor_body(interface, next, 0));
        let answer = self.ask(message.attribute(NDA_DST, &octets(next)), RTM_NEWNEIGH)?;
        let state = u16::from_ne_bytes(number(&answer, 8)?);
        if state & NUD_VALID == 0 {
            return None;
        }
        let mut found = attributes(answer.get(12..)?).filter(|(kind, _)| *kind == NDA_LLADDR);
        found.next().and_then(|(_, value)| number(value, 0))
    }

    /// Makes the kernel look for a neighbour now.
    pub(crate) fn probe(&mut self, interface: u32, next: IpAddr) {
        let body = Self::neighbor_body(interface, next, NTF_USE);
        let message = self.message(RTM_NEWNEIGH, CREATE | REPLACE, &body);
        let message = message.attribute(NDA_DST, &octets(next));
        // Whether it worked is seen at the next look.
        let _ = send(self.questions.as_raw_fd(), &message.finish(), MsgFlags::empty());
    }

    /// Makes the kernel keep a neighbour fresh for ever; a kernel that cannot is asked to use it.
    pub(crate) fn keep(&mut self, interface: u32, next: IpAddr) {
        let body = Self::neighbor_body(interface, next, NTF_USE);
        let message = self.message(RTM_NEWNEIGH, CREATE | REPLACE, &body);
        let message = message
            .attribute(NDA_DST, &octets(next))
            .attribute(NDA_FLAGS_EXT, &NTF_EXT_MANAGED.to_ne_bytes());
        let _ = send(self.questions.as_raw_fd(), &message.finish(), MsgFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_their_journey_and_broken_ones_end_it() {
        let message = Message::new(RTM_GETROUTE, 0, 7, &[0; 12])
            .attribute(RTA_DST, &[10, 0, 0, 1])
            .attribute(NDA_LLADDR, &[1, 2, 3, 4, 5, 6])
            .finish();
        assert_eq!(u32::from_ne_bytes(number(&message, 0).unwrap()) as usize, message.len());
        let read: Vec<_> = attributes(&message[28..]).collect();
        assert_eq!(read, [(RTA_DST, &[10, 0, 0, 1][..]), (NDA_LLADDR, &[1, 2, 3, 4, 5, 6][..])]);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[200, 0, 1, 0, 9]).count(), 0);
    }

    #[test]
    fn the_kernel_knows_the_loopback() {
        let mut netlink = Netlink::open().unwrap();
        let route = netlink.route("127.0.0.1".parse().unwrap()).unwrap();
        let link = netlink.link(route.interface).unwrap();
        assert!(link.mtu >= 1500);
        assert!(netlink.route("127.0.0.1".parse().unwrap()).unwrap().gateway.is_none());
    }
}
