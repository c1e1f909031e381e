//! What carries SIP, beside what every other scene shows by being played over it: keep-alives, limits and
//! ends of connections by socat and bash, the switch to TCP and the mark of packets by SIPp and tcpdump.
//!
//! | shown | test |
//! |---|---|
//! | RFC 5626 keep-alive, idle connections, `SS_TCP_CLOSE_RESET`, messages too long | `connections_are_kept_while_they_are_of_use_and_end_as_told` |
//! | connections of one source | `a_source_has_its_share_of_connections` |
//! | handshakes that never come to an end | `who_never_ends_its_handshake_delays_nobody` |
//! | above the MTU by TCP (`TG_SIP_TCP_ABOVE`) | `a_long_request_goes_by_tcp` |
//! | `SS_QOS_SIGNAL` | `signalling_is_marked` |

use std::time::Duration;

use serde_json::Value;
use tests::carrier::counted;
use tests::lab::{Error, Lab, Running};
use tests::sipp::{Carrier, SDP, Script, answer, inside, invite, leaves, left, takes, talks};
use tests::stage::{
    CALLER, Family, Scene, Spot, Stage, Vendor, Way, Ways, at_once, ended, spots, vendor_at,
};

const SOON: Duration = Duration::from_secs(10);

/// The ways that are connections.
fn connections(stage: &Stage) -> Vec<Way> {
    stage.ways().into_iter().filter(|way| way.carrier != Carrier::Udp).collect()
}

/// How socat calls the appliance by a way.
fn target(stage: &Stage, way: Way) -> String {
    let host = if way.family == Family::Four { "10.10.1.2" } else { "[fd10:1::2]" };
    match (&stage.authority, way.carrier) {
        (Some(authority), Carrier::Tls) => {
            let authority = authority.file("authority.pem");
            format!("OPENSSL:{host}:5061,cafile={authority},commonname=10.10.1.2")
        }
        _ => format!("TCP:{host}:5060"),
    }
}

/// What somebody hears who says this on a connection and then listens, and how that ended.
fn hears(stage: &Stage, way: Way, words: &str) -> Result<(String, String), Error> {
    let target = target(stage, way);
    let script = format!("(printf '{words}'; sleep 4) | socat -d -t 1 STDIO {target}");
    let output = stage.lab.inside("cust", "bash", &["-c", &script]).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr)))
}

fn count(stage: &Stage, name: &str) -> u64 {
    counted(&stage.tollgate("status").unwrap_or(Value::Null), name)
}

#[test]
fn connections_are_kept_while_they_are_of_use_and_end_as_told() {
    let Some(stage) = Stage::raised([]).expect("the stage is raised") else { return };
    let ways = connections(&stage);
    let each = |what: &str, words: &str, is_right: &(dyn Fn(&str, &str) -> bool + Sync)| {
        at_once(&ways, |_, way| {
            let (heard, end) = hears(&stage, way, words).map_err(|error| error.to_string())?;
            let right = is_right(&heard, &end);
            if right { Ok(()) } else { Err(format!("{what}: {heard:?} {end:?}")) }
        });
    };
    each("two line ends are answered by one", "\\r\\n\\r\\n", &|heard, end| {
        heard == "\r\n" && !end.contains("reset")
    });
    let long = "OPTIONS sip:a SIP/2.0\\r\\nContent-Length: 900000\\r\\n\\r\\n";
    each("a message that is too long ends its connection", long, &|heard, _| heard.is_empty());
    let counts = |name, times: usize| {
        let all = || count(&stage, name) == times as u64;
        assert!(Lab::wait_until(SOON, all), "{name}: {}", count(&stage, name));
    };
    counts("stream_message_too_long", ways.len());
    stage.tollgate("param set TG_STREAM_IDLE 1").expect("a parameter is set");
    each("an idle connection is closed", "", &|_, end| !end.contains("reset"));
    stage.tollgate("param set SS_TCP_CLOSE_RESET 1").expect("a parameter is set");
    each("or reset", "", &|_, end| end.contains("reset by peer"));
    counts("stream_idle", 2 * ways.len());
}

/// So many connections to a port of the appliance that say nothing.
fn silent(stage: &Stage, connections: u32, port: u16) -> Result<Running, Error> {
    let script = format!(
        "for i in $(seq {connections}); do exec {{fd}}<>/dev/tcp/10.10.1.2/{port}; done; sleep 60"
    );
    stage.lab.start("cust", "bash", &["-c", &script])
}

