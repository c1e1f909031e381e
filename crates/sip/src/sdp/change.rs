//! How one medium is told otherwise than it was described: which payload types in which order, by which
//! transport, without which attributes, with which lines of ours.

use super::rewrite::leaks;
use super::{Media, payload_type};
use crate::room::decimal;
use crate::scan;

/// Payload types of one medium that can be kept; what is listed behind them goes.
pub const PAYLOADS_MAX: usize = 32;

/// Attributes of one medium that can be dropped by name.
pub const NAMES_MAX: usize = 8;

/// Bytes of lines that can be added to one medium.
pub const ADDED_MAX: usize = 512;

/// See the head of this file. One that says nothing changes nothing.
#[derive(Clone, Copy)]
pub struct Change {
    /// What stands for the describer's transport, such as `RTP/SAVP`.
    pub proto: Option<&'static [u8]>,
    /// Whether the payload types are ours to list.
    lists: bool,
    payloads: [u8; PAYLOADS_MAX],
    payload_count: usize,
    /// The same, one bit each.
    kept: u128,
    /// Payload types whose `a=fmtp` is written anew, one bit each.
    parameters: u128,
    names: [&'static [u8]; NAMES_MAX],
    name_count: usize,
    added: [u8; ADDED_MAX],
    added_bytes: usize,
    overrun: bool,
}

/// Never its lines: keys are among them.
impl core::fmt::Debug for Change {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Change")
            .field("proto", &self.proto)
            .field("payloads", &self.payloads())
            .field("added_bytes", &self.added_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Change {
    fn default() -> Self {
        Self::NONE
    }
}

impl Change {
    /// Nothing.
    pub const NONE: Self = Self {
        proto: None,
        lists: false,
        payloads: [0; PAYLOADS_MAX],
        payload_count: 0,
        kept: 0,
        parameters: 0,
        names: [b""; NAMES_MAX],
        name_count: 0,
        added: [0; ADDED_MAX],
        added_bytes: 0,
        overrun: false,
    };

    /// Lists one payload type more, behind those before. Since the first one only those listed are told,
    /// be they the describer's or not; with the others go their `a=rtpmap`, `a=fmtp` and `a=rtcp-fb`.
    pub fn list(&mut self, payload: u8) {
        self.lists = true;
        if let Some(place) = self.payloads.get_mut(self.payload_count)
            && !has(self.kept, payload)
        {
            *place = payload;
            self.payload_count = self.payload_count.saturating_add(1);
            self.kept |= bit(payload);
        }
    }

    /// The payload types that are told, if they are not the describer's.
    #[must_use]
    pub fn payloads(&self) -> Option<&[u8]> {
        self.lists.then(|| self.payloads.get(..self.payload_count).unwrap_or_default())
    }

    /// Drops every attribute of this name, such as `ptime`.
    pub fn drop_lines(&mut self, name: &'static [u8]) {
        match self.names.get_mut(self.name_count) {
            Some(place) => {
                *place = name;
                self.name_count = self.name_count.saturating_add(1);
            }
            None => self.overrun = true,
        }
    }

    /// Adds an attribute of these parts, without `a=` and line end, behind the others of the medium.
    pub fn add_line(&mut self, parts: &[&[u8]]) {
        for part in [&b"a="[..]].iter().chain(parts).chain(&[&b"\r\n"[..]]) {
            self.push(part);
        }
    }

    /// Sets a parameter of a payload type, such as `annexb=no` (RFC 4856 §2.1.9): in its `a=fmtp` if it has
    /// one, whose other parameters stay, or in a new one. Once for each payload type.
    pub fn set_parameter(&mut self, media: &Media<'_>, payload: u8, name: &[u8], value: &[u8]) {
        self.parameters |= bit(payload);
        let mut digits = [0; 20];
        self.push(b"a=fmtp:");
        self.push(decimal(payload.into(), &mut digits));
        self.push(b" ");
        let is_other = |parameter: &&[u8]| {
            let key = scan::split_once(parameter, b'=').map_or(*parameter, |(key, _)| key);
            !parameter.is_empty() && !scan::trim(key).eq_ignore_ascii_case(name)
        };
        let said = media.fmtp(payload).filter(|said| !leaks(said)).unwrap_or_default();
        for parameter in said.split(|&byte| byte == b';').map(scan::trim).filter(is_other) {
            self.push(parameter);
            self.push(b";");
        }
        for part in [name, b"=", value, b"\r\n"] {
            self.push(part);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.added_bytes.saturating_add(bytes.len());
        match self.added.get_mut(self.added_bytes..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.added_bytes = end;
            }
            None => self.overrun = true,
        }
    }

    /// The lines to be added. `None`: there were more than fit.
    pub(super) fn added(&self) -> Option<&[u8]> {
        self.added.get(..self.added_bytes).filter(|_| !self.overrun)
    }

    /// Whether an attribute of the medium goes.
    pub(super) fn drops(&self, attribute: &[u8]) -> bool {
        let (name, value) = scan::split_once(attribute, b':').unwrap_or((attribute, b""));
        let of = || payload_type(scan::before(value, scan::tail_from_byte(value, b' ')));
        let is_gone = |payload: u8| self.lists && !has(self.kept, payload);
        match name {
            b"rtpmap" | b"rtcp-fb" if of().is_some_and(is_gone) => true,
            b"fmtp" if of().is_some_and(|it| is_gone(it) || has(self.parameters, it)) => true,
            _ => self.names.iter().take(self.name_count).any(|dropped| *dropped == name),
        }
    }
}

/// The bit of a payload type.
const fn bit(payload: u8) -> u128 {
    match 1_u128.checked_shl(payload as u32) {
        Some(bit) => bit,
        None => 0,
    }
}

const fn has(bits: u128, payload: u8) -> bool {
    bits & bit(payload) != 0
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::{Edit, Rewrite, Sdp};
    use super::*;

    const HEAD: &str =
        "v=0\r\no=- 7 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n";

    /// What is told of these media after the change.
    fn told(media: &str, change: impl Fn(&Sdp<'_>, &mut Change)) -> String {
        let text = format!("{HEAD}{media}");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let mut changed = Change::NONE;
        change(&sdp, &mut changed);
        let edits = [Edit { port: 9, change: Some(&changed) }, Edit { port: 9, change: None }];
        let address = IpAddr::from([203, 0, 113, 1]);
        let rewrite = Rewrite {
            origin: address,
            address,
            session: 7,
            version: 1,
            edits: &edits,
            bypassed: false,
        };
        let mut out = [0; 2_000];
        let length = sdp.rewrite(&rewrite, &mut out).unwrap();
        assert!(Sdp::parse(&out[..length]).is_ok());
        let out = String::from_utf8(out[..length].to_vec()).unwrap();
        out.strip_prefix(HEAD).unwrap().to_owned()
    }

    #[test]
    fn who_says_nothing_changes_nothing() {
        let media = "m=audio 9 RTP/AVP 0 18\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n\r\n";
        assert_eq!(told(media, |_, _| ()), media);
    }

    #[test]
    fn payload_types_are_told_in_our_order_and_the_others_go_with_their_lines() {
        let media = "m=audio 9 RTP/AVP 0 8 18 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
            a=fmtp:8 x=1\r\na=rtcp-fb:8 nack\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\n\
            a=fmtp:101 0-15\r\na=sendrecv\r\nm=video 9 RTP/AVP 8\r\na=rtpmap:8 H261/90000\r\n";
        let expected = "m=audio 9 RTP/AVP 18 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtcp-fb:* nack\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n\
            m=video 9 RTP/AVP 8\r\na=rtpmap:8 H261/90000\r\n";
        let change = |_: &Sdp<'_>, change: &mut Change| {
            for payload in [18, 0, 0, 101] {
                change.list(payload);
            }
        };
        assert_eq!(told(media, change), expected);
    }

    #[test]
    fn a_parameter_is_set_beside_those_that_are_there() {
        let annexb = |value: &'static [u8]| {
            move |sdp: &Sdp<'_>, change: &mut Change| {
                change.set_parameter(&sdp.media()[0], 18, b"annexb", value);
            }
        };
        let head = "m=audio 9 RTP/AVP 18\r\n";
        for (said, told_as) in [
            ("", "a=fmtp:18 annexb=no\r\n"),
            ("a=fmtp:18 annexb=yes\r\n", "a=fmtp:18 annexb=no\r\n"),
            ("a=fmtp:18 annexb=no\r\n", "a=fmtp:18 annexb=no\r\n"),
            ("a=fmtp:18 bitrate=8; AnnexB = yes ;x\r\n", "a=fmtp:18 bitrate=8;x;annexb=no\r\n"),
            ("a=fmtp:18 relay=10.0.0.1\r\n", "a=fmtp:18 annexb=no\r\n"),
        ] {
            assert_eq!(told(&format!("{head}{said}"), annexb(b"no")), format!("{head}{told_as}"));
        }
        // The last line of a description may lack its end.
        let unended = told("m=audio 9 RTP/AVP 18\r\na=ptime:20", annexb(b"yes"));
        assert_eq!(unended, "m=audio 9 RTP/AVP 18\r\na=ptime:20\r\na=fmtp:18 annexb=yes\r\n");
    }

