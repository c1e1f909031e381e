//! Bytes as a play: messages of two callers and two vendors, answers of control, faults and time, in
//! any order, against one whole [`Switch`].
//!
//! Each byte picks the next thing to do, the bytes after it the details. What the switch sent is kept, so
//! that a play can answer it, repeat it, turn it round and spoil it. After the last byte the peers fall
//! silent and control hangs up what lives: then nothing may be left, and on the way no message may leave
//! that does not parse, and none that tells one side of the other.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use b2bua::{Action, CHECKPOINT_BYTES_MAX, Counter, Keys, Limits, Local, Path, Setup, Switch};
use link::answer::{
    ANNOUNCED, Candidate, Challenge, Committed, Extended, Located, Refuse, Registered, Rerouted,
    Route,
};
use link::endpoint::Transport;
use link::order::{Drain, Errand, HangUp, Parameters, TransferKeys};
use link::profile::MediaTerms;
use link::record::CallKey;
use link::{Answer, Ask, Endpoint, Order, Profile, Text};
use relay::{Prompts, SOUND_BYTES};
use sip::Message;
use zerocopy::FromZeros;

const CALLERS: [&str; 2] = ["198.51.100.7:5060", "198.51.100.8:5070"];
const VENDORS: [&str; 2] = ["203.0.113.10:5060", "203.0.113.20:5060"];
const OURS: [&str; 2] = ["192.0.2.1:5060", "203.0.113.1:5060"];
/// What no vendor may ever read.
const CALLERS_SECRETS: [&str; 4] = ["198.51.100.", "inside.example", "alice-tag", "call-of-alice"];
/// What no caller may ever read.
const VENDORS_SECRETS: [&str; 3] = ["203.0.113.", "outside.example", "vendor-tag"];

/// Messages that a play can refer to.
const REMEMBERED: usize = 32;
/// Steps of one play.
const STEPS_MAX: usize = 400;

const STATUSES: [u16; 24] = [
    100, 180, 183, 199, 200, 202, 300, 302, 400, 401, 403, 404, 407, 408, 422, 423, 480, 481, 486,
    487, 491, 500, 503, 603,
];
const METHODS: [&str; 12] = [
    "BYE", "INVITE", "UPDATE", "INFO", "PRACK", "REFER", "MESSAGE", "OPTIONS", "NOTIFY", "ACK",
    "CANCEL", "REGISTER",
];
/// Lines that a play can add to any message.
const LINES: [&str; 16] = [
    "",
    "Require: 100rel\r\nRSeq: 1\r\n",
    "Supported: 100rel, timer\r\nSession-Expires: 120;refresher=uac\r\nMin-SE: 90\r\n",
    "Session-Expires: 20\r\nSupported: timer\r\n",
    "RAck: 1 1 INVITE\r\n",
    "Retry-After: 10\r\n",
    "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", qop=\"auth\"\r\n",
    "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256, stale=true\r\n",
    "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n",
    "Privacy: id\r\nP-Asserted-Identity: <sip:99@inside.example>\r\n",
    "X-Test: 1\r\nReason: Q.850;cause=16\r\n",
    "Refer-To: <sip:77@192.0.2.1>\r\n",
    "Max-Forwards: 0\r\n",
    "Record-Route: <sip:192.0.2.77;lr>\r\n",
    "Expires: 60\r\n",
    "Require: nonsense\r\n",
];

/// The bytes of a play, one detail after the other; at the end all details are 0.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.next()) % from.len()]
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

