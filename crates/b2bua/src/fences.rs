//! Where addresses may lie: what control told of sets and fences, and the verdict on one address.
//!
//! Control tells all of it at once ([`link::fence`]): a telling is gathered beside the one that holds and
//! takes its place when it is complete, so no address is ever judged by half of one. All memory is taken at
//! the start, and touched when it is needed. Until control has told anything, nobody is fenced: a new call
//! needs control's answer, which comes behind its telling.

use std::net::IpAddr;

use link::fence::{
    DOOR, DOORS_MAX, EVERYBODY, FENCES_MAX, Fence, FenceMode, Fences as FencesPart, RANGES_MAX,
    Ranges as RangesPart, SETS_MAX, place_of,
};

/// The addresses of one set, as a part of all ranges.
#[derive(Clone, Copy, Debug)]
struct Set {
    number: u32,
    begin: u32,
    end: u32,
}

/// One telling.
struct Told {
    /// In the order of their numbers.
    sets: Vec<Set>,
    /// Of each set sorted, and apart.
    ranges: Vec<(u128, u128)>,
    /// In the order of their owners.
    fences: Vec<Fence>,
    /// Something of it found no room.
    is_short: bool,
}

impl Told {
    fn new() -> Self {
        Self {
            sets: Vec::with_capacity(SETS_MAX as usize),
            ranges: Vec::with_capacity(RANGES_MAX as usize),
            // All, those of gateways and phones, and doors.
            fences: Vec::with_capacity(1 + FENCES_MAX as usize + DOORS_MAX),
            is_short: false,
        }
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.ranges.clear();
        self.fences.clear();
        self.is_short = false;
    }

    fn holds(&self, number: u32, place: u128) -> bool {
        let Ok(at) = self.sets.binary_search_by_key(&number, |set| set.number) else {
            return false;
        };
        let Set { begin, end, .. } = self.sets[at];
        let ranges = self.ranges.get(begin as usize..end as usize).unwrap_or_default();
        let behind = ranges.partition_point(|(first, _)| *first <= place);
        behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| place <= *last)
    }

    fn of(&self, owner: u32) -> Option<&Fence> {
        let at = self.fences.binary_search_by_key(&owner, |fence| fence.owner).ok()?;
        self.fences.get(at)
    }

    fn lets(&self, fence: &Fence, address: IpAddr) -> bool {
        let place = place_of(address);
        fence.passes(|set| self.holds(set, place))
    }
}

/// See the head of this file.
pub(crate) struct Fences {
    told: Told,
    next: Told,
}

impl Fences {
    pub(crate) fn new() -> Self {
        Self { told: Told::new(), next: Told::new() }
    }

    /// The fence of a gateway or phone, if it has one.
    fn of(&self, owner: u32) -> Option<&Fence> {
        self.told.of(owner).or_else(|| self.told.of(EVERYBODY))
    }

    /// Whether there is an address that may not pass for a gateway or phone: else nothing of it has to be
    /// looked through for addresses.
    pub(crate) fn binds(&self, owner: u32) -> bool {
        self.of(owner).is_some_and(|fence| FenceMode::from(fence.mode) != FenceMode::Ignore)
    }

    /// Whether an address passes for a gateway or phone.
    pub(crate) fn passes(&self, owner: u32, address: IpAddr) -> bool {
        self.of(owner).is_none_or(|fence| self.told.lets(fence, address))
    }

    /// Whether a stranger from there is asked who he is.
    pub(crate) fn lets_in(&self, address: IpAddr) -> bool {
        if self.passes(EVERYBODY, address) {
            return true;
        }
        let first = self.told.fences.partition_point(|fence| fence.owner < DOOR);
        let doors = self.told.fences.get(first..).unwrap_or_default();
        doors.iter().any(|fence| self.told.lets(fence, address))
    }

    /// Some ranges of a set.
    pub(crate) fn handle_ranges(&mut self, part: &RangesPart) {
        let next = &mut self.next;
        if part.begin != 0 {
            next.clear();
        }
        let begin = next.ranges.len() as u32;
        if next.sets.last().is_none_or(|set| set.number != part.set) {
            next.is_short |= next.sets.len() == next.sets.capacity();
            next.is_short |= next.sets.last().is_some_and(|set| set.number > part.set);
            if next.is_short {
                return;
            }
            next.sets.push(Set { number: part.set, begin, end: begin });
        }
        if next.ranges.capacity() - next.ranges.len() < part.ranges().len() {
            next.is_short = true;
            return;
        }
        next.ranges.extend(part.ranges().iter().map(|range| range.places()));
        if let Some(set) = next.sets.last_mut() {
            set.end = next.ranges.len() as u32;
        }
    }

