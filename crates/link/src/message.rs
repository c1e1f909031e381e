//! The four enums as what a slot of a ring carries: a kind number and the struct's bytes.
//!
//! Both processes run on one machine, so the bytes are the struct itself. Kind numbers are stable;
//! a struct that changes its size changes the layout number ([`crate::layout::LAYOUT`]). A kind that
//! nobody knows and a length that does not fit are dropped and counted, never guessed at.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::answer::{Challenge, Committed, Extended, Located, Refuse, Registered, Rerouted, Route};
use crate::ask::{Abandon, Admit, Answered, Extend, Locate, Register, Reroute};
use crate::fence::{Fences, Ranges};
use crate::order::{Drain, Errand, HangUp, Parameters, PlaceName, ShutOut};
use crate::profile::Profile;
use crate::report::{ConnectionLost, Ended, ErrandDone, Fenced, GatewayNews, Refusals};
use crate::ring::{Consumer, Full, Producer, Wake};
use crate::{Answer, Ask, Order, Report};

/// What the dataplane says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "slots of a ring have one size anyway")]
pub enum Up {
    /// A question; its call waits.
    Ask(Ask),
    /// News; nobody waits.
    Report(Report),
}

/// What control says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "slots of a ring have one size anyway")]
pub enum Down {
    /// What a waiting call may do.
    Answer(Answer),
    /// A command.
    Order(Order),
}

/// What a slot of the ring towards control holds.
pub const UP_SLOT_BYTES: usize = 4_064;

/// What a slot of the ring towards the dataplane holds.
pub const DOWN_SLOT_BYTES: usize = 4_928;

const _: () = {
    assert!(size_of::<Admit>() <= UP_SLOT_BYTES);
    assert!(size_of::<Reroute>() <= UP_SLOT_BYTES);
    assert!(size_of::<Answered>() <= UP_SLOT_BYTES);
    assert!(size_of::<Abandon>() <= UP_SLOT_BYTES);
    assert!(size_of::<Register>() <= UP_SLOT_BYTES);
    assert!(size_of::<Locate>() <= UP_SLOT_BYTES);
    assert!(size_of::<Extend>() <= UP_SLOT_BYTES);
    assert!(size_of::<Ended>() <= UP_SLOT_BYTES);
    assert!(size_of::<ErrandDone>() <= UP_SLOT_BYTES);
    assert!(size_of::<GatewayNews>() <= UP_SLOT_BYTES);
    assert!(size_of::<ConnectionLost>() <= UP_SLOT_BYTES);
    assert!(size_of::<Fenced>() <= UP_SLOT_BYTES);
    assert!(size_of::<Refusals>() <= UP_SLOT_BYTES);
    assert!(size_of::<Route>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Refuse>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Rerouted>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Committed>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Challenge>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Registered>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Located>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Extended>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<HangUp>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Profile>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Errand>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Parameters>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Drain>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<PlaceName>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<ShutOut>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Ranges>() <= DOWN_SLOT_BYTES);
    assert!(size_of::<Fences>() <= DOWN_SLOT_BYTES);
};

/// What a ring between dataplane and control may carry: [`Up`] or [`Down`].
pub trait Message: Sized {
    /// The longest message in bytes.
    const SLOT_BYTES: usize;

    /// The kind number and the bytes.
    fn encode(&self) -> (u16, &[u8]);

    /// The message again. `None`: a kind nobody knows, or not exactly its length.
    fn decode(kind: u16, bytes: &[u8]) -> Option<Self>;
}

impl Message for Up {
    const SLOT_BYTES: usize = UP_SLOT_BYTES;

    fn encode(&self) -> (u16, &[u8]) {
        match self {
            Self::Ask(Ask::Admit(body)) => (1, body.as_bytes()),
            Self::Ask(Ask::Answered(body)) => (2, body.as_bytes()),
            Self::Ask(Ask::Abandon(body)) => (3, body.as_bytes()),
            Self::Ask(Ask::Reroute(body)) => (4, body.as_bytes()),
            Self::Ask(Ask::Register(body)) => (5, body.as_bytes()),
            Self::Ask(Ask::Locate(body)) => (6, body.as_bytes()),
            Self::Ask(Ask::Extend(body)) => (7, body.as_bytes()),
            Self::Report(Report::Ended(body)) => (64, body.as_bytes()),
            Self::Report(Report::Errand(body)) => (65, body.as_bytes()),
            Self::Report(Report::Gateway(body)) => (66, body.as_bytes()),
            Self::Report(Report::Lost(body)) => (67, body.as_bytes()),
            Self::Report(Report::Fenced(body)) => (68, body.as_bytes()),
            Self::Report(Report::Refusals(body)) => (69, body.as_bytes()),
        }
    }

