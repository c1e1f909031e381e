//! Phones that nobody here wrote, with audio.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{counted, expect_cdrs, raised};
use tests::lab::Lab;
use tests::linphone::{Linphone, Setup};
use tests::softphone::{Account, Softphone};
use tests::stage::{Spot, Stage};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_softphone_calls_another_with_audio_holds_and_hangs_up() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let vendor = Account::unregistered("sip:44107946@10.10.2.1", true);
    let callee = Softphone::start(&lab, "vend", "10.10.2.1", vendor).expect("the callee starts");
    let customer = Account::unregistered("sip:39021234@10.10.1.1", false);
    let caller = Softphone::start(&lab, "cust", "10.10.1.1", customer).expect("the caller starts");
    caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    if let Err(why) = caller.waits_for("Call established", SOON) {
        panic!("the call is not up: {why}\n{}", callee.log());
    }
    std::thread::sleep(Duration::from_secs(3));
    caller.told("hold", "").expect("it holds");
    std::thread::sleep(Duration::from_secs(1));
    caller.told("resume", "").expect("it resumes");
    std::thread::sleep(Duration::from_secs(1));
    caller.told("hangup", "").expect("it hangs up");
    callee.waits_for("terminated", SOON).expect("the callee hears of it");
    for cdr in expect_cdrs(&lab, 1) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
        let id = cdr.get("id").and_then(Value::as_str).expect("a record has an id");
        let whole = lab.tollgate(&["cdr", "show", id]).expect("it is shown");
        for side in ["from_caller", "from_callee"] {
            // Fifty packets a second, and five seconds of talk.
            let packets = whole.pointer(&format!("/media/{side}/packets")).and_then(Value::as_u64);
            assert!(packets.is_some_and(|packets| packets > 150), "{side}: {whole}");
        }
    }
}

#[test]
fn a_caller_hears_our_ringback_while_a_phone_rings_without_a_sound() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let delay = ["param", "set", "SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY", "500"];
    lab.tollgate(&delay).expect("a parameter is set");
    let vendor = Account::unregistered("sip:44107946@10.10.2.1", false);
    let callee = Softphone::start(&lab, "vend", "10.10.2.1", vendor).expect("the callee starts");
    let customer = Account::unregistered("sip:39021234@10.10.1.1", false);
    let caller = Softphone::start(&lab, "cust", "10.10.1.1", customer).expect("the caller starts");
    caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    callee.waits_for("Incoming call", SOON).expect("it rings");
    let count = |name| counted(&lab.tollgate(&["status"]).expect("both daemons answer"), name);
    assert!(Lab::wait_until(SOON, || count("ring_tones") == 1), "{}", caller.log());
    let before = count("frames_sent");
    // Fifty packets a second, and nothing else to be sent.
    assert!(Lab::wait_until(SOON, || count("frames_sent") >= before + 100), "{}", caller.log());
    caller.told("hangup", "").expect("it gives up");
}

const SECRET: &str = "Secret-Word-17";

/// The record of the call that began last, once it is complete and there are so many.
fn newest(stage: &Stage, calls: usize) -> Value {
    let mut found = Vec::new();
    let all = Lab::wait_until(SOON, || {
        let page = stage.tollgate("cdr list --limit 1000").unwrap_or_default();
        found = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        found.len() == calls && found.iter().all(|cdr| cdr.get("complete") == Some(&json!(true)))
    });
    assert!(all, "not {calls} records: {found:?}");
    // They are listed by their ends.
    let began = |cdr: &&Value| cdr.get("started").and_then(Value::as_str).map(str::to_owned);
    let id = found.iter().max_by_key(began).and_then(|cdr| cdr.get("id")).and_then(Value::as_str);
    stage.tollgate(&format!("cdr show {}", id.expect("a record has an id"))).expect("it is shown")
}

