//! What a simulated dialog answers to the far end: offers, words, news of transfers, BYE.

use std::time::Duration;

use super::super::digest::{Proof, challenge, proof};
use super::super::keypad::is_signal;
use super::super::manners::Wish;
use super::super::network::Letter;
use super::super::peer::{
    Pending, T2, body, branch, cseq, header, media_of, method, response, status, uri,
};
use super::{Dialog, key};

/// Numbers beyond it are those of a dataplane that has taken the dialog over.
const FRESH: u32 = 1_000;

impl Dialog {
    fn answer(&mut self, request: &str, code: u16, (lines, body): (&str, &str)) -> String {
        let contact = self.ends.contact();
        let tag = self.ends.local.split("tag=").nth(1).unwrap_or_default();
        let text = response(request, code, tag, &contact, (lines, body));
        self.answers.insert(key(request), text.clone());
        text
    }

    /// What it answers to a request of the far end.
    pub(in super::super) fn take_request(&mut self, now: Duration, request: &str) -> Vec<Letter> {
        let ends = match method(request) {
            "BYE" => true,
            "CANCEL" => self.is_pondered(request),
            _ => false,
        };
        // What is still being thought about is over first.
        let given_up = self.pondered.take_if(|_| ends).map(|(_, invite)| {
            self.witness.note("re-INVITE was cancelled");
            self.answer(&invite, 487, ("", ""))
        });
        let texts = given_up.into_iter().chain(self.react(now, request));
        let texts: Vec<String> = texts.collect();
        texts.into_iter().map(|text| self.letter(text)).collect()
    }

    /// Whether a CANCEL means the re-INVITE that is being thought about.
    fn is_pondered(&self, cancel: &str) -> bool {
        let pondered = self.pondered.as_ref();
        pondered.is_some_and(|(_, invite)| branch(invite) == branch(cancel))
    }

    fn react(&mut self, now: Duration, request: &str) -> Option<String> {
        if let Some(known) = self.answers.get(&key(request)) {
            return Some(known.clone()).filter(|text| !text.is_empty());
        }
        self.numbers.note(request);
        if std::mem::take(&mut self.numbers.reused) > 0 {
            self.witness.wrong(format!("{} got a CSeq twice", self.ends.call_id));
        }
        let number = cseq(request).0;
        match method(request) {
            "ACK" => {
                self.accepted.take_if(|(accepted, _)| *accepted == number);
                self.remote_media = media_of(request).or(self.remote_media);
                return None;
            }
            "CANCEL" => return Some(self.answer(request, 200, ("", ""))),
            _ => {}
        }
        if let Some((code, lines)) = self.challenge(request) {
            self.heard = self.heard.max(number);
            return Some(self.answer(request, code, (&lines, "")));
        }
        match method(request) {
            "BYE" => {
                self.was_hung_up = true;
                self.end();
                return Some(self.answer(request, 200, ("", "")));
            }
            _ if !self.is_open() => return Some(self.answer(request, 481, ("", ""))),
            // §12.2.2: what was overtaken is not done any more.
            _ if number <= self.heard => return Some(self.answer(request, 500, ("", ""))),
            _ => self.heard = number,
        }
        match method(request) {
            "INVITE" => self.take_offer(now, request),
            "UPDATE" if self.manners.updates => self.take_offer(now, request),
            "INFO" | "MESSAGE" => Some(self.take_words(request)),
            "NOTIFY" => Some(self.take_news(request)),
            "OPTIONS" => Some(self.answer(request, 200, (&self.manners.lines(), ""))),
            _ => Some(self.answer(request, 405, (&self.manners.lines(), ""))),
        }
    }

    /// Who asks everybody for a password asks in every request (RFC 3261 §22.1).
    fn challenge(&mut self, request: &str) -> Option<(u16, String)> {
        let (code, account) = self.manners.asks.as_ref().filter(|_| self.is_open())?;
        let nonce = format!("inside-{}", self.ends.host.ip());
        match proof(*code, account, &nonce, request) {
            Proof::Missing => Some((*code, challenge(*code, account, &nonce))),
            Proof::Right => {
                self.witness.note("our request inside a call proved itself");
                None
            }
            Proof::Wrong => {
                self.witness.wrong(format!("{} got a wrong digest", self.ends.call_id));
                None
            }
        }
    }

