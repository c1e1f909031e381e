//! One body per parser: whatever the bytes, it ends; what it accepts, it accepts again as it wrote it.

use b2bua::{Keys, shard_of};
use link::message::Message as _;
use link::{Down, Up};
use sip::digest::{Challenge, Credentials};
use sip::dtmf::Tone;
use sip::header::{self, Name};
use sip::sdp::{Edit, Rewrite};
use sip::{
    Fault, Frame, Framer, HEADERS_MAX, Message, NameAddr, Refusable, Sdp, StreamFault, Uri, sipfrag,
};

/// A message: every accessor ends, and a request that was refused can be answered or dropped.
pub fn sip(bytes: &[u8]) {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(fault) => {
            if let Some((request, status)) = Refusable::read(bytes, fault) {
                assert!((400..700).contains(&status));
                let _ = request.via();
            }
            return;
        }
    };
    assert!(message.request().is_some() != message.status().is_some());
    assert!(message.body().len() <= bytes.len());
    let _ = (message.via().unique_branch(), message.from().tag(), message.to().tag());
    let _ = (message.contacts().count(), message.routes().count(), message.record_routes().count());
    let _ = shard_of(message.call_id(), &Keys { shard: [1; 16], tag: [2; 16] });
    for header in message.headers() {
        let _ = message.list(header.name).count();
    }
    // What we copy, we can read: a writer that takes a value makes no other message of it.
    let mut room = vec![0; bytes.len() * 2 + 512];
    let mut writer = sip::Writer::new(&mut room);
    writer.respond(&message, 200, b"", ([192, 0, 2, 1], 5060).into(), b"tag");
    writer.no_body();
    if message.request().is_some()
        && let Some(length) = writer.finish()
    {
        let answer = match Message::parse(&room[..length]) {
            Ok(answer) => answer,
            // With our own lines beside what it repeats it may have more than we take ourselves.
            Err(Fault::HeadersTooMany) if message.headers().count() + OWN_LINES > HEADERS_MAX => {
                return;
            }
            Err(fault) => panic!("our answer is no message: {fault:?}"),
        };
        assert_eq!(answer.call_id(), message.call_id());
        assert_eq!(answer.cseq().number, message.cseq().number);
    }
}

/// Header lines of an answer beside those that it repeats.
const OWN_LINES: usize = 4;

/// A URI, and the number in it.
pub fn uri(bytes: &[u8]) {
    let Some(uri) = Uri::parse(bytes) else { return };
    assert_eq!(uri.as_bytes(), bytes);
    let _ = (uri.user(), uri.host().ip(), uri.port(), uri.headers(), uri.is_loose());
    let mut room = [0; 256];
    if let Some(user) = uri.user() {
        let _ = sip::uri::unescape_into(user, &mut room);
    }
}

/// A header value, as each header that might have it.
pub fn headers(bytes: &[u8]) {
    let Some((&which, value)) = bytes.split_first() else { return };
    let mut head = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
        .to_vec();
    let name = Name::ALL[usize::from(which) % Name::ALL.len()];
    head.extend(name.as_bytes());
    head.extend(b": ");
    head.extend(value);
    head.extend(b"\r\n\r\n");
    sip(&head);
    let _ = NameAddr::parse(value);
    let _ = header::Reason::parse(value);
    let _ = header::Diversion::parse(value);
    let _ = header::HistoryInfo::parse(value);
    let _ = header::Rack::parse(value);
    let _ = header::Replaces::parse(value);
    let _ = header::SessionExpires::parse(value);
    let _ = header::RemotePartyId::parse(value);
}

