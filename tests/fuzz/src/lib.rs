//! What any bytes may do to us, and what they must not.
//!
//! A [`Body`] takes bytes and panics where a promise is broken. [`BODIES`] has one per parser, and one
//! that plays bytes as a sequence of messages, answers and time against the whole brain. The same
//! bodies run in three ways: over the kept corpus in every test run (`tests/corpus.rs`), by chance for
//! a bounded time (`bin/fuzz`), and guided by coverage for as long as one likes (`scripts/fuzz`).

use std::path::Path;

pub mod brain;
pub mod mutate;
pub mod parsers;

/// One promise.
#[derive(Clone, Copy)]
pub struct Body {
    /// Its name, and that of its part of the corpus.
    pub name: &'static str,
    /// Panics where the promise is broken.
    pub run: fn(&[u8]),
    /// Where a search begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const BODIES: &[Body] = &[
    Body { name: "sip", run: parsers::sip, seeds: parsers::messages },
    Body { name: "uri", run: parsers::uri, seeds: parsers::uris },
    Body { name: "headers", run: parsers::headers, seeds: parsers::values },
    Body { name: "stream", run: parsers::stream, seeds: parsers::streams },
    Body { name: "bodies", run: parsers::bodies, seeds: parsers::fragments },
    Body { name: "sdp", run: parsers::sdp, seeds: parsers::descriptions },
    Body { name: "digest", run: parsers::digest, seeds: parsers::digests },
    Body { name: "packet", run: parsers::packet, seeds: parsers::frames },
    Body { name: "srtp", run: parsers::srtp, seeds: parsers::protected },
    Body { name: "capture", run: parsers::capture, seeds: parsers::captures },
    Body { name: "transcode", run: parsers::transcode, seeds: parsers::streams_of_speech },
    Body { name: "link", run: parsers::link, seeds: parsers::words },
    Body { name: "config", run: parsers::config, seeds: parsers::files },
    Body { name: "number", run: parsers::number, seeds: parsers::numbers },
    Body { name: "brain", run: brain::run, seeds: brain::seeds },
];

/// The body with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Body> {
    BODIES.iter().find(|body| body.name == name)
}

/// Where the search begins: the seeds of the body, and what is worth keeping of earlier searches.
#[must_use]
pub fn corpus(body: &Body) -> Vec<Vec<u8>> {
    let mut corpus = (body.seeds)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/fuzz").join(body.name);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    corpus.extend(files.filter_map(|file| std::fs::read(file.path()).ok()));
    corpus
}
