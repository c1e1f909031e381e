//! Who may do what by the API (SEC-03). Users are listed by the names that this machine has for them; while nobody
//! is, whoever can open the socket may do everything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Office;
use crate::journal::Severity;
use crate::state::entity::{Entity, Kind, Right};
use crate::{Refusal, Time};

impl Office {
    /// Refuses `who` what he has no right to; he is named in an alarm.
    pub(super) fn check_access(
        &mut self,
        time: Time,
        who: &str,
        right: &str,
        attempt: &str,
    ) -> Result<Value, Refusal> {
        let right = Right::from_name(right).ok_or_else(|| Refusal::missing("right", right))?;
        let least = right.least().name();
        let (is, remedy) = match self.state.document(Kind::User, who) {
            Ok(Entity::User(user)) if user.role.may(right) => return self.sees_by(&user.agent),
            Ok(Entity::User(user)) => (user.role.name(), "update"),
            _ if self.state.documents(Kind::User).next().is_none() => return Ok(Value::Null),
            _ => ("nobody here", "create"),
        };
        let detail = format!("{attempt} takes the role {least}, {who} is {is}");
        self.raise_sign(time, "access_refused", who.to_owned(), Severity::Warning, detail.clone());
        let how = format!("{detail}; root may run `tollgate user {remedy} {who} --role {least}`");
        Err(Refusal::new(403, "not allowed", how))
    }

    /// What somebody sees who was let in: everything, or what an agent does.
    fn sees_by(&self, agent: &str) -> Result<Value, Refusal> {
        if agent.is_empty() {
            return Ok(Value::Null);
        }
        let agent = self.state.account(agent)?;
        let accounts = self.state.documents(Kind::Account).filter_map(|entity| match entity {
            Entity::Account(account) if account.agent == agent.name => Some(account),
            _ => None,
        });
        let customers: BTreeMap<&str, u32> =
            accounts.map(|account| (account.name.as_str(), account.id)).collect();
        Ok(json!({ "id": agent.id, "name": agent.name, "customers": customers }))
    }
}

/// What the journal says of a document that somebody made, changed or took away.
pub(super) fn by_whom(who: &str, entity: &Entity) -> String {
    match entity {
        Entity::User(user) => format!("{} by {who}", user.role.name()),
        _ => format!("by {who}"),
    }
}
