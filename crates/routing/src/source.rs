//! Whose a source address is: the most specific prefix wins, a named port beats none.
//!
//! Only the gateways of that one prefix are asked: a caller who leaves out the port or tech prefix of his
//! own gateway must not become the customer of whoever owns the wider net around him.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// An IPv4 or IPv6 prefix; bits past its length are zero. IPv4 that is written as IPv6 (`::ffff:192.0.2.1`) is IPv4:
/// nobody sends from such an address, and an entry for it would be in force nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// Where IPv4 lies within IPv6: the bits of `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Why text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixFault {
    /// It looks like none.
    Shape,
    /// It is `::ffff:0:0/96`: on the wire nobody has such an address, and here it would be all of IPv4.
    AllMapped,
}

impl fmt::Display for PrefixFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => {
                "an address or prefix looks like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
            }
            Self::AllMapped => {
                "this is all of IPv4 as IPv6 writes it; leave it out, or say 0.0.0.0/0 if that is meant"
            }
        })
    }
}

impl std::error::Error for PrefixFault {}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            std::net::Ipv4Addr::from(u32::from(ip) & keep).into()
        }
        IpAddr::V6(ip) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            std::net::Ipv6Addr::from(u128::from(ip) & keep).into()
        }
    }
}

impl Prefix {
    /// A prefix; `None` when it is longer than its family.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let found = (bits <= longest).then(|| Self { address: masked(address, bits), bits })?;
        Some(match (found.address.to_canonical(), bits.checked_sub(MAPPED_BITS)) {
            (address @ IpAddr::V4(_), Some(bits @ 1..)) if found.address.is_ipv6() => {
                Self { address, bits }
            }
            _ => found,
        })
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is one address alone.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.bits == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Its length in bits.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixFault;

    fn from_str(text: &str) -> Result<Self, PrefixFault> {
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| PrefixFault::Shape)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits =
            if text.contains('/') { bits.parse().map_err(|_| PrefixFault::Shape)? } else { whole };
        let found = Self::new(address, bits).ok_or(PrefixFault::Shape)?;
        let is_mapped = found.address.is_ipv6() && found.address.to_canonical().is_ipv4();
        if is_mapped { Err(PrefixFault::AllMapped) } else { Ok(found) }
    }
}

/// Where a mapping gateway's calls come from: `192.0.2.0/24` or `192.0.2.1:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The address.
    pub prefix: Prefix,
    /// The source port, if it tells gateways apart.
    pub port: Option<u16>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.prefix.address()) {
            (None, _) => write!(f, "{}", self.prefix),
            (Some(port), IpAddr::V4(_)) => write!(f, "{}:{port}", self.prefix),
            (Some(port), IpAddr::V6(_)) => write!(f, "[{}]:{port}", self.prefix),
        }
    }
}

impl FromStr for Source {
    type Err = PrefixFault;

    fn from_str(text: &str) -> Result<Self, PrefixFault> {
        if let Some((prefix, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:"))
        {
            let port = port.parse().map_err(|_| PrefixFault::Shape)?;
            return Ok(Self { prefix: prefix.parse()?, port: Some(port) });
        }
        if let Ok(prefix) = text.parse() {
            return Ok(Self { prefix, port: None });
        }
        let (prefix, port) = text.rsplit_once(':').ok_or(PrefixFault::Shape)?;
        let port = port.parse().map_err(|_| PrefixFault::Shape)?;
        Ok(Self { prefix: prefix.parse()?, port: Some(port) })
    }
}

/// Why a source is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// No gateway has this address.
    Nobody,
    /// A gateway has the address, but with another port or tech prefix: policed by address.
    WrongPortOrTechPrefix,
}

/// One of the gateways that share a prefix.
#[derive(Clone, Debug)]
struct Entry {
    port: Option<u16>,
    tech_prefix: String,
    gateway: u32,
}

/// All mapping gateways by where they call from.
#[derive(Clone, Debug, Default)]
pub struct SourceTable {
    /// Of each prefix: with a port first, then longest tech prefix, then id.
    entries: HashMap<Prefix, Vec<Entry>>,
    /// The prefix lengths in use, longest first: a look-up tries each once.
    bits: Vec<u8>,
}

impl SourceTable {
    /// A table of (gateway, its sources, its tech prefix).
    #[must_use]
    pub fn build<'a>(gateways: impl IntoIterator<Item = (u32, &'a [Source], &'a str)>) -> Self {
        let mut entries: HashMap<Prefix, Vec<Entry>> = HashMap::new();
        for (gateway, sources, tech_prefix) in gateways {
            for source in sources {
                let tech_prefix = tech_prefix.to_owned();
                let entry = Entry { port: source.port, tech_prefix, gateway };
                entries.entry(source.prefix).or_default().push(entry);
            }
        }
        for sharing in entries.values_mut() {
            sharing.sort_by_key(|entry| {
                let specific = (entry.port.is_some(), entry.tech_prefix.len());
                (std::cmp::Reverse(specific), entry.gateway)
            });
        }
        let mut bits: Vec<u8> = entries.keys().map(Prefix::bits).collect();
        bits.sort_unstable_by(|one, other| other.cmp(one));
        bits.dedup();
        Self { entries, bits }
    }

