//! All business state in memory, and what an operator may say about it.
//!
//! [`entity`] holds the documents (accounts, gateways, tariffs, lists) as API, CLI and store see them;
//! [`State`] turns them into what a decision needs (source table, route table, tariffs) whenever one
//! changes.

pub mod binding;
pub mod customer;
pub mod entity;
pub mod phone;
pub mod profile;
pub mod secret;
pub(crate) mod word;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use link::ask::CONTACTS_MAX;
use link::order::PlaceName;
use link::profile::GATEWAYS_MAX;
use link::{Endpoint, Profile, Text, Transport};
use numbers::transform::{Rule, Rules};
use rating::{Money, Price, RoundingMode, Tariff};
use routing::{
    Limiter, Limits, MappingGateway, Onward, Rotation, RouteTable, RoutingGateway, Source,
    SourceTable,
};
use serde_json::Value;

use crate::Refusal;
use crate::params::Values;
use crate::resolve::{Host, Server, Target, order};
use binding::Bindings;
use customer::{Authentication, CallerFrom, Customer, Customers, Ringing};
use entity::{Account, Entity, HIDDEN, Kind, Mapping, RateRow, Routing, TariffHead, TransformRule};
use phone::Phone;
use secret::{Password, Policy};

/// Phones that can be had.
const PHONES_MAX: usize = 200_000;

/// What an account may spend, and has spent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balance {
    /// Payments minus charges.
    pub amount: Money,
    /// Held for running calls.
    pub reserved: Money,
    /// Running calls.
    pub calls: u32,
}

/// Everything a decision looks at.
#[derive(Default)]
pub struct State {
    /// Documents by kind and name.
    documents: BTreeMap<(Kind, String), Entity>,
    /// Names by id: what a record remembers of a document.
    names: HashMap<(Kind, u32), String>,
    /// Rates by tariff id.
    rates: HashMap<u32, BTreeMap<String, RateRow>>,
    /// Parameters.
    pub values: Values,
    /// By account id.
    pub balances: HashMap<u32, Balance>,
    /// References of payments already booked.
    pub payments: std::collections::HashSet<String>,
    /// By gateway id.
    pub limiters: HashMap<u32, Limiter>,
    /// Weighted rotation.
    pub rotation: Rotation,
    /// Mapping gateways and phones.
    pub customers: Customers,
    /// Where phones can be reached.
    pub bindings: Bindings,
    /// Routing gateways by id.
    pub routings: HashMap<u32, RoutingGateway>,
    /// Where names of vendors lead, by the one spelling of the target.
    pub located: BTreeMap<String, Vec<Server>>,
    /// Where each routing gateway is.
    servers: HashMap<u32, Vec<Server>>,
    /// Who calls from where.
    pub sources: SourceTable,
    /// Who serves which prefix.
    pub routes: RouteTable,
    tariffs: HashMap<u32, Arc<Tariff>>,
    /// The last id given away.
    last_id: u32,
}

/// Fields that are ours to write; what an operator says about them is not heard.
pub const OURS: [&str; 2] = ["id", "version"];

impl State {
    /// The document of this kind and name.
    ///
    /// # Errors
    /// When there is none.
    pub fn document(&self, kind: Kind, name: &str) -> Result<&Entity, Refusal> {
        self.documents
            .get(&(kind, kind.spelling(name).into_owned()))
            .ok_or_else(|| Refusal::missing(kind.name(), name))
    }

    /// All documents of a kind, by name.
    pub fn documents(&self, kind: Kind) -> impl Iterator<Item = &Entity> {
        self.documents_behind(kind, "")
    }

    /// Those with a name behind this one; every name is behind the empty one.
    pub fn documents_behind(&self, kind: Kind, name: &str) -> impl Iterator<Item = &Entity> {
        let behind = Bound::Excluded((kind, name.to_owned()));
        self.documents
            .range((behind, Bound::Unbounded))
            .map(|(_, entity)| entity)
            .take_while(move |entity| entity.kind() == kind)
    }

    /// The name of the document with this id.
    #[must_use]
    pub fn name_of(&self, kind: Kind, id: u32) -> &str {
        self.names.get(&(kind, id)).map_or("", String::as_str)
    }

