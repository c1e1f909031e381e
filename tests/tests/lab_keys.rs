//! Keys between two softphones that nobody here wrote, one of which knows INFO and the other RFC 4733 events.

use std::time::Duration;

use tests::carrier::{counted, raised};
use tests::lab::Lab;
use tests::linphone::{Linphone, Setup};

const SOON: Duration = Duration::from_secs(10);
const KEYS: &str = "5790*#12";

/// The customer's phone calls the vendor's, and both speak.
fn talking(lab: &Lab, by_info: [bool; 2]) -> [Linphone; 2] {
    let [customer, vendor] = by_info;
    let phone = |place, by_info| {
        let setup = Setup { port: 5060, authorities: None, by_info };
        Linphone::start(lab, place, setup).expect("a phone starts")
    };
    let (mut callee, mut caller) = (phone("vend", vendor), phone("cust", customer));
    caller.types("call sip:44107946@10.10.1.2").expect("it dials");
    callee.waits_for("Receiving new incoming call", SOON).expect("it rings");
    callee.types("answer").expect("it answers");
    for phone in [&mut caller, &mut callee] {
        phone.waits_for("Media streams established", SOON).expect("the call is up");
        phone.speaks().expect("it speaks");
    }
    std::thread::sleep(Duration::from_secs(2));
    [caller, callee]
}

/// One presses keys, one after the other, and the other tells of each, once and in order.
fn expect_keys(presses: &mut Linphone, hears: &Linphone) {
    for key in KEYS.chars() {
        presses.types(&key.to_string()).expect("it is typed");
        std::thread::sleep(Duration::from_millis(400));
    }
    let told = || {
        let log = hears.log();
        let keys = log.split("Receiving tone ").skip(1);
        keys.filter_map(|rest| rest.chars().next()).collect::<String>()
    };
    assert!(Lab::wait_until(SOON, || told().len() >= KEYS.len()), "{}", hears.log());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told(), KEYS);
}

fn count(lab: &Lab, name: &str) -> u64 {
    counted(&lab.tollgate(&["status"]).expect("both daemons answer"), name)
}

#[test]
fn keys_as_info_reach_a_phone_as_events() {
    if !Linphone::is_installed() {
        return;
    }
    // The caller's phone describes no events, where it tells keys by INFO.
    let Some(lab) = raised(1, true) else { return };
    let words = "gateway routing set london --field dtmf=rfc4733";
    let words: Vec<&str> = words.split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
    let [mut caller, callee] = talking(&lab, [true, false]);
    expect_keys(&mut caller, &callee);
    assert_eq!(count(&lab, "keys_turned"), KEYS.len() as u64, "{}", lab.books());
    assert_eq!(count(&lab, "keys_lost"), 0);
}

#[test]
fn keys_as_events_reach_a_phone_that_wants_info_and_its_own_come_back_as_events() {
    if !Linphone::is_installed() {
        return;
    }
    let Some(lab) = raised(1, true) else { return };
    let words: Vec<&str> = "gateway routing set london --field dtmf=info".split(' ').collect();
    lab.tollgate(&words).expect("provisioning is accepted");
    let [mut caller, mut callee] = talking(&lab, [false, true]);
    expect_keys(&mut caller, &callee);
    assert_eq!(count(&lab, "keys_turned"), KEYS.len() as u64, "{}", lab.books());
    expect_keys(&mut callee, &caller);
    assert_eq!(count(&lab, "keys_turned"), 2 * KEYS.len() as u64, "{}", lab.books());
}
