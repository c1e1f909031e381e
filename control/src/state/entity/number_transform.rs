//! Number transforms of the whole switch: rules that every call meets, behind those of its gateway and its account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{TransformRule, memo, rules};
use crate::Refusal;
use crate::state::word::words;

words! {
    /// Which number a rule changes.
    Which { Callee = "callee", Caller = "caller" }
}

/// A rule for every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberTransform {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name; of two rules whose originals are as long, the first by name is asked first.
    pub name: String,
    /// `callee` or `caller`.
    #[serde(default)]
    pub number: Which,
    /// What the number begins with; behind a `~`, a regular expression of what is replaced.
    pub original: String,
    /// What it begins with afterwards, or what is put in its place; `$1` is the first group of an expression.
    #[serde(default)]
    pub target: String,
    /// For people.
    #[serde(default)]
    pub memo: String,
}

impl NumberTransform {
    /// As gateways and accounts have it.
    #[must_use]
    pub fn rule(&self) -> TransformRule {
        TransformRule { original: self.original.clone(), target: self.target.clone() }
    }

    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        rules("original", &[self.rule()])?;
        memo("memo", &self.memo)
    }
}
