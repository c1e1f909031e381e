//! The XDP program, loaded and proven.
