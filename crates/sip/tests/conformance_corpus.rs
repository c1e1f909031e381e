//! Our own messages, a folder per section of an RFC, one file a case.
//!
//! The first line of a file is what becomes of the message at a user agent: `accept`, `refuse STATUS`
//! (understood, but not served), `answer STATUS FAULT` or `drop FAULT` (not understood). The rest is
//! the message; its line ends become CRLF.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]

use std::path::{Path, PathBuf};

use sip::refuse::{Capabilities, admit};
use sip::{Message, Method, Refusable};

const CAPABILITIES: Capabilities<'_> = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
    ],
    extensions: &[b"100rel"],
    content_types: &[b"application/sdp"],
    telephone_uris: true,
};

fn outcome(datagram: &[u8]) -> String {
    match Message::parse(datagram) {
        Ok(message) => match admit(&message, &CAPABILITIES) {
            Ok(()) => "accept".to_owned(),
            Err(refusal) => format!("refuse {}", refusal.status()),
        },
        Err(fault) => match Refusable::read(datagram, fault) {
            Some((_, status)) => format!("answer {status} {}", fault.name()),
            None => format!("drop {}", fault.name()),
        },
    }
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { cases(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "sip"))
        .collect();
    found.sort();
    found
}

#[test]
fn every_case_ends_as_its_first_line_says() {
    let cases = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let (expected, message) = text.split_once('\n').unwrap();
            let found = outcome(message.replace('\n', "\r\n").as_bytes());
            (found != expected).then(|| format!("{}: {found}, not {expected}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
