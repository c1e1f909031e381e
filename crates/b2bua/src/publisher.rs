//! PUBLISH (RFC 3903), where the sender's gateway may: a state agent that believes everything and keeps
//! nothing.
//!
//! Who sends, and whether he may, control says, as it does for a REGISTER and by the same question. Nobody
//! here subscribes to what is published, so its body is of no interest. What we must know of it later, whose
//! it is and until when it holds, stands in the entity tag that we give away, under a keyed hash.

use link::Text;
use link::ask::{Register, UNSAID};
use sip::header::event::Event;
use sip::header::seconds::{EXPIRES_MALFORMED_S, seconds};
use sip::refuse::Refusal;
use sip::{Message, Name, Scheme};
use zerocopy::FromZeros;

use crate::Instant;
use crate::compose::{Adds, Reply};
use crate::counter::Counter;
use crate::path::Path;
use crate::stateless::Tag;
use crate::switch::Switch;
use crate::table::Key;
use crate::transaction::TransactionKey;
use crate::turned_away::Answered;

/// Eight hex digits of time, sixteen of proof.
const ENTITY_TAG_BYTES: usize = 24;

impl Switch {
    /// A PUBLISH that matches no transaction.
    pub(crate) fn publish(&mut self, now: Instant, path: Path, request: &Message<'_>, key: Key) {
        if self.turned_away.answered(now, key) == Some(Answered::Nothing) {
            return self.counters.add(Counter::Silenced);
        }
        if !self.profiles.has_publishers() {
            return self.refuse_method(path, request);
        }
        if let Some(why) = self.no_time() {
            return self.refuse_overload(path, request, why);
        }
        if let Some(reply) = self.unfit_publication(now, request) {
            self.counters.add(Counter::RefusedUnsupported);
            return self.discreetly(|switch| switch.reply_stateless(path, request, &reply));
        }
        let Some(call_id) = Text::new(request.call_id()) else {
            return self.refuse(path, request, 513, Counter::RefusedTooLong);
        };
        let mut register = Register::new_zeroed();
        register.publishes = 1;
        register.call_id = call_id;
        register.cseq = request.cseq().number;
        let expires = request.value(Name::Expires);
        let expires = expires.map(|value| seconds(value).unwrap_or(EXPIRES_MALFORMED_S));
        register.expires_s = expires.map_or(UNSAID, |seconds| seconds.min(UNSAID - 1));
        register.credentials = self.credentials(now, path.remote.ip(), request);
        if self.refuse_shut_out(now, path, request, &register.credentials, b"") {
            return;
        }
        if let Err(why) = self.ask_registrar(now, path, request, key, register) {
            self.refuse_overload(path, request, why);
        }
    }

    /// Why a PUBLISH is refused before anybody is asked (§6).
    fn unfit_publication(&self, now: Instant, request: &Message<'_>) -> Option<Reply<'static>> {
        let scheme = request.request()?.uri.scheme();
        if !matches!(scheme, Scheme::Sip | Scheme::Sips) {
            return Some(Reply::plain(416));
        }
        if request.list(Name::Require).next().is_some() {
            let refusal = Some(Refusal::ExtensionUnsupported);
            return Some(Reply { refusal, ..Reply::plain(420) });
        }
        if event(request).is_none() {
            return Some(Reply::plain(489));
        }
        match request.value(Name::SipIfMatch) {
            Some(tag) if !self.holds(now, request, tag) => Some(Reply::plain(412)),
            // What is published first must be something.
            None if request.body().is_empty() => Some(Reply::plain(400)),
            _ => None,
        }
    }

    /// 200 to a PUBLISH that holds for so long.
    pub(crate) fn published(
        &mut self,
        now: Instant,
        server: TransactionKey,
        request: &Message<'_>,
        seconds: u32,
    ) {
        let until_s = self.wall_s(now).saturating_add(u64::from(seconds));
        let entity_tag = self.entity_tag(until_s as u32, request);
        let tag = self.stateless_tag(request);
        let adds = Adds::Publication { entity_tag: &entity_tag, seconds };
        let reply = Reply { to_tag: tag.text(), adds, ..Reply::plain(200) };
        self.answer_to(now, server, request, &reply);
    }

    /// The name of what a request publishes until then.
    fn entity_tag(&self, until_s: u32, request: &Message<'_>) -> [u8; ENTITY_TAG_BYTES] {
        let whose = request.request().map_or(&b""[..], |request| request.uri.as_bytes());
        let package = event(request).unwrap_or_default();
        let parts = [b"entity", whose, package, &until_s.to_be_bytes()];
        let mut text = [0; ENTITY_TAG_BYTES];
        let (time, proof) = text.split_at_mut(8);
        for (place, shift) in time.iter_mut().zip((0..8).rev()) {
            *place = b"0123456789abcdef"[(until_s >> (4 * shift) & 15) as usize];
        }
        proof.copy_from_slice(Tag::new(&self.setup.keys.tag, &parts).text());
        text
    }

    /// Whether an entity tag is one that we gave for the same thing, and its time is not over.
    fn holds(&self, now: Instant, request: &Message<'_>, tag: &[u8]) -> bool {
        let time = tag.get(..8).and_then(|time| core::str::from_utf8(time).ok());
        let until_s = time.and_then(|time| u32::from_str_radix(time, 16).ok());
        until_s.is_some_and(|until_s| {
            u64::from(until_s) > self.wall_s(now) && self.entity_tag(until_s, request) == tag
        })
    }
}

/// What kind of state is published.
fn event<'a>(request: &Message<'a>) -> Option<&'a [u8]> {
    Some(Event::parse(request.value(Name::Event)?)?.package)
}
