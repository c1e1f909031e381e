//! What media are like, in the lab: lost packets by direction on both paths, the far ends' own reports and how far away
//! they are, seen while calls run and in their records; and what a killed dataplane leaves of it.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{
    callers, counted, expect_cdrs, lossy_callers, number, put_through, softphones, vendor,
};
use tests::lab::Lab;
use tests::softphone::Softphone;

const SIDES: [&str; 2] = ["from_caller", "from_callee"];

fn raised() -> Option<Lab> {
    let lab = tests::carrier::raised(2, true)?;
    for place in ["cust", "vend"] {
        lab.polls(place).expect("its end polls");
    }
    std::thread::sleep(Duration::from_millis(1_500));
    Some(lab)
}

/// Running calls as they are seen now.
fn running(lab: &Lab) -> Vec<Value> {
    let page = lab.tollgate(&["call", "list"]).unwrap_or_default();
    page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn of<'v>(call: &'v Value, side: &str, name: &str) -> &'v Value {
    call.pointer(&format!("/media/{side}/{name}")).unwrap_or(&Value::Null)
}

fn paths(lab: &Lab) -> Value {
    lab.tollgate(&["status"]).unwrap_or_default()["calls_by_path"].take()
}

#[test]
fn three_of_a_hundred_lost_packets_are_seen_on_both_paths_while_calls_run_and_in_their_records() {
    let Some(lab) = raised() else { return };
    let mut ended = 0;
    for (settled, path, port) in [("1", "settled", 5070), ("0", "careful", 5090)] {
        lab.tollgate(&["param", "set", "TG_MEDIA_SETTLED", settled]).expect("it is set");
        let vendor = vendor(&lab, 40);
        let phones = lossy_callers(&lab, port, 5, 20, 3);
        let are_seen = || {
            let calls = running(&lab);
            calls.len() == 5
                && calls.iter().all(|call| {
                    let is_heard = |side| of(call, side, "packets").as_u64() > Some(300);
                    call["path"] == path && SIDES.into_iter().all(is_heard)
                })
        };
        assert!(Lab::wait_until(Duration::from_secs(15), are_seen), "{:?}", running(&lab));
        assert_eq!(paths(&lab)[path], 5);
        let id = running(&lab)[0]["id"].as_str().unwrap_or_default().to_owned();
        let call = lab.tollgate(&["call", "show", &id]).expect("it runs");
        for side in SIDES {
            assert_eq!(
                (of(&call, side, "codec"), of(&call, side, "path")),
                (&json!("PCMA"), &json!(path))
            );
            let loss = of(&call, side, "loss_percent").as_f64().unwrap_or(0.0);
            assert!((loss - 3.0).abs() <= 1.0, "{call}");
        }
        let result = phones.json().expect("the callers report");
        assert_eq!(number(&result, "ended"), 5, "{result}");
        ended += 5;
        for cdr in expect_cdrs(&lab, ended).iter().take(5) {
            for side in SIDES {
                let loss = of(cdr, side, "loss_percent").as_f64().unwrap_or(0.0);
                assert!((loss - 3.0).abs() <= 0.2, "{side}: {cdr}");
                let mos = of(cdr, side, "mos").as_f64().unwrap_or(0.0);
                assert!((4.0..4.2).contains(&mos), "{side}: {cdr}");
            }
            let by_driver = cdr.pointer("/media/settled_percent").and_then(Value::as_f64);
            let by_driver = by_driver.unwrap_or(-1.0);
            assert!(if path == "settled" { by_driver > 80.0 } else { by_driver == 0.0 }, "{cdr}");
        }
        drop(vendor);
    }
    let quality = lab.tollgate(&["gateway", "quality"]).expect("it is counted");
    for (place, (gateway, side)) in
        [("london", "routing"), ("pbx", "mapping")].into_iter().enumerate()
    {
        let line = &quality["items"][place];
        assert_eq!((&line["gateway"], &line["side"]), (&json!(gateway), &json!(side)), "{quality}");
        let loss = line["loss_percent"].as_f64().unwrap_or(0.0);
        assert!(line["calls"] == 10 && (loss - 3.0).abs() <= 0.2, "{quality}");
    }
    // After the last call nothing is left: of calls, of ports, of what the driver was told.
    let nothing = json!({"settled": 0, "careful": 0, "bypass": 0, "none": 0});
    let is_over = || {
        let status = lab.tollgate(&["status"]).unwrap_or_default();
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let [told, over] = ["media_settled", "media_taken_back"].map(|name| counted(&status, name));
        status["calls_by_path"] == nothing
            && told == over
            && !workers.is_empty()
            && workers.iter().all(|one| one["calls"] == 0 && one["media_ports"]["used"] == 0)
    };
    assert!(Lab::wait_until(Duration::from_secs(5), is_over), "{:?}", lab.tollgate(&["status"]));
    assert!(running(&lab).is_empty());
}

