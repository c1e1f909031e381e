//! After boot a worker allocates nothing: calls, media and hostile bytes through real sockets, every turn
//! under a counting allocator.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use b2bua::{Keys, Limits, Local, Setup, StreamPorts, Switch};
use dataplane::counters::Counters;
use dataplane::neighbors::Reader;
use dataplane::nic::udp::Udp;
use dataplane::rim::stand_in::StandIn;
use dataplane::worker::{Handoff, Kind, Parts, Worker};
use dataplane::{clock, rim};
use link::answer::{Committed, Extended, Rerouted, Route};
use link::endpoint::Transport;
use link::layout::{ControlSide, Link, Sizes};
use link::message::{Down, Up};
use link::order::Parameters;
use link::record::CallKey;
use link::ring::{Consumer, Producer, RingError};
use link::table::SlotState;
use link::{Answer, Ask, Endpoint, Instant, Order, Report, Text};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use shm::{Doorbell, Region};
use srtp::{Master, Sender, Suite};
use zerocopy::FromZeros;

const OUR_CUSTOMER_SIDE: &str = "127.1.0.1";
const OUR_VENDOR_SIDE: &str = "127.2.0.1";
const SIP: u16 = 25_360;
const MEDIA: (u16, u16) = (25_362, 25_425);
const CALLS: u32 = 4;
const MESSAGE_BYTES_MAX: usize = 8192;

/// A directory for doorbells and shared memory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tghard-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn parts(link: &Link, scratch: &Path, ours: [&str; 2], rim: rim::WorkerSide) -> Parts<Udp> {
    let ours: [IpAddr; 2] = ours.map(|ip| ip.parse().unwrap());
    let keys = Keys { shard: [1; 16], tag: [2; 16] };
    let stream_ports = StreamPorts::default();
    let local =
        |address| Local { address, sip_port: SIP, prefix_bits: 24, advertise: None, stream_ports };
    let switch = Switch::new(Setup {
        worker: 0,
        workers: 1,
        node: 7,
        limits: Limits {
            calls_max: CALLS,
            transactions_max: 64,
            kept_messages_max: 64,
            message_bytes_max: MESSAGE_BYTES_MAX,
            gateways_max: 8,
            transcoded_max: 2,
        },
        locals: ours.map(local).to_vec(),
        media_locals: Vec::new(),
        media_ports: MEDIA,
        keys,
        seed: [3; 32],
        user_agent: "Tollgate".into(),
    });
    let side = link.worker_side(0).unwrap();
    side.counters.name_all(Counters::names().iter().map(String::as_str)).unwrap();
    let bell = |name: &str| Doorbell::open(&scratch.join(name)).unwrap();
    let frame_bytes = Udp::frame_bytes(MESSAGE_BYTES_MAX);
    let ports = (MEDIA.0, MEDIA.1 - MEDIA.0 + 1);
    Parts {
        index: 0,
        nic: Udp::open((&ours, &[]), SIP, MEDIA, 512, frame_bytes).unwrap(),
        switch,
        link: *link,
        side,
        control: bell("control"),
        bell: bell("worker"),
        hops: Reader::kernel(),
        handoff: Handoff::new(0, keys, ports, vec![None], vec![None], MESSAGE_BYTES_MAX + 64),
        rim,
        greeter: None,
        knows: Box::new(|_| true),
        roster: None,
        media: None,
        recorder: None,
        calls_max: CALLS as usize,
        message_bytes_max: MESSAGE_BYTES_MAX,
        spin: Duration::ZERO,
        wall_offset: clock::wall_offset,
    }
}

/// A worker whose turns are counted, and a control that lets every call through.
struct Office {
    worker: Worker<Udp>,
    link: Link,
    side: ControlSide,
    vendor: SocketAddr,
    /// By what the vendor is called.
    carrier: Transport,
    now: Instant,
    turns: u32,
}

impl Office {
    fn new(scratch: &Path, vendor: SocketAddr) -> Self {
        let ours = [OUR_CUSTOMER_SIDE, OUR_VENDOR_SIDE];
        Self::with(scratch, vendor, ours, rim::WorkerSide::none())
    }

