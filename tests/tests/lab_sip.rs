//! What peers do in SIP, by a foreign client on both sides: over IPv4 and IPv6, UDP, TCP and TLS.
//!
//! | shown | test |
//! |---|---|
//! | calls, hold, CANCEL, busy, offers in 200 and ACK | `peers_call_hold_cancel_and_refuse_over_both_families_and_all_carriers` |
//! | 482, 483, 481, RFC 2543, overlapping offers, BYE against re-INVITE | `what_is_out_of_the_ordinary_is_answered_as_rfc_3261_says` |
//! | every way of a caller to every way of a vendor | `a_call_crosses_from_each_carrier_and_family_to_each` |
//! | Record-Route, by kamailio | `a_proxy_that_records_its_route_stays_between_us_and_its_vendor` |
//! | certificates of vendors | `a_vendor_with_the_certificate_of_another_is_passed_over` |
//! | connection reuse | `calls_between_the_same_peers_share_their_connections` |
//!
//! CANCEL against 200 and re-INVITE against re-INVITE are in `lab_extensions.rs`. Each scene is searched for
//! addresses of the other side (`stage.rs`).

use std::time::Duration;

use serde_json::Value;
use tests::carrier::counted;
use tests::kamailio::{self, Proxy};
use tests::lab::Lab;
use tests::sipp::{
    Like, SDP, Script, agree, answer, cancel, from_callee, inside, invite, leaves, left, submit,
    takes, talks,
};
use tests::stage::{Scene, Spot, Stage, Vendor, Way, Ways, all_play, vendor_at};

/// A scene with one vendor that takes the call, or not.
fn scene(
    name: &'static str,
    caller: Script,
    vendor: Script,
    reason: &'static str,
    status: &'static [u64],
) -> Scene {
    let vendors = vec![Vendor { fields: Some(&[]), plays: Some(vendor) }];
    Scene { name, customer: &[], caller, vendors, reason, attempts: status }
}

fn basics() -> Vec<Scene> {
    vec![
        scene(
            "a call that the caller ends",
            talks().pauses(300).asks(inside("BYE", 2, "", "")).gets("200"),
            takes().gets("BYE").says(agree("200 OK", "", "")),
            "normal",
            &[200],
        ),
        scene(
            "a busy callee",
            Script::new().asks(invite("", SDP)).may_get("100").gets("486").says(submit()),
            Script::new().gets("INVITE").says(answer("486 Busy Here", "", "")).gets("ACK"),
            "busy",
            &[486],
        ),
        scene(
            "a caller who gives up",
            Script::new()
                .asks(invite("", SDP))
                .may_get("100")
                .gets("180")
                .pauses(200)
                .asks(cancel())
                .gets("200")
                .gets("487")
                .says(submit()),
            Script::new()
                .gets("INVITE")
                .says(answer("180 Ringing", "", ""))
                .gets("CANCEL")
                .says(agree("200 OK", "", ""))
                .says(
                    answer("487 Request Terminated", "", "")
                        .replace("[last_CSeq:]", "CSeq: 1 INVITE"),
                )
                .gets("ACK"),
            "cancelled",
            &[487],
        ),
        scene(
            "hold and resume",
            talks()
                .pauses(200)
                .asks(inside("INVITE", 2, "", &format!("{SDP}a=sendonly\n")))
                .may_get("100")
                .gets_with("200", "a=recvonly")
                .says(inside("ACK", 2, "", ""))
                .pauses(200)
                .asks(inside("INVITE", 3, "", SDP))
                .may_get("100")
                .gets("200")
                .says(inside("ACK", 3, "", ""))
                .asks(inside("BYE", 4, "", ""))
                .gets("200"),
            takes()
                .gets_with("INVITE", "a=sendonly")
                .says(agree("200 OK", "", &format!("{SDP}a=recvonly\n")))
                .gets("ACK")
                .gets("INVITE")
                .says(agree("200 OK", "", SDP))
                .gets("ACK")
                .gets("BYE")
                .says(agree("200 OK", "", "")),
            "normal",
            &[200],
        ),
        scene(
            "an INVITE without an offer",
            Script::new()
                .asks(invite("", ""))
                .may_get("100")
                .may_get("180")
                .gets_with("200", "m=audio")
                .says(inside("ACK", 1, "", SDP))
                .asks(inside("BYE", 2, "", ""))
                .gets("200"),
            Script::new()
                .gets("INVITE")
                .says(answer("180 Ringing", "", ""))
                .says(answer("200 OK", "", SDP))
                .gets_with("ACK", "m=audio")
                .gets("BYE")
                .says(agree("200 OK", "", "")),
            "normal",
            &[200],
        ),
        scene(
            "a call that the callee ends",
            talks().gets("BYE").says(agree("200 OK", "", "")),
            Script::new()
                .gets_call(Like::default())
                .says(answer("200 OK", "", SDP))
                .gets("ACK")
                .pauses(300)
                .asks(from_callee("BYE", 1, "", ""))
                .gets("200"),
            "normal",
            &[200],
        ),
    ]
}

