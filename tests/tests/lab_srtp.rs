//! Media under keys, by a softphone that nobody here wrote: to one in clear and back, through a killed dataplane, and
//! refused where a key is missing.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{counted, expect_cdrs, raised};
use tests::lab::Lab;
use tests::softphone::{Account, Softphone};

const SOON: Duration = Duration::from_secs(10);

/// `AES_CM_128_HMAC_SHA1_80` or nothing.
const KEYED: &str = ";regint=0;mediaenc=srtp-mand";
/// With a key, if the other side likes.
const WILLING: &str = ";regint=0;mediaenc=srtp";
const CLEAR: &str = ";regint=0";

fn provisioned(lab: &Lab, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
}

fn phone<'l>(lab: &'l Lab, place: &'static str, parameters: &str) -> Softphone<'l> {
    let (uri, address, answers) = match place {
        "vend" => ("sip:44107946@10.10.2.1", "10.10.2.1", true),
        _ => ("sip:39021234@10.10.1.1", "10.10.1.1", false),
    };
    let account = Account { uri, parameters, answers, authorities: None };
    Softphone::start(lab, place, address, account).expect("a phone starts")
}

fn count(lab: &Lab, name: &str) -> u64 {
    counted(&lab.tollgate(&["status"]).expect("both daemons answer"), name)
}

/// Both hear the tone of the other, and next to nothing else.
fn expect_tones(phones: [&Softphone<'_>; 2]) {
    for phone in phones {
        let tone = || phone.heard_tone();
        assert!(Lab::wait_until(SOON, || tone() > 900), "{} of 1000: {}", tone(), phone.log());
    }
}

#[test]
fn a_softphone_with_keys_talks_to_one_without_and_back_and_through_a_killed_dataplane() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let mut calls = 0;
    for (customer, vendor, [mapping, routing], transports) in [
        (KEYED, CLEAR, ["required", "off"], ["RTP/SAVP", "RTP/AVP"]),
        (CLEAR, KEYED, ["off", "required"], ["RTP/AVP", "RTP/SAVP"]),
        (KEYED, WILLING, ["required", "optional"], ["RTP/SAVP", "RTP/AVP"]),
    ] {
        provisioned(&lab, &format!("gateway mapping set pbx --field srtp={mapping}"));
        provisioned(&lab, &format!("gateway routing set london --field srtp={routing}"));
        let callee = phone(&lab, "vend", vendor);
        let caller = phone(&lab, "cust", customer);
        caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
        if let Err(why) = caller.waits_for("Call established", SOON) {
            panic!("{transports:?}: the call is not up: {why}\n{}", callee.log());
        }
        std::thread::sleep(Duration::from_secs(2));
        expect_tones([&caller, &callee]);
        if calls == 0 {
            lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
            lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
            let phones = [&caller, &callee];
            let before = phones.map(Softphone::heard_samples);
            let has_heard = || {
                let mut now = phones.into_iter().zip(before);
                now.all(|(phone, before)| phone.heard_samples() > before + 16_000)
            };
            assert!(Lab::wait_until(SOON, has_heard), "{}\n{}", caller.log(), callee.log());
            expect_tones(phones);
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
    let callee = phone(&lab, "vend", CLEAR);
    let caller = phone(&lab, "cust", CLEAR);
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
