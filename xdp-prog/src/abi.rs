//! Mirror of `bpf/abi.h`. The constants prove sizes here; a test compares names, sizes and offsets
//! with the BTF of the built object.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Prefix;

/// Of pinned data; another number is not read.
pub(crate) const LAYOUT: u32 = 6;

/// How many interfaces one program guards at most.
pub const INTERFACES_MAX: usize = 16;

/// How many service addresses the program knows at most.
pub const OWN_ADDRESSES_MAX: usize = 32;

/// Slots of an address bucket: with two words of its own, one cache line.
pub(crate) const ADDRESS_SLOTS: usize = 7;

/// How many addresses a bucket is meant to hold on average when the table is full.
pub(crate) const ADDRESSES_PER_BUCKET: u32 = 4;

/// Budgets of a bucket: one cache line.
pub(crate) const BUDGET_SLOTS: usize = 4;

/// Flows that are told apart of one source, and of one network.
pub const FLOWS_OF_ADDRESS: usize = 14;
/// See there.
pub const FLOWS_OF_NETWORK: usize = 30;

/// Longest word of a User-Agent that a signature may be.
pub const AGENT_BYTES: usize = 32;

/// Trusted networks with budgets of their own.
pub const TRUNKS_MAX: usize = 4096;

/// Queues of an interface whose workers may say how OPTIONS are answered.
pub const QUEUES_MAX: usize = 256;

/// Longest text that they may say.
pub const ANSWER_BYTES: usize = 512;

/// Workers whose calls the driver knows.
pub const WORKERS_MAX: usize = 128;

/// Kinds of requests with budgets of their own.
pub(crate) const METERS: usize = 6;

/// `RULE_DENY_ADDRESS`, `RULE_DENY_PREFIX` and `RULE_GEO`.
pub(crate) const RULE_DENY_ADDRESS: u32 = 1;
pub(crate) const RULE_DENY_PREFIX: u32 = 2;
pub(crate) const RULE_GEO: u32 = 3;

/// `MARK_ADMIN`, `MARK_GEO_FORBID` and `MARK_GEO_ALLOW`.
pub(crate) const MARK_ADMIN: u32 = 1 << 16;
pub(crate) const MARK_GEO_FORBID: u32 = 1 << 17;
pub(crate) const MARK_GEO_ALLOW: u32 = 1 << 18;
/// The part of a mark that is the number of a trunk.
pub(crate) const MARK_TRUNK: u32 = 0xffff;

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
    pub(crate) hits: u64,
    pub(crate) bits: u32,
    pub(crate) mark: u32,
    pub(crate) own_mark: u32,
    pub(crate) spare: u32,
}

/// `MEDIA_CLOSED`, `MEDIA_KNOWN` and `MEDIA_SETTLED`; 0 is `MEDIA_OPEN`.
pub(crate) const MEDIA_CLOSED: u32 = 1;
pub(crate) const MEDIA_KNOWN: u32 = 2;
pub(crate) const MEDIA_SETTLED: u32 = 3;

/// Of which addresses and ports the tables of media are: places in them go by the order of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct MediaPlan {
    pub(crate) ports: [u32; 2],
    /// No family: none.
    pub(crate) own: [Source; OWN_ADDRESSES_MAX],
}

/// Mirror of `struct media_rule`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct MediaRule {
    pub(crate) state: u32,
    pub(crate) generation: u32,
    pub(crate) not_after: u64,
    pub(crate) payload_types: [u64; 2],
    pub(crate) source: Source,
    /// In network order, like all ports here.
    pub(crate) port: [u8; 2],
    pub(crate) events: u16,
    pub(crate) interface: u32,
    pub(crate) bytes_max: u32,
    pub(crate) to: Source,
    pub(crate) own: u32,
    pub(crate) owner: u64,
    pub(crate) ports: [[u8; 2]; 2],
    pub(crate) macs: [[u8; 6]; 2],
    pub(crate) tag: [u8; 2],
    pub(crate) tagged: u16,
    pub(crate) traffic_class: u32,
    pub(crate) udp_delta: u16,
    pub(crate) spare: u16,
    pub(crate) ip_sum: u32,
}