    /// An account.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn account(&self, name: &str) -> Result<&Account, Refusal> {
        match self.document(Kind::Account, name)? {
            Entity::Account(account) => Ok(account),
            _ => Err(Refusal::missing("account", name)),
        }
    }

    /// An account by its id.
    #[must_use]
    pub fn account_of(&self, id: u32) -> Option<&Account> {
        self.account(self.names.get(&(Kind::Account, id))?).ok()
    }

    fn tariff_head(&self, name: &str) -> Result<&TariffHead, Refusal> {
        match self.document(Kind::Tariff, name)? {
            Entity::Tariff(tariff) => Ok(tariff),
            _ => Err(Refusal::missing("tariff", name)),
        }
    }

    /// The last id given away. The store keeps it: records, debits and balances name documents by
    /// their ids for ever, so an id of a deleted document is never another one's.
    #[must_use]
    pub fn ids_used(&self) -> u32 {
        self.last_id
    }

    /// At boot, before anything is created: ids up to this one were given away.
    pub fn restore_ids(&mut self, used: u32) {
        self.last_id = self.last_id.max(used);
    }

    /// Creates a document from what the operator said.
    ///
    /// # Errors
    /// When the name is taken or a value cannot be.
    pub fn create(&mut self, kind: Kind, body: Value) -> Result<Entity, Refusal> {
        let id = self.last_id.checked_add(1).ok_or_else(|| {
            Refusal::new(507, "out of ids", "4294967295 documents were made here; none can follow")
        })?;
        let mut body = without_ours(body);
        if let Some(fields) = body.as_object_mut() {
            self.seal(kind, fields)?;
        }
        let entity = Entity::read(kind, id, body)?;
        if self.documents.contains_key(&(kind, entity.name().to_owned())) {
            let detail = format!("a {} named {:?} exists", kind.name(), entity.name());
            return Err(Refusal::new(409, "name taken", detail));
        }
        self.check(&entity)?;
        self.check_room(kind)?;
        self.last_id = id;
        self.put(entity.clone());
        Ok(entity)
    }

    /// Changes a document by the fields that `patch` names.
    ///
    /// # Errors
    /// When there is no such document or a value cannot be.
    pub fn update(&mut self, kind: Kind, name: &str, patch: &Value) -> Result<Entity, Refusal> {
        let name = &*kind.spelling(name);
        let old = self.document(kind, name)?;
        let id = old.id();
        let mut body = old.body();
        let (Some(fields), Value::Object(mut changes)) =
            (body.as_object_mut(), without_ours(patch.clone()))
        else {
            return Err(Refusal::invalid("a change is an object of fields"));
        };
        // Whoever sends back what was shown changes no secret.
        changes.retain(|_, value| value != HIDDEN);
        self.seal_changes(old, &mut changes)?;
        for (field, value) in changes {
            if field == "name" && value.as_str() != Some(name) {
                return Err(Refusal::invalid(
                    "a name stays; create another one and delete this one",
                ));
            }
            fields.insert(field, value);
        }
        let mut entity = Entity::read(kind, id, body)?;
        self.check(&entity)?;
        if let Entity::Tariff(tariff) = &mut entity {
            tariff.version += 1;
        }
        self.put(entity.clone());
        Ok(entity)
    }

    /// Deletes a document nobody refers to.
    ///
    /// # Errors
    /// When there is none, or something refers to it.
    pub fn delete(&mut self, kind: Kind, name: &str) -> Result<Entity, Refusal> {
        let entity = self.document(kind, name)?.clone();
        self.check_settled(&entity)?;
        if let Some(user) = self.documents.values().find(|other| other.refers_to(kind, name)) {
            let detail = format!("{} {:?} uses it", user.kind().name(), user.name());
            return Err(Refusal::new(409, "in use", detail));
        }
        self.documents.remove(&(kind, entity.name().to_owned()));
        self.names.remove(&(kind, entity.id()));
        match kind {
            Kind::Account => drop(self.balances.remove(&entity.id())),
            Kind::Tariff => {
                self.rates.remove(&entity.id());
                self.tariffs.remove(&entity.id());
            }
            Kind::Phone => self.customers.remove(entity.id()),
            _ => self.rebuild(kind),
        }
        self.bindings.forget(entity.id());
        Ok(entity)
    }

    /// Puts a document in place without asking: at boot, from the store.
    pub fn restore(&mut self, entity: Entity) {
        self.restore_ids(entity.id());
        self.insert(entity);
    }

    /// Derives everything, once all documents are restored.
    pub fn restored(&mut self) {
        for kind in [Kind::Tariff, Kind::Mapping, Kind::Routing, Kind::Phone] {
            self.rebuild(kind);
        }
    }

    /// What a name leads to changed.
    pub fn relocated(&mut self) {
        self.rebuild(Kind::Routing);
    }

    /// Where a routing gateway is, as it is best tried; none: nobody knows yet.
    #[must_use]
    pub fn places(&self, gateway: u32) -> Vec<Endpoint> {
        let servers = self.servers.get(&gateway);
        servers.into_iter().flatten().flat_map(Server::endpoints).collect()
    }

    /// The same in the order of one call; `below` as in [`order`].
    pub fn places_of_a_call(&self, gateway: u32, below: impl FnMut(u64) -> u64) -> Vec<Endpoint> {
        self.servers.get(&gateway).map_or_else(Vec::new, |servers| order(servers, below))
    }

    fn servers_of(&self, target: &str) -> Vec<Server> {
        let Ok(target) = target.parse::<Target>() else { return Vec::new() };
        match target.endpoint() {
            Some(endpoint) => vec![Server::only(endpoint)],
            None => self.located.get(&target.to_string()).cloned().unwrap_or_default(),
        }
    }

    fn put(&mut self, entity: Entity) {
        let kind = entity.kind();
        match &entity {
            // One changed rate must not cost the time of all tariffs, nor one phone that of all phones:
            // the loop waits meanwhile.
            Entity::Tariff(head) => {
                let tariff = self.build_tariff(head);
                self.tariffs.insert(head.id, tariff);
                self.insert(entity);
            }
            Entity::Phone(phone) => {
                if let Some(customer) = self.build_phone(phone) {
                    self.customers.put(customer);
                }
                self.insert(entity);
            }
            _ => {
                self.insert(entity);
                self.rebuild(kind);
            }
        }
    }

    fn insert(&mut self, entity: Entity) {
        let (kind, name) = (entity.kind(), entity.name().to_owned());
        self.names.insert((kind, entity.id()), name.clone());
        self.documents.insert((kind, name), entity);
    }

    /// Every worker has a place for each gateway, and no more.
    fn check_room(&self, kind: Kind) -> Result<(), Refusal> {
        if kind == Kind::Phone && self.customers.phones() >= PHONES_MAX {
            let detail = format!("{PHONES_MAX} phones can be had");
            return Err(Refusal::new(507, "too many phones", detail));
        }
        let gateways = self.customers.gateways() + self.routings.len();
        let is_gateway = matches!(kind, Kind::Mapping | Kind::Routing);
        if is_gateway && gateways >= GATEWAYS_MAX as usize {
            let detail = format!("{GATEWAYS_MAX} gateways can be had");
            return Err(Refusal::new(507, "too many gateways", detail));
        }
        Ok(())
    }

    /// What must hold between documents.
    fn check(&self, entity: &Entity) -> Result<(), Refusal> {
        self.check_payer(self.document(entity.kind(), entity.name()).ok(), entity)?;
        match entity {
            Entity::Mapping(gateway) => {
                self.check_money(&gateway.account, &gateway.tariff)?;
                self.check_username(entity, "auth_username", &gateway.auth_username)?;
                self.check_sources(gateway)
            }
            Entity::Phone(phone) => {
                self.check_money(&phone.account, &phone.tariff)?;
                self.check_username(entity, "name", &phone.name)?;
                self.check_dialled(phone)?;
                match phone.offline_gateway.as_str() {
                    "" => Ok(()),
                    name => self.document(Kind::Routing, name).map(|_| ()),
                }
            }
            Entity::Routing(gateway) => self.check_money(&gateway.account, &gateway.tariff),
            Entity::Account(new) => {
                let old = self.account(&new.name).map_or(&new.currency, |old| &old.currency);
                if *old == new.currency {
                    return Ok(());
                }
                self.check_settled(entity)?;
                self.check_currency_free(entity)
            }
            Entity::Tariff(new) => {
                let old = self.tariff_head(&new.name).map_or(&new.currency, |old| &old.currency);
                if *old == new.currency { Ok(()) } else { self.check_currency_free(entity) }
            }
            Entity::Deny(_) | Entity::Trust(_) => Ok(()),
        }
    }

    /// Account and tariff exist and speak of the same money: a ledger never converts.
    fn check_money(&self, account: &str, tariff: &str) -> Result<(), Refusal> {
        let account = self.account(account)?;
        if tariff.is_empty() {
            return Ok(());
        }
        let tariff = self.tariff_head(tariff)?;
        if tariff.currency == account.currency {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "tariff: {:?} is in {} and account {:?} in {}; name one in the same currency",
            tariff.name, tariff.currency, account.name, account.currency
        )))
    }

    /// Nothing counts on the currency that it has.
    fn check_currency_free(&self, entity: &Entity) -> Result<(), Refusal> {
        let (kind, name) = (entity.kind(), entity.name());
        match self.documents.values().find(|other| other.refers_to(kind, name)) {
            None => Ok(()),
            Some(user) => {
                let detail = format!(
                    "{} {:?} uses this {}; its currency stays",
                    user.kind().name(),
                    user.name(),
                    kind.name()
                );
                Err(Refusal::new(409, "in use", detail))
            }
        }
    }

    /// No money and no call of this document is left behind.
    fn check_settled(&self, entity: &Entity) -> Result<(), Refusal> {
        let (kind, name) = (entity.kind().name(), entity.name());
        let calls = match entity {
            Entity::Account(account) => self.balances.get(&account.id).map_or(0, |it| it.calls),
            // A record names its gateway, and by it who is charged.
            Entity::Mapping(_) | Entity::Routing(_) | Entity::Phone(_) => {
                self.limiters.get(&entity.id()).map_or(0, Limiter::lines)
            }
            _ => 0,
        };
        if calls > 0 {
            let why = format!("{kind} {name:?} has {calls} running calls; lock it and wait");
            return Err(Refusal::new(409, "not settled", why));
        }
        let Entity::Account(account) = entity else { return Ok(()) };
        match self.balances.get(&account.id).map_or(Money::ZERO, |it| it.amount) {
            Money::ZERO => Ok(()),
            amount => Err(Refusal::new(
                409,
                "not settled",
                format!("{kind} {name:?} has a balance of {amount}; pay it out, or lock it"),
            )),
        }
    }

    /// Whoever pays for the running calls of a gateway still does after the change.
    fn check_payer(&self, old: Option<&Entity>, new: &Entity) -> Result<(), Refusal> {
        let account = |entity: &Entity| match entity {
            Entity::Mapping(gateway) => Some(gateway.account.clone()),
            Entity::Routing(gateway) => Some(gateway.account.clone()),
            Entity::Phone(phone) => Some(phone.account.clone()),
            _ => None,
        };
        match old {
            Some(old) if account(old) != account(new) => self.check_settled(old),
            _ => Ok(()),
        }
    }

    /// A call has one payer: gateways share an address only if told apart by port or tech prefix.
    fn check_sources(&self, gateway: &Mapping) -> Result<(), Refusal> {
        let wanted: Vec<Source> = sources(gateway);
        for entity in self.documents(Kind::Mapping) {
            let Entity::Mapping(other) = entity else { continue };
            if other.name == gateway.name || other.tech_prefix != gateway.tech_prefix {
                continue;
            }
            if let Some(shared) = sources(other).iter().find(|source| wanted.contains(source)) {
                let detail = format!(
                    "addresses: {shared} is {:?}'s too; tell them apart by port or tech prefix",
                    other.name
                );
                return Err(Refusal::new(409, "address taken", detail));
            }
        }
        Ok(())
    }

    /// A username is one customer's.
    fn check_username(&self, entity: &Entity, field: &str, username: &str) -> Result<(), Refusal> {
        let is_other =
            |other: &Entity| (other.kind(), other.name()) != (entity.kind(), entity.name());
        let phone = self.document(Kind::Phone, username).ok();
        let gateway = self.documents(Kind::Mapping).find(|other| match other {
            Entity::Mapping(other) => other.auth_username == username,
            _ => false,
        });
        match phone.into_iter().chain(gateway).find(|other| is_other(other)) {
            Some(other) if !username.is_empty() => {
                let (kind, name) = (other.kind().name(), other.name());
                let detail = format!("{field}: {username:?} is {kind} {name:?}'s username");
                Err(Refusal::new(409, "username taken", detail))
            }
            _ => Ok(()),
        }
    }

    /// A number rings one phone.
    fn check_dialled(&self, phone: &Phone) -> Result<(), Refusal> {
        for number in phone.dialled() {
            if let Some(other) = self.customers.of_number(&number)
                && other.name != phone.name
            {
                let detail = format!("numbers: {} rings phone {:?}", number.as_str(), other.name);
                return Err(Refusal::new(409, "number taken", detail));
            }
        }
        Ok(())
    }

    /// Hashes the password that an operator said, if he did.
    fn seal(&self, kind: Kind, fields: &mut serde_json::Map<String, Value>) -> Result<(), Refusal> {
        let Some((field, username)) = secret_of(kind) else { return Ok(()) };
        let user = fields.get(username).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(said) = fields.get_mut(field) else { return Ok(()) };
        let length_min = self.values.number("TG_SIP_PASSWORD_LENGTH") as usize;
        let realm = self.values.text("TG_SIP_REALM");
        *said = Policy { field, user: &user, realm, length_min }.seal(said)?;
        Ok(())
    }

    /// As [`Self::seal`], in a change of a document.
    fn seal_changes(
        &self,
        old: &Entity,
        changes: &mut serde_json::Map<String, Value>,
    ) -> Result<(), Refusal> {
        let Some((field, username)) = secret_of(old.kind()) else { return Ok(()) };
        let user = old.body().get(username).cloned().unwrap_or_default();
        let renamed = changes.get(username).is_some_and(|new| *new != user);
        match changes.contains_key(field) {
            false if renamed && password_of(old) != Password::None => Err(Refusal::invalid(
                format!("{username}: say {field} again; what is kept of it belongs to {user}"),
            )),
            false => Ok(()),
            true => {
                let is_said = changes.contains_key(username);
                changes.entry(username).or_insert(user);
                self.seal(old.kind(), changes)?;
                if !is_said {
                    changes.remove(username);
                }
                Ok(())
            }
        }
    }

    /// A realm is part of every hash that is kept: with another one none of them fits any more.
    ///
    /// # Errors
    /// When there are such hashes.
    pub fn check_realm(&self, realm: &str) -> Result<(), Refusal> {
        let kept = self.documents.values().filter(|it| password_of(it) != Password::None).count();
        if kept == 0 || realm == self.values.text("TG_SIP_REALM") {
            return Ok(());
        }
        let detail = format!(
            "TG_SIP_REALM: {kept} passwords are kept as hashes that belong to {:?}. Take them back \
             (--password ''), change the realm, then set new ones",
            self.values.text("TG_SIP_REALM")
        );
        Err(Refusal::new(409, "in use", detail))
    }

    fn rebuild(&mut self, kind: Kind) {
        match kind {
            Kind::Tariff => {
                let heads: Vec<TariffHead> = self
                    .documents(Kind::Tariff)
                    .filter_map(|entity| match entity {
                        Entity::Tariff(head) => Some(head.clone()),
                        _ => None,
                    })
                    .collect();
                self.tariffs =
                    heads.iter().map(|head| (head.id, self.build_tariff(head))).collect();
            }
            Kind::Mapping => {
                let all = self.documents(Kind::Mapping).filter_map(|entity| match entity {
                    Entity::Mapping(gateway) => self.build_mapping(gateway),
                    _ => None,
                });
                let gateways: Vec<Customer> = all.collect();
                self.sources = SourceTable::build(gateways.iter().map(|customer| {
                    let gateway = &customer.gateway;
                    (gateway.id, &gateway.sources[..], gateway.tech_prefix.as_str())
                }));
                self.customers.replace_gateways(gateways);
            }
            Kind::Phone => {
                let all = self.documents(Kind::Phone).filter_map(|entity| match entity {
                    Entity::Phone(phone) => self.build_phone(phone),
                    _ => None,
                });
                let phones: Vec<Customer> = all.collect();
                phones.into_iter().for_each(|phone| self.customers.put(phone));
            }
            Kind::Routing => {
                self.servers = self
                    .documents(Kind::Routing)
                    .filter_map(|entity| match entity {
                        Entity::Routing(gateway) => {
                            Some((gateway.id, self.servers_of(&gateway.target)))
                        }
                        _ => None,
                    })
                    .collect();
                self.routings = self
                    .documents(Kind::Routing)
                    .filter_map(|entity| match entity {
                        Entity::Routing(gateway) => {
                            Some((gateway.id, self.build_routing(gateway)?))
                        }
                        _ => None,
                    })
                    .collect();
                self.routes = RouteTable::build(
                    self.routings.values().map(|gateway| (gateway.id, &gateway.prefixes[..])),
                );
            }
            Kind::Account | Kind::Deny | Kind::Trust => {}
        }
    }

    /// What the workers are told of a document, if it is a gateway.
    #[must_use]
    pub fn profile_of(&self, entity: &Entity) -> Option<Profile> {
        match entity {
            Entity::Mapping(gateway) => {
                Some(gateway.sip.profile(gateway.id, gateway.address(), "", ""))
            }
            Entity::Routing(gateway) => {
                let target = self.places(gateway.id).first().copied().unwrap_or_default();
                let (name, word) = (&gateway.auth_username, &gateway.auth_password);
                Some(gateway.sip.profile(gateway.id, target, name, word))
            }
            _ => None,
        }
    }

    /// By which names the places of a routing gateway prove who they are.
    #[must_use]
    pub fn names_of(&self, entity: &Entity) -> Vec<PlaceName> {
        let Entity::Routing(gateway) = entity else { return Vec::new() };
        let Ok(target) = gateway.target.parse::<Target>() else { return Vec::new() };
        let name = match &target.host {
            Host::Name(name) => name,
            Host::Address(_) => return Vec::new(),
        };
        let places = self.places(gateway.id).into_iter();
        let secured = places.filter(|place| place.transport() == Transport::Tls);
        secured.map(|place| PlaceName { place, name: Text::cut(name.as_bytes()) }).collect()
    }

    /// Of all routing gateways.
    #[must_use]
    pub fn names(&self) -> Vec<PlaceName> {
        let gateways = self.documents(Kind::Routing);
        gateways.flat_map(|entity| self.names_of(entity)).collect()
    }

    /// What the workers are told of phones, and of whoever else has no profile of its own.
    #[must_use]
    pub fn plain_profile(&self) -> Profile {
        Profile {
            present: 1,
            retry_after: 1,
            reason: 1,
            privacy: 1,
            transfer: 1,
            publish: self.customers.has_publishing_phones().into(),
            ..Profile::default()
        }
    }

    /// Of all gateways, in the order of their numbers: a worker that is told so moves nothing.
    #[must_use]
    pub fn profiles(&self) -> Vec<Profile> {
        let mut profiles: Vec<Profile> =
            self.documents.values().filter_map(|entity| self.profile_of(entity)).collect();
        profiles.sort_by_key(|profile| profile.gateway);
        profiles
    }

    fn build_mapping(&self, gateway: &Mapping) -> Option<Customer> {
        let tariff = self.tariff_head(&gateway.tariff).map_or(0, |tariff| tariff.id);
        let line = MappingGateway {
            id: gateway.id,
            account: self.account(&gateway.account).ok()?.id,
            tariff,
            sources: sources(gateway),
            tech_prefix: gateway.tech_prefix.clone(),
            limits: Limits { lines_max: gateway.lines_max, cps_max: gateway.cps_max },
            talk_s_max: gateway.talk_s_max,
            locked: gateway.locked,
            callee_rules: rules(&gateway.callee_rules),
            caller_rules: rules(&gateway.caller_rules),
        };
        Some(Customer {
            name: gateway.name.clone(),
            gateway: line,
            authentication: gateway.authentication,
            username: gateway.auth_username.clone(),
            hashes: gateway.auth_password.hashes(),
            caller_from: gateway.caller_from,
            number: None,
            heeds_privacy: gateway.sip.privacy,
            believes_diversion: gateway.sip.forward_signal_heard,
            heeds_retry_after: gateway.sip.retry_after,
            publishes: gateway.sip.publish,
            messages: gateway.sip.message,
            pickup_group: String::new(),
            contacts_max: CONTACTS_MAX,
            ringing: None,
            dialled: Vec::new(),
        })
    }

    /// A phone calls as a mapping gateway does that is known by its password.
    fn build_phone(&self, phone: &Phone) -> Option<Customer> {
        let line = MappingGateway {
            id: phone.id,
            account: self.account(&phone.account).ok()?.id,
            tariff: self.tariff_head(&phone.tariff).map_or(0, |tariff| tariff.id),
            sources: Vec::new(),
            tech_prefix: String::new(),
            limits: Limits { lines_max: phone.lines_max, cps_max: 0 },
            talk_s_max: phone.talk_s_max,
            locked: phone.locked,
            callee_rules: Rules::default(),
            caller_rules: Rules::default(),
        };
        let offline_gateway = self.document(Kind::Routing, &phone.offline_gateway);
        Some(Customer {
            name: phone.name.clone(),
            gateway: line,
            authentication: Authentication::Password,
            username: phone.name.clone(),
            hashes: phone.password.hashes(),
            caller_from: CallerFrom::From,
            number: phone::dialled(&phone.number),
            heeds_privacy: true,
            heeds_retry_after: true,
            believes_diversion: false,
            publishes: phone.publish,
            messages: phone.message,
            pickup_group: phone.pickup_group.clone(),
            contacts_max: phone.contacts_max.into(),
            ringing: Some(Ringing {
                ring: phone.ring,
                offline_gateway: offline_gateway.ok().map(Entity::id),
                fall_through: phone.fall_through,
            }),
            dialled: phone.dialled().collect(),
        })
    }

    fn build_routing(&self, gateway: &Routing) -> Option<RoutingGateway> {
        let tariff = self.tariff_head(&gateway.tariff).map_or(0, |tariff| tariff.id);
        Some(RoutingGateway {
            id: gateway.id,
            account: self.account(&gateway.account).ok()?.id,
            tariff,
            hosts: self
                .places(gateway.id)
                .iter()
                .filter_map(|place| Some(place.socket_address()?.ip()))
                .collect(),
            prefixes: gateway.prefixes.clone(),
            onward: if gateway.terminate { Onward::Terminate } else { Onward::Continue },
            priority: gateway.priority,
            weight: gateway.weight,
            limits: Limits { lines_max: gateway.lines_max, cps_max: gateway.cps_max },
            locked: gateway.locked,
            unrated_allowed: gateway.unrated_allowed,
            stop_codes: gateway.stop_codes.clone(),
            callee_rules: rules(&gateway.callee_rules),
            caller_rules: rules(&gateway.caller_rules),
        })
    }

    fn build_tariff(&self, head: &TariffHead) -> Arc<Tariff> {
        let precision = head.fee_precision.unwrap_or_else(|| self.default_precision());
        let mode = match head.rounding.as_str() {
            "half_up" => RoundingMode::HalfUp,
            "up" => RoundingMode::Up,
            _ => RoundingMode::HalfEven,
        };
        let rows = self.rates.get(&head.id).into_iter().flatten();
        Arc::new(Tariff::build(rows.map(|(prefix, row)| {
            let price = Price {
                tariff: head.id,
                version: head.version,
                prefix_digits: 0,
                rate: row.rate,
                unit_s: row.unit_s,
                minimum_s: row.minimum_s,
                increment_s: row.increment_s,
                connection_fee: row.connection_fee,
                fee_precision: precision,
                rounding_mode: mode,
            };
            (prefix.clone(), price)
        })))
    }

    fn default_precision(&self) -> u8 {
        u8::try_from(self.values.number("FEE_PRECISION")).unwrap_or(6)
    }

    /// Prices follow a changed `FEE_PRECISION`.
    pub fn values_changed(&mut self) {
        self.rebuild(Kind::Tariff);
    }

    /// The rates of a tariff with a prefix behind this one, by prefix; `None`: all.
    ///
    /// # Errors
    /// When there is no such tariff.
    pub fn rates(
        &self,
        tariff: &str,
        behind: Option<&str>,
    ) -> Result<impl Iterator<Item = &RateRow>, Refusal> {
        let id = self.tariff_head(tariff)?.id;
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (behind, Bound::<&str>::Unbounded);
        let rows = self.rates.get(&id).into_iter();
        Ok(rows.flat_map(move |rows| rows.range::<str, _>(range)).map(|(_, row)| row))
    }

    /// How many rates a tariff has.
    #[must_use]
    pub fn rate_count(&self, tariff: u32) -> usize {
        self.rates.get(&tariff).map_or(0, BTreeMap::len)
    }

    /// Puts rates into a tariff, in place of all it had when `replace`. Its head with the new version.
    ///
    /// # Errors
    /// When there is no such tariff, or one of the rates cannot be; then none is changed.
    pub fn put_rates(
        &mut self,
        tariff: &str,
        rows: &[RateRow],
        replace: bool,
    ) -> Result<Entity, Refusal> {
        let mut head = self.tariff_head(tariff)?.clone();
        check_rates(rows)?;
        head.version += 1;
        let rates = self.rates.entry(head.id).or_default();
        if replace {
            rates.clear();
        }
        for row in rows {
            rates.insert(row.prefix.clone(), row.clone());
        }
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// Takes one rate out.
    ///
    /// # Errors
    /// When there is no such tariff or rate.
    pub fn remove_rate(&mut self, tariff: &str, prefix: &str) -> Result<Entity, Refusal> {
        let mut head = self.tariff_head(tariff)?.clone();
        head.version += 1;
        let gone = self.rates.get_mut(&head.id).and_then(|rates| rates.remove(prefix));
        gone.ok_or_else(|| Refusal::missing("rate", prefix))?;
        self.put(Entity::Tariff(head.clone()));
        Ok(Entity::Tariff(head))
    }

    /// A rate from the store, at boot.
    pub fn restore_rate(&mut self, tariff: u32, row: RateRow) {
        self.rates.entry(tariff).or_default().insert(row.prefix.clone(), row);
    }

    /// The price of a number in a tariff.
    #[must_use]
    pub fn price(&self, tariff: u32, number: &[u8]) -> Option<Price> {
        self.tariffs.get(&tariff)?.price(number)
    }
}

