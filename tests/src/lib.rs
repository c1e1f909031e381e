//! What proves the house from outside: the simulated world, the lab, load from the wire.
//!
//! [`lab`] runs the real programs in network namespaces against foreign clients; `bin/phones.rs`
//! and `bin/flood.rs` are the load that no foreign client can verify packet by packet.

pub mod lab;
