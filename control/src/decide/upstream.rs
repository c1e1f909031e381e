//! What we do at vendors outside of any call: register, and ask whether anybody is there.
//!
//! ```text
//!              ┌────────────── again after RETRY_DELAY ──────────────┐
//!              ▼                                                     │
//!  off ──▶ trying ──2xx──▶ registered ──until it runs out──▶ failed ─┤
//!              │                ▲ refreshed at 80 to 90 %            │
//!              └─401 403 407──▶ refused ──────── after an hour ──────┘
//! ```
//!
//! A registration that was asked for is a row of the store before it is anything else: whatever happens
//! to this process or to the gateway's document, the next one knows what to take back, and where. An
//! answer that never comes (a report lost, a dataplane restarted) says nothing of the vendor; the
//! question is asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use link::message::Down;
use link::order::{Errand, ErrandKind};
use link::profile::Secret;
use link::report::{ErrandDone, GatewayNews, News};
use link::{Endpoint, Order, Profile, Text};
use routing::Health;

use super::Office;
use super::chance::Chance;
use super::probe::{Probes, Turn};
use crate::Time;
use crate::journal::{Event, Severity};
use crate::resolve::Server;
use crate::state::entity::{Entity, Kind, Routing};
use crate::store::{Change, Registration};

/// Requests of ours under way at a time.
const ERRANDS_MAX: usize = 256;
/// Longer than any transaction: an answer that is not here by now never comes.
const LOST_AFTER: Duration = Duration::from_secs(40);
/// When a refused password is tried again although nobody changed it.
const REFUSED_AGAIN: Duration = Duration::from_secs(3_600);
/// Longest Retry-After of a registrar that is heeded.
const REST_MAX: Duration = Duration::from_secs(3_600);
/// Longest rest of a vendor after a 503 to an INVITE.
const BAN_S_MAX: u32 = 60;
/// No registrar makes us ask for longer, s.
const EXPIRES_S_MAX: u32 = 86_400;
/// CSeq numbers are seconds since 2020, so that they grow over restarts without being stored, and stay
/// below 2³¹ until 2088.
const CSEQ_ZERO_S: u64 = 1_577_836_800;

/// Where a registration stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Off,
    Trying,
    Registered,
    Refused,
    Failed,
}

impl Phase {
    /// The word in API and CLI.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Trying => "trying",
            Self::Registered => "registered",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What a document wants registered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    target: String,
    user: String,
    domain: String,
    username: String,
    password: String,
}

impl Wish {
    fn of(gateway: &Routing) -> Option<Self> {
        gateway.registration.then(|| Self {
            target: gateway.target.clone(),
            user: gateway.registration_user().to_owned(),
            domain: gateway.registration_domain(),
            username: gateway.auth_username.clone(),
            password: gateway.auth_password.clone(),
        })
    }

    /// Whether a registration is the one that is wished for. A password may change without it.
    fn is_held_by(&self, held: &Registration) -> bool {
        (&self.target, &self.user, &self.domain) == (&held.target, &held.user, &held.domain)
    }
}

/// A registration's clockwork.
#[derive(Debug, Default)]
struct Upkeep {
    phase: Phase,
    due: link::Instant,
    /// While [`Phase::Registered`].
    until: link::Instant,
    /// Asked for instead of `EXPIRE`, s, after a 423; 0: nothing.
    expires_s: u32,
    cseq: u32,
    /// Which of the gateway's places is next, and how many failed in a row.
    place: usize,
    failed: usize,
    /// Longest Retry-After of this round, s.
    rest_s: u32,
}

/// One vendor's gateway that is probed, registered at, or still to be left.
#[derive(Debug, Default)]
struct Vendor {
    /// In alarms and events.
    subject: String,
    probes: Option<Probes>,
    wish: Option<Wish>,
    /// What its registrar may know of us.
    held: Option<Registration>,
    upkeep: Upkeep,
}

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Probe,
    Register,
    TakeBack,
}

