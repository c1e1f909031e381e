//! SIP text to messages, zero-copy, and back.
