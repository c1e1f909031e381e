//! The bodies under libFuzzer; `FUZZ_BODY` names the one. Built and run by `scripts/fuzz`.

#![no_main]

use std::sync::LazyLock;

static BODY: LazyLock<&fuzz::Body> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_BODY").unwrap_or_else(|_| "sip".into());
    fuzz::find(&name).expect("FUZZ_BODY names a body of fuzz::BODIES")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (BODY.run)(bytes));
