//! The 49 torture messages of RFC 4475 as they look on a stream: each is followed by a plain request, which
//! must be found, or not be looked for.
//!
//! The messages lie beside the project (`../shared/corpus/rfc4475`); nobody here wrote them.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::path::PathBuf;

use sip::{Framer, StreamFault};

const NEXT: &[u8] = b"OPTIONS sip:next SIP/2.0\r\nContent-Length: 0\r\n\r\n";

/// What becomes of the stream.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// So many messages, and the next one last.
    Frames(usize),
    /// The connection ends.
    Ends(StreamFault),
    /// The rest is waited for, and taken from what follows.
    Waits,
}
use Fate::{Ends, Frames, Waits};

/// What is not one message before the next one.
const ODD: &[(&str, Fate)] = &[
    // Two requests in one datagram are two on a stream (§3.1.1.8); the body of the second is longer than it
    // says, and its rest is no message.
    ("dblreq", Ends(StreamFault::LengthMissing)),
    ("clerr", Waits),
    ("ncl", Ends(StreamFault::LengthMalformed)),
    ("mcl01", Ends(StreamFault::LengthMalformed)),
];

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/rfc4475");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no corpus at {}", path.display());
    None
}

fn fate(stream: &[u8]) -> Fate {
    let mut framer = Framer::new(16_000, 100);
    let (mut rest, mut messages) = (stream, 0);
    loop {
        match framer.poll(rest) {
            Ok(Some(frame)) => {
                let (message, after) = rest.split_at(frame.bytes());
                messages += usize::from(!framer.is_between(message));
                rest = after;
                if message == NEXT {
                    return Frames(messages);
                }
            }
            Ok(None) => return Waits,
            Err(fault) => return Ends(fault),
        }
    }
}

#[test]
fn every_torture_message_ends_where_it_says_or_ends_its_connection() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let message = std::fs::read(&path).unwrap();
        let odd = ODD.iter().find(|(odd, _)| *odd == name).map(|(_, fate)| fate);
        let small = message.to_ascii_lowercase();
        let has = |name: &[u8]| small.windows(name.len()).any(|at| at == name);
        let lacks_length = !has(b"content-length") && !has(b"\nl:");
        let usual = if lacks_length { Ends(StreamFault::LengthMissing) } else { Frames(2) };
        let found = fate(&[&message[..], NEXT].concat());
        if found != *odd.unwrap_or(&usual) {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert_eq!((seen, wrong), (49, Vec::<String>::new()));
}
