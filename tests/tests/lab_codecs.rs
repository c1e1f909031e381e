//! Two softphones that share no codec hear each other's tone, also through a killed dataplane.

use std::time::Duration;

use tests::carrier::{counted, raised};
use tests::lab::Lab;
use tests::softphone::{Account, Softphone};

const SOON: Duration = Duration::from_secs(10);

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

fn expect_tones(phones: [&Softphone<'_>; 2]) {
    for phone in phones {
        let tone = || phone.heard_tone();
        assert!(Lab::wait_until(SOON, || tone() > 900), "{} of 1000: {}", tone(), phone.log());
    }
}

#[test]
fn softphones_of_both_laws_hear_each_other_and_go_on_after_a_killed_dataplane() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let command = "gateway routing set london --field transcode=true --field codecs=PCMU;PCMA";
    let words: Vec<&str> = command.split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
    let codecs = |codec: &str| format!(";regint=0;audio_codecs={codec}/8000/1");
    let callee = phone(&lab, "vend", &codecs("PCMU"));
    let caller = phone(&lab, "cust", &codecs("PCMA"));
    caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    if let Err(why) = caller.waits_for("Call established", SOON) {
        panic!("the call is not up: {why}\n{}", callee.log());
    }
    std::thread::sleep(Duration::from_secs(2));
    expect_tones([&caller, &callee]);
    assert_eq!(count(&lab, "calls_transcoded"), 1);
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let relayed = count(&lab, "media_relayed");
    let is_heard = || count(&lab, "media_relayed") >= relayed + 150;
    assert!(Lab::wait_until(SOON, is_heard), "{}", lab.books());
    std::thread::sleep(Duration::from_secs(1));
    expect_tones([&caller, &callee]);
    let status = lab.tollgate(&["status"]).expect("both daemons answer");
    let now = counted(&status, "transcoders_taken") - counted(&status, "transcoders_returned");
    assert_eq!(now, 2, "{status}");
    caller.told("hangup", "").expect("it hangs up");
    callee.waits_for("terminated", SOON).expect("the callee hears of it");
}
