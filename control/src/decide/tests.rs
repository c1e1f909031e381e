//! Decisions, scripted.

use super::*;

#[test]
fn a_new_office_knows_nobody() {
    let office = Office::new(Loaded::default(), 1);
    assert_eq!(office.calls_live(), 0);
}
