//! Registrations both ways by a foreign client: phones that register here and are called, and
//! registrars of vendors at which we register. Over IPv4 and IPv6, by UDP, TCP and TLS.
//!
//! | shown | test |
//! |---|---|
//! | several contacts, q, expiry and its limits, fetch, removal of one and of all | `a_phone_keeps_its_contacts_as_it_likes_within_limits` |
//! | newest or all contacts, forking, 6xx | `a_registered_phone_rings_at_its_newest_contact_or_at_all` |
//! | `rel100` and `session_timer` of a phone | `a_phone_is_offered_what_its_fields_say` |
//! | Path | `a_phone_behind_a_proxy_is_called_along_its_path` |
//! | contacts behind NAT, OPTIONS and line ends that keep them reachable | `a_phone_behind_nat_is_called_and_kept_reachable_where_it_came_from` |
//! | `SS_AUTHCHALLENGEMODE`, who exists, old nonces | `strangers_learn_nothing_of_who_exists`, `a_nonce_that_is_too_old_is_told_so` |
//! | PUBLISH | `a_phone_that_may_publish_does` |
//! | outbound registration: delay after a failure, 401, 423, removal | `we_register_at_a_vendor_and_take_it_back` |

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::sipp::{
    Carrier, Like, SDP, Script, agree, answer, answer_call, credentials, invite, leaves, left,
    publish, register, submit, takes, talks,
};
use tests::stage::{
    Family, Scene, Seat, Side, Spot, Stage, Vendor, Way, Ways, at_once, ended, outcome, spots,
    vendor_at,
};

const SOON: Duration = Duration::from_secs(10);
const SECRET: &str = "Secret-Word-17";

/// What a phone says of itself.
const HERE: &str = "Contact: <sip:phone(own)@[local_ip]:[local_port];transport=[transport]>\n";
/// It takes back what all others have said, too.
const NOWHERE: &str = "Contact: *\nExpires: 0\n";

/// A phone proves who it is and has this to say of its contacts.
fn registers(contacts: &str) -> Script {
    asks_to_register(1, contacts, "200", Like::default())
}

/// The same from this number on, and what it gets.
fn asks_to_register(number: u32, contacts: &str, status: &str, like: Like<'_>) -> Script {
    let again = format!("{contacts}{}", credentials("phone(own)", SECRET));
    Script::new()
        .asks(register("phone(own)", number, contacts))
        .gets_challenge("401")
        .asks(register("phone(own)", number + 1, &again))
        .gets_like(status, like)
}

/// A customer's gateway and a phone at one spot.
fn furnish(stage: &Stage, spot: Spot, ways: Ways, fields: &str) -> Result<(), String> {
    let nobody = Scene::alone("a phone", Script::new());
    stage.furnish(spot, &nobody, ways).map_err(|error| error.to_string())?;
    let (own, number) = (spot.0, spot.number());
    let phone = format!(
        "phone create phone{own} --account acme --tariff retail --owns {number} --number {number} \
         --password {SECRET} {fields}"
    );
    stage.tollgate(phone.trim_end()).map_err(|error| error.to_string())?;
    Ok(())
}

/// How many contacts a phone has.
fn contacts(stage: &Stage, spot: Spot) -> usize {
    let shown = stage.tollgate(&format!("registration show phone{}", spot.0)).unwrap_or_default();
    shown.get("contacts").and_then(Value::as_array).map_or(0, Vec::len)
}

/// The phone speaks from one of its places; what it got.
fn says(
    stage: &Stage,
    spot: Spot,
    way: Way,
    place: usize,
    script: &Script,
) -> Result<String, String> {
    let seat = Seat::new(Side::Vendors, vendor_at(spot, way, place).port());
    let phone = stage.asks(seat, spot, way, script)?;
    Ok(ended(vec![phone])?.pop().unwrap_or_default())
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} and not {wanted:?}")) }
}

/// A phone that rings until it is called off.
fn called_off() -> Script {
    Script::new()
        .gets_call(Like::default())
        .says(answer("180 Ringing", "", ""))
        .gets("CANCEL")
        .says(agree("200 OK", "", ""))
        .says(answer_call("487 Request Terminated", "", ""))
        .gets("ACK")
}

