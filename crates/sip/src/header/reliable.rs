//! Provisional responses that arrive for certain: RSeq and RAck (RFC 3262 §7).

use super::Name;
use super::cseq::Cseq;
use super::seconds::{leading, seconds};
use crate::emit::Writer;

/// RSeq: the number of a provisional response, from 1 on (§7.1). `None` when it is none.
#[must_use]
pub fn rseq(value: &[u8]) -> Option<u32> {
    seconds(value).filter(|&number| number != 0)
}

/// RAck: which provisional response a PRACK is for (§7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rack<'a> {
    /// RSeq of the response.
    pub rseq: u32,
    /// CSeq of the response.
    pub cseq: Cseq<'a>,
}

impl<'a> Rack<'a> {
    /// Reads a value. `None` when it is not two numbers and a method.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (number, cursor) = leading(value)?;
        let cseq = Cseq::parse(cursor.rest)?;
        (number != 0).then_some(Self { rseq: number, cseq })
    }

    /// Writes the header line.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let Self { rseq, cseq } = self;
        let parts = [
            (*rseq).into(),
            " ".into(),
            cseq.number.into(),
            " ".into(),
            cseq.method.as_bytes().into(),
        ];
        writer.header(Name::RAck, &parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;
    use crate::method::Method;

    #[test]
    fn an_acknowledgement_names_response_and_request() {
        // RFC 3262 §7.2.
        let rack = Rack::parse(b"776656 1 INVITE").unwrap();
        assert_eq!(rack, Rack { rseq: 776_656, cseq: Cseq { number: 1, method: Method::Invite } });
        assert_eq!(header_line(|writer| rack.write(writer)).unwrap(), "RAck: 776656 1 INVITE");
        assert_eq!(rseq(b"988789"), Some(988_789));
        for value in ["", "1", "1 2", "0 1 INVITE", "1 INVITE", "x 1 INVITE", "12INVITE"] {
            assert_eq!(Rack::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!((rseq(b"0"), rseq(b"4294967296"), rseq(b"1 INVITE")), (None, None, None));
    }
}
