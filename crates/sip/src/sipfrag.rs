//! How a transfer goes, as the body of NOTIFY: a status line (RFC 3515 §2.4.5, RFC 3420).

use crate::room::Room;
use crate::scan;
use crate::status::reason_phrase;

/// Content-Type of such a body.
pub const CONTENT_TYPE: &[u8] = b"message/sipfrag;version=2.0";

/// The status that a fragment begins with. `None`: it begins with no status line.
#[must_use]
pub fn status(body: &[u8]) -> Option<u16> {
    let (line, _) = body.split_at_checked(scan::first_control(body))?;
    let code = line.strip_prefix(b"SIP/2.0 ")?;
    let code = code.split(|&byte| byte == b' ').next().filter(|code| code.len() == 3)?;
    u16::try_from(scan::number(code, 699)?).ok().filter(|&code| code >= 100)
}

/// Writes a status line for [`crate::Writer::body_with`]. An empty `reason` stands for the phrase of
/// the code. `None` when it does not fit, or the reason holds a line end.
#[must_use]
pub fn write_status(code: u16, reason: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut room = Room::new(out);
    room.push(b"SIP/2.0 ");
    room.decimal(code.into());
    room.push(b" ");
    room.push(if reason.is_empty() { reason_phrase(code).as_bytes() } else { reason });
    room.push(b"\r\n");
    room.written().filter(|_| scan::first_control(reason) == reason.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_and_read_back() {
        for (code, reason, text) in [
            (100, "", "SIP/2.0 100 Trying\r\n"),
            (486, "", "SIP/2.0 486 Busy Here\r\n"),
            (603, "No, thanks", "SIP/2.0 603 No, thanks\r\n"),
        ] {
            let mut out = [0; 64];
            let length = write_status(code, reason.as_bytes(), &mut out).unwrap();
            assert_eq!(std::str::from_utf8(&out[..length]), Ok(text));
            assert_eq!(status(&out[..length]), Some(code));
            assert_eq!(write_status(code, reason.as_bytes(), &mut out[..length - 1]), None);
        }
        assert_eq!(write_status(200, b"OK\r\nVia: x", &mut [0; 64]), None);
    }

    #[test]
    fn what_begins_with_no_status_line_has_no_status() {
        assert_eq!(status(b"SIP/2.0 200"), Some(200));
        for body in
            ["", "SIP/2.0 99 Low", "HTTP/1.1 200 OK", "\r\nSIP/2.0 200 OK", "INVITE sip:a SIP/2.0"]
        {
            assert_eq!(status(body.as_bytes()), None, "{body}");
        }
    }
}
