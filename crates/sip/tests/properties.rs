//! What holds of any bytes, and of any message that a writer wrote; and what an independent parser
//! says of the same messages.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use sip::digest::{
    Algorithm, Asker, Challenge, Credentials, Hash, Login, Mint, Nonce, Offer, Qop, Secret,
};
use sip::header::via::Rport;
use sip::header::{
    Contact, Diversion, Event, HistoryInfo, Privacy, Rack, Reason, ReferTo, RemotePartyId,
    Replaces, SessionExpires, SubscriptionState, Warning, reliable, retry_after, seconds,
    session_timer,
};
use sip::{Message, Method, Name, Part, Refusable, Sdp, Uri, Writer};

/// A request with everything that varies.
#[derive(Clone, Debug)]
struct Draft {
    method: String,
    user: String,
    host: SocketAddr,
    branch: String,
    display: String,
    from_tag: String,
    to_tag: Option<String>,
    call_id: String,
    cseq: u32,
    hops: u8,
    more: Vec<(String, String)>,
    body: Vec<u8>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let method = prop_oneof![
        4 => Just("INVITE"), 1 => Just("BYE"), 1 => Just("REGISTER"), 1 => Just("OPTIONS"),
    ];
    let host = (any::<IpAddr>(), 1u16..).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    let more =
        prop::collection::vec(("X-[A-Za-z0-9-]{1,12}", "[!-~]{0,5}( [!-~]{1,9}){0,3}"), 0..8);
    (
        (method.prop_map(str::to_owned), "[a-zA-Z0-9+*#._-]{1,16}", host, "[a-zA-Z0-9.-]{1,20}"),
        ("[a-zA-Z ',.@<>;]{0,12}", "[a-zA-Z0-9]{1,12}", prop::option::of("[a-zA-Z0-9]{1,12}")),
        ("[a-zA-Z0-9-]{1,20}(@[a-z0-9.]{1,12})?", 0u32..1 << 31, any::<u8>(), more),
        prop::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|((method, user, host, branch), (display, from_tag, to_tag), ids, body)| {
            let (call_id, cseq, hops, more) = ids;
            Draft {
                method,
                user,
                host,
                branch,
                display,
                from_tag,
                to_tag,
                call_id,
                cseq,
                hops,
                more,
                body,
            }
        })
}

fn write(draft: &Draft, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    let method = Method::new(draft.method.as_bytes());
    let to_tag = draft.to_tag.as_deref();
    let tag =
        [Part::from(if to_tag.is_some() { ";tag=" } else { "" }), to_tag.unwrap_or("").into()];
    writer
        .request(
            method,
            &["sip:".into(), draft.user.as_str().into(), "@".into(), draft.host.into()],
        )
        .header(
            Name::Via,
            &[
                "SIP/2.0/UDP ".into(),
                draft.host.into(),
                ";branch=z9hG4bK".into(),
                draft.branch.as_str().into(),
                ";rport".into(),
            ],
        )
        .header(Name::MaxForwards, &[Part::Number(draft.hops.into())])
        .header(
            Name::From,
            &[
                "\"".into(),
                draft.display.as_str().into(),
                "\" <sip:".into(),
                draft.user.as_str().into(),
                "@".into(),
                draft.host.ip().into(),
                ">;tag=".into(),
                draft.from_tag.as_str().into(),
            ],
        )
        .header(Name::To, &["<sip:b@example.com>".into(), tag[0], tag[1]])
        .header(Name::CallId, &[draft.call_id.as_str().into()])
        .header(Name::Cseq, &[draft.cseq.into(), " ".into(), draft.method.as_str().into()]);
    for (name, value) in &draft.more {
        writer.named(name.as_bytes(), &[value.as_str().into()]);
    }
    writer.body(b"application/octet-stream", &draft.body);
    writer.finish().expect("the buffer is large enough")
}