    /// Words come once, and all from the same far end.
    fn take_words(&mut self, request: &str) -> String {
        let words = body(request).to_owned();
        if is_signal(&words) {
            return self.answer(request, 200, ("", ""));
        }
        let speaker = |words: &str| words.rsplit(' ').next().map(str::to_owned);
        if self.words.contains(&words) {
            self.witness.doubt(format!("{} heard {words:?} twice", self.ends.call_id));
        }
        let is_other = self.words.first().is_some_and(|first| speaker(first) != speaker(&words));
        if is_other && !self.manners.in_company {
            self.witness.wrong(format!("{} heard words of another call", self.ends.call_id));
        }
        self.words.push(words);
        self.answer(request, 200, ("", ""))
    }

    /// How a transfer goes (RFC 3515 §2.4). Its end is told once, and nothing after it.
    fn take_news(&mut self, request: &str) -> String {
        let event = header(request, "Event").unwrap_or_default();
        let number = event.strip_prefix("refer;id=").and_then(|number| number.parse().ok());
        let is_last =
            header(request, "Subscription-State").unwrap_or_default().starts_with("terminated");
        let known = self.referred.iter_mut().find(|refer| Some(refer.cseq) == number);
        match (known.filter(|refer| !refer.is_told), status(body(request))) {
            (Some(refer), Some(code)) if is_last == (code >= 200) => {
                refer.is_told = is_last;
                self.witness.note(match (code, refer.wish) {
                    (..200, _) => "transferor was told of progress",
                    (..300, Wish::Join) => "attended transfer done",
                    (..300, _) => "blind transfer done",
                    (_, Wish::Join) => "attended transfer failed",
                    _ => "blind transfer failed",
                });
            }
            _ => {
                let (call_id, says) = (&self.ends.call_id, body(request).trim());
                let text = format!("{call_id} got strange news: {event:?} {says:?}");
                // A fresh dataplane may obey once more what its predecessor has obeyed.
                if cseq(request).0 > FRESH {
                    self.witness.doubt(text);
                } else {
                    self.witness.wrong(text);
                }
            }
        }
        self.answer(request, 200, ("", ""))
    }

    fn take_offer(&mut self, now: Duration, request: &str) -> Option<String> {
        let offers = method(request) == "INVITE" || !body(request).is_empty();
        if offers && self.offers() {
            self.witness.note("peer said 491");
            return Some(self.answer(request, 491, ("", "")));
        }
        if self.pondered.is_some() && offers {
            // §14.1: the one before has not even been answered.
            let text = format!("{} got an offer on top of an offer", self.ends.call_id);
            self.witness.doubt(text);
        }
        if offers && self.is_offering() {
            return Some(self.answer(request, 500, ("Retry-After: 1\r\n", "")));
        }
        if let Some(refusal) = self.session.refusal(request) {
            return Some(self.answer(request, 422, (&refusal, "")));
        }
        if method(request) == "INVITE" && !self.manners.thinks.is_zero() {
            self.answers.insert(key(request), String::new());
            self.pondered = Some((now + self.manners.thinks, request.to_owned()));
            let contact = self.ends.contact();
            return Some(response(request, 100, "", &contact, ("", "")));
        }
        self.answer_offer(now, request)
    }

    pub(super) fn answer_offer(&mut self, now: Duration, request: &str) -> Option<String> {
        let offer = body(request);
        let direction = match offer {
            offer if offer.contains("a=sendonly") => "recvonly",
            offer if offer.contains("a=recvonly") => "sendonly",
            _ => "sendrecv",
        };
        self.remote_media = media_of(request).or(self.remote_media);
        if let Some(contact) = header(request, "Contact") {
            self.ends.target = uri(contact).to_owned();
        }
        let is_invite = method(request) == "INVITE";
        let says_more = is_invite || !offer.is_empty();
        let described = if says_more { self.describe(direction, true) } else { String::new() };
        let session = self.session.settle(now, request);
        let is_refresh = header(request, "Session-Expires").is_some();
        self.witness.note(match (is_invite, offer.is_empty(), is_refresh) {
            (false, true, true) => "peer was refreshed by UPDATE",
            (true, _, true) => "peer took a re-INVITE with a session",
            (true, true, _) => "peer was asked for an offer",
            _ => "peer took an offer",
        });
        let lines = format!("{}{session}", self.manners.lines());
        let text = self.answer(request, 200, (&lines, &described));
        if !is_invite {
            return Some(text);
        }
        // §13.3.1.4: a 2xx is repeated until its ACK comes.
        self.accepted = Some((cseq(request).0, Pending::new(now, text, T2)));
        None
    }
}
