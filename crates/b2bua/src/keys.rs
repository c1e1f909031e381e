//! Names that we make: Call-IDs, tags and branches that say whose they are, to us alone.
//!
//! A token is 16 bytes, written as 32 hex digits: eight random bytes, then eight bytes of payload
//! under a keyed mask. Whoever has the key reads from a token the slot it belongs to, without a
//! look-up; nobody else learns a slot, counts our calls, or chooses a worker. A forged token reads
//! as some slot whose own random bytes differ, and misses.

use siphasher::sip::SipHasher24;

/// Secret keys. They survive restarts (the names in running calls were made with them), and all
/// workers share them (each must read the others' shards).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Call-ID to shard.
    pub shard: [u8; 16],
    /// Tags, branches and stateless To-tags.
    pub tag: [u8; 16],
}

impl Keys {
    /// The key of nonces: as lasting as the key it is derived from, and no way back to that one.
    pub(crate) fn nonce(&self) -> [u8; 16] {
        siphasher::sip128::SipHasher24::new_with_key(&self.tag).hash(b"nonce").as_bytes()
    }
}

/// Never their content.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// How many shards there are. Fixed for ever: Call-IDs of running calls carry theirs.
pub const SHARDS: u16 = 256;

/// Which of the [`SHARDS`] a Call-ID belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard(pub u8);

/// The shard of a Call-ID: carried by one that we minted, hashed for any other.
#[must_use]
pub fn shard_of(call_id: &[u8], keys: &Keys) -> Shard {
    if let Some(token) = Token::read(call_id) {
        let payload = token.payload(&keys.shard);
        if payload >> 8 == SHARD_MARK {
            return Shard(payload.to_le_bytes()[0]);
        }
    }
    Shard(hash(&keys.shard, call_id).to_le_bytes()[0])
}

/// The worker that owns a shard.
#[must_use]
pub fn worker_of(shard: Shard, workers: u8) -> u8 {
    shard.0 % workers.max(1)
}

/// Tells our Call-IDs from strangers' that look alike: 56 bits that only the key holder can write.
const SHARD_MARK: u64 = 0x0054_6f6c_6c67_6174;

/// A Call-ID that carries `shard`.
pub(crate) fn mint_call_id(shard: Shard, random: u64, keys: &Keys) -> Token {
    Token::new(random, SHARD_MARK << 8 | u64::from(shard.0), &keys.shard)
}

pub(crate) fn hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(key).hash(bytes)
}

/// Twice as wide, of several parts whose lengths are known.
pub(crate) fn wide_hash(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = siphasher::sip128::SipHasher24::new_with_key(key);
    parts.iter().for_each(|part| core::hash::Hasher::write(&mut hasher, part));
    siphasher::sip128::Hasher128::finish128(&hasher).as_bytes()
}

/// Length of a token as text.
pub(crate) const TOKEN_BYTES: usize = 32;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) random: u64,
    masked: u64,
}

impl Token {
    fn new(random: u64, payload: u64, key: &[u8; 16]) -> Self {
        Self { random, masked: payload ^ hash(key, &random.to_le_bytes()) }
    }

    fn payload(self, key: &[u8; 16]) -> u64 {
        self.masked ^ hash(key, &self.random.to_le_bytes())
    }

    /// The token of a slot; `variant` tells several of one owner apart.
    pub(crate) fn of(place: Place, random: u64, keys: &Keys) -> Self {
        let payload = u64::from(place.slot) << 40
            | u64::from(place.variant) << 32
            | u64::from(place.generation);
        Self::new(random, payload, &keys.tag)
    }

    /// Where it belongs, if it is one of ours; if not, somewhere, with a random that misses.
    pub(crate) fn place(self, keys: &Keys) -> Place {
        let payload = self.payload(&keys.tag);
        let [g0, g1, g2, g3, variant, s0, s1, s2] = payload.to_le_bytes();
        Place {
            slot: u32::from_le_bytes([s0, s1, s2, 0]),
            variant,
            generation: u32::from_le_bytes([g0, g1, g2, g3]),
        }
    }

    /// The text form.
    pub(crate) fn text(self) -> [u8; TOKEN_BYTES] {
        let mut out = [0; TOKEN_BYTES];
        let bytes = self.random.to_be_bytes().into_iter().chain(self.masked.to_be_bytes());
        for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        out
    }

    /// Reads the text form; `None`: it cannot be one of ours.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; TOKEN_BYTES] = text.try_into().ok()?;
        let mut words = [0_u64; 2];
        for (word, digits) in words.iter_mut().zip(text.chunks_exact(16)) {
            for &digit in digits {
                *word = *word << 4 | u64::from(value(digit)?);
            }
        }
        Some(Self { random: words[0], masked: words[1] })
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Below 2^24.
    pub(crate) slot: u32,
    pub(crate) variant: u8,
    pub(crate) generation: u32,
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Lower case only: a token has one spelling.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The generator of everything unpredictable: SipHash in counter mode, keyed by the seed.
pub(crate) struct Random {
    key: [u8; 16],
    salt: [u8; 16],
    counter: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let (mut key, mut salt) = ([0; 16], [0; 16]);
        key.copy_from_slice(&seed[..16]);
        salt.copy_from_slice(&seed[16..]);
        Self { key, salt, counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut block = [0; 24];
        block[..16].copy_from_slice(&self.salt);
        block[16..].copy_from_slice(&self.counter.to_le_bytes());
        hash(&self.key, &block)
    }

    /// A text that nobody can guess: a tag of no call, a nonce of ours as a client.
    pub(crate) fn text(&mut self) -> [u8; 16] {
        let random = self.next();
        core::array::from_fn(|digit| hex((random >> (digit * 4)) as u8 & 15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys { shard: [1; 16], tag: [2; 16] };

    #[test]
    fn a_minted_call_id_carries_its_shard_and_only_under_its_key() {
        let other = Keys { shard: [3; 16], tag: [2; 16] };
        let mut strange = 0;
        for shard in 0..=255 {
            let call_id = mint_call_id(Shard(shard), 77 + u64::from(shard), &KEYS).text();
            assert_eq!(shard_of(&call_id, &KEYS), Shard(shard));
            strange += u32::from(shard_of(&call_id, &other) != Shard(shard));
        }
        assert!(strange > 200);
    }

    #[test]
    fn a_token_says_its_place_and_has_one_spelling() {
        let place = Place { slot: 0xab_cdef, variant: 9, generation: 0xdead_beef };
        let token = Token::of(place, 5, &KEYS);
        let text = token.text();
        assert_eq!(Token::read(&text), Some(token));
        assert_eq!(token.place(&KEYS), place);
        assert_eq!(Token::read(&text.to_ascii_uppercase()), None);
        assert_eq!(Token::read(&text[1..]), None);
    }

    #[test]
    fn a_token_is_what_the_driver_reads() {
        // As tests/calls.rs of xdp-prog makes it.
        let place = Place { slot: 0x3e, variant: 9, generation: 0xdead_beef };
        assert_eq!(Token::of(place, 5, &KEYS).text(), *b"00000000000000052b49cbf4d9b2efef");
    }

    #[test]
    fn foreign_call_ids_spread_over_the_workers() {
        let mut calls = [0_u32; 4];
        for number in 0..4_000 {
            let call_id = format!("{number}@example.com");
            calls[usize::from(worker_of(shard_of(call_id.as_bytes(), &KEYS), 4))] += 1;
        }
        assert!(calls.iter().all(|&count| (800..1_200).contains(&count)), "{calls:?}");
    }
}
