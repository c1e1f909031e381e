//! Scripted calls: two phones made of plain text, the switch between them, time by hand.
//!
//! Every message of the switch is parsed again, and none may show one network to the other; at the end of each script nothing may be left:
//! no transaction, no kept message, no port, no deadline.

mod adoption;
mod announce;
mod basic;
mod cancel;
mod challenge;
mod detour;
mod dialog;
mod dtmf;
mod endings;
mod errand;
mod failover;
mod fence;
mod figures;
mod forking;
mod hiding;
mod hostile;
mod identity;
mod keypad;
mod media;
mod media_addresses;
mod overload;
mod peers;
mod pickup;
mod publisher;
mod recording;
mod redirect;
mod registrar;
mod reinvite;
mod reliable;
mod retransmission;
mod rfc3261;
mod rfc4475;
mod ringback;
mod session;
mod srtp;
mod stranger;
mod talk;
mod transfer;
mod undeliverable;
mod update;
mod vendor_digest;

use core::time::Duration;
use std::net::SocketAddr;

use link::answer::{Candidate, Committed, Refuse, Rerouted, Route};
use link::ask::Reroute;
use link::endpoint::Transport;
use link::figures::Apart;
use link::record::{ATTEMPTS_MAX, CallKey, EndReason, EndedBy, NEVER};
use link::report::GatewayNews;
use link::{Answer, Ask, CallRecord, Endpoint, Order, Report, Text};
use relay::Port;
use zerocopy::FromZeros;

use crate::*;

/// What the caller of an INVITE hears first.
const TRYING: &str = "SIP/2.0 100 ";

pub(super) const CALLER: &str = "198.51.100.7:5060";
pub(super) const OUR_CUSTOMER_SIDE: &str = "192.0.2.1:5060";
pub(super) const OUR_VENDOR_SIDE: &str = "203.0.113.1:5060";
pub(super) const OUR_IPV6: &str = "[2001:db8::1]:5060";
pub(super) const VENDORS: [&str; 4] =
    ["203.0.113.10:5060", "203.0.113.20:5060", "203.0.113.30:5060", "[2001:db8::10]:5070"];

/// What every vendor of a [`World::profile`] knows us by.
pub(super) const USERNAME: &str = "tollgate7";
pub(super) const PASSWORD: &str = "open \"sesame\"";

/// A description of one audio stream.
pub(super) fn sdp(address: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}

pub(super) fn caller_sdp() -> String {
    sdp("198.51.100.7", 4_000)
}

pub(super) fn vendor_sdp() -> String {
    sdp("203.0.113.10", 6_000)
}

/// A header line's value; the first of that name.
pub(super) fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap();
    head.split("\r\n")
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in\n{message}"))
}

pub(super) fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

/// The first pair of ports on the caller's side.
pub(super) const CALLER_PORT: Port = Port::new(0, 10_000);
/// The first on the vendors' side.
pub(super) const VENDOR_PORT: Port = Port::new(1, 10_000);

/// The port of ours that a description of ours tells of first.
pub(super) fn media_port(message: &str) -> Port {
    port_of_line(message, "m=audio ")
}

/// The port of ours in the first line of a description of ours that begins so.
pub(super) fn port_of_line(message: &str, begins: &str) -> Port {
    let line = body(message).lines().find(|line| line.starts_with(begins)).unwrap();
    let number = line.split(' ').nth(1).unwrap().parse().unwrap();
    // The second network is the vendors', whatever they are told in the place of our address there.
    let told = |address: &str| body(message).contains(&format!("c=IN {address}"));
    match number {
        0 => Port::NONE,
        number if told("IP4 203.0.113.") => Port::new(1, number),
        number if told("IP6 ") => Port::new(2, number),
        number => Port::new(0, number),
    }
}

