//! One call that a simulated vendor or phone has taken: from the INVITE to the answer, and then the
//! dialog.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::dialog::{Dialog, Ends};
use super::keypad::is_event;
use super::manners::{Manners, Rel100};
use super::network::{Letter, Way};
use super::peer::{
    HELLO, PTIME, Pending, SILENCE, T2, TIMER_B, audio, branch, cseq, echo_of, header, is_spoken,
    lists, method, response, uri,
};
use super::session::Session;
use super::vendor::{Answers, Temper, describes};
use super::witness::Witness;

/// What was neither answered nor cancelled is forgotten after so long: its caller is gone.
const FORGOTTEN: Duration = Duration::from_secs(180);
/// Two who were called, and now talk to each other, end it at last.
const BORED: Duration = Duration::from_secs(240);
/// Who hears nobody for so long speaks.
const SHYNESS: Duration = Duration::from_secs(5);
/// The number of the first reliable response.
const RSEQ: u32 = 7;
/// The number of the only one of another fork.
const OTHER_RSEQ: u32 = 70;

/// What its owner wants of a call.
pub(super) struct Wants<'a> {
    pub(super) address: SocketAddr,
    pub(super) temper: Temper,
    pub(super) manners: &'a Manners,
    pub(super) now: Duration,
}

/// One call.
#[derive(Debug)]
pub(super) struct Taken {
    invite: String,
    dialog: Dialog,
    started: Duration,
    heard: Duration,
    /// When it speaks by itself.
    speaks: Duration,
    sequence: u16,
    tag: String,
    rang: bool,
    final_sent: Option<Pending>,
    answered: Option<Duration>,
    acknowledged: bool,
    cancelled: bool,
    forgotten: bool,
    refused: bool,
    /// Reliable responses that wait for the PRACK of the one before.
    waiting: VecDeque<(u16, String)>,
    /// The one that waits for its PRACK, and whether it described the media.
    unacknowledged: Option<(u32, bool, Pending)>,
    rseq: u32,
    /// Branches of the PRACKs that came, by what they acknowledged.
    pracks: BTreeMap<String, String>,
    /// What another fork said reliably; its numbers are its own.
    other: Option<Pending>,
    /// The description was told for certain.
    told: bool,
    /// Whether another fork answers as well.
    both_answer: bool,
    /// The answer of that, until it is acknowledged.
    second: Option<Pending>,
    /// Whether it was, and nobody has hung up there.
    second_is_up: bool,
}

impl Taken {
    pub(super) fn new(
        now: Duration,
        invite: &str,
        letter: &Letter,
        media: SocketAddr,
        wants: &Wants<'_>,
    ) -> Self {
        let text = |name| header(invite, name).unwrap_or_default().to_owned();
        let tag = format!("v{}-{}", media.port(), media.ip());
        let ends = Ends {
            host: wants.address,
            far: letter.from,
            call_id: text("Call-ID"),
            local: format!("{};tag={tag}", text("To")),
            remote: text("From"),
            target: uri(&text("Contact")).to_owned(),
            owns_call_id: false,
            way: letter.way,
        };
        let mut dialog = Dialog::new(ends, media, wants.manners.clone());
        dialog.note_invite(invite);
        Self {
            invite: invite.to_owned(),
            dialog,
            started: now,
            heard: now,
            speaks: Duration::MAX,
            sequence: 0,
            tag,
            rang: false,
            final_sent: None,
            answered: None,
            acknowledged: false,
            cancelled: false,
            forgotten: false,
            refused: false,
            waiting: VecDeque::new(),
            unacknowledged: None,
            rseq: RSEQ,
            pracks: BTreeMap::new(),
            other: None,
            told: false,
            both_answer: false,
            second: None,
            second_is_up: false,
        }
    }

    /// Why an INVITE cannot be taken, whoever answers.
    pub(super) fn refusal(invite: &str, manners: &Manners) -> Option<(u16, String)> {
        let asks = |name| lists(invite, name, "100rel");
        match manners.rel100 {
            Rel100::Unknown if asks("Require") => {
                return Some((420, "Unsupported: 100rel\r\n".into()));
            }
            Rel100::Required if !asks("Require") && !asks("Supported") => {
                return Some((421, "Require: 100rel\r\n".into()));
            }
            _ => {}
        }
        let refusal = Session::new(manners.timer).refusal(invite);
        refusal.map(|lines| (422, lines))
    }

