//! Numbers and whose they are, as they are told.

use schemars::JsonSchema;
use serde::Serialize;

use crate::state::entity::NumberSection;

/// A section of numbers.
#[derive(Serialize, JsonSchema)]
pub struct NumberSectionShown {
    /// What an operator says of it.
    #[serde(flatten)]
    pub section: NumberSection,
    /// Its first number.
    pub first: String,
    /// Its last number.
    pub last: String,
    /// The number of the account.
    pub account_id: u32,
}

/// Whose a number is.
#[derive(Serialize, JsonSchema)]
pub struct NumberOwnerShown {
    /// In normal form.
    pub number: String,
    /// The owner: of the phone, if one has the number, or else of the section.
    pub account: String,
    /// The owner's number.
    pub account_id: u32,
    /// The phone that it rings.
    pub phone: Option<String>,
    /// The section that holds it.
    pub section: Option<String>,
}