/// Mirror of `struct media_heard`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct MediaHeard {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) last_ns: u64,
    pub(crate) ssrc: u32,
    pub(crate) base: u32,
    pub(crate) highest: u32,
    pub(crate) received: u32,
    pub(crate) transit: u32,
    pub(crate) jitter: u32,
    pub(crate) lost_before: u32,
    pub(crate) spare: [u32; 3],
}

/// Mirror of `struct address_bucket`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AddressBucket {
    pub(crate) looked: u32,
    pub(crate) tags: [u32; ADDRESS_SLOTS],
    pub(crate) spilled: u32,
    pub(crate) counts: [u32; ADDRESS_SLOTS],
}

impl AddressBucket {
    /// Whether the entry of that slot decides.
    pub(crate) fn is_looked(&self, slot: usize) -> bool {
        self.looked >> (slot + 1) & 1 != 0
    }

    pub(crate) fn set_looked(&mut self, slot: usize, looked: bool) {
        self.looked = self.looked & !(1 << (slot + 1)) | u32::from(looked) << (slot + 1);
    }
}

/// Mirror of `struct address_entry`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AddressEntry {
    pub(crate) source: Source,
    pub(crate) spare: u32,
    pub(crate) not_after: u64,
}

/// Mirror of `struct limit`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct Limit {
    pub(crate) interval_ns: u64,
    pub(crate) tolerance_ns: u64,
    pub(crate) renew_ns: u64,
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

/// Mirror of `struct crowd`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Crowd {
    pub(crate) due: u64,
    spare: [u64; 7],
}

/// Mirror of `struct trunk`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Trunk {
    pub(crate) invites: Limit,
    pub(crate) rest: Limit,
    pub(crate) invites_due: u64,
    pub(crate) rest_due: u64,
}

/// Mirror of `struct tags`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Tags {
    pub(crate) key: [u64; 2],
    pub(crate) workers: u32,
    pub(crate) spare: u32,
}

/// Mirror of `struct call`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct Call {
    pub(crate) generation: u32,
    pub(crate) live: u32,
}

/// Mirror of `struct address_flows`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AddressFlows {
    pub(crate) identity: u64,
    pub(crate) flows: [u32; FLOWS_OF_ADDRESS],
}

/// Mirror of `struct network_flows`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct NetworkFlows {
    pub(crate) identity: u64,
    pub(crate) flows: [u32; FLOWS_OF_NETWORK],
}

/// Mirror of `struct talker`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Talker {
    pub(crate) identity: u64,
    pub(crate) source: Source,
    pub(crate) reason: u32,
    pub(crate) packets: u64,
    pub(crate) dropped: u64,
    pub(crate) options: u64,
    pub(crate) last_ns: u64,
}

/// Mirror of `struct ports`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct PortWord {
    pub(crate) tcp: u64,
    pub(crate) udp: u64,
    pub(crate) admin: u64,
}

/// Mirror of `struct answer`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Answer {
    pub(crate) not_after: u64,
    pub(crate) bytes: u32,
    pub(crate) traffic_class: u32,
    pub(crate) text: [u8; ANSWER_BYTES],
}

/// Mirror of `struct settings`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct Settings {
    pub(crate) key: [u64; 2],
    pub(crate) limits: [Limit; METERS],
    pub(crate) any_limit: Limit,
    pub(crate) network_limits: [Limit; METERS],
    pub(crate) crowd_limits: [Limit; METERS],
    pub(crate) call_limit: Limit,
    pub(crate) refusal_limit: Limit,
    pub(crate) regular_window_ns: u64,
    pub(crate) regular_least: u32,
    pub(crate) regular_per_contact: u32,
    pub(crate) flows: u32,
    pub(crate) network_flows: u32,
    pub(crate) flow_idle_ns: u64,
    pub(crate) signatures: u32,
    pub(crate) geo: u32,
    pub(crate) closed: u32,
    pub(crate) admins: u32,
    pub(crate) local_first: u32,
    pub(crate) local_last: u32,
    pub(crate) monitor: u32,
    pub(crate) admits: u32,
    pub(crate) refuses: u32,
    pub(crate) layout: u32,
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
    pub(crate) standing: u32,
    pub(crate) meter: u32,
    pub(crate) contacts: u32,
    pub(crate) trunk: u32,
    pub(crate) admin: u32,
    pub(crate) spared: u32,
    pub(crate) refused: u32,
    pub(crate) spare: u32,
}