#[derive(Debug)]
struct Sent {
    gateway: u32,
    target: Endpoint,
    what: What,
    at: link::Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    vendors: BTreeMap<u32, Vendor>,
    errands: BTreeMap<u64, Sent>,
    /// Until when a vendor asked for rest.
    bans: BTreeMap<u32, link::Instant>,
    /// Documents or places changed.
    pub(super) stale: bool,
    /// A dataplane was there.
    open: bool,
    /// Who was served last: the next one begins, so that nobody starves.
    served: u32,
}

impl Upstream {
    /// What the store remembers of registrations.
    pub(super) fn restore(rows: Vec<Registration>) -> Self {
        let vendor = |row: Registration| Vendor { held: Some(row), ..Vendor::default() };
        let vendors = rows.into_iter().map(|row| (row.gateway, vendor(row))).collect();
        Self { vendors, stale: true, ..Self::default() }
    }

    /// Whether calls may go there.
    pub(super) fn health(&self, gateway: u32) -> Health {
        let vendor = self.vendors.get(&gateway);
        let is_offline = vendor.is_some_and(|vendor| {
            let unregistered = vendor.wish.is_some() && vendor.upkeep.phase != Phase::Registered;
            unregistered || vendor.probes.as_ref().is_some_and(|probes| !probes.is_online())
        });
        match is_offline {
            true => Health::Offline,
            false if self.bans.contains_key(&gateway) => Health::Banned,
            false => Health::Online,
        }
    }

    /// Whether calls may go to this place of it.
    pub(super) fn has_online(&self, gateway: u32, place: Endpoint) -> bool {
        let vendor = self.vendors.get(&gateway);
        let probes = vendor.and_then(|vendor| vendor.probes.as_ref());
        probes.is_none_or(|probes| probes.has_online(place))
    }

    /// Its places that calls pass over.
    pub(super) fn offline_places(&self, gateway: u32) -> Vec<Endpoint> {
        let vendor = self.vendors.get(&gateway);
        let probes = vendor.and_then(|vendor| vendor.probes.as_ref());
        probes.into_iter().flat_map(Probes::offline).collect()
    }

    /// Whether anybody finds out if it is there: by probes, or because we register.
    pub(super) fn is_watched(&self, gateway: u32) -> bool {
        let vendor = self.vendors.get(&gateway);
        vendor.is_some_and(|vendor| vendor.probes.is_some() || vendor.wish.is_some())
    }

    /// Its registration, and until when it holds.
    pub(super) fn registration(&self, gateway: u32) -> (Phase, Option<u64>) {
        let Some(vendor) = self.vendors.get(&gateway) else { return (Phase::Off, None) };
        let phase = vendor.upkeep.phase;
        let until_us = vendor.held.as_ref().map(|held| held.until_us);
        (phase, until_us.filter(|_| phase == Phase::Registered))
    }

    /// From the last OPTIONS to its answer.
    pub(super) fn round_trip_us(&self, gateway: u32) -> Option<u32> {
        self.vendors.get(&gateway)?.probes.as_ref()?.round_trip_us()
    }

    /// Whether its profile must stay until a registration is taken back with it.
    pub(super) fn holds(&self, gateway: u32) -> bool {
        self.vendors.get(&gateway).is_some_and(|vendor| vendor.held.is_some())
    }

    /// Nothing that is under way will be heard of.
    fn give_up(&mut self, is_lost: impl Fn(&Sent) -> bool) -> BTreeSet<u64> {
        let lost = self.errands.extract_if(.., |_, sent| is_lost(sent));
        let lost: Vec<(u64, Sent)> = lost.collect();
        for (_, sent) in &lost {
            let Some(vendor) = self.vendors.get_mut(&sent.gateway) else { continue };
            match (sent.what, &mut vendor.probes) {
                (What::Probe, Some(probes)) => probes.ask_again(Some(sent.target)),
                (What::Probe, None) => {}
                (What::Register | What::TakeBack, _) => vendor.upkeep.due = link::Instant::ZERO,
            }
        }
        lost.into_iter().map(|(id, _)| id).collect()
    }

    fn is_busy(&self, gateway: u32, with: impl Fn(What) -> bool) -> bool {
        self.errands.values().any(|sent| sent.gateway == gateway && with(sent.what))
    }
}

