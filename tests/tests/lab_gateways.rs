//! What the fields of a gateway do to its SIP, by a foreign client on both sides, over IPv4 and IPv6 and
//! by UDP, TCP and TLS: each scene in all six ways.
//!
//! | shown | scenes |
//! |---|---|
//! | `ringback_mode`, `failure_map`, `reason`, `retry_after`, `publish` | [`told`] |
//! | `headers_*`, `user_phone`, `local_domain`, `SS_CALLERALLOWLENGTH` | [`written`] |
//! | `caller_from`, `identity_sent`, `privacy`, `trusted`, `forward_signal_*` | [`identities`] |
//! | `redirects_max`: several Contacts, chains, circles | [`redirected`] |
//! | forked 18x and 2xx, also by kamailio | [`forked`], `a_proxy_that_forks_is_one_vendor` |
//! | `reply_address`, `request_address` | [`addressed`], `a_peer_is_answered_and_asked_where_its_gateway_says` |

use std::net::SocketAddr;

use tests::kamailio::{self, Proxy};
use tests::sipp::{
    Carrier, Like, SDP, Script, agree, answer, answer_call, cancel, from_callee, inside, invite,
    leaves, left, publish, submit, takes, talks,
};
use tests::stage::{
    CALLER, DIALLED, Family, Scene, Seat, Side, Spot, Stage, Vendor, Way, Ways, all_play_with,
    at_place, ended, vendor_at,
};

/// A caller whose INVITE has these lines, and who hangs up in the end.
fn says(lines: &str) -> Script {
    leaves(talks_with(&invite(lines, SDP)), 2)
}

/// A caller who begins like this and is answered.
fn talks_with(invite: &str) -> Script {
    Script::new()
        .asks(invite)
        .may_get("100")
        .may_get("180")
        .gets("200")
        .says(inside("ACK", 1, "", ""))
}

/// A vendor that hears this in an INVITE, answers and is hung up on.
fn hears(has: &[&str], lacks: &[&str]) -> Script {
    let heard = Script::new().gets_like("INVITE", Like { has, lacks });
    left(heard.says(answer("200 OK", "", SDP)).gets("ACK"))
}

/// A vendor that fails like this.
fn fails(status: &str, lines: &str) -> Script {
    Script::new().gets("INVITE").says(answer(status, lines, "")).gets("ACK")
}

/// A caller who is told of a failure.
fn is_told(status: &str, like: Like<'_>) -> Script {
    let asks = Script::new().asks(invite("", SDP)).may_get("100").may_get("180");
    asks.gets_like(status, like).says(submit())
}

const ANY: Like<'static> = Like { has: &[], lacks: &[] };

