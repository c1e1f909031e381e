//! What both simulated peers know of SIP: an independent, plain-text reading of RFC 3261.
//!
//! They share no code with the product: text in, text out, own timers. What they see is the evidence
//! for the [invariants](super::invariants).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::keypad::is_signal;

/// RFC 3261 §17.1.1.1.
pub(super) const T1: Duration = Duration::from_millis(500);
/// The longest interval between repetitions of anything but an INVITE.
pub(super) const T2: Duration = Duration::from_secs(4);
/// When a request that nothing answered is given up: 64 × T1.
pub(super) const TIMER_B: Duration = Duration::from_secs(32);
/// How often a peer sends one packet of audio; sparse, for the sake of virtual hours.
pub(super) const PTIME: Duration = Duration::from_secs(1);
/// A peer that hears nothing for so long hangs up: what it talks to is gone.
pub(super) const SILENCE: Duration = Duration::from_secs(45);

const RTP_HEADER_BYTES: usize = 12;

/// The value of the first header with this name (long names only; our switch writes those).
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    headers(message, name).next()
}

/// The values of all headers with this name, each in a line of its own.
pub(super) fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.split("\r\n").skip(1).filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Whether a list header names this word.
pub(super) fn lists(message: &str, name: &str, word: &str) -> bool {
    headers(message, name)
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// The number and the method of CSeq.
pub(super) fn cseq(message: &str) -> (u32, &str) {
    let value = header(message, "CSeq").unwrap_or_default();
    let (number, method) = value.split_once(' ').unwrap_or_default();
    (number.parse().unwrap_or(0), method)
}

/// The branch of the top Via.
pub(super) fn branch(message: &str) -> &str {
    let via = header(message, "Via").unwrap_or_default();
    let rest = via.split("branch=").nth(1).unwrap_or_default();
    rest.split([';', ',']).next().unwrap_or_default()
}

/// What follows the head.
pub(super) fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The status of a response; `None`: a request.
pub(super) fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

pub(super) fn method(message: &str) -> &str {
    message.split(' ').next().unwrap_or_default()
}

/// The URI of a name-addr.
pub(super) fn uri(value: &str) -> &str {
    value.split('<').nth(1).and_then(|rest| rest.split('>').next()).unwrap_or(value)
}

/// The sequence numbers of the requests that one dialog brought, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    branches: BTreeMap<u32, String>,
    /// How often a number came with another request: each has its own (RFC 3261 §12.2.1.1).
    pub(super) reused: u32,
}

impl Numbers {
    /// Notes a request. ACK and CANCEL have the number of their INVITE.
    pub(super) fn note(&mut self, request: &str) {
        let ((number, _), branch) = (cseq(request), branch(request));
        if !matches!(method(request), "ACK" | "CANCEL") {
            let first = self.branches.entry(number).or_insert(branch.to_owned());
            self.reused += u32::from(first != branch);
        }
    }
}

/// A body with one audio stream, and perhaps keys in it.
pub(super) fn sdp(address: SocketAddr, version: u32, direction: &str, has_keys: bool) -> String {
    let (ip, port) = (address.ip(), address.port());
    let keys = if has_keys { " 101\r\na=rtpmap:101 telephone-event/8000" } else { "" };
    format!(
        "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8{keys}\r\na={direction}\r\n"
    )
}

/// Where a message's body wants audio.
pub(super) fn media_of(message: &str) -> Option<SocketAddr> {
    let body = message.split_once("\r\n\r\n")?.1;
    let line = |start| body.lines().find_map(|line: &str| line.strip_prefix(start));
    let ip = line("c=IN IP4 ")?.trim().parse().ok()?;
    let port: u16 = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    (port != 0).then_some(SocketAddr::new(ip, port))
}

