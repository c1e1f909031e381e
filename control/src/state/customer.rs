//! Whoever brings calls in, as a decision sees it: mapping gateways and phones, found by number, by
//! digest username, or by what is dialled.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use link::profile::Wishes;
use numbers::Number;
use routing::MappingGateway;

use super::entity::Ring;
use super::secret::Hashes;
use super::word::words;

/// Prefixes that mean `+`, unless a mapping gateway's own rules say otherwise.
pub const INTERNATIONAL: [&str; 1] = ["00"];

words! {
    /// How a mapping gateway is recognised.
    Authentication {
        Ip = "ip", IpPort = "ip_port", Password = "password", IpAndPassword = "ip_and_password",
    }
    /// Whence the number of a gateway's caller is taken; where that is absent, from From.
    CallerFrom {
        From = "from", Asserted = "asserted", Preferred = "preferred",
        RemoteParty = "remote_party",
    }
}

impl Authentication {
    /// Whether it asks for a digest.
    #[must_use]
    pub fn asks_password(self) -> bool {
        matches!(self, Self::Password | Self::IpAndPassword)
    }

    /// Whether it goes by the source address.
    #[must_use]
    pub fn asks_address(self) -> bool {
        self != Self::Password
    }
}

/// How a phone is called.
#[derive(Clone, Copy, Debug)]
pub struct Ringing {
    /// Which of its bindings.
    pub ring: Ring,
    /// Where calls go while it is offline.
    pub offline_gateway: Option<u32>,
    /// Routing gateways follow.
    pub fall_through: bool,
}

/// Whoever brings calls in.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Its name in records.
    pub name: String,
    /// Lines, prices and rules.
    pub gateway: MappingGateway,
    /// How it is recognised.
    pub authentication: Authentication,
    /// Its digest username; empty: none.
    pub username: String,
    /// What proves it.
    pub hashes: Option<Hashes>,
    /// Where its callers' numbers stand.
    pub caller_from: CallerFrom,
    /// The number of all its callers, whatever they say.
    pub number: Option<Number>,
    /// Callers may withhold their number (RFC 3323).
    pub heeds_privacy: bool,
    /// Diversion and History-Info of it are believed.
    pub believes_diversion: bool,
    /// It is told when to come back (Retry-After).
    pub heeds_retry_after: bool,
    /// Its callers hear why their calls fail, whatever its account wants.
    pub hears_why: bool,
    /// It may send PUBLISH (RFC 3903).
    pub publishes: bool,
    /// What it wants of SIP, if it is a phone: a gateway's profile says it.
    pub wishes: Wishes,
    /// Whose calls it picks up, and who its; empty: nobody.
    pub pickup_group: String,
    /// Bindings at a time.
    pub contacts_max: usize,
    /// `None`: it is no phone.
    pub ringing: Option<Ringing>,
    /// What calls to it are dialled by.
    pub dialled: Vec<Number>,
}

impl Customer {
    /// Who proves himself by a digest, if it is one.
    fn user(&self) -> Option<&str> {
        let proves = self.authentication.asks_password() && self.hashes.is_some();
        (proves && !self.username.is_empty()).then_some(&self.username)
    }

    /// Whether it may send from there.
    #[must_use]
    pub fn may_send_from(&self, source: std::net::SocketAddr) -> bool {
        !self.authentication.asks_address()
            || self.gateway.sources.iter().any(|known| {
                known.prefix.contains(source.ip())
                    && known.port.is_none_or(|port| port == source.port())
            })
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Customers {
    by_id: HashMap<u32, Arc<Customer>>,
    users: BTreeMap<String, u32>,
    /// Phones by what is dialled.
    dialled: HashMap<Number, u32>,
    phones: usize,
    /// Phones that may send PUBLISH.
    publishing: usize,
}

impl Customers {
    /// The one with this number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Customer> {
        self.by_id.get(&id).map(Arc::as_ref)
    }

    /// The same, to be held while the state changes.
    #[must_use]
    pub fn share(&self, id: u32) -> Option<Arc<Customer>> {
        self.by_id.get(&id).cloned()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Customer> {
        self.by_id.values().map(Arc::as_ref)
    }

    /// Who proves himself by this username.
    #[must_use]
    pub fn of_user(&self, username: &str) -> Option<&Customer> {
        self.get(*self.users.get(username)?)
    }

    /// The phone that such a call rings.
    #[must_use]
    pub fn of_number(&self, dialled: &Number) -> Option<&Customer> {
        self.get(*self.dialled.get(dialled)?)
    }

    /// Whether anybody proves himself by a digest.
    #[must_use]
    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Usernames behind this one, in order; every name is behind the empty one.
    pub fn users_behind(&self, username: &str) -> impl Iterator<Item = (&str, &Customer)> {
        let behind = (Bound::Excluded(username), Bound::Unbounded);
        let users = self.users.range::<str, _>(behind);
        users.filter_map(|(name, id)| Some((name.as_str(), self.get(*id)?)))
    }

    /// How many mapping gateways there are.
    #[must_use]
    pub fn gateways(&self) -> usize {
        self.by_id.len() - self.phones
    }

    /// Whether any phone may send PUBLISH.
    #[must_use]
    pub fn has_publishing_phones(&self) -> bool {
        self.publishing > 0
    }

    /// How many phones there are.
    #[must_use]
    pub fn phones(&self) -> usize {
        self.phones
    }

    /// Puts one in place of what it was before.
    pub(super) fn put(&mut self, customer: Customer) {
        let id = customer.gateway.id;
        self.remove(id);
        if let Some(user) = customer.user() {
            self.users.insert(user.to_owned(), id);
        }
        self.phones += usize::from(customer.ringing.is_some());
        self.publishing += usize::from(customer.ringing.is_some() && customer.publishes);
        self.dialled.extend(customer.dialled.iter().map(|number| (*number, id)));
        self.by_id.insert(id, Arc::new(customer));
    }

    /// All mapping gateways, in place of those there were.
    pub(super) fn replace_gateways(&mut self, gateways: Vec<Customer>) {
        let is_old = |customer: &&Arc<Customer>| customer.ringing.is_none();
        let old: Vec<u32> =
            self.by_id.values().filter(is_old).map(|customer| customer.gateway.id).collect();
        old.into_iter().for_each(|id| self.remove(id));
        gateways.into_iter().for_each(|gateway| self.put(gateway));
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Some(old) = self.by_id.remove(&id) else { return };
        if let Some(user) = old.user() {
            self.users.remove(user);
        }
        self.phones -= usize::from(old.ringing.is_some());
        self.publishing -= usize::from(old.ringing.is_some() && old.publishes);
        for number in &old.dialled {
            self.dialled.remove(number);
        }
    }
}
