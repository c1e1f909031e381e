//! What a device publishes of itself (RFC 3903): first, again and anew, and taken back in the end.

use std::net::SocketAddr;
use std::time::Duration;

use super::digest::Login;
use super::network::{Letter, Way};
use super::peer::{Pending, T2, branch, cseq, header, status, with_body};
use super::witness::Witness;

/// Patience after a publication that failed.
const AGAIN: Duration = Duration::from_secs(5);
/// For how long it asks at first, s.
const EXPIRES_S: u64 = 20;

/// A device's state, as it is published.
#[derive(Debug)]
pub struct Publication {
    host: SocketAddr,
    registrar: SocketAddr,
    login: Login,
    way: Way,
    /// When it is taken back.
    until: Duration,
    /// The entity tag, and until when it holds.
    held: Option<(String, Duration)>,
    pending: Option<(u32, Pending)>,
    due: Duration,
    expires_s: u64,
    number: u32,
    is_over: bool,
}

impl Publication {
    /// Begins at `start`, and is taken back at `until`.
    pub(super) fn new(
        host: SocketAddr,
        registrar: SocketAddr,
        login: Login,
        way: Way,
        (start, until): (Duration, Duration),
    ) -> Self {
        let (held, pending) = (None, None);
        Self {
            host,
            registrar,
            login,
            way,
            until,
            held,
            pending,
            due: start,
            expires_s: EXPIRES_S,
            number: 0,
            is_over: false,
        }
    }

    /// Whether nothing of it is left.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match &self.pending {
            Some((_, pending)) => pending.due(),
            None => (!self.is_over).then_some(self.due),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) -> Option<Letter> {
        if self.pending.is_none() && !self.is_over && self.due <= now {
            self.publish(now);
        }
        match self.pending.as_mut()?.1.again(now) {
            Ok(text) => text.map(|text| Letter {
                from: self.host,
                to: self.registrar,
                bytes: text.into_bytes(),
                way: self.way,
            }),
            Err(()) => {
                (self.pending, self.due) = (None, now + AGAIN);
                None
            }
        }
    }

    fn publish(&mut self, now: Duration) {
        let is_last = self.until <= now;
        self.held = self.held.take().filter(|(_, until)| *until > now);
        if is_last && self.held.is_none() {
            self.is_over = true;
            return;
        }
        self.number += 1;
        let (ip, number) = (self.host.ip(), self.number);
        let (user, registrar) = (self.login.account.user.clone(), self.registrar);
        let target = format!("sip:{user}@{registrar}");
        let condition = self.held.as_ref().map(|(tag, _)| format!("SIP-If-Match: {tag}\r\n"));
        let login = self.login.line("PUBLISH", &target);
        let head = format!(
            "PUBLISH {target} SIP/2.0\r\n\
             Via: SIP/2.0/{} {};branch=z9hG4bKpub-{ip}-{number};rport\r\nMax-Forwards: 70\r\n\
             From: <{target}>;tag=pub-{ip}\r\nTo: <{target}>\r\nCall-ID: pub-{ip}\r\n\
             CSeq: {number} PUBLISH\r\nEvent: presence\r\nExpires: {}\r\n{}{login}",
            self.way.transport(),
            self.host,
            if is_last { 0 } else { self.expires_s },
            condition.as_deref().unwrap_or_default(),
        );
        // What is refreshed or taken back is not said again.
        let text = match condition {
            Some(_) => format!("{head}Content-Length: 0\r\n\r\n"),
            None => with_body(&head, "is here"),
        };
        let pending = match self.way {
            Way::Stream => Pending::once(now, text),
            _ => Pending::new(now, text, T2),
        };
        self.pending = Some((number, pending));
    }

    /// Takes the answer to a PUBLISH.
    pub(super) fn handle(&mut self, now: Duration, text: &str, witness: &mut Witness) {
        let Some(code) = status(text).filter(|code| *code >= 200) else { return };
        witness.note_final(branch(text), code, header(text, "To").unwrap_or_default());
        let number = cseq(text).0;
        let Some((_, pending)) = self.pending.take_if(|(pending, _)| *pending == number) else {
            return;
        };
        let request = pending.message;
        self.due = now + AGAIN;
        match code {
            200 if request.contains("Expires: 0\r\n") => {
                witness.note("device took its publication back");
                (self.held, self.is_over) = (None, true);
            }
            200 => {
                let expires = header(text, "Expires").and_then(|text| text.parse().ok());
                let tag = header(text, "SIP-ETag");
                let Some((tag, expires_s)) = tag.zip(expires).filter(|it| it.1 <= self.expires_s)
                else {
                    return witness.wrong(format!("a publication was accepted by {text}"));
                };
                let is_again = request.contains("SIP-If-Match");
                witness.note(if is_again { "device published again" } else { "device published" });
                self.held = Some((tag.to_owned(), now + Duration::from_secs(expires_s)));
                self.due = (now + Duration::from_secs(expires_s) / 2).min(self.until.max(now));
            }
            401 | 407 => {
                let is_stale = text.contains("stale=true");
                if request.contains("uthorization:") && !is_stale {
                    witness.doubt(format!("{} may not publish", self.host));
                }
                self.login.learn(text);
                self.due = now;
            }
            423 => {
                let least = header(text, "Min-Expires").and_then(|text| text.parse().ok());
                (self.expires_s, self.due) = (least.unwrap_or(3_600), now);
            }
            412 => {
                // Its time may have been over when it arrived.
                witness.note("device's publication was unknown (412)");
                if self.held.take().is_some_and(|(_, until)| until > now) {
                    witness.doubt(format!("{} had published, and nobody knew", self.host));
                }
                self.due = now;
            }
            _ => {}
        }
    }
}
