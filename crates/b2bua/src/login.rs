//! Challenges to requests of ours: the same request once more, with credentials (RFC 3261 §22.2,
//! §22.3, RFC 7616 §3.4).
//!
//! The request that met the challenge is still kept by its transaction, and goes out again as it stands
//! but for branch, number and credentials. Which realms were answered before, and how often a nonce was
//! used, is read from the credentials in it: nothing else has to be remembered.
//!
//! Withstands: a peer that never stops asking, also under ever new realms (two answers, then the
//! challenge is a failure), one that refuses a password (it is never told twice what it has refused,
//! unless only the nonce was too old), challenges that cannot be read (passed over).

use link::Text;
use link::profile;
use link::record::CallKey;
use link::report::News;
use sip::digest::{Algorithm, Asker, Authorization, Challenge, Credentials, Login, Qop, Secret};
use sip::{Message, Method, Name, Writer};

use crate::Instant;
use crate::compose::{Us, write_content};
use crate::counter::Counter;
use crate::keys::Token;
use crate::path::Path;
use crate::switch::Switch;
use crate::transaction::{Birth, Machine, Role, TransactionKey, invite_client, non_invite_client};

/// How many challenges of one request are answered: that of the far end and one of a proxy before it,
/// or one more because a nonce was too old.
const ANSWERS_MAX: u8 = 2;

/// Realms that one request carries credentials for.
const REALMS_MAX: usize = 4;

const ASKERS: [Asker; 2] = [Asker::Server, Asker::Proxy];

/// One realm that wants to know who we are.
#[derive(Clone, Copy)]
struct Demand<'a> {
    asker: Asker,
    challenge: Challenge<'a>,
    /// How often its nonce is used with the answer.
    count: u32,
}

impl<'a> Demand<'a> {
    fn is_of(&self, asker: Asker, realm: sip::Text<'_>) -> bool {
        self.asker == asker && self.challenge.realm.bytes().eq(realm.bytes())
    }

    /// The better of two challenges of one realm has the greater one.
    fn strength(&self) -> (bool, bool) {
        (self.challenge.algorithm == Algorithm::Sha256, self.challenge.qop != Qop::None)
    }

    /// The credentials that its realm has had from us already.
    fn answered<'m>(&self, request: &'m Message<'a>) -> Option<Credentials<'a>> {
        let asker = self.asker;
        asker.credentials(request).flatten().find(|old| self.is_of(asker, old.realm))
    }
}

/// A request of ours that met a challenge, and who we are to its peer.
struct Asked {
    role: Role,
    owner: Option<CallKey>,
    peer: Option<TransactionKey>,
    gateway: u32,
    /// How many challenges of it were answered before.
    challenges: u8,
    path: Path,
    is_invite: bool,
    /// Of the challenge.
    status: u16,
    username: Text<62>,
    password: profile::Secret,
}

/// What one response asks for.
#[derive(Default)]
struct Demands<'a> {
    places: [Option<Demand<'a>>; REALMS_MAX],
}

impl<'a> Demands<'a> {
    /// The strongest challenge of each realm that we can answer. Proxies on the way may have put theirs
    /// beside the far end's (§16.7), so both kinds are read, whatever the status.
    fn read(response: &Message<'a>, request: &Message<'a>) -> Self {
        let mut demands = Self::default();
        for asker in ASKERS {
            for challenge in asker.challenges(response).flatten() {
                let mut demand = Demand { asker, challenge, count: 1 };
                let used = demand.answered(request).filter(|old| old.nonce == challenge.nonce);
                demand.count = used.and_then(|old| old.count()).unwrap_or(0).saturating_add(1);
                demands.put(demand);
            }
        }
        demands
    }

    fn put(&mut self, demand: Demand<'a>) {
        let is_its = |place: &&mut Option<Demand<'a>>| {
            place.is_none_or(|known| known.is_of(demand.asker, demand.challenge.realm))
        };
        // One realm too many is not answered; whoever asked will say so.
        if let Some(place) = self.places.iter_mut().find(is_its)
            && place.is_none_or(|known| known.strength() < demand.strength())
        {
            *place = Some(demand);
        }
    }

    fn iter(&self) -> impl Iterator<Item = Demand<'a>> {
        self.places.iter().flatten().copied()
    }

    fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }

    /// Whether a realm refuses what it has had.
    fn refuses(&self, request: &Message<'a>) -> bool {
        self.iter().any(|demand| !demand.challenge.stale && demand.answered(request).is_some())
    }

    /// The credentials that each realm gets.
    fn answers<'l>(
        &self,
        asked: &'l Asked,
        request: &'l Message<'_>,
        cnonce: &'l [u8],
    ) -> [Option<Answer<'l>>; REALMS_MAX]
    where
        'a: 'l,
    {
        self.places.map(|demand| {
            let demand = demand?;
            let login = Login {
                user: asked.username.as_bytes(),
                secret: Secret::Password(asked.password.0.as_bytes()),
                method: request.method(),
                uri: request.request()?.uri.as_bytes(),
                count: demand.count,
                cnonce,
                body: request.body(),
            };
            Some((demand.asker, login.answer(&demand.challenge)?))
        })
    }

    /// Realms that were content with their credentials want them again.
    fn recall(&mut self, request: &Message<'a>) {
        for asker in ASKERS {
            for old in asker.credentials(request).flatten() {
                if self.iter().any(|demand| demand.is_of(asker, old.realm)) {
                    continue;
                }
                let challenge = Challenge {
                    realm: old.realm,
                    nonce: old.nonce,
                    opaque: old.opaque,
                    algorithm: old.response.algorithm(),
                    qop: old.qop,
                    stale: false,
                };
                let count = old.count().unwrap_or(0).saturating_add(1);
                self.put(Demand { asker, challenge, count });
            }
        }
    }
}

