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

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const REPLACE: u16 = 0x100;
const GROUPS: u32 = 0x1 | 0x4 | 0x40 | 0x400; // links, neighbours, IPv4 and IPv6 routes

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_FLAGS_EXT: u16 = 15;
/// Reachable, stale, delay, probe, permanent: the address holds.
const NUD_VALID: u16 = 0x02 | 0x04 | 0x08 | 0x10 | NUD_PERMANENT;
const NUD_PERMANENT: u16 = 0x80;
/// Bits of an attribute's kind that say how it is packed.
const KIND_MASK: u16 = 0x3fff;
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
    /// A VLAN interface: the one it stands on, and its identifier.
    pub(crate) vlan: Option<(u32, u16)>,
}

/// A neighbour whose MAC holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbor {
    pub(crate) mac: Mac,
    /// Written down by the operator; the kernel never looks for it.
    pub(crate) permanent: bool,
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

/// The attributes that lie one behind the other in `bytes`.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(number(bytes, 0)?));
        let kind = u16::from_ne_bytes(number(bytes, 2)?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & KIND_MASK, value))
    })
}

/// What an answer about an interface says.
fn read_link(answer: &[u8]) -> Option<Link> {
    let mut link = Link { mac: [0; 6], mtu: 1500, vlan: None };
    let (mut below, mut tag) = (None, None);
    for (kind, value) in attributes(answer.get(16..)?) {
        match kind {
            IFLA_ADDRESS if value.len() == 6 => link.mac = number(value, 0)?,
            IFLA_MTU => link.mtu = u32::from_ne_bytes(number(value, 0)?),
            IFLA_LINK => below = number(value, 0).map(u32::from_ne_bytes),
            IFLA_LINKINFO => tag = vlan_tag(value),
            _ => {}
        }
    }
    link.vlan = below.zip(tag);
    Some(link)
}

fn vlan_tag(info: &[u8]) -> Option<u16> {
    let find = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted);
    let (_, kind) = find(info, IFLA_INFO_KIND)?;
    if kind.strip_suffix(&[0]).unwrap_or(kind) != b"vlan" {
        return None;
    }
    let (_, data) = find(info, IFLA_INFO_DATA)?;
    let (_, tag) = find(data, IFLA_VLAN_ID)?;
    number(tag, 0).map(u16::from_ne_bytes)
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
        loop {
            match recv(self.changes.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
                // ENOBUFS: there were more changes than the kernel could tell of.
                Ok(_) | Err(Errno::ENOBUFS) => any = true,
                Err(Errno::EINTR) => {}
                Err(_) => return any,
            }
        }
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
                // A gateway of the other family, behind the number of that family.
                RTA_VIA => route.gateway = address(value.get(2..)?),
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
        read_link(&answer)
    }

    fn neighbor_body(interface: u32, next: IpAddr, flags: u8) -> [u8; 12] {
        let [a, b, c, d] = interface.to_ne_bytes();
        [family(next), 0, 0, 0, a, b, c, d, 0, 0, flags, 0]
    }

    /// A neighbour, if the kernel holds its MAC for valid.
    pub(crate) fn neighbor(&mut self, interface: u32, next: IpAddr) -> Option<Neighbor> {
        let message = self.message(RTM_GETNEIGH, 0, &Self::neighbor_body(interface, next, 0));
        let answer = self.ask(message.attribute(NDA_DST, &octets(next)), RTM_NEWNEIGH)?;
        let state = u16::from_ne_bytes(number(&answer, 8)?);
        if state & NUD_VALID == 0 {
            return None;
        }
        let mut found = attributes(answer.get(12..)?).filter(|(kind, _)| *kind == NDA_LLADDR);
        let (_, mac) = found.next().filter(|(_, value)| value.len() == 6)?;
        Some(Neighbor { mac: number(mac, 0)?, permanent: state & NUD_PERMANENT != 0 })
    }

    /// Makes the kernel look for a neighbour now.
    pub(crate) fn probe(&mut self, interface: u32, next: IpAddr) {
        let body = Self::neighbor_body(interface, next, NTF_USE);
        let message = self.message(RTM_NEWNEIGH, CREATE | REPLACE, &body);
        let message = message.attribute(NDA_DST, &octets(next));
        // Whether it worked is seen at the next look.
        let _ = send(self.questions.as_raw_fd(), &message.finish(), MsgFlags::empty());
    }

    /// Makes the kernel keep a neighbour fresh for ever; a kernel that cannot is asked to use it. Never
    /// for a permanent one: to be kept fresh, it would cease to be permanent.
    pub(crate) fn keep(&mut self, interface: u32, next: IpAddr) {
        let body = Self::neighbor_body(interface, next, NTF_USE);
        let message = self.message(RTM_NEWNEIGH, CREATE | REPLACE | ACKNOWLEDGE, &body);
        let message = message
            .attribute(NDA_DST, &octets(next))
            .attribute(NDA_FLAGS_EXT, &NTF_EXT_MANAGED.to_ne_bytes());
        let answer = self.ask(message, NLMSG_ERROR);
        // No error is an error of number 0.
        if answer.and_then(|body| number(&body, 0)).map(i32::from_ne_bytes) != Some(0) {
            self.probe(interface, next);
        }
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
    fn a_vlan_interface_names_its_tag_and_what_it_stands_on() {
        let nested = |kind: u16, parts: &[u8]| {
            Message { bytes: Vec::new() }.attribute(kind | 0x8000, parts).bytes
        };
        let tag = nested(IFLA_INFO_DATA, &nested(IFLA_VLAN_ID, &42_u16.to_ne_bytes()));
        let info = |kind: &[u8]| [nested(IFLA_INFO_KIND, kind), tag.clone()].concat();
        let answer = |kind: &[u8]| {
            let bytes = [
                vec![0; 16],
                nested(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
                nested(IFLA_MTU, &9000_u32.to_ne_bytes()),
                nested(IFLA_LINK, &7_u32.to_ne_bytes()),
                nested(IFLA_LINKINFO, &info(kind)),
            ];
            bytes.concat()
        };
        let link = read_link(&answer(b"vlan\0")).unwrap();
        assert_eq!(link, Link { mac: [2, 0, 0, 0, 0, 1], mtu: 9000, vlan: Some((7, 42)) });
        assert_eq!(read_link(&answer(b"macvlan\0")).unwrap().vlan, None);
        let whole = answer(b"vlan\0");
        for length in 0..whole.len() {
            let _ = read_link(&whole[..length]);
        }
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
