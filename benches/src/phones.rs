//! One whole call: a caller, a vendor, and what both say to a real switch.
//!
//! The switch is deterministic: the same seed and the same inputs give the same outputs. So a call is
//! rehearsed with one [`Exchange`], which costs what it may, and what the phones said is kept; the
//! [`Input`]s are then played to a twin, and only that is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use b2bua::{Action, CHECKPOINT_BYTES_MAX, Keys, Limits, Local, Path, Setup, Switch};
use link::answer::{Candidate, Committed, Route};
use link::endpoint::Transport;
use link::order::Parameters;
use link::table::CallWriter;
use link::{Answer, Ask, Endpoint, Instant, Order, Text};
use sip::{Message, Method, Name, Part, Sdp, Writer};
use zerocopy::FromZeros;

use crate::invite::OFFER;

/// The caller.
pub const CALLER: &str = "198.51.100.7:5060";
/// Where the caller's media come from.
pub const CALLER_MEDIA: u16 = 16_384;
/// The vendor.
pub const VENDOR: &str = "203.0.113.10:5060";
/// Our side towards the caller.
pub const NEAR: &str = "198.51.100.2:5060";
/// Our side towards the vendor.
pub const FAR: &str = "203.0.113.2:5060";
/// First and last media port of everybody: a call takes four.
pub const MEDIA_PORTS: (u16, u16) = (10_000, 59_999);
const PORTS_PER_CALL: u32 = 4;

/// Longest message of anybody.
pub const MESSAGE_BYTES_MAX: usize = 8_192;
const MEDIA_TYPE: &[u8] = b"application/sdp";
/// The vendor's side of every dialog.
pub const VENDOR_TAG: &[u8] = b"as3f1c09b7";
/// Whom callers call.
pub const CALLEE: &str = "+442079460123";
const INVITE_VIA: &str = "SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK-524287-1-";
const CALL_ID: &str = "7f3a9c52e8d1-";

/// What enters a switch at a moment.
pub struct Input {
    now: Instant,
    what: What,
}

#[expect(clippy::large_enum_variant, reason = "a tape is short")]
enum What {
    Datagram(Path, Vec<u8>),
    Answer(Answer),
}

/// What leaves it.
#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum Output<'a> {
    Datagram(Path, &'a [u8]),
    Ask(Ask),
}

/// A switch, and what its worker does with what it says: images go into the real call table.
pub struct Exchange {
    /// The brain.
    pub switch: Switch,
    calls: CallWriter,
    room: Box<[u8]>,
    checkpoint: Box<[u8]>,
}

impl Exchange {
    /// A switch of so many calls; `calls` is its part of the call table. All of one size are twins.
    ///
    /// # Panics
    /// When there are more calls than ports.
    #[must_use]
    pub fn open(calls_max: u32, calls: CallWriter) -> Self {
        let mut switch = Switch::new(setup(Limits {
            calls_max,
            // As the configuration file has them if it says nothing.
            transactions_max: calls_max * 6,
            kept_messages_max: calls_max * 3,
            message_bytes_max: MESSAGE_BYTES_MAX,
            gateways_max: 16,
            transcoded_max: 0,
        }));
        // There are as many ports as calls need: none may rest.
        // A bench leaves its calls alone for longer than anybody is silent.
        let parameters =
            Parameters { media_port_rest_s: 0, rtp_timeout_s: 0, ..Parameters::default() };
        switch.handle_order(Instant::ZERO, &Order::Parameters(parameters));
        switch.set_control_alive(true);
        switch.set_wall_offset(Duration::from_secs(1_700_000_000));
        let room = vec![0; MESSAGE_BYTES_MAX].into();
        Self { switch, calls, room, checkpoint: vec![0; CHECKPOINT_BYTES_MAX].into() }
    }

    /// What a worker does with one input: what was due before it, then itself.
    pub fn play(&mut self, input: &Input) {
        self.feed(input, &mut |_| {});
    }

