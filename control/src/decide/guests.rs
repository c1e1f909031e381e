//! Names that a vendor's 3xx leads to: asked for when a call waits for them, and remembered for a while.
//!
//! They are whatever some vendor writes. So they have a table of their own with its own end, they never
//! take a search from the names of gateways, and what is not known of them is known to nobody: no store,
//! no alarm. A call that hears "nowhere" tries somebody else.

use std::collections::BTreeMap;

use link::answer::{Located, PLACES_MAX};
use link::ask::Locate;
use link::record::CallKey;
use link::{Answer, Endpoint, Transport};

use super::Office;
use super::names::{AGAIN, LOST_AFTER, TTL_S};
use crate::Time;
use crate::resolve::{Host, Outcome, Server, Target, is_name, order};

/// Names that are remembered or asked for.
const GUESTS_MAX: usize = 1_024;
/// Searches for them under way: a quarter of all.
pub(super) const GUESTS_ASKED_MAX: usize = crate::resolve::dns::SEARCHES_MAX / 4;
/// Calls that wait for one name.
const WAITING_MAX: usize = 256;

/// One of them.
#[derive(Debug)]
struct Guest {
    /// Empty: it leads nowhere, or nobody knows yet.
    servers: Vec<Server>,
    /// Until when that holds; of one that is asked for, until when an answer is waited for.
    until: link::Instant,
    is_asked: bool,
    waiting: Vec<Asked>,
}

/// Whose question it was.
#[derive(Clone, Copy, Debug)]
struct Asked {
    worker: usize,
    call: CallKey,
    question: u32,
}

/// All of them, by the one spelling of their targets.
#[derive(Debug, Default)]
pub(super) struct Guests {
    known: BTreeMap<String, Guest>,
    asked: usize,
}

/// What DNS is asked. `None`: it cannot be.
fn target_of(locate: &Locate) -> Option<Target> {
    let name = std::str::from_utf8(locate.name.as_bytes()).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let transport = match locate.transport {
        0 => None,
        1 => Some(Transport::Udp),
        2 => Some(Transport::Tcp),
        3 => Some(Transport::Tls),
        _ => return None,
    };
    let port = (locate.port != 0).then_some(locate.port);
    let host = Host::Name(name.to_ascii_lowercase());
    is_name(name).then_some(Target { host, port, transport, secure: false })
}

impl Office {
    /// Where is that? Answered at once if it is known, or cannot be asked.
    pub(super) fn handle_locate(&mut self, time: Time, worker: usize, locate: &Locate) {
        let Locate { call, question, .. } = *locate;
        let asked = Asked { worker, call, question };
        let Some(target) = target_of(locate) else { return self.locate(asked, &[]) };
        let name = target.to_string();
        // One that is a gateway's too is followed anyway.
        if let Some(servers) = self.state.located.get(&name).cloned() {
            return self.locate(asked, &servers);
        }
        let guests = &mut self.names.guests;
        match guests.known.get_mut(&name) {
            Some(guest) if guest.is_asked && guest.waiting.len() < WAITING_MAX => {
                return guest.waiting.push(asked);
            }
            Some(guest) if guest.is_asked => return self.locate(asked, &[]),
            Some(guest) if guest.until > time.now => {
                let servers = guest.servers.clone();
                return self.locate(asked, &servers);
            }
            _ => {}
        }
        guests.known.retain(|_, guest| guest.is_asked || guest.until > time.now);
        if guests.asked >= GUESTS_ASKED_MAX || guests.known.len() >= GUESTS_MAX {
            return self.locate(asked, &[]);
        }
        guests.asked += 1;
        let until = time.now + LOST_AFTER;
        let guest = Guest { servers: Vec::new(), until, is_asked: true, waiting: vec![asked] };
        guests.known.insert(name.clone(), guest);
        self.names.wanted.push_back((name, target));
    }

    /// What DNS says, for all who wait.
    pub(super) fn guest_resolved(&mut self, time: Time, name: &str, outcome: &Outcome) {
        let guests = &mut self.names.guests;
        let Some(guest) = guests.known.get_mut(name).filter(|guest| guest.is_asked) else { return };
        let for_s = |ttl_s: &u32| (*ttl_s).clamp(*TTL_S.start(), *TTL_S.end()).into();
        let (servers, holds) = match outcome {
            Outcome::Found(servers, ttl_s) => {
                (servers.clone(), std::time::Duration::from_secs(for_s(ttl_s)))
            }
            Outcome::Absent(ttl_s) => (Vec::new(), std::time::Duration::from_secs(for_s(ttl_s))),
            Outcome::Failed(_) => (Vec::new(), AGAIN),
        };
        guest.until = time.now + holds;
        guest.is_asked = false;
        guest.servers.clone_from(&servers);
        let waiting = std::mem::take(&mut guest.waiting);
        guests.asked -= 1;
        for asked in waiting {
            self.locate(asked, &servers);
        }
    }

    /// Searches of which nobody heard are over. Their calls went on long ago.
    pub(super) fn give_up_guests(&mut self, time: Time) {
        let guests = &mut self.names.guests;
        let lost = guests.known.extract_if(.., |_, it| it.is_asked && it.until <= time.now);
        guests.asked -= lost.count();
    }

    /// Tells a call where its host is: in the order of this call, as for a vendor's name.
    fn locate(&mut self, asked: Asked, servers: &[Server]) {
        let Asked { worker, call, question } = asked;
        let chance = &mut self.chance;
        let ordered = order(servers, |end| chance.below(end));
        let mut places = [Endpoint::NONE; PLACES_MAX];
        let mut places_used = 0;
        for (place, endpoint) in places.iter_mut().zip(ordered) {
            *place = endpoint;
            places_used += 1;
        }
        self.answer(worker, Answer::Located(Located { call, question, places_used, places }));
    }
}
