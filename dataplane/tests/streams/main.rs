//! SIP over connections, as peers see it: the rim on loopback, foreign clients and servers around it, and a
//! worker's rings on the other side.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inward;
mod outward;
mod secured;
mod world;
