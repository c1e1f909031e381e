//! The one owner of all connections: who has which number, what goes where, what comes back.
//!
//! It never waits for a connection: what a connection cannot take at once is given back. A connection
//! waits for it, and TCP then makes the peer wait: while a worker's ring is full nothing more is read.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use b2bua::Path;
use link::endpoint::Transport;
use link::order::Proof;
use rustls::pki_types::ServerName;
use sip::Method;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::RimEnd;
use super::connection::{Letter, Line};
use super::counter::{StreamCounter, Tally};
use super::limits::{Census, Limits, Standing};
use super::stream::Door;
use super::tls::Tls;
use crate::returned::canonical;
use crate::worker::{Kind, Label, unseal};

/// Events that may wait; whoever has another one waits as well.
const EVENTS: usize = 256;
/// Events handled before the workers' letters are looked at again.
const EVENTS_PER_TURN: usize = 64;
/// Letters taken before connections have their turn: fewer than may wait for one, so that a burst for a
/// peer that reads is written and not given back.
const LETTERS_PER_TURN: usize = LETTERS_MAX / 4;
/// Messages that may wait for one connection, opened or not.
const LETTERS_MAX: usize = 128;
/// Connections that we open to one peer.
const PER_PEER_MAX: usize = 4;
/// A connection with more than this waiting gets company.
const CROWDED: usize = LETTERS_MAX / 2;
/// How soon a full ring is looked at again; the worker does not ring for room.
const RETRY: Duration = Duration::from_millis(1);
/// Places whose name is known. Beyond that a place proves itself by its address, as one without a name.
const NAMES_MAX: usize = 65_536;
/// How long a thread that is to stop may sleep.
const STOP_SEEN: Duration = Duration::from_millis(100);

/// What connections tell.
pub(super) enum Event {
    /// A peer connected.
    Knock { door: Door, socket: TcpStream, remote: SocketAddr },
    /// A whole message came.
    Message { number: u32, bytes: Vec<u8> },
    /// The peer has said all that it will say: nothing new goes there.
    Leaving { number: u32 },
    /// It is no more. Some requests may have reached nobody, and the rest was not written.
    Gone { number: u32, why: StreamCounter, unheard: VecDeque<Letter>, rest: Vec<Letter> },
}

/// What is known of a connection.
struct Peer {
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    /// Whose share it takes, and what he has shown, if the peer opened it.
    source: Option<(IpAddr, Standing)>,
    /// The peer has said all that it will say. It may still read our responses.
    leaving: bool,
    /// A REGISTER came by it: phones may be reached by it alone.
    registers: bool,
    letters: mpsc::Sender<Letter>,
}

/// What an exchange is made of.
pub(super) struct Setup<'a, A> {
    pub(super) workers: Vec<RimEnd>,
    /// The path of what wakes us.
    pub(super) bell: &'a FilePath,
    pub(super) tls: Tls,
    /// Who works on the handshakes of peers.
    pub(super) handshakes: runtime::Handle,
    pub(super) limits: Arc<Limits>,
    pub(super) tally: Arc<Tally>,
    pub(super) message_bytes_max: usize,
    pub(super) admits: A,
}

/// See the head of this file.
pub(super) struct Exchange<A> {
    workers: Vec<RimEnd>,
    /// Our doorbell, as the runtime polls it.
    bell: pipe::Receiver,
    tls: Tls,
    handshakes: runtime::Handle,
    limits: Arc<Limits>,
    tally: Arc<Tally>,
    message_bytes_max: usize,
    admits: A,
    inbox: mpsc::Receiver<Event>,
    /// For the connections.
    events: mpsc::Sender<Event>,
    peers: HashMap<u32, Peer>,
    /// Numbers by where they lead, those that are leaving aside.
    by_remote: HashMap<(Transport, SocketAddr), Vec<u32>>,
    census: Census,
    last_number: u32,
    /// By what places prove who they are, if it is not their address as usual.
    proofs: HashMap<SocketAddr, (Option<ServerName<'static>>, Proof)>,
    /// What a full ring has not taken yet, by worker.
    held: VecDeque<(usize, Kind, Path, Vec<u8>)>,
}

impl<A: FnMut(IpAddr, &[u8]) -> bool> Exchange<A> {
    /// No connections yet. Within a runtime.
    pub(super) fn open(setup: Setup<'_, A>) -> io::Result<Self> {
        let (events, inbox) = mpsc::channel(EVENTS);
        Ok(Self {
            workers: setup.workers,
            // Both ends, as whoever rings has both: a bell never fails because nobody listens.
            bell: pipe::OpenOptions::new().read_write(true).open_receiver(setup.bell)?,
            tls: setup.tls,
            handshakes: setup.handshakes,
            limits: setup.limits,
            tally: setup.tally,
            message_bytes_max: setup.message_bytes_max,
            admits: setup.admits,
            inbox,
            events,
            peers: HashMap::new(),
            by_remote: HashMap::new(),
            census: Census::default(),
            last_number: 0,
            proofs: HashMap::new(),
            held: VecDeque::new(),
        })
    }

