//! The program itself, in network namespaces of its own: what it sends is what a foreign capture sees.
//!
//! Two namespaces with a veth between them; `tcpdump` is at the far end. As root only. The captures are
//! material that nobody here wrote, from `shared/corpus`; without it those tests are skipped, loudly.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tollgate-replay");
const WAYS: [&str; 3] = ["live", "afxdp", "packet"];
/// Frames that the ring of a veth's end holds, less one.
const RING_FRAMES: usize = 255;
/// How long a capture of ours may take to be written.
const PATIENCE: Duration = Duration::from_secs(10);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces and the veth between them: `near` here, `far` there.
struct Cable {
    near: String,
    far: String,
}

fn run(words: &str) {
    let mut parts = words.split(' ');
    let done = Command::new(parts.next().unwrap()).args(parts).output().unwrap();
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Cable {
    /// `None`: this is not root, and that was said.
    fn lay() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: namespaces need root");
            return None;
        }
        let number = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let cable = Self { near: format!("tgrn{number}"), far: format!("tgrf{number}") };
        run(&format!("ip netns add {}", cable.near));
        run(&format!("ip netns add {}", cable.far));
        let near = &cable.near;
        run(&format!("ip -n {near} link add near type veth peer name far netns {}", cable.far));
        for (namespace, end) in [(near, "near"), (&cable.far, "far")] {
            // The kernel is to send nothing of its own.
            run(&format!("ip -n {namespace} link set {end} addrgenmode none arp off"));
            run(&format!("ip -n {namespace} link set {end} up"));
            run(&format!("ip netns exec {namespace} ethtool -K {end} tx off tso off gso off"));
        }
        // So that the far end takes frames that are no packets of the kernel's yet.
        run(&format!("ip netns exec {} ethtool -K far gro on", cable.far));
        Some(cable)
    }

    /// The program in the near namespace.
    fn replay(&self, words: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.near)).arg(PROGRAM);
        command.args(words.split_whitespace());
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// A tcpdump at the far end.
struct Dump {
    child: Child,
    file: PathBuf,
}

impl Dump {
    fn begin(cable: &Cable) -> Self {
        let file = scratch("dump.pcap");
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", cable.far))
            .args([
                "tcpdump",
                "--immediate-mode",
                "-U",
                "-B",
                "65536",
                "-s",
                "0",
                "-n",
                "-Z",
                "root",
            ])
            .args(["-Q", "in", "-i", "far", "-w"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        while !line.contains("listening on") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "tcpdump ended");
        }
        Self { child, file }
    }

    /// The frames that came, as soon as there are so many.
    fn frames(mut self, wanted: usize) -> Vec<Vec<u8>> {
        let begun = Instant::now();
        while frames(&self.file).len() < wanted && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let found = frames(&self.file);
        let _ = std::fs::remove_file(&self.file);
        found
    }
}

fn scratch(name: &str) -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("tollgate-replay-{}-{number}-{name}", std::process::id()))
}

/// By the foreign reader; one that is still being written ends with a part of a frame.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    if let Ok(mut reader) = PcapNgReader::new(File::open(path).unwrap()) {
        return std::iter::from_fn(|| {
            Some(match reader.next_block()?.ok()? {
                Block::EnhancedPacket(packet) => Some(packet.data.into_owned()),
                _ => None,
            })
        })
        .flatten()
        .collect();
    }
    let Ok(mut reader) = PcapReader::new(File::open(path).unwrap()) else { return Vec::new() };
    std::iter::from_fn(|| Some(reader.next_packet()?.ok()?.data.into_owned())).collect()
}

/// Captures that others made; none, and that was said, where they are not.
fn corpus() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("TOLLGATE_SHARED").map(PathBuf::from);
    let places = given.into_iter().chain(here.ancestors().map(|place| place.join("shared")));
    let Some(place) = places.map(|place| place.join("corpus/pcap")).find(|place| place.exists())
    else {
        eprintln!("SKIPPED: no corpus/pcap in a folder `shared` beside the work tree");
        return Vec::new();
    };
    let folders = std::fs::read_dir(place).unwrap().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
    let mut found: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap"))
        .collect();
    found.sort();
    found
}