    pub(super) fn call_id(&self) -> &str {
        &self.dialog.ends.call_id
    }

    /// Whether it was over without a word to its owner.
    pub(super) fn was_forgotten(&self) -> bool {
        self.dialog.was_forgotten() || self.second_is_up
    }

    pub(super) fn is_by_stream(&self) -> bool {
        self.dialog.ends.way == Way::Stream
    }

    pub(super) fn witness(&mut self) -> &mut Witness {
        &mut self.dialog.witness
    }

    /// Whether an INVITE outside of any dialog is the one that opened this call.
    pub(super) fn has_invite(&self, invite: &str) -> bool {
        branch(invite) == branch(&self.invite)
    }

    pub(super) fn is_over(&self) -> bool {
        self.refused || self.forgotten || self.dialog.is_over()
    }

    pub(super) fn hears_at(&self, media: SocketAddr) -> bool {
        self.dialog.media == media && !self.is_over()
    }

    /// Audio came: what goes back. Two who echo would have no end of it; what comes back stays.
    pub(super) fn echo(&mut self, now: Duration, audio: &[u8]) -> Option<Letter> {
        if is_event(audio) {
            return None;
        }
        self.heard = now;
        let in_company = self.dialog.manners.in_company;
        if in_company && !is_spoken(audio) {
            return None;
        }
        self.speaks = now + SHYNESS;
        let echo = if in_company { echo_of(audio) } else { audio.to_vec() };
        Some(Letter::datagram(self.dialog.media, self.dialog.remote_media?, echo))
    }

    /// When it says something by itself: whom it was transferred to may only echo as well.
    fn speaks_due(&self) -> Option<Duration> {
        let may = self.dialog.manners.in_company && self.acknowledged && self.dialog.is_open();
        may.then_some(self.speaks).filter(|_| self.dialog.remote_media.is_some())
    }

    fn speak(&mut self, now: Duration) -> Option<Letter> {
        let to = self.dialog.remote_media?;
        self.speaks_due().filter(|due| *due <= now)?;
        self.speaks = now + PTIME;
        self.sequence += 1;
        Some(Letter::datagram(self.dialog.media, to, audio(HELLO, self.sequence)))
    }

    /// How a Replaces names it, while it goes on.
    pub(super) fn replaces(&self) -> Option<String> {
        (self.acknowledged && self.dialog.is_open()).then(|| self.dialog.replaces())
    }

    /// Another call of its owner, as a Replaces names it.
    pub(super) fn set_companion(&mut self, replaces: Option<String>) {
        self.dialog.companion = replaces;
    }

    /// Whether what rings is told reliably.
    fn is_reliable(&self) -> bool {
        let knows = ["Supported", "Require"].iter().any(|name| lists(&self.invite, name, "100rel"));
        self.dialog.manners.rel100 != Rel100::Unknown && knows
    }

    /// When it rings, and when its final answer comes with which status.
    fn schedule(&self, temper: Temper) -> (Option<Duration>, Option<(Duration, u16)>) {
        if self.cancelled {
            return (None, Some((self.started, 487)));
        }
        match temper {
            Temper::Answers(Answers { rings, answers, .. }) => {
                (Some(self.started + rings), Some((self.started + answers, 200)))
            }
            Temper::Refuses(code, after) => (None, Some((self.started + after, code))),
            Temper::Redirects(_, after) => (None, Some((self.started + after, 302))),
            Temper::Rings => (Some(self.started), None),
            Temper::Silent => (None, None),
        }
    }

    fn is_pending(&self) -> bool {
        self.final_sent.is_none() && !self.is_over()
    }

    /// A 2xx waits until every description before it is acknowledged (RFC 3262 §3).
    fn may_answer(&self, code: u16) -> bool {
        let waits = self.unacknowledged.as_ref().is_some_and(|(_, described, _)| *described);
        code >= 300 || (!waits && self.waiting.is_empty())
    }

    fn hang_up_due(&self, temper: Temper) -> Option<Duration> {
        let answered = self.answered.filter(|_| self.dialog.is_open())?;
        let planned = match temper {
            Temper::Answers(Answers { hangs_up: Some(after), .. }) if self.acknowledged => {
                answered + after
            }
            _ if self.dialog.manners.in_company => answered + BORED,
            _ => Duration::MAX,
        };
        Some(planned.min(self.silent_at(answered)))
    }

