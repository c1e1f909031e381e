//! Session timers as simulated peers read them (RFC 4028): agreed in each 2xx, refreshed by one side,
//! minded by the other.

use std::time::Duration;

use super::peer::{header, lists};

/// How a peer wants its sessions.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// So long without a refresh, s.
    pub interval_s: u32,
    /// Less is refused with 422, s.
    pub min_se_s: u32,
    /// Whom it names as refresher: itself, the other, nobody.
    pub refresher: Option<bool>,
    /// It is to refresh and never does.
    pub forgets: bool,
}

/// One dialog's session.
#[derive(Debug, Default)]
pub(super) struct Session {
    timer: Option<Timer>,
    interval_s: u32,
    ours: bool,
    refreshed: Duration,
    /// What a 422 asked for.
    least_s: u32,
    /// A refresh is not tried before.
    again: Duration,
    pub(super) updates: bool,
}

/// What Session-Expires says: seconds, and whether the sender of the request refreshes.
fn asked(message: &str) -> Option<(u32, Option<bool>)> {
    let value = header(message, "Session-Expires")?;
    let (seconds, rest) = value.split_once(';').unwrap_or((value, ""));
    let refresher = match rest.trim() {
        "refresher=uac" => Some(true),
        "refresher=uas" => Some(false),
        _ => None,
    };
    Some((seconds.trim().parse().ok()?, refresher))
}

fn role(is_asker: bool) -> &'static str {
    if is_asker { "uac" } else { "uas" }
}

impl Session {
    pub(super) fn new(timer: Option<Timer>) -> Self {
        Self { timer, ..Self::default() }
    }

    /// Header lines of a request that asks for a session, or goes on with one.
    pub(super) fn offer(&self) -> String {
        let Some(timer) = self.timer else { return String::new() };
        let interval_s = timer.interval_s.max(self.interval_s).max(self.least_s);
        let runs = self.interval_s > 0;
        let refresher = if runs { Some(self.ours) } else { timer.refresher };
        let refresher = refresher.map(|ours| format!(";refresher={}", role(ours)));
        let min_se =
            if self.least_s > 0 { format!("Min-SE: {}\r\n", self.least_s) } else { String::new() };
        format!(
            "Supported: timer\r\nSession-Expires: {interval_s}{}\r\n{min_se}",
            refresher.unwrap_or_default()
        )
    }

    /// Why a request's session cannot be had: the lines of a 422.
    pub(super) fn refusal(&self, request: &str) -> Option<String> {
        let timer = self.timer?;
        let (interval_s, _) = asked(request)?;
        let is_short = interval_s < timer.min_se_s && lists(request, "Supported", "timer");
        is_short.then(|| format!("Min-SE: {}\r\n", timer.min_se_s))
    }

    /// Settles the session as the one who was asked; the lines of the 2xx.
    pub(super) fn settle(&mut self, now: Duration, request: &str) -> String {
        self.learn(request);
        let Some(timer) = self.timer else { return String::new() };
        let knows = lists(request, "Supported", "timer");
        let (interval_s, wanted) = asked(request).unwrap_or((timer.interval_s, None));
        if !knows && asked(request).is_none() && timer.refresher != Some(true) {
            self.interval_s = 0;
            return String::new();
        }
        // §9: who does not know timers cannot refresh.
        let asker = wanted.unwrap_or(timer.refresher != Some(true)) && knows;
        (self.interval_s, self.ours, self.refreshed) = (interval_s, !asker, now);
        let require = if asker { "Require: timer\r\n" } else { "" };
        format!("{require}Session-Expires: {interval_s};refresher={}\r\n", role(asker))
    }

    /// Takes what a 2xx to a request of ours settles.
    pub(super) fn heed(&mut self, now: Duration, response: &str) {
        self.learn(response);
        let Some((interval_s, asker)) = asked(response).filter(|_| self.timer.is_some()) else {
            self.interval_s = 0;
            return;
        };
        (self.interval_s, self.ours, self.refreshed) = (interval_s, asker != Some(false), now);
    }

    /// A 422 to a request of ours. Whether it makes sense to ask once more.
    pub(super) fn heed_refusal(&mut self, response: &str) -> bool {
        let least = header(response, "Min-SE").and_then(|value| value.parse().ok()).unwrap_or(0);
        std::mem::replace(&mut self.least_s, least) < least && self.timer.is_some()
    }

    fn learn(&mut self, message: &str) {
        if header(message, "Allow").is_some() {
            self.updates = lists(message, "Allow", "UPDATE");
        }
    }

    /// A refresh is not tried again before.
    pub(super) fn wait(&mut self, until: Duration) {
        self.again = until;
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s.into())
    }

    /// When a refresh of ours goes out.
    pub(super) fn refresh_due(&self) -> Option<Duration> {
        let minds = self.interval_s > 0 && self.ours && !self.timer?.forgets;
        minds.then(|| (self.refreshed + self.interval() / 2).max(self.again))
    }

    /// When we end the call because nobody refreshed it (§10). Who forgets, forgets that as well.
    pub(super) fn end_due(&self) -> Option<Duration> {
        let minds = self.interval_s > 0 && !self.timer?.forgets;
        let margin = (self.interval() / 3).min(Duration::from_secs(32));
        minds.then(|| self.refreshed + self.interval() - margin)
    }
}