fn named(name: &str) -> Option<PathBuf> {
    corpus().into_iter().find(|path| path.ends_with(name))
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_frame_of_every_capture_arrives_in_its_order_byte_for_byte() {
    let captures = corpus();
    let Some(cable) = Cable::lay().filter(|_| !captures.is_empty()) else { return };
    for capture in captures {
        // What is no Ethernet becomes that first, by the same program.
        let as_sent = scratch("sent.pcap");
        let words = format!("{} --write {}", capture.display(), as_sent.display());
        assert!(cable.replay(&words).output().unwrap().status.success(), "{words}");
        let (original, wanted) = (frames(&capture), frames(&as_sent));
        let _ = std::fs::remove_file(&as_sent);
        assert_eq!(original.len(), wanted.len(), "{}", capture.display());
        if !capture.ends_with("ipv6frag.pcap") {
            assert_eq!(original, wanted, "{}", capture.display());
        }
        for way in WAYS {
            let dump = Dump::begin(&cable);
            let pace = if way == "live" { "--flat-out" } else { "--speed 300" };
            let words = format!("{} --to near {pace} --by {way} --output json", capture.display());
            let report = json(&cable.replay(&words).output().unwrap());
            assert_eq!(report["sent"]["frames"], wanted.len(), "{words}: {report}");
            // At no pace a veth loses what the ring of its far end has no room for.
            let all = way != "live" || wanted.len() < RING_FRAMES;
            let found = dump.frames(if all { wanted.len() } else { RING_FRAMES });
            assert!(
                found.len() >= if all { wanted.len() } else { RING_FRAMES },
                "{words}: {}",
                found.len()
            );
            let mut rest = wanted.iter();
            for (place, found) in found.iter().enumerate() {
                // The kernel pads what is shorter than Ethernet has it.
                let is = |wanted: &&Vec<u8>| found.get(..wanted.len()) == Some(&wanted[..]);
                let wanted = if all { rest.next().filter(is) } else { rest.find(is) };
                assert!(wanted.is_some(), "{words}: frame {place}");
            }
        }
    }
}

#[test]
fn a_thousand_calls_of_one_arrive_whole_by_every_way() {
    let (Some(capture), Some(cable)) = (named("sipp/g711a.pcap"), Cable::lay()) else { return };
    for (way, calls, frames) in
        [("live", 1_000, 236_000), ("afxdp", 100, 23_600), ("packet", 100, 23_600)]
    {
        let words = format!(
            "{} --to near --by {way} --flat-out --calls {calls} --per-second 1000 --seed 3 --output json \
             --listen far --listen-in {} --max-loss 100",
            capture.display(),
            cable.far
        );
        let report = json(&cable.replay(&words).output().unwrap());
        let heard = &report["heard"];
        assert_eq!(heard["rtp_sent"], frames, "{report}");
        assert_eq!((&heard["broken_checksums"], &heard["other_frames"]), (&0.into(), &0.into()));
        let stream = &heard["streams"][0];
        assert_eq!((&stream["changed"], &stream["duplicates"]), (&0.into(), &0.into()));
        assert_eq!(stream["reordered"], 0, "{report}");
        // A machine with other work may be too slow to listen; what it lost it has to know.
        let received = stream["received"].as_u64().unwrap();
        assert_eq!(received + heard["rtp_lost"].as_u64().unwrap(), frames);
        assert!(received * 20 > frames, "{report}");
    }
}

#[test]
fn calls_over_ipv6_are_patched_in_the_kernel_with_checksums_that_hold() {
    let Some(cable) = Cable::lay() else { return };
    let file = scratch("v6.pcap");
    let mut writer = pcap_file::pcap::PcapWriter::new(File::create(&file).unwrap()).unwrap();
    for sequence in 0..100_u16 {
        let mut packet = vec![0x80, 8];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend([0xde, 0xad, 0xbe, 0xef]);
        packet.resize(172, sequence as u8);
        let headers = wire::datagram::Headers {
            destination_mac: [2, 0, 0, 0, 0, 2],
            source_mac: [2, 0, 0, 0, 0, 1],
            vlan: None,
            source: "[fd00::1:fff0]:4000".parse().unwrap(),
            destination: "[fd00::2]:6000".parse().unwrap(),
            dscp: 46,
            ttl: 64,
        };
        let mut room = [0; 512];
        let length = wire::datagram::write(&mut room, &headers, &packet).unwrap();
        let time = Duration::from_millis(20 * u64::from(sequence));
        let frame = pcap_file::pcap::PcapPacket::new(time, length as u32, &room[..length]);
        writer.write_packet(&frame).unwrap();
    }
    drop(writer);
    for (calls, more) in [(50, ""), (50, "--keep fd00::2"), (50, "--loop 2")] {
        let words = format!(
            "{} --to near --by live --flat-out --calls {calls} {more} --output json --listen far --listen-in {}",
            file.display(),
            cable.far
        );
        let report = json(&cable.replay(&words).output().unwrap());
        let heard = &report["heard"];
        let stream = &heard["streams"][0];
        assert_eq!((&heard["broken_checksums"], &stream["changed"]), (&0.into(), &0.into()));
        assert_eq!(stream["duplicates"], 0, "{report}");
        assert!(stream["received"].as_u64().unwrap() > 1_000, "{report}");
    }
    let _ = std::fs::remove_file(&file);
}

/// A datagram's ends and payload; both checksums are held against it.
fn datagram(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
    let found = wire::datagram::parse(frame).ok()?;
    Some((found.source, found.destination, found.payload(frame).to_vec()))
}

#[test]
fn each_of_a_thousand_calls_says_in_sip_where_its_rtp_goes() {
    let (Some(capture), Some(cable)) = (named("sngrep/aaa.pcap"), Cable::lay()) else { return };
    let file = scratch("thousand.pcap");
    let words =
        format!("{} --calls 1000 --per-second 100 --write {}", capture.display(), file.display());
    assert!(cable.replay(&words).output().unwrap().status.success());
    let count = |frames: &[Vec<u8>]| {
        let (mut sip, mut identities, mut told) = (0, HashSet::new(), BTreeSet::new());
        let (mut flows, mut sources) = (BTreeSet::new(), HashSet::new());
        for frame in frames {
            let Some((source, destination, payload)) = datagram(frame) else { continue };
            if let Ok(message) = sip::Message::parse(&payload) {
                sip += 1;
                identities.insert(message.call_id().to_vec());
                let text = String::from_utf8_lossy(message.body()).into_owned();
                let host = text.split("c=IN IP4 ").nth(1).and_then(|rest| rest.lines().next());
                let Ok(sdp) = sip::Sdp::parse(message.body()) else { continue };
                let host: Option<std::net::IpAddr> = host.and_then(|host| host.parse().ok());
                for media in sdp.media().iter() {
                    told.extend(host.map(|host| SocketAddr::new(host, media.port)));
                }
            } else if source.port() >= 1_024
                && destination.port() >= 1_024
                && let Some(rtp) = wire::rtp::parse(&payload)
            {
                sources.insert(rtp.ssrc);
                flows.insert((source, destination));
            }
        }
        (sip, identities.len(), told, flows, sources.len())
    };
    let one = count(&frames(&capture));
    let many = count(&frames(&file));
    let _ = std::fs::remove_file(&file);
    assert!(one.0 > 50 && !one.3.is_empty(), "{one:?}");
    assert_eq!((many.0, many.1), (one.0 * 1_000, one.1 * 1_000));
    assert_eq!((many.3.len(), many.4), (one.3.len() * 1_000, one.4 * 1_000));
    for (source, destination) in &one.3 {
        assert!(one.2.contains(source) && one.2.contains(destination), "the captured call itself");
    }
    for (source, destination) in &many.3 {
        assert!(many.2.contains(source), "{source} is in no description");
        assert!(many.2.contains(destination), "{destination} is in no description");
    }
}

#[test]
fn what_does_not_come_back_is_told_and_too_much_of_it_is_a_failure() {
    let (Some(capture), Some(cable)) = (named("sipp/dtmf_2833_1.pcap"), Cable::lay()) else {
        return;
    };
    // Nobody sends anything to the far namespace's own loopback interface.
    let words = format!(
        "{} --to near --speed 100 --listen lo --listen-in {} --drain 50 --max-loss 1 --output json",
        capture.display(),
        cable.far
    );
    run(&format!("ip -n {} link set lo up", cable.far));
    let output = cable.replay(&words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["heard"]["rtp_lost"], 10);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--max-loss"));
}

#[test]
fn the_recorded_pace_is_kept_as_often_as_it_is_wished() {
    let (Some(capture), Some(cable)) = (named("sipp/g711a.pcap"), Cable::lay()) else { return };
    let words = format!("{} --to near --speed 10 --loop 2 --output json", capture.display());
    let report = json(&cable.replay(&words).output().unwrap());
    assert_eq!(report["sent"]["frames"], 472);
    // 7.05 s, twice, ten times as fast; never faster, however slow the machine.
    assert!(report["sent"]["seconds"].as_f64().unwrap() > 1.4, "{report}");
    assert_eq!(report["pace_error"]["packets"], 472);
}

#[test]
fn an_interrupt_ends_it_with_its_report_and_bounds_end_it_by_themselves() {
    let (Some(capture), Some(cable)) = (named("sipp/g711a.pcap"), Cable::lay()) else { return };
    let words = format!("{} --to near --loop 0 --output json", capture.display());
    let mut command = cable.replay(&words);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    // nsenter becomes the program.
    let process = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json(&output)["sent"]["stopped"], true);
    for way in WAYS {
        let words = format!(
            "{} --to near --by {way} --flat-out --loop 0 --count 1000 --output json",
            capture.display()
        );
        assert_eq!(json(&cable.replay(&words).output().unwrap())["sent"]["frames"], 1_000);
    }
    let words = format!("{} --to near --loop 0 --seconds 1 --output json", capture.display());
    assert!(cable.replay(&words).output().unwrap().status.success());
}

