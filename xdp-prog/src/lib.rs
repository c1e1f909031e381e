//! The guard in the NIC driver: a C program that judges each frame, and what loads, feeds and asks it.
//!
//! A frame enters `bpf/tollgate.bpf.c`, is parsed (`parse.h`), judged by its source (`deny.h`, `geo.h`,
//! `trust.h`), its port (`port.h`), what it asks for (`sip.h`, `signature.h`) and how often (`who.h`, `limit.h`,
//! `call.h`, `flow.h`), and leaves as its own answer (`answer.h`, `refuse.h`), to a worker's AF_XDP socket (`steer.h`), to the kernel, or nowhere; media of a settled call goes on
//! from here (`media.h`). Each exit has a
//! [`Reason`] and is counted under it, and strangers by their address too (`talk.h`).
//!
//! The dataplane [`attach`]es the program and hands it sockets; what reaches it past the driver it asks
//! the [`Twin`] about. Control opens the pinned maps with
//! [`Maps::open`], writes the lists and limits, reads the counters and asks [`Maps::explain`].
//! Programs, links and maps are pinned: the guard outlives both processes, and a new version
//! replaces the old inside its link, so that no frame meets an unguarded interface.
//!
//! [`Flood`], [`Streams`] and [`Bare`] (`bpf/flood.bpf.c`) are what benches put a guard under, and beside; [`Tape`], [`Sink`] and
//! [`Ears`] (`bpf/replay.bpf.c`) are what a replay sends with, and hears with.
//!
//! Read `bpf/abi.h` for the nouns both sides share, `bpf/tollgate.bpf.c` for the verdict,
//! `attach.rs` for how it gets onto an interface, `maps.rs` for what control writes.

pub mod abi;
mod addresses;
mod answer;
mod attach;
mod error;
mod explain;
mod flood;
mod limits;
mod loader;
mod maps;
pub mod media;
mod pins;
mod plan;
mod prefix;
mod prefixes;
mod reason;
mod replay;
mod roster;
mod sip;
mod streams;
mod tester;
mod twin;

pub use answer::Greeter;
pub use attach::{Attached, Interface, Mode, attach};
pub use error::Error;
pub use explain::{Described, Explanation, Protocol, Purse, Rule};
pub use flood::{Bare, Flood, Floor};
pub use limits::{Limits, Rate, RateFault, Rates, TrunkRates};
pub use loader::sends_for_drivers;
pub use maps::{Changed, Count, Deny, Instant, Maps, Ports, Region, Regular, Talker, Trust};
pub use pins::unload;
pub use plan::{Allowed, Capacities, Deliver, Plan, Target};
pub use prefix::{Prefix, PrefixFault};
pub use reason::{Meter, Reason, Standing, Verdict};
pub use replay::{Ears, LARGE_BYTES, Order, Patch, Place, SMALL_BYTES, Sink, Tape, TapeSizes};
pub use roster::Roster;
pub use streams::{Proof, Proven, Stream, Streams};
pub use tester::{Arrival, Price, Pricer, Run, Tester};
pub use twin::Twin;
