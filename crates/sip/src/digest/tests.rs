//! Published examples, and what an attacker would change.

use super::*;
use crate::emit::header_line;
use crate::header::Text;
use crate::method::Method;

/// A published example: source, algorithm, user, realm, password, method, URI, nonce, qop, count,
/// client nonce, response.
type Example = [&'static str; 12];

const NONCE_2617: &str = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
const NONCE_7616: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE_7616: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

#[rustfmt::skip]
const EXAMPLES: [Example; 5] = [
    ["RFC 2617 §3.5", "MD5", "Mufasa", "testrealm@host.com", "Circle Of Life", "GET",
     "/dir/index.html", NONCE_2617, "auth", "00000001", "0a4f113b",
     "6629fae49393a05397450978507c4ef1"],
    ["RFC 7616 §3.9.1", "MD5", "Mufasa", "http-auth@example.org", "Circle of Life", "GET",
     "/dir/index.html", NONCE_7616, "auth", "00000001", CNONCE_7616,
     "8ca523f5e9506fed4657c9700eebdbec"],
    ["RFC 7616 §3.9.1", "SHA-256", "Mufasa", "http-auth@example.org", "Circle of Life", "GET",
     "/dir/index.html", NONCE_7616, "auth", "00000001", CNONCE_7616,
     "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"],
    ["draft-smith-sipping-auth-examples §3.1", "MD5", "bob", "biloxi.com", "zanzibar", "INVITE",
     "sip:bob@biloxi.com", NONCE_2617, "", "", "", "bf57e4e0d0bffc0fbaedce64d59add5e"],
    ["draft-smith-sipping-auth-examples §3.3", "MD5", "bob", "biloxi.com", "zanzibar", "INVITE",
     "sip:bob@biloxi.com", NONCE_2617, "auth", "00000001", "0a4f113b",
     "89eb0059246c02b2f6ee02c7961d5ea3"],
];

/// The Authorization of RFC 7616 §3.9.1, for SHA-256.
const AUTHORIZATION: &str = "Digest username=\"Mufasa\",\r\n realm=\"http-auth@example.org\",\r\n \
    uri=\"/dir/index.html\",\r\n algorithm=SHA-256,\r\n \
    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\",\r\n nc=00000001,\r\n \
    cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\",\r\n qop=auth,\r\n \
    response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\",\r\n \
    opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

fn login<'a>(method: Method<'a>, uri: &'a [u8], body: &'a [u8]) -> Login<'a> {
    let (secret, cnonce) = (Secret::Password(b"zanzibar"), &b"0a4f113b"[..]);
    Login { user: b"bob", secret, method, uri, count: 1, cnonce, body }
}

fn value(line: &str) -> &[u8] {
    line.split_once(": ").unwrap().1.as_bytes()
}

#[test]
fn published_responses_are_computed() {
    for [source, algorithm, user, realm, password, method, uri, nonce, qop, nc, cnonce, expected] in
        EXAMPLES
    {
        let algorithm = Algorithm::parse(algorithm.as_bytes()).unwrap();
        let ha1 = Hash::ha1(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes());
        let exchange = Exchange {
            method: Method::new(method.as_bytes()),
            uri: uri.as_bytes(),
            nonce: nonce.as_bytes(),
            qop: Qop::parse(qop.as_bytes()).unwrap_or_default(),
            nc: nc.as_bytes(),
            cnonce: cnonce.as_bytes(),
            body: None,
        };
        assert_eq!(response(&ha1, &exchange).hex().as_bytes(), expected.as_bytes(), "{source}");
    }
}