/// One header line of credentials.
type Answer<'a> = (Asker, Authorization<'a>);

/// Writes a request of ours once more.
fn again(
    out: &mut [u8],
    us: &Us<'_>,
    request: &Message<'_>,
    (branch, number): (Token, u32),
    answers: &[Option<Answer<'_>>],
) -> Option<usize> {
    let mut writer = Writer::new(out);
    let method = request.method();
    writer.request(method, &[request.request()?.uri.as_bytes().into()]);
    us.write_via(&mut writer, branch);
    for header in request.headers() {
        match header.name {
            Name::Cseq => {
                let value = [number.into(), " ".into(), method.as_bytes().into()];
                writer.header(Name::Cseq, &value);
            }
            Name::Via
            | Name::Authorization
            | Name::ProxyAuthorization
            | Name::ContentType
            | Name::ContentLength => {}
            _ => {
                writer.copy(&header);
            }
        }
    }
    for (asker, answer) in answers.iter().flatten() {
        answer.write(*asker, &mut writer);
    }
    let body = request.body();
    let content = request.content_type().filter(|_| !body.is_empty());
    write_content(&mut writer, content.map(|media_type| (media_type, body)))
}

impl Switch {
    /// Answers the challenge that a request of ours met: the request goes out once more, in a new
    /// transaction that takes the place of the old one with whoever waits. `None`: it is no challenge,
    /// or stands as the request's last word.
    pub(crate) fn log_in(
        &mut self,
        now: Instant,
        key: TransactionKey,
        request: &Message<'_>,
        response: &Message<'_>,
    ) -> Option<TransactionKey> {
        let asked = self.asked(key, response)?;
        if request.method() == Method::Notify && !self.is_news(asked.owner, request) {
            return None;
        }
        // Its leg may be gone though its call goes on, and with it the numbers of that dialog.
        if asked.role == Role::Exchange && self.leg_asking(asked.owner, request).is_none() {
            return None;
        }
        let demands = self.demands(&asked, request, response)?;
        let cnonce = self.random.text();
        let answers = demands.answers(&asked, request, &cnonce);
        answers.iter().flatten().next()?;
        let (successor, number) = self.send_again(now, &asked, request, &answers)?;
        self.counters.add(Counter::ChallengesAnswered);
        match (asked.role, asked.owner) {
            (Role::Errand(place), _) => self.errand_again(now, place, key, (successor, number)),
            (role, Some(owner)) => self.replace_client(now, (role, owner), key, successor),
            (_, None) => {}
        }
        Some(successor)
    }

    /// The request that a challenge is for, if somebody still waits for it and we can say who we are.
    fn asked(&mut self, key: TransactionKey, response: &Message<'_>) -> Option<Asked> {
        let status = response.status()?;
        Asker::of_status(status)?;
        let transaction = self.transactions.find(key).filter(|found| !found.cancelled)?;
        let profile = self.profiles.of(transaction.gateway);
        let asked = Asked {
            role: transaction.role,
            owner: transaction.owner,
            peer: transaction.peer,
            gateway: transaction.gateway,
            challenges: transaction.challenges,
            path: transaction.way(),
            is_invite: matches!(transaction.machine, Machine::InviteClient(_)),
            status,
            username: profile.username,
            password: profile.password,
        };
        let can_tell = asked.gateway != 0 && !asked.username.is_empty();
        (can_tell && self.is_awaited(key, asked.role, asked.owner)).then_some(asked)
    }

    /// What is to be answered. `None`: nothing can be, or the password was refused.
    fn demands<'a>(
        &mut self,
        asked: &Asked,
        request: &Message<'a>,
        response: &Message<'a>,
    ) -> Option<Demands<'a>> {
        let mut demands = Demands::read(response, request);
        let is_over =
            asked.challenges == ANSWERS_MAX || demands.is_empty() || demands.refuses(request);
        if !is_over {
            demands.recall(request);
            return Some(demands);
        }
        if asked.challenges > 0 {
            self.counters.add(Counter::PasswordsRefused);
            if !matches!(asked.role, Role::Errand(_)) {
                self.report_news(asked.gateway, News::PasswordRefused, 0, asked.status);
            }
        }
        None
    }

    /// Sends a request of ours once more. Its new transaction, and its number.
    fn send_again(
        &mut self,
        now: Instant,
        asked: &Asked,
        request: &Message<'_>,
        answers: &[Option<Answer<'_>>],
    ) -> Option<(TransactionKey, u32)> {
        let &Asked { role, owner, peer, gateway, challenges, path, .. } = asked;
        let branch = self.next_branch()?;
        let number = self.next_number(owner, request);
        let local = self.local_of(&path);
        let us = Us {
            local: &self.setup.locals[usize::from(local)],
            transport: path.transport,
            user_agent: self.setup.user_agent.as_bytes(),
        };
        let written =
            self.outbox.write(path, |out| again(out, &us, request, (branch, number), answers));
        if !self.count_unsent(written) {
            return None;
        }
        let machine = match asked.is_invite {
            true => Machine::InviteClient(invite_client::State::Calling),
            false => Machine::NonInviteClient(non_invite_client::State::Trying),
        };
        let birth = Birth {
            owner,
            role,
            random: branch.random,
            cseq: number,
            peer,
            gateway,
            challenges: challenges + 1,
            ..Birth::of(machine, path)
        };
        self.open_client(now, birth).ok().map(|successor| (successor, number))
    }
}
