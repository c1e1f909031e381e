//! Where a vendor is: names become addresses (RFC 3263), beside the decision loop.
//!
//! [`Target`] is what an operator writes. [`Search`] asks one question after the other and makes
//! [`Server`]s of the answers, without I/O; [`order`] puts them in the order in which a call tries them
//! (RFC 2782). [`dns`] asks the questions on a thread of its own: a slow DNS server delays nobody.
//! Which names are asked when, and what holds meanwhile, is decided in `decide/names.rs`.

pub mod dns;
mod search;
mod server;
mod target;

pub use search::{Answer, Naptr, Outcome, Question, Records, Search, Srv};
pub use server::{Server, order};
pub(crate) use target::is_name;
pub use target::{Host, Target};