    /// Where to tell of what happens to connections.
    pub(super) fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    pub(super) async fn run(mut self, stop: &AtomicBool) {
        let mut room = vec![0; link::ring::SLOT_BYTES_MAX];
        while !stop.load(Ordering::Relaxed) {
            self.take_letters(&mut room);
            self.tell_held();
            if self.workers.iter_mut().all(|worker| worker.out.try_sleep()) {
                self.wait().await;
            } else {
                self.serve_events();
                tokio::task::yield_now().await;
            }
            for worker in &mut self.workers {
                worker.out.awake();
            }
        }
    }

    /// Until a worker rings or a connection has something to tell.
    async fn wait(&mut self) {
        let limit = if self.held.is_empty() { STOP_SEEN } else { RETRY };
        tokio::select! {
            ready = self.bell.readable() => {
                let mut rings = [0; 256];
                while ready.is_ok() && self.bell.try_read(&mut rings).is_ok() {}
            }
            Some(event) = self.inbox.recv(), if self.held.is_empty() => {
                self.handle(event);
                self.serve_events();
            }
            () = tokio::time::sleep(limit) => {}
        }
    }

    /// What has been told already, as long as the workers have room for it.
    fn serve_events(&mut self) {
        for _ in 0..EVENTS_PER_TURN {
            if !self.held.is_empty() {
                return;
            }
            let Ok(event) = self.inbox.try_recv() else { return };
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Knock { door, socket, remote } => self.admit(door, socket, canonical(remote)),
            Event::Message { number, bytes } => self.handle_message(number, bytes),
            Event::Leaving { number } => self.handle_leaving(number),
            Event::Gone { number, why, unheard, rest } => {
                self.handle_gone(number, why);
                // Whoever was asked already is not asked again: its transaction knows what to do.
                unheard.into_iter().for_each(|letter| self.give_back(letter));
                self.send_rest(why, rest);
            }
        }
    }

    fn admit(&mut self, door: Door, socket: TcpStream, remote: SocketAddr) {
        let source = remote.ip();
        if !(self.admits)(source, b"") {
            return self.tally.add(StreamCounter::Denied);
        }
        if !self.census.admit(&self.limits, source) {
            return self.tally.add(StreamCounter::OverLimit);
        }
        self.tally.add(StreamCounter::Accepted);
        let Door { address: local, transport } = door;
        let line = self.open_line(transport, local, remote, Some((source, Standing::Stranger)));
        tokio::spawn(line.serve(socket, self.tls.clone(), self.handshakes.clone()));
    }

    /// Takes a connection into the books, opened or not.
    fn open_line(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        source: Option<(IpAddr, Standing)>,
    ) -> Line {
        let number = self.next_number();
        let (letters, waiting) = mpsc::channel(LETTERS_MAX);
        self.peers.insert(
            number,
            Peer { transport, local, remote, source, leaving: false, registers: false, letters },
        );
        self.by_remote.entry((transport, remote)).or_default().push(number);
        Line {
            number,
            transport,
            letters: waiting,
            unwritten: None,
            unheard: VecDeque::new(),
            events: self.events.clone(),
            limits: Arc::clone(&self.limits),
            tally: Arc::clone(&self.tally),
            message_bytes_max: self.message_bytes_max,
            handle: None,
            is_inward: source.is_some(),
        }
    }

    /// Never 0, and of no connection that is still there.
    fn next_number(&mut self) -> u32 {
        loop {
            self.last_number = self.last_number.wrapping_add(1);
            if self.last_number != 0 && !self.peers.contains_key(&self.last_number) {
                return self.last_number;
            }
        }
    }

    fn handle_message(&mut self, number: u32, bytes: Vec<u8>) {
        let Some(peer) = self.peers.get(&number) else { return };
        let Peer { transport, local, remote, .. } = *peer;
        if !(self.admits)(remote.ip(), &bytes) {
            return self.tally.add(StreamCounter::Refused);
        }
        self.tally.add(StreamCounter::MessagesIn);
        if bytes.starts_with(b"REGISTER ")
            && let Some(peer) = self.peers.get_mut(&number)
        {
            peer.registers = true;
        }
        let path = Path { transport, local, remote, connection: number };
        self.tell(number, Kind::Sip, path, bytes);
    }

