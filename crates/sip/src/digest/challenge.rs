//! What a server asks for: WWW-Authenticate and Proxy-Authenticate (RFC 3261 §20.44, §20.27,
//! RFC 7616 §3.3).

use super::fields::{Fields, Key};
use super::{Algorithm, Asker, DigestFault, Qop};
use crate::emit::{Part, Writer};
use crate::header::Text;
use crate::scan;

/// A challenge that can be answered.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Whose password is wanted.
    pub realm: Text<'a>,
    /// The server's nonce.
    pub nonce: &'a [u8],
    /// What the server wants to have back.
    pub opaque: Option<Text<'a>>,
    /// The hash function.
    pub algorithm: Algorithm,
    /// What the answer is to protect: `auth` where it is offered, `auth-int` where that alone is.
    pub qop: Qop,
    /// Whether only the nonce was too old, so that the same password is worth another try.
    pub stale: bool,
}

impl<'a> Challenge<'a> {
    /// Reads a header value, fields in any order; unknown ones are passed over.
    ///
    /// # Errors
    ///
    /// The first fault met, then what is missing; also algorithms and qops that we do not have: such a
    /// challenge is not for us, and the next one may be.
    pub fn parse(value: &'a [u8]) -> Result<Self, DigestFault> {
        let fields = Fields::read(value)?;
        Ok(Self {
            realm: fields.needed(Key::Realm)?,
            nonce: fields.plain(Key::Nonce)?,
            opaque: fields.value(Key::Opaque),
            algorithm: match fields.value(Key::Algorithm) {
                Some(name) => Algorithm::parse(name.as_bytes())?,
                None => Algorithm::default(),
            },
            qop: match fields.value(Key::Qop) {
                Some(list) => choose(list.as_bytes()).ok_or(DigestFault::QopUnknown)?,
                None => Qop::None,
            },
            stale: fields
                .value(Key::Stale)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
        })
    }
}

/// The best of a list (RFC 3261 §22.4): a body that anybody on the way changes breaks `auth-int`, as
/// every B2BUA does with SDP.
fn choose(list: &[u8]) -> Option<Qop> {
    let known = list.split(|&byte| byte == b',').filter_map(|name| Qop::parse(scan::trim(name)));
    known.reduce(|best, next| if best == Qop::Auth { best } else { next })
}

/// A challenge to send; its qop is `auth`.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Whose password is wanted.
    pub realm: &'a [u8],
    /// See [`super::nonce`].
    pub nonce: &'a [u8],
    /// One offer each, the best first, is how several are offered (RFC 8760 §2.3).
    pub algorithm: Algorithm,
    /// Whether the password was right and only the nonce too old.
    pub stale: bool,
}

impl Offer<'_> {
    /// Writes the header line.
    pub fn write(&self, asker: Asker, writer: &mut Writer<'_>) {
        let stale = if self.stale { ", stale=true" } else { "" };
        let parts = [
            "Digest realm=".into(),
            Part::Quoted(self.realm),
            ", nonce=".into(),
            Part::Quoted(self.nonce),
            ", algorithm=".into(),
            self.algorithm.as_bytes().into(),
            ", qop=\"auth\"".into(),
            stale.into(),
        ];
        writer.header(asker.challenge_name(), &parts);
    }
}