/// Every reader of a value, for whatever it makes of the bytes.
fn read_all(bytes: &[u8]) {
    let mut room = [0; 64];
    let _ = (Credentials::parse(bytes).map(|c| c.count()), Challenge::parse(bytes));
    let mint = Mint { master: &[7; 16], realm: b"r" };
    let _ = mint.check(0, 0, IpAddr::from([192, 0, 2, 1]), bytes);
    let _ = (Contact::parse(bytes), Diversion::parse(bytes), RemotePartyId::parse(bytes));
    if let Some(entry) = HistoryInfo::parse(bytes) {
        let _ = (entry.reason(&mut room).is_some(), entry.privacy());
    }
    if let Some(refer) = ReferTo::parse(bytes) {
        let _ = (refer.method(), refer.replaces(&mut room).is_ok());
    }
    let _ =
        (Replaces::parse(bytes), Rack::parse(bytes), Reason::parse(bytes), Warning::parse(bytes));
    let _ = (Event::parse(bytes), SubscriptionState::parse(bytes), SessionExpires::parse(bytes));
    let _ = (Privacy::parse(bytes), seconds(bytes), retry_after(bytes), reliable::rseq(bytes));
    let _ = (session_timer::min_se(bytes), sip::sipfrag::status(bytes));
    let _ = (sip::dtmf::Tone::parse_relay(bytes), sip::dtmf::Tone::parse_bare(bytes));
    if let Some(uri) = Uri::parse(bytes) {
        let _ = (uri.is_phone(), uri.transport(), uri.is_loose(), uri.header_values(b"a").count());
        let _ = sip::Telephone::of(&uri).map(|number| number.routing_number());
    }
}