    fn silent_at(&self, answered: Duration) -> Duration {
        self.heard.max(answered) + SILENCE
    }

    fn forget_due(&self) -> Option<Duration> {
        self.is_pending().then_some(self.started + FORGOTTEN)
    }

    /// When it wants to act next.
    pub(super) fn due(&self, temper: Temper) -> Option<Duration> {
        let (ring, last) = self.schedule(temper);
        let ring = ring.filter(|_| !self.rang && self.is_pending());
        let last = last.filter(|(_, code)| self.is_pending() && self.may_answer(*code));
        let repeats = self.final_sent.as_ref().and_then(Pending::due);
        let reliable = self.unacknowledged.as_ref().map(|(_, _, pending)| pending);
        let others = self.other.iter().chain(&self.second);
        let reliable = reliable.into_iter().chain(others).filter_map(Pending::due).min();
        let next = self.waiting.front().filter(|_| self.unacknowledged.is_none());
        let next = next.map(|_| Duration::ZERO);
        let ends = self.hang_up_due(temper).into_iter().chain(self.forget_due());
        let ends = ends.chain(self.speaks_due());
        let dialog = self.dialog.poll_timeout().filter(|_| self.acknowledged);
        let all = ring.into_iter().chain(last.map(|(due, _)| due)).chain(repeats).chain(reliable);
        all.chain(next).chain(ends).chain(dialog).min()
    }

    pub(super) fn act(&mut self, now: Duration, wants: &Wants<'_>) -> Vec<Letter> {
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let mut out = Vec::new();
        let (ring, last) = self.schedule(wants.temper);
        if !self.rang && self.is_pending() && due(ring) {
            self.rang = true;
            out.extend(self.ring(wants));
        }
        if let Some((at, code)) = last
            && self.is_pending()
            && at <= now
            && self.may_answer(code)
        {
            self.conclude(now, code, wants);
        }
        if due(self.forget_due()) {
            self.forgotten = true;
            // Who never said a word cannot be sent a CANCEL (§9.1).
            if self.rang {
                let doubt = format!("{} rang and was forgotten", self.call_id());
                self.dialog.witness.doubt(doubt);
            }
        }
        if due(self.hang_up_due(wants.temper)) {
            if self.answered.is_some_and(|answered| self.silent_at(answered) <= now) {
                self.note_silence();
            }
            self.dialog.bye(now);
        }
        out.extend(self.say_reliably(now));
        match self.second.as_mut().map(|pending| pending.again(now)) {
            Some(Ok(text)) => out.extend(text),
            Some(Err(())) => {
                let doubt = format!("{} was answered twice, and acknowledged once", self.call_id());
                self.dialog.witness.doubt(doubt);
                self.second = None;
            }
            None => {}
        }
        match self.final_sent.as_mut().map(|pending| pending.again(now)) {
            Some(Ok(text)) => out.extend(text),
            // §13.3.1.4: who never acknowledges is hung up on.
            Some(Err(())) if self.answered.is_some() => self.dialog.bye(now),
            Some(Err(())) | None => {}
        }
        let mut out: Vec<Letter> = out.into_iter().map(|text| self.dialog.letter(text)).collect();
        if self.acknowledged || self.dialog.is_ending() {
            out.extend(self.dialog.act(now));
        }
        out.extend(self.speak(now));
        out
    }

    fn note_silence(&mut self) {
        self.dialog.witness.note("vendor was deserted");
        // Some callers never say a word, and whoever transfers leaves a silence until the target answers.
        let in_company = self.dialog.manners.in_company;
        if !in_company && self.answered.is_some_and(|answered| self.heard > answered) {
            let doubt = format!("the callee of {} heard nothing any more", self.call_id());
            self.dialog.witness.doubt(doubt);
        }
    }

