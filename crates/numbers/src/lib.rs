//! Dial plans, digit tries, number lists.
