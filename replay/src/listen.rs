//! What comes back: a thread that hears an interface, by AF_XDP or by a packet socket.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender as Teller, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use capture::{Ear, Heard, Totals};
use dataplane::nic::afxdp::AfXdp;
use dataplane::nic::{Batch, Nic};
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol,
    SockType, bind, recvmmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use xdp_prog::Ears;

use crate::Failure;
use crate::clock;
use crate::sender::{FRAME_BYTES, Play, link_of};
use crate::stamps::Stamps;

/// Longest delay that is told from longer ones.
const DELAY_MAX_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;
/// How long a wait may last before it is asked whether all is over.
const LOOK: Duration = Duration::from_millis(20);
/// How long what is on its way is heard after the end.
const LAST_WORDS_NS: u64 = 1_000_000_000;
const FRAMES: u32 = 16_384;
const BUFFER_BYTES: u32 = 2_048;
const BATCH: usize = 64;
const SOCKET_BYTES: usize = 64 << 20;

/// What was heard.
pub(crate) struct Report {
    pub(crate) by: String,
    pub(crate) totals: Vec<Totals>,
    pub(crate) broken: u64,
    pub(crate) others: u64,
    /// Frames that the listener itself had no room for.
    pub(crate) overrun: u64,
    /// ns, by stream.
    pub(crate) delays: Vec<Histogram<u64>>,
}

/// Where to listen.
pub(crate) struct Post {
    pub(crate) interface: String,
    pub(crate) namespace: Option<PathBuf>,
    pub(crate) queue: u32,
}

/// A listening thread.
pub(crate) struct Listener {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Report, Failure>>,
}

impl Listener {
    /// Begins; it listens when this returns.
    pub(crate) fn begin(
        post: Post,
        play: Arc<Play>,
        stamps: Option<Arc<Stamps>>,
    ) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("listen".to_owned())
            .spawn(move || listen(&post, &play, stamps.as_deref(), &stopped, &tell))?;
        match told.recv() {
            Ok(()) => Ok(Self { stop, thread }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                _ => Err("the listener ended before it began".into()),
            },
        }
    }

    /// Ends, behind what has come until now.
    pub(crate) fn end(self) -> Result<Report, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the listener died")?
    }
}

fn enter(namespace: &Path) -> Result<(), Failure> {
    let path = if namespace.is_absolute() {
        namespace.to_owned()
    } else {
        Path::new("/run/netns").join(namespace)
    };
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}

/// What listens, and what it has heard.
struct Hearing<'p> {
    play: &'p Play,
    stamps: Option<&'p Stamps>,
    ear: Ear,
    delays: Vec<Histogram<u64>>,
}

impl Hearing<'_> {
    fn take(&mut self, frame: &[u8], arrived_ns: u64) {
        let Heard::Rtp(found) = self.ear.hear(&self.play.capture, frame) else { return };
        let stamp = self.stamps.filter(|_| found.is_first);
        let delay = stamp.and_then(|stamps| stamps.delay(found.place, found.sequence, arrived_ns));
        if let (Some(delay), Some(delays)) = (delay, self.delays.get_mut(found.stream as usize)) {
            delays.saturating_record(delay.max(1));
        }
    }
}

fn listen(
    post: &Post,
    play: &Play,
    stamps: Option<&Stamps>,
    stop: &AtomicBool,
    tell: &Teller<()>,
) -> Result<Report, Failure> {
    if let Some(namespace) = &post.namespace {
        enter(namespace)?;
    }
    let streams = play.capture.streams().len();
    let delay = Histogram::new_with_bounds(1, DELAY_MAX_NS, DIGITS)?;
    let mut hearing = Hearing {
        play,
        stamps,
        ear: Ear::new(&play.capture, &play.clones),
        delays: vec![delay; streams],
    };
    let (by, overrun) = match open_afxdp(post) {
        Ok((ears, nic)) => {
            let _ = tell.send(());
            ("AF_XDP".to_owned(), hear_afxdp(ears, nic, &mut hearing, stop)?)
        }
        Err(error) => {
            let socket = open_packet(&post.interface)?;
            let _ = tell.send(());
            let overrun = hear_packet(&socket, &mut hearing, stop)?;
            (format!("a packet socket, for AF_XDP is not to be had ({error})"), overrun)
        }
    };
    Ok(Report {
        by,
        totals: hearing.ear.totals().to_vec(),
        broken: hearing.ear.broken(),
        others: hearing.ear.others(),
        overrun,
        delays: hearing.delays,
    })
}