    /// To the worker of the connection: always the same, so that nothing overtakes.
    fn tell(&mut self, number: u32, kind: Kind, path: Path, bytes: Vec<u8>) {
        let place = number as usize % self.workers.len().max(1);
        self.held.push_back((place, kind, path, bytes));
        self.tell_held();
    }

    fn tell_held(&mut self) {
        while let Some((place, kind, path, bytes)) = self.held.front() {
            let Some(worker) = self.workers.get_mut(*place) else { return };
            if worker.inward.free() == 0 {
                return;
            }
            // There is room, and no message is longer than a letter.
            let _ = worker.give(*kind, path, bytes);
            self.held.pop_front();
        }
    }

    fn handle_leaving(&mut self, number: u32) {
        self.forget_way(number);
        if let Some(peer) = self.peers.get_mut(&number) {
            peer.leaving = true;
        }
    }

    fn forget_way(&mut self, number: u32) {
        let Some(peer) = self.peers.get(&number) else { return };
        let way = (peer.transport, peer.remote);
        if let Some(numbers) = self.by_remote.get_mut(&way) {
            numbers.retain(|&other| other != number);
            if numbers.is_empty() {
                self.by_remote.remove(&way);
            }
        }
    }

    fn handle_gone(&mut self, number: u32, why: StreamCounter) {
        self.tally.add(why);
        self.forget_way(number);
        if let Some(peer) = self.peers.remove(&number) {
            self.census.release(peer.source);
            if peer.registers {
                let Peer { transport, local, remote, .. } = peer;
                let path = Path { transport, local, remote, connection: number };
                self.tell(number, Kind::Lost, path, Vec::new());
            }
        }
    }

    /// What a connection that is gone has not written.
    fn send_rest(&mut self, why: StreamCounter, rest: Vec<Letter>) {
        let nobody = matches!(why, StreamCounter::Unopened | StreamCounter::HandshakeFailed);
        for letter in rest {
            if nobody || letter.again {
                self.give_back(letter);
            } else {
                // A response that is on its way again goes elsewhere, and that is noted there.
                let again = !letter.is_response();
                self.send(Letter { again, ..letter });
            }
        }
    }

    /// What a letter says did not happen: the worker may know whom to tell.
    fn give_back(&mut self, letter: Letter) {
        self.tally.add(StreamCounter::Undeliverable);
        self.tell(letter.path.connection, Kind::Undeliverable, letter.path, letter.bytes);
    }

    fn take_letters(&mut self, room: &mut [u8]) {
        let workers = self.workers.len();
        for _ in 0..LETTERS_PER_TURN.div_ceil(workers.max(1)) {
            for place in 0..workers {
                let Some(worker) = self.workers.get_mut(place) else { return };
                let Some((label, length)) = worker.out.pop(room) else { continue };
                let Some((path, payload)) = room.get(..length).and_then(unseal) else { continue };
                if Label::of_number(label).kind == Kind::Name {
                    self.take_proof(path.remote, payload);
                    continue;
                }
                self.send(Letter { path, bytes: payload.to_vec(), again: false });
            }
        }
    }

    /// What we grant a peer shows that he is no stranger.
    fn note_service(&mut self, letter: &Letter) {
        let Some(peer) = self.peers.get_mut(&letter.path.connection) else { return };
        let is_his = peer.remote.ip() == letter.path.remote.ip();
        if let Some((source, standing @ Standing::Stranger)) = &mut peer.source
            && is_his
            && letter.is_service()
        {
            *standing = Standing::Served;
            self.census.serve(*source);
        }
    }

    /// From the next connection on whoever answers at `place` must be called so, or need not.
    fn take_proof(&mut self, place: SocketAddr, told: &[u8]) {
        let Some((&proof, name)) = told.split_first() else { return };
        let proof = Proof::from_number(proof);
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let name = name.and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let has_room = self.proofs.len() < NAMES_MAX || self.proofs.contains_key(&place);
        if has_room && (name.is_some() || proof != Proof::Usual) {
            self.proofs.insert(place, (name, proof));
        } else {
            self.proofs.remove(&place);
        }
    }