#[test]
fn published_credentials_are_read_and_verified() {
    let credentials = Credentials::parse(AUTHORIZATION.as_bytes()).unwrap();
    assert!(credentials.username.is(b"Mufasa") && credentials.realm.is(b"http-auth@example.org"));
    assert_eq!(credentials.uri, b"/dir/index.html");
    assert_eq!((credentials.qop, credentials.count()), (Qop::Auth, Some(1)));
    assert!(credentials.opaque.unwrap().is(b"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"));

    let ha1 =
        |algorithm, password| Hash::ha1(algorithm, b"Mufasa", b"http-auth@example.org", password);
    let get = Method::new(b"GET");
    let right = ha1(Algorithm::Sha256, b"Circle of Life");
    assert!(credentials.verify(&right, get, None));
    assert!(!credentials.verify(&right, Method::new(b"PUT"), None));
    assert!(!credentials.verify(&ha1(Algorithm::Sha256, b"Circle of Lies"), get, None));
    assert!(!credentials.verify(&ha1(Algorithm::Md5, b"Circle of Life"), get, None));
    for (from, to) in [
        ("/dir/index", "/dir/endex"),
        ("nonce=\"7", "nonce=\"8"),
        ("cnonce=\"f", "cnonce=\"e"),
        ("00000001", "00000002"),
        ("\"753927", "\"753928"),
        ("qop=auth", "qop=auth-int"),
    ] {
        let changed = AUTHORIZATION.replacen(from, to, 1);
        let changed = Credentials::parse(changed.as_bytes()).unwrap();
        assert!(!changed.verify(&right, get, None), "{to}");
    }
}

#[test]
fn names_and_tokens_are_read_without_case_and_in_any_order() {
    let credentials = Credentials::parse(
        b"DIGEST ,Response = bf57e4e0d0bffc0fbaedce64d59add5e , URI=\"sip:bob@biloxi.com\",x=\"\\\"\", \
        NONCE=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",Algorithm=\"md5\",REALM=\"biloxi.com\",nc=zz, \
        username=\"b\\ob\", ",
    )
    .unwrap();
    assert!(credentials.username.is(b"bob"));
    assert_eq!((credentials.qop, credentials.count()), (Qop::None, None));
    let ha1 = Hash::ha1(Algorithm::Md5, b"bob", b"biloxi.com", b"zanzibar");
    assert!(credentials.verify(&ha1, Method::Invite, None));
}

#[test]
fn credentials_that_could_be_read_in_two_ways_are_refused() {
    let long = format!("nonce=\"{}", "7".repeat(FIELD_BYTES_MAX));
    for (from, to, expected) in [
        ("Digest ", "Basic ", DigestFault::SchemeUnknown),
        ("Digest ", "", DigestFault::SchemeUnknown),
        ("Digest ", "Digest uri=\"/\",", DigestFault::FieldRepeated),
        ("Digest ", "Digest URI=\"/\",", DigestFault::FieldRepeated),
        ("username", "usernames", DigestFault::FieldMissing),
        ("realm", "x", DigestFault::FieldMissing),
        ("nonce", "x", DigestFault::FieldMissing),
        ("uri", "x", DigestFault::FieldMissing),
        ("response", "x", DigestFault::FieldMissing),
        ("nc=", "x=", DigestFault::FieldMissing),
        ("cnonce", "x", DigestFault::FieldMissing),
        ("nonce=\"", &long, DigestFault::FieldTooLong),
        ("nc=00000001", "nc=1", DigestFault::CountMalformed),
        ("nc=00000001", "nc=+0000001", DigestFault::CountMalformed),
        ("SHA-256", "SHA-256-sess", DigestFault::AlgorithmOfSession),
        ("SHA-256", "MD5-SESS", DigestFault::AlgorithmOfSession),
        ("SHA-256", "SHA-512-256", DigestFault::AlgorithmUnknown),
        ("SHA-256", "MD5", DigestFault::ResponseMalformed),
        ("\"753927", "\"75392g", DigestFault::ResponseMalformed),
        ("qop=auth", "qop=none", DigestFault::QopUnknown),
        ("qop=auth", "qop=\"auth,auth-int\"", DigestFault::QopUnknown),
        ("/dir/", "/d\\ir/", DigestFault::Malformed),
        ("/dir/", "/d\u{0}ir/", DigestFault::Malformed),
        ("Mufasa", "Mu\r\n fasa", DigestFault::Malformed),
        ("\"Mufasa\"", "\"Mufasa", DigestFault::Malformed),
        ("\"Mufasa\"", "\"Mufasa\" x", DigestFault::Malformed),
        ("\"Mufasa\",", "\"Mufasa\"", DigestFault::Malformed),
        ("\"Mufasa\"", "", DigestFault::Malformed),
        ("=\"Mufasa\"", "", DigestFault::Malformed),
    ] {
        let text = AUTHORIZATION.replacen(from, to, 1);
        let found = Credentials::parse(text.as_bytes()).err();
        assert_eq!(found, Some(expected), "{from} → {to}");
    }
    assert_eq!(Credentials::parse(b"").err(), Some(DigestFault::SchemeUnknown));
    assert_eq!(Credentials::parse(b"Digest").err(), Some(DigestFault::FieldMissing));
}

