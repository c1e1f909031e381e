//! Who calls and who is called, as RFC 3261 has them: callers repeat an INVITE (timer A) and a BYE
//! (timer E) until they hear something, vendors answer at once and repeat the answer until its ACK.
//!
//! A caller gives up at a refusal, and after 32 s without any answer. What it costs to be the crowd is
//! nobody's time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use benches::desk::HELP;
use benches::phones::{
    CALLEE, CALLER, FAR, NEAR, VENDOR, VENDOR_TAG, ack_refusal, in_dialog, invite, number_of,
    socket, vendor_answers, vendor_says,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sip::{Message, Method};

/// One call in so many is for help.
const HELP_EACH: u64 = 1_000;
/// How long they talk.
const TALK: Duration = Duration::from_secs(1);
/// T1, T2 and 64 × T1 of RFC 3261.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(32);

/// What one caller saw.
#[derive(Default)]
pub(crate) struct Call {
    /// When the first INVITE went out.
    pub(crate) first: Duration,
    /// Whom it calls.
    pub(crate) is_for_help: bool,
    /// Whether anything was said to it.
    is_heard: bool,
    /// When the first 18x came.
    pub(crate) rang: Option<Duration>,
    /// When the first 2xx came.
    pub(crate) answered: Option<Duration>,
    /// The final refusal.
    pub(crate) refused: u16,
    /// When the first BYE went out.
    pub(crate) bye: Option<Duration>,
    /// When it was answered, and how.
    pub(crate) ended: Option<(Duration, u16)>,
    goodbye: Vec<u8>,
}

impl Call {
    fn callee(&self) -> &'static str {
        if self.is_for_help { HELP } else { CALLEE }
    }
}

/// A vendor's leg: its answer until the ACK came.
struct Leg {
    answer: Vec<u8>,
    is_acked: bool,
}

enum Event {
    /// The next call.
    Arrival,
    /// The INVITE of this call again, after so long.
    Invite(u64, Duration),
    HangUp(u64),
    /// The BYE of this call again.
    Bye(u64, Duration),
    /// A vendor's answer again.
    Answer(Vec<u8>, Duration),
}

/// A datagram on its way to the appliance.
pub(crate) struct Sent {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// See the head of this file.
pub(crate) struct Crowd {
    random: SmallRng,
    per_second: f64,
    until: Duration,
    pub(crate) calls: Vec<Call>,
    legs: HashMap<Vec<u8>, Leg>,
    due: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Event>,
    scheduled: u64,
    sent: VecDeque<Sent>,
}

impl Crowd {
    /// So many calls per second, at random moments, until then.
    pub(crate) fn new(now: Duration, per_second: f64, until: Duration) -> Self {
        let mut crowd = Self {
            random: SmallRng::seed_from_u64(7),
            per_second,
            until,
            calls: Vec::new(),
            legs: HashMap::new(),
            due: BinaryHeap::new(),
            events: HashMap::new(),
            scheduled: 0,
            sent: VecDeque::new(),
        };
        crowd.schedule(now, Event::Arrival);
        crowd
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.due.push(Reverse((at, self.scheduled)));
        self.events.insert(self.scheduled, event);
    }

    /// When anything is due here.
    pub(crate) fn poll_timeout(&self) -> Duration {
        self.due.peek().map_or(Duration::MAX, |Reverse((at, _))| *at)
    }

    /// What is sent.
    pub(crate) fn poll_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    fn say(&mut self, from: &str, to: &str, bytes: Vec<u8>) {
        self.sent.push_back(Sent { from: socket(from), to: socket(to), bytes });
    }

