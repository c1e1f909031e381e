//! Where phones can be reached: an address of record's contacts, as REGISTER made them (RFC 3261
//! §10.3).
//!
//! One REGISTER is judged whole and then done whole. What changed comes back as [`Moved`], for the store.
//! Every table here has a limit: contacts of one owner, bindings in all.
//!
//! Light mode (`SS_SIP_REGISTRATION_LIGHTWEIGHT`) spares the store: it is told that a binding lives one
//! lifetime longer than it does, and a refresh that changes nothing else is written only when that is
//! used up. A phone that refreshes at half its lifetime is written every third time. After a restart
//! such a binding may outlive its phone by one lifetime; it never ends too early.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use link::Endpoint;
use link::endpoint::Transport;
use serde::{Deserialize, Serialize};
use sip::Uri;

/// Where SIP is listened to if nothing is said (§19.1.2).
const PORT_USUAL: u16 = 5060;

/// Bindings that end in one tick, at most.
const ENDED_PER_TICK_MAX: usize = 1_000;

/// The device of a contact (RFC 5626 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name, which outlives its contacts.
    pub instance: String,
    /// Which of its flows the contact is; 0: it keeps none open.
    pub reg_id: u32,
}

/// One way to reach an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The contact's URI.
    pub uri: String,
    /// What it belongs to, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Preference in thousandths.
    pub q: u16,
    /// When it ends, µs since 1970 UTC.
    pub expires_us: u64,
    /// Until when the store believes in it.
    pub stored_until_us: u64,
    /// Route set that leads there, joined by commas (RFC 3327).
    pub path: String,
    /// Whence its REGISTER came.
    #[serde(with = "endpoint")]
    pub source: Endpoint,
    /// The own address it came to.
    #[serde(with = "endpoint")]
    pub local: Endpoint,
    /// The rim's number of the connection it came by; 0: none.
    pub connection: u32,
    /// Which dataplane had that connection.
    pub epoch: u64,
    /// User-Agent.
    pub user_agent: String,
    /// Call-ID of its last REGISTER.
    pub call_id: String,
    /// CSeq of its last REGISTER.
    pub cseq: u32,
    /// Registered without a gap since, µs since 1970 UTC.
    pub since_us: u64,
    /// When it was refreshed last.
    pub refreshed_us: u64,
    /// Grows with every change of any binding.
    pub generation: u64,
    /// The contact's own address is not the one it came from.
    pub nat: bool,
}

/// An endpoint as text: `udp 192.0.2.1:5060`; empty: none.
mod endpoint {
    use link::Endpoint;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{TRANSPORTS, Transport, transport_name};

    pub(super) fn serialize<S: Serializer>(it: &Endpoint, out: S) -> Result<S::Ok, S::Error> {
        match it.socket_address() {
            Some(address) => out.collect_str(&format_args!("{} {address}", transport_name(*it))),
            None => out.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Endpoint, D::Error> {
        let text = String::deserialize(from)?;
        let Some((transport, address)) = text.split_once(' ') else { return Ok(Endpoint::NONE) };
        let named = |it: &Transport| transport_name(Endpoint::NONE.by(*it)) == transport;
        let transport = TRANSPORTS.into_iter().find(named).unwrap_or_default();
        let address: std::net::SocketAddr = address.parse().map_err(serde::de::Error::custom)?;
        Ok(Endpoint::from(address).by(transport))
    }
}

const TRANSPORTS: [Transport; 5] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// How SIP gets there, in one word.
#[must_use]
pub fn transport_name(endpoint: Endpoint) -> &'static str {
    match endpoint.transport() {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Ws => "ws",
        Transport::Wss => "wss",
    }
}

/// The address and the port that a contact names, as far as it does.
fn place_of(uri: &str) -> (Option<IpAddr>, Option<u16>) {
    let uri = Uri::parse(uri.as_bytes());
    (uri.and_then(|uri| uri.host().ip()), uri.and_then(|uri| uri.port()))
}

/// Whether two URIs are one contact (§19.1.4). What is no URI is compared letter by letter.
fn is_same(one: &str, other: &str) -> bool {
    let read = |uri| Uri::parse(str::as_bytes(uri));
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one.is_same(&other),
        _ => one == other,
    }
}

/// Which of these a contact means: the one with its very letters, else the newest that is the same.
///
/// Sameness is no equivalence: a contact without a parameter is the same as two that have it with
/// different values. It changes one of them. A flow is known by its device and its number alone, whatever
/// its URI, and no other contact is meant by it (RFC 5626 §6).
fn place_in(all: &[Binding], wanted: &Wanted) -> Option<usize> {
    if let flow @ Some(_) = flow_of(wanted.device.as_ref()) {
        return all.iter().position(|it| flow_of(it.device.as_ref()) == flow);
    }
    let alike = |it: &Binding| flow_of(it.device.as_ref()).is_none();
    let written = all.iter().position(|it| it.uri == wanted.uri && alike(it));
    written.or_else(|| all.iter().rposition(|it| is_same(&it.uri, &wanted.uri) && alike(it)))
}

