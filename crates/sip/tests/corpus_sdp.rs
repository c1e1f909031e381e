//! Session descriptions that nobody here wrote: read like an independent parser reads them, and
//! rewritten so that nothing but the relay's own lines changes.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use sip::sdp::{Edit, MEDIA_MAX, Rewrite, Sdp};

/// A name to show, and the description.
type Sample = (String, Vec<u8>);

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/sdp");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no corpus at {}", path.display());
    None
}

fn files() -> Vec<Sample> {
    let Some(path) = corpus() else { return Vec::new() };
    let entries = std::fs::read_dir(path.join("sdp-transform")).unwrap().flatten();
    entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "sdp"))
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn offers_and_answers() -> Vec<Sample> {
    let Some(path) = corpus() else { return Vec::new() };
    let path = path.join("rtpengine-offer-answer.jsonl.xz");
    let Ok(unpacked) = Command::new("xz").arg("-dc").arg(&path).output() else {
        eprintln!("SKIPPED: no xz to unpack {}", path.display());
        return Vec::new();
    };
    let text = String::from_utf8(unpacked.stdout).unwrap();
    text.lines()
        .flat_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let name = line["name"].as_str().unwrap_or_default().to_owned();
            ["sdp_in", "sdp_out"].map(|key| (name.clone(), line[key].as_str().map(str::to_owned)))
        })
        // `PORT` stands for a number that changes from run to run.
        .filter_map(|(name, sdp)| Some((name, sdp?.replace("PORT", "4242").into_bytes())))
        .collect()
}

/// Whether a line is one that a rewrite may change or drop.
fn is_relays_own(line: &[u8]) -> bool {
    [&b"o="[..], b"c=", b"m=", b"a=rtcp:", b"a=candidate", b"a=remote-candidates", b"a=end-of-"]
        .iter()
        .chain(&[&b"a=ice-"[..], b"a=rtcp-mux", b"a=bundle-only", b"a=fingerprint", b"a=setup"])
        .chain(&[&b"a=tls-id"[..], b"a=connection", b"a=group:BUNDLE"])
        .chain(&[&b"s="[..], b"i=", b"u=", b"e=", b"p=", b"a=alt:", b"a=path:", b"a=tool:"])
        .chain(&[&b"a=source-filter:"[..], b"a=ssrc:", b"a=ssrc-group:", b"k=", b"a=altc:"])
        .chain(&[&b"a=ccap:"[..], b"a=icap:", b"a=identity:", b"a=control:", b"a=acap:"])
        .chain(&[&b"a=crypto:"[..]])
        .any(|start| line.starts_with(start))
        || sip::telling::holds_address(line)
}

fn kept(sdp: &[u8]) -> Vec<&[u8]> {
    sdp.split_inclusive(|&byte| byte == b'\n').filter(|line| !is_relays_own(line)).collect()
}

fn judge(samples: &[Sample]) -> usize {
    let address: IpAddr = "203.0.113.77".parse().unwrap();
    let ports: Vec<u16> = (0..MEDIA_MAX as u16).map(|medium| 30_000 + 2 * medium).collect();
    let edits: Vec<_> = ports.iter().copied().map(Edit::port).collect();
    let mut out = vec![0; 65_536];
    let mut read = 0;
    for (name, bytes) in samples {
        let Ok(sdp) = Sdp::parse(bytes) else { continue };
        read += 1;
        let length = sdp
            .rewrite(
                &Rewrite {
                    origin: address,
                    address,
                    session: 1,
                    version: 1,
                    edits: &edits,
                    bypassed: false,
                },
                &mut out,
            )
            .unwrap();
        let again = Sdp::parse(&out[..length]).unwrap();
        assert_eq!(kept(bytes), kept(&out[..length]), "{name}");
        assert_eq!(sdp.media().len(), again.media().len(), "{name}");
        for ((before, after), port) in sdp.media().iter().zip(again.media()).zip(&ports) {
            assert_eq!(after.port, if before.port == 0 { 0 } else { *port }, "{name}");
            assert_eq!((after.kind, after.proto), (before.kind, before.proto), "{name}");
            assert!(after.formats().eq(before.formats()), "{name}");
            let held = before.connection.is_some_and(|connection| connection.is_unspecified());
            if let Some(connection) = after.connection {
                assert!(held == connection.is_unspecified(), "{name}");
                assert!(held || connection.ip == Some(address), "{name}");
            }
            if let Some(rtcp) = after.rtcp_port {
                assert_eq!(rtcp, port + 1, "{name}");
            }
        }
        if let Ok(oracle) = sdp_types::Session::parse(bytes) {
            assert_eq!(oracle.medias.len(), sdp.media().len(), "{name}");
            for (theirs, ours) in oracle.medias.iter().zip(sdp.media()) {
                assert_eq!(theirs.media.as_bytes(), ours.kind, "{name}");
                assert_eq!(theirs.port, ours.port, "{name}");
                assert_eq!(theirs.proto.as_bytes(), ours.proto, "{name}");
                assert_eq!(theirs.attributes.len(), ours.attributes().count(), "{name}");
            }
        }
    }
    read
}

#[test]
fn the_files_of_many_vendors_are_rewritten_in_the_relays_lines_only() {
    let samples = files();
    let read = judge(&samples);
    for (name, bytes) in &samples {
        if let Err(fault) = Sdp::parse(bytes) {
            eprintln!("{name}: {fault:?}");
        }
    }
    // Not read: more media than we relay, or no connection.
    assert!(read + 4 >= samples.len(), "{read} of {}", samples.len());
}

#[test]
fn offers_and_answers_of_another_relay_are_rewritten_in_the_relays_lines_only() {
    let samples = offers_and_answers();
    let read = judge(&samples);
    assert!(read * 100 >= samples.len() * 97, "{read} of {}", samples.len());
}
