//! Who forwarded a call, and why: Diversion (RFC 5806 §4).

use super::name_addr::NameAddr;
use super::remote_party_id::{Hidden, read_hidden};
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

/// Their order is that of [`Why::number`].
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

    /// A number for it; 0 for what we have no name for.
    #[must_use]
    pub fn number(&self) -> u8 {
        let place = WHYS.iter().position(|(why, _)| why == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        WHYS.get(usize::from(number)).map_or(Self::Unknown, |(why, _)| *why)
    }

    /// The status that stands for it where a history is told (RFC 7544).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unconditional => 302,
            Self::UserBusy => 486,
            Self::NoAnswer => 408,
            Self::Deflection => 480,
            Self::Unavailable => 503,
            _ => 404,
        }
    }

    /// The reason that a status of a history stands for (RFC 7544).
    #[must_use]
    pub const fn from_status(status: u16) -> Self {
        match status {
            302 => Self::Unconditional,
            486 => Self::UserBusy,
            408 => Self::NoAnswer,
            480 | 487 => Self::Deflection,
            503 => Self::Unavailable,
            _ => Self::Unknown,
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
    /// What of it the other side must not see; all where the wish is of an extension.
    pub hidden: Hidden,
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
            hidden: params.value(b"privacy").map_or(Hidden::Nothing, hidden),
        })
    }
}

fn hidden(value: &[u8]) -> Hidden {
    match read_hidden(value) {
        Hidden::Nothing if !Text::new(value).is(b"off") => Hidden::All,
        hidden => hidden,
    }
}

/// Writes that a number forwarded, so many times, to be put above other Diversion lines.
pub fn write_diversion(
    writer: &mut Writer<'_>,
    uri: &[Part<'_>],
    why: Why<'_>,
    count: u32,
    hidden: Hidden,
) {
    let privacy = [";privacy=".into(), hidden.word().into()];
    let parts = [
        "<".into(),
        Part::Parts(uri),
        ">;reason=".into(),
        why.as_bytes().into(),
        ";counter=".into(),
        count.into(),
        Part::Parts(if hidden == Hidden::Nothing { &[] } else { &privacy }),
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
        assert_eq!(read.hidden, Hidden::All);
        let bare = Diversion::parse(b"<sip:a@b>;counter=x;reason=User-Busy").unwrap();
        assert_eq!((bare.why, bare.count, bare.hidden), (Why::UserBusy, 1, Hidden::Nothing));
        for (privacy, hidden) in [
            ("off", Hidden::Nothing),
            ("name", Hidden::Name),
            ("uri", Hidden::Uri),
            ("x", Hidden::All),
        ] {
            let value = format!("<tel:+1>;privacy={privacy}");
            assert_eq!(Diversion::parse(value.as_bytes()).unwrap().hidden, hidden);
        }
        assert_eq!(Diversion::parse(b"<tel:+1>").unwrap().why, Why::Unknown);
        assert_eq!(Diversion::parse(b"<tel:+1>;reason=x").unwrap().why, Why::Other(b"x"));
        assert_eq!(Diversion::parse(b"tel"), None);
    }

    #[test]
    fn a_forward_is_written_and_read_back() {
        for (why, name) in WHYS {
            let uri = ["sip:+1".into(), "@h".into()];
            let line = header_line(|w| write_diversion(w, &uri, why, 2, Hidden::Nothing)).unwrap();
            let name = std::str::from_utf8(name).unwrap();
            assert_eq!(line, format!("Diversion: <sip:+1@h>;reason={name};counter=2"));
            let hidden = header_line(|w| write_diversion(w, &uri, why, 2, Hidden::All)).unwrap();
            assert_eq!(hidden, format!("{line};privacy=full"));
            let read = Diversion::parse(&hidden.as_bytes()[11..]).unwrap();
            assert_eq!((read.why, read.count, read.hidden), (why, 2, Hidden::All));
        }
    }

    #[test]
    fn a_reason_has_a_number_and_a_status() {
        for (why, _) in WHYS {
            assert_eq!(Why::from_number(why.number()), why);
        }
        assert_eq!((Why::Other(b"x").number(), Why::from_number(99)), (0, Why::Unknown));
        for why in [Why::Unknown, Why::UserBusy, Why::NoAnswer, Why::Unavailable, Why::Deflection] {
            assert_eq!(Why::from_status(why.status()), why);
        }
        assert_eq!((Why::Away.status(), Why::from_status(487)), (404, Why::Deflection));
    }
}