    fn feed(&mut self, input: &Input, heard: &mut dyn FnMut(Output<'_>)) {
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= input.now) {
            self.switch.handle_timeout(due);
            self.poll(heard);
        }
        match &input.what {
            What::Datagram(path, bytes) => match Message::parse(bytes) {
                Ok(message) => self.switch.handle_message(input.now, *path, &message),
                Err(fault) => self.switch.handle_fault(input.now, *path, bytes, fault),
            },
            What::Answer(answer) => self.switch.handle_answer(input.now, answer),
        }
        self.poll(heard);
    }

    fn poll(&mut self, heard: &mut dyn FnMut(Output<'_>)) {
        loop {
            let mut any = false;
            while let Some(action) = self.switch.poll_action() {
                any = true;
                self.act(action, heard);
            }
            while let Some(sent) = self.switch.poll_transmit(&mut self.room) {
                any = true;
                let bytes = self.room.get(..sent.length).unwrap_or_default();
                heard(Output::Datagram(sent.path, bytes));
            }
            if !any {
                return;
            }
        }
    }

    fn act(&mut self, action: Action, heard: &mut dyn FnMut(Output<'_>)) {
        let (key, is_end) = match action {
            Action::Ask(ask) => return heard(Output::Ask(ask)),
            Action::Report(_) => return,
            Action::Save(key) => (key, false),
            Action::End(key) => (key, true),
        };
        let Some((record, length)) = self.switch.image(key, &mut self.checkpoint) else { return };
        let checkpoint = self.checkpoint.get(..length).unwrap_or_default();
        let write = if is_end { CallWriter::end } else { CallWriter::publish };
        let written = write(&mut self.calls, key, record, checkpoint);
        assert!(written.is_ok(), "the table has a place for every slot");
        if is_end {
            // Control stores the record at once.
            let released = self.calls.release(key);
            assert!(released.is_ok(), "the slot was ours");
            self.switch.handle_recorded(key);
        }
    }
}

/// What a switch of this size is made of.
///
/// # Panics
/// When there are more calls than ports.
#[must_use]
pub fn setup(limits: Limits) -> Setup {
    let (first, last) = MEDIA_PORTS;
    let last_port = u32::from(first) + limits.calls_max * PORTS_PER_CALL - 1;
    assert!(last_port <= u32::from(last), "{} calls have no ports", limits.calls_max);
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
        limits,
        locals: vec![local(NEAR), local(FAR)],
        media_locals: Vec::new(),
        media_ports: (first, last_port as u16),
        keys: keys(),
        seed: [3; 32],
        user_agent: "Tollgate".to_owned(),
    }
}

/// The phones on both sides of a rehearsing exchange.
pub struct Phones {
    exchange: Exchange,
    now: Instant,
    number: u64,
    /// What the caller of each talking call says next: it hangs up.
    talking: VecDeque<(u64, Vec<u8>)>,
    tape: Vec<Input>,
}

impl Phones {
    /// Nobody has called yet.
    #[must_use]
    pub fn new(exchange: Exchange, now: Instant) -> Self {
        Self { exchange, now, number: 0, talking: VecDeque::new(), tape: Vec::new() }
    }

    /// The switch behind them.
    pub fn into_switch(self) -> Switch {
        self.exchange.switch
    }

    /// The phones forget what they would have to remember; nobody can hang up any more.
    pub fn forget(&mut self) {
        self.talking.clear();
        self.tape.clear();
    }

    /// What was said since the last time this was asked.
    pub fn take_tape(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.tape)
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// A call is made, rings, is answered and acknowledged. Our ports for the caller's media, and for the vendor's.
    ///
    /// # Panics
    /// When the switch does not put it through.
    pub fn begin(&mut self) -> (u16, u16) {
        self.number += 1;
        let mut heard = self.say(CALLER, NEAR, invite(self.number, CALLEE));
        let Some(Ask::Admit(admit)) = heard.ask.take() else { panic!("no admission is asked") };
        let invited = self.answer(Answer::Route(route(admit.call))).to(VENDOR);
        let message = Message::parse(&invited).expect("our INVITE is one");
        self.say(VENDOR, FAR, vendor_says(&message, 100, b"", &[]));
        self.say(VENDOR, FAR, vendor_says(&message, 180, VENDOR_TAG, &[]));
        let mut heard = self.say(VENDOR, FAR, vendor_answers(&message));
        let Some(Ask::Answered(answered)) = heard.ask.take() else { panic!("no commit is asked") };
        let committed = Answer::Committed(Committed { call: answered.call });
        let answer = self.answer(committed).to(CALLER);
        let described = Message::parse(&answer).expect("our answer is one");
        self.say(CALLER, NEAR, in_dialog(&described, self.number, Method::Ack, 1));
        let port = |message: &Message<'_>| {
            Sdp::parse(message.body()).expect("it describes its media").media()[0].port
        };
        let ports = (port(&described), port(&message));
        self.talking.push_back((self.number, answer));
        ports
    }