/// How ringing, failures and ends are told.
fn told() -> Vec<Scene> {
    let early = Script::new()
        .gets_call(ANY)
        .says(answer("183 Session Progress", "", SDP))
        .pauses(200)
        .says(answer_call("200 OK", "", SDP))
        .gets("ACK");
    let rings = |status: &str, like| {
        let asks = Script::new().asks(invite("", SDP)).may_get("100").gets_like(status, like);
        leaves(asks.gets("200").says(inside("ACK", 1, "", "")), 2)
    };
    let silent = Like { has: &[], lacks: &["m=audio"] };
    let heard = Like { has: &["m=audio"], lacks: &[] };
    let because = "Reason: Q.850;cause=31;text=\"normal\"\n";
    let leaves_because = |lines: &str| talks().asks(inside("BYE", 2, lines, "")).gets("200");
    let left_because = |like| takes().gets_like("BYE", like).says(agree("200 OK", "", ""));
    let cancels = Script::new()
        .asks(invite("", SDP))
        .may_get("100")
        .gets("180")
        .asks(cancel().replace("Max-Forwards", &format!("{because}Max-Forwards")))
        .gets("200")
        .gets("487")
        .says(submit());
    let cancelled = Script::new()
        .gets_call(ANY)
        .says(answer("180 Ringing", "", ""))
        .gets_with("CANCEL", "Reason: *Q.850;cause=31")
        .says(agree("200 OK", "", ""))
        .says(answer_call("487 Request Terminated", "", ""))
        .gets("ACK");
    let presence = publish("Event: presence\nExpires: 300\n", PRESENCE);
    vec![
        Scene::new(
            "early media reach the caller",
            rings("183", heard),
            Vendor::new(&[], left(early.clone())),
        ),
        Scene::new(
            "a customer who wants a plain 180 gets no early media",
            rings("180", silent),
            Vendor::new(&[], left(early)),
        )
        .of(&["ringback_mode=180"]),
        Scene::new(
            "a customer who wants a 183 gets one for a 180",
            rings("183", silent),
            Vendor::new(&[], left(takes())),
        )
        .of(&["ringback_mode=183"]),
        Scene::new(
            "a vendor's failure is told as its table says",
            is_told("480", ANY),
            Vendor::new(&["failure_map=404=480"], fails("404 Not Found", "")),
        )
        .ends("rejected", &[404]),
        Scene::new(
            "and then as the customer's table says",
            is_told("486", ANY),
            Vendor::new(&["failure_map=404=480"], fails("404 Not Found", "")),
        )
        .of(&["failure_map=480=486"])
        .ends("rejected", &[404]),
        Scene::new(
            "why a call ends is passed on",
            leaves_because(because),
            Vendor::new(&[], left_because(Like { has: &["Reason: *Q.850;cause=31"], lacks: &[] })),
        ),
        Scene::new(
            "who wants no reason gets none",
            leaves_because(because),
            Vendor::new(&["reason=false"], left_because(Like { has: &[], lacks: &["Reason:"] })),
        ),
        Scene::new("why a caller gives up is passed on", cancels, Vendor::new(&[], cancelled))
            .ends("cancelled", &[487]),
        Scene::new(
            "why a vendor refuses is passed on",
            is_told("486", Like { has: &["Reason: *Q.850;cause=17"], lacks: &[] }),
            Vendor::new(&[], fails("486 Busy Here", "Reason: Q.850;cause=17\n")),
        )
        .ends("busy", &[486]),
        Scene::new(
            "who calls too often is told when to come back",
            leaves(talks(), 2)
                .then(&again("503", Like { has: &["Retry-After: *[0-9]"], lacks: &[] })),
            Vendor::new(&[], left(takes())),
        )
        .of(&["cps_max=1"]),
        Scene::new(
            "who does not heed that is told so without it",
            leaves(talks(), 2).then(&again("503", Like { has: &[], lacks: &["Retry-After"] })),
            Vendor::new(&[], left(takes())),
        )
        .of(&["cps_max=1", "retry_after=false"]),
        Scene::alone(
            "who may publish gets a name for what it published",
            Script::new().asks(&presence).gets_like(
                "200",
                Like { has: &["SIP-ETag: *[^ ]", "Expires: *[0-9]"], lacks: &[] },
            ),
        )
        .of(&["publish=true"]),
        Scene::alone(
            "who may not is told so",
            Script::new().asks(&presence).gets_with("405", "Allow:.*INVITE"),
        ),
    ]
}

const PRESENCE: &str = "<?xml version=\"1.0\"?>
<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:a@b\"></presence>
";

/// A second call at once, in a dialog of its own, is told this. SIPp takes what stands before the
/// slashes for no part of a Call-ID of its own.
fn again(status: &str, like: Like<'_>) -> Script {
    let another = |message: String| {
        message.replace("Call-ID: ", "Call-ID: second///").replace("-1\n", "-second\n")
    };
    Script::new()
        .asks(another(invite("", SDP)))
        .may_get("100")
        .gets_like(status, like)
        .says(another(submit()))
}