/// A wait that differs by up to a tenth, so that what failed together does not come back together.
fn jittered(delay: Duration, chance: &mut Chance) -> Duration {
    let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms - ms / 10 + chance.below(ms / 5 + 1))
}

/// After 80 to 90 % of a lifetime.
fn refreshed_after(lifetime: Duration, chance: &mut Chance) -> Duration {
    let ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms / 10 * 8 + chance.below(ms / 10 + 1))
}

/// Whether an answer to OPTIONS shows that somebody is there who takes calls.
fn is_alive(status: u16) -> bool {
    !matches!(status, 0 | 408 | 503 | 504)
}

impl Office {
    /// Follows documents and places. Before anything is admitted, so that whoever must register and did
    /// not is no candidate.
    pub fn review_upstream(&mut self, time: Time) {
        self.review_names(time);
        self.upstream.stale = false;
        let interval = self.options_interval();
        let mut documents = BTreeMap::new();
        for entity in self.state.documents(Kind::Routing) {
            let Entity::Routing(gateway) = entity else { continue };
            let subject = subject(&gateway.name);
            documents.insert(gateway.id, (subject, gateway.options_check, Wish::of(gateway)));
        }
        let known = self.upstream.vendors.keys().copied();
        let ids: BTreeSet<u32> = known.chain(documents.keys().copied()).collect();
        for id in ids {
            let document = documents.remove(&id);
            let (subject, checked, wish) = document.unwrap_or_default();
            let vendor = self.upstream.vendors.entry(id).or_default();
            if !subject.is_empty() {
                vendor.subject = subject;
            }
            let gone = match checked {
                true => {
                    let probes = vendor.probes.get_or_insert_with(|| Probes::new(id, interval));
                    probes.follow(time.now, &self.state.places(id))
                }
                false => vendor.probes.take().map_or_else(Vec::new, |it| it.offline().collect()),
            };
            for place in gone {
                let subject = place_subject(&vendor.subject, place);
                self.journal.clear(time.wall_us, "place_offline", &subject);
            }
            if vendor.probes.as_ref().is_none_or(Probes::is_online) {
                self.journal.clear(time.wall_us, "gateway_offline", &vendor.subject);
            }
            if vendor.wish != wish {
                let left_us = match (&wish, &vendor.held) {
                    (Some(wish), Some(held)) if wish.is_held_by(held) => {
                        held.until_us.saturating_sub(time.wall_us)
                    }
                    _ => 0,
                };
                let is_first = vendor.wish.is_none();
                vendor.wish = wish;
                let (cseq, phase) = (vendor.upkeep.cseq, Phase::Off);
                let due = time.now;
                let until = due + Duration::from_micros(left_us);
                vendor.upkeep = Upkeep { phase, due, until, cseq, ..Upkeep::default() };
                if left_us > 0 {
                    vendor.upkeep.phase = Phase::Registered;
                    // Found running: nothing has changed. Else with the new password, at once.
                    if is_first {
                        vendor.upkeep.due +=
                            refreshed_after(Duration::from_micros(left_us), &mut self.chance);
                    }
                }
                if vendor.wish.is_none() || vendor.upkeep.phase == Phase::Off {
                    self.journal.clear(time.wall_us, "registration_failed", &vendor.subject);
                }
            }
            if vendor.wish.is_none() && vendor.probes.is_none() && vendor.held.is_none() {
                self.upstream.vendors.remove(&id);
            }
        }
        let is_there = |id: &u32| self.state.routings.contains_key(id);
        self.upstream.bans.retain(|id, _| is_there(id));
    }

    /// A dataplane is there: what was asked of the one before is void.
    pub(super) fn reopen_upstream(&mut self) {
        self.upstream.open = true;
        let void = self.upstream.give_up(|_| true);
        self.withdraw(&void);
    }

    /// Takes back what no worker has read yet: it must not pile up while none is there.
    fn withdraw(&mut self, void: &BTreeSet<u64>) {
        if void.is_empty() {
            return;
        }
        for queue in &mut self.down {
            queue.retain(|down| match down {
                Down::Order(Order::Errand(errand)) => !void.contains(&errand.id),
                _ => true,
            });
        }
    }

