//! Geo sets: which addresses lie in a country, a network, or a list of anonymisers.
//!
//! A [`GeoSet`] holds ranges of addresses, both ends inside, sorted, and never touching each other, so
//! that one binary search says whether an address is in it. An IPv4 address is looked for as its
//! IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2): one order, one search, and whoever shows himself in that
//! form lies where he lies. No IPv6 range reaches into the mapped block, so `::/0` holds no IPv4 address.
//!
//! Withstands lists that people keep: ranges may overlap, repeat and come in any order; what is upside
//! down, empty, or goes past the end of its family is refused with the reason. A set is made of at most
//! [`RANGES_MAX`] ranges as they are written; 32 bytes each in memory.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Ranges that one set is made of.
pub const RANGES_MAX: usize = 1_000_000;

/// Where IPv4 addresses stand among those of IPv6.
const MAPPED_FIRST: u128 = 0xffff_0000_0000;
const MAPPED_LAST: u128 = 0xffff_ffff_ffff;

/// Why something is no set, or no range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoFault {
    /// Neither an address, nor a prefix, nor two addresses.
    NoRange,
    /// The first address is behind the last.
    Inverted,
    /// It has no address at all.
    Empty,
    /// It goes past the last address of its family.
    PastTheEnd,
    /// Its ends are of two families.
    TwoFamilies,
    /// More ranges than a set is made of.
    TooMany,
    /// It is `::ffff:0:0/96`, which lists of what nobody has name, and which is all of IPv4 here.
    AllMapped,
}

impl fmt::Display for GeoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRange => f.write_str(
                "a range looks like 192.0.2.0/24, 2001:db8::/32, 192.0.2.1 or 192.0.2.1-192.0.2.99",
            ),
            Self::Inverted => f.write_str("its first address is behind its last"),
            Self::Empty => f.write_str("it has no address"),
            Self::PastTheEnd => f.write_str("it goes past the last address that there is"),
            Self::TwoFamilies => f.write_str("it begins in IPv4 and ends in IPv6, or the reverse"),
            Self::AllMapped => f.write_str(
                "this is all of IPv4 as IPv6 writes it; leave it out, or say 0.0.0.0/0 if that is meant",
            ),
            Self::TooMany => write!(f, "a set is made of up to {RANGES_MAX} ranges"),
        }
    }
}

impl std::error::Error for GeoFault {}

/// A range of addresses, both ends inside, as numbers of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GeoRange {
    first: u128,
    last: u128,
}

/// The place of an address among those of IPv6.
#[must_use]
pub fn place_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address at a place.
fn address_at(place: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(place)).to_canonical()
}

fn is_mapped(place: u128) -> bool {
    (MAPPED_FIRST..=MAPPED_LAST).contains(&place)
}

impl GeoRange {
    /// From one address to another.
    ///
    /// # Errors
    /// When they are of two families, or the wrong way round.
    pub fn between(first: IpAddr, last: IpAddr) -> Result<Self, GeoFault> {
        if first.to_canonical().is_ipv4() != last.to_canonical().is_ipv4() {
            return Err(GeoFault::TwoFamilies);
        }
        let (first, last) = (place_of(first), place_of(last));
        if first > last { Err(GeoFault::Inverted) } else { Ok(Self { first, last }) }
    }

    /// So many addresses from the first one on (GEO-01).
    ///
    /// # Errors
    /// When there are none, or not so many.
    pub fn counted(first: IpAddr, addresses: u128) -> Result<Self, GeoFault> {
        let begin = place_of(first);
        let more = addresses.checked_sub(1).ok_or(GeoFault::Empty)?;
        let last = begin.checked_add(more).ok_or(GeoFault::PastTheEnd)?;
        if is_mapped(begin) && !is_mapped(last) {
            return Err(GeoFault::PastTheEnd);
        }
        Ok(Self { first: begin, last })
    }

    /// All addresses of a prefix, whatever its bits past the length are.
    ///
    /// # Errors
    /// When it is longer than its family, or all of IPv4 written as IPv6.
    pub fn prefix(address: IpAddr, bits: u8) -> Result<Self, GeoFault> {
        let whole: u8 = if address.is_ipv4() { 32 } else { 128 };
        let free = u32::from(whole.checked_sub(bits).ok_or(GeoFault::NoRange)?);
        let inside = u128::MAX.checked_shr(128 - free).unwrap_or(0);
        let first = place_of(address) & !inside;
        if whole == 128 && (first, first | inside) == (MAPPED_FIRST, MAPPED_LAST) {
            return Err(GeoFault::AllMapped);
        }
        Ok(Self { first, last: first | inside })
    }

