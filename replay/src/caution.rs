//! Where a flood may go: a replay by mistake must not reach a network that carries calls.
//!
//! Harmless are the loopback interface, a veth, whose other end is on this machine, a dummy, and whatever is
//! in a network namespace of its own. Anything else needs a word.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Why an interface is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is none of this name.
    Missing,
    /// It leads to a network that others may use.
    Production,
}

/// Whether a replay may be sent by this interface of this thread's network namespace.
pub(crate) fn check(interface: &str, meant: bool) -> Result<(), Refusal> {
    let Ok(index) = nix::net::if_::if_nametoindex(interface) else { return Err(Refusal::Missing) };
    let stays_here = || matches!(kind(index).as_deref(), Some(b"veth" | b"dummy"));
    if meant || is_loopback(interface) || is_own_namespace() || stays_here() {
        return Ok(());
    }
    Err(Refusal::Production)
}

fn is_loopback(interface: &str) -> bool {
    let flags = nix::net::if_::InterfaceFlags::IFF_LOOPBACK;
    nix::ifaddrs::getifaddrs().is_ok_and(|mut found| {
        found.any(|found| found.interface_name == interface && found.flags.contains(flags))
    })
}

/// Whether this is another network than the machine's, as far as the kernel lets that be seen.
fn is_own_namespace() -> bool {
    let here = std::fs::read_link("/proc/thread-self/ns/net");
    let machine = std::fs::read_link("/proc/1/ns/net");
    matches!((here, machine), (Ok(here), Ok(machine)) if here != machine)
}

/// What kind of virtual interface it is, as rtnetlink says; a piece of hardware is of no kind.
fn kind(index: u32) -> Option<Vec<u8>> {
    const GET_LINK: u16 = 18;
    const REQUEST: u16 = 1;
    const LINK_INFO: u16 = 18;
    const INFO_KIND: u16 = 1;
    const ANSWER_BYTES: usize = 16 << 10;
    /// Of the message, and of what it says about a link before its attributes.
    const HEAD: usize = 16;
    let family = AddressFamily::Netlink;
    let socket =
        socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).ok()?;
    let mut ask = Vec::with_capacity(2 * HEAD);
    ask.extend((2 * HEAD as u32).to_ne_bytes());
    ask.extend(GET_LINK.to_ne_bytes());
    ask.extend(REQUEST.to_ne_bytes());
    ask.extend([0; 12]);
    ask.extend(index.to_ne_bytes());
    ask.extend([0; 8]);
    send(socket.as_raw_fd(), &ask, MsgFlags::empty()).ok()?;
    let mut answer = vec![0; ANSWER_BYTES];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).ok()?;
    let said = answer.get(2 * HEAD..length)?;
    let kind = attribute(attribute(said, LINK_INFO)?, INFO_KIND)?;
    Some(kind.strip_suffix(&[0]).unwrap_or(kind).to_vec())
}

/// The value of the first attribute of a type.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let &[l0, l1, t0, t1] = rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        // The upper bits say that there are attributes in it.
        if u16::from_ne_bytes([t0, t1]) & 0x3fff == wanted {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4).max(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_harmless_and_one_that_is_not_there_is_refused() {
        assert_eq!(check("lo", false), Ok(()));
        assert_eq!(check("no-such-one", true), Err(Refusal::Missing));
    }

    #[test]
    fn attributes_are_found_and_a_broken_one_is_none() {
        let said = [5, 0, 3, 0, 9, 0, 0, 0, 6, 0, 7, 0, 1, 2, 0, 0];
        assert_eq!(attribute(&said, 7), Some(&[1, 2][..]));
        assert_eq!(attribute(&said, 3), Some(&[9][..]));
        assert_eq!(attribute(&said, 8), None);
        assert_eq!(attribute(&[200, 0, 7, 0], 7), None);
        assert_eq!(attribute(&[0; 12], 7), None);
    }
}