const _: () = assert!(size_of::<Count>() == 16);
const _: () = assert!(size_of::<Source>() == 20);
const _: () = assert!(size_of::<PrefixKey>() == 24 && offset_of!(PrefixKey, source) == 4);
const _: () = assert!(size_of::<PrefixRule>() == 40 && offset_of!(PrefixRule, bits) == 24);
// Lines of a CPU: each is read with one miss.
const _: () = assert!(size_of::<MediaRule>() == 128 && offset_of!(MediaRule, to) == 64);
const _: () = assert!(size_of::<MediaHeard>() == 64);
const _: () = assert!(size_of::<MediaPlan>() == 8 + 20 * OWN_ADDRESSES_MAX);
const _: () = assert!(size_of::<AddressBucket>() == 64);
const _: () = assert!(size_of::<AddressEntry>() == 32 && offset_of!(AddressEntry, not_after) == 24);
const _: () = assert!(size_of::<BudgetBucket>() == 64);
const _: () = assert!(size_of::<AddressFlows>() == 64 && size_of::<NetworkFlows>() == 128);
const _: () = assert!(size_of::<Talker>() == 64 && offset_of!(Talker, packets) == 32);
const _: () = assert!(size_of::<Tags>() == 24 && size_of::<Call>() == 8);
const _: () = assert!(size_of::<Answer>() == 16 + ANSWER_BYTES);
const _: () = assert!(size_of::<Settings>() == 592 && offset_of!(Settings, layout) == 588);
const _: () =
    assert!(size_of::<RawExplanation>() == 80 && offset_of!(RawExplanation, source) == 24);

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

impl Settings {
    /// `limit_regular` of `bpf/limit.h`.
    pub(crate) fn regular_limit(&self, contacts: u32) -> Limit {
        let most = u64::from(contacts) * u64::from(self.regular_per_contact);
        let most = most.max(self.regular_least.into());
        let interval_ns = self.regular_window_ns.checked_div(most).unwrap_or(0);
        Limit { interval_ns, tolerance_ns: self.regular_window_ns, renew_ns: 0 }
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
    use crate::{Meter, Reason, Standing};

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

    fn object_types() -> Btf<'static> {
        Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF")
    }

    #[test]
    fn every_mirror_of_lists_and_meters_is_true_to_the_object() {
        let btf = object_types();
        assert_mirrors!(btf, "count", Count { packets, bytes });
        assert_mirrors!(btf, "source", Source { family, word });
        assert_mirrors!(btf, "prefix_key", PrefixKey { bits, source });
        assert_mirrors!(
            btf,
            "prefix_rule",
            PrefixRule { not_after, own_not_after, hits, bits, mark, own_mark, spare }
        );
        assert_mirrors!(btf, "address_bucket", AddressBucket { looked, tags, spilled, counts });
        assert_mirrors!(btf, "address_entry", AddressEntry { source, spare, not_after });
        assert_mirrors!(btf, "limit", Limit { interval_ns, tolerance_ns, renew_ns });
        assert_mirrors!(btf, "budget", Budget { identity, due });
        assert_mirrors!(btf, "budget_bucket", BudgetBucket { budgets });
        assert_mirrors!(btf, "trunk", Trunk { invites, rest, invites_due, rest_due });
        assert_mirrors!(btf, "address_flows", AddressFlows { identity, flows });
        assert_mirrors!(btf, "network_flows", NetworkFlows { identity, flows });
        assert_mirrors!(
            btf,
            "talker",
            Talker { identity, source, reason, packets, dropped, options, last_ns }
        );
        assert_mirrors!(btf, "call", Call { generation, live });
        assert_mirrors!(btf, "crowd", Crowd { due, spare });
    }

