//! The user agent server without memory (RFC 3261 §8.2.7): for strangers, for overload, for
//! everything that is answered the same way each time.
//!
//! Its To-tag is a keyed hash of the request, so a repetition gets the same answer and a flood
//! leaves nothing behind. Nothing here opens a transaction, and an ACK is never answered.

use core::hash::Hasher;

use link::ask::Credentials;
use sip::refuse::{self, Refusal};
use sip::{Message, Method, Refusable};
use siphasher::sip::SipHasher24;

use crate::Instant;
use crate::compose::{self, Reply, Us, capabilities};
use crate::counter::Counter;
use crate::path::Path;
use crate::switch::Switch;

/// Sixteen hex digits.
pub(crate) struct Tag([u8; 16]);

impl Tag {
    pub(crate) fn new(key: &[u8; 16], parts: &[&[u8]]) -> Self {
        let mut hasher = SipHasher24::new_with_key(key);
        for part in parts {
            hasher.write(part);
            // Two requests that differ only in where one part ends differ here.
            hasher.write_usize(part.len());
        }
        let mut text = [0; 16];
        for (place, nibble) in text.iter_mut().zip((0..16).map(|i| hasher.finish() >> (i * 4) & 15))
        {
            *place = b"0123456789abcdef"[nibble as usize];
        }
        Self(text)
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }
}

impl Switch {
    /// Answers a request and forgets it.
    pub(crate) fn reply_stateless(&mut self, path: Path, request: &Message<'_>, reply: &Reply<'_>) {
        if request.method() == Method::Ack {
            return;
        }
        let tag = self.stateless_tag(request);
        let reply = Reply { to_tag: tag.text(), ..*reply };
        self.send_reply(path, None, request, &reply);
    }

    /// What `say` answers is nobody's decision but this worker's: where strangers get no answer, they get none of
    /// it either.
    pub(crate) fn discreetly(&mut self, say: impl FnOnce(&mut Self)) {
        let before = self.outbox.waiting();
        say(self);
        if self.parameters.reply_unauthorized == 0 {
            self.outbox.be_discreet(before);
        }
    }

    /// The To-tag of an answer that opens no dialog.
    pub(crate) fn stateless_tag(&self, request: &Message<'_>) -> Tag {
        let branch = request.via().branch().unwrap_or_default();
        let from = request.from().tag().unwrap_or_default();
        let cseq = request.cseq().number.to_le_bytes();
        Tag::new(&self.setup.keys.tag, &[request.call_id(), from, branch, &cseq])
    }

    /// 503 from a template, with the time after which to try again.
    pub(crate) fn refuse_overload(&mut self, path: Path, request: &Message<'_>, why: Counter) {
        self.counters.add(why);
        let retry_after = Some(self.parameters.retry_after_s);
        let reply = Reply { retry_after, ..Reply::plain(503) };
        self.discreetly(|switch| switch.reply_stateless(path, request, &reply));
    }

    /// Refuses whoever failed to log in too often: by its credentials, else as the request says. Whether
    /// it did.
    pub(crate) fn refuse_shut_out(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        credentials: &Credentials,
        said: &[u8],
    ) -> bool {
        let username = credentials.username.as_bytes();
        let endpoint = if username.is_empty() { said } else { username };
        let Some(status) = self.shut_out.turn_away(now, endpoint, path.remote.ip()) else {
            return false;
        };
        self.arm_refusals(now);
        match status {
            0 => self.counters.add(Counter::RefusedShutOut),
            // Control decided it, and knows whom it answers.
            status => self.refuse_again(path, request, status, Counter::RefusedShutOut),
        }
        true
    }

    /// Refuses a request with a status that needs nothing more.
    pub(crate) fn refuse(&mut self, path: Path, request: &Message<'_>, status: u16, why: Counter) {
        self.discreetly(|switch| switch.refuse_again(path, request, status, why));
    }

