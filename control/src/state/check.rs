//! What must hold between documents, and how their passwords are kept.

use link::profile::GATEWAYS_MAX;
use rating::Money;
use routing::{Limiter, Source};
use serde_json::Value;

use super::State;
use super::derive::sources;
use super::entity::{
    Account, Entity, Kind, Mapping, NumberSection, Phone, Subscription, number_section,
};
use super::secret::{Password, Policy};
use crate::Refusal;

/// Phones that can be had.
const PHONES_MAX: usize = 200_000;
/// Each call looks through all transforms of the switch.
const TRANSFORMS_MAX: usize = 1_000;
/// Number sections that can be had.
const SECTIONS_MAX: usize = 200_000;
/// Packages that can be had.
const PACKAGES_MAX: usize = 10_000;
/// Mappings of rate sheets that can be had, and of records: one or two for each vendor.
const SHEET_MAPPINGS_MAX: usize = 10_000;

impl State {
    /// How many gateways there are of both kinds.
    pub(crate) fn gateways(&self) -> usize {
        self.customers.gateways() + self.routings.len()
    }

    /// Every worker has a place for each gateway, and no more.
    pub(super) fn check_room(&self, kind: Kind) -> Result<(), Refusal> {
        if kind == Kind::Phone && self.customers.phones() >= PHONES_MAX {
            let detail = format!("{PHONES_MAX} phones can be had");
            return Err(Refusal::new(507, "too many phones", detail));
        }
        if kind == Kind::Geo {
            self.check_sets()?;
        }
        let is_mapping = matches!(kind, Kind::Sheet | Kind::Record);
        if is_mapping && self.documents(kind).count() >= SHEET_MAPPINGS_MAX {
            let detail = format!("{SHEET_MAPPINGS_MAX} {}s can be had", kind.name());
            return Err(Refusal::new(507, "too many mappings", detail));
        }
        if kind == Kind::NumberTransform && self.documents(kind).count() >= TRANSFORMS_MAX {
            let detail = format!("{TRANSFORMS_MAX} transforms of the whole switch can be had");
            return Err(Refusal::new(507, "too many transforms", detail));
        }
        if kind == Kind::NumberSection && self.sections.len() >= SECTIONS_MAX {
            let detail = format!("{SECTIONS_MAX} number sections can be had");
            return Err(Refusal::new(507, "too many number sections", detail));
        }
        if kind == Kind::Package && self.documents(kind).count() >= PACKAGES_MAX {
            let detail = format!("{PACKAGES_MAX} packages can be had");
            return Err(Refusal::new(507, "too many packages", detail));
        }
        let gateways = self.gateways();
        let is_gateway = matches!(kind, Kind::Mapping | Kind::Routing);
        if is_gateway && gateways >= GATEWAYS_MAX as usize {
            let detail = format!("{GATEWAYS_MAX} gateways can be had");
            return Err(Refusal::new(507, "too many gateways", detail));
        }
        Ok(())
    }

    /// What must hold between documents.
    pub(super) fn check(&self, entity: &Entity) -> Result<(), Refusal> {
        self.check_payer(self.document(entity.kind(), entity.name()).ok(), entity)?;
        self.check_fence(entity)?;
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
                self.check_agent(new)?;
                self.check_seen_by(new)?;
                let old = self.account(&new.name).map_or(&new.currency, |old| &old.currency);
                if *old == new.currency {
                    return Ok(());
                }
                self.check_settled(entity)?;
                self.check_currency_free(entity)
            }
            Entity::Tariff(new) => {
                let old = self.tariff_head(&new.name).map_or(&new.currency, |old| &old.currency);
                if *old != new.currency {
                    self.check_currency_free(entity)?;
                }
                self.check_tariff(new)
            }
            Entity::Sheet(mapping) => self.account(&mapping.account).map(|_| ()),
            Entity::Record(mapping) if mapping.account.is_empty() => Ok(()),
            Entity::Record(mapping) => self.account(&mapping.account).map(|_| ()),
            Entity::Package(new) => match self.package(&new.name) {
                Ok(old) if old.currency != new.currency => self.check_currency_free(entity),
                _ => Ok(()),
            },
            Entity::Subscription(new) => self.check_subscription(new),
            Entity::NumberSection(new) => self.check_section(new),
            Entity::User(user) if !user.agent.is_empty() => {
                let agent = self.account(&user.agent)?;
                if agent.role == "agent" {
                    return Ok(());
                }
                Err(Refusal::invalid(format!("agent: {:?} is a {}", agent.name, agent.role)))
            }
            Entity::Deny(_)
            | Entity::Trust(_)
            | Entity::Geo(_)
            | Entity::User(_)
            | Entity::Import(_)
            | Entity::Code(_)
            | Entity::NumberTransform(_) => Ok(()),
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

