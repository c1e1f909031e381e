//! Calls written to disk, in the lab: what is in the files, and what becomes of them when something breaks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{callers, counted, expect_cdrs, number, raised, vendor};
use tests::lab::Lab;

/// A frame of a stereo file.
type Frame = [i16; 2];

/// Every call of the customer is recorded, as `how`.
fn records(lab: &Lab, how: &str) {
    lab.tollgate(&["account", "set", "acme", "--recording", how]).expect("the account is changed");
}

/// The files of a call, by name.
fn files(lab: &Lab, cdr: &Value) -> Vec<String> {
    let id = cdr.get("id").and_then(Value::as_str).expect("a CDR has an id");
    let list = lab.tollgate(&["recording", "list", "--cdr", id]).expect("recordings are listed");
    let items = list.get("items").and_then(Value::as_array).expect("a list has items");
    let name = |item: &Value| item.get("file").and_then(Value::as_str).map(str::to_owned);
    items.iter().filter_map(name).collect()
}

/// What is in a file.
fn fetched(lab: &Lab, file: &str) -> Vec<u8> {
    let to: PathBuf = std::env::temp_dir().join(format!("tollgate-{}-{file}", std::process::id()));
    let target = to.to_str().expect("a path of ours is text");
    lab.tollgate(&["recording", "fetch", file, "--to", target]).expect("the file is fetched");
    let bytes = std::fs::read(&to).expect("it is there");
    std::fs::remove_file(&to).expect("it is taken away");
    bytes
}

/// The frames of a WAV file, whose head tells of all of them.
fn frames(file: &[u8]) -> Vec<Frame> {
    let (head, body) = file.split_at(44);
    assert_eq!(
        (&head[..4], &head[8..16], &head[36..40]),
        (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
    );
    assert_eq!(head[40..44], (body.len() as u32).to_le_bytes(), "the head tells of all");
    let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
    body.chunks_exact(4).map(|frame| [sample(frame), sample(&frame[2..])]).collect()
}

/// In how many of its 20 ms each side is heard.
fn heard(frames: &[Frame]) -> [usize; 2] {
    [0, 1].map(|side| {
        let sounds = |part: &&[Frame]| part.iter().any(|frame| frame[side].unsigned_abs() > 100);
        frames.chunks(160).filter(sounds).count()
    })
}

#[test]
fn both_sides_of_a_recorded_call_are_heard_and_its_packets_are_kept() {
    let Some(lab) = raised(2, true) else { return };
    records(&lab, "both");
    let vendor = vendor(&lab, 30);
    let result = callers(&lab, 5070, 5, 4).json().expect("the callers report");
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (5, 0), "{result}");
    let cdrs = expect_cdrs(&lab, 5);
    let status = lab.tollgate(&["status"]).expect("status");
    assert!(Lab::wait_until(Duration::from_secs(5), || {
        counted(&lab.tollgate(&["status"]).unwrap_or_default(), "recordings_ended") == 5
    }));
    assert_eq!(counted(&status, "recording_packets_lost"), 0);
    for cdr in cdrs {
        assert_eq!(cdr.get("recording"), Some(&json!("both")), "{cdr}");
        let relayed = ["from_caller", "from_callee"].map(|side| {
            cdr.pointer(&format!("/media/{side}")).map_or(0, |it| number(it, "packets"))
        });
        let names = files(&lab, &cdr);
        let kinds: BTreeSet<&str> =
            names.iter().filter_map(|name| name.rsplit('.').next()).collect();
        assert_eq!((names.len(), kinds), (2, BTreeSet::from(["pcap", "wav"])));
        for name in names {
            let file = fetched(&lab, &name);
            if name.ends_with(".wav") {
                let frames = frames(&file);
                let heard = heard(&frames);
                // A packet is 20 ms; those before the answer are in no file.
                for (heard, relayed) in heard.iter().zip(relayed) {
                    assert!(*heard as u64 + 5 >= relayed, "{heard} of {relayed}");
                }
                let talked = number(&cdr, "hold_ms") / 20;
                assert!(frames.len() as u64 / 160 <= talked + 5, "{} of {talked}", frames.len());
            } else {
                let packets = capture::Packets::open(&file).expect("a capture").count() as u64;
                assert!(packets + 5 >= relayed.iter().sum::<u64>(), "{packets} of {relayed:?}");
            }
        }
    }
    drop(vendor);
}

#[test]
fn a_recording_goes_on_in_another_file_after_the_dataplane_was_killed() {
    let Some(lab) = raised(1, true) else { return };
    records(&lab, "wav");
    let vendor = vendor(&lab, 30);
    let running = callers(&lab, 5070, 2, 12);
    std::thread::sleep(Duration::from_secs(5));
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "ended"), 2, "{result}");
    for cdr in expect_cdrs(&lab, 2) {
        assert!(Lab::wait_until(Duration::from_secs(5), || files(&lab, &cdr).len() == 2));
        std::thread::sleep(Duration::from_secs(2));
        let mut seconds = 0;
        for (place, name) in files(&lab, &cdr).iter().enumerate() {
            let file = fetched(&lab, name);
            // The first part was cut off: its head may tell of less than there is.
            let body = file.len() - 44;
            seconds += body / (8_000 * 4);
            assert_eq!(name.contains('-'), place == 0, "{name}");
            assert_eq!(&file[..4], b"RIFF");
        }
        assert!(seconds >= 7, "{seconds} of {cdr}");
    }
    drop(vendor);
}

#[test]
fn a_disk_without_room_costs_the_recording_and_not_the_call() {
    let Some(lab) = raised(1, true) else { return };
    lab.configure("[recording]\nfree_min_mb = 9999999\n").expect("the file is changed");
    lab.script(&["kill", "dataplane"]).expect("the dataplane ends");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    records(&lab, "both");
    let vendor = vendor(&lab, 30);
    let result = callers(&lab, 5070, 3, 3).json().expect("the callers report");
    assert_eq!((number(&result, "ended"), number(&result, "changed")), (3, 0), "{result}");
    for cdr in expect_cdrs(&lab, 3) {
        assert_eq!(files(&lab, &cdr), Vec::<String>::new());
    }
    let status = lab.tollgate(&["status"]).expect("status");
    assert_eq!(counted(&status, "recordings_disk_full"), 3);
    let alarms = lab.tollgate(&["alarm", "list"]).expect("alarms are listed").to_string();
    assert!(alarms.contains("recording"), "{alarms}");
    drop(vendor);
}
