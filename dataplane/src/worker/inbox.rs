//! What others sent us: other workers, the rim, control.

use link::endpoint::Transport;
use link::message::{Down, Up};
use link::report::ConnectionLost;
use link::ring::Wake;
use link::{Answer, Instant, Order, Report};

use super::Worker;
use super::letter::Kind;
use crate::counters::WorkerCounter;
use crate::nic::Nic;

/// Letters per ring and turn, so that no neighbour can keep us from our own queue.
const LETTERS_MAX: usize = 64;

impl<N: Nic> Worker<N> {
    /// Whether anything came.
    pub(super) fn inbox(&mut self, now: Instant) -> bool {
        let handed = self.take_handed(now);
        let rim = self.take_from_rim(now);
        self.tell_lost();
        let control = self.take_from_control(now);
        handed || rim || control
    }

    fn take_handed(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut room = std::mem::take(&mut self.incoming);
        for from in 0..self.handoff.sources() {
            for count in 1..=LETTERS_MAX {
                let Some((kind, path, payload)) = self.handoff.take(from, &mut room) else {
                    break;
                };
                any = true;
                self.note_letters(count);
                self.counters.add(WorkerCounter::HandedIn, 1);
                match kind {
                    Kind::Media => self.media_handed(now, path.remote, path.local, payload),
                    Kind::MediaInside => {
                        let flows = self.switch.media();
                        let port = flows.port_of(path.local);
                        let verdict = flows.forward_inside(now, port, path.remote, payload);
                        self.media_onward(now, verdict, payload);
                    }
                    Kind::Sip if path.inside().is_some() => {
                        self.sip_inside(now, path, payload);
                        self.apply(now);
                    }
                    Kind::Sip => self.sip_message(now, path, payload),
                    Kind::Undeliverable => self.own_undeliverable(now, payload),
                    // The rim's business alone.
                    Kind::Name | Kind::Lost => {}
                }
            }
        }
        self.incoming = room;
        any
    }

    /// Keeps it until control has heard it: nothing else says so, and phones would stay bound to nothing.
    fn note_lost(&mut self, lost: ConnectionLost) {
        if self.lost.len() < self.lost.capacity() {
            self.lost.push_back(lost);
        } else {
            self.counters.add(WorkerCounter::RingFull, 1);
        }
    }

    fn tell_lost(&mut self) {
        while let Some(&lost) = self.lost.front() {
            let Ok(wake) = self.side.up.send(&Up::Report(Report::Lost(lost))) else { return };
            self.ring_control |= wake == Wake::Needed;
            self.lost.pop_front();
        }
    }

    fn take_from_rim(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut room = std::mem::take(&mut self.incoming);
        for count in 1..=LETTERS_MAX {
            let Some((kind, path, payload)) = self.rim.take(&mut room) else { break };
            any = true;
            self.note_letters(count);
            let is_datagram = path.transport == Transport::Udp;
            match kind {
                Kind::Undeliverable => self.undeliverable(now, &path, payload),
                Kind::Lost => {
                    self.note_lost(ConnectionLost { connection: path.connection });
                }
                Kind::Sip | Kind::Media | Kind::MediaInside | Kind::Name => {
                    self.counters.add(
                        if is_datagram { WorkerCounter::RimIn } else { WorkerCounter::StreamIn },
                        1,
                    );
                    self.sip_message(now, path, payload);
                }
            }
        }
        self.incoming = room;
        any
    }

    /// A ring that gave so many letters in this turn gives no more, though it may have them.
    fn note_letters(&mut self, count: usize) {
        if count == LETTERS_MAX {
            self.backlog.leave();
        }
    }

    fn take_from_control(&mut self, now: Instant) -> bool {
        let mut any = false;
        for count in 1..=LETTERS_MAX {
            let Some(down) = self.side.down.receive() else { break };
            any = true;
            self.note_letters(count);
            match down {
                Down::Answer(answer) => {
                    self.note_round_trip(now, &answer);
                    self.switch.handle_answer(now, &answer);
                }
                Down::Order(order) => {
                    match order {
                        Order::Parameters(parameters) => {
                            let former = std::mem::replace(&mut self.parameters, parameters);
                            if former.dscp_rtp != parameters.dscp_rtp {
                                self.switch.media().change_all();
                            }
                            self.rim.set_parameters(&parameters);
                        }
                        Order::Name(name) => self.rim.set_name(&name),
                        _ => {}
                    }
                    self.switch.handle_order(now, &order);
                }
            }
            self.apply(now);
        }
        any
    }

    /// How long control took for an admission, for `status`.
    fn note_round_trip(&self, now: Instant, answer: &Answer) {
        let call = match answer {
            Answer::Route(route) => route.call,
            Answer::Refuse(refuse) => refuse.call,
            Answer::Challenge(challenge) => challenge.call,
            Answer::Rerouted(_)
            | Answer::Committed(_)
            | Answer::Registered(_)
            | Answer::Located(_)
            | Answer::Extended(_) => return,
        };
        if let Some(asked) = self.asked.get(call.slot as usize) {
            self.side.latency.record(now.saturating_sub(*asked).as_micros() as u64);
        }
    }
}
