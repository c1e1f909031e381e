//! One packet under the keys of a session, in place; which packet it is of its stream is the caller's word.
//!
//! ```text
//!  counter mode   RTP   header | payload under the key | tag                  tag over all and the ROC
//!                 RTCP  header | rest under the key | E, index | tag          tag over all
//!  Galois         RTP   header | payload under the key, tag                   header beside
//!                 RTCP  header | rest under the key, tag | E, index           header, E and index beside
//! ```

use aes::Aes128;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, Nonce};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::Fault;
use crate::derive::{SALT_BYTES, Session, cipher, stream};
use crate::packet::RTCP_HEADER;
use crate::suite::Suite;

/// Bytes of SRTCP's index, with the bit E above it.
const INDEX_BYTES: usize = 4;
/// The bit that says that the packet is under the key (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;
const GCM_TAG_BYTES: usize = 16;

/// Galois/counter mode as RFC 7714 wants it.
trait Gcm: AeadInOut<NonceSize = U12, TagSize = U16> {}

impl<G: AeadInOut<NonceSize = U12, TagSize = U16>> Gcm for G {}

/// The ciphers of a session, ready to work.
pub(crate) enum Cipher {
    Counter { aes: Aes128, hmac: Hmac<Sha1>, salt: [u8; SALT_BYTES], suite: Suite },
    Gcm128 { gcm: Aes128Gcm, salt: [u8; 12] },
    Gcm256 { gcm: Aes256Gcm, salt: [u8; 12] },
}

impl Cipher {
    pub(crate) fn new(session: &Session) -> Self {
        let suite = session.suite;
        let key = &session.key[..suite.key_bytes()];
        let [short @ .., _, _] = session.salt;
        match suite {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 => Self::Counter {
                aes: cipher(key),
                hmac: Hmac::new_from_slice(&session.auth).expect("HMAC takes any key"),
                salt: session.salt,
                suite,
            },
            Suite::AeadAes128Gcm => Self::Gcm128 { gcm: cipher(key), salt: short },
            Suite::AeadAes256Gcm => Self::Gcm256 { gcm: cipher(key), salt: short },
        }
    }

