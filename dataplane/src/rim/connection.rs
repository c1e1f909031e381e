//! One connection, from its handshake to its last byte: a task that shares nothing.
//!
//! Reading and writing go on side by side. Whoever sends half a message, or nothing, or does not read, is
//! cut off by the clocks here; whoever sends what is no message, by its first fault, of which it is told
//! first where it sent a head that can be answered (RFC 3261 §18.3). At an orderly end what waits is written
//! first, and a reset (`SS_TCP_CLOSE_RESET`) comes only after the peer has it all.
//!
//! A peer may be gone without a word, behind a firewall that forgot it. The kernel asks it when nothing was
//! said for a while and gives up what is not acknowledged; requests that nobody was heard after come back.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use b2bua::Path;
use link::endpoint::Transport;
use link::order::Proof;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::pki_types::ServerName;
use sip::{Frame, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::counter::{StreamCounter, Tally};
use super::exchange::Event;
use super::limits::Limits;
use super::tls::Tls;
use super::websocket;
use crate::mark::Mark;

/// Line ends without a message, keep-alives of days.
const BARREN_BYTES_MAX: usize = 65_536;
/// How long a peer that has closed its side may still get answers to what it asked before.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a worker may take to refuse what was no message.
const REFUSAL: Duration = Duration::from_millis(500);
/// How long a peer may take to acknowledge the last bytes before a reset.
const DELIVERY: Duration = Duration::from_millis(500);
const DELIVERY_LOOK: Duration = Duration::from_millis(5);
const READ_BYTES: usize = 4_096;
/// Requests that are remembered until their peer is heard.
const UNHEARD_MAX: usize = 64;

/// A message on its way out.
pub(super) struct Letter {
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
    /// Whether it has been on its way before.
    pub(super) again: bool,
}

/// What a connection's task is given.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) transport: Transport,
    pub(super) letters: mpsc::Receiver<Letter>,
    /// The letter that is being written.
    pub(super) unwritten: Option<Letter>,
    /// Requests that were written since the peer was heard last, the newest behind.
    pub(super) unheard: VecDeque<Letter>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) limits: Arc<Limits>,
    pub(super) tally: Arc<Tally>,
    pub(super) message_bytes_max: usize,
    /// Its socket, once it has one.
    pub(super) handle: Option<Handle>,
    /// Whether the peer opened it: a stranger, who has to say something.
    pub(super) is_inward: bool,
}

/// A handle on the socket of a connection, whatever speaks by it.
pub(super) struct Handle {
    socket: OwnedFd,
    mark: Mark,
}

/// Where a conversation's messages are written.
pub(super) trait Outlet {
    /// All of it, and as far as the socket.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// Says that no more comes, and why if there are words for that.
    fn close(&mut self, why: StreamCounter) -> impl Future<Output = io::Result<()>> + Send;
}

impl<S: AsyncWrite + Send> Outlet for WriteHalf<S> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    async fn close(&mut self, _why: StreamCounter) -> io::Result<()> {
        self.shutdown().await
    }
}

/// What the reading side needs of its line.
pub(super) struct Inlet {
    number: u32,
    events: mpsc::Sender<Event>,
    limits: Arc<Limits>,
    pub(super) message_bytes_max: usize,
    keep_alives: mpsc::Sender<()>,
    heard: watch::Sender<()>,
    /// Until when a stranger has sent his first message. `None`: he is none, or he has.
    first_end: Option<Instant>,
}

/// What the reading side tells the writing side.
pub(super) struct Hints {
    /// A keep-alive is to be answered.
    keep_alives: mpsc::Receiver<()>,
    /// The peer was heard.
    heard: watch::Receiver<()>,
}

