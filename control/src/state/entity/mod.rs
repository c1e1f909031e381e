//! The documents of the business: what an operator creates, changes, deletes, exports.
//!
//! A document is refused as a whole with the field that is wrong; nothing downstream holds a value that
//! cannot be. Unknown fields are errors.

mod account;
mod fields;
pub(crate) mod geo;
mod mapping_gateway;
mod number_section;
mod number_transform;
mod package;
mod phone;
mod record_mapping;
mod routing_gateway;
mod screening;
pub(crate) mod section;
mod sheet_mapping;
mod source;
mod tariff;
mod user;

use std::borrow::Cow;

use routing::Prefix;
use serde_json::Value;

use crate::Refusal;
pub use account::Account;
pub(crate) use fields::email;
pub use fields::{TransformRule, memo, parse};
pub(crate) use fields::{money, optional_money};
pub use geo::{Fencing, GeoHead, GeoRow};
pub use mapping_gateway::Mapping;
pub use number_section::NumberSection;
pub(crate) use number_section::section as number_section;
pub use number_transform::{NumberTransform, Which};
pub use package::{FailedMode, Package, Span, Subscription};
pub(super) use phone::dialled;
pub use phone::{Phone, Ring};
pub use record_mapping::{DurationUnit, RecordMapping, StartIs};
pub(crate) use record_mapping::{EPOCH_MS, EPOCH_S};
pub use routing_gateway::{Routing, TlsVerify};
pub use screening::Screening;
pub(crate) use sheet_mapping::{COLUMNS_MAX, letters};
pub use sheet_mapping::{SheetMapping, Status};
use source::check_source;
pub use source::{Code, Denied, EntryRow, Import, Trusted};
pub use tariff::{RateRow, TariffHead, UNKNOWN};
pub use user::{Right, Role, User};

/// What is shown of a secret.
pub const HIDDEN: &str = "********";

/// Kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who is charged or paid.
    Account,
    /// Prices by prefix.
    Tariff,
    /// A customer's side.
    Mapping,
    /// A vendor's side.
    Routing,
    /// A subscriber's line.
    Phone,
    /// A denied source.
    Deny,
    /// A trusted source.
    Trust,
    /// A named set of addresses.
    Geo,
    /// Somebody who may use the API.
    User,
    /// A list of denied sources.
    Import,
    /// A code that opens the firewall.
    Code,
    /// How a vendor writes his rate sheets.
    Sheet,
    /// How another switch writes its call records.
    Record,
    /// What accounts can subscribe to.
    Package,
    /// That an account has a package.
    Subscription,
    /// Numbers that an account owns.
    NumberSection,
    /// A rule for the numbers of every call.
    NumberTransform,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Account,
        Self::Tariff,
        Self::Mapping,
        Self::Routing,
        Self::Phone,
        Self::Deny,
        Self::Trust,
        Self::Geo,
        Self::User,
        Self::Import,
        Self::Code,
        Self::Sheet,
        Self::Record,
        Self::Package,
        Self::Subscription,
        Self::NumberSection,
        Self::NumberTransform,
    ];

    /// The word in messages and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Tariff => "tariff",
            Self::Mapping => "mapping gateway",
            Self::Routing => "routing gateway",
            Self::Phone => "phone",
            Self::Deny => "denied source",
            Self::Trust => "trusted source",
            Self::Geo => "geo set",
            Self::User => "user",
            Self::Import => "import",
            Self::Code => "access code",
            Self::Sheet => "sheet mapping",
            Self::Record => "record mapping",
            Self::Package => "package",
            Self::Subscription => "subscription",
            Self::NumberSection => "number section",
            Self::NumberTransform => "number transform",
        }
    }

    /// The one spelling of a document's name: networks and numbers have many, and two entries for one of them
    /// would outlive each other's removal.
    #[must_use]
    pub fn spelling(self, name: &str) -> Cow<'_, str> {
        let spelled = match self {
            Self::Deny | Self::Trust => name.parse::<Prefix>().ok().map(|it| it.to_string()),
            Self::NumberSection => number_section(name).ok().map(|it| it.to_string()),
            _ => None,
        };
        spelled.map_or(name.into(), Cow::from)
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Any document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// See [`Account`].
    Account(Account),
    /// See [`TariffHead`].
    Tariff(TariffHead),
    /// See [`Mapping`].
    Mapping(Mapping),
    /// See [`Routing`].
    Routing(Routing),
    /// See [`Phone`].
    Phone(Phone),
    /// See [`Denied`].
    Deny(Denied),
    /// See [`Trusted`].
    Trust(Trusted),
    /// See [`GeoHead`].
    Geo(GeoHead),
    /// See [`User`].
    User(User),
    /// See [`Import`].
    Import(Import),
    /// See [`Code`].
    Code(Code),
    /// See [`SheetMapping`].
    Sheet(SheetMapping),
    /// See [`RecordMapping`].
    Record(Box<RecordMapping>),
    /// See [`Package`].
    Package(Package),
    /// See [`Subscription`].
    Subscription(Subscription),
    /// See [`NumberSection`].
    NumberSection(NumberSection),
    /// See [`NumberTransform`].
    NumberTransform(NumberTransform),
}

