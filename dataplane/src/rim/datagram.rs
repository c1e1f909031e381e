//! Datagrams through the kernel's own sockets, on a thread of their own.
//!
//! In: SIP that the kernel reassembled from fragments (the driver takes all others), judged by the driver's
//! rules before anybody reads it; and what ICMP says did not arrive, whichever way it left. Out: SIP over
//! the path MTU, and anything whose next hop is not known yet, marked as on the fast path. A full ring
//! drops, counted.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use b2bua::Path;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, socket,
};
use shm::Doorbell;
use wire::datagram::{self, HEADERS_BYTES_MAX, Headers};

use super::{RimEnd, Rings, SLOTS, WorkerEnd};
use crate::boot::last_words;
use crate::mark::Mark;
use crate::returned::{self, Control, Returned, canonical};
use crate::worker::{Kind, Label, by_udp, unseal};

/// The bell, and a socket for each address a configuration may have.
const FDS_MAX: usize = 33;

/// Datagrams of one worker that ended in the rim, since its last look.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// A ring was full, or the kernel refused them.
    pub(super) lost: AtomicU64,
    /// The driver would have dropped them.
    pub(super) refused: AtomicU64,
}

/// A worker's end of the rings to this thread.
pub struct Datagrams {
    pub(super) end: WorkerEnd,
    pub(super) losses: Arc<Losses>,
}

/// The rim's end of one worker's rings.
struct Worker {
    end: RimEnd,
    losses: Arc<Losses>,
}

impl Worker {
    fn lose(&self) {
        self.losses.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self) {
        self.losses.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The kernel's socket of one address and the SIP port.
struct Own {
    address: SocketAddr,
    socket: UdpSocket,
    mark: Mark,
}

impl Own {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        returned::listen(&socket, address)?;
        Ok(Self { address, socket, mark: Mark::none(address.is_ipv4()) })
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8], dscp: u8) -> io::Result<()> {
        self.mark.turn(&self.socket, dscp)?;
        let send = || self.socket.send_to(payload, to);
        // The first try may have failed for a datagram before this one that came back.
        send().or_else(|_| send()).map(|_| ())
    }
}

struct Rim<A> {
    sockets: Vec<Own>,
    /// Whether a datagram of that source may come in.
    admits: A,
    raw_v4: OwnedFd,
    raw_v6: OwnedFd,
    workers: Vec<Worker>,
    bell: Doorbell,
    /// Whose turn it is to get a datagram; the worker hands it to its owner.
    next: usize,
    room: Vec<u8>,
    control: Control,
    /// The packet that is being written.
    packet: Vec<u8>,
}

fn raw(family: AddressFamily) -> io::Result<OwnedFd> {
    // IPPROTO_RAW: the header is ours, the way is the kernel's.
    let kind = SockType::Raw;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, nix::sys::socket::SockProtocol::Raw)?;
    Ok(fd)
}

/// Starts the thread on every service address with the SIP port. A datagram comes in only if its source and
/// its bytes are admitted.
///
/// # Errors
/// When an address cannot be bound; names it.
pub fn start(
    addresses: &[SocketAddr],
    rings: &Rings,
    admits: impl FnMut(IpAddr, &[u8]) -> bool + Send + 'static,
    stop: Arc<AtomicBool>,
) -> io::Result<Vec<Datagrams>> {
    let mut sockets = Vec::new();
    for &address in addresses {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        sockets.push(Own::open(address).map_err(named)?);
    }
    let (mut sides, mut workers) = (Vec::new(), Vec::new());
    for (worker, rim) in rings.open(SLOTS)? {
        let losses = Arc::<Losses>::default();
        sides.push(Datagrams { end: worker, losses: Arc::clone(&losses) });
        workers.push(Worker { end: rim, losses });
    }
    let letter_bytes = rings.letter_bytes();
    let mut rim = Rim {
        sockets,
        admits,
        raw_v4: raw(AddressFamily::Inet)?,
        raw_v6: raw(AddressFamily::Inet6)?,
        workers,
        bell: rings.bell()?,
        next: 0,
        room: vec![0; letter_bytes.max(65_536)],
        control: returned::control(),
        packet: vec![0; HEADERS_BYTES_MAX + letter_bytes],
    };
    std::thread::Builder::new().name("rim".into()).spawn(move || {
        last_words("rim", || {
            while !stop.load(Ordering::Relaxed) {
                if !rim.turn() {
                    rim.sleep();
                }
            }
        });
    })?;
    Ok(sides)
}