/// What stands in an INVITE.
fn written() -> Vec<Scene> {
    let lines = "X-Test: a\nX-Other: b\nX-Inside: 192.0.2.77\nSubject: lunch\n";
    let far = "1234567890123456";
    vec![
        Scene::new(
            "of fields that we do not know none passes unasked",
            says(lines),
            Vendor::new(&[], hears(&[], &["X-Test", "X-Other", "X-Inside", "Subject"])),
        ),
        Scene::new(
            "those named pass",
            says(lines),
            Vendor::new(
                &["headers_passed=X-Test;Subject"],
                hears(&["X-Test: a", "Subject: lunch"], &["X-Other", "X-Inside"]),
            ),
        ),
        Scene::new(
            "all pass that hold no address",
            says(lines),
            Vendor::new(
                &["headers_all_passed=true"],
                hears(&["X-Test: a", "X-Other: b", "Subject: lunch"], &["X-Inside"]),
            ),
        ),
        Scene::new(
            "our own lines stand in the INVITE",
            says(""),
            Vendor::new(
                &["headers_added=X-Carrier:7;X-Node:(own)"],
                hears(&["X-Carrier: *7", "X-Node: *(own)"], &[]),
            ),
        ),
        Scene::new(
            "a field of an answer passes to who wants it",
            leaves(
                Script::new()
                    .asks(invite("", SDP))
                    .may_get("100")
                    .gets_like("200", Like { has: &["X-Test: a"], lacks: &["X-Other"] })
                    .says(inside("ACK", 1, "", "")),
                2,
            ),
            Vendor::new(
                &[],
                left(Script::new().gets("INVITE").says(answer("200 OK", lines, SDP)).gets("ACK")),
            ),
        )
        .of(&["headers_passed=X-Test"]),
        Scene::new(
            "numbers are named as such and callers are of our domain",
            says(""),
            Vendor::new(
                &["user_phone=true", "local_domain=true"],
                hears(
                    &[
                        "INVITE sip:[0-9]*@[^ ]*;user=phone",
                        "From: [^<]*<sip:39021234@sip.example.net;user=phone",
                        "To:.*;user=phone",
                    ],
                    &[],
                ),
            ),
        ),
        Scene::new(
            "else they are not",
            says(""),
            Vendor::new(&[], hears(&[], &["user=phone", "sip.example.net"])),
        ),
        Scene::alone(
            "a caller with too long a number is refused",
            Script::new()
                .asks(invite("", SDP).replace("From: <sip:39021234", &format!("From: <sip:{far}")))
                .may_get("100")
                .gets("403")
                .says(submit().replace("From: <sip:39021234", &format!("From: <sip:{far}"))),
        ),
    ]
}

