//! A caller's phone: one call, from INVITE to whatever ends it.

use std::net::SocketAddr;
use std::time::Duration;

use super::network::Letter;
use super::peer::{
    Numbers, PTIME, Pending, SILENCE, T2, TIMER_B, audio, call_of, header, media_of, method,
    response, sdp, status, uri, with_body,
};

/// A phone that rings for so long without an answer gives up.
const PATIENCE: Duration = Duration::from_secs(150);

/// What a caller does with its call.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When the INVITE goes out.
    pub start: Duration,
    /// CANCEL so long after the INVITE, if not answered by then.
    pub cancel_after: Option<Duration>,
    /// BYE so long after the answer.
    pub talk: Duration,
    /// Hold and resume in the middle of the talk.
    pub holds: bool,
    /// The ACK never goes out.
    pub forgets_ack: bool,
    /// The INVITE carries no offer.
    pub offerless: bool,
    /// It sends no audio, and does not mind silence.
    pub mute: bool,
}

/// How far a caller's call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing sent yet.
    Idle,
    /// INVITE sent.
    Calling,
    /// A provisional came.
    Ringing,
    /// A 2xx came.
    Talking,
    /// Our BYE is out.
    HangingUp,
    /// Over.
    Done,
}

/// One call of a caller's phone.
#[derive(Debug)]
pub struct Phone {
    number: u32,
    /// Where it is.
    pub address: SocketAddr,
    target: SocketAddr,
    media: SocketAddr,
    /// Its Call-ID.
    pub call_id: String,
    callee: String,
    /// What it is going to do.
    pub plan: Plan,
    /// How far it is.
    pub stage: Stage,
    answered: Option<Duration>,
    invite: Option<Pending>,
    cancel: Option<Pending>,
    bye: Option<Pending>,
    reinvite: Option<Pending>,
    reinvites: u32,
    cseq: u32,
    numbers: Numbers,
    /// To header of the dialog and the remote target.
    dialog: Option<(String, String)>,
    remote_media: Option<SocketAddr>,
    audio_due: Duration,
    heard: Duration,
    sequence: u16,
    /// Distinct final responses to the INVITE, by status and To header.
    pub finals: Vec<(u16, String)>,
    /// It gave up without a final response.
    pub gave_up: bool,
    /// The other side sent BYE.
    pub was_hung_up: bool,
    /// Final statuses of its re-INVITEs.
    pub reinvite_finals: Vec<u16>,
    /// Its own audio that came back.
    pub audio_back: u32,
    /// Audio of other calls that came to it.
    pub audio_foreign: u32,
    /// Requests in its dialog whose number another one had before.
    pub numbers_reused: u32,
}

impl Phone {
    /// A phone that is going to call `callee` through `target`.
    #[must_use]
    pub fn new(
        number: u32,
        address: SocketAddr,
        target: SocketAddr,
        callee: &str,
        plan: Plan,
    ) -> Self {
        Self {
            number,
            address,
            target,
            media: SocketAddr::new(address.ip(), 20_000 + (number as u16 % 1_000) * 2),
            call_id: format!("sim-{number}@{}", address.ip()),
            callee: callee.into(),
            plan,
            stage: Stage::Idle,
            answered: None,
            invite: None,
            cancel: None,
            bye: None,
            reinvite: None,
            reinvites: 0,
            cseq: 1,
            dialog: None,
            remote_media: None,
            audio_due: Duration::ZERO,
            heard: Duration::ZERO,
            sequence: 0,
            finals: Vec::new(),
            gave_up: false,
            was_hung_up: false,
            reinvite_finals: Vec::new(),
            audio_back: 0,
            audio_foreign: 0,
            numbers_reused: 0,
            numbers: Numbers::default(),
        }
    }