    #[test]
    fn lines_go_by_name_and_come_behind_the_others_of_their_medium() {
        let media = "m=audio 9 RTP/AVP 0\r\na=ptime:20\r\na=maxptime:40\r\na=sendrecv\r\n\
            m=audio 9 RTP/AVP 0\r\na=ptime:20\r\n";
        let expected = "m=audio 9 RTP/SAVP 0\r\na=sendrecv\r\na=ptime:30\r\na=x\r\n\
            m=audio 9 RTP/AVP 0\r\na=ptime:20\r\n";
        let change = |_: &Sdp<'_>, change: &mut Change| {
            change.proto = Some(b"RTP/SAVP");
            change.drop_lines(b"ptime");
            change.drop_lines(b"maxptime");
            change.add_line(&[b"ptime:", b"30"]);
            change.add_line(&[b"x"]);
        };
        assert_eq!(told(media, change), expected);
    }

    #[test]
    fn more_lines_than_fit_make_no_description() {
        let mut change = Change::NONE;
        change.add_line(&[&[b'x'; ADDED_MAX - 4]]);
        assert!(change.added().is_some());
        change.add_line(&[b""]);
        assert!(change.added().is_none());
        let mut change = Change::NONE;
        (0..=NAMES_MAX).for_each(|_| change.drop_lines(b"x"));
        assert!(change.added().is_none());
        let mut change = Change::NONE;
        (0..=255).for_each(|payload| change.list(payload));
        assert_eq!(change.payloads().map(<[u8]>::len), Some(PAYLOADS_MAX));
    }
}
