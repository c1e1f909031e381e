//! Imports of the deny list: addresses and prefixes that came together, are kept together and go together.
//!
//! An entry is 18 bytes and no document, so a million of them are stored, told to the driver and taken back in
//! one piece. What an import says of all of them (why, until when) stands in its head ([`super::entity::Import`]).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use routing::Prefix;

/// Entries of one import.
pub const ENTRIES_MAX: usize = 2_000_000;

/// How an entry is stored: family, length, address.
const ENTRY_BYTES: usize = 18;

/// Entries, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(Box<[Prefix]>);

impl Entries {
    /// Of prefixes in any order.
    #[must_use]
    pub fn new(mut prefixes: Vec<Prefix>) -> Self {
        prefixes.sort_unstable();
        prefixes.dedup();
        Self(prefixes.into_boxed_slice())
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them are one address.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.0.iter().filter(|prefix| prefix.is_host()).count()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.0.iter().copied()
    }

    /// Those behind one, in order.
    pub fn behind(&self, place: Prefix) -> impl Iterator<Item = Prefix> + '_ {
        let at = self.0.partition_point(|prefix| *prefix <= place);
        self.0.iter().skip(at).copied()
    }

    /// Whether exactly this one is there.
    #[must_use]
    pub fn has(&self, prefix: Prefix) -> bool {
        self.0.binary_search(&prefix).is_ok()
    }

    /// Whether any of them shares an address with a network.
    #[must_use]
    pub fn meets(&self, network: Prefix) -> bool {
        let first = self.0.partition_point(|prefix| prefix.address() < network.address());
        let inside = self.0.get(first).is_some_and(|prefix| network.contains(prefix.address()));
        inside || self.holds(network)
    }

    /// Whether one of them is this network or around it.
    #[must_use]
    pub fn holds(&self, network: Prefix) -> bool {
        (0..=network.bits())
            .filter_map(|bits| Prefix::new(network.address(), bits))
            .any(|around| self.has(around))
    }

    /// The same but for one; `None`: it is not there.
    #[must_use]
    pub fn without(&self, gone: Prefix) -> Option<Self> {
        let at = self.0.binary_search(&gone).ok()?;
        let mut left = self.0.to_vec();
        left.remove(at);
        Some(Self(left.into_boxed_slice()))
    }

    /// As they are stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_BYTES);
        for prefix in &self.0 {
            let (family, octets) = match prefix.address() {
                IpAddr::V4(address) => (4, address.to_ipv6_mapped().octets()),
                IpAddr::V6(address) => (6, address.octets()),
            };
            bytes.extend_from_slice(&[family, prefix.bits()]);
            bytes.extend_from_slice(&octets);
        }
        bytes
    }

    /// Reads [`Self::to_bytes`]. `None`: it is something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<ENTRY_BYTES>() else { return None };
        let read = |entry: &[u8; ENTRY_BYTES]| {
            let ([family, bits], octets) = entry.split_first_chunk()?;
            let octets: [u8; 16] = octets.try_into().ok()?;
            let address: IpAddr = match family {
                4 => octets.last_chunk::<4>().copied().map(Ipv4Addr::from)?.into(),
                6 => Ipv6Addr::from(octets).into(),
                _ => return None,
            };
            Prefix::new(address, *bits)
        };
        let prefixes: Option<Vec<Prefix>> = entries.iter().map(read).collect();
        prefixes.map(Self::new)
    }
}

/// The entries of all imports, by the numbers of their heads.
pub type Imports = BTreeMap<u32, Arc<Entries>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[&str]) -> Entries {
        Entries::new(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn at(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn an_import_meets_networks_that_are_in_it_around_it_or_the_same() {
        let all = entries(&["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "::ffff:203.0.113.7"]);
        for met in [
            "192.0.2.7",
            "192.0.2.0/24",
            "198.51.100.9",
            "198.51.0.0/16",
            "2001:db8:1::/48",
            "203.0.113.7",
        ] {
            assert!(all.meets(at(met)), "{met}");
        }
        for apart in ["192.0.2.8", "198.51.101.0/24", "2001:db9::/32", "10.0.0.0/8"] {
            assert!(!all.meets(at(apart)), "{apart}");
        }
        assert!(all.holds(at("198.51.100.0/30")) && !all.holds(at("198.51.0.0/16")));
    }

    #[test]
    fn entries_are_kept_once_in_order_and_survive_the_store() {
        let all = entries(&["192.0.2.7", "10.0.0.0/8", "192.0.2.7/32", "::1", "::/0", "0.0.0.0/0"]);
        let shown: Vec<String> = all.iter().map(|prefix| prefix.to_string()).collect();
        assert_eq!(shown, ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7", "::/0", "::1"]);
        assert_eq!((all.count(), all.addresses()), (5, 2));
        assert_eq!(Entries::from_bytes(&all.to_bytes()), Some(all.clone()));
        let less = all.without(at("192.0.2.7")).unwrap();
        assert_eq!((less.count(), less.has(at("192.0.2.7"))), (4, false));
        assert_eq!(less.without(at("192.0.2.7")), None);
        assert_eq!(less.behind(at("10.0.0.0/8")).next(), Some(at("::/0")));
        let bytes = all.to_bytes();
        assert_eq!(Entries::from_bytes(&bytes[1..]), None);
        assert_eq!(Entries::from_bytes(&[7; ENTRY_BYTES]), None);
        assert_eq!(Entries::from_bytes(&[4; ENTRY_BYTES]).unwrap().count(), 1);
    }
}