fn open_afxdp(post: &Post) -> Result<(Ears, AfXdp), Failure> {
    let nic = AfXdp::open(
        std::slice::from_ref(&post.interface),
        post.queue,
        FRAMES,
        BUFFER_BYTES,
        false,
    )?;
    let ears = Ears::attach(&post.interface)?;
    for socket in nic.sockets() {
        ears.set_socket(post.queue, socket)?;
    }
    Ok((ears, nic))
}

fn hear_afxdp(
    ears: Ears,
    mut nic: AfXdp,
    hearing: &mut Hearing<'_>,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    use std::os::fd::AsFd;
    let bell = EventFd::new()?;
    let mut batch = Batch::new();
    loop {
        // Asked before the frames are, so that none that came before the end is left behind.
        let over = stop.load(Ordering::Relaxed);
        let received = nic.receive(&mut batch);
        let now = clock::now_ns();
        for frame in batch.drain() {
            hearing.take(nic.bytes(&frame), now);
            nic.give_back(frame);
        }
        if received == 0 {
            if over {
                break;
            }
            nic.wait(bell.as_fd(), LOOK);
        }
    }
    drop(ears);
    Ok(nic.statistics().receive_full)
}

fn open_packet(interface: &str) -> Result<OwnedFd, Failure> {
    let socket =
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .map_err(|errno| format!("a packet socket: {errno}; run as root"))?;
    bind(socket.as_raw_fd(), &link_of(interface)?)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    // As large as the system lets it be.
    if setsockopt(&socket, RcvBufForce, &SOCKET_BYTES).is_err() {
        let _ = setsockopt(&socket, RcvBuf, &SOCKET_BYTES);
    }
    let timeout = nix::sys::time::TimeVal::from(nix::libc::timeval {
        tv_sec: 0,
        tv_usec: LOOK.as_micros() as i64,
    });
    setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimeout, &timeout)?;
    Ok(socket)
}

fn hear_packet(
    socket: &OwnedFd,
    hearing: &mut Hearing<'_>,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let space = nix::cmsg_space!(TimeSpec);
    let mut rooms = vec![[0_u8; FRAME_BYTES]; BATCH];
    // What the kernel's wall clock is ahead of ours.
    let ahead = clock::wall_ns().wrapping_sub(clock::now_ns());
    let mut ends = None;
    loop {
        let over = stop.load(Ordering::Relaxed);
        // Whoever goes on sending is not waited for.
        let last = over.then(|| *ends.get_or_insert(clock::now_ns() + LAST_WORDS_NS));
        if last.is_some_and(|last| clock::now_ns() > last) {
            return Ok(0);
        }
        let heard = match receive(socket, &mut rooms, &space) {
            Ok(heard) => heard,
            Err(Errno::EAGAIN | Errno::EINTR) if over => return Ok(0),
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(errno) => return Err(format!("cannot listen: {errno}").into()),
        };
        let now = clock::now_ns();
        for (room, (bytes, outgoing, stamp)) in rooms.iter().zip(heard) {
            let Some(frame) = room.get(..bytes).filter(|_| !outgoing) else { continue };
            let stamp = stamp.map(|time| Duration::from(time).as_nanos() as u64);
            hearing.take(frame, stamp.map_or(now, |wall| wall.wrapping_sub(ahead)));
        }
    }
}

/// What came: how long, whether this machine sent it itself by this interface, and when.
type Received = (usize, bool, Option<TimeSpec>);

fn receive(
    socket: &OwnedFd,
    rooms: &mut [[u8; FRAME_BYTES]],
    space: &[u8],
) -> Result<Vec<Received>, Errno> {
    const OUTGOING: u8 = 4;
    let mut slices: Vec<[IoSliceMut<'_>; 1]> =
        rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
    let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, Some(space.to_vec()));
    let flags = MsgFlags::MSG_WAITFORONE;
    let received = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
    received
        .map(|message| {
            let outgoing = message.address.is_some_and(|from| from.pkttype() == OUTGOING);
            let stamp = message.cmsgs()?.find_map(|found| match found {
                ControlMessageOwned::ScmTimestampns(time) => Some(time),
                _ => None,
            });
            Ok((message.bytes, outgoing, stamp))
        })
        .collect()
}
