//! What is not on the fast path goes through the kernel's own sockets, on a thread of its own.
//!
//! In: SIP datagrams that the kernel reassembled from fragments (the driver takes all others), judged by the
//! driver's rules before anybody reads them. Out: SIP over the path MTU, and anything whose next hop is not
//! known yet, marked as on the fast path. Letters are those of `worker/handoff.rs`; a full ring drops, counted.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use link::ring::{self, Consumer, Producer, Wake};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, setsockopt, socket,
    sockopt,
};
use shm::Doorbell;
use wire::datagram::{self, HEADERS_BYTES_MAX, Headers};

use crate::boot::last_words;
use crate::worker::{Kind, seal, unseal};

/// Letters of each ring.
const SLOTS: usize = 256;
/// The bell, and a socket for each address a configuration may have.
const FDS_MAX: usize = 33;

/// What a worker says of a datagram besides its bytes: the kind of its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) kind: Kind,
    pub(crate) dscp: u8,
}

impl Label {
    fn number(self) -> u16 {
        u16::from(self.dscp) << 1 | u16::from(self.kind == Kind::Sip)
    }

    fn of_number(number: u16) -> Self {
        let kind = if number & 1 == 1 { Kind::Sip } else { Kind::Media };
        Self { kind, dscp: (number >> 1 & 63) as u8 }
    }
}

/// What became of a datagram given to the rim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is in the ring.
    Over,
    /// The ring is full, or the datagram too long for it.
    Lost,
}

/// Datagrams of one worker that ended in the rim, since its last look.
#[derive(Debug, Default)]
struct Losses {
    /// A ring was full, or the kernel refused them.
    lost: AtomicU64,
    /// The driver would have dropped them.
    refused: AtomicU64,
}

/// One worker's rings to and from the rim.
pub struct WorkerSide {
    out: Option<(Producer, Doorbell)>,
    inward: Option<Consumer>,
    letter: Box<[u8]>,
    wake: bool,
    losses: Arc<Losses>,
}

impl WorkerSide {
    /// For the `udp` NIC, which is all kernel sockets already.
    #[must_use]
    pub fn none() -> Self {
        Self {
            out: None,
            inward: None,
            letter: Box::default(),
            wake: false,
            losses: Arc::default(),
        }
    }

    /// Gives a datagram to the kernel.
    pub(crate) fn give(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        label: Label,
    ) -> Given {
        let Some((ring, _)) = &mut self.out else { return Given::Lost };
        let Some(length) = seal(&mut self.letter, from, to, payload) else { return Given::Lost };
        let letter = self.letter.get(..length).unwrap_or_default();
        match ring.push(label.number(), letter) {
            Ok(wake) => {
                self.wake |= wake == Wake::Needed;
                Given::Over
            }
            Err(_) => Given::Lost,
        }
    }

    /// The next datagram that the kernel received.
    pub fn take<'a>(&mut self, room: &'a mut [u8]) -> Option<(SocketAddr, SocketAddr, &'a [u8])> {
        let (_, length) = self.inward.as_mut()?.pop(room)?;
        unseal(room.get(..length)?)
    }

    /// Datagrams of this worker that the rim lost since the last look: its ring was full, or the kernel
    /// refused them.
    pub fn lost(&self) -> u64 {
        self.losses.lost.swap(0, Ordering::Relaxed)
    }

    /// Datagrams that the rim did not let in to this worker since the last look.
    pub fn refused(&self) -> u64 {
        self.losses.refused.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn try_sleep(&mut self) -> bool {
        self.inward.as_mut().is_none_or(Consumer::try_sleep)
    }

    pub(crate) fn awake(&mut self) {
        if let Some(inward) = &mut self.inward {
            inward.awake();
        }
    }

    /// Rings the rim's doorbell if it sleeps.
    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.wake)
            && let Some((_, bell)) = &self.out
        {
            bell.ring();
        }
    }
}

/// The rim's side of one worker.
struct Worker {
    out: Consumer,
    inward: Producer,
    bell: Doorbell,
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
    /// What it marks its datagrams with.
    dscp: u8,
}