/// More than a second of audio went both ways in a call.
fn expect_audio(cdr: &Value) {
    for side in ["from_caller", "from_callee"] {
        let packets = cdr.pointer(&format!("/media/{side}/packets")).and_then(Value::as_u64);
        assert!(packets.is_some_and(|packets| packets > 50), "{side}: {cdr}");
    }
}

fn expect(cdr: &Value, field: &str, value: &str) {
    assert_eq!(cdr.get(field), Some(&json!(value)), "{cdr}");
}

/// Waits until a phone's contact came by this carrier.
fn expect_online(stage: &Stage, phone: &str, transport: &str) {
    let show = format!("registration show {phone}");
    let shown = || stage.tollgate(&show).unwrap_or_default();
    let online = || {
        let contact = shown().pointer("/contacts/0").cloned().unwrap_or_default();
        contact.get("transport") == Some(&json!(transport))
            && contact.get("online") == Some(&json!(true))
    };
    assert!(Lab::wait_until(SOON, online), "{phone} by {transport}: {}", shown());
}

/// Lets something happen and lasts: the milliseconds of a call in which people talk.
fn talk(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// A stage with the phones alice (44201) and bob (44202), and a vendor for 441 at 10.10.2.20.
fn furnished() -> Option<Stage> {
    let stage = Stage::raised([Spot(20), Spot(21)]).expect("the stage is raised")?;
    for command in [
        "gateway routing create london --account carrier --tariff wholesale --target 10.10.2.20 --prefix 441",
        "phone create alice --account acme --tariff retail --owns 44201 --number 44201 --password Secret-Word-17",
        "phone create bob --account acme --tariff retail --owns 44202 --number 44202 --password Secret-Word-17",
        "param set TG_RING_TIMEOUT 5000",
    ] {
        stage.tollgate(command).expect("provisioning is accepted");
    }
    Some(stage)
}

#[test]
fn linphone_and_baresip_register_and_call_each_other_and_a_vendor() {
    if !Linphone::is_installed() || !Softphone::is_installed() {
        return;
    }
    let Some(stage) = furnished() else { return };
    let vendor = Account::unregistered("sip:44107946@10.10.2.20", true);
    let vendor = Softphone::start(&stage.lab, "vend", "10.10.2.20", vendor).expect("the vendor");
    // Bob knows MD5 alone. Alice is asked for SHA-256 first, later on.
    let parameters = format!(";auth_user=bob;auth_pass={SECRET};regint=60");
    let bob =
        |uri, authorities| Account { uri, parameters: &parameters, answers: false, authorities };
    let authority = stage.authority.as_ref().map(|authority| authority.file("authority.pem"));
    let mut carriers = vec![("tcp", "sip:bob@10.10.1.2;transport=tcp")];
    if authority.is_some() {
        carriers.push(("tls", "sip:bob@10.10.1.2:5061;transport=tls"));
    }
    for (transport, uri) in carriers {
        let account = bob(uri, authority.as_deref());
        let phone = Softphone::start(&stage.lab, "cust", "10.10.1.20", account);
        let phone = phone.expect("bob starts");
        expect_online(&stage, "bob", transport);
        drop(phone);
        stage.tollgate("registration delete bob").expect("he is forgotten");
    }
    let account = bob("sip:bob@10.10.1.2", None);
    let bob = Softphone::start(&stage.lab, "cust", "10.10.1.20", account).expect("bob starts");
    expect_online(&stage, "bob", "udp");

    stage.tollgate("param set TG_DIGEST_SHA256 1").expect("SHA-256 is offered first");
    let setup = Setup { port: 5066, authorities: authority.as_deref(), by_info: false };
    let mut alice = Linphone::start(&stage.lab, "cust", setup).expect("alice starts");
    let transport = if authority.is_some() { "tls" } else { "udp" };
    let register =
        format!("register sip:alice@10.10.1.2 sip:10.10.1.2;transport={transport} {SECRET}");
    alice.types(&register).expect("she registers");
    expect_online(&stage, "alice", transport);

    // A phone calls a vendor, holds and resumes.
    alice.types("call sip:44107946@10.10.1.2").expect("she dials");
    alice.waits_for("Media streams established", SOON).expect("the call is up");
    alice.speaks().expect("she speaks");
    talk(1_500);
    alice.types("pause").expect("she holds");
    alice.waits_for("is now paused", SOON).expect("the call is held");
    alice.types("resume").expect("she resumes");
    talk(1_000);
    alice.types("terminate").expect("she hangs up");
    vendor.waits_for("terminated", SOON).expect("the vendor hears of it");
    let cdr = newest(&stage, 1);
    expect(&cdr, "end_reason", "normal");
    expect(&cdr, "ended_by", "caller");
    expect(&cdr, "billing_mode", "phone");
    expect_audio(&cdr);

    // A phone calls a phone and gives up.
    alice.types("call sip:44202@10.10.1.2").expect("alice dials");
    bob.waits_for("Incoming call", SOON).expect("bob rings");
    alice.types("terminate").expect("she gives up");
    expect(&newest(&stage, 2), "end_reason", "cancelled");

    // The callee is busy.
    alice.types("call sip:44202@10.10.1.2").expect("alice dials");
    let rung = || bob.log().matches("Incoming call").count() == 2;
    assert!(Lab::wait_until(SOON, rung), "{}", bob.log());
    bob.told("hangup", "").expect("bob declines");
    expect(&newest(&stage, 3), "end_reason", "busy");

    // Nobody answers.
    alice.types("call sip:44202@10.10.1.2").expect("alice dials");
    expect(&newest(&stage, 4), "end_reason", "no_answer");
    let told = || alice.log().matches(" error.").count() == 2;
    assert!(Lab::wait_until(SOON, told), "busy and no answer are told: {}", alice.log());

    // The other way: the callee answers and hangs up.
    stage.tollgate("param set TG_DIGEST_SHA256 0").expect("bob can be asked again");
    bob.told("dial", "sip:44201@10.10.1.2").expect("bob dials");
    alice.waits_for("Receiving new incoming call", SOON).expect("alice rings");
    alice.types("answer").expect("she answers");
    bob.waits_for("Call established", SOON).expect("the call is up");
    alice.speaks().expect("she speaks");
    talk(1_500);
    alice.types("terminate").expect("she hangs up");
    bob.waits_for("terminated", SOON).expect("bob hears of it");
    let cdr = newest(&stage, 5);
    expect(&cdr, "end_reason", "normal");
    expect(&cdr, "ended_by", "callee");
    expect(&cdr, "gateway", "bob");
    expect(&cdr, "vendor_gateway", "alice");
    expect_audio(&cdr);
}

/// London answers 44107946, and a new vendor, Paris, answers 44330001.
fn two_vendors(stage: &Stage) -> (Softphone<'_>, Softphone<'_>) {
    let paris = "gateway routing create paris --account carrier --tariff wholesale --target 10.10.2.21 --prefix 4433";
    stage.tollgate(paris).expect("provisioning is accepted");
    two_phones_of_vendors(stage)
}

fn two_phones_of_vendors(stage: &Stage) -> (Softphone<'_>, Softphone<'_>) {
    let vendor = |address, uri| {
        let phone = Softphone::start(&stage.lab, "vend", address, Account::unregistered(uri, true));
        phone.expect("a vendor starts")
    };
    let london = vendor("10.10.2.20", "sip:44107946@10.10.2.20");
    (london, vendor("10.10.2.21", "sip:44330001@10.10.2.21"))
}

/// How many messages each worker has sent from one call to another.
fn inside(stage: &Stage) -> Vec<u64> {
    let status = stage.tollgate("status").expect("both daemons answer");
    let workers = status.get("workers").and_then(Value::as_array).expect("there are workers");
    let sent = |worker: &Value| worker.pointer("/counters/sip_inside").and_then(Value::as_u64);
    workers.iter().map(|worker| sent(worker).unwrap_or(0)).collect()
}

#[test]
fn a_phone_joins_two_that_it_talks_to_also_when_their_calls_are_on_different_workers() {
    // Which worker has a call is chance; so often in a row it is not the same one.
    const ROUNDS_MAX: usize = 10;
    if !Linphone::is_installed() || !Softphone::is_installed() {
        return;
    }
    let Some(stage) = furnished() else { return };
    let (stayer, target) = two_vendors(&stage);
    let mut alice = Linphone::start(
        &stage.lab,
        "cust",
        Setup { port: 5066, authorities: None, by_info: false },
    )
    .expect("alice");
    alice
        .types(&format!("register sip:alice@10.10.1.2 sip:10.10.1.2 {SECRET}"))
        .expect("it is typed");
    expect_online(&stage, "alice", "udp");
    for round in 1..=ROUNDS_MAX {
        let heard = |phone: &Softphone, text: &str| phone.log().matches(text).count() >= round;
        let before = inside(&stage);
        alice.types("call sip:44107946@10.10.1.2").expect("she dials");
        assert!(Lab::wait_until(SOON, || heard(&stayer, "Call established")), "{}", alice.log());
        talk(1_500);
        alice.types("pause").expect("she has him wait");
        alice.types("call sip:44330001@10.10.1.2").expect("she asks");
        assert!(Lab::wait_until(SOON, || heard(&target, "Call established")), "{}", alice.log());
        talk(1_500);
        let (first, second) = (2 * round - 1, 2 * round);
        alice.types(&format!("transfer {first} --to-call {second}")).expect("she transfers");
        let joined = || {
            stage
                .tollgate("status")
                .is_ok_and(|it| counted(&it, "transfers_done") as usize == round)
        };
        assert!(Lab::wait_until(SOON, joined), "{}", alice.log());
        talk(2_500);
        stayer.told("hangup", "").expect("it hangs up");
        assert!(Lab::wait_until(SOON, || heard(&target, "terminated")), "{}", target.log());
        let cdr = newest(&stage, 2 * round);
        expect(&cdr, "end_reason", "normal");
        expect(&cdr, "vendor_gateway", "paris");
        // More than she heard and said: what came last came from inside.
        for side in ["from_caller", "from_callee"] {
            let packets = cdr.pointer(&format!("/media/{side}/packets")).and_then(Value::as_u64);
            assert!(packets.is_some_and(|packets| packets > 100), "{side}: {cdr}");
        }
        let sent: Vec<bool> =
            inside(&stage).iter().zip(&before).map(|(after, before)| after > before).collect();
        if sent == [true, true] {
            return;
        }
    }
    panic!("{ROUNDS_MAX} times both calls were on one worker");
}

#[test]
fn a_phone_answers_what_rings_at_another_of_its_group() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = furnished() else { return };
    for command in [
        "gateway mapping create pbx --account acme --tariff retail --address 10.10.1.1",
        "phone set alice --pickup-group desk",
        "phone set bob --pickup-group desk",
        "param set TG_PICKUP_CODE *8",
    ] {
        stage.tollgate(command).expect("provisioning is accepted");
    }
    let phone = |name: &str, address: &str| {
        let parameters = format!(";auth_user={name};auth_pass={SECRET};regint=60");
        let uri = format!("sip:{name}@10.10.1.2");
        let account =
            Account { uri: &uri, parameters: &parameters, answers: false, authorities: None };
        Softphone::start(&stage.lab, "cust", address, account).expect("a phone starts")
    };
    let (alice, bob) = (phone("alice", "10.10.1.20"), phone("bob", "10.10.1.21"));
    expect_online(&stage, "alice", "udp");
    expect_online(&stage, "bob", "udp");
    let customer = Account::unregistered("sip:39021234@10.10.1.1", false);
    let caller = Softphone::start(&stage.lab, "cust", "10.10.1.1", customer).expect("a caller");
    caller.told("dial", "sip:44201@10.10.1.2").expect("it dials");
    alice.waits_for("Incoming call", SOON).expect("it rings");
    bob.told("dial", "sip:*8@10.10.1.2").expect("it picks up");
    caller.waits_for("Call established", SOON).expect("somebody answers");
    bob.waits_for("Call established", SOON).expect("it is bob");
    talk(2_500);
    assert!(!alice.log().contains("established"), "{}", alice.log());
    caller.told("hangup", "").expect("it hangs up");
    bob.waits_for("terminated", SOON).expect("bob hears of it");
    // Two records: whoever called is charged, who picked up is not.
    let picked = newest(&stage, 2);
    expect(&picked, "gateway", "bob");
    expect_audio(&picked);
    let status = stage.tollgate("status").expect("both daemons answer");
    assert_eq!(counted(&status, "pickups"), 1);
}