    fn decode(kind: u16, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Ask(Ask::Admit(body(bytes)?)),
            2 => Self::Ask(Ask::Answered(body(bytes)?)),
            3 => Self::Ask(Ask::Abandon(body(bytes)?)),
            4 => Self::Ask(Ask::Reroute(body(bytes)?)),
            5 => Self::Ask(Ask::Register(body(bytes)?)),
            6 => Self::Ask(Ask::Locate(body(bytes)?)),
            7 => Self::Ask(Ask::Extend(body(bytes)?)),
            64 => Self::Report(Report::Ended(body(bytes)?)),
            65 => Self::Report(Report::Errand(body(bytes)?)),
            66 => Self::Report(Report::Gateway(body(bytes)?)),
            67 => Self::Report(Report::Lost(body(bytes)?)),
            68 => Self::Report(Report::Fenced(body(bytes)?)),
            69 => Self::Report(Report::Refusals(body(bytes)?)),
            _ => return None,
        })
    }
}

impl Message for Down {
    const SLOT_BYTES: usize = DOWN_SLOT_BYTES;

    fn encode(&self) -> (u16, &[u8]) {
        match self {
            Self::Answer(Answer::Route(body)) => (1, body.as_bytes()),
            Self::Answer(Answer::Refuse(body)) => (2, body.as_bytes()),
            Self::Answer(Answer::Committed(body)) => (3, body.as_bytes()),
            Self::Answer(Answer::Rerouted(body)) => (4, body.as_bytes()),
            Self::Answer(Answer::Challenge(body)) => (5, body.as_bytes()),
            Self::Answer(Answer::Registered(body)) => (6, body.as_bytes()),
            Self::Answer(Answer::Located(body)) => (7, body.as_bytes()),
            Self::Answer(Answer::Extended(body)) => (8, body.as_bytes()),
            Self::Order(Order::HangUp(body)) => (64, body.as_bytes()),
            Self::Order(Order::Parameters(body)) => (65, body.as_bytes()),
            Self::Order(Order::Drain(body)) => (66, body.as_bytes()),
            Self::Order(Order::Profile(body)) => (67, body.as_bytes()),
            Self::Order(Order::Errand(body)) => (68, body.as_bytes()),
            Self::Order(Order::Name(body)) => (69, body.as_bytes()),
            Self::Order(Order::ShutOut(body)) => (70, body.as_bytes()),
            Self::Order(Order::Ranges(body)) => (71, body.as_bytes()),
            Self::Order(Order::Fences(body)) => (72, body.as_bytes()),
        }
    }

    fn decode(kind: u16, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Answer(Answer::Route(body(bytes)?)),
            2 => Self::Answer(Answer::Refuse(body(bytes)?)),
            3 => Self::Answer(Answer::Committed(body(bytes)?)),
            4 => Self::Answer(Answer::Rerouted(body(bytes)?)),
            5 => Self::Answer(Answer::Challenge(body(bytes)?)),
            6 => Self::Answer(Answer::Registered(body(bytes)?)),
            7 => Self::Answer(Answer::Located(body(bytes)?)),
            8 => Self::Answer(Answer::Extended(body(bytes)?)),
            64 => Self::Order(Order::HangUp(body(bytes)?)),
            65 => Self::Order(Order::Parameters(body(bytes)?)),
            66 => Self::Order(Order::Drain(body(bytes)?)),
            67 => Self::Order(Order::Profile(body(bytes)?)),
            68 => Self::Order(Order::Errand(body(bytes)?)),
            69 => Self::Order(Order::Name(body(bytes)?)),
            70 => Self::Order(Order::ShutOut(body(bytes)?)),
            71 => Self::Order(Order::Ranges(body(bytes)?)),
            72 => Self::Order(Order::Fences(body(bytes)?)),
            _ => return None,
        })
    }
}

