//! SRTP and SRTCP with keys from SDP: packets in clear, packets under a key, in place.
//!
//! A [`Master`] is what a description gives: a [`Suite`] and its key. A [`Sender`] made of it protects what
//! leaves by one leg, a [`Receiver`] opens what arrives at it. Each works in the caller's own buffer, and
//! counts for each SSRC how often its sequence numbers rolled over (RFC 3711 §3.3.1), which no packet says.
//! Nothing here allocates, reads a clock or makes a key; no [`core::fmt::Debug`] shows one.
//!
//! Read `suite.rs` for the nouns, `derive.rs` and `cipher.rs` for the arithmetic, `stream.rs` for the count,
//! `sender.rs` and `receiver.rs` for the verbs.
//!
//! Withstands: forged packets, which change no state whatever they say; packets played again; a packet whose
//! lengths lie.

#![forbid(unsafe_code)]

mod cipher;
mod derive;
mod packet;
mod receiver;
mod sender;
mod stream;
mod suite;

pub use receiver::Receiver;
pub use sender::Sender;
pub use stream::{KEPT_STREAMS, Kept, Position, STREAMS};
pub use suite::{MASTER_BYTES_MAX, Master, OVERHEAD_MAX, Suite};

/// Why a packet is not protected or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no whole packet of its kind.
    Malformed,
    /// The buffer has no room for what is added to it.
    NoRoom,
    /// Nobody who has the key made it, or not for this place in the stream.
    Unauthentic,
    /// It was here before, or is so old that nobody knows.
    Replayed,
    /// The key has protected all that it may (RFC 3711 §9.2).
    Exhausted,
}

#[cfg(test)]
mod tests;
