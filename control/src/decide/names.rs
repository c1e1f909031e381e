//! Names of vendors: which are asked for when, and what holds meanwhile. (Names in a vendor's 3xx are
//! guests: `guests.rs`.)
//!
//! A name that led somewhere once leads there until DNS says where else: while nobody answers, and even
//! when the name is gone, the last good answer holds and an alarm says so. It is kept by the store, so a
//! restart while DNS is down loses no vendor either.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use link::Order;

use super::Office;
use super::guests::{GUESTS_ASKED_MAX, Guests};
use crate::Time;
use crate::journal::{Event, Severity};
use crate::resolve::dns::SEARCHES_MAX;
use crate::resolve::{Outcome, Server, Target};
use crate::state::entity::{Entity, Kind};
use crate::store::{Change, Located};

/// Whatever a zone says, an answer holds at least and at most so long, s.
pub(super) const TTL_S: std::ops::RangeInclusive<u32> = 30..=3_600;
/// When a name is asked for again after DNS was silent.
pub(super) const AGAIN: Duration = Duration::from_secs(30);
/// A search of which nobody heard for so long is lost.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(60);
/// Silence for so long is worth an alarm where an answer holds; where none does, at once.
const SILENCE: Duration = Duration::from_secs(300);

/// One name.
#[derive(Debug)]
struct Named {
    target: Target,
    due: link::Instant,
    /// Since when an answer is waited for.
    asked: Option<link::Instant>,
    /// Since when there was no good answer.
    silent: Option<link::Instant>,
}

/// All names, by the one spelling of their targets.
#[derive(Debug, Default)]
pub(super) struct Names {
    named: BTreeMap<String, Named>,
    pub(super) wanted: VecDeque<(String, Target)>,
    under_way: usize,
    pub(super) guests: Guests,
}

impl Office {
    /// Follows the gateways: names of new ones are asked for at once, those of nobody are forgotten.
    pub(super) fn review_names(&mut self, time: Time) {
        let mut named = BTreeMap::new();
        for entity in self.state.documents(Kind::Routing) {
            let Entity::Routing(gateway) = entity else { continue };
            let Ok(target) = gateway.target.parse::<Target>() else { continue };
            if target.endpoint().is_none() {
                named.insert(target.to_string(), target);
            }
        }
        let names = &mut self.names;
        let gone = names.named.extract_if(.., |name, _| !named.contains_key(name));
        let gone: Vec<String> = gone.map(|(name, _)| name).collect();
        for (name, target) in named {
            let new = || Named { target, due: time.now, asked: None, silent: None };
            names.named.entry(name).or_insert_with(new);
        }
        for name in gone {
            self.journal.clear(time.wall_us, "dns_failed", &name);
        }
        let located = self.state.located.keys();
        let unused: Vec<String> =
            located.filter(|name| !self.names.named.contains_key(*name)).cloned().collect();
        for name in unused {
            self.state.located.remove(&name);
            self.change(Change::LocatedGone(name));
        }
    }

    /// Asks for what is due, as far as there is room.
    pub(super) fn handle_names_time(&mut self, time: Time) {
        let Names { named, wanted, under_way, .. } = &mut self.names;
        for (name, it) in named {
            if it.asked.is_some_and(|asked| time.now >= asked + LOST_AFTER) {
                it.asked = None;
                *under_way = under_way.saturating_sub(1);
                it.due = time.now;
            }
            if it.asked.is_none()
                && it.due <= time.now
                && *under_way < SEARCHES_MAX - GUESTS_ASKED_MAX
            {
                it.asked = Some(time.now);
                *under_way += 1;
                wanted.push_back((name.clone(), it.target.clone()));
            }
        }
        self.give_up_guests(time);
    }

    /// The next name to be asked for. [`Self::handle_resolved`] wants to hear what came of it.
    pub fn poll_name(&mut self) -> Option<(String, Target)> {
        self.names.wanted.pop_front()
    }

    /// What DNS says of a name.
    pub fn handle_resolved(&mut self, time: Time, name: &str, outcome: Outcome) {
        self.guest_resolved(time, name, &outcome);
        let held = self.state.located.get(name);
        let holds = held.is_some();
        let Some(it) = self.names.named.get_mut(name) else { return };
        if it.asked.take().is_some() {
            self.names.under_way = self.names.under_way.saturating_sub(1);
        }
        let trusted =
            |ttl_s: u32| Duration::from_secs(ttl_s.clamp(*TTL_S.start(), *TTL_S.end()).into());
        let trouble = match outcome {
            Outcome::Found(servers, ttl_s) => {
                it.due = time.now + trusted(ttl_s);
                it.silent = None;
                let is_new = held != Some(&servers);
                self.journal.clear(time.wall_us, "dns_failed", name);
                if is_new {
                    self.relocate(time, name, servers);
                }
                return;
            }
            Outcome::Absent(ttl_s) => {
                it.due = time.now + trusted(ttl_s);
                "the name leads nowhere".to_owned()
            }
            Outcome::Failed(detail) => {
                it.due = time.now + AGAIN;
                detail
            }
        };
        let since = *it.silent.get_or_insert(time.now);
        if holds && time.now < since + SILENCE {
            return;
        }
        let (severity, meanwhile) = if holds {
            (Severity::Warning, "the last good answer holds")
        } else {
            (Severity::Critical, "its gateways get no calls. See the name and /etc/resolv.conf")
        };
        self.journal.raise(Event {
            at_us: time.wall_us,
            name: "dns_failed",
            subject: name.to_owned(),
            severity,
            detail: format!("{trouble}; {meanwhile}"),
        });
    }

    /// A name leads elsewhere: calls, workers and driver follow.
    fn relocate(&mut self, time: Time, name: &str, servers: Vec<Server>) {
        let places: Vec<String> =
            servers.iter().flat_map(Server::endpoints).map(|it| format!("{it:?}")).collect();
        self.note(time, "name_resolved", name, places.join(" "));
        let located = Located { target: name.to_owned(), servers: servers.clone() };
        self.change(Change::Located(Box::new(located)));
        self.state.located.insert(name.to_owned(), servers);
        self.state.relocated();
        self.untold.perimeter = true;
        self.tell_profiles_of(name);
        self.upstream.stale = true;
    }

    /// Every worker hears where the gateways of this name are.
    fn tell_profiles_of(&mut self, name: &str) {
        let is_there = |entity: &&Entity| match entity {
            Entity::Routing(gateway) => {
                gateway.target.parse::<Target>().is_ok_and(|target| target.to_string() == name)
            }
            _ => false,
        };
        let moved = self.state.documents(Kind::Routing).filter(is_there);
        let moved: Vec<Entity> = moved.cloned().collect();
        for entity in moved {
            self.tell_gateway(&entity);
        }
    }

    /// Every worker hears how a gateway wants its SIP, and who its places must prove to be.
    pub(super) fn tell_gateway(&mut self, entity: &Entity) {
        if let Some(profile) = self.state.profile_of(entity) {
            self.order_all(Order::Profile(profile));
        }
        for name in self.state.names_of(entity) {
            self.order_all(Order::Name(name));
        }
    }
}
