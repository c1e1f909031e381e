//! The rim on loopback, and what stands for a worker.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use b2bua::Path;
use dataplane::rim::stream::{self, Door};
use dataplane::rim::{Given, Rings, StreamCounter, Tls, WorkerSide};
use dataplane::worker::{Kind, Label};
use link::endpoint::Transport;
use link::order::{Parameters, PlaceName, Proof};
use link::{Endpoint, Text};
use nix::sys::socket::{setsockopt, sockopt};

/// How long anything may take that is to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(5);
pub(crate) const MESSAGE_BYTES_MAX: usize = 8_192;
/// Nobody with this address is let in.
pub(crate) const DENIED: &str = "127.0.0.66";

/// Ports that no other test here has, below those that the kernel gives to clients.
static PORTS: AtomicU16 = AtomicU16::new(24_000);

/// Well within any patience: a machine with other things to do is slow, but not that slow.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(1_800);

/// Short clocks, though longer than [`AT_ONCE`].
pub(crate) fn hasty() -> Parameters {
    Parameters { stream_patience_s: 2, ..Parameters::default() }
}

pub(crate) struct World {
    side: WorkerSide,
    /// TCP; TLS, WebSocket and WebSocket over TLS have the three ports behind it.
    port: u16,
    stop: Arc<AtomicBool>,
    totals: [u64; StreamCounter::ALL.len()],
    /// Whether requests are answered by 200.
    answers: bool,
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tghard-{}-streams-{name}", std::process::id()))
}

impl World {
    pub(crate) fn new(parameters: Parameters) -> Self {
        Self::with_tls(parameters, Tls::none().unwrap())
    }

    pub(crate) fn with_tls(parameters: Parameters, tls: Tls) -> Self {
        let port = PORTS.fetch_add(4, Ordering::Relaxed);
        let (bell, worker) = (scratch(&format!("{port}-rim")), scratch(&format!("{port}-worker")));
        let bells = [bell.clone(), worker.clone()];
        let rings =
            Rings { worker_bells: vec![worker], bell, message_bytes_max: MESSAGE_BYTES_MAX };
        let stop = Arc::new(AtomicBool::new(false));
        let kinds = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        let doors: Vec<Door> = ["127.0.0.1", "::1"]
            .iter()
            .flat_map(|ip| {
                (port..).zip(kinds).map(|(port, transport)| Door {
                    address: SocketAddr::new(ip.parse().unwrap(), port),
                    transport,
                })
            })
            .collect();
        let denied: IpAddr = DENIED.parse().unwrap();
        let admits = move |source, bytes: &[u8]| source != denied && !bytes.starts_with(b"PUBLISH");
        let streams = stream::start(&doors, &rings, tls, admits, Arc::clone(&stop)).unwrap();
        for bell in bells {
            std::fs::remove_file(bell).unwrap();
        }
        let side = WorkerSide::new(None, streams.into_iter().next());
        side.set_parameters(&parameters);
        let totals = [0; StreamCounter::ALL.len()];
        Self { side, port, stop, totals, answers: true }
    }

    /// From now on requests are only looked at.
    pub(crate) fn silent(mut self) -> Self {
        self.answers = false;
        self
    }

    pub(crate) fn at(&self, transport: Transport) -> SocketAddr {
        self.at_ip("127.0.0.1", transport)
    }

