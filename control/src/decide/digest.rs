//! Digest: whose password fits, and whether its nonce was used before (RFC 7616 §3.4, §5.4).
//!
//! Withstands who guesses and who replays. A user whom nobody knows, a wrong password and a right one
//! cost the same hashes and one comparison in constant time, and are answered in the same bytes. The
//! worker knows whether a nonce is ours, of that source, and young; here is remembered how often it was
//! used, from its first success until it has aged. The table has a limit; the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use link::ask::{Credentials, Freshness};
use sip::digest::{Algorithm, Exchange, Hash as Digest, Qop, nonce, response};
use sip::method::Method;

use super::Office;
use super::fence::Outside;
use super::suspend::ShutOut;
use crate::Time;
use crate::state::secret::Hashes;

/// Nonces that are remembered: those of 200,000 phones that register each minute, as long as they are fresh.
const NONCES_MAX: usize = 1_048_576;

/// Someone whose password fitted. Nothing else makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven {
    customer: u32,
}

impl Proven {
    /// Who it is.
    pub(super) fn customer(self) -> u32 {
        self.customer
    }
}

/// Why someone is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Said nothing that counts, or with a nonce that is used up: may try again.
    Unproven {
        /// The nonce was ours.
        stale: bool,
    },
    /// Had a fresh nonce of ours, and no right password: counts against him.
    Failed,
    /// Failed too often: nothing that he says is looked at.
    ShutOut(ShutOut),
    /// Proved who he is, from where he may not be: no login, whoever has his password.
    Outside(Outside),
}

/// How a nonce was used.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// So many requests, counted by whoever sends them.
    Counted(u32),
    /// Without a qop: by this request alone.
    Once(u64),
}

/// Nonces of those who proved who they are.
#[derive(Default)]
pub(super) struct Nonces {
    used: HashMap<u64, Use>,
    /// When each is forgotten.
    ages: VecDeque<(link::Instant, u64)>,
    /// Since when uses are known, s since 1970 UTC: a nonce that is older may have been used before.
    since_s: Option<u64>,
}

impl Nonces {
    /// Requests may come from now on. What came before a restart is not known any more.
    pub(super) fn begin(&mut self, wall_us: u64) {
        self.since_s.get_or_insert(wall_us / 1_000_000);
    }

    /// Whether this request may use this nonce; if so, it has.
    fn take(
        &mut self,
        now: link::Instant,
        age: Duration,
        credentials: &Credentials,
        request: u64,
    ) -> bool {
        self.forget(now);
        let made_s = nonce::made_s(credentials.nonce.as_bytes());
        if made_s.zip(self.since_s).is_some_and(|(made_s, since_s)| made_s < since_s) {
            return false;
        }
        let nonce = mark(credentials.nonce.as_bytes());
        let wanted = match credentials.qop {
            0 => Use::Once(request),
            _ => Use::Counted(credentials.nonce_count),
        };
        let old = self.used.get(&nonce).copied();
        let may = match (old, wanted) {
            (None, _) => true,
            (Some(Use::Counted(old)), Use::Counted(new)) => new > old,
            (Some(Use::Once(old)), Use::Once(new)) => new == old,
            (Some(Use::Counted(_)), Use::Once(_)) | (Some(Use::Once(_)), Use::Counted(_)) => false,
        };
        if may {
            self.used.insert(nonce, wanted);
        }
        if may && old.is_none() {
            self.ages.push_back((now + age, nonce));
            if self.ages.len() > NONCES_MAX
                && let Some((_, oldest)) = self.ages.pop_front()
            {
                self.used.remove(&oldest);
            }
        }
        may
    }

    /// What has aged the worker tells from a fresh one by itself.
    pub(super) fn forget(&mut self, now: link::Instant) {
        while let Some((_, nonce)) = self.ages.pop_front_if(|(until, _)| *until < now) {
            self.used.remove(&nonce);
        }
    }
}

/// A short stand-in for bytes, to tell them from others.
pub(super) fn mark(bytes: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The request that credentials came with.
pub(super) struct Proof<'a> {
    pub(super) method: Method<'static>,
    pub(super) source: SocketAddr,
    pub(super) call_id: &'a [u8],
    pub(super) cseq: u32,
    pub(super) credentials: &'a Credentials,
    /// As whom: by its credentials, else as the request says.
    pub(super) endpoint: &'a str,
}

/// As whom somebody proves himself: by his credentials, else as the request says.
pub(super) fn endpoint_of<'a>(credentials: &'a Credentials, said: &'a [u8]) -> &'a str {
    let said = if credentials.username.is_empty() { said } else { credentials.username.as_bytes() };
    std::str::from_utf8(said).unwrap_or_default()
}