/// A description: rewritten, it is one again, with as many media, and no attribute or key of it has an
/// address but ours.
pub fn sdp(bytes: &[u8]) {
    let Ok(sdp) = Sdp::parse(bytes) else { return };
    for media in sdp.media() {
        let _ = (media.is_rtp(), media.is_held(), media.payload_types().count());
        let _ = (media.rtpmap(96), media.packet_ms(), media.attributes().count());
        keys(media);
    }
    let mut room = vec![0; bytes.len() * 2 + 512];
    let rewrite = Rewrite {
        origin: [192, 0, 2, 1].into(),
        address: [192, 0, 2, 1].into(),
        session: 1,
        version: 1,
        edits: &[10_000, 10_002].map(Edit::port),
        bypassed: false,
    };
    let Some(length) = sdp.rewrite(&rewrite, &mut room) else { return };
    let again = Sdp::parse(&room[..length]).expect("a rewritten description is one");
    assert!(again.media().iter().all(|media| media.cryptos().next().is_none()), "a key is told");
    assert_eq!(again.media().len(), sdp.media().len());
    for line in room[..length].split(|&byte| byte == b'\n') {
        let told = line.strip_prefix(b"a=").or(line.strip_prefix(b"k=")).unwrap_or_default();
        let words = told.split(|byte| !byte.is_ascii_hexdigit() && !b".:".contains(byte));
        for word in words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()) {
            let word: std::net::IpAddr = word;
            assert!(word == rewrite.address || word.is_unspecified(), "{word} is told");
        }
    }
}

/// The longest message of a stream, and the most line ends between two of them.
const STREAM: (usize, usize) = (1_024, 64);

/// What a stream that comes in these pieces is taken for, and why it ends, if it does.
fn cut<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<(Frame, Vec<u8>)>, Option<StreamFault>) {
    let mut framer = Framer::new(STREAM.0, STREAM.1);
    let (mut at_hand, mut found) = (Vec::new(), Vec::new());
    for piece in pieces {
        at_hand.extend_from_slice(piece);
        loop {
            match framer.poll(&at_hand) {
                Ok(Some(frame)) => {
                    assert!(frame.bytes() > 0, "a frame takes nothing");
                    found.push((frame, at_hand.drain(..frame.bytes()).collect()));
                }
                Ok(None) => break,
                Err(fault) => {
                    let head = framer.refused_head(&at_hand);
                    assert!(head.is_none_or(|head| at_hand.starts_with(head)));
                    return (found, Some(fault));
                }
            }
        }
    }
    (found, None)
}

/// A stream: wherever it is cut, it has the same messages and the same end.
pub fn stream(bytes: &[u8]) {
    let whole = cut(core::iter::once(bytes));
    assert_eq!(cut(bytes.chunks(1)), whole, "cut at every byte");
    assert_eq!(cut(bytes.chunks(7)), whole, "cut at every seventh");
    let halves = bytes.split_at(bytes.len() / 2);
    assert_eq!(cut([halves.0, halves.1].into_iter()), whole, "cut in the middle");
}

/// Bodies of INFO and NOTIFY: what is read, is read again as we write it.
pub fn bodies(bytes: &[u8]) {
    let mut room = [0; 64];
    for tone in [Tone::parse_relay(bytes), Tone::parse_bare(bytes)].into_iter().flatten() {
        let length = tone.write_relay(&mut room).expect("a key is short");
        assert_eq!(Tone::parse_relay(&room[..length]), Some(tone));
        let length = tone.write_bare(&mut room).expect("a key is a letter");
        let bare = Tone { duration_ms: None, ..tone };
        assert_eq!(Tone::parse_bare(&room[..length]), Some(bare));
    }
    if let Some(status) = sipfrag::status(bytes) {
        let length = sipfrag::write_status(status, b"", &mut room).expect("a phrase is short");
        assert_eq!(sipfrag::status(&room[..length]), Some(status));
    }
    let mut room = vec![0; bytes.len() + 32];
    if let Some(length) = sipfrag::write_status(200, bytes, &mut room) {
        assert_eq!(sipfrag::status(&room[..length]), Some(200));
        assert_eq!(room[..length].iter().filter(|&&byte| byte == b'\n').count(), 1);
    }
}

/// Credentials and challenges.
pub fn digest(bytes: &[u8]) {
    if let Ok(credentials) = Credentials::parse(bytes) {
        let _ = credentials.count();
    }
    let _ = Challenge::parse(bytes);
}

/// A frame from the wire, and its payload as RTP.
pub fn packet(bytes: &[u8]) {
    if let Ok(datagram) = wire::datagram::parse(bytes) {
        let payload = datagram.payload(bytes);
        assert!(payload.len() <= bytes.len());
        let _ = (wire::rtp::parse(payload), wire::rtp::is_rtcp(payload));
        rtcp(payload);
    }
    let _ = (wire::rtp::parse(bytes), wire::rtp::is_rtcp(bytes));
    rtcp(bytes);
}

