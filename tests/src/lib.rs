//! What proves the house from outside: the simulated world, the lab, load from the wire.
//!
//! [`sim`] is a world in virtual time around the real loops of both daemons. [`lab`] runs the real
//! programs in network namespaces against foreign clients: scenes of [`sipp`] scripts on a [`stage`], with
//! TLS through a [`tunnel`], and phones and proxies ([`softphone`], [`linphone`], [`webphone`], [`registrants`],
//! [`kamailio`]) that do what they think right. `bin/phones.rs` and `bin/flood.rs` are the load that no foreign client can verify
//! packet by packet; `bin/siege.rs` plays floods at full rate beside calls.
//!
//! What of SIP is shown where, with peers that nobody here wrote (the head of each file says more):
//!
//! | of SIP | scenes |
//! |---|---|
//! | transactions and dialogs | `tests/lab_sip.rs`, crossings in `tests/lab_extensions.rs`, forks in `tests/lab_gateways.rs` |
//! | PRACK, UPDATE, INFO, MESSAGE, session timers | `tests/lab_extensions.rs` |
//! | what a gateway's fields change, redirections | `tests/lab_gateways.rs` |
//! | transfer and pickup by phones, ringback | `tests/lab_clients.rs` |
//! | registrar, PUBLISH, challenges of ours, registration at vendors | `tests/lab_registrar.rs` |
//! | OPTIONS to vendors, challenges of theirs | `tests/lab_vendors.rs` |
//! | connections, marks, TCP above the MTU | `tests/lab_transports.rs` |
//! | vendors by name: NAPTR, SRV, a DNS that changes and falls silent | `tests/lab_dns.rs` |
//! | more calls than can be carried | `tests/lab_overload.rs` |
//! | WebSocket | `tests/lab_websocket.rs` |
//! | media under keys | `tests/lab_srtp.rs` |
//! | bad input, fragments, a machine that is overrun | `tests/lab_hostile.rs` |
//! | hiding of either side from the other | every scene of [`stage`] |

pub mod carrier;
pub mod kamailio;
pub mod lab;
pub mod linphone;
pub mod load;
pub mod registrants;
pub mod sim;
pub mod sipp;
pub mod softphone;
pub mod stage;
pub mod tunnel;
pub mod webphone;

/// Billionths of `rate` per minute for whole seconds, rounded half to even at six decimals: written
/// apart from the product's own arithmetic.
#[must_use]
pub fn expected_fee(rate: i128, hold_ms: u64) -> i128 {
    let rest = hold_ms % 1000;
    let seconds = i128::from(hold_ms / 1000 + u64::from(rest >= 50));
    let (whole, left) = (rate * seconds / 60_000, rate * seconds % 60_000);
    let up = left * 2 > 60_000 || left * 2 == 60_000 && whole % 2 == 1;
    (whole + i128::from(up)) * 1_000
}