    /// Two gateways that nothing tells apart: same prefix, port and tech prefix. A table with such a
    /// pair must not come into force, because the lower id would pay for both.
    #[must_use]
    pub fn clash(&self) -> Option<(u32, u32)> {
        let pairs = self.entries.values().flat_map(|sharing| {
            sharing.iter().enumerate().flat_map(|(index, one)| {
                let others = sharing.iter().skip(index + 1);
                others.map(move |other| (one, other))
            })
        });
        pairs
            .filter(|(one, other)| one.gateway != other.gateway)
            .filter(|(one, other)| one.port == other.port && one.tech_prefix == other.tech_prefix)
            .map(|(one, other)| (one.gateway.min(other.gateway), one.gateway.max(other.gateway)))
            .min()
    }

    /// The gateway that calls from `source` to `callee`.
    ///
    /// # Errors
    /// When nobody does.
    pub fn find(&self, source: SocketAddr, callee: &[u8]) -> Result<u32, SourceFault> {
        let address = source.ip();
        let sharing = self
            .bits
            .iter()
            .filter_map(|bits| Prefix::new(address, *bits))
            .find_map(|prefix| self.entries.get(&prefix))
            .ok_or(SourceFault::Nobody)?;
        sharing
            .iter()
            .filter(|entry| entry.port.is_none_or(|port| port == source.port()))
            .find(|entry| callee.starts_with(entry.tech_prefix.as_bytes()))
            .map(|entry| entry.gateway)
            .ok_or(SourceFault::WrongPortOrTechPrefix)
    }