/// Reports lie within their datagram: no more blocks than it has room for.
fn rtcp(bytes: &[u8]) {
    let blocks: usize = wire::rtcp::reports(bytes).map(|report| report.blocks().count()).sum();
    assert!(blocks * 24 <= bytes.len());
    assert!(wire::rtcp::reports(bytes).count() * 8 <= bytes.len());
}

/// Keys of a medium are the same when they are written and read again.
fn keys(media: &sip::sdp::Media<'_>) {
    for crypto in media.cryptos() {
        let mut change = sip::sdp::Change::NONE;
        change.add_crypto(crypto.tag, crypto.suite, crypto.key());
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
        let sdp = Sdp::parse(text.as_bytes()).expect("it is one");
        let edits = [Edit { port: 9, change: Some(&change) }];
        let rewrite = Rewrite {
            origin: [192, 0, 2, 1].into(),
            address: [192, 0, 2, 1].into(),
            session: 1,
            version: 1,
            edits: &edits,
            bypassed: false,
        };
        let mut room = [0; 1_024];
        let Some(length) = sdp.rewrite(&rewrite, &mut room) else { continue };
        let again = Sdp::parse(&room[..length]).expect("a rewritten description is one");
        assert_eq!(again.media()[0].cryptos().next(), Some(crypto));
    }
}

/// What claims to be SRTP or SRTCP: opened or left as it was; what we protect, we open.
pub fn srtp(bytes: &[u8]) {
    let Some((&which, packet)) = bytes.split_first() else { return };
    let master = srtp_key(which);
    let (mut sender, mut receiver) = (srtp::Sender::new(&master), srtp::Receiver::new(&master));
    for is_rtcp in [false, true] {
        let mut room = packet.to_vec();
        let opened = match is_rtcp {
            true => receiver.unprotect_rtcp(&mut room),
            false => receiver.unprotect_rtp(&mut room),
        };
        match opened {
            Ok(length) => assert!(length < packet.len()),
            Err(_) => assert_eq!(room, packet, "what is refused stays as it was"),
        }
        let mut room = packet.to_vec();
        room.resize(packet.len() + srtp::OVERHEAD_MAX, 0);
        let protected = match is_rtcp {
            true => sender.protect_rtcp(&mut room, packet.len()),
            false => sender.protect_rtp(&mut room, packet.len()),
        };
        let Ok(length) = protected else { continue };
        let mut receiver = srtp::Receiver::new(&master);
        let opened = match is_rtcp {
            true => receiver.unprotect_rtcp(&mut room[..length]),
            false => receiver.unprotect_rtp(&mut room[..length]),
        };
        assert_eq!(opened, Ok(packet.len()));
        assert_eq!(&room[..packet.len()], packet);
    }
}

fn srtp_key(which: u8) -> srtp::Master {
    let suite = srtp::Suite::ALL[usize::from(which) % srtp::Suite::ALL.len()];
    srtp::Master::new(suite, &vec![7; suite.master_bytes()]).expect("a key of the right length")
}

/// Three bytes of settings, then packets behind their lengths: what leaves is RTP of ours, in sequence.
pub fn transcode(bytes: &[u8]) {
    use codec::{Codec, PACKETS_MAX, Settings, Side, Start, Transcoder};
    let Some((&[from, to, packet_ms], mut rest)) = bytes.split_first_chunk() else { return };
    let side = |which: u8| Side {
        codec: Codec::ALL[usize::from(which) % Codec::ALL.len()],
        payload_type: 8,
        events: Some(101),
        noise: (which & 0x80 != 0).then_some(13),
    };
    let settings = Settings { from: side(from), to: side(to), packet_ms };
    let start = Start { ssrc: 7, sequence: 65_535, timestamp: 0 };
    let mut transcoder = Transcoder::new(settings, start);
    let (mut packets, mut lengths) = ([[0; 1_500]; PACKETS_MAX], [0; PACKETS_MAX]);
    let mut sequence = start.sequence;
    while let Some((&[length], behind)) = rest.split_first_chunk() {
        let (packet, behind) = behind.split_at(behind.len().min(usize::from(length)));
        rest = behind;
        let made = transcoder.transcode(packet, &mut packets, &mut lengths);
        assert!(made.is_ok() || lengths == [0; PACKETS_MAX]);
        for (packet, length) in packets.iter().zip(lengths).filter(|(_, length)| *length > 0) {
            let Some(rtp) = wire::rtp::parse(&packet[..length]) else { panic!("no RTP") };
            assert_eq!((rtp.ssrc, rtp.sequence), (start.ssrc, sequence));
            sequence = sequence.wrapping_add(1);
        }
    }
}

