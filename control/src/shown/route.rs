//! What a call would try, as it is told.

use schemars::JsonSchema;
use serde::Serialize;

/// One gateway that a call may try, or why not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Considered {
    /// Its place; null if it is not tried.
    pub order: Option<usize>,
    /// The vendor's gateway, or the phone.
    pub gateway: String,
    /// How many digits of the callee its prefix matched.
    pub prefix_digits: usize,
    /// `rate/unit`; null without a price.
    pub price: Option<String>,
    /// `rate/unit` of the customer by this route; null where it does not go by routes.
    pub customer_price: Option<String>,
    /// The callee as sent there.
    pub callee_sent: Option<String>,
    /// The contact of the phone that rings.
    pub contact: Option<String>,
    /// Why it is not tried.
    pub excluded: Option<String>,
}

/// What a call would try.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct RouteExplained {
    /// Whether the call passes.
    pub admitted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The callee after all rules.
    pub callee: Option<String>,
    /// The caller after all rules.
    pub caller: Option<String>,
    /// Both after each level of rules, up to the one that left no number.
    pub numbers: Vec<NumbersShown>,
    /// `rate/unit` of the customer; null where it goes by routes.
    pub customer_price: Option<String>,
    /// In order of the search, the excluded ones last.
    pub items: Vec<Considered>,
}

/// The numbers of a call after one level of rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NumbersShown {
    /// `gateway` (its tech prefix taken off), `account` or `system`.
    pub level: &'static str,
    /// The caller, if there is one.
    pub caller: Option<String>,
    /// The callee.
    pub callee: String,
}
