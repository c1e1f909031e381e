//! The extensions of SIP that carriers use, by a foreign client on both sides: what each peer saw, and
//! what the books say. Each scene over IPv4 and IPv6, by UDP, TCP and TLS.
//!
//! | shown | scenes |
//! |---|---|
//! | session timers: both refreshers, 422, a session that is not refreshed | [`sessions`] |
//! | PRACK on either side, on both, and on neither | [`reliable`] |
//! | UPDATE, INFO, MESSAGE, 491, CANCEL against 200 | [`inside_a_call`] |
//! | passwords both ways | [`challenged`], more in `lab_vendors.rs` |
//! | 302, vendors that are gone or full (Retry-After) | [`elsewhere`], more in `lab_gateways.rs` |
//! | Privacy and P-Asserted-Identity | [`identities`], more in `lab_gateways.rs` |

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::sipp::{
    Like, SDP, Script, agree, agree_call, answer, answer_call, cancel, credentials, from_callee,
    inside, invite, leaves, left, submit, takes, talks,
};
use tests::stage::{Scene, Spot, Stage, Vendor, Way, Ways, all_play, at_place};

/// A body that is no description.
fn other_body(message: &str, kind: &str) -> String {
    message.replace("application/sdp", kind)
}

fn reliable() -> Vec<Scene> {
    let rings = "Require: 100rel\nRSeq: 17\n";
    let caller = |lines: &str| {
        Script::new()
            .asks(invite(lines, SDP))
            .may_get("100")
            .gets_reliable("183")
            .asks(inside("PRACK", 2, "RAck: [$rseq] 1 INVITE\n", ""))
            .gets("200")
            .gets("200")
            .says(inside("ACK", 1, "", ""))
    };
    let rung = Script::new()
        .gets_call(Like { has: &["(Require|Supported):.*100rel"], lacks: &[] })
        .says(answer("183 Session Progress", rings, SDP))
        .gets_with("PRACK", "RAck: 17 1 INVITE")
        .says(agree("200 OK", "", ""))
        .says(answer_call("200 OK", "", SDP))
        .gets("ACK");
    let plain = Script::new()
        .gets_like("INVITE", Like { has: &[], lacks: &["Require:.*100rel"] })
        .says(answer("183 Session Progress", "", SDP))
        .pauses(200)
        .says(answer("200 OK", "", SDP))
        .gets("ACK");
    vec![
        Scene {
            customer: &["rel100=supported"],
            ..Scene::new(
                "both sides are acknowledged that it rings",
                leaves(caller("Supported: 100rel\n"), 3),
                Vendor::new(&["rel100=supported"], left(rung.clone())),
            )
        },
        Scene {
            customer: &["rel100=required"],
            ..Scene::new(
                "a caller who demands PRACK speaks with a vendor that knows none",
                leaves(caller("Require: 100rel\n"), 3),
                Vendor::new(&[], left(plain)),
            )
        },
        Scene::new(
            "a vendor that demands PRACK is rung by a caller who knows none",
            leaves(talks(), 2),
            Vendor::new(&["rel100=required"], left(rung)),
        ),
    ]
}