/// A capture file: read or refused; any frame of any call of it fits its room, and says what it said.
pub fn capture(bytes: &[u8]) {
    use capture::{Capture, Clones, Ear, Options, Rule};
    let rules: Vec<Rule> = ["192.0.2.7:4000=198.51.100.7:4002", "192.0.2.1=198.51.100.1"]
        .iter()
        .filter_map(|rule| rule.parse().ok())
        .collect();
    let changed =
        Options { rules: rules.into(), untag: true, mend_checksums: true, ..Options::default() };
    for options in [Options { until_fault: true, ..Options::default() }, changed] {
        let Ok(capture) = Capture::read(bytes, &options) else { continue };
        let times = capture.times();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "time goes back");
        let streams = capture.streams().len() as u32;
        let many = Clones::new(3, streams, capture.hosts(), &[], capture.media(), false);
        for clones in [Clones::verbatim()].into_iter().chain(many) {
            let mut ear = Ear::new(&capture, &clones);
            let mut room = [0; 2_048];
            for (frame, place) in capture.frames().iter().zip(0..) {
                let Ok(length) = capture.write(&clones, 4, place, &mut room) else { continue };
                let written = room.get(..length).expect("it fits");
                assert!(!clones.is_verbatim() || written == capture.bytes(frame));
                ear.hear(&capture, written);
            }
        }
    }
}

/// A slot of a ring that the other process wrote, or wrote half.
pub fn link(bytes: &[u8]) {
    let Some((&kind, body)) = bytes.split_first() else { return };
    if let Some(up) = Up::decode(kind.into(), body) {
        assert_eq!(up.encode().1, body);
    }
    if let Some(down) = Down::decode(kind.into(), body) {
        assert_eq!(down.encode().1, body);
    }
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(errors) = config::Config::parse(text) {
        assert!(!errors.is_empty(), "a refusal says why");
    }
}

/// A user part as a number.
pub fn number(bytes: &[u8]) {
    if let Ok(number) = numbers::Number::normal(bytes, &["00"]) {
        assert!((1..=32).contains(&number.as_bytes().len()));
        let again = numbers::Number::new(number.as_bytes()).expect("a normal form is one");
        assert_eq!(again.as_bytes(), number.as_bytes());
    }
}

