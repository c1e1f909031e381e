//! An admitted call to ordered candidates: who is calling, within which limits, to whom next.
//!
//! [`SourceTable`] says whose a source address is; [`Limiter`] counts lines and calls per second;
//! [`select`] orders the routing gateways a call may try and keeps the reason of every exclusion, so
//! `route explain` and the call itself hear the same answer.
//!
//! Read `gateway.rs` for the nouns, `source.rs` and `limit.rs` for admission, `order.rs` for the verb.

#![forbid(unsafe_code)]

mod gateway;
mod limit;
mod order;
mod source;

pub use gateway::{Health, MappingGateway, Onward, RoutingGateway, STOP_CODES_DEFAULT};
pub use limit::{Limiter, Limits};
pub use order::{Choice, Considered, Exclusion, Known, Query, Rotation, RouteTable, select};
pub use source::{Prefix, PrefixFault, Source, SourceFault, SourceTable};

/// Monotonic time since the machine booted.
pub type Instant = core::time::Duration;
