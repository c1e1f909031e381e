//! A vendor's 3xx: the Contacts in it are tried before the next candidate (RFC 3261 §8.1.3.4).
//!
//! They are targets of the same gateway, at its price, and never reach the caller. Each is an attempt of
//! its own. What was named once in a call is never tried again in it: the list of targets only grows,
//! best first behind those already taken.
//!
//! A name that only DNS knows is asked of control when its turn comes, and is a target that fails if it
//! leads nowhere, or if nobody says where within the time that a vendor has for its first response.
//!
//! Withstands: Contacts without end (the list is short, as is the record), chains and circles of 3xx
//! (`redirects_max` of the gateway; nobody twice), Contacts that lead to us or into a network that the
//! vendor cannot mean, whether by an address or by a name.

use core::time::Duration;

use link::Endpoint;
use link::answer::{Candidate, Located, Span};
use link::ask::{Ask, Locate};
use link::endpoint::Transport;
use link::record::{ATTEMPTS_MAX, CallKey};
use sip::header::Contact;
use sip::header::contact::Q_MAX;
use sip::{Message, Name, Scheme, Uri};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::attempt::Group;
use super::{Deadline, State};
use crate::Instant;
use crate::compose;
use crate::counter::Counter;
use crate::dialog::{can_be_meant, hop_in};
use crate::switch::Switch;

/// Contacts that one call remembers; the record has no room for more attempts anyway.
const TARGETS_MAX: usize = ATTEMPTS_MAX;

/// Whither a 3xx leads.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Target {
    /// [`Endpoint::NONE`], but for the transport, while its host is a name.
    address: Endpoint,
    /// The Request-URI.
    uri: link::Text<190>,
}

impl Target {
    /// What a Contact leads to. `None`: nowhere that we could go.
    fn new(uri: &Uri<'_>, vendor: Endpoint, locals: &[crate::limits::Local]) -> Option<Self> {
        let transport = match (uri.scheme(), uri.transport()) {
            (Scheme::Sips, None | Some(sip::Transport::Tcp | sip::Transport::Tls)) => {
                Transport::Tls
            }
            (Scheme::Sip, Some(sip::Transport::Udp)) => Transport::Udp,
            (Scheme::Sip, Some(sip::Transport::Tcp)) => Transport::Tcp,
            (Scheme::Sip, Some(sip::Transport::Tls)) => Transport::Tls,
            // Who is spoken to over TLS is not spoken of in clear for want of a parameter.
            (Scheme::Sip, None) => vendor.transport(),
            _ => return None,
        };
        // Headers in a URI would be a stranger's words in our INVITE (§19.1.5).
        let text = link::Text::new(uri.without_headers())?;
        if uri.host().ip().is_none() {
            return Some(Self { address: Endpoint::NONE.by(transport), uri: text });
        }
        let port = if transport == Transport::Tls { 5061 } else { 5060 };
        let mut address = hop_in(uri, vendor.socket_address()?, locals)?;
        address.set_port(uri.port().unwrap_or(port));
        Some(Self { address: Endpoint::from(address).by(transport), uri: text })
    }

    /// What control is asked, if only DNS knows where this is.
    fn question(&self, call: CallKey, question: u32) -> Option<Locate> {
        let uri = Uri::parse(self.uri.as_bytes()).filter(|uri| uri.host().ip().is_none())?;
        // What is not said is DNS's to say (RFC 3263 §4.1), but not whether a third party listens.
        let transport = self.address.transport();
        let is_said = uri.transport().is_some() || transport != Transport::Udp;
        Some(Locate {
            call,
            question,
            port: uri.port().unwrap_or(0),
            transport: if is_said { 1 + transport as u8 } else { 0 },
            spare: 0,
            name: link::Text::new(uri.host().as_bytes())?,
        })
    }

    /// Whether both are the same number at the same place. Parameters count for nothing: by them
    /// a circle could look like a way.
    fn is_same(&self, uri: &Uri<'_>, address: Endpoint) -> bool {
        let Some(own) = Uri::parse(self.uri.as_bytes()) else { return false };
        let is_there = match (self.address.socket_address(), address.socket_address()) {
            (None, None) => own.host().is_same(&uri.host()) && own.port() == uri.port(),
            (ours, theirs) => ours == theirs,
        };
        is_there && own.user() == uri.user()
    }

    /// Whether a candidate is the same number at the same place.
    fn is_candidate(&self, candidate: &Candidate) -> bool {
        let Some(address) = candidate.target.socket_address() else { return false };
        let line = compose::uri(candidate.callee.as_bytes(), address);
        let uri = line.text().and_then(Uri::parse);
        uri.is_some_and(|uri| self.is_same(&uri, candidate.target))
    }
}