    #[test]
    fn every_mirror_of_media_is_true_to_the_object() {
        let btf = object_types();
        assert_mirrors!(
            btf,
            "media_rule",
            MediaRule {
                state,
                generation,
                not_after,
                payload_types,
                source,
                port,
                events,
                interface,
                bytes_max,
                to,
                own,
                owner,
                ports,
                macs,
                tag,
                tagged,
                traffic_class,
                udp_delta,
                spare,
                ip_sum
            }
        );
        assert_mirrors!(
            btf,
            "media_heard",
            MediaHeard {
                packets,
                bytes,
                last_ns,
                ssrc,
                base,
                highest,
                received,
                transit,
                jitter,
                lost_before,
                spare
            }
        );
    }

    #[test]
    fn every_mirror_of_what_is_said_at_once_is_true_to_the_object() {
        let btf = object_types();
        assert_mirrors!(btf, "ports", PortWord { tcp, udp, admin });
        assert_mirrors!(btf, "tags", Tags { key, workers, spare });
        assert_mirrors!(btf, "answer", Answer { not_after, bytes, traffic_class, text });
        assert_mirrors!(
            btf,
            "settings",
            Settings {
                key,
                limits,
                any_limit,
                network_limits,
                crowd_limits,
                call_limit,
                refusal_limit,
                regular_window_ns,
                regular_least,
                regular_per_contact,
                flows,
                network_flows,
                flow_idle_ns,
                signatures,
                geo,
                closed,
                admins,
                local_first,
                local_last,
                monitor,
                admits,
                refuses,
                layout
            }
        );
        assert_mirrors!(
            btf,
            "explanation",
            RawExplanation {
                reason,
                rule,
                rule_bits,
                trusted,
                rule_not_after,
                source,
                trust_bits,
                standing,
                meter,
                contacts,
                trunk,
                admin,
                spared,
                refused,
                spare
            }
        );
    }

    #[test]
    fn every_reason_has_the_name_and_number_of_the_object() {
        let btf = object_types();
        let mut object = object_enum(&btf, "reason");
        let end = Reason::ALL.len() as i64;
        object.retain(|(name, _)| name != "UNDECIDED");
        assert_eq!(object.pop(), Some(("REASONS".to_owned(), end)));
        let mirror =
            Reason::ALL.iter().map(|&reason| (reason.name().to_uppercase(), reason as i64));
        assert_eq!(object, mirror.collect::<Vec<_>>());
    }

    #[test]
    fn every_rule_and_state_has_the_number_of_the_object() {
        let btf = Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF");
        let number = |name: &str| {
            let named = ["rule", "media_state"].map(|of| object_enum(&btf, of)).concat();
            named.into_iter().find(|(found, _)| found == name).expect(name).1
        };
        assert_eq!(number("RULE_DENY_ADDRESS"), i64::from(RULE_DENY_ADDRESS));
        assert_eq!(number("RULE_DENY_PREFIX"), i64::from(RULE_DENY_PREFIX));
        assert_eq!(number("RULE_GEO"), i64::from(RULE_GEO));
        assert_eq!(number("MEDIA_CLOSED"), i64::from(MEDIA_CLOSED));
        assert_eq!(number("MEDIA_KNOWN"), i64::from(MEDIA_KNOWN));
        assert_eq!(number("MEDIA_SETTLED"), i64::from(MEDIA_SETTLED));
    }

    #[test]
    fn every_standing_and_meter_has_the_name_and_number_of_the_object() {
        let btf = Btf::from_raw("tollgate", OBJECT).unwrap().expect("the object has BTF");
        let mut standings = object_enum(&btf, "standing");
        assert_eq!(standings.pop(), Some(("STANDINGS".to_owned(), Standing::ALL.len() as i64)));
        let mirror = Standing::ALL.iter().map(|one| (one.name().to_uppercase(), *one as i64));
        assert_eq!(standings, mirror.collect::<Vec<_>>());
        let mut meters = object_enum(&btf, "meter");
        assert_eq!(meters.pop(), Some(("METERS".to_owned(), METERS as i64)));
        let name = |meter: &Meter| format!("METER_{}", meter.name().to_uppercase());
        let mirror = Meter::ALL.iter().map(|meter| (name(meter), *meter as i64));
        assert_eq!(meters, mirror.collect::<Vec<_>>());
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
