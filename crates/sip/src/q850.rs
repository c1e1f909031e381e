//! Causes of the telephone network (ITU-T Q.850) and the statuses that they stand for (RFC 3398).

/// The normal end of a call, for [`crate::header::reason`].
pub const NORMAL_CLEARING: u8 = 16;

/// The cause for a failed call (RFC 3398 §8.2.6.1). `None`: none is meant: the call did not fail, was
/// given up by its caller (487), or the Warning decides (488, 606).
#[must_use]
pub const fn cause_of_status(status: u16) -> Option<u8> {
    Some(match status {
        400 | 481 | 500 | 503 => 41,
        401 | 402 | 403 | 407 | 603 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        502 => 38,
        0..300 | 487 | 488 | 606 => return None,
        // Interworking, unspecified: something failed that the telephone network has no word for.
        _ => 127,
    })
}

/// The status for a call that the telephone network failed (RFC 3398 §7.2.4.1). `None`: the cause is a
/// normal end.
#[must_use]
pub const fn status_of_cause(cause: u8) -> Option<u16> {
    Some(match cause {
        16 => return None,
        1..=3 | 26 => 404,
        17 => 486,
        18 => 408,
        19 | 20 | 31 => 480,
        21 | 55 | 57 | 87 => 403,
        22 | 23 => 410,
        27 => 502,
        28 => 484,
        29 | 79 => 501,
        34 | 38 | 41 | 42 | 47 | 58 | 88 => 503,
        65 | 70 => 488,
        102 => 504,
        _ => 500,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_cause_and_every_cause_a_failure() {
        for status in 300..700 {
            let cause = cause_of_status(status);
            assert_eq!(cause.is_none(), matches!(status, 487 | 488 | 606), "{status}");
            assert!(cause.is_none_or(|cause| status_of_cause(cause).unwrap() >= 400));
        }
        for cause in 0..=u8::MAX {
            let status = status_of_cause(cause);
            assert_eq!(status.is_none(), cause == NORMAL_CLEARING);
            assert!(status.is_none_or(|status| (400..600).contains(&status)), "{cause}");
        }
        assert_eq!((cause_of_status(200), cause_of_status(180)), (None, None));
    }

    #[test]
    fn a_status_on_its_way_there_and_back_stays_what_it_was_or_says_it_coarser() {
        for (status, back) in [
            (403, 403),
            (404, 404),
            (410, 410),
            // Nobody answers: in the telephone network that is a timeout.
            (480, 408),
            (484, 484),
            (486, 486),
            (501, 501),
            // Out of order there is out of service here.
            (502, 503),
            (503, 503),
            (504, 504),
        ] {
            assert_eq!(cause_of_status(status).and_then(status_of_cause), Some(back), "{status}");
        }
    }
}