/// What the 3xx of a call named, and how far that was tried.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Targets {
    /// How many 3xx of this candidate were followed.
    followed: u8,
    used: u8,
    /// Of those in use, how many were tried, or belonged to a candidate before.
    taken: u8,
    spare: u8,
    list: [Target; TARGETS_MAX],
}

impl Targets {
    fn waiting(&self) -> bool {
        self.taken < self.used
    }

    fn knows(&self, target: &Target) -> bool {
        let known = self.list.get(..usize::from(self.used)).unwrap_or_default();
        let uri = Uri::parse(target.uri.as_bytes());
        uri.is_some_and(|uri| known.iter().any(|known| known.is_same(&uri, target.address)))
    }

    /// Puts a target in front of those that wait, behind `ahead` others. The last one falls off a full
    /// list.
    fn insert(&mut self, ahead: usize, target: Target) {
        let place = usize::from(self.taken) + ahead;
        let used = (usize::from(self.used) + 1).min(TARGETS_MAX);
        if let Some(behind) = self.list.get_mut(place..used) {
            behind.rotate_right(1);
            if let Some(first) = behind.first_mut() {
                *first = target;
            }
            self.used = used as u8;
        }
    }
}

impl Switch {
    fn targets(&self, slot: usize) -> Targets {
        let mut targets = Targets::new_zeroed();
        // Without any, nothing is copied.
        self.kept.copy(&self.calls[slot].targets, targets.as_mut_bytes());
        targets
    }

    fn keep_targets(&mut self, slot: usize, targets: &Targets) -> bool {
        let old = self.calls[slot].targets.take();
        self.kept.release(old);
        let kept = self.kept.keep(targets.as_bytes());
        if kept.is_none() {
            self.counters.add(Counter::KeptFull);
        }
        self.calls[slot].targets = kept.unwrap_or(crate::kept::Kept::NONE);
        !self.calls[slot].targets.is_none()
    }

    /// A vendor's failure, if it is a 3xx that leads on.
    pub(super) fn note_redirect(
        &mut self,
        slot: usize,
        index: u8,
        status: u16,
        message: &Message<'_>,
    ) {
        // 305 wants a proxy between us, 380 another service (§21.3.4, §21.3.5).
        let leads_on = (300..400).contains(&status) && !matches!(status, 305 | 380);
        let call = &self.calls[slot];
        let attempt = call.record.attempts().get(usize::from(index));
        let gateway = attempt.map_or(0, |attempt| attempt.gateway);
        let candidate = call.branches.candidate_of(index);
        let redirects_max = self.profiles.of(gateway).redirects_max;
        if !leads_on || redirects_max == 0 {
            return;
        }
        let mut targets = self.targets(slot);
        let Some(route) = self.route_of(slot) else { return };
        let tried = route.candidates().get(..=candidate).unwrap_or_default();
        // Of phones that are called at once, none sends the call away from the others.
        let is_alone = tried.last().is_some_and(|candidate| candidate.group == 0);
        if targets.followed >= redirects_max || !is_alone {
            return;
        }
        targets.followed += 1;
        self.take_contacts(tried, &mut targets, message);
        if targets.waiting() {
            self.keep_targets(slot, &targets);
        }
    }

    /// Takes the Contacts that can be followed, by q, before those of an earlier 3xx.
    fn take_contacts(&mut self, tried: &[Candidate], targets: &mut Targets, message: &Message<'_>) {
        let Some(candidate) = tried.last() else { return };
        let mut preferences = [0; TARGETS_MAX];
        let mut taken = 0;
        for value in message.list(Name::Contact) {
            let Some(Contact::Binding(binding)) = Contact::parse(value) else { continue };
            let target = Target::new(&binding.uri, candidate.target, &self.setup.locals)
                .filter(|target| !targets.knows(target))
                .filter(|target| !tried.iter().any(|tried| target.is_candidate(tried)));
            let Some(target) = target else {
                self.counters.add(Counter::RedirectsUnfit);
                continue;
            };
            let q = binding.q.unwrap_or(Q_MAX);
            let ahead = preferences[..taken].partition_point(|&better| better >= q);
            if let Some(behind) = preferences.get_mut(ahead..) {
                behind.rotate_right(1);
                if let Some(first) = behind.first_mut() {
                    *first = q;
                }
                taken = (taken + 1).min(TARGETS_MAX);
            }
            targets.insert(ahead, target);
        }
    }