#[test]
fn a_source_has_its_share_of_connections() {
    let Some(stage) = Stage::raised([]).expect("the stage is raised") else { return };
    stage.tollgate("param set TG_STREAMS_PER_SOURCE 3").expect("a parameter is set");
    let silent = silent(&stage, 5, 5060).expect("it connects");
    let refused = || count(&stage, "stream_over_limit") == 2;
    assert!(Lab::wait_until(SOON, refused), "{}", count(&stage, "stream_over_limit"));
    drop(silent);
    // Somebody else has a share of his own.
    let way = Way { family: Family::Six, carrier: Carrier::Tcp };
    let (heard, _) = hears(&stage, way, "\\r\\n\\r\\n").expect("it connects");
    assert_eq!(heard, "\r\n");
}

#[test]
fn who_never_ends_its_handshake_delays_nobody() {
    let Some(stage) = Stage::raised([Spot(10)]).expect("the stage is raised") else { return };
    if stage.authority.is_none() {
        return;
    }
    let silent = silent(&stage, 60, 5061).expect("it connects");
    let connected = || count(&stage, "stream_accepted") >= 60;
    assert!(Lab::wait_until(SOON, connected), "{}", count(&stage, "stream_accepted"));
    let scene = Scene::new("a call by TLS", leaves(talks(), 2), Vendor::new(&[], left(takes())));
    let played = stage.play(Spot(10), &scene, Ways::both(Way::SECURE));
    let cdr = played.unwrap_or_else(|why| panic!("{why}")).cdr;
    let sent = cdr.pointer("/attempts/0/sent_ms").and_then(Value::as_u64);
    assert!(sent.is_some_and(|ms| ms < 500), "{cdr}");
    drop(silent);
}

#[test]
fn a_long_request_goes_by_tcp() {
    let families = [Family::Four, Family::Six];
    let Some(stage) = Stage::raised(spots(2 * families.len())).expect("the stage is raised") else {
        return;
    };
    stage.tollgate("param set TG_SIP_TCP_ABOVE 1300").expect("a parameter is set");
    let each = |family| [("short", Carrier::Udp), ("x", Carrier::Tcp)].map(|it| (family, it));
    let all: Vec<_> = families.into_iter().flat_map(each).collect();
    at_once(&all, |spot, (family, (word, carrier))| {
        let ways = Ways::both(Way { family, carrier: Carrier::Udp });
        let padding = if word == "x" { word.repeat(1_000) } else { word.to_owned() };
        let asks = Script::new().asks(invite(&format!("X-Padding: {padding}\n"), SDP));
        let asks = asks.may_get("100").may_get("180").gets("200").says(inside("ACK", 1, "", ""));
        let vendor = Vendor { fields: Some(&["headers_all_passed=true"]), plays: None };
        let scene = Scene::new("a request", leaves(asks, 2), vendor);
        stage.furnish(spot, &scene, ways).map_err(|error| error.to_string())?;
        // Who is rung listens to one of them alone.
        let way = Way { family, carrier };
        let rung = Script::new().gets("INVITE").says(answer("200 OK", "", SDP)).gets("ACK");
        let vendor = stage.stands(spot, way, 0, &left(rung))?;
        let caller = stage.asks(CALLER, spot, ways.caller, &scene.caller)?;
        ended(vec![vendor, caller]).map(|_| ())
    });
}

#[test]
fn signalling_is_marked() {
    let Some(stage) = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised") else {
        return;
    };
    stage.tollgate("param set SS_QOS_SIGNAL 26").expect("a parameter is set");
    at_once(&stage.ways(), |spot, way| {
        let words = |error: Error| error.to_string();
        let own = vendor_at(spot, way, 0);
        let mark = match way.family {
            Family::Four => format!("ip[1] & 0xfc == {}", 26 << 2),
            Family::Six => format!("ip6[0:2] & 0xfc0 == {}", 26 << 6),
        };
        let ip = own.ip();
        let filter = format!("dst host {ip} and dst port {} and {mark}", own.port());
        let watch = ["15", "tcpdump", "-n", "-c", "2", "-i", "tgv0", "-l", &filter];
        let watch = stage.lab.start("vend", "timeout", &watch).map_err(words)?;
        let vendor = Vendor::new(&[], left(takes()));
        let scene = Scene::new("a call", leaves(talks(), 2), vendor);
        stage.play(spot, &scene, Ways::both(way))?;
        let seen = watch.output().map_err(|error| error.to_string())?;
        if seen.status.success() { Ok(()) } else { Err("no packet had the mark".to_owned()) }
    });
}
