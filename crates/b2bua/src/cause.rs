//! Why a call ends, in the words of the telephone network (ITU-T Q.850): what a Reason of ours says.
//!
//! Where the end has a status of SIP, that decides (RFC 3398 §8.2.6.1); everywhere else one table does.
//! It says no more than a telephone network would: that a customer has no money is not its vendor's
//! business.

use link::record::EndReason;
use sip::header::reason::{Protocol, Reason};
use sip::q850::{NORMAL_CLEARING, cause_of_status};
use sip::{Message, Name};

/// The cause that the far side gives in a Reason of its own, 0 if it gives none.
pub(crate) fn far_cause(message: &Message<'_>) -> u8 {
    let mut said = message.list(Name::Reason).filter_map(Reason::parse);
    let network = said.find(|reason| reason.protocol == Protocol::Q850);
    let cause = network.and_then(|reason| u8::try_from(reason.cause?).ok());
    cause.filter(|cause| *cause < 128).unwrap_or(0)
}

/// The cause of an end. `status` is the one told with it, 0 in a request. `None`: nothing has ended.
pub(crate) fn cause_of(reason: EndReason, status: u16) -> Option<u8> {
    use EndReason::*;
    Some(match reason {
        None => return Option::None,
        Normal | Cancelled => NORMAL_CLEARING,
        Rejected | Busy => cause_of_status(status).unwrap_or(31),
        NoAnswer => 19,
        Timeout | NoAck | SessionExpired => 102,
        NoRoute => 3,
        Unauthorised | NoRate | NoBalance | Locked | Geofence | AccessList | DestinationAbuse
        | DestinationLocked | DestinationBarred | SpendLimit | CallerBarred | CalleeBarred
        | ForwarderBarred => 21,
        LinesFull => 34,
        RateLimit | Overload => 42,
        BadNumber | CallerTooLong => 28,
        DurationLimit | Operator => 31,
        MediaTimeout | DataplaneRestart | DataplaneLost | DialogLost | MachineLost => 41,
        Unreachable => 41,
        PrivacyImpossible => 63,
        BadMedia | NoCodec | Srtp => 65,
        TooManyHops => 25,
    })
}

/// What Q.850 calls a cause; empty for those that we never send.
pub(crate) fn phrase(cause: u8) -> &'static str {
    match cause {
        1 => "Unallocated (unassigned) number",
        3 => "No route to destination",
        16 => "Normal call clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "No answer from user",
        21 => "Call rejected",
        22 => "Number changed",
        25 => "Exchange routing error",
        28 => "Invalid number format",
        31 => "Normal, unspecified",
        34 => "No circuit/channel available",
        38 => "Network out of order",
        41 => "Temporary failure",
        42 => "Switching equipment congestion",
        63 => "Service or option not available",
        65 => "Bearer capability not implemented",
        79 => "Service or option not implemented",
        102 => "Recovery on timer expiry",
        127 => "Interworking, unspecified",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_cause_that_the_telephone_network_knows() {
        let causes = EndReason::ALL.map(|reason| cause_of(reason, 0).unwrap_or(0));
        let expected = [
            0, 16, 16, 31, 31, 19, 102, 3, 21, 34, 42, 21, 21, 28, 31, 41, 102, 31, 41, 41, 42, 65,
            41, 21, 25, 41, 102, 41, 63, 28, 21, 21, 21, 65, 65, 21, 21, 21, 21, 21, 21,
        ];
        assert_eq!(causes, expected);
        assert!(causes[1..].iter().all(|&cause| !phrase(cause).is_empty()));
        let of_status = (300..700).filter_map(|status| cause_of(EndReason::Rejected, status));
        assert!(of_status.into_iter().all(|cause| !phrase(cause).is_empty()));
    }

    #[test]
    fn a_vendors_failure_has_the_cause_of_the_status_that_is_told() {
        for (reason, status, cause) in [
            (EndReason::Busy, 486, 17),
            (EndReason::Busy, 603, 21),
            (EndReason::Rejected, 404, 1),
            (EndReason::Rejected, 480, 18),
            (EndReason::Rejected, 503, 41),
            // No status decides over a reason that has a cause of its own.
            (EndReason::NoAnswer, 480, 19),
            (EndReason::Timeout, 408, 102),
            (EndReason::Unreachable, 503, 41),
        ] {
            assert_eq!(cause_of(reason, status), Some(cause), "{reason:?} {status}");
        }
    }
}
