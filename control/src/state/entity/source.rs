//! Sources that are shut out, and those that are trusted.

use routing::Prefix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::memo;
use crate::Refusal;

/// A denied source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Denied {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// The address or prefix: the entry's name.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who denied it: an operator, or what of us did it by itself.
    #[serde(default = "operator")]
    pub by: String,
    /// Since when, µs since 1970 UTC.
    #[serde(default)]
    pub since_us: u64,
    /// Until when, µs since 1970 UTC; 0: until removed.
    #[serde(default)]
    pub until_us: u64,
}

/// The head of an import: what holds for all sources of a list that are denied together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// By which it is taken back.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who imported it.
    #[serde(default = "operator")]
    pub by: String,
    /// Since when, µs since 1970 UTC.
    #[serde(default)]
    pub since_us: u64,
    /// Until when, µs since 1970 UTC; 0: until removed.
    #[serde(default)]
    pub until_us: u64,
}

/// An entry of a list that is imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryRow {
    /// An address or prefix.
    pub prefix: String,
}

/// A trusted source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// The address or prefix: the entry's name.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Whether administrators sit there: once one does, the ports of administrators are open to them alone.
    #[serde(default)]
    pub admin: bool,
    /// Who trusts it: an operator, or whoever came with that code.
    #[serde(default = "operator")]
    #[schemars(extend("readOnly" = true))]
    pub by: String,
    /// Since when, µs since 1970 UTC.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub since_us: u64,
    /// Until when, µs since 1970 UTC; 0: until removed.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub until_us: u64,
}

/// A code by which somebody opens the firewall to an address of his for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Whose it is: the entry's name.
    pub name: String,
    /// How long an address stays open, s, 60 to 2,592,000 (30 days).
    #[serde(default = "working_day_s")]
    pub for_s: u64,
    /// For people.
    #[serde(default)]
    pub memo: String,
    /// SHA-256 of the code.
    #[serde(default)]
    pub(crate) fingerprint: String,
}

fn working_day_s() -> u64 {
    8 * 3_600
}

impl Code {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        memo("memo", &self.memo)?;
        if !(60..=2_592_000).contains(&self.for_s) {
            return Err(Refusal::invalid("for_s: 60 to 2592000 s"));
        }
        Ok(())
    }
}

fn operator() -> String {
    "operator".into()
}

/// What types cannot rule out of either.
pub(super) fn check_source(name: &str, reason: &str) -> Result<(), Refusal> {
    memo("reason", reason)?;
    match name.parse::<Prefix>() {
        Ok(_) => Ok(()),
        Err(fault) => Err(Refusal::invalid(format!("{name:?}: {fault}"))),
    }
}
