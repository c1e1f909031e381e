//! What gateways want of media, in the lab: which codecs each side is told of, by which way media go, fax, and what
//! happens when there are no ports left.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::carrier::{callers, expect_cdrs, number, raised, raised_with, vendor};
use tests::lab::Lab;
use tests::sipp::{Like, SDP, Script, agree, answer, inside, invite, leaves, left, submit};
use tests::stage::{Family, Scene, Side, Spot, Stage, Vendor, Way, Ways, all_play};

/// A description of many codecs.
fn many(annexb: &str) -> String {
    SDP.replace("RTP/AVP 0 101", "RTP/AVP 0 8 18 4 101").replace(
        "a=rtpmap:101",
        &format!("a=rtpmap:18 G729/8000\na=fmtp:18 annexb={annexb}\na=ptime:20\na=rtpmap:101"),
    )
}

/// A description of one codec.
fn one(payload: &str) -> String {
    SDP.replace("RTP/AVP 0 101", &format!("RTP/AVP {payload}"))
        .replace("a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n", "")
}

/// A caller who offers that, hears this in the answer, and hangs up.
fn offers(offer: &str, hears: Like<'_>) -> Script {
    let asks = Script::new().asks(invite("", offer)).may_get("100").may_get("180");
    leaves(asks.gets_like("200", hears).says(inside("ACK", 1, "", "")), 2)
}

/// A vendor that hears this in the offer, answers that, and is hung up on.
fn takes(hears: Like<'_>, sdp: &str) -> Script {
    let heard = Script::new().gets_like("INVITE", hears);
    left(heard.says(answer("200 OK", "", sdp)).gets("ACK"))
}

const ANY: Like<'static> = Like { has: &[], lacks: &[] };

fn codecs() -> Vec<Scene> {
    let refused =
        Script::new().asks(invite("", &one("0"))).may_get("100").gets("488").says(submit());
    let away = Script::new()
        .gets("INVITE")
        .says(answer("200 OK", "", &one("0")))
        .gets("ACK")
        .gets("BYE")
        .says(agree("200 OK", "", ""));
    vec![
        Scene::new(
            "a vendor is offered the codecs of its list in its order",
            offers(&many("yes"), Like { has: &["RTP/AVP 18"], lacks: &["RTP/AVP 18 "] }),
            Vendor::new(
                &["codecs=G729;PCMU"],
                takes(
                    Like {
                        has: &["RTP/AVP 18 0 101", "a=rtpmap:18"],
                        lacks: &["PCMA", "RTP/AVP.* 8"],
                    },
                    &one("18"),
                ),
            ),
        ),
        Scene::new(
            "what the caller may not tell of is told nobody",
            offers(&many("yes"), Like { has: &["RTP/AVP 8"], lacks: &[] }),
            Vendor::new(
                &[],
                takes(Like { has: &["RTP/AVP 8 101"], lacks: &["annexb"] }, &one("8")),
            ),
        )
        .of(&["codecs=PCMA"]),
        Scene::new(
            "the order of the other side stays where it is wanted",
            offers(&many("yes"), ANY),
            Vendor::new(
                &["codecs=G729;PCMU", "codecs_order=theirs"],
                takes(Like { has: &["RTP/AVP 0 18 101"], lacks: &[] }, &one("0")),
            ),
        ),
        Scene::new(
            "a call without a common codec is refused",
            refused,
            Vendor { fields: Some(&["codecs=G729"]), plays: None },
        )
        .ends("no_codec", &[0]),
        Scene::new(
            "an answer by a codec that the caller may not hear leads to the next vendor",
            offers(&many("yes"), Like { has: &["RTP/AVP 18"], lacks: &[] }),
            Vendor::new(&[], away),
        )
        .of(&["codecs=G729;PCMA"])
        .and(Vendor::new(&[], takes(ANY, &one("18"))))
        .ends("normal", &[200, 200]),
        Scene::new(
            "keys and packet time are told as the vendor wants them",
            offers(&many("yes"), ANY),
            Vendor::new(
                &["telephone_event=false", "ptime=30"],
                takes(
                    Like {
                        has: &["RTP/AVP 0 8 18 4[^ ]", "a=ptime:30"],
                        lacks: &["telephone-event", "a=ptime:20"],
                    },
                    &one("0"),
                ),
            ),
        ),
    ]
}

