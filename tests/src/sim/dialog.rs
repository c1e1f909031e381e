//! A dialog as a simulated peer has it, on either side of a call: what it asks in it, what it answers
//! (`answers.rs`), and how it ends (RFC 3261 §12 to §15, RFC 3311, RFC 4028).
//!
//! Offers are one at a time. Who is asked while its own offer is out says 491, who is asked while it
//! thinks says 500; both come again. Requests that come twice get the same answer twice.

mod answers;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::keypad::{Keypad, Tones, signal};
use super::manners::{Manners, Wish};
use super::network::{Letter, Way};
use super::peer::{
    Numbers, Pending, T2, TIMER_B, branch, cseq, header, lists, media_of, method, sdp, uri,
    with_body,
};
use super::session::Session;
use super::witness::Witness;

/// An offer that the far end only works on is given up after so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request of ours that has no final response yet.
#[derive(Debug)]
struct Asked {
    method: &'static str,
    cseq: u32,
    wish: Option<Wish>,
    pending: Pending,
}

/// A REFER of ours.
#[derive(Debug)]
struct Referred {
    cseq: u32,
    wish: Wish,
    /// Whether the last NOTIFY said how it ended.
    is_told: bool,
}

/// How far a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Early,
    Open,
    /// Our BYE is out.
    Ending,
    Over,
}

/// Who speaks with whom, in the words of the headers.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) host: SocketAddr,
    /// Where messages go.
    pub(super) far: SocketAddr,
    pub(super) call_id: String,
    /// From of our requests.
    pub(super) local: String,
    /// To of our requests.
    pub(super) remote: String,
    /// Their Request-URI.
    pub(super) target: String,
    /// Whether the Call-ID is ours.
    pub(super) owns_call_id: bool,
    /// How its messages travel.
    pub(super) way: Way,
}

impl Ends {
    /// Where the far end finds us.
    pub(super) fn contact(&self) -> String {
        let transport = if self.way == Way::Stream { ";transport=tcp" } else { "" };
        format!("sip:390612345@{}{transport}", self.host)
    }

    /// A request that goes out now, and again where it might get lost.
    pub(super) fn pending(&self, now: Duration, text: String, cap: Duration) -> Pending {
        if self.way == Way::Stream {
            Pending::once(now, text)
        } else {
            Pending::new(now, text, cap)
        }
    }
}

/// One side of a dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) ends: Ends,
    pub(super) manners: Manners,
    stage: Stage,
    cseq: u32,
    /// The highest number of the far end's.
    heard: u32,
    numbers: Numbers,
    pub(super) media: SocketAddr,
    pub(super) remote_media: Option<SocketAddr>,
    version: u32,
    since: Duration,
    /// How many of its wishes were tried, and one that is tried again.
    tried: usize,
    again: Option<(Duration, Wish)>,
    asked: Vec<Asked>,
    /// ACKs of our INVITEs, by number.
    acks: BTreeMap<u32, String>,
    /// What was answered, by request; empty: not yet.
    answers: BTreeMap<String, String>,
    pondered: Option<(Duration, String)>,
    accepted: Option<(u32, Pending)>,
    pub(super) session: Session,
    /// What the far end's INFO and MESSAGE said.
    words: Vec<String>,
    referred: Vec<Referred>,
    keypad: Keypad,
    /// Whether its BYE met nobody who knew the dialog, and whether one came.
    was_unknown: bool,
    was_hung_up: bool,
    /// How a Replaces names another call of this peer, if it has one.
    pub(super) companion: Option<String>,
    pub(super) witness: Witness,
}

impl Dialog {
    pub(super) fn new(ends: Ends, media: SocketAddr, manners: Manners) -> Self {
        Self {
            ends,
            session: Session::new(manners.timer),
            manners,
            stage: Stage::Early,
            cseq: 0,
            heard: 0,
            numbers: Numbers::default(),
            media,
            remote_media: None,
            version: 1,
            since: Duration::ZERO,
            tried: 0,
            again: None,
            asked: Vec::new(),
            acks: BTreeMap::new(),
            answers: BTreeMap::new(),
            pondered: None,
            accepted: None,
            words: Vec::new(),
            referred: Vec::new(),
            keypad: Keypad::default(),
            was_unknown: false,
            was_hung_up: false,
            companion: None,
            witness: Witness::default(),
        }
    }

    /// The INVITE that we took.
    pub(super) fn note_invite(&mut self, request: &str) {
        self.heard = cseq(request).0;
        self.numbers.note(request);
        self.remote_media = media_of(request);
    }

    /// Where requests to the far end of this (early) dialog go.
    pub(super) fn turn_to(&mut self, response: &str) {
        self.ends.remote = header(response, "To").unwrap_or_default().to_owned();
        if let Some(contact) = header(response, "Contact") {
            self.ends.target = uri(contact).to_owned();
        }
    }

