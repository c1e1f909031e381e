//! Whoever takes calls, a vendor's switch or a user's phone: rings, answers or refuses, echoes audio,
//! hangs up; asks for a password, sends callers elsewhere, keeps a register.

use std::net::SocketAddr;
use std::time::Duration;

use super::digest::{Account, Proof, challenge, proof};
use super::identity::Told;
use super::manners::Manners;
use super::network::Letter;
use super::peer::{body, header, method, response, status};
use super::registrar::Registrar;
use super::taken::{Taken, Wants};
use super::witness::Witness;

/// First port of the vendor's media; each call has its own.
const MEDIA_PORT: u16 = 30_000;

/// How a vendor answers, in times after the INVITE and after the answer.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// It rings.
    pub rings: Duration,
    /// It answers.
    pub answers: Duration,
    /// It hangs up, if ever.
    pub hangs_up: Option<Duration>,
    /// It rings with a description: early media.
    pub early_media: bool,
    /// It rings at two places, each with a tag of its own, and one of them answers.
    pub forks: bool,
    /// Both of them do.
    pub both_answer: bool,
}

/// What a vendor does with the calls it gets.
#[derive(Clone, Copy, Debug)]
pub enum Temper {
    /// It answers.
    Answers(Answers),
    /// Refuses with this status after a while.
    Refuses(u16, Duration),
    /// Sends the caller to another place after a while.
    Redirects(SocketAddr, Duration),
    /// Rings for ever.
    Rings,
    /// Never says anything.
    Silent,
}

/// Who takes calls.
#[derive(Debug)]
pub struct Vendor {
    /// Where it is.
    pub address: SocketAddr,
    /// What it does with calls.
    pub temper: Temper,
    /// How it speaks.
    pub manners: Manners,
    /// By which status it asks whom for a password.
    pub asks: Option<(u16, Account)>,
    /// What it is to be told of callers, if its gateway says so.
    pub told: Option<Told>,
    /// Where we are registered.
    pub registrar: Option<Registrar>,
    /// Whether its host can be reached.
    pub is_up: bool,
    calls: Vec<Taken>,
    /// What it saw.
    pub witness: Witness,
}

impl Vendor {
    /// An idle vendor.
    #[must_use]
    pub fn new(address: SocketAddr, temper: Temper) -> Self {
        Self {
            address,
            temper,
            manners: Manners { plain: true, ..Manners::default() },
            asks: None,
            told: None,
            registrar: None,
            is_up: true,
            calls: Vec::new(),
            witness: Witness::default(),
        }
    }

    /// The same vendor, with manners.
    #[must_use]
    pub fn with(self, manners: Manners) -> Self {
        Self { manners, ..self }
    }

    /// It and the place where it sends callers, if it does.
    pub(super) fn kin(&self) -> Vec<SocketAddr> {
        match self.temper {
            Temper::Redirects(place, _) => vec![self.address, place],
            _ => Vec::new(),
        }
    }