    /// Whether nothing will happen here any more by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Done && self.bye.is_none() && self.cancel.is_none()
    }

    fn request(&self, method: &str, cseq: u32, branch: &str, body: &str) -> String {
        let Self { address, call_id, callee, target, .. } = self;
        let outside = (format!("<sip:{callee}@{target}>"), format!("sip:{callee}@{target}"));
        let (to, uri) = self.dialog.clone().unwrap_or(outside);
        let head = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{call_id}-{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:390612345@{address}>;tag=phone\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:390612345@{address}>\r\n"
        );
        with_body(&head, body)
    }

    fn letter(&self, text: String) -> Letter {
        Letter { from: self.address, to: self.target, bytes: text.into_bytes() }
    }

    /// When it wants to act next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let pending = [&self.invite, &self.cancel, &self.bye, &self.reinvite];
        let repeats = pending.into_iter().flatten().filter_map(Pending::due);
        let idle = (self.stage == Stage::Idle).then_some(self.plan.start);
        let talking = self.stage == Stage::Talking;
        let speaks = talking && !self.plan.mute && self.remote_media.is_some();
        let audio = speaks.then_some(self.audio_due);
        repeats
            .chain(idle)
            .chain(self.cancel_due())
            .chain(self.hold_due())
            .chain(self.bye_due())
            .chain(audio)
            .min()
    }

    fn cancel_due(&self) -> Option<Duration> {
        // RFC 3261 §9.1: a CANCEL waits for the first provisional.
        let ringing = self.cancel.is_none() && self.stage == Stage::Ringing;
        let after = self.plan.cancel_after.unwrap_or(PATIENCE).min(PATIENCE);
        ringing.then_some(self.plan.start + after)
    }

    fn hold_due(&self) -> Option<Duration> {
        let answered = self.answered?;
        let idle = self.stage == Stage::Talking && self.reinvite.is_none();
        (self.plan.holds && idle && self.reinvites < 2)
            .then(|| answered + self.plan.talk * (self.reinvites + 1) / 3)
    }

    fn bye_due(&self) -> Option<Duration> {
        let answered = self.answered?;
        // An answer that crossed our CANCEL is taken and hung up; silence is no conversation.
        let talk =
            if self.cancel.is_some() || self.gave_up { Duration::ZERO } else { self.plan.talk };
        let silence = if self.plan.mute { Duration::MAX } else { self.heard + SILENCE };
        let due = (answered + talk).min(silence);
        (self.stage == Stage::Talking && self.bye.is_none()).then_some(due)
    }

    /// What it sends because time has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Letter> {
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if self.stage == Stage::Idle && self.plan.start <= now {
            self.stage = Stage::Calling;
            let offer =
                if self.plan.offerless { String::new() } else { sdp(self.media, 1, "sendrecv") };
            self.invite = Some(Pending::new(now, self.request("INVITE", 1, "1", &offer), TIMER_B));
        }
        if due(self.cancel_due()) {
            self.gave_up = self.plan.cancel_after.is_none();
            self.cancel = Some(Pending::new(now, self.request("CANCEL", 1, "1", ""), T2));
        }
        if due(self.hold_due()) {
            self.reinvites += 1;
            self.cseq += 1;
            let direction = if self.reinvites == 1 { "sendonly" } else { "sendrecv" };
            let offer = sdp(self.media, 1 + self.reinvites, direction);
            let branch = format!("re{}", self.reinvites);
            let reinvite = self.request("INVITE", self.cseq, &branch, &offer);
            self.reinvite = Some(Pending::new(now, reinvite, TIMER_B));
        }
        if due(self.bye_due()) {
            self.cseq += 1;
            self.bye = Some(Pending::new(now, self.request("BYE", self.cseq, "bye", ""), T2));
            self.stage = Stage::HangingUp;
            self.reinvite = None;
        }
        let mut out = self.repeat(now);
        if self.stage == Stage::Talking
            && !self.plan.mute
            && self.audio_due <= now
            && let Some(to) = self.remote_media
        {
            self.audio_due = now + PTIME;
            self.sequence += 1;
            let bytes = audio(self.number, self.sequence);
            out.push(Letter { from: self.media, to, bytes });
        }
        out
    }

    fn repeat(&mut self, now: Duration) -> Vec<Letter> {
        let slots = [&mut self.invite, &mut self.cancel, &mut self.bye, &mut self.reinvite];
        let said = slots.map(|slot| slot.as_mut().map_or(Ok(None), |pending| pending.again(now)));
        let [invite, cancel, bye, _] = said.each_ref().map(Result::is_err);
        if invite {
            (self.invite, self.gave_up, self.stage) = (None, true, Stage::Done);
        }
        if cancel {
            // Whoever took the INVITE does not know it any more.
            self.cancel = None;
            if self.stage == Stage::Ringing {
                (self.gave_up, self.stage) = (true, Stage::Done);
            }
        }
        if bye {
            (self.bye, self.stage) = (None, Stage::Done);
        }
        said.into_iter().filter_map(|text| text.ok()?).map(|text| self.letter(text)).collect()
    }

    /// What it answers to a datagram.
    pub fn handle(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        if letter.to == self.media {
            return self.hear(now, &letter.bytes);
        }
        let text = String::from_utf8_lossy(&letter.bytes).into_owned();
        if header(&text, "Call-ID") != Some(&self.call_id) {
            return Vec::new();
        }
        let Some(code) = status(&text) else { return self.handle_request(&text) };
        let cseq = header(&text, "CSeq").unwrap_or_default();
        let (number, method) = cseq.split_once(' ').unwrap_or_default();
        let number: u32 = number.parse().unwrap_or(0);
        match (method, number) {
            ("INVITE", 1) => return self.handle_invite_response(now, code, &text),
            ("INVITE", _) => return self.handle_reinvite_response(code, number, &text),
            ("CANCEL", _) if code >= 200 => {
                // RFC 3261 §9.1: the 487 follows, or the INVITE is over in 64 × T1 all the same.
                if let Some(pending) = &mut self.cancel {
                    pending.hush();
                }
                if code == 481 && self.stage == Stage::Ringing {
                    (self.gave_up, self.stage) = (true, Stage::Done);
                }
            }
            ("BYE", _) if code >= 200 => (self.bye, self.stage) = (None, Stage::Done),
            _ => {}
        }
        if self.stage == Stage::Done {
            self.cancel = None;
        }
        Vec::new()
    }

    fn hear(&mut self, now: Duration, bytes: &[u8]) -> Vec<Letter> {
        self.heard = now;
        let own = call_of(bytes) == Some(self.number);
        self.audio_back += u32::from(own);
        self.audio_foreign += u32::from(!own);
        Vec::new()
    }

    fn handle_invite_response(&mut self, now: Duration, code: u16, text: &str) -> Vec<Letter> {
        if code < 200 {
            // RFC 3261 §17.1.1.2: a provisional stops the repetitions and Timer B.
            if let Some(pending) = &mut self.invite {
                pending.stop();
            }
            if self.stage == Stage::Calling {
                self.stage = Stage::Ringing;
            }
            return Vec::new();
        }
        self.invite = None;
        let to = header(text, "To").unwrap_or_default().to_owned();
        let known = (code, to.clone());
        let fresh = !self.finals.contains(&known);
        if fresh {
            self.finals.push(known);
        }
        if code >= 300 {
            if matches!(self.stage, Stage::Calling | Stage::Ringing) {
                (self.stage, self.cancel) = (Stage::Done, None);
            }
            let ack = self.request("ACK", 1, "1", "");
            let old = header(&ack, "To").unwrap_or_default().to_owned();
            return vec![
                self.letter(ack.replace(&format!("To: {old}\r\n"), &format!("To: {to}\r\n"))),
            ];
        }
        if fresh {
            let contact = header(text, "Contact").map(uri).unwrap_or_default().to_owned();
            self.dialog = Some((to, contact));
            (self.answered, self.heard, self.audio_due) = (Some(now), now, now);
            self.remote_media = media_of(text);
            self.stage = Stage::Talking;
        }
        if self.plan.forgets_ack {
            return Vec::new();
        }
        let answer =
            if self.plan.offerless { sdp(self.media, 1, "sendrecv") } else { String::new() };
        vec![self.letter(self.request("ACK", 1, "ack", &answer))]
    }

    fn handle_reinvite_response(&mut self, code: u16, cseq: u32, text: &str) -> Vec<Letter> {
        if code < 200 {
            if let Some(pending) = &mut self.reinvite {
                pending.stop();
            }
            return Vec::new();
        }
        if self.reinvite.take().is_some() {
            self.reinvite_finals.push(code);
        }
        if code < 300 {
            self.remote_media = media_of(text);
        }
        let branch = if code >= 300 { "" } else { "ack" };
        let branch = format!("re{}{branch}", cseq - 1);
        vec![self.letter(self.request("ACK", cseq, &branch, ""))]
    }

    fn handle_request(&mut self, text: &str) -> Vec<Letter> {
        self.numbers.note(text);
        self.numbers_reused = self.numbers.reused;
        let body = match method(text) {
            "ACK" => return Vec::new(),
            "BYE" => {
                self.was_hung_up = true;
                (self.bye, self.reinvite, self.cancel) = (None, None, None);
                self.stage = Stage::Done;
                String::new()
            }
            "INVITE" if self.stage == Stage::Talking => sdp(self.media, 9, "sendrecv"),
            _ => String::new(),
        };
        let known = self.stage == Stage::Talking || method(text) == "BYE";
        let code = if known { 200 } else { 481 };
        vec![self.letter(response(text, code, "phone", self.address, &body))]
    }
}
