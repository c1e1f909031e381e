//! Who shares no codec hears the other's tone, also through a killed dataplane: two softphones, and one with a far end
//! that knows G.723.1 alone.

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

/// What SIPp answers with, of this codec alone.
fn answers(payload_type: &str, codec: &str) -> std::path::PathBuf {
    let scenario = include_str!("../sipp/vendor.xml");
    let scenario = scenario.replace("AVP 8 101", &format!("AVP {payload_type} 101"));
    let described = format!("rtpmap:{payload_type} {codec}/8000");
    let scenario = scenario.replace("rtpmap:8 PCMA/8000", &described);
    assert!(scenario.contains(&described), "the vendor's scenario speaks otherwise now");
    let file = std::env::temp_dir().join(format!("tollgate-{codec}-{}.xml", std::process::id()));
    std::fs::write(&file, scenario).expect("it is written");
    file
}

#[test]
fn a_softphone_hears_what_comes_back_from_a_far_end_that_speaks_g7231_alone() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let command = "gateway routing set london --target 10.10.2.1:5062 --field transcode=true";
    let words: Vec<&str> = command.split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
    let file = answers("4", "G723");
    let line = format!(
        "-sf {} -i 10.10.2.1 -mi 10.10.2.1 -p 5062 -mp 6000 -rtp_echo -nostdin",
        file.display()
    );
    let vendor = lab.start("vend", "sipp", &line.split(' ').collect::<Vec<_>>());
    let vendor = vendor.expect("the vendor starts");
    vendor.listens(([10, 10, 2, 1], 5062).into()).expect("the vendor listens");
    let [caller, _idle] = softphones(&lab, ";audio_codecs=PCMA/8000/1", "");
    put_through([&caller, &caller]);
    assert_eq!(count(&lab, "calls_transcoded"), 1);
    expect_tones_after_a_kill(&lab, [&caller, &caller]);
    caller.told("hangup", "").expect("it hangs up");
    drop(vendor);
    std::fs::remove_file(file).expect("it is there");
}