/// Who calls, and who sent the call on.
fn identities() -> Vec<Scene> {
    let all = "P-Asserted-Identity: <sip:390655@[local_ip]>\nP-Preferred-Identity: <sip:390656@[local_ip]>\n\
               Remote-Party-ID: <sip:390657@[local_ip]>;party=calling;privacy=off\n";
    let known = |name: &'static str, customer, fields, has: &[&str], lacks: &[&str]| {
        Scene::new(name, says(all), Vendor::new(fields, hears(has, lacks))).of(customer)
    };
    let diverted = "Diversion: <sip:390700@[local_ip]>;reason=user-busy\n";
    let history = "History-Info: <sip:390700@[local_ip]>;index=1\nHistory-Info: <sip:39@[local_ip]>;index=1.1\n";
    let forwarded = |name: &'static str, lines: &str, fields, has: &[&str], lacks: &[&str]| {
        Scene::new(name, says(lines), Vendor::new(fields, hears(has, lacks)))
    };
    vec![
        known(
            "a number comes from P-Preferred-Identity and goes as P-Asserted-Identity",
            &["caller_from=preferred"],
            &["identity_sent=asserted"],
            &["From: [^<]*<sip:390656@", "P-Asserted-Identity: [^<]*<sip:390656@"],
            &["390655", "390657", "39021234", "Remote-Party-ID"],
        ),
        known(
            "a number comes from Remote-Party-ID and goes as P-Preferred-Identity",
            &["caller_from=remote_party"],
            &["identity_sent=preferred"],
            &["From: [^<]*<sip:390657@", "P-Preferred-Identity: [^<]*<sip:390657@"],
            &["390655", "390656", "39021234", "P-Asserted-Identity"],
        ),
        known(
            "a number comes from P-Asserted-Identity and goes as Remote-Party-ID",
            &["caller_from=asserted"],
            &["identity_sent=remote_party"],
            &["From: [^<]*<sip:390655@", "Remote-Party-ID: [^<]*<sip:390655@.*privacy=off"],
            &["390656", "390657", "39021234", "P-Asserted-Identity"],
        ),
        known(
            "a number comes from From and goes there alone",
            &[],
            &[],
            &["From: [^<]*<sip:39021234@"],
            &["39065", "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"],
        ),
        Scene::new(
            "a wish for privacy is not heeded where the gateway wants none",
            says("Privacy: id\n"),
            Vendor::new(&[], hears(&["From: [^<]*<sip:39021234@"], &["Privacy:", "anonymous"])),
        )
        .of(&["privacy=false"]),
        forwarded(
            "who is believed that a call was sent on is passed on as Diversion",
            history,
            &["forward_signal_sent=diversion"],
            &["Diversion: [^<]*<sip:390700@"],
            &["History-Info"],
        )
        .of(&["forward_signal_heard=true"]),
        forwarded(
            "who is believed that a call was sent on is passed on as History-Info",
            diverted,
            &["forward_signal_sent=history_info"],
            &["History-Info: [^<]*<sip:390700@", "History-Info:.*index=1.1"],
            &["Diversion"],
        )
        .of(&["forward_signal_heard=true"]),
        forwarded(
            "who is not believed is not passed on",
            diverted,
            &["forward_signal_sent=diversion"],
            &[],
            &["390700", "Diversion"],
        ),
        forwarded(
            "whoever wants no such signal gets none",
            diverted,
            &[],
            &[],
            &["390700", "Diversion", "History-Info"],
        )
        .of(&["forward_signal_heard=true"]),
    ]
}

/// A vendor that sends a call on to these Contacts.
fn moves(contacts: &[String]) -> Script {
    let own = "<sip:[local_ip]:[local_port];transport=[transport]>";
    fails("302 Moved Temporarily", "").with(own, &contacts.join(", "))
}

/// A Contact at a place of the scene.
fn at(number: &str, place: usize) -> String {
    format!("<sip:{number}@{};transport=[transport]>", at_place(place))
}

fn redirected() -> Vec<Scene> {
    let best = moves(&[at("4471", 1) + ";q=0.2", at("4472", 2) + ";q=0.9"]);
    let busy = |number: &str| {
        Script::new()
            .gets_with("INVITE", &format!("INVITE sip:{number}@"))
            .says(answer("480 Temporarily Unavailable", "", ""))
            .gets("ACK")
    };
    let on = |place| moves(&[at("4479", place)]);
    let away = Like { has: &[], lacks: &["4479"] };
    vec![
        Scene::new(
            "of several Contacts the best is tried first",
            leaves(talks(), 2),
            Vendor::new(&["redirects_max=1"], best),
        )
        .and(Vendor::elsewhere(left(takes())))
        .and(Vendor::elsewhere(busy("4472")))
        .ends("normal", &[302, 480, 200]),
        Scene::new(
            "a chain of redirections is followed as far as the gateway says",
            leaves(talks(), 2),
            Vendor::new(&["redirects_max=2"], on(1)),
        )
        .and(Vendor::elsewhere(on(2)))
        .and(Vendor::elsewhere(left(takes())))
        .ends("normal", &[302, 302, 200]),
        Scene::new(
            "and no further",
            is_told("503", away),
            Vendor::new(&["redirects_max=2"], on(1)),
        )
        .and(Vendor::elsewhere(on(2)))
        .and(Vendor::elsewhere(on(3)))
        .ends("rejected", &[302, 302, 302]),
        Scene::new(
            "a circle of redirections is left where it closes",
            is_told("503", away),
            Vendor::new(&["redirects_max=5"], on(1)),
        )
        .and(Vendor::elsewhere(moves(&[at(DIALLED, 0), at("4479", 1)])))
        .ends("rejected", &[302, 302]),
    ]
}

