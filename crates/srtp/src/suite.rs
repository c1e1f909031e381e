//! Which cipher and which authentication, by the names of SDP (RFC 4568 §6.2, RFC 7714 §14.2).

use core::fmt;

/// A crypto suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Suite {
    /// AES in counter mode, HMAC-SHA1 cut to 80 bits.
    AesCm128HmacSha1Tag80 = 1,
    /// The same, cut to 32 bits for RTP; RTCP keeps 80 (RFC 4568 §6.2.2).
    AesCm128HmacSha1Tag32 = 2,
    /// AES-128 in Galois/counter mode.
    AeadAes128Gcm = 3,
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm = 4,
}

/// Bytes of the longest master key with its salt.
pub const MASTER_BYTES_MAX: usize = 32 + 12;

/// How much longer a protected packet is at most: the tag of SRTCP and its index.
pub const OVERHEAD_MAX: usize = 16 + 4;

impl Suite {
    /// Every suite, in the order of its number.
    pub const ALL: [Self; 4] = [
        Self::AesCm128HmacSha1Tag80,
        Self::AesCm128HmacSha1Tag32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// As SDP calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of that name, which is compared as it stands, without regard to case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| name.eq_ignore_ascii_case(suite.name().as_bytes()))
    }

    /// The suite of that number, of a checkpoint.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&suite| suite as u8 == number)
    }

    /// Bytes of its master key, which are those of its cipher.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AesCm128HmacSha1Tag80 | Self::AesCm128HmacSha1Tag32 | Self::AeadAes128Gcm => 16,
        }
    }

    /// Bytes of its salt.
    #[must_use]
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1Tag80 | Self::AesCm128HmacSha1Tag32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes of key and salt: what stands in SDP as base64.
    #[must_use]
    pub const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }

    /// Bytes of a packet's tag.
    pub(crate) const fn tag_bytes(self, is_rtcp: bool) -> usize {
        match self {
            Self::AesCm128HmacSha1Tag32 if !is_rtcp => 4,
            Self::AesCm128HmacSha1Tag80 | Self::AesCm128HmacSha1Tag32 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

/// A master key and its salt: one direction of one stream of one leg.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Master {
    suite: Suite,
    bytes: [u8; MASTER_BYTES_MAX],
}

impl Master {
    /// Of a key with its salt behind it. `None`: not as long as the suite wants it.
    #[must_use]
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let mut bytes = [0; MASTER_BYTES_MAX];
        if key_and_salt.len() != suite.master_bytes() {
            return None;
        }
        bytes.get_mut(..key_and_salt.len())?.copy_from_slice(key_and_salt);
        Some(Self { suite, bytes })
    }

    /// Its suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The key with its salt behind it: for a description or a checkpoint, and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.suite.master_bytes()]
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes()]
    }

    pub(crate) fn salt(&self) -> &[u8] {
        &self.bytes[self.suite.key_bytes()..self.suite.master_bytes()]
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Master({})", self.suite.name())
    }
}