    /// Protects the RTP packet in the first `length` bytes of `room`, whose header ends at `header`.
    pub(crate) fn seal_rtp(
        &self,
        room: &mut [u8],
        length: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Fault> {
        match self {
            Self::Counter { aes, hmac, salt, suite } => {
                let whole = length + suite.tag_bytes(false);
                let (packet, tag) = split(room, length, whole)?;
                stream(aes, counter(salt, ssrc, index), &mut packet[header..]);
                tag.copy_from_slice(&tag_of(hmac, packet, &roc(index))[..tag.len()]);
                Ok(whole)
            }
            Self::Gcm128 { gcm, salt } => {
                let nonce = rtp_nonce(salt, ssrc, index);
                seal_rtp(gcm, nonce, room, length, header)
            }
            Self::Gcm256 { gcm, salt } => {
                let nonce = rtp_nonce(salt, ssrc, index);
                seal_rtp(gcm, nonce, room, length, header)
            }
        }
    }

    /// Opens a whole RTP packet; its length in clear. One that is not authentic stays as it was.
    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Fault> {
        match self {
            Self::Counter { aes, hmac, salt, suite } => {
                let (body, tag) = cut(packet, suite.tag_bytes(false), header)?;
                if !is_equal(&tag_of(hmac, body, &roc(index)), tag) {
                    return Err(Fault::Unauthentic);
                }
                stream(aes, counter(salt, ssrc, index), &mut body[header..]);
                Ok(body.len())
            }
            Self::Gcm128 { gcm, salt } => {
                open_rtp(gcm, rtp_nonce(salt, ssrc, index), packet, header)
            }
            Self::Gcm256 { gcm, salt } => {
                open_rtp(gcm, rtp_nonce(salt, ssrc, index), packet, header)
            }
        }
    }

    /// Protects the RTCP packet in the first `length` bytes of `room`.
    pub(crate) fn seal_rtcp(
        &self,
        room: &mut [u8],
        length: usize,
        ssrc: u32,
        index: u32,
    ) -> Result<usize, Fault> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Counter { aes, hmac, salt, suite } => {
                let whole = length + INDEX_BYTES + suite.tag_bytes(true);
                let (packet, tag) = split(room, length + INDEX_BYTES, whole)?;
                let (clear, place) = packet.split_at_mut(length);
                stream(aes, counter(salt, ssrc, index.into()), &mut clear[RTCP_HEADER..]);
                place.copy_from_slice(&word);
                tag.copy_from_slice(&tag_of(hmac, packet, &[])[..tag.len()]);
                Ok(whole)
            }
            Self::Gcm128 { gcm, salt } => {
                seal_rtcp(gcm, rtcp_nonce(salt, ssrc, index), room, length, word)
            }
            Self::Gcm256 { gcm, salt } => {
                seal_rtcp(gcm, rtcp_nonce(salt, ssrc, index), room, length, word)
            }
        }
    }

    /// Opens a whole RTCP packet whose index was read by [`Self::rtcp_index`].
    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<usize, Fault> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Counter { aes, hmac, salt, suite } => {
                let (body, tag) = cut(packet, suite.tag_bytes(true), RTCP_HEADER + INDEX_BYTES)?;
                if !is_equal(&tag_of(hmac, body, &[]), tag) {
                    return Err(Fault::Unauthentic);
                }
                let length = body.len() - INDEX_BYTES;
                let rest = &mut body[RTCP_HEADER..length];
                stream(aes, counter(salt, ssrc, index.into()), rest);
                Ok(length)
            }
            Self::Gcm128 { gcm, salt } => {
                open_rtcp(gcm, rtcp_nonce(salt, ssrc, index), packet, word)
            }
            Self::Gcm256 { gcm, salt } => {
                open_rtcp(gcm, rtcp_nonce(salt, ssrc, index), packet, word)
            }
        }
    }
}

impl Suite {
    /// The index that stands in an RTCP packet. `None`: too short, or not under the key, which was agreed
    /// by nobody (RFC 4568 §6.3.2).
    pub(crate) fn rtcp_index(self, packet: &[u8]) -> Option<u32> {
        let behind = match self {
            Self::AesCm128HmacSha1Tag80 | Self::AesCm128HmacSha1Tag32 => self.tag_bytes(true),
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 0,
        };
        let packet = packet.get(RTCP_HEADER..packet.len().checked_sub(behind)?)?;
        let word = u32::from_be_bytes(*packet.last_chunk()?);
        (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }
}

/// The packet, and the room behind it up to `whole`.
fn split(room: &mut [u8], length: usize, whole: usize) -> Result<(&mut [u8], &mut [u8]), Fault> {
    let room = room.get_mut(..whole).ok_or(Fault::NoRoom)?;
    room.split_at_mut_checked(length).ok_or(Fault::NoRoom)
}

/// The packet without its tag, which begins no sooner than at `least`, and the tag.
fn cut(packet: &mut [u8], tag: usize, least: usize) -> Result<(&mut [u8], &mut [u8]), Fault> {
    let at = packet.len().checked_sub(tag).filter(|&at| at >= least).ok_or(Fault::Malformed)?;
    Ok(packet.split_at_mut(at))
}

/// The block that the key stream of a packet begins at (RFC 3711 §4.1.1).
fn counter(salt: &[u8; SALT_BYTES], ssrc: u32, index: u64) -> [u8; 16] {
    let mut block = [0; 16];
    block[..SALT_BYTES].copy_from_slice(salt);
    xor(&mut block[4..8], &ssrc.to_be_bytes());
    xor(&mut block[8..14], &index.to_be_bytes()[2..]);
    block
}

/// RFC 7714 §8.1: SSRC, roll-over counter and sequence number are what the index is.
fn rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    nonce
}

/// RFC 7714 §9.1.
fn rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[8..12], &index.to_be_bytes());
    nonce
}