fn all(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Messages of every kind.
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    let head = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabc;rport\r\nMax-Forwards: 70\r\n\
        From: \"A\" <sip:1234@192.0.2.7>;tag=a\r\nTo: <sip:4420@192.0.2.1>\r\nCall-ID: c@a\r\n";
    let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let rest = "Contact: <sip:1234@192.0.2.7>\r\nSupported: 100rel, timer\r\nSession-Expires: 1800\r\n\
        P-Asserted-Identity: <sip:1234@x>, <tel:+1234>\r\nPrivacy: id\r\n";
    let mut texts = vec![format!(
        "INVITE sip:4420@192.0.2.1 SIP/2.0\r\n{head}CSeq: 1 INVITE\r\n{rest}\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )];
    for method in ["ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "REFER"] {
        let line = format!("{method} sip:4420@192.0.2.1 SIP/2.0\r\n{head}CSeq: 2 {method}\r\n");
        texts.push(format!("{line}{rest}Refer-To: <sip:9@x?Replaces=a%3Bto-tag%3Db>\r\n\r\n"));
    }
    for status in ["100 Trying", "183 Progress", "200 OK", "302 Moved", "401 No", "486 Busy"] {
        texts.push(format!("SIP/2.0 {status}\r\n{head}CSeq: 1 INVITE\r\n{rest}l: 0\r\n\r\n"));
    }
    texts.into_iter().map(String::into_bytes).collect()
}

/// Messages one after the other, with line ends between them.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let between: [&[u8]; 4] = [b"", b"\r\n", b"\r\n\r\n", b"\n"];
    let framed = messages().into_iter().map(|message| {
        let text = String::from_utf8_lossy(&message).into_owned();
        let length = if text.contains("Content-Length: ") || text.contains("\r\nl: ") {
            text
        } else {
            text.replacen("CSeq: ", "Content-Length: 0\r\nCSeq: ", 1)
        };
        length.into_bytes()
    });
    let framed: Vec<_> = framed.collect();
    let pairs = framed.windows(2).zip(between.into_iter().cycle());
    pairs.map(|(pair, between)| [pair[0].as_slice(), between, &pair[1]].concat()).collect()
}

/// Keys, and how a transfer goes.
#[must_use]
pub fn fragments() -> Vec<Vec<u8>> {
    all(&[
        "Signal=5\r\nDuration=160\r\n",
        "Signal: *\nDuration : 4294967295",
        "duration=1\r\nsignal=11\r\nx=y",
        "#",
        " pound \r\n",
        "16",
        "SIP/2.0 100 Trying\r\n",
        "SIP/2.0 603\r\nTo: <sip:a@b>\r\n",
        "SIP/2.0 699 é",
    ])
}

/// URIs.
#[must_use]
pub fn uris() -> Vec<Vec<u8>> {
    all(&[
        "sip:alice@example.com",
        "sips:%61lice:pw@[2001:db8::1]:5061;transport=tls;lr?Subject=x&Replaces=a%3Bb",
        "tel:+1-201-555-0123;phone-context=example.com;rn=+1201;npdi",
        "sip:+12015550123@gateway.example;user=phone",
    ])
}

/// Header values; the first byte says whose.
#[must_use]
pub fn values() -> Vec<Vec<u8>> {
    let texts = [
        "<sip:a@b;lr>;q=0.5;expires=60, \"B\" <sip:c@d>",
        "Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"sip:b\", response=\"00\"",
        "Q.850;cause=16;text=\"Normal\"",
        "<sip:x@y?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1",
        "<sip:1@2>;reason=no-answer;counter=2;privacy=full",
        "1800;refresher=uac",
        "776656 1 INVITE",
        "a@b;to-tag=c;from-tag=d;early-only",
    ];
    texts.iter().map(|text| [b"0", text.as_bytes()].concat()).collect()
}

/// Descriptions.
#[must_use]
pub fn descriptions() -> Vec<Vec<u8>> {
    all(&[
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendonly\r\n\
         m=video 4002 RTP/AVP 96\r\nc=IN IP6 2001:db8::7\r\na=rtcp:4004 IN IP4 192.0.2.8\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nk=uri:http://192.0.2.9/\r\n\
         a=rtcp:4001 IN IP4 192.0.2.9\r\na=ccap:1 IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n\
         a=altc:1 IP6 2001:db8::9 4000\r\na=X-nat:192.0.2.9\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\n\
         a=crypto:2 AEAD_AES_128_GCM inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA== WSH=128\r\n",
        "v=0\r\no=u 1 1 IN IP6 ::1\r\ns= \r\nt=0 0\r\nm=image 4002 udptl t38\r\nc=IN IP6 ::1\r\n",
    ])
}

/// Digest values.
#[must_use]
pub fn digests() -> Vec<Vec<u8>> {
    all(&[
        "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         uri=\"sip:bob@biloxi.com\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
         response=\"89eb0059246c02b2f6ee02c7961d5ea3\", algorithm=MD5, opaque=\"\"",
        "Digest realm=\"atlanta.com\", qop=\"auth,auth-int\", nonce=\"8452cd5a\", stale=FALSE, \
         algorithm=SHA-256",
    ])
}

/// Frames.
#[must_use]
pub fn frames() -> Vec<Vec<u8>> {
    let mut room = [0; 256];
    let ends =
        [("192.0.2.7:4000", "192.0.2.1:10000"), ("[2001:db8::7]:5060", "[2001:db8::1]:5060")];
    ends.iter()
        .filter_map(|(source, destination)| {
            let headers = wire::datagram::Headers {
                destination_mac: [1; 6],
                source_mac: [2; 6],
                vlan: Some(7),
                source: source.parse().ok()?,
                destination: destination.parse().ok()?,
                dscp: 46,
                ttl: 64,
            };
            let length = wire::datagram::write(&mut room, &headers, &[0x80, 0, 0, 1, 0, 0, 0, 9])?;
            Some(room[..length].to_vec())
        })
        .chain([a_report()])
        .collect()
}

/// A sender report with a block, and a goodbye behind it.
fn a_report() -> Vec<u8> {
    let words = [9_u32, 1, 2, 160, 1, 172, 7, 0x0800_0003, 1, 80, 5, 6];
    let mut bytes = vec![0x81, 200, 0, words.len() as u8];
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend([0x81, 203, 0, 1, 0, 0, 0, 9]);
    bytes
}

/// A packet and a report of each suite, under its key.
pub fn protected() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for which in 0..srtp::Suite::ALL.len() as u8 {
        let mut sender = srtp::Sender::new(&srtp_key(which));
        let mut room = [0; 64];
        room[..16].copy_from_slice(&[0x90, 8, 0, 5, 0, 0, 0, 160, 1, 2, 3, 4, 0xbe, 0xde, 0, 0]);
        let length = sender.protect_rtp(&mut room, 40).unwrap_or_default();
        all.push([&[which], &room[..length]].concat());
        let mut room = [0; 64];
        room[..8].copy_from_slice(&[0x80, 201, 0, 1, 1, 2, 3, 4]);
        let length = sender.protect_rtcp(&mut room, 8).unwrap_or_default();
        all.push([&[which], &room[..length]].concat());
    }
    all
}