    /// Its first and its last address, as [`place_of`] counts them.
    #[must_use]
    pub fn places(&self) -> (u128, u128) {
        (self.first, self.last)
    }

    /// A range that [`Self::places`] told. `None`: no range has such ends.
    #[must_use]
    pub fn from_places(first: u128, last: u128) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// What is left of it outside the block of IPv4, unless it lies inside.
    fn split(self) -> impl Iterator<Item = Self> {
        let crosses = self.first < MAPPED_FIRST && self.last >= MAPPED_FIRST
            || self.first <= MAPPED_LAST && self.last > MAPPED_LAST;
        let parts = if crosses {
            let below = Self::from_places(self.first, self.last.min(MAPPED_FIRST - 1));
            let above = Self::from_places(self.first.max(MAPPED_LAST + 1), self.last);
            [below, above]
        } else {
            [Some(self), None]
        };
        parts.into_iter().flatten()
    }
}

impl FromStr for GeoRange {
    type Err = GeoFault;

    fn from_str(text: &str) -> Result<Self, GeoFault> {
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| GeoFault::NoRange);
        if let Some((first, last)) = text.split_once('-') {
            return Self::between(address(first)?, address(last)?);
        }
        match text.split_once('/') {
            Some((first, bits)) => {
                Self::prefix(address(first)?, bits.trim().parse().map_err(|_| GeoFault::NoRange)?)
            }
            None => Self::counted(address(text)?, 1),
        }
    }
}

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoSet {
    /// Sorted, no two of them touching, none across the ends of the mapped block.
    ranges: Box<[GeoRange]>,
}

impl GeoSet {
    /// The set of all these ranges.
    ///
    /// # Errors
    /// When there are more than [`RANGES_MAX`].
    pub fn build(ranges: impl IntoIterator<Item = GeoRange>) -> Result<Self, GeoFault> {
        let mut sorted = Vec::new();
        for (count, range) in ranges.into_iter().enumerate() {
            if count >= RANGES_MAX {
                return Err(GeoFault::TooMany);
            }
            sorted.extend(range.split());
        }
        sorted.sort_unstable();
        let mut merged: Vec<GeoRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if last.is_met_by(&range) => last.last = last.last.max(range.last),
                _ => merged.push(range),
            }
        }
        if merged.len() > RANGES_MAX {
            return Err(GeoFault::TooMany);
        }
        Ok(Self { ranges: merged.into() })
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let place = place_of(address);
        let behind = self.ranges.partition_point(|range| range.first <= place);
        behind.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|it| place <= it.last)
    }

    /// The same with these ranges besides.
    ///
    /// # Errors
    /// When it would be made of more than [`RANGES_MAX`].
    pub fn with(&self, more: impl IntoIterator<Item = GeoRange>) -> Result<Self, GeoFault> {
        Self::build(self.ranges.iter().copied().chain(more))
    }

    /// The same without the addresses of one range.
    ///
    /// # Errors
    /// When what is left would be made of more than [`RANGES_MAX`].
    pub fn without(&self, gone: GeoRange) -> Result<Self, GeoFault> {
        let left = self.ranges.iter().flat_map(|range| {
            let below = gone.first.checked_sub(1).map(|end| (range.first, range.last.min(end)));
            let above = gone.last.checked_add(1).map(|begin| (range.first.max(begin), range.last));
            let parts = [below, above].into_iter().flatten();
            parts.filter_map(|(first, last)| GeoRange::from_places(first, last))
        });
        Self::build(left)
    }

    /// Its ranges, in their order.
    #[must_use]
    pub fn ranges(&self) -> &[GeoRange] {
        &self.ranges
    }

    /// The fewest prefixes that say the same, in the order of their addresses: what a trie in the driver
    /// holds, and what a list shows.
    pub fn prefixes(&self) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        self.prefixes_from(0)
    }

    /// Those of them behind the one that begins at `address`.
    pub fn prefixes_behind(&self, address: IpAddr) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        let place = place_of(address);
        let at = self.ranges.partition_point(|range| range.last < place);
        self.prefixes_from(at).skip_while(move |(first, _)| place_of(*first) <= place)
    }

    fn prefixes_from(&self, at: usize) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        let ranges = self.ranges.get(at..).unwrap_or_default();
        ranges.iter().flat_map(|range| Prefixes { next: Some(range.first), last: range.last })
    }
}

impl GeoRange {
    /// Whether a range behind it in order overlaps it, or follows without a gap.
    fn is_met_by(&self, next: &Self) -> bool {
        let follows = self.last.checked_add(1) == Some(next.first);
        // Prefixes of two families are never one.
        let is_border = next.first == MAPPED_FIRST || self.last == MAPPED_LAST;
        next.first <= self.last || follows && !is_border
    }
}

