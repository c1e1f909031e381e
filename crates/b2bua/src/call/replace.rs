//! A new dialog in the place of an old one (RFC 3891): the second half of an attended transfer.
//!
//! Only our own INVITEs may ask for that, from inside: whoever transfers has shown by REFER who it is, and
//! by the tags that it is a party to the call it gives away. What it asks is a re-INVITE to whoever stays,
//! from a leg that is new; on failure the old one is back as if nothing had been.

use link::record::EndReason;
use sip::Message;
use sip::header::Replaces;

use super::hangup::by_side;
use crate::Instant;
use crate::arena::{Field, TooLong};
use crate::counter::Counter;
use crate::dialog::{Leg, Side};
use crate::keys::{Place, Token};
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transaction::TransactionKey;
use crate::transfers::{Asked, Stage, Transfer};

impl Switch {
    /// An INVITE from inside that names a call to come into.
    pub(super) fn replace_leg(
        &mut self,
        now: Instant,
        path: Path,
        invite: &Message<'_>,
        key: Key,
        replaces: &[u8],
    ) {
        let named = Replaces::parse(replaces).and_then(|replaces| self.dialog_named(&replaces));
        let Some((slot, side)) = named else {
            return self.refuse(path, invite, 481, Counter::TransfersRefused);
        };
        if !self.may_transfer(slot) {
            return self.refuse(path, invite, 491, Counter::TransfersRefused);
        }
        if self.talks_to(slot, side.other(), &path, invite) {
            return self.refuse(path, invite, 482, Counter::TransfersRefused);
        }
        let Ok(leg) = self.new_leg(slot, path, invite) else {
            return self.refuse(path, invite, 513, Counter::RefusedTooLong);
        };
        if !self.transfers.has_room() {
            return self.refuse_overload(path, invite, Counter::TransfersFull);
        }
        let (stage, asked) = (Stage::Replacing { server: TransactionKey::NONE }, Asked::Inside);
        let (is_displaced, tries, offered) = (false, 0, false);
        let transfer =
            Transfer { side, asker: side, stage, spare: leg, asked, is_displaced, tries, offered };
        self.calls[slot].transfer = self.transfers.open(transfer);
        self.swap_spare(slot);
        self.open_exchange(now, slot, side, path, invite, key);
        let begun = self.calls[slot].exchange.filter(|exchange| exchange.from == side);
        match begun {
            Some(exchange) => self.set_stage(slot, Stage::Replacing { server: exchange.server }),
            None => self.restore_leg(now, slot),
        }
    }

    /// The leg that a Replaces names, by our tag in it.
    fn dialog_named(&self, replaces: &Replaces<'_>) -> Option<(usize, Side)> {
        let token = Token::read(replaces.to_tag)?;
        let (slot, side) = self.leg_of(token)?;
        let leg = &self.calls[slot].legs[side as usize];
        let is_it = leg.text(Field::CallId) == replaces.call_id
            && leg.text(Field::RemoteTag) == replaces.from_tag;
        (is_it && !replaces.early_only).then_some((slot, side))
    }

    /// Whether a side of a call is the very call that an INVITE from inside comes from. Whoever has both
    /// ends of one conversation would join it to itself, and each call would wait for the other.
    fn talks_to(&self, slot: usize, side: Side, path: &Path, invite: &Message<'_>) -> bool {
        let leg = &self.calls[slot].legs[side as usize];
        let place = |tag| Token::read(tag).map(|token| token.place(&self.setup.keys));
        let [own, from] =
            [Some(leg.text(Field::RemoteTag)), invite.from().tag()].map(|tag| place(tag?));
        leg.path.inside().is_some()
            && leg.path.inside() == path.inside()
            && own.zip(from).is_some_and(|(own, from)| {
                (own.slot, own.generation) == (from.slot, from.generation)
            })
    }

    pub(super) fn new_leg(
        &mut self,
        slot: usize,
        path: Path,
        invite: &Message<'_>,
    ) -> Result<Leg, TooLong> {
        let random = self.random();
        let local = self.local_of(&path);
        let generation = self.calls[slot].generation;
        let place = Place { slot: slot as u32, variant: 0, generation };
        let tag = Token::of(place, random, &self.setup.keys).text();
        let mut leg = Leg { random, local, ..Leg::new() };
        leg.open_server(path, &self.setup.locals, invite)?;
        leg.arena.set(Field::LocalTag, &tag)?;
        Ok(leg)
    }

    /// Whether an exchange is that of a leg that takes another's place.
    fn replaces(&self, slot: usize, server: TransactionKey) -> bool {
        self.transfer_stage(slot) == Some(Stage::Replacing { server })
    }

    /// Whoever stays accepted: the new leg is in, the old one gets its BYE.
    pub(super) fn leg_replaced(&mut self, now: Instant, slot: usize, server: TransactionKey) {
        if !self.replaces(slot, server) {
            return;
        }
        let Some(side) = self.side_of_transfer(slot) else { return };
        self.calls[slot].leg(side).confirmed = true;
        self.swap_spare(slot);
        self.dismiss_spare(now, slot, side);
    }

    /// Whoever stays refused: the old leg is back.
    pub(super) fn leg_not_replaced(&mut self, now: Instant, slot: usize, server: TransactionKey) {
        if self.replaces(slot, server) {
            self.restore_leg(now, slot);
        }
    }

    /// The old leg is back, unless its far end has hung up meanwhile: then nobody is left to talk to.
    fn restore_leg(&mut self, now: Instant, slot: usize) {
        let Some(side) = self.swap_spare(slot) else { return };
        self.close_transfer(slot);
        self.rejoin_media(slot);
        if !self.calls[slot].legs[side as usize].confirmed {
            self.hang_up(now, slot, EndReason::Normal, by_side(side), Some(side));
        }
    }
}
