//! People who steer the switch: what each may do. Who somebody is the kernel says ([`crate::api::Peer`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::memo;
use crate::Refusal;
use crate::state::word::words;

words! {
    /// What somebody is to the switch.
    Role { Viewer = "viewer", Operator = "operator", Administrator = "administrator" }
}

/// What a request takes. A right that goes beyond roles, as changing a call record, will stand here as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See how things are.
    Look,
    /// Keep it running: whom the driver drops, who is shut out, which calls go on.
    Operate,
    /// Set right what stored records cost.
    Correct,
    /// Change the business: accounts, prices, gateways, parameters, users.
    Administer,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 4] = [Self::Look, Self::Operate, Self::Correct, Self::Administer];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Operate => "operate",
            Self::Correct => "correct",
            Self::Administer => "administer",
        }
    }

    /// The right with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }

    /// The least role that has it.
    #[must_use]
    pub fn least(self) -> Role {
        match self {
            Self::Look => Role::Viewer,
            Self::Operate => Role::Operator,
            Self::Correct | Self::Administer => Role::Administrator,
        }
    }
}

impl Role {
    /// Whether it has a right.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        match self {
            Self::Viewer => right == Right::Look,
            Self::Operator => matches!(right, Right::Look | Right::Operate),
            Self::Administrator => true,
        }
    }

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

/// Somebody who may use the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// As this machine calls that user (`id -un`).
    pub name: String,
    /// `viewer` sees everything, `operator` runs the firewall and ends calls besides, `administrator` does all.
    pub role: Role,
    /// An agent's account: this viewer sees it, its customers' and the calls that it earned on, and no more.
    #[serde(default)]
    pub agent: String,
    /// For people.
    #[serde(default)]
    pub memo: String,
}

impl User {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if !self.agent.is_empty() && self.role != Role::Viewer {
            let role = self.role.name();
            let detail =
                format!("agent: who sees by an agent's account is a viewer, not an {role}");
            return Err(Refusal::invalid(detail));
        }
        memo("memo", &self.memo)
    }
}