pub(super) fn with_body(head: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What begins in `<` and ends in `>`, without them.
fn inside(address: &str) -> &str {
    address.split_once('<').unwrap().1.split_once('>').unwrap().0
}

/// The caller's INVITE of call number `number`.
pub(super) fn invite(number: u32, offer: &str) -> String {
    with_body(
        &format!(
            "INVITE sip:4420@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKinvite{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Alice\" <sip:1234@198.51.100.7>;tag=a{number}\r\n\
             To: <sip:4420@192.0.2.1>\r\nCall-ID: call{number}@alice\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:1234@198.51.100.7:5060>\r\nUser-Agent: Handset\r\n"
        ),
        offer,
    )
}

/// A message of the caller inside the transaction of its INVITE: CANCEL, or the ACK of a failure.
pub(super) fn beside_invite(number: u32, method: &str, to: &str) -> String {
    format!(
        "{method} sip:4420@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKinvite{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:1234@198.51.100.7>;tag=a{number}\r\n\
         To: {to}\r\nCall-ID: call{number}@alice\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A request of the caller inside the dialog that `answer` made.
pub(super) fn caller_request(method: &str, cseq: u32, answer: &str, content: &str) -> String {
    with_body(
        &format!(
            "{method} {} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{method}{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:1234@198.51.100.7:5060>\r\n",
            inside(header(answer, "Contact")),
            header(answer, "From"),
            header(answer, "To"),
            header(answer, "Call-ID"),
        ),
        content,
    )
}

/// A request of a vendor inside the dialog that our `invite` and its answer under `tag` made.
pub(super) fn vendor_request(
    vendor: usize,
    method: &str,
    cseq: u32,
    invite: &str,
    tag: &str,
    content: &str,
) -> String {
    let address = VENDORS[vendor];
    with_body(
        &format!(
            "{method} {} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bKv{method}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:vendor@{address}>\r\n",
            inside(header(invite, "Contact")),
            header(invite, "To"),
            header(invite, "From"),
            header(invite, "Call-ID"),
        ),
        content,
    )
}

/// A message with more header lines.
/// A vendor that takes UPDATE says so.
pub(super) const UPDATES: &str = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE\r\n";

pub(super) fn with_lines(message: &str, lines: &str) -> String {
    message.replacen("Content-Length: ", &format!("{lines}Content-Length: "), 1)
}

/// An answer to a request of ours.
pub(super) fn response(
    request: &str,
    status: u16,
    tag: &str,
    contact: &str,
    content: &str,
) -> String {
    let to = header(request, "To");
    let to = if tag.is_empty() || to.contains(";tag=") {
        to.to_owned()
    } else {
        format!("{to};tag={tag}")
    };
    with_body(
        &format!(
            "SIP/2.0 {status} Whatever\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:vendor@{contact}>\r\n",
            header(request, "Via"),
            header(request, "From"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
        ),
        content,
    )
}

pub(super) fn limits() -> Limits {
    Limits {
        calls_max: 8,
        transactions_max: 64,
        kept_messages_max: 64,
        message_bytes_max: 8_192,
        gateways_max: 8,
        transcoded_max: 2,
    }
}

fn setup(limits: Limits) -> Setup {
    let local = |address: &str| Local {
        address: address.parse::<SocketAddr>().unwrap().ip(),
        sip_port: 5060,
        prefix_bits: 24,
        advertise: None,
        stream_ports: StreamPorts::default(),
    };
    Setup {
        worker: 0,
        workers: 1,
        node: 7,
        limits,
        locals: vec![local(OUR_CUSTOMER_SIDE), local(OUR_VENDOR_SIDE), local(OUR_IPV6)],
        media_locals: Vec::new(),
        media_ports: (10_000, 10_099),
        keys: Keys { shard: [1; 16], tag: [2; 16] },
        seed: [3; 32],
        user_agent: "tollgate".to_owned(),
    }
}

/// The switch and everybody around it.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) switch: Switch,
    /// What the switch sent and nobody has looked at yet.
    inbox: Vec<(SocketAddr, String)>,
    pub(super) asks: Vec<Ask>,
    /// What control was told, but for the ends of calls.
    pub(super) reports: Vec<Report>,
    /// The last image of each call, and whether it is final.
    pub(super) images: Vec<(CallKey, CallRecord, Vec<u8>, bool)>,
    /// What a process after this one learns of the only call's figures besides.
    pub(super) apart: [Apart; 2],
    /// Who counted meanwhile.
    pub(super) ears: Option<fn() -> Box<dyn relay::Ears + Send>>,
    /// Whether control stores records at once.
    pub(super) stores: bool,
    /// Vendors without a line for a call that comes to them from another; the rest have one at once.
    pub(super) full: Vec<usize>,
    /// Whether control answers who asks for such a line.
    pub(super) reroutes: bool,
    /// By what everybody speaks.
    pub(super) carrier: Transport,
    /// Whether nobody knows the caller, and the worker keeps from it what is not for strangers.
    pub(super) caller_is_stranger: bool,
    /// How much of that there was.
    pub(super) withheld: usize,
    /// Whether the last datagram was no message.
    broken: bool,
    /// How often the caller was said to get a 100 that comes with control's answer only.
    tryings: usize,
    /// Keeps watch that neither network sees the other.
    hiding: hiding::Hiding,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_limits(limits())
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let mut switch = Switch::new(setup(limits));
        switch.set_control_alive(true);
        switch.set_wall_offset(Duration::from_secs(1_700_000_000));
        Self {
            now: Duration::from_secs(1_000),
            switch,
            inbox: Vec::new(),
            asks: Vec::new(),
            reports: Vec::new(),
            images: Vec::new(),
            apart: [Apart::default(); 2],
            ears: None,
            stores: true,
            full: Vec::new(),
            reroutes: true,
            carrier: Transport::Udp,
            caller_is_stranger: false,
            withheld: 0,
            broken: false,
            tryings: 0,
            hiding: hiding::Hiding::default(),
        }
    }

    /// A new process in the place of a dead one.
    pub(super) fn restart(&mut self) {
        self.restart_with(setup(limits()));
    }

    /// The same with another configuration.
    pub(super) fn restart_with(&mut self, setup: Setup) {
        self.switch = Switch::new(Setup { seed: [9; 32], ..setup });
        self.switch.set_control_alive(true);
        if let Some(ears) = self.ears {
            self.switch.media().set_ears(ears());
        }
        self.inbox.clear();
        for (key, record, checkpoint, ended) in self.images.clone() {
            if ended {
                self.switch.hold_slot(key);
            } else {
                self.switch.adopt(self.now, key, &record, self.apart, &checkpoint);
            }
        }
        while let Some(action) = self.switch.poll_action() {
            let Action::Save(key) = action else { panic!("{action:?}") };
            self.image(key, false);
        }
    }

    fn poll(&mut self) {
        let mut out = vec![0; 8_192];
        loop {
            let mut any = false;
            while let Some(transmit) = self.switch.poll_transmit(&mut out) {
                any = true;
                let to_caller = transmit.path.remote == CALLER.parse().unwrap();
                if transmit.discreet && to_caller && self.caller_is_stranger {
                    self.withheld += 1;
                    continue;
                }
                let bytes = &out[..transmit.length];
                if transmit.path.inside().is_some() {
                    let message = sip::Message::parse(bytes).unwrap();
                    self.switch.handle_message(self.now, transmit.path.turned(), &message);
                    while let Some(action) = self.switch.poll_action() {
                        self.act(action);
                    }
                    continue;
                }
                // The answer to a broken request has what that had, broken or not.
                let is_message = sip::Message::parse(bytes).is_ok();
                assert!(self.broken || is_message || bytes == b"\r\n\r\n", "{bytes:?}");
                let text = String::from_utf8_lossy(bytes).into_owned();
                // A request says in its Via how it goes; all else goes as what it answers came.
                let carrier = format!("{:?}", transmit.path.transport).to_uppercase();
                match is_message && !text.starts_with("SIP/2.0 ") {
                    true => {
                        assert!(text.contains(&format!("\r\nVia: SIP/2.0/{carrier} ")), "{text}")
                    }
                    false => assert_eq!(transmit.path.transport, self.carrier),
                }
                self.hiding.check(transmit.path.remote, &text);
                self.hiding.learn(transmit.path.remote, &text);
                if self.tryings > 0 && text.starts_with(TRYING) {
                    self.tryings -= 1;
                } else {
                    self.inbox.push((transmit.path.remote, text));
                }
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

    fn act(&mut self, action: Action) {
        match action {
            Action::Ask(Ask::Reroute(Reroute { call, gateway, .. })) if self.reroutes => {
                let granted = u32::from(!self.full.contains(&(gateway as usize - 100)));
                let rerouted = Rerouted { call, gateway, granted };
                self.switch.handle_answer(self.now, &Answer::Rerouted(rerouted));
            }
            Action::Ask(ask) => self.asks.push(ask),
            Action::Report(Report::Ended(_)) => {}
            Action::Report(report) => self.reports.push(report),
            Action::Save(key) => self.image(key, false),
            Action::End(key) => {
                self.image(key, true);
                let ends = self.images.iter().filter(|image| image.0 == key && image.3).count();
                assert_eq!(ends, 1, "a call ends once");
                if self.stores {
                    self.switch.handle_recorded(key);
                }
            }
        }
    }

    fn image(&mut self, key: CallKey, ended: bool) {
        let mut checkpoint = vec![0; CHECKPOINT_BYTES_MAX];
        let (record, length) = self.switch.image(key, &mut checkpoint).unwrap();
        let record = *record;
        checkpoint.truncate(length);
        assert!(!self.images.iter().any(|image| image.0 == key && image.3), "saved after its end");
        self.images.retain(|image| image.0 != key);
        self.images.push((key, record, checkpoint, ended));
    }

    /// A datagram arrives.
    pub(super) fn receive(&mut self, from: &str, to: &str, text: &str) {
        self.receive_bytes(from, to, text.as_bytes());
    }

    /// A datagram that need not be text.
    pub(super) fn receive_bytes(&mut self, from: &str, to: &str, bytes: &[u8]) {
        let path = Path {
            transport: self.carrier,
            local: to.parse().unwrap(),
            remote: from.parse().unwrap(),
            connection: u32::from(self.carrier != Transport::Udp),
        };
        let message = sip::Message::parse(bytes);
        self.broken = message.is_err();
        if !self.broken {
            self.hiding.hear(path.remote, &String::from_utf8_lossy(bytes));
        }
        match message {
            Ok(message) => self.switch.handle_message(self.now, path, &message),
            Err(fault) => self.switch.handle_fault(self.now, path, bytes, fault),
        }
        self.poll();
    }

    pub(super) fn caller_sends(&mut self, text: &str) {
        self.receive(CALLER, OUR_CUSTOMER_SIDE, text);
    }

    pub(super) fn vendor_sends(&mut self, vendor: usize, text: &str) {
        let ours = if vendor == 3 { OUR_IPV6 } else { OUR_VENDOR_SIDE };
        self.receive(VENDORS[vendor], ours, text);
    }

    /// A vendor answers a request of ours.
    pub(super) fn vendor_says(
        &mut self,
        vendor: usize,
        request: &str,
        status: u16,
        tag: &str,
        content: &str,
    ) {
        let response = response(request, status, tag, VENDORS[vendor], content);
        self.vendor_sends(vendor, &response);
    }

    fn gets(&mut self, who: &str, start: &str) -> String {
        let address: SocketAddr = who.parse().unwrap();
        let place = self.inbox.iter().position(|(to, _)| *to == address);
        let Some(place) = place else { panic!("{who} waits for {start} in vain") };
        let (_, text) = self.inbox.remove(place);
        assert!(text.starts_with(start), "{who} waits for {start} and gets\n{text}");
        text
    }

    /// The next message to the caller; it must begin so. A 100 may also come later, with control's
    /// answer: then it is empty here.
    pub(super) fn caller_gets(&mut self, start: &str) -> String {
        let caller = CALLER.parse().unwrap();
        if start == TRYING && !self.inbox.iter().any(|(to, _)| *to == caller) {
            self.tryings += 1;
            return String::new();
        }
        self.gets(CALLER, start)
    }

    /// The next message to a vendor; it must begin so.
    pub(super) fn vendor_gets(&mut self, vendor: usize, start: &str) -> String {
        self.gets(VENDORS[vendor], start)
    }

    /// Nobody was sent anything that was not looked at.
    pub(super) fn is_quiet(&self) {
        if let Some((to, text)) = self.inbox.first() {
            panic!("{to} was sent\n{text}");
        }
    }

    /// Forgets what was sent.
    pub(super) fn ignore_messages(&mut self) -> usize {
        self.inbox.drain(..).count()
    }

    /// Time passes; what becomes due is done at its time.
    pub(super) fn wait_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.switch.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.switch.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.switch.counters()[counter as usize]
    }

    /// The question for admission that was asked last.
    pub(super) fn admit(&mut self) -> link::ask::Admit {
        match self.asks.pop() {
            Some(Ask::Admit(admit)) => admit,
            other => panic!("an admission was expected, not {other:?}"),
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.switch.handle_answer(self.now, &answer);
        self.poll();
    }

    pub(super) fn order(&mut self, order: Order) {
        self.switch.handle_order(self.now, &order);
        self.poll();
    }

    /// Control says how a vendor wants its SIP: by a password, for a start.
    pub(super) fn profile(&mut self, vendor: usize, change: impl FnOnce(&mut link::Profile)) {
        self.wants(100 + vendor as u32, |profile| {
            profile.username = Text::new(USERNAME.as_bytes()).unwrap();
            profile.password = link::profile::Secret(Text::new(PASSWORD.as_bytes()).unwrap());
            change(profile);
        });
    }

    /// The news of a gateway that control got last: which gateway, what, for how long, by which status.
    pub(super) fn news(&mut self) -> (u32, u8, u32, u16) {
        match self.reports.pop() {
            Some(Report::Gateway(GatewayNews { gateway, kind, seconds, status, .. })) => {
                (gateway, kind, seconds, status)
            }
            other => panic!("news of a gateway were expected, not {other:?}"),
        }
    }

    pub(super) fn set(&mut self, change: impl FnOnce(&mut link::order::Parameters)) {
        let mut parameters = link::order::Parameters::default();
        change(&mut parameters);
        self.order(Order::Parameters(parameters));
    }

    /// A gateway gets a profile, with nothing in it but `change`; the customer's is 3, that of vendor 0
    /// is 100.
    pub(super) fn wants(&mut self, gateway: u32, change: impl FnOnce(&mut link::Profile)) {
        let mut profile = link::Profile { gateway, present: 1, ..link::Profile::default() };
        change(&mut profile);
        self.order(Order::Profile(profile));
    }

    /// Admits a call to these vendors, in this order.
    pub(super) fn route(&mut self, call: CallKey, vendors: &[usize]) {
        self.route_with(call, vendors, |_| {});
    }

    pub(super) fn route_with(
        &mut self,
        call: CallKey,
        vendors: &[usize],
        change: impl FnOnce(&mut Route),
    ) {
        let mut route = Route::new_zeroed();
        route.call = call;
        route.customer_gateway = 3;
        route.switches_max = 4;
        route.candidates_used = vendors.len() as u32;
        route.caller_billed = Text::new(b"1234").unwrap();
        route.callee_billed = Text::new(b"4420").unwrap();
        assert!(vendors.len() <= ATTEMPTS_MAX);
        for (place, &vendor) in route.candidates.iter_mut().zip(vendors) {
            let target: SocketAddr = VENDORS[vendor].parse().unwrap();
            *place = Candidate {
                gateway: 100 + vendor as u32,
                target: Endpoint::from(target).by(self.carrier),
                stop_codes: [486, 600, 603, 0, 0, 0, 0, 0],
                caller: Text::new(b"1234").unwrap(),
                callee: Text::new(b"004420").unwrap(),
                ..Candidate::default()
            };
        }
        change(&mut route);
        self.answer(Answer::Route(route));
    }

    pub(super) fn refuse(&mut self, call: CallKey, status: u16, stateless: u8) {
        let reason = EndReason::Unauthorised as u8;
        let (retry_after_s, announced) = (0, 0);
        let no = Refuse { call, status, reason, stateless, retry_after_s, announced };
        self.answer(Answer::Refuse(no));
    }

    /// The caller calls, control admits it to the vendors; the first vendor's INVITE.
    pub(super) fn call_begins(&mut self, vendors: &[usize]) -> (CallKey, String) {
        self.call_with_offer(vendors, &caller_sdp())
    }

    pub(super) fn call_with_offer(&mut self, vendors: &[usize], offer: &str) -> (CallKey, String) {
        self.caller_sends(&invite(1, offer));
        self.caller_gets("SIP/2.0 100 ");
        let admit = self.admit();
        self.route(admit.call, vendors);
        let invite = self.vendor_gets(vendors[0], "INVITE ");
        self.is_quiet();
        (admit.call, invite)
    }

    /// Control has stored the start record.
    pub(super) fn commit(&mut self) -> CallKey {
        let Some(Ask::Answered(answered)) = self.asks.pop() else { panic!("nobody answered") };
        self.answer(Answer::Committed(Committed { call: answered.call }));
        answered.call
    }

    /// A call that talks: its key, our INVITE to the vendor, our 200 to the caller.
    pub(super) fn talking(&mut self) -> (CallKey, String, String) {
        self.talking_to("")
    }

    /// A call that talks to a vendor with more lines in its 200.
    pub(super) fn talking_to(&mut self, lines: &str) -> (CallKey, String, String) {
        let (key, invite) = self.call_begins(&[0]);
        self.vendor_says(0, &invite, 180, "v", "");
        self.caller_gets("SIP/2.0 180 ");
        let answer = response(&invite, 200, "v", VENDORS[0], &vendor_sdp());
        self.vendor_sends(0, &with_lines(&answer, lines));
        self.vendor_gets(0, "ACK ");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        self.is_quiet();
        (key, invite, answer)
    }

    /// A call that talks and may for so long.
    pub(super) fn talking_at_most(&mut self, talk_s: u32) -> CallKey {
        self.talking_with(|route| route.granted_s = talk_s)
    }

    /// A call that talks as its route says.
    pub(super) fn talking_with(&mut self, change: impl FnOnce(&mut Route)) -> CallKey {
        self.caller_sends(&invite(1, &caller_sdp()));
        self.caller_gets("SIP/2.0 100 ");
        let admit = self.admit();
        self.route_with(admit.call, &[0], change);
        let invite = self.vendor_gets(0, "INVITE ");
        self.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        self.vendor_gets(0, "ACK ");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        admit.call
    }

    /// The record of a call that ended.
    pub(super) fn ended(&self, key: CallKey) -> CallRecord {
        let image = self.images.iter().find(|image| image.0 == key && image.3);
        image.unwrap_or_else(|| panic!("{key:?} has not ended")).1
    }

    /// How many attempts of a call have ended, by its last image.
    pub(super) fn ended_attempts(&self, key: CallKey) -> usize {
        let image = self.images.iter().find(|image| image.0 == key).unwrap();
        image.1.attempts().iter().filter(|attempt| attempt.ended_ms != NEVER).count()
    }

    /// The record of a call that ended so.
    pub(super) fn ended_by(&self, key: CallKey, by: EndedBy, reason: EndReason) -> CallRecord {
        let record = self.ended(key);
        assert_eq!((record.who_ended(), record.end_reason()), (by, reason));
        assert_ne!(record.ended_ms, NEVER);
        record
    }

    /// After the longest time that anything waits for, nothing is left.
    pub(super) fn settles(mut self) {
        self.wait_ms(200_000);
        assert_eq!((self.switch.calls_open, self.switch.calls_live), (0, 0), "calls are left");
        let free = self.switch.transactions.free();
        assert_eq!(free, self.switch.transactions_max as usize, "transactions are left");
        let blocks = self.switch.setup.limits.kept_messages_max * 2;
        assert_eq!(self.switch.kept.free_blocks(), blocks, "kept messages are left");
        assert_eq!(self.switch.errands_running(), 0, "errands are left");
        assert_eq!(self.switch.transfers.running(), 0, "transfers are left");
        assert_eq!(self.switch.media().held(), relay::Held::default(), "flows are left");
        assert_eq!(self.switch.media_ports(self.now).used, 0, "ports are left");
        assert_eq!(self.switch.poll_timeout(), None, "deadlines are left");
        assert!(self.switch.scratches.len() == 6, "a buffer was not given back");
        assert!(self.images.iter().all(|image| image.3), "a record was never completed");
    }
}