    /// The same, of what control has refused before.
    pub(crate) fn refuse_again(
        &mut self,
        path: Path,
        request: &Message<'_>,
        status: u16,
        why: Counter,
    ) {
        self.counters.add(why);
        self.reply_stateless(path, request, &Reply::plain(status));
    }

    /// The checks of §8.2. Whether the request may go on; if not, it has been answered.
    pub(crate) fn admit_request(&mut self, path: Path, request: &Message<'_>) -> bool {
        let unfit = self.unfit_request(request);
        if let Some(reply) = &unfit {
            self.discreetly(|switch| switch.reply_stateless(path, request, reply));
        }
        unfit.is_none()
    }

    /// How a request is refused that fails the checks of §8.2.
    pub(crate) fn unfit_request(&mut self, request: &Message<'_>) -> Option<Reply<'static>> {
        let refusal = refuse::admit(request, capabilities(request.method())).err()?;
        Some(self.refusal(refusal))
    }

    /// Counts a refusal, and gives the answer that says it.
    pub(crate) fn refusal(&mut self, refusal: Refusal) -> Reply<'static> {
        self.counters.add(match refusal {
            Refusal::MethodUnknown | Refusal::MethodNotAllowed => Counter::RefusedMethod,
            _ => Counter::RefusedUnsupported,
        });
        Reply { refusal: Some(refusal), ..Reply::plain(refusal.status()) }
    }

    /// 405: we do it, but not for this peer, or not here.
    pub(crate) fn refuse_method(&mut self, path: Path, request: &Message<'_>) {
        self.refuse(path, request, 405, Counter::RefusedMethod);
    }

    /// A request outside of any dialog that opens no call.
    pub(crate) fn answer_outside(&mut self, path: Path, request: &Message<'_>) {
        match request.method() {
            Method::Options => self.answer_options(path, request),
            Method::Bye | Method::Info | Method::Update | Method::Prack => {
                self.refuse(path, request, 481, Counter::DialogUnknown);
            }
            // A call has two ends, and we know of no other way to the one it is for; nor is there
            // anything to transfer.
            Method::Message | Method::Refer => self.refuse_method(path, request),
            _ => {
                // Whatever is left, `admit` refuses as unknown or not allowed.
                let _ = self.admit_request(path, request);
            }
        }
    }

    /// OPTIONS say whether the box can carry calls.
    fn answer_options(&mut self, path: Path, request: &Message<'_>) {
        if let Some(why) = self.overload() {
            return self.refuse_overload(path, request, why);
        }
        if self.admit_request(path, request) {
            self.counters.add(Counter::OptionsAnswered);
            let extensions = self.timers_known();
            let reply = Reply { extensions, ..Reply::plain(200) };
            self.discreetly(|switch| switch.reply_stateless(path, request, &reply));
        }
    }

    /// Why no new call can be taken now.
    pub(crate) fn overload(&self) -> Option<Counter> {
        if self.control_alive && self.draining {
            return Some(Counter::RefusedDraining);
        }
        self.no_time().or_else(|| self.no_spare()).or_else(|| self.no_room())
    }

    /// Why nobody has time for anything new now, whatever room there is.
    pub(crate) fn no_time(&self) -> Option<Counter> {
        if !self.control_alive {
            Some(Counter::RefusedControlAway)
        } else if self.control_busy {
            Some(Counter::RefusedControlBusy)
        } else if self.worker_busy {
            Some(Counter::RefusedWorkerBusy)
        } else {
            None
        }
    }

    /// Why no new call can be taken now: what is free may be needed by those that are there.
    fn no_spare(&self) -> Option<Counter> {
        if self.transactions.free() < self.transactions_reserve() + TRANSACTIONS_PER_CALL {
            Some(Counter::RefusedTransactionsFull)
        } else if self.kept.free_blocks() < self.blocks_reserve() + self.kept_reserve {
            Some(Counter::RefusedKeptFull)
        } else {
            None
        }
    }

    /// Transactions that the calls which are there may need until they end.
    pub(crate) fn transactions_reserve(&self) -> usize {
        self.calls_open as usize * TRANSACTIONS_TO_END
    }