#[test]
fn a_hostile_capture_and_a_senseless_wish_are_refused_with_words() {
    let program =
        |words: &str| Command::new(PROGRAM).args(words.split_whitespace()).output().unwrap();
    let file = scratch("hostile.pcap");
    let shown = file.display().to_string();
    let mut pcap = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    for word in [0x0004_0002_u32, 0, 0, 65_535, 1, 0, 0, 0xffff_fff0, 0xffff_fff0] {
        pcap.extend(word.to_le_bytes());
    }
    for (bytes, said) in [
        (pcap, "packet 1: a length of 4294967280 cannot be"),
        (b"not a capture".to_vec(), "neither pcap nor pcapng"),
        (Vec::new(), "ends within its first header"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let output = program(&format!("{shown} --to lo"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(said) && text.contains(&shown), "{text}");
    }
    let _ = std::fs::remove_file(&file);
    for words in [
        "x.pcap",
        "x.pcap --to lo --map nonsense",
        "x.pcap --to lo --map 10.0.0.1=fd00::1",
        "x.pcap --to lo --source-mac 1:2",
        "x.pcap --to lo --speed 0",
        "x.pcap --to lo --calls 0",
        "x.pcap --to lo --max-loss 5",
    ] {
        let output = program(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}: {text}");
        assert!(!text.is_empty());
    }
    assert_eq!(program("no-such.pcap --to lo").status.code(), Some(1));
}
