//! What peers do in SIP, by a foreign client on both sides: over IPv4 and IPv6, UDP and streams.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::raised;
use tests::lab::Lab;
use tests::sipp::{Carrier, SDP, Script, agree, answer, cancel, inside, invite, submit};

/// Where a call is made.
#[derive(Clone, Copy, Debug)]
struct Place {
    customer: &'static str,
    ours: &'static str,
    vendor: &'static str,
}

const IPV4: Place = Place { customer: "10.10.1.1", ours: "10.10.1.2:5060", vendor: "10.10.2.1" };
const IPV6: Place = Place { customer: "fd10:1::1", ours: "[fd10:1::2]:5060", vendor: "fd10:2::1" };

/// Both sides of a call.
struct Play {
    name: &'static str,
    caller: Script,
    vendor: Script,
    /// As the CDR says it.
    reason: &'static str,
}

/// A lab whose customer and vendor are known by both families.
fn lab() -> Option<Lab> {
    let lab = raised(2, true)?;
    for command in [
        "gateway mapping set pbx --address 10.10.1.1 --address fd10:1::1",
        "gateway routing create paris --account carrier --tariff wholesale --target [fd10:2::1]:5060 --prefix 442",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        lab.tollgate(&words).expect("provisioning is accepted");
    }
    Some(lab)
}

