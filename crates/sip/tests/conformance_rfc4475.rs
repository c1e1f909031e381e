//! The 49 torture messages of RFC 4475: each valid one parsed, each invalid one refused as it says.
//!
//! The messages lie beside the project (`../shared/corpus/rfc4475`); nobody here wrote them.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::net::SocketAddr;
use std::path::PathBuf;

use sip::header::via::Rport;
use sip::refuse::{Capabilities, Refusal, admit};
use sip::{Fault, Message, Method, Name, Part, Refusable, Scheme, Writer};

const CAPABILITIES: Capabilities<'_> = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
    ],
    extensions: &[b"100rel"],
    content_types: &[b"application/sdp"],
    telephone_uris: true,
};

/// What becomes of a message at a user agent.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Accepted,
    Refused(u16),
    Answered(Fault, u16),
    Dropped(Fault),
}
use Fate::{Accepted, Answered, Dropped, Refused};

/// All 49, each with what the `expected` column of `index.csv` asks of a user agent.
const FATES: [(&str, Fate); 49] = [
    ("wsinv", Accepted),
    ("intmeth", Refused(501)),
    ("esc01", Accepted),
    ("escnull", Accepted),
    ("esc02", Refused(501)),
    ("lwsdisp", Accepted),
    ("longreq", Accepted),
    ("dblreq", Accepted),
    ("semiuri", Accepted),
    ("transports", Accepted),
    ("mpart01", Refused(405)),
    ("unreason", Accepted),
    ("noreason", Accepted),
    ("badinv01", Answered(Fault::ViaMalformed, 400)),
    ("clerr", Answered(Fault::BodyShort, 400)),
    ("ncl", Answered(Fault::ContentLengthMalformed, 400)),
    ("scalar02", Answered(Fault::CseqMalformed, 400)),
    ("scalarlg", Dropped(Fault::CseqMalformed)),
    ("quotbal", Answered(Fault::ToMalformed, 400)),
    ("ltgtruri", Answered(Fault::RequestUriMalformed, 400)),
    ("lwsruri", Answered(Fault::RequestLineMalformed, 400)),
    ("lwsstart", Answered(Fault::RequestLineMalformed, 400)),
    ("trws", Answered(Fault::RequestLineMalformed, 400)),
    ("escruri", Answered(Fault::RequestUriMalformed, 400)),
    // Date is of no use to us and is ignored, as the column allows.
    ("baddate", Accepted),
    ("regbadct", Answered(Fault::ContactMalformed, 400)),
    ("badaspec", Answered(Fault::ToMalformed, 400)),
    ("baddn", Answered(Fault::FromMalformed, 400)),
    ("badvers", Answered(Fault::VersionUnsupported, 505)),
    ("mismatch01", Answered(Fault::CseqMismatch, 400)),
    ("mismatch02", Answered(Fault::CseqMismatch, 400)),
    ("bigcode", Dropped(Fault::StatusLineMalformed)),
    ("badbranch", Accepted),
    ("insuf", Answered(Fault::FromMissing, 400)),
    ("unkscm", Refused(416)),
    ("novelsc", Refused(416)),
    ("unksm2", Accepted),
    ("bext01", Refused(420)),
    ("invut", Refused(415)),
    ("regaut01", Accepted),
    ("multi01", Answered(Fault::HeaderRepeated, 400)),
    ("mcl01", Answered(Fault::HeaderRepeated, 400)),
    ("bcast", Accepted),
    ("zeromf", Accepted),
    ("cparam01", Accepted),
    ("cparam02", Accepted),
    ("regescrt", Accepted),
    ("sdp01", Refused(406)),
    ("inv2543", Accepted),
];

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/rfc4475");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no corpus at {}", path.display());
    None
}

