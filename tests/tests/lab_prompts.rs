//! Calls that fail and say why, in the lab: SIPp calls, a socket of ours listens to what its caller would hear.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use codec::g711::to_a_law;
use serde_json::{Value, json};
use tests::carrier::{counted, raised_with};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab, Running};
use tests::sipp::{Script, answer, cancel, invite, submit};

/// Where the caller hears.
const EAR: &str = "10.10.1.1:7000";
/// What it offers.
const OFFER: &str = "v=0
o=user1 53655765 1 IN IP4 10.10.1.1
s=-
c=IN IP4 10.10.1.1
t=0 0
m=audio 7000 RTP/AVP 8 0
";
/// The answer in the 183: us, to be heard alone.
const TOLD: &str = "m=audio 1[0-9][0-9][0-9][0-9] RTP/AVP 8";

/// A tone of half a second, or of so many times that.
fn tone(hertz: f64, halves: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * hertz / 8_000.0;
    (0..4_000 * halves).map(|at| ((at as f64 * turn).sin() * 9_000.0) as i16).collect()
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let length = (bytes.len() as u32).to_le_bytes();
    let format = [1, 1, 8_000, 0, 16_000, 0, 2, 16].map(u16::to_le_bytes).concat();
    let riff = (bytes.len() as u32 + 36).to_le_bytes();
    let head = [b"RIFF", riff.as_slice(), b"WAVEfmt ", &16_u32.to_le_bytes(), &format, b"data"];
    [head.concat(), length.to_vec(), bytes].concat()
}