#[test]
fn a_challenge_is_answered_by_the_best_it_offers() {
    for (qops, expected) in [
        ("", Some(Qop::None)),
        (", qop=\"auth\"", Some(Qop::Auth)),
        (", qop=auth-int", Some(Qop::AuthInt)),
        (", qop=\"auth-int , auth\"", Some(Qop::Auth)),
        (", qop=\"auth,auth-int\"", Some(Qop::Auth)),
        (", qop=\"later,auth\"", Some(Qop::Auth)),
        (", qop=\"later\"", None),
        (", qop=\"\"", None),
    ] {
        let text = format!("Digest realm=\"a\", nonce=\"b\"{qops}");
        assert_eq!(Challenge::parse(text.as_bytes()).ok().map(|c| c.qop), expected, "{qops}");
    }
    // RFC 3261 §20.27.
    let challenge = Challenge::parse(
        b"Digest realm=\"atlanta.com\",\r\n domain=\"sip:ss1.carrier.com\", qop=\"auth\",\r\n \
        nonce=\"f84f1cec41e6cbe5aea9c8e88d359\",\r\n opaque=\"\", stale=FALSE, algorithm=MD5",
    )
    .unwrap();
    assert_eq!(
        (challenge.qop, challenge.algorithm, challenge.stale),
        (Qop::Auth, Algorithm::Md5, false)
    );
    assert_eq!(challenge.opaque, Some(Text::new(b"")));
}

#[test]
fn the_first_usable_of_several_challenges_is_found() {
    let response =
        b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a\r\nFrom: sip:a;tag=1\r\nTo: sip:b\r\n\
        Call-ID: x\r\nCSeq: 1 INVITE\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256, qop=\"auth\"\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"\r\n\
        Proxy-Authenticate: Digest realm=\"p\", nonce=\"3\"\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"4\", algorithm=MD5, qop=\"auth\"\r\n\r\n";
    let response = Message::parse(response).unwrap();
    let asker = Asker::of_status(response.status().unwrap()).unwrap();
    let challenge = asker.challenges(&response).flatten().next().unwrap();
    assert_eq!((challenge.nonce, challenge.algorithm), (&b"2"[..], Algorithm::Sha256));
    assert_eq!(Asker::Proxy.challenges(&response).count(), 1);
    assert_eq!(Asker::of_status(403), None);
}