    pub(crate) fn at_ip(&self, ip: &str, transport: Transport) -> SocketAddr {
        let port = self.port + (transport as u16 - Transport::Tcp as u16);
        SocketAddr::new(ip.parse().unwrap(), port)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.at(Transport::Tcp))
    }

    /// The next thing that comes to the worker, if something is there.
    pub(crate) fn take(&mut self) -> Option<(Kind, Path, String)> {
        let mut room = vec![0; 16_384];
        let (kind, path, bytes) = self.side.take(&mut room)?;
        let text = String::from_utf8_lossy(bytes).into_owned();
        if self.answers && kind == Kind::Sip && !text.starts_with("SIP/2.0") {
            self.sends(&path, &response(&text));
        }
        Some((kind, path, text))
    }

    /// The next thing that comes to the worker.
    #[track_caller]
    pub(crate) fn gets(&mut self) -> (Kind, Path, String) {
        let end = Instant::now() + SOON;
        loop {
            if let Some(came) = self.take() {
                return came;
            }
            assert!(Instant::now() < end, "nothing came to the worker");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn sends(&mut self, path: &Path, text: &str) {
        assert_eq!(self.side.give(Label::of(Kind::Sip), path, text.as_bytes()), Given::Over);
        self.side.wake();
    }

    /// Says whether whoever answers at a place must prove who he is.
    pub(crate) fn demands(&mut self, place: SocketAddr, proof: Proof) {
        let place = Endpoint::from(place).by(Transport::Tls);
        let told = PlaceName { place, name: Text::EMPTY, proof: proof as u8, spare: [0; 3] };
        self.side.set_name(&told);
        self.knows(std::iter::empty());
    }

    /// Says at once by which names places prove who they are, and waits until the rim knows.
    pub(crate) fn knows(&mut self, names: impl Iterator<Item = (SocketAddr, &'static str)>) {
        for (place, name) in names {
            let place = Endpoint::from(place).by(Transport::Tls);
            let name = Text::new(name.as_bytes()).unwrap();
            self.side.set_name(&PlaceName { place, name, proof: 0, spare: [0; 3] });
        }
        let end = Instant::now() + SOON;
        while !self.side.try_sleep() {
            assert!(Instant::now() < end, "the rim does not hear");
            self.side.awake();
            self.side.wake();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.side.awake();
    }

    /// The worker works while a peer does something.
    pub(crate) fn while_peer<T: Send>(&mut self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let peer = scope.spawn(act);
            while !peer.is_finished() {
                if self.take().is_none() {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            peer.join().unwrap()
        })
    }

    pub(crate) fn count(&mut self, counter: StreamCounter) -> u64 {
        let total = &mut self.totals[counter as usize];
        *total += self.side.counted(counter);
        *total
    }

    /// Waits until so many were counted.
    #[track_caller]
    pub(crate) fn counts(&mut self, counter: StreamCounter, wanted: u64) {
        let end = Instant::now() + SOON;
        while self.count(counter) < wanted && Instant::now() < end {
            self.take();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.count(counter), wanted, "{counter:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

pub(crate) fn request(method: &str, number: usize, via: &str, body: &str) -> String {
    format!(
        "{method} sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:b@192.0.2.2>;tag=b\r\nTo: <sip:a@192.0.2.1>\r\n\
         Call-ID: {number}@192.0.2.2\r\nCSeq: 1 {method}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn options(number: usize) -> String {
    request("OPTIONS", number, "TCP 192.0.2.2", "")
}

pub(crate) fn response(request: &str) -> String {
    let headers = request.split_once("\r\n").unwrap().1.split_once("\r\n\r\n").unwrap().0;
    let kept: Vec<&str> =
        headers.split("\r\n").filter(|line| !line.starts_with("Content-Length")).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", kept.join("\r\n"))
}

/// The next message without a body.
pub(crate) fn read_message(stream: &mut impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// Asks and is answered.
pub(crate) fn ask(stream: &mut (impl Read + Write), number: usize) {
    let options = options(number);
    stream.write_all(options.as_bytes()).unwrap();
    stream.flush().unwrap();
    assert_eq!(read_message(stream).unwrap(), response(&options));
}

nix::setsockopt_impl!(
    Filter,
    libc::SOL_SOCKET,
    libc::SO_ATTACH_FILTER,
    libc::sock_fprog,
    sockopt::SetStruct<'_, libc::sock_fprog>
);

/// Which packets a socket takes.
#[derive(Clone, Copy, Debug)]
struct Filter;

/// From now on nothing reaches this socket, and nothing that arrives is acknowledged.
pub(crate) fn swallow(socket: &TcpStream) {
    let mut none =
        [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: none.as_mut_ptr() };
    setsockopt(socket, Filter, &program).unwrap();
}

/// What the peer of a closed connection sees.
pub(crate) fn end_of(stream: &mut impl Read) -> io::Result<usize> {
    stream.read(&mut [0])
}
