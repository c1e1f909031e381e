//! What a client says about itself: Authorization and Proxy-Authorization (RFC 3261 §20.7, §20.28,
//! RFC 7616 §3.4).

use super::fields::{Fields, Key};
use super::{Algorithm, DigestFault, Exchange, Hash, Qop, response};
use crate::header::Text;
use crate::method::Method;

/// Credentials that can be read. What they claim is shown true by [`Credentials::verify`] only.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Whose password was used.
    pub username: Text<'a>,
    /// For which realm.
    pub realm: Text<'a>,
    /// The nonce of the challenge that is answered.
    pub nonce: &'a [u8],
    /// The URI that was asked for. A proxy on the way may have given the request another.
    pub uri: &'a [u8],
    /// The response, and by its algorithm that of the credentials.
    pub response: Hash,
    /// What is protected.
    pub qop: Qop,
    /// How often the nonce was used: eight hexadecimal digits as they stand; empty without a qop.
    pub nc: &'a [u8],
    /// The client's nonce; empty without a qop.
    pub cnonce: &'a [u8],
    /// What the challenger wanted to have back.
    pub opaque: Option<Text<'a>>,
}

impl<'a> Credentials<'a> {
    /// Reads a header value, fields in any order; unknown ones are passed over.
    ///
    /// # Errors
    ///
    /// The first fault met, then what is missing.
    pub fn parse(value: &'a [u8]) -> Result<Self, DigestFault> {
        let fields = Fields::read(value)?;
        let algorithm = match fields.value(Key::Algorithm) {
            Some(name) => Algorithm::parse(name.as_bytes())?,
            None => Algorithm::default(),
        };
        let response = fields.needed(Key::Response)?.as_bytes();
        let qop = match fields.value(Key::Qop) {
            Some(name) => Qop::parse(name.as_bytes()).ok_or(DigestFault::QopUnknown)?,
            None => Qop::None,
        };
        let (nc, cnonce) = match qop {
            Qop::None => (&b""[..], &b""[..]),
            Qop::Auth | Qop::AuthInt => (fields.plain(Key::Nc)?, fields.plain(Key::Cnonce)?),
        };
        if qop != Qop::None && !(nc.len() == 8 && nc.iter().all(u8::is_ascii_hexdigit)) {
            return Err(DigestFault::CountMalformed);
        }
        Ok(Self {
            username: fields.needed(Key::Username)?,
            realm: fields.needed(Key::Realm)?,
            nonce: fields.plain(Key::Nonce)?,
            uri: fields.plain(Key::Uri)?,
            response: Hash::parse(algorithm, response).ok_or(DigestFault::ResponseMalformed)?,
            qop,
            nc,
            cnonce,
            opaque: fields.value(Key::Opaque),
        })
    }

    /// How often the nonce was used, this time included. `None`: without a qop nobody counts.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        u32::from_str_radix(std::str::from_utf8(self.nc).ok()?, 16).ok()
    }

    /// Whether whoever made them knew the password behind `ha1`, of this request.
    ///
    /// `body` is the hash of the request's body, which only `auth-int` asks for; `None`: there is no
    /// body. Compared in constant time. That the nonce is ours, fresh and not used before is another
    /// question, and so is whether [`Credentials::uri`] leads to what the request asks for.
    #[must_use]
    pub fn verify(&self, ha1: &Hash, method: Method<'_>, body: Option<Hash>) -> bool {
        let (uri, nonce, qop, nc, cnonce) = (self.uri, self.nonce, self.qop, self.nc, self.cnonce);
        response(ha1, &Exchange { method, uri, nonce, qop, nc, cnonce, body }) == self.response
    }
}