/// Which contacts ring.
#[derive(Clone, Copy, Debug)]
enum Rings {
    Newest,
    All,
    /// All, until one refuses for all.
    Declined,
}

fn rings(stage: &Stage, spot: Spot, (way, rings): (Way, Rings)) -> Result<(), String> {
    let ways = Ways::both(way);
    let ring = if matches!(rings, Rings::Newest) { "newest" } else { "all" };
    furnish(stage, spot, ways, &format!("--ring {ring}"))?;
    says(stage, spot, way, 0, &registers(HERE))?;
    says(stage, spot, way, 1, &registers(HERE))?;
    expect("contacts", &contacts(stage, spot), &2)?;
    let played = |caller: &Script, phones: &[Option<&Script>]| {
        stage.act(spot, ways, caller, phones)?;
        stage.record(spot)
    };
    let leaves = leaves(talks(), 2);
    let left = left(takes());
    match rings {
        Rings::Newest => {
            // Nobody is at the older contact: ringing it would be a failed attempt.
            let cdr = played(&leaves, &[None, Some(&left)])?;
            expect("its end", &outcome(&cdr), &("normal", vec![200]))?;
            // All contacts at once are taken back.
            says(stage, spot, way, 1, &registers(NOWHERE))?;
            expect("contacts", &contacts(stage, spot), &0)?;
            let offline = Script::new().asks(invite("", SDP)).may_get("100");
            stage.act(spot, ways, &offline.gets("480").says(submit()), &[])?;
            Ok(())
        }
        Rings::All => {
            let cdr = played(&leaves, &[Some(&left), Some(&called_off())])?;
            expect("its end", &outcome(&cdr).0, &"normal")
        }
        Rings::Declined => {
            let declines = Script::new()
                .gets("INVITE")
                .says(answer("180 Ringing", "", ""))
                .pauses(300)
                .says(answer("603 Decline", "", ""))
                .gets("ACK");
            let hears = Script::new()
                .asks(invite("", SDP))
                .may_get("100")
                .may_get("180")
                .may_get("180")
                .gets("603")
                .says(submit());
            let cdr = played(&hears, &[Some(&declines), Some(&called_off())])?;
            expect("its end", &outcome(&cdr).0, &"busy")
        }
    }
}

#[test]
fn a_registered_phone_rings_at_its_newest_contact_or_at_all() {
    let stage = Stage::raised(spots(3 * Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let each = |way| [Rings::Newest, Rings::All, Rings::Declined].map(|rings| (way, rings));
    // Who comes by TLS is called on the connection that it keeps (lab_clients, lab_websocket).
    let ways = Way::ALL.into_iter().filter(|way| way.carrier != Carrier::Tls);
    let all: Vec<_> = ways.flat_map(each).collect();
    at_once(&all, |spot, one| rings(&stage, spot, one));
}

#[test]
fn a_phone_is_offered_what_its_fields_say() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let offered = Like {
        has: &["Require:.*100rel", "Supported:.*timer", "Session-Expires: *1800"],
        lacks: &[],
    };
    let settled = "Require: timer\nSession-Expires: 1800;refresher=uas\n";
    let called = Script::new()
        .gets_call(offered)
        .says(answer("180 Ringing", "Require: 100rel\nRSeq: 17\n", ""))
        .gets_with("PRACK", "RAck: 17 1 INVITE")
        .says(agree("200 OK", "", ""))
        .says(answer_call("200 OK", settled, SDP))
        .gets("ACK");
    let ways = Way::ALL.into_iter().filter(|way| way.carrier != Carrier::Tls);
    at_once(&ways.collect::<Vec<_>>(), |spot, way| {
        let ways = Ways::both(way);
        furnish(&stage, spot, ways, "--field rel100=required --field session_timer=true")?;
        says(&stage, spot, way, 0, &registers(HERE))?;
        stage.act(spot, ways, &leaves(talks(), 2), &[Some(&left(called.clone()))])?;
        expect("its end", &outcome(&stage.record(spot)?), &("normal", vec![200]))
    });
}

#[test]
fn a_phone_keeps_its_contacts_as_it_likes_within_limits() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let second = "<sip:phone(own)@[local_ip]:9;transport=[transport]>";
    let two = format!("{}Expires: 300\nContact: {second};q=0.5;expires=120\n", HERE);
    let both: &[&str] = &["phone[0-9]*@[^>]*>;expires=300", ":9[^>]*>;q=0.5[0]*;expires=120"];
    let removed = format!("Contact: {second};expires=0\n");
    let script = asks_to_register(1, &two, "200", Like { has: both, lacks: &[] })
        // Who asks for nothing learns what there is.
        .then(&asks_to_register(
            3,
            "",
            "200",
            Like { has: &["Contact:.*phone", ":9[^>]*>;q="], lacks: &[] },
        ))
        .then(&asks_to_register(
            5,
            &removed,
            "200",
            Like { has: &["Contact:.*phone"], lacks: &[":9[^0-9]"] },
        ))
        .then(&asks_to_register(
            7,
            &format!("{HERE}Expires: 5\n"),
            "423",
            Like { has: &["Min-Expires: *60"], lacks: &[] },
        ))
        .then(&asks_to_register(
            9,
            &format!("{HERE}Expires: 100000\n"),
            "200",
            Like { has: &["expires=3600"], lacks: &[] },
        ))
        .then(&asks_to_register(11, NOWHERE, "200", Like { has: &[], lacks: &["Contact:"] }));
    at_once(&stage.ways(), |spot, way| {
        furnish(&stage, spot, Ways::both(way), "")?;
        says(&stage, spot, way, 0, &script)?;
        expect("contacts", &contacts(&stage, spot), &0)
    });
}

