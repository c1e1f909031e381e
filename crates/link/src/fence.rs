//! Fences: where addresses of a gateway or phone may lie, as control tells every worker.
//!
//! Control sends all there is at once, at first contact and at each change: the ranges of every set that a
//! fence names, then the fences. The first part says that a new telling begins, the last one that it holds
//! from now on; until then the one before does. What a worker is told it keeps whole, so a fence judges a
//! description or a packet without a question to anybody.

use std::net::IpAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ranges of all sets that fences name, together.
pub const RANGES_MAX: u32 = 1_000_000;
/// Sets that fences name, together.
pub const SETS_MAX: u32 = 1_024;
/// Sets that one fence names.
pub const FENCE_SETS_MAX: usize = 16;
/// Gateways and phones with a fence of their own.
pub const FENCES_MAX: u32 = 16_384;
/// Different fences of those who prove themselves by a password; see [`DOOR`].
pub const DOORS_MAX: usize = 64;

/// Whose fence it is that holds for all who have none of their own.
pub const EVERYBODY: u32 = 0;
/// Whose fence it is that lets a stranger as far as to our challenge: who he is we do not know yet.
pub const DOOR: u32 = u32::MAX;

/// What a fence does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum FenceMode {
    /// Nothing is checked.
    #[default]
    Ignore = 0,
    /// Who is inside does not pass.
    Forbid = 1,
    /// Only who is inside passes.
    Allow = 2,
}

impl FenceMode {
    /// The one table of GEO-03: whether an address passes that is inside, or outside.
    #[must_use]
    pub fn passes(self, is_inside: bool) -> bool {
        match self {
            Self::Ignore => true,
            Self::Forbid => !is_inside,
            Self::Allow => is_inside,
        }
    }
}

impl From<u16> for FenceMode {
    /// A number that nobody wrote lets nobody pass.
    fn from(number: u16) -> Self {
        match number {
            0 => Self::Ignore,
            1 => Self::Forbid,
            _ => Self::Allow,
        }
    }
}

/// The fence of a gateway or phone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Fence {
    /// Whose; [`EVERYBODY`] or [`DOOR`].
    pub owner: u32,
    /// [`FenceMode`] as a number.
    pub mode: u16,
    /// How many sets count.
    pub sets_used: u16,
    /// The numbers of the sets.
    pub sets: [u32; FENCE_SETS_MAX],
}

impl Fence {
    /// A fence of these sets. `None`: there are more than a fence names.
    #[must_use]
    pub fn new(owner: u32, mode: FenceMode, named: &[u32]) -> Option<Self> {
        let mut sets = [0; FENCE_SETS_MAX];
        sets.get_mut(..named.len())?.copy_from_slice(named);
        let sets_used = u16::try_from(named.len()).ok()?;
        Some(Self { owner, mode: mode as u16, sets_used, sets })
    }

    /// The sets that count.
    #[must_use]
    pub fn sets(&self) -> &[u32] {
        let used = usize::from(self.sets_used).min(FENCE_SETS_MAX);
        self.sets.get(..used).unwrap_or_default()
    }

    /// Whether an address passes; `holds` says whether it lies in a set.
    #[must_use]
    pub fn passes(&self, holds: impl FnMut(u32) -> bool) -> bool {
        match FenceMode::from(self.mode) {
            FenceMode::Ignore => true,
            mode => mode.passes(self.sets().iter().copied().any(holds)),
        }
    }
}

/// A range of addresses, both ends inside, IPv4 as mapped into IPv6.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Range {
    /// The first address, high half and low half.
    pub first: [u64; 2],
    /// The last one.
    pub last: [u64; 2],
}

impl Range {
    /// A range by the numbers of its ends.
    #[must_use]
    pub fn new(first: u128, last: u128) -> Self {
        let halves = |number: u128| [(number >> 64) as u64, number as u64];
        Self { first: halves(first), last: halves(last) }
    }

    /// The numbers of its ends.
    #[must_use]
    pub fn places(&self) -> (u128, u128) {
        let whole = |[high, low]: [u64; 2]| u128::from(high) << 64 | u128::from(low);
        (whole(self.first), whole(self.last))
    }
}

/// The number of an address among those of ranges.
#[must_use]
pub fn place_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Ranges in one part.
pub const RANGES_PER_PART: usize = 126;
/// Fences in one part.
pub const FENCES_PER_PART: usize = 56;

/// Some ranges of one set, behind those of the part before: sorted, no two touching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ranges {
    /// 1: what was told so far of another telling is void.
    pub begin: u32,
    /// The number of the set.
    pub set: u32,
    /// How many ranges count.
    pub ranges_used: u32,
    /// Reserved; zero.
    pub spare: u32,
    /// The ranges.
    pub ranges: [Range; RANGES_PER_PART],
}

impl Ranges {
    /// The ranges that count.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        let used = (self.ranges_used as usize).min(RANGES_PER_PART);
        self.ranges.get(..used).unwrap_or_default()
    }
}

/// Some fences, by their owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fences {
    /// 1: what was told so far of another telling is void.
    pub begin: u32,
    /// 1: that was all; it holds from now on.
    pub commit: u32,
    /// How many fences count.
    pub fences_used: u32,
    /// Reserved; zero.
    pub spare: u32,
    /// The fences.
    pub fences: [Fence; FENCES_PER_PART],
}

impl Fences {
    /// The fences that count.
    #[must_use]
    pub fn fences(&self) -> &[Fence] {
        let used = (self.fences_used as usize).min(FENCES_PER_PART);
        self.fences.get(..used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_says_who_passes_inside_and_outside() {
        use FenceMode::{Allow, Forbid, Ignore};
        for (mode, inside, outside) in
            [(Ignore, true, true), (Forbid, false, true), (Allow, true, false)]
        {
            assert_eq!((mode.passes(true), mode.passes(false)), (inside, outside), "{mode:?}");
            assert_eq!(FenceMode::from(mode as u16), mode);
            let fence = Fence::new(7, mode, &[3, 9]).unwrap();
            assert_eq!(fence.passes(|set| set == 9), inside, "one set is enough");
            assert_eq!(fence.passes(|set| set == 4), outside);
        }
    }

    #[test]
    fn a_mode_that_nobody_wrote_and_a_set_that_is_gone_let_nobody_pass() {
        assert_eq!(FenceMode::from(7), FenceMode::Allow);
        let fence = Fence::new(7, FenceMode::Allow, &[]).unwrap();
        assert!(!fence.passes(|_| true));
        assert_eq!(Fence::new(7, FenceMode::Allow, &[1; FENCE_SETS_MAX + 1]), None);
    }

    #[test]
    fn a_range_keeps_its_ends() {
        for (first, last) in [(0, u128::MAX), (7, 1 << 100), (u128::MAX, u128::MAX)] {
            assert_eq!(Range::new(first, last).places(), (first, last));
        }
        assert_eq!(place_of("192.0.2.1".parse().unwrap()), 0xffff_c000_0201);
        assert_eq!(place_of("::1".parse().unwrap()), 1);
    }
}