    /// What is due now.
    pub(super) fn handle_upstream_time(&mut self, time: Time) {
        if self.upstream.stale {
            self.review_upstream(time);
        }
        self.handle_names_time(time);
        self.upstream.bans.retain(|_, until| *until > time.now);
        let void = self.upstream.give_up(|sent| time.now >= sent.at + LOST_AFTER);
        self.withdraw(&void);
        self.lapse(time);
        if !self.upstream.open {
            return;
        }
        let served = self.upstream.served;
        let ids = || self.upstream.vendors.keys().copied();
        let turn = ids().filter(|id| *id > served).chain(ids().filter(|id| *id <= served));
        let due = |id: &u32| self.upstream.vendors.get(id).is_some_and(|it| it.is_due(time.now));
        let turn: Vec<u32> = turn.filter(due).collect();
        for id in turn {
            if self.upstream.errands.len() >= ERRANDS_MAX {
                return;
            }
            self.upstream.served = id;
            self.keep_registered(time, id);
            self.probe(time, id);
        }
    }

    /// Registrations that nobody refreshed in time are over.
    fn lapse(&mut self, time: Time) {
        for vendor in self.upstream.vendors.values_mut() {
            let upkeep = &mut vendor.upkeep;
            if upkeep.phase == Phase::Registered && upkeep.until <= time.now {
                upkeep.phase = Phase::Failed;
                let detail = "it ran out and could not be refreshed; no calls go there".to_owned();
                self.journal.raise(Event {
                    at_us: time.wall_us,
                    name: "registration_failed",
                    subject: vendor.subject.clone(),
                    severity: Severity::Critical,
                    detail,
                });
            }
        }
    }

    /// Requests of ours that wait for their answer.
    #[cfg(test)]
    pub(super) fn upstream_under_way(&self) -> usize {
        self.upstream.errands.len()
    }

    fn options_interval(&self) -> Duration {
        Duration::from_secs(self.state.values.number("TG_OPTIONS_CHECK_INTERVAL"))
    }

    /// Sends OPTIONS if it is time.
    fn probe(&mut self, time: Time, id: u32) {
        let interval = self.options_interval();
        let vendor = self.upstream.vendors.get_mut(&id);
        let Some(probes) = vendor.and_then(|vendor| vendor.probes.as_mut()) else { return };
        for target in probes.take_due(time.now, interval) {
            // Who has not answered the last one yet is not asked the next.
            let is_asked =
                |sent: &Sent| (sent.gateway, sent.what, sent.target) == (id, What::Probe, target);
            if self.upstream.errands.values().any(is_asked) {
                continue;
            }
            let errand = Errand { target, cseq: 1, ..errand(ErrandKind::Options, id) };
            let call_id = self.chance.draw();
            self.send(time, What::Probe, Errand { call_id, ..errand });
        }
    }

    /// Registers, refreshes or takes back what is due.
    fn keep_registered(&mut self, time: Time, id: u32) {
        if self.upstream.is_busy(id, |what| what != What::Probe) {
            return;
        }
        let Some(vendor) = self.upstream.vendors.get_mut(&id) else { return };
        if vendor.upkeep.due > time.now {
            return;
        }
        match (&vendor.held, &vendor.wish) {
            (Some(held), wish) if !wish.as_ref().is_some_and(|wish| wish.is_held_by(held)) => {
                let held = held.clone();
                self.take_back(time, &held);
            }
            (_, Some(wish)) => {
                let wish = wish.clone();
                self.register(time, id, wish);
            }
            (_, None) => {}
        }
    }

