//! How long a call lives without a sign of life: Session-Expires and Min-SE (RFC 4028 §4, §5).

use super::Name;
use super::params::Params;
use super::seconds::leading;
use crate::emit::Writer;

/// Who sends the signs of life (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the INVITE or UPDATE.
    Uac,
    /// Its server.
    Uas,
}

/// Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// After how many seconds without a refresh the call ends.
    pub interval_s: u32,
    /// `None`: to be settled by the answer.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads a value. `None` when it does not begin with a number, or names a refresher that is
    /// neither side.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (interval_s, cursor) = leading(value)?;
        let refresher = match Params::read_last(cursor, |_| ())?.find(b"refresher") {
            None => None,
            Some(param) => match param.value? {
                side if side.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
                side if side.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
                _ => return None,
            },
        };
        Some(Self { interval_s, refresher })
    }

    /// Writes the header line.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let refresher = match self.refresher {
            None => "",
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
        };
        writer.header(Name::SessionExpires, &[self.interval_s.into(), refresher.into()]);
    }
}

/// Min-SE: the shortest interval that somebody on the way bears (§5). `None` when it is no number.
#[must_use]
pub fn min_se(value: &[u8]) -> Option<u32> {
    let (interval_s, cursor) = leading(value)?;
    Params::read_last(cursor, |_| ()).map(|_| interval_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn an_interval_and_its_refresher_are_read_and_written() {
        for (value, interval_s, refresher) in [
            ("4000", 4000, None),
            ("4000;refresher=uac", 4000, Some(Refresher::Uac)),
            ("1800;refresher=uas", 1800, Some(Refresher::Uas)),
        ] {
            let timer = SessionExpires { interval_s, refresher };
            assert_eq!(SessionExpires::parse(value.as_bytes()), Some(timer));
            let line = header_line(|writer| timer.write(writer)).unwrap();
            assert_eq!(line, format!("Session-Expires: {value}"));
        }
        let shouted = SessionExpires::parse(b"90 ; x=y ;Refresher = UAS").unwrap();
        assert_eq!(shouted.refresher, Some(Refresher::Uas));
        for value in ["", "x", "90 uac", "90;refresher", "90;refresher=me", "4294967296", "90;;"] {
            assert_eq!(SessionExpires::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(
            (min_se(b"3600"), min_se(b"90;lr"), min_se(b"90 s")),
            (Some(3600), Some(90), None)
        );
    }
}