    /// The reliable response that is out, again, or the next one.
    fn say_reliably(&mut self, now: Duration) -> Vec<String> {
        if !self.is_pending() {
            (self.unacknowledged, self.other) = (None, None);
            self.waiting.clear();
            return Vec::new();
        }
        if self.unacknowledged.is_none()
            && let Some((code, body)) = self.waiting.pop_front()
        {
            self.rseq += 1;
            let lines = format!("Require: 100rel\r\nRSeq: {}\r\n", self.rseq);
            let lines = format!("{lines}{}", self.dialog.manners.lines());
            let text = self.respond(code, &self.tag, (&lines, &body));
            let described = !body.is_empty();
            self.unacknowledged = Some((self.rseq, described, Pending::new(now, text, TIMER_B)));
        }
        let other = self.other.as_mut().and_then(|pending| pending.again(now).ok().flatten());
        if let Some(text) = other {
            return vec![text];
        }
        let Some((_, _, pending)) = &mut self.unacknowledged else { return Vec::new() };
        match pending.again(now) {
            Ok(text) => text.into_iter().collect(),
            Err(()) => {
                // §3: 64·T1 without a PRACK.
                let call_id = self.call_id().to_owned();
                self.witness().note("vendor missed a PRACK");
                self.witness().doubt(format!("{call_id} was never acknowledged by PRACK"));
                self.unacknowledged = None;
                self.waiting.clear();
                self.refuse(now, 504, "");
                Vec::new()
            }
        }
    }

    fn respond(&self, code: u16, tag: &str, content: (&str, &str)) -> String {
        response(&self.invite, code, tag, &self.contact(), content)
    }

    fn refuse(&mut self, now: Duration, code: u16, lines: &str) {
        let text = self.respond(code, &self.tag, (lines, ""));
        self.final_sent = Some(Pending::new(now, text, T2));
        self.refused = true;
        self.dialog.end();
    }

    /// The final answer.
    fn conclude(&mut self, now: Duration, code: u16, wants: &Wants<'_>) {
        match (code, wants.temper) {
            (200, temper) => self.accept(now, temper),
            (302, Temper::Redirects(place, _)) => {
                self.dialog.witness.note("vendor sent a caller on (302)");
                let callee = self.invite.split([' ', '@']).nth(1).unwrap_or_default();
                let contact = format!("{callee}@{place}");
                let text = response(&self.invite, 302, &self.tag, &contact, ("", ""));
                self.refuse(now, 302, "");
                self.final_sent = Some(Pending::new(now, text, T2));
            }
            (503, _) if !wants.manners.plain => {
                self.dialog.witness.note("vendor asked for rest (503)");
                self.refuse(now, 503, "Retry-After: 7\r\n");
            }
            (600.., _) => {
                self.dialog.witness.note("callee refused for all (6xx)");
                self.refuse(now, code, "");
            }
            _ => self.refuse(now, code, ""),
        }
    }

    fn accept(&mut self, now: Duration, temper: Temper) {
        let body = if self.told { String::new() } else { self.dialog.describe("sendrecv", false) };
        let invite = self.invite.clone();
        let session = self.dialog.session.settle(now, &invite);
        let lines = format!("{}{session}", self.dialog.manners.lines());
        let text = self.respond(200, &self.tag, (&lines, &body));
        self.final_sent = Some(Pending::new(now, text, T2));
        self.both_answer = matches!(temper, Temper::Answers(Answers { both_answer: true, .. }));
        (self.answered, self.heard, self.speaks) = (Some(now), now, now + SHYNESS);
        self.dialog.open(now);
    }

    fn ring(&mut self, wants: &Wants<'_>) -> Vec<String> {
        let (early_media, forks) = match wants.temper {
            Temper::Answers(Answers { early_media, forks, .. }) => (early_media, forks),
            _ => (false, false),
        };
        let body =
            if early_media { self.dialog.describe("sendrecv", false) } else { String::new() };
        if self.is_reliable() {
            if forks {
                let lines = format!("Require: 100rel\r\nRSeq: {OTHER_RSEQ}\r\n");
                let other = self.respond(180, &self.other_tag(), (&lines, ""));
                self.other = Some(Pending::new(wants.now, other, TIMER_B));
            }
            if early_media {
                self.waiting.push_back((183, body));
            }
            self.waiting.push_back((180, String::new()));
            return Vec::new();
        }
        let other = forks.then(|| self.respond(180, &self.other_tag(), ("", "")));
        let code = if early_media { 183 } else { 180 };
        other.into_iter().chain([self.respond(code, &self.tag, ("", &body))]).collect()
    }

    fn other_tag(&self) -> String {
        format!("{}-other", self.tag)
    }

    pub(super) fn handle_response(&mut self, now: Duration, code: u16, text: &str) -> Vec<Letter> {
        self.dialog.take_response(now, code, text)
    }

