//! What is computed: HA1, the hash of a body, and the response over an exchange (RFC 7616 §3.4).

use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::DigestFault;
use crate::method::Method;

/// The longest hash.
const HASH_BYTES_MAX: usize = 32;

/// A hash function by name (RFC 8760 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, which is meant where nothing is said (RFC 2617 §3.2.1).
    #[default]
    Md5,
    /// `SHA-256`
    Sha256,
}

impl Algorithm {
    /// The algorithm of that name, in any case.
    ///
    /// # Errors
    ///
    /// A session form, or an unknown one.
    pub const fn parse(name: &[u8]) -> Result<Self, DigestFault> {
        if name.eq_ignore_ascii_case(b"MD5") {
            Ok(Self::Md5)
        } else if name.eq_ignore_ascii_case(b"SHA-256") {
            Ok(Self::Sha256)
        } else if name.eq_ignore_ascii_case(b"MD5-sess")
            || name.eq_ignore_ascii_case(b"SHA-256-sess")
        {
            Err(DigestFault::AlgorithmOfSession)
        } else {
            Err(DigestFault::AlgorithmUnknown)
        }
    }

    /// Its name as it is written.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Md5 => b"MD5",
            Self::Sha256 => b"SHA-256",
        }
    }

    /// How long its hashes are.
    #[must_use]
    pub const fn hash_bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => HASH_BYTES_MAX,
        }
    }
}

/// What a response protects (RFC 7616 §3.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Qop {
    /// As RFC 2069 had it: method and URI, and neither count nor client nonce against replays.
    #[default]
    None,
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

impl Qop {
    /// The protection of that name, in any case.
    #[must_use]
    pub const fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"auth") {
            Some(Self::Auth)
        } else if name.eq_ignore_ascii_case(b"auth-int") {
            Some(Self::AuthInt)
        } else {
            None
        }
    }

    /// Its name as it is written; empty for [`Qop::None`].
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Auth => b"auth",
            Self::AuthInt => b"auth-int",
        }
    }
}

/// A hash: HA1, of a body, or a response. Compared in constant time.
#[derive(Clone, Copy)]
pub struct Hash {
    algorithm: Algorithm,
    /// Zeros behind a short hash.
    bytes: [u8; HASH_BYTES_MAX],
}

impl Hash {
    /// Of the parts one behind the other.
    fn of(algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::by::<Md5>(algorithm, parts),
            Algorithm::Sha256 => Self::by::<Sha256>(algorithm, parts),
        }
    }

    fn by<D: Digest>(algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        let mut digest = D::new();
        parts.iter().for_each(|part| digest.update(part));
        let mut bytes = [0; HASH_BYTES_MAX];
        for (place, byte) in bytes.iter_mut().zip(digest.finalize()) {
            *place = byte;
        }
        Self { algorithm, bytes }
    }

    /// HA1, the hash of user, realm and password (RFC 7616 §3.4.2): to be kept as secret as the
    /// password.
    #[must_use]
    pub fn ha1(algorithm: Algorithm, user: &[u8], realm: &[u8], password: &[u8]) -> Self {
        Self::of(algorithm, &[user, b":", realm, b":", password])
    }

    /// The hash of a body, for `auth-int` (RFC 7616 §3.4.3).
    #[must_use]
    pub fn of_body(algorithm: Algorithm, body: &[u8]) -> Self {
        Self::of(algorithm, &[body])
    }

    /// A hash from storage. `None` when its length is not that of the algorithm.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, stored: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES_MAX];
        let place = bytes.get_mut(..algorithm.hash_bytes())?;
        (place.len() == stored.len()).then(|| place.copy_from_slice(stored))?;
        Some(Self { algorithm, bytes })
    }

    /// A hash in hexadecimal digits of either case. `None` when it is not exactly that.
    #[must_use]
    pub fn parse(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES_MAX];
        unhex(hex, bytes.get_mut(..algorithm.hash_bytes())?)?;
        Some(Self { algorithm, bytes })
    }

    /// The function that made it.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// As many bytes as its algorithm makes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.hash_bytes()).unwrap_or_default()
    }

    /// In lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> Hex {
        let mut digits = [0; HASH_BYTES_MAX.saturating_mul(2)];
        hex(self.as_bytes(), &mut digits);
        Hex { digits, length: self.as_bytes().len().saturating_mul(2) }
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Eq for Hash {}

/// Nothing: it may be as good as a password.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

/// A hash in hexadecimal digits.
#[derive(Clone, Copy)]
pub struct Hex {
    digits: [u8; HASH_BYTES_MAX * 2],
    length: usize,
}

impl Hex {
    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }
}

/// Writes two digits for each byte, as far as there is room.
pub(super) fn hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 0x0f));
        }
    }
}

/// Reads two digits for each byte of `bytes`. `None` when the digits are not exactly that.
pub(super) fn unhex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(())
}

/// What a response is computed over, besides HA1.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The method of the request.
    pub method: Method<'a>,
    /// The URI as it stands in the credentials, which need not be the Request-URI any more.
    pub uri: &'a [u8],
    /// The challenger's nonce.
    pub nonce: &'a [u8],
    /// What is protected.
    pub qop: Qop,
    /// How often the nonce was used: eight hexadecimal digits as they stand. Nothing without a qop.
    pub nc: &'a [u8],
    /// The client's nonce. Nothing without a qop.
    pub cnonce: &'a [u8],
    /// The hash of the body, for `auth-int` only. `None`: there is no body.
    pub body: Option<Hash>,
}

/// The response to a challenge (RFC 7616 §3.4.1; without qop RFC 2617 §3.2.2.1).
#[must_use]
pub fn response(ha1: &Hash, exchange: &Exchange<'_>) -> Hash {
    let algorithm = ha1.algorithm;
    let method = exchange.method.as_bytes();
    let ha2 = match exchange.qop {
        Qop::None | Qop::Auth => Hash::of(algorithm, &[method, b":", exchange.uri]),
        Qop::AuthInt => {
            let body = exchange.body.unwrap_or_else(|| Hash::of_body(algorithm, b""));
            let body = body.hex();
            Hash::of(algorithm, &[method, b":", exchange.uri, b":", body.as_bytes()])
        }
    };
    let (ha1, ha2) = (ha1.hex(), ha2.hex());
    let (ha1, ha2, nonce) = (ha1.as_bytes(), ha2.as_bytes(), exchange.nonce);
    match exchange.qop {
        Qop::None => Hash::of(algorithm, &[ha1, b":", nonce, b":", ha2]),
        qop => {
            let (nc, cnonce) = (exchange.nc, exchange.cnonce);
            let parts = [ha1, b":", nonce, b":", nc, b":", cnonce, b":", qop.as_bytes(), b":", ha2];
            Hash::of(algorithm, &parts)
        }
    }
}
