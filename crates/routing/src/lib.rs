//! An admitted call to ordered candidates.
