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

/// Slots of a deny bucket: with the count of those spilled, one cache line.
pub(crate) const DENY_SLOTS: usize = 15;

/// How many addresses a deny bucket is meant to hold on average when the list is full.
pub(crate) const DENY_ADDRESSES_PER_BUCKET: u32 = 8;

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
    pub(crate) spilled: u32,
}

/// Mirror of `struct deny_entry`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DenyEntry {
    pub(crate) source: Source,
    pub(crate) spare: u32,
    pub(crate) not_after: u64,
}

/// Mirror of `struct budget`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Budget {
    pub(crate) identity: u64,
    pub(crate) due: u64,
}

/// Mirror of `struct budget_bucket`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct BudgetBucket {
    pub(crate) budgets: [Budget; BUDGET_SLOTS],
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
const _: () = assert!(size_of::<BudgetBucket>() == 64);
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

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use libbpf_rs::HasSize;
    use libbpf_rs::btf::Btf;
    use libbpf_rs::btf::types::{Enum, MemberAttr, Struct};

    use super::*;
    use crate::Reason;

    const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tollgate.bpf.o"));

    /// A struct of the object: its size, and the offset of each member.
    fn object_struct(btf: &Btf<'_>, name: &str) -> (usize, Vec<(String, usize)>) {
        let found: Struct<'_> = btf.type_by_name(name).expect(name);
        let members = found.iter().map(|member| {
            let MemberAttr::Normal { offset } = member.attr else {
                panic!("{name} has bit fields")
            };
            let member = member.name.and_then(OsStr::to_str).expect("a name");
            (member.to_owned(), offset as usize / 8)
        });
        (found.size(), members.collect())
    }

    fn object_enum(btf: &Btf<'_>, name: &str) -> Vec<(String, i64)> {
        let found: Enum<'_> = btf.type_by_name(name).expect(name);
        let name = |name: Option<&OsStr>| name.and_then(OsStr::to_str).expect("a name").to_owned();
        found.iter().map(|member| (name(member.name), member.value)).collect()
    }

    macro_rules! assert_mirrors {
        ($btf:ident, $name:literal, $mirror:ident { $($member:ident),+ }) => {
            let mirror = vec![$((stringify!($member).to_owned(), offset_of!($mirror, $member))),+];
            assert_eq!(object_struct(&$btf, $name), (size_of::<$mirror>(), mirror), $name);
        };
    }

    #[test]
    fn every_mirror_is_true_to_the_object() {
        let btf = Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF");
        assert_mirrors!(btf, "count", Count { packets, bytes });
        assert_mirrors!(btf, "source", Source { family, word });
        assert_mirrors!(btf, "prefix_key", PrefixKey { bits, source });
        assert_mirrors!(btf, "prefix_rule", PrefixRule { not_after, own_not_after, bits, spare });
        assert_mirrors!(btf, "deny_bucket", DenyBucket { tags, spilled });
        assert_mirrors!(btf, "deny_entry", DenyEntry { source, spare, not_after });
        assert_mirrors!(
            btf,
            "settings",
            Settings { key, options_interval_ns, options_tolerance_ns, layout, spare }
        );
        assert_mirrors!(
            btf,
            "explanation",
            RawExplanation { reason, rule, rule_bits, trusted, rule_not_after, source, trust_bits }
        );
        assert_mirrors!(btf, "budget", Budget { identity, due });
        assert_mirrors!(btf, "budget_bucket", BudgetBucket { budgets });
    }

    #[test]
    fn every_reason_has_the_name_and_number_of_the_object() {
        let btf = Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF");
        let mut object = object_enum(&btf, "reason");
        let end = Reason::ALL.len() as i64;
        object.retain(|(name, _)| name != "UNDECIDED");
        assert_eq!(object.pop(), Some(("REASONS".to_owned(), end)));
        let mirror =
            Reason::ALL.iter().map(|&reason| (reason.name().to_uppercase(), reason as i64));
        assert_eq!(object, mirror.collect::<Vec<_>>());
    }

    #[test]
    fn every_rule_has_the_number_of_the_object() {
        let btf = Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF");
        let number = |name: &str| {
            let rules = object_enum(&btf, "rule");
            rules.into_iter().find(|(found, _)| found == name).expect(name).1
        };
        assert_eq!(number("RULE_DENY_ADDRESS"), i64::from(RULE_DENY_ADDRESS));
        assert_eq!(number("RULE_DENY_PREFIX"), i64::from(RULE_DENY_PREFIX));
    }

    #[test]
    fn a_key_names_its_network() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd10:1::/64"] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(PrefixKey::from(prefix).prefix(), Some(prefix));
        }
        let none = PrefixKey { bits: 31, source: Source::default() };
        assert_eq!(none.prefix(), None);
    }
}
