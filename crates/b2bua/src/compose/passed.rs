//! What goes from one leg to the other.

use sip::{Message, Name, Writer};

/// Header fields that go from one leg to the other, in BYE, CANCEL, INFO and failures.
///
/// Reason (RFC 3326) tells the far side why, and holds neither numbers nor addresses.
const PASSED: &[Name] = &[Name::Reason];

/// Copies what may pass of the other leg's message.
pub(super) fn write_passed(writer: &mut Writer<'_>, from: Option<&Message<'_>>) {
    let headers = from.into_iter().flat_map(Message::headers);
    for header in headers.filter(|header| PASSED.contains(&header.name)) {
        writer.copy(&header);
    }
}