fn xor(bytes: &mut [u8], other: &[u8]) {
    bytes.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

/// How often the sequence numbers had rolled over, as it is authenticated (RFC 3711 §4.2).
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn tag_of(hmac: &Hmac<Sha1>, packet: &[u8], behind: &[u8]) -> [u8; 20] {
    let mut mac = hmac.clone();
    mac.update(packet);
    mac.update(behind);
    mac.finalize().into_bytes().into()
}

fn is_equal(made: &[u8; 20], found: &[u8]) -> bool {
    made.get(..found.len()).is_some_and(|made| made.ct_eq(found).into())
}

fn seal_rtp<G: Gcm>(
    gcm: &G,
    nonce: [u8; 12],
    room: &mut [u8],
    length: usize,
    header: usize,
) -> Result<usize, Fault> {
    let whole = length + GCM_TAG_BYTES;
    let (packet, place) = split(room, length, whole)?;
    let (beside, payload) = packet.split_at_mut(header);
    let tag = gcm.encrypt_inout_detached(&Nonce::from(nonce), beside, payload.into());
    place.copy_from_slice(&tag.map_err(|_| Fault::Exhausted)?);
    Ok(whole)
}

fn open_rtp<G: Gcm>(
    gcm: &G,
    nonce: [u8; 12],
    packet: &mut [u8],
    header: usize,
) -> Result<usize, Fault> {
    let (body, tag) = cut(packet, GCM_TAG_BYTES, header)?;
    let length = body.len();
    let (beside, payload) = body.split_at_mut(header);
    open(gcm, nonce, beside, payload, tag)?;
    Ok(length)
}

fn seal_rtcp<G: Gcm>(
    gcm: &G,
    nonce: [u8; 12],
    room: &mut [u8],
    length: usize,
    word: [u8; INDEX_BYTES],
) -> Result<usize, Fault> {
    let whole = length + GCM_TAG_BYTES + INDEX_BYTES;
    let (packet, behind) = split(room, length, whole)?;
    let (header, rest) = packet.split_at_mut(RTCP_HEADER);
    let beside = beside(header, word);
    let tag = gcm.encrypt_inout_detached(&Nonce::from(nonce), &beside, rest.into());
    let (place, index) = behind.split_at_mut(GCM_TAG_BYTES);
    place.copy_from_slice(&tag.map_err(|_| Fault::Exhausted)?);
    index.copy_from_slice(&word);
    Ok(whole)
}

fn open_rtcp<G: Gcm>(
    gcm: &G,
    nonce: [u8; 12],
    packet: &mut [u8],
    word: [u8; INDEX_BYTES],
) -> Result<usize, Fault> {
    let (packet, _) = cut(packet, INDEX_BYTES, RTCP_HEADER)?;
    let (body, tag) = cut(packet, GCM_TAG_BYTES, RTCP_HEADER)?;
    let length = body.len();
    let (header, rest) = body.split_at_mut(RTCP_HEADER);
    let beside = beside(header, word);
    open(gcm, nonce, &beside, rest, tag)?;
    Ok(length)
}

/// What SRTCP authenticates beside what is under the key (RFC 7714 §9.2).
fn beside(header: &[u8], word: [u8; INDEX_BYTES]) -> [u8; RTCP_HEADER + INDEX_BYTES] {
    let mut beside = [0; RTCP_HEADER + INDEX_BYTES];
    let (front, back) = beside.split_at_mut(RTCP_HEADER);
    front.copy_from_slice(header);
    back.copy_from_slice(&word);
    beside
}

fn open<G: Gcm>(
    gcm: &G,
    nonce: [u8; 12],
    beside: &[u8],
    text: &mut [u8],
    tag: &[u8],
) -> Result<(), Fault> {
    let tag = aes_gcm::aead::Tag::<G>::try_from(tag).map_err(|_| Fault::Malformed)?;
    gcm.decrypt_inout_detached(&Nonce::from(nonce), beside, text.into(), &tag)
        .map_err(|_| Fault::Unauthentic)
}