#[test]
fn figures_of_careful_calls_go_on_after_the_dataplane_was_killed() {
    let Some(lab) = raised() else { return };
    lab.tollgate(&["param", "set", "TG_MEDIA_SETTLED", "0"]).expect("it is set");
    let vendor = vendor(&lab, 40);
    let phones = callers(&lab, 5070, 5, 16);
    let least = || {
        let calls = running(&lab);
        let packets = calls.iter().filter_map(|call| of(call, SIDES[0], "packets").as_u64()).min();
        if calls.len() == 5 { packets.unwrap_or(0) } else { 0 }
    };
    assert!(Lab::wait_until(Duration::from_secs(12), || least() > 250), "{:?}", running(&lab));
    let before = least();
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let again = || running(&lab).len() == 5 && least() > before;
    assert!(Lab::wait_until(Duration::from_secs(5), again), "{:?}", running(&lab));
    let result = phones.json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 5, "{result}");
    let received = number(&result, "received");
    let mut counted = 0;
    for cdr in expect_cdrs(&lab, 5) {
        assert_eq!(cdr.pointer("/media/resumed"), Some(&json!(1)), "{cdr}");
        // The one who comes back learns what holds with its first beat, some packets later.
        let by_driver = cdr.pointer("/media/settled_percent").and_then(Value::as_f64);
        assert!(by_driver.is_some_and(|percent| percent < 2.0), "{cdr}");
        for side in SIDES {
            assert!(of(&cdr, side, "packets").as_u64() > Some(before), "{cdr}");
            assert_eq!(of(&cdr, side, "path"), "careful", "{cdr}");
        }
        counted += of(&cdr, SIDES[1], "packets").as_u64().unwrap_or(0);
    }
    // What each call was sent in the two seconds before the kill, and not more.
    assert!(counted + 5 * 110 >= received, "{counted} of {received}");
    drop(vendor);
}

#[test]
fn how_far_away_softphones_are_and_what_they_hear_is_seen_by_their_reports() {
    if !Softphone::is_installed() {
        return;
    }
    let Some(lab) = raised() else { return };
    let [caller, callee] = softphones(&lab, "", "");
    put_through([&caller, &callee]);
    let are_told = || {
        let calls = running(&lab);
        calls.len() == 1
            && SIDES.into_iter().all(|side| {
                let way = of(&calls[0], side, "round_trip_ms").as_f64();
                way.is_some_and(|ms| ms < 50.0) && of(&calls[0], side, "far_lost").is_u64()
            })
    };
    assert!(Lab::wait_until(Duration::from_secs(25), are_told), "{:?}", running(&lab));
    caller.told("hangup", "").expect("it hangs up");
    callee.waits_for("terminated", Duration::from_secs(10)).expect("the callee hears of it");
    for cdr in expect_cdrs(&lab, 1) {
        for side in SIDES {
            assert!(of(&cdr, side, "round_trip_ms").is_f64(), "{cdr}");
            assert_eq!(of(&cdr, side, "far_loss_percent"), &json!(0.0), "{cdr}");
            assert!(of(&cdr, side, "codec").is_string(), "{cdr}");
        }
    }
}
