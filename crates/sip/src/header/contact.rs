//! What a phone registers: Contact in REGISTER and in its answer (RFC 3261 §10.2.1, §10.3, §20.10;
//! RFC 5626 §4.1 for instances).

use super::name_addr::NameAddr;
use super::seconds::{EXPIRES_MALFORMED_S, seconds};
use super::{Name, Text};
use crate::emit::{Part, Writer};
use crate::scan;
use crate::uri::Uri;

/// The preference that is meant where none is given.
pub const Q_MAX: u16 = 1000;

/// One value of Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`: all bindings are meant, to be removed (§10.2.2).
    Star,
    /// One address.
    Binding(Binding<'a>),
}

/// Where somebody can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The address.
    pub uri: Uri<'a>,
    /// The preference in thousandths, up to [`Q_MAX`]. `None`: not given, or malformed.
    pub q: Option<u16>,
    /// For how long. `None`: not given here; malformed ones are an hour, by §20.10.
    pub expires_s: Option<u32>,
    /// The device, such as `<urn:uuid:…>` (RFC 5626 §4.1).
    pub instance: Option<Text<'a>>,
    /// Which of the device's flows this is (RFC 5626 §4.2).
    pub reg_id: Option<u32>,
}

impl<'a> Contact<'a> {
    /// Reads one value, without the commas of a list. `None` when it is neither `*` nor an address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        if scan::trim(value) == b"*" {
            return Some(Self::Star);
        }
        let address = NameAddr::parse(value)?;
        let param = |name: &[u8]| address.params().value(name);
        Some(Self::Binding(Binding {
            uri: *address.uri(),
            q: param(b"q").and_then(thousandths),
            expires_s: address
                .params()
                .find(b"expires")
                .map(|param| param.value.and_then(seconds).unwrap_or(EXPIRES_MALFORMED_S)),
            instance: param(b"+sip.instance").map(Text::new),
            reg_id: param(b"reg-id").and_then(seconds),
        }))
    }
}

impl Binding<'_> {
    /// Writes a Contact line, as a registrar lists what it knows (§10.3).
    pub fn write(&self, writer: &mut Writer<'_>) {
        let q = self.q.map(digits);
        let q: &[Part<'_>] = match &q {
            Some((whole, decimals)) => &[";q=".into(), whole.into(), ".".into(), decimals.into()],
            None => &[],
        };
        let expires: &[Part<'_>] = match self.expires_s {
            Some(expires_s) => &[";expires=".into(), expires_s.into()],
            None => &[],
        };
        let instance: &[Part<'_>] = match self.instance {
            Some(text) => &[";+sip.instance=\"".into(), text.as_bytes().into(), "\"".into()],
            None => &[],
        };
        let reg_id: &[Part<'_>] = match self.reg_id {
            Some(reg_id) => &[";reg-id=".into(), reg_id.into()],
            None => &[],
        };
        let address = ["<".into(), self.uri.as_bytes().into(), ">".into()];
        let parts = [&address, q, expires, instance, reg_id].map(Part::Parts);
        writer.header(Name::Contact, &parts);
    }
}

/// A preference between 0 and 1 with up to three decimals (§25.1 `qvalue`).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = scan::split_once(value, b'.').unwrap_or((value, b""));
    let mut sum = scan::number(whole, 1)?;
    for place in 0..3 {
        let digit = decimals.get(place).copied().unwrap_or(b'0');
        sum = sum.saturating_mul(10).saturating_add(scan::number(&[digit], 9)?);
    }
    u16::try_from(sum).ok().filter(|&q| q <= Q_MAX && decimals.len() <= 3)
}

/// Before and behind the point.
fn digits(q: u16) -> ([u8; 1], [u8; 3]) {
    let digit = |unit: u16| {
        let digit = q.checked_div(unit).unwrap_or_default() % 10;
        b'0'.saturating_add(u8::try_from(digit).unwrap_or_default())
    };
    ([digit(1000)], [digit(100), digit(10), digit(1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    fn binding(value: &str) -> Binding<'_> {
        match Contact::parse(value.as_bytes()) {
            Some(Contact::Binding(binding)) => binding,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn the_parameters_of_a_binding_are_read() {
        // RFC 3261 §20.10 and RFC 5626 §9.1.
        let watson =
            binding("\"Mr. Watson\" <sip:watson@worcester.bell-telephone.com>;q=0.7; expires=3600");
        assert_eq!((watson.q, watson.expires_s), (Some(700), Some(3600)));
        assert_eq!(watson.uri.user(), Some(&b"watson"[..]));
        let bob = binding(
            "<sip:bob@192.0.2.2;transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"",
        );
        assert_eq!((bob.reg_id, bob.q, bob.expires_s), (Some(1), None, None));
        assert!(bob.instance.unwrap().is(b"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"));
        assert_eq!(Contact::parse(b" * "), Some(Contact::Star));
        assert_eq!(Contact::parse(b"**"), None);
    }

    #[test]
    fn a_malformed_expiry_is_an_hour_and_a_malformed_preference_none() {
        for (params, expires_s, q) in [
            (";expires=0;q=1", Some(0), Some(1000)),
            (";expires=\"60\";q=0.", Some(3600), Some(0)),
            (";expires;q=0.5", Some(3600), Some(500)),
            (";expires=99999999999;q=1.001", Some(3600), None),
            (";q=0.1234", None, None),
            (";q=2", None, None),
            (";q=.5", None, None),
            (";q=0.x", None, None),
        ] {
            let value = format!("<sip:a@b>{params}");
            let read = binding(&value);
            assert_eq!((read.expires_s, read.q), (expires_s, q), "{params}");
        }
    }

    #[test]
    fn a_binding_is_written_and_read_back() {
        let text = "<sip:a@b;ob>;q=0.070;expires=60;+sip.instance=\"<urn:x>\";reg-id=2";
        let line = header_line(|writer| binding(text).write(writer)).unwrap();
        assert_eq!(line, format!("Contact: {text}"));
        let bare = header_line(|writer| binding("sip:a@b").write(writer)).unwrap();
        assert_eq!(bare, "Contact: <sip:a@b>");
    }
}