fn inside_a_call() -> Vec<Scene> {
    let dtmf =
        other_body(&inside("INFO", 2, "", "Signal=5\nDuration=160\n"), "application/dtmf-relay");
    let words = other_body(&inside("MESSAGE", 2, "", "Good morning\n"), "text/plain");
    // Nobody is sent an UPDATE who does not say that it takes one (RFC 3311 §4).
    let takes_updates = Script::new()
        .gets("INVITE")
        .says(answer("200 OK", "Allow: INVITE, ACK, CANCEL, BYE, UPDATE\n", SDP))
        .gets("ACK");
    vec![
        Scene::new(
            "UPDATE moves the media",
            leaves(
                talks()
                    .asks(inside("UPDATE", 2, "", &format!("{SDP}a=sendonly\n")))
                    .gets_with("200", "a=recvonly"),
                3,
            ),
            Vendor::new(
                &[],
                left(takes_updates.gets_with("UPDATE", "a=sendonly").says(agree(
                    "200 OK",
                    "",
                    &format!("{SDP}a=recvonly\n"),
                ))),
            ),
        ),
        Scene::new(
            "a digit passes by INFO to a vendor that knows them so",
            leaves(talks().asks(&dtmf).gets("200"), 3),
            Vendor::new(
                &["dtmf=info"],
                left(takes().gets_with("INFO", "Signal=5").says(agree("200 OK", "", ""))),
            ),
        ),
        Scene::new(
            "a digit as INFO is told as an event and answered by us",
            leaves(talks().asks(&dtmf).gets("200"), 3),
            Vendor::new(&[], left(takes())),
        ),
        Scene {
            customer: &["message=true"],
            ..Scene::new(
                "words pass by MESSAGE inside a call",
                leaves(talks().asks(&words).gets("200"), 3),
                Vendor::new(
                    &["message=true"],
                    left(
                        takes().gets_with("MESSAGE", "Good morning").says(agree("200 OK", "", "")),
                    ),
                ),
            )
        },
        Scene::new(
            "words are refused where they are not wanted",
            leaves(talks().asks(&words).gets("405"), 3),
            Vendor::new(&[], left(takes())),
        ),
        Scene::new(
            "a re-INVITE that crosses another is told 491",
            leaves(
                talks()
                    .gets_call(Like::default())
                    .asks(inside("INVITE", 2, "", SDP))
                    .may_get("100")
                    .gets("491")
                    .says(inside("ACK", 2, "", "").replace("-ACK2", "-INVITE2"))
                    .says(agree_call("200 OK", "", SDP))
                    .gets("ACK"),
                3,
            ),
            Vendor::new(
                &[],
                left(
                    Script::new()
                        .gets_call(Like::default())
                        .says(answer("200 OK", "", SDP))
                        .gets("ACK")
                        .pauses(1_000)
                        .asks(from_callee("INVITE", 1, "", SDP))
                        .may_get("100")
                        .gets("200")
                        .says(from_callee("ACK", 1, "", "")),
                ),
            ),
        ),
        Scene {
            reason: "cancelled",
            ..Scene::new(
                "a CANCEL that crosses the 200 ends in a BYE",
                Script::new()
                    .asks(invite("", SDP))
                    .may_get("100")
                    .gets("180")
                    .asks(cancel())
                    .gets("200")
                    .gets("487")
                    .says(submit()),
                Vendor::new(
                    &[],
                    left(
                        Script::new()
                            .gets_call(Like::default())
                            .says(answer("180 Ringing", "", ""))
                            .gets("CANCEL")
                            .says(agree("200 OK", "", ""))
                            .says(answer_call("200 OK", "", SDP))
                            .gets("ACK"),
                    ),
                ),
            )
        },
    ]
}

/// Says who he is, but with this password.
fn proves(password: &str) -> Script {
    let again = invite(&credentials("trunk(own)", password), SDP)
        .replace("CSeq: 1", "CSeq: 2")
        .replace("[call_number]-1\n", "[call_number]-2\n");
    Script::new()
        .asks(invite("", SDP))
        .gets_challenge("407")
        .says(submit())
        .asks(again)
        .may_get("100")
}

/// A customer with a password.
const ASKED: &[&str] =
    &["authentication=ip_and_password", "auth_username=trunk(own)", "auth_password=Secret-Word-17"];

fn challenged() -> Vec<Scene> {
    let asks = |status: &str, offer: &str| {
        Script::new().gets("INVITE").says(answer(status, &format!("{offer}\n"), "")).gets("ACK")
    };
    let taken = Script::new().says(answer("200 OK", "", SDP)).gets("ACK");
    // SIPp's own arithmetic reads no Proxy-Authorization.
    let told = asks(
        "407 Proxy Authentication Required",
        "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"4f1b\", algorithm=MD5, qop=\"auth\"",
    )
    .gets_with("INVITE", "Proxy-Authorization: Digest username=\"carol\".*nc=00000001");
    let proved = |offer: &str| {
        asks("401 Unauthorized", offer).gets_proof("INVITE", "carol", "Secret-Word-17")
    };
    let quality = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"4f1c\", qop=\"auth\"";
    let simple = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"4f1d\"";
    let secret: &[&str] = &["auth_username=carol", "auth_password=Secret-Word-17"];
    vec![
        Scene::new(
            "a vendor that asks by 407 gets the password of its gateway",
            leaves(talks(), 2),
            Vendor::new(secret, left(told.then(&taken))),
        ),
        Scene::new(
            "a vendor that asks by 401 is shown that we know the password",
            leaves(talks(), 2),
            Vendor::new(secret, left(proved(quality).then(&taken))),
        ),
        Scene::new(
            "a vendor that asks by 401 without qop is shown the same",
            leaves(talks(), 2),
            Vendor::new(secret, left(proved(simple).then(&taken))),
        ),
        Scene {
            customer: ASKED,
            ..Scene::new(
                "a customer is asked for its password",
                leaves(
                    proves("Secret-Word-17")
                        .may_get("180")
                        .gets("200")
                        .says(inside("ACK", 2, "", "")),
                    3,
                ),
                Vendor::new(&[], left(takes())),
            )
        },
    ]
}