    fn register(&mut self, time: Time, id: u32, wish: Wish) {
        let places = self.state.places(id);
        let expires_s = self.state.values.small("EXPIRE");
        let Some(vendor) = self.upstream.vendors.get_mut(&id) else { return };
        let upkeep = &mut vendor.upkeep;
        let Some(target) = places.get(upkeep.place % places.len().max(1)) else {
            // Its name leads nowhere yet; as soon as it does, this is looked at again.
            upkeep.due = time.now + Duration::from_secs(1);
            return;
        };
        if upkeep.phase == Phase::Off {
            upkeep.phase = Phase::Trying;
        }
        upkeep.cseq = next_cseq(time, upkeep.cseq);
        let (cseq, expires_s) = (upkeep.cseq, expires_s.max(upkeep.expires_s));
        let (call_id, until_us) = match &vendor.held {
            Some(held) => (held.call_id, held.until_us),
            None => (self.chance.draw(), 0),
        };
        let Wish { target: text, user, domain, username, password } = wish;
        let server = Server::only(*target);
        let gateway = id;
        let row = Registration {
            gateway,
            call_id,
            target: text,
            server,
            user,
            domain,
            username,
            password,
            until_us,
        };
        let errand = registration(&row, expires_s, cseq);
        if vendor.held.as_ref() != Some(&row) {
            vendor.held = Some(row.clone());
            self.change(Change::Registration(Box::new(row)));
        }
        self.send(time, What::Register, errand);
    }

    /// Takes a registration back, if that is wished and it can still stand.
    fn take_back(&mut self, time: Time, held: &Registration) {
        let is_over = held.until_us > 0 && held.until_us <= time.wall_us;
        if is_over || self.state.values.number("SEND_UNREGISTER") == 0 {
            return self.forget(time, held.gateway);
        }
        if !self.state.routings.contains_key(&held.gateway) {
            // Its document is gone, and after a restart no worker knows its password any more.
            let profile = Profile {
                gateway: held.gateway,
                present: 1,
                username: Text::cut(held.username.as_bytes()),
                password: Secret(Text::cut(held.password.as_bytes())),
                ..Profile::default()
            };
            self.order(self.worker_of(held.gateway), Order::Profile(profile));
        }
        let Some(vendor) = self.upstream.vendors.get_mut(&held.gateway) else { return };
        vendor.upkeep.cseq = next_cseq(time, vendor.upkeep.cseq);
        let errand = registration(held, 0, vendor.upkeep.cseq);
        self.send(time, What::TakeBack, errand);
    }

    /// Nothing is registered there any more, or nobody cares.
    fn forget(&mut self, time: Time, id: u32) {
        self.change(Change::RegistrationGone(id));
        if !self.state.routings.contains_key(&id) {
            self.depart(time, id);
        }
        let Some(vendor) = self.upstream.vendors.get_mut(&id) else { return };
        vendor.held = None;
        vendor.upkeep.due = time.now;
        if vendor.wish.is_none() && vendor.probes.is_none() {
            self.upstream.vendors.remove(&id);
        }
    }

    fn worker_of(&self, gateway: u32) -> usize {
        gateway as usize % self.down.len().max(1)
    }

    fn send(&mut self, time: Time, what: What, errand: Errand) {
        let id = self.chance.draw();
        let Errand { gateway, target, .. } = errand;
        self.upstream.errands.insert(id, Sent { gateway, target, what, at: time.now });
        self.order(self.worker_of(gateway), Order::Errand(Errand { id, ..errand }));
    }

    /// What came of an errand.
    pub fn handle_errand(&mut self, time: Time, done: &ErrandDone) {
        let Some(sent) = self.upstream.errands.remove(&done.id) else { return };
        match sent.what {
            What::Probe => {
                let round_trip_us = is_alive(done.status).then_some(done.round_trip_us);
                self.count_probe(time, sent.gateway, sent.target, round_trip_us);
            }
            What::Register => self.registered(time, sent.gateway, done),
            What::TakeBack => {
                let vendor = self.upstream.vendors.get_mut(&sent.gateway);
                if let Some(vendor) = vendor {
                    vendor.upkeep.cseq = vendor.upkeep.cseq.max(done.cseq);
                }
                self.forget(time, sent.gateway);
            }
        }
    }