#[test]
fn a_phone_behind_a_proxy_is_called_along_its_path() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    // It is where nobody could reach it but by its proxy, which is SIPp, too.
    let hidden = HERE.replace("[local_ip]:[local_port]", "192.168.77.7:5060");
    let path = "<sip:[local_ip]:[local_port];transport=[transport];lr>";
    let registers = asks_to_register(
        1,
        &format!("Supported: path\nPath: {path}\n{hidden}"),
        "200",
        Like { has: &["Path: *<sip:"], lacks: &[] },
    );
    let called = Script::new()
        .gets_like(
            "INVITE",
            Like {
                has: &["INVITE sip:phone[0-9]*@192.168.77.7", "Route: *<sip:[^>]*;lr>"],
                lacks: &[],
            },
        )
        .says(answer("200 OK", "", SDP))
        .gets("ACK");
    at_once(&stage.ways(), |spot, way| {
        let ways = Ways::both(way);
        furnish(&stage, spot, ways, "")?;
        says(&stage, spot, way, 0, &registers)?;
        stage.act(spot, ways, &leaves(talks(), 2), &[Some(&left(called.clone()))])?;
        let cdr = stage.record(spot)?;
        expect("its end", &outcome(&cdr), &("normal", vec![200]))
    });
}

/// UDP alone: who comes by a connection is called on it (lab_clients, lab_websocket).
#[test]
fn a_phone_behind_nat_is_called_and_kept_reachable_where_it_came_from() {
    let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| way.carrier == Carrier::Udp).collect();
    let Some(stage) = Stage::raised(spots(ways.len())).expect("the stage is raised") else {
        return;
    };
    stage.tollgate("param set SS_SIP_NAT_KEEP_ALIVE 1").expect("a parameter is set");
    let hidden = HERE.replace("[local_ip]:[local_port]", "192.168.77.7:5060");
    at_once(&ways, |spot, way| {
        furnish(&stage, spot, Ways::both(way), "")?;
        let (interface, own) = ("tgv0", Side::Vendors.address(way.family, spot.0).to_string());
        // Two line ends, after eight bytes of UDP.
        let length = if way.family == Family::Four { "udp[4:2] == 12" } else { "ip6[44:2] == 12" };
        let filter = format!("dst host {own} and udp and {length}");
        let watch = ["10", "tcpdump", "-n", "-c", "2", "-i", interface, &filter];
        let watch =
            stage.lab.start("vend", "timeout", &watch).map_err(|error| error.to_string())?;
        says(&stage, spot, way, 0, &registers(&hidden))?;
        let seen = watch.output().map_err(|error| error.to_string())?;
        expect("line ends came twice", &seen.status.success(), &true)
    });
    stage.tollgate("param set TG_NAT_KEEP_ALIVE_METHOD 1").expect("a parameter is set");
    let asked = Script::new().gets("OPTIONS").says(answer("200 OK", "", ""));
    let called = Script::new()
        .gets_with("INVITE", "INVITE sip:phone[0-9]*@192.168.77.7")
        .says(answer("200 OK", "", SDP))
        .gets("ACK");
    at_once(&ways, |spot, way| ended(vec![stage.stands(spot, way, 0, &asked)?]).map(|_| ()));
    stage.tollgate("param set SS_SIP_NAT_KEEP_ALIVE 3600").expect("a parameter is set");
    at_once(&ways, |spot, way| {
        let ways = Ways::both(way);
        stage.act(spot, ways, &leaves(talks(), 2), &[Some(&left(called.clone()))])?;
        let cdr = stage.record(spot)?;
        expect("its end", &outcome(&cdr), &("normal", vec![200]))
    });
}

