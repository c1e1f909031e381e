//! Media under keys, by a softphone that nobody here wrote: to one in clear and back, through a killed dataplane, and
//! refused where a key is missing.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{
    counted, expect_cdrs, expect_tones, expect_tones_after_a_kill, put_through, raised, softphones,
};
use tests::lab::Lab;
use tests::softphone::{Account, Softphone};
use tests::stage::{Spot, Stage};

const SOON: Duration = Duration::from_secs(10);

/// `AES_CM_128_HMAC_SHA1_80` or nothing.
const KEYED: &str = ";mediaenc=srtp-mand";
/// With a key, if the other side likes.
const WILLING: &str = ";mediaenc=srtp";
const CLEAR: &str = "";
const SECRET: &str = "Secret-Word-17";

fn provisioned(lab: &Lab, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
}

fn count(lab: &Lab, name: &str) -> u64 {
    counted(&lab.tollgate(&["status"]).expect("both daemons answer"), name)
}

#[test]
fn a_softphone_with_keys_talks_to_one_without_and_back_and_through_a_killed_dataplane() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let mut calls = 0;
    for (customer, vendor, [mapping, routing]) in [
        (KEYED, CLEAR, ["required", "off"]),
        (CLEAR, KEYED, ["off", "required"]),
        (KEYED, WILLING, ["required", "optional"]),
    ] {
        provisioned(&lab, &format!("gateway mapping set pbx --field srtp={mapping}"));
        provisioned(&lab, &format!("gateway routing set london --field srtp={routing}"));
        let [caller, callee] = softphones(&lab, customer, vendor);
        put_through([&caller, &callee]);
        if calls == 0 {
            expect_tones_after_a_kill(&lab, [&caller, &callee]);
        }
        let before = count(&lab, "media_relayed");
        caller.told("hold", "").expect("it holds");
        std::thread::sleep(Duration::from_millis(500));
        caller.told("resume", "").expect("it resumes");
        let goes_on = || count(&lab, "media_relayed") >= before + 200;
        assert!(Lab::wait_until(SOON, goes_on), "{}", lab.books());
        caller.told("hangup", "").expect("it hangs up");
        callee.waits_for("terminated", SOON).expect("the callee hears of it");
        calls += 1;
        for cdr in expect_cdrs(&lab, calls) {
            assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
        }
        // Some were on their way while keys changed hands.
        let lost = ["media_unauthentic", "media_replayed"].map(|name| count(&lab, name));
        assert!(lost.into_iter().all(|lost| lost < 20), "{lost:?}");
        assert_eq!(count(&lab, "media_settled"), 0, "what is changed is never the driver's");
    }
}

#[test]
fn a_caller_in_clear_is_refused_where_keys_must_be() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    provisioned(&lab, "gateway mapping set pbx --field srtp=required");
    let [caller, callee] = softphones(&lab, CLEAR, CLEAR);
    caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    caller.waits_for("488", SOON).expect("it is told why");
    assert!(!callee.log().contains("Incoming call"), "nobody else hears of it");
    assert_eq!(count(&lab, "refused_srtp"), 1);
    let reason = || {
        let page = lab.tollgate(&["cdr", "list"]).unwrap_or_default();
        page.pointer("/items/0/end_reason").cloned().unwrap_or(Value::Null)
    };
    assert!(Lab::wait_until(SOON, || reason() == json!("srtp")), "{}", reason());
}

/// Three phones: alice (44201), bob (44202) and carol (44203), the first of whom must have keys.
fn house() -> Option<Stage> {
    let stage = Stage::raised([Spot(20), Spot(21), Spot(22)]).expect("the stage is raised")?;
    for (name, number, srtp) in [("alice", 1, "required"), ("bob", 2, "off"), ("carol", 3, "off")] {
        let command = format!(
            "phone create {name} --account acme --tariff retail --owns 4420{number} --number 4420{number} \
             --password {SECRET} --srtp {srtp}"
        );
        stage.tollgate(&command).expect("a phone is made");
    }
    Some(stage)
}

