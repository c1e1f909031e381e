//! Who may do what by the API (SEC-03). Users are listed by the names that this machine has for them; while nobody
//! is, whoever can open the socket may do everything.

use serde_json::Value;

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
            Ok(Entity::User(user)) if user.role.may(right) => return Ok(Value::Null),
            Ok(Entity::User(user)) => (user.role.name(), "update"),
            _ if self.state.documents(Kind::User).next().is_none() => return Ok(Value::Null),
            _ => ("nobody here", "create"),
        };
        let detail = format!("{attempt} takes the role {least}, {who} is {is}");
        self.raise_sign(time, "access_refused", who.to_owned(), Severity::Warning, detail.clone());
        let how = format!("{detail}; root may run `tollgate user {remedy} {who} --role {least}`");
        Err(Refusal::new(403, "not allowed", how))
    }
}

/// What the journal says of a document that somebody made, changed or took away.
pub(super) fn by_whom(who: &str, entity: &Entity) -> String {
    match entity {
        Entity::User(user) => format!("{} by {who}", user.role.name()),
        _ => format!("by {who}"),
    }
}