const AT_US: &str = "sip:[service]@[remote_ip]:[remote_port]";

/// What is out of the ordinary, and what RFC 3261 says to it.
fn oddities() -> Vec<Scene> {
    let merged = |message: String| message.replace("[call_number]-1\n", "[call_number]-merged\n");
    let stray = inside("BYE", 2, "", "")
        .replace("[next_url]", AT_US)
        .replace("[peer_tag_param]", ";tag=nobody");
    let slow = Script::new()
        .gets("INVITE")
        .says(answer("180 Ringing", "", ""))
        .pauses(600)
        .says(answer("200 OK", "", SDP))
        .gets("ACK");
    let no_hops = |message: String| message.replace("Max-Forwards: 70", "Max-Forwards: 0");
    vec![
        Scene::new(
            "an INVITE that came by two ways is one call",
            leaves(
                Script::new()
                    .asks(invite("", SDP))
                    .may_get("100")
                    .gets("180")
                    .says(merged(invite("", SDP)))
                    .gets("482")
                    .says(merged(submit()))
                    .gets("200")
                    .says(inside("ACK", 1, "", "")),
                2,
            ),
            Vendor::new(&[], left(slow)),
        ),
        Scene::alone(
            "an INVITE goes no further than it may",
            Script::new().asks(no_hops(invite("", SDP))).gets("483").says(no_hops(submit())),
        ),
        Scene::alone("a CANCEL of nothing finds nothing", Script::new().asks(cancel()).gets("481")),
        Scene::alone("a BYE of nothing finds nothing", Script::new().asks(stray).gets("481")),
        Scene::new(
            "a peer of RFC 2543 knows no cookie",
            leaves(talks(), 2).with("branch=z9hG4bK", "branch="),
            Vendor::new(&[], left(takes())),
        ),
        Scene::new(
            "an offer while another is under way is told to wait",
            leaves(
                talks()
                    .asks(inside("INVITE", 2, "", SDP))
                    .gets("100")
                    .says(inside("INVITE", 3, "", SDP))
                    .may_get("100")
                    .gets_with("500", "Retry-After: *[0-9]")
                    .says(inside("ACK", 3, "", "").replace("-ACK3", "-INVITE3"))
                    .gets("200")
                    .says(inside("ACK", 2, "", "")),
                4,
            ),
            Vendor::new(
                &[],
                left(takes().gets("INVITE").pauses(600).says(agree("200 OK", "", SDP)).gets("ACK")),
            ),
        ),
        Scene::new(
            "a BYE that crosses an offer ends the call and the offer",
            talks().gets("INVITE").asks(inside("BYE", 2, "", "")).gets("200"),
            Vendor::new(
                &[],
                Script::new()
                    .gets_call(Like::default())
                    .says(answer("200 OK", "", SDP))
                    .gets("ACK")
                    .pauses(300)
                    .asks(from_callee("INVITE", 1, "", SDP))
                    .may_get("100")
                    .gets("487")
                    .gets("BYE")
                    .says(agree("200 OK", "", ""))
                    .says(from_callee("ACK", 1, "", "").replace("-ACK1", "-INVITE1")),
            ),
        ),
    ]
}

