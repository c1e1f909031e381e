//! Nonces that need no memory (RFC 7616 §5.4): a time, a number and a keyed hash of both, of the
//! source they were given to and of the realm.
//!
//! A flood of requests without credentials therefore costs nothing that stays. Nobody but us can make
//! one, and nobody but its receiver's address can use one. Keys are derived from a master key for each
//! hour, so that no key hashes without end; an old nonce is still known for ours under the key of its
//! own hour, and then the phone tries again without asking its user.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use super::hash::{hex, unhex};

/// How long one key makes nonces.
const EPOCH_S: u64 = 3600;

const NUMBER_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const NONCE_BYTES: usize = 2 * NUMBER_BYTES + MAC_BYTES;

/// A nonce as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    digits: [u8; 2 * NONCE_BYTES],
}

impl Nonce {
    /// Hexadecimal digits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.digits
    }
}

/// What a client's nonce is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Ours, given to this source, and young enough.
    Fresh {
        /// How old it is.
        age_s: u64,
        /// The number it was made with: what replays of it have in common.
        counter: u64,
    },
    /// Ours and given to this source, but too old, or from before the clock was set back.
    Stale,
    /// Not ours, or given to another source, or for another realm.
    Foreign,
}

/// Makes nonces and knows them again.
#[derive(Clone, Copy)]
pub struct Mint<'a> {
    /// Secret, and the same on every worker and after a restart.
    pub master: &'a [u8; 16],
    /// What the nonces are good for.
    pub realm: &'a [u8],
}

impl Mint<'_> {
    /// A nonce for whoever sends from that address. No two nonces of one second may share a `counter`;
    /// it may be random.
    #[must_use]
    pub fn make(&self, now_s: u64, source: IpAddr, counter: u64) -> Nonce {
        let mac = self.mac(now_s, source, counter);
        let mut digits = [0; 2 * NONCE_BYTES];
        let (time_digits, rest) = digits.split_at_mut(2 * NUMBER_BYTES);
        let (counter_digits, mac_digits) = rest.split_at_mut(2 * NUMBER_BYTES);
        hex(&now_s.to_be_bytes(), time_digits);
        hex(&counter.to_be_bytes(), counter_digits);
        hex(&mac, mac_digits);
        Nonce { digits }
    }

    /// What a nonce is that came back from that address.
    #[must_use]
    pub fn check(&self, now_s: u64, age_max_s: u64, source: IpAddr, nonce: &[u8]) -> Freshness {
        let Some((made_s, counter, mac)) = read(nonce) else { return Freshness::Foreign };
        if !bool::from(self.mac(made_s, source, counter).ct_eq(&mac)) {
            return Freshness::Foreign;
        }
        match now_s.checked_sub(made_s) {
            Some(age_s) if age_s <= age_max_s => Freshness::Fresh { age_s, counter },
            _ => Freshness::Stale,
        }
    }

    fn mac(&self, made_s: u64, source: IpAddr, counter: u64) -> [u8; MAC_BYTES] {
        let epoch = made_s / EPOCH_S;
        let key = SipHasher24::new_with_key(self.master).hash(&epoch.to_be_bytes()).as_bytes();
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(&made_s.to_be_bytes());
        hasher.write(&counter.to_be_bytes());
        // One form for both families, so that no two inputs are the same bytes.
        let address = match source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hasher.write(&address.octets());
        hasher.write(self.realm);
        hasher.finish128().as_bytes()
    }
}

/// Nothing of the key.
impl std::fmt::Debug for Mint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mint")
    }
}

/// When a nonce of ours was made, s since 1970 UTC; whether it is ours, [`Mint::check`] says. `None`: it is
/// none.
#[must_use]
pub fn made_s(nonce: &[u8]) -> Option<u64> {
    read(nonce).map(|(made_s, ..)| made_s)
}

/// Time, counter and hash of what looks like a nonce of ours.
fn read(digits: &[u8]) -> Option<(u64, u64, [u8; MAC_BYTES])> {
    let mut bytes = [0; NONCE_BYTES];
    unhex(digits, &mut bytes)?;
    let (made_s, rest) = bytes.split_first_chunk()?;
    let (counter, rest) = rest.split_first_chunk()?;
    let mac = rest.first_chunk()?;
    Some((u64::from_be_bytes(*made_s), u64::from_be_bytes(*counter), *mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &[u8; 16] = b"0123456789abcdef";
    const MINT: Mint<'_> = Mint { master: MASTER, realm: b"carrier.example" };
    const NOW_S: u64 = 1_750_000_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_nonce_ages_from_fresh_to_stale() {
        let source = ip("192.0.2.1");
        let nonce = MINT.make(NOW_S, source, 7);
        for (later_s, expected) in [
            (0, Freshness::Fresh { age_s: 0, counter: 7 }),
            (300, Freshness::Fresh { age_s: 300, counter: 7 }),
            (301, Freshness::Stale),
            (EPOCH_S, Freshness::Stale),
            (5 * EPOCH_S, Freshness::Stale),
        ] {
            let found = MINT.check(NOW_S + later_s, 300, source, nonce.as_bytes());
            assert_eq!(found, expected, "{later_s}");
        }
        assert_eq!(MINT.check(NOW_S - 1, 300, source, nonce.as_bytes()), Freshness::Stale);
        let beyond = MINT.check(NOW_S + EPOCH_S, 2 * EPOCH_S, source, nonce.as_bytes());
        assert_eq!(beyond, Freshness::Fresh { age_s: EPOCH_S, counter: 7 });
    }

    #[test]
    fn a_nonce_says_when_it_was_made() {
        let nonce = MINT.make(NOW_S, ip("192.0.2.1"), 7);
        assert_eq!(made_s(nonce.as_bytes()), Some(NOW_S));
        assert_eq!(made_s(b"n1"), None);
    }

    #[test]
    fn a_nonce_is_nothing_to_another_source_realm_or_key() {
        let nonce = MINT.make(NOW_S, ip("192.0.2.1"), 7);
        let check = |mint: Mint<'_>, source| mint.check(NOW_S, 300, source, nonce.as_bytes());
        assert_eq!(check(MINT, ip("192.0.2.2")), Freshness::Foreign);
        assert_eq!(check(MINT, ip("2001:db8::1")), Freshness::Foreign);
        assert_eq!(check(Mint { realm: b"other", ..MINT }, ip("192.0.2.1")), Freshness::Foreign);
        assert_eq!(check(Mint { master: &[0; 16], ..MINT }, ip("192.0.2.1")), Freshness::Foreign);
        // The same sender behind a socket of both families is the same sender.
        assert_ne!(check(MINT, ip("::ffff:192.0.2.1")), Freshness::Foreign);
    }

    #[test]
    fn a_changed_cut_or_grown_nonce_is_foreign() {
        let source = ip("2001:db8::1");
        let nonce = MINT.make(NOW_S, source, u64::MAX);
        let check = |text: &[u8]| MINT.check(NOW_S, 300, source, text);
        assert_eq!(check(nonce.as_bytes()), Freshness::Fresh { age_s: 0, counter: u64::MAX });
        for at in 0..nonce.as_bytes().len() {
            let mut changed = nonce;
            changed.digits[at] = if changed.digits[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(check(changed.as_bytes()), Freshness::Foreign, "{at}");
            assert_eq!(check(&nonce.as_bytes()[..at]), Freshness::Foreign, "{at}");
        }
        assert_eq!(check(&[nonce.as_bytes(), b"0"].concat()), Freshness::Foreign);
        assert_eq!(check(&[b'g'; 64]), Freshness::Foreign);
    }
}