/// The lines of an answer without what is drawn by lot or repeats what was asked.
fn shape(got: &str) -> Vec<String> {
    let answers = got.lines().filter(|line| !line.is_empty());
    let kept = answers.filter(|line| {
        ["SIP/2.0", "WWW-", "Proxy-", "Server", "Allow", "Retry", "Warning", "Content-Length"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    let without = |line: &str| match line.split_once("nonce=") {
        Some((head, rest)) => {
            format!("{head}{}", rest.split_once(',').map_or("", |(_, rest)| rest))
        }
        None => line.to_owned(),
    };
    kept.map(without).collect()
}

#[test]
fn strangers_learn_nothing_of_who_exists() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    stage.tollgate("param set SS_AUTHENTICATION_FAILED_SUSPEND 0").expect("a parameter is set");
    for way in stage.ways() {
        let spot = Spot(10 + Way::ALL.iter().position(|it| *it == way).unwrap_or(0) as u8);
        furnish(&stage, spot, Ways::both(way), "").expect("the phone is made");
    }
    for (mode, status, header) in [
        (1, "401", "WWW-Authenticate"),
        (2, "407", "Proxy-Authenticate"),
        (3, "401", "WWW-Authenticate"),
    ] {
        stage.tollgate(&format!("param set SS_AUTHCHALLENGEMODE {mode}")).expect("it is set");
        at_once(&stage.ways(), |spot, way| {
            let tries = |name: &str| {
                let again = format!("{HERE}{}", credentials(name, "Wrong-Word-171"));
                let script = Script::new()
                    .asks(register(name, 1, HERE))
                    .gets_challenge(status)
                    .asks(register(name, 2, &again))
                    .gets_with(status, header);
                says(&stage, spot, way, 0, &script).map(|got| shape(&got))
            };
            let (known, unknown) = (tries("phone(own)")?, tries("nobody(own)")?);
            expect("answers", &unknown, &known)?;
            expect("there were two", &(known.len() > 4), &true)
        });
    }
}

#[test]
fn a_nonce_that_is_too_old_is_told_so() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    stage.tollgate("param set TG_NONCE_AGE 10").expect("a parameter is set");
    let again = |number| {
        register("phone(own)", number, &format!("{HERE}{}", credentials("phone(own)", SECRET)))
    };
    let script = Script::new()
        .asks(register("phone(own)", 1, HERE))
        .gets_challenge("401")
        .pauses(11_500)
        .asks(again(2))
        .gets_challenge("401")
        .asks(again(3))
        .gets("200");
    at_once(&stage.ways(), |spot, way| {
        furnish(&stage, spot, Ways::both(way), "")?;
        let got = says(&stage, spot, way, 0, &script)?;
        let told = got.split("SIP/2.0 401").filter(|answer| answer.contains("stale=true"));
        expect("how often it was told", &told.count(), &1)
    });
}

#[test]
fn a_phone_that_may_publish_does() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let body =
        "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"></presence>\n";
    let says_more = |number: u32, lines: &str| {
        publish(&format!("Event: presence\nExpires: 300\n{lines}"), body)
            .replace("39021234", "phone(own)")
            .replace("CSeq: 1", &format!("CSeq: {number}"))
            .replace("[call_number]-1\n", &format!("[call_number]-{number}\n"))
    };
    let script = Script::new()
        .asks(says_more(1, ""))
        .gets_challenge("407")
        .asks(says_more(2, &credentials("phone(own)", SECRET)))
        .gets_with("200", "SIP-ETag: *[^ ]");
    at_once(&stage.ways(), |spot, way| {
        furnish(&stage, spot, Ways::both(way), "--field publish=true")?;
        says(&stage, spot, way, 0, &script).map(|_| ())
    });
}

