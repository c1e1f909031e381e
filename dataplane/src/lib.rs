//! The dataplane: one pinned worker per core.