/// Silence suppression as both sides want it, each way that it may be described.
fn annexes() -> Vec<Scene> {
    let scene = |name, customer, fields, told: &str| {
        let line = format!("a=fmtp:18 annexb={told}");
        let annexa = format!("a=fmtp:4 annexa={told}");
        let like = Like { has: &[&line, &annexa], lacks: &[] };
        let answered = one("18").replace("RTP/AVP 18", "RTP/AVP 18 4");
        Scene::new(name, offers(&many("yes"), like), Vendor::new(fields, takes(like, &answered)))
            .of(customer)
    };
    let (on, off): (&[&str], &[&str]) =
        (&["annexb=on", "annexa=on"], &["annexb=off", "annexa=off"]);
    vec![
        scene("both want silence suppression", on, on, "yes"),
        scene("the vendor wants none", on, off, "no"),
        scene("the customer wants none", off, on, "no"),
        scene("nobody wants any", off, off, "no"),
    ]
}

#[test]
fn each_side_is_told_what_both_gateways_allow() {
    let scenes = [codecs(), annexes()].concat();
    all_play(&scenes, &[Ways::both(Way::PLAIN)]);
}

/// Media that came to a worker or was sent on.
const OURS: [&str; 3] = ["worker_media", "relay_on", "relay_back"];

#[test]
fn media_that_go_from_end_to_end_never_come_by() {
    let Some(lab) = raised(1, true) else { return };
    for command in [
        "gateway mapping set pbx --field media_proxy=off",
        "gateway routing set london --field media_proxy=auto",
    ] {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>()).expect("it is set");
    }
    // Private addresses: who wants it only where both are reachable does not get it.
    let london = vendor(&lab, 20);
    let result = callers(&lab, 5070, 2, 2).json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 2, "{result}");
    let before = lab.driver_packets(&OURS).expect("the driver counts");
    assert!(before > 0, "{result}");
    let set = "gateway routing set london --field media_proxy=off";
    lab.tollgate(&set.split(' ').collect::<Vec<_>>()).expect("it is set");
    let running = callers(&lab, 5071, 4, 4);
    std::thread::sleep(Duration::from_secs(2));
    let status = lab.tollgate(&["status"]).expect("it has a status");
    assert_eq!(status.pointer("/calls"), Some(&json!(4)), "{status}");
    assert_eq!(status.pointer("/workers/0/media_ports/used"), Some(&json!(0)), "{status}");
    let result = running.json().expect("the callers report");
    assert_eq!((number(&result, "answered"), number(&result, "ended")), (4, 4), "{result}");
    assert!(number(&result, "sent") > 100, "{result}");
    let after = lab.driver_packets(&OURS).expect("the driver counts");
    assert_eq!(after, before, "{result}");
    let cdrs = expect_cdrs(&lab, 6);
    let by = |way: &str| {
        let path = json!(way);
        cdrs.iter().filter(|cdr| cdr.pointer("/media/path") == Some(&path)).count()
    };
    assert_eq!((by("bypass"), by("relay")), (4, 2), "{cdrs:?}");
    drop(london);
}

/// Room for four calls, and on each side ports for three.
const SMALL: &str =
    "last_port = 10005\n\n[limits]\ncalls = 4\ntransactions = 1000\nkept_messages = 1000\n";

#[test]
fn without_free_ports_calls_are_refused_until_some_have_rested() {
    let Some(lab) = raised_with(1, true, SMALL) else { return };
    let london = vendor(&lab, 40);
    // Three calls find a pair on each side.
    let running = callers(&lab, 5070, 5, 8);
    let alarm = || {
        let alarms = lab.tollgate(&["alarm", "list"]).unwrap_or_default();
        let items = alarms.get("items").and_then(serde_json::Value::as_array).cloned();
        items.unwrap_or_default().iter().any(|alarm| {
            alarm.get("name") == Some(&json!("media_ports_exhausted"))
                && alarm.get("severity") == Some(&json!("critical"))
        })
    };
    assert!(Lab::wait_until(Duration::from_secs(8), alarm), "{}", lab.books());
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "answered"), 3, "{result}");
    assert_eq!(result.pointer("/failed/503"), Some(&json!(2)), "{result}");
    let all_rest = || {
        let status = lab.tollgate(&["status"]).unwrap_or_default();
        let resting = json!({"used": 0, "resting": 6, "free": 6});
        status.pointer("/workers/0/media_ports") == Some(&resting)
    };
    // A worker says it ten times in a second.
    assert!(Lab::wait_until(Duration::from_secs(2), all_rest), "{}", lab.books());
    let early = callers(&lab, 5071, 1, 1).json().expect("the caller reports");
    assert_eq!(early.pointer("/failed/503"), Some(&json!(1)), "{early}");
    std::thread::sleep(Duration::from_secs(6));
    let late = callers(&lab, 5072, 3, 1).json().expect("the callers report");
    assert_eq!(number(&late, "answered"), 3, "{late}");
    let cleared = || !alarm();
    std::thread::sleep(Duration::from_secs(6));
    assert!(Lab::wait_until(Duration::from_secs(12), cleared), "{}", lab.books());
    drop(london);
}