    fn with(scratch: &Path, vendor: SocketAddr, ours: [&str; 2], rim: rim::WorkerSide) -> Self {
        let sizes = Sizes { workers: 1, calls_per_worker: CALLS, ring_slots: 64 };
        let region = Region::open(&scratch.join("shared"), sizes.bytes_needed()).unwrap();
        let link = Link::format(region.words(), &sizes, 7).unwrap();
        link.begin_dataplane();
        link.begin_control();
        let now = clock::now();
        link.beat_control(now.as_micros() as u64);
        let worker = Worker::open(parts(&link, scratch, ours, rim), now);
        let (side, carrier) = (link.control_side(0).unwrap(), Transport::Udp);
        Self { worker, link, side, vendor, carrier, now, turns: 0 }
    }

    /// One turn of the worker, which must not allocate, and what control says to it.
    #[track_caller]
    fn turn(&mut self) {
        self.link.beat_control(self.now.as_micros() as u64);
        let (worker, now) = (&mut self.worker, self.now);
        let counted = allocation_counter::measure(|| {
            worker.turn(now);
        });
        assert_eq!(counted.count_total, 0, "turn {}: {counted:?}", self.turns);
        self.turns += 1;
        while let Some(up) = self.side.up.receive() {
            let answer = match up {
                Up::Ask(Ask::Admit(admit)) => self.route(admit.call),
                Up::Ask(Ask::Answered(answered)) => {
                    Answer::Committed(Committed { call: answered.call })
                }
                Up::Ask(Ask::Reroute(reroute)) => {
                    let (call, gateway) = (reroute.call, reroute.gateway);
                    Answer::Rerouted(Rerouted { call, gateway, granted: 1 })
                }
                Up::Ask(Ask::Extend(extend)) => {
                    let granted_s = extend.granted_s + 10;
                    let extend_at_s = granted_s - 5;
                    Answer::Extended(Extended { call: extend.call, granted_s, extend_at_s })
                }
                Up::Ask(Ask::Abandon(_) | Ask::Register(_) | Ask::Locate(_)) | Up::Report(_) => {
                    continue;
                }
            };
            assert!(self.side.down.send(&Down::Answer(answer)).is_ok());
        }
        for (slot, tenancy) in self.side.calls.tenancies() {
            if tenancy.state() == SlotState::Ended {
                let generation = tenancy.generation();
                self.side.calls.release(CallKey { slot, generation }).unwrap();
            }
        }
    }

    fn route(&self, call: CallKey) -> Answer {
        let mut route = Route::new_zeroed();
        route.call = call;
        route.customer_gateway = 3;
        (route.granted_s, route.extend_at_s) = (10, 5);
        route.candidates_used = 1;
        route.candidates[0].gateway = 100;
        route.candidates[0].target = Endpoint::from(self.vendor).by(self.carrier);
        route.candidates[0].caller = Text::new(b"1234").unwrap();
        route.candidates[0].callee = Text::new(b"004420").unwrap();
        Answer::Route(route)
    }

    /// Time passes in steps of housekeeping.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.turn();
        }
    }

    /// What has been counted under that name.
    fn count(&mut self, name: &str) -> u64 {
        self.wait(Duration::from_millis(100));
        self.side.counters.iter().find(|(found, _)| found == name).unwrap().1
    }

    fn calls(&self) -> usize {
        let live = |seen: link::table::Tenancy| seen.state() == SlotState::Live;
        self.side.calls.tenancies().filter(|(_, seen)| live(*seen)).count()
    }
}

/// A phone of plain text.
struct Phone {
    sip: UdpSocket,
    rtp: UdpSocket,
    ours: SocketAddr,
    /// It speaks under a key.
    sender: RefCell<Option<Sender>>,
}

/// The key of a phone that has one.
const KEY: [u8; 28] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZab";
const KEY_LINE: &str =
    "a=crypto:1 AEAD_AES_128_GCM inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg==\r\n";

