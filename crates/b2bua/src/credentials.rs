//! What a request proves of its sender: the digest for our realm, as control is told of it.
//!
//! The worker knows its own nonces again; whose password fits, only control knows. What cannot be read,
//! or is longer than we can tell, is as good as nothing: the sender is asked again. So is what was made for
//! another number than the one that is called (RFC 7616 §3.4.6).

use std::net::IpAddr;

use link::Text;
use link::ask::{Credentials, Freshness};
use sip::digest::{self, Algorithm, Asker, Qop};
use sip::uri::unescape_into;
use sip::{Message, Uri};

use crate::Instant;
use crate::counter::Counter;
use crate::switch::Switch;

impl Switch {
    /// The digest of a request for our realm; of several, the one with the freshest nonce.
    pub(crate) fn credentials(
        &mut self,
        now: Instant,
        source: IpAddr,
        request: &Message<'_>,
    ) -> Credentials {
        let mut best = Credentials::default();
        for read in Asker::Server.credentials(request).chain(Asker::Proxy.credentials(request)) {
            let Ok(read) = read else {
                self.counters.add(Counter::CredentialsUnusable);
                continue;
            };
            // Those for other realms are for other servers on the way (RFC 3261 §22.3).
            if !read.realm.is(self.parameters.realm.as_bytes()) {
                continue;
            }
            if !is_for(&read, request) {
                self.counters.add(Counter::CredentialsUnusable);
                continue;
            }
            let freshness = match self.judge_nonce(now, source, read.nonce) {
                digest::Freshness::Fresh { .. } => Freshness::Fresh,
                digest::Freshness::Stale => Freshness::Stale,
                digest::Freshness::Foreign => Freshness::Foreign,
            };
            match tell(&read, freshness) {
                None => self.counters.add(Counter::CredentialsUnusable),
                Some(told) if worth(&told) > worth(&best) => best = told,
                Some(_) => {}
            }
        }
        match Freshness::from(best.freshness) {
            Freshness::Foreign => self.counters.add(Counter::NoncesForeign),
            Freshness::Stale => self.counters.add(Counter::NoncesStale),
            Freshness::None | Freshness::Fresh => {}
        }
        best
    }
}

/// Whether a digest was made for the user of the Request-URI. What else differs may have been changed on
/// the way: host, port and parameters say how to get there. One that names no user, as that of a REGISTER,
/// was made for us.
fn is_for(read: &digest::Credentials<'_>, request: &Message<'_>) -> bool {
    let Some(named) = Uri::parse(read.uri).and_then(|uri| uri.user()) else { return true };
    let asked = request.request().and_then(|request| request.uri.user());
    let (mut one, mut other) = ([0; 256], [0; 256]);
    // A REGISTER has no user in its Request-URI, but some phones write theirs into the digest.
    asked.is_none_or(|asked| {
        let named = unescape_into(named, &mut one);
        named.is_some() && named == unescape_into(asked, &mut other)
    })
}

/// How far credentials lead.
fn worth(credentials: &Credentials) -> u8 {
    match Freshness::from(credentials.freshness) {
        Freshness::None => 0,
        Freshness::Foreign => 1,
        Freshness::Stale => 2,
        Freshness::Fresh => 3,
    }
}

/// As control reads them. `None`: they protect more than we check, or do not fit.
fn tell(read: &digest::Credentials<'_>, freshness: Freshness) -> Option<Credentials> {
    // A count is told as a number and hashed in lower case again (RFC 7616 §3.4: `8LHEX`).
    if read.nc.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut name = [0; 62];
    let mut response = [0; 32];
    let hash = read.response.as_bytes();
    response.get_mut(..hash.len())?.copy_from_slice(hash);
    Some(Credentials {
        username: Text::new(read.username.unescape_into(&mut name)?)?,
        nonce: Text::new(read.nonce)?,
        uri: Text::new(read.uri)?,
        cnonce: Text::new(read.cnonce)?,
        response,
        nonce_count: read.count().unwrap_or(0),
        algorithm: match read.response.algorithm() {
            Algorithm::Md5 => 0,
            Algorithm::Sha256 => 1,
        },
        qop: match read.qop {
            Qop::None => 0,
            Qop::Auth => 1,
            // We never offer it, and whoever relays bodies cannot check it.
            Qop::AuthInt => return None,
        },
        freshness: freshness as u8,
        spare: 0,
    })
}
