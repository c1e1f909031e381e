//! Keys that reach the other side another way than they came: as events, as tones or as INFO of ours
//! (`crates/b2bua/src/media/keypad.rs` has the table).
//!
//! A key that comes again by another way within a second is the same key, and whoever has sent an event is heard by
//! events alone, but for a hook flash or a letter as INFO.
//!
//! INFOs of ours go one at a time, since UDP keeps no order: each waits for the answer to the one
//! before it, or for its silence.

use relay::{ECHO, Way};
use sip::Method;
use sip::dtmf::{RELAY, Tone};

use super::exchange::Within;
use crate::Instant;
use crate::compose::{Extensions, Says};
use crate::counter::Counter;
use crate::dialog::Side;
use crate::switch::Switch;
use crate::transaction::{Role, TransactionKey};

use link::profile::Dtmf;
use link::record::CallKey;

/// Keys that wait for the INFO before them.
const WAITING_MAX: usize = 16;
/// How long a key is pressed of which nobody says it, ms.
const LENGTH_MS: u32 = 100;

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Event,
    Info,
    Tone,
}

/// A key that may come again by another way.
#[derive(Clone, Copy, Debug)]
struct Heard {
    key: u8,
    by: By,
    /// Of the call.
    ms: u32,
}

/// The keys of one side.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    last: [Option<Heard>; 4],
    sends_events: bool,
}

impl Pressed {
    const NONE: Self = Self { last: [None; 4], sends_events: false };

    /// Whether a key was here before by another way.
    fn is_again(&mut self, key: u8, by: By, ms: u32) -> bool {
        self.sends_events |= by == By::Event;
        let echo = self.last.iter_mut().find(|heard| {
            heard.is_some_and(|it| {
                let is_soon = u128::from(ms.saturating_sub(it.ms)) <= ECHO.as_millis();
                it.key == key && it.by != by && is_soon
            })
        });
        if let Some(echo) = echo {
            *echo = None;
            return true;
        }
        // Some who send events have no other way for a hook flash and for letters.
        let is_dialled = matches!(key, b'0'..=b'9' | b'*' | b'#');
        if self.sends_events && by != By::Event && (is_dialled || by == By::Tone) {
            return true;
        }
        let oldest = self.last.iter_mut().min_by_key(|heard| heard.map(|heard| heard.ms));
        if let Some(oldest) = oldest {
            *oldest = Some(Heard { key, by, ms });
        }
        false
    }
}

/// What a side is told by INFO.
#[derive(Clone, Copy, Debug)]
struct Told {
    waiting: [u8; WAITING_MAX],
    count: u8,
    /// The INFO that is on its way.
    client: Option<TransactionKey>,
}

impl Told {
    const NOTHING: Self = Self { waiting: [0; WAITING_MAX], count: 0, client: None };

    fn push(&mut self, key: u8) -> bool {
        let Some(place) = self.waiting.get_mut(usize::from(self.count)) else { return false };
        *place = key;
        self.count += 1;
        true
    }

    fn pop(&mut self) -> Option<u8> {
        self.count = self.count.checked_sub(1)?;
        let first = self.waiting[0];
        self.waiting.rotate_left(1);
        Some(first)
    }
}

/// The keys of a call, by the side that pressed them and by the one that is told them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pressed: [Pressed; 2],
    told: [Told; 2],
}

impl Keys {
    pub(super) const NONE: Self = Self { pressed: [Pressed::NONE; 2], told: [Told::NOTHING; 2] };

    /// Another party takes a side: what the one before it sent and was to be told is not its. How many keys it
    /// will not be told.
    pub(super) fn forget(&mut self, side: Side) -> u8 {
        self.pressed[side as usize] = Pressed::NONE;
        core::mem::replace(&mut self.told[side as usize], Told::NOTHING).count
    }

    /// An INFO goes on in another transaction.
    pub(super) fn replace_client(&mut self, old: TransactionKey, new: TransactionKey) {
        for told in self.told.iter_mut().filter(|told| told.client == Some(old)) {
            told.client = Some(new);
        }
    }
}

impl Switch {
    /// Whether a key was heard before by another way.
    pub(super) fn is_key_again(
        &mut self,
        now: Instant,
        slot: usize,
        side: Side,
        key: u8,
        by: By,
    ) -> bool {
        let ms = self.calls[slot].ms(now);
        let is_again = self.calls[slot].keys.pressed[side as usize].is_again(key, by, ms);
        if is_again {
            self.counters.add(Counter::KeysAgain);
        }
        is_again
    }

    /// Whether a key that came as INFO goes to the other side by its streams.
    pub(super) fn turns_info(&mut self, now: Instant, slot: usize, side: Side, tone: Tone) -> bool {
        let call = &self.calls[slot];
        let hearer = &call.legs[side.other() as usize];
        let is_told = hearer.path.inside().is_none() && self.media.is_told_keys(&hearer.media);
        if !call.state.is_confirmed() || !is_told {
            return false;
        }
        self.press(now, slot, side.other(), tone.key, tone.duration_ms.unwrap_or(LENGTH_MS));
        true
    }