impl Phone {
    fn new(ip: &str, ours: &str) -> Self {
        let open = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
            socket
        };
        let ours = SocketAddr::new(ours.parse().unwrap(), SIP);
        Self { sip: open(), rtp: open(), ours, sender: RefCell::new(None) }
    }

    /// From now on it speaks under a key.
    fn secures(&self) {
        let master = Master::new(Suite::AeadAes128Gcm, &KEY).unwrap();
        *self.sender.borrow_mut() = Some(Sender::new(&master));
    }

    fn address(&self) -> SocketAddr {
        self.sip.local_addr().unwrap()
    }

    fn says(&self, text: &str) {
        self.sip.send_to(text.as_bytes(), self.ours).unwrap();
    }

    /// The next message that begins so, while the worker turns.
    #[track_caller]
    fn hears(&self, office: &mut Office, start: &str) -> String {
        let mut room = [0; MESSAGE_BYTES_MAX];
        for _ in 0..1000 {
            office.turn();
            let Ok((length, _)) = self.sip.recv_from(&mut room) else { continue };
            let text = String::from_utf8_lossy(&room[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
        panic!("{start} never came");
    }

    /// The code point of the next datagram, while the worker turns.
    #[track_caller]
    fn hears_marked(&self, office: &mut Office) -> u8 {
        setsockopt(&self.sip, sockopt::IpRecvTos, &true).unwrap();
        for _ in 0..1000 {
            office.turn();
            let mut room = [0; MESSAGE_BYTES_MAX];
            let mut parts = [IoSliceMut::new(&mut room)];
            let mut control = nix::cmsg_space!(u8);
            let (fd, flags) = (self.sip.as_raw_fd(), MsgFlags::empty());
            let got = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control[..]), flags);
            let Ok(got) = got else { continue };
            let mut marks = got.cmsgs().unwrap();
            let Some(ControlMessageOwned::Ipv4Tos(mark)) = marks.next() else { panic!("no mark") };
            return mark >> 2;
        }
        panic!("nothing came");
    }

    fn sdp(&self) -> String {
        let rtp = self.rtp.local_addr().unwrap();
        let (proto, keys) = match self.sender.borrow().is_some() {
            true => ("RTP/SAVP", KEY_LINE),
            false => ("RTP/AVP", ""),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} {proto} 0 8\r\n{keys}",
            rtp.ip(),
            rtp.port()
        )
    }

    /// A request of this phone's side: what `lines` say and what every request has.
    fn request(&self, method: &str, uri: &str, cseq: u32, lines: &str, body: &str) -> String {
        let own = self.address();
        let call = header(lines, "Call-ID").replace('@', ".");
        with_body(
            &format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq}{call}\r\n\
                 Max-Forwards: 70\r\nContact: <sip:phone@{own}>\r\nCSeq: {cseq} {method}\r\n{lines}",
            ),
            body,
        )
    }

    fn answers(&self, request: &str, status: u16, body: &str) {
        let to = header(request, "To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=vendor" };
        self.says(&with_body(
            &format!(
                "SIP/2.0 {status} Whatever\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\n\
                 CSeq: {}\r\nContact: <sip:vendor@{}>\r\n",
                header(request, "Via"),
                header(request, "From"),
                header(request, "Call-ID"),
                header(request, "CSeq"),
                self.address()
            ),
            body,
        ));
    }

    /// One packet each to the port that `sdp` names and its RTCP neighbour.
    fn streams(&self, sdp: &str, sequence: u16) {
        let port = media_port(sdp);
        let mut packet = [0x55; 200];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let mut report = [0; 48];
        report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
        let mut lengths = [172, 28];
        if let Some(sender) = &mut *self.sender.borrow_mut() {
            lengths[0] = sender.protect_rtp(&mut packet, lengths[0]).unwrap();
            lengths[1] = sender.protect_rtcp(&mut report, lengths[1]).unwrap();
        }
        self.rtp.send_to(&packet[..lengths[0]], (self.ours.ip(), port)).unwrap();
        self.rtp.send_to(&report[..lengths[1]], (self.ours.ip(), port + 1)).unwrap();
    }

    fn hears_media(&self) -> usize {
        let mut room = [0; 2048];
        std::iter::from_fn(|| self.rtp.recv_from(&mut room).ok()).count()
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let mut lines = message.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

fn media_port(message: &str) -> u16 {
    let line = message.lines().find(|line| line.starts_with("m=audio ")).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

fn with_body(head: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A call from INVITE to BYE, with media both ways; the caller or the vendor hangs up.
fn call(office: &mut Office, alice: &Phone, bob: &Phone, number: u32) {
    let dialog = |to: &str| {
        format!(
            "From: <sip:1234@127.1.0.2>;tag=a{number}\r\nTo: {to}\r\nCall-ID: call{number}@alice\r\n"
        )
    };
    let uri = format!("sip:4420@{OUR_CUSTOMER_SIDE}:{SIP}");
    let lines = dialog(&format!("<{uri}>"));
    alice.says(&alice.request("INVITE", &uri, 1, &lines, &alice.sdp()));
    let invite = bob.hears(office, "INVITE ");
    bob.answers(&invite, 180, "");
    alice.hears(office, "SIP/2.0 180 ");
    bob.answers(&invite, 200, &bob.sdp());
    bob.hears(office, "ACK ");
    let answer = alice.hears(office, "SIP/2.0 200 ");
    let target = header(&answer, "Contact").trim_matches(['<', '>']).to_owned();
    let lines = dialog(header(&answer, "To"));
    alice.says(&alice.request("ACK", &target, 1, &lines, ""));
    office.turn();
    assert_eq!(office.calls(), 1);

    let stranger = UdpSocket::bind("127.1.0.9:0").unwrap();
    let mut heard = 0;
    for sequence in 0..100 {
        alice.streams(&answer, sequence);
        bob.streams(&invite, sequence);
        office.turn();
        office.now += Duration::from_millis(20);
        // Somebody else, with what is neither RTP nor RTCP.
        stranger.send_to(b"rtp?", (OUR_CUSTOMER_SIDE, media_port(&answer))).unwrap();
        if sequence % 10 == 9 {
            heard += alice.hears_media() + bob.hears_media();
        }
    }
    assert!(heard > 300, "{heard} of 400 packets came through");

    // Hold: a re-INVITE through both legs.
    alice.says(&alice.request("INVITE", &target, 2, &lines, &alice.sdp()));
    let again = bob.hears(office, "INVITE ");
    bob.answers(&again, 200, &bob.sdp());
    alice.hears(office, "SIP/2.0 200 ");
    alice.says(&alice.request("ACK", &target, 2, &lines, ""));
    bob.hears(office, "ACK ");

    if number.is_multiple_of(2) {
        alice.says(&alice.request("BYE", &target, 3, &lines, ""));
        let bye = bob.hears(office, "BYE ");
        bob.answers(&bye, 200, "");
        alice.hears(office, "SIP/2.0 200 ");
    } else {
        let ours = header(&invite, "Contact").trim_matches(['<', '>']);
        let from = header(&invite, "To");
        let lines = format!(
            "From: {from};tag=vendor\r\nTo: {}\r\nCall-ID: {}\r\n",
            header(&invite, "From"),
            header(&invite, "Call-ID")
        );
        bob.says(&bob.request("BYE", ours, 1, &lines, ""));
        bob.hears(office, "SIP/2.0 200 ");
        let bye = alice.hears(office, "BYE ");
        alice.answers(&bye, 200, "");
    }
    office.wait(Duration::from_millis(500));
    assert_eq!(office.calls(), 0);
}

#[test]
fn no_turn_of_a_worker_allocates_whatever_comes() {
    let scratch = Scratch::new("turn");
    let alice = Phone::new("127.1.0.2", OUR_CUSTOMER_SIDE);
    let bob = Phone::new("127.2.0.2", OUR_VENDOR_SIDE);
    let mut office = Office::new(&scratch.0, bob.address());
    office.wait(Duration::from_millis(300));
    for number in 0..6 {
        call(&mut office, &alice, &bob, number);
    }

    // The same with a key on one side, then on both.
    for (secured, gateway) in [(&alice, 3), (&bob, 100)] {
        let mut profile = link::Profile { gateway, present: 1, ..link::Profile::default() };
        profile.media.srtp = link::profile::Srtp::Required as u8;
        let order = Down::Order(Order::Profile(profile));
        assert!(office.side.down.send(&order).is_ok());
        office.turn();
        for number in 6..8 {
            secured.secures();
            if gateway == 100 {
                alice.secures();
            }
            call(&mut office, &alice, &bob, number * gateway);
        }
    }
    assert_eq!(office.count("media_replayed"), 0);
    for (phone, gateway) in [(&alice, 3), (&bob, 100)] {
        *phone.sender.borrow_mut() = None;
        let profile = link::Profile { gateway, present: 0, ..link::Profile::default() };
        assert!(office.side.down.send(&Down::Order(Order::Profile(profile))).is_ok());
    }

    // Given up while it rings, and refused by the vendor.
    let uri = format!("sip:4420@{OUR_CUSTOMER_SIDE}:{SIP}");
    let lines =
        |call: &str| format!("From: <sip:1@127.1.0.2>;tag=x\r\nTo: <{uri}>\r\nCall-ID: {call}\r\n");
    let given_up = alice.request("INVITE", &uri, 1, &lines("given-up"), &alice.sdp());
    alice.says(&given_up);
    let invite = bob.hears(&mut office, "INVITE ");
    bob.answers(&invite, 180, "");
    alice.hears(&mut office, "SIP/2.0 180 ");
    alice.says(&given_up.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL"));
    let cancel = bob.hears(&mut office, "CANCEL ");
    bob.answers(&cancel, 200, "");
    bob.answers(&invite, 487, "");
    alice.hears(&mut office, "SIP/2.0 487 ");
    alice.says(&alice.request("INVITE", &uri, 1, &lines("refused"), &alice.sdp()));
    let invite = bob.hears(&mut office, "INVITE ");
    bob.answers(&invite, 486, "");
    alice.hears(&mut office, "SIP/2.0 486 ");

    // SIP is marked by the parameter, from the next message on.
    for dscp_sip in [24, 40] {
        let parameters = Parameters { dscp_sip, ..Parameters::default() };
        let order = Down::Order(Order::Parameters(parameters));
        assert!(office.side.down.send(&order).is_ok());
        office.turn();
        alice.says(&alice.request("OPTIONS", &uri, 1, &lines("marked"), ""));
        assert_eq!(u32::from(alice.hears_marked(&mut office)), dscp_sip);
    }

    // No stream leads to the vendor, since there are none: nobody waits for that.
    office.carrier = Transport::Tcp;
    alice.says(&alice.request("INVITE", &uri, 1, &lines("no-stream"), &alice.sdp()));
    alice.hears(&mut office, "SIP/2.0 503 ");
    assert_eq!((office.count("stream_lost"), office.count("requests_undeliverable")), (1, 1));
    office.carrier = Transport::Udp;

    // What is no message, or none that anybody should send.
    alice.says(&alice.request("OPTIONS", &uri, 1, &lines("options"), ""));
    alice.hears(&mut office, "SIP/2.0 200 ");
    alice.says("\r\n\r\n");
    alice.says(&"x".repeat(8000));
    alice.says("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 127.1.0.2\r\n\r\n");
    alice.says(&alice.request("REGISTER", &uri, 1, &lines("register"), ""));
    alice.says(&alice.request("BYE", &uri, 1, &lines("nowhere"), ""));
    alice.hears(&mut office, "SIP/2.0 481 ");

    // More calls than there is room for, none of them answered: 503, and timers to their end.
    for number in 0..2 * CALLS {
        let lines = lines(&format!("crowd-{number}"));
        alice.says(&alice.request("INVITE", &uri, 1, &lines, &alice.sdp()));
        office.turn();
    }
    alice.hears(&mut office, "SIP/2.0 503 ");
    office.wait(Duration::from_secs(120));
    assert_eq!(office.calls(), 0);
    assert!(office.count("media_relayed") > 1_000);
    assert!(office.turns > 1_000);
}

/// The ring of a stand-in for the rim.
fn ring(slots: usize, bytes: usize) -> Result<(Producer, Consumer), RingError> {
    link::ring::in_process(slots, bytes)
}

#[test]
fn control_hears_of_every_connection_that_is_gone_however_late_it_listens() {
    const GONE: u32 = 200;
    let scratch = Scratch::new("lost");
    let rings = rim::Rings {
        bell: scratch.0.join("rim"),
        worker_bells: vec![scratch.0.join("worker")],
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    let (side, mut rim) = StandIn::open(&rings, &mut ring).unwrap().pop().unwrap();
    let vendor = "127.4.0.2:5060".parse().unwrap();
    let mut office = Office::with(&scratch.0, vendor, ["127.3.0.1", "127.4.0.1"], side);
    for connection in 1..=GONE {
        let (local, remote) = (vendor, vendor);
        let path = b2bua::Path { transport: Transport::Tcp, local, remote, connection };
        rim.give(Kind::Lost, &path, b"").unwrap();
        office.worker.turn(office.now);
    }
    let mut heard = Vec::new();
    while let Some(up) = office.side.up.receive() {
        if let Up::Report(Report::Lost(lost)) = up {
            heard.push(lost.connection);
        }
        office.worker.turn(office.now);
    }
    assert_eq!(heard, (1..=GONE).collect::<Vec<_>>());
}
