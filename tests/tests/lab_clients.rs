//! Phones that nobody here wrote, with audio.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{expect_cdrs, raised};
use tests::softphone::{Account, Softphone};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_softphone_calls_another_with_audio_holds_and_hangs_up() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised(2, true) else { return };
    let vendor = Account { uri: "sip:44107946@10.10.2.1", parameters: ";regint=0", answers: true };
    let callee = Softphone::start(&lab, "vend", "10.10.2.1", vendor).expect("the callee starts");
    let customer =
        Account { uri: "sip:39021234@10.10.1.1", parameters: ";regint=0", answers: false };
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