    /// The call was answered.
    pub(super) fn open(&mut self, now: Duration) {
        (self.stage, self.since) = (Stage::Open, now);
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(super) fn is_ending(&self) -> bool {
        self.stage == Stage::Ending
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Nothing more goes out but answers.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Over;
        self.asked.clear();
        (self.accepted, self.pondered, self.again) = (None, None, None);
    }

    /// The next number of a request.
    pub(super) fn number(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }

    /// A description of ours; one that says something else than the last has the next version.
    pub(super) fn describe(&mut self, direction: &str, is_news: bool) -> String {
        self.version += u32::from(is_news);
        sdp(self.media, self.version, direction, self.manners.tones.is_some())
    }

    /// A request of this dialog.
    pub(super) fn request(
        &self,
        method: &str,
        cseq: u32,
        branch: &str,
        lines: &str,
        body: &str,
    ) -> String {
        let Ends { host, call_id, local, remote, target, .. } = &self.ends;
        let (contact, transport) = (self.ends.contact(), self.ends.way.transport());
        let head = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {host};branch=z9hG4bK{call_id}-{host}-{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <{contact}>\r\n{lines}"
        );
        with_body(&head, body)
    }

    /// Begins a transaction; what it sends goes out with [`Self::act`].
    pub(super) fn ask(
        &mut self,
        now: Duration,
        method: &'static str,
        wish: Option<Wish>,
        (lines, body): (&str, &str),
    ) {
        let cseq = self.number();
        let text = self.request(method, cseq, &format!("{cseq}{method}"), lines, body);
        let cap = if method == "INVITE" { TIMER_B } else { T2 };
        let pending = self.ends.pending(now, text, cap);
        self.asked.push(Asked { method, cseq, wish, pending });
    }

    /// Hangs up, once.
    pub(super) fn bye(&mut self, now: Duration) {
        if matches!(self.stage, Stage::Open | Stage::Early) {
            self.end();
            self.stage = Stage::Ending;
            self.ask(now, "BYE", None, ("", ""));
        }
    }

    pub(super) fn letter(&self, text: String) -> Letter {
        let Ends { host, far, way, .. } = self.ends;
        Letter { from: host, to: far, bytes: text.into_bytes(), way }
    }

    /// Whether an offer of either side has no answer yet.
    fn is_offering(&self) -> bool {
        self.offers() || self.pondered.is_some() || self.accepted.is_some()
    }

    /// Whether an offer of ours is out.
    fn offers(&self) -> bool {
        let offers = |asked: &Asked| {
            let is_offer = asked.wish.is_some_and(Wish::is_offer);
            is_offer || asked.method == "INVITE"
        };
        self.asked.iter().any(offers)
    }

    /// What it wants next, and when.
    fn wish_due(&self) -> Option<(Duration, Wish)> {
        if self.stage != Stage::Open {
            return None;
        }
        // One is granted or refused before the next.
        let planned = self.manners.wishes.get(self.tried).filter(|_| self.again.is_none());
        let planned = planned.map(|(after, wish)| (self.since + *after, *wish));
        let refresh = self.session.refresh_due().map(|at| (at, Wish::Refresh));
        let is_refreshing = self.asked.iter().any(|asked| asked.wish == Some(Wish::Refresh));
        let refresh = refresh.filter(|_| !is_refreshing);
        let all = [self.again, planned, refresh].into_iter().flatten();
        let may = |wish: &Wish| match wish {
            Wish::Refresh => !self.is_offering(),
            wish => !wish.is_offer() || !self.is_offering(),
        };
        all.filter(|(_, wish)| may(wish)).min_by_key(|(at, _)| *at)
    }

    /// When it wants to act next.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let repeats = self.asked.iter().filter_map(|asked| asked.pending.due());
        let accepted = self.accepted.as_ref().and_then(|(_, pending)| pending.due());
        let wish = self.wish_due().map(|(at, _)| at);
        let pondered = self.pondered.as_ref().map(|(at, _)| *at);
        let session = self.session.end_due().filter(|_| self.is_open());
        let repeats = repeats.chain(self.key_due());
        repeats.chain(accepted).chain(wish).chain(pondered).chain(session).min()
    }

    /// What it sends because time has passed.
    pub(super) fn act(&mut self, now: Duration) -> Vec<Letter> {
        if self.is_open() && self.session.end_due().is_some_and(|at| at <= now) {
            self.witness.note("peer missed a refresh");
            self.witness.doubt(format!("{} was not refreshed", self.ends.call_id));
            self.bye(now);
        }
        if let Some((_, wish)) = self.wish_due().filter(|(at, _)| *at <= now) {
            self.wish(now, wish);
        }
        let mut out = Vec::new();
        if let Some((_, request)) = self.pondered.take_if(|(at, _)| *at <= now) {
            out.extend(self.answer_offer(now, &request));
        }
        let events = self.press_key(now);
        out.extend(self.repeat(now));
        out.into_iter().map(|text| self.letter(text)).chain(events).collect()
    }