fn flow_of(device: Option<&Device>) -> Option<&Device> {
    device.filter(|device| device.reg_id != 0)
}

impl Binding {
    /// What tells it from all others of its owner: two flows may have one URI.
    #[must_use]
    pub fn name(&self) -> String {
        match flow_of(self.device.as_ref()) {
            Some(Device { instance, reg_id }) => format!("{} {instance} {reg_id}", self.uri),
            None => self.uri.clone(),
        }
    }

    /// Whether both are flows of one device.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        let flows = [self, other].map(|it| flow_of(it.device.as_ref()));
        matches!(flows, [Some(one), Some(other)] if one.instance == other.instance)
    }

    /// Where a request goes that is to reach it, and by which connection. `None`: the connection it came
    /// by is gone, and a phone behind NAT listens nowhere else.
    #[must_use]
    pub fn way(&self) -> Option<(Endpoint, u32)> {
        if self.connection != 0 || self.source.transport() == Transport::Udp {
            return Some((self.source, self.connection));
        }
        let transport = self.source.transport();
        let usual = match transport {
            Transport::Udp | Transport::Tcp => PORT_USUAL,
            Transport::Tls => 5061,
            // Who came by WebSocket listens nowhere (RFC 7118 §5).
            Transport::Ws | Transport::Wss => return None,
        };
        let (address, port) = place_of(&self.uri);
        let address = SocketAddr::new(address.filter(|_| !self.nat)?, port.unwrap_or(usual));
        Some((Endpoint::from(address).by(transport), 0))
    }
}

/// What a REGISTER wants for one contact.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The contact's URI.
    pub uri: String,
    /// What it belongs to, if it says so.
    pub device: Option<Device>,
    /// Preference in thousandths.
    pub q: u16,
    /// Lifetime that it asks for, s; 0: take it back.
    pub expires_s: u32,
}

/// A REGISTER of someone who proved who he is.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its contacts.
    pub contacts: Vec<Wanted>,
    /// `Contact: *`: all are taken back.
    pub all_gone: bool,
    /// Everything else that its bindings will have.
    pub template: Binding,
}

/// What may be registered.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bindings of one owner.
    pub contacts_max: usize,
    /// Bindings in all.
    pub bindings_max: usize,
    /// Shortest lifetime, s.
    pub expires_min_s: u32,
    /// Longest lifetime, s; who asks for more gets this.
    pub expires_max_s: u32,
    /// Light mode.
    pub light: bool,
}

/// Why nothing of a REGISTER was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Older than what is bound by the same Call-ID (§10.3 step 7).
    Overtaken,
    /// A lifetime is too short.
    TooBrief,
    /// More contacts than one owner may have.
    TooMany,
    /// No room for one more binding.
    Full,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This is there now.
    Bound(Box<Binding>),
    /// The contact of this [name](Binding::name) is not there any more.
    Gone(String),
}

/// All bindings, by the number of their owner.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    by_owner: HashMap<u32, Vec<Binding>>,
    /// When which of them end.
    ends: BTreeSet<(u64, u32)>,
    /// Owners with contacts behind NAT.
    natted: BTreeSet<u32>,
    /// Owners by the connections that they came by.
    connections: BTreeSet<(u32, u32)>,
    /// How many came from where.
    sources: HashMap<IpAddr, u32>,
    /// Those whose count changed since it was asked.
    sources_changed: BTreeSet<IpAddr>,
    live: usize,
    generation: u64,
}

impl Bindings {
    /// How many there are.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    /// Those of one owner that have not ended, the newest last.
    pub fn of(&self, owner: u32, now_us: u64) -> impl DoubleEndedIterator<Item = &Binding> {
        let all = self.by_owner.get(&owner).into_iter().flatten();
        all.filter(move |binding| binding.expires_us > now_us)
    }

    /// How many are registered from there.
    #[must_use]
    pub fn at_source(&self, address: IpAddr) -> u32 {
        self.sources.get(&address).copied().unwrap_or(0)
    }