/// Head and body, with the lines that belong to the body.
pub(super) fn with_body(head: &str, body: &str) -> String {
    let kind = match body {
        "" => "",
        body if body.starts_with("v=0") => "Content-Type: application/sdp\r\n",
        body if is_signal(body) => "Content-Type: application/dtmf-relay\r\n",
        _ => "Content-Type: text/plain\r\n",
    };
    format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A response built from the request it answers.
pub(super) fn response(
    request: &str,
    code: u16,
    tag: &str,
    contact: &str,
    (lines, body): (&str, &str),
) -> String {
    let vias: String = request
        .split("\r\n")
        .take_while(|line| !line.is_empty())
        .filter(|line| line.to_ascii_lowercase().starts_with("via:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let [from, to, call_id, cseq] =
        ["From", "To", "Call-ID", "CSeq"].map(|name| header(request, name).unwrap_or_default());
    let tag = if to.contains("tag=") { String::new() } else { format!(";tag={tag}") };
    let head = format!(
        "SIP/2.0 {code} -\r\n{vias}From: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq}\r\nContact: <{contact}>\r\n{lines}"
    );
    with_body(&head, body)
}

/// One packet of audio that says which call it belongs to, and where it stands in it.
pub(super) fn audio(call: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend((0x1000 + call).to_be_bytes());
    packet.extend(call.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet
}

/// What belongs to no call: somebody speaks because he hears nobody.
pub(super) const HELLO: u32 = 1 << 24;

/// A packet of [`audio`], as it comes back from whoever heard it.
pub(super) fn echo_of(packet: &[u8]) -> Vec<u8> {
    [packet, &[0]].concat()
}

/// Whether a packet comes from its speaker, and not back from a listener.
pub(super) fn is_spoken(packet: &[u8]) -> bool {
    packet.len() == audio(HELLO, 0).len() && call_of(packet) != Some(HELLO)
}

/// Whether a packet is no word of anybody, but a tone: those of simulated peers are short.
pub(super) fn is_tone(packet: &[u8]) -> bool {
    packet.len() > 100
}

/// The call that a packet of [`audio`] belongs to.
pub(super) fn call_of(packet: &[u8]) -> Option<u32> {
    let word = packet.get(RTP_HEADER_BYTES..RTP_HEADER_BYTES + 4)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// A message that is repeated until something stops it.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) message: String,
    next: Duration,
    interval: Duration,
    cap: Duration,
    give_up: Duration,
}

impl Pending {
    /// Due at once, then after T1, doubling up to `cap`.
    pub(super) fn new(now: Duration, message: String, cap: Duration) -> Self {
        Self { message, next: now, interval: T1 / 2, cap, give_up: now + TIMER_B }
    }

    /// Said once: whoever carries it loses nothing (RFC 3261 §17.1.1.2).
    pub(super) fn once(now: Duration, message: String) -> Self {
        Self { interval: TIMER_B * 2, cap: TIMER_B * 2, ..Self::new(now, message, TIMER_B) }
    }

    /// Not repeated any more, and not given up.
    pub(super) fn stop(&mut self) {
        (self.next, self.give_up) = (Duration::MAX, Duration::MAX);
    }

    /// Not repeated any more, and given up later.
    pub(super) fn wait_until(&mut self, give_up: Duration) {
        (self.next, self.give_up) = (Duration::MAX, give_up);
    }

    /// Not repeated any more, but still given up in its time.
    pub(super) fn hush(&mut self) {
        self.next = Duration::MAX;
    }

    /// When it wants something next.
    pub(super) fn due(&self) -> Option<Duration> {
        let due = self.next.min(self.give_up);
        (due < Duration::MAX).then_some(due)
    }

    /// The message, if it is due; `Err`: nobody will ever answer it.
    pub(super) fn again(&mut self, now: Duration) -> Result<Option<String>, ()> {
        if now >= self.give_up {
            self.stop();
            return Err(());
        }
        if now < self.next {
            return Ok(None);
        }
        self.interval = (self.interval * 2).min(self.cap);
        self.next = now + self.interval;
        Ok(Some(self.message.clone()))
    }
}