    fn press(&mut self, now: Instant, slot: usize, hearer: Side, key: u8, ms: u32) {
        let leg = &self.calls[slot].legs[hearer as usize];
        let chance = (leg.random, &self.setup.keys.tag);
        let is_pressed = self.media.press(now, &leg.media, key, ms, chance);
        self.counters.add(if is_pressed { Counter::KeysTurned } else { Counter::KeysLost });
    }

    /// Passes on a key that the relay read, if it did not go on as it came.
    pub(super) fn turn_key(&mut self, now: Instant, slot: usize, side: Side, key: u8, way: Way) {
        let call = &self.calls[slot];
        let hearer = &call.legs[side.other() as usize];
        if way == Way::Passed || !call.state.is_confirmed() {
            return;
        }
        let is_inside = hearer.path.inside().is_some();
        let terms = Dtmf::from(self.profile_of(slot, side.other()).media.dtmf);
        if !is_inside && self.media.is_told_keys(&hearer.media) {
            // Who hears tones hears this one.
            if way != Way::Tone || terms != Dtmf::Inband {
                self.press(now, slot, side.other(), key, LENGTH_MS);
            }
        } else if way == Way::Kept || terms == Dtmf::Info {
            self.inform(now, slot, side.other(), key);
        }
    }

    fn inform(&mut self, now: Instant, slot: usize, hearer: Side, key: u8) {
        let told = &mut self.calls[slot].keys.told[hearer as usize];
        if !told.push(key) {
            return self.counters.add(Counter::KeysLost);
        }
        let is_busy = told.client.is_some_and(|client| self.transactions.find(client).is_some());
        if !is_busy {
            self.inform_next(now, slot, hearer);
        }
    }

    fn inform_next(&mut self, now: Instant, slot: usize, hearer: Side) {
        self.calls[slot].keys.told[hearer as usize].client = None;
        while let Some(key) = self.calls[slot].keys.told[hearer as usize].pop() {
            let mut body = [0; 64];
            let tone = Tone { key, duration_ms: Some(LENGTH_MS) };
            let length = tone.write_relay(&mut body).unwrap_or(0);
            let info = Within {
                method: Method::Info,
                content: Some((RELAY, &body[..length])),
                passed: None,
                says: Says::Nothing,
                extensions: Extensions::NONE,
                role: Role::Inform(hearer),
                peer: None,
            };
            match self.send_within(now, slot, hearer, &info) {
                Ok(client) => {
                    self.counters.add(Counter::KeysTurned);
                    self.calls[slot].keys.told[hearer as usize].client = Some(client);
                    return;
                }
                Err(_) => self.counters.add(Counter::KeysLost),
            }
        }
    }

    /// An INFO of ours was answered, or will not be: the next key may go.
    pub(crate) fn informed(
        &mut self,
        now: Instant,
        owner: CallKey,
        hearer: Side,
        client: TransactionKey,
    ) {
        let Some(slot) = self.live_call(owner) else { return };
        let call = &self.calls[slot];
        if call.state.is_confirmed() && call.keys.told[hearer as usize].client == Some(client) {
            self.inform_next(now, slot, hearer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_by_two_ways_is_one_key_and_two_keys_by_one_way_are_two() {
        use By::{Event, Info, Tone};
        for (keys, heard) in [
            (&[(b'1', Info, 0), (b'1', Info, 100)][..], "11"),
            (&[(b'1', Info, 0), (b'1', Event, 100), (b'1', Event, 300)], "11"),
            (&[(b'1', Info, 0), (b'2', Info, 9), (b'1', Event, 100), (b'2', Event, 300)], "12"),
            (&[(b'1', Event, 0), (b'1', Info, 100), (b'2', Info, 5_000)], "1"),
            (&[(b'1', Event, 0), (b'!', Info, 100), (b'A', Info, 300), (b'A', Tone, 400)], "1!A"),
            (&[(b'!', Event, 0), (b'!', Info, 100)], "!"),
            (&[(b'1', Info, 0), (b'1', Event, 1_100), (b'2', Event, 2_000)], "112"),
            (&[(b'1', Tone, 0), (b'1', Info, 600), (b'2', Info, 700), (b'2', Tone, 800)], "12"),
        ] {
            let mut pressed = Pressed::NONE;
            let kept = keys.iter().filter(|(key, by, ms)| !pressed.is_again(*key, *by, *ms));
            let kept: String = kept.map(|(key, ..)| char::from(*key)).collect();
            assert_eq!(kept, heard, "{keys:?}");
        }
    }
}