    /// By its own connection; else by one that leads there, or is made to.
    fn send(&mut self, letter: Letter) {
        self.note_service(&letter);
        let Some(letter) = self.send_along(letter) else { return };
        match letter.way_back() {
            Way::Request => self.send_anew(letter),
            Way::Response(path) => {
                self.tally.add(StreamCounter::Redirected);
                self.send_anew(Letter { path, again: true, ..letter });
            }
            Way::None => self.give_back(letter),
        }
    }

    /// By the connection that its path names; the letter back if that is gone, or leads elsewhere.
    fn send_along(&mut self, letter: Letter) -> Option<Letter> {
        let Path { connection, remote, transport, .. } = letter.path;
        let peer = self.peers.get(&connection).filter(|peer| {
            // A Contact may have moved the far end of a dialog; of its port a NAT knows better.
            let leads_there = peer.remote.ip() == remote.ip() && peer.transport == transport;
            // Whoever is leaving answers no request of ours.
            leads_there && (!peer.leaving || letter.is_response())
        });
        match peer.map(|peer| &peer.letters) {
            Some(letters) => match letters.try_send(letter) {
                Ok(()) => None,
                Err(TrySendError::Closed(letter)) => Some(letter),
                Err(TrySendError::Full(letter)) => {
                    self.tally.add(StreamCounter::QueueFull);
                    self.give_back(letter);
                    None
                }
            },
            None => Some(letter),
        }
    }

    /// By the least busy of the connections to that peer, and by a new one if that is busy too.
    fn send_anew(&mut self, letter: Letter) {
        let Path { transport, remote, .. } = letter.path;
        let numbers = self.by_remote.get_mut(&(transport, remote));
        let mut letter = letter;
        let mut open = 0;
        if let Some(numbers) = numbers {
            open = numbers.len();
            // Whoever was asked first is asked last now.
            numbers.rotate_left(1);
            let peers = numbers.iter().filter_map(|number| self.peers.get(number));
            let freest = peers.max_by_key(|peer| peer.letters.capacity());
            if let Some(peer) = freest
                && (peer.letters.capacity() > LETTERS_MAX - CROWDED || open >= PER_PEER_MAX)
            {
                match peer.letters.try_send(letter) {
                    Ok(()) => return,
                    Err(TrySendError::Closed(back)) => letter = back,
                    Err(TrySendError::Full(back)) => {
                        self.tally.add(StreamCounter::QueueFull);
                        return self.give_back(back);
                    }
                }
            }
        }
        let can_connect = matches!(transport, Transport::Tcp | Transport::Tls);
        if !can_connect || open >= PER_PEER_MAX {
            return self.give_back(letter);
        }
        if !self.census.admit_own(&self.limits) {
            self.tally.add(StreamCounter::OverLimit);
            return self.give_back(letter);
        }
        self.connect(letter);
    }

    /// A letter opens its own connection and is the first to go by it.
    fn connect(&mut self, letter: Letter) {
        let Path { transport, local, remote, .. } = letter.path;
        let line = self.open_line(transport, local, remote, None);
        if let Some(peer) = self.peers.get(&line.number) {
            // A new line has room.
            let _ = peer.letters.try_send(letter);
        }
        let (name, proof) = self.proofs.get(&remote).cloned().unwrap_or_default();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(remote.ip().into()));
        tokio::spawn(line.call(local.ip(), remote, (name, proof), self.tls.clone()));
    }
}

/// Whither a letter goes whose connection is gone.
enum Way {
    /// A request: to the address of its path.
    Request,
    /// A response: to where its top Via says (RFC 3261 §18.2.2).
    Response(Path),
    /// A response that has been there already, or that nobody can be connected to for.
    None,
}

impl Letter {
    pub(super) fn is_response(&self) -> bool {
        self.bytes.starts_with(b"SIP/2.0 ")
    }

    /// Whether it grants what no stranger gets: a registration, a publication, or a call that rings.
    fn is_service(&self) -> bool {
        if !self.is_response() {
            return false;
        }
        let Ok(message) = sip::Message::parse(&self.bytes) else { return false };
        let is_granted = message.status().is_some_and(|status| (180..300).contains(&status));
        is_granted
            && matches!(message.method(), Method::Register | Method::Invite | Method::Publish)
    }

    fn way_back(&self) -> Way {
        if !self.is_response() {
            return Way::Request;
        }
        let usual = match self.path.transport {
            Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Udp | Transport::Ws | Transport::Wss => return Way::None,
        };
        let Ok(message) = sip::Message::parse(&self.bytes) else { return Way::None };
        if self.again {
            return Way::None;
        }
        let mut path = Path { connection: 0, ..self.path };
        path.remote.set_port(message.via().port().unwrap_or(usual));
        Way::Response(path)
    }
}
