//! Number sections: which consecutive numbers are an account's.

use numbers::{Number, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::memo;
use crate::Refusal;
use crate::state::customer::INTERNATIONAL;

/// Numbers that an account owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberSection {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// First and last number, `390212345000-390212345999`, or the one that it is: the section's name.
    pub name: String,
    /// Whose they are.
    pub account: String,
    /// For people.
    #[serde(default)]
    pub memo: String,
}

/// The section that a name says; blanks, a `+` and other ways to write a number do not count.
pub(crate) fn section(name: &str) -> Result<Section, Refusal> {
    let refuse = |why: &dyn std::fmt::Display| {
        let detail = format!("name: {name:?}: {why}; write 390212345000-390212345999");
        Refusal::invalid(detail)
    };
    let (first, last) = name.split_once('-').unwrap_or((name, name));
    if last.contains('-') {
        return Err(refuse(&"one dash parts the first from the last number"));
    }
    let number =
        |text: &str| Number::normal(text.as_bytes(), &INTERNATIONAL).map_err(|no| refuse(&no));
    Section::new(number(first)?, number(last)?).map_err(|no| refuse(&no))
}

impl NumberSection {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        section(&self.name)?;
        memo("memo", &self.memo)
    }
}