fn body<T: FromBytes + Immutable>(bytes: &[u8]) -> Option<T> {
    T::read_from_bytes(bytes).ok()
}

/// The sending end of a ring of `T`.
#[derive(Debug)]
pub struct Sender<T> {
    producer: Producer,
    message: std::marker::PhantomData<fn(&T)>,
}

impl<T: Message> Sender<T> {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer, message: std::marker::PhantomData }
    }

    /// Sends one message; its caller wakes the other side when told to.
    pub fn send(&mut self, message: &T) -> Result<Wake, Full> {
        let (kind, bytes) = message.encode();
        self.producer.push(kind, bytes)
    }

    /// How many messages fit, at least: 0 only if none does.
    pub fn free(&mut self) -> u64 {
        self.producer.free()
    }

    /// Whether so many messages fit now.
    pub fn has_room(&mut self, wanted: u64) -> bool {
        self.producer.has_room(wanted)
    }

    /// How often the ring's memory made no sense.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.producer.faults()
    }
}

/// The receiving end of a ring of `T`.
#[derive(Debug)]
pub struct Receiver<T> {
    consumer: Consumer,
    /// Of the ring's slot size, from boot on.
    buffer: Box<[u8]>,
    unknown: u64,
    message: std::marker::PhantomData<fn() -> T>,
}

impl<T: Message> Receiver<T> {
    pub(crate) fn new(consumer: Consumer) -> Self {
        let buffer = vec![0; consumer.slot_bytes()].into_boxed_slice();
        Self { consumer, buffer, unknown: 0, message: std::marker::PhantomData }
    }

    /// The next message. What cannot be read as one is dropped and counted.
    pub fn receive(&mut self) -> Option<T> {
        while let Some((kind, length)) = self.consumer.pop(&mut self.buffer) {
            let bytes = self.buffer.get(..length).unwrap_or_default();
            match T::decode(kind, bytes) {
                Some(message) => return Some(message),
                None => self.unknown += 1,
            }
        }
        None
    }

    /// Drops all that is waiting, says how much: a restarted process begins with this.
    pub fn clear(&mut self) -> u64 {
        self.consumer.clear()
    }

    /// How many messages are waiting, at least: 0 only if none is.
    pub fn waiting(&mut self) -> u64 {
        self.consumer.waiting()
    }

    /// See [`Consumer::try_sleep`].
    #[must_use]
    pub fn try_sleep(&mut self) -> bool {
        self.consumer.try_sleep()
    }

    /// See [`Consumer::awake`].
    pub fn awake(&mut self) {
        self.consumer.awake();
    }

    /// How many messages were dropped because ring or message made no sense.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.consumer.faults() + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Credentials, Identities, RequestKey};
    use crate::record::{CallKey, Facts};
    use crate::{Text, ring};
    use zerocopy::FromZeros;

    const CALL: CallKey = CallKey { slot: 7, generation: 9 };

    fn ups() -> Vec<Up> {
        let facts = Facts { caller: Text::new(b"+4930123").unwrap(), ..Facts::default() };
        vec![
            Up::Ask(Ask::Admit(Admit {
                call: CALL,
                record: [1, 2],
                asked_us: 3,
                deadline_us: 4,
                started_us: 5,
                facts,
                identities: Identities::default(),
                credentials: Credentials::default(),
                transferor: 6,
                spare: 0,
            })),
            Up::Ask(Ask::Answered(Answered { call: CALL, asked_us: 6 })),
            Up::Ask(Ask::Abandon(Abandon { call: CALL, reason: 2, status: 487 })),
            Up::Ask(Ask::Reroute(Reroute { call: CALL, gateway: 3, spare: 0 })),
            Up::Ask(Ask::Extend(Extend { call: CALL, granted_s: 60, talked_s: 30 })),
            Up::Ask(Ask::Register({
                let mut register = Register::new_zeroed();
                register.request = RequestKey { slot: 1, generation: 2 };
                register.contacts[7].q = 500;
                register
            })),
            Up::Ask(Ask::Locate({
                let mut locate = Locate::new_zeroed();
                locate.name = Text::new(b"sip.example.com").unwrap();
                locate
            })),
            Up::Report(Report::Ended(Ended { call: CALL })),
            Up::Report(Report::Errand({
                let mut done = ErrandDone::new_zeroed();
                done.id = 8;
                done
            })),
            Up::Report(Report::Gateway({
                let mut news = GatewayNews::new_zeroed();
                news.gateway = 9;
                news
            })),
            Up::Report(Report::Lost(ConnectionLost { connection: 10 })),
            Up::Report(Report::Refusals({
                let mut refusals = Refusals::new_zeroed();
                refusals.used = 1;
                refusals
            })),
        ]
    }

