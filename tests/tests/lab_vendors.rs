//! What we are to vendors as a client: we ask whether they are there, and answer who asks for our
//! password. By SIPp over IPv4 and IPv6, UDP, TCP and TLS; by kamailio over all but TLS.

use std::time::Duration;

use serde_json::{Value, json};
use tests::kamailio::{self, Asks, Proxy};
use tests::lab::Lab;
use tests::sipp::{Carrier, Like, SDP, Script, answer, invite, leaves, left, submit, takes, talks};
use tests::stage::{
    CALLER, Family, Scene, Spot, Stage, Vendor, Way, Ways, all_play, at_once, ended, outcome,
    spots, vendor_at,
};

const SECRET: &[&str] = &["auth_username=carol", "auth_password=Secret-Word-17"];
/// Twice the interval of OPTIONS, and some.
const SOON: Duration = Duration::from_secs(15);

/// Waits until the first vendor is seen so.
fn is_seen(stage: &Stage, spot: Spot, field: &str, value: impl Fn(&Value) -> bool) -> bool {
    let show = format!("gateway routing show {}", spot.vendor(0));
    Lab::wait_until(SOON, || {
        let shown = stage.tollgate(&show).unwrap_or_default();
        value(shown.get(field).unwrap_or(&Value::Null))
    })
}

fn is_online(stage: &Stage, spot: Spot, online: bool) -> Result<(), String> {
    if is_seen(stage, spot, "online", |value| *value == json!(online)) {
        return Ok(());
    }
    Err(format!("{} is never seen online={online}", spot.vendor(0)))
}

/// Whoever answers OPTIONS is online; who says 503, or nothing, is passed over until it answers again.
fn is_watched(stage: &Stage, spot: Spot, way: Way) -> Result<(), String> {
    let ways = Ways::both(way);
    let said = |status| Script::new().patient(15_000).gets("OPTIONS").says(answer(status, "", ""));
    let watched = Scene::new(
        "a vendor that is asked whether it is there",
        leaves(talks(), 2),
        Vendor { fields: Some(&["options_check=true"]), plays: None },
    )
    .and(Vendor::new(&[], left(takes())));
    let busy = stage.stands(spot, way, 0, &said("503 Service Unavailable"))?;
    stage.furnish(spot, &watched, ways).map_err(|error| error.to_string())?;
    let takes = left(takes());
    let expect = |what: &str, found: &Value, wanted: &Value| match found == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {found}")),
    };
    // It says that it takes no calls: the next one has them. Nobody was asked who was not there.
    is_online(stage, spot, false)?;
    ended(vec![busy])?;
    stage.act(spot, ways, &watched.caller, &[None, Some(&takes)])?;
    let statuses = outcome(&stage.record(spot)?).1;
    expect("who is tried", &json!(statuses), &json!([200]))?;
    let explain = format!(
        "route explain --gateway {} --from 39021234 --to {}",
        spot.customer(),
        spot.number()
    );
    let explained = stage.tollgate(&explain).map_err(|error| error.to_string())?;
    let items = explained.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let first = items.iter().find(|item| item.get("gateway") == Some(&json!(spot.vendor(0))));
    let why = first.and_then(|item| item.get("excluded")).cloned().unwrap_or_default();
    expect("why it is passed over", &why, &json!("offline"))?;
    // It answers: the next call is its own.
    let takes = takes.or_options().repeated(2);
    let there = stage.stands(spot, way, 0, &takes)?;
    is_online(stage, spot, true)?;
    let is_timed = is_seen(stage, spot, "options_round_trip_us", |value| value.is_number());
    expect("its answer was timed", &json!(is_timed), &json!(true))?;
    let caller = stage.asks(CALLER, spot, way, &watched.caller)?;
    ended(vec![there, caller])?;
    let cdr = stage.newest_record(spot, 2)?;
    let found = cdr.pointer("/attempts/0/gateway").cloned().unwrap_or_default();
    expect("who has the call", &found, &json!(spot.vendor(0)))?;
    // Nobody is there any more.
    is_online(stage, spot, false)
}