    /// When the next key is pressed.
    fn key_due(&self) -> Option<Duration> {
        let waits = self.asked.iter().any(|asked| asked.method == "INFO");
        self.keypad.due().filter(|_| self.is_open() && !waits)
    }

    fn press_key(&mut self, now: Duration) -> Vec<Letter> {
        let key = self.key_due().and_then(|_| self.keypad.next(now));
        let (Some(key), Some(to)) = (key, self.remote_media) else { return Vec::new() };
        if self.manners.tones == Some(Tones::Events) {
            let event = self.keypad.event(key).into_iter();
            return event.map(|packet| Letter::datagram(self.media, to, packet)).collect();
        }
        self.ask(now, "INFO", None, ("", &signal(key)));
        Vec::new()
    }

    /// Whether nobody had told it that its call was over.
    pub(super) fn was_forgotten(&self) -> bool {
        self.was_unknown && !self.was_hung_up
    }

    fn repeat(&mut self, now: Duration) -> Vec<String> {
        let mut out = Vec::new();
        let mut lost = false;
        for asked in &mut self.asked {
            match asked.pending.again(now) {
                Ok(text) => out.extend(text),
                Err(()) => lost = true,
            }
        }
        match self.accepted.as_mut().map(|(_, pending)| pending.again(now)) {
            Some(Ok(text)) => out.extend(text),
            Some(Err(())) => lost = true,
            None => {}
        }
        match self.stage {
            Stage::Ending if lost => self.end(),
            // §12.2.1.2: nobody is there.
            Stage::Open if lost => self.bye(now),
            _ => {}
        }
        out
    }

    fn wish(&mut self, now: Duration, wish: Wish) {
        if wish != Wish::Refresh && self.again.take().is_none() {
            self.tried += 1;
        }
        let contact = self.manners.lines();
        let session = self.session.offer();
        let lines = format!("{contact}{session}");
        let number = self.words_said();
        match wish {
            Wish::Hold | Wish::Resume => {
                let direction = if wish == Wish::Hold { "sendonly" } else { "sendrecv" };
                let offer = self.describe(direction, true);
                self.ask(now, "INVITE", Some(wish), (&lines, &offer));
            }
            Wish::Ask => self.ask(now, "INVITE", Some(wish), (&lines, "")),
            Wish::Refresh if !self.session.updates => {
                let same = self.describe("sendrecv", false);
                self.ask(now, "INVITE", Some(wish), (&lines, &same));
            }
            Wish::Update => {
                let offer = self.describe("sendrecv", true);
                self.ask(now, "UPDATE", Some(wish), (&lines, &offer));
            }
            Wish::Sign | Wish::Refresh => self.ask(now, "UPDATE", Some(wish), (&lines, "")),
            Wish::Info => self.ask(now, "INFO", Some(wish), ("", &number)),
            Wish::Message => self.ask(now, "MESSAGE", Some(wish), ("", &number)),
            Wish::Transfer(callee) => self.refer(now, wish, callee, ""),
            Wish::Join => match self.companion.clone() {
                Some(replaces) => {
                    self.refer(now, wish, "390612345", &format!("?Replaces={replaces}"));
                }
                None => self.again = Some((now + T2, wish)),
            },
            Wish::Press(keys) => {
                self.witness.note(wish.granted());
                self.keypad.press(now, keys);
            }
            Wish::HangUp => {
                self.witness.note(wish.granted());
                self.bye(now);
            }
        }
    }

    fn refer(&mut self, now: Duration, wish: Wish, callee: &str, replaces: &str) {
        let line = format!("Refer-To: <sip:{callee}@{}{replaces}>\r\n", self.ends.far);
        self.ask(now, "REFER", Some(wish), (&line, ""));
        self.referred.push(Referred { cseq: self.cseq, wish, is_told: false });
    }

    /// How a Replaces in a Refer-To names this dialog (RFC 3891 §3).
    pub(super) fn replaces(&self) -> String {
        let tag = |value: &str| value.split("tag=").nth(1).unwrap_or_default().to_owned();
        let Ends { call_id, local, remote, .. } = &self.ends;
        let (call_id, to, from) = (call_id.replace('@', "%40"), tag(remote), tag(local));
        format!("{call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}")
    }

    /// Words that nobody else says, and nobody twice.
    fn words_said(&self) -> String {
        // Who speaks, in a spelling that tells nobody where he is.
        let speaker = match self.media.ip() {
            IpAddr::V4(host) => u64::from(host.to_bits()) << 16 | u64::from(self.media.port()),
            IpAddr::V6(_) => self.media.port().into(),
        };
        format!("word {} of {speaker}", self.cseq)
    }