/// What a header line says that `write` writes; the rest of the message is nothing.
fn header_value(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = [0; 4096];
    let mut writer = Writer::new(&mut out);
    writer.status(401, b"");
    write(&mut writer);
    let length = writer.no_body().finish().expect("the buffer is large enough");
    let line = out[..length].split(|&byte| byte == b'\n').nth(1).expect("a header line");
    let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
    line[colon + 1..].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back(draft in draft()) {
        let mut out = [0; 4096];
        let length = write(&draft, &mut out);
        let message = Message::parse(&out[..length]).unwrap();
        let request = message.request().unwrap();
        prop_assert_eq!(request.method.as_bytes(), draft.method.as_bytes());
        prop_assert_eq!(request.uri.user(), Some(draft.user.as_bytes()));
        prop_assert_eq!(request.uri.host().ip(), Some(draft.host.ip()));
        prop_assert_eq!(request.uri.port(), Some(draft.host.port()));
        prop_assert_eq!(message.via().host().ip(), Some(draft.host.ip()));
        prop_assert_eq!(&message.via().unique_branch().unwrap()[7..], draft.branch.as_bytes());
        prop_assert_eq!(message.via().rport(), Rport::Wanted);
        let display = message.from().display();
        prop_assert_eq!(&display[1..display.len() - 1], draft.display.as_bytes());
        prop_assert_eq!(message.from().tag(), Some(draft.from_tag.as_bytes()));
        prop_assert_eq!(message.to().tag(), draft.to_tag.as_ref().map(|tag| tag.as_bytes()));
        prop_assert_eq!(message.call_id(), draft.call_id.as_bytes());
        prop_assert_eq!(message.cseq().number, draft.cseq);
        prop_assert_eq!(message.max_forwards(), Some(draft.hops));
        prop_assert_eq!(message.body(), &draft.body[..]);
        let others = message.headers().filter(|header| header.name == Name::Other);
        let others: Vec<_> = others.map(|header| (header.raw_name, header.value)).collect();
        let more = draft.more.iter().map(|(name, value)| (name.as_bytes(), value.trim().as_bytes()));
        prop_assert_eq!(others, more.collect::<Vec<_>>());
    }

    #[test]
    fn an_independent_parser_reads_the_same(draft in draft()) {
        use rsip::headers::ToTypedHeader;
        use rsip::prelude::{HeadersExt, UntypedHeader};

        // That parser reads bodies as text and IPv6 hosts not at all.
        let host = SocketAddr::new(IpAddr::from([192, 0, 2, draft.hops]), draft.host.port());
        let draft = Draft { body: Vec::new(), host, display: "D".into(), ..draft };
        let mut out = [0; 4096];
        let length = write(&draft, &mut out);
        let ours = Message::parse(&out[..length]).unwrap();
        let theirs = rsip::Request::try_from(&out[..length]).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        prop_assert_eq!(theirs.method.to_string(), text(ours.method().as_bytes()));
        prop_assert_eq!(theirs.call_id_header().unwrap().value(), text(ours.call_id()));
        let cseq = theirs.cseq_header().unwrap().clone().typed().unwrap();
        prop_assert_eq!(cseq.seq, ours.cseq().number);
        prop_assert_eq!(cseq.method.to_string(), text(ours.cseq().method.as_bytes()));
        let tag = theirs.from_header().unwrap().tag().unwrap().unwrap();
        prop_assert_eq!(tag.value(), text(ours.from().tag().unwrap()));
        let via = theirs.via_header().unwrap().clone().typed().unwrap();
        prop_assert_eq!(via.branch().unwrap().value(), text(ours.via().branch().unwrap()));
        prop_assert_eq!(via.sent_protocol().to_string(), "UDP");
    }

    #[test]
    fn a_cut_message_is_refused_or_a_message(draft in draft(), cut in 0usize..1000) {
        let mut out = [0; 4096];
        let length = write(&draft, &mut out);
        let short = &out[..cut.min(length)];
        match Message::parse(short) {
            Ok(_) => prop_assert_eq!(short.len(), length),
            Err(fault) => _ = Refusable::read(short, fault),
        }
    }

    #[test]
    fn no_bytes_make_a_reader_stumble(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Err(fault) = Message::parse(&bytes) {
            let _ = Refusable::read(&bytes, fault);
        }
        let _ = (Sdp::parse(&bytes), Uri::parse(&bytes));
        let _ = sip::NameAddr::parse(&bytes);
        let _ = sip::Via::parse(&bytes);
        let _ = sip::Cseq::parse(&bytes);
        let _ = sip::uri::unescape_into(&bytes, &mut [0; 64]);
        read_all(&bytes);
    }

    #[test]
    fn no_text_of_sip_letters_makes_a_reader_stumble(
        text in "[a-c:;,<>\"\\\\@/?=%\\[\\]SIP/2.0 \\t*&\r\n\0-]{0,120}",
    ) {
        let bytes = text.as_bytes();
        if let Some(uri) = Uri::parse(bytes) {
            prop_assert!(!uri.as_bytes().iter().any(|byte| byte.is_ascii_whitespace()));
        }
        if let Some(address) = sip::NameAddr::parse(bytes) {
            prop_assert!(Uri::parse(address.uri().as_bytes()).is_some());
            address.params().iter().for_each(drop);
        }
        let _ = sip::Via::parse(bytes);
        read_all(bytes);
        let head = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nf: sip:a\r\nt: sip:b\r\ni: c\r\nCSeq: 1 BYE\r\n";
        for name in ["m", "Route", "k", "x"] {
            let datagram = format!("{head}{name}: {text}\r\n\r\n");
            if let Ok(message) = Message::parse(datagram.as_bytes()) {
                let _ = (message.contacts().count(), message.routes().count());
                message.list(Name::Supported).for_each(drop);
                let mut out = [0; 1024];
                let mut writer = Writer::new(&mut out);
                writer.status(200, b"");
                for header in message.headers() {
                    writer.copy(&header);
                }
                // What was read as a header can be passed on, and stays the same headers.
                let length = writer.no_body().finish().expect("it fits");
                let again = Message::parse(&out[..length]).unwrap();
                prop_assert_eq!(again.headers().count(), message.headers().count() + 1);
            }
        }
    }

    #[test]
    fn the_top_of_a_list_is_what_the_list_shows_first(
        text in "[ab:;,<>\"\\\\=\\[\\]1. \t*\r\n]{0,40}",
        more in "(, ?<sip:c;lr>;x=\"y,z\"|, ?SIP/2.0/TCP c|)",
    ) {
        let head = "SIP/2.0 200 OK\r\nf: sip:a\r\nt: sip:b\r\ni: c\r\nCSeq: 1 BYE\r\n";
        let datagram = format!("{head}Via: SIP/2.0/UDP a{text}{more}\r\n\r\n");
        if let Ok(message) = Message::parse(datagram.as_bytes()) {
            let first = message.list(Name::Via).next().and_then(sip::Via::parse);
            prop_assert_eq!(Some(*message.via()), first);
        }
        let datagram = format!("{head}v: SIP/2.0/UDP a\r\nContact: <sip:a>{text}{more}\r\n\r\n");
        if let Ok(message) = Message::parse(datagram.as_bytes()) {
            prop_assert_eq!(message.contact().copied(), message.contacts().next().and_then(Result::ok));
        }
    }

    #[test]
    fn no_description_makes_the_rewriter_stumble(
        lines in prop::collection::vec("(o=- 1 1 IN IP[46] |c=IN IP4 |m=audio |a=rtcp:|a=)[0-9 A-Z./:-]{0,20}", 0..12),
        size in 0usize..600,
    ) {
        let text = format!("v=0\r\no=- 1 1 IN IP4 a\r\nc=IN IP4 a\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(sdp) = Sdp::parse(text.as_bytes()) {
            let edits = [65_535, 2].map(sip::sdp::Edit::port);
            let rewrite =
                sip::sdp::Rewrite { origin: IpAddr::from([203, 0, 113, 1]), address: IpAddr::from([203, 0, 113, 1]), session: 1, version: 1, edits: &edits, bypassed: false };
            let mut out = [0; 600];
            if let Some(length) = sdp.rewrite(&rewrite, &mut out[..size]) {
                prop_assert!(Sdp::parse(&out[..length]).is_ok());
            }
        }
    }

    #[test]
    fn no_text_of_digest_letters_makes_a_reader_stumble(
        fields in prop::collection::vec(
            "(username|realm|nonce|uri|response|algorithm|qop|nc|cnonce|opaque|x) ?=\
            (\"[a-f0-9\\\\,=]{0,34}\"|MD5|auth|[0-9a-f]{8}|[0-9a-f]{32}|\"?[a-f\\\\\" ]{0,4})",
            0..12,
        ),
        separator in "[ ,]{1,2}",
    ) {
        let text = format!("Digest {}", fields.join(&separator));
        if let Ok(credentials) = Credentials::parse(text.as_bytes()) {
            let ha1 = Hash::ha1(credentials.response.algorithm(), b"a", b"b", b"c");
            prop_assert!(!credentials.verify(&ha1, Method::Invite, None));
            prop_assert_eq!(credentials.count().is_none(), credentials.qop == Qop::None);
        }
        let _ = Challenge::parse(text.as_bytes());
    }

    #[test]
    fn who_knows_the_password_is_believed_for_one_request_only(
        texts in ("[ -~]{0,40}", "[ -~\u{e4}]{1,40}", "[ -~]{0,40}", "[a-zA-Z0-9]{1,40}"),
        uris in ("sip:[a-z0-9@;=.]{1,40}", "sip:[a-z0-9@;=.]{1,40}"),
        bodies in (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..40)),
        numbers in (any::<u32>(), any::<u64>(), any::<u64>()),
        source in any::<IpAddr>(),
        sha in any::<bool>(),
        proxy in any::<bool>(),
        stale in any::<bool>(),
        qop in "(, qop=\"auth(-int)?\")?",
    ) {
        let (realm, user, password, cnonce) = &texts;
        let (count, now_s, counter) = numbers;
        let algorithm = if sha { Algorithm::Sha256 } else { Algorithm::Md5 };
        let asker = if proxy { Asker::Proxy } else { Asker::Server };
        let mint = Mint { master: &[7; 16], realm: realm.as_bytes() };
        let nonce: Nonce = mint.make(now_s, source, counter);
        let offer = Offer { realm: realm.as_bytes(), nonce: nonce.as_bytes(), algorithm, stale };
        let value = header_value(|writer| offer.write(asker, writer));
        let value = String::from_utf8(value).unwrap().replace(", qop=\"auth\"", &qop);
        let challenge = Challenge::parse(value.as_bytes()).unwrap();
        prop_assert!(challenge.realm.is(realm.as_bytes()) && challenge.stale == stale);

        let login = Login {
            user: user.as_bytes(),
            secret: Secret::Password(password.as_bytes()),
            method: Method::Register,
            uri: uris.0.as_bytes(),
            count,
            cnonce: cnonce.as_bytes(),
            body: &bodies.0,
        };
        let answer = login.answer(&challenge).unwrap();
        let value = header_value(|writer| answer.write(asker, writer));
        let read = Credentials::parse(&value).unwrap();
        prop_assert!(read.username.is(user.as_bytes()) && read.realm.is(realm.as_bytes()));
        prop_assert_eq!(read.count(), (challenge.qop != Qop::None).then_some(count));
        let fresh = sip::digest::Freshness::Fresh { age_s: 0, counter };
        prop_assert_eq!(mint.check(now_s, 0, source, read.nonce), fresh);

        let ha1 = Hash::ha1(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes());
        let body = |bytes: &[u8]| Some(Hash::of_body(algorithm, bytes));
        let verify = |read: &Credentials<'_>, body| read.verify(&ha1, Method::Register, body);
        prop_assert!(verify(&read, body(&bodies.0)));
        prop_assert!(!read.verify(&ha1, Method::Invite, body(&bodies.0)));
        let untouched = bodies.0 == bodies.1 || challenge.qop != Qop::AuthInt;
        prop_assert_eq!(verify(&read, body(&bodies.1)), untouched);
        let moved = Credentials { uri: uris.1.as_bytes(), ..read };
        prop_assert_eq!(verify(&moved, body(&bodies.0)), uris.0 == uris.1);
        let other = mint.make(now_s, source, counter ^ 1);
        let replayed = Credentials { nonce: other.as_bytes(), ..read };
        prop_assert!(!verify(&replayed, body(&bodies.0)));
        let stranger = Hash::ha1(algorithm, user.as_bytes(), realm.as_bytes(), b"\0");
        prop_assert!(!read.verify(&stranger, Method::Register, body(&bodies.0)));
    }
}
