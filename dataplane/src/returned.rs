//! Datagrams of ours that came back: the kernel's error queue (IP_RECVERR), fed by ICMP.
//!
//! It matches what ICMP quotes with our sockets by addresses and ports, so it also hears of datagrams that
//! left by AF_XDP. RFC 3261 §18.4 says which errors mean that nobody is there.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::sock_extended_err;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

/// What the kernel calls the origin of an error.
const FROM_ICMP: u8 = 2;
const FROM_ICMPV6: u8 = 3;
/// RFC 792.
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const PARAMETER_PROBLEM: u8 = 12;
/// RFC 4443.
const UNREACHABLE_V6: u8 = 1;
const PARAMETER_PROBLEM_V6: u8 = 4;

/// Bytes of a control message with an error and the address of who reports it.
const CONTROL_BYTES: usize = 256;

/// Where control messages are read into; one for each who reads.
pub(crate) type Control = Box<[u8]>;

pub(crate) fn control() -> Control {
    vec![0; CONTROL_BYTES].into()
}

/// Has the kernel keep what comes back to a socket bound to `address`.
pub(crate) fn listen(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// One error of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// A datagram to that address found nobody; so many bytes of its front were quoted.
    Undeliverable(SocketAddr, usize),
    /// Something that mends itself, or that is not about a datagram.
    Other,
}

/// The next error of a socket; `None`: there is none.
pub(crate) fn poll(socket: &impl AsFd, room: &mut [u8], control: &mut Control) -> Option<Returned> {
    let mut parts = [IoSliceMut::new(room)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let fd = socket.as_fd().as_raw_fd();
    let got = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), flags).ok()?;
    let destination = got.address.as_ref().and_then(socket_address);
    let is_final = got.cmsgs().is_ok_and(|mut messages| {
        messages.any(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => means_nobody(&error),
            _ => false,
        })
    });
    Some(match destination.filter(|_| is_final) {
        Some(destination) => Returned::Undeliverable(destination, got.bytes),
        None => Returned::Other,
    })
}

/// RFC 3261 §18.4: unreachable or a parameter problem; a datagram that is too big is sent smaller.
fn means_nobody(error: &sock_extended_err) -> bool {
    match (error.ee_origin, error.ee_type, error.ee_code) {
        (FROM_ICMP, UNREACHABLE, code) => code != FRAGMENTATION_NEEDED,
        (FROM_ICMP, PARAMETER_PROBLEM, _)
        | (FROM_ICMPV6, UNREACHABLE_V6 | PARAMETER_PROBLEM_V6, _) => true,
        _ => false,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    let v6 = || address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())));
    v4.or_else(v6).map(canonical)
}

/// An IPv4 peer that a v6 socket shows as mapped.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn comes_back(own: &str) {
        let socket = UdpSocket::bind(own).unwrap();
        let local = socket.local_addr().unwrap();
        listen(&socket, local).unwrap();
        // A port that was free a moment ago.
        let nobody = UdpSocket::bind(own).unwrap().local_addr().unwrap();
        let (mut room, mut control) = ([0; 2048], control());
        assert_eq!(poll(&socket, &mut room, &mut control), None);
        let sent: Vec<u8> = (0..400_u16).map(|at| at as u8).collect();
        socket.send_to(&sent, nobody).unwrap();
        let returned = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            poll(&socket, &mut room, &mut control)
        });
        let Some(Returned::Undeliverable(destination, length)) = returned else {
            panic!("{returned:?}");
        };
        assert_eq!(destination, nobody);
        assert_eq!(room[..length], sent[..length]);
        assert!(length >= 300);
    }

    #[test]
    fn what_nobody_listens_for_comes_back_with_its_front() {
        comes_back("127.0.0.1:0");
        comes_back("[::1]:0");
    }

    #[test]
    fn what_may_mend_itself_is_not_taken_for_nobody() {
        let error = |ee_origin, ee_type, ee_code| sock_extended_err {
            ee_errno: 0,
            ee_origin,
            ee_type,
            ee_code,
            ee_pad: 0,
            ee_info: 0,
            ee_data: 0,
        };
        assert!(means_nobody(&error(FROM_ICMP, UNREACHABLE, 3)));
        assert!(means_nobody(&error(FROM_ICMPV6, UNREACHABLE_V6, 4)));
        assert!(!means_nobody(&error(FROM_ICMP, UNREACHABLE, FRAGMENTATION_NEEDED)));
        // Time exceeded, packet too big, and what our own kernel says.
        assert!(!means_nobody(&error(FROM_ICMP, 11, 0)));
        assert!(!means_nobody(&error(FROM_ICMPV6, 2, 0)));
        assert!(!means_nobody(&error(1, 0, 0)));
    }
}
