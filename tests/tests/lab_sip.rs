//! What peers do in SIP, by a foreign client on both sides: over IPv4 and IPv6, UDP, TCP and TLS.

use std::time::Duration;

use serde_json::Value;
use tests::carrier::counted;
use tests::lab::Lab;
use tests::sipp::{
    Like, SDP, Script, agree, answer, cancel, from_callee, inside, invite, submit, takes, talks,
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

#[test]
fn peers_call_hold_cancel_and_refuse_over_both_families_and_all_carriers() {
    all_play(&basics(), &Ways::three());
}

#[test]
fn a_call_crosses_from_each_carrier_and_family_to_each() {
    all_play(&basics()[..1], &Ways::all());
}

#[test]
fn a_proxy_that_records_its_route_stays_between_us_and_its_vendor() {
    if !tests::kamailio::is_installed() {
        return;
    }
    let Some(stage) = Stage::raised([Spot(10), Spot(11), Spot(12)]).expect("the stage is raised")
    else {
        return;
    };
    for (spot, place) in [(Spot(10), 0), (Spot(11), 3), (Spot(12), 5)] {
        let ways = Ways::both(Way::PLAIN);
        let mut scene = basics().swap_remove(place);
        let proxy = tests::kamailio::start(
            &stage.lab,
            vendor_at(spot, ways.vendor, 0),
            vendor_at(spot, ways.vendor, 1),
        );
        let proxy = proxy.expect("the proxy starts");
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
    let Some(mut stage) = Stage::raised([Spot(10)]).expect("the stage is raised") else { return };
    let (ways, scene) = (Ways::both(Way::STREAM), &basics()[0]);
    stage.furnish(Spot(10), scene, ways).expect("the gateways are made");
    let vendors = [scene.vendors[0].plays.as_ref()];
    stage.calls = CALLS;
    if let Err(why) = stage.act(Spot(10), ways, &scene.caller, &vendors) {
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
