//! Digest authentication as simulated peers read it (RFC 7616, RFC 3261 §22), for both sides of it.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::peer::headers;

/// Both pairs of header fields: what asks, and what answers.
const FIELDS: [(&str, &str); 2] =
    [("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization")];

/// Who somebody is, and by which algorithm he says so.
#[derive(Clone, Debug)]
pub struct Account {
    /// The username.
    pub user: String,
    /// The password.
    pub password: String,
    /// SHA-256, and not MD5.
    pub modern: bool,
}

/// The side that is asked.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) account: Account,
    /// The header field to answer in, the realm and the nonce of the last challenge.
    challenge: Option<(&'static str, String, String)>,
    count: u32,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(modern: bool, text: &str) -> String {
    if modern { hex(&Sha256::digest(text)) } else { hex(&Md5::digest(text)) }
}

fn algorithm(modern: bool) -> &'static str {
    if modern { "SHA-256" } else { "MD5" }
}

/// A parameter of a challenge or of credentials.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let fields = value.split_once(' ')?.1;
    fields.split(',').find_map(|field| {
        let (found, value) = field.trim().split_once('=')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

fn expected(account: &Account, realm: &str, method: &str, uri: &str, middle: &str) -> String {
    let Account { user, password, modern } = account;
    let ha1 = hash(*modern, &format!("{user}:{realm}:{password}"));
    let ha2 = hash(*modern, &format!("{method}:{uri}"));
    hash(*modern, &format!("{ha1}:{middle}:{ha2}"))
}

impl Login {
    /// Somebody who was not asked yet.
    #[must_use]
    pub fn new(account: Account) -> Self {
        Self { account, challenge: None, count: 0 }
    }

    /// Takes a challenge. Whether it was one that can be answered.
    pub fn learn(&mut self, response: &str) -> bool {
        for (asks, answers) in FIELDS {
            let fits = |value: &&str| {
                parameter(value, "algorithm").unwrap_or("MD5") == algorithm(self.account.modern)
            };
            let Some(value) = headers(response, asks).find(fits) else { continue };
            let text = |name| parameter(value, name).unwrap_or_default().to_owned();
            (self.challenge, self.count) = (Some((answers, text("realm"), text("nonce"))), 0);
            return true;
        }
        false
    }

    /// The line that answers the last challenge, once more and for this request.
    pub fn line(&mut self, method: &str, uri: &str) -> String {
        let Some((field, realm, nonce)) = &self.challenge else { return String::new() };
        self.count += 1;
        let count = format!("{:08x}", self.count);
        let middle = format!("{nonce}:{count}:chance:auth");
        let response = expected(&self.account, realm, method, uri, &middle);
        let (user, algorithm) = (&self.account.user, algorithm(self.account.modern));
        format!(
            "{field}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}, cnonce=\"chance\", qop=auth, nc={count}\r\n"
        )
    }
}

/// What a peer that asks by this status finds in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Missing,
    Wrong,
    Right,
}

/// The line of a challenge, in the field that belongs to the status.
pub(super) fn challenge(status: u16, account: &Account, nonce: &str) -> String {
    let (asks, _) = FIELDS[usize::from(status == 407)];
    let algorithm = algorithm(account.modern);
    format!(
        "{asks}: Digest realm=\"vendor\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"\r\n"
    )
}

/// Whether a request answers such a challenge.
pub(super) fn proof(status: u16, account: &Account, nonce: &str, request: &str) -> Proof {
    let (_, answers) = FIELDS[usize::from(status == 407)];
    let Some(value) = headers(request, answers).next() else { return Proof::Missing };
    let text = |name| parameter(value, name).unwrap_or_default();
    if text("nonce") != nonce {
        return Proof::Missing;
    }
    let middle = format!("{nonce}:{}:{}:auth", text("nc"), text("cnonce"));
    let method = super::peer::method(request);
    let right = expected(account, "vendor", method, text("uri"), &middle);
    let is_right = text("response") == right && text("username") == account.user;
    if is_right { Proof::Right } else { Proof::Wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616_comes_out() {
        let account =
            |modern| Account { user: "Mufasa".into(), password: "Circle of Life".into(), modern };
        let middle = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:\
                      f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth";
        let of = |modern| {
            expected(&account(modern), "http-auth@example.org", "GET", "/dir/index.html", middle)
        };
        assert_eq!(of(false), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(of(true), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }
}