    /// The next thing that is due.
    pub(crate) fn handle_timeout(&mut self) {
        let Some(Reverse((now, id))) = self.due.pop() else { return };
        let Some(event) = self.events.remove(&id) else { return };
        match event {
            Event::Arrival => self.arrive(now),
            Event::Invite(number, after) => {
                let call = &self.calls[number as usize];
                if !call.is_heard && now < call.first + PATIENCE {
                    let callee = call.callee();
                    self.say(CALLER, NEAR, invite(number, callee));
                    self.schedule(now + after * 2, Event::Invite(number, after * 2));
                }
            }
            Event::HangUp(number) => {
                self.calls[number as usize].bye = Some(now);
                self.bye(now, number, T1);
            }
            Event::Bye(number, after) => {
                let call = &self.calls[number as usize];
                let patient = call.bye.is_some_and(|bye| now < bye + PATIENCE);
                if call.ended.is_none() && patient {
                    self.bye(now, number, (after * 2).min(T2));
                }
            }
            Event::Answer(call_id, after) => {
                let Some(leg) = self.legs.get(&call_id).filter(|leg| !leg.is_acked) else { return };
                let answer = leg.answer.clone();
                self.say(VENDOR, FAR, answer);
                if after < PATIENCE / 2 {
                    self.schedule(now + after * 2, Event::Answer(call_id, after * 2));
                }
            }
        }
    }

    fn arrive(&mut self, now: Duration) {
        let number = self.calls.len() as u64;
        let is_for_help = number.is_multiple_of(HELP_EACH);
        let call = Call { first: now, is_for_help, ..Call::default() };
        self.say(CALLER, NEAR, invite(number, call.callee()));
        self.calls.push(call);
        self.schedule(now + T1, Event::Invite(number, T1));
        let gap = -(1.0 - self.random.random::<f64>()).ln() / self.per_second;
        let next = now + Duration::from_secs_f64(gap);
        if next < self.until {
            self.schedule(next, Event::Arrival);
        }
    }

    fn bye(&mut self, now: Duration, number: u64, again: Duration) {
        let goodbye = self.calls[number as usize].goodbye.clone();
        self.say(CALLER, NEAR, goodbye);
        self.schedule(now + again, Event::Bye(number, again));
    }

    /// The appliance says something.
    pub(crate) fn hear(&mut self, now: Duration, to: SocketAddr, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("what the appliance says is a message");
        if to == socket(CALLER) {
            self.caller_hears(now, &message);
        } else {
            self.vendor_hears(now, &message);
        }
    }

    fn caller_hears(&mut self, now: Duration, message: &Message<'_>) {
        let (Some(status), Some(number)) = (message.status(), number_of(message)) else { return };
        let Some(call) = self.calls.get_mut(number as usize) else { return };
        call.is_heard = true;
        match (message.cseq().method, status) {
            (Method::Invite, 100) => {}
            (Method::Invite, 101..200) => {
                call.rang.get_or_insert(now);
            }
            (Method::Invite, 200..300) => {
                if call.answered.is_none() {
                    call.answered = Some(now);
                    call.goodbye = in_dialog(message, number, Method::Bye, 2);
                    self.schedule(now + TALK, Event::HangUp(number));
                }
                self.say(CALLER, NEAR, in_dialog(message, number, Method::Ack, 1));
            }
            (Method::Invite, _) => {
                call.refused = status;
                let callee = call.callee();
                self.say(CALLER, NEAR, ack_refusal(message, number, callee));
            }
            (Method::Bye, 200..) => {
                call.goodbye = Vec::new();
                call.ended.get_or_insert((now, status));
            }
            _ => {}
        }
    }

    fn vendor_hears(&mut self, now: Duration, message: &Message<'_>) {
        let call_id = message.call_id().to_vec();
        match message.method() {
            _ if message.status().is_some() => {}
            Method::Invite => {
                let answer = vendor_answers(message);
                let ringing = vendor_says(message, 180, VENDOR_TAG, &[]);
                self.say(VENDOR, FAR, ringing);
                self.say(VENDOR, FAR, answer.clone());
                if self.legs.insert(call_id.clone(), Leg { answer, is_acked: false }).is_none() {
                    self.schedule(now + T1, Event::Answer(call_id, T1));
                }
            }
            Method::Ack => {
                if let Some(leg) = self.legs.get_mut(&call_id) {
                    leg.is_acked = true;
                    leg.answer = Vec::new();
                }
            }
            Method::Bye => {
                self.legs.remove(&call_id);
                self.say(VENDOR, FAR, vendor_says(message, 200, b"", &[]));
            }
            _ => self.say(VENDOR, FAR, vendor_says(message, 200, b"", &[])),
        }
    }
}