impl Own {
    fn send(&mut self, to: SocketAddr, payload: &[u8], dscp: u8) -> io::Result<()> {
        if self.dscp != dscp {
            let class = i32::from(dscp) << 2;
            match self.address {
                SocketAddr::V4(_) => setsockopt(&self.socket, sockopt::Ipv4Tos, &class)?,
                SocketAddr::V6(_) => setsockopt(&self.socket, sockopt::Ipv6TClass, &class)?,
            }
            self.dscp = dscp;
        }
        self.socket.send_to(payload, to).map(|_| ())
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

/// What the rim is made of.
pub struct Setup {
    /// Every service address with the SIP port.
    pub addresses: Vec<SocketAddr>,
    /// What wakes each worker.
    pub worker_bells: Vec<Doorbell>,
    /// The path of what wakes the rim.
    pub bell: PathBuf,
    /// Longest SIP message.
    pub message_bytes_max: usize,
}

/// Starts the thread; one side per worker. A datagram comes in only if its source and its bytes are
/// admitted.
///
/// # Errors
/// When an address cannot be bound; names it.
pub fn start(
    setup: Setup,
    admits: impl FnMut(IpAddr, &[u8]) -> bool + Send + 'static,
    stop: Arc<AtomicBool>,
) -> io::Result<Vec<WorkerSide>> {
    let Setup { addresses, worker_bells, bell, message_bytes_max } = setup;
    let bell = || Doorbell::open(&bell).map_err(|error| io::Error::other(error.to_string()));
    let mut sockets = Vec::new();
    for address in addresses {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let socket = UdpSocket::bind(address).map_err(named)?;
        socket.set_nonblocking(true).map_err(named)?;
        sockets.push(Own { address, socket, dscp: 0 });
    }
    let letter_bytes = message_bytes_max + crate::worker::ENVELOPE_BYTES;
    let mut sides = Vec::new();
    let mut workers = Vec::new();
    for worker_bell in worker_bells {
        let made = |error: ring::RingError| io::Error::other(error.to_string());
        let (give, given) = ring::in_process(SLOTS, letter_bytes).map_err(made)?;
        let (tell, told) = ring::in_process(SLOTS, letter_bytes).map_err(made)?;
        let losses = Arc::<Losses>::default();
        sides.push(WorkerSide {
            out: Some((give, bell()?)),
            inward: Some(told),
            letter: vec![0; letter_bytes].into(),
            wake: false,
            losses: Arc::clone(&losses),
        });
        workers.push(Worker { out: given, inward: tell, bell: worker_bell, losses });
    }
    let mut rim = Rim {
        sockets,
        admits,
        raw_v4: raw(AddressFamily::Inet)?,
        raw_v6: raw(AddressFamily::Inet6)?,
        workers,
        bell: bell()?,
        next: 0,
        room: vec![0; letter_bytes.max(65_536)],
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
        }
        work
    }

    fn out(&mut self, place: usize) -> bool {
        let mut any = false;
        for _ in 0..SLOTS {
            let Some(worker) = self.workers.get_mut(place) else { return any };
            let Some((number, length)) = worker.out.pop(&mut self.room) else { return any };
            any = true;
            let Label { kind, dscp } = Label::of_number(number);
            let letter = self.room.get(..length).unwrap_or_default();
            let Some((from, to, payload)) = unseal(letter) else { continue };
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
            let letter = [link::Endpoint::from(source), link::Endpoint::from(own.address)];
            let place = self.next % self.workers.len().max(1);
            self.next = self.next.wrapping_add(1);
            let Some(worker) = self.workers.get_mut(place) else { return any };
            if !(self.admits)(source.ip(), payload) {
                worker.refuse();
                continue;
            }
            let parts = [zerocopy::IntoBytes::as_bytes(&letter), payload];
            match worker.inward.push_parts(0, &parts) {
                Ok(Wake::Needed) => worker.bell.ring(),
                Ok(Wake::Needless) => {}
                // Too long or no room: dropped; the peer repeats.
                Err(_) => worker.lose(),
            }
        }
        any
    }

    fn sleep(&mut self) {
        let idle = self.workers.iter_mut().all(|worker| worker.out.try_sleep());
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
            worker.out.awake();
        }
        self.bell.drain();
    }
}

/// An IPv4 peer that a v6 socket shows as mapped.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    /// A rim on a loopback port, and its worker's side.
    fn rim(name: &str, port: u16) -> (WorkerSide, SocketAddr, Doorbell, Arc<AtomicBool>) {
        let scratch = |end: &str| {
            std::env::temp_dir().join(format!("tollgate-{}-{name}-{end}", std::process::id()))
        };
        let own = SocketAddr::from(([127, 0, 0, 1], port));
        let stop = Arc::new(AtomicBool::new(false));
        let (bell, rim_bell) = (scratch("worker"), scratch("rim"));
        let bells = vec![Doorbell::open(&bell).unwrap()];
        let setup = Setup {
            addresses: vec![own],
            worker_bells: bells,
            bell: rim_bell.clone(),
            message_bytes_max: 2048,
        };
        let admits = |_, payload: &[u8]| !payload.starts_with(b"OPTIONS ");
        let sides = start(setup, admits, Arc::clone(&stop)).unwrap();
        let heard = Doorbell::open(&bell).unwrap();
        for path in [bell, rim_bell] {
            std::fs::remove_file(path).unwrap();
        }
        (sides.into_iter().next().unwrap(), own, heard, stop)
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
        let (mut side, own, bell, stop) = rim("sip", 35_260);
        let peer = peer();
        let there = peer.local_addr().unwrap();
        assert!(side.try_sleep());
        peer.send_to(&[7; 1900], own).unwrap();
        until(|| bell.drain().then_some(()));
        side.awake();
        let mut room = [0; 4096];
        let (source, destination, payload) = side.take(&mut room).unwrap();
        assert_eq!((source, destination, payload), (there, own, &[7; 1900][..]));

        assert_eq!(side.give(own, there, b"SIP/2.0 200 OK", SIP), Given::Over);
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
        let (mut side, _, _, stop) = rim("media", 35_261);
        let peer = peer();
        let from = SocketAddr::from(([127, 0, 0, 1], 35_262));
        assert_eq!(side.give(from, peer.local_addr().unwrap(), b"rtp", MEDIA), Given::Over);
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
        let (mut side, own, _, stop) = rim("marked", 35_264);
        let peer = peer();
        setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
        let there = peer.local_addr().unwrap();
        let media = SocketAddr::new(own.ip(), 35_265);
        let other = Label { dscp: 40, ..SIP };
        for (from, label) in [(own, SIP), (own, other), (media, MEDIA), (own, SIP)] {
            assert_eq!(side.give(from, there, b"x", label), Given::Over);
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
        let (mut side, own, _, stop) = rim("refused", 35_266);
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
        let (mut side, own, _, stop) = rim("lost", 35_263);
        assert_eq!(side.give(own, own, &[0; 4000], SIP), Given::Lost);
        // A datagram longer than the longest message, and one between two families.
        peer().send_to(&[0; 4000], own).unwrap();
        let elsewhere = "[::1]:9".parse().unwrap();
        assert_eq!(side.give(own, elsewhere, b"x", MEDIA), Given::Over);
        side.wake();
        let mut lost = 0;
        until(|| {
            lost += side.lost();
            (lost == 2).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
    }
}