#[test]
fn a_vendor_that_does_not_answer_options_is_passed_over_until_it_does() {
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    for parameter in ["INTERVAL 5", "FAILURES 1", "SUCCESSES 1"] {
        let command = format!("param set TG_OPTIONS_CHECK_{parameter}");
        stage.tollgate(&command).expect("a parameter is set");
    }
    at_once(&stage.ways(), |spot, way| is_watched(&stage, spot, way));
}

/// A vendor asks like this, and then takes the call of who knows the word.
fn asks(status: &str, challenges: &str) -> Script {
    Script::new().gets("INVITE").says(answer(status, challenges, "")).gets("ACK")
}

/// One challenge.
fn challenge(header: &str, realm: &str, nonce: &str, rest: &str) -> String {
    format!("{header}: Digest realm=\"{realm}\", nonce=\"{nonce}\"{rest}\n")
}

fn challenged() -> Vec<Scene> {
    let taken = Script::new().says(answer("200 OK", "", SDP)).gets("ACK");
    let unauthorized = "401 Unauthorized";
    let www = "WWW-Authenticate";
    let first = challenge(www, "carrier", "4f1a", ", qop=\"auth\"");
    let anew = challenge(www, "carrier", "4f1b", ", stale=true, qop=\"auth\"");
    let refused = challenge(www, "carrier", "4f1c", ", qop=\"auth\"");
    let inner = challenge(www, "inner", "4f1d", ", qop=\"auth\"");
    let outer = challenge("Proxy-Authenticate", "outer", "4f1e", ", qop=\"auth\"");
    let proves = |nonce: &str| {
        let proof = format!("Authorization: Digest .*nonce=\"{nonce}\"");
        Script::new().gets_with("INVITE", &proof)
    };
    let again = |status: &str, challenges: &str| {
        Script::new().says(answer(status, challenges, "")).gets("ACK")
    };
    let told = Script::new().asks(invite("", SDP)).may_get("100").gets("503").says(submit());
    let whole = challenge(www, "carrier", "4f1f", ", algorithm=MD5, qop=\"auth-int\"");
    vec![
        Scene::new(
            "who wants the body to be proved, too, has it proved",
            leaves(talks(), 2),
            Vendor::new(
                SECRET,
                left(
                    asks(unauthorized, &whole)
                        .gets_proof("INVITE", "carol", "Secret-Word-17")
                        .then(&taken),
                ),
            ),
        ),
        Scene::new(
            "who says that our proof is too old gets a new one",
            leaves(talks(), 2),
            Vendor::new(
                SECRET,
                left(
                    asks(unauthorized, &first)
                        .then(&proves("4f1a"))
                        .then(&again(unauthorized, &anew))
                        .then(&proves("4f1b"))
                        .then(&taken),
                ),
            ),
        ),
        Scene::new(
            "who refuses our password is not told it again",
            told,
            Vendor::new(
                SECRET,
                asks(unauthorized, &first)
                    .then(&proves("4f1a"))
                    .then(&again(unauthorized, &refused)),
            ),
        )
        .ends("rejected", &[401]),
        Scene::new(
            "a vendor without a password of ours asks in vain, and the next one is tried",
            leaves(talks(), 2),
            Vendor::new(&[], asks(unauthorized, &first)),
        )
        .and(Vendor::new(&[], left(takes())))
        .ends("normal", &[401, 200]),
        Scene::new(
            "a proxy and the vendor behind it ask one after the other",
            leaves(talks(), 2),
            Vendor::new(
                SECRET,
                left(
                    asks("407 Proxy Authentication Required", &outer)
                        .gets_with("INVITE", "Proxy-Authorization: Digest .*realm=\"outer\"")
                        .then(&again(unauthorized, &inner))
                        .gets_like(
                            "INVITE",
                            Like {
                                has: &[
                                    "Proxy-Authorization: Digest .*realm=\"outer\"",
                                    "\nAuthorization: Digest .*realm=\"inner\"",
                                ],
                                lacks: &[],
                            },
                        )
                        .then(&taken),
                ),
            ),
        ),
        Scene::new(
            "a proxy and the vendor behind it ask at once",
            leaves(talks(), 2),
            Vendor::new(
                SECRET,
                left(
                    asks(unauthorized, &format!("{outer}{inner}"))
                        .gets_like(
                            "INVITE",
                            Like {
                                has: &[
                                    "Proxy-Authorization: Digest .*realm=\"outer\"",
                                    "\nAuthorization: Digest .*realm=\"inner\"",
                                ],
                                lacks: &[],
                            },
                        )
                        .then(&taken),
                ),
            ),
        ),
        Scene::new(
            "of several kinds of digest the strongest is used",
            leaves(talks(), 2),
            Vendor::new(
                SECRET,
                left(
                    asks(
                        unauthorized,
                        &format!(
                            "{}{}",
                            challenge(www, "carrier", "4f2a", ", algorithm=MD5, qop=\"auth\""),
                            challenge(www, "carrier", "4f2b", ", algorithm=SHA-256, qop=\"auth\"")
                        ),
                    )
                    .gets_with("INVITE", "Authorization: Digest .*algorithm=SHA-256")
                    .then(&taken),
                ),
            ),
        ),
    ]
}

