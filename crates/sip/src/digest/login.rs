//! The answer to a challenge: Authorization and Proxy-Authorization (RFC 3261 §22.2, RFC 7616
//! §3.4).

use super::{Asker, Challenge, Exchange, FIELD_BYTES_MAX, Hash, Qop, response};
use crate::emit::{Part, Writer};
use crate::method::Method;

/// What proves who we are.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// HA1 of user and realm, made beforehand.
    Ha1(Hash),
    /// The password.
    Password(&'a [u8]),
}

/// Nothing of it.
impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A request for which a challenge is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Who we are there.
    pub user: &'a [u8],
    /// What proves it.
    pub secret: Secret<'a>,
    /// The method of the request.
    pub method: Method<'a>,
    /// Its Request-URI, as it will be written.
    pub uri: &'a [u8],
    /// How often the nonce is used by now, from 1 on.
    pub count: u32,
    /// A random text of ours, of letters and digits.
    pub cnonce: &'a [u8],
    /// The body as it will be written; it is looked at for `auth-int` only.
    pub body: &'a [u8],
}

impl<'a> Login<'a> {
    /// The answer. `None`: HA1 is of another algorithm, or URI or cnonce cannot stand in quotes.
    #[must_use]
    pub fn answer(&self, challenge: &Challenge<'a>) -> Option<Authorization<'a>> {
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if !self.uri.iter().all(is_plain) || !self.cnonce.iter().all(is_plain) {
            return None;
        }
        let algorithm = challenge.algorithm;
        let ha1 = match self.secret {
            Secret::Ha1(ha1) => Some(ha1).filter(|ha1| ha1.algorithm() == algorithm)?,
            Secret::Password(password) => {
                let mut realm = [0; FIELD_BYTES_MAX];
                let realm = challenge.realm.unescape_into(&mut realm)?;
                Hash::ha1(algorithm, self.user, realm, password)
            }
        };
        let digits = count_digits(self.count);
        let exchange = Exchange {
            method: self.method,
            uri: self.uri,
            nonce: challenge.nonce,
            qop: challenge.qop,
            nc: &digits,
            cnonce: self.cnonce,
            body: (challenge.qop == Qop::AuthInt).then(|| Hash::of_body(algorithm, self.body)),
        };
        let response = response(&ha1, &exchange);
        Some(Authorization { login: *self, challenge: *challenge, response })
    }
}

/// Eight hexadecimal digits.
fn count_digits(count: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    super::hash::hex(&count.to_be_bytes(), &mut digits);
    digits
}

/// A header to send.
#[derive(Clone, Copy, Debug)]
pub struct Authorization<'a> {
    login: Login<'a>,
    challenge: Challenge<'a>,
    response: Hash,
}

impl Authorization<'_> {
    /// Writes the header line. The server's realm and opaque go back as they came.
    pub fn write(&self, asker: Asker, writer: &mut Writer<'_>) {
        let Self { login, challenge, response } = self;
        let (digits, hex) = (count_digits(login.count), response.hex());
        let count: &[Part<'_>] = match challenge.qop {
            Qop::None => &[],
            qop => &[
                ", qop=".into(),
                qop.as_bytes().into(),
                ", nc=".into(),
                Part::Text(&digits),
                ", cnonce=".into(),
                Part::Quoted(login.cnonce),
            ],
        };
        let opaque: &[Part<'_>] = match challenge.opaque {
            Some(opaque) => &[", opaque=\"".into(), opaque.as_bytes().into(), "\"".into()],
            None => &[],
        };
        let fields = [
            "Digest username=".into(),
            Part::Quoted(login.user),
            ", realm=\"".into(),
            challenge.realm.as_bytes().into(),
            "\", nonce=\"".into(),
            challenge.nonce.into(),
            "\", uri=".into(),
            Part::Quoted(login.uri),
            ", response=\"".into(),
            Part::Text(hex.as_bytes()),
            "\", algorithm=".into(),
            challenge.algorithm.as_bytes().into(),
            Part::Parts(count),
            Part::Parts(opaque),
        ];
        writer.header(asker.credentials_name(), &fields);
    }
}
