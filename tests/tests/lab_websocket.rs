//! SIP over WebSocket (RFC 7118) by SIP.js, a client that nobody here wrote, under node: over IPv4 and
//! IPv6, plain and by TLS. Who it talks to is baresip.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::counted;
use tests::lab::{Error, Lab};
use tests::softphone::{Account, Softphone};
use tests::stage::{Family, Side, Spot, Stage};
use tests::webphone::{self, Setup, Webphone};

const SOON: Duration = Duration::from_secs(10);
const SECRET: &str = "Secret-Word-17";

/// By which addresses, and whether by TLS.
const WAYS: [(Family, bool); 4] =
    [(Family::Four, false), (Family::Four, true), (Family::Six, false), (Family::Six, true)];

fn server(family: Family, is_secure: bool) -> String {
    let (scheme, port) = if is_secure { ("wss", 8443) } else { ("ws", 8080) };
    let host = if family == Family::Four { "10.10.1.2" } else { "[fd10:1::2]" };
    format!("{scheme}://{host}:{port}")
}

/// The records of what a gateway or a phone did, the newest first, once there are so many.
fn records(stage: &Stage, gateway: &str, count: usize) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    let all = Lab::wait_until(SOON, || {
        let page = stage.tollgate(&format!("cdr list --gateway {gateway}")).unwrap_or_default();
        found = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        found.len() == count && found.iter().all(|cdr| cdr.get("complete") == Some(&json!(true)))
    });
    if all { Ok(found) } else { Err(format!("not {count} records of {gateway}: {found:?}")) }
}

/// Contacts of a phone.
fn contacts(stage: &Stage, phone: &str) -> Vec<Value> {
    let shown = stage.tollgate(&format!("registration show {phone}")).unwrap_or_default();
    shown.get("contacts").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn expect(holds: bool, what: &str, seen: impl std::fmt::Display) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(format!("{what}: {seen}").into()) }
}

/// Everything that one phone does, at a spot of its own.
fn lives(stage: &Stage, spot: Spot, family: Family, is_secure: bool) -> Result<(), Error> {
    let Spot(own) = spot;
    let (user, pbx) = (format!("web{own}"), format!("pbx{own}"));
    let (vendor_at, pbx_at) = (format!("10.10.2.{own}"), format!("10.10.1.{own}"));
    for command in [
        format!(
            "phone create {user} --account acme --tariff retail --owns 442{own} --number 442{own} --password {SECRET}"
        ),
        format!(
            "gateway routing create london{own} --account carrier --tariff wholesale --target {vendor_at} --prefix 441{own}"
        ),
        format!("gateway mapping create {pbx} --account acme --tariff retail --address {pbx_at}"),
    ] {
        stage.tollgate(&command)?;
    }
    let vendor_uri = format!("sip:441{own}@{vendor_at}");
    let vendor = Account::unregistered(&vendor_uri, true);
    let vendor = Softphone::start(&stage.lab, "vend", &vendor_at, vendor)?;
    let caller_uri = format!("sip:39021234@{pbx_at}");
    let caller = Account::unregistered(&caller_uri, false);
    let caller = Softphone::start(&stage.lab, "cust", &pbx_at, caller)?;

    let authorities = stage.authority.as_ref().map(|authority| authority.file("authority.pem"));
    let address = Side::Customers.address(family, own).to_string();
    let domain = if family == Family::Four { "10.10.1.2" } else { "[fd10:1::2]" };
    let mut phone = Webphone::start(
        &stage.lab,
        Setup {
            server: &server(family, is_secure),
            domain,
            user: &user,
            password: SECRET,
            address: &address,
            authorities: authorities.as_deref(),
        },
    )?;
    phone.types("register")?;
    phone.says("registration Registered", 1)?;
    let transport = if is_secure { "wss" } else { "ws" };
    let contact = contacts(stage, &user).first().cloned().unwrap_or_default();
    let is_online = contact.get("transport") == Some(&json!(transport))
        && contact.get("online") == Some(&json!(true));
    expect(is_online, "it is online", contact)?;

    // It calls, holds, resumes and hangs up.
    phone.types(&format!("call 441{own}"))?;
    phone.says("session Established", 1)?;
    phone.says("heard", 1)?;
    phone.types("hold")?;
    phone.says("described recvonly", 1)?;
    phone.types("resume")?;
    phone.says("described sendrecv", 2)?;
    phone.types("bye")?;
    phone.says("session Terminated", 1)?;
    vendor.waits_for("terminated", SOON)?;
    let id = records(stage, &user, 1)?[0].get("id").and_then(Value::as_str).map(str::to_owned);
    let cdr = stage.tollgate(&format!("cdr show {}", id.unwrap_or_default()))?;
    expect(cdr.get("end_reason") == Some(&json!("normal")), "it ended well", &cdr)?;
    for side in ["from_caller", "from_callee"] {
        let packets = cdr.pointer(&format!("/media/{side}/packets")).and_then(Value::as_u64);
        expect(packets.is_some_and(|packets| packets > 10), side, &cdr)?;
    }

    // It is called and answers; the caller hangs up.
    let dials = || caller.told("dial", &format!("sip:442{own}@10.10.1.2"));
    dials()?;
    phone.says("rings", 1)?;
    phone.types("answer")?;
    phone.says("session Established", 2)?;
    phone.says("heard", 2)?;
    caller.told("hangup", "")?;
    phone.says("session Terminated", 2)?;
    // It refuses, and is called off.
    dials()?;
    phone.says("rings", 2)?;
    phone.types("refuse")?;
    phone.says("session Terminated", 3)?;
    records(stage, &pbx, 2)?;
    dials()?;
    phone.says("rings", 3)?;
    caller.told("hangup", "")?;
    phone.says("session Terminated", 4)?;
    let reasons: Vec<Value> = records(stage, &pbx, 3)?
        .iter()
        .map(|cdr| cdr.get("end_reason").cloned().unwrap_or_default())
        .collect();
    let all = [json!("cancelled"), json!("busy"), json!("normal")];
    expect(reasons == all, "the ends of its calls", format!("{reasons:?}"))?;

    phone.types("unregister")?;
    phone.says("registration Unregistered", 1)?;
    let left = contacts(stage, &user);
    expect(left.is_empty(), "it took its contact back", format!("{left:?}"))
}

