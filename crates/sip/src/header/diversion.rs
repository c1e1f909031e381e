//! Who forwarded a call, and why: Diversion (RFC 5806 §4).

use super::name_addr::NameAddr;
use super::seconds::seconds;
use super::{Name, Text};
use crate::emit::{Part, Writer};

/// Why a call was forwarded (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// `unknown`, or nothing said.
    Unknown,
    /// `user-busy`
    UserBusy,
    /// `no-answer`
    NoAnswer,
    /// `unavailable`
    Unavailable,
    /// `unconditional`
    Unconditional,
    /// `time-of-day`
    TimeOfDay,
    /// `do-not-disturb`
    DoNotDisturb,
    /// `deflection`
    Deflection,
    /// `follow-me`
    FollowMe,
    /// `out-of-service`
    OutOfService,
    /// `away`
    Away,
    /// Of an extension.
    Other(&'a [u8]),
}

const WHYS: [(Why<'static>, &[u8]); 11] = [
    (Why::Unknown, b"unknown"),
    (Why::UserBusy, b"user-busy"),
    (Why::NoAnswer, b"no-answer"),
    (Why::Unavailable, b"unavailable"),
    (Why::Unconditional, b"unconditional"),
    (Why::TimeOfDay, b"time-of-day"),
    (Why::DoNotDisturb, b"do-not-disturb"),
    (Why::Deflection, b"deflection"),
    (Why::FollowMe, b"follow-me"),
    (Why::OutOfService, b"out-of-service"),
    (Why::Away, b"away"),
];

impl<'a> Why<'a> {
    fn new(name: &'a [u8]) -> Self {
        let known = WHYS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        known.map_or(Self::Other(name), |(why, _)| *why)
    }

    /// Its name as it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Other(name) => name,
            known => WHYS.iter().find(|(why, _)| *why == known).map_or(b"unknown", |found| found.1),
        }
    }
}

/// One value of Diversion; the last that forwarded stands first (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diversion<'a> {
    /// Who forwarded.
    pub address: NameAddr<'a>,
    /// Why.
    pub why: Why<'a>,
    /// For how many forwards it stands; one where nothing is said.
    pub count: u32,
    /// What may be shown of it, as it stands: `full`, `name`, `uri` or `off`.
    pub privacy: Option<Text<'a>>,
}

impl<'a> Diversion<'a> {
    /// Reads one value, without the commas of a list. `None` when it is no address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let params = address.params();
        Some(Self {
            address,
            why: params
                .value(b"reason")
                .map_or(Why::Unknown, |reason| Why::new(Text::new(reason).as_bytes())),
            count: params.value(b"counter").and_then(seconds).unwrap_or(1),
            privacy: params.value(b"privacy").map(Text::new),
        })
    }
}

/// Writes that a number forwarded, for the first time, to be put above other Diversion lines.
pub fn write_diversion(writer: &mut Writer<'_>, uri: &[Part<'_>], why: Why<'_>) {
    let parts = [
        "<".into(),
        Part::Parts(uri),
        ">;reason=".into(),
        why.as_bytes().into(),
        ";counter=1".into(),
    ];
    writer.header(Name::Diversion, &parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn who_forwarded_and_why_is_read() {
        // RFC 5806 §7 and §4.
        let read = Diversion::parse(
            b"\"Bob\" <sip:+19195551002@10.0.0.1>;reason=\"no-answer\";counter=3;privacy=\"full\";screen=no",
        )
        .unwrap();
        assert_eq!(read.address.uri().user(), Some(&b"+19195551002"[..]));
        assert_eq!((read.why, read.count), (Why::NoAnswer, 3));
        assert!(read.privacy.unwrap().is(b"full"));
        let bare = Diversion::parse(b"<sip:a@b>;counter=x;reason=User-Busy").unwrap();
        assert_eq!((bare.why, bare.count, bare.privacy), (Why::UserBusy, 1, None));
        assert_eq!(Diversion::parse(b"<tel:+1>").unwrap().why, Why::Unknown);
        assert_eq!(Diversion::parse(b"<tel:+1>;reason=x").unwrap().why, Why::Other(b"x"));
        assert_eq!(Diversion::parse(b"tel"), None);
    }

    #[test]
    fn a_forward_is_written_and_read_back() {
        for (why, name) in WHYS {
            let uri = ["sip:+1".into(), "@h".into()];
            let line = header_line(|w| write_diversion(w, &uri, why)).unwrap();
            let name = std::str::from_utf8(name).unwrap();
            assert_eq!(line, format!("Diversion: <sip:+1@h>;reason={name};counter=1"));
            assert_eq!(Diversion::parse(&line.as_bytes()[11..]).unwrap().why, why);
        }
    }
}