/// A response of another fork than the first.
fn of_fork(message: &str, fork: &str) -> String {
    message.replace(";tag=[pid]v[call_number]", &format!(";tag=[pid]{fork}[call_number]"))
}

fn forked() -> Vec<Scene> {
    let ringing = of_fork(&answer("180 Ringing", "", ""), "a");
    let progress = of_fork(&answer("183 Session Progress", "", SDP), "b");
    let waiting = of_fork(&answer("180 Ringing", "", ""), "c");
    let rings = || Script::new().gets_call(ANY).says(&ringing).says(&progress).says(&waiting);
    let accepts = |fork: &str| of_fork(&answer_call("200 OK", "", SDP), fork);
    let hears_all = Script::new()
        .asks(invite("", SDP))
        .may_get("100")
        .gets("180")
        .gets("183")
        .gets("180")
        .gets("200")
        .says(inside("ACK", 1, "", ""));
    vec![
        Scene::new(
            "the fork that answers is the call",
            leaves(hears_all.clone(), 2),
            Vendor::new(
                &[],
                rings()
                    .says(accepts("b"))
                    .gets_with("ACK", "To:.*tag=[0-9]*b")
                    .gets_with("BYE", "To:.*tag=[0-9]*b")
                    .says(agree("200 OK", "", "")),
            ),
        ),
        Scene::new(
            "a fork that answers without having rung is the call",
            leaves(hears_all.clone(), 2),
            Vendor::new(
                &[],
                rings()
                    .says(accepts("d"))
                    .gets_with("ACK", "To:.*tag=[0-9]*d")
                    .gets_with("BYE", "To:.*tag=[0-9]*d")
                    .says(agree("200 OK", "", "")),
            ),
        ),
        Scene::new(
            "a fork that answers after another is thanked and left",
            leaves(hears_all.pauses(600), 2),
            Vendor::new(
                &[],
                rings()
                    .says(accepts("a"))
                    .gets_with("ACK", "To:.*tag=[0-9]*a")
                    .says(accepts("c"))
                    .gets_with("ACK", "To:.*tag=[0-9]*c")
                    .gets_with("BYE", "To:.*tag=[0-9]*c")
                    .says(agree("200 OK", "", ""))
                    .gets_with("BYE", "To:.*tag=[0-9]*a")
                    .says(agree("200 OK", "", "")),
            ),
        ),
    ]
}

/// Nobody is there.
const NOBODY: &str = "<sip:4479@[local_ip]:9;transport=[transport]>";
const OWN_CONTACT: &str = "<sip:[local_ip]:[local_port];transport=[transport]>";

fn addressed() -> Vec<Scene> {
    let useless = left(takes()).with(OWN_CONTACT, NOBODY);
    let moved = Script::new()
        .gets("INVITE")
        .says(answer("200 OK", "", SDP))
        .with(OWN_CONTACT, &at("4479", 1));
    vec![
        Scene::new(
            "requests inside a call go to its Contact",
            leaves(talks(), 2),
            Vendor::new(&[], moved),
        )
        .and(Vendor::elsewhere(left(Script::new().gets("ACK")))),
        Scene::new(
            "a vendor with a useless Contact is spoken to where its messages come from",
            leaves(talks(), 2),
            Vendor::new(&["request_address=source"], useless.clone()),
        ),
        Scene::new(
            "a vendor with a useless Contact is spoken to at its own address",
            leaves(talks(), 2),
            Vendor::new(&["request_address=fixed"], useless),
        ),
    ]
}

