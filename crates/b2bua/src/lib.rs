//! The SIP brain of one worker: messages, answers and timeouts in; messages and actions out.
//!
//! [`Switch`] is a back-to-back user agent. A call has two independent legs, each with its own
//! Call-ID, tags, sequence numbers, Vias and Contact, so nothing of one network is seen in the
//! other. It never decides who may call or whither: it asks control ([`link::Ask`]) and obeys.
//! It has no clock, socket or entropy; time and the seed are arguments.
//!
//! The order of calls is the contract: one `handle_*`, then [`Switch::poll_transmit`] and
//! [`Switch::poll_action`] until both are empty, then sleep until [`Switch::poll_timeout`].
//! All memory is sized in [`Switch::new`]; what is full is refused and counted ([`Counter`]).
//!
//! Read `switch.rs` for the surface, `transaction/` beside RFC 3261 §17 and RFC 6026, `dialog.rs`
//! for what a leg remembers, `call/` for the story of a call, `transfers.rs` for what it needs while a
//! leg changes hands, `media.rs` for its streams, `registrar.rs` for phones that say where they are,
//! `publisher.rs` for those that say how they are, `fences.rs` for where addresses may lie, `challenge.rs` for how they show who they are,
//! `errand.rs` for requests of ours outside of calls, `login.rs` for how we show who we are, and
//! `stateless.rs` for everybody who gets no state at all.

#![forbid(unsafe_code)]

mod action;
mod arena;
mod call;
mod cause;
mod challenge;
mod checkpoint;
mod compose;
mod counter;
mod credentials;
mod dialog;
mod errand;
mod fences;
mod greeting;
mod kept;
mod keys;
mod limits;
mod login;
mod media;
mod outbox;
mod path;
mod ports;
mod profiles;
mod publisher;
mod registrar;
mod responses;
mod shut_out;
mod stateless;
mod switch;
mod table;
mod timers;
mod transact;
mod transaction;
mod transfers;
mod turned_away;
mod undeliverable;

pub use action::{Action, Adopted, Transmit};
pub use checkpoint::CHECKPOINT_BYTES_MAX;
pub use counter::Counter;
pub use keys::{Keys, SHARDS, Shard, shard_of, worker_of};
pub use limits::{Limits, Local, MediaLocal, Setup, StreamPorts};
pub use link::Instant;
pub use media::call_of;
pub use path::{Inside, Path};
pub use ports::{AddressPorts, PortCount};
pub use switch::{LiveCall, Switch};

#[cfg(test)]
mod tests;
