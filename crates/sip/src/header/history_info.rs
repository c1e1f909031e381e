//! Where a request has been: History-Info (RFC 7044 §10.1; RFC 4244 wrote it without `rc` and `mp`).

use super::Name;
use super::name_addr::NameAddr;
use super::privacy::Privacy;
use super::reason::{Protocol, Reason};
use crate::emit::{Part, Writer};
use crate::uri::unescape_into;

/// How a target came about, and from which entry by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `rc`: another address of the same user.
    Contact(&'a [u8]),
    /// `mp`: another user.
    Mapped(&'a [u8]),
    /// `np`: the same target, sent on.
    Same(&'a [u8]),
}

/// One value of History-Info; the oldest stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryInfo<'a> {
    /// Whom the request was for.
    pub address: NameAddr<'a>,
    /// Its place in the tree of forks, such as `1.2.1`.
    pub index: &'a [u8],
    /// How it came about; entries of RFC 4244 do not say.
    pub target: Option<Target<'a>>,
}

impl<'a> HistoryInfo<'a> {
    /// Reads one value, without the commas of a list. `None` when it is no address with an index.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let param = |name: &[u8]| address.params().value(name).filter(|value| is_index(value));
        let target = param(b"mp").map(Target::Mapped);
        let target = target.or_else(|| param(b"rc").map(Target::Contact));
        let target = target.or_else(|| param(b"np").map(Target::Same));
        Some(Self { address, index: param(b"index")?, target })
    }

    /// Why the request went on from here, of the first Reason that can be read, unescaped into `room`.
    pub fn reason<'o>(&self, room: &'o mut [u8]) -> Option<Reason<'o>> {
        let escaped = self.address.uri().header_values(b"Reason").next()?;
        Reason::parse(unescape_into(escaped, room)?)
    }

    /// What of this entry is to be kept from strangers.
    #[must_use]
    pub fn privacy(&self) -> Privacy {
        let mut room = [0; 64];
        let values = self.address.uri().header_values(b"Privacy");
        values.fold(Privacy::default(), |wishes, escaped| {
            // What is too long to be wishes is taken for the strongest.
            let more = unescape_into(escaped, &mut room).map(Privacy::parse);
            wishes.with(more.unwrap_or(Privacy::HISTORY))
        })
    }
}

/// Numbers between dots.
fn is_index(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'.')
        .all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// Writes an entry; `uri` has no headers of its own. With a `cause`, the status because of which the
/// request went on, and whether the entry is to be kept from strangers: [`Privacy::HISTORY`] or nothing.
pub fn write_history_info(
    writer: &mut Writer<'_>,
    uri: &[Part<'_>],
    cause: Option<(u16, Privacy)>,
    index: &[u8],
    target: Option<Target<'_>>,
) {
    let escaped = [Part::Text(Protocol::Sip.as_bytes()), Part::Escaped(b";cause=")];
    let reason: &[Part<'_>] = match cause {
        Some((cause, Privacy::HISTORY)) => {
            &["?Privacy=history&Reason=".into(), Part::Parts(&escaped), cause.into()]
        }
        Some((cause, _)) => &["?Reason=".into(), Part::Parts(&escaped), cause.into()],
        None => &[],
    };
    let target: &[Part<'_>] = match target {
        Some(Target::Contact(from)) => &[";rc=".into(), from.into()],
        Some(Target::Mapped(from)) => &[";mp=".into(), from.into()],
        Some(Target::Same(from)) => &[";np=".into(), from.into()],
        None => &[],
    };
    let parts = [
        "<".into(),
        Part::Parts(uri),
        Part::Parts(reason),
        ">;index=".into(),
        index.into(),
        Part::Parts(target),
    ];
    writer.header(Name::HistoryInfo, &parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn an_entry_says_where_and_why() {
        // RFC 7044 §10.1.
        let mut room = [0; 128];
        let entry = HistoryInfo::parse(
            b"<sip:bob@example.com?Privacy=history&Reason=SIP%3Bcause%3D480%3Btext%3D%22Away%22>;index=1.1;mp=1",
        )
        .unwrap();
        assert_eq!((entry.index, entry.target), (&b"1.1"[..], Some(Target::Mapped(b"1"))));
        assert_eq!(entry.privacy(), Privacy::HISTORY);
        let reason = entry.reason(&mut room).unwrap();
        assert_eq!((reason.protocol, reason.cause), (Protocol::Sip, Some(480)));
        assert!(reason.text.unwrap().is(b"Away"));
        assert_eq!(entry.reason(&mut [0; 4]), None);
        let plain = HistoryInfo::parse(b"<sip:a@b>;index=1;foo=bar").unwrap();
        assert_eq!((plain.target, plain.privacy()), (None, Privacy::default()));
        assert_eq!(plain.reason(&mut room), None);
        for value in
            ["<sip:a@b>", "<sip:a@b>;index=", "<sip:a@b>;index=1.", "<sip:a@b>;index=a", ""]
        {
            assert_eq!(HistoryInfo::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn an_entry_is_written_and_read_back() {
        for target in [None, Some(Target::Contact(b"1")), Some(Target::Mapped(b"1.2"))] {
            let (open, hidden) = ((302, Privacy::default()), (302, Privacy::HISTORY));
            for cause in [None, Some(open), Some(hidden)] {
                let uri = ["sip:+1@h".into()];
                let line =
                    header_line(|w| write_history_info(w, &uri, cause, b"1.3", target)).unwrap();
                let value = line.strip_prefix("History-Info: ").unwrap().as_bytes();
                let entry = HistoryInfo::parse(value).unwrap();
                assert_eq!((entry.index, entry.target), (&b"1.3"[..], target), "{line}");
                let mut room = [0; 64];
                let told = entry.reason(&mut room).and_then(|reason| reason.cause);
                assert_eq!(told, cause.map(|(cause, _)| cause));
                assert_eq!(entry.privacy(), cause.map_or(Privacy::default(), |(_, wish)| wish));
            }
        }
    }
}
