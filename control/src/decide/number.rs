//! Whose a number is: the account's that a phone of that number belongs to, or else the account's whose section holds it.

use numbers::Number;
use serde_json::Value;

use super::Office;
use super::command::Command;
use crate::page::Page;
use crate::shown::{self, NumberOwnerShown, NumberSectionShown};
use crate::state::customer::INTERNATIONAL;
use crate::state::entity::{Entity, Kind, NumberSection, number_section};
use crate::{Refusal, Time};

impl Office {
    /// A page of sections, in the order of their names; of an account alone if one is named.
    pub(super) fn number_sections(&self, time: Time, command: &Command) -> Result<Value, Refusal> {
        let page = Page::read(&command.query)?;
        let account = command.query.get("account");
        if let Some(name) = account {
            self.state.account(name)?;
        }
        let behind = page.cursor.as_deref().unwrap_or_default();
        let is_wanted =
            |entity: &&Entity| account.is_none_or(|name| entity.refers_to(Kind::Account, name));
        let found = self.state.documents_behind(Kind::NumberSection, behind).filter(is_wanted);
        let place = |entity: &&Entity| entity.name().to_owned();
        Ok(page.fill(found, place, |entity| self.describe(time, entity)))
    }

    /// Who owns a number. A phone comes first: a number of somebody's section can have moved to another account's phone.
    pub(super) fn owner_of_number(&self, text: &str) -> Result<Value, Refusal> {
        let number = Number::normal(text.as_bytes(), &INTERNATIONAL)
            .map_err(|why| Refusal::invalid(format!("number: {text:?}: {why}")))?;
        let phone = self.state.customers.of_number(&number);
        let section = self.state.sections.of(&number);
        let by_phone = phone.map(|phone| phone.gateway.account);
        let account = by_phone.or(section.map(|(_, account)| *account));
        let Some(account) = account.and_then(|id| self.state.account_of(id)) else {
            let what =
                format!("no phone and no section has {text}; see `tollgate number section list`");
            return Err(Refusal::new(404, "nobody's number", what));
        };
        Ok(shown::json(NumberOwnerShown {
            number: number.as_str().to_owned(),
            account: account.name.clone(),
            account_id: account.id,
            phone: phone.map(|phone| phone.name.clone()),
            section: section.map(|(section, _)| section.to_string()),
        }))
    }

    pub(super) fn describe_section(&self, owned: NumberSection) -> Value {
        let (first, last) = match number_section(&owned.name) {
            Ok(section) => (section.first(), section.last()),
            // What is stored was read once.
            Err(_) => return Value::Null,
        };
        shown::json(NumberSectionShown {
            first: first.as_str().to_owned(),
            last: last.as_str().to_owned(),
            account_id: self.state.account(&owned.account).map_or(0, |account| account.id),
            section: owned,
        })
    }
}