/// Plays both sides; what each said to that when it was not as written.
fn play(lab: &Lab, place: Place, carrier: Carrier, play: &Play) -> Result<(), String> {
    // The longest prefix decides which family the vendor is reached by.
    let callee = if place.vendor.contains(':') { "44207946" } else { "44107946" };
    let side = |name: &str, script: &Script| {
        let file = script.save(&format!("{}-{name}", play.name)).expect("a script can be written");
        file.to_string_lossy().into_owned()
    };
    let (vendor, caller) = (side("vendor", &play.vendor), side("caller", &play.caller));
    let shared = [
        "-m",
        "1",
        "-nostdin",
        "-timeout",
        "30",
        "-timeout_error",
        "-trace_err",
        "-error_file",
        "/dev/stderr",
    ];
    let mut listens = vec!["-sf", &vendor, "-i", place.vendor, "-p", "5060", "-t", "u1"];
    listens.extend(shared);
    let vendor = lab.start("vend", "sipp", &listens).expect("the vendor starts");
    std::thread::sleep(Duration::from_millis(400));
    let mut calls = vec![
        "-sf",
        &caller,
        "-i",
        place.customer,
        "-p",
        "5090",
        "-t",
        carrier.option(),
        "-s",
        callee,
    ];
    calls.extend(shared);
    calls.push(place.ours);
    let caller = lab.start("cust", "sipp", &calls).expect("the caller starts");
    let said = [("caller", caller), ("vendor", vendor)].map(|(who, running)| {
        let output = running.output().expect("SIPp ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then(|| format!("{who}: {:?}\n{text}", output.status.code()))
    });
    let said: Vec<String> = said.into_iter().flatten().collect();
    let name = format!("{} by {carrier:?} at {}", play.name, place.customer);
    if said.is_empty() { Ok(()) } else { Err(format!("{name}:\n{}", said.join("\n"))) }
}

/// The reasons of all records, newest last.
fn reasons(lab: &Lab) -> Vec<Value> {
    let page = lab.tollgate(&["cdr", "list", "--limit", "1000"]).expect("CDRs are listed");
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let complete = items.iter().filter(|cdr| cdr.get("complete") == Some(&json!(true)));
    complete.filter_map(|cdr| cdr.get("end_reason").cloned()).collect()
}

fn talks() -> Script {
    Script::new()
        .asks(invite("", SDP))
        .may_get("100")
        .may_get("180")
        .may_get("183")
        .gets("200")
        .says(inside("ACK", 1, "", ""))
}

fn takes() -> Script {
    Script::new()
        .gets("INVITE")
        .says(answer("180 Ringing", "", ""))
        .pauses(200)
        .says(answer("200 OK", "", SDP))
        .gets("ACK")
}

fn basics() -> Vec<Play> {
    vec![
        Play {
            name: "a call that the caller ends",
            caller: talks().pauses(300).asks(inside("BYE", 2, "", "")).gets("200"),
            vendor: takes().gets("BYE").says(agree("200 OK", "", "")),
            reason: "normal",
        },
        Play {
            name: "a busy callee",
            caller: Script::new().asks(invite("", SDP)).may_get("100").gets("486").says(submit()),
            vendor: Script::new().gets("INVITE").says(answer("486 Busy Here", "", "")).gets("ACK"),
            reason: "busy",
        },
        Play {
            name: "a caller who gives up",
            caller: Script::new()
                .asks(invite("", SDP))
                .may_get("100")
                .gets("180")
                .pauses(200)
                .asks(cancel())
                .gets("200")
                .gets("487")
                .says(submit()),
            vendor: Script::new()
                .gets("INVITE")
                .says(answer("180 Ringing", "", ""))
                .gets("CANCEL")
                .says(agree("200 OK", "", ""))
                .says(
                    answer("487 Request Terminated", "", "")
                        .replace("[last_CSeq:]", "CSeq: 1 INVITE"),
                )
                .gets("ACK"),
            reason: "cancelled",
        },
        Play {
            name: "hold and resume",
            caller: talks()
                .pauses(200)
                .asks(inside("INVITE", 2, "", &format!("{SDP}a=sendonly\n")))
                .may_get("100")
                .gets_with("200", "a=recvonly")
                .says(inside("ACK", 2, "", ""))
                .pauses(200)
                .asks(inside("INVITE", 3, "", SDP))
                .may_get("100")
                .gets("200")
                .says(inside("ACK", 3, "", ""))
                .asks(inside("BYE", 4, "", ""))
                .gets("200"),
            vendor: takes()
                .gets_with("INVITE", "a=sendonly")
                .says(agree("200 OK", "", &format!("{SDP}a=recvonly\n")))
                .gets("ACK")
                .gets("INVITE")
                .says(agree("200 OK", "", SDP))
                .gets("ACK")
                .gets("BYE")
                .says(agree("200 OK", "", "")),
            reason: "normal",
        },
        Play {
            name: "an INVITE without an offer",
            caller: Script::new()
                .asks(invite("", ""))
                .may_get("100")
                .may_get("180")
                .gets_with("200", "m=audio")
                .says(inside("ACK", 1, "", SDP))
                .asks(inside("BYE", 2, "", ""))
                .gets("200"),
            vendor: Script::new()
                .gets("INVITE")
                .says(answer("180 Ringing", "", ""))
                .says(answer("200 OK", "", SDP))
                .gets_with("ACK", "m=audio")
                .gets("BYE")
                .says(agree("200 OK", "", "")),
            reason: "normal",
        },
    ]
}

fn all_play(lab: &Lab, places: &[Place], carriers: &[Carrier], plays: &[Play]) {
    let mut faults = Vec::new();
    let mut expected = Vec::new();
    for one in plays {
        for &place in places {
            for &carrier in carriers {
                faults.extend(play(lab, place, carrier, one).err());
                expected.push(json!(one.reason));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    let sorted = |mut reasons: Vec<Value>| {
        reasons.sort_by_key(ToString::to_string);
        reasons
    };
    let expected = sorted(expected);
    Lab::wait_until(Duration::from_secs(10), || sorted(reasons(lab)) == expected);
    assert_eq!(sorted(reasons(lab)), expected);
}

#[test]
fn peers_call_hold_cancel_and_refuse_over_both_families() {
    let Some(lab) = lab() else { return };
    all_play(&lab, &[IPV4, IPV6], &[Carrier::Udp], &basics());
}