#[test]
fn what_is_out_of_the_ordinary_is_answered_as_rfc_3261_says() {
    all_play(&oddities(), &Ways::six());
}

#[test]
fn peers_call_hold_cancel_and_refuse_over_both_families_and_all_carriers() {
    all_play(&basics(), &Ways::six());
}

#[test]
fn a_call_crosses_from_each_carrier_and_family_to_each() {
    all_play(&basics()[..1], &Ways::all());
}

#[test]
fn a_proxy_that_records_its_route_stays_between_us_and_its_vendor() {
    if !kamailio::is_installed() {
        return;
    }
    let Some(stage) = Stage::raised([Spot(10), Spot(11), Spot(12)]).expect("the stage is raised")
    else {
        return;
    };
    for (spot, place) in [(Spot(10), 0), (Spot(11), 3), (Spot(12), 5)] {
        let ways = Ways::both(Way::PLAIN);
        let mut scene = basics().swap_remove(place);
        let [at, next] = [0, 1].map(|place| vendor_at(spot, ways.vendor, place));
        let proxy = Proxy::between(at, next).start(&stage.lab).expect("the proxy starts");
        let vendor = scene.vendors[0].plays.take();
        // Where there is a route, its line needs its end.
        let vendor = vendor.map(|script| {
            script
                .with("[last_Record-Route:]", "[last_Record-Route:]\n")
                .with("[routes]", "[routes]\n")
        });
        scene.vendors.push(Vendor { fields: None, plays: vendor });
        match stage.play(spot, &scene, ways) {
            Ok(played) => {
                let got = &played.vendors_got[0];
                // Each request came through it.
                let requests = got.matches("Max-Forwards:").count();
                assert!(got.matches("\nVia: ").count() >= 2 * requests, "{got}");
            }
            Err(why) => panic!("{why}"),
        }
        drop(proxy);
    }
}

#[test]
fn a_vendor_with_the_certificate_of_another_is_passed_over() {
    let spot = Spot(10);
    let Some(stage) = Stage::raised([spot]).expect("the stage is raised") else { return };
    let Some(authority) = &stage.authority else { return };
    let ways = Ways { caller: Way::PLAIN, vendor: Way::SECURE };
    let at = vendor_at(spot, ways.vendor, 0);
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let stranger = authority.behind(&stage.lab, "vend", at, "stranger", nowhere);
    let stranger = stranger.expect("the stranger listens");
    let mut scene = basics().swap_remove(0);
    scene.vendors.insert(0, Vendor { fields: Some(&[]), plays: None });
    scene.attempts = &[0, 200];
    if let Err(why) = stage.play(spot, &scene, ways) {
        panic!("{why}");
    }
    let status = stage.tollgate("status").expect("both daemons answer");
    assert_eq!(counted(&status, "stream_handshake_failed"), 1, "{status}");
    drop(stranger);
}

#[test]
fn calls_between_the_same_peers_share_their_connections() {
    const CALLS: u32 = 20;
    let Some(stage) = Stage::raised([Spot(10)]).expect("the stage is raised") else { return };
    let (ways, scene) = (Ways::both(Way::STREAM), basics().swap_remove(0));
    stage.furnish(Spot(10), &scene, ways).expect("the gateways are made");
    let vendor = scene.vendors[0].plays.clone().map(|vendor| vendor.repeated(CALLS));
    if let Err(why) = stage.act(Spot(10), ways, &scene.caller.repeated(CALLS), &[vendor.as_ref()]) {
        panic!("{why}");
    }
    let mut status = Value::Null;
    let all_ended = Lab::wait_until(Duration::from_secs(5), || {
        status = stage.tollgate("status").unwrap_or_default();
        counted(&status, "calls_ended") == u64::from(CALLS)
    });
    assert!(all_ended, "{status}");
    let found = ["stream_accepted", "stream_opened"].map(|name| counted(&status, name));
    assert_eq!(found, [1, 1], "{status}");
}
