//! A vendor's switch: takes calls, rings, answers or refuses, echoes audio, hangs up.

use std::net::SocketAddr;
use std::time::Duration;

use super::network::Letter;
use super::peer::{
    Numbers, Pending, SILENCE, T2, header, media_of, method, response, sdp, status, uri, with_body,
};

/// Sequence numbers of its own requests in a dialog.
const OFFER_CSEQ: u32 = 1;
const BYE_CSEQ: u32 = 2;

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
    /// It offers anew, if ever.
    pub offers: Option<Duration>,
    /// It rings with a description: early media.
    pub early_media: bool,
    /// It rings at two places, each with a tag of its own, and one of them answers.
    pub forks: bool,
}

/// What a vendor does with the calls it gets.
#[derive(Clone, Copy, Debug)]
pub enum Temper {
    /// It answers.
    Answers(Answers),
    /// Refuses with this status after a while.
    Refuses(u16, Duration),
    /// Rings for ever.
    Rings,
    /// Never says anything.
    Silent,
}

/// One call at a vendor.
#[derive(Debug)]
struct Taken {
    call_id: String,
    invite: String,
    from: SocketAddr,
    media: SocketAddr,
    /// Where the other side wants audio.
    remote_media: Option<SocketAddr>,
    started: Duration,
    heard: Duration,
    tag: String,
    rang: bool,
    final_sent: Option<Pending>,
    answered: Option<Duration>,
    acknowledged: bool,
    cancelled: bool,
    bye: Option<Pending>,
    offer: Option<Pending>,
    over: bool,
    numbers: Numbers,
}

/// A vendor's switch.
#[derive(Debug)]
pub struct Vendor {
    /// Where it is.
    pub address: SocketAddr,
    /// What it does with calls.
    pub temper: Temper,
    calls: Vec<Taken>,
    /// INVITEs that opened a call.
    pub invites: u32,
    /// Calls it answered whose 2xx was acknowledged.
    pub confirmed: u32,
    /// Offers of its own that were accepted.
    pub offers_accepted: u32,
    /// Calls that ended because nothing was heard any more.
    pub deserted: u32,
    /// Requests in a dialog whose number another one had before.
    pub numbers_reused: u32,
}

impl Vendor {
    /// An idle vendor.
    #[must_use]
    pub fn new(address: SocketAddr, temper: Temper) -> Self {
        let calls = Vec::new();
        Self {
            address,
            temper,
            calls,
            invites: 0,
            confirmed: 0,
            offers_accepted: 0,
            deserted: 0,
            numbers_reused: 0,
        }
    }

