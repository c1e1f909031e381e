//! Mirror of `bpf/abi.h`. The constants prove sizes here; a test compares names, sizes and offsets
//! with the BTF of the built object.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Prefix;

/// Of pinned data; another number is not read.
pub(crate) const LAYOUT: u32 = 1;

/// How many interfaces one program guards at most.
pub const INTERFACES_MAX: usize = 16;

/// How many service addresses the program knows at most.
pub const OWN_ADDRESSES_MAX: usize = 32;

/// Slots of a deny bucket: one cache line of tags.
pub(crate) const DENY_SLOTS: usize = 16;

/// Budgets of a bucket: one cache line.
pub(crate) const BUDGET_SLOTS: usize = 4;

/// `RULE_DENY_ADDRESS` and `RULE_DENY_PREFIX`.
pub(crate) const RULE_DENY_ADDRESS: u32 = 1;
pub(crate) const RULE_DENY_PREFIX: u32 = 2;

/// Mirror of `struct count`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Mirror of `struct source`: an address with its family, 4 or 6; bytes as they travel.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct Source {
    pub(crate) family: u32,
    pub(crate) word: [u8; 16],
}

/// Mirror of `struct prefix_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct PrefixKey {
    pub(crate) bits: u32,
    pub(crate) source: Source,
}

/// Mirror of `struct prefix_rule`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct PrefixRule {
    pub(crate) not_after: u64,
    pub(crate) own_not_after: u64,
    pub(crate) bits: u32,
    pub(crate) spare: u32,
}

/// Mirror of `struct deny_bucket`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DenyBucket {
    pub(crate) tags: [u32; DENY_SLOTS],
}

/// Mirror of `struct deny_entry`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DenyEntry {
    pub(crate) source: Source,
    pub(crate) spare: u32,
    pub(crate) not_after: u64,
}

/// Mirror of `struct settings`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Settings {
    pub(crate) key: [u64; 2],
    pub(crate) options_interval_ns: u64,
    pub(crate) options_tolerance_ns: u64,
    pub(crate) layout: u32,
    pub(crate) spare: u32,
}

/// Mirror of `struct explanation`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RawExplanation {
    pub(crate) reason: u32,
    pub(crate) rule: u32,
    pub(crate) rule_bits: u32,
    pub(crate) trusted: u32,
    pub(crate) rule_not_after: u64,
    pub(crate) source: Source,
    pub(crate) trust_bits: u32,
}

const _: () = assert!(size_of::<Count>() == 16);
const _: () = assert!(size_of::<Source>() == 20);
const _: () = assert!(size_of::<PrefixKey>() == 24 && offset_of!(PrefixKey, source) == 4);
const _: () = assert!(size_of::<PrefixRule>() == 24 && offset_of!(PrefixRule, bits) == 16);
// Line of a CPU: a bucket is read with one miss.
const _: () = assert!(size_of::<DenyBucket>() == 64);
const _: () = assert!(size_of::<DenyEntry>() == 32 && offset_of!(DenyEntry, not_after) == 24);
const _: () = assert!(size_of::<Settings>() == 40 && offset_of!(Settings, layout) == 32);
const _: () =
    assert!(size_of::<RawExplanation>() == 48 && offset_of!(RawExplanation, source) == 24);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let mut word = [0; 16];
                word[..4].copy_from_slice(&v4.octets());
                Self { family: 4, word }
            }
            IpAddr::V6(v6) => Self { family: 6, word: v6.octets() },
        }
    }
}

impl Source {
    /// The address, or `None` for a family that is neither.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.family {
            4 => {
                let [a, b, c, d, ..] = self.word;
                Some(Ipv4Addr::new(a, b, c, d).into())
            }
            6 => Some(Ipv6Addr::from(self.word).into()),
            _ => None,
        }
    }
}

/// Bits of a [`PrefixKey`] that stand before those of the network itself.
const FAMILY_BITS: u32 = 32;

impl From<Prefix> for PrefixKey {
    fn from(prefix: Prefix) -> Self {
        Self { bits: FAMILY_BITS + u32::from(prefix.bits()), source: prefix.address().into() }
    }
}

impl PrefixKey {
    /// The network, or `None` if the key is none of ours.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        let bits = u8::try_from(self.bits.checked_sub(FAMILY_BITS)?).ok()?;
        Prefix::new(self.source.address()?, bits).ok()
    }
}