    /// The call that talks longest is hung up by its caller.
    ///
    /// # Panics
    /// When nobody talks, or the switch does not hang up the vendor.
    pub fn end(&mut self) {
        let (number, answer) = self.talking.pop_front().expect("somebody talks");
        let answer = Message::parse(&answer).expect("our answer is one");
        let bye = self.say(CALLER, NEAR, in_dialog(&answer, number, Method::Bye, 2)).to(VENDOR);
        let message = Message::parse(&bye).expect("our BYE is one");
        self.say(VENDOR, FAR, vendor_says(&message, 200, b"", &[]));
    }

    fn say(&mut self, from: &str, to: &str, bytes: Vec<u8>) -> Heard {
        let path = Path {
            transport: Transport::Udp,
            local: socket(to),
            remote: socket(from),
            connection: 0,
        };
        self.hear(What::Datagram(path, bytes))
    }

    fn answer(&mut self, answer: Answer) -> Heard {
        self.hear(What::Answer(answer))
    }

    fn hear(&mut self, what: What) -> Heard {
        self.now += Duration::from_micros(500);
        let input = Input { now: self.now, what };
        let mut heard = Heard::default();
        self.exchange.feed(&input, &mut |output| match output {
            Output::Datagram(path, bytes) => heard.sent.push((path.remote, bytes.to_vec())),
            Output::Ask(ask) => heard.ask = Some(ask),
        });
        self.tape.push(input);
        heard
    }
}

/// What the switch said to one input.
#[derive(Default)]
struct Heard {
    sent: Vec<(SocketAddr, Vec<u8>)>,
    ask: Option<Ask>,
}

impl Heard {
    /// The last message to one phone.
    fn to(mut self, phone: &str) -> Vec<u8> {
        let phone = socket(phone);
        let place = self.sent.iter().rposition(|(to, _)| *to == phone);
        self.sent.swap_remove(place.expect("the switch says something to each phone")).1
    }
}

/// The INVITE of the caller's so many-th call.
#[must_use]
pub fn invite(number: u64, callee: &str) -> Vec<u8> {
    let number = Part::Number(number);
    written(|writer| {
        writer.request(Method::Invite, &["sip:".into(), callee.into(), "@198.51.100.2".into()]);
        writer.header(Name::Via, &[INVITE_VIA.into(), number]);
        writer.header(Name::MaxForwards, &[70_u16.into()]);
        let from = "\"Support\" <sip:+49301234567@198.51.100.7;user=phone>;tag=gK0c7d41f2";
        writer.header(Name::From, &[from.into(), number]);
        writer.header(Name::To, &["<sip:".into(), callee.into(), "@198.51.100.2>".into()]);
        writer.header(Name::CallId, &[CALL_ID.into(), number, "@sbc.example".into()]);
        writer.header(Name::Cseq, &["1 INVITE".into()]);
        writer.header(Name::Contact, &["<sip:+49301234567@198.51.100.7:5060>".into()]);
        writer.header(Name::UserAgent, &["Example SBC 7.2.10".into()]);
        writer.body(MEDIA_TYPE, OFFER);
    })
}