fn elsewhere() -> Vec<Scene> {
    let moved = |place: &str| {
        answer("302 Moved Temporarily", "", "").replace(
            "<sip:[local_ip]:[local_port];transport=[transport]>",
            &format!("<sip:4479@{place};transport=[transport]>"),
        )
    };
    let sends_on = Script::new().gets("INVITE").says(moved(&at_place(1))).gets("ACK");
    vec![
        Scene {
            vendors: vec![
                Vendor::new(&["redirects_max=1"], sends_on.clone()),
                Vendor { fields: None, plays: Some(left(takes())) },
            ],
            attempts: &[302, 200],
            ..Scene::new(
                "a 302 is followed where it may be",
                leaves(talks(), 2),
                Vendor::new(&[], takes()),
            )
        },
        Scene {
            vendors: vec![Vendor::new(&[], sends_on), Vendor::new(&[], left(takes()))],
            attempts: &[302, 200],
            ..Scene::new(
                "a 302 is a failure where it may not be followed",
                leaves(talks(), 2),
                Vendor::new(&[], takes()),
            )
        },
        Scene {
            vendors: vec![
                Vendor { fields: Some(&[]), plays: None },
                Vendor::new(&[], left(takes())),
            ],
            attempts: &[0, 200],
            ..Scene::new(
                "a vendor that is not there is passed over at once",
                leaves(talks(), 2),
                Vendor::new(&[], takes()),
            )
        },
        full(),
    ]
}

/// A vendor that wants to be left alone for half a minute.
fn full() -> Scene {
    let full = Script::new()
        .gets("INVITE")
        .says(answer("503 Service Unavailable", "Retry-After: 30\n", ""))
        .gets("ACK");
    Scene {
        vendors: vec![Vendor::new(&[], full), Vendor::new(&[], left(takes()))],
        attempts: &[503, 200],
        ..Scene::new("a full vendor is passed over", leaves(talks(), 2), Vendor::new(&[], takes()))
    }
}

fn identities() -> Vec<Scene> {
    let hides = Script::new()
        .asks(invite("P-Asserted-Identity: <sip:390655@[local_ip]>\nPrivacy: id\n", SDP))
        .may_get("100")
        .may_get("180")
        .gets("200")
        .says(inside("ACK", 1, "", ""));
    let answers = Script::new().says(answer("200 OK", "", SDP)).gets("ACK");
    let nothing = Like {
        has: &["anonymous@anonymous.invalid", "Privacy:.*id"],
        lacks: &["390655", "39021234"],
    };
    let all = Like { has: &["P-Asserted-Identity:.*390655@", "Privacy:.*id"], lacks: &[] };
    vec![
        Scene {
            customer: &["trusted=true", "caller_from=asserted"],
            ..Scene::new(
                "a withheld number stays hidden from a stranger",
                leaves(hides.clone(), 2),
                Vendor::new(
                    &["identity_sent=asserted"],
                    left(Script::new().gets_like("INVITE", nothing).then(&answers)),
                ),
            )
        },
        Scene {
            customer: &["trusted=true", "caller_from=asserted"],
            ..Scene::new(
                "a withheld number is told to whom we trust",
                leaves(hides, 2),
                Vendor::new(
                    &["identity_sent=asserted", "trusted=true"],
                    left(Script::new().gets_like("INVITE", all).then(&answers)),
                ),
            )
        },
    ]
}