/// The stream of a fax in the place of the sound.
fn fax(port: u16) -> String {
    SDP.replace("m=audio [media_port] RTP/AVP 0 101", &format!("m=image {port} udptl t38")).replace(
        "a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n",
        "a=T38FaxVersion:0\na=T38FaxUdpEC:t38UDPRedundancy\n",
    )
}

/// What arrives at a socket until then, sending this from it every 20 ms.
fn exchanges(socket: &UdpSocket, to: &str, text: &[u8], until: Instant) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("it waits a little");
    let mut heard = Vec::new();
    let mut room = [0; 2_000];
    while Instant::now() < until {
        // Before the call turns to fax nobody listens there.
        let _ = socket.send_to(text, to);
        if let Ok((length, _)) = socket.recv_from(&mut room) {
            heard.push(room[..length].to_vec());
        }
    }
    heard
}

#[test]
fn a_call_that_turns_to_fax_carries_its_packets_both_ways() {
    let spot = Spot(10);
    let stage = Stage::raised_with(1, "", [spot]).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let image =
        Like { has: &["m=image 1[0-9]* udptl t38", "a=T38FaxVersion:0"], lacks: &["41000"] };
    let caller = Script::new()
        .asks(invite("", SDP))
        .may_get("100")
        .gets("200")
        .says(inside("ACK", 1, "", ""))
        .asks(inside("INVITE", 2, "", &fax(41_000)))
        .may_get("100")
        .gets_like("200", image)
        .says(inside("ACK", 2, "", ""))
        .pauses(3_000);
    let callee = Script::new()
        .gets("INVITE")
        .says(answer("200 OK", "", SDP))
        .gets("ACK")
        .gets_like("INVITE", image)
        .says(agree("200 OK", "", &fax(42_000)))
        .gets("ACK");
    let scene =
        Scene::new("a call turns to fax", leaves(caller, 3), Vendor::new(&[], left(callee)));
    let place = |side: Side, port: u16| {
        let place = if side == Side::Customers { "cust" } else { "vend" };
        let at = format!("{}:{port}", side.address(Family::Four, spot.0));
        stage.lab.socket(place, &at).expect("a socket")
    };
    let (from_caller, from_vendor) = (place(Side::Customers, 41_000), place(Side::Vendors, 42_000));
    let until = Instant::now() + Duration::from_secs(7);
    // The only call has the first ports.
    let (heard_by_caller, heard_by_vendor, played) = std::thread::scope(|scope| {
        let caller =
            scope.spawn(|| exchanges(&from_caller, "10.10.1.2:10000", b"\x00\x01fax out", until));
        let vendor =
            scope.spawn(|| exchanges(&from_vendor, "10.10.2.2:10000", b"\x00\x01fax in", until));
        let played = stage.play(spot, &scene, Ways::both(Way::PLAIN));
        (caller.join().expect("it ends"), vendor.join().expect("it ends"), played)
    });
    let played = played.unwrap_or_else(|why| panic!("{why}"));
    assert!(heard_by_vendor.len() > 50, "{}", heard_by_vendor.len());
    assert!(heard_by_vendor.iter().all(|payload| payload == b"\x00\x01fax out"));
    assert!(heard_by_caller.len() > 50, "{}", heard_by_caller.len());
    assert!(heard_by_caller.iter().all(|payload| payload == b"\x00\x01fax in"));
    let packets = played.cdr.pointer("/media/from_caller/packets");
    assert!(packets.and_then(serde_json::Value::as_u64) > Some(50), "{}", played.cdr);
}
