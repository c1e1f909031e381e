//! A flow as a checkpoint keeps it: what a restarted process must know to go on relaying.
//!
//! Figures are not kept: after a crash they begin again.