    /// Whence anything is registered.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.sources.keys().copied()
    }

    /// Whence something was registered, or is no more, since this was asked last.
    pub fn poll_sources(&mut self) -> impl Iterator<Item = IpAddr> + use<> {
        std::mem::take(&mut self.sources_changed).into_iter()
    }

    /// Whether anything is bound from this address.
    #[must_use]
    pub fn has_source(&self, address: IpAddr) -> bool {
        self.sources.contains_key(&address)
    }

    /// How many owners have contacts behind NAT.
    #[must_use]
    pub fn natted(&self) -> usize {
        self.natted.len()
    }

    /// The next owner with contacts behind NAT, round and round.
    #[must_use]
    pub fn natted_behind(&self, owner: u32) -> Option<u32> {
        let behind = self.natted.range(owner.saturating_add(1)..).next();
        behind.or(self.natted.first()).copied()
    }

    /// Puts back what the store remembers.
    pub fn restore(&mut self, owner: u32, mut binding: Binding) {
        binding.expires_us = binding.expires_us.max(binding.stored_until_us);
        self.generation = self.generation.max(binding.generation);
        let mut all = self.by_owner.get(&owner).cloned().unwrap_or_default();
        all.push(binding);
        all.sort_by_key(|binding| (binding.refreshed_us, binding.generation));
        self.replace(owner, all);
    }

    /// Does what a REGISTER asks for, all of it or nothing.
    ///
    /// # Errors
    /// Why nothing of it was done.
    pub fn register(
        &mut self,
        owner: u32,
        now_us: u64,
        bounds: &Bounds,
        request: &Request,
    ) -> Result<Vec<Moved>, Refused> {
        let all = self.by_owner.get(&owner).cloned().unwrap_or_default();
        let (mut all, over): (Vec<Binding>, Vec<Binding>) =
            all.into_iter().partition(|binding| binding.expires_us > now_us);
        let meant = request.contacts.iter().filter_map(|it| all.get(place_in(&all, it)?));
        let touched = meant.chain(all.iter().filter(|_| request.all_gone));
        let template = &request.template;
        for binding in touched.filter(|it| it.call_id == template.call_id) {
            match template.cseq.cmp(&binding.cseq) {
                std::cmp::Ordering::Less => return Err(Refused::Overtaken),
                // The same request once more: its answer was lost, and all of it is done already.
                std::cmp::Ordering::Equal => return Ok(Vec::new()),
                std::cmp::Ordering::Greater => {}
            }
        }
        let stays = |it: &&Wanted| it.expires_s > 0;
        if request.contacts.iter().filter(stays).count() > bounds.contacts_max {
            return Err(Refused::TooMany);
        }
        if request.contacts.iter().filter(stays).any(|it| it.expires_s < bounds.expires_min_s) {
            return Err(Refused::TooBrief);
        }
        let mut moved: Vec<Moved> = over.into_iter().map(|it| Moved::Gone(it.name())).collect();
        if request.all_gone {
            moved.extend(all.drain(..).map(|it| Moved::Gone(it.name())));
        }
        for wanted in &request.contacts {
            let old = place_in(&all, wanted).map(|place| all.remove(place));
            if wanted.expires_s == 0 {
                moved.extend(old.map(|it| Moved::Gone(it.name())));
                continue;
            }
            self.generation += 1;
            let bound = self.bind(now_us, bounds, wanted, template, old.as_ref());
            // The store knows a binding by its letters, and the phone wants those it wrote last.
            if let Some(old) = old.as_ref().filter(|old| old.name() != bound.name()) {
                moved.push(Moved::Gone(old.name()));
            }
            if old.as_ref().is_none_or(|old| !bounds.light || is_news(old, &bound)) {
                moved.push(Moved::Bound(Box::new(bound.clone())));
            }
            all.push(bound);
        }
        // The oldest make room for the newest.
        let surplus = all.len().saturating_sub(bounds.contacts_max);
        moved.extend(all.drain(..surplus).map(|it| Moved::Gone(it.name())));
        let had = self.by_owner.get(&owner).map_or(0, Vec::len);
        if all.len() > had && self.live - had + all.len() > bounds.bindings_max {
            return Err(Refused::Full);
        }
        self.replace(owner, all);
        Ok(moved)
    }

    fn bind(
        &self,
        now_us: u64,
        bounds: &Bounds,
        wanted: &Wanted,
        template: &Binding,
        old: Option<&Binding>,
    ) -> Binding {
        let life_us = u64::from(wanted.expires_s.min(bounds.expires_max_s)) * 1_000_000;
        let expires_us = now_us + life_us;
        let mut bound = Binding {
            uri: wanted.uri.clone(),
            device: wanted.device.clone(),
            q: wanted.q,
            expires_us,
            stored_until_us: if bounds.light { expires_us + life_us } else { expires_us },
            since_us: old.map_or(now_us, |old| old.since_us),
            refreshed_us: now_us,
            generation: self.generation,
            nat: is_elsewhere(&wanted.uri, template.source),
            ..template.clone()
        };
        if let Some(old) = old.filter(|old| bounds.light && !is_news(old, &bound)) {
            bound.stored_until_us = old.stored_until_us;
        }
        bound
    }

    /// Takes all back.
    pub fn forget(&mut self, owner: u32) -> usize {
        let had = self.by_owner.get(&owner).map_or(0, Vec::len);
        self.replace(owner, Vec::new());
        had
    }

    /// Ends what is over, some of it at a time.
    pub fn expire(&mut self, now_us: u64) -> Vec<(u32, String)> {
        let mut ended = Vec::new();
        while ended.len() < ENDED_PER_TICK_MAX
            && let Some((_, owner)) = self.ends.first().copied().filter(|(at, _)| *at <= now_us)
        {
            let all = self.by_owner.get(&owner).cloned().unwrap_or_default();
            let (live, over): (Vec<Binding>, Vec<Binding>) =
                all.into_iter().partition(|binding| binding.expires_us > now_us);
            ended.extend(over.into_iter().map(|binding| (owner, binding.name())));
            self.replace(owner, live);
        }
        ended
    }

    /// Connections of another dataplane than this, or of a machine that was switched off meanwhile, are
    /// gone; their numbers belong to others now.
    pub fn forget_connections(&mut self, epoch: u64, booted_us: u64) {
        for binding in self.by_owner.values_mut().flatten() {
            if binding.epoch != epoch || binding.refreshed_us < booted_us {
                binding.connection = 0;
            }
        }
        let all = self.by_owner.iter().flat_map(|(owner, all)| all.iter().map(|it| (it, *owner)));
        self.connections =
            all.filter_map(|(it, owner)| Some((by_connection(it)?, owner))).collect();
    }

    /// One connection of this dataplane is gone. The bindings that came by it, as they are now.
    pub fn lose_connection(&mut self, epoch: u64, connection: u32) -> Vec<(u32, Binding)> {
        let by_it = self.connections.range((connection, 0)..=(connection, u32::MAX));
        let owners: Vec<u32> = by_it.map(|(_, owner)| *owner).collect();
        let mut lost = Vec::new();
        for owner in owners {
            let mut all = self.by_owner.get(&owner).cloned().unwrap_or_default();
            let came_by_it = |it: &&mut Binding| it.connection == connection && it.epoch == epoch;
            for binding in all.iter_mut().filter(came_by_it) {
                binding.connection = 0;
                lost.push((owner, binding.clone()));
            }
            self.replace(owner, all);
        }
        lost
    }

    /// All of an owner's, in place of what it had, in every table.
    fn replace(&mut self, owner: u32, all: Vec<Binding>) {
        for old in self.by_owner.remove(&owner).into_iter().flatten() {
            self.live -= 1;
            self.ends.remove(&(old.expires_us, owner));
            if let Some(connection) = by_connection(&old) {
                self.connections.remove(&(connection, owner));
            }
            if let Some(address) = address_of(&old)
                && let Some(count) = self.sources.get_mut(&address)
            {
                *count -= 1;
                self.sources_changed.insert(address);
                if *count == 0 {
                    self.sources.remove(&address);
                }
            }
        }
        self.natted.remove(&owner);
        for new in &all {
            self.live += 1;
            self.ends.insert((new.expires_us, owner));
            if let Some(connection) = by_connection(new) {
                self.connections.insert((connection, owner));
            }
            if let Some(address) = address_of(new) {
                *self.sources.entry(address).or_default() += 1;
                self.sources_changed.insert(address);
            }
            if new.nat {
                self.natted.insert(owner);
            }
        }
        if !all.is_empty() {
            self.by_owner.insert(owner, all);
        }
    }
}

fn by_connection(binding: &Binding) -> Option<u32> {
    Some(binding.connection).filter(|&connection| connection != 0)
}

fn address_of(binding: &Binding) -> Option<IpAddr> {
    binding.source.socket_address().map(|source| source.ip())
}

/// Whether a contact says another address than the one it came from; over UDP another port too, as of a
/// connection the port says nothing. A NAT may share its address with whoever is behind it.
fn is_elsewhere(uri: &str, source: Endpoint) -> bool {
    let Some(from) = source.socket_address() else { return true };
    let (address, port) = place_of(uri);
    let is_other_port =
        source.transport() == Transport::Udp && port.unwrap_or(PORT_USUAL) != from.port();
    address != Some(from.ip()) || is_other_port
}

/// Whether the store must hear of a refresh in light mode.
fn is_news(old: &Binding, new: &Binding) -> bool {
    let fixed = |it: &Binding| (it.source, it.local, it.connection, it.epoch, it.q, it.nat);
    new.expires_us > old.stored_until_us
        || fixed(old) != fixed(new)
        || old.device != new.device
        || [&old.uri, &old.call_id, &old.path, &old.user_agent]
            != [&new.uri, &new.call_id, &new.path, &new.user_agent]
}

#[cfg(test)]
mod tests;