fn sessions() -> Vec<Scene> {
    let timed = |lines: &str| {
        Script::new()
            .asks(invite(lines, SDP))
            .may_get("100")
            .may_get("180")
            .gets_with("200", "Session-Expires: *90")
            .says(inside("ACK", 1, "", ""))
    };
    let agrees = |lines: &str| {
        Script::new()
            .gets_call(Like { has: &["Supported:.*timer", "Session-Expires:"], lacks: &[] })
            .says(answer("200 OK", lines, SDP))
            .gets("ACK")
    };
    let too_short = "Supported: timer\nSession-Expires: 60\n";
    let enough = "Supported: timer\nSession-Expires: 90\nMin-SE: 90\n";
    let longer = |invite: String| {
        invite.replace("CSeq: 1", "CSeq: 2").replace("[call_number]-1\n", "[call_number]-2\n")
    };
    vec![
        Scene::new(
            "a session that is too short is told by 422 how long it must be",
            leaves(
                Script::new()
                    .asks(invite(too_short, SDP))
                    .may_get("100")
                    .gets_with("422", "Min-SE: *90")
                    .says(submit())
                    .asks(longer(invite(enough, SDP)))
                    .may_get("100")
                    .may_get("180")
                    .gets_with("200", "Session-Expires: *90")
                    .says(inside("ACK", 2, "", "")),
                3,
            ),
            Vendor::new(&[], left(takes())),
        ),
        Scene::new(
            "a vendor that wants longer sessions by 422 gets them",
            leaves(talks(), 2),
            Vendor::new(
                &["session_timer=true"],
                left(
                    Script::new()
                        .gets_with("INVITE", "Session-Expires: *1800")
                        .says(answer("422 Session Interval Too Small", "Min-SE: 3600\n", ""))
                        .gets("ACK")
                        .gets_with("INVITE", "Session-Expires: *3600")
                        .says(answer(
                            "200 OK",
                            "Require: timer\nSession-Expires: 3600;refresher=uac\n",
                            SDP,
                        ))
                        .gets("ACK"),
                ),
            ),
        ),
        Scene::new(
            "both sides are refreshed by us in half the time",
            leaves(
                timed("Supported: timer\nAllow: INVITE, ACK, CANCEL, BYE, UPDATE\nSession-Expires: 90;refresher=uas\n")
                    .patient(60_000)
                    .gets_with("UPDATE", "Session-Expires: *90")
                    .says(agree("200 OK", "Supported: timer\nSession-Expires: 90;refresher=uac\n", "")),
                2,
            ),
            Vendor::new(
                &["session_timer=true"],
                agrees("Require: timer\nAllow: INVITE, ACK, CANCEL, BYE\nSession-Expires: 90;refresher=uac\n")
                    .patient(60_000)
                    .gets_with("INVITE", "Session-Expires: *90")
                    .says(agree("200 OK", "Require: timer\nSession-Expires: 90;refresher=uac\n", SDP))
                    .gets("ACK")
                    .gets("BYE")
                    .says(agree("200 OK", "", "")),
            ),
        ),
        Scene {
            reason: "session_expired",
            ..Scene::new(
                "a caller who does not refresh its session is hung up on",
                timed("Supported: timer\nSession-Expires: 90;refresher=uac\n")
                    .patient(95_000)
                    .gets("BYE")
                    .says(agree("200 OK", "", "")),
                Vendor::new(&[], left(takes().patient(95_000))),
            )
        },
        Scene::new(
            "both sides refresh by themselves",
            leaves(
                timed("Supported: timer\nSession-Expires: 90;refresher=uac\n")
                    .asks(inside("UPDATE", 2, "Supported: timer\nSession-Expires: 90;refresher=uac\n", ""))
                    .gets_with("200", "Session-Expires: *90")
                    .pauses(600),
                3,
            ),
            Vendor::new(
                &["session_timer=true"],
                left(
                    agrees("Require: timer\nSession-Expires: 90;refresher=uas\n")
                        .pauses(400)
                        .asks(from_callee("UPDATE", 1, "Supported: timer\nSession-Expires: 90;refresher=uac\n", ""))
                        .gets_with("200", "Session-Expires: *90"),
                ),
            ),
        ),
    ]
}

#[test]
fn extensions_hold_between_peers_over_all_carriers() {
    let scenes: Vec<Scene> =
        [sessions(), reliable(), inside_a_call(), challenged(), elsewhere(), identities()].concat();
    all_play(&scenes, &Ways::six());
}

#[test]
fn operators_see_who_is_left_alone_who_is_not_there_and_who_lied() {
    let spots = [10, 11, 12].map(Spot);
    let Some(stage) = Stage::raised(spots).expect("the stage is raised") else { return };
    let ways = Ways::both(Way::PLAIN);
    let [busy, gone, liar] = spots;
    let play = |spot, scene: &Scene| match stage.play(spot, scene, ways) {
        Ok(played) => played.cdr,
        Err(why) => panic!("{why}"),
    };
    play(busy, &full());
    let asked = format!(
        "route explain --gateway {} --from 39021234 --to {}",
        busy.customer(),
        busy.number()
    );
    let explained = stage.tollgate(&asked).expect("it is explained");
    let items = explained.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let excluded = items.iter().find(|item| item.get("gateway") == Some(&json!(busy.vendor(0))));
    let why = excluded.and_then(|item| item.get("excluded"));
    assert_eq!(why, Some(&json!("retry_after")), "{explained}");

    let absent = elsewhere().swap_remove(2);
    let cdr = play(gone, &absent);
    let sent = cdr.pointer("/attempts/1/sent_ms").and_then(Value::as_u64);
    assert!(sent.is_some_and(|ms| ms < 500), "the next vendor is asked at once: {cdr}");

    let lies = Scene { customer: ASKED, vendors: Vec::new(), ..full() };
    stage.furnish(liar, &lies, ways).expect("the gateway is made");
    let refused = proves("Wrong-Word-171").gets("407").says(submit_again());
    if let Err(why) = stage.act(liar, ways, &refused, &[]) {
        panic!("{why}");
    }
    let illegal = || stage.tollgate("cdr list --billing-mode illegal").unwrap_or_default();
    let told = Lab::wait_until(Duration::from_secs(10), || {
        illegal().pointer("/items/0/end_reason") == Some(&json!("unauthorised"))
    });
    assert!(told, "{}", illegal());
}

/// Acknowledges the failure of the second INVITE.
fn submit_again() -> String {
    submit().replace("CSeq: 1", "CSeq: 2").replace("[call_number]-1\n", "[call_number]-2\n")
}