/// Cuts a range into prefixes: at each step the largest one that begins there and fits.
struct Prefixes {
    next: Option<u128>,
    last: u128,
}

impl Iterator for Prefixes {
    type Item = (IpAddr, u8);

    fn next(&mut self) -> Option<(IpAddr, u8)> {
        let first = self.next.filter(|first| *first <= self.last)?;
        let wanted = self.last - first;
        // As many free bits as the beginning has zeros at its end, and as the rest has room for.
        let aligned = first.trailing_zeros();
        let fits = match wanted.checked_add(1) {
            Some(count) => count.ilog2(),
            None => 128,
        };
        let free = aligned.min(fits);
        let inside = u128::MAX.checked_shr(128 - free).unwrap_or(0);
        self.next = (first | inside).checked_add(1);
        let address = address_at(first);
        let whole = if address.is_ipv4() { 32 } else { 128 };
        Some((address, u8::try_from(whole - free).unwrap_or(0)))
    }
}

/// One address or range in each line, as lists of countries are kept: what follows `#` or `;` is for
/// people, and so are empty lines.
///
/// # Errors
/// The number of the line that is wrong, and why.
pub fn read_list(text: &str) -> Result<GeoSet, (usize, GeoFault)> {
    let mut ranges = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let said = line.split(['#', ';']).next().unwrap_or_default().trim();
        if said.is_empty() {
            continue;
        }
        let number = index + 1;
        if ranges.len() >= RANGES_MAX {
            return Err((number, GeoFault::TooMany));
        }
        ranges.push(said.parse::<GeoRange>().map_err(|fault| (number, fault))?);
    }
    GeoSet::build(ranges).map_err(|fault| (0, fault))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn four(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn range(text: &str) -> Result<GeoRange, GeoFault> {
        text.parse()
    }

    fn set(ranges: &[&str]) -> GeoSet {
        GeoSet::build(ranges.iter().map(|text| range(text).unwrap())).unwrap()
    }

    fn shown(set: &GeoSet) -> Vec<String> {
        set.prefixes().map(|(address, bits)| format!("{address}/{bits}")).collect()
    }

    #[test]
    fn the_first_and_the_last_address_are_inside_and_the_next_ones_are_not() {
        let four = GeoSet::build([GeoRange::counted(at("192.0.2.10"), 5).unwrap()]).unwrap();
        let six = GeoSet::build([GeoRange::counted(at("2001:db8::ffff"), 2).unwrap()]).unwrap();
        let inside = |set: &GeoSet, address| set.contains(at(address));
        assert_eq!(
            ["192.0.2.9", "192.0.2.10", "192.0.2.14", "192.0.2.15"].map(|it| inside(&four, it)),
            [false, true, true, false]
        );
        assert_eq!(
            ["2001:db8::fffe", "2001:db8::ffff", "2001:db8::1:0", "2001:db8::1:1"]
                .map(|it| inside(&six, it)),
            [false, true, true, false]
        );
        assert!(inside(&four, "::ffff:192.0.2.10"), "the same host, shown otherwise");
    }

    #[test]
    fn a_range_that_cannot_be_is_refused_with_its_reason() {
        for (text, fault) in [
            ("", GeoFault::NoRange),
            ("192.0.2.0/33", GeoFault::NoRange),
            ("2001:db8::/129", GeoFault::NoRange),
            ("192.0.2.0/-1", GeoFault::NoRange),
            ("192.0.2.0/24/8", GeoFault::NoRange),
            ("300.0.0.1", GeoFault::NoRange),
            ("example.com", GeoFault::NoRange),
            ("192.0.2.9-192.0.2.1", GeoFault::Inverted),
            ("192.0.2.9-2001:db8::1", GeoFault::TwoFamilies),
            ("::ffff:0:0/96", GeoFault::AllMapped),
        ] {
            assert_eq!(range(text), Err(fault), "{text}");
        }
        assert_eq!(range("::ffff:192.0.2.0/120"), range("192.0.2.0/24"));
        assert!(range("0.0.0.0/0").is_ok());
        assert_eq!(GeoRange::counted(at("192.0.2.1"), 0), Err(GeoFault::Empty));
        assert_eq!(GeoRange::counted(at("255.255.255.255"), 2), Err(GeoFault::PastTheEnd));
        let end = at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(GeoRange::counted(end, 2), Err(GeoFault::PastTheEnd));
        assert!(GeoRange::counted(end, 1).is_ok());
    }

    #[test]
    fn ranges_that_overlap_touch_or_repeat_become_one() {
        let all = ["10.0.1.0/24", "10.0.0.0/24", "10.0.0.128-10.0.1.3", "10.0.0.0/24", "10.9.0.1"];
        let set = set(&all);
        assert_eq!(shown(&set), ["10.0.0.0/23", "10.9.0.1/32"]);
        assert_eq!(set.ranges().len(), 2);
    }

    #[test]
    fn a_range_is_shown_as_the_fewest_prefixes() {
        assert_eq!(
            shown(&set(&["192.0.2.1-192.0.2.8"])),
            ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/30", "192.0.2.8/32"]
        );
        for whole in ["0.0.0.0/0", "192.0.2.0/24", "2001:db8::/32", "::1/128"] {
            assert_eq!(shown(&set(&[whole])), [whole]);
        }
    }

    #[test]
    fn every_ipv6_address_is_no_ipv4_address() {
        let six = set(&["::/0"]);
        assert!(six.contains(at("2001:db8::1")) && !six.contains(at("192.0.2.1")));
        let both = six.with([range("0.0.0.0/0").unwrap()]).unwrap();
        assert!(both.contains(at("192.0.2.1")) && both.contains(at("::1")));
        assert!(shown(&both).contains(&"0.0.0.0/0".to_owned()), "{:?}", shown(&both));
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays() {
        let left = set(&["10.0.0.0/8"]).without(range("10.0.0.0/9").unwrap()).unwrap();
        assert_eq!(shown(&left), ["10.128.0.0/9"]);
        let middle = left.without(range("10.200.0.1").unwrap()).unwrap();
        let inside = |address: &str| middle.contains(at(address));
        assert_eq!(["10.200.0.0", "10.200.0.1", "10.200.0.2"].map(inside), [true, false, true]);
        assert!(middle.without(range("0.0.0.0/0").unwrap()).unwrap().ranges().is_empty());
    }

    #[test]
    fn a_page_of_prefixes_goes_on_behind_the_one_before() {
        let set = set(&["10.0.0.1-10.0.0.6", "10.1.0.0/16", "2001:db8::/32"]);
        let all: Vec<_> = set.prefixes().collect();
        for (index, (address, _)) in all.iter().enumerate() {
            let rest: Vec<_> = set.prefixes_behind(*address).collect();
            assert_eq!(rest, all[index + 1..]);
        }
    }

    #[test]
    fn a_list_of_a_country_is_read_and_says_which_line_is_wrong() {
        let list = "# ZZ, 2026-01-01\n\n192.0.2.0/24\r\n2001:db8::/32 # six\n; end\n198.51.100.7\n";
        assert_eq!(
            shown(&read_list(list).unwrap()),
            ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]
        );
        assert_eq!(read_list("192.0.2.0/24\nx\n"), Err((2, GeoFault::NoRange)));
        assert_eq!(read_list("").unwrap(), GeoSet::default());
    }

    #[test]
    fn a_million_ranges_are_a_set_and_one_more_are_none() {
        let apart = |count: u32| (0..count).map(|n| GeoRange::counted(four(n * 4), 1).unwrap());
        let most = u32::try_from(RANGES_MAX).unwrap();
        let set = GeoSet::build(apart(most)).unwrap();
        assert_eq!(set.ranges().len(), RANGES_MAX);
        assert!(set.contains(four((most - 1) * 4)) && !set.contains(four(most * 4)));
        assert_eq!(GeoSet::build(apart(most + 1)), Err(GeoFault::TooMany));
    }

    #[test]
    fn a_set_agrees_with_its_ranges_one_by_one() {
        // A small world of both families, every address of it asked.
        let mut seed = 7_u64;
        let mut chance = |below: u128| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u128::from(seed >> 33) % below
        };
        for _ in 0..200 {
            let ranges: Vec<GeoRange> = (0..1 + chance(12))
                .map(|_| {
                    let first = MAPPED_FIRST - 64 + chance(128);
                    GeoRange { first, last: first + chance(16) }
                })
                .collect();
            let set = GeoSet::build(ranges.iter().copied()).unwrap();
            for place in MAPPED_FIRST - 80..MAPPED_FIRST + 90 {
                let is_in = |range: &GeoRange| {
                    range.split().any(|it| it.first <= place && place <= it.last)
                };
                let address = address_at(place);
                assert_eq!(set.contains(address), ranges.iter().any(is_in), "{address}");
            }
            let again = set.prefixes().map(|(address, bits)| GeoRange::prefix(address, bits));
            assert_eq!(GeoSet::build(again.map(Result::unwrap)).unwrap(), set);
        }
    }
}
