//! Who fails to log in to the machine by SSH is denied in the driver for a while (FW-18): the same rules as for
//! SIP's passwords. Gateways, trusted sources (administrators among them), and sources where somebody is or was
//! registered lately are never shut out: an alarm says so instead.

use std::net::IpAddr;
use std::time::Duration;

use guard::{Rule, Standing};

use super::Office;
use crate::Time;
use crate::journal::{Event, Severity};
use crate::state::entity::{Denied, Kind};

/// The alarm of logins that are not seen, and its subject.
const UNREAD: (&str, &str) = ("logins_unread", "ssh");

impl Office {
    /// Logins by SSH that fail cannot be seen, or again: `None`.
    pub fn handle_logins_unread(&mut self, why: Option<String>) {
        // The alarm goes with the next tick.
        self.logins_unread = Some(why.unwrap_or_default());
    }

    /// An alarm stands for as long as logins are to be counted and cannot be seen.
    pub(super) fn watch_logins(&mut self, time: Time) {
        let (name, subject) = UNREAD;
        let Some(detail) = &self.logins_unread else { return };
        let is_missed = !detail.is_empty() && self.state.values.number("TG_SSH_FAILURES") > 0;
        match (is_missed, self.journal.stands(name, subject)) {
            (true, false) => self.journal.raise(Event {
                at_us: time.wall_us,
                name,
                subject: subject.to_owned(),
                severity: Severity::Warning,
                detail: detail.clone(),
            }),
            (false, true) => self.journal.clear(time.wall_us, name, subject),
            (true, true) | (false, false) => {}
        }
        if detail.is_empty() {
            self.logins_unread = None;
        }
    }

    /// Logins by SSH that failed, one source each.
    pub fn handle_logins(&mut self, time: Time, sources: Vec<IpAddr>) {
        let values = &self.state.values;
        let seconds = |name: &str| Duration::from_secs(values.number(name));
        let window = seconds("TG_SUSPEND_WINDOW");
        let limit = values.small("TG_SSH_FAILURES");
        let rule = Rule { limit, window, time: seconds("TG_SSH_BAN_TIME") };
        self.jail.handle_time(time.wall_us);
        for source in sources.into_iter().filter(|source| !source.is_loopback()) {
            let name = source.to_string();
            // Whom an operator let in again is judged anew.
            if self.state.document(Kind::Deny, &name).is_err() {
                self.jail.release(time.wall_us, source);
            }
            let Some(until_us) = self.jail.handle_failure(&rule, time.wall_us, source) else {
                continue;
            };
            let what = format!("{limit} SSH logins failed within {} s", window.as_secs());
            if self.standing(source) == Standing::Stranger {
                let (by, since_us) = ("ssh".to_owned(), time.wall_us);
                self.deny_by_itself(
                    time,
                    Denied { id: 0, name, reason: what, by, since_us, until_us },
                );
            } else {
                let detail =
                    format!("{what}; it is trusted or a customer's, so nothing was dropped");
                self.raise_sign(time, "attack_spared", name, Severity::Warning, detail);
            }
        }
    }
}