    /// Calls it believes to be up, or on their way.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.calls.iter().filter(|call| !call.is_over()).count()
    }

    /// Calls that were over without a word to it.
    pub(super) fn calls_forgotten(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter(|call| call.was_forgotten()).map(Taken::call_id)
    }

    /// Calls that ever came to it.
    #[must_use]
    pub fn calls_taken(&self) -> usize {
        self.calls.len()
    }

    /// Those that came by a connection.
    #[must_use]
    pub fn calls_by_stream(&self) -> usize {
        self.calls.iter().filter(|call| call.is_by_stream()).count()
    }

    fn wants(&self, now: Duration) -> Wants<'_> {
        Wants { address: self.address, temper: self.temper, manners: &self.manners, now }
    }

    /// When it wants to act next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let calls = self.calls.iter().filter(|_| self.is_up);
        calls.filter_map(|call| call.due(self.temper)).min()
    }

    /// What it sends because time has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Letter> {
        let mut out = Vec::new();
        if !self.is_up {
            return out;
        }
        for place in 0..self.calls.len() {
            out.extend(self.act(now, place));
        }
        out
    }

    /// One call goes on.
    fn act(&mut self, now: Duration, place: usize) -> Vec<Letter> {
        let Self { address, temper, manners, calls, witness, .. } = self;
        let wants = Wants { address: *address, temper: *temper, manners, now };
        let others = calls.iter().enumerate().filter(|(other, _)| *other != place);
        let companion = others.rev().find_map(|(_, other)| other.replaces());
        let Some(call) = calls.get_mut(place) else { return Vec::new() };
        call.set_companion(companion);
        let out = call.act(now, &wants);
        witness.take(call.witness());
        out
    }

    /// What it answers to a datagram.
    pub fn handle(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        if letter.to.port() != self.address.port() {
            return self.echo(now, letter);
        }
        let text = String::from_utf8_lossy(&letter.bytes).into_owned();
        let call_id = header(&text, "Call-ID").unwrap_or_default();
        let place = self.calls.iter().rposition(|call| call.call_id() == call_id);
        let Some(place) = place else {
            return self.handle_unknown(now, letter, &text);
        };
        let opens = !header(&text, "To").unwrap_or_default().contains("tag=");
        let is_new = self.calls.get(place).is_some_and(|call| !call.has_invite(&text));
        if method(&text) == "INVITE" && opens && is_new {
            return self.handle_unknown(now, letter, &text);
        }
        let Some(call) = self.calls.get_mut(place) else { return Vec::new() };
        let mut out = match status(&text) {
            Some(code) => call.handle_response(now, code, &text),
            None => call.handle_request(now, &text),
        };
        out.extend(self.act(now, place));
        out
    }

    fn reply(&self, letter: &Letter, text: String) -> Vec<Letter> {
        let (to, way) = (letter.from, letter.way);
        vec![Letter { from: self.address, to, bytes: text.into_bytes(), way }]
    }

    /// The lines of a challenge, if a request must be asked who it is from.
    fn challenge(&mut self, request: &str) -> Option<(u16, String)> {
        let (code, account) = self.asks.as_ref()?;
        let nonce = format!("nonce-of-{}", self.address.ip());
        match proof(*code, account, &nonce, request) {
            Proof::Right => {
                self.witness.note(match method(request) {
                    "REGISTER" => "our REGISTER proved itself",
                    _ => "our INVITE proved itself",
                });
                None
            }
            Proof::Missing => Some((*code, challenge(*code, account, &nonce))),
            Proof::Wrong => {
                self.witness.wrong(format!("{} got a wrong digest", self.address));
                Some((403, String::new()))
            }
        }
    }

    /// A message of no call that is known.
    fn handle_unknown(&mut self, now: Duration, letter: &Letter, text: &str) -> Vec<Letter> {
        let opens = !header(text, "To").unwrap_or_default().contains("tag=");
        let (code, lines) = match method(text) {
            _ if status(text).is_some() || text.trim().is_empty() => return Vec::new(),
            "ACK" => return Vec::new(),
            "INVITE" if opens => match self.admit(text) {
                None => {
                    if let Some(told) = self.told {
                        told.judge(text, &mut self.witness);
                    }
                    let port = MEDIA_PORT + self.calls.len() as u16 * 2;
                    let media = SocketAddr::new(self.address.ip(), port);
                    let taken = Taken::new(now, text, letter, media, &self.wants(now));
                    self.calls.push(taken);
                    return self.act(now, self.calls.len() - 1);
                }
                Some(refusal) => refusal,
            },
            "REGISTER" => self.register(now, text),
            "OPTIONS" => {
                self.witness.note("OPTIONS of ours answered");
                (200, String::new())
            }
            _ => (481, String::new()),
        };
        let contact = format!("sip:{}", self.address);
        let tag = format!("vendor-{}", self.address.ip());
        self.reply(letter, response(text, code, &tag, &contact, (&lines, "")))
    }

    /// Why an INVITE is refused without a call.
    fn admit(&mut self, invite: &str) -> Option<(u16, String)> {
        if let Some(refusal) = self.challenge(invite) {
            return Some(refusal);
        }
        let refusal = Taken::refusal(invite, &self.manners)?;
        if refusal.0 == 422 {
            self.witness.note("vendor said 422");
        }
        Some(refusal)
    }

    fn register(&mut self, now: Duration, request: &str) -> (u16, String) {
        if let Some(refusal) = self.challenge(request) {
            return refusal;
        }
        match &mut self.registrar {
            Some(registrar) => registrar.register(now, request, &mut self.witness),
            None => (404, String::new()),
        }
    }

    /// Audio goes back to where the other side wants it.
    fn echo(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        let call = self.calls.iter_mut().find(|call| call.hears_at(letter.to));
        call.and_then(|call| call.echo(now, &letter.bytes)).into_iter().collect()
    }
}

/// Whether a message describes media.
pub(super) fn describes(message: &str) -> bool {
    body(message).starts_with("v=0")
}
