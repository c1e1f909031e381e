//! Two softphones that share no codec hear each other's tone, also through a killed dataplane.

use std::time::Duration;

use tests::carrier::{counted, expect_tones_after_a_kill, put_through, raised, softphones};
use tests::lab::Lab;
use tests::softphone::Softphone;

fn count(lab: &Lab, name: &str) -> u64 {
    counted(&lab.tollgate(&["status"]).expect("both daemons answer"), name)
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
    let codecs = |codec: &str| format!(";audio_codecs={codec}/8000/1");
    let [caller, callee] = softphones(&lab, &codecs("PCMA"), &codecs("PCMU"));
    put_through([&caller, &callee]);
    assert_eq!(count(&lab, "calls_transcoded"), 1);
    expect_tones_after_a_kill(&lab, [&caller, &callee]);
    let status = lab.tollgate(&["status"]).expect("both daemons answer");
    let now = counted(&status, "transcoders_taken") - counted(&status, "transcoders_returned");
    assert_eq!(now, 2, "{status}");
    caller.told("hangup", "").expect("it hangs up");
    callee.waits_for("terminated", Duration::from_secs(10)).expect("the callee hears of it");
}
