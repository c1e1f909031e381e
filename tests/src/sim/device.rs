//! A user's phone as an address of record has several: it registers, keeps that up, takes calls like
//! anybody, and may take its registration back (RFC 3261 §10.2).

use std::net::SocketAddr;
use std::time::Duration;

use super::digest::{Account, Login};
use super::network::{Letter, Way};
use super::peer::{Pending, T2, branch, cseq, header, headers, status};
use super::publication::Publication;
use super::vendor::Vendor;

/// Patience after a registration that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// What a device does about its registration.
#[derive(Clone, Copy, Debug)]
pub struct Routine {
    /// When it registers first.
    pub start: Duration,
    /// For how long it asks, s.
    pub expires_s: u32,
    /// When it takes everything back, if ever.
    pub leaves: Option<Duration>,
    /// It takes back `*`, all of its user, and not only its own.
    pub takes_all: bool,
    /// How it speaks with us.
    pub way: Way,
    /// From when on its last registration must be fresh before the world may rest.
    pub calm: Duration,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// It as it takes calls.
    pub callee: Vendor,
    /// What it does.
    pub routine: Routine,
    registrar: SocketAddr,
    login: Login,
    expires_s: u32,
    cseq: u32,
    pending: Option<(u32, Pending)>,
    due: Duration,
    /// Until when it believes to be registered.
    pub until: Option<Duration>,
    /// When it was told so last, or that it is not any more.
    pub told: Option<Duration>,
    /// When it asked for what it was told last.
    pub asked: Option<Duration>,
    left: bool,
    publication: Option<Publication>,
}

impl Device {
    /// A device that has not registered yet.
    #[must_use]
    pub fn new(callee: Vendor, registrar: SocketAddr, account: Account, routine: Routine) -> Self {
        Self {
            callee,
            routine,
            registrar,
            login: Login::new(account),
            expires_s: routine.expires_s,
            cseq: 0,
            pending: None,
            due: routine.start,
            until: None,
            told: None,
            asked: None,
            left: false,
            publication: None,
        }
    }

    /// The same device, which publishes of itself from then until then.
    #[must_use]
    pub fn publishes(self, times: (Duration, Duration)) -> Self {
        let (host, way) = (self.callee.address, self.routine.way);
        let login = self.login.clone();
        let publication = Publication::new(host, self.registrar, login, way, times);
        Self { publication: Some(publication), ..self }
    }

    /// Where it wants to be called.
    #[must_use]
    pub fn contact(&self) -> String {
        let transport = if self.routine.way == Way::Stream { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.user(), self.callee.address)
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.login.account.user
    }