/// The phone bob talks to London.
fn bob_calls_london(stage: &Stage) -> Softphone<'_> {
    let parameters = format!(";auth_user=bob;auth_pass={SECRET};regint=60");
    let account = Account {
        uri: "sip:bob@10.10.1.2",
        parameters: &parameters,
        answers: false,
        authorities: None,
    };
    let bob = Softphone::start(&stage.lab, "cust", "10.10.1.20", account).expect("bob starts");
    expect_online(stage, "bob", "udp");
    bob.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    bob.waits_for("Call established", SOON).expect("the call is up");
    talk(1_500);
    bob
}

#[test]
fn a_phone_hands_calls_over_by_keys_at_once_and_after_a_talk_with_the_target() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = furnished() else { return };
    for (number, (name, keys)) in (1..).zip([("BLIND", "*1"), ("ATTENDED", "*2")]) {
        let command = format!("param set TG_TRANSFER_{name}_KEY {keys}");
        stage.tollgate(&command).expect("a parameter is set");
        let (stayer, target) = match number {
            1 => two_vendors(&stage),
            _ => two_phones_of_vendors(&stage),
        };
        let bob = bob_calls_london(&stage);
        bob.told("sndcode", &format!("{keys}44330001#")).expect("it presses keys");
        target.waits_for("Call established", Duration::from_secs(15)).expect("the target answers");
        if name == "ATTENDED" {
            talk(2_000);
            assert!(!bob.log().contains("terminated"), "{}", bob.log());
            bob.told("hangup", "").expect("it leaves the two alone");
        }
        bob.waits_for("terminated", SOON).expect("who transfers is free");
        talk(3_000);
        stayer.told("hangup", "").expect("it hangs up");
        target.waits_for("terminated", SOON).expect("the target hears of it");
        let second = newest(&stage, 2 * number);
        expect(&second, "callee", "44330001");
        expect(&second, "gateway", "bob");
        expect(&second, "vendor_gateway", "paris");
        expect_audio(&second);
    }
    let status = stage.tollgate("status").expect("both daemons answer");
    assert_eq!(counted(&status, "transfers_done"), 2);
}

#[test]
fn a_phone_hands_a_call_over_and_the_two_others_talk() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = furnished() else { return };
    let (stayer, target) = two_vendors(&stage);
    let bob = bob_calls_london(&stage);
    bob.told("transfer", "sip:44330001@10.10.1.2").expect("it transfers");
    target.waits_for("Call established", SOON).expect("the target answers");
    bob.waits_for("terminated", SOON).expect("the transferor is free");
    talk(3_000);
    stayer.told("hangup", "").expect("it hangs up");
    target.waits_for("terminated", SOON).expect("the target hears of it");
    let second = newest(&stage, 2);
    expect(&second, "callee", "44330001");
    expect(&second, "gateway", "bob");
    expect(&second, "vendor_gateway", "paris");
    expect_audio(&second);
}