    /// Tries what the last 3xx named next. Whether there was anything.
    pub(super) fn try_redirect(&mut self, now: Instant, slot: usize) -> bool {
        let mut targets = self.targets(slot);
        let Some(mut route) = self.route_of(slot).filter(|_| targets.waiting()) else {
            return false;
        };
        let call = &self.calls[slot];
        // The record keeps a line for each candidate that may still be tried.
        let left = route.candidates().len().saturating_sub(usize::from(call.next_candidate));
        let left = left.min(call.switches_left as usize);
        let index = call.record.attempt_index as usize;
        let has_room = call.record.attempts().len() + left < ATTEMPTS_MAX;
        let Some(&vendor) = route.candidates().get(index).filter(|_| has_room) else {
            return false;
        };
        let target = targets.list[usize::from(targets.taken)];
        targets.taken += 1;
        if !self.keep_targets(slot, &targets) {
            return false;
        }
        if target.address.socket_address().is_none() {
            self.locate(now, slot, &target, targets.taken);
            return true;
        }
        self.counters.add(Counter::RedirectsTried);
        route.texts = link::Text::cut(target.uri.as_bytes());
        let uri = Span { at: 0, length: route.texts.as_bytes().len() as u16 };
        let path = Span::default();
        let (target, local) = (target.address, Endpoint::NONE);
        let candidate = Candidate { target, local, connection: 0, uri, path, ..vendor };
        // §8.1.3.4: the Request-URI changes, and To does not.
        let home = vendor.target.socket_address();
        let (route, candidates) = (&route, &[candidate]);
        self.try_group(now, slot, &Group { route, at: index as u8, candidates, home });
        true
    }

    /// Asks control where the host of a target is.
    fn locate(&mut self, now: Instant, slot: usize, target: &Target, question: u8) {
        let question = target.question(self.key_of(slot), question.into());
        let Some(locate) = question.filter(|_| self.control_alive) else {
            self.counters.add(Counter::RedirectsUnfit);
            return self.fail_over(now, slot, None);
        };
        self.counters.add(Counter::RedirectsLocated);
        self.enter_state(slot, State::Locating);
        let patience = Duration::from_millis(self.parameters.first_response_timeout_ms.into());
        self.set_deadline(slot, Deadline::Admit, Some(now + patience));
        self.ask(Ask::Locate(locate));
        self.save(slot);
    }

    /// Control says where the host of a target is, or that nobody knows: its places are next.
    pub(crate) fn handle_located(&mut self, now: Instant, located: &Located) {
        let asked = |switch: &Self, slot: &usize| {
            switch.calls[*slot].state == State::Locating
                && u32::from(switch.targets(*slot).taken) == located.question
        };
        let Some(slot) = self.live_call(located.call).filter(|slot| asked(self, slot)) else {
            return self.counters.add(Counter::AnswersLate);
        };
        if !self.take_places(slot, located.places()) {
            self.counters.add(Counter::RedirectsUnfit);
        }
        self.fail_over(now, slot, None);
    }

    /// Puts the places of the target that was taken last in front. Whether there is any to be tried.
    fn take_places(&mut self, slot: usize, places: &[Endpoint]) -> bool {
        let mut targets = self.targets(slot);
        let named = usize::from(targets.taken).checked_sub(1);
        let Some(named) = named.and_then(|place| targets.list.get(place).copied()) else {
            return false;
        };
        let Some(route) = self.route_of(slot) else { return false };
        let index = self.calls[slot].record.attempt_index as usize;
        let tried = route.candidates().get(..=index).unwrap_or_default();
        let vendor = tried.last().and_then(|vendor| vendor.target.socket_address());
        let mut ahead = 0;
        for &address in places {
            let target = Target { address, ..named };
            let fits = address.socket_address().zip(vendor).is_some_and(|(hop, vendor)| {
                can_be_meant(hop, vendor, &self.setup.locals)
                    && !targets.knows(&target)
                    && !tried.iter().any(|tried| target.is_candidate(tried))
            });
            if fits {
                targets.insert(ahead, target);
                ahead += 1;
            }
        }
        ahead > 0 && self.keep_targets(slot, &targets)
    }

    /// Nobody said in time where the host of a target is.
    pub(super) fn locate_late(&mut self, now: Instant, slot: usize) {
        self.counters.add(Counter::RedirectsUnfit);
        self.fail_over(now, slot, None);
    }

    /// The search goes on with the next candidate: what the one before it named is not tried any more,
    /// and still known.
    pub(super) fn leave_redirects(&mut self, slot: usize) {
        if !self.calls[slot].targets.is_none() {
            let mut targets = self.targets(slot);
            (targets.followed, targets.taken) = (0, targets.used);
            self.keep_targets(slot, &targets);
        }
    }
}