    /// Calls it believes to be up, or on their way.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.calls.iter().filter(|call| !call.over).count()
    }

    /// When it wants to act next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.calls.iter().filter_map(|call| call.due(self.temper)).min()
    }

    /// What it sends because time has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Letter> {
        let mut out = Vec::new();
        for call in &mut self.calls {
            let silent = call.answered.is_some() && call.bye.is_none() && !call.over;
            self.deserted += u32::from(silent && call.heard + SILENCE <= now);
            let texts = call.act(now, self.temper, self.address);
            out.extend(texts.into_iter().map(|text| letter(self.address, call.from, text)));
        }
        out
    }

    /// What it answers to a datagram.
    pub fn handle(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        if letter.to.port() != self.address.port() {
            return self.echo(now, letter);
        }
        let (from, address) = (letter.from, self.address);
        let text = String::from_utf8_lossy(&letter.bytes).into_owned();
        let call_id = header(&text, "Call-ID").unwrap_or_default();
        let place = self.calls.iter().position(|call| call.call_id == call_id);
        if let Some(code) = status(&text) {
            let Some(call) = place.and_then(|place| self.calls.get_mut(place)) else {
                return Vec::new();
            };
            let cseq = header(&text, "CSeq").unwrap_or_default();
            if code >= 200 && cseq.ends_with("BYE") {
                (call.bye, call.over) = (None, true);
            }
            if code >= 200 && cseq.ends_with("INVITE") {
                let first = call.offer.as_mut().is_some_and(|offer| offer.due().is_some());
                self.offers_accepted += u32::from(first && code < 300);
                call.offer.iter_mut().for_each(Pending::stop);
                return reply(address, from, &call.request(address, "ACK", OFFER_CSEQ, ""));
            }
            return Vec::new();
        }
        let opens = !header(&text, "To").unwrap_or_default().contains("tag=");
        let Some(call) = place.and_then(|place| self.calls.get_mut(place)) else {
            if method(&text) == "INVITE" && opens {
                self.invites += 1;
                let media = SocketAddr::new(address.ip(), MEDIA_PORT + self.calls.len() as u16 * 2);
                self.calls.push(Taken::new(now, call_id.to_owned(), text, from, media));
                return self.handle_timeout(now);
            }
            let code = match method(&text) {
                "ACK" => return Vec::new(),
                "OPTIONS" => 200,
                _ => 481,
            };
            return reply(address, from, &response(&text, code, "vendor", address, ""));
        };
        call.numbers.note(&text);
        self.numbers_reused += std::mem::take(&mut call.numbers.reused);
        let say = |call: &Taken, code, body: &str| {
            reply(address, from, &response(&text, code, &call.tag, address, body))
        };
        match method(&text) {
            "INVITE" if opens => {
                let again = call.final_sent.as_ref().map(|pending| pending.message.clone());
                again.map(|text| reply(address, from, &text)).unwrap_or_default()
            }
            "INVITE" if call.over => say(call, 481, ""),
            "INVITE" => {
                call.remote_media = media_of(&text).or(call.remote_media);
                let direction = if text.contains("a=sendonly") { "recvonly" } else { "sendrecv" };
                say(call, 200, &sdp(call.media, 2, direction))
            }
            "ACK" => {
                call.stop_answering();
                call.remote_media = media_of(&text).or(call.remote_media);
                self.confirmed += u32::from(call.answered.is_some() && !call.acknowledged);
                call.acknowledged = true;
                Vec::new()
            }
            "CANCEL" => {
                let mut out = say(call, 200, "");
                if call.final_sent.is_none() {
                    call.cancelled = true;
                    let texts = call.act(now, self.temper, address);
                    out.extend(texts.into_iter().flat_map(|text| reply(address, from, &text)));
                }
                out
            }
            "BYE" => {
                (call.bye, call.over) = (None, true);
                call.stop_answering();
                say(call, 200, "")
            }
            _ => say(call, 200, ""),
        }
    }

    /// Audio goes back to where the other side wants it.
    fn echo(&mut self, now: Duration, letter: &Letter) -> Vec<Letter> {
        let ours = |call: &&mut Taken| call.media == letter.to && !call.over;
        let Some(call) = self.calls.iter_mut().find(ours) else { return Vec::new() };
        call.heard = now;
        let Some(to) = call.remote_media else { return Vec::new() };
        vec![Letter { from: call.media, to, bytes: letter.bytes.clone() }]
    }
}

fn letter(from: SocketAddr, to: SocketAddr, text: String) -> Letter {
    Letter { from, to, bytes: text.into_bytes() }
}

fn reply(from: SocketAddr, to: SocketAddr, text: &str) -> Vec<Letter> {
    vec![letter(from, to, text.to_owned())]
}

impl Taken {
    fn new(
        now: Duration,
        call_id: String,
        invite: String,
        from: SocketAddr,
        media: SocketAddr,
    ) -> Self {
        let mut numbers = Numbers::default();
        numbers.note(&invite);
        Self {
            tag: format!("v{}", media.port()),
            remote_media: media_of(&invite),
            call_id,
            invite,
            from,
            media,
            started: now,
            heard: now,
            rang: false,
            final_sent: None,
            answered: None,
            acknowledged: false,
            cancelled: false,
            bye: None,
            offer: None,
            over: false,
            numbers,
        }
    }

