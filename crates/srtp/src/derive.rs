//! Session keys of a master key (RFC 3711 §4.3; for GCM RFC 7714 §11). The derivation rate is 0: once.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};

use crate::suite::{Master, Suite};

/// Bytes of the key of HMAC-SHA1 (RFC 3711 §5.2).
pub(crate) const AUTH_BYTES: usize = 20;
/// Bytes of the salt as the counter mode has it; that of GCM has two zeros behind it.
pub(crate) const SALT_BYTES: usize = 14;
const BLOCK_BYTES: usize = 16;

/// For what a key is derived: the labels of §4.3.1 and §4.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

/// What protects RTP, or RTCP.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) suite: Suite,
    pub(crate) key: [u8; 32],
    pub(crate) auth: [u8; AUTH_BYTES],
    pub(crate) salt: [u8; SALT_BYTES],
}

impl Session {
    pub(crate) fn derive(master: &Master, purpose: Purpose) -> Self {
        let (suite, label) = (master.suite(), purpose as u8);
        let (mut key, mut auth, mut salt) = ([0; 32], [0; AUTH_BYTES], [0; SALT_BYTES]);
        fill(master, label, &mut key[..suite.key_bytes()]);
        fill(master, label + 1, &mut auth);
        fill(master, label + 2, &mut salt[..suite.salt_bytes()]);
        Self { suite, key, auth, salt }
    }
}

/// The key stream under `label`, from its beginning.
fn fill(master: &Master, label: u8, out: &mut [u8]) {
    let mut counter = [0; BLOCK_BYTES];
    counter[..master.salt().len()].copy_from_slice(master.salt());
    // The label stands above an index of 48 bits, which is 0.
    counter[7] ^= label;
    match master.suite() {
        Suite::AeadAes256Gcm => stream(&cipher::<Aes256>(master.key()), counter, out),
        Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 | Suite::AeadAes128Gcm => {
            stream(&cipher::<Aes128>(master.key()), counter, out);
        }
    }
}

/// A cipher of a key whose length is its suite's.
pub(crate) fn cipher<C: KeyInit>(key: &[u8]) -> C {
    C::new_from_slice(key).expect("a suite's key is as long as its cipher wants it")
}

/// XORs the key stream that begins at `counter` to `out` (RFC 3711 §4.1.1).
pub(crate) fn stream<C>(cipher: &C, counter: [u8; BLOCK_BYTES], out: &mut [u8])
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
{
    /// So many blocks the cipher works on at once.
    const BLOCKS: usize = 8;
    let mut counter = u128::from_be_bytes(counter);
    for part in out.chunks_mut(BLOCKS * BLOCK_BYTES) {
        let mut blocks = [aes::Block::default(); BLOCKS];
        let used = &mut blocks[..part.len().div_ceil(BLOCK_BYTES)];
        for block in used.iter_mut() {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        cipher.encrypt_blocks(used);
        let key = used.iter().flat_map(|block| block.iter());
        part.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hex;

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_appendix_b_2() {
        let aes = cipher::<Aes128>(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let mut out = vec![0; 0xff03 * BLOCK_BYTES];
        let counter: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        stream(&aes, counter, &mut out);
        for (block, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(out[block * 16..][..16], hex(expected), "block {block:#x}");
        }
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        let master = "E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6";
        let master = Master::new(Suite::AesCm128HmacSha1Tag80, &hex(master)).unwrap();
        let session = Session::derive(&master, Purpose::Rtp);
        assert_eq!(session.key[..16], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(session.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(session.auth[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }
}