#[test]
fn phones_register_call_and_are_called_over_websocket_with_audio() {
    if !webphone::is_installed() || !Softphone::is_installed() {
        return;
    }
    let spots = (20..).map(Spot);
    let stage = Stage::raised(spots.clone().take(WAYS.len())).expect("the stage is raised");
    let Some(stage) = stage.filter(|stage| stage.authority.is_some()) else { return };
    let faults: Vec<String> = std::thread::scope(|scope| {
        let phones: Vec<_> = spots
            .zip(WAYS)
            .map(|(spot, (family, is_secure))| {
                let stage = &stage;
                scope.spawn(move || {
                    let lived = lives(stage, spot, family, is_secure);
                    lived.err().map(|why| format!("{}: {why}", server(family, is_secure)))
                })
            })
            .collect();
        phones.into_iter().filter_map(|phone| phone.join().expect("it ends")).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// What a peer does, and how that ends.
const BROKEN: &str = "\
whole \"SIP/2.0 200 OK\"
binary \"SIP/2.0 200 OK\"
fragmented \"SIP/2.0 200 OK\"
keep_alive \"\"
no_protocol Unexpected server response: 400
other_protocol Unexpected server response: 400
no_sip silence
too_long closed 1009
unmasked closed 1002
reserved_bit closed 1002
unknown_kind closed 1002
no_beginning closed 1002
no_utf8 closed 1007
long_ping closed 1002
ends_inside closed 1006
";

#[test]
fn broken_frames_cost_their_connection_and_nobody_elses() {
    if !webphone::is_installed() {
        return;
    }
    let Some(stage) = Stage::raised([]).expect("the stage is raised") else { return };
    if stage.authority.is_none() {
        return;
    }
    for family in [Family::Four, Family::Six] {
        let said = webphone::run(&stage.lab, "broken.mjs", &[&server(family, false)]);
        let said = said.expect("the peer comes to its end");
        assert_eq!(said, BROKEN, "{said}");
    }
    let status = || stage.tollgate("status").expect("both daemons answer");
    assert_eq!(status().get("ready"), Some(&json!(true)), "{}", status());
    let all = || counted(&status(), "stream_message_too_long") == 2;
    assert!(Lab::wait_until(SOON, all), "{}", status());
}