fn read(name: &str) -> Option<Vec<u8>> {
    let path = corpus()?.join(format!("{name}.dat"));
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn source() -> SocketAddr {
    "198.51.100.7:5070".parse().unwrap()
}

fn fate(datagram: &[u8]) -> Fate {
    match Message::parse(datagram) {
        Ok(message) => match admit(&message, &CAPABILITIES) {
            Ok(()) => Accepted,
            Err(refusal) => Refused(refusal.status()),
        },
        Err(fault) => match Refusable::read(datagram, fault) {
            Some((_, status)) => Answered(fault, status),
            None => Dropped(fault),
        },
    }
}

#[test]
fn every_message_meets_the_fate_that_rfc_4475_asks_for() {
    for (name, expected) in FATES {
        let Some(datagram) = read(name) else { return };
        assert_eq!(fate(&datagram), expected, "{name}");
    }
}

#[test]
fn the_table_names_every_message_of_the_index() {
    let Some(path) = corpus() else { return };
    let index = std::fs::read_to_string(path.join("index.csv")).unwrap();
    let names: Vec<&str> =
        index.lines().skip(1).filter_map(|line| line.split(".dat").next()).collect();
    assert_eq!(names, FATES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

#[test]
fn every_broken_request_gets_a_response_that_parses_where_it_has_the_parts() {
    for (name, expected) in FATES {
        let Some(datagram) = read(name) else { return };
        let Answered(fault, status) = expected else { continue };
        let (request, _) = Refusable::read(&datagram, fault).unwrap();
        let mut out = [0; 4096];
        let mut writer = Writer::new(&mut out);
        writer.refuse(&request, status, b"", source(), b"tag1").no_body();
        let length = writer.finish().unwrap_or_else(|| panic!("{name}: no answer"));
        let answer = out.get(..length).unwrap();
        match Message::parse(answer) {
            Ok(answer) => assert_eq!(answer.status(), Some(status), "{name}"),
            // What the request lacks or garbles, the answer cannot have.
            Err(Fault::FromMissing | Fault::FromMalformed | Fault::ToMalformed) => (),
            Err(Fault::ViaMalformed | Fault::CseqMalformed) => (),
            Err(other) => panic!("{name}: {other:?}: {}", answer.escape_ascii()),
        }
    }
}

#[test]
fn every_accepted_request_can_be_answered_and_its_headers_be_passed_on() {
    for (name, expected) in FATES {
        let Some(datagram) = read(name) else { return };
        if !matches!(expected, Accepted | Refused(_)) {
            continue;
        }
        let message = Message::parse(&datagram).unwrap();
        let Some(request) = message.request() else { continue };
        let mut out = [0; 8192];
        let mut writer = Writer::new(&mut out);
        writer.respond(&message, 400, b"", source(), b"tag1").no_body();
        let length = writer.finish().unwrap_or_else(|| panic!("{name}: no answer"));
        let answer = Message::parse(out.get(..length).unwrap()).unwrap();
        assert_eq!(answer.call_id(), message.call_id(), "{name}");
        assert_eq!(answer.cseq(), message.cseq(), "{name}");
        assert_eq!(answer.via().branch(), message.via().branch(), "{name}");
        assert_eq!(answer.via().received(), Some(source().ip()), "{name}");

        let mut again = [0; 8192];
        let mut writer = Writer::new(&mut again);
        writer.request(request.method, &[Part::Text(request.uri.as_bytes())]);
        for header in message
            .headers()
            .filter(|header| !matches!(header.name, Name::ContentLength | Name::ContentType))
        {
            writer.copy(&header);
        }
        writer.body(message.content_type().unwrap_or(b"x/y"), message.body());
        let length = writer.finish().unwrap_or_else(|| panic!("{name}: not passed on"));
        let passed = Message::parse(again.get(..length).unwrap()).unwrap();
        assert_eq!(passed.body(), message.body(), "{name}");
        let unfolded =
            |value: &[u8]| value.split(u8::is_ascii_whitespace).collect::<Vec<_>>().concat();
        let both = |wanted: Name| {
            let of = |message: &Message<'_>| {
                let headers = message.headers().filter(|header| header.name == wanted);
                headers.map(|header| unfolded(header.value)).collect::<Vec<_>>()
            };
            assert_eq!(of(&message), of(&passed), "{name}: {wanted:?}");
        };
        for &wanted in Name::ALL {
            if !matches!(wanted, Name::ContentLength | Name::ContentType) {
                both(wanted);
            }
        }
        both(Name::Other);
    }
}

#[test]
fn wsinv_is_read_through_all_its_folds() {
    let Some(datagram) = read("wsinv") else { return };
    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.to().tag(), Some(&b"1918181833n"[..]));
    assert_eq!(message.from().tag(), Some(&b"98asjd8"[..]));
    assert_eq!(message.from().display(), br#""J Rosenberg \\\"""#);
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!((message.cseq().number, message.method()), (9, Method::Invite));
    assert_eq!(message.body().len(), 150);
    assert_eq!(message.list(Name::Via).count(), 3);
    assert_eq!(message.list(Name::Supported).count(), 0);
    let contact = message.contact().unwrap();
    assert_eq!(contact.params().value(b"newparam"), Some(&b"newvalue"[..]));
    assert_eq!(contact.params().value(b"q"), Some(&b"0.33"[..]));
    let unknown = message.headers().filter(|header| header.name == Name::Other);
    let unknown: Vec<_> = unknown.map(|header| (header.raw_name, header.value)).collect();
    assert_eq!(
        unknown,
        [
            (&b"NewFangledHeader"[..], &b"newfangled value\r\n continued newfangled value"[..]),
            (b"UnknownHeaderWithUnusualValue", b";;,,;;,;"),
        ]
    );
    let route = message.routes().next().unwrap().unwrap();
    assert_eq!(route.uri().param(b"lr"), Some(None));
}

#[test]
fn a_request_ends_where_its_content_length_says() {
    let Some(datagram) = read("dblreq") else { return };
    let message = Message::parse(&datagram).unwrap();
    assert_eq!((message.method(), message.body()), (Method::Register, &b""[..]));
}

#[test]
fn uris_are_cut_at_their_own_delimiters_only() {
    let Some(datagram) = read("esc01") else { return };
    let request = Message::parse(&datagram).unwrap().request().unwrap();
    assert_eq!(request.uri.user(), Some(&b"sips%3Auser%40example.com"[..]));
    let datagram = read("semiuri").unwrap();
    let request = Message::parse(&datagram).unwrap().request().unwrap();
    assert_eq!(request.uri.user(), Some(&b"user;par=u%40example.net"[..]));
    let datagram = read("escnull").unwrap();
    let message = Message::parse(&datagram).unwrap();
    let mut rooms = [[0; 16]; 2];
    let users: Vec<_> = message
        .contacts()
        .zip(&mut rooms)
        .map(|(contact, room)| {
            sip::uri::unescape_into(contact.unwrap().uri().user().unwrap(), room).unwrap()
        })
        .collect();
    assert_eq!(users, [&b"\0"[..], b"\0\0"]);
}

#[test]
fn a_parameter_belongs_to_the_uri_only_within_brackets() {
    let Some(datagram) = read("cparam01") else { return };
    let message = Message::parse(&datagram).unwrap();
    let contact = message.contact().unwrap();
    assert!(contact.params().find(b"unknownparam").is_some());
    assert_eq!(contact.uri().param(b"unknownparam"), None);
    let datagram = read("cparam02").unwrap();
    let message = Message::parse(&datagram).unwrap();
    let contact = message.contact().unwrap();
    assert!(contact.params().find(b"unknownparam").is_none());
    assert_eq!(contact.uri().param(b"unknownparam"), Some(None));
    let datagram = read("regescrt").unwrap();
    let message = Message::parse(&datagram).unwrap();
    assert!(message.contact().unwrap().uri().headers().unwrap().starts_with(b"Route="));
}

#[test]
fn a_refusal_names_what_was_not_understood() {
    let Some(datagram) = read("bext01") else { return };
    let message = Message::parse(&datagram).unwrap();
    let refusal = admit(&message, &CAPABILITIES).unwrap_err();
    assert_eq!(refusal, Refusal::ExtensionUnsupported);
    let mut out = [0; 2048];
    let mut writer = Writer::new(&mut out);
    writer.respond(&message, refusal.status(), b"", source(), b"tag1");
    refusal.write_header(&message, &CAPABILITIES, &mut writer);
    let length = writer.no_body().finish().unwrap();
    let answer = Message::parse(out.get(..length).unwrap()).unwrap();
    let named: Vec<_> = answer.list(Name::Unsupported).collect();
    assert_eq!(named, [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]);
}

#[test]
fn odd_schemes_transports_and_branches_are_shown_as_they_are() {
    let Some(datagram) = read("unksm2") else { return };
    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.to().uri().scheme(), Scheme::Other(b"isbn"));
    let datagram = read("transports").unwrap();
    assert_eq!(Message::parse(&datagram).unwrap().list(Name::Via).count(), 5);
    let datagram = read("badbranch").unwrap();
    let message = Message::parse(&datagram).unwrap();
    assert_eq!((message.via().unique_branch(), message.via().rport()), (None, Rport::Absent));
    let datagram = read("inv2543").unwrap();
    let message = Message::parse(&datagram).unwrap();
    assert_eq!((message.from().tag(), message.max_forwards()), (None, None));
    assert!(message.body().starts_with(b"v=0"));
    let datagram = read("bcast").unwrap();
    // A response for us has one Via (RFC 3261 §8.1.3.3).
    assert_eq!(Message::parse(&datagram).unwrap().list(Name::Via).count(), 2);
    let datagram = read("unreason").unwrap();
    assert_eq!(Message::parse(&datagram).unwrap().status(), Some(200));
    let datagram = read("noreason").unwrap();
    let message = Message::parse(&datagram).unwrap();
    assert_eq!((message.status(), message.reason()), (Some(100), &b""[..]));
}

#[test]
fn no_mutation_of_a_torture_message_makes_the_reader_stumble() {
    use proptest::test_runner::{Config, TestRunner};
    let datagrams: Vec<Vec<u8>> = FATES.iter().filter_map(|(name, _)| read(name)).collect();
    if datagrams.is_empty() {
        return;
    }
    let change = (0usize..4096, proptest::num::u8::ANY, 0u8..4);
    let input = (0..datagrams.len(), proptest::collection::vec(change, 1..6));
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&input, |(which, changes)| {
        let mut datagram = datagrams[which].clone();
        for (at, byte, kind) in changes {
            let at = at % (datagram.len() + 1);
            match kind {
                0 if at < datagram.len() => datagram[at] = byte,
                1 => datagram.insert(at, byte),
                2 if at < datagram.len() => _ = datagram.remove(at),
                _ => datagram.truncate(at.max(64)),
            }
        }
        touch(&datagram);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Everything a message can be asked; whatever is not refused must answer, and be answerable.
fn touch(datagram: &[u8]) {
    let mut out = [0; 16_384];
    match Message::parse(datagram) {
        Ok(message) => {
            let _ = (message.contacts().count(), message.routes().count());
            let _ = (message.record_routes().count(), message.number(Name::Expires));
            let _ = admit(&message, &CAPABILITIES);
            for &name in Name::ALL {
                message.list(name).for_each(drop);
            }
            if let Ok(sdp) = sip::Sdp::parse(message.body()) {
                let (address, ports) = (source().ip(), [40_000, 40_002]);
                let edits = &ports.map(sip::sdp::Edit::port);
                let rewrite = sip::sdp::Rewrite {
                    origin: address,
                    address,
                    session: 1,
                    version: 1,
                    edits,
                    bypassed: false,
                };
                if let Some(length) = sdp.rewrite(&rewrite, &mut out) {
                    sip::Sdp::parse(out.get(..length).unwrap()).unwrap();
                }
            }
            if message.request().is_some() {
                let mut writer = Writer::new(&mut out);
                writer.respond(&message, 200, b"", source(), b"t").no_body();
                if let Some(length) = writer.finish() {
                    Message::parse(out.get(..length).unwrap()).unwrap();
                }
            }
        }
        Err(fault) => {
            if let Some((request, status)) = Refusable::read(datagram, fault) {
                let mut writer = Writer::new(&mut out);
                writer.refuse(&request, status, b"", source(), b"t").no_body();
                let _ = writer.finish();
            }
        }
    }
}