    /// Blocks of kept messages that they may need.
    pub(crate) fn blocks_reserve(&self) -> u32 {
        self.calls_open * BLOCKS_TO_END
    }

    /// Why no call at all can be taken now, urgent as it may be.
    fn no_room(&self) -> Option<Counter> {
        if !self.control_alive {
            Some(Counter::RefusedControlAway)
        } else if self.free_calls.is_empty() {
            Some(Counter::RefusedCallsFull)
        } else if self.transactions.free() < TRANSACTIONS_PER_CALL {
            Some(Counter::RefusedTransactionsFull)
        } else if self.kept.free_blocks() < self.kept_reserve {
            Some(Counter::RefusedKeptFull)
        } else if !self.media.has_room() {
            Some(Counter::RefusedPortsFull)
        } else {
            None
        }
    }

    /// The same for an INVITE: help is called for whatever the load. Its leg needs a port where it came in.
    pub(crate) fn overload_of(&self, path: Path, invite: &Message<'_>) -> Option<Counter> {
        let local = self.setup.locals[usize::from(self.local_of(&path))].address;
        let is_full = !self.media.has_room_at(local);
        self.overload()
            .and_then(|why| if self.is_urgent(invite) { self.no_room() } else { Some(why) })
            .or_else(|| is_full.then_some(Counter::RefusedPortsFull))
    }

    /// Whether an INVITE calls one of `TG_EMERGENCY_NUMBERS`.
    fn is_urgent(&self, invite: &Message<'_>) -> bool {
        let number = invite.request().and_then(|request| request.uri.user()).unwrap_or_default();
        let mut numbers = self.parameters.emergency.as_bytes().split(|&byte| byte == b',');
        !number.is_empty() && numbers.any(|urgent| urgent == number)
    }

    /// A datagram that is no message.
    pub(crate) fn refuse_fault(&mut self, path: Path, datagram: &[u8], fault: sip::Fault) {
        let Some((request, status)) = Refusable::read(datagram, fault) else {
            return self.counters.add(Counter::FaultsDropped);
        };
        let mut path = path;
        if let Some(via) = request.via() {
            let to_source = path.is_reliable() || via.rport() != sip::header::via::Rport::Absent;
            if !to_source {
                path.remote.set_port(via.port().filter(|&port| port != 0).unwrap_or(5060));
            }
        }
        let tag = Tag::new(&self.setup.keys.tag, &[datagram]);
        let local = self.local_of(&path);
        let us = Us {
            local: &self.setup.locals[usize::from(local)],
            transport: path.transport,
            user_agent: self.setup.user_agent.as_bytes(),
        };
        let before = self.outbox.waiting();
        let written = self.outbox.write(path, |out| {
            compose::refuse(out, &us, &request, path.remote, status, tag.text())
        });
        if self.parameters.reply_unauthorized == 0 {
            self.outbox.be_discreet(before);
        }
        let answered = self.count_unsent(written);
        self.counters.add(if answered { Counter::FaultsAnswered } else { Counter::FaultsDropped });
    }
}

/// What a call in set-up needs at once: both INVITEs, a CANCEL or BYE for each.
const TRANSACTIONS_PER_CALL: usize = 4;

/// What each call keeps to itself until it ends: a BYE on each leg, and before them the INVITE to its
/// vendor, or later a sign of life.
const TRANSACTIONS_TO_END: usize = 3;

/// And of blocks: our BYE, which is not sent unless it can be kept.
const BLOCKS_TO_END: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_depends_on_where_its_parts_end() {
        let tag = |parts: &[&[u8]]| Tag::new(&[7; 16], parts).0;
        assert_eq!(tag(&[b"ab", b"c"]), tag(&[b"ab", b"c"]));
        assert_ne!(tag(&[b"ab", b"c"]), tag(&[b"a", b"bc"]));
        assert_ne!(tag(&[b"ab"]), Tag::new(&[8; 16], &[b"ab"]).0);
    }
}
