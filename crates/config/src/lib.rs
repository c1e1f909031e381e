//! The configuration file: text to one valid value.
