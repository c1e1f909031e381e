//! Why a call ends, in the words of the telephone network (ITU-T Q.850): what a Reason of ours says.
//!
//! Where the end has a status of SIP, that decides (RFC 3398 §8.2.6.1); everywhere else one table does.

use link::record::EndReason;
use sip::q850::{NORMAL_CLEARING, cause_of_status};

/// "Normal, unspecified": somebody else than the two who talk ended it, and nothing is broken.
const NORMAL_UNSPECIFIED: u8 = 31;
/// "Call rejected".
const REJECTED: u8 = 21;
/// "Temporary failure".
const TEMPORARY_FAILURE: u8 = 41;
/// "Recovery on timer expiry".
const TIMER_EXPIRY: u8 = 102;

/// The cause of an end. `status` is the one told with it, 0 in a request. `None`: nothing has ended.
pub(crate) fn cause_of(reason: EndReason, status: u16) -> Option<u8> {
    use EndReason::*;
    Some(match reason {
        None => return Option::None,
        Normal | Cancelled => NORMAL_CLEARING,
        Rejected | Busy => cause_of_status(status).unwrap_or(NORMAL_UNSPECIFIED),
        // "No answer from user (user alerted)".
        NoAnswer => 19,
        Timeout | NoAck => TIMER_EXPIRY,
        // "No route to destination".
        NoRoute => 3,
        Unauthorised | NoRate | NoBalance | Locked => REJECTED,
        // "No circuit/channel available".
        LinesFull => 34,
        // "Switching equipment congestion".
        RateLimit | Overload => 42,
        // "Invalid number format".
        BadNumber => 28,
        DurationLimit | Operator => NORMAL_UNSPECIFIED,
        MediaTimeout | DataplaneRestart | DataplaneLost | DialogLost | MachineLost => {
            TEMPORARY_FAILURE
        }
        // "Bearer capability not implemented".
        BadMedia => 65,
        // "Exchange routing error".
        TooManyHops => 25,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_cause_that_the_telephone_network_knows() {
        let causes = EndReason::ALL.map(|reason| cause_of(reason, 0).unwrap_or(0));
        let expected = [
            0, 16, 16, 31, 31, 19, 102, 3, 21, 34, 42, 21, 21, 28, 31, 41, 102, 31, 41, 41, 42, 65,
            41, 21, 25, 41,
        ];
        assert_eq!(causes, expected);
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
        ] {
            assert_eq!(cause_of(reason, status), Some(cause), "{reason:?} {status}");
        }
    }
}