impl Entity {
    /// Reads what an operator or the store says.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn read(kind: Kind, id: u32, body: Value) -> Result<Self, Refusal> {
        let said: Vec<String> =
            body.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
        let entity = match kind {
            Kind::Account => Self::Account(Account { id, ..parse(body)? }),
            Kind::Tariff => Self::Tariff(TariffHead { id, ..parse(body)? }),
            Kind::Mapping => Self::Mapping(Mapping { id, ..parse(body)? }),
            Kind::Routing => Self::Routing(Routing { id, ..parse(body)? }),
            Kind::Phone => Self::Phone(Phone { id, ..parse(body)? }),
            Kind::Deny => {
                let denied: Denied = parse(body)?;
                let name = kind.spelling(&denied.name).into_owned();
                Self::Deny(Denied { id, name, ..denied })
            }
            Kind::Trust => {
                let trusted: Trusted = parse(body)?;
                let name = kind.spelling(&trusted.name).into_owned();
                Self::Trust(Trusted { id, name, ..trusted })
            }
            Kind::Geo => Self::Geo(GeoHead { id, ..parse(body)? }),
            Kind::User => Self::User(User { id, ..parse(body)? }),
            Kind::Import => Self::Import(Import { id, ..parse(body)? }),
            Kind::Code => Self::Code(Code { id, ..parse(body)? }),
            Kind::Sheet => Self::Sheet(SheetMapping { id, ..parse(body)? }),
            Kind::Record => Self::Record(Box::new(RecordMapping { id, ..parse(body)? })),
            Kind::Package => Self::Package(Package { id, ..parse(body)? }),
            Kind::Subscription => Self::Subscription(Subscription { id, ..parse(body)? }),
            Kind::NumberSection => {
                let section: NumberSection = parse(body)?;
                let name = kind.spelling(&section.name).into_owned();
                Self::NumberSection(NumberSection { id, name, ..section })
            }
            Kind::NumberTransform => Self::NumberTransform(NumberTransform { id, ..parse(body)? }),
        };
        // Every field is written, so what is not read is not written either.
        let known = entity.body();
        if let Some(unknown) = said.iter().find(|field| known.get(field).is_none()) {
            return Err(Refusal::invalid(format!("{unknown}: unknown field `{unknown}`")));
        }
        entity.check()?;
        Ok(entity)
    }

    /// Values that types cannot rule out.
    fn check(&self) -> Result<(), Refusal> {
        let name = self.name();
        let sane = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && name.trim() == name;
        if !sane {
            return Err(Refusal::invalid(
                "name: 1 to 64 printable ASCII characters, no blanks at its ends",
            ));
        }
        match self {
            Self::Account(account) => account.check(),
            Self::Tariff(tariff) => tariff.check(),
            Self::Mapping(gateway) => gateway.check(),
            Self::Routing(gateway) => gateway.check(),
            Self::Phone(phone) => phone.check(),
            Self::Deny(denied) => check_source(&denied.name, &denied.reason),
            Self::Trust(trusted) => check_source(&trusted.name, &trusted.reason),
            Self::Geo(set) => set.check(),
            Self::User(user) => user.check(),
            Self::Import(import) => memo("reason", &import.reason),
            Self::Code(code) => code.check(),
            Self::Sheet(mapping) => mapping.check(),
            Self::Record(mapping) => mapping.check(),
            Self::Package(package) => package.check(),
            Self::Subscription(subscription) => subscription.check(),
            Self::NumberSection(section) => section.check(),
            Self::NumberTransform(rule) => rule.check(),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Account(_) => Kind::Account,
            Self::Tariff(_) => Kind::Tariff,
            Self::Mapping(_) => Kind::Mapping,
            Self::Routing(_) => Kind::Routing,
            Self::Phone(_) => Kind::Phone,
            Self::Deny(_) => Kind::Deny,
            Self::Trust(_) => Kind::Trust,
            Self::Geo(_) => Kind::Geo,
            Self::User(_) => Kind::User,
            Self::Import(_) => Kind::Import,
            Self::Code(_) => Kind::Code,
            Self::Sheet(_) => Kind::Sheet,
            Self::Record(_) => Kind::Record,
            Self::Package(_) => Kind::Package,
            Self::Subscription(_) => Kind::Subscription,
            Self::NumberSection(_) => Kind::NumberSection,
            Self::NumberTransform(_) => Kind::NumberTransform,
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        match self {
            Self::Account(one) => one.id,
            Self::Tariff(one) => one.id,
            Self::Mapping(one) => one.id,
            Self::Routing(one) => one.id,
            Self::Phone(one) => one.id,
            Self::Deny(one) => one.id,
            Self::Trust(one) => one.id,
            Self::Geo(one) => one.id,
            Self::User(one) => one.id,
            Self::Import(one) => one.id,
            Self::Code(one) => one.id,
            Self::Sheet(one) => one.id,
            Self::Record(one) => one.id,
            Self::Package(one) => one.id,
            Self::Subscription(one) => one.id,
            Self::NumberSection(one) => one.id,
            Self::NumberTransform(one) => one.id,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Account(one) => &one.name,
            Self::Tariff(one) => &one.name,
            Self::Mapping(one) => &one.name,
            Self::Routing(one) => &one.name,
            Self::Phone(one) => &one.name,
            Self::Deny(one) => &one.name,
            Self::Trust(one) => &one.name,
            Self::Geo(one) => &one.name,
            Self::User(one) => &one.name,
            Self::Import(one) => &one.name,
            Self::Code(one) => &one.name,
            Self::Sheet(one) => &one.name,
            Self::Record(one) => &one.name,
            Self::Package(one) => &one.name,
            Self::Subscription(one) => &one.name,
            Self::NumberSection(one) => &one.name,
            Self::NumberTransform(one) => &one.name,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        let value = match self {
            Self::Account(one) => serde_json::to_value(one),
            Self::Tariff(one) => serde_json::to_value(one),
            Self::Mapping(one) => serde_json::to_value(one),
            Self::Routing(one) => serde_json::to_value(one),
            Self::Phone(one) => serde_json::to_value(one),
            Self::Deny(one) => serde_json::to_value(one),
            Self::Trust(one) => serde_json::to_value(one),
            Self::Geo(one) => serde_json::to_value(one),
            Self::User(one) => serde_json::to_value(one),
            Self::Import(one) => serde_json::to_value(one),
            Self::Code(one) => serde_json::to_value(one),
            Self::Sheet(one) => serde_json::to_value(one),
            Self::Record(one) => serde_json::to_value(one),
            Self::Package(one) => serde_json::to_value(one),
            Self::Subscription(one) => serde_json::to_value(one),
            Self::NumberSection(one) => serde_json::to_value(one),
            Self::NumberTransform(one) => serde_json::to_value(one),
        };
        value.unwrap_or_default()
    }

    /// Whether it refers to the document of that kind and name.
    #[must_use]
    pub fn refers_to(&self, kind: Kind, name: &str) -> bool {
        let (account, tariff, routing): (&str, &str, &str) = match self {
            Self::Mapping(gateway) => (&gateway.account, &gateway.tariff, ""),
            Self::Routing(gateway) => (&gateway.account, &gateway.tariff, ""),
            Self::Phone(phone) => (&phone.account, &phone.tariff, &phone.offline_gateway),
            Self::Tariff(tariff) => ("", tariff.template.as_str(), ""),
            Self::Sheet(mapping) => (&mapping.account, "", ""),
            Self::Record(mapping) => (&mapping.account, "", ""),
            Self::Subscription(subscription) => (&subscription.account, "", ""),
            Self::NumberSection(section) => (&section.account, "", ""),
            Self::Account(account) => (&account.agent, &account.tariff, ""),
            Self::User(user) => (&user.agent, "", ""),
            _ => return false,
        };
        match kind {
            Kind::Package => matches!(self, Self::Subscription(it) if it.package == name),
            Kind::Account => account == name,
            Kind::Tariff => tariff == name,
            Kind::Routing => routing == name,
            Kind::Geo => self.fence().is_some_and(|(_, sets)| sets.iter().any(|set| set == name)),
            _ => false,
        }
    }

    /// What its fence does, and which sets it names; `None`: it can have none.
    #[must_use]
    pub fn fence(&self) -> Option<(Fencing, &[String])> {
        match self {
            Self::Mapping(gateway) => Some((gateway.fence_mode, &gateway.fence_sets)),
            Self::Routing(gateway) => Some((gateway.fence_mode, &gateway.fence_sets)),
            Self::Phone(phone) => Some((phone.fence_mode, &phone.fence_sets)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_with_a_wrong_or_unknown_field_is_refused_by_name() {
        let read = |kind, body| Entity::read(kind, 1, body).unwrap_err().detail;
        assert!(read(Kind::Account, json!({"name": "a", "role": "x"})).contains("role"));
        assert!(
            read(Kind::Account, json!({"name": "a", "role": "vendor", "x": 1})).contains("`x`")
        );
        let gateway = json!({"name": "g", "account": "a", "addresses": ["300.1.1.1"]});
        assert!(read(Kind::Mapping, gateway).contains("300.1.1.1"));
        let gateway = json!({"name": "g", "account": "a", "target": "10.0.0.1:x"});
        assert!(read(Kind::Routing, gateway).contains("target"));
        assert!(read(Kind::Deny, json!({"name": "10.0.0.0/99"})).contains("10.0.0.0/99"));
    }

    #[test]
    fn a_registration_needs_somebody_and_somewhere() {
        let read = |more: Value| {
            let mut body = json!({"name": "g", "account": "a", "target": "[2001:db8::1]:5070"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            match Entity::read(Kind::Routing, 1, body) {
                Ok(Entity::Routing(it)) => {
                    Ok((it.registration_user().to_owned(), it.registration_domain()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => Err(refusal.detail),
            }
        };
        let user = |user: &str, domain: &str| Ok((user.to_owned(), domain.to_owned()));
        assert!(read(json!({"registration": true})).unwrap_err().contains("auth_username"));
        let named = json!({"registration": true, "auth_username": "me"});
        assert_eq!(read(named), user("me", "[2001:db8::1]"));
        let other = json!({"registration": true, "registration_user": "3902",
            "registration_domain": "carrier.example"});
        assert_eq!(read(other), user("3902", "carrier.example"));
        for (field, value) in [
            ("registration_user", "a@b"),
            ("registration_user", "a b"),
            ("registration_domain", "carrier example"),
            ("registration_domain", "sip:carrier"),
        ] {
            assert!(read(json!({ field: value })).unwrap_err().contains(field), "{value}");
        }
    }

    #[test]
    fn money_is_text_and_nothing_else() {
        let row: RateRow =
            serde_json::from_value(json!({"prefix": "44", "rate": "0.0120"})).unwrap();
        assert_eq!(serde_json::to_value(&row).unwrap()["rate"], "0.012");
        assert!(serde_json::from_value::<RateRow>(json!({"prefix": "44", "rate": 0.012})).is_err());
    }
}
