//! A caller's phone: one call, from INVITE to whatever ends it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::dialog::{Dialog, Ends, reliable};
use super::digest::{Account, Login};
use super::hiding::secret;
use super::identity::Telling;
use super::keypad::is_event;
use super::manners::{Manners, Rel100, Wish};
use super::network::{Letter, Way};
use super::peer::{
    HELLO, PTIME, Pending, SILENCE, T2, TIMER_B, audio, body, branch, call_of, cseq, header,
    is_tone, media_of, method, response, status,
};
use super::witness::Witness;

/// A phone that rings for so long without an answer gives up.
const PATIENCE: Duration = Duration::from_secs(150);
/// INVITEs of one call: challenges and sessions that are too short bring another one.
const INVITES_MAX: usize = 4;

/// What a caller does with its call.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When the INVITE goes out.
    pub start: Duration,
    /// CANCEL so long after the INVITE, if not answered by then.
    pub cancel_after: Option<Duration>,
    /// BYE so long after the answer.
    pub talk: Duration,
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
    /// A 2xx came; what follows is the dialog's.
    Answered,
    /// Over without an answer.
    Done,
}

/// The INVITE that is out.
#[derive(Debug)]
struct Invite {
    number: u32,
    pending: Pending,
}

/// One call of a caller's phone.
#[derive(Debug)]
pub struct Phone {
    number: u32,
    /// Where it is.
    pub address: SocketAddr,
    /// Its Call-ID.
    pub call_id: String,
    /// What it is going to do.
    pub plan: Plan,
    /// How far it is.
    pub stage: Stage,
    dialog: Dialog,
    login: Option<Login>,
    /// It does not want its number to be told.
    is_shy: bool,
    telling: Telling,
    /// To and Request-URI outside of any dialog.
    outside: (String, String),
    too_short: usize,
    /// Numbers of its INVITEs.
    invites: Vec<u32>,
    invite: Option<Invite>,
    cancel: Option<Pending>,
    answered: Option<Duration>,
    /// The last reliable response of each early dialog, by To.
    progress: BTreeMap<String, u32>,
    /// Whether an offer of the far end was answered in a PRACK.
    agreed: bool,
    audio_due: Duration,
    heard: Duration,
    sequence: u16,
    /// Distinct final responses to the INVITE that counted, by status and To header.
    pub finals: Vec<(u16, String)>,
    /// It gave up without a final response.
    pub gave_up: bool,
    /// The other side sent BYE.
    pub was_hung_up: bool,
    /// Its own audio that came back.
    pub audio_back: u32,
    /// Audio of other calls that came to it.
    pub audio_foreign: u32,
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
        let call_id = format!("sim-{number}@{}", address.ip());
        let media = SocketAddr::new(address.ip(), 20_000 + (number as u16 % 1_000) * 2);
        let ends = Ends {
            host: address,
            far: target,
            call_id: call_id.clone(),
            local: format!("<sip:390612345@{address}>;tag=phone-{}", address.ip()),
            remote: format!("<sip:{callee}@{target}>"),
            target: format!("sip:{callee}@{target}"),
            owns_call_id: true,
            way: Way::Datagram,
        };
        Self {
            number,
            address,
            call_id,
            plan,
            stage: Stage::Idle,
            outside: (ends.remote.clone(), ends.target.clone()),
            dialog: Dialog::new(ends, media, Manners { plain: true, ..Manners::default() }),
            login: None,
            is_shy: false,
            telling: Telling::default(),
            invites: Vec::new(),
            too_short: 0,
            invite: None,
            cancel: None,
            answered: None,
            progress: BTreeMap::new(),
            agreed: false,
            audio_due: Duration::ZERO,
            heard: Duration::ZERO,
            sequence: 0,
            finals: Vec::new(),
            gave_up: false,
            was_hung_up: false,
            audio_back: 0,
            audio_foreign: 0,
        }
    }

    /// The same phone, with manners.
    #[must_use]
    pub fn with(self, manners: Manners) -> Self {
        let Dialog { ends, media, .. } = self.dialog;
        Self { dialog: Dialog::new(ends, media, manners), ..self }
    }

    /// How it speaks.
    #[must_use]
    pub fn manners(&self) -> Manners {
        self.dialog.manners.clone()
    }

    /// What it wants in its call.
    #[must_use]
    pub fn wishes(&self) -> Vec<(Duration, Wish)> {
        self.dialog.manners.wishes.clone()
    }

    /// The same phone, somewhere else.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self.moved()
    }

    fn moved(self) -> Self {
        let callee = self.callee().to_owned();
        let target = self.dialog.ends.far;
        let manners = self.dialog.manners.clone();
        Self::new(self.number, self.address, target, &callee, self.plan).with(manners)
    }

    /// The same phone, over a connection of its own.
    #[must_use]
    pub fn by_stream(mut self) -> Self {
        self.address.set_port(40_000 + self.number as u16);
        let login = self.login.clone();
        let mut phone = self.moved();
        phone.dialog.ends.way = Way::Stream;
        Self { login, ..phone }
    }

    /// The same phone, calling somebody else.
    #[must_use]
    pub fn calls(self, callee: &str) -> Self {
        let target = self.dialog.ends.far;
        let (manners, login) = (self.dialog.manners.clone(), self.login.clone());
        let phone = Self::new(self.number, self.address, target, callee, self.plan).with(manners);
        Self { login, ..phone }
    }

    /// Whom it calls.
    fn callee(&self) -> &str {
        self.outside.1.split([':', '@']).nth(1).unwrap_or_default()
    }

    /// The same phone, for somebody who proves who he is.
    #[must_use]
    pub fn of(self, account: Account) -> Self {
        Self { login: Some(Login::new(account)), ..self }
    }

    /// The same phone, with a number that nobody is to be told (RFC 3323).
    #[must_use]
    pub fn shy(mut self) -> Self {
        let number = secret(self.address.ip());
        let address = self.address;
        let tag = format!("phone-{}", address.ip());
        self.dialog.ends.local = format!("<sip:{number}@{address}>;tag={tag}");
        self.is_shy = true;
        self
    }

    /// The same phone, which says more of who calls.
    #[must_use]
    pub fn telling(self, telling: Telling) -> Self {
        Self { telling, ..self }
    }

    /// Whether it speaks over a connection.
    #[must_use]
    pub fn is_by_stream(&self) -> bool {
        self.dialog.ends.way == Way::Stream
    }

    /// Whether it leaves a session that is its to refresh to its end.
    #[must_use]
    pub fn forgets_refresh(&self) -> bool {
        self.dialog.manners.timer.is_some_and(|timer| timer.forgets)
    }

    /// Whether somebody proves by it who he is.
    #[must_use]
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// INVITEs that were refused for a session too short, each a call of its own in our books.
    #[must_use]
    pub fn too_short(&self) -> usize {
        self.too_short
    }

    /// What it saw.
    #[must_use]
    pub fn witness(&self) -> &Witness {
        &self.dialog.witness
    }

    /// Whether its call was over without a word to it.
    #[must_use]
    pub fn was_forgotten(&self) -> bool {
        self.dialog.was_forgotten()
    }

    /// Whether nothing will happen here any more by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let is_done = match self.stage {
            Stage::Done => true,
            Stage::Answered => self.dialog.is_over(),
            Stage::Idle | Stage::Calling | Stage::Ringing => false,
        };
        is_done && self.cancel.is_none()
    }

    /// When it wants to act next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let invite = self.invite.as_ref().map(|invite| &invite.pending);
        let repeats = invite.into_iter().chain(&self.cancel).filter_map(Pending::due);
        let idle = (self.stage == Stage::Idle).then_some(self.plan.start);
        let speaks = self.dialog.is_open() && !self.plan.mute && self.dialog.remote_media.is_some();
        let audio = speaks.then_some(self.audio_due);
        let dialog = self.dialog.poll_timeout();
        repeats
            .chain(idle)
            .chain(self.cancel_due())
            .chain(self.bye_due())
            .chain(audio)
            .chain(dialog)
            .min()
    }

    fn cancel_due(&self) -> Option<Duration> {
        // RFC 3261 §9.1: a CANCEL waits for the first provisional.
        let ringing = self.cancel.is_none() && self.stage == Stage::Ringing;
        let after = self.plan.cancel_after.unwrap_or(PATIENCE).min(PATIENCE);
        ringing.then_some(self.plan.start + after)
    }

    /// When nothing was heard for too long.
    fn silent_at(&self) -> Duration {
        if self.plan.mute { Duration::MAX } else { self.heard + SILENCE }
    }

    fn bye_due(&self) -> Option<Duration> {
        let answered = self.answered?;
        // An answer that crossed our CANCEL is taken and hung up; silence is no conversation.
        let talk =
            if self.cancel.is_some() || self.gave_up { Duration::ZERO } else { self.plan.talk };
        let due = (answered + talk).min(self.silent_at());
        self.dialog.is_open().then_some(due)
    }

    /// An INVITE, the first or one more.
    fn invite(&mut self, now: Duration) {
        let number = self.dialog.number();
        self.invites.push(number);
        (self.dialog.ends.remote, self.dialog.ends.target) = self.outside.clone();
        let describes = !self.plan.offerless;
        let offer = if describes { self.dialog.describe("sendrecv", false) } else { String::new() };
        let Manners { rel100, .. } = self.dialog.manners;
        let rel100 = match rel100 {
            Rel100::Unknown => "",
            Rel100::Supported => "Supported: 100rel\r\n",
            Rel100::Required => "Require: 100rel\r\n",
        };
        let target = self.dialog.ends.target.clone();
        let login = self.login.as_mut().map(|login| login.line("INVITE", &target));
        let (manners, session) = (self.dialog.manners.lines(), self.dialog.session.offer());
        let privacy = if self.is_shy { "Privacy: id\r\n" } else { "" };
        let telling = self.telling.lines(self.address.ip(), self.is_shy);
        let login = login.unwrap_or_default();
        let lines = format!("{manners}{rel100}{session}{privacy}{telling}{login}");
        let text =
            self.dialog.request("INVITE", number, &format!("{number}INVITE"), &lines, &offer);
        let pending = self.dialog.ends.pending(now, text, TIMER_B);
        self.invite = Some(Invite { number, pending });
    }

    /// What it sends because time has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Letter> {
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if self.stage == Stage::Idle && self.plan.start <= now {
            self.stage = Stage::Calling;
            self.invite(now);
        }
        if due(self.cancel_due())
            && let Some(Invite { number, .. }) = self.invite
        {
            self.gave_up = self.plan.cancel_after.is_none();
            let branch = format!("{number}INVITE");
            // Its To and Request-URI are those of the INVITE (§9.1).
            let cancel =
                self.as_invited(|dialog| dialog.request("CANCEL", number, &branch, "", ""));
            self.cancel = Some(self.dialog.ends.pending(now, cancel, T2));
        }
        if due(self.bye_due()) {
            if self.silent_at() <= now {
                self.dialog.witness.note("phone was deserted");
                // Whoever transfers leaves a silence until the target answers.
                if !self.dialog.manners.in_company {
                    let doubt = format!("{} heard nothing any more", self.call_id);
                    self.dialog.witness.doubt(doubt);
                }
            }
            self.dialog.bye(now);
        }
        let mut out = self.repeat(now);
        out.extend(self.dialog.act(now));
        if self.dialog.is_open()
            && !self.plan.mute
            && self.audio_due <= now
            && let Some(to) = self.dialog.remote_media
        {
            self.audio_due = now + PTIME;
            self.sequence += 1;
            let bytes = audio(self.number, self.sequence);
            out.push(Letter::datagram(self.dialog.media, to, bytes));
        }
        out
    }

    /// Something is written with the ends that the INVITE had.
    fn as_invited<T>(&mut self, write: impl FnOnce(&Dialog) -> T) -> T {
        let Ends { remote, target, .. } = self.dialog.ends.clone();
        (self.dialog.ends.remote, self.dialog.ends.target) = self.outside.clone();
        let written = write(&self.dialog);
        (self.dialog.ends.remote, self.dialog.ends.target) = (remote, target);
        written
    }

    fn repeat(&mut self, now: Duration) -> Vec<Letter> {
        let invite = self.invite.as_mut().map(|invite| &mut invite.pending);
        let said = [invite, self.cancel.as_mut()]
            .map(|slot| slot.map_or(Ok(None), |pending| pending.again(now)));
        let [invite, cancel] = said.each_ref().map(Result::is_err);
        if invite {
            (self.invite, self.gave_up) = (None, true);
            self.give_up();
        }
        if cancel {
            // Whoever took the INVITE does not know it any more.
            self.cancel = None;
            if self.stage == Stage::Ringing {
                self.gave_up = true;
                self.give_up();
            }
        }
        said.into_iter()
            .filter_map(|text| text.ok()?)
            .map(|text| self.dialog.letter(text))
            .collect()
    }

    /// It is over without an answer.
    fn give_up(&mut self) {
        self.stage = Stage::Done;
        self.dialog.end();
    }

    /// What it answers to a datagram.
    pub fn handle(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        if letter.to == self.dialog.media {
            return self.hear(now, &letter.bytes);
        }
        let text = String::from_utf8_lossy(&letter.bytes).into_owned();
        if header(&text, "Call-ID") != Some(&self.call_id) {
            return Vec::new();
        }
        let Some(code) = status(&text) else { return self.handle_request(now, &text) };
        let (number, method) = cseq(&text);
        match method {
            "INVITE" if self.invites.contains(&number) => {
                return self.handle_invite_response(now, code, &text);
            }
            "CANCEL" if code >= 200 => {
                // RFC 3261 §9.1: the 487 follows, or the INVITE is over in 64 × T1 all the same.
                if let Some(pending) = &mut self.cancel {
                    pending.hush();
                }
                if code == 481 && self.stage == Stage::Ringing {
                    self.gave_up = true;
                    self.give_up();
                }
            }
            _ => return self.dialog.take_response(now, code, &text),
        }
        if self.stage == Stage::Done {
            self.cancel = None;
        }
        Vec::new()
    }

    fn hear(&mut self, now: Duration, bytes: &[u8]) -> Vec<Letter> {
        if is_event(bytes) {
            return Vec::new();
        }
        self.heard = now;
        if is_tone(bytes) {
            self.dialog.witness.note("phone heard our ringback");
            return Vec::new();
        }
        let of = call_of(bytes);
        let is_hello = of == Some(HELLO) && self.dialog.manners.in_company;
        let own = of == Some(self.number);
        self.audio_back += u32::from(own);
        self.audio_foreign += u32::from(!own && !is_hello);
        Vec::new()
    }

    fn handle_invite_response(&mut self, now: Duration, code: u16, text: &str) -> Vec<Letter> {
        let (number, _) = cseq(text);
        let is_last = self.invite.as_ref().is_some_and(|invite| invite.number == number);
        if code < 200 {
            if is_last {
                self.handle_progress(now, code, text);
            }
            return self.dialog.act(now);
        }
        let to = header(text, "To").unwrap_or_default().to_owned();
        self.dialog.witness.note_final(branch(text), code, &to);
        if code >= 300 {
            return self.handle_refusal(now, code, text, is_last);
        }
        self.invite = None;
        let known = (code, to);
        if !self.finals.contains(&known) {
            self.finals.push(known);
            self.handle_answer(now, text);
        }
        if self.plan.forgets_ack {
            return Vec::new();
        }
        let is_offered = self.plan.offerless && !self.agreed && !body(text).is_empty();
        let answer =
            if is_offered { self.dialog.describe("sendrecv", false) } else { String::new() };
        let ack = self.dialog.request("ACK", number, &format!("{number}ACK"), "", &answer);
        vec![self.dialog.letter(ack)]
    }

    fn handle_answer(&mut self, now: Duration, text: &str) {
        if self.cancel.is_some() {
            self.dialog.witness.note("2xx crossed a CANCEL");
        }
        self.dialog.turn_to(text);
        self.dialog.open(now);
        self.dialog.session.heed(now, text);
        (self.answered, self.heard, self.audio_due) = (Some(now), now, now);
        // What an early dialog agreed on, its 2xx need not say again.
        self.dialog.remote_media = media_of(text).or(self.dialog.remote_media);
        self.stage = Stage::Answered;
    }

    /// A provisional response; a reliable one gets its PRACK (RFC 3262 §4).
    fn handle_progress(&mut self, now: Duration, code: u16, text: &str) {
        // RFC 3261 §17.1.1.2: a provisional stops the repetitions and Timer B.
        if let Some(invite) = &mut self.invite {
            invite.pending.stop();
        }
        if self.stage == Stage::Calling {
            self.stage = Stage::Ringing;
        }
        let Some(rseq) = reliable(text).filter(|_| code > 100) else { return };
        if self.dialog.manners.rel100 == Rel100::Unknown {
            let call_id = &self.call_id;
            let wrong = format!("{call_id} was told reliably and did not ask for it");
            return self.dialog.witness.wrong(wrong);
        }
        let to = header(text, "To").unwrap_or_default().to_owned();
        let last = self.progress.get(&to).copied();
        if last.is_some_and(|last| rseq != last + 1) {
            return;
        }
        self.progress.insert(to, rseq);
        self.dialog.turn_to(text);
        self.dialog.witness.note("phone sent PRACK");
        self.dialog.remote_media = media_of(text).or(self.dialog.remote_media);
        let is_offer = self.plan.offerless && !self.agreed && !body(text).is_empty();
        let answer = if is_offer { self.dialog.describe("sendrecv", false) } else { String::new() };
        self.agreed |= is_offer;
        let rack = format!("RAck: {rseq} {}\r\n", header(text, "CSeq").unwrap_or_default());
        self.dialog.ask(now, "PRACK", None, (&rack, &answer));
    }

    /// A refusal: of the call, or of this INVITE alone.
    fn handle_refusal(
        &mut self,
        now: Duration,
        code: u16,
        text: &str,
        is_last: bool,
    ) -> Vec<Letter> {
        let (number, _) = cseq(text);
        let to = header(text, "To").unwrap_or_default().to_owned();
        let branch = format!("{number}INVITE");
        let ack = self.as_invited(|dialog| {
            let ack = dialog.request("ACK", number, &branch, "", "");
            let old = header(&ack, "To").unwrap_or_default().to_owned();
            ack.replace(&format!("To: {old}\r\n"), &format!("To: {to}\r\n"))
        });
        let mut out = vec![self.dialog.letter(ack)];
        if !is_last {
            return out;
        }
        self.invite = None;
        let may_again = self.invites.len() < INVITES_MAX && self.cancel.is_none();
        let again = may_again
            && match code {
                401 | 407 => self.log_in(text),
                422 => {
                    self.dialog.witness.note("phone was told 422");
                    self.too_short += 1;
                    self.dialog.session.heed_refusal(text)
                }
                _ => false,
            };
        if again {
            (self.stage, self.progress) = (Stage::Calling, BTreeMap::new());
            self.invite(now);
            out.extend(self.repeat(now));
            return out;
        }
        self.finals.push((code, to));
        self.cancel = None;
        self.give_up();
        out
    }

    /// Whether a challenge can be answered. The same password is not said twice, unless only the nonce
    /// was too old.
    fn log_in(&mut self, text: &str) -> bool {
        let Some(login) = &mut self.login else { return false };
        let is_stale = text.contains("stale=true");
        let witness = &mut self.dialog.witness;
        if is_stale {
            witness.note("caller's nonce was stale");
        } else if self.invites.len() > 1 {
            witness.doubt(format!("{} was refused with the right password", self.call_id));
            return false;
        }
        witness.note("caller was challenged");
        login.learn(text)
    }

    fn handle_request(&mut self, now: Duration, text: &str) -> Vec<Letter> {
        if self.stage != Stage::Answered {
            let contact = self.dialog.ends.contact();
            let answer = response(text, 481, "phone", &contact, ("", ""));
            return if method(text) == "ACK" {
                Vec::new()
            } else {
                vec![self.dialog.letter(answer)]
            };
        }
        if method(text) == "BYE" {
            self.was_hung_up = true;
            self.cancel = None;
        }
        let out = self.dialog.take_request(now, text);
        // A 2xx to a re-INVITE goes out by the clock.
        out.into_iter().chain(self.dialog.act(now)).collect()
    }
}
