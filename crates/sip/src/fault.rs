//! Why a datagram is not a SIP message.

/// Why a datagram is not a SIP message. One counter each; none of them is ever a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1).
    Empty,
    /// More than 65,535 bytes.
    MessageTooLong,
    /// The first line is neither a request line nor a status line.
    NotSip,
    /// No blank line before the end of the datagram (§7).
    HeadUnfinished,
    /// More header lines than [`crate::HEADERS_MAX`].
    HeadersTooMany,
    /// A header line without a colon, or with a name that is no token (§7.3.1).
    HeaderMalformed,
    /// A CR that ends no line, or a NUL outside a quoted pair, before the body (§25.1).
    ControlInHead,
    /// A request line with missing, surplus or empty parts, or a method that is no token (§7.1).
    RequestLineMalformed,
    /// A Request-URI that is no URI, or that carries headers (§19.1.1).
    RequestUriMalformed,
    /// A status line without a status between 100 and 699 (§7.2).
    StatusLineMalformed,
    /// A SIP version other than 2.0 (§7.1).
    VersionUnsupported,
    /// A header that may stand only once stands twice (§7.3.1).
    HeaderRepeated,
    /// No Via (§8.1.1.7).
    ViaMissing,
    /// The top Via cannot be read (§20.42).
    ViaMalformed,
    /// No From (§8.1.1.3).
    FromMissing,
    /// From cannot be read (§20.20).
    FromMalformed,
    /// No To (§8.1.1.2).
    ToMissing,
    /// To cannot be read (§20.39).
    ToMalformed,
    /// No Call-ID (§8.1.1.4).
    CallIdMissing,
    /// Call-ID is empty or holds blanks (§20.8).
    CallIdMalformed,
    /// No CSeq (§8.1.1.5).
    CseqMissing,
    /// CSeq is not a number below 2^31 and a method (§20.16).
    CseqMalformed,
    /// The method of CSeq is not that of the request line (§8.1.1.5).
    CseqMismatch,
    /// Max-Forwards is not a number up to 255 (§20.22).
    MaxForwardsMalformed,
    /// The first Contact cannot be read (§20.10).
    ContactMalformed,
    /// A Route or Record-Route value cannot be read (§20.34, §20.30).
    RouteMalformed,
    /// Content-Length is no number (§20.14).
    ContentLengthMalformed,
    /// Content-Length promises more than the datagram carries (§18.3).
    BodyShort,
    /// A header read on demand is no number, or one too large for its meaning (§25.1).
    NumberMalformed,
}

impl Fault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::Empty,
        Self::MessageTooLong,
        Self::NotSip,
        Self::HeadUnfinished,
        Self::HeadersTooMany,
        Self::HeaderMalformed,
        Self::ControlInHead,
        Self::RequestLineMalformed,
        Self::RequestUriMalformed,
        Self::StatusLineMalformed,
        Self::VersionUnsupported,
        Self::HeaderRepeated,
        Self::ViaMissing,
        Self::ViaMalformed,
        Self::FromMissing,
        Self::FromMalformed,
        Self::ToMissing,
        Self::ToMalformed,
        Self::CallIdMissing,
        Self::CallIdMalformed,
        Self::CseqMissing,
        Self::CseqMalformed,
        Self::CseqMismatch,
        Self::MaxForwardsMalformed,
        Self::ContactMalformed,
        Self::RouteMalformed,
        Self::ContentLengthMalformed,
        Self::BodyShort,
        Self::NumberMalformed,
    ];

    /// The name of its counter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::MessageTooLong => "message_too_long",
            Self::NotSip => "not_sip",
            Self::HeadUnfinished => "head_unfinished",
            Self::HeadersTooMany => "headers_too_many",
            Self::HeaderMalformed => "header_malformed",
            Self::ControlInHead => "control_in_head",
            Self::RequestLineMalformed => "request_line_malformed",
            Self::RequestUriMalformed => "request_uri_malformed",
            Self::StatusLineMalformed => "status_line_malformed",
            Self::VersionUnsupported => "version_unsupported",
            Self::HeaderRepeated => "header_repeated",
            Self::ViaMissing => "via_missing",
            Self::ViaMalformed => "via_malformed",
            Self::FromMissing => "from_missing",
            Self::FromMalformed => "from_malformed",
            Self::ToMissing => "to_missing",
            Self::ToMalformed => "to_malformed",
            Self::CallIdMissing => "call_id_missing",
            Self::CallIdMalformed => "call_id_malformed",
            Self::CseqMissing => "cseq_missing",
            Self::CseqMalformed => "cseq_malformed",
            Self::CseqMismatch => "cseq_mismatch",
            Self::MaxForwardsMalformed => "max_forwards_malformed",
            Self::ContactMalformed => "contact_malformed",
            Self::RouteMalformed => "route_malformed",
            Self::ContentLengthMalformed => "content_length_malformed",
            Self::BodyShort => "body_short",
            Self::NumberMalformed => "number_malformed",
        }
    }

    /// What RFC 3261 answers to a request with this fault. `None`: the datagram is dropped silently.
    ///
    /// A response is never answered; [`crate::Refusable::read`] sees to that.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Empty | Self::NotSip | Self::StatusLineMalformed | Self::ViaMissing => None,
            Self::VersionUnsupported => Some(505),
            Self::MessageTooLong | Self::HeadersTooMany => Some(513),
            Self::HeadUnfinished
            | Self::HeaderMalformed
            | Self::ControlInHead
            | Self::RequestLineMalformed
            | Self::RequestUriMalformed
            | Self::HeaderRepeated
            | Self::ViaMalformed
            | Self::FromMissing
            | Self::FromMalformed
            | Self::ToMissing
            | Self::ToMalformed
            | Self::CallIdMissing
            | Self::CallIdMalformed
            | Self::CseqMissing
            | Self::CseqMalformed
            | Self::CseqMismatch
            | Self::MaxForwardsMalformed
            | Self::ContactMalformed
            | Self::RouteMalformed
            | Self::ContentLengthMalformed
            | Self::BodyShort
            | Self::NumberMalformed => Some(400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_fault_in_the_order_of_its_number() {
        for (number, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, number);
            assert!(Fault::ALL.iter().filter(|other| other.name() == fault.name()).count() == 1);
        }
    }
}