    /// What calls found out about a gateway.
    pub fn handle_news(&mut self, time: Time, news: &GatewayNews) {
        let name = self.state.name_of(Kind::Routing, news.gateway);
        let Ok(Entity::Routing(gateway)) = self.state.document(Kind::Routing, name) else { return };
        match News::from_number(news.kind) {
            Some(News::RetryAfter) if gateway.sip.retry_after && news.seconds > 0 => {
                let seconds = news.seconds.min(BAN_S_MAX);
                let until = time.now + Duration::from_secs(seconds.into());
                let subject = subject(name);
                let known = self.upstream.bans.get(&news.gateway).copied();
                self.upstream.bans.insert(news.gateway, known.map_or(until, |it| it.max(until)));
                if known.is_none() {
                    self.note(time, "retry_after", &subject, format!("left alone for {seconds} s"));
                }
            }
            Some(News::PasswordRefused) => {
                let detail = "it refused our password twice; set auth_username and auth_password";
                self.journal.raise(Event {
                    at_us: time.wall_us,
                    name: "password_refused",
                    subject: subject(name),
                    severity: Severity::Critical,
                    detail: detail.into(),
                });
            }
            Some(News::Unreachable) => self.doubt(time, news.gateway),
            Some(News::RetryAfter) | None => {}
        }
    }

    /// A call found nobody at one place of a gateway: counted where that is the only one; where there
    /// are several, which one it was is asked.
    fn doubt(&mut self, time: Time, id: u32) {
        let vendor = self.upstream.vendors.get_mut(&id);
        let Some(probes) = vendor.and_then(|vendor| vendor.probes.as_mut()) else { return };
        match probes.only() {
            Some(place) => self.count_probe(time, id, place, None),
            None => probes.ask_again(None),
        }
    }

    fn count_probe(&mut self, time: Time, id: u32, place: Endpoint, round_trip_us: Option<u32>) {
        let failures = self.state.values.number("TG_OPTIONS_CHECK_FAILURES");
        let successes = self.state.values.number("TG_OPTIONS_CHECK_SUCCESSES");
        let Some(vendor) = self.upstream.vendors.get_mut(&id) else { return };
        let Some(probes) = vendor.probes.as_mut() else { return };
        let Some(turn) = probes.count(place, round_trip_us, (failures, successes)) else { return };
        let subject = place_subject(&vendor.subject, place);
        let silent = format!("{failures} OPTIONS in a row without an answer");
        let at_us = time.wall_us;
        if turn == Turn::On {
            self.journal.clear(at_us, "place_offline", &subject);
            return self.journal.clear(at_us, "gateway_offline", &vendor.subject);
        }
        if probes.are_many() {
            self.journal.raise(Event {
                at_us,
                name: "place_offline",
                subject,
                severity: Severity::Warning,
                detail: format!("{silent}; calls pass it over"),
            });
        }
        if !probes.is_online() {
            self.journal.raise(Event {
                at_us,
                name: "gateway_offline",
                subject: vendor.subject.clone(),
                severity: Severity::Critical,
                detail: format!("{silent}; no calls go there"),
            });
        }
    }