/// A caller who speaks from one port and says that it is to be found at another; what came back to the
/// first is lost.
fn split(via: &str, contact: &str) -> Script {
    let own = "[local_ip]:[local_port]";
    let via = format!("SIP/2.0/[transport] {};rport", own.replace("[local_port]", via));
    let contact = format!("Contact: <sip:39021234@{}", own.replace("[local_port]", contact));
    talks()
        .gets("BYE")
        .says(agree("200 OK", "", ""))
        .with(&format!("SIP/2.0/[transport] {own}"), &via)
        .with(&format!("Contact: <sip:39021234@{own}"), &contact)
}

#[test]
fn a_peer_is_answered_and_asked_where_its_gateway_says() {
    let spots = [10, 11, 12, 13].map(Spot);
    let Some(stage) = Stage::raised(spots).expect("the stage is raised") else { return };
    let hangs_up = Script::new()
        .gets_call(ANY)
        .says(answer("200 OK", "", SDP))
        .gets("ACK")
        .pauses(200)
        .asks(from_callee("BYE", 1, "", ""))
        .gets("200");
    let at_via = Scene::new(
        "responses go to the port of the Via, whatever they are asked for by rport",
        split("[local_port]", "[local_port]"),
        Vendor::new(&[], hangs_up.clone()),
    );
    let at_home = Scene::new(
        "responses and requests go to the gateway's own address, whatever it says",
        split("9", "9"),
        Vendor::new(&[], hangs_up),
    );
    let ways = [Way::PLAIN, Way { family: Family::Six, carrier: Carrier::Udp }].map(Ways::both);
    for (ways, spots) in ways.into_iter().zip(spots.chunks(2)) {
        let scenes = [
            at_via.clone().of(&["reply_address=via"]),
            at_home.clone().of(&["reply_address=fixed", "request_address=fixed"]),
        ];
        for (&spot, scene) in spots.iter().zip(&scenes) {
            stage.furnish(spot, scene, ways).expect("the gateways are made");
            let own = Side::Customers.address(ways.caller.family, spot.0);
            let home = SocketAddr::new(own, CALLER.port);
            // The first is its own, the second lets it speak from other ports.
            let (customer, all) = (spot.customer(), format!("[\"{home}\",\"{own}\"]"));
            let moves_in = format!("gateway mapping set {customer} --field addresses={all}");
            stage.tollgate(&moves_in).expect("it has an own address");
            let vendor = scene.vendors[0].plays.as_ref().expect("somebody is there");
            let vendor = stage.stands(spot, ways.vendor, 0, vendor).expect("the vendor starts");
            let seat = Seat { mouth: Some(CALLER.port + 1), ..CALLER };
            let caller = stage.asks(seat, spot, ways.caller, &scene.caller);
            let cast = vec![vendor, caller.expect("the caller starts")];
            if let Err(why) = ended(cast) {
                panic!("{} by {ways:?}: {why}", scene.name);
            }
        }
    }
}

