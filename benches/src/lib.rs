//! The price list: one bench per journey step.
