//! The NIC for machines without AF_XDP: kernel sockets that look like an interface.
//!
//! One socket per own address and port. What a socket receives gets made-up headers in front, what is
//! sent loses its headers again, so workers see frames as with any NIC: the same brain, a slower rim.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use wire::datagram::{self, HEADERS_BYTES_MAX, Headers};

use b2bua::Path;

use crate::mark::Mark;
use crate::returned::{self, Control, Returned};
use crate::worker::by_udp;

use super::{Accounts, BATCH_FRAMES, Batch, Frame, HEADROOM_BYTES, Nic, NicStatistics};

/// Datagrams taken from one socket before the next one has its turn.
const TURN: usize = 8;

/// All sockets of one worker.
pub struct Udp {
    memory: Box<[u8]>,
    frame_bytes: usize,
    frames: usize,
    pool: Vec<u32>,
    sockets: Vec<Own>,
    by_address: HashMap<SocketAddr, usize>,
    epoll: Epoll,
    events: Vec<EpollEvent>,
    /// Sockets whose error queue was not empty, each once.
    returning: Vec<usize>,
    control: Control,
    statistics: NicStatistics,
}

/// The socket of an own address and port.
struct Own {
    address: SocketAddr,
    socket: UdpSocket,
    mark: Mark,
}

/// SIP's sockets are shared by all workers, and want to know what did not arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sip {
    Yes,
    No,
}

fn open_socket(address: SocketAddr, sip: Sip) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Datagram, flags, None)?;
    if sip == Sip::Yes {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
        returned::listen(&fd, address)?;
    }
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrStorage::from(address))?;
    Ok(fd.into())
}

impl Udp {
    /// Bytes of a frame that holds a message of `message_bytes_max` on its way in or out.
    #[must_use]
    pub fn frame_bytes(message_bytes_max: usize) -> u32 {
        // One byte more tells what the kernel cut short from what just fits.
        (HEADROOM_BYTES + HEADERS_BYTES_MAX + message_bytes_max + 1).next_multiple_of(64) as u32
    }

    /// Opens a socket for SIP and for every media port, on every address; beside those, for media alone.
    ///
    /// # Errors
    /// When a port is taken or the process may not hold so many sockets; names the address.
    pub fn open(
        (addresses, beside): (&[IpAddr], &[IpAddr]),
        sip_port: u16,
        media_ports: (u16, u16),
        frames: u32,
        frame_bytes: u32,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut sockets = Vec::new();
        let mut by_address = HashMap::new();
        let served = addresses.iter().map(|ip| (ip, Some(sip_port)));
        for (ip, sip) in served.chain(beside.iter().map(|ip| (ip, None))) {
            let media = media_ports.0..=media_ports.1;
            for port in sip.into_iter().chain(media) {
                let address = SocketAddr::new(*ip, port);
                let sip = if port == sip_port { Sip::Yes } else { Sip::No };
                let socket = open_socket(address, sip).map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!(
                            "{address}: {error} (socket {}; fewer media ports need fewer)",
                            sockets.len()
                        ),
                    )
                })?;
                let event = EpollEvent::new(EpollFlags::EPOLLIN, sockets.len() as u64);
                epoll.add(&socket, event)?;
                by_address.insert(address, sockets.len());
                sockets.push(Own { address, socket, mark: Mark::none(ip.is_ipv4()) });
            }
        }
        Ok(Self {
            memory: vec![0; frames as usize * frame_bytes as usize].into(),
            frame_bytes: frame_bytes as usize,
            frames: frames as usize,
            pool: (0..frames).rev().collect(),
            sockets,
            by_address,
            epoll,
            // No more than a batch takes: what epoll has shown goes to the end of its queue, so that
            // some busy sockets cannot keep all others waiting.
            events: vec![EpollEvent::empty(); BATCH_FRAMES / TURN],
            returning: Vec::with_capacity(addresses.len()),
            control: returned::control(),
            statistics: NicStatistics::default(),
        })
    }

    /// Sends what a frame holds, marked as its header says. Whether it left.
    fn send(&mut self, frame: &Frame) -> bool {
        let Ok(datagram) = datagram::parse(self.bytes(frame)) else { return false };
        let Some(&place) = self.by_address.get(&datagram.source) else { return false };
        if let Some(own) = self.sockets.get_mut(place) {
            // An unmarked datagram is better than none.
            let _ = own.mark.turn(&own.socket, datagram.dscp);
        }
        let payload = datagram.payload(self.bytes(frame));
        self.sockets.get(place).is_some_and(|own| {
            let send = || own.socket.send_to(payload, datagram.destination);
            // The first try may have failed for a datagram before this one that came back.
            send().or_else(|_| send()).is_ok()
        })
    }

    fn buffer(&mut self, index: u32) -> &mut [u8] {
        let start = index as usize * self.frame_bytes;
        self.memory.get_mut(start..start + self.frame_bytes).unwrap_or_default()
    }

    /// One datagram of one socket as a frame.
    fn receive_one(&mut self, place: usize) -> Option<Frame> {
        let index = self.pool.pop()?;
        let start = index as usize * self.frame_bytes;
        let own = self.sockets.get(place)?;
        let buffer = self.memory.get_mut(start..start + self.frame_bytes)?;
        let room = buffer.get_mut(HEADERS_BYTES_MAX..)?;
        let Ok((length, source)) = own.socket.recv_from(room) else {
            self.pool.push(index);
            return None;
        };
        if length == room.len() {
            self.statistics.invalid += 1;
            self.pool.push(index);
            return None;
        }
        let headers = Headers {
            destination_mac: [0; 6],
            source_mac: [0; 6],
            vlan: None,
            source,
            destination: own.address,
            dscp: 0,
            ttl: 64,
        };
        let begin = HEADERS_BYTES_MAX - headers.bytes();
        let frame = buffer.get_mut(begin..HEADERS_BYTES_MAX + length)?;
        if datagram::write_headers(frame, &headers).is_none() {
            self.pool.push(index);
            return None;
        }
        Some(Frame::new(index, begin as u32, (headers.bytes() + length) as u32))
    }
}

