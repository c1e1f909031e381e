//! The name of a port of ours: its number, and which of our media addresses it is a port of.

/// A port of one of our media addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(u32);

impl Port {
    /// None: no port has the number 0.
    pub const NONE: Self = Self(0);

    /// A port of the address with that place among ours.
    #[must_use]
    pub const fn new(address: u8, number: u16) -> Self {
        Self((address as u32) << 16 | number as u32)
    }

    /// The place of its address.
    #[must_use]
    pub const fn address(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 as u16
    }

    /// Whether it is no port.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.number() == 0
    }

    /// The RTP port of its pair.
    #[must_use]
    pub const fn rtp(self) -> Self {
        Self(self.0 & !1)
    }

    /// The RTCP port of its pair.
    #[must_use]
    pub const fn rtcp(self) -> Self {
        Self(self.0 | 1)
    }

    /// Whether it is the RTCP port of its pair.
    #[must_use]
    pub const fn is_rtcp(self) -> bool {
        self.0 & 1 == 1
    }

    /// Both ports of its pair.
    #[must_use]
    pub(crate) const fn pair(self) -> [Self; 2] {
        [self.rtp(), self.rtcp()]
    }

    /// Of this pair, the port that is for what the other port is for.
    #[must_use]
    pub(crate) const fn beside(self, other: Self) -> Self {
        Self(self.0 & !1 | other.0 & 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_apart_by_its_address_and_keeps_it_within_its_pair() {
        let port = Port::new(3, 65_534);
        assert_eq!((port.address(), port.number()), (3, 65_534));
        assert_eq!(port.pair(), [Port::new(3, 65_534), Port::new(3, 65_535)]);
        assert_eq!(port.rtcp().rtp(), port);
        assert_eq!(Port::new(1, 10_000).beside(port.rtcp()), Port::new(1, 10_001));
        assert_ne!(port, Port::new(2, 65_534));
        assert!(Port::NONE.is_none() && Port::new(7, 0).is_none() && !port.is_none());
    }
}