impl Office {
    /// Who sent a request, by its digest.
    pub(super) fn prove(&mut self, time: Time, proof: &Proof<'_>) -> Result<Proven, Doubt> {
        if let Some(how) = self.shut_out(time, proof) {
            return Err(Doubt::ShutOut(how));
        }
        match Freshness::from(proof.credentials.freshness) {
            Freshness::None | Freshness::Foreign => return Err(Doubt::Unproven { stale: false }),
            // Whatever it was made with: who knows no password must not learn whether it was right.
            Freshness::Stale => return Err(Doubt::Unproven { stale: true }),
            Freshness::Fresh => {}
        }
        self.defence.evaluated += 1;
        let Some(proven) = self.verify(proof) else {
            self.note_failure(time, proof);
            return Err(Doubt::Failed);
        };
        let age = Duration::from_secs(self.state.values.number("TG_NONCE_AGE"));
        let request = mark((proof.call_id, proof.cseq));
        if !self.nonces.take(time.now, age, proof.credentials, request) {
            return Err(Doubt::Unproven { stale: true });
        }
        if let Some(outside) = self.bound_of(proven.customer(), proof.source.ip()) {
            return Err(Doubt::Outside(outside));
        }
        self.note_login(time, proof, proven);
        Ok(proven)
    }

    /// Whose password made this response. Right credentials from outside the addresses of a gateway that
    /// asks for both are as good as none.
    fn verify(&self, proof: &Proof<'_>) -> Option<Proven> {
        let credentials = proof.credentials;
        let username = std::str::from_utf8(credentials.username.as_bytes()).unwrap_or_default();
        let customer = self.state.customers.of_user(username);
        let hashes = customer.and_then(|customer| customer.hashes);
        let algorithm = match credentials.algorithm {
            0 => Algorithm::Md5,
            _ => Algorithm::Sha256,
        };
        let bytes = credentials.response.get(..algorithm.hash_bytes()).unwrap_or_default();
        let said = Digest::from_bytes(algorithm, bytes)?;
        let fits = |nc: &str| {
            let exchange = Exchange {
                method: proof.method,
                uri: credentials.uri.as_bytes(),
                nonce: credentials.nonce.as_bytes(),
                qop: if credentials.qop == 0 { Qop::None } else { Qop::Auth },
                nc: nc.as_bytes(),
                cnonce: credentials.cnonce.as_bytes(),
                body: None,
            };
            let ha1 = hashes.unwrap_or(self.nobody.0);
            response(ha1.by(algorithm), &exchange) == said
        };
        // The count was hashed as it was written, and some write its letters in capitals.
        let (small, large) = (
            format!("{:08x}", credentials.nonce_count),
            format!("{:08X}", credentials.nonce_count),
        );
        let fitted = fits(&small) | (small != large && fits(&large));
        let customer = customer.filter(|it| hashes.is_some() && it.may_send_from(proof.source))?;
        fitted.then_some(Proven { customer: customer.gateway.id })
    }
}

/// The hashes that stand for a user whom nobody knows.
pub(super) struct Nobody(Hashes);

impl Default for Nobody {
    fn default() -> Self {
        Self(Hashes::nobody())
    }
}

#[cfg(test)]
mod tests {
    use link::Text;

    use super::*;

    const AGE: Duration = Duration::from_secs(300);

    fn credentials(nonce: &str, qop: u8, nonce_count: u32) -> Credentials {
        let nonce = Text::new(nonce.as_bytes()).unwrap();
        Credentials { nonce, qop, nonce_count, ..Credentials::default() }
    }

    #[test]
    fn a_counted_nonce_serves_each_count_once_and_only_upwards() {
        let mut nonces = Nonces::default();
        let mut take = |count| nonces.take(AGE, AGE, &credentials("a", 1, count), 7);
        assert_eq!(
            [1, 1, 2, 5, 4, 5, 6].map(&mut take),
            [true, false, true, true, false, false, true]
        );
        assert!(!nonces.take(AGE, AGE, &credentials("a", 0, 0), 7), "and never without its count");
    }

    #[test]
    fn a_nonce_without_a_count_serves_one_request_and_its_repetitions() {
        let mut nonces = Nonces::default();
        let mut take = |request| nonces.take(AGE, AGE, &credentials("a", 0, 0), request);
        assert_eq!([1, 1, 2, 1].map(&mut take), [true, true, false, true]);
        assert!(!nonces.take(AGE, AGE, &credentials("a", 1, 9), 1));
    }

    #[test]
    fn a_nonce_from_before_a_restart_may_have_been_used_and_serves_nobody() {
        let mint = sip::digest::Mint { master: &[7; 16], realm: b"here" };
        let take = |nonces: &mut Nonces, made_s| {
            let nonce = mint.make(made_s, "192.0.2.1".parse().unwrap(), 1);
            let nonce = std::str::from_utf8(nonce.as_bytes()).unwrap().to_owned();
            nonces.take(AGE, AGE, &credentials(&nonce, 1, 1), 7)
        };
        let mut nonces = Nonces::default();
        nonces.begin(1_000_000_000);
        nonces.begin(2_000_000_000);
        assert!(!take(&mut nonces, 999));
        assert!(take(&mut nonces, 1_000));
        assert!(take(&mut nonces, 1_001), "another dataplane changes nothing");
    }

    #[test]
    fn nonces_are_forgotten_when_they_have_aged_and_never_more_than_there_is_room_for() {
        let mut nonces = Nonces::default();
        for n in 0..NONCES_MAX + 10 {
            assert!(nonces.take(AGE, AGE, &credentials(&n.to_string(), 1, 1), 1));
        }
        assert_eq!((nonces.used.len(), nonces.ages.len()), (NONCES_MAX, NONCES_MAX));
        nonces.forget(2 * AGE + Duration::from_secs(1));
        assert_eq!((nonces.used.len(), nonces.ages.len()), (0, 0));
    }
}