impl Nic for Udp {
    fn receive(&mut self, batch: &mut Batch) -> usize {
        let mut events = std::mem::take(&mut self.events);
        let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let mut received = 0;
        for event in events.iter().take(ready) {
            let place = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLERR) && !self.returning.contains(&place) {
                self.returning.push(place);
            }
            for _ in 0..TURN {
                if received == BATCH_FRAMES {
                    break;
                }
                let Some(frame) = self.receive_one(place) else { break };
                batch.push(frame);
                received += 1;
            }
        }
        self.events = events;
        self.statistics.received += received as u64;
        received
    }

    fn bytes(&self, frame: &Frame) -> &[u8] {
        let start = frame.index as usize * self.frame_bytes + frame.start as usize;
        self.memory.get(start..start + frame.length as usize).unwrap_or_default()
    }

    fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        let start = frame.index as usize * self.frame_bytes + frame.start as usize;
        self.memory.get_mut(start..start + frame.length as usize).unwrap_or_default()
    }

    fn room(&mut self, frame: &mut Frame) -> &mut [u8] {
        let start = frame.start as usize;
        self.buffer(frame.index).get_mut(start..).unwrap_or_default()
    }

    fn transmit(&mut self, _interface: usize, frame: Frame) {
        let sent = self.send(&frame);
        self.statistics.sent += u64::from(sent);
        self.statistics.transmit_full += u64::from(!sent);
        self.give_back(frame);
    }

    fn take(&mut self) -> Option<Frame> {
        self.pool.pop().map(|index| Frame::new(index, HEADROOM_BYTES as u32, 0))
    }

    fn give_back(&mut self, frame: Frame) {
        self.pool.push(frame.dissolve().0);
    }

    fn poll_undeliverable(&mut self, room: &mut [u8]) -> Option<(Path, usize)> {
        loop {
            let own = self.sockets.get(*self.returning.last()?)?;
            match returned::poll(&own.socket, room, &mut self.control) {
                Some(Returned::Undeliverable(remote, length)) => {
                    return Some((by_udp(own.address, remote), length));
                }
                Some(Returned::Other) => {}
                None => {
                    self.returning.pop();
                }
            }
        }
    }

    fn flush(&mut self) {}

    fn wait(&mut self, bell: BorrowedFd<'_>, limit: Duration) {
        use nix::poll::{PollFd, PollFlags, poll};
        let mut fds = [
            PollFd::new(bell, PollFlags::POLLIN),
            PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN),
        ];
        // An interrupted poll is a short sleep.
        let _ = poll(&mut fds, super::poll_timeout(limit));
    }

    fn statistics(&self) -> NicStatistics {
        self.statistics
    }

    fn accounts(&self) -> Accounts {
        let pool = self.pool.len();
        Accounts { pool, rings: 0, hands: self.frames - pool }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

    use super::*;

    #[test]
    fn what_leaves_is_marked_as_its_frame_says() {
        let own: IpAddr = "127.0.0.1".parse().unwrap();
        let mut nic = Udp::open((&[own], &[]), 25_180, (25_182, 25_183), 16, 2048).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
        for (port, dscp) in [(25_180, 24), (25_180, 40), (25_182, 46), (25_180, 40), (25_180, 0)] {
            let mut frame = nic.take().unwrap();
            let headers = Headers {
                destination_mac: [0; 6],
                source_mac: [0; 6],
                vlan: None,
                source: SocketAddr::new(own, port),
                destination: peer.local_addr().unwrap(),
                dscp,
                ttl: 64,
            };
            let length = datagram::write(nic.room(&mut frame), &headers, b"x").unwrap();
            frame.set_length(length);
            nic.transmit(0, frame);
            let mut room = [0; 64];
            let mut parts = [io::IoSliceMut::new(&mut room)];
            let mut control = nix::cmsg_space!(u8);
            let fd = peer.as_raw_fd();
            let control = Some(&mut control[..]);
            let got = recvmsg::<SockaddrStorage>(fd, &mut parts, control, MsgFlags::empty());
            let marks: Vec<_> = got.unwrap().cmsgs().unwrap().collect();
            assert_eq!(marks, [ControlMessageOwned::Ipv4Tos(dscp << 2)], "{port}");
        }
    }

    #[test]
    fn a_datagram_comes_in_as_a_frame_and_its_answer_leaves_as_a_datagram() {
        let own: IpAddr = "127.0.0.1".parse().unwrap();
        let mut nic = Udp::open((&[own], &[]), 25_160, (25_162, 25_163), 16, 2048).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        peer.send_to(b"hello", "127.0.0.1:25162").unwrap();
        let mut batch = Batch::new();
        for _ in 0..100 {
            if nic.receive(&mut batch) > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut frame = batch.drain().next().unwrap();
        let datagram = datagram::parse(nic.bytes(&frame)).unwrap();
        assert_eq!(datagram.payload(nic.bytes(&frame)), b"hello");
        assert_eq!(datagram.source, peer.local_addr().unwrap());
        assert_eq!(nic.accounts(), Accounts { pool: 15, rings: 0, hands: 1 });
        let headers = Headers {
            destination_mac: [0; 6],
            source_mac: [0; 6],
            vlan: None,
            source: datagram.destination,
            destination: datagram.source,
            dscp: 0,
            ttl: 64,
        };
        assert!(datagram::readdress(nic.bytes_mut(&mut frame), &datagram, &headers));
        nic.transmit(0, frame);
        let mut room = [0; 64];
        let (length, from) = peer.recv_from(&mut room).unwrap();
        assert_eq!((&room[..length], from.port()), (&b"hello"[..], 25_162));
        assert_eq!(nic.accounts(), Accounts { pool: 16, rings: 0, hands: 0 });
    }

    #[test]
    fn the_longest_message_comes_in_whole_and_a_longer_one_not_at_all() {
        let own: IpAddr = "127.0.0.1".parse().unwrap();
        let bytes = Udp::frame_bytes(8192);
        let mut nic = Udp::open((&[own], &[]), 25_164, (25_166, 25_167), 4, bytes).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let message: Vec<u8> = (0..8192).map(|at| at as u8).collect();
        // What does not fit is dropped, not cut.
        peer.send_to(&[b'x'; 12_000], "127.0.0.1:25164").unwrap();
        peer.send_to(&message, "127.0.0.1:25164").unwrap();
        let mut batch = Batch::new();
        for _ in 0..100 {
            if nic.receive(&mut batch) > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let frame = batch.drain().next().unwrap();
        let datagram = datagram::parse(nic.bytes(&frame)).unwrap();
        assert_eq!(datagram.payload(nic.bytes(&frame)), message);
        assert_eq!(nic.statistics().invalid, 1);
        nic.give_back(frame);
        // One of our own begins behind the headroom, and has as much room.
        let mut frame = nic.take().unwrap();
        assert!(nic.room(&mut frame).len() >= HEADERS_BYTES_MAX + message.len());
        nic.give_back(frame);
    }

    #[test]
    fn what_nobody_listens_for_comes_back_and_the_next_datagram_leaves() {
        for (own, sip, media) in [("127.0.0.1", 25_170, 25_172), ("::1", 25_174, 25_176)] {
            let own: IpAddr = own.parse().unwrap();
            let mut nic = Udp::open((&[own], &[]), sip, (media, media + 1), 16, 2048).unwrap();
            let peer = UdpSocket::bind((own, 0)).unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let nobody = UdpSocket::bind((own, 0)).unwrap().local_addr().unwrap();
            let from = SocketAddr::new(own, sip);
            let mut room = [0; 2048];
            for destination in [nobody, nobody, peer.local_addr().unwrap()] {
                let mut frame = nic.take().unwrap();
                let headers = Headers {
                    destination_mac: [0; 6],
                    source_mac: [0; 6],
                    vlan: None,
                    source: from,
                    destination,
                    dscp: 0,
                    ttl: 64,
                };
                let length = datagram::write(nic.room(&mut frame), &headers, b"INVITE").unwrap();
                frame.set_length(length);
                nic.transmit(0, frame);
            }
            // The error of one datagram is not taken for that of another.
            assert_eq!(peer.recv(&mut room).unwrap(), 6);
            let mut returned = Vec::new();
            for _ in 0..100 {
                assert_eq!(nic.receive(&mut Batch::new()), 0);
                while let Some((path, length)) = nic.poll_undeliverable(&mut room) {
                    assert_eq!(&room[..length], b"INVITE");
                    returned.push((path.local, path.remote));
                }
                if returned.len() == 2 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(returned, [(from, nobody); 2]);
        }
    }
}
