//! Many calls whose every RTP packet is checked: what no foreign load tool does.
//!
//! `phones answer --listen 10.10.2.1:5060 [--media-port 6000] [--rings] --seconds 60` answers each
//! INVITE and echoes its audio; with `--rings` it never gets to the answer. `phones call --from
//! 10.10.1.1:5070 --to 10.10.1.2:5060 --calls 500 --seconds 20 --callee 441130` makes the calls, sends
//! 50 packets a second in each, compares what comes back octet by octet, hangs up, and prints one
//! JSON object. With `--lose 3` three of each hundred packets are never sent. With `--brief` calls are silent and hung
//! up as soon as they are answered, so that their number alone is the load; with `--silent` they last, and somebody
//! else may send their audio. Of each call that is up, `--media FILE` gets a line: who is called, where its audio
//! comes from, and where it goes. Both stop by themselves.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

/// RFC 3261 §17.1.2.2: how long a request waits before it is repeated, at first and at most.
const T1: Duration = Duration::from_millis(500);
const PTIME: Duration = Duration::from_millis(20);
const PAYLOAD_BYTES: usize = 160;
const RTP_BYTES: usize = 12;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn address(name: &str) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    Ok(argument(name).ok_or_else(|| format!("{name} ADDRESS:PORT is missing"))?.parse()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("answer") => answer(),
        Some("call") => call(),
        _ => Err("phones answer … | phones call …; the file head says how".into()),
    }
}

/// The value of the first header with this name; our own peers write long names only.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn uri_of(value: &str) -> &str {
    value.split('<').nth(1).and_then(|rest| rest.split('>').next()).unwrap_or(value)
}

/// Where the far end wants its audio.
fn media_of(message: &str) -> Option<SocketAddr> {
    let ip = message.split("\r\n").find_map(|line| line.strip_prefix("c="))?.split(' ').nth(2)?;
    let port = message.split("\r\n").find_map(|line| line.strip_prefix("m=audio "))?;
    Some(SocketAddr::new(ip.parse().ok()?, port.split(' ').next()?.parse().ok()?))
}