/// Starts a phone of the house, and waits until it is online.
fn phone<'l>(
    stage: &'l Stage,
    (name, address): (&str, &str),
    keys: &str,
    answers: bool,
) -> Softphone<'l> {
    let parameters = format!(";auth_user={name};auth_pass={SECRET};regint=60{keys}");
    let uri = format!("sip:{name}@10.10.1.2");
    let account = Account { uri: &uri, parameters: &parameters, answers, authorities: None };
    let phone = Softphone::start(&stage.lab, "cust", address, account).expect("a phone starts");
    let online = || {
        let shown = stage.tollgate(&format!("registration show {name}")).unwrap_or_default();
        shown.pointer("/contacts/0/online") == Some(&json!(true))
    };
    assert!(Lab::wait_until(SOON, online), "{name} registers: {}", phone.log());
    phone
}

#[test]
fn a_phone_with_keys_calls_one_without_and_is_called_by_it() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = house() else { return };
    for caller_has_keys in [true, false] {
        let alice = phone(&stage, ("alice", "10.10.1.20"), KEYED, !caller_has_keys);
        let bob = phone(&stage, ("bob", "10.10.1.21"), CLEAR, caller_has_keys);
        let (caller, callee, number) =
            if caller_has_keys { (&alice, &bob, 2) } else { (&bob, &alice, 1) };
        caller.told("dial", &format!("sip:4420{number}@10.10.1.2")).expect("it dials");
        caller.waits_for("Call established", SOON).expect("the call is up");
        std::thread::sleep(Duration::from_secs(2));
        expect_tones([&alice, &bob]);
        caller.told("hangup", "").expect("it hangs up");
        callee.waits_for("terminated", SOON).expect("the callee hears of it");
    }
}

#[test]
fn a_phone_with_keys_is_handed_a_call_of_phones_without() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = house() else { return };
    let alice = phone(&stage, ("alice", "10.10.1.20"), KEYED, true);
    let bob = phone(&stage, ("bob", "10.10.1.21"), CLEAR, false);
    let carol = phone(&stage, ("carol", "10.10.1.22"), CLEAR, true);
    bob.told("dial", "sip:44203@10.10.1.2").expect("it dials");
    bob.waits_for("Call established", SOON).expect("the call is up");
    std::thread::sleep(Duration::from_secs(1));
    bob.told("transfer", "sip:44201@10.10.1.2").expect("it transfers");
    alice.waits_for("Call established", SOON).expect("the target answers");
    bob.waits_for("terminated", SOON).expect("the transferor is free");
    let relayed = || count(&stage.lab, "media_relayed");
    let before = relayed();
    let goes_on = || relayed() >= before + 400;
    assert!(Lab::wait_until(SOON, goes_on), "{}", stage.lab.books());
    let tone = || alice.heard_tone();
    assert!(Lab::wait_until(SOON, || tone() > 900), "{} of 1000: {}", tone(), alice.log());
    assert!(count(&stage.lab, "media_unauthentic") < 20, "{}", stage.lab.books());
    alice.told("hangup", "").expect("it hangs up");
    carol.waits_for("terminated", SOON).expect("who stayed hears of it");
    assert_eq!(count(&stage.lab, "transfers_done"), 1);
}

#[test]
fn phones_with_keys_and_without_pick_up_each_others_calls() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(stage) = house() else { return };
    for command in [
        "phone set alice --pickup-group desk",
        "phone set bob --pickup-group desk",
        "param set TG_PICKUP_CODE *8",
    ] {
        stage.tollgate(command).expect("provisioning is accepted");
    }
    let alice = phone(&stage, ("alice", "10.10.1.20"), KEYED, false);
    let bob = phone(&stage, ("bob", "10.10.1.21"), CLEAR, false);
    for (rung, number, picker) in [(&alice, 1, &bob), (&bob, 2, &alice)] {
        let carol = phone(&stage, ("carol", "10.10.1.22"), CLEAR, false);
        carol.told("dial", &format!("sip:4420{number}@10.10.1.2")).expect("it dials");
        rung.waits_for("Incoming call", SOON).expect("it rings");
        picker.told("dial", "sip:*8@10.10.1.2").expect("it picks up");
        carol.waits_for("Call established", SOON).expect("somebody answers");
        picker.waits_for("Call established", SOON).expect("it is whoever picked up");
        std::thread::sleep(Duration::from_secs(2));
        expect_tones([&carol, picker]);
        carol.told("hangup", "").expect("it hangs up");
        picker.waits_for("terminated", SOON).expect("it hears of that");
    }
    assert_eq!(count(&stage.lab, "pickups"), 2);
}