    /// Whether it has come to its rest: it said its last word, or was confirmed after all trouble.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_registered() && self.publication.as_ref().is_none_or(Publication::is_over)
    }

    /// Whether it has nothing more to say of where it is.
    fn is_registered(&self) -> bool {
        let is_told = self.told.is_some_and(|told| told >= self.routine.calm);
        let stays = self.routine.leaves.is_none() && is_told;
        self.pending.is_none() && (self.left || stays)
    }

    /// When it wants to act next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let register = match &self.pending {
            Some((_, pending)) => pending.due(),
            // Then it says no more, so that the world may rest.
            None => Some(self.next()).filter(|_| !self.is_registered()),
        };
        let publication = self.publication.as_ref().and_then(Publication::poll_timeout);
        register.into_iter().chain(publication).chain(self.callee.poll_timeout()).min()
    }

    fn next(&self) -> Duration {
        self.routine.leaves.map_or(self.due, |leaves| self.due.min(leaves.max(self.routine.start)))
    }

    fn leaves(&self, now: Duration) -> bool {
        self.routine.leaves.is_some_and(|leaves| leaves <= now)
    }

    /// What it sends because time has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Letter> {
        let mut out = self.callee.handle_timeout(now);
        if self.pending.is_none() && !self.is_registered() && self.next() <= now {
            self.register(now);
        }
        let publication = self.publication.as_mut();
        out.extend(publication.and_then(|publication| publication.handle_timeout(now)));
        match self.pending.as_mut().map(|(_, pending)| pending.again(now)) {
            Some(Ok(text)) => out.extend(text.map(|text| self.letter(text))),
            Some(Err(())) => self.later(now, AGAIN),
            None => {}
        }
        out
    }

    fn letter(&self, text: String) -> Letter {
        let (from, way) = (self.callee.address, self.routine.way);
        Letter { from, to: self.registrar, bytes: text.into_bytes(), way }
    }

    fn later(&mut self, now: Duration, wait: Duration) {
        (self.pending, self.due) = (None, now + wait);
        // It leaves once it can.
        if let Some(leaves) = &mut self.routine.leaves {
            *leaves = (*leaves).max(self.due);
        }
    }

    fn register(&mut self, now: Duration) {
        (self.cseq, self.asked) = (self.cseq + 1, Some(now));
        let (host, cseq, contact) = (self.callee.address, self.cseq, self.contact());
        let (ip, transport) = (host.ip(), self.routine.way.transport());
        let target = format!("sip:{}", self.registrar);
        let contact = match (self.leaves(now), self.routine.takes_all) {
            (false, _) => format!("Contact: <{contact}>;expires={}\r\n", self.expires_s),
            (true, false) => format!("Contact: <{contact}>;expires=0\r\n"),
            (true, true) => "Contact: *\r\nExpires: 0\r\n".into(),
        };
        let login = self.login.line("REGISTER", &target);
        let aor = format!("<sip:{}@{}>", self.user(), self.registrar);
        let text = format!(
            "REGISTER {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {host};branch=z9hG4bKreg-{ip}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: {aor};tag=device-{ip}\r\nTo: {aor}\r\nCall-ID: reg-{ip}\r\n\
             CSeq: {cseq} REGISTER\r\n{contact}{login}Content-Length: 0\r\n\r\n"
        );
        let pending = match self.routine.way {
            Way::Stream => Pending::once(now, text),
            _ => Pending::new(now, text, T2),
        };
        self.pending = Some((cseq, pending));
    }

    /// What it answers to a datagram.
    pub fn handle(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        let text = String::from_utf8_lossy(&letter.bytes).into_owned();
        let (number, method) = cseq(&text);
        match status(&text) {
            Some(code) if method == "REGISTER" && code >= 200 => {
                let to = header(&text, "To").unwrap_or_default();
                self.callee.witness.note_final(branch(&text), code, to);
                if self.pending.as_ref().is_some_and(|(pending, _)| *pending == number) {
                    self.take_final(now, code, &text);
                }
                self.handle_timeout(now)
            }
            Some(_) if method == "REGISTER" => Vec::new(),
            Some(_) if method == "PUBLISH" => {
                if let Some(publication) = &mut self.publication {
                    publication.handle(now, &text, &mut self.callee.witness);
                }
                self.handle_timeout(now)
            }
            _ => self.callee.handle(now, letter),
        }
    }

    fn take_final(&mut self, now: Duration, code: u16, text: &str) {
        let request = self.pending.take().map(|(_, pending)| pending.message).unwrap_or_default();
        let leaves = request.contains("expires=0") || request.contains("Expires: 0");
        let witness = &mut self.callee.witness;
        match code {
            200 if leaves => {
                witness.note(if self.routine.takes_all {
                    "device took all back"
                } else {
                    "device un-registered"
                });
                (self.left, self.until, self.told) = (true, None, Some(now));
                if headers(text, "Contact").any(|value| value.contains(&self.contact())) {
                    let wrong = format!("{} is still bound", self.contact());
                    self.callee.witness.wrong(wrong);
                }
            }
            200 => self.take_binding(now, text),
            401 | 407 => {
                let had = request.contains("uthorization:");
                let is_stale = text.contains("stale=true");
                witness.note(if is_stale {
                    "device's nonce was stale"
                } else {
                    "device was challenged"
                });
                if had && !is_stale {
                    witness.doubt(format!(
                        "{} was refused with the right password",
                        self.callee.address
                    ));
                }
                self.login.learn(text);
                self.due = now;
            }
            423 => {
                witness.note("device was told 423");
                let least = header(text, "Min-Expires").and_then(|text| text.parse().ok());
                self.expires_s = least.unwrap_or(3_600);
                self.due = now;
            }
            _ => self.later(now, AGAIN),
        }
    }

    /// A 200 names every binding of the user, ours among them (§10.3 step 8).
    fn take_binding(&mut self, now: Duration, text: &str) {
        let contact = self.contact();
        let own = headers(text, "Contact").flat_map(|value| value.split(", "));
        let own = own.into_iter().find(|value| value.contains(&contact));
        let expires = own.and_then(|value| value.split("expires=").nth(1));
        let expires: Option<u64> = expires.and_then(|text| text.parse().ok());
        let Some(expires_s) = expires else {
            let wrong = format!("{contact} is not in the 200 to its REGISTER");
            return self.callee.witness.wrong(wrong);
        };
        self.callee.witness.note("device registered");
        self.until = Some(now + Duration::from_secs(expires_s));
        (self.told, self.due) = (Some(now), now + Duration::from_secs(expires_s) / 2);
    }
}