#[test]
fn we_register_at_a_vendor_and_take_it_back() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    stage.tollgate("param set RETRY_DELAY 1").expect("a parameter is set");
    let asks = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"4f1e\", qop=\"auth\"\n";
    let registrar = Script::new()
        .gets_with("REGISTER", "Contact: <sip:")
        .says(answer("500 Server Internal Error", "", ""))
        .gets("REGISTER")
        .says(answer("401 Unauthorized", asks, ""))
        .gets_proof("REGISTER", "carol", SECRET)
        .says(answer("423 Interval Too Brief", "Min-Expires: 7200\n", ""))
        .gets_with("REGISTER", "Expires: 7200")
        .says(answer("200 OK", "Expires: 7200\n", ""))
        .gets_with("REGISTER", "Expires: 0")
        .says(answer("200 OK", "", ""));
    at_once(&stage.ways(), |spot, way| {
        let stands = stage.stands(spot, way, 0, &registrar)?;
        let fields: &[&str] =
            &["auth_username=carol", "auth_password=Secret-Word-17", "registration=true"];
        let vendor = Vendor { fields: Some(fields), plays: None };
        let scene = Scene::new("a registrar", Script::new(), vendor);
        stage.furnish(spot, &scene, Ways::both(way)).map_err(|error| error.to_string())?;
        let show = format!("gateway routing show {}", spot.vendor(0));
        let state = || stage.tollgate(&show).unwrap_or_default();
        let registered = || state().get("registration_state") == Some(&json!("registered"));
        if !Lab::wait_until(SOON, registered) {
            return Err(format!("{}\n{:?}", state(), ended(vec![stands])));
        }
        expect("online", &state().get("online").cloned(), &Some(json!(true)))?;
        let delete = format!("gateway routing delete {}", spot.vendor(0));
        stage.tollgate(&delete).map_err(|error| error.to_string())?;
        ended(vec![stands]).map(|_| ())
    });
}

#[test]
fn sipsak_asks_for_options_and_registers() {
    if !std::path::Path::new("/usr/bin/sipsak").exists() {
        eprintln!("SKIPPED: needs sipsak; run scripts/install lab");
        return;
    }
    let Some(stage) = Stage::raised([]).expect("the stage is raised") else { return };
    let sipsak = |arguments: &str| {
        let words: Vec<&str> = arguments.split(' ').collect();
        stage.lab.run("cust", "sipsak", &words)
    };
    for ask in ["-s sip:10.10.1.2", "--transport=tcp -s sip:10.10.1.2"] {
        let said = sipsak(&format!("-vv {ask}")).expect("OPTIONS is answered");
        assert!(said.contains("SIP/2.0 200 OK") && said.contains("Allow: INVITE"), "{said}");
    }
    let phone = "phone create alice --account acme --tariff retail --password Secret-Word-17";
    stage.tollgate(phone).expect("the phone is made");
    let register = |password: &str, seconds: u32| {
        sipsak(&format!(
            "-U -i -C sip:alice@10.10.1.1:5080 -u alice -a {password} -x {seconds} -s sip:alice@10.10.1.2"
        ))
    };
    register("Wrong-Word-171", 120).expect_err("a wrong password is refused");
    let shown = || stage.tollgate("registration show alice").unwrap_or_default();
    assert_eq!(shown().pointer("/contacts/0"), None);
    register(SECRET, 120).expect("the right one is taken");
    let uri = shown().pointer("/contacts/0/uri").cloned().unwrap_or_default();
    assert!(uri.as_str().is_some_and(|uri| uri.contains("alice@10.10.1.1:5080")), "{}", shown());
    register(SECRET, 0).expect("it is taken back");
    assert_eq!(shown().pointer("/contacts/0"), None, "{}", shown());
    let status = stage.tollgate("status").expect("both daemons answer");
    let failed = status.pointer("/registrations/failed").and_then(Value::as_u64);
    assert!(failed.is_some_and(|failed| failed > 0), "{status}");
}
