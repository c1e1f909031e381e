//! What control said of each gateway's SIP, found by the gateway's number.
//!
//! Profiles lie in slots that never move; a sorted index of numbers leads to them, so that a look-up
//! is a short binary search and a change moves a few words. Control sends no more gateways than it
//! was told there is room for; one too many is counted and treated like a gateway without wishes.

use link::Profile;
use link::profile::Wishes;

/// See the head of this file.
pub(crate) struct Profiles {
    slots: Box<[Profile]>,
    /// Gateway numbers in order, each with its slot.
    index: Vec<(u32, u32)>,
    free: Vec<u32>,
    /// What holds for everybody else: strangers, phones, gateways that are gone.
    plain: Profile,
    /// The same for phones, by the bits of their wishes.
    phones: Box<[Profile]>,
    /// How many gateways may send PUBLISH; phones are one of them.
    publishers: usize,
}

/// What became of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It holds.
    Holds,
    /// There is no room for one more gateway.
    Full,
}

impl Profiles {
    pub(crate) fn new(gateways_max: u32) -> Self {
        let plain = Profile { retry_after: 1, reason: 1, privacy: 1, ..Profile::default() };
        let mut profiles = Self {
            slots: vec![Profile::default(); gateways_max as usize].into_boxed_slice(),
            index: Vec::with_capacity(gateways_max as usize),
            free: (0..gateways_max).rev().collect(),
            plain,
            phones: vec![plain; Wishes::COUNT].into_boxed_slice(),
            publishers: 0,
        };
        profiles.set_plain(plain);
        profiles
    }

    fn set_plain(&mut self, plain: Profile) {
        self.plain = plain;
        for (bits, place) in (0..=u8::MAX).zip(&mut self.phones) {
            *place = plain.with(Wishes::from_bits(bits));
        }
    }

    fn place(&self, gateway: u32) -> Result<usize, usize> {
        self.index.binary_search_by_key(&gateway, |&(known, _)| known)
    }

    /// Takes a profile, or forgets a gateway that is gone. Number 0 is everybody without one.
    pub(crate) fn put(&mut self, profile: &Profile) -> Put {
        if profile.gateway == 0 {
            self.publishers += usize::from(profile.publish != 0);
            self.publishers -= usize::from(self.plain.publish != 0);
            self.set_plain(*profile);
            return Put::Holds;
        }
        let slot = match (self.place(profile.gateway), profile.present) {
            (Err(_), 0) => return Put::Holds,
            (Ok(place), 0) => {
                let (_, slot) = self.index.remove(place);
                self.free.push(slot);
                self.set(slot, &Profile::default());
                return Put::Holds;
            }
            (Ok(place), _) => self.index.get(place).map(|&(_, slot)| slot),
            (Err(place), _) => self.free.pop().inspect(|&slot| {
                self.index.insert(place, (profile.gateway, slot));
            }),
        };
        match slot {
            Some(slot) => {
                self.set(slot, profile);
                Put::Holds
            }
            None => Put::Full,
        }
    }

    fn set(&mut self, slot: u32, profile: &Profile) {
        let place = &mut self.slots[slot as usize];
        self.publishers += usize::from(profile.publish != 0);
        self.publishers -= usize::from(place.publish != 0);
        *place = *profile;
    }

    /// Whether any gateway may send PUBLISH: nobody is asked about the others.
    pub(crate) fn has_publishers(&self) -> bool {
        self.publishers > 0
    }

    fn known(&self, gateway: u32) -> Option<&Profile> {
        let known = self.place(gateway).ok().and_then(|place| self.index.get(place));
        known.and_then(|&(_, slot)| self.slots.get(slot as usize))
    }

    /// The profile of a gateway.
    pub(crate) fn of(&self, gateway: u32) -> &Profile {
        self.known(gateway).unwrap_or(&self.plain)
    }

    /// The profile of a gateway, or of a phone with these wishes.
    pub(crate) fn of_party(&self, gateway: u32, wishes: Wishes) -> &Profile {
        let phone = || self.phones.get(usize::from(wishes.bits())).unwrap_or(&self.plain);
        self.known(gateway).unwrap_or_else(phone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(gateway: u32, rel100: u8) -> Profile {
        Profile { gateway, present: 1, rel100, ..Profile::default() }
    }

    #[test]
    fn publishers_are_counted_while_they_are_there() {
        let mut profiles = Profiles::new(2);
        let put = |profiles: &mut Profiles, gateway, present, publish| {
            profiles.put(&Profile { gateway, present, publish, ..Profile::default() });
            profiles.has_publishers()
        };
        for (gateway, present, publish, expected) in [
            (7, 1, 0, false),
            (7, 1, 1, true),
            (7, 1, 1, true),
            (8, 1, 1, true),
            (9, 1, 1, true),
            (7, 0, 0, true),
            (8, 1, 0, false),
            (7, 1, 1, true),
            (7, 0, 1, false),
            (0, 1, 1, true),
            (0, 1, 1, true),
            (0, 1, 0, false),
        ] {
            assert_eq!(put(&mut profiles, gateway, present, publish), expected, "{gateway}");
        }
    }

    #[test]
    fn a_gateway_has_its_last_profile_until_it_is_gone() {
        let mut profiles = Profiles::new(3);
        for (gateway, rel100) in [(9, 1), (4, 2), (7, 0), (4, 1)] {
            assert_eq!(profiles.put(&profile(gateway, rel100)), Put::Holds);
        }
        assert_eq!([4, 7, 9].map(|gateway| profiles.of(gateway).rel100), [1, 0, 1]);
        assert_eq!(profiles.put(&profile(5, 1)), Put::Full);
        assert_eq!(profiles.of(5).gateway, 0, "one too many has no wishes");
        assert_eq!(profiles.put(&Profile { gateway: 7, ..Profile::default() }), Put::Holds);
        assert_eq!(profiles.put(&profile(5, 2)), Put::Holds);
        assert_eq!(profiles.of(5).rel100, 2);
        assert_eq!(profiles.of(7).gateway, 0);
    }
}