/// A vendor's proxy rings two phones at once: they are early dialogs of one call.
#[test]
fn a_proxy_that_forks_is_one_vendor() {
    if !kamailio::is_installed() {
        return;
    }
    let ways = [Way::PLAIN, Way { family: Family::Six, carrier: Carrier::Udp }].map(Ways::both);
    let spots = [10, 11].map(Spot);
    let Some(stage) = Stage::raised(spots).expect("the stage is raised") else { return };
    for (ways, spot) in ways.into_iter().zip(spots) {
        let [at, first, second] = [0, 1, 2].map(|place| vendor_at(spot, ways.vendor, place));
        let carrier = ways.vendor.carrier;
        let proxy = Proxy { at, carrier, next: vec![first, second], asks: None };
        let proxy = proxy.start(&stage.lab).expect("the proxy starts");
        let called_off = Script::new()
            .gets_call(ANY)
            .says(answer("180 Ringing", "", ""))
            .gets("CANCEL")
            .says(agree("200 OK", "", ""))
            .says(answer_call("487 Request Terminated", "", ""))
            .gets("ACK");
        let answers = Script::new()
            .gets("INVITE")
            .pauses(100)
            .says(answer("183 Session Progress", "", SDP))
            .pauses(200)
            .says(answer("200 OK", "", SDP))
            .gets("ACK");
        let routed = |script: Script| {
            script
                .with("[last_Record-Route:]", "[last_Record-Route:]\n")
                .with("[routes]", "[routes]\n")
        };
        let hears_both =
            Script::new().asks(invite("", SDP)).may_get("100").gets("180").gets("183").gets("200");
        let scene = Scene::new(
            "a proxy that forks",
            leaves(hears_both.says(inside("ACK", 1, "", "")), 2),
            Vendor { fields: Some(&[]), plays: None },
        )
        .and(Vendor::elsewhere(called_off))
        .and(Vendor::elsewhere(routed(left(answers))));
        if let Err(why) = stage.play(spot, &scene, ways) {
            panic!("{why}");
        }
        drop(proxy);
    }
}

#[test]
fn gateways_want_their_sip_in_ways_of_their_own() {
    let scenes: Vec<Scene> =
        [told(), written(), identities(), redirected(), forked(), addressed()].concat();
    all_play_with(
        &["TG_SIP_DOMAIN sip.example.net", "SS_CALLERALLOWLENGTH 15"],
        &scenes,
        &Ways::six(),
    );
}

#[test]
fn a_call_costs_what_the_route_that_answered_costs_and_a_forwarded_one_more() {
    let spots = [10, 11, 12].map(Spot);
    let Some(stage) = Stage::raised(spots).expect("the stage is raised") else { return };
    for command in [
        "account set acme --route-prefix-billing true --forward-prefix F",
        "tariff rate set retail 71 6",
        "tariff rate set retail 72 12",
        "tariff rate set retail 71F 30",
    ] {
        stage.tollgate(command).expect("it is set");
    }
    let talks = |lines: &str| leaves(talks_with(&invite(lines, SDP)).pauses(1_200), 2);
    let routes = |name, caller, first, second| {
        let scene = Scene::new(name, caller, Vendor::new(&["billing_prefix=71"], first));
        scene.and(Vendor { fields: Some(&["billing_prefix=72"]), plays: second })
    };
    let forwarded = "Diversion: <sip:+39061234567@example.net>;reason=unconditional\n";
    let away = fails("503 Service Unavailable", "");
    let scenes = [
        routes("the second route answers", talks(""), away, Some(left(takes())))
            .ends("normal", &[503, 200]),
        routes("the first route answers", talks(""), left(takes()), None).ends("normal", &[200]),
        routes("a forwarded call", talks(forwarded), left(takes()), None)
            .of(&["forward_signal_heard=true"])
            .ends("normal", &[200]),
    ];
    let prices = [("72", "12.00/60s"), ("71", "6.00/60s"), ("71F", "30.00/60s")];
    for ((spot, scene), (prefix, rate)) in spots.into_iter().zip(&scenes).zip(prices) {
        let cdr = stage
            .play(spot, scene, Ways::both(Way::PLAIN))
            .unwrap_or_else(|why| panic!("{why}"))
            .cdr;
        let text = |field: &str| cdr[field].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text("billing_prefix").as_str(), text("rate").as_str()),
            (prefix, rate),
            "{cdr}"
        );
        let per_minute: f64 = rate.trim_end_matches("/60s").parse().expect("a rate");
        let billed_s = cdr["billed_s"].as_f64().expect("seconds");
        let charge: f64 = text("charge").parse().expect("money");
        assert!(billed_s >= 2.0 && (charge - billed_s * per_minute / 60.0).abs() < 1e-6, "{cdr}");
    }
    stage.tollgate("account audit").expect("the books agree");
}