    fn again(&mut self, now: Duration, wish: Wish, wait: Duration) {
        self.session.wait(now + wait);
        if wish != Wish::Refresh {
            self.again = Some((now + wait, wish));
        }
    }

    /// A response to a request of this dialog.
    pub(super) fn take_response(&mut self, now: Duration, code: u16, text: &str) -> Vec<Letter> {
        let (number, method) = cseq(text);
        let place = self.asked.iter().position(|it| it.cseq == number && it.method == method);
        if code < 200 {
            // RFC 3261 §17.1.1.2: a provisional stops the repetitions.
            if let Some(asked) = place.and_then(|place| self.asked.get_mut(place))
                && method == "INVITE"
            {
                asked.pending.wait_until(now + PATIENCE);
            }
            return Vec::new();
        }
        let to = header(text, "To").unwrap_or_default();
        self.witness.note_final(branch(text), code, to);
        let mut out = Vec::new();
        if method == "INVITE" {
            out.extend(self.acknowledge(number, code, text));
        }
        let Some(asked) = place.map(|place| self.asked.remove(place)) else { return out };
        if self.stage == Stage::Ending && method == "BYE" {
            self.was_unknown = code == 481;
            self.end();
        }
        if let Some(wish) = asked.wish.filter(|_| self.is_open()) {
            self.take_final(now, wish, code, text);
        }
        // A PRACK may come too late for its call, and for nothing else.
        if method == "PRACK" && !matches!(code, 200 | 481) {
            self.witness.doubt(format!("{} had a PRACK refused: {code}", self.ends.call_id));
        }
        out
    }

    fn acknowledge(&mut self, number: u32, code: u16, text: &str) -> Option<Letter> {
        if let Some(known) = self.acks.get(&number) {
            return Some(self.letter(known.clone()));
        }
        let asks = |asked: &&Asked| asked.cseq == number && asked.wish == Some(Wish::Ask);
        let is_asked = code < 300 && self.asked.iter().any(|asked| asks(&asked));
        let answer = if is_asked { self.describe("sendrecv", true) } else { String::new() };
        let branch = if code < 300 { format!("{number}ACK") } else { format!("{number}INVITE") };
        if code < 300 && header(text, "Contact").is_some() {
            self.ends.target = uri(header(text, "Contact")?).to_owned();
        }
        let ack = self.request("ACK", number, &branch, "", &answer);
        self.acks.insert(number, ack.clone());
        Some(self.letter(ack))
    }

    fn take_final(&mut self, now: Duration, wish: Wish, code: u16, text: &str) {
        let own_wait = 2_100 + (u64::from(self.cseq) * 337 + self.manners.pace_ms) % 1_900;
        match code {
            200..300 => {
                self.witness.note(wish.granted());
                self.remote_media = media_of(text).or(self.remote_media);
                let says_words = matches!(wish, Wish::Info | Wish::Message);
                let is_settled = !says_words && !wish.is_transfer();
                if is_settled {
                    self.session.heed(now, text);
                }
            }
            408 | 481 => self.bye(now),
            422 if self.session.heed_refusal(text) => self.again(now, wish, Duration::ZERO),
            491 => {
                self.witness.note("offers met (491)");
                let ms = if self.ends.owns_call_id { own_wait } else { own_wait % 2_000 };
                self.again(now, wish, Duration::from_millis(ms));
            }
            500 if header(text, "Retry-After").is_some() => {
                self.witness.note("offer came too early (500)");
                let after = header(text, "Retry-After").and_then(|text| text.parse().ok());
                self.again(now, wish, Duration::from_secs(after.unwrap_or(1)));
            }
            405 | 501 if wish == Wish::Refresh => {
                self.session.updates = false;
                self.session.wait(now);
            }
            _ if wish == Wish::Refresh => self.session.wait(now + T2),
            // An UPDATE that became a re-INVITE, about which somebody thinks too long.
            504 if wish == Wish::Update => self.witness.note("UPDATE took too long (504)"),
            503 if wish.is_transfer() => self.witness.note("no room for a transfer (503)"),
            // Somebody may not like it, or may have heard of a later one; nobody may be unable to say so.
            501.. => {
                self.witness.note("wish failed (5xx)");
                let call_id = &self.ends.call_id;
                self.witness.doubt(format!("{call_id} wished {wish:?} and was told {code}"));
            }
            _ => {}
        }
    }
}

/// What tells a request from others.
fn key(request: &str) -> String {
    format!("{} {}", method(request), branch(request))
}

/// Whether a provisional response wants a PRACK.
pub(super) fn reliable(response: &str) -> Option<u32> {
    let number = header(response, "RSeq")?.parse().ok();
    number.filter(|_| lists(response, "Require", "100rel"))
}