    /// Who sees by an agent's account would see by anybody's.
    fn check_seen_by(&self, account: &Account) -> Result<(), Refusal> {
        let sees =
            |entity: &&Entity| matches!(entity, Entity::User(it) if it.agent == account.name);
        match self.documents(Kind::User).find(sees) {
            Some(user) if account.role != "agent" => {
                let detail =
                    format!("role: user {:?} sees by this agent; it stays one", user.name());
                Err(Refusal::new(409, "in use", detail))
            }
            _ => Ok(()),
        }
    }

    /// Agent and tariff exist and speak of the account's money.
    fn check_agent(&self, account: &Account) -> Result<(), Refusal> {
        let other = |field: &str, name: &str, currency: &str| {
            Refusal::invalid(format!(
                "{field}: {name:?} is in {currency} and account {:?} in {}; name one in the same currency",
                account.name, account.currency
            ))
        };
        if !account.agent.is_empty() {
            let agent = self.account(&account.agent)?;
            if agent.role != "agent" {
                let detail = format!("agent: {:?} is a {}", agent.name, agent.role);
                return Err(Refusal::invalid(detail));
            }
            if agent.currency != account.currency {
                return Err(other("agent", &agent.name, &agent.currency));
            }
        }
        let was_agent = self.account(&account.name).is_ok_and(|old| old.role == "agent");
        if was_agent && account.role != "agent" {
            let has = |it: &Entity| it.refers_to(Kind::Account, &account.name);
            if self.documents(Kind::Account).any(has) {
                let detail = "role: customers have this agent; give them another one first";
                return Err(Refusal::invalid(detail));
            }
        }
        if account.tariff.is_empty() {
            return Ok(());
        }
        let tariff = self.tariff_head(&account.tariff)?;
        if tariff.currency == account.currency {
            Ok(())
        } else {
            Err(other("tariff", &tariff.name, &tariff.currency))
        }
    }

    /// Account and package exist, speak of the same money, and stay.
    fn check_subscription(&self, new: &Subscription) -> Result<(), Refusal> {
        let (account, package) = (self.account(&new.account)?, self.package(&new.package)?);
        if account.role != "customer" {
            return Err(Refusal::invalid("account: customers subscribe, vendors do not"));
        }
        if package.currency != account.currency {
            return Err(Refusal::invalid(format!(
                "package: {:?} is in {} and account {:?} in {}; name one in the same currency",
                package.name, package.currency, account.name, account.currency
            )));
        }
        let Ok(old) = self.subscription(&new.name) else { return Ok(()) };
        for (field, stays) in [
            ("account", old.account == new.account),
            ("package", old.package == new.package),
            ("begins", old.begins == new.begins),
        ] {
            if !stays {
                let what = "it stays; end this subscription and make another one";
                return Err(Refusal::invalid(format!("{field}: {what}")));
            }
        }
        Ok(())
    }

    /// The account exists, and no number of the section is in another one.
    fn check_section(&self, new: &NumberSection) -> Result<(), Refusal> {
        self.account(&new.account)?;
        let section = number_section(&new.name)?;
        match self.sections.overlapping(&section) {
            Some((other, owner)) if *other != section => {
                let owner = self.name_of(Kind::Account, *owner);
                let detail =
                    format!("name: {section} has numbers of {other}, which are {owner:?}'s");
                Err(Refusal::new(409, "number taken", detail))
            }
            _ => Ok(()),
        }
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
    pub(super) fn check_settled(&self, entity: &Entity) -> Result<(), Refusal> {
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
    pub(super) fn seal(
        &self,
        kind: Kind,
        fields: &mut serde_json::Map<String, Value>,
    ) -> Result<(), Refusal> {
        let Some((field, username)) = secret_of(kind) else { return Ok(()) };
        let user = fields.get(username).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(said) = fields.get_mut(field) else { return Ok(()) };
        let length_min = self.values.number("TG_SIP_PASSWORD_LENGTH") as usize;
        let realm = self.values.text("TG_SIP_REALM");
        *said = Policy { field, user: &user, realm, length_min }.seal(said)?;
        Ok(())
    }

    /// As [`Self::seal`], in a change of a document.
    pub(super) fn seal_changes(
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
