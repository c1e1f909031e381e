//! Named shared memory as a slice of atomic words.
