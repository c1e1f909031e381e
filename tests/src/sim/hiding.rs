//! Nobody is told of anybody else: neither side's addresses, tags, branches or Call-IDs are in what we
//! send to the other. All that simulated peers make up has their address in it, so one search finds it.

use std::net::IpAddr;

use super::machine::{ADDRESSES, SIP_PORT};
use super::network::Letter;
use super::peer::cseq;

/// How every address of a simulated world begins.
const NETWORK: &str = "10.10.";

/// How the numbers of those begin who want to be known to nobody. Their ends are those of their addresses.
const SECRET: &str = "39067777";

/// The number of somebody there who wants to be known to nobody.
pub(super) fn secret(host: IpAddr) -> String {
    let host = host.to_string();
    let last = host.rsplit('.').next().unwrap_or_default();
    format!("{SECRET}{last}")
}

/// Whether a message of ours says a number to somebody else than whose it is.
fn is_betrayed(text: &str, theirs: IpAddr) -> bool {
    let own = secret(theirs);
    text.match_indices(SECRET).any(|(at, _)| !text[at..].starts_with(&own))
}

/// What a message of ours tells its receiver of others. `kin` know of each other: one sends callers to the
/// next, and To stays.
pub(super) fn leak(letter: &Letter, kin: &[IpAddr]) -> Option<String> {
    if letter.from.port() != SIP_PORT {
        return None;
    }
    let text = std::str::from_utf8(&letter.bytes).ok()?;
    let (ours, theirs) = (letter.from.ip().to_string(), letter.to.ip().to_string());
    if is_betrayed(text, letter.to.ip()) {
        let line = text.lines().find(|line| line.contains(SECRET)).unwrap_or_default();
        return Some(format!("{theirs} was told a number: {line}"));
    }
    debug_assert!(ADDRESSES.contains(&ours.as_str()), "only we are asked");
    for (at, _) in text.match_indices(NETWORK) {
        let rest = &text[at..];
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        let address = rest[..end].trim_end_matches('.');
        // A user's devices may know of each other.
        let is_register = cseq(text).1 == "REGISTER" && text.starts_with("SIP/2.0 200");
        let is_kin = |host: &str| kin.iter().any(|known| known.to_string() == host);
        let is_told_anyway = is_register || (is_kin(&theirs) && is_kin(address));
        if address != ours && address != theirs && !is_told_anyway {
            let line = text[..at].lines().count();
            let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            return Some(format!("{theirs} was told of {address}: {line}"));
        }
    }
    None
}
