//! What `tollgate-dataplane` says of its command line and its configuration file.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[path = "../../control/tests/check/mod.rs"]
mod check;

const DAEMON: &str = env!("CARGO_BIN_EXE_tollgate-dataplane");

#[test]
fn a_mistake_in_the_file_is_told_with_file_key_and_what_to_do() {
    check::mistakes_are_told(DAEMON);
}

#[test]
fn a_file_that_is_none_is_named_and_a_right_one_is_ok() {
    check::a_wrong_file_is_named_and_a_right_one_is_ok(DAEMON);
}

#[test]
fn help_and_version_go_to_standard_output() {
    check::help_and_version_are_told(DAEMON);
}