    fn downs() -> Vec<Down> {
        let mut route = Route::new_zeroed();
        route.call = CALL;
        route.candidates_used = 1;
        route.candidates[0].gateway = 11;
        vec![
            Down::Answer(Answer::Route(route)),
            Down::Answer(Answer::Refuse(Refuse {
                call: CALL,
                status: 403,
                reason: 8,
                stateless: 1,
                retry_after_s: 0,
                announced: 3,
            })),
            Down::Answer(Answer::Committed(Committed { call: CALL })),
            Down::Answer(Answer::Rerouted(Rerouted { call: CALL, gateway: 3, granted: 1 })),
            Down::Answer(Answer::Extended(Extended { call: CALL, granted_s: 90, extend_at_s: 75 })),
            Down::Answer(Answer::Challenge(Challenge {
                call: CALL,
                status: 407,
                stale: 1,
                spare: 0,
            })),
            Down::Answer(Answer::Registered({
                let mut registered = Registered::new_zeroed();
                registered.status = 200;
                registered
            })),
            Down::Answer(Answer::Located({
                let mut located = Located::new_zeroed();
                located.places_used = 1;
                located
            })),
            Down::Order(Order::Profile(Profile { gateway: 3, present: 1, ..Profile::default() })),
            Down::Order(Order::Errand({
                let mut errand = Errand::new_zeroed();
                errand.id = 4;
                errand
            })),
            Down::Order(Order::Name({
                let mut name = PlaceName::new_zeroed();
                name.name = Text::new(b"sip.example.com").unwrap();
                name
            })),
            Down::Order(Order::ShutOut({
                let mut order = ShutOut::new_zeroed();
                order.status = 403;
                order
            })),
            Down::Order(Order::HangUp(HangUp { call: CALL, reason: 17 })),
            Down::Order(Order::Parameters(Parameters::default())),
            Down::Order(Order::Drain(Drain { draining: 1 })),
        ]
    }

    fn survives<T: Message + PartialEq + std::fmt::Debug>(messages: &[T]) {
        let (producer, consumer) = ring::in_process(16, T::SLOT_BYTES).unwrap();
        let (mut sender, mut receiver) = (Sender::<T>::new(producer), Receiver::<T>::new(consumer));
        for message in messages {
            let _ = sender.send(message).unwrap();
        }
        for message in messages {
            assert_eq!(receiver.receive().as_ref(), Some(message));
        }
        assert_eq!(receiver.receive(), None);
        assert_eq!(receiver.faults(), 0);
    }

    #[test]
    fn every_message_survives_the_journey() {
        survives(&ups());
        survives(&downs());
    }

    #[test]
    fn a_message_of_another_length_is_none() {
        for up in ups() {
            let (kind, bytes) = up.encode();
            for length in 0..bytes.len() {
                assert_eq!(Up::decode(kind, &bytes[..length]), None);
            }
            assert_eq!(Up::decode(kind, &[bytes, &[0]].concat()), None);
        }
    }

    #[test]
    fn an_unknown_kind_is_dropped_counted_and_does_not_hide_the_next_message() {
        let (mut producer, consumer) = ring::in_process(4, UP_SLOT_BYTES).unwrap();
        let mut receiver = Receiver::<Up>::new(consumer);
        let _ = producer.push(999, &[1, 2, 3]).unwrap();
        let _ = producer.push(64, CALL.as_bytes()).unwrap();
        assert_eq!(receiver.receive(), Some(Up::Report(Report::Ended(Ended { call: CALL }))));
        assert_eq!(receiver.faults(), 1);
    }
}