fn setup() -> Setup {
    let local = |address: &str| Local {
        address: socket(address).ip(),
        sip_port: 5060,
        prefix_bits: 24,
        advertise: None,
        stream_ports: b2bua::StreamPorts::default(),
    };
    Setup {
        worker: 0,
        workers: 1,
        node: 1,
        limits: Limits {
            calls_max: 4,
            transactions_max: 64,
            kept_messages_max: 96,
            message_bytes_max: 4_096,
            gateways_max: 8,
            transcoded_max: 2,
        },
        locals: OURS.map(local).to_vec(),
        media_locals: Vec::new(),
        media_ports: (10_000, 10_031),
        keys: Keys { shard: [1; 16], tag: [2; 16] },
        seed: [3; 32],
        user_agent: "tollgate".into(),
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address of the play")
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let mut values =
        head.split("\r\n").filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next().unwrap_or_default()
}

fn sdp(address: SocketAddr, direction: &str) -> String {
    let ip = address.ip();
    format!(
        "v=0\r\no=inside 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
         a={direction}\r\n"
    )
}

fn with_body(head: &str, body: &str) -> String {
    let kind = match body.as_bytes() {
        [] => "",
        [b'v', ..] => "Content-Type: application/sdp\r\n",
        _ => "Content-Type: application/dtmf\r\n",
    };
    format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Parameters with a key for everything that keys can do.
fn parameters() -> Parameters {
    let code = Text::cut;
    let transfer = TransferKeys {
        ringback: 1,
        blind: code(b"A"),
        attended: code(b"B"),
        cancel: code(b"C"),
        end: code(b"D"),
        ..TransferKeys::default()
    };
    Parameters { transfer, ..Parameters::default() }
}

struct Play {
    now: Duration,
    switch: Switch,
    /// What the switch sent, newest last, and to whom.
    sent: VecDeque<(SocketAddr, String)>,
    /// What it got, newest last, and from whom.
    got: VecDeque<(SocketAddr, String)>,
    asks: VecDeque<Ask>,
    /// Calls that the call table would hold.
    live: Vec<CallKey>,
    cseq: u32,
    /// What came last was no message, or lied about where it stands: its answer repeats it.
    spoilt: bool,
}

/// Plays `bytes`.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// Plays `bytes`, and says how far that came.
pub fn play(bytes: &[u8]) -> [u64; Counter::COUNT] {
    let mut play = Play::new();
    let mut script = Script(bytes);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        play.step(&mut script);
    }
    play.end();
    *play.switch.counters()
}

impl Play {
    fn new() -> Self {
        let mut switch = Switch::new(setup());
        switch.set_control_alive(true);
        let speech = [0; 16_000];
        switch.media().set_prompts(Arc::new(Prompts::new([("default", speech.as_slice())])));
        switch.set_wall_offset(Duration::from_secs(1_700_000_000));
        let mut play = Self {
            now: Duration::from_secs(1_000),
            switch,
            sent: VecDeque::new(),
            got: VecDeque::new(),
            asks: VecDeque::new(),
            live: Vec::new(),
            cseq: 1,
            spoilt: false,
        };
        for gateway in [3, 100, 101] {
            play.profile(gateway, 0xff);
        }
        play.order(Order::Parameters(parameters()));
        play
    }

    /// A gateway whose wishes are the bits of `wishes`.
    fn profile(&mut self, gateway: u32, wishes: u8) {
        let bit = |n: u8| wishes >> n & 1;
        let mut media = MediaTerms {
            annexb: wishes & 3,
            ptime: bit(3) * 30,
            t38_refused: bit(4),
            events_refused: bit(5),
            proxy: wishes >> 2 & 3,
            address: wishes >> 5 & 3,
            srtp: bit(6) & bit(2),
            ..MediaTerms::default()
        };
        if bit(7) == 1 {
            // With what offers here have, or without.
            media.codecs[..2].copy_from_slice(if bit(6) == 1 { &[3, 1] } else { &[2, 3] });
        }
        let profile = Profile {
            gateway,
            present: 1,
            session_timer: bit(0),
            rel100: wishes & 3,
            retry_after: bit(1),
            reason: bit(2),
            user_phone: bit(3),
            message: bit(4),
            transfer: bit(5),
            privacy: bit(6),
            identity: wishes >> 2 & 3,
            headers: wishes >> 5 & 3,
            redirects_max: wishes >> 4 & 3,
            ringback: wishes >> 6 & 3,
            media,
            username: Text::cut(b"user"),
            ..Profile::default()
        };
        self.order(Order::Profile(profile));
    }

    fn order(&mut self, order: Order) {
        self.switch.handle_order(self.now, &order);
        self.poll();
    }

    fn answer(&mut self, answer: Answer) {
        self.switch.handle_answer(self.now, &answer);
        self.poll();
    }

    fn poll(&mut self) {
        let mut out = vec![0; 4_096];
        loop {
            let mut any = false;
            while let Some(transmit) = self.switch.poll_transmit(&mut out) {
                any = true;
                if transmit.path.inside().is_some() {
                    let bytes = &out[..transmit.length];
                    let message = Message::parse(bytes).expect("what one call tells another");
                    self.switch.handle_message(self.now, transmit.path.turned(), &message);
                    while let Some(action) = self.switch.poll_action() {
                        self.act(action);
                    }
                    continue;
                }
                self.check(transmit.path.remote, &out[..transmit.length]);
            }
            while let Some(action) = self.switch.poll_action() {
                any = true;
                self.act(action);
            }
            if !any {
                return;
            }
        }
    }

    fn check(&mut self, to: SocketAddr, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if bytes != b"\r\n\r\n" && !self.spoilt {
            assert!(Message::parse(bytes).is_ok(), "we sent no message:\n{text}");
        }
        // An answer repeats what its request said, and a spoilt request can say anything.
        if !self.spoilt {
            let is_vendor = VENDORS.iter().any(|vendor| socket(vendor) == to);
            let secrets = if is_vendor { &CALLERS_SECRETS[..] } else { &VENDORS_SECRETS[..] };
            let is_caller = CALLERS.iter().any(|caller| socket(caller) == to);
            if is_vendor || is_caller {
                for secret in secrets {
                    // Our own address on that side is theirs to know.
                    let leaks = text.replace("203.0.113.1:5060", "").contains(secret);
                    assert!(!leaks, "{to} reads {secret} in\n{text}");
                }
            }
        }
        self.sent.push_back((to, text));
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Ask(ask) => {
                self.asks.push_back(ask);
                if self.asks.len() > REMEMBERED {
                    self.asks.pop_front();
                }
            }
            Action::Report(_) => {}
            Action::Save(key) => {
                let mut checkpoint = vec![0; CHECKPOINT_BYTES_MAX];
                assert!(self.switch.image(key, &mut checkpoint).is_some(), "saved and gone");
                if !self.live.contains(&key) {
                    self.live.push(key);
                }
            }
            Action::End(key) => {
                self.live.retain(|live| *live != key);
                self.switch.handle_recorded(key);
            }
        }
    }

    fn receive(&mut self, from: SocketAddr, bytes: &[u8]) {
        let ours =
            if VENDORS.iter().any(|vendor| socket(vendor) == from) { OURS[1] } else { OURS[0] };
        let (local, transport) = (socket(ours), Transport::Udp);
        let path = Path { transport, local, remote: from, connection: 0 };
        let was_spoilt = self.spoilt;
        match Message::parse(bytes) {
            Ok(message) => self.switch.handle_message(self.now, path, &message),
            Err(fault) => {
                // The answer to a broken request has what that had.
                self.spoilt = true;
                self.switch.handle_fault(self.now, path, bytes, fault);
            }
        }
        self.poll();
        self.spoilt = was_spoilt;
        self.got.push_back((from, String::from_utf8_lossy(bytes).into_owned()));
        if self.got.len() > REMEMBERED {
            self.got.pop_front();
        }
    }

    fn sent_at(&self, place: u8) -> Option<(SocketAddr, String)> {
        let last = self.sent.len().checked_sub(1)?;
        self.sent.get(last - usize::from(place) % self.sent.len()).cloned()
    }

    fn got_at(&self, place: u8) -> Option<(SocketAddr, String)> {
        let last = self.got.len().checked_sub(1)?;
        self.got.get(last - usize::from(place) % self.got.len()).cloned()
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.next() % 15 {
            0 => self.invite(script),
            1 | 2 => self.respond(script),
            3 => self.request(script),
            4 => self.acknowledge(script),
            5 => self.cancel(script),
            6 => self.repeat(script),
            7 => self.spoil(script),
            8 | 9 => self.control(script),
            10 => self.command(script),
            11 => self.register(script),
            12 => self.press(script),
            _ => {
                let ms = script.pick(&[1, 100, 500, 1_000, 4_000, 12_000, 32_000, 90_000, 200_000]);
                self.wait(Duration::from_millis(ms));
            }
        }
    }

    fn invite(&mut self, script: &mut Script<'_>) {
        let caller = socket(script.pick(&CALLERS));
        let number = script.next() % 8;
        let body = match script.next() % 4 {
            0 => String::new(),
            _ => sdp(caller, "sendrecv"),
        };
        let lines = script.pick(&LINES);
        let head = format!(
            "INVITE sip:4420@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch=z9hG4bKi{number};rport\r\n\
             From: \"A\" <sip:12@inside.example>;tag=alice-tag{number}\r\nTo: <sip:4420@192.0.2.1>\r\n\
             Call-ID: call-of-alice{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:12@{caller}>\r\n{lines}"
        );
        self.receive(caller, with_body(&head, &body).as_bytes());
    }

    fn respond(&mut self, script: &mut Script<'_>) {
        let Some((to, request)) = self.sent_at(script.next()) else { return };
        if request.starts_with("SIP/2.0") {
            return;
        }
        let status = script.pick(&STATUSES);
        let details = script.next();
        let lines = script.pick(&LINES);
        let tagged = header(&request, "To").contains("tag=") || status == 100;
        let is_vendor = VENDORS.iter().any(|vendor| socket(vendor) == to);
        let word = if is_vendor { "vendor-tag" } else { "alice-tag" };
        let tag = if tagged { String::new() } else { format!(";tag={word}{}", details & 3) };
        let body = if details & 4 == 0 { String::new() } else { sdp(to, "sendrecv") };
        let head = format!(
            "SIP/2.0 {status} -\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:v@{to}>\r\n{lines}",
            header(&request, "Via"),
            header(&request, "From"),
            header(&request, "To"),
            header(&request, "Call-ID"),
            header(&request, "CSeq"),
        );
        self.receive(to, with_body(&head, &body).as_bytes());
    }

    /// A request inside the dialog that a message of ours belongs to, seen from its receiver.
    fn inside(
        &mut self,
        message: &str,
        from: SocketAddr,
        method: &str,
        cseq: u32,
        lines: &str,
        body: &str,
    ) {
        let is_response = message.starts_with("SIP/2.0");
        let (own, far) = if is_response { ("From", "To") } else { ("To", "From") };
        let target = header(message, "Contact").trim_start_matches('<');
        let target =
            target.split('>').next().filter(|uri| !uri.is_empty()).unwrap_or("sip:192.0.2.1");
        let is_vendor = VENDORS.iter().any(|vendor| socket(vendor) == from);
        let own_tag = if header(message, own).contains("tag=") || !is_vendor {
            ""
        } else {
            ";tag=vendor-tag0"
        };
        let head = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {}{own_tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:in@{from}>\r\n{lines}",
            header(message, own),
            header(message, far),
            header(message, "Call-ID"),
        );
        self.receive(from, with_body(&head, body).as_bytes());
    }

    fn request(&mut self, script: &mut Script<'_>) {
        let Some((to, message)) = self.sent_at(script.next()) else { return };
        let method = script.pick(&METHODS);
        let details = script.next();
        let lines = script.pick(&LINES);
        self.cseq += u32::from(details & 3);
        let cseq = self.cseq;
        let body = match details & 12 {
            0 => String::new(),
            4 => sdp(to, "sendonly"),
            _ => sdp(to, "sendrecv"),
        };
        self.inside(&message, to, method, cseq, lines, &body);
    }

    /// Keys, of which four are codes of transfers.
    fn press(&mut self, script: &mut Script<'_>) {
        let Some((to, message)) = self.sent_at(script.next()) else { return };
        for _ in 0..=script.next() % 4 {
            let key = script.pick(&["A", "B", "C", "D", "7", "#"]);
            self.cseq += 1;
            self.inside(&message, to, "INFO", self.cseq, "", key);
        }
    }

    fn acknowledge(&mut self, script: &mut Script<'_>) {
        let Some((to, message)) = self.sent_at(script.next()) else { return };
        let body = if script.next() & 1 == 0 { String::new() } else { sdp(to, "sendrecv") };
        let cseq = header(&message, "CSeq").split(' ').next().and_then(|n| n.parse().ok());
        self.inside(&message, to, "ACK", cseq.unwrap_or(1), "", &body);
    }

    fn cancel(&mut self, script: &mut Script<'_>) {
        let Some((from, message)) = self.got_at(script.next()) else { return };
        let Some(rest) = message.strip_prefix("INVITE ") else { return };
        let method = if script.next() & 1 == 0 { "CANCEL" } else { "ACK" };
        let head = rest.split("\r\n\r\n").next().unwrap_or_default();
        let lines: Vec<String> = head
            .split("\r\n")
            .filter(|line| !line.starts_with("Content-"))
            .map(|line| line.replace(" INVITE", &format!(" {method}")))
            .collect();
        let text = format!("{method} {}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.receive(from, text.as_bytes());
    }

    fn repeat(&mut self, script: &mut Script<'_>) {
        let Some((from, message)) = self.got_at(script.next()) else { return };
        self.receive(from, message.as_bytes());
    }

    /// Something that came before, with bytes changed.
    fn spoil(&mut self, script: &mut Script<'_>) {
        let Some((from, message)) = self.got_at(script.next()) else { return };
        let mut bytes = message.into_bytes();
        for _ in 0..=script.next() % 4 {
            let place = usize::from(script.next()) * 256 + usize::from(script.next());
            let byte = script.next();
            let length = bytes.len();
            if length > 0
                && let Some(old) = bytes.get_mut(place % length)
            {
                *old = byte;
            }
        }
        self.spoilt = true;
        self.receive(from, &bytes);
    }

    fn route(&self, call: CallKey, details: u8) -> Route {
        let mut route = Route::new_zeroed();
        route.call = call;
        route.customer_gateway = 3;
        route.switches_max = u32::from(details >> 4 & 3);
        route.granted_s = if details & 8 == 0 { 0 } else { 60 };
        route.extend_at_s = 15 * u32::from(details >> 5);
        route.grace_s = 20 * u32::from(details >> 7);
        route.candidates_used = u32::from(details & 3);
        route.flags = u32::from(details >> 6 & 1) | (u32::from(details >> 7) * ANNOUNCED);
        for (index, place) in route.candidates.iter_mut().take(3).enumerate() {
            *place = Candidate {
                gateway: 100 + (index as u32 & 1),
                target: Endpoint::from(socket(VENDORS[index & 1])),
                group: u32::from(details >> 7),
                stop_codes: [486, 600, 603, 0, 0, 0, 0, 0],
                caller: Text::cut(b"1234"),
                callee: Text::cut(b"4420"),
                ..Candidate::default()
            };
        }
        route
    }

    /// Control answers one of the questions, in one way or another.
    fn control(&mut self, script: &mut Script<'_>) {
        let place = usize::from(script.next());
        let details = script.next();
        let count = self.asks.len();
        let Some(ask) = self.asks.get(place % count.max(1)).copied() else { return };
        if details & 0x30 != 0x30 {
            self.asks.remove(place % count);
        }
        match ask {
            Ask::Admit(admit) => match details & 7 {
                0 => {
                    let (status, stale) =
                        (if details & 8 == 0 { 401 } else { 407 }, details >> 4 & 1);
                    self.answer(Answer::Challenge(Challenge {
                        call: admit.call,
                        status,
                        stale,
                        spare: 0,
                    }));
                }
                1 => {
                    let status = STATUSES[usize::from(details >> 3) % STATUSES.len()];
                    self.answer(Answer::Refuse(Refuse {
                        call: admit.call,
                        status,
                        reason: [8, 7][usize::from(details >> 5 & 1)],
                        stateless: details >> 6 & 1,
                        retry_after_s: u32::from(details >> 7),
                        announced: 3 * u32::from(details >> 5 & 1),
                    }));
                }
                _ => {
                    let route = self.route(admit.call, script.next());
                    self.answer(Answer::Route(route));
                }
            },
            Ask::Reroute(reroute) => {
                let granted = u32::from(details & 1);
                let (call, gateway) = (reroute.call, reroute.gateway);
                self.answer(Answer::Rerouted(Rerouted { call, gateway, granted }));
            }
            Ask::Extend(extend) => {
                let granted_s = extend.granted_s + 30 * u32::from(details >> 5 & 1);
                let extend_at_s = 15 * u32::from(details & 7);
                self.answer(Answer::Extended(Extended {
                    call: extend.call,
                    granted_s,
                    extend_at_s,
                }));
            }
            Ask::Answered(answered) => {
                self.answer(Answer::Committed(Committed { call: answered.call }));
            }
            Ask::Register(register) => {
                let mut registered = Registered::new_zeroed();
                registered.request = register.request;
                registered.status = [200, 401, 403, 423, 503][usize::from(details) % 5];
                registered.contacts_used = register.contacts_used;
                registered.contacts = register.contacts;
                self.answer(Answer::Registered(registered));
            }
            Ask::Locate(locate) => {
                let mut located = Located::new_zeroed();
                (located.call, located.question) = (locate.call, locate.question);
                located.places_used = u32::from(details) % 5;
                let places = [VENDORS[0], OURS[1], VENDORS[1], CALLERS[0]];
                located.places = places.map(|place| Endpoint::from(socket(place)));
                self.answer(Answer::Located(located));
            }
            Ask::Abandon(_) => {}
        }
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let details = script.next();
        match script.next() % 6 {
            0 => {
                let live = self.live.len();
                let call = self.live.get(usize::from(details) % live.max(1)).copied();
                let call = call.unwrap_or_default();
                self.order(Order::HangUp(HangUp { call, reason: 17 }));
            }
            1 => self.order(Order::Drain(Drain { draining: u32::from(details & 1) })),
            2 => self.switch.set_control_alive(details & 3 != 0),
            3 => self.profile(script.pick(&[3, 100, 101]), details),
            4 => {
                let mut errand = Errand::new_zeroed();
                errand.id = details.into();
                errand.gateway = 100;
                errand.kind = details & 3;
                errand.cseq = 1;
                errand.expires_s = 60;
                errand.target = Endpoint::from(socket(VENDORS[0]));
                errand.user = Text::cut(b"us");
                self.order(Order::Errand(errand));
            }
            _ => {
                let parameters = Parameters {
                    session_timer_s: u32::from(details) * 8,
                    challenge_mode: u16::from(details % 3) + 1,
                    challenge_sha256: u16::from(details >> 6 & 1),
                    reply_unauthorized: u32::from(details >> 7),
                    stop_after_rtp: u32::from(details & 1),
                    ..parameters()
                };
                self.order(Order::Parameters(parameters));
            }
        }
    }

    fn register(&mut self, script: &mut Script<'_>) {
        let caller = socket(script.pick(&CALLERS));
        let number = script.next() % 8;
        let lines = script.pick(&LINES);
        let contact = script.pick(&[
            "",
            "Contact: *\r\nExpires: 0\r\n",
            "Contact: <sip:12@10.0.0.1>;expires=60\r\n",
        ]);
        let nonce = self.sent.iter().rev().find_map(|(_, text)| {
            let after = text.split("nonce=\"").nth(1)?;
            after.split('"').next().map(ToOwned::to_owned)
        });
        let nonce = nonce.filter(|_| script.next() & 1 == 0).unwrap_or_default();
        let head = format!(
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch=z9hG4bKr{number};rport\r\n\
             From: <sip:12@192.0.2.1>;tag=r\r\nTo: <sip:12@192.0.2.1>\r\nCall-ID: r{number}\r\n\
             CSeq: {number} REGISTER\r\n{contact}Authorization: Digest username=\"12\", realm=\"tollgate\", \
             nonce=\"{nonce}\", uri=\"sip:192.0.2.1\", algorithm=MD5, \
             response=\"00000000000000000000000000000000\"\r\n{lines}"
        );
        self.receive(caller, with_body(&head, "").as_bytes());
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.switch.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.switch.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
        while self.switch.media().poll_sound(self.now, &mut [0; SOUND_BYTES]).is_some() {}
        while self.switch.heed_played(self.now) {
            self.poll();
        }
    }

    /// Nobody says anything any more.
    fn end(&mut self) {
        self.wait(Duration::from_secs(40));
        for call in self.live.clone() {
            self.order(Order::HangUp(HangUp { call, reason: 17 }));
        }
        self.wait(Duration::from_secs(600));
        assert_eq!(self.switch.calls_live(), 0, "a call outlived everybody");
        assert_eq!(self.switch.slots_taken(), 0, "a slot is held by nobody");
        let held = self.switch.media_held();
        assert_eq!(held, Default::default(), "ports, or what they hold, outlived their call");
        assert_eq!(self.switch.transactions_open(), 0, "a transaction outlived its timers");
        assert_eq!(self.switch.blocks_kept(), 0, "a message is kept by nobody");
    }
}

/// Plays that come far.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let call = |invite: [u8; 4], lines: u8| {
        let mut play = vec![0];
        play.extend(invite);
        // Route to one vendor; 180, 200 with a description, committed, ACK.
        play.extend([8, 0, 2, 1, 1, 0, 1, 0, 0, 1, 1, 4, 4, lines, 8, 0, 0, 4, 0, 0]);
        play
    };
    let then = |mut play: Vec<u8>, more: &[u8]| {
        play.extend(more);
        play
    };
    vec![
        // BYE of the caller.
        then(call([0, 0, 1, 0], 0), &[3, 0, 0, 1, 0]),
        // Hold by the caller, taken by the vendor, acknowledged; much time.
        then(call([0, 1, 1, 2], 2), &[3, 0, 1, 5, 0, 1, 0, 4, 4, 0, 4, 0, 0, 12, 8, 12, 8]),
        // Everything reliable; UPDATE and INFO of the caller.
        then(call([1, 2, 1, 2], 1), &[3, 0, 2, 1, 0, 1, 0, 4, 0, 0, 3, 0, 3, 1, 0, 1, 0, 4, 0, 0]),
        // An INVITE without an offer, hung up by an operator.
        then(call([0, 3, 0, 0], 0), &[10, 0, 0, 12, 6]),
        // Two vendors, the first refuses; CANCEL while the second rings.
        vec![
            0, 0, 4, 1, 0, 8, 0, 2, 0x12, 1, 0, 21, 0, 0, 8, 0, 1, 1, 0, 1, 0, 0, 5, 0, 0, 1, 0,
            19, 0, 0, 12, 6,
        ],
        // A challenge, a registration that answers it.
        vec![0, 1, 5, 0, 0, 8, 0, 0, 11, 0, 1, 0, 2, 0, 11, 0, 2, 0, 2, 0, 8, 0, 0, 12, 4],
    ]
}