/// Sends from a port that no socket of the kernel holds.
fn send_raw(
    socket: &OwnedFd,
    room: &mut [u8],
    (source, destination): (SocketAddr, SocketAddr),
    payload: &[u8],
    dscp: u8,
) -> io::Result<()> {
    const ETHERNET_BYTES: usize = 14;
    let (destination_mac, source_mac) = ([0; 6], [0; 6]);
    let (vlan, ttl) = (None, 64);
    let headers = Headers { destination_mac, source_mac, vlan, source, destination, dscp, ttl };
    let length = datagram::write(room, &headers, payload)
        .ok_or_else(|| io::Error::other("families differ, or it is too long"))?;
    let packet = room.get(ETHERNET_BYTES..length).unwrap_or_default();
    // A raw socket takes no port.
    let to = SockaddrStorage::from(SocketAddr::new(destination.ip(), 0));
    sendto(socket.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

impl<A: FnMut(IpAddr, &[u8]) -> bool> Rim<A> {
    fn turn(&mut self) -> bool {
        let mut work = false;
        for worker in 0..self.workers.len() {
            work |= self.out(worker);
        }
        for socket in 0..self.sockets.len() {
            work |= self.inward(socket);
            work |= self.returned(socket);
        }
        work
    }

    fn out(&mut self, place: usize) -> bool {
        let mut any = false;
        for _ in 0..SLOTS {
            let Some(worker) = self.workers.get_mut(place) else { return any };
            let Some((number, length)) = worker.end.out.pop(&mut self.room) else { return any };
            any = true;
            let Label { kind, dscp } = Label::of_number(number);
            let letter = self.room.get(..length).unwrap_or_default();
            let Some((Path { local: from, remote: to, .. }, payload)) = unseal(letter) else {
                continue;
            };
            let own = self.sockets.iter_mut().find(|own| kind == Kind::Sip && own.address == from);
            let sent = match own {
                Some(own) => own.send(to, payload, dscp),
                None => {
                    let raw = if from.is_ipv4() { &self.raw_v4 } else { &self.raw_v6 };
                    send_raw(raw, &mut self.packet, (from, to), payload, dscp)
                }
            };
            // What the kernel refuses is lost: SIP repeats, RTP is late anyway.
            if sent.is_err()
                && let Some(worker) = self.workers.get(place)
            {
                worker.lose();
            }
        }
        any
    }

    fn inward(&mut self, socket: usize) -> bool {
        let mut any = false;
        for _ in 0..SLOTS {
            let Some(own) = self.sockets.get(socket) else { return any };
            let Ok((length, source)) = own.socket.recv_from(&mut self.room) else { return any };
            any = true;
            let source = canonical(source);
            let payload = self.room.get(..length).unwrap_or_default();
            let path = by_udp(own.address, source);
            let place = self.next % self.workers.len().max(1);
            self.next = self.next.wrapping_add(1);
            let Some(worker) = self.workers.get_mut(place) else { return any };
            if !(self.admits)(source.ip(), payload) {
                worker.refuse();
            } else if worker.end.give(Kind::Sip, &path, payload).is_err() {
                // Too long or no room: dropped; the peer repeats.
                worker.lose();
            }
        }
        any
    }

    /// What of ours came back to a socket; the worker finds out whose it is.
    fn returned(&mut self, socket: usize) -> bool {
        let mut any = false;
        for _ in 0..SLOTS {
            let Some(own) = self.sockets.get(socket) else { return any };
            match returned::poll(&own.socket, &mut self.room, &mut self.control) {
                None => return any,
                Some(Returned::Other) => any = true,
                Some(Returned::Undeliverable(remote, length)) => {
                    any = true;
                    let front = self.room.get(..length).unwrap_or_default();
                    let path = by_udp(own.address, remote);
                    if let Some(worker) = self.workers.first_mut()
                        && worker.end.give(Kind::Undeliverable, &path, front).is_err()
                    {
                        worker.lose();
                    }
                }
            }
        }
        any
    }

    fn sleep(&mut self) {
        let idle = self.workers.iter_mut().all(|worker| worker.end.out.try_sleep());
        if idle {
            let mut fds: [PollFd<'_>; FDS_MAX] = std::array::from_fn(|place| {
                let socket = place.checked_sub(1).and_then(|place| self.sockets.get(place));
                let fd = socket.map_or(self.bell.as_fd(), |own| own.socket.as_fd());
                PollFd::new(fd, PollFlags::POLLIN)
            });
            let used = (1 + self.sockets.len()).min(FDS_MAX);
            let _ = poll(fds.get_mut(..used).unwrap_or_default(), PollTimeout::from(100u8));
        }
        for worker in &mut self.workers {
            worker.end.out.awake();
        }
        self.bell.drain();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::sys::socket::{ControlMessageOwned, recvmsg, setsockopt, sockopt};

    use super::*;
    use crate::rim::{Given, WorkerSide};

    /// A rim on a loopback port, and its worker's side.
    fn rim(name: &str, port: u16) -> (WorkerSide, SocketAddr, Doorbell, Arc<AtomicBool>) {
        let scratch = |end: &str| {
            std::env::temp_dir().join(format!("tollgate-{}-{name}-{end}", std::process::id()))
        };
        let own = SocketAddr::from(([127, 0, 0, 1], port));
        let stop = Arc::new(AtomicBool::new(false));
        let (bell, rim_bell) = (scratch("worker"), scratch("rim"));
        let worker_bells = vec![bell.clone()];
        let rings = Rings { worker_bells, bell: rim_bell.clone(), message_bytes_max: 2048 };
        let admits = |_, payload: &[u8]| !payload.starts_with(b"OPTIONS ");
        let sides = start(&[own], &rings, admits, Arc::clone(&stop)).unwrap();
        let heard = Doorbell::open(&bell).unwrap();
        for path in [bell, rim_bell] {
            std::fs::remove_file(path).unwrap();
        }
        let side = WorkerSide::new(sides.into_iter().next(), None);
        (side, own, heard, stop)
    }

    fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(3), "nothing came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn peer() -> UdpSocket {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        peer
    }

    const SIP: Label = Label { kind: Kind::Sip, dscp: 24 };
    const MEDIA: Label = Label { kind: Kind::Media, dscp: 46 };

    fn privileged() -> bool {
        let root = raw(AddressFamily::Inet).is_ok();
        if !root {
            eprintln!("SKIPPED: raw sockets need CAP_NET_RAW");
        }
        root
    }

    #[test]
    fn what_the_kernel_received_reaches_a_sleeping_worker_and_the_answer_leaves() {
        if !privileged() {
            return;
        }
        let (mut side, own, bell, stop) = rim("sip", 25_260);
        let peer = peer();
        let there = peer.local_addr().unwrap();
        assert!(side.try_sleep());
        peer.send_to(&[7; 1900], own).unwrap();
        until(|| bell.drain().then_some(()));
        side.awake();
        let mut room = [0; 4096];
        let came = side.take(&mut room).unwrap();
        assert_eq!(came, (Kind::Sip, by_udp(own, there), &[7; 1900][..]));

        assert_eq!(side.give(SIP, &by_udp(own, there), b"SIP/2.0 200 OK"), Given::Over);
        side.wake();
        let (length, from) = peer.recv_from(&mut room).unwrap();
        assert_eq!((&room[..length], from), (&b"SIP/2.0 200 OK"[..], own));
        stop.store(true, Ordering::Relaxed);
    }

    #[test]
    fn media_leave_from_a_port_that_no_socket_holds() {
        if !privileged() {
            return;
        }
        let (mut side, _, _, stop) = rim("media", 25_261);
        let peer = peer();
        let from = SocketAddr::from(([127, 0, 0, 1], 25_262));
        let path = by_udp(from, peer.local_addr().unwrap());
        assert_eq!(side.give(MEDIA, &path, b"rtp"), Given::Over);
        side.wake();
        let mut room = [0; 64];
        let (length, source) = peer.recv_from(&mut room).unwrap();
        assert_eq!((&room[..length], source), (&b"rtp"[..], from));
        stop.store(true, Ordering::Relaxed);
    }

    #[test]
    fn what_leaves_is_marked_as_the_worker_says() {
        if !privileged() {
            return;
        }
        let (mut side, own, _, stop) = rim("marked", 25_264);
        let peer = peer();
        setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
        let there = peer.local_addr().unwrap();
        let media = SocketAddr::new(own.ip(), 25_265);
        let other = Label { dscp: 40, ..SIP };
        for (from, label) in [(own, SIP), (own, other), (media, MEDIA), (own, SIP)] {
            assert_eq!(side.give(label, &by_udp(from, there), b"x"), Given::Over);
            side.wake();
            let mut room = [0; 64];
            let mut parts = [io::IoSliceMut::new(&mut room)];
            let mut control = nix::cmsg_space!(u8);
            let fd = peer.as_raw_fd();
            let control = Some(&mut control[..]);
            let got = recvmsg::<SockaddrStorage>(fd, &mut parts, control, MsgFlags::empty());
            let marks: Vec<_> = got.unwrap().cmsgs().unwrap().collect();
            assert_eq!(marks, [ControlMessageOwned::Ipv4Tos(label.dscp << 2)], "{label:?}");
        }
        stop.store(true, Ordering::Relaxed);
    }

    #[test]
    fn who_is_not_admitted_is_counted_and_reaches_no_worker() {
        if !privileged() {
            return;
        }
        let (mut side, own, _, stop) = rim("refused", 25_266);
        let peer = peer();
        peer.send_to(b"OPTIONS sip:a SIP/2.0", own).unwrap();
        peer.send_to(b"INVITE sip:a SIP/2.0", own).unwrap();
        let mut room = [0; 4096];
        let came = until(|| side.take(&mut room).map(|(_, _, payload)| payload.to_vec()));
        assert_eq!(came, b"INVITE sip:a SIP/2.0");
        assert_eq!((side.refused(), side.lost()), (1, 0));
        stop.store(true, Ordering::Relaxed);
    }

    #[test]
    fn what_is_too_long_or_refused_is_counted_as_lost() {
        if !privileged() {
            return;
        }
        let (mut side, own, _, stop) = rim("lost", 25_263);
        assert_eq!(side.give(SIP, &by_udp(own, own), &[0; 4000]), Given::Lost);
        // A datagram longer than the longest message, and one between two families.
        peer().send_to(&[0; 4000], own).unwrap();
        let elsewhere = "[::1]:9".parse().unwrap();
        assert_eq!(side.give(MEDIA, &by_udp(own, elsewhere), b"x"), Given::Over);
        side.wake();
        let mut lost = 0;
        until(|| {
            lost += side.lost();
            (lost == 2).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
    }

    #[test]
    fn what_nobody_listens_for_comes_back_to_the_worker() {
        if !privileged() {
            return;
        }
        let (mut side, own, _, stop) = rim("returned", 25_267);
        let nobody = peer().local_addr().unwrap();
        let path = by_udp(own, nobody);
        // The second one is sent though the first came back.
        for text in [b"INVITE 1", b"INVITE 2"] {
            assert_eq!(side.give(SIP, &path, text), Given::Over);
            side.wake();
            let mut room = [0; 4096];
            let came = until(|| {
                side.take(&mut room).map(|(kind, path, front)| (kind, path, front.to_vec()))
            });
            assert_eq!(came, (Kind::Undeliverable, path, text.to_vec()));
        }
        assert_eq!(side.lost(), 0);
        stop.store(true, Ordering::Relaxed);
    }
}