/// Which of the caller's calls an answer is about.
#[must_use]
pub fn number_of(answer: &Message<'_>) -> Option<u64> {
    let number = answer.call_id().strip_prefix(CALL_ID.as_bytes())?;
    let digits = number.split(|&byte| byte == b'@').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The caller's ACK of a refusal, which belongs to its INVITE (RFC 3261 §17.1.1.3).
#[must_use]
pub fn ack_refusal(refusal: &Message<'_>, number: u64, callee: &str) -> Vec<u8> {
    written(|writer| {
        writer.request(Method::Ack, &["sip:".into(), callee.into(), "@198.51.100.2".into()]);
        writer.header(Name::Via, &[INVITE_VIA.into(), number.into()]);
        writer.header(Name::MaxForwards, &[70_u16.into()]);
        writer.header(Name::From, &[refusal.from().as_bytes().into()]);
        writer.header(Name::To, &[refusal.to().as_bytes().into()]);
        writer.header(Name::CallId, &[refusal.call_id().into()]);
        writer.header(Name::Cseq, &["1 ACK".into()]);
        writer.no_body();
    })
}

/// The caller's request inside the dialog that `answer` made.
///
/// # Panics
/// When the answer made none.
#[must_use]
pub fn in_dialog(answer: &Message<'_>, call: u64, method: Method<'_>, cseq: u64) -> Vec<u8> {
    let target = answer.contact().expect("a 2xx has a Contact").uri().as_bytes();
    written(|writer| {
        writer.request(method, &[target.into()]);
        let via = "SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK-524288-";
        writer.header(Name::Via, &[via.into(), call.into(), "-".into(), cseq.into()]);
        writer.header(Name::MaxForwards, &[70_u16.into()]);
        writer.header(Name::From, &[answer.from().as_bytes().into()]);
        writer.header(Name::To, &[answer.to().as_bytes().into()]);
        writer.header(Name::CallId, &[answer.call_id().into()]);
        writer.header(Name::Cseq, &[cseq.into(), " ".into(), method.as_bytes().into()]);
        writer.no_body();
    })
}

/// The vendor's answer to the offer.
fn vendor_media() -> String {
    String::from_utf8_lossy(OFFER).replace("198.51.100.7", "203.0.113.10")
}

/// The vendor answers the call: 200, with its media.
#[must_use]
pub fn vendor_answers(invite: &Message<'_>) -> Vec<u8> {
    vendor_says(invite, 200, VENDOR_TAG, vendor_media().as_bytes())
}

/// A response of the vendor.
#[must_use]
pub fn vendor_says(request: &Message<'_>, status: u16, tag: &[u8], body: &[u8]) -> Vec<u8> {
    written(|writer| {
        writer.respond(request, status, b"", socket(FAR), tag);
        writer.header(Name::Contact, &["<sip:gw@203.0.113.10:5060>".into()]);
        writer.header(Name::Server, &["Vendor GW 4.1".into()]);
        if body.is_empty() {
            writer.no_body();
        } else {
            writer.body(MEDIA_TYPE, body);
        }
    })
}

/// Admission to the one vendor.
fn route(call: link::record::CallKey) -> Route {
    let mut route = Route::new_zeroed();
    let text = |number: &str| Text::new(number.as_bytes()).expect("a number fits");
    route.call = call;
    route.customer_gateway = 3;
    route.switches_max = 4;
    route.candidates_used = 1;
    route.caller_billed = text("49301234567");
    route.callee_billed = text("442079460123");
    if let Some(first) = route.candidates.first_mut() {
        *first = Candidate {
            gateway: 100,
            target: Endpoint::from(socket(VENDOR)).by(Transport::Udp),
            stop_codes: [486, 600, 603, 0, 0, 0, 0, 0],
            caller: text("49301234567"),
            callee: text("00442079460123"),
            ..Candidate::default()
        };
    }
    route
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut room = vec![0; MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut room);
    write(&mut writer);
    let length = writer.finish().expect("a phone's message fits");
    room.truncate(length);
    room
}

/// The keys of shards and tags.
#[must_use]
pub fn keys() -> Keys {
    Keys { shard: [1; 16], tag: [2; 16] }
}

/// An address that stands in this crate.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn socket(text: &str) -> SocketAddr {
    text.parse().expect("a written address")
}