/// Every rate can be, and no prefix has two prices.
fn check_rates(rows: &[RateRow]) -> Result<(), Refusal> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (place, row) in (1..).zip(rows) {
        let refuse =
            |what: &str| Refusal::invalid(format!("rate {place} ({:?}): {what}", row.prefix));
        row.check().map_err(|refusal| refuse(&refusal.detail))?;
        if let Some(first) = seen.insert(&row.prefix, place) {
            return Err(refuse(&format!("it is rate {first} as well; keep one of them")));
        }
    }
    Ok(())
}

/// The fields of password and username by which documents of this kind prove themselves to us.
fn secret_of(kind: Kind) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::Phone => Some(("password", "name")),
        Kind::Mapping => Some(("auth_password", "auth_username")),
        _ => None,
    }
}

/// What it proves itself to us with.
fn password_of(entity: &Entity) -> Password {
    match entity {
        Entity::Phone(phone) => phone.password,
        Entity::Mapping(gateway) => gateway.auth_password,
        _ => Password::None,
    }
}

/// An export carries them, and is imported again.
fn without_ours(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        for field in OURS {
            fields.remove(field);
        }
    }
    body
}

fn sources(gateway: &Mapping) -> Vec<Source> {
    // Every address was read once at entry, so none is lost here.
    gateway.addresses.iter().filter_map(|text| text.parse().ok()).collect()
}

fn rules(rules: &[TransformRule]) -> Rules {
    // Every rule was read once at entry, so none is lost here.
    Rules::new(
        rules.iter().filter_map(|rule| Rule::new(&rule.original, &rule.target).ok()).collect(),
    )
}

#[cfg(test)]
mod tests;
