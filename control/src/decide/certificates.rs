//! Whether the certificates and authorities on disk are those in force.
//!
//! The rim counts how often it read them again, and how often it could not; the alarm stands from a refusal
//! to the next success. A dataplane that begins counts from zero, and has read everything.

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};

/// What was counted when it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificates {
    read: u64,
    refused: u64,
}

const ALARM: &str = "certificates_refused";
const SUBJECT: &str = "streams";

impl Office {
    /// What all workers have counted together.
    pub fn handle_certificates(&mut self, time: Time, read: u64, refused: u64) {
        let now = Certificates { read, refused };
        let known = std::mem::replace(&mut self.certificates, now);
        if read != known.read || now == Certificates::default() {
            self.journal.clear(time.wall_us, ALARM, SUBJECT);
        } else if refused != known.refused {
            let detail = "a file of [streams] changed and cannot be used; what was there before holds. \
                          See tls_certificate_refused in the log of tollgate-dataplane";
            self.journal.raise(Event {
                at_us: time.wall_us,
                name: ALARM,
                subject: SUBJECT.into(),
                severity: Severity::Critical,
                detail: detail.into(),
            });
        }
    }
}
