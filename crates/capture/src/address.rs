//! Other addresses for a frame, with checksums that follow by difference (RFC 1624).

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use wire::checksum;

use crate::frame::{Layout, UDP};

/// Who becomes whom. Families stay.
pub trait Readdress {
    /// A host without a port.
    fn host(&self, host: IpAddr) -> IpAddr;
    /// A host with a port.
    fn end(&self, end: SocketAddr) -> SocketAddr;
}

/// One rule: `OLD=NEW`, where both are an address, or both an address with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A host, whatever its ports.
    Host(IpAddr, IpAddr),
    /// One port of a host.
    End(SocketAddr, SocketAddr),
}

/// Why a text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// No two addresses, or one with a port and one without.
    #[error("a rule is OLD=NEW, two addresses or two addresses with ports: 10.0.0.1=192.0.2.1")]
    Form,
    /// IPv4 cannot become IPv6.
    #[error("both addresses of a rule are of one family")]
    Family,
}

impl FromStr for Rule {
    type Err = RuleFault;

    fn from_str(text: &str) -> Result<Self, RuleFault> {
        let (old, new) = text.split_once('=').ok_or(RuleFault::Form)?;
        let (rule, same_family) = if let (Ok(old), Ok(new)) = (old.parse(), new.parse()) {
            let (old, new): (IpAddr, IpAddr) = (old, new);
            (Self::Host(old, new), old.is_ipv4() == new.is_ipv4())
        } else {
            let old: SocketAddr = old.parse().map_err(|_| RuleFault::Form)?;
            let new: SocketAddr = new.parse().map_err(|_| RuleFault::Form)?;
            (Self::End(old, new), old.is_ipv4() == new.is_ipv4())
        };
        if same_family { Ok(rule) } else { Err(RuleFault::Family) }
    }
}

/// Rules in their order: the first that fits holds. One for a port goes before one for its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl From<Vec<Rule>> for Rules {
    fn from(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| matches!(rule, Rule::Host(..)));
        Self(rules)
    }
}

impl Rules {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Readdress for Rules {
    fn host(&self, host: IpAddr) -> IpAddr {
        let new = self.0.iter().find_map(|rule| match rule {
            Rule::Host(old, new) if *old == host => Some(*new),
            _ => None,
        });
        new.unwrap_or(host)
    }

    fn end(&self, end: SocketAddr) -> SocketAddr {
        let new = self.0.iter().find_map(|rule| match rule {
            Rule::End(old, new) if *old == end => Some(*new),
            Rule::Host(old, new) if *old == end.ip() => Some(SocketAddr::new(*new, end.port())),
            _ => None,
        });
        new.unwrap_or(end)
    }
}

/// Writes `new` over what is at `at` and corrects the checksum at `sum`, which covers it. A UDP checksum that is
/// absent stays absent, and a computed 0 is written as all ones (RFC 768).
pub(crate) fn replace(frame: &mut [u8], at: usize, new: &[u8], sum: Option<(usize, u8)>) {
    let Some(place) = frame.get_mut(at..at + new.len()) else { return };
    let mut old = [0; 16];
    let Some(old) = old.get_mut(..new.len()) else { return };
    old.copy_from_slice(place);
    place.copy_from_slice(new);
    let Some((sum, protocol)) = sum else { return };
    let Some(field) = frame.get_mut(sum..).and_then(|rest| rest.first_chunk_mut::<2>()) else {
        return;
    };
    let checksum = u16::from_be_bytes(*field);
    if protocol == UDP && checksum == 0 {
        return;
    }
    let updated = checksum::update(checksum, old, new);
    let updated = if protocol == UDP && updated == 0 { 0xffff } else { updated };
    *field = updated.to_be_bytes();
}

/// Gives a frame its new addresses and ports. Its lengths stay.
pub(crate) fn readdress(frame: &mut [u8], layout: &Layout, to: &impl Readdress) {
    let Some(hosts) = layout.hosts(frame) else { return };
    let sum = layout.checksum().map(|at| (at, layout.protocol));
    let ends = layout.ends(frame);
    let new = match ends {
        Some(ends) => ends.map(|end| to.end(end).ip()),
        None => hosts.map(|host| to.host(host)),
    };
    let (places, _) = layout.addresses();
    for ((at, old), new) in places.into_iter().zip(hosts).zip(new) {
        if old == new {
            continue;
        }
        match new {
            IpAddr::V4(new) => {
                let new = new.octets();
                // The header's own sum covers it as well, and that one has no zero of its own.
                let before: Option<[u8; 4]> =
                    frame.get(at..).and_then(|rest| rest.first_chunk().copied());
                replace(frame, at, &new, sum);
                if let Some(before) = before {
                    let field = layout.ip + 10;
                    if let Some(field) = frame.get_mut(field..).and_then(|r| r.first_chunk_mut()) {
                        let checksum = checksum::update(u16::from_be_bytes(*field), &before, &new);
                        *field = checksum.to_be_bytes();
                    }
                }
            }
            IpAddr::V6(new) => replace(frame, at, &new.octets(), sum),
        }
    }
    let (Some(ends), Some(transport)) = (ends, layout.transport) else { return };
    for (offset, end) in [0, 2].into_iter().zip(ends) {
        let port = to.end(end).port();
        if port != end.port() {
            replace(frame, transport + offset, &port.to_be_bytes(), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_those_of_ports_come_first() {
        let read = |text: &str| text.parse::<Rule>();
        let rules: Rules = vec![
            read("10.0.0.1=192.0.2.1").unwrap(),
            read("10.0.0.1:5060=192.0.2.2:5062").unwrap(),
            read("[fd00::1]:9=[fd00::2]:10").unwrap(),
        ]
        .into();
        assert_eq!(rules.end("10.0.0.1:5060".parse().unwrap()), "192.0.2.2:5062".parse().unwrap());
        assert_eq!(rules.end("10.0.0.1:5061".parse().unwrap()), "192.0.2.1:5061".parse().unwrap());
        assert_eq!(rules.host("10.0.0.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!(rules.end("[fd00::1]:9".parse().unwrap()), "[fd00::2]:10".parse().unwrap());
        assert_eq!(rules.host("10.0.0.9".parse().unwrap()), "10.0.0.9".parse::<IpAddr>().unwrap());
        for text in ["", "10.0.0.1", "10.0.0.1=", "a=b", "10.0.0.1:5060=10.0.0.2"] {
            assert_eq!(read(text), Err(RuleFault::Form), "{text}");
        }
        assert_eq!(read("10.0.0.1=fd00::1"), Err(RuleFault::Family));
    }
}
