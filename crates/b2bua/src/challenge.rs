//! Asking who somebody is, without remembering that we asked (RFC 3261 §22.1, RFC 8760 §2.3).
//!
//! A nonce is a keyed hash of time, source and chance, made here, given away and judged when it comes
//! back: a flood of strangers costs nothing that stays. Each challenge offers SHA-256 first and MD5
//! behind it, since most phones know nothing else; some of them mind the offer, so it can be left out.

use std::net::IpAddr;

use link::Text;
use sip::digest::{Algorithm, Asker, Freshness, Mint, Nonce, Offer};
use sip::{Message, Method, Writer};

use crate::Instant;
use crate::compose::{Adds, Reply};
use crate::counter::Counter;
use crate::path::Path;
use crate::switch::Switch;

/// `challenge_mode`: 401 for everything.
const MODE_SERVER: u16 = 1;
/// `challenge_mode`: 407 for everything.
const MODE_PROXY: u16 = 2;

/// How a nonce came back that is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonces {
    /// None of ours did.
    Unseen,
    /// One did that was right but old: the same password is worth another try (RFC 7616 §3.3).
    Stale,
}

impl Nonces {
    /// As control says it.
    pub(crate) fn of(stale: u8) -> Self {
        if stale == 0 { Self::Unseen } else { Self::Stale }
    }
}

/// What a 401 or 407 asks for.
pub(crate) struct Challenge {
    realm: Text<62>,
    nonce: Nonce,
    nonces: Nonces,
    /// In which header fields, the one that belongs to the status first.
    askers: [Option<Asker>; 2],
    algorithms: &'static [Algorithm],
}

impl Challenge {
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        for asker in self.askers.into_iter().flatten() {
            for &algorithm in self.algorithms {
                let offer = Offer {
                    realm: self.realm.as_bytes(),
                    nonce: self.nonce.as_bytes(),
                    algorithm,
                    stale: self.nonces == Nonces::Stale,
                };
                offer.write(asker, writer);
            }
        }
    }
}

impl Switch {
    /// By which status a request is challenged (`SS_AUTHCHALLENGEMODE`).
    pub(crate) fn challenge_status(&self, method: Method<'_>) -> u16 {
        match (self.parameters.challenge_mode, method) {
            (MODE_SERVER, _) => 401,
            (MODE_PROXY, _) => 407,
            (_, Method::Register) => 401,
            (_, _) => 407,
        }
    }

    /// A challenge for whoever sends from there.
    pub(crate) fn make_challenge(
        &mut self,
        now: Instant,
        source: IpAddr,
        status: u16,
        nonces: Nonces,
    ) -> Challenge {
        self.counters.add(Counter::Challenged);
        let chance = self.random();
        let nonce = self.mint().make(self.wall_s(now), source, chance);
        let asker = Asker::of_status(status).unwrap_or(Asker::Server);
        let other = match asker {
            Asker::Server => Asker::Proxy,
            Asker::Proxy => Asker::Server,
        };
        let has_both = !matches!(self.parameters.challenge_mode, MODE_SERVER | MODE_PROXY);
        let askers = [Some(asker), has_both.then_some(other)];
        let algorithms: &[Algorithm] = match self.parameters.challenge_sha256 {
            0 => &[Algorithm::Md5],
            _ => &[Algorithm::Sha256, Algorithm::Md5],
        };
        Challenge { realm: self.parameters.realm, nonce, nonces, askers, algorithms }
    }

    /// Challenges a request and forgets it.
    pub(crate) fn challenge(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        status: u16,
        nonces: Nonces,
    ) {
        let challenge = self.make_challenge(now, path.remote.ip(), status, nonces);
        let adds = Adds::Challenge(&challenge);
        self.reply_stateless(path, request, &Reply { adds, ..Reply::plain(status) });
    }

    /// What a nonce is that came from there.
    pub(crate) fn judge_nonce(&self, now: Instant, source: IpAddr, nonce: &[u8]) -> Freshness {
        let age_max_s = u64::from(self.parameters.nonce_age_s);
        self.mint().check(self.wall_s(now), age_max_s, source, nonce)
    }

    fn mint(&self) -> Mint<'_> {
        Mint { master: &self.nonce_key, realm: self.parameters.realm.as_bytes() }
    }

    /// Nonces outlive this process, so their time is the wall's.
    pub(crate) fn wall_s(&self, now: Instant) -> u64 {
        (now + self.wall_offset).as_secs()
    }
}
