//! All business state in memory, and what an operator may say about it.
//!
//! [`entity`] holds the documents (accounts, gateways, tariffs, lists) as API, CLI and store see them;
//! [`State`] turns them into what a decision needs (source table, route table, tariffs) whenever one
//! changes.

pub mod binding;
mod check;
pub mod customer;
pub(crate) mod derive;
pub mod entity;
pub mod fence;
pub mod imports;
pub mod moment;
pub mod payers;
pub(crate) mod price_lists;
pub mod profile;
pub mod rate_rows;
mod rates;
pub mod secret;
pub mod tables;
pub mod transforms;
pub(crate) mod word;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::Arc;

use numbers::Sections;
use rating::{Money, Tariff};
use routing::{Limiter, Prefix, Rotation, RouteTable, RoutingGateway, SourceFault, SourceTable};
use serde_json::Value;

use crate::Refusal;
use crate::params::Values;
use crate::resolve::Server;
use crate::store::Booked;
use binding::Bindings;
use customer::Customers;
use entity::{Account, Entity, HIDDEN, Kind, Package, Subscription, number_section};
use rate_rows::RateRows;

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
    /// Rates by tariff id; who compares sheets with them beside the loop holds them a while.
    rates: HashMap<u32, Arc<RateRows>>,
    /// Parameters.
    pub values: Values,
    /// By account id.
    pub balances: HashMap<u32, Balance>,
    /// What people booked, by account and request id.
    pub booked: HashMap<(u32, String), Booked>,
    /// By gateway id.
    pub limiters: HashMap<u32, Limiter>,
    /// Weighted rotation.
    pub rotation: Rotation,
    /// Mapping gateways and phones.
    pub customers: Customers,
    /// Where phones can be reached.
    pub bindings: Bindings,
    /// What becomes of numbers behind the rules of gateways.
    pub transforms: transforms::Transforms,
    /// Which numbers are whose, by account id.
    pub sections: Sections<u32>,
    /// Routing gateways by id.
    pub routings: HashMap<u32, RoutingGateway>,
    /// Where names of vendors lead, by the one spelling of the target.
    pub located: BTreeMap<String, Vec<Server>>,
    /// Where each routing gateway is.
    servers: HashMap<u32, Vec<Server>>,
    /// Where vendors are, and who is trusted besides.
    vendors: HashSet<IpAddr>,
    trusted: Vec<Prefix>,
    /// Who calls from where.
    pub sources: SourceTable,
    /// Who serves which prefix.
    pub routes: RouteTable,
    tariffs: HashMap<u32, Arc<Tariff>>,
    /// Which of them are to be built.
    tables: tables::Tables,
    /// What imports of the deny list hold.
    pub imports: imports::Imports,
    /// Where addresses may lie, of whom.
    pub fences: fence::Fences,
    /// The workers do not know that yet.
    fences_changed: bool,
    /// Whence accounts may be used that have a list of it.
    access: HashMap<u32, Box<[Prefix]>>,
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

    /// Whether an address is a gateway's, or on the list of trusted sources.
    #[must_use]
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let found = self.sources.find(SocketAddr::new(address, 0), b"");
        found != Err(SourceFault::Nobody)
            || self.vendors.contains(&address)
            || self.trusted.iter().any(|prefix| prefix.contains(address))
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

    /// A package.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn package(&self, name: &str) -> Result<&Package, Refusal> {
        match self.document(Kind::Package, name)? {
            Entity::Package(package) => Ok(package),
            _ => Err(Refusal::missing("package", name)),
        }
    }

    /// A subscription.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn subscription(&self, name: &str) -> Result<&Subscription, Refusal> {
        match self.document(Kind::Subscription, name)? {
            Entity::Subscription(subscription) => Ok(subscription),
            _ => Err(Refusal::missing("subscription", name)),
        }
    }

    /// A subscription by its id, with its package and its account.
    #[must_use]
    pub fn subscribed(&self, id: u32) -> Option<(&Subscription, &Package, &Account)> {
        let subscription = self.subscription(self.names.get(&(Kind::Subscription, id))?).ok()?;
        let package = self.package(&subscription.package).ok()?;
        Some((subscription, package, self.account(&subscription.account).ok()?))
    }

    /// An account by its id.
    #[must_use]
    pub fn account_of(&self, id: u32) -> Option<&Account> {
        self.account(self.names.get(&(Kind::Account, id))?).ok()
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
        if kind == Kind::Geo {
            self.check_unnamed(name)?;
        }
        if let Some(user) = self.documents.values().find(|other| other.refers_to(kind, name)) {
            let detail = format!("{} {:?} uses it", user.kind().name(), user.name());
            return Err(Refusal::new(409, "in use", detail));
        }
        self.documents.remove(&(kind, entity.name().to_owned()));
        self.names.remove(&(kind, entity.id()));
        self.drop_fence(&entity);
        match kind {
            Kind::Account => {
                self.balances.remove(&entity.id());
                self.access.remove(&entity.id());
                self.drop_transforms(entity.id());
            }
            Kind::Geo => self.drop_geo(entity.id()),
            Kind::Tariff => {
                self.rates.remove(&entity.id());
                self.table_gone(entity.id());
            }
            Kind::Phone => self.customers.remove(entity.id()),
            Kind::NumberSection => {
                if let Ok(section) = number_section(entity.name()) {
                    self.sections.remove(&section);
                }
            }
            Kind::Import => drop(self.imports.remove(&entity.id())),
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
        for kind in [
            Kind::Tariff,
            Kind::Mapping,
            Kind::Routing,
            Kind::Phone,
            Kind::Trust,
            Kind::NumberTransform,
        ] {
            self.rebuild(kind);
        }
        let documents: Vec<Entity> = self.documents.values().cloned().collect();
        for entity in &documents {
            self.put_bounds(entity);
            self.put_section(entity);
        }
        self.fence_of_all_changed();
    }

    /// Takes up a fence, or what an account has of access and rules.
    fn put_bounds(&mut self, entity: &Entity) {
        match entity {
            Entity::Account(account) => {
                self.put_access(account);
                self.put_transforms(account);
            }
            entity => self.put_fence(entity),
        }
    }

    /// Takes up whose numbers are in a section.
    fn put_section(&mut self, entity: &Entity) {
        let Entity::NumberSection(owned) = entity else { return };
        let (Ok(section), Ok(account)) =
            (number_section(&owned.name), self.account(&owned.account))
        else {
            return;
        };
        let account = account.id;
        // It was looked at before: it overlaps none.
        self.sections.put(section, account).ok();
    }

    fn put(&mut self, entity: Entity) {
        let kind = entity.kind();
        self.put_bounds(&entity);
        match &entity {
            // One changed rate must not cost the time of all tariffs, nor one phone or section that of all.
            Entity::Tariff(head) => {
                let name = head.name.clone();
                self.table_changed(head);
                self.insert(entity);
                self.rebuild_derived(&name);
            }
            Entity::Phone(phone) => {
                if let Some(customer) = self.build_phone(phone) {
                    self.customers.put(customer);
                }
                self.insert(entity);
            }
            Entity::NumberSection(_) => {
                self.put_section(&entity);
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

#[cfg(test)]
mod tests;
