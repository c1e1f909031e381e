//! Media relay: for each datagram, where it goes next.
//!
//! A datagram enters at [`Table::forward`], is matched to the [`Flow`](flow::Flow) of the [`Port`] it was
//! sent to, and leaves as a [`Verdict`]: send it on from that port to that address, or drop it for a
//! reason. Where a leg has keys, the packet that goes on is another one, which lies here
//! ([`Table::changed_packets`]); of all others the payload is never touched. Nothing here allocates after
//! [`Table::new`], blocks, logs or reads a clock.
//!
//! Two legs of a call each own a pair of ports: an even one for RTP, the next for RTCP. What arrives at
//! a port leaves from its peer's port to its peer's far end.
//!
//! Read `flow.rs` for the nouns, `port.rs` for their names, `latch.rs` for whom we believe, `table.rs` for where flows live,
//! `forward.rs` for the verb, `work.rs` for what is done to a packet, `course.rs` for what a driver may do without
//! us, `quality.rs` for the figures, `report.rs` for those of the far ends, `sound.rs` for what we say ourselves
//! (`tone.rs`, `prompt.rs`), `tap.rs` for who hears it besides, `inband.rs` for keys in its tones, `dial.rs` for those
//! that we put into what goes on.

#![forbid(unsafe_code)]

mod course;
mod dial;
mod flow;
mod forward;
mod held;
mod inband;
mod latch;
mod port;
mod prompt;
mod quality;
mod report;
mod sound;
mod table;
mod tap;
mod tone;
mod work;

pub use codec::{Codec, Settings as Transcoding, Side as Speaker, Start};
pub use course::{Course, Deaf, Ears, Onward, Sums};
pub use dial::{ECHO, Form, KEYS_WAITING_MAX, Keypad};
pub use flow::{NO_EVENTS, Opening, Owner, PayloadTypes, PortState, Pressed, Silence, Way};
pub use forward::{DropReason, Verdict};
pub use held::Held;
pub use latch::Latch;
pub use port::Port;
pub use prompt::{PromptId, Prompts};
pub use quality::Figures;
pub use report::Reported;
pub use sound::{
    PACKET_TIME, PROMPTS_MAX, Play, PlayEnd, Played, SOUND_BYTES, Sound, TONE_BYTES, Times,
};
pub use table::Table;
pub use tap::{Tap, Tapped, Untapped};
pub use work::{PACKET_BYTES_MAX, PACKETS_MAX, Secured};

/// Monotonic time since the machine booted.
pub type Instant = core::time::Duration;
