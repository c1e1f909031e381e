//! Digest authentication, both sides: who challenges and who answers (RFC 3261 §22, RFC 2617,
//! RFC 7616, RFC 8760).
//!
//! A server sends an [`Offer`] with a [`nonce`], reads [`Credentials`] and asks them to verify; a
//! client reads a [`Challenge`] and answers it by a [`Login`]. [`Asker`] says which headers that are.
//! Passwords are needed only once, for [`Hash::ha1`], which is as good as a password for its realm.
//!
//! The session forms of the algorithms are refused by name: they exist for third parties who may
//! verify without the password, and only break what two readers of the RFC make of them. Text between
//! quotes may hold escapes in names, which are compared by what they say; in what is hashed as it
//! stands (nonce, cnonce, URI) an escape could be read in two ways and is refused.
//!
//! Read `hash.rs` for what is computed, `credentials.rs` and `challenge.rs` for what is read,
//! `login.rs` for the answer, `nonce.rs` for nonces that need no memory.

pub mod challenge;
pub mod credentials;
mod fields;
pub mod hash;
pub mod login;
pub mod nonce;

pub use challenge::{Challenge, Offer};
pub use credentials::Credentials;
pub use hash::{Algorithm, Exchange, Hash, Qop, response};
pub use login::{Authorization, Login, Secret};
pub use nonce::{Freshness, Mint, Nonce};

use crate::header::Name;
use crate::message::Message;

/// How many bytes a field may have, such as a nonce or a URI. Longer ones are refused.
pub const FIELD_BYTES_MAX: usize = 512;

/// Why credentials or a challenge cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestFault {
    /// A scheme other than Digest (RFC 3261 §22.1 allows no other).
    SchemeUnknown,
    /// Not `name=value` between commas, or a control byte or a surprising escape in a value.
    Malformed,
    /// A field stands twice.
    FieldRepeated,
    /// A field longer than [`FIELD_BYTES_MAX`].
    FieldTooLong,
    /// A field is absent that must be there.
    FieldMissing,
    /// An algorithm other than MD5 and SHA-256.
    AlgorithmUnknown,
    /// MD5-sess or SHA-256-sess.
    AlgorithmOfSession,
    /// No quality of protection that we know.
    QopUnknown,
    /// The response is not hexadecimal, or not as long as its algorithm makes it.
    ResponseMalformed,
    /// The count is not of eight hexadecimal digits.
    CountMalformed,
}

/// Who asks for a password, and so by which status and headers (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A user agent server or registrar: 401.
    Server,
    /// A proxy: 407.
    Proxy,
}

impl Asker {
    /// Who asks by that status.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The status of a challenge.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The header of a challenge (RFC 3261 §20.44, §20.27).
    #[must_use]
    pub const fn challenge_name(self) -> Name {
        match self {
            Self::Server => Name::WwwAuthenticate,
            Self::Proxy => Name::ProxyAuthenticate,
        }
    }

    /// The header of credentials (RFC 3261 §20.7, §20.28).
    #[must_use]
    pub const fn credentials_name(self) -> Name {
        match self {
            Self::Server => Name::Authorization,
            Self::Proxy => Name::ProxyAuthorization,
        }
    }

    /// Every challenge of a response, in its order: the first that is usable is to be answered
    /// (RFC 8760 §2.4).
    pub fn challenges<'m, 'a>(
        self,
        response: &'m Message<'a>,
    ) -> impl Iterator<Item = Result<Challenge<'a>, DigestFault>> + use<'m, 'a> {
        // Each line holds one: its commas separate fields (RFC 3261 §7.3.1).
        let lines = response.headers().filter(move |header| header.name == self.challenge_name());
        lines.map(|header| Challenge::parse(header.value))
    }

    /// All credentials of a request, in their order: one for each realm on its way (RFC 3261 §22.3).
    pub fn credentials<'m, 'a>(
        self,
        request: &'m Message<'a>,
    ) -> impl Iterator<Item = Result<Credentials<'a>, DigestFault>> + use<'m, 'a> {
        let lines = request.headers().filter(move |header| header.name == self.credentials_name());
        lines.map(|header| Credentials::parse(header.value))
    }
}

#[cfg(test)]
mod tests;