    pub(super) fn handle_request(&mut self, now: Duration, text: &str) -> Vec<Letter> {
        let opens = !header(text, "To").unwrap_or_default().contains("tag=");
        let is_ours = cseq(text).0 == cseq(&self.invite).0;
        if header(text, "To").unwrap_or_default().ends_with(&self.other_tag())
            && matches!(method(text), "ACK" | "BYE")
        {
            return self.end_second(text);
        }
        match method(text) {
            // The transaction repeats what it said last (§17.2.1).
            "INVITE" if opens => {
                let said = self.final_sent.as_ref().map(|pending| pending.message.clone());
                said.map(|text| self.dialog.letter(text)).into_iter().collect()
            }
            "ACK" if is_ours => {
                self.stop_answering();
                if !self.acknowledged && self.both_answer {
                    // Now it is clear which of them was first.
                    let body = self.dialog.describe("sendrecv", false);
                    let text = self.respond(200, &self.other_tag(), ("", &body));
                    self.second = Some(Pending::new(now, text, T2));
                }
                self.acknowledged |= self.answered.is_some();
                self.dialog.take_request(now, text)
            }
            "CANCEL" if is_ours => {
                self.cancelled |= self.is_pending();
                let answer = response(text, 200, &self.tag, &self.contact(), ("", ""));
                vec![self.dialog.letter(answer)]
            }
            "PRACK" => self.take_prack(text),
            "BYE" => {
                self.stop_answering();
                self.dialog.take_request(now, text)
            }
            _ => self.dialog.take_request(now, text),
        }
    }

    /// The other fork is told that it answered too late: ACK, and BYE at once (RFC 3261 §13.2.2.4).
    fn end_second(&mut self, text: &str) -> Vec<Letter> {
        if method(text) == "ACK" {
            self.second_is_up |= self.second.take().is_some();
            return Vec::new();
        }
        if std::mem::take(&mut self.second_is_up) {
            self.witness().note("second answer of a fork was hung up");
        }
        self.second = None;
        let answer = response(text, 200, &self.tag, &self.contact(), ("", ""));
        vec![self.dialog.letter(answer)]
    }

    fn contact(&self) -> String {
        self.dialog.ends.contact()
    }

    fn stop_answering(&mut self) {
        if let Some(pending) = &mut self.final_sent {
            pending.stop();
        }
    }

    /// PRACK (RFC 3262 §3). One that comes again is answered again.
    fn take_prack(&mut self, text: &str) -> Vec<Letter> {
        let (number, _) = cseq(&self.invite);
        let rack = header(text, "RAck").unwrap_or_default();
        let rseq = rack.strip_suffix(&format!(" {number} INVITE"));
        let rseq: Option<u32> = rseq.and_then(|rseq| rseq.parse().ok());
        let to = header(text, "To").unwrap_or_default();
        // §4: what comes again is not acknowledged again, but by its own transaction.
        let first = self.pracks.entry(format!("{rack} {to}")).or_insert(branch(text).into());
        if first != branch(text) {
            let wrong = format!("{} was acknowledged twice: {rack}", self.dialog.ends.call_id);
            self.dialog.witness.wrong(wrong);
        }
        if rseq == Some(OTHER_RSEQ) && to.ends_with(&self.other_tag()) {
            if self.other.take().is_some() {
                self.witness().note("vendor's other fork got PRACK");
            }
            let answer = response(text, 200, &self.tag, &self.contact(), ("", ""));
            return vec![self.dialog.letter(answer)];
        }
        let is_known = rseq.is_some_and(|rseq| (RSEQ + 1..=self.rseq).contains(&rseq))
            && to.ends_with(&format!("tag={}", self.tag));
        if !is_known {
            let call_id = self.call_id().to_owned();
            self.witness().wrong(format!("{call_id} got a PRACK for {rack:?}"));
        }
        if let Some((_, described, _)) =
            self.unacknowledged.take_if(|(waiting, ..)| Some(*waiting) == rseq)
        {
            self.told |= described;
            self.witness().note("vendor got PRACK");
            // Without an offer in the INVITE, ours was in the response and this is the answer.
            if describes(text) {
                self.witness().note("PRACK carried an answer");
                self.dialog.remote_media = super::peer::media_of(text);
            }
        }
        let code = if is_known { 200 } else { 481 };
        let answer = response(text, code, &self.tag, &self.contact(), ("", ""));
        vec![self.dialog.letter(answer)]
    }
}