/// Streams of every codec to another, with a loss, a key and a silence.
#[must_use]
pub fn streams_of_speech() -> Vec<Vec<u8>> {
    let stream = |codec: u8| {
        let mut bytes = vec![codec, codec + 1, 30];
        for (sequence, kind, body) in
            [(0u8, 8, 160usize), (1, 8, 160), (3, 8, 160), (4, 101, 4), (5, 8, 22), (9, 13, 1)]
        {
            let head = [0x80, kind, 0, sequence, 0, 0, sequence, 160, 0, 0, 0, 9];
            bytes.push((head.len() + body) as u8);
            bytes.extend(head);
            bytes.extend((0..body).map(|at| (at * 37) as u8));
        }
        bytes
    };
    (0..4).map(stream).collect()
}

/// Captures of those frames and of messages, in both formats.
#[must_use]
pub fn captures() -> Vec<Vec<u8>> {
    let ends = ("192.0.2.7:5060".parse(), "192.0.2.1:5060".parse());
    let (Ok(source), Ok(destination)) = ends else { return Vec::new() };
    let mut packets = frames();
    for message in messages() {
        let headers = wire::datagram::Headers {
            destination_mac: [1; 6],
            source_mac: [2; 6],
            vlan: None,
            source,
            destination,
            dscp: 0,
            ttl: 64,
        };
        let mut room = [0; 2_048];
        let length = wire::datagram::write(&mut room, &headers, &message).unwrap_or(0);
        packets.extend(room.get(..length).map(<[u8]>::to_vec));
    }
    let mut pcap = capture::file::head().to_vec();
    for (packet, at) in packets.iter().zip(0..) {
        pcap.extend(capture::file::frame_head(at * 1_000, packet.len()));
        pcap.extend(packet);
    }
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let begin = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut pcapng = block(0x0a0d_0d0a, &begin);
    pcapng.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0]));
    for (packet, at) in packets.iter().zip(0_u32..) {
        let length = packet.len() as u32;
        let head: Vec<u8> =
            [0, 0, at, length, length].iter().flat_map(|word| word.to_le_bytes()).collect();
        pcapng.extend(block(6, &[&head, packet.as_slice()].concat()));
    }
    vec![pcap, pcapng]
}

/// Messages of the rings, each with its kind.
#[must_use]
pub fn words() -> Vec<Vec<u8>> {
    use zerocopy::{FromZeros, IntoBytes};
    let of = |kind: u8, body: &[u8]| [&[kind], body].concat();
    vec![
        of(1, link::ask::Admit::new_zeroed().as_bytes()),
        of(5, link::ask::Register::new_zeroed().as_bytes()),
        of(1, link::answer::Route::new_zeroed().as_bytes()),
        of(67, link::Profile::default().as_bytes()),
    ]
}

/// Configuration files.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    all(&[include_str!("../../../docs/tollgate.example.toml"), "[node]\nnumber = 1\n"])
}

/// User parts.
#[must_use]
pub fn numbers() -> Vec<Vec<u8>> {
    all(&["+44 (20) 7946-0123", "0049301234567", "%2B1;rn=+1;npdi", "anonymous", "*31#17"])
}
