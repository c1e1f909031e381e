//! A network or a single address: the subject of every rule.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network. Bits beyond its length are zero, so equal networks are equal values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// Why a text or a pair is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixFault {
    /// The part before the slash is no IP address.
    #[error("not an IPv4 or IPv6 address")]
    Address,
    /// The part after the slash is no number, or larger than the address is long.
    #[error("the length after the slash must be 0 to 32 (IPv4) or 0 to 128 (IPv6)")]
    Length,
}

impl Prefix {
    /// The network of `bits` leading bits around `address`; its host bits are cleared.
    pub fn new(address: IpAddr, bits: u8) -> Result<Self, PrefixFault> {
        if bits > width(address) {
            return Err(PrefixFault::Length);
        }
        Ok(Self { address: masked(address, bits), bits })
    }

    /// The single address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self { address, bits: width(address) }
    }

    /// Every IPv4 address.
    pub(crate) fn all_ipv4() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), bits: 0 }
    }

    /// The first address of the network.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether it is one address.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.bits == width(self.address)
    }

    /// Whether every address of `other` is one of ours.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.bits <= other.bits
            && masked(other.address, self.bits) == self.address
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixFault;

    fn from_str(text: &str) -> Result<Self, PrefixFault> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixFault::Address)?;
        match bits {
            Some(bits) => Self::new(address, bits.parse().map_err(|_| PrefixFault::Length)?),
            None => Ok(Self::host(address)),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_cleared() {
        assert_eq!(prefix("10.1.2.3/8"), prefix("10.0.0.0/8"));
        assert_eq!(prefix("fd10:1::1/32").to_string(), "fd10:1::/32");
        assert_eq!(prefix("1.2.3.4/0").to_string(), "0.0.0.0/0");
        assert_eq!(prefix("::1/0").to_string(), "::/0");
    }

    #[test]
    fn a_host_is_written_without_its_length() {
        assert_eq!(prefix("10.1.2.3/32").to_string(), "10.1.2.3");
        assert_eq!(prefix("fd10::1").to_string(), "fd10::1");
    }

    #[test]
    fn a_network_covers_its_parts_of_the_same_family_only() {
        assert!(prefix("10.0.0.0/8").covers(&prefix("10.1.0.0/16")));
        assert!(prefix("10.1.0.0/16").covers(&prefix("10.1.0.0/16")));
        assert!(!prefix("10.1.0.0/16").covers(&prefix("10.0.0.0/8")));
        assert!(prefix("0.0.0.0/0").covers(&prefix("1.2.3.4")));
        assert!(!prefix("::/0").covers(&prefix("1.2.3.4")));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for (text, fault) in [
            ("", PrefixFault::Address),
            ("10.1.2", PrefixFault::Address),
            ("10.1.2.3/", PrefixFault::Length),
            ("10.1.2.3/33", PrefixFault::Length),
            ("10.1.2.3/-1", PrefixFault::Length),
            ("::/129", PrefixFault::Length),
            ("::/8/8", PrefixFault::Length),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(fault), "{text}");
        }
    }
}