#[test]
fn an_offer_is_written_and_read_back() {
    let offer =
        Offer { realm: br#"a "b" \"#, nonce: b"n", algorithm: Algorithm::Sha256, stale: true };
    let line = header_line(|writer| offer.write(Asker::Server, writer)).unwrap();
    assert_eq!(
        line,
        r#"WWW-Authenticate: Digest realm="a \"b\" \\", nonce="n", algorithm=SHA-256, qop="auth", stale=true"#
    );
    let challenge = Challenge::parse(value(&line)).unwrap();
    assert!(challenge.realm.is(br#"a "b" \"#) && challenge.stale);
    let offer = Offer { realm: b"a\r\nVia: x", ..offer };
    assert_eq!(header_line(|writer| offer.write(Asker::Proxy, writer)), None);
}

#[test]
fn an_answer_proves_the_password_of_its_request_only() {
    let uri = b"sip:bob@biloxi.com";
    for (qop, algorithm) in [
        ("", Algorithm::Md5),
        (", qop=\"auth\"", Algorithm::Md5),
        (", qop=\"auth\"", Algorithm::Sha256),
        (", qop=\"auth-int\"", Algorithm::Sha256),
    ] {
        let name = String::from_utf8_lossy(algorithm.as_bytes());
        let challenge = format!(
            r#"Digest realm="b\"x", nonce="{NONCE_2617}", opaque="\\5c", algorithm={name}{qop}"#
        );
        let challenge = Challenge::parse(challenge.as_bytes()).unwrap();
        let ha1 = Hash::ha1(algorithm, b"bob", b"b\"x", b"zanzibar");
        let login = login(Method::Invite, uri, b"v=0\r\n");
        let by_hash = Login { secret: Secret::Ha1(ha1), ..login };
        let line =
            header_line(|w| login.answer(&challenge).unwrap().write(Asker::Proxy, w)).unwrap();
        let same =
            header_line(|w| by_hash.answer(&challenge).unwrap().write(Asker::Proxy, w)).unwrap();
        assert_eq!(line, same);
        assert!(
            line.starts_with("Proxy-Authorization: Digest username=\"bob\", realm=\"b\\\"x\",")
        );
        let read = Credentials::parse(value(&line)).unwrap();
        assert_eq!((read.qop, read.uri, read.opaque), (challenge.qop, &uri[..], challenge.opaque));
        let body = Some(Hash::of_body(algorithm, b"v=0\r\n"));
        assert!(read.verify(&ha1, Method::Invite, body), "{line}");
        assert!(!read.verify(&ha1, Method::Bye, body));
        let other = Some(Hash::of_body(algorithm, b"v=1\r\n"));
        assert_eq!(read.verify(&ha1, Method::Invite, other), challenge.qop != Qop::AuthInt);
    }
}

#[test]
fn what_cannot_stand_in_an_answer_gives_none() {
    let challenge = Challenge::parse(b"Digest realm=\"a\", nonce=\"b\"").unwrap();
    for uri in ["sip:a\"b", "sip:a\\b", "sip:a b", "sip:a\r\nb", "sip:\u{f6}"] {
        assert!(login(Method::Bye, uri.as_bytes(), b"").answer(&challenge).is_none(), "{uri}");
    }
    let login = login(Method::Bye, b"sip:a", b"");
    assert!(Login { cnonce: b"\"", ..login }.answer(&challenge).is_none());
    let foreign = Secret::Ha1(Hash::ha1(Algorithm::Sha256, b"bob", b"a", b"zanzibar"));
    assert!(Login { secret: foreign, ..login }.answer(&challenge).is_none());
    let answer = Login { user: b"b\r\nob", ..login }.answer(&challenge).unwrap();
    assert_eq!(header_line(|writer| answer.write(Asker::Server, writer)), None);
}

#[test]
fn a_hash_is_stored_and_shows_nothing() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let hash = Hash::ha1(algorithm, b"bob", b"biloxi.com", b"zanzibar");
        assert_eq!(Hash::from_bytes(algorithm, hash.as_bytes()), Some(hash));
        assert_eq!(Hash::parse(algorithm, hash.hex().as_bytes()), Some(hash));
        let upper = hash.hex().as_bytes().to_ascii_uppercase();
        assert_eq!(Hash::parse(algorithm, &upper), Some(hash));
        assert_eq!(Hash::parse(algorithm, &upper[1..]), None);
        assert_eq!(Hash::from_bytes(algorithm, &[0; 20]), None);
        assert_eq!(format!("{hash:?} {:?}", Secret::Ha1(hash)), "Hash Secret");
    }
}