/// A lab whose customer hears why its calls fail, and a folder of prompts.
struct Scene {
    lab: Lab,
    folder: PathBuf,
    ear: UdpSocket,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Scene {
    fn raised(files: &[(&str, Vec<u8>)]) -> Option<Self> {
        // Tests of one process wait for the lab together.
        static SCENES: AtomicU32 = AtomicU32::new(0);
        let (process, scene) = (std::process::id(), SCENES.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("tollgate-prompts-{process}-{scene}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
        let section = format!("\n[prompts]\ndirectory = \"{}\"\n", folder.display());
        let lab = raised_with(2, true, &section)?;
        let set = ["gateway", "mapping", "set", "pbx", "--announcements", "true"];
        lab.tollgate(&set).expect("the gateway is changed");
        let ear = lab.socket("cust", EAR).expect("a socket");
        ear.set_read_timeout(Some(Duration::from_millis(300))).expect("it waits for a while");
        Some(Self { lab, folder, ear })
    }

    fn sipp(&self, place: &str, at: &str, script: &Script, more: &[&str]) -> Running {
        let (address, port) = at.split_once(':').expect("an address with a port");
        let file = self.folder.join(format!("{place}-{port}.xml"));
        script.save(&file).expect("a script");
        let file = file.to_string_lossy();
        let mut arguments = vec!["-sf", &file, "-i", address, "-p", port, "-mi", address];
        arguments.extend(["-m", "1", "-nostdin", "-timeout", "60", "-timeout_error"]);
        arguments.extend(["-trace_err", "-error_file", "/dev/stderr"]);
        arguments.extend(more);
        self.lab.start(place, "sipp", &arguments).expect("SIPp starts")
    }

    fn calls(&self, number: &str, script: &Script) -> Running {
        self.sipp("cust", "10.10.1.1:5090", script, &["-s", number, BOX_CUSTOMER_SIDE])
    }

    /// What the caller hears until it hears nothing for a while: sequence numbers and samples.
    fn hears(&self) -> Vec<(u16, Vec<u8>)> {
        let mut heard = Vec::new();
        let mut packet = [0; 2_048];
        let from = BOX_CUSTOMER_SIDE.split_once(':').map_or("", |(host, _)| host);
        let mut patience = 20;
        while patience > 0 {
            let Ok((length, source)) = self.ear.recv_from(&mut packet) else {
                // It takes some time until it begins.
                patience = if heard.is_empty() { patience - 1 } else { 0 };
                continue;
            };
            assert_eq!(source.ip().to_string(), from);
            assert_eq!((packet[0], packet[1] & 0x7f), (0x80, 8), "RTP of A-law");
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            heard.push((sequence, packet[12..length].to_vec()));
        }
        heard
    }

    fn hears_all_of(&self, samples: &[i16]) {
        let heard = self.hears();
        let sequences: Vec<u16> = heard.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (0..(samples.len() / 160) as u16).collect::<Vec<_>>());
        let words: Vec<u8> = heard.into_iter().flat_map(|(_, words)| words).collect();
        let expected: Vec<u8> = samples.iter().copied().map(to_a_law).collect();
        assert!(words == expected, "the caller hears what the file says");
    }

    /// The newest record, once there are so many.
    fn record(&self, calls: usize) -> Value {
        let mut found = Vec::new();
        let all = Lab::wait_until(Duration::from_secs(10), || {
            let page = self.lab.tollgate(&["cdr", "list"]).unwrap_or_default();
            found = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            found.retain(|cdr| cdr.get("complete") == Some(&json!(true)));
            found.len() == calls
        });
        assert!(all, "{calls} records: {found:?}");
        let id = found[0].get("id").and_then(Value::as_str).expect("a record has an id").to_owned();
        self.lab.tollgate(&["cdr", "show", &id]).expect("the record is shown")
    }

    /// The newest record says that the call failed so, and that nobody pays for it.
    fn is_recorded(&self, calls: usize, reason: &str, status: u64) {
        let cdr = self.record(calls);
        assert_eq!(cdr.get("end_reason"), Some(&json!(reason)), "{cdr}");
        assert_eq!(cdr.get("status"), Some(&json!(status)), "{cdr}");
        let charge = cdr.get("charge").and_then(Value::as_str).expect("a record has a charge");
        assert!(charge.bytes().all(|byte| b"0.".contains(&byte)), "{cdr}");
    }

    fn counted(&self, name: &str) -> u64 {
        counted(&self.lab.tollgate(&["status"]).expect("status"), name)
    }

    /// No flow and no port outlives its call.
    fn is_quiet(&self) {
        let is_over = || {
            let status = self.lab.tollgate(&["status"]).unwrap_or_default();
            let [taken, returned] =
                ["media_ports_taken", "media_ports_returned"].map(|name| counted(&status, name));
            taken == returned
        };
        assert!(Lab::wait_until(Duration::from_secs(3), is_over), "{}", self.lab.books());
    }
}

/// A caller that hears and then gets this.
fn fails(status: &str) -> Script {
    Script::new()
        .asks(invite("", OFFER))
        .may_get("100")
        .gets_with("183", TOLD)
        .gets(status)
        .says(submit())
}

/// A vendor that refuses.
fn refuses(status: &str) -> Script {
    Script::new().gets("INVITE").says(answer(status, "", "")).gets("ACK")
}

fn succeeds(running: Running) {
    let output = running.output().expect("SIPp ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_caller_hears_why_its_call_fails_and_pays_nothing() {
    let (route, busy, any) = (tone(620.0, 1), tone(1_100.0, 1), tone(300.0, 10));
    let files = [
        ("no_route.wav", wav(&route)),
        ("486.wav", wav(&busy)),
        ("default.wav", wav(&any)),
        ("no_rate.wav", b"RIFF, but not really".to_vec()),
    ];
    let Some(scene) = Scene::raised(&files) else { return };
    let lab = &scene.lab;
    let status = lab.tollgate(&["status"]).expect("status").to_string();
    assert!(status.contains("3 loaded, ") && status.contains("no WAV file"), "{status}");
    for command in [
        "tariff rate set retail 49 0.0120",
        "gateway routing set london --priority 1",
        "gateway routing create paris --account carrier --tariff wholesale --target 10.10.2.1:5070 --prefix 44 --priority 2",
    ] {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>()).expect("it is accepted");
    }

    // Nobody serves that number.
    let caller = scene.calls("49301234", &fails("503"));
    scene.hears_all_of(&route);
    succeeds(caller);
    scene.is_recorded(1, "no_route", 503);
    assert_eq!(scene.counted("announcements_finished"), 1);

    // One vendor has no line, the next one says that the callee is busy.
    let london = scene.sipp("vend", "10.10.2.1:5060", &refuses("503 Full"), &[]);
    let paris = scene.sipp("vend", "10.10.2.1:5070", &refuses("486 Busy Here"), &[]);
    for at in ["10.10.2.1:5060", "10.10.2.1:5070"] {
        london.listens(at.parse().expect("an address")).expect("a vendor listens");
    }
    let caller = scene.calls("44201234", &fails("486"));
    scene.hears_all_of(&busy);
    for one in [caller, london, paris] {
        succeeds(one);
    }
    scene.is_recorded(2, "busy", 486);

    // Who has heard enough hears nothing more.
    let impatient = Script::new()
        .asks(invite("", OFFER))
        .may_get("100")
        .gets("183")
        .pauses(1_000)
        .says(cancel())
        .gets("200")
        .gets("487")
        .says(submit());
    let caller = scene.calls("33123456", &impatient);
    let heard = scene.hears().len();
    assert!((40..100).contains(&heard), "{heard} packets of {}", any.len() / 160);
    succeeds(caller);
    scene.is_recorded(3, "no_rate", 403);
    assert_eq!(["announcements", "announcements_cut"].map(|it| scene.counted(it)), [3, 1]);
    scene.is_quiet();
}

#[test]
fn a_killed_dataplane_leaves_nothing_of_an_announcement() {
    let Some(scene) = Scene::raised(&[("default.wav", wav(&tone(300.0, 10)))]) else { return };
    let lab = &scene.lab;
    let london = scene.sipp("vend", "10.10.2.1:5060", &refuses("404 Not Found"), &[]);
    london.listens("10.10.2.1:5060".parse().expect("an address")).expect("a vendor listens");
    let waits = Script::new().asks(invite("", OFFER)).may_get("100").gets("183").pauses(4_000);
    let caller = scene.calls("44201234", &waits);
    let begins = || scene.counted("announcements") == 1;
    assert!(Lab::wait_until(Duration::from_secs(5), begins), "{}", lab.books());
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    scene.is_recorded(1, "rejected", 404);
    scene.is_quiet();
    drop((caller, london));
    // And the next one is heard.
    let london = scene.sipp("vend", "10.10.2.1:5060", &refuses("404 Not Found"), &[]);
    london.listens("10.10.2.1:5060".parse().expect("an address")).expect("a vendor listens");
    scene.hears();
    let caller = scene.calls("44201234", &fails("404"));
    scene.hears_all_of(&tone(300.0, 10));
    for one in [caller, london] {
        succeeds(one);
    }
    scene.is_recorded(2, "rejected", 404);
}
