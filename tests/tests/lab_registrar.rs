//! Registrations both ways by a foreign client: phones that register here and are called, and
//! registrars of vendors at which we register.

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::sipp::Like;
use tests::sipp::{
    SDP, Script, agree, answer, answer_call, credentials, inside, invite, register, submit, takes,
    talks,
};
use tests::stage::{Scene, Seat, Side, Spot, Stage, Way, Ways, ended, outcome, vendor_at};

const SOON: Duration = Duration::from_secs(10);
const SECRET: &str = "Secret-Word-17";

/// What a phone says of itself.
const HERE: &str = "Contact: <sip:phone(own)@[local_ip]:[local_port];transport=[transport]>\n";
/// It takes back what all others have said, too.
const NOWHERE: &str = "Contact: *\nExpires: 0\n";

/// A phone proves who it is and has this to say of its contacts.
fn registers(contacts: &str) -> Script {
    let again = format!("{contacts}{}", credentials("phone(own)", SECRET));
    Script::new()
        .asks(register("phone(own)", 1, contacts))
        .gets_challenge("401")
        .asks(register("phone(own)", 2, &again))
        .gets("200")
}

/// A customer's gateway and a phone at one spot.
fn furnish(stage: &Stage, spot: Spot, ways: Ways, ring: &str) {
    let nobody = Scene {
        name: "a phone",
        customer: &[],
        caller: Script::new(),
        vendors: Vec::new(),
        reason: "",
        attempts: &[],
    };
    stage.furnish(spot, &nobody, ways).expect("the customer's gateway is made");
    let (own, number) = (spot.0, spot.number());
    let phone = format!(
        "phone create phone{own} --account acme --tariff retail --owns {number} --number {number} \
         --password {SECRET} --ring {ring}"
    );
    stage.tollgate(&phone).expect("the phone is made");
}

/// How many contacts a phone has.
fn contacts(stage: &Stage, spot: Spot) -> usize {
    let shown = stage.tollgate(&format!("registration show phone{}", spot.0)).unwrap_or_default();
    shown.get("contacts").and_then(Value::as_array).map_or(0, Vec::len)
}

/// The phone registers from one of its places.
fn says(stage: &Stage, spot: Spot, way: Way, place: usize, contacts: &str) {
    let port = vendor_at(spot, way, place).port();
    let phone = stage.asks(Seat { side: Side::Vendors, port }, spot, way, &registers(contacts));
    if let Err(why) = ended(vec![phone.expect("the phone starts")]) {
        panic!("{why}");
    }
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

fn spots(count: u8) -> impl Iterator<Item = Spot> + Clone {
    (10..10 + count).map(Spot)
}

#[test]
fn a_registered_phone_rings_at_its_newest_contact_or_at_all() {
    let stage = Stage::raised(spots(6)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let leaves = talks().asks(inside("BYE", 2, "", "")).gets("200");
    let left = takes().gets("BYE").says(agree("200 OK", "", ""));
    let ways = [Way::PLAIN, Way::STREAM].map(Ways::both);
    for (place, ways) in (0..).zip(ways) {
        let [newest, all, declined] = [10, 11, 12].map(|host| Spot(host + 3 * place));
        for (spot, ring) in [(newest, "newest"), (all, "all"), (declined, "all")] {
            furnish(&stage, spot, ways, ring);
            says(&stage, spot, ways.vendor, 0, HERE);
            says(&stage, spot, ways.vendor, 1, HERE);
            assert_eq!(contacts(&stage, spot), 2, "{ways:?}");
        }
        let played = |spot, caller: &Script, phones: &[Option<&Script>]| {
            if let Err(why) = stage.act(spot, ways, caller, phones) {
                panic!("{ways:?}: {why}");
            }
            stage.record(spot).expect("a record")
        };
        // Nobody is at the older contact: ringing it would be a failed attempt.
        let cdr = played(newest, &leaves, &[None, Some(&left)]);
        assert_eq!(outcome(&cdr), ("normal", vec![200]), "{cdr}");
        let cdr = played(all, &leaves, &[Some(&left), Some(&called_off())]);
        assert_eq!(outcome(&cdr).0, "normal", "{cdr}");
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
        let cdr = played(declined, &hears, &[Some(&declines), Some(&called_off())]);
        assert_eq!(outcome(&cdr).0, "busy", "{cdr}");
        // All contacts at once are taken back.
        says(&stage, newest, ways.vendor, 1, NOWHERE);
        assert_eq!(contacts(&stage, newest), 0, "{ways:?}");
        let offline = Script::new().asks(invite("", SDP)).may_get("100").gets("480").says(submit());
        if let Err(why) = stage.act(newest, ways, &offline, &[]) {
            panic!("{why}");
        }
    }
}

#[test]
fn we_register_at_a_vendor_and_take_it_back() {
    let stage = Stage::raised(spots(3)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let asks = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"4f1e\", qop=\"auth\"\n";
    let granted = "Expires: 600\n";
    let registrar = Script::new()
        .gets_with("REGISTER", "Contact: <sip:")
        .says(answer("401 Unauthorized", asks, ""))
        .gets_proof("REGISTER", "carol", SECRET)
        .says(answer("200 OK", granted, ""))
        .gets_with("REGISTER", "Expires: 0")
        .says(answer("200 OK", "", ""));
    let tunnels = stage.authority.is_some();
    let ways = [Way::PLAIN, Way::STREAM, Way::SECURE];
    for (spot, way) in spots(3).zip(ways).take(if tunnels { 3 } else { 2 }) {
        let stands = stage.stands(spot, way, 0, &registrar).expect("the registrar starts");
        let fields: &'static [&'static str] =
            &["auth_username=carol", "auth_password=Secret-Word-17", "registration=true"];
        let vendors = vec![tests::stage::Vendor { fields: Some(fields), plays: None }];
        let scene = Scene {
            name: "a registrar",
            customer: &[],
            caller: Script::new(),
            vendors,
            reason: "",
            attempts: &[],
        };
        stage.furnish(spot, &scene, Ways::both(way)).expect("the gateway is made");
        let show = format!("gateway routing show {}", spot.vendor(0));
        let state = || stage.tollgate(&show).unwrap_or_default();
        let registered = || state().get("registration_state") == Some(&json!("registered"));
        if !Lab::wait_until(SOON, registered) {
            panic!("{way:?}: {}\n{:?}", state(), ended(vec![stands]));
        }
        assert_eq!(state().get("online"), Some(&json!(true)), "{}", state());
        stage.tollgate(&format!("gateway routing delete {}", spot.vendor(0))).expect("it goes");
        if let Err(why) = ended(vec![stands]) {
            panic!("{way:?}: {why}");
        }
    }
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
