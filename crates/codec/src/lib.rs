//! Speech as telephones send it: samples to code words and back.
//!
//! Samples are linear, signed, 16 bits, as loud as `i16` can say; code words are those of the
//! recommendation that the module is named after. Nothing here allocates after creation ([`wav`], which is read at
//! a start, apart), blocks, logs or reads a clock.

#![forbid(unsafe_code)]

pub mod g711;
pub mod g722;
pub mod g7231;
pub mod g729;
mod resample;
mod transcode;
pub mod wav;

pub use transcode::{Codec, Fault, PACKETS_MAX, Settings, Side, Start, Transcoder};