impl Line {
    /// A peer connected to us.
    pub(super) async fn serve(mut self, socket: TcpStream, tls: Tls, handshakes: runtime::Handle) {
        let (patience, bytes_max) = (self.limits.patience(), self.message_bytes_max);
        self.prepare(&socket);
        let why = match self.transport {
            Transport::Udp | Transport::Tcp => self.converse(socket).await,
            Transport::Tls => match timeout(patience, tls.accept(socket, &handshakes)).await {
                Ok(Some(stream)) => self.converse(stream).await,
                _ => StreamCounter::HandshakeFailed,
            },
            Transport::Ws => match timeout(patience, websocket::accept(socket, bytes_max)).await {
                Ok(Some(stream)) => websocket::converse(&mut self, stream).await,
                _ => StreamCounter::HandshakeFailed,
            },
            Transport::Wss => {
                let accept = async {
                    let stream = tls.accept(socket, &handshakes).await?;
                    websocket::accept(stream, bytes_max).await
                };
                match timeout(patience, accept).await {
                    Ok(Some(stream)) => websocket::converse(&mut self, stream).await,
                    _ => StreamCounter::HandshakeFailed,
                }
            }
        };
        self.leave(why).await;
    }

    /// We connect to a peer, who is called so and must prove it, or need not.
    pub(super) async fn call(
        mut self,
        from: IpAddr,
        remote: SocketAddr,
        who: (ServerName<'static>, Proof),
        tls: Tls,
    ) {
        let patience = self.limits.patience();
        let Ok(Ok(socket)) = timeout(patience, connect(from, remote)).await else {
            return self.leave(StreamCounter::Unopened).await;
        };
        self.prepare(&socket);
        let why = if self.transport == Transport::Tls {
            match timeout(patience, tls.connect(who, socket)).await {
                Ok(Some(stream)) => {
                    self.tally.add(StreamCounter::Opened);
                    self.converse(stream).await
                }
                _ => StreamCounter::HandshakeFailed,
            }
        } else {
            self.tally.add(StreamCounter::Opened);
            self.converse(socket).await
        };
        self.leave(why).await;
    }

    /// Keeps a handle on the socket, and marks what leaves by it from the handshake on.
    fn prepare(&mut self, socket: &TcpStream) {
        // What cannot be set is not worth a connection.
        let _ = socket.set_nodelay(true);
        let _ = self.watch_over(socket);
        let is_ipv4 = socket.peer_addr().is_ok_and(|peer| peer.is_ipv4());
        let handle = socket.as_fd().try_clone_to_owned();
        self.handle = handle.ok().map(|socket| Handle { socket, mark: Mark::none(is_ipv4) });
        self.mark();
    }

    /// Has the kernel find out when the peer is there no more: what is not acknowledged for so long as
    /// patience lasts ends the connection, and so do questions into a silence.
    fn watch_over(&self, socket: &TcpStream) -> nix::Result<()> {
        let patience = self.limits.patience();
        setsockopt(socket, sockopt::TcpUserTimeout, &(patience.as_millis() as u32))?;
        let Some(silence) = self.limits.probe() else { return Ok(()) };
        setsockopt(socket, sockopt::TcpKeepIdle, &(silence.as_secs() as u32))?;
        setsockopt(socket, sockopt::TcpKeepInterval, &(patience.as_secs() as u32).div_ceil(3))?;
        setsockopt(socket, sockopt::KeepAlive, &true)
    }

    /// Marks what leaves as the workers do, by the parameter as it stands now.
    fn mark(&mut self) {
        let dscp = self.limits.dscp();
        if let Some(Handle { socket, mark }) = &mut self.handle {
            let _ = mark.turn(socket, dscp);
        }
    }

    /// SIP in a stream of bytes, until one side ends it.
    async fn converse<S: AsyncRead + AsyncWrite + Send>(&mut self, stream: S) -> StreamCounter {
        let (from, to) = tokio::io::split(stream);
        let (inlet, hints) = self.inlet();
        self.exchange(read(from, inlet), to, hints).await
    }

    pub(super) fn inlet(&self) -> (Inlet, Hints) {
        let (asked, keep_alives) = mpsc::channel(1);
        let (spoke, heard) = watch::channel(());
        let inlet = Inlet {
            number: self.number,
            events: self.events.clone(),
            limits: Arc::clone(&self.limits),
            message_bytes_max: self.message_bytes_max,
            keep_alives: asked,
            heard: spoke,
            first_end: self.is_inward.then(|| Instant::now() + self.limits.patience()),
        };
        (inlet, Hints { keep_alives, heard })
    }

    /// Reads and writes until either ends. Why it did.
    pub(super) async fn exchange(
        &mut self,
        reading: impl Future<Output = StreamCounter>,
        to: impl Outlet,
        hints: Hints,
    ) -> StreamCounter {
        let (number, events) = (self.number, self.events.clone());
        let (finish, finished) = oneshot::channel();
        let writing = self.write(to, hints, finished);
        tokio::pin!(reading, writing);
        let why = tokio::select! {
            why = &mut reading => why,
            why = &mut writing => return why,
        };
        // New requests go elsewhere; answers to what came before may still be on their way.
        let _ = events.send(Event::Leaving { number }).await;
        use StreamCounter::{Closed, LengthMalformed, LengthMissing, MessageTooLong};
        let patience = match why {
            Closed => LAST_WORDS,
            LengthMissing | LengthMalformed | MessageTooLong => REFUSAL,
            _ => Duration::ZERO,
        };
        if !patience.is_zero()
            && let Ok(why) = timeout(patience, &mut writing).await
        {
            return why;
        }
        if why != StreamCounter::Broken && finish.send(why).is_ok() {
            let _ = writing.await;
        }
        why
    }

    /// Writes what comes until told to finish, and then what still waits. Why it ended.
    async fn write(
        &mut self,
        mut to: impl Outlet,
        Hints { mut keep_alives, mut heard }: Hints,
        mut finished: oneshot::Receiver<StreamCounter>,
    ) -> StreamCounter {
        let mut open = true;
        let mut end = StreamCounter::Closed;
        loop {
            tokio::select! {
                biased;
                Ok(()) = heard.changed(), if !self.unheard.is_empty() => {
                    self.unheard = VecDeque::new();
                    continue;
                }
                why = &mut finished, if open => {
                    open = false;
                    end = why.unwrap_or(end);
                    self.letters.close();
                    continue;
                }
                Some(()) = keep_alives.recv(), if open => {
                    self.tally.add(StreamCounter::KeepAlive);
                }
                letter = self.letters.recv() => match letter {
                    Some(letter) => self.unwritten = Some(letter),
                    None => break,
                },
            }
            self.mark();
            heard.mark_unchanged();
            let bytes = self.unwritten.as_ref().map_or(&b"\r\n"[..], |letter| &letter.bytes);
            match timeout(self.limits.patience(), to.write(bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return broken_by(&error),
                Err(_) => return StreamCounter::Stuck,
            }
            if let Some(letter) = self.unwritten.take() {
                self.tally.add(StreamCounter::MessagesOut);
                self.remember(letter);
            }
        }
        if !self.limits.closes_by_reset() {
            let _ = timeout(self.limits.patience(), to.close(end)).await;
        }
        StreamCounter::Closed
    }

    /// Keeps a request that may have gone to nobody.
    fn remember(&mut self, letter: Letter) {
        if letter.is_response() {
            return;
        }
        if self.unheard.len() == UNHEARD_MAX {
            self.unheard.pop_front();
        }
        self.unheard.push_back(letter);
    }

    /// Closes the socket, and says what was not written and what nobody may have heard.
    async fn leave(mut self, why: StreamCounter) {
        self.letters.close();
        let mut rest: Vec<Letter> = self.unwritten.take().into_iter().collect();
        while let Some(letter) = self.letters.recv().await {
            rest.push(letter);
        }
        let unheard = match why {
            StreamCounter::Stuck | StreamCounter::Broken => std::mem::take(&mut self.unheard),
            // Whoever leaves in order is there, and may answer by another connection.
            _ => VecDeque::new(),
        };
        let _ = self.events.send(Event::Gone { number: self.number, why, unheard, rest }).await;
        let Some(Handle { socket: handle, .. }) = self.handle.take() else { return };
        match why {
            // What it does not read is in the way for as long as the kernel tries.
            StreamCounter::Stuck => reset(handle),
            StreamCounter::Broken | StreamCounter::HandshakeFailed => {}
            _ if self.limits.closes_by_reset() => {
                let end = Instant::now() + DELIVERY;
                while !is_delivered(&handle) && Instant::now() < end {
                    sleep(DELIVERY_LOOK).await;
                }
                self.tally.add(StreamCounter::Reset);
                reset(handle);
            }
            _ => {}
        }
    }
}

async fn connect(from: IpAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(remote).await
}

/// What ended a connection that failed: the kernel's patience with a silent peer is ours.
pub(super) fn broken_by(error: &io::Error) -> StreamCounter {
    match error.kind() {
        io::ErrorKind::TimedOut => StreamCounter::Stuck,
        _ => StreamCounter::Broken,
    }
}

/// The last handle of a socket goes, and the peer hears a reset.
fn reset(handle: OwnedFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = setsockopt(&handle, sockopt::Linger, &linger);
}

/// Places in what the kernel says of a socket's memory (`SO_MEMINFO`).
const MEMINFO_WORDS: usize = 9;
const WRITE_QUEUED: usize = 5;

nix::getsockopt_impl!(
    MemoryInfo,
    libc::SOL_SOCKET,
    libc::SO_MEMINFO,
    [u32; MEMINFO_WORDS],
    sockopt::GetStruct<[u32; MEMINFO_WORDS]>
);

/// What a socket's memory holds.
#[derive(Clone, Copy, Debug)]
struct MemoryInfo;

/// Whether the peer has acknowledged every byte.
fn is_delivered(socket: &impl AsFd) -> bool {
    nix::sys::socket::getsockopt(socket, MemoryInfo).map_or(true, |words| words[WRITE_QUEUED] == 0)
}

impl Inlet {
    /// When a connection that has brought nothing since `heard` is closed.
    pub(super) fn idle_end(&self, heard: Instant) -> Instant {
        let end = heard + self.limits.idle();
        self.first_end.map_or(end, |first| first.min(end))
    }

    /// When a connection is closed whose message began at `begun` and is not whole.
    pub(super) fn message_end(&self, begun: Instant) -> Instant {
        let end = begun + self.limits.patience();
        self.first_end.map_or(end, |first| first.min(end))
    }

    /// Waits until the exchange has room. `false`: it is gone.
    pub(super) async fn pass(&mut self, bytes: &[u8]) -> bool {
        self.first_end = None;
        let event = Event::Message { number: self.number, bytes: bytes.to_vec() };
        self.events.send(event).await.is_ok()
    }

    /// Something came: the peer is there.
    pub(super) fn note_heard(&self) {
        self.heard.send_replace(());
    }

    /// Has a CRLF sent, if none is waiting to be.
    pub(super) fn answer_keep_alive(&self) {
        let _ = self.keep_alives.try_send(());
    }
}

/// Frames of a stream, until it ends or must end. Why it did.
async fn read<S: AsyncRead>(mut from: ReadHalf<S>, mut inlet: Inlet) -> StreamCounter {
    let mut framer = Framer::new(inlet.message_bytes_max, BARREN_BYTES_MAX);
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let (mut heard, mut begun) = (Instant::now(), None);
    loop {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let frame = match framer.poll(rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) => {
                    if let Some(head) = framer.refused_head(rest) {
                        // Whoever reads it finds the same fault, and answers.
                        let _ = inlet.pass(head).await;
                    }
                    return fault.into();
                }
            };
            match frame {
                Frame::Message(length) => {
                    if !inlet.pass(rest.get(..length).unwrap_or_default()).await {
                        return StreamCounter::Closed;
                    }
                }
                Frame::KeepAlive => inlet.answer_keep_alive(),
                Frame::Pong(_) => {}
            }
            (heard, begun) = (Instant::now(), None);
            at += frame.bytes();
        }
        bytes.drain(..at);
        if bytes.is_empty() {
            // Most connections are idle most of the time.
            bytes.shrink_to(READ_BYTES);
        }
        let is_between = framer.is_between(&bytes);
        let end = if is_between {
            inlet.idle_end(heard)
        } else {
            // From its first byte on, however it trickles.
            inlet.message_end(*begun.get_or_insert_with(Instant::now))
        };
        if bytes.capacity() == bytes.len() {
            bytes.reserve(READ_BYTES);
        }
        match timeout_at(end, from.read_buf(&mut bytes)).await {
            Ok(Ok(0)) => return StreamCounter::Closed,
            Ok(Ok(_)) => inlet.note_heard(),
            Ok(Err(error)) => return broken_by(&error),
            Err(_) if is_between => return StreamCounter::Idle,
            Err(_) => return StreamCounter::Stuck,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use link::order::Parameters;

    use super::*;

    /// A line to nobody in particular, whoever writes letters to it, and whoever hears of it.
    fn line(limits: &Arc<Limits>) -> (Line, mpsc::Sender<Letter>, mpsc::Receiver<Event>) {
        let (letters, waiting) = mpsc::channel(1);
        let (events, exchange) = mpsc::channel(8);
        let line = Line {
            number: 1,
            transport: Transport::Tcp,
            letters: waiting,
            unwritten: None,
            unheard: VecDeque::new(),
            events,
            limits: Arc::clone(limits),
            tally: Arc::default(),
            message_bytes_max: 1_000,
            handle: None,
            is_inward: false,
        };
        (line, letters, exchange)
    }

    #[test]
    fn a_mark_holds_for_a_connection_that_is_open_already() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let set = |dscp_sip| Parameters { dscp_sip, ..Parameters::default() };
        let limits = Arc::new(Limits::new(&set(24)));
        let (mut line, _letters, _events) = line(&limits);
        line.handle =
            Some(Handle { socket: ours.try_clone().unwrap().into(), mark: Mark::none(true) });
        let marked = || nix::sys::socket::getsockopt(&ours, sockopt::Ipv4Tos).unwrap() >> 2;
        line.mark();
        assert_eq!(marked(), 24);
        limits.set(&set(40));
        line.mark();
        assert_eq!(marked(), 40);
    }

    /// What a WebSocket is told that sends this behind its handshake, and what becomes of it.
    async fn closed(bytes: &[u8]) -> (Option<u16>, StreamCounter) {
        use tokio_tungstenite::tungstenite::Message;
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let (ours, theirs) = tokio::io::duplex(65_536);
        let serve = async {
            let limits = Arc::new(Limits::new(&Parameters::default()));
            let (mut line, _letters, _events) = line(&limits);
            let agreed = websocket::accept(ours, line.message_bytes_max).await.unwrap();
            websocket::converse(&mut line, agreed).await
        };
        let speak = async {
            let mut request = "ws://tollgate/".into_client_request().unwrap();
            let name = "Sec-WebSocket-Protocol";
            request.headers_mut().insert(name, "sip".parse().unwrap());
            let (mut socket, _) = tokio_tungstenite::client_async(request, theirs).await.unwrap();
            socket.get_mut().write_all(bytes).await.unwrap();
            loop {
                match futures_util::StreamExt::next(&mut socket).await {
                    Some(Ok(Message::Close(frame))) => {
                        break frame.map(|frame| u16::from(frame.code));
                    }
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => break None,
                }
            }
        };
        let (why, code) = tokio::join!(serve, speak);
        (code, why)
    }

    #[test]
    fn a_websocket_that_breaks_the_rules_is_told_which() {
        use StreamCounter::{FrameMalformed, MessageTooLong, TextMalformed};
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (bytes, code, why) in [
            // Unmasked, of no kind, a continuation of nothing.
            (&[0x81, 1, b'x'][..], 1002, FrameMalformed),
            (&[0x83, 0x81, 0, 0, 0, 0, b'x'], 1002, FrameMalformed),
            (&[0x80, 0x81, 0, 0, 0, 0, b'x'], 1002, FrameMalformed),
            (&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007, TextMalformed),
            (&[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0], 1009, MessageTooLong),
        ] {
            assert_eq!(runtime.block_on(closed(bytes)), (Some(code), why), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_are_delivered_once_the_peer_has_room_for_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        assert!(is_delivered(&ours));
        ours.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(more) = ours.write(&[7; 65_536]) {
            written += more;
        }
        assert!(!is_delivered(&ours));
        theirs.read_exact(&mut vec![0; written]).unwrap();
        let looks = (0..200).find(|_| {
            std::thread::sleep(DELIVERY_LOOK);
            is_delivered(&ours)
        });
        assert!(looks.is_some());
    }
}