    fn stop_answering(&mut self) {
        if let Some(pending) = &mut self.final_sent {
            pending.stop();
        }
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
            Temper::Rings => (Some(self.started), None),
            Temper::Silent => (None, None),
        }
    }

    fn hang_up_due(&self, temper: Temper) -> Option<Duration> {
        let answered = self.answered?;
        let planned = match temper {
            Temper::Answers(Answers { hangs_up: Some(after), .. }) if self.acknowledged => {
                answered + after
            }
            _ => Duration::MAX,
        };
        let due = planned.min(self.heard.max(answered) + SILENCE);
        (self.bye.is_none() && !self.over).then_some(due)
    }

    fn offer_due(&self, temper: Temper) -> Option<Duration> {
        let Temper::Answers(Answers { offers: Some(after), .. }) = temper else { return None };
        let may = self.acknowledged && self.offer.is_none() && self.bye.is_none() && !self.over;
        may.then_some(self.answered? + after)
    }

    /// What was neither answered nor cancelled is forgotten one day: its caller is gone.
    fn forget_due(&self) -> Option<Duration> {
        let open = self.final_sent.is_none() && !self.over;
        open.then_some(self.started + Duration::from_secs(180))
    }

    fn due(&self, temper: Temper) -> Option<Duration> {
        let (ring, last) = self.schedule(temper);
        let open = self.final_sent.is_none() && !self.over;
        let ring = ring.filter(|_| !self.rang && open);
        let last = last.map(|(due, _)| due).filter(|_| open);
        let repeats = [&self.final_sent, &self.bye, &self.offer];
        let repeats = repeats.into_iter().flatten().filter_map(Pending::due);
        let ends = self.hang_up_due(temper).into_iter().chain(self.forget_due());
        let ends = ends.chain(self.offer_due(temper));
        ring.into_iter().chain(last).chain(repeats).chain(ends).min()
    }

    fn act(&mut self, now: Duration, temper: Temper, address: SocketAddr) -> Vec<String> {
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let mut out = Vec::new();
        let (ring, last) = self.schedule(temper);
        let open = self.final_sent.is_none() && !self.over;
        if !self.rang && open && due(ring) {
            self.rang = true;
            out.extend(self.ring(temper, address));
        }
        if let Some((at, code)) = last
            && open
            && at <= now
        {
            let body = if code == 200 { sdp(self.media, 1, "sendrecv") } else { String::new() };
            let text = response(&self.invite, code, &self.tag, address, &body);
            self.final_sent = Some(Pending::new(now, text, T2));
            if code == 200 {
                (self.answered, self.heard) = (Some(now), now);
            } else {
                self.over = true;
            }
        }
        self.over |= due(self.forget_due());
        if due(self.hang_up_due(temper)) {
            self.bye = Some(Pending::new(now, self.request(address, "BYE", BYE_CSEQ, ""), T2));
            self.offer = None;
        }
        if due(self.offer_due(temper)) {
            let offer = sdp(self.media, 3, "sendrecv");
            self.offer =
                Some(Pending::new(now, self.request(address, "INVITE", OFFER_CSEQ, &offer), T2));
        }
        for slot in [&mut self.final_sent, &mut self.bye, &mut self.offer] {
            match slot.as_mut().map(|pending| pending.again(now)) {
                Some(Ok(text)) => out.extend(text),
                Some(Err(())) => self.over = true,
                None => {}
            }
        }
        out
    }

    fn ring(&self, temper: Temper, address: SocketAddr) -> Vec<String> {
        let mut out = Vec::new();
        if let Temper::Answers(answers) = temper
            && answers.forks
        {
            out.push(response(&self.invite, 180, &format!("{}-other", self.tag), address, ""));
        }
        out.push(match temper {
            Temper::Answers(answers) if answers.early_media => {
                let body = sdp(self.media, 1, "sendrecv");
                response(&self.invite, 183, &self.tag, address, &body)
            }
            _ => response(&self.invite, 180, &self.tag, address, ""),
        });
        out
    }

    /// A request of the dialog.
    fn request(&self, address: SocketAddr, method: &str, cseq: u32, body: &str) -> String {
        let [from, to, contact] =
            ["From", "To", "Contact"].map(|name| header(&self.invite, name).unwrap_or_default());
        let Self { call_id, tag, .. } = self;
        let head = format!(
            "{method} {} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bK{tag}{call_id}-{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag={tag}\r\nTo: {from}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{address}>\r\n",
            uri(contact)
        );
        with_body(&head, body)
    }
}
