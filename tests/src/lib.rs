//! The simulated world, the lab and the house rules.