fn sdp(media: SocketAddr) -> String {
    let family = if media.is_ipv4() { 4 } else { 6 };
    let (ip, port) = (media.ip(), media.port());
    format!(
        "v=0\r\no=phones 1 1 IN IP{family} {ip}\r\ns=-\r\nc=IN IP{family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}

/// The file that tells of audio, if somebody wants to know.
struct MediaFile(Option<File>);

impl MediaFile {
    fn open() -> std::io::Result<Self> {
        argument("--media").map(File::create).transpose().map(Self)
    }

    fn tell(
        &mut self,
        callee: &str,
        own: SocketAddr,
        far: Option<SocketAddr>,
    ) -> std::io::Result<()> {
        match (&mut self.0, far) {
            (Some(file), Some(far)) => writeln!(file, "{callee} {own} {far}"),
            _ => Ok(()),
        }
    }
}

/// Room for a second of five hundred calls: what this tool itself is late for must not count as lost.
fn deepen(socket: &UdpSocket) -> Result<(), Box<dyn std::error::Error>> {
    Ok(setsockopt(socket, sockopt::RcvBufForce, &(16 << 20))?)
}

fn answer() -> Result<(), Box<dyn std::error::Error>> {
    let listen = address("--listen")?;
    let rings = std::env::args().any(|argument| argument == "--rings");
    let media = SocketAddr::new(listen.ip(), number("--media-port", 6000) as u16);
    let until = Instant::now() + Duration::from_secs(number("--seconds", 60));
    let signalling = UdpSocket::bind(listen)?;
    signalling.set_read_timeout(Some(Duration::from_millis(100)))?;
    let echo = UdpSocket::bind(media)?;
    deepen(&echo)?;
    echo.set_read_timeout(Some(Duration::from_millis(100)))?;
    let echoing = std::thread::spawn(move || {
        let (mut buffer, mut echoed) = ([0; 2048], 0u64);
        while Instant::now() < until {
            if let Ok((length, from)) = echo.recv_from(&mut buffer) {
                let _ = echo.send_to(buffer.get(..length).unwrap_or_default(), from);
                echoed += 1;
            }
        }
        echoed
    });
    let mut buffer = [0; 8192];
    let mut calls = 0;
    let mut told = MediaFile::open()?;
    while Instant::now() < until {
        let Ok((length, from)) = signalling.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let reply = |status: &str, tag: &str, body: &str| {
            let vias: String = text
                .split("\r\n")
                .filter(|line| line.to_ascii_lowercase().starts_with("via:"))
                .map(|line| format!("{line}\r\n"))
                .collect();
            let [from, to, call_id, cseq] =
                ["From", "To", "Call-ID", "CSeq"].map(|name| header(&text, name).unwrap_or(""));
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "SIP/2.0 {status}\r\n{vias}From: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {cseq}\r\nContact: <sip:{listen}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        if text.starts_with("INVITE ") {
            let fresh = !header(&text, "To").unwrap_or("").contains("tag=");
            calls += u64::from(fresh);
            if fresh {
                let callee = text.split(['@', ';', '>']).next().unwrap_or_default();
                let callee = callee.rsplit(':').next().unwrap_or_default();
                told.tell(callee, media, media_of(&text))?;
            }
            let tag = if fresh { ";tag=phones" } else { "" };
            signalling.send_to(reply("180 Ringing", tag, "").as_bytes(), from)?;
            if !rings {
                signalling.send_to(reply("200 OK", tag, &sdp(media)).as_bytes(), from)?;
            }
        } else if text.starts_with("BYE ") || text.starts_with("OPTIONS ") {
            signalling.send_to(reply("200 OK", "", "").as_bytes(), from)?;
        }
    }
    println!("{{\"invites\":{calls},\"echoed\":{}}}", echoing.join().unwrap_or(0));
    Ok(())
}

/// One call of the load.
struct Call {
    id: String,
    media: UdpSocket,
    remote: Option<SocketAddr>,
    /// To header and Contact URI of the 200, for ACK and BYE.
    dialog: Option<(String, String)>,
    sent: u32,
    received: u32,
    /// Back, but not as it was sent.
    changed: u32,
    ended: bool,
    invited: Instant,
    /// When the INVITE, or a brief call's BYE, is repeated, and so long after that again; `None` once
    /// anything answered.
    again: Option<(Instant, Duration)>,
    setup: Option<Duration>,
}

/// A payload that no other packet of any call has.
fn packet(call: usize, sequence: u32) -> [u8; RTP_BYTES + PAYLOAD_BYTES] {
    let mut bytes = [0; RTP_BYTES + PAYLOAD_BYTES];
    bytes[..2].copy_from_slice(&[0x80, 8]);
    bytes[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
    bytes[4..8].copy_from_slice(&(sequence * 160).to_be_bytes());
    bytes[8..12].copy_from_slice(&(call as u32 + 0x1000).to_be_bytes());
    let mut state =
        (call as u32).wrapping_mul(0x9E37_79B9) ^ sequence.wrapping_mul(0x85EB_CA6B) | 1;
    for byte in &mut bytes[RTP_BYTES..] {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = state as u8;
    }
    bytes
}

fn call() -> Result<(), Box<dyn std::error::Error>> {
    let (from, to) = (address("--from")?, address("--to")?);
    let calls_wanted = number("--calls", 500) as usize;
    let per_second = number("--per-second", 50).max(1);
    let talk = Duration::from_secs(number("--seconds", 20));
    let callee = argument("--callee").unwrap_or_else(|| "441130".into());
    let hang_up = argument("--hang-up").as_deref() != Some("no");
    let [brief, silent] =
        ["--brief", "--silent"].map(|word| std::env::args().any(|argument| argument == word));
    let mut told = MediaFile::open()?;
    // Of all that send nothing.
    let socket = UdpSocket::bind((from.ip(), 0))?;
    let lose = number("--lose", 0);
    // So many of each hundred, far from each other, and neither the first nor the last.
    let is_lost = |sequence: u32| (u64::from(sequence) * 37 + 50) % 100 < lose;
    let signalling = UdpSocket::bind(from)?;
    deepen(&signalling)?;
    signalling.set_nonblocking(true)?;
    let request = |method: &str,
                   call: &Call,
                   number: usize,
                   cseq: u32,
                   attempt: u32,
                   body: &str| {
        let (to_header, target) = call.dialog.clone().unwrap_or((
            format!("<sip:{callee}{number:04}@{to}>"),
            format!("sip:{callee}{number:04}@{to}"),
        ));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{}-{method}{attempt};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:39061234@{from}>;tag=t{number}\r\nTo: {to_header}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {}\r\nContact: <sip:39061234@{from}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            call.id,
            call.id,
            method,
            body.len()
        )
    };
    let mut calls: Vec<Call> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let mut failed: HashMap<String, u32> = HashMap::new();
    let started = Instant::now();
    let setup_time = Duration::from_secs(calls_wanted as u64 / per_second);
    let talk_end = started + setup_time + talk;
    let give_up = talk_end + Duration::from_secs(6);
    let mut next_tick = started;
    let mut hang_up_due = talk_end + Duration::from_millis(500);
    let mut hang_up_interval = T1;
    let mut buffer = [0; 8192];
    while Instant::now() < give_up {
        let now = Instant::now();
        // New calls at their pace.
        let due = ((now - started).as_secs_f64() * per_second as f64) as usize + 1;
        while calls.len() < calls_wanted.min(due) {
            let number = calls.len();
            let media = if brief || silent {
                socket.try_clone()?
            } else {
                UdpSocket::bind((from.ip(), 0))?
            };
            media.set_nonblocking(true)?;
            let local = media.local_addr()?;
            let id = format!("phones-{}-{number}", std::process::id());
            by_id.insert(id.clone(), number);
            let call = Call {
                id,
                media,
                remote: None,
                dialog: None,
                sent: 0,
                received: 0,
                changed: 0,
                ended: false,
                invited: now,
                again: Some((now + T1, T1 * 2)),
                setup: None,
            };
            signalling
                .send_to(request("INVITE", &call, number, 1, 0, &sdp(local)).as_bytes(), to)?;
            calls.push(call);
        }
        // RFC 3261 §17.1.1.2 and §17.1.2.2: what nothing answered is sent again.
        for (number, call) in calls.iter_mut().enumerate() {
            if let Some((due, interval)) = call.again
                && now >= due
            {
                call.again = Some((now + interval, interval * 2));
                let again = if call.dialog.is_some() {
                    request("BYE", call, number, 2, 2, "")
                } else {
                    request("INVITE", call, number, 1, 0, &sdp(call.media.local_addr()?))
                };
                signalling.send_to(again.as_bytes(), to)?;
            }
        }
        // Answers.
        while let Ok((length, _)) = signalling.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let Some(&number) = header(&text, "Call-ID").and_then(|id| by_id.get(id)) else {
                continue;
            };
            let status = text.split(' ').nth(1).unwrap_or("").to_string();
            let cseq = header(&text, "CSeq").unwrap_or("");
            let Some(call) = calls.get_mut(number) else { continue };
            call.again = None;
            if text.starts_with("BYE ") {
                let vias = header(&text, "Via").unwrap_or("");
                let [f, t, i, c] =
                    ["From", "To", "Call-ID", "CSeq"].map(|name| header(&text, name).unwrap_or(""));
                let reply = format!(
                    "SIP/2.0 200 OK\r\nVia: {vias}\r\nFrom: {f}\r\nTo: {t}\r\nCall-ID: {i}\r\nCSeq: {c}\r\nContent-Length: 0\r\n\r\n"
                );
                signalling.send_to(reply.as_bytes(), to)?;
                call.ended = true;
            } else if cseq.ends_with("INVITE") && status.starts_with('2') {
                call.dialog = Some((
                    header(&text, "To").unwrap_or("").to_string(),
                    uri_of(header(&text, "Contact").unwrap_or("")).to_string(),
                ));
                if call.setup.is_none() {
                    call.setup = Some(now - call.invited);
                    let dialled = format!("{callee}{number:04}");
                    told.tell(&dialled, call.media.local_addr()?, media_of(&text))?;
                }
                signalling.send_to(request("ACK", call, number, 1, 1, "").as_bytes(), to)?;
                if brief {
                    call.again = Some((now + T1, T1 * 2));
                    signalling.send_to(request("BYE", call, number, 2, 2, "").as_bytes(), to)?;
                } else if !silent {
                    call.remote = media_of(&text);
                }
            } else if cseq.ends_with("INVITE") && status.as_str() >= "300" {
                *failed.entry(status).or_default() += 1;
                signalling.send_to(request("ACK", call, number, 1, 0, "").as_bytes(), to)?;
                call.ended = true;
            } else if cseq.ends_with("BYE") {
                call.ended = true;
            }
        }
        // Audio: one packet per call and tick, then all that came back.
        if now >= next_tick {
            next_tick += PTIME;
            for (number, call) in calls.iter_mut().enumerate() {
                if let (Some(remote), true, false) = (call.remote, now < talk_end, call.ended)
                    && (is_lost(call.sent)
                        || call.media.send_to(&packet(number, call.sent), remote).is_ok())
                {
                    call.sent += 1;
                }
            }
        }
        for (number, call) in calls.iter_mut().enumerate().filter(|_| !brief && !silent) {
            while let Ok((length, _)) = call.media.recv_from(&mut buffer) {
                let got = &buffer[..length];
                let sequence = got.get(2..4).map_or(0, |b| u32::from(b[0]) << 8 | u32::from(b[1]));
                call.received += 1;
                call.changed += u32::from(got != packet(number, sequence));
            }
        }
        // The last packets are on their way back for a moment; then BYE, repeated until answered.
        if hang_up && !brief && now >= hang_up_due {
            hang_up_due = now + hang_up_interval;
            hang_up_interval *= 2;
            let talking = |call: &Call| call.dialog.is_some() && !call.ended;
            for (number, call) in calls.iter().enumerate().filter(|(_, call)| talking(call)) {
                signalling.send_to(request("BYE", call, number, 2, 2, "").as_bytes(), to)?;
            }
        }
        if calls.len() == calls_wanted && calls.iter().all(|call| call.ended) {
            break;
        }
        if !hang_up && now > talk_end + Duration::from_millis(500) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let answered = calls.iter().filter(|call| call.dialog.is_some()).count();
    let ended = calls.iter().filter(|call| call.ended).count();
    let sent: u64 = calls.iter().map(|call| u64::from(call.sent)).sum();
    let received: u64 = calls.iter().map(|call| u64::from(call.received)).sum();
    let changed: u64 = calls.iter().map(|call| u64::from(call.changed)).sum();
    let mut setups: Vec<_> = calls.iter().filter_map(|call| call.setup).collect();
    setups.sort();
    let setup = |share: f64| {
        setups.get((setups.len() as f64 * share) as usize).map_or(0.0, |d| d.as_secs_f64() * 1e3)
    };
    println!(
        "{{\"calls\":{},\"answered\":{answered},\"ended\":{ended},\"failed\":{},\"sent\":{sent},\"received\":{received},\
         \"changed\":{changed},\"setup_ms_p50\":{:.1},\"setup_ms_p99\":{:.1}}}",
        calls.len(),
        serde_json::to_string(&failed)?,
        setup(0.5),
        setup(0.99)
    );
    Ok(())
}