    fn registered(&mut self, time: Time, id: u32, done: &ErrandDone) {
        let asked_s = self.state.values.small("EXPIRE");
        let delay = Duration::from_secs(self.state.values.number("RETRY_DELAY"));
        let places = self.state.places(id).len();
        let Some(vendor) = self.upstream.vendors.get_mut(&id) else { return };
        let upkeep = &mut vendor.upkeep;
        upkeep.cseq = upkeep.cseq.max(done.cseq);
        let pair = vendor.wish.as_ref().zip(vendor.held.as_ref());
        if !pair.is_some_and(|(wish, held)| wish.is_held_by(held)) {
            // Meanwhile something else was wished for: whatever became of this one is taken back.
            upkeep.due = time.now;
            return;
        }
        let asked_s = asked_s.max(upkeep.expires_s);
        let detail = match done.status {
            200..=299 => {
                let granted_s = if done.expires_s == 0 { asked_s } else { done.expires_s };
                let granted = Duration::from_secs(granted_s.into());
                let is_new = upkeep.phase != Phase::Registered;
                upkeep.phase = Phase::Registered;
                upkeep.until = time.now + granted;
                upkeep.due = time.now + refreshed_after(granted, &mut self.chance);
                (upkeep.failed, upkeep.rest_s) = (0, 0);
                let subject = vendor.subject.clone();
                if let Some(held) = &mut vendor.held {
                    held.until_us = time.wall_us + u64::from(granted_s) * 1_000_000;
                    let row = held.clone();
                    self.change(Change::Registration(Box::new(row)));
                }
                for alarm in ["registration_failed", "password_refused"] {
                    self.journal.clear(time.wall_us, alarm, &subject);
                }
                if is_new {
                    self.note(time, "registered", &subject, format!("for {granted_s} s"));
                }
                return;
            }
            423 if done.expires_s > asked_s && done.expires_s <= EXPIRES_S_MAX => {
                upkeep.expires_s = done.expires_s;
                upkeep.due = time.now;
                return;
            }
            status @ (401 | 403 | 407) => {
                upkeep.due = time.now + jittered(REFUSED_AGAIN, &mut self.chance);
                if upkeep.phase != Phase::Registered {
                    upkeep.phase = Phase::Refused;
                }
                format!("refused with {status}; set auth_username and auth_password")
            }
            status => {
                upkeep.rest_s = upkeep.rest_s.max(done.retry_after_s);
                upkeep.failed += 1;
                upkeep.place += 1;
                if matches!(status, 0 | 408 | 500..=599) && upkeep.failed < places {
                    // Another place of the same vendor may answer (RFC 3263 §4.3).
                    upkeep.due = time.now;
                    return;
                }
                let rest = Duration::from_secs(upkeep.rest_s.into()).min(REST_MAX);
                (upkeep.failed, upkeep.rest_s) = (0, 0);
                let wait = jittered(delay, &mut self.chance);
                // Never sooner than it asked for.
                let wait = if rest.is_zero() { wait } else { rest + wait / 10 };
                upkeep.due = time.now + wait;
                if upkeep.phase != Phase::Registered {
                    upkeep.phase = Phase::Failed;
                }
                match status {
                    0 => "nobody answers".to_owned(),
                    status => format!("answered with {status}"),
                }
            }
        };
        let (severity, meanwhile) = match upkeep.phase {
            Phase::Registered => (Severity::Warning, "the last registration still holds"),
            _ => (Severity::Critical, "no calls go there"),
        };
        self.journal.raise(Event {
            at_us: time.wall_us,
            name: "registration_failed",
            subject: vendor.subject.clone(),
            severity,
            detail: format!("{detail}; {meanwhile}"),
        });
    }
}

impl Vendor {
    fn is_due(&self, now: link::Instant) -> bool {
        let registers = self.wish.is_some() || self.held.is_some();
        registers && self.upkeep.due <= now
            || self.probes.as_ref().is_some_and(|probes| probes.is_due(now))
    }
}

/// How a gateway is called in alarms and events.
pub(super) fn subject(name: &str) -> String {
    format!("{} {name}", Kind::Routing.name())
}

/// How one of its places is.
fn place_subject(gateway: &str, place: Endpoint) -> String {
    format!("{gateway} at {place:?}")
}

fn next_cseq(time: Time, last: u32) -> u32 {
    let seconds = (time.wall_us / 1_000_000).saturating_sub(CSEQ_ZERO_S);
    u32::try_from(seconds).unwrap_or(0).max(last + 1)
}

fn errand(kind: ErrandKind, gateway: u32) -> Errand {
    Errand {
        id: 0,
        call_id: 0,
        gateway,
        expires_s: 0,
        cseq: 0,
        connection: 0,
        target: Endpoint::NONE,
        local: Endpoint::NONE,
        kind: kind as u8,
        spare: [0; 7],
        uri: Text::EMPTY,
        user: Text::EMPTY,
        domain: Text::EMPTY,
    }
}

/// REGISTER for `expires_s`; 0 takes back.
fn registration(row: &Registration, expires_s: u32, cseq: u32) -> Errand {
    Errand {
        call_id: row.call_id,
        expires_s,
        cseq,
        target: row.server.endpoints().next().unwrap_or(Endpoint::NONE),
        // Both were checked to fit when the document was read.
        user: Text::cut(row.user.as_bytes()),
        domain: Text::cut(row.domain.as_bytes()),
        ..errand(ErrandKind::Register, row.gateway)
    }
}
