//! Digest vectors that nobody here wrote: computed, and read back from credentials.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]
#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::path::PathBuf;

use sip::Method;
use sip::digest::{Algorithm, Credentials, Exchange, Hash, Qop, response};

fn vectors() -> Vec<serde_json::Value> {
    let path = "../../../shared/corpus/digest/vectors.json";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no corpus at {}", path.display());
        return Vec::new();
    };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

#[test]
fn foreign_vectors_are_computed_and_verified() {
    for vector in vectors() {
        let text = |key: &str| vector[key].as_str().unwrap_or_default();
        let field = |key: &str| text(key).as_bytes();
        // Other algorithms are refused, by name.
        let Ok(algorithm) = Algorithm::parse(field("algorithm")) else {
            assert!(!matches!(text("algorithm"), "MD5" | "SHA-256"));
            continue;
        };
        let ha1 = Hash::ha1(algorithm, field("username"), field("realm"), field("password"));
        assert_eq!(ha1.hex().as_bytes(), field("ha1"), "{vector}");
        let digits = text("body_hex");
        let body: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect();
        let (method, body) = (Method::new(field("method")), Hash::of_body(algorithm, &body));
        let exchange = Exchange {
            method,
            uri: field("uri"),
            nonce: field("nonce"),
            qop: Qop::parse(field("qop")).unwrap_or_default(),
            nc: field("nc"),
            cnonce: field("cnonce"),
            body: Some(body),
        };
        assert_eq!(response(&ha1, &exchange).hex().as_bytes(), field("response"), "{vector}");

        let mut line = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}",
            text("username"),
            text("realm"),
            text("nonce"),
            text("uri"),
            text("response"),
            text("algorithm"),
        );
        if exchange.qop != Qop::None {
            let (qop, nc, cnonce) = (text("qop"), text("nc"), text("cnonce"));
            line.push_str(&format!(", qop={qop}, nc={nc}, cnonce=\"{cnonce}\""));
        }
        let credentials = Credentials::parse(line.as_bytes()).unwrap();
        assert!(credentials.verify(&ha1, method, Some(body)), "{line}");
        assert!(!credentials.verify(&ha1, Method::Other(b"X"), Some(body)), "{line}");
    }
}