#[test]
fn vendors_that_ask_for_a_password_get_it_as_often_as_it_makes_sense() {
    all_play(&challenged(), &Ways::six());
}

/// Ways of asking that kamailio knows.
fn questions() -> Vec<Asks> {
    let mut questions = Vec::new();
    for status in [401, 407] {
        for algorithm in ["MD5", "SHA-256"] {
            // It knows the word of auth-int, but hashes no body: SIPp does.
            for qop in ["", "auth"] {
                questions.push(Asks { status, algorithm, qop, password: "Secret-Word-17" });
            }
        }
    }
    questions
}

#[test]
fn kamailio_finds_our_digests_right_in_each_of_its_ways_of_asking() {
    if !kamailio::is_installed() {
        return;
    }
    let questions = questions();
    let stage = Stage::raised(spots(questions.len() + 2)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let carriers = [Carrier::Udp, Carrier::Tcp].into_iter();
    let ways = carriers
        .flat_map(|carrier| [Family::Four, Family::Six].map(|family| Way { family, carrier }));
    // In turns over the ways; and one of each status hears a wrong password.
    let right = questions.iter().map(|&asks| (asks, true));
    let wrong = questions.iter().step_by(questions.len() / 2);
    let wrong = wrong.map(|&asks| (Asks { password: "Wrong-Word-171", ..asks }, false));
    let plays: Vec<_> = right.chain(wrong).zip(ways.cycle()).collect();
    at_once(&plays, |spot, ((asks, is_right), way)| {
        let [at, next] = [0, 1].map(|place| vendor_at(spot, way, place));
        let proxy = Proxy { at, carrier: way.carrier, next: vec![next], asks: Some(asks) };
        let proxy = proxy.start(&stage.lab).map_err(|error| error.to_string())?;
        let nobody = Vendor { fields: Some(SECRET), plays: None };
        let scene = if is_right {
            let vendor = left(takes())
                .with("[last_Record-Route:]", "[last_Record-Route:]\n")
                .with("[routes]", "[routes]\n");
            Scene::new("a proxy that asks", leaves(talks(), 2), nobody)
                .and(Vendor::elsewhere(vendor))
        } else {
            let told =
                Script::new().asks(invite("", SDP)).may_get("100").gets("503").says(submit());
            let status: &'static [u64] = if asks.status == 401 { &[401] } else { &[407] };
            Scene::new("a proxy that asks in vain", told, nobody).ends("rejected", status)
        };
        let played = stage.play(spot, &scene, Ways::both(way));
        drop(proxy);
        played.map(|_| ())
    });
}
