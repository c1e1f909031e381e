//! The two kinds of gateway: mapping gateways bring calls in, routing gateways take them on.

use std::net::IpAddr;

use numbers::Screens;
use numbers::transform::Rules;

use crate::limit::Limits;
use crate::source::Source;

/// Answers that end the search, unless the gateway says otherwise: busy here, busy everywhere, decline.
pub const STOP_CODES_DEFAULT: [u16; 3] = [486, 600, 603];

/// A customer's side.
#[derive(Clone, Debug)]
pub struct MappingGateway {
    /// Its number.
    pub id: u32,
    /// Who is charged.
    pub account: u32,
    /// What is charged.
    pub tariff: u32,
    /// Where its calls come from.
    pub sources: Vec<Source>,
    /// What its callees begin with and what is stripped; empty: nothing.
    pub tech_prefix: String,
    /// Lines and calls per second.
    pub limits: Limits,
    /// Longest call, s; 0: no limit.
    pub talk_s_max: u32,
    /// No call passes.
    pub locked: bool,
    /// Which numbers pass.
    pub screens: Screens,
    /// Changes of the callee.
    pub callee_rules: Rules,
    /// Changes of the caller.
    pub caller_rules: Rules,
}

/// Whether shorter prefixes follow after a gateway's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Onward {
    /// They do.
    #[default]
    Continue,
    /// The search ends at its prefix length.
    Terminate,
}

/// Whether a vendor's side answers, as far as we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It does, or nobody asked.
    #[default]
    Online,
    /// It does not, or it must be registered at and is not.
    Offline,
    /// Wherever it is, it is outside its fence.
    Fenced,
    /// It gives no more credit, and is asked for that.
    Broke,
    /// It asked to be left alone for a while (Retry-After). It is called all the same when nobody else
    /// is left.
    Banned,
}

/// A vendor's side.
#[derive(Clone, Debug)]
pub struct RoutingGateway {
    /// Its number.
    pub id: u32,
    /// Who is paid.
    pub account: u32,
    /// What is paid.
    pub tariff: u32,
    /// Where it is, in any order; none: its name has led nowhere yet.
    pub hosts: Vec<IpAddr>,
    /// Prefixes it serves; the empty one serves all.
    pub prefixes: Vec<String>,
    /// Whether shorter prefixes follow.
    pub onward: Onward,
    /// 1 (first) to 100.
    pub priority: u8,
    /// Share among equals, at least 1.
    pub weight: u32,
    /// Lines and calls per second.
    pub limits: Limits,
    /// No call goes there.
    pub locked: bool,
    /// Which numbers it takes.
    pub screens: Screens,
    /// Calls without a vendor price may go there.
    pub unrated_allowed: bool,
    /// What customers' prices by route are looked up by before the callee; empty: nothing.
    pub billing_prefix: String,
    /// Answers that end the search.
    pub stop_codes: Vec<u16>,
    /// Changes of the callee as sent.
    pub callee_rules: Rules,
    /// Changes of the caller as sent.
    pub caller_rules: Rules,
}