    /// Every address a gateway calls from, in no order.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.entries.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(gateways: &[(u32, &str, &str)]) -> SourceTable {
        let sources: Vec<(u32, Vec<Source>, &str)> = gateways
            .iter()
            .map(|(id, source, tech)| (*id, vec![source.parse().unwrap()], *tech))
            .collect();
        SourceTable::build(sources.iter().map(|(id, sources, tech)| (*id, &sources[..], *tech)))
    }

    fn find(table: &SourceTable, source: &str, callee: &str) -> Result<u32, SourceFault> {
        table.find(source.parse().unwrap(), callee.as_bytes())
    }

    #[test]
    fn ipv4_that_is_written_as_ipv6_is_ipv4_and_all_of_it_is_refused() {
        let shown = |text: &str| text.parse::<Prefix>().map(|prefix| prefix.to_string());
        for (text, same) in [
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1/128", "192.0.2.1"),
            ("::ffff:c000:201/120", "192.0.2.0/24"),
            ("::ffff:0:0/97", "0.0.0.0/1"),
            ("::/0", "::/0"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
            ("::1.2.3.4", "::102:304"),
        ] {
            assert_eq!(shown(text), Ok(same.to_owned()), "{text}");
        }
        assert_eq!(shown("::ffff:0:0/96"), Err(PrefixFault::AllMapped));
        assert_eq!(shown("::ffff:1.2.3.4/96"), Err(PrefixFault::AllMapped));
        let table = table(&[(1, "::ffff:10.1.1.1", ""), (2, "[::ffff:10.1.1.2]:5080", "")]);
        assert_eq!(find(&table, "10.1.1.1:5060", "44"), Ok(1));
        assert_eq!(find(&table, "10.1.1.2:5080", "44"), Ok(2));
    }

    #[test]
    fn the_most_specific_address_wins_and_a_port_beats_none() {
        let table = table(&[
            (1, "10.0.0.0/8", ""),
            (2, "10.1.0.0/16", ""),
            (3, "10.1.1.1:5080", ""),
            (4, "10.1.1.1", ""),
            (5, "2001:db8::/32", ""),
        ]);
        assert_eq!(find(&table, "10.9.9.9:5060", "44"), Ok(1));
        assert_eq!(find(&table, "10.1.9.9:5060", "44"), Ok(2));
        assert_eq!(find(&table, "10.1.1.1:5080", "44"), Ok(3));
        assert_eq!(find(&table, "10.1.1.1:5060", "44"), Ok(4));
        assert_eq!(find(&table, "[2001:db8::1]:5060", "44"), Ok(5));
        assert_eq!(find(&table, "192.0.2.1:5060", "44"), Err(SourceFault::Nobody));
    }

    #[test]
    fn a_wrong_port_or_tech_prefix_is_told_from_a_stranger() {
        let table =
            table(&[(1, "10.1.1.1:5060", ""), (2, "10.2.2.2", "9999#"), (3, "10.2.2.2", "8#")]);
        assert_eq!(find(&table, "10.1.1.1:5061", "44"), Err(SourceFault::WrongPortOrTechPrefix));
        assert_eq!(find(&table, "10.2.2.2:5060", "9999#44"), Ok(2));
        assert_eq!(find(&table, "10.2.2.2:5060", "8#44"), Ok(3));
        assert_eq!(find(&table, "10.2.2.2:5060", "44"), Err(SourceFault::WrongPortOrTechPrefix));
    }

    #[test]
    fn a_wrong_port_or_tech_prefix_never_falls_to_the_gateway_of_the_wider_net() {
        let table =
            table(&[(1, "10.0.0.0/8", ""), (2, "10.1.1.1:5080", ""), (3, "10.2.2.2", "9999#")]);
        assert_eq!(find(&table, "10.1.1.1:5060", "44"), Err(SourceFault::WrongPortOrTechPrefix));
        assert_eq!(find(&table, "10.2.2.2:5060", "44"), Err(SourceFault::WrongPortOrTechPrefix));
        assert_eq!(find(&table, "10.2.2.3:5060", "44"), Ok(1));
    }

    #[test]
    fn the_families_never_meet() {
        let table = table(&[(1, "0.0.0.0/0", ""), (2, "2001:db8::/32", "")]);
        assert_eq!(find(&table, "10.1.1.1:5060", "44"), Ok(1));
        assert_eq!(find(&table, "[2001:db9::1]:5060", "44"), Err(SourceFault::Nobody));
    }

    #[test]
    fn two_gateways_that_nothing_tells_apart_clash() {
        assert_eq!(table(&[(1, "10.1.1.1:5060", ""), (2, "10.1.1.1", "")]).clash(), None);
        assert_eq!(table(&[(1, "10.1.1.1", "9#"), (2, "10.1.1.1", "8#")]).clash(), None);
        assert_eq!(table(&[(1, "10.1.1.0/24", ""), (2, "10.1.1.1", "")]).clash(), None);
        assert_eq!(table(&[(8, "10.1.1.1", "9#"), (7, "10.1.1.1", "9#")]).clash(), Some((7, 8)));
    }

    #[test]
    fn sources_read_as_they_are_written() {
        for text in
            ["192.0.2.1", "192.0.2.0/24", "192.0.2.1:5060", "2001:db8::/32", "[2001:db8::1]:5060"]
        {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for text in ["", "192.0.2.1/33", "192.0.2.1:x", "300.0.0.1", "[::1]:99999"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
        assert_eq!("10.9.9.9/8".parse::<Prefix>().unwrap().to_string(), "10.0.0.0/8");
    }
}