    /// Some fences; with the last of them the telling holds. `false`: it found no room, and the one before
    /// goes on to hold.
    pub(crate) fn handle_fences(&mut self, part: &FencesPart) -> bool {
        let next = &mut self.next;
        if part.begin != 0 {
            next.clear();
        }
        for fence in part.fences() {
            let is_behind = next.fences.last().is_some_and(|last| last.owner > fence.owner);
            if next.fences.len() == next.fences.capacity() || is_behind {
                next.is_short = true;
                break;
            }
            next.fences.push(*fence);
        }
        if part.commit == 0 {
            return true;
        }
        if next.is_short {
            return false;
        }
        core::mem::swap(&mut self.told, &mut self.next);
        true
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use link::fence::{
        FENCES_PER_PART, FenceMode, Fences as FencesPart, RANGES_PER_PART, Range,
        Ranges as RangesPart,
    };

    use super::*;

    /// A part with these ranges of a set.
    pub(crate) fn ranges(begin: bool, set: u32, told: &[(&str, &str)]) -> RangesPart {
        let mut part = RangesPart {
            begin: u32::from(begin),
            set,
            ranges_used: told.len() as u32,
            spare: 0,
            ranges: [Range::default(); RANGES_PER_PART],
        };
        for (place, (first, last)) in part.ranges.iter_mut().zip(told) {
            let at = |text: &str| place_of(text.parse().unwrap());
            *place = Range::new(at(first), at(last));
        }
        part
    }

    /// The last part, with these fences of (owner, mode, sets).
    pub(crate) fn fences(begin: bool, told: &[(u32, FenceMode, &[u32])]) -> FencesPart {
        let mut part = FencesPart {
            begin: u32::from(begin),
            commit: 1,
            fences_used: told.len() as u32,
            spare: 0,
            fences: [Fence::default(); FENCES_PER_PART],
        };
        for (place, (owner, mode, sets)) in part.fences.iter_mut().zip(told) {
            *place = Fence::new(*owner, *mode, sets).unwrap();
        }
        part
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_nearest_fence_judges_and_a_telling_holds_once_it_is_complete() {
        use FenceMode::{Allow, Forbid, Ignore};
        let mut all = Fences::new();
        assert!(all.passes(7, at("10.0.0.1")), "nobody is fenced before control said so");
        all.handle_ranges(&ranges(true, 3, &[("10.0.0.0", "10.255.255.255")]));
        all.handle_ranges(&ranges(false, 9, &[("2001:db8::", "2001:db8::ffff")]));
        let mut open = fences(false, &[(EVERYBODY, Forbid, &[3]), (7, Allow, &[3, 9])]);
        open.commit = 0;
        assert!(all.handle_fences(&open));
        assert!(all.passes(8, at("10.0.0.1")), "half a telling is none");
        assert!(all.handle_fences(&fences(false, &[(8, Ignore, &[]), (DOOR, Allow, &[9])])));
        for (owner, address, passes) in [
            (7, "10.0.0.1", true),
            (7, "::ffff:10.0.0.1", true),
            (7, "2001:db8::7", true),
            (7, "11.0.0.0", false),
            (8, "10.0.0.1", true),
            (9, "10.0.0.1", false),
            (9, "11.0.0.0", true),
            (EVERYBODY, "10.255.255.255", false),
        ] {
            assert_eq!(all.passes(owner, at(address)), passes, "{owner} {address}");
        }
        assert!(!all.lets_in(at("10.0.0.1")) && all.lets_in(at("11.0.0.1")));
        all.handle_ranges(&ranges(true, 3, &[("10.0.0.0", "10.0.0.1")]));
        assert!(!all.passes(9, at("10.9.9.9")), "the one before holds meanwhile");
        all.handle_ranges(&ranges(true, 3, &[("10.0.0.2", "10.0.0.3")]));
        let door = &[(EVERYBODY, Forbid, &[3][..]), (DOOR, Forbid, &[9]), (DOOR, Allow, &[3])];
        assert!(all.handle_fences(&fences(false, door)));
        assert!(all.passes(9, at("10.0.0.1")), "what was begun before is void");
        assert!(!all.passes(9, at("10.0.0.2")) && all.lets_in(at("10.0.0.2")));
        assert!(all.handle_fences(&fences(true, &[(EVERYBODY, Allow, &[77])])));
        assert!(!all.passes(7, at("10.0.0.1")), "nobody is in a set that is not there");
    }

    #[test]
    fn a_telling_that_finds_no_room_or_is_out_of_order_leaves_the_one_before() {
        use FenceMode::{Allow, Forbid};
        let mut all = Fences::new();
        all.handle_ranges(&ranges(true, 3, &[("10.0.0.0", "10.0.0.9")]));
        assert!(all.handle_fences(&fences(false, &[(EVERYBODY, Forbid, &[3])])));
        for set in 0..=SETS_MAX {
            all.handle_ranges(&ranges(set == 0, set, &[]));
        }
        assert!(!all.handle_fences(&fences(false, &[(EVERYBODY, Allow, &[])])));
        all.handle_ranges(&ranges(true, 9, &[]));
        all.handle_ranges(&ranges(false, 3, &[]));
        assert!(!all.handle_fences(&fences(false, &[(EVERYBODY, Allow, &[])])));
        assert!(!all.handle_fences(&fences(true, &[(9, Allow, &[]), (7, Allow, &[])])));
        assert!(all.passes(7, at("11.0.0.1")) && !all.passes(7, at("10.0.0.1")));
    }
}
